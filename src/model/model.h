/* The decoder: load, forward, backward, key-value cache.
 *
 * A model is weights packed for the kernels. Frozen models are shared read-only by any number of adapters. Reference model = the same
 * model with adapter NULL (LoRA) or another model object (full fine-tuning). */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include "compute/compute.h"
#include "model/scalar_head.h"
#include "model/segment.h"
#include "model/tokenizer.h"
#include "model/weights.h"

typedef struct model model;

/* *out new. Packs every matrix in `dtype` (Q8_0 ones stay in 8 bits in bf16 compute, with the same results); norms and biases stay f32. Keeps `weights` for config, tokenizer and export (taken, also on failure).
 * AGON_EFORMAT names file and tensor; AGON_ENOMEM. */
AGON_MUST_CHECK agon_status model_load_take(agon_ctx *ctx, weights *w, compute_dtype dtype, model **out);
/* weights_open + tokenizer_new + model_load_take. */
AGON_MUST_CHECK agon_status model_open(agon_ctx *ctx, const char *path, compute_dtype dtype, model **out);
/* A model drawn from a seed, for training from scratch; no tokenizer, no file. `init` is borrowed until model_free. *out new. */
typedef struct model_init {
    model_config config;
    uint64_t seed;
} model_init;
AGON_MUST_CHECK agon_status model_random(agon_ctx *ctx, const model_init *init, compute_dtype dtype, model **out);
/* A model with the weights `from` has now, without its heads; `from` is borrowed until model_free and may not be trained meanwhile. */
AGON_MUST_CHECK agon_status model_copy(agon_ctx *ctx, const model *from, model **out);
void model_free(model *m);
/* Bytes of the packed weights. */
size_t model_predict(const model_config *c, compute_dtype dtype);
/* What full fine-tuning adds where weights are kept in 8 bits. */
size_t model_widen_bytes(const model *m);
/* All values, and those of the largest tensor; an adapter's, on the layers that `targets` says (lora_targets_read). */
size_t model_n_values(const model_config *c);
/* Bytes that model_make_trainable adds to an ordinary model: gradients, and what the packs lack of the f32 values. */
size_t model_train_bytes(const model_config *c, compute_dtype dtype);
size_t model_largest_tensor(const model_config *c);
size_t adapter_n_values(const model_config *c, size_t rank, unsigned targets);
const model_config *model_get_config(const model *m);
const tokenizer *model_tokenizer(const model *m);
const weights *model_weights(const model *m);
compute_dtype model_dtype(const model *m);
/* Hash of the weights as they are used now (base id for a frozen model). */
AGON_MUST_CHECK agon_status model_id(agon_ctx *ctx, const model *m, hash256 *out);

/* ---- trainable parameters ---------------------------------------------------------------------- */

/* A view of what is trained: LoRA factors or all weights, in f32. Where they lie flat, packed copies follow adapter_changed or model_changed;
 * a matrix of a model that is trained has no copy: its values are in the pack and beside it (matrix_masters.c). parameter_get reads both. */
typedef struct parameter {
    char name[128]; /* Hugging Face name, or "...lora_A.weight" */
    size_t n_rows, n_columns;
    float *value;     /* [n_rows, n_columns]; NULL: weights has them */
    matrix *weights;  /* NULL: value has them */
    float *gradient;  /* [n_rows, n_columns] */
    bool decay;              /* weight decay applies where it is asked for: matrices, not embeddings, norms, biases, heads */
} parameter;

typedef struct parameters {
    parameter *items;
    size_t n;
} parameters;

/* Rows to and from [n, n_columns]. `first` is a multiple of PARAMETER_ROWS, n too where they do not end the parameter. */
enum { PARAMETER_ROWS = 16 };
void parameter_get(agon_ctx *ctx, const parameter *p, size_t first, size_t n, float *out);
void parameter_set(agon_ctx *ctx, const parameter *p, size_t first, size_t n, const float *values);
/* A walk over all rows in pieces that parameter_get and parameter_set take, of PARAMETER_PIECE bytes where a row is not too long for it: the next *n rows,
 * from *first on; both are 0 before the first piece. False: there are no more. A buffer of parameter_piece(p) values holds any piece. */
