/* The loop with a sealed oracle: nobody in it sees a verifier's answer (gate.md; loop 3.3, 3.7).
 *
 *   easy half   the learner answers; the simulated expert labels some; two critics learn from disjoint halves of the labels and from planted
 *               faults, and each is calibrated, per family, on the other's half
 *   hard half   the learner answers; the first critic decides alone where it earned trust, the rest is dropped (there are no labels here)
 *   train       the learner learns from what the expert wrote or accepted, and from what the critic let pass
 *   gate        fresh hard tasks; the second critic, which gave no training reward, judges both versions' answers, the expert labels a random
 *               subset drawn beforehand, and prediction-powered inference joins the two; gates of other runs on the same tasks are attempts, and what
 *               `agon unseal` has told of is not held out again (attempts.h)
 *
 * The verifier's answers go to the ledger; `agon unseal` (unseal.c) says afterwards what was true. */
#include "base/ctx.h"
#include "base/random.h"
#include "eval/multiplicity.h"
#include "recipe/attempts.h"
#include "recipe/choose.h"
#include "recipe/recipe_private.h"
#include "recipe/school.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct sealed {
    cast *c;
    const run_config *config;
    size_t *cells, n_cells; /* easy ones first */
    size_t n_easy;
    aim easy, hard;
    query_list queries, held_out;
    answer_list answers, held_out_answers;
    size_t first_hard; /* answer */
    picked taught[2], natural[2]; /* labelled answers by half: what a critic learns from; the learner's own among them */
    char critic[2][STORE_ID_SIZE], candidate[STORE_ID_SIZE]; /* critics: of the training reward, and the second, of the gate */
    trust_table trust[2];
    example_list examples;
    choice choice;
    size_t n_judged, n_decided;
    int64_t labels_used, gate_labels;
    size_t attempt; /* at these held-out queries in this workspace, from 1 */
    json_t *gate;
    bool promoted;
} sealed;

static agon_status attack(sealed *x, const char *name, aim *a, size_t n, size_t samples) {
    draw *draws = NULL;
    size_t n_draws = 0, from = x->queries.n;
    agon_status s = aim_wave(x->c, a, a == &x->hard ? 2 : 1, n, false, &draws, &n_draws);
    if (!s)
        s = draw_queries(&x->c->actors, cast_path(x->c, "%s/draw", name), draws, n_draws, &x->queries);
    if (!s)
        s = cast_ask_learner(x->c, name, x->c->actors.base, &x->queries, from, x->queries.n - from, samples, &x->answers);
    free(draws);
    return s;
}

/* ---- the easy half: what the critics learn from -------------------------------------------------------- */

/* Which half of the labels a query's answers belong to: a hash of the task, so that no task is in both. */
static size_t half_of(const query *q) {
    return (size_t)(seed_derive(3, q->identity) & 1);
}

/* One answer a query, in an order drawn by seed, for the expert to judge. */
static agon_status answers_to_label(sealed *x, size_t most, size_t **out, size_t *n) {
    size_t *order = memory_new(x->answers.n + 1, sizeof *order), n_order = 0;
    bool *used = memory_new(x->queries.n + 1, sizeof *used);
    *out = memory_new(most + 1, sizeof **out);
    *n = 0;
    agon_status s = order && used && *out ? AGON_OK : ctx_fail(x->c->actors.ctx, AGON_ENOMEM, "no memory to label");
    for (size_t i = 0; i < x->answers.n && !s; i++)
        if (*x->answers.items[i].text)
            order[n_order++] = i;
    rng r = rng_new(seed_derive((uint64_t)x->config->seed, "labels"));
    if (!s)
        rng_shuffle(&r, order, n_order);
    for (size_t k = 0; k < n_order && *n < most && !s; k++) {
        size_t query = x->answers.items[order[k]].query;
        if (!used[query])
            (*out)[(*n)++] = order[k];
        used[query] = true;
    }
    free(order);
    free(used);
    return s;
}

