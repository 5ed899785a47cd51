/* The critic: critiques that a program derived from a verifier's evidence, judgements and critiques
 * of a model, and the check that what a critique quotes is there (spec: loop 3.1, 3.4, 3.6). */
#ifndef ROLE_CRITIC_H
#define ROLE_CRITIC_H

#include "role/backend.h"
#include "role/prompt.h"
#include "task/task.h"

/* ---- quotes --------------------------------------------------------------------- */

/* Is `quote` a part of `response`, up to case, compatibility forms, quotation marks and white
 * space? *start, *end: its bytes in the response, when found. An empty quote is never found. */
AGON_MUST_CHECK agon_status critic_find_quote(agon_ctx *ctx, const char *response,
                                              const char *quote, bool *found, size_t *start,
                                              size_t *end);

typedef struct critic_quote {
    bool found;
    size_t start, end;           /* bytes of the response, when found */
    size_t text_start, text_end; /* bytes of the critique, inside the marks */
} critic_quote;
/* Every quote of a critique that stands between `open` and `close` ("<q>" and "</q>"), in order, looked up in the response; whole_words: a
 * part of a word or number is not found there. *out new (free()), NULL when there is none. */
AGON_MUST_CHECK agon_status critic_check_quotes(agon_ctx *ctx, const char *critique, const char *response, const char *open,
                                                const char *close, bool whole_words, critic_quote **out, size_t *n);

/* ---- the executable critic ------------------------------------------------------ */

typedef enum critique_form {
    CRITIQUE_FULL,   /* may say what would have been right */
    CRITIQUE_MASKED, /* where and why it is wrong, without the right answer */
} critique_form;
const char *critique_form_name(critique_form form); /* "full", "masked" */

/* One or two sentences from a verifier's evidence, faithful by construction: "It says 78, but 42 +
 * 25 = 67.", "The word 'tea' occurs although it is forbidden." first_words: as runs of before have
 * them, "It the word 'tea' occurs ...". *out new; AGON_EINVAL when the verdict is unknown (there is
 * nothing to say). */
AGON_MUST_CHECK agon_status critic_executable(agon_ctx *ctx, const task_verdict *verdict,
                                              critique_form form, bool first_words, char **out);

/* ---- the model critic ----------------------------------------------------------- */

#define CRITIC_YES " Yes"
#define CRITIC_NO " No"

typedef struct critic_item {
    const char *id, *query, *answer;
    uint64_t seed;
    const char *principles; /* what the answer is judged by in place of what is right; NULL: none */
    bool first_prompts; /* asked with version 1 of the short prompts, as what was begun with it goes on */
    const prompt_template *own; /* judged by this one, with the fields query and answer, in place of all others; NULL: none */
} critic_item;

typedef struct critic_judgement {
    double
        p; /* P(correct), uncalibrated; NAN: abstains (unparsable or failed), the item escalates */
    char *critique;      /* what it wrote, new, bounded as answers and evidence are; NULL in likelihood form */
    char *error;         /* failed: why, new */
    size_t n_unparsable; /* votes without a verdict */
    char *unread;        /* the first of them, where there are no others, new, bounded alike; else NULL */
    size_t n_prompt_tokens, n_completion_tokens;
} critic_judgement;
void critic_judgement_free(critic_judgement *j);

/* The raw prompt whose continuations CRITIC_YES and CRITIC_NO are scored, "Question: .. Answer: ..
 * Is the answer correct?"; *out new. */
AGON_MUST_CHECK agon_status critic_likelihood_prompt(agon_ctx *ctx, const critic_item *item, char **out);
/* Id of the template that critic_write asks with. */
const char *critic_text_template(bool first_prompts);

/* P(correct) of each item, out[n]. A backend that scores gives it by likelihood (softmax over Yes
 * and No); another by the share of Yes among n_votes written verdicts, or by what a program
 * answers: {"verdict": "pass" | "fail" | true | false, "confidence"?: P(verdict), "evidence"?}. A
 * failed item abstains and is no failure of the call. */
AGON_MUST_CHECK agon_status critic_judge(agon_ctx *ctx, backend *b, const critic_item *items,
                                         size_t n, size_t n_votes, const adapter *version,
                                         critic_judgement *out);
/* Is each item's `answer`, a rewording of its query, the same task and well posed (loop 2.8ii)? p is 1
 * for [[Yes]], 0 for [[No]], NAN without either. For models that keep a format. */
AGON_MUST_CHECK agon_status critic_same_task(agon_ctx *ctx, backend *b, const critic_item *items,
                                             size_t n, critic_judgement *out);
enum { CRITIC_WRITE_TOKENS = 64 };
/* A textual critique of each item (answers believed wrong), out[n] new strings; NULL where there
 * was no answer. */
AGON_MUST_CHECK agon_status critic_write(agon_ctx *ctx, backend *b, const critic_item *items,
                                         size_t n, const adapter *version, char **out);

#endif
