/* Planning attacks, see aim.h. */
#include "recipe/aim.h"
#include "base/ctx.h"
#include "base/random.h"
#include "eval/curriculum.h"
#include <stdlib.h>
#include <string.h>

enum {
    MAX_TRIES = 24,  /* draws for one query before a cell counts as used up */
    MOST_KNOWN = 200 /* draws in a row that bring nothing new before all tasks of a cell count as seen */
};

agon_status aim_new(agon_ctx *ctx, const size_t *cells, size_t n, double near_duplicate, aim *out) {
    aim a = {.cells = cells, .n = n, .records = memory_new(n + 1, sizeof *a.records), .asked = json_object(), .reserved = json_object()};
    agon_status s = a.records && a.asked && a.reserved ? dedup_new(ctx, near_duplicate, &a.seen) : ctx_fail(ctx, AGON_ENOMEM, "no memory to aim");
    if (!s)
        s = contamination_new(ctx, &a.held_out);
    if (s)
        aim_free(&a);
    else
        *out = a;
    return s;
}

void aim_free(aim *a) {
    free(a->records);
    dedup_free(a->seen);
    contamination_free(a->held_out);
    json_decref(a->asked);
    json_decref(a->reserved);
    *a = (aim){0};
}

static size_t sum(const size_t *x) {
    size_t total = 0;
    for (size_t p = 0; p < PERTURBATION_N; p++)
        total += x[p];
    return total;
}
size_t aim_solved(const cell_record *r) {
    return sum(r->solved);
}
size_t aim_tried(const cell_record *r) {
    return sum(r->tried);
}

size_t aim_place(const aim *a, size_t cell) {
    for (size_t i = 0; i < a->n; i++)
        if (a->cells[i] == cell)
            return i;
    return SIZE_MAX;
}

static agon_status keep_clear_of_suite(agon_ctx *ctx, const aim *a, const suite *x) {
    agon_status s = AGON_OK;
    for (size_t i = 0; x && i < suite_n_items(x) && !s; i++)
        s = contamination_add_text(ctx, a->held_out, suite_get(x, i).query);
    return s;
}

agon_status aim_keep_clear(cast *c, aim *a) {
    agon_status s = AGON_OK;
    if (c->rules < 13)
        contamination_compare_tokens(a->held_out);
    if (c->rules < 21)
        contamination_know_tasks_alone(a->held_out);
    for (size_t i = 0; i < GATE_MAX_SUITES && !s; i++)
        s = keep_clear_of_suite(c->actors.ctx, a, c->suites[i]);
    for (size_t i = 0; c->text && i < perplexity_n_documents(c->text) && !s; i++)
        s = contamination_add_text(c->actors.ctx, a->held_out, perplexity_document(c->text, i));
    return s;
}

agon_status aim_pass_over(agon_ctx *ctx, aim *a, json_t *identities) {
    a->n_passed_over += json_object_size(identities);
    return json_object_update(a->asked, identities) == 0 ? AGON_OK : ctx_no_memory(ctx);
}

/* Half of the queries are worded plainly, the rest by one of the perturbations. */
static task_perturbation any_perturbation(rng *r) {
    return rng_below(r, 2) ? PERTURBATION_NONE
                           : (task_perturbation)(PERTURBATION_NONE + 1 + rng_below(r, PERTURBATION_N - 1));
}

/* ---- held out ------------------------------------------------------------------------------------------ */

/* What one call draws: its tasks, and how many of each place were held out by no call before and still may be. */
typedef struct reserve {
    json_t *now;
    size_t *room;
} reserve;

static agon_status identify(cast *c, const draw *d, char **identity) {
    task_query q = {0};
    agon_status s = task_generate(c->actors.ctx, d->cell, d->seed, d->perturbation, &q);
    if (!s && !(*identity = task_identity(&q)))
        s = ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for held-out queries");
    task_query_free(&q);
    return s;
}

/* How many tasks a cell has, counted up to `most`. */
static agon_status count_tasks(cast *c, size_t cell, size_t most, size_t *n) {
    json_t *seen = json_object();
    agon_status s = seen ? AGON_OK : ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for held-out queries");
    *n = 0;
    for (size_t k = 0, known = 0; *n < most && known < MOST_KNOWN && !s; k++) {
        const draw d = {cell, task_seed((uint64_t)c->config->seed, "count", cell, k), PERTURBATION_NONE};
        char *identity = NULL;
        s = identify(c, &d, &identity);
        known = identity && json_object_get(seen, identity) ? known + 1 : 0;
        if (identity)
            json_object_set_new(seen, identity, json_true());
        free(identity);
        *n = json_object_size(seen);
    }
    json_decref(seen);
    return s;
}

/* Half of a cell's tasks is held out at most, over all calls: the rest is there to train on. */
static agon_status reserve_new(cast *c, const aim *a, size_t n, reserve *out) {
    *out = (reserve){json_object(), memory_new(a->n + 1, sizeof *out->room)};
    agon_status s = out->now && out->room ? AGON_OK : ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for held-out queries");
    for (size_t place = 0; place < a->n && !s; place++) {
        size_t held = a->records[place].n_held_out, n_tasks = 0;
        s = count_tasks(c, a->cells[place], 2 * (held + n / a->n + 1), &n_tasks);
        out->room[place] = n_tasks / 2 > held ? n_tasks / 2 - held : 0;
    }
    return s;
}

