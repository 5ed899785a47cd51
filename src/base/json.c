/* JSON helpers, see json.h. */
#include "base/json.h"
#include "base/json_lines.h"
#include "base/ctx.h"
#include "base/file.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIMIT_BYTES = 64 << 20 };

/* is_line: `where` names the line already. */
static agon_status parse(agon_ctx *ctx, const char *where, const char *text, size_t n, bool is_line, json_t **out) {
    json_error_t error;
    char place[64];
    if (n > LIMIT_BYTES)
        return ctx_fail(ctx, AGON_EFORMAT, "%s: %zu bytes of JSON is more than %d", where, n,
                        LIMIT_BYTES);
    json_t *value = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!value && is_line)
        snprintf(place, sizeof place, "column %d", error.column);
    else if (!value)
        snprintf(place, sizeof place, "line %d, column %d", error.line, error.column);
    if (!value && json_error_code(&error) == json_error_null_character)
        return ctx_fail(ctx, AGON_EFORMAT, "%s: the text at %s holds U+0000 (\\u0000), which no text here may hold; take it out", where, place);
    if (!value)
        return ctx_fail(ctx, AGON_EFORMAT, "%s: not valid JSON at %s: %s", where, place, error.text);
    *out = value;
    return AGON_OK;
}

agon_status json_parse(agon_ctx *ctx, const char *where, const char *text, size_t n, json_t **out) {
    return parse(ctx, where, text, n, false, out);
}

agon_status json_parse_line(agon_ctx *ctx, const char *where, const char *line, size_t n, json_t **out) {
    return parse(ctx, where, line, n, true, out);
}

agon_status json_read_file(agon_ctx *ctx, const char *path, json_t **out) {
    char *text;
    size_t n;
    agon_status s = file_read(ctx, path, LIMIT_BYTES, &text, &n);
    if (s)
        return s;
    s = json_parse(ctx, path, text, n, out);
    free(text);
    return s;
}

agon_status json_give_take(agon_ctx *ctx, json_t *value, char **out) {
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    json_decref(value);
    if (!text)
        return ctx_no_memory(ctx);
    *out = text;
    return AGON_OK;
}

bool json_absent(const json_t *value) {
    return !value || json_is_null(value);
}

json_t *json_text(const char *text) {
    return text ? json_string(text) : json_null();
}

json_t *json_hash(const hash256 *h) {
    char hex[HASH_HEX_SIZE];
    hash_hex(h, hex);
    return json_string(hex);
}

char *json_canonical(const json_t *value) {
    return json_dumps(value, JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
}

json_t *real_or_null(double x) {
    return isfinite(x) ? json_real(x) : json_null();
}

/* Finds a member; *found NULL when absent and not required. null counts as absent. */
static agon_status member(agon_ctx *ctx, const char *where, const json_t *object, const char *key,
                          bool required, json_t **found) {
    *found = json_object_get(object, key);
    if (json_is_null(*found))
        *found = NULL;
    if (!*found && required)
        return ctx_fail(ctx, AGON_EINVAL, "%s: '%s' is missing", where, key);
    return AGON_OK;
}

static agon_status wrong_type(agon_ctx *ctx, const char *where, const char *key, const char *need) {
    return ctx_fail(ctx, AGON_EINVAL, "%s: '%s' must be %s", where, key, need);
}

agon_status json_get_text(agon_ctx *ctx, const char *where, const json_t *object, const char *key,
                          bool required, const char **out) {
    json_t *v;
    agon_status s = member(ctx, where, object, key, required, &v);
    if (s || !v)
        return s;
    if (!json_is_string(v))
        return wrong_type(ctx, where, key, "a string");
    *out = json_string_value(v);
    return AGON_OK;
}

agon_status json_get_int(agon_ctx *ctx, const char *where, const json_t *object, const char *key,
                         bool required, int64_t *out) {
    json_t *v;
    agon_status s = member(ctx, where, object, key, required, &v);
    if (s || !v)
        return s;
    if (!json_is_integer(v))
        return wrong_type(ctx, where, key, "a whole number");
    *out = json_integer_value(v);
    return AGON_OK;
}

agon_status json_get_real(agon_ctx *ctx, const char *where, const json_t *object, const char *key,
                          bool required, double *out) {
    json_t *v;
    agon_status s = member(ctx, where, object, key, required, &v);
    if (s || !v)
        return s;
    if (!json_is_number(v))
        return wrong_type(ctx, where, key, "a number");
    *out = json_number_value(v);
    return AGON_OK;
}

agon_status json_get_bool(agon_ctx *ctx, const char *where, const json_t *object, const char *key,
                          bool required, bool *out) {
    json_t *v;
    agon_status s = member(ctx, where, object, key, required, &v);
    if (s || !v)
        return s;
    if (!json_is_boolean(v))
        return wrong_type(ctx, where, key, "true or false");
    *out = json_is_true(v);
    return AGON_OK;
}
