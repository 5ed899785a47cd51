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

/* ---- what follows from it ------------------------------------------------------------------------------------------- */

static void scene_reacts(scene *s, const char *react, int64_t rules) {
    scene_new(s, SCRIPTED_PROMPTS);
    s->c.rules = rules;
    s->config.gate.react = (char *)(uintptr_t)react;
    s->config.build.real_share = 0.25;
    s->config.build.per_cell = 41;
    s->config.learner.temperature = 0.8;
}

static const char *id_of(const scene *s, const char *name) {
    const hash256 h = hash_text(name);
    char hex[HASH_HEX_SIZE];
    hash_hex(&h, hex);
    return arena_copy(s->x->memory, hex);
}

/* The same, and the gate has decided. */
static void step(scene *s, const char *name, backend *b, bool promoted) {
    const char *candidate = id_of(s, name);
    const version_record v = {.run = run_id(s->c.run), .id = candidate, .role = "learner", .iteration = s->c.actors.iteration + 1};
    assert_ok(s->x->ctx, store_add_version(s->x->store, &v));
    assert_ok(s->x->ctx, store_commit(s->x->store));
    next(s, candidate, b, promoted);
    s->l.promoted = promoted;
    if (promoted)
        snprintf(s->l.learner, sizeof s->l.learner, "%s", candidate);
    assert_ok(s->x->ctx, loop_react(&s->l));
}

static void expect_reaction(const scene *s, bool is) {
    assert_close(cast_real_share(&s->c), is ? 0.4 : 0.25, 1e-12);
    assert_close(cast_temperature(&s->c), is ? 0.9 : 0.8, 1e-12);
    assert_int_equal(cast_per_cell(&s->c), is ? 20 : 41);
}

static int64_t n_status(const scene *s, const char *version, const char *status) {
    return stand_count(s->x, arena_printf(s->x->memory, "SELECT count(*) FROM version_status WHERE version = '%s' AND status = '%s'", id_of(s, version), status));
}

