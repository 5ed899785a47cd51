/* Blocks that a call leaves to the next: taken again where they fit, bounded, given back to whoever needs room. */
#include "test.h"
#include "base/available.h"
#include "base/spare.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES = 6 << 20 };

static void spare__a_block_is_had_again_by_who_needs_nearly_as_much(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    size_t size = 0, other = 0;
    char *block = spare_take(ctx, BYTES, &size);
    assert_non_null(block);
    assert_int_equal(size, BYTES);
    assert_int_equal((uintptr_t)block % 64, 0);
    memset(block, 1, size);
    spare_give(ctx, block, size);
    assert_int_equal(spare_bytes(ctx), BYTES);
    char *less = spare_take(ctx, BYTES / 2 - 1, &other), *more = spare_take(ctx, BYTES + 1, &other); /* too large for it, too small */
    assert_true(less != block && more != block);
    assert_int_equal(other, BYTES + 1);
    assert_ptr_equal(spare_take(ctx, BYTES - 5, &other), block);
    assert_int_equal(other, BYTES);
    assert_int_equal(spare_bytes(ctx), 0);
    free(less), free(more);
    spare_give(ctx, block, BYTES);
    spare_give(ctx, NULL, 0);
    assert_int_equal(spare_bytes(ctx), BYTES);
    agon_ctx_free(ctx); /* frees it: a leak is the sanitizers' to see */
}

static void spare__keeps_no_more_than_its_bound(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    size_t size = 0;
    spare_give(ctx, spare_take(ctx, SPARE_BYTES + 1, &size), SPARE_BYTES + 1);
    assert_int_equal(spare_bytes(ctx), 0);
    for (size_t i = 0; i < 2 * CTX_SPARE_BLOCKS; i++) {
        void *blocks[2] = {spare_take(ctx, SPARE_BYTES / 3 + i, &size), NULL};
        spare_give(ctx, blocks[0], size);
        blocks[1] = malloc(64);
        spare_give(ctx, blocks[1], 64);
        assert_true(spare_bytes(ctx) <= SPARE_BYTES);
    }
    assert_true(spare_bytes(ctx) > 0);
    agon_ctx_free(ctx);
}

static void spare__is_room_and_is_given_back_to_who_needs_it(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    size_t size = 0;
    char *block = spare_take(ctx, BYTES, &size);
    memset(block, 1, size);
    ctx->memory_limit = memory_resident() + (1 << 20);
    assert_true(memory_room(ctx) <= 1 << 20);
    spare_give(ctx, block, size);
    assert_true(memory_room(ctx) >= BYTES);
    assert_ok(ctx, memory_check(ctx, BYTES, "this", "nothing"));
    assert_int_equal(spare_bytes(ctx), BYTES); /* who needs little leaves it */
    ctx->memory_limit = SIZE_MAX;
    assert_ok(ctx, memory_check(ctx, SPARE_BYTES + 1, "this", "nothing"));
    assert_int_equal(spare_bytes(ctx), 0);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spare__a_block_is_had_again_by_who_needs_nearly_as_much),
        cmocka_unit_test(spare__keeps_no_more_than_its_bound),
        cmocka_unit_test(spare__is_room_and_is_given_back_to_who_needs_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
