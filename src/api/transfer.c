/* agon.h, models in and out: the cache of imported models, and export. */
#include "api/models.h"
#include "api/options.h"
#include "api/result_files.h"
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/file.h"
#include "base/fp_environment.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/utf8.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- import: checking ------------------------------------------------------------------------------------ */

typedef struct importing {
    agon_ctx *ctx;
    char source[PATH_MAX];
    const char *name;
    bool linked;
    char *folder, *target, *temporary; /* cache/models, .../NAME, .../.NAME.HEX.part */
    weights *w;
    tokenizer *t;
    hash256 id;
    uint64_t parameters, bytes;
} importing;

/* The last word of the path as it was given: what a link is called says more than what it leads to. "." and ".." are no words, and are resolved. */
static void name_of(const importing *im, const char *given, char out[256]) {
    size_t end = strlen(given), start;
    while (end > 1 && given[end - 1] == '/')
        end--;
    for (start = end; start > 0 && given[start - 1] != '/';)
        start--;
    if (end - start <= 2 && strncmp(given + start, "..", end - start) == 0) {
        const char *base = strrchr(im->source, '/');
        given = base ? base + 1 : im->source;
        start = 0;
        end = strlen(given);
    }
    snprintf(out, 256, "%.*s", (int)(end - start < 255 ? end - start : 255), given + start);
}

/* A name is one plain word of a path. */
static agon_status take_name(importing *im, const char *path, const char *name, char own[256]) {
    if (name && *name)
        snprintf(own, 256, "%.255s", name);
    else
        name_of(im, path, own);
    size_t n = strlen(own);
    if (!(name && *name) && n > 5 && strcmp(own + n - 5, ".gguf") == 0)
        own[n - 5] = 0;
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    if (!own[0] || own[0] == '.' || own[0] == '-' || own[strspn(own, letters)] || strlen(own) > 128)
        return ctx_fail(im->ctx, AGON_EINVAL, "'%.130s' is no name for a model: letters, digits, '.', '_' and '-', at most 128; "
                        "give another with --name", own);
    im->name = own;
    return AGON_OK;
}

/* Reads every value: a model that is taken in can be used. */
static agon_status check_tensors(importing *im) {
    size_t n = weights_n_tensors(im->w), largest = 1;
    for (size_t i = 0; i < n; i++) {
        tensor_info t = weights_tensor(im->w, i);
        size_t values = size_mul(t.n_rows, t.n_columns);
        im->parameters += values;
        largest = values > largest ? values : largest;
    }
    float *values = memory_new(largest, sizeof *values);
    agon_status s = values ? AGON_OK : ctx_no_memory(im->ctx);
    for (size_t i = 0; i < n && !s; i++) {
        tensor_info t = weights_tensor(im->w, i);
        s = weights_read(im->ctx, im->w, t.name, t.n_rows * t.n_columns, values);
        if (!s)
            s = ctx_check_interrupt(im->ctx);
    }
    free(values);
    return s;
}

static agon_status check_source(importing *im) {
    agon_status s = weights_open(im->ctx, im->source, &im->w);
    if (!s)
        s = tokenizer_new(im->ctx, im->w, &im->t);
    if (!s)
        s = check_tensors(im);
    return s ? s : weights_id(im->ctx, im->w, &im->id);
}

#ifndef FICLONE
#define FICLONE _IOW(0x94, 9, int)
#endif

/* ---- import: copying --------------------------------------------------------------------------------------- */

/* r's bytes into a new file: shared with it until one of both is written to, where the file system can do that, or else copied. */
static agon_status fill_file(importing *im, const byte_reader *r, int fd, const char *to) {
    enum { PIECE = 1 << 20 };
    agon_status s = AGON_OK;
    if (ioctl(fd, FICLONE, r->fd) != 0) {
        char *piece = malloc(PIECE);
        s = piece ? AGON_OK : ctx_no_memory(im->ctx);
        for (size_t at = 0, n; at < r->size && !s; at += n) {
            n = r->size - at < PIECE ? r->size - at : PIECE;
            s = ctx_check_interrupt(im->ctx);
            if (!s)
                s = byte_reader_read(im->ctx, r, at, piece, n);
            for (size_t done = 0; done < n && !s;) {
                const ssize_t wrote = write(fd, piece + done, n - done);
                if (wrote >= 0)
                    done += (size_t)wrote;
                else if (errno != EINTR)
                    s = file_fail(im->ctx, to, "writing");
            }
        }
        free(piece);
    }
    return s || fsync(fd) == 0 ? s : file_fail(im->ctx, to, "syncing");
}

