/* The control arms of an unsealing: the candidate's training once more, with other answers where the critic's word chose them.
 *
 *   labels_only   nothing in their place: what the expert wrote or accepted, again
 *   shuffled      hard answers drawn at random, family by family as many as the critic's: is the critic better than chance?
 *   oracle        hard answers that truly pass: the ceiling
 *
 * Every arm begins with the candidate's own examples but for the critic's, so that two of them differ in nothing else, and goes on in its own order, again
 * from the start where that is used up, until it has the candidate's loss tokens. Where the critic let nothing pass, nothing is left to be replaced: the
 * candidate is labels_only, and no arm is trained. */
#include "base/ctx.h"
#include "eval/recovery.h"
#include "recipe/arms.h"
#include "recipe/unseal_private.h"
#include <stdlib.h>
#include <string.h>

/* Where an example comes from. */
typedef enum part { PART_REAL, PART_ACCEPTED, PART_HARD, N_PARTS } part;

static part part_of(const told *t) {
    return strcmp(t->kind, "response") != 0 ? PART_REAL : t->hard ? PART_HARD : PART_ACCEPTED;
}

/* What a version was trained on. */
typedef struct lesson {
    const told **told; /* [capacity], of each example */
    arm arm;
    size_t capacity, n[N_PARTS], known, right;
} lesson;

static void lesson_free(lesson *l) {
    arm_free(&l->arm);
    free(l->told);
}

/* n_tokens below 0: not counted yet. */
static agon_status take(unsealing *u, lesson *l, const told *t, int64_t n_tokens) {
    const part p = part_of(t);
    const bool document = strcmp(t->kind, "document") == 0;
    example e = {.objective = "sft", .origin = p == PART_REAL ? "real" : "new", .prompt = t->prompt, .chosen = t->text, .chosen_cut = t->cut, .raw = document,
                 .n_tokens = n_tokens};
    if (!document)
        e.texts[e.n_texts++] = t->query;
    e.texts[e.n_texts++] = t->id;
    if (!memory_grow((void **)&l->told, &l->capacity, l->arm.examples.n, sizeof *l->told))
        return ctx_no_memory(u->c->actors.ctx);
    agon_status s = n_tokens < 0 ? example_count_tokens(&u->c->actors, t->text, !t->cut, &e.n_tokens) : AGON_OK;
    if (!s)
        s = arm_add(u->c, &l->arm, &e);
    if (s)
        return s;
    l->told[l->arm.examples.n - 1] = t;
    l->n[p]++;
    l->known += t->known;
    l->right += t->known && t->right;
    return AGON_OK;
}

/* The candidate's own training, as this run built it: another run may have the same version. */
static agon_status read_candidate(unsealing *u, lesson *out) {
    json_t *rows = NULL, *row;
    size_t i;
    agon_status s = unseal_rows(u, "SELECT e.n_tokens, json_extract(e.texts, '$[#-1]') AS answer FROM step s, json_each(s.result) j JOIN example e ON e.id = j.value"
                                   " WHERE s.run = ?1 AND s.path = 'iteration/1/build' ORDER BY j.key", &rows);
    json_array_foreach(rows, i, row) {
        const told *t = unseal_find(u, field_text(row, "answer"));
        if (!s && !t)
            s = ctx_fail(u->c->actors.ctx, AGON_EMISMATCH, "run %s: its candidate learnt from an answer that the workspace does not have; agon verify says more", u->name);
        if (!s)
            s = take(u, out, t, field_int(row, "n_tokens"));
    }
    json_decref(rows);
    return s;
}

static bool listed(const picked *p, const told *all, const told *t) {
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(all[p->items[i]].query, t->query) == 0 && strcmp(all[p->items[i]].text, t->text) == 0)
            return true;
    return false;
}

/* The learner's hard answers, each once, in an order drawn for the arm. */
static agon_status hard_answers(unsealing *u, const char *name, bool right_ones, picked *out) {
    size_t *order = NULL;
    agon_status s = picked_new(u->c, u->n, out);
    if (!s)
        s = arm_order(u->c, name, u->n, &order);
    for (size_t k = 0; k < u->n && !s; k++) {
        const told *t = &u->told[order[k]];
        if (part_of(t) == PART_HARD && *t->text && (!right_ones || (t->known && t->right)) && !listed(out, u->told, t))
            out->items[out->n++] = order[k];
    }
    free(order);
    return s;
}

static size_t family_number(const char *family) {
    size_t i = 0;
    while (i < task_n_families() && strcmp(task_family_name(i), family) != 0)
        i++;
    return i;
}

