/* The loop's control arms (loop specification sections 1 and 5): would training on something else, at the same loss tokens, have gained as much?
 *
 *   random_labels  what the untrained learner answered, whatever the verdict, in place of all that was demonstrated or verified; cells in turn
 *   real_only      the real answers alone (gold, demonstrations), repeated
 *   shuffled       the loop's own examples, each with the answer to another query of its cell: the form without the content
 *
 * Of an objective on pairs random_labels are the loop's own pairs, each turned round by a coin, and there is no shuffled.
 *
 * An arm goes the way of the version that it is held against: from the base, one training for each promoted one, with the same plan, the same prose and
 * as many loss tokens. (Was nothing promoted: the one training of the last candidate.) Version and arms answer the held-out tasks of the last evaluation.
 * Only answers given before the first promotion are drawn from: later ones come of a learner that verdicts have taught.
 *
 * All of it is a run of its own, "NAME.ITERATION.arms", after the end of the loop's, which it leaves as it was: arms may be asked for afterwards. */
#include "base/ctx.h"
#include "base/random.h"
#include "recipe/loop_private.h"
#include "step/work.h"
#include "train/samples.h"
#include <stdlib.h>
#include <string.h>

/* ---- what is remembered while the loop runs ------------------------------------------------------------------------ */

static void forget_lessons(loop_arms *a) {
    for (size_t i = 0; i < a->n_lessons; i++)
        example_list_free(&a->lessons[i].examples);
    a->n_lessons = 0;
}

static void forget_tasks(loop_arms *a) {
    query_list_free(&a->tasks);
    free(a->base);
    free(a->version);
    free(a->sets);
    a->base = a->version = NULL;
    a->sets = NULL;
}

void loop_arms_free(loop_arms *a) {
    forget_lessons(a);
    forget_tasks(a);
    free(a->lessons);
    json_decref(a->rows);
    *a = (loop_arms){0};
}

static agon_status note_lesson(loop *l) {
    loop_arms *a = &l->arms;
    lesson *more = realloc(a->lessons, size_mul(a->n_lessons + 1, sizeof *more));
    if (!more)
        return ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for control arms");
    a->lessons = more;
    lesson *t = &a->lessons[a->n_lessons++];
    *t = (lesson){.iteration = l->c->actors.iteration, .n_answers = a->n_untaught ? a->n_untaught : l->answers.n};
    agon_status s = AGON_OK;
    for (size_t i = 0; i < l->examples.n && !s; i++)
        s = example_add(l->c, &t->examples, &l->examples.items[i]);
    return s;
}

/* The tasks that counted and can be verified; `right` of the version that the loop ends with as things stand. */
static agon_status note_tasks(loop *l, const held_out_result *r, const bool *right) {
    loop_arms *a = &l->arms;
    forget_tasks(a);
    a->tasks.memory = l->held_out.memory;
    a->iteration = l->c->actors.iteration;
    a->base = memory_new(r->n + 1, sizeof *a->base);
    a->version = memory_new(r->n + 1, sizeof *a->version);
    a->sets = memory_new(r->n + 1, sizeof *a->sets);
    a->n_sets = l->held_out.n;
    if (!a->base || !a->version || !a->sets)
        return ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for control arms");
    for (size_t i = 0; i < r->n; i++) {
        const query *from = &l->held_out.items[r->counted[i]];
        if (loop_left_to_people(from)) /* who are not asked about the arms */
            continue;
        query *q = query_list_add(&a->tasks);
        if (!q)
            return ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for control arms");
        *q = *from;
        json_incref(q->task);
        a->base[a->tasks.n - 1] = r->base[i];
        a->version[a->tasks.n - 1] = right[i];
        a->sets[a->tasks.n - 1] = loop_set_of(l, r->counted[i]);
    }
    return AGON_OK;
}

agon_status loop_note_training(loop *l, const held_out_result *r) {
    loop_arms *a = &l->arms;
    agon_status s = AGON_OK;
    if (!l->config->evaluate.arms)
        return AGON_OK;
    if (!a->promoted)
        forget_lessons(a); /* of candidates that came to nothing */
    if (l->promoted || !a->promoted)
        s = note_lesson(l);
    bool incumbent = a->promoted && !l->promoted;
    a->promoted = a->promoted || l->promoted;
    return s ? s : note_tasks(l, r, incumbent ? r->incumbent : r->candidate);
}