/* *out: the new file, open; -1 after a failure. */
static agon_status take_file(importing *im, const char *from, const char *to, int *out) {
    byte_reader r;
    *out = -1;
    agon_status s = byte_reader_open(im->ctx, from, &r);
    if (s)
        return s;
    const bool linked = im->linked && linkat(AT_FDCWD, from, AT_FDCWD, to, AT_SYMLINK_FOLLOW) == 0;
    const int fd = linked ? open(to, O_RDONLY | O_CLOEXEC) : open(to, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
    if (fd < 0)
        s = file_fail(im->ctx, to, "creating");
    if (fd >= 0)
        (void)flock(fd, LOCK_EX | LOCK_NB); /* for sweep_killed */
    if (!s && !linked)
        s = fill_file(im, &r, fd, to);
    im->bytes += r.size;
    byte_reader_close(&r);
    if (s && fd >= 0)
        close(fd);
    else
        *out = fd;
    return s;
}

static bool is_wanted(const char *name) {
    static const char *const endings[] = {".json", ".safetensors", ".jinja", ".txt", ".model", ".md", "LICENSE"};
    size_t n = strlen(name);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t m = strlen(endings[i]);
        if (name[0] != '.' && n >= m && strcmp(name + n - m, endings[i]) == 0)
            return true;
    }
    return false;
}

