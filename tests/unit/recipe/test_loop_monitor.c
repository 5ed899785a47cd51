/* The gate's monitor of collapse: scripted versions of which one says the same to everything, and whole runs of a tiny model. */
#include "recipe/loop_private.h"
#include "recipe/open_prompts.h"
#include "recipe_runs.h"
#include "role/prompt.h"
#include "store/store_internal.h"

static const char yaml[] = "name: watched\ntasks: {file: %s/own.jsonl}\nlearner: {samples: 1, max_tokens: 24}\ncritic: {examples: 0}\n"
                           "refine: {queries: 0, learnability: 0}\nhuman: {labels: 400, audits: 0, demonstrations: 80}\nbuild: {documents: 0}\n"
                           "train: {rank: 8, lr: %g, epochs: %d, batch: 8}\nevaluate: {general: 0, documents: 0, gsm8k: 0}\ngate: {monitor_prompts: %d}\n";

static void write_queries(stand *x, size_t n) {
    FILE *f = fopen(arena_printf(x->memory, "%s/own.jsonl", x->folder), "w");
    assert_non_null(f);
    for (size_t i = 0; i < n; i++)
        fprintf(f, "{\"query\": \"Is %zu a number?\", \"answer\": \"yes it is one of the numbers\"}\n", i);
    assert_int_equal(fclose(f), 0);
}

static json_t *run_loop(stand *x, double lr, int epochs, int prompts) {
    return run_well(x, arena_printf(x->memory, yaml, x->folder, lr, epochs, prompts));
}

static const json_t *figures(const json_t *summary) {
    return json_object_get(json_object_get(summary, "gate"), "figures");
}

/* In a whole run: asked of both versions, taught to nobody, the same again by a replay. */
static void monitor__a_version_that_hardly_moved__passes(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    write_queries(x, 80);
    json_t *summary = run_loop(x, 1e-7, 1, 16);
    const json_t *g4 = json_object_get(figures(summary), "G4"), *base = json_object_get(g4, "base");
    assert_true(json_is_true(json_object_get(g4, "holds")));
    assert_string_equal(field_text(g4, "level"), "green");
    assert_int_equal(json_array_size(json_object_get(base, "measures")), 10);
    assert_true(field_int(json_object_get(base, "pass"), "tasks") > 8);
    assert_null(json_object_get(g4, "incumbent")); /* which is the base */
    int64_t n = stand_count(x, "SELECT count(*) FROM text WHERE kind = 'monitor'");
    assert_int_equal(n, 2 * MONITOR_SAMPLES * field_int(json_object_get(base, "pass"), "tasks"));
    assert_int_equal(stand_count(x, "SELECT count(*) FROM example_text e JOIN text t ON t.id = e.text WHERE t.kind = 'monitor'"), 0);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM label l JOIN text t ON t.id = l.target WHERE t.kind = 'monitor' AND l.purpose <> 'gate'"), 0);
    json_t *again = run_loop(x, 1e-7, 1, 16);
    assert_true(json_equal(figures(again), figures(summary)));
    assert_int_equal(stand_count(x, "SELECT count(*) FROM text WHERE kind = 'monitor'"), n);
    json_decref(again);
    json_decref(summary);
    stand_free(x);
}

static void monitor__without_prompts__is_not_evaluated(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    write_queries(x, 40);
    json_t *summary = run_loop(x, 1e-7, 1, 0);
    assert_string_equal(field_text(figures(summary), "G4"), "not evaluated");
    assert_int_equal(stand_count(x, "SELECT count(*) FROM text WHERE kind = 'monitor'"), 0);
    json_decref(summary);
    stand_free(x);
}

/* ---- scripted versions ---------------------------------------------------------------------------------------------- */

enum { SCRIPTED_PROMPTS = 16, WORDS = 30 };

/* Answers to all open questions; `same` of a hundred say one thing, a task has a right answer `right` times of four. */
static backend *play(stand *x, uint64_t seed, unsigned same, size_t right) {
    json_t *answers = json_object(), *script = json_pack("{so ss}", "answers", answers, "default", "?");
    rng r = rng_new(seed);
    backend *b = NULL;
    char text[WORDS * 8];
    for (size_t i = 0; i < SCRIPTED_PROMPTS; i++) {
        json_t *list = json_array();
        for (size_t k = 0; k < MONITOR_SAMPLES; k++) {
            bool planted = rng_below(&r, 100) < same;
            char *to = text;
            for (int w = 0; w < WORDS; w++)
                to += sprintf(to, "w%d ", planted ? w : (int)rng_below(&r, 900));
            json_array_append_new(list, json_string(text));
        }
        json_object_set_new(answers, arena_printf(x->memory, "monitor/%zu", i), list);
    }
    for (size_t i = 0; i < x->queries.n; i++) {
        json_t *list = json_array(), *gold = json_object_get(x->queries.items[i].task, "parameters");
        long long sum = field_int(gold, "a") + field_int(gold, "b");
        for (size_t k = 0; k < MONITOR_SAMPLES; k++)
            json_array_append_new(list, json_string(k < right ? arena_printf(x->memory, "%lld", sum) : "no idea"));
        json_object_set_new(answers, x->queries.items[i].id, list);
    }
    assert_ok(x->ctx, backend_scripted_new(x->ctx, script, &b));
    json_decref(script);
    return b;
}

