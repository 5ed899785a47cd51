/* See training_folder.h. */
#include "api/training_folder.h"
#include "api/result_files.h"
#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

agon_status training_folder_file(const training_folder *f, const char *name, char **out) {
    return (*out = path_join(f->path, name)) ? AGON_OK : ctx_no_memory(f->ctx);
}

agon_status training_folder_open(training_folder *f, const char *manifest) {
    agon_status s = folder_make(f->ctx, f->path);
    if (!s)
        s = training_folder_file(f, manifest, &f->manifest_path);
    if (s)
        return s;
    f->lock = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->lock < 0)
        return ctx_fail(f->ctx, AGON_EIO, "%s cannot be opened: %s", f->path, strerror(errno));
    if (flock(f->lock, LOCK_EX | LOCK_NB) != 0)
        return ctx_fail(f->ctx, AGON_EBUSY, "another training writes to %s", f->path);
    return AGON_OK;
}

void training_folder_close(training_folder *f) {
    json_decref(f->manifest);
    free(f->manifest_path);
    if (f->lock >= 0)
        close(f->lock);
}

agon_status training_folder_write(const training_folder *f) {
    char *text = json_dumps(f->manifest, JSON_INDENT(2));
    agon_status s = text ? file_write(f->ctx, f->manifest_path, text, strlen(text)) : ctx_no_memory(f->ctx);
    free(text);
    return s;
}

agon_status training_folder_damaged(agon_ctx *ctx, agon_status s, const char *path) {
    if (s != AGON_EFORMAT && s != AGON_EMISMATCH)
        return s;
    char shown[1024]; /* as sentences show it */
    utf8_escape(shown, sizeof shown, path, strlen(path));
    bool named = strstr(agon_error(ctx), shown) != NULL;
    return ctx_fail(ctx, s, "%s%s%s; --overwrite starts anew", named ? "" : path, named ? "" : ": ", agon_error(ctx));
}

agon_status training_folder_read(const training_folder *f, json_t **found) {
    return training_folder_damaged(f->ctx, json_read_file(f->ctx, f->manifest_path, found), f->manifest_path);
}

bool training_folder_lacks(const char *path, const char *manifest, const char *key) {
    char *file = path_join(path, manifest);
    json_t *found = file ? json_load_file(file, 0, NULL) : NULL; /* a damaged one is refused where it is read */
    const bool lacks = json_is_object(found) && !json_object_get(found, key);
    json_decref(found);
    free(file);
    return lacks;
}

const char *manifest_difference(json_t *found, json_t *wanted) {
    for (int way = 0; way < 2; way++) {
        const char *key;
        json_t *value;
        json_object_foreach(way ? wanted : found, key, value) {
            bool progress = strcmp(key, "done") == 0 || strcmp(key, "rounds") == 0 || strcmp(key, "validated") == 0 ||
                            strcmp(key, "summary") == 0;
            if (!progress && !json_equal(value, json_object_get(way ? found : wanted, key)))
                return key;
        }
    }
    return NULL;
}

/* AGON_EINVAL names the folder, the first difference and how to mend it. */
static agon_status check_same(const training_folder *f, json_t *found) {
    const char *key = manifest_difference(found, f->manifest);
    if (!key)
        return AGON_OK;
    char *was = json_dumps(json_object_get(found, key), JSON_ENCODE_ANY | JSON_COMPACT);
    char *is = json_dumps(json_object_get(f->manifest, key), JSON_ENCODE_ANY | JSON_COMPACT);
    agon_status s = ctx_fail(f->ctx, AGON_EINVAL, "%s holds a training with %s %.100s, not %.100s; give back what it was begun with, another output "
                             "folder, or --overwrite", f->path, key, was ? was : "left out", is ? is : "left out");
    free(was);
    free(is);
    return s;
}

agon_status training_folder_same_tokens(const training_folder *f, json_t *found, const char *rows, const char *by) {
    json_t *wanted = json_object_get(f->manifest, "tokens");
    const bool others = json_object_get(found, "tokens") && !json_equal(json_object_get(found, "tokens"), wanted);
    json_object_set(found, "tokens", wanted);
    agon_status s = check_same(f, found); /* other rows are other tokens too */
    if (!s && others)
        s = ctx_fail(f->ctx, AGON_EINVAL, "%s holds a training on other tokens of the same %s, by %s; give back what it was begun with, another output "
                     "folder, or --overwrite", f->path, rows, by);
    return s;
}

