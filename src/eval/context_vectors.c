/* Preference vectors of contexts: see context_vectors.h.
 *
 * Of all offsets that lead to one vector the vector less the base is the shortest (any other adds a common shift or pushes entries
 * below zero), so fitting the offset is fitting the vector itself:
 *
 *   maximise over the simplex   F(v) = sum log sigmoid(v . d_i) - |v - base|^2 / (2 prior^2)
 *
 * F is strongly concave. Projected gradient steps of 1/L, L = sum |d_i|^2 / 4 + 1 / prior^2, with momentum (Beck, Teboulle 2009) that begins
 * anew when it points away from where the steps go (O'Donoghue, Candes 2015). */
#include "eval/context_vectors.h"
#include "base/ctx.h"
#include "base/memory.h"
#include "eval/front.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_STEPS = 20000, MOST_FOLDS = 5 };

agon_status context_scale(agon_ctx *ctx, const double *rewards, size_t n, size_t m, double *mean, double *deviation, size_t *flat) {
    if (n < 2)
        return ctx_fail(ctx, AGON_EINVAL, "a scale needs two rewards or more, not %zu", n);
    for (size_t j = 0; j < m; j++) {
        double sum = 0, squares = 0;
        for (size_t i = 0; i < n; i++)
            sum += rewards[i * m + j] / (double)n;
        for (size_t i = 0; i < n; i++)
            squares += (rewards[i * m + j] - sum) * (rewards[i * m + j] - sum);
        mean[j] = sum;
        deviation[j] = sqrt(squares / (double)(n - 1));
        if (!(deviation[j] > 0) || !isfinite(deviation[j])) {
            *flat = j;
            return ctx_fail(ctx, AGON_EINVAL, "dimension %zu of the rewards does not vary, or has no finite scale", j);
        }
    }
    return AGON_OK;
}

agon_status context_vector(agon_ctx *ctx, const double *base, const double *offset, size_t m, double *out) {
    for (size_t i = 0; i < m; i++)
        out[i] = base[i] + offset[i];
    return simplex_project(ctx, out, m, out);
}

/* ---- one fit ------------------------------------------------------------------------------------------ */

/* Pairs of one context; those of fold `without` are left out (SIZE_MAX: none). */
typedef struct fit {
    agon_ctx *ctx;
    const double *base, *differences;
    size_t n, m, without, n_folds;
    double prior;
    double *gradient, *next, *point; /* [m] scratch */
} fit;

static double dot(const double *a, const double *b, size_t m) {
    double sum = 0;
    for (size_t j = 0; j < m; j++)
        sum += a[j] * b[j];
    return sum;
}

static double log_sigmoid(double z) {
    return fmin(z, 0) - log1p(exp(-fabs(z)));
}

static bool is_left_out(const fit *f, size_t i) {
    return i % f->n_folds == f->without;
}

/* Gradient of F at `v`. */
static void gradient_at(const fit *f, const double *v) {
    for (size_t j = 0; j < f->m; j++)
        f->gradient[j] = -(v[j] - f->base[j]) / (f->prior * f->prior);
    for (size_t i = 0; i < f->n; i++) {
        const double *d = f->differences + i * f->m;
        double surprise = is_left_out(f, i) ? 0 : 1 - exp(log_sigmoid(dot(v, d, f->m)));
        for (size_t j = 0; j < f->m; j++)
            f->gradient[j] += surprise * d[j];
    }
}

static double curvature(const fit *f) {
    double sum = 1 / (f->prior * f->prior);
    for (size_t i = 0; i < f->n; i++)
        sum += is_left_out(f, i) ? 0 : dot(f->differences + i * f->m, f->differences + i * f->m, f->m) / 4;
    return sum;
}

/* The vector of the pairs that are not left out, into v [m]. */
static agon_status maximise(const fit *f, double *v) {
    double t = 1, rate = 1 / curvature(f);
    memcpy(v, f->base, f->m * sizeof *v);
    memcpy(f->point, f->base, f->m * sizeof *v);
    for (size_t step = 0; step < MOST_STEPS; step++) {
        double away = 0, moved = 0, later = (1 + sqrt(1 + 4 * t * t)) / 2;
        gradient_at(f, f->point);
        for (size_t j = 0; j < f->m; j++)
            f->next[j] = f->point[j] + rate * f->gradient[j];
        agon_status s = simplex_project(f->ctx, f->next, f->m, f->next);
        if (s)
            return s;
        for (size_t j = 0; j < f->m; j++) {
            moved = fmax(moved, fabs(f->next[j] - f->point[j]));
            away += (f->point[j] - f->next[j]) * (f->next[j] - v[j]);
        }
        double keep = away > 0 ? 0 : (t - 1) / later;
        for (size_t j = 0; j < f->m; j++) {
            f->point[j] = f->next[j] + keep * (f->next[j] - v[j]);
            v[j] = f->next[j];
        }
        t = away > 0 ? 1 : later;
        if (moved < 1e-13)
            break;
    }
    return AGON_OK;
}

static double log_likelihood(const fit *f, const double *v) {
    double sum = 0;
    for (size_t i = 0; i < f->n; i++)
        sum += log_sigmoid(dot(v, f->differences + i * f->m, f->m));
    return sum;
}

static double ranked(double margin) {
    return margin > 0 ? 1 : margin < 0 ? 0 : 0.5;
}

/* Every pair is asked once, of the vector fitted to the other folds. */
static agon_status cross_validate(fit *f, double *v, context_fit *out) {
    f->n_folds = f->n < MOST_FOLDS ? f->n : MOST_FOLDS;
    for (f->without = 0; f->without < f->n_folds; f->without++) {
        agon_status s = maximise(f, v);
        if (s)
            return s;
        for (size_t i = f->without; i < f->n; i += f->n_folds) {
            const double *d = f->differences + i * f->m;
            out->right += ranked(dot(v, d, f->m)) / (double)f->n;
            out->base_right += ranked(dot(f->base, d, f->m)) / (double)f->n;
        }
    }
    out->n_held_out = f->n;
    return AGON_OK;
}

agon_status context_fit_pairs(agon_ctx *ctx, const double *base, const double *differences, size_t n, size_t m, double prior,
                              double *offset, context_fit *out) {
    double *scratch = memory_new(4 * m + 1, sizeof *scratch), *v = scratch + 3 * m;
    if (!scratch)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for a context of %zu pairs", n);
    fit f = {.ctx = ctx, .base = base, .differences = differences, .n = n, .m = m, .without = SIZE_MAX, .n_folds = 1, .prior = prior,
             .gradient = scratch, .next = scratch + m, .point = scratch + 2 * m};
    context_fit made = {0};
    agon_status s = maximise(&f, v);
    if (!s) {
        made.log_likelihood = log_likelihood(&f, v);
        made.base_log_likelihood = log_likelihood(&f, base);
        for (size_t j = 0; j < m; j++)
            offset[j] = v[j] - base[j];
    }
    if (!s && n > 1)
        s = cross_validate(&f, v, &made);
    free(scratch);
    if (!s)
        *out = made;
    return s;
}
