/* The AMX path with the eight tiles modelled in C, so that a CPU without AMX runs it too: packing, tiling and edges of its
 * products, every job that is cut in another way for it, the self-test through it, and what is done where that fails. The
 * table of products is defined here, so the library's own is not linked in. Where there is AMX, test_matrix and
 * test_selftest run the real tiles; with -DAMX_REAL this test does (tests/amx/run, where the CPU that has them is emulated). */
#if !defined(AMX_REAL)
#define AMX_MODEL
#define PRODUCTS_AMX chains_amx
#endif
#include "reference.h"
#include "compute/matrix.h"
#if defined(__x86_64__)
#if defined(AMX_MODEL)
#include "compute/kernels_amx.c"
#else
#include "compute/kernels.h"
#endif

typedef struct sizes {
    size_t rows, n_out, n_in;
} sizes;
static const sizes cases[] = {{1, 1, 1},    {2, 16, 32},  {16, 17, 33}, {17, 33, 100}, {31, 48, 64}, {32, 32, 32},
                              {33, 31, 65}, {48, 130, 47}, {65, 70, 129}, {97, 50, 35}};

/* x W^T with bias, scale and an earlier y, against the element-wise contract. */
static void check_forward(agon_ctx *ctx, sizes n, rng *r) {
    float *x = random_floats(r, n.rows * n.n_in), *w = random_floats(r, n.n_out * n.n_in);
    float *y = random_floats(r, n.rows * n.n_out), *bias = random_floats(r, n.n_out);
    float *want = malloc(n.rows * n.n_out * sizeof *want);
    for (size_t i = 0; i < n.rows; i++)
        for (size_t o = 0; o < n.n_out; o++) {
            float c = product_element(COMPUTE_BF16, AGON_NUMERICS_PORTABLE, x + i * n.n_in, 1, w + o * n.n_in, 1, n.n_in,
                                      1, 0);
            want[i * n.n_out + o] = y[i * n.n_out + o] + (c * 0.3f + bias[o]);
        }
    matrix *m = NULL;
    assert_ok(ctx, matrix_new(ctx, COMPUTE_BF16, n.n_out, n.n_in, w, &m));
    size_t k = round_up(n.n_in, K_BLOCK), lda = k / 2;
    uint32_t *a = malloc(n.rows * lda * sizeof *a);
    chains_amx.round_rows(x, n.n_in, n.rows, n.n_in, 1.0f, a, lda);
    chains_amx.multiply(&(gemm){.kind = GEMM_BF16, .a = a, .lda = lda, .n_rows = n.rows, .k = k,
                                    .w = m->pack.data, .panel_bytes = m->pack.panel_bytes, .n_cols = n.n_out,
                                    .y = y, .ldy = n.n_out, .bias = bias, .scale = 0.3f, .accumulate = true});
    assert_same_bits(y, want, n.rows * n.n_out);
    matrix_free(m);
    free(a), free(x), free(w), free(y), free(bias), free(want);
}

/* dy^T x onto an earlier dw. */
static void check_dw(sizes n, rng *r) {
    float *x = random_floats(r, n.rows * n.n_in), *dy = random_floats(r, n.rows * n.n_out);
    float *dw = random_floats(r, n.n_out * n.n_in), *want = malloc(n.n_out * n.n_in * sizeof *want);
    for (size_t o = 0; o < n.n_out; o++)
        for (size_t k = 0; k < n.n_in; k++)
            want[o * n.n_in + k] = product_element(COMPUTE_BF16, AGON_NUMERICS_PORTABLE, dy + o, n.n_out, x + k, n.n_in,
                                                   n.rows, 0.7f, dw[o * n.n_in + k]);
    size_t k = round_up(n.rows, K_BLOCK), lda = k / 2, panel = k / 2 * LANES_N;
    uint32_t *a = malloc(n.n_out * lda * sizeof *a);
    uint32_t *b = malloc(round_up(n.n_in, LANES_N) / LANES_N * panel * sizeof *b);
    chains_amx.dw_rows(dy, n.n_out, n.rows, k, n.n_out, 0.7f, true, a, lda);
    chains_amx.dw_panels(x, n.n_in, n.rows, k, n.n_in, true, b);
    chains_amx.multiply(&(gemm){.kind = GEMM_BF16_DW, .a = a, .lda = lda, .n_rows = n.n_out, .k = k, .w = b,
                                    .panel_bytes = panel * sizeof *b, .n_cols = n.n_in, .y = dw, .ldy = n.n_in,
                                    .resume = true});
    assert_same_bits(dw, want, n.n_out * n.n_in);
    free(a), free(b), free(x), free(dy), free(dw), free(want);
}

