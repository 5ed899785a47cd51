/* agon.h, speed of the kernels, and of decoding one stream, beside what the machine can do, measured in the same run. */
#include "api/models.h"
#include "api/options.h"
#include "base/available.h"
#include "base/fp_environment.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/random.h"
#include "base/numerics.h"
#include "compute/compute.h"
#include "generate/generate.h"
#include <stdlib.h>
#include <time.h>

enum { MAX_RUNS = 101, READ_FLOATS = 1 << 25 };
static const double least_seconds = 0.01; /* of one timed run: products of small matrices are repeated */

agon_bench_options agon_bench_options_default(void) {
    return (agon_bench_options){.struct_size = sizeof(agon_bench_options), .runs = 5};
}

typedef enum kernel { MATMUL, MATMUL_Q8, MATMUL_F32, MATMUL_DX, MATMUL_DW, HEAD_LOG_PROB, N_KERNELS } kernel;
static const char *const kernel_names[N_KERNELS] = {"matmul", "matmul_q8", "matmul_f32", "matmul_dx", "matmul_dw", "head_log_prob"};

typedef struct bench {
    agon_ctx *ctx;
    agon_bench_options options;
    matrix *bf16, *f32, *q8; /* of the shape under measurement; q8 NULL: no whole blocks */
    float *x, *y, *dw;
    size_t n_out, n_in, rows;
    double peak_f32, peak_bf16, read; /* a second */
    json_t *kernels;
} bench;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static agon_status no_memory(agon_ctx *ctx) {
    return ctx_fail(ctx, AGON_ENOMEM, "out of memory for a measurement");
}

/* ---- the machine ------------------------------------------------------------------------------------------ */

/* The best of some short runs: a peak is what the machine can do, whatever else it did in between. */
static agon_status measure_machine(bench *b) {
    enum { TRIES = 9 };
    float *memory = memory_new(READ_FLOATS, sizeof *memory); /* written: pages nobody wrote to are all the one page of zeros */
    if (!memory)
        return no_memory(b->ctx);
    for (int i = 0; i < TRIES; i++) {
        double start = now(), rate = compute_peak_flop(b->ctx, false);
        rate /= now() - start;
        b->peak_f32 = rate > b->peak_f32 ? rate : b->peak_f32;
        start = now();
        rate = compute_peak_flop(b->ctx, true);
        rate /= now() - start;
        b->peak_bf16 = rate > b->peak_bf16 ? rate : b->peak_bf16;
        start = now();
        compute_read(b->ctx, memory, READ_FLOATS);
        rate = READ_FLOATS * sizeof *memory / (now() - start);
        b->read = rate > b->read ? rate : b->read;
    }
    free(memory);
    return ctx_check_interrupt(b->ctx);
}

static agon_status tell(bench *b, json_t *line) {
    char *text = line && b->options.on_result ? json_dumps(line, JSON_COMPACT) : NULL;
    if (text)
        b->options.on_result(b->options.arg, text);
    free(text);
    return json_array_append_new(b->kernels, line) ? no_memory(b->ctx) : ctx_check_interrupt(b->ctx);
}

/* ---- one kernel ------------------------------------------------------------------------------------------- */

static void run_once(const bench *b, kernel k) {
    switch (k) {
    case MATMUL:
        matmul(b->ctx, b->x, b->rows, b->bf16, NULL, 1, false, b->y);
        break;
    case MATMUL_F32:
        matmul(b->ctx, b->x, b->rows, b->f32, NULL, 1, false, b->y);
        break;
    case MATMUL_Q8:
        matmul(b->ctx, b->x, b->rows, b->q8, NULL, 1, false, b->y);
        break;
    case MATMUL_DX:
        matmul_dx(b->ctx, b->y, b->rows, b->bf16, 1, false, b->x);
        break;
    case MATMUL_DW:
        matmul_dw(b->ctx, COMPUTE_BF16, b->y, b->x, b->rows, b->n_out, b->n_in, 1, b->dw);
        break;
    default:
        head_log_prob(b->ctx, b->bf16, b->x, b->rows, NULL, 1, b->y, NULL, NULL, NULL, NULL);
    }
}

