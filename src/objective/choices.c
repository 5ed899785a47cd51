/* choices: classification among the choices of a prompt by a language model's own likelihood, on soft labels.
 *
 *   z_k = likelihood * sum M*log_prob of choice k;   y_k = its label, P(choice k) by whoever labelled
 *   loss = sum_k y_k*(lse(z) - z_k),   d z_k = (sum y)*softmax(z)_k - y_k
 *
 * With hard labels, the conditional likelihood of the right one among the choices; what the model says of everything else is left as it is. It
 * needs no head and no reference, and begins at what the model thinks already. Mean over rows; weights of responses are not read. Labels
 * are taken as they stand (rows from a file must have them sum to 1). Two choices are classify on the logit z_1 - z_0. */
#include "objective/classes.h"
#include "objective/table.h"

enum { LIKELIHOOD };
static const objective_option options_table[] = {
    CHOICES_LIKELIHOOD,
    {.name = NULL},
};

static size_t largest(const double *x, size_t n) {
    size_t best = 0;
    for (size_t k = 1; k < n; k++)
        best = x[k] > x[best] ? k : best;
    return best;
}

static agon_status loss(agon_ctx *ctx, const objective *self, const double *options, const row *rows, size_t n_rows,
                        objective_result *out) {
    agon_status s = choices_check(ctx, self, options, rows, n_rows);
    double total = s == AGON_OK ? row_normaliser(options, rows, n_rows) : 0, sum = 0, accuracy = 0, confidence = 0;
    if (s == AGON_OK)
        s = weight_check(ctx, self, total);
    for (size_t i = 0; s == AGON_OK && i < n_rows; i++) {
        double z[MAX_CLASSES], y[MAX_CLASSES], share = rows[i].weight / total, labels = 0;
        size_t n = rows[i].n_responses;
        choices_logits(&rows[i], options[LIKELIHOOD], z);
        double lse = logsumexp(z, n);
        out->losses[i] = 0;
        for (size_t k = 0; k < n; k++) {
            y[k] = rows[i].responses[k].label;
            labels += y[k];
            out->losses[i] += y[k] * (lse - z[k]);
        }
        s = loss_check(ctx, self, i, out->losses[i]);
        for (size_t k = 0; k < n; k++)
            sequence_gradient(&rows[i].responses[k], options[LIKELIHOOD] * share * (labels * exp(z[k] - lse) - y[k]));
        sum += share * out->losses[i];
        accuracy += largest(z, n) == largest(y, n) ? share : 0;
        confidence += share * exp(z[largest(z, n)] - lse);
    }
    if (s != AGON_OK)
        return s;
    out->loss = sum;
    out->n_metrics = 0;
    metric_add(out, "accuracy", accuracy);
    metric_add(out, "confidence", confidence);
    return AGON_OK;
}

const objective objective_choices = {
    .name = "choices",
    .learning_rate = 1e-5,
    .summary = "which of a prompt's choices, by their likelihood, on soft labels: a language model as its own class head",
    .rows = ROW_GROUP,
    .needs = NEEDS_LABEL,
    .coupling = COUPLED_ROW,
    .most_responses = MAX_CLASSES,
    .options = options_table,
    .loss = loss,
    .normaliser = row_normaliser,
};
