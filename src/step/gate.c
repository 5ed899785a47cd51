/* The gate, see evaluate.h. G1 gain, G2 nothing lost, G3 safe, G4 not collapsed, G5 approval honest, G6 labels audited, G7 the books are in order (loop section 1; gate.md where
 * the oracle is sealed). */
#include "base/ctx.h"
#include "eval/interval.h"
#include "eval/multiplicity.h"
#include "step/evaluate.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

json_t *paired_json(const paired_table *t, const paired_sets *sets) {
    const double n = (double)(paired_n(t) - t->same), none = t->same > 0 ? NAN : 0;
    const interval ci = sets ? paired_sets_difference(sets, t, 0.05) : paired_difference(t, 0.05);
    json_t *row = json_pack("{sI so so sf s[ff]}", "n", (json_int_t)paired_n(t), "before",
                            real_or_null(n > 0 ? (double)(t->both + t->lost) / n : none), "after",
                            real_or_null(n > 0 ? (double)(t->both + t->gained) / n : none), "gain", paired_gain(t), "ci95", ci.low, ci.high);
    if (t->same > 0)
        json_object_set_new(row, "same", json_integer((json_int_t)t->same));
    if (sets)
        json_object_set_new(row, "sets", json_integer((json_int_t)paired_sets_n(sets)));
    return row;
}

static json_t *estimate_json(const ppi_estimate *e) {
    return json_pack("{sf sf s[ff]}", "estimate", e->estimate, "standard_error", e->standard_error, "ci95", e->range.low,
                     e->range.high);
}

/* Who judged the items that count, where some were left to people. */
static void add_judges(const gate_evidence *e, json_t *gain) {
    if (e->n_left_to_people == 0)
        return;
    if (e->n_skipped)
        json_object_set_new(gain, "skipped", json_pack("{sI sI}", "incumbent", (json_int_t)e->n_skipped[0], "candidate", (json_int_t)e->n_skipped[1]));
    json_object_set_new(gain, "judged", json_pack("{sI sI sI}", "verifier", (json_int_t)(paired_n(e->primary) - e->primary->same - e->n_people), "people",
                                                  (json_int_t)e->n_people, "left_to_people", (json_int_t)e->n_left_to_people));
}

/* NULL: no memory. */
static json_t *gain_counted(agon_ctx *ctx, const gate_evidence *e, double alpha, bool *holds) {
    sign_flip flip = {0};
    if (e->sets && paired_sets_test(ctx, e->sets, &flip))
        return NULL;
    double p = e->sets ? flip.one_sided : mcnemar_one_sided(e->primary->gained, e->primary->lost);
    *holds = p < alpha;
    json_t *gain = json_pack("{sb so sf sf sI ss}", "holds", *holds, "table", paired_json(e->primary, e->sets), "p", p, "alpha", alpha,
                             "attempt", (json_int_t)e->attempt, "test", e->sets ? "one-sided exact sign flips of sets" : "one-sided exact McNemar");
    add_judges(e, gain);
    if (e->no_estimate)
        json_object_set_new(gain, "critic", json_sprintf("not asked: %s", e->no_estimate));
    return gain;
}

size_t gate_least_gains(double alpha, size_t attempt) {
    size_t n = 1;
    while (mcnemar_one_sided(n, 0) >= alpha_spending(alpha, attempt))
        n++;
    return n;
}

/* The interval of e->estimate must have been made at 2 * the attempt's alpha: its lower end is the one-sided bound. */
static json_t *gain_estimated(const gate_evidence *e, double alpha, bool *holds) {
    const ppi_result *r = e->reported ? e->reported : e->estimate;
    double bound = e->estimate->tuned.range.low;
    *holds = bound > 0 && r->n_labelled >= GATE_LEAST_LABELS;
    json_t *gain = json_pack("{sb sf so so so sI sI sf sf sI ss}", "holds", *holds, "lower_bound", bound, "tuned", estimate_json(&r->tuned), "labels_only",
                     estimate_json(&r->labels_only), "judge_only", estimate_json(&r->judge_only), "labelled",
                     (json_int_t)r->n_labelled, "unlabelled", (json_int_t)r->n_unlabelled, "lambda", r->lambda, "alpha",
                     alpha, "attempt", (json_int_t)e->attempt, "test", "prediction-powered inference, lower bound above 0");
    if (e->primary) {
        json_object_set_new(gain, "table", paired_json(e->primary, e->sets));
        json_object_set_new(gain, "known", json_integer((json_int_t)r->n_known));
        add_judges(e, gain);
    }
    return gain;
}

