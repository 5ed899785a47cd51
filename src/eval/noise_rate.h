/* How noisy labels are, and which (spec: training 5). */
#ifndef EVAL_NOISE_RATE_H
#define EVAL_NOISE_RATE_H

#include "agon.h"

/* Symmetric flip rate e of two independent annotations of which a share `apart` = 2 e (1 - e) disagrees: (1 - sqrt(1 - 2 apart))/2;
 * 0.5 where half or more do (V:noise.flip_rate). */
double flip_rate_from_disagreement(double apart);

/* Symmetric flips read off out-of-sample margins: m_i speaks for the label given to item i, which is right with probability
 * sigmoid(slope m_i) and reversed with probability rate, so P(label | m) = (1 - rate) sigmoid(slope m) + rate sigmoid(-slope m). Where a judge is sure its
 * labels disagree at the flip rate; a weak judge is given a small slope in place of a large rate. */
typedef struct flip_model {
    double rate, slope;
} flip_model;
/* Largest likelihood over rate in [0, most] and slope > 0; margins [n] finite, n >= 1, in any unit. All margins 0: rate 0, slope 0. */
flip_model flip_model_fit(const double *margins, size_t n, double most);
/* Mean -ln P(label | m) of margins [n], n >= 1: how badly the model explains the labels as given. Two judges of the same labels may be
 * compared by it without the truth. */
double flip_model_nats(const flip_model *f, const double *margins, size_t n);
/* Probability that a label with this margin is right. */
double flip_model_posterior(const flip_model *f, double margin);

/* One label that is probably wrong, and why. */
typedef struct noise_finding {
    size_t item, given, latent; /* the label, and the one the model's probabilities speak for */
    double margin;              /* p(latent) - p(given) */
} noise_finding;

typedef struct noise_report {
    size_t n_classes;
    double *thresholds;      /* [k] mean out-of-sample p(j) of the items labelled j; NAN for a class without items */
    size_t *confident_joint; /* [k, k] rows given, columns latent */
    double *joint;           /* the same, rows scaled to the label counts, sum 1 */
    double noise_rate;       /* 1 - trace(joint) */
    noise_finding *findings; /* [n_findings], largest margin first; ties by item */
    size_t n_findings;
} noise_report;
/* Confident learning (Northcutt et al. 2021, 1911.00068; V:noise.confident_learning). probabilities [n, k] must be
 * out of sample; labels [n] < k. An item counts for the likeliest of the classes j with p_j >= threshold_j, for none
 * when there is none. out: noise_report_free. AGON_EINVAL: a label out of range, no items. */
AGON_MUST_CHECK agon_status confident_learning(agon_ctx *ctx, const double *probabilities, const size_t *labels,
                                               size_t n, size_t k, noise_report *out);
void noise_report_free(noise_report *r);

/* How well flagged items agree with planted noise, both [n]. A figure without a denominator is NAN. */
typedef struct flag_quality {
    double precision, recall;
    size_t n_flagged, n_noisy, n_both;
} flag_quality;
flag_quality flags_measure(const bool *flagged, const bool *noisy, size_t n);

typedef struct rater_model {
    size_t n_items, n_raters, n_classes;
    double *prior;     /* [k] */
    double *confusion; /* [n_raters, k true, k answer] */
    double *posterior; /* [n_items, k] */
    double log_likelihood; /* of the answers, without the smoothing's prior */
} rater_model;
/* Dawid and Skene 1979 by EM (V:noise.dawid_skene). answers [n_items, n_raters], -1: none; `smoothing` (0.5) is added to
 * every confusion cell. It starts from the vote fractions and runs M and E steps until no posterior moves by more than 1e-10, at most
 * `iterations`. gold [n_items] (or NULL): known classes, -1 unknown; where every class is among them they pin which class is which, and the other
 * items then start even. With fewer than three raters and no gold of every class the model is not identified: votes alone do not tell a
 * rater's errors from the classes' shares. out: rater_model_free. AGON_EINVAL: an answer out
 * of range, an item without answer or gold.
 * Item i stands weights[i] times (0 or more, not all 0): patterns of answers with their counts. NULL: once each. begin
 * [n_items, n_classes]: posteriors to start from; NULL: as above. */
AGON_MUST_CHECK agon_status dawid_skene(agon_ctx *ctx, const int *answers, const int *gold, const double *weights,
                                        const double *begin, size_t n_items, size_t n_raters, size_t n_classes, double smoothing,
                                        size_t iterations, rater_model *out);
void rater_model_free(rater_model *m);

#endif
