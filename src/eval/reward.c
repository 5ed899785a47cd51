/* Rewards: see reward.h. */
#include "eval/reward.h"
#include "base/ctx.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

void ensemble_rewards(const double *rewards, size_t k, size_t n, ensemble_rule rule, double strength, bool unbiased,
                      double *out) {
    for (size_t i = 0; i < n; i++) {
        double mean = 0, least = INFINITY, squares = 0;
        for (size_t m = 0; m < k; m++) {
            mean += rewards[m * n + i] / (double)k;
            least = fmin(least, rewards[m * n + i]);
        }
        for (size_t m = 0; m < k; m++)
            squares += (rewards[m * n + i] - mean) * (rewards[m * n + i] - mean);
        double variance = squares / (double)(unbiased && k > 1 ? k - 1 : k);
        out[i] = rule == ENSEMBLE_WORST         ? least
                 : rule == ENSEMBLE_UNCERTAIN   ? mean - strength * variance
                 : rule == ENSEMBLE_LOWER_BOUND ? mean - strength * sqrt(variance)
                                                : mean;
    }
}

agon_status ensemble_rule_find(agon_ctx *ctx, const char *name, double strength, ensemble_rule *out) {
    static const char *const names[] = {"mean", "wco", "uwo", "lcb"};
    if (!(strength <= ENSEMBLE_MOST_STRENGTH))
        return ctx_fail(ctx, AGON_EINVAL, "the strength of an ensemble is %g; it must be from 0 to %g, or below 0 for the rule's own", strength,
                        ENSEMBLE_MOST_STRENGTH);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!name || strcmp(name, names[i]) == 0) {
            if (strength >= 0 && i != ENSEMBLE_UNCERTAIN && i != ENSEMBLE_LOWER_BOUND)
                return ctx_fail(ctx, AGON_EINVAL, "an ensemble read by %s has no strength; leave it out, or choose uwo or lcb", names[i]);
            *out = (ensemble_rule)i;
            return AGON_OK;
        }
    return ctx_fail(ctx, AGON_EINVAL, "an ensemble of reward models is read by mean, wco (the least), uwo (mean - strength * variance) or lcb "
                    "(mean - strength * std), not by '%.40s'", name);
}

double ensemble_strength(ensemble_rule rule, double strength) {
    return strength >= 0 ? strength : rule == ENSEMBLE_UNCERTAIN ? 0.5 : 1;
}

double ensemble_deviation(const double *rewards, size_t k, size_t n, size_t i) {
    double mean = 0, squares = 0;
    for (size_t m = 0; m < k; m++)
        mean += rewards[m * n + i] / (double)k;
    for (size_t m = 0; m < k; m++)
        squares += (rewards[m * n + i] - mean) * (rewards[m * n + i] - mean);
    return sqrt(squares / (double)k);
}

double ensemble_disagreement(const double *rewards, size_t k, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += ensemble_deviation(rewards, k, n, i);
    return sum / (double)n;
}

/* Means of a member's rewards where `right` is false and true; one mean in both places without it. */
static void class_means(const double *rewards, size_t n, const bool *right, double mean[2]) {
    size_t count[2] = {0, 0};
    mean[0] = mean[1] = 0;
    for (size_t i = 0; i < n; i++) {
        mean[right && right[i]] += rewards[i];
        count[right && right[i]]++;
    }
    for (int c = 0; c < 2; c++)
        mean[c] = count[c] ? mean[c] / (double)count[c] : 0;
}

double ensemble_correlation(const double *rewards, size_t k, size_t n, const bool *right) {
    double sum = 0;
    size_t pairs = 0;
    for (size_t a = 0; a < k; a++)
        for (size_t b = a + 1; b < k; b++, pairs++) {
            const double *x = rewards + a * n, *y = rewards + b * n;
            double mean_x[2], mean_y[2], xx = 0, xy = 0, yy = 0;
            class_means(x, n, right, mean_x);
            class_means(y, n, right, mean_y);
            for (size_t i = 0; i < n; i++) {
                double u = x[i] - mean_x[right && right[i]], v = y[i] - mean_y[right && right[i]];
                xx += u * u, xy += u * v, yy += v * v;
            }
            sum += xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : NAN;
        }
    return pairs ? sum / (double)pairs : NAN;
}

double process_score(const double *probability, size_t n, process_rule rule) {
    double product = 1, least = INFINITY;
    for (size_t i = 0; i < n; i++) {
        product *= probability[i];
        least = fmin(least, probability[i]);
    }
    return rule == PROCESS_PRODUCT ? product : rule == PROCESS_LEAST ? least : probability[n - 1];
}

double rollout_label(const bool *correct, size_t n, bool hard) {
    size_t right = 0;
    for (size_t i = 0; i < n; i++)
        right += correct[i];
    return hard ? right > 0 : n > 0 ? (double)right / (double)n : 0;
}

double best_of_n_kl(double n) {
    return log(n) - (n - 1) / n;
}

/* The factor of -b in the curve. */
static double bend(double d, bool best_of_n) {
    return best_of_n ? d * d : d > 0 ? d * log(d) : 0;
}

double overoptimisation_reward(const overoptimisation *c, double d) {
    return c->a * d - c->b * bend(d, c->best_of_n);
}

double overoptimisation_peak(const overoptimisation *c) {
    if (c->b <= 0)
        return INFINITY;
    return c->best_of_n ? c->a / (2 * c->b) : exp(c->a / c->b - 1);
}

agon_status overoptimisation_fit(agon_ctx *ctx, const double *d, const double *gold, size_t n, bool best_of_n,
                                 overoptimisation *out) {
    /* Normal equations of gold = a*x - b*y, x = d, y = bend(d). */
    double xx = 0, xy = 0, yy = 0, xg = 0, yg = 0;
    for (size_t i = 0; i < n; i++) {
        double y = bend(d[i], best_of_n);
        xx += d[i] * d[i], xy += d[i] * y, yy += y * y, xg += d[i] * gold[i], yg += y * gold[i];
    }
    double determinant = xx * yy - xy * xy;
    if (!(determinant > 1e-12 * xx * yy))
        return ctx_fail(ctx, AGON_EINVAL, "the curve of gold reward needs two or more distinct distances above 0");
    *out = (overoptimisation){.a = (yy * xg - xy * yg) / determinant,
                              .b = (xy * xg - xx * yg) / determinant,
                              .best_of_n = best_of_n};
    return AGON_OK;
}