static json_t *not_inferior(const gate_suite *s, const paired_table *t, bool *holds) {
    const noninferiority ni = noninferiority_tango(t->gained, t->lost, paired_n(t), s->margin, 0.05);
    json_t *row = paired_json(t, NULL), *more = json_pack("{ss sf sf sf ss}", "suite", s->name, "margin", s->margin, "p", ni.p, "lower", ni.lower,
                                                    "verdict", ni.holds ? "not inferior" : "not shown to be not inferior");
    *holds = *holds && ni.holds;
    json_object_update(row, more);
    json_decref(more);
    return row;
}

/* What is lost to the incumbent within the margin may be lost again at each promotion: not to the base. Both bounds must hold, so neither needs a smaller alpha. */
static void add_against_base(json_t *row, json_t *against_base, bool within, bool *holds) {
    json_object_set_new(row, "against_base", against_base);
    if (!within && *holds)
        json_object_set_new(row, "verdict", json_string("not shown to be not inferior to the base"));
    *holds = *holds && within;
}

static json_t *suite_json(const gate_suite *s, bool *holds) {
    if (!s->run)
        return json_pack("{ss ss}", "suite", s->name, "verdict", "not run");
    bool within = true, holds_to_base = true;
    json_t *row = not_inferior(s, &s->table, &within);
    if (s->safety) {
        size_t n = paired_n(&s->table), failures = s->table.lost + s->table.neither;
        double upper = clopper_pearson_upper(failures, n, 0.05);
        json_object_set_new(row, "failures_upper", json_real(upper));
        json_object_set_new(row, "limit", json_real(s->limit));
        if (upper > s->limit)
            json_object_set_new(row, "verdict", json_string("failures are not shown to be within the limit"));
        within = within && upper <= s->limit;
    }
    if (paired_n(&s->base) > 0) {
        json_t *against_base = not_inferior(s, &s->base, &holds_to_base);
        add_against_base(row, against_base, holds_to_base, &within);
    }
    *holds = *holds && within;
    return row;
}

static json_t *text_row(const gate_evidence *e, const perplexity_comparison *c) {
    return json_pack("{ss sI sf sf sf sf sf ss}", "suite", "held-out text", "n", (json_int_t)e->n_documents, "before",
                     c->before, "after", c->after, "rise", c->rise, "upper", c->upper, "margin", e->perplexity_margin,
                     "verdict", c->holds ? "not inferior" : "not shown to be not inferior");
}

static json_t *text_json(const gate_evidence *e, bool *holds) {
    const perplexity_comparison *c = e->perplexity, *base = e->perplexity_of_base;
    if (!c)
        return json_pack("{ss ss}", "suite", "held-out text", "verdict", "not run");
    bool within = c->holds;
    json_t *row = text_row(e, c);
    if (base)
        add_against_base(row, text_row(e, base), base->holds, &within);
    *holds = *holds && within;
    return row;
}

static json_t *nothing_lost(const gate_evidence *e, bool *holds) {
    json_t *list = json_array();
    *holds = true;
    json_array_append_new(list, text_json(e, holds));
    for (size_t i = 0; i < e->n_suites; i++)
        if (!e->suites[i].safety)
            json_array_append_new(list, suite_json(&e->suites[i], holds));
    return json_pack("{sb so}", "holds", *holds, "suites", list);
}

/* Which suites G2 was not shown on, the text among them: "held-out text, gsm8k". */
static void name_lost(const json_t *lost, char out[120]) {
    const json_t *row;
    size_t i, length = 0;
    *out = 0;
    json_array_foreach(json_object_get(lost, "suites"), i, row)
        if (strncmp(field_text(row, "verdict"), "not shown", 9) == 0 && length < 120)
            length += (size_t)snprintf(out + length, 120 - length, "%s%s", length ? ", " : "", field_text(row, "suite"));
}

static json_t *not_evaluated(void) {
    return json_string("not evaluated");
}

static json_t *safe(const gate_evidence *e, bool *holds) {
    json_t *list = json_array();
    *holds = true;
    for (size_t i = 0; i < e->n_suites; i++)
        if (e->suites[i].safety)
            json_array_append_new(list, suite_json(&e->suites[i], holds));
    if (json_array_size(list) > 0)
        return json_pack("{sb so}", "holds", *holds, "suites", list);
    json_decref(list);
    return not_evaluated();
}

/* Has the candidate's own distribution collapsed? */
static json_t *not_collapsed(const gate_evidence *e, bool *holds) {
    *holds = !e->collapse || json_is_true(json_object_get(e->collapse, "holds"));
    return e->collapse ? json_incref(e->collapse) : not_evaluated();
}