static agon_status label_answers(sealed *x) {
    cast *c = x->c;
    size_t *which = NULL, n = 0;
    agon_status s = answers_to_label(x, (size_t)x->config->human.calibration, &which, &n);
    task_outcome *verdicts = memory_new(n + 1, sizeof *verdicts);
    store_id *labels = memory_new(n + 1, sizeof *labels);
    const expert_options o = {.purpose = "calibration", .error_rate = x->config->human.error_rate, .propensity = 1};
    if (!s && (!verdicts || !labels))
        s = ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory to label");
    if (!s)
        s = expert_judges(&c->actors, cast_path(c, "expert/judge"), &x->queries, &x->answers, which, n, &o, verdicts, labels);
    for (size_t i = 0; i < n && !s; i++) {
        answer *y = &x->answers.items[which[i]];
        y->outcome = verdicts[i];
        y->source = verdicts[i] == OUTCOME_UNKNOWN ? NULL : "simulated";
        snprintf(y->label, sizeof y->label, "%s", labels[i].text);
        x->labels_used += verdicts[i] != OUTCOME_UNKNOWN;
    }
    free(which);
    free(verdicts);
    free(labels);
    return s;
}

/* Answers the expert writes: known good, a few a cell. */
static agon_status demonstrations(sealed *x) {
    cast *c = x->c;
    size_t most = (size_t)x->config->human.demonstrations, n = 0, from = x->answers.n;
    size_t *which = memory_new(most + 1, sizeof *which);
    const expert_options o = {.purpose = "demonstration", .propensity = 1};
    agon_status s = which ? AGON_OK : ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for demonstrations");
    for (size_t i = 0; i < x->queries.n && n < most && !s; i++)
        which[n++] = i;
    if (!s)
        s = expert_demonstrates(&c->actors, cast_path(c, "expert/demonstrate"), &x->queries, which, n, &o, &x->answers);
    x->labels_used += (int64_t)(x->answers.n - from);
    free(which);
    return s;
}

/* Known-good answers, each with a fault planted: they teach, but calibrate nobody. */
static agon_status plant_faults(sealed *x) {
    size_t *which = memory_new(x->answers.n + 1, sizeof *which), n = 0;
    agon_status s = which ? AGON_OK : ctx_fail(x->c->actors.ctx, AGON_ENOMEM, "no memory for planted faults");
    for (size_t i = 0; i < x->answers.n && !s; i++)
        if (x->answers.items[i].outcome == OUTCOME_PASS)
            which[n++] = i;
    if (!s)
        s = tamper_answers(&x->c->actors, cast_path(x->c, "tamper"), &x->queries, &x->answers, which, n);
    free(which);
    return s;
}

static agon_status divide_labels(sealed *x) {
    agon_status s = AGON_OK;
    for (int half = 0; half < 2 && !s; half++) {
        s = picked_new(x->c, x->answers.n, &x->taught[half]);
        if (!s)
            s = picked_new(x->c, x->answers.n, &x->natural[half]);
    }
    for (size_t i = 0; i < x->answers.n && !s; i++) {
        const answer *y = &x->answers.items[i];
        size_t half = half_of(&x->queries.items[y->query]);
        if (y->outcome == OUTCOME_UNKNOWN)
            continue;
        x->taught[half].items[x->taught[half].n++] = i;
        if (strcmp(y->kind, "response") == 0)
            x->natural[half].items[x->natural[half].n++] = i;
    }
    return s;
}

static agon_status teach_critic(sealed *x, const char *name, int k) {
    cast *c = x->c;
    const picked *taught = &x->taught[k], *others = &x->natural[!k];
    char area[FIGURE_SIZE];
    agon_status s = school_train(c, name, c->actors.base, &x->queries, &x->answers, taught->items, taught->n, x->critic[k]);
    if (!s)
        s = school_test(c, name, x->critic[k], &x->queries, &x->answers, others->items, others->n, &x->trust[k]);
    if (!s)
        cast_say(c, json_pack("{s{ss so so so}}", "critic", "name", name, "auroc", real_or_null(x->trust[k].auroc), "ece",
                              real_or_null(x->trust[k].ece), "families", trust_json(&x->trust[k])),
                 "%s taught on %zu labels and planted faults; AUROC %s on %zu other easy answers", name, taught->n,
                 school_figure(x->trust[k].auroc, area), x->trust[k].n);
    return s;
}

