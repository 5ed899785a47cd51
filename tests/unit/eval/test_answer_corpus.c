/* Hostile answers of models, servers and programs without a fuzzer, see run_corpus.h. */
#include "../../fuzz/answer_targets.h"
#include "../../fuzz/run_corpus.h"

static void verifiers__survive_hostile_responses(void **state) {
    (void)state;
    run_corpus("fuzz_response", fuzz_response, NULL, 2000, 0);
}

static void rewordings__survive_hostile_bytes(void **state) {
    (void)state;
    run_corpus("fuzz_rewording", fuzz_rewording, NULL, 2000, 0);
}

static void ifeval__survives_hostile_bytes(void **state) {
    (void)state;
    run_corpus("fuzz_ifeval", fuzz_ifeval, NULL, 2000, 0);
}

static void backends__survive_hostile_answers(void **state) {
    (void)state;
    run_corpus("fuzz_answer", fuzz_answer, NULL, 2000, 0);
}

static void claims__survive_hostile_critiques(void **state) {
    (void)state;
    run_corpus("fuzz_claims", fuzz_claims, NULL, 2000, 0);
}

/* As long as a critique is read and longer, of one kind of piece: no check may take time that grows faster than the text. */
static void claims__read_long_critiques_in_time(void **state) {
    static const char *const pieces[] = {"(", "1+", "'a ", "\"a\" ", "<q>", "<q>a</q>", "5 is not ", "says 5, but 6 is 7; ", "it is wrong. ", "the sum of ", "twenty ",
                                         "has 5 words, but ", "\xff", "\xe2\x80\x9c", "`", " but ", "no comma ", "1/", "9999999999999999999", "not ", "should be 5 "};
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    size_t n;
    (void)fuzz_queries(ctx, &n);
    uint8_t *data = malloc(2 + 3 * CRITIQUE_READ);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        for (size_t q = 1; q < 2 * n; q += 61) {
            const size_t m = strlen(pieces[i]);
            data[0] = (uint8_t)q;
            for (size_t at = 0; at < 3 * CRITIQUE_READ; at++)
                data[1 + at] = at == 2 * CRITIQUE_READ ? '|' : (uint8_t)pieces[i][at % m];
            assert_ok(ctx, fuzz_claims(ctx, data, 1 + 3 * CRITIQUE_READ));
        }
    free(data);
    agon_ctx_free(ctx);
}

/* As long as a verifier reads, and of one kind of piece: no verifier may take time that grows faster than the text. Where one does, this runs
 * into the test's time limit. */
static void verifiers__read_long_responses_in_one_pass(void **state) {
    static const char *const begins[] = {"", "89. ", "the largest number is 5 ", "a"};
    static const char *const pieces[] = {"\"a\" ", "5 ", "5,", "5>", "the ", "it-", "!", "[!]", "*!* ", "- !\n", "1", "1+", "\"", "or ", "is the largest 5 ",
                                         "\xff", "<q></q>", "twenty-", "("};
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    size_t n;
    (void)fuzz_queries(ctx, &n);
    uint8_t *data = malloc(1 + TASK_RESPONSE_MAX);
    for (size_t q = 0; q < n; q++)
        for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
            const char *begin = begins[(q + i) % 4];
            size_t size = TASK_RESPONSE_MAX, at = strlen(begin), m = strlen(pieces[i]);
            data[0] = (uint8_t)q;
            memcpy(data + 1, begin, at);
            for (; at < size; at++)
                data[1 + at] = (uint8_t)pieces[i][at % m];
            data[size] = 'b';
            assert_ok(ctx, fuzz_response(ctx, data, 1 + size));
        }
    free(data);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verifiers__survive_hostile_responses),
        cmocka_unit_test(rewordings__survive_hostile_bytes),
        cmocka_unit_test(claims__survive_hostile_critiques),
        cmocka_unit_test(claims__read_long_critiques_in_time),
        cmocka_unit_test(ifeval__survives_hostile_bytes),
        cmocka_unit_test(backends__survive_hostile_answers),
        cmocka_unit_test(verifiers__read_long_responses_in_one_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
