/* The scale of a reward head: mean and standard deviation of its rewards over what it was trained on. A reward's own scale is not identified, so
 * the members of an ensemble are compared on these (training.md 2), and the scale goes where the head goes: into a saved adapter's metadata, and
 * beside exported heads as reward_scale.json. */
#ifndef MODEL_REWARD_SCALE_H
#define MODEL_REWARD_SCALE_H

#include "agon.h"

typedef struct reward_scale {
    double mean, std; /* std 0: not known */
    size_t n;         /* responses it was measured on */
    bool at_steps;    /* the head was trained at the ends of steps (prm), not at the response's last token */
} reward_scale;

/* Mean and std (1/n) of rewards on a fixed reference set, [n], n >= 1. A std of 0 becomes 1. */
reward_scale reward_scale_fit(const double *rewards, size_t n);
static inline double reward_scaled(const reward_scale *s, double reward) {
    return (reward - s->mean) / s->std;
}

/* {"mean", "std", "n", "at_steps" where true}, new. AGON_ENOMEM. */
AGON_MUST_CHECK agon_status reward_scale_text(agon_ctx *ctx, const reward_scale *s, char **out);
/* AGON_EFORMAT: not such an object, numbers that are not finite, a std that is not above 0. */
AGON_MUST_CHECK agon_status reward_scale_parse(agon_ctx *ctx, const char *where, const char *text, reward_scale *out);
/* reward_scale.json in `folder`; std 0 where there is none. */
AGON_MUST_CHECK agon_status reward_scale_read(agon_ctx *ctx, const char *folder, reward_scale *out);

#define REWARD_SCALE_FILE "reward_scale.json"

#endif
