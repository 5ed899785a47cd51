/* What a run will cost, before anything starts: tokens from the counts in the run file and the rows of the user's own queries, minutes at a measured
 * rate, labels of the expert. An estimate: how many failures there are to refine, or rewordings to drop, is known only afterwards; where it depends
 * on such things, the larger figure is taken. */
#include "base/ctx.h"
#include "recipe/gate_suites.h"
#include "recipe/recipe_private.h"
#include "task/task.h"
#include <math.h>
#include <string.h>

/* Tokens of a usual query in a chat template, of an answer, and of a word problem's working: measured over the task families. */
static const double PROMPT_TOKENS = 52, ANSWER_TOKENS = 16, EXAMPLE_TOKENS = 68, CRITIC_PROMPT_TOKENS = 48,
                    DOCUMENT_TOKENS = 250, REWORDING_PROMPT_TOKENS = 150, REWORDING_TOKENS = 40;
static const double TEMPLATE_TOKENS = 35, BYTES_A_TOKEN = 4; /* for the user's own text */
static const double PASSING = 0.25;                          /* of answers: what the quickstart's base model manages */
static const double ASKED_OF_FILE = 0.8;                     /* of its rows; the fifth is held out */

/* The user's own rows. */
typedef struct own_rows {
    double n, prompt_tokens, n_unverifiable;
    bool program; /* judges all rows without a verifier of their own */
} own_rows;

static agon_status count_row(void *arg, const char *where, json_t *row) {
    own_rows *own = arg;
    const char *query = json_string_value(json_object_get(row, "query"));
    const json_t *answer = json_object_get(row, "answer"), *verifier = json_object_get(row, "verifier");
    (void)where;
    own->n++;
    own->prompt_tokens += TEMPLATE_TOKENS + (double)(query ? strlen(query) : 0) / BYTES_A_TOKEN;
    own->n_unverifiable += !own->program && (!answer || json_is_null(answer)) && (!verifier || json_is_null(verifier));
    return AGON_OK;
}

/* A row of the trainer's: all of its text. */
static agon_status count_bytes(void *arg, const char *where, json_t *row) {
    own_rows *file = arg;
    char *text = json_dumps(row, JSON_COMPACT);
    (void)where;
    file->prompt_tokens += (double)(text ? strlen(text) : 0) / BYTES_A_TOKEN;
    free(text);
    return AGON_OK;
}

static agon_status count_rows(agon_ctx *ctx, const run_config *r, own_rows *out) {
    *out = (own_rows){.program = r->verifier.command != NULL};
    return r->tasks.file ? jsonl_read(ctx, r->tasks.file, count_row, out) : AGON_OK;
}

static size_t count_cells(const run_config *r) {
    size_t n = 0;
    for (size_t i = 0; i < task_n_cells(); i++) {
        char full[128];
        snprintf(full, sizeof full, "%s/%s", task_cell_family(i), task_cell_at(i)->name);
        bool named = r->tasks.cells.n == 0;
        for (size_t k = 0; k < r->tasks.cells.n && !named; k++)
            named = strcmp(r->tasks.cells.items[k], full) == 0 || strcmp(r->tasks.cells.items[k], task_cell_family(i)) == 0;
        n += named;
    }
    return n;
}

static void add_answers(expected *t, double n, double prompt, double samples, double length) {
    t->read += n * prompt; /* once for all samples of a query */
    t->generated += n * samples * length;
}

/* The gate's suites by generation, held-out text by likelihood, of `versions` models. */
static void suites(const run_config *r, double versions, expected *t) {
    const gate_suite_def *d;
    for (size_t i = 0; (d = gate_suite_at(i)); i++)
        add_answers(t, versions * (double)gate_suite_items(d, r), d->prompt_tokens, 1, d->answer_tokens);
    t->scored += versions * (double)r->evaluate.documents * DOCUMENT_TOKENS;
}

/* Examples in a training: what passes, as far as the real ones allow. */
static double examples(const run_config *r, double real, double answers) {
    double all = real + PASSING * answers;
    return r->build.real_share > 0 ? fmin(real / r->build.real_share, all) : all;
}

