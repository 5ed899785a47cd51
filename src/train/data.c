/* Datasets: TRL-style JSONL rows to exact tokens and masks.
 *
 *   {"text"}                                                     a document: every token is supervised, no prompt
 *   {"messages": [{"role","content"}...]}                        one response: assistant turns are supervised
 *   {"prompt", "completion"} (+ "label", "weight", "reward", "advantage")
 *   {"prompt", "chosen", "rejected"} (+ "label": P(chosen is better), "margin", "rewards": [chosen, rejected]);
 *                              without "prompt", the messages both begin with are the prompt
 *   {"prompt", "completions": [...], "rewards": [...] or "advantages": [...]}
 *   {"prompt", "completions": [steps], "labels": [...]}          one response, a line a step, a label at each step's end
 *
 * each with "dimension" where several are trained together. Prompts to be answered (dataset_read_prompts):
 *
 *   {"prompt"} (+ "completion": a demonstration, and any field for who judges the answers)
 *
 * Rows of single responses may have "spans" (row_spans.h): rewards and weights of parts of the completion; groups a list of them a
 * completion. For objectives that read a head, "critique" ("chosen_critique", "rejected_critique"; "critiques": [...]) follows the response
 * (critique_join); cloud learns the words of the critique alone.
 *
 * A text is raw: prompt and completion are tokenised separately, special strings parsed, EOS after the
 * completion. A list of messages goes through the chat template: content is never parsed for special
 * strings, the answer ends with the end-of-turn token. What follows the last supervised token (the
 * template's newline) is dropped, and what precedes the first is prompt: recutting changes no bit.
 *
 * A row that cannot be learnt from is refused by file and line, or left out and counted (data_fault). */
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/json.h"
#include "base/memory.h"
#include "train/row_spans.h"
#include "train/train.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_MESSAGES = 4096, MAX_COMPLETIONS = 4096, MAX_SKIPPED = 1000 };

typedef struct skipped_row {
    data_fault fault;
    const char *sentence;
} skipped_row;

/* Where a prompt to be answered came from. */
typedef struct prompt_origin {
    json_t *object;
    const char *where;
} prompt_origin;

struct dataset {
    arena *memory;
    prompt_origin *origins; /* [n_origins] of prompts to be answered: one a row */
    size_t n_origins;
    train_row *rows;
    size_t n, capacity, n_truncated, n_double_end, n_skipped;
    size_t faults[N_DATA_FAULTS];
    span_tally spans;
    skipped_row *skipped; /* [min(n_skipped, MAX_SKIPPED)] */
};

typedef struct reader {
    agon_ctx *ctx;
    const tokenizer *t;
    const objective *o; /* NULL: prompts to be answered */
    size_t max_tokens;
    dataset *d;
    dataset_options options;
    data_fault fault; /* of the row being read; FAULT_FIELDS until something else is found */
} reader;

/* `return BAD(r, FAULT_EQUAL, ...)`: what is wrong with this row. */
#define BAD(r, kind, ...) ((r)->fault = (kind), ctx_fail((r)->ctx, AGON_EINVAL, __VA_ARGS__))

static agon_status no_memory(reader *r) {
    return ctx_fail(r->ctx, AGON_ENOMEM, "out of memory reading training rows");
}

/* ---- tokens of one example ------------------------------------------------------------------------- */

/* Tokens with one mask byte each, the first n_prompt of them prompt. */
typedef struct example {
    token_list tokens;
    buffer mask;
    size_t n_prompt;
} example;

static void example_free(example *e) {
    token_list_free(&e->tokens);
    buffer_free(&e->mask);
}

typedef struct chat {
    chat_message *messages; /* [n], strings borrowed from the JSON */
    size_t n;
} chat;

/* Appends the messages of `list` to *out (arena memory). */
static agon_status read_messages(reader *r, const char *where, const char *key, json_t *list, chat *out) {
    size_t n = json_array_size(list);
    if (n == 0 || n + out->n > MAX_MESSAGES)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: %s has %zu messages; 1 to %d are taken", where, key, n, MAX_MESSAGES);
    chat_message *all = arena_take(r->d->memory, out->n + n, sizeof *all);
    if (!all)
        return no_memory(r);
    if (out->n)
        memcpy(all, out->messages, out->n * sizeof *all);
    for (size_t i = 0; i < n; i++) {
        chat_message *m = &all[out->n + i];
        json_t *object = json_array_get(list, i);
        if (!json_is_object(object))
            return ctx_fail(r->ctx, AGON_EINVAL, "%s: %s[%zu] must be an object with role and content", where, key, i);
        agon_status s = json_get_text(r->ctx, where, object, "role", true, &m->role);
        if (s == AGON_OK)
            s = json_get_text(r->ctx, where, object, "content", true, &m->content);
        if (s != AGON_OK)
            return s;
    }
    *out = (chat){all, out->n + n};
    return AGON_OK;
}

static bool pad_mask(buffer *mask, size_t n, char value) {
    while (mask->size < n)
        if (!buffer_char(mask, value))
            return false;
    return true;
}

/* Cuts what follows the last supervised token. */
static agon_status trim(reader *r, const char *where, example *e) {
    while (e->tokens.n > e->n_prompt && !e->mask.data[e->tokens.n - 1])
        e->tokens.n--;
    if (e->tokens.n == e->n_prompt)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: there is no assistant text to learn from", where);
    return AGON_OK;
}

