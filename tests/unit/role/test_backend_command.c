/* The command backend against small shell programs: good, out of order, slow, garbage, dying,
 * hanging with children. */
#include "test.h"
#include "role/backend.h"
#include "role/critic.h"
#include "role_program.h"
#include <signal.h>
#include <time.h>
#include <unistd.h>

enum { MANY = 40 };

typedef struct fixture {
    agon_ctx *ctx;
    backend *b;
    chat_message message;
    char ids[MANY][16];
    uint64_t seeds[2];
    backend_request requests[MANY];
    backend_response responses[MANY];
} fixture;

static fixture *setup(const char *program, double timeout) {
    fixture *f = calloc(1, sizeof *f);
    f->ctx = test_ctx(1, NULL);
    f->message = (chat_message){"user", "What is 2 + 2?\n\"quoted\""};
    f->seeds[0] = UINT64_MAX;
    assert_ok(f->ctx, backend_command_new(f->ctx, program, timeout, &f->b));
    for (int i = 0; i < MANY; i++) {
        snprintf(f->ids[i], sizeof f->ids[i], "item%d", i);
        f->requests[i] =
            (backend_request){.id = f->ids[i],
                              .role = "learner",
                              .messages = &f->message,
                              .n_messages = 1,
                              .n_samples = 1,
                              .seeds = f->seeds,
                              .sampling = {.temperature = 0.5f, .top_p = 1, .max_tokens = 9}};
    }
    return f;
}

static void teardown(fixture *f) {
    for (int i = 0; i < MANY; i++)
        backend_response_free(&f->responses[i]);
    backend_free(f->b);
    agon_ctx_free(f->ctx);
    free(f);
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#define ANSWER SAY("\\\"completions\\\":[\\\"re $id\\\"]")
#define GOOD EACH_LINE(ANSWER)

static void expect_all_answered(fixture *f, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char want[32];
        snprintf(want, sizeof want, "re %s", f->ids[i]);
        if (f->responses[i].state != BACKEND_DONE)
            fail_msg("%s: %s", f->ids[i], f->responses[i].error);
        assert_string_equal(f->responses[i].completions[0].text, want);
    }
}

static void command__answers_find_their_requests(void **state) {
    (void)state;
    fixture *f = setup(GOOD, 10);
    assert_ok(f->ctx, backend_run(f->ctx, f->b, f->requests, MANY, f->responses));
    expect_all_answered(f, MANY);
    assert_false(backend_reproducible(f->b));
    backend_command_report r;
    backend_command_get_report(f->b, &r);
    assert_true(r.n_starts == 1 && r.n_bad_lines == 0);
    teardown(f);
}

static void command__request_holds_what_it_should(void **state) {
    (void)state;
    /* The program answers with its whole input line, quoted by sed as JSON text. */
    fixture *f = setup(
        EACH_LINE("q=$(printf '%s\\n' \"$line\" | sed 's/\\\\/\\\\\\\\/g; s/\"/\\\\\"/g');"
        "printf '%s\\n' "
        "\"{\\\"id\\\":\\\"$id\\\",\\\"completions\\\":[{\\\"text\\\":\\\"$q\\\",\\\"finish\\\":"
        "\\\"length\\\"}],\\\"note\\\":1,\\\"n_completion_tokens\\\":5}\";"),
        10);
    assert_ok(f->ctx, backend_run(f->ctx, f->b, f->requests, 1, f->responses));
    json_t *line = json_loads(f->responses[0].completions[0].text, 0, NULL);
    assert_non_null(line);
    assert_string_equal(json_string_value(json_object_get(line, "role")), "learner");
    assert_int_equal(json_integer_value(json_object_get(line, "n")), 1);
    assert_int_equal(json_integer_value(json_object_get(line, "max_tokens")), 9);
    assert_true(json_integer_value(json_object_get(line, "seed")) == (INT64_C(1) << 53) - 1);
    const json_t *message = json_array_get(json_object_get(line, "messages"), 0);
    assert_string_equal(json_string_value(json_object_get(message, "content")), f->message.content);
    json_decref(line);
    assert_int_equal(f->responses[0].completions[0].finish, FINISH_LENGTH);
    assert_int_equal(f->responses[0].n_completion_tokens, 5);
    assert_int_equal(json_integer_value(json_object_get(f->responses[0].extra, "note")), 1);
    teardown(f);
}

