/* 8-bit weights: every product has the bits of the same weights in bf16, on every path, for odd sizes. */
#include "reference.h"
#include "compute/matrix.h"

typedef struct sizes {
    size_t n_out, n_in;
} sizes;
/* The last one is deeper than what is unpacked at a time. */
static const sizes cases[] = {{1, 32}, {17, 64}, {50, 96}, {33, 2080}};
/* One tile of every height there is, and two and more of them. */
static const size_t row_counts[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 25, 97};
enum { N_CASES = sizeof cases / sizeof *cases, N_ROWS = sizeof row_counts / sizeof *row_counts, MOST_ROWS = 97 };

typedef struct data {
    sizes n;
    int8_t *values;
    float *scales, *w, *x, *bias, *y, *dy, *dx;
} data;

/* Scales a half can hold: ordinary ones, zeros of both signs, negative ones, subnormal halves and the largest. */
static float scale_at(rng *r) {
    static const float special[] = {0.0f, -0.0f, 0x1p-24f, -0x1.8p-23f, 65504.0f, -65504.0f};
    uint64_t kind = rng_below(r, 24);
    if (kind < sizeof special / sizeof *special)
        return special[kind];
    return (float)(1024 + rng_below(r, 1024)) * 0x1p-19f * (rng_below(r, 2) ? 1.0f : -1.0f);
}

static data data_new(sizes n) {
    rng r = rng_new(n.n_out * 1009 + n.n_in);
    data d = {.n = n, .values = malloc(n.n_out * n.n_in), .scales = malloc(n.n_out * n.n_in / 32 * sizeof(float)),
              .w = malloc(n.n_out * n.n_in * sizeof(float)), .x = random_floats(&r, MOST_ROWS * n.n_in),
              .bias = random_floats(&r, n.n_out), .y = random_floats(&r, MOST_ROWS * n.n_out),
              .dy = random_floats(&r, MOST_ROWS * n.n_out), .dx = random_floats(&r, MOST_ROWS * n.n_in)};
    for (size_t i = 0; i < n.n_out * n.n_in / 32; i++)
        d.scales[i] = scale_at(&r);
    for (size_t i = 0; i < n.n_out * n.n_in; i++) {
        d.values[i] = (int8_t)((int)rng_below(&r, 256) - 128);
        d.w[i] = (float)d.values[i] * d.scales[i / 32];
    }
    return d;
}

