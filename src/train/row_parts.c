/* What the forms of rows share (row_reader.h): examples to rows, prompts and numbers by their fields, and what a completion may carry: a critique, spans,
 * log_probs at sampling. */
#include "train/row_reader.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- examples to rows ------------------------------------------------------------------------------ */

static agon_status keep_response(row_reader *r, const row_example *e, size_t room, train_response *out) {
    size_t n = e->tokens.n - e->n_prompt, kept = n < room ? n : room;
    int32_t *ids = arena_take(r->d->memory, kept, sizeof *ids);
    float *mask = arena_take(r->d->memory, kept, sizeof *mask);
    if (!ids || !mask)
        return row_no_memory(r);
    memcpy(ids, e->tokens.ids + e->n_prompt, kept * sizeof *ids);
    for (size_t i = 0; i < kept; i++)
        mask[i] = e->mask.data[e->n_prompt + i] ? 1 : 0;
    *out = (train_response){.tokens = ids, .n = kept, .mask = mask, .reward = NAN, .advantage = NAN, .label = NAN,
                            .weight = 1};
    return AGON_OK;
}

agon_status row_new(row_reader *r, const row_example *e, size_t n, train_row **out) {
    dataset *d = r->d;
    train_response *responses = arena_take(d->memory, n ? n : 1, sizeof *responses);
    int32_t *ids = arena_take(d->memory, e->n_prompt ? e->n_prompt : 1, sizeof *ids);
    if (!responses || !ids || !memory_grow((void **)&d->rows, &d->capacity, d->n, sizeof *d->rows))
        return row_no_memory(r);
    if (e->n_prompt)
        memcpy(ids, e->tokens.ids, e->n_prompt * sizeof *ids);
    *out = &d->rows[d->n];
    **out = (train_row){.prompt = ids, .n_prompt = e->n_prompt, .responses = responses, .n_responses = n, .weight = 1};
    return AGON_OK;
}

agon_status row_keep(row_reader *r, const char *where, const row_example *e, size_t n, train_row **kept) {
    dataset *d = r->d;
    size_t n_prompt = e[0].n_prompt, room = r->max_tokens ? r->max_tokens - n_prompt : SIZE_MAX;
    *kept = NULL;
    for (size_t k = 1; k < n; k++)
        if (e[k].n_prompt != n_prompt || memcmp(e[k].tokens.ids, e[0].tokens.ids, n_prompt * sizeof(int32_t)) != 0)
            return ctx_fail(r->ctx, AGON_EINVAL, "%s: the responses do not share their prompt's tokens", where);
    bool cut = false;
    if (r->max_tokens && n_prompt >= r->max_tokens)
        return BAD(r, FAULT_LENGTH, "%s: the prompt has %zu tokens; with an answer at most %zu are taken, so nothing is left to learn from", where,
                   n_prompt, r->max_tokens);
    for (size_t k = 0; k < n; k++) {
        cut = cut || (r->max_tokens && e[k].tokens.n > r->max_tokens);
        if (n_prompt == 0 && (e[k].tokens.n < 2 || room < 2))
            return BAD(r, FAULT_LENGTH, "%s: there is one token%s and no prompt; nothing precedes it, so there is nothing to learn from", where,
                       e[k].tokens.n < 2 ? "" : " left after cutting");
    }
    d->n_truncated += cut ? 1 : 0;
    train_row *row;
    agon_status s = row_new(r, &e[0], n, &row);
    for (size_t k = 0; k < n && s == AGON_OK; k++)
        s = keep_response(r, &e[k], room, (train_response *)&row->responses[k]);
    if (s != AGON_OK)
        return s;
    *kept = row;
    d->n++;
    return AGON_OK;
}

bool row_same_tokens(const train_response *a, const train_response *b) {
    return a->n == b->n && memcmp(a->tokens, b->tokens, a->n * sizeof *a->tokens) == 0;
}

/* ---- fields ---------------------------------------------------------------------------------------- */

