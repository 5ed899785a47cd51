/* Texts and messages to exact tokens and masks.
 *
 * A text is raw: prompt and completion are tokenised separately, special strings parsed, EOS after the
 * completion. A list of messages goes through the chat template: content is never parsed for special
 * strings, the answer ends with the end-of-turn token. An answer that was cut off has no such token. What follows the last supervised token (the
 * template's newline) is dropped, and what precedes the first is prompt: recutting changes no bit. */
#include "train/row_reader.h"
#include <string.h>

enum { MAX_MESSAGES = 4096 };

agon_status row_no_memory(row_reader *r) {
    return ctx_fail(r->ctx, AGON_ENOMEM, "out of memory reading training rows");
}

void row_example_free(row_example *e) {
    token_list_free(&e->tokens);
    buffer_free(&e->mask);
}

agon_status row_messages(row_reader *r, const char *where, const char *key, json_t *list, row_chat *out) {
    size_t n = json_array_size(list);
    if (n == 0 || n + out->n > MAX_MESSAGES)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: %s has %zu messages; 1 to %d are taken", where, key, n, MAX_MESSAGES);
    chat_message *all = arena_take(r->d->memory, out->n + n, sizeof *all);
    bool *unlearnt = arena_take(r->d->memory, out->n + n, sizeof *unlearnt);
    if (!all || !unlearnt)
        return row_no_memory(r);
    if (out->n) {
        memcpy(all, out->messages, out->n * sizeof *all);
        memcpy(unlearnt, out->unlearnt, out->n * sizeof *unlearnt);
    }
    for (size_t i = 0; i < n; i++) {
        chat_message *m = &all[out->n + i];
        json_t *object = json_array_get(list, i);
        if (!json_is_object(object))
            return ctx_fail(r->ctx, AGON_EINVAL, "%s: %s[%zu] must be an object with role and content", where, key, i);
        agon_status s = row_check_message(r, where, key, i, object, &unlearnt[out->n + i]);
        if (s == AGON_OK)
            s = json_get_text(r->ctx, where, object, "role", true, &m->role);
        if (s == AGON_OK)
            s = json_get_text(r->ctx, where, object, "content", true, &m->content);
        if (s != AGON_OK)
            return s;
    }
    *out = (row_chat){all, unlearnt, out->n + n};
    return AGON_OK;
}

bool row_pad_mask(buffer *mask, size_t n, char value) {
    while (mask->size < n)
        if (!buffer_char(mask, value))
            return false;
    return true;
}

/* Cuts what follows the last supervised token. */
static agon_status trim(row_reader *r, const char *where, row_example *e) {
    while (e->tokens.n > e->n_prompt && !e->mask.data[e->tokens.n - 1])
        e->tokens.n--;
    if (e->tokens.n == e->n_prompt)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: there is no assistant text to learn from", where);
    return AGON_OK;
}

agon_status row_encode_messages(row_reader *r, const char *where, const row_chat *c, row_example *e) {
    agon_status s = chat_encode_learnt(r->ctx, r->t, c->messages, c->n, c->unlearnt, &e->tokens, &e->mask);
    if (s != AGON_OK)
        return ctx_prefix(r->ctx, s, "%s", where);
    while (e->n_prompt < e->tokens.n && !e->mask.data[e->n_prompt])
        e->n_prompt++;
    return trim(r, where, e);
}

/* Why the tokens of prompt and completion do not begin with those of the prompt and the opening of an answer. */
static agon_status not_opened(row_reader *r, const char *where, const row_chat *prompt, const row_chat *all) {
    const char *first = all->messages[prompt->n].role, *last = prompt->messages[prompt->n - 1].role;
    if (strcmp(first, "assistant") != 0)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: the completion begins with a message of role '%.40s'; it must begin with an assistant message", where, first);
    if (strcmp(last, "assistant") == 0)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: the prompt ends with an assistant message, after which the chat template opens no other answer; end "
                        "it with a user message", where);
    return ctx_fail(r->ctx, AGON_EINVAL, "%s: the chat template writes the prompt otherwise when the completion follows it; give the row as messages", where);
}

/* prompt and completion as messages: the prompt ends with the opening of the answer. */
static agon_status encode_turns(row_reader *r, const char *where, const row_chat *prompt, const row_chat *all, row_example *e) {
    token_list opened = {0};
    agon_status s = chat_encode(r->ctx, r->t, prompt->messages, prompt->n, true, &opened, NULL);
    if (s == AGON_OK)
        s = chat_encode_learnt(r->ctx, r->t, all->messages, all->n, all->unlearnt, &e->tokens, &e->mask);
    if (s != AGON_OK)
        s = ctx_prefix(r->ctx, s, "%s", where);
    else if (opened.n > e->tokens.n || memcmp(opened.ids, e->tokens.ids, opened.n * sizeof *opened.ids) != 0)
        s = not_opened(r, where, prompt, all);
    e->n_prompt = opened.n;
    token_list_free(&opened);
    return s == AGON_OK ? trim(r, where, e) : s;
}

