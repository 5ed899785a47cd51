/* Start-up self-test: each kernel on fixed inputs, its bits hashed and compared with the recorded
 * hash. Catches a CPU, compiler or library whose arithmetic differs from the contract before it can
 * spoil a run. The hashes hold for every x86 path; they change only with the contract itself
 * (docs/numerics.md tells how to record them). */
#include "compute/compute.h"
#include "base/ctx.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/numerics.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 13, N_IN = 70, N_OUT = 51, VOCABULARY = 1070, HEADS = 6, KV = 2, DIM = 64, KEYS = 45, MANY_KEYS = 70 };
enum { Q_WIDTH = HEADS * DIM, KV_WIDTH = KV * DIM, SPACE = 1 << 18 };

/* Inputs and outputs are taken from one block of memory, in order. */
typedef struct bench {
    agon_ctx *ctx;
    rng r;
    float *memory;
    size_t used;
} bench;

static float *take(bench *b, size_t n) {
    float *p = b->memory + b->used;
    b->used += (n + 15) / 16 * 16;
    return b->used <= SPACE ? p : NULL;
}

/* Exact in f32 and spread over magnitudes, denormals and both zeros included. */
static float *inputs(bench *b, size_t n) {
    float *x = take(b, n);
    for (size_t i = 0; x && i < n; i++) {
        float u = (float)((int64_t)(rng_next(&b->r) >> 40) - (1 << 23)) * 0x1p-22f;
        uint64_t kind = rng_below(&b->r, 64);
        x[i] = kind == 0 ? 0.0f * u : kind == 1 ? u * 1e-39f : kind < 8 ? u * 0x1p-12f : u;
    }
    return x;
}

static void add_bits(hasher *h, const float *x, size_t n) {
    hasher_add(h, x, n * sizeof *x);
}

static agon_status test_products(bench *b, compute_dtype dtype, hasher *h) {
    const float *w = inputs(b, N_OUT * N_IN), *x = inputs(b, ROWS * N_IN), *dy = inputs(b, ROWS * N_OUT);
    float *y = inputs(b, ROWS * N_OUT), *dx = inputs(b, ROWS * N_IN), *dw = inputs(b, N_OUT * N_IN);
    const float *bias = inputs(b, N_OUT);
    matrix *m = NULL;
    agon_status status = matrix_new(b->ctx, dtype, N_OUT, N_IN, w, &m);
    if (status)
        return status;
    matmul(b->ctx, x, ROWS, m, bias, 0.3f, true, y);
    matmul_dx(b->ctx, dy, ROWS, m, 1.0f, false, dx);
    matmul_dw(b->ctx, dtype, dy, x, ROWS, N_OUT, N_IN, 0.7f, dw);
    add_bits(h, y, ROWS * N_OUT);
    add_bits(h, dx, ROWS * N_IN);
    add_bits(h, dw, N_OUT * N_IN);
    matrix_free(m);
    return AGON_OK;
}

static agon_status test_bf16(bench *b, hasher *h) {
    return test_products(b, COMPUTE_BF16, h);
}

/* So many rows that a tile of every path is full and one is not (AMX: 32 + 32 + 3), and their gradient in two calls, as micro-batches
 * make it. */
