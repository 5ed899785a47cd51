/* Weights on disk: one view over GGUF files and Hugging Face folders.
 *
 * Tensors carry Hugging Face names ("model.layers.0.self_attn.q_proj.weight") and shapes [out, in]
 * whatever the file; GGUF's row order of llama-family q and k (interleaved RoPE) is undone on read.
 * Files are hostile: every size, offset and type is checked before use. */
#ifndef MODEL_WEIGHTS_H
#define MODEL_WEIGHTS_H

#include "agon.h"
#include "base/hash.h"
#include "compute/compute.h"
#include <limits.h>

typedef struct model_config {
    char architecture[32]; /* a name of architecture.h (Hugging Face model_type) */
    size_t n_layers, d_model, n_heads, n_kv_heads, head_dim, d_ff, n_vocabulary, max_context;
    float norm_eps;
    double rope_theta;
    /* RoPE scaling: type none, linear (factor), llama3 (all four) or divisors, of each pair's frequency. */
    char rope_scaling[16];
    double rope_factor, rope_low_freq_factor, rope_high_freq_factor, rope_original_context;
    float rope_divisors[MAX_HEAD_DIM / 2];
    bool tied_embeddings, qkv_bias, qk_norm;
    size_t sliding_window; /* 0: none; an opened model's max_context is no longer than it (model.c) */
} model_config;

typedef struct weights weights; /* an open model: maps, index, config, metadata */

typedef struct tensor_info {
    const char *name;  /* borrowed from the weights */
    size_t n_rows, n_columns; /* a vector has n_rows 1 */
    const char *type;  /* "F32", "BF16", "Q4_1", ...: as stored */
} tensor_info;

/* Opens a GGUF file or a Hugging Face folder (config.json, *.safetensors, sharded too). *out new.
 * AGON_ENOTFOUND, AGON_EFORMAT (file, tensor and what disagrees), AGON_EUNSUPPORTED (architecture). */
AGON_MUST_CHECK agon_status weights_open(agon_ctx *ctx, const char *path, weights **out);
void weights_free(weights *w);
/* Gives back the memory of tensors that were read: the packed copies are what is used. */
void weights_release(const weights *w);
const model_config *weights_config(const weights *w);
const char *weights_path(const weights *w);
bool weights_is_gguf(const weights *w);
/* Where other programs find the model, which adapters name as their base: its folder through all links, where they can be followed; a GGUF file's too,
 * since they take folder and file apart (gguf_file of transformers). `real`: memory for it. */
const char *weights_place(const weights *w, char real[PATH_MAX]);
size_t weights_n_tensors(const weights *w);
tensor_info weights_tensor(const weights *w, size_t i);
/* The tensor's values as f32, exactly dequantised, [n_rows, n_columns] row-major. `n` = expected number of
 * values. AGON_ENOTFOUND: no such tensor; AGON_EFORMAT: shape disagrees or a value is not finite. */
AGON_MUST_CHECK agon_status weights_read(agon_ctx *ctx, const weights *w, const char *name, size_t n,
                                         float *out);
bool weights_has(const weights *w, const char *name);
/* Whether the tensor is a matrix stored as Q8_0: blocks of 32 int8 with one scale. */
bool weights_is_q8(const weights *w, const char *name);
/* Its integers [n] and the scales of its blocks [n/32]; value i is integers[i] * scales[i/32]. Errors as weights_read. */
AGON_MUST_CHECK agon_status weights_read_q8(agon_ctx *ctx, const weights *w, const char *name, size_t n, int8_t *integers,
                                            float *scales);
/* Content id: SHA-256 of the file bytes (GGUF), or over sorted (name, SHA-256 of bytes) of config and shards. */
AGON_MUST_CHECK agon_status weights_id(agon_ctx *ctx, const weights *w, hash256 *out);

/* GGUF metadata for the tokenizer; NULL / 0 when absent or of another type. Borrowed. */
typedef struct gguf_strings {
    size_t n;
    const char *const *text; /* bytes, NUL-terminated copies */
    const size_t *length;
} gguf_strings;
const char *weights_meta_text(const weights *w, const char *key);
bool weights_meta_int(const weights *w, const char *key, int64_t *out);
bool weights_meta_strings(const weights *w, const char *key, gguf_strings *out);
bool weights_meta_ints(const weights *w, const char *key, const int32_t **out, size_t *n);
bool weights_meta_floats(const weights *w, const char *key, const float **out, size_t *n); /* f32; may hold what is not finite */

/* ---- writing (export.c) ------------------------------------------------------------------------ */

/* Gives the values of one tensor: f32 [n_rows, n_columns] into out. */
typedef agon_status (*tensor_source)(void *arg, agon_ctx *ctx, const char *name, size_t n, float *out);

typedef struct tokenizer tokenizer;

/* A Hugging Face folder (config.json, model.safetensors in dtype "f32", "f16" or "bf16", tokenizer.json,
 * tokenizer_config.json with chat template, generation_config.json) that transformers loads. Tensor names and shapes follow
 * from the config. `tok` NULL: no tokenizer files. heads: scalar heads (bit 1 << kind of scalar_head.h; 0: none), in f32, asked from
 * `source` by their names: a reward head makes the folder a sequence classifier of one label, a value head is TRL's. Written under
 * temporary names and renamed last, config.json at the end. AGON_ENUMERIC: a value is not finite or too large for the dtype. */
AGON_MUST_CHECK agon_status export_hf(agon_ctx *ctx, const char *folder, const model_config *config, const tokenizer *tok, const char *dtype,
                                      unsigned heads, tensor_source source, void *arg);
/* AGON_EUNSUPPORTED: no such folder can hold a model of this configuration; the sentence names `folder`. */
AGON_MUST_CHECK agon_status export_hf_check(agon_ctx *ctx, const char *folder, const model_config *config);
/* A GGUF file in "f32", "f16", "bf16" or "q8_0" (norms stay f32) that llama.cpp loads. `tok` as above. */
AGON_MUST_CHECK agon_status export_gguf(agon_ctx *ctx, const char *path, const model_config *config,
                                        const tokenizer *tok, const char *dtype, tensor_source source,
                                        void *arg);

/* One PEFT adapter: adapter_config.json + adapter_model.safetensors. `targets`: module names such as "q_proj". */
typedef struct peft_info {
    size_t rank;
    double alpha;
    size_t n_targets;
    char targets[16][32];
    char base_name[256];
    unsigned heads; /* scalar heads (scalar_head.h), bit 1 << kind */
    const char *reward_scale; /* text of reward_scale.json, borrowed; NULL: none. peft_open leaves it NULL */
} peft_info;
/* source is asked for "model.layers.0.self_attn.q_proj.lora_A.weight" [r, in] and ..lora_B.. [out, r]. */
AGON_MUST_CHECK agon_status export_peft(agon_ctx *ctx, const char *folder, const model_config *config,
                                        const peft_info *info, tensor_source source, void *arg);
/* Reads a PEFT folder back; tensors through weights_read with the names above (prefixes such as "base_model.model."
 * removed). *out new. */
AGON_MUST_CHECK agon_status peft_open(agon_ctx *ctx, const char *folder, peft_info *info, weights **out);

#endif
