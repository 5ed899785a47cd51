/* Models that come from no file: drawn from a seed, or a copy of another as it is now. For training from scratch. */
#include "model/model_private.h"
#include "base/random.h"
#include <string.h>

/* Inputs of a linear layer keep their variance; what is added to the residual stream is smaller the deeper the model (as in GPT-2);
 * a tied embedding gives logits of standard deviation 1/2, so that a new model's loss is close to log of the vocabulary. */
static double deviation(const model_config *c, const char *name) {
    if (strstr(name, "embed_tokens") || strstr(name, "lm_head"))
        return 0.5 / sqrt((double)c->d_model);
    double depth = 1 / sqrt(2 * (double)c->n_layers);
    if (strstr(name, "o_proj"))
        return depth / sqrt((double)(c->n_heads * c->head_dim));
    if (strstr(name, "down_proj"))
        return depth / sqrt((double)c->d_ff);
    return 1 / sqrt((double)c->d_model);
}

static agon_status random_tensor(void *arg, agon_ctx *ctx, const char *name, size_t n, float *out) {
    const model_init *init = arg;
    (void)ctx;
    if (strstr(name, "norm") || strstr(name, ".bias")) {
        for (size_t i = 0; i < n; i++)
            out[i] = strstr(name, "norm") ? 1 : 0;
        return AGON_OK;
    }
    draw_normal(out, n, deviation(&init->config, name), seed_derive(init->seed, name));
    return AGON_OK;
}

agon_status model_random(agon_ctx *ctx, const model_init *init, compute_dtype dtype, model **out) {
    return model_build(ctx, &init->config, random_tensor, (void *)(uintptr_t)init, dtype, out);
}

agon_status model_copy(agon_ctx *ctx, const model *from, model **out) {
    return model_build(ctx, &from->config, model_tensor, (void *)(uintptr_t)from, from->dtype, out);
}
