/* Noise injection against training_vectors.json: noise.injection; noise matched to a weak supervisor's. */
#include "train/noise.h"
#include "training_vectors.h"

static void expect_flags(json_t *v, const char *key, const bool *got) {
    json_t *want = get(v, "expected", key);
    for (size_t i = 0; i < json_array_size(want); i++)
        assert_int_equal(got[i], json_number_value(at(want, i)) != 0);
}

static void expect_tokens(json_t *v, const char *key, const int32_t *got) {
    json_t *want = get(v, "expected", key);
    for (size_t i = 0; i < json_array_size(want); i++)
        assert_int_equal(got[i], (int32_t)json_number_value(at(want, i)));
}

static void injection__agrees_with_the_vector(void **state) {
    (void)state;
    json_t *root, *v = test_vector("noise.injection", &root);
    bool flags[12];
    double tokens[8];
    int32_t noised[8];
    size_t vocabulary = (size_t)number(v, "inputs", "vocab");
    noise_flips(2024, number(v, "inputs", "rate_response"), (size_t)number(v, "inputs", "n_pairs"), flags);
    expect_flags(v, "flips", flags);
    numbers(get(v, "inputs", "tokens"), tokens, 8);
    for (size_t i = 0; i < 8; i++)
        noised[i] = (int32_t)tokens[i];
    noise_tokens(2025, number(v, "inputs", "rate_token"), vocabulary, noised, 8, flags);
    expect_flags(v, "token_mask", flags);
    expect_tokens(v, "token_noised", noised);
    for (size_t i = 0; i < 8; i++)
        noised[i] = (int32_t)tokens[i];
    noise_spans(2029, number(v, "inputs", "rate_span_start"), number(v, "inputs", "span_p"),
                (size_t)number(v, "inputs", "span_max"), vocabulary, noised, 8, flags);
    expect_flags(v, "span_mask", flags);
    expect_tokens(v, "span_noised", noised);
    json_decref(root);
}

/* The stated rate is met, and no token is replaced by itself. */
static void injection__keeps_its_rate(void **state) {
    (void)state;
    enum { N = 20000 };
    static int32_t tokens[N];
    static bool replaced[N];
    size_t count = 0;
    for (size_t i = 0; i < N; i++)
        tokens[i] = (int32_t)(i % 7);
    noise_tokens(1, 0.3, 7, tokens, N, replaced);
    for (size_t i = 0; i < N; i++) {
        count += replaced[i];
        assert_true(replaced[i] == (tokens[i] != (int32_t)(i % 7)));
        assert_in_range(tokens[i], 0, 6);
    }
    assert_close((double)count / N, 0.3, 0.015);
}

static void matched__keeps_every_class_count(void **state) {
    agon_ctx *ctx = *state;
    enum { N = 600, K = 3 };
    static int truth[N], weak[N], out[N], again[N];
    size_t before[K][K] = {{0}}, after[K][K] = {{0}}, moved = 0;
    for (size_t i = 0; i < N; i++) { /* errors with a reason: on every fifth item */
        truth[i] = (int)(i % K);
        weak[i] = i % 5 == 0 ? (truth[i] + 1) % K : truth[i];
    }
    assert_ok(ctx, noise_matched(ctx, 6, weak, truth, N, K, out));
    assert_ok(ctx, noise_matched(ctx, 6, weak, truth, N, K, again));
    assert_memory_equal(out, again, sizeof out);
    for (size_t i = 0; i < N; i++) {
        before[truth[i]][weak[i]]++, after[truth[i]][out[i]]++;
        moved += i % 5 != 0 && out[i] != truth[i];
    }
    assert_memory_equal(before, after, sizeof before);
    assert_true(moved > 60); /* errors now fall anywhere */
    weak[4] = 3;
    assert_int_equal(noise_matched(ctx, 6, weak, truth, N, K, out), AGON_EINVAL);
    assert_non_null(strstr(agon_error(ctx), "item 4"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(injection__agrees_with_the_vector),
        cmocka_unit_test(injection__keeps_its_rate),
        cmocka_unit_test(matched__keeps_every_class_count),
    };
    return cmocka_run_group_tests(tests, test_ctx_open, test_ctx_close);
}
