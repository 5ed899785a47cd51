/* Agreement, see agreement.h. AUROC as the Mann-Whitney statistic; Cohen (1960, 1968); Krippendorff
 * (2011), "Computing Krippendorff's alpha-reliability", by the coincidence matrix. */
#include "eval/agreement.h"
#include "base/ctx.h"
#include "base/memory.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_VALUES = 64 };

typedef struct scored {
    double score;
    bool label;
} scored;

static int by_score(const void *a, const void *b) {
    double x = ((const scored *)a)->score, y = ((const scored *)b)->score;
    return (x > y) - (x < y);
}

agon_status auroc(agon_ctx *ctx, const double *score, const bool *label, size_t n, double *out) {
    scored *s = memory_new(n ? n : 1, sizeof *s);
    if (!s)
        return ctx_fail(ctx, AGON_ENOMEM, "no memory to rank %zu scores", n);
    for (size_t i = 0; i < n; i++)
        s[i] = (scored){score[i], label[i]};
    if (n > 1)
        qsort(s, n, sizeof *s, by_score);
    double below = 0, wins = 0, n_right = 0; /* below: wrong ones with a smaller score */
    for (size_t i = 0; i < n;) {
        size_t j = i;
        double right = 0, wrong = 0;
        for (; j < n && s[j].score == s[i].score; j++)
            *(s[j].label ? &right : &wrong) += 1;
        wins += right * (below + 0.5 * wrong);
        below += wrong;
        n_right += right;
        i = j > i ? j : i + 1; /* a NaN equals nothing, itself included */
    }
    free(s);
    *out = n_right > 0 && below > 0 ? wins / (n_right * below) : NAN;
    return AGON_OK;
}

double cohen_kappa(const double *table, size_t k, bool quadratic) {
    double total = 0, seen = 0, chance = 0;
    for (size_t i = 0; i < k * k; i++)
        total += table[i];
    for (size_t i = 0; i < k; i++)
        for (size_t j = 0; j < k; j++) {
            double row = 0, column = 0, far = (double)i - (double)j;
            for (size_t l = 0; l < k; l++) {
                row += table[i * k + l];
                column += table[l * k + j];
            }
            double weight = quadratic ? far * far : i != j;
            seen += weight * table[i * k + j];
            chance += weight * row * column / total;
        }
    return chance > 0 ? 1 - seen / chance : NAN;
}

typedef struct coincidence {
    double values[MAX_VALUES], n[MAX_VALUES], pair[MAX_VALUES][MAX_VALUES];
    size_t n_values;
} coincidence;

static agon_status list_values(agon_ctx *ctx, const double *ratings, size_t n, coincidence *c) {
    for (size_t i = 0; i < n; i++) {
        if (isnan(ratings[i]))
            continue;
        size_t at = 0;
        while (at < c->n_values && c->values[at] < ratings[i])
            at++;
        if (at < c->n_values && c->values[at] == ratings[i])
            continue;
        if (c->n_values == MAX_VALUES)
            return ctx_fail(ctx, AGON_EINVAL, "agreement: more than %d distinct ratings",
                            MAX_VALUES);
        memmove(c->values + at + 1, c->values + at, (c->n_values - at) * sizeof *c->values);
        c->values[at] = ratings[i];
        c->n_values++;
    }
    return AGON_OK;
}

static size_t value_index(const coincidence *c, double value) {
    size_t i = 0;
    while (c->values[i] != value)
        i++;
    return i;
}

/* Every ordered pair of ratings in a unit with m of them adds 1/(m - 1). */
static void count_pairs(const double *ratings, size_t n_raters, size_t n_units, coincidence *c) {
    for (size_t u = 0; u < n_units; u++) {
        size_t m = 0;
        for (size_t r = 0; r < n_raters; r++)
            m += !isnan(ratings[r * n_units + u]);
        for (size_t r = 0; m > 1 && r < n_raters; r++)
            for (size_t q = 0; q < n_raters; q++) {
                double a = ratings[r * n_units + u], b = ratings[q * n_units + u];
                if (r == q || isnan(a) || isnan(b))
                    continue;
                size_t i = value_index(c, a), j = value_index(c, b);
                c->pair[i][j] += 1 / (double)(m - 1);
                c->n[i] += 1 / (double)(m - 1);
            }
    }
}

static double distance(const coincidence *c, agreement_scale scale, size_t i, size_t j) {
    if (i == j || scale == AGREEMENT_NOMINAL)
        return i != j;
    if (scale == AGREEMENT_INTERVAL)
        return (c->values[i] - c->values[j]) * (c->values[i] - c->values[j]);
    size_t low = i < j ? i : j, high = i < j ? j : i;
    double between = -(c->n[low] + c->n[high]) / 2;
    for (size_t g = low; g <= high; g++)
        between += c->n[g];
    return between * between;
}

agon_status krippendorff_alpha(agon_ctx *ctx, const double *ratings, size_t n_raters,
                               size_t n_units, agreement_scale scale, double *out) {
    coincidence *c = memory_new(1, sizeof *c);
    if (!c)
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for an agreement table");
    agon_status s = list_values(ctx, ratings, size_mul(n_raters, n_units), c);
    if (s)
        goto done;
    count_pairs(ratings, n_raters, n_units, c);
    double total = 0, seen = 0, chance = 0;
    for (size_t i = 0; i < c->n_values; i++)
        total += c->n[i];
    for (size_t i = 0; i < c->n_values; i++)
        for (size_t j = 0; j < c->n_values; j++) {
            seen += c->pair[i][j] * distance(c, scale, i, j);
            chance += c->n[i] * c->n[j] * distance(c, scale, i, j);
        }
    *out = chance > 0 ? 1 - (total - 1) * seen / chance : NAN;
done:
    free(c);
    return s;
}
