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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chat_template__survives_hostile_source),
        cmocka_unit_test(gguf_tokenizer__survives_hostile_bytes),
        cmocka_unit_test(adapter__survives_hostile_bytes),
        cmocka_unit_test(peft__survives_hostile_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