static agon_status teach_critics(sealed *x) {
    agon_status s = cast_stage(x->c, "critique");
    if (!s)
        s = label_answers(x);
    if (!s)
        s = demonstrations(x);
    if (!s)
        s = plant_faults(x);
    if (!s)
        s = divide_labels(x);
    if (!s)
        s = teach_critic(x, "critic/reward", 0);
    return s ? s : teach_critic(x, "critic/second", 1);
}

/* ---- the hard half: training on the critic's word ---------------------------------------------------------- */

static agon_status judge_hard(sealed *x) {
    cast *c = x->c;
    size_t *which = memory_new(x->answers.n + 1, sizeof *which), n = 0;
    agon_status s = which ? cast_stage(c, "decide") : ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory to decide");
    for (size_t i = x->first_hard; i < x->answers.n && !s; i++)
        if (*x->answers.items[i].text)
            which[n++] = i;
    x->n_judged = n;
    if (!s)
        s = judge_answers(&c->actors, cast_path(c, "decide/judge"), &x->queries, &x->answers, which, n, x->critic[0]);
    if (!s)
        s = trust_decide(&c->actors, cast_path(c, "decide"), &x->trust[0], &x->queries, &x->answers, which, n, &x->n_decided);
    if (!s)
        cast_say(c, json_pack("{sI sI}", "judged", (json_int_t)n, "decided", (json_int_t)x->n_decided),
                 "the critic decided %zu of %zu hard answers alone; the rest is dropped", x->n_decided, n);
    free(which);
    return s;
}

/* What the expert wrote or accepted is learned from in any case, what the critic let pass where it earned trust. */
static agon_status train_learner(sealed *x) {
    cast *c = x->c;
    const train_plan plan = school_learner_plan(c, c->actors.base);
    example_list prose = {0};
    agon_status s = cast_stage(c, "build");
    if (!s)
        s = prose_examples(c, (size_t)x->config->build.documents, 0, &prose);
    if (!s)
        s = choose_examples(c, &x->hard, &x->queries, &x->answers, 0, &prose, &x->examples, &x->choice);
    example_list_free(&prose);
    if (!s)
        s = build_examples(&c->actors, cast_path(c, "build"), x->examples.items, x->examples.n);
    if (!s && x->examples.n > 0)
        s = cast_stage(c, "train");
    if (!s && x->examples.n > 0)
        s = train_version(&c->actors, cast_path(c, "train"), x->examples.items, x->examples.n, &plan, x->candidate);
    if (!s)
        cast_say(c, NULL, "%zu examples: %zu real ones, %zu answers that the expert or the critic let pass; dropped %zu for the floor, %zu for caps, "
                 "%zu duplicates, %zu held out", x->examples.n, x->choice.n_real, x->choice.n_new, x->choice.dropped_floor, x->choice.dropped_cap,
                 x->choice.dropped_duplicate, x->choice.dropped_contaminated);
    return s;
}

/* ---- the gate ------------------------------------------------------------------------------------------------ */

typedef struct gate_data {
    bool *labelled;        /* [n], drawn before any judgement */
    double *judge, *truth; /* differences candidate - base; truth where labelled and known */
    const char **labels;
    size_t n_labels;
    suite_results now, before;
} gate_data;

static void gate_data_free(gate_data *g) {
    free(g->labelled);
    free(g->judge);
    free(g->truth);
    free(g->labels);
    suite_results_free(&g->now);
    suite_results_free(&g->before);
}

