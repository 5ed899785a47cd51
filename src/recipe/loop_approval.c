/* The loop's over-approval (G5), see loop.c: the critic of this iteration, frozen before the candidate was trained, says what it approves of incumbent's and
 * candidate's held-out answers, and the verdicts that G1 counts say what is right. A candidate that learnt to please the critic is approved more without being
 * right more (loop 7.9).
 *
 * The gate's own critic (gate.critic) is not asked, where there is one. What is measured is what training on a critic's approval did to that approval, so the
 * critic is the one that was pleased: whom the candidate never learnt to please it flatters less, and the growth would pass unseen. That no critic judges
 * what it rewarded (loop 1, COMMIT; gate.md) guards where its word speaks for the candidate, as in G1; here it speaks against: what is right is the
 * verifier's and people's to say, and the critic's approval can only reject.
 *
 * To approve is to think right more likely than wrong: P(correct) >= 0.5, calibrated on all answers that examined this critic, most of them verified as the
 * held-out ones are. Neither the raw score (how a model shares itself between Yes and No depends on prompt and training) nor the thresholds of trust (they
 * stand on answers that no verifier could judge; most runs have none, and would approve nothing). */
#include "base/ctx.h"
#include "base/random.h"
#include "recipe/cost.h"
#include "recipe/loop_private.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BEFORE, AFTER, VERSIONS };

/* Of the items drawn: the places of both versions' answers, and what came of them. */
typedef struct drawn {
    size_t *items, n; /* places in held_out_result's arrays */
    bool *approved[VERSIONS], *right[VERSIONS];
    size_t n_judged; /* of them: filled from the front */
    size_t n_same;   /* held_out_result.same: their index is 0 without a question */
} drawn;

static void drawn_free(drawn *d) {
    free(d->items);
    for (size_t v = 0; v < VERSIONS; v++) {
        free(d->approved[v]);
        free(d->right[v]);
    }
}

/* Of those that are held out together the first alone: the others are no evidence beside it. */
static agon_status one_of_each_set(const loop *l, const held_out_result *r, drawn *d) {
    size_t kept = 0;
    bool *met = memory_new(l->held_out.n + 1, sizeof *met);
    if (!met)
        return ctx_no_memory(l->c->actors.ctx);
    for (size_t i = 0; i < d->n; i++) {
        const size_t set = loop_set_of(l, r->counted[d->items[i]]);
        if (!met[set])
            d->items[kept++] = d->items[i];
        met[set] = true;
    }
    d->n = kept;
    free(met);
    return AGON_OK;
}

/* A random part, since a whole is sorted by cell. */
static agon_status draw_items(loop *l, const held_out_result *held_out, drawn *d) {
    const size_t most = (size_t)l->config->gate.approval_items, n = held_out->n;
    rng r = rng_new(seed_derivef((uint64_t)l->config->seed, "approval|%lld", (long long)l->c->actors.iteration));
    *d = (drawn){.items = memory_new(n + 1, sizeof *d->items), .n = n};
    bool made = d->items;
    for (size_t v = 0; v < VERSIONS; v++) {
        d->approved[v] = memory_new(n + 1, sizeof *d->approved[v]);
        d->right[v] = memory_new(n + 1, sizeof *d->right[v]);
        made = made && d->approved[v] && d->right[v];
    }
    if (!made)
        return ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for over-approval");
    for (size_t i = 0; i < n; i++)
        d->items[i] = i;
    rng_shuffle(&r, d->items, n);
    agon_status s = one_of_each_set(l, held_out, d);
    d->n = d->n < most ? d->n : most;
    return s;
}

static size_t place_of(const held_out_result *r, size_t version, size_t item) {
    return r->first[version == AFTER ? HELD_OUT_CANDIDATE : HELD_OUT_INCUMBENT] + r->counted[item];
}

/* Where both versions say the same the critic is asked once, and no answer is not asked about. */
static bool is_asked(const loop *l, const held_out_result *r, size_t version, size_t item) {
    const char *text = l->held_out_answers.items[place_of(r, version, item)].text;
    return *text && (version == BEFORE || strcmp(text, l->held_out_answers.items[place_of(r, BEFORE, item)].text) != 0);
}

static agon_status ask_critic(loop *l, const held_out_result *r, const drawn *d) {
    picked which;
    agon_status s = picked_new(l->c, VERSIONS * d->n, &which);
    for (size_t i = 0; i < d->n && !s; i++)
        for (size_t v = 0; v < VERSIONS && !r->same[d->items[i]]; v++)
            if (is_asked(l, r, v, d->items[i]))
                which.items[which.n++] = place_of(r, v, d->items[i]);
    if (!s && which.n > 0)
        s = judge_answers(&l->c->actors, cast_path(l->c, "approval/judge"), &l->held_out, &l->held_out_answers, which.items, which.n, l->critic);
    free(which.items);
    return s;
}

