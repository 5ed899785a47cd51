/* The memory a run takes is told before it begins, and a run that cannot have it begins nothing. */
#include "actors.h"
#include "base/available.h"
#include "recipe/forecast.h"
#include "recipe/recipe.h"
#include "recipe/run_file.h"
#include "tiny_model.h"
#include "weights_fixtures.h"

static const char small[] = "critic: {examples: 8, epochs: 1}\nrefine: {queries: 2, samples: 1, learnability: 2}\n"
                            "train: {rank: 2, epochs: 1, batch: 2}\nbuild: {documents: 2, real_share: 0}\n"
                            "attacker: {queries: 4, variations: 0}\nevaluate: {tasks: 6, general: 2, documents: 2, gsm8k: 0}\n";

static run_config *config_of(agon_ctx *ctx, const char *text) {
    run_config *config = NULL;
    char path[2048];
    assert_ok(ctx, run_file_parse(ctx, "test.yaml", text, strlen(text), &config));
    golden_path(path, "tiny-text.gguf");
    config->model = strdup(path);
    return config;
}

static forecast forecast_of(agon_ctx *ctx, const model *m, const char *more) {
    char text[1024];
    forecast f;
    snprintf(text, sizeof text, "%s%s", small, more);
    run_config *config = config_of(ctx, text);
    assert_ok(ctx, forecast_run(ctx, m, config, NULL, 2, false, &f));
    run_config_free(config);
    return f;
}

static model *open_tiny(agon_ctx *ctx) {
    model *m = NULL;
    char path[2048];
    golden_path(path, "tiny-text.gguf");
    assert_ok(ctx, model_open(ctx, path, COMPUTE_BF16, &m));
    return m;
}

static void forecast__follows_the_run_file(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    model *m = open_tiny(ctx);
    forecast usual = forecast_of(ctx, m, "learner: {max_tokens: 16}\n"), longer = forecast_of(ctx, m, "learner: {max_tokens: 400}\n"),
             scripted = forecast_of(ctx, m, "learner: {backend: scripted, script: x}\n");
    for (phase p = 0; p < N_PHASES; p++) {
        assert_true(usual.phases[p].least > 0 && usual.phases[p].most >= usual.phases[p].least);
        assert_true(longer.phases[p].most > usual.phases[p].most);
    }
    assert_int_equal(scripted.phases[PHASE_GENERATION].most, 0); /* the model only judges and is trained */
    assert_true(scripted.phases[PHASE_TRAINING].most > 0);
    /* A query of the user's own counts with all of its tokens. */
    char path[] = "/tmp/agon-forecast-XXXXXX", more[128];
    int fd = mkstemp(path);
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
    assert_non_null(f);
    fprintf(f, "{\"query\": \"%0*d\", \"answer\": 1}\n", 300, 7);
    assert_int_equal(fclose(f), 0);
    snprintf(more, sizeof more, "learner: {max_tokens: 16}\ntasks: {file: %s}\n", path);
    forecast own = forecast_of(ctx, m, more);
    assert_true(own.phases[PHASE_TRAINING].most > usual.phases[PHASE_TRAINING].most);
    unlink(path);
    /* And so where the run has recorded it and the file is gone. */
    json_t *recorded = json_pack("[{ss}]", "text", "0");
    char digits[301];
    snprintf(digits, sizeof digits, "%0*d", 300, 7);
    json_object_set_new(json_array_get(recorded, 0), "text", json_string(digits));
    forecast known = {0};
    char whole[1024];
    snprintf(whole, sizeof whole, "%s%s", small, more);
    run_config *config = config_of(ctx, whole);
    assert_int_equal(forecast_run(ctx, m, config, NULL, 2, false, &known), AGON_ENOTFOUND);
    assert_ok(ctx, forecast_run(ctx, m, config, recorded, 2, false, &known));
    assert_int_equal(known.phases[PHASE_TRAINING].most, own.phases[PHASE_TRAINING].most);
    run_config_free(config);
    json_decref(recorded);
    /* In less room a phase takes less, and never less than it must. */
    ctx->memory_limit = memory_resident() + usual.phases[PHASE_TRAINING].least;
    forecast tight = forecast_of(ctx, m, "learner: {max_tokens: 16}\n");
    assert_true(tight.phases[PHASE_GENERATION].most <= usual.phases[PHASE_GENERATION].most);
    assert_true(tight.phases[PHASE_TRAINING].least <= tight.phases[PHASE_TRAINING].most);
    model_free(m);
    agon_ctx_free(ctx);
}

