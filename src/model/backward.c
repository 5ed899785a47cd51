/* Gradients of the forward pass, layer by layer from the top (reverse-mode differentiation by hand).
 *
 *   head:  d_hidden and d_head of the scored rows, added to the rows they came from; then the final norm
 *   layer: dx is the gradient of the residual. Each branch adds to it through its norm:
 *          dx += norm'(gate^T silu'(down^T dx) + up^T ...),  dx += norm'(q^T .. + k^T .. + v^T ..)
 *   LoRA:  y = W x + s B A x:  dB += s dy^T (A x),  dA += (s dy B)^T x,  dx += (s dy B) A   (Hu et al. 2021)
 *
 * Weight gradients go straight into the parameter arrays, so trees accumulate in call order. A tied head
 * is one parameter: within a tree the head's part comes first, then the embedding's in token order.
 * Cheap values (normed x, silu(gate) * up, A x) are computed again instead of stored. */
#include "model/model_private.h"
#include "base/pool.h"
#include <assert.h>
#include <string.h>

/* What the functions below share. */
typedef struct pass {
    agon_ctx *ctx;
    model *m;
    adapter *train; /* NULL: all weights */
    const train_state *state;
    const row_set *rows;
    float *dx;               /* [n, d_model] gradient of the residual */
    float *d_normed, *normed; /* [n, d_model] */
    float *product, *d_product, *d_gate, *d_up; /* [n, d_ff] */
    float *dq, *d_attention; /* [n, n_heads*head_dim] */
    float *dk, *dv;          /* [n, n_kv_heads*head_dim] */
    float *dq_raw, *dk_raw;  /* the same as dq, dk without head norms */
    float *low, *d_low;      /* [MATMUL_PARTS, n, rank] */
    size_t rank;
    float *attention_scratch; /* [n_attention_scratch] */
    size_t n_attention_scratch;
} pass;

/* Selected scored tokens: those with a gradient. */
typedef struct selection {
    size_t n;
    int32_t *row, *target, *scored; /* scored: which of the tree's scored tokens */
    float *lse, *entropy, *d_log_prob, *d_entropy, *d_mean;
    float *hidden, *d_hidden; /* [n, d_model] */
    float *head_scratch;
    bool any_entropy, any_mean;
} selection;

static size_t selection_bytes(const model_config *c, size_t n) {
    return 8 * workspace_size(n, 4) + 2 * workspace_size(n * c->d_model, 4) +
           workspace_size(head_scratch_floats(n, c->d_model), 4);
}

size_t backward_bytes(const model_config *c, size_t n, size_t n_scored, size_t rank) {
    size_t d = workspace_size(n * c->d_model, 4), f = workspace_size(n * c->d_ff, 4);
    size_t q = workspace_size(n * c->n_heads * c->head_dim, 4), kv = workspace_size(n * c->n_kv_heads * c->head_dim, 4);
    const attention_shape shape = attention_shape_of(c);
    return 3 * d + 4 * f + 3 * q + 3 * kv + 2 * workspace_size(MATMUL_PARTS * n * rank, 4) + workspace_size(n, 4) +
           workspace_size(attention_scratch_floats(&shape, n, n), 4) + selection_bytes(c, n_scored);
}

static float *floats(workspace *w, size_t n) {
    return workspace_take(w, REGION_SCRATCH, n, sizeof(float));
}

