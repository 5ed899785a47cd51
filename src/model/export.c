/* What the writers share, see export_private.h. */
#include "model/export_private.h"
#include "base/ctx.h"
#include "base/memory.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- files that appear together ---------------------------------------------------------------- */

agon_status export_begin(agon_ctx *ctx, const char *folder, export_files *out) {
    bool there = folder_exists(folder);
    agon_status s = folder_make(ctx, folder);
    if (!s)
        *out = (export_files){.folder = folder, .made_folder = !there};
    return s;
}

agon_status export_add(agon_ctx *ctx, export_files *f, const char *name, const char *text,
                       file_writer **writer) {
    char path[4096];
    if (snprintf(path, sizeof path, "%s/%s", f->folder, name) >= (int)sizeof path)
        return ctx_fail(ctx, AGON_EINVAL, "%s: the name is too long", f->folder);
    agon_status s = file_writer_open(ctx, path, &f->writers[f->n]);
    if (s)
        return s;
    file_writer *w = f->writers[f->n++];
    if (text)
        s = file_writer_add(ctx, w, text, strlen(text));
    if (!s && writer)
        *writer = w;
    return s;
}

agon_status export_commit(agon_ctx *ctx, export_files *f) {
    for (size_t i = 0; i < f->n; i++) {
        file_writer *w = f->writers[i];
        f->writers[i] = NULL;
        agon_status s = file_writer_commit_take(ctx, w);
        if (s)
            return s;
    }
    f->made_folder = false;
    return AGON_OK;
}

void export_abort(export_files *f) {
    for (size_t i = 0; i < f->n; i++)
        file_writer_abort(f->writers[i]);
    f->n = 0;
    if (f->made_folder)
        rmdir(f->folder); /* stays when a file was already renamed into it */
    f->made_folder = false;
}

/* ---- tensors ----------------------------------------------------------------------------------- */

agon_status export_dtype(agon_ctx *ctx, const char *dtype, bool quantised, const quant_type **out) {
    static const char *const names[][2] = {
        {"f32", "F32"}, {"f16", "F16"}, {"bf16", "BF16"}, {"q8_0", "Q8_0"}};
    for (int i = 0; i < (quantised ? 4 : 3); i++)
        if (strcmp(dtype, names[i][0]) == 0) {
            *out = quant_find(names[i][1]);
            return AGON_OK;
        }
    return ctx_fail(ctx, AGON_EINVAL, "'%.40s' is no type of number to write; use f32, f16%s", dtype,
                    quantised ? ", bf16 or q8_0" : " or bf16");
}

/* Moves HF rows (halves) to interleaved order: stored row 2j + i of a head is row i*head/2 + j. `width` values a row. */
static agon_status interleave(agon_ctx *ctx, float *values, size_t n_rows, size_t width, size_t head) {
    float *one = malloc(size_mul(size_mul(head, width), sizeof *one));
    if (!one)
        return ctx_no_memory(ctx);
    for (size_t from = 0; from < n_rows; from += head) {
        float *rows = values + from * width;
        memcpy(one, rows, head * width * sizeof *one);
        for (size_t r = 0; r < head; r++)
            memcpy(rows + r * width, one + (r % 2 * (head / 2) + r / 2) * width, width * sizeof *one);
    }
    free(one);
    return AGON_OK;
}

static agon_status check_values(agon_ctx *ctx, const char *name, const float *values, size_t n,
                                const quant_type *type) {
    /* 65520 rounds to infinity as a half; Q8_0 keeps largest/127 as a half. */
    float limit = strcmp(type->name, "F16") == 0    ? 65520.0f
                  : strcmp(type->name, "Q8_0") == 0 ? 65504.0f * 127
                  : strcmp(type->name, "BF16") == 0 ? 0x1.ffp127f
                                                    : INFINITY;
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(values[i]) < limit))
            return ctx_fail(ctx, AGON_ENUMERIC, "tensor '%s': value %zu is %g, which %s cannot hold", name,
                            i, (double)values[i], type->name);
    return AGON_OK;
}

static agon_status store_values(agon_ctx *ctx, file_writer *w, const float *values, size_t n,
                                const quant_type *type) {
    enum { CHUNK = 1 << 16 }; /* a multiple of every block */
    uint8_t *bytes = malloc(CHUNK / type->block * type->bytes);
    agon_status s = bytes ? AGON_OK : ctx_no_memory(ctx);
    for (size_t i = 0; !s && i < n; i += CHUNK) {
        size_t m = n - i < CHUNK ? n - i : CHUNK;
        quant_store(type, values + i, m, bytes);
        s = file_writer_add(ctx, w, bytes, m / type->block * type->bytes);
        if (!s)
            s = ctx_check_interrupt(ctx);
    }
    free(bytes);
    return s;
}

agon_status export_tensor(agon_ctx *ctx, file_writer *w, const char *name, size_t n_rows, size_t n_columns,
                          const quant_type *type, size_t interleaved_head, tensor_source source,
                          void *arg) {
    size_t n = size_mul(n_rows, n_columns);
    float *values = memory_new(n, sizeof *values);
    if (!values)
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for tensor '%s' of %zu x %zu", name, n_rows, n_columns);
    agon_status s = source(arg, ctx, name, n, values);
    if (!s)
        s = check_values(ctx, name, values, n, type);
    if (!s && interleaved_head)
        s = n_rows == 1 ? interleave(ctx, values, n_columns, 1, interleaved_head)
                        : interleave(ctx, values, n_rows, n_columns, interleaved_head);
    if (!s)
        s = store_values(ctx, w, values, n, type);
    free(values);
    return s;
}
