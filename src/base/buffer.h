/* A growing byte buffer with a maximum, for text and binary output. */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include "agon.h"

/* Zero-initialise, or buffer_init for another limit than 1 GiB. `data` is always NUL-terminated once
 * something was appended. A failed append (memory, limit) sets `failed` and leaves the rest as it is;
 * writers may append freely and ask once at the end. Free with buffer_free. */
typedef struct buffer {
    char *data;
    size_t size, capacity, limit;
    bool failed;
} buffer;

void buffer_init(buffer *b, size_t limit_bytes);
void buffer_free(buffer *b);
void buffer_clear(buffer *b); /* keeps the memory */
bool buffer_append(buffer *b, const void *data, size_t n);
bool buffer_text(buffer *b, const char *text);
bool buffer_char(buffer *b, char c);
bool buffer_printf(buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The contents as a new string, "" when empty; the buffer is empty afterwards. NULL if it failed. */
char *buffer_take(buffer *b);

#endif
