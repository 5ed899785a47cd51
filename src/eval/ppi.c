/* Prediction-powered inference, see ppi.h. F1: gate.md (power tuning: Angelopoulos, Duchi, Zrnic
 * 2023, eq. for a mean); variances have ddof 1 everywhere. */
#include "eval/ppi.h"
#include "base/ctx.h"
#include "base/numbers.h"
#include "eval/special.h"
#include <math.h>
#include <stdlib.h>

/* Sum of squared distances from `centre`. */
static double spread(const double *x, size_t n, double centre) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (x[i] - centre) * (x[i] - centre);
    return sum;
}

static ppi_estimate with_interval(double estimate, double variance, double t) {
    double se = sqrt(variance);
    return (ppi_estimate){estimate, se, {estimate - t * se, estimate + t * se}};
}

typedef struct paired_input {
    const double *unlabelled, *labelled, *truth;
    size_t n_unlabelled, n_labelled;
    double t; /* Student's quantile */
} paired_input;

static ppi_estimate at_lambda(const paired_input *in, double lambda) {
    double n = (double)in->n_labelled, judged = numbers_mean(in->unlabelled, in->n_unlabelled), rest = 0,
           variance = 0;
    for (size_t i = 0; i < in->n_labelled; i++)
        rest += in->truth[i] - lambda * in->labelled[i];
    rest /= n;
    for (size_t i = 0; i < in->n_labelled; i++) {
        double d = in->truth[i] - lambda * in->labelled[i] - rest;
        variance += d * d / (n - 1) / n;
    }
    if (in->n_unlabelled > 1) {
        double big = (double)in->n_unlabelled;
        variance +=
            lambda * lambda * spread(in->unlabelled, in->n_unlabelled, judged) / (big - 1) / big;
    }
    return with_interval(lambda * judged + rest, variance, in->t);
}

static double tuned_lambda(const paired_input *in) {
    double n = (double)in->n_labelled, big = (double)in->n_unlabelled;
    if (in->n_unlabelled == 0)
        return 0;
    double d_mean = numbers_mean(in->truth, in->n_labelled),
           h_mean = numbers_mean(in->labelled, in->n_labelled), cov = 0;
    for (size_t i = 0; i < in->n_labelled; i++)
        cov += (in->truth[i] - d_mean) * (in->labelled[i] - h_mean);
    cov /= n - 1;
    double all_mean = (n * h_mean + big * numbers_mean(in->unlabelled, in->n_unlabelled)) / (n + big);
    double variance = (spread(in->unlabelled, in->n_unlabelled, all_mean) +
                       spread(in->labelled, in->n_labelled, all_mean)) /
                      (n + big - 1);
    if (!(variance > 0)) /* a critic that says the same of every item tells nothing */
        return 0;
    return fmin(fmax(cov / ((1 + n / big) * variance), 0), 1);
}

static agon_status check_range(agon_ctx *ctx, const char *what, const double *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!(x[i] >= -1 && x[i] <= 1))
            return ctx_fail(ctx, AGON_EINVAL, "gate: %s of item %zu is %g, outside [-1, 1]", what,
                            i, x[i]);
    return AGON_OK;
}

agon_status ppi_paired(agon_ctx *ctx, const double *unlabelled, size_t n_unlabelled,
                       const double *labelled, const double *truth, size_t n_labelled, double alpha,
                       ppi_result *out) {
    if (n_labelled < 2 || n_unlabelled == 1)
        return ctx_fail(ctx, AGON_EINVAL,
                        "gate: %zu labelled and %zu unlabelled items are too few for an interval",
                        n_labelled, n_unlabelled);
    agon_status s = check_range(ctx, "judge difference", unlabelled, n_unlabelled);
    if (!s)
        s = check_range(ctx, "judge difference", labelled, n_labelled);
    if (!s)
        s = check_range(ctx, "true difference", truth, n_labelled);
    if (s)
        return s;
    const paired_input in = {
        unlabelled,   labelled,   truth,
        n_unlabelled, n_labelled, special_student_quantile(1 - alpha / 2, (double)n_labelled - 1)};
    ppi_result r = {
        .n_labelled = n_labelled, .n_unlabelled = n_unlabelled, .lambda = tuned_lambda(&in)};
    r.tuned = at_lambda(&in, r.lambda);
    r.plain = at_lambda(&in, n_unlabelled ? 1 : 0);
    r.labels_only = at_lambda(&in, 0);
    double n = (double)n_labelled + (double)n_unlabelled;
    double judged = ((double)n_labelled * numbers_mean(labelled, n_labelled) +
                     (double)n_unlabelled * numbers_mean(unlabelled, n_unlabelled)) /
                    n;
    double variance =
        (spread(labelled, n_labelled, judged) + spread(unlabelled, n_unlabelled, judged)) /
        (n - 1) / n;
    r.judge_only = with_interval(judged, variance, special_student_quantile(1 - alpha / 2, n - 1));
    *out = r;
    return AGON_OK;
}

/* The known part beside one of the other's estimates, as one of all items; Student's t at the
 * degrees of freedom of Welch and Satterthwaite. */
typedef struct known_part {
    double mean, variance /* of the mean */, n, share;
} known_part;

static ppi_estimate join_parts(const known_part *k, const ppi_estimate *other, double df, double alpha) {
    double rest = 1 - k->share, a = k->share * k->share * k->variance,
           b = rest * rest * other->standard_error * other->standard_error;
    if (a > 0)
        df = (a + b) * (a + b) / (a * a / fmax(k->n - 1, 1) + b * b / df);
    return with_interval(k->share * k->mean + rest * other->estimate, a + b,
                         special_student_quantile(1 - alpha / 2, df));
}

agon_status ppi_stratified(agon_ctx *ctx, const double *known, size_t n_known,
                           const double *unlabelled, size_t n_unlabelled, const double *labelled,
                           const double *truth, size_t n_labelled, double alpha, ppi_result *out) {
    ppi_result r;
    agon_status s = check_range(ctx, "known difference", known, n_known);
    if (!s)
        s = ppi_paired(ctx, unlabelled, n_unlabelled, labelled, truth, n_labelled, alpha, &r);
    if (s)
        return s;
    if (n_known > 0) {
        double n = (double)n_known, others = (double)(n_labelled + n_unlabelled),
               df = (double)n_labelled - 1, mean = numbers_mean(known, n_known);
        double centre = n_known > 1 ? mean : 0;
        known_part k = {mean, spread(known, n_known, centre) / fmax(n - 1, 1) / n, n,
                        n / (n + others)};
        r.n_known = n_known;
        r.tuned = join_parts(&k, &r.tuned, df, alpha);
        r.plain = join_parts(&k, &r.plain, df, alpha);
        r.labels_only = join_parts(&k, &r.labels_only, df, alpha);
        r.judge_only = join_parts(&k, &r.judge_only, others - 1, alpha);
    }
    *out = r;
    return AGON_OK;
}
