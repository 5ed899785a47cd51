/* reinforce++: critic-free policy gradient with globally normalised advantages (Hu et al. 2025, arXiv 2501.03262).
 *
 *   A_t = reward + sum_{i >= t} (token_rewards_i - beta * k1_i),   k1 = old - reference
 *   baseline = 1 first subtracts the group's mean reward (REINFORCE++-baseline)
 *   A normalised over all response tokens of the step: (A - mean) / (std + 1e-8), unbiased std
 *   loss = masked mean over the step's tokens of max(-A*ratio, -A*clip(ratio))
 *
 * In the baseline form the rewards of an equal group are 0 before the normalisation, which then moves them by the
 * step's token-weighted mean: that need not be 0 where responses differ in length. A given `advantage` holds for every
 * token of its response as it is, outside the normalisation. */
#include "objective/policy.h"
#include "objective/table.h"
#include "objective/token.h"

#include <stdlib.h>

enum { BETA, CLIP, BASELINE };
static const objective_option options_table[] = {
    {"beta", 0.01, 0, 1e6, "KL penalty on the reward; 0 needs no reference", ANY_NUMBER},
    {"clip", 0.2, 0, 1, "clip range of the ratio", ANY_NUMBER},
    {"baseline", 0, 0, 1, "1: subtract the mean reward of the group first", WHOLE_NUMBER},
    {.name = NULL},
};
static const double STD_FLOOR = 1e-8;

static unsigned needs_with(const double *options) {
    return NEEDS_REWARD | NEEDS_ADVANTAGE | (options[BETA] > 0 ? NEEDS_REFERENCE : 0) | (options[BASELINE] != 0 ? NEEDS_GROUP : 0);
}

/* Advantages before normalisation, [n]. */
static void estimate(const double *options, const response *r, double reward, double *out) {
    double rest = reward;
    for (size_t t = r->n; t-- > 0;) {
        if (options[BETA] > 0)
            rest -= options[BETA] * token_weight(r, t) * (old_log_prob(r, t) - r->reference[t]);
        rest += r->token_rewards ? token_weight(r, t) * r->token_rewards[t] : 0;
        out[t] = rest;
    }
}

typedef struct step_state {
    double total, mean, scale, n, sum, squares, reward, rewards, equal;
    policy_metrics m;
} step_state;

/* One sweep over all responses in order; x points to the response's part of the advantages. */
typedef double (*visit)(const double *options, response *r, double w, double *x, step_state *st);

static double count(const double *options, response *r, double w, double *x, step_state *st) {
    (void)options, (void)w;
    for (size_t t = 0; isnan(r->advantage) && t < r->n; t++)
        st->n += token_weight(r, t), st->sum += token_weight(r, t) * x[t];
    return 0;
}

static double spread(const double *options, response *r, double w, double *x, step_state *st) {
    (void)options, (void)w;
    for (size_t t = 0; isnan(r->advantage) && t < r->n; t++)
        st->squares += token_weight(r, t) * (x[t] - st->mean) * (x[t] - st->mean);
    return 0;
}

static double response_loss(const double *options, response *r, double w, double *x, step_state *st) {
    double sum = 0;
    clear_gradient(r);
    for (size_t t = 0; t < r->n; t++) {
        double u = token_weight(r, t), a = isnan(r->advantage) ? (x[t] - st->mean) * st->scale : r->advantage;
        if (u == 0)
            continue;
        clipped_term term =
            clipped_surrogate(r->log_prob[t] - old_log_prob(r, t), a, options[CLIP], options[CLIP]);
        r->d_log_prob[t] = w / st->total * u * term.d;
        sum += w * u * term.loss;
        policy_metrics_token(&st->m, r, t, &term);
    }
    st->m.sequences += 1;
    st->reward += isnan(r->reward) ? 0 : r->reward;
    st->rewards += isnan(r->reward) ? 0 : 1;
    return sum;
}