/* A simple random subset, from the run's seed: nobody has seen an answer yet. */
static agon_status draw_subset(sealed *x, gate_data *g) {
    size_t n = x->held_out.n, wanted = (size_t)x->config->human.gate_items;
    size_t *order = memory_new(n + 1, sizeof *order);
    *g = (gate_data){.labelled = memory_new(n + 1, sizeof *g->labelled),
                     .judge = memory_new(n + 1, sizeof *g->judge),
                     .truth = memory_new(n + 1, sizeof *g->truth),
                     .labels = memory_new(2 * n + 1, sizeof *g->labels)};
    if (!order || !g->labelled || !g->judge || !g->truth || !g->labels) {
        free(order);
        return ctx_fail(x->c->actors.ctx, AGON_ENOMEM, "no memory for the gate");
    }
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    rng r = rng_new(seed_derive((uint64_t)x->config->seed, "gate subset"));
    rng_shuffle(&r, order, n);
    for (size_t k = 0; k < n && k < wanted; k++)
        g->labelled[order[k]] = true;
    free(order);
    return AGON_OK;
}

/* Both versions' answers: base at [0, n), candidate at [n, 2n). */
static agon_status answer_held_out(sealed *x) {
    cast *c = x->c;
    const char *versions[] = {c->actors.base, x->candidate};
    agon_status s = cast_stage(c, "evaluate");
    for (int k = 0; k < 2 && !s; k++) {
        size_t from = x->held_out_answers.n;
        s = evaluate_answers(&c->actors, cast_path(c, "evaluate/%.12s/tasks", versions[k]), &x->held_out, versions[k],
                             (size_t)x->config->learner.max_tokens, &x->held_out_answers);
        if (!s)
            s = verify_answers(&c->actors, cast_path(c, "evaluate/%.12s/seal", versions[k]), &x->held_out,
                               &x->held_out_answers, from);
    }
    return s;
}

static agon_status judge_held_out(sealed *x, gate_data *g) {
    cast *c = x->c;
    size_t n = x->held_out.n, *which = memory_new(2 * n + 1, sizeof *which);
    agon_status s = which ? AGON_OK : ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for the gate");
    for (size_t i = 0; i < 2 * n && !s; i++)
        which[i] = i;
    if (!s)
        s = judge_answers(&c->actors, cast_path(c, "gate/judge"), &x->held_out, &x->held_out_answers, which, 2 * n,
                          x->critic[1]);
    for (size_t i = 0; i < n && !s; i++) {
        double before = trust_p(&x->trust[1], x->held_out_answers.items[i].p_raw),
               after = trust_p(&x->trust[1], x->held_out_answers.items[n + i].p_raw);
        g->judge[i] = (isnan(after) ? 0.5 : after) - (isnan(before) ? 0.5 : before); /* an abstention favours nobody */
    }
    free(which);
    return s;
}

/* The expert judges both answers of the labelled items. */
static agon_status label_held_out(sealed *x, gate_data *g) {
    cast *c = x->c;
    size_t n = x->held_out.n, k = 0, *which = memory_new(2 * n + 1, sizeof *which);
    task_outcome *verdicts = memory_new(2 * n + 1, sizeof *verdicts);
    store_id *ids = memory_new(2 * n + 1, sizeof *ids);
    const expert_options o = {.purpose = "gate",
                              .error_rate = x->config->human.error_rate,
                              .propensity = n ? fmin(1, (double)x->config->human.gate_items / (double)n) : 1};
    agon_status s = which && verdicts && ids ? AGON_OK : ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for the gate");
    for (size_t i = 0; i < n && !s; i++)
        if (g->labelled[i]) {
            which[k++] = i;
            which[k++] = n + i;
        }
    if (!s)
        s = expert_judges(&c->actors, cast_path(c, "gate/expert"), &x->held_out, &x->held_out_answers, which, k, &o, verdicts,
                          ids);
    for (size_t i = 0; i + 1 < k && !s; i += 2)
        g->truth[which[i]] = (verdicts[i + 1] == OUTCOME_PASS) - (verdicts[i] == OUTCOME_PASS);
    for (size_t i = 0; i < k && !s; i++) {
        g->labels[g->n_labels] = arena_copy(c->memory, ids[i].text);
        s = g->labels[g->n_labels] ? AGON_OK : ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for the gate");
        g->n_labels += *ids[i].text != 0;
    }
    x->gate_labels = (int64_t)g->n_labels;
    x->labels_used += (int64_t)g->n_labels;
    free(which);
    free(verdicts);
    free(ids);
    return s;
}

