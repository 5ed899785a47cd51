/* agon data clean: which labels of a file are probably wrong, by a model that has not seen them (spec: training 5). */
#ifndef RECIPE_CLEAN_ROWS_H
#define RECIPE_CLEAN_ROWS_H

#include "model/model.h"
#include "objective/objective.h"
#include "train/row_file.h"

enum { CLEAN_MOST_FOLDS = 20 };

/* What is judged, which follows from the objective the rows are for. */
typedef enum clean_kind {
    CLEAN_PAIRS,   /* chosen is better than rejected */
    CLEAN_LABELS,  /* 0 or 1 on one completion */
    CLEAN_ANSWERS, /* completions to imitate: nothing that could be wrong is said of them */
} clean_kind;

/* ---- the decision (clean_decide.c): numbers only ----------------------------------------------------------- */

enum { CLEAN_N_JUDGES = 2 };
typedef struct clean_scores {
    size_t n;
    clean_kind kind;
    /* [n] each, out of sample: what two judges say.
     * pairs    margins for the given order: of the adapter's implicit reward, beta*h; of the base's own mean log_prob a token
     * labels   P(true): of a class head; a confidence that an isotonic map over the other folds makes a probability
     * answers  mean log_prob a token under the adapter; NULL */
    const double *judges[CLEAN_N_JUDGES];
    const double *labels; /* [n] 0 or 1; labels only */
    const size_t *fold;   /* [n] */
    size_t n_folds;
    const struct train_row *rows; /* [n] for sentences about them; NULL: by number, from 1 */
} clean_scores;

typedef struct clean_decision {
    double *p_right;  /* [n] P(the label is right); NAN of answers */
    double *evidence; /* [n] for the label, least first to go: margin of pairs; p(given) - p(other) of labels; mean log_prob of answers */
    bool *drop;       /* [n] */
    size_t n_drop, judge; /* the judge that is believed */
    double nats[CLEAN_N_JUDGES]; /* how badly each explains the labels as given; no truth is used */
    double ignorant_nats; /* of knowing nothing: a coin, or of labels their base rate over the other folds where that is better; NAN of answers */
    bool believed;        /* the judge explains the labels better than that, by two standard errors over the rows; always of answers */
    double noise_rate;    /* estimated; NAN of answers, and where no judge is believed */
} clean_decision;

/* Pairs: flip_model_fit of each judge, the better is believed; P(right) is its posterior, found below 1/2. Labels: the judge with the smaller
 * cross-entropy; confident learning finds, at most 45% of the rows. Where that judge is not believed nothing is found. Answers: small loss, at a rate only. rate NAN: what was found; else round(rate*n) of the least
 * evidence, ties by index. out: clean_decision_free. AGON_EINVAL. */
AGON_MUST_CHECK agon_status clean_decide(agon_ctx *ctx, const clean_scores *scores, double rate, clean_decision *out);
void clean_decision_free(clean_decision *d);
const char *clean_judge_name(clean_kind kind, size_t judge);

/* ---- folds (clean_folds.c) ---------------------------------------------------------------------------------- */

/* fold [f->n] in [0, n_folds): prompts shuffled by the seed, each into the fold with the fewest rows so far. The rows of a prompt are in one fold, else
 * the judge has seen the question, and maybe the very answer. AGON_EINVAL: fewer prompts than folds; AGON_ENOMEM. */
AGON_MUST_CHECK agon_status clean_folds(agon_ctx *ctx, const row_file *f, size_t n_folds, uint64_t seed, size_t *fold);

/* ---- files (clean_rows.c) ---------------------------------------------------------------------------------- */

typedef struct clean_options {
    const objective *objective;
    size_t folds, rank, epochs, batch_rows;
    size_t max_length; /* tokens of prompt and response that are judged; 0: no limit */
    double lr;
    uint64_t seed;
    double drop_rate;  /* NAN: what is found */
    bool soft;         /* all rows are written, with P as their label */
    const char *truth; /* of noise_file: lines that were made wrong, to measure by and for nothing else; NULL: none */
    void (*on_line)(void *arg, const char *text); /* progress; NULL: none */
    void *arg;
} clean_options;

/* k folds, the rows of a prompt in one; for each an adapter (LoRA) trained on the other folds judges the rows of this one after each epoch; the
 * epoch that explains the labels as given best decides. The weights of m are shared and stay as they are. Writes `to` (what is left, or with soft all) and `to`.dropped: {"file", "line", "given", "p_right", "margin",
 * "why"} a line, the surest first. The same call gives the same bits. *report new: {"rows", "truncated", "written", "kind", "judge", "judges":
 * [{"name", "nats"}], "believed", "ignorant_nats": of a coin or the base rate, or null, "epoch" that decides, "folds", "nats_by_epoch", "noise_rate": or null, "n_dropped", "dropped": path, "first": at most ten of the lines with "text", what they
 * say, "quality": {"planted", "found", "precision", "precision_ci95", "recall", "recall_ci95"} (exact) with a truth, else null}.
 * AGON_EINVAL names file and line, or the option. */
AGON_MUST_CHECK agon_status clean_file(agon_ctx *ctx, model *m, const char *from, const char *to, const clean_options *options, json_t **report);

#endif