typedef struct scene {
    stand *x;
    cast c;
    run_config config;
    loop l;
} scene;

static agon_status write_templates(void *arg, json_t **result) {
    stand *x = arg;
    agon_status s = AGON_OK;
    for (size_t i = 0; i < prompt_n_templates() && !s; i++) {
        const prompt_template *t = prompt_template_at(i);
        const template_record r = {t->name, t->version, t->role, t->body};
        s = store_add_template(x->store, &r, NULL);
    }
    *result = json_null();
    return s;
}

/* n_prompts: open questions, and of the SCRIPTED_PROMPTS held-out tasks as many. */
static void scene_new(scene *s, int64_t n_prompts) {
    stand *x = stand_new(NULL);
    json_t *none = json_null(), *result = NULL;
    const step_key key = {.path = "begin", .kind = "begin"};
    assert_ok(x->ctx, step_once(x->run, &key, none, write_templates, x, &result));
    *s = (scene){.x = x, .config = {.seed = 1, .learner = {.max_tokens = 8}}};
    stand_draw(x, "held_out", "arithmetic", "one_digit_sum", SCRIPTED_PROMPTS);
    s->c = (cast){.actors = x->actors, .run = x->run, .config = &s->config, .memory = x->memory, .monitor_prompts = n_prompts, .rules = 5};
    s->l = (loop){.c = &s->c, .config = &s->config, .held_out = x->queries};
    snprintf(s->l.learner, sizeof s->l.learner, "base");
    assert_ok(x->ctx, aim_new(x->ctx, NULL, 0, 0.8, &s->l.aim));
    assert_ok(x->ctx, loop_watch_plan(&s->l));
}

static void scene_free(scene *s) {
    loop_watch_free(s->l.watch);
    aim_free(&s->l.aim);
    stand_free(s->x);
}

/* What the gate is told of a candidate played by b (taken). */
static json_t *next(scene *s, const char *candidate, backend *b, bool promoted) {
    actors_version *v = &s->c.actors.versions[s->c.actors.n_versions++];
    snprintf(v->id, sizeof v->id, "%s", candidate); /* no adapter: the script is the version */
    snprintf(s->l.candidate, sizeof s->l.candidate, "%s", candidate);
    s->c.actors.iteration++;
    s->c.actors.learner = b;
    assert_ok(s->x->ctx, loop_watch_candidate(&s->l));
    backend_free(b);
    if (promoted)
        loop_watch_promoted(&s->l);
    return loop_watch_report(&s->l);
}

static const char *level(const json_t *g4) {
    return field_text(g4, "level");
}

static void monitor__one_answer_to_everything__is_not_promoted(void **state) {
    (void)state;
    scene s;
    scene_new(&s, SCRIPTED_PROMPTS);
    json_t *g4 = next(&s, "first", play(s.x, 1, 0, 1), true);
    assert_string_equal(level(g4), "green"); /* base and candidate by one script */
    g4 = next(&s, "second", play(s.x, 2, 0, 2), true);
    assert_string_equal(level(g4), "green");
    assert_non_null(json_object_get(g4, "incumbent"));
    g4 = next(&s, "third", play(s.x, 3, 100, 4), false);
    assert_string_equal(level(g4), "red");
    assert_true(json_is_false(json_object_get(g4, "holds")));
    assert_non_null(strstr(field_text(g4, "reason"), "of its samples has fallen against the base"));
    assert_non_null(strstr(field_text(g4, "reason"), "distinct-"));
    assert_string_equal(field_text(json_object_get(json_object_get(g4, "base"), "pass"), "reversal"), "distinct-2");
    g4 = next(&s, "fourth", play(s.x, 4, 0, 3), false); /* after a rejection the incumbent is still the second */
    assert_string_equal(level(g4), "green");
    scene_free(&s);
}

/* Right at once where it is right, and never where it is not: pass@1 may rise, pass@4 falls. */
static void monitor__fewer_tasks_within_four_tries__are_red(void **state) {
    (void)state;
    scene s;
    scene_new(&s, SCRIPTED_PROMPTS);
    json_t *g4 = next(&s, "first", play(s.x, 1, 0, 2), true);
    g4 = next(&s, "second", play(s.x, 2, 0, 0), false);
    assert_string_equal(level(g4), "red");
    assert_non_null(strstr(field_text(g4, "reason"), "pass@k of its samples has fallen against the base, 0 after 1 (G4)"));
    scene_free(&s);
}

