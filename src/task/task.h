/* Task families: queries a program can make, answer, spoil and judge (spec: loop 0.2, 2.8, 3.3).
 *
 *   task_generate     a query of one cell from a seed, in one of several wordings
 *   task_verify       pass, fail or unknown, with evidence in words
 *   task_demonstrate  a correct, natural answer, as an expert would give it
 *   task_tamper       a known-good answer with one subtle fault planted (loop 3.3)
 *   task_check        the gold answer once more, by an independent second solver (loop 2.8)
 *
 * One file a family; family.h lists them. A query's meaning is (family, cell, parameters): the wording, names and seed
 * are not part of it, so equal parameters are the same task however they are worded (decontamination).
 *
 * Judging natural text: where a number is asked, the one number that counts is found in the order "#### x", \boxed{x},
 * "answer is x", last number in the text, so listing many numbers wins nothing. Responses of any content are safe to
 * judge; beyond 64 KiB they fail.
 */
#ifndef TASK_TASK_H
#define TASK_TASK_H

#include "agon.h"
#include "base/json.h"

enum { TASK_RESPONSE_MAX = 64 * 1024 };

typedef enum task_outcome { OUTCOME_FAIL = 0, OUTCOME_PASS = 1, OUTCOME_UNKNOWN = 2 } task_outcome;
const char *task_outcome_name(task_outcome outcome); /* "fail", "pass", "unknown" */

/* How the wording departs from the family's plainest one. NONE already draws among a few usual phrasings. */
typedef enum task_perturbation {
    PERTURBATION_NONE = 0,
    PERTURBATION_PARAPHRASE, /* rarer phrasings of the same question */
    PERTURBATION_DISTRACTOR, /* one irrelevant sentence without numbers */
    PERTURBATION_RENAME,     /* unusual names and things; where there are none, the same as NONE */
    PERTURBATION_N,
} task_perturbation;
const char *task_perturbation_name(task_perturbation p); /* "none", "paraphrase", "distractor", "rename" */

/* A cell: one kind of query at one difficulty. Static storage. */
typedef struct task_family task_family;
typedef struct task_cell {
    const char *name; /* "two_digit_sum"; "family/name" is its full name */
    int difficulty;   /* 1 easiest .. 5 */
    bool hard;        /* in the harder half of its family (the sealed experiment trains there) */
    bool by_default;  /* among the cells of a run file that names none */
} task_cell;

/* All fields new; free with task_query_free. Zero-initialise. */
typedef struct task_query {
    char *text;
    const char *family; /* static; "user" for queries from a file */
    const char *cell;   /* static */
    int difficulty;
    bool hard;
    task_perturbation perturbation;
    uint64_t seed;
    json_t *parameters; /* everything the verifier needs, nothing about wording */
    json_t *keep;       /* what a rewording must keep: [{"kind":"number|name|text|any","value":..}], see invariant.c */
} task_query;
void task_query_free(task_query *query); /* frees what it holds and zeroes it; NULL is fine */
/* {"text","family","cell","perturbation","seed"(decimal text),"parameters","keep"}; *out new. The reader checks everything. */
AGON_MUST_CHECK agon_status task_query_json(agon_ctx *ctx, const task_query *query, json_t **out);
AGON_MUST_CHECK agon_status task_query_read(agon_ctx *ctx, const char *where, const json_t *object,
                                            task_query *out);
/* "family/cell{canonical parameters}": equal for equal tasks (a user's "group" is no part of it). New string, NULL on memory. */
char *task_identity(const task_query *query);

/* Strings new; free with task_verdict_free. Zero-initialise. */
typedef struct task_verdict {
    task_outcome outcome;
    char *evidence; /* words: "says 78, but 42 + 25 = 67"; for a pass, why it passes */
    char *masked;   /* where and why it is wrong without the right answer; equal to evidence on a pass */
    size_t span_start, span_end; /* bytes of the response the evidence cites; equal: none */
    char *quote;                 /* those bytes, NULL when none */
} task_verdict;
void task_verdict_free(task_verdict *verdict);

/* ---- cells --------------------------------------------------------------------------------------- */

size_t task_n_cells(void);                /* of all generated families */
const task_cell *task_cell_at(size_t i);  /* i < task_n_cells() */
const char *task_cell_family(size_t i);   /* "arithmetic" */
enum { CELL_NAME_SIZE = 128 };
void task_cell_name(size_t i, char out[CELL_NAME_SIZE]);     /* "arithmetic/add" */
bool task_cell_covered(size_t i, const char *name);          /* by that name, or by that of its family */
size_t task_cell_find(const char *family, const char *cell); /* SIZE_MAX: there is none */
size_t task_n_families(void);
const char *task_family_name(size_t i);   /* generated families; "user" is not among them */
/* Cells named by `names` (array of "family" or "family/cell" strings; NULL or empty: those by default) in table order,
 * each once. indices [task_n_cells()]. AGON_EINVAL names an unknown one and the nearest. */
