/* Panacea's training (Zhong et al. 2024, 2402.02030): one adapter for all preference vectors.
 *
 *   for each of a step's vectors v:   lambda ~ even on the simplex, keyed by (seed, step, v); into the adapter
 *       L_i = loss over rows of dimension i that are v's own
 *       linear         gradients += sum_i lambda_i grad L_i / vectors
 *       Tchebycheff    score all; gradients += lambda_a grad L_a / vectors of the active a = argmax lambda_i (L_i - ideal_i)
 *
 * Rows of a dimension come in an order of their own, so each dimension is seen equally often whatever its share of the data, and vector and
 * rows are functions of (seed, step): a resumed run continues bit for bit. Tchebycheff is not smooth, so several vectors a step
 * are averaged (spec: training 8). */
#include "base/random.h"
#include "objective/scalarise.h"
#include "train/train_private.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t n_dimensions(const trainer *t) {
    return t->train ? adapter_n_dimensions(t->train) : 0;
}

/* Rows that one vector gets of one dimension. */
static size_t rows_each(const trainer *t) {
    return t->options->batch_rows / (t->options->preferences.vectors * n_dimensions(t));
}

/* Groups the rows by dimension, in their order. */
static agon_status sort_rows(trainer *t) {
    size_t at = 0;
    if (!(t->dimension_rows = memory_new(t->n_data, sizeof *t->dimension_rows)))
        return ctx_fail(t->ctx, AGON_ENOMEM, "train: out of memory");
    for (size_t d = 0; d < n_dimensions(t); d++) {
        t->dimension_first[d] = at;
        for (size_t i = 0; i < t->n_data; i++)
            if (t->data[i].dimension == d)
                t->dimension_rows[at++] = i;
        if (at == t->dimension_first[d])
            return ctx_fail(t->ctx, AGON_EINVAL, "train: there are no rows for the dimension %s", adapter_dimension(t->train, d));
    }
    t->dimension_first[n_dimensions(t)] = at;
    return AGON_OK;
}

agon_status preference_check_batch(agon_ctx *ctx, const train_options *o, size_t n_dimensions) {
    const size_t vectors = o->preferences.vectors, dealt = vectors * n_dimensions, least = o->objective->least_batch;
    if (vectors < 1 || vectors > 4096 || o->batch_rows % dealt != 0)
        return ctx_fail(ctx, AGON_EINVAL, "train: a batch of %zu rows cannot be dealt to %zu preference vectors and %zu dimensions alike; "
                        "use a multiple of %zu", o->batch_rows, vectors, n_dimensions, dealt);
    if (o->batch_rows / dealt < least)
        return ctx_fail(ctx, AGON_EINVAL, "train: %s needs %zu rows or more of each dimension a vector; use a batch of %zu", o->objective->name,
                        least, least * dealt);
    return AGON_OK;
}

agon_status preference_open(trainer *t) {
    const train_preferences *p = &t->options->preferences;
    size_t m = n_dimensions(t);
    char place[ROW_PLACE_SIZE];
    if (!m)
        return AGON_OK;
    if (t->head)
        return ctx_fail(t->ctx, AGON_EUNSUPPORTED, "train: %s trains a head, which takes no preference vector; leave the dimensions out",
                        t->options->objective->name);
    for (size_t i = 0; i < t->n_data; i++)
        if (t->data[i].dimension >= m)
            return ctx_fail(t->ctx, AGON_EINVAL, "%s is for dimension %zu; the adapter has %zu", row_place(t->data, i, place), t->data[i].dimension, m);
    for (size_t i = 0; i < m; i++)
        if (!isfinite(p->ideal[i]))
            return ctx_fail(t->ctx, AGON_EINVAL, "train: the ideal loss of %s is not finite", adapter_dimension(t->train, i));
    return sort_rows(t);
}

agon_status preference_even(trainer *t) {
    double even[MAX_DIMENSIONS];
    for (size_t i = 0; i < n_dimensions(t); i++)
        even[i] = 1 / (double)n_dimensions(t);
    return adapter_set_preference(t->ctx, t->train, even, n_dimensions(t));
}

/* Even on the simplex: lengths of the pieces that m - 1 uniform cuts leave of [0, 1]. No logarithm, so equal bits on every machine. */
static void draw_vector(uint64_t seed, size_t m, double *out) {
    rng r = rng_new(seed);
    double cuts[MAX_DIMENSIONS + 1] = {0};
    for (size_t i = 1; i < m; i++) {
        double x = rng_uniform(&r);
        size_t at = i;
        for (; at > 1 && cuts[at - 1] > x; at--)
            cuts[at] = cuts[at - 1];
        cuts[at] = x;
    }
    cuts[m] = 1;
    for (size_t i = 0; i < m; i++)
        out[i] = cuts[i + 1] - cuts[i];
}

