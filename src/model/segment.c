/* From a segment batch to rows: checks, absolute positions, and for each row the rows it may see.
 *
 * Trees are laid out one after another, segments in batch order within a tree. A row's keys are the
 * first position+1 entries of an array that lists a chain's rows by position. A segment's array is a
 * prefix of its descendants', so only leaves own one: a chat cut into many segments costs no more
 * than the uncut chain. */
#include "model/model_private.h"
#include <assert.h>

enum { WANT_SCORE = WANT_LOG_PROB | WANT_ENTROPY | WANT_MEAN_LOG_PROB };

size_t segment_batch_n_tokens(const segment_batch *batch) {
    size_t n = 0;
    for (size_t s = 0; s < batch->n_segments; s++)
        n = size_add(n, batch->segments[s].n_tokens);
    return n;
}

static agon_status no_memory(agon_ctx *ctx, size_t n_tokens) {
    return ctx_fail(ctx, AGON_ENOMEM, "out of memory laying out a batch of %zu tokens", n_tokens);
}

static agon_status check_segment(agon_ctx *ctx, const model *m, const segment_batch *batch, size_t s,
                                 int32_t start) {
    const segment *g = &batch->segments[s];
    const model_config *c = &m->config;
    for (size_t i = 0; i < g->n_tokens; i++)
        if (g->tokens[i] < 0 || (size_t)g->tokens[i] >= c->n_vocabulary)
            return ctx_fail(ctx, AGON_EINVAL, "segment %zu, token %zu: id %d is not in the vocabulary of %zu",
                            s, i, (int)g->tokens[i], c->n_vocabulary);
    if (g->n_tokens > c->max_context || (size_t)start > c->max_context - g->n_tokens)
        return ctx_fail(ctx, AGON_EINVAL,
                        "segment %zu ends at token %zu of its chain; the model's context is %zu tokens: shorten it",
                        s, (size_t)start + g->n_tokens, c->max_context);
    if (g->parent >= 0)
        return AGON_OK;
    if (!temperature_is_valid(g->temperature))
        return ctx_fail(ctx, AGON_EINVAL, "segment %zu: temperature %g is neither 0 nor from %g to %g", s,
                        (double)g->temperature, (double)LEAST_TEMPERATURE, (double)MOST_TEMPERATURE);
    if (g->adapter && !adapter_fits(g->adapter, c))
        return ctx_fail(ctx, AGON_EINVAL, "segment %zu: its adapter was made for another model's sizes", s);
    return AGON_OK;
}

agon_status batch_index_new(agon_ctx *ctx, arena *memory, const model *m, const segment_batch *batch,
                            batch_index *out) {
    size_t n = batch->n_segments;
    batch_index x = {.n_tokens = segment_batch_n_tokens(batch)};
    if (x.n_tokens > INT32_MAX)
        return ctx_fail(ctx, AGON_EINVAL, "a batch of %zu tokens: at most %d", x.n_tokens, INT32_MAX);
    size_t *tree = arena_take(memory, n, sizeof *tree);
    x.order = arena_take(memory, n, sizeof *x.order);
    x.tree_begin = arena_take(memory, n + 1, sizeof *x.tree_begin);
    x.tree_tokens = arena_take(memory, n, sizeof *x.tree_tokens);
    x.first_token = arena_take(memory, n, sizeof *x.first_token);
    x.start = arena_take(memory, n, sizeof *x.start);
    x.logit_slot = arena_take(memory, n, sizeof *x.logit_slot);
    x.first_row = arena_take(memory, n, sizeof *x.first_row);
    x.chain = arena_take(memory, n, sizeof *x.chain);
    size_t *fill = arena_take(memory, n + 1, sizeof *fill);
    if (!tree || !x.order || !x.tree_begin || !x.tree_tokens || !x.first_token || !x.start ||
        !x.logit_slot || !x.first_row || !x.chain || !fill)
        return no_memory(ctx, x.n_tokens);
    size_t token = 0, logits = 0;
    for (size_t s = 0; s < n; s++) {
        const segment *g = &batch->segments[s];
        if (g->n_tokens == 0)
            return ctx_fail(ctx, AGON_EINVAL, "segment %zu is empty", s);
        if (g->parent < -1 || g->parent >= (int64_t)s)
            return ctx_fail(ctx, AGON_EINVAL, "segment %zu: parent %d is not an earlier segment", s,
                            (int)g->parent);
        size_t p = g->parent < 0 ? 0 : (size_t)g->parent;
        x.start[s] = g->parent < 0 ? 0 : x.start[p] + (int32_t)batch->segments[p].n_tokens;
        agon_status status = check_segment(ctx, m, batch, s, x.start[s]);
        if (status)
            return status;
        tree[s] = g->parent < 0 ? x.n_trees++ : tree[p];
        x.tree_begin[tree[s] + 1]++;
        x.tree_tokens[tree[s]] += g->n_tokens;
        x.first_token[s] = token;
        token += g->n_tokens;
        x.logit_slot[s] = logits;
        logits += (g->wants & WANT_LOGITS) != 0;
    }
    for (size_t t = 0; t < x.n_trees; t++) {
        x.tree_begin[t + 1] += x.tree_begin[t];
        fill[t] = x.tree_begin[t];
    }
    for (size_t s = 0; s < n; s++)
        x.order[fill[tree[s]]++] = s;
    *out = x;
    return AGON_OK;
}

