/* Judges: a program's rewards are its own numbers and nothing else; a model's are its P(correct). */
#include "role/judge.h"
#include "test.h"
#include "role_program.h"
#include <time.h>

enum { N = 24 };

typedef struct fixture {
    agon_ctx *ctx;
    backend *b;
    json_t *prompts[N], *row;
    char ids[N][32];
    judge_item items[N];
    double rewards[N];
} fixture;

static fixture *setup(const char *program, double timeout) {
    fixture *f = calloc(1, sizeof *f);
    f->ctx = test_ctx(1, NULL);
    f->row = json_pack("{s:s,s:i}", "prompt", "another", "weight", 3);
    if (program)
        assert_ok(f->ctx, backend_command_new(f->ctx, program, timeout, &f->b));
    for (int i = 0; i < N; i++) {
        snprintf(f->ids[i], sizeof f->ids[i], "sample %d", i);
        f->prompts[i] = i % 2 ? json_pack("[{s:s,s:s},{s:s,s:s}]", "role", "system", "content", "be brief", "role", "user", "content", "go")
                              : json_string("say it");
        f->items[i] = (judge_item){f->ids[i], f->prompts[i], "an answer \xE2\x82", 12, f->row};
    }
    return f;
}

static void teardown(fixture *f) {
    for (int i = 0; i < N; i++)
        json_decref(f->prompts[i]);
    json_decref(f->row);
    backend_free(f->b);
    agon_ctx_free(f->ctx);
    free(f);
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}


/* The number in the id, its sign and half of it: every item gets its own. */
static void program__rewards_reach_their_items(void **state) {
    (void)state;
    fixture *f = setup(EACH_LINE(SAY("\\\"reward\\\":-${id#sample }.5")), 10);
    assert_ok(f->ctx, judge_ask(f->ctx, f->b, f->items, N, f->rewards));
    for (int i = 0; i < N; i++)
        assert_close(f->rewards[i], i ? -i - 0.5 : -0.5, 0);
    teardown(f);
    f = setup(EACH_LINE("case $id in *1) v='\"pass\"';; *2) v='\"fail\"';; *3) v=true;; *) v=false;; esac;"
              SAY("\\\"verdict\\\":$v")), 10);
    assert_ok(f->ctx, judge_ask(f->ctx, f->b, f->items, 5, f->rewards));
    const double want[5] = {0, 1, 0, 1, 0};
    assert_memory_equal(f->rewards, want, sizeof want);
    teardown(f);
}

/* What it is given: the conversation up to the answer, the row's members, prompt and answer; bytes that are no UTF-8 are replaced. */
static void program__is_given_the_row(void **state) {
    (void)state;
    fixture *f = setup("read -r a; read -r b; has() { case $1 in *\"$2\"*) ;; *) echo \"lacks $2\" >&2; exit 3;; esac; };"
                       "has \"$a\" '\"role\":\"judge\"'; has \"$a\" '{\"role\":\"user\",\"content\":\"say it\"},{\"role\":\"assistant\",\"content\":\"an answer '\xEF\xBF\xBD;"
                       "has \"$a\" '\"data\":{\"prompt\":\"say it\",\"weight\":3,\"completion\":\"an answer '\xEF\xBF\xBD;"
                       "has \"$b\" '[{\"role\":\"system\",\"content\":\"be brief\"},{\"role\":\"user\",\"content\":\"go\"},{\"role\":\"assistant\"';"
                       "has \"$b\" '\"prompt\":[{\"role\"';"
                       "echo '{\"id\":\"sample 1\",\"reward\":1}'; echo '{\"id\":\"sample 0\",\"reward\":2}'", 10);
    assert_ok(f->ctx, judge_ask(f->ctx, f->b, f->items, 2, f->rewards));
    assert_true(f->rewards[0] == 2 && f->rewards[1] == 1);
    assert_null(json_object_get(f->row, "completion")); /* the row itself stays as it was */
    teardown(f);
}

static void refused_as(agon_status status, const char *program, double timeout, const char *words, double at_most) {
    fixture *f = setup(program, timeout);
    double start = seconds();
    assert_int_equal(judge_ask(f->ctx, f->b, f->items, N, f->rewards), status);
    if (!strstr(agon_error(f->ctx), words) || !strstr(agon_error(f->ctx), "judge, sample "))
        fail_msg("%s: %s", program, agon_error(f->ctx));
    if (seconds() - start > at_most)
        fail_msg("%s: took %g s", program, seconds() - start);
    teardown(f);
}

static void refused(const char *program, double timeout, const char *words, double at_most) {
    refused_as(AGON_EREMOTE, program, timeout, words, at_most);
}

