/* What was true all along: opens the sealed ledger of a finished run, compares, and trains control arms at equal tokens (gate.md, UNSEAL).
 *
 *   labels_only   the learner on what the expert labelled or wrote, repeated to the same number of loss tokens
 *   shuffled      on hard answers drawn at random, as many as the critic let pass, family by family
 *   oracle        on hard answers that truly pass: the ceiling
 *
 * The arms are a run of their own in the workspace, "NAME.arms": journaled, resumable, outside the lineage. */
#include "base/ctx.h"
#include "base/random.h"
#include "eval/agreement.h"
#include "eval/recovery.h"
#include "recipe/recipe_private.h"
#include "recipe/school.h"
#include "step/work.h"
#include <stdlib.h>
#include <string.h>

/* An answer as the store has it, joined with the ledger. */
typedef struct told {
    const char *id, *query, *producer, *family, *cell, *text, *prompt; /* borrowed from the rows */
    const char *kind;
    bool known, right; /* what the ledger says */
    bool hard;
    bool critic_pass, expert_pass; /* labelled or written as right, by the critic or (outside the gate) the expert */
} told;

typedef struct unsealing {
    cast *c;
    store *store;
    const char *run, *name;
    json_t *answers, *labels, *versions, *gates, *tasks; /* rows; tasks: query id -> task */
    json_t *judged; /* [{"id", "p", "critic"}]: P(correct) that a critic gave, reward (trained the learner) or gate */
    told *told;
    size_t n;
    json_t *index; /* text id -> place in told */
    const char *base, *candidate;
} unsealing;

static agon_status rows_of(unsealing *u, const char *sql, json_t **out) {
    json_t *parameters = json_pack("[s]", u->run);
    agon_status s = json_made(u->c->actors.ctx, parameters);
    if (!s)
        s = store_query_json(u->store, sql, parameters, out);
    json_decref(parameters);
    return s;
}

/* ---- reading -------------------------------------------------------------------------------------------- */

static void keep_judgement(unsealing *u, const step_row *row) {
    const json_t *p = json_object_get(json_object_get(row->result, "out"), "p");
    const char *critic = strstr(row->path, "/decide/") ? "reward" : strstr(row->path, "/gate/") ? "gate" : NULL;
    if (strcmp(row->kind, "judge") == 0 && critic && json_is_number(p))
        json_array_append_new(u->judged, json_pack("{ss sf ss}", "id", field_text(row->input, "id"), "p",
                                                   json_number_value(p), "critic", critic));
}

static agon_status keep_task(void *arg, const step_row *row) {
    unsealing *u = arg;
    keep_judgement(u, row);
    json_t *task = json_object_get(json_object_get(row->result, "out"), "query");
    const char *id = field_text(json_object_get(row->result, "ids"), "text");
    if (strcmp(row->kind, "draw") == 0 && task && *id)
        json_object_set(u->tasks, id, task);
    return AGON_OK;
}

static agon_status join(unsealing *u, const json_t *ledger) {
    json_t *row;
    size_t i;
    u->n = json_array_size(u->answers);
    u->told = memory_new(u->n + 1, sizeof *u->told);
    if (!u->told)
        return ctx_fail(u->c->actors.ctx, AGON_ENOMEM, "no memory to unseal");
    json_array_foreach(u->answers, i, row) {
        size_t cell = task_cell_find(field_text(row, "family"), field_text(row, "cell"));
        u->told[i] = (told){.id = field_text(row, "id"),
                            .query = field_text(row, "query"),
                            .producer = field_text(row, "producer"),
                            .family = field_text(row, "family"),
                            .cell = field_text(row, "cell"),
                            .text = field_text(row, "body"),
                            .prompt = field_text(row, "prompt"),
                            .kind = field_text(row, "kind"),
                            .hard = cell != SIZE_MAX && task_cell_at(cell)->hard};
        json_object_set_new(u->index, u->told[i].id, json_integer((json_int_t)i));
    }
    json_array_foreach(ledger, i, row) {
        json_t *place = json_object_get(u->index, field_text(row, "response"));
        if (!place || strcmp(field_text(row, "run"), u->run) != 0)
            continue;
        told *t = &u->told[json_integer_value(place)];
        t->known = strcmp(field_text(row, "outcome"), "unknown") != 0;
        t->right = strcmp(field_text(row, "outcome"), "pass") == 0;
    }
    return AGON_OK;
}

