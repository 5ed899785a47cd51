/* The loop's model critic, see loop.c: it learns from verdicts, is examined on others, and decides alone where nobody can verify and its calibrated
 * confidence earned it (loop 3.7); the rest escalates. */
#include "base/ctx.h"
#include "base/random.h"
#include "recipe/loop_private.h"
#include "recipe/school.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CRITIC_MAX_TOKENS = 512 }; /* of an answer: with its query it must fit a training row */

/* Verified answers of this iteration, at most one a query: on one side as many right as wrong, to train on; on the other as they come, to calibrate
 * for what comes. The sides share no query. */
static agon_status critic_material(loop *l, size_t most, picked *train, picked *test) {
    picked order;
    size_t n_right[2] = {0};
    bool *used = memory_new(l->queries.n + 1, sizeof *used);
    agon_status s = picked_new(l->c, l->answers.n, &order);
    if (!s)
        s = picked_new(l->c, l->answers.n, train);
    if (!s)
        s = picked_new(l->c, l->answers.n, test);
    if (!s && !used)
        s = ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for the critic");
    for (size_t i = l->first_answer; i < l->answers.n && !s; i++)
        if (l->answers.items[i].outcome != OUTCOME_UNKNOWN && strcmp(l->answers.items[i].kind, "response") == 0 &&
            *l->answers.items[i].text)
            order.items[order.n++] = i;
    rng r = rng_new(seed_derivef((uint64_t)l->config->seed, "critic|%lld", (long long)l->c->actors.iteration));
    if (!s)
        rng_shuffle(&r, order.items, order.n);
    for (size_t k = 0; k < order.n && !s; k++) {
        const answer *x = &l->answers.items[order.items[k]];
        size_t side = seed_derive(2, l->queries.items[x->query].identity) & 1, right = x->outcome == OUTCOME_PASS;
        int64_t n_tokens = 0;
        if (used[x->query] || (side ? test->n >= most : n_right[right] >= most / 2))
            continue;
        s = example_count_tokens(&l->c->actors, x->text, &n_tokens);
        if (s || n_tokens > CRITIC_MAX_TOKENS)
            continue;
        used[x->query] = true;
        n_right[right] += !side;
        picked *to = side ? test : train;
        to->items[to->n++] = order.items[k];
    }
    free(order.items);
    free(used);
    return s;
}

/* before: NULL where nothing was trained. */
static void report_critic(loop *l, const trust_table *before) {
    json_t *report = json_pack("{sI sI so so so so}", "iteration", (json_int_t)l->c->actors.iteration, "n",
                               (json_int_t)l->trust.n, "auroc_before", real_or_null(before ? before->auroc : NAN), "auroc",
                               real_or_null(l->trust.auroc), "ece", real_or_null(l->trust.ece), "families",
                               trust_json(&l->trust));
    json_array_append(l->critic_reports, report);
    json_t *data = json_pack("{so}", "critic", report);
    char was[FIGURE_SIZE], is[FIGURE_SIZE], ece[FIGURE_SIZE];
    school_figure(l->trust.auroc, is);
    school_figure(l->trust.ece, ece);
    if (before)
        cast_say(l->c, data, "critic: AUROC %s before training, %s after; ECE %s (n %zu)", school_figure(before->auroc, was), is, ece, l->trust.n);
    else
        cast_say(l->c, data, "critic: AUROC %s as it is, ECE %s (n %zu)", is, ece, l->trust.n);
}

/* A critic that is played elsewhere cannot be trained here, but it can earn trust as it is. */
static agon_status examine(loop *l, const picked *test) {
    trust_free(&l->trust);
    agon_status s = school_test(l->c, "critic/examine", l->critic, &l->queries, &l->answers, test->items, test->n, &l->trust);
    if (!s)
        report_critic(l, NULL);
    return s;
}

agon_status loop_criticise(loop *l) {
    picked train = {0}, test = {0};
    trust_table before = {0};
    char version[STORE_ID_SIZE];
    bool local = strcmp(l->config->critic.by.backend, "local") == 0;
    if (l->config->critic.examples == 0)
        return AGON_OK;
    agon_status s = cast_stage(l->c, "critique");
    if (!s)
        s = critic_material(l, (size_t)l->config->critic.examples, &train, &test);
    if (!s && !local && test.n > 0)
        s = examine(l, &test);
    if (!s && local && train.n > 0 && test.n > 0) {
        s = school_test(l->c, "critic/before", l->critic, &l->queries, &l->answers, test.items, test.n, &before);
        if (!s)
            s = school_train(l->c, "critic", l->critic, &l->queries, &l->answers, train.items, train.n, version);
        trust_free(&l->trust);
        if (!s)
            s = school_test(l->c, "critic/after", version, &l->queries, &l->answers, test.items, test.n, &l->trust);
        if (!s) {
            memcpy(l->critic, version, sizeof version);
            report_critic(l, &before);
        }
    }
    trust_free(&before);
    free(train.items);
    free(test.items);
    return s;
}