/* Counts that no sum could hold, and evidence without end, are a program's own: neither may fill the journal or break its counters. */
static void command__absurd_counts_and_evidence_are_bounded(void **state) {
    (void)state;
    fixture *f = setup(EACH_LINE("e=$(printf 'x%.0s' $(seq 5000));"
                       SAY("\\\"verdict\\\":\\\"fail\\\",\\\"evidence\\\":\\\"$e\\\",\\\"n_prompt_tokens\\\":-5,"
                       "\\\"n_completion_tokens\\\":9223372036854775807")),
                       10);
    critic_judgement j = {0};
    const critic_item item = {"a", "12 + 7?", "20", 1, NULL, false, NULL};
    assert_ok(f->ctx, critic_judge(f->ctx, f->b, &item, 1, 1, NULL, &j));
    assert_true(j.p == 0);
    assert_int_equal(strlen(j.critique), BACKEND_MOST_EVIDENCE);
    assert_int_equal(j.n_prompt_tokens, 0);
    assert_int_equal(j.n_completion_tokens, BACKEND_MOST_TOKENS);
    critic_judgement_free(&j);
    teardown(f);
}

static void command__order_is_free(void **state) {
    (void)state;
    fixture *f = setup("read -r a; read -r b; for line in \"$b\" \"$a\"; do " ID ANSWER
                       " done; cat >/dev/null",
                       10);
    assert_ok(f->ctx, backend_run(f->ctx, f->b, f->requests, 2, f->responses));
    expect_all_answered(f, 2);
    teardown(f);
}

static void command__may_serve_one_request_a_start(void **state) {
    (void)state;
    fixture *f = setup("read -r line;" ID ANSWER, 10);
    assert_ok(f->ctx, backend_run(f->ctx, f->b, f->requests, 5, f->responses));
    expect_all_answered(f, 5);
    backend_command_report r;
    backend_command_get_report(f->b, &r);
    assert_true(r.n_starts >= 5);
    teardown(f);
}

static void command__bad_lines_are_counted_and_skipped(void **state) {
    (void)state;
    fixture *f = setup(
        "echo Loading model; while read -r line; do echo '{\"id\":\"nobody\"}'; " ID ANSWER "done",
        10);
    assert_ok(f->ctx, backend_run(f->ctx, f->b, f->requests, 3, f->responses));
    expect_all_answered(f, 3);
    backend_command_report r;
    backend_command_get_report(f->b, &r);
    assert_int_equal(r.n_bad_lines, 4);
    teardown(f);
}

static void command__endless_garbage_fails_with_a_sample_of_it(void **state) {
    (void)state;
    fixture *f = setup("yes nonsense", 120);
    double start = seconds();
    assert_int_equal(backend_run(f->ctx, f->b, f->requests, 2, f->responses), AGON_EREMOTE);
    assert_true(seconds() - start < 100); /* long before the time for an answer is up */
    assert_non_null(strstr(agon_error(f->ctx), "nonsense"));
    teardown(f);
}

static void command__an_endless_line_fails(void **state) {
    (void)state;
    fixture *f = setup("tr '\\0' x < /dev/zero", 10);
    assert_int_equal(backend_run(f->ctx, f->b, f->requests, 1, f->responses), AGON_EREMOTE);
    assert_non_null(strstr(agon_error(f->ctx), "does not end"));
    teardown(f);
}

