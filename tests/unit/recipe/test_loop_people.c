/* The gate on held-out queries that only people can judge: whom it asks about what, that it waits for all of it and for nothing else, and what it
 * decides. The learner is a tiny model trained here; a reviewer accepts by rules of their own. */
#include "recipe/loop_private.h"
#include "recipe_runs.h"
#include "store/store_internal.h"

static void run_to_state(stand *x, const char *yaml, const char *state, json_t **gate) {
    json_t *summary = NULL;
    summary = run_well(x, yaml);
    assert_string_equal(field_text(summary, "state"), state);
    assert_string_equal(field_text(json_object_get(summary, "version"), "status"),
                        strcmp(state, "waiting") == 0 ? "candidate"
                        : !json_is_object(json_object_get(summary, "gate")) ? "base"
                        : strcmp(field_text(json_object_get(summary, "gate"), "verdict"), "promote") == 0 ? "promoted" : "rejected");
    if (gate)
        *gate = json_incref(json_object_get(summary, "gate"));
    json_decref(summary);
}

static const char *run_yaml(stand *x, const char *file, int iterations, const char *human) {
    return arena_printf(x->memory,
                        "name: own\niterations: %d\ntasks: {file: %s}\nlearner: {samples: 1, max_tokens: 12}\ncritic: {examples: 0}\n"
                        "refine: {queries: 0, learnability: 0}\nhuman: {backend: queue, audits: 0, demonstrations: 0, %s}\ntrain: {rank: 4, batch: 2, epochs: 4, lr: 0.05}\n"
                        "build: {documents: 2, real_share: 0}\nevaluate: {tasks: 6, general: 20, documents: 0, gsm8k: 0}\ngate: {monitor_prompts: 2, general_margin: 0.9}\n",
                        iterations, file, human);
}

static int64_t count_items(stand *x, int iteration, const char *kind) {
    return stand_count(x, arena_printf(x->memory, "SELECT count(*) FROM review_item WHERE iteration = %d AND kind = '%s'", iteration, kind));
}

static void answer_item(stand *x, const char *id, const char *verdict) {
    json_t *answer = json_pack("{ss}", "verdict", verdict);
    assert_ok(x->ctx, store_inbox_add(x->store, id, "reviewer-1", 3, answer));
    json_decref(answer);
}

/* The open items of that kind, answered up to `most`: accepted where the SQL expression over t, the answer's text record, holds. */
static size_t review(stand *x, const char *kind, const char *accept, size_t most) {
    json_t *items = NULL, *item;
    size_t i, n = 0;
    assert_ok(x->ctx, store_query_json(x->store,
                                       arena_printf(x->memory, "SELECT o.id, (%s) AS good FROM review_open o JOIN text t ON t.id = o.response"
                                                               " WHERE o.kind = '%s' ORDER BY o.id", accept, kind), NULL, &items));
    json_array_foreach(items, i, item)
        if (i < most) {
            answer_item(x, field_text(item, "id"), field_int(item, "good") ? "accept" : "reject");
            n++;
        }
    json_decref(items);
    return n;
}

#define BY_CANDIDATE "t.producer = (SELECT id FROM model_version WHERE role = 'learner' ORDER BY rowid DESC LIMIT 1)"

static int64_t count_steps(stand *x) {
    return stand_count(x, "SELECT count(*) FROM step");
}

static void check_journal(stand *x) {
    journal_report report;
    assert_ok(x->ctx, journal_verify(x->ctx, x->store, &report));
    assert_string_equal(report.problem, "");
}

static const char *judged_by(const json_t *gate, const char *whom, int64_t *n) {
    const json_t *g1 = json_object_get(json_object_get(gate, "figures"), "G1");
    *n = field_int(json_object_get(g1, "judged"), whom);
    return field_text(gate, "verdict");
}

/* What G2 says of the general suite against the base; NULL: nothing. */
static const json_t *against_base(const json_t *gate) {
    const json_t *suites = json_object_get(json_object_get(json_object_get(gate, "figures"), "G2"), "suites");
    assert_string_equal(field_text(json_array_get(suites, 1), "suite"), "general");
    return json_object_get(json_array_get(suites, 1), "against_base");
}