static bool can_run(void) {
#if defined(AMX_REAL)
    if (!cpu_path_present(CPU_AMX))
        fail_msg("this CPU has no AMX, or this process may not use it");
#endif
    bool can = cpu_path_present(CPU_AVX512) && __builtin_cpu_supports("avx512bf16");
    if (!can)
        print_message("skipped: all of the AMX path but the tiles needs AVX-512 with BF16\n");
    return can;
}

/* A context that takes its CPU for one with AMX, and has chosen that path by itself. */
static agon_ctx *amx_ctx(int n_threads) {
    agon_ctx *ctx = test_ctx(n_threads, "avx512");
    ctx->cpu = CPU_AMX;
    ctx->cpu_forced = false;
    return ctx;
}

static void amx__equals_the_contract(void **state) {
    (void)state;
    if (!can_run())
        skip();
    agon_ctx *ctx = test_ctx(1, NULL);
    rng r = rng_new(77);
    unsigned mode = fp_mode_set();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_forward(ctx, cases[i], &r);
        check_dw(cases[i], &r);
    }
    fp_mode_restore(mode);
    agon_ctx_free(ctx);
}

/* ---- whole jobs, against the AVX-512 path ---------------------------------------------------------------- */

/* More rows than a block has, several blocks of dw each way, and 8-bit weights deeper than what is unpacked at a time. */
enum { ROWS = 131, N_OUT = 101, N_IN = 2080, DW_IN_WIDTH = 203, VOCABULARY = 1070, WIDTH = 70, DW_LONG = 530,
       GATED = 500 };

typedef struct results {
    float y[ROWS * N_OUT], q8[ROWS * N_OUT], dx[ROWS * N_IN], dw[N_OUT * DW_IN_WIDTH];
    float gate[DW_LONG * GATED], up[DW_LONG * GATED], gated[DW_LONG * GATED], d_gated[DW_LONG * WIDTH];
    float of_head[4][ROWS], d_hidden[ROWS * WIDTH], d_head[VOCABULARY * WIDTH];
} results;

static void run_products(agon_ctx *ctx, results *to) {
    rng r = rng_new(5);
    float *w = random_floats(&r, N_OUT * N_IN), *x = random_floats(&r, ROWS * N_IN), *bias = random_floats(&r, N_OUT);
    float *dy = random_floats(&r, DW_LONG * N_OUT), *in = random_floats(&r, DW_LONG * DW_IN_WIDTH);
    int8_t *values = malloc(N_OUT * N_IN);
    for (size_t i = 0; i < N_OUT * N_IN; i++)
        values[i] = (int8_t)((int)rng_below(&r, 256) - 128);
    matrix *wide = NULL, *q8 = NULL;
    assert_ok(ctx, matrix_new(ctx, COMPUTE_BF16, N_OUT, N_IN, w, &wide));
    assert_ok(ctx, matrix_new_q8(ctx, N_OUT, N_IN, values, w, &q8)); /* any floats are scales */
    matmul(ctx, x, ROWS, wide, bias, 0.3f, false, to->y);
    matmul(ctx, x, ROWS, wide, bias, 0.3f, true, to->y);
    matmul(ctx, x, ROWS, q8, bias, 0.3f, false, to->q8);
    matmul(ctx, x, 3, q8, NULL, 1.0f, true, to->q8);
    matmul_dx(ctx, dy, ROWS, wide, 0.9f, false, to->dx);
    memset(to->dw, 0, sizeof to->dw);
    matmul_dw(ctx, COMPUTE_BF16, dy, in, DW_LONG, N_OUT, DW_IN_WIDTH, 0.7f, to->dw);
    matrix_free(wide), matrix_free(q8);
    free(w), free(x), free(bias), free(dy), free(in), free(values);
}

