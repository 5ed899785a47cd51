/* Queries and answers as a recipe holds them: rebuilt from the journal by every replay, so they need no storage of their own. Strings belong
 * to the arena the lists were made with. */
#ifndef STEP_ITEMS_H
#define STEP_ITEMS_H

#include "role/attacker.h"
#include "step/actors.h"
#include "task/task.h"

typedef struct query {
    char id[STORE_ID_SIZE]; /* of its text record */
    json_t *task;           /* task_query_json; owned by the list */
    const char *text, *family, *cell_name; /* borrowed from task */
    const char *identity;   /* task_identity */
    size_t cell;            /* index of the cell; SIZE_MAX: the user's own */
    int difficulty;
    bool hard, varied;      /* varied: worded by a language model */
    bool asked;             /* a reviewer was asked to answer it */
    bool taught;            /* the loop's critic was trained on answers to it: it decides none of them alone */
    task_perturbation perturbation;
} query;

typedef struct answer {
    char id[STORE_ID_SIZE];
    size_t query;     /* in the query list */
    size_t draft;     /* the answer it refines or a reviewer mended, in the answer list; SIZE_MAX none */
    const char *kind; /* response, refinement, demonstration, tampered, evaluation, probe, monitor; static */
    const char *text;
    int64_t n_tokens;
    double log_prob; /* NAN: not known */
    bool failed;     /* the backend gave no answer */
    bool cut;        /* it reached the longest answer before its end */
    /* What is believed of it, and who says so. */
    task_outcome outcome;
    const char *source; /* verifier, critic, simulated, human; static; NULL: nobody yet */
    task_outcome automatic; /* what was believed before a reviewer judged it; OUTCOME_UNKNOWN: nothing */
    const char *critic;     /* version of the critic that decided on it, also after a reviewer did; NULL: none did */
    char label[STORE_ID_SIZE], verification[STORE_ID_SIZE];
    const char *evidence, *masked;
    size_t span_start, span_end; /* bytes of the text that the evidence is about; equal: none */
    char critique[2][STORE_ID_SIZE]; /* text records by critique_form; "" none */
    const char *words;               /* what the model critic wrote of it; "" or NULL: nothing */
    double p_raw, p;                 /* the model critic's P(correct), as given and calibrated; NAN none */
} answer;

typedef struct query_list {
    query *items;
    size_t n, capacity;
    arena *memory; /* borrowed */
} query_list;

typedef struct answer_list {
    answer *items;
    size_t n, capacity;
    arena *memory;
} answer_list;

/* Of two answers to one query a reviewer prefers one: worth knowing where nobody can say what is right. */
typedef struct preference {
    size_t chosen, rejected; /* in the answer list */
    char label[STORE_ID_SIZE];
    bool superseded; /* the reviewers' later word is another */
} preference;

typedef struct preference_list {
    preference *items;
    size_t n, capacity;
} preference_list;

void query_list_free(query_list *l);
void answer_list_free(answer_list *l);
void preference_list_free(preference_list *l);
/* Was it made to measure something (evaluation, probe, monitor)? Then nobody learns from it. */
bool answer_measures(const answer *x);
/* A zeroed item at the end, borrowed until the next add; NULL on memory. */
query *query_list_add(query_list *l);
answer *answer_list_add(answer_list *l);
/* Takes queries from `from` on away that are worded as an earlier one is; how many. */
size_t query_list_drop_repeated(query_list *l, size_t from);
preference *preference_list_add(preference_list *l);
/* Ids of the answers `which` [n], new; NULL on memory. */
json_t *answer_ids(const answer_list *l, const size_t *which, size_t n);
/* Of each of them what the model critic reads: the input of work_judge and work_criticise. *out new. */
AGON_MUST_CHECK agon_status answers_to_judge(actors *a, const query_list *queries, const answer_list *answers, const size_t *which,
                                             size_t n, const char *version, json_t **out);
