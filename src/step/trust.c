/* Calibration and the critic's own decisions, see trust.h. */
#include "step/trust.h"
#include "base/ctx.h"
#include "base/random.h"
#include "eval/agreement.h"
#include "role/critic.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Tested answers of one family, or of all: what the critic said, raw and calibrated, and what was true. */
typedef struct sample {
    double *raw, *p;
    bool *right;
    size_t n;
} sample;

static bool sample_new(sample *x, size_t n) {
    *x = (sample){.raw = memory_new(n + 1, sizeof *x->raw),
                  .p = memory_new(n + 1, sizeof *x->p),
                  .right = memory_new(n + 1, sizeof *x->right)};
    return x->raw && x->p && x->right;
}

static void sample_free(sample *x) {
    free(x->raw);
    free(x->p);
    free(x->right);
}

static void sample_add(sample *x, double raw, double p, bool right) {
    x->raw[x->n] = raw;
    x->p[x->n] = p;
    x->right[x->n++] = right;
}

/* Answers to one query share a half. */
static size_t half_of(const query *q) {
    return seed_derive(0, q->identity) & 1;
}

void trust_free(trust_table *t) {
    calibrator_free(&t->calibrator);
    *t = (trust_table){0};
}

const trust *trust_find(const trust_table *t, const char *family) {
    for (size_t i = 0; i < t->n_families; i++)
        if (!t->families[i].suspended && strcmp(t->families[i].family, family) == 0)
            return &t->families[i];
    return NULL;
}

double trust_p(const trust_table *t, double p_raw) {
    return isnan(p_raw) ? NAN : calibrator_apply(&t->calibrator, p_raw);
}

bool trust_decides(const trust_table *t, const char *family, double p_raw, bool *pass) {
    const trust *f = trust_find(t, family);
    if (!f || isnan(p_raw))
        return false;
    bool may_pass = selective_decides(&f->pass, p_raw), may_fail = selective_decides(&f->fail, 1 - p_raw);
    *pass = may_pass && may_fail ? p_raw >= 0.5 : may_pass;
    return may_pass || may_fail;
}

/* Never on answers to a query it was trained on: that is not what it was calibrated for. */
bool trust_may_decide(const trust_table *t, const query *q) {
    const trust *f = trust_find(t, q->family);
    return f && !q->taught && !(f->pass.abstain && f->fail.abstain);
}

/* The raw score from which this verdict is the critic's own; NAN: never. */
static double threshold_of(const trust *f, bool pass) {
    const selective_result *r = pass ? &f->pass : &f->fail;
    return r->abstain ? NAN : pass ? r->lambda : 1 - r->lambda;
}

json_t *trust_json(const trust_table *t) {
    json_t *list = json_array();
    for (size_t i = 0; i < t->n_families; i++) {
        const trust *f = &t->families[i];
        const char *always = f->always_pass ? "pass" : f->always_fail ? "fail" : NULL;
        json_array_append_new(
            list, json_pack("{ss sI so so so so so so ss*}", "family", f->family, "n", (json_int_t)f->n, "auroc",
                            real_or_null(f->auroc), "ece", real_or_null(f->ece), "brier", real_or_null(f->brier),
                            "pass_from", real_or_null(threshold_of(f, true)), "fail_to",
                            real_or_null(threshold_of(f, false)), "coverage", real_or_null(f->coverage), "always", always));
    }
    return list;
}

/* ---- calibration --------------------------------------------------------------------------------------- */

static agon_status measure(agon_ctx *ctx, const sample *x, double *area, double *ece, double *brier) {
    *area = *ece = *brier = NAN;
    if (x->n == 0)
        return AGON_OK;
    *ece = calibration_ece(x->p, x->right, x->n);
    *brier = calibration_brier(x->p, x->right, x->n);
    return auroc(ctx, x->raw, x->right, x->n, area);
}

