/* Sampling: logit bias, penalties, allowed tokens, temperature, top-k, top-p, min-p, in that order, then the inverse of the
 * cumulative distribution over ascending token ids.
 *
 *   repetition_penalty  logit / p when positive, * p when negative, once per token of prompt or answer
 *                       (Keskar et al. 2019)
 *   frequency, presence logit - count * f - (count > 0) * p over the answer's tokens
 *   top-k, top-p        the most likely, ties by lower id; top-p keeps the fewest whose sum reaches p
 *                       (Holtzman et al. 2020); min-p those with at least min_p times the largest
 *
 * The uniform of the i-th token is the i-th number of the splitmix64 stream of the sample's seed. Without
 * truncation, the vocabulary is walked in blocks by their log-sum-exp and only one block token by token.
 * log_prob is that of the plain distribution at the temperature, in the bits of head_log_prob. */
#include "generate/sample.h"
#include "base/ctx.h"
#include "base/random.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 1024, MAX_BLOCKS = 4096 };

sampling sampling_default(void) {
    return (sampling){.temperature = 1, .top_p = 1, .repetition_penalty = 1, .max_tokens = 256};
}

static agon_status check_texts(agon_ctx *ctx, const sampling *s) {
    for (size_t i = 0; i < s->n_stop; i++)
        if (!s->stop || !s->stop[i] || !*s->stop[i])
            return ctx_fail(ctx, AGON_EINVAL, "stop text %zu is empty; leave it out", i + 1);
    return AGON_OK;
}

static agon_status check_tokens(agon_ctx *ctx, size_t n_vocabulary, const sampling *s) {
    for (size_t i = 0; i < s->n_biases; i++) {
        const agon_logit_bias *b = &s->biases[i];
        if (b->id < 0 || (size_t)b->id >= n_vocabulary)
            return ctx_fail(ctx, AGON_EINVAL, "logit_bias of token %d, which is not in the vocabulary of %zu", (int)b->id,
                            n_vocabulary);
        if (!(fabsf(b->bias) <= 100))
            return ctx_fail(ctx, AGON_EINVAL, "the logit_bias of token %d must be -100 to 100", (int)b->id);
    }
    for (size_t i = 0; i < s->n_allowed; i++)
        if (s->allowed[i] < 0 || (size_t)s->allowed[i] >= n_vocabulary)
            return ctx_fail(ctx, AGON_EINVAL, "allowed token %d is not in the vocabulary of %zu", (int)s->allowed[i], n_vocabulary);
    return AGON_OK;
}

agon_status sampling_check(agon_ctx *ctx, size_t n_vocabulary, const sampling *s) {
    const struct {
        const char *name, *range;
        bool good;
    } checks[] = {
        {"temperature", "0 (greedy) or 0.0001 to 100", temperature_is_valid(s->temperature) && s->temperature <= 100},
        {"top_k", "0 (off) or more", s->top_k >= 0},
        {"top_p", "above 0, at most 1", s->top_p > 0 && s->top_p <= 1},
        {"min_p", "0 (off) to 1", s->min_p >= 0 && s->min_p <= 1},
        {"repetition_penalty", "0.01 to 100", s->repetition_penalty >= 0.01f && s->repetition_penalty <= 100},
        {"frequency_penalty", "-100 to 100", fabsf(s->frequency_penalty) <= 100},
        {"presence_penalty", "-100 to 100", fabsf(s->presence_penalty) <= 100},
    };
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        if (!checks[i].good)
            return ctx_fail(ctx, AGON_EINVAL, "%s must be %s", checks[i].name, checks[i].range);
    agon_status status = check_texts(ctx, s);
    return status ? status : check_tokens(ctx, n_vocabulary, s);
}

/* ---- scratch ----------------------------------------------------------------------------------------- */

typedef struct candidate {
    float logit; /* over temperature */
    int32_t id;
} candidate;

typedef struct scratch {
    float *adjusted;      /* [n] logits after bias, penalties and what is allowed; -inf: not allowed */
    int32_t *count;       /* [n] of generated tokens; -1 less: seen in the prompt */
    candidate *candidates; /* [n] */
} scratch;

size_t sample_scratch_bytes(size_t n) {
    return n * (sizeof(float) + sizeof(int32_t) + sizeof(candidate));
}

static scratch scratch_at(void *memory, size_t n) {
    scratch s;
    s.candidates = memory;
    s.adjusted = (float *)(s.candidates + n);
    s.count = (int32_t *)(s.adjusted + n);
    return s;
}