/* Of the answers as many a family as the critic's, in their order but with the families in turn, so that wherever it ends it has their shares. */
static agon_status match_families(unsealing *u, const lesson *candidate, picked *answers) {
    const size_t n_families = task_n_families();
    size_t *wanted = memory_new(n_families + 1, sizeof *wanted), *taken = memory_new(n_families + 1, sizeof *taken), n = 0;
    agon_status s = wanted && taken ? AGON_OK : ctx_no_memory(u->c->actors.ctx);
    for (size_t i = 0; i < candidate->arm.examples.n && !s; i++)
        wanted[family_number(candidate->told[i]->family)] += part_of(candidate->told[i]) == PART_HARD;
    while (!s) {
        size_t best = n_families, at = n;
        for (size_t f = 0; f < n_families; f++) /* (taken + 1/2) / wanted, the least */
            if (taken[f] < wanted[f] && (best == n_families || (2 * taken[f] + 1) * wanted[best] < (2 * taken[best] + 1) * wanted[f]))
                best = f;
        while (best < n_families && at < answers->n && family_number(u->told[answers->items[at]].family) != best)
            at++;
        if (best == n_families || at == answers->n) /* the critic's own are among them, so none is wanting */
            break;
        const size_t next = answers->items[at];
        memmove(&answers->items[n + 1], &answers->items[n], (at - n) * sizeof *answers->items);
        answers->items[n++] = next;
        taken[best]++;
    }
    answers->n = n;
    free(wanted);
    free(taken);
    return s;
}

/* What the arm has beside what all have; why: there is no such arm; static. */
static agon_status pool_of(unsealing *u, const char *name, const lesson *candidate, picked *out, const char **why) {
    const bool labels_only = strcmp(name, "labels_only") == 0, oracle = strcmp(name, "oracle") == 0;
    agon_status s = AGON_OK;
    if (candidate->n[PART_HARD] == 0) {
        *why = labels_only ? "the critic let nothing pass, so it is the candidate" : "the critic let nothing pass, so nothing can stand in the place of that";
        return AGON_OK;
    }
    if (!labels_only) {
        s = hard_answers(u, name, oracle, out);
        if (!s && !oracle)
            s = match_families(u, candidate, out);
        *why = out->n == 0 ? "of the learner's hard answers none is right" : NULL;
        return s;
    }
    s = picked_new(u->c, candidate->arm.examples.n, out);
    for (size_t i = 0; i < candidate->arm.examples.n && !s; i++)
        if (part_of(candidate->told[i]) != PART_HARD && !candidate->arm.examples.items[i].raw)
            out->items[out->n++] = (size_t)(candidate->told[i] - u->told);
    *why = out->n == 0 ? "the expert wrote and accepted nothing" : NULL;
    return s;
}

static agon_status fill(unsealing *u, const lesson *candidate, const picked *pool, lesson *out) {
    const int64_t wanted = candidate->arm.n_tokens;
    int64_t before = -1;
    agon_status s = AGON_OK;
    for (size_t i = 0; i < candidate->arm.examples.n && !s; i++)
        if (part_of(candidate->told[i]) != PART_HARD)
            s = take(u, out, candidate->told[i], candidate->arm.examples.items[i].n_tokens);
    while (out->arm.n_tokens < wanted && out->arm.n_tokens > before && !s) {
        before = out->arm.n_tokens;
        for (size_t k = 0; k < pool->n && out->arm.n_tokens < wanted && !s; k++)
            s = take(u, out, &u->told[pool->items[k]], -1);
    }
    return s;
}

/* Of the base's held-out queries: the run is over, nothing is sealed any more. */
static agon_status judge_arm(unsealing *u, const arm *a, const json_t *inputs, const json_t *results) {
    agon_status s = AGON_OK;
    for (size_t i = 0; i < json_array_size(inputs) && !s; i++) {
        task_query q = {0};
        task_verdict v = {0};
        s = task_query_read(u->c->actors.ctx, "a held-out query",
                            json_object_get(u->tasks, field_text(json_array_get(inputs, i), "id")), &q);
        if (!s)
            s = task_verify(u->c->actors.ctx, &q, arm_text(results, i), &v);
        if (!s)
            a->right[i] = v.outcome == OUTCOME_PASS;
        task_verdict_free(&v);
        task_query_free(&q);
    }
    return s;
}

static agon_status test_arm(unsealing *u, arm *a) {
    json_t *inputs = json_array(), *results = NULL;
    agon_status s = json_made(u->c->actors.ctx, inputs);
    for (size_t i = 0; i < u->n && !s; i++) {
        const told *t = &u->told[i];
        if (strcmp(t->kind, "evaluation") == 0 && strcmp(t->producer, u->base) == 0)
            s = json_append(u->c->actors.ctx, inputs, arm_question(u->c, a, t->query, t->prompt));
    }
    if (!s)
        s = arm_answer(u->c, a, inputs, &results);
    if (!s)
        s = judge_arm(u, a, inputs, results);
    json_decref(results);
    json_decref(inputs);
    return s;
}

static double *as_reals(const bool *right, size_t n) {
    double *x = memory_new(n + 1, sizeof *x);
    for (size_t i = 0; x && i < n; i++)
        x[i] = right[i];
    return x;
}