agon_status row_prompt_of(row_reader *r, const char *where, json_t *object, row_prompt *out) {
    json_t *p = json_object_get(object, "prompt");
    if (json_is_string(p)) {
        out->text = json_string_value(p);
        return AGON_OK;
    }
    if (json_is_array(p))
        return row_messages(r, where, "prompt", p, &out->messages);
    return ctx_fail(r->ctx, AGON_EINVAL, "%s: prompt %s", where,
                    p ? "must be a text or a list of messages" : "is missing");
}

/* What a number may be, by its name: labels in [0, 1], weights 0 or more, none beyond NUMBER_LIMIT. */
static agon_status number_check(row_reader *r, const char *where, const char *key, double x) {
    if (!isfinite(x))
        return BAD(r, FAULT_NOT_FINITE, "%s: %s is not finite", where, key);
    if (strncmp(key, "label", 5) == 0 && !(x >= 0 && x <= 1))
        return BAD(r, FAULT_RANGE, "%s: %s is %g; it lies between 0 and 1", where, key, x);
    if (strcmp(key, "weight") == 0 && x < 0)
        return BAD(r, FAULT_RANGE, "%s: weight is %g; it must be 0 or more", where, x);
    if (!number_fits(x))
        return BAD(r, FAULT_RANGE, "%s: %s is %g; it must be from %g to %g", where, key, x, -NUMBER_LIMIT, NUMBER_LIMIT);
    return AGON_OK;
}

agon_status row_number(row_reader *r, const char *where, json_t *object, const char *key, double *out) {
    json_t *v = json_object_get(object, key);
    if (json_absent(v))
        return AGON_OK;
    if (!json_is_number(v) && !json_is_boolean(v))
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: %s must be a number", where, key);
    double x = json_is_boolean(v) ? json_is_true(v) : json_number_value(v);
    agon_status s = number_check(r, where, key, x);
    if (s == AGON_OK)
        *out = x;
    return s;
}

agon_status row_list_number(row_reader *r, const char *where, json_t *object, const char *key, size_t n, size_t k,
                             double *out) {
    json_t *list = json_object_get(object, key);
    if (json_absent(list))
        return AGON_OK;
    if (!json_is_array(list) || json_array_size(list) != n)
        return BAD(r, FAULT_GROUP, "%s: %s must be a list of %zu numbers, one a completion", where, key, n);
    json_t *v = json_array_get(list, k);
    if (!json_is_number(v) && !json_is_boolean(v))
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: %s[%zu] is not a number", where, key, k);
    double x = json_is_boolean(v) ? json_is_true(v) : json_number_value(v);
    agon_status s = number_check(r, where, key, x);
    if (s == AGON_OK)
        *out = x;
    return s;
}

/* ---- critiques and spans ------------------------------------------------------------------------------ */

const char *row_completion_text(const json_t *completion) {
    if (json_is_string(completion))
        return json_string_value(completion);
    return json_array_size(completion) == 1 ? json_string_value(json_object_get(json_array_get(completion, 0), "content")) : NULL;
}

agon_status row_add_critique(row_reader *r, const char *where, json_t *object, const char *key, json_t *critique, const char *slot,
                                json_t **completion, size_t *n_context) {
    const char *text = row_completion_text(*completion);
    *n_context = 0;
    if (json_absent(critique) || !(r->needs & NEEDS_HEAD) || !*completion)
        return AGON_OK;
    if (!json_is_string(critique) || !text)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: %s must be a text, beside a text or one message", where, key);
    if (row_is_blank(text))
        return row_empty(r, where, "the answer before a critique");
    char *joined = critique_join(text, json_string_value(critique), n_context);
    json_t *whole = joined ? json_string(joined) : NULL, *made = whole;
    free(joined);
    if (whole && json_is_array(*completion)) {
        json_t *message = json_copy(json_array_get(*completion, 0));
        bool built = message && json_object_set_new(message, "content", whole) == 0;
        made = built ? json_pack("[o]", message) : NULL;
    }
    if (!made || json_object_set_new(object, slot, made) != 0)
        return row_no_memory(r);
    *completion = made;
    return AGON_OK;
}

