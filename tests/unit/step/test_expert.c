/* Labels that cost a human: the simulated expert's errors and names, the queue there and back, and what a sealed label may not become. */
#include "actors.h"
#include "step/train_version.h"

enum { N = 400 };

/* ---- the simulated expert ----------------------------------------------------------------------------------- */

/* N answers, every other one right, judged at this rate; number of wrong verdicts among right and among wrong answers. */
static void judged(double error_rate, size_t wrong[2]) {
    stand *x = stand_new(NULL);
    static size_t queries[N];
    const char *texts[N];
    task_outcome verdicts[N];
    store_id labels[N];
    const expert_options o = {.purpose = "audit", .error_rate = error_rate, .propensity = 0.5};
    stand_draw(x, "q", "arithmetic", "three_digit_sum", N);
    for (size_t i = 0; i < N; i++) {
        task_query q = {0};
        char *gold = NULL;
        queries[i] = i;
        assert_ok(x->ctx, query_task(&x->actors, &x->queries.items[i], &q));
        assert_ok(x->ctx, task_gold(x->ctx, &q, &gold));
        texts[i] = i % 2 ? arena_copy(x->memory, gold) : "The answer is 1.";
        task_query_free(&q);
        free(gold);
    }
    stand_answers(x, "answers", queries, texts, N);
    assert_ok(x->ctx, expert_judges(&x->actors, "judge", &x->queries, &x->answers, queries, N, &o, verdicts, labels));
    wrong[0] = wrong[1] = 0;
    for (size_t i = 0; i < N; i++) {
        assert_true(verdicts[i] != OUTCOME_UNKNOWN && *labels[i].text);
        wrong[i % 2] += verdicts[i] != (i % 2 ? OUTCOME_PASS : OUTCOME_FAIL);
    }
    assert_int_equal(stand_count(x, "SELECT count(*) FROM label"), N);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM label WHERE source = 'simulated' AND purpose = 'audit'"), N);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM label WHERE source = 'human' OR producer <> 'simulated expert'"), 0);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM label WHERE propensity = 0.5"), N);
    int64_t counted = 0;
    assert_ok(x->ctx, store_counter(x->store, run_id(x->run), "labels.simulated", &counted));
    assert_int_equal(counted, N);
    assert_ok(x->ctx, store_counter(x->store, run_id(x->run), "expert.audit", &counted));
    assert_int_equal(counted, N);
    assert_ok(x->ctx, store_counter(x->store, run_id(x->run), "labels.human", &counted));
    assert_int_equal(counted, 0);
    stand_free(x);
}

static void expert__is_wrong_at_its_rate(void **state) {
    (void)state;
    static const double rates[] = {0, 0.02, 0.2};
    for (size_t k = 0; k < 3; k++) {
        size_t wrong[2];
        judged(rates[k], wrong);
        double mean = rates[k] * N / 2, spread = 3.5 * sqrt(mean * (1 - rates[k]));
        for (int side = 0; side < 2; side++) /* on right and on wrong answers alike */
            assert_true(fabs((double)wrong[side] - mean) <= spread);
    }
}

