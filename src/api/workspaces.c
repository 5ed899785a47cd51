/* agon.h, workspaces: finding one and reading it. */
#include "api/workspaces.h"
#include "api/options.h"
#include "api/critiques.h"
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/file.h"
#include "base/fp_environment.h"
#include "base/json.h"
#include "base/utf8.h"
#include "recipe/recipe.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- finding ------------------------------------------------------------------------------------------- */

static bool is_workspace_name(const char *name) {
    size_t n = strlen(name);
    return n > 5 && name[0] != '.' && strcmp(name + n - 5, ".agon") == 0 && folder_exists(name);
}

/* The only *.agon folder here. */
static agon_status find_here(agon_ctx *ctx, char **path) {
    DIR *dir = opendir(".");
    buffer names = {0};
    char *only = NULL;
    size_t n = 0;
    if (!dir)
        return ctx_fail(ctx, AGON_EIO, "the current folder cannot be read: %s", strerror(errno));
    for (const struct dirent *e; (e = readdir(dir));) {
        if (!is_workspace_name(e->d_name))
            continue;
        if (n++ == 0)
            only = strdup(e->d_name);
        if (n <= 5)
            buffer_printf(&names, "%s%s", n > 1 ? ", " : "", e->d_name);
    }
    closedir(dir);
    agon_status s = AGON_OK;
    if (n == 1 && only)
        *path = only;
    else if (n == 0)
        s = ctx_fail(ctx, AGON_ENOTFOUND,
                     "there is no *.agon folder here; name the workspace with --workspace DIR, or start one with agon run");
    else if (names.failed || !only)
        s = ctx_no_memory(ctx);
    else
        s = ctx_fail(ctx, AGON_EINVAL, "there are %zu workspaces here (%s%s); name one with --workspace DIR", n,
                     names.data, n > 5 ? ", ..." : "");
    if (s)
        free(only);
    buffer_free(&names);
    return s;
}

agon_status agon_workspace_find(agon_ctx *ctx, const char *workspace, char **path) {
    FP_ENVIRONMENT();
    agon_status s = OPTIONS_GIVEN(ctx, {"the place for the path", path, 1});
    if (s)
        return s;
    if (!workspace)
        return find_here(ctx, path);
    if (!*workspace)
        return ctx_fail(ctx, AGON_EINVAL, "the workspace is an empty text; name its folder, or nothing for the only *.agon folder here");
    char *copy = strdup(workspace);
    if (!copy)
        return ctx_no_memory(ctx);
    *path = copy;
    return AGON_OK;
}

