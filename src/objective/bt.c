/* bt: reward model from pairs, Bradley-Terry (Bradley, Terry 1952; Ouyang et al. 2022, arXiv 2203.02155, eq. 1).
 *
 *   r = head output at the last supervised token (the end token),   z = r_w - r_l
 *   loss = -q*logsig(z - m) - (1-q)*logsig(-z - m) + centring*(r_w + r_l)^2
 *
 * q is the label of the chosen side (1 when there is none; 1/2 is a tie), smoothed by label_smoothing; m is
 * `margin` times how far apart the rewards are that came with the row, 0 without (Llama 2, arXiv 2307.09288, eq. 2,
 * where it is a strength of the preference and never below 0: which side is better, only the label says).
 * Only differences are identified; centring (Eisenstein et al. 2023, arXiv 2312.09244) holds the mean at 0. */
#include "objective/common.h"
#include "objective/pair.h"
#include "objective/table.h"

enum { MARGIN, LABEL_SMOOTHING, CENTRING };
static const objective_option options_table[] = {
    {"margin", 1, 0, 1e6, "scale of the margin: times the distance of the rewards, where rows have them", ANY_NUMBER},
    {"label_smoothing", 0, 0, 0.5, "assumed share of swapped labels", ANY_NUMBER},
    {"centring", 0.01, 0, 1e6, "weight of the squared sum of both rewards", ANY_NUMBER},
    {.name = NULL},
};

/* Sums for the metrics; lengths against rewards show a length bias. */
typedef struct reward_sums {
    double n, reward, squares, length, length_squares, product;
} reward_sums;

static void add_response(reward_sums *m, const response *r) {
    double reward = head_reward(r), length = masked_length(r);
    m->n += 1, m->reward += reward, m->squares += reward * reward;
    m->length += length, m->length_squares += length * length, m->product += reward * length;
}

static void add_metrics(const reward_sums *m, objective_result *out) {
    double mean = m->reward / m->n, variance = m->squares / m->n - mean * mean;
    double length = m->length / m->n, spread = m->length_squares / m->n - length * length;
    double covariance = m->product / m->n - mean * length;
    metric_add(out, "reward", mean);
    metric_add(out, "reward_std", sqrt(fmax(0, variance)));
    metric_add(out, "length_correlation",
               variance > 0 && spread > 0 ? covariance / sqrt(variance * spread) : 0);
}

static double one_pair(const double *options, const row *r, double share, double *centring) {
    response *w = &r->responses[0], *l = &r->responses[1];
    double r_w = head_reward(w), r_l = head_reward(l), z = r_w - r_l, e = options[LABEL_SMOOTHING];
    double gap = fabs(w->reward - l->reward), m = isnan(gap) ? 0 : options[MARGIN] * gap;
    double label = isnan(w->label) ? 1 : w->label, q = label * (1 - e) + (1 - label) * e;
    double d = -q * sigmoid(-(z - m)) + (1 - q) * sigmoid(z + m);
    double centre = 2 * options[CENTRING] * (r_w + r_l);
    head_gradient(w, share * (d + centre));
    head_gradient(l, share * (-d + centre));
    *centring = options[CENTRING] * (r_w + r_l) * (r_w + r_l);
    return -q * logsig(z - m) - (1 - q) * logsig(-z - m) + *centring;
}

static agon_status loss(agon_ctx *ctx, const objective *self, const double *options, const row *rows, size_t n_rows,
                        objective_result *out) {
    agon_status s = rows_check(ctx, self, options, rows, n_rows);
    if (s == AGON_OK)
        s = heads_check(ctx, self, 1, rows, n_rows);
    double total = pair_normaliser(options, rows, n_rows), sum = 0, accuracy = 0, margin = 0, centring = 0;
    if (s == AGON_OK)
        s = weight_check(ctx, self, total);
    reward_sums m = {0};
    for (size_t i = 0; s == AGON_OK && i < n_rows; i++) {
        double share = pair_weight(&rows[i]) / total, centre;
        out->losses[i] = one_pair(options, &rows[i], share, &centre);
        s = loss_check(ctx, self, i, out->losses[i]);
        double z = head_reward(&rows[i].responses[0]) - head_reward(&rows[i].responses[1]);
        sum += share * out->losses[i];
        centring += share * centre;
        accuracy += z > 0 ? share : 0;
        margin += share * z;
        add_response(&m, &rows[i].responses[0]);
        add_response(&m, &rows[i].responses[1]);
    }
    if (s != AGON_OK)
        return s;
    out->loss = sum;
    out->n_metrics = 0;
    metric_add(out, "accuracy", accuracy);
    metric_add(out, "margin", margin);
    metric_add(out, "centring", centring);
    add_metrics(&m, out);
    return AGON_OK;
}

const objective objective_bt = {
    .name = "bt",
    .learning_rate = 1e-5,
    .summary = "reward model from pairs, Bradley-Terry with margin, ties and centring (arXiv 2203.02155)",
    .rows = ROW_PAIR,
    .needs = NEEDS_HEAD | TAKES_LABEL | TAKES_REWARD,
    .coupling = COUPLED_ROW,
    .options = options_table,
    .loss = loss,
    .normaliser = pair_normaliser,
};