static bool often_enough(const gate_audits *a, size_t n_agreed, size_t n, double least) {
    return a->n_labels == 0 || clopper_pearson_lower(n_agreed, n, 0.05) >= least;
}

bool gate_audits_may_change(const gate_audits *audits, size_t n, double least) {
    bool best = true, worst = true;
    for (size_t i = 0; i < n; i++) {
        const gate_audits *a = &audits[i];
        best = best && often_enough(a, a->n_agreed + a->n_open, a->n + a->n_open, least);
        worst = worst && often_enough(a, a->n_agreed, a->n + a->n_open, least);
    }
    return best && !worst;
}

/* Each source that labelled something must be shown to be right often enough. The simulated expert answers from the verifier, so its audits of the verifier
 * are shown and decide nothing. */
static json_t *audited_by_source(const gate_evidence *e, bool *holds) {
    json_t *table = json_pack("{sf}", "least", e->least_agreement), *critics = json_array();
    bool any = false;
    *holds = true;
    for (size_t i = 0; i < e->n_sources; i++) {
        const gate_audits *a = &e->audits[i];
        double lower = clopper_pearson_lower(a->n_agreed, a->n, 0.05);
        bool counts = a->n_labels > 0 && !(e->expert_is_verifier && strcmp(a->source, "verifier") == 0);
        json_t *row = json_pack("{sI sI sI so sb}", "labels", (json_int_t)a->n_labels, "audits", (json_int_t)a->n, "agreed", (json_int_t)a->n_agreed,
                                "lower", a->n > 0 ? json_real(lower) : json_null(), "counts", counts);
        if (a->n_open > 0)
            json_object_set_new(row, "open", json_integer((json_int_t)a->n_open));
        if (a->version) {
            json_object_set_new(row, "version", json_string(a->version));
            json_array_append_new(critics, row);
        } else {
            json_object_set_new(table, a->source, row);
        }
        *holds = *holds && (!counts || often_enough(a, a->n_agreed, a->n, e->least_agreement));
        any = any || counts;
    }
    if (json_array_size(critics) > 0)
        json_object_set(table, "critics", critics);
    json_decref(critics);
    if (any) {
        json_object_set_new(table, "holds", json_boolean(*holds));
        return table;
    }
    json_decref(table);
    return json_string("not evaluated: no critic label was audited");
}

/* Where the critic and the learner drift together, agreement with the expert falls. */
static json_t *labels_audited(const gate_evidence *e, bool *holds) {
    double lower = clopper_pearson_lower(e->n_audits_agreed, e->n_audits, 0.05);
    *holds = e->least_agreement == 0 || lower >= e->least_agreement;
    if (e->least_agreement == 0)
        return not_evaluated();
    if (e->audits)
        return audited_by_source(e, holds);
    return json_pack("{sb sI sI sf sf}", "holds", *holds, "audits", (json_int_t)e->n_audits, "agreed", (json_int_t)e->n_audits_agreed,
                     "lower", lower, "least", e->least_agreement);
}

static json_t *approval_shares_json(const approval_table *t) {
    const approval_shares s = approval_shares_of(t);
    return json_pack("{sf sf sf so so}", "approval", s.approval, "correct", s.correct, "error", s.error, "fpr", real_or_null(s.fpr), "fnr", real_or_null(s.fnr));
}

/* Where a candidate learnt to please the critic, approval grows and correctness does not. */
static json_t *over_approved(const gate_evidence *e, bool *holds) {
    const gate_approval *a = &e->approval;
    const over_approval *m = &a->measured;
    const size_t n = approval_n(&m->before);
    *holds = n == 0 || a->limit == 0 || m->range.high <= a->limit;
    if (n == 0)
        return a->missing ? json_sprintf("not evaluated: %s", a->missing) : not_evaluated();
    json_t *row = a->limit > 0 ? json_pack("{sb sf}", "holds", *holds, "limit", a->limit) : json_pack("{sn}", "limit");
    json_t *more = json_pack("{sI sf s[ff] so so s{sI so so}}", "n", (json_int_t)n, "index", m->index, "ci95", m->range.low, m->range.high,
                             "before", approval_shares_json(&m->before), "after", approval_shares_json(&m->after), "wrong_in_both", "n",
                             (json_int_t)approval_n(&m->wrong_before), "fpr_before", real_or_null(approval_shares_of(&m->wrong_before).fpr), "fpr_after",
                             real_or_null(approval_shares_of(&m->wrong_after).fpr));
    json_object_update(row, more);
    json_decref(more);
    if (m->same > 0)
        json_object_set_new(row, "same", json_integer((json_int_t)m->same));
    return row;
}

