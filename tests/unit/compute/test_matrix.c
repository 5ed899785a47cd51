/* Matrix products: every CPU path and thread count equals the element-wise contract, odd sizes too. */
#include "reference.h"

typedef struct sizes {
    size_t rows, n_out, n_in;
} sizes;

static const sizes cases[] = {{1, 1, 1},    {2, 16, 32},  {3, 17, 33},   {5, 15, 31},   {7, 48, 64},
                              {6, 33, 100}, {12, 31, 65}, {13, 130, 47}, {35, 70, 129}, {97, 40, 35},
                              {200, 24, 40}, {5, 2107, 40}, {3, 40, 2107}};
enum { N_CASES = sizeof cases / sizeof *cases };

typedef struct data {
    sizes n;
    float *x, *w, *dy, *bias, *y, *dx, *dw, *y_base, *dx_base, *dw_base;
} data;

static data data_new(sizes n, compute_dtype dtype, agon_numerics numerics, float scale) {
    rng r = rng_new(n.rows * 1000003 + n.n_out * 1009 + n.n_in);
    data d = {.n = n};
    d.x = random_floats(&r, n.rows * n.n_in);
    d.w = random_floats(&r, n.n_out * n.n_in);
    d.dy = random_floats(&r, n.rows * n.n_out);
    d.bias = random_floats(&r, n.n_out);
    d.y_base = random_floats(&r, n.rows * n.n_out);
    d.dx_base = random_floats(&r, n.rows * n.n_in);
    d.dw_base = random_floats(&r, n.n_out * n.n_in);
    d.y = random_floats(&r, n.rows * n.n_out);
    d.dx = random_floats(&r, n.rows * n.n_in);
    d.dw = random_floats(&r, n.n_out * n.n_in);
    for (size_t i = 0; i < n.rows; i++)
        for (size_t o = 0; o < n.n_out; o++) {
            float c = product_element(dtype, numerics, d.x + i * n.n_in, 1, d.w + o * n.n_in, 1, n.n_in, 1, 0);
            d.y[i * n.n_out + o] = d.y_base[i * n.n_out + o] + (c * scale + d.bias[o]);
        }
    for (size_t i = 0; i < n.rows; i++)
        for (size_t k = 0; k < n.n_in; k++) {
            float c = product_element(dtype, numerics, d.dy + i * n.n_out, 1, d.w + k, n.n_in, n.n_out, 1, 0);
            d.dx[i * n.n_in + k] = d.dx_base[i * n.n_in + k] + c * scale;
        }
    for (size_t o = 0; o < n.n_out; o++)
        for (size_t k = 0; k < n.n_in; k++)
            d.dw[o * n.n_in + k] = product_element(dtype, numerics, d.dy + o, n.n_out, d.x + k, n.n_in, n.rows,
                                                   scale, d.dw_base[o * n.n_in + k]);
    return d;
}

