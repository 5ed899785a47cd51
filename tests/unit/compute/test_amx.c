/* The AMX products' packing, tiling and edges, with the eight tiles modelled in C: their bits are the contract's over odd
 * sizes, on a CPU without AMX too. Where there is AMX, test_matrix and test_selftest run the real ones. */
#define AMX_MODEL
#define PRODUCTS_AMX model_products
#include "reference.h"
#include "compute/matrix.h"
#if defined(__x86_64__)
extern const products model_products;
#include "compute/kernels_amx.c"

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
    assert_ok(ctx, matrix_new(ctx, COMPUTE_BF16, n.n_out, n.n_in, MATRIX_FORWARD, w, &m));
    size_t k = round_up(n.n_in, K_BLOCK), lda = k / 2;
    uint32_t *a = malloc(n.rows * lda * sizeof *a);
    model_products.round_rows(x, n.n_in, n.rows, n.n_in, 1.0f, a, lda);
    model_products.multiply(&(gemm){.kind = GEMM_BF16, .a = a, .lda = lda, .n_rows = n.rows, .k = k,
                                    .w = m->forward.data, .panel_bytes = m->forward.panel_bytes, .n_cols = n.n_out,
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
    model_products.dw_rows(dy, n.n_out, n.rows, k, n.n_out, 0.7f, true, a, lda);
    model_products.dw_panels(x, n.n_in, n.rows, k, n.n_in, true, b);
    model_products.multiply(&(gemm){.kind = GEMM_BF16_DW, .a = a, .lda = lda, .n_rows = n.n_out, .k = k, .w = b,
                                    .panel_bytes = panel * sizeof *b, .n_cols = n.n_in, .y = dw, .ldy = n.n_in,
                                    .resume = true});
    assert_same_bits(dw, want, n.n_out * n.n_in);
    free(a), free(b), free(x), free(dy), free(dw), free(want);
}

static void amx__equals_the_contract(void **state) {
    (void)state;
    if (!cpu_path_present(CPU_AVX512) || !__builtin_cpu_supports("avx512bf16")) {
        print_message("skipped: packing for AMX needs AVX-512\n");
        skip();
    }
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
#else
static void amx__equals_the_contract(void **state) {
    (void)state;
    skip();
}
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
        cmocka_unit_test(amx__equals_the_contract),
        cmocka_unit_test(amx__is_used_only_where_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
