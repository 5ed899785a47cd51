/* agon.h, runs: the recipe of a run file in a workspace. */
#include "api/critiques.h"
#include "api/options.h"
#include "api/workspaces.h"
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/fp_environment.h"
#include "base/json.h"
#include "base/utf8.h"
#include "recipe/recipe.h"
#include "recipe/run_file.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

agon_run_options agon_run_options_default(void) {
    return (agon_run_options){.struct_size = sizeof(agon_run_options)};
}

agon_status agon_run_workspace(agon_ctx *ctx, const char *run_file, char **path) {
    FP_ENVIRONMENT();
    agon_status s = OPTIONS_GIVEN(ctx, {"the run file", run_file, 1}, {"the place for the path", path, 1});
    if (s)
        return s;
    const char *name = strrchr(run_file, '/');
    name = name ? name + 1 : run_file;
    const char *dot = strrchr(name, '.');
    size_t n = dot && dot != name ? (size_t)(dot - name) : strlen(name);
    buffer text = {0};
    if (n == 0)
        return ctx_fail(ctx, AGON_EINVAL, "'%.200s' does not name a run file", run_file);
    buffer_append(&text, name, n);
    buffer_text(&text, ".agon");
    if (!(*path = buffer_take(&text)))
        return ctx_no_memory(ctx);
    return AGON_OK;
}

typedef struct relay {
    agon_run_observer fn;
    void *arg;
} relay;

static void pass_on(void *arg, const recipe_progress *p) {
    const relay *to = arg;
    char *data = p->data ? json_dumps(p->data, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    const agon_progress out = {sizeof out, p->iteration, p->stage, p->done, p->total, p->unit, p->message, data};
    to->fn(to->arg, &out);
    free(data);
}

/* What the closing words point at: the workspace, a training example to ask `agon why` about, and open questions; and what the critiques are worth. */
static agon_status add_pointers(agon_ctx *ctx, store *s, const run_config *config, json_t *summary) {
    json_t *rows = NULL, *critiques = NULL, *parameters = json_pack("[s]", config->name);
    int64_t open = 0;
    agon_status status = store_query_json(s,
                                          "SELECT e.id FROM example e JOIN run r ON r.id = e.run WHERE r.name = ?1"
                                          " ORDER BY e.origin = 'new' DESC, e.rowid DESC LIMIT 1",
                                          parameters, &rows);
    if (!status)
        status = store_query_int(s, "SELECT count(*) FROM review_open", NULL, &open);
    json_decref(parameters);
    if (!status)
        status = critiques_of_run(ctx, s, config->name, &critiques);
    if (!status) {
        json_t *id = json_object_get(json_array_get(rows, 0), "id");
        if (json_object_set_new(summary, "workspace", utf8_json(store_folder(s))) != 0 ||
            json_object_set_new(summary, "example", id ? json_incref(id) : json_null()) != 0 ||
            json_object_set_new(summary, "model_option", config->model ? json_string(config->model) : json_null()) != 0 ||
            json_object_set_new(summary, "reviews", json_integer(open)) != 0 || json_object_set_new(summary, "critiques", critiques) != 0)
            status = ctx_no_memory(ctx);
    }
    json_decref(rows);
    return status;
}

/* The run file's model by path; a run whose roles are all played elsewhere needs none. */
static agon_status find_model(agon_ctx *ctx, run_config *config) {
    char *path = NULL;
    if (strcmp(config->attacker.by.backend, "local") != 0 && strcmp(config->learner.by.backend, "local") != 0 &&
        strcmp(config->critic.by.backend, "local") != 0)
        return AGON_OK;
    agon_status status = agon_model_find(ctx, config->model, &path);
    if (!status) {
        free(config->model);
        config->model = path;
    }
    return status;
}

/* Somebody's folder of other things is not made into a workspace. What a run killed at its first moment leaves is none of these. */
static agon_status check_folder(agon_ctx *ctx, const char *path) {
    char other[81] = "";
    bool ours = false;
    DIR *folder = opendir(path);
    for (struct dirent *e; folder && (e = readdir(folder));) {
        const char *name = e->d_name;
        if (strcmp(name, "agon.db") == 0)
            ours = true;
        else if (*name != '.' && strncmp(name, "agon.db-", 8) != 0 && strcmp(name, "lock") != 0 && strcmp(name, "objects") != 0)
            snprintf(other, sizeof other, "%.80s", name);
    }
    if (folder)
        closedir(folder);
    if (*other && !ours)
        return ctx_fail(ctx, AGON_EINVAL, "%s holds other things ('%s') and no workspace; give a folder that is empty or not there yet",
                        path, other);
    return AGON_OK;
}

agon_status agon_run(agon_ctx *ctx, const char *run_file, const agon_run_options *options, char **summary) {
    FP_ENVIRONMENT();
    agon_run_options o = agon_run_options_default();
    run_config *config = NULL;
    char *workspace = NULL;
    store *s = NULL;
    json_t *made = NULL;
    agon_status status = options_take(ctx, "agon_run_options", options, sizeof o, &o);
    relay to = {o.observer, o.arg};
    if (!status)
        status = OPTIONS_GIVEN(ctx, {"the run file", run_file, 1}, {"the place for the summary", summary, 1});
    if (!status)
        status = run_file_read(ctx, run_file, &config);
    if (!status)
        status = o.workspace ? agon_workspace_find(ctx, o.workspace, &workspace)
                                             : agon_run_workspace(ctx, run_file, &workspace);
    if (!status)
        status = check_folder(ctx, workspace);
    if (!status)
        status = store_open(ctx, workspace, STORE_RUN, &s);
    if (!status)
        status = find_model(ctx, config);
    if (!status)
        status = recipe_run(ctx, s, config, o.observer ? pass_on : NULL, &to, &made);
    if (!status)
        status = add_pointers(ctx, s, config, made);
    if (status)
        store_abandon(s);
    else
        store_close(s);
    free(workspace);
    run_config_free(config);
    if (status) {
        json_decref(made);
        return status;
    }
    return json_give_take(ctx, made, summary);
}