static agon_status test_many_rows(bench *b, hasher *h) {
    enum { MANY = 67, FIRST = 32, N_DW = N_OUT * N_IN };
    const float *w = inputs(b, N_DW), *x = inputs(b, MANY * N_IN), *dy = inputs(b, MANY * N_OUT), *bias = inputs(b, N_OUT);
    float *y = inputs(b, MANY * N_OUT), *dx = inputs(b, MANY * N_IN), *dw = inputs(b, N_DW), *cut = take(b, N_DW);
    matrix *m = NULL;
    agon_status status = matrix_new(b->ctx, COMPUTE_BF16, N_OUT, N_IN, w, &m);
    if (status)
        return status;
    memcpy(cut, dw, N_DW * sizeof *cut);
    matmul(b->ctx, x, MANY, m, bias, 0.3f, true, y);
    matmul_dx(b->ctx, dy, MANY, m, 0.9f, true, dx);
    matmul_dw(b->ctx, COMPUTE_BF16, dy, x, MANY, N_OUT, N_IN, 0.7f, dw);
    matmul_dw(b->ctx, COMPUTE_BF16, dy, x, FIRST, N_OUT, N_IN, 0.7f, cut);
    matmul_dw(b->ctx, COMPUTE_BF16, dy + FIRST * N_OUT, x + FIRST * N_IN, MANY - FIRST, N_OUT, N_IN, 0.7f, cut);
    add_bits(h, y, MANY * N_OUT);
    add_bits(h, dx, MANY * N_IN);
    add_bits(h, dw, N_DW);
    matrix_free(m);
    if (memcmp(dw, cut, N_DW * sizeof *cut) != 0)
        return ctx_fail(b->ctx, AGON_EMISMATCH,
                        "start-up self-test: on CPU path %s a weight gradient depends on how its rows are cut into calls; results "
                        "would not be reproducible. Try AGON_CPU=portable, or report this CPU and compiler",
                        cpu_path_name(b->ctx->cpu));
    return AGON_OK;
}

/* Few rows and many, which 8-bit weights take two ways. */
static agon_status test_q8(bench *b, hasher *h) {
    enum { N_Q8 = 96 };
    int8_t values[N_OUT * N_Q8];
    float *scales = take(b, N_OUT * N_Q8 / 32), *y = take(b, ROWS * N_OUT);
    const float *x = inputs(b, ROWS * N_Q8), *bias = inputs(b, N_OUT);
    matrix *m = NULL;
    for (size_t i = 0; i < N_OUT * N_Q8; i++)
        values[i] = (int8_t)((int)rng_below(&b->r, 256) - 128);
    for (size_t i = 0; i < N_OUT * N_Q8 / 32; i++)
        scales[i] = (float)rng_below(&b->r, 2048) * 0x1p-18f;
    agon_status status = matrix_new_q8(b->ctx, N_OUT, N_Q8, values, scales, &m);
    if (status)
        return status;
    matmul(b->ctx, x, ROWS, m, bias, 0.3f, false, y);
    add_bits(h, y, ROWS * N_OUT);
    matmul(b->ctx, x, 3, m, bias, 0.3f, true, y);
    add_bits(h, y, 3 * N_OUT);
    matrix_free(m);
    return AGON_OK;
}

static agon_status test_f32(bench *b, hasher *h) {
    return test_products(b, COMPUTE_F32, h);
}

static agon_status test_head(bench *b, hasher *h) {
    const float *w = inputs(b, VOCABULARY * N_IN), *x = inputs(b, 3 * N_IN), *d = inputs(b, 9);
    const int32_t targets[3] = {-1, 1023, 1024};
    float *out = take(b, 12), *dx = take(b, 3 * N_IN), *dw = inputs(b, VOCABULARY * N_IN);
    float *scratch = take(b, head_scratch_floats(3, N_IN));
    matrix *m = NULL;
    agon_status status =
        matrix_new(b->ctx, COMPUTE_BF16, VOCABULARY, N_IN, w, &m);
    if (status)
        return status;
    head_log_prob(b->ctx, m, x, 3, targets, 0.7f, out, out + 3, out + 6, out + 9, NULL);
    head_backward(b->ctx, m, x, 3, targets, 0.7f, out, out + 6, d, d + 3, d + 6, dx, dw, scratch, NULL);
    add_bits(h, out, 12);
    add_bits(h, dx, 3 * N_IN);
    add_bits(h, dw, VOCABULARY * N_IN);
    matrix_free(m);
    return AGON_OK;
}