/* Fills a query from task JSON (taken over by reference count). AGON_EFORMAT as task_query_read. */
AGON_MUST_CHECK agon_status query_set(actors *a, query_list *l, query *q, json_t *task);
/* The wording as a task_query, new (task_query_free). */
AGON_MUST_CHECK agon_status query_task(actors *a, const query *q, task_query *out);

/* ---- primitives: each a journaled path ------------------------------------------------------------------ */

/* attack.c: queries drawn by programs. */
typedef struct draw {
    size_t cell;
    uint64_t seed;
    task_perturbation perturbation;
} draw;
/* Appends one query a draw. */
AGON_MUST_CHECK agon_status draw_queries(actors *a, const char *path, const draw *draws, size_t n, query_list *out);
/* Rewordings by `version` of the attacker's language model, of these kinds (for queries without names not renaming alone), of `which` [n]; kept when task_variation_check says that the task is the same, and, where attacker or
 * critic is remote, the judge behind it says so too (loop 2.8); else counted in *n_rejected. */
AGON_MUST_CHECK agon_status vary_queries(actors *a, const char *path, query_list *queries, const size_t *which, size_t n,
                                         const char *version, const attacker_kinds *kinds, size_t *n_rejected);
/* The user's own queries (tasks.file). With a verifier program, rows that name no other verifier are left to it. */
AGON_MUST_CHECK agon_status read_user_queries(actors *a, const char *path, const char *file, query_list *out);

/* respond.c: answers of a version. */
typedef struct ask {
    size_t query;
    size_t draft;       /* SIZE_MAX none */
    const char *prompt; /* the user message */
    const char *parent; /* text the answer belongs under: the query, or the draft it refines */
} ask;
typedef struct ask_options {
    const char *version, *kind, *template_id; /* kind and template static */
    size_t samples, max_tokens;
    double temperature, top_p; /* temperature 0: greedy */
    size_t first_slot; /* number of the first sample, where others to the same parent, under the same template, came before */
} ask_options;
/* Appends samples answers an ask. */
AGON_MUST_CHECK agon_status respond(actors *a, const char *path, const query_list *queries, const ask *asks, size_t n,
                                    const ask_options *options, answer_list *out);
/* The same of queries [from, from + n), each asked as it stands. */
AGON_MUST_CHECK agon_status respond_queries(actors *a, const char *path, const query_list *queries, size_t from, size_t n,
                                            const ask_options *options, answer_list *out);

/* verify_answers.c: what the verifier says of answers [from, n). Open: outcome, evidence and a label. Sealed: the answer goes to the ledger and
 * nothing comes back. */
AGON_MUST_CHECK agon_status verify_answers(actors *a, const char *path, const query_list *queries, answer_list *answers,
                                           size_t from);

/* judge_answers.c: P(correct) by the model critic of `which` [n] into p_raw. */
AGON_MUST_CHECK agon_status judge_answers(actors *a, const char *path, const query_list *queries, answer_list *answers,
                                          const size_t *which, size_t n, const char *version);

/* critique_answers.c: critiques in both forms from the evidence of failed answers `which` [n], as text records. */
AGON_MUST_CHECK agon_status critique_answers(actors *a, const char *path, answer_list *answers, const size_t *which,
                                             size_t n);
/* The critique's words, new string. */
AGON_MUST_CHECK agon_status critique_words(actors *a, const answer *answer, int form, char **out);

/* write_critiques.c: what the model critic says in words of `which` [n], as text records; words and critique[CRITIQUE_FULL] of those answers. */
AGON_MUST_CHECK agon_status write_critiques(actors *a, const char *path, const query_list *queries, answer_list *answers,
                                            const size_t *which, size_t n, const char *version);