/* At first there is nothing to train on: people are asked about the learner's answers, and waited for. */
static void begin(stand *x, const char *file, const char *human) {
    json_t *summary = NULL;
    for (int k = 0; k < 2; k++) {
        summary = run_well(x, run_yaml(x, file, 1, human));
        assert_string_equal(field_text(summary, "state"), "waiting");
        assert_string_equal(field_text(json_object_get(summary, "version"), "status"), "base");
        json_decref(summary);
    }
    assert_true(review(x, "verdict", "1", SIZE_MAX) > 20);
    assert_int_equal(count_items(x, 1, "held_out"), 0); /* there was no candidate, although there was prose */
}

static void gate__where_only_people_can_judge__waits_for_them_and_promotes(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *gate = NULL, *status = NULL;
    const char *file = own_file(x, 90, 0, " to a child."), *human = "labels: 140, gate_items: 12";
    int64_t n_people = 0, n_left = 0;
    begin(x, file, human);
    run_to_state(x, run_yaml(x, file, 1, human), "waiting", NULL);
    const int64_t asked = count_items(x, 1, "held_out"), steps = count_steps(x);
    const int64_t places = stand_count(x, "SELECT count(DISTINCT query) FROM review_item WHERE kind = 'held_out'");
    assert_int_equal(places, 12);
    assert_true(asked > places && asked <= 2 * places);
    /* Blindly: no critique, no words twice, versions mixed; and nothing of it is a question about the answers that teach. */
    assert_int_equal(stand_count(x, "SELECT count(*) FROM review_item WHERE kind = 'held_out' AND (critique IS NOT NULL OR purpose <> 'gate')"), 0);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM (SELECT DISTINCT i.query, t.body FROM review_item i JOIN text t ON t.id = i.response WHERE i.kind = 'held_out')"), asked);
    assert_true(stand_count(x, "SELECT count(*) FROM (SELECT t.producer AS p, lag(t.producer) OVER (ORDER BY i.priority DESC) AS before FROM review_item i"
                               " JOIN text t ON t.id = i.response WHERE i.kind = 'held_out') WHERE p <> before") > 2);
    /* Nor does the order of a query's two answers tell. */
    const int64_t base_first = stand_count(x, "SELECT count(*) FROM review_item a JOIN text t ON t.id = a.response JOIN review_item b ON b.query = a.query AND b.kind = a.kind"
                                              " AND b.priority < a.priority WHERE a.kind = 'held_out' AND NOT " BY_CANDIDATE);
    assert_true(base_first > 0 && base_first < asked - places);
    assert_ok(x->ctx, store_status(x->store, "own", &status));
    assert_string_equal(field_text(status, "state"), "waiting");
    json_decref(status);
    assert_int_equal(review(x, "held_out", BY_CANDIDATE, (size_t)asked - 1), asked - 1);
    run_to_state(x, run_yaml(x, file, 1, human), "waiting", NULL); /* one is missing */
    assert_int_equal(count_steps(x), steps);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM label WHERE purpose = 'gate'"), 0);
    assert_int_equal(review(x, "held_out", BY_CANDIDATE, SIZE_MAX), 1);
    run_to_state(x, run_yaml(x, file, 1, human), "done", &gate);
    assert_string_equal(judged_by(gate, "people", &n_people), "promote");
    judged_by(gate, "left_to_people", &n_left);
    assert_null(against_base(gate)); /* the incumbent is the base */
    assert_int_equal(n_people, places);
    assert_true(n_left > places);
    assert_int_equal(stand_count(x, arena_printf(x->memory, "SELECT count(*) FROM review_item WHERE kind = 'held_out' AND abs(propensity - 12.0 / %lld) < 1e-9", (long long)n_left)), asked);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM label WHERE purpose = 'gate' AND source = 'human'"), asked);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM gate_label"), asked);
    /* They decide, and teach nobody. */
    assert_int_equal(stand_count(x, "SELECT count(*) FROM example_label e JOIN label l ON l.id = e.label WHERE l.purpose = 'gate'"), 0);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM example_text e JOIN text t ON t.id = e.text WHERE t.kind = 'evaluation'"), 0);
    json_decref(gate);
    /* What was said of the incumbent's words when it was the candidate still holds. */
    run_to_state(x, run_yaml(x, file, 2, human), "waiting", NULL);
    assert_true(count_items(x, 2, "held_out") > 0 && count_items(x, 2, "held_out") <= places);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM (SELECT DISTINCT i.query, t.body FROM review_item i JOIN text t ON t.id = i.response WHERE i.kind = 'held_out')"),
                     asked + count_items(x, 2, "held_out"));
    assert_int_equal(stand_count(x, "SELECT count(DISTINCT query) FROM review_item WHERE kind = 'held_out'"), places); /* the part is drawn once */
    assert_true(stand_count(x, "SELECT count(*) FROM review_item") <= 140);
    review(x, "held_out", "0", SIZE_MAX);
    run_to_state(x, run_yaml(x, file, 2, human), "done", &gate);
    assert_string_equal(judged_by(gate, "people", &n_people), "reject");
    assert_int_equal(n_people, places);
    assert_int_equal(field_int(against_base(gate), "n"), 20);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM step WHERE path LIKE '%/general'"), 3); /* the base's are kept */
    json_decref(gate);
    json_t *summary = run_well(x, run_yaml(x, file, 2, human));
    assert_int_equal(field_int(json_object_get(summary, "budget"), "used"), stand_count(x, "SELECT count(*) FROM label WHERE source = 'human'"));
    json_decref(summary);
    check_journal(x);
    stand_free(x);
}