/* A calibrator from one half of the answers (0, 1) or from all (2). */
static agon_status fit(actors *a, const query_list *queries, const answer_list *answers, const size_t *which,
                       const bool *truth, size_t n, size_t half, calibrator *out) {
    sample x;
    uint64_t *groups = memory_new(n + 1, sizeof *groups);
    agon_status s = sample_new(&x, n) && groups ? AGON_OK : ctx_fail(a->ctx, AGON_ENOMEM, "no memory to calibrate");
    for (size_t i = 0; i < n && !s; i++) {
        const answer *y = &answers->items[which[i]];
        const query *q = &queries->items[y->query];
        if (isnan(y->p_raw) || (half < 2 && half_of(q) != half))
            continue;
        groups[x.n] = seed_derive(1, q->identity);
        sample_add(&x, y->p_raw, y->p_raw, truth[i]);
    }
    if (!s && x.n >= 10) /* fewer say nothing: the identity stays */
        s = calibrator_fit(a->ctx, x.p, x.right, groups, x.n, 1, out);
    sample_free(&x);
    free(groups);
    return s;
}

/* The scores from which one verdict may be the critic's own, tested from the most extreme on. *always: without the scores too. */
static agon_status judge_verdict(actors *a, const sample *x, bool pass, const calibrator *map, const trust_options *o, selective_result *out, bool *always) {
    selective_result blind = {0};
    bool *own = memory_new(x->n + 1, sizeof *own);
    double *confidence = memory_new(x->n + 1, sizeof *confidence);
    bool *error = memory_new(x->n + 1, sizeof *error);
    const size_t least = selective_least(o->alpha, o->delta / 2);
    const selective_options so = {o->alpha, o->delta / 2, o->least > least ? o->least : least};
    agon_status s = confidence && error && own ? AGON_OK : ctx_fail(a->ctx, AGON_ENOMEM, "no memory to calibrate");
    for (size_t i = 0; i < x->n && !s; i++) {
        const double p = calibrator_apply(map, x->raw[i]);
        confidence[i] = pass ? x->raw[i] : 1 - x->raw[i];
        error[i] = x->right[i] != pass;
        own[i] = o->any_verdict || (pass ? p >= 0.5 : p <= 0.5);
    }
    if (!s)
        s = selective_judge(a->ctx, confidence, error, x->n, &so, out);
    if (!s)
        selective_own(confidence, error, own, x->n, so.n_min, out);
    for (size_t i = 0; i < x->n && !s; i++)
        confidence[i] = 1;
    if (!s)
        s = selective_judge(a->ctx, confidence, error, x->n, &so, &blind);
    *always = !s && !blind.abstain;
    free(confidence);
    free(error);
    free(own);
    return s;
}

/* halves [2]: calibrators of the two halves; each answer's P comes from the half it is not in. */
static agon_status test_family(actors *a, const query_list *queries, const answer_list *answers, const size_t *which,
                               const bool *truth, size_t n, const char *family, const calibrator halves[2],
                               const trust_options *o, trust_table *t, sample *all) {
    sample x;
    trust *f = &t->families[t->n_families];
    agon_status s = sample_new(&x, n) ? AGON_OK : ctx_fail(a->ctx, AGON_ENOMEM, "no memory to calibrate");
    for (size_t i = 0; i < n && !s; i++) {
        const answer *y = &answers->items[which[i]];
        const query *q = &queries->items[y->query];
        if (isnan(y->p_raw) || strcmp(q->family, family) != 0)
            continue;
        double p = calibrator_apply(&halves[!half_of(q)], y->p_raw);
        sample_add(&x, y->p_raw, p, truth[i]);
        sample_add(all, y->p_raw, p, truth[i]);
    }
    *f = (trust){.family = family, .n = x.n};
    if (!s)
        s = measure(a->ctx, &x, &f->auroc, &f->ece, &f->brier);
    if (!s)
        s = judge_verdict(a, &x, true, &t->calibrator, o, &f->pass, &f->always_pass);
    if (!s)
        s = judge_verdict(a, &x, false, &t->calibrator, o, &f->fail, &f->always_fail);
    if (!s)
        t->n_families++;
    for (size_t i = 0; i < x.n && !s; i++) {
        bool pass;
        f->coverage += trust_decides(t, family, x.raw[i], &pass) / (double)x.n;
    }
    sample_free(&x);
    return s;
}

