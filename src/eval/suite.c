/* The table of suites, and what they share: reading a file of rows, choosing among them, judging. */
#include "eval/suite_private.h"
#include "base/buffer.h"
#include "base/csv.h"
#include "base/ctx.h"
#include "base/memory.h"
#include "base/nearest.h"
#include "base/share.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static const suite_def *const table[] = {&suite_general, &suite_gsm8k, &suite_ifeval, &suite_xstest_safe, &suite_xstest_unsafe};
enum { N_SUITES = sizeof table / sizeof *table };

struct suite {
    const suite_def *def;
    suite_entry *items;
    size_t n, capacity;
    hash256 hash;
};

const char *suite_name(size_t i) {
    return i < N_SUITES ? table[i]->name : NULL;
}

const char *suite_summary(size_t i) {
    return i < N_SUITES ? table[i]->summary : NULL;
}

static void entry_free(suite_entry *e) {
    free(e->id);
    free(e->group);
    free(e->query);
    json_decref(e->gold);
    *e = (suite_entry){0};
}

void suite_free(suite *s) {
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++)
        entry_free(&s->items[i]);
    free(s->items);
    free(s);
}

agon_status suite_entry_set(agon_ctx *ctx, suite_entry *out, const char *group, const char *query,
                            const char *id_format, ...) {
    char id[256];
    va_list args;
    va_start(args, id_format);
    vsnprintf(id, sizeof id, id_format, args);
    va_end(args);
    out->id = strdup(id);
    out->group = strdup(group);
    out->query = strdup(query);
    return out->id && out->group && out->query ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory for a suite's item");
}

static bool word_byte(unsigned char c) {
    return c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool suite_words(const char *text, size_t n, size_t most, buffer *out) {
    size_t words = 0;
    buffer_char(out, ' ');
    for (size_t i = 0; i < n;) {
        if (!word_byte((unsigned char)text[i])) {
            i++;
            continue;
        }
        if (words++ == most)
            break;
        for (; i < n && word_byte((unsigned char)text[i]); i++)
            buffer_char(out, text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 32) : text[i]);
        buffer_char(out, ' ');
    }
    return !out->failed;
}

agon_status suite_say(agon_ctx *ctx, char **evidence, const char *format, ...) {
    char text[1024];
    buffer clean = {0};
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    /* Responses are any bytes and may be cut inside a character; evidence goes into JSON. */
    for (const char *at = text; *at;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)at, -1, &c);
        buffer_append(&clean, n > 0 ? at : "?", n > 0 ? (size_t)n : 1);
        at += n > 0 ? n : 1;
    }
    char *taken = buffer_take(&clean);
    if (!taken)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory for evidence");
    *evidence = taken;
    return AGON_OK;
}

/* ---- opening --------------------------------------------------------------------------------------- */

static const suite_def *find(agon_ctx *ctx, const char *name, agon_status *status) {
    const char *names[N_SUITES];
    for (size_t i = 0; i < N_SUITES; i++) {
        names[i] = table[i]->name;
        if (strcmp(names[i], name) == 0)
            return table[i];
    }
    const char *near = nearest_word(name, names, N_SUITES);
    *status = near ? ctx_fail(ctx, AGON_ENOTFOUND, "no suite '%.40s'; did you mean %s?", name, near)
                   : ctx_fail(ctx, AGON_ENOTFOUND, "no suite '%.40s'; agon eval --list names them", name);
    return NULL;
}

typedef struct reading {
    agon_ctx *ctx;
    suite *s;
    size_t rows;
} reading;

static agon_status add_row(void *arg, const char *where, json_t *row) {
    reading *r = arg;
    suite *s = r->s;
    if (!memory_grow((void **)&s->items, &s->capacity, s->n, sizeof *s->items))
        return ctx_fail(r->ctx, AGON_ENOMEM, "%s: out of memory", where);
    suite_entry e = {0};
    agon_status status = s->def->read(r->ctx, where, row, r->rows++, &e);
    if (status || !e.query)
        entry_free(&e);
    else
        s->items[s->n++] = e;
    return status;
}

/* Keeps `limit` of the items, evenly spaced over the file, so that every kind is met. */
static void thin(suite *s, size_t limit) {
    if (limit == 0 || limit >= s->n)
        return;
    for (size_t i = 0, next = 0; i < s->n; i++) {
        if (next < limit && i == next * s->n / limit) {
            suite_entry kept = s->items[i];
            s->items[i] = (suite_entry){0};
            s->items[next++] = kept;
        } else {
            entry_free(&s->items[i]);
        }
    }
    s->n = limit;
}

static agon_status hash_items(agon_ctx *ctx, suite *s) {
    hasher *h = hasher_new();
    bool good = h != NULL;
    for (size_t i = 0; good && i < s->n; i++) {
        char *gold = json_canonical(s->items[i].gold);
        good = gold != NULL;
        hasher_add_field(h, s->items[i].id);
        hasher_add_field(h, s->items[i].query);
        hasher_add_field(h, gold ? gold : "");
        free(gold);
    }
    if (h)
        s->hash = hasher_end(h);
    return good ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "out of memory for a suite");
}

agon_status suite_open(agon_ctx *ctx, const char *name, size_t limit, suite **out) {
    agon_status status = AGON_OK;
    const suite_def *def = find(ctx, name, &status);
    char *path = NULL;
    suite *s = NULL;
    if (!def)
        return status;
    status = def->external ? data_find(ctx, def->file, &path) : share_find(ctx, def->file, &path);
    if (status)
        return status;
    if (!(s = calloc(1, sizeof *s))) {
        status = ctx_fail(ctx, AGON_ENOMEM, "out of memory for a suite");
        goto done;
    }
    s->def = def;
    reading r = {ctx, s, 0};
    if ((status = (def->csv ? csv_read : jsonl_read)(ctx, path, add_row, &r)))
        goto done;
    if (s->n == 0) {
        status = ctx_fail(ctx, AGON_EFORMAT, "%s holds no items", path);
        goto done;
    }
    thin(s, limit ? limit : def->default_limit);
    status = hash_items(ctx, s);
done:
    free(path);
    if (status)
        suite_free(s);
    else
        *out = s;
    return status;
}

size_t suite_n_items(const suite *s) {
    return s->n;
}

hash256 suite_hash(const suite *s) {
    return s->hash;
}

suite_item suite_get(const suite *s, size_t i) {
    const suite_entry *e = &s->items[i];
    return (suite_item){e->id, e->group, e->query, e->max_tokens};
}

agon_status suite_judge(agon_ctx *ctx, const suite *s, size_t i, const char *response, bool *right, char **evidence) {
    return s->def->judge(ctx, &s->items[i], response, right, evidence);
}