/* Yellow once is said, yellow for the second time in a row is red. */
static void monitor__yellow_twice_in_a_row__is_red(void **state) {
    (void)state;
    scene s;
    scene_new(&s, SCRIPTED_PROMPTS);
    json_t *g4 = next(&s, "first", play(s.x, 1, 40, 1), true); /* the base is not diverse itself, so that nothing is red against it */
    g4 = next(&s, "second", play(s.x, 2, 0, 1), true);
    assert_string_equal(level(g4), "green");
    g4 = next(&s, "third", play(s.x, 3, 27, 1), true);
    assert_string_equal(level(g4), "yellow");
    assert_true(json_is_true(json_object_get(g4, "holds")));
    g4 = next(&s, "fourth", play(s.x, 12, 46, 1), false);
    assert_string_equal(level(g4), "red");
    assert_non_null(strstr(field_text(g4, "reason"), "has fallen against the incumbent"));
    assert_non_null(strstr(field_text(g4, "reason"), "for the second time in a row (G4)"));
    scene_free(&s);
}

/* A green one in between ends the row, and what is only a reversal (pass@1 rose while words fell) is none of it. */
static void monitor__yellow_once_more__is_yellow(void **state) {
    (void)state;
    scene s;
    for (int k = 0; k < 2; k++) {
        scene_new(&s, SCRIPTED_PROMPTS);
        json_t *g4 = next(&s, "first", play(s.x, 1, 40, 1), true);
        g4 = next(&s, "second", play(s.x, 2, 0, 1), true);
        g4 = next(&s, "third", k ? play(s.x, 3, 9, 2) : play(s.x, 3, 27, 1), true);
        assert_string_equal(level(g4), "yellow");
        assert_int_equal(json_is_string(json_object_get(json_object_get(json_object_get(g4, "incumbent"), "pass"), "reversal")), k);
        if (k == 0) {
            g4 = next(&s, "fourth", play(s.x, 2, 0, 1), true);
            assert_string_equal(level(g4), "green");
        }
        g4 = next(&s, "fifth", k ? play(s.x, 12, 35, 2) : play(s.x, 3, 27, 1), false);
        assert_string_equal(level(g4), "yellow");
        assert_non_null(strstr(field_text(g4, "reason"), "has fallen against the incumbent"));
        scene_free(&s);
    }
}

/* Some of the tasks, drawn by seed, since the whole is sorted by cell; and nobody learns from the open questions. */
static void monitor__prompts__are_drawn_and_kept_clear(void **state) {
    (void)state;
    enum { SOME = 6 };
    scene s;
    open_prompts open;
    size_t later = 0;
    bool held_out = false;
    scene_new(&s, SOME);
    next(&s, "first", play(s.x, 1, 0, 1), false);
    assert_int_equal(stand_count(s.x, "SELECT count(DISTINCT parent) FROM text WHERE kind = 'monitor'"), SOME);
    for (size_t i = SOME; i < SCRIPTED_PROMPTS; i++)
        later += stand_count(s.x, arena_printf(s.x->memory, "SELECT count(*) FROM text WHERE kind = 'monitor' AND parent = '%s'", s.x->queries.items[i].id)) > 0;
    assert_true(later > 0);
    assert_ok(s.x->ctx, open_prompts_read(s.x->ctx, SOME, seed_derive(1, "monitor|open"), &open));
    for (size_t i = 0; i < SOME; i++) {
        assert_ok(s.x->ctx, contamination_has_text(s.x->ctx, s.l.aim.held_out, open.items[i], &held_out));
        assert_true(held_out);
    }
    open_prompts_free(&open);
    scene_free(&s);
}

static void open_prompts__are_drawn_by_seed(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    open_prompts all, some, same;
    size_t moved = 0;
    assert_ok(ctx, open_prompts_read(ctx, 1000000, 3, &all));
    assert_ok(ctx, open_prompts_read(ctx, 8, 3, &some));
    assert_ok(ctx, open_prompts_read(ctx, 8, 4, &same));
    assert_int_equal(all.n, 48);
    assert_int_equal(some.n, 8);
    for (size_t i = 0; i < 8; i++) {
        assert_string_equal(some.items[i], all.items[i]);
        moved += strcmp(some.items[i], same.items[i]) != 0;
    }
    assert_true(moved > 0);
    open_prompts_free(&all);
    open_prompts_free(&some);
    open_prompts_free(&same);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(monitor__one_answer_to_everything__is_not_promoted),
        cmocka_unit_test(monitor__fewer_tasks_within_four_tries__are_red),
        cmocka_unit_test(monitor__yellow_twice_in_a_row__is_red),
        cmocka_unit_test(monitor__yellow_once_more__is_yellow),
        cmocka_unit_test(monitor__prompts__are_drawn_and_kept_clear),
        cmocka_unit_test(monitor__a_version_that_hardly_moved__passes),
        cmocka_unit_test(monitor__without_prompts__is_not_evaluated),
        cmocka_unit_test(open_prompts__are_drawn_by_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