typedef struct to_record {
    actors *a;
    const trust_table *t;
    const char *const *labels;
    size_t n;
} to_record;

static agon_status add_calibration(void *arg, size_t i, json_t *ids) {
    const to_record *x = arg;
    const trust_table *t = x->t;
    const trust *f = &t->families[i];
    json_t *parameters = json_pack("{so so so}", "calibrator", calibrator_to_json(&t->calibrator), "pass_from",
                                   real_or_null(threshold_of(f, true)), "fail_to", real_or_null(threshold_of(f, false)));
    store_id id;
    calibration_record r = {.run = run_id(x->a->run),
                            .critic = actors_speaker(x->a, "critic", t->critic),
                            .family = f->family,
                            .method = calibrator_kind_name(t->calibrator.kind),
                            .iteration = x->a->iteration,
                            .n = (int64_t)f->n,
                            .threshold = threshold_of(f, true),
                            .auroc = f->auroc,
                            .ece = f->ece,
                            .brier = f->brier,
                            .error_bound = f->pass.last_bound,
                            .parameters = parameters,
                            .labels = x->labels,
                            .n_labels = x->n};
    agon_status s = json_made(x->a->ctx, parameters);
    if (!s)
        s = store_add_calibration(x->a->store, &r, &id);
    if (!s)
        s = json_append(x->a->ctx, ids, json_string(id.text));
    json_decref(parameters);
    return s;
}

static agon_status record_calibrations(actors *a, const char *path, trust_table *t, const char *const *labels, size_t n) {
    json_t *list = json_array(), *result = NULL;
    const step_key key = {.path = path, .kind = "calibrate"};
    to_record r = {a, t, labels, n};
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_string(labels[i]));
    json_t *input = json_pack("{ss so}", "critic", t->critic, "labels", list);
    agon_status s = step_list(a->run, &key, input, t->n_families, add_calibration, &r, &result);
    for (size_t i = 0; i < t->n_families && !s; i++) {
        const char *id = json_string_value(json_array_get(result, i));
        snprintf(t->families[i].record, STORE_ID_SIZE, "%s", id ? id : "");
    }
    json_decref(result);
    json_decref(input);
    return s;
}

agon_status trust_calibrate(actors *a, const char *path, const char *critic, const query_list *queries,
                            const answer_list *answers, const size_t *which, const bool *truth,
                            const char *const *labels, size_t n, const trust_options *o, trust_table *out) {
    trust_table t = {0};
    calibrator halves[2] = {{0}};
    sample all;
    snprintf(t.critic, sizeof t.critic, "%s", critic);
    agon_status s = sample_new(&all, n) ? fit(a, queries, answers, which, truth, n, 2, &t.calibrator)
                                        : ctx_fail(a->ctx, AGON_ENOMEM, "no memory to calibrate");
    for (size_t half = 0; half < 2 && !s; half++)
        s = fit(a, queries, answers, which, truth, n, half, &halves[half]);
    for (size_t i = 0; i < n && !s; i++) {
        const char *family = queries->items[answers->items[which[i]].query].family;
        if (!trust_find(&t, family) && t.n_families < TRUST_MAX_FAMILIES)
            s = test_family(a, queries, answers, which, truth, n, family, halves, o, &t, &all);
    }
    t.n = all.n;
    if (!s)
        s = measure(a->ctx, &all, &t.auroc, &t.ece, &t.brier);
    if (!s)
        s = record_calibrations(a, path, &t, labels, n);
    calibrator_free(&halves[0]);
    calibrator_free(&halves[1]);
    sample_free(&all);
    if (s)
        trust_free(&t);
    else
        *out = t;
    return s;
}

/* ---- deciding ------------------------------------------------------------------------------------------ */