/* Sum of what `fn` returns; per row into `losses` unless NULL. */
static double sweep(visit fn, const double *options, const row *rows, size_t n_rows, double *x, step_state *st,
                    double *losses) {
    double sum = 0;
    for (size_t i = 0; i < n_rows; i++) {
        double row_sum = 0, weight = token_normaliser(options, &rows[i], 1);
        for (size_t k = 0; k < rows[i].n_responses; k++) {
            response *r = &rows[i].responses[k];
            row_sum += fn(options, r, rows[i].weight * r->weight, x, st);
            x += r->n;
        }
        if (losses)
            losses[i] = weight > 0 ? row_sum / weight : 0;
        sum += row_sum;
    }
    return sum;
}

static agon_status advantages(agon_ctx *ctx, const double *options, const row *rows, size_t n_rows, double *x,
                              step_state *st) {
    for (size_t i = 0; i < n_rows; i++) {
        group_scale a = {0};
        bool grouped = options[BASELINE] != 0 && !all_advantages_given(&rows[i]);
        agon_status s = grouped ? group_statistics(ctx, &rows[i], i, &a) : AGON_OK;
        if (s != AGON_OK)
            return s;
        st->equal += a.equal ? 1 : 0;
        for (size_t k = 0; k < rows[i].n_responses; k++) {
            const response *r = &rows[i].responses[k];
            estimate(options, r, grouped ? group_advantage(&a, r, false) : r->reward, x);
            x += r->n;
        }
    }
    return AGON_OK;
}

static agon_status step_loss(agon_ctx *ctx, const objective *self, const double *options, const row *rows, size_t n_rows,
                             double *x, step_state *st, objective_result *out) {
    agon_status s = advantages(ctx, options, rows, n_rows, x, st);
    if (s != AGON_OK)
        return s;
    sweep(count, options, rows, n_rows, x, st, NULL);
    st->mean = st->n > 0 ? st->sum / st->n : 0;
    sweep(spread, options, rows, n_rows, x, st, NULL);
    st->scale = st->n > 1 ? 1 / (sqrt(st->squares / (st->n - 1)) + STD_FLOOR) : 1;
    out->loss = sweep(response_loss, options, rows, n_rows, x, st, out->losses) / st->total;
    for (size_t i = 0; i < n_rows && s == AGON_OK; i++)
        s = loss_check(ctx, self, i, out->losses[i]);
    if (s != AGON_OK)
        return s;
    out->n_metrics = 0;
    if (st->rewards > 0)
        metric_add(out, "reward", st->reward / st->rewards);
    metric_add(out, "equal_groups", st->equal);
    policy_metrics_add(&st->m, out);
    return AGON_OK;
}

static agon_status loss(agon_ctx *ctx, const objective *self, const double *options, const row *rows, size_t n_rows,
                        objective_result *out) {
    agon_status s = rows_check(ctx, self, options, rows, n_rows);
    if (s != AGON_OK)
        return s;
    step_state st = {.total = token_normaliser(options, rows, n_rows)};
    s = weight_check(ctx, self, st.total);
    if (s != AGON_OK)
        return s;
    size_t n_tokens = 0;
    for (size_t i = 0; i < n_rows; i++)
        for (size_t k = 0; k < rows[i].n_responses; k++)
            n_tokens += rows[i].responses[k].n;
    double *x = calloc(n_tokens, sizeof *x);
    if (!x)
        return ctx_fail(ctx, AGON_ENOMEM, "%s: out of memory for %zu advantages", self->name, n_tokens);
    s = step_loss(ctx, self, options, rows, n_rows, x, &st, out);
    free(x);
    return s;
}

const objective objective_reinforce_pp = {
    .name = "reinforce++",
    .learning_rate = 1e-6,
    .summary = "critic-free policy gradient, advantages normalised over the step (arXiv 2501.03262)",
    .rows = ROW_SINGLE | ROW_GROUP,
    .needs = NEEDS_REWARD | NEEDS_ADVANTAGE | NEEDS_REFERENCE | TAKES_TOKEN_REWARDS | TAKES_OLD,
    .coupling = COUPLED_STEP,
    .options = options_table,
    .needs_with = needs_with,
    .loss = loss,
};