/* decides: at twice the attempt's alpha, so that its lower end is a one-sided bound at alpha. reported: at 95%. */
static agon_status estimate_gain(sealed *x, const gate_data *g, ppi_result *decides, ppi_result *reported) {
    size_t n = x->held_out.n, n_labelled = 0, n_rest = 0;
    double *rest = memory_new(n + 1, sizeof *rest), *judge = memory_new(n + 1, sizeof *judge),
           *truth = memory_new(n + 1, sizeof *truth);
    agon_status s = rest && judge && truth ? AGON_OK : ctx_fail(x->c->actors.ctx, AGON_ENOMEM, "no memory for the gate");
    for (size_t i = 0; i < n && !s; i++)
        if (g->labelled[i]) {
            judge[n_labelled] = g->judge[i];
            truth[n_labelled++] = g->truth[i];
        } else
            rest[n_rest++] = g->judge[i];
    if (!s)
        s = ppi_paired(x->c->actors.ctx, rest, n_rest, judge, truth, n_labelled,
                       2 * alpha_spending(x->config->gate.alpha, x->attempt), decides);
    if (!s)
        s = ppi_paired(x->c->actors.ctx, rest, n_rest, judge, truth, n_labelled, 0.05, reported);
    free(rest);
    free(judge);
    free(truth);
    return s;
}

static agon_status decide_gate(sealed *x, gate_data *g, const ppi_result *decides, const ppi_result *estimate) {
    cast *c = x->c;
    json_t *figures = NULL, *held_out = NULL;
    perplexity_comparison comparison;
    gate_evidence e = {.candidate = x->candidate,
                       .incumbent = c->actors.base,
                       .estimate = decides,
                       .reported = estimate,
                       .attempt = x->attempt,
                       .alpha = x->config->gate.alpha,
                       .over_budget = x->labels_used > x->config->human.labels};
    agon_status s = cast_compare_suites(c, &g->now, &g->before, &e, &comparison);
    if (!s)
        s = choose_check(c, &x->hard, &x->examples, &e.contaminated);
    if (!s) {
        held_out = json_pack("{sI so so s[ff] ss}", "n", (json_int_t)estimate->n_labelled, "before", json_null(), "after",
                             json_null(), "ci95", estimate->tuned.range.low, estimate->tuned.range.high, "estimated_by",
                             "prediction-powered inference");
        s = json_made(c->actors.ctx, held_out);
    }
    if (!s)
        s = gate_verdict(&c->actors, cast_path(c, "gate"), &e, held_out, g->labels, g->n_labels, &x->promoted, &figures);
    if (!s) {
        x->gate = json_pack("{ss sO sO}", "verdict", x->promoted ? "promote" : "reject", "reason",
                            json_object_get(figures, "reason"), "figures", figures);
        cast_say(c, json_pack("{sO}", "gate", x->gate), "%s: %s; estimated gain %+.1f points [%.1f, %.1f]",
                 x->promoted ? "promoted" : "rejected", field_text(figures, "reason"), 100 * estimate->tuned.estimate,
                 100 * estimate->tuned.range.low, 100 * estimate->tuned.range.high);
    }
    json_decref(figures);
    json_decref(held_out);
    return s;
}

