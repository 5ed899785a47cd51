/* Evaluation suites: what is asked and how an answer is judged. A suite generates nothing: whoever
 * evaluates runs the items through a backend, one answer an item, greedily, and may record each.
 *
 *   general  questions of kinds that no task family trains (data/general.jsonl)
 *   gsm8k    grade-school word problems (external: AGON_DATA)
 *   ifeval   instructions that a program can check (external: AGON_DATA)
 *   xstest_safe, xstest_unsafe   prompts that should be answered, or refused (external: AGON_DATA)
 *
 * Perplexity on held-out text is no list of answers and has functions of its own below.
 * One file a suite, one line in suite.c's table. */
#ifndef EVAL_SUITE_H
#define EVAL_SUITE_H

#include "base/hash.h"
#include "model/model.h"

typedef struct suite suite;

/* Suites that ask questions, in table order; NULL past the end. Static storage. */
const char *suite_name(size_t i);
const char *suite_summary(size_t i);

/* *out new. limit 0: the suite's default number of items (all of general, 300 of gsm8k); fewer than the file has are taken
 * evenly spaced over it, always the same ones. AGON_ENOTFOUND: no such suite, or its file is absent: callers that run
 * several say "not run" and go on. AGON_EFORMAT names file and line. */
AGON_MUST_CHECK agon_status suite_open(agon_ctx *ctx, const char *name, size_t limit, suite **out);
void suite_free(suite *s);

size_t suite_n_items(const suite *s);
/* SHA-256 over ids, queries and gold answers: equal hashes, equal items. */
hash256 suite_hash(const suite *s);

/* All borrowed until suite_free. */
typedef struct suite_item {
    const char *id;    /* "general/capital/3", "gsm8k/17" */
    const char *group; /* what results are broken down by; the suite's name where there is nothing finer */
    const char *query; /* the one user message */
    size_t max_tokens;
} suite_item;
suite_item suite_get(const suite *s, size_t i); /* i < suite_n_items */

/* Judges an answer to item i. *evidence new (free()): in words why, "says 'Lyon', right is 'Paris'". Any bytes are
 * safe; a bad response is a verdict, not an error. */
AGON_MUST_CHECK agon_status suite_judge(agon_ctx *ctx, const suite *s, size_t i, const char *response,
                                        bool *right, char **evidence);

/* ---- perplexity (suite_perplexity.c) ------------------------------------------------------------- */

/* Documents cut into windows. Every token but a document's first is scored exactly once, given up to
 * `PERPLEXITY_CONTEXT` tokens before its window. Both are less where the model's context ends before their sum: a quarter of it is for
 * what stands before. */
enum { PERPLEXITY_WINDOW = 384, PERPLEXITY_CONTEXT = 128, PERPLEXITY_GROUP = 8 /* windows a forward */ };

typedef struct perplexity_suite perplexity_suite;
typedef struct perplexity_window {
    size_t document;
    const int32_t *context; /* [n_context], may be 0 */
    size_t n_context;
    const int32_t *tokens; /* [n_tokens]; the first is not scored when n_context is 0 */
    size_t n_tokens;
} perplexity_window;

/* Reads documents separated by lines "=====", for a model with a context of so many tokens. path NULL: data/held_out.txt. limit: documents at
 * most, 0 all. *out new; t is needed during the call only. AGON_EUNSUPPORTED: a context of one token, in which nothing precedes it. */
AGON_MUST_CHECK agon_status perplexity_open(agon_ctx *ctx, const tokenizer *t, size_t context, const char *path,
                                            size_t limit, perplexity_suite **out);
void perplexity_free(perplexity_suite *p);
size_t perplexity_n_documents(const perplexity_suite *p);
size_t perplexity_n_windows(const perplexity_suite *p);
perplexity_window perplexity_get(const perplexity_suite *p, size_t i); /* borrowed */
const char *perplexity_document(const perplexity_suite *p, size_t document); /* its text, borrowed */
/* Scored tokens of a document. */
size_t perplexity_n_scored(const perplexity_suite *p, size_t document);
hash256 perplexity_hash(const perplexity_suite *p); /* of texts, tokens and windows */

/* nll [n_documents]: minus the summed log_prob of each document's scored tokens, nats. a NULL: the base. AGON_EINVAL: a
 * token is not in the model's vocabulary (p was made with another tokenizer). */
AGON_MUST_CHECK agon_status perplexity_score(agon_ctx *ctx, const model *m, const adapter *a,
                                             const perplexity_suite *p, double *nll);
/* exp of the token-weighted mean. */
double perplexity_of(const double *nll, const size_t *n_scored, size_t n_documents);

/* Non-inferiority of the relative rise of perplexity, H0 "it rose by `margin` (0.03) or more": documents are resampled in pairs
 * (seeded, `draws` times), because tokens of one document are not independent. */
typedef struct perplexity_comparison {
    double before, after;
    double rise;  /* after / before - 1 */
    double upper; /* one-sided upper bound at alpha of the rise */
    double p;     /* (1 + draws at or beyond the margin) / (1 + draws) */
    bool holds;   /* upper < margin */
} perplexity_comparison;
AGON_MUST_CHECK agon_status perplexity_compare(agon_ctx *ctx, const double *before, const double *after,
                                               const size_t *n_scored, size_t n_documents, double margin,
                                               double alpha, size_t draws, uint64_t seed,
                                               perplexity_comparison *out);

#endif
