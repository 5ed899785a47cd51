/* Damaged accounts of trainings without a fuzzer, see run_corpus.h. */
#include "../../fuzz/training_targets.h"
#include "../../fuzz/run_corpus.h"

/* Nothing is refused: what is said of damage is checked in the targets. */
static agon_status training_said(agon_ctx *ctx, const uint8_t *data, size_t n) {
    (void)!fuzz_training(ctx, data, n);
    return AGON_OK;
}

static agon_status online_said(agon_ctx *ctx, const uint8_t *data, size_t n) {
    (void)!fuzz_online(ctx, data, n);
    return AGON_OK;
}

static void trainings__survive_damage(void **state) {
    (void)state;
    run_corpus("fuzz_training", training_said, NULL, 30, 0);
}

static void online__survives_damage(void **state) {
    (void)state;
    run_corpus("fuzz_online", online_said, NULL, 30, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trainings__survive_damage),
        cmocka_unit_test(online__survives_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
