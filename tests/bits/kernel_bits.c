/* kernel_bits: a line a kernel, size and CPU path with a hash of the result's bits, over odd sizes. tests/neon/run compares what
 * NEON and plain C give on ARM, tests/amx/run what AMX and the other paths give on x86, both emulated, with what plain C gives on
 * this machine. No test library and no libcrypto, so that the kernels and four files of src/base are all that must be built. */
#include "base/ctx.h"
#include "base/memory.h"
#include "compute/compute.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state;

/* Values of mixed size from a linear congruential generator: exact in f32, so the same everywhere. */
static float *values(size_t n) {
    float *x = memory_new(n, sizeof *x);
    for (size_t i = 0; x && i < n; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        float u = (float)((int64_t)(state >> 40) - (1 << 23)) * 0x1p-22f;
        unsigned kind = (unsigned)(state >> 33) & 63;
        x[i] = kind == 0 ? 0.0f * u : kind == 1 ? u * 1e-39f : kind < 8 ? u * 0x1p-12f : u;
    }
    if (!x)
        exit(2);
    return x;
}

/* FNV-1a. Zero has one sign where kernels may give either: none may. */
static void show(const char *path, const char *kernel, size_t a, size_t b, size_t c, const void *data, size_t bytes) {
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < bytes; i++)
        h = (h ^ ((const unsigned char *)data)[i]) * 1099511628211u;
    printf("%s %s %zux%zux%zu %016llx\n", path, kernel, a, b, c, (unsigned long long)h);
}

static void check(agon_status s, const agon_ctx *ctx) {
    if (s) {
        fprintf(stderr, "%s\n", agon_error(ctx));
        exit(2);
    }
}

