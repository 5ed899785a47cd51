/* Which rows, or which of their tokens, a step trains on: small-loss selection, and co-teaching (Han et al. 2018, 1804.06872, algorithm 1).
 *
 *   R(t) = 1 - tau * min(t / ramp, 1)     share of the batch that is kept: all of it at first, since a model learns what rows have in
 *                                         common before it learns wrong ones by heart
 *   one learner     scores the batch, forward only, and trains on its own floor(R n) smallest losses
 *   co-teaching     both score the same batch; each trains on the smallest losses of the other, so an error of one is not confirmed by itself
 *
 * A row's loss is the objective's own at the learner as it is now. Of objectives on tokens it is the mean over the row's tokens, so a long row
 * is not a bad one. Where only parts of a response are wrong, stretches of it are ranked instead, over the whole step: single tokens, or spans of
 * some tokens counted from the response's start, by the mean over their supervised tokens. What is left out has weight 0 in this step and is
 * context still. Everything is a function of (options, seed, step) and the learners, so a resumed run continues bit for bit. */
#include "train/selection.h"
#include "train/train_private.h"
#include <string.h>

static const char *const level_names[] = {"row", "token", "span"};
enum { N_LEVELS = sizeof level_names / sizeof *level_names };

agon_status selection_level_find(agon_ctx *ctx, const char *name, selection_level *out) {
    for (int i = 0; name && i < N_LEVELS; i++)
        if (strcmp(name, level_names[i]) == 0) {
            *out = (selection_level)i;
            return AGON_OK;
        }
    return ctx_fail(ctx, AGON_EINVAL, "small losses are those of a row, token or span, not '%.40s'", name ? name : "");
}

const char *selection_level_name(selection_level level) {
    return level_names[level];
}

/* ---- what can be refused before anything runs ------------------------------------------------------ */

static agon_status check_objective(agon_ctx *ctx, const train_options *options) {
    const objective *o = options->objective;
    if (o->needs & NEEDS_ADVANTAGE)
        return ctx_fail(ctx, AGON_EINVAL, "train: small losses say nothing under %s: its loss follows the rewards of a row's answers, not "
                        "whether a label fits", o->name);
    if (o->coupling == COUPLED_STEP)
        return ctx_fail(ctx, AGON_EINVAL, "train: %s has one loss over a whole step, so its rows cannot be selected by their own", o->name);
    const bool tokens = o->coupling == COUPLED_TOKEN && !(o->needs & NEEDS_HEAD);
    if (options->selection.level != SELECT_ROWS && !tokens)
        return ctx_fail(ctx, AGON_EINVAL, "train: %s has no loss for a token by itself; tokens and spans are selected under nll, sft, gce, sce and "
                        "token-forward", o->name);
    return AGON_OK;
}

agon_status selection_check_partner(const trainer *t) {
    const train_selection *s = &t->options->selection;
    if (!s->co_teach)
        return AGON_OK;
    if (t->train ? !s->partner || s->partner == t->train : !s->partner_model || s->partner_model == t->m)
        return ctx_fail(t->ctx, AGON_EINVAL, "train: co-teaching needs a second learner of its own");
    if (t->options->moments)
        return ctx_fail(t->ctx, AGON_EINVAL, "train: co-teaching carries no moments from training to training");
    return AGON_OK;
}

