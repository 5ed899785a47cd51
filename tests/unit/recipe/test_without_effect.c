/* What no run may begin with, though one that was begun with it goes on: keys of a run file that change nothing in its recipe, and critics of the sealed
 * recipe that are played elsewhere. */
#include "../../actors.h"
#include "recipe/recipe.h"
#include "recipe/run_file.h"

#define SEALED "name: sealed\nrecipe: sealed\noracle: sealed\nhuman: {labels: 60, audits: 0, calibration: 20, demonstrations: 4, gate_items: 4}\n"

static const struct {
    const char *key, *line;
} given[] = {{"attacker.waves", "attacker: {waves: 2}\n"},           {"attacker.variations", "attacker: {variations: 4}\n"},
             {"critic.examples", "critic: {examples: 0}\n"},         {"refine.queries", "refine: {queries: 0}\n"},
             {"refine.samples", "refine: {samples: 1}\n"},           {"refine.form", "refine: {form: masked}\n"},
             {"refine.learnability", "refine: {learnability: 2}\n"}, {"build.gold", "build: {gold: 1}\n"},
             {"gate.rejections", "gate: {rejections: 2}\n"},
             {"gate.monitor_prompts", "gate: {monitor_prompts: 8}\n"},  {"gate.approval_items", "gate: {approval_items: 90}\n"},
             {"gate.critic", "gate: {critic: false}\n"},                {"attacker.adapter", "attacker: {adapter: nowhere}\n"}};
enum { N_GIVEN = sizeof given / sizeof *given };

/* As `agon run` does it, in the stand's folder, whose own run is closed meanwhile. There is no model: what is asked is said before one is opened. */
static agon_status run_text(stand *x, const char *yaml) {
    run_config *config = NULL;
    store *s = NULL;
    json_t *summary = NULL;
    assert_ok(x->ctx, run_file_parse(x->ctx, "test.yaml", yaml, strlen(yaml), &config));
    free(config->model);
    config->model = strdup("/nowhere/none.gguf");
    stand_close(x);
    assert_ok(x->ctx, store_open(x->ctx, x->folder, STORE_RUN, &s));
    agon_status status = recipe_run(x->ctx, s, config, NULL, NULL, &summary);
    json_decref(summary);
    store_close(s);
    run_config_free(config);
    char said[2048];
    snprintf(said, sizeof said, "%s", agon_error(x->ctx));
    stand_open(x);
    (void)ctx_fail(x->ctx, status, "%s", said);
    return status;
}

static void sealed__keys_without_effect__are_named(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    for (size_t i = 0; i < N_GIVEN; i++) {
        char want[200];
        snprintf(want, sizeof want, "test.yaml: %s has no effect in 'recipe: sealed'", given[i].key);
        assert_int_equal(run_text(x, arena_printf(x->memory, SEALED "%s", given[i].line)), AGON_EINVAL);
        if (strncmp(agon_error(x->ctx), want, strlen(want)) != 0)
            fail_msg("'%s' does not begin with '%s'", agon_error(x->ctx), want);
        /* the loop reads it */
        (void)!run_text(x, arena_printf(x->memory, "name: open\n%s", given[i].line));
        assert_null(strstr(agon_error(x->ctx), "no effect"));
    }
    assert_int_equal(run_text(x, SEALED), AGON_ENOTFOUND); /* the model: everything else is taken */
    assert_int_equal(stand_count(x, "SELECT count(*) FROM run"), 1); /* the stand's own */
    stand_free(x);
}

static const char *const elsewhere[] = {"critic: {backend: command, command: \"./critic\"}\n", "critic: {backend: scripted, script: critic.json}\n",
                                        "critic: {backend: remote, url: \"http://localhost:1/v1\", name: judge}\n"};
enum { N_ELSEWHERE = sizeof elsewhere / sizeof *elsewhere };

/* It would judge at the gate what was trained on its own word. */
static void sealed__critic_played_elsewhere__is_refused(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    for (size_t i = 0; i < N_ELSEWHERE; i++) {
        assert_int_equal(run_text(x, arena_printf(x->memory, SEALED "%s", elsewhere[i])), AGON_EINVAL);
        assert_non_null(strstr(agon_error(x->ctx), "test.yaml: critic.backend: the sealed recipe trains two critics"));
        assert_non_null(strstr(agon_error(x->ctx), "set 'critic: {backend: local}'"));
        (void)!run_text(x, arena_printf(x->memory, "name: open\n%s", elsewhere[i]));
        assert_null(strstr(agon_error(x->ctx), "critic.backend"));
    }
    stand_free(x);
}

/* A run that is there goes on with what it was begun with. */
static void sealed__a_run_begun_before__is_not_asked(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    const run_options o = {.name = "sealed", .seed = 1, .config = json_null()};
    run *earlier = NULL;
    run_end(x->run);
    assert_ok(x->ctx, run_begin(x->ctx, x->store, &o, &earlier));
    run_end(earlier);
    x->run = NULL;
    for (size_t i = 0; i < N_GIVEN; i++) {
        assert_int_equal(run_text(x, arena_printf(x->memory, SEALED "%s", given[i].line)), AGON_ENOTFOUND);
        assert_null(strstr(agon_error(x->ctx), "no effect"));
    }
    for (size_t i = 0; i < N_ELSEWHERE; i++)
        assert_int_equal(run_text(x, arena_printf(x->memory, SEALED "%s", elsewhere[i])), AGON_ENOTFOUND);
    stand_free(x);
}

/* What the repository shows gives none of them. */
static void sealed__examples__give_none(void **state) {
    (void)state;
    static const char *const files[] = {"examples/sealed.yaml", "bench/loop/sealed_small.yaml"};
    const char *root = getenv("AGON_SOURCE");
    agon_ctx *ctx = test_ctx(1, NULL);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[2048], section[32];
        run_config *config = NULL;
        snprintf(path, sizeof path, "%s/%s", root ? root : ".", files[i]);
        assert_ok(ctx, run_file_read(ctx, path, &config));
        for (size_t k = 0; k < N_GIVEN; k++) {
            const size_t n = strcspn(given[k].key, ".");
            snprintf(section, sizeof section, "%.*s", (int)n, given[k].key);
            assert_false(run_config_gives(config, section, given[k].key + n + 1));
        }
        run_config_free(config);
    }
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sealed__keys_without_effect__are_named),
        cmocka_unit_test(sealed__critic_played_elsewhere__is_refused),
        cmocka_unit_test(sealed__a_run_begun_before__is_not_asked),
        cmocka_unit_test(sealed__examples__give_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