static void data_free(data *d) {
    free(d->values);
    float *all[] = {d->scales, d->w, d->x, d->bias, d->y, d->dy, d->dx};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

static float *copy_of(const float *x, size_t n) {
    float *copy = malloc(n * sizeof *copy);
    memcpy(copy, x, n * sizeof *copy);
    return copy;
}

static void check_forward(agon_ctx *ctx, const data *d, const matrix *wide, const matrix *q8) {
    for (size_t i = 0; i < N_ROWS; i++) {
        size_t rows = row_counts[i], n = rows * d->n.n_out;
        float *want = copy_of(d->y, n), *got = copy_of(d->y, n);
        matmul(ctx, d->x, rows, wide, d->bias, 0.3f, true, want);
        matmul(ctx, d->x, rows, q8, d->bias, 0.3f, true, got);
        assert_same_bits(got, want, n);
        matmul(ctx, d->x, rows, wide, NULL, 1, false, want);
        matmul(ctx, d->x, rows, q8, NULL, 1, false, got);
        assert_same_bits(got, want, n);
        free(want);
        free(got);
    }
}

static void check_head(agon_ctx *ctx, const data *d, const matrix *wide, const matrix *q8) {
    enum { ROWS = 5 };
    float want[3][ROWS], got[3][ROWS];
    int32_t targets[ROWS];
    for (size_t i = 0; i < ROWS; i++)
        targets[i] = (int32_t)(i * 7 % d->n.n_out);
    head_log_prob(ctx, wide, d->x, ROWS, targets, 0.7f, want[0], want[1], want[2], NULL, NULL);
    head_log_prob(ctx, q8, d->x, ROWS, targets, 0.7f, got[0], got[1], got[2], NULL, NULL);
    assert_memory_equal(got, want, sizeof want);
}

static void check_rows(const data *d, const matrix *wide, const matrix *q8) {
    float *want = malloc(d->n.n_in * sizeof *want), *got = malloc(d->n.n_in * sizeof *got);
    for (size_t o = 0; o < d->n.n_out; o++) {
        matrix_row(wide, o, want);
        matrix_row(q8, o, got);
        assert_same_bits(got, want, d->n.n_in);
    }
    free(want);
    free(got);
}

static void check_backward(agon_ctx *ctx, const data *d, const matrix *wide, matrix *q8) {
    size_t n = MOST_ROWS * d->n.n_in;
    float *want = copy_of(d->dx, n), *got = copy_of(d->dx, n);
    matmul_dx(ctx, d->dy, MOST_ROWS, wide, 0.5f, true, want);
    matmul_dx(ctx, d->dy, MOST_ROWS, q8, 0.5f, true, got);
    assert_same_bits(got, want, n);
    free(want);
    free(got);
}

static void q8__has_the_bits_of_bf16_weights_on_every_path(void **state) {
    (void)state;
    for (size_t i = 0; i < N_CASES; i++) {
        data d = data_new(cases[i]);
        FOR_EACH_MODE(ctx) {
            matrix *wide = NULL, *q8 = NULL;
            assert_ok(ctx, matrix_new(ctx, COMPUTE_BF16, d.n.n_out, d.n.n_in, d.w, &wide));
            assert_ok(ctx, matrix_new_q8(ctx, d.n.n_out, d.n.n_in, d.values, d.scales, &q8));
            assert_true(matrix_is_q8(q8) && !matrix_is_q8(wide));
            check_forward(ctx, &d, wide, q8);
            check_head(ctx, &d, wide, q8);
            check_rows(&d, wide, q8);
            check_backward(ctx, &d, wide, q8);
            assert_ok(ctx, matrix_widen(ctx, q8));
            assert_true(!matrix_is_q8(q8) && matrix_bytes(q8) == matrix_bytes(wide));
            check_forward(ctx, &d, wide, q8);
            matrix_free(wide);
            matrix_free(q8);
        }
        data_free(&d);
    }
}

/* Each integer with each significand a half has. */
static void q8__rounds_every_element_as_bf16_is_rounded(void **state) {
    (void)state;
    enum { N_IN = 256, N_OUT = 2048 };
    int8_t *values = malloc((size_t)N_OUT * N_IN);
    float *scales = malloc(N_OUT * N_IN / 32 * sizeof *scales), one[N_IN], *y = malloc(N_OUT * sizeof *y);
    for (size_t o = 0; o < N_OUT; o++)
        for (size_t k = 0; k < N_IN; k++) {
            values[o * N_IN + k] = (int8_t)((int)k - 128);
            scales[(o * N_IN + k) / 32] = (float)o * 0x1p-14f;
        }
    FOR_EACH_MODE(ctx) {
        matrix *m = NULL;
        if (ctx->n_threads > 1)
            continue;
        assert_ok(ctx, matrix_new_q8(ctx, N_OUT, N_IN, values, scales, &m));
        for (size_t k = 0; k < N_IN; k++) {
            memset(one, 0, sizeof one);
            one[k] = 1;
            matmul(ctx, one, 1, m, NULL, 1, false, y);
            for (size_t o = 0; o < N_OUT; o++)
                if (y[o] != bf16((float)((int)k - 128) * scales[o * N_IN / 32]))
                    fail_msg("%d x %g became %.9g", (int)k - 128, (double)scales[o * N_IN / 32], (double)y[o]);
        }
        matrix_free(m);
    }
    free(values);
    free(scales);
    free(y);
}

/* What the tiles after the first read is what unpacking makes. */
static void q8__first_tile_of_rows_leaves_bf16_panels(void **state) {
    (void)state;
    enum { N_OUT = 33, N_IN = 64, PANEL = N_IN * LANES_N };
    data d = data_new((sizes){N_OUT, N_IN});
    FOR_EACH_MODE(ctx) {
        const products *p = products_of(ctx, COMPUTE_BF16);
        matrix *m = NULL;
        uint16_t want[3][PANEL], got[2][PANEL];
        if (ctx->n_threads > 1 || !p->q8_rows)
            continue;
        assert_ok(ctx, matrix_new_q8(ctx, N_OUT, N_IN, d.values, d.scales, &m));
        unsigned mode = fp_mode_set();
        gemm g = {.n_rows = p->q8_rows + 1, .k = N_IN, .n_cols = N_OUT, .y = d.y, .ldy = N_OUT, .scale = 1, .unpacked = got};
        product_weights(&m->pack, COMPUTE_BF16, 0, 0, &g);
        g.a = product_rows(ctx, COMPUTE_BF16, d.x, N_IN, g.n_rows, N_IN, 0, &g.lda);
        p->multiply(&g);
        for (size_t i = 0; i < 3; i++)
            packing_of(ctx)->unpack_q8((const char *)g.w + i * g.panel_bytes, N_IN / K_BLOCK, want[i]);
        fp_mode_restore(mode);
        /* Three panels: two at a time where a tile is two wide, so the third lies over the first; else over all. */
        assert_memory_equal(got[0], want[2], sizeof got[0]);
        if (p->pairs && ctx->cpu >= CPU_AVX512 && ctx->cpu != CPU_NEON)
            assert_memory_equal(got[1], want[1], sizeof got[1]);
        matrix_free(m);
    }
    data_free(&d);
}

static void q8__takes_half_the_memory(void **state) {
    (void)state;
    enum { N_OUT = 192, N_IN = 576 };
    agon_ctx *ctx = test_ctx(2, NULL);
    int8_t *values = calloc(N_OUT * N_IN, 1);
    float *scales = calloc(N_OUT * N_IN / 32, sizeof *scales);
    matrix *m = NULL;
    assert_ok(ctx, matrix_new_q8(ctx, N_OUT, N_IN, values, scales, &m));
    assert_int_equal(matrix_predict_q8(N_OUT, N_IN), N_OUT * N_IN * 9 / 8);
    assert_in_range(matrix_bytes(m), N_OUT * N_IN * 9 / 8, N_OUT * N_IN * 9 / 8 + 256);
    matrix_free(m);
    agon_ctx_free(ctx);
    free(values);
    free(scales);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(q8__has_the_bits_of_bf16_weights_on_every_path),
        cmocka_unit_test(q8__rounds_every_element_as_bf16_is_rounded),
        cmocka_unit_test(q8__first_tile_of_rows_leaves_bf16_panels),
        cmocka_unit_test(q8__takes_half_the_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
