/* Fronts of reward against KL, see reward_kl.h. */
#include "eval/reward_kl.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>

static int by_kl(const void *a, const void *b) {
    const reward_kl *x = a, *y = b;
    return x->kl != y->kl ? (x->kl > y->kl) - (x->kl < y->kl) : (x->reward < y->reward) - (x->reward > y->reward);
}

/* Whether b is not above the line from a to c. */
static int below(const reward_kl *a, const reward_kl *b, const reward_kl *c) {
    return (b->reward - a->reward) * (c->kl - a->kl) <= (c->reward - a->reward) * (b->kl - a->kl);
}

reward_front reward_front_of(const reward_kl *policies, size_t n, double base) {
    reward_kl sorted[REWARD_KL_MOST];
    reward_front f = {.points = {{base, 0}}, .n = 1};
    assert(n <= REWARD_KL_MOST);
    for (size_t i = 0; i < n; i++)
        sorted[i] = (reward_kl){policies[i].reward, fmax(policies[i].kl, 0)};
    qsort(sorted, n, sizeof *sorted, by_kl);
    for (size_t i = 0; i < n; i++) {
        const reward_kl *p = &sorted[i];
        if (p->reward <= f.points[f.n - 1].reward)
            continue; /* dearer and no better */
        if (p->kl == f.points[f.n - 1].kl)
            f.n--; /* only at KL 0: better than the reference at its own KL */
        while (f.n >= 2 && below(&f.points[f.n - 2], &f.points[f.n - 1], p))
            f.n--;
        f.points[f.n++] = *p;
    }
    return f;
}

double reward_front_at(const reward_front *f, double kl) {
    for (size_t i = 1; i < f->n; i++) {
        const reward_kl *a = &f->points[i - 1], *b = &f->points[i];
        if (kl < b->kl)
            return a->reward + (b->reward - a->reward) * (kl - a->kl) / (b->kl - a->kl);
    }
    return f->points[f->n - 1].reward;
}

double reward_front_mean(const reward_front *f, double limit) {
    double area = 0, from = 0;
    for (size_t i = 1; i <= f->n && from < limit; i++) {
        double to = i < f->n ? fmin(f->points[i].kl, limit) : limit;
        /* At a corner both lines agree, and between corners the front is straight. */
        area += (to - from) * (reward_front_at(f, from) + reward_front_at(f, to)) / 2;
        from = to;
    }
    return area / limit;
}

reward_kl reward_tilt(const double *rewards, size_t n, double scale) {
    double top = -INFINITY, sum = 0, mean = 0;
    for (size_t i = 0; i < n; i++)
        top = fmax(top, scale * rewards[i]);
    for (size_t i = 0; i < n; i++) {
        double w = exp(scale * rewards[i] - top);
        sum += w;
        mean += w * rewards[i];
    }
    mean /= sum;
    /* KL = E[scale r] - log mean exp(scale r). */
    return (reward_kl){mean, fmax(scale * mean - top - log(sum / (double)n), 0)};
}