/* messages: everything before the first supervised token is the prompt. */
static agon_status encode_messages(reader *r, const char *where, const chat *c, example *e) {
    agon_status s = chat_encode(r->ctx, r->t, c->messages, c->n, false, &e->tokens, &e->mask);
    if (s != AGON_OK)
        return ctx_prefix(r->ctx, s, "%s", where);
    while (e->n_prompt < e->tokens.n && !e->mask.data[e->n_prompt])
        e->n_prompt++;
    return trim(r, where, e);
}

/* prompt and completion as messages: the prompt ends with the opening of the answer. */
static agon_status encode_turns(reader *r, const char *where, const chat *prompt, const chat *all, example *e) {
    token_list opened = {0};
    agon_status s = chat_encode(r->ctx, r->t, prompt->messages, prompt->n, true, &opened, NULL);
    if (s == AGON_OK)
        s = chat_encode(r->ctx, r->t, all->messages, all->n, false, &e->tokens, &e->mask);
    if (s != AGON_OK)
        s = ctx_prefix(r->ctx, s, "%s", where);
    else if (opened.n > e->tokens.n || memcmp(opened.ids, e->tokens.ids, opened.n * sizeof *opened.ids) != 0)
        s = ctx_fail(r->ctx, AGON_EINVAL, "%s: the completion must begin with an assistant message", where);
    e->n_prompt = opened.n;
    token_list_free(&opened);
    return s == AGON_OK ? trim(r, where, e) : s;
}

static agon_status empty(reader *r, const char *where, const char *key) {
    return BAD(r, FAULT_EMPTY, "%s: %s is empty; there is nothing to learn from", where, key);
}

static agon_status encode_raw(reader *r, const char *where, const char *prompt, const char *completion, example *e) {
    int32_t eos = tokenizer_eos(r->t);
    agon_status s = tokenizer_encode_raw(r->ctx, r->t, prompt, strlen(prompt), &e->tokens);
    e->n_prompt = e->tokens.n;
    if (s == AGON_OK)
        s = tokenizer_encode(r->ctx, r->t, completion, strlen(completion), true, &e->tokens);
    if (s != AGON_OK)
        return ctx_prefix(r->ctx, s, "%s", where);
    bool ended = eos >= 0 && e->tokens.n > e->n_prompt && e->tokens.ids[e->tokens.n - 1] == eos;
    r->d->n_double_end += ended; /* it brought its own: a second would be learnt as text */
    if ((eos >= 0 && !ended && !token_list_push(&e->tokens, eos)) || !pad_mask(&e->mask, e->n_prompt, 0) ||
        !pad_mask(&e->mask, e->tokens.n, 1))
        return no_memory(r);
    return trim(r, where, e);
}

/* A prompt: text or messages. */
typedef struct prompt {
    const char *text; /* NULL: messages */
    chat messages;
} prompt;

/* prompt + completion (text or messages; a text after messages is one assistant message). */
static agon_status encode_pair(reader *r, const char *where, const char *key, const prompt *p, json_t *completion,
                               example *e) {
    if (!completion || (!json_is_string(completion) && !json_is_array(completion)))
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: %s must be a text or a list of messages", where, key);
    /* A sample of a group may be empty: the policy said nothing, and its reward judges that. */
    if (json_is_string(completion) && json_string_length(completion) == 0 && strcmp(key, "completions") != 0)
        return empty(r, where, key);
    if (p->text && json_is_string(completion))
        return encode_raw(r, where, p->text, json_string_value(completion), e);
    if (p->text)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: prompt is a text but %s is a list of messages; use one form", where,
                        key);
    chat all = p->messages;
    if (json_is_array(completion)) {
        agon_status s = read_messages(r, where, key, completion, &all);
        if (s == AGON_OK && *all.messages[all.n - 1].content == '\0')
            s = empty(r, where, key);
        return s == AGON_OK ? encode_turns(r, where, &p->messages, &all, e) : s;
    }
    all.messages = arena_take(r->d->memory, all.n + 1, sizeof *all.messages);
    if (!all.messages)
        return no_memory(r);
    memcpy(all.messages, p->messages.messages, all.n * sizeof *all.messages);
    all.messages[all.n++] = (chat_message){"assistant", json_string_value(completion)};
    return encode_turns(r, where, &p->messages, &all, e);
}

/* ---- examples to rows ------------------------------------------------------------------------------ */

static agon_status keep_response(reader *r, const example *e, size_t room, train_response *out) {
    size_t n = e->tokens.n - e->n_prompt, kept = n < room ? n : room;
    int32_t *ids = arena_take(r->d->memory, kept, sizeof *ids);
    float *mask = arena_take(r->d->memory, kept, sizeof *mask);
    if (!ids || !mask)
        return no_memory(r);
    memcpy(ids, e->tokens.ids + e->n_prompt, kept * sizeof *ids);
    for (size_t i = 0; i < kept; i++)
        mask[i] = e->mask.data[e->n_prompt + i] ? 1 : 0;
    *out = (train_response){.tokens = ids, .n = kept, .mask = mask, .reward = NAN, .advantage = NAN, .label = NAN,
                            .weight = 1};
    return AGON_OK;
}

