/* See paired_sets.h. Korn and Graubard, Survey Methodology 24 (1998) 193. */
#include "eval/paired_sets.h"
#include "base/ctx.h"
#include "base/memory.h"
#include "eval/special.h"
#include <math.h>
#include <stdlib.h>

agon_status paired_sets_new(agon_ctx *ctx, size_t size, paired_sets *out) {
    *out = (paired_sets){memory_new(size + 1, sizeof *out->difference), memory_new(size + 1, sizeof *out->items), size, 0};
    return out->difference && out->items ? AGON_OK : ctx_no_memory(ctx);
}

void paired_sets_free(paired_sets *x) {
    free(x->difference);
    free(x->items);
    *x = (paired_sets){0};
}

void paired_sets_add(paired_sets *x, size_t set, bool now, bool before) {
    x->difference[set] += (int64_t)now - (int64_t)before;
    x->items[set]++;
    x->n_differ += now != before;
}

size_t paired_sets_n(const paired_sets *x) {
    size_t n = 0;
    for (size_t i = 0; i < x->size; i++)
        n += x->items[i] > 0;
    return n;
}

bool paired_sets_tied(const paired_sets *x) {
    for (size_t i = 0; i < x->size; i++)
        if (x->items[i] > 1)
            return true;
    return false;
}

agon_status paired_sets_test(agon_ctx *ctx, const paired_sets *x, sign_flip *out) {
    size_t gained = 0, all = 0, top = 0;
    for (size_t i = 0; i < x->size; i++) {
        gained += x->difference[i] > 0 ? (size_t)x->difference[i] : 0;
        all += (size_t)llabs(x->difference[i]);
    }
    double *p = memory_new(all + 1, sizeof *p); /* p[k]: that the sets with a positive sign have k between them; their sum is 2 k - all */
    if (!p)
        return ctx_no_memory(ctx);
    p[0] = 1;
    for (size_t i = 0; i < x->size; i++) {
        const size_t d = (size_t)llabs(x->difference[i]);
        top += d;
        for (size_t k = top + 1; d > 0 && k-- > 0;)
            p[k] = 0.5 * (p[k] + (k >= d ? p[k - d] : 0));
    }
    double above = 0, beyond = 0;
    const size_t far = gained > all - gained ? gained : all - gained;
    for (size_t k = all + 1; k-- > 0;) { /* the smallest first */
        above += k >= gained ? p[k] : 0;
        beyond += k >= far ? p[k] : 0;
    }
    free(p);
    *out = (sign_flip){fmin(1, above), fmin(1, 2 * beyond)};
    return AGON_OK;
}

/* ---- intervals ---------------------------------------------------------------------------------------------------- */

double paired_sets_effective(const paired_sets *x, double tail) {
    const double sets = (double)paired_sets_n(x);
    double n = 0, sum = 0, squares = 0, between = 0, effect;
    for (size_t i = 0; i < x->size; i++) {
        n += (double)x->items[i];
        sum += (double)x->difference[i];
        squares += (double)x->items[i] * (double)x->items[i];
    }
    if (sets < 2)
        return 0;
    const double mean = sum / n, within = (double)x->n_differ - sum * mean;
    for (size_t i = 0; i < x->size; i++) {
        const double d = (double)x->difference[i] - (double)x->items[i] * mean;
        between += d * d;
    }
    if (x->n_differ == 0 || fabs(sum) == n) /* nothing varies */
        effect = squares / n;
    else
        effect = fmax(1, sets / (sets - 1) * between / (n / (n - 1) * within));
    const double ratio = special_normal_quantile(1 - tail) / special_student_quantile(1 - tail, sets - 1);
    return n / effect * ratio * ratio;
}

interval paired_sets_difference(const paired_sets *x, const paired_table *t, double alpha) {
    const double n = paired_sets_effective(x, alpha / 2);
    return n > 0 ? paired_difference_at(t, n, alpha) : (interval){-1, 1};
}

noninferiority paired_sets_tango(const paired_sets *x, const paired_table *t, double margin, double alpha) {
    const double n = paired_sets_effective(x, alpha);
    return n > 0 ? noninferiority_tango_at(t, n, margin, alpha) : (noninferiority){.difference = paired_gain(t), .p = 1, .lower = -1};
}

interval paired_sets_share(const paired_sets *x, double alpha) {
    const double n = paired_sets_effective(x, alpha / 2);
    size_t items = 0;
    for (size_t i = 0; i < x->size; i++)
        items += x->items[i];
    return n > 0 ? clopper_pearson_at((double)x->n_differ / (double)items, n, alpha) : (interval){0, 1};
}
