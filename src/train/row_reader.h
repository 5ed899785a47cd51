/* Reading one row of a file: what row_tokens.c (texts and messages to tokens), row_fields.c (fields by name), row_parts.c, row_pair.c and row_read.c (fields to
 * rows) share with data.c, which reads files of them; private to src/train. */
#ifndef TRAIN_ROW_READER_H
#define TRAIN_ROW_READER_H

#include "base/buffer.h"
#include "base/ctx.h"
#include "base/json.h"
#include "base/memory.h"
#include "train/row_spans.h"
#include "train/data.h"

enum { MAX_SKIPPED = 100000 };

typedef struct skipped_row {
    data_fault fault;
    const char *sentence;
} skipped_row;

/* Where a prompt to be answered came from. */
typedef struct prompt_origin {
    json_t *object;
    const char *where;
} prompt_origin;

struct dataset {
    arena *memory;
    prompt_origin *origins; /* [n_origins] of prompts to be answered: one a row */
    size_t n_origins;
    train_row *rows;
    size_t n, capacity, n_truncated, n_double_end, n_space_only, n_skipped;
    size_t n_implicit; /* pairs without a prompt of their own */
    size_t faults[N_DATA_FAULTS], unread[N_OPTIONAL_FIELDS];
    span_tally spans;
    skipped_row *skipped; /* [min(n_skipped, MAX_SKIPPED)] */
    size_t skipped_capacity;
    const char *file; /* what the rows were read from; NULL: rows in memory */
    hash256 file_hash;
};

typedef struct row_reader {
    agon_ctx *ctx;
    const tokenizer *t;
    const objective *o; /* NULL: prompts to be answered */
    unsigned needs;     /* objective_needs_with its settings */
    size_t max_tokens;
    dataset *d;
    dataset_options options;
    data_fault fault; /* of the row being read; FAULT_FIELDS until something else is found */
} row_reader;

/* `return BAD(r, FAULT_EQUAL, ...)`: what is wrong with this row. */
#define BAD(r, kind, ...) ((r)->fault = (kind), ctx_fail((r)->ctx, AGON_EINVAL, __VA_ARGS__))

/* Tokens with one mask byte each, the first n_prompt of them prompt. */
typedef struct row_example {
    token_list tokens;
    buffer mask;
    size_t n_prompt;
} row_example;

typedef struct row_chat {
    chat_message *messages; /* [n], strings borrowed from the JSON */
    bool *unlearnt;         /* [n] answers that are read and not learnt */
    size_t n;
} row_chat;

/* A prompt: text or messages. */
typedef struct row_prompt {
    const char *text; /* NULL: messages */
    row_chat messages;
} row_prompt;

/* ---- row_tokens.c. Errors name `where` (file:line) and `key` ------------------------------------------ */

agon_status row_no_memory(row_reader *r);
/* Nothing, or white space only. */
bool row_is_blank(const char *text);
/* What is blank teaches nothing. */
agon_status row_empty(row_reader *r, const char *where, const char *key);
void row_example_free(row_example *e);
/* Fills the mask up to n tokens. */
bool row_pad_mask(buffer *mask, size_t n, char value);
/* Appends the messages of `list` to *out (arena memory). */
AGON_MUST_CHECK agon_status row_messages(row_reader *r, const char *where, const char *key, json_t *list, row_chat *out);
/* Messages of which the assistant's are learnt: everything before the first supervised token is the prompt. */
AGON_MUST_CHECK agon_status row_encode_messages(row_reader *r, const char *where, const row_chat *c, row_example *e);
AGON_MUST_CHECK agon_status row_encode_raw(row_reader *r, const char *where, const char *prompt, const char *completion, row_example *e);
/* prompt + completion (text or messages; a text after messages is one assistant message). */
AGON_MUST_CHECK agon_status row_encode_pair(row_reader *r, const char *where, const char *key, const row_prompt *p, json_t *completion,
                                            row_example *e);
/* "finish" of an answer that was encoded: "length" takes its end token away, which nobody wrote; "stop" or absent leaves it. */
AGON_MUST_CHECK agon_status row_read_finish(row_reader *r, const char *where, const char *key, const json_t *finish, row_example *e);

/* ---- row_parts.c -------------------------------------------------------------------------------------- */

