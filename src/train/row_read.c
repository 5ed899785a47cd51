/* TRL-style rows, fields to responses with their numbers:
 *
 *   {"text"}                                                     a document: every token is supervised, no prompt
 *   {"messages": [{"role","content"}...]}                        one response: assistant turns are supervised, but those with "weight": 0
 *   {"prompt", "completion"} (+ "label", "weight", "reward", "advantage")
 *   {"prompt", "chosen", "rejected"} (+ "label": P(chosen is better), "margin", "rewards": [chosen, rejected]);
 *                              without "prompt", the words or messages both begin with are the prompt
 *   {"prompt", "completions": [...], "rewards": [...] or "advantages": [...]}
 *   {"prompt", "completions": [...], "labels": [P of each]}      choices, of which one is right
 *   {"prompt", "completions": [steps], "labels": [...]}          one response, a line a step, a label at each step's end
 *
 * Rows that a policy sampled may say with which "log_probs": [a number a token] of a completion, a list of such lists of completions; the tokens
 * are those made here, the end token among them.
 *
 * "finish": "length" says that a completion was cut off (at most so many tokens were sampled): it gets no end token, since none was written. Of
 * pairs "chosen_finish" and "rejected_finish", of completions a list "finishes".
 *
 * each with "dimension" where several are trained together. Prompts to be answered (dataset_read_prompts):
 *
 *   {"prompt"} (+ "completion": a demonstration, and any field for who judges the answers)
 *
 * Rows of single responses may have "spans" (row_spans.h): rewards and weights of parts of the completion; groups a list of them a
 * completion. For objectives that read a head, "critique" ("chosen_critique", "rejected_critique"; "critiques": [...]) follows the response
 * (critique_join); cloud learns the words of the critique alone. */
#include "train/row_reader.h"
#include "base/json.h"
#include "train/row_file.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_COMPLETIONS = 4096 };

/* A document: no prompt, every token supervised (the trainer leaves the first out: nothing precedes it). */
static agon_status encode_text(row_reader *r, const char *where, json_t *text, row_example *e) {
    if (!json_is_string(text))
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: text must be a text", where);
    if (row_is_blank(json_string_value(text)))
        return row_empty(r, where, "text");
    return row_encode_raw(r, where, "", json_string_value(text), e);
}

/* An answer without a word would be learnt as "say nothing". */
static agon_status answers_check(row_reader *r, const char *where, const row_chat *c) {
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->messages[i].role, "assistant") == 0 && !c->unlearnt[i] && row_is_blank(c->messages[i].content))
            return BAD(r, FAULT_EMPTY, "%s: messages[%zu] is an empty answer (or white space only)", where, i);
    return AGON_OK;
}

/* One response has what the objective weighs it by. */
static agon_status rewarded(row_reader *r, const char *where, const train_response *x) {
    const unsigned needs = r->needs;
    if (!(needs & NEEDS_REWARD) || ((needs & NEEDS_ADVANTAGE) && !isnan(x->advantage)))
        return AGON_OK;
    if (needs & NEEDS_GROUP)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: advantage is missing; %s compares the rewards of several completions", where, r->o->name);
    if (isnan(x->reward))
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: reward%s is missing; %s needs it", where, needs & NEEDS_ADVANTAGE ? " (or advantage)" : "",
                        r->o->name);
    return AGON_OK;
}

