/* paired_sets.h: the exact test against its vector and against all signs, what rows of tied sets do to a test that counts rows, and intervals' coverage. */
#include "vectors.h"
#include "base/random.h"
#include "eval/paired_sets.h"
#include <math.h>

static paired_sets new_sets(size_t size) {
    paired_sets x;
    assert_ok(NULL, paired_sets_new(NULL, size, &x));
    return x;
}

static sign_flip flips(const paired_sets *x) {
    sign_flip out;
    assert_ok(NULL, paired_sets_test(NULL, x, &out));
    return out;
}

static void check_sign_flip(const json_t *c, double tol) {
    size_t n;
    double *now = vectors_list(json_object_get(c, "x"), &n), *before = vectors_list(json_object_get(c, "y"), &n);
    paired_sets x = new_sets(n);
    for (size_t i = 0; i < n; i++)
        paired_sets_add(&x, i, now[i] > 0, before[i] > 0);
    assert_close(flips(&x).two_sided, vectors_number(c, "p"), tol);
    paired_sets_free(&x);
    free(now);
    free(before);
}

static void paired_sets__test_matches_vector(void **state) {
    (void)state;
    vectors_each("paired_sign_flip_exact", check_sign_flip);
}

static void paired_sets__of_one_item__is_mcnemars(void **state) {
    (void)state;
    for (size_t gained = 0; gained <= 30; gained += 3)
        for (size_t lost = 0; lost <= 20; lost += 4) {
            paired_sets x = new_sets(80);
            for (size_t i = 0; i < 80; i++)
                paired_sets_add(&x, i, i < gained || i >= 60, i >= 40 && (i < 40 + lost || i >= 60));
            const sign_flip p = flips(&x);
            assert_close(p.one_sided, mcnemar_one_sided(gained, lost), 1e-12);
            assert_close(p.two_sided, mcnemar_exact(gained, lost), 1e-12);
            assert_false(paired_sets_tied(&x));
            paired_sets_free(&x);
        }
}

/* All signs of up to 10 sets of up to 5 items. */
static void paired_sets__test__is_that_over_all_signs(void **state) {
    (void)state;
    rng r = rng_new(5);
    for (int run = 0; run < 200; run++) {
        const size_t n = rng_below(&r, 11);
        paired_sets x = new_sets(n);
        int64_t seen = 0;
        for (size_t i = 0; i < n; i++) {
            for (size_t k = 1 + rng_below(&r, 5); k > 0; k--)
                paired_sets_add(&x, i, rng_below(&r, 2), rng_below(&r, 3) == 0);
            seen += x.difference[i];
        }
        size_t above = 0, beyond = 0;
        for (size_t signs = 0; signs < (size_t)1 << n; signs++) {
            int64_t sum = 0;
            for (size_t i = 0; i < n; i++)
                sum += signs >> i & 1 ? x.difference[i] : -x.difference[i];
            above += sum >= seen;
            beyond += llabs(sum) >= llabs(seen);
        }
        assert_close(flips(&x).one_sided, (double)above / (double)((size_t)1 << n), 1e-12);
        assert_close(flips(&x).two_sided, (double)beyond / (double)((size_t)1 << n), 1e-12);
        paired_sets_free(&x);
    }
}

static void paired_sets__least_sets__are_mcnemars_least_items(void **state) {
    (void)state;
    for (size_t sets = 1; sets <= 12; sets++) {
        paired_sets x = new_sets(sets);
        for (size_t i = 0; i < 7 * sets; i++)
            paired_sets_add(&x, i % sets, true, false);
        assert_close(flips(&x).one_sided, ldexp(1, -(int)sets), 1e-15);
        paired_sets_free(&x);
    }
}

/* Rows of a set: with `share` the set's outcome, else one of their own. */
typedef struct world {
    size_t n_sets, size, rest; /* the last set has `rest` items more */
    double gained, lost, tied;
} world;

static int draw(rng *r, const world *w) {
    const double u = rng_uniform(r);
    return u < w->gained ? 1 : u < w->gained + w->lost ? -1 : 0;
}