static agon_status gate(sealed *x) {
    cast *c = x->c;
    gate_data g = {0};
    ppi_result decides, reported;
    agon_status s = draw_subset(x, &g);
    if (!s)
        s = answer_held_out(x);
    if (!s)
        s = cast_evaluate_suites(c, c->actors.base, &g.before);
    if (!s)
        s = cast_evaluate_suites(c, x->candidate, &g.now);
    if (!s)
        s = cast_stage(c, "gate");
    if (!s)
        s = judge_held_out(x, &g);
    if (!s)
        s = label_held_out(x, &g);
    if (!s && c->rules >= ATTEMPTS_RULES)
        s = attempts_count(c, x->candidate, &x->attempt);
    if (!s)
        s = estimate_gain(x, &g, &decides, &reported);
    if (!s)
        s = decide_gate(x, &g, &decides, &reported);
    gate_data_free(&g);
    return s;
}

/* ---- the run ---------------------------------------------------------------------------------------------------- */

static agon_status begin(sealed *x) {
    cast *c = x->c;
    const run_config *config = x->config;
    json_t *names = json_array();
    size_t *all = memory_new(task_n_cells() + 1, sizeof *all), n = 0;
    x->cells = memory_new(task_n_cells() + 1, sizeof *x->cells);
    x->queries.memory = x->held_out.memory = x->answers.memory = x->held_out_answers.memory = c->memory;
    for (size_t i = 0; i < config->tasks.cells.n; i++)
        json_array_append_new(names, json_string(config->tasks.cells.items[i]));
    agon_status s = all && x->cells && names ? task_select(c->actors.ctx, names, all, &n)
                                             : ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory");
    for (int hard = 0; hard < 2 && !s; hard++) {
        for (size_t i = 0; i < n; i++)
            if (task_cell_at(all[i])->hard == (bool)hard)
                x->cells[x->n_cells++] = all[i];
        if (!hard)
            x->n_easy = x->n_cells;
    }
    if (!s && (x->n_easy == 0 || x->n_easy == x->n_cells))
        s = ctx_fail(c->actors.ctx, AGON_EINVAL, "%s: the sealed recipe needs easy and hard cells; name whole families",
                     config->source);
    if (!s)
        s = aim_new(c->actors.ctx, x->cells, x->n_easy, config->build.near_duplicate, &x->easy);
    if (!s)
        s = aim_new(c->actors.ctx, x->cells + x->n_easy, x->n_cells - x->n_easy, config->build.near_duplicate, &x->hard);
    if (!s)
        s = aim_keep_clear(c, &x->hard);
    free(all);
    json_decref(names);
    return s;
}

/* Fresh hard tasks, none of which `agon unseal` has told the truth about. */
static agon_status hold_out(sealed *x) {
    cast *c = x->c;
    const run_config *config = x->config;
    json_t *unsealed = NULL;
    char known[120] = "";
    agon_status s = c->rules >= ATTEMPTS_RULES ? attempts_unsealed(c, &unsealed) : AGON_OK;
    const size_t n_unsealed = json_object_size(unsealed);
    if (!s && n_unsealed > 0)
        s = aim_pass_over(c->actors.ctx, &x->hard, unsealed);
    if (!s && n_unsealed > 0)
        cast_say(c, NULL, "%zu held-out tasks of other runs were unsealed in this workspace; they are not held out again", n_unsealed);
    if (!s)
        s = aim_held_out(c, &x->hard, cast_path(c, "held_out"), "held_out/1", (size_t)config->evaluate.tasks, &x->held_out);
    if (n_unsealed > 0)
        snprintf(known, sizeof known, " beside the %zu that were unsealed in this workspace", n_unsealed);
    if (!s && x->held_out.n < (size_t)config->human.gate_items + 2)
        s = ctx_fail(c->actors.ctx, AGON_EINVAL, "%s: the hard cells give %zu different held-out tasks%s, and the gate needs human.gate_items and 2 more (%lld); "
                     "name more cells, or lower gate_items", config->source, x->held_out.n, known, (long long)config->human.gate_items + 2);
    json_decref(unsealed);
    return s;
}

