/* Figures of held-out pairs: see reward_pairs.h. */
#include "eval/reward_pairs.h"
#include "base/ctx.h"
#include "eval/calibration.h"
#include <math.h>
#include <stdlib.h>

static const double edges[N_MARGIN_BINS + 1] = {0, 0.5, 1, 2, 4, INFINITY};

static double gap_of(const reward_pair *p) {
    return p->better - p->worse;
}

double reward_pair_loss(const reward_pair *p) {
    return fmax(-gap_of(p), 0) + log1p(exp(-fabs(gap_of(p))));
}

static void add_to_bin(margin_bin bins[N_MARGIN_BINS], double value, bool right) {
    size_t i = 0;
    while (i + 1 < N_MARGIN_BINS && fabs(value) >= edges[i + 1])
        i++;
    bins[i].n++;
    bins[i].n_right += right;
}

static void count_pairs(const reward_pair *pairs, size_t n, reward_report *out) {
    for (size_t i = 0; i < N_MARGIN_BINS; i++)
        out->by_gap[i] = out->by_label[i] = (margin_bin){.from = edges[i], .to = edges[i + 1]};
    for (size_t i = 0; i < n; i++) {
        const reward_pair *p = &pairs[i];
        bool right = gap_of(p) > 0, matched = fabs(p->n_better - p->n_worse) <= 0.1 * fmax(p->n_better, p->n_worse);
        out->n++;
        out->n_right += right;
        out->loss += reward_pair_loss(p) / (double)n;
        add_to_bin(out->by_gap, gap_of(p), right);
        out->n_matched += matched;
        out->n_matched_right += matched && right;
        if (isnan(p->margin))
            continue;
        add_to_bin(out->by_label, p->margin, right);
        out->n_labelled++;
    }
}

/* Two passes, so that large means cost no digits. */
static void measure_rewards(const reward_pair *pairs, size_t n, reward_report *out) {
    double reward = 0, length = 0, rewards = 0, lengths = 0, both = 0, count = 2 * (double)n;
    for (size_t i = 0; i < n; i++) {
        reward += (pairs[i].better + pairs[i].worse) / count;
        length += (pairs[i].n_better + pairs[i].n_worse) / count;
    }
    for (size_t i = 0; i < n; i++)
        for (int side = 0; side < 2; side++) {
            double r = (side ? pairs[i].worse : pairs[i].better) - reward, l = (side ? pairs[i].n_worse : pairs[i].n_better) - length;
            rewards += r * r, lengths += l * l, both += r * l;
        }
    out->mean = reward;
    out->deviation = sqrt(rewards / count);
    out->length_correlation = rewards > 0 && lengths > 0 ? both / sqrt(rewards * lengths) : 0;
}

agon_status reward_report_make(agon_ctx *ctx, const reward_pair *pairs, size_t n, reward_report *out) {
    double *confidence = malloc(n * sizeof *confidence);
    bool *right = malloc(n * sizeof *right);
    agon_status s = confidence && right ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory for %zu pairs", n);
    reward_report r = {0};
    for (size_t i = 0; i < n && !s; i++) {
        confidence[i] = 1 / (1 + exp(-fabs(gap_of(&pairs[i]))));
        right[i] = gap_of(&pairs[i]) > 0;
    }
    if (!s) {
        count_pairs(pairs, n, &r);
        measure_rewards(pairs, n, &r);
        r.ece = calibration_ece(confidence, right, n);
        r.brier = calibration_brier(confidence, right, n);
        *out = r;
    }
    free(confidence);
    free(right);
    return s;
}