agon_status selection_check_options(agon_ctx *ctx, const train_options *o, size_t n_dimensions) {
    const train_selection *s = &o->selection;
    size_t batch = o->batch_rows;
    if (s->tau == 0 && !s->co_teach)
        return AGON_OK;
    if (!(s->tau > 0 && s->tau < 1) || !(s->ramp >= 0 && s->ramp <= 1))
        return ctx_fail(ctx, AGON_EINVAL, "train: the share of rows to leave out (%g) lies above 0 and below 1, its ramp (%g) from 0 to 1",
                        s->tau, s->ramp);
    if (n_dimensions)
        return ctx_fail(ctx, AGON_EINVAL, "train: rows of several dimensions are weighed by preference vectors; select rows for one dimension "
                        "at a time");
    if (s->level == SELECT_SPANS && s->span == 0)
        return ctx_fail(ctx, AGON_EINVAL, "train: a span to be selected has 1 token or more");
    if (s->level == SELECT_ROWS && small_loss_count(1 - s->tau, batch) == batch)
        return ctx_fail(ctx, AGON_EINVAL, "train: of a batch of %zu rows %g of them is none; use a larger batch", batch, s->tau);
    return check_objective(ctx, o);
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

/* Tokens of one response, some of them supervised. */
typedef struct stretch {
    size_t row, response, first, n;
} stretch;

/* What is ranked: the rows of a batch, or the stretches of their responses. */
typedef struct candidates {
    const size_t *batch; /* [n_rows] */
    size_t n_rows, n;
    stretch *stretches; /* [n]; NULL: the rows */
} candidates;

/* What the step keeps, as places among the candidates in their order. */
typedef struct choice {
    size_t *own, *partner; /* [n] */
    size_t n;
} choice;

static bool is_learnt(const row *r, const response *x, size_t j) {
    return r->weight * x->weight * x->mask[j] > 0;
}

/* Stretches of `length` tokens with something to learn in them; out NULL: only counted. */
static size_t cut_rows(const step *s, size_t length, stretch *out) {
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        for (size_t k = 0; k < s->rows[i].n_responses; k++) {
            const response *x = &s->rows[i].responses[k];
            for (size_t first = 0; first < x->n; first += length) {
                const stretch one = {i, k, first, x->n - first < length ? x->n - first : length};
                bool any = false;
                for (size_t j = first; j < first + one.n; j++)
                    any = any || is_learnt(&s->rows[i], x, j);
                if (any && out)
                    out[n] = one;
                n += any;
            }
        }
    return n;
}

static agon_status find_candidates(trainer *t, candidates *c) {
    const train_selection *o = &t->options->selection;
    size_t length = o->level == SELECT_SPANS ? o->span : 1;
    step s;
    agon_status status = step_batch(t, &c->batch, &c->n_rows);
    c->n = c->n_rows;
    c->stretches = NULL;
    if (status != AGON_OK || o->level == SELECT_ROWS)
        return status;
    status = step_of_rows(t, c->batch, c->n_rows, &s);
    if (status != AGON_OK)
        return status;
    c->n = cut_rows(&s, length, NULL);
    c->stretches = arena_take(t->step, c->n + 1, sizeof *c->stretches);
    if (!c->stretches)
        return ctx_fail(t->ctx, AGON_ENOMEM, "train: out of memory");
    cut_rows(&s, length, c->stretches);
    return AGON_OK;
}

/* The objective's loss of a stretch as if it were a response: a mean over its supervised tokens. Overwrites its gradients. */
static agon_status loss_of_stretch(trainer *t, const step *s, const stretch *c, double *loss) {
    response x = s->rows[c->row].responses[c->response];
    x.n = c->n;
    x.log_prob += c->first, x.mask += c->first, x.d_log_prob += c->first;
    if (x.mean_log_prob)
        x.mean_log_prob += c->first, x.d_mean_log_prob += c->first;
    const row one = {.responses = &x, .n_responses = 1, .weight = 1};
    char place[ROW_PLACE_SIZE];
    objective_result result = {.losses = loss};
    agon_status status = t->options->objective->loss(t->ctx, t->options->objective, t->step_options, &one, 1, &result);
    return status == AGON_OK ? status
                             : ctx_prefix(t->ctx, status, "step %zu, %s", t->next_step + 1, row_place(t->data, s->index[c->row].index, place));
}

/* Losses of the candidates [n] under the learner that stands; *tokens grows by what was run. */
static agon_status score(trainer *t, const candidates *c, const double **losses, size_t *tokens) {
    step s;
    double *of_stretches = arena_take(t->step, c->n + 1, sizeof *of_stretches);
    agon_status status = of_stretches ? step_of_rows(t, c->batch, c->n_rows, &s) : ctx_fail(t->ctx, AGON_ENOMEM, "train: out of memory");
    if (status == AGON_OK)
        status = step_score(t, &s);
    for (size_t i = 0; c->stretches && i < c->n && status == AGON_OK; i++)
        status = loss_of_stretch(t, &s, &c->stretches[i], &of_stretches[i]);
    if (status != AGON_OK)
        return status;
    *losses = c->stretches ? of_stretches : s.losses;
    *tokens += s.tokens;
    return AGON_OK;
}

static agon_status choose(trainer *t, const candidates *c, double share, choice *out, size_t *tokens) {
    const double *own = NULL, *other = NULL;
    *out = (choice){arena_take(t->step, c->n + 1, sizeof *out->own), arena_take(t->step, c->n + 1, sizeof *out->partner),
                    small_loss_count(share, c->n)};
    if (!out->own || !out->partner)
        return ctx_fail(t->ctx, AGON_ENOMEM, "train: out of memory");
    for (size_t i = 0; i < c->n; i++)
        out->own[i] = out->partner[i] = i;
    if (out->n == c->n)
        return AGON_OK; /* nothing to rank */
    agon_status s = score(t, c, &own, tokens);
    if (s != AGON_OK || !t->options->selection.co_teach)
        return s == AGON_OK ? select_smallest(t->ctx, own, c->n, out->n, out->own) : s;
    swap_learners(t);
    s = score(t, c, &other, tokens);
    swap_learners(t);
    return s == AGON_OK ? co_teaching(t->ctx, own, other, c->n, share, out->own, out->partner, &out->n) : s;
}

/* Takes the weight of every stretch that is not at one of the `places`, ascending [n]. */
static void leave_out(const candidates *c, const size_t *places, size_t n, step *s) {
    for (size_t i = 0, at = 0; i < c->n; i++) {
        const stretch *one = &c->stretches[i];
        if (at < n && places[at] == i) {
            at++;
            continue;
        }
        double *mask = (double *)s->rows[one->row].responses[one->response].mask; /* the step's own */
        for (size_t j = one->first; j < one->first + one->n; j++) {
            s->supervised -= mask[j] > 0;
            mask[j] = 0;
        }
    }
}

/* Gradients of the learner that stands on the candidates at `places` [n]. */
static agon_status learn(trainer *t, const candidates *c, const size_t *places, size_t n, step *s) {
    size_t *rows = arena_take(t->step, n, sizeof *rows);
    if (!rows)
        return ctx_fail(t->ctx, AGON_ENOMEM, "train: out of memory");
    for (size_t i = 0; i < n && !c->stretches; i++)
        rows[i] = c->batch[places[i]];
    clear_gradients(t);
    agon_status status = c->stretches ? step_of_rows(t, c->batch, c->n_rows, s) : step_of_rows(t, rows, n, s);
    if (status == AGON_OK && c->stretches)
        leave_out(c, places, n, s);
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
    candidates all;
    choice c;
    size_t tokens = 0;
    agon_status s = find_candidates(t, &all);
    if (s == AGON_OK)
        s = choose(t, &all, small_loss_share(o->tau, (double)t->next_step, ramp), &c, &tokens);
    if (s == AGON_OK)
        s = learn(t, &all, c.own, c.n, own);
    if (s == AGON_OK && o->co_teach) {
        swap_learners(t);
        s = learn(t, &all, c.partner, c.n, partner);
        swap_learners(t);
    }
    if (s != AGON_OK)
        return s;
    count(t, &c, all.n, own, partner);
    own->tokens += tokens;
    return AGON_OK;
}