/* Who said before the unsealing that an answer is right. */
static void mark_believed(unsealing *u) {
    json_t *label;
    size_t i;
    json_array_foreach(u->labels, i, label) {
        bool written = strcmp(field_text(label, "kind"), "demonstration") == 0;
        json_t *place = json_object_get(u->index, field_text(label, written ? "other" : "target"));
        told *t = place ? &u->told[json_integer_value(place)] : NULL;
        bool pass = strcmp(field_text(label, "value"), "pass") == 0;
        if (t && strcmp(field_text(label, "source"), "critic") == 0)
            t->critic_pass = pass;
        if (t && strcmp(field_text(label, "source"), "simulated") == 0 && strcmp(field_text(label, "purpose"), "gate") != 0)
            t->expert_pass = pass;
    }
}

static agon_status read_all(unsealing *u) {
    json_t *ledger = NULL;
    u->tasks = json_object();
    u->index = json_object();
    u->judged = json_array();
    agon_status s = store_ledger_read(u->store, &ledger);
    if (!s)
        s = rows_of(u,
                    "SELECT t.id, t.kind, t.parent AS query, t.producer, t.family, t.cell, t.body, coalesce(q.body, '') AS"
                    " prompt FROM text t LEFT JOIN text q ON q.id = t.parent WHERE t.run = ?1 AND t.kind IN ('response',"
                    " 'evaluation', 'demonstration', 'document')"
                    " ORDER BY t.rowid",
                    &u->answers);
    if (!s)
        s = rows_of(u, "SELECT id, target, other, kind, value, source, purpose, confidence FROM label WHERE run = ?1 ORDER BY rowid",
                    &u->labels);
    if (!s)
        s = rows_of(u, "SELECT v.id, v.role FROM model_version v JOIN version_status s ON s.version = v.id WHERE s.run = ?1 AND"
                    " s.status IN ('base', 'candidate') AND v.role IN ('base', 'learner') ORDER BY s.rowid",
                    &u->versions);
    if (!s)
        s = rows_of(u, "SELECT iteration, candidate, incumbent, verdict, figures FROM gate WHERE run = ?1 ORDER BY rowid",
                    &u->gates);
    if (!s)
        s = step_iterate(u->c->actors.ctx, u->store, u->run, keep_task, u);
    if (!s)
        s = join(u, ledger);
    if (!s)
        mark_believed(u);
    u->base = field_text(json_array_get(u->versions, 0), "id");
    u->candidate = field_text(json_array_get(u->versions, 1), "id");
    json_decref(ledger);
    return s;
}

static void unsealing_free(unsealing *u) {
    json_decref(u->answers);
    json_decref(u->labels);
    json_decref(u->versions);
    json_decref(u->gates);
    json_decref(u->tasks);
    json_decref(u->index);
    json_decref(u->judged);
    free(u->told);
}

static const told *find_told(const unsealing *u, const char *id) {
    json_t *place = json_object_get(u->index, id);
    return place ? &u->told[json_integer_value(place)] : NULL;
}

/* ---- gates ------------------------------------------------------------------------------------------------ */

/* Held-out answers of one version, in order: right [n]; count with right NULL. */
static size_t held_out_truth(const unsealing *u, const char *version, double *right) {
    size_t n = 0;
    for (size_t i = 0; i < u->n; i++)
        if (strcmp(u->told[i].kind, "evaluation") == 0 && strcmp(u->told[i].producer, version) == 0) {
            if (right)
                right[n] = u->told[i].right;
            n++;
        }
    return n;
}

static json_t *gate_report(const unsealing *u, const json_t *gate) {
    size_t n = held_out_truth(u, u->candidate, NULL);
    double *now = memory_new(n + 1, sizeof *now), *before = memory_new(n + 1, sizeof *before);
    json_t *figures = json_loads(field_text(gate, "figures"), 0, NULL), *report = NULL;
    if (now && before && held_out_truth(u, u->candidate, now) == held_out_truth(u, u->base, before)) {
        paired_table t = {0};
        for (size_t i = 0; i < n; i++)
            *(now[i] > 0 ? before[i] > 0 ? &t.both : &t.gained : before[i] > 0 ? &t.lost : &t.neither) += 1;
        const json_t *g1 = json_object_get(figures, "G1"), *tuned = json_object_get(g1, "tuned"),
                     *ci = json_object_get(tuned, "ci95");
        double gain = paired_gain(&t), low = json_number_value(json_array_get(ci, 0)),
               high = json_number_value(json_array_get(ci, 1));
        json_t *truth = paired_json(&t);
        report = json_pack("{sO so sf sO? sO? sO? sb sO? sO? sO?}", "iteration", json_object_get(gate, "iteration"), "truth",
                           truth, "true_gain", gain, "true_ci95", json_object_get(truth, "ci95"), "estimate",
                           json_object_get(tuned, "estimate"), "ci95", json_object_get(tuned, "ci95"), "covered", low <= gain && gain <= high, "judge_only",
                           json_object_get(g1, "judge_only"), "labels_only", json_object_get(g1, "labels_only"), "verdict",
                           json_object_get(gate, "verdict"));
    }
    json_decref(figures);
    free(now);
    free(before);
    return report;
}

