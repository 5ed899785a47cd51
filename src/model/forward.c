/* The decoder's forward pass over rows (pre-norm blocks of Llama: RMSNorm, grouped-query attention with
 * RoPE, SwiGLU; Touvron et al. 2023), and model_forward / model_forward_train on top of it.
 *
 *   x = embedding[token]
 *   per layer:  h = norm(x); q, k, v = linear(h) [head norms]; rope(q, k); x += o(attention(q, k, v))
 *               h = norm(x);  x += down(silu(gate(h)) * up(h))
 *   scores:     norm(x) of the rows that predict something, then the head; the others skip it
 *
 * The residual stream x is f32; each product rounds its operands as compute.h says, and nothing else is
 * rounded. Rows are independent but for attention, so how trees are cut into segments, grouped into
 * chunks and mixed with others cannot change a bit. */
#include "model/model_private.h"
#include "base/pool.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Rows run together without gradients: enough for the products to be limited by arithmetic, few enough
 * for one layer's buffers to stay small. Whole trees only, so a larger tree makes a larger chunk, which may go on for AFTER_LARGE_ROWS. */
enum { CHUNK_ROWS = 1024, AFTER_LARGE_ROWS = 256 };

/* ---- one layer ----------------------------------------------------------------------------------------- */

void gather_rows(const float *from, const int32_t *rows, size_t n, size_t width, float *to) {
    for (size_t i = 0; i < n; i++)
        memcpy(to + i * width, from + (size_t)rows[i] * width, width * sizeof *to);
}

void begin_rows(agon_ctx *ctx, const model *m, row_set *rows, float *rotation, float *x) {
    rope_table(ctx, rows->n, m->config.head_dim, m->inv_freq, rows->positions, rotation);
    rows->rotation = rotation;
    for (size_t i = 0; i < rows->n; i++)
        matrix_row(m->embedding, (size_t)rows->tokens[i], x + i * m->config.d_model);
}

size_t adapters_max_rank(const row_set *rows) {
    size_t rank = 0;
    for (size_t g = 0; g < rows->n_groups; g++)
        if (rows->groups[g].adapter && rows->groups[g].adapter->rank > rank)
            rank = rows->groups[g].adapter->rank;
    return rank;
}

static const float *bias_of(const model_layer *l, linear_kind kind) {
    return (int)kind < N_BIASED ? l->bias[kind] : NULL;
}

/* First factors of the adapters on kinds[i], A x, and what the second ones add to part i. */
static void take_additions(agon_ctx *ctx, size_t layer, const linear_kind *kinds, const row_set *rows, const layer_scratch *s,
                           matmul_job *job) {
    const size_t n_in = matrix_n_in(job->parts->w);
    for (size_t i = 0; i < job->n_parts; i++)
        job->parts[i].additions = s->additions + i * rows->n_groups;
    for (size_t g = 0; g < rows->n_groups; g++) {
        const row_group *group = &rows->groups[g];
        matmul_job low = {.x = job->x + group->first * n_in, .n_rows = group->n};
        for (size_t i = 0; group->adapter && i < job->n_parts; i++) {
            const lora *item = adapter_item(group->adapter, layer, kinds[i]);
            float *y = s->low + (i * rows->n + group->first) * s->rank;
            if (!item->a)
                continue;
            low.parts[low.n_parts++] = (matmul_part){.w = item->a, .y = y};
            s->additions[i * rows->n_groups + job->parts[i].n_additions++] =
                (matmul_addition){group->first, group->n, y, item->b, adapter_scale(group->adapter)};
        }
        if (low.n_parts)
            matmul_run(ctx, &low);
    }
}

