/* Shared by all objectives: see common.h. */
#include "objective/common.h"

#include <assert.h>
#include <stdio.h>

double logsumexp(const double *x, size_t n) {
    double max = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++)
        max = fmax(max, x[i]);
    if (!isfinite(max))
        return max;
    for (size_t i = 0; i < n; i++)
        sum += exp(x[i] - max);
    return max + log(sum);
}

void rank_rewards(const double *rewards, size_t n, size_t *order, double *by_rank) {
    for (size_t k = 0; k < n; k++) {
        size_t j = k;
        for (; j > 0 && by_rank[j - 1] < rewards[k]; j--) {
            by_rank[j] = by_rank[j - 1];
            order[j] = order[j - 1];
        }
        by_rank[j] = rewards[k];
        order[j] = k;
    }
}

size_t n_tied(const double *by_rank, size_t n) {
    size_t tied = 1;
    while (tied < n && by_rank[tied] == by_rank[0])
        tied++;
    return tied;
}

double masked_sum(const response *r, const double *x) {
    double sum = 0;
    for (size_t t = 0; t < r->n; t++)
        sum += token_weight(r, t) * x[t];
    return sum;
}

double masked_length(const response *r) {
    double sum = 0;
    for (size_t t = 0; t < r->n; t++)
        sum += token_weight(r, t);
    return sum;
}

void sequence_gradient(response *r, double d) {
    clear_gradient(r);
    for (size_t t = 0; t < r->n; t++)
        r->d_log_prob[t] = d * token_weight(r, t);
}

void clear_gradient(response *r) {
    double *const all[] = {r->d_log_prob, r->d_values, r->d_entropy, r->d_mean_log_prob};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        for (size_t t = 0; all[i] && t < r->n; t++)
            all[i][t] = 0;
    for (size_t t = 0; r->d_head && t < r->n * r->n_head; t++)
        r->d_head[t] = 0;
}

size_t last_token(const response *r) {
    for (size_t t = r->n; t-- > 0;)
        if (token_weight(r, t) > 0)
            return t;
    return r->n;
}

void head_gradient(response *r, double d) {
    clear_gradient(r);
    if (r->d_head)
        r->d_head[last_token(r)] = d;
}

double row_normaliser(const double *options, const row *rows, size_t n_rows) {
    (void)options;
    double total = 0;
    for (size_t i = 0; i < n_rows; i++)
        total += rows[i].weight;
    return total;
}

double response_normaliser(const double *options, const row *rows, size_t n_rows) {
    (void)options;
    double total = 0;
    for (size_t i = 0; i < n_rows; i++)
        for (size_t k = 0; k < rows[i].n_responses; k++)
            total += rows[i].weight * rows[i].responses[k].weight;
    return total;
}

double pair_weight(const row *r) {
    return r->weight * r->responses[0].weight * r->responses[1].weight;
}

/* "row 3: chosen" for messages. */
static void place_name(char *out, size_t size, unsigned kind, size_t i, size_t k) {
    if (kind == ROW_PAIR)
        snprintf(out, size, "row %zu: %s", i, k == 0 ? "chosen" : "rejected");
    else if (kind == ROW_GROUP)
        snprintf(out, size, "row %zu: response %zu", i, k);
    else
        snprintf(out, size, "row %zu", i);
}

static agon_status channel_check(agon_ctx *ctx, const char *place, const char *field, const double *x,
                                 size_t n) {
    for (size_t t = 0; x && t < n; t++)
        if (!isfinite(x[t]))
            return ctx_fail(ctx, AGON_ENUMERIC, "%s: %s[%zu] is not finite", place, field, t);
    return AGON_OK;
}

static agon_status need(agon_ctx *ctx, const char *name, const char *place, const char *field, bool given) {
    if (given)
        return AGON_OK;
    return ctx_fail(ctx, AGON_EINVAL, "%s: %s is missing; %s needs it", place, field, name);
}