static agon_status read_single(row_reader *r, const char *where, json_t *object) {
    row_example e = {0};
    row_prompt p = {0};
    train_row *kept = NULL;
    json_t *messages = json_object_get(object, "messages"), *completion = json_object_get(object, "completion");
    json_t *spans = json_object_get(object, "spans");
    const json_t *log_probs = json_object_get(object, "log_probs"), *finish = json_object_get(object, "finish");
    size_t n_context = 0;
    agon_status s;
    if (!json_absent(log_probs) && !completion && (r->needs & TAKES_OLD))
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: log_probs are of a completion (or of completions), which this row has not", where);
    if (spans && !completion)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: spans are of a completion (or of completions), which this row has not", where);
    if (!json_absent(finish) && !completion)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: finish is of a completion (of completions: finishes), which this row has not", where);
    if (json_object_get(object, "text")) {
        s = encode_text(r, where, json_object_get(object, "text"), &e);
    } else if (messages) {
        s = json_is_array(messages) ? row_messages(r, where, "messages", messages, &p.messages)
                                    : ctx_fail(r->ctx, AGON_EINVAL, "%s: messages must be a list", where);
        if (s == AGON_OK)
            s = answers_check(r, where, &p.messages);
        if (s == AGON_OK)
            s = row_encode_messages(r, where, &p.messages, &e);
    } else {
        s = row_prompt_of(r, where, object, &p);
        if (s == AGON_OK)
            s = row_add_critique(r, where, object, "critique", json_object_get(object, "critique"), "completion", &completion, &n_context);
        if (s == AGON_OK)
            s = row_encode_pair(r, where, "completion", &p, completion, &e);
        if (s == AGON_OK && n_context == 0) /* what follows an answer ends by itself */
            s = row_read_finish(r, where, "finish", finish, &e);
    }
    if (s == AGON_OK)
        s = row_keep(r, where, &e, 1, &kept);
    if (s == AGON_OK) {
        train_response *x = (train_response *)kept->responses;
        const struct {
            const char *key;
            double *out;
        } numbers[] = {{"label", &x->label}, {"weight", &x->weight}, {"reward", &x->reward}, {"advantage", &x->advantage}};
        for (size_t i = 0; i < 4 && s == AGON_OK; i++)
            s = row_number(r, where, object, numbers[i].key, numbers[i].out);
        if (s == AGON_OK && (r->needs & NEEDS_LABEL) && isnan(x->label))
            s = ctx_fail(r->ctx, AGON_EINVAL, "%s: label is missing; %s needs it", where, r->o->name);
        if (s == AGON_OK)
            s = row_place_spans(r, where, spans, completion, row_learns_words(r) ? n_context : 0, &e, x);
        if (s == AGON_OK)
            s = row_place_log_probs(r, where, "log_probs", log_probs, &e, x);
        if (s == AGON_OK)
            s = rewarded(r, where, x);
    }
    row_example_free(&e);
    return s;
}

/* Sizes that can be compared, and the size that was asked for. */
static agon_status group_check(row_reader *r, const char *where, json_t *object, size_t n) {
    if (r->options.group_size && n != r->options.group_size)
        return BAD(r, FAULT_GROUP, "%s: completions has %zu; groups of %zu are asked for", where, n, r->options.group_size);
    if (r->o->most_responses && n > r->o->most_responses)
        return BAD(r, FAULT_GROUP, "%s: completions has %zu; %s takes %zu at most", where, n, r->o->name, r->o->most_responses);
    bool compared = !(r->o->rows & ROW_SINGLE) || ((r->needs & NEEDS_GROUP) && !json_object_get(object, "advantages"));
    if (n < 2 && compared)
        return BAD(r, FAULT_GROUP, "%s: completions has one; %s compares two or more", where, r->o->name);
    return AGON_OK;
}

/* Objectives that rank by reward (or by order, where there is none) cannot have one text above itself. Others may: exo-rw imitates a
 * distribution, and policies are told what each sample was worth. */
static agon_status ranks_check(row_reader *r, const char *where, const train_row *row) {
    if (r->o->rows != ROW_GROUP || (r->needs & NEEDS_REFERENCE))
        return AGON_OK;
    for (size_t k = 1; k < row->n_responses; k++)
        for (size_t i = 0; i < k; i++) {
            const train_response *a = &row->responses[i], *b = &row->responses[k];
            const char *cut = r->max_tokens && row->n_prompt + a->n >= r->max_tokens ? " after cutting" : "";
            if (!(a->reward == b->reward) && row_same_tokens(a, b) && (r->needs & NEEDS_LABEL))
                return BAD(r, FAULT_EQUAL, "%s: completions[%zu] and completions[%zu] are equal%s; choices must differ", where, i, k, cut);
            if (!(a->reward == b->reward) && row_same_tokens(a, b))
                return BAD(r, FAULT_EQUAL, "%s: completions[%zu] and completions[%zu] are equal%s and do not have the same reward; %s cannot rank a text "
                           "above itself", where, i, k, cut, r->o->name);
        }
    return AGON_OK;
}

