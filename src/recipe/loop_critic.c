/* The loop's model critic, see loop.c: it learns from verdicts, is examined on others, and decides alone where nobody can verify and its calibrated
 * confidence earned it (loop 3.7); the rest escalates. */
#include "base/ctx.h"
#include "base/random.h"
#include "eval/auroc_pair.h"
#include "recipe/loop_private.h"
#include "recipe/school.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double BETTER = 0.05; /* p of the new critic's better ranking, one-sided */

/* A critic's figures on all that examines, and what it may decide alone. */
typedef struct examination {
    trust_table all, trust;
} examination;

static void examination_free(examination *e) {
    trust_free(&e->all);
    trust_free(&e->trust);
}

/* n_critics: how many are examined on this. Before rules 4 trust stood on verified answers. */
static agon_status examine(loop *l, const char *name, const char *version, const picked *test, size_t n_critics, examination *out) {
    picked open;
    agon_status s = picked_new(l->c, test->n, &open);
    *out = (examination){0};
    if (!s)
        s = school_test(l->c, name, version, &l->queries, &l->answers, test->items, test->n, &out->all);
    for (size_t i = 0; i < test->n && !s; i++)
        if (!loop_verified(&l->answers.items[test->items[i]]))
            open.items[open.n++] = test->items[i];
    snprintf(out->trust.critic, sizeof out->trust.critic, "%s", version);
    if (!s && open.n > 0)
        s = school_calibrate(l->c, cast_path(l->c, "%s/trust", name), version, &l->queries, &l->answers, open.items, open.n, n_critics, &out->trust);
    free(open.items);
    return s;
}

/* What came of a new critic's training. */
typedef struct contest {
    const examination *before, *after; /* of the critic that stood, of the new one; before NULL: none was trained, and after is of the one that stands */
    auroc_pair ranks;                  /* since rules 16; else .p NAN */
    bool taken;
} contest;

/* Why the new one stands, or the old one. */
static void say_contest(loop *l, const contest *x, json_t *data) {
    const trust_table *t = x->before && !x->taken ? &x->before->all : &x->after->all;
    char was[FIGURE_SIZE], is[FIGURE_SIZE], ece[FIGURE_SIZE], why[80] = "";
    if (x->before && l->c->rules >= 16)
        snprintf(why, sizeof why, isnan(x->ranks.p) ? " (too few right or wrong answers to tell)" : " (better: p %.3f)", x->ranks.p);
    school_figure(x->after->all.auroc, is);
    school_figure(t->ece, ece);
    if (x->before)
        cast_say(l->c, data, "critic: AUROC %s before training, %s after%s%s; ECE %s (n %zu)", school_figure(x->before->all.auroc, was), is, why,
                 x->taken ? "" : ": the old one stays", ece, t->n);
    else
        cast_say(l->c, data, "critic: AUROC %s as it is, ECE %s (n %zu)", is, ece, t->n);
}

static void report_critic(loop *l, const contest *x) {
    const examination *now = x->before && !x->taken ? x->before : x->after;
    const trust_table *t = &now->all;
    json_t *report = json_pack("{sI sI so so so so}", "iteration", (json_int_t)l->c->actors.iteration, "n", (json_int_t)t->n, "auroc_before",
                               real_or_null(x->before ? x->before->all.auroc : NAN), "auroc", real_or_null(t->auroc), "ece", real_or_null(t->ece),
                               "families", trust_json(t));
    if (l->c->rules >= 4)
        json_object_update_new(report, json_pack("{ss so so sI so}", "stands", !x->before ? "as it was" : x->taken ? "the new one" : "the old one",
                                                 "auroc_new", real_or_null(x->before ? x->after->all.auroc : NAN), "p", real_or_null(x->ranks.p), "people",
                                                 (json_int_t)now->trust.n, "trust", trust_json(&now->trust)));
    json_array_append(l->critic_reports, report);
    say_contest(l, x, json_pack("{so}", "critic", report));
}

/* From now on the critic decides what this examination allows. */
static void rely_on(loop *l, examination *e) {
    trust_table *t = l->c->rules >= 4 ? &e->trust : &e->all;
    if (t != &e->all) {
        calibrator_free(&l->examined.calibrator);
        l->examined = (examined){e->all.calibrator, e->all.n};
        e->all.calibrator = (calibrator){0};
    }
    trust_free(&l->trust);
    l->trust = *t;
    *t = (trust_table){0};
}