agon_status loop_cost(agon_ctx *ctx, const run_config *r, expected *t) {
    own_rows own;
    agon_status s = count_rows(ctx, r, &own);
    if (s)
        return s;
    const bool cells = r->tasks.cells.n > 0 || !r->tasks.file;
    const double it = (double)r->iterations, samples = (double)r->learner.samples, length = (double)r->learner.max_tokens;
    const double drawn = cells ? (double)r->attacker.queries : 0, file = ASKED_OF_FILE * own.n, asked = drawn + file;
    const double held_out = cells ? (double)r->evaluate.tasks : 0, refined = fmin(asked, (double)r->refine.queries) * (double)r->refine.samples +
                                                                              4 * fmin(asked, (double)r->refine.learnability);
    const double evaluations = 2 + 3 * (it - 1); /* base and candidate, later the incumbent too */
    if (cells)
        add_answers(t, it * (double)r->attacker.variations, REWORDING_PROMPT_TOKENS, 1, REWORDING_TOKENS);
    add_answers(t, it * drawn, PROMPT_TOKENS, samples, ANSWER_TOKENS);
    add_answers(t, it * refined, 2 * PROMPT_TOKENS, 1, ANSWER_TOKENS);
    add_answers(t, evaluations * held_out, PROMPT_TOKENS, 1, ANSWER_TOKENS);
    if (own.n > 0) { /* nobody knows how long their answers will be: as long as they may */
        const double prompt = own.prompt_tokens / own.n;
        add_answers(t, it * file, prompt, samples, length);
        add_answers(t, evaluations * (own.n - file), prompt, 1, length);
        t->scored += it * ASKED_OF_FILE * own.n_unverifiable * samples * (prompt + length);
    }
    suites(r, it + 1, t);
    t->scored += it * (double)r->critic.examples * CRITIC_PROMPT_TOKENS; /* the tested half, before training and after */
    const double real = (double)r->human.demonstrations + (double)r->build.gold * (cells ? (double)count_cells(r) : 0);
    t->trained += it * (examples(r, real, asked * samples) * EXAMPLE_TOKENS * (double)r->train.epochs +
                        (double)(r->critic.examples * r->critic.epochs) * CRITIC_PROMPT_TOKENS);
    t->labels = r->human.labels;
    t->audits = r->human.audits * r->iterations;
    t->demonstrations = r->human.demonstrations * r->iterations;
    return AGON_OK;
}

agon_status sealed_cost(agon_ctx *ctx, const run_config *r, expected *t) {
    (void)ctx;
    const double calibration = (double)r->human.calibration, demonstrations = (double)r->human.demonstrations;
    const double hard = (double)r->attacker.queries, samples = (double)r->learner.samples, tasks = (double)r->evaluate.tasks;
    const double taught = 2 * (calibration + demonstrations) / 3 * 2; /* two parts of three, and a planted fault beside each good answer */
    const double learned = examples(r, demonstrations, hard * samples) * EXAMPLE_TOKENS * (double)r->train.epochs;
    const double arms = r->evaluate.arms ? 3 : 0;
    add_answers(t, 1.25 * calibration, PROMPT_TOKENS, 1, ANSWER_TOKENS);
    add_answers(t, hard, PROMPT_TOKENS, samples, ANSWER_TOKENS);
    add_answers(t, (2 + arms) * tasks, PROMPT_TOKENS, 1, ANSWER_TOKENS);
    suites(r, 2, t);
    t->scored += (calibration / 3 + hard * samples + 2 * tasks) * CRITIC_PROMPT_TOKENS;
    t->trained += taught * (double)r->critic.epochs * CRITIC_PROMPT_TOKENS + (1 + arms) * learned;
    t->labels = r->human.labels;
    t->demonstrations = r->human.demonstrations * r->iterations;
    t->calibration = r->human.calibration;
    t->gate = 2 * r->human.gate_items;
    return AGON_OK;
}

/* Of the recipe train: its file, as often as it is read. */
agon_status train_cost(agon_ctx *ctx, const run_config *r, expected *t) {
    own_rows file = {0};
    agon_status s = jsonl_read(ctx, r->train.data, count_bytes, &file);
    t->trained += file.prompt_tokens * (double)r->train.epochs;
    return s;
}

agon_status recipe_cost(agon_ctx *ctx, const run_config *r, double tokens_per_second, json_t **cost) {
    expected t = {0};
    const recipe *x = NULL;
    agon_status s = recipe_find(ctx, r->recipe, &x);
    if (!s)
        s = x->cost(ctx, r, &t);
    if (s)
        return s;
    double equivalents = t.generated + t.read + t.scored + 2 * t.trained;
    json_t *made = json_pack("{s{sf sf sf sf sf} s{sI sI sI sI sI}}", "tokens", "generated", t.generated, "read", t.read, "scored",
                             t.scored, "trained", t.trained, "equivalents", equivalents, "labels", "expert", (json_int_t)t.labels, "audits",
                             (json_int_t)t.audits, "demonstrations", (json_int_t)t.demonstrations, "calibration",
                             (json_int_t)t.calibration, "gate", (json_int_t)t.gate);
    if (!made)
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for the cost");
    if (tokens_per_second > 0)
        json_object_set_new(made, "minutes", json_real(equivalents / tokens_per_second / 60));
    *cost = made;
    return AGON_OK;
}