enum { PARAMETER_PIECE = 256 << 10 };
bool parameter_next(const parameter *p, size_t *first, size_t *n);
size_t parameter_piece(const parameter *p);
/* *out new, all values [n_rows, n_columns], free with free(). AGON_ENOMEM. */
AGON_MUST_CHECK agon_status parameter_copy(agon_ctx *ctx, const parameter *p, float **out);

enum { MAX_DIMENSIONS = 16, MAX_DIMENSION_NAME = 40 };

/* The linear layers of a decoder layer that LoRA adapts, a bit each in their order; 0 stands for all seven. lora_target_find: of one name
 * ("q_proj", ..., "down_proj"), all bits for "all-linear", 0 where there is none. lora_targets_read: of several, none: 0; AGON_EINVAL names
 * the first that is none. lora_targets_print: "q_proj,v_proj", "" for 0. lora_targets_all: all bits instead of 0. */
enum { LORA_TARGETS_SIZE = 96 };
unsigned lora_target_find(const char *name);
AGON_MUST_CHECK agon_status lora_targets_read(agon_ctx *ctx, const char *const *names, size_t n, unsigned *out);
void lora_targets_print(unsigned targets, char out[LORA_TARGETS_SIZE]);
unsigned lora_targets_all(unsigned targets);

/* LoRA: y = W x + (alpha/rank) B A x on the linear layers in targets. A ~ N(0, 1/n_in)... from `seed`, B zero. A, B f32 masters, packed in the model's dtype.
 * With dimensions the adapter takes a preference vector (panacea.h): `rank` shared singular values and a slot a dimension, B made of U,
 * those values and the vector. U is zero, the values are 1 and the vectors' scale their number, so that at the even vector, which it begins
 * with, it is a plain adapter of that many columns; the scale stays alpha/rank. */
typedef struct adapter_options {
    size_t rank;
    float alpha;
    unsigned targets;
    uint64_t seed;
    const char *const *dimensions; /* [n_dimensions] names of letters, digits, _ and -; 2 or more, or none */
    size_t n_dimensions;
} adapter_options;

AGON_MUST_CHECK agon_status adapter_new(agon_ctx *ctx, const model *m, const adapter_options *options,
                                        adapter **out);
void adapter_free(adapter *a);
size_t adapter_rank(const adapter *a);
unsigned adapter_targets(const adapter *a); /* each layer's bit, never 0 */
/* Bytes of its values and packs, without gradients. */
size_t adapter_bytes(const adapter *a);
/* Borrowed until adapter_free; gradients are allocated on the first call. */
AGON_MUST_CHECK agon_status adapter_parameters(agon_ctx *ctx, adapter *a, parameters *out);
/* Repacks after values changed. */
void adapter_changed(agon_ctx *ctx, adapter *a);
/* SHA-256 over names, shapes and values, and the preference vector where there is one. */
hash256 adapter_hash(const adapter *a);
/* Serialised form: a safetensors image with rank, alpha, targets in its metadata; *data new. */
AGON_MUST_CHECK agon_status adapter_save(agon_ctx *ctx, const adapter *a, char **data, size_t *n);
AGON_MUST_CHECK agon_status adapter_load(agon_ctx *ctx, const model *m, const char *where,
                                         const void *data, size_t n, adapter **out);
AGON_MUST_CHECK agon_status adapter_export_peft(agon_ctx *ctx, const adapter *a, const char *base_name,
                                                const char *folder);
AGON_MUST_CHECK agon_status adapter_import_peft(agon_ctx *ctx, const model *m, const char *folder,
                                                adapter **out);
/* DIR/panacea.safetensors, which holds an adapter with dimensions whole, else the PEFT folder. */
AGON_MUST_CHECK agon_status adapter_open(agon_ctx *ctx, const model *m, const char *folder, adapter **out);
/* Writes both: that file, and the PEFT adapter of the vector it stands at. */
AGON_MUST_CHECK agon_status adapter_export_dimensions(agon_ctx *ctx, const adapter *a, const char *base_name, const char *folder);