/* A critic that is played elsewhere cannot be trained here, but it can earn trust as it is. */
static agon_status examine_as_it_is(loop *l, const material *m) {
    examination now;
    agon_status s = examine(l, "critic/examine", l->critic, &m->test, 1, &now);
    if (!s) {
        report_critic(l, &(contest){.after = &now, .ranks.p = NAN});
        rely_on(l, &now);
    }
    examination_free(&now);
    return s;
}

/* The critic's scores of the answers that examine it, [test->n] and new; NULL: no memory. */
static double *scores_of(const loop *l, const picked *test) {
    double *scores = memory_new(test->n + 1, sizeof *scores);
    for (size_t i = 0; scores && i < test->n; i++)
        scores[i] = l->answers.items[test->items[i]].p_raw;
    return scores;
}

/* The new critic's scores stand at the answers, `was` [test->n] are the old one's. Answers that one of them abstained from compare nothing. */
static agon_status compare(const loop *l, const picked *test, const double *was, auroc_pair *out) {
    agon_ctx *ctx = l->c->actors.ctx;
    double *now = scores_of(l, test), *before = memory_new(test->n + 1, sizeof *before);
    bool *right = memory_new(test->n + 1, sizeof *right);
    size_t n = 0;
    agon_status s = now && before && right ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "no memory to compare critics");
    for (size_t i = 0; i < test->n && !s; i++) {
        if (isnan(now[i]) || isnan(was[i]))
            continue;
        right[n] = l->answers.items[test->items[i]].outcome == OUTCOME_PASS;
        before[n] = was[i];
        now[n++] = now[i];
    }
    if (!s)
        s = auroc_pair_test(ctx, now, before, right, n, out);
    free(now);
    free(before);
    free(right);
    return s;
}

/* Who stands: the new one only where it is shown to be better; before rules 16 unless its AUROC was lower. Who is taught next: the new one unless it ranks worse. So
 * small steps add up to one that shows, and the post changes hands seldom: what was audited of a critic speaks for no other (loop_audit.c). */
static agon_status settle_contest(loop *l, const material *m, const double *was, const char *version, contest *x) {
    const double gain = x->after->all.auroc - x->before->all.auroc;
    agon_status s = AGON_OK;
    x->taken = l->c->rules < 4 || !(gain < 0);
    x->ranks.p = NAN;
    if (l->c->rules >= 16) {
        s = compare(l, &m->test, was, &x->ranks);
        x->taken = x->ranks.p < BETTER;
        snprintf(l->pupil, sizeof l->pupil, "%s", x->taken || x->ranks.now < x->ranks.before ? "" : version);
    }
    if (!s && x->taken)
        snprintf(l->critic, sizeof l->critic, "%s", version);
    return s;
}

static agon_status teach(loop *l, const material *m) {
    examination before = {0}, after = {0};
    contest x = {.before = &before, .after = &after};
    char version[STORE_ID_SIZE];
    double *was = NULL;
    agon_status s = examine(l, "critic/before", l->critic, &m->test, 2, &before);
    if (!s && !(was = scores_of(l, &m->test)))
        s = ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory to compare critics");
    if (!s)
        s = school_train(l->c, "critic", *l->pupil ? l->pupil : l->critic, &l->queries, &l->answers, m->train.items, m->train.n, version);
    if (!s)
        s = examine(l, "critic/after", version, &m->test, 2, &after);
    for (size_t i = 0; i < m->train.n && !s && l->c->rules >= 4; i++)
        l->queries.items[l->answers.items[m->train.items[i]].query].taught = true;
    if (!s)
        s = settle_contest(l, m, was, version, &x);
    if (!s) {
        report_critic(l, &x);
        rely_on(l, x.taken ? &after : &before);
    }
    free(was);
    examination_free(&before);
    examination_free(&after);
    return s;
}

static agon_status watch(loop *l);

