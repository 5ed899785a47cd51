/* Damaged checkpoints of trainings without a fuzzer, see run_corpus.h. */
#include "../../fuzz/checkpoint_targets.h"
#include "../../fuzz/run_corpus.h"

static agon_status said(agon_ctx *ctx, const uint8_t *data, size_t n) {
    (void)!fuzz_checkpoint(ctx, data, n);
    return AGON_OK;
}

static void checkpoint__survives_damage(void **state) {
    (void)state;
    run_corpus("fuzz_checkpoint", said, NULL, 300, SIZE_MAX);
}

/* One that says that it stands behind the last step is no finished training. */
static void checkpoint__behind_the_end_is_refused(void **state) {
    (void)state;
    static const uint8_t later[] = {0, 40, 0, CHECKPOINT_STEPS + 1, 0, 0, 0}, damaged[] = {128, 60, 0, 1, 2, 3, 4}, end[] = {0, 40, 0, CHECKPOINT_STEPS, 0, 0, 0};
    agon_ctx *ctx = test_ctx(1, NULL);
    assert_int_equal(fuzz_checkpoint(ctx, later, sizeof later), AGON_EFORMAT);
    assert_non_null(strstr(agon_error(ctx), "behind the last step"));
    assert_int_equal(fuzz_checkpoint(ctx, damaged, sizeof damaged), AGON_EFORMAT);
    assert_non_null(strstr(agon_error(ctx), "checksum"));
    assert_ok(ctx, fuzz_checkpoint(ctx, end, sizeof end));
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checkpoint__survives_damage),
        cmocka_unit_test(checkpoint__behind_the_end_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