static void simulate(rng *r, const world *w, paired_sets *x, paired_table *t) {
    *x = new_sets(w->n_sets);
    *t = (paired_table){0};
    for (size_t i = 0; i < w->n_sets; i++) {
        const int common = draw(r, w);
        for (size_t k = w->size + (i + 1 == w->n_sets ? w->rest : 0); k > 0; k--) {
            const int d = rng_uniform(r) < w->tied ? common : draw(r, w);
            const bool now = d > 0 || (d == 0 && rng_below(r, 2)), before = d < 0 || (d == 0 && now);
            paired_sets_add(x, i, now, before);
            paired_add(t, now, before);
        }
    }
}

/* 12 sets, a candidate that gained nothing, at the first attempt's alpha: the test over sets keeps it, also where a set is much larger than the others; rows do not. */
static void paired_sets__false_promotions__stay_below_alpha(void **state) {
    (void)state;
    const double alpha = 0.05 * 6 / (M_PI * M_PI);
    static const world worlds[] = {{12, 1, 0, 0.25, 0.25, 1}, {12, 2, 0, 0.25, 0.25, 1},  {12, 3, 0, 0.25, 0.25, 1},     {12, 6, 0, 0.25, 0.25, 1},
                                   {12, 6, 0, 0.3, 0.3, 0.4}, {12, 2, 20, 0.25, 0.25, 1}, {40, 3, 0, 0.15, 0.15, 0.7}};
    enum { RUNS = 4000 };
    rng r = rng_new(11);
    for (size_t c = 0; c < sizeof worlds / sizeof *worlds; c++) {
        int by_sets = 0, by_rows = 0;
        for (int run = 0; run < RUNS; run++) {
            paired_sets x;
            paired_table t;
            simulate(&r, &worlds[c], &x, &t);
            by_sets += flips(&x).one_sided < alpha;
            by_rows += mcnemar_one_sided(t.gained, t.lost) < alpha;
            paired_sets_free(&x);
        }
        const double noise = 2 * sqrt(alpha * (1 - alpha) / RUNS);
        if (by_sets > (alpha + noise) * RUNS)
            fail_msg("world %zu: %d of %d promoted over sets", c, by_sets, RUNS);
        if (worlds[c].size > 1 && by_rows < 1.5 * alpha * RUNS)
            fail_msg("world %zu: only %d of %d promoted over rows, so nothing is shown", c, by_rows, RUNS);
        assert_true(worlds[c].size > 1 || by_rows == by_sets);
    }
}

/* A true gain is seen: 12 sets of 6, tied or not. */
static void paired_sets__a_gain__is_seen(void **state) {
    (void)state;
    static const world worlds[] = {{12, 6, 0, 0.8, 0.02, 1}, {12, 6, 0, 0.4, 0.1, 0.2}};
    rng r = rng_new(12);
    for (size_t c = 0; c < 2; c++) {
        int seen = 0;
        for (int run = 0; run < 1000; run++) {
            paired_sets x;
            paired_table t;
            simulate(&r, &worlds[c], &x, &t);
            seen += flips(&x).one_sided < 0.03;
            paired_sets_free(&x);
        }
        assert_in_range(seen, 850, 1000);
    }
}

static void paired_sets__difference_covers(void **state) {
    (void)state;
    static const world worlds[] = {{12, 6, 0, 0.3, 0.1, 1}, {12, 6, 0, 0.3, 0.1, 0.5}, {12, 6, 0, 0.3, 0.3, 0}, {30, 3, 0, 0.1, 0, 1},
                                   {8, 4, 0, 0.5, 0.2, 1},  {12, 3, 12, 0.3, 0.1, 1},  {60, 2, 0, 0.2, 0.1, 1}};
    rng r = rng_new(4);
    for (size_t c = 0; c < sizeof worlds / sizeof *worlds; c++) {
        const world *w = &worlds[c];
        int covered = 0, not_inferior = 0;
        for (int run = 0; run < 2000; run++) {
            paired_sets x;
            paired_table t;
            simulate(&r, w, &x, &t);
            const interval i = paired_sets_difference(&x, &t, 0.05);
            covered += i.low <= w->gained - w->lost && w->gained - w->lost <= i.high;
            const double margin = fmax(0, w->lost - w->gained + 1e-9);
            not_inferior += w->lost >= w->gained && paired_sets_tango(&x, &t, margin, 0.05).holds;
            paired_sets_free(&x);
        }
        if (covered < 1850)
            fail_msg("world %zu: covered %d of 2000", c, covered);
        assert_true(not_inferior <= 120);
    }
}