static double median(double *x, size_t n) {
    numbers_sort(x, n);
    return x[n / 2];
}

static double mean_seconds(const bench *b, kernel k, size_t repeat) {
    double start = now();
    for (size_t r = 0; r < repeat; r++)
        run_once(b, k);
    return (now() - start) / (double)repeat;
}

/* 8-bit weights in turn with the same ones in bf16: *of_bf16 is how many times as fast they are, whatever else the machine does. */
static double median_seconds(const bench *b, kernel k, double *of_bf16) {
    double seconds[MAX_RUNS], ratio[MAX_RUNS];
    double first = mean_seconds(b, k, 1); /* weights into the cache they will be in, pages touched */
    size_t repeat = first < least_seconds ? (size_t)(least_seconds / (first > 1e-7 ? first : 1e-7)) + 1 : 1;
    for (size_t i = 0; i < b->options.runs; i++) {
        seconds[i] = mean_seconds(b, k, repeat);
        ratio[i] = k == MATMUL_Q8 ? mean_seconds(b, MATMUL, repeat) / seconds[i] : 1;
    }
    *of_bf16 = median(ratio, b->options.runs);
    return median(seconds, b->options.runs);
}

static agon_status measure(bench *b, kernel k) {
    double of_bf16, seconds = median_seconds(b, k, &of_bf16), flop = 2.0 * (double)b->rows * (double)b->n_out * (double)b->n_in;
    double peak = k == MATMUL_F32 ? b->peak_f32 : b->peak_bf16;
    size_t weights = k == MATMUL_Q8 ? matrix_predict_q8(b->n_out, b->n_in)
                                    : matrix_predict(k == MATMUL_F32 ? COMPUTE_F32 : COMPUTE_BF16, b->n_out, b->n_in);
    json_t *line = json_pack("{s:s,s:I,s:I,s:I,s:f,s:f,s:f,s:f}", "kernel", kernel_names[k], "n_out", (json_int_t)b->n_out, "n_in",
                             (json_int_t)b->n_in, "rows", (json_int_t)b->rows, "gflops", flop / seconds * 1e-9,
                             "share_of_peak", flop / seconds / peak, "weight_gbytes_per_s", (double)weights / seconds * 1e-9, "share_of_read",
                             (double)weights / seconds / b->read);
    if (line && k == MATMUL_Q8 && json_object_set_new(line, "times_bf16", json_real(of_bf16))) {
        json_decref(line);
        return no_memory(b->ctx);
    }
    return tell(b, line);
}

/* ---- one shape -------------------------------------------------------------------------------------------- */

static float *random_floats(rng *r, size_t n) {
    float *x = memory_new(n, sizeof *x);
    for (size_t i = 0; x && i < n; i++)
        x[i] = (float)rng_uniform(r) - 0.5f;
    return x;
}

static void release(bench *b) {
    matrix_free(b->bf16);
    matrix_free(b->f32);
    matrix_free(b->q8);
    free(b->x);
    free(b->y);
    free(b->dw);
    b->bf16 = b->f32 = b->q8 = NULL;
    b->x = b->y = b->dw = NULL;
}

static agon_status prepare_q8(bench *b, size_t n_values) {
    enum { BLOCK = 32 };
    if (b->n_in % BLOCK != 0)
        return AGON_OK;
    int8_t *values = malloc(n_values);
    float *scales = malloc(n_values / BLOCK * sizeof *scales);
    agon_status s = values && scales ? AGON_OK : no_memory(b->ctx);
    for (size_t i = 0; i < n_values && !s; i++) {
        values[i] = (int8_t)(b->dw[i] * 254);
        scales[i / BLOCK] = 0x1p-8f;
    }
    if (!s)
        s = matrix_new_q8(b->ctx, b->n_out, b->n_in, values, scales, &b->q8);
    free(values);
    free(scales);
    return s;
}

