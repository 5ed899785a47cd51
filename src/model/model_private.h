/* What model.c, forward.c, backward.c, adapter.c, decode.c, kv_cache.c, workspace.c and model_export.c share. */
#ifndef MODEL_MODEL_PRIVATE_H
#define MODEL_MODEL_PRIVATE_H

#include "base/ctx.h"
#include "base/memory.h"
#include "base/numerics.h"
#include "model/model.h"
#include "model/weights_layout.h"
#include <assert.h>
#include <math.h>
#include <stdio.h>

typedef struct model_layer {
    matrix *linear[N_LINEARS];
    float *bias[N_BIASED];            /* [n_out] or NULL */
    float *attention_norm, *mlp_norm; /* [d_model] */
    float *q_norm, *k_norm;           /* [head_dim] or NULL */
} model_layer;

/* Where a layer's gradients go in full fine-tuning. */
typedef struct layer_gradients {
    float *linear[N_LINEARS], *bias[N_BIASED], *attention_norm, *mlp_norm, *q_norm, *k_norm;
} layer_gradients;

typedef struct trainable {
    float *values; /* of vectors */
    float *gradients;
    parameters parameters;
    layer_gradients *layers;                  /* [n_layers] */
    float *embedding, *final_norm, *head;     /* gradients; head == embedding when tied */
} trainable;

struct model {
    model_config config;
    compute_dtype dtype;
    weights *weights;      /* NULL for a model built from a tensor_source */
    tokenizer *tokenizer;  /* NULL likewise */
    tensor_source source;  /* the values as loaded, asked again for training and export */
    void *source_arg;
    matrix *embedding, *head; /* head == embedding when tied */
    float *final_norm;        /* [d_model] */
    float *inv_freq;          /* [head_dim/2], scaling in it */
    model_layer *layers;
    arena *vectors;           /* norms, biases, inv_freq, layers */
    trainable *train;         /* NULL: frozen */
    scalar_head *heads[N_HEAD_KINDS]; /* NULL: none */
};

/* One tensor of the model and the places that hold it. Exactly one of `matrix` and `vector` is set. */
typedef struct tensor_slot {
    tensor_layout at;
    size_t n; /* values */
    matrix **matrix;
    float **vector;
    float **gradient; /* in model->train; NULL when not trainable yet */
} tensor_slot;
/* The i-th tensor of the layout. */
tensor_slot model_slot(model *m, size_t i);
void trainable_free(trainable *t);
AGON_MUST_CHECK agon_status model_read_heads(agon_ctx *ctx, const weights *w, scalar_head *heads[N_HEAD_KINDS]);

/* A model from any source of tensors (tests and the check of an export use it). `source` and `arg` are
 * borrowed until model_free. No tokenizer. *out new. */
AGON_MUST_CHECK agon_status model_build(agon_ctx *ctx, const model_config *config, tensor_source source,
                                        void *arg, compute_dtype dtype, model **out);
/* The i-th tensor's current value: the trained master, or as loaded. A tensor_source with a const model as arg. */
agon_status model_tensor(void *model_arg, agon_ctx *ctx, const char *name, size_t n, float *out);

/* ---- scalar heads (scalar_head.c) ------------------------------------------------------------------- */

struct scalar_head {
    head_kind kind;
    size_t width;
    float *values, *gradients; /* [width + 1]: weight, then bias (unused in a reward head) */
    reward_scale scale;        /* std 0: not known */
};
/* Irwin-Hall normal values from a seed, equal on every machine (adapter.c). */
void draw_normal(float *values, size_t n, double deviation, uint64_t seed);
/* The tensor's values among the heads of a model or adapter; NULL: no such head. */
float *head_tensor_values(scalar_head *const heads[N_HEAD_KINDS], const head_tensor *t);
size_t heads_n_parameters(scalar_head *const heads[N_HEAD_KINDS]);
/* Appends them in the order of head_tensor_at; there must be room. */
void heads_add_parameters(scalar_head *const heads[N_HEAD_KINDS], parameters *p);
/* Copies a head's tensor [n]; false when there is none of this name and size. */
bool heads_tensor(scalar_head *const heads[N_HEAD_KINDS], const char *name, size_t n, float *out);
unsigned heads_mask(scalar_head *const heads[N_HEAD_KINDS]); /* bit 1 << kind */
unsigned heads_in(const weights *w);
AGON_MUST_CHECK agon_status heads_read(agon_ctx *ctx, const weights *w, unsigned mask, size_t width,
                                       scalar_head *heads[N_HEAD_KINDS]);