/* Verified and judged items are counted together, a skip of the incumbent's answer leaves its query out and is shown, and a candidate that people like no better is rejected. */
static void gate__on_a_mixed_file__counts_both_and_leaves_skips_out(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *gate = NULL, *items = NULL;
    const char *file = own_file(x, 90, 40, " to a child."), *human = "labels: 400, gate_items: 8";
    int64_t n_people = 0, n_left = 0, n_verified = 0;
    begin(x, file, human);
    run_to_state(x, run_yaml(x, file, 1, human), "waiting", NULL);
    assert_int_equal(stand_count(x, "SELECT count(DISTINCT query) FROM review_item WHERE kind = 'held_out'"), 8);
    assert_true(stand_count(x, "SELECT count(*) FROM review_item WHERE kind = 'held_out' AND propensity < 1") > 8);
    assert_ok(x->ctx, store_query_json(x->store, "SELECT i.id FROM review_item i JOIN text t ON t.id = i.response WHERE i.kind = 'held_out' AND NOT " BY_CANDIDATE " ORDER BY i.id LIMIT 1", NULL, &items));
    const char *skipped = field_text(json_array_get(items, 0), "id");
    answer_item(x, skipped, "skip");
    review(x, "held_out", "instr(t.body, 'a') % 2", SIZE_MAX);
    run_to_state(x, run_yaml(x, file, 1, human), "done", &gate);
    assert_string_equal(judged_by(gate, "people", &n_people), "reject");
    judged_by(gate, "left_to_people", &n_left);
    judged_by(gate, "verifier", &n_verified);
    assert_int_equal(n_people, 7);
    assert_true(n_left > 8 && n_verified > 2);
    const json_t *g1 = json_object_get(json_object_get(gate, "figures"), "G1"), *table = json_object_get(g1, "table"), *n_skipped = json_object_get(g1, "skipped");
    assert_int_equal(field_int(table, "n"), n_people + n_verified);
    assert_true(field_int(n_skipped, "incumbent") == 1 && field_int(n_skipped, "candidate") == 0);
    /* What the next iteration waits for is something to train on: no new candidate, and the last one stays rejected. */
    json_t *summary = NULL;
    summary = run_well(x, run_yaml(x, file, 2, human));
    assert_string_equal(field_text(summary, "state"), "waiting");
    assert_string_equal(field_text(json_object_get(summary, "version"), "status"), "rejected");
    assert_int_equal(count_items(x, 2, "held_out"), 0);
    json_decref(summary);
    json_decref(gate);
    json_decref(items);
    check_journal(x);
    stand_free(x);
}