bool row_is_blank(const char *text) {
    return text[strspn(text, " \t\r\n\v\f")] == '\0';
}

agon_status row_empty(row_reader *r, const char *where, const char *key) {
    return BAD(r, FAULT_EMPTY, "%s: %s is empty or white space only; there is nothing to learn from", where, key);
}

agon_status row_encode_raw(row_reader *r, const char *where, const char *prompt, const char *completion, row_example *e) {
    int32_t eos = tokenizer_eos(r->t);
    agon_status s = tokenizer_encode_raw(r->ctx, r->t, prompt, strlen(prompt), &e->tokens);
    e->n_prompt = e->tokens.n;
    if (s == AGON_OK)
        s = tokenizer_encode_more(r->ctx, r->t, e->tokens.ids, e->n_prompt, completion, strlen(completion), true, &e->tokens);
    if (s != AGON_OK)
        return ctx_prefix(r->ctx, s, "%s", where);
    bool ended = eos >= 0 && e->tokens.n > e->n_prompt && e->tokens.ids[e->tokens.n - 1] == eos;
    r->d->n_double_end += ended; /* it brought its own: a second would be learnt as text */
    if ((eos >= 0 && !ended && !token_list_push(&e->tokens, eos)) || !row_pad_mask(&e->mask, e->n_prompt, 0) ||
        !row_pad_mask(&e->mask, e->tokens.n, 1))
        return row_no_memory(r);
    return trim(r, where, e);
}

agon_status row_encode_pair(row_reader *r, const char *where, const char *key, const row_prompt *p, json_t *completion,
                               row_example *e) {
    if (!completion || (!json_is_string(completion) && !json_is_array(completion)))
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: %s must be a text or a list of messages", where, key);
    /* A policy's sample may be empty: it said nothing, and the sample's reward judges that. */
    bool sampled = r->options.sampled && strcmp(key, "completions") == 0 && (r->needs & NEEDS_ADVANTAGE);
    if (json_is_string(completion) && row_is_blank(json_string_value(completion)) && !sampled)
        return row_empty(r, where, key);
    if (p->text && json_is_string(completion))
        return row_encode_raw(r, where, p->text, json_string_value(completion), e);
    if (p->text)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: prompt is a text but %s is a list of messages; use one form", where,
                        key);
    row_chat all = p->messages;
    if (json_is_array(completion)) {
        agon_status s = row_messages(r, where, key, completion, &all);
        if (s == AGON_OK && row_is_blank(all.messages[all.n - 1].content) && !sampled)
            s = row_empty(r, where, key);
        return s == AGON_OK ? encode_turns(r, where, &p->messages, &all, e) : s;
    }
    all.messages = arena_take(r->d->memory, all.n + 1, sizeof *all.messages);
    all.unlearnt = arena_take(r->d->memory, all.n + 1, sizeof *all.unlearnt);
    if (!all.messages || !all.unlearnt)
        return row_no_memory(r);
    memcpy(all.messages, p->messages.messages, all.n * sizeof *all.messages);
    memcpy(all.unlearnt, p->messages.unlearnt, all.n * sizeof *all.unlearnt);
    all.unlearnt[all.n] = false;
    all.messages[all.n++] = (chat_message){"assistant", json_string_value(completion)};
    return encode_turns(r, where, &p->messages, &all, e);
}

agon_status row_read_finish(row_reader *r, const char *where, const char *key, const json_t *finish, row_example *e) {
    const char *word = json_string_value(finish);
    if (json_absent(finish) || (word && strcmp(word, "stop") == 0))
        return AGON_OK;
    if (!word || strcmp(word, "length") != 0)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: %s must be \"stop\" or \"length\" (cut off before its end)", where, key);
    if (!tokenizer_is_stop(r->t, e->tokens.ids[e->tokens.n - 1]))
        return AGON_OK; /* a template that ends answers with no token of its own */
    if (e->tokens.n == e->n_prompt + 1)
        return BAD(r, FAULT_EMPTY, "%s: %s is \"length\", and the answer has no word before its end; there is nothing to learn from", where, key);
    e->tokens.n--;
    return AGON_OK;
}
