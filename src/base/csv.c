/* See csv.h. */
#include "base/csv.h"
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/file.h"
#include <stdlib.h>
#include <string.h>

enum { FILE_LIMIT = 64 << 20 };

typedef struct csv {
    agon_ctx *ctx;
    const char *path;
    const char *at, *end;
    size_t line, from; /* lines count from 1; where the record began */
    buffer field;
    json_t *names; /* [n fields] */
} csv;

static agon_status bad(const csv *c, const char *what) {
    return ctx_fail(c->ctx, AGON_EFORMAT, "%s:%zu: %s", c->path, c->from, what);
}

/* One field into c->field; stands then at a comma, a line's end or the file's. */
static agon_status read_field(csv *c) {
    buffer_clear(&c->field);
    if (c->at == c->end || *c->at != '"') {
        size_t n = 0;
        while (c->at + n < c->end && !strchr(",\r\n", c->at[n]))
            n++;
        if (!buffer_append(&c->field, c->at, n))
            return ctx_fail(c->ctx, AGON_ENOMEM, "%s: out of memory", c->path);
        c->at += n;
        return AGON_OK;
    }
    for (c->at++; c->at < c->end; c->at++) {
        if (*c->at == '"' && (++c->at == c->end || *c->at != '"')) /* of two, one is the field's */
            return c->at == c->end || strchr(",\r\n", *c->at) ? AGON_OK : bad(c, "text after a closing quote; a quote inside a field is written twice");
        c->line += *c->at == '\n';
        if (!buffer_append(&c->field, c->at, 1))
            return ctx_fail(c->ctx, AGON_ENOMEM, "%s: out of memory", c->path);
    }
    return bad(c, "a quote is opened and not closed");
}

/* A record as a list of texts; *fields new. */
static agon_status read_record(csv *c, json_t **fields) {
    json_t *list = json_array();
    agon_status s = AGON_OK;
    c->from = c->line;
    for (bool more = true; more && !s;) {
        s = read_field(c);
        if (!s && json_array_append_new(list, json_stringn(c->field.data ? c->field.data : "", c->field.size)) != 0)
            s = bad(c, "not valid UTF-8");
        more = c->at < c->end && *c->at == ',';
        c->at += more;
    }
    if (!s && c->at < c->end && *c->at == '\r')
        c->at++;
    if (!s && c->at < c->end && *c->at == '\n') {
        c->at++;
        c->line++;
    }
    if (s)
        json_decref(list);
    else
        *fields = list;
    return s;
}

static agon_status set_names(csv *c, json_t *fields) {
    json_t *seen = json_object(); /* a line may have millions of columns */
    agon_status s = AGON_OK;
    for (size_t i = 0; !s && i < json_array_size(fields); i++) {
        const char *name = json_string_value(json_array_get(fields, i));
        if (json_object_get(seen, name))
            s = bad(c, "two columns have one name");
        else if (json_object_set_new(seen, name, json_null()) != 0)
            s = ctx_fail(c->ctx, AGON_ENOMEM, "%s: out of memory", c->path);
    }
    json_decref(seen);
    if (s)
        return s;
    c->names = json_incref(fields);
    return AGON_OK;
}

static agon_status give_row(const csv *c, const json_t *fields, json_row row, void *arg) {
    char where[600];
    json_t *object = json_object();
    bool good = object && json_array_size(fields) == json_array_size(c->names);
    for (size_t i = 0; good && i < json_array_size(fields); i++)
        json_object_set(object, json_string_value(json_array_get(c->names, i)), json_array_get(fields, i));
    snprintf(where, sizeof where, "%.500s:%zu", c->path, c->from);
    agon_status s = good ? row(arg, where, object) : bad(c, "not as many fields as the first line has");
    json_decref(object);
    return s;
}

agon_status csv_read(agon_ctx *ctx, const char *path, json_row row, void *arg) {
    char *text = NULL;
    size_t n = 0;
    agon_status s = file_read(ctx, path, FILE_LIMIT, &text, &n);
    csv c = {.ctx = ctx, .path = path, .at = text, .end = text + n, .line = 1, .from = 1};
    if (!s && n > 0 && memchr(text, 0, n))
        s = bad(&c, "a NUL byte");
    if (!s && n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        c.at += 3;
    while (!s && c.at < c.end && !(s = ctx_check_interrupt(ctx))) {
        json_t *fields = NULL;
        if (*c.at == '\n' || (*c.at == '\r' && c.at + 1 < c.end && c.at[1] == '\n')) {
            c.at += *c.at == '\r' ? 2 : 1;
            c.line++;
            continue;
        }
        s = read_record(&c, &fields);
        if (!s)
            s = c.names ? give_row(&c, fields, row, arg) : set_names(&c, fields);
        json_decref(fields);
    }
    json_decref(c.names);
    buffer_free(&c.field);
    free(text);
    return s;
}
