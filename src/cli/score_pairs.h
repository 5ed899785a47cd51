/* agon score --pairs: what a reward model, or a policy beside its reference, says of held-out pairs. */
#ifndef CLI_SCORE_PAIRS_H
#define CLI_SCORE_PAIRS_H

#include "cli/rows.h"

/* members [n]: adapters with reward heads (0: the model's own); the report on stdout. Returns the exit code. */
int score_pairs(const opened *o, const agon_adapter *const *members, size_t n, const char *rule, double strength, const char *path, bool json);
/* The same of the opened model with its adapter as a policy; its reference is the model `against` (NULL: the opened one without its adapter). */
int score_policy_pairs(const opened *o, const char *against, const char *dtype, double beta, const char *path, bool json);
/* The opened adapter and the one in `other` on the same pairs: reward models, or policies beside their reference. */
int score_pairs_paired(const opened *o, const char *other, const char *against, const char *dtype, bool reward, double beta, const char *path, bool json);

#endif
