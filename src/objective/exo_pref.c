/* exo-pref: efficient exact optimisation from preferences (Ji et al. 2024, arXiv 2402.00856; EXO-pref).
 *
 *   p_f = softmax(beta*L_w, beta*L_l),   p_r = (1-e, e),   loss = sum p_f*(log p_f - log p_r)
 *   d loss/d L_k = beta * p_f,k * ((log p_f,k - log p_r,k) - loss)
 *
 * Reverse KL: mode seeking, where DPO (forward) is mass covering. Deviation from the released code: its
 * target is the unnormalised (0, -10) in logs; ours sums to 1, as the paper's equation does. */
#include "objective/pair.h"
#include "objective/table.h"

enum { BETA, LABEL_SMOOTHING };
static const objective_option options_table[] = {
    {"beta", 0.5, 1e-6, 1e6, "beta_pi: inverse temperature of the policy", ANY_NUMBER},
    {"label_smoothing", 1e-3, 1e-12, 0.5, "e: target probability of the rejected response", ANY_NUMBER},
    {.name = NULL},
};

static pair_term term(const double *options, const pair *p) {
    double beta = options[BETA], e = options[LABEL_SMOOTHING], z = beta * p->h;
    /* With two responses log p_f is logsig(+-z). */
    double gap_w = logsig(z) - log1p(-e), gap_l = logsig(-z) - log(e);
    double p_w = sigmoid(z), p_l = sigmoid(-z), kl = p_w * gap_w + p_l * gap_l;
    return (pair_term){
        .loss = kl,
        .d_w = beta * p_w * (gap_w - kl),
        .d_l = beta * p_l * (gap_l - kl),
        .reward_w = beta * p->log_ratio_w,
        .reward_l = beta * p->log_ratio_l,
    };
}

const objective objective_exo_pref = {
    .name = "exo-pref",
    .learning_rate = 1e-6,
    .summary = "efficient exact optimisation on pairs, reverse KL (arXiv 2402.00856)",
    .rows = ROW_PAIR,
    .needs = NEEDS_REFERENCE,
    .coupling = COUPLED_ROW,
    .options = options_table,
    .loss = pair_loss,
    .pair = term,
    .normaliser = pair_normaliser,
};
