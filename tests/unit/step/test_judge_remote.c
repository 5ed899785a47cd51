/* A remote critic's confidence: the share of Yes among several answers, or one answer that is always sure. */
#include "actors.h"
#include "loopback.h"

/* Yes to three of five. */
static void three_of_five(int fd, int i, const char *request) {
    (void)request;
    good(fd, i % 5 < 3 ? "Looks right. Correct: [[Yes]]" : "A digit is missing. Correct: [[No]]");
}

static double judged(size_t votes, const char *path, size_t *n_requests, bool *sampled) {
    server s = server_start(three_of_five); /* before there is a lock it would inherit */
    stand *x = stand_new(NULL);
    const backend_remote_options o = {.url = s.url, .model = "m", .timeout_seconds = 60, .max_retries = -1, .max_parallel = 1};
    static const char *const texts[] = {"19"};
    static const size_t queries[] = {0}, which[] = {0};
    backend *b = NULL;
    assert_ok(x->ctx, backend_remote_new(x->ctx, &o, &b));
    x->actors.critic = b;
    x->actors.critic_votes = votes;
    stand_draw(x, "q", "arithmetic", "two_digit_sum", 1);
    stand_answers(x, "answers", queries, texts, 1);
    assert_ok(x->ctx, judge_answers(&x->actors, path, &x->queries, &x->answers, which, 1, "base"));
    *n_requests = (size_t)s.seen->n;
    const char *temperature = strstr(s.seen->requests[0], "\"temperature\":");
    assert_non_null(temperature);
    *sampled = strtod(strchr(temperature, ':') + 1, NULL) > 0.6;
    const double p = x->answers.items[0].p_raw;
    assert_int_equal(stand_count(x, "SELECT count(*) FROM step_item WHERE path = 'judge' AND json_extract(input, '$.votes') = 5"), votes == 5);
    backend_free(b);
    server_stop(&s);
    stand_free(x);
    return p;
}

static void judge__remote__votes(void **state) {
    (void)state;
    size_t n = 0;
    bool sampled = false;
    assert_close(judged(5, "judge", &n, &sampled), 0.6, 1e-12);
    assert_int_equal(n, 5);
    assert_true(sampled);
    for (size_t votes = 0; votes < 2; votes++) { /* one answer, and as it was before there were votes */
        assert_close(judged(votes, "judge", &n, &sampled), 1, 0);
        assert_int_equal(n, 1);
        assert_false(sampled);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(judge__remote__votes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