static void expert__does_not_know_what_nobody_can_verify(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    static const size_t which[] = {0};
    static const char *const texts[] = {"Because it is."};
    const expert_options o = {.purpose = "train", .error_rate = 0.5, .propensity = 1};
    task_outcome verdict = OUTCOME_PASS;
    store_id label;
    char path[300];
    snprintf(path, sizeof path, "%s/own.jsonl", x->folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("{\"query\": \"Why is the sky blue?\"}\n", f);
    fclose(f);
    assert_ok(x->ctx, read_user_queries(&x->actors, "file", path, &x->queries));
    stand_answers(x, "answers", which, texts, 1);
    assert_ok(x->ctx, expert_judges(&x->actors, "judge", &x->queries, &x->answers, which, 1, &o, &verdict, &label));
    assert_int_equal(verdict, OUTCOME_UNKNOWN);
    assert_string_equal(label.text, "");
    assert_ok(x->ctx, expert_demonstrates(&x->actors, "write", &x->queries, which, 1, &o, &x->answers));
    assert_int_equal(x->answers.n, 1);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM label"), 0);
    stand_free(x);
}

static void expert__gold__is_a_demonstration_and_costs_nobody(void **state) {
    (void)state;
    static const size_t which[] = {0, 1, 2, 3};
    for (int gold = 0; gold < 2; gold++) {
        stand *x = stand_new(NULL);
        const expert_options o = {.purpose = "demonstration", .propensity = 1, .gold = gold};
        int64_t counted = -1;
        stand_draw(x, "q", "arithmetic", "two_digit_sum", 4);
        assert_ok(x->ctx, expert_demonstrates(&x->actors, "write", &x->queries, which, 4, &o, &x->answers));
        assert_int_equal(x->answers.n, 4);
        for (size_t i = 0; i < 4; i++) {
            task_query q = {0};
            task_verdict v = {0};
            assert_int_equal(x->answers.items[i].outcome, OUTCOME_PASS);
            assert_string_equal(x->answers.items[i].source, gold ? "demonstration" : "simulated");
            assert_ok(x->ctx, query_task(&x->actors, &x->queries.items[i], &q));
            assert_ok(x->ctx, task_verify(x->ctx, &q, x->answers.items[i].text, &v));
            assert_int_equal(v.outcome, OUTCOME_PASS);
            task_verdict_free(&v);
            task_query_free(&q);
        }
        assert_int_equal(stand_count(x, "SELECT count(*) FROM label WHERE source = 'demonstration'"), gold ? 4 : 0);
        assert_int_equal(stand_count(x, "SELECT count(*) FROM label WHERE source = 'simulated'"), gold ? 0 : 4);
        assert_ok(x->ctx, store_counter(x->store, run_id(x->run), "labels.simulated", &counted));
        assert_int_equal(counted, gold ? 0 : 4);
        stand_free(x);
    }
}

/* ---- the queue --------------------------------------------------------------------------------------------------- */

static void reply(stand *x, const char *review, const char *answer) {
    json_t *parsed = json_loads(answer, 0, NULL);
    assert_non_null(parsed);
    assert_ok(x->ctx, store_inbox_add(x->store, review, "ada", 12, parsed));
    json_decref(parsed);
}

/* Ids of the reviews of a kind, in the order they were asked. */
static json_t *reviews(stand *x, const char *kind) {
    json_t *rows = NULL, *parameters = json_pack("[s]", kind);
    assert_ok(x->ctx, store_query_json(x->store, "SELECT id, purpose FROM review_item WHERE kind = ?1 ORDER BY rowid", parameters, &rows));
    json_decref(parameters);
    return rows;
}

static const char *review_id(const json_t *rows, size_t i) {
    return json_string_value(json_object_get(json_array_get(rows, i), "id"));
}

/* The same calls in every process: asks twice, collects twice. `answering`: reviewers are there. */
static void ask_and_collect(stand *x, bool answering) {
    static const size_t queries[] = {0, 1, 2, 3}, two[] = {2, 3};
    static const char *const texts[] = {"one", "two", "three", "four"};
    collected_reviews collected = {0};
    size_t n_labels = 0;
    preference_list preferences = {0};
    stand_draw(x, "q", "arithmetic", "two_digit_sum", 4);
    stand_answers(x, "answers", queries, texts, 4);
    assert_ok(x->ctx, ask_reviewers(&x->actors, "ask", &x->queries, &x->answers, queries, 4, "verdict", "train", 0.5, false));
    assert_ok(x->ctx, ask_reviewers(&x->actors, "write", &x->queries, NULL, two, 2, "demonstration", "demonstration", 1, false));
    if (answering) {
        json_t *verdicts = reviews(x, "verdict"), *written = reviews(x, "demonstration");
        assert_int_equal(json_array_size(verdicts), 4);
        assert_int_equal(json_array_size(written), 2);
        reply(x, review_id(verdicts, 0), "{\"verdict\": \"accept\"}");
        reply(x, review_id(verdicts, 1), "{\"verdict\": \"accept\"}");
        reply(x, review_id(verdicts, 1), "{\"verdict\": \"reject\"}"); /* second thoughts */
        reply(x, review_id(verdicts, 2), "{\"verdict\": \"skip\"}");
        reply(x, review_id(written, 1), "{\"verdict\": \"accept\", \"text\": \"It is four.\"}");
        json_decref(verdicts);
        json_decref(written);
    }
    assert_ok(x->ctx, collect_reviews(&x->actors, "collect/1", &x->queries, &x->answers, &preferences, &collected, NULL, &n_labels));
    assert_int_equal(n_labels, 3);
    assert_int_equal(x->answers.n, 5);
    assert_int_equal(x->answers.items[0].outcome, OUTCOME_PASS);
    assert_int_equal(x->answers.items[1].outcome, OUTCOME_FAIL);
    assert_int_equal(x->answers.items[2].outcome, OUTCOME_UNKNOWN);
    assert_int_equal(x->answers.items[3].outcome, OUTCOME_UNKNOWN);
    assert_string_equal(x->answers.items[0].source, "human");
    assert_true(*x->answers.items[0].label && !*x->answers.items[2].label);
    const answer *y = &x->answers.items[4];
    assert_string_equal(y->kind, "demonstration");
    assert_string_equal(y->source, "human");
    assert_string_equal(y->text, "It is four.");
    assert_int_equal(y->query, 3);
    assert_int_equal(y->outcome, OUTCOME_PASS);
    if (answering) {
        json_t *verdicts = reviews(x, "verdict");
        reply(x, review_id(verdicts, 3), "{\"verdict\": \"accept\"}");
        json_decref(verdicts);
    }
    assert_ok(x->ctx, collect_reviews(&x->actors, "collect/2", &x->queries, &x->answers, &preferences, &collected, NULL, &n_labels));
    assert_int_equal(n_labels, 1);
    assert_int_equal(x->answers.n, 5);
    assert_int_equal(x->answers.items[3].outcome, OUTCOME_PASS);
    collected_reviews_free(&collected);
}

static void check_labels(stand *x) {
    int64_t counted = 0;
    assert_int_equal(stand_count(x, "SELECT count(*) FROM label"), 4);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM label WHERE source = 'human' AND producer = 'ada' AND seconds = 12"), 4);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM label WHERE kind = 'point' AND value = 'pass' AND propensity = 0.5"), 2);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM label WHERE kind = 'point' AND value = 'fail'"), 1);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM label WHERE kind = 'demonstration' AND purpose = 'demonstration'"), 1);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM text WHERE kind = 'demonstration'"), 1);
    assert_ok(x->ctx, store_counter(x->store, run_id(x->run), "labels.human", &counted));
    assert_int_equal(counted, 4);
}