/* A row at the end of the dataset with room for n responses, its prompt the first tokens of e. */
static agon_status new_row(reader *r, const example *e, size_t n, train_row **out) {
    dataset *d = r->d;
    if (d->n == d->capacity) {
        size_t capacity = d->capacity ? 2 * d->capacity : 64;
        train_row *grown = realloc(d->rows, size_mul(capacity, sizeof *grown));
        if (!grown)
            return no_memory(r);
        d->rows = grown, d->capacity = capacity;
    }
    train_response *responses = arena_take(d->memory, n ? n : 1, sizeof *responses);
    int32_t *ids = arena_take(d->memory, e->n_prompt ? e->n_prompt : 1, sizeof *ids);
    if (!responses || !ids)
        return no_memory(r);
    if (e->n_prompt)
        memcpy(ids, e->tokens.ids, e->n_prompt * sizeof *ids);
    *out = &d->rows[d->n];
    **out = (train_row){.prompt = ids, .n_prompt = e->n_prompt, .responses = responses, .n_responses = n, .weight = 1};
    return AGON_OK;
}

/* A row of the examples that share their prompt. Too long: responses are cut at the end, and a row whose
 * prompt alone fills max_tokens is left out; both count as truncated. *kept NULL when left out. */
static agon_status keep_row(reader *r, const char *where, const example *e, size_t n, train_row **kept) {
    dataset *d = r->d;
    size_t n_prompt = e[0].n_prompt, room = r->max_tokens ? r->max_tokens - n_prompt : SIZE_MAX;
    *kept = NULL;
    for (size_t k = 1; k < n; k++)
        if (e[k].n_prompt != n_prompt || memcmp(e[k].tokens.ids, e[0].tokens.ids, n_prompt * sizeof(int32_t)) != 0)
            return ctx_fail(r->ctx, AGON_EINVAL, "%s: the responses do not share their prompt's tokens", where);
    bool cut = false;
    for (size_t k = 0; k < n; k++)
        cut = cut || (r->max_tokens && e[k].tokens.n > r->max_tokens);
    d->n_truncated += cut ? 1 : 0;
    if (r->max_tokens && n_prompt >= r->max_tokens)
        return AGON_OK;
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

static agon_status read_prompt(reader *r, const char *where, json_t *object, prompt *out) {
    json_t *p = json_object_get(object, "prompt");
    if (json_is_string(p)) {
        out->text = json_string_value(p);
        return AGON_OK;
    }
    if (json_is_array(p))
        return read_messages(r, where, "prompt", p, &out->messages);
    return ctx_fail(r->ctx, AGON_EINVAL, "%s: prompt %s", where,
                    p ? "must be a text or a list of messages" : "is missing");
}

/* What a number may be, by its name: labels in [0, 1], weights 0 or more, all finite. */
static agon_status number_check(reader *r, const char *where, const char *key, double x) {
    if (!isfinite(x))
        return BAD(r, FAULT_NOT_FINITE, "%s: %s is not finite", where, key);
    if (strncmp(key, "label", 5) == 0 && !(x >= 0 && x <= 1))
        return BAD(r, FAULT_RANGE, "%s: %s is %g; it lies between 0 and 1", where, key, x);
    if (strcmp(key, "weight") == 0 && x < 0)
        return BAD(r, FAULT_RANGE, "%s: weight is %g; it must be 0 or more", where, x);
    return AGON_OK;
}

/* A number, or true and false; absent leaves *out. */
static agon_status read_number(reader *r, const char *where, json_t *object, const char *key, double *out) {
    json_t *v = json_object_get(object, key);
    if (!v || json_is_null(v))
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
static agon_status encode_text(reader *r, const char *where, json_t *text, example *e) {
    if (!json_is_string(text))
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: text must be a text", where);
    if (json_string_length(text) == 0)
        return empty(r, where, "text");
    return encode_raw(r, where, "", json_string_value(text), e);
}

/* An answer without a word would be learnt as "say nothing". */
static agon_status answers_check(reader *r, const char *where, const chat *c) {
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->messages[i].role, "assistant") == 0 && *c->messages[i].content == '\0')
            return BAD(r, FAULT_EMPTY, "%s: messages[%zu] is an empty answer", where, i);
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
static agon_status add_critique(reader *r, const char *where, json_t *object, const char *key, json_t *critique, const char *slot,
                                json_t **completion, size_t *n_context) {
    const char *text = completion_text(*completion);
    *n_context = 0;
    if (!critique || json_is_null(critique) || !(r->o->needs & NEEDS_HEAD) || !*completion)
        return AGON_OK;
    if (!json_is_string(critique) || !text)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: %s must be a text, beside a text or one message", where, key);
    if (!*text)
        return empty(r, where, "the answer before a critique");
    char *joined = critique_join(text, json_string_value(critique), n_context);
    json_t *whole = joined ? json_string(joined) : NULL, *made = whole;
    free(joined);
    if (whole && json_is_array(*completion)) {
        json_t *message = json_copy(json_array_get(*completion, 0));
        bool built = message && json_object_set_new(message, "content", whole) == 0;
        made = built ? json_pack("[o]", message) : NULL;
    }
    if (!made || json_object_set_new(object, slot, made) != 0)
        return no_memory(r);
    *completion = made;
    return AGON_OK;
}

/* cloud: a head, and the words of the critique before it. */
static bool learns_words(const reader *r) {
    return (r->o->needs & NEEDS_HEAD) && (r->o->needs & NEEDS_LOG_PROB);
}

/* Rewards and weights of spans on a response that was kept, maybe cut. n_context: the first bytes are read and not learnt. */
static agon_status place_spans(reader *r, const char *where, const json_t *spans, const json_t *completion, size_t n_context,
                               const example *e, train_response *kept) {
    const char *text = completion_text(completion);
    size_t n = e->tokens.n - e->n_prompt;
    bool rewarded = false;
    if ((!spans || json_is_null(spans)) && n_context == 0)
        return AGON_OK;
    if (!text)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: spans need a completion of one text or message", where);
    size_t(*offsets)[2] = arena_take(r->d->memory, n, sizeof *offsets);
    double *rewards = arena_take(r->d->memory, n, sizeof *rewards), *weights = arena_take(r->d->memory, n, sizeof *weights);
    float *token_rewards = arena_take(r->d->memory, n, sizeof *token_rewards), *mask = (float *)(uintptr_t)kept->mask, left = 0;
    if (!offsets || !rewards || !weights || !token_rewards)
        return no_memory(r);
    for (size_t t = 0; t < n; t++)
        weights[t] = 1;
    agon_status s = token_offsets(r->ctx, r->t, e->tokens.ids + e->n_prompt, n, text, strlen(text), true, offsets);
    if (s != AGON_OK)
        return ctx_prefix(r->ctx, s, "%s", where);
    if (spans && !json_is_null(spans))
        s = row_spans_place(r->ctx, where, spans, text, (const size_t(*)[2])offsets, n,
                            r->o->needs & TAKES_TOKEN_REWARDS ? rewards : NULL, weights, &rewarded, &r->d->spans);
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

static agon_status read_single(reader *r, const char *where, json_t *object) {
    example e = {0};
    prompt p = {0};
    train_row *kept = NULL;
    json_t *messages = json_object_get(object, "messages"), *completion = json_object_get(object, "completion");
    json_t *spans = json_object_get(object, "spans");
    size_t n_context = 0;
    agon_status s;
    if (spans && !completion)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: spans are of a completion (or of completions), which this row has not", where);
    if (json_object_get(object, "text")) {
        s = encode_text(r, where, json_object_get(object, "text"), &e);
    } else if (messages) {
        s = json_is_array(messages) ? read_messages(r, where, "messages", messages, &p.messages)
                                    : ctx_fail(r->ctx, AGON_EINVAL, "%s: messages must be a list", where);
        if (s == AGON_OK)
            s = answers_check(r, where, &p.messages);
        if (s == AGON_OK)
            s = encode_messages(r, where, &p.messages, &e);
    } else {
        s = read_prompt(r, where, object, &p);
        if (s == AGON_OK)
            s = add_critique(r, where, object, "critique", json_object_get(object, "critique"), "completion", &completion, &n_context);
        if (s == AGON_OK)
            s = encode_pair(r, where, "completion", &p, completion, &e);
    }
    if (s == AGON_OK)
        s = keep_row(r, where, &e, 1, &kept);
    if (s == AGON_OK && kept) {
        train_response *x = (train_response *)kept->responses;
        const struct {
            const char *key;
            double *out;
        } numbers[] = {{"label", &x->label}, {"weight", &x->weight}, {"reward", &x->reward}, {"advantage", &x->advantage}};
        for (size_t i = 0; i < 4 && s == AGON_OK; i++)
            s = read_number(r, where, object, numbers[i].key, numbers[i].out);
        if (s == AGON_OK && (r->o->needs & NEEDS_LABEL) && isnan(x->label))
            s = ctx_fail(r->ctx, AGON_EINVAL, "%s: label is missing; %s needs it", where, r->o->name);
        if (s == AGON_OK)
            s = place_spans(r, where, spans, completion, learns_words(r) ? n_context : 0, &e, x);
    }
    example_free(&e);
    return s;
}

/* The messages that chosen and rejected both begin with, when there is no prompt of its own. */
static agon_status common_prompt(reader *r, const char *where, json_t *object, json_t **chosen, json_t **rejected) {
    size_t n = 0;
    if (!json_is_array(*chosen) || !json_is_array(*rejected))
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: prompt is missing", where);
    while (n < json_array_size(*chosen) && json_equal(json_array_get(*chosen, n), json_array_get(*rejected, n)))
        n++;
    json_t *shared = json_array(), *tails[2] = {json_array(), json_array()}, *from[2] = {*chosen, *rejected};
    bool built = shared && tails[0] && tails[1];
    for (size_t i = 0; built && i < n; i++)
        built = json_array_append(shared, json_array_get(*chosen, i)) == 0;
    for (int k = 0; k < 2; k++)
        for (size_t i = n; built && i < json_array_size(from[k]); i++)
            built = json_array_append(tails[k], json_array_get(from[k], i)) == 0;
    /* The object owns all three, so that borrowed strings live as long as the row. */
    built = json_object_set_new(object, "prompt", shared) == 0 && built;
    built = json_object_set_new(object, "chosen", tails[0]) == 0 && built;
    built = json_object_set_new(object, "rejected", tails[1]) == 0 && built;
    *chosen = tails[0], *rejected = tails[1];
    return built ? AGON_OK : no_memory(r);
}

/* Numbers of a list as long as the completions; absent is fine. */
static agon_status read_list(reader *r, const char *where, json_t *object, const char *key, size_t n, size_t k,
                             double *out) {
    json_t *list = json_object_get(object, key);
    if (!list || json_is_null(list))
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

/* weight, label (how likely the chosen side is the better one), and rewards of both sides or their margin. */
static agon_status pair_numbers(reader *r, const char *where, json_t *object, train_row *row) {
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
    if (s == AGON_OK && (r->o->needs & NEEDS_REWARD) && isnan(w->reward))
        s = ctx_fail(r->ctx, AGON_EINVAL, "%s: rewards (or margin) is missing; %s needs it", where, r->o->name);
    if (s == AGON_OK && (r->o->needs & NEEDS_LABEL) && isnan(w->label))
        s = ctx_fail(r->ctx, AGON_EINVAL, "%s: label is missing; %s needs it", where, r->o->name);
    if (s == AGON_OK && w->label < 0.5 && !(r->o->needs & (NEEDS_LABEL | TAKES_LABEL)))
        s = BAD(r, FAULT_RANGE, "%s: label is %g, so rejected is the better side, which %s does not read; swap them, or train dpo-soft", where,
                w->label, r->o->name);
    return s;
}

static agon_status read_pair(reader *r, const char *where, json_t *object) {
    example e[2] = {{{0}, {0}, 0}, {{0}, {0}, 0}};
    prompt p = {0};
    train_row *kept = NULL;
    json_t *chosen = json_object_get(object, "chosen"), *rejected = json_object_get(object, "rejected");
    size_t n_context[2] = {0, 0};
    agon_status s = AGON_OK;
    if (json_object_get(object, "spans"))
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: spans go with a completion or completions, not with a pair", where);
    if (!json_object_get(object, "prompt"))
        s = common_prompt(r, where, object, &chosen, &rejected);
    if (s == AGON_OK)
        s = add_critique(r, where, object, "chosen_critique", json_object_get(object, "chosen_critique"), "chosen", &chosen, &n_context[0]);
    if (s == AGON_OK)
        s = add_critique(r, where, object, "rejected_critique", json_object_get(object, "rejected_critique"), "rejected", &rejected,
                         &n_context[1]);
    if (s == AGON_OK)
        s = read_prompt(r, where, object, &p);
    if (s == AGON_OK)
        s = encode_pair(r, where, "chosen", &p, chosen, &e[0]);
    if (s == AGON_OK)
        s = encode_pair(r, where, "rejected", &p, rejected, &e[1]);
    if (s == AGON_OK && e[0].tokens.n == e[1].tokens.n &&
        memcmp(e[0].tokens.ids, e[1].tokens.ids, e[0].tokens.n * sizeof(int32_t)) == 0)
        s = BAD(r, FAULT_EQUAL, "%s: chosen and rejected are the same; such a pair teaches nothing", where);
    if (s == AGON_OK)
        s = keep_row(r, where, e, 2, &kept);
    if (s == AGON_OK && kept)
        s = pair_numbers(r, where, object, kept);
    for (size_t k = 0; k < 2 && s == AGON_OK && kept && learns_words(r); k++)
        s = place_spans(r, where, NULL, k ? rejected : chosen, n_context[k], &e[k], (train_response *)&kept->responses[k]);
    example_free(&e[0]);
    example_free(&e[1]);
    return s;
}

/* Sizes that can be compared, and the size that was asked for. */
static agon_status group_check(reader *r, const char *where, json_t *object, size_t n) {
    if (r->options.group_size && n != r->options.group_size)
        return BAD(r, FAULT_GROUP, "%s: completions has %zu; groups of %zu are asked for", where, n, r->options.group_size);
    bool compared = !(r->o->rows & ROW_SINGLE) || ((r->o->needs & NEEDS_REWARD) && !json_object_get(object, "advantages"));
    if (n < 2 && compared)
        return BAD(r, FAULT_GROUP, "%s: completions has one; %s compares two or more", where, r->o->name);
    return AGON_OK;
}

static agon_status read_group(reader *r, const char *where, json_t *object) {
    json_t *completions = json_object_get(object, "completions"), *spans = json_object_get(object, "spans");
    json_t *critiques = json_object_get(object, "critiques");
    size_t n = json_array_size(completions);
    prompt p = {0};
    train_row *kept = NULL;
    if ((spans && json_array_size(spans) != n) || (critiques && json_array_size(critiques) != n))
        return BAD(r, FAULT_GROUP, "%s: spans and critiques are lists of %zu, one entry a completion", where, n);
    if (!json_is_array(completions) || n == 0 || n > MAX_COMPLETIONS)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: completions must be a list of 1 to %d", where, MAX_COMPLETIONS);
    example *e = calloc(n, sizeof *e);
    if (!e)
        return no_memory(r);
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
            s = encode_pair(r, where, "completions", &p, one, &e[k]);
    }
    if (s == AGON_OK)
        s = keep_row(r, where, e, n, &kept);
    for (size_t k = 0; k < n && s == AGON_OK && kept; k++) {
        train_response *x = (train_response *)&kept->responses[k];
        s = read_list(r, where, object, "rewards", n, k, &x->reward);
        if (s == AGON_OK)
            s = read_list(r, where, object, "advantages", n, k, &x->advantage);
        if (s == AGON_OK && (r->o->needs & NEEDS_REWARD) && isnan(x->reward) && isnan(x->advantage))
            s = ctx_fail(r->ctx, AGON_EINVAL, "%s: rewards is missing; %s needs it", where, r->o->name);
        if (s == AGON_OK)
            s = place_spans(r, where, json_array_get(spans, k), json_array_get(completions, k), 0, &e[k], x);
    }
    for (size_t k = 0; k < n; k++)
        example_free(&e[k]);
    free(e);
    return s;
}

/* Steps of a solution as one response: a line each, its label at its last token. */
static agon_status read_steps(reader *r, const char *where, json_t *object) {
    json_t *steps = json_object_get(object, "completions");
    size_t n = json_array_size(steps), ends[MAX_COMPLETIONS];
    const char *prompt = json_string_value(json_object_get(object, "prompt"));
    example e = {0};
    train_row *kept = NULL;
    if (!prompt || !json_is_array(steps) || n == 0 || n > MAX_COMPLETIONS)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: stepwise rows have a prompt (text) and completions, a list of 1 to %d texts",
                        where, MAX_COMPLETIONS);
    agon_status s = tokenizer_encode_raw(r->ctx, r->t, prompt, strlen(prompt), &e.tokens);
    e.n_prompt = e.tokens.n;
    for (size_t k = 0; k < n && s == AGON_OK; k++) {
        const char *step = json_string_value(json_array_get(steps, k));
        if (!step || !*step)
            s = BAD(r, FAULT_EMPTY, "%s: completions[%zu] is no text, or empty", where, k);
        if (s == AGON_OK)
            s = tokenizer_encode(r->ctx, r->t, step, strlen(step), true, &e.tokens);
        if (s == AGON_OK)
            s = tokenizer_encode(r->ctx, r->t, "\n", 1, true, &e.tokens);
        ends[k] = e.tokens.n - 1;
    }
    if (s == AGON_OK && (!pad_mask(&e.mask, e.n_prompt, 0) || !pad_mask(&e.mask, e.tokens.n, 1)))
        s = no_memory(r);
    if (s == AGON_OK)
        s = keep_row(r, where, &e, 1, &kept);
    if (s == AGON_OK && kept) {
        train_response *x = (train_response *)kept->responses;
        float *targets = arena_take(r->d->memory, x->n, sizeof *targets);
        for (size_t t = 0; targets && t < x->n; t++)
            targets[t] = NAN;
        x->targets = targets;
        s = targets ? AGON_OK : no_memory(r);
        for (size_t k = 0; k < n && s == AGON_OK; k++) {
            double label = NAN;
            s = read_list(r, where, object, "labels", n, k, &label);
            if (s == AGON_OK && isnan(label))
                s = ctx_fail(r->ctx, AGON_EINVAL, "%s: labels is missing; %s needs it", where, r->o->name);
            if (s == AGON_OK && ends[k] - e.n_prompt < x->n)
                targets[ends[k] - e.n_prompt] = (float)label;
        }
    }
    example_free(&e);
    return s;
}

/* ---- prompts to be answered --------------------------------------------------------------------------- */

/* Keeps the row itself beside its tokens. */
static agon_status keep_origin(reader *r, const char *where, json_t *object) {
    dataset *d = r->d;
    prompt_origin *grown = realloc(d->origins, size_mul(d->n_origins + 1, sizeof *grown));
    const char *kept = arena_copy(d->memory, where);
    if (grown)
        d->origins = grown;
    if (!grown || !kept)
        return no_memory(r);
    grown[d->n_origins++] = (prompt_origin){json_incref(object), kept};
    return AGON_OK;
}

static agon_status encode_question(reader *r, const char *where, const prompt *p, example *e) {
    agon_status s = p->text ? tokenizer_encode_raw(r->ctx, r->t, p->text, strlen(p->text), &e->tokens)
                            : chat_encode(r->ctx, r->t, p->messages.messages, p->messages.n, true, &e->tokens, NULL);
    e->n_prompt = e->tokens.n;
    return s == AGON_OK ? s : ctx_prefix(r->ctx, s, "%s", where);
}

/* {"prompt"}, with "completion" as the row's only response. */
static agon_status read_question(reader *r, const char *where, json_t *object) {
    example e = {0};
    prompt p = {0};
    json_t *completion = json_object_get(object, "completion");
    train_row *row = NULL;
    agon_status s = read_prompt(r, where, object, &p);
    if (s == AGON_OK && !*(p.text ? p.text : p.messages.messages[p.messages.n - 1].content))
        s = BAD(r, FAULT_EMPTY, "%s: prompt is empty; there is nothing to answer", where);
    if (s == AGON_OK)
        s = completion ? encode_pair(r, where, "completion", &p, completion, &e) : encode_question(r, where, &p, &e);
    if (s == AGON_OK && r->max_tokens && e.n_prompt >= r->max_tokens)
        s = BAD(r, FAULT_RANGE, "%s: the prompt has %zu tokens; with an answer at most %zu fit", where, e.n_prompt, r->max_tokens);
    if (s == AGON_OK && completion)
        s = keep_row(r, where, &e, 1, &row);
    else if (s == AGON_OK && (s = new_row(r, &e, 0, &row)) == AGON_OK)
        r->d->n++;
    if (s == AGON_OK)
        s = keep_origin(r, where, object);
    example_free(&e);
    return s;
}

static agon_status read_row(void *arg, const char *where, json_t *object) {
    reader *r = arg;
    if (!r->o)
        return read_question(r, where, object);
    if (r->o->needs & NEEDS_TARGETS)
        return read_steps(r, where, object);
    bool pair = json_object_get(object, "chosen") || json_object_get(object, "rejected");
    bool group = json_object_get(object, "completions") != NULL;
    row_kind kind = pair ? ROW_PAIR : group ? ROW_GROUP : ROW_SINGLE;
    if (!(r->o->rows & kind))
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: %s learns from rows with %s", where, r->o->name,
                        r->o->rows & ROW_PAIR            ? "prompt, chosen and rejected"
                        : r->o->needs & NEEDS_REWARD     ? "prompt, completions and rewards"
                        : r->o->rows & ROW_SINGLE        ? "messages, or prompt and completion"
                                                         : "prompt, completions and rewards");
    return kind == ROW_PAIR ? read_pair(r, where, object) : kind == ROW_GROUP ? read_group(r, where, object)
                                                                            : read_single(r, where, object);
}