/* ---- label noise --------------------------------------------------------------------------------------------- */

/* Wrong labels by source, family and difficulty half. */
static json_t *label_noise(const unsealing *u) {
    json_t *counts = json_object(), *list = json_array(), *label, *row;
    const char *key;
    size_t i;
    json_array_foreach(u->labels, i, label) {
        const told *t = find_told(u, field_text(label, "target"));
        char name[200];
        if (!t || !t->known || strcmp(field_text(label, "kind"), "point") != 0)
            continue;
        snprintf(name, sizeof name, "%s|%s|%s", field_text(label, "source"), t->family, t->hard ? "hard" : "easy");
        row = json_object_get(counts, name);
        if (!row) {
            row = json_pack("{ss ss ss si si si}", "source", field_text(label, "source"), "family", t->family, "difficulty",
                            t->hard ? "hard" : "easy", "n", 0, "wrong", 0, "accepted_wrong", 0);
            json_object_set_new(counts, name, row);
        }
        bool said = strcmp(field_text(label, "value"), "pass") == 0;
        json_object_set_new(row, "n", json_integer(field_int(row, "n") + 1));
        json_object_set_new(row, "wrong", json_integer(field_int(row, "wrong") + (said != t->right)));
        json_object_set_new(row, "accepted_wrong", json_integer(field_int(row, "accepted_wrong") + (said && !t->right)));
    }
    json_object_foreach(counts, key, row) json_array_append(list, row);
    json_decref(counts);
    return list;
}

/* ---- critics ---------------------------------------------------------------------------------------------- */

/* How well one critic's P(correct) told right from wrong in one family; *row NULL when it judged nothing there. */
static agon_status critic_row(const unsealing *u, const char *critic, const char *family, json_t **row) {
    size_t n = 0, i, most = json_array_size(u->judged);
    double *p = memory_new(most + 1, sizeof *p), area = 0;
    bool *right = memory_new(most + 1, sizeof *right);
    json_t *judgement;
    agon_status s = p && right ? AGON_OK : ctx_fail(u->c->actors.ctx, AGON_ENOMEM, "no memory for the critics");
    json_array_foreach(u->judged, i, judgement) {
        const told *t = find_told(u, field_text(judgement, "id"));
        if (s || !t || !t->known || strcmp(t->family, family) != 0 || strcmp(field_text(judgement, "critic"), critic) != 0)
            continue;
        p[n] = field_real(judgement, "p");
        right[n++] = t->right;
    }
    if (!s && n > 0)
        s = auroc(u->c->actors.ctx, p, right, n, &area);
    if (!s && n > 0) {
        *row = json_pack("{ss ss sI so}", "critic", critic, "family", family, "n", (json_int_t)n, "auroc", real_or_null(area));
        s = json_made(u->c->actors.ctx, *row);
    }
    free(p);
    free(right);
    return s;
}

static agon_status critic_report(const unsealing *u, json_t *list) {
    static const char *const critics[] = {"reward", "gate"};
    agon_status s = AGON_OK;
    for (size_t k = 0; k < 2; k++)
        for (size_t f = 0; f < task_n_families() && !s; f++) {
            json_t *row = NULL;
            s = critic_row(u, critics[k], task_family_name(f), &row);
            if (!s && row && json_array_append_new(list, row) != 0)
                s = ctx_fail(u->c->actors.ctx, AGON_ENOMEM, "no memory for the critics");
        }
    return s;
}

/* ---- control arms --------------------------------------------------------------------------------------------- */

typedef struct arm {
    const char *name;
    example *examples;
    size_t n;
    int64_t n_tokens;
    char version[STORE_ID_SIZE];
    double *right; /* on the held-out queries */
} arm;