/* Names of an adapter's dimensions in the order of the vector; 0: it takes none. Borrowed; NULL after the last. */
size_t adapter_n_dimensions(const adapter *a);
const char *adapter_dimension(const adapter *a, size_t i);
/* Checks names, or a vector for them: n entries, 0 or more, that sum to 1 within 0.001. AGON_EINVAL says what is wrong. */
AGON_MUST_CHECK agon_status names_check(agon_ctx *ctx, const char *what, const char *const *names, size_t n);
AGON_MUST_CHECK agon_status dimensions_check(agon_ctx *ctx, const char *const *names, size_t n);
AGON_MUST_CHECK agon_status preference_check(agon_ctx *ctx, const char *what, const double *preference, size_t n, size_t n_wanted);
/* From now on the adapter is that of this vector [n], which is made to sum to 1. AGON_EINVAL: no such vector, or an adapter without dimensions. */
AGON_MUST_CHECK agon_status adapter_set_preference(agon_ctx *ctx, adapter *a, const double *preference, size_t n);
/* Moves the gradient that backward passes left on B into those of U, sigma and scale, at the vector that stands. No effect without
 * dimensions; call it before the vector changes and before gradients are read. */
void adapter_collect_gradient(adapter *a);

/* The exact interpolation of adapters of one base: dW = sum_i weights_i dW_i, as one adapter of the sum of their ranks and targets of all.
 * *out new. AGON_EINVAL: weights that are no preference vector, heads, targets that differ. */
AGON_MUST_CHECK agon_status adapter_soup(agon_ctx *ctx, const model *m, const adapter *const *members, const double *weights, size_t n,
                                         adapter **out);
/* A new head of this kind on the adapter, part of it from now on (parameters, hash, file); where it has one already, that stays.
 * `deviation` and `seed` as in scalar_head_new. Call it before adapter_parameters. */
AGON_MUST_CHECK agon_status adapter_add_head(agon_ctx *ctx, adapter *a, head_kind kind, double deviation, uint64_t seed);
/* Borrowed; NULL: none. */
scalar_head *adapter_head(const adapter *a, head_kind kind);
/* A copy with the same values. */
AGON_MUST_CHECK agon_status adapter_clone(agon_ctx *ctx, const adapter *a, adapter **out);

/* Full fine-tuning: makes the model's weights trainable (f32 masters, gradients; a tied head is one
 * parameter). The model then has one owner. model_changed: after values that lie flat changed. */
AGON_MUST_CHECK agon_status model_make_trainable(agon_ctx *ctx, model *m, parameters *out);
void model_changed(model *m);
bool model_is_trainable(const model *m);
/* Frozen again, with the values and heads that were loaded. What failed is mended by the same call only: the values may be of both. */
AGON_MUST_CHECK agon_status model_restore(agon_ctx *ctx, model *m);
/* As for adapters, not while it is trained: parameters are asked for anew (model_make_trainable) once heads came or went. A folder that
 * stores heads is opened with them. */
AGON_MUST_CHECK agon_status model_add_head(agon_ctx *ctx, model *m, head_kind kind, double deviation, uint64_t seed);
void model_remove_head(model *m, head_kind kind);
scalar_head *model_scalar_head(const model *m, head_kind kind);
/* The adapter's (NULL: there is none) where it has one, else the model's; NULL: neither has. */
scalar_head *model_head_with(const model *m, const adapter *a, head_kind kind);
/* Exports the model, with the adapter merged when one is given. format: "hf" (folder) or "gguf". Reports the largest
 * |merged - unmerged| over the last-token logits of a fixed text in *merge_error when not NULL. */
AGON_MUST_CHECK agon_status model_export(agon_ctx *ctx, model *m, const adapter *a, const char *format,
                                         const char *dtype, const char *path, double *merge_error);