static void pass_take(pass *p, workspace *w, size_t rank) {
    const model_config *c = &p->m->config;
    size_t n = p->rows->n, d = n * c->d_model, f = n * c->d_ff;
    size_t q = n * c->n_heads * c->head_dim, kv = n * c->n_kv_heads * c->head_dim;
    p->dx = floats(w, d);
    p->d_normed = floats(w, d);
    p->normed = floats(w, d);
    p->product = floats(w, f);
    p->d_product = floats(w, f);
    p->d_gate = floats(w, f);
    p->d_up = floats(w, f);
    p->dq = floats(w, q);
    p->d_attention = floats(w, q);
    p->dk = floats(w, kv);
    p->dv = floats(w, kv);
    p->dq_raw = c->qk_norm ? floats(w, q) : p->dq;
    p->dk_raw = c->qk_norm ? floats(w, kv) : p->dk;
    p->rank = rank;
    p->low = floats(w, MATMUL_PARTS * n * rank);
    p->d_low = floats(w, MATMUL_PARTS * n * rank);
    const attention_shape shape = attention_shape_of(c);
    p->n_attention_scratch = attention_scratch_floats(&shape, n, n);
    p->attention_scratch = floats(w, p->n_attention_scratch);
}

/* ---- linear layers --------------------------------------------------------------------------------------- */

static const lora *adapter_of(const pass *p, size_t layer, linear_kind kind) {
    const adapter *a = p->rows->groups[0].adapter;
    const lora *item = a ? adapter_item(a, layer, kind) : NULL;
    return item && item->a ? item : NULL;
}

/* What comes through the second factor of the layer's i-th adapter, [n, rank]. */
static float *d_low_of(const pass *p, size_t i) {
    return p->d_low + i * p->rows->n * p->rank;
}

/* The gradients of the weights that were given x, or of their adapters, whose d_low linears_dx has filled. */
static void linear_gradients(const pass *p, size_t layer, linear_kind kind, const float *x, const float *dy, const float *d_low) {
    agon_ctx *ctx = p->ctx;
    size_t n = p->rows->n;
    size_t n_in = linear_n_in(&p->m->config, kind), n_out = linear_n_out(&p->m->config, kind);
    const lora *item = adapter_of(p, layer, kind);
    if (!p->train) {
        const layer_gradients *g = &p->m->train->layers[layer];
        matmul_dw(ctx, p->m->dtype, dy, x, n, n_out, n_in, 1.0f, g->linear[kind]);
        if ((int)kind < N_BIASED && g->bias[kind])
            bias_gradient(ctx, dy, n, n_out, g->bias[kind]);
    }
    if (item && p->train) {
        const adapter *a = p->train;
        matmul(ctx, x, n, item->a, NULL, 1.0f, false, p->low);
        matmul_dw(ctx, a->dtype, dy, p->low, n, n_out, a->rank, adapter_scale(a), item->b_gradient);
        matmul_dw(ctx, a->dtype, d_low, x, n, a->rank, n_in, 1.0f, item->a_gradient);
    }
}

static void linears_gradients(const pass *p, size_t layer, size_t n_kinds, const linear_kind *kinds, const float *x, const float *const *dy) {
    for (size_t i = 0; i < n_kinds; i++)
        linear_gradients(p, layer, kinds[i], x, dy[i], d_low_of(p, i));
}

/* Of layers that read the same x: dx = the sum through their weights and adapters; dx NULL: nobody needs it. */
static void linears_dx(const pass *p, size_t layer, size_t n_kinds, const linear_kind *kinds, const float *const *dy, float *dx) {
    matmul_addition terms[2 * MATMUL_PARTS];
    size_t n_terms = 0, n = p->rows->n;
    assert(n_kinds <= MATMUL_PARTS);
    for (size_t i = 0; i < n_kinds; i++) {
        const lora *item = adapter_of(p, layer, kinds[i]);
        terms[n_terms++] = (matmul_addition){0, n, dy[i], p->m->layers[layer].linear[kinds[i]], 1.0f};
        if (!item)
            continue;
        matmul_dx(p->ctx, dy[i], n, item->b, adapter_scale(p->rows->groups[0].adapter), false, d_low_of(p, i));
        terms[n_terms++] = (matmul_addition){0, n, d_low_of(p, i), item->a, 1.0f};
    }
    if (dx)
        matmul_dx_run(p->ctx, n, terms, n_terms, dx);
}

/* ---- one layer ------------------------------------------------------------------------------------------- */