static agon_status arm_add(unsealing *u, arm *a, size_t capacity, const told *t) {
    if (a->n == capacity)
        return AGON_OK;
    example *e = &a->examples[a->n++];
    *e = (example){.objective = "sft", .origin = "new", .prompt = t->prompt, .chosen = t->text,
                   .raw = strcmp(t->kind, "document") == 0};
    agon_status s = example_count_tokens(&u->c->actors, t->text, &e->n_tokens);
    a->n_tokens += e->n_tokens;
    return s;
}

/* The expert's demonstrations and the plain prose are in every arm, as they were in the candidate's training. */
static agon_status arm_begin(unsealing *u, arm *a, const char *name, size_t capacity) {
    *a = (arm){.name = name, .examples = memory_new(capacity + 1, sizeof *a->examples)};
    agon_status s = a->examples ? AGON_OK : ctx_fail(u->c->actors.ctx, AGON_ENOMEM, "no memory for an arm");
    for (size_t i = 0; i < u->n && !s; i++)
        if (strcmp(u->told[i].kind, "demonstration") == 0 || strcmp(u->told[i].kind, "document") == 0)
            s = arm_add(u, a, capacity, &u->told[i]);
    return s;
}

/* Indices of answers in an order drawn by seed. */
static agon_status shuffled_answers(unsealing *u, const char *name, size_t **out) {
    size_t *order = memory_new(u->n + 1, sizeof *order);
    if (!order)
        return ctx_fail(u->c->actors.ctx, AGON_ENOMEM, "no memory for an arm");
    for (size_t i = 0; i < u->n; i++)
        order[i] = i;
    rng r = rng_new(seed_derivef((uint64_t)u->c->config->seed, "arm|%s", name));
    rng_shuffle(&r, order, u->n);
    *out = order;
    return AGON_OK;
}

/* How many answers of this family the critic let pass. */
static size_t quota(const unsealing *u, const char *family) {
    size_t n = 0;
    for (size_t i = 0; i < u->n; i++)
        n += u->told[i].hard && strcmp(u->told[i].kind, "response") == 0 && strcmp(u->told[i].family, family) == 0 &&
             u->told[i].critic_pass;
    return n;
}

static size_t family_count(const arm *a, const size_t *families, size_t family) {
    size_t n = 0;
    for (size_t i = 0; i < a->n; i++)
        n += families[i] == family;
    return n;
}

static size_t family_number(const char *family) {
    size_t i = 0;
    while (i < task_n_families() && strcmp(task_family_name(i), family) != 0)
        i++;
    return i;
}

/* Fills an arm up to `tokens` loss tokens. pool: which answers may enter; by_quota: as many a family as the critic let pass, at most. */
static agon_status fill_arm(unsealing *u, arm *a, size_t capacity, int64_t tokens, int pool) {
    size_t *order = NULL, *families = memory_new(capacity + 1, sizeof *families), before;
    agon_status s = families ? shuffled_answers(u, a->name, &order) : ctx_fail(u->c->actors.ctx, AGON_ENOMEM, "no memory");
    for (size_t i = 0; i < a->n; i++)
        families[i] = SIZE_MAX;
    do {
        before = a->n;
        for (size_t k = 0; k < u->n && a->n_tokens < tokens && a->n < capacity && !s; k++) {
            const told *t = &u->told[order[k]];
            bool response = strcmp(t->kind, "response") == 0 && *t->text, enters;
            if (pool == 0)
                enters = !t->hard && t->expert_pass && *t->text;
            else if (pool == 1)
                enters = response && t->hard && family_count(a, families, family_number(t->family)) < quota(u, t->family);
            else
                enters = response && t->hard && t->known && t->right;
            if (!enters)
                continue;
            families[a->n] = family_number(t->family);
            s = arm_add(u, a, capacity, t);
        }
    } while (pool != 1 && a->n > before && a->n_tokens < tokens && a->n < capacity && !s); /* too little: again from the start */
    free(order);
    free(families);
    return s;
}

