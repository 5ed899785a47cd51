/* JSON helpers, see json.h. */
#include "base/json.h"
#include "base/ctx.h"
#include "base/file.h"
#include "base/memory.h"
#include <errno.h>
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

/* What a file is that begins so and is no JSON lines, and what to do about it; NULL: nothing known. */
static const char *other_format(const char *path, const char *start, size_t n) {
    static const struct {
        const char *magic, *sentence;
    } known[] = {{"\x1f\x8b", "this is a gzip file; unpack it first (gunzip)"},
                 {"PAR1", "this is a Parquet file; write its rows as JSON lines first"},
                 {"\xff\xfe", "this is UTF-16; write it as UTF-8"},
                 {"\xfe\xff", "this is UTF-16; write it as UTF-8"},
                 {"[", "this is a list; each line must be a JSON object by itself, without the list's brackets and commas; agon data convert makes such a file of it"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (n >= strlen(known[i].magic) && memcmp(start, known[i].magic, strlen(known[i].magic)) == 0)
            return known[i].sentence;
    if (path_ends(path, ".csv") && *start != '{')
        return "this is a table with commas (CSV); each line must be a JSON object by itself; agon data convert makes such a file of it";
    return NULL;
}

agon_status jsonl_read(agon_ctx *ctx, const char *path, json_row row, void *arg) {
    return jsonl_read_lenient(ctx, path, row, NULL, arg);
}

/* A line, its end included, of at most `limit` bytes; returns their number, 0 at the end of the file or where there is no memory for it, and limit + 1
 * for a longer one: a file that is no text has lines without end. */
static size_t read_line(FILE *f, char **line, size_t *capacity, size_t limit, bool *no_memory) {
    size_t n = 0;
    for (int c; n <= limit && (c = getc_unlocked(f)) != EOF;) {
        if (!memory_grow((void **)line, capacity, n + 1, 1)) {
            *no_memory = true;
            return 0;
        }
        (*line)[n++] = (char)c;
        if (c == '\n')
            break;
    }
    if (n > 0)
        (*line)[n] = 0;
    return n;
}

agon_status jsonl_read_lenient(agon_ctx *ctx, const char *path, json_row row, json_bad_line bad, void *arg) {
    if (!path)
        return ctx_fail(ctx, AGON_EINVAL, "a path is NULL; it must be given");
    FILE *f = fopen(path, "rbe");
    if (!f && !*path)
        return ctx_fail(ctx, AGON_EINVAL, "an empty path names no file of rows");
    if (!f)
        return ctx_fail(ctx, errno == ENOENT ? AGON_ENOTFOUND : AGON_EIO, "%s: %s", path,
                        strerror(errno));
    char *line = NULL, where[600];
    size_t capacity = 0, number = 0;
    size_t n;
    bool no_memory = false;
    agon_status s = AGON_OK;
    while (!s && (n = read_line(f, &line, &capacity, LIMIT_BYTES, &no_memory)) > 0) {
        number++;
        if (strspn(line, " \t\r\n") == n)
            continue;
        snprintf(where, sizeof where, "%.500s:%zu", path, number);
        if (n > LIMIT_BYTES) {
            s = ctx_fail(ctx, AGON_EFORMAT, "%s: the line is longer than %d MiB; is this a file of rows, one JSON object a line?", where, LIMIT_BYTES >> 20);
            break;
        }
        json_t *object = NULL;
        size_t mark = number == 1 && strncmp(line, "\xef\xbb\xbf", 3) == 0 ? 3 : 0; /* a byte order mark */
        size_t end = n; /* without the line's end: what is missing is missing in this line */
        while (end > mark && (line[end - 1] == '\n' || line[end - 1] == '\r'))
            end--;
        const char *other = number == 1 ? other_format(path, line + mark, end - mark) : NULL;
        s = other ? ctx_fail(ctx, AGON_EFORMAT, "%s: %s", where, other) : parse(ctx, where, line + mark, end - mark, true, &object);
        if (!s && !json_is_object(object))
            s = ctx_fail(ctx, AGON_EFORMAT, "%s: each line must be a JSON object", where);
        if (s && s != AGON_ENOMEM && bad)
            s = bad(arg, s);
        else if (!s)
            s = row(arg, where, object);
        json_decref(object);
    }
    if (!s && no_memory)
        s = ctx_fail(ctx, AGON_ENOMEM, "%s: out of memory for line %zu", path, number + 1);
    else if (!s && ferror(f) && errno == EISDIR)
        s = ctx_fail(ctx, AGON_EINVAL, "%s: this is a folder; name a file of rows", path);
    else if (!s && ferror(f))
        s = ctx_fail(ctx, AGON_EIO, "%s: %s while reading", path, strerror(errno));
    free(line);
    fclose(f);
    return s;
}
