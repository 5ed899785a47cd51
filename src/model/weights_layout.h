/* What a llama-family decoder is made of: which tensors a configuration has, their names in both worlds and their shapes;
 * its RoPE frequencies; which configurations can be run. Readers, writers and the model itself take it from here. */
#ifndef MODEL_WEIGHTS_LAYOUT_H
#define MODEL_WEIGHTS_LAYOUT_H

#include "model/weights.h"

/* The seven linear layers of a block, in the order their parameters are listed. */
typedef enum linear_kind {
    LINEAR_Q,
    LINEAR_K,
    LINEAR_V,
    LINEAR_O,
    LINEAR_GATE,
    LINEAR_UP,
    LINEAR_DOWN,
    N_LINEARS
} linear_kind;
#define N_BIASED 3 /* q, k and v, the first kinds, may have a bias */

/* "self_attn.q_proj" of each kind; its last part, "q_proj", is what adapters call targets. */
const char *linear_path(linear_kind kind);
const char *linear_target(linear_kind kind);
size_t linear_n_in(const model_config *c, linear_kind kind);
size_t linear_n_out(const model_config *c, linear_kind kind);

/* The parts of a decoder. Those of a layer: the linear layers (linear_kind), norms, biases, norms of heads. */
typedef enum decoder_part {
    PART_ATTENTION_NORM = N_LINEARS,
    PART_MLP_NORM,
    PART_BIAS, /* of q; k and v follow */
    PART_Q_NORM = PART_BIAS + N_BIASED,
    PART_K_NORM,
    PART_EMBEDDING,
    PART_FINAL_NORM,
    PART_HEAD
} decoder_part;

typedef struct tensor_layout {
    char name[96];      /* "model.layers.0.self_attn.q_proj.weight" */
    char gguf_name[48]; /* "blk.0.attn_q.weight" */
    size_t n_rows, n_columns; /* a vector has n_rows 1 */
    int part;     /* decoder_part, or the linear_kind of a layer's matrix */
    size_t layer; /* 0 outside layers */
    bool vector;
    bool rotary; /* q or k: rows are interleaved in GGUF files of arch llama */
} tensor_layout;

size_t layout_n(const model_config *config);
/* i < layout_n. In file order: embedding, layers, final norm, head when it is not tied. */
void layout_get(const model_config *config, size_t i, tensor_layout *out);
/* The same with each layer in the order of decoder_part: that of a model's parameters, on which checkpoints and ids hang. */
void layout_parameter(const model_config *config, size_t i, tensor_layout *out);
/* Hugging Face name of a GGUF tensor name into out [96]; false when it is none of a llama-family decoder's. */
bool layout_name_of_gguf(const char *gguf_name, char out[96]);
/* True when the Hugging Face name is that of some llama-family tensor, of whatever layer. */
bool layout_knows(const char *name);
/* The frequency of rotary pair i, i < head_dim/2, scaled as the configuration says. */
double rope_frequency(const model_config *config, size_t i);
/* By what llama3 scaling, or a file's divisors, divide it. */
double rope_divisor(const model_config *config, size_t i);
/* Checks ranges and divisibility; EFORMAT names `where` and the field. */
AGON_MUST_CHECK agon_status config_check(agon_ctx *ctx, const char *where, const model_config *config);

#endif
