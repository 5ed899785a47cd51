/* dpo-forward: DPO with forward correction of flipped pairs (Patrini et al. 2017, arXiv 1609.03683, on the
 * Bradley-Terry likelihood; training.md section 5).
 *
 *   z = beta * h,   loss = -log((1-e)*sig(z) + e*sig(-z))
 *
 * The likelihood of the label as it was given. Its gradient is bounded and falls again: a pair the model
 * finds absurd is taken for a flip and ignored, where cdpo and rdpo still push. */
#include "objective/pair.h"
#include "objective/table.h"

enum { BETA, LABEL_SMOOTHING };
static const objective_option options_table[] = {
    {"beta", 0.1, 1e-6, 1e6, "strength of the tie to the reference", ANY_NUMBER},
    {"label_smoothing", 0.1, 0, 0.5, "e, share of swapped labels", ANY_NUMBER},
    {.name = NULL},
};

static pair_term term(const double *options, const pair *p) {
    double beta = options[BETA], e = options[LABEL_SMOOTHING], z = beta * p->h;
    double kept = log1p(-e) + logsig(z), swapped = e > 0 ? log(e) + logsig(-z) : -INFINITY;
    double log_p = logsumexp((double[]){kept, swapped}, 2);
    /* The posterior that the label was kept weighs the two slopes: no quotient of vanishing numbers. */
    double d = -beta * (exp(kept - log_p) * sigmoid(-z) - exp(swapped - log_p) * sigmoid(z));
    return pair_of_margin(p, beta, -log_p, d);
}

const objective objective_dpo_forward = {
    .name = "dpo-forward",
    .learning_rate = 1e-6,
    .summary = "DPO with forward correction of flips of rate e; absurd pairs are ignored",
    .rows = ROW_PAIR,
    .needs = NEEDS_REFERENCE,
    .coupling = COUPLED_ROW,
    .options = options_table,
    .loss = pair_loss,
    .pair = term,
    .normaliser = pair_normaliser,
};