bool row_learns_words(const row_reader *r) {
    return (r->needs & NEEDS_HEAD) && (r->needs & NEEDS_LOG_PROB);
}

agon_status row_place_spans(row_reader *r, const char *where, const json_t *spans, const json_t *completion, size_t n_context,
                               const row_example *e, train_response *kept) {
    const char *text = row_completion_text(completion);
    size_t n = e->tokens.n - e->n_prompt;
    bool rewarded = false;
    if (json_absent(spans) && n_context == 0)
        return AGON_OK;
    if (!text)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: spans need a completion of one text or message", where);
    size_t(*offsets)[2] = arena_take(r->d->memory, n, sizeof *offsets);
    double *rewards = arena_take(r->d->memory, n, sizeof *rewards), *weights = arena_take(r->d->memory, n, sizeof *weights);
    float *token_rewards = arena_take(r->d->memory, n, sizeof *token_rewards), *mask = (float *)(uintptr_t)kept->mask, left = 0;
    if (!offsets || !rewards || !weights || !token_rewards)
        return row_no_memory(r);
    for (size_t t = 0; t < n; t++)
        weights[t] = 1;
    agon_status s = token_offsets(r->ctx, r->t, e->tokens.ids + e->n_prompt, n, text, strlen(text), true, offsets);
    if (s != AGON_OK)
        return ctx_prefix(r->ctx, s, "%s", where);
    if (!json_absent(spans))
        s = row_spans_place(r->ctx, where, spans, text, (const size_t(*)[2])offsets, n,
                            r->needs & TAKES_TOKEN_REWARDS ? rewards : NULL, weights, &rewarded, &r->d->spans);
    for (size_t t = 0; t < n && s == AGON_OK && t < kept->n; t++) {
        bool context = n_context > 0 && offsets[t][1] > offsets[t][0] && offsets[t][0] < n_context;
        mask[t] = context ? 0 : mask[t] * (float)weights[t];
        token_rewards[t] = (float)rewards[t];
        left += mask[t];
    }
    if (s == AGON_OK && !(left > 0))
        s = BAD(r, FAULT_EMPTY, "%s: the weights of the spans leave no token to learn from", where);
    if (s == AGON_OK && rewarded)
        kept->token_rewards = token_rewards;
    return s;
}

/* ---- log_probs at sampling ---------------------------------------------------------------------------- */

agon_status row_place_log_probs(row_reader *r, const char *where, const char *name, const json_t *list, const row_example *e,
                                   train_response *kept) {
    size_t n = e->tokens.n - e->n_prompt;
    if (json_absent(list) || !(r->needs & TAKES_OLD))
        return AGON_OK;
    if (!json_is_array(list))
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: %s must be a list of numbers, one a token", where, name);
    if (json_array_size(list) != n)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: %s has %zu numbers, and the completion%s has %zu tokens", where, name,
                        json_array_size(list), tokenizer_is_stop(r->t, e->tokens.ids[e->tokens.n - 1]) ? " with its end token" : "", n);
    float *old = arena_take(r->d->memory, n, sizeof *old);
    if (!old)
        return row_no_memory(r);
    for (size_t t = 0; t < n; t++) {
        const json_t *v = json_array_get(list, t);
        if (!json_is_number(v))
            return ctx_fail(r->ctx, AGON_EINVAL, "%s: %s[%zu] is not a number", where, name, t);
        old[t] = (float)json_number_value(v);
        if (!isfinite(old[t]))
            return BAD(r, FAULT_NOT_FINITE, "%s: %s[%zu] is not finite", where, name, t);
        if (old[t] > 0)
            return BAD(r, FAULT_RANGE, "%s: %s[%zu] is %g; a log-probability is 0 at the most", where, name, t, (double)old[t]);
    }
    kept->old = old;
    return AGON_OK;
}