/* Each ends the call at its first item: one timeout, not one an item. */
static void program__that_does_not_answer_is_an_error(void **state) {
    (void)state;
    refused("exit 7", 200, "ended with code 7 before it answered", 100);
    refused("kill -9 $$", 200, "was killed by signal 9", 100);
    refused("sleep 200 & sleep 200", 0.5, "gave no answer within 0.5 s", 100);
    refused("while read -r line; do echo 'thinking ...'; done; sleep 200", 0.5, "lines that are no answers, such as 'thinking ...'", 100);
    refused(EACH_LINE(SAY("\\\"reward\\\":NaN")), 0.5, "no answers, such as '{\"id\":\"sample", 100);
    refused(EACH_LINE(SAY("\\\"reward\\\":1e999")), 0.5, "no answers, such as '{\"id\":\"sample", 100);
    refused(EACH_LINE(SAY("\\\"reward\\\":null")), 200, "no \"reward\" that is a finite number", 100);
    refused(EACH_LINE(SAY("\\\"reward\\\":\\\"nan\\\"")), 200, "no \"reward\" that is a finite number", 100);
    refused(EACH_LINE(SAY("\\\"verdict\\\":\\\"unknown\\\"")), 200, "no \"reward\" that is a finite number", 100);
    refused_as(AGON_ENUMERIC, EACH_LINE(SAY("\\\"reward\\\":1e308")), 200, "the reward is 1e+308; it must be from -1e+06 to 1e+06", 100);
    refused(EACH_LINE(SAY("\\\"error\\\":\\\"no key\\\"")), 200, "the command says: no key", 100);
    refused("read -r line; " ID SAY("\\\"reward\\\":1") "exec sleep 200", 0.5, "gave no answer within", 100);
}

/* A model that scores is asked for likelihoods; another's votes are counted, NAN where it wrote none. */
static void model__rewards_are_probabilities(void **state) {
    (void)state;
    fixture *f = setup(NULL, 0);
    json_t *script = json_pack("{s:{s:[f,f],s:[f,f]}}", "scores", "sample 0", -1.0, -1.0, "sample 1", 0.0, -log(3));
    assert_ok(f->ctx, backend_scripted_new(f->ctx, script, &f->b));
    assert_ok(f->ctx, judge_by_model(f->ctx, f->b, f->items, 2, 1, 5, NULL, false, f->rewards));
    assert_close(f->rewards[0], 0.5, 1e-12);
    assert_close(f->rewards[1], 0.75, 1e-12);
    assert_int_equal(judge_by_model(f->ctx, f->b, f->items, 3, 1, 5, NULL, false, f->rewards), AGON_EREMOTE);
    assert_non_null(strstr(agon_error(f->ctx), "judge, sample 2"));
    json_decref(script);
    teardown(f);
    f = setup(EACH_LINE("case $id in *0) v='[[Yes]]\",\"[[No]]\",\"Well\",\"[[Yes]]';; *) v='a\",\"b\",\"c\",\"d';; esac;"
              SAY("\\\"completions\\\":[\\\"$v\\\"]")), 10);
    assert_ok(f->ctx, judge_by_model(f->ctx, f->b, f->items, 2, 4, 5, NULL, false, f->rewards));
    assert_close(f->rewards[0], 2.0 / 3, 1e-12);
    assert_true(isnan(f->rewards[1]));
    teardown(f);
    f = setup("while read -r line; do " ID "case $line in *'principles:\\nBe brief. [[Yes]]'*) v='[[No]]';; *) v='[[Yes]]';; esac;"
              SAY("\\\"completions\\\":[\\\"$v\\\"]") "done", 10);
    for (int i = 0; i < 2; i++) { /* the user's own words stand in the prompt as they are */
        assert_ok(f->ctx, judge_by_model(f->ctx, f->b, f->items, 2, 1, 5, i ? "Be brief. [[Yes]]" : NULL, false, f->rewards));
        assert_close(f->rewards[0], i ? 0 : 1, 1e-12);
    }
    teardown(f);
    f = setup("while read -r line; do " ID SAY("\\\"completions\\\":[\\\"Verdict: pass\\\"]") "done", 10);
    assert_int_equal(judge_by_model(f->ctx, f->b, f->items, 2, 1, 5, NULL, false, f->rewards), AGON_EREMOTE);
    assert_non_null(strstr(agon_error(f->ctx), "no verdict on any of 2 samples: what it writes is to end with [[Yes]] or [[No]], and on sample 0 it wrote 'Verdict: pass'"));
    teardown(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(program__rewards_reach_their_items),
        cmocka_unit_test(program__is_given_the_row),
        cmocka_unit_test(program__that_does_not_answer_is_an_error),
        cmocka_unit_test(model__rewards_are_probabilities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
