/* What the writers (export_hf.c, export_gguf.c, export_peft.c) share: files that appear together, and tensors
 * streamed from a source. */
#ifndef MODEL_EXPORT_PRIVATE_H
#define MODEL_EXPORT_PRIVATE_H

#include "base/file.h"
#include "model/quants.h"
#include "model/weights.h"

/* A set of files under temporary names; export_commit renames them in order of opening, so open last the one a
 * reader looks for first. Zero-initialise; export_abort (after a commit too) releases everything. */
enum { EXPORT_MAX_FILES = 8 };
typedef struct export_files {
    const char *folder; /* borrowed */
    bool made_folder;
    file_writer *writers[EXPORT_MAX_FILES];
    size_t n;
} export_files;

AGON_MUST_CHECK agon_status export_begin(agon_ctx *ctx, const char *folder, export_files *out);
/* Opens folder/name and writes text to it when not NULL. *writer borrowed. */
AGON_MUST_CHECK agon_status export_add(agon_ctx *ctx, export_files *f, const char *name, const char *text,
                                       file_writer **writer);
AGON_MUST_CHECK agon_status export_commit(agon_ctx *ctx, export_files *f);
void export_abort(export_files *f);

/* Asks `source` for a tensor of n_rows x n_columns and writes it as `type`. With interleaved_head > 0, rows (of a
 * vector: elements) are put in interleaved RoPE order for heads of that size. AGON_ENUMERIC: a value is not finite or too large for
 * the type. */
AGON_MUST_CHECK agon_status export_tensor(agon_ctx *ctx, file_writer *w, const char *name, size_t n_rows,
                                          size_t n_columns, const quant_type *type,
                                          size_t interleaved_head, tensor_source source, void *arg);

/* "f32", "f16", "bf16", and "q8_0" when `quantised` is allowed; EINVAL lists them. */
AGON_MUST_CHECK agon_status export_dtype(agon_ctx *ctx, const char *dtype, bool quantised,
                                         const quant_type **out);

#endif
