/* Run files, see run_file.h: what every run file must be; what its recipe asks of it stands in the recipe's own file. */
#include "recipe/run_file.h"
#include "base/ctx.h"
#include "base/file.h"
#include "base/nearest.h"
#include "base/yaml_read.h"
#include "recipe/recipe_private.h"
#include <stdlib.h>
#include <string.h>

/* The name stands in every table of the workspace and is shown in one line. */
static agon_status check_name(agon_ctx *ctx, const run_config *c) {
    enum { MOST = 100 };
    size_t n = strlen(c->name);
    for (size_t i = 0; i < n; i++)
        n = (unsigned char)c->name[i] < ' ' || c->name[i] == 127 ? 0 : n;
    if (n == 0 || n > MOST)
        return ctx_fail(ctx, AGON_EINVAL, "%s: 'name' must be 1 to %d bytes without control characters", c->source, (int)MOST);
    return AGON_OK;
}

/* What single values cannot show: keys that contradict one another. */
static agon_status check_together(agon_ctx *ctx, const run_config *c, const recipe *r) {
    int64_t parts = c->human.audits + c->human.demonstrations + c->human.calibration + 2 * c->human.gate_items;
    if (parts > c->human.labels)
        return ctx_fail(ctx, AGON_EINVAL,
                        "%s: human.audits + demonstrations + calibration + 2 x gate_items = %lld is more "
                        "than human.labels = %lld; raise labels or lower a part",
                        c->source, (long long)parts, (long long)c->human.labels);
    if (r->reads_rows != (c->train.data != NULL))
        return ctx_fail(ctx, AGON_EINVAL, "%s: 'recipe: train' and 'train: {data: FILE.jsonl}' go together", c->source);
    if (strcmp(r->oracle, c->oracle) != 0)
        return ctx_fail(ctx, AGON_EINVAL, "%s: 'recipe: sealed' and 'oracle: sealed' go together", c->source);
    if (c->verifier.command && !c->tasks.file)
        return ctx_fail(ctx, AGON_EINVAL, "%s: verifier.command judges your own queries; name them in 'tasks.file'", c->source);
    if (c->evaluate.documents == 1)
        return ctx_fail(ctx, AGON_EINVAL, "%s: evaluate.documents must be 0 or at least 2: an interval needs two", c->source);
    return AGON_OK;
}

static agon_status find_objective(agon_ctx *ctx, const run_config *c, const objective **out) {
    const char *names[64], *wanted = c->train.objective;
    size_t n = 0;
    for (; n < 64 && objective_at(n); n++)
        names[n] = objective_at(n)->name;
    if ((*out = objective_find(wanted)))
        return AGON_OK;
    const char *near = nearest_word(wanted, names, n);
    return ctx_fail(ctx, AGON_EINVAL, "%s: train.objective: there is no objective '%.60s'%s%s%s; agon train --help names them", c->source,
                    wanted, near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static agon_status check_settings(agon_ctx *ctx, const run_config *c, const objective *o) {
    double options[MAX_OBJECTIVE_OPTIONS];
    agon_status s = objective_configure(ctx, o, (const char *const *)c->train.set.items, c->train.set.n, options);
    char why[400];
    snprintf(why, sizeof why, "%s", agon_error(ctx));
    return s ? ctx_fail(ctx, s, "%s: train.set: %s", c->source, why) : AGON_OK;
}

static agon_status read_targets(agon_ctx *ctx, run_config *c) {
    agon_status s = lora_targets_read(ctx, (const char *const *)c->train.lora_targets.items, c->train.lora_targets.n, &c->train.targets);
    return s ? ctx_prefix(ctx, s, "%s: train.lora_targets", c->source) : AGON_OK;
}

static agon_status check(agon_ctx *ctx, run_config *c) {
    const recipe *r = NULL;
    const objective *o = NULL;
    agon_status s = recipe_find(ctx, c->recipe, &r);
    if (!s && r->presets)
        r->presets(c);
    if (!s)
        s = check_name(ctx, c);
    if (!s)
        s = check_together(ctx, c, r);
    if (!s)
        s = find_objective(ctx, c, &o);
    if (!s)
        s = r->check(ctx, c, o);
    if (!s)
        s = check_settings(ctx, c, o);
    return s ? s : read_targets(ctx, c);
}

agon_status run_file_parse(agon_ctx *ctx, const char *where, const char *text, size_t n, run_config **out) {
    run_config *config = NULL;
    agon_status s = run_config_parse(ctx, where, text, n, &config);
    if (!s)
        s = check(ctx, config);
    if (s)
        run_config_free(config);
    else
        *out = config;
    return s;
}

agon_status run_file_read(agon_ctx *ctx, const char *path, run_config **out) {
    char *text;
    size_t n;
    agon_status s = file_read(ctx, path, YAML_LIMIT, &text, &n);
    if (s)
        return s;
    s = run_file_parse(ctx, path, text, n, out);
    free(text);
    return s;
}

/* Values that the file did not have. */
static void drop_absent(json_t *object) {
    const char *name;
    json_t *value;
    void *next;
    json_object_foreach_safe(object, next, name, value) {
        if (json_is_null(value) || (json_is_array(value) && json_array_size(value) == 0))
            json_object_del(object, name);
        else if (json_is_object(value))
            drop_absent(value);
    }
}

/* JSON is YAML, so the reader of run files reads it. */
agon_status run_config_from_json(agon_ctx *ctx, const char *where, const json_t *json, const char *model,
                                 run_config **out) {
    json_t *copy = json_deep_copy(json);
    run_config *config = NULL;
    if (copy)
        drop_absent(copy);
    char *text = copy ? json_dumps(copy, 0) : NULL;
    agon_status s = text ? run_file_parse(ctx, where, text, strlen(text), &config)
                         : ctx_fail(ctx, AGON_EFORMAT, "%s is not JSON", where);
    if (!s && model && *model) {
        free(config->model);
        s = (config->model = strdup(model)) ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    }
    free(text);
    json_decref(copy);
    if (s)
        run_config_free(config);
    else
        *out = config;
    return s;
}
