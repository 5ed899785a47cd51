/* ppo: proximal policy optimisation with a KL penalty (Schulman et al. 2017, arXiv 1707.06347; Ziegler et
 * al. 2019, arXiv 1909.08593; training.md section 3).
 *
 *   r_t = -beta*k1_t + token_rewards_t + [t = last]*reward,  k1 = old - reference
 *   delta_t = r_t + gamma*V_{t+1} - V_t,   A_t = delta_t + gamma*lambda*A_{t+1},   V after the end = 0
 *   return = A + V (before whitening);     A whitened over all response tokens of the step
 *   policy: masked mean of max(-A*ratio, -A*clip(ratio)),   ratio = exp(lp - old)
 *   value:  0.5 * masked mean of max((V-R)^2, (clip(V, V_old +- clip_value) - R)^2)
 *   loss = policy + value_coefficient * value - entropy_coefficient * masked mean of the entropy
 *
 * V_t is read at the position that predicts token t. GAE uses old_values (the values at sampling) where
 * given, else values as constants; in training on a file they are those of the head that training begins with, where that has learnt
 * something. A new head, all zeros, is no estimate of anything: GAE then follows the head as it learns, and values are not clipped. Masked tokens are no part of the trajectory. A given `advantage`
 * holds for every token of its response, as it is (no whitening, no value loss): then no value head is
 * needed. whiten_rewards divides r_t by its std over the step and keeps its mean. */
#include "objective/policy.h"
#include "objective/table.h"

#include <stdlib.h>

enum { BETA, CLIP, CLIP_VALUE, VALUE_COEFFICIENT, GAMMA, LAMBDA, WHITEN, WHITEN_REWARDS,
       ENTROPY_COEFFICIENT };
static const objective_option options_table[] = {
    {"beta", 0.05, 0, 1e6, "KL penalty on the reward; 0 needs no reference", ANY_NUMBER},
    {"clip", 0.2, 0, 1, "clip range of the ratio", ANY_NUMBER},
    {"clip_value", 0.2, 0, 1e6, "clip range of the value around its old value", ANY_NUMBER},
    {"value_coefficient", 0.1, 0, 1e6, "weight of the value loss", ANY_NUMBER},
    {"gamma", 1, 0, 1, "discount", ANY_NUMBER},
    {"lambda", 0.95, 0, 1, "GAE's lambda", ANY_NUMBER},
    {"whiten", 1, 0, 1, "1: advantages of the step to mean 0, variance 1", WHOLE_NUMBER},
    {"whiten_rewards", 0, 0, 1, "1: token rewards of the step to variance 1, keeping their mean", WHOLE_NUMBER},
    {"entropy_coefficient", 0, 0, 1e6, "weight of the entropy bonus; above 0 needs entropy", ANY_NUMBER},
    {.name = NULL},
};
static const double VARIANCE_FLOOR = 1e-8;

static unsigned needs_with(const double *options) {
    return NEEDS_REWARD | NEEDS_ADVANTAGE | NEEDS_VALUES | (options[BETA] > 0 ? NEEDS_REFERENCE : 0) |
           (options[ENTROPY_COEFFICIENT] > 0 ? NEEDS_ENTROPY : 0);
}

static double old_value(const response *r, size_t t) {
    return r->old_values ? r->old_values[t] : r->values[t];
}

/* r_t: the KL penalty and its own reward on every token, the response's reward on the last, [n]; masked tokens get 0. */
static void token_rewards(const double *options, const response *r, double *out) {
    bool last = true;
    for (size_t t = r->n; t-- > 0;) {
        out[t] = 0;
        if (token_weight(r, t) == 0)
            continue;
        out[t] = (last ? r->reward : 0) + (r->token_rewards ? r->token_rewards[t] : 0);
        if (options[BETA] > 0)
            out[t] -= options[BETA] * (old_log_prob(r, t) - r->reference[t]);
        last = false;
    }
}

