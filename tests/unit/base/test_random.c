/* random.h against V:rng.splitmix64 and V:splitmix64. */
#include "training_vectors.h"
#include "base/random.h"
#include "vectors.h"

static void check_splitmix64(const json_t *c, double tol) {
    rng r = rng_new((uint64_t)vectors_number(c, "seed"));
    const json_t *value;
    size_t i;
    (void)tol;
    json_array_foreach(json_object_get(c, "first"), i, value)
        assert_true(rng_next(&r) == strtoull(json_string_value(value), NULL, 10));
    r = rng_new((uint64_t)vectors_number(c, "seed"));
    json_array_foreach(json_object_get(c, "u"), i, value)
        assert_true(rng_uniform(&r) == json_real_value(value));
}

static void random__matches_the_loop_vector(void **state) {
    (void)state;
    vectors_each("splitmix64", check_splitmix64);
}

static void random__matches_published_splitmix64(void **state) {
    (void)state;
    rng r = rng_new(1234567);
    assert_true(rng_next(&r) == 6457827717110365317u);
    assert_true(rng_next(&r) == 3203168211198807973u);
    r = rng_new(42);
    assert_true(rng_uniform(&r) == 0.7415648787718233);
}

static void random__matches_the_training_vector(void **state) {
    (void)state;
    json_t *root, *v = test_vector("rng.splitmix64", &root);
    size_t items[10];
    rng r = rng_new((uint64_t)number(v, "inputs", "seed"));
    for (size_t i = 0; i < 5; i++)
        assert_true(rng_next(&r) == strtoull(json_string_value(at(get(v, "expected", "u64"), i)), NULL, 10));
    r = rng_new((uint64_t)number(v, "inputs", "seed_uniform"));
    for (size_t i = 0; i < 5; i++)
        assert_true(rng_uniform(&r) == element(v, "expected", "uniforms", i));
    for (size_t i = 0; i < 10; i++)
        items[i] = i;
    r = rng_new((uint64_t)number(v, "inputs", "seed_shuffle"));
    rng_shuffle(&r, items, 10);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(items[i], (size_t)element(v, "expected", "permutation", i));
    json_decref(root);
}

static void random__shuffle_matches_vector(void **state) {
    (void)state;
    static const size_t want[] = {0, 9, 5, 8, 6, 4, 7, 2, 1, 3};
    size_t items[10];
    for (size_t i = 0; i < 10; i++)
        items[i] = i;
    rng r = rng_new(42);
    rng_shuffle(&r, items, 10);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(items[i], want[i]);
}

static void random__keys_give_different_seeds(void **state) {
    (void)state;
    assert_true(seed_derive(1, "a") != seed_derive(1, "b"));
    assert_true(seed_derive(1, "a") != seed_derive(2, "a"));
    assert_true(seed_derive(1, "a1") == seed_derivef(1, "a%d", 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random__matches_published_splitmix64),
        cmocka_unit_test(random__matches_the_training_vector),
        cmocka_unit_test(random__matches_the_loop_vector),
        cmocka_unit_test(random__shuffle_matches_vector),
        cmocka_unit_test(random__keys_give_different_seeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