/* Labels of choices are one distribution. */
static agon_status labels_check(row_reader *r, const char *where, const train_row *row) {
    double sum = 0;
    for (size_t k = 0; k < row->n_responses && (r->needs & NEEDS_LABEL); k++)
        sum += row->responses[k].label;
    if ((r->needs & NEEDS_LABEL) && isnan(sum))
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: labels is missing; %s needs P(it is the right one) of each completion", where, r->o->name);
    if ((r->needs & NEEDS_LABEL) && !(fabs(sum - 1) <= 1e-3))
        return BAD(r, FAULT_RANGE, "%s: labels sum to %g; they must sum to 1, the shares of one right answer", where, sum);
    return AGON_OK;
}

static agon_status read_group(row_reader *r, const char *where, json_t *object) {
    json_t *completions = json_object_get(object, "completions"), *spans = json_object_get(object, "spans");
    json_t *critiques = json_object_get(object, "critiques"), *log_probs = json_object_get(object, "log_probs");
    const json_t *finishes = json_object_get(object, "finishes");
    size_t n = json_array_size(completions);
    row_prompt p = {0};
    train_row *kept = NULL;
    if ((spans && json_array_size(spans) != n) || (critiques && json_array_size(critiques) != n))
        return BAD(r, FAULT_GROUP, "%s: spans and critiques are lists of %zu, one entry a completion", where, n);
    log_probs = json_is_null(log_probs) || !(r->needs & TAKES_OLD) ? NULL : log_probs;
    if (!json_absent(finishes) && json_array_size(finishes) != n)
        return BAD(r, FAULT_GROUP, "%s: finishes is a list of %zu, one entry a completion", where, n);
    if (!json_is_array(completions) || n == 0 || n > MAX_COMPLETIONS)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: completions must be a list of 1 to %d", where, MAX_COMPLETIONS);
    if (log_probs && json_array_size(log_probs) != n)
        return BAD(r, FAULT_GROUP, "%s: log_probs is a list of %zu lists, one a completion", where, n);
    row_example *e = calloc(n, sizeof *e);
    if (!e)
        return row_no_memory(r);
    agon_status s = group_check(r, where, object, n);
    if (s == AGON_OK)
        s = row_prompt_of(r, where, object, &p);
    for (size_t k = 0; k < n && s == AGON_OK; k++) {
        json_t *one = json_array_get(completions, k);
        char slot[48];
        size_t n_context;
        snprintf(slot, sizeof slot, "completion with its critique %zu", k);
        s = row_add_critique(r, where, object, "critiques", json_array_get(critiques, k), slot, &one, &n_context);
        if (s == AGON_OK)
            s = row_encode_pair(r, where, "completions", &p, one, &e[k]);
        if (s == AGON_OK && n_context == 0)
            s = row_read_finish(r, where, "finishes", json_array_get(finishes, k), &e[k]);
    }
    if (s == AGON_OK)
        s = row_keep(r, where, e, n, &kept);
    if (s == AGON_OK)
        s = row_number(r, where, object, "weight", &kept->weight);
    for (size_t k = 0; k < n && s == AGON_OK; k++) {
        train_response *x = (train_response *)&kept->responses[k];
        s = row_list_number(r, where, object, "rewards", n, k, &x->reward);
        if (s == AGON_OK)
            s = row_list_number(r, where, object, "advantages", n, k, &x->advantage);
        if (s == AGON_OK && (r->needs & NEEDS_LABEL))
            s = row_list_number(r, where, object, "labels", n, k, &x->label);
        bool instead = (r->needs & NEEDS_ADVANTAGE) && !isnan(x->advantage);
        if (s == AGON_OK && (r->needs & NEEDS_REWARD) && isnan(x->reward) && !instead)
            s = ctx_fail(r->ctx, AGON_EINVAL, "%s: rewards%s is missing; %s needs it", where,
                         r->needs & NEEDS_ADVANTAGE ? " (or advantages)" : "", r->o->name);
        if (s == AGON_OK)
            s = row_place_spans(r, where, json_array_get(spans, k), json_array_get(completions, k), 0, &e[k], x);
        char name[32];
        snprintf(name, sizeof name, "log_probs[%zu]", k);
        if (s == AGON_OK && log_probs && json_is_null(json_array_get(log_probs, k)))
            s = ctx_fail(r->ctx, AGON_EINVAL, "%s: %s is missing; a group has log_probs throughout or not at all", where, name);
        if (s == AGON_OK)
            s = row_place_log_probs(r, where, name, json_array_get(log_probs, k), &e[k], x);
    }
    if (s == AGON_OK)
        s = ranks_check(r, where, kept);
    if (s == AGON_OK)
        s = labels_check(r, where, kept);
    for (size_t k = 0; k < n; k++)
        row_example_free(&e[k]);
    free(e);
    return s;
}