/* More rows than a task has, of all columns each where the threads have rows enough, and finished some columns at a time. */
static void run_gated(agon_ctx *ctx, results *to) {
    rng r = rng_new(7);
    float *w = random_floats(&r, 2 * GATED * WIDTH), *x = random_floats(&r, DW_LONG * WIDTH);
    matrix *gate = NULL, *up = NULL;
    assert_ok(ctx, matrix_new(ctx, COMPUTE_BF16, GATED, WIDTH, w, &gate));
    assert_ok(ctx, matrix_new(ctx, COMPUTE_BF16, GATED, WIDTH, w + GATED * WIDTH, &up));
    const matmul_addition adapter = {3, DW_LONG - 9, x, gate, 0.5f}; /* of rows in the middle, as deep as the product itself */
    matmul_run(ctx, &(matmul_job){.x = x, .n_rows = DW_LONG, .swiglu = to->gated, .n_parts = 2,
                                  .parts = {{.w = gate, .y = to->gate}, {.w = up, .y = to->up, .additions = &adapter, .n_additions = 1}}});
    matmul_dx(ctx, to->gated, DW_LONG, up, 1.0f, false, to->d_gated);
    matmul_dx(ctx, to->gate, DW_LONG, gate, 1.0f, true, to->d_gated);
    matrix_free(gate), matrix_free(up);
    free(w), free(x);
}

static void run_head(agon_ctx *ctx, results *to) {
    rng r = rng_new(6);
    float *w = random_floats(&r, VOCABULARY * WIDTH), *x = random_floats(&r, ROWS * WIDTH), *d = random_floats(&r, 3 * ROWS);
    float *scratch = malloc(head_scratch_floats(ROWS, WIDTH) * sizeof *scratch);
    int32_t targets[ROWS];
    for (size_t i = 0; i < ROWS; i++)
        targets[i] = (int32_t)(i * 997 % VOCABULARY) - (i % 9 == 0 ? VOCABULARY : 0);
    matrix *m = NULL;
    assert_ok(ctx, matrix_new(ctx, COMPUTE_BF16, VOCABULARY, WIDTH, w, &m));
    head_log_prob(ctx, m, x, ROWS, targets, 0.7f, to->of_head[0], to->of_head[1], to->of_head[2], to->of_head[3], NULL);
    memset(to->d_head, 0, sizeof to->d_head);
    head_backward(ctx, m, x, ROWS, targets, 0.7f, to->of_head[0], to->of_head[2], d, d + ROWS, d + 2 * ROWS, to->d_hidden,
                  to->d_head, scratch, NULL);
    matrix_free(m);
    free(w), free(x), free(d), free(scratch);
}

static void amx__jobs_have_the_bits_of_avx512(void **state) {
    (void)state;
    if (!can_run())
        skip();
    results *want = malloc(sizeof *want), *got = malloc(sizeof *got);
    agon_ctx *plain = test_ctx(2, "avx512");
    run_products(plain, want);
    run_head(plain, want);
    run_gated(plain, want);
    agon_ctx_free(plain);
    for (int threads = 1; threads <= 3; threads++) {
        agon_ctx *ctx = amx_ctx(threads);
        run_products(ctx, got);
        run_head(ctx, got);
        run_gated(ctx, got);
        assert_same_bits(got->y, want->y, ROWS * N_OUT);
        assert_same_bits(got->q8, want->q8, ROWS * N_OUT);
        assert_same_bits(got->dx, want->dx, ROWS * N_IN);
        assert_same_bits(got->dw, want->dw, N_OUT * DW_IN_WIDTH);
        assert_same_bits(got->gated, want->gated, DW_LONG * GATED);
        assert_same_bits(got->d_gated, want->d_gated, DW_LONG * WIDTH);
        assert_same_bits(got->of_head[0], want->of_head[0], 4 * ROWS);
        assert_same_bits(got->d_hidden, want->d_hidden, ROWS * WIDTH);
        assert_same_bits(got->d_head, want->d_head, VOCABULARY * WIDTH);
        agon_ctx_free(ctx);
    }
    free(want), free(got);
}