/* y[i] = W x + bias + adapters of kinds[i], which read the job's x, and what the job says follows. */
static void linears(agon_ctx *ctx, const model *m, size_t layer, size_t n, const linear_kind *kinds, const row_set *rows,
                    const layer_scratch *s, float *const *y, matmul_job *job) {
    const model_layer *l = &m->layers[layer];
    job->n_rows = rows->n;
    job->n_parts = n;
    job->rotation = rows->rotation;
    job->head_dim = m->config.head_dim;
    for (size_t i = 0; i < n; i++)
        job->parts[i] = (matmul_part){.w = l->linear[kinds[i]], .bias = bias_of(l, kinds[i]), .y = y[i],
                                      .rotate = !m->config.qk_norm && (kinds[i] == LINEAR_Q || kinds[i] == LINEAR_K)};
    take_additions(ctx, layer, kinds, rows, s, job);
    matmul_run(ctx, job);
}

/* x += W x_in + adapters. */
static void linear_add(agon_ctx *ctx, const model *m, size_t layer, linear_kind kind, const row_set *rows, const layer_scratch *s,
                       const float *x_in, float *x) {
    linears(ctx, m, layer, 1, &kind, rows, s, &x, &(matmul_job){.x = x_in, .accumulate = true});
}

static void keep_keys(agon_ctx *ctx, const cache_layer *cache, const activations *a, size_t n, size_t width) {
    if (cache->k_rounded) {
        round_keys(ctx, a->k, a->v, n, width, cache->write_rows, cache->k_rounded, cache->v_rounded);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        size_t to = (size_t)cache->write_rows[i] * width;
        memcpy(cache->k + to, a->k + i * width, width * sizeof *a->k);
        memcpy(cache->v + to, a->v + i * width, width * sizeof *a->v);
    }
}

/* Of the rows' normed x [n, d_model]: queries, keys and values as the linear maps give them, and what becomes of them. */
enum { KEYS_AND_VALUES = 2, QUERIES_TOO = 3 };

static void project(agon_ctx *ctx, const model *m, size_t layer, const row_set *rows, const activations *a,
                    const layer_scratch *s, const float *x, size_t n) {
    static const linear_kind kinds[QUERIES_TOO] = {LINEAR_K, LINEAR_V, LINEAR_Q};
    float *const y[QUERIES_TOO] = {a->k_raw, a->v, a->q_raw};
    if (a->x_attention)
        memcpy(a->x_attention, x, rows->n * m->config.d_model * sizeof *x);
    rms_norm(ctx, x, rows->n, m->config.d_model, m->layers[layer].attention_norm, m->config.norm_eps, s->normed,
             a->inv_rms_attention);
    linears(ctx, m, layer, n, kinds, rows, s, y, &(matmul_job){.x = s->normed});
}

static void finish_keys(agon_ctx *ctx, const model *m, size_t layer, const row_set *rows, const activations *a,
                        const cache_layer *cache) {
    const model_config *c = &m->config;
    if (c->qk_norm) {
        rms_norm(ctx, a->k_raw, rows->n * c->n_kv_heads, c->head_dim, m->layers[layer].k_norm, c->norm_eps, a->k, a->inv_rms_k);
        rope(ctx, a->k, rows->n, c->n_kv_heads, c->head_dim, rows->rotation, 1);
    }
    if (cache)
        keep_keys(ctx, cache, a, rows->n, c->n_kv_heads * c->head_dim);
}

static void finish_queries(agon_ctx *ctx, const model *m, size_t layer, const row_set *rows, const activations *a) {
    const model_config *c = &m->config;
    if (!c->qk_norm)
        return;
    rms_norm(ctx, a->q_raw, rows->n * c->n_heads, c->head_dim, m->layers[layer].q_norm, c->norm_eps, a->q, a->inv_rms_q);
    rope(ctx, a->q, rows->n, c->n_heads, c->head_dim, rows->rotation, 1);
}