/* The row's dimension among those asked for. */
static agon_status take_dimension(reader *r, const char *where, json_t *object, train_row *row) {
    const char *name = NULL;
    agon_status s = json_get_text(r->ctx, where, object, "dimension", true, &name);
    if (s != AGON_OK)
        return s;
    char names[MAX_DIMENSIONS * (MAX_DIMENSION_NAME + 2)] = "";
    for (size_t i = 0, at = 0; i < r->options.n_dimensions; i++) {
        if (strcmp(r->options.dimensions[i], name) == 0) {
            row->dimension = i;
            return AGON_OK;
        }
        int wrote = snprintf(names + at, sizeof names - at, "%s%s", i ? ", " : "", r->options.dimensions[i]);
        at += (size_t)wrote < sizeof names - at ? (size_t)wrote : 0;
    }
    return BAD(r, FAULT_RANGE, "%s: dimension is '%.60s'; the dimensions are %s", where, name, names);
}

/* Counts the row the recorded sentence is about, and keeps the first sentences. */
static agon_status skip(reader *r, data_fault fault) {
    dataset *d = r->d;
    d->faults[fault]++;
    if (d->n_skipped < MAX_SKIPPED) {
        if (!d->skipped)
            d->skipped = arena_take(d->memory, MAX_SKIPPED, sizeof *d->skipped);
        char *sentence = arena_copy(d->memory, agon_error(r->ctx));
        if (!d->skipped || !sentence)
            return no_memory(r);
        d->skipped[d->n_skipped] = (skipped_row){fault, sentence};
    }
    d->n_skipped++;
    return AGON_OK;
}

