/* Normalisation, exact and near duplicates, Jaccard similarity. */
#include "vectors.h"
#include "base/random.h"
#include "task/task.h"

static void test_normalise(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    static const struct {
        const char *text, *normal;
    } cases[] = {
        {"  The\tSea \n is\u00a0CALM. ", "the sea is calm."},
        {"\uff21\uff22 \ufb01ne \u2460", "ab fine 1"},   /* NFKC */
        {"e\u0301 \u00c9", "\u00e9 \u00e9"},             /* composed, lower case */
        {"a\xff\xc3", "a\ufffd\ufffd"},
        {"", ""},
        {" \n ", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *out = NULL;
        assert_ok(ctx, text_normalise(ctx, cases[i].text, &out));
        assert_string_equal(out, cases[i].normal);
        free(out);
    }
    agon_ctx_free(ctx);
}

static void check_similarity(const json_t *c, double tol) {
    agon_ctx *ctx = test_ctx(1, NULL);
    double j = -1;
    assert_ok(ctx, text_jaccard(ctx, json_string_value(json_object_get(c, "a")), json_string_value(json_object_get(c, "b")), 3, &j));
    assert_close(j, vectors_number(c, "jaccard3"), tol);
    agon_ctx_free(ctx);
}

static void test_jaccard(void **state) {
    (void)state;
    vectors_each("similarity", check_similarity);
    agon_ctx *ctx = test_ctx(1, NULL);
    double j = -1;
    assert_ok(ctx, text_jaccard(ctx, "The cat", "the  CAT", 3, &j)); /* shorter than n: one n-gram */
    assert_close(j, 1, 0);
    assert_ok(ctx, text_jaccard(ctx, "the cat", "", 3, &j));
    assert_close(j, 0, 0);
    assert_int_equal(text_jaccard(ctx, "a", "b", 0, &j), AGON_EINVAL);
    agon_ctx_free(ctx);
}

/* Thirty words w0 .. w29 from `seed`, the last `changed` of them others. */
static void text_of(uint64_t seed, int changed, char *out, size_t size) {
    rng r = rng_new(seed), other = rng_new(seed + 1000000);
    size_t used = 0;
    for (int i = 0; i < 30; i++)
        used += (size_t)snprintf(out + used, size - used, "w%llu ",
                                 (unsigned long long)rng_below(i >= 30 - changed ? &other : &r, 100000));
}

static void test_finds(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    dedup *d = NULL;
    char text[1024];
    size_t found = 0;
    enum { N = 300 };
    assert_ok(ctx, dedup_new(ctx, 0.8, &d));
    assert_ok(ctx, dedup_find(ctx, d, "anything", &found));
    assert_true(found == SIZE_MAX);
    for (uint64_t i = 0; i < N; i++) {
        text_of(i, 0, text, sizeof text);
        assert_ok(ctx, dedup_find(ctx, d, text, &found));
        assert_true(found == SIZE_MAX);
        assert_ok(ctx, dedup_add(ctx, d, text));
    }
    assert_int_equal(dedup_count(d), N);
    for (uint64_t i = 0; i < N; i++) {
        double j = 0;
        char changed[1024];
        text_of(i, 0, text, sizeof text);
        for (char *c = text; *c; c++)
            *c = *c == 'w' ? 'W' : *c;
        assert_ok(ctx, dedup_find(ctx, d, text, &found)); /* the same but for case */
        assert_int_equal(found, i);
        text_of(i, 2, changed, sizeof changed); /* 24 of 28 shingles of each shared: 24 / 28 */
        assert_ok(ctx, text_jaccard(ctx, text, changed, 5, &j));
        assert_close(j, 24.0 / 28, 1e-12);
        assert_ok(ctx, dedup_find(ctx, d, changed, &found));
        assert_int_equal(found, i);
        text_of(i, 3, changed, sizeof changed); /* 23 / 29 = 0.79: below the threshold */
        assert_ok(ctx, dedup_find(ctx, d, changed, &found));
        assert_true(found == SIZE_MAX);
    }
    dedup_free(d);
    dedup_free(NULL);
    assert_int_equal(dedup_new(ctx, 0, &d), AGON_EINVAL);
    assert_int_equal(dedup_new(ctx, NAN, &d), AGON_EINVAL);
    agon_ctx_free(ctx);
}

/* The earliest of several is named. */
static void test_finds_the_first(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    dedup *d = NULL;
    size_t found = 9;
    assert_ok(ctx, dedup_new(ctx, 0.8, &d));
    const char *texts[] = {"", "What is 3 + 4?", "what  is 3 + 4?", "What is 3 + 5?"};
    for (int i = 0; i < 4; i++)
        assert_ok(ctx, dedup_add(ctx, d, texts[i]));
    assert_ok(ctx, dedup_find(ctx, d, "WHAT IS 3 + 4?", &found));
    assert_int_equal(found, 1);
    assert_ok(ctx, dedup_find(ctx, d, "What is 3 + 5?", &found));
    assert_int_equal(found, 3);
    assert_ok(ctx, dedup_find(ctx, d, " ", &found));
    assert_int_equal(found, 0);
    assert_ok(ctx, dedup_find(ctx, d, "What is 3 + 6?", &found));
    assert_true(found == SIZE_MAX);
    dedup_free(d);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normalise),
        cmocka_unit_test(test_jaccard),
        cmocka_unit_test(test_finds),
        cmocka_unit_test(test_finds_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