/* From queries, keys and values to the next layer's x. */
static void attend_and_feed(agon_ctx *ctx, const model *m, size_t layer, const row_set *rows, const activations *a,
                            const layer_scratch *s, const cache_layer *cache, float *x) {
    static const linear_kind kinds[] = {LINEAR_GATE, LINEAR_UP};
    float *const y[] = {a->gate, a->up};
    const model_config *c = &m->config;
    const attention_shape shape = attention_shape_in(ctx, m);
    size_t n = rows->n, d = c->d_model;
    if (cache && cache->k_rounded)
        attention_rounded(ctx, &shape, n, rows->keys, a->q, cache->k_rounded, cache->v_rounded, a->attention);
    else
        attention(ctx, &shape, n, rows->keys, a->q, cache ? cache->k : a->k, cache ? cache->v : a->v, a->attention, a->lse);
    linear_add(ctx, m, layer, LINEAR_O, rows, s, a->attention, x);
    if (a->x_mlp)
        memcpy(a->x_mlp, x, n * d * sizeof *x);
    rms_norm(ctx, x, n, d, m->layers[layer].mlp_norm, c->norm_eps, s->normed, a->inv_rms_mlp);
    linears(ctx, m, layer, 2, kinds, rows, s, y, &(matmul_job){.x = s->normed, .swiglu = s->product});
    linear_add(ctx, m, layer, LINEAR_DOWN, rows, s, s->product, x);
}

void layer_keys(agon_ctx *ctx, const model *m, size_t layer, const row_set *rows, const activations *a,
                const layer_scratch *s, const cache_layer *cache, const float *x) {
    project(ctx, m, layer, rows, a, s, x, KEYS_AND_VALUES);
    finish_keys(ctx, m, layer, rows, a, cache);
}

void layer_rows(agon_ctx *ctx, const model *m, size_t layer, const row_set *rows, const activations *a,
                const layer_scratch *s, const cache_layer *cache, float *x) {
    static const linear_kind queries[] = {LINEAR_Q};
    linears(ctx, m, layer, 1, queries, rows, s, &a->q_raw, &(matmul_job){.x = s->normed});
    finish_queries(ctx, m, layer, rows, a);
    attend_and_feed(ctx, m, layer, rows, a, s, cache, x);
}

void layer_forward(agon_ctx *ctx, const model *m, size_t layer, const row_set *rows, const activations *a,
                   const layer_scratch *s, const cache_layer *cache, float *x) {
    project(ctx, m, layer, rows, a, s, x, QUERIES_TOO);
    finish_keys(ctx, m, layer, rows, a, cache);
    finish_queries(ctx, m, layer, rows, a);
    attend_and_feed(ctx, m, layer, rows, a, s, cache, x);
}

/* ---- memory -------------------------------------------------------------------------------------------- */

typedef enum keep { KEEP_NOTHING, KEEP_INPUT, KEEP_ALL } keep;

static float *floats(workspace *w, region r, size_t n) {
    return workspace_take(w, r, n, sizeof(float));
}

/* Bytes of activations_take's buffers. */
static size_t activations_bytes(const model_config *c, size_t n, keep kept) {
    size_t d = workspace_size(n * c->d_model, 4), f = workspace_size(n * c->d_ff, 4);
    size_t q = workspace_size(n * c->n_heads * c->head_dim, 4), kv = workspace_size(n * c->n_kv_heads * c->head_dim, 4);
    size_t bytes = 2 * q + 2 * kv + 2 * f;
    if (kept == KEEP_NOTHING)
        return bytes;
    bytes += d + 2 * workspace_size(n, 4) + workspace_size(n * c->n_heads, 4);
    if (c->qk_norm)
        bytes += q + kv + workspace_size(n * c->n_heads, 4) + workspace_size(n * c->n_kv_heads, 4);
    return bytes + (kept == KEEP_ALL ? d : 0);
}

/* KEEP_INPUT has all that a backward pass reads but x_attention, which the caller keeps per layer. */
static activations activations_take(workspace *w, region r, const model_config *c, size_t n, keep kept) {
    size_t q = n * c->n_heads * c->head_dim, kv = n * c->n_kv_heads * c->head_dim;
    activations a = {.q = floats(w, r, q),
                     .k = floats(w, r, kv),
                     .v = floats(w, r, kv),
                     .attention = floats(w, r, q),
                     .gate = floats(w, r, n * c->d_ff),
                     .up = floats(w, r, n * c->d_ff)};
    a.q_raw = a.q;
    a.k_raw = a.k;
    if (kept == KEEP_NOTHING)
        return a;
    a.x_mlp = floats(w, r, n * c->d_model);
    a.inv_rms_attention = floats(w, r, n);
    a.inv_rms_mlp = floats(w, r, n);
    a.lse = floats(w, r, n * c->n_heads);
    if (c->qk_norm) {
        a.q_raw = floats(w, r, q);
        a.k_raw = floats(w, r, kv);
        a.inv_rms_q = floats(w, r, n * c->n_heads);
        a.inv_rms_k = floats(w, r, n * c->n_kv_heads);
    }
    if (kept == KEEP_ALL)
        a.x_attention = floats(w, r, n * c->d_model);
    return a;
}