static void reviews__become_human_labels__once(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    ask_and_collect(x, true);
    check_labels(x);
    hash256 head = run_head(x->run);
    for (int again = 0; again < 2; again++) {
        if (again == 1) { /* what comes after the looks recorded does not enter them */
            json_t *verdicts = reviews(x, "verdict");
            reply(x, review_id(verdicts, 0), "{\"verdict\": \"reject\"}");
            json_decref(verdicts);
        }
        stand_again(x);
        ask_and_collect(x, false);
        check_labels(x);
        hash256 now = run_head(x->run);
        assert_memory_equal(&now, &head, sizeof now);
    }
    stand_free(x);
}

/* ---- who may know the truth -------------------------------------------------------------------------------------- */

/* A label marked sealed on an answer, and one derived from it: neither may stand behind an example, and nothing of the step remains. */
static void build__example_from_a_sealed_answer__is_refused(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    static const size_t queries[] = {0};
    static const char *const texts[] = {"seven"};
    store_id labels[3];
    stand_draw(x, "q", "arithmetic", "two_digit_sum", 1);
    stand_answers(x, "answers", queries, texts, 1);
    json_t *input = json_null(), *result = json_object();
    const step_key key = {.path = "plant"};
    bool done;
    json_t *old = NULL;
    assert_ok(x->ctx, step_begin(x->run, &key, input, &done, &old));
    for (int i = 0; i < 3; i++) { /* sealed; derived from the sealed one; an innocent one */
        const label_record l = {.run = run_id(x->run), .iteration = 1, .target = x->answers.items[0].id, .kind = "point",
                                .value = "pass", .source = i == 1 ? "critic" : "simulated", .purpose = "train", .sealed = i == 0,
                                .derived_from = i == 1 ? labels[0].text : NULL, .confidence = 1};
        assert_ok(x->ctx, store_add_label(x->store, &l, &labels[i]));
    }
    assert_ok(x->ctx, step_commit(x->run, result));
    json_decref(result);
    for (int i = 0; i < 3; i++) {
        example e[2] = {{.objective = "sft", .origin = "new", .prompt = "p", .chosen = "c", .n_tokens = 1,
                         .labels = {labels[2].text}, .n_labels = 1},
                        {.objective = "sft", .origin = "new", .prompt = "p", .chosen = "d", .n_tokens = 1,
                         .labels = {labels[i].text}, .n_labels = 1}};
        char path[16];
        snprintf(path, sizeof path, "build/%d", i);
        agon_status s = build_examples(&x->actors, path, e, 2);
        assert_int_equal(s, i == 2 ? AGON_OK : AGON_EREFUSED);
        if (i < 2)
            assert_non_null(strstr(agon_error(x->ctx), "sealed"));
        assert_int_equal(stand_count(x, "SELECT count(*) FROM example"), i == 2 ? 2 : 0);
    }
    stand_free(x);
}

/* ---- the verifier ------------------------------------------------------------------------------------------------ */

/* A label on an answer that measures may not be trained on, and says so. */
static void verifier__labels__say_what_they_are_for(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    static const size_t queries[] = {0, 0};
    static const char *const texts[] = {"The answer is 1.", "The answer is 2."};
    stand_draw(x, "q", "arithmetic", "three_digit_sum", 1);
    stand_answers(x, "answers", queries, texts, 2);
    x->answers.items[1].kind = "evaluation";
    assert_ok(x->ctx, verify_answers(&x->actors, "verify", &x->queries, &x->answers, 0));
    for (size_t i = 0; i < 2; i++) {
        char sql[200];
        snprintf(sql, sizeof sql, "SELECT count(*) FROM label WHERE source = 'verifier' AND purpose = '%s' AND id = '%s'", i ? "gate" : "train",
                 x->answers.items[i].label);
        assert_int_equal(stand_count(x, sql), 1);
    }
    assert_int_equal(stand_count(x, "SELECT count(*) FROM label"), 2);
    stand_free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expert__is_wrong_at_its_rate),
        cmocka_unit_test(expert__does_not_know_what_nobody_can_verify),
        cmocka_unit_test(expert__gold__is_a_demonstration_and_costs_nobody),
        cmocka_unit_test(reviews__become_human_labels__once),
        cmocka_unit_test(verifier__labels__say_what_they_are_for),
        cmocka_unit_test(build__example_from_a_sealed_answer__is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
