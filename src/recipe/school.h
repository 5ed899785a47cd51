/* How learner and critic are trained and the critic is examined: the same in every recipe. */
#ifndef RECIPE_SCHOOL_H
#define RECIPE_SCHOOL_H

#include "recipe/cast.h"
#include "step/train_version.h"
#include "step/trust.h"

/* Trains a critic on judged answers `which` [n] (their outcome and label) at "NAME/build" and "NAME/train". version: the new one; `parent` where there
 * are none. */
AGON_MUST_CHECK agon_status school_train(cast *c, const char *name, const char *parent, const query_list *queries,
                                         const answer_list *answers, const size_t *which, size_t n,
                                         char version[STORE_ID_SIZE]);
/* Judges answers of known outcome with a critic at "NAME/judge" and calibrates it on them at "NAME/calibrate". */
AGON_MUST_CHECK agon_status school_test(cast *c, const char *name, const char *version, const query_list *queries,
                                        answer_list *answers, const size_t *which, size_t n, trust_table *out);
/* The latter alone, on answers that it has judged, at `path`. n_critics: how many are compared on these answers, each at its part of delta. */
AGON_MUST_CHECK agon_status school_calibrate(cast *c, const char *path, const char *version, const query_list *queries,
                                             const answer_list *answers, const size_t *which, size_t n, size_t n_critics, trust_table *out);
/* A figure of that as a word to print: "0.71", or "undefined" where there was too little to tell. Returns `word`. */
enum { FIGURE_SIZE = 24 };
const char *school_figure(double x, char word[FIGURE_SIZE]);
/* The learner's training as the run file has it, going on from `parent`. */
train_plan school_learner_plan(const cast *c, const char *parent);

#endif