AGON_MUST_CHECK agon_status heads_clone(agon_ctx *ctx, scalar_head *const from[N_HEAD_KINDS],
                                        scalar_head *to[N_HEAD_KINDS]);
void heads_free(scalar_head *heads[N_HEAD_KINDS]);

/* ---- adapters ------------------------------------------------------------------------------------ */

typedef struct lora {
    matrix *a, *b;              /* [rank, n_in], [n_out, rank]; NULL: not a target */
    float *a_value, *b_value;
    float *a_gradient, *b_gradient; /* NULL until adapter_parameters */
    /* With dimensions b is made of these (panacea.h): U [n_out, rank], sigma and scale [k + 1]. */
    float *u_value, *singular_value, *u_gradient, *singular_gradient;
} lora;

struct adapter {
    model_config config; /* of its base: sizes must agree */
    compute_dtype dtype;
    size_t rank;
    float alpha;
    unsigned targets; /* a bit each, all of them for all */
    lora *items; /* [n_layers * N_LINEARS] */
    float *values, *gradients; /* flat, [n_values]; gradients NULL until asked for */
    size_t n_values;
    parameters parameters;
    scalar_head *heads[N_HEAD_KINDS]; /* NULL: none */
    /* Several dimensions: b_value and b_gradient of all items lie in these two, outside the parameters. */
    size_t n_dimensions;
    char dimensions[MAX_DIMENSIONS][MAX_DIMENSION_NAME + 1];
    double preference[MAX_DIMENSIONS];
    float *installed, *d_installed; /* [n_installed] */
    size_t n_installed;
};

/* adapter.c, for adapter_preference.c: memory, names and zero values for a shape; packing, which frees on failure. */
AGON_MUST_CHECK agon_status adapter_make(agon_ctx *ctx, const adapter *shape, adapter **out);
AGON_MUST_CHECK agon_status adapter_pack_take(agon_ctx *ctx, adapter *a, adapter **out);
/* B of every item from U, the singular values and the vector; nothing without dimensions. */
void adapter_install(adapter *a);

static inline float adapter_scale(const adapter *a) {
    return a->alpha / (float)a->rank;
}
static inline const lora *adapter_item(const adapter *a, size_t layer, linear_kind kind) {
    return &a->items[layer * N_LINEARS + kind];
}
static inline bool adapter_adapts(const adapter *a, int kind) {
    return a->targets >> kind & 1;
}
bool adapter_fits(const adapter *a, const model_config *config);

/* ---- workspace ----------------------------------------------------------------------------------- */

/* Two regions, so that what a training forward keeps survives the backward pass's own scratch. */
typedef enum region { REGION_STORED, REGION_SCRATCH, N_REGIONS } region;

typedef struct train_state train_state;

struct workspace {
    size_t limit;
    struct {
        char *data;
        size_t capacity, used;
        arena *plans; /* row plans, small */
    } regions[N_REGIONS];
    train_state *state; /* of the last model_forward_train, in REGION_STORED; NULL: none */
};

/* Empties the region and makes room for `bytes` (the sum of workspace_size of what follows). ENOMEM when
 * the limit or memory does not allow it. */
AGON_MUST_CHECK agon_status workspace_begin(agon_ctx *ctx, workspace *w, region r, size_t bytes);
/* Both regions at once: what is taken beyond their needs is what neither needs. */
AGON_MUST_CHECK agon_status workspace_begin_both(agon_ctx *ctx, workspace *w, size_t stored, size_t scratch);
/* Uninitialised, 64-byte aligned; cannot fail within what workspace_begin was asked for. */
void *workspace_take(workspace *w, region r, size_t n, size_t size);
size_t workspace_size(size_t n, size_t size);
/* The region's plan memory, empty. Borrowed until the next call for this region. */
AGON_MUST_CHECK agon_status workspace_plans(agon_ctx *ctx, workspace *w, region r, arena **out);

