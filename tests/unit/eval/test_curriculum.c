/* curriculum.h against its vectors. */
#include "vectors.h"
#include "base/random.h"
#include "eval/curriculum.h"

static void check_curriculum(const json_t *c, double tol) {
    size_t n_cells, n = vectors_count(c, "n");
    double *s = vectors_list(json_object_get(c, "s"), &n_cells),
           *mean = vectors_list(json_object_get(c, "mean"), &n_cells);
    double *prob = vectors_list(json_object_get(c, "prob"), &n_cells),
           *got = calloc(n_cells, sizeof *got);
    size_t *solved = calloc(n_cells, sizeof *solved), *tried = calloc(n_cells, sizeof *tried);
    for (size_t i = 0; i < n_cells; i++) {
        solved[i] = (size_t)s[i];
        tried[i] = n;
        assert_close(curriculum_mean(solved[i], n), mean[i], tol);
    }
    curriculum_probabilities(solved, tried, n_cells, 0, got);
    for (size_t i = 0; i < n_cells; i++)
        assert_close(got[i], prob[i], tol);
    curriculum_probabilities(solved, tried, n_cells, 0.1, got);
    double sum = 0;
    for (size_t i = 0; i < n_cells; i++) {
        assert_true(got[i] >= 0.1 / (double)n_cells);
        sum += got[i];
    }
    assert_close(sum, 1, 1e-12);
    free(s);
    free(mean);
    free(prob);
    free(got);
    free(solved);
    free(tried);
}

static void curriculum__weights_match_vectors(void **state) {
    (void)state;
    vectors_each("curriculum", check_curriculum);
}

/* Loop 2.11 ACC: a learner with a logistic solve curve over 12 difficulties; within 10 rounds the
 * sampled mean solve rate lies in [0.4, 0.6], and it follows when ability rises. */
static void curriculum__finds_the_edge_of_ability(void **state) {
    (void)state;
    enum { CELLS = 12, DRAWS = 64 };
    rng r = rng_new(21);
    size_t solved[CELLS] = {0}, tried[CELLS] = {0};
    double p[CELLS];
    for (int ability = 3; ability <= 8; ability += 5) {
        memset(solved, 0, sizeof solved);
        memset(tried, 0, sizeof tried);
        double last = 0;
        for (int round = 0; round < 10; round++) {
            int hits = 0;
            curriculum_probabilities(solved, tried, CELLS, 0.1, p);
            for (int d = 0; d < DRAWS; d++) {
                size_t cell = curriculum_draw(p, CELLS, rng_uniform(&r));
                bool ok = rng_uniform(&r) < 1 / (1 + exp((double)cell - ability));
                tried[cell]++;
                solved[cell] += ok;
                hits += ok;
            }
            last = (double)hits / DRAWS;
        }
        assert_in_range((int)(100 * last), 35, 65); /* +-0.05 for the noise of 64 draws */
    }
}

static void curriculum__draw_ends_inside(void **state) {
    (void)state;
    const double p[] = {0.25, 0.25, 0.5};
    assert_int_equal(curriculum_draw(p, 3, 0), 0);
    assert_int_equal(curriculum_draw(p, 3, 0.25), 1);
    assert_int_equal(curriculum_draw(p, 3, 0.9999999), 2);
    assert_int_equal(curriculum_draw(p, 3, 1), 2);
}

static void check_attack_rate(const json_t *c, double tol) {
    const json_t *rows = json_object_get(c, "success");
    size_t n = json_array_size(rows), k = 0;
    bool *flat = calloc(n * 3, sizeof *flat);
    for (size_t i = 0; i < n; i++) {
        bool *row = vectors_flags(json_array_get(rows, i), &k);
        memcpy(flat + 3 * i, row, 3 * sizeof *row);
        free(row);
    }
    attack_rate r;
    assert_ok(NULL, attack_rate_two_level(NULL, flat, n, 3, 2000, 1, 0.05, &r));
    assert_close(r.per_sample, vectors_number(c, "per_sample"), tol);
    assert_close(r.any, vectors_number(c, "any_of_3"), tol);
    assert_true(r.per_sample_range.low < r.per_sample && r.per_sample < r.per_sample_range.high);
    assert_true(r.any_range.low < r.any && r.any < r.any_range.high);
    free(flat);
}

static void check_uplift(const json_t *c, double tol) {
    size_t n;
    double *before = vectors_list(json_object_get(c, "before"), &n),
           *after = vectors_list(json_object_get(c, "after"), &n);
    double *placebo = vectors_list(json_object_get(c, "placebo"), &n);
    critic_uplift u;
    assert_ok(NULL, critic_uplift_measure(NULL, before, after, placebo, n, 2000, 1, 0.05, &u));
    assert_close(u.uplift, vectors_number(c, "uplift"), tol);
    assert_close(u.net, vectors_number(c, "net_uplift"), tol);
    assert_int_equal(u.fixed, vectors_count(c, "fixed"));
    assert_int_equal(u.broken, vectors_count(c, "broken"));
    free(before);
    free(after);
    free(placebo);
}

static void curriculum__attack_rate_matches_vectors(void **state) {
    (void)state;
    vectors_each("asr_two_level", check_attack_rate);
}

static void curriculum__uplift_matches_vectors(void **state) {
    (void)state;
    vectors_each("critic_uplift", check_uplift);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(curriculum__weights_match_vectors),
        cmocka_unit_test(curriculum__finds_the_edge_of_ability),
        cmocka_unit_test(curriculum__draw_ends_inside),
        cmocka_unit_test(curriculum__attack_rate_matches_vectors),
        cmocka_unit_test(curriculum__uplift_matches_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