/* A trained attacker stays beside what the run trains, and asks with a rank of its own. */
static void forecast__counts_a_trained_attacker(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    model *m = open_tiny(ctx);
    fixture_folder folder = fixture_folder_new();
    run_config *config = config_of(ctx, small);
    forecast none, f[2];
    config->attacker.variations = 4;
    assert_ok(ctx, forecast_run(ctx, m, config, NULL, 2, false, &none));
    config->attacker.adapter = strdup(folder.path);
    for (size_t k = 0; k < 2; k++) {
        adapter *a = tiny_adapter(ctx, m, k ? 64 : 2, 5);
        assert_ok(ctx, adapter_export_peft(ctx, a, "tiny", folder.path));
        assert_ok(ctx, forecast_run(ctx, m, config, NULL, 2, false, &f[k]));
        assert_int_equal(f[k].kept, none.kept + adapter_bytes(a));
        adapter_free(a);
    }
    assert_int_equal(f[1].rank, none.rank); /* of what is trained */
    assert_true(f[1].phases[PHASE_GENERATION].least - f[1].kept > none.phases[PHASE_GENERATION].least - none.kept);
    fixture_remove(&folder);
    run_config_free(config);
    model_free(m);
    agon_ctx_free(ctx);
}

static void note_memory(void *arg, const recipe_progress *p) {
    json_t **seen = arg;
    if (!*seen && json_object_get(p->data, "memory"))
        *seen = json_deep_copy(json_object_get(p->data, "memory"));
}

/* Runs the loop in the stand's folder with `room` bytes beyond what the process has; *seen: the forecast told. */
static agon_status run_in(stand *x, size_t room, json_t **seen) {
    char text[1024];
    store *s = NULL;
    json_t *summary = NULL;
    snprintf(text, sizeof text, "name: tight\n%s", small);
    run_config *config = config_of(x->ctx, text);
    *seen = NULL;
    stand_close(x);
    assert_ok(x->ctx, store_open(x->ctx, x->folder, STORE_RUN, &s));
    x->ctx->memory_limit = room == SIZE_MAX ? room : memory_resident() + room;
    agon_status status = recipe_run(x->ctx, s, config, note_memory, seen, &summary);
    x->ctx->memory_limit = SIZE_MAX;
    store_close(s);
    run_config_free(config);
    json_decref(summary);
    stand_open(x);
    return status;
}

static void forecast__a_run_that_does_not_fit_begins_nothing(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    model *m = open_tiny(x->ctx);
    forecast f = forecast_of(x->ctx, m, "");
    json_t *seen = NULL;
    size_t least = 0;
    for (phase p = 0; p < N_PHASES; p++)
        least = f.phases[p].least > least ? f.phases[p].least : least;
    model_free(m);
    assert_int_equal(run_in(x, least / 2, &seen), AGON_ENOMEM);
    assert_non_null(strstr(agon_error(x->ctx), "test.yaml: "));
    assert_non_null(strstr(agon_error(x->ctx), " needs about "));
    assert_non_null(strstr(agon_error(x->ctx), "AGON_MEMORY"));
    assert_null(strchr(agon_error(x->ctx), '\n'));
    assert_null(seen);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM run WHERE name = 'tight'"), 0);
    assert_ok(x->ctx, run_in(x, SIZE_MAX, &seen));
    assert_true(json_integer_value(json_object_get(seen, "peak_mib")) > 0);
    assert_true(json_is_null(json_object_get(seen, "available_mib")));
    assert_true(json_is_string(json_object_get(seen, "phase")));
    json_decref(seen);
    stand_free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forecast__follows_the_run_file),
        cmocka_unit_test(forecast__counts_a_trained_attacker),
        cmocka_unit_test(forecast__a_run_that_does_not_fit_begins_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
