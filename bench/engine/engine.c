/* Speed of the engine by phase: prefill, generation, scoring, LoRA and full training, on real weights.
 *
 * One JSON object a line: tokens, seconds (median of the runs), tokens/s, and how much of the machine's
 * measured FMA peak the phase's matrix products reach. The peak is measured in the same run, before and
 * after each phase, because a shared machine is not the same from one minute to the next. `cpu_seconds` is the
 * time all threads were running: with --threads 1 it leaves out what other processes took.
 *
 *   bench-engine MODEL.gguf [--threads N] [--cpu PATH] [--native] [--bf16-attention] [--runs N] [--scale N] [--growth | --grow WORK | PHASE...]
 *
 * Phases: prefill batch stream score lora_short lora_long sft; all when none is named. --scale divides the
 * amount of work of `batch` and `score`. --growth instead: time and peak memory of prefill, generation, scoring, LoRA, full, DPO and GRPO steps
 * at 1, 2, 4 and 8 times the length and the batch, each in a process of its own; --grow scoring: only what begins so. */
#include "base/ctx.h"
#include "base/memory.h"
#include "base/numerics.h"
#include "base/random.h"
#include "generate/generate.h"
#include "train/train.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TRY(call)                                                                                    \
    do {                                                                                             \
        if ((call) != AGON_OK) {                                                                     \
            fprintf(stderr, "%s: %s\n", #call, agon_error(b->ctx));                                  \
            exit(1);                                                                                 \
        }                                                                                            \
    } while (0)

enum { MAX_RUNS = 32 };

typedef struct bench {
    agon_ctx *ctx;
    model *m;
    const char *path;
    int runs, scale;
    double linear_flop, head_flop; /* of one token, forward */
    double seconds, cpu;           /* of the timed part of a run */
} bench;

/* What a run did: tokens to report, and the operations of its matrix products. */
typedef struct work {
    double tokens, flop;
} work;

static double clock_of(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void start(bench *b) {
    b->seconds = clock_of(CLOCK_MONOTONIC);
    b->cpu = clock_of(CLOCK_PROCESS_CPUTIME_ID);
}

static void stop(bench *b) {
    b->seconds = clock_of(CLOCK_MONOTONIC) - b->seconds;
    b->cpu = clock_of(CLOCK_PROCESS_CPUTIME_ID) - b->cpu;
}

static int ascending(const void *a, const void *b) {
    double d = *(const double *)a - *(const double *)b;
    return (d > 0) - (d < 0);
}

/* ---- the peak ------------------------------------------------------------------------------------ */

/* FLOP/s of FMA chains in registers, per second of processor time and by the wall clock. */
static void measure_peak(bench *b, double *per_cpu, double *per_second) {
    start(b);
    double flop = compute_peak_flop(b->ctx, false);
    stop(b);
    *per_second = flop / b->seconds;
    *per_cpu = flop / b->cpu;
}

/* ---- phases -------------------------------------------------------------------------------------- */

static int32_t *random_tokens(const bench *b, size_t n, uint64_t seed) {
    rng r = rng_new(seed);
    int32_t *tokens = malloc(n * sizeof *tokens);
    for (size_t i = 0; tokens && i < n; i++)
        tokens[i] = (int32_t)(100 + rng_below(&r, model_get_config(b->m)->n_vocabulary - 100));
    return tokens;
}

/* Prompts of n tokens each, in one go. */
static work prefill(bench *b, size_t n_prompts, size_t n) {
    kv_cache *cache = NULL;
    workspace *w = NULL;
    size_t all = n_prompts * n, vocabulary = model_get_config(b->m)->n_vocabulary;
    int32_t *tokens = random_tokens(b, all, 1), *rows = malloc(all * sizeof *rows);
    decode_token *list = calloc(all, sizeof *list);
    size_t *heads = calloc(n_prompts, sizeof *heads);
    float *hidden = memory_new(n_prompts * model_get_config(b->m)->d_model, sizeof *hidden);
    float *logits = memory_new(n_prompts * vocabulary, sizeof *logits);
    for (size_t i = 0; i < all; i++) {
        rows[i] = (int32_t)i;
        list[i] = (decode_token){tokens[i], (int32_t)(i % n), rows + i / n * n, NULL};
    }
    for (size_t i = 0; i < n_prompts; i++)
        heads[i] = (i + 1) * n - 1;
    TRY(kv_cache_new(b->ctx, b->m, all, &cache));
    TRY(workspace_new(b->ctx, 0, &w));
    TRY(model_decode(b->ctx, b->m, w, cache, list, all, heads, n_prompts, hidden)); /* memory in place */
    start(b);
    TRY(model_decode(b->ctx, b->m, w, cache, list, all, heads, n_prompts, hidden));
    head_logits(b->ctx, model_head(b->m), hidden, n_prompts, logits);
    stop(b);
    kv_cache_free(b->ctx, cache);
    workspace_free(w);
    free(tokens);
    free(rows);
    free(list);
    free(heads);
    free(hidden);
    free(logits);
    return (work){(double)all, (double)all * b->linear_flop + (double)n_prompts * b->head_flop};
}

static work run_prefill(bench *b) {
    return prefill(b, 1, 512);
}

enum { N_PROMPT = 40 };

/* Answers of n_new tokens each to random prompts: out [n_prompts * n_samples], prompts [n_prompts] of N_PROMPT tokens, all the caller's. */
static void answer(bench *b, size_t n_prompts, size_t n_samples, size_t n_new, int32_t **prompts, completion *out) {
    generate_request *requests = calloc(n_prompts, sizeof *requests);
    uint64_t *seeds = calloc(n_samples, sizeof *seeds);
    sampling how = sampling_default();
    how.max_tokens = n_new;
    how.ignore_stop_tokens = true;
    for (size_t i = 0; i < n_samples; i++)
        seeds[i] = i + 1;
    for (size_t i = 0; i < n_prompts; i++) {
        prompts[i] = random_tokens(b, N_PROMPT, i + 7);
        requests[i] = (generate_request){prompts[i], N_PROMPT, n_samples, seeds, NULL, how};
    }
    start(b);
    TRY(generate(b->ctx, b->m, requests, n_prompts, NULL, out));
    stop(b);
    free(requests);
    free(seeds);
}

static void drop_answers(int32_t **prompts, size_t n_prompts, completion *out, size_t n) {
    for (size_t i = 0; i < n_prompts; i++)
        free(prompts[i]);
    for (size_t i = 0; i < n; i++)
        completion_free(&out[i]);
    free(prompts);
    free(out);
}

static work run_generate(bench *b, size_t n_prompts, size_t n_samples, size_t n_new) {
    completion *out = calloc(n_prompts * n_samples, sizeof *out);
    int32_t **prompts = calloc(n_prompts, sizeof *prompts);
    answer(b, n_prompts, n_samples, n_new, prompts, out);
    drop_answers(prompts, n_prompts, out, n_prompts * n_samples);
    double n = (double)(n_prompts * n_samples * n_new), prompt = (double)(n_prompts * N_PROMPT);
    return (work){n, (n + prompt) * b->linear_flop + n * b->head_flop};
}

static work run_batch(bench *b) {
    return run_generate(b, (size_t)(32 / b->scale > 0 ? 32 / b->scale : 1), 4, 64);
}

static work run_stream(bench *b) {
    return run_generate(b, 1, 1, 64);
}

/* n requests, a quarter of their `length` tokens the prompt. */
static work score(bench *b, size_t n, size_t length) {
    const size_t PROMPT = length / 4, ANSWER = length - PROMPT;
    size_t n_tokens = n * length;
    segment *s = calloc(2 * n, sizeof *s);
    int32_t *tokens = random_tokens(b, n_tokens, 3);
    float *log_prob = memory_new(n_tokens, sizeof *log_prob);
    workspace *w = NULL;
    TRY(workspace_new(b->ctx, 0, &w));
    for (size_t i = 0; i < n; i++) {
        const int32_t *at = tokens + i * (PROMPT + ANSWER);
        s[2 * i] = (segment){.tokens = at, .n_tokens = PROMPT, .parent = -1};
        s[2 * i + 1] = (segment){.tokens = at + PROMPT, .n_tokens = ANSWER, .parent = (int32_t)(2 * i),
                                 .wants = WANT_LOG_PROB};
    }
    start(b);
    TRY(model_forward(b->ctx, b->m, w, &(segment_batch){s, 2 * n}, &(token_channels){.log_prob = log_prob}));
    stop(b);
    workspace_free(w);
    free(s);
    free(tokens);
    free(log_prob);
    return (work){(double)n_tokens, (double)n_tokens * b->linear_flop + (double)(n * ANSWER) * b->head_flop};
}

/* A prompt of 32 tokens and an answer of 96, as the roles' requests are. */
static work run_score(bench *b) {
    return score(b, (size_t)(1000 / b->scale), 128);
}

static agon_status second_step(void *arg, const train_progress *p) {
    if (p->step == 1)
        start(arg); /* the first step allocates */
    return AGON_OK;
}

/* One supervised step of n_rows rows of `length` tokens, or of 64 to 128 when it is 0, half of them the prompt. */
static work run_train(bench *b, bool full, size_t n_rows, size_t length) {
    enum { MOST = 64, STEPS = 2 };
    train_row rows[MOST];
    train_response responses[MOST];
    double tokens = 0, scored = 0;
    adapter *a = NULL;
    adapter_options lora = {.rank = 16, .alpha = 32, .seed = 1};
    if (!full)
        TRY(adapter_new(b->ctx, b->m, &lora, &a));
    for (size_t i = 0; i < n_rows; i++) {
        size_t n = length ? length : 64 + i * 64 / (n_rows - 1), n_prompt = length ? 1 : n / 2;
        const int32_t *list = random_tokens(b, n, 50 + i);
        responses[i] = (train_response){.tokens = list + n_prompt, .n = n - n_prompt, .weight = 1};
        rows[i] = (train_row){.prompt = list, .n_prompt = n_prompt, .responses = &responses[i], .n_responses = 1,
                              .weight = 1};
        tokens += (double)n;
        scored += (double)(n - n_prompt);
    }
    train_options o = train_options_default();
    o.objective = objective_find("sft");
    objective_defaults(o.objective, o.objective_options);
    o.batch_rows = n_rows;
    o.max_steps = STEPS;
    train_sink sink = {.on_step = second_step, .arg = b};
    TRY(train(b->ctx, b->m, a, NULL, NULL, rows, n_rows, &o, &sink, NULL));
    stop(b);
    for (size_t i = 0; i < n_rows; i++)
        free((void *)rows[i].prompt);
    adapter_free(a);
    double passes = full ? 3 : 2; /* forward, dx, and dw */
    return (work){tokens, passes * tokens * b->linear_flop + (passes + 1) * scored * b->head_flop};
}

enum { MOST_ROWS = 64, MOST_SAMPLES = 4 };

/* Steps of LoRA on rows that share a prompt each, with the model as the reference; *b has the time of the second. */
static void train_groups(bench *b, const char *objective, const char *setting, const train_row *rows, size_t n_rows) {
    adapter *a = NULL;
    const adapter_options lora = {.rank = 16, .alpha = 32, .seed = 1};
    train_options o = train_options_default();
    const train_sink sink = {.on_step = second_step, .arg = b};
    o.objective = objective_find(objective);
    objective_defaults(o.objective, o.objective_options);
    o.batch_rows = n_rows;
    o.max_steps = 2;
    if (setting)
        TRY(objective_set(b->ctx, o.objective, setting, o.objective_options));
    TRY(adapter_new(b->ctx, b->m, &lora, &a));
    TRY(train(b->ctx, b->m, a, NULL, NULL, rows, n_rows, &o, &sink, NULL));
    stop(b);
    adapter_free(a);
}

/* One DPO step on n_rows pairs: half of `length` tokens the prompt, the other half each side. */
static work run_dpo(bench *b, size_t n_rows, size_t length) {
    train_row rows[MOST_ROWS] = {0};
    train_response sides[MOST_ROWS][2];
    size_t n_prompt = length / 2, n = length - n_prompt;
    for (size_t i = 0; i < n_rows; i++) {
        const int32_t *list = random_tokens(b, n_prompt + 2 * n, 50 + i);
        for (size_t k = 0; k < 2; k++)
            sides[i][k] = (train_response){.tokens = list + n_prompt + k * n, .n = n, .reward = NAN, .advantage = NAN, .label = NAN, .weight = 1};
        rows[i] = (train_row){.prompt = list, .n_prompt = n_prompt, .responses = sides[i], .n_responses = 2, .weight = 1};
    }
    train_groups(b, "dpo", NULL, rows, n_rows);
    for (size_t i = 0; i < n_rows; i++)
        free((void *)rows[i].prompt);
    double tokens = (double)(n_rows * (n_prompt + 2 * n)), scored = (double)(n_rows * 2 * n);
    return (work){tokens, 2 * tokens * b->linear_flop + 3 * scored * b->head_flop}; /* the reference is known after the first step */
}

/* A GRPO step: four answers of n_new tokens to each prompt, then a step on them with the reference's log_probs known. */
static work run_grpo(bench *b, size_t n_prompts, size_t n_new) {
    size_t n = n_prompts * MOST_SAMPLES;
    train_row rows[MOST_ROWS] = {0};
    train_response samples[MOST_ROWS][MOST_SAMPLES];
    completion *out = calloc(n, sizeof *out);
    int32_t **prompts = calloc(n_prompts, sizeof *prompts);
    answer(b, n_prompts, MOST_SAMPLES, n_new, prompts, out);
    double seconds = b->seconds, cpu = b->cpu;
    for (size_t i = 0; i < n_prompts; i++) {
        for (size_t k = 0; k < MOST_SAMPLES; k++) {
            const completion *c = &out[i * MOST_SAMPLES + k];
            samples[i][k] = (train_response){.tokens = c->tokens, .n = c->n_tokens, .old = c->log_probs, .reward = (double)k, .advantage = NAN,
                                             .label = NAN, .weight = 1};
        }
        rows[i] = (train_row){.prompt = prompts[i], .n_prompt = N_PROMPT, .responses = samples[i], .n_responses = MOST_SAMPLES, .weight = 1};
    }
    train_groups(b, "grpo", "beta=0.04", rows, n_prompts);
    b->seconds += seconds, b->cpu += cpu;
    drop_answers(prompts, n_prompts, out, n);
    double written = (double)(n * n_new), read = (double)(n_prompts * N_PROMPT);
    return (work){written, 3 * (written + read) * b->linear_flop + 4 * written * b->head_flop};
}

static work run_lora_short(bench *b) {
    return run_train(b, false, 8, 0);
}

static work run_lora_long(bench *b) {
    return run_train(b, false, 8, 512);
}

static work run_sft(bench *b) {
    return run_train(b, true, 8, 512);
}

static const struct phase {
    const char *name;
    work (*run)(bench *b);
} phases[] = {
    {"prefill", run_prefill},       {"batch", run_batch},         {"stream", run_stream}, {"score", run_score},
    {"lora_short", run_lora_short}, {"lora_long", run_lora_long}, {"sft", run_sft},
};
enum { N_PHASES = sizeof phases / sizeof *phases };

/* ---- growth ------------------------------------------------------------------------------------------ */

/* One row of work at 64 tokens, and everything at 2, 4 and 8 times the length or the batch. */
typedef enum growing { GROW_PREFILL, GROW_GENERATE, GROW_SCORE, GROW_LORA, GROW_SFT, GROW_DPO, GROW_GRPO, N_GROWING } growing;
static const char *const growing_names[N_GROWING] = {"prefill", "generation", "scoring", "lora step", "sft step", "dpo step", "grpo step"};

static work run_growing(bench *b, growing what, size_t batch, size_t length) {
    switch (what) {
    case GROW_PREFILL:
        return prefill(b, batch, length);
    case GROW_GENERATE:
        return run_generate(b, batch, 1, length);
    case GROW_SCORE:
        return score(b, batch, length);
    case GROW_DPO:
        return run_dpo(b, batch, length);
    case GROW_GRPO:
        return run_grpo(b, batch, length);
    default:
        return run_train(b, what == GROW_SFT, batch, length);
    }
}

/* VmHWM or VmRSS of this process; 0 where /proc does not tell. */
static double resident_mib(const char *name) {
    char line[128];
    double kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, name, strlen(name)) == 0)
            kib = strtod(line + strlen(name) + 1, NULL);
    if (f)
        fclose(f);
    return kib / 1024;
}