/* A row at the end of the dataset with room for n responses, its prompt the first tokens of e; not counted yet. */
AGON_MUST_CHECK agon_status row_new(row_reader *r, const row_example *e, size_t n, train_row **out);
/* A row of the n examples, which share their prompt. Too long: responses are cut at the end, which counts as truncated; a
 * prompt that alone fills max_tokens leaves nothing to learn from. */
AGON_MUST_CHECK agon_status row_keep(row_reader *r, const char *where, const row_example *e, size_t n, train_row **kept);
bool row_same_tokens(const train_response *a, const train_response *b);

AGON_MUST_CHECK agon_status row_prompt_of(row_reader *r, const char *where, json_t *object, row_prompt *out);
/* A number, or true and false; absent leaves *out. */
AGON_MUST_CHECK agon_status row_number(row_reader *r, const char *where, json_t *object, const char *key, double *out);
/* The k-th of a list of numbers as long as the n completions; absent is fine. */
AGON_MUST_CHECK agon_status row_list_number(row_reader *r, const char *where, json_t *object, const char *key, size_t n, size_t k, double *out);

/* The text of a completion: a string, or a single message's content; NULL: neither. */
const char *row_completion_text(const json_t *completion);
/* cloud: a head, and the words of the critique before it. */
bool row_learns_words(const row_reader *r);
/* What an objective with a head reads: the response with the critique after it. *completion is put in its place, owned by `object`
 * under `slot`. *n_context: bytes of the text before the critique, 0 without one. */
AGON_MUST_CHECK agon_status row_add_critique(row_reader *r, const char *where, json_t *object, const char *key, json_t *critique, const char *slot,
                                             json_t **completion, size_t *n_context);
/* Rewards and weights of spans on a response that was kept, maybe cut. n_context: the first bytes are read and not learnt. */
AGON_MUST_CHECK agon_status row_place_spans(row_reader *r, const char *where, const json_t *spans, const json_t *completion, size_t n_context,
                                            const row_example *e, train_response *kept);
/* log_probs of a response that was kept, maybe cut: one a token of the whole. name: "log_probs" or "log_probs[3]". */
AGON_MUST_CHECK agon_status row_place_log_probs(row_reader *r, const char *where, const char *name, const json_t *list, const row_example *e,
                                                train_response *kept);

/* ---- row_pair.c --------------------------------------------------------------------------------------- */

AGON_MUST_CHECK agon_status row_read_pair(row_reader *r, const char *where, json_t *object);

/* ---- row_read.c --------------------------------------------------------------------------------------- */

/* Appends the row that `object` is to the dataset. What was joined or divided stands in the object afterwards, which is a copy of the caller's. */
AGON_MUST_CHECK agon_status row_read(row_reader *r, const char *where, json_t *object);

/* ---- row_columns.c ------------------------------------------------------------------------------------ */

/* Columns that the row would be learnt without: a system message beside messages or a prompt that do not hold it, tools, messages beside a text. */
AGON_MUST_CHECK agon_status row_check_columns(row_reader *r, const char *where, const json_t *object);
/* The same of a pair whose prompt is the n bytes that both texts begin with: a question or system message beside them. */
AGON_MUST_CHECK agon_status row_check_implicit_prompt(row_reader *r, const char *where, const json_t *object, const char *prompt, size_t n);
/* A message with tool calls or without content is refused; *unlearnt: it is an answer with the weight 0. */
AGON_MUST_CHECK agon_status row_check_message(row_reader *r, const char *where, const char *key, size_t i, const json_t *message, bool *unlearnt);
/* Contents in text parts become one text; the lists they stand in are copied for that. */
AGON_MUST_CHECK agon_status row_join_parts(row_reader *r, const char *where, json_t *object);

/* ---- row_fields.c ------------------------------------------------------------------------------------- */

enum { ROW_STEPS = 8 }; /* beside row_kind: steps of a solution */
/* What kind of row the object is, by its fields. */
unsigned row_kind_of(const row_reader *r, const json_t *object);
/* A misspelt field would be passed over, and the row learned from without it. Where the right one stands too, the other is the user's own. */
AGON_MUST_CHECK agon_status row_check_fields(row_reader *r, const char *where, json_t *object);
/* Counts the fields of a row that was kept which its objective does not read. */
void row_count_unread(row_reader *r, const json_t *object);

#endif
