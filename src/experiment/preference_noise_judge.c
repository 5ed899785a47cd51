/* The method `ours` of preference-noise: which pairs are right, and when to stop, by judges that have not seen them. */
#include "base/ctx.h"
#include "base/decimal.h"
#include "eval/noise_rate.h"
#include "experiment/preference_noise.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* One fold's judge: a policy in training on the pairs of all other folds. */
typedef struct judge {
    const swaps *x;
    const lab_model *policy;
    size_t seed, fold;
    const sequence_item *chosen, *rejected; /* [n_pairs] */
    double *base;                           /* [2, n_pairs] the base's scores of this fold's chosen, then rejected ones */
    double *margins;                        /* [epochs, n_pairs], of this fold's pairs */
} judge;

/* Pair i belongs to fold i % N_FOLDS: takes those of the fold, or all others. out [n_pairs]; gives how many. */
static size_t take_fold(const swaps *x, size_t fold, bool others, const sequence_item *from, sequence_item *out) {
    size_t n = 0;
    for (size_t i = 0; i < x->n_pairs; i++)
        if ((i % N_FOLDS == fold) != others)
            out[n++] = from[i];
    return n;
}

/* Scores of the fold's pairs, out [2, n_pairs]: chosen, then rejected; the first *n of each are there. */
static agon_status score_fold(const judge *j, agon_ctx *ctx, const lab_model *m, double *out, size_t *n) {
    const swaps *x = j->x;
    sequence_item *items = malloc(x->n_pairs * sizeof *items);
    agon_status s = items ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    for (size_t side = 0; side < 2 && !s; side++) {
        *n = take_fold(x, j->fold, false, side ? j->rejected : j->chosen, items);
        s = lab_score(ctx, m, items, *n, out + side * x->n_pairs);
    }
    free(items);
    return s;
}

/* Margins of the judge's fold, out of sample: the implicit reward's difference. */
static agon_status at_epoch(void *arg, agon_ctx *ctx, size_t epoch) {
    const judge *j = arg;
    size_t n = 0, all = j->x->n_pairs;
    double *r = malloc(2 * all * sizeof *r), *margins = j->margins + epoch * all;
    agon_status s = r ? score_fold(j, ctx, j->policy, r, &n) : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    for (size_t k = 0; k < n && !s; k++)
        margins[k * N_FOLDS + j->fold] = (r[k] - j->base[k]) - (r[all + k] - j->base[all + k]);
    free(r);
    return s;
}

static agon_status judge_fold(judge *j, agon_ctx *ctx) {
    const swaps *x = j->x;
    lab_model *policy = NULL;
    lab_rows rows = {0};
    char beta[40];
    sequence_item *chosen = malloc(2 * x->n_pairs * sizeof *chosen), *rejected = chosen + x->n_pairs;
    decimal_print(beta, sizeof beta, "beta=%.17g", x->beta);
    lab_training t = {.objective = "dpo", .settings = {beta}, .batch = x->batch, .lr = x->lr, .reference = x->l->models[j->seed]->m,
                      .seed = lab_seed(x->l, j->seed, "fold %zu", j->fold), .at_mark = at_epoch, .mark_arg = j, .n_marks = x->epochs};
    j->base = malloc(2 * x->n_pairs * sizeof *j->base);
    agon_status s = chosen && j->base ? lab_model_copy(ctx, x->l->models[j->seed], &policy) : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    j->policy = policy;
    size_t n = 0;
    if (!s)
        s = score_fold(j, ctx, x->l->models[j->seed], j->base, &n);
    if (!s)
        n = take_fold(x, j->fold, true, j->chosen, chosen);
    if (!s) {
        take_fold(x, j->fold, true, j->rejected, rejected);
        s = lab_pairs(ctx, chosen, rejected, n, NULL, &rows);
    }
    t.steps = x->steps * n / x->n_pairs > x->epochs ? x->steps * n / x->n_pairs : x->epochs; /* every epoch has its mark */
    if (!s)
        s = lab_train(x->l, ctx, policy, &rows, &t);
    lab_rows_free(&rows);
    lab_model_free(policy);
    free(j->base);
    free(chosen);
    return s;
}

/* The epoch after which the judges explain the pairs they have not seen best (no truth is used), and what they say then. margins [epochs, n_pairs],
 * q [n_pairs + N_JUDGED] */
static void conclude(const swaps *x, const double *margins, double *q) {
    size_t n = x->n_pairs, best = 0;
    double least = INFINITY;
    flip_model f = {0};
    for (size_t e = 0; e < x->epochs; e++) {
        const flip_model fit = flip_model_fit(margins + e * n, n, 0.45);
        double nats = flip_model_nats(&fit, margins + e * n, n);
        if (nats < least)
            least = nats, best = e, f = fit;
    }
    for (size_t i = 0; i < n; i++)
        q[i] = flip_model_posterior(&f, margins[best * n + i]);
    q[n + JUDGED_RATE] = f.rate;
    q[n + JUDGED_EPOCHS] = (double)best + 1;
}

agon_status swaps_judge(void *arg, agon_ctx *ctx, size_t i) {
    swaps *x = arg;
    size_t seed = i / x->n_rates, rate = i % x->n_rates, n = x->n_pairs;
    double *q = x->soft + i * (n + N_JUDGED), *margins = malloc(x->epochs * n * sizeof *margins);
    char key[64];
    bool found = false, *flipped = malloc(n * sizeof *flipped);
    sequence_item *chosen = malloc(2 * n * sizeof *chosen), *rejected = chosen + n;
    snprintf(key, sizeof key, "judged %zu %g", seed, x->rates[rate]);
    agon_status s = flipped && chosen && margins ? lab_recall(x->l, ctx, key, q, n + N_JUDGED, &found) : ctx_fail(ctx, AGON_ENOMEM, "out of memory");
    if (!s && !found) {
        swaps_pairs(x, seed, rate, flipped, chosen, rejected);
        for (size_t fold = 0; fold < N_FOLDS && !s; fold++)
            s = judge_fold(&(judge){.x = x, .seed = seed, .fold = fold, .chosen = chosen, .rejected = rejected, .margins = margins}, ctx);
        if (!s) {
            conclude(x, margins, q);
            s = lab_keep(x->l, ctx, key, q, n + N_JUDGED);
        }
        if (!s)
            lab_say_seed(x->l, seed, "rate %.2f is estimated as %.3f; unseen pairs are explained best after epoch %.0f of %zu", x->rates[rate],
                         q[n + JUDGED_RATE], q[n + JUDGED_EPOCHS], x->epochs);
    }
    free(flipped);
    free(chosen);
    free(margins);
    return s;
}