/* Generalised advantage estimation from the last token back; x [n] holds r_t and gets A_t, 0 where masked. */
static void gae(const double *options, const response *r, double *x) {
    double next_value = 0, next_advantage = 0;
    for (size_t t = r->n; t-- > 0;) {
        if (token_weight(r, t) == 0)
            continue;
        double delta = x[t] + options[GAMMA] * next_value - old_value(r, t);
        next_advantage = x[t] = delta + options[GAMMA] * options[LAMBDA] * next_advantage;
        next_value = old_value(r, t);
    }
}

/* Mean and 1/sqrt(variance + 1e-8), unbiased, over the estimated advantages (or token rewards) of
 * the step. */
static void whitening(const row *rows, size_t n_rows, const double *advantages, double *mean, double *scale) {
    double n = 0, sum = 0, squares = 0;
    for (int pass = 0; pass < 2; pass++) {
        const double *a = advantages;
        for (size_t i = 0; i < n_rows; a += rows[i].responses->n, i++) {
            const response *r = rows[i].responses;
            for (size_t t = 0; isnan(r->advantage) && t < r->n; t++) {
                double u = token_weight(r, t);
                n += pass == 0 ? u : 0;
                sum += pass == 0 ? u * a[t] : 0;
                squares += pass == 1 ? u * (a[t] - *mean) * (a[t] - *mean) : 0;
            }
        }
        if (pass == 0)
            *mean = n > 0 ? sum / n : 0;
    }
    *scale = n > 1 ? 1 / sqrt(squares / (n - 1) + VARIANCE_FLOOR) : 1;
}

/* 0.5*max((V-R)^2, (clip(V)-R)^2) and its derivative. */
static double value_term(double value, double old, double target, double clip, double *d) {
    double held = fmax(old - clip, fmin(old + clip, value));
    double plain = (value - target) * (value - target), clipped = (held - target) * (held - target);
    *d = plain >= clipped ? value - target : held == value ? value - target : 0;
    return 0.5 * fmax(plain, clipped);
}

typedef struct step_state {
    double total, mean, scale, value_loss, entropy;
    double n, target_sum, target_squares, error_sum, error_squares; /* for the explained variance */
    policy_metrics m;
} step_state;

/* sum over tokens of u*(policy + c*value); gradients scaled by w/total. */
static double response_loss(const double *options, response *r, double w, const double *estimate,
                            step_state *st) {
    double sum = 0, share = w / st->total;
    bool given = !isnan(r->advantage), values = !given && r->values;
    clear_gradient(r);
    for (size_t t = 0; t < r->n; t++) {
        double u = token_weight(r, t);
        if (u == 0)
            continue;
        double a = given ? r->advantage : (estimate[t] - st->mean) * st->scale;
        clipped_term term =
            clipped_surrogate(r->log_prob[t] - old_log_prob(r, t), a, options[CLIP], options[CLIP]);
        r->d_log_prob[t] = share * u * term.d;
        sum += u * term.loss;
        policy_metrics_token(&st->m, r, t, &term);
        if (options[ENTROPY_COEFFICIENT] > 0) {
            sum -= u * options[ENTROPY_COEFFICIENT] * r->entropy[t];
            st->entropy += share * u * r->entropy[t];
            if (r->d_entropy)
                r->d_entropy[t] = -share * u * options[ENTROPY_COEFFICIENT];
        }
        if (!values)
            continue;
        double d, target = estimate[t] + old_value(r, t);
        double v = value_term(r->values[t], old_value(r, t), target, options[CLIP_VALUE], &d);
        if (r->d_values)
            r->d_values[t] = share * u * options[VALUE_COEFFICIENT] * d;
        sum += u * options[VALUE_COEFFICIENT] * v;
        st->value_loss += share * u * v;
        st->n += u, st->target_sum += u * target, st->target_squares += u * target * target;
        st->error_sum += u * (target - r->values[t]), st->error_squares += u * (target - r->values[t]) * (target - r->values[t]);
    }
    st->m.sequences += 1;
    return sum;
}