/* ---- rows ------------------------------------------------------------------------------------------ */

/* Consecutive rows that use one adapter. */
typedef struct row_group {
    const adapter *adapter;
    size_t first, n;
} row_group;

/* What a layer needs to know about the rows it works on. */
typedef struct row_set {
    size_t n;
    const int32_t *tokens, *positions; /* [n] */
    const attention_keys *keys;        /* [n] */
    const float *rotation;             /* [n, head_dim] of rope_table; set by begin_rows */
    const row_group *groups;
    size_t n_groups;
} row_set;

/* Consecutive scored tokens of one temperature. */
typedef struct score_group {
    float temperature;
    size_t first, n;
} score_group;

/* A run of rows that is contiguous over the batch's tokens too. */
typedef struct row_span {
    size_t row, out, n;
} row_span;

/* The first n tokens of a tree's root are rows of an earlier root of the same plan: two prompts under the same instructions. */
typedef struct shared_prefix {
    size_t segment; /* that earlier root */
    size_t n;
} shared_prefix;

/* Facts about a batch, found and checked before anything runs. Segments are grouped by tree. */
typedef struct batch_index {
    size_t n_tokens, n_trees;
    size_t *order;       /* [n_segments] segments, tree after tree */
    size_t *tree_begin;  /* [n_trees + 1] into order */
    size_t *tree_tokens; /* [n_trees] */
    size_t *first_token; /* [n_segments] over the batch's tokens */
    int32_t *start;      /* [n_segments] position of the first token on its chain */
    size_t *logit_slot;  /* [n_segments] among those that want logits */
    /* Filled when a segment's tree is planned. */
    size_t *first_row;   /* [n_segments] */
    int32_t **chain;     /* [n_segments] rows by position; shared with a descendant leaf */
} batch_index;

/* Trees of a batch laid out as rows, tree after tree. */
typedef struct row_plan {
    row_set rows;
    /* Tokens to be scored, in row order: which row predicts, what, and the index over the batch's tokens. */
    size_t n_scored;
    int32_t *scored_row, *scored_target;
    size_t *scored_out;
    score_group *score_groups;
    size_t n_score_groups;
    /* Last rows of segments that want logits. */
    size_t n_logits;
    int32_t *logit_row;
    size_t *logit_out;
    /* Segments that want hidden states. */
    size_t n_hidden;
    row_span *hidden;
} row_plan;

/* The longest prefix of tree t's root that is one of the trees from `first` on before it too. The last token of a root always has a row of its own, and
 * so has every token somebody asks about. Bits are equal: a row depends on its chain only. */
shared_prefix prefix_shared(const segment_batch *batch, const batch_index *index, size_t first, size_t t);

/* segment.c. AGON_EINVAL names the segment and what is wrong. Memory from `memory`. */
AGON_MUST_CHECK agon_status batch_index_new(agon_ctx *ctx, arena *memory, const model *m,
                                            const segment_batch *batch, batch_index *out);
/* Rows of the trees [first, first + n). */
AGON_MUST_CHECK agon_status row_plan_new(agon_ctx *ctx, arena *memory, const segment_batch *batch,
                                         const batch_index *index, size_t first, size_t n, row_plan *out);

/* One layer's intermediate values. Pointers are NULL where a mode does not keep them. */
typedef struct activations {
    float *x_attention, *x_mlp;              /* residual before each norm, [n, d_model] */
    float *inv_rms_attention, *inv_rms_mlp;  /* [n] */
    float *q_raw, *k_raw;                    /* before QK-norm; the same as q, k without it */
    float *inv_rms_q, *inv_rms_k;            /* [n * heads] */
    float *q, *k, *v;                        /* after RoPE */
    float *attention, *lse;
    float *gate, *up;
} activations;

/* Scratch shared by all layers. */
typedef struct layer_scratch {
    float *normed;  /* [n, d_model] */
    float *product; /* [n, d_ff]: silu(gate) * up */
    float *low;     /* [MATMUL_PARTS, n, rank] of adapters, rank the largest of them */
    size_t rank;
    matmul_addition *additions; /* [MATMUL_PARTS, n_groups] */
} layer_scratch;

