/* Which labels go: see clean_rows.h. The mathematics is eval/noise_rate.c's. */
#include "base/ctx.h"
#include "base/memory.h"
#include "eval/calibration.h"
#include "eval/noise_rate.h"
#include "recipe/clean_rows.h"
#include "train/selection.h"
#include "train/train.h"
#include <math.h>
#include <stdlib.h>

static const double MOST_RATE = 0.45; /* above it which way round the labels are is open */
/* A useless judge beats knowing nothing on half of all files, and on more where the best of two judges and several epochs is taken: what it explains
 * better must lie this many standard errors, over the rows, above 0. */
static const double SURE = 2;

const char *clean_judge_name(clean_kind kind, size_t judge) {
    static const char *const names[3][CLEAN_N_JUDGES] = {
        {"implicit reward", "likelihood"}, {"class head", "likelihood"}, {"likelihood", "likelihood"}};
    return names[kind][judge];
}

static agon_status no_memory(agon_ctx *ctx) {
    return ctx_fail(ctx, AGON_ENOMEM, "out of memory judging rows");
}

void clean_decision_free(clean_decision *d) {
    free(d->p_right);
    free(d->evidence);
    free(d->drop);
    *d = (clean_decision){0};
}

/* gain [n]: by how many nats the judge explains each row better than knowing nothing does. */
static bool is_sure(const double *gain, size_t n) {
    double mean = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        mean += gain[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (gain[i] - mean) * (gain[i] - mean);
    return n > 1 && mean > 0 && mean > SURE * sqrt(squares / (double)(n - 1) / (double)n);
}

static agon_status not_finite(agon_ctx *ctx, const clean_scores *x, size_t i) {
    char place[ROW_PLACE_SIZE];
    if (!x->rows)
        return ctx_fail(ctx, AGON_ENUMERIC, "row %zu: the margin is not finite", i + 1);
    return ctx_fail(ctx, AGON_ENUMERIC, "%s: the margin is not finite", row_place(x->rows, i, place));
}

static agon_status decide_pairs(agon_ctx *ctx, const clean_scores *x, clean_decision *d) {
    flip_model f[CLEAN_N_JUDGES];
    for (size_t k = 0; k < CLEAN_N_JUDGES; k++) {
        for (size_t i = 0; i < x->n; i++)
            if (!isfinite(x->judges[k][i]))
                return not_finite(ctx, x, i);
        f[k] = flip_model_fit(x->judges[k], x->n, MOST_RATE);
        d->nats[k] = flip_model_nats(&f[k], x->judges[k], x->n);
    }
    double *gain = memory_new(x->n, sizeof *gain);
    if (!gain)
        return no_memory(ctx);
    d->judge = d->nats[1] < d->nats[0];
    d->ignorant_nats = log(2);
    for (size_t i = 0; i < x->n; i++)
        gain[i] = log(2) - flip_model_nats(&f[d->judge], &x->judges[d->judge][i], 1);
    d->believed = is_sure(gain, x->n);
    d->noise_rate = d->believed ? f[d->judge].rate : NAN;
    for (size_t i = 0; i < x->n; i++) {
        d->evidence[i] = x->judges[d->judge][i];
        d->p_right[i] = flip_model_posterior(&f[d->judge], d->evidence[i]);
        d->drop[i] = d->believed && d->p_right[i] < 0.5;
    }
    free(gain);
    return AGON_OK;
}

/* ---- labels ------------------------------------------------------------------------------------------------- */

/* Probabilities of each fold's labels from a confidence, by the labels of the other folds. */
static agon_status calibrate(agon_ctx *ctx, const clean_scores *x, const double *confidence, double *p) {
    double *known = memory_new(x->n, sizeof *known);
    bool *correct = memory_new(x->n, sizeof *correct);
    agon_status s = known && correct ? AGON_OK : no_memory(ctx);
    for (size_t fold = 0; fold < x->n_folds && !s; fold++) {
        calibrator map = {0};
        size_t n = 0;
        for (size_t i = 0; i < x->n; i++)
            if (x->fold[i] != fold)
                known[n] = confidence[i], correct[n++] = x->labels[i] > 0.5;
        s = calibrator_fit_kind(ctx, CALIBRATOR_ISOTONIC, known, correct, n, &map);
        for (size_t i = 0; i < x->n && !s; i++)
            if (x->fold[i] == fold)
                p[i] = calibrator_apply(&map, confidence[i]);
        calibrator_free(&map);
    }
    free(known);
    free(correct);
    return s;
}

/* p [n] of the judge that is believed, by cross-entropy with the labels as given. p_likelihood [n] is scratch. */
static agon_status believe(agon_ctx *ctx, const clean_scores *x, double *p_likelihood, clean_decision *d, const double **p) {
    bool *given = memory_new(x->n, sizeof *given);
    agon_status s = given ? calibrate(ctx, x, x->judges[1], p_likelihood) : no_memory(ctx);
    for (size_t i = 0; i < x->n && !s; i++)
        given[i] = x->labels[i] > 0.5;
    if (!s) {
        d->nats[0] = calibration_nll(x->judges[0], given, x->n);
        d->nats[1] = calibration_nll(p_likelihood, given, x->n);
        d->judge = d->nats[1] < d->nats[0];
        *p = d->judge ? p_likelihood : x->judges[0];
    }
    free(given);
    return s;
}

static double label_nats(double p_true, double label) {
    return -log(fmax(label > 0.5 ? p_true : 1 - p_true, 1e-12)); /* as calibration_nll */
}

/* What the labels of the other folds alone say of a row's: their share of true, with a row of each added. */
static void base_rates(const clean_scores *x, double *p) {
    for (size_t fold = 0; fold < x->n_folds; fold++) {
        double yes = 1, n = 2;
        for (size_t i = 0; i < x->n; i++)
            if (x->fold[i] != fold)
                yes += x->labels[i] > 0.5, n++;
        for (size_t i = 0; i < x->n; i++)
            if (x->fold[i] == fold)
                p[i] = yes / n;
    }
}

/* Knowing nothing is the better of a coin and the base rate. scratch [2n]. */
static void doubt_labels(const clean_scores *x, const double *p, double *scratch, clean_decision *d) {
    double *base = scratch, *gain = scratch + x->n, nats = 0;
    base_rates(x, base);
    for (size_t i = 0; i < x->n; i++)
        nats += label_nats(base[i], x->labels[i]) / (double)x->n;
    bool coin = nats >= log(2);
    d->ignorant_nats = coin ? log(2) : nats;
    for (size_t i = 0; i < x->n; i++)
        gain[i] = label_nats(coin ? 0.5 : base[i], x->labels[i]) - label_nats(p[i], x->labels[i]);
    d->believed = is_sure(gain, x->n);
}

static agon_status decide_labels(agon_ctx *ctx, const clean_scores *x, clean_decision *d) {
    double *likelihood = memory_new(x->n, sizeof *likelihood), *both = memory_new(x->n, 2 * sizeof *both);
    size_t *given = memory_new(x->n, sizeof *given);
    const double *p = NULL;
    noise_report found = {0};
    agon_status s = likelihood && both && given ? believe(ctx, x, likelihood, d, &p) : no_memory(ctx);
    for (size_t i = 0; i < x->n && !s; i++) {
        given[i] = x->labels[i] > 0.5;
        both[2 * i] = 1 - p[i], both[2 * i + 1] = p[i];
        d->p_right[i] = both[2 * i + given[i]];
        d->evidence[i] = 2 * d->p_right[i] - 1;
    }
    if (!s)
        s = confident_learning(ctx, both, given, x->n, 2, &found);
    if (!s)
        doubt_labels(x, p, both, d);
    size_t most = (size_t)(MOST_RATE * (double)x->n); /* findings: the surest first */
    for (size_t i = 0; i < found.n_findings && i < most && !s && d->believed; i++)
        d->drop[found.findings[i].item] = true;
    d->noise_rate = d->believed ? fmin(found.noise_rate, MOST_RATE) : NAN;
    noise_report_free(&found);
    free(likelihood), free(both), free(given);
    return s;
}

static void decide_answers(const clean_scores *x, clean_decision *d) {
    d->noise_rate = NAN;
    for (size_t i = 0; i < x->n; i++) {
        d->p_right[i] = NAN;
        d->evidence[i] = x->judges[0][i];
        d->nats[0] -= d->evidence[i] / (double)x->n;
    }
    d->nats[1] = d->ignorant_nats = NAN;
    d->believed = true;
}

static agon_status drop_at_rate(agon_ctx *ctx, const clean_scores *x, double rate, clean_decision *d) {
    size_t n = (size_t)lround(rate * (double)x->n), *picked = memory_new(n ? n : 1, sizeof *picked);
    agon_status s = picked ? select_smallest(ctx, d->evidence, x->n, n, picked) : no_memory(ctx);
    for (size_t i = 0; i < x->n; i++)
        d->drop[i] = false;
    for (size_t i = 0; i < n && !s; i++)
        d->drop[picked[i]] = true;
    free(picked);
    return s;
}

agon_status clean_decide(agon_ctx *ctx, const clean_scores *x, double rate, clean_decision *out) {
    if (x->n == 0 || (!isnan(rate) && !(rate >= 0 && rate < 1)))
        return ctx_fail(ctx, AGON_EINVAL, "the share to drop is %g; it lies between 0 and 1", rate);
    if (x->kind == CLEAN_ANSWERS && isnan(rate))
        return ctx_fail(ctx, AGON_EINVAL, "answers to imitate have no label that could be found wrong; state the share of the largest losses "
                                          "to drop, such as 0.2");
    clean_decision d = {.p_right = memory_new(x->n, sizeof *d.p_right), .evidence = memory_new(x->n, sizeof *d.evidence),
                        .drop = memory_new(x->n, sizeof *d.drop)};
    agon_status s = d.p_right && d.evidence && d.drop ? AGON_OK : no_memory(ctx);
    if (!s && x->kind == CLEAN_PAIRS)
        s = decide_pairs(ctx, x, &d);
    else if (!s && x->kind == CLEAN_LABELS)
        s = decide_labels(ctx, x, &d);
    else if (!s)
        decide_answers(x, &d);
    if (!s && !isnan(rate))
        s = drop_at_rate(ctx, x, rate, &d);
    for (size_t i = 0; i < x->n && !s; i++)
        d.n_drop += d.drop[i];
    if (s)
        clean_decision_free(&d);
    else
        *out = d;
    return s;
}