static double token_total(const row *rows, size_t n_rows, size_t *n_tokens) {
    double total = 0;
    *n_tokens = 0;
    for (size_t i = 0; i < n_rows; i++) {
        total += rows[i].weight * rows[i].responses->weight * masked_length(rows[i].responses);
        *n_tokens += rows[i].responses->n;
    }
    return total;
}

static agon_status step_loss(agon_ctx *ctx, const objective *self, const double *options, const row *rows, size_t n_rows,
                             double *advantages, step_state *st, objective_result *out) {
    double *a = advantages, sum = 0, reward = 0, n_rewards = 0;
    for (size_t i = 0; i < n_rows; a += rows[i].responses->n, i++)
        if (isnan(rows[i].responses->advantage))
            token_rewards(options, rows[i].responses, a);
    if (options[WHITEN_REWARDS] != 0) {
        whitening(rows, n_rows, advantages, &st->mean, &st->scale);
        for (size_t t = 0; t < (size_t)(a - advantages); t++)
            advantages[t] = (advantages[t] - st->mean) * st->scale + st->mean;
    }
    a = advantages;
    for (size_t i = 0; i < n_rows; a += rows[i].responses->n, i++)
        if (isnan(rows[i].responses->advantage))
            gae(options, rows[i].responses, a);
    st->mean = 0, st->scale = 1;
    if (options[WHITEN] != 0)
        whitening(rows, n_rows, advantages, &st->mean, &st->scale);
    a = advantages;
    for (size_t i = 0; i < n_rows; a += rows[i].responses->n, i++) {
        response *r = rows[i].responses;
        double w = rows[i].weight * r->weight, length = masked_length(r);
        double row_sum = response_loss(options, r, w, a, st);
        out->losses[i] = length > 0 ? row_sum / length : 0;
        agon_status s = loss_check(ctx, self, i, out->losses[i]);
        if (s != AGON_OK)
            return s;
        sum += w * row_sum;
        reward += isnan(r->reward) ? 0 : r->reward;
        n_rewards += isnan(r->reward) ? 0 : 1;
    }
    out->loss = sum / st->total;
    out->n_metrics = 0;
    if (n_rewards > 0)
        metric_add(out, "reward", reward / n_rewards);
    metric_add(out, "value_loss", st->value_loss);
    if (st->n > 0) {
        double spread = st->target_squares - st->target_sum * st->target_sum / st->n;
        double left = st->error_squares - st->error_sum * st->error_sum / st->n;
        metric_add(out, "explained_variance", spread > 0 ? 1 - left / spread : 0);
    }
    if (options[ENTROPY_COEFFICIENT] > 0)
        metric_add(out, "entropy", st->entropy);
    policy_metrics_add(&st->m, out);
    return AGON_OK;
}

static agon_status loss(agon_ctx *ctx, const objective *self, const double *options, const row *rows, size_t n_rows,
                        objective_result *out) {
    agon_status s = rows_check(ctx, self, options, rows, n_rows);
    if (s != AGON_OK)
        return s;
    size_t n_tokens = 0;
    step_state st = {.total = token_total(rows, n_rows, &n_tokens)};
    s = weight_check(ctx, self, st.total);
    if (s != AGON_OK)
        return s;
    double *advantages = calloc(n_tokens, sizeof *advantages);
    if (!advantages)
        return ctx_fail(ctx, AGON_ENOMEM, "%s: out of memory for %zu advantages", self->name, n_tokens);
    s = step_loss(ctx, self, options, rows, n_rows, advantages, &st, out);
    free(advantages);
    return s;
}

const objective objective_ppo = {
    .name = "ppo",
    .learning_rate = 3e-6,
    .summary = "proximal policy optimisation, KL in the reward, GAE (arXiv 1707.06347)",
    .rows = ROW_SINGLE,
    .needs = NEEDS_REWARD | NEEDS_ADVANTAGE | NEEDS_VALUES | NEEDS_REFERENCE | TAKES_TOKEN_REWARDS | TAKES_OLD,
    .coupling = COUPLED_STEP,
    .options = options_table,
    .needs_with = needs_with,
    .loss = loss,
};