static agon_status prepare(bench *b, size_t n_out, size_t n_in, size_t most_rows) {
    rng r = rng_new(1);
    b->n_out = n_out;
    b->n_in = n_in;
    size_t values = size_mul(n_out, n_in), floats = size_add(size_mul(values, 5), size_mul(most_rows, size_add(n_out, n_in)));
    agon_status s = memory_check(b->ctx, size_mul(floats, sizeof(float)), "this measurement", "measure a smaller matrix");
    if (s)
        return s;
    b->dw = random_floats(&r, values);
    b->x = random_floats(&r, size_mul(most_rows, n_in));
    b->y = random_floats(&r, size_mul(most_rows, n_out));
    if (!b->dw || !b->x || !b->y)
        return no_memory(b->ctx);
    s = matrix_new(b->ctx, COMPUTE_BF16, n_out, n_in, b->dw, &b->bf16);
    if (!s)
        s = matrix_new(b->ctx, COMPUTE_F32, n_out, n_in, b->dw, &b->f32);
    return s ? s : prepare_q8(b, values);
}

static agon_status measure_shape(bench *b, size_t n_out, size_t n_in) {
    static const size_t usual[] = {1, 4, 8, 12, 32, 96, 256};
    enum { MOST = 256, HEAD = 8192 /* from here on a matrix is an output head */ };
    size_t n = b->options.rows ? 1 : sizeof usual / sizeof *usual;
    agon_status s = prepare(b, n_out, n_in, b->options.rows ? b->options.rows : MOST);
    for (size_t i = 0; i < n && !s; i++) {
        b->rows = b->options.rows ? b->options.rows : usual[i];
        for (int k = 0; k < (n_out >= HEAD ? N_KERNELS : HEAD_LOG_PROB) && !s; k++)
            s = k == MATMUL_Q8 && !b->q8 ? AGON_OK : measure(b, (kernel)k);
    }
    release(b);
    return s;
}

static agon_status measure_all(bench *b) {
    static const size_t shapes[][2] = {{576, 576}, {192, 576}, {1536, 576}, {576, 1536}, {49152, 576}};
    agon_status s = compute_check_once(b->ctx);
    if (!s)
        s = measure_machine(b);
    if (!s && b->options.n_out)
        return measure_shape(b, b->options.n_out, b->options.n_in);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes && !s; i++)
        s = measure_shape(b, shapes[i][0], shapes[i][1]);
    return s;
}

/* ---- one stream ------------------------------------------------------------------------------------------- */

/* One answer, token by token: each reads all weights once. The first run touches pages and is dropped. */
static agon_status decode(bench *b, const model *m, size_t n_new, double *seconds) {
    enum { N_PROMPT = 8 };
    int32_t prompt[N_PROMPT];
    completion out = {0};
    generate_request request = {.prompt = prompt, .n_prompt = N_PROMPT, .n_samples = 1, .seeds = &(uint64_t){1}, .sampling = sampling_default()};
    for (int32_t i = 0; i < N_PROMPT; i++)
        prompt[i] = (i * 7 + 5) % (int32_t)model_get_config(m)->n_vocabulary;
    request.sampling.max_tokens = n_new;
    request.sampling.ignore_stop_tokens = true;
    double start = now();
    agon_status s = generate(b->ctx, m, &request, 1, NULL, &out);
    *seconds = (now() - start) / (double)n_new;
    completion_free(&out);
    return s;
}

/* Bytes a second of a plain reader, the median of some passes over n floats: what speed an answer could have, not the best the machine ever shows. */
static double read_bandwidth(bench *b, const float *memory, size_t n) {
    enum { PASSES = 9 };
    double rates[PASSES];
    for (int i = 0; i < PASSES; i++) {
        double start = now();
        compute_read(b->ctx, memory, n);
        rates[i] = (double)n * sizeof *memory / (now() - start);
    }
    return median(rates, PASSES);
}

/* Bytes of weights that a token reads, and their share of what the memory gives to a plain reader of as many bytes (no more of them are in the cache),
 * on huge pages as the weights are, just before and after each answer: the same machine differs by half from minute to minute. */