static void data_free(data *d) {
    float *all[] = {d->x, d->w, d->dy, d->bias, d->y, d->dx, d->dw, d->y_base, d->dx_base, d->dw_base};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

static void check_products(agon_ctx *ctx, compute_dtype dtype, const data *d, float scale) {
    sizes n = d->n;
    size_t n_y = n.rows * n.n_out, n_x = n.rows * n.n_in, n_w = n.n_out * n.n_in;
    float *y = malloc(n_y * sizeof *y), *dx = malloc(n_x * sizeof *dx), *dw = malloc(n_w * sizeof *dw);
    memcpy(y, d->y_base, n_y * sizeof *y);
    memcpy(dx, d->dx_base, n_x * sizeof *dx);
    memcpy(dw, d->dw_base, n_w * sizeof *dw);
    matrix *m = NULL;
    assert_ok(ctx, matrix_new(ctx, dtype, n.n_out, n.n_in, d->w, &m));
    matmul(ctx, d->x, n.rows, m, d->bias, scale, true, y);
    assert_same_bits(y, d->y, n_y);
    matmul_dx(ctx, d->dy, n.rows, m, scale, true, dx);
    assert_same_bits(dx, d->dx, n_x);
    matmul_dw(ctx, dtype, d->dy, d->x, n.rows, n.n_out, n.n_in, scale, dw);
    assert_same_bits(dw, d->dw, n_w);
    matrix_free(m);
    free(y);
    free(dx);
    free(dw);
}

static void matmul__equals_the_contract_on_every_path(void **state) {
    (void)state;
    for (int dtype = COMPUTE_F32; dtype <= COMPUTE_BF16; dtype++)
        for (size_t i = 0; i < N_CASES; i++) {
            float scale = i % 2 ? 1.0f : 0.3f;
            data portable = data_new(cases[i], (compute_dtype)dtype, AGON_NUMERICS_PORTABLE, scale);
            data native = data_new(cases[i], (compute_dtype)dtype, AGON_NUMERICS_NATIVE, scale);
            FOR_EACH_MODE(ctx) check_products(ctx, (compute_dtype)dtype, ctx->numerics ? &native : &portable, scale);
            data_free(&portable);
            data_free(&native);
        }
}

/* The micro-kernels have a variant for every number of rows left over. */
static void matmul__row_counts_do_not_matter(void **state) {
    (void)state;
    enum { ROWS = 35, N_IN = 75, N_OUT = 50 };
    rng r = rng_new(5);
    float *x = random_floats(&r, ROWS * N_IN), *w = random_floats(&r, N_OUT * N_IN);
    float all[ROWS * N_OUT], some[ROWS * N_OUT];
    FOR_EACH_MODE(ctx) {
        for (int dtype = COMPUTE_F32; dtype <= COMPUTE_BF16; dtype++) {
            matrix *m = NULL;
            assert_ok(ctx, matrix_new(ctx, (compute_dtype)dtype, N_OUT, N_IN, w, &m));
            matmul(ctx, x, ROWS, m, NULL, 1, false, all);
            for (size_t n = 1; n < ROWS; n++) {
                matmul(ctx, x + (ROWS - n) * N_IN, n, m, NULL, 1, false, some);
                assert_same_bits(some, all + (ROWS - n) * N_OUT, n * N_OUT);
            }
            matrix_free(m);
        }
    }
    free(x);
    free(w);
}

/* Tasks take panels through the parts, so their borders fall anywhere. */
static void matmul_run__has_the_bits_of_single_products(void **state) {
    (void)state;
    enum { ROWS = 130, N_IN = 96, PARTS = 3, MOST = 210 };
    static const size_t n_out[PARTS] = {50, 7, MOST}, n_rows[] = {1, 2, 5, 13, ROWS};
    rng r = rng_new(8);
    float *x = random_floats(&r, ROWS * N_IN), *w = random_floats(&r, (MOST + PARTS) * N_IN), *bias = random_floats(&r, MOST);
    float *want = calloc(ROWS * MOST, sizeof *want), *y[PARTS];
    for (size_t i = 0; i < PARTS; i++)
        y[i] = calloc(ROWS * MOST, sizeof **y);
    FOR_EACH_MODE(ctx) {
        for (int dtype = COMPUTE_F32; dtype <= COMPUTE_BF16; dtype++) {
            matmul_job job = {.x = x};
            matrix *m[PARTS];
            for (size_t i = 0; i < PARTS; i++) {
                assert_ok(ctx, matrix_new(ctx, (compute_dtype)dtype, n_out[i], N_IN, w + i * N_IN, &m[i]));
                job.parts[i] = (matmul_part){.w = m[i], .bias = i == 1 ? bias : NULL, .y = y[i]};
            }
            for (size_t k = 0; k < sizeof n_rows / sizeof *n_rows; k++)
                for (size_t n = 1; n <= PARTS; n++) {
                    job.n_rows = n_rows[k];
                    job.n_parts = n;
                    matmul_run(ctx, &job);
                    for (size_t i = 0; i < n; i++) {
                        matmul(ctx, x, n_rows[k], m[i], job.parts[i].bias, 1, false, want);
                        assert_same_bits(y[i], want, n_rows[k] * n_out[i]);
                        memset(y[i], 0, ROWS * MOST * sizeof **y);
                    }
                }
            for (size_t i = 0; i < PARTS; i++)
                matrix_free(m[i]);
        }
    }
    for (size_t i = 0; i < PARTS; i++)
        free(y[i]);
    free(x);
    free(w);
    free(bias);
    free(want);
}

/* What the gradient of layers with one input asks: weights of other heights, and adapters in their type, one after the other. */
static void matmul_dx_run__has_the_bits_of_single_products(void **state) {
    (void)state;
    enum { ROWS = 130, N_IN = 50, TERMS = 4, MOST = 3000 };
    static const size_t n_out[TERMS] = {96, 16, MOST, 7}, n_rows[] = {1, 3, 14, ROWS};
    static const float scale[TERMS] = {1, 0.5f, 1, 2};
    rng r = rng_new(23);
    float *dy = random_floats(&r, ROWS * MOST + TERMS), *w = random_floats(&r, MOST * N_IN), *dx = random_floats(&r, ROWS * N_IN);
    float *want = calloc(ROWS * N_IN, sizeof *want);
    FOR_EACH_MODE(ctx) {
        matmul_addition terms[TERMS];
        matrix *m[TERMS];
        for (size_t i = 0; i < TERMS; i++)
            assert_ok(ctx, matrix_new(ctx, i == 1 ? COMPUTE_F32 : COMPUTE_BF16, n_out[i], N_IN, w, &m[i]));
        for (size_t k = 0; k < sizeof n_rows / sizeof *n_rows; k++)
            for (size_t n = 1; n <= TERMS; n++) {
                for (size_t i = 0; i < n; i++) {
                    terms[i] = (matmul_addition){0, n_rows[k], dy + i, m[i], scale[i]};
                    matmul_dx(ctx, dy + i, n_rows[k], m[i], scale[i], i > 0, want);
                }
                matmul_dx_run(ctx, n_rows[k], terms, n, dx);
                assert_same_bits(dx, want, n_rows[k] * N_IN);
            }
        for (size_t i = 0; i < TERMS; i++)
            matrix_free(m[i]);
    }
    free(dy);
    free(w);
    free(dx);
    free(want);
}

/* What a layer asks of one job: adapters of some rows, in two ranks, on top of what y held; then heads turned, or two results gated.
 * Heads of 24 columns end inside panels. */
static void matmul_run__adds_turns_and_gates_as_one_after_the_other(void **state) {
    (void)state;
    enum { ROWS = 130, N_IN = 96, HEAD_DIM = 24, N_OUT = 3 * HEAD_DIM, RANKS = 2, SIZE = ROWS * N_OUT };
    static const size_t n_rows[] = {1, 3, 14, ROWS}, rank[RANKS] = {8, 3000};
    rng r = rng_new(21);
    float *x = random_floats(&r, ROWS * N_IN), *w = random_floats(&r, (N_OUT + 2) * N_IN), *b = random_floats(&r, N_OUT * 3000);
    float *low = random_floats(&r, ROWS * 3000), *start = random_floats(&r, SIZE), *bias = random_floats(&r, N_OUT);
    float *y[2], *want[2], *gated = calloc(SIZE, sizeof *gated), *want_gated = calloc(SIZE, sizeof *gated);
    float *table = calloc(ROWS * HEAD_DIM, sizeof *table), inv_freq[HEAD_DIM / 2];
    int32_t positions[ROWS];
    for (size_t i = 0; i < ROWS; i++)
        positions[i] = (int32_t)(3 * i);
    for (size_t i = 0; i < HEAD_DIM / 2; i++)
        inv_freq[i] = 1.0f / (float)(1 + i);
    for (size_t i = 0; i < 2; i++) {
        y[i] = calloc(SIZE, sizeof **y);
        want[i] = calloc(SIZE, sizeof **want);
    }
    FOR_EACH_MODE(ctx) {
        matrix *m[2], *second[RANKS];
        rope_table(ctx, ROWS, HEAD_DIM, inv_freq, positions, table);
        for (size_t i = 0; i < 2; i++)
            assert_ok(ctx, matrix_new(ctx, COMPUTE_BF16, N_OUT, N_IN, w + i * N_IN, &m[i]));
        for (size_t i = 0; i < RANKS; i++)
            assert_ok(ctx, matrix_new(ctx, i ? COMPUTE_BF16 : COMPUTE_F32, N_OUT, rank[i], b, &second[i]));
        for (size_t k = 0; k < 4 * sizeof n_rows / sizeof *n_rows; k++) {
            const size_t n = n_rows[k / 4], half = n / 2;
            const bool accumulate = k & 1, gate = k & 2;
            const matmul_addition additions[] = {{0, half, low, second[0], 0.5f}, {half, n - half, low, second[1], 2.0f}};
            matmul_job job = {.x = x, .n_rows = n, .accumulate = accumulate, .rotation = table, .head_dim = HEAD_DIM,
                              .swiglu = gate ? gated : NULL, .n_parts = 2};
            for (size_t i = 0; i < 2; i++) {
                job.parts[i] = (matmul_part){.w = m[i], .bias = i ? NULL : bias, .y = y[i], .additions = additions,
                                             .n_additions = i ? 2 : 1, .rotate = !gate && i == 0};
                memcpy(y[i], start, SIZE * sizeof **y);
                memcpy(want[i], start, SIZE * sizeof **want);
                matmul(ctx, x, n, m[i], i ? NULL : bias, 1, accumulate, want[i]);
                matmul(ctx, low, half, second[0], NULL, 0.5f, true, want[i]);
                if (i)
                    matmul(ctx, low, n - half, second[1], NULL, 2.0f, true, want[i] + half * N_OUT);
                if (!gate && i == 0)
                    rope(ctx, want[i], n, N_OUT / HEAD_DIM, HEAD_DIM, table, 1);
            }
            matmul_run(ctx, &job);
            for (size_t i = 0; i < 2; i++)
                assert_same_bits(y[i], want[i], SIZE);
            swiglu(ctx, want[0], want[1], n * N_OUT, want_gated);
            if (gate)
                assert_same_bits(gated, want_gated, n * N_OUT);
            memset(gated, 0, SIZE * sizeof *gated);
        }
        for (size_t i = 0; i < 2; i++) {
            matrix_free(m[i]);
            matrix_free(second[i]);
        }
    }
    for (size_t i = 0; i < 2; i++) {
        free(y[i]);
        free(want[i]);
    }
    free(x);
    free(w);
    free(b);
    free(low);
    free(start);
    free(bias);
    free(gated);
    free(want_gated);
    free(table);
}

/* Products of many rows are cut by depth where few are not: y, on top of what it held, with an adapter, and dx, alone and on top of it. */
static void matmul__depths_are_cut_anywhere(void **state) {
    (void)state;
    enum { ROWS = 61, FEW = 31, DEPTH = 6200, WIDTH = 20, RANK = 3 };
    rng r = rng_new(31);
    float *x = random_floats(&r, ROWS * DEPTH), *w = random_floats(&r, WIDTH * DEPTH), *b = random_floats(&r, WIDTH * RANK);
    float *before = random_floats(&r, ROWS * WIDTH), *low = random_floats(&r, ROWS * RANK), all[ROWS * WIDTH], some[ROWS * WIDTH];
    FOR_EACH_MODE(ctx) {
        for (int dtype = COMPUTE_F32; dtype <= COMPUTE_BF16; dtype++) {
            matrix *m = NULL, *turned = NULL, *second = NULL;
            assert_ok(ctx, matrix_new(ctx, (compute_dtype)dtype, WIDTH, DEPTH, w, &m));
            assert_ok(ctx, matrix_new(ctx, (compute_dtype)dtype, DEPTH, WIDTH, w, &turned));
            assert_ok(ctx, matrix_new(ctx, (compute_dtype)dtype, WIDTH, RANK, b, &second));
            const matmul_addition adapter = {0, ROWS, low, second, 0.5f}, upper = {0, FEW, low, second, 0.5f},
                                  lower = {0, ROWS - FEW, low + FEW * RANK, second, 0.5f};
            matmul_job job = {.x = x, .n_rows = ROWS, .n_parts = 1, .accumulate = true, .parts = {{.w = m, .y = all, .additions = &adapter, .n_additions = 1}}};
            memcpy(all, before, sizeof all);
            memcpy(some, before, sizeof some);
            matmul_run(ctx, &job);
            job.n_rows = FEW;
            job.parts[0] = (matmul_part){.w = m, .y = some, .additions = &upper, .n_additions = 1};
            matmul_run(ctx, &job);
            job.x = x + FEW * DEPTH;
            job.n_rows = ROWS - FEW;
            job.parts[0] = (matmul_part){.w = m, .y = some + FEW * WIDTH, .additions = &lower, .n_additions = 1};
            matmul_run(ctx, &job);
            assert_same_bits(all, some, ROWS * WIDTH);
            for (int accumulate = 0; accumulate < 2; accumulate++) {
                matmul_dx(ctx, x, ROWS, turned, 1, accumulate, all);
                matmul_dx(ctx, x, FEW, turned, 1, accumulate, some);
                matmul_dx(ctx, x + FEW * DEPTH, ROWS - FEW, turned, 1, accumulate, some + FEW * WIDTH);
                assert_same_bits(all, some, ROWS * WIDTH);
            }
            matrix_free(m);
            matrix_free(turned);
            matrix_free(second);
        }
    }
    free(x);
    free(w);
    free(b);
    free(before);
    free(low);
}

/* Sums of so many columns that the scratch memory holds those of some rows only, and a weight gradient that is cut both ways. */
static void matmul__wide_results_are_cut_anywhere(void **state) {
    (void)state;
    enum { ROWS = 50, FEW = 25, DEPTH = 2100, WIDTH = 21000, MANY = 256, N_IN = 4300, N_OUT = 4500, SOME = 40 };
    agon_ctx *ctx = NULL;
    assert_int_equal(agon_ctx_new(NULL, &ctx, NULL, 0), AGON_OK);
    rng r = rng_new(37);
    float *x = random_floats(&r, MANY * N_OUT), *w = random_floats(&r, WIDTH * DEPTH), *dx = random_floats(&r, ROWS * WIDTH);
    float *want = malloc(ROWS * WIDTH * sizeof *want), *dw = random_floats(&r, N_OUT * N_IN), *part = malloc(SOME * N_IN * sizeof *part);
    float dy[MANY * SOME];
    matrix *m = NULL;
    assert_ok(ctx, matrix_new(ctx, COMPUTE_BF16, DEPTH, WIDTH, w, &m));
    memcpy(want, dx, ROWS * WIDTH * sizeof *want);
    matmul_dx(ctx, x, ROWS, m, 1, true, dx);
    matmul_dx(ctx, x, FEW, m, 1, true, want);
    matmul_dx(ctx, x + FEW * DEPTH, ROWS - FEW, m, 1, true, want + FEW * WIDTH);
    assert_same_bits(dx, want, ROWS * WIDTH);
    for (size_t first = 0; first < N_OUT; first += N_OUT - SOME) {
        for (size_t row = 0; row < MANY; row++)
            memcpy(dy + row * SOME, x + row * N_OUT + first, SOME * sizeof *dy);
        memcpy(part, dw + first * N_IN, SOME * N_IN * sizeof *part);
        float *all = malloc(N_OUT * N_IN * sizeof *all);
        memcpy(all, dw, N_OUT * N_IN * sizeof *all);
        matmul_dw(ctx, COMPUTE_BF16, x, w, MANY, N_OUT, N_IN, 1, all);
        matmul_dw(ctx, COMPUTE_BF16, dy, w, MANY, SOME, N_IN, 1, part);
        assert_same_bits(all + first * N_IN, part, SOME * N_IN);
        free(all);
    }
    matrix_free(m);
    agon_ctx_free(ctx);
    free(x);
    free(w);
    free(dx);
    free(want);
    free(dw);
    free(part);
}

/* More rows than are packed at a time. */
static void matmul_dw__rows_are_cut_anywhere(void **state) {
    (void)state;
    enum { ROWS = 1100, N_IN = 20, N_OUT = 7, FIRST = 32 };
    rng r = rng_new(9);
    float *x = random_floats(&r, ROWS * N_IN), *dy = random_floats(&r, ROWS * N_OUT);
    float all[N_OUT * N_IN], parts[N_OUT * N_IN];
    FOR_EACH_MODE(ctx) {
        for (int dtype = COMPUTE_F32; dtype <= COMPUTE_BF16; dtype++) {
            memset(all, 0, sizeof all);
            memset(parts, 0, sizeof parts);
            matmul_dw(ctx, (compute_dtype)dtype, dy, x, ROWS, N_OUT, N_IN, 1, all);
            for (size_t row = 0; row < ROWS; row += FIRST)
                matmul_dw(ctx, (compute_dtype)dtype, dy + row * N_OUT, x + row * N_IN, ROWS - row < FIRST ? ROWS - row : FIRST, N_OUT, N_IN,
                          1, parts);
            assert_same_bits(all, parts, N_OUT * N_IN);
        }
    }
    free(x);
    free(dy);
}

static void matmul_dw__continues_over_calls(void **state) {
    (void)state;
    enum { ROWS = 64, N_IN = 40, N_OUT = 20 };
    rng r = rng_new(6);
    float *x = random_floats(&r, ROWS * N_IN), *dy = random_floats(&r, ROWS * N_OUT);
    float one[N_OUT * N_IN] = {0}, two[N_OUT * N_IN] = {0};
    FOR_EACH_MODE(ctx) {
        for (int dtype = COMPUTE_F32; dtype <= COMPUTE_BF16; dtype++) {
            memset(one, 0, sizeof one);
            memset(two, 0, sizeof two);
            matmul_dw(ctx, (compute_dtype)dtype, dy, x, ROWS, N_OUT, N_IN, 1, one);
            matmul_dw(ctx, (compute_dtype)dtype, dy, x, 32, N_OUT, N_IN, 1, two);
            matmul_dw(ctx, (compute_dtype)dtype, dy + 32 * N_OUT, x + 32 * N_IN, 32, N_OUT, N_IN, 1, two);
            assert_same_bits(one, two, N_OUT * N_IN);
        }
    }
    free(x);
    free(dy);
}

static void matrix__rows_hold_its_values(void **state) {
    (void)state;
    enum { N_OUT = 37, N_IN = 45 };
    rng r = rng_new(7);
    float *w = random_floats(&r, N_OUT * N_IN), row[N_IN];
    agon_ctx *ctx = test_ctx(2, NULL);
    for (int dtype = COMPUTE_F32; dtype <= COMPUTE_BF16; dtype++) {
        matrix *m = NULL;
        assert_ok(ctx, matrix_new(ctx, (compute_dtype)dtype, N_OUT, N_IN, w, &m));
        for (size_t o = 0; o < N_OUT; o++) {
            float expect[N_IN];
            for (size_t i = 0; i < N_IN; i++)
                expect[i] = dtype == COMPUTE_F32 ? w[o * N_IN + i] : bf16(w[o * N_IN + i]);
            matrix_row(m, o, row);
            assert_same_bits(row, expect, N_IN);
        }
        matrix_free(m);
    }
    agon_ctx_free(ctx);
    free(w);
}

static void bf16__rounds_to_even_and_flushes_denormals(void **state) {
    (void)state;
    assert_int_equal(bf16_from_float(1.0f), 0x3f80);
    assert_int_equal(bf16_from_float(1.00390625f), 0x3f80); /* half way: even */
    assert_int_equal(bf16_from_float(1.01171875f), 0x3f82);
    assert_int_equal(bf16_from_float(1e-39f), 0);
    assert_int_equal(bf16_from_float(-1e-39f), 0x8000);
    assert_int_equal(bf16_from_float(INFINITY), 0x7f80);
    assert_int_equal(bf16_from_float(3.4e38f), 0x7f80);
    assert_true(isnan(bf16_to_float(bf16_from_float(NAN))));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bf16__rounds_to_even_and_flushes_denormals),
        cmocka_unit_test(matmul__equals_the_contract_on_every_path),
        cmocka_unit_test(matmul__row_counts_do_not_matter),
        cmocka_unit_test(matmul_run__has_the_bits_of_single_products),
        cmocka_unit_test(matmul_dx_run__has_the_bits_of_single_products),
        cmocka_unit_test(matmul_run__adds_turns_and_gates_as_one_after_the_other),
        cmocka_unit_test(matmul__depths_are_cut_anywhere),
        cmocka_unit_test(matmul__wide_results_are_cut_anywhere),
        cmocka_unit_test(matmul_dw__rows_are_cut_anywhere),
        cmocka_unit_test(matmul_dw__continues_over_calls),
        cmocka_unit_test(matrix__rows_hold_its_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
