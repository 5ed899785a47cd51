/* agon.h's contexts: V:moo.context_vector through a file, planted vectors found from rows, the base where nothing was seen. */
#include "base/random.h"
#include "test.h"
#include "training_vectors.h"
#include <unistd.h>

typedef struct fixture {
    agon_ctx *ctx;
    char folder[32], pairs[64], contexts[64];
} fixture;

static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    strcpy(f->folder, "/tmp/agon-contexts-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->pairs, sizeof f->pairs, "%s/pairs.jsonl", f->folder);
    snprintf(f->contexts, sizeof f->contexts, "%s/contexts.json", f->folder);
    f->ctx = test_ctx(1, NULL);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    unlink(f->pairs);
    unlink(f->contexts);
    rmdir(f->folder);
    agon_ctx_free(f->ctx);
    free(f);
    return 0;
}

static void write_text(const char *path, const char *text) {
    FILE *to = fopen(path, "w");
    assert_non_null(to);
    fputs(text, to);
    fclose(to);
}

static void vector__agrees_with_the_worked_example(void **state) {
    fixture *f = *state;
    json_t *root, *v = test_vector("moo.context_vector", &root);
    json_t *file = json_pack("{s:i,s:n,s:O,s:{s:{s:O}}}", "format", 1, "dimensions", "base", get(v, "inputs", "base"), "contexts", "kids",
                             "offset", get(v, "inputs", "offset"));
    agon_contexts *c = NULL;
    double out[3], base[3];
    assert_int_equal(json_dump_file(file, f->contexts, 0), 0);
    assert_ok(f->ctx, agon_contexts_open(f->ctx, f->contexts, &c));
    assert_int_equal(agon_contexts_n_dimensions(c), 3);
    assert_true(agon_contexts_has(c, "kids") && !agon_contexts_has(c, "elsewhere"));
    assert_ok(f->ctx, agon_contexts_vector(f->ctx, c, NULL, "kids", NULL, 0, out));
    expect_numbers(v, "weight", out, 1e-9);
    numbers(get(v, "inputs", "base"), base, 3);
    static const char *const unseen[] = {"elsewhere", NULL};
    for (size_t i = 0; i < 2; i++) {
        assert_ok(f->ctx, agon_contexts_vector(f->ctx, c, NULL, unseen[i], NULL, 0, out));
        for (size_t j = 0; j < 3; j++)
            assert_close(out[j], base[j], 1e-15);
    }
    /* Another base: (0, 1, 0) + (0.3, 0.3, -0.3) lies nearest to (0, 1, 0). */
    const double other[3] = {0, 1, 0};
    assert_ok(f->ctx, agon_contexts_vector(f->ctx, c, NULL, "kids", other, 3, out));
    assert_close(out[0], 0, 1e-12);
    assert_close(out[1], 1, 1e-12);
    assert_int_equal(agon_contexts_vector(f->ctx, c, NULL, "kids", other, 2, out), AGON_EINVAL);
    agon_contexts_free(c);
    json_decref(file);
    json_decref(root);
}

/* Pairs of three contexts over three dimensions; "flat" labels at random. */
static void write_pairs(const char *path, size_t n) {
    static const struct {
        const char *name;
        double vector[3];
    } planted[] = {{"a", {0.7, 0.2, 0.1}}, {"b", {0, 0.5, 0.5}}, {"flat", {0, 0, 0}}};
    rng r = rng_new(6);
    FILE *to = fopen(path, "w");
    assert_non_null(to);
    for (size_t i = 0; i < n; i++) {
        double x[6], z = 0;
        for (size_t j = 0; j < 6; j++) {
            x[j] = -6;
            for (int k = 0; k < 12; k++)
                x[j] += rng_uniform(&r);
        }
        for (size_t j = 0; j < 3; j++)
            z += planted[i % 3].vector[j] * (x[j] - x[3 + j]);
        size_t w = rng_uniform(&r) < 1 / (1 + exp(-z)) ? 0 : 3;
        fprintf(to, "{\"context\":\"%s\",\"chosen_rewards\":[%.9f,%.9f,%.9f],\"rejected_rewards\":[%.9f,%.9f,%.9f],\"source\":\"s%zu\"}\n",
                planted[i % 3].name, x[w], x[w + 1], x[w + 2], x[3 - w], x[4 - w], x[5 - w], i / 3 % 2);
    }
    fclose(to);
}