void loop_arms_rolled_back(loop *l, int64_t iteration) {
    loop_arms *a = &l->arms;
    if (!a->promoted)
        return;
    if (!a->n_untaught)
        a->n_untaught = a->lessons[0].n_answers;
    while (a->n_lessons > 0 && a->lessons[a->n_lessons - 1].iteration > iteration)
        example_list_free(&a->lessons[--a->n_lessons].examples);
    a->promoted = a->n_lessons > 0;
    forget_tasks(a); /* the version that stands now did not answer them */
}

/* ---- what an arm is trained on --------------------------------------------------------------------------------------- */

static int64_t loss_tokens(const example_list *examples, bool prose) {
    int64_t n = 0;
    for (size_t i = 0; i < examples->n; i++)
        n += examples->items[i].raw == prose ? examples->items[i].n_tokens : 0;
    return n;
}

/* The query an example answers; NULL: prose. */
static const query *asked(const loop *l, const example *e) {
    for (size_t i = 0; i < l->queries.n && !e->raw && e->n_texts > 0; i++)
        if (strcmp(l->queries.items[i].id, e->texts[0]) == 0)
            return &l->queries.items[i];
    return NULL;
}

/* Its cell's place; the user's own queries have one together, after them. */
static size_t place_of(const loop *l, const query *q) {
    size_t place = q ? aim_place(&l->aim, q->cell) : SIZE_MAX;
    return place == SIZE_MAX ? l->aim.n : place;
}

static const char *stream(loop *l, const arm *a, const lesson *t) {
    const char *name = arena_printf(l->c->memory, "%s|%lld", a->name, (long long)t->iteration);
    return name ? name : a->name;
}

static agon_status take_prose(loop *l, arm *a, const lesson *t) {
    agon_status s = AGON_OK;
    for (size_t i = 0; i < t->examples.n && !s; i++)
        if (t->examples.items[i].raw)
            s = arm_add(l->c, a, &t->examples.items[i]);
    return s;
}

static bool has(const arm *a, const char *prompt, const char *chosen) {
    for (size_t i = 0; i < a->examples.n; i++)
        if (strcmp(a->examples.items[i].prompt, prompt) == 0 && strcmp(a->examples.items[i].chosen, chosen) == 0)
            return true;
    return false;
}

/* Takes answer x unless it is there already, is longer than *room or held out. */
static agon_status offer(loop *l, arm *a, const answer *x, int64_t *room, bool *taken) {
    const query *q = &l->queries.items[x->query];
    example e = {.objective = "sft", .origin = "new", .prompt = q->text, .identity = q->identity, .chosen = x->text, .chosen_cut = choose_is_cut(l->c, x), .texts = {q->id}, .n_texts = 1};
    bool held_out = false;
    if (has(a, q->text, x->text))
        return AGON_OK;
    agon_status s = example_count_tokens(&l->c->actors, x->text, !e.chosen_cut, &e.n_tokens);
    if (s || e.n_tokens > *room)
        return s;
    s = choose_is_held_out(l->c, &l->aim, &e, &held_out);
    if (s || held_out)
        return s;
    *taken = true;
    *room -= e.n_tokens;
    return arm_add(l->c, a, &e);
}

/* Untaught answers in an order drawn by seed, one a cell in turn as the loop's own are taken, until `room` is full. */
static agon_status take_untaught(loop *l, arm *a, const lesson *t, int64_t room) {
    const size_t n = l->arms.lessons[0].n_answers;
    size_t *order = NULL, *cursor = memory_new(l->aim.n + 1, sizeof *cursor);
    agon_status s = cursor ? arm_order(l->c, stream(l, a, t), n, &order) : ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for an arm");
    for (bool any = true; any && !s;) {
        any = false;
        for (size_t p = 0; p <= l->aim.n && !s; p++) {
            bool taken = false;
            while (cursor[p] < n && !taken && !s) {
                const answer *x = &l->answers.items[order[cursor[p]++]];
                if (strcmp(x->kind, "response") == 0 && *x->text && place_of(l, &l->queries.items[x->query]) == p)
                    s = offer(l, a, x, &room, &taken);
            }
            any = any || taken;
        }
    }
    free(order);
    free(cursor);
    return s;
}

static agon_status turn_pairs(loop *l, arm *a, const lesson *t) {
    rng r = rng_new(seed_derivef((uint64_t)l->config->seed, "arm|%s", stream(l, a, t)));
    agon_status s = AGON_OK;
    for (size_t i = 0; i < t->examples.n && !s; i++) {
        example e = t->examples.items[i];
        if (rng_below(&r, 2)) {
            e.chosen = t->examples.items[i].rejected;
            e.rejected = t->examples.items[i].chosen;
            e.chosen_cut = t->examples.items[i].rejected_cut;
            e.rejected_cut = t->examples.items[i].chosen_cut;
            s = example_count_tokens(&l->c->actors, e.chosen, !e.chosen_cut, &e.n_tokens);
        }
        if (!s)
            s = arm_add(l->c, a, &e);
    }
    return s;
}

