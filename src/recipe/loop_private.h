/* The loop's parts among themselves: what an iteration holds, and its stages, one file a few. Read loop.c first. */
#ifndef RECIPE_LOOP_PRIVATE_H
#define RECIPE_LOOP_PRIVATE_H

#include "recipe/arms.h"
#include "recipe/recipe_private.h"
#include "step/monitor.h"

/* Automatic labels by who gave them: how many there were, how many of them an expert audited and agreed with. */
enum { AUDIT_VERIFIER, AUDIT_CRITIC, AUDIT_SOURCES };
typedef struct audited {
    int64_t labels, n, agreed;
} audited;

/* What a person said of a held-out answer with this text: the same words are not asked about again. */
typedef struct held_out_verdict {
    size_t place; /* in held_out */
    const char *text, *label;
    bool right;
} held_out_verdict;

/* A training that the control arms repeat, and how many answers there were by then. */
typedef struct lesson {
    int64_t iteration;
    example_list examples;
    size_t n_answers;
} lesson;

/* What the control arms need to know: how the version that the loop ends with was trained, from the base on, and how it did in the last evaluation. */
typedef struct loop_arms {
    lesson *lessons; /* of promoted candidates; of the last one where none was promoted */
    size_t n_lessons;
    size_t n_untaught; /* answers before the first promotion, where that was rolled back; else 0 */
    bool promoted;
    int64_t iteration; /* of the last evaluation */
    query_list tasks;  /* the held-out ones that counted there, but for those that people judged */
    size_t *sets, n_sets; /* of the tasks, as loop_set_of; below n_sets */
    bool *base, *version; /* right answers to them */
    json_t *rows;         /* the arms' figures, once they are trained */
} loop_arms;

typedef struct loop_watch loop_watch;

/* A promoted version that stands, the monitor's word on it, and its held-out figures. */
typedef struct ancestor {
    char version[STORE_ID_SIZE];
    int64_t iteration;
    bool green;
    json_t *held_out;
} ancestor;

/* The critic that stands, on all the answers that examined it last. */
typedef struct examined {
    calibrator calibrator;
    size_t n; /* 0: none was examined yet */
} examined;

/* The gate's own critic in this iteration. */
typedef struct gate_critic {
    char version[STORE_ID_SIZE]; /* "": there is none */
    trust_table trust;           /* of which only the calibrator is used, and shown */
    json_t *report;
} gate_critic;

typedef struct loop {
    cast *c;
    const run_config *config;
    size_t *cells, n_cells;
    aim aim;
    query_list queries, held_out;
    answer_list answers, held_out_answers;
    preference_list preferences;
    size_t n_file, n_file_held_out;   /* the user's own, first in queries and in held_out; the same in every iteration */
    size_t *file_sets;                /* [n_file_held_out]: the place of the first of those that are held out together with it */
    size_t first_query, first_answer, first_preference; /* of this iteration */
    collected_reviews reviews;
    example_list examples, earlier;
    size_t n_prose_read; /* pieces of prose that the learner and its ancestors were trained on */
    choice choice;
    size_t n_written; /* of the examples: the expert's own answers, and their share of the loss tokens */
    double written_share;
    trust_table trust;
    examined examined;
    gate_critic gate_critic;
    judged_answer *judged; /* by an expert, [n_judged]: what the monitor watches the critic on */
    size_t n_judged, judged_capacity;
    held_out_verdict *verdicts; /* [n_verdicts], of people */
    size_t n_verdicts, verdict_capacity;
    int64_t labels, may_use, audits; /* human.labels as it was when this iteration began; how many labels may be used by its end; of them, audits in it */
    int64_t gate_reserve;            /* of the labels left: kept for this iteration's gate */
    bool waiting;         /* people must answer before anything else can be done */
    bool undecided;       /* of the candidate: its gate waits */
    char learner[STORE_ID_SIZE], critic[STORE_ID_SIZE], candidate[STORE_ID_SIZE];
    char pupil[STORE_ID_SIZE]; /* the critic that goes on learning; "": the one that stands */
    suite_results base_suites, incumbent_suites;
    ancestor *ancestors; /* [n_ancestors], the latest last; where the loop reacts to the monitor */
    size_t n_ancestors, ancestor_capacity;
    size_t attempt, rejections;
    int64_t labels_used, asked, demonstrations, resolved; /* asked: questions put in the queue, answered or not */
    audited audited[AUDIT_SOURCES];
    json_t *audit_words; /* what people had said of audits when the gate looked: see loop_await_audits; NULL: it did not */
    json_t *automatic; /* label -> version of the critic that gave it, "" the verifier: of all iterations */
    json_t *learnability, *critic_reports, *gate, *held_out_json, *families; /* of the last iteration */
    loop_watch *watch; /* NULL: G4 is not evaluated */
    bool promoted;
    loop_arms arms;
} loop;

