/* The kernels at the worked examples of the training specification (training_vectors.json): nll.masked, nll.stable,
 * sft.packing, opt.bf16, opt.lora. In f32: 2e-5 in place of the vectors' tolerance, as the file says. */
#include "compute/compute.h"
#include "base/pool.h"
#include "training_vectors.h"

static const double TOLERANCE = 2e-5;

static void expect_floats(json_t *v, const char *key, const float *got, size_t n) {
    double x[256];
    for (size_t i = 0; i < n; i++)
        x[i] = (double)got[i];
    expect_numbers(v, key, x, TOLERANCE);
}

/* Logits as hidden states of a head that is the identity: log_prob, entropy and the gradient of the logits. */
static void head__agrees_with_nll_masked(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("nll.masked", &root);
    enum { ROWS = 4, V = 5 };
    double flat[ROWS * V];
    float logits[ROWS * V], identity[V * V] = {0}, lse[ROWS], log_prob[ROWS], entropy[ROWS], mean[ROWS], d[ROWS],
                            d_logits[ROWS * V], *scratch = calloc(head_scratch_floats(ROWS, V), sizeof(float));
    int32_t targets[ROWS];
    numbers(get(v, "inputs", "logits"), flat, ROWS * V);
    for (size_t i = 0; i < ROWS * V; i++)
        logits[i] = (float)flat[i];
    for (size_t i = 0; i < V; i++)
        identity[i * V + i] = 1;
    for (size_t i = 0; i < ROWS; i++) {
        targets[i] = (int32_t)element(v, "inputs", "targets", i);
        d[i] = -(float)element(v, "inputs", "mask", i) / 3;
    }
    matrix *w = NULL;
    assert_ok(ctx, matrix_new(ctx, COMPUTE_F32, V, V, identity, &w));
    head_log_prob(ctx, w, logits, ROWS, targets, 1, lse, log_prob, entropy, mean, NULL);
    expect_floats(v, "logp", log_prob, ROWS);
    expect_floats(v, "entropy_per_token", entropy, ROWS);
    head_backward(ctx, w, logits, ROWS, targets, 1, lse, NULL, d, NULL, NULL, d_logits, NULL, scratch, NULL);
    expect_floats(v, "grad_logits", d_logits, ROWS * V);
    matrix_free(w);
    free(scratch);
    json_decref(root);
}

static void head__does_not_overflow(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("nll.stable", &root);
    double flat[3];
    float logits[3], got[3];
    numbers(get(v, "inputs", "logits"), flat, 3);
    for (size_t i = 0; i < 3; i++)
        logits[i] = (float)flat[i];
    float lse = head_lse_of_logits(ctx, logits, 3, 1);
    for (size_t i = 0; i < 3; i++)
        got[i] = logits[i] - lse;
    expect_numbers(v, "logsoftmax", (double[]){(double)got[0], (double)got[1], (double)got[2]}, 1e-4);
    json_decref(root);
}

/* Documents in one batch are key lists of their own: equal to separate runs; one causal list leaks. */
static void attention__keeps_packed_documents_apart(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("sft.packing", &root);
    enum { N = 5, DIM = 8 }; /* two dimensions, padded with zeros */
    const char *names[3] = {"q", "k", "v"};
    float x[3][N * DIM] = {{0}}, out[N * DIM], got[N * 2];
    int32_t lists[2][N][N];
    attention_keys keys[2][N];
    const attention_shape shape = {1, 1, DIM, 1 / sqrtf(2), false};
    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < N; i++)
            for (size_t j = 0; j < 2; j++)
                x[c][i * DIM + j] = (float)cell(v, "inputs", names[c], i, j);
    for (size_t i = 0; i < N; i++) {
        int32_t packed = 0;
        for (size_t j = 0; j < N; j++) {
            bool sees = cell(v, "expected", "attention_mask", i, j) != 0;
            /* The mask is: same document, and not later. */
            assert_int_equal(sees, element(v, "expected", "doc_id", i) == element(v, "expected", "doc_id", j) && j <= i);
            if (sees)
                lists[0][i][packed++] = (int32_t)j;
            lists[1][i][j] = (int32_t)j;
        }
        keys[0][i] = (attention_keys){lists[0][i], packed};
        keys[1][i] = (attention_keys){lists[1][i], (int32_t)i + 1};
        assert_int_equal(packed - 1, (int32_t)element(v, "expected", "position_ids", i));
        assert_int_equal(packed > 1, element(v, "expected", "label_mask", i) != 0); /* the first is never a target */
    }
    for (size_t c = 0; c < 2; c++) {
        attention(ctx, &shape, N, keys[c], x[0], x[1], x[2], out, NULL);
        for (size_t i = 0; i < N * 2; i++)
            got[i] = out[i / 2 * DIM + i % 2];
        expect_floats(v, c ? "output_if_leaking" : "output", got, N * 2);
    }
    json_decref(root);
}

