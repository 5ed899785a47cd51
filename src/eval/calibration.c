/* Calibration, see calibration.h. Temperature scaling: Guo et al. (2017); Platt (1999) with the
 * damped Newton iteration of Lin, Lin, Weng (2007); pooling adjacent violators: Ayer et al. (1955).
 */
#include "eval/calibration.h"
#include "base/ctx.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/random.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N_BINS = 10, N_FOLDS = 5 };
static const double SMALLEST = 1e-6;
static const double LOWEST_T = 0.05, HIGHEST_T = 20;

static double clamp(double p, double low) {
    return fmin(fmax(p, low), 1 - low);
}

static double logit(double p) {
    p = clamp(p, SMALLEST);
    return log(p) - log1p(-p);
}

static double sigmoid(double x) {
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

/* log(1 + exp(x)) without overflow. */
static double softplus(double x) {
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

double calibration_ece(const double *confidence, const bool *correct, size_t n) {
    assert(n > 0);
    double sum[N_BINS] = {0}, right[N_BINS] = {0}, ece = 0;
    for (size_t i = 0; i < n; i++) {
        int bin = (int)ceil(N_BINS * confidence[i]) - 1;
        bin = bin < 0 ? 0 : bin >= N_BINS ? N_BINS - 1 : bin;
        sum[bin] += confidence[i];
        right[bin] += correct[i];
    }
    for (int b = 0; b < N_BINS; b++)
        ece += fabs(sum[b] - right[b]) / (double)n;
    return ece;
}

double calibration_brier(const double *confidence, const bool *correct, size_t n) {
    assert(n > 0);
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double d = confidence[i] - correct[i];
        sum += d * d;
    }
    return sum / (double)n;
}

double calibration_nll(const double *confidence, const bool *correct, size_t n) {
    assert(n > 0);
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double p = clamp(confidence[i], SMALLEST);
        sum -= correct[i] ? log(p) : log1p(-p);
    }
    return sum / (double)n;
}

/* ---- temperature ---------------------------------------------------------------- */

/* With s = 1/t the loss is convex in s, so its derivative sum (sigmoid(s x) - y) x is bisected. */
static void fit_temperature(const double *x, const bool *y, size_t n, calibrator *out) {
    double low = 1 / HIGHEST_T, high = 1 / LOWEST_T;
    for (int i = 0; i < 100; i++) {
        double s = 0.5 * (low + high), slope = 0;
        for (size_t j = 0; j < n; j++)
            slope += (sigmoid(s * x[j]) - y[j]) * x[j];
        *(slope < 0 ? &low : &high) = s;
    }
    out->t = 2 / (low + high);
}

/* ---- Platt ---------------------------------------------------------------------- */

static double platt_loss(const double *x, const bool *y, size_t n, const double target[2], double a,
                         double b) {
    double loss = 0;
    for (size_t i = 0; i < n; i++) {
        double f = a * x[i] + b;
        loss += softplus(f) - target[y[i]] * f;
    }
    return loss;
}

static void fit_platt(const double *x, const bool *y, size_t n, calibrator *out) {
    double n_right = 0;
    for (size_t i = 0; i < n; i++)
        n_right += y[i];
    double n_wrong = (double)n - n_right;
    const double target[2] = {1 / (n_wrong + 2), (n_right + 1) / (n_right + 2)};
    double a = 0, b = log((n_right + 1) / (n_wrong + 1)), loss = platt_loss(x, y, n, target, a, b);
    for (int step = 0; step < 200; step++) {
        double g_a = 0, g_b = 0, h_aa = 1e-12, h_bb = 1e-12, h_ab = 0;
        for (size_t i = 0; i < n; i++) {
            double p = sigmoid(a * x[i] + b), g = p - target[y[i]], h = p * (1 - p);
            g_a += g * x[i];
            g_b += g;
            h_aa += h * x[i] * x[i];
            h_bb += h;
            h_ab += h * x[i];
        }
        if (fabs(g_a) < 1e-11 && fabs(g_b) < 1e-11)
            break;
        double det = h_aa * h_bb - h_ab * h_ab;
        double d_a = -(h_bb * g_a - h_ab * g_b) / det, d_b = -(h_aa * g_b - h_ab * g_a) / det;
        double slope = g_a * d_a + g_b * d_b, size = 1;
        for (; size > 1e-10; size /= 2) {
            double next = platt_loss(x, y, n, target, a + size * d_a, b + size * d_b);
            if (next < loss + 1e-4 * size * slope) {
                loss = next;
                break;
            }
        }
        if (size <= 1e-10) /* no further descent at this precision */
            break;
        a += size * d_a;
        b += size * d_b;
    }
    out->a = a;
    out->b = b;
}

