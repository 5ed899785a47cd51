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
    const plot_series series[] = {{.name = "<b>&\"", .x = x, .y = y, .low = low, .high = high, .n = 4}, {.name = "plain", .x = x, .y = low, .n = 4, .points_only = true}};
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
    const plot_series series = {.name = "s", .x = x, .y = y, .n = 2};
    const plot_panel panel = {.title = "t", .x_name = "x", .y_name = "y", .series = &series, .n_series = 1};
    char *svg = NULL;
    assert_ok(ctx, plot_svg(ctx, &panel, 1, 1, &svg));
    assert_null(strstr(svg, "nan"));
    free(svg);
    agon_ctx_free(ctx);
}

/* A line beside the points: both are drawn, in one colour, and both stretch the axes; what has no place on the x axis stretches nothing. */
static void plot__line_beside_points(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    const double x[] = {1, 2, NAN}, y[] = {1, 2, 500}, line_x[] = {0, 4}, line_y[] = {0, 8};
    const plot_series series = {.name = "s", .x = x, .y = y, .n = 3, .points_only = true, .line_x = line_x, .line_y = line_y, .n_line = 2};
    const plot_panel panel = {.title = "t", .x_name = "x", .y_name = "y", .series = &series, .n_series = 1};
    char *svg = NULL;
    assert_ok(ctx, plot_svg(ctx, &panel, 1, 1, &svg));
    size_t points = 0;
    for (const char *at = svg; (at = strstr(at, "r=\"3\"")); at++)
        points++;
    assert_int_equal(points, 2);
    assert_non_null(strstr(svg, "d=\"M62.0 238.0 L290.0 34.0\" stroke=\"#0072B2\""));
    assert_non_null(strstr(svg, ">8</text>"));
    assert_null(strstr(svg, "nan"));
    free(svg);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plot__draws_finite_points),
        cmocka_unit_test(plot__scales),
        cmocka_unit_test(plot__line_beside_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
