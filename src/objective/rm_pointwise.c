/* rm-pointwise: reward model from single ratings (training.md section 2); with labels it is the outcome reward
 * model of Cobbe et al. 2021, arXiv 2110.14168.
 *
 *   s = head output at the last supervised token
 *   squared = 0: loss = -y*logsig(s) - (1-y)*logsig(-s),  y = label in [0, 1], soft or hard
 *   squared = 1: loss = (s - reward)^2,  rewards standardised per rater beforehand (by whoever writes the rows) */
#include "objective/common.h"
#include "objective/table.h"

enum { SQUARED };
static const objective_option options_table[] = {
    {"squared", 0, 0, 1, "0: cross-entropy on label, 1: squared error on reward", WHOLE_NUMBER},
    {.name = NULL},
};

static unsigned needs_with(const double *options) {
    return NEEDS_HEAD | (options[SQUARED] != 0 ? NEEDS_REWARD : NEEDS_LABEL);
}

static agon_status loss(agon_ctx *ctx, const objective *self, const double *options, const row *rows, size_t n_rows,
                        objective_result *out) {
    agon_status s = rows_check(ctx, self, options, rows, n_rows);
    if (s == AGON_OK)
        s = heads_check(ctx, self, 1, rows, n_rows);
    double total = response_normaliser(options, rows, n_rows), sum = 0, accuracy = 0, reward = 0;
    if (s == AGON_OK)
        s = weight_check(ctx, self, total);
    bool squared = options[SQUARED] != 0;
    for (size_t i = 0; s == AGON_OK && i < n_rows; i++) {
        response *r = rows[i].responses;
        double x = head_reward(r), share = rows[i].weight * r->weight / total, y = squared ? r->reward : r->label;
        out->losses[i] = squared ? (x - y) * (x - y) : -y * logsig(x) - (1 - y) * logsig(-x);
        s = loss_check(ctx, self, i, out->losses[i]);
        head_gradient(r, share * (squared ? 2 * (x - y) : sigmoid(x) - y));
        sum += share * out->losses[i];
        reward += share * x;
        accuracy += (x > 0) == (y > 0.5) ? share : 0;
    }
    if (s != AGON_OK)
        return s;
    out->loss = sum;
    out->n_metrics = 0;
    metric_add(out, "reward", reward);
    if (!squared)
        metric_add(out, "accuracy", accuracy);
    return AGON_OK;
}

const objective objective_rm_pointwise = {
    .name = "rm-pointwise",
    .learning_rate = 1e-5,
    .summary = "reward model from single ratings or outcomes: cross-entropy or squared error (arXiv 2110.14168)",
    .rows = ROW_SINGLE,
    .needs = NEEDS_HEAD | NEEDS_LABEL,
    .coupling = COUPLED_ROW,
    .options = options_table,
    .needs_with = needs_with,
    .loss = loss,
    .normaliser = response_normaliser,
};
