/* See training_steps.h. Lines are appended; they are on the disk before a checkpoint is that goes on behind them. */
#include "api/training_steps.h"
#include "base/ctx.h"
#include "base/file.h"
#include "base/json.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_BYTES = 1 << 30 };

agon_status training_steps_open(agon_ctx *ctx, const char *folder, size_t n_members, bool resumes, training_steps *out) {
    *out = (training_steps){.ctx = ctx, .path = path_join(folder, TRAINING_STEPS), .file = -1, .goes = calloc(n_members, sizeof *out->goes),
                            .n_members = n_members};
    if (!out->path || !out->goes)
        return ctx_no_memory(ctx);
    if (!resumes && unlink(out->path) != 0 && errno != ENOENT)
        return file_fail(ctx, out->path, "removing");
    return AGON_OK;
}

agon_status training_steps_sync(training_steps *t) {
    return t->file < 0 || fdatasync(t->file) == 0 ? AGON_OK : file_fail(t->ctx, t->path, "writing");
}

void training_steps_close(training_steps *t) {
    if (t->file >= 0)
        close(t->file);
    free(t->path);
    free(t->goes);
    *t = (training_steps){.file = -1};
}

/* A whole line of an earlier step, or of another adapter. */
static bool stays(const char *line, size_t n, size_t step, const char *adapter) {
    json_t *j = json_loadb(line, n, 0, NULL);
    const json_t *at = json_object_get(j, "step");
    const char *of = json_string_value(json_object_get(j, "adapter"));
    const bool own = adapter ? of && strcmp(of, adapter) == 0 : !of;
    const bool keep = json_is_integer(at) && (!own || json_integer_value(at) < (json_int_t)step);
    json_decref(j);
    return keep;
}

/* Without what the adapter's steps from `step` on said before the training stopped, and without a line that is not whole. */
static agon_status cut(training_steps *t, size_t step, const char *adapter) {
    char *text = NULL;
    size_t n = 0, kept = 0;
    agon_status s = file_exists(t->path) ? file_read(t->ctx, t->path, MOST_BYTES, &text, &n) : AGON_OK;
    for (size_t at = 0; at < n && !s;) {
        const char *end = memchr(text + at, '\n', n - at);
        const size_t length = end ? (size_t)(end - (text + at)) + 1 : n - at;
        if (end && stays(text + at, length, step, adapter)) {
            memmove(text + kept, text + at, length);
            kept += length;
        }
        at += length;
    }
    if (!s && kept < n)
        s = file_write(t->ctx, t->path, text, kept);
    free(text);
    return s ? ctx_prefix(t->ctx, s, "what the steps before said, which may be moved away") : AGON_OK;
}

/* The file as it goes on; a name that leads elsewhere is not followed. */
static agon_status go_on(training_steps *t, const train_progress *p, const char *adapter) {
    if (t->file >= 0)
        close(t->file);
    t->file = -1;
    agon_status s = cut(t, p->step, adapter);
    if (s)
        return s;
    t->file = open(t->path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0666);
    t->goes[p->member] = t->file >= 0;
    return t->file < 0 ? file_fail(t->ctx, t->path, "writing") : AGON_OK;
}

static char *line_of(const train_progress *p, const char *adapter) {
    json_t *metrics = json_object();
    for (size_t i = 0; i < p->n_metrics; i++)
        json_object_set_new(metrics, p->metrics[i].name, real_or_null(p->metrics[i].value));
    json_t *line = json_pack("{s:I,s:I,s:o,s:o,s:f,s:I,s:I,s:o}", "step", (json_int_t)p->step, "steps", (json_int_t)p->n_steps, "loss", real_or_null(p->loss),
                             "grad_norm", real_or_null(p->grad_norm), "lr", p->lr, "tokens", (json_int_t)p->tokens, "supervised", (json_int_t)p->supervised,
                             "metrics", metrics);
    if (adapter)
        json_object_set_new(line, "adapter", json_string(adapter));
    char *text = json_dumps(line, JSON_COMPACT);
    json_decref(line);
    return text;
}

agon_status training_steps_add(training_steps *t, const train_progress *p, const char *adapter) {
    assert(p->member < t->n_members);
    agon_status s = t->goes[p->member] ? AGON_OK : go_on(t, p, adapter);
    char *line = s ? NULL : line_of(p, adapter);
    if (!s && !line)
        s = ctx_no_memory(t->ctx);
    const size_t n = line ? strlen(line) : 0;
    if (!s) {
        line[n] = '\n'; /* in place of the zero */
        for (size_t at = 0; at <= n && !s;) {
            const ssize_t written = write(t->file, line + at, n + 1 - at);
            if (written < 0 && errno != EINTR)
                s = file_fail(t->ctx, t->path, "writing");
            at += written > 0 ? (size_t)written : 0;
        }
    }
    free(line);
    return s;
}
