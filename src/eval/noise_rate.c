/* Which labels are wrong: agreement and confident learning; see noise_rate.h. */
#include "eval/noise_rate.h"
#include "base/ctx.h"
#include "base/memory.h"
#include <math.h>
#include <stdlib.h>

double flip_rate_from_disagreement(double apart) {
    return apart < 0.5 ? (1 - sqrt(1 - 2 * apart)) / 2 : 0.5;
}

static double sigmoid(double x) {
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

static double flip_log_likelihood(const double *margins, size_t n, double slope, double rate) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double p = sigmoid(slope * margins[i]);
        sum += log(fmax((1 - rate) * p + rate * (1 - p), 1e-300));
    }
    return sum;
}

/* The likelihood is concave in the rate at a given slope: thirds of the interval are thrown away. */
static double best_rate(const double *margins, size_t n, double slope, double most) {
    double low = 0, high = most;
    for (int i = 0; i < 40; i++) {
        double a = low + (high - low) / 3, b = high - (high - low) / 3;
        if (flip_log_likelihood(margins, n, slope, a) < flip_log_likelihood(margins, n, slope, b))
            low = a;
        else
            high = b;
    }
    return (low + high) / 2;
}

flip_model flip_model_fit(const double *margins, size_t n, double most) {
    flip_model best = {0, 0};
    double square = 0, top = -INFINITY;
    for (size_t i = 0; i < n; i++)
        square += margins[i] * margins[i] / (double)n;
    /* In the slope there may be several peaks, so all of a grid is tried: from 1/20 to 50 at a margin of typical size. */
    for (double t = -3; t <= 4 && square > 0; t += 0.125) {
        double slope = exp(t) / sqrt(square), rate = best_rate(margins, n, slope, most);
        double here = flip_log_likelihood(margins, n, slope, rate);
        if (here > top)
            top = here, best = (flip_model){rate, slope};
    }
    return best;
}

double flip_model_nats(const flip_model *f, const double *margins, size_t n) {
    return -flip_log_likelihood(margins, n, f->slope, f->rate) / (double)n;
}

double flip_model_posterior(const flip_model *f, double margin) {
    double p = sigmoid(f->slope * margin), right = (1 - f->rate) * p, wrong = f->rate * (1 - p);
    /* At rate 0 every label is right, also where sigmoid underflows. */
    return right + wrong > 0 ? right / (right + wrong) : f->rate > 0 ? 0 : 1;
}

void noise_report_free(noise_report *r) {
    free(r->thresholds);
    free(r->confident_joint);
    free(r->joint);
    free(r->findings);
    *r = (noise_report){0};
}

static int by_margin(const void *a, const void *b) {
    const noise_finding *x = a, *y = b;
    if (x->margin != y->margin)
        return x->margin < y->margin ? 1 : -1;
    return (x->item > y->item) - (x->item < y->item);
}

/* Thresholds, and the number of items of each class. */
static void thresholds_of(const double *p, const size_t *labels, size_t n, noise_report *r, size_t *count) {
    for (size_t i = 0; i < n; i++) {
        r->thresholds[labels[i]] += p[i * r->n_classes + labels[i]];
        count[labels[i]]++;
    }
    for (size_t j = 0; j < r->n_classes; j++)
        r->thresholds[j] /= (double)count[j]; /* 0/0: NAN, which no probability reaches */
}

/* The likeliest class that reaches its threshold; k when none does. */
static size_t latent_class(const double *p, const noise_report *r) {
    size_t best = r->n_classes;
    for (size_t j = 0; j < r->n_classes; j++)
        if (p[j] >= r->thresholds[j] && (best == r->n_classes || p[j] > p[best]))
            best = j;
    return best;
}

static void joint_of(const size_t *count, size_t n, noise_report *r) {
    size_t k = r->n_classes;
    r->noise_rate = 1;
    for (size_t i = 0; i < k; i++) {
        size_t row = 0;
        for (size_t j = 0; j < k; j++)
            row += r->confident_joint[i * k + j];
        for (size_t j = 0; j < k; j++) {
            /* A class whose items are all unsure is taken for clean. */
            double share = row ? (double)r->confident_joint[i * k + j] / (double)row : i == j;
            r->joint[i * k + j] = share * (double)count[i] / (double)n;
        }
        r->noise_rate -= r->joint[i * k + i];
    }
}

agon_status confident_learning(agon_ctx *ctx, const double *probabilities, const size_t *labels, size_t n, size_t k,
                               noise_report *out) {
    if (n == 0 || k < 2)
        return ctx_fail(ctx, AGON_EINVAL, "confident learning needs items and two classes or more");
    for (size_t i = 0; i < n; i++)
        if (labels[i] >= k)
            return ctx_fail(ctx, AGON_EINVAL, "item %zu has label %zu; there are %zu classes", i, labels[i], k);
    noise_report r = {.n_classes = k,
                      .thresholds = memory_new(k, sizeof *r.thresholds),
                      .confident_joint = memory_new(size_mul(k, k), sizeof *r.confident_joint),
                      .joint = memory_new(size_mul(k, k), sizeof *r.joint),
                      .findings = memory_new(n, sizeof *r.findings)};
    size_t *count = memory_new(k, sizeof *count);
    if (!r.thresholds || !r.confident_joint || !r.joint || !r.findings || !count) {
        noise_report_free(&r);
        free(count);
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for %zu labels", n);
    }
    thresholds_of(probabilities, labels, n, &r, count);
    for (size_t i = 0; i < n; i++) {
        const double *p = probabilities + i * k;
        size_t latent = latent_class(p, &r);
        if (latent == k)
            continue;
        r.confident_joint[labels[i] * k + latent]++;
        if (latent != labels[i])
            r.findings[r.n_findings++] = (noise_finding){i, labels[i], latent, p[latent] - p[labels[i]]};
    }
    joint_of(count, n, &r);
    qsort(r.findings, r.n_findings, sizeof *r.findings, by_margin);
    free(count);
    *out = r;
    return AGON_OK;
}

flag_quality flags_measure(const bool *flagged, const bool *noisy, size_t n) {
    flag_quality q = {0};
    for (size_t i = 0; i < n; i++) {
        q.n_flagged += flagged[i];
        q.n_noisy += noisy[i];
        q.n_both += flagged[i] && noisy[i];
    }
    q.precision = q.n_flagged ? (double)q.n_both / (double)q.n_flagged : NAN;
    q.recall = q.n_noisy ? (double)q.n_both / (double)q.n_noisy : NAN;
    return q;
}