/* Tasks are cut in blocks of 32 rows, so that no more of them are multiplied than there must be; where 32 do not fit, in 16. The
 * other paths, whose tiles have any height, cut equal tasks. */
enum { ROWS_MAX = 96 };
static void amx__tasks_are_cut_in_whole_blocks(void **state) {
    (void)state;
    if (!can_run())
        skip();
    agon_ctx *plain = test_ctx(1, "avx512"), *ctx = amx_ctx(1);
    for (size_t n = 1; n < 400; n++) {
        size_t block = product_row_block(ctx, COMPUTE_BF16, 576, n, ROWS_MAX, 1), passes = 0;
        assert_true(block <= ROWS_MAX);
        for (size_t row = 0; row < n; row += block)
            passes += (size_min(block, n - row) + 31) / 32;
        assert_int_equal(passes, (n + 31) / 32);
    }
    assert_int_equal(product_row_block(ctx, COMPUTE_BF16, 576, 128, ROWS_MAX, 1), 64);
    assert_int_equal(product_row_block(ctx, COMPUTE_BF16, 4096, 128, ROWS_MAX, 1), 64);
    assert_int_equal(product_row_block(ctx, COMPUTE_BF16, 8192, 128, ROWS_MAX, 1), 32);
    assert_int_equal(product_row_block(ctx, COMPUTE_BF16, 11008, 128, ROWS_MAX, 1), 16);
    assert_int_equal(product_row_block(ctx, COMPUTE_BF16, 28672, 128, ROWS_MAX, 1), 10);
    assert_int_equal(product_row_block(ctx, COMPUTE_BF16, 576, 512, 256, 1), 256);
    assert_int_equal(product_row_block(ctx, COMPUTE_BF16, 576, 600, 256, 2), 160); /* four tasks for two threads, not three */
    assert_int_equal(product_row_block(plain, COMPUTE_BF16, 576, 128, ROWS_MAX, 1), 64);
    assert_int_equal(product_row_block(plain, COMPUTE_BF16, 4096, 128, ROWS_MAX, 1), 22);
    assert_int_equal(product_row_block(plain, COMPUTE_BF16, 14336, 128, ROWS_MAX, 1), 6);
    agon_ctx_free(plain), agon_ctx_free(ctx);
}

#if defined(AMX_MODEL)
/* 128 rows of the head are two tasks a segment, each of one shape of tiles; 48 rows would be 32 + 16 and read the weights twice. */
static void amx__head_takes_whole_blocks(void **state) {
    (void)state;
    if (!can_run())
        skip();
    enum { WHOLE = 128 };
    agon_ctx *ctx = amx_ctx(2);
    rng r = rng_new(6);
    float *w = random_floats(&r, VOCABULARY * WIDTH), *x = random_floats(&r, WHOLE * WIDTH), lse[WHOLE];
    matrix *m = NULL;
    assert_ok(ctx, matrix_new(ctx, COMPUTE_BF16, VOCABULARY, WIDTH, w, &m));
    amx_configured = 0;
    head_log_prob(ctx, m, x, WHOLE, NULL, 1.0f, lse, NULL, NULL, NULL, NULL);
    assert_int_equal(amx_configured, 2 * ((VOCABULARY + HEAD_SEGMENT - 1) / HEAD_SEGMENT));
    matrix_free(m);
    free(w), free(x);
    agon_ctx_free(ctx);
}
#endif

/* ---- the self-test --------------------------------------------------------------------------------------- */