static void mlp_backward(const pass *p, size_t layer, const activations *a) {
    const model_config *c = &p->m->config;
    const model_layer *l = &p->m->layers[layer];
    size_t n = p->rows->n, d = c->d_model;
    static const linear_kind down[] = {LINEAR_DOWN}, kinds[] = {LINEAR_GATE, LINEAR_UP};
    const float *const dy[] = {p->d_gate, p->d_up}, *const d_down[] = {p->dx};
    linears_dx(p, layer, 1, down, d_down, p->d_product);
    swiglu_backward(p->ctx, a->gate, a->up, p->d_product, n * c->d_ff, p->product, p->d_gate, p->d_up);
    linears_gradients(p, layer, 1, down, p->product, d_down);
    linears_dx(p, layer, 2, kinds, dy, p->d_normed);
    rms_norm(p->ctx, a->x_mlp, n, d, l->mlp_norm, c->norm_eps, p->normed, NULL);
    linears_gradients(p, layer, 2, kinds, p->normed, dy);
    rms_norm_backward(p->ctx, a->x_mlp, a->inv_rms_mlp, l->mlp_norm, p->d_normed, n, d, true, p->dx,
                      p->train ? NULL : p->m->train->layers[layer].mlp_norm);
}

/* From dq, dk after RoPE to the gradients of the products. */
static void head_backward_rotary(const pass *p, size_t layer, const activations *a) {
    const model_config *c = &p->m->config;
    const model_layer *l = &p->m->layers[layer];
    const layer_gradients *g = p->train ? NULL : &p->m->train->layers[layer];
    size_t n = p->rows->n;
    rope(p->ctx, p->dq, n, c->n_heads, c->head_dim, p->rows->rotation, -1);
    rope(p->ctx, p->dk, n, c->n_kv_heads, c->head_dim, p->rows->rotation, -1);
    if (!c->qk_norm)
        return;
    rms_norm_backward(p->ctx, a->q_raw, a->inv_rms_q, l->q_norm, p->dq, n * c->n_heads, c->head_dim, false,
                      p->dq_raw, g ? g->q_norm : NULL);
    rms_norm_backward(p->ctx, a->k_raw, a->inv_rms_k, l->k_norm, p->dk, n * c->n_kv_heads, c->head_dim,
                      false, p->dk_raw, g ? g->k_norm : NULL);
}

static void attention_block_backward(const pass *p, size_t layer, const activations *a) {
    const model_config *c = &p->m->config;
    const model_layer *l = &p->m->layers[layer];
    const attention_shape shape = attention_shape_in(p->ctx, p->m);
    size_t n = p->rows->n, d = c->d_model, kv = n * c->n_kv_heads * c->head_dim;
    /* A LoRA's gradient ends at the first layer's inputs: the embedding below is frozen. */
    bool below = layer > 0 || !p->train;
    static const linear_kind o[] = {LINEAR_O}, kinds[] = {LINEAR_Q, LINEAR_K, LINEAR_V};
    const float *const d_o[] = {p->dx}, *const dy[] = {p->dq_raw, p->dk_raw, p->dv};
    linears_dx(p, layer, 1, o, d_o, p->d_attention);
    linears_gradients(p, layer, 1, o, a->attention, d_o);
    memset(p->dk, 0, kv * sizeof *p->dk);
    memset(p->dv, 0, kv * sizeof *p->dv);
    attention_backward(p->ctx, &shape, n, p->rows->keys, a->q, a->k, a->v, a->attention, a->lse,
                       p->d_attention, p->dq, p->dk, p->dv, p->attention_scratch, p->n_attention_scratch);
    head_backward_rotary(p, layer, a);
    linears_dx(p, layer, 3, kinds, dy, below ? p->d_normed : NULL);
    rms_norm(p->ctx, a->x_attention, n, d, l->attention_norm, c->norm_eps, p->normed, NULL);
    linears_gradients(p, layer, 3, kinds, p->normed, dy);
    if (below)
        rms_norm_backward(p->ctx, a->x_attention, a->inv_rms_attention, l->attention_norm, p->d_normed, n, d,
                          true, p->dx, p->train ? NULL : p->m->train->layers[layer].attention_norm);
}