static agon_status random_labels(loop *l, arm *a, const lesson *t) {
    if (loop_learns_from_pairs(l))
        return turn_pairs(l, a, t);
    agon_status s = take_prose(l, a, t);
    return s ? s : take_untaught(l, a, t, loss_tokens(&t->examples, false));
}

typedef struct seat {
    size_t place, query, example;
} seat;

static int by_place(const void *a, const void *b) {
    const seat *x = a, *y = b;
    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    if (x->query != y->query)
        return x->query < y->query ? -1 : 1;
    return x->example < y->example ? -1 : x->example > y->example;
}

/* The next group from `start` on: a cell's examples, with its neighbour's where it has but one. Returns where it ends. */
static size_t group_end(const seat *seats, size_t n, size_t start) {
    size_t end = start + 1;
    while (end < n && (seats[end].place == seats[end - 1].place || end - start < 2 || n - end == 1))
        end++;
    return end;
}

/* Answers move half a cell on, in the order of their queries: none stays, and none moves to another example of its own query unless that query has
 * half of the cell's. */
static agon_status shuffled(loop *l, arm *a, const lesson *t) {
    seat *seats = memory_new(t->examples.n + 1, sizeof *seats);
    size_t n = 0;
    agon_status s = seats ? take_prose(l, a, t) : ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for an arm");
    for (size_t i = 0; i < t->examples.n && !s; i++) {
        const query *q = asked(l, &t->examples.items[i]);
        if (!t->examples.items[i].raw)
            seats[n++] = (seat){place_of(l, q), q ? (size_t)(q - l->queries.items) : SIZE_MAX, i};
    }
    if (!s)
        qsort(seats, n, sizeof *seats, by_place);
    for (size_t start = 0, end; start < n && !s; start = end) {
        end = group_end(seats, n, start);
        const size_t size = end - start, half = size / 2;
        for (size_t k = 0; k < size && !s; k++) {
            const example *from = &t->examples.items[seats[start + (k + half) % size].example];
            example e = t->examples.items[seats[start + k].example];
            e.chosen = from->chosen;
            e.chosen_cut = from->chosen_cut;
            e.n_tokens = from->n_tokens;
            s = arm_add(l->c, a, &e);
        }
    }
    free(seats);
    return s;
}

static bool is_real_answer(const example *e) {
    return !e->raw && strcmp(e->origin, "real") == 0;
}

static size_t n_real_answers(const lesson *t) {
    size_t n = 0;
    for (size_t i = 0; i < t->examples.n; i++)
        n += is_real_answer(&t->examples.items[i]);
    return n;
}

/* Prose once, as the version had it, and answers repeated to the tokens; nothing where there is no answer. Before rules 14 prose was repeated with
 * them, which can be nearly all of it. */
static agon_status real_only(loop *l, arm *a, const lesson *t) {
    const int64_t wanted = loss_tokens(&t->examples, false) + loss_tokens(&t->examples, true);
    const bool once = l->c->rules >= 14;
    size_t *order = NULL, before;
    if (once && n_real_answers(t) == 0)
        return AGON_OK;
    agon_status s = arm_order(l->c, stream(l, a, t), t->examples.n, &order);
    if (!s && once)
        s = take_prose(l, a, t);
    do {
        before = a->examples.n;
        for (size_t k = 0; k < t->examples.n && !s; k++) {
            const example *e = &t->examples.items[order[k]];
            const bool again = is_real_answer(e) || (!once && e->raw);
            if (again && a->n_tokens + e->n_tokens <= wanted)
                s = arm_add(l->c, a, e);
        }
    } while (a->examples.n > before && !s);
    free(order);
    return s;
}

/* ---- training and testing ------------------------------------------------------------------------------------------- */

typedef struct control {
    const char *name;
    agon_status (*fill)(loop *l, arm *a, const lesson *t);
    bool pairs; /* is there one of pairs? */
} control;

static const control controls[] = {{"random_labels", random_labels, true}, {"real_only", real_only, true}, {"shuffled", shuffled, false}};

agon_status loop_fill_arm(loop *l, const char *name, const lesson *t, arm *a) {
    for (size_t k = 0; k < sizeof controls / sizeof *controls; k++)
        if (strcmp(controls[k].name, name) == 0)
            return controls[k].fill(l, a, t);
    return ctx_fail(l->c->actors.ctx, AGON_ENOTFOUND, "no control arm %s", name);
}

