/* Where the attacker aims: cells where the learner fails but can learn (loop 2.11), nothing twice, nothing held out. Everything here is a pure
 * function of the run's seed and of what was answered before. */
#ifndef RECIPE_AIM_H
#define RECIPE_AIM_H

#include "recipe/cast.h"

enum { AIM_WINDOW = 64, AIM_RETEST = 5, AIM_SOLVED_ITERATIONS = 2, AIM_SURE = 8 };

/* What the learner did in a cell lately: its last AIM_WINDOW answers, so that the record follows a learner that learns (loop 2.11). A cell in which all
 * of at least AIM_SURE answers passed in each of two iterations in a row retires: of the draws that would go there one in AIM_RETEST does, and
 * a failure brings it back. */
typedef struct cell_record {
    size_t solved[PERTURBATION_N], tried[PERTURBATION_N]; /* of the window */
    struct {
        uint8_t perturbation;
        bool solved;
    } window[AIM_WINDOW]; /* a ring */
    size_t n;                        /* answers in all */
    size_t now_solved, now_tried;    /* of this iteration */
    size_t solved_iterations;        /* in a row */
    size_t passed_over;              /* draws, while retired */
    bool retired;
    uint64_t next; /* index of the next training seed */
    size_t n_held_out; /* different tasks, over all iterations */
} cell_record;

typedef struct rejected_queries {
    size_t duplicate, held_out, ill_posed;
} rejected_queries;

typedef struct aim {
    const size_t *cells; /* indices of task cells, [n]; borrowed */
    size_t n;
    cell_record *records; /* [n] */
    dedup *seen;
    json_t *asked; /* identities of the tasks that were asked in training: no later evaluation may hold one */
    json_t *reserved; /* of those that were held out */
    size_t n_passed_over; /* see aim_pass_over */
    contamination *held_out;
    rejected_queries rejected;
    bool probed; /* the learner has answered queries of all cells alike */
} aim;

AGON_MUST_CHECK agon_status aim_new(agon_ctx *ctx, const size_t *cells, size_t n, double near_duplicate, aim *out);
void aim_free(aim *a);
/* Adds the run's suites and held-out text to what training must not contain. */
AGON_MUST_CHECK agon_status aim_keep_clear(cast *c, aim *a);
/* No later evaluation may hold these tasks (a set of identities). */
AGON_MUST_CHECK agon_status aim_pass_over(agon_ctx *ctx, aim *a, json_t *identities);
size_t aim_solved(const cell_record *r);
size_t aim_tried(const cell_record *r);
/* Place of a cell in the aim's list, SIZE_MAX when it is not there. */
size_t aim_place(const aim *a, size_t cell);

/* Draws n fresh evaluation queries of namespace `space`, evenly over the cells, each of another task and none of a task asked before; they count as
 * held out from then on. Fewer come from a cell that has no other tasks left, and half of its tasks at most. */
AGON_MUST_CHECK agon_status aim_held_out(cast *c, aim *a, const char *path, const char *space, size_t n, query_list *out);
/* Plans a wave of n training queries: well-posed, not seen, not held out. targeted false: cells in turn; true: by curriculum weight, a share
 * `untargeted` of it in turn. Fewer come when a cell has nothing new left. */
AGON_MUST_CHECK agon_status aim_wave(cast *c, aim *a, size_t wave, size_t n, bool targeted, draw **out, size_t *n_out);
/* Plans the repository's gold examples: n tasks a cell of namespace "gold", under the same conditions as a wave. */
AGON_MUST_CHECK agon_status aim_gold(cast *c, aim *a, size_t n, draw **out, size_t *n_out);
/* Counts answers [from, n) of known outcome. */
void aim_count(aim *a, const query_list *queries, const answer_list *answers, size_t from);
/* Another learner answers from now on: what the old one solved says nothing about where this one fails. What is retired stays so until it is failed. */
void aim_forget(aim *a);
/* Ends an iteration: retires what is solved. Returns how many cells are retired now. */
size_t aim_retire(aim *a);

#endif
