/* grpo: group relative policy optimisation (Shao et al. 2024, arXiv 2402.03300, eq. 3 and 4).
 *
 *   A = (r - mean) / (std + 1e-4)    inside the group, unbiased std; an equal group gives exactly 0
 *   l_t = max(-A*ratio, -A*clip(ratio, 1-clip, 1+clip_high)) + beta*k,   ratio = exp(lp - old)
 *   loss = mean over sequences of the mean over tokens
 *
 * Options give the published variants: scale 0 and aggregation 2 is Dr. GRPO (arXiv 2503.20783),
 * aggregation 1 with clip_high 0.28 is DAPO (arXiv 2503.14476).
 * k is k3 of lp - reference as printed. In the loss its gradient is that of KL(ref || policy), not of
 * eq. 3's KL(policy || ref); kl = 2 uses k2 = d^2/2, whose gradient is (training.md section 3).
 * Deviations: std is the unbiased one with 1e-4 added; an `advantage` given by the caller is used in
 * place of the rewards (then single responses are taken too); without `old` the ratio is 1 (the trainer gives one, of the policy it began
 * with, to rows that bring none). */
#include "objective/policy.h"
#include "objective/table.h"

enum { BETA, CLIP, CLIP_HIGH, SCALE, AGGREGATION, MAX_LENGTH, KL };
static const objective_option options_table[] = {
    {"beta", 0, 0, 1e6, "weight of the KL term; 0 needs no reference", ANY_NUMBER},
    {"clip", 0.2, 0, 1, "lower clip range of the ratio", ANY_NUMBER},
    {"clip_high", 0, 0, 1e6, "upper clip range; 0: the same as clip", ANY_NUMBER},
    {"scale", 1, 0, 1, "1: divide by the group's std; 0: only subtract the mean", WHOLE_NUMBER},
    {"aggregation", 0, 0, 2, "0: mean per sequence, then over sequences; 1: over all tokens; 2: by max_length", WHOLE_NUMBER},
    {"max_length", 512, 1, 1e9, "divisor of the token sum for aggregation 2", WHOLE_NUMBER},
    {"kl", 3, 2, 3, "estimator of the KL term: 2 or 3", WHOLE_NUMBER},
    {.name = NULL},
};

static unsigned needs_with(const double *options) {
    return NEEDS_REWARD | NEEDS_ADVANTAGE | (options[BETA] > 0 ? NEEDS_REFERENCE : 0);
}

/* What one unit of a response's token loss is divided by, before the step's normaliser. */
static double inner_length(const double *options, const response *r) {
    if (options[AGGREGATION] == 0) {
        double n = masked_length(r);
        return n > 0 ? n : 1; /* a wholly masked sequence counts, with loss 0 */
    }
    return 1;
}

static double normaliser(const double *options, const row *rows, size_t n_rows) {
    double total = 0;
    for (size_t i = 0; i < n_rows; i++)
        for (size_t k = 0; k < rows[i].n_responses; k++) {
            const response *r = &rows[i].responses[k];
            double unit = options[AGGREGATION] == 1   ? masked_length(r)
                          : options[AGGREGATION] == 2 ? options[MAX_LENGTH]
                                                      : 1;
            total += rows[i].weight * r->weight * unit;
        }
    return total;
}

/* Token sum of one response over its inner length; d_log_prob scaled by `share`. */
static double response_loss(const double *options, response *r, double advantage, double share,
                            policy_metrics *m) {
    double sum = 0, beta = options[BETA], length = inner_length(options, r);
    double high = options[CLIP_HIGH] > 0 ? options[CLIP_HIGH] : options[CLIP];
    clear_gradient(r);
    for (size_t t = 0; t < r->n; t++) {
        double u = token_weight(r, t), d_kl = 0, kl = 0;
        clipped_term term = clipped_surrogate(r->log_prob[t] - old_log_prob(r, t), advantage,
                                              options[CLIP], high);
        if (beta > 0) {
            double d = r->log_prob[t] - r->reference[t];
            kl = options[KL] == 2 ? d * d / 2 : k3(d, &d_kl);
            d_kl = options[KL] == 2 ? d : d_kl;
        }
        r->d_log_prob[t] = share * u / length * (term.d + beta * d_kl);
        sum += u * (term.loss + beta * kl);
        if (u > 0)
            policy_metrics_token(m, r, t, &term);
    }
    return sum / length;
}

static double advantage(const double *options, const group_scale *a, const row *g, size_t k) {
    return group_advantage(a, &g->responses[k], options[SCALE] != 0);
}

static const group_term term = {.advantage = advantage, .loss = response_loss, .equal_share = true};

const objective objective_grpo = {
    .name = "grpo",
    .learning_rate = 1e-6,
    .summary = "group relative policy optimisation, with Dr. GRPO and DAPO by option (arXiv 2402.03300)",
    .rows = ROW_SINGLE | ROW_GROUP,
    .needs = NEEDS_REWARD | NEEDS_ADVANTAGE | NEEDS_GROUP | NEEDS_REFERENCE | TAKES_OLD,
    .coupling = COUPLED_ROW,
    .options = options_table,
    .needs_with = needs_with,
    .loss = group_loss,
    .group = &term,
    .normaliser = normaliser,
};
