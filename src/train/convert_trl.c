/* Rows in TRL's fields whose values other people write otherwise, see convert.h: a text beside lists of messages, one message in place of a
 * list, turns with "from" and "value". A row that is ours already stays as it is. */
#include "base/ctx.h"
#include "train/convert.h"
#include <string.h>

static json_t *message(const char *role, json_t *content) {
    return json_pack("{s:s,s:O}", "role", role, "content", content);
}

/* One message as ours; new. NULL: it is none (or no memory). */
static json_t *as_message(json_t *one) {
    const char *from = json_string_value(json_object_get(one, "from"));
    json_t *value = json_object_get(one, "value");
    if (json_object_get(one, "role"))
        return json_incref(one);
    const char *role = from ? convert_role(from) : NULL;
    return role && json_is_string(value) ? message(role, value) : NULL;
}

/* A text (said by `speaker`), a message or a list of them as a list of messages; new. */
static agon_status as_messages(agon_ctx *ctx, const char *where, const char *key, json_t *value, const char *speaker, json_t **out) {
    json_t *list = json_array(), *one;
    size_t i, n = json_is_array(value) ? json_array_size(value) : 1;
    agon_status s = list ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "%s: out of memory", where);
    for (i = 0; i < n && !s; i++) {
        one = json_is_array(value) ? json_array_get(value, i) : value;
        json_t *made = json_is_string(one) && !json_is_array(value) ? message(speaker, one) : as_message(one);
        if (!made)
            s = ctx_fail(ctx, AGON_EINVAL, "%s: %s[%zu] is no message: it needs \"role\" and \"content\", or \"from\" (human, gpt, system) and \"value\"", where, key, i);
        else if (json_array_append_new(list, made) != 0)
            s = ctx_fail(ctx, AGON_ENOMEM, "%s: out of memory", where);
    }
    *out = s ? NULL : list;
    if (s)
        json_decref(list);
    return s;
}

static bool is_text(const json_t *value) {
    return !value || json_is_null(value) || json_is_string(value);
}

/* Whether every one of the answers that the row has begins with the user's turn, so that the prompt stands in them. */
static bool hold_their_prompt(const json_t *row, const char *const *answers, size_t n) {
    for (size_t k = 0; k < n; k++) {
        const json_t *list = json_object_get(row, answers[k]);
        const char *role = json_string_value(json_object_get(json_array_get(list, 0), "role"));
        if (list && (!role || strcmp(role, "assistant") == 0))
            return false;
    }
    return true;
}

agon_status convert_trl(agon_ctx *ctx, const char *where, json_t *row, json_t **out) {
    static const char *const keys[] = {"prompt", "chosen", "rejected", "completion"};
    enum { N = sizeof keys / sizeof *keys };
    bool texts = true;
    agon_status s = AGON_OK;
    for (size_t k = 0; k < N; k++)
        texts &= is_text(json_object_get(row, keys[k]));
    if (texts) {
        *out = json_incref(row);
        return AGON_OK;
    }
    json_t *made = json_copy(row), *list;
    for (size_t k = 0; k < N && made && !s; k++) {
        json_t *value = json_object_get(row, keys[k]);
        if (!value || json_is_null(value))
            continue;
        s = as_messages(ctx, where, keys[k], value, k == 0 ? "user" : "assistant", &list);
        if (!s && json_object_set_new(made, keys[k], list) != 0)
            s = ctx_fail(ctx, AGON_ENOMEM, "%s: out of memory", where);
    }
    if (!s && made && hold_their_prompt(made, keys + 1, N - 1) && json_object_get(made, "chosen"))
        json_object_del(made, "prompt");
    if (!made)
        s = ctx_fail(ctx, AGON_ENOMEM, "%s: out of memory", where);
    *out = s ? NULL : made;
    if (s)
        json_decref(made);
    return s;
}

agon_status convert_orca(agon_ctx *ctx, const char *where, json_t *row, json_t **out) {
    json_t *system = json_object_get(row, "system"), *question = json_object_get(row, "question"), *prompt = json_array();
    const char *first = json_string_value(system);
    json_t *sides[2] = {json_object_get(row, "chosen"), json_object_get(row, "rejected")};
    agon_status s = AGON_OK;
    if (!json_is_string(question) || !json_is_string(sides[0]) || !json_is_string(sides[1]) || !is_text(system))
        s = ctx_fail(ctx, AGON_EINVAL, "%s: question, chosen and rejected must be texts, and system where there is one", where);
    else if (!prompt || (first && *first && json_array_append_new(prompt, message("system", system)) != 0) ||
             json_array_append_new(prompt, message("user", question)) != 0 ||
             !(*out = json_pack("{s:O,s:[o],s:[o]}", "prompt", prompt, "chosen", message("assistant", sides[0]), "rejected",
                                message("assistant", sides[1]))))
        s = ctx_fail(ctx, AGON_ENOMEM, "%s: out of memory", where);
    json_decref(prompt);
    return s;
}