static void sealed_free(sealed *x) {
    free(x->cells);
    aim_free(&x->easy);
    aim_free(&x->hard);
    query_list_free(&x->queries);
    query_list_free(&x->held_out);
    answer_list_free(&x->answers);
    answer_list_free(&x->held_out_answers);
    for (int k = 0; k < 2; k++) {
        free(x->taught[k].items);
        free(x->natural[k].items);
        trust_free(&x->trust[k]);
    }
    example_list_free(&x->examples);
    json_decref(x->gate);
}

static json_t *summarise(const sealed *x) {
    const run_config *config = x->config;
    return json_pack("{ss ss s{ss ss} sO? s{sI sI sI} so so s{sI sI sI}}", "state", "done", "base", x->c->actors.base, "version",
                     "id", *x->candidate ? x->candidate : x->c->actors.base, "status",
                     !*x->candidate ? "base" : x->promoted ? "promoted" : "rejected", "gate", x->gate, "budget", "labels",
                     (json_int_t)config->human.labels, "used", (json_int_t)x->labels_used, "gate", (json_int_t)x->gate_labels,
                     "critic", trust_json(&x->trust[0]), "gate_critic", trust_json(&x->trust[1]), "critic_decisions", "judged", (json_int_t)x->n_judged, "decided",
                     (json_int_t)x->n_decided, "examples", (json_int_t)x->examples.n);
}

static agon_status sealed_recipe(cast *c, json_t **summary) {
    sealed x = {.c = c, .config = c->config, .attempt = 1};
    const run_config *config = c->config;
    c->actors.iteration = 1;
    agon_status s = begin(&x);
    if (!s)
        s = cast_stage(c, "plan");
    if (!s)
        s = hold_out(&x);
    if (!s)
        s = cast_stage(c, "attack");
    if (!s)
        s = attack(&x, "easy", &x.easy, (size_t)config->human.calibration + (size_t)config->human.calibration / 4, 1);
    if (!s)
        s = teach_critics(&x);
    x.first_hard = x.answers.n;
    if (!s)
        s = cast_stage(c, "attack");
    if (!s)
        s = attack(&x, "hard", &x.hard, (size_t)config->attacker.queries, (size_t)config->learner.samples);
    if (!s)
        s = judge_hard(&x);
    if (!s)
        s = train_learner(&x);
    if (!s && x.examples.n > 0)
        s = gate(&x);
    if (!s)
        s = run_finish(c->run, "done", x.examples.n ? "the gate decided" : "there was nothing to learn from");
    if (!s) {
        *summary = summarise(&x);
        s = json_made(c->actors.ctx, *summary);
    }
    sealed_free(&x);
    return s;
}

static agon_status cost(agon_ctx *ctx, const run_config *r, expected *t) {
    (void)ctx;
    const double calibration = (double)r->human.calibration, demonstrations = (double)r->human.demonstrations;
    const double hard = (double)r->attacker.queries, samples = (double)r->learner.samples, tasks = (double)r->evaluate.tasks;
    const double taught = 2 * (calibration + demonstrations) / 3 * 2; /* two parts of three, and a planted fault beside each good answer */
    const double learned = cost_examples(r, demonstrations, hard * samples) * EXAMPLE_TOKENS * (double)r->train.epochs;
    const double arms = r->evaluate.arms ? 3 : 0;
    cost_answers(t, 1.25 * calibration, PROMPT_TOKENS, 1, ANSWER_TOKENS);
    cost_answers(t, hard, PROMPT_TOKENS, samples, ANSWER_TOKENS);
    cost_answers(t, (2 + arms) * tasks, PROMPT_TOKENS, 1, ANSWER_TOKENS);
    cost_suites(r, 2, t);
    t->scored += (calibration / 3 + hard * samples + 2 * tasks) * CRITIC_PROMPT_TOKENS;
    t->trained += taught * (double)r->critic.epochs * CRITIC_PROMPT_TOKENS + (1 + arms) * learned;
    t->labels = r->human.labels;
    t->demonstrations = r->human.demonstrations * r->iterations;
    t->calibration = r->human.calibration;
    t->gate = 2 * r->human.gate_items;
    return AGON_OK;
}