static agon_status take_row(void *arg, const char *where, json_t *object) {
    reader *r = arg;
    dataset *d = r->d;
    size_t n = d->n, n_truncated = d->n_truncated, n_double_end = d->n_double_end;
    const span_tally spans = d->spans;
    r->fault = FAULT_FIELDS;
    agon_status s = read_row(r, where, object);
    if (s == AGON_OK && r->options.n_dimensions && d->n > n)
        s = take_dimension(r, where, object, &d->rows[n]);
    if (s == AGON_OK && r->options.on_row && d->n > n)
        return r->options.on_row(r->options.arg, object, &d->rows[n]);
    if ((s != AGON_EINVAL && s != AGON_EFORMAT) || !r->options.skip_bad)
        return s;
    d->n = n, d->n_truncated = n_truncated, d->n_double_end = n_double_end, d->spans = spans;
    return skip(r, r->fault);
}

static agon_status take_bad_line(void *arg, agon_status status) {
    reader *r = arg;
    return r->options.skip_bad ? skip(r, FAULT_FORMAT) : status;
}

/* Every dimension is trained on rows of its own. */
static agon_status dimensions_covered(agon_ctx *ctx, const char *where, const dataset_options *options, const dataset *d) {
    for (size_t i = 0; i < options->n_dimensions; i++)
        if (dataset_n_of_dimension(d, i) == 0)
            return d->n_skipped ? ctx_fail(ctx, AGON_EINVAL, "%s: there are no rows for the dimension %.60s; the first of %zu left out: %s",
                                           where, options->dimensions[i], d->n_skipped, d->skipped[0].sentence)
                                : ctx_fail(ctx, AGON_EINVAL, "%s: there are no rows for the dimension %.60s", where, options->dimensions[i]);
    return AGON_OK;
}

