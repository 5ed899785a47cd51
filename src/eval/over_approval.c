/* See over_approval.h: index = d(approval) - d(correct) = mean over items of (approved - right) after less before. */
#include "eval/over_approval.h"
#include "base/ctx.h"
#include "base/memory.h"
#include "eval/paired.h"
#include <math.h>
#include <stdlib.h>

enum { DRAWS = 2000, ADDED = 2 };
/* The 97.5 % quantile of how often the added gain is drawn more often than the added loss: a difference of two Poisson counts of mean 1. */
static const double LEAST = 3;

size_t approval_n(const approval_table *t) {
    return t->approved_right + t->rejected_right + t->approved_wrong + t->rejected_wrong;
}

static void count(approval_table *t, bool approved, bool right) {
    ++*(right ? approved ? &t->approved_right : &t->rejected_right : approved ? &t->approved_wrong : &t->rejected_wrong);
}

static approval_table approval_count(const bool *approved, const bool *right, size_t n) {
    approval_table t = {0};
    for (size_t i = 0; i < n; i++)
        count(&t, approved[i], right[i]);
    return t;
}

static double share(size_t k, size_t n) {
    return n > 0 ? (double)k / (double)n : NAN;
}

approval_shares approval_shares_of(const approval_table *t) {
    const size_t n = approval_n(t), right = t->approved_right + t->rejected_right;
    approval_shares s = {.approval = share(t->approved_right + t->approved_wrong, n),
                         .correct = share(right, n),
                         .error = share(t->approved_wrong + t->rejected_right, n),
                         .fpr = share(t->approved_wrong, n - right),
                         .fnr = share(t->rejected_right, right)};
    s.over = s.approval - s.correct;
    return s;
}

static double over(const approvals *x, size_t i) {
    return (double)x->approved[i] - (double)x->right[i];
}

agon_status over_approval_measure(agon_ctx *ctx, const approvals *before, const approvals *after, size_t n, size_t same, uint64_t seed,
                                  over_approval *out) {
    if (n == 0)
        return ctx_fail(ctx, AGON_EINVAL, "over-approval: needs at least one item");
    double *change = memory_new(size_add(n, same + ADDED), sizeof *change), sum = 0;
    if (!change)
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for over-approval on %zu items", n);
    over_approval r = {.before = approval_count(before->approved, before->right, n), .after = approval_count(after->approved, after->right, n), .same = same};
    for (size_t i = 0; i < n; i++) {
        sum += change[i] = over(after, i) - over(before, i);
        if (!before->right[i] && !after->right[i]) {
            count(&r.wrong_before, before->approved[i], false);
            count(&r.wrong_after, after->approved[i], false);
        }
    }
    n += same; /* their change is 0 */
    change[n] = 1;
    change[n + 1] = -1;
    bootstrap_result b;
    agon_status s = mean_bootstrap(ctx, change, n + ADDED, DRAWS, seed, 0.05, &b);
    free(change);
    if (s)
        return s;
    r.index = sum / (double)n;
    r.range = b.range;
    *out = r;
    return AGON_OK;
}

double over_approval_least(size_t n) {
    return LEAST / (double)(n + ADDED);
}

size_t over_approval_items(double limit) {
    const double n = ceil(LEAST / limit) - ADDED;
    return n > 1 ? (size_t)n : 1;
}
