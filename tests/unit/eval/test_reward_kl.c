/* Fronts of reward against KL: concave, monotone, exact area; the tilted reference against its closed form. */
#include "eval/reward_kl.h"
#include "base/random.h"
#include "test.h"

static void front__is_the_envelope(void **state) {
    (void)state;
    /* By hand: (1, 0.6) lies below the line from (0, 0.5) to (2, 0.9); (3, 0.8) is dearer and worse; (-0.1, 0.4) is an estimate below 0. */
    const reward_kl p[] = {{0.8, 3}, {0.6, 1}, {0.9, 2}, {0.4, -0.1}, {1.0, 4}};
    reward_front f = reward_front_of(p, 5, 0.5);
    assert_int_equal(f.n, 3);
    assert_close(reward_front_at(&f, 0), 0.5, 1e-15);
    assert_close(reward_front_at(&f, 1), 0.7, 1e-15);
    assert_close(reward_front_at(&f, 2), 0.9, 1e-15);
    assert_close(reward_front_at(&f, 3), 0.95, 1e-15);
    assert_close(reward_front_at(&f, 9), 1.0, 1e-15);
    /* 0..2: 0.7, 2..4: 0.95, 4..5: 1 */
    assert_close(reward_front_mean(&f, 5), (2 * 0.7 + 2 * 0.95 + 1) / 5, 1e-15);
    assert_close(reward_front_mean(&f, 1), 0.6, 1e-15);
    /* Policies that only lose leave the reference. */
    f = reward_front_of(p, 1, 0.85);
    assert_int_equal(f.n, 1);
    assert_close(reward_front_mean(&f, 2), 0.85, 1e-15);
    /* Better than the reference at no KL. */
    const reward_kl free_gain = {0.7, 0};
    f = reward_front_of(&free_gain, 1, 0.5);
    assert_close(reward_front_at(&f, 0), 0.7, 1e-15);
}

/* Against the definition: the best mixture of two points, over random sets. */
static void front__agrees_with_all_mixtures(void **state) {
    (void)state;
    rng r = rng_new(5);
    for (int trial = 0; trial < 200; trial++) {
        reward_kl p[9] = {{rng_uniform(&r), 0}};
        for (size_t i = 1; i < 9; i++)
            p[i] = (reward_kl){rng_uniform(&r), 5 * rng_uniform(&r)};
        reward_front f = reward_front_of(p + 1, 8, p[0].reward);
        double sum = 0;
        for (int k = 0; k < 400; k++) {
            double kl = 4 * (k + 0.5) / 400, best = 0;
            for (size_t i = 0; i < 9; i++)
                for (size_t j = 0; j < 9; j++) {
                    if (p[i].kl > kl)
                        continue;
                    best = fmax(best, p[i].reward);
                    if (p[j].kl > kl)
                        best = fmax(best, p[i].reward + (p[j].reward - p[i].reward) * (kl - p[i].kl) / (p[j].kl - p[i].kl));
                }
            assert_close(reward_front_at(&f, kl), best, 1e-12);
            sum += best / 400;
        }
        assert_close(reward_front_mean(&f, 4), sum, 1e-3);
    }
}

static void tilt__is_optimal(void **state) {
    (void)state;
    const double rewards[] = {0, 1, 1, 0.5};
    reward_kl none = reward_tilt(rewards, 4, 0), all = reward_tilt(rewards, 4, 2000);
    assert_close(none.reward, 0.625, 1e-15);
    assert_close(none.kl, 0, 1e-15);
    assert_close(all.reward, 1, 1e-12);
    assert_close(all.kl, log(2), 1e-9); /* half of the samples are best */
    /* By the definition of KL. */
    reward_kl t = reward_tilt(rewards, 4, 3);
    double w[4], sum = 0, reward = 0, kl = 0;
    for (int i = 0; i < 4; i++)
        sum += w[i] = exp(3 * rewards[i]);
    for (int i = 0; i < 4; i++) {
        reward += w[i] / sum * rewards[i];
        kl += w[i] / sum * log(4 * w[i] / sum);
    }
    assert_close(t.reward, reward, 1e-12);
    assert_close(t.kl, kl, 1e-12);
    /* No other distribution over the samples has more reward at its KL: reward - KL / scale is largest here. */
    rng r = rng_new(6);
    for (int trial = 0; trial < 2000; trial++) {
        double total = 0, other = 0, cost = 0;
        for (int i = 0; i < 4; i++)
            total += w[i] = rng_uniform(&r);
        for (int i = 0; i < 4; i++) {
            other += w[i] / total * rewards[i];
            cost += w[i] / total * log(4 * w[i] / total);
        }
        assert_true(other - cost / 3 <= t.reward - t.kl / 3 + 1e-12);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(front__is_the_envelope),
        cmocka_unit_test(front__agrees_with_all_mixtures),
        cmocka_unit_test(tilt__is_optimal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
