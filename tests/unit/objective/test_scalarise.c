/* Scalarisation against training_vectors.json: moo.scalarise. */
#include "objective/scalarise.h"
#include "training_vectors.h"

static void scalarise__agrees_with_the_vector(void **state) {
    (void)state;
    json_t *root, *v = test_vector("moo.scalarise", &root);
    double values[2], ideal[2], weights[2], d[2];
    size_t active;
    numbers(get(v, "inputs", "J"), values, 2);
    numbers(get(v, "inputs", "z_star"), ideal, 2);
    numbers(get(v, "inputs", "weight"), weights, 2);
    assert_close(scalarise_linear(values, weights, 2, d), number(v, "expected", "linear"), 1e-9);
    expect_numbers(v, "grad_linear", d, 1e-9);
    assert_close(scalarise_tchebycheff(values, ideal, weights, 2, &active, d), number(v, "expected", "tchebycheff"), 1e-9);
    expect_numbers(v, "grad_tchebycheff", d, 1e-9);
    assert_int_equal(active, (size_t)number(v, "expected", "active"));
    json_decref(root);
}

/* On a concave front the linear sum only ever finds the ends; Tchebycheff finds the middle. */
static void scalarise__differs_on_a_concave_front(void **state) {
    (void)state;
    const double ideal[2] = {1, 1}, weights[2] = {0.5, 0.5};
    double best_linear = -INFINITY, best_tchebycheff = INFINITY, at_linear = 0, at_tchebycheff = 0;
    for (double t = 0; t <= 1; t += 1.0 / 64) { /* below the chord: x + y < 1 inside */
        double x[2] = {t * t, (1 - t) * (1 - t)};
        size_t active;
        double l = scalarise_linear(x, weights, 2, NULL), c = scalarise_tchebycheff(x, ideal, weights, 2, &active, NULL);
        if (l > best_linear)
            best_linear = l, at_linear = t;
        if (c < best_tchebycheff)
            best_tchebycheff = c, at_tchebycheff = t;
    }
    assert_true(at_linear == 0 || at_linear == 1);
    assert_close(at_tchebycheff, 0.5, 1e-12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalarise__agrees_with_the_vector),
        cmocka_unit_test(scalarise__differs_on_a_concave_front),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