agon_status training_folder_no_input(const training_folder *f, const char *model, const char *adapter) {
    const bool is_model = file_same(f->path, model);
    if (!is_model && !(adapter && file_same(f->path, adapter)))
        return AGON_OK;
    return ctx_fail(f->ctx, AGON_EINVAL, "%s is where the %s is read from, which --overwrite would delete; give another output folder", f->path,
                    is_model ? "model" : "adapter");
}

/* An adapter of dimensions is known by its preference too, which a reader sets anew. */
static agon_status check_adapter(const training_folder *f, const model *base, const char *path, const char *id) {
    adapter *a = NULL;
    char own[HASH_HEX_SIZE];
    agon_status s = adapter_open(f->ctx, base, path, &a);
    if (!s && id && !adapter_n_dimensions(a)) {
        const hash256 h = adapter_hash(a);
        hash_hex(&h, own);
        if (strcmp(own, id) != 0)
            s = ctx_fail(f->ctx, AGON_EMISMATCH, "the adapter is another (%.12s) than was made (%.12s)", own, id);
    }
    adapter_free(a);
    return s;
}

static agon_status check_model(const training_folder *f, const model *base, const char *path) {
    model *m = NULL;
    agon_status s = model_open(f->ctx, path, model_dtype(base), &m);
    model_free(m);
    return s;
}

/* What is wrong with the result, and what mends it: nothing to go on from is kept of a training that is done. */
static agon_status unusable(const training_folder *f, agon_status s, const char *path) {
    if (s != AGON_EFORMAT && s != AGON_EMISMATCH && s != AGON_EINVAL && s != AGON_EUNSUPPORTED)
        return s;
    char *why = strdup(agon_error(f->ctx));
    s = why ? ctx_fail(f->ctx, s, "%s: the training is done, but what it made is damaged: %s; bring the file back, or train anew with --overwrite", path, why)
            : ctx_no_memory(f->ctx);
    free(why);
    return s;
}

agon_status training_folder_has_result(const training_folder *f, const model *base, const char *below, const json_t *made) {
    const int folder = below ? openat(f->lock, below, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : f->lock;
    const char *missing = folder >= 0 ? result_files_missing(folder, json_object_get(f->manifest, "dimensions") != NULL) : "what it made";
    const char *kind = json_string_value(json_object_get(made, "kind"));
    const bool is_model = kind && strcmp(kind, "hf") == 0;
    if (below && folder >= 0)
        close(folder);
    if (missing)
        return ctx_fail(f->ctx, AGON_ENOTFOUND, "%s%s%s: the training is done, but %s is gone; --overwrite trains anew", f->path, below ? "/" : "",
                        below ? below : "", missing);
    char *path = below ? path_join(f->path, below) : strdup(f->path);
    agon_status s = !path ? ctx_no_memory(f->ctx) : is_model ? check_model(f, base, path) : check_adapter(f, base, path, json_string_value(json_object_get(made, "id")));
    s = s ? unusable(f, s, path) : s;
    free(path);
    return s;
}

agon_status training_folder_finish_take(training_folder *f, json_t *summary, const char *of_call, char **text) {
    char *all = summary ? json_dumps(summary, JSON_COMPACT) : NULL;
    if (of_call)
        json_object_del(summary, of_call);
    json_object_set_new(f->manifest, "summary", summary);
    json_object_set_new(f->manifest, "done", json_true());
    agon_status s = all ? training_folder_write(f) : ctx_no_memory(f->ctx);
    if (s)
        free(all);
    else
        *text = all;
    return s;
}

agon_status training_folder_done(const training_folder *f, json_t *found, char **text) {
    json_t *summary = json_object_get(found, "summary");
    if (!json_is_object(summary))
        return ctx_fail(f->ctx, AGON_EFORMAT, "%s has no summary; --overwrite starts anew", f->manifest_path);
    json_object_set_new(summary, "already_done", json_true());
    return (*text = json_dumps(summary, JSON_COMPACT)) ? AGON_OK : ctx_no_memory(f->ctx);
}
