/* The objective (waist 2): from channels to loss terms, gradients and metrics.
 *
 * A training algorithm is a pure function of numbers; it sees no model. One objective, one file and one
 * line in table.h. `agon loss` calls exactly these functions. */
#ifndef OBJECTIVE_OBJECTIVE_H
#define OBJECTIVE_OBJECTIVE_H

#include "agon.h"

/* What is given as a reward, margin, advantage or weight lies in [-NUMBER_LIMIT, NUMBER_LIMIT]: far beyond any that is meant, and small enough
 * that sums, squares and products of them stay numbers. */
#define NUMBER_LIMIT 1e6
static inline bool number_fits(double x) {
    return x >= -NUMBER_LIMIT && x <= NUMBER_LIMIT; /* NAN does not */
}

/* One response: per-token channels over its n completion tokens. NULL where not given. double, so that
 * vectors match and pure functions stay exact; the engine converts from and to f32. */
typedef struct response {
    size_t n;
    const double *log_prob;  /* required, but by objectives that need a head only */
    const double *reference; /* log_prob of the frozen reference */
    const double *old;       /* log_prob of the policy that sampled it */
    const double *values;    /* value head outputs */
    const double *old_values; /* value head outputs at sampling; NULL: values */
    const double *mask;      /* token weights; NULL: all 1 */
    const double *token_rewards; /* added to the reward where a method has rewards of single tokens (ppo, reinforce++) */
    const double *entropy, *mean_log_prob; /* of the whole next-token distribution: its entropy, and the mean over the
                                              vocabulary of its log_probs */
    const double *head;      /* [n, n_head] outputs of a head on each token (reward, class logits) */
    size_t n_head;
    const double *targets;   /* [n] labels of single tokens (a step is correct); NAN where there is none */
    double reward;           /* NAN: none */
    double advantage;        /* NAN: none */
    double label;            /* 1 desirable, 0 undesirable, between: soft; NAN: none */
    double weight;           /* row weight, default 1 */
    bool mismatched;         /* KTO: this completion belongs to another prompt; it counts in z0 only */
    double *d_log_prob;      /* [n] written */
    double *d_values;        /* [n] written when values is given, or NULL */
    double *d_entropy, *d_mean_log_prob; /* the same */
    double *d_head;          /* [n, n_head] the same */
} response;

/* Rows: a single response; a pair (chosen, rejected); or a group of K. */
typedef struct row {
    response *responses; /* single: 1; pair: [0] chosen, [1] rejected; group: K */
    size_t n_responses;
    double weight; /* default 1 */
} row;

typedef enum row_kind { ROW_SINGLE = 1, ROW_PAIR = 2, ROW_GROUP = 4 } row_kind;

/* How far terms are coupled: what must be seen together before a gradient exists. */
typedef enum coupling { COUPLED_TOKEN, COUPLED_ROW, COUPLED_STEP } coupling;

enum objective_needs {
    NEEDS_REFERENCE = 1,
    NEEDS_OLD = 2,
    NEEDS_REWARD = 4, /* or an advantage in its place, where the objective takes one */
    NEEDS_LABEL = 8,
    NEEDS_VALUES = 16,
    NEEDS_ADVANTAGE = 32,
    NEEDS_MISMATCHED = 64, /* the trainer adds (prompt i, the next response of another prompt) as mismatched rows */
    NEEDS_HEAD = 128,      /* log_prob is then optional, but with NEEDS_LOG_PROB */
    NEEDS_LOG_PROB = 256,
    NEEDS_TARGETS = 512,
    NEEDS_ENTROPY = 1024,
    NEEDS_MEAN_LOG_PROB = 2048,
    TAKES_TOKEN_REWARDS = 4096, /* no need: rows may have rewards of single tokens */
    TAKES_REWARD = 32768,       /* no need: rewards or margins of the rows, where they have them */
    NEEDS_GROUP = 16384,        /* a reward alone says nothing: a row of one response needs an advantage */
    TAKES_OLD = 65536,          /* no need: log_probs at sampling; where rows have none, a trainer takes those of the policy it begins with */
    TAKES_LABEL = 8192,         /* no need: pairs may have a label, P(chosen is better); others cannot read that rejected is */
    TAKES_ANSWERS = 1 << 17,          /* no need: the answers that the loop and the sealed recipe make are enough for it */
    TAKES_DEMONSTRATIONS = 1 << 18,   /* no need: online, its pairs are a demonstration above an own sample */
    TAKES_REJECTED_SAMPLES = 1 << 19, /* no need: online, its pairs are drawn by rejection sampling where nothing else is said */
    /* What no option takes away: `needs_with` does not repeat it. */
    OBJECTIVE_TRAITS = TAKES_TOKEN_REWARDS | TAKES_REWARD | TAKES_OLD | TAKES_LABEL | TAKES_ANSWERS | TAKES_DEMONSTRATIONS |
                       TAKES_REJECTED_SAMPLES | NEEDS_GROUP,
};

