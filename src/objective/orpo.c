/* orpo: odds-ratio preference optimisation (Hong et al. 2024, arXiv 2403.07691, eq. 6 and 7).
 *
 *   m = S/n,   log odds = m - log1mexp(m),   loss = -m_w + beta * -logsig(log odds_w - log odds_l)
 *
 * `beta` is the paper's lambda. No reference. Deviations: the likelihood term covers the response only
 * (the released code also trains on the prompt); m is held at or below -1e-7, where the odds are still
 * finite, with no gradient of the odds beyond. */
#include "objective/pair.h"
#include "objective/table.h"

enum { BETA };
static const objective_option options_table[] = {
    {"beta", 0.1, 1e-6, 1e6, "lambda: weight of the odds-ratio term", ANY_NUMBER},
    {.name = NULL},
};

static const double MAX_MEAN = -1e-7;

/* log(p/(1-p)) of the mean log_prob m, and its derivative 1/(1-p). */
static double log_odds(double m, double *d) {
    double held = fmin(m, MAX_MEAN);
    *d = m <= MAX_MEAN ? -1 / expm1(held) : 0;
    return held - log1mexp(held);
}

static pair_term term(const double *options, const pair *p) {
    double beta = options[BETA], m_w = p->s_w / p->n_w, m_l = p->s_l / p->n_l, d_odds_w, d_odds_l;
    double z = log_odds(m_w, &d_odds_w) - log_odds(m_l, &d_odds_l), d = -beta * sigmoid(-z);
    return (pair_term){
        .loss = -m_w - beta * logsig(z),
        .d_w = (-1 + d * d_odds_w) / p->n_w,
        .d_l = -d * d_odds_l / p->n_l,
        .reward_w = beta * m_w,
        .reward_l = beta * m_l,
    };
}

const objective objective_orpo = {
    .name = "orpo",
    .learning_rate = 5e-6,
    .summary = "odds-ratio preference optimisation, no reference (arXiv 2403.07691); beta is lambda",
    .rows = ROW_PAIR,
    .needs = 0,
    .coupling = COUPLED_ROW,
    .options = options_table,
    .loss = pair_loss,
    .pair = term,
    .normaliser = pair_normaliser,
};
