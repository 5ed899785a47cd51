/* TRL-style rows, fields to responses with their numbers:
 *
 *   {"text"}                                                     a document: every token is supervised, no prompt
 *   {"messages": [{"role","content"}...]}                        one response: assistant turns are supervised
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

/* A row at the end of the dataset with room for n responses, its prompt the first tokens of e. */
static agon_status new_row(row_reader *r, const row_example *e, size_t n, train_row **out) {
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

/* A row of the examples that share their prompt. Too long: responses are cut at the end, which counts as truncated; a
 * prompt that alone fills max_tokens leaves nothing to learn from. */
static agon_status keep_row(row_reader *r, const char *where, const row_example *e, size_t n, train_row **kept) {
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
    agon_status s = new_row(r, &e[0], n, &row);
    for (size_t k = 0; k < n && s == AGON_OK; k++)
        s = keep_response(r, &e[k], room, (train_response *)&row->responses[k]);
    if (s != AGON_OK)
        return s;
    *kept = row;
    d->n++;
    return AGON_OK;
}

static agon_status read_prompt(row_reader *r, const char *where, json_t *object, row_prompt *out) {
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

/* A number, or true and false; absent leaves *out. */
static agon_status read_number(row_reader *r, const char *where, json_t *object, const char *key, double *out) {
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
        if (strcmp(c->messages[i].role, "assistant") == 0 && row_is_blank(c->messages[i].content))
            return BAD(r, FAULT_EMPTY, "%s: messages[%zu] is an empty answer (or white space only)", where, i);
    return AGON_OK;
}

/* ---- critiques and spans ------------------------------------------------------------------------------ */

/* The text of a completion: a string, or a single message's content; NULL: neither. */
static const char *completion_text(const json_t *completion) {
    if (json_is_string(completion))
        return json_string_value(completion);
    return json_array_size(completion) == 1 ? json_string_value(json_object_get(json_array_get(completion, 0), "content")) : NULL;
}

/* What an objective with a head reads: the response with the critique after it. *completion is put in its place, owned by `object`
 * under `slot`. *n_context: bytes of the text before the critique, 0 without one. */
static agon_status add_critique(row_reader *r, const char *where, json_t *object, const char *key, json_t *critique, const char *slot,
                                json_t **completion, size_t *n_context) {
    const char *text = completion_text(*completion);
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

/* cloud: a head, and the words of the critique before it. */
static bool learns_words(const row_reader *r) {
    return (r->needs & NEEDS_HEAD) && (r->needs & NEEDS_LOG_PROB);
}

/* Rewards and weights of spans on a response that was kept, maybe cut. n_context: the first bytes are read and not learnt. */
static agon_status place_spans(row_reader *r, const char *where, const json_t *spans, const json_t *completion, size_t n_context,
                               const row_example *e, train_response *kept) {
    const char *text = completion_text(completion);
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

/* Those of a response that was kept, maybe cut: one a token of the whole. name: "log_probs" or "log_probs[3]". */
static agon_status place_log_probs(row_reader *r, const char *where, const char *name, const json_t *list, const row_example *e,
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
        s = read_prompt(r, where, object, &p);
        if (s == AGON_OK)
            s = add_critique(r, where, object, "critique", json_object_get(object, "critique"), "completion", &completion, &n_context);
        if (s == AGON_OK)
            s = row_encode_pair(r, where, "completion", &p, completion, &e);
        if (s == AGON_OK && n_context == 0) /* what follows an answer ends by itself */
            s = row_read_finish(r, where, "finish", finish, &e);
    }
    if (s == AGON_OK)
        s = keep_row(r, where, &e, 1, &kept);
    if (s == AGON_OK) {
        train_response *x = (train_response *)kept->responses;
        const struct {
            const char *key;
            double *out;
        } numbers[] = {{"label", &x->label}, {"weight", &x->weight}, {"reward", &x->reward}, {"advantage", &x->advantage}};
        for (size_t i = 0; i < 4 && s == AGON_OK; i++)
            s = read_number(r, where, object, numbers[i].key, numbers[i].out);
        if (s == AGON_OK && (r->needs & NEEDS_LABEL) && isnan(x->label))
            s = ctx_fail(r->ctx, AGON_EINVAL, "%s: label is missing; %s needs it", where, r->o->name);
        if (s == AGON_OK)
            s = place_spans(r, where, spans, completion, learns_words(r) ? n_context : 0, &e, x);
        if (s == AGON_OK)
            s = place_log_probs(r, where, "log_probs", log_probs, &e, x);
        if (s == AGON_OK)
            s = rewarded(r, where, x);
    }
    row_example_free(&e);
    return s;
}

/* Puts prompt, chosen and rejected (all new, NULL: out of memory) into the row, which owns them as long as it lives. */
static agon_status divide(row_reader *r, json_t *object, json_t *prompt, json_t *tails[2], json_t **chosen, json_t **rejected) {
    bool built = json_object_set_new(object, "prompt", prompt) == 0;
    built = json_object_set_new(object, "chosen", tails[0]) == 0 && built;
    built = json_object_set_new(object, "rejected", tails[1]) == 0 && built;
    *chosen = tails[0], *rejected = tails[1];
    return built ? AGON_OK : row_no_memory(r);
}

/* The words both texts begin with. */
static agon_status common_text(row_reader *r, const char *where, json_t *object, json_t **chosen, json_t **rejected) {
    const char *a = json_string_value(*chosen), *b = json_string_value(*rejected);
    size_t n = row_common_words(a, b);
    if (n == 0)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: " NO_COMMON_WORDS, where);
    json_t *tails[2] = {json_string(a + n), json_string(b + n)};
    return divide(r, object, json_stringn(a, n), tails, chosen, rejected);
}

/* What chosen and rejected both begin with, words or messages, when there is no prompt of its own. */
static agon_status common_prompt(row_reader *r, const char *where, json_t *object, json_t **chosen, json_t **rejected) {
    size_t n = 0;
    if (json_is_string(*chosen) && json_is_string(*rejected))
        return common_text(r, where, object, chosen, rejected);
    if (!json_is_array(*chosen) || !json_is_array(*rejected))
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: prompt is missing", where);
    while (n < json_array_size(*chosen) && json_equal(json_array_get(*chosen, n), json_array_get(*rejected, n)))
        n++;
    if (json_equal(*chosen, *rejected))
        return BAD(r, FAULT_EQUAL, "%s: chosen and rejected are the same; such a pair teaches nothing", where);
    if (n == 0)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: prompt is missing, and the conversations of chosen and rejected share no beginning", where);
    if (n == json_array_size(*chosen) || n == json_array_size(*rejected))
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: prompt is missing, and %s is no more than the beginning of the other conversation, so it has no answer", where,
                        n == json_array_size(*chosen) ? "chosen" : "rejected");
    json_t *shared = json_array(), *tails[2] = {json_array(), json_array()}, *from[2] = {*chosen, *rejected};
    bool built = shared && tails[0] && tails[1];
    for (size_t i = 0; built && i < n; i++)
        built = json_array_append(shared, json_array_get(*chosen, i)) == 0;
    for (int k = 0; k < 2; k++)
        for (size_t i = n; built && i < json_array_size(from[k]); i++)
            built = json_array_append(tails[k], json_array_get(from[k], i)) == 0;
    agon_status s = divide(r, object, shared, tails, chosen, rejected);
    return built ? s : row_no_memory(r);
}

/* Numbers of a list as long as the completions; absent is fine. */
static agon_status read_list(row_reader *r, const char *where, json_t *object, const char *key, size_t n, size_t k,
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

/* A reward model's margin is a strength: which side is better is said by the label, or by the sides' places without one. Rewards
 * that say the other side would be read as a strength of what they deny. */
static agon_status margin_check(row_reader *r, const char *where, double margin, const train_response *w, const train_response *l) {
    const double gap = w->reward - l->reward, label = isnan(w->label) ? 1 : w->label;
    if (!(r->needs & TAKES_REWARD) || isnan(gap))
        return AGON_OK;
    if (margin < 0)
        return BAD(r, FAULT_RANGE, "%s: margin is %g; it says how far the better side stands above the other, 0 or more", where, margin);
    if (isnan(margin) && gap * (label - 0.5) < 0)
        return BAD(r, FAULT_RANGE, "%s: rewards are %g for chosen and %g for rejected, and %s is the better side; swap the sides or mend the %s",
                   where, w->reward, l->reward, label > 0.5 ? "chosen" : "by its label rejected", isnan(w->label) ? "rewards" : "label");
    return AGON_OK;
}

/* weight, label (how likely the chosen side is the better one), and rewards of both sides or their margin. */
static agon_status pair_numbers(row_reader *r, const char *where, json_t *object, train_row *row) {
    train_response *w = (train_response *)&row->responses[0], *l = (train_response *)&row->responses[1];
    double margin = NAN;
    agon_status s = read_number(r, where, object, "weight", &row->weight);
    if (s == AGON_OK)
        s = read_number(r, where, object, "label", &w->label);
    if (s == AGON_OK)
        s = read_number(r, where, object, "margin", &margin);
    if (s == AGON_OK && !isnan(margin))
        w->reward = margin, l->reward = 0;
    if (s == AGON_OK)
        s = read_list(r, where, object, "rewards", 2, 0, &w->reward);
    if (s == AGON_OK)
        s = read_list(r, where, object, "rewards", 2, 1, &l->reward);
    if (s == AGON_OK)
        s = margin_check(r, where, json_object_get(object, "rewards") ? NAN : margin, w, l);
    if (s == AGON_OK && (r->needs & NEEDS_REWARD) && isnan(w->reward))
        s = ctx_fail(r->ctx, AGON_EINVAL, "%s: rewards (or margin) is missing; %s needs it", where, r->o->name);
    if (s == AGON_OK && (r->needs & NEEDS_LABEL) && isnan(w->label))
        s = ctx_fail(r->ctx, AGON_EINVAL, "%s: label is missing; %s needs it", where, r->o->name);
    if (s == AGON_OK && w->label <= 0.5 && !(r->needs & (NEEDS_LABEL | TAKES_LABEL)))
        s = BAD(r, FAULT_RANGE, "%s: label is %g, so %s, which %s does not read; %s, or train dpo-soft", where, w->label,
                w->label < 0.5 ? "rejected is the better side" : "neither side is better", r->o->name,
                w->label < 0.5 ? "swap them" : "leave the row out");
    return s;
}

static bool same_tokens(const train_response *a, const train_response *b) {
    return a->n == b->n && memcmp(a->tokens, b->tokens, a->n * sizeof *a->tokens) == 0;
}

/* Whether two texts differ in nothing but the white space they end with. */
static bool differ_at_end(const char *a, const char *b) {
    size_t n = 0;
    while (a && b && a[n] && a[n] == b[n])
        n++;
    return a && b && row_is_blank(a + n) && row_is_blank(b + n);
}

static agon_status read_pair(row_reader *r, const char *where, json_t *object) {
    row_example e[2] = {{{0}, {0}, 0}, {{0}, {0}, 0}};
    row_prompt p = {0};
    train_row *kept = NULL;
    json_t *chosen = json_object_get(object, "chosen"), *rejected = json_object_get(object, "rejected");
    size_t n_context[2] = {0, 0};
    agon_status s = AGON_OK;
    if (json_object_get(object, "spans"))
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: spans go with a completion or completions, not with a pair", where);
    if (!json_object_get(object, "prompt"))
        s = common_prompt(r, where, object, &chosen, &rejected);
    if (s == AGON_OK && learns_words(r) && (!json_is_string(json_object_get(object, "chosen_critique")) || !json_is_string(json_object_get(object, "rejected_critique"))))
        s = ctx_fail(r->ctx, AGON_EINVAL, "%s: chosen_critique and rejected_critique must be texts; %s learns their words and rewards what it read", where,
                     r->o->name);
    if (s == AGON_OK)
        s = add_critique(r, where, object, "chosen_critique", json_object_get(object, "chosen_critique"), "chosen", &chosen, &n_context[0]);
    if (s == AGON_OK)
        s = add_critique(r, where, object, "rejected_critique", json_object_get(object, "rejected_critique"), "rejected", &rejected,
                         &n_context[1]);
    if (s == AGON_OK)
        s = read_prompt(r, where, object, &p);
    if (s == AGON_OK)
        s = row_encode_pair(r, where, "chosen", &p, chosen, &e[0]);
    if (s == AGON_OK)
        s = row_encode_pair(r, where, "rejected", &p, rejected, &e[1]);
    for (size_t k = 0; k < 2 && s == AGON_OK; k++) {
        const char *key = k ? "rejected_finish" : "chosen_finish";
        if (n_context[k] == 0)
            s = row_read_finish(r, where, key, json_object_get(object, key), &e[k]);
    }
    if (s == AGON_OK && e[0].tokens.n == e[1].tokens.n &&
        memcmp(e[0].tokens.ids, e[1].tokens.ids, e[0].tokens.n * sizeof(int32_t)) == 0)
        s = BAD(r, FAULT_EQUAL, "%s: chosen and rejected are the same; such a pair teaches nothing", where);
    if (s == AGON_OK)
        s = keep_row(r, where, e, 2, &kept);
    if (s == AGON_OK && same_tokens(&kept->responses[0], &kept->responses[1]))
        s = BAD(r, FAULT_EQUAL, "%s: chosen and rejected are equal after cutting to %zu tokens; such a pair teaches nothing", where, r->max_tokens);
    if (s == AGON_OK)
        s = pair_numbers(r, where, object, kept);
    r->d->n_space_only += s == AGON_OK && differ_at_end(completion_text(chosen), completion_text(rejected));
    for (size_t k = 0; k < 2 && s == AGON_OK && learns_words(r); k++)
        s = place_spans(r, where, NULL, k ? rejected : chosen, n_context[k], &e[k], (train_response *)&kept->responses[k]);
    row_example_free(&e[0]);
    row_example_free(&e[1]);
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
            if (!(a->reward == b->reward) && same_tokens(a, b) && (r->needs & NEEDS_LABEL))
                return BAD(r, FAULT_EQUAL, "%s: completions[%zu] and completions[%zu] are equal%s; choices must differ", where, i, k, cut);
            if (!(a->reward == b->reward) && same_tokens(a, b))
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
        s = read_prompt(r, where, object, &p);
    for (size_t k = 0; k < n && s == AGON_OK; k++) {
        json_t *one = json_array_get(completions, k);
        char slot[48];
        size_t n_context;
        snprintf(slot, sizeof slot, "completion with its critique %zu", k);
        s = add_critique(r, where, object, "critiques", json_array_get(critiques, k), slot, &one, &n_context);
        if (s == AGON_OK)
            s = row_encode_pair(r, where, "completions", &p, one, &e[k]);
        if (s == AGON_OK && n_context == 0)
            s = row_read_finish(r, where, "finishes", json_array_get(finishes, k), &e[k]);
    }
    if (s == AGON_OK)
        s = keep_row(r, where, e, n, &kept);
    if (s == AGON_OK)
        s = read_number(r, where, object, "weight", &kept->weight);
    for (size_t k = 0; k < n && s == AGON_OK; k++) {
        train_response *x = (train_response *)&kept->responses[k];
        s = read_list(r, where, object, "rewards", n, k, &x->reward);
        if (s == AGON_OK)
            s = read_list(r, where, object, "advantages", n, k, &x->advantage);
        if (s == AGON_OK && (r->needs & NEEDS_LABEL))
            s = read_list(r, where, object, "labels", n, k, &x->label);
        bool instead = (r->needs & NEEDS_ADVANTAGE) && !isnan(x->advantage);
        if (s == AGON_OK && (r->needs & NEEDS_REWARD) && isnan(x->reward) && !instead)
            s = ctx_fail(r->ctx, AGON_EINVAL, "%s: rewards%s is missing; %s needs it", where,
                         r->needs & NEEDS_ADVANTAGE ? " (or advantages)" : "", r->o->name);
        if (s == AGON_OK)
            s = place_spans(r, where, json_array_get(spans, k), json_array_get(completions, k), 0, &e[k], x);
        char name[32];
        snprintf(name, sizeof name, "log_probs[%zu]", k);
        if (s == AGON_OK && log_probs && json_is_null(json_array_get(log_probs, k)))
            s = ctx_fail(r->ctx, AGON_EINVAL, "%s: %s is missing; a group has log_probs throughout or not at all", where, name);
        if (s == AGON_OK)
            s = place_log_probs(r, where, name, json_array_get(log_probs, k), &e[k], x);
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
        s = keep_row(r, where, &e, 1, &kept);
    if (s == AGON_OK) {
        train_response *x = (train_response *)kept->responses;
        float *targets = arena_take(r->d->memory, x->n, sizeof *targets);
        for (size_t t = 0; targets && t < x->n; t++)
            targets[t] = NAN;
        x->targets = targets;
        s = targets ? read_number(r, where, object, "weight", &kept->weight) : row_no_memory(r);
        for (size_t k = 0; k < n && s == AGON_OK; k++) {
            double label = NAN;
            s = read_list(r, where, object, "labels", n, k, &label);
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
    agon_status s = read_prompt(r, where, object, &p);
    if (s == AGON_OK && !*(p.text ? p.text : p.messages.messages[p.messages.n - 1].content))
        s = BAD(r, FAULT_EMPTY, "%s: prompt is empty; there is nothing to answer", where);
    if (s == AGON_OK)
        s = completion ? row_encode_pair(r, where, "completion", &p, completion, &e) : encode_question(r, where, &p, &e);
    if (s == AGON_OK && r->max_tokens && e.n_prompt >= r->max_tokens)
        s = BAD(r, FAULT_LENGTH, "%s: the prompt has %zu tokens; with an answer at most %zu fit", where, e.n_prompt, r->max_tokens);
    if (s == AGON_OK && completion)
        s = keep_row(r, where, &e, 1, &row);
    else if (s == AGON_OK && (s = new_row(r, &e, 0, &row)) == AGON_OK)
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
    if (!r->o)
        return read_question(r, where, object);
    agon_status s = row_check_fields(r, where, object);
    if (s != AGON_OK)
        return s;
    const unsigned kind = row_kind_of(r, object);
    const bool foreign = is_foreign(object);
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
    return kind == ROW_PAIR ? read_pair(r, where, object) : kind == ROW_GROUP ? read_group(r, where, object)
                                                                            : read_single(r, where, object);
}
