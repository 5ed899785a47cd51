/* Schedule, clipping, AdamW as the trainer calls it, data order: training_vectors.json opt.*, rng.*. */
#include "train/train_private.h"
#include "base/random.h"
#include "training_vectors.h"

static double value(json_t *list, size_t i) {
    return json_number_value(at(list, i));
}

static void schedule__agrees_with_the_vector(void **state) {
    (void)state;
    json_t *root, *v = test_vector("opt.schedule", &root), *steps = get(v, "inputs", "step");
    assert_true(json_array_size(steps) > 0);
    for (size_t i = 0; i < json_array_size(steps); i++)
        assert_close(schedule_lr(SCHEDULE_COSINE, 1, 4, 20, 0.1, (size_t)value(steps, i)),
                     value(get(v, "expected", "lr"), i), 1e-12);
    assert_close(schedule_lr(SCHEDULE_LINEAR, 2, 0, 10, 0, 5), 1, 1e-12);
    assert_close(schedule_lr(SCHEDULE_CONSTANT, 2, 4, 10, 0, 9), 2, 0);
    json_decref(root);
}

static void clip__agrees_with_the_vector(void **state) {
    (void)state;
    json_t *root, *v = test_vector("opt.clip", &root);
    double norm = json_number_value(get(v, "expected", "norm"));
    assert_close(12 * clip_scale(norm, 1), value(json_array_get(get(v, "expected", "clipped"), 1), 0), 1e-9);
    assert_close(clip_scale(0.5, 1), 1, 0);
    assert_close(clip_scale(1e9, 0), 1, 0);
    json_decref(root);
}

static void adamw__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("opt.adamw", &root);
    float theta[2], m[2] = {0}, s[2] = {0};
    for (size_t j = 0; j < 2; j++)
        theta[j] = (float)value(get(v, "inputs", "theta0"), j);
    for (int64_t step = 1; step <= 3; step++)
        for (size_t j = 0; j < 2; j++) {
            float g = (float)value(json_array_get(get(v, "inputs", "grads"), (size_t)step - 1), j);
            adamw_options o = {.lr = 0.01f, .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .step = step,
                               .weight_decay = value(get(v, "inputs", "wd_mask"), j) > 0 ? 0.1f : 0};
            adamw(ctx, &o, 1, &g, 1, &theta[j], &m[j], &s[j]);
            assert_close(theta[j], value(json_array_get(get(v, "expected", "theta"), (size_t)step - 1), j), 2e-5);
        }
    for (size_t j = 0; j < 2; j++) {
        assert_close(m[j], value(get(v, "expected", "m"), j), 2e-5);
        assert_close(s[j], value(get(v, "expected", "v"), j), 2e-5);
    }
    json_decref(root);
}

/* Every row once an epoch, in another order each, and the same whenever it is asked. */
static void order__is_a_permutation_each_epoch(void **state) {
    (void)state;
    size_t order[10], again[10], first_epoch[10];
    bool differs = false;
    for (size_t epoch = 0; epoch < 3; epoch++) {
        int seen[10] = {0};
        size_t total = 0;
        for (size_t s = 0; s < 3; s++) {
            const size_t *rows, *same;
            size_t n = order_step(42, 10, 4, 0, epoch * 3 + s, order, &rows);
            assert_int_equal(n, s < 2 ? 4 : 2);
            assert_int_equal(order_step(42, 10, 4, 0, epoch * 3 + s, again, &same), n);
            for (size_t i = 0; i < n; i++, total++) {
                seen[rows[i]]++;
                assert_int_equal(rows[i], same[i]);
                if (epoch == 0)
                    first_epoch[total] = rows[i];
                differs = differs || (epoch == 1 && first_epoch[total] != rows[i]);
            }
        }
        for (size_t i = 0; i < 10; i++)
            assert_int_equal(seen[i], 1);
    }
    assert_true(differs);
}

/* A remainder too small for what is taken from all rows of a step joins the step before it. */
static void order__a_short_rest_joins(void **state) {
    (void)state;
    size_t order[9];
    const size_t *rows;
    train_options o = train_options_default();
    o.objective = objective_find("kto"); /* two rows at least */
    o.batch_rows = 4;
    o.epochs = 3;
    assert_int_equal(train_n_steps(&o, 9), 6);
    for (size_t epoch = 0; epoch < 3; epoch++) {
        int seen[9] = {0};
        for (size_t s = 0; s < 2; s++) {
            size_t n = order_step(42, 9, 4, 2, epoch * 2 + s, order, &rows);
            assert_int_equal(n, s == 0 ? 4 : 5);
            for (size_t i = 0; i < n; i++)
                seen[rows[i]]++;
        }
        for (size_t i = 0; i < 9; i++)
            assert_int_equal(seen[i], 1);
    }
    assert_int_equal(train_n_steps(&o, 10), 9);
    assert_int_equal(train_n_steps(&o, 3), 3);
    o.objective = objective_find("dpo");
    assert_int_equal(train_n_steps(&o, 9), 9);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schedule__agrees_with_the_vector),
        cmocka_unit_test(clip__agrees_with_the_vector),
        cmocka_unit_test(adamw__agrees_with_the_vector),
        cmocka_unit_test(order__is_a_permutation_each_epoch),
        cmocka_unit_test(order__a_short_rest_joins),
    };
    return cmocka_run_group_tests(tests, test_ctx_open, test_ctx_close);
}
