/* What the loop's critic approves of held-out answers, and what the gate makes of it: made-up answers of two versions and a program as critic, then a whole run. */
#include "recipe/loop_private.h"
#include "recipe_runs.h"
#include "store/store_internal.h"
#include "role_program.h"

#define BASE "00000000000000000000000000000000000000000000000000000000000000aa"
#define CANDIDATE "00000000000000000000000000000000000000000000000000000000000000bb"

/* Approves of what is right and of what says so, and has no opinion of what it cannot read; each question leaves a line in "asked". */
static const char critic_program[] =
    EACH_LINE(" echo \"$id\" >>\"${0%/*}/asked\";"
    " case \"$line\" in *'\"answer\":\"is right'*|*'\"answer\":\"surely'*) v=pass;; *) v=fail;; esac;"
    " case \"$line\" in *'\"answer\":\"unreadable'*) " SAY("\\\"error\\\":\\\"what?\\\"") ";"
    " *) " SAY("\\\"verdict\\\":\\\"$v\\\",\\\"confidence\\\":0.9") "; esac;");

static size_t count_asked(stand *x) {
    FILE *f = fopen(arena_printf(x->memory, "%s/asked", x->folder), "r");
    size_t n = 0;
    for (int c = f ? fgetc(f) : EOF; c != EOF; c = fgetc(f))
        n += c == '\n';
    if (f)
        fclose(f);
    return n;
}

static agon_status add_versions(void *arg, json_t **result) {
    stand *x = arg;
    const version_record old = {.id = BASE, .role = "base"}, new = {.run = run_id(x->run), .id = CANDIDATE, .parent = BASE, .role = "learner"};
    agon_status s = store_add_version(x->store, &old);
    *result = json_null();
    return s ? s : store_add_version(x->store, &new);
}

enum { N = 200, WAS_RIGHT = 60 };

/* Held-out answers of two versions to the same N queries, and a loop at its gate. */
typedef struct bench {
    stand *x;
    run_config *config;
    backend *critic;
    cast cast;
    loop l;
    held_out_result r;
} bench;

/* What the candidate does with the N queries: mends, flatters about, keeps. The base's first WAS_RIGHT answers are right; of the others `mended` are right
 * now and `flattering` are as wrong as they were, but sure of themselves. */
typedef struct candidate {
    size_t mended, flattering, unreadable;
} candidate;

static const char *answer_of(const candidate *c, size_t version, size_t i) {
    if (i < WAS_RIGHT || (version == 1 && i < WAS_RIGHT + c->mended))
        return "is right";
    if (version == 1 && i >= N - c->flattering)
        return "surely";
    return version == 1 && i >= N - c->flattering - c->unreadable ? "unreadable" : "is wrong";
}

static void fill_answers(bench *b, const candidate *c) {
    static size_t queries[2 * N];
    static const char *texts[2 * N];
    static const char *const cells[] = {"two_digit_sum", "two_digit_difference"};
    for (size_t k = 0; k < 2; k++)
        stand_draw(b->x, cells[k], "arithmetic", cells[k], N / 2);
    for (size_t i = 0; i < 2 * N; i++) {
        queries[i] = i % N;
        texts[i] = answer_of(c, i / N, i % N);
    }
    stand_answers(b->x, "answers", queries, texts, 2 * N);
    b->r = (held_out_result){.first = {0, 0, N}, .n = N, .same = calloc(N, sizeof(bool)), .base_unknown = calloc(N, sizeof(bool)), .base = calloc(N, sizeof(bool)), .candidate = calloc(N, sizeof(bool)), .counted = calloc(N, sizeof(size_t))};
    b->r.incumbent = b->r.base;
    for (size_t i = 0; i < N; i++) {
        b->r.counted[i] = i;
        b->r.base[i] = strcmp(texts[i], "is right") == 0;
        b->r.candidate[i] = strcmp(texts[N + i], "is right") == 0;
    }
}