static double number_of(const json_t *fitted, const char *context, const char *part, const char *key, size_t i) {
    const json_t *x = json_object_get(json_object_get(json_object_get(fitted, "contexts"), context), part);
    x = key ? json_object_get(x, key) : x;
    return json_number_value(json_is_array(x) ? json_array_get(x, i) : x);
}

static void fit__finds_planted_vectors(void **state) {
    fixture *f = *state;
    static const double want[3][3] = {{0.7, 0.2, 0.1}, {0, 0.5, 0.5}, {1.0 / 3, 1.0 / 3, 1.0 / 3}};
    static const char *const names[] = {"a", "b", "flat"};
    char *text = NULL;
    agon_contexts *c = NULL;
    write_pairs(f->pairs, 9000);
    assert_ok(f->ctx, agon_contexts_fit(f->ctx, f->pairs, NULL, f->contexts, &text));
    json_t *fitted = json_loads(text, 0, NULL);
    assert_ok(f->ctx, agon_contexts_open(f->ctx, f->contexts, &c));
    for (size_t k = 0; k < 3; k++) {
        double out[3];
        assert_ok(f->ctx, agon_contexts_vector(f->ctx, c, NULL, names[k], NULL, 0, out));
        for (size_t j = 0; j < 3; j++) {
            assert_true(number_of(fitted, names[k], "vector", NULL, j) == out[j]); /* the file's own, to the last bit */
            /* The likelihood of labels at random is best where all differences are small: at the even vector. */
            assert_close(out[j], want[k][j], 0.1); /* three standard errors of 3,000 pairs */
        }
        assert_int_equal((int)number_of(fitted, names[k], "pairs", NULL, 0), 3000);
        assert_int_equal((int)number_of(fitted, names[k], "sources", "s0", 0), 1500);
        assert_true(number_of(fitted, names[k], "log_likelihood", NULL, 0) >= number_of(fitted, names[k], "base_log_likelihood", NULL, 0));
    }
    assert_true(number_of(fitted, "a", "held_out", "right", 0) > number_of(fitted, "a", "held_out", "base_right", 0) + 0.02);
    assert_close(number_of(fitted, "flat", "held_out", "right", 0), 0.5, 0.03);
    agon_contexts_free(c);
    agon_text_free(text);
    json_decref(fitted);
}

static void refused(fixture *f, const char *rows, const agon_contexts_options *o, agon_status want, const char *words) {
    char *text = NULL;
    write_text(f->pairs, rows);
    assert_int_equal(agon_contexts_fit(f->ctx, f->pairs, o, f->contexts, &text), want);
    assert_null(text);
    if (!strstr(agon_error(f->ctx), words))
        fail_msg("'%s' is not in: %s", words, agon_error(f->ctx));
}

static void fit__refuses_what_says_nothing(void **state) {
    fixture *f = *state;
    const char *good = "{\"context\":\"a\",\"chosen_rewards\":[1,2],\"rejected_rewards\":[0,1]}\n";
    agon_contexts_options o = agon_contexts_options_default();
    unlink(f->contexts);
    refused(f, "", NULL, AGON_EINVAL, "has no pairs");
    refused(f, "{\"context\":\"\",\"chosen_rewards\":[1,2],\"rejected_rewards\":[0,1]}\n", NULL, AGON_EINVAL, "pairs.jsonl:1");
    refused(f, "{\"context\":\"a\",\"chosen_rewards\":[1],\"rejected_rewards\":[0]}\n", NULL, AGON_EINVAL, "rewards of 1 dimensions");
    refused(f, "{\"context\":\"a\",\"chosen_rewards\":{\"x y\":1,\"b\":2},\"rejected_rewards\":[0,1]}\n", NULL, AGON_EINVAL, "is no name");
    refused(f, "{\"context\":\"a\",\"chosen_rewards\":[1,2],\"rejected_rewards\":{\"x\":1,\"y\":2}}\n", NULL, AGON_EINVAL, "names its dimensions");
    o.prior = 0;
    refused(f, good, &o, AGON_EINVAL, "the prior is 0");
    o.prior = NAN;
    refused(f, good, &o, AGON_EINVAL, "the prior is");
    o = agon_contexts_options_default();
    o.struct_size = 1;
    refused(f, good, &o, AGON_EINVAL, "agon_contexts_options_default");
    assert_int_not_equal(access(f->contexts, F_OK), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(vector__agrees_with_the_worked_example, setup, teardown),
        cmocka_unit_test_setup_teardown(fit__finds_planted_vectors, setup, teardown),
        cmocka_unit_test_setup_teardown(fit__refuses_what_says_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
