/* Which arithmetic a context gets: the options before the environment, and only names there are. */
#include "base/ctx.h"
#include "test.h"

static agon_numerics numerics_of(const agon_ctx_options *o) {
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
                 {"native", AGON_NUMERICS_NATIVE}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        agon_ctx_options o = agon_ctx_options_default();
        unsetenv("AGON_NUMERICS");
        if (cases[i].variable)
            setenv("AGON_NUMERICS", cases[i].variable, 1);
        assert_int_equal(numerics_of(NULL), cases[i].by_default);
        assert_int_equal(numerics_of(&o), cases[i].by_default);
        o.numerics = AGON_NUMERICS_PORTABLE;
        assert_int_equal(numerics_of(&o), AGON_NUMERICS_PORTABLE);
        o.numerics = AGON_NUMERICS_NATIVE;
        assert_int_equal(numerics_of(&o), AGON_NUMERICS_NATIVE);
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
    assert_string_equal(reason, "numerics (AGON_NUMERICS) is portable or native, not 'fast'");
    o.numerics = AGON_NUMERICS_PORTABLE; /* the variable is not asked then */
    assert_int_equal(numerics_of(&o), AGON_NUMERICS_PORTABLE);
    unsetenv("AGON_NUMERICS");
    o.numerics = (agon_numerics)7;
    assert_int_equal(agon_ctx_new(&o, &ctx, reason, sizeof reason), AGON_EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numerics__come_from_the_options_then_the_environment),
        cmocka_unit_test(numerics__refuse_other_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