typedef struct to_decide {
    actors *a;
    const trust_table *t;
    const query_list *queries;
    const answer_list *answers;
    const size_t *which;
} to_decide;

static bool decides_on(const trust_table *t, const query *q, double p_raw, bool *pass) {
    return trust_may_decide(t, q) && trust_decides(t, q->family, p_raw, pass);
}

static agon_status add_decision(void *arg, size_t i, json_t *out) {
    const to_decide *to = arg;
    actors *a = to->a;
    const trust_table *t = to->t;
    const answer *x = &to->answers->items[to->which[i]];
    const query *q = &to->queries->items[x->query];
    const trust *f = trust_find(t, q->family);
    const char *critic = actors_speaker(a, "critic", t->critic);
    double p = trust_p(t, x->p_raw);
    bool pass = false, alone = decides_on(t, q, x->p_raw, &pass);
    store_id decision, label = {""};
    decision_record d = {.run = run_id(a->run),
                         .response = x->id,
                         .route = alone ? "auto" : "escalate",
                         .reason = alone && (pass ? f->always_pass : f->always_fail) ? "this verdict is seldom wrong in this family, whatever the critic's score"
                                   : alone ? "the critic's score earned it"
                                   : !f   ? "no valid calibration for this family"
                                   : q->taught ? "the critic was trained on answers to this query"
                                   : isnan(p) && !trust_may_decide(t, q) ? "no score of the critic's has earned it in this family"
                                   : isnan(p) ? "the critic abstained"
                                              : "the critic's score is between the thresholds",
                         .iteration = a->iteration,
                         .confidence = alone && !pass ? 1 - p : alone || isnan(p) ? p : fmax(p, 1 - p),
                         .threshold = f && alone ? threshold_of(f, pass) : NAN,
                         .calibration = f && *f->record ? f->record : NULL};
    label_record l = {.run = run_id(a->run),
                      .target = x->id,
                      .kind = "point",
                      .value = pass ? "pass" : "fail",
                      .source = "critic",
                      .iteration = a->iteration,
                      .producer = critic,
                      .calibration = d.calibration,
                      .decision = decision.text,
                      .purpose = "train",
                      .confidence_raw = x->p_raw,
                      .confidence = d.confidence};
    agon_status s = store_add_decision(a->store, &d, &decision);
    if (!s && alone)
        s = actors_producer(a, "critic", t->critic, &critic);
    if (!s && alone) {
        s = store_add_label(a->store, &l, &label);
        if (!s)
            s = store_settle(a->store, run_id(a->run), "labels.critic", 1);
    }
    return s ? s : json_append(a->ctx, out, json_string(label.text));
}

agon_status trust_decide(actors *a, const char *path, const trust_table *t, const query_list *queries,
                         answer_list *answers, const size_t *which, size_t n, size_t *n_decided) {
    json_t *result = NULL, *input = json_pack("{ss so}", "critic", t->critic, "answers", answer_ids(answers, which, n));
    const step_key key = {.path = path, .kind = "decide"};
    to_decide d = {a, t, queries, answers, which};
    const char *critic = arena_copy(answers->memory, actors_speaker(a, "critic", t->critic));
    agon_status s = critic ? step_list(a->run, &key, input, n, add_decision, &d, &result) : ctx_fail(a->ctx, AGON_ENOMEM, "no memory for the critic's decisions");
    *n_decided = 0;
    for (size_t i = 0; i < n && !s; i++) {
        answer *x = &answers->items[which[i]];
        const char *label = json_string_value(json_array_get(result, i));
        bool pass = false;
        x->p = trust_p(t, x->p_raw);
        if (!label || !*label || !decides_on(t, &queries->items[x->query], x->p_raw, &pass))
            continue;
        x->outcome = pass ? OUTCOME_PASS : OUTCOME_FAIL;
        x->source = "critic";
        x->critic = critic;
        snprintf(x->label, sizeof x->label, "%s", label);
        (*n_decided)++;
    }
    json_decref(result);
    json_decref(input);
    return s;
}
