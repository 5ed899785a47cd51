/* One loop for token losses: see token.h. */
#include "objective/token.h"

double token_normaliser(const double *options, const row *rows, size_t n_rows) {
    (void)options;
    double total = 0;
    for (size_t i = 0; i < n_rows; i++)
        for (size_t k = 0; k < rows[i].n_responses; k++)
            total += rows[i].weight * rows[i].responses[k].weight * masked_length(&rows[i].responses[k]);
    return total;
}

/* Sum of M*l over one response; gradients scaled by `share`. */
static double response_loss(const objective *self, const double *options, response *r, double share) {
    double sum = 0;
    clear_gradient(r);
    for (size_t t = 0; t < r->n; t++) {
        double u = token_weight(r, t);
        if (u == 0)
            continue;
        token_term l = self->token(options, r, t);
        sum += u * l.loss;
        r->d_log_prob[t] = share * u * l.d;
        if (r->d_mean_log_prob)
            r->d_mean_log_prob[t] = share * u * l.d_mean;
    }
    return sum;
}

agon_status token_loss(agon_ctx *ctx, const objective *self, const double *options, const row *rows, size_t n_rows,
                       objective_result *out) {
    agon_status s = rows_check(ctx, self, options, rows, n_rows);
    if (s != AGON_OK)
        return s;
    double total = token_normaliser(options, rows, n_rows), sum = 0, nll = 0, weighted_nll = 0, tokens = 0, supervised = 0, all = 0;
    s = weight_check(ctx, self, total);
    if (s != AGON_OK)
        return s;
    for (size_t i = 0; i < n_rows; i++) {
        double row_sum = 0, row_weight = token_normaliser(options, &rows[i], 1);
        for (size_t k = 0; k < rows[i].n_responses; k++) {
            response *r = &rows[i].responses[k];
            double w = rows[i].weight * r->weight, plain = -masked_sum(r, r->log_prob);
            row_sum += w * response_loss(self, options, r, w / total);
            nll += plain;
            weighted_nll += w * plain;
            tokens += masked_length(r);
            for (size_t t = 0; t < r->n; t++)
                supervised += !r->mask || r->mask[t] > 0;
            all += (double)r->n;
        }
        out->losses[i] = row_weight > 0 ? row_sum / row_weight : 0;
        s = loss_check(ctx, self, i, out->losses[i]);
        if (s != AGON_OK)
            return s;
        sum += row_sum;
    }
    out->loss = sum / total;
    out->n_metrics = 0;
    metric_add(out, "nll_sum", nll);
    metric_add(out, "tokens", tokens);
    metric_add(out, "perplexity", exp(weighted_nll / total));
    metric_add(out, "supervised_share", supervised / all);
    return AGON_OK;
}