/* A training that changes no word: nobody is asked, nothing waits, and the gate says what it knows of twelve queries, which is that nothing was gained. */
static void gate__candidate_with_the_same_words__asks_nobody(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *gate = NULL, *log = NULL, *line;
    size_t i, n_said = 0;
    const char *file = own_file(x, 90, 0, " to a child."), *human = "labels: 140, gate_items: 12", *lr = "lr: 0.05", *yaml = run_yaml(x, file, 1, human), *at = strstr(yaml, lr);
    int64_t n_people = -1, n_same = 0;
    yaml = arena_printf(x->memory, "%.*slr: 1e-9%s", (int)(at - yaml), yaml, at + strlen(lr));
    json_decref(run_well(x, yaml));
    assert_true(review(x, "verdict", "1", SIZE_MAX) > 20);
    run_to_state(x, yaml, "done", &gate);
    assert_int_equal(count_items(x, 1, "held_out"), 0);
    assert_string_equal(judged_by(gate, "people", &n_people), "reject");
    judged_by(gate, "verifier", &n_same);
    assert_true(n_people == 0 && n_same == 0);
    const json_t *table = json_object_get(json_object_get(json_object_get(gate, "figures"), "G1"), "table");
    assert_true(field_int(table, "n") == 12 && field_int(table, "same") == 12 && field_real(table, "gain") == 0);
    assert_true(json_is_null(json_object_get(table, "before")) && json_is_null(json_object_get(table, "after")));
    assert_true(json_number_value(json_array_get(json_object_get(table, "ci95"), 1)) > 0.1); /* of twelve little is known */
    assert_ok(x->ctx, store_log(x->store, "own", 0, 0, &log));
    json_array_foreach(log, i, line)
        n_said += strcmp(field_text(line, "message"), "incumbent and candidate say the same to 12 of 12 held-out queries: they differ in nothing, and nobody is asked") == 0 ||
                  strcmp(field_text(line, "message"), "rejected: no gain shown on held-out tasks (G1); held out all 12 in the same words") == 0;
    assert_int_equal(n_said, 2);
    json_decref(log);
    json_decref(gate);
    check_journal(x);
    stand_free(x);
}

/* ---- made-up answers ------------------------------------------------------------------------------------------------------------------------ */

enum { PLACES = 7, TEXTS = HELD_OUT_VERSIONS * PLACES };

/* What base, incumbent and candidate say to a query. */
typedef struct said {
    const char *text[HELD_OUT_VERSIONS];
} said;

/* A loop before its gate, which has asked nobody yet. */
typedef struct bench {
    cast cast;
    run_config config;
    loop l;
    held_out_result r;
} bench;

static bench *bench_new(stand *x, const said *all, int64_t rules, int64_t labels) {
    size_t queries[TEXTS];
    const char *texts[TEXTS];
    bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    stand_draw(x, "held_out", "arithmetic", "two_digit_sum", PLACES);
    for (size_t i = 0; i < TEXTS; i++) {
        queries[i] = i % PLACES;
        texts[i] = all[i % PLACES].text[i / PLACES];
    }
    stand_answers(x, "answers", queries, texts, TEXTS);
    for (size_t i = 0; i < PLACES; i++)
        x->queries.items[i].cell = SIZE_MAX; /* the user's own, without a verifier */
    b->config = (run_config){.human = {.backend = (char *)(uintptr_t)"queue", .labels = labels, .gate_items = PLACES}};
    b->cast = (cast){.actors = x->actors, .config = &b->config, .run = x->run, .memory = x->memory, .rules = rules};
    b->l = (loop){.c = &b->cast, .config = &b->config, .labels = labels, .may_use = labels, .held_out = x->queries, .held_out_answers = x->answers, .n_file_held_out = PLACES};
    b->r = (held_out_result){.base = calloc(PLACES, sizeof(bool)), .incumbent = calloc(PLACES, sizeof(bool)), .candidate = calloc(PLACES, sizeof(bool)),
                             .same = calloc(PLACES, sizeof(bool)), .base_unknown = calloc(PLACES, sizeof(bool)), .counted = calloc(PLACES, sizeof(size_t)), .labels = calloc(TEXTS, sizeof(char *)),
                             .first = {0, PLACES, 2 * PLACES}};
    return b;
}