/* The peak counts from here: loading the model has one of its own. */
static void reset_peak(void) {
    FILE *f = fopen("/proc/self/clear_refs", "w");
    if (f) {
        fputs("5", f);
        fclose(f);
    }
}

static void open_bench(bench *b, const agon_ctx_options *options);

/* In a process of its own, so that its peak is its own. */
static void grow_once(bench *b, const agon_ctx_options *options, growing what, bool longer, size_t times) {
    enum { LENGTH = 64, BATCH = 1 };
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        open_bench(b, options);
        double model = resident_mib("VmRSS");
        reset_peak();
        work w = run_growing(b, what, longer ? BATCH : BATCH * times, longer ? LENGTH * times : LENGTH);
        printf("{\"growth\": \"%s\", \"of\": \"%s\", \"times\": %zu, \"tokens\": %.0f, \"seconds\": %.3f, "
               "\"cpu_seconds\": %.3f, \"peak_mib\": %.0f, \"model_mib\": %.0f}\n",
               growing_names[what], longer ? "length" : "batch", times, w.tokens, b->seconds, b->cpu,
               resident_mib("VmHWM"), model);
        fflush(stdout);
        _exit(0);
    }
    int how = 0;
    if (child < 0 || waitpid(child, &how, 0) < 0 || how != 0) {
        fprintf(stderr, "%s at %zu times did not run\n", growing_names[what], times);
        exit(1);
    }
}