static void reserve_free(reserve *r) {
    json_decref(r->now);
    free(r->room);
}

/* A task that nobody was asked in training and that is not in this draw yet: a copy is no further evidence. */
static agon_status fresh(cast *c, aim *a, const draw *d, size_t place, reserve *r, bool *ok) {
    char *identity = NULL;
    agon_status s = identify(c, d, &identity);
    *ok = identity && !json_object_get(a->asked, identity);
    if (*ok && c->rules >= 2) {
        bool known = json_object_get(a->reserved, identity);
        *ok = !json_object_get(r->now, identity) && (known || r->room[place] > 0);
        if (*ok && !known) {
            r->room[place]--;
            a->records[place].n_held_out++;
        }
        if (*ok && (json_object_set_new(a->reserved, identity, json_true()) || json_object_set_new(r->now, identity, json_true())))
            s = ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for held-out queries");
    }
    free(identity);
    return s;
}

agon_status aim_held_out(cast *c, aim *a, const char *path, const char *space, size_t n, query_list *out) {
    draw *draws = memory_new(n + 1, sizeof *draws);
    uint64_t *next = memory_new(a->n + 1, sizeof *next);
    rng r = rng_new(seed_derivef((uint64_t)c->config->seed, "held_out|%s", space));
    size_t from = out->n, kept = 0;
    reserve reserved = {0};
    agon_status s = draws && next ? AGON_OK : ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for held-out queries");
    if (!s && c->rules >= 2)
        s = reserve_new(c, a, n, &reserved);
    for (size_t i = 0; i < n && !s; i++) {
        size_t place = i % a->n, cell = a->cells[place];
        task_perturbation wording = PERTURBATION_NONE;
        bool ok = false;
        for (size_t k = 0; k < MAX_TRIES + a->n_passed_over && !ok && !s; k++) {
            if (k == 0 || c->rules < 2)
                wording = any_perturbation(&r);
            draws[kept] = (draw){cell, task_seed((uint64_t)c->config->seed, space, cell, next[place]++), wording};
            s = fresh(c, a, &draws[kept], place, &reserved, &ok);
        }
        kept += ok;
    }
    reserve_free(&reserved);
    if (!s)
        s = draw_queries(&c->actors, path, draws, kept, out);
    for (size_t i = from; i < out->n && !s; i++) {
        task_query q = {0};
        s = query_task(&c->actors, &out->items[i], &q);
        if (!s)
            s = contamination_add_query(c->actors.ctx, a->held_out, &q);
        task_query_free(&q);
    }
    free(draws);
    free(next);
    return s;
}

/* ---- waves --------------------------------------------------------------------------------------------- */

/* Is this draw worth asking? Counts why not. */
static agon_status acceptable(cast *c, aim *a, const draw *d, bool *ok) {
    agon_ctx *ctx = c->actors.ctx;
    task_query q = {0};
    size_t earlier = SIZE_MAX;
    bool hit = false;
    agon_status s = task_generate(ctx, d->cell, d->seed, d->perturbation, &q);
    *ok = false;
    if (!s && task_check(ctx, &q) != AGON_OK) {
        a->rejected.ill_posed++;
        goto done;
    }
    if (!s)
        s = dedup_find(ctx, a->seen, q.text, &earlier);
    if (!s)
        s = contamination_has_query(ctx, a->held_out, &q, &hit);
    a->rejected.duplicate += earlier != SIZE_MAX;
    a->rejected.held_out += earlier == SIZE_MAX && hit;
    *ok = !s && earlier == SIZE_MAX && !hit;
    char *identity = *ok ? task_identity(&q) : NULL;
    if (*ok)
        s = dedup_add(ctx, a->seen, q.text);
    if (identity)
        json_object_set_new(a->asked, identity, json_true());
    free(identity);
done:
    task_query_free(&q);
    return s;
}

typedef struct aiming {
    double *cells;      /* probabilities, [n] */
    size_t *solved, *tried;
} aiming;

static agon_status weigh(cast *c, const aim *a, aiming *w) {
    *w = (aiming){memory_new(a->n + 1, sizeof(double)), memory_new(a->n + 1, sizeof(size_t)),
                  memory_new(a->n + 1, sizeof(size_t))};
    if (!w->cells || !w->solved || !w->tried)
        return ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory to aim");
    for (size_t i = 0; i < a->n; i++) {
        w->solved[i] = aim_solved(&a->records[i]);
        w->tried[i] = aim_tried(&a->records[i]);
    }
    curriculum_probabilities(w->solved, w->tried, a->n, c->config->attacker.floor, w->cells);
    return AGON_OK;
}