static json_t *books(const gate_evidence *e, bool *holds) {
    *holds = !e->contaminated && !e->over_budget && !e->chain_problem;
    return json_pack("{sb ss ss ss}", "holds", *holds, "journal", e->chain_problem ? e->chain_problem : "intact",
                     "contamination", e->contaminated ? "a training example is an evaluation item" : "none", "budget",
                     e->over_budget ? "more expert labels than allowed" : "kept");
}

agon_status gate_decide(agon_ctx *ctx, const gate_evidence *e, bool *promote, json_t **figures) {
    bool g1 = false, g2 = false, g3 = false, g4 = false, g5 = false, g6 = false, g7 = false;
    double alpha = alpha_spending(e->alpha, e->attempt);
    json_t *gain = e->estimate ? gain_estimated(e, alpha, &g1) : gain_counted(ctx, e, alpha, &g1), *lost = nothing_lost(e, &g2),
           *safety = safe(e, &g3), *collapse = not_collapsed(e, &g4), *approved = over_approved(e, &g5), *audited = labels_audited(e, &g6),
           *order = books(e, &g7);
    char lost_on[120], losing[180];
    name_lost(lost, lost_on);
    snprintf(losing, sizeof losing, "something may have been lost on %s (G2)", lost_on);
    const char *reason = !g1   ? "no gain shown on held-out tasks (G1)"
                         : !g2 ? losing
                         : !g3 ? "not shown to be as safe as asked (G3)"
                         : !g4 ? field_text(collapse, "reason")
                         : !g5 ? "what the critic approves may have grown beyond what is right (G5)"
                         : !g6 ? "automatic labels are not shown to be right often enough (G6)"
                         : !g7 ? "journal, contamination or budget (G7)"
                               : "gain shown, nothing lost, books in order";
    json_t *made = json_pack("{so so so so so so so ss}", "G1", gain, "G2", lost, "G7", order, "G3", safety, "G4", collapse, "G5",
                             approved, "G6", audited, "reason", reason);
    if (!made)
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for the gate's figures");
    *promote = g1 && g2 && g3 && g4 && g5 && g6 && g7;
    *figures = made;
    return AGON_OK;
}

typedef struct verdict {
    actors *a;
    const gate_evidence *e;
    const json_t *held_out;
    const char *const *labels;
    size_t n_labels;
} verdict;

static agon_status add_verdict(const verdict *d, bool promote, const json_t *figures) {
    const char *reason = field_text(figures, "reason"), *run = run_id(d->a->run);
    gate_record g = {.run = run,
                     .candidate = d->e->candidate,
                     .incumbent = d->e->incumbent,
                     .verdict = promote ? "promote" : "reject",
                     .reason = reason,
                     .iteration = d->a->iteration,
                     .figures = figures,
                     .labels = d->labels,
                     .n_labels = d->n_labels};
    version_status_record v = {.run = run,
                               .version = d->e->candidate,
                               .status = promote ? "promoted" : "rejected",
                               .reason = reason,
                               .iteration = d->a->iteration,
                               .held_out = d->held_out};
    agon_status s = store_add_gate(d->a->store, &g, NULL);
    return s ? s : store_add_version_status(d->a->store, &v);
}

static agon_status reach_verdict(void *arg, json_t **result) {
    const verdict *d = arg;
    gate_evidence e = *d->e;
    json_t *figures = NULL;
    bool promote = false;
    journal_report *report = memory_new(1, sizeof *report);
    agon_status s = report ? journal_verify(d->a->ctx, d->a->store, report) : ctx_fail(d->a->ctx, AGON_ENOMEM, "no memory to verify the journal");
    if (!s && !report->ok)
        e.chain_problem = report->problem;
    if (!s)
        s = gate_decide(d->a->ctx, &e, &promote, &figures);
    if (!s)
        s = add_verdict(d, promote, figures);
    if (!s)
        *result = json_pack("{ss sO}", "verdict", promote ? "promote" : "reject", "figures", figures);
    json_decref(figures);
    free(report);
    return s;
}

agon_status gate_verdict(actors *a, const char *path, const gate_evidence *e, const json_t *held_out, const char *const *labels, size_t n_labels,
                         bool *promote, json_t **figures) {
    json_t *input = json_pack("{ss ss}", "candidate", e->candidate, "incumbent", e->incumbent), *result = NULL;
    const step_key key = {.path = path, .kind = "gate"};
    verdict d = {a, e, held_out, labels, n_labels};
    agon_status s = step_once(a->run, &key, input, reach_verdict, &d, &result);
    if (!s) {
        *promote = strcmp(field_text(result, "verdict"), "promote") == 0;
        *figures = json_incref(json_object_get(result, "figures"));
    }
    json_decref(result);
    json_decref(input);
    return s;
}
