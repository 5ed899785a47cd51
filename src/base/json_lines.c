/* Rows of files and pipes, see json.h and json_lines.h. */
#include "base/json_lines.h"
#include "base/ctx.h"
#include "base/file.h"
#include "base/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINE_LIMIT = 64 << 20, PIECE = 1 << 16, WAIT_MS = 200 };

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

/* Lines of a file, or of a pipe that is read once while it is written. */
typedef struct line_reader {
    agon_ctx *ctx;
    const char *path;
    int fd;
    bool waits; /* for what somebody writes */
    char *piece;
    size_t at, n;
    hasher *hash; /* of what was read; NULL: nobody asks */
    char *line;
    size_t capacity;
} line_reader;

static agon_status no_rows(const line_reader *r, const char *doing) {
    if (!*r->path)
        return ctx_fail(r->ctx, AGON_EINVAL, "an empty path names no file of rows");
    if (errno == EISDIR)
        return ctx_fail(r->ctx, AGON_EINVAL, "%s: this is a folder; name a file of rows", r->path);
    return ctx_fail(r->ctx, errno == ENOENT ? AGON_ENOTFOUND : AGON_EIO, "%s: %s%s", r->path, strerror(errno), doing);
}

static agon_status open_lines(line_reader *r, bool hashed) {
    struct stat st;
    r->fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* of a pipe that nobody writes to yet: at once */
    if (r->fd < 0 || fstat(r->fd, &st) != 0)
        return no_rows(r, "");
    r->waits = !S_ISREG(st.st_mode);
    r->piece = malloc(PIECE);
    r->hash = hashed ? hasher_new() : NULL;
    return r->piece && (r->hash || !hashed) ? AGON_OK : ctx_no_memory(r->ctx);
}

/* The next piece; n is 0 at the end. Waiting ends by agon_interrupt, whoever calls it. */
static agon_status fill(line_reader *r) {
    for (;;) {
        agon_status s = ctx_check_interrupt(r->ctx);
        struct pollfd p = {.fd = r->fd, .events = POLLIN};
        if (s)
            return s;
        if (r->waits && poll(&p, 1, WAIT_MS) <= 0)
            continue;
        const ssize_t got = read(r->fd, r->piece, PIECE);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got < 0)
            return no_rows(r, " while reading");
        if (r->hash)
            hasher_add(r->hash, r->piece, (size_t)got);
        r->at = 0;
        r->n = (size_t)got;
        return AGON_OK;
    }
}

/* A line, its end included, of at most `limit` bytes; *n is their number, 0 at the end of the file, and limit + 1 for a longer one: a file that is no text
 * has lines without end. */
static agon_status read_line(line_reader *r, size_t limit, size_t *n) {
    agon_status s = AGON_OK;
    *n = 0;
    for (bool more = true; more && !s && *n <= limit;) {
        if (r->at == r->n && ((s = fill(r)) || r->n == 0))
            break;
        const char *from = r->piece + r->at, *end = memchr(from, '\n', r->n - r->at);
        size_t take = end ? (size_t)(end - from) + 1 : r->n - r->at;
        take = take > limit + 1 - *n ? limit + 1 - *n : take;
        while (r->capacity <= *n + take)
            if (!memory_grow((void **)&r->line, &r->capacity, r->capacity, 1))
                return ctx_no_memory(r->ctx);
        memcpy(r->line + *n, from, take);
        *n += take;
        r->at += take;
        more = !end;
    }
    if (!s && *n > 0)
        r->line[*n] = 0;
    return s;
}

static void close_lines(line_reader *r, hash256 *hash) {
    if (r->hash) {
        const hash256 found = hasher_end(r->hash);
        if (hash)
            *hash = found;
    }
    if (r->fd >= 0)
        close(r->fd);
    free(r->piece);
    free(r->line);
}

static agon_status read_rows(line_reader *r, json_row row, json_bad_line bad, void *arg) {
    char where[600];
    size_t n = 0, number = 0;
    agon_status s = AGON_OK;
    while (!s) {
        s = ctx_check_interrupt(r->ctx);
        if (!s && (s = read_line(r, LINE_LIMIT, &n)) == AGON_ENOMEM)
            s = ctx_fail(r->ctx, AGON_ENOMEM, "%s: out of memory for line %zu", r->path, number + 1);
        if (s || n == 0)
            break;
        const char *line = r->line;
        number++;
        if (strspn(line, " \t\r\n") == n)
            continue;
        snprintf(where, sizeof where, "%.500s:%zu", r->path, number);
        if (n > LINE_LIMIT)
            return ctx_fail(r->ctx, AGON_EFORMAT, "%s: the line is longer than %d MiB; is this a file of rows, one JSON object a line?", where, LINE_LIMIT >> 20);
        json_t *object = NULL;
        size_t mark = number == 1 && strncmp(line, "\xef\xbb\xbf", 3) == 0 ? 3 : 0; /* a byte order mark */
        size_t end = n; /* without the line's end: what is missing is missing in this line */
        while (end > mark && (line[end - 1] == '\n' || line[end - 1] == '\r'))
            end--;
        const char *other = number == 1 ? other_format(r->path, line + mark, end - mark) : NULL;
        s = other ? ctx_fail(r->ctx, AGON_EFORMAT, "%s: %s", where, other) : json_parse_line(r->ctx, where, line + mark, end - mark, &object);
        if (!s && !json_is_object(object))
            s = ctx_fail(r->ctx, AGON_EFORMAT, "%s: each line must be a JSON object", where);
        if (s && s != AGON_ENOMEM && bad)
            s = bad(arg, s);
        else if (!s)
            s = row(arg, where, object);
        json_decref(object);
    }
    return s;
}

agon_status jsonl_read_hashed(agon_ctx *ctx, const char *path, json_row row, json_bad_line bad, void *arg, hash256 *hash) {
    line_reader r = {.ctx = ctx, .path = path, .fd = -1};
    if (!path)
        return ctx_fail(ctx, AGON_EINVAL, "a path is NULL; it must be given");
    agon_status s = open_lines(&r, hash != NULL);
    if (!s)
        s = read_rows(&r, row, bad, arg);
    close_lines(&r, s ? NULL : hash);
    return s;
}

agon_status jsonl_read_lenient(agon_ctx *ctx, const char *path, json_row row, json_bad_line bad, void *arg) {
    return jsonl_read_hashed(ctx, path, row, bad, arg, NULL);
}

agon_status jsonl_read(agon_ctx *ctx, const char *path, json_row row, void *arg) {
    return jsonl_read_hashed(ctx, path, row, NULL, arg, NULL);
}