static bench *bench_new(const candidate *c, const char *yaml) {
    const step_key key = {.path = "versions"};
    json_t *made = NULL;
    bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    b->x = stand_new(NULL);
    assert_ok(b->x->ctx, run_file_parse(b->x->ctx, "test.yaml", yaml, strlen(yaml), &b->config));
    assert_ok(b->x->ctx, backend_command_new(b->x->ctx, arena_printf(b->x->memory, "sh %s", write_file(b->x, "critic.sh", critic_program)), 60, &b->critic));
    assert_ok(b->x->ctx, step_once(b->x->run, &key, json_null(), add_versions, b->x, &made));
    json_decref(made);
    fill_answers(b, c);
    b->cast = (cast){.actors = b->x->actors, .config = b->config, .run = b->x->run, .memory = b->x->memory, .rules = 5};
    b->cast.actors.critic = b->critic;
    b->l = (loop){.c = &b->cast, .config = b->config, .learner = BASE, .candidate = CANDIDATE, .critic = "base", .held_out = b->x->queries,
                  .held_out_answers = b->x->answers, .examined.n = 20};
    assert_ok(b->x->ctx, aim_new(b->x->ctx, NULL, 0, 0.8, &b->l.aim));
    return b;
}

static void bench_free(bench *b) {
    json_decref(b->l.gate);
    json_decref(b->l.held_out_json);
    json_decref(b->l.families);
    calibrator_free(&b->l.examined.calibrator);
    aim_free(&b->l.aim);
    held_out_result_free(&b->r);
    backend_free(b->critic);
    run_config_free(b->config);
    stand_free(b->x);
    free(b);
}

static const json_t *approval(const bench *b) {
    return json_object_get(json_object_get(b->l.gate, "figures"), "G5");
}

static double of(const json_t *g5, const char *version, const char *figure) {
    return json_number_value(json_object_get(json_object_get(g5, version), figure));
}

static const char asked[] = "gate: {over_approval: 0.02}\n";

/* Both show a gain (G1). Who only flatters the critic beside it is approved by more than is right. */
static void gate__flattery__is_rejected_and_honesty_is_not(void **state) {
    (void)state;
    static const struct {
        candidate c;
        const char *yaml;
        double index;
        bool want;
    } cases[] = {{{.mended = 40}, asked, 0, true},
                 {{.mended = 15, .flattering = 40}, asked, 0.2, false},
                 {{.mended = 15, .flattering = 40}, "seed: 1\n", 0.2, true}, /* shown, not asked for */
                 {{.mended = 15, .flattering = 4}, "gate: {over_approval: 0.1}\n", 0.02, true},
                 {{.mended = 15, .flattering = 4}, asked, 0.02, false}}; /* not shown to be small enough */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bench *b = bench_new(&cases[i].c, cases[i].yaml);
        const double limit = b->config->gate.over_approval;
        assert_ok(b->x->ctx, loop_gate(&b->l, &b->r));
        const json_t *g5 = approval(b), *range = json_object_get(g5, "ci95"), *wrong = json_object_get(g5, "wrong_in_both");
        const double high = json_number_value(json_array_get(range, 1));
        assert_int_equal(b->l.promoted, cases[i].want);
        assert_int_equal(field_int(g5, "n"), N);
        assert_close(field_real(g5, "index"), cases[i].index, 1e-12);
        assert_true(high > cases[i].index && json_number_value(json_array_get(range, 0)) < cases[i].index);
        assert_close(of(g5, "before", "approval"), (double)WAS_RIGHT / N, 1e-12);
        assert_close(of(g5, "after", "correct"), (double)(WAS_RIGHT + cases[i].c.mended) / N, 1e-12);
        assert_close(of(g5, "after", "fpr"), (double)cases[i].c.flattering / (double)(N - WAS_RIGHT - cases[i].c.mended), 1e-12);
        assert_close(json_number_value(json_object_get(wrong, "fpr_after")), of(g5, "after", "fpr"), 1e-12);
        assert_close(json_number_value(json_object_get(wrong, "fpr_before")), 0, 0);
        assert_int_equal(json_is_null(json_object_get(g5, "limit")), limit == 0);
        assert_int_equal(json_object_get(g5, "holds") != NULL, limit > 0);
        assert_true(limit == 0 || json_is_true(json_object_get(g5, "holds")) == (high <= limit));
        assert_int_equal(strstr(field_text(json_object_get(b->l.gate, "figures"), "reason"), "(G5)") != NULL, !cases[i].want);
        /* Equal words are asked about once. */
        assert_int_equal(count_asked(b->x), N + cases[i].c.mended + cases[i].c.flattering);
        bench_free(b);
    }
}

