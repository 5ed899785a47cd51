/* The gate's own critic (gate.critic; gate.md F1), see loop.c. The critic that gave the training reward must not judge what was trained on it, so this one
 * learns from people's verdicts on the other half of the queries (loop_material.c), anew from the base in each iteration and before the learner is trained.
 * It says how likely incumbent's and candidate's answers are right to all held-out queries that only people can judge; people judge those of gate_items of
 * them, drawn at random; prediction-powered inference joins the two. However wrong the critic is, also in favour of the candidate, the estimate is right on
 * average, since what it says is corrected by how it errs where people judged; how much it counts follows from how well it foretells them.
 *
 * Verified queries are a part of their own, known without error (ppi_stratified). A query of which somebody skipped the incumbent's answer shows no difference: leaving it out
 * would leave the critic alone with queries of its kind. Nor does one to which both versions say the same: where it is drawn for people it is a labelled one
 * of difference 0, judged and true, though nobody was asked, and elsewhere an unlabelled one of judged difference 0. Were it unlabelled there too,
 * people's part would hold only queries on which the versions part, and what is said of them would be taken for all. Where there is no such critic, where people were asked about fewer than GATE_LEAST_LABELS, or
 * about all, the gate counts as it does without it; none of that depends on what they said. Of queries that are held out together the first in the file alone
 * counts here, whichever of them was drawn: one piece of evidence, and a draw of such is a simple random one. */
#include "base/ctx.h"
#include "recipe/loop_private.h"
#include "recipe/school.h"
#include "train/samples.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

void gate_critic_free(gate_critic *g) {
    trust_free(&g->trust);
    json_decref(g->report);
    *g = (gate_critic){0};
}

/* ---- before the learner is trained ------------------------------------------------------------------------------- */

/* On what people said of answers that no verifier could judge, like those that it is for. With none its scores stay as they are. */
static agon_status examine(loop *l, const material *m) {
    gate_critic *g = &l->gate_critic;
    picked open;
    agon_status s = picked_new(l->c, m->test.n, &open);
    g->trust = (trust_table){.auroc = NAN, .ece = NAN, .brier = NAN};
    for (size_t i = 0; i < m->test.n && !s; i++)
        if (!loop_verified(&l->answers.items[m->test.items[i]]))
            open.items[open.n++] = m->test.items[i];
    if (!s && open.n > 0)
        s = school_test(l->c, "gate_critic", g->version, &l->queries, &l->answers, open.items, open.n, &g->trust);
    free(open.items);
    return s;
}

static agon_status report(loop *l, const material *m) {
    gate_critic *g = &l->gate_critic;
    const trust_table *t = &g->trust;
    char area[FIGURE_SIZE];
    size_t n_people = 0;
    for (size_t i = 0; i < m->train.n; i++)
        n_people += !loop_verified(&l->answers.items[m->train.items[i]]);
    g->report = json_pack("{sI ss sI sI sI so so}", "iteration", (json_int_t)l->c->actors.iteration, "version", g->version, "taught", (json_int_t)m->train.n,
                          "taught_by_people", (json_int_t)n_people, "examined", (json_int_t)t->n, "auroc", real_or_null(t->auroc), "ece", real_or_null(t->ece));
    if (!g->report)
        return ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for the gate's critic");
    cast_say(l->c, json_pack("{sO}", "gate_critic", g->report), "the gate's critic: taught on %zu verdicts, %zu of them people's alone; AUROC %s on %zu others of people",
             m->train.n, n_people, school_figure(t->auroc, area), t->n);
    return AGON_OK;
}

agon_status loop_teach_gate_critic(loop *l) {
    cast *c = l->c;
    material m = {0};
    gate_critic_free(&l->gate_critic);
    if (!l->config->gate.critic)
        return AGON_OK;
    agon_status s = cast_stage(c, "critique");
    if (!s)
        s = loop_material(l, CRITIC_OF_GATE, &m);
    if (!s && m.train.n > 0)
        s = school_train(c, "gate_critic", c->actors.base, &l->queries, &l->answers, m.train.items, m.train.n, l->gate_critic.version);
    if (!s && m.train.n > 0)
        s = examine(l, &m);
    if (!s && m.train.n > 0)
        s = report(l, &m);
    material_free(&m);
    return s;
}

/* ---- at the gate --------------------------------------------------------------------------------------------------- */

/* Does this query speak for those that are held out together with it? */
static bool speaks(const loop *l, size_t place) {
    return loop_set_of(l, place) == place;
}

/* Those of the first n left to people, in the order of their draw, that speak. */
static size_t n_speaking(const loop *l, const held_out_result *r, size_t n) {
    size_t speaking = 0;
    for (size_t k = 0; k < n; k++)
        speaking += speaks(l, r->left_to_people[k]);
    return speaking;
}

/* Both versions' answers, but for equal ones, which differ in nothing, and empty ones, which are wrong. */
static agon_status judge_held_out(loop *l, const held_out_result *r) {
    picked which;
    agon_status s = picked_new(l->c, 2 * r->n_left_to_people, &which);
    for (size_t k = 0; k < r->n_left_to_people && !s; k++)
        for (size_t v = HELD_OUT_INCUMBENT; v <= HELD_OUT_CANDIDATE; v++)
            if (speaks(l, r->left_to_people[k]) && *loop_held_out_answer(l, r, v, r->left_to_people[k])->text && !loop_same_words(l, r, r->left_to_people[k]))
                which.items[which.n++] = r->first[v] + r->left_to_people[k];
    if (!s && which.n > 0)
        s = judge_answers(&l->c->actors, cast_path(l->c, "gate/judge"), &l->held_out, &l->held_out_answers, which.items, which.n, l->gate_critic.version);
    free(which.items);
    return s;
}