static agon_status needs_check(agon_ctx *ctx, const char *name, const char *place, unsigned needs,
                               const response *r) {
    agon_status s = AGON_OK;
    bool has_advantage = !isnan(r->advantage);
    if (s == AGON_OK && (needs & NEEDS_REFERENCE))
        s = need(ctx, name, place, "reference", r->reference != NULL);
    if (s == AGON_OK && (needs & NEEDS_OLD))
        s = need(ctx, name, place, "old", r->old != NULL);
    if (s == AGON_OK && (needs & NEEDS_REWARD))
        s = need(ctx, name, place, (needs & NEEDS_ADVANTAGE) ? "reward or advantage" : "reward",
                 !isnan(r->reward) || ((needs & NEEDS_ADVANTAGE) && has_advantage));
    else if (s == AGON_OK && (needs & NEEDS_ADVANTAGE))
        s = need(ctx, name, place, "advantage", has_advantage);
    if (s == AGON_OK && (needs & NEEDS_LABEL) && !r->mismatched)
        s = need(ctx, name, place, "label", !isnan(r->label));
    if (s == AGON_OK && (needs & NEEDS_VALUES) && !has_advantage)
        s = need(ctx, name, place, "values", r->values != NULL);
    const struct {
        unsigned flag;
        const char *field;
        bool given;
    } rest[] = {{NEEDS_HEAD, "head", r->head},
                {NEEDS_TARGETS, "targets", r->targets},
                {NEEDS_ENTROPY, "entropy", r->entropy},
                {NEEDS_MEAN_LOG_PROB, "mean_log_prob", r->mean_log_prob}};
    for (size_t i = 0; s == AGON_OK && i < sizeof rest / sizeof rest[0]; i++)
        if (needs & rest[i].flag)
            s = need(ctx, name, place, rest[i].field, rest[i].given);
    return s;
}