/* Deviation: the contract flushes subnormals to zero (docs/numerics.md), where the vector keeps one. */
static void bf16__agrees_with_the_vector(void **state) {
    (void)state;
    json_t *root, *v = test_vector("opt.bf16", &root), *x = get(v, "inputs", "x");
    for (size_t i = 0; i < json_array_size(x); i++) {
        float f = (float)json_number_value(at(x, i));
        uint16_t want = (uint16_t)strtoul(json_string_value(at(get(v, "expected", "bits"), i)), NULL, 16);
        if (f != 0 && fabsf(f) < 0x1p-126f)
            assert_int_equal(bf16_from_float(f), 0);
        else
            assert_int_equal(bf16_from_float(f), want);
    }
    float lost = (float)number(v, "inputs", "master_w"), master = lost, step = (float)number(v, "inputs", "update");
    for (int i = 0; i < (int)number(v, "inputs", "steps"); i++) {
        lost = bf16_to_float(bf16_from_float(lost - step));
        master -= step;
    }
    assert_close(lost, number(v, "expected", "bf16_only_after_10"), 0);
    assert_close(master, number(v, "expected", "fp32_master_after_10"), 1e-6);
    json_decref(root);
}

/* y = W x + (alpha/r) B (A x), as the adapter's forward does it, and the merged weight. */
static void lora__agrees_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("opt.lora", &root);
    double flat[16];
    float w[6], a[3], b[2], x[3], y[2], h[1], scale = (float)(number(v, "inputs", "alpha") / number(v, "inputs", "r"));
    const struct {
        const char *key;
        float *out;
        size_t n;
    } parts[] = {{"W", w, 6}, {"A", a, 3}, {"B", b, 2}, {"x", x, 3}};
    for (size_t p = 0; p < 4; p++) {
        assert_int_equal(numbers(get(v, "inputs", parts[p].key), flat, 16), parts[p].n);
        for (size_t i = 0; i < parts[p].n; i++)
            parts[p].out[i] = (float)flat[i];
    }
    matrix *base = NULL, *down = NULL, *up = NULL, *merged = NULL;
    assert_ok(ctx, matrix_new(ctx, COMPUTE_F32, 2, 3, w, &base));
    assert_ok(ctx, matrix_new(ctx, COMPUTE_F32, 1, 3, a, &down));
    assert_ok(ctx, matrix_new(ctx, COMPUTE_F32, 2, 1, b, &up));
    matmul(ctx, x, 1, base, NULL, 1, false, y);
    matmul(ctx, x, 1, down, NULL, 1, false, h);
    matmul(ctx, h, 1, up, NULL, scale, true, y);
    expect_floats(v, "y", y, 2);
    matmul_dw(ctx, COMPUTE_F32, b, a, 1, 2, 3, scale, w); /* w += scale * B A: one row of each */
    expect_floats(v, "merged", w, 6);
    assert_ok(ctx, matrix_new(ctx, COMPUTE_F32, 2, 3, w, &merged));
    matmul(ctx, x, 1, merged, NULL, 1, false, y);
    expect_floats(v, "y", y, 2);
    matrix_free(base), matrix_free(down), matrix_free(up), matrix_free(merged);
    json_decref(root);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(head__agrees_with_nll_masked),
        cmocka_unit_test(head__does_not_overflow),
        cmocka_unit_test(attention__keeps_packed_documents_apart),
        cmocka_unit_test(bf16__agrees_with_the_vector),
        cmocka_unit_test(lora__agrees_with_the_vector),
    };
    return cmocka_run_group_tests(tests, test_ctx_open, test_ctx_close);
}
