/* classify: a binary class head on soft labels, plain or corrected for class-conditional label noise (training.md
 * sections 5 and 6; Patrini et al. 2017, arXiv 1609.03683, theorems 1 and 2).
 *
 *   logits (0, s) from one output, or two outputs, or likelihood * log(policy/reference);   y = label, P(class 1), smoothed by label_smoothing
 *   loss = y*l(1) + (1-y)*l(0),   l = cross-entropy; correction 1: forward, 2: backward, with
 *   T = [[1-flip_negative, flip_negative], [flip_positive, 1-flip_positive]]
 *
 * Deviation: two classes only, since a label is one number; classes.h has the K-class forms. */
#include "objective/classes.h"
#include "objective/table.h"

enum { CORRECTION, FLIP_NEGATIVE, FLIP_POSITIVE, LABEL_SMOOTHING, LIKELIHOOD };
static const objective_option options_table[] = {
    {"correction", 0, 0, 2, "of label noise; 0: none, 1: forward, 2: backward", WHOLE_NUMBER},
    {"flip_negative", 0.1, 0, 0.49, "share of class 0 that is labelled 1", ANY_NUMBER},
    {"flip_positive", 0.1, 0, 0.49, "share of class 1 that is labelled 0", ANY_NUMBER},
    {"label_smoothing", 0, 0, 0.5, "e: y becomes (1-e)*y + e/2", ANY_NUMBER},
    BINARY_LIKELIHOOD,
    {.name = NULL},
};

/* Loss of one soft label and its derivative by the logit s. */
static double one(const double *options, double s, double label, double *d) {
    const double e = options[LABEL_SMOOTHING], a = options[FLIP_NEGATIVE], b = options[FLIP_POSITIVE];
    const double t[4] = {1 - a, a, b, 1 - b}, logits[2] = {0, s};
    double y = (1 - e) * label + e / 2, sum = 0;
    *d = 0;
    for (size_t k = 0; k < 2; k++) {
        double slope[2], share = k == 1 ? y : 1 - y;
        double l = options[CORRECTION] == 1   ? classes_forward(t, logits, 2, k, slope)
                   : options[CORRECTION] == 2 ? classes_backward(t, logits, 2, k, slope)
                                              : classes_plain(logits, 2, k, slope);
        sum += share * l;
        *d += share * slope[1];
    }
    return sum;
}

static unsigned needs_with(const double *options) {
    return binary_needs(options[LIKELIHOOD]);
}

static agon_status loss(agon_ctx *ctx, const objective *self, const double *options, const row *rows, size_t n_rows,
                        objective_result *out) {
    const double likelihood = options[LIKELIHOOD];
    agon_status s = binary_check(ctx, self, options, rows, n_rows);
    double total = response_normaliser(options, rows, n_rows), sum = 0, accuracy = 0, positive = 0;
    if (s == AGON_OK)
        s = weight_check(ctx, self, total);
    for (size_t i = 0; s == AGON_OK && i < n_rows; i++) {
        response *r = rows[i].responses;
        double share = rows[i].weight * r->weight / total, x = binary_logit(r, likelihood), d;
        out->losses[i] = one(options, x, r->label, &d);
        s = loss_check(ctx, self, i, out->losses[i]);
        binary_gradient(r, likelihood, share * d);
        sum += share * out->losses[i];
        accuracy += (x > 0) == (r->label > 0.5) ? share : 0;
        positive += x > 0 ? share : 0;
    }
    if (s != AGON_OK)
        return s;
    out->loss = sum;
    out->n_metrics = 0;
    metric_add(out, "accuracy", accuracy);
    metric_add(out, "positive_share", positive);
    return AGON_OK;
}

const objective objective_classify = {
    .name = "classify",
    .learning_rate = 1e-5,
    .summary = "binary class head on soft labels, with forward or backward noise correction (arXiv 1609.03683)",
    .rows = ROW_SINGLE,
    .needs = NEEDS_HEAD | NEEDS_LABEL,
    .coupling = COUPLED_ROW,
    .options = options_table,
    .needs_with = needs_with,
    .loss = loss,
    .normaliser = response_normaliser,
};
