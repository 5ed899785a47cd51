/* What the loop's critics learn from and are examined on, see loop.c. A query is on one side for the whole run, by a hash. What one side says teaches the
 * critic of the reward, which decides and is examined on the other; the gate's critic (loop_gate_critic.c) has the sides exchanged, so that no verdict
 * teaches both. A critic that is not trained here has nothing to learn, and all queries examine it.
 *
 * Three sources, in this order, and of a query one answer, the newest: what people said of answers that no verifier could judge, in whatever iteration; this
 * iteration's verified answers; what people said of verified ones. Trust is earned on the first source alone, since only answers like those are left to the
 * critic: people are asked about a random part of what is open, and audits draw at random from what the critic decided. That leans towards what it left open,
 * and so does not flatter it. Of a query that taught it the critic decides nothing. */
#include "base/ctx.h"
#include "base/random.h"
#include "recipe/loop_private.h"
#include <stdlib.h>
#include <string.h>

enum { CRITIC_MAX_TOKENS = 512 }; /* of an answer: with its query it must fit a training row */

bool loop_trains_critic(const loop *l) {
    return strcmp(l->config->critic.by.backend, "local") == 0;
}

bool loop_examines(const loop *l, critic_of of, size_t query) {
    const bool side = seed_derive(2, l->queries.items[query].identity) & 1;
    if (of == CRITIC_OF_GATE)
        return !side;
    return (l->c->rules >= 4 && !loop_trains_critic(l)) || side;
}

bool loop_verified(const answer *x) {
    return *x->verification;
}

static agon_status material_new(loop *l, critic_of of, material *m) {
    *m = (material){.of = of, .used = memory_new(l->queries.n + 1, sizeof *m->used), .most = (size_t)l->config->critic.examples};
    agon_status s = picked_new(l->c, l->answers.n, &m->train);
    if (!s)
        s = picked_new(l->c, l->answers.n, &m->test);
    return !s && !m->used ? ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for the critic") : s;
}

void material_free(material *m) {
    free(m->train.items);
    free(m->test.items);
    free(m->used);
}

/* Answer i goes to its query's side if there is room. */
static agon_status take(loop *l, material *m, size_t i) {
    const answer *x = &l->answers.items[i];
    bool side = loop_examines(l, m->of, x->query), right = x->outcome == OUTCOME_PASS;
    int64_t n_tokens = 0;
    if (m->used[x->query] || (side ? m->test.n >= m->most : m->n_right[right] >= m->most / 2))
        return AGON_OK;
    agon_status s = example_count_tokens(&l->c->actors, x->text, true, &n_tokens);
    if (s || n_tokens > CRITIC_MAX_TOKENS)
        return s;
    m->used[x->query] = true;
    m->n_right[right] += !side;
    picked *to = side ? &m->test : &m->train;
    to->items[to->n++] = i;
    return AGON_OK;
}

/* All of them, in an order drawn by seed. */
static agon_status take_shuffled(loop *l, material *m, const char *what, picked *order) {
    agon_status s = AGON_OK;
    rng r = rng_new(seed_derivef((uint64_t)l->config->seed, "%s|%lld", what, (long long)l->c->actors.iteration));
    rng_shuffle(&r, order->items, order->n);
    for (size_t k = 0; k < order->n && !s; k++)
        s = take(l, m, order->items[k]);
    return s;
}

/* This iteration's verified answers. */
static agon_status take_verified(loop *l, material *m) {
    picked order;
    agon_status s = picked_new(l->c, l->answers.n, &order);
    for (size_t i = l->first_answer; i < l->answers.n && !s; i++) {
        const answer *x = &l->answers.items[i];
        if (x->source && strcmp(x->source, "verifier") == 0 && strcmp(x->kind, "response") == 0 && *x->text)
            order.items[order.n++] = i;
    }
    if (!s)
        s = take_shuffled(l, m, "critic", &order);
    free(order.items);
    return s;
}

/* What an expert judged: of a query the newest answer that the verifier had or had not judged. */
static agon_status take_judged(loop *l, material *m, bool of_verified) {
    picked order;
    const judged_answer **by_answer = memory_new(l->answers.n + 1, sizeof *by_answer);
    bool *listed = memory_new(l->queries.n + 1, sizeof *listed);
    agon_status s = picked_new(l->c, l->answers.n, &order);
    if (!s && (!by_answer || !listed))
        s = ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for the critic");
    for (size_t k = 0; k < l->n_judged && !s; k++)
        by_answer[l->judged[k].answer] = &l->judged[k];
    for (size_t i = l->answers.n; i-- > 0 && !s;) {
        const answer *x = &l->answers.items[i];
        if (!by_answer[i] || loop_verified(x) != of_verified || listed[x->query] || !*x->text)
            continue;
        listed[x->query] = true;
        if (!by_answer[i]->stale || !loop_examines(l, m->of, x->query))
            order.items[order.n++] = i;
    }
    if (!s)
        s = take_shuffled(l, m, of_verified ? "audited" : "judged", &order);
    free(by_answer);
    free(listed);
    free(order.items);
    return s;
}

/* Answers that people wrote teach what is right where right ones are fewer; they are no answers of the learner and so examine nobody. */
static agon_status take_written(loop *l, material *m) {
    agon_status s = AGON_OK;
    for (size_t i = l->answers.n; i-- > 0 && m->n_right[true] < m->n_right[false] && !s;) {
        const answer *x = &l->answers.items[i];
        if (strcmp(x->kind, "demonstration") != 0 || x->outcome != OUTCOME_PASS || strcmp(x->source, "human") != 0 || loop_examines(l, m->of, x->query))
            continue;
        m->used[x->query] = false; /* also beside one of the learner's */
        s = take(l, m, i);
    }
    return s;
}

agon_status loop_material(loop *l, critic_of of, material *m) {
    const bool people = l->c->rules >= 4;
    agon_status s = material_new(l, of, m);
    if (!s && people && !loop_learns_from_pairs(l)) /* "neither" of two is a verdict, "this one" is none: a sample of failures */
        s = take_judged(l, m, false);
    if (!s)
        s = take_verified(l, m);
    if (!s && people)
        s = take_judged(l, m, true);
    return !s && people ? take_written(l, m) : s;
}