static void bench_free(bench *b) {
    free(b->l.verdicts);
    held_out_result_free(&b->r);
    free(b);
}

/* Asks, has a reviewer accept what says "right", and asks again. */
static bench *bench_judged(stand *x, const said *all, int64_t rules, int64_t labels) {
    bench *b = bench_new(x, all, rules, labels);
    assert_ok(x->ctx, loop_ask_about_held_out(&b->l, &b->r));
    if (!b->l.waiting)
        return b;
    bench_free(b);
    assert_true(review(x, "held_out", "t.body = 'right'", SIZE_MAX) > 0);
    stand_again(x);
    b = bench_new(x, all, rules, labels);
    assert_ok(x->ctx, loop_ask_about_held_out(&b->l, &b->r));
    assert_false(b->l.waiting);
    return b;
}

static int64_t count_asked(stand *x, const char *text) {
    return stand_count(x, arena_printf(x->memory, "SELECT count(*) FROM review_item i JOIN text t ON t.id = i.response WHERE t.body LIKE '%s'", text));
}

/* Where incumbent and candidate say the same nobody is asked, whatever the base said, and the query counts all the same. Runs begun before ask once. */
static void gate__same_words__need_nobody(void **state) {
    (void)state;
    static const said all[PLACES] = {{{"alike", "alike", "alike"}}, {{"other", "like", "like"}}, {{"", "", ""}}, {{"wrong", "wrong", "right"}},
                                     {{"right", "right", "wrong"}}, {{"wrong", "", "right"}},    {{"right", "right", "right"}}};
    for (int64_t rules = 6; rules <= 7; rules++) {
        stand *x = stand_new(NULL);
        bench *b = bench_judged(x, all, rules, 100);
        const bool old = rules == 6;
        assert_int_equal(count_asked(x, "%like"), old ? 2 : 0);
        assert_int_equal(count_asked(x, "%"), old ? 10 : 6);
        assert_int_equal(stand_count(x, "SELECT count(*) FROM label"), old ? 10 : 6);
        for (size_t i = 0; i < PLACES; i++) {
            assert_int_equal(b->r.counted[i], 0);
            assert_int_equal(b->r.same[i], !old && (i < 2 || i == 6)); /* no answer is a wrong one, and that is known */
        }
        assert_int_equal(b->r.n_people, old ? 7 : 4);
        assert_int_equal(b->r.n_labels, old ? 8 : 5); /* of what the gate compares, one a verdict */
        assert_true(b->l.asked == (old ? 10 : 6) && b->l.labels_used == b->l.asked);
        assert_int_equal(b->r.n_asked, 7);
        assert_true(!b->r.incumbent[3] && b->r.candidate[3] && b->r.incumbent[4] && !b->r.candidate[4] && !b->r.incumbent[5] && b->r.candidate[5]);
        assert_int_equal(b->r.candidate[6], old);
        bench_free(b);
        stand_free(x);
    }
}

