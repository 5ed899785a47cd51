/* The remote backend against a small server on the loopback address, one process a test. */
#include "loopback.h"
#include "role/backend.h"
#include "base/clock.h"
#include "base/json.h"

static const chat_message question = {"user", "What is 2 + 2?"};
static const uint64_t seeds[] = {11, 22, 33, 44};

static backend_request ask(const char *id, size_t n_samples) {
    return (backend_request){.id = id,
                             .role = "critic",
                             .messages = &question,
                             .n_messages = 1,
                             .n_samples = n_samples,
                             .seeds = seeds,
                             .sampling = {.temperature = 0.5f, .top_p = 1, .max_tokens = 20}};
}

static backend_remote_options quick(const server *s) {
    return (backend_remote_options){.url = s->url,
                                    .model = "m",
                                    .timeout_seconds = 5,
                                    .max_retries = 2,
                                    .backoff_seconds = 0.01};
}

/* One request of one sample; its text or, after a failure, the sentence (new). */
static agon_status run_one(const backend_remote_options *o, char **text) {
    agon_ctx *ctx = test_ctx(1, NULL);
    backend *b = NULL;
    assert_ok(ctx, backend_remote_new(ctx, o, &b));
    backend_request q = ask("q1", 1);
    backend_response r;
    agon_status s = backend_run(ctx, b, &q, 1, &r);
    *text = strdup(s ? agon_error(ctx) : r.state == BACKEND_FAILED ? r.error : r.completions[0].text);
    bool refused = !s && r.state == BACKEND_FAILED; /* by its own fault: the server is there */
    if (!s)
        backend_response_free(&r);
    if (refused)
        s = AGON_EREFUSED;
    backend_free(b);
    agon_ctx_free(ctx);
    return s;
}

/* ---- handlers ----------------------------------------------------------------- */

static void always_good(int fd, int i, const char *request) {
    (void)i;
    (void)request;
    good(fd, "four");
}

static void by_seed(int fd, int i, const char *request) {
    (void)i;
    char text[32];
    const char *seed = strstr(request, "\"seed\":");
    snprintf(text, sizeof text, "seed %ld", seed ? atol(seed + 7) : -1);
    good(fd, text);
}

static void busy_once(int fd, int i, const char *request) {
    (void)request;
    if (i == 0)
        reply(fd, 429, "Retry-After: 1\r\n", "{}");
    else
        good(fd, "four");
}

static void busy_for_days(int fd, int i, const char *request) {
    (void)i;
    (void)request;
    reply(fd, 429, "Retry-After: 999999\r\n", "{}");
}

static void always_500(int fd, int i, const char *request) {
    (void)i;
    (void)request;
    reply(fd, 500, "", "{\"error\":\"on fire\"}");
}

static void unauthorised(int fd, int i, const char *request) {
    (void)i;
    (void)request;
    reply(fd, 401, "", "{\"error\":\"bad key sk-very-secret\"}");
}

static void silent(int fd, int i, const char *request) {
    (void)fd;
    (void)i;
    (void)request;
    sleep(30);
}

static void garbage(int fd, int i, const char *request) {
    (void)request;
    static const char *const bodies[] = {"<html>hello</html>", "{\"choices\":[]}",
                                         "{\"choices\":[{\"message\":{\"content\":5}}]}"};
    reply(fd, 200, "", bodies[i % 3]);
}

static void garbage_then_good(int fd, int i, const char *request) {
    if (i < 2)
        garbage(fd, i, request);
    else
        good(fd, "four");
}

static void oversized(int fd, int i, const char *request) {
    (void)i;
    (void)request;
    static char block[1 << 16];
    memset(block, 'x', sizeof block);
    const char *head = "HTTP/1.1 200 X\r\nConnection: close\r\n\r\n";
    send_all(fd, head, strlen(head));
    for (int k = 0; k < 400; k++) /* 25 MiB */
        send_all(fd, block, sizeof block);
}

