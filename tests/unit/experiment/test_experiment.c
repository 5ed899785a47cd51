/* Options of experiments: every number of every experiment is refused where it is out of bounds, also under "full", in one sentence that names the
 * file and the option. */
#include "experiment/experiment.h"
#include "test.h"
#include <unistd.h>

static agon_status no_model(agon_ctx *ctx, const char *name, char **path) {
    (void)path;
    return ctx_fail(ctx, AGON_ENOTFOUND, "no model '%s'", name);
}

/* The status of a file with this text, run no further than its plan. */
static agon_status plan_of(agon_ctx *ctx, const char *folder, const char *text) {
    char path[128];
    json_t *result = NULL;
    snprintf(path, sizeof path, "%s/x.yaml", folder);
    FILE *f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
    const experiment_request r = {.file = path, .output = folder, .plan_only = true, .find_model = no_model};
    agon_status s = experiment_run(ctx, &r, &result);
    json_decref(result);
    return s;
}

static void refused(agon_ctx *ctx, const char *folder, const char *experiment, const char *key, const char *value) {
    char text[256];
    const char *needed = strcmp(experiment, "weak-to-strong-rows") == 0 ? "data: rows.jsonl\nweak: w.gguf\n" : "";
    for (int full = 0; full < 2; full++) {
        snprintf(text, sizeof text, full ? "experiment: %s\n%sfull: {%s: %s}\n" : "experiment: %s\n%s%s: %s\n", experiment, needed, key, value);
        if (plan_of(ctx, folder, text) != AGON_EINVAL || !strstr(agon_error(ctx), key) || !strstr(agon_error(ctx), full ? "x.yaml: full" : "x.yaml"))
            fail_msg("%s, %s: %s%s: '%s'", experiment, key, value, full ? " under full" : "", agon_error(ctx));
    }
}

static void experiment__refuses_every_bad_number(void **state) {
    (void)state;
    char folder[] = "/tmp/agon-experiment-XXXXXX", command[64];
    assert_non_null(mkdtemp(folder));
    agon_ctx *ctx = test_ctx(1, NULL);
    size_t n = 0;
    for (size_t i = 0; experiment_at(i); i++) {
        json_t *options = json_loads(experiment_at(i)->defaults, 0, NULL), *value;
        const char *key;
        json_object_foreach(options, key, value) {
            if (json_is_number(value)) {
                refused(ctx, folder, experiment_at(i)->name, key, "-7");
                refused(ctx, folder, experiment_at(i)->name, key, "99999999999999999999999");
                n++;
            }
            if (json_is_array(value)) {
                refused(ctx, folder, experiment_at(i)->name, key, "[-7]");
                refused(ctx, folder, experiment_at(i)->name, key, "[[1]]");
            }
            const bool file = strcmp(key, "model") == 0 || strcmp(key, "learner_adapter") == 0 || (json_object_get(options, "data") && (!strcmp(key, "data") || !strcmp(key, "weak") || !strcmp(key, "strong")));
            if (json_is_string(value) && !file) /* which a plan may not look for */
                refused(ctx, folder, experiment_at(i)->name, key, "nonsense");
        }
        refused(ctx, folder, experiment_at(i)->name, "sede", "1");
        json_decref(options);
    }
    assert_true(n > 60);
    agon_ctx_free(ctx);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

static void experiment__refuses_batches_that_no_epoch_fills(void **state) {
    (void)state;
    char folder[] = "/tmp/agon-experiment-XXXXXX", command[64];
    assert_non_null(mkdtemp(folder));
    agon_ctx *ctx = test_ctx(1, NULL);
    assert_int_equal(plan_of(ctx, folder, "experiment: exo-dpo\nprompts: 16\nepochs: 1\nbatch: 17\n"), AGON_EINVAL);
    assert_non_null(strstr(agon_error(ctx), "batch is 17; it must be from 1 to the 16 prompts"));
    agon_ctx_free(ctx);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(experiment__refuses_every_bad_number),
        cmocka_unit_test(experiment__refuses_batches_that_no_epoch_fills),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
