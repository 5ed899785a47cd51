/* The generation-verification gap, see gv_gap.h. */
#include "eval/gv_gap.h"
#include "base/ctx.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/random.h"
#include <math.h>
#include <stdlib.h>

gv_prompt gv_reweight(const double *utility, const double *score, size_t n, double tau) {
    double all = 0, kept = 0;
    size_t n_kept = 0;
    for (size_t i = 0; i < n; i++) {
        const bool keep = tau == -INFINITY || score[i] >= tau;
        all += utility[i];
        kept += keep ? utility[i] : 0;
        n_kept += keep;
    }
    const double before = all / (double)n;
    return (gv_prompt){before, n_kept ? kept / (double)n_kept : before, n_kept};
}

/* ---- the gap and its intervals ------------------------------------------------------------------------------- */

enum { BEFORE, AFTER, GAP, RELATIVE, PER_PROMPT, N_FIGURES };

typedef struct sums {
    double before, after, room, per_prompt; /* room: what could be gained */
    size_t n, n_relative;
} sums;

static void sums_add(sums *s, const gv_prompt *p) {
    s->before += p->before;
    s->after += p->after;
    s->room += 1 - p->before;
    s->n++;
    if (p->before < 1) {
        s->per_prompt += (p->after - p->before) / (1 - p->before);
        s->n_relative++;
    }
}

static void figures_of(const sums *s, double figures[N_FIGURES]) {
    const double n = (double)s->n;
    figures[BEFORE] = s->before / n;
    figures[AFTER] = s->after / n;
    figures[GAP] = (s->after - s->before) / n;
    figures[RELATIVE] = s->n_relative ? (s->after - s->before) / s->room : NAN;
    figures[PER_PROMPT] = s->n_relative ? s->per_prompt / (double)s->n_relative : NAN;
}

/* The middle 95% of those draws that are numbers. */
static interval range_of(double *draws, size_t n) {
    size_t known = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(draws[i]))
            draws[known++] = draws[i];
    if (known == 0)
        return (interval){NAN, NAN};
    numbers_sort(draws, known);
    return (interval){numbers_quantile(draws, known, 0.025), numbers_quantile(draws, known, 0.975)};
}

agon_status gv_gap_of(agon_ctx *ctx, const gv_prompt *prompts, size_t n, size_t draws, uint64_t seed, gv_gap *out) {
    if (n == 0 || draws == 0)
        return ctx_fail(ctx, AGON_EINVAL, "generation-verification gap: needs at least one prompt and one draw (%zu, %zu)", n, draws);
    double *drawn = memory_new(size_mul(N_FIGURES, draws), sizeof *drawn), figures[N_FIGURES];
    rng r = rng_new(seed);
    sums whole = {0};
    size_t n_unchanged = 0;
    if (!drawn)
        return ctx_no_memory(ctx);
    for (size_t i = 0; i < n; i++) {
        sums_add(&whole, &prompts[i]);
        n_unchanged += prompts[i].n_kept == 0;
    }
    for (size_t b = 0; b < draws; b++) {
        sums s = {0};
        for (size_t i = 0; i < n; i++)
            sums_add(&s, &prompts[rng_below(&r, n)]);
        figures_of(&s, figures);
        for (int f = 0; f < N_FIGURES; f++)
            drawn[(size_t)f * draws + b] = figures[f];
    }
    figures_of(&whole, figures);
    *out = (gv_gap){.n = n, .n_unchanged = n_unchanged, .n_relative = whole.n_relative};
    bootstrap_result *results[N_FIGURES] = {&out->before, &out->after, &out->gap, &out->relative, &out->relative_per_prompt};
    for (int f = 0; f < N_FIGURES; f++)
        *results[f] = (bootstrap_result){figures[f], range_of(drawn + (size_t)f * draws, draws)};
    free(drawn);
    return AGON_OK;
}

/* ---- thresholds ---------------------------------------------------------------------------------------------- */

typedef struct scored {
    double score;
    size_t at; /* of all answers */
} scored;

static int from_best(const void *a, const void *b) {
    const scored *x = a, *y = b;
    return x->score != y->score ? (x->score < y->score) - (x->score > y->score) : (x->at > y->at) - (x->at < y->at);
}

typedef struct kept {
    double mean, sum, gain; /* of all, of those kept so far; what keeping them gains */
    size_t n;
} kept;

agon_status gv_threshold(agon_ctx *ctx, const double *utility, const double *score, size_t n_prompts, size_t n_samples, double *tau, double *gap) {
    const double alike = 1e-12; /* sums differ by their order */
    scored *order = memory_new(size_mul(n_prompts, n_samples) + 1, sizeof *order);
    kept *of = memory_new(n_prompts + 1, sizeof *of);
    size_t n = 0;
    double total = 0, best = 0;
    *tau = -INFINITY;
    for (size_t i = 0; order && of && i < n_prompts * n_samples; i++) {
        of[i / n_samples].mean += utility[i] / (double)n_samples;
        if (!isnan(score[i]))
            order[n++] = (scored){score[i], i};
    }
    if (order && of)
        qsort(order, n, sizeof *order, from_best);
    for (size_t i = 0; order && of && i < n; i++) {
        kept *k = &of[order[i].at / n_samples];
        k->sum += utility[order[i].at];
        k->n++;
        total -= k->gain;
        k->gain = k->sum / (double)k->n - k->mean;
        total += k->gain;
        const bool last = i + 1 == n || order[i + 1].score != order[i].score;
        if (last && total > alike && total >= best - alike) {
            best = total > best ? total : best;
            *tau = order[i].score;
        }
    }
    *gap = n_prompts ? best / (double)n_prompts : 0;
    agon_status s = order && of ? AGON_OK : ctx_no_memory(ctx);
    free(order);
    free(of);
    return s;
}

double gv_best_scored(const double *utility, const double *score, size_t n) {
    double best = NAN, sum = 0, all = 0;
    size_t n_best = 0;
    for (size_t i = 0; i < n; i++) {
        all += utility[i];
        if (isnan(score[i]) || score[i] < best)
            continue;
        if (!(score[i] == best))
            best = score[i], sum = 0, n_best = 0;
        sum += utility[i];
        n_best++;
    }
    return n_best ? sum / (double)n_best : all / (double)n;
}