/* Within a cell the wording it fails more often, by the same weight. */
static task_perturbation aimed_perturbation(const cell_record *r, rng *rng) {
    double p[PERTURBATION_N];
    curriculum_probabilities(r->solved, r->tried, PERTURBATION_N, 0.5, p);
    return (task_perturbation)curriculum_draw(p, PERTURBATION_N, rng_uniform(rng));
}

/* The cell of the next draw: by weight, or (NULL) in turn. Retired ones are passed over four times of five; where all are, one comes all the same. */
static size_t next_place(aim *a, const double *weights, size_t *turn, rng *r) {
    size_t place = 0;
    for (size_t k = 0; k < AIM_RETEST * a->n; k++) {
        place = weights ? curriculum_draw(weights, a->n, rng_uniform(r)) : (*turn)++ % a->n;
        if (!a->records[place].retired || ++a->records[place].passed_over % AIM_RETEST == 0)
            break;
    }
    return place;
}

agon_status aim_wave(cast *c, aim *a, size_t wave, size_t n, bool targeted, draw **out, size_t *n_out) {
    draw *draws = memory_new(n + 1, sizeof *draws);
    aiming w = {0};
    rng r = rng_new(seed_derivef((uint64_t)c->config->seed, "wave|%lld|%zu", (long long)c->actors.iteration, wave));
    size_t kept = 0, turn = 0;
    agon_status s = draws ? weigh(c, a, &w) : ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for a wave");
    for (size_t i = 0; i < n && !s; i++) {
        bool aimed = targeted && rng_uniform(&r) >= c->config->attacker.untargeted, ok = false;
        size_t place = next_place(a, aimed ? w.cells : NULL, &turn, &r);
        cell_record *cell = &a->records[place];
        for (size_t k = 0; k < MAX_TRIES && !ok && !s; k++) {
            draws[kept] = (draw){a->cells[place],
                                 task_seed((uint64_t)c->config->seed, "train", a->cells[place], cell->next++),
                                 aimed ? aimed_perturbation(cell, &r) : any_perturbation(&r)};
            s = acceptable(c, a, &draws[kept], &ok);
        }
        kept += ok;
    }
    free(w.cells);
    free(w.solved);
    free(w.tried);
    if (s) {
        free(draws);
        return s;
    }
    *out = draws;
    *n_out = kept;
    return AGON_OK;
}

agon_status aim_gold(cast *c, aim *a, size_t n, draw **out, size_t *n_out) {
    draw *draws = memory_new(n * a->n + 1, sizeof *draws);
    size_t kept = 0;
    agon_status s = draws ? AGON_OK : ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for gold examples");
    for (size_t place = 0; place < a->n && !s; place++) {
        uint64_t next = 0;
        for (size_t i = 0; i < n && !s; i++) {
            bool ok = false;
            for (size_t k = 0; k < MAX_TRIES && !ok && !s; k++) {
                draws[kept] = (draw){a->cells[place], task_seed((uint64_t)c->config->seed, "gold", a->cells[place], next++),
                                     PERTURBATION_NONE};
                s = acceptable(c, a, &draws[kept], &ok);
            }
            kept += ok;
        }
    }
    if (s) {
        free(draws);
        return s;
    }
    *out = draws;
    *n_out = kept;
    return AGON_OK;
}

static void count_one(cell_record *r, task_perturbation p, bool solved) {
    size_t at = r->n % AIM_WINDOW;
    if (r->n >= AIM_WINDOW) { /* the oldest leaves */
        r->tried[r->window[at].perturbation]--;
        r->solved[r->window[at].perturbation] -= r->window[at].solved;
    }
    r->window[at].perturbation = (uint8_t)p;
    r->window[at].solved = solved;
    r->n++;
    r->tried[p]++;
    r->solved[p] += solved;
    r->now_tried++;
    r->now_solved += solved;
    if (!solved) {
        r->retired = false;
        r->solved_iterations = 0;
    }
}

void aim_count(aim *a, const query_list *queries, const answer_list *answers, size_t from) {
    for (size_t i = from; i < answers->n; i++) {
        const answer *x = &answers->items[i];
        const query *q = &queries->items[x->query];
        size_t place = aim_place(a, q->cell);
        if (place != SIZE_MAX && x->outcome != OUTCOME_UNKNOWN)
            count_one(&a->records[place], q->perturbation, x->outcome == OUTCOME_PASS);
    }
}

void aim_forget(aim *a) {
    for (size_t i = 0; i < a->n; i++) {
        cell_record *r = &a->records[i];
        memset(r->solved, 0, sizeof r->solved);
        memset(r->tried, 0, sizeof r->tried);
        r->n = 0;
    }
    a->probed = false;
}

size_t aim_retire(aim *a) {
    size_t n = 0;
    for (size_t i = 0; i < a->n; i++) {
        cell_record *r = &a->records[i];
        if (r->now_tried >= AIM_SURE)
            r->solved_iterations = r->now_solved == r->now_tried ? r->solved_iterations + 1 : 0;
        r->retired = r->retired || r->solved_iterations >= AIM_SOLVED_ITERATIONS;
        r->now_solved = r->now_tried = 0;
        n += r->retired;
    }
    return n;
}