/* Shares: one version alone. */
static void paired_sets__share_covers(void **state) {
    (void)state;
    static const world worlds[] = {{12, 6, 0, 0.5, 0, 1}, {12, 6, 0, 0.1, 0, 0.5}, {30, 3, 0, 0.9, 0, 1}};
    rng r = rng_new(6);
    for (size_t c = 0; c < sizeof worlds / sizeof *worlds; c++) {
        const world *w = &worlds[c];
        int covered = 0;
        for (int run = 0; run < 2000; run++) {
            paired_sets x = new_sets(w->n_sets);
            for (size_t i = 0; i < w->n_sets; i++) {
                const int common = draw(&r, w);
                for (size_t k = 0; k < w->size; k++)
                    paired_sets_add(&x, i, (rng_uniform(&r) < w->tied ? common : draw(&r, w)) > 0, false);
            }
            const interval i = paired_sets_share(&x, 0.05);
            covered += i.low <= w->gained && w->gained <= i.high;
            paired_sets_free(&x);
        }
        if (covered < 1850)
            fail_msg("world %zu: covered %d of 2000", c, covered);
    }
}

static void paired_sets__ends__are_those_of_sets(void **state) {
    (void)state;
    paired_sets x = new_sets(10), one = new_sets(1), none = new_sets(3);
    paired_table t = {0}, single = {0};
    for (size_t i = 0; i < 40; i++) {
        paired_sets_add(&x, i % 10, true, false);
        paired_add(&t, true, false);
    }
    for (size_t i = 0; i < 4; i++) {
        paired_sets_add(&one, 0, true, false);
        paired_add(&single, true, false);
    }
    assert_true(paired_sets_tied(&x) && paired_sets_n(&x) == 10);
    /* All gained: no wider than ten independent ones but for Student's t, and much wider than forty. */
    const interval all = paired_sets_difference(&x, &t, 0.05), ten = paired_difference(&(paired_table){.gained = 10}, 0.05), forty = paired_difference(&t, 0.05);
    assert_true(all.high == 1 && all.low < ten.low && all.low > ten.low - 0.15 && ten.low < forty.low);
    const interval share = paired_sets_share(&x, 0.05);
    assert_true(share.high == 1 && share.low < clopper_pearson(10, 10, 0.05).low);
    const interval unknown = paired_sets_difference(&one, &single, 0.05);
    assert_true(unknown.low == -1 && unknown.high == 1 && flips(&one).one_sided == 0.5);
    assert_false(paired_sets_tango(&one, &single, 0.03, 0.05).holds);
    assert_true(paired_sets_n(&none) == 0 && flips(&none).one_sided == 1 && flips(&none).two_sided == 1);
    paired_sets_free(&x);
    paired_sets_free(&one);
    paired_sets_free(&none);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paired_sets__test_matches_vector),
        cmocka_unit_test(paired_sets__of_one_item__is_mcnemars),
        cmocka_unit_test(paired_sets__test__is_that_over_all_signs),
        cmocka_unit_test(paired_sets__least_sets__are_mcnemars_least_items),
        cmocka_unit_test(paired_sets__false_promotions__stay_below_alpha),
        cmocka_unit_test(paired_sets__a_gain__is_seen),
        cmocka_unit_test(paired_sets__difference_covers),
        cmocka_unit_test(paired_sets__share_covers),
        cmocka_unit_test(paired_sets__ends__are_those_of_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
