/* dpo: direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290, eq. 7).
 *
 *   z = beta * h,   loss = -logsig(z),   dS_w = -beta*sig(-z),   dS_l = beta*sig(-z)
 *
 * Implicit reward beta*(S - S_ref). At policy == reference the loss is log 2.
 * Additions to the paper: label_smoothing > 0 makes it cDPO; length_normalised divides each log-ratio
 * by its response's length; sft adds -sft * S_w/|w|, the likelihood of chosen, against its falling with the rejected
 * one's (Pang et al. 2024, arXiv 2404.19733, eq. 3). All are off by default. */
#include "objective/pair.h"
#include "objective/table.h"

enum { BETA, LABEL_SMOOTHING, LENGTH_NORMALISED, SFT };
static const objective_option options_table[] = {
    {"beta", 0.1, 1e-6, 1e6, "strength of the tie to the reference", ANY_NUMBER},
    {"label_smoothing", 0, 0, 0.5, "assumed share of swapped labels", ANY_NUMBER},
    {"length_normalised", 0, 0, 1, "1: mean log-ratio per token, 0: sum", WHOLE_NUMBER},
    {"sft", 0, 0, 1e3, "weight of the chosen response's mean log_prob", ANY_NUMBER},
    {.name = NULL},
};

static pair_term preference(const double *options, const pair *p) {
    if (options[LENGTH_NORMALISED] == 0)
        return pair_logistic(p, options[BETA], options[LABEL_SMOOTHING]);
    pair mean = *p;
    mean.log_ratio_w = p->log_ratio_w / p->n_w;
    mean.log_ratio_l = p->log_ratio_l / p->n_l;
    mean.h = mean.log_ratio_w - mean.log_ratio_l;
    pair_term t = pair_logistic(&mean, options[BETA], options[LABEL_SMOOTHING]);
    t.d_w /= p->n_w;
    t.d_l /= p->n_l;
    return t;
}

static pair_term term(const double *options, const pair *p) {
    pair_term t = preference(options, p);
    t.loss -= options[SFT] * p->s_w / p->n_w;
    t.d_w -= options[SFT] / p->n_w;
    return t;
}

const objective objective_dpo = {
    .name = "dpo",
    .learning_rate = 1e-6,
    .summary = "direct preference optimisation (arXiv 2305.18290)",
    .rows = ROW_PAIR,
    .needs = NEEDS_REFERENCE,
    .coupling = COUPLED_ROW,
    .options = options_table,
    .loss = pair_loss,
    .pair = term,
    .normaliser = pair_normaliser,
};