static void dropped_then_good(int fd, int i, const char *request) {
    (void)request;
    if (i > 0)
        good(fd, "four");
}

static void elsewhere(int fd, int i, const char *request) {
    (void)i;
    (void)request;
    reply(fd, 302, "Location: /v1/other\r\n", "");
}

static void second_sample_fails(int fd, int i, const char *request) {
    (void)i;
    if (strstr(request, "\"seed\":22"))
        reply(fd, 400, "", "{\"error\":\"no\"}");
    else
        good(fd, "four");
}

/* ---- tests -------------------------------------------------------------------- */

static void remote__answers_and_counts_tokens(void **state) {
    (void)state;
    server s = server_start(always_good);
    backend_remote_options o = quick(&s);
    agon_ctx *ctx = test_ctx(1, NULL);
    backend *b = NULL;
    assert_ok(ctx, backend_remote_new(ctx, &o, &b));
    backend_request q = ask("q1", 1);
    backend_response r;
    assert_ok(ctx, backend_run(ctx, b, &q, 1, &r));
    assert_string_equal(r.completions[0].text, "four");
    assert_true(r.n_prompt_tokens == 7 && r.n_completion_tokens == 3 &&
                r.completions[0].finish == FINISH_STOP);
    assert_false(backend_reproducible(b));
    const char *sent = s.seen->requests[0];
    assert_true(!strncmp(sent, "POST /v1/chat/completions ", 26));
    assert_null(strcasestr(sent, "authorization:"));
    assert_non_null(strstr(sent, "\"max_tokens\":20"));
    assert_non_null(strstr(sent, "\"content\":\"What is 2 + 2?\""));
    backend_response_free(&r);
    backend_free(b);
    agon_ctx_free(ctx);
    server_stop(&s);
}

static void remote__each_sample_has_its_seed(void **state) {
    (void)state;
    server s = server_start(by_seed);
    backend_remote_options o = quick(&s);
    agon_ctx *ctx = test_ctx(1, NULL);
    backend *b = NULL;
    assert_ok(ctx, backend_remote_new(ctx, &o, &b));
    backend_request q[] = {ask("q1", 4), ask("q2", 2)};
    backend_response r[2];
    assert_ok(ctx, backend_run(ctx, b, q, 2, r));
    assert_string_equal(r[0].completions[0].text, "seed 11");
    assert_string_equal(r[0].completions[3].text, "seed 44");
    assert_string_equal(r[1].completions[1].text, "seed 22");
    assert_int_equal(s.seen->n, 6);
    backend_response_free(&r[0]);
    backend_response_free(&r[1]);
    backend_free(b);
    agon_ctx_free(ctx);
    server_stop(&s);
}

static void remote__waits_as_long_as_retry_after_says(void **state) {
    (void)state;
    server s = server_start(busy_once);
    backend_remote_options o = quick(&s);
    char *text;
    double start = monotonic_seconds();
    assert_int_equal(run_one(&o, &text), AGON_OK);
    assert_string_equal(text, "four");
    assert_true(monotonic_seconds() - start >= 0.95); /* the backoff alone would be 10 ms */
    assert_int_equal(s.seen->n, 2);
    free(text);
    server_stop(&s);
}

/* The user's time for an answer bounds what a server may ask for, and the sentence says what it asked. */
static void remote__waits_no_longer_than_for_an_answer(void **state) {
    (void)state;
    server s = server_start(busy_for_days);
    backend_remote_options o = quick(&s);
    o.timeout_seconds = 1;
    o.max_retries = 1;
    char *text;
    double start = monotonic_seconds();
    assert_int_equal(run_one(&o, &text), AGON_EREMOTE);
    assert_true(monotonic_seconds() - start < 100);
    if (!strstr(text, "status 429") || !strstr(text, "asks to be left for 999999 s, longer than the time for an answer (1 s)"))
        fail_msg("%s", text);
    assert_int_equal(s.seen->n, 2);
    free(text);
    server_stop(&s);
}

