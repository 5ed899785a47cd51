/* What a task family is made of; private to src/task. One family, one file, one line in the table below.
 *
 * A family gives its cells and six functions. task.c checks what every family must keep (a demonstration verifies, a
 * tampered answer does not, ...), so that no family has to. */
#ifndef TASK_FAMILY_H
#define TASK_FAMILY_H

#include "base/random.h"
#include "task/task.h"

struct wordings;

struct task_family {
    const char *name;
    const task_cell *cells;
    size_t n_cells;
    /* What a rewording of its queries may not touch (invariant.c). */
    bool number_order; /* the order of the numbers */
    bool direction;    /* larger or smaller, up or down */
    bool positions;    /* first, last, after, before: no word of these is added */
    bool events;       /* who gives, buys, loses and shares */
    /* Fills text, parameters and keep of a zeroed query whose family, cell, difficulty, hard, perturbation and seed are set. A function of (cell,
     * seed, perturbation) alone. */
    agon_status (*generate)(agon_ctx *ctx, const task_cell *cell, task_query *query);
    /* See task_verify; `response` is at most TASK_RESPONSE_MAX bytes. */
    agon_status (*verify)(agon_ctx *ctx, const task_query *query, const char *response, task_verdict *out);
    agon_status (*demonstrate)(agon_ctx *ctx, const task_query *query, uint64_t seed, char **response);
    agon_status (*tamper)(agon_ctx *ctx, const task_query *query, const char *correct, uint64_t seed,
                          char **faulty, char **claim);
    /* Parameters well formed (they may come from a file) and gold confirmed by a second way of solving: AGON_EMISMATCH / AGON_EINVAL. */
    agon_status (*check)(agon_ctx *ctx, const task_query *query);
    agon_status (*gold)(agon_ctx *ctx, const task_query *query, char **out); /* *out NULL: many answers are right */
    /* What a rewording may not bring in (invariant.c): phrases separated by '|'. NULL: none. */
    const char *foreign;
    /* *why: what a rewording asks instead, static; untouched where nothing speaks against it. NULL: not asked. */
    agon_status (*differs)(agon_ctx *ctx, const task_query *query, const char *text, const char **why);
    /* Every way in which a rewording may ask for the query's task, and what says the same in it (wording.h); *out is zeroed. NULL: its own words alone. */
    agon_status (*wordings)(agon_ctx *ctx, const task_query *query, struct wordings *out);
};

/* In table order; a family is added here when its file is. */
#define TASK_FAMILIES(X)                                                                             \
    X(arithmetic)                                                                                    \
    X(word_problem)                                                                                  \
    X(comparison)                                                                                    \
    X(string)                                                                                        \
    X(writing)

#define DECLARE_FAMILY(name) extern const task_family family_##name;
TASK_FAMILIES(DECLARE_FAMILY)
#undef DECLARE_FAMILY
extern const task_family family_user; /* user.c: no cells; queries come from a file */

/* task_table.c. NULL when there is none; finds "user" too. */
const task_family *family_find(const char *name);
const task_cell *family_cell(const task_family *f, const char *name);

/* ---- verdict.c: building what families return ---------------------------------------------------- */

/* The end of a tamper: `text` (taken) as *faulty, with what `verify` says is wrong with it as *claim, true by construction. AGON_EUNSUPPORTED where
 * nothing is wrong with it. */
AGON_MUST_CHECK agon_status task_planted(agon_ctx *ctx, const task_query *query,
                                         agon_status (*verify)(agon_ctx *ctx, const task_query *query, const char *response, task_verdict *out),
                                         char *text, char **faulty, char **claim);
/* printf into a new string; AGON_ENOMEM. */
agon_status task_format(agon_ctx *ctx, char **out, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Sets outcome, evidence, masked (NULL: as evidence) and the cited bytes [start, end) of response (equal: none). */
agon_status verdict_set(agon_ctx *ctx, task_verdict *out, task_outcome outcome, const char *response,
                        size_t start, size_t end, const char *masked, const char *evidence_format, ...)
    __attribute__((format(printf, 8, 9)));
/* Appends {"kind", "value"} to a keep list (made when *keep is NULL). kind: number (digits or number word), name (as
 * written), text (a word or phrase, any case), any (one of several phrases separated by "|": "at most|no more than"). */
agon_status keep_add(agon_ctx *ctx, json_t **keep, const char *kind, const char *value);
/* One of n texts (numbers: rng_range of base/random.h). */
const char *draw_text(rng *r, const char *const *texts, size_t n);
/* A sentence without numbers that has nothing to do with any task. */
const char *draw_distractor(rng *r);
/* `pattern` with every "{key}" replaced; *out new. fills [n]. A brace that opens no known key is text. */
typedef struct text_fill {
    const char *key, *value;
} text_fill;
agon_status task_fill(agon_ctx *ctx, const char *pattern, const text_fill *fills, size_t n, char **out);
/* Judges a response by its one number (number_find). why: "42 + 25 = 67"; masked_why: completes "says 78, .." without
 * the right answer, "which is not 42 + 25". */
agon_status verdict_number(agon_ctx *ctx, task_verdict *out, const char *response, rational gold,
                           const char *why, const char *masked_why);
/* The same of a number found already. */
struct number_answer;
agon_status verdict_answer(agon_ctx *ctx, task_verdict *out, const char *response, struct number_answer a, rational gold, const char *why,
                           const char *masked_why);
/* When the response writes a false equation ("3 * 4 = 13"), *out, a failure, cites it instead. */
agon_status verdict_equation(agon_ctx *ctx, task_verdict *out, const char *response, const char *why);

/* ---- constraint.c: writing constraints by name, for writing.c and the user's own verifiers ------- */

/* "lower_case", "max_words", ...; NULL past the end. */
const char *writing_constraint_name(size_t i);
/* Are these the arguments of constraint `name`? An object such as {"n": 10} or {"word": "however"}, NULL when it takes none.
 * AGON_EINVAL: unknown name (with the nearest), missing, unknown or absurd argument; `where` begins the sentence. */
agon_status writing_constraint_check(agon_ctx *ctx, const char *where, const char *name, const json_t *arguments);
/* Judges a response by one constraint; checks its arguments first. */
agon_status writing_constraint_verify(agon_ctx *ctx, const char *name, const json_t *arguments, const char *response,
                                      task_verdict *out);
/* Where the response goes on after repeating the whole request word by word; 0: it does not repeat it. */
size_t request_repeated(const char *response, const char *request);
/* The JSON of the response, without the fence around it: new, NULL where it is none. */
json_t *json_answer(const char *response);
/* What stands in the first double angle brackets; false: none do. */
bool title_find(const char *response, size_t *start, size_t *end);
/* Lines that begin with a bullet ("- ", "1. "). */
size_t bullets(const char *response);
/* Parts between asterisks ("*sea*"); *start, *end: the last one, asterisks included. */
size_t highlights(const char *response, size_t *start, size_t *end);

#endif
