/* f32 values of trained weights, kept in their pack and beside it: every bit comes back, on every path, and a step is that of flat values. */
#include "reference.h"
#include "compute/adamw.h"
#include "compute/matrix.h"

typedef struct sizes {
    size_t n_out, n_in;
} sizes;
/* Panels and blocks that end early, and more depths than a step takes at a time. */
static const sizes cases[] = {{1, 1}, {16, 32}, {17, 31}, {50, 96}, {33, 1100}};
enum { N_CASES = sizeof cases / sizeof *cases };

static float of_bits(uint32_t u) {
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

/* Any bits; then each way a rounding can end: exactly half way above an even and an odd upper half, just beside it, carries into the
 * exponent and beyond the largest number, infinities. */
static float *any_floats(rng *r, size_t n) {
    static const uint32_t special[] = {0x3f808000, 0x3f818000, 0xbf808000, 0xbf818000, 0x3f817fff, 0x3f818001, 0x3f80ffff, 0x3fffffff,
                                       0x7f7fffff, 0xff7fffff, 0x7f7f8000, 0x7f800000, 0xff800000, 0, 0x80000000, 0x00800000, 0x00ffffff};
    float *x = malloc(n * sizeof *x);
    for (size_t i = 0; i < n; i++) {
        uint32_t u = (uint32_t)rng_next(r);
        x[i] = rng_below(r, 3) ? of_bits(u) : of_bits(special[rng_below(r, sizeof special / sizeof *special)]);
        if (isnan(x[i]))
            x[i] = of_bits(u & 0xbfffffff);
    }
    return x;
}

static float flushed(float x) {
    return isfinite(x) && fabsf(x) < 0x1p-126f ? copysignf(0, x) : x;
}

static matrix *trained(agon_ctx *ctx, compute_dtype dtype, sizes n, const float *w) {
    matrix *m = NULL;
    assert_ok(ctx, matrix_new(ctx, dtype, n.n_out, n.n_in, w, &m));
    assert_ok(ctx, matrix_train(ctx, m));
    return m;
}

static void masters__every_bit_comes_back(void **state) {
    (void)state;
    rng r = rng_new(3);
    for (size_t c = 0; c < N_CASES; c++)
        for (int dtype = 0; dtype < 2; dtype++) {
            const sizes n = cases[c];
            const size_t size = n.n_out * n.n_in, later = n.n_out / LANES_N * LANES_N;
            float *w = any_floats(&r, size), *other = any_floats(&r, size);
            FOR_EACH_CTX(ctx) {
                float *got = malloc(size * sizeof *got), *row = malloc(n.n_in * sizeof *row);
                matrix *m = trained(ctx, (compute_dtype)dtype, n, other);
                matrix_set(ctx, m, w);
                matrix_set_rows(ctx, m, later, n.n_out - later, other + later * n.n_in);
                matrix_get_rows(ctx, m, 0, n.n_out, got);
                for (size_t i = 0; i < size; i++) {
                    float want = i < later * n.n_in ? w[i] : other[i];
                    if (dtype == COMPUTE_BF16)
                        want = flushed(want);
                    if (memcmp(&want, &got[i], sizeof want) != 0)
                        fail_msg("%zu x %zu, value %zu: %a came back as %a", n.n_out, n.n_in, i, (double)want, (double)got[i]);
                }
                for (size_t o = 0; o < n.n_out; o++) {
                    matrix_row(m, o, row);
                    for (size_t i = 0; i < n.n_in; i++)
                        assert_true(row[i] == (dtype == COMPUTE_BF16 ? bf16(got[o * n.n_in + i]) : got[o * n.n_in + i]));
                }
                matrix_free(m);
                free(got), free(row);
            }
            free(w), free(other);
        }
}

/* A weight that is not a number stays none: a training that ended so is found out. */
static void masters__nan_stays_nan(void **state) {
    (void)state;
    static const uint32_t bits[] = {0x7f800001, 0x7f80ffff, 0x7fffffff, 0xffc08000, 0xff808000, 0x7fc00000};
    enum { N = sizeof bits / sizeof *bits };
    float w[N], got[N];
    for (size_t i = 0; i < N; i++)
        w[i] = of_bits(bits[i]);
    FOR_EACH_CTX(ctx) {
        matrix *m = trained(ctx, COMPUTE_BF16, (sizes){1, N}, w);
        matrix_set(ctx, m, w);
        matrix_get_rows(ctx, m, 0, 1, got);
        for (size_t i = 0; i < N; i++)
            assert_true(isnan(got[i]));
        matrix_free(m);
    }
}

static void masters__a_step_is_that_of_flat_values(void **state) {
    (void)state;
    rng r = rng_new(4);
    for (size_t c = 0; c < N_CASES; c++)
        for (int dtype = 0; dtype < 2; dtype++) {
            const sizes n = cases[c];
            const size_t size = n.n_out * n.n_in;
            float *start = random_floats(&r, size), *g = random_floats(&r, size);
            adamw_options o = {.lr = 1e-2f, .beta1 = 0.9f, .beta2 = 0.99f, .eps = 1e-8f, .weight_decay = 0.1f};
            adamw_change first = {-1, -1};
            FOR_EACH_CTX(ctx) {
                float *theta = malloc(2 * size * sizeof *theta), *moments = calloc(4 * size, sizeof *moments), *row = malloc(n.n_in * sizeof *row);
                matrix *m = trained(ctx, (compute_dtype)dtype, n, start), *flat = NULL;
                matrix_set(ctx, m, start);
                memcpy(theta, start, size * sizeof *theta);
                for (o.step = 1; o.step <= 3; o.step++) {
                    adamw_change want = adamw_measured(ctx, &o, 0.5f, g, size, theta, moments, moments + size);
                    adamw_change got = matrix_adamw(ctx, &o, 0.5f, m, g, moments + 2 * size, moments + 3 * size);
                    assert_close(got.update / want.update, 1, 1e-12);
                    assert_close(got.weight / want.weight, 1, 1e-12);
                    if (o.step == 1 && first.update < 0)
                        first = got;
                    assert_true(o.step > 1 || (first.update == got.update && first.weight == got.weight));
                }
                matrix_get_rows(ctx, m, 0, n.n_out, theta + size);
                assert_same_bits(theta, theta + size, size);
                assert_same_bits(moments, moments + 2 * size, 2 * size);
                assert_ok(ctx, matrix_new(ctx, (compute_dtype)dtype, n.n_out, n.n_in, theta, &flat));
                assert_memory_equal(flat->pack.data, m->pack.data, (n.n_out + LANES_N - 1) / LANES_N * m->pack.panel_bytes);
                matrix_free(m), matrix_free(flat);
                free(theta), free(moments), free(row);
            }
            free(start), free(g);
        }
}

static void masters__take_what_is_foretold(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    static float w[50 * 96];
    for (int dtype = 0; dtype < 2; dtype++) {
        matrix *m = NULL;
        assert_ok(ctx, matrix_new(ctx, (compute_dtype)dtype, 50, 96, w, &m));
        const size_t before = matrix_bytes(m);
        assert_ok(ctx, matrix_train(ctx, m));
        assert_int_equal(matrix_bytes(m) - before, matrix_masters_predict((compute_dtype)dtype, 50, 96));
        assert_int_equal(matrix_bytes(m) - before, dtype == COMPUTE_BF16 ? 50 * 96 * 17 / 8 : 0);
        matrix_freeze(m);
        assert_int_equal(matrix_bytes(m), before);
        matrix_free(m);
    }
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masters__every_bit_comes_back),
        cmocka_unit_test(masters__nan_stays_nan),
        cmocka_unit_test(masters__a_step_is_that_of_flat_values),
        cmocka_unit_test(masters__take_what_is_foretold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