static void products(agon_ctx *ctx, const char *path, compute_dtype dtype, size_t rows, size_t n_out, size_t n_in) {
    const char *kind = dtype == COMPUTE_F32 ? "f32" : ctx->numerics ? "bf16-native" : "bf16";
    char name[64];
    state = rows * 1000003 + n_out * 1009 + n_in;
    float *w = values(n_out * n_in), *x = values(rows * n_in), *dy = values(rows * n_out), *bias = values(n_out);
    float *y = values(rows * n_out), *dx = values(rows * n_in), *dw = values(n_out * n_in);
    matrix *m = NULL;
    check(matrix_new(ctx, dtype, n_out, n_in, w, &m), ctx);
    matmul(ctx, x, rows, m, bias, 0.3f, true, y);
    matmul_dx(ctx, dy, rows, m, 1, true, dx);
    matmul_dw(ctx, dtype, dy, x, rows, n_out, n_in, 0.7f, dw);
    snprintf(name, sizeof name, "matmul-%s", kind);
    show(path, name, rows, n_out, n_in, y, rows * n_out * sizeof *y);
    snprintf(name, sizeof name, "matmul_dx-%s", kind);
    show(path, name, rows, n_out, n_in, dx, rows * n_in * sizeof *dx);
    snprintf(name, sizeof name, "matmul_dw-%s", kind);
    show(path, name, rows, n_out, n_in, dw, n_out * n_in * sizeof *dw);
    matrix_free(m);
    float *all[] = {w, x, dy, bias, y, dx, dw};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

/* Few rows and many, which 8-bit weights take two ways. */
static void products_q8(agon_ctx *ctx, const char *path, size_t rows, size_t n_out, size_t n_in) {
    state = rows * 1000003 + n_out * 1009 + n_in;
    float *w = values(n_out * n_in), *x = values(rows * n_in), *y = values(rows * n_out), *scales = values(n_out * n_in / 32);
    int8_t *integers = malloc(n_out * n_in);
    matrix *m = NULL;
    for (size_t i = 0; i < n_out * n_in; i++)
        integers[i] = (int8_t)(w[i] * 100);
    for (size_t i = 0; i < n_out * n_in / 32; i++)
        scales[i] = (float)(i * 37 % 2048) * 0x1p-18f;
    check(matrix_new_q8(ctx, n_out, n_in, integers, scales, &m), ctx);
    matmul(ctx, x, rows, m, NULL, 1, false, y);
    show(path, ctx->numerics ? "matmul-q8-native" : "matmul-q8", rows, n_out, n_in, y, rows * n_out * sizeof *y);
    matrix_free(m);
    free(integers), free(w), free(x), free(y), free(scales);
}

static void head(agon_ctx *ctx, const char *path, size_t rows, size_t vocabulary, size_t n_in) {
    state = vocabulary;
    float *w = values(vocabulary * n_in), *x = values(rows * n_in), *d = values(3 * rows), *out = values(4 * rows);
    float *dx = values(rows * n_in), *dw = values(vocabulary * n_in), *scratch = values(head_scratch_floats(rows, n_in));
    int32_t targets[64];
    for (size_t i = 0; i < rows; i++)
        targets[i] = (int32_t)(i * 977 % vocabulary);
    matrix *m = NULL;
    check(matrix_new(ctx, COMPUTE_BF16, vocabulary, n_in, w, &m), ctx);
    head_log_prob(ctx, m, x, rows, targets, 0.7f, out, out + rows, out + 2 * rows, out + 3 * rows, NULL);
    head_backward(ctx, m, x, rows, targets, 0.7f, out, out + 2 * rows, d, d + rows, d + 2 * rows, dx, dw, scratch, NULL);
    show(path, "head", rows, vocabulary, n_in, out, 4 * rows * sizeof *out);
    show(path, "head_dx", rows, vocabulary, n_in, dx, rows * n_in * sizeof *dx);
    show(path, "head_dw", rows, vocabulary, n_in, dw, vocabulary * n_in * sizeof *dw);
    matrix_free(m);
    float *all[] = {w, x, d, out, dx, dw, scratch};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

static void attend(agon_ctx *ctx, const char *path, size_t n, size_t heads, size_t kv_heads, size_t dim, bool bf16) {
    const attention_shape shape = {heads, kv_heads, dim, 0.125f, bf16};
    size_t q_n = n * heads * dim, kv_n = n * kv_heads * dim;
    attention_keys keys[80];
    int32_t list[80];
    state = n * 31 + dim;
    for (size_t i = 0; i < n; i++) {
        list[i] = (int32_t)i;
        keys[i] = (attention_keys){list, (int32_t)i + 1};
    }
    float *q = values(q_n), *k = values(kv_n), *v = values(kv_n), *d_out = values(q_n), *out = values(q_n), *lse = values(n * heads);
    float *dq = values(q_n), *dk = values(kv_n), *dv = values(kv_n);
    size_t n_scratch = attention_scratch_floats(&shape, n, n);
    float *scratch = values(n_scratch);
    attention(ctx, &shape, n, keys, q, k, v, out, lse);
    attention_backward(ctx, &shape, n, keys, q, k, v, out, lse, d_out, dq, dk, dv, scratch, n_scratch);
    show(path, "attention", n, heads, dim, out, q_n * sizeof *out);
    if (bf16) {
        uint16_t *k_rounded = malloc(kv_n * sizeof *k_rounded), *v_rounded = malloc(kv_n * sizeof *v_rounded);
        round_keys(ctx, k, v, n, kv_heads * dim, list, k_rounded, v_rounded);
        show(path, "round_keys", n, kv_heads, dim, k_rounded, kv_n * sizeof *k_rounded);
        attention_rounded(ctx, &shape, n, keys, q, k_rounded, v_rounded, out);
        show(path, "attention_rounded", n, heads, dim, out, q_n * sizeof *out);
        free(k_rounded), free(v_rounded);
    }
    show(path, "attention_lse", n, heads, dim, lse, n * heads * sizeof *lse);
    show(path, "attention_dq", n, heads, dim, dq, q_n * sizeof *dq);
    show(path, "attention_dk", n, heads, dim, dk, kv_n * sizeof *dk);
    show(path, "attention_dv", n, heads, dim, dv, kv_n * sizeof *dv);
    float *all[] = {q, k, v, d_out, out, lse, dq, dk, dv, scratch};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

static void rows_and_adamw(agon_ctx *ctx, const char *path, size_t n_rows, size_t width) {
    size_t n = n_rows * width;
    int32_t positions[64];
    state = n;
    float *x = values(n), *w = values(width), *dy = values(n), *y = values(n), *dx = values(n), *inv = values(n_rows), *dw = values(width);
    float *freq = values(width / 2), *angles = values(n), *m = values(n), *v = values(n);
    for (size_t i = 0; i < n_rows; i++)
        positions[i] = (int32_t)(i * i * 40);
    for (size_t i = 0; i < n; i++)
        v[i] = v[i] * v[i];
    rms_norm(ctx, x, n_rows, width, w, 1e-5f, y, inv);
    rms_norm_backward(ctx, x, inv, w, dy, n_rows, width, false, dx, dw);
    show(path, "rms_norm", n_rows, width, 0, y, n * sizeof *y);
    show(path, "rms_norm_dx", n_rows, width, 0, dx, n * sizeof *dx);
    show(path, "rms_norm_dw", n_rows, width, 0, dw, width * sizeof *dw);
    bias_gradient(ctx, dy, n_rows, width, dw);
    show(path, "bias_gradient", n_rows, width, 0, dw, width * sizeof *dw);
    if (width % 2 == 0) {
        rope_table(ctx, n_rows, width, freq, positions, angles);
        rope(ctx, y, n_rows, 1, width, angles, 1);
        show(path, "rope", n_rows, width, 0, y, n * sizeof *y);
    }
    swiglu(ctx, x, dy, n, y);
    show(path, "swiglu", n_rows, width, 0, y, n * sizeof *y);
    swiglu_backward(ctx, x, dy, dx, n, v, y, m);
    show(path, "swiglu_again", n_rows, width, 0, v, n * sizeof *v);
    for (size_t i = 0; i < n; i++)
        v[i] = v[i] * v[i];
    show(path, "swiglu_dgate", n_rows, width, 0, y, n * sizeof *y);
    show(path, "swiglu_dup", n_rows, width, 0, m, n * sizeof *m);
    adamw_options o = {.lr = 1e-3f, .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .weight_decay = 0.01f, .step = 7};
    adamw(ctx, &o, 0.9f, dy, n, x, m, v);
    show(path, "adamw", n_rows, width, 0, x, n * sizeof *x);
    double sum = sum_squares(ctx, x, n);
    show(path, "sum_squares", n_rows, width, 0, &sum, sizeof sum);
    float *all[] = {x, w, dy, y, dx, inv, dw, freq, angles, m, v};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

int main(void) {
    static const size_t sizes[][3] = {{1, 1, 1}, {2, 16, 32}, {3, 17, 33}, {5, 15, 31}, {7, 48, 64}, {13, 33, 70}, {35, 40, 65}};
    for (int p = 0; p < CPU_N_PATHS; p++) {
        agon_ctx_options o = agon_ctx_options_default();
        agon_ctx *ctx = NULL;
        const char *path = cpu_path_name((cpu_path)p);
        o.n_threads = 2;
        o.cpu = path;
        if (!cpu_path_present((cpu_path)p) || agon_ctx_new(&o, &ctx, NULL, 0))
            continue;
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            products(ctx, path, COMPUTE_F32, sizes[i][0], sizes[i][1], sizes[i][2]);
            products(ctx, path, COMPUTE_BF16, sizes[i][0], sizes[i][1], sizes[i][2]);
            products_q8(ctx, path, sizes[i][0], sizes[i][1], 96);
            ctx->numerics = AGON_NUMERICS_NATIVE;
            products(ctx, path, COMPUTE_BF16, sizes[i][0], sizes[i][1], sizes[i][2]);
            products_q8(ctx, path, sizes[i][0], sizes[i][1], 96);
            ctx->numerics = AGON_NUMERICS_PORTABLE;
            rows_and_adamw(ctx, path, sizes[i][0], sizes[i][2]);
        }
        head(ctx, path, 5, 1070, 37);
        attend(ctx, path, 45, 6, 2, 64, false);
        attend(ctx, path, 33, 3, 3, 20, false);
        attend(ctx, path, 80, 6, 2, 64, false);
        attend(ctx, path, 80, 6, 2, 64, true);
        attend(ctx, path, 33, 3, 3, 20, true);
        agon_ctx_free(ctx);
    }
    return 0;
}