/* Fills the layer's activations again from its input. dx, d_normed and the rest are in use; the forward's
 * own scratch borrows buffers the backward writes only later. */
static activations layer_activations(const pass *p, size_t layer) {
    activations a = train_state_layer(p->state, layer);
    if (!p->state->recompute)
        return a;
    activations fill = a;
    fill.x_attention = NULL;
    assert(p->rows->n_groups == 1);
    matmul_addition additions[MATMUL_PARTS];
    layer_scratch scratch = {.normed = p->normed, .product = p->product, .low = p->low, .rank = p->rank, .additions = additions};
    size_t n = p->rows->n * p->m->config.d_model;
    memcpy(p->d_normed, a.x_attention, n * sizeof *p->d_normed);
    layer_forward(p->ctx, p->m, layer, p->rows, &fill, &scratch, NULL, p->d_normed);
    return a;
}

/* ---- head and embedding ------------------------------------------------------------------------------------ */

static selection select_scored(const pass *p, workspace *w, const token_channels *d) {
    const row_plan *plan = &p->state->plan;
    size_t most = plan->n_scored, width = p->m->config.d_model;
    selection s = {.row = workspace_take(w, REGION_SCRATCH, most, sizeof(int32_t)),
                   .target = workspace_take(w, REGION_SCRATCH, most, sizeof(int32_t)),
                   .scored = workspace_take(w, REGION_SCRATCH, most, sizeof(int32_t)),
                   .lse = floats(w, most),
                   .entropy = floats(w, most),
                   .d_log_prob = floats(w, most),
                   .d_entropy = floats(w, most),
                   .d_mean = floats(w, most)};
    for (size_t i = 0; i < most; i++) {
        size_t t = plan->scored_out[i];
        float dl = d->log_prob ? d->log_prob[t] : 0, de = d->entropy ? d->entropy[t] : 0;
        float dm = d->mean_log_prob ? d->mean_log_prob[t] : 0;
        if (dl == 0 && de == 0 && dm == 0)
            continue;
        s.any_entropy |= de != 0;
        s.any_mean |= dm != 0;
        s.row[s.n] = plan->scored_row[i];
        s.scored[s.n] = (int32_t)i;
        s.target[s.n] = plan->scored_target[i];
        s.lse[s.n] = p->state->lse[i];
        s.entropy[s.n] = p->state->has_entropy ? p->state->entropy[i] : 0;
        s.d_log_prob[s.n] = dl;
        s.d_entropy[s.n] = de;
        s.d_mean[s.n++] = dm;
    }
    s.hidden = floats(w, s.n * width);
    s.d_hidden = floats(w, s.n * width);
    s.head_scratch = floats(w, head_scratch_floats(s.n, width));
    return s;
}