/* What an arm took over all its lessons. */
typedef struct tally {
    size_t examples, judged, right; /* judged: examples whose answer the verifier knows */
    int64_t tokens, wanted;
} tally;

static bool passed(const json_t *result) {
    return strcmp(field_text(json_object_get(result, "out"), "outcome"), "pass") == 0;
}

static bool failed(const json_t *result) {
    return strcmp(field_text(json_object_get(result, "out"), "outcome"), "fail") == 0;
}

/* What the verifier says of the answers that the arm learns from. */
static agon_status judge_labels(loop *l, const char *name, const example_list *examples, tally *sum) {
    json_t *inputs = json_array(), *results = NULL, *result;
    agon_status s = json_made(l->c->actors.ctx, inputs);
    size_t i;
    for (i = 0; i < examples->n && !s; i++) {
        const query *q = asked(l, &examples->items[i]);
        if (q)
            s = json_append(l->c->actors.ctx, inputs, json_pack("{sO ss}", "query", q->task, "response", examples->items[i].chosen));
    }
    if (!s)
        s = work_run(&l->c->actors, cast_path(l->c, "arm/%s/labels", name), &work_verify, inputs, NULL, NULL, &results);
    json_array_foreach(results, i, result) {
        sum->right += passed(result);
        sum->judged += passed(result) || failed(result);
    }
    json_decref(results);
    json_decref(inputs);
    return s;
}

static void count_lesson(tally *sum, const lesson *t, const example_list *examples, int64_t tokens) {
    sum->examples += examples->n;
    sum->tokens += tokens;
    sum->wanted += loss_tokens(&t->examples, false) + loss_tokens(&t->examples, true);
}

static agon_status test_arm(loop *l, arm *a) {
    const query_list *tasks = &l->arms.tasks;
    json_t *questions = json_array(), *answers = NULL, *inputs = json_array(), *results = NULL;
    agon_status s = questions && inputs ? AGON_OK : ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for an arm");
    for (size_t i = 0; i < tasks->n && !s; i++)
        s = json_append(l->c->actors.ctx, questions, arm_question(l->c, a, tasks->items[i].id, tasks->items[i].text));
    if (!s)
        s = arm_answer(l->c, a, questions, &answers);
    for (size_t i = 0; i < tasks->n && !s; i++)
        s = json_append(l->c->actors.ctx, inputs, json_pack("{sO ss}", "query", tasks->items[i].task, "response", arm_text(answers, i)));
    if (!s)
        s = work_run(&l->c->actors, cast_path(l->c, "arm/%s/verify", a->name), &work_verify, inputs, NULL, NULL, &results);
    for (size_t i = 0; i < tasks->n && !s; i++)
        a->right[i] = passed(json_array_get(results, i));
    json_decref(results);
    json_decref(inputs);
    json_decref(answers);
    json_decref(questions);
    return s;
}

/* One training for each of the version's; *empty: there is nothing to train on in one. */
static agon_status train_arm(loop *l, arm *a, tally *sum, bool *empty) {
    agon_status s = AGON_OK;
    memcpy(a->version, l->c->actors.base, sizeof a->version);
    for (size_t i = 0; i < l->arms.n_lessons && !*empty && !s; i++) {
        const lesson *t = &l->arms.lessons[i];
        char parent[STORE_ID_SIZE];
        memcpy(parent, a->version, sizeof parent);
        example_list_free(&a->examples);
        a->n_tokens = 0;
        l->c->actors.iteration = t->iteration;
        s = loop_fill_arm(l, a->name, t, a);
        *empty = !s && a->examples.n == 0;
        if (!s && !*empty)
            s = judge_labels(l, a->name, &a->examples, sum);
        if (!s && !*empty)
            s = arm_train(l->c, a, parent);
        count_lesson(sum, t, &a->examples, a->n_tokens);
    }
    l->c->actors.iteration = l->arms.iteration;
    return s;
}

static arm_tasks tasks_of(const loop_arms *a) {
    return (arm_tasks){a->tasks.n, a->sets, a->n_sets};
}

static json_t *row_of(const loop *l, const char *name, const char *version, const bool *right, const tally *sum) {
    json_t *row = arm_row(l->c->actors.ctx, name, right, l->arms.base, tasks_of(&l->arms), sum->examples, sum->tokens);
    json_object_set_new(row, "version", json_string(version));
    json_object_set_new(row, "labels_right", sum->judged ? json_real((double)sum->right / (double)sum->judged) : json_null());
    return row;
}

