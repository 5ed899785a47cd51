/* Text on the terminal while it is written: whole characters only, nothing that may yet be cut off as stop text. */
#ifndef CLI_STREAM_H
#define CLI_STREAM_H

#include "cli/cli.h"

typedef struct stream {
    FILE *to;
    const char *const *stop; /* [n_stop] borrowed */
    size_t n_stop;
    char *text; /* all bytes so far */
    size_t n, capacity, printed;
} stream;

/* Adds bytes and prints what is certain. false: out of memory. */
bool stream_add(stream *s, const char *bytes, size_t n);
/* Prints the rest of the finished text[n], which begins with what was added. */
void stream_end(stream *s, const char *text, size_t n);
void stream_free(stream *s);

#endif