/* ---- isotonic ------------------------------------------------------------------- */

typedef struct example {
    double confidence, right, weight;
} example;

static int by_confidence(const void *a, const void *b) {
    double x = ((const example *)a)->confidence, y = ((const example *)b)->confidence;
    return (x > y) - (x < y);
}

/* Blocks grow on a stack. Equal confidences are one example, pooled before anything is compared: the
 * fit must not depend on the order in which they came. */
static agon_status fit_isotonic(agon_ctx *ctx, const double *confidence, const bool *y, size_t n,
                                calibrator *out) {
    example *e = memory_new(n, sizeof *e);
    double *from = memory_new(n, sizeof *from), *value = memory_new(n, sizeof *value);
    if (!e || !from || !value) {
        free(e);
        free(from);
        free(value);
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for an isotonic fit of %zu examples", n);
    }
    for (size_t i = 0; i < n; i++)
        e[i] = (example){confidence[i], y[i], 1};
    qsort(e, n, sizeof *e, by_confidence);
    size_t top = 0;
    for (size_t i = 0; i < n;) {
        example block = {.confidence = e[i].confidence};
        for (; i < n && e[i].confidence == block.confidence; i++)
            block.right += e[i].right, block.weight += e[i].weight;
        while (top > 0 && e[top - 1].right * block.weight >= block.right * e[top - 1].weight) {
            top--;
            block = (example){e[top].confidence, e[top].right + block.right,
                              e[top].weight + block.weight};
        }
        e[top++] = block;
    }
    for (size_t i = 0; i < top; i++) {
        from[i] = e[i].confidence;
        value[i] = e[i].right / e[i].weight;
    }
    free(e);
    out->from = from;
    out->value = value;
    out->n_steps = top;
    return AGON_OK;
}

static double isotonic_at(const calibrator *c, double p) {
    size_t low = 0,
           high = c->n_steps; /* the last step that starts at or below p; the first below all */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        *(c->from[middle] <= p ? &low : &high) = middle;
    }
    return c->n_steps ? c->value[low] : p;
}

/* ---- the calibrator ------------------------------------------------------------- */

void calibrator_free(calibrator *c) {
    if (!c)
        return;
    free(c->from);
    free(c->value);
    *c = (calibrator){0};
}

double calibrator_apply(const calibrator *c, double confidence) {
    switch (c->kind) {
    case CALIBRATOR_IDENTITY:
        break;
    case CALIBRATOR_TEMPERATURE:
        return sigmoid(logit(confidence) / c->t);
    case CALIBRATOR_PLATT:
        return sigmoid(c->a * logit(confidence) + c->b);
    case CALIBRATOR_ISOTONIC:
        return isotonic_at(c, confidence);
    }
    return confidence;
}

static const char *const kind_names[] = {"identity", "temperature", "platt", "isotonic"};

const char *calibrator_kind_name(calibrator_kind kind) {
    return kind_names[kind];
}

agon_status calibrator_fit_kind(agon_ctx *ctx, calibrator_kind kind, const double *confidence,
                                const bool *correct, size_t n, calibrator *out) {
    if (n == 0)
        return ctx_fail(ctx, AGON_EINVAL, "calibration: no labelled examples to fit on");
    for (size_t i = 0; i < n; i++)
        if (!(confidence[i] >= 0 && confidence[i] <= 1))
            return ctx_fail(ctx, AGON_EINVAL,
                            "calibration: confidence %g of example %zu is not in [0, 1]",
                            confidence[i], i);
    calibrator c = {.kind = kind, .n_fitted = n};
    if (kind == CALIBRATOR_ISOTONIC) {
        agon_status s = fit_isotonic(ctx, confidence, correct, n, &c);
        if (s)
            return s;
    } else if (kind != CALIBRATOR_IDENTITY) {
        double *x = memory_new(n, sizeof *x);
        if (!x)
            return ctx_fail(ctx, AGON_ENOMEM, "no memory to calibrate on %zu examples", n);
        for (size_t i = 0; i < n; i++)
            x[i] = logit(confidence[i]);
        (kind == CALIBRATOR_PLATT ? fit_platt : fit_temperature)(x, correct, n, &c);
        free(x);
    }
    *out = c;
    return AGON_OK;
}

