/* Hostile weight files without a fuzzer, see run_corpus.h. */
#include "../../fuzz/weights_targets.h"
#include "../../fuzz/run_corpus.h"

enum { PADDING = 32 /* a beginning that lacks only what pads the last tensor is accepted */ };

static void gguf__survives_hostile_bytes(void **state) {
    (void)state;
    run_corpus("fuzz_gguf", fuzz_gguf, "fuzz.gguf", 30000, PADDING);
}

static void safetensors__survives_hostile_bytes(void **state) {
    (void)state;
    run_corpus("fuzz_safetensors", fuzz_safetensors, "fuzz.safetensors", 20000, PADDING);
}

static void hf_config__survives_hostile_bytes(void **state) {
    (void)state;
    run_corpus("fuzz_hf_config", fuzz_hf_config, "fuzz.json", 20000, PADDING);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gguf__survives_hostile_bytes),
        cmocka_unit_test(safetensors__survives_hostile_bytes),
        cmocka_unit_test(hf_config__survives_hostile_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