agon_status loop_criticise(loop *l) {
    material m = {0};
    if (l->config->critic.examples == 0)
        return AGON_OK;
    agon_status s = cast_stage(l->c, "critique");
    if (!s && l->c->rules >= 4)
        s = watch(l);
    if (!s)
        s = loop_material(l, CRITIC_OF_REWARD, &m);
    if (!s && m.test.n > 0 && loop_trains_critic(l) && m.train.n > 0)
        s = teach(l, &m);
    else if (!s && m.test.n > 0 && (!loop_trains_critic(l) || l->c->rules >= 4))
        s = examine_as_it_is(l, &m);
    material_free(&m);
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

/* Single answers, with the model critic's words beside them or blindly. */
static agon_status ask_alone(loop *l, const char *name, const picked *which, double propensity, bool blind) {
    cast *c = l->c;
    agon_status s = AGON_OK;
    if (which->n == 0)
        return AGON_OK;
    if (!blind)
        s = write_critiques(&c->actors, cast_path(c, "decide/criticise"), &l->queries, &l->answers, which->items, which->n, l->critic);
    return s ? s : ask_reviewers(&c->actors, cast_path(c, "%s", name), &l->queries, &l->answers, which->items, which->n, "verdict", "train", propensity, blind);
}

/* Who reads the critic's words is drawn to what they say: verdicts that examine it are given without them. Before rules 25 with them. */
static bool is_asked_blindly(const loop *l, size_t answer) {
    return l->c->rules >= 25 && (loop_examines(l, CRITIC_OF_REWARD, l->answers.items[answer].query) || l->config->gate.critic);
}

/* To reviewers: pairs as they are (words about one of two would favour the other), single answers with the model critic's words beside those that do
 * not examine it. */
static agon_status ask_queue(loop *l, const picked *open, size_t most, double propensity) {
    cast *c = l->c;
    answer_pair *pairs = NULL;
    picked alone = {0}, blind = {0};
    size_t n_pairs = 0, n_beside = 0;
    agon_status s = questions(l, open, most, &pairs, &n_pairs, &alone);
    l->asked += (int64_t)(n_pairs + alone.n);
    if (!s && n_pairs > 0)
        s = ask_preferences(&c->actors, cast_path(c, "decide/pairs"), &l->queries, &l->answers, pairs, n_pairs, "train", 1);
    if (!s)
        s = picked_new(c, alone.n, &blind);
    for (size_t i = 0; i < alone.n && !s; i++) {
        const size_t x = alone.items[i];
        if (is_asked_blindly(l, x))
            blind.items[blind.n++] = x;
        else
            alone.items[n_beside++] = x;
    }
    alone.n = n_beside;
    if (!s)
        s = ask_alone(l, "decide/ask", &alone, propensity, false);
    if (!s)
        s = ask_alone(l, "decide/ask_blindly", &blind, propensity, true);
    free(pairs);
    free(alone.items);
    free(blind.items);
    return s;
}

/* To a human; the audits keep their part of the budget. What the budget does not reach is left to chance, so that what people judge speaks for all. */
static agon_status escalate(loop *l, const picked *open) {
    cast *c = l->c;
    size_t left = loop_within_budget(l, INT64_MAX), audits = loop_within_budget(l, l->audits),
           n = open->n < left - audits ? open->n : left - audits;
    const expert_options o = {.purpose = "train", .error_rate = l->config->human.error_rate, .propensity = 1};
    if (n == 0 || (loop_simulated(l) && c->rules >= 2)) /* the simulated expert knows what the verifier knows: of unverifiable answers nothing */
        return AGON_OK;
    if (!loop_simulated(l) && c->rules >= 4 && !loop_learns_from_pairs(l)) {
        rng r = rng_new(seed_derivef((uint64_t)l->config->seed, "escalate|%lld", (long long)c->actors.iteration));
        rng_shuffle(&r, open->items, open->n);
        return ask_queue(l, open, n, (double)n / (double)open->n);
    }
    if (!loop_simulated(l))
        return ask_queue(l, open, n, 1);
    task_outcome *verdicts = memory_new(n, sizeof *verdicts);
    agon_status s = verdicts ? expert_judges(&c->actors, cast_path(c, "decide/expert"), &l->queries, &l->answers,
                                             open->items, n, &o, verdicts, NULL)
                             : ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory to escalate");
    free(verdicts);
    return s;
}

/* ---- the monitor --------------------------------------------------------------------------------------------- */

agon_status loop_note_judged(loop *l, size_t i, bool right, const char *label) {
    if (!memory_grow((void **)&l->judged, &l->judged_capacity, l->n_judged, sizeof *l->judged))
        return ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for an expert's verdict");
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

/* May the critic have been trained on this answer? Before rules 4: on verified answers to queries of the side that teaches, also those that a reviewer
 * judged since. */
static bool may_have_taught(const loop *l, const answer *x) {
    if (l->c->rules >= 4)
        return l->queries.items[x->query].taught;
    bool judged_by_verifier = l->c->rules >= 1 ? loop_verified(x) : x->source && strcmp(x->source, "verifier") == 0;
    return judged_by_verifier && !loop_examines(l, CRITIC_OF_REWARD, x->query);
}

/* What the monitor looks at: since rules 4 what people judged since the last calibration, of answers like those that the critic decides. */
static bool is_watched(const loop *l, const judged_answer *j) {
    const answer *x = &l->answers.items[j->answer];
    return !may_have_taught(l, x) && (l->c->rules < 4 || (!j->seen && !loop_verified(x)));
}

/* The calibration of this family holds no more: what was judged before examines no longer. */
static void forget_calibration(loop *l, const char *family) {
    for (size_t k = 0; k < l->n_judged; k++)
        l->judged[k].stale |= l->judged[k].seen && strcmp(l->queries.items[l->answers.items[l->judged[k].answer].query].family, family) == 0;
}

/* Does the critic's calibration still hold on what experts judged? Since rules 4 before it is calibrated anew. */
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
        if (is_watched(l, &l->judged[i])) {
            which.items[n] = l->judged[i].answer;
            fair[n++] = l->judged[i];
        }
    if (!s && n > 0 && l->trust.n_families > 0) {
        s = judge_answers(&c->actors, cast_path(c, "monitor/judge"), &l->queries, &l->answers, which.items, n, l->critic);
        if (!s)
            s = monitor_critic(&c->actors, cast_path(c, "monitor"), &l->trust, &l->queries, &l->answers, fair, n, &report);
    }
    json_array_foreach(report, n, row) {
        if (!field_true(row, "suspended"))
            continue;
        forget_calibration(l, field_text(row, "family"));
        cast_say(c, json_pack("{sO}", "monitor", row), "the critic's calibration no longer holds for %s: of %lld judged answers it agrees on %.0f%%; it "
                 "decides nothing there%s", field_text(row, "family"), (long long)field_int(row, "n"), 100 * field_real(row, "agreement"),
                 c->rules >= 4 ? " until it is calibrated on what is judged from now on" : "");
    }
    for (size_t i = 0; i < l->n_judged; i++)
        l->judged[i].seen = true;
    json_decref(report);
    free(which.items);
    free(fair);
    return s;
}

/* Since rules 8 the critic is asked only where its word could decide: an untrained one, or one that earned no trust, reads nothing. */
static agon_status ask_critic(loop *l, const picked *unknown) {
    picked which;
    agon_status s = picked_new(l->c, unknown->n, &which);
    for (size_t k = 0; k < unknown->n && !s; k++) {
        const query *q = &l->queries.items[l->answers.items[unknown->items[k]].query];
        if (l->c->rules < 8 || trust_may_decide(&l->trust, q))
            which.items[which.n++] = unknown->items[k];
    }
    if (!s && which.n > 0)
        s = judge_answers(&l->c->actors, cast_path(l->c, "decide/judge"), &l->queries, &l->answers, which.items, which.n, l->critic);
    free(which.items);
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
        if (!s && c->rules < 4)
            s = watch(l);
        if (!s)
            s = ask_critic(l, &unknown);
        if (!s)
            s = trust_decide(&c->actors, cast_path(c, "decide"), &l->trust, &l->queries, &l->answers, unknown.items,
                             unknown.n, &n_decided);
        for (size_t k = 0; k < unknown.n && !s; k++)
            if (!l->answers.items[unknown.items[k]].source)
                open.items[open.n++] = unknown.items[k];
        l->audited[AUDIT_CRITIC].labels += (int64_t)n_decided;
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