agon_status workspaces_open(agon_ctx *ctx, const char *workspace, store_mode mode, store **out) {
    char *path = NULL;
    agon_status s = agon_workspace_find(ctx, workspace, &path);
    if (!s)
        s = store_open(ctx, path, mode, out);
    free(path);
    return s;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

static agon_status ask(agon_ctx *ctx, const char *workspace, agon_status (*question)(agon_ctx *, store *, const char *, json_t **),
                       const char *about, char **json) {
    store *s = NULL;
    json_t *out = NULL;
    agon_status status = OPTIONS_GIVEN(ctx, {"the place for the answer", json, 1});
    if (!status)
        status = workspaces_open(ctx, workspace, STORE_READ, &s);
    if (!status)
        status = question(ctx, s, about, &out);
    store_close(s);
    if (!status)
        return json_give_take(ctx, out, json);
    json_decref(out);
    return status;
}

/* The store's status and what its critiques are worth. */
static agon_status status_of(agon_ctx *ctx, store *s, const char *run, json_t **out) {
    json_t *critiques = NULL;
    agon_status status = store_status(s, run, out);
    if (!status)
        status = critiques_of_run(ctx, s, json_string_value(json_object_get(*out, "run")), &critiques);
    if (!status && json_object_set_new(*out, "critiques", critiques) != 0)
        status = ctx_no_memory(ctx);
    return status;
}

agon_status agon_status_json(agon_ctx *ctx, const char *workspace, const char *run, char **json) {
    FP_ENVIRONMENT();
    return ask(ctx, workspace, status_of, run, json);
}

static agon_status record_of(agon_ctx *ctx, store *s, const char *id, json_t **out) {
    agon_status status = store_show(s, id, out);
    json_t *alone = status ? NULL : json_pack("[O]", *out);
    if (!status)
        status = alone ? critiques_add_claims(ctx, s, alone) : ctx_no_memory(ctx);
    json_decref(alone);
    return status;
}

agon_status agon_show_json(agon_ctx *ctx, const char *workspace, const char *id, char **json) {
    FP_ENVIRONMENT();
    agon_status s = OPTIONS_GIVEN(ctx, {"the id", id, 1});
    return s ? s : ask(ctx, workspace, record_of, id, json);
}

static agon_status story_of(agon_ctx *ctx, store *s, const char *id, json_t **out) {
    agon_status status = store_why(s, id, out);
    return status ? status : critiques_add_claims(ctx, s, *out);
}

agon_status agon_why_json(agon_ctx *ctx, const char *workspace, const char *id, char **json) {
    FP_ENVIRONMENT();
    agon_status s = OPTIONS_GIVEN(ctx, {"the id", id, 1});
    return s ? s : ask(ctx, workspace, story_of, id, json);
}

agon_status agon_log_json(agon_ctx *ctx, const char *workspace, const char *run, int64_t after, size_t limit,
                          char **json) {
    FP_ENVIRONMENT();
    store *s = NULL;
    json_t *out = NULL;
    agon_status status = OPTIONS_GIVEN(ctx, {"the place for the answer", json, 1});
    if (!status)
        status = workspaces_open(ctx, workspace, STORE_READ, &s);
    if (!status)
        status = store_log(s, run, after, limit > INT32_MAX ? 0 : (int64_t)limit, &out);
    store_close(s);
    return status ? status : json_give_take(ctx, out, json);
}

/* ---- verify and unseal --------------------------------------------------------------------------------- */

static agon_status give_report(agon_ctx *ctx, const journal_report *r, json_t *again, char **json) {
    const json_t *problem = json_object_get(again, "problem");
    bool ok = r->ok && (!again || json_is_null(problem) || !problem);
    json_t *text = !r->ok ? utf8_json(r->problem) : problem ? json_incref((json_t *)(uintptr_t)problem) : json_null();
    json_t *out = json_pack("{sb so sI sI sI sI sI sI sO?}", "ok", ok, "problem", text ? text : json_string("(unreadable)"),
                            "runs", (json_int_t)r->n_runs, "steps", (json_int_t)r->n_steps, "items",
                            (json_int_t)r->n_items, "records", (json_int_t)r->n_records, "objects",
                            (json_int_t)r->n_objects, "unreferenced_objects", (json_int_t)r->n_unreferenced_objects,
                            "reexecuted", again);
    if (out && !again)
        json_object_set_new(out, "reexecuted", json_null());
    return json_give_take(ctx, out, json);
}

agon_status agon_verify_json(agon_ctx *ctx, const char *workspace, size_t sample, uint64_t seed, char **json) {
    FP_ENVIRONMENT();
    store *s = NULL;
    journal_report report = {0};
    json_t *again = NULL;
    char *path = NULL;
    agon_status status = OPTIONS_GIVEN(ctx, {"the place for the answer", json, 1});
    if (!status)
        status = agon_workspace_find(ctx, workspace, &path);
    if (status)
        return status;
    status = store_open(ctx, path, STORE_READ, &s);
    if (status == AGON_EFORMAT) { /* not to be opened is damage too */
        snprintf(report.problem, sizeof report.problem, "%.500s", agon_error(ctx));
        status = AGON_OK;
    } else if (!status) {
        status = journal_verify(ctx, s, &report);
    }
    /* What the journal says is only worth executing when the journal is whole. */
    if (!status && report.ok && sample > 0 && report.n_steps > 0)
        status = recipe_reexecute(ctx, s, NULL, sample, seed, &again);
    if (!status)
        status = give_report(ctx, &report, again, json);
    json_decref(again);
    store_close(s);
    free(path);
    return status;
}

agon_status agon_unseal_json(agon_ctx *ctx, const char *workspace, const char *run, char **json) {
    FP_ENVIRONMENT();
    store *s = NULL;
    json_t *out = NULL;
    agon_status status = OPTIONS_GIVEN(ctx, {"the place for the answer", json, 1});
    if (!status)
        status = workspaces_open(ctx, workspace, STORE_READ, &s);
    if (!status)
        status = recipe_unseal(ctx, s, run, &out);
    store_close(s);
    return status ? status : json_give_take(ctx, out, json);
}