/* false: the critic gave no P. */
static bool approves(const loop *l, const held_out_result *r, size_t version, size_t item, bool *approved) {
    const answer *x = &l->held_out_answers.items[place_of(r, version, item)];
    *approved = false;
    if (!*x->text)
        return true;
    if (version == AFTER && !is_asked(l, r, version, item))
        x = &l->held_out_answers.items[place_of(r, BEFORE, item)];
    if (isnan(x->p_raw))
        return false;
    *approved = calibrator_apply(&l->examined.calibrator, x->p_raw) >= 0.5;
    return true;
}

/* What it said nothing of, of either version, is left out. */
static void read_verdicts(const loop *l, const held_out_result *r, drawn *d) {
    for (size_t i = 0; i < d->n; i++) {
        const size_t item = d->items[i], k = d->n_judged;
        d->n_same += r->same[item];
        if (r->same[item])
            continue;
        const bool before = approves(l, r, BEFORE, item, &d->approved[BEFORE][k]), after = approves(l, r, AFTER, item, &d->approved[AFTER][k]);
        d->right[BEFORE][k] = r->incumbent[item];
        d->right[AFTER][k] = r->candidate[item];
        d->n_judged += before && after;
    }
}

static void say_approval(loop *l, const gate_approval *a) {
    const over_approval *x = &a->measured;
    const approval_shares before = approval_shares_of(&x->before), after = approval_shares_of(&x->after);
    char same[48] = "";
    if (x->same > 0)
        snprintf(same, sizeof same, " (%zu more in the same words)", x->same);
    cast_say(l->c, NULL, "of %zu held-out answers%s the critic approves %.1f%% -> %.1f%%, right are %.1f%% -> %.1f%%: over-approval %+.3f, 95 %% interval %+.3f to %+.3f",
             approval_n(&x->before), same, 100 * before.approval, 100 * after.approval, 100 * before.correct, 100 * after.correct, x->index, x->range.low, x->range.high);
}

static agon_status measure(loop *l, const drawn *d, gate_approval *out) {
    const approvals before = {d->approved[BEFORE], d->right[BEFORE]}, after = {d->approved[AFTER], d->right[AFTER]};
    const uint64_t seed = seed_derivef((uint64_t)l->config->seed, "approval|bootstrap|%lld", (long long)l->c->actors.iteration);
    agon_status s = over_approval_measure(l->c->actors.ctx, &before, &after, d->n_judged, d->n_same, seed, &out->measured);
    if (!s)
        say_approval(l, out);
    return s;
}

agon_status loop_approval(loop *l, const held_out_result *r, gate_approval *out) {
    drawn d = {0};
    *out = (gate_approval){.limit = l->config->gate.over_approval};
    if (l->c->rules < 5)
        return AGON_OK;
    out->missing = l->config->critic.examples == 0        ? "the run has no model critic"
                   : l->config->gate.approval_items == 0 ? "gate.approval_items is 0"
                   : l->examined.n == 0                  ? "no verdict examined the critic"
                   : r->n == 0                           ? "no held-out answer could be judged right or wrong"
                                                         : NULL;
    if (out->missing)
        return AGON_OK;
    agon_status s = draw_items(l, r, &d);
    if (!s)
        s = ask_critic(l, r, &d);
    if (!s)
        read_verdicts(l, r, &d);
    if (!s && d.n_judged > 0)
        s = measure(l, &d, out);
    else if (!s)
        out->missing = d.n_same == d.n ? "incumbent and candidate say the same words to all that was drawn" : "the critic said nothing of the held-out answers";
    drawn_free(&d);
    return s;
}

double loop_approval_tokens(const run_config *c, double tasks, double own, double own_tokens) {
    const double n = tasks + own, judged = c->critic.examples > 0 ? fmin((double)c->gate.approval_items, n) : 0;
    return n > 0 ? VERSIONS * judged / n * (tasks * CRITIC_PROMPT_TOKENS + own * own_tokens) : 0;
}

agon_status loop_approval_check(agon_ctx *ctx, const run_config *c) {
    const double limit = c->gate.over_approval;
    const bool own = c->tasks.file != NULL; /* how many of its rows are held out is known later */
    const int64_t tasks = c->evaluate.tasks, items = c->gate.approval_items;
    const size_t n = (size_t)(own || items < tasks ? items : tasks);
    if (limit == 0)
        return AGON_OK;
    if (c->critic.examples == 0)
        return ctx_fail(ctx, AGON_EINVAL, "%s: gate.over_approval: it is the model critic's, and critic.examples: 0 has none; leave the line out", c->source);
    if (over_approval_least(n) > limit)
        return ctx_fail(ctx, AGON_EINVAL, "%s: gate.over_approval: %zu held-out answers that are approved and right alike show an index below %.4f, not %g; raise "
                        "gate.approval_items%s to %zu, or the limit", c->source, n, over_approval_least(n), limit, own ? "" : " and evaluate.tasks",
                        over_approval_items(limit));
    return AGON_OK;
}
