/* Lists of queries and answers, see items.h. */
#include "step/items.h"
#include "base/ctx.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

query *query_list_add(query_list *l) {
    if (!memory_grow((void **)&l->items, &l->capacity, l->n, sizeof *l->items))
        return NULL;
    l->items[l->n] = (query){.cell = SIZE_MAX};
    return &l->items[l->n++];
}

size_t query_list_drop_repeated(query_list *l, size_t from) {
    size_t n = l->n, kept = from;
    for (size_t i = from; i < n; i++) {
        bool again = false;
        for (size_t k = 0; k < kept && !again; k++)
            again = strcmp(l->items[k].text, l->items[i].text) == 0;
        if (again)
            json_decref(l->items[i].task);
        else
            l->items[kept++] = l->items[i];
    }
    l->n = kept;
    return n - kept;
}

answer *answer_list_add(answer_list *l) {
    if (!memory_grow((void **)&l->items, &l->capacity, l->n, sizeof *l->items))
        return NULL;
    l->items[l->n] = (answer){.draft = SIZE_MAX, .outcome = OUTCOME_UNKNOWN, .automatic = OUTCOME_UNKNOWN, .log_prob = NAN, .p_raw = NAN, .p = NAN};
    return &l->items[l->n++];
}

preference *preference_list_add(preference_list *l) {
    if (!memory_grow((void **)&l->items, &l->capacity, l->n, sizeof *l->items))
        return NULL;
    l->items[l->n] = (preference){0};
    return &l->items[l->n++];
}

void preference_list_free(preference_list *l) {
    free(l->items);
    *l = (preference_list){0};
}

void query_list_free(query_list *l) {
    for (size_t i = 0; i < l->n; i++)
        json_decref(l->items[i].task);
    free(l->items);
    *l = (query_list){0};
}

void answer_list_free(answer_list *l) {
    free(l->items);
    *l = (answer_list){0};
}

bool answer_measures(const answer *x) {
    return strcmp(x->kind, "evaluation") == 0 || strcmp(x->kind, "probe") == 0 || strcmp(x->kind, "monitor") == 0;
}

json_t *answer_ids(const answer_list *l, const size_t *which, size_t n) {
    json_t *ids = json_array();
    for (size_t i = 0; ids && i < n; i++)
        if (json_array_append_new(ids, json_string(l->items[which[i]].id)) != 0) {
            json_decref(ids);
            return NULL;
        }
    return ids;
}

agon_status answers_to_judge(actors *a, const query_list *queries, const answer_list *answers, const size_t *which, size_t n,
                             const char *version, json_t **out) {
    json_t *inputs = json_array();
    agon_status s = json_made(a->ctx, inputs);
    for (size_t i = 0; i < n && !s; i++) {
        const answer *x = &answers->items[which[i]];
        json_t *input = json_pack("{ss ss ss ss}", "id", x->id, "query", queries->items[x->query].text, "answer", x->text, "version", version);
        if (input && ((!a->first_prompts && json_object_set_new(input, "prompts", json_integer(2)) != 0) ||
                      (a->critic_votes > 1 && json_object_set_new(input, "votes", json_integer((json_int_t)a->critic_votes)) != 0))) {
            json_decref(input);
            input = NULL;
        }
        s = json_append(a->ctx, inputs, input);
    }
    if (s)
        json_decref(inputs);
    else
        *out = inputs;
    return s;
}

agon_status query_set(actors *a, query_list *l, query *q, json_t *task) {
    task_query t = {0};
    agon_status s = task_query_read(a->ctx, "a journaled query", task, &t);
    if (s)
        return s;
    q->task = json_incref(task);
    q->text = field_text(task, "text");
    q->family = field_text(task, "family");
    q->cell_name = field_text(task, "cell");
    q->cell = task_cell_find(q->family, q->cell_name);
    q->difficulty = t.difficulty;
    q->hard = t.hard;
    q->perturbation = t.perturbation;
    char *identity = task_identity(&t);
    q->identity = identity ? arena_copy(l->memory, identity) : NULL;
    free(identity);
    task_query_free(&t);
    return q->identity ? AGON_OK : ctx_fail(a->ctx, AGON_ENOMEM, "no memory for a query");
}

agon_status query_task(actors *a, const query *q, task_query *out) {
    return task_query_read(a->ctx, "a journaled query", q->task, out);
}
