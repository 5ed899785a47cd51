/* Panacea and soups against training_vectors.json: moo.panacea, moo.rewarded_soup. */
#include "model/panacea.h"
#include "tiny_model.h"
#include "training_vectors.h"

static void panacea__agrees_with_the_vector(void **state) {
    (void)state;
    json_t *root, *v = test_vector("moo.panacea", &root);
    double flat[16], preference[2], got[4] = {0}, d_sigma;
    float u[6], b[6], d_b[6], d_u[6] = {0}, d_singular[2] = {0};
    const float singular[2] = {(float)element(v, "inputs", "sigma", 0), (float)number(v, "inputs", "s")};
    const panacea_shape s = {2, 1, 2};
    numbers(get(v, "inputs", "U"), flat, 16);
    for (size_t i = 0; i < 6; i++)
        u[i] = (float)flat[i];
    numbers(get(v, "inputs", "preference"), preference, 2);
    numbers(get(v, "inputs", "V"), flat, 16); /* [3, 2] */
    panacea_install(&s, u, singular, preference, b);
    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < 2; j++)
            for (size_t r = 0; r < 3; r++)
                got[2 * i + j] += (double)b[3 * i + r] * flat[2 * r + j];
    expect_numbers(v, "delta_W", got, 1e-6);
    for (size_t i = 0; i < 2; i++) /* d b = G V^T */
        for (size_t r = 0; r < 3; r++)
            d_b[3 * i + r] = (float)(cell(v, "inputs", "G", i, 0) * flat[2 * r] + cell(v, "inputs", "G", i, 1) * flat[2 * r + 1]);
    panacea_gradient(&s, u, singular, preference, d_b, d_u, d_singular);
    assert_close((double)d_singular[1], number(v, "expected", "grad_s"), 1e-6);
    d_sigma = (double)d_singular[0];
    expect_numbers(v, "grad_sigma", &d_sigma, 1e-6);
    const double diagonal[3] = {0.2, 0.5, 1.5};
    expect_numbers(v, "diag", diagonal, 1e-12);
    for (size_t i = 0; i < 6; i++)
        assert_close(d_u[i], diagonal[i % 3] * (double)d_b[i], 1e-6);
    json_decref(root);
}

/* One adapter finds the whole front: two objectives -|w - a_i|^2 of a matrix, whose best under lambda is the mixture
 * sum lambda_i a_i. Trained on random preferences it must reach 98% of the true front's hypervolume; 2 x 2, rank 4. */
static double quality(const double *w, const double *target) {
    double sum = 0;
    for (size_t i = 0; i < 4; i++)
        sum += (w[i] - target[i]) * (w[i] - target[i]);
    return 1 - sum / 8;
}

static void delta(const float *b, const float *v, double *w) {
    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < 2; j++) {
            w[2 * i + j] = 0;
            for (size_t r = 0; r < 4; r++)
                w[2 * i + j] += (double)b[4 * i + r] * (double)v[2 * r + j];
        }
}

static double front_volume(const double (*points)[2], size_t n) { /* reference 0, by falling first objective */
    double sum = 0, top = 0;
    for (size_t i = 0; i < n; i++) {
        sum += points[i][1] > top ? points[i][0] * (points[i][1] - top) : 0;
        top = fmax(top, points[i][1]);
    }
    return sum;
}

