/* JSON lines in, tokens out: what score and generate share. */
#ifndef CLI_ROWS_H
#define CLI_ROWS_H

#include "cli/cli.h"

/* Everything on a stream, at most 1 GiB; new, NUL-terminated; NULL: the reason was printed. */
char *read_all(const char *name, FILE *from, size_t *n);
/* The same for JSON lines: a NUL byte, which would hide the lines after it, is refused. *code: of a NULL. */
char *read_lines(const char *name, FILE *from, int *code);
/* n bytes as a JSON string; what is not UTF-8 becomes U+FFFD. */
json_t *safe_string(const char *text, size_t n);
json_t *json_numbers(const int32_t *values, size_t n);
json_t *json_floats(const float *values, size_t n);

/* The next line of *at that is not empty, as an object, with its number in *line. NULL at the end, or with *code set when it
 * is not one (the sentence was printed). */
json_t *next_row(const char *name, char **at, size_t *line, int *code);

/* Refuses a field that is no known name [ended by NULL] but nearly one that the row lacks; others are the user's own and passed over. Returns an exit code; the
 * sentence was printed. */
int check_fields(const char *name, size_t line, const json_t *row, const char *const *known);

/* A string that holds no NUL, borrowed; else NULL: where texts end at a NUL the rest would be lost. */
const char *whole_text(const json_t *value);

/* "messages" of a row: new array (free), its strings borrowed from the row. NULL: the sentence was printed. */
agon_message *read_messages(const char *name, size_t line, const json_t *list, size_t *n);

/* "agon NAME: input line N: sentence", without the line where it is 0: the input is no file of rows. Returns the exit code. */
int row_error(const char *name, size_t line, const char *format, ...) __attribute__((format(printf, 3, 4)));
int fail_in_row(const char *name, size_t line, agon_status status, const agon_ctx *ctx);
/* The same of a call with n requests, whose lines are lines [n]: the library names the one that it is about by its number. */
int fail_of_request(const char *name, const size_t *lines, size_t n, agon_status status, const agon_ctx *ctx);

typedef struct row_place {
    enum { ROW_PROMPT, ROW_COMPLETION, ROW_ANSWER } part;
    const int32_t *prompt; /* [n_prompt] what a completion goes on from */
    size_t n_prompt;
} row_place;

/* A text, tokenised as raw text is, or a list of token ids; a NULL value is no tokens. `place`: a prompt has BOS in
 * front where the model's files ask for one; a completion goes on from it, an answer from messages. *ids new. Returns an exit code; the sentence was printed. */
int read_tokens(const char *name, size_t line, agon_ctx *ctx, const agon_tokenizer *t, const char *key, const json_t *value,
                row_place place, int32_t **ids, size_t *n);

/* The prompt of a row: "messages", or "prompt" (a text or token ids; with `chat` a text is one user message). *ids new. */
int read_prompt(const char *name, size_t line, agon_ctx *ctx, const agon_tokenizer *t, const json_t *row, bool chat,
                int32_t **ids, size_t *n);

typedef struct opened {
    agon_ctx *ctx;
    agon_model *model;
    agon_adapter *adapter;
} opened;
/* A model by path or name in a context that is there, such as one to compare with; dtype: f32, or bf16 (NULL too). *out new. */
agon_status find_model(agon_ctx *ctx, const char *model, const char *dtype, const char *chat_template, agon_model **out);
/* Opens what --model, --adapter, --dtype and --chat-template ask for. Returns an exit code. */
int open_model(const char *name, const char *model, const char *adapter, const char *dtype, const char *chat_template,
               opened *out);
void close_model(opened *o);
/* The tokenizer alone, of what --model and --chat-template ask for. *out new. */
agon_status open_tokenizer(agon_ctx *ctx, const char *model, const char *chat_template, agon_tokenizer **out);

#endif
