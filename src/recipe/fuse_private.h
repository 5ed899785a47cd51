/* Votes being fused (fuse_rows.c) and what is told of it (fuse_report.c). */
#ifndef RECIPE_FUSE_PRIVATE_H
#define RECIPE_FUSE_PRIVATE_H

#include "eval/noise_rate.h"
#include "recipe/fuse_rows.h"
#include "train/row_file.h"

#define FUSE_SMOOTHING 0.5

typedef struct source {
    char name[FUSE_MOST_NAME + 1];
    size_t votes;
    int rater; /* -1: gold, or not yet known */
} source;

typedef struct fuser {
    agon_ctx *ctx;
    const fuse_options *options;
    row_file f;
    source sources[FUSE_MOST_SOURCES];
    size_t n_sources;
    int n_raters, gold; /* gold: index of a source, -1 none */
    int *answers;       /* [n rows, n_raters] -1, 0, 1 */
    int *truth;         /* [n rows] the gold vote, -1 none */
    const char **reason; /* [n rows] why it is left out; NULL: it is not */
    size_t *pattern;    /* [n rows] */
    int *pattern_answers, *pattern_truth;
    double *count; /* [n_patterns] */
    size_t n_patterns, n_used, n_draws;
    bool equal;      /* raters that cannot be told apart are taken to be alike */
    bool gold_both;  /* gold of both classes */
    size_t n_removed; /* pairs whose rewards or margin said the other side */
    size_t n_held;   /* rows whose label was held at 1/2: it would have gone against all of their votes */
    rater_model model;
    double *draws; /* [n_raters, n_draws] flip rates */
    double *q;     /* [n rows] NAN where left out */
} fuser;

static inline int pattern_answer(const fuser *x, size_t pattern, int rater) {
    return x->pattern_answers[pattern * (size_t)x->n_raters + (size_t)rater];
}

/* Expected share of a rater's votes that are wrong under the model, NAN without votes, and how many it gave. count [n_patterns] */
double fuse_flip_rate(const fuser *x, const rater_model *m, const double *count, int rater, double *votes);
/* The report of fuse_file (fuse_rows.h) about x after its rows are labelled. New; NULL: no memory. */
json_t *fuse_report(fuser *x, size_t swapped, size_t written, double effective);

#endif