static void expect_failure(handler handle, agon_status status, int tries, const char *words) {
    server s = server_start(handle);
    backend_remote_options o = quick(&s);
    char *text;
    assert_int_equal(run_one(&o, &text), status);
    if (!strstr(text, s.url) || !strstr(text, words))
        fail_msg("\"%s\" lacks the url or \"%s\"", text, words);
    assert_int_equal(s.seen->n, tries);
    free(text);
    server_stop(&s);
}

static void remote__server_errors_are_tried_again_then_told(void **state) {
    (void)state;
    expect_failure(always_500, AGON_EREMOTE, 3, "status 500");
    expect_failure(always_500, AGON_EREMOTE, 3, "on fire");
}

static void remote__answers_that_are_none_are_tried_again_then_told(void **state) {
    (void)state;
    expect_failure(garbage, AGON_EREFUSED, 3, "no chat completion");
    server s = server_start(garbage_then_good);
    backend_remote_options o = quick(&s);
    char *text;
    assert_int_equal(run_one(&o, &text), AGON_OK);
    free(text);
    server_stop(&s);
}

static void remote__oversized_answers_are_cut_off(void **state) {
    (void)state;
    expect_failure(oversized, AGON_EREFUSED, 1, "longer than 8 MiB");
}

static void remote__redirects_are_not_followed(void **state) {
    (void)state;
    expect_failure(elsewhere, AGON_EREMOTE, 1, "status 302");
}

static void remote__broken_connections_are_tried_again(void **state) {
    (void)state;
    server s = server_start(dropped_then_good);
    backend_remote_options o = quick(&s);
    char *text;
    assert_int_equal(run_one(&o, &text), AGON_OK);
    assert_int_equal(s.seen->n, 2);
    free(text);
    server_stop(&s);
}

static void remote__silence_times_out(void **state) {
    (void)state;
    server s = server_start(silent);
    backend_remote_options o = quick(&s);
    o.timeout_seconds = 0.3;
    o.max_retries = -1;
    char *text;
    double start = monotonic_seconds();
    assert_int_equal(run_one(&o, &text), AGON_EREMOTE);
    assert_true(monotonic_seconds() - start < 20); /* the server would be silent for 30 */
    assert_non_null(strstr(text, s.url));
    free(text);
    server_stop(&s);
    /* Nobody there at all. */
    assert_int_equal(run_one(&o, &text), AGON_EREMOTE);
    free(text);
}

static void remote__key_goes_to_the_server_and_nowhere_else(void **state) {
    (void)state;
    setenv("AGON_TEST_KEY", "sk-very-secret", 1);
    server s = server_start(unauthorised);
    backend_remote_options o = quick(&s);
    o.key_env = "AGON_TEST_KEY";
    char *text;
    assert_int_equal(run_one(&o, &text), AGON_EREMOTE);
    assert_non_null(strstr(s.seen->requests[0], "Authorization: Bearer sk-very-secret\r\n"));
    assert_non_null(strstr(text, "status 401"));
    assert_null(strstr(text, "sk-very-secret")); /* even where the server shows it */
    assert_int_equal(s.seen->n, 1);
    free(text);
    server_stop(&s);
    unsetenv("AGON_TEST_KEY");
}

static void remote__one_failed_request_does_not_fail_the_others(void **state) {
    (void)state;
    server s = server_start(second_sample_fails);
    backend_remote_options o = quick(&s);
    o.max_parallel = 2;
    agon_ctx *ctx = test_ctx(1, NULL);
    backend *b = NULL;
    assert_ok(ctx, backend_remote_new(ctx, &o, &b));
    backend_request q[] = {ask("q1", 3), ask("q2", 1)};
    backend_response r[2];
    assert_ok(ctx, backend_run(ctx, b, q, 2, r));
    assert_int_equal(r[0].state, BACKEND_FAILED);
    assert_non_null(strstr(r[0].error, "status 400"));
    assert_int_equal(r[1].state, BACKEND_DONE);
    assert_string_equal(r[1].completions[0].text, "four");
    backend_response_free(&r[0]);
    backend_response_free(&r[1]);
    backend_free(b);
    agon_ctx_free(ctx);
    server_stop(&s);
}

