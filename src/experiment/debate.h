/* The experiment debate, in parts: see debate.c. */
#ifndef EXPERIMENT_DEBATE_H
#define EXPERIMENT_DEBATE_H

#include "base/memory.h"
#include "eval/interval.h"
#include "experiment/lab.h"
#include "role/backend.h"

enum { DEBATE_PASSAGE_MOST = 64 * 1024, DEBATE_FIELD_MOST = 4 * 1024 /* bytes */, DEBATE_MOST_WORDS = 500, DEBATE_MOST_ROUNDS = 10 };

/* A question with two answers. They stand in the order of their bytes, and no role is told or asked anything that depends on `right`. */
typedef struct debate_item {
    const char *id, *question, *answers[2];
    const char *passage; /* which the judge does not see; NULL: none */
    int right;           /* index of answers */
} debate_item;

typedef enum debate_protocol {
    DEBATE_NAIVE,       /* the judge sees question and answers */
    DEBATE_CONSULTANCY, /* and one who argues for the answer that was assigned */
    DEBATE_DEBATE,      /* and two who argue for one each */
    DEBATE_EXPERT,      /* and the passage */
    N_DEBATE_PROTOCOLS,
} debate_protocol;
const char *debate_protocol_name(debate_protocol p);

/* One way of putting an item to the judge. */
typedef struct debate_look {
    debate_protocol protocol;
    int a;     /* the answer (index) that is called A */
    int first; /* debate: the answer of the debater who is called Alice and speaks first in a round; consultancy: the consultant's */
} debate_look;
enum { N_DEBATE_LOOKS = 12 };
debate_look debate_look_at(size_t i);
/* Items without a passage have no expert. */
bool debate_has_look(const debate_item *item, size_t i);

/* Who speaks: of consultancy, then of debate, for the one answer and for the other. */
enum { N_DEBATE_SEATS = 4 };
static inline size_t debate_seat(debate_protocol p, int side) {
    return (p == DEBATE_DEBATE ? 2u : 0u) + (size_t)side;
}

/* ---- debate_items.c ---- */

/* The first `most` rows of a JSONL file {"question", "correct", "wrong", "passage"?, "id"?}, in `memory`. *out [*n]. AGON_EFORMAT, AGON_EINVAL name file and line. */
AGON_MUST_CHECK agon_status debate_read_items(agon_ctx *ctx, const char *path, size_t most, arena *memory, debate_item **out, size_t *n);
/* Invented ones: a passage of facts about three things nobody knows, and a question about one of them; the wrong answer is what another one has, or of the same kind.
 * The i-th depends on seed and i alone. out [n]. */
AGON_MUST_CHECK agon_status debate_draw_items(agon_ctx *ctx, uint64_t seed, size_t n, arena *memory, debate_item *out);

/* ---- debate_hold.c ---- */

typedef struct debate_roles {
    backend *debater, *judge;
    bool likelihood; /* the judge's verdict is P(A) against P(B); else it is read from what it writes */
    size_t rounds, words;
    double temperature, judge_temperature; /* of what debaters and a writing judge say */
} debate_roles;

/* Tokens that a debater may write for so many words, and a judge for a verdict. */
static inline size_t debate_speech_tokens(size_t words) {
    return 2 * words + 16;
}
enum { DEBATE_VERDICT_TOKENS = 300 };

/* All speeches of items [n], out [n, N_DEBATE_SEATS, rounds] in `memory`: those of one round are written at once, by who has read the rounds before. At most `words`
 * words each. seeds [n]. AGON_EREMOTE: somebody did not answer. */
AGON_MUST_CHECK agon_status debate_speak(agon_ctx *ctx, const debate_roles *r, const debate_item *items, const uint64_t *seeds, size_t n, arena *memory,
                                         const char **out);
/* How many of a speech's quotes stand in the passage word for word. */
AGON_MUST_CHECK agon_status debate_count_quotes(agon_ctx *ctx, const debate_item *item, const char *speech, size_t *verified, size_t *unverified);

typedef struct debate_verdict {
    double p;         /* of the item's first answer (0 or 1 where the judge writes); NAN: no verdict */
    const char *said; /* what was no verdict, where the judge writes; else NULL */
} debate_verdict;
/* The judge's verdict on every look of items [n] that is there, out [n, N_DEBATE_LOOKS], `said` in `memory`. speeches as debate_speak gives them. A verdict that cannot be
 * read is asked for twice more. AGON_EREMOTE. */
AGON_MUST_CHECK agon_status debate_judge(agon_ctx *ctx, const debate_roles *r, const debate_item *items, const char *const *speeches, const uint64_t *seeds, size_t n,
                                         arena *memory, debate_verdict *out);
/* 'A' or 'B' where the last line that is not blank says "Answer: A" or "Answer: B" and no more (but for emphasis, a bracket and a full stop); else 0. */
char debate_parse_verdict(const char *text);
/* [{"id", "sha256"}] of the prompts. New, NULL on memory. */
json_t *debate_templates_json(void);

/* ---- debate_report.c ---- */

/* One item under one seed, as the figures have it. */
typedef struct debate_outcome {
    double p[N_DEBATE_LOOKS]; /* of the right answer; NAN: no verdict */
    bool says_a[N_DEBATE_LOOKS], says_first[N_DEBATE_LOOKS]; /* where there is a verdict */
    size_t quotes[2][2][2];   /* of consultancy and of debate; by the side of the right answer and of the wrong one; unverified, verified */
} debate_outcome;
debate_outcome debate_outcome_of(const debate_item *item, const debate_verdict *verdicts);

/* All that was said of an item, for people: speeches [N_DEBATE_SEATS, rounds], verdicts [N_DEBATE_LOOKS]. New, NULL on memory. */
json_t *debate_line_json(const debate_item *item, uint64_t seed, size_t rounds, const char *const *speeches, const debate_verdict *verdicts);

typedef struct debate_gain {
    double now, before, gain; /* means */
    interval range;           /* of the gain, items resampled */
    size_t gained, lost;      /* items right by more than half of their verdicts in one and not in the other */
    double p;                 /* McNemar's, exact */
} debate_gain;
/* Shares of right verdicts on the same items, [n] (V:debate_gain). AGON_EINVAL: n = 0. */
AGON_MUST_CHECK agon_status debate_gain_of(agon_ctx *ctx, const double *now, const double *before, size_t n, size_t draws, uint64_t seed, debate_gain *out);

typedef struct debate_tally {
    lab *l;
    bool likelihood, same_items; /* the same items under every seed: of a file */
    size_t n_items, draws;
    debate_outcome *of;     /* [n_seeds, n_items] */
    bool *has_expert;       /* [n_seeds, n_items] */
    int *right;             /* [n_seeds, n_items] index of the item's answers */
} debate_tally;
/* Of the first n outcomes the verdicts asked for under a protocol: all, those that could not be read, those that are right. */
typedef struct debate_counts {
    size_t n, unparsable, right;
} debate_counts;
debate_counts debate_count(const debate_tally *t, size_t n, debate_protocol p);
/* *result new, with the figures; says them. */
AGON_MUST_CHECK agon_status debate_report(const debate_tally *t, json_t **result);

#endif
