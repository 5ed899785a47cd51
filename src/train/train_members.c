/* Several adapters in one training: see train_members in train.h.
 *
 *   step i:  for each member that has a step i: gradients of its i-th batch under its adapter, then its own AdamW update
 *
 * A tree is a micro-batch whatever the batch is, so the rows of a step may belong to any adapters: a member's trainer is that of a training by
 * itself, and members share what holds nothing from one tree to the next: the base with its packs, the workspace, the step's arena. That is
 * why no bit depends on who else is trained.
 *
 * Stored state: the images of all (train_image.c). Members may stand at different steps, when a training was stopped between two of them. */
#include "base/available.h"
#include "train/train_private.h"
#include <stdlib.h>
#include <string.h>

typedef struct team {
    agon_ctx *ctx;
    trainer *trainers;      /* [n] */
    train_options *options; /* [n] */
    size_t n, n_steps;      /* n_steps: of the member that has most */
    workspace *work;
    arena *step;
} team;

/* ---- set-up -------------------------------------------------------------------------------------- */

static agon_status check(agon_ctx *ctx, const train_member *members, size_t n, const train_options *o) {
    if (n == 0)
        return ctx_fail(ctx, AGON_EINVAL, "train: there are no adapters to train");
    if (o->validation.n_rows)
        return ctx_fail(ctx, AGON_EINVAL, "train: several adapters have no held-out loss in common: validate a training of each by itself");
    if (o->selection.co_teach || o->moments)
        return ctx_fail(ctx, AGON_EINVAL, "train: several adapters are neither co-taught nor trained on with carried moments");
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (members[i].adapter == members[j].adapter)
                return ctx_fail(ctx, AGON_EINVAL, "train: members %zu and %zu are one adapter", j, i);
    return AGON_OK;
}

/* All of them together must fit, with the largest row's activations once. */
static agon_status plan_memory(team *x, const model *m, const train_member *members, const train_options *o, size_t *workspace_limit) {
    size_t n_rows = 0, rank = 0, n_lora = 0;
    for (size_t i = 0; i < x->n; i++) {
        n_rows = size_add(n_rows, members[i].n_rows);
        const adapter *a = members[i].adapter;
        const size_t own = adapter_n_values(model_get_config(m), adapter_rank(a), adapter_targets(a));
        rank = adapter_rank(a) > rank ? adapter_rank(a) : rank;
        n_lora = own > n_lora ? own : n_lora;
    }
    train_row *rows = memory_new(n_rows, sizeof *rows);
    if (!rows)
        return ctx_fail(x->ctx, AGON_ENOMEM, "train: out of memory for %zu rows", n_rows);
    for (size_t i = 0, at = 0; i < x->n; at += members[i++].n_rows)
        memcpy(rows + at, members[i].rows, members[i].n_rows * sizeof *rows);
    train_memory n = train_predict_members(m, x->n, n_lora, rank, adapter_n_dimensions(members[0].adapter) > 0, rows, n_rows, o);
    free(rows);
    return memory_check(x->ctx, train_memory_total(&n, memory_room(x->ctx), workspace_limit), "this training",
                        "use shorter rows, fewer adapters at once, or a smaller model");
}

static agon_status open_member(team *x, size_t i, model *m, const train_member *member) {
    trainer *t = &x->trainers[i];
    x->options[i].selection.tally = member->tally;
    *t = (trainer){.ctx = x->ctx, .m = m, .train = member->adapter, .reference_adapter = member->reference, .data = member->rows,
                   .n_data = member->n_rows, .options = &x->options[i], .work = x->work, .step = x->step, .member = i, .borrows = true};
    size_t n_steps = train_n_steps(t->options, t->n_data);
    x->n_steps = n_steps > x->n_steps ? n_steps : x->n_steps;
    return trainer_open(t);
}

