/* See auroc_pair.h. An item's placement is the share of the other label's items that it is on the right side of; areas are means of placements, and the variance of
 * their difference is that of the placements' differences, label by label (DeLong et al., Biometrics 44 (1988) 837, eq. 4 to 6). */
#include "eval/auroc_pair.h"
#include "base/ctx.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "eval/special.h"
#include <math.h>
#include <stdlib.h>

/* Of sorted [n] how many are below x, those equal counted half. */
static double n_below(const double *sorted, size_t n, double x) {
    size_t low = 0, high = n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (sorted[middle] < x)
            low = middle + 1;
        else
            high = middle;
    }
    const size_t below = low;
    for (high = n; low < high;) {
        const size_t middle = low + (high - low) / 2;
        if (sorted[middle] <= x)
            low = middle + 1;
        else
            high = middle;
    }
    return 0.5 * (double)(below + low);
}

/* placement [n]; sorted: room for [n]. */
static void place(const double *score, const bool *label, size_t n, double *sorted, double *placement) {
    for (int right = 0; right < 2; right++) { /* against the items of this label */
        size_t n_other = 0;
        for (size_t i = 0; i < n; i++)
            if (label[i] == right)
                sorted[n_other++] = score[i];
        numbers_sort(sorted, n_other);
        for (size_t i = 0; i < n; i++)
            if (label[i] != right) {
                const double share = n_other > 0 ? n_below(sorted, n_other, score[i]) / (double)n_other : NAN;
                placement[i] = right ? 1 - share : share;
            }
    }
}

/* Mean over the items of a label, and the variance of that mean. */
static double mean_of(const double *x, const bool *label, size_t n, bool right, double *variance) {
    double sum = 0, squares = 0, count = 0;
    for (size_t i = 0; i < n; i++)
        if (label[i] == right) {
            sum += x[i];
            count++;
        }
    for (size_t i = 0; i < n; i++)
        if (label[i] == right)
            squares += (x[i] - sum / count) * (x[i] - sum / count);
    *variance = squares / (count - 1) / count;
    return sum / count;
}

agon_status auroc_pair_test(agon_ctx *ctx, const double *now, const double *before, const bool *label, size_t n, auroc_pair *out) {
    double *room = memory_new(3 * n + 1, sizeof *room), *x = room, *y = room + n, of_right, of_wrong, none;
    if (!room)
        return ctx_fail(ctx, AGON_ENOMEM, "no memory to compare scores of %zu items", n);
    auroc_pair t = {.now = NAN, .before = NAN, .standard_error = NAN, .p = NAN};
    for (size_t i = 0; i < n; i++)
        *(label[i] ? &t.n_right : &t.n_wrong) += 1;
    const size_t rarer = t.n_right < t.n_wrong ? t.n_right : t.n_wrong;
    if (rarer > 0) {
        place(now, label, n, room + 2 * n, x);
        place(before, label, n, room + 2 * n, y);
        t.now = mean_of(x, label, n, true, &none);
        t.before = mean_of(y, label, n, true, &none);
    }
    if (rarer >= AUROC_PAIR_LEAST) {
        for (size_t i = 0; i < n; i++)
            x[i] -= y[i];
        const double gain = mean_of(x, label, n, true, &of_right);
        mean_of(x, label, n, false, &of_wrong);
        t.standard_error = sqrt(of_right + of_wrong);
        t.p = t.standard_error > 0 ? special_student(-gain / t.standard_error, (double)rarer - 1) : gain > 0 ? 0 : 1;
    }
    free(room);
    *out = t;
    return AGON_OK;
}