static void react__yellow_then_red__goes_back_to_the_last_green_one(void **state) {
    (void)state;
    static const struct {
        const char *react;
        int64_t rules;
        bool data, back;
    } cases[] = {{"rollback", 11, true, true}, {"data", 11, true, false}, {"off", 11, false, false}, {"rollback", 10, false, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scene s;
        scene_reacts(&s, cases[i].react, cases[i].rules);
        step(&s, "first", play(s.x, 1, 40, 1), true);
        step(&s, "second", play(s.x, 2, 0, 1), true);
        expect_reaction(&s, false);
        step(&s, "third", play(s.x, 3, 27, 1), true); /* yellow */
        expect_reaction(&s, cases[i].data);
        assert_string_equal(s.l.learner, id_of(&s, "third"));
        const example was[] = {{.origin = "real"}, {.origin = "new"}};
        for (size_t k = 0; k < 2; k++)
            assert_ok(s.x->ctx, example_add(&s.c, &s.l.earlier, &was[k]));
        step(&s, "fourth", play(s.x, 12, 46, 1), false); /* red */
        expect_reaction(&s, cases[i].data);
        assert_string_equal(s.l.learner, id_of(&s, cases[i].back ? "second" : "third"));
        assert_int_equal(n_status(&s, "third", "rolled_back"), cases[i].back);
        assert_int_equal(n_status(&s, "second", "promoted"), cases[i].back);
        assert_int_equal(n_status(&s, "second", "rolled_back") + n_status(&s, "first", "rolled_back"), 0);
        assert_int_equal(s.l.earlier.n, cases[i].back ? 1 : 2);
        assert_int_equal(stand_count(s.x, "SELECT count(*) FROM step WHERE kind = 'react'"), cases[i].data ? 2 : 0);
        if (cases[i].back) { /* the older one is sampled again, and a green one ends the reaction */
            const char *sampled = arena_printf(s.x->memory, "SELECT count(*) FROM text WHERE kind = 'monitor' AND producer = '%s'", id_of(&s, "second"));
            const int64_t n = stand_count(s.x, sampled);
            step(&s, "fifth", play(s.x, 2, 0, 1), true);
            assert_string_equal(level(loop_watch_report(&s.l)), "green");
            assert_int_equal(stand_count(s.x, sampled), 2 * n);
            expect_reaction(&s, false);
        }
        example_list_free(&s.l.earlier);
        loop_ancestors_free(&s.l);
        scene_free(&s);
    }
}

/* Right more often in fewer different words: said, and an earlier agon made the next iteration another one for it. */
static void react__reversal__sets_nothing_off(void **state) {
    (void)state;
    for (int64_t rules = 16; rules <= 17; rules++) {
        const bool old = rules == 16;
        scene s;
        scene_reacts(&s, "rollback", rules);
        step(&s, "first", play(s.x, 1, 40, 1), true);
        step(&s, "second", play(s.x, 2, 0, 1), true);
        step(&s, "third", play(s.x, 3, 9, 2), true);
        const json_t *g4 = loop_watch_report(&s.l);
        assert_string_equal(level(g4), old ? "yellow" : "green");
        assert_true(json_is_string(json_object_get(json_object_get(json_object_get(g4, "incumbent"), "pass"), "reversal")));
        expect_reaction(&s, old);
        step(&s, "fourth", play(s.x, 12, 46, 2), false); /* red */
        assert_string_equal(s.l.learner, id_of(&s, old ? "second" : "third"));
        assert_ok(s.x->ctx, store_commit(s.x->store));
        assert_int_equal(stand_count(s.x, "SELECT count(*) FROM event WHERE message LIKE 'monitor: right more often than the incumbent, and %: a reversal, which sets nothing off'"), !old);
        loop_ancestors_free(&s.l);
        scene_free(&s);
    }
}

static void react__no_green_ancestor__goes_back_to_the_base(void **state) {
    (void)state;
    scene s;
    scene_reacts(&s, "rollback", 11);
    step(&s, "first", play(s.x, 2, 0, 1), false);
    step(&s, "second", play(s.x, 3, 27, 1), true);
    expect_reaction(&s, true);
    step(&s, "third", play(s.x, 12, 46, 1), false);
    assert_string_equal(s.l.learner, s.c.actors.base);
    assert_int_equal(n_status(&s, "second", "rolled_back"), 1);
    assert_int_equal(s.l.n_ancestors, 0);
    step(&s, "fourth", play(s.x, 2, 0, 1), true); /* against the base's first samples */
    assert_string_equal(level(loop_watch_report(&s.l)), "green");
    assert_null(json_object_get(loop_watch_report(&s.l), "incumbent"));
    loop_ancestors_free(&s.l);
    scene_free(&s);
}

/* Without a floor there may be no real data at all: none is asked for then. */
static void react__no_floor__gets_none(void **state) {
    (void)state;
    run_config config = {.build = {.per_cell = 1}, .learner = {.temperature = 1}};
    cast c = {.config = &config, .reacts = true};
    assert_close(cast_real_share(&c), 0, 0);
    config.build.real_share = 0.9;
    assert_close(cast_real_share(&c), 1, 0);
    assert_int_equal(cast_per_cell(&c), 1);
}

/* In a whole run: learning answers with commas, the learner forgets to do without. The next answers are sampled hotter; without the monitor, or off, as before. */
static void react__whole_run__samples_hotter(void **state) {
    (void)state;
    static const char *const gates[] = {"monitor_prompts: 16", "monitor_prompts: 16, react: off", "monitor_prompts: 0"};
    const char *hotter = "SELECT count(*) FROM step_item WHERE path LIKE 'iteration/%d/attack/%%/respond' AND json_extract(input, '$.temperature') > 0.85";
    for (size_t i = 0; i < 3; i++) {
        stand *x = stand_new(NULL);
        FILE *f = fopen(arena_printf(x->memory, "%s/own.jsonl", x->folder), "w");
        assert_non_null(f);
        for (int k = 0; k < 80; k++)
            fprintf(f, "{\"query\": \"Is %d a number?\", %s}\n", k, k % 4 ? "\"verifier\": \"no_commas\"" : "\"answer\": \"yes, it, is, one, of, them\"");
        assert_int_equal(fclose(f), 0);
        const char *plain = arena_printf(x->memory, yaml, x->folder, 0.02, 24, 16), *build = strstr(plain, "documents: 0}"), *gate = strstr(plain, "monitor_prompts");
        const char *text = arena_printf(x->memory, "iterations: 2\n%.*sreal_share: 0.9, %.*s%s}\n", (int)(build - plain), plain, (int)(gate - build), build, gates[i]);
        json_t *summary = run_well(x, text);
        assert_int_equal(stand_count(x, "SELECT count(*) FROM gate WHERE iteration = 1 AND json_extract(figures, '$.G4.level') = 'red'"), i < 2);
        assert_int_equal(stand_count(x, arena_printf(x->memory, hotter, 1)), 0);
        assert_int_equal(stand_count(x, arena_printf(x->memory, hotter, 2)) > 0, i == 0);
        assert_int_equal(stand_count(x, "SELECT count(*) FROM event WHERE iteration = 1 AND message LIKE 'after a red candidate: at least 100%% real data, temperature 0.9, at most 20 examples a cell'"), i == 0);
        const int64_t n_steps = stand_count(x, "SELECT count(*) FROM step");
        json_decref(summary);
        summary = run_well(x, text); /* a replay */
        assert_int_equal(stand_count(x, "SELECT count(*) FROM step"), n_steps);
        json_decref(summary);
        stand_free(x);
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
        cmocka_unit_test(react__yellow_then_red__goes_back_to_the_last_green_one),
        cmocka_unit_test(react__reversal__sets_nothing_off),
        cmocka_unit_test(react__no_green_ancestor__goes_back_to_the_base),
        cmocka_unit_test(react__no_floor__gets_none),
        cmocka_unit_test(react__whole_run__samples_hotter),
        cmocka_unit_test(monitor__prompts__are_drawn_and_kept_clear),
        cmocka_unit_test(monitor__a_version_that_hardly_moved__passes),
        cmocka_unit_test(monitor__without_prompts__is_not_evaluated),
        cmocka_unit_test(open_prompts__are_drawn_by_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
