/* JSON lines in, tokens out: what score and generate share. */
#ifndef CLI_ROWS_H
#define CLI_ROWS_H

#include "cli/cli.h"

/* Everything on a stream, at most 1 GiB; new, NUL-terminated; NULL: the reason was printed. */
char *read_all(const char *name, FILE *from, size_t *n);
/* n bytes as a JSON string; what is not UTF-8 becomes U+FFFD. */
json_t *safe_string(const char *text, size_t n);
json_t *json_numbers(const int32_t *values, size_t n);
json_t *json_floats(const float *values, size_t n);

/* The next line of *at that is not empty, as an object, with its number in *line. NULL at the end, or with *code set when it
 * is not one (the sentence was printed). */
json_t *next_row(const char *name, char **at, size_t *line, int *code);

/* "messages" of a row: new array (free), its strings borrowed from the row. NULL: the sentence was printed. */
agon_message *read_messages(const char *name, size_t line, const json_t *list, size_t *n);

/* Opens what --model, --adapter, --dtype and --chat-template ask for. Returns an exit code. */
typedef struct opened {
    agon_ctx *ctx;
    agon_model *model;
    agon_adapter *adapter;
} opened;
int open_model(const char *name, const char *model, const char *adapter, const char *dtype, const char *chat_template,
               opened *out);
void close_model(opened *o);

#endif