/* Steps of a solution as one response: a line each, its label at its last token. */
static agon_status read_steps(row_reader *r, const char *where, json_t *object) {
    json_t *steps = json_object_get(object, "completions");
    size_t n = json_array_size(steps), ends[MAX_COMPLETIONS];
    const char *prompt = json_string_value(json_object_get(object, "prompt"));
    row_example e = {0};
    train_row *kept = NULL;
    if (!prompt || !json_is_array(steps) || n == 0 || n > MAX_COMPLETIONS)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: stepwise rows have a prompt (text) and completions, a list of 1 to %d texts",
                        where, MAX_COMPLETIONS);
    agon_status s = tokenizer_encode_raw(r->ctx, r->t, prompt, strlen(prompt), &e.tokens);
    e.n_prompt = e.tokens.n;
    for (size_t k = 0; k < n && s == AGON_OK; k++) {
        const char *step = json_string_value(json_array_get(steps, k));
        if (!step || row_is_blank(step))
            s = BAD(r, FAULT_EMPTY, "%s: completions[%zu] is no text, or empty, or white space only", where, k);
        if (s == AGON_OK)
            s = tokenizer_encode_more(r->ctx, r->t, e.tokens.ids, e.tokens.n, step, strlen(step), true, &e.tokens);
        if (s == AGON_OK)
            s = tokenizer_encode_more(r->ctx, r->t, e.tokens.ids, e.tokens.n, "\n", 1, true, &e.tokens);
        ends[k] = e.tokens.n - 1;
    }
    if (s == AGON_OK && (!row_pad_mask(&e.mask, e.n_prompt, 0) || !row_pad_mask(&e.mask, e.tokens.n, 1)))
        s = row_no_memory(r);
    if (s == AGON_OK)
        s = row_keep(r, where, &e, 1, &kept);
    if (s == AGON_OK) {
        train_response *x = (train_response *)kept->responses;
        float *targets = arena_take(r->d->memory, x->n, sizeof *targets);
        for (size_t t = 0; targets && t < x->n; t++)
            targets[t] = NAN;
        x->targets = targets;
        s = targets ? row_number(r, where, object, "weight", &kept->weight) : row_no_memory(r);
        for (size_t k = 0; k < n && s == AGON_OK; k++) {
            double label = NAN;
            s = row_list_number(r, where, object, "labels", n, k, &label);
            if (s == AGON_OK && isnan(label))
                s = ctx_fail(r->ctx, AGON_EINVAL, "%s: labels is missing; %s needs it", where, r->o->name);
            if (s == AGON_OK && ends[k] - e.n_prompt < x->n)
                targets[ends[k] - e.n_prompt] = (float)label;
        }
        if (s == AGON_OK && ends[0] - e.n_prompt >= x->n)
            s = BAD(r, FAULT_LENGTH, "%s: the first step ends beyond the %zu tokens that are taken; no label is left to learn from", where, r->max_tokens);
    }
    row_example_free(&e);
    return s;
}

/* ---- prompts to be answered --------------------------------------------------------------------------- */