static agon_status memory(agon_ctx *ctx, const model *m, const run_config *r, const json_t *queries, forecast *out) {
    return forecast_run(ctx, m, r, queries, 3 + (r->evaluate.arms ? 3 : 0), true, out);
}

static agon_status check(agon_ctx *ctx, const run_config *c, const objective *o) {
    if (strcmp(c->human.backend, "simulated") != 0)
        return ctx_fail(ctx, AGON_EINVAL, "%s: the sealed recipe asks the simulated expert only; set 'human: {backend: simulated}'", c->source);
    if (strcmp(c->learner.by.backend, "local") != 0)
        return ctx_fail(ctx, AGON_EINVAL, "%s: the sealed recipe trains the learner; set 'learner: {backend: local}'", c->source);
    if (c->tasks.file)
        return ctx_fail(ctx, AGON_EINVAL, "%s: the sealed recipe draws its queries and reads no 'tasks.file'", c->source);
    if (c->iterations != 1)
        return ctx_fail(ctx, AGON_EINVAL, "%s: the sealed recipe is one iteration; set 'iterations: 1'", c->source);
    if (c->human.gate_items < 2 || c->evaluate.tasks < c->human.gate_items + 2)
        return ctx_fail(ctx, AGON_EINVAL, "%s: the sealed gate needs at least 2 labelled items (human.gate_items; 100 for a promotion) and 2 more "
                        "in evaluate.tasks", c->source);
    if (c->human.calibration < 2)
        return ctx_fail(ctx, AGON_EINVAL, "%s: human.calibration: the sealed recipe's two critics learn from expert labels, one each at least, not %lld; "
                        "set human.calibration, such as 200", c->source, (long long)c->human.calibration);
    agon_status s = gate_check(ctx, c, true);
    if (s)
        return s;
    if (c->gate.audit_agreement > 0)
        return ctx_fail(ctx, AGON_EINVAL, "%s: gate.audit_agreement: the sealed recipe audits no labels; leave the line out", c->source);
    if (c->gate.over_approval > 0)
        return ctx_fail(ctx, AGON_EINVAL, "%s: gate.over_approval: the sealed recipe knows nothing of what is right; leave the line out", c->source);
    if (!(o->needs & TAKES_ANSWERS))
        return ctx_fail(ctx, AGON_EINVAL, "%s: train.objective: the sealed recipe makes single answers, no pairs, which %s cannot learn from; set "
                        "'objective: sft', or take 'recipe: loop'", c->source, c->train.objective);
    return AGON_OK;
}

/* Two critics, so that what gave the training reward does not judge what was trained on it (gate.md). A program or server would be both. */
static agon_status check_beginning(agon_ctx *ctx, const run_config *c) {
    if (strcmp(c->critic.by.backend, "local") == 0)
        return AGON_OK;
    return ctx_fail(ctx, AGON_EINVAL, "%s: critic.backend: the sealed recipe trains two critics, one that gives the training reward and another for the gate, and '%s' would be both; "
                    "set 'critic: {backend: local}', or take 'recipe: loop'", c->source, c->critic.by.backend);
}

/* Nobody aims, rewords or refines here; the critics learn from human.calibration and human.demonstrations, and there is one gate. */
static const char *const without_effect[] = {"attacker.adapter", "attacker.waves", "attacker.variations", "critic.examples", "refine.queries", "refine.samples", "refine.form", "refine.words",
                                             "refine.learnability", "build.gold", "gate.rejections", "gate.monitor_prompts", "gate.react",
                                             "gate.approval_items", "gate.critic", NULL};

const recipe recipe_sealed = {.name = "sealed", .oracle = "sealed", .without_effect = without_effect, .check = check, .check_beginning = check_beginning, .cost = cost, .memory = memory, .run = sealed_recipe};
