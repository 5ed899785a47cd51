/* kto: Kahneman-Tversky optimisation (Ethayarajh et al. 2024, arXiv 2402.01306, eq. 7 and 8).
 *
 *   z0 = max(0, mean L over mismatched pairs (x_i, the next y of another prompt)), no gradient
 *   desirable   w_D*(1 - sig(beta*(L - z0)))        undesirable   w_U*(1 - sig(beta*(z0 - L)))
 *
 * Mean over the examples (row weights), z0 over the whole step. Keep w_D*n_D / (w_U*n_U) within
 * [1, 4/3]; the metric `balance` reports it. A label between 0 and 1 mixes the two sides. Without
 * mismatched rows z0 is taken from the examples' own L, as early versions of the released code did. */
#include "objective/common.h"
#include "objective/table.h"

enum { BETA, DESIRABLE_WEIGHT, UNDESIRABLE_WEIGHT };
static const objective_option options_table[] = {
    {"beta", 0.1, 1e-6, 1e6, "strength of the tie to the reference", ANY_NUMBER},
    {"desirable_weight", 1, 0, 1e6, "w_D", ANY_NUMBER},
    {"undesirable_weight", 1, 0, 1e6, "w_U", ANY_NUMBER},
    {.name = NULL},
};

static double log_ratio(const response *r) {
    return masked_sum(r, r->log_prob) - masked_sum(r, r->reference);
}

static double baseline(const row *rows, size_t n_rows) {
    double matched = 0, mismatched = 0, n_matched = 0, n_mismatched = 0;
    for (size_t i = 0; i < n_rows; i++) {
        const response *r = rows[i].responses;
        *(r->mismatched ? &mismatched : &matched) += log_ratio(r);
        *(r->mismatched ? &n_mismatched : &n_matched) += 1;
    }
    return fmax(0, n_mismatched > 0 ? mismatched / n_mismatched : matched / n_matched);
}

typedef struct sides {
    double weight, reward; /* of desirable or undesirable examples */
} sides;

static agon_status loss(agon_ctx *ctx, const objective *self, const double *options, const row *rows, size_t n_rows,
                        objective_result *out) {
    agon_status s = rows_check(ctx, self, options, rows, n_rows);
    if (s != AGON_OK)
        return s;
    double total = 0, beta = options[BETA], sum = 0;
    for (size_t i = 0; i < n_rows; i++)
        total += rows[i].responses->mismatched ? 0 : rows[i].weight * rows[i].responses->weight;
    s = weight_check(ctx, self, total);
    if (s != AGON_OK)
        return s;
    double z0 = baseline(rows, n_rows);
    sides desirable = {0}, undesirable = {0};
    for (size_t i = 0; i < n_rows; i++) {
        response *r = rows[i].responses;
        out->losses[i] = 0;
        clear_gradient(r);
        if (r->mismatched)
            continue;
        double share = rows[i].weight * r->weight / total, z = beta * (log_ratio(r) - z0);
        double up = r->label * options[DESIRABLE_WEIGHT], down = (1 - r->label) * options[UNDESIRABLE_WEIGHT];
        out->losses[i] = up * sigmoid(-z) + down * sigmoid(z);
        s = loss_check(ctx, self, i, out->losses[i]);
        if (s != AGON_OK)
            return s;
        sum += share * out->losses[i];
        sequence_gradient(r, share * beta * sigmoid(z) * sigmoid(-z) * (down - up));
        desirable.weight += up * share;
        undesirable.weight += down * share;
        desirable.reward += up * share * beta * log_ratio(r);
        undesirable.reward += down * share * beta * log_ratio(r);
    }
    out->loss = sum;
    out->n_metrics = 0;
    metric_add(out, "z0", z0);
    if (desirable.weight > 0)
        metric_add(out, "reward_desirable", desirable.reward / desirable.weight);
    if (undesirable.weight > 0) {
        metric_add(out, "reward_undesirable", undesirable.reward / undesirable.weight);
        metric_add(out, "balance", desirable.weight / undesirable.weight);
    }
    return AGON_OK;
}

const objective objective_kto = {
    .name = "kto",
    .learning_rate = 1e-6,
    .summary = "Kahneman-Tversky optimisation on desirable and undesirable responses (arXiv 2402.01306)",
    .rows = ROW_SINGLE,
    .needs = NEEDS_REFERENCE | NEEDS_LABEL | NEEDS_MISMATCHED,
    .coupling = COUPLED_STEP,
    .least_batch = 2,
    .options = options_table,
    .loss = loss,
};