static void command__wrong_answers_fail_their_request_only(void **state) {
    (void)state;
    fixture *f =
        setup(EACH_LINE("case $id in"
              " item0) echo \"{\\\"id\\\":\\\"item0\\\",\\\"completions\\\":[]}\";;"
              " item1) echo \"{\\\"id\\\":\\\"item1\\\",\\\"completions\\\":[7]}\";;"
              " item2) echo \"{\\\"id\\\":\\\"item2\\\",\\\"error\\\":\\\"too hard\\\"}\";;"
              " *)" ANSWER " esac;"),
              10);
    assert_ok(f->ctx, backend_run(f->ctx, f->b, f->requests, 4, f->responses));
    for (int i = 0; i < 3; i++)
        assert_int_equal(f->responses[i].state, BACKEND_FAILED);
    assert_non_null(strstr(f->responses[0].error, "answered as learner with 0 \"completions\" (a list of texts), 1 were asked"));
    assert_non_null(strstr(f->responses[2].error, "too hard"));
    assert_int_equal(f->responses[3].state, BACKEND_DONE);
    teardown(f);
}

/* The last request left may be one that the program refuses: that is no reason never to go on. */
static void command__a_single_refusal_is_not_a_program_that_is_down(void **state) {
    (void)state;
    static const char refusing[] = EACH_LINE(SAY("\\\"error\\\":\\\"too hard\\\""));
    for (size_t n = 1; n <= 4; n++) {
        fixture *f = setup(refusing, 10);
        assert_int_equal(backend_run(f->ctx, f->b, f->requests, n, f->responses), n < 4 ? AGON_OK : AGON_EREMOTE);
        if (n < 4) {
            assert_int_equal(f->responses[n - 1].state, BACKEND_FAILED);
            assert_non_null(strstr(f->responses[n - 1].error, "too hard"));
        }
        teardown(f);
    }
}

static void command__a_slow_request_times_out_alone(void **state) {
    (void)state;
    fixture *f =
        setup(EACH_LINE("[ $id = item1 ] && sleep 200;" ANSWER), 0.5);
    double start = seconds();
    assert_ok(f->ctx, backend_run(f->ctx, f->b, f->requests, 4, f->responses));
    assert_true(seconds() - start < 100);
    assert_int_equal(f->responses[1].state, BACKEND_FAILED);
    assert_non_null(strstr(f->responses[1].error, "0.5 s"));
    assert_int_equal(f->responses[0].state, BACKEND_DONE);
    assert_int_equal(f->responses[2].state, BACKEND_DONE);
    assert_int_equal(f->responses[3].state, BACKEND_DONE);
    teardown(f);
}

static void command__death_is_told_with_code_and_last_words(void **state) {
    (void)state;
    fixture *f = setup("read -r line; echo out of coffee >&2; exit 3", 10);
    assert_int_equal(backend_run(f->ctx, f->b, f->requests, 3, f->responses), AGON_EREMOTE);
    assert_non_null(strstr(agon_error(f->ctx), "code 3"));
    assert_non_null(strstr(agon_error(f->ctx), "out of coffee"));
    teardown(f);
    f = setup("/no/such/program", 10);
    assert_int_equal(backend_run(f->ctx, f->b, f->requests, 3, f->responses), AGON_EREMOTE);
    assert_non_null(strstr(agon_error(f->ctx), "code 127"));
    teardown(f);
}

static volatile sig_atomic_t n_signals;
static void count_signal(int number) {
    (void)number;
    n_signals++;
}

static void command__a_closed_input_raises_no_signal(void **state) {
    (void)state;
    struct sigaction counted = {.sa_handler = count_signal}, old;
    sigaction(SIGPIPE, &counted, &old);
    fixture *f = setup("exec <&-; sleep 0.3; exit 1", 10);
    char *big = malloc(1 << 20);
    memset(big, 'a', (1 << 20) - 1);
    big[(1 << 20) - 1] = 0;
    f->message.content = big;
    n_signals = 0;
    assert_int_equal(backend_run(f->ctx, f->b, f->requests, 3, f->responses), AGON_EREMOTE);
    assert_int_equal(n_signals, 0);
    teardown(f);
    free(big);
    sigaction(SIGPIPE, &old, NULL);
}