static bool has_penalties(const sampling *o) {
    return o->repetition_penalty != 1 || o->frequency_penalty != 0 || o->presence_penalty != 0;
}

static void penalise(const sample_input *in, const scratch *s) {
    const sampling *o = in->options;
    memset(s->count, 0, in->n_vocabulary * sizeof *s->count);
    for (size_t i = 0; i < in->n_generated; i++)
        s->count[in->generated[i]]++;
    for (size_t i = 0; i < in->n_generated + in->n_prompt; i++) {
        bool generated = i < in->n_generated;
        int32_t id = generated ? in->generated[i] : in->prompt[i - in->n_generated];
        int32_t n = s->count[id];
        if (n < 0)
            continue; /* done */
        float l = s->adjusted[id];
        l = l > 0 ? l / o->repetition_penalty : l * o->repetition_penalty;
        if (n > 0)
            l = l - (float)n * o->frequency_penalty - o->presence_penalty;
        s->adjusted[id] = l;
        s->count[id] = -1;
    }
}

static bool is_restricted(const sample_input *in) {
    return in->options->n_allowed > 0 || in->may_follow;
}

static void restrict_tokens(const sample_input *in, const scratch *s) {
    const sampling *o = in->options;
    if (o->n_allowed > 0) {
        memset(s->count, 0, in->n_vocabulary * sizeof *s->count);
        for (size_t i = 0; i < o->n_allowed; i++)
            s->count[o->allowed[i]] = 1;
    }
    for (size_t i = 0; i < in->n_vocabulary; i++)
        if ((o->n_allowed > 0 && !s->count[i]) || (in->may_follow && !in->may_follow[i]))
            s->adjusted[i] = -INFINITY;
}

/* The logits to choose from: the model's own, or a copy that is changed. */
static const float *adjust(const sample_input *in, const scratch *s) {
    const sampling *o = in->options;
    if (!has_penalties(o) && !is_restricted(in) && o->n_biases == 0)
        return in->logits;
    memcpy(s->adjusted, in->logits, in->n_vocabulary * sizeof *s->adjusted);
    for (size_t i = 0; i < o->n_biases; i++)
        s->adjusted[o->biases[i].id] += o->biases[i].bias;
    if (has_penalties(o))
        penalise(in, s);
    if (is_restricted(in))
        restrict_tokens(in, s);
    return s->adjusted;
}

/* ---- choices ------------------------------------------------------------------------------------------ */

static int32_t argmax(const float *logits, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (logits[i] > logits[best])
            best = i;
    return (int32_t)best;
}

/* First i whose running sum of masses passes target; the last with any mass if rounding leaves none. */
static size_t pick(const double *mass, size_t n, double target, double *before) {
    double sum = 0;
    size_t last = 0;
    *before = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(mass[i] > 0))
            continue;
        last = i;
        *before = sum;
        sum += mass[i];
        if (sum > target)
            return i;
    }
    return last;
}

static int32_t choose_from_all(agon_ctx *ctx, const float *logits, size_t n, float temperature, double u) {
    double mass[MAX_BLOCKS], part[BLOCK], total = 0, before, unused;
    float lse[MAX_BLOCKS], inverse = 1.0f / temperature, top = -INFINITY;
    size_t n_blocks = (n + BLOCK - 1) / BLOCK;
    for (size_t b = 0; b < n_blocks; b++) {
        size_t size = n - b * BLOCK < BLOCK ? n - b * BLOCK : BLOCK;
        lse[b] = head_lse_of_logits(ctx, logits + b * BLOCK, size, temperature);
        top = lse[b] > top ? lse[b] : top;
    }
    for (size_t b = 0; b < n_blocks; b++)
        total += mass[b] = (double)math_exp(lse[b] - top);
    size_t block = pick(mass, n_blocks, u * total, &before);
    const float *l = logits + block * BLOCK;
    size_t size = n - block * BLOCK < BLOCK ? n - block * BLOCK : BLOCK;
    double inside = 0, share = (u * total - before) / mass[block];
    for (size_t i = 0; i < size; i++)
        inside += part[i] = (double)math_exp(l[i] * inverse - lse[block]);
    return (int32_t)(block * BLOCK + pick(part, size, share * inside, &unused));
}

static int by_logit(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->logit != y->logit)
        return x->logit > y->logit ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static int by_id(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

/* Those that are allowed and reach `lowest`. */
static size_t collect(const float *logits, size_t n, float inverse, float lowest, candidate *out) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        if (logits[i] * inverse >= lowest && logits[i] > -INFINITY)
            out[count++] = (candidate){logits[i] * inverse, (int32_t)i};
    return count;
}

