/* See collapse_monitor.h. */
#include "eval/collapse_monitor.h"
#include "base/ctx.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/random.h"
#include "eval/diversity.h"
#include "eval/multiplicity.h"
#include "eval/pass_at_k.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

const double COLLAPSE_DROP_YELLOW = 0.1, COLLAPSE_DROP_RED = 0.25, COLLAPSE_PASS_RED = 0.05;
static const double LEVEL = 0.05;
enum { TYPE_TOKEN_WORDS = 1000 };

const char *collapse_level_name(collapse_level level) {
    return level == COLLAPSE_RED ? "red" : level == COLLAPSE_YELLOW ? "yellow" : "green";
}

/* ---- words -------------------------------------------------------------------------------------------------------- */

/* Ratios of sums over prompts. */
enum { ANSWERED, DISTINCT, ENTROPY = DISTINCT + DIVERSITY_ORDERS, DIFFERENCE, PREDICTIVE, RATIOS };
/* Of the joined texts, so without an interval. */
enum { TYPE_TOKEN = RATIOS, COMPRESSED };
_Static_assert(COMPRESSED + 1 == COLLAPSE_MEASURES, "a name for each");

/* Which decide: those that fall where a model says the same again, and hardly where it only stops to babble. See docs/algorithms.md for the figures. */
static const struct {
    const char *name;
    bool decides;
} measures[COLLAPSE_MEASURES] = {{"answered", true},     {"distinct-1", false}, {"distinct-2", true},          {"distinct-3", true},
                                 {"distinct-4", true},   {"entropy-2", true},   {"difference", false},         {"predictive entropy", false},
                                 {"type-token", false},  {"lz78", false}};

typedef struct ratio {
    double *above, *below; /* [n_prompts] */
} ratio;

typedef struct side {
    ratio ratios[RATIOS];
    double joined[COLLAPSE_MEASURES]; /* from TYPE_TOKEN on */
    char **cut;                       /* [n]: texts as compared; owned */
    size_t n_words;
} side;

static void side_free(side *x, size_t n) {
    for (size_t i = 0; i < RATIOS; i++)
        free(x->ratios[i].above); /* below is its second half */
    for (size_t i = 0; x->cut && i < n; i++)
        free(x->cut[i]);
    free(x->cut);
}

static agon_status side_new(agon_ctx *ctx, size_t n_prompts, size_t n, side *x) {
    bool made = (x->cut = memory_new(n, sizeof *x->cut));
    for (size_t i = 0; i < RATIOS && made; i++) {
        made = (x->ratios[i].above = memory_new(2 * n_prompts, sizeof(double)));
        x->ratios[i].below = made ? x->ratios[i].above + n_prompts : NULL;
    }
    return made ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "no memory to compare the answers to %zu prompts", n_prompts);
}

static void add(side *x, size_t which, size_t prompt, double above, double below) {
    x->ratios[which].above[prompt] += above;
    x->ratios[which].below[prompt] += below;
}

/* Each answer with no more words than its counterpart has. */
static agon_status cut(agon_ctx *ctx, const sampled_answers *a, const sampled_answers *other, side *x) {
    for (size_t i = 0; i < a->n_prompts * a->n_samples; i++) {
        size_t own = diversity_words(a->texts[i]), theirs = diversity_words(other->texts[i]), most = own < theirs ? own : theirs;
        x->cut[i] = strndup(a->texts[i], diversity_cut(a->texts[i], most));
        if (!x->cut[i])
            return ctx_fail(ctx, AGON_ENOMEM, "no memory for an answer");
        x->n_words += most;
        add(x, ANSWERED, i / a->n_samples, own > 0, 1);
    }
    return AGON_OK;
}

static agon_status measure(agon_ctx *ctx, const sampled_answers *a, side *x) {
    size_t n = a->n_prompts * a->n_samples;
    diversity d;
    diversity_part *parts = memory_new(n, sizeof *parts);
    agon_status s = parts ? diversity_of(ctx, (const char *const *)x->cut, n, x->n_words < TYPE_TOKEN_WORDS ? x->n_words : TYPE_TOKEN_WORDS, &d, parts)
                          : ctx_fail(ctx, AGON_ENOMEM, "no memory for %zu answers", n);
    for (size_t i = 0; i < n && !s; i++) {
        size_t prompt = i / a->n_samples;
        for (size_t order = 0; order < DIVERSITY_ORDERS; order++)
            add(x, DISTINCT + order, prompt, parts[i].kinds[order], parts[i].grams[order]);
        add(x, ENTROPY, prompt, parts[i].bits[1], parts[i].grams[1]);
        if (parts[i].grams[0] > 0)
            add(x, DIFFERENCE, prompt, 1 - parts[i].bleu, 1);
        add(x, PREDICTIVE, prompt, a->log_probs ? -a->log_probs[i] : NAN, a->n_tokens ? a->n_tokens[i] : NAN);
    }
    if (!s) {
        x->joined[TYPE_TOKEN] = d.type_token;
        x->joined[COMPRESSED] = d.lz78_bits_per_byte;
    }
    free(parts);
    return s;
}