static void command__its_whole_process_group_is_killed(void **state) {
    (void)state;
    char path[] = "/tmp/agon-test-XXXXXX", program[256];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    snprintf(program, sizeof program, "sleep 100 & echo $! > %s; wait", path);
    fixture *f = setup(program, 0.5);
    assert_int_equal(backend_run(f->ctx, f->b, f->requests, 1, f->responses), AGON_EREMOTE);
    FILE *file = fopen(path, "r");
    int pid = 0;
    assert_int_equal(fscanf(file, "%d", &pid), 1);
    fclose(file);
    unlink(path);
    int alive = 1;
    for (int i = 0; i < 200 && alive; i++) { /* whoever inherits it needs a moment to reap it */
        char stat_path[64], line[256] = "";
        snprintf(stat_path, sizeof stat_path, "/proc/%d/stat", pid);
        FILE *s = fopen(stat_path, "r");
        alive = s && fgets(line, sizeof line, s) && !strstr(line, ") Z");
        if (s)
            fclose(s);
        usleep(10000);
    }
    assert_false(alive);
    teardown(f);
}

static void command__noise_on_standard_error_is_bounded(void **state) {
    (void)state;
    fixture *f = setup(
        "while read -r line; do head -c 300000 /dev/zero | tr '\\0' e >&2; " ID ANSWER "done", 20);
    assert_ok(f->ctx, backend_run(f->ctx, f->b, f->requests, 3, f->responses));
    expect_all_answered(f, 3);
    teardown(f);
}

static void command__interrupt_stops_the_wait(void **state) {
    (void)state;
    fixture *f = setup("sleep 30", 60);
    agon_interrupt(f->ctx);
    assert_int_equal(backend_run(f->ctx, f->b, f->requests, 2, f->responses), AGON_EINTERRUPTED);
    teardown(f);
}

static void command__a_program_can_be_the_critic(void **state) {
    (void)state;
    fixture *f =
        setup(EACH_LINE("case \"$line\" in *'\"answer\":\"4\"'*) v=pass;; *) v=fail;; esac;"
              SAY("\\\"verdict\\\":\\\"$v\\\",\\\"confidence\\\":0.9,"
              "\\\"evidence\\\":\\\"looked\\\"")),
              10);
    const critic_item items[] = {{"a", "2 + 2?", "4", 1, NULL, false, NULL}, {"b", "2 + 2?", "5", 2, NULL, false, NULL}};
    critic_judgement j[2];
    assert_ok(f->ctx, critic_judge(f->ctx, f->b, items, 2, 1, NULL, j));
    assert_close(j[0].p, 0.9, 1e-12);
    assert_close(j[1].p, 0.1, 1e-12);
    assert_string_equal(j[0].critique, "looked");
    critic_judgement_free(&j[0]);
    critic_judgement_free(&j[1]);
    teardown(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(command__answers_find_their_requests),
        cmocka_unit_test(command__request_holds_what_it_should),
        cmocka_unit_test(command__absurd_counts_and_evidence_are_bounded),
        cmocka_unit_test(command__order_is_free),
        cmocka_unit_test(command__may_serve_one_request_a_start),
        cmocka_unit_test(command__bad_lines_are_counted_and_skipped),
        cmocka_unit_test(command__endless_garbage_fails_with_a_sample_of_it),
        cmocka_unit_test(command__an_endless_line_fails),
        cmocka_unit_test(command__wrong_answers_fail_their_request_only),
        cmocka_unit_test(command__a_single_refusal_is_not_a_program_that_is_down),
        cmocka_unit_test(command__a_slow_request_times_out_alone),
        cmocka_unit_test(command__death_is_told_with_code_and_last_words),
        cmocka_unit_test(command__a_closed_input_raises_no_signal),
        cmocka_unit_test(command__its_whole_process_group_is_killed),
        cmocka_unit_test(command__noise_on_standard_error_is_bounded),
        cmocka_unit_test(command__interrupt_stops_the_wait),
        cmocka_unit_test(command__a_program_can_be_the_critic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