/* dx of the last residual from the channels' gradients. */
static void top_backward(const pass *p, workspace *w, const token_channels *d) {
    const model_config *c = &p->m->config;
    const train_state *state = p->state;
    size_t n = p->rows->n, width = c->d_model;
    selection s = select_scored(p, w, d);
    float *inv_rms = floats(w, n);
    memset(p->d_normed, 0, n * width * sizeof *p->d_normed);
    rms_norm(p->ctx, state->x_final, n, width, p->m->final_norm, c->norm_eps, p->normed, inv_rms);
    if (s.n) {
        kept_logits kept = state->kept;
        kept.row = s.scored;
        gather_rows(p->normed, s.row, s.n, width, s.hidden);
        head_backward(p->ctx, p->m->head, s.hidden, s.n, s.target, state->plan.score_groups[0].temperature,
                      s.lse, s.entropy, s.d_log_prob, s.any_entropy ? s.d_entropy : NULL,
                      s.any_mean ? s.d_mean : NULL, s.d_hidden, p->train ? NULL : p->m->train->head,
                      s.head_scratch, &kept);
        for (size_t i = 0; i < s.n; i++)
            for (size_t j = 0; j < width; j++)
                p->d_normed[(size_t)s.row[i] * width + j] += s.d_hidden[i * width + j];
    }
    for (size_t i = 0; d->hidden && i < state->plan.n_hidden; i++) {
        const row_span *span = &state->plan.hidden[i];
        add_in_place(p->ctx, p->d_normed + span->row * width, d->hidden + span->out * width, span->n * width);
    }
    rms_norm_backward(p->ctx, state->x_final, inv_rms, p->m->final_norm, p->d_normed, n, width, false, p->dx,
                      p->train ? NULL : p->m->train->final_norm);
}

static void embedding_backward(const pass *p) {
    size_t width = p->m->config.d_model;
    for (size_t i = 0; i < p->rows->n; i++) {
        float *row = p->m->train->embedding + (size_t)p->rows->tokens[i] * width;
        for (size_t j = 0; j < width; j++)
            row[j] += p->dx[i * width + j];
    }
}

/* ---- the whole pass ------------------------------------------------------------------------------------------ */

static agon_status check_call(agon_ctx *ctx, model *m, adapter *train, const workspace *w,
                              const segment_batch *tree, const token_channels *d) {
    const train_state *s = w->state;
    if (!s || s->model != m || s->n_segments != tree->n_segments ||
        s->n_tokens != segment_batch_n_tokens(tree))
        return ctx_fail(ctx, AGON_EINVAL, "a backward pass must follow the training forward of the same tree");
    if (train && s->plan.rows.groups[0].adapter != train)
        return ctx_fail(ctx, AGON_EINVAL, "the adapter to be trained is not the one the tree ran with");
    if (!train && !m->train)
        return ctx_fail(ctx, AGON_EINVAL, "the model is frozen: give an adapter or make it trainable first");
    if (d->entropy && !s->has_entropy)
        return ctx_fail(ctx, AGON_EINVAL, "a gradient of the entropy needs a forward that was asked for entropy");
    if (d->logits)
        return ctx_fail(ctx, AGON_EINVAL, "there is no backward pass through raw logits");
    return AGON_OK;
}

static agon_status run(agon_ctx *ctx, model *m, adapter *train, workspace *w, const segment_batch *tree,
                       const token_channels *d) {
    agon_status status = check_call(ctx, m, train, w, tree, d);
    if (status)
        return status;
    if (train) {
        parameters unused;
        if ((status = adapter_parameters(ctx, train, &unused)))
            return status;
    }
    pass p = {.ctx = ctx, .m = m, .train = train, .state = w->state, .rows = &w->state->plan.rows};
    size_t rank = adapters_max_rank(p.rows);
    size_t bytes = backward_bytes(&m->config, p.rows->n, p.state->plan.n_scored, rank);
    if ((status = workspace_begin(ctx, w, REGION_SCRATCH, bytes)))
        return status;
    w->state = NULL; /* used up, also when interrupted */
    pass_take(&p, w, rank);
    top_backward(&p, w, d);
    for (size_t l = m->config.n_layers; l-- > 0 && !status;) {
        activations a = layer_activations(&p, l);
        mlp_backward(&p, l, &a);
        attention_block_backward(&p, l, &a);
        status = ctx_check_interrupt(ctx);
    }
    if (!status && !train)
        embedding_backward(&p);
    return status;
}

agon_status model_backward(agon_ctx *ctx, model *m, adapter *train, workspace *w,
                           const segment_batch *tree, const token_channels *d) {
    unsigned mode = fp_mode_set();
    agon_status status = run(ctx, m, train, w, tree, d);
    fp_mode_restore(mode);
    return status;
}
