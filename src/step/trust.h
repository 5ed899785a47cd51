/* Where the model critic has earned trust: calibration of its P(correct) on checked answers, and per family and verdict the score from which it may
 * decide alone (Trust or Escalate, loop 3.7). A critic version without calibration decides nothing.
 *
 * The two verdicts earn trust apart, each at delta / 2: where most answers fail, a critic that calls all of them wrong is seldom mistaken, and that
 * must not buy a word for its passes, on which the learner trains. Thresholds stand on the raw score, which needs no fitting: every label tests. None
 * gives a verdict that the calibrated score thinks the less likely one (selective_own). */
#ifndef STEP_TRUST_H
#define STEP_TRUST_H

#include "eval/calibration.h"
#include "eval/selective.h"
#include "step/items.h"

typedef struct trust {
    const char *family;
    size_t n; /* answers it was tested on */
    double auroc, ece, brier; /* NAN where not defined */
    selective_result pass, fail; /* confidences: the raw score, and 1 - the raw score */
    bool always_pass, always_fail; /* a critic that gives every answer this verdict would have earned it too: the family's base rate, no skill */
    double coverage; /* share of those answers it would decide alone */
    char record[STORE_ID_SIZE]; /* calibration record */
    bool suspended; /* the monitor saw that it no longer holds (monitor.h): as if there were none */
} trust;

enum { TRUST_MAX_FAMILIES = 32 };

typedef struct trust_table {
    char critic[STORE_ID_SIZE];
    calibrator calibrator;
    trust families[TRUST_MAX_FAMILIES];
    size_t n_families;
    size_t n; /* answers tested */
    double auroc, ece, brier; /* over all families */
} trust_table;

typedef struct trust_options {
    double alpha, delta;
    size_t least; /* tested answers that a threshold needs above it */
    bool any_verdict; /* also where the critic's calibrated P(correct) is on the other side of 1/2, as before rules 25 */
} trust_options;

/* Tests the critic on the checked answers `which` [n] and fits its calibrator. ECE and Brier score come from calibrators fitted on the half of the
 * queries that an answer is not in; the one kept is fitted on all. truth [n]: what the expert or verifier said; labels [n]: ids of those
 * labels, recorded with the calibration at `path`. Answers whose p_raw is NAN are left out. Free with trust_free. */
AGON_MUST_CHECK agon_status trust_calibrate(actors *a, const char *path, const char *critic, const query_list *queries,
                                            const answer_list *answers, const size_t *which, const bool *truth,
                                            const char *const *labels, size_t n, const trust_options *options,
                                            trust_table *out);
void trust_free(trust_table *t);
/* NULL: no calibration for this family. */
const trust *trust_find(const trust_table *t, const char *family);
/* Calibrated P(correct); NAN stays NAN. */
double trust_p(const trust_table *t, double p_raw);
/* May the critic decide on this answer alone? Sets *pass to its verdict. */
bool trust_decides(const trust_table *t, const char *family, double p_raw, bool *pass);
/* Is there a score with which the critic would decide on an answer to this query? Where not, asking it is in vain. */
bool trust_may_decide(const trust_table *t, const query *q);
/* [{"family", "n", "auroc", "ece", "brier", "pass_from", "fail_to", "coverage", "always"?: the verdict that every answer could get}], raw scores or null,
 * new. */
json_t *trust_json(const trust_table *t);

/* Writes the critic's verdicts on `which` [n] at `path`: a decision record for each (auto, or escalate where trust was not earned), and a label
 * "critic" where it decided; sets outcome, source, label, critic and p of those answers. Answers to queries that are `taught`, and those the critic was not asked
 * about (p_raw NAN), are left open. *n_decided. */
AGON_MUST_CHECK agon_status trust_decide(actors *a, const char *path, const trust_table *t, const query_list *queries,
                                         answer_list *answers, const size_t *which, size_t n, size_t *n_decided);

#endif
