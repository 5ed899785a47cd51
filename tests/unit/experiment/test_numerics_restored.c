/* A run file, its verification and an experiment compute in the numerics their file names, and leave the caller its own. */
#include "actors.h"
#include "experiment/experiment.h"
#include "recipe/recipe.h"
#include "recipe/run_file.h"

static const char run_yaml[] = "name: small\ntasks: {cells: [arithmetic/one_digit_sum]}\nattacker: {queries: 4, waves: 1, variations: 0}\n"
                               "learner: {samples: 1, max_tokens: 4}\ncritic: {examples: 0}\n"
                               "refine: {queries: 2, samples: 1, learnability: 0}\n"
                               "human: {labels: 8, audits: 0, demonstrations: 4, backend: simulated}\n"
                               "train: {rank: 2, epochs: 1, batch: 4}\nbuild: {gold: 4, documents: 2, real_share: 0}\n"
                               "evaluate: {tasks: 4, general: 2, documents: 2, gsm8k: 0}\n";

typedef struct seen {
    agon_ctx *ctx;
    size_t n[2]; /* lines, by the context's numerics at that time */
} seen;

static void on_progress(void *arg, const recipe_progress *progress) {
    (void)progress;
    seen *s = arg;
    s->n[s->ctx->numerics]++;
}

static void on_line(void *arg, const char *text) {
    (void)text;
    seen *s = arg;
    s->n[s->ctx->numerics]++;
}

static run_config *config_of(agon_ctx *ctx, const char *numerics, bool with_model) {
    run_config *config = NULL;
    char path[2048], yaml[2000];
    snprintf(yaml, sizeof yaml, "numerics: %s\n%s", numerics, run_yaml);
    assert_ok(ctx, run_file_parse(ctx, "test.yaml", yaml, strlen(yaml), &config));
    golden_path(path, with_model ? "tiny-text.gguf" : "no-such.gguf");
    config->model = strdup(path);
    return config;
}

/* Runs the file on a caller of the other numerics; the run's version (new), NULL where there is no model. */
static char *run_as(agon_numerics caller, const char *file, bool with_model) {
    stand *x = stand_new(NULL);
    seen during = {.ctx = x->ctx};
    json_t *summary = NULL, *report = NULL;
    store *s = NULL;
    char *version = NULL;
    stand_close(x);
    x->ctx->numerics = caller;
    assert_ok(x->ctx, store_open(x->ctx, x->folder, STORE_RUN, &s));
    run_config *config = config_of(x->ctx, file, with_model);
    agon_status status = recipe_run(x->ctx, s, config, on_progress, &during, &summary);
    assert_int_equal(status == AGON_OK, with_model);
    assert_int_equal(x->ctx->numerics, caller);
    if (with_model) {
        agon_numerics in_file = strcmp(file, "native") == 0 ? AGON_NUMERICS_NATIVE : AGON_NUMERICS_PORTABLE;
        assert_true(during.n[in_file] > 0 && during.n[!in_file] == 0);
        assert_true(x->ctx->cpu_checked[in_file]);
        assert_ok(x->ctx, recipe_reexecute(x->ctx, s, NULL, 8, 1, &report));
        assert_true(field_int(report, "executed") > 0 && field_int(report, "equal") == field_int(report, "executed"));
        assert_int_equal(x->ctx->numerics, caller);
        version = strdup(field_text(json_object_get(summary, "version"), "id"));
    }
    json_decref(report);
    json_decref(summary);
    run_config_free(config);
    store_close(s);
    stand_open(x);
    stand_free(x);
    return version;
}

static void run__leaves_the_caller_its_numerics(void **state) {
    (void)state;
    char *of_native = run_as(AGON_NUMERICS_NATIVE, "portable", true), *of_portable = run_as(AGON_NUMERICS_PORTABLE, "portable", true);
    assert_string_equal(of_native, of_portable); /* what the caller computes in decides nothing */
    free(of_native), free(of_portable);
    free(run_as(AGON_NUMERICS_PORTABLE, "native", true));
    assert_null(run_as(AGON_NUMERICS_NATIVE, "portable", false)); /* a run that fails, too */
}

static void experiment__leaves_the_caller_its_numerics(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    seen during = {.ctx = x->ctx};
    json_t *result = NULL;
    const char *path = arena_printf(x->memory, "%s/w2s.yaml", x->folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("experiment: weak-to-strong\nladder: [{width: 8, layers: 1}, {width: 16, layers: 1}]\n", f);
    assert_int_equal(fclose(f), 0);
    const experiment_request r = {.file = path, .output = arena_printf(x->memory, "%s/out", x->folder), .plan_only = true,
                                  .say = on_line, .arg = &during};
    x->ctx->numerics = AGON_NUMERICS_NATIVE;
    assert_ok(x->ctx, experiment_run(x->ctx, &r, &result));
    assert_true(during.n[AGON_NUMERICS_PORTABLE] > 0 && during.n[AGON_NUMERICS_NATIVE] == 0);
    assert_int_equal(x->ctx->numerics, AGON_NUMERICS_NATIVE);
    json_decref(result);
    stand_free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run__leaves_the_caller_its_numerics),
        cmocka_unit_test(experiment__leaves_the_caller_its_numerics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