AGON_MUST_CHECK agon_status task_select(agon_ctx *ctx, const json_t *names, size_t *indices, size_t *n);

/* Seeds of separate namespaces ("train", "held_out", "critic", ...): what is drawn in one is never drawn by key in another; equal
 * tasks are found by task_identity on top. */
uint64_t task_seed(uint64_t run_seed, const char *space, size_t cell, uint64_t index);

/* ---- the five verbs ------------------------------------------------------------------------------ */

AGON_MUST_CHECK agon_status task_generate(agon_ctx *ctx, size_t cell, uint64_t seed,
                                          task_perturbation perturbation, task_query *out);
/* Judges `response` (NUL-terminated UTF-8 or anything else). Bad responses are verdicts, not errors. */
AGON_MUST_CHECK agon_status task_verify(agon_ctx *ctx, const task_query *query, const char *response,
                                        task_verdict *out);
/* A correct answer with some variety by seed; *response new. AGON_EUNSUPPORTED for a user's query without answer. It
 * is checked by the verifier before it is returned. */
AGON_MUST_CHECK agon_status task_demonstrate(agon_ctx *ctx, const task_query *query, uint64_t seed,
                                             char **response);
/* `correct` is known good on the caller's word. Neither it nor the result is verified here: under a sealed oracle that would tell. *faulty: the
 * same answer with one planted fault, which makes a right answer wrong by construction; *claim: the critique that would report it (it may hold
 * the right answer). Both new. AGON_EUNSUPPORTED when no fault could be planted. */
AGON_MUST_CHECK agon_status task_tamper(agon_ctx *ctx, const task_query *query, const char *correct,
                                        uint64_t seed, char **faulty, char **claim);
/* AGON_OK when the second solver agrees with the gold in the parameters and the query's text holds what it must;
 * AGON_EMISMATCH says how they differ (an ill-posed query). */
AGON_MUST_CHECK agon_status task_check(agon_ctx *ctx, const task_query *query);
/* The right answer in short ("67"), new string in *out; NULL where many answers are right. */
AGON_MUST_CHECK agon_status task_gold(agon_ctx *ctx, const task_query *query, char **out);

/* ---- the user's own queries ---------------------------------------------------------------------- */

/* One row {"query", "answer"?, "verifier"?, "arguments"?, "group"?} as a query of family "user". "answer": text, number or list of accepted
 * ones; "verifier": a name of task_verifier_name. Neither: its verdict is always unknown. `where` names the row. */
AGON_MUST_CHECK agon_status task_user_query(agon_ctx *ctx, const char *where, const json_t *row,
                                            task_query *out);
/* Names a row may use: "number", "exact", "contains", and every writing constraint ("max_words", ...). NULL past the end. */
const char *task_verifier_name(size_t i);
/* The verifier that is no function of this library but a program of the user's (role/verifier): here its verdict is unknown. */
#define TASK_VERIFIER_PROGRAM "program"

/* ---- invariant.c: a language model's rewording of a query ---------------------------------------- */

/* Does `text` still ask the same? PARAPHRASE: word by word, what says nothing aside, it says what the query or a wording that the family knows of its
 * task says. DISTRACTOR: the query and a plain remark beside it. RENAME: the query with other names (where it has none: as PARAPHRASE). What is not
 * understood is rejected, also much that asks the same. *reason new: why not, NULL when *ok. */
AGON_MUST_CHECK agon_status task_variation_check(agon_ctx *ctx, const task_query *query,
                                                 task_perturbation perturbation, const char *text,
                                                 bool *ok, char **reason);
/* The same as far as a list of suspicious changes goes, which lets others pass: for runs begun with it (before rules 9). */
AGON_MUST_CHECK agon_status task_variation_check_first(agon_ctx *ctx, const task_query *query, task_perturbation perturbation, const char *text, bool *ok,
                                                       char **reason);
/* The query with `text` as its wording (same parameters); *out new. */
AGON_MUST_CHECK agon_status task_variation(agon_ctx *ctx, const task_query *query,
                                           task_perturbation perturbation, const char *text,
                                           task_query *out);

