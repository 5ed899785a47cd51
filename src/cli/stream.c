/* See stream.h. */
#include "cli/stream.h"
#include "cli/rows.h"
#include <stdlib.h>
#include <string.h>

/* Bytes at the end of text[n] that begin a character whose rest is not there yet. */
static size_t unfinished(const char *text, size_t n) {
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        unsigned char c = (unsigned char)text[n - back];
        if ((c & 0xc0) == 0x80)
            continue;
        size_t want = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
        return want > back ? back : 0;
    }
    return 0;
}

/* How much of the text no stop text can take back. */
static size_t certain(const stream *s) {
    size_t n = s->n;
    for (size_t i = 0; i < s->n_stop; i++) {
        size_t length = strlen(s->stop[i]);
        if (length == 0)
            continue;
        const char *at = length <= s->n ? memmem(s->text, s->n, s->stop[i], length) : NULL;
        size_t keep = at ? (size_t)(at - s->text) : s->n > length - 1 ? s->n - (length - 1) : 0;
        n = keep < n ? keep : n;
    }
    return n - unfinished(s->text, n);
}

static void print_part(stream *s, const char *text, size_t end) {
    if (end <= s->printed)
        return;
    json_t *shown = safe_string(text + s->printed, end - s->printed);
    print_safe(s->to, shown ? json_string_value(shown) : "");
    json_decref(shown);
    fflush(s->to);
    s->printed = end;
}

bool stream_add(stream *s, const char *bytes, size_t n) {
    if (s->capacity - s->n < n) {
        size_t capacity = 2 * (s->n + n) + 256;
        char *grown = realloc(s->text, capacity);
        if (!grown)
            return false;
        s->text = grown;
        s->capacity = capacity;
    }
    if (n > 0)
        memcpy(s->text + s->n, bytes, n);
    s->n += n;
    if (s->n > 0)
        print_part(s, s->text, certain(s));
    return true;
}

void stream_end(stream *s, const char *text, size_t n) {
    print_part(s, text, n);
}

void stream_free(stream *s) {
    free(s->text);
    *s = (stream){0};
}
