/* The segment batch (waist 1).
 *
 * A batch is tokens laid end to end, cut into segments. A segment may continue another, its parent: a
 * prompt is one segment, its K responses are K children of it; a chat is a chain. A token sees its own
 * segment up to itself and the whole chain of parents. A tree is a root and all that descends from it;
 * trees are never split and share nothing.
 *
 * Invariant (tested): recutting a sequence into other segments changes no forward bit. */
#ifndef MODEL_SEGMENT_H
#define MODEL_SEGMENT_H

#include "agon.h"

enum segment_wants {
    WANT_LOG_PROB = 1,      /* of every token, given what precedes it on the chain */
    WANT_ENTROPY = 2,       /* of the distribution each token was drawn from */
    WANT_MEAN_LOG_PROB = 4, /* its mean over the vocabulary (EXO-like and label-smoothing terms) */
    WANT_LOGITS = 8,        /* after the segment's last token, [vocabulary] */
    WANT_HIDDEN = 16,       /* final-norm hidden state of every token, [n, d_model] */
};

typedef struct adapter adapter;

/* The least temperature but 0: under it logits / temperature differ by less than f32 can tell, and in the end overflow. */
#define LEAST_TEMPERATURE 1e-4f
#define MOST_TEMPERATURE 1e6f

static inline bool temperature_is_valid(float t) {
    return t == 0 || (t >= LEAST_TEMPERATURE && t <= MOST_TEMPERATURE);
}

typedef struct segment {
    const int32_t *tokens; /* [n_tokens], n_tokens >= 1; borrowed for the call */
    size_t n_tokens;
    int32_t parent;         /* index of an earlier segment in the batch, or -1 */
    const adapter *adapter; /* of a root: LoRA used by the whole tree, NULL none; ignored in children */
    unsigned wants;
    float temperature; /* of a root, for the whole tree: log-probs of logits / temperature; 0 means 1, else LEAST_TEMPERATURE or more */
} segment;

typedef struct segment_batch {
    const segment *segments;
    size_t n_segments;
} segment_batch;

/* Channels, one array over all tokens of the batch laid end to end (segment after segment); NULL when nobody wants it.
 * The first token of a root has nothing before it: log_prob 0, entropy 0. */
typedef struct token_channels {
    float *log_prob, *entropy, *mean_log_prob; /* [n_tokens] */
    float *logits;                             /* [n segments that want them, vocabulary], in order */
    float *hidden;                             /* [n_tokens, d_model] */
} token_channels;

size_t segment_batch_n_tokens(const segment_batch *batch);

#endif