/* ---- dedup.c: normalisation, duplicates, contamination ------------------------------------------- */

/* NFKC, lower case, white space collapsed to one space and trimmed; bytes that are not UTF-8 become U+FFFD. New string. */
AGON_MUST_CHECK agon_status text_normalise(agon_ctx *ctx, const char *text, char **out);

/* NFKC with case folded, and of it letters, marks and digits only: "France?" and "france" are one. A text that has none of these stays as it is but for
 * NFKC and case. New string. */
AGON_MUST_CHECK agon_status text_normal_form(agon_ctx *ctx, const char *text, char **out);

/* Texts seen so far. Exact: SHA-256 of the normalised text; near: 5-token shingles, MinHash of 128 in 32 bands of 4, confirmed
 * by exact Jaccard >= threshold (0.8 in the specification). */
typedef struct dedup dedup;
AGON_MUST_CHECK agon_status dedup_new(agon_ctx *ctx, double threshold, dedup **out);
void dedup_free(dedup *d);
size_t dedup_count(const dedup *d);
/* *found: the earlier text it repeats (its number, from 0, in order of adding), or SIZE_MAX. Adds nothing. */
AGON_MUST_CHECK agon_status dedup_find(agon_ctx *ctx, const dedup *d, const char *text, size_t *found);
AGON_MUST_CHECK agon_status dedup_add(agon_ctx *ctx, dedup *d, const char *text);
/* Jaccard similarity of word n-grams (lower-cased white-space tokens; texts shorter than n count as one n-gram). */
AGON_MUST_CHECK agon_status text_jaccard(agon_ctx *ctx, const char *a, const char *b, size_t n, double *out);

/* Evaluation items that training may not contain: free texts by shared 13-grams (8-grams for items of fewer than 26 tokens) and by equal normal forms,
 * generated queries by task_identity and by their whole wording (parts of it are a template, which training shares by design). */
typedef struct contamination contamination;
AGON_MUST_CHECK agon_status contamination_new(agon_ctx *ctx, contamination **out);
void contamination_free(contamination *c);
/* For runs begun before rules 13, before anything is added: no normal forms; an item of fewer than 8 tokens is hit only by the same tokens. */
void contamination_compare_tokens(contamination *c);
/* For runs begun before rules 21, before anything is added: no text is hit by the wording of a generated query. */
void contamination_know_tasks_alone(contamination *c);
/* Before the queries of a user's file are added: words in an 8-gram that more than 20 of its rows share (of a smaller file a tenth, more than three), such
 * as an instruction before each, are its template and no trace of any row. rows [n_rows] texts. */
AGON_MUST_CHECK agon_status contamination_leave_template(agon_ctx *ctx, contamination *c, const char *const *rows, size_t n_rows);
AGON_MUST_CHECK agon_status contamination_add_text(agon_ctx *ctx, contamination *c, const char *text);
AGON_MUST_CHECK agon_status contamination_add_query(agon_ctx *ctx, contamination *c, const task_query *query);
/* *hit: `text` (a query, or query and response) shares an n-gram with a free text, or its normal form; or is the wording of a generated query, but for case
 * and blanks. */
AGON_MUST_CHECK agon_status contamination_has_text(agon_ctx *ctx, const contamination *c, const char *text, bool *hit);
/* Is the task of this task_identity an evaluation item? */
bool contamination_has_identity(const contamination *c, const char *identity);
/* *hit: the same task is an evaluation item; queries of family "user" are compared by text too. */
AGON_MUST_CHECK agon_status contamination_has_query(agon_ctx *ctx, const contamination *c,
                                                    const task_query *query, bool *hit);
/* V:ngram_overlap: of the n-grams of `test`, how many occur in a corpus text; share of tokens inside a shared one. */
AGON_MUST_CHECK agon_status ngram_overlap(agon_ctx *ctx, const char *test, const char *const *corpus,
                                          size_t n_corpus, size_t n, size_t *hits, size_t *n_ngrams,
                                          double *token_coverage);

/* ---- numbers in text ----------------------------------------------------------------------------- */

/* An exact fraction, numerator / denominator > 0, in lowest terms. */
typedef struct rational {
    int64_t numerator, denominator;
} rational;
bool rational_equal(rational a, rational b);
/* "7", "-3", "37/2". `out` of at least 48 bytes. */
void rational_text(rational r, char *out, size_t size);
/* The number a text gives as its answer (V:parse_number), with its bytes. false: no number, or one beyond 18 digits. */
bool parse_number(const char *text, rational *out, size_t *start, size_t *end);

#endif