/* A part is drawn by the run's seed, with the chance that each query had; who skips costs no label and leaves nothing known. */
static void gate__part__is_drawn_and_a_skip_costs_nothing(void **state) {
    (void)state;
    static const said all[PLACES] = {{{"a", "a", "right"}}, {{"b", "b", "c"}}, {{"a", "a", "right"}}, {{"b", "b", "c"}}, {{"a", "a", "right"}}, {{"a", "a", "b"}}, {{"c", "c", "d"}}};
    stand *x = stand_new(NULL);
    size_t n_sorted = 0;
    for (int judged = 0; judged < 2; judged++) {
        bench *b = bench_new(x, all, 7, 100);
        b->config.human.gate_items = 3;
        assert_ok(x->ctx, loop_ask_about_held_out(&b->l, &b->r));
        assert_int_equal(b->l.waiting, !judged);
        assert_int_equal(b->l.asked, 6);
        assert_int_equal(b->r.n_asked, 3);
        for (size_t i = 1; i < PLACES && judged; i++)
            n_sorted += b->r.left_to_people[i] > b->r.left_to_people[i - 1];
        for (size_t i = 0; i < PLACES && judged; i++)
            assert_int_equal(b->r.counted[i], HELD_OUT_VERSIONS);
        assert_true(b->l.labels_used == 0 && b->r.n_people == 0 && b->l.n_verdicts == 0);
        bench_free(b);
        if (judged)
            continue;
        assert_int_equal(stand_count(x, "SELECT count(*) FROM review_item WHERE abs(propensity - 3.0 / 7) < 1e-9"), 6);
        json_t *items = NULL, *item;
        size_t i;
        assert_ok(x->ctx, store_query_json(x->store, "SELECT id FROM review_open", NULL, &items));
        json_array_foreach(items, i, item)
            answer_item(x, field_text(item, "id"), "skip");
        json_decref(items);
        stand_again(x);
    }
    assert_true(n_sorted < PLACES - 1);
    stand_free(x);
}

/* A candidate's answer that people skip is wrong: it would hide what is lost. One of the incumbent's leaves its query out, the base's need not be judged. */
static void gate__skipped_answer__costs_the_candidate_alone(void **state) {
    (void)state;
    static const said all[PLACES] = {{{"right", "right", "huh"}}, {{"wrong", "wrong", "huh"}}, {{"what", "wrong", "right"}}, {{"right", "huh", "right"}},
                                     {{"wrong", "what", "huh"}}, {{"wrong", "", "huh"}}, {{"what", "huh", "huh"}}};
    enum { LOST, NEITHER, GAINED, OUT, SAME };
    static const int want[PLACES] = {LOST, NEITHER, GAINED, OUT, OUT, NEITHER, SAME};
    for (int64_t rules = 11; rules <= 12; rules++) {
        stand *x = stand_new(NULL);
        bench *b = bench_new(x, all, rules, 100);
        json_t *items = NULL, *item;
        size_t k;
        assert_ok(x->ctx, loop_ask_about_held_out(&b->l, &b->r));
        bench_free(b);
        assert_ok(x->ctx, store_query_json(x->store, "SELECT o.id, t.body FROM review_open o JOIN text t ON t.id = o.response", NULL, &items));
        json_array_foreach(items, k, item) {
            const char *text = field_text(item, "body");
            answer_item(x, field_text(item, "id"), strcmp(text, "right") == 0 ? "accept" : strcmp(text, "wrong") == 0 ? "reject" : "skip");
        }
        json_decref(items);
        stand_again(x);
        b = bench_new(x, all, rules, 100);
        assert_ok(x->ctx, loop_ask_about_held_out(&b->l, &b->r));
        assert_false(b->l.waiting);
        for (size_t i = 0; i < PLACES; i++) {
            const int is = rules < 12 && want[i] != SAME ? OUT : want[i];
            assert_int_equal(b->r.counted[i], is == OUT ? HELD_OUT_VERSIONS : 0);
            assert_int_equal(b->r.same[i], is == SAME);
            assert_int_equal(b->r.incumbent[i], is == LOST);
            assert_int_equal(b->r.candidate[i], is == GAINED);
            assert_int_equal(b->r.base_unknown[i], is == GAINED);
        }
        assert_int_equal(b->r.n_people, rules < 12 ? 0 : 4);
        assert_true(b->r.skipped[HELD_OUT_BASE] == 1 && b->r.skipped[HELD_OUT_INCUMBENT] == 2 && b->r.skipped[HELD_OUT_CANDIDATE] == 4);
        bench_free(b);
        stand_free(x);
    }
}