static agon_status one_arm(loop *l, const char *name, json_t *rows) {
    arm a = {.name = name};
    tally sum = {0};
    bool empty = false;
    agon_status s = train_arm(l, &a, &sum, &empty);
    if (!s && empty)
        cast_say(l->c, NULL, "arm %s: left out, there is nothing of that kind to train on", a.name);
    else if (!s)
        s = test_arm(l, &a);
    if (!s && !empty) {
        json_t *row = row_of(l, a.name, a.version, a.right, &sum), *difference = arm_against(l->c->actors.ctx, l->arms.version, a.right, tasks_of(&l->arms));
        json_object_set_new(row, "difference", difference);
        cast_say(l->c, NULL, "arm %s: %.1f%% of %zu held-out tasks; the loop's version %+.1f points [%+.1f, %+.1f]", a.name,
                 100 * field_real(row, "after"), l->arms.tasks.n, 100 * field_real(difference, "gain"),
                 100 * json_number_value(json_array_get(json_object_get(difference, "ci95"), 0)),
                 100 * json_number_value(json_array_get(json_object_get(difference, "ci95"), 1)));
        arm_note_lack(l->c, a.name, sum.tokens, sum.wanted, row);
        s = json_append(l->c->actors.ctx, rows, row);
    }
    arm_free(&a);
    return s;
}

/* The version itself, for its labels and tokens. */
static agon_status own_row(loop *l, json_t *rows) {
    const loop_arms *a = &l->arms;
    tally sum = {0};
    agon_status s = AGON_OK;
    for (size_t i = 0; i < a->n_lessons && !s; i++) {
        const example_list *examples = &a->lessons[i].examples;
        l->c->actors.iteration = a->lessons[i].iteration;
        s = judge_labels(l, "loop", examples, &sum);
        count_lesson(&sum, &a->lessons[i], examples, loss_tokens(examples, false) + loss_tokens(examples, true));
    }
    l->c->actors.iteration = a->iteration;
    return s ? s : json_append(l->c->actors.ctx, rows, row_of(l, "loop", a->promoted ? l->learner : l->candidate, a->version, &sum));
}

static agon_status give_rows(void *arg, json_t **result) {
    *result = json_pack("{sO}", "rows", (json_t *)arg);
    return AGON_OK;
}

static agon_status record_rows(loop *l, json_t *rows) {
    json_t *input = json_pack("{ss sI}", "version", l->arms.promoted ? l->learner : l->candidate, "tasks", (json_int_t)l->arms.tasks.n), *result = NULL;
    const step_key key = {.path = cast_path(l->c, "arms"), .kind = "arms"};
    agon_status s = step_once(l->c->run, &key, input, give_rows, rows, &result);
    l->arms.rows = json_incref(json_object_get(result, "rows"));
    json_decref(result);
    json_decref(input);
    return s;
}

static agon_status all_arms(void *arg) {
    loop *l = arg;
    json_t *rows = json_array();
    agon_status s = json_made(l->c->actors.ctx, rows);
    if (!s)
        s = cast_stage(l->c, "arms");
    if (!s)
        s = own_row(l, rows);
    for (size_t k = 0; k < sizeof controls / sizeof *controls && !s; k++)
        if (controls[k].pairs || !loop_learns_from_pairs(l))
            s = one_arm(l, controls[k].name, rows);
    if (!s)
        s = record_rows(l, rows);
    json_decref(rows);
    return s;
}

agon_status loop_begin_arms(loop *l, run **out) {
    const loop_arms *a = &l->arms;
    *out = NULL;
    if (!l->config->evaluate.arms)
        return AGON_OK;
    if (a->n_lessons == 0 || a->tasks.n == 0) {
        cast_say(l->c, NULL, "no control arms: %s", a->n_lessons == 0 ? "nothing was trained that they could be held against" : a->n_untaught ? "the version that was evaluated last was rolled back" : "no held-out answer could be verified");
        return AGON_OK;
    }
    const char *name = arena_printf(l->c->memory, "%s.%lld.arms", l->config->name, (long long)a->iteration);
    return name ? arms_begin(l->c, name, run_id(l->c->run), out) : ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for control arms");
}

agon_status loop_train_arms_take(loop *l, run *arms) {
    l->c->actors.iteration = l->arms.iteration;
    return arms_work_take(l->c, arms, all_arms, l);
}

/* ---- what they cost --------------------------------------------------------------------------------------------------- */

size_t loop_n_arms(const run_config *config) {
    const objective *o = objective_find(config->train.objective);
    size_t n = 0;
    for (size_t k = 0; k < sizeof controls / sizeof *controls; k++)
        n += controls[k].pairs || !o || !samples_make_pairs(o);
    return config->evaluate.arms ? n : 0;
}
