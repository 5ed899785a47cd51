/* sft: supervised fine-tuning, next-token negative log-likelihood (training.md section 1, eq. 2).
 *
 *   loss = -sum w*M*lp / sum w*M   over the whole optimiser step,   d lp = -w*M / sum w*M
 *
 * Deviation from eq. 2: the condition printed there is y_<=i, which leaks the target; log_prob here is
 * given y_<i. Eq. 2 sums over tokens: the sum is the metric `nll_sum`. */
#include "objective/common.h"
#include "objective/table.h"

static double normaliser(const double *options, const row *rows, size_t n_rows) {
    (void)options;
    double total = 0;
    for (size_t i = 0; i < n_rows; i++)
        for (size_t k = 0; k < rows[i].n_responses; k++)
            total += rows[i].weight * rows[i].responses[k].weight * masked_length(&rows[i].responses[k]);
    return total;
}

static agon_status loss(agon_ctx *ctx, const double *options, const row *rows, size_t n_rows,
                        objective_result *out) {
    agon_status s = rows_check(ctx, "sft", ROW_SINGLE | ROW_GROUP, 0, rows, n_rows);
    if (s != AGON_OK)
        return s;
    double total = normaliser(options, rows, n_rows);
    s = weight_check(ctx, "sft", total);
    if (s != AGON_OK)
        return s;
    double sum = 0, plain_sum = 0, tokens = 0;
    for (size_t i = 0; i < n_rows; i++) {
        double row_sum = 0, row_weight = normaliser(options, &rows[i], 1);
        for (size_t k = 0; k < rows[i].n_responses; k++) {
            response *r = &rows[i].responses[k];
            double w = rows[i].weight * r->weight, nll = -masked_sum(r, r->log_prob);
            row_sum += w * nll;
            plain_sum += nll;
            tokens += masked_length(r);
            sequence_gradient(r, -w / total);
        }
        out->losses[i] = row_weight > 0 ? row_sum / row_weight : 0;
        sum += row_sum;
    }
    out->loss = sum / total;
    out->n_metrics = 0;
    metric_add(out, "nll_sum", plain_sum);
    metric_add(out, "tokens", tokens);
    metric_add(out, "perplexity", exp(out->loss));
    return loss_check(ctx, "sft", 0, out->loss);
}

static const objective_option options_table[] = {{.name = NULL}};

const objective objective_sft = {
    .name = "sft",
    .summary = "supervised fine-tuning: token negative log-likelihood",
    .rows = ROW_SINGLE | ROW_GROUP,
    .coupling = COUPLED_TOKEN,
    .options = options_table,
    .loss = loss,
    .normaliser = normaliser,
};
