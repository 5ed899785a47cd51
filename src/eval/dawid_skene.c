/* Raters of unknown reliability (Dawid, Skene 1979, section 3); see noise_rate.h. */
#include "base/ctx.h"
#include "base/memory.h"
#include "eval/noise_rate.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double SETTLED = 1e-10; /* no posterior moves by more: another iteration changes nothing that is read */

void rater_model_free(rater_model *m) {
    free(m->prior);
    free(m->confusion);
    free(m->posterior);
    *m = (rater_model){0};
}

typedef struct answers {
    const int *all, *gold;
    const double *weights; /* [n_items] how often each stands; NULL: once */
    size_t n_items, n_raters, k;
} answers;

static double weight_of(const answers *a, size_t i) {
    return a->weights ? a->weights[i] : 1;
}

static int answer_of(const answers *a, size_t i, size_t r) {
    return a->all[i * a->n_raters + r];
}

static bool pinned(const answers *a, size_t i) {
    return a->gold && a->gold[i] >= 0;
}

/* Gold of one class alone says nothing of the others. */
static bool gold_of_every_class(const answers *a) {
    for (size_t c = 0; c < a->k; c++) {
        bool found = false;
        for (size_t i = 0; i < a->n_items && a->gold && !found; i++)
            found = a->gold[i] == (int)c;
        if (!found)
            return false;
    }
    return true;
}

/* Gold items are certain. The others start from their vote fractions; with gold of every class, evenly, so that the gold items alone
 * say which class is which: a majority of bad raters would lead the other way. AGON_EINVAL names the item. */
static agon_status start(agon_ctx *ctx, const answers *a, double *posterior) {
    bool even = gold_of_every_class(a);
    for (size_t i = 0; i < a->n_items; i++) {
        double votes = 0, *p = posterior + i * a->k;
        for (size_t r = 0; r < a->n_raters; r++) {
            int x = answer_of(a, i, r);
            if (x < -1 || x >= (int)a->k)
                return ctx_fail(ctx, AGON_EINVAL, "item %zu, rater %zu: the answer is %d; it is -1 (none) or 0 to %zu", i, r,
                                x, a->k - 1);
            if (x >= 0)
                p[x] += 1, votes += 1;
        }
        if (a->gold && a->gold[i] >= (int)a->k)
            return ctx_fail(ctx, AGON_EINVAL, "item %zu: the gold class is %d; there are %zu", i, a->gold[i], a->k);
        if (votes == 0 && !pinned(a, i))
            return ctx_fail(ctx, AGON_EINVAL, "item %zu has no answer", i);
        for (size_t c = 0; c < a->k; c++)
            p[c] = pinned(a, i) ? (size_t)a->gold[i] == c : even ? 1 / (double)a->k : p[c] / votes;
    }
    return AGON_OK;
}

static void maximise(const answers *a, double smoothing, rater_model *m) {
    size_t k = a->k;
    double total_weight = 0;
    for (size_t i = 0; i < a->n_items; i++)
        total_weight += weight_of(a, i);
    for (size_t c = 0; c < k; c++) {
        m->prior[c] = 0;
        for (size_t i = 0; i < a->n_items; i++)
            m->prior[c] += weight_of(a, i) * m->posterior[i * k + c] / total_weight;
    }
    for (size_t r = 0; r < a->n_raters; r++)
        for (size_t c = 0; c < k; c++) {
            double *row = m->confusion + (r * k + c) * k, total = 0;
            for (size_t x = 0; x < k; x++)
                row[x] = smoothing;
            for (size_t i = 0; i < a->n_items; i++)
                if (answer_of(a, i, r) >= 0)
                    row[answer_of(a, i, r)] += weight_of(a, i) * m->posterior[i * k + c];
            for (size_t x = 0; x < k; x++)
                total += row[x];
            for (size_t x = 0; x < k; x++)
                row[x] /= total;
        }
}

/* In logs: many raters make products that underflow. Returns the largest change of a posterior. */
static double expect(const answers *a, rater_model *m, double *scratch) {
    size_t k = a->k;
    double change = 0;
    m->log_likelihood = 0;
    for (size_t i = 0; i < a->n_items; i++) {
        double *p = scratch, *q = m->posterior + i * k, max = -INFINITY, sum = 0;
        for (size_t c = 0; c < k; c++) {
            p[c] = log(m->prior[c]);
            for (size_t r = 0; r < a->n_raters; r++)
                if (answer_of(a, i, r) >= 0)
                    p[c] += log(m->confusion[(r * k + c) * k + (size_t)answer_of(a, i, r)]);
            max = fmax(max, p[c]);
        }
        for (size_t c = 0; c < k; c++)
            sum += exp(p[c] - max);
        m->log_likelihood += weight_of(a, i) * (max + log(sum));
        for (size_t c = 0; c < k; c++)
            change = fmax(change, fabs(q[c] - (p[c] = pinned(a, i) ? (size_t)a->gold[i] == c : exp(p[c] - max) / sum)));
        memcpy(q, p, k * sizeof *q);
    }
    return change;
}

agon_status dawid_skene(agon_ctx *ctx, const int *all, const int *gold, const double *weights,
                        const double *begin, size_t n_items, size_t n_raters, size_t n_classes, double smoothing, size_t iterations, rater_model *out) {
    const answers a = {all, gold, weights, n_items, n_raters, n_classes};
    if (n_items == 0 || n_raters == 0 || n_classes < 2 || iterations == 0 || !(smoothing > 0))
        return ctx_fail(ctx, AGON_EINVAL, "raters: items, raters and iterations must be 1 or more, classes 2 or more, "
                        "smoothing above 0");
    rater_model m = {.n_items = n_items, .n_raters = n_raters, .n_classes = n_classes};
    m.prior = memory_new(n_classes, sizeof(double));
    m.confusion = memory_new(size_mul(n_raters, size_mul(n_classes, n_classes)), sizeof(double));
    m.posterior = memory_new(size_mul(n_items, n_classes), sizeof(double));
    double *scratch = memory_new(n_classes, sizeof(double)), change = INFINITY;
    agon_status s = m.prior && m.confusion && m.posterior && scratch
                        ? start(ctx, &a, m.posterior)
                        : ctx_fail(ctx, AGON_ENOMEM, "out of memory for %zu items", n_items);
    if (begin && s == AGON_OK)
        memcpy(m.posterior, begin, n_items * n_classes * sizeof *begin);
    for (size_t i = 0; i < iterations && s == AGON_OK && change > SETTLED; i++) {
        maximise(&a, smoothing, &m);
        change = expect(&a, &m, scratch);
    }
    free(scratch);
    if (s == AGON_OK)
        *out = m;
    else
        rater_model_free(&m);
    return s;
}
