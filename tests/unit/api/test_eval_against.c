/* Two versions on the same questions: with an adapter to compare with and no model, the model itself is meant. */
#include "test.h"

static void eval__against_an_adapter_alone__is_of_the_same_model(void **state) {
    (void)state;
    char path[2048], folder[] = "/tmp/agon-against-XXXXXX", command[300], rows[100];
    agon_ctx *ctx = test_ctx(1, NULL);
    agon_model *m = NULL;
    agon_adapter *a = NULL;
    agon_dataset *d = NULL;
    char *summary = NULL, *with = NULL, *same = NULL, *without = NULL;
    golden_path(path, "tiny-text.gguf");
    assert_non_null(mkdtemp(folder));
    snprintf(rows, sizeof rows, "%s/rows.jsonl", folder);
    FILE *f = fopen(rows, "w");
    assert_non_null(f);
    fputs("{\"prompt\": \"one\", \"completion\": \"two\"}\n", f);
    assert_int_equal(fclose(f), 0);
    assert_ok(ctx, agon_model_open(ctx, path, NULL, &m));
    assert_ok(ctx, agon_dataset_open(ctx, agon_model_tokenizer(m), rows, "sft", 0, &d));
    agon_train_options t = agon_train_options_default();
    t.lora_rank = 2;
    char output[100];
    snprintf(output, sizeof output, "%s/adapter", folder);
    assert_ok(ctx, agon_train(ctx, m, d, output, &t, &summary));
    assert_ok(ctx, agon_adapter_open(ctx, m, output, &a));
    agon_eval_options e = agon_eval_options_default();
    e.suite = "general";
    e.n = 2;
    assert_ok(ctx, agon_eval(ctx, m, NULL, NULL, a, &e, &with));
    assert_ok(ctx, agon_eval(ctx, m, NULL, m, a, &e, &same));
    assert_ok(ctx, agon_eval(ctx, m, NULL, NULL, NULL, &e, &without));
    assert_string_equal(with, same);
    assert_non_null(strstr(with, "\"against\""));
    assert_null(strstr(without, "\"against\""));
    agon_text_free(summary), agon_text_free(with), agon_text_free(same), agon_text_free(without);
    agon_adapter_free(a);
    agon_dataset_free(d);
    agon_model_free(m);
    agon_ctx_free(ctx);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(eval__against_an_adapter_alone__is_of_the_same_model)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
