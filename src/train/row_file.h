/* A file of rows held in memory as JSON, for commands that change labels and keep every other field. */
#ifndef TRAIN_ROW_FILE_H
#define TRAIN_ROW_FILE_H

#include "base/hash.h"
#include <jansson.h>
#include "agon.h"

typedef struct row_file {
    const char *path; /* borrowed */
    json_t **rows;    /* [n] objects, own */
    size_t *lines;    /* [n] counted from 1; empty lines count too */
    size_t n, capacity;
} row_file;

/* A JSONL file; out: row_file_free. AGON_EFORMAT, AGON_EINVAL (no rows) name file and line. */
AGON_MUST_CHECK agon_status row_file_read(agon_ctx *ctx, const char *path, row_file *out);
void row_file_free(row_file *f);
/* `return row_fail(ctx, &f, i, ...)`: AGON_EINVAL, the sentence with file and line of row i in front. */
agon_status row_fail(agon_ctx *ctx, const row_file *f, size_t i, const char *format, ...) __attribute__((format(printf, 4, 5)));

/* AGON_EINVAL when something is there (a link, a pipe and a device too): results never replace a file that somebody may still need. What killed writers
 * of the file left goes. */
AGON_MUST_CHECK agon_status output_is_new(agon_ctx *ctx, const char *path);
/* rows [n] as JSONL, those with `kept` false left out (NULL: all are kept); the file is there whole or not at all. */
AGON_MUST_CHECK agon_status rows_write(agon_ctx *ctx, const char *path, json_t *const *rows, const bool *kept, size_t n);

typedef struct rows_output { /* as in rows_write */
    const char *path;
    json_t *const *rows;
    const bool *kept;
    size_t n;
} rows_output;
/* Two files, both or none, `to` never without the one beside it, which has its name first. A call that is killed in between leaves a temporary file of
 * `to`, by which outputs_are_new knows what is beside as left over and removes it; else it is output_is_new of both. */
AGON_MUST_CHECK agon_status rows_write_two(agon_ctx *ctx, const rows_output *beside, const rows_output *to);
AGON_MUST_CHECK agon_status outputs_are_new(agon_ctx *ctx, const char *path, const char *beside);

typedef enum row_form {
    FORM_PAIR,       /* chosen and rejected */
    FORM_COMPLETION, /* a completion, text or messages */
    FORM_MESSAGES,   /* a conversation */
    FORM_TEXT,       /* a document */
    FORM_GROUP,      /* several completions */
    FORM_NONE
} row_form;
row_form row_form_of(const json_t *row);

/* The text of a column, borrowed; NULL: there is none, or it is blank or no text. */
const char *row_column(const json_t *row, const char *key);
/* Whether the n bytes of a text hold another one, but for the white space around it. */
bool row_holds_text(const char *text, size_t n, const char *part);

/* The words of a row's one response: its completion (or that one's last message), or its conversation's last message when an assistant
 * says it; borrowed. NULL: there is none. */
const char *row_response(const json_t *row);
/* Puts other words there. What row_response found before must not be NULL. AGON_ENOMEM. */
AGON_MUST_CHECK agon_status row_set_response(agon_ctx *ctx, json_t *row, const char *text, size_t n);

/* Exchanges chosen and rejected, and their critiques with them: what belongs to a text moves with it. AGON_ENOMEM. */
AGON_MUST_CHECK agon_status row_swap(agon_ctx *ctx, json_t *row);

/* For those where rewards and margin belong to the texts: the rewards of a pair change places, its margin its sign. AGON_ENOMEM. */
AGON_MUST_CHECK agon_status row_swap_rewards(agon_ctx *ctx, json_t *row);

/* Of two texts, the bytes of the words both begin with: the prompt of a pair without one. It ends before a space, where tokens do too, and leaves
 * each side a word of its own; 0: they share no such beginning. */
size_t row_common_words(const char *a, const char *b);
#define NO_COMMON_WORDS "prompt is missing, and chosen and rejected do not begin with words in common that leave each an answer"

/* Equal for rows with the same prompt (prompt, or first user message, or text), as a text or as one user message; a row without one
 * has that of the whole row. Two texts without a prompt have what both begin with, up to the last "\nAssistant:" in it; where there is
 * none, up to the last end of a sentence or line, which *guessed says (NULL: not asked): answers that begin alike may then make prompts
 * unequal. AGON_ENOMEM. */
AGON_MUST_CHECK agon_status row_prompt_hash(agon_ctx *ctx, json_t *row, hash256 *out, bool *guessed);

#endif