enum { HELD_OUT_BASE, HELD_OUT_INCUMBENT, HELD_OUT_CANDIDATE, HELD_OUT_VERSIONS };
typedef struct held_out_result {
    bool *base, *incumbent, *candidate; /* of the queries counted, [n]; incumbent may be base */
    size_t first[HELD_OUT_VERSIONS];    /* of each version's answers in held_out_answers; where the incumbent is the base, the same */
    size_t *counted, n;                 /* places of the held-out queries whose difference is known: judged by a verifier or people, or `same` */
    bool *same;                         /* of the queries counted: incumbent and candidate say the same, and nobody said whether it is right */
    bool *base_unknown;                 /* of the queries counted: people judged the others' answers and skipped the base's */
    size_t skipped[HELD_OUT_VERSIONS];  /* answers that people skipped, also where their query is not counted; where the incumbent is the base, the same ones */
    size_t n_people, n_left_to_people;  /* of them by people; of all held out, those that no verifier can judge */
    size_t *left_to_people, n_asked;    /* the places of the latter, in the order of their draw: people were asked about the first n_asked */
    const char **labels;                /* of incumbent's and candidate's verdicts */
    size_t n_labels;
    suite_results suites;
} held_out_result;
void held_out_result_free(held_out_result *r);

/* loop_attack.c: waves of queries and the learner's answers, judged by the verifier. */
AGON_MUST_CHECK agon_status loop_attack(loop *l);
/* loop_material.c: answers of known outcome, by the side of their query: what teaches a critic and what examines it. */
typedef enum critic_of { CRITIC_OF_REWARD, CRITIC_OF_GATE } critic_of;
typedef struct material {
    critic_of of;
    picked train, test;
    bool *used;        /* by query */
    size_t n_right[2]; /* of train, by verdict: as many right as wrong are wanted, on the other side they come as they are */
    size_t most;       /* on a side */
} material;
AGON_MUST_CHECK agon_status loop_material(loop *l, critic_of of, material *out); /* material_free, also after a failure */
void material_free(material *m);
bool loop_trains_critic(const loop *l); /* else it is played elsewhere */
bool loop_examines(const loop *l, critic_of of, size_t query);
bool loop_verified(const answer *x); /* did the verifier decide on it, whoever judged it since? */
/* loop_critic.c: the model critic trained and examined; what nobody could verify decided, escalated or dropped. */
AGON_MUST_CHECK agon_status loop_criticise(loop *l);
/* Later than in iteration 1, when people's verdicts can speak for it. */
bool loop_critic_may_decide(const run_config *config);
AGON_MUST_CHECK agon_status loop_decide(loop *l);
/* Answer i was judged by an expert: for the monitor. */
AGON_MUST_CHECK agon_status loop_note_judged(loop *l, size_t i, bool right, const char *label);
/* No expert's verdict on it stands any more. */
void loop_forget_judged(loop *l, size_t i);
/* loop_refine.c: failures answered again with the critique; how much a critique helps. */
AGON_MUST_CHECK agon_status loop_refine(loop *l);
/* loop_audit.c: labels drawn and judged again. */
AGON_MUST_CHECK agon_status loop_audit(loop *l);
audited loop_audited(const loop *l); /* of both sources, in the whole run */
audited *loop_audited_with(loop *l, const answer *x); /* those of the source that x has its automatic label of, or had */
/* Keeps who gave the automatic labels of this iteration: those of them that become examples' may be replayed when an audit has changed the answer. */
AGON_MUST_CHECK agon_status loop_note_labels(loop *l);
/* For G6: the verifier, then the critics, each with its labels and audits. Since rules 15 the labels are those of the candidate's examples, and a critic is a
 * version; before, all of the run. *out [*n] new (free it also after a failure), *n 0 before. */
