/* A program of the user's as the verifier of their own queries: what it says is believed, journaled and bounded; where it says nothing of use, the answer
 * is unknown. Under a sealed oracle its word goes to the ledger alone. */
#include "actors.h"
#include "role_program.h"

static const char rows[] = "{\"query\": \"Say something good.\", \"answer\": [\"good\", \"fine\"]}\n"
                           "{\"query\": \"How many legs has a spider?\", \"answer\": 8, \"verifier\": \"number\"}\n";

/* Judges by a word of the answer, one line at a time. */
static const char program[] =
    EACH_LINE(" case $line in\n"
    " *'\"content\":\"a good'*) v='\"verdict\":true';;\n"
    " *'\"content\":\"a bad'*) v='\"verdict\":\"fail\",\"evidence\":\"says bad, should be fine\",\"masked\":\"is not good\",\"span\":[2,5]';;\n"
    " *'\"content\":\"a terse'*) v='\"verdict\":\"fail\",\"span\":[3,4000]';;\n"
    " *'\"content\":\"a slow'*) sleep 30;;\n"
    " *'\"content\":\"an odd'*) v='\"verdict\":\"perhaps\"';;\n"
    " *'\"content\":\"a hard'*) v='\"error\":\"too hard\"';;\n"
    " *'\"content\":\"a noisy'*) echo not json; v='\"verdict\":\"pass\"';;\n"
    " *'\"answer\":\"a shy answer\"'*'\"accepted\":[\"good\",\"fine\"]'*|*'\"accepted\":[\"good\",\"fine\"]'*'\"answer\":\"a shy answer\"'*)"
    " v='\"verdict\":\"unknown\"';; esac\n"
              SAY("$v"));

enum { N = 9 };
static const char *const texts[N] = {"a good answer", "a bad answer",  "a terse answer", "a slow answer", "an odd answer",
                                     "a hard answer", "a noisy answer", "a shy answer",   "It has 6 legs."};
static const task_outcome outcomes[N] = {OUTCOME_PASS,    OUTCOME_FAIL, OUTCOME_FAIL,    OUTCOME_UNKNOWN, OUTCOME_UNKNOWN,
                                         OUTCOME_UNKNOWN, OUTCOME_PASS, OUTCOME_UNKNOWN, OUTCOME_FAIL};

static backend *start(stand *x) {
    backend *b = NULL;
    const char *command = arena_printf(x->memory, "sh %s", write_file(x, "verifier.sh", program));
    assert_ok(x->ctx, backend_command_new(x->ctx, command, 0.5, &b));
    return b;
}

static void verify_all(stand *x, const char *file) {
    static const size_t queries[N] = {[N - 1] = 1};
    assert_ok(x->ctx, read_user_queries(&x->actors, "file", file, &x->queries));
    assert_int_equal(x->queries.n, 2);
    stand_answers(x, "answers", queries, texts, N);
    assert_ok(x->ctx, verify_answers(&x->actors, "verify", &x->queries, &x->answers, 0));
}

static void program__open__is_believed_and_journaled(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    const char *file = write_file(x, "own.jsonl", rows);
    static const size_t failed[] = {1, 2};
    backend *b = x->actors.verifier = start(x);
    for (int again = 0; again < 2; again++) {
        verify_all(x, file);
        for (size_t i = 0; i < N; i++) {
            assert_int_equal(x->answers.items[i].outcome, outcomes[i]);
            assert_int_equal(x->answers.items[i].source == NULL, outcomes[i] == OUTCOME_UNKNOWN);
        }
        const answer *bad = &x->answers.items[1], *terse = &x->answers.items[2];
        assert_string_equal(bad->evidence, "says bad, should be fine");
        assert_string_equal(bad->masked, "is not good");
        assert_true(bad->span_start == 2 && bad->span_end == 5);
        assert_string_equal(terse->evidence, "is not accepted by the verifier"); /* a critique can be made of it */
        assert_int_equal(terse->span_end, 0);                                    /* what it cited is not in the answer */
        assert_ok(x->ctx, critique_answers(&x->actors, "critique", &x->answers, failed, 2));
        if (again)
            break;
        /* The slow one timed out alone, and why is in the record. */
        assert_int_equal(stand_count(x, "SELECT count(*) FROM verification WHERE outcome = 'unknown' AND evidence LIKE '%0.5 s%'"), 1);
        assert_int_equal(stand_count(x, "SELECT count(*) FROM verification WHERE outcome = 'unknown' AND evidence LIKE '%too hard%'"), 1);
        stand_again(x);
        x->actors.verifier = b;
        backend_free(b); /* a replay asks nobody */
        x->actors.verifier = NULL;
        assert_int_equal(stand_count(x, "SELECT count(*) FROM step_item WHERE path = 'verify' AND reproducible = 1"), 0);
    }
    stand_free(x);
}