/* A dataset from whatever feeds rows to the reader. */
static agon_status dataset_fill(agon_ctx *ctx, const tokenizer *t, const char *where, const objective *o,
                                const dataset_options *options, agon_status (*feed)(reader *r, const void *from),
                                const void *from, dataset **out) {
    dataset *d = calloc(1, sizeof *d);
    if (!d)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory reading %s", where);
    reader r = {.ctx = ctx, .t = t, .o = o, .max_tokens = options->max_tokens, .d = d, .options = *options};
    agon_status s = arena_new(ctx, 0, &d->memory);
    if (s == AGON_OK)
        s = feed(&r, from);
    if (s == AGON_OK && d->n == 0)
        s = d->n_skipped ? ctx_fail(ctx, AGON_EINVAL, "%s: none of the rows can be learnt from; the first of %zu left out: "
                                    "%s", where, d->n_skipped, d->skipped[0].sentence)
            : d->n_truncated
                ? ctx_fail(ctx, AGON_EINVAL, "%s: all %zu rows have prompts of %zu tokens or more", where, d->n_truncated,
                           options->max_tokens)
                : ctx_fail(ctx, AGON_EINVAL, "%s: there are no rows", where);
    if (s == AGON_OK)
        s = dimensions_covered(ctx, where, options, d);
    if (s != AGON_OK) {
        dataset_free(d);
        return s;
    }
    *out = d;
    return AGON_OK;
}