/* AGON_EUNSUPPORTED where format "hf" cannot hold the model; the sentence names `folder`. */
AGON_MUST_CHECK agon_status model_export_check(agon_ctx *ctx, const model *m, const char *folder);

/* ---- forward and backward over a segment batch ------------------------------------------------- */

/* Working memory for one batch at a time; grows, is kept between calls, has a limit. */
typedef struct workspace workspace;
AGON_MUST_CHECK agon_status workspace_new(agon_ctx *ctx, size_t limit_bytes, workspace **out);
void workspace_free(workspace *w);
/* The same, but its memory stays the context's, for the next one (spare.h). */
void workspace_leave(agon_ctx *ctx, workspace *w);
/* Bytes that one tree of n_tokens, n_scored of them scored, takes of a workspace: what is kept between forward and backward, and what
 * both need beside it. RECOMPUTE keeps a layer's input only. */
typedef enum workspace_use { USE_FORWARD, USE_TRAINING, USE_TRAINING_RECOMPUTE } workspace_use;
typedef struct workspace_need {
    size_t stored, scratch;
} workspace_need;
workspace_need workspace_predict(const model *m, size_t n_tokens, size_t n_scored, size_t rank, workspace_use use);

/* Forward over a batch of trees. `out` arrays are the caller's. AGON_EINVAL: token out of range, chain
 * longer than the model's context, bad parent. AGON_ENUMERIC: a log_prob is not finite. AGON_ENOMEM before anything runs. */
AGON_MUST_CHECK agon_status model_forward(agon_ctx *ctx, const model *m, workspace *w,
                                          const segment_batch *batch, const token_channels *out);

/* The same for one tree, keeping activations for model_backward; same bits in `out`. */
AGON_MUST_CHECK agon_status model_forward_train(agon_ctx *ctx, const model *m, workspace *w,
                                                const segment_batch *tree, const token_channels *out);
/* Gradients of sum over tokens of (d.log_prob*log_prob + d.entropy*entropy + d.mean_log_prob*mean_log_prob + <d.hidden, hidden>) are
 * added to the gradients of `train`ed parameters: the tree's adapter when it is trainable, else the trainable model. NULL arrays are zero. Trees must come in the same order
 * in every run; then any micro-batch split gives the same bits. */
AGON_MUST_CHECK agon_status model_backward(agon_ctx *ctx, model *m, adapter *train, workspace *w,
                                           const segment_batch *tree, const token_channels *d);

/* ---- key-value cache, for generation ------------------------------------------------------------- */

/* Rows of keys and values for all layers; a sequence is a list of rows in order of position, so prompts are shared by listing
 * the same rows. */
typedef struct kv_cache kv_cache;
AGON_MUST_CHECK agon_status kv_cache_new(agon_ctx *ctx, const model *m, size_t n_rows, kv_cache **out);
void kv_cache_free(agon_ctx *ctx, kv_cache *c); /* its memory stays the context's, for the next one (spare.h) */
size_t kv_cache_row_bytes(const agon_ctx *ctx, const model *m); /* half in numerics with bf16 attention */

/* One token to run at a position: reads cache rows `rows[0..position)`, writes its own keys and
 * values into rows[position]. */
typedef struct decode_token {
    int32_t token, position;
    const int32_t *rows; /* [position + 1] */
    const adapter *adapter;
} decode_token;

/* Runs n tokens (a prefill lists a prompt's tokens in order; a decode step one token a sequence). The
 * final-norm hidden states of the tokens listed in `heads` [n_heads] (indices into tokens) go to hidden
 * [n_heads, d_model]; sample from them with head_logits. Bits equal model_forward's on the same chain. */
AGON_MUST_CHECK agon_status model_decode(agon_ctx *ctx, const model *m, workspace *w, kv_cache *cache,
                                         const decode_token *tokens, size_t n, const size_t *heads,
                                         size_t n_heads, float *hidden);
/* The head's packed matrix [vocabulary, d_model]. */
const matrix *model_head(const model *m);

#endif
