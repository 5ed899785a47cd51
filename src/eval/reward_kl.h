/* Gold reward against KL(policy || reference): how well an alignment method trades one for the other.
 *
 * A front is the upper concave envelope of its policies and the reference itself, (0, its reward). That is what the policies can reach: taking one of
 * two policies at random with probability w has the mixed reward and, since KL is convex, at most the mixed KL. */
#ifndef EVAL_REWARD_KL_H
#define EVAL_REWARD_KL_H

#include <stddef.h>

enum { REWARD_KL_MOST = 64 };

typedef struct reward_kl {
    double reward, kl; /* means over prompts; kl in nats, estimates below 0 count as 0 */
} reward_kl;

typedef struct reward_front {
    reward_kl points[REWARD_KL_MOST + 1]; /* corners, by rising KL and rising reward; the first is the reference */
    size_t n;
} reward_front;

/* Front of policies [n], n <= REWARD_KL_MOST, whose reference has mean reward `base`. All finite. */
reward_front reward_front_of(const reward_kl *policies, size_t n, double base);
/* Best reward at a KL of at most `kl` >= 0. */
double reward_front_at(const reward_front *f, double kl);
/* Its mean over KL from 0 to `limit` > 0: the area below the front by its width, the hypervolume of the mixtures. */
double reward_front_mean(const reward_front *f, double limit);

/* The best any policy can do on one prompt, seen through n samples of the reference with their rewards, n >= 1: the reference tilted by
 * exp(scale * reward), which has the largest reward of all policies at its KL. Self-normalised weights, so KL is at most ln n. */
reward_kl reward_tilt(const double *rewards, size_t n, double scale);

#endif