static void panacea__recovers_a_known_front(void **state) {
    (void)state;
    const double target[2][4] = {{1, 0, 0, 1}, {-1, 0.5, 0.5, -1}};
    const panacea_shape s = {2, 2, 2};
    float u[8] = {0}, v[8], singular[3] = {0.5f, 0.5f, 1}, b[8];
    rng r = rng_new(14);
    for (size_t i = 0; i < 8; i++)
        v[i] = (float)(rng_uniform(&r) - 0.5);
    for (int step = 0; step < 6000; step++) {
        double lambda[2] = {rng_uniform(&r), 0}, w[4];
        float d_b[8] = {0}, d_v[8] = {0}, d_u[8] = {0}, d_singular[3] = {0};
        lambda[1] = 1 - lambda[0];
        panacea_install(&s, u, singular, lambda, b);
        delta(b, v, w);
        for (size_t e = 0; e < 4; e++) {
            double g = 2 * (w[e] - lambda[0] * target[0][e] - lambda[1] * target[1][e]); /* of the weighted sum of losses */
            for (size_t k = 0; k < 4; k++) {
                d_b[4 * (e / 2) + k] += (float)(g * (double)v[2 * k + e % 2]);
                d_v[2 * k + e % 2] += (float)(g * (double)b[4 * (e / 2) + k]);
            }
        }
        panacea_gradient(&s, u, singular, lambda, d_b, d_u, d_singular);
        const float rate = 0.05f;
        for (size_t i = 0; i < 8; i++)
            u[i] -= rate * d_u[i], v[i] -= rate * d_v[i];
        for (size_t i = 0; i < 3; i++)
            singular[i] -= rate * d_singular[i];
    }
    double found[11][2], best[11][2];
    for (size_t i = 0; i < 11; i++) {
        double lambda[2] = {1 - (double)i / 10, (double)i / 10}, w[4], ideal[4];
        panacea_install(&s, u, singular, lambda, b);
        delta(b, v, w);
        for (size_t e = 0; e < 4; e++)
            ideal[e] = lambda[0] * target[0][e] + lambda[1] * target[1][e];
        for (size_t o = 0; o < 2; o++)
            found[i][o] = quality(w, target[o]), best[i][o] = quality(ideal, target[o]);
        assert_true(i == 0 || found[i][0] < found[i - 1][0]); /* the preference is followed */
    }
    double share = front_volume((const double(*)[2])found, 11) / front_volume((const double(*)[2])best, 11);
    if (!(share >= 0.98 && share < 1.001))
        fail_msg("hypervolume %g of the true front's", share);
}

/* Member k: theta_k is the first column of dW on q_proj of layer 0. */
static adapter *member_of(agon_ctx *ctx, const model *m, const double theta[3]) {
    adapter_options o = {.rank = 1, .alpha = 2, .targets = lora_target_find("q_proj"), .seed = 1};
    adapter *a = NULL;
    assert_ok(ctx, adapter_new(ctx, m, &o, &a));
    for (size_t i = 0; i < linear_n_in(&m->config, LINEAR_Q); i++)
        a->items[LINEAR_Q].a_value[i] = i == 0;
    for (size_t i = 0; i < 3; i++)
        a->items[LINEAR_Q].b_value[i] = (float)(theta[i] / (double)adapter_scale(a));
    adapter_changed(ctx, a);
    return a;
}

static void soup__agrees_with_the_vector(void **state) {
    (void)state;
    json_t *root, *v = test_vector("moo.rewarded_soup", &root);
    agon_ctx *ctx = test_ctx(1, NULL);
    model_config c = tiny_config();
    model *m = tiny_model(ctx, &c, COMPUTE_F32);
    double theta[6], weights[2], got[3] = {0};
    adapter *soup = NULL;
    numbers(get(v, "inputs", "theta"), theta, 6);
    numbers(get(v, "inputs", "weight"), weights, 2);
    adapter *members[2] = {member_of(ctx, m, theta), member_of(ctx, m, theta + 3)};
    assert_ok(ctx, adapter_soup(ctx, m, (const adapter *const *)members, weights, 2, &soup));
    const lora *q = &soup->items[LINEAR_Q];
    for (size_t i = 0; i < 3; i++)
        for (size_t r = 0; r < soup->rank; r++)
            got[i] += (double)adapter_scale(soup) * (double)q->b_value[i * soup->rank + r] *
                      (double)q->a_value[r * linear_n_in(&c, LINEAR_Q)];
    expect_numbers(v, "theta_soup", got, 1e-9);
    adapter_free(soup);
    adapter_free(members[0]);
    adapter_free(members[1]);
    model_free(m);
    agon_ctx_free(ctx);
    json_decref(root);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(panacea__agrees_with_the_vector),
        cmocka_unit_test(panacea__recovers_a_known_front),
        cmocka_unit_test(soup__agrees_with_the_vector),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
