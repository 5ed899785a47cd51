/* Which arithmetic a context gets: the options before the environment, and only names there are. */
#include "base/ctx.h"
#include "base/numerics.h"
#include "test.h"

static agon_numerics numerics_in(const agon_ctx_options *o) {
    agon_ctx *ctx = NULL;
    char reason[256];
    assert_int_equal(agon_ctx_new(o, &ctx, reason, sizeof reason), AGON_OK);
    agon_numerics n = ctx->numerics;
    agon_ctx_free(ctx);
    return n;
}

static void numerics__come_from_the_options_then_the_environment(void **state) {
    (void)state;
    static const struct {
        const char *variable;
        agon_numerics by_default;
    } cases[] = {{NULL, AGON_NUMERICS_PORTABLE},
                 {"", AGON_NUMERICS_PORTABLE},
                 {"portable", AGON_NUMERICS_PORTABLE},
                 {"native", AGON_NUMERICS_NATIVE},
                 {"portable-bf16-attention", AGON_NUMERICS_PORTABLE_BF16_ATTENTION},
                 {"native-bf16-attention", AGON_NUMERICS_NATIVE_BF16_ATTENTION}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        agon_ctx_options o = agon_ctx_options_default();
        unsetenv("AGON_NUMERICS");
        if (cases[i].variable)
            setenv("AGON_NUMERICS", cases[i].variable, 1);
        assert_int_equal(numerics_in(NULL), cases[i].by_default);
        assert_int_equal(numerics_in(&o), cases[i].by_default);
        o.numerics = AGON_NUMERICS_PORTABLE;
        assert_int_equal(numerics_in(&o), AGON_NUMERICS_PORTABLE);
        o.numerics = AGON_NUMERICS_NATIVE;
        assert_int_equal(numerics_in(&o), AGON_NUMERICS_NATIVE);
    }
    unsetenv("AGON_NUMERICS");
}

static void numerics__refuse_other_names(void **state) {
    (void)state;
    agon_ctx_options o = agon_ctx_options_default();
    agon_ctx *ctx = NULL;
    char reason[256];
    setenv("AGON_NUMERICS", "fast", 1);
    assert_int_equal(agon_ctx_new(&o, &ctx, reason, sizeof reason), AGON_EINVAL);
    assert_string_equal(reason, "numerics (AGON_NUMERICS) is portable, native, portable-bf16-attention or native-bf16-attention, not 'fast'");
    o.numerics = AGON_NUMERICS_PORTABLE; /* the variable is not asked then */
    assert_int_equal(numerics_in(&o), AGON_NUMERICS_PORTABLE);
    unsetenv("AGON_NUMERICS");
    o.numerics = (agon_numerics)7;
    assert_int_equal(agon_ctx_new(&o, &ctx, reason, sizeof reason), AGON_EINVAL);
}

static void numerics__have_an_order_and_an_attention(void **state) {
    (void)state;
    static const agon_numerics all[] = {AGON_NUMERICS_PORTABLE, AGON_NUMERICS_NATIVE, AGON_NUMERICS_PORTABLE_BF16_ATTENTION,
                                        AGON_NUMERICS_NATIVE_BF16_ATTENTION};
    for (int i = 0; i < 4; i++) {
        agon_numerics again = AGON_NUMERICS_DEFAULT;
        assert_int_equal(numerics_is_native(all[i]), i % 2);
        assert_int_equal(numerics_has_bf16_attention(all[i]), i / 2);
        assert_int_equal(numerics_of(i % 2, i / 2), all[i]);
        assert_true(numerics_of_name(numerics_name(all[i]), &again));
        assert_int_equal(again, all[i]);
    }
    assert_null(numerics_name(AGON_NUMERICS_DEFAULT));
    assert_false(numerics_is_native(AGON_NUMERICS_DEFAULT) || numerics_has_bf16_attention(AGON_NUMERICS_DEFAULT));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numerics__come_from_the_options_then_the_environment),
        cmocka_unit_test(numerics__refuse_other_names),
        cmocka_unit_test(numerics__have_an_order_and_an_attention),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
