/* cloud: critique-out-loud reward model (Ankner et al. 2024, arXiv 2408.11791, eq. 4).
 *
 *   response = the critique that follows prompt and answer;   r = head output at its last token
 *   loss = -logsig(r_w - r_l) + lm * mean of -lp over the critique tokens of both sides
 *
 * The reward is read after the model's own critique, so it can use what it wrote. Mean over pairs, the token
 * mean inside each. Default lm from the 8B run of the paper (recalled; training.md section 10.3). */
#include "objective/pair.h"
#include "objective/table.h"

enum { LM };
static const objective_option options_table[] = {
    {"lm", 1.25, 0, 1e6, "weight of the critiques' likelihood", ANY_NUMBER},
    {.name = NULL},
};

/* Head gradient at the last token, and -share/length on every critique token's log_prob. */
static void side_gradient(response *r, double d_reward, double d_log_prob) {
    head_gradient(r, d_reward);
    for (size_t t = 0; t < r->n; t++)
        r->d_log_prob[t] = d_log_prob * token_weight(r, t);
}

static agon_status loss(agon_ctx *ctx, const objective *self, const double *options, const row *rows, size_t n_rows,
                        objective_result *out) {
    agon_status s = rows_check(ctx, self, options, rows, n_rows);
    if (s == AGON_OK)
        s = heads_check(ctx, self, 1, rows, n_rows);
    double total = pair_normaliser(options, rows, n_rows), bt = 0, lm = 0, accuracy = 0;
    if (s == AGON_OK)
        s = weight_check(ctx, self, total);
    for (size_t i = 0; s == AGON_OK && i < n_rows; i++) {
        response *w = &rows[i].responses[0], *l = &rows[i].responses[1];
        double share = pair_weight(&rows[i]) / total, z = head_reward(w) - head_reward(l), d = -sigmoid(-z);
        double n = masked_length(w) + masked_length(l);
        double nll = -(masked_sum(w, w->log_prob) + masked_sum(l, l->log_prob)) / n;
        out->losses[i] = -logsig(z) + options[LM] * nll;
        s = loss_check(ctx, self, i, out->losses[i]);
        side_gradient(w, share * d, -share * options[LM] / n);
        side_gradient(l, -share * d, -share * options[LM] / n);
        bt -= share * logsig(z);
        lm += share * nll;
        accuracy += z > 0 ? share : 0;
    }
    if (s != AGON_OK)
        return s;
    out->loss = bt + options[LM] * lm;
    out->n_metrics = 0;
    metric_add(out, "accuracy", accuracy);
    metric_add(out, "bt", bt);
    metric_add(out, "lm", lm);
    return AGON_OK;
}

const objective objective_cloud = {
    .name = "cloud",
    .learning_rate = 1e-5,
    .summary = "reward model that writes its critique first (arXiv 2408.11791)",
    .rows = ROW_PAIR,
    .needs = NEEDS_HEAD | NEEDS_LOG_PROB,
    .coupling = COUPLED_ROW,
    .options = options_table,
    .loss = loss,
    .normaliser = pair_normaliser,
};