static agon_status measure_stream(bench *b, const model *m) {
    enum { NEW_TOKENS = 64 };
    double seconds[MAX_RUNS], share[MAX_RUNS], read[MAX_RUNS], unused;
    const double weights = (double)(model_predict(model_get_config(m), model_dtype(m)) - model_widen_bytes(m));
    const size_t n_new = NEW_TOKENS < model_get_config(m)->max_context / 2 ? NEW_TOKENS : model_get_config(m)->max_context / 2;
    const size_t n_floats = (size_t)weights / sizeof(float) + 1, runs = b->options.runs;
    agon_status s = measure_machine(b);
    float *memory = s ? NULL : memory_raw(n_floats, sizeof *memory);
    if (!s && !memory)
        s = no_memory(b->ctx);
    if (!s) {
        memset(memory, 0, n_floats * sizeof *memory); /* else every page is the one page of zeros */
        s = decode(b, m, n_new, &unused);
    }
    double before = s ? 0 : read_bandwidth(b, memory, n_floats);
    for (size_t i = 0; i < runs && !s; i++) {
        s = decode(b, m, n_new, &seconds[i]);
        double after = read_bandwidth(b, memory, n_floats);
        read[i] = (before + after) / 2;
        share[i] = weights / seconds[i] / read[i];
        before = after;
    }
    free(memory);
    if (s)
        return s;
    double middle = median(seconds, runs);
    return tell(b, json_pack("{s:s,s:I,s:f,s:f,s:f,s:f,s:f}", "kernel", "stream", "new_tokens", (json_int_t)n_new, "tokens_per_s", 1 / middle,
                             "weight_mbytes", weights * 1e-6, "weight_gbytes_per_s", weights / middle * 1e-9, "read_gbytes_per_s",
                             median(read, runs) * 1e-9, "share_of_read", median(share, runs)));
}

static agon_status measure_group(bench *b, const char *group) {
    if (strcmp(group, "matmul") == 0)
        return measure_all(b);
    agon_status s = compute_check_once(b->ctx);
    return s ? s : measure_stream(b, b->options.model->m);
}

static agon_status take_options(bench *b, const char *group, const agon_bench_options *given) {
    enum { MOST = 1 << 20 };
    agon_bench_options *o = &b->options;
    *o = agon_bench_options_default();
    agon_status s = options_take(b->ctx, "agon_bench_options", given, sizeof *o, o);
    if (!s)
        s = OPTIONS_GIVEN(b->ctx, {"the group of kernels", group, 1});
    if (s)
        return s;
    if (strcmp(group, "matmul") != 0 && strcmp(group, "stream") != 0)
        return ctx_fail(b->ctx, AGON_ENOTFOUND, "there are no measurements called '%.40s'; there are matmul and stream", group);
    if (strcmp(group, "stream") == 0 && !o->model)
        return ctx_fail(b->ctx, AGON_EINVAL, "decoding is measured on a model; give one");
    o->runs = o->runs ? o->runs : 5;
    if (o->runs > MAX_RUNS || o->n_out > MOST || o->n_in > MOST || o->rows > MOST || !o->n_out != !o->n_in)
        return ctx_fail(b->ctx, AGON_EINVAL,
                        "a measurement takes 1 to %d runs, n_out and n_in together, and sizes up to %d", MAX_RUNS, MOST);
    return AGON_OK;
}

agon_status agon_bench(agon_ctx *ctx, const char *group, const agon_bench_options *options, char **json) {
    FP_ENVIRONMENT();
    agon_status s = OPTIONS_GIVEN(ctx, {"the place for the answer", json, 1});
    if (s)
        return s;
    bench b = {.ctx = ctx, .kernels = json_array()};
    if (!b.kernels)
        return no_memory(ctx);
    s = take_options(&b, group, options);
    if (!s)
        s = measure_group(&b, group);
    if (!s)
        s = json_give_take(ctx,
                           json_pack("{s:s,s:s,s:i,s:{s:f,s:f,s:f},s:O}", "cpu", cpu_path_name(ctx->cpu), "numerics",
                                     numerics_name(ctx->numerics), "threads", ctx->n_threads, "peak",
                                     "f32_gflops", b.peak_f32 * 1e-9, "bf16_gflops", b.peak_bf16 * 1e-9, "read_gbytes_per_s",
                                     b.read * 1e-9, "kernels", b.kernels),
                           json);
    json_decref(b.kernels);
    return s;
}
