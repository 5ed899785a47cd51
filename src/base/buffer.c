/* Growing byte buffer, see buffer.h. */
#include "base/buffer.h"
#include "base/decimal.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const size_t default_limit = (size_t)1 << 30;

void buffer_init(buffer *b, size_t limit_bytes) {
    *b = (buffer){.limit = limit_bytes};
}

void buffer_free(buffer *b) {
    free(b->data);
    *b = (buffer){.limit = b->limit};
}

void buffer_clear(buffer *b) {
    b->size = 0;
    b->failed = false;
    if (b->data)
        b->data[0] = 0;
}

static bool reserve(buffer *b, size_t n) {
    size_t limit = b->limit ? b->limit : default_limit;
    if (b->failed || n >= limit - b->size) {
        b->failed = true;
        return false;
    }
    size_t need = b->size + n + 1;
    if (need <= b->capacity)
        return true;
    size_t capacity = b->capacity ? b->capacity : 256;
    while (capacity < need)
        capacity *= 2;
    char *data = realloc(b->data, capacity);
    if (!data) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->capacity = capacity;
    return true;
}

bool buffer_append(buffer *b, const void *data, size_t n) {
    if (!reserve(b, n))
        return false;
    if (n)
        memcpy(b->data + b->size, data, n);
    b->size += n;
    b->data[b->size] = 0;
    return true;
}

bool buffer_text(buffer *b, const char *text) {
    return buffer_append(b, text, strlen(text));
}

bool buffer_char(buffer *b, char c) {
    return buffer_append(b, &c, 1);
}

bool buffer_printf(buffer *b, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = decimal_print_list(NULL, 0, format, args);
    va_end(args);
    bool ok = n >= 0 && reserve(b, (size_t)n);
    if (ok) {
        decimal_print_list(b->data + b->size, (size_t)n + 1, format, again);
        b->size += (size_t)n;
    }
    va_end(again);
    return ok;
}

char *buffer_take(buffer *b) {
    if (!b->data && !b->failed)
        buffer_append(b, "", 0);
    if (b->failed) {
        buffer_free(b);
        return NULL;
    }
    char *data = b->data;
    *b = (buffer){.limit = b->limit};
    return data;
}