static agon_status attention_of(bench *b, hasher *h, size_t n, bool bf16) {
    const attention_shape shape = {HEADS, KV, DIM, 0.125f, bf16};
    int32_t list[MANY_KEYS];
    attention_keys keys[MANY_KEYS];
    for (int i = 0; i < (int)n; i++) {
        list[i] = i;
        keys[i] = (attention_keys){list, i + 1};
    }
    const float *q = inputs(b, n * Q_WIDTH), *k = inputs(b, n * KV_WIDTH);
    const float *v = inputs(b, n * KV_WIDTH), *d_out = inputs(b, n * Q_WIDTH);
    float *out = take(b, n * Q_WIDTH), *lse = take(b, n * HEADS), *dq = take(b, n * Q_WIDTH);
    float *dk = inputs(b, n * KV_WIDTH), *dv = inputs(b, n * KV_WIDTH);
    size_t n_scratch = attention_scratch_floats(&shape, n, n);
    float *scratch = take(b, n_scratch);
    attention(b->ctx, &shape, n, keys, q, k, v, out, lse);
    attention_backward(b->ctx, &shape, n, keys, q, k, v, out, lse, d_out, dq, dk, dv, scratch,
                       n_scratch);
    add_bits(h, out, n * Q_WIDTH);
    add_bits(h, lse, n * HEADS);
    add_bits(h, dq, n * Q_WIDTH);
    add_bits(h, dk, n * KV_WIDTH);
    add_bits(h, dv, n * KV_WIDTH);
    return AGON_OK;
}

static agon_status test_attention(bench *b, hasher *h) {
    return attention_of(b, h, KEYS, false);
}

/* So many rows that the forward pass takes them in blocks. */
static agon_status test_attention_blocks(bench *b, hasher *h) {
    return attention_of(b, h, MANY_KEYS, false);
}

static agon_status test_attention_bf16(bench *b, hasher *h) {
    return attention_of(b, h, MANY_KEYS, true);
}

static agon_status test_rows(bench *b, hasher *h) {
    enum { N = ROWS * N_IN };
    float *x = inputs(b, N), *w = inputs(b, N_IN), *dy = inputs(b, N), *y = take(b, N), *dx = take(b, N);
    float *inv = take(b, ROWS), *dw = inputs(b, N_IN), *freq = take(b, N_IN / 2), *angles = take(b, N);
    int32_t positions[ROWS];
    for (int i = 0; i < ROWS; i++)
        positions[i] = i * i * 40;
    for (int i = 0; i < N_IN / 2; i++)
        freq[i] = 1.0f / (float)(1 + 3 * i);
    rms_norm(b->ctx, x, ROWS, N_IN, w, 1e-5f, y, inv);
    rms_norm_backward(b->ctx, x, inv, w, dy, ROWS, N_IN, false, dx, dw);
    bias_gradient(b->ctx, dy, ROWS, N_IN, dw);
    rope_table(b->ctx, ROWS, N_IN, freq, positions, angles);
    rope(b->ctx, y, ROWS, 1, N_IN, angles, 1);
    add_bits(h, y, N);
    add_bits(h, dx, N);
    add_bits(h, dw, N_IN);
    add_bits(h, inv, ROWS);
    swiglu(b->ctx, x, dy, N, y);
    swiglu_backward(b->ctx, x, dy, dx, N, y, x, dx);
    add_in_place(b->ctx, y, dx, N);
    add_bits(h, y, N);
    add_bits(h, x, N);
    return AGON_OK;
}

static agon_status test_adamw(bench *b, hasher *h) {
    enum { N = 1000 };
    float *theta = inputs(b, N), *g = inputs(b, N), *m = inputs(b, N), *v = inputs(b, N);
    for (int i = 0; i < N; i++)
        v[i] = v[i] * v[i];
    adamw_options o = {.lr = 1e-3f, .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .weight_decay = 0.01f,
                       .step = 7};
    adamw(b->ctx, &o, 0.9f, g, N, theta, m, v);
    double sum = sum_squares(b->ctx, theta, N);
    add_bits(h, theta, N);
    add_bits(h, m, N);
    add_bits(h, v, N);
    hasher_add(h, &sum, sizeof sum);
    return AGON_OK;
}

