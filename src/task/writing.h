/* The family "writing": its forms and a query's parameters, shared by the files that draw (writing_draw.c), answer (writing_compose.c), spoil
 * (writing_tamper.c) and judge (writing.c); private to the family. */
#ifndef TASK_WRITING_H
#define TASK_WRITING_H

#include "base/random.h"
#include "task/family.h"
#include "task/topic.h"
#include "task/words.h"

enum { WRITING_TEXT_SIZE = 1024 };

/* SENTENCE: phrasings are clauses after "Write one sentence about ..". LISTING: whole queries about the topic. KEYED: whole
 * queries too; the topic is looked for among the values. REPEAT: a sentence after the repeated request. */
typedef enum ask { SENTENCE, LISTING, KEYED, REPEAT } ask;

typedef struct writing_form {
    const char *cell;
    ask ask;
    const char *constraints[2];
    const char *usual[2], *rare[2];
    const char *keep; /* wordings of which a rewording needs one; NULL: none */
} writing_form;

/* A query's parameters, read and checked. Texts are borrowed from the query. */
typedef struct writing_request {
    const writing_form *form;
    const topic *topic;
    const char *setting; /* "" or one of topic_setting; a title's genre */
    const json_t *arguments[2]; /* NULL: none */
    size_t n_constraints;
} writing_request;

/* NULL: there is no such cell. */
const writing_form *writing_form_find(const char *cell);
/* AGON_EINVAL names the parameter. */
AGON_MUST_CHECK agon_status writing_read(agon_ctx *ctx, const task_query *query, writing_request *out);
/* The argument `key` of whichever constraint has it, NULL: none has. As a text "" then; `n` 0. Borrowed. */
const json_t *writing_argument(const writing_request *q, const char *key);
const char *writing_text(const writing_request *q, const char *key);
int64_t writing_n(const writing_request *q);
bool writing_has(const writing_request *q, const char *constraint);
/* "" where the words of the query come to name a place or time already. Static. */
const char *writing_draw_setting(const writing_form *f, const topic *t, rng *r);
/* The topic's own word, as a title has it: "sea", "dogs". */
const char *writing_topic_name(const topic *t);
/* A word of the topic or of its kin occurs. */
bool writing_mentions(const topic *t, const char *text, span *where);

AGON_MUST_CHECK agon_status writing_generate(agon_ctx *ctx, const task_cell *cell, task_query *query);
struct wordings;
/* wording.h; *out is zeroed. */
AGON_MUST_CHECK agon_status writing_wordings(agon_ctx *ctx, const task_query *query, struct wordings *out);
AGON_MUST_CHECK agon_status writing_verify(agon_ctx *ctx, const task_query *query, const char *response, task_verdict *out);
AGON_MUST_CHECK agon_status writing_demonstrate(agon_ctx *ctx, const task_query *query, uint64_t seed, char **response);
AGON_MUST_CHECK agon_status writing_tamper(agon_ctx *ctx, const task_query *query, const char *correct, uint64_t seed, char **faulty,
                                           char **claim);

#endif