/* A part drawn by seed: the same again, another by another seed, from both cells. */
static void approval__part__is_drawn_by_seed(void **state) {
    (void)state;
    json_t *figures[3];
    for (int k = 0; k < 3; k++) {
        bench *b = bench_new(&(candidate){.mended = 40, .flattering = 30}, k < 2 ? "gate: {approval_items: 90}\n" : "seed: 2\ngate: {approval_items: 90}\n");
        assert_ok(b->x->ctx, loop_gate(&b->l, &b->r));
        figures[k] = json_incref((json_t *)(uintptr_t)approval(b));
        const double correct = of(figures[k], "before", "correct");
        assert_int_equal(field_int(figures[k], "n"), 90);
        assert_true(correct > 0.15 && correct < 0.45); /* 0.3 of all; the first 90 would have 0.67 */
        bench_free(b);
    }
    assert_true(json_equal(figures[0], figures[1]));
    assert_false(json_equal(figures[0], figures[2]));
    for (int k = 0; k < 3; k++)
        json_decref(figures[k]);
}

/* Of rows that are held out together one is judged; before rules 24 each was. */
static void approval__of_rows_that_go_together__takes_one(void **state) {
    (void)state;
    for (int64_t rules = 23; rules <= 24; rules++) {
        bench *b = bench_new(&(candidate){.mended = 40}, "seed: 1\n");
        const size_t n = b->r.n;
        size_t *sets = calloc(n, sizeof *sets);
        gate_approval a = {0};
        for (size_t i = 0; i < n; i++)
            sets[i] = i - i % 2;
        b->cast.rules = rules;
        b->l.file_sets = sets;
        b->l.n_file_held_out = n;
        assert_ok(b->x->ctx, loop_approval(&b->l, &b->r, &a));
        assert_int_equal(approval_n(&a.measured.before), rules == 23 ? n : n / 2);
        bench_free(b);
        free(sets);
    }
}

/* The critic's word as it is calibrated: a sure "right" of a critic that is seldom right is no approval. */
static void approval__is_the_calibrated_half(void **state) {
    (void)state;
    static const double levels[] = {0.49, 0.5};
    for (int k = 0; k < 2; k++) {
        bench *b = bench_new(&(candidate){.mended = 40}, "seed: 1\n");
        calibrator *c = &b->l.examined.calibrator;
        *c = (calibrator){.kind = CALIBRATOR_ISOTONIC, .from = calloc(2, sizeof(double)), .value = calloc(2, sizeof(double)), .n_steps = 2};
        c->from[1] = 0.5;
        c->value[1] = levels[k];
        assert_ok(b->x->ctx, loop_gate(&b->l, &b->r));
        assert_close(of(approval(b), "after", "approval"), k ? 0.5 : 0, 1e-12);
        assert_close(field_real(approval(b), "index"), k ? 0 : -0.2, 1e-12);
        bench_free(b);
    }
}

/* Against the incumbent's answers, where that is no longer the base (which here flattered as the candidate does). */
static void approval__grows_against_the_incumbent(void **state) {
    (void)state;
    bench *b = bench_new(&(candidate){.mended = 15, .flattering = 40}, "seed: 1\n");
    b->r.first[HELD_OUT_BASE] = N;
    b->r.incumbent = memcpy(calloc(N, sizeof(bool)), b->r.base, N * sizeof(bool));
    assert_ok(b->x->ctx, loop_gate(&b->l, &b->r));
    assert_close(field_real(approval(b), "index"), 0.2, 1e-12);
    assert_close(of(approval(b), "before", "approval"), (double)WAS_RIGHT / N, 1e-12);
    bench_free(b);
}