/* ---- deciding what nobody could verify --------------------------------------------------------------------- */

/* The first other open answer to the same query that says something else, behind place k; SIZE_MAX: none. */
static size_t rival(const loop *l, const picked *open, size_t k) {
    const answer *x = &l->answers.items[open->items[k]];
    for (size_t i = k + 1; i < open->n; i++) {
        const answer *y = &l->answers.items[open->items[i]];
        if (y->query == x->query && strcmp(y->text, x->text) != 0)
            return i;
    }
    return SIZE_MAX;
}

/* The open answers as questions, `most` at most. Where the loop learns from pairs, two answers to one query are one question (which is better?),
 * easier to decide than whether either is right; the query's other answers are dropped. */
static agon_status questions(loop *l, const picked *open, size_t most, answer_pair **pairs, size_t *n_pairs, picked *alone) {
    bool *used = memory_new(l->queries.n + 1, sizeof *used);
    *pairs = memory_new(most + 1, sizeof **pairs);
    agon_status s = picked_new(l->c, most, alone);
    if (!s && (!used || !*pairs))
        s = ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory to escalate");
    for (size_t k = 0; k < open->n && *n_pairs + alone->n < most && !s; k++) {
        size_t i = open->items[k], query = l->answers.items[i].query;
        size_t other = loop_learns_from_pairs(l) && !used[query] ? rival(l, open, k) : SIZE_MAX;
        if (used[query])
            continue;
        used[query] = loop_learns_from_pairs(l);
        if (other == SIZE_MAX)
            alone->items[alone->n++] = i;
        else
            (*pairs)[(*n_pairs)++] = (answer_pair){i, open->items[other]};
    }
    free(used);
    return s;
}

/* To reviewers: pairs as they are (words about one of two would favour the other), single answers with the model critic's words beside them. */
static agon_status ask_queue(loop *l, const picked *open, size_t most) {
    cast *c = l->c;
    answer_pair *pairs = NULL;
    picked alone = {0};
    size_t n_pairs = 0;
    agon_status s = questions(l, open, most, &pairs, &n_pairs, &alone);
    l->asked += (int64_t)(n_pairs + alone.n);
    if (!s && n_pairs > 0)
        s = ask_preferences(&c->actors, cast_path(c, "decide/pairs"), &l->queries, &l->answers, pairs, n_pairs, "train", 1);
    if (!s && alone.n > 0)
        s = write_critiques(&c->actors, cast_path(c, "decide/criticise"), &l->queries, &l->answers, alone.items, alone.n,
                            l->critic);
    if (!s && alone.n > 0)
        s = ask_reviewers(&c->actors, cast_path(c, "decide/ask"), &l->queries, &l->answers, alone.items, alone.n, "verdict",
                          "train", 1);
    free(pairs);
    free(alone.items);
    return s;
}

/* To a human; the audits keep their part of the budget. */
static agon_status escalate(loop *l, const picked *open) {
    cast *c = l->c;
    size_t left = loop_within_budget(l, INT64_MAX), audits = loop_within_budget(l, l->config->human.audits),
           n = open->n < left - audits ? open->n : left - audits;
    const expert_options o = {.purpose = "train", .error_rate = l->config->human.error_rate, .propensity = 1};
    if (n == 0 || (loop_simulated(l) && c->rules >= 2)) /* the simulated expert knows what the verifier knows: of unverifiable answers nothing */
        return AGON_OK;
    if (!loop_simulated(l))
        return ask_queue(l, open, n);
    task_outcome *verdicts = memory_new(n, sizeof *verdicts);
    agon_status s = verdicts ? expert_judges(&c->actors, cast_path(c, "decide/expert"), &l->queries, &l->answers,
                                             open->items, n, &o, verdicts, NULL)
                             : ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory to escalate");
    free(verdicts);
    return s;
}

/* ---- the monitor --------------------------------------------------------------------------------------------- */

