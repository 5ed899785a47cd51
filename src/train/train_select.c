/* Which rows of a step are trained on: small-loss selection, and co-teaching (Han et al. 2018, 1804.06872, algorithm 1).
 *
 *   R(t) = 1 - tau * min(t / ramp, 1)     share of the batch that is kept: all of it at first, since a model learns what rows have in
 *                                         common before it learns wrong ones by heart
 *   one learner     scores the batch, forward only, and trains on its own floor(R n) smallest losses
 *   co-teaching     both score the same batch; each trains on the smallest losses of the other, so an error of one is not confirmed by itself
 *
 * A row's loss is the objective's own at the learner as it is now. Of objectives on tokens it is the mean over the row's tokens, so a long row
 * is not a bad one. Everything is a function of (options, seed, step) and the learners, so a resumed run continues bit for bit. */
#include "train/selection.h"
#include "train/train_private.h"

/* ---- what can be refused before anything runs ------------------------------------------------------ */

static agon_status check_objective(const trainer *t) {
    const objective *o = t->options->objective;
    if (o->needs & NEEDS_ADVANTAGE)
        return ctx_fail(t->ctx, AGON_EINVAL, "train: small losses say nothing under %s: its loss follows the rewards of a row's answers, not "
                        "whether a label fits", o->name);
    if (o->coupling == COUPLED_STEP)
        return ctx_fail(t->ctx, AGON_EINVAL, "train: %s has one loss over a whole step, so its rows cannot be selected by their own", o->name);
    return AGON_OK;
}

static agon_status check_partner(const trainer *t) {
    const train_selection *s = &t->options->selection;
    if (t->train ? !s->partner || s->partner == t->train : !s->partner_model || s->partner_model == t->m)
        return ctx_fail(t->ctx, AGON_EINVAL, "train: co-teaching needs a second learner of its own");
    if (t->options->moments)
        return ctx_fail(t->ctx, AGON_EINVAL, "train: co-teaching carries no moments from training to training");
    return AGON_OK;
}

agon_status selection_check_options(trainer *t) {
    const train_selection *s = &t->options->selection;
    size_t batch = t->options->batch_rows;
    if (s->tau == 0 && !s->co_teach)
        return AGON_OK;
    if (!(s->tau > 0 && s->tau < 1) || !(s->ramp >= 0 && s->ramp <= 1))
        return ctx_fail(t->ctx, AGON_EINVAL, "train: the share of rows to leave out (%g) lies above 0 and below 1, its ramp (%g) from 0 to 1",
                        s->tau, s->ramp);
    if (t->dimension_rows)
        return ctx_fail(t->ctx, AGON_EINVAL, "train: rows of several dimensions are weighed by preference vectors; select rows for one dimension "
                        "at a time");
    if (small_loss_count(1 - s->tau, batch) == batch)
        return ctx_fail(t->ctx, AGON_EINVAL, "train: of a batch of %zu rows %g of them is none; use a larger batch", batch, s->tau);
    agon_status status = check_objective(t);
    return status == AGON_OK && s->co_teach ? check_partner(t) : status;
}

/* ---- a step ------------------------------------------------------------------------------------------ */

void swap_learners(trainer *t) {
    const learner now = {t->m, t->train, t->head, t->params, t->moment1, t->moment2};
    t->m = t->other.m;
    t->train = t->other.train;
    t->head = t->other.head;
    t->params = t->other.params;
    t->moment1 = t->other.moment1;
    t->moment2 = t->other.moment2;
    t->other = now;
}

/* What the step keeps, as places in its batch in their order. */
typedef struct choice {
    size_t *own, *partner; /* [n] */
    size_t n;
} choice;

/* Losses of the batch under the learner that stands; *tokens grows by what was run. */
static agon_status score(trainer *t, const size_t *batch, size_t n, const double **losses, size_t *tokens) {
    step s;
    agon_status status = step_of_rows(t, batch, n, &s);
    if (status == AGON_OK)
        status = step_score(t, &s);
    *losses = s.losses;
    *tokens += s.tokens;
    return status;
}

static agon_status choose(trainer *t, const size_t *batch, size_t n, double share, choice *out, size_t *tokens) {
    const double *own = NULL, *other = NULL;
    out->n = small_loss_count(share, n);
    for (size_t i = 0; i < n; i++)
        out->own[i] = out->partner[i] = i;
    if (out->n == n)
        return AGON_OK; /* nothing to rank */
    agon_status s = score(t, batch, n, &own, tokens);
    if (s != AGON_OK || !t->options->selection.co_teach)
        return s == AGON_OK ? select_smallest(t->ctx, own, n, out->n, out->own) : s;
    swap_learners(t);
    s = score(t, batch, n, &other, tokens);
    swap_learners(t);
    return s == AGON_OK ? co_teaching(t->ctx, own, other, n, share, out->own, out->partner, &out->n) : s;
}

/* Gradients of the learner that stands on the rows at `places` of the batch. */
static agon_status learn(trainer *t, const size_t *batch, const size_t *places, size_t n, step *s) {
    size_t *rows = arena_take(t->step, n, sizeof *rows);
    if (!rows)
        return ctx_fail(t->ctx, AGON_ENOMEM, "train: out of memory");
    for (size_t i = 0; i < n; i++)
        rows[i] = batch[places[i]];
    clear_gradients(t);
    agon_status status = step_of_rows(t, rows, n, s);
    return status == AGON_OK ? step_gradients(t, s, 1) : status;
}

/* Rows of one ascending list that are not in the other. */
static size_t n_missing(const size_t *a, const size_t *b, size_t n) {
    size_t common = 0;
    for (size_t i = 0, j = 0; i < n && j < n;) {
        bool equal = a[i] == b[j], behind = a[i] < b[j];
        common += equal;
        i += equal || behind;
        j += !behind;
    }
    return n - common;
}

static void add_metric(step *s, const char *name, double value) {
    if (s->result.n_metrics < MAX_METRICS)
        s->result.metrics[s->result.n_metrics++] = (metric){name, value};
}

static void count(trainer *t, const choice *c, size_t n, step *own, const step *partner) {
    t->tally.seen += n;
    t->tally.kept += c->n;
    add_metric(own, "kept", (double)c->n);
    if (!t->options->selection.co_teach)
        return;
    size_t missing = n_missing(c->own, c->partner, c->n);
    t->tally.disagreed += missing;
    own->tokens += partner->tokens;
    add_metric(own, "partner_loss", partner->result.loss);
    add_metric(own, "disagree", (double)missing / (double)c->n);
}

agon_status selection_gradients(trainer *t, step *own, step *partner) {
    const train_selection *o = &t->options->selection;
    double ramp = o->ramp * (double)train_n_steps(t->options, t->n_data);
    const size_t *batch;
    size_t n, tokens = 0;
    agon_status s = step_batch(t, &batch, &n);
    if (s != AGON_OK)
        return s;
    choice c = {arena_take(t->step, n, sizeof *c.own), arena_take(t->step, n, sizeof *c.partner), 0};
    if (!c.own || !c.partner)
        return ctx_fail(t->ctx, AGON_ENOMEM, "train: out of memory");
    s = choose(t, batch, n, small_loss_share(o->tau, (double)t->next_step, ramp), &c, &tokens);
    if (s == AGON_OK)
        s = learn(t, batch, c.own, c.n, own);
    if (s == AGON_OK && o->co_teach) {
        swap_learners(t);
        s = learn(t, batch, c.partner, c.n, partner);
        swap_learners(t);
    }
    if (s != AGON_OK)
        return s;
    count(t, &c, n, own, partner);
    own->tokens += tokens;
    return AGON_OK;
}