/* The rows of dimension d for the step's vector v. */
static agon_status rows_of(trainer *t, size_t v, size_t d, step *out) {
    size_t n_rows = t->dimension_first[d + 1] - t->dimension_first[d], each = rows_each(t);
    size_t turn = t->next_step * t->options->preferences.vectors + v;
    size_t *order = arena_take(t->step, n_rows, sizeof *order), *index = arena_take(t->step, n_rows, sizeof *index);
    const size_t *first;
    if (!order || !index)
        return ctx_fail(t->ctx, AGON_ENOMEM, "train: out of memory");
    size_t n = order_step(seed_derivef(t->options->seed, "dimension %zu", d), n_rows, each, t->options->objective->least_batch, turn, order, &first);
    for (size_t i = 0; i < n; i++)
        index[i] = t->dimension_rows[t->dimension_first[d] + first[i]];
    return step_of_rows(t, index, n, out);
}

/* Linear: every dimension's gradients, by its share. */
static agon_status linear(trainer *t, step *parts, const double *lambda, double share, double *loss) {
    double losses[MAX_DIMENSIONS];
    agon_status s = AGON_OK;
    for (size_t d = 0; d < n_dimensions(t) && s == AGON_OK; d++) {
        s = step_gradients(t, &parts[d], share * lambda[d]);
        losses[d] = parts[d].result.loss;
    }
    if (s == AGON_OK)
        *loss += share * scalarise_linear(losses, lambda, n_dimensions(t), NULL);
    return s;
}

static agon_status tchebycheff(trainer *t, step *parts, const double *lambda, double share, double *loss) {
    double reward[MAX_DIMENSIONS], best[MAX_DIMENSIONS]; /* maximised: losses with their signs turned */
    size_t active = 0;
    agon_status s = AGON_OK;
    for (size_t d = 0; d < n_dimensions(t) && s == AGON_OK; d++) {
        s = step_score(t, &parts[d]);
        reward[d] = -parts[d].result.loss;
        best[d] = -t->options->preferences.ideal[d];
    }
    if (s != AGON_OK)
        return s;
    *loss += share * scalarise_tchebycheff(reward, best, lambda, n_dimensions(t), &active, NULL);
    return step_gradients(t, &parts[active], share * lambda[active]);
}

/* Rows that a step has at the most: an epoch's last part takes a small rest along, and mismatched pairs may stand behind the rows. */
static size_t most_rows(const trainer *t) {
    const size_t least = t->options->objective->least_batch, part = rows_each(t) + (least > 0 ? least - 1 : 0);
    return size_mul(t->options->preferences.vectors * n_dimensions(t), (t->needs & NEEDS_MISMATCHED ? 2 : 1) * part);
}

/* Adds what one vector's rows say to the step's counts and metrics, and which they are. */
static void add_counts(const trainer *t, step *whole, const step *parts, double share) {
    whole->result.n_metrics = n_dimensions(t);
    for (size_t d = 0; d < n_dimensions(t); d++) {
        memcpy(whole->index + whole->n, parts[d].index, parts[d].n * sizeof *whole->index);
        whole->result.metrics[d].name = adapter_dimension(t->train, d);
        whole->result.metrics[d].value += share * parts[d].result.loss;
        whole->n += parts[d].n;
        whole->tokens += parts[d].tokens;
        whole->supervised += parts[d].supervised;
    }
}

agon_status preference_gradients(trainer *t, step *whole) {
    const train_preferences *p = &t->options->preferences;
    size_t m = n_dimensions(t);
    double lambda[MAX_DIMENSIONS], share = 1 / (double)p->vectors;
    agon_status s = AGON_OK;
    *whole = (step){.index = arena_take(t->step, most_rows(t), sizeof *whole->index)};
    if (!whole->index)
        return ctx_fail(t->ctx, AGON_ENOMEM, "train: out of memory");
    for (size_t v = 0; v < p->vectors && s == AGON_OK; v++) {
        step parts[MAX_DIMENSIONS];
        draw_vector(seed_derivef(t->options->seed, "vector %zu %zu", t->next_step, v), m, lambda);
        s = adapter_set_preference(t->ctx, t->train, lambda, m);
        for (size_t d = 0; d < m && s == AGON_OK; d++)
            s = rows_of(t, v, d, &parts[d]);
        if (s == AGON_OK)
            s = p->aggregate == AGGREGATE_TCHEBYCHEFF ? tchebycheff(t, parts, lambda, share, &whole->result.loss)
                                                      : linear(t, parts, lambda, share, &whole->result.loss);
        if (s != AGON_OK)
            break;
        adapter_collect_gradient(t->train);
        add_counts(t, whole, parts, share);
    }
    return s;
}