/* What was said before of words stands, also where they are both versions' now. */
static void gate__same_words__that_were_judged__are_known(void **state) {
    (void)state;
    static const said all[PLACES] = {{{"wrong", "right", "right"}}, {{"a", "a", "a"}}, {{"a", "a", "a"}}, {{"a", "a", "a"}}, {{"a", "a", "a"}}, {{"a", "a", "a"}}, {{"", "", ""}}};
    held_out_verdict earlier[] = {{0, "wrong", "label 1", false}, {0, "right", "label 2", true}};
    stand *x = stand_new(NULL);
    bench *b = bench_new(x, all, 7, 100);
    b->l.verdicts = memcpy(calloc(2, sizeof *earlier), earlier, sizeof earlier);
    b->l.n_verdicts = b->l.verdict_capacity = 2;
    assert_ok(x->ctx, loop_ask_about_held_out(&b->l, &b->r));
    assert_false(b->l.waiting);
    assert_true(!b->r.same[0] && !b->r.base[0] && b->r.incumbent[0] && b->r.candidate[0]);
    assert_int_equal(b->r.n_people, 2);
    assert_int_equal(b->r.n_labels, 1); /* one verdict of both versions' words */
    assert_string_equal(b->r.labels[0], "label 2");
    bench_free(b);
    stand_free(x);
}

/* ---- a budget that cuts ---------------------------------------------------------------------------------------------------------------------- */

typedef struct orders {
    const bench *b;
    size_t budget, n, shortest;
    double share, gain; /* sums over the orders of a part's share of same words, and of its mean difference */
} orders;

static void count_part(orders *o, const size_t *places) {
    size_t room[TEXTS];
    picked questions = {room, 0};
    const size_t n = loop_questions_within(&o->b->l, &o->b->r, places, PLACES, o->budget, &questions);
    assert_true(questions.n <= o->budget);
    double same = 0, gain = 0;
    for (size_t i = 0; i < n; i++) {
        const answer *before = &o->b->l.held_out_answers.items[PLACES + places[i]], *after = before + PLACES;
        same += strcmp(before->text, after->text) == 0;
        gain += (double)(strcmp(after->text, "right") == 0) - (double)(strcmp(before->text, "right") == 0);
    }
    o->n++;
    o->shortest = n < o->shortest ? n : o->shortest;
    o->share += n ? same / (double)n : 0;
    o->gain += n ? gain / (double)n : 0;
}

static void each_order(orders *o, size_t *places, size_t from) {
    if (from == PLACES)
        count_part(o, places);
    for (size_t i = from; i < PLACES; i++) {
        const size_t first = places[from];
        places[from] = places[i];
        places[i] = first;
        each_order(o, places, from + 1);
        places[i] = places[from];
        places[from] = first;
    }
}

/* Over all orders of the draw the part that the budget allows shows on average what all queries would, although those on which nothing changed cost nothing and
 * those that were lost less than the gained. */
static void gate__part_cut_by_the_budget__is_right_on_average(void **state) {
    (void)state;
    static const said all[PLACES] = {{{"alike", "alike", "alike"}}, {{"like", "like", "like"}}, {{"right", "right", ""}}, {{"other", "wrong", "right"}},
                                     {{"a", "right", ""}}, {{"wrong", "wrong", "right"}}, {{"b", "c", "right"}}};
    stand *x = stand_new(NULL);
    bench *b = bench_new(x, all, 7, 100);
    for (size_t budget = 0; budget <= 11; budget++) {
        size_t places[PLACES] = {0, 1, 2, 3, 4, 5, 6};
        orders o = {.b = b, .budget = budget, .shortest = PLACES};
        each_order(&o, places, 0);
        assert_int_equal(o.n, 5040);
        assert_int_equal(o.shortest, budget < 3 ? 0 : budget < 6 ? 1 : budget < 8 ? 2 : budget < 10 ? 3 : budget < 11 ? 4 : PLACES);
        assert_close(o.share / (double)o.n, budget < 3 ? 0 : 2. / 7, 1e-9); /* the dearest query asks 3: with less nobody is asked */
        assert_close(o.gain / (double)o.n, budget < 3 ? 0 : 1. / 7, 1e-9);
    }
    bench_free(b);
    stand_free(x);
}

