/* What controls make of a supervisor's labels, and how a student takes after it: for items of any kind. See weak_to_strong.h. */
#include "base/ctx.h"
#include "base/nearest.h"
#include "eval/calibration.h"
#include "eval/recovery.h"
#include "experiment/weak_to_strong.h"
#include "train/selection.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void keep_only(const size_t *kept, size_t n_kept, double *weights, size_t n) {
    for (size_t i = 0; i < n; i++)
        weights[i] = 0;
    for (size_t i = 0; i < n_kept; i++)
        weights[kept[i]] = 1;
}

agon_status w2s_keep_confident(agon_ctx *ctx, const int *said, const double *doubt, size_t n, size_t n_classes, double share,
                               double *weights) {
    double *of_class = malloc(n * sizeof *of_class);
    size_t *where = malloc(n * sizeof *where), *picked = malloc(n * sizeof *picked);
    agon_status s = of_class && where && picked ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    keep_only(NULL, 0, weights, n);
    for (size_t c = 0; c < n_classes && !s; c++) {
        size_t m = 0;
        for (size_t i = 0; i < n; i++)
            if (said[i] == (int)c) {
                where[m] = i;
                of_class[m++] = doubt[i];
            }
        size_t keep = (size_t)ceil(share * (double)m);
        s = m ? select_smallest(ctx, of_class, m, keep, picked) : AGON_OK;
        for (size_t i = 0; i < keep && !s; i++)
            weights[where[picked[i]]] = 1;
    }
    free(of_class);
    free(where);
    free(picked);
    return s;
}

agon_status w2s_keep_random(agon_ctx *ctx, uint64_t seed, size_t n, double share, double *weights) {
    size_t *order = malloc(n * sizeof *order);
    if (!order)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    rng r = rng_new(seed);
    rng_shuffle(&r, order, n);
    keep_only(order, (size_t)ceil(share * (double)n), weights, n);
    free(order);
    return AGON_OK;
}

size_t w2s_likeliest(const double *p, size_t n_classes) {
    size_t best = 0;
    for (size_t k = 1; k < n_classes; k++)
        best = p[k] > p[best] ? k : best;
    return best;
}

void w2s_mean(const double *p, size_t n_labellers, size_t n_classes, double *out) {
    for (size_t k = 0; k < n_classes; k++) {
        out[k] = 0;
        for (size_t e = 0; e < n_labellers; e++)
            out[k] += p[e * n_classes + k] / (double)n_labellers;
    }
}

void w2s_majority(const double *p, size_t n_labellers, size_t n_classes, double *out) {
    w2s_mean(p, n_labellers, n_classes, out);
    for (size_t k = 0; k < n_classes; k++)
        out[k] /= 2; /* a mean never outweighs a vote */
    for (size_t e = 0; e < n_labellers; e++)
        out[w2s_likeliest(p + e * n_classes, n_classes)] += 1;
    const size_t best = w2s_likeliest(out, n_classes);
    for (size_t k = 0; k < n_classes; k++)
        out[k] = k == best;
}

void w2s_shuffle(uint64_t seed, double *labels, size_t n, size_t width) {
    rng r = rng_new(seed);
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)rng_below(&r, i);
        for (size_t k = 0; k < width; k++) {
            double t = labels[(i - 1) * width + k];
            labels[(i - 1) * width + k] = labels[j * width + k];
            labels[j * width + k] = t;
        }
    }
}

agon_status w2s_imitation_json(agon_ctx *ctx, const char *name, const int *weak, const int *student, const int *truth, const double *confidence,
                               size_t n, json_t **out) {
    bool *correct = malloc(n * sizeof *correct);
    if (!correct)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++)
        correct[i] = student[i] == truth[i];
    imitation m = imitation_measure(weak, student, truth, n);
    *out = json_pack("{s:s,s:o,s:o,s:o,s:f}", "condition", name, "agree_where_weak_is_right", real_or_null(m.agree_right),
                     "agree_where_weak_is_wrong", real_or_null(m.agree_wrong), "error_correlation", real_or_null(m.error_correlation),
                     "calibration_error", calibration_ece(confidence, correct, n));
    free(correct);
    return AGON_OK;
}

bool w2s_left_out(const lab *l, const char *name) {
    size_t i;
    json_t *out;
    json_array_foreach(json_object_get(l->settings, "leave_out"), i, out)
        if (strcmp(json_string_value(out), name) == 0)
            return true;
    return false;
}

agon_status w2s_check_left_out(const lab *l, const char *const *known, size_t n) {
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(l->settings, "leave_out"), i, item) {
        const char *name = json_string_value(item);
        size_t k = 0;
        while (name && k < n && strcmp(known[k], name) != 0)
            k++;
        const char *near = name && k == n ? nearest_word(name, known, n) : NULL;
        if (near)
            return ctx_fail(l->ctx, AGON_EINVAL, "leave_out: there is no condition '%.40s'; did you mean %s?", name, near);
        if (!name || k == n)
            return ctx_fail(l->ctx, AGON_EINVAL, "leave_out: '%.40s' is no condition that can be left out", name ? name : "");
    }
    return AGON_OK;
}
