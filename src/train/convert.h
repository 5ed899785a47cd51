/* Rows of other people's data as rows of ours, and files of rows divided. */
#ifndef TRAIN_CONVERT_H
#define TRAIN_CONVERT_H

#include "agon.h"
#include <jansson.h>

typedef enum data_format {
    DATA_AUTO,     /* told by the fields of each row */
    DATA_TRL,      /* ours already: text, messages, prompt and completion, chosen and rejected, completions */
    DATA_ALPACA,   /* {"instruction", "input"?, "output", "system"?} */
    DATA_SHAREGPT, /* {"conversations": [{"from", "value"}...], "system"?} */
    DATA_HH,       /* {"chosen", "rejected"}: transcripts of "\n\nHuman: ... \n\nAssistant: ..." */
    DATA_GSM8K,    /* {"question", "answer"} */
    DATA_SPIN,     /* {"real": [messages], "generated": [messages]} */
    DATA_ORCA,     /* {"question" (or "instruction", "query", "input"), "chosen", "rejected", "system"?}: texts */
    /* {"prompt", "draft", "critique", "refined"}, by what is made of them (convert_refined.c); never told by the fields */
    DATA_REFINE_SFT, DATA_REFINE_GUIDED, DATA_REFINE_PAIRS, DATA_REFINE_CRITIC,
    N_DATA_FORMATS
} data_format;
const char *data_format_name(data_format f);
/* AGON_EINVAL names the formats and the nearest. */
AGON_MUST_CHECK agon_status data_format_find(agon_ctx *ctx, const char *name, data_format *out);

/* One row in TRL's form: messages, or prompt, chosen and rejected as messages. *out new (json_decref). AGON_EINVAL names
 * `where` and the field: missing, of another form, unknown speaker, sides that do not share their prompt. *format gets
 * what was found, *n_cut grows by the turns after the last answer. Empty answers and equal sides are refused. */
AGON_MUST_CHECK agon_status convert_row(agon_ctx *ctx, const char *where, data_format from, json_t *row, json_t **out,
                                        data_format *format, size_t *n_cut);

/* convert_trl.c: the same for pairs of Orca's fields, and for TRL's: a row of texts stays as it is (*out is the row itself), anything else
 * becomes lists of messages. A prompt that stands in chosen and rejected too is left to them. */
AGON_MUST_CHECK agon_status convert_orca(agon_ctx *ctx, const char *where, json_t *row, json_t **out);
AGON_MUST_CHECK agon_status convert_trl(agon_ctx *ctx, const char *where, json_t *row, json_t **out);
/* What a pair without "prompt" is asked by in a column of its own, which its sides do not begin with, for convert_orca; NULL: there is none. */
const char *convert_question(const json_t *row);
/* The row's system column into *made, which it becomes the first message of: texts become messages for that. A row of a text keeps it. AGON_EINVAL:
 * another system message stands there, or there is nothing it could stand before. */
AGON_MUST_CHECK agon_status convert_system(agon_ctx *ctx, const char *where, const json_t *row, json_t **made);
/* The role of a speaker of other people's data ("human", "gpt", ...); NULL: unknown. */
const char *convert_role(const char *speaker);

/* convert_refined.c: the same for one of the DATA_REFINE formats. */
AGON_MUST_CHECK agon_status convert_refined(agon_ctx *ctx, const char *where, data_format format, json_t *row, json_t **out);

typedef struct convert_report {
    size_t n_rows, n_skipped, by_format[N_DATA_FORMATS];
    size_t n_cut;            /* turns after the last answer, left out */
    json_t *skipped; /* [{"sentence"}] of the rows left out, the first 100,000; NULL: none. convert_report_free */
    json_t *cut;     /* the same of rows that turns were cut from */
} convert_report;
void convert_report_free(convert_report *r);
/* A file (JSONL, one JSON list, or a table with commas whose name ends with .csv) to JSONL at `to`, written whole or not at all. skip_bad: bad rows are left out and
 * counted. AGON_EINVAL, AGON_EFORMAT name file and line, or the place in the list (row 1 is the first). */
AGON_MUST_CHECK agon_status convert_file(agon_ctx *ctx, const char *from, data_format format, const char *to,
                                         bool skip_bad, convert_report *out);

typedef struct split_part {
    const char *path;
    double share; /* of the groups of rows; the shares sum to 1 */
    size_t n_rows; /* written */
} split_part;
typedef struct split_report {
    size_t n_duplicates; /* equal rows that were left out */
    size_t n_guessed;    /* rows read whose prompt is a guess (row_prompt_hash) */
} split_report;
/* Divides a JSONL file by a permutation of the seed. Rows with the same prompt (row_prompt_hash) stay together, so that no test prompt
 * was trained on; equal rows are written once. Every part is written whole or not at all, and all of them before the first gets its name; of a call that was
 * killed among the names the same call makes the rest. AGON_EINVAL: shares, fewer prompts than parts, or something else stands where a part goes. */
AGON_MUST_CHECK agon_status split_file(agon_ctx *ctx, const char *from, uint64_t seed, split_part *parts, size_t n_parts, split_report *report);

#endif
