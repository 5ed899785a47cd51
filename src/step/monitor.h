/* The monitor of a critic's calibration (gate.md F5): on every answer that an expert judged too, family by family. */
#ifndef STEP_MONITOR_H
#define STEP_MONITOR_H

#include "step/trust.h"

/* An answer that an expert judged. */
typedef struct judged_answer {
    size_t answer; /* in the answer list */
    bool right;
    bool seen, stale; /* the recipe's: the monitor had it; it speaks for a calibration that holds no more */
    char label[STORE_ID_SIZE];
} judged_answer;

/* Compares the calibrated P(correct) of judged answers (p_raw set; NAN is left out) with the expert's word, at `path`: per family of the table with at least
 * 8 of them agreement, ECE and mean(P - right), written as metrics, and an exact two-sided test, Benjamini-Hochberg over families. A family that
 * shifted at 0.05 is suspended: the critic decides nothing there until it is calibrated again. *report: [{"family", "n", "agreement", "ece", "bias",
 * "p", "suspended"}], new. */
AGON_MUST_CHECK agon_status monitor_critic(actors *a, const char *path, trust_table *t, const query_list *queries,
                                           const answer_list *answers, const judged_answer *judged, size_t n, json_t **report);

#endif