size_t layer_scratch_bytes(const model_config *c, size_t n, size_t rank) {
    return workspace_size(n * c->d_model, 4) + workspace_size(n * c->d_ff, 4) + workspace_size(MATMUL_PARTS * n * rank, 4) +
           workspace_size(MATMUL_PARTS * n, sizeof(matmul_addition));
}

layer_scratch layer_scratch_take(workspace *w, region r, const model_config *c, size_t n, size_t rank) {
    return (layer_scratch){floats(w, r, n * c->d_model), floats(w, r, n * c->d_ff), floats(w, r, MATMUL_PARTS * n * rank), rank,
                           workspace_take(w, r, MATMUL_PARTS * n, sizeof(matmul_addition))};
}

size_t score_bytes(const model_config *c, size_t n_scored, size_t n_logits) {
    size_t rows = n_scored > n_logits ? n_scored : n_logits;
    return workspace_size(rows * c->d_model, 4) + 4 * workspace_size(n_scored, 4) +
           workspace_size(n_logits * c->n_vocabulary, 4);
}

size_t forward_bytes(const model_config *c, size_t n, size_t rank) {
    return workspace_size(n * c->d_model, 4) + workspace_size(n * c->head_dim, 4) + activations_bytes(c, n, KEEP_NOTHING) +
           layer_scratch_bytes(c, n, rank);
}

forward_buffers forward_buffers_take(workspace *w, const model_config *c, size_t n, size_t rank) {
    forward_buffers b;
    b.x = floats(w, REGION_SCRATCH, n * c->d_model);
    b.rotation = floats(w, REGION_SCRATCH, n * c->head_dim);
    b.layer = activations_take(w, REGION_SCRATCH, c, n, KEEP_NOTHING);
    b.scratch = layer_scratch_take(w, REGION_SCRATCH, c, n, rank);
    return b;
}

size_t stored_bytes(const model_config *c, size_t n, size_t n_scored, bool recompute) {
    size_t d = workspace_size(n * c->d_model, 4);
    size_t layers = recompute ? size_add(size_mul(c->n_layers, d), activations_bytes(c, n, KEEP_INPUT))
                              : size_mul(c->n_layers, activations_bytes(c, n, KEEP_ALL));
    return size_add(layers, 2 * d + workspace_size(n * c->head_dim, 4) + 2 * workspace_size(n, 4) + 2 * workspace_size(n_scored, 4));
}

/* Of a tree's first scored tokens, as many as a constant size holds: never tokens x vocabulary. */
static size_t kept_logits_rows(const model_config *c, size_t n_scored) {
    enum { KEPT_FLOATS = 25 << 20 };
    size_t most = KEPT_FLOATS / c->n_vocabulary;
    return n_scored < most ? n_scored : most;
}

size_t kept_logits_bytes(const model_config *c, size_t n_scored) {
    size_t rows = kept_logits_rows(c, n_scored);
    return rows ? workspace_size(rows * c->n_vocabulary, 4) : 0;
}

/* ---- scores ---------------------------------------------------------------------------------------------- */

static agon_status check_finite(agon_ctx *ctx, const row_plan *p, const float *values, const char *what) {
    for (size_t i = 0; i < p->n_scored; i++)
        if (!isfinite(values[i]))
            return ctx_fail(ctx, AGON_ENUMERIC, "the %s of batch token %zu (id %d) is not finite", what,
                            p->scored_out[i], (int)p->scored_target[i]);
    return AGON_OK;
}

