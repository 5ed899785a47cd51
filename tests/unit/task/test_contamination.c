/* Evaluation items in training texts: 13-grams, 8-grams for short items, whole tiny items, identities. */
#include "vectors.h"
#include "task/task.h"

static void check_overlap(const json_t *c, double tol) {
    agon_ctx *ctx = test_ctx(1, NULL);
    const json_t *list = json_object_get(c, "corpus");
    const char *corpus[16];
    size_t n = json_array_size(list), hits = 0, n_ngrams = 0;
    double coverage = -1;
    for (size_t i = 0; i < n; i++)
        corpus[i] = json_string_value(json_array_get(list, i));
    assert_ok(ctx, ngram_overlap(ctx, json_string_value(json_object_get(c, "test")), corpus, n, vectors_count(c, "n"), &hits,
                                 &n_ngrams, &coverage));
    assert_int_equal(hits, vectors_count(c, "hits"));
    assert_int_equal(n_ngrams, vectors_count(c, "ngrams"));
    assert_close(coverage, vectors_number(c, "token_coverage"), tol);
    agon_ctx_free(ctx);
}

static void test_overlap(void **state) {
    (void)state;
    vectors_each("ngram_overlap", check_overlap);
    agon_ctx *ctx = test_ctx(1, NULL);
    size_t hits = 9, n_ngrams = 9;
    double coverage = 9;
    assert_ok(ctx, ngram_overlap(ctx, "one two", NULL, 0, 3, &hits, &n_ngrams, &coverage));
    assert_int_equal(hits + n_ngrams, 0);
    assert_close(coverage, 0, 0);
    assert_int_equal(ngram_overlap(ctx, "a", NULL, 0, 0, &hits, &n_ngrams, &coverage), AGON_EINVAL);
    agon_ctx_free(ctx);
}

/* Words first .. first + n - 1. */
static const char *words_of(int first, int n, char *out) {
    out[0] = 0;
    for (int i = first; i < first + n; i++)
        sprintf(out + strlen(out), "word%d ", i);
    return out;
}

static bool hits(agon_ctx *ctx, const contamination *c, const char *before, const char *middle) {
    char text[2048];
    bool hit = false;
    snprintf(text, sizeof text, "%s %s and so on", before, middle);
    assert_ok(ctx, contamination_has_text(ctx, c, text, &hit));
    return hit;
}

static void test_texts(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    contamination *c = NULL;
    char text[1024];
    bool hit = true;
    assert_ok(ctx, contamination_new(ctx, &c));
    assert_false(hits(ctx, c, "", words_of(0, 30, text)));
    assert_ok(ctx, contamination_add_text(ctx, c, words_of(0, 30, text)));   /* long: 13-grams */
    assert_ok(ctx, contamination_add_text(ctx, c, words_of(100, 25, text))); /* short: 8-grams */
    assert_ok(ctx, contamination_add_text(ctx, c, "Yes it is."));            /* tiny: the whole text */
    assert_true(hits(ctx, c, "before", words_of(5, 13, text)));
    assert_false(hits(ctx, c, "before", words_of(5, 12, text)));
    assert_true(hits(ctx, c, "before", words_of(110, 8, text)));
    assert_false(hits(ctx, c, "before", words_of(110, 7, text)));
    assert_false(hits(ctx, c, "He said:", "Yes it is."));
    assert_ok(ctx, contamination_has_text(ctx, c, " yes  IT is.", &hit));
    assert_true(hit);
    assert_ok(ctx, contamination_has_text(ctx, c, "", &hit));
    assert_false(hit);
    contamination_free(c);
    contamination_free(NULL);
    static const char *const pairs[][2] = {{"What is 17 * 23?", "what is 17*23"}, {"What is the capital of France?", "What is the capital of France"}};
    for (size_t k = 0; k < 4; k++) { /* as now, and as in runs begun before rules 13 */
        assert_ok(ctx, contamination_new(ctx, &c));
        if (k >= 2)
            contamination_compare_tokens(c);
        assert_ok(ctx, contamination_add_text(ctx, c, pairs[k % 2][0]));
        assert_ok(ctx, contamination_has_text(ctx, c, pairs[k % 2][1], &hit));
        assert_int_equal(hit, k < 2);
        assert_ok(ctx, contamination_has_text(ctx, c, "What is it?", &hit));
        assert_false(hit);
        contamination_free(c);
    }
    agon_ctx_free(ctx);
}

static void test_queries(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    contamination *c = NULL;
    task_query a = {0}, reworded = {0}, other = {0};
    bool hit = false;
    assert_ok(ctx, contamination_new(ctx, &c));
    assert_ok(ctx, task_generate(ctx, 2, 5, PERTURBATION_NONE, &a));
    assert_ok(ctx, task_generate(ctx, 2, 5, PERTURBATION_DISTRACTOR, &reworded));
    assert_ok(ctx, task_generate(ctx, 2, 6, PERTURBATION_NONE, &other));
    assert_ok(ctx, contamination_add_query(ctx, c, &a));
    assert_ok(ctx, contamination_has_query(ctx, c, &reworded, &hit));
    assert_true(hit);
    assert_ok(ctx, contamination_has_query(ctx, c, &other, &hit));
    assert_false(hit);
    char *identity = task_identity(&reworded), *another = task_identity(&other);
    assert_true(contamination_has_identity(c, identity) && !contamination_has_identity(c, another));
    free(identity);
    free(another);
    task_query_free(&a);
    task_query_free(&reworded);
    task_query_free(&other);
    contamination_free(c);
    agon_ctx_free(ctx);
}

