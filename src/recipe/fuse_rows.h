/* agon data fuse: votes of verifiers, critics and humans on rows, fused into one label each (spec: training 5, mixed feedback). */
#ifndef RECIPE_FUSE_ROWS_H
#define RECIPE_FUSE_ROWS_H

#include "agon.h"
#include <jansson.h>

enum { FUSE_MOST_SOURCES = 64, FUSE_MOST_NAME = 64 };

typedef struct fuse_options {
    const char *gold;            /* the source that is taken as the truth where it voted; NULL: none */
    const char *const *together; /* [n_together] "critic,critic2": sources that are no independent witnesses */
    size_t n_together;
    size_t least_votes; /* of independent raters; a row with fewer and no gold vote is left out. 0 counts as 1 */
    bool hard;          /* decided labels with weights in place of probabilities */
    size_t draws;       /* of the bootstrap; 0: 200 */
} fuse_options;

/* Rows of `from` with "votes": {source: true|false} (true: the completion is good, the chosen side is the better one) to `to`, every other
 * member kept. Reliabilities by Dawid and Skene's EM over two classes; sources together are one rater, the majority of those that
 * voted (a tie is no vote). Label q = P(true):
 *   soft   "label": q. No weight beside it: the loss on a soft label already discounts what is unsure, and would do so twice
 *   hard   a completion: "label": q > 1/2; a pair: swapped where q < 1/2 (votes, critiques and rewards with it), without a label; both
 *          with "weight": |2q - 1|. q = 1/2 is left out
 * *report new: {"rows", "written", "swapped", "gold": name or null, "pinned": gold rows, "prior": P(true), "effective_sample_size" of the weights
 * |2q - 1|, "agreement": Krippendorff's alpha of the raters or null, "sources": [{"source", "members": [{"source", "votes"}] (only
 * together), "votes", "yes", "confusion": [[P(no|false), P(yes|false)], [P(no|true), P(yes|true)]], "flip_rate", "flip_ci95" (bootstrap over rows), "weight": ln((1-e)/e), "yes_weight",
 * "no_weight": what a vote adds to the log-odds of what it says, "against_gold": {"n", "wrong", "rate", "ci95" (exact)} or null}],
 * "left_out": [{"line", "reason"}], "notes": [text]}.
 * AGON_EINVAL names file and line, or the option; AGON_ENOMEM; AGON_EINTERRUPTED. */
AGON_MUST_CHECK agon_status fuse_file(agon_ctx *ctx, const char *from, const char *to, const fuse_options *options, json_t **report);

#endif
