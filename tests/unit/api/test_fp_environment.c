/* A caller's rounding, flush-to-zero and denormals-are-zero change no bit of what the library computes, and are the caller's again afterwards. */
#include "weights_fixtures.h"
#include <fenv.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { N_TOKENS = 24, MOST = 1 << 17 };

/* What is compared: a model's scores, under a soup of two adapters trained here too, the adapter's file, and an objective's answer. */
typedef struct results {
    float log_probs[2][N_TOKENS];
    double sums[2];
    size_t n_bytes;
    char bytes[MOST], answer[4096];
} results;

static void flush_denormals(bool flush) {
#if defined(__x86_64__)
    _mm_setcsr(flush ? _mm_getcsr() | 0x8040u : _mm_getcsr() & ~0x8040u);
#else
    (void)flush;
#endif
}

static void score(agon_ctx *ctx, const agon_model *m, const agon_adapter *a, float *log_probs, double *sum) {
    int32_t tokens[N_TOKENS + 4];
    for (int i = 0; i < N_TOKENS + 4; i++)
        tokens[i] = 3 + i * 7 % 50;
    agon_score_request request = {tokens, 4, tokens + 4, N_TOKENS};
    agon_score_result r;
    assert_ok(ctx, agon_score(ctx, m, a, &request, 1, 0.7, 0, &r));
    memcpy(log_probs, r.log_probs, sizeof *log_probs * N_TOKENS);
    *sum = r.log_prob;
    agon_score_result_free(&r);
}

static void train(agon_ctx *ctx, agon_model *m, const char *rows, uint64_t seed, const char *output) {
    agon_train_options t = agon_train_options_default();
    agon_dataset *d = NULL;
    t.lora_rank = 2;
    t.seed = seed;
    assert_ok(ctx, agon_dataset_open(ctx, agon_model_tokenizer(m), rows, "sft", 0, &d));
    assert_ok(ctx, agon_train(ctx, m, d, output, &t, NULL));
    agon_dataset_free(d);
}

static void run(const fixture_folder *folder, const char *name, results *out) {
    char model[2048], path[256], outputs[3][300], file[2048], rows[256];
    agon_model *m = NULL;
    agon_adapter *a[3] = {NULL};
    agon_ctx *ctx = test_ctx(2, NULL);
    assert_ok(ctx, agon_model_open(ctx, golden_path(model, "tiny-text.gguf"), NULL, &m));
    score(ctx, m, NULL, out->log_probs[0], &out->sums[0]);
    fixture_path(rows, folder, "rows.jsonl");
    for (int i = 0; i < 3; i++)
        snprintf(outputs[i], sizeof outputs[i], "%s-%d", fixture_path(path, folder, name), i);
    for (int i = 0; i < 2; i++) {
        train(ctx, m, rows, (uint64_t)i, outputs[i]);
        assert_ok(ctx, agon_adapter_open(ctx, m, outputs[i], &a[i]));
    }
    const double weights[] = {0.3, 0.7};
    char *answer = NULL;
    assert_ok(ctx, agon_soup(ctx, m, (const agon_adapter *const *)a, weights, 2, outputs[2], &answer));
    agon_text_free(answer);
    assert_ok(ctx, agon_adapter_open(ctx, m, outputs[2], &a[2]));
    score(ctx, m, a[2], out->log_probs[1], &out->sums[1]);
    snprintf(file, sizeof file, "%s/adapter_model.safetensors", outputs[2]);
    FILE *f = fopen(file, "rb");
    assert_non_null(f);
    out->n_bytes = fread(out->bytes, 1, MOST, f);
    fclose(f);
    static const char request[] = "{\"rows\":[{\"chosen\":-1.1,\"rejected\":-1.3,\"reference_chosen\":-1.7,\"reference_rejected\":-1.9}]}";
    answer = NULL;
    agon_status status = agon_loss_json(ctx, "dpo", NULL, 0, request, strlen(request), &answer);
    snprintf(out->answer, sizeof out->answer, "%s", status ? agon_error(ctx) : answer);
    agon_text_free(answer);
    for (int i = 0; i < 3; i++)
        agon_adapter_free(a[i]);
    agon_model_free(m);
    agon_ctx_free(ctx);
}

static void same(const results *got, const results *want) {
    assert_memory_equal(got->log_probs, want->log_probs, sizeof want->log_probs);
    assert_memory_equal(got->sums, want->sums, sizeof want->sums);
    assert_int_equal(got->n_bytes, want->n_bytes);
    assert_memory_equal(got->bytes, want->bytes, want->n_bytes);
    assert_string_equal(got->answer, want->answer);
}

static void results__do_not_depend_on_the_callers_rounding(void **state) {
    (void)state;
    static const int roundings[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    static results want, got;
    const fixture_folder folder = fixture_folder_new();
    char path[256], name[32];
    FILE *file = fopen(fixture_path(path, &folder, "rows.jsonl"), "w");
    fputs("{\"prompt\":\"one\",\"completion\":\"two\"}\n{\"prompt\":\"two\",\"completion\":\"three\"}\n", file);
    fclose(file);
    run(&folder, "usual", &want);
    assert_true(want.n_bytes > 0);
    for (size_t i = 0; i < sizeof roundings / sizeof *roundings; i++) {
        snprintf(name, sizeof name, "rounding-%zu", i);
        fesetround(roundings[i]);
        flush_denormals(true);
        run(&folder, name, &got);
        const int after = fegetround();
#if defined(__x86_64__)
        const bool flushed = (_mm_getcsr() & 0x8040u) == 0x8040u;
#else
        const bool flushed = true;
#endif
        flush_denormals(false);
        fesetround(FE_TONEAREST);
        same(&got, &want);
        assert_int_equal(after, roundings[i]);
        assert_true(flushed);
    }
    fixture_remove(&folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(results__do_not_depend_on_the_callers_rounding)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
