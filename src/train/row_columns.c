/* Columns that a row would be trained without, refused by name: the question or system message of another format that stands beside the answers, and tool
 * calls, which no template here writes. And messages as others write them: contents in parts, weights of answers. */
#include "train/row_file.h"
#include "train/row_reader.h"
#include <string.h>

#define TO_CONVERT "; agon data convert puts it into the prompt (a field of your own needs another name)"

/* ---- columns beside the answers -------------------------------------------------------------------------- */

agon_status row_check_implicit_prompt(row_reader *r, const char *where, const json_t *object, const char *prompt, size_t n) {
    static const char *const keys[] = {"question", "instruction", "query", "input", "system"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys && !r->options.as_begun; i++) {
        const char *text = row_column(object, keys[i]);
        if (text && !row_holds_text(prompt, n, text))
            return ctx_fail(r->ctx, AGON_EINVAL, "%s: prompt is missing, and the words that chosen and rejected begin with do not hold the row's \"%s\", so it would not be "
                            "learnt from" TO_CONVERT, where, keys[i]);
    }
    return AGON_OK;
}

/* Whether the system message is in what the model reads: opens the messages, or stands in the text of the prompt. */
static bool reads_system(const json_t *object, const char *system) {
    const json_t *prompt = json_object_get(object, "prompt"), *chosen = json_object_get(object, "chosen"), *messages = json_object_get(object, "messages");
    const json_t *read = chosen && json_absent(prompt) ? chosen : chosen || json_absent(messages) ? prompt : messages;
    if (json_is_array(read))
        read = json_object_get(json_array_get(read, 0), "content");
    return json_is_string(read) && row_holds_text(json_string_value(read), json_string_length(read), system);
}

/* Lists and objects with something in them, also as the text that tables hold in their place. */
static bool says_something(const json_t *value) {
    const char *text = json_string_value(value);
    return text ? !row_is_blank(text) && strcmp(text, "[]") != 0 && strcmp(text, "{}") != 0 && strcmp(text, "null") != 0
                : json_array_size(value) + json_object_size(value) > 0;
}

agon_status row_check_columns(row_reader *r, const char *where, const json_t *object) {
    const char *system = row_column(object, "system");
    const bool document = !json_absent(json_object_get(object, "text"));
    const bool implicit = json_is_string(json_object_get(object, "chosen")) && json_absent(json_object_get(object, "prompt")); /* row_check_implicit_prompt */
    if (r->options.as_begun)
        return AGON_OK;
    if (document && !json_absent(json_object_get(object, "messages")))
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: there are both text and messages, of which one would not be learnt from; take one of them away", where);
    if (!document && says_something(json_object_get(object, "tools")))
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: tools would not be learnt from: no template here writes tool calls; leave the row out, or the field", where);
    if (!document && !implicit && system && !reads_system(object, system))
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: system is not read beside messages or a prompt, so the row would be learnt without it" TO_CONVERT, where);
    return AGON_OK;
}

/* ---- messages -------------------------------------------------------------------------------------------- */

agon_status row_check_message(row_reader *r, const char *where, const char *key, size_t i, const json_t *message, bool *unlearnt) {
    static const char *const calls[] = {"tool_calls", "function_call"};
    const char *role = json_string_value(json_object_get(message, "role"));
    const json_t *weight = json_object_get(message, "weight");
    *unlearnt = false;
    if (r->options.as_begun)
        return AGON_OK;
    for (size_t k = 0; k < sizeof calls / sizeof *calls; k++)
        if (says_something(json_object_get(message, calls[k])))
            return ctx_fail(r->ctx, AGON_EINVAL, "%s: %s[%zu] has %s: no template here writes tool calls; leave the row out, or write the call as the message's text",
                            where, key, i, calls[k]);
    if (json_is_null(json_object_get(message, "content")))
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: %s[%zu] has no content (null); write its text, or leave the message out", where, key, i);
    if (!role || strcmp(role, "assistant") != 0 || json_absent(weight))
        return AGON_OK;
    const double w = json_is_boolean(weight) ? json_is_true(weight) : json_is_number(weight) ? json_number_value(weight) : -1;
    if (w != 0 && w != 1)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: %s[%zu]: the weight of a message is 0 (it is read and not learnt) or 1; spans weigh parts of a completion, and the "
                        "row's own weight the row", where, key, i);
    *unlearnt = w == 0;
    return AGON_OK;
}

/* Puts the texts of a message's parts in their place, together. */
static agon_status join_parts(row_reader *r, const char *where, const char *key, size_t i, json_t *message) {
    json_t *part;
    buffer all = {0};
    size_t k;
    agon_status s = AGON_OK;
    json_array_foreach(json_object_get(message, "content"), k, part) {
        const char *type = json_string_value(json_object_get(part, "type")), *text = json_string_value(json_object_get(part, "text"));
        if (!s && (!type || strcmp(type, "text") != 0 || !text))
            s = ctx_fail(r->ctx, AGON_EINVAL, "%s: %s[%zu]: content[%zu] is no text part ({\"type\": \"text\", \"text\": ...}), and no others are read", where, key, i, k);
        else if (!s)
            buffer_text(&all, text);
    }
    if (!s && (all.failed || json_object_set_new(message, "content", json_stringn(all.size ? all.data : "", all.size)) != 0))
        s = row_no_memory(r);
    buffer_free(&all);
    return s;
}

static agon_status join_list(row_reader *r, const char *where, const char *key, json_t *list) {
    agon_status s = AGON_OK;
    for (size_t i = 0; i < json_array_size(list) && !s; i++)
        if (json_is_array(json_object_get(json_array_get(list, i), "content")))
            s = join_parts(r, where, key, i, json_array_get(list, i));
    return s;
}

static bool has_parts(const json_t *list) {
    bool has = false;
    for (size_t i = 0; i < json_array_size(list) && !has; i++) /* messages, or lists of them */
        has = json_is_array(json_object_get(json_array_get(list, i), "content")) || has_parts(json_array_get(list, i));
    return has;
}

agon_status row_join_parts(row_reader *r, const char *where, json_t *object) {
    static const char *const keys[] = {"messages", "prompt", "completion", "chosen", "rejected", "completions"};
    agon_status s = AGON_OK;
    for (size_t i = 0; i < sizeof keys / sizeof *keys && !s; i++) {
        if (!has_parts(json_object_get(object, keys[i])))
            continue;
        json_t *list = json_deep_copy(json_object_get(object, keys[i])); /* the caller's stay as they are */
        if (json_object_set_new(object, keys[i], list) != 0)
            return row_no_memory(r);
        s = join_list(r, where, keys[i], list);
        for (size_t k = 0; k < json_array_size(list) && !s; k++)
            s = join_list(r, where, keys[i], json_array_get(list, k));
    }
    return s;
}
