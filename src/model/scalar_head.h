/* Scalar heads: a linear map from the final-norm hidden state of a token to one number.
 *
 *   reward   s_t = w . h_t          read after the token; a response's reward is the one at its last token
 *   value    V_t = w . h_{t-1} + b  read where token t is predicted from (the caller shifts)
 *
 * A head belongs to a model or to an adapter (model.h): it is trained, saved, loaded and exported with it. Stored names are those
 * of Hugging Face's sequence classification ("score.weight", which has no bias) and of TRL's value head
 * ("v_head.summary.weight" and ".bias"). Deviation from training.md section 2: a reward head has no bias, since the layout has no
 * place for one and only differences of rewards are identified. */
#ifndef MODEL_SCALAR_HEAD_H
#define MODEL_SCALAR_HEAD_H

#include "model/reward_scale.h"

typedef enum head_kind { HEAD_REWARD, HEAD_VALUE, N_HEAD_KINDS } head_kind;
typedef struct scalar_head scalar_head;

/* One stored tensor of a head. */
typedef struct head_tensor {
    head_kind kind;
    const char *name;
    bool bias; /* a vector of one value, else [1, d_model] */
} head_tensor;
enum { N_HEAD_TENSORS = 3 };
const head_tensor *head_tensor_at(size_t i); /* i < N_HEAD_TENSORS */
/* NULL when the name is no head's. */
const head_tensor *head_tensor_find(const char *name);

/* Weights of mean 0 and standard deviation `deviation` (0: zeros; reward models: 1/sqrt(width + 1)) from `seed`, bias 0. *out new. */
AGON_MUST_CHECK agon_status scalar_head_new(agon_ctx *ctx, head_kind kind, size_t width, double deviation, uint64_t seed,
                                            scalar_head **out);
/* Of a reward head's rewards; std 0: not known. A clone has its original's. */
reward_scale scalar_head_scale(const scalar_head *h);
void scalar_head_set_scale(scalar_head *h, const reward_scale *scale);
AGON_MUST_CHECK agon_status scalar_head_clone(agon_ctx *ctx, const scalar_head *h, scalar_head **out);
void scalar_head_free(scalar_head *h);
/* Weights and bias are all 0, as a new value head's: it says 0 of everything. */
bool scalar_head_is_zero(const scalar_head *h);
/* out[i] = head of hidden row i, [n]; summed in double in ascending order. hidden [n, width]. */
void scalar_head_forward(const scalar_head *h, const float *hidden, size_t n, double *out);
/* d_hidden [n, width] += d_out[i] * w; gradients of weight and bias accumulate in row order. d_out [n]. */
void scalar_head_backward(scalar_head *h, const float *hidden, const double *d_out, size_t n, float *d_hidden);

#endif