static void scatter(const row_plan *p, const float *values, float *out) {
    for (size_t i = 0; out && i < p->n_scored; i++)
        out[p->scored_out[i]] = values[i];
}

/* Channels of the plan's rows from the last residual x. lse and entropy [n_scored], or NULL: scratch. */
static agon_status score_rows(agon_ctx *ctx, const model *m, workspace *w, const row_plan *p,
                              const float *x, const token_channels *out, float *lse, float *entropy,
                              const kept_logits *keep) {
    const model_config *c = &m->config;
    size_t d = c->d_model, n = p->n_scored;
    float *hidden = floats(w, REGION_SCRATCH, (n > p->n_logits ? n : p->n_logits) * d);
    float *log_prob = floats(w, REGION_SCRATCH, n), *mean = floats(w, REGION_SCRATCH, n);
    float *lse_scratch = floats(w, REGION_SCRATCH, n), *entropy_scratch = floats(w, REGION_SCRATCH, n);
    float *logits = floats(w, REGION_SCRATCH, p->n_logits * c->n_vocabulary);
    bool wants_entropy = out->entropy || entropy;
    lse = lse ? lse : lse_scratch;
    entropy = entropy ? entropy : entropy_scratch;
    if (n) {
        gather_rows(x, p->scored_row, n, d, hidden);
        rms_norm(ctx, hidden, n, d, m->final_norm, c->norm_eps, hidden, NULL);
    }
    assert(!keep || p->n_score_groups <= 1);
    for (size_t g = 0; g < p->n_score_groups; g++) {
        const score_group *s = &p->score_groups[g];
        head_log_prob(ctx, m->head, hidden + s->first * d, s->n, p->scored_target + s->first, s->temperature,
                      lse + s->first, log_prob + s->first, wants_entropy ? entropy + s->first : NULL,
                      out->mean_log_prob ? mean + s->first : NULL, keep);
    }
    agon_status status = check_finite(ctx, p, log_prob, "log_prob");
    if (status)
        return status;
    scatter(p, log_prob, out->log_prob);
    scatter(p, entropy, out->entropy);
    scatter(p, mean, out->mean_log_prob);
    if (p->n_logits && out->logits) {
        gather_rows(x, p->logit_row, p->n_logits, d, hidden);
        rms_norm(ctx, hidden, p->n_logits, d, m->final_norm, c->norm_eps, hidden, NULL);
        head_logits(ctx, m->head, hidden, p->n_logits, logits);
        for (size_t i = 0; i < p->n_logits; i++)
            memcpy(out->logits + p->logit_out[i] * c->n_vocabulary, logits + i * c->n_vocabulary,
                   c->n_vocabulary * sizeof *logits);
    }
    for (size_t i = 0; out->hidden && i < p->n_hidden; i++)
        rms_norm(ctx, x + p->hidden[i].row * d, p->hidden[i].n, d, m->final_norm, c->norm_eps,
                 out->hidden + p->hidden[i].out * d, NULL);
    return AGON_OK;
}

static void clear_channels(const token_channels *out, size_t n_tokens) {
    float *const channels[] = {out->log_prob, out->entropy, out->mean_log_prob};
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++)
        if (channels[i])
            memset(channels[i], 0, n_tokens * sizeof(float));
}

/* ---- forward without gradients --------------------------------------------------------------------------- */

static size_t chunk_bytes(const model_config *c, const row_plan *p) {
    size_t rank = adapters_max_rank(&p->rows);
    return size_add(forward_bytes(c, p->rows.n, rank), score_bytes(c, p->n_scored, p->n_logits));
}

static agon_status run_chunk(agon_ctx *ctx, const model *m, workspace *w, const row_plan *p,
                             const token_channels *out) {
    const model_config *c = &m->config;
    agon_status status = workspace_begin(ctx, w, REGION_SCRATCH, chunk_bytes(c, p));
    if (status)
        return status;
    forward_buffers b = forward_buffers_take(w, c, p->rows.n, adapters_max_rank(&p->rows));
    row_set rows = p->rows;
    begin_rows(ctx, m, &rows, b.rotation, b.x);
    for (size_t l = 0; l < c->n_layers && !status; l++) {
        layer_forward(ctx, m, l, &rows, &b.layer, &b.scratch, NULL, b.x);
        status = ctx_check_interrupt(ctx);
    }
    return status ? status : score_rows(ctx, m, w, p, b.x, out, NULL, NULL, NULL);
}