/* All of it, or what is named. */
static void grow(bench *b, const agon_ctx_options *options, const char *only) {
    bool any = false;
    for (growing what = 0; what < N_GROWING; what++)
        if (!only || strncmp(only, growing_names[what], strlen(only)) == 0) {
            any = true;
            for (size_t times = 1; times <= 8; times *= 2)
                for (int longer = 1; longer >= (times == 1); longer--)
                    grow_once(b, options, what, longer, times);
        }
    if (!any) {
        fprintf(stderr, "no work begins with '%s': prefill, generation, scoring, lora, sft, dpo, grpo\n", only);
        exit(2);
    }
}

/* ---- the program ----------------------------------------------------------------------------------- */

static void run_phase(bench *b, const struct phase *p) {
    double seconds[MAX_RUNS], cpu[MAX_RUNS], of_peak[MAX_RUNS], peak_cpu[2] = {0}, peak_wall[2];
    work w = {0};
    for (int i = 0; i < b->runs; i++) {
        measure_peak(b, &peak_cpu[0], &peak_wall[0]);
        w = p->run(b);
        seconds[i] = b->seconds;
        cpu[i] = b->cpu;
        measure_peak(b, &peak_cpu[1], &peak_wall[1]);
        double mean = (peak_cpu[0] + peak_cpu[1]) / 2;
        of_peak[i] = w.flop / cpu[i] / mean;
    }
    qsort(seconds, (size_t)b->runs, sizeof *seconds, ascending);
    qsort(cpu, (size_t)b->runs, sizeof *cpu, ascending);
    qsort(of_peak, (size_t)b->runs, sizeof *of_peak, ascending);
    int middle = b->runs / 2;
    printf("{\"phase\": \"%s\", \"path\": \"%s\", \"numerics\": \"%s\", \"threads\": %d, \"tokens\": %.0f, "
           "\"seconds\": %.3f, \"tokens_per_s\": %.1f, \"cpu_seconds\": %.3f, \"tokens_per_cpu_s\": %.1f, "
           "\"gflops_per_cpu_s\": %.1f, \"share_of_fma_peak\": %.3f, \"fma_peak_gflops_per_cpu_s\": %.1f}\n",
           p->name, cpu_path_name(b->ctx->cpu), numerics_name(b->ctx->numerics), b->ctx->n_threads, w.tokens,
           seconds[middle], w.tokens / seconds[middle], cpu[middle], w.tokens / cpu[middle],
           w.flop / cpu[middle] * 1e-9, of_peak[middle], (peak_cpu[0] + peak_cpu[1]) / 2 * 1e-9);
    fflush(stdout);
}

