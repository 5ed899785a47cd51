/* Learning rate, clipping and data order: functions of the step number alone, so that a resumed run
 * continues as if it had never stopped (training.md section 9, V:opt.schedule, V:opt.clip). */
#include "base/ctx.h"
#include "base/random.h"
#include "train/train_private.h"
#include <math.h>
#include <string.h>

agon_status schedule_find(agon_ctx *ctx, const char *name, lr_schedule *out) {
    static const char *const names[] = {
        [SCHEDULE_CONSTANT] = "constant", [SCHEDULE_LINEAR] = "linear", [SCHEDULE_COSINE] = "cosine"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (name && strcmp(name, names[i]) == 0) {
            *out = (lr_schedule)i;
            return AGON_OK;
        }
    return ctx_fail(ctx, AGON_EINVAL, "the schedule is cosine, linear or constant, not '%.40s'", name ? name : "");
}

double schedule_lr(lr_schedule schedule, double peak, size_t warmup, size_t total, double min_ratio, size_t step) {
    if (step < warmup)
        return peak * (double)(step + 1) / (double)warmup;
    if (schedule == SCHEDULE_CONSTANT)
        return peak;
    if (step >= total)
        return peak * min_ratio;
    double progress = (double)(step - warmup) / (double)(total - warmup);
    double fall = schedule == SCHEDULE_LINEAR ? 1 - progress : 0.5 * (1 + cos(M_PI * progress));
    return peak * (min_ratio + (1 - min_ratio) * fall);
}

double clip_scale(double norm, double max_norm) {
    return max_norm > 0 ? fmin(1, max_norm / (norm + 1e-6)) : 1;
}

/* What is left at an epoch's end and is less than `least` rows joins the step before. */
static size_t steps_per_epoch(size_t n_rows, size_t batch_rows, size_t least) {
    size_t left = n_rows % batch_rows, whole = n_rows / batch_rows;
    return left == 0 || (left < least && whole > 0) ? whole : whole + 1;
}

size_t train_n_steps(const train_options *options, size_t n_rows) {
    if (options->max_steps > 0)
        return options->max_steps;
    if (options->batch_rows == 0)
        return 0;
    return size_mul(options->epochs, steps_per_epoch(n_rows, options->batch_rows, options->objective ? options->objective->least_batch : 0));
}

const char *train_fixed_length(const train_options *o, const train_row *rows, size_t n_rows) {
    const unsigned needs = objective_needs_with(o->objective, o->objective_options);
    if (o->schedule != SCHEDULE_CONSTANT)
        return "its learning rate falls to zero at the last step (a constant schedule does not)";
    if (o->warmup > 0)
        return "its warm-up is a share of the steps (warmup 0 has none)";
    if (o->selection.tau > 0 && o->selection.ramp > 0)
        return "its small-loss selection sets in over a share of the steps (a ramp of 0 does not)";
    if (objective_follows_progress(o->objective, o->objective_options))
        return "its objective begins otherwise for a share of the steps (its option warmup)";
    for (size_t i = 0; i < n_rows; i++)
        if (start_scores(&rows[i], needs))
            return "its rows lack log_probs at sampling, which only the policy that it began with could give to more of them";
    return NULL;
}

size_t order_step(uint64_t seed, size_t n_rows, size_t batch_rows, size_t least, size_t step, size_t *order,
                  const size_t **first) {
    size_t per_epoch = steps_per_epoch(n_rows, batch_rows, least), epoch = step / per_epoch;
    size_t start = step % per_epoch * batch_rows;
    for (size_t i = 0; i < n_rows; i++)
        order[i] = i;
    rng random = rng_new(seed_derivef(seed, "data-order|%zu", epoch));
    rng_shuffle(&random, order, n_rows);
    *first = order + start;
    return step % per_epoch + 1 == per_epoch ? n_rows - start : batch_rows;
}
