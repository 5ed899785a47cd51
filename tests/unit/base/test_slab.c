/* Blocks of weights: cleared, aligned and apart; each lives until it is freed, whoever took from its slab. */
#include "test.h"
#include "base/slab.h"
#include <stdint.h>
#include <string.h>

enum { N = 200, BYTES = 300001, LARGE = 5 << 20 }; /* 60 MB: more than one slab */

static void slab__blocks_are_cleared_aligned_and_apart(void **state) {
    (void)state;
    slab *current = NULL;
    unsigned char *blocks[N], *large = slab_new(&current, 1, LARGE);
    for (int round = 0; round < 2; round++) { /* the second on memory that was used */
        for (int i = 0; i < N; i++) {
            assert_non_null(blocks[i] = slab_new(&current, BYTES, 1));
            assert_int_equal((uintptr_t)blocks[i] % 64, 0);
            assert_int_equal(blocks[i][0] | blocks[i][BYTES - 1], 0);
            memset(blocks[i], i + 1, BYTES);
        }
        for (int i = 0; i < N; i++)
            assert_true(blocks[i][0] == (unsigned char)(i + 1) && blocks[i][BYTES - 1] == (unsigned char)(i + 1));
        for (int i = 0; round == 0 && i < N; i++)
            slab_free(blocks[i]);
    }
    assert_int_equal((uintptr_t)large % 64, 0);
    assert_int_equal(large[0] | large[LARGE - 1], 0);
    slab_free(large);
    slab_drop(current); /* its blocks stay */
    for (int i = 0; i < N; i++) {
        assert_int_equal(blocks[i][BYTES / 2], (unsigned char)(i + 1));
        slab_free(blocks[i]);
    }
    slab_free(NULL);
    slab_drop(NULL);
}

static void slab__what_cannot_be_had_is_null(void **state) {
    (void)state;
    slab *current = NULL;
    assert_null(slab_new(&current, SIZE_MAX, 2));
    assert_null(slab_new(&current, SIZE_MAX / 2 - 1, 1));
    slab_drop(current);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slab__blocks_are_cleared_aligned_and_apart),
        cmocka_unit_test(slab__what_cannot_be_had_is_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
