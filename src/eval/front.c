/* Fronts and preference vectors: see front.h. */
#include "eval/front.h"
#include "base/ctx.h"
#include "base/memory.h"
#include "base/numbers.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* a is at least as good everywhere; *better when somewhere it is better. */
static bool covers(const double *a, const double *b, size_t m, bool *better) {
    *better = false;
    for (size_t j = 0; j < m; j++) {
        if (a[j] < b[j])
            return false;
        *better = *better || a[j] > b[j];
    }
    return true;
}

size_t front_filter(const double *points, size_t n, size_t m, bool *keep) {
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        keep[i] = true;
        for (size_t j = 0; j < n && keep[i]; j++) {
            bool better, covered = j != i && covers(points + j * m, points + i * m, m, &better);
            keep[i] = !(covered && (better || j < i));
        }
        kept += keep[i];
    }
    return kept;
}

typedef struct corner {
    double x, y, z;
} corner;

static int by_x(const void *a, const void *b) {
    double x = ((const corner *)a)->x, y = ((const corner *)b)->x;
    return (x < y) - (x > y);
}
static int by_z(const void *a, const void *b) {
    double x = ((const corner *)a)->z, y = ((const corner *)b)->z;
    return (x < y) - (x > y);
}

/* Area under the corners sorted by falling x: a sweep that adds what rises above the highest y so far. */
static double area(const corner *c, size_t n) {
    double sum = 0, top = 0;
    for (size_t i = 0; i < n; i++) {
        if (c[i].y <= top)
            continue;
        sum += c[i].x * (c[i].y - top);
        top = c[i].y;
    }
    return sum;
}

agon_status front_hypervolume(agon_ctx *ctx, const double *points, size_t n, size_t m, const double *reference,
                              double *out) {
    if (m != 2 && m != 3)
        return ctx_fail(ctx, AGON_EINVAL, "the hypervolume is computed for 2 or 3 objectives, not %zu", m);
    corner *c = memory_new(n ? n : 1, sizeof *c), *slice = memory_new(n ? n : 1, sizeof *slice);
    if (!c || !slice) {
        free(c), free(slice);
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for %zu points", n);
    }
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        const double *p = points + i * m;
        corner x = {p[0] - reference[0], p[1] - reference[1], m == 3 ? p[2] - reference[2] : 1};
        if (x.x > 0 && x.y > 0 && x.z > 0)
            c[kept++] = x;
    }
    /* Slices of equal z, from the top: each is the area of all corners that reach it. */
    double sum = 0;
    qsort(c, kept, sizeof *c, by_z);
    for (size_t i = 0; i < kept; i++) {
        double height = c[i].z - (i + 1 < kept ? c[i + 1].z : 0);
        memcpy(slice, c, (i + 1) * sizeof *c);
        qsort(slice, i + 1, sizeof *slice, by_x);
        sum += height * area(slice, i + 1);
    }
    free(c);
    free(slice);
    *out = sum;
    return AGON_OK;
}

double front_inner_product(const double *preferences, const double *points, size_t n, size_t m) {
    double sum = 0;
    for (size_t i = 0; i < n * m; i++)
        sum += preferences[i] * points[i];
    return n ? sum / (double)n : 0;
}

agon_status front_sparsity(agon_ctx *ctx, const double *points, size_t n, size_t m, double *out) {
    double *x = memory_new(n ? n : 1, sizeof *x), sum = 0;
    if (!x)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for %zu points", n);
    for (size_t j = 0; j < m; j++) {
        for (size_t i = 0; i < n; i++)
            x[i] = points[i * m + j];
        numbers_sort(x, n);
        for (size_t i = 1; i < n; i++)
            sum += (x[i] - x[i - 1]) * (x[i] - x[i - 1]);
    }
    free(x);
    *out = n > 1 ? sum / (double)(n - 1) : 0;
    return AGON_OK;
}

static double nearest_distance(const double *points, size_t n, size_t m, size_t i) {
    double least = INFINITY;
    for (size_t k = 0; k < n; k++) {
        double d = 0;
        for (size_t j = 0; j < m; j++)
            d += fabs(points[i * m + j] - points[k * m + j]);
        least = k == i ? least : fmin(least, d);
    }
    return least;
}

double front_spacing(const double *points, size_t n, size_t m) {
    double mean = 0, squares = 0;
    if (n < 2)
        return 0;
    for (size_t i = 0; i < n; i++)
        mean += nearest_distance(points, n, m, i) / (double)n;
    for (size_t i = 0; i < n; i++) {
        double d = nearest_distance(points, n, m, i) - mean;
        squares += d * d;
    }
    return sqrt(squares / (double)(n - 1));
}

/* Mean rank of x[i] among x. */
static double rank_of(const double *x, size_t n, size_t i) {
    double below = 0, equal = 0;
    for (size_t k = 0; k < n; k++) {
        below += x[k] < x[i];
        equal += x[k] == x[i];
    }
    return below + (equal - 1) / 2;
}

double rank_correlation(const double *x, const double *y, size_t n) {
    double mean = ((double)n - 1) / 2, xx = 0, yy = 0, xy = 0;
    for (size_t i = 0; i < n; i++) {
        double a = rank_of(x, n, i) - mean, b = rank_of(y, n, i) - mean;
        xx += a * a, yy += b * b, xy += a * b;
    }
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : NAN;
}

agon_status simplex_project(agon_ctx *ctx, const double *x, size_t m, double *out) {
    double *sorted = memory_new(m ? m : 1, sizeof *sorted), sum = 0, shift = 0;
    if (!sorted)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for a preference vector");
    memcpy(sorted, x, m * sizeof *x);
    numbers_sort(sorted, m);
    for (size_t k = 1; k <= m; k++) { /* from the largest: the last k whose entry stays above the shift */
        double entry = sorted[m - k];
        sum += entry;
        if (entry > (sum - 1) / (double)k)
            shift = (sum - 1) / (double)k;
    }
    for (size_t i = 0; i < m; i++)
        out[i] = fmax(0, x[i] - shift);
    free(sorted);
    return AGON_OK;
}