/* expert.c: labels that cost a human. */
typedef struct expert_options {
    const char *purpose; /* audit, train, calibration, gate, demonstration; static */
    bool gold;           /* demonstrations: the repository's own, label "demonstration"; they cost no expert */
    double error_rate, propensity;
} expert_options;
/* The simulated expert judges `which` [n]: verdict[i] OUTCOME_UNKNOWN where it does not know. Labels "simulated" are written, ids to
 * labels [n] when not NULL. Each counts one in "labels.simulated". */
AGON_MUST_CHECK agon_status expert_judges(actors *a, const char *path, const query_list *queries,
                                          const answer_list *answers, const size_t *which, size_t n,
                                          const expert_options *options, task_outcome *verdicts, store_id *labels);
/* The simulated expert writes an answer to each query of `which` [n]; appended with kind "demonstration", outcome pass. */
AGON_MUST_CHECK agon_status expert_demonstrates(actors *a, const char *path, const query_list *queries,
                                                const size_t *which, size_t n, const expert_options *options,
                                                answer_list *out);
/* What people judge of held-out answers: their verdicts count at the gate and are never trained on (collect_verdicts). */
#define REVIEW_HELD_OUT "held_out"
/* The same questions put in the queue for `agon review`. kind: verdict, audit, demonstration, held_out; answers NULL for demonstrations (which then
 * names queries). blind: without the answer's critique. */
AGON_MUST_CHECK agon_status ask_reviewers(actors *a, const char *path, const query_list *queries,
                                          const answer_list *answers, const size_t *which, size_t n, const char *kind,
                                          const char *purpose, double propensity, bool blind);
/* Pairs of answers to one query: the reviewer says which serves it better. */
typedef struct answer_pair {
    size_t a, b;
} answer_pair;
AGON_MUST_CHECK agon_status ask_preferences(actors *a, const char *path, const query_list *queries, const answer_list *answers,
                                            const answer_pair *pairs, size_t n, const char *purpose, double propensity);
/* tamper_answers.c: plants one fault in each known-good answer of `which` [n]; appended with kind "tampered", outcome fail, label "principle". Fewer come
 * where no fault could be planted. */
AGON_MUST_CHECK agon_status tamper_answers(actors *a, const char *path, const query_list *queries, answer_list *answers,
                                           const size_t *which, size_t n);

/* What was collected so far: zeroed at first, rebuilt by a replay. */
typedef struct collected_reviews {
    int64_t last;      /* number of the last answer read */
    json_t *standing;  /* review item -> the labels of its answer */
    json_t *withdrawn; /* as keys: labels that stand no more, since the item was answered again */
} collected_reviews;
void collected_reviews_free(collected_reviews *c);
/* Reads the inbox from where *collected ends, at `path` (a step: a replay sees what was read then). Verdicts become labels "human" and set outcome and
 * source of the answers they are about; a chosen answer of a pair becomes a preference, with "neither" both fail; written answers become demonstrations
 * appended to the answers. An item that is answered again is no new label: its labels supersede the earlier ones, whose verdicts and demonstrations
 * are unknown again and whose preferences are marked. wait, not NULL: where nothing came since the last look and a question is open, nothing is recorded
 * and *wait set; the same call of a later process looks again. *n_labels: items answered for the first time, one label each whatever follows from it (further
 * records are derived from the first). */
AGON_MUST_CHECK agon_status collect_reviews(actors *a, const char *path, const query_list *queries, answer_list *answers,
                                            preference_list *preferences, collected_reviews *collected, bool *wait, size_t *n_labels);
/* What reviewers said of the answers `which` [n] that they were asked about as REVIEW_HELD_OUT, once all of them are answered: verdicts [n], and labels [n]
 * "human", one each (OUTCOME_UNKNOWN and "" where somebody skipped). While *n_open > 0 are not, nothing is recorded, and the same call of a later process
 * looks again. What is answered afterwards changes nothing. */
AGON_MUST_CHECK agon_status collect_verdicts(actors *a, const char *path, const answer_list *answers, const size_t *which, size_t n, size_t *n_open,
                                             task_outcome *verdicts, store_id *labels);

#endif
