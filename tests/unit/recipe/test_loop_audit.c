/* Whose labels an audit speaks for at the gate (G6): by hand, and in whole runs of a tiny learner whose open answers a program as critic decides and
 * people audit. */
#include "recipe/loop_private.h"
#include "recipe_runs.h"
#include "role_program.h"
#include "store/store_internal.h"

static const char OLD[] = "critic-old", NEW[] = "critic-new";

typedef struct bench {
    stand *x;
    run_config config;
    cast cast;
    loop l;
} bench;

static bench *bench_new(int64_t rules) {
    bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    b->x = stand_new(NULL);
    b->cast = (cast){.actors = b->x->actors, .config = &b->config, .run = b->x->run, .memory = b->x->memory, .rules = rules};
    b->l = (loop){.c = &b->cast, .config = &b->config};
    return b;
}

static void bench_free(bench *b) {
    json_decref(b->l.automatic);
    example_list_free(&b->l.examples);
    answer_list_free(&b->l.answers);
    stand_free(b->x);
    free(b);
}

/* An answer that the verifier (critic NULL) or a critic passed, and that is learnt from if `learnt`. */
static answer *add(bench *b, const char *critic, bool learnt) {
    answer *x = answer_list_add(&b->l.answers);
    assert_non_null(x);
    snprintf(x->id, sizeof x->id, "answer-%zu", b->l.answers.n);
    snprintf(x->label, sizeof x->label, "label-%zu", b->l.answers.n);
    x->kind = "response";
    x->outcome = OUTCOME_PASS;
    x->critic = critic;
    x->source = critic ? "critic" : "verifier";
    if (!critic)
        snprintf(x->verification, sizeof x->verification, "seen");
    b->l.audited[critic ? AUDIT_CRITIC : AUDIT_VERIFIER].labels++;
    const example e = {.objective = "sft", .origin = "new", .prompt = "a", .chosen = "b", .labels = {arena_copy(b->x->memory, x->label)}, .n_labels = 1};
    if (learnt)
        assert_ok(b->x->ctx, example_add(&b->cast, &b->l.examples, &e));
    return x;
}

/* A person judges it again, as collect_reviews has it. */
static void audit(bench *b, answer *x, bool agrees) {
    audited *of = loop_audited_with(&b->l, x);
    x->automatic = x->outcome;
    x->outcome = agrees ? OUTCOME_PASS : OUTCOME_FAIL;
    x->source = "human";
    snprintf(x->label, sizeof x->label, "said of %.40s", x->id);
    of->n++;
    of->agreed += agrees;
}

static void check_row(const gate_audits *row, const char *version, size_t n_labels, size_t n, size_t n_agreed) {
    assert_true(version ? row->version && strcmp(row->version, version) == 0 : !row->version);
    assert_int_equal(row->n_labels, n_labels);
    assert_int_equal(row->n, n);
    assert_int_equal(row->n_agreed, n_agreed);
}

/* Two iterations, a critic each: of the first one's labels one is replayed, of which two were audited and are people's words now. */
static void audits__of_an_earlier_critic__are_its_own(void **state) {
    (void)state;
    for (int64_t rules = 14; rules <= 15; rules++) {
        bench *b = bench_new(rules);
        gate_audits *list = NULL;
        size_t n = 0;
        for (int i = 0; i < 6; i++)
            add(b, OLD, i == 0);
        add(b, NULL, true);
        assert_ok(b->x->ctx, loop_note_labels(&b->l));
        audit(b, &b->l.answers.items[0], true); /* the example of before carries the critic's label still */
        audit(b, &b->l.answers.items[1], false);
        audit(b, &b->l.answers.items[6], true);
        b->l.first_answer = b->l.answers.n;
        for (int i = 0; i < 4; i++)
            add(b, NEW, i < 3);
        audit(b, &b->l.answers.items[10], true);
        assert_ok(b->x->ctx, loop_note_labels(&b->l));
        answer *copy = answer_list_add(&b->l.answers); /* what was accepted late joins once more */
        assert_non_null(copy);
        *copy = b->l.answers.items[0];
        assert_ok(b->x->ctx, loop_gate_audits(&b->l, &list, &n));
        assert_int_equal(n, rules < 15 ? 2 : 3);
        check_row(&list[0], NULL, 1, 1, 1);
        if (rules < 15) {
            check_row(&list[1], NULL, 10, 3, 2);
        } else {
            check_row(&list[1], OLD, 1, 2, 1);
            check_row(&list[2], NEW, 3, 1, 1);
        }
        free(list);
        bench_free(b);
    }
}

/* A critic of which nothing is learnt, and a verifier whose labels nothing carries, need not show anything. */
static void audits__of_labels_that_teach_nobody__are_not_asked_for(void **state) {
    (void)state;
    bench *b = bench_new(15);
    gate_audits *list = NULL;
    size_t n = 0;
    add(b, OLD, false);
    add(b, NULL, false);
    assert_ok(b->x->ctx, loop_note_labels(&b->l));
    assert_ok(b->x->ctx, loop_gate_audits(&b->l, &list, &n));
    assert_int_equal(n, 1);
    check_row(&list[0], NULL, 0, 0, 0);
    free(list);
    bench_free(b);
}

/* ---- whole runs -------------------------------------------------------------------------------------------------- */