typedef struct objective_option {
    const char *name; /* beta, label_smoothing, gamma, clip, length_normalised, ... */
    double value;     /* default */
    double min, max;  /* inclusive */
    const char *help;
    enum { ANY_NUMBER, WHOLE_NUMBER } kind; /* whole: switches, choices, counts */
} objective_option;

typedef struct metric {
    const char *name; /* static storage */
    double value;
} metric;
enum { MAX_METRICS = 24, MAX_OBJECTIVE_OPTIONS = 16 };

typedef struct objective_result {
    double loss;    /* the scalar that the gradients differentiate */
    double *losses; /* [n_rows] written */
    metric metrics[MAX_METRICS];
    size_t n_metrics;
} objective_result;

struct pair;
struct pair_term;
struct token_term;
struct group_term;

typedef struct objective objective;
struct objective {
    const char *name;    /* "dpo" */
    const char *summary; /* one line with its paper */
    double learning_rate; /* of all weights, as published (docs/algorithms.md); an adapter takes more */
    unsigned rows;       /* row_kind it takes */
    unsigned needs;      /* objective_needs */
    coupling coupling;
    size_t least_batch; /* rows that a step needs for what it takes from all of them (a threshold); 0: any number */
    size_t most_responses; /* of a row; 0: any number */
    const objective_option *options; /* ends with a NULL name */
    /* `needs` under these options (a KL weight of 0 needs no reference), its traits apart; NULL: always `needs`. */
    unsigned (*needs_with)(const double *options);
    /* Loss over all rows of one optimiser step. For coupling below STEP the sum over rows divided by the normaliser
     * may be formed row by row: see normaliser. options[i] matches the table's order. `self` is this objective, which says what
     * the rows must have. AGON_EINVAL names the row and what is missing; AGON_ENUMERIC a non-finite input. */
    agon_status (*loss)(agon_ctx *ctx, const objective *self, const double *options, const row *rows, size_t n_rows,
                        objective_result *out);
    /* The formula of a family's member, which the family's loop takes from `self`: pair_loss (pair.h) one pair's, token_loss
     * (token.h) one token's, group_loss (policy.h) one response's among its group. NULL elsewhere. */
    struct pair_term (*pair)(const double *options, const struct pair *p);
    struct token_term (*token)(const double *options, const response *r, size_t t);
    const struct group_term *group;
    /* What the step's loss divides by (row weights, supervised tokens), computable before any
     * forward from masks and weights alone. A trainer may call loss on a part of the step's rows and rescale
     * by normaliser(part)/normaliser(step); the sum equals one call on all. NULL when coupling is COUPLED_STEP. */
    double (*normaliser)(const double *options, const row *rows, size_t n_rows);
};

/* NULL when unknown. */
const objective *objective_find(const char *name);
/* The i-th objective, NULL after the last. */
const objective *objective_at(size_t i);
/* What the objective needs under these options. */
unsigned objective_needs_with(const objective *o, const double *options);
/* Fills `values` with defaults. */
void objective_defaults(const objective *o, double values[MAX_OBJECTIVE_OPTIONS]);
/* Sets the option "progress" (share of the training steps done, in [0, 1]) where the objective has it: objectives
 * with a ramp are still functions of their arguments alone. The trainer calls this before every step. */
void objective_set_progress(const objective *o, double progress, double values[MAX_OBJECTIVE_OPTIONS]);
/* The same for the option "vocabulary" where it is 0, which means the model's n tokens. */
/* Whether it says anything under these values. */
bool objective_follows_progress(const objective *o, const double values[MAX_OBJECTIVE_OPTIONS]);
void objective_set_vocabulary(const objective *o, size_t n, double values[MAX_OBJECTIVE_OPTIONS]);
/* Sets "beta=0.1". AGON_EINVAL names the option, its range and the nearest known name. */
AGON_MUST_CHECK agon_status objective_set(agon_ctx *ctx, const objective *o, const char *assignment,
                                          double values[MAX_OBJECTIVE_OPTIONS]);
/* The defaults, then assignments [n] in order; AGON_EINVAL as objective_set, of the first that is wrong. */
AGON_MUST_CHECK agon_status objective_configure(agon_ctx *ctx, const objective *o, const char *const *assignments, size_t n,
                                                double values[MAX_OBJECTIVE_OPTIONS]);
/* `agon loss`: the JSON request of the CLI in, the JSON answer out (new string). */
AGON_MUST_CHECK agon_status objective_loss_json(agon_ctx *ctx, const objective *o, const double *options,
                                                const char *request, size_t n, char **answer);

#endif