/* How many of the sorted candidates top-p keeps, or 0 when they do not reach its share of the mass. */
static size_t reach(const candidate *c, size_t n, float max, double wanted) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)math_exp(c[i].logit - max);
        if (sum >= wanted)
            return i + 1;
    }
    return 0;
}

static double mass_of(const candidate *c, size_t n, float max) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)math_exp(c[i].logit - max);
    return sum;
}

/* Keeps candidates by top-k, top-p and min-p. Only logits near the largest are collected and sorted; the
 * range grows until it holds enough of them. Without top-k min-p may go first: top-p's share is one of all. */
static size_t truncate_vocabulary(agon_ctx *ctx, const float *logits, size_t n, const sampling *o, bool restricted,
                                  candidate *out) {
    static const float ranges[] = {6, 12, 24, INFINITY};
    float inverse = 1.0f / o->temperature, max = logits[argmax(logits, n)] * inverse;
    float lowest = o->min_p > 0 ? max + math_log(o->min_p) : -INFINITY;
    bool by_k = o->top_k > 0 && (size_t)o->top_k < n;
    if (!by_k && o->top_p >= 1)
        return collect(logits, n, inverse, lowest, out);
    double total = 0; /* the mass that top-p takes its share of */
    if (!by_k && restricted)
        total = mass_of(out, collect(logits, n, inverse, -INFINITY, out), max);
    else if (!by_k)
        total = (double)math_exp(head_lse_of_logits(ctx, logits, n, o->temperature) - max);
    const float floor = by_k ? -INFINITY : lowest;
    for (size_t r = 0; r < sizeof ranges / sizeof *ranges; r++) {
        bool all = max - ranges[r] <= floor || r + 1 == sizeof ranges / sizeof *ranges;
        float from = max - ranges[r] > floor ? max - ranges[r] : floor;
        size_t count = collect(logits, n, inverse, from, out);
        if (by_k && count < (size_t)o->top_k && !all)
            continue;
        qsort(out, count, sizeof *out, by_logit);
        if (by_k) {
            count = count < (size_t)o->top_k ? count : (size_t)o->top_k;
            total = mass_of(out, count, max);
        }
        size_t kept = o->top_p < 1 ? reach(out, count, max, (double)o->top_p * total) : count;
        if (!kept && !all && !by_k)
            continue;
        kept = kept ? kept : count;
        while (kept && out[kept - 1].logit < lowest)
            kept--;
        return kept;
    }
    return n; /* not reached: the last range is everything */
}

static int32_t choose_truncated(agon_ctx *ctx, const float *logits, size_t n, const sampling *o, bool restricted,
                                candidate *c, double u) {
    float inverse = 1.0f / o->temperature, max = logits[argmax(logits, n)] * inverse;
    size_t kept = truncate_vocabulary(ctx, logits, n, o, restricted, c);
    qsort(c, kept, sizeof *c, by_id);
    double total = mass_of(c, kept, max), sum = 0;
    for (size_t i = 0; i < kept; i++) {
        sum += (double)math_exp(c[i].logit - max);
        if (sum > u * total)
            return c[i].id;
    }
    return kept ? c[kept - 1].id : argmax(logits, n);
}

static double uniform_at(uint64_t seed, size_t i) {
    rng r = rng_new(seed + (uint64_t)i * 0x9e3779b97f4a7c15u);
    return rng_uniform(&r);
}

sample_choice sample_token(agon_ctx *ctx, const sample_input *in, void *memory) {
    const sampling *o = in->options;
    size_t n = in->n_vocabulary;
    scratch s = scratch_at(memory, n);
    const float *logits = adjust(in, &s);
    float temperature = o->temperature > 0 ? o->temperature : 1.0f;
    double u = uniform_at(in->seed, in->n_generated);
    sample_choice choice;
    bool truncated = o->top_k > 0 || o->top_p < 1 || o->min_p > 0;
    if (is_restricted(in) && logits[argmax(logits, n)] == -INFINITY)
        return (sample_choice){-1, 0};
    if (o->temperature == 0)
        choice.token = argmax(logits, n);
    else if (truncated || is_restricted(in) || n > (size_t)BLOCK * MAX_BLOCKS)
        choice.token = choose_truncated(ctx, logits, n, o, is_restricted(in), s.candidates, u);
    else
        choice.token = choose_from_all(ctx, logits, n, temperature, u);
    choice.log_prob = in->logits[choice.token] * (1.0f / temperature) -
                      head_lse_of_logits(ctx, in->logits, n, temperature);
    return choice;
}
