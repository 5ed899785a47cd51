/* agon.h, objectives on plain numbers. */
#include "api/dataset.h"
#include "api/options.h"
#include "base/ctx.h"
#include "base/fp_environment.h"
#include "base/json.h"
#include <stdlib.h>

agon_status agon_loss_json(agon_ctx *ctx, const char *name, const char *const *settings, size_t n_settings,
                           const char *request, size_t n, char **answer) {
    FP_ENVIRONMENT();
    const objective *o = NULL;
    double options[MAX_OBJECTIVE_OPTIONS] = {0};
    agon_status s = OPTIONS_GIVEN(ctx, {"the objective's settings", settings, n_settings}, {"the request", request, 1}, {"its length", request, n},
                                  {"the place for the answer", answer, 1});
    if (!s)
        s = objective_named(ctx, name, &o);
    if (!s)
        s = objective_configure(ctx, o, settings, n_settings, options);
    return s ? s : objective_loss_json(ctx, o, options, request, n, answer);
}

agon_status agon_objectives(agon_ctx *ctx, char **json) {
    FP_ENVIRONMENT();
    agon_status s = OPTIONS_GIVEN(ctx, {"the place for the answer", json, 1});
    if (s)
        return s;
    json_t *list = json_array();
    const objective *o;
    for (size_t i = 0; (o = objective_at(i)); i++) {
        json_t *options = json_array();
        for (const objective_option *p = o->options; p && p->name; p++)
            json_array_append_new(options, json_pack("{s:s,s:f,s:f,s:f,s:s}", "name", p->name, "default", p->value,
                                                     "min", p->min, "max", p->max, "help", p->help));
        json_array_append_new(
            list, json_pack("{s:s,s:s,s:o}", "name", o->name, "summary", o->summary, "options", options));
    }
    return json_give_take(ctx, list, json);
}