static double sum_of(const double *x, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

static double ratio_of(const ratio *r, size_t n) {
    double below = sum_of(r->below, n);
    return below > 0 ? sum_of(r->above, n) / below : NAN;
}

static double drop_of(double now, double before) {
    return before > 0 ? 1 - now / before : NAN;
}

/* The drop when prompts are drawn anew, both versions' answers to the same ones. A draw without anything to compare counts as no drop. */
static agon_status resample(agon_ctx *ctx, const ratio *now, const ratio *before, size_t n, size_t draws, uint64_t seed, collapse_measure *m) {
    rng r = rng_new(seed);
    double *drops = memory_new(draws, sizeof *drops);
    size_t none = 0;
    if (!drops)
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for %zu draws", draws);
    for (size_t b = 0; b < draws; b++) {
        double sums[4] = {0};
        for (size_t i = 0; i < n; i++) {
            size_t at = (size_t)rng_below(&r, n);
            sums[0] += now->above[at];
            sums[1] += now->below[at];
            sums[2] += before->above[at];
            sums[3] += before->below[at];
        }
        double drop = sums[1] > 0 && sums[3] > 0 ? drop_of(sums[0] / sums[1], sums[2] / sums[3]) : 0;
        drops[b] = isnan(drop) ? 0 : drop;
        none += drops[b] <= 0;
    }
    numbers_sort(drops, draws);
    m->range = (interval){numbers_quantile(drops, draws, LEVEL / 2), numbers_quantile(drops, draws, 1 - LEVEL / 2)};
    m->p = (double)(none + 1) / (double)(draws + 1);
    free(drops);
    return AGON_OK;
}

static agon_status weigh(agon_ctx *ctx, const side *now, const side *before, size_t which, size_t n, size_t draws, uint64_t seed, collapse_measure *m) {
    agon_status s = AGON_OK;
    *m = (collapse_measure){.name = measures[which].name, .decides = measures[which].decides, .range = {NAN, NAN}, .p = NAN};
    m->before = which < RATIOS ? ratio_of(&before->ratios[which], n) : before->joined[which];
    m->now = which < RATIOS ? ratio_of(&now->ratios[which], n) : now->joined[which];
    m->drop = drop_of(m->now, m->before);
    if (which < RATIOS && !isnan(m->drop))
        s = resample(ctx, &now->ratios[which], &before->ratios[which], n, draws, seed_derive(seed, m->name), m);
    if (m->range.low > COLLAPSE_DROP_YELLOW)
        m->level = m->range.low > COLLAPSE_DROP_RED ? COLLAPSE_RED : COLLAPSE_YELLOW;
    return s;
}

static size_t worst_of(const collapse_measure *m) {
    size_t worst = ANSWERED;
    for (size_t i = 0; i < COLLAPSE_MEASURES; i++)
        if (m[i].decides && (m[i].level > m[worst].level || (m[i].level == m[worst].level && !(m[i].drop <= m[worst].drop) && !isnan(m[i].drop))))
            worst = i;
    return worst;
}

agon_status collapse_compare(agon_ctx *ctx, const sampled_answers *now, const sampled_answers *before, size_t draws, uint64_t seed,
                             collapse_comparison *out) {
    side a = {0}, b = {0};
    size_t n = now->n_prompts * now->n_samples;
    if (n == 0 || draws == 0 || now->n_prompts != before->n_prompts || now->n_samples != before->n_samples)
        return ctx_fail(ctx, AGON_EINVAL, "answers of two versions are compared prompt by prompt; these are %zu and %zu prompts of %zu and %zu samples",
                        now->n_prompts, before->n_prompts, now->n_samples, before->n_samples);
    agon_status s = side_new(ctx, now->n_prompts, n, &a);
    if (!s)
        s = side_new(ctx, now->n_prompts, n, &b);
    if (!s)
        s = cut(ctx, now, before, &a);
    if (!s)
        s = cut(ctx, before, now, &b);
    if (!s)
        s = measure(ctx, now, &a);
    if (!s)
        s = measure(ctx, before, &b);
    *out = (collapse_comparison){.n_words = a.n_words};
    for (size_t i = 0; i < COLLAPSE_MEASURES && !s; i++)
        s = weigh(ctx, &a, &b, i, now->n_prompts, draws, seed, &out->measures[i]);
    out->worst = worst_of(out->measures);
    side_free(&a, n);
    side_free(&b, n);
    return s;
}

/* ---- pass@k ------------------------------------------------------------------------------------------------------- */

/* Mean gain of x [n] over y with its interval. Not paired_bootstrap, which divides the sum and not each item: the gate's figures are in the journals of runs,
 * to the bit. */
static agon_status change(agon_ctx *ctx, const double *x, const double *y, size_t n, size_t draws, uint64_t seed, pass_change *out) {
    rng r = rng_new(seed);
    size_t down = 0, up = 0;
    double *gains = memory_new(draws, sizeof *gains);
    if (!gains)
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for %zu draws", draws);
    for (size_t b = 0; b < draws; b++) {
        for (size_t i = 0; i < n; i++) {
            size_t at = (size_t)rng_below(&r, n);
            gains[b] += (x[at] - y[at]) / (double)n;
        }
        up += gains[b] >= 0;
        down += gains[b] <= 0;
    }
    numbers_sort(gains, draws);
    *out = (pass_change){.before = numbers_mean(y, n),
                         .now = numbers_mean(x, n),
                         .gain = {numbers_quantile(gains, draws, LEVEL / 2), numbers_quantile(gains, draws, 1 - LEVEL / 2)},
                         .p_up = (double)(down + 1) / (double)(draws + 1),
                         .p_down = (double)(up + 1) / (double)(draws + 1)};
    free(gains);
    return AGON_OK;
}

agon_status pass_compare(agon_ctx *ctx, const size_t *now, const size_t *before, size_t n_prompts, size_t n_samples, size_t draws, uint64_t seed,
                         pass_comparison *out) {
    if (n_prompts == 0 || n_samples == 0 || draws == 0)
        return ctx_fail(ctx, AGON_EINVAL, "pass@k needs prompts with answers, not %zu with %zu", n_prompts, n_samples);
    double *x = memory_new(2 * n_prompts, sizeof *x), *y = x ? x + n_prompts : NULL;
    agon_status s = x ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "no memory for %zu prompts", n_prompts);
    *out = (pass_comparison){.n_prompts = n_prompts, .k = n_samples};
    for (size_t k = 1; k <= n_samples && !s; k += n_samples > 1 ? n_samples - 1 : 1) {
        for (size_t i = 0; i < n_prompts && !s; i++) {
            s = pass_at_k(ctx, n_samples, now[i], k, &x[i]);
            if (!s)
                s = pass_at_k(ctx, n_samples, before[i], k, &y[i]);
        }
        if (!s)
            s = change(ctx, x, y, n_prompts, draws, seed_derivef(seed, "pass@%zu", k), k == 1 ? &out->one : &out->all);
    }
    if (!s && n_samples == 1)
        out->all = out->one;
    if (out->all.before - out->all.now >= COLLAPSE_PASS_RED && out->all.gain.high < 0)
        out->level = COLLAPSE_RED;
    free(x);
    return s;
}

agon_status collapse_reversal(agon_ctx *ctx, const pass_comparison *pass, const collapse_comparison *words, const char **what) {
    double p[COLLAPSE_MEASURES + 1], adjusted[COLLAPSE_MEASURES + 1];
    const char *names[COLLAPSE_MEASURES + 1];
    size_t n = 0;
    *what = NULL;
    if (pass->one.p_up >= LEVEL)
        return AGON_OK;
    names[n] = "pass@k";
    p[n++] = pass->all.p_down;
    for (size_t i = 0; i < COLLAPSE_MEASURES; i++)
        if (words->measures[i].decides && !isnan(words->measures[i].p)) {
            names[n] = words->measures[i].name;
            p[n++] = words->measures[i].p;
        }
    agon_status s = holm_adjust(ctx, p, n, adjusted);
    for (size_t i = 0; i < n && !s && !*what; i++)
        if (adjusted[i] < LEVEL)
            *what = names[i];
    return s;
}
