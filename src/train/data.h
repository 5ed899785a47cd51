/* Datasets: TRL-style rows as the tokens that `train` takes. */
#ifndef TRAIN_DATA_H
#define TRAIN_DATA_H

#include "train/critique_spans.h"
#include "train/train.h"
#include <jansson.h>

/* Rows from JSONL, tokenised: {"text"}, {"messages": [...]}, {"prompt", "completion"}, {"prompt", "chosen", "rejected"}, {"prompt", "completion",
 * "label"}, {"prompt", "completions": [...], "rewards": [...]}, {"prompt", "completions": [steps], "labels": [...]} (steps, or choices). prompt/completion/chosen/rejected are strings (raw text) or message lists (chat template). A
 * completion gets the end-of-turn (chat) or EOS (raw) token. Errors name file:line. Memory belongs to the dataset. */
typedef struct dataset dataset;
AGON_MUST_CHECK agon_status dataset_read(agon_ctx *ctx, const tokenizer *t, const char *path,
                                         const objective *o, size_t max_tokens, dataset **out);
/* Prompts to be answered: rows {"prompt"}, read as above; a "completion" is the row's one response, a demonstration; the other fields are for
 * whoever judges the answers. max_tokens: of the prompt and an answer, 0: no limit. AGON_EINVAL names file and line: no prompt, an empty or a
 * too long one. */
AGON_MUST_CHECK agon_status dataset_read_prompts(agon_ctx *ctx, const tokenizer *t, const char *path, size_t max_tokens, dataset **out);
/* Of the bytes that a dataset's rows were read from; zeros for rows in memory. */
hash256 dataset_file_hash(const dataset *d);
/* Row i of such a dataset as the file has it, and its "file:line"; both borrowed. */
const json_t *dataset_prompt_row(const dataset *d, size_t i, const char **where);
/* The same from an array of rows in memory, those that cannot be learnt from left out and counted; sentences name the row's
 * number, from 1. as_begun: see dataset_options. */
AGON_MUST_CHECK agon_status dataset_from_json(agon_ctx *ctx, const tokenizer *t, const json_t *rows, const objective *o,
                                              const double *settings, size_t max_tokens, bool as_begun, dataset **out);
/* Rows that are tokens already, copied: prompts, responses' tokens, numbers and log_probs at sampling; other channels (mask, ...) are not. */
AGON_MUST_CHECK agon_status dataset_from_rows(agon_ctx *ctx, const train_row *rows, size_t n, dataset **out);
/* What can be wrong with a row. */
typedef enum data_fault {
    FAULT_FORMAT,     /* the line is no JSON object */
    FAULT_FIELDS,     /* a field the objective needs is missing, or of another form */
    FAULT_EMPTY,      /* an empty completion, or one of white space only */
    FAULT_EQUAL,      /* chosen and rejected are the same tokens, or become so when cut; one completion twice in a ranking */
    FAULT_RANGE,      /* a label outside [0, 1], a negative weight, a number beyond NUMBER_LIMIT */
    FAULT_NOT_FINITE, /* a reward, advantage or margin that is not finite */
    FAULT_GROUP,      /* a group of another size than asked for, or too small to compare */
    FAULT_LENGTH,     /* a prompt that leaves no room for an answer, steps cut before the first ends */
    FAULT_WEIGHT,     /* a weight of 0: left out and counted whether or not skip_bad is set */
    N_DATA_FAULTS
} data_fault;
const char *data_fault_name(data_fault f);
/* What rows may have and not every objective reads: label, reward, margin, critique ... */
enum { N_OPTIONAL_FIELDS = 17 };
const char *row_optional_field(size_t i);

typedef struct dataset_options {
    size_t max_tokens; /* of prompt and response; 0: no limit */
    bool skip_bad;     /* bad rows are left out and counted, not an error */
    bool sampled;      /* the rows hold a policy's samples: one that says nothing may stand in a group, for its reward judges that */
    bool as_begun;     /* the rows are of a run begun before columns that would be lost were refused and weights of messages read (rules 18): neither is done */
    const double *settings; /* of the objective, as objective_set leaves them: they may decide what it needs; NULL: its defaults */
    size_t group_size; /* completions a group must have; 0: any number the objective takes */
    const char *const *dimensions; /* [n_dimensions] what each row's "dimension" is one of; 0: rows need none */
    size_t n_dimensions;
    const char *const *adapters; /* [n_adapters] what each row's "adapter" is one of; 0: rows need none */
    size_t n_adapters;
    /* Each row that is kept, as it stood in the file and as it will be trained on; both borrowed for the call. NULL: not wanted. */
    agon_status (*on_row)(void *arg, const json_t *row, const train_row *made);
    void *arg;
} dataset_options;
AGON_MUST_CHECK agon_status dataset_read_with(agon_ctx *ctx, const tokenizer *t, const char *path, const objective *o,
                                              const dataset_options *options, dataset **out);

typedef struct dataset_summary {
    size_t n_rows, n_responses, n_prompt_tokens, n_response_tokens, n_supervised;
    size_t n_truncated;   /* rows cut */
    size_t n_skipped;     /* bad rows left out */
    size_t n_implicit;    /* pairs kept whose prompt is what both sides begin with */
    size_t n_space_only;  /* pairs kept whose sides differ only in the white space they end with */
    size_t n_double_end;  /* completions that brought their own end token or its text */
    size_t longest;       /* prompt and response */
    span_tally spans;     /* of the rows kept */
    size_t faults[N_DATA_FAULTS];
    size_t unread[N_OPTIONAL_FIELDS]; /* rows kept that have the field, which the objective does not read */
} dataset_summary;
dataset_summary dataset_summarise(const dataset *d);
/* The sentence (file:line) of the i-th row left out, with its fault; NULL after the last that was kept: at most 100,000. */
const char *dataset_skipped(const dataset *d, size_t i, data_fault *fault);

/* Rows of dataset_from_json whose i-th came from line lines[i] of `file`, borrowed while the dataset lives. */
void dataset_place(dataset *d, const char *file, const size_t *lines, size_t n);

void dataset_free(dataset *d);
const train_row *dataset_rows(const dataset *d, size_t *n);
size_t dataset_n_truncated(const dataset *d);
size_t dataset_n_of_dimension(const dataset *d, size_t dimension); /* rows of it */
size_t dataset_n_of_adapter(const dataset *d, size_t adapter);
/* Human-readable preview of row i: each token, its mask. New string. */
char *dataset_preview(const dataset *d, const tokenizer *t, size_t i);

#endif