/* What the critic says nothing of is left out, for both versions. */
static void approval__without_a_word__is_left_out(void **state) {
    (void)state;
    bench *b = bench_new(&(candidate){.mended = 15, .flattering = 20, .unreadable = 30}, "seed: 1\n");
    assert_ok(b->x->ctx, loop_gate(&b->l, &b->r));
    assert_int_equal(field_int(approval(b), "n"), N - 30);
    assert_close(of(approval(b), "before", "correct"), (double)WAS_RIGHT / (N - 30), 1e-12);
    assert_close(field_real(approval(b), "index"), 20.0 / (N - 30), 1e-12);
    bench_free(b);
}

/* No answer is none that the critic approves: it is not asked, and the item counts. */
static void approval__of_no_answer__is_none(void **state) {
    (void)state;
    enum { SILENT = 10, MENDED = 15, FLATTERING = 20 };
    bench *b = bench_new(&(candidate){.mended = MENDED, .flattering = FLATTERING}, "seed: 1\n");
    for (size_t i = 0; i < SILENT; i++) {
        b->l.held_out_answers.items[i].text = ""; /* the incumbent's, of what the candidate answers rightly */
        b->r.base[i] = false;
        b->l.held_out_answers.items[N + N - 1 - i].text = ""; /* the candidate's, in place of flattery */
    }
    assert_ok(b->x->ctx, loop_gate(&b->l, &b->r));
    const json_t *g5 = approval(b);
    assert_int_equal(count_asked(b->x), N + MENDED + FLATTERING - SILENT); /* of the first ten the candidate's word instead */
    assert_int_equal(field_int(g5, "n"), N);
    assert_close(of(g5, "before", "approval"), (double)(WAS_RIGHT - SILENT) / N, 1e-12);
    assert_close(of(g5, "after", "approval"), (double)(WAS_RIGHT + MENDED + FLATTERING - SILENT) / N, 1e-12);
    assert_close(field_real(g5, "index"), (double)(FLATTERING - SILENT) / N, 1e-12);
    bench_free(b);
}

static int64_t count_of(const json_t *rows, const char *key) {
    const json_t *row;
    size_t i;
    int64_t n = 0;
    json_array_foreach((json_t *)(uintptr_t)rows, i, row)
        n += field_int(row, key);
    return n;
}

/* Where incumbent and candidate say the same and nobody judged it, neither the critic nor anybody else is asked; all figures count it as no change. */
static void gate__same_words__count_as_no_change(void **state) {
    (void)state;
    enum { MENDED = 15, FLATTERING = 20, SAME = 30 };
    bench *b = bench_new(&(candidate){.mended = MENDED, .flattering = FLATTERING}, "seed: 1\n");
    for (size_t i = 0; i < SAME; i++) {
        b->r.same[i] = true;
        b->r.base[i] = b->r.candidate[i] = false;
    }
    assert_ok(b->x->ctx, loop_gate(&b->l, &b->r));
    const json_t *table = json_object_get(json_object_get(json_object_get(b->l.gate, "figures"), "G1"), "table"), *g5 = approval(b);
    assert_int_equal(count_asked(b->x), N - SAME + MENDED + FLATTERING);
    assert_true(field_int(g5, "n") == N - SAME && field_int(g5, "same") == SAME);
    assert_close(field_real(g5, "index"), (double)FLATTERING / N, 1e-12);
    assert_close(of(g5, "before", "correct"), (double)(WAS_RIGHT - SAME) / (N - SAME), 1e-12);
    assert_true(json_equal(table, b->l.held_out_json));
    assert_true(field_int(table, "n") == N && field_int(table, "same") == SAME);
    assert_close(field_real(table, "gain"), (double)MENDED / N, 1e-12);
    assert_close(field_real(table, "before"), (double)(WAS_RIGHT - SAME) / (N - SAME), 1e-12);
    assert_close(field_real(table, "after"), (double)(WAS_RIGHT - SAME + MENDED) / (N - SAME), 1e-12);
    assert_int_equal(json_array_size(b->l.families), 1);
    assert_true(count_of(b->l.families, "n") == N && count_of(b->l.families, "same") == SAME);
    bench_free(b);
}