static void count_operations(bench *b) {
    const model_config *c = model_get_config(b->m);
    double q = (double)(c->n_heads * c->head_dim), kv = (double)(c->n_kv_heads * c->head_dim), d = (double)c->d_model;
    b->linear_flop = 2 * (double)c->n_layers * d * (2 * q + 2 * kv + 3 * (double)c->d_ff);
    b->head_flop = 2 * (double)c->n_vocabulary * d;
}

static void open_bench(bench *b, const agon_ctx_options *options) {
    char reason[256];
    if (agon_ctx_new(options, &b->ctx, reason, sizeof reason) != AGON_OK) {
        fprintf(stderr, "%s\n", reason);
        exit(1);
    }
    TRY(model_open(b->ctx, b->path, COMPUTE_BF16, &b->m));
    count_operations(b);
}

static int usage(void) {
    fprintf(stderr, "usage: bench-engine MODEL.gguf [--threads N] [--cpu PATH] [--native] [--bf16-attention] [--runs N] [--scale N] "
                    "[--growth | --grow WORK | PHASE...]\n");
    return 2;
}

int main(int argc, char **argv) {
    agon_ctx_options options = agon_ctx_options_default();
    bench one = {.runs = 3, .scale = 1}, *b = &one;
    bool wanted[N_PHASES] = {0}, any = false, growth = false, native = false, bf16_attention = false;
    const char *grown = NULL; /* NULL: every kind of work */
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (more && strcmp(argv[i], "--threads") == 0)
            options.n_threads = atoi(argv[++i]);
        else if (more && strcmp(argv[i], "--cpu") == 0)
            options.cpu = argv[++i];
        else if (more && strcmp(argv[i], "--runs") == 0)
            b->runs = atoi(argv[++i]);
        else if (more && strcmp(argv[i], "--scale") == 0)
            b->scale = atoi(argv[++i]);
        else if (strcmp(argv[i], "--native") == 0)
            native = true;
        else if (strcmp(argv[i], "--bf16-attention") == 0)
            bf16_attention = true;
        else if (strcmp(argv[i], "--growth") == 0)
            growth = true;
        else if (more && strcmp(argv[i], "--grow") == 0)
            growth = true, grown = argv[++i];
        else if (!b->path)
            b->path = argv[i];
        else {
            int p = 0;
            while (p < N_PHASES && strcmp(argv[i], phases[p].name) != 0)
                p++;
            if (p == N_PHASES)
                return usage();
            wanted[p] = any = true;
        }
    }
    options.numerics = numerics_of(native, bf16_attention);
    if (!b->path || b->runs < 1 || b->runs > MAX_RUNS || b->scale < 1)
        return usage();
    if (growth) {
        grow(b, &options, grown);
        return 0;
    }
    open_bench(b, &options);
    for (int p = 0; p < N_PHASES; p++)
        if (wanted[p] || !any)
            run_phase(b, &phases[p]);
    model_free(b->m);
    agon_ctx_free(b->ctx);
    return 0;
}
