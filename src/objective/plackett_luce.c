/* plackett-luce: reward model from rankings of K responses (Plackett 1975; Luce 1959; training.md section 2).
 *
 *   loss = sum_k [ lse(s_k, all s_j worse than k) - s_k ]     s = head output at the last supervised token
 *   pairwise = 1: mean over all K(K-1)/2 pairs of -logsig(s_i - s_j), i better than j; equal rewards are a tie
 *                 (Ouyang et al. 2022, arXiv 2203.02155, eq. 1: all pairs of a prompt in one batch element)
 *
 * The order is by falling reward where the responses have rewards, else as they stand. K = 2 is bt without
 * centring. Equal rewards say nothing about each other, whatever their order in the row: in the listwise form
 * each is compared with what is strictly worse, the probability by Luce's axiom that it comes before all of
 * those (with no ties this is the whole ranking's); a group of one reward then has loss 0. In pairs a tie asks for
 * equal scores, as in bt. */
#include "objective/common.h"
#include "objective/table.h"

enum { PAIRWISE };
static const objective_option options_table[] = {
    {"pairwise", 0, 0, 1, "1: mean over all pairs, 0: likelihood of the whole ranking", WHOLE_NUMBER},
    {.name = NULL},
};
enum { MAX_RESPONSES = 256 };

/* A ranked group: scores and rewards by rank, and where they came from. */
typedef struct ranking {
    size_t n, order[MAX_RESPONSES];
    double s[MAX_RESPONSES], reward[MAX_RESPONSES], d[MAX_RESPONSES];
} ranking;

static agon_status rank(agon_ctx *ctx, const objective *self, const row *g, size_t i, ranking *out) {
    size_t n = g->n_responses, with = 0;
    if (n < 2 || n > MAX_RESPONSES)
        return ctx_fail(ctx, AGON_EINVAL, "row %zu: responses: %s ranks 2 to %d", i, self->name, MAX_RESPONSES);
    for (size_t k = 0; k < n; k++)
        with += isnan(g->responses[k].reward) ? 0 : 1;
    if (with != 0 && with != n)
        return ctx_fail(ctx, AGON_EINVAL, "row %zu: %zu of %zu responses have a reward; a ranking has all or none", i,
                        with, n);
    double rewards[MAX_RESPONSES];
    for (size_t k = 0; k < n; k++)
        rewards[k] = with ? g->responses[k].reward : -(double)k; /* without rewards the first is the best */
    out->n = n;
    rank_rewards(rewards, n, out->order, out->reward);
    for (size_t k = 0; k < n; k++) {
        out->s[k] = head_reward(&g->responses[out->order[k]]);
        out->d[k] = 0;
    }
    return AGON_OK;
}

static double listwise(ranking *r) {
    double sum = 0;
    for (size_t k = 0; k < r->n; k++) {
        size_t worse = k + n_tied(r->reward + k, r->n - k);
        if (worse == r->n)
            break;
        double lse = logsumexp((double[]){r->s[k], logsumexp(r->s + worse, r->n - worse)}, 2);
        r->d[k] += exp(r->s[k] - lse) - 1;
        for (size_t j = worse; j < r->n; j++)
            r->d[j] += exp(r->s[j] - lse);
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

/* Whether the highest score is one of those with the highest reward, and of no other. */
static bool best_is_first(const ranking *r) {
    double best = -INFINITY, other = -INFINITY;
    for (size_t k = 0; k < r->n; k++) {
        double *at = r->reward[k] == r->reward[0] ? &best : &other;
        *at = fmax(*at, r->s[k]);
    }
    return best > other && other > -INFINITY; /* of equals none is the best */
}

static agon_status loss(agon_ctx *ctx, const objective *self, const double *options, const row *rows, size_t n_rows,
                        objective_result *out) {
    agon_status s = rows_check(ctx, self, options, rows, n_rows);
    if (s == AGON_OK)
        s = heads_check(ctx, self, 1, rows, n_rows);
    double total = row_normaliser(options, rows, n_rows), sum = 0, best = 0;
    if (s == AGON_OK)
        s = weight_check(ctx, self, total);
    for (size_t i = 0; s == AGON_OK && i < n_rows; i++) {
        ranking r;
        s = rank(ctx, self, &rows[i], i, &r);
        if (s != AGON_OK)
            break;
        double share = rows[i].weight / total;
        out->losses[i] = options[PAIRWISE] != 0 ? pairwise(&r) : listwise(&r);
        s = loss_check(ctx, self, i, out->losses[i]);
        sum += share * out->losses[i];
        for (size_t k = 0; k < r.n; k++)
            head_gradient(&rows[i].responses[r.order[k]], share * r.d[k]);
        best += best_is_first(&r) ? share : 0;
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
    .learning_rate = 1e-5,
    .summary = "reward model from rankings of K responses, listwise or all pairs",
    .rows = ROW_GROUP,
    .needs = NEEDS_HEAD | TAKES_REWARD,
    .coupling = COUPLED_ROW,
    .most_responses = MAX_RESPONSES,
    .options = options_table,
    .loss = loss,
    .normaliser = row_normaliser,
};