static agon_status team_open(team *x, model *m, const train_member *members, const train_options *o) {
    size_t workspace_limit = 0;
    agon_status s = check(x->ctx, members, x->n, o);
    if (s == AGON_OK && o->objective)
        s = plan_memory(x, m, members, o, &workspace_limit);
    if (s == AGON_OK)
        s = workspace_new(x->ctx, workspace_limit, &x->work);
    if (s == AGON_OK)
        s = arena_new(x->ctx, 0, &x->step);
    x->trainers = memory_new(x->n, sizeof *x->trainers);
    x->options = memory_new(x->n, sizeof *x->options);
    if (s == AGON_OK && (!x->trainers || !x->options))
        s = ctx_fail(x->ctx, AGON_ENOMEM, "train: out of memory");
    for (size_t i = 0; i < x->n && s == AGON_OK; i++) {
        x->options[i] = *o;
        s = open_member(x, i, m, &members[i]);
    }
    return s;
}

static void team_close(team *x) {
    for (size_t i = 0; x->trainers && i < x->n; i++)
        if (x->trainers[i].ctx) /* opened, or begun to be */
            trainer_close(&x->trainers[i]);
    free(x->trainers);
    free(x->options);
    workspace_free(x->work);
    arena_free(x->step);
}

/* ---- stored state ---------------------------------------------------------------------------------- */

/* Steps that every member has taken, or all it has. */
static size_t steps_of_all(const team *x) {
    size_t least = x->n_steps;
    for (size_t i = 0; i < x->n; i++)
        if (!trainer_is_done(&x->trainers[i]) && x->trainers[i].next_step < least)
            least = x->trainers[i].next_step;
    return least;
}

static agon_status store(team *x, const train_sink *sink) {
    const train_image image = {x->trainers, x->n, true};
    agon_status s = AGON_OK;
    for (size_t i = 0; i < x->n && s == AGON_OK; i++)
        s = trainer_check(&x->trainers[i]);
    if (s != AGON_OK)
        return s;
    const byte_stream state = image_stream(&image);
    return sink->on_checkpoint(sink->arg, steps_of_all(x), &state);
}

static agon_status take_up(team *x, const byte_reader *r) {
    byte_reader *parts = memory_new(x->n, sizeof *parts);
    agon_status s = parts ? image_of_several(x->ctx, r, x->n, parts) : ctx_fail(x->ctx, AGON_ENOMEM, "train: out of memory");
    for (size_t i = 0; i < x->n && s == AGON_OK; i++)
        s = trainer_take_up(&x->trainers[i], &parts[i]);
    free(parts);
    return s;
}

/* ---- steps ------------------------------------------------------------------------------------------- */

/* The least step that anybody has to take, by all that stand there. */
static agon_status common_step(team *x, const train_sink *sink) {
    size_t step = steps_of_all(x);
    agon_status s = AGON_OK;
    for (size_t i = 0; i < x->n && s == AGON_OK; i++) {
        if (trainer_is_done(&x->trainers[i]) || x->trainers[i].next_step != step)
            continue; /* out of steps, or ahead since an interruption */
        s = trainer_step(&x->trainers[i], sink);
        if (s != AGON_OK && s != AGON_EINTERRUPTED)
            s = ctx_prefix(x->ctx, s, "adapter %zu of %zu", i + 1, x->n);
    }
    return s == AGON_OK && checkpoint_is_due(x->trainers[0].options, step + 1, x->n_steps, sink) ? store(x, sink) : s;
}

static bool any_step(const team *x) {
    for (size_t i = 0; i < x->n; i++)
        if (x->trainers[i].next_step > 0)
            return true;
    return false;
}

agon_status train_members(agon_ctx *ctx, model *m, const train_member *members, size_t n, const train_options *options,
                          const train_sink *sink, const byte_reader *resume) {
    team x = {.ctx = ctx, .n = n};
    agon_status s = team_open(&x, m, members, options);
    if (s == AGON_OK && resume)
        s = take_up(&x, resume);
    while (s == AGON_OK && steps_of_all(&x) < x.n_steps)
        s = common_step(&x, sink);
    for (size_t i = 0; i < n && s == AGON_OK; i++)
        s = trainer_finish(&x.trainers[i]);
    /* A member's parameters change at the end of its step only, so what was stopped inside one is still the step before. */
    if (s == AGON_EINTERRUPTED && any_step(&x) && sink && sink->on_checkpoint) {
        agon_status stored = store(&x, sink);
        s = stored == AGON_OK ? s : stored; /* what was said of the stop stands: what succeeds says nothing */
    }
    team_close(&x);
    return s;
}