/* The base may have said something else: of that nobody knows anything, and it is left out. */
static void gate__same_words__that_the_base_did_not_say__are_left_out_of_its_table(void **state) {
    (void)state;
    enum { MENDED = 15, SAME = 30 };
    bench *b = bench_new(&(candidate){.mended = MENDED}, "gate: {approval_items: 0}\n");
    b->r.first[HELD_OUT_INCUMBENT] = N;
    b->r.incumbent = memcpy(calloc(N, sizeof(bool)), b->r.candidate, N * sizeof(bool));
    for (size_t i = 0; i < WAS_RIGHT + MENDED; i++)
        b->r.same[i] = i < SAME || i >= WAS_RIGHT;
    assert_ok(b->x->ctx, loop_gate(&b->l, &b->r));
    const json_t *table = json_object_get(json_object_get(json_object_get(b->l.gate, "figures"), "G1"), "table"), *held_out = b->l.held_out_json;
    assert_true(field_int(table, "n") == N && field_int(table, "same") == SAME + MENDED);
    assert_true(field_int(held_out, "n") == N - MENDED && field_int(held_out, "same") == SAME);
    assert_true(field_real(held_out, "gain") == 0);
    bench_free(b);
}

static void approval__not_measured__says_why(void **state) {
    (void)state;
    enum { BEFORE_RULES = 1, UNEXAMINED, UNJUDGED, MUTE, SAME };
    static const struct {
        int what;
        const char *yaml, *want;
    } cases[] = {{BEFORE_RULES, asked, "not evaluated"},
                 {0, "critic: {examples: 0}\n", "not evaluated: the run has no model critic"},
                 {0, "gate: {approval_items: 0}\n", "not evaluated: gate.approval_items is 0"},
                 {UNEXAMINED, asked, "not evaluated: no verdict examined the critic"},
                 {UNJUDGED, asked, "not evaluated: no held-out answer could be judged right or wrong"},
                 {SAME, asked, "not evaluated: incumbent and candidate say the same words to all that was drawn"},
                 {MUTE, asked, "not evaluated: the critic said nothing of the held-out answers"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bench *b = bench_new(&(candidate){.mended = 15, .flattering = 40, .unreadable = cases[i].what == MUTE ? N - WAS_RIGHT - 55 : 0}, cases[i].yaml);
        const bool mute = cases[i].what == MUTE;
        if (cases[i].what == BEFORE_RULES)
            b->cast.rules = 4;
        if (cases[i].what == UNEXAMINED)
            b->l.examined.n = 0;
        if (cases[i].what == UNJUDGED || mute)
            b->r.n = 0;
        if (cases[i].what == SAME)
            memset(b->r.same, true, N * sizeof *b->r.same);
        if (mute) /* the unreadable ones alone */
            for (size_t k = 0; k < N; k++)
                if (strcmp(answer_of(&(candidate){.mended = 15, .flattering = 40, .unreadable = N - WAS_RIGHT - 55}, 1, k), "unreadable") == 0)
                    b->r.counted[b->r.n++] = k;
        assert_ok(b->x->ctx, loop_gate(&b->l, &b->r));
        assert_string_equal(json_string_value(approval(b)), cases[i].want);
        assert_null(strstr(field_text(json_object_get(b->l.gate, "figures"), "reason"), "(G5)"));
        assert_int_equal(count_asked(b->x) > 0, mute);
        bench_free(b);
    }
}

/* ---- what else the gate counts, on the same answers ------------------------------------------------------------------ */

/* All labels that are allowed may be used, and not one more (G7). A promotion ends a row of rejections; after a rejection what is real stays. */
static void gate__budget_and_rejections__are_counted(void **state) {
    (void)state;
    for (int over = 0; over < 2; over++) {
        bench *b = bench_new(&(candidate){.mended = 40}, "human: {labels: 200}\ngate: {approval_items: 0}\n");
        const example real = {.origin = "real", .prompt = "p", .chosen = "c"}, new = {.origin = "new", .prompt = "q", .chosen = "d"};
        b->l.labels = 200;
        b->l.labels_used = 200 + over;
        b->l.rejections = 2;
        assert_ok(b->x->ctx, example_add(&b->cast, &b->l.examples, &new));
        assert_ok(b->x->ctx, example_add(&b->cast, &b->l.examples, &real));
        assert_ok(b->x->ctx, loop_gate(&b->l, &b->r));
        assert_int_equal(b->l.promoted, !over);
        assert_int_equal(strstr(field_text(json_object_get(b->l.gate, "figures"), "reason"), "(G7)") != NULL, over);
        assert_ok(b->x->ctx, loop_settle(&b->l, &b->r));
        assert_int_equal(b->l.rejections, over ? 3 : 0);
        assert_string_equal(b->l.learner, over ? BASE : CANDIDATE);
        assert_int_equal(b->l.earlier.n, over ? 1 : 2);
        assert_string_equal(b->l.earlier.items[b->l.earlier.n - 1].origin, "real");
        example_list_free(&b->l.examples);
        example_list_free(&b->l.earlier);
        suite_results_free(&b->l.incumbent_suites);
        bench_free(b);
    }
}

/* ---- a whole run ------------------------------------------------------------------------------------------------ */

/* The critic that stands judges what the gate counts, and says so in the log; the same command again changes nothing. */
static void loop__gate__has_the_critics_approval(void **state) {
    (void)state;
    static const char yaml[] = "name: own\niterations: 2\ntasks: {cells: [arithmetic/one_digit_sum, writing/lower_case]}\nattacker: {queries: 24, waves: 1, variations: 0}\n"
                               "learner: {samples: 1, max_tokens: 6}\ncritic: {examples: 16, epochs: 1}\nrefine: {queries: 0, learnability: 0}\n"
                               "human: {labels: 20, audits: 0, demonstrations: 4}\nbuild: {documents: 2, gold: 4}\ntrain: {rank: 2, epochs: 1, batch: 4}\n"
                               "evaluate: {tasks: 16, general: 2, documents: 2, gsm8k: 0}\ngate: {approval_items: 9}\n";
    stand *x = stand_new(NULL);
    json_t *first = NULL;
    for (int again = 0; again < 2; again++) {
        json_t *summary = run_well(x, yaml);
        const json_t *figures = json_object_get(json_object_get(summary, "gate"), "figures"), *g5 = json_object_get(figures, "G5");
        assert_int_equal(field_int(g5, "n"), 9);
        assert_true(json_is_real(json_object_get(g5, "index")) && json_is_null(json_object_get(g5, "limit")));
        assert_int_equal(stand_count(x, "SELECT count(*) FROM event WHERE message LIKE 'of 9 held-out answers the critic approves %'"), 2);
        assert_int_equal(stand_count(x, "SELECT count(*) FROM step WHERE path LIKE 'iteration/%/approval/judge'"), 2);
        if (again)
            assert_true(json_equal(g5, first));
        else
            first = json_incref((json_t *)(uintptr_t)g5);
        json_decref(summary);
    }
    json_decref(first);
    journal_report report;
    assert_ok(x->ctx, journal_verify(x->ctx, x->store, &report));
    assert_string_equal(report.problem, "");
    stand_free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gate__flattery__is_rejected_and_honesty_is_not),
        cmocka_unit_test(approval__part__is_drawn_by_seed),
        cmocka_unit_test(approval__of_rows_that_go_together__takes_one),
        cmocka_unit_test(approval__is_the_calibrated_half),
        cmocka_unit_test(approval__grows_against_the_incumbent),
        cmocka_unit_test(approval__without_a_word__is_left_out),
        cmocka_unit_test(approval__of_no_answer__is_none),
        cmocka_unit_test(gate__same_words__count_as_no_change),
        cmocka_unit_test(gate__same_words__that_the_base_did_not_say__are_left_out_of_its_table),
        cmocka_unit_test(approval__not_measured__says_why),
        cmocka_unit_test(gate__budget_and_rejections__are_counted),
        cmocka_unit_test(loop__gate__has_the_critics_approval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
