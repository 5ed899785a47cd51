/* Rows in TRL's fields whose values other people write otherwise, see convert.h: a text beside lists of messages, one message in place of a
 * list, turns with "from" and "value"; questions and system messages in columns of their own. A row that is ours already stays as it is. */
#include "base/ctx.h"
#include "base/json.h"
#include "train/convert.h"
#include "train/row_file.h"
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

const char *convert_question(const json_t *row) {
    static const char *const keys[] = {"question", "instruction", "query", "input"};
    const char *chosen = json_string_value(json_object_get(row, "chosen")), *rejected = json_string_value(json_object_get(row, "rejected"));
    if (!chosen || !rejected || !json_absent(json_object_get(row, "prompt")))
        return NULL;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *text = row_column(row, keys[i]);
        if (text && !row_holds_text(chosen, row_common_words(chosen, rejected), text))
            return keys[i];
    }
    return NULL;
}

/* Alpaca's two: what to do, and with what. */
static json_t *instruction_with_input(const json_t *row) {
    const char *instruction = json_string_value(json_object_get(row, "instruction")), *input = row_column(row, "input");
    return input ? json_sprintf("%s\n\n%s", instruction, input) : json_incref(json_object_get(row, "instruction"));
}

agon_status convert_orca(agon_ctx *ctx, const char *where, json_t *row, json_t **out) {
    const char *key = json_object_get(row, "question") ? "question" : convert_question(row);
    json_t *system = json_object_get(row, "system"), *prompt = json_array();
    json_t *question = key && strcmp(key, "instruction") == 0 ? instruction_with_input(row) : json_incref(key ? json_object_get(row, key) : NULL);
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
    json_decref(question);
    json_decref(prompt);
    return s;
}

/* ---- the system column ------------------------------------------------------------------------------------ */

/* Whether a prompt of texts holds it already: the row's own, or what both sides of a pair begin with. */
static bool stands_in_prompt(const json_t *row, const char *system) {
    const char *prompt = json_string_value(json_object_get(row, "prompt"));
    const char *chosen = json_string_value(json_object_get(row, "chosen")), *rejected = json_string_value(json_object_get(row, "rejected"));
    const bool implicit = chosen && rejected && json_absent(json_object_get(row, "prompt"));
    return prompt ? row_holds_text(prompt, strlen(prompt), system) : implicit && row_holds_text(chosen, row_common_words(chosen, rejected), system);
}

/* Puts the system message before the member `key` of *made, as messages. */
static agon_status open_with(agon_ctx *ctx, const char *where, json_t *made, const char *key, json_t *system) {
    json_t *list = NULL;
    agon_status s = as_messages(ctx, where, key, json_object_get(made, key), "user", &list);
    const json_t *first = json_array_get(list, 0);
    const char *role = json_string_value(json_object_get(first, "role"));
    const bool given = role && strcmp(role, "system") == 0;
    if (!s && given && !json_equal(json_object_get(first, "content"), system))
        s = ctx_fail(ctx, AGON_EINVAL, "%s: system and the first message of %s are two system messages; take one of them away", where, key);
    if (!s && ((!given && json_array_insert_new(list, 0, message("system", system)) != 0) || json_object_set(made, key, list) != 0))
        s = ctx_fail(ctx, AGON_ENOMEM, "%s: out of memory", where);
    json_decref(list);
    return s;
}

agon_status convert_system(agon_ctx *ctx, const char *where, const json_t *row, json_t **made) {
    static const char *const answers[] = {"completion", "chosen", "rejected"};
    json_t *system = json_object_get(row, "system"), *list;
    const char *text = row_column(row, "system");
    const bool conversation = !json_absent(json_object_get(*made, "messages")), asked = !json_absent(json_object_get(*made, "prompt"));
    const bool sides = !asked && json_is_array(json_object_get(*made, "chosen")); /* which hold their prompt */
    if (!text || !json_absent(json_object_get(*made, "text")) || stands_in_prompt(*made, text))
        return AGON_OK;
    if (!asked && !sides && (!conversation || json_object_get(*made, "chosen")))
        return ctx_fail(ctx, AGON_EINVAL, "%s: there is no prompt that system could stand before; give the row a prompt", where);
    json_t *copy = json_copy(*made); /* *made may be the row itself */
    agon_status s = copy ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "%s: out of memory", where);
    json_object_del(copy, "system");
    if (!s && conversation)
        s = open_with(ctx, where, copy, "messages", system);
    if (!s && asked)
        s = open_with(ctx, where, copy, "prompt", system);
    for (size_t k = 1; k < 3 && !s && sides; k++)
        s = open_with(ctx, where, copy, answers[k], system);
    for (size_t k = 0; k < 3 && !s && asked; k++) {
        json_t *answer = json_object_get(copy, answers[k]);
        if (!json_is_string(answer))
            continue;
        s = as_messages(ctx, where, answers[k], answer, "assistant", &list);
        if (!s && json_object_set_new(copy, answers[k], list) != 0)
            s = ctx_fail(ctx, AGON_ENOMEM, "%s: out of memory", where);
    }
    if (s) {
        json_decref(copy);
        return s;
    }
    json_decref(*made);
    *made = copy;
    return AGON_OK;
}