/* Keeps the row itself beside its tokens. */
static agon_status keep_origin(row_reader *r, const char *where, json_t *object) {
    dataset *d = r->d;
    prompt_origin *grown = realloc(d->origins, size_mul(d->n_origins + 1, sizeof *grown));
    const char *kept = arena_copy(d->memory, where);
    if (grown)
        d->origins = grown;
    if (!grown || !kept)
        return row_no_memory(r);
    grown[d->n_origins++] = (prompt_origin){json_incref(object), kept};
    return AGON_OK;
}

static agon_status encode_question(row_reader *r, const char *where, const row_prompt *p, row_example *e) {
    agon_status s = p->text ? tokenizer_encode_raw(r->ctx, r->t, p->text, strlen(p->text), &e->tokens)
                            : chat_encode(r->ctx, r->t, p->messages.messages, p->messages.n, true, &e->tokens, NULL);
    e->n_prompt = e->tokens.n;
    return s == AGON_OK ? s : ctx_prefix(r->ctx, s, "%s", where);
}

/* {"prompt"}, with "completion" as the row's only response. */
static agon_status read_question(row_reader *r, const char *where, json_t *object) {
    row_example e = {0};
    row_prompt p = {0};
    json_t *completion = json_object_get(object, "completion");
    train_row *row = NULL;
    agon_status s = row_prompt_of(r, where, object, &p);
    if (s == AGON_OK && !*(p.text ? p.text : p.messages.messages[p.messages.n - 1].content))
        s = BAD(r, FAULT_EMPTY, "%s: prompt is empty; there is nothing to answer", where);
    if (s == AGON_OK)
        s = completion ? row_encode_pair(r, where, "completion", &p, completion, &e) : encode_question(r, where, &p, &e);
    if (s == AGON_OK && r->max_tokens && e.n_prompt >= r->max_tokens)
        s = BAD(r, FAULT_LENGTH, "%s: the prompt has %zu tokens; with an answer at most %zu fit", where, e.n_prompt, r->max_tokens);
    if (s == AGON_OK && completion)
        s = row_keep(r, where, &e, 1, &row);
    else if (s == AGON_OK && (s = row_new(r, &e, 0, &row)) == AGON_OK)
        r->d->n++;
    if (s == AGON_OK)
        s = keep_origin(r, where, object);
    row_example_free(&e);
    return s;
}

/* ---- a row ------------------------------------------------------------------------------------------------ */

/* Not one field of any form of row: of another format, whose fields are called otherwise. */
static bool is_foreign(const json_t *object) {
    static const char *const keys[] = {"text", "messages", "prompt", "completion", "chosen", "rejected", "completions"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (json_object_get(object, keys[i]))
            return false;
    return true;
}

agon_status row_read(row_reader *r, const char *where, json_t *object) {
    agon_status s = row_join_parts(r, where, object);
    if (s == AGON_OK && !r->o)
        return read_question(r, where, object);
    const bool foreign = is_foreign(object);
    if (s == AGON_OK)
        s = row_check_fields(r, where, object);
    if (s == AGON_OK && !foreign)
        s = row_check_columns(r, where, object);
    if (s != AGON_OK)
        return s;
    const unsigned kind = row_kind_of(r, object);
    if (kind == ROW_STEPS)
        return read_steps(r, where, object);
    if (!(r->o->rows & kind) || foreign)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: %s learns from rows with %s%s", where, r->o->name,
                        r->o->rows & ROW_PAIR            ? "prompt, chosen and rejected"
                        : !(r->o->rows & ROW_SINGLE)     ? r->needs & NEEDS_LABEL ? "prompt, completions and labels" : "prompt, completions and rewards"
                        : (r->o->rows & ROW_GROUP) && (r->needs & NEEDS_REWARD) ? "prompt, completions and rewards"
                        : r->needs & NEEDS_REWARD        ? "one answer: prompt, completion and reward (or advantage); write a group as a row an answer"
                        : r->needs & NEEDS_LABEL         ? "one answer: prompt, completion and label"
                                                         : "messages, or prompt and completion",
                        foreign ? "; agon data convert makes rows of other formats" : "");
    return kind == ROW_PAIR ? row_read_pair(r, where, object) : kind == ROW_GROUP ? read_group(r, where, object)
                                                                            : read_single(r, where, object);
}