AGON_MUST_CHECK agon_status loop_gate_audits(const loop *l, gate_audits **out, size_t *n);
/* Where G6 is asked: what people have said of audits until now is counted at the gate, also where no iteration has collected it. l->waiting: audits that nobody has
 * answered could still change its word. */
AGON_MUST_CHECK agon_status loop_await_audits(loop *l);
/* loop_human.c: audits and demonstrations asked for; what reviewers answered since the last look, at the step "iteration/N/NAME". */
AGON_MUST_CHECK agon_status loop_ask_human(loop *l);
AGON_MUST_CHECK agon_status loop_collect(loop *l, const char *name);
/* The look-th time in this iteration (2, ...), where there was nothing to train on. l->waiting: nothing came, and questions are open. *came: something did. */
AGON_MUST_CHECK agon_status loop_await_reviews(loop *l, size_t look, bool *came);
bool loop_is_copy(const loop *l, size_t i); /* of an answer before it: late verdicts join as copies */
bool loop_simulated(const loop *l);
/* Does train.objective learn from pairs (chosen, rejected)? */
bool loop_learns_from_pairs(const loop *l);
/* loop_budget.c: the expert's labels. What this iteration may use, first of all in it; once its held-out queries are known, what of that is for the gate and for
 * audits; what is left of `wanted`; was more used; a line in the log where audits and demonstrations do not get what they ask for. */
AGON_MUST_CHECK agon_status loop_plan_budget(loop *l);
void loop_divide_budget(loop *l);
size_t loop_within_budget(const loop *l, int64_t wanted);
bool loop_over_budget(const loop *l);
void loop_say_budget(const loop *l);
/* What a run will use at most, by purpose; gate: labels that it may ask for in an iteration. Adds to t->audits, demonstrations and gate; sets t->labels. */
void loop_expect_labels(const run_config *r, int64_t gate, expected *t);
/* loop_gate.c: which held-out queries are no evidence independent of one another: the place of the first of its set. Before rules 24 each by itself. */
size_t loop_set_of(const loop *l, size_t place);
/* Held-out answers and suites of base, incumbent and candidate; the verdict; what follows from it. */
AGON_MUST_CHECK agon_status loop_evaluate(loop *l, held_out_result *r);
AGON_MUST_CHECK agon_status loop_gate(loop *l, held_out_result *r);
AGON_MUST_CHECK agon_status loop_settle(loop *l, held_out_result *r);
/* loop_monitor.c: the prompts of the run, once the first held-out tasks are there; what became of the candidate's answers to them, borrowed (NULL: not
 * evaluated); the candidate became the incumbent. */
AGON_MUST_CHECK agon_status loop_watch_plan(loop *l);
AGON_MUST_CHECK agon_status loop_watch_candidate(loop *l);
json_t *loop_watch_report(const loop *l);
void loop_watch_promoted(loop *l);
void loop_watch_rolled_back(loop *l); /* the incumbent is an older one again: l->learner */
void loop_watch_free(loop_watch *w);
/* loop_react.c: gate.react. What follows from the monitor's word on the candidate that was promoted or rejected just now. */
AGON_MUST_CHECK agon_status loop_react(loop *l);
void loop_ancestors_free(loop *l);
/* loop_people.c: held-out answers that no verifier can judge. How many labels this iteration's gate may need; people asked about a part of the queries, drawn
 * by seed once for the run, and what they said. l->waiting: not all of it is there. In r->counted as loop_gate.c needs it: 0 where people judged what
 * counts (loop_count_place) or nobody needs to (r->same, by place), HELD_OUT_VERSIONS where not. */
