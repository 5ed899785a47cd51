/* agon.h, experiments on small models. */
#include "api/options.h"
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/fp_environment.h"
#include "experiment/experiment.h"
#include <stdlib.h>
#include <string.h>

agon_experiment_options agon_experiment_options_default(void) {
    return (agon_experiment_options){.struct_size = sizeof(agon_experiment_options)};
}

bool agon_experiment_list(size_t i, const char **name, const char **summary) {
    const experiment *e = experiment_at(i);
    if (!e)
        return false;
    if (name)
        *name = e->name;
    if (summary)
        *summary = e->summary;
    return true;
}

/* The file's name without folder and ending. */
static agon_status default_output(agon_ctx *ctx, const char *file, char **out) {
    const char *name = strrchr(file, '/') ? strrchr(file, '/') + 1 : file, *dot = strrchr(name, '.');
    buffer text = {0};
    buffer_append(&text, name, dot && dot > name ? (size_t)(dot - name) : strlen(name));
    buffer_text(&text, ".out");
    if (!(*out = buffer_take(&text)))
        return ctx_no_memory(ctx);
    return AGON_OK;
}

agon_status agon_experiment(agon_ctx *ctx, const char *file, const agon_experiment_options *given, char **json) {
    FP_ENVIRONMENT();
    agon_experiment_options o = agon_experiment_options_default();
    char *folder = NULL;
    json_t *result = NULL;
    agon_status s = options_take(ctx, "agon_experiment_options", given, sizeof o, &o);
    if (!s)
        s = OPTIONS_GIVEN(ctx, {"the experiment's file", file, 1}, {"the place for the answer", json, 1});
    if (!s && !o.output)
        s = default_output(ctx, file, &folder);
    const experiment_request r = {.file = file, .output = o.output ? o.output : folder, .full = o.full, .plan_only = o.plan_only,
                                  .expected = o.expected, .say = o.on_line, .arg = o.arg,
                                  .find_model = agon_model_find};
    if (!s)
        s = experiment_run(ctx, &r, &result);
    char *text = result ? json_dumps(result, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    if (!s && !text)
        s = ctx_no_memory(ctx);
    json_decref(result);
    free(folder);
    if (s)
        free(text);
    else
        *json = text;
    return s;
}
