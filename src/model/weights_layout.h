/* Which tensors a configuration has: their names in both worlds and their shapes. */
#ifndef MODEL_WEIGHTS_LAYOUT_H
#define MODEL_WEIGHTS_LAYOUT_H

#include "model/weights.h"

typedef struct tensor_layout {
    char name[96];      /* "model.layers.0.self_attn.q_proj.weight" */
    char gguf_name[48]; /* "blk.0.attn_q.weight" */
    size_t n_rows, n_columns; /* a vector has n_rows 1 */
    bool vector;
    bool rotary; /* q or k: rows are interleaved in GGUF files of arch llama */
} tensor_layout;

size_t layout_n(const model_config *config);
/* i < layout_n. In file order: embedding, layers, final norm, head when it is not tied. */
void layout_get(const model_config *config, size_t i, tensor_layout *out);
/* Hugging Face name of a GGUF tensor name into out [96]; false when it is none of a llama-family decoder's. */
bool layout_name_of_gguf(const char *gguf_name, char out[96]);
/* True when the Hugging Face name is that of some llama-family tensor, of whatever layer. */
bool layout_knows(const char *name);
/* By what llama3 scaling divides the frequency of rotary pair i, i < head_dim/2. */
double rope_llama3_factor(const model_config *config, size_t i);
/* Checks ranges and divisibility; EFORMAT names `where` and the field. */
AGON_MUST_CHECK agon_status config_check(agon_ctx *ctx, const char *where, const model_config *config);

#endif