static const char pleased_critic[] = EACH_LINE(SAY("\\\"verdict\\\":\\\"pass\\\",\\\"confidence\\\":0.9,\\\"evidence\\\":\\\"so\\\""));

/* People say this of what is open of a kind, of the first n. How many were open. */
static int64_t review(stand *x, const char *kind, const char *verdict, size_t n) {
    json_t *items = NULL, *item, *word = json_pack("{ss}", "verdict", verdict);
    size_t i;
    assert_ok(x->ctx, store_query_json(x->store, arena_printf(x->memory, "SELECT id FROM review_open WHERE kind = '%s' ORDER BY id", kind), NULL, &items));
    const int64_t n_open = (int64_t)json_array_size(items);
    json_array_foreach(items, i, item)
        if (i < n)
            assert_ok(x->ctx, store_inbox_add(x->store, field_text(item, "id"), "reviewer-1", 3, word));
    json_decref(items);
    json_decref(word);
    return n_open;
}

/* Where the run waits, it says for what; else G6's row of the critic, borrowed. */
static const json_t *g6_critic(const json_t *summary) {
    return json_array_get(json_object_get(json_object_get(json_object_get(json_object_get(summary, "gate"), "figures"), "G6"), "critics"), 0);
}

static void must_wait(stand *x, const char *yaml, int iteration) {
    json_t *summary = run_well(x, yaml);
    assert_string_equal(field_text(summary, "state"), "waiting");
    assert_string_equal(field_text(json_object_get(summary, "version"), "status"), "candidate");
    assert_int_equal(stand_count(x, arena_printf(x->memory, "SELECT count(*) FROM gate WHERE iteration = %d", iteration)), 0);
    json_decref(summary);
}

static void check_critic(stand *x, const json_t *summary, int iteration, int64_t audits, int64_t agreed, int64_t open) {
    const json_t *row = g6_critic(summary);
    const int64_t labels = stand_count(x, arena_printf(x->memory, "SELECT count(*) FROM example e JOIN example_label k ON k.example = e.id JOIN label b ON b.id = k.label"
                                                                  " WHERE e.iteration = %d AND b.source = 'critic'", iteration));
    assert_string_equal(field_text(summary, "state"), "done");
    assert_true(labels > 0 && labels < stand_count(x, "SELECT count(*) FROM label WHERE source = 'critic'") + (iteration == 2));
    assert_int_equal(field_int(row, "labels"), labels);
    assert_int_equal(stand_count(x, arena_printf(x->memory, "SELECT count(*) FROM label WHERE source = 'critic' AND producer <> '%s'", field_text(row, "version"))), 0);
    assert_int_equal(field_int(row, "audits"), audits);
    assert_int_equal(field_int(row, "agreed"), agreed);
    assert_int_equal(field_int(row, "open"), open);
    assert_true(json_is_true(json_object_get(json_object_get(json_object_get(json_object_get(summary, "gate"), "figures"), "G6"), "holds")));
}

/* One critic throughout: the gate waits for its audits where they can change the verdict, and those of iteration 2 speak for its labels in iteration 3 too. */
static void run__a_critic_that_stands__gathers_audits(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    const char *file = own_file(x, 60, 0, ""), *critic = write_file(x, "critic.sh", pleased_critic);
    const char *yaml = "name: own\niterations: %d\ntasks: {file: %s}\nlearner: {samples: 1, max_tokens: 6}\n"
                       "critic: {backend: command, command: sh %s}\nrefine: {queries: 0, learnability: 0}\n"
                       "human: {backend: queue, labels: 400, audits: 10, demonstrations: 0}\ntrain: {rank: 2, epochs: 1, batch: 4}\n"
                       "build: {documents: 0, real_share: 0}\nevaluate: {general: 2, documents: 0, gsm8k: 0}\n"
                       "gate: {audit_agreement: 0.6, rejections: 9, monitor_prompts: 0}\n";
    json_decref(run_well(x, arena_printf(x->memory, yaml, 1, file, critic)));
    assert_true(review(x, "verdict", "accept", 200) >= 40);
    const char *second = arena_printf(x->memory, yaml, 2, file, critic), *third = arena_printf(x->memory, yaml, 3, file, critic);
    must_wait(x, second, 2);
    assert_int_equal(review(x, "audit", "accept", 8), 10);
    must_wait(x, second, 2); /* 8 of 10 would not do, 10 of 10 would */
    assert_int_equal(review(x, "audit", "accept", 1), 2);
    json_t *summary = run_well(x, second); /* 9 of 10 do */
    check_critic(x, summary, 2, 9, 9, 1);
    json_decref(summary);
    must_wait(x, third, 3);
    assert_int_equal(review(x, "audit", "reject", 1), 11);
    assert_int_equal(review(x, "audit", "skip", 1), 10);
    assert_int_equal(review(x, "audit", "accept", 9), 9);
    summary = run_well(x, third);
    check_critic(x, summary, 3, 19, 18, 0);
    json_decref(summary);
    summary = run_well(x, third); /* recorded: what is said later changes nothing */
    check_critic(x, summary, 3, 19, 18, 0);
    json_decref(summary);
    stand_free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(audits__of_an_earlier_critic__are_its_own),
        cmocka_unit_test(audits__of_labels_that_teach_nobody__are_not_asked_for),
        cmocka_unit_test(run__a_critic_that_stands__gathers_audits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