/* The rows of a chunk that begins with a tree of n: a large one is followed by those of few rows that share its prompt, where memory is not short. */
static size_t chunk_limit(const model_config *c, const workspace *w, size_t n) {
    const size_t most = size_add(n, AFTER_LARGE_ROWS);
    return most > CHUNK_ROWS && forward_bytes(c, most, 0) <= w->limit / 2 ? most : CHUNK_ROWS;
}

/* Plans whole trees from `first` while their rows fit, shared ones counted once; at least one tree. */
static agon_status next_chunk(agon_ctx *ctx, const model *m, const workspace *w, arena *plans, const segment_batch *batch,
                              const batch_index *index, size_t first, size_t *n, row_plan *out) {
    size_t rows = index->tree_tokens[first];
    const size_t limit = chunk_limit(&m->config, w, rows);
    for (*n = 1; first + *n < index->n_trees; ++*n) {
        const size_t t = first + *n;
        rows += index->tree_tokens[t] - prefix_shared(batch, index, first, t).n;
        if (rows > limit)
            break;
    }
    return row_plan_new(ctx, plans, batch, index, first, *n, out);
}

static agon_status run_batch(agon_ctx *ctx, const model *m, workspace *w, const segment_batch *batch,
                             const token_channels *out) {
    arena *plans = NULL;
    batch_index index;
    agon_status status = workspace_plans(ctx, w, REGION_SCRATCH, &plans);
    if (!status)
        status = batch_index_new(ctx, plans, m, batch, &index);
    if (status || batch->n_segments == 0)
        return status;
    row_plan *chunks = arena_take(plans, index.n_trees, sizeof *chunks);
    size_t n_chunks = 0, most = 0;
    if (!chunks)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for a batch of %zu trees", index.n_trees);
    for (size_t t = 0, n; t < index.n_trees && !status; t += n) {
        status = next_chunk(ctx, m, w, plans, batch, &index, t, &n, &chunks[n_chunks]);
        if (status)
            return status;
        size_t bytes = chunk_bytes(&m->config, &chunks[n_chunks++]);
        most = bytes > most ? bytes : most;
    }
    if ((status = workspace_begin(ctx, w, REGION_SCRATCH, most))) /* ENOMEM before anything runs */
        return status;
    clear_channels(out, index.n_tokens);
    for (size_t i = 0; i < n_chunks && !status; i++)
        status = run_chunk(ctx, m, w, &chunks[i], out);
    return status;
}

agon_status model_forward(agon_ctx *ctx, const model *m, workspace *w, const segment_batch *batch,
                          const token_channels *out) {
    unsigned mode = fp_mode_set();
    agon_status status = run_batch(ctx, m, w, batch, out);
    fp_mode_restore(mode);
    return status;
}

/* ---- forward that keeps what the backward pass needs ------------------------------------------------------ */

static agon_status plan_tree(agon_ctx *ctx, const model *m, workspace *w, const segment_batch *tree,
                             train_state **out) {
    arena *plans = NULL;
    batch_index index;
    agon_status status = workspace_plans(ctx, w, REGION_STORED, &plans);
    train_state *s = status ? NULL : arena_take(plans, 1, sizeof *s);
    if (status || !s)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for a training step");
    if ((status = batch_index_new(ctx, plans, m, tree, &index)))
        return status;
    if (index.n_trees != 1)
        return ctx_fail(ctx, AGON_EINVAL, "a training batch is one tree; this one has %zu", index.n_trees);
    if ((status = row_plan_new(ctx, plans, tree, &index, 0, 1, &s->plan)))
        return status;
    s->layers = arena_take(plans, m->config.n_layers, sizeof *s->layers);
    if (!s->layers)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for a training step");
    s->model = m;
    s->n_tokens = index.n_tokens;
    s->n_segments = tree->n_segments;
    *out = s;
    return AGON_OK;
}