agon_status loop_note_judged(loop *l, size_t i, bool right, const char *label) {
    if (l->n_judged == l->judged_capacity) {
        size_t more = l->judged_capacity ? 2 * l->judged_capacity : 64;
        judged_answer *grown = realloc(l->judged, size_mul(more, sizeof *grown));
        if (!grown)
            return ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for an expert's verdict");
        l->judged = grown;
        l->judged_capacity = more;
    }
    size_t at = 0; /* a second verdict on the same answer stands in the first one's place */
    while (at < l->n_judged && l->judged[at].answer != i)
        at++;
    l->n_judged += at == l->n_judged;
    judged_answer *j = &l->judged[at];
    *j = (judged_answer){.answer = i, .right = right};
    snprintf(j->label, sizeof j->label, "%s", label);
    return AGON_OK;
}

void loop_forget_judged(loop *l, size_t i) {
    size_t kept = 0;
    for (size_t k = 0; k < l->n_judged; k++)
        if (l->judged[k].answer != i)
            l->judged[kept++] = l->judged[k];
    l->n_judged = kept;
}

/* May the critic have been trained on this answer? Verified answers to queries of the training side (critic_material), also those that a
 * reviewer judged since. */
static bool may_have_taught(const loop *l, const answer *x) {
    bool verified = l->c->rules >= 1 ? *x->verification : x->source && strcmp(x->source, "verifier") == 0;
    return verified && (seed_derive(2, l->queries.items[x->query].identity) & 1) == 0;
}

/* Before it decides anything: does the critic's calibration still hold on what experts judged? */
static agon_status watch(loop *l) {
    cast *c = l->c;
    size_t n = 0;
    picked which = {0};
    json_t *report = NULL, *row;
    judged_answer *fair = memory_new(l->n_judged + 1, sizeof *fair);
    agon_status s = picked_new(l->c, l->n_judged, &which);
    if (!s && !fair)
        s = ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for the monitor");
    for (size_t i = 0; i < l->n_judged && !s; i++)
        if (!may_have_taught(l, &l->answers.items[l->judged[i].answer])) {
            which.items[n] = l->judged[i].answer;
            fair[n++] = l->judged[i];
        }
    if (!s && n > 0 && l->trust.n_families > 0) {
        s = judge_answers(&c->actors, cast_path(c, "monitor/judge"), &l->queries, &l->answers, which.items, n, l->critic);
        if (!s)
            s = monitor_critic(&c->actors, cast_path(c, "monitor"), &l->trust, &l->queries, &l->answers, fair, n, &report);
    }
    json_array_foreach(report, n, row) {
        if (field_true(row, "suspended"))
            cast_say(c, json_pack("{sO}", "monitor", row), "the critic's calibration no longer holds for %s: of %lld judged answers it agrees on %.0f%%; it "
                     "decides nothing there", field_text(row, "family"), (long long)field_int(row, "n"), 100 * field_real(row, "agreement"));
    }
    json_decref(report);
    free(which.items);
    free(fair);
    return s;
}

agon_status loop_decide(loop *l) {
    cast *c = l->c;
    picked unknown = {0}, open = {0};
    size_t n_decided = 0;
    agon_status s = picked_new(l->c, l->answers.n, &unknown);
    if (!s)
        s = picked_new(l->c, l->answers.n, &open);
    for (size_t i = l->first_answer; i < l->answers.n && !s; i++)
        if (l->answers.items[i].outcome == OUTCOME_UNKNOWN && *l->answers.items[i].text && !answer_measures(&l->answers.items[i]))
            unknown.items[unknown.n++] = i;
    if (!s && unknown.n > 0) {
        s = cast_stage(c, "decide");
        if (!s)
            s = watch(l);
        if (!s)
            s = judge_answers(&c->actors, cast_path(c, "decide/judge"), &l->queries, &l->answers, unknown.items, unknown.n,
                              l->critic);
        if (!s)
            s = trust_decide(&c->actors, cast_path(c, "decide"), &l->trust, &l->queries, &l->answers, unknown.items,
                             unknown.n, &n_decided);
        for (size_t k = 0; k < unknown.n && !s; k++)
            if (!l->answers.items[unknown.items[k]].source)
                open.items[open.n++] = unknown.items[k];
        if (!s)
            s = escalate(l, &open);
        if (!s)
            cast_say(c, NULL, "%zu answers nobody can verify: the critic decided %zu, %zu wait for a human or are dropped",
                     unknown.n, n_decided, open.n);
    }
    free(unknown.items);
    free(open.items);
    return s;
}
