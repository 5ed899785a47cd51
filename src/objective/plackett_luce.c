/* plackett-luce: reward model from rankings of K responses (Plackett 1975; Luce 1959; training.md section 2).
 *
 *   loss = sum_{k<K} [ lse(s_k..s_K) - s_k ]     s = head output at the last supervised token, best first
 *   pairwise = 1: mean over all K(K-1)/2 pairs of -logsig(s_i - s_j), i better than j; equal rewards are a tie
 *                 (Ouyang et al. 2022, arXiv 2203.02155, eq. 1: all pairs of a prompt in one batch element)
 *
 * The order is by falling reward where the responses have rewards, else as they stand. Equal rewards keep
 * their order in the listwise form. K = 2 is bt without centring. */
#include "objective/common.h"
#include "objective/table.h"

enum { PAIRWISE };
static const objective_option options_table[] = {
    {"pairwise", 0, 0, 1, "1: mean over all pairs, 0: likelihood of the whole ranking"},
    {.name = NULL},
};
enum { MAX_RESPONSES = 256 };

/* A ranked group: scores and rewards by rank, and where they came from. */
typedef struct ranking {
    size_t n, order[MAX_RESPONSES];
    double s[MAX_RESPONSES], reward[MAX_RESPONSES], d[MAX_RESPONSES];
} ranking;

static agon_status rank(agon_ctx *ctx, const row *g, size_t i, ranking *out) {
    size_t n = g->n_responses, with = 0;
    if (n < 2 || n > MAX_RESPONSES)
        return ctx_fail(ctx, AGON_EINVAL, "row %zu: responses: plackett-luce ranks 2 to %d", i, MAX_RESPONSES);
    for (size_t k = 0; k < n; k++)
        with += isnan(g->responses[k].reward) ? 0 : 1;
    if (with != 0 && with != n)
        return ctx_fail(ctx, AGON_EINVAL, "row %zu: %zu of %zu responses have a reward; a ranking has all or none", i,
                        with, n);
    out->n = n;
    for (size_t k = 0; k < n; k++) {
        /* Without rewards the first is the best. */
        double reward = with ? g->responses[k].reward : -(double)k;
        size_t j = k;
        for (; j > 0 && out->reward[j - 1] < reward; j--) {
            out->reward[j] = out->reward[j - 1];
            out->order[j] = out->order[j - 1];
        }
        out->reward[j] = reward;
        out->order[j] = k;
    }
    for (size_t k = 0; k < n; k++) {
        out->s[k] = head_reward(&g->responses[out->order[k]]);
        out->d[k] = 0;
    }
    return AGON_OK;
}

static double listwise(ranking *r) {
    double sum = 0;
    for (size_t k = 0; k + 1 < r->n; k++) {
        double lse = logsumexp(r->s + k, r->n - k);
        for (size_t j = k; j < r->n; j++)
            r->d[j] += exp(r->s[j] - lse) - (j == k ? 1 : 0);
        sum += lse - r->s[k];
    }
    return sum;
}

static double pairwise(ranking *r) {
    double sum = 0, pairs = (double)r->n * (double)(r->n - 1) / 2;
    for (size_t i = 0; i < r->n; i++)
        for (size_t j = i + 1; j < r->n; j++) {
            double z = r->s[i] - r->s[j], q = r->reward[i] > r->reward[j] ? 1 : 0.5;
            double d = (-q * sigmoid(-z) + (1 - q) * sigmoid(z)) / pairs;
            sum += (-q * logsig(z) - (1 - q) * logsig(-z)) / pairs;
            r->d[i] += d;
            r->d[j] -= d;
        }
    return sum;
}

static agon_status loss(agon_ctx *ctx, const double *options, const row *rows, size_t n_rows,
                        objective_result *out) {
    agon_status s = rows_check(ctx, "plackett-luce", ROW_GROUP, NEEDS_HEAD, rows, n_rows);
    if (s == AGON_OK)
        s = heads_check(ctx, "plackett-luce", 1, rows, n_rows);
    double total = row_normaliser(options, rows, n_rows), sum = 0, best = 0;
    if (s == AGON_OK)
        s = weight_check(ctx, "plackett-luce", total);
    for (size_t i = 0; s == AGON_OK && i < n_rows; i++) {
        ranking r;
        s = rank(ctx, &rows[i], i, &r);
        if (s != AGON_OK)
            break;
        double share = rows[i].weight / total;
        out->losses[i] = options[PAIRWISE] != 0 ? pairwise(&r) : listwise(&r);
        s = loss_check(ctx, "plackett-luce", i, out->losses[i]);
        sum += share * out->losses[i];
        bool first = true;
        for (size_t k = 0; k < r.n; k++) {
            head_gradient(&rows[i].responses[r.order[k]], share * r.d[k]);
            first = first && (k == 0 || r.s[0] > r.s[k]);
        }
        best += first ? share : 0;
    }
    if (s != AGON_OK)
        return s;
    out->loss = sum;
    out->n_metrics = 0;
    metric_add(out, "best_accuracy", best);
    return AGON_OK;
}

const objective objective_plackett_luce = {
    .name = "plackett-luce",
    .summary = "reward model from rankings of K responses, listwise or all pairs",
    .rows = ROW_GROUP,
    .needs = NEEDS_HEAD,
    .coupling = COUPLED_ROW,
    .options = options_table,
    .loss = loss,
    .normaliser = row_normaliser,
};
