/* Where the model critic has earned trust: calibration of its P(correct) on expert-checked answers, and per family the confidence from which
 * it may decide alone (Trust or Escalate, loop 3.7). A critic version without calibration decides nothing. */
#ifndef STEP_TRUST_H
#define STEP_TRUST_H

#include "eval/calibration.h"
#include "eval/selective.h"
#include "step/items.h"

typedef struct trust {
    const char *family;
    size_t n; /* answers it was tested on */
    double auroc, ece, brier; /* NAN where not defined */
    selective_result selective;
    char record[STORE_ID_SIZE]; /* calibration record */
    bool suspended; /* the monitor saw that it no longer holds (monitor.h): as if there were none */
} trust;

enum { TRUST_MAX_FAMILIES = 32 };

typedef struct trust_table {
    char critic[STORE_ID_SIZE];
    calibrator calibrator;
    trust families[TRUST_MAX_FAMILIES];
    size_t n_families;
    size_t n_fitted, n; /* answers used to fit, and to test */
    double auroc, ece, brier; /* over all families, on the test half */
} trust_table;

typedef struct trust_options {
    double alpha, delta;
    size_t least; /* tested answers a family needs */
} trust_options;

/* Fits the calibrator on half of the checked answers `which` [n] (queries halved by a hash, so that one query's answers stay together) and sets
 * thresholds per family on the other half. truth [n]: what the expert or verifier said; labels [n]: ids of those labels, recorded with
 * the calibration at `path`. Every answer must have p_raw (NAN abstains and is left out). Sets p of nothing. Free with trust_free. */
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
/* [{"family", "n", "auroc", "ece", "brier", "threshold", "coverage"}], new. */
json_t *trust_json(const trust_table *t);

/* Writes the critic's verdicts on `which` [n] at `path`: a decision record for each (auto, or escalate where trust was not earned), and a label
 * "critic" where it decided; sets outcome, source, label and p of those answers. *n_decided. */
AGON_MUST_CHECK agon_status trust_decide(actors *a, const char *path, const trust_table *t, const query_list *queries,
                                         answer_list *answers, const size_t *which, size_t n, size_t *n_decided);

#endif