static agon_status feed_file(reader *r, const void *path) {
    return jsonl_read_lenient(r->ctx, path, take_row, take_bad_line, r);
}

agon_status dataset_read_with(agon_ctx *ctx, const tokenizer *t, const char *path, const objective *o,
                              const dataset_options *options, dataset **out) {
    return dataset_fill(ctx, t, path, o, options, feed_file, path, out);
}

agon_status dataset_read_prompts(agon_ctx *ctx, const tokenizer *t, const char *path, size_t max_tokens, dataset **out) {
    return dataset_fill(ctx, t, path, NULL, &(dataset_options){.max_tokens = max_tokens}, feed_file, path, out);
}

const json_t *dataset_prompt_row(const dataset *d, size_t i, const char **where) {
    *where = d->origins[i].where;
    return d->origins[i].object;
}

agon_status dataset_read(agon_ctx *ctx, const tokenizer *t, const char *path, const objective *o, size_t max_tokens,
                         dataset **out) {
    return dataset_read_with(ctx, t, path, o, &(dataset_options){.max_tokens = max_tokens}, out);
}

static agon_status feed_array(reader *r, const void *rows) {
    agon_status s = AGON_OK;
    for (size_t i = 0; i < json_array_size(rows) && s == AGON_OK; i++) {
        char where[32];
        snprintf(where, sizeof where, "row %zu", i);
        s = take_row(r, where, json_array_get(rows, i));
    }
    return s;
}