static void program__sealed__tells_the_ledger_alone(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    const char *file = write_file(x, "own.jsonl", rows);
    json_t *ledger = NULL, *row;
    size_t i, n[3] = {0};
    backend *b = x->actors.verifier = start(x);
    x->actors.sealed = true;
    verify_all(x, file);
    for (i = 0; i < N; i++)
        assert_true(x->answers.items[i].outcome == OUTCOME_UNKNOWN && !x->answers.items[i].source);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM verification"), 0);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM label"), 0);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM step_item WHERE result LIKE '%evidence%' OR result LIKE '%outcome%'"), 0);
    /* The simulated expert knows what the program knows. */
    static const size_t which[] = {0, 1, 7};
    task_outcome verdicts[3];
    const expert_options o = {.purpose = "calibration", .propensity = 1};
    assert_ok(x->ctx, expert_judges(&x->actors, "expert", &x->queries, &x->answers, which, 3, &o, verdicts, NULL));
    assert_true(verdicts[0] == OUTCOME_PASS && verdicts[1] == OUTCOME_FAIL && verdicts[2] == OUTCOME_UNKNOWN);
    stand_close(x);
    assert_ok(x->ctx, store_open(x->ctx, x->folder, STORE_READ, &x->store));
    assert_ok(x->ctx, store_ledger_read(x->store, &ledger));
    json_array_foreach(ledger, i, row) {
        const char *outcome = field_text(row, "outcome");
        n[strcmp(outcome, "pass") == 0 ? 0 : strcmp(outcome, "fail") == 0 ? 1 : 2]++;
    }
    assert_true(n[0] == 2 && n[1] == 3 && n[2] == 4);
    json_decref(ledger);
    store_close(x->store);
    stand_open(x);
    backend_free(b);
    stand_free(x);
}

static void program__missing_or_down__is_said(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    const char *file = write_file(x, "own.jsonl", "{\"query\": \"Say something good.\", \"verifier\": \"program\"}\n");
    assert_int_equal(read_user_queries(&x->actors, "file", file, &x->queries), AGON_EINVAL);
    assert_non_null(strstr(agon_error(x->ctx), "own.jsonl:1"));
    assert_non_null(strstr(agon_error(x->ctx), "verifier: {command"));
    static const size_t queries[] = {0};
    static const char *const text[] = {"a good answer"};
    backend *down = NULL;
    assert_ok(x->ctx, backend_command_new(x->ctx, "/no/such/program", 1, &down));
    x->actors.verifier = down;
    assert_ok(x->ctx, read_user_queries(&x->actors, "file", file, &x->queries));
    stand_answers(x, "answers", queries, text, 1);
    assert_int_equal(verify_answers(&x->actors, "verify", &x->queries, &x->answers, 0), AGON_EREMOTE);
    assert_non_null(strstr(agon_error(x->ctx), "verifier"));
    assert_int_equal(stand_count(x, "SELECT count(*) FROM step_item WHERE path = 'verify'"), 0); /* run again to go on */
    backend *b = x->actors.verifier = start(x);
    assert_ok(x->ctx, verify_answers(&x->actors, "verify", &x->queries, &x->answers, 0));
    assert_int_equal(x->answers.items[0].outcome, OUTCOME_PASS);
    backend_free(down);
    backend_free(b);
    stand_free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(program__open__is_believed_and_journaled),
        cmocka_unit_test(program__sealed__tells_the_ledger_alone),
        cmocka_unit_test(program__missing_or_down__is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
