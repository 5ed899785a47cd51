/* Hostile chat templates, vocabularies and adapters without a fuzzer, see run_corpus.h. */
#include "../../fuzz/model_targets.h"
#include "../../fuzz/run_corpus.h"

static void chat_template__survives_hostile_source(void **state) {
    (void)state;
    /* What opens an answer may be missing at the end. */
    run_corpus("fuzz_chat", fuzz_chat, "the model", 600, 200);
}

static void gguf_tokenizer__survives_hostile_bytes(void **state) {
    (void)state;
    run_corpus("fuzz_gguf_tokenizer", fuzz_gguf_tokenizer, "fuzz.gguf", 3000, 1);
}

static void adapter__survives_hostile_bytes(void **state) {
    (void)state;
    run_corpus("fuzz_adapter", fuzz_adapter, "fuzz.adapter", 3000, 1);
}

static void peft__survives_hostile_bytes(void **state) {
    (void)state;
    run_corpus("fuzz_peft", fuzz_peft, "/tmp/agon-peft-", 1500, 1);
}

/* 1e-99 is above 0 as the file has it, and 0 as it is kept: what was opened could not be opened again once it was saved. */
static void peft__an_alpha_that_vanishes_is_refused(void **state) {
    (void)state;
    static const char config[] = "{\"peft_type\":\"LORA\",\"r\":2,\"lora_alpha\":1e-99}";
    agon_ctx *ctx = test_ctx(1, NULL);
    const char *root = getenv("AGON_SOURCE");
    char path[2048], *data;
    size_t n;
    snprintf(path, sizeof path, "%s/tests/fuzz/corpus/fuzz_peft/q_proj.peft", root ? root : ".");
    assert_ok(ctx, file_read(ctx, path, 1 << 20, &data, &n));
    size_t n_config = strlen(data), rest = n - n_config;
    char *changed = malloc(sizeof config - 1 + rest);
    memcpy(changed, config, sizeof config - 1);
    memcpy(changed + sizeof config - 1, data + n_config, rest);
    assert_int_equal(fuzz_peft(ctx, (const uint8_t *)changed, sizeof config - 1 + rest), AGON_EINVAL);
    assert_non_null(strstr(agon_error(ctx), "alpha"));
    free(changed);
    free(data);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peft__an_alpha_that_vanishes_is_refused),
        cmocka_unit_test(chat_template__survives_hostile_source),
        cmocka_unit_test(gguf_tokenizer__survives_hostile_bytes),
        cmocka_unit_test(adapter__survives_hostile_bytes),
        cmocka_unit_test(peft__survives_hostile_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