/* The arm's greedy answers to the held-out queries, judged by the verifier: the run is over, nothing is sealed any more. */
static agon_status test_arm(unsealing *u, arm *a) {
    cast *c = u->c;
    json_t *inputs = json_array(), *results = NULL;
    agon_status s = json_made(c->actors.ctx, inputs);
    size_t n = 0;
    for (size_t i = 0; i < u->n && !s; i++) {
        const told *t = &u->told[i];
        if (strcmp(t->kind, "evaluation") != 0 || strcmp(t->producer, u->base) != 0)
            continue;
        json_array_append_new(inputs, generate_greedy(t->query, t->prompt, a->version, (size_t)c->config->learner.max_tokens));
    }
    if (!s)
        s = work_run(&c->actors, cast_path(c, "arm/%s/tasks", a->name), &work_generate, inputs, NULL, NULL, &results);
    a->right = memory_new(json_array_size(inputs) + 1, sizeof *a->right);
    for (size_t i = 0; i < json_array_size(inputs) && !s; i++) {
        task_query q = {0};
        task_verdict v = {0};
        const json_t *out = json_object_get(json_array_get(results, i), "out");
        s = a->right ? task_query_read(c->actors.ctx, "a held-out query",
                                       json_object_get(u->tasks, field_text(json_array_get(inputs, i), "id")), &q)
                     : ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for an arm");
        if (!s)
            s = task_verify(c->actors.ctx, &q, field_text(json_array_get(json_object_get(out, "completions"), 0), "text"), &v);
        if (!s)
            a->right[n++] = v.outcome == OUTCOME_PASS;
        task_verdict_free(&v);
        task_query_free(&q);
    }
    json_decref(results);
    json_decref(inputs);
    return s;
}

static agon_status run_arm(unsealing *u, arm *a) {
    cast *c = u->c;
    train_plan plan = school_learner_plan(c, c->actors.base);
    plan.control = true;
    plan.role = "control";
    agon_status s = train_version(&c->actors, cast_path(c, "arm/%s/train", a->name), a->examples, a->n, &plan, a->version);
    if (!s)
        s = test_arm(u, a);
    if (!s)
        cast_say(c, NULL, "arm %s: %zu examples, %lld loss tokens", a->name, a->n, (long long)a->n_tokens);
    return s;
}

static json_t *arm_json(const arm *a, const double *before, const double *right, size_t n) {
    paired_table t = {0};
    for (size_t i = 0; i < n; i++)
        *(right[i] > 0 ? before[i] > 0 ? &t.both : &t.gained : before[i] > 0 ? &t.lost : &t.neither) += 1;
    json_t *row = paired_json(&t);
    json_object_set_new(row, "arm", json_string(a->name));
    json_object_set_new(row, "examples", json_integer((json_int_t)a->n));
    json_object_set_new(row, "loss_tokens", json_integer((json_int_t)a->n_tokens));
    return row;
}

/* The candidate's own training set, for its size in loss tokens. */
static agon_status candidate_tokens(unsealing *u, arm *a) {
    json_t *rows = NULL;
    agon_status s = rows_of(u, "SELECT count(*) AS n, coalesce(sum(n_tokens), 0) AS tokens FROM example WHERE run = ?1 AND"
                               " objective IN ('sft', 'refine')", &rows);
    *a = (arm){.name = "critic", .n = (size_t)field_int(json_array_get(rows, 0), "n"),
               .n_tokens = field_int(json_array_get(rows, 0), "tokens")};
    json_decref(rows);
    return s;
}

static agon_status report_arms(unsealing *u, arm *critic, arm *arms, json_t *report) {
    size_t n = held_out_truth(u, u->base, NULL);
    double *before = memory_new(n + 1, sizeof *before), *now = memory_new(n + 1, sizeof *now);
    json_t *list = json_array();
    gap_recovery r = {0};
    agon_status s = before && now && list ? AGON_OK : ctx_fail(u->c->actors.ctx, AGON_ENOMEM, "no memory for the arms");
    if (!s) {
        held_out_truth(u, u->base, before);
        held_out_truth(u, u->candidate, now);
        json_array_append_new(list, arm_json(critic, before, now, n));
        for (int k = 0; k < 3; k++)
            json_array_append_new(list, arm_json(&arms[k], before, arms[k].right, n));
        json_object_set(report, "arms", list);
        s = gap_recovery_measure(u->c->actors.ctx, arms[0].right, now, arms[2].right, 1, n, 2000,
                                 (uint64_t)u->c->config->seed, 0.05, &r);
    }
    if (!s)
        json_object_set_new(report, "recovered",
                            json_pack("{so s[oo] sf sb}", "pgr", real_or_null(r.pgr), "ci95", real_or_null(r.range.low),
                                      real_or_null(r.range.high), "gap", r.gap, "gap_is_noise", r.gap_is_noise));
    json_decref(list);
    free(before);
    free(now);
    return s;
}

