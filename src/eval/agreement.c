/* Agreement, see agreement.h. AUROC as the Mann-Whitney statistic; Krippendorff (2011), "Computing Krippendorff's alpha-reliability". */
#include "eval/agreement.h"
#include "base/ctx.h"
#include "base/memory.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>

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

double krippendorff_alpha(const int *answers, const double *count, size_t n_units, size_t n_raters, size_t n_classes) {
    double said[AGREEMENT_MOST_CLASSES] = {0}, total = 0, seen = 0, chance = 0;
    assert(n_classes <= AGREEMENT_MOST_CLASSES);
    for (size_t u = 0; u < n_units; u++) {
        double here[AGREEMENT_MOST_CLASSES] = {0}, n = 0;
        for (size_t r = 0; r < n_raters; r++) {
            const int answer = answers[u * n_raters + r];
            if (answer >= 0)
                here[answer]++, n++;
        }
        for (size_t k = 0; n > 1 && k < n_classes; k++) { /* each ordered pair of a unit's answers counts 1/(n - 1) */
            const double weight = count ? count[u] : 1;
            seen += weight * here[k] * (n - here[k]) / (n - 1);
            said[k] += weight * here[k];
            total += weight * here[k];
        }
    }
    for (size_t k = 0; k < n_classes; k++)
        chance += said[k] * (total - said[k]) / (total - 1);
    return chance > 0 ? 1 - seen / chance : NAN;
}