static void amx__passes_the_self_test(void **state) {
    (void)state;
    if (!can_run())
        skip();
    for (int threads = 1; threads <= 3; threads++)
        for (int mode = 0; mode < 2; mode++) {
            agon_ctx *ctx = amx_ctx(threads);
            ctx->numerics = mode ? AGON_NUMERICS_NATIVE : AGON_NUMERICS_PORTABLE;
            assert_ok(ctx, compute_check_once(ctx));
            assert_true(ctx->cpu == CPU_AMX && !ctx->amx_failed);
            agon_ctx_free(ctx);
        }
}

#if defined(AMX_MODEL)
/* The context goes on with AVX-512, which then has the recorded bits. */
static void amx__that_is_wrong_is_not_used(void **state) {
    (void)state;
    if (!can_run())
        skip();
    agon_ctx *ctx = amx_ctx(2);
    amx_is_wrong = true;
    assert_int_equal(compute_self_test(ctx), AGON_EMISMATCH);
    assert_ok(ctx, compute_check_once(ctx));
    assert_true(ctx->cpu == CPU_AVX512 && ctx->amx_failed);
    assert_ok(ctx, compute_self_test(ctx));
    amx_is_wrong = false;
    agon_ctx_free(ctx);
}

/* A mode that is switched to later is checked then: native, which does not use the tiles, says nothing of portable. */
static void amx__is_checked_in_each_mode(void **state) {
    (void)state;
    if (!can_run())
        skip();
    agon_ctx *ctx = amx_ctx(1);
    amx_is_wrong = true;
    ctx->numerics = AGON_NUMERICS_NATIVE;
    assert_ok(ctx, compute_check_once(ctx));
    assert_true(ctx->cpu == CPU_AMX);
    ctx->numerics = AGON_NUMERICS_PORTABLE;
    assert_ok(ctx, compute_check_once(ctx));
    assert_true(ctx->cpu == CPU_AVX512 && ctx->amx_failed);
    amx_is_wrong = false;
    agon_ctx_free(ctx);
}

/* Who names the path gets that path or a sentence. */
static void amx__that_is_wrong_and_was_asked_for_stops(void **state) {
    (void)state;
    if (!can_run())
        skip();
    agon_ctx *ctx = amx_ctx(2);
    ctx->cpu_forced = true;
    amx_is_wrong = true;
    for (int i = 0; i < 2; i++) { /* and again: a failure is not taken for a check */
        assert_int_equal(compute_check_once(ctx), AGON_EMISMATCH);
        assert_non_null(strstr(agon_error(ctx), "start-up self-test: bf16 products on CPU path amx gave bits "));
        assert_non_null(strstr(agon_error(ctx), "Try AGON_CPU=portable"));
        assert_true(ctx->cpu == CPU_AMX && !ctx->amx_failed);
    }
    amx_is_wrong = false;
    agon_ctx_free(ctx);
}
#define ONLY_MODELLED                                                                                \
    cmocka_unit_test(amx__head_takes_whole_blocks), cmocka_unit_test(amx__that_is_wrong_is_not_used), \
        cmocka_unit_test(amx__is_checked_in_each_mode), cmocka_unit_test(amx__that_is_wrong_and_was_asked_for_stops),
#else
#define ONLY_MODELLED
#endif
#define OF_X86                                                                                       \
    cmocka_unit_test(amx__equals_the_contract), cmocka_unit_test(amx__jobs_have_the_bits_of_avx512), \
        cmocka_unit_test(amx__tasks_are_cut_in_whole_blocks), cmocka_unit_test(amx__passes_the_self_test), ONLY_MODELLED
#else
#define OF_X86
#endif

static void amx__is_used_only_where_it_is(void **state) {
    (void)state;
    agon_ctx_options options = agon_ctx_options_default();
    agon_ctx *ctx = NULL;
    char reason[256] = "";
    options.cpu = "amx";
    agon_status status = agon_ctx_new(&options, &ctx, reason, sizeof reason);
    assert_int_equal(status, cpu_path_present(CPU_AMX) ? AGON_OK : AGON_EINVAL);
    if (status)
        assert_non_null(strstr(reason, "amx"));
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        OF_X86 cmocka_unit_test(amx__is_used_only_where_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