static agon_status response_check(agon_ctx *ctx, const char *name, const char *place, unsigned needs,
                                  const response *r) {
    bool head_only = (needs & NEEDS_HEAD) && !(needs & NEEDS_LOG_PROB);
    if (r->n == 0 || (!r->log_prob && !head_only))
        return ctx_fail(ctx, AGON_EINVAL, "%s: log_probs is empty; a response has at least one token", place);
    assert(r->d_log_prob || !r->log_prob);
    const struct {
        const char *field;
        const double *x;
    } channels[] = {{"log_probs", r->log_prob}, {"reference", r->reference}, {"old", r->old},
                    {"values", r->values},      {"old_values", r->old_values}, {"mask", r->mask},
                    {"entropy", r->entropy}, {"mean_log_prob", r->mean_log_prob},
                    {"token_rewards", r->token_rewards}};
    for (size_t i = 0; i < sizeof channels / sizeof channels[0]; i++) {
        agon_status s = channel_check(ctx, place, channels[i].field, channels[i].x, r->n);
        if (s != AGON_OK)
            return s;
    }
    agon_status finite = channel_check(ctx, place, "head", r->head, r->n * r->n_head);
    if (finite != AGON_OK)
        return finite;
    for (size_t t = 0; r->targets && t < r->n; t++)
        if (!isnan(r->targets[t]) && !(r->targets[t] >= 0 && r->targets[t] <= 1))
            return ctx_fail(ctx, AGON_EINVAL, "%s: targets[%zu] is %g; it lies between 0 and 1", place, t,
                            r->targets[t]);
    for (size_t t = 0; r->mask && t < r->n; t++)
        if (!(r->mask[t] >= 0 && number_fits(r->mask[t])))
            return ctx_fail(ctx, AGON_EINVAL, "%s: mask[%zu] is %g; token weights are 0 or more, up to %g", place, t, r->mask[t], NUMBER_LIMIT);
    if (!number_fits(r->weight) || r->weight < 0)
        return ctx_fail(ctx, AGON_EINVAL, "%s: weight is %g; it must be from 0 to %g", place, r->weight, NUMBER_LIMIT);
    if (isinf(r->reward) || isinf(r->advantage))
        return ctx_fail(ctx, AGON_ENUMERIC, "%s: %s is not finite", place,
                        isinf(r->reward) ? "reward" : "advantage");
    const struct {
        const char *field;
        double x;
    } numbers[] = {{"reward", r->reward}, {"advantage", r->advantage}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (!isnan(numbers[i].x) && !number_fits(numbers[i].x))
            return ctx_fail(ctx, AGON_EINVAL, "%s: %s is %g; it must be from %g to %g", place, numbers[i].field, numbers[i].x,
                            -NUMBER_LIMIT, NUMBER_LIMIT);
    for (size_t t = 0; r->token_rewards && t < r->n; t++)
        if (!number_fits(r->token_rewards[t]))
            return ctx_fail(ctx, AGON_EINVAL, "%s: token_rewards[%zu] is %g; it must be from %g to %g", place, t, r->token_rewards[t],
                            -NUMBER_LIMIT, NUMBER_LIMIT);
    if (!isnan(r->label) && !(r->label >= 0 && r->label <= 1))
        return ctx_fail(ctx, AGON_EINVAL, "%s: label is %g; it lies between 0 and 1", place, r->label);
    return needs_check(ctx, name, place, needs, r);
}

agon_status rows_check(agon_ctx *ctx, const objective *self, const double *options, const row *rows, size_t n_rows) {
    const unsigned kinds = self->rows, needs = objective_needs_with(self, options);
    if (n_rows == 0)
        return ctx_fail(ctx, AGON_EINVAL, "%s: there are no rows", self->name);
    for (size_t i = 0; i < n_rows; i++) {
        const row *r = &rows[i];
        /* A pair and a group of two have the same shape; the objective says which it takes. */
        unsigned fits = r->n_responses == 1   ? kinds & (ROW_SINGLE | ROW_GROUP)
                        : r->n_responses == 2 ? kinds & (ROW_PAIR | ROW_GROUP)
                                              : kinds & ROW_GROUP;
        if (r->n_responses == 0 || !fits)
            return ctx_fail(ctx, AGON_EINVAL, "row %zu: has %zu responses; %s takes %s", i, r->n_responses,
                            self->name,
                            kinds & ROW_PAIR                  ? "pairs (chosen, rejected)"
                            : (kinds & ROW_GROUP) == ROW_GROUP ? "groups (responses)"
                                                               : "single responses");
        if (!number_fits(r->weight) || r->weight < 0)
            return ctx_fail(ctx, AGON_EINVAL, "row %zu: weight is %g; it must be from 0 to %g", i, r->weight, NUMBER_LIMIT);
        unsigned kind = (kinds & ROW_PAIR) ? ROW_PAIR : r->n_responses > 1 ? ROW_GROUP : ROW_SINGLE;
        for (size_t k = 0; k < r->n_responses; k++) {
            char place[64];
            place_name(place, sizeof place, kind, i, k);
            /* A pair has one label: how likely it is that the chosen side is the better one. */
            unsigned own = kind == ROW_PAIR && k == 1 ? needs & ~(unsigned)NEEDS_LABEL : needs;
            agon_status s = response_check(ctx, self->name, place, own, &r->responses[k]);
            if (s != AGON_OK)
                return s;
        }
    }
    return AGON_OK;
}

agon_status heads_check(agon_ctx *ctx, const objective *self, size_t n_head, const row *rows, size_t n_rows) {
    for (size_t i = 0; i < n_rows; i++)
        for (size_t k = 0; k < rows[i].n_responses; k++) {
            const response *r = &rows[i].responses[k];
            if (r->n_head == 0 || (n_head && r->n_head != n_head))
                return ctx_fail(ctx, AGON_EINVAL, "row %zu: response %zu: the head has %zu outputs a token; %s takes %zu",
                                i, k, r->n_head, self->name, n_head ? n_head : 1);
            if (last_token(r) == r->n)
                return ctx_fail(ctx, AGON_EINVAL, "row %zu: response %zu: mask leaves no token to read the head at", i,
                                k);
        }
    return AGON_OK;
}

agon_status weight_check(agon_ctx *ctx, const objective *self, double total) {
    if (total > 0 && isfinite(total))
        return AGON_OK;
    return ctx_fail(ctx, AGON_EINVAL,
                    "%s: the weights (rows times mask) sum to %g, so the mean loss does not exist", self->name,
                    total);
}

agon_status loss_check(agon_ctx *ctx, const objective *self, size_t index, double loss) {
    if (isfinite(loss))
        return AGON_OK;
    return ctx_fail(ctx, AGON_ENUMERIC, "row %zu: the %s loss is not finite", index, self->name);
}

void metric_add(objective_result *out, const char *name, double value) {
    assert(out->n_metrics < MAX_METRICS);
    out->metrics[out->n_metrics++] = (metric){name, value};
}