static agon_status report_recovery(unsealing *u, const arm *labels_only, const bool *now, const arm *oracle, size_t n, json_t *report) {
    double *weak = as_reals(labels_only->right, n), *x = as_reals(now, n), *ceiling = as_reals(oracle->right, n);
    gap_recovery r = {0};
    agon_status s = weak && x && ceiling ? gap_recovery_measure(u->c->actors.ctx, weak, x, ceiling, 1, n, 2000, (uint64_t)u->c->config->seed, 0.05, &r)
                                         : ctx_no_memory(u->c->actors.ctx);
    if (!s)
        json_object_set_new(report, "recovered",
                            json_pack("{so s[oo] sf sb}", "pgr", real_or_null(r.pgr), "ci95", real_or_null(r.range.low),
                                      real_or_null(r.range.high), "gap", r.gap, "gap_is_noise", r.gap_is_noise));
    free(weak);
    free(x);
    free(ceiling);
    return s;
}

static json_t *row_of(agon_ctx *ctx, const lesson *l, const bool *right, const bool *before, size_t n) {
    json_t *row = arm_row(ctx, l->arm.name, right, before, (arm_tasks){.n = n}, l->arm.examples.n, l->arm.n_tokens);
    json_object_set_new(row, "real", json_integer((json_int_t)l->n[PART_REAL]));
    json_object_set_new(row, "accepted", json_integer((json_int_t)l->n[PART_ACCEPTED]));
    json_object_set_new(row, "hard", json_integer((json_int_t)l->n[PART_HARD]));
    json_object_set_new(row, "labels_right", l->known ? json_real((double)l->right / (double)l->known) : json_null());
    return row;
}

enum { LABELS_ONLY, SHUFFLED, ORACLE, N_ARMS };
static const char *const names[N_ARMS] = {"labels_only", "shuffled", "oracle"};

/* Held-out answers of base and candidate, by query. */
typedef struct answers {
    bool *before, *now;
    size_t n;
} answers;

/* *made: it was trained; else it stands in "arms_left_out". */
static agon_status one_arm(unsealing *u, const lesson *candidate, const answers *held_out, lesson *l, json_t *rows, json_t *left_out, bool *made) {
    picked pool = {0};
    const char *why = NULL;
    agon_status s = pool_of(u, l->arm.name, candidate, &pool, &why);
    *made = !s && !why;
    if (!s && why) {
        cast_say(u->c, NULL, "arm %s: left out, %s", l->arm.name, why);
        s = json_append(u->c->actors.ctx, left_out, json_pack("{ss ss}", "arm", l->arm.name, "why", why));
    }
    if (*made)
        s = fill(u, candidate, &pool, l);
    if (!s && *made)
        s = build_examples(&u->c->actors, cast_path(u->c, "arm/%s/build", l->arm.name), l->arm.examples.items, l->arm.examples.n);
    if (!s && *made)
        s = arm_train(u->c, &l->arm, u->c->actors.base);
    if (!s && *made)
        s = test_arm(u, &l->arm);
    if (!s && *made) {
        json_t *row = row_of(u->c->actors.ctx, l, l->arm.right, held_out->before, held_out->n);
        json_object_set_new(row, "difference", arm_against(u->c->actors.ctx, held_out->now, l->arm.right, (arm_tasks){.n = held_out->n}));
        arm_note_lack(u->c, l->arm.name, l->arm.n_tokens, candidate->arm.n_tokens, row);
        s = json_append(u->c->actors.ctx, rows, row);
    }
    free(pool.items);
    return s;
}

static agon_status all_arms(unsealing *u, const lesson *candidate, const answers *held_out, json_t *report) {
    lesson arms[N_ARMS] = {{0}};
    bool made[N_ARMS] = {false};
    json_t *rows = json_array(), *left_out = json_array();
    agon_status s = rows && left_out ? json_append(u->c->actors.ctx, rows, row_of(u->c->actors.ctx, candidate, held_out->now, held_out->before, held_out->n))
                                     : ctx_no_memory(u->c->actors.ctx);
    for (int k = 0; k < N_ARMS && !s; k++) {
        arms[k].arm.name = names[k];
        s = one_arm(u, candidate, held_out, &arms[k], rows, left_out, &made[k]);
    }
    if (!s && made[LABELS_ONLY] && made[ORACLE])
        s = report_recovery(u, &arms[LABELS_ONLY].arm, held_out->now, &arms[ORACLE].arm, held_out->n, report);
    if (!s) {
        json_object_set(report, "arms", rows);
        json_object_set(report, "arms_left_out", left_out);
    }
    for (int k = 0; k < N_ARMS; k++)
        lesson_free(&arms[k]);
    json_decref(rows);
    json_decref(left_out);
    return s;
}

agon_status unseal_train_arms(unsealing *u, json_t *report) {
    lesson candidate = {0};
    answers held_out = {.n = unseal_held_out(u, u->base, NULL)};
    candidate.arm.name = "critic";
    held_out.before = memory_new(held_out.n + 1, sizeof *held_out.before);
    held_out.now = memory_new(held_out.n + 1, sizeof *held_out.now);
    agon_status s = held_out.before && held_out.now ? read_candidate(u, &candidate) : ctx_no_memory(u->c->actors.ctx);
    if (!s) {
        unseal_held_out(u, u->base, held_out.before);
        unseal_held_out(u, u->candidate, held_out.now);
        s = all_arms(u, &candidate, &held_out, report);
    }
    lesson_free(&candidate);
    free(held_out.before);
    free(held_out.now);
    return s;
}