static const struct {
    const char *name;
    agon_status (*run)(bench *b, hasher *h);
    const char *golden;
    const char *native; /* where numerics: native has bits of its own */
} kernels_tested[] = {
    {"bf16 products", test_bf16,
     "ead55a4311699f4c50aa3ee8f10e40b110bf5cf8fca0fdd139f66e4e586c7cf6",
     "85a8745631762f6afbdfc1f02d52da5637b23a5ffe6043ed809ac5508e8f2b87"},
    {"f32 products", test_f32,
     "56023eb595deaf3ce40a14ae1d825ba259d7358ff6aaa4b563089e9d38bfec5e", NULL},
    {"output head", test_head,
     "57f8de1c9690b9dfc4095c7c58d6767491eaf951424cfd3f42c3dcf5d88a631c",
     "f9924a153cdbb939b976713146e9c9c51c32a6d9a11100186c7f0796f5bcd792"},
    {"attention", test_attention,
     "ccd05598736b26a9cccf987fccfa0f049e458e5c0ce5ac9ee9057dfbf0183231", NULL},
    {"norm, rotary embedding, SwiGLU", test_rows,
     "4c5c137c5182befa3cda929825e4ca52b64e31496042af82723d5ec1b5768390", NULL},
    {"AdamW and gradient norm", test_adamw,
     "3280525ed72b87bee11f6d1a1f65f13c304a2f32cef993525692aeb4938bab15", NULL},
    {"8-bit products", test_q8, "1670162d8363aa702aa5f933718b362da34cd98d66aea48ff962e38006500d69",
     "f4053b4188879ba722c3986d1d3a0d17a95fb42a05c98b106b9db063142b45d0"},
    {"attention in blocks", test_attention_blocks,
     "f40f87ece8752fd852bdc7da885d0591389d796350cb79f9e08580065a4a70b3", NULL},
    {"bf16 products of many rows", test_many_rows,
     "658b983442e08bea46505ff18688223430d871b06db6a0550f01f505f6bc41bd",
     "3a3fbf48aa28fee096c5d84097ef0cd64291bce2d5998b8bacb15b9cb092d5b6"},
    {"attention of bf16", test_attention_bf16,
     "9bba5b8bec4f0ceb2eaff98e0fb2a22d4d1c62a79c41e7204d5dacafef257046",
     "2fb567d954b9543fcd00961ce732aa029af53969872f6db8d94c9598dc15c62b"},
};

agon_status compute_self_test(agon_ctx *ctx) {
    agon_status status = AGON_OK;
    bench b = {.ctx = ctx, .memory = memory_new(SPACE, sizeof(float))};
    if (!b.memory)
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for the start-up self-test");
    for (size_t i = 0; i < sizeof kernels_tested / sizeof *kernels_tested && !status; i++) {
        b.r = rng_new(i + 1);
        b.used = 0;
        hasher *h = hasher_new();
        if (!h) {
            status = ctx_fail(ctx, AGON_ENOMEM, "no memory for the start-up self-test");
            break;
        }
        status = kernels_tested[i].run(&b, h);
        hash256 hash = hasher_end(h);
        char hex[HASH_HEX_SIZE];
        hash_hex(&hash, hex);
        const char *want = numerics_is_native(ctx->numerics) && kernels_tested[i].native ? kernels_tested[i].native
                                                                                             : kernels_tested[i].golden;
        if (!status && strcmp(hex, want) != 0)
            status = ctx_fail(ctx, AGON_EMISMATCH,
                              "start-up self-test: %s on CPU path %s gave bits %s, expected "
                              "%.16s...; "
                              "results would not be reproducible. Try AGON_CPU=portable, or report "
                              "this CPU and compiler",
                              kernels_tested[i].name, cpu_path_name(ctx->cpu), hex, want);
    }
    free(b.memory);
    return status;
}

agon_status compute_check_once(agon_ctx *ctx) {
    bool *checked = &ctx->cpu_checked[numerics_is_native(ctx->numerics)];
    if (*checked)
        return AGON_OK;
    agon_status status = compute_self_test(ctx);
    if (status == AGON_EMISMATCH && ctx->cpu == CPU_AMX && !ctx->cpu_forced) {
        ctx->cpu = CPU_AVX512;
        ctx->amx_failed = true;
        status = compute_self_test(ctx);
    }
    *checked = status == AGON_OK;
    return status;
}