static void remote__rate_limit_spaces_requests(void **state) {
    (void)state;
    server s = server_start(always_good);
    backend_remote_options o = quick(&s);
    o.per_minute = 300; /* one in 0.2 s */
    agon_ctx *ctx = test_ctx(1, NULL);
    backend *b = NULL;
    assert_ok(ctx, backend_remote_new(ctx, &o, &b));
    backend_request q = ask("q1", 4);
    backend_response r;
    double start = monotonic_seconds();
    assert_ok(ctx, backend_run(ctx, b, &q, 1, &r));
    assert_true(monotonic_seconds() - start >= 0.59);
    backend_response_free(&r);
    backend_free(b);
    agon_ctx_free(ctx);
    server_stop(&s);
}

static void remote__bad_settings_are_refused(void **state) {
    (void)state;
    static const char *const urls[] = {
        NULL, "", "ftp://host/v1", "host", "https://user:pass@host/v1", "https://host/v1?key=1", "https://host/v1/chat/completions", "https://host/v1/chat/completions/"};
    agon_ctx *ctx = test_ctx(1, NULL);
    backend *b = NULL;
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        backend_remote_options o = {.url = urls[i], .model = "m"};
        assert_int_equal(backend_remote_new(ctx, &o, &b), AGON_EINVAL);
        assert_null(strstr(agon_error(ctx), "pass@"));
    }
    backend_remote_options o = {
        .url = "https://host/v1", .model = "m", .key_env = "AGON_NO_SUCH_KEY"};
    assert_int_equal(backend_remote_new(ctx, &o, &b), AGON_ENOTFOUND);
    assert_non_null(strstr(agon_error(ctx), "AGON_NO_SUCH_KEY"));
    setenv("AGON_TEST_KEY", "a\r\nX-Evil: 1", 1);
    o.key_env = "AGON_TEST_KEY";
    assert_int_equal(backend_remote_new(ctx, &o, &b), AGON_EINVAL);
    unsetenv("AGON_TEST_KEY");
    backend_remote_options nobody = {.url = "https://host/v1"};
    assert_int_equal(backend_remote_new(ctx, &nobody, &b), AGON_EINVAL);
    backend_remote_options fine = {.url = "https://host/v1/", .model = "m"};
    assert_ok(ctx, backend_remote_new(ctx, &fine, &b));
    assert_string_equal(backend_name(b), "remote https://host/v1 m");
    const char *const yes = "Yes";
    backend_request score = {.id = "s", .prompt = "p", .continuations = &yes, .n_continuations = 1};
    backend_response r;
    assert_int_equal(backend_run(ctx, b, &score, 1, &r), AGON_EUNSUPPORTED);
    backend_free(b);
    agon_ctx_free(ctx);
}

int main(void) {
    setenv("no_proxy", "127.0.0.1", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(remote__answers_and_counts_tokens),
        cmocka_unit_test(remote__each_sample_has_its_seed),
        cmocka_unit_test(remote__waits_as_long_as_retry_after_says),
        cmocka_unit_test(remote__waits_no_longer_than_for_an_answer),
        cmocka_unit_test(remote__server_errors_are_tried_again_then_told),
        cmocka_unit_test(remote__answers_that_are_none_are_tried_again_then_told),
        cmocka_unit_test(remote__oversized_answers_are_cut_off),
        cmocka_unit_test(remote__redirects_are_not_followed),
        cmocka_unit_test(remote__broken_connections_are_tried_again),
        cmocka_unit_test(remote__silence_times_out),
        cmocka_unit_test(remote__key_goes_to_the_server_and_nowhere_else),
        cmocka_unit_test(remote__one_failed_request_does_not_fail_the_others),
        cmocka_unit_test(remote__rate_limit_spaces_requests),
        cmocka_unit_test(remote__bad_settings_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