/* For the gate labels are kept back that people can give there: two of each query that nobody else can judge, at most gate_items of them. */
static void gate__labels_are_kept_back__for_what_people_judge(void **state) {
    (void)state;
    query held_out[] = {{.cell = SIZE_MAX}, {.cell = SIZE_MAX}, {.cell = 3}, {.cell = SIZE_MAX}, {.cell = SIZE_MAX}};
    run_config config = {.human = {.gate_items = 2}};
    cast c = {.config = &config, .rules = 5};
    loop l = {.c = &c, .config = &config, .held_out = {.items = held_out, .n = 5}, .n_file_held_out = 4}; /* the last one is no row of the user's */
    held_out[1].task = json_pack("{s{ss}}", "parameters", "verifier", "no_commas");
    config.human.backend = "queue";
    assert_int_equal(loop_gate_labels(&l), 4);
    config.human.gate_items = 1;
    assert_int_equal(loop_gate_labels(&l), 2);
    config.human.gate_items = 10;
    assert_int_equal(loop_gate_labels(&l), 4);
    c.rules = 4;
    assert_int_equal(loop_gate_labels(&l), 0);
    c.rules = 5;
    config.human.backend = "simulated"; /* answers from the verifier, which has nothing to say here */
    assert_int_equal(loop_gate_labels(&l), 0);
    json_decref(held_out[1].task);
}

/* Labels are kept back for the gate; without gate_items nobody is asked, nothing waits, and no gain can be shown. */
static void gate__of_a_short_budget__has_its_part(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *gate = NULL;
    const char *file = own_file(x, 90, 0, " to a child.");
    int64_t n_people = 0;
    json_t *summary = NULL;
    summary = run_well(x, run_yaml(x, file, 1, "labels: 60, gate_items: 5"));
    json_decref(summary);
    assert_int_equal(count_items(x, 1, "verdict"), 50);
    review(x, "verdict", "t.rowid % 2", SIZE_MAX);
    run_to_state(x, run_yaml(x, file, 1, "labels: 60, gate_items: 5"), "waiting", NULL);
    const int64_t accepted = stand_count(x, "SELECT count(*) FROM label WHERE source = 'human' AND value = 'pass'");
    assert_true(accepted > 5 && accepted < 45);
    assert_int_equal(stand_count(x, arena_printf(x->memory, "SELECT count(*) FROM event WHERE message = 'reviewers answered 50 questions: %lld answers accepted, 0 written,"
                                                            " 0 preferred to another'", (long long)accepted)), 1);
    assert_int_equal(stand_count(x, "SELECT count(DISTINCT query) FROM review_item WHERE kind = 'held_out'"), 5);
    stand_free(x);

    x = stand_new(NULL);
    file = own_file(x, 90, 0, " to a child.");
    begin(x, file, "labels: 200");
    run_to_state(x, run_yaml(x, file, 1, "labels: 200"), "done", &gate);
    assert_string_equal(judged_by(gate, "people", &n_people), "reject");
    assert_int_equal(count_items(x, 1, "held_out"), 0);
    json_decref(gate);
    stand_free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gate__where_only_people_can_judge__waits_for_them_and_promotes),
        cmocka_unit_test(gate__on_a_mixed_file__counts_both_and_leaves_skips_out),
        cmocka_unit_test(gate__candidate_with_the_same_words__asks_nobody),
        cmocka_unit_test(gate__same_words__need_nobody),
        cmocka_unit_test(gate__part__is_drawn_and_a_skip_costs_nothing),
        cmocka_unit_test(gate__skipped_answer__costs_the_candidate_alone),
        cmocka_unit_test(gate__same_words__that_were_judged__are_known),
        cmocka_unit_test(gate__part_cut_by_the_budget__is_right_on_average),
        cmocka_unit_test(gate__labels_are_kept_back__for_what_people_judge),
        cmocka_unit_test(gate__of_a_short_budget__has_its_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