static agon_status run_arms(unsealing *u, json_t *report) {
    static const char *const names[] = {"labels_only", "shuffled", "oracle"};
    arm arms[3] = {{0}}, critic;
    agon_status s = candidate_tokens(u, &critic);
    size_t capacity = 2 * critic.n + 64;
    for (int k = 0; k < 3 && !s; k++) {
        s = arm_begin(u, &arms[k], names[k], capacity);
        if (!s)
            s = fill_arm(u, &arms[k], capacity, critic.n_tokens, k);
        if (!s)
            s = run_arm(u, &arms[k]);
    }
    if (!s)
        s = report_arms(u, &critic, arms, report);
    for (int k = 0; k < 3; k++) {
        free(arms[k].examples);
        free(arms[k].right);
    }
    return s;
}

/* ---- the report ------------------------------------------------------------------------------------------------- */

static agon_status make_report(unsealing *u, const json_t *status, json_t **out) {
    json_t *gates = json_array(), *critics = json_array(), *gate, *report;
    size_t i;
    agon_status s = gates && critics ? critic_report(u, critics) : ctx_fail(u->c->actors.ctx, AGON_ENOMEM, "no memory to report");
    if (s) {
        json_decref(gates);
        json_decref(critics);
        return s;
    }
    json_array_foreach(u->gates, i, gate) {
        json_t *row = gate_report(u, gate);
        if (row)
            json_array_append_new(gates, row);
    }
    report = json_pack("{ss so so so sO? sn}", "run", u->name, "gates", gates, "label_noise", label_noise(u), "critic", critics,
                       "labels", json_object_get(status, "labels"), "recovered");
    *out = report;
    return json_made(u->c->actors.ctx, report);
}

/* The arms need the runner's lock and a run of their own. */
static agon_status with_arms(unsealing *u, const run_config *config, json_t *report) {
    agon_ctx *ctx = u->c->actors.ctx;
    store *writer = NULL;
    char name[160];
    json_t *pinned = json_pack("{ss}", "arms_of", u->run);
    agon_status s = json_made(ctx, pinned);
    snprintf(name, sizeof name, "%s.arms", u->name);
    if (!s)
        s = store_open(ctx, store_folder(u->store), STORE_RUN, &writer);
    if (!s) {
        u->c->actors.store = writer;
        u->c->actors.sealed = false;
        u->c->actors.iteration = 1;
        const run_options o = {.name = name, .seed = (uint64_t)config->seed, .config = pinned};
        s = run_begin(ctx, writer, &o, &u->c->run);
        u->c->actors.run = u->c->run;
    }
    if (!s)
        s = run_arms(u, report);
    if (!s)
        s = run_finish(u->c->run, "done", "control arms trained");
    run_end(u->c->run);
    u->c->run = NULL;
    actors_free_versions(&u->c->actors);
    store_close(writer);
    json_decref(pinned);
    return s;
}

agon_status recipe_unseal(agon_ctx *ctx, store *store, const char *run, json_t **out) {
    run_config *config = NULL;
    json_t *status = NULL, *report = NULL, *row = NULL;
    cast c = {.actors = {.ctx = ctx, .store = store}};
    unsealing u = {.c = &c, .store = store};
    agon_status s = recorded_run(ctx, store, run, &row, &config);
    if (!s && strcmp(config->oracle, "sealed") != 0)
        s = ctx_fail(ctx, AGON_EINVAL, "run %s has an open oracle: there is nothing to unseal", field_text(row, "name"));
    u.run = field_text(row, "id");
    u.name = field_text(row, "name");
    if (!s)
        s = store_status(store, u.name, &status);
    if (!s && strcmp(field_text(status, "state"), "done") != 0)
        s = ctx_fail(ctx, AGON_EREFUSED, "run %s is not finished; unsealing it now would let its end know the truth", u.name);
    if (!s)
        s = cast_open_actors(ctx, store, config, &c);
    if (!s)
        s = read_all(&u);
    if (!s)
        s = make_report(&u, status, &report);
    if (!s && config->evaluate.arms && *u.candidate)
        s = with_arms(&u, config, report);
    unsealing_free(&u);
    cast_close(&c);
    run_config_free(config);
    json_decref(status);
    json_decref(row);
    if (s)
        json_decref(report);
    else
        *out = report;
    return s;
}