/* ---- one plan -------------------------------------------------------------------------------------- */

typedef struct plan_builder {
    const segment_batch *batch;
    const batch_index *index;
    arena *memory;
    row_plan *plan;
    int32_t *tokens, *positions;
    attention_keys *keys;
    row_group *groups;
    size_t *first_row; /* the index's */
    int32_t **chain;
} plan_builder;

shared_prefix prefix_shared(const segment_batch *batch, const batch_index *x, size_t first, size_t t) {
    const segment *g = &batch->segments[x->order[x->tree_begin[t]]];
    shared_prefix best = {0, 0};
    if (g->wants & (WANT_SCORE | WANT_HIDDEN))
        return best;
    for (size_t i = first; i < t && best.n + 1 < g->n_tokens; i++) {
        const size_t s = x->order[x->tree_begin[i]];
        const segment *o = &batch->segments[s];
        size_t n = 0;
        if (o->adapter != g->adapter || best.n >= o->n_tokens || o->tokens[best.n] != g->tokens[best.n]) /* no longer than the best */
            continue;
        while (n + 1 < g->n_tokens && n < o->n_tokens && g->tokens[n] == o->tokens[n])
            n++;
        if (n > best.n)
            best = (shared_prefix){s, n};
    }
    return best;
}

/* Gives every segment of the tree its chain array, from the last segment to the first: a segment
 * without one is a leaf and owns a new array, which its ancestors borrow. */
static bool make_chains(plan_builder *b, size_t begin, size_t end, shared_prefix shared) {
    for (size_t i = end; i-- > begin;) {
        size_t s = b->index->order[i];
        if (b->chain[s])
            continue;
        size_t length = (size_t)b->index->start[s] + b->batch->segments[s].n_tokens;
        int32_t *rows = arena_take(b->memory, length, sizeof *rows);
        if (!rows)
            return false;
        for (int64_t a = (int64_t)s; a >= 0; a = b->batch->segments[a].parent) {
            for (size_t j = 0; j < b->batch->segments[a].n_tokens; j++)
                rows[(size_t)b->index->start[a] + j] = (int32_t)(b->first_row[a] + j);
            if (!b->chain[a])
                b->chain[a] = rows;
        }
        for (size_t j = 0; j < shared.n; j++)
            rows[j] = b->chain[shared.segment][j];
    }
    return true;
}

static void add_score_group(row_plan *p, float temperature, size_t n) {
    if (n == 0)
        return;
    if (p->n_score_groups && p->score_groups[p->n_score_groups - 1].temperature == temperature) {
        p->score_groups[p->n_score_groups - 1].n += n;
        return;
    }
    p->score_groups[p->n_score_groups++] = (score_group){temperature, p->n_scored - n, n};
}

static void add_wants(plan_builder *b, size_t s) {
    const segment *g = &b->batch->segments[s];
    row_plan *p = b->plan;
    size_t row = b->first_row[s], token = b->index->first_token[s];
    if (g->wants & WANT_SCORE)
        for (size_t i = 0; i < g->n_tokens; i++) {
            if (i == 0 && g->parent < 0)
                continue;
            size_t parent_end = g->parent < 0 ? 0 : b->first_row[g->parent] + b->batch->segments[g->parent].n_tokens;
            p->scored_row[p->n_scored] = (int32_t)(i > 0 ? row + i - 1 : parent_end - 1);
            p->scored_target[p->n_scored] = g->tokens[i];
            p->scored_out[p->n_scored++] = token + i;
        }
    if (g->wants & WANT_LOGITS) {
        p->logit_row[p->n_logits] = (int32_t)(row + g->n_tokens - 1);
        p->logit_out[p->n_logits++] = b->index->logit_slot[s];
    }
    if (g->wants & WANT_HIDDEN)
        p->hidden[p->n_hidden++] = (row_span){row, token, g->n_tokens};
}