/* All activations where they fit beside the backward pass's scratch, else each layer's input only:
 * the backward pass then runs a layer's forward again, with the same bits. */
static agon_status take_stored(agon_ctx *ctx, const model *m, workspace *w, train_state *s) {
    const model_config *c = &m->config;
    size_t n = s->plan.rows.n, d = n * c->d_model, rank = adapters_max_rank(&s->plan.rows);
    size_t forward = size_add(layer_scratch_bytes(c, n, rank), score_bytes(c, s->plan.n_scored, s->plan.n_logits));
    size_t backward = backward_bytes(c, n, s->plan.n_scored, rank);
    size_t scratch = forward > backward ? forward : backward;
    size_t all = stored_bytes(c, n, s->plan.n_scored, false), kept = kept_logits_bytes(c, s->plan.n_scored);
    s->recompute = size_add(all, scratch) > w->limit;
    if (size_add(size_add(all, kept), scratch) > w->limit)
        kept = 0;
    size_t stored = s->recompute ? stored_bytes(c, n, s->plan.n_scored, true) : size_add(all, kept);
    agon_status status = workspace_begin_both(ctx, w, stored, scratch);
    if (status)
        return status;
    for (size_t l = 0; l < c->n_layers; l++) {
        if (s->recompute)
            s->layers[l] = (activations){.x_attention = floats(w, REGION_STORED, d)};
        else
            s->layers[l] = activations_take(w, REGION_STORED, c, n, KEEP_ALL);
    }
    if (s->recompute)
        s->shared = activations_take(w, REGION_STORED, c, n, KEEP_INPUT);
    s->x_final = floats(w, REGION_STORED, d);
    s->rotation = floats(w, REGION_STORED, n * c->head_dim);
    s->lse = floats(w, REGION_STORED, s->plan.n_scored);
    s->entropy = floats(w, REGION_STORED, s->plan.n_scored);
    if (kept) {
        s->kept.n_rows = kept_logits_rows(c, s->plan.n_scored);
        s->kept.logits = floats(w, REGION_STORED, s->kept.n_rows * c->n_vocabulary);
    }
    return AGON_OK;
}

activations train_state_layer(const train_state *s, size_t layer) {
    activations a = s->recompute ? s->shared : s->layers[layer];
    a.x_attention = s->layers[layer].x_attention;
    return a;
}

static agon_status run_tree(agon_ctx *ctx, const model *m, workspace *w, const segment_batch *tree,
                            const token_channels *out) {
    train_state *s = NULL;
    w->state = NULL;
    agon_status status = plan_tree(ctx, m, w, tree, &s);
    if (!status)
        status = take_stored(ctx, m, w, s);
    if (status)
        return status;
    const model_config *c = &m->config;
    layer_scratch scratch = layer_scratch_take(w, REGION_SCRATCH, c, s->plan.rows.n, adapters_max_rank(&s->plan.rows));
    begin_rows(ctx, m, &s->plan.rows, s->rotation, s->x_final);
    for (size_t l = 0; l < c->n_layers && !status; l++) {
        activations a = train_state_layer(s, l);
        layer_forward(ctx, m, l, &s->plan.rows, &a, &scratch, NULL, s->x_final);
        status = ctx_check_interrupt(ctx);
    }
    if (status)
        return status;
    clear_channels(out, s->n_tokens);
    status = score_rows(ctx, m, w, &s->plan, s->x_final, out, s->lse,
                        out->entropy ? s->entropy : NULL, s->kept.n_rows ? &s->kept : NULL);
    s->has_entropy = out->entropy != NULL;
    if (!status)
        w->state = s;
    return status;
}

agon_status model_forward_train(agon_ctx *ctx, const model *m, workspace *w, const segment_batch *tree,
                                const token_channels *out) {
    unsigned mode = fp_mode_set();
    agon_status status = run_tree(ctx, m, w, tree, out);
    fp_mode_restore(mode);
    return status;
}
