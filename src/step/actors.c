/* The versions in play, see actors.h. */
#include "step/actors.h"
#include "base/ctx.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

void actors_free_versions(actors *a) {
    for (size_t i = 0; i < a->n_versions; i++)
        adapter_free(a->versions[i].adapter);
    a->n_versions = 0;
}

static agon_status load_version(actors *a, const char *version, adapter **out) {
    json_t *rows = NULL, *parameters = json_pack("[s]", version);
    void *data = NULL;
    size_t n = 0;
    hash256 object;
    agon_status s = json_made(a->ctx, parameters);
    if (!s)
        s = store_query_json(a->store, "SELECT object FROM model_version WHERE id = ?1 AND object IS NOT NULL",
                             parameters, &rows);
    if (!s && (json_array_size(rows) == 0 || !hash_parse(field_text(json_array_get(rows, 0), "object"), &object)))
        s = ctx_fail(a->ctx, AGON_ENOTFOUND, "this workspace has no trained version %s", version);
    if (!s && !a->model)
        s = ctx_fail(a->ctx, AGON_EUNSUPPORTED, "version %s needs the local model, and no role is local", version);
    if (!s)
        s = object_get(a->store, &object, &data, &n);
    if (!s)
        s = adapter_load(a->ctx, a->model, version, data, n, out);
    free(data);
    json_decref(rows);
    json_decref(parameters);
    return s;
}

agon_status actors_adapter(actors *a, const char *version, const adapter **out) {
    if (!version || !*version || strcmp(version, a->base) == 0) {
        *out = NULL;
        return AGON_OK;
    }
    for (size_t i = 0; i < a->n_versions; i++)
        if (strcmp(a->versions[i].id, version) == 0) {
            *out = a->versions[i].adapter;
            return AGON_OK;
        }
    if (a->n_versions == ACTORS_MAX_VERSIONS) /* the oldest is read again should it be asked for */
    {
        adapter_free(a->versions[0].adapter);
        memmove(a->versions, a->versions + 1, (ACTORS_MAX_VERSIONS - 1) * sizeof *a->versions);
        a->n_versions--;
    }
    actors_version *v = &a->versions[a->n_versions];
    agon_status s = load_version(a, version, &v->adapter);
    if (s)
        return s;
    snprintf(v->id, sizeof v->id, "%s", version);
    *out = v->adapter;
    a->n_versions++;
    return AGON_OK;
}

void actors_version_id(const actors *a, const adapter *adapter, char out[STORE_ID_SIZE]) {
    char hex[HASH_HEX_SIZE], text[2 * HASH_HEX_SIZE + 2];
    hash256 h = adapter_hash(adapter);
    hash_hex(&h, hex);
    snprintf(text, sizeof text, "%s|%s", a->base, hex);
    h = hash_text(text);
    hash_hex(&h, out);
}

backend *actors_backend(const actors *a, const char *role) {
    return strcmp(role, "attacker") == 0 ? a->attacker : strcmp(role, "critic") == 0 ? a->critic : a->learner;
}

/* ---- played elsewhere ----------------------------------------------------------------------------------- */

actors_external *actors_external_of(actors *a, const char *role) {
    return &a->externals[strcmp(role, "attacker") == 0 ? 0 : strcmp(role, "critic") == 0 ? 1 : 2];
}

agon_status actors_set_external_take(actors *a, const char *role, json_t *meta) {
    actors_external *x = actors_external_of(a, role);
    char *canonical = meta ? json_canonical(meta) : NULL;
    json_decref(x->meta);
    x->meta = meta;
    *x->id = 0;
    if (canonical) {
        const hash256 h = hash_text(canonical);
        hash_hex(&h, x->id);
    }
    free(canonical);
    return json_made(a->ctx, *x->id ? meta : NULL);
}

void actors_forget_externals(actors *a) {
    for (size_t i = 0; i < sizeof a->externals / sizeof *a->externals; i++) {
        json_decref(a->externals[i].meta);
        a->externals[i] = (actors_external){0};
    }
}

const char *actors_speaker(actors *a, const char *role, const char *version) {
    const actors_external *x = actors_external_of(a, role);
    return *x->id ? x->id : version;
}

agon_status actors_add_external(actors *a, const actors_external *x) {
    const version_record v = {.id = x->id, .role = "external", .meta = x->meta}; /* several runs may have it */
    return store_add_version(a->store, &v);
}

agon_status actors_producer(actors *a, const char *role, const char *version, const char **out) {
    const actors_external *x = actors_external_of(a, role);
    *out = actors_speaker(a, role, version);
    return *x->id ? actors_add_external(a, x) : AGON_OK;
}

void actors_progress(const actors *a, const actors_news *news) {
    if (a->progress)
        a->progress(a->progress_arg, news);
}

const char *field_text(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

int64_t field_int(const json_t *object, const char *key) {
    return json_integer_value(json_object_get(object, key));
}

double field_real(const json_t *object, const char *key) {
    const json_t *v = json_object_get(object, key);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

bool field_true(const json_t *object, const char *key) {
    return json_is_true(json_object_get(object, key));
}

agon_status json_made(agon_ctx *ctx, const json_t *value) {
    return value ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "no memory for a record, or its text is not UTF-8");
}

agon_status json_append(agon_ctx *ctx, json_t *list, json_t *value) {
    return json_made(ctx, json_array_append_new(list, value) == 0 ? list : NULL);
}