typedef struct folds {
    double *confidence;
    bool *correct;
    int *fold;
} folds;

/* Mean held-out loss of a kind. An isotonic step may be 0 or 1, where one surprise costs infinity;
 * held-out predictions are kept off the ends by what n examples can tell: 1/(n + 2). */
static agon_status cross_validate(agon_ctx *ctx, calibrator_kind kind, const double *confidence,
                                  const bool *correct, size_t n, const folds *work, double *out) {
    double sum = 0;
    for (int f = 0; f < N_FOLDS; f++) {
        size_t m = 0;
        for (size_t i = 0; i < n; i++)
            if (work->fold[i] != f) {
                work->confidence[m] = confidence[i];
                work->correct[m++] = correct[i];
            }
        if (m == n) /* nothing held out */
            continue;
        calibrator c = {0}; /* nothing left to fit on: the identity */
        agon_status s =
            m ? calibrator_fit_kind(ctx, kind, work->confidence, work->correct, m, &c) : AGON_OK;
        if (s)
            return s;
        for (size_t i = 0; i < n; i++)
            if (work->fold[i] == f) {
                double p = clamp(calibrator_apply(&c, confidence[i]), 1 / ((double)m + 2));
                sum -= correct[i] ? log(p) : log1p(-p);
            }
        calibrator_free(&c);
    }
    *out = sum / (double)n;
    return AGON_OK;
}

agon_status calibrator_fit(agon_ctx *ctx, const double *confidence, const bool *correct,
                           const uint64_t *groups, size_t n, uint64_t seed, calibrator *out) {
    if (n == 0)
        return ctx_fail(ctx, AGON_EINVAL, "calibration: no labelled examples to fit on");
    agon_status s = AGON_OK;
    folds work = {memory_new(n, sizeof *work.confidence), memory_new(n, sizeof *work.correct),
                  memory_new(n, sizeof *work.fold)};
    calibrator_kind best = CALIBRATOR_TEMPERATURE;
    double best_nll = INFINITY;
    if (!work.confidence || !work.correct || !work.fold) {
        s = ctx_fail(ctx, AGON_ENOMEM, "no memory to calibrate on %zu examples", n);
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        rng r = rng_new(seed ^ (groups ? groups[i] : i));
        work.fold[i] = (int)rng_below(&r, N_FOLDS);
    }
    for (calibrator_kind kind = CALIBRATOR_TEMPERATURE; kind <= CALIBRATOR_ISOTONIC; kind++) {
        double nll;
        s = cross_validate(ctx, kind, confidence, correct, n, &work, &nll);
        if (s)
            goto done;
        if (nll < best_nll) {
            best_nll = nll;
            best = kind;
        }
    }
    s = calibrator_fit_kind(ctx, best, confidence, correct, n, out);
    if (!s)
        out->cross_validated_nll = best_nll;
done:
    free(work.confidence);
    free(work.correct);
    free(work.fold);
    return s;
}

/* ---- as JSON -------------------------------------------------------------------- */

static json_t *reals(const double *values, size_t n) {
    json_t *array = json_array();
    for (size_t i = 0; array && i < n; i++)
        if (json_array_append_new(array, json_real(values[i]))) {
            json_decref(array);
            return NULL;
        }
    return array;
}

json_t *calibrator_to_json(const calibrator *c) {
    json_t *o = json_pack("{s:s, s:I, s:f}", "kind", kind_names[c->kind], "n",
                          (json_int_t)c->n_fitted, "cross_validated_nll", c->cross_validated_nll);
    int bad = !o;
    if (o && c->kind == CALIBRATOR_TEMPERATURE)
        bad |= json_object_set_new(o, "t", json_real(c->t));
    if (o && c->kind == CALIBRATOR_PLATT)
        bad |= json_object_set_new(o, "a", json_real(c->a)) |
               json_object_set_new(o, "b", json_real(c->b));
    if (o && c->kind == CALIBRATOR_ISOTONIC)
        bad |= json_object_set_new(o, "from", reals(c->from, c->n_steps)) |
               json_object_set_new(o, "value", reals(c->value, c->n_steps));
    if (bad) {
        json_decref(o);
        return NULL;
    }
    return o;
}

