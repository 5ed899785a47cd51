/* Charts: every finite point is drawn, nothing that could break the file gets in. */
#include "eval/plot.h"
#include "test.h"

static size_t count(const char *text, const char *what) {
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, what)); at++)
        n++;
    return n;
}

static void plot__draws_finite_points(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    const double x[] = {0, 1, 2, 3}, y[] = {0.1, NAN, 0.5, INFINITY}, low[] = {0, NAN, 0.4, 0}, high[] = {0.2, NAN, 0.6, 1};
    const plot_series series[] = {{"<b>&\"", x, y, low, high, 4, false}, {"plain", x, low, NULL, NULL, 4, true}};
    const plot_panel panel = {.title = "t", .x_name = "x", .y_name = "y", .series = series, .n_series = 2};
    char *svg = NULL;
    assert_ok(ctx, plot_svg(ctx, &panel, 1, 2, &svg));
    assert_int_equal(count(svg, "r=\"3\""), 2 + 3);
    assert_int_equal(count(svg, "r=\"4\""), 2);
    assert_null(strstr(svg, "<b>"));
    assert_null(strstr(svg, "nan"));
    assert_null(strstr(svg, "inf"));
    assert_non_null(strstr(svg, "&#60;b&#62;&#38;&#34;"));
    assert_int_equal(strncmp(svg, "<svg ", 5), 0);
    free(svg);
    const plot_panel empty = {.title = "t", .x_name = "x", .y_name = "y", .series = series, .n_series = 0};
    assert_int_equal(plot_svg(ctx, &empty, 1, 1, &svg), AGON_EINVAL);
    assert_int_equal(plot_svg(ctx, &panel, 0, 1, &svg), AGON_EINVAL);
    agon_ctx_free(ctx);
}

/* Higher values are higher on the page; without a spread there is no division by zero. */
static void plot__scales(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    const double x[] = {5, 5}, y[] = {2, 2};
    const plot_series series = {"s", x, y, NULL, NULL, 2, false};
    const plot_panel panel = {.title = "t", .x_name = "x", .y_name = "y", .series = &series, .n_series = 1};
    char *svg = NULL;
    assert_ok(ctx, plot_svg(ctx, &panel, 1, 1, &svg));
    assert_null(strstr(svg, "nan"));
    free(svg);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plot__draws_finite_points),
        cmocka_unit_test(plot__scales),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