/* The whole wording of a generated query, but for case and blanks, is an evaluation item; templates are shared by design. */
static void test_wordings(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    static const char *const texts[] = {"What is 3 + 4?", " what\tis 3+4 ?\n", "What is 3 - 4?", "What is 34?", "So, what is 3 + 4?", "What is 3 + 4? Say why."};
    for (int alone = 0; alone < 2; alone++) { /* as now, and as in runs begun before rules 21 */
        contamination *c = NULL;
        const task_query q = {.family = "arithmetic", .cell = "one_digit_sum", .text = (char *)texts[0], .parameters = json_pack("{s:i,s:i}", "a", 3, "b", 4)};
        assert_ok(ctx, contamination_new(ctx, &c));
        if (alone)
            contamination_know_tasks_alone(c);
        assert_ok(ctx, contamination_add_query(ctx, c, &q));
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
            bool hit = false;
            assert_ok(ctx, contamination_has_text(ctx, c, texts[i], &hit));
            if (hit != (i < 2 && !alone))
                fail_msg("'%s' is %sheld out", texts[i], hit ? "" : "not ");
        }
        json_decref(q.parameters);
        contamination_free(c);
    }
    agon_ctx_free(ctx);
}

static void test_user_queries(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    contamination *c = NULL;
    task_query a = {0}, b = {0};
    bool hit = false;
    const char *text = "Which of the seven hills of the city of Rome is the highest one?";
    json_t *first = json_pack("{s:s,s:s}", "query", text, "answer", "Quirinal"), *second = json_pack("{s:s}", "query", text);
    assert_ok(ctx, contamination_new(ctx, &c));
    assert_ok(ctx, task_user_query(ctx, "row 1", first, &a));
    assert_ok(ctx, task_user_query(ctx, "row 2", second, &b));
    assert_ok(ctx, contamination_add_query(ctx, c, &a));
    assert_ok(ctx, contamination_has_query(ctx, c, &b, &hit)); /* another row, the same text */
    assert_true(hit);
    task_query_free(&a);
    task_query_free(&b);
    json_decref(first);
    json_decref(second);
    contamination_free(c);
    agon_ctx_free(ctx);
}

/* Rows of one file under an instruction of 15 words: what they share is no trace of a held-out one, what only some share is. */
static void test_template(void **state) {
    (void)state;
    static const char instruction[] = "Say whether the following review of a customer is positive or negative, in one word. Review:";
    enum { N = 40 };
    char rows[N][400];
    const char *texts[N];
    for (int i = 0; i < N; i++) {
        snprintf(rows[i], sizeof rows[i], "%s The thing%d was number%d and its maker%d never did come back to say.%d", instruction, i, 7 * i, 3 * i, i);
        texts[i] = rows[i];
    }
    agon_ctx *ctx = test_ctx(1, NULL);
    for (int mended = 0; mended < 2; mended++) {
        contamination *c = NULL;
        bool hit = false;
        assert_ok(ctx, contamination_new(ctx, &c));
        if (mended)
            assert_ok(ctx, contamination_leave_template(ctx, c, texts, N));
        task_query q = {0};
        json_t *row = json_pack("{s:s,s:s}", "query", rows[0], "answer", "positive");
        assert_ok(ctx, task_user_query(ctx, "row 1", row, &q));
        assert_ok(ctx, contamination_add_query(ctx, c, &q));
        task_query_free(&q);
        json_decref(row);
        assert_ok(ctx, contamination_has_text(ctx, c, rows[1], &hit));
        assert_true(hit == !mended);
        char start[400]; /* the instruction and a few words more are not enough */
        snprintf(start, sizeof start, "%s The thing0 was number0 again.", instruction);
        assert_ok(ctx, contamination_has_text(ctx, c, start, &hit));
        assert_true(hit == !mended);
        assert_ok(ctx, contamination_has_text(ctx, c, rows[0], &hit));
        assert_true(hit);
        assert_ok(ctx, contamination_has_text(ctx, c, "He wrote: the thing0 was number0 and its maker0 never did come back to say.0 He did.", &hit));
        assert_true(hit);
        assert_ok(ctx, contamination_add_text(ctx, c, instruction)); /* an evaluation text of others keeps its words */
        assert_ok(ctx, contamination_has_text(ctx, c, rows[1], &hit));
        assert_true(hit);
        contamination_free(c);
    }
    agon_ctx_free(ctx);
}

/* The same under an instruction of 300 words. */
static void test_long_template(void **state) {
    (void)state;
    enum { N = 30 };
    static char rows[N][4000];
    const char *texts[N];
    char start[3500];
    words_of(0, 300, start);
    for (int i = 0; i < N; i++) {
        snprintf(rows[i], sizeof rows[i], "%s what%d is%d it%d that%d we%d ask%d of%d you%d here%d", start, i, i, i, i, i, i, i, i, i);
        texts[i] = rows[i];
    }
    agon_ctx *ctx = test_ctx(1, NULL);
    contamination *c = NULL;
    assert_ok(ctx, contamination_new(ctx, &c));
    assert_ok(ctx, contamination_leave_template(ctx, c, texts, N));
    for (int i = 0; i < N / 2; i++) {
        task_query q = {0};
        json_t *row = json_pack("{s:s,s:s}", "query", rows[i], "answer", "yes");
        assert_ok(ctx, task_user_query(ctx, "a row", row, &q));
        assert_ok(ctx, contamination_add_query(ctx, c, &q));
        task_query_free(&q);
        json_decref(row);
    }
    for (int i = 0; i < N; i++) {
        bool hit = false;
        assert_ok(ctx, contamination_has_text(ctx, c, rows[i], &hit));
        assert_true(hit == (i < N / 2));
    }
    contamination_free(c);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overlap),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_queries),
        cmocka_unit_test(test_wordings),
        cmocka_unit_test(test_user_queries),
        cmocka_unit_test(test_template),
        cmocka_unit_test(test_long_template),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