bool loop_left_to_people(const query *q); /* neither an answer, nor a verifier of its own, nor the run's verifier program */
const answer *loop_held_out_answer(const loop *l, const held_out_result *r, size_t version, size_t place);
bool loop_same_words(const loop *l, const held_out_result *r, size_t place); /* incumbent's and candidate's */
int64_t loop_gate_labels(const loop *l);
/* How many of the places, from the first on, ask no more than `budget` questions in all; 0 where one alone asks more. questions: empty, with room for
 * HELD_OUT_VERSIONS a place; has them afterwards. */
size_t loop_questions_within(const loop *l, const held_out_result *r, const size_t *places, size_t n, size_t budget, picked *questions);
AGON_MUST_CHECK agon_status loop_ask_about_held_out(loop *l, held_out_result *r);
void loop_count_place(loop *l, held_out_result *r, size_t place); /* one of those, by the verdicts that are there */
/* loop_gate_critic.c: gate.critic. A critic for the gate alone, trained before the learner is; what it makes of the held-out answers that only people can judge,
 * joined with what people said of some of them and with what the verifier said of the others. */
AGON_MUST_CHECK agon_status loop_teach_gate_critic(loop *l);
typedef struct gain_estimate {
    bool made;
    const char *missing; /* why not; static; NULL: not asked for */
    ppi_result decides;  /* at twice the attempt's alpha: its lower end is a one-sided bound */
    ppi_result reported; /* at 95 % */
} gain_estimate;
/* After leave_out_unknown; alpha: what this attempt may spend. */
AGON_MUST_CHECK agon_status loop_estimate_gain(loop *l, const held_out_result *r, double alpha, gain_estimate *out);
/* The latter part alone, from p_raw of the held-out answers. */
AGON_MUST_CHECK agon_status loop_join_verdicts(loop *l, const held_out_result *r, double alpha, gain_estimate *out);
AGON_MUST_CHECK agon_status loop_gate_critic_check(agon_ctx *ctx, const run_config *config, const objective *o);
void gate_critic_free(gate_critic *g);
/* loop_arms.c: evaluate.arms. Remembers a training after its gate; trains the arms after the run's end, as a run of their own, which is begun before it (*out new;
 * NULL: there are none). */
AGON_MUST_CHECK agon_status loop_note_training(loop *l, const held_out_result *r);
/* Versions promoted after that iteration (0: all) were rolled back. */
void loop_arms_rolled_back(loop *l, int64_t iteration);
AGON_MUST_CHECK agon_status loop_begin_arms(loop *l, run **out);
AGON_MUST_CHECK agon_status loop_train_arms_take(loop *l, run *arms);
/* What an arm (random_labels, real_only, shuffled) learns from where the version had the lesson: appended to a->examples, strings borrowed. AGON_ENOTFOUND: no
 * such arm. */
AGON_MUST_CHECK agon_status loop_fill_arm(loop *l, const char *name, const lesson *t, arm *a);
size_t loop_n_arms(const run_config *config); /* for costs: how many there will be */
void loop_arms_free(loop_arms *a);
/* loop_approval.c: what the critic approves of incumbent's and candidate's held-out answers beside what is right (G5); limits that so few answers cannot show. */
AGON_MUST_CHECK agon_status loop_approval(loop *l, const held_out_result *r, gate_approval *out);
/* What that reads in an iteration, at most, of so many held-out tasks and rows of the user's own. */
double loop_approval_tokens(const run_config *config, double tasks, double own, double own_tokens);
AGON_MUST_CHECK agon_status loop_approval_check(agon_ctx *ctx, const run_config *config);
/* loop_warn.c: what the run will not be able to do with its tasks, as sentences appended to the array. */
AGON_MUST_CHECK agon_status loop_warn(agon_ctx *ctx, const run_config *config, const run_past *past, json_t *sentences);

#endif
