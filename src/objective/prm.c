/* prm: process reward model, one label a step (Lightman et al. 2023, arXiv 2305.20050; soft and hard labels by
 * roll-outs: Math-Shepherd, Wang et al. 2023, arXiv 2312.08935).
 *
 *   s_t = head output at each step's last token, y_t = targets[t]; tokens without a target do not count
 *   loss = sum w*[-y*logsig(s) - (1-y)*logsig(-s)] / sum w   over the labelled steps of the whole optimiser step
 *
 * A solution's score from its steps is process_score (src/eval/reward.h). */
#include "objective/common.h"
#include "objective/table.h"

static const objective_option options_table[] = {{.name = NULL}};

static bool labelled(const response *r, size_t t) {
    return r->targets && !isnan(r->targets[t]) && token_weight(r, t) > 0;
}

static double normaliser(const double *options, const row *rows, size_t n_rows) {
    (void)options;
    double total = 0;
    for (size_t i = 0; i < n_rows; i++) {
        const response *r = rows[i].responses;
        for (size_t t = 0; t < r->n; t++)
            total += labelled(r, t) ? rows[i].weight * r->weight * token_weight(r, t) : 0;
    }
    return total;
}

static agon_status loss(agon_ctx *ctx, const objective *self, const double *options, const row *rows, size_t n_rows,
                        objective_result *out) {
    agon_status s = rows_check(ctx, self, options, rows, n_rows);
    if (s == AGON_OK)
        s = heads_check(ctx, self, 1, rows, n_rows);
    double total = normaliser(options, rows, n_rows), sum = 0, right = 0, steps = 0;
    if (s == AGON_OK)
        s = weight_check(ctx, self, total);
    for (size_t i = 0; s == AGON_OK && i < n_rows; i++) {
        response *r = rows[i].responses;
        double w = rows[i].weight * r->weight, row_sum = 0, row_total = normaliser(options, &rows[i], 1);
        clear_gradient(r);
        for (size_t t = 0; t < r->n; t++) {
            if (!labelled(r, t))
                continue;
            double u = w * token_weight(r, t), x = r->head[t], y = r->targets[t];
            row_sum += u * (-y * logsig(x) - (1 - y) * logsig(-x));
            right += (x > 0) == (y > 0.5) ? 1 : 0;
            steps += 1;
            if (r->d_head)
                r->d_head[t] = u / total * (sigmoid(x) - y);
        }
        out->losses[i] = row_total > 0 ? row_sum / row_total : 0;
        s = loss_check(ctx, self, i, out->losses[i]);
        sum += row_sum;
    }
    if (s != AGON_OK)
        return s;
    out->loss = sum / total;
    out->n_metrics = 0;
    metric_add(out, "accuracy", steps > 0 ? right / steps : 0);
    metric_add(out, "steps", steps);
    return AGON_OK;
}

const objective objective_prm = {
    .name = "prm",
    .learning_rate = 1e-5,
    .summary = "process reward model: a label for each step (arXiv 2305.20050)",
    .rows = ROW_SINGLE,
    .needs = NEEDS_HEAD | NEEDS_TARGETS,
    .coupling = COUPLED_TOKEN,
    .options = options_table,
    .loss = loss,
    .normaliser = normaliser,
};