/* Tree t; those from first_tree on are in the plan already. */
static bool add_tree(plan_builder *b, size_t first_tree, size_t t) {
    const batch_index *x = b->index;
    const size_t begin = x->tree_begin[t], end = x->tree_begin[t + 1];
    const segment *root = &b->batch->segments[x->order[begin]];
    row_set *rows = &b->plan->rows;
    size_t first = rows->n, scored = b->plan->n_scored;
    const shared_prefix shared = prefix_shared(b->batch, x, first_tree, t);
    for (size_t i = begin; i < end; i++) {
        size_t s = x->order[i], skipped = i == begin ? shared.n : 0;
        const segment *g = &b->batch->segments[s];
        b->first_row[s] = rows->n - skipped; /* where token 0 would be, so that the others are where they should */
        for (size_t j = skipped; j < g->n_tokens; j++, rows->n++) {
            b->tokens[rows->n] = g->tokens[j];
            b->positions[rows->n] = x->start[s] + (int32_t)j;
        }
    }
    if (!make_chains(b, begin, end, shared))
        return false;
    for (size_t i = begin; i < end; i++) {
        size_t s = x->order[i];
        for (size_t r = b->first_row[s] + (i == begin ? shared.n : 0); r < b->first_row[s] + b->batch->segments[s].n_tokens; r++)
            b->keys[r] = (attention_keys){b->chain[s], b->positions[r] + 1};
        add_wants(b, s);
    }
    add_score_group(b->plan, root->temperature > 0 ? root->temperature : 1.0f, b->plan->n_scored - scored);
    if (rows->n_groups && b->groups[rows->n_groups - 1].adapter == root->adapter)
        b->groups[rows->n_groups - 1].n += rows->n - first;
    else
        b->groups[rows->n_groups++] = (row_group){root->adapter, first, rows->n - first};
    return true;
}

agon_status row_plan_new(agon_ctx *ctx, arena *memory, const segment_batch *batch,
                         const batch_index *index, size_t first, size_t n, row_plan *out) {
    size_t begin = index->tree_begin[first], end = index->tree_begin[first + n];
    size_t n_rows = 0, n_segments = end - begin;
    for (size_t t = first; t < first + n; t++)
        n_rows += index->tree_tokens[t];
    row_plan p = {.n_scored = 0};
    plan_builder b = {.batch = batch, .index = index, .memory = memory, .plan = &p};
    b.tokens = arena_take(memory, n_rows, sizeof *b.tokens);
    b.positions = arena_take(memory, n_rows, sizeof *b.positions);
    b.keys = arena_take(memory, n_rows, sizeof *b.keys);
    b.groups = arena_take(memory, n, sizeof *b.groups);
    b.first_row = index->first_row;
    b.chain = index->chain;
    p.scored_row = arena_take(memory, n_rows, sizeof *p.scored_row);
    p.scored_target = arena_take(memory, n_rows, sizeof *p.scored_target);
    p.scored_out = arena_take(memory, n_rows, sizeof *p.scored_out);
    p.score_groups = arena_take(memory, n, sizeof *p.score_groups);
    p.logit_row = arena_take(memory, n_segments, sizeof *p.logit_row);
    p.logit_out = arena_take(memory, n_segments, sizeof *p.logit_out);
    p.hidden = arena_take(memory, n_segments, sizeof *p.hidden);
    bool ok = b.tokens && b.positions && b.keys && b.groups && p.scored_row &&
              p.scored_target && p.scored_out && p.score_groups && p.logit_row && p.logit_out && p.hidden;
    p.rows = (row_set){.tokens = b.tokens, .positions = b.positions, .keys = b.keys, .groups = b.groups};
    for (size_t t = first; ok && t < first + n; t++)
        ok = add_tree(&b, first, t);
    if (!ok)
        return no_memory(ctx, n_rows);
    *out = p;
    return AGON_OK;
}