agon_status dataset_from_json(agon_ctx *ctx, const tokenizer *t, const json_t *rows, const objective *o,
                              size_t max_tokens, dataset **out) {
    /* Rows that a run made from model output: an empty or equal answer must not end the run. */
    const dataset_options options = {.max_tokens = max_tokens, .skip_bad = true};
    return dataset_fill(ctx, t, "the training rows", o, &options, feed_array, rows, out);
}

static const int32_t *copy_tokens(arena *memory, const int32_t *ids, size_t n) {
    int32_t *copy = arena_take(memory, n + 1, sizeof *copy);
    if (copy && n)
        memcpy(copy, ids, n * sizeof *copy);
    return copy;
}

/* False: out of memory. */
static bool copy_row(arena *memory, const train_row *from, train_row *to) {
    train_response *responses = arena_take(memory, from->n_responses, sizeof *responses);
    *to = *from;
    to->responses = responses;
    bool good = responses && (to->prompt = copy_tokens(memory, from->prompt, from->n_prompt));
    for (size_t k = 0; k < from->n_responses && good; k++) {
        const train_response *r = &from->responses[k];
        responses[k] = (train_response){.n = r->n, .reward = r->reward, .advantage = r->advantage, .label = r->label, .weight = r->weight};
        good = (responses[k].tokens = copy_tokens(memory, r->tokens, r->n)) != NULL;
        float *old = r->old && good ? arena_take(memory, r->n + 1, sizeof *old) : NULL;
        if (old)
            memcpy(old, r->old, r->n * sizeof *old);
        responses[k].old = old;
        good = good && (!r->old || old);
    }
    return good;
}

agon_status dataset_from_rows(agon_ctx *ctx, const train_row *rows, size_t n, dataset **out) {
    dataset *d = calloc(1, sizeof *d);
    if (!d)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for %zu rows", n);
    d->rows = calloc(n + 1, sizeof *d->rows);
    agon_status s = arena_new(ctx, 0, &d->memory);
    for (size_t i = 0; i < n && !s; i++)
        if (!d->rows || !copy_row(d->memory, &rows[i], &d->rows[d->n++]))
            s = ctx_fail(ctx, AGON_ENOMEM, "out of memory for %zu rows", n);
    if (s)
        dataset_free(d);
    else
        *out = d;
    return s;
}

void dataset_free(dataset *d) {
    if (!d)
        return;
    for (size_t i = 0; i < d->n_origins; i++)
        json_decref(d->origins[i].object);
    free(d->origins);
    arena_free(d->memory);
    free(d->rows);
    free(d);
}

const train_row *dataset_rows(const dataset *d, size_t *n) {
    *n = d->n;
    return d->rows;
}

size_t dataset_n_of_dimension(const dataset *d, size_t dimension) {
    size_t n = 0;
    for (size_t i = 0; i < d->n; i++)
        n += d->rows[i].dimension == dimension;
    return n;
}

size_t dataset_n_truncated(const dataset *d) {
    return d->n_truncated;
}

const char *data_fault_name(data_fault f) {
    static const char *const names[N_DATA_FAULTS] = {"format", "fields", "empty", "equal", "range", "not finite", "group"};
    return f < N_DATA_FAULTS ? names[f] : "";
}

const char *dataset_skipped(const dataset *d, size_t i, data_fault *fault) {
    if (i >= d->n_skipped || i >= MAX_SKIPPED)
        return NULL;
    *fault = d->skipped[i].fault;
    return d->skipped[i].sentence;
}

dataset_summary dataset_summarise(const dataset *d) {
    dataset_summary s = {.n_rows = d->n, .n_truncated = d->n_truncated, .n_skipped = d->n_skipped,
                         .n_double_end = d->n_double_end, .spans = d->spans};
    memcpy(s.faults, d->faults, sizeof s.faults);
    for (size_t i = 0; i < d->n; i++) {
        const train_row *row = &d->rows[i];
        s.n_prompt_tokens += row->n_prompt;
        s.n_responses += row->n_responses;
        for (size_t k = 0; k < row->n_responses; k++) {
            const train_response *r = &row->responses[k];
            s.n_response_tokens += r->n;
            for (size_t j = 0; j < r->n; j++)
                s.n_supervised += response_mask(r, j) > 0;
            s.longest = row->n_prompt + r->n > s.longest ? row->n_prompt + r->n : s.longest;
        }
    }
    return s;
}
