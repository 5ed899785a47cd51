/* Votes: see votes.h. */
#include "eval/votes.h"
#include <math.h>

double vote_weight(double accuracy, double limit) {
    double c = fmax(limit, fmin(1 - limit, accuracy));
    return log(c / (1 - c));
}

static double signed_weight(double accuracy, double vote, double limit) {
    return (vote > 0.5 ? 1 : -1) * vote_weight(accuracy, limit);
}

/* The mean of the votes of i's cluster, when i is its first voter; 0 when it is not. */
static double cluster_vote(const double *accuracy, const double *votes, const size_t *cluster, size_t n, size_t i,
                           double limit) {
    double sum = 0, count = 0;
    for (size_t j = 0; j < n; j++) {
        if (isnan(votes[j]) || cluster[j] != cluster[i])
            continue;
        if (j < i)
            return 0;
        sum += signed_weight(accuracy[j], votes[j], limit);
        count += 1;
    }
    return sum / count;
}

vote_result votes_fuse(const double *accuracy, const double *votes, const size_t *cluster, size_t n, double limit) {
    vote_result r = {0};
    for (size_t i = 0; i < n; i++) {
        if (isnan(votes[i]))
            continue;
        r.score += cluster ? cluster_vote(accuracy, votes, cluster, n, i, limit)
                           : signed_weight(accuracy[i], votes[i], limit);
    }
    r.posterior = 1 / (1 + exp(-r.score));
    r.label = r.score > 0;
    return r;
}

double confidence_weight(double q) {
    return fabs(2 * q - 1);
}

double effective_sample_size(const double *weights, size_t n) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        sum += weights[i];
        squares += weights[i] * weights[i];
    }
    return squares > 0 ? sum * sum / squares : 0;
}