/* *out: the new folder, open. */
static agon_status take_folder(importing *im, int *out) {
    DIR *folder = opendir(im->source);
    *out = -1;
    if (!folder)
        return ctx_fail(im->ctx, AGON_EIO, "%s cannot be read: %s", im->source, strerror(errno));
    agon_status s = folder_make(im->ctx, im->temporary);
    if (!s && (*out = open(im->temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        s = file_fail(im->ctx, im->temporary, "opening");
    if (!s)
        (void)flock(*out, LOCK_EX | LOCK_NB);
    for (struct dirent *e; !s && (e = readdir(folder));) {
        char from[PATH_MAX], to[PATH_MAX];
        int fd = -1;
        if (!is_wanted(e->d_name))
            continue;
        if (snprintf(from, sizeof from, "%s/%s", im->source, e->d_name) >= (int)sizeof from ||
            snprintf(to, sizeof to, "%s/%s", im->temporary, e->d_name) >= (int)sizeof to)
            s = ctx_fail(im->ctx, AGON_EINVAL, "%s/%s: the name is too long", im->source, e->d_name);
        else if (file_exists(from))
            s = take_file(im, from, to, &fd);
        if (fd >= 0)
            close(fd);
    }
    closedir(folder);
    if (!s && fsync(*out) != 0)
        s = file_fail(im->ctx, im->temporary, "syncing the folder");
    return s;
}

/* A file, or a folder of files. */
static void remove_written(const char *path) {
    DIR *folder = opendir(path);
    if (folder) {
        for (struct dirent *e; (e = readdir(folder));)
            unlinkat(dirfd(folder), e->d_name, 0);
        closedir(folder);
        rmdir(path);
    } else {
        unlink(path);
    }
}

static agon_status sync_folder(agon_ctx *ctx, const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    agon_status s = fd < 0 || fsync(fd) != 0 ? file_fail(ctx, path, "syncing the folder") : AGON_OK;
    if (fd >= 0)
        close(fd);
    return s;
}

/* Removes what killed imports under this name left, .NAME.HEX.part: a living one holds a lock on it, in whatever container it runs. */
static void sweep_killed(const importing *im) {
    DIR *folder = opendir(im->folder);
    const size_t n = strlen(im->name);
    for (struct dirent *e; folder && (e = readdir(folder));) {
        char path[PATH_MAX];
        if (e->d_name[0] != '.' || strncmp(e->d_name + 1, im->name, n) != 0 || e->d_name[n + 1] != '.')
            continue;
        const char *rest = e->d_name + n + 2;
        const size_t digits = strspn(rest, "0123456789abcdef");
        if (digits == 0 || strcmp(rest + digits, ".part") != 0 || snprintf(path, sizeof path, "%s/%s", im->folder, e->d_name) >= (int)sizeof path)
            continue;
        const int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
            remove_written(path);
        if (fd >= 0)
            close(fd);
    }
    if (folder)
        closedir(folder);
}

static agon_status take_in(importing *im) {
    int held; /* open, and so locked, until it has its name */
    sweep_killed(im);
    agon_status s = folder_exists(im->source) ? take_folder(im, &held) : take_file(im, im->source, im->temporary, &held);
    if (!s && rename(im->temporary, im->target) != 0)
        s = file_fail(im->ctx, im->target, "renaming into place");
    if (s) {
        remove_written(im->temporary);
    } else if ((s = sync_folder(im->ctx, im->folder))) {
        remove_written(im->target);
    }
    if (held >= 0)
        close(held);
    return s;
}

static bool there(const char *path) {
    return file_exists(path) || folder_exists(path);
}

/* Whether a file of the source folder is the one that was taken in; neither has it: yes. */
static agon_status same_member(importing *im, const char *name, bool *same) {
    enum { LIMIT = 64 << 20 };
    char mine[PATH_MAX + 64], theirs[PATH_MAX + 64], *a = NULL, *b = NULL;
    size_t n_a = 0, n_b = 0;
    snprintf(mine, sizeof mine, "%s/%s", im->source, name);
    snprintf(theirs, sizeof theirs, "%s/%s", im->target, name);
    *same = file_same(mine, theirs) || (!file_exists(mine) && !file_exists(theirs));
    if (*same || !file_exists(mine) || !file_exists(theirs))
        return AGON_OK;
    agon_status s = file_read(im->ctx, mine, LIMIT, &a, &n_a);
    if (!s)
        s = file_read(im->ctx, theirs, LIMIT, &b, &n_b);
    *same = !s && n_a == n_b && memcmp(a, b, n_a) == 0;
    free(a);
    free(b);
    return s;
}

/* The id of a folder is that of its config and weights; the same weights behind another tokenizer or template are another model. */
static agon_status check_members(importing *im) {
    static const char *const names[] = {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json",
                                        "reward_scale.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        bool same = true;
        agon_status s = same_member(im, names[i], &same);
        if (s)
            return s;
        if (!same)
            return ctx_fail(im->ctx, AGON_EINVAL, "'%s' is there already with another %s: give another --name, or delete %s", im->name,
                            names[i], im->target);
    }
    return AGON_OK;
}

/* Another model under this name is refused; the same is fine. */
static agon_status check_taken(importing *im) {
    weights *old = NULL;
    hash256 id;
    agon_status s = weights_open(im->ctx, im->target, &old);
    if (!s)
        s = weights_id(im->ctx, old, &id);
    if (!s && memcmp(&id, &im->id, sizeof id) == 0)
        im->bytes = 0;
    else
        s = ctx_fail(im->ctx, AGON_EINVAL, "another model is called '%s' already: give another --name, or delete %s", im->name,
                     im->target);
    weights_free(old);
    return s || !folder_exists(im->source) ? s : check_members(im);
}

static agon_status make_paths(importing *im) {
    char *cache = NULL;
    buffer folder = {0}, target = {0}, temporary = {0};
    uint64_t chance = 0; /* a number of the process may be another's in another container */
    if (getrandom(&chance, sizeof chance, 0) != (ssize_t)sizeof chance)
        return file_fail(im->ctx, im->source, "naming a temporary file");
    agon_status s = models_cache(im->ctx, &cache);
    if (s)
        return s;
    buffer_printf(&folder, "%s/models", cache);
    buffer_printf(&target, "%s/models/%s", cache, im->name);
    buffer_printf(&temporary, "%s/models/.%s.%016llx.part", cache, im->name, (unsigned long long)chance);
    free(cache);
    im->folder = buffer_take(&folder);
    im->target = buffer_take(&target);
    im->temporary = buffer_take(&temporary);
    if (!im->folder || !im->target || !im->temporary)
        return ctx_no_memory(im->ctx);
    return folder_make(im->ctx, im->folder);
}

static json_t *describe_import(const importing *im) {
    return json_pack("{s:s,s:o,s:o,s:s,s:I,s:I,s:s?}", "name", im->name, "path", utf8_json(im->target), "id", json_hash(&im->id),
                     "architecture", weights_config(im->w)->architecture, "parameters", (json_int_t)im->parameters, "bytes",
                     (json_int_t)im->bytes, "chat_template", chat_template_name(im->t));
}

static agon_status import(agon_ctx *ctx, const char *path, const char *name, bool linked, char **json) {
    importing im = {.ctx = ctx, .linked = linked};
    char own_name[256];
    agon_status s = OPTIONS_GIVEN(ctx, {"the path to import", path, 1}, {"the place for the answer", json, 1});
    if (s)
        return s;
    if (!realpath(path, im.source))
        return ctx_fail(ctx, errno == ENOENT ? AGON_ENOTFOUND : AGON_EIO, "%.300s: %s", path, strerror(errno));
    s = take_name(&im, path, name, own_name);
    if (!s)
        s = make_paths(&im);
    if (!s)
        s = check_source(&im);
    if (!s)
        s = there(im.target) ? check_taken(&im) : take_in(&im);
    if (!s)
        s = json_give_take(ctx, describe_import(&im), json);
    tokenizer_free(im.t);
    weights_free(im.w);
    free(im.folder);
    free(im.target);
    free(im.temporary);
    return s;
}

agon_status agon_import(agon_ctx *ctx, const char *path, const char *name, char **json) {
    FP_ENVIRONMENT();
    return import(ctx, path, name, false, json);
}

agon_status agon_import_linked(agon_ctx *ctx, const char *path, const char *name, char **json) {
    FP_ENVIRONMENT();
    return import(ctx, path, name, true, json);
}

/* ---- export ------------------------------------------------------------------------------------------------- */

static agon_status export_adapter(agon_ctx *ctx, const agon_model *m, const agon_adapter *a, const char *dtype, const char *base_name,
                                  const char *path) {
    char base[PATH_MAX];
    if (!a)
        return ctx_fail(ctx, AGON_EINVAL, "there is no adapter to write; give one, or format hf or gguf");
    if (dtype)
        return ctx_fail(ctx, AGON_EINVAL, "an adapter is written in f32; leave the dtype out");
    return adapter_export_peft(ctx, a->a, base_name ? base_name : weights_place(model_weights(m->m), base), path);
}

agon_status agon_export(agon_ctx *ctx, agon_model *m, const agon_adapter *a, const char *format, const char *dtype,
                        const char *path, char **json) {
    FP_ENVIRONMENT();
    return agon_export_named(ctx, m, a, format, dtype, NULL, path, json);
}

agon_status agon_export_named(agon_ctx *ctx, agon_model *m, const agon_adapter *a, const char *format, const char *dtype, const char *base_name,
                              const char *path, char **json) {
    FP_ENVIRONMENT();
    double error = 0;
    struct stat st;
    agon_status s = OPTIONS_GIVEN(ctx, {"the model", m, 1}, {"the format", format, 1}, {"the path", path, 1}, {"the place for the answer", json, 1});
    if (s)
        return s;
    bool peft = strcmp(format, "peft") == 0;
    if (!peft && strcmp(format, "hf") != 0 && strcmp(format, "gguf") != 0)
        return ctx_fail(ctx, AGON_EINVAL, "the format is hf, gguf or peft, not '%.40s'", format);
    if (base_name && !peft)
        return ctx_fail(ctx, AGON_EINVAL, "the name of the base stands in an adapter's folder (peft); %s holds the whole model", format);
    if (base_name && (s = base_name_check(ctx, base_name)))
        return s;
    result_folder_sweep(path);
    if (there(path))
        return ctx_fail(ctx, AGON_EINVAL, "%.300s exists already; give another path, or delete it", path);
    const bool nothing = lstat(path, &st) != 0; /* a link that leads nowhere is somebody's */
    file_sweep_of(path);
    if (!peft && !dtype)
        dtype = "bf16";
    s = peft ? export_adapter(ctx, m, a, dtype, base_name, path)
             : model_export(ctx, m->m, a ? a->a : NULL, format, dtype, path, &error);
    if (s) { /* also what was written and could not be read again: the same command finds nothing in its way */
        if (nothing)
            remove_written(path);
        return s;
    }
    json_t *j = json_pack("{s:o,s:s,s:s,s:o}", "path", utf8_json(path), "format", format, "dtype", peft ? "f32" : dtype, "merge_error",
                          peft ? json_null() : json_real(error));
    return json_give_take(ctx, j, json);
}
