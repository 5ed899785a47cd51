/* The start-up self-test passes on every CPU path here, in both modes, with any number of threads. */
#include "reference.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(self_test__passes_on_every_path),
        cmocka_unit_test(math_exp__has_the_bits_of_the_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
