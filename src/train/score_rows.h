/* What a model says of training rows, without learning from them. */
#ifndef TRAIN_SCORE_ROWS_H
#define TRAIN_SCORE_ROWS_H

#include "train/train.h"

typedef struct response_score {
    double log_prob; /* of the response, nats, weighted by its mask */
    double length;   /* sum of the mask: log_prob / length is a mean a token */
    double head;     /* the reward head after the last token, the adapter's, else the model's; NAN without one */
} response_score;

/* Scores rows[which[i]] for i < n (which NULL: rows [n]): out gets the rows' responses end to end. adapter NULL: the base. A row's scores
 * depend on that row alone. AGON_EINVAL: a row longer than the model's context; AGON_ENUMERIC; AGON_ENOMEM; AGON_EINTERRUPTED. */
AGON_MUST_CHECK agon_status rows_score(agon_ctx *ctx, const model *m, const adapter *a, const train_row *rows, const size_t *which, size_t n,
                                       response_score *out);

/* Measures what the reward head of a (without one, of m) says of rows spread evenly over those it was trained on, at most 256 responses, and sets
 * it as the head's scale. No effect where the objective reads no reward head. The standard error of the scale is then 6% of the deviation. */
AGON_MUST_CHECK agon_status train_set_scale(agon_ctx *ctx, model *m, adapter *a, const objective *o, const double *options, const train_row *rows,
                                            size_t n_rows);

/* Tokens of a row's prompt and responses. */
size_t row_n_tokens(const train_row *r);

#endif