/* Where decode keeps keys and values; NULL for a forward without cache. */
typedef struct cache_layer {
    float *k, *v;                /* [cache rows, kv_dim], or */
    uint16_t *k_rounded, *v_rounded; /* where attention rounds them: bf16 */
    const int32_t *write_rows;   /* [n] */
} cache_layer;

/* One block: x is read and updated in place. */
void layer_forward(agon_ctx *ctx, const model *m, size_t layer, const row_set *rows,
                   const activations *a, const layer_scratch *scratch, const cache_layer *cache, float *x);
/* The same in two parts, for a last layer of which few rows are wanted. Keys and values of the rows x [n, d_model] (into the cache, where
 * there is one); scratch->normed [n, d_model] is left for layer_rows. */
void layer_keys(agon_ctx *ctx, const model *m, size_t layer, const row_set *rows, const activations *a,
                const layer_scratch *scratch, const cache_layer *cache, const float *x);
/* The rest, for rows whose keys are there: with a cache, these may be fewer rows than layer_keys had, x and normed alike. */
void layer_rows(agon_ctx *ctx, const model *m, size_t layer, const row_set *rows, const activations *a,
                const layer_scratch *scratch, const cache_layer *cache, float *x);
/* What all layers need: the tokens' embeddings in x [n, d_model], the positions' angles in rotation [n, head_dim], which rows then names. */
void begin_rows(agon_ctx *ctx, const model *m, row_set *rows, float *rotation, float *x);
/* to[i] = from[rows[i]], [n, width]. */
void gather_rows(const float *from, const int32_t *rows, size_t n, size_t width, float *to);

/* Buffers of a forward without gradients, in REGION_SCRATCH. */
typedef struct forward_buffers {
    float *x; /* [n, d_model] */
    float *rotation; /* [n, head_dim] */
    activations layer;
    layer_scratch scratch;
} forward_buffers;
size_t forward_bytes(const model_config *c, size_t n, size_t rank);
forward_buffers forward_buffers_take(workspace *w, const model_config *c, size_t n, size_t rank);
/* Scoring after the last layer; what a training forward keeps. */
size_t score_bytes(const model_config *c, size_t n_scored, size_t n_logits);
size_t stored_bytes(const model_config *c, size_t n, size_t n_scored, bool recompute);
size_t kept_logits_bytes(const model_config *c, size_t n_scored); /* more, where they fit */
size_t layer_scratch_bytes(const model_config *c, size_t n, size_t rank);
layer_scratch layer_scratch_take(workspace *w, region r, const model_config *c, size_t n, size_t rank);
size_t adapters_max_rank(const row_set *rows);
static inline attention_shape attention_shape_of(const model_config *c) {
    return (attention_shape){c->n_heads, c->n_kv_heads, c->head_dim, 1.0f / sqrtf((float)c->head_dim), false};
}
/* The same for a pass in ctx's numerics. */
static inline attention_shape attention_shape_in(const agon_ctx *ctx, const model *m) {
    attention_shape s = attention_shape_of(&m->config);
    s.bf16 = m->dtype == COMPUTE_BF16 && numerics_has_bf16_attention(ctx->numerics);
    return s;
}

/* What model_backward needs of the forward before it. */
struct train_state {
    const model *model;
    size_t n_tokens, n_segments;
    row_plan plan;
    bool recompute;       /* layers hold x_attention only; `shared` is filled again per layer */
    activations *layers;  /* [n_layers] */
    activations shared;
    float *x_final;       /* residual after the last layer */
    float *rotation;      /* [n, head_dim], the plan's */
    float *lse, *entropy; /* [n_scored]; entropy only where the forward was asked for it */
    bool has_entropy;
    kept_logits kept; /* of the first scored tokens, where memory allows */
};
/* Where the layer's values are (or, when recomputing, will be). */
activations train_state_layer(const train_state *s, size_t layer);
/* Scratch of model_backward. */
size_t backward_bytes(const model_config *c, size_t n, size_t n_scored, size_t rank);

#endif
