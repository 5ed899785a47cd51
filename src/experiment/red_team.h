/* The experiment red-team, in parts: see red_team.c. */
#ifndef EXPERIMENT_RED_TEAM_H
#define EXPERIMENT_RED_TEAM_H

#include "experiment/attack_train.h"
#include "experiment/lab.h"
#include "role/attacker.h"
#include "task/task.h"

/* Who attacks the held-out queries. */
typedef enum red_arm {
    RED_PLAIN,      /* nobody: the query as it is */
    RED_TEMPLATES,  /* the task's own program rewords it */
    RED_UNTRAINED,  /* the attacker's model as it is */
    RED_TRAINED,
    RED_NO_PENALTY, /* trained without the penalty of similarity */
    N_RED_ARMS,
} red_arm;

/* A query and how it is to be reworded. */
typedef struct red_query {
    task_query task;
    size_t cell;
    task_perturbation kind;
    const char *names[ATTACKER_MAX_NAMES]; /* of kind RENAME; in task.keep */
    size_t n_names;
    const int32_t *prompt; /* [n_prompt] of the attacker */
    size_t n_prompt;
} red_query;

/* One attempt. */
typedef struct red_attack {
    const char *text;   /* the query that the learner is asked; "": none was written */
    const char *words;  /* what the attacker wrote of its own: `text` without the query where that ends it; of no text, the output */
    const char *reason; /* why it is not valid; NULL: it is */
    const bool *failed; /* [n_answers] of the learner's answers, false where it is not valid */
} red_attack;

typedef struct red_team {
    lab *l;
    model *m;
    adapter *learner; /* NULL: the model as it is */
    char model[HASH_HEX_SIZE], base[HASH_HEX_SIZE]; /* ids of the model, and of model and learner */
    size_t n_rounds, n_queries, n_rewordings, n_answers, n_test, max_tokens, attack_tokens, rank, batch, draws;
    double lr, beta, temperature, similarity, invalid;
    bool all_failures; /* the reward is all failures, not those that are added */
    attacker_kinds kinds;
    size_t *cells, n_cells;
    /* of the seed at hand */
    arena *memory, *round;
    red_query *test, *train; /* [n_test], [n_rounds * n_queries], no task twice */
    size_t n_drawn;          /* of test, then of train, that are there */
} red_team;

/* ---- red_team_attacks.c ---- */

/* The seed's queries, in x->memory; then red_queries_free, also after a failure. AGON_EINVAL: the cells have not so many different tasks. */
AGON_MUST_CHECK agon_status red_draw(red_team *x, size_t seed);
void red_queries_free(red_team *x);
/* The i-th of all that were drawn: of the held-out ones, then of the training's. */
red_query *red_drawn(const red_team *x, size_t i);
/* Attempts on queries [n], from the attacker's outputs [n], each checked by program and, where it is valid, put to the learner. `whose` [n]: answers are drawn by
 * these numbers. out [n], in `memory`. */
AGON_MUST_CHECK agon_status red_attempt(red_team *x, arena *memory, const red_query *const *queries, const char *const *outputs, const uint64_t *whose,
                                        size_t n, red_attack *out);
/* The learner's answers to queries [n] as they are, drawn by `whose` [n]. failed [n, n_answers]. */
AGON_MUST_CHECK agon_status red_ask_plain(const red_team *x, const red_query *const *queries, const uint64_t *whose, size_t n, bool *failed);
/* An arm's attempts on the held-out queries, one each, by the attacker `a` where it is a model (NULL: as it is); from its stage where it is known. out [n_test],
 * in x->memory. */
AGON_MUST_CHECK agon_status red_examine(red_team *x, size_t seed, red_arm arm, const adapter *a, red_attack *out);
const char *red_arm_name(red_arm arm);

/* ---- red_team_report.c ---- */

/* All seeds' attacks, one after the other. */
typedef struct red_tally {
    size_t n;
    bool *success[N_RED_ARMS];         /* [n, n_answers] */
    bool *valid[N_RED_ARMS];           /* [n] */
    char **texts[N_RED_ARMS], **words[N_RED_ARMS]; /* [n] new */
    attack_round *rounds[N_RED_ARMS];  /* [n_seeds, n_rounds] of the trained */
    json_t *lines;                     /* of attacks.jsonl */
} red_tally;
/* Then red_tally_free, also after a failure. */
AGON_MUST_CHECK agon_status red_tally_new(red_team *x, red_tally *t);
void red_tally_free(const red_team *x, red_tally *t);
/* The i-th attack of an arm under a seed whose queries are at hand. */
AGON_MUST_CHECK agon_status red_note(const red_team *x, red_tally *t, size_t seed, red_arm arm, size_t i, const red_attack *attack);
/* *result new; writes curves.svg and attacks.jsonl, and says the figures. */
AGON_MUST_CHECK agon_status red_report(const red_team *x, const red_tally *t, json_t **result);

#endif
