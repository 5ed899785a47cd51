/* The experiment critique-forms, in parts: see critique_forms.c. */
#ifndef EXPERIMENT_CRITIQUE_FORMS_H
#define EXPERIMENT_CRITIQUE_FORMS_H

#include "eval/interval.h"
#include "experiment/lab.h"
#include "task/task.h"

/* What is told about a draft, and so what is learnt from one that failed. */
typedef enum form {
    FORM_SCORE,   /* right or wrong: nothing is learnt from a wrong draft (filtered SFT) */
    FORM_SPAN,    /* where it is wrong: the draft itself, the flagged tokens with weight 0 */
    FORM_RELC,    /* the same as a reward: the flagged tokens lose 1, reinforce++ (on right drafts nothing is flagged) */
    FORM_RETRY,   /* right or wrong: a second try without any words, where it passes (the control of the two that follow) */
    FORM_MASKED,  /* where and why, without the right answer: the answer the model then gives, where it passes */
    FORM_FULL,    /* the right answer too: likewise */
    FORM_REFINED, /* only a refined answer, no words: that answer */
    N_FORMS,
} form;

/* Second tries of failed drafts, greedy, by what is said before them. */
typedef enum attempt { TRY_RETRY, TRY_MASKED, TRY_FULL, TRY_OTHER_MASKED, TRY_OTHER_FULL, N_TRIES } attempt;

typedef struct forms_answer {
    const int32_t *tokens; /* [n] with the stop token, when there is one */
    size_t n;
    const char *text;
    bool ended, pass;
    size_t span_start, span_end;     /* of text, what the verifier cites; equal: nothing */
    const char *masked, *full;       /* its critique in both forms */
} forms_answer;

typedef struct forms_query {
    task_query task;
    const int32_t *prompt; /* [n_prompt] */
    size_t n_prompt;
} forms_query;

typedef struct forms {
    lab *l;
    model *m;
    char base[HASH_HEX_SIZE]; /* id of the model */
    size_t n_queries, n_test, max_tokens, budget, rank, batch, draws, n_reward, reward_epochs;
    double lr, reward_lr, temperature;
    size_t *cells, n_cells;
    arena *memory; /* of the experiment */
    forms_query *test; /* [n_test] the same under every seed */
    forms_answer *base_answers; /* [n_test] greedy */
    double *scores; /* [n_seeds, N_FORMS, n_test + FORMS_FIGURES] */
    /* of the seed at hand */
    arena *round;
    forms_query *queries;  /* [n_queries] */
    forms_answer *drafts;  /* [n_queries] */
    size_t *failed, n_failed;
    forms_answer *tries[N_TRIES]; /* [n_failed] */
} forms;

/* ---- forms_answers.c ---- */

/* The tokens of an answer's text, closed as a turn is by the token `end` (below 0: not closed), in `memory`. */
AGON_MUST_CHECK agon_status forms_turn(forms *x, arena *memory, const char *text, int32_t end, const int32_t **tokens, size_t *n);
/* Queries of the namespace `space` that are none of the test's. out [n] in `memory`. */
AGON_MUST_CHECK agon_status forms_draw(forms *x, arena *memory, const char *space, uint64_t seed, size_t n, forms_query *out);
void forms_queries_free(forms_query *q, size_t n);
/* One answer to each message (NULL: the query itself) by the adapter (NULL: the base), verified unless `judged` is false; from the stage `key`
 * (NULL: none) where it is known. temperature 0: greedy. out [n] in `memory`. */
AGON_MUST_CHECK agon_status forms_ask(forms *x, arena *memory, const char *key, const adapter *a, const forms_query *const *queries,
                                      const char *const *messages, size_t n, double temperature, uint64_t seed, size_t max_tokens,
                                      bool judged, forms_answer *out);
/* Drafts of a seed, and the second tries of those that failed. */
AGON_MUST_CHECK agon_status forms_prepare(forms *x, size_t seed);

/* ---- forms_train.c ---- */

const char *form_name(form f);
/* Trains on what a form teaches, asks the test queries: scores [n_test], then rows of the pool, rows and tokens trained on, passes over the pool. */
enum { FORMS_FIGURES = 4 };
AGON_MUST_CHECK agon_status forms_train(forms *x, size_t seed, form f, double *scores_and_figures);

/* Seconds of processor time of one answer of the base, and of one of its answers trained on; *tokens of that answer. */
AGON_MUST_CHECK agon_status forms_try(forms *x, double *answer, double *row, double *tokens);

/* ---- forms_reward.c ---- */

/* What a reward model of one kind of critique says: AUROC on the base's test answers. */
enum { N_REWARD_ARMS = 5 };
const char *forms_reward_name(size_t arm);
/* rewards [N_REWARD_ARMS, n_test] of a seed. */
AGON_MUST_CHECK agon_status forms_reward(forms *x, size_t seed, double *rewards);

#endif
