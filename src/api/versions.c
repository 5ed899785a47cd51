/* agon.h, model versions of a workspace as adapters: "quickstart.agon" (the latest promoted) or "quickstart.agon:3fa9c1". */
#include "api/models.h"
#include "api/workspaces.h"
#include "base/ctx.h"
#include "base/file.h"
#include "base/hash.h"
#include <stdlib.h>
#include <string.h>

/* Splits a name; *folder new, NULL when it does not name a workspace. `id` points into `name`. */
static agon_status split(agon_ctx *ctx, const char *name, char **folder, const char **id) {
    const char *colon = strrchr(name, ':');
    char *database = NULL;
    *folder = NULL;
    for (int whole = 1; whole >= 0; whole--) { /* a folder's own name may hold a colon */
        if (!whole && !colon)
            break;
        size_t n = whole ? strlen(name) : (size_t)(colon - name);
        if (asprintf(&database, "%.*s/agon.db", (int)n, name) < 0)
            return ctx_no_memory(ctx);
        bool found = file_exists(database);
        free(database);
        if (!found)
            continue;
        *id = whole ? "" : colon + 1;
        *folder = strndup(name, n);
        return *folder ? AGON_OK : ctx_no_memory(ctx);
    }
    return AGON_OK;
}

static agon_status find_version(agon_ctx *ctx, store *s, const char *id, json_t **row) {
    json_t *rows = NULL, *parameters = json_pack("[s]", id);
    agon_status status = store_query_json(
        s, *id ? "SELECT id, object, base FROM model_version WHERE role <> 'external' AND substr(id, 1, length(?1)) = ?1 LIMIT 2"
               : "SELECT v.id, v.object, v.base FROM lineage l JOIN model_version v ON v.id = l.id"
                 " WHERE l.role = 'learner' AND l.status = 'promoted' AND ?1 = '' ORDER BY l.number DESC LIMIT 1",
        parameters, &rows);
    json_decref(parameters);
    if (status)
        return status;
    if (json_array_size(rows) == 1)
        *row = json_incref(json_array_get(rows, 0));
    else if (*id)
        status = ctx_fail(ctx, json_array_size(rows) ? AGON_EINVAL : AGON_ENOTFOUND,
                          json_array_size(rows) ? "%s: '%.64s' begins more than one version; give more digits"
                                                : "%s: there is no version '%.64s'; agon status lists them",
                          store_folder(s), id);
    else
        status = ctx_fail(ctx, AGON_ENOTFOUND, "%s: no version was promoted yet; name one as %s:ID", store_folder(s),
                          store_folder(s));
    json_decref(rows);
    return status;
}

/* An adapter on another base would load where shapes agree, and mean nothing. */
static agon_status check_base(agon_ctx *ctx, const model *m, const json_t *row) {
    const char *base = json_string_value(json_object_get(row, "base")), *id = json_string_value(json_object_get(row, "id"));
    hash256 hash;
    char hex[HASH_HEX_SIZE];
    agon_status s = base ? model_id(ctx, m, &hash) : AGON_OK;
    if (s || !base)
        return s;
    hash_hex(&hash, hex);
    return strcmp(hex, base) == 0
               ? AGON_OK
               : ctx_fail(ctx, AGON_EINVAL, "version %.12s sits on the base %.12s, but the model given is %.12s", id, base, hex);
}

static agon_status load(agon_ctx *ctx, store *s, const model *m, const char *name, const char *id, agon_adapter *out) {
    json_t *row = NULL;
    hash256 hash;
    void *data = NULL;
    size_t n = 0;
    agon_status status = find_version(ctx, s, id, &row);
    const char *object = json_string_value(json_object_get(row, "object"));
    if (!status && (!object || !hash_parse(object, &hash)))
        status = ctx_fail(ctx, AGON_EINVAL, "%s: that version is the base itself; leave the adapter away", name);
    if (!status)
        status = check_base(ctx, m, row);
    if (!status)
        status = object_get(s, &hash, &data, &n);
    if (!status)
        status = adapter_load(ctx, m, name, data, n, &out->a);
    if (!status)
        snprintf(out->version, sizeof out->version, "%s", json_string_value(json_object_get(row, "id")));
    free(data);
    json_decref(row);
    return status;
}

agon_status versions_adapter(agon_ctx *ctx, const model *m, const char *name, agon_adapter *out) {
    const char *id = "";
    store *s = NULL;
    agon_status status = split(ctx, name, &out->workspace, &id);
    if (status || !out->workspace)
        return status;
    status = store_open(ctx, out->workspace, STORE_READ, &s);
    if (!status)
        status = load(ctx, s, m, name, id, out);
    store_close(s);
    return status;
}