/* P(correct); an abstention favours nobody. */
static double p_of(const loop *l, const answer *x) {
    const double p = *x->text ? trust_p(&l->gate_critic.trust, x->p_raw) : 0;
    return isnan(p) ? 0.5 : p;
}

static double judged_difference(const loop *l, const held_out_result *r, size_t place) {
    return loop_same_words(l, r, place) ? 0 : p_of(l, loop_held_out_answer(l, r, HELD_OUT_CANDIDATE, place)) - p_of(l, loop_held_out_answer(l, r, HELD_OUT_INCUMBENT, place));
}

/* Differences candidate - incumbent. Of what people were asked about: `judge` and `truth`, [n_asked]; of the rest, behind them, `judge` alone. */
typedef struct differences {
    double *known, *judge, *truth;
    size_t n_known, n_asked, n_rest;
} differences;

static agon_status collect(loop *l, const held_out_result *r, differences *d) {
    double *by_place = memory_new(l->held_out.n + 1, sizeof *by_place); /* 0 where somebody skipped the incumbent's */
    *d = (differences){.known = memory_new(r->n + 1, sizeof *d->known), .judge = memory_new(r->n_left_to_people + 1, sizeof *d->judge),
                       .truth = memory_new(r->n_asked + 1, sizeof *d->truth)};
    const bool made = by_place && d->known && d->judge && d->truth;
    for (size_t i = 0; i < r->n && made; i++) {
        const double difference = (double)r->candidate[i] - (double)r->incumbent[i];
        if (loop_left_to_people(&l->held_out.items[r->counted[i]]))
            by_place[r->counted[i]] = difference;
        else if (speaks(l, r->counted[i]))
            d->known[d->n_known++] = difference;
    }
    for (size_t k = 0; k < r->n_left_to_people && made; k++) {
        const size_t place = r->left_to_people[k];
        if (!speaks(l, place))
            continue;
        d->judge[d->n_asked + d->n_rest] = judged_difference(l, r, place);
        if (k < r->n_asked)
            d->truth[d->n_asked++] = by_place[place];
        else
            d->n_rest++;
    }
    free(by_place);
    return made ? AGON_OK : ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for the gate");
}

static void differences_free(differences *d) {
    free(d->known);
    free(d->judge);
    free(d->truth);
}

agon_status loop_join_verdicts(loop *l, const held_out_result *r, double alpha, gain_estimate *out) {
    agon_ctx *ctx = l->c->actors.ctx;
    differences d = {0};
    agon_status s = collect(l, r, &d);
    const size_t n = d.n_asked, rest = d.n_rest;
    if (!s)
        s = ppi_stratified(ctx, d.known, d.n_known, d.judge + n, rest, d.judge, d.truth, n, 2 * alpha, &out->decides);
    if (!s)
        s = ppi_stratified(ctx, d.known, d.n_known, d.judge + n, rest, d.judge, d.truth, n, 0.05, &out->reported);
    out->made = !s;
    differences_free(&d);
    return s;
}

static void say_estimate(loop *l, const ppi_result *r) {
    cast_say(l->c, NULL, "gain %+.1f points [%.1f, %.1f] of %zu held-out queries: the verifier judged %zu, people were asked about %zu, and the gate's critic about these and %zu more, at weight %.2f; "
             "without it [%.1f, %.1f]", 100 * r->tuned.estimate, 100 * r->tuned.range.low, 100 * r->tuned.range.high, r->n_known + r->n_labelled + r->n_unlabelled,
             r->n_known, r->n_labelled, r->n_unlabelled, r->lambda, 100 * r->labels_only.range.low, 100 * r->labels_only.range.high);
}

agon_status loop_estimate_gain(loop *l, const held_out_result *r, double alpha, gain_estimate *out) {
    *out = (gain_estimate){0};
    if (!l->config->gate.critic)
        return AGON_OK;
    const size_t asked = n_speaking(l, r, r->n_asked), all = n_speaking(l, r, r->n_left_to_people);
    out->missing = asked < GATE_LEAST_LABELS           ? "people were asked about fewer than 100 held-out queries"
                   : all - asked < 2 ? "people were asked about all held-out queries that are left to them"
                   : !*l->gate_critic.version             ? "the gate's critic had nothing to learn from"
                                                          : NULL;
    if (out->missing) {
        cast_say(l->c, NULL, "%s: the gain is counted without a critic", out->missing);
        return AGON_OK;
    }
    agon_status s = judge_held_out(l, r);
    if (!s)
        s = loop_join_verdicts(l, r, alpha, out);
    if (!s)
        say_estimate(l, &out->reported);
    return s;
}

agon_status loop_gate_critic_check(agon_ctx *ctx, const run_config *c, const objective *o) {
    const char *needs = !c->tasks.file                                ? "judges held-out queries that only people can; name your own in 'tasks: {file}'"
                        : strcmp(c->human.backend, "queue") != 0      ? "learns from what people say; set 'human: {backend: queue}'"
                        : c->human.gate_items < GATE_LEAST_LABELS     ? "is joined with people's verdicts on no fewer than 100 held-out queries; raise human.gate_items"
                        : strcmp(c->critic.by.backend, "local") != 0  ? "is a critic of its own that is trained here; set 'critic: {backend: local}'"
                        : c->critic.examples == 0                     ? "learns from critic.examples verdicts, and 0 are none; raise it"
                        : samples_make_pairs(o)                     ? "learns from verdicts on single answers, and in a loop that learns from pairs people compare two; take 'objective: sft'"
                                                                      : NULL;
    return c->gate.critic && needs ? ctx_fail(ctx, AGON_EINVAL, "%s: gate.critic: it %s, or leave the line out", c->source, needs) : AGON_OK;
}
