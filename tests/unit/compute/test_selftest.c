/* The start-up self-test passes on every CPU path here, in both modes, with any number of threads. */
#include "reference.h"
#include "compute/kernels.h"
#if defined(__x86_64__)
#include <cpuid.h>
#endif

static void self_test__passes_on_every_path(void **state) {
    (void)state;
    FOR_EACH_MODE(ctx) assert_ok(ctx, compute_self_test(ctx));
}

/* The vector exponential (inside SwiGLU) and math_exp are written apart; they must not drift. */
static void math_exp__has_the_bits_of_the_kernels(void **state) {
    (void)state;
    enum { N = 4096 };
    static float gate[N], up[N], y[N];
    FOR_EACH_CTX(ctx) {
        for (int i = 0; i < N; i++) {
            gate[i] = (float)(i - N / 2) * 0.05f;
            up[i] = 1;
        }
        swiglu(ctx, gate, up, N, y);
        for (int i = 0; i < N; i++) {
            float want = gate[i] / (1.0f + math_exp(-gate[i]));
            if (fabsf(want) >= 1.2e-38f)
                assert_same_bits(y + i, &want, 1);
        }
    }
}

/* The bits are the same whichever is chosen: test_matrix runs all three. */
static void native_products__use_the_instruction_only_where_it_is_fast(void **state) {
    (void)state;
#if defined(__x86_64__)
    unsigned a = 0, vendor = 0, c = 0, d = 0;
    if (!cpu_path_present(CPU_AVX512))
        skip();
    __get_cpuid(0, &a, &vendor, &c, &d);
    agon_ctx *ctx = test_ctx(1, "avx512");
    ctx->numerics = AGON_NUMERICS_NATIVE;
    assert_int_equal(ctx->fast_bf16_dot, ctx->has_avx512_bf16 && vendor != signature_INTEL_ebx);
    const products *wanted[] = {&pairs_avx512, &pairs_avx512, &pairs_avx512_bf16};
    for (int i = 0; i < 3; i++) {
        ctx->has_avx512_bf16 = i > 0;
        ctx->fast_bf16_dot = i > 1;
        assert_ptr_equal(products_of(ctx, COMPUTE_BF16), wanted[i]);
    }
    ctx->numerics = AGON_NUMERICS_PORTABLE;
    assert_int_equal(compute_fastest_numerics(ctx), AGON_NUMERICS_NATIVE_BF16_ATTENTION);
    ctx->fast_bf16_dot = false;
    assert_int_equal(compute_fastest_numerics(ctx), AGON_NUMERICS_PORTABLE);
    ctx->numerics = AGON_NUMERICS_NATIVE;
    assert_int_equal(compute_fastest_numerics(ctx), AGON_NUMERICS_NATIVE);
    ctx->cpu = CPU_AMX;
    assert_int_equal(compute_fastest_numerics(ctx), AGON_NUMERICS_PORTABLE_BF16_ATTENTION);
    agon_ctx_free(ctx);
#else
    skip();
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(self_test__passes_on_every_path),
        cmocka_unit_test(native_products__use_the_instruction_only_where_it_is_fast),
        cmocka_unit_test(math_exp__has_the_bits_of_the_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
