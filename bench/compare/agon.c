/* agon's side of the comparison with other engines: one row of work a run, on the inputs that the peers get too.
 *
 * The last line is one JSON object: {"row", "tokens": of one repetition, "seconds" and "cpu_seconds": of each, "load_seconds", "peak_rss_mb"}.
 * Generation and scoring go through the public API. Training runs the trainer under agon_train, whose checkpoints and
 * result on disk are no part of a step.
 *
 *   bench-compare ROW MODEL INPUTS.json [--fastest] [--bf16-attention] [--threads N] [--cpu PATH] [--steps N]
 *
 * --fastest: the order of sums that is fastest on this CPU, which is not the same everywhere (compute_fastest_numerics); else portable. */
#include "api/models.h"
#include "base/ctx.h"
#include "base/memory.h"
#include "base/numerics.h"
#include "compute/compute.h"
#include "train/train_private.h"
#include "generate/generate.h"
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TRY(call)                                                                                    \
    do {                                                                                             \
        if ((call) != AGON_OK) {                                                                     \
            fprintf(stderr, "%s: %s\n", #call, agon_error(b->ctx));                                  \
            exit(1);                                                                                 \
        }                                                                                            \
    } while (0)

enum { MAX_SECONDS = 64, N_NEW = 64, N_SAMPLES = 4, GROUPS = 8, PAIRS = 16, SFT_ROWS = 8, SCORED = 250 };

typedef struct bench {
    agon_ctx *ctx;
    const char *path;
    json_t *inputs;
    agon_model *open; /* of the public API; NULL while training */
    double load_seconds, mark, cpu_mark;
    double seconds[MAX_SECONDS], cpu_seconds[MAX_SECONDS];
    size_t n_seconds, n_steps;
    double tokens;
} bench;

static double clock_of(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double now(void) {
    return clock_of(CLOCK_MONOTONIC);
}

static void start(bench *b) {
    b->mark = now();
    b->cpu_mark = clock_of(CLOCK_PROCESS_CPUTIME_ID);
}

static void lap(bench *b) {
    if (b->n_seconds < MAX_SECONDS) {
        b->seconds[b->n_seconds] = now() - b->mark;
        b->cpu_seconds[b->n_seconds++] = clock_of(CLOCK_PROCESS_CPUTIME_ID) - b->cpu_mark;
    }
    start(b);
}

/* ---- inputs ---------------------------------------------------------------------------------------- */

typedef struct ids {
    int32_t *tokens;
    size_t n;
} ids;

static void bad_inputs(const char *what) {
    fprintf(stderr, "the inputs have no %s: make them again\n", what);
    exit(1);
}

static ids ids_of(const json_t *list) {
    ids out = {.n = json_array_size(list)};
    out.tokens = malloc((out.n + 1) * sizeof *out.tokens);
    if (!out.tokens || out.n == 0)
        bad_inputs("list of tokens");
    for (size_t i = 0; i < out.n; i++)
        out.tokens[i] = (int32_t)json_integer_value(json_array_get(list, i));
    return out;
}

/* The i-th list under `name`, which must have it. */
static ids input(const bench *b, const char *name, size_t i) {
    const json_t *list = json_array_get(json_object_get(b->inputs, name), i);
    if (!list)
        bad_inputs(name);
    return ids_of(list);
}

static size_t n_inputs(const bench *b, const char *name) {
    return json_array_size(json_object_get(b->inputs, name));
}

/* ---- generation and scoring -------------------------------------------------------------------------- */

static void open_model(bench *b) {
    double began = now();
    TRY(agon_model_open(b->ctx, b->path, NULL, &b->open));
    b->load_seconds = now() - began;
}

/* n_prompts prompts under `name`, `runs` times after one small request that puts memory in place. */
static void time_generation(bench *b, const char *name, size_t n_prompts, size_t n_samples, size_t n_new,
                            double temperature, int runs) {
    agon_generate_request *requests = calloc(n_prompts, sizeof *requests);
    agon_completion *out = calloc(n_prompts * n_samples, sizeof *out);
    agon_sampling how = agon_sampling_default(), few = how;
    agon_generate_options options = agon_generate_options_default();
    how.temperature = few.temperature = temperature;
    how.max_tokens = n_new;
    few.max_tokens = 3;
    how.ignore_stop_tokens = few.ignore_stop_tokens = true;
    options.max_batch = n_prompts * n_samples;
    for (size_t i = 0; i < n_prompts; i++) {
        ids p = input(b, name, i);
        requests[i] = (agon_generate_request){.prompt = p.tokens, .n_prompt = p.n, .n_samples = n_samples, .seed = i + 1,
                                              .sampling = i ? &how : &few};
    }
    TRY(agon_generate(b->ctx, b->open, requests, 1, &options, out));
    for (size_t i = 0; i < n_samples; i++)
        agon_completion_free(&out[i]);
    requests[0].sampling = &how;
    for (int r = 0; r < runs; r++) {
        start(b);
        TRY(agon_generate(b->ctx, b->open, requests, n_prompts, &options, out));
        lap(b);
        for (size_t i = 0; i < n_prompts * n_samples; i++)
            agon_completion_free(&out[i]);
    }
    for (size_t i = 0; i < n_prompts; i++)
        free((void *)requests[i].prompt);
    free(requests);
    free(out);
}

static void run_batch(bench *b) {
    open_model(b);
    time_generation(b, "prompts", 32, N_SAMPLES, N_NEW, 1, 3);
    b->tokens = 32 * N_SAMPLES * N_NEW;
}

static void run_stream(bench *b) {
    open_model(b);
    time_generation(b, "prompts", 1, 1, N_NEW, 0, 5);
    b->tokens = N_NEW;
}

/* A prompt of 512 tokens into the cache, and the first token after it. */
static void run_prefill(bench *b) {
    open_model(b);
    time_generation(b, "long", 1, 1, 1, 0, 6);
    b->tokens = 512;
}

/* Every token of a sequence but its first; SCORED sequences a repetition. */
static void run_score(bench *b) {
    open_model(b);
    size_t n = n_inputs(b, "score") / SCORED * SCORED;
    n = n < b->n_steps * SCORED ? n : b->n_steps * SCORED;
    agon_score_request *requests = calloc(n, sizeof *requests);
    agon_score_result *results = calloc(n, sizeof *results);
    for (size_t i = 0; i < n; i++) {
        ids x = input(b, "score", i);
        requests[i] = (agon_score_request){.completion = x.tokens, .n_completion = x.n};
        b->tokens = (double)(x.n * SCORED);
    }
    TRY(agon_score(b->ctx, b->open, NULL, requests, 8, 1, 0, results)); /* memory in place */
    for (size_t i = 0; i < 8; i++)
        agon_score_result_free(&results[i]);
    for (size_t i = 0; i < n; i += SCORED) {
        start(b);
        TRY(agon_score(b->ctx, b->open, NULL, requests + i, SCORED, 1, 0, results + i));
        lap(b);
    }
    for (size_t i = 0; i < n; i++) {
        agon_score_result_free(&results[i]);
        free((void *)requests[i].completion);
    }
    free(requests);
    free(results);
}

/* ---- training ------------------------------------------------------------------------------------------ */

/* Rows of one training, and what they own. */
typedef struct rows {
    train_row *row; /* [n] */
    size_t n;
} rows;

static rows rows_new(size_t n, size_t n_responses) {
    rows r = {calloc(n, sizeof *r.row), n};
    for (size_t i = 0; i < n; i++) {
        r.row[i].responses = calloc(n_responses, sizeof *r.row[i].responses);
        r.row[i].n_responses = n_responses;
        r.row[i].weight = 1;
    }
    return r;
}

static train_response *response_of(const rows *r, size_t row, size_t k) {
    return (train_response *)&r->row[row].responses[k];
}

static void set_prompt(rows *r, size_t row, ids prompt, size_t n) {
    r->row[row].prompt = prompt.tokens;
    r->row[row].n_prompt = n;
}

static agon_status end_of_step(void *arg, const train_progress *p) {
    bench *b = arg;
    lap(b);
    fprintf(stderr, "step %zu: %.2f s, loss %.4f\n", p->step, b->seconds[b->n_seconds - 1], p->loss);
    return AGON_OK;
}

static train_options options_of(const bench *b, const char *objective, const char *setting, size_t batch_rows) {
    train_options o = train_options_default();
    o.objective = objective_find(objective);
    objective_defaults(o.objective, o.objective_options);
    if (setting)
        TRY(objective_set(b->ctx, o.objective, setting, o.objective_options));
    o.batch_rows = batch_rows;
    o.lr = 1e-6f;
    o.schedule = SCHEDULE_CONSTANT;
    return o;
}

static void load_for_training(bench *b, model **m) {
    double began = now();
    TRY(model_open(b->ctx, b->path, COMPUTE_BF16, m));
    b->load_seconds += now() - began;
}

/* Next-token loss on whole sequences; the first step, which puts memory in place, is the first of `seconds`. */
static void time_sft(bench *b, size_t rank) {
    model *m = NULL;
    adapter *a = NULL;
    rows r = rows_new(SFT_ROWS * b->n_steps, 1);
    adapter_options lora = {.rank = rank, .alpha = 2 * (float)rank, .seed = 1};
    train_options o = options_of(b, "sft", NULL, SFT_ROWS);
    train_sink sink = {.on_step = end_of_step, .arg = b};
    load_for_training(b, &m);
    if (rank)
        TRY(adapter_new(b->ctx, m, &lora, &a));
    for (size_t i = 0; i < r.n; i++) {
        ids x = input(b, "sft", i % n_inputs(b, "sft"));
        set_prompt(&r, i, x, 1);
        *response_of(&r, i, 0) = (train_response){.tokens = x.tokens + 1, .n = x.n - 1, .weight = 1};
        b->tokens = (double)(SFT_ROWS * x.n);
    }
    start(b);
    TRY(train(b->ctx, m, a, NULL, NULL, r.row, r.n, &o, &sink, NULL));
}

static void run_sft(bench *b) {
    time_sft(b, 0);
}

static void run_lora(bench *b) {
    time_sft(b, 16);
}

static void run_dpo(bench *b) {
    model *m = NULL, *reference = NULL;
    rows r = rows_new(PAIRS * b->n_steps, 2);
    train_options o = options_of(b, "dpo", NULL, PAIRS);
    train_sink sink = {.on_step = end_of_step, .arg = b};
    load_for_training(b, &m);
    load_for_training(b, &reference);
    for (size_t i = 0; i < r.n; i++) {
        size_t from = i % n_inputs(b, "chosen");
        ids prompt = input(b, "dpo_prompts", from), chosen = input(b, "chosen", from), rejected = input(b, "rejected", from);
        set_prompt(&r, i, prompt, prompt.n);
        *response_of(&r, i, 0) = (train_response){.tokens = chosen.tokens, .n = chosen.n, .weight = 1};
        *response_of(&r, i, 1) = (train_response){.tokens = rejected.tokens, .n = rejected.n, .weight = 1};
    }
    b->tokens = PAIRS;
    start(b);
    TRY(train(b->ctx, m, NULL, reference, NULL, r.row, r.n, &o, &sink, NULL));
}

/* ---- a step of online GRPO --------------------------------------------------------------------------------- */

typedef struct online {
    bench *b;
    model *m;
    rows rows;
    const train_options *options;
    size_t *order; /* [rows.n] scratch */
} online;

/* The reward of the peers' script: texts of about 200 characters are best. */
static double reward_of(const completion *c) {
    double d = (double)c->n_text - 200;
    return -(d < 0 ? -d : d) / 200;
}

/* Samples the answers of the rows that `step` will train on, from the weights as they are now. */
static void roll_out(online *x, size_t step) {
    bench *b = x->b;
    generate_request requests[GROUPS];
    completion out[GROUPS * N_SAMPLES];
    uint64_t seeds[N_SAMPLES];
    const size_t *first;
    size_t n = order_step(x->options->seed, x->rows.n, GROUPS, 1, step, x->order, &first);
    sampling how = sampling_default();
    how.max_tokens = N_NEW;
    how.ignore_stop_tokens = true;
    for (size_t k = 0; k < N_SAMPLES; k++)
        seeds[k] = 1 + step * N_SAMPLES + k;
    for (size_t i = 0; i < n; i++) {
        const train_row *row = &x->rows.row[first[i]];
        requests[i] = (generate_request){row->prompt, row->n_prompt, N_SAMPLES, seeds, NULL, how};
    }
    TRY(generate(b->ctx, x->m, requests, n, NULL, out));
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < N_SAMPLES; k++) {
            train_response *r = response_of(&x->rows, first[i], k);
            completion *c = &out[i * N_SAMPLES + k];
            memcpy((void *)r->tokens, c->tokens, N_NEW * sizeof *r->tokens);
            memcpy((void *)r->old, c->log_probs, N_NEW * sizeof *r->old);
            r->reward = reward_of(c);
            completion_free(c);
        }
}

static agon_status next_rollout(void *arg, const train_progress *p) {
    online *x = arg;
    agon_status s = end_of_step(x->b, p);
    if (!s && p->step < p->n_steps)
        roll_out(x, p->step);
    return s;
}

static void run_grpo(bench *b) {
    model *reference = NULL;
    train_options o = options_of(b, "grpo", "beta=0.04", GROUPS);
    online x = {.b = b, .rows = rows_new(GROUPS * b->n_steps, N_SAMPLES), .options = &o};
    train_sink sink = {.on_step = next_rollout, .arg = &x};
    x.order = calloc(x.rows.n, sizeof *x.order);
    load_for_training(b, &x.m);
    load_for_training(b, &reference);
    for (size_t i = 0; i < x.rows.n; i++) {
        ids p = input(b, "prompts", i % n_inputs(b, "prompts"));
        set_prompt(&x.rows, i, p, p.n);
        for (size_t k = 0; k < N_SAMPLES; k++)
            *response_of(&x.rows, i, k) = (train_response){.tokens = calloc(N_NEW, sizeof(int32_t)), .n = N_NEW,
                                                           .old = calloc(N_NEW, sizeof(float)),
                                                           .advantage = NAN, .weight = 1};
    }
    b->tokens = 1; /* a step */
    start(b);
    roll_out(&x, 0);
    TRY(train(b->ctx, x.m, NULL, reference, NULL, x.rows.row, x.rows.n, &o, &sink, NULL));
}

/* ---- the program ----------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*run)(bench *b);
} table[] = {
    {"sft", run_sft},     {"lora", run_lora},       {"dpo", run_dpo},       {"grpo", run_grpo},
    {"batch", run_batch}, {"prefill", run_prefill}, {"stream", run_stream}, {"score", run_score},
};

/* Largest resident memory of this process in MiB. */
static double peak_rss_mb(void) {
    char line[256];
    double kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %lf", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return kib / 1024;
}

static void print_result(const bench *b, const char *row) {
    printf("{\"row\": \"%s\", \"tool\": \"agon\", \"version\": \"%s\", \"cpu\": \"%s\", \"numerics\": \"%s\", \"threads\": %d, "
           "\"tokens\": %.0f, \"load_seconds\": %.3f, \"peak_rss_mb\": %.0f, \"seconds\": [",
           row, AGON_VERSION, cpu_path_name(b->ctx->cpu), numerics_name(b->ctx->numerics), b->ctx->n_threads,
           b->tokens, b->load_seconds, peak_rss_mb());
    for (size_t i = 0; i < b->n_seconds; i++)
        printf("%s%.4f", i ? ", " : "", b->seconds[i]);
    printf("], \"cpu_seconds\": [");
    for (size_t i = 0; i < b->n_seconds; i++)
        printf("%s%.4f", i ? ", " : "", b->cpu_seconds[i]);
    printf("]}\n");
}

static int usage(void) {
    fprintf(stderr, "usage: bench-compare ROW MODEL INPUTS.json [--fastest] [--bf16-attention] [--threads N] [--cpu PATH] [--steps N]\nrows:");
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        fprintf(stderr, " %s", table[i].name);
    fprintf(stderr, "\n");
    return 2;
}

int main(int argc, char **argv) {
    agon_ctx_options options = agon_ctx_options_default();
    bench one = {.n_steps = 6}, *b = &one;
    const char *words[3] = {NULL};
    size_t n_words = 0, row = 0;
    bool fastest = false, bf16_attention = false;
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "--fastest") == 0)
            fastest = true;
        else if (strcmp(argv[i], "--bf16-attention") == 0)
            bf16_attention = true;
        else if (more && strcmp(argv[i], "--threads") == 0)
            options.n_threads = atoi(argv[++i]);
        else if (more && strcmp(argv[i], "--cpu") == 0)
            options.cpu = argv[++i];
        else if (more && strcmp(argv[i], "--steps") == 0)
            b->n_steps = (size_t)atoi(argv[++i]);
        else if (n_words < 3)
            words[n_words++] = argv[i];
        else
            return usage();
    }
    options.numerics = numerics_of(fastest, bf16_attention);
    while (words[0] && row < sizeof table / sizeof *table && strcmp(table[row].name, words[0]) != 0)
        row++;
    if (n_words < 3 || row == sizeof table / sizeof *table || b->n_steps < 1)
        return usage();
    json_error_t error;
    char reason[256];
    b->path = words[1];
    b->inputs = json_load_file(words[2], 0, &error);
    if (!b->inputs) {
        fprintf(stderr, "%s: %s\n", words[2], error.text);
        return 1;
    }
    agon_status status = agon_ctx_new(&options, &b->ctx, reason, sizeof reason);
    if (status == AGON_OK && fastest && !numerics_is_native(compute_fastest_numerics(b->ctx))) {
        options.numerics = numerics_of(false, bf16_attention);
        agon_ctx_free(b->ctx);
        status = agon_ctx_new(&options, &b->ctx, reason, sizeof reason);
    }
    if (status != AGON_OK) {
        fprintf(stderr, "%s\n", reason);
        return 1;
    }
    table[row].run(b);
    print_result(b, table[row].name);
    agon_model_free(b->open);
    agon_ctx_free(b->ctx);
    json_decref(b->inputs);
    return 0;
}
