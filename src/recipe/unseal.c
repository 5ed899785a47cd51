/* What was true all along: opens the sealed ledger of a finished run and compares (gate.md, UNSEAL). The control arms are in unseal_arms.c. */
#include "base/ctx.h"
#include "eval/agreement.h"
#include "recipe/arms.h"
#include "recipe/attempts.h"
#include "recipe/recipe_private.h"
#include "recipe/unseal_private.h"
#include <stdlib.h>
#include <string.h>

agon_status unseal_rows(unsealing *u, const char *sql, json_t **out) {
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
                            .cut = field_int(row, "cut") == 1,
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

/* What the critic let pass before the unsealing. */
static void mark_believed(unsealing *u) {
    json_t *label;
    size_t i;
    json_array_foreach(u->labels, i, label) {
        json_t *place = json_object_get(u->index, field_text(label, "target"));
        if (place && strcmp(field_text(label, "source"), "critic") == 0)
            u->told[json_integer_value(place)].critic_pass = strcmp(field_text(label, "value"), "pass") == 0;
    }
}

static agon_status read_all(unsealing *u) {
    json_t *ledger = NULL;
    u->tasks = json_object();
    u->index = json_object();
    u->judged = json_array();
    agon_status s = store_ledger_read(u->store, &ledger);
    if (!s)
        s = unseal_rows(u,
                    "SELECT t.id, t.kind, t.parent AS query, t.producer, t.family, t.cell, t.body, coalesce(q.body, '') AS"
                    " prompt, t.meta ->> 'finish' = 'length' AND (SELECT s.result ->> 'rules' FROM step s WHERE s.run = t.run AND s.path = 'begin') >= 10"
                    " AS cut FROM text t LEFT JOIN text q ON q.id = t.parent WHERE t.run = ?1 AND t.kind IN ('response',"
                    " 'evaluation', 'demonstration', 'document')"
                    " ORDER BY t.rowid",
                    &u->answers);
    if (!s)
        s = unseal_rows(u, "SELECT id, target, other, kind, value, source, purpose, confidence FROM label WHERE run = ?1 ORDER BY rowid",
                    &u->labels);
    if (!s)
        s = unseal_rows(u, "SELECT v.id, v.role FROM model_version v JOIN version_status s ON s.version = v.id WHERE s.run = ?1 AND"
                    " s.status IN ('base', 'candidate') AND v.role IN ('base', 'learner') ORDER BY s.rowid",
                    &u->versions);
    if (!s)
        s = unseal_rows(u, "SELECT iteration, candidate, incumbent, verdict, figures FROM gate WHERE run = ?1 ORDER BY rowid",
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

const told *unseal_find(const unsealing *u, const char *id) {
    json_t *place = json_object_get(u->index, id);
    return place ? &u->told[json_integer_value(place)] : NULL;
}

/* ---- gates ------------------------------------------------------------------------------------------------ */

size_t unseal_held_out(const unsealing *u, const char *version, bool *right) {
    size_t n = 0;
    for (size_t i = 0; i < u->n; i++)
        if (strcmp(u->told[i].kind, "evaluation") == 0 && strcmp(u->told[i].producer, version) == 0) {
            if (right)
                right[n] = u->told[i].right;
            n++;
        }
    return n;
}

/* "covered" compares an interval for the population with the gain of the very sample that it was made from, which it holds more often: nominal 95 % is
 * about 97 %. */
static json_t *gate_report(const unsealing *u, const json_t *gate) {
    size_t n = unseal_held_out(u, u->candidate, NULL);
    bool *now = memory_new(n + 1, sizeof *now), *before = memory_new(n + 1, sizeof *before);
    json_t *figures = json_loads(field_text(gate, "figures"), 0, NULL), *report = NULL;
    if (now && before && unseal_held_out(u, u->candidate, now) == unseal_held_out(u, u->base, before)) {
        const paired_table t = paired_count(now, before, n);
        const json_t *g1 = json_object_get(figures, "G1"), *tuned = json_object_get(g1, "tuned"),
                     *ci = json_object_get(tuned, "ci95");
        double gain = paired_gain(&t), low = json_number_value(json_array_get(ci, 0)),
               high = json_number_value(json_array_get(ci, 1));
        json_t *truth = paired_json(&t, NULL);
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
        const told *t = unseal_find(u, field_text(label, "target"));
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
        const told *t = unseal_find(u, field_text(judgement, "id"));
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

typedef struct to_report {
    unsealing *u;
    json_t *report;
} to_report;

static agon_status train_arms(void *arg) {
    const to_report *x = arg;
    return unseal_train_arms(x->u, x->report);
}

/* The arms need the runner's lock. */
static agon_status with_arms(unsealing *u, json_t *report) {
    agon_ctx *ctx = u->c->actors.ctx;
    store *writer = NULL;
    run *arms = NULL;
    char name[160];
    to_report x = {u, report};
    agon_status s = store_open(ctx, store_folder(u->store), STORE_RUN, &writer);
    snprintf(name, sizeof name, "%s.1.arms", u->name); /* of older versions, whose arms were made of less: "NAME.arms" */
    if (!s) {
        u->c->actors.store = writer;
        u->c->actors.sealed = false;
        u->c->actors.iteration = 1;
        s = arms_begin(u->c, name, u->run, &arms);
    }
    if (!s)
        s = arms_work_take(u->c, arms, train_arms, &x);
    actors_free_versions(&u->c->actors);
    store_close(writer);
    return s;
}

/* Before anything is told: from now on nobody can say that the held-out tasks are sealed, and no run that begins holds them out (attempts.h). */
static agon_status note_opening(const unsealing *u) {
    agon_ctx *ctx = u->c->actors.ctx;
    json_t *parameters = json_pack("[ss]", u->run, ATTEMPTS_UNSEALED);
    store *writer = NULL;
    int64_t noted = 0;
    agon_status s = json_made(ctx, parameters);
    if (!s)
        s = store_query_int(u->store, "SELECT count(*) FROM event WHERE run = ?1 AND stage = ?2", parameters, &noted);
    if (!s && noted == 0)
        s = store_open(ctx, store_folder(u->store), STORE_RUN, &writer);
    if (!s && noted == 0)
        s = store_event(writer, u->run, 1, ATTEMPTS_UNSEALED, "the ledger was opened: runs that begin from now on hold out other tasks than this one's", NULL, true);
    if (!s && noted == 0)
        s = store_commit(writer);
    store_close(writer);
    json_decref(parameters);
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
        s = note_opening(&u);
    if (!s)
        s = read_all(&u);
    if (!s)
        s = make_report(&u, status, &report);
    if (!s && config->evaluate.arms && *u.candidate)
        s = with_arms(&u, report);
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
