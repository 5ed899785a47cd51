/* Datasets: TRL-style JSONL rows to exact tokens and masks.
 *
 *   {"messages": [{"role","content"}...]}                        one response: assistant turns are supervised
 *   {"prompt", "completion"} (+ "label", "weight", "reward", "advantage")
 *   {"prompt", "chosen", "rejected"}; without "prompt", the messages both begin with are the prompt
 *   {"prompt", "completions": [...], "rewards": [...] or "advantages": [...]}
 *
 * A text is raw: prompt and completion are tokenised separately, special strings parsed, EOS after the
 * completion. A list of messages goes through the chat template: content is never parsed for special
 * strings, the answer ends with the end-of-turn token. What follows the last supervised token (the
 * template's newline) is dropped, and what precedes the first is prompt: recutting changes no bit. */
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/json.h"
#include "base/memory.h"
#include "train/train.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_MESSAGES = 4096, MAX_COMPLETIONS = 4096 };

struct dataset {
    arena *memory;
    train_row *rows;
    size_t n, capacity, n_truncated;
};

typedef struct reader {
    agon_ctx *ctx;
    const tokenizer *t;
    const objective *o;
    size_t max_tokens;
    dataset *d;
} reader;

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

static agon_status encode_raw(reader *r, const char *where, const char *prompt, const char *completion, example *e) {
    int32_t eos = tokenizer_eos(r->t);
    agon_status s = tokenizer_encode_raw(r->ctx, r->t, prompt, strlen(prompt), &e->tokens);
    e->n_prompt = e->tokens.n;
    if (s == AGON_OK)
        s = tokenizer_encode(r->ctx, r->t, completion, strlen(completion), true, &e->tokens);
    if (s != AGON_OK)
        return ctx_prefix(r->ctx, s, "%s", where);
    if ((eos >= 0 && !token_list_push(&e->tokens, eos)) || !pad_mask(&e->mask, e->n_prompt, 0) ||
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
    if (p->text && json_is_string(completion))
        return encode_raw(r, where, p->text, json_string_value(completion), e);
    if (p->text)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: prompt is a text but %s is a list of messages; use one form", where,
                        key);
    chat all = p->messages;
    if (json_is_array(completion)) {
        agon_status s = read_messages(r, where, key, completion, &all);
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
    if (d->n == d->capacity) {
        size_t capacity = d->capacity ? 2 * d->capacity : 64;
        train_row *grown = realloc(d->rows, size_mul(capacity, sizeof *grown));
        if (!grown)
            return no_memory(r);
        d->rows = grown, d->capacity = capacity;
    }
    train_response *responses = arena_take(d->memory, n, sizeof *responses);
    int32_t *ids = arena_take(d->memory, n_prompt ? n_prompt : 1, sizeof *ids);
    if (!responses || !ids)
        return no_memory(r);
    if (n_prompt)
        memcpy(ids, e[0].tokens.ids, n_prompt * sizeof *ids);
    for (size_t k = 0; k < n; k++) {
        agon_status s = keep_response(r, &e[k], room, &responses[k]);
        if (s != AGON_OK)
            return s;
    }
    d->rows[d->n] = (train_row){.prompt = ids, .n_prompt = n_prompt, .responses = responses, .n_responses = n,
                                .weight = 1};
    *kept = &d->rows[d->n++];
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

/* A number, or true and false; absent leaves *out. */
static agon_status read_number(reader *r, const char *where, json_t *object, const char *key, double *out) {
    json_t *v = json_object_get(object, key);
    if (!v || json_is_null(v))
        return AGON_OK;
    if (!json_is_number(v) && !json_is_boolean(v))
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: %s must be a number", where, key);
    *out = json_is_boolean(v) ? json_is_true(v) : json_number_value(v);
    return AGON_OK;
}

static agon_status read_single(reader *r, const char *where, json_t *object) {
    example e = {0};
    prompt p = {0};
    train_row *kept = NULL;
    json_t *messages = json_object_get(object, "messages");
    agon_status s;
    if (messages) {
        s = json_is_array(messages) ? read_messages(r, where, "messages", messages, &p.messages)
                                    : ctx_fail(r->ctx, AGON_EINVAL, "%s: messages must be a list", where);
        if (s == AGON_OK)
            s = encode_messages(r, where, &p.messages, &e);
    } else {
        s = read_prompt(r, where, object, &p);
        if (s == AGON_OK)
            s = encode_pair(r, where, "completion", &p, json_object_get(object, "completion"), &e);
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

static agon_status read_pair(reader *r, const char *where, json_t *object) {
    example e[2] = {{{0}, {0}, 0}, {{0}, {0}, 0}};
    prompt p = {0};
    train_row *kept = NULL;
    json_t *chosen = json_object_get(object, "chosen"), *rejected = json_object_get(object, "rejected");
    agon_status s = AGON_OK;
    if (!json_object_get(object, "prompt"))
        s = common_prompt(r, where, object, &chosen, &rejected);
    if (s == AGON_OK)
        s = read_prompt(r, where, object, &p);
    if (s == AGON_OK)
        s = encode_pair(r, where, "chosen", &p, chosen, &e[0]);
    if (s == AGON_OK)
        s = encode_pair(r, where, "rejected", &p, rejected, &e[1]);
    if (s == AGON_OK)
        s = keep_row(r, where, e, 2, &kept);
    if (s == AGON_OK && kept)
        s = read_number(r, where, object, "weight", &kept->weight);
    example_free(&e[0]);
    example_free(&e[1]);
    return s;
}

/* Numbers of a list as long as the completions; absent is fine. */
static agon_status read_list(reader *r, const char *where, json_t *object, const char *key, size_t n, size_t k,
                             double *out) {
    json_t *list = json_object_get(object, key);
    if (!list || json_is_null(list))
        return AGON_OK;
    if (!json_is_array(list) || json_array_size(list) != n)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: %s must be a list of %zu numbers, one a completion", where, key, n);
    json_t *v = json_array_get(list, k);
    if (!json_is_number(v) && !json_is_boolean(v))
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: %s[%zu] is not a number", where, key, k);
    *out = json_is_boolean(v) ? json_is_true(v) : json_number_value(v);
    return AGON_OK;
}

static agon_status read_group(reader *r, const char *where, json_t *object) {
    json_t *completions = json_object_get(object, "completions");
    size_t n = json_array_size(completions);
    prompt p = {0};
    train_row *kept = NULL;
    if (!json_is_array(completions) || n == 0 || n > MAX_COMPLETIONS)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: completions must be a list of 1 to %d", where, MAX_COMPLETIONS);
    example *e = calloc(n, sizeof *e);
    if (!e)
        return no_memory(r);
    agon_status s = read_prompt(r, where, object, &p);
    for (size_t k = 0; k < n && s == AGON_OK; k++)
        s = encode_pair(r, where, "completions", &p, json_array_get(completions, k), &e[k]);
    if (s == AGON_OK)
        s = keep_row(r, where, e, n, &kept);
    for (size_t k = 0; k < n && s == AGON_OK && kept; k++) {
        train_response *x = (train_response *)&kept->responses[k];
        s = read_list(r, where, object, "rewards", n, k, &x->reward);
        if (s == AGON_OK)
            s = read_list(r, where, object, "advantages", n, k, &x->advantage);
        if (s == AGON_OK && (r->o->needs & NEEDS_REWARD) && isnan(x->reward) && isnan(x->advantage))
            s = ctx_fail(r->ctx, AGON_EINVAL, "%s: rewards is missing; %s needs it", where, r->o->name);
    }
    for (size_t k = 0; k < n; k++)
        example_free(&e[k]);
    free(e);
    return s;
}

static agon_status read_row(void *arg, const char *where, json_t *object) {
    reader *r = arg;
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

/* A dataset from whatever feeds rows to the reader. */
static agon_status dataset_fill(agon_ctx *ctx, const tokenizer *t, const char *where, const objective *o, size_t max_tokens,
                                agon_status (*feed)(reader *r, const void *from), const void *from, dataset **out) {
    dataset *d = calloc(1, sizeof *d);
    if (!d)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory reading %s", where);
    reader r = {.ctx = ctx, .t = t, .o = o, .max_tokens = max_tokens, .d = d};
    agon_status s = arena_new(ctx, 0, &d->memory);
    if (s == AGON_OK)
        s = feed(&r, from);
    if (s == AGON_OK && d->n == 0)
        s = d->n_truncated
                ? ctx_fail(ctx, AGON_EINVAL, "%s: all %zu rows have prompts of %zu tokens or more", where, d->n_truncated,
                           max_tokens)
                : ctx_fail(ctx, AGON_EINVAL, "%s: there are no rows", where);
    if (s != AGON_OK) {
        dataset_free(d);
        return s;
    }
    *out = d;
    return AGON_OK;
}

static agon_status feed_file(reader *r, const void *path) {
    return jsonl_read(r->ctx, path, read_row, r);
}

agon_status dataset_read(agon_ctx *ctx, const tokenizer *t, const char *path, const objective *o, size_t max_tokens,
                         dataset **out) {
    return dataset_fill(ctx, t, path, o, max_tokens, feed_file, path, out);
}

static agon_status feed_array(reader *r, const void *rows) {
    agon_status s = AGON_OK;
    for (size_t i = 0; i < json_array_size(rows) && s == AGON_OK; i++) {
        char where[32];
        snprintf(where, sizeof where, "row %zu", i);
        s = read_row(r, where, json_array_get(rows, i));
    }
    return s;
}

agon_status dataset_from_json(agon_ctx *ctx, const tokenizer *t, const json_t *rows, const objective *o,
                              size_t max_tokens, dataset **out) {
    return dataset_fill(ctx, t, "the training rows", o, max_tokens, feed_array, rows, out);
}

void dataset_free(dataset *d) {
    if (!d)
        return;
    arena_free(d->memory);
    free(d->rows);
    free(d);
}

const train_row *dataset_rows(const dataset *d, size_t *n) {
    *n = d->n;
    return d->rows;
}

size_t dataset_n_truncated(const dataset *d) {
    return d->n_truncated;
}

/* ---- preview --------------------------------------------------------------------------------------- */

static void preview_token(buffer *b, const tokenizer *t, int32_t id, const char *mask) {
    size_t n = 0;
    const char *bytes = tokenizer_bytes(t, id, &n);
    buffer_printf(b, "  %8d  %-6s  \"", (int)id, mask);
    for (size_t i = 0; bytes && i < n; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c == '\n')
            buffer_text(b, "\\n");
        else if (c < 0x20 || c == 0x7f)
            buffer_printf(b, "\\x%02x", c);
        else
            buffer_char(b, (char)c);
    }
    buffer_text(b, "\"\n");
}

char *dataset_preview(const dataset *d, const tokenizer *t, size_t i) {
    if (i >= d->n)
        return NULL;
    const train_row *row = &d->rows[i];
    buffer b = {0};
    buffer_printf(&b, "row %zu: prompt of %zu tokens\n     token  mask    text\n", i, row->n_prompt);
    for (size_t j = 0; j < row->n_prompt; j++)
        preview_token(&b, t, row->prompt[j], "prompt");
    for (size_t k = 0; k < row->n_responses; k++) {
        const train_response *r = &row->responses[k];
        size_t supervised = 0;
        for (size_t j = 0; j < r->n; j++)
            supervised += r->mask[j] > 0;
        buffer_printf(&b, "row %zu, response %zu: %zu tokens, %zu supervised", i, k, r->n, supervised);
        if (!isnan(r->reward))
            buffer_printf(&b, ", reward %g", r->reward);
        if (!isnan(r->label))
            buffer_printf(&b, ", label %g", r->label);
        buffer_char(&b, '\n');
        for (size_t j = 0; j < r->n; j++)
            preview_token(&b, t, r->tokens[j], r->mask[j] > 0 ? "1" : "0");
    }
    char *text = buffer_take(&b);
    buffer_free(&b);
    return text;
}
