/* Class losses: see classes.h. */
#include "objective/classes.h"

double classes_plain(const double *logits, size_t k, size_t y, double *d) {
    double lse = logsumexp(logits, k);
    for (size_t j = 0; j < k; j++)
        d[j] = exp(logits[j] - lse) - (j == y ? 1 : 0);
    return lse - logits[y];
}

double classes_forward(const double *transition, const double *logits, size_t k, size_t y, double *d) {
    double lse = logsumexp(logits, k), z[MAX_CLASSES];
    for (size_t i = 0; i < k; i++)
        z[i] = logits[i] - lse + log(transition[i * k + y]); /* log of P(true i, observed y) */
    double log_p = logsumexp(z, k);
    /* d = p - posterior of the true class given the observed one. */
    for (size_t i = 0; i < k; i++)
        d[i] = exp(logits[i] - lse) - exp(z[i] - log_p);
    return -log_p;
}

/* Row y of T^-1: solves x T = e_y by Gaussian elimination with pivoting on T^T. */
static bool inverse_row(const double *transition, size_t k, size_t y, double *x) {
    double a[MAX_CLASSES][MAX_CLASSES + 1];
    for (size_t i = 0; i < k; i++) {
        for (size_t j = 0; j < k; j++)
            a[i][j] = transition[j * k + i];
        a[i][k] = i == y;
    }
    for (size_t c = 0; c < k; c++) {
        size_t pivot = c;
        for (size_t i = c + 1; i < k; i++)
            pivot = fabs(a[i][c]) > fabs(a[pivot][c]) ? i : pivot;
        if (fabs(a[pivot][c]) < 1e-12)
            return false;
        for (size_t j = 0; j <= k; j++) {
            double t = a[c][j];
            a[c][j] = a[pivot][j];
            a[pivot][j] = t;
        }
        for (size_t i = 0; i < k; i++) {
            double f = i == c ? 0 : a[i][c] / a[c][c];
            for (size_t j = c; f != 0 && j <= k; j++)
                a[i][j] -= f * a[c][j];
        }
    }
    for (size_t i = 0; i < k; i++)
        x[i] = a[i][k] / a[i][i];
    return true;
}

double classes_backward(const double *transition, const double *logits, size_t k, size_t y, double *d) {
    double x[MAX_CLASSES], lse = logsumexp(logits, k), sum = 0, total = 0;
    if (!inverse_row(transition, k, y, x))
        return NAN;
    for (size_t i = 0; i < k; i++) {
        sum += x[i] * (lse - logits[i]);
        total += x[i]; /* 1 where the rows of T sum to 1 */
    }
    for (size_t i = 0; i < k; i++)
        d[i] = total * exp(logits[i] - lse) - x[i];
    return sum;
}

double binary_logit(const response *r, double likelihood) {
    if (likelihood > 0)
        return likelihood * (masked_sum(r, r->log_prob) - masked_sum(r, r->reference));
    const double *h = r->head + last_token(r) * r->n_head;
    return r->n_head == 1 ? h[0] : h[1] - h[0];
}

agon_status binary_check(agon_ctx *ctx, const objective *self, const double *options, const row *rows, size_t n_rows) {
    agon_status s = rows_check(ctx, self, options, rows, n_rows);
    const bool head = objective_needs_with(self, options) & NEEDS_HEAD;
    return s || !head ? s : heads_check(ctx, self, rows[0].responses->n_head == 2 ? 2 : 1, rows, n_rows);
}

void binary_gradient(response *r, double likelihood, double d) {
    clear_gradient(r);
    if (likelihood > 0) {
        sequence_gradient(r, likelihood * d);
        return;
    }
    if (!r->d_head)
        return;
    double *h = r->d_head + last_token(r) * r->n_head;
    h[r->n_head - 1] = d;
    if (r->n_head == 2)
        h[0] = -d;
}

void choices_logits(const row *r, double likelihood, double *z) {
    for (size_t k = 0; k < r->n_responses; k++)
        z[k] = likelihood * masked_sum(&r->responses[k], r->responses[k].log_prob);
}

agon_status choices_check(agon_ctx *ctx, const objective *self, const double *options, const row *rows, size_t n_rows) {
    agon_status s = rows_check(ctx, self, options, rows, n_rows);
    for (size_t i = 0; i < n_rows && !s; i++)
        if (rows[i].n_responses < 2 || rows[i].n_responses > self->most_responses)
            s = ctx_fail(ctx, AGON_EINVAL, "row %zu: has %zu choices; %s takes from 2 to %zu", i, rows[i].n_responses, self->name, self->most_responses);
    return s;
}
