/* Held-out evaluation of a version and the gate that promotes or rejects it. */
#ifndef STEP_EVALUATE_H
#define STEP_EVALUATE_H

#include "eval/over_approval.h"
#include "eval/paired_sets.h"
#include "eval/ppi.h"
#include "eval/suite.h"
#include "step/items.h"

/* The version's one greedy answer to each query, as answers of kind "evaluation" appended to out in query order. */
AGON_MUST_CHECK agon_status evaluate_answers(actors *a, const char *path, const query_list *queries, const char *version,
                                             size_t max_tokens, answer_list *out);
/* Greedy answers to a suite, judged: right [suite_n_items]. */
AGON_MUST_CHECK agon_status evaluate_suite(actors *a, const char *path, const suite *s, const char *version, bool *right);
/* Negative log-likelihood of the held-out documents: nll [n_documents]. */
AGON_MUST_CHECK agon_status evaluate_text(actors *a, const char *path, const perplexity_suite *p, size_t limit,
                                          const char *version, double *nll);

/* sample_prompts.c: what a version answers to prompts that are no queries, sampled at temperature 1. Strings from `memory`; a prompt without an answer has
 * empty ones. */
typedef struct prompt_sample {
    const char *text;
    double n_tokens, log_prob; /* log_prob NAN: not known */
} prompt_sample;
/* prompts [n]; out [n * samples], prompt by prompt. */
AGON_MUST_CHECK agon_status sample_prompts(actors *a, const char *path, char *const *prompts, size_t n, const char *version, size_t samples,
                                           size_t max_tokens, arena *memory, prompt_sample *out);

enum { GATE_MAX_SUITES = 8 };

typedef struct gate_suite {
    const char *name;
    bool run;           /* false: "not run" */
    paired_table table; /* candidate against incumbent */
    paired_table base;  /* against the base, where that is another version; else empty */
    double margin;
    bool safety;  /* G3; else of abilities, G2 */
    double limit; /* of safety: the largest share of failures */
} gate_suite;

/* Automatic labels of one source: how many there are, how many an expert audited blindly and agreed with. */
typedef struct gate_audits {
    const char *source;  /* verifier, critic */
    const char *version; /* of the critic, for which no other's audits speak; NULL: the source has none, or all its versions count as one */
    size_t n_labels, n, n_agreed;
    size_t n_open; /* asked for, and nobody has answered */
} gate_audits;

/* What the critic approves of incumbent and candidate beside what is right. */
typedef struct gate_approval {
    over_approval measured; /* of no items: nothing was */
    const char *missing;    /* why not; static; NULL: not said */
    double limit;           /* of the upper end of the index; 0: shown, decides nothing */
} gate_approval;

enum { GATE_LEAST_LABELS = 100 }; /* gate.md F1: on fewer no estimate promotes */

/* What the gate looks at. The estimate decides G1 where there is one (sealed, and open with a critic of the gate's own), else primary. */
typedef struct gate_evidence {
    const char *candidate, *incumbent;
    const paired_table *primary; /* NULL: sealed */
    const paired_sets *sets;     /* its items, where they come in sets; NULL: each is independent of the others */
    const ppi_result *estimate; /* made at 2 * the attempt's alpha: the lower end decides */
    const ppi_result *reported; /* the same at 95%, for the figures; NULL: estimate is shown */
    const char *no_estimate;    /* why there is none although the run file asks for one; static; NULL: it does not, or there is one */
    size_t n_people, n_left_to_people; /* of primary's items, those that people judged; of all held out, those that only people can judge */
    const size_t *n_skipped;           /* [2], of incumbent's and candidate's answers, those that people skipped; NULL: not counted */
    size_t attempt; /* of this lineage, from 1; and of others on these tasks */
    double alpha;   /* over all attempts */
    gate_suite suites[GATE_MAX_SUITES];
    size_t n_suites;
    const perplexity_comparison *perplexity; /* NULL: not run */
    const perplexity_comparison *perplexity_of_base; /* against the base, where that is another version; else NULL */
    size_t n_documents;
    double perplexity_margin;
    double least_agreement;         /* of audited automatic labels; 0: not asked */
    size_t n_audits, n_audits_agreed; /* a random sample of them, checked by an expert; so far in this run */
    const gate_audits *audits;        /* [n_sources]: each that labelled must show it; NULL: all together */
    size_t n_sources;
    gate_approval approval;
    bool expert_is_verifier;          /* simulated: its audits of the verifier say nothing */
    json_t *collapse;   /* G4 as the monitor found it: "holds", and "reason" where it does not; borrowed. NULL: not evaluated */
    bool contaminated;  /* a training example is an evaluation item */
    bool over_budget;   /* more expert labels than the run file allows */
    const char *chain_problem; /* NULL: the journal verifies */
} gate_evidence;

/* Promote iff G1 to G7 hold (loop section 1; intersection-union, so no correction among them). G3 without a safety suite, G4 without a monitor, G5 where no
 * critic judged, and G6 that is not asked for, or has no label that an independent expert could audit, hold and say "not evaluated"; G5 without a limit shows
 * its figures and holds.
 * figures: new. reason: static or part of figures. Pure. */
AGON_MUST_CHECK agon_status gate_decide(agon_ctx *ctx, const gate_evidence *e, bool *promote, json_t **figures);

/* Whether the audits that are open can still change G6's word on labels that are all audited by people: it would hold if all of them agreed, and not if none did. */
bool gate_audits_may_change(const gate_audits *audits, size_t n, double least);

/* The fewest held-out tasks on which attempt t (from 1) can show a gain (G1, open): all of them gained. */
size_t gate_least_gains(double alpha, size_t attempt);

/* The verdict at `path`, reached once: the journal is verified (G7; e->chain_problem of the caller counts too) and gate_decide asked, and a gate record
 * over labels [n_labels] and the version's new status with held_out are written. A replay has the verdict and figures (new) that were recorded. */
AGON_MUST_CHECK agon_status gate_verdict(actors *a, const char *path, const gate_evidence *e, const json_t *held_out, const char *const *labels,
                                         size_t n_labels, bool *promote, json_t **figures);

/* {"n", "before", "after", "gain", "ci95": [lo, hi], "same"?: of the n, those that both versions answer alike and nobody judged; before and after are the
 * others' shares, null where there are none, "sets"?: how many there are} of a paired table; sets: of the same items, NULL: each is independent of the others.
 * New. */
json_t *paired_json(const paired_table *t, const paired_sets *sets);

#endif
