/* Adapters: saving, loading, cloning, hashes, the zero start, and hostile images. */
#include "tiny_model.h"
#include <unistd.h>

static void log_probs(agon_ctx *ctx, const model *m, const adapter *a, float out[20]) {
    int32_t tokens[20];
    workspace *w = NULL;
    tiny_tokens(tokens, 20, 8);
    segment s = {tokens, 20, -1, a, WANT_LOG_PROB, 0};
    segment_batch b = {&s, 1};
    token_channels channels = {.log_prob = out};
    assert_ok(ctx, workspace_new(ctx, 0, &w));
    assert_ok(ctx, model_forward(ctx, m, w, &b, &channels));
    workspace_free(w);
}

typedef struct fixture {
    agon_ctx *ctx;
    model *m;
} fixture;

static fixture begin(compute_dtype dtype) {
    fixture f = {.ctx = test_ctx(1, NULL)};
    model_config c = tiny_config();
    f.m = tiny_model(f.ctx, &c, dtype);
    return f;
}

static void end(fixture *f) {
    model_free(f->m);
    agon_ctx_free(f->ctx);
}

static void adapter__starts_without_effect(void **state) {
    (void)state;
    fixture f = begin(COMPUTE_BF16);
    adapter_options o = {.rank = 4, .alpha = 8, .targets = lora_target_find("q_proj") | lora_target_find("down_proj"), .seed = 1};
    adapter *a = NULL;
    parameters p;
    float base[20], with[20];
    assert_ok(f.ctx, adapter_new(f.ctx, f.m, &o, &a));
    assert_ok(f.ctx, adapter_parameters(f.ctx, a, &p));
    assert_int_equal(p.n, 2 * 2 * f.m->config.n_layers);
    log_probs(f.ctx, f.m, NULL, base);
    log_probs(f.ctx, f.m, a, with);
    assert_memory_equal(base, with, sizeof base);
    /* A has variance 1/n_in. */
    double sum = 0, n = (double)(p.items[0].n_rows * p.items[0].n_columns);
    for (size_t i = 0; i < (size_t)n; i++)
        sum += (double)p.items[0].value[i] * (double)p.items[0].value[i];
    assert_close(sum / n * (double)p.items[0].n_columns, 1, 0.5);
    adapter_free(a);
    end(&f);
}

/* What scales its effect, and the vector it stands at, belong to what an adapter is; slots for dimensions leave alpha / rank as it was said. */
static void adapter__hash_and_scale_hold_alpha_and_vector(void **state) {
    (void)state;
    fixture f = begin(COMPUTE_F32);
    static const char *const names[] = {"helpful", "harmless"};
    const double vector[2] = {0.2, 0.8};
    adapter *a[3] = {NULL};
    hash256 h[3], moved;
    for (size_t i = 0; i < 3; i++) {
        const adapter_options o = {.rank = 4, .alpha = i == 1 ? 16 : 8, .seed = 1, .dimensions = names, .n_dimensions = i == 2 ? 2 : 0};
        assert_ok(f.ctx, adapter_new(f.ctx, f.m, &o, &a[i]));
        assert_close(adapter_scale(a[i]), i == 1 ? 4 : 2, 1e-6);
        h[i] = adapter_hash(a[i]);
    }
    assert_memory_not_equal(&h[0], &h[1], sizeof h[0]);
    assert_ok(f.ctx, adapter_set_preference(f.ctx, a[2], vector, 2));
    moved = adapter_hash(a[2]);
    assert_memory_not_equal(&h[2], &moved, sizeof moved);
    for (size_t i = 0; i < 3; i++)
        adapter_free(a[i]);
    end(&f);
}

static void adapter__save_load_and_clone_keep_every_bit(void **state) {
    (void)state;
    fixture f = begin(COMPUTE_BF16);
    adapter *a = tiny_adapter(f.ctx, f.m, 3, 5), *loaded = NULL, *clone = NULL;
    char *data = NULL;
    size_t n = 0;
    float base[20], want[20], got[20];
    assert_ok(f.ctx, adapter_save(f.ctx, a, &data, &n));
    assert_ok(f.ctx, adapter_load(f.ctx, f.m, "test", data, n, &loaded));
    assert_ok(f.ctx, adapter_clone(f.ctx, a, &clone));
    hash256 h = adapter_hash(a), hl = adapter_hash(loaded), hc = adapter_hash(clone);
    assert_memory_equal(&h, &hl, sizeof h);
    assert_memory_equal(&h, &hc, sizeof h);
    log_probs(f.ctx, f.m, NULL, base);
    log_probs(f.ctx, f.m, a, want);
    assert_true(memcmp(base, want, sizeof base) != 0);
    log_probs(f.ctx, f.m, loaded, got);
    assert_memory_equal(want, got, sizeof want);
    /* A clone is its own: changing it changes neither the original nor its hash. */
    parameters p;
    assert_ok(f.ctx, adapter_parameters(f.ctx, clone, &p));
    p.items[1].value[0] += 1;
    adapter_changed(f.ctx, clone);
    hc = adapter_hash(clone);
    assert_true(memcmp(&h, &hc, sizeof h) != 0);
    log_probs(f.ctx, f.m, clone, got);
    assert_true(memcmp(want, got, sizeof want) != 0);
    log_probs(f.ctx, f.m, a, got);
    assert_memory_equal(want, got, sizeof want);
    free(data);
    adapter_free(a);
    adapter_free(loaded);
    adapter_free(clone);
    end(&f);
}

static void adapter__peft_folder_round_trip(void **state) {
    (void)state;
    fixture f = begin(COMPUTE_F32);
    adapter *a = tiny_adapter(f.ctx, f.m, 3, 5), *again = NULL;
    char folder[] = "/tmp/agon-peft-XXXXXX", command[128];
    assert_non_null(mkdtemp(folder));
    assert_ok(f.ctx, adapter_export_peft(f.ctx, a, "tiny", folder));
    assert_ok(f.ctx, adapter_import_peft(f.ctx, f.m, folder, &again));
    hash256 h = adapter_hash(a), g = adapter_hash(again);
    assert_memory_equal(&h, &g, sizeof h);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
    adapter_free(a);
    adapter_free(again);
    end(&f);
}

/* Of equal widths and one layer more: its first layers would fit. */
static void adapter__of_a_deeper_model_is_refused(void **state) {
    (void)state;
    fixture f = begin(COMPUTE_F32);
    model_config c = tiny_config();
    c.n_layers++;
    model *deeper = tiny_model(f.ctx, &c, COMPUTE_F32);
    adapter *a = tiny_adapter(f.ctx, deeper, 3, 5), *again = NULL;
    char folder[] = "/tmp/agon-peft-XXXXXX", command[128], first[64];
    assert_non_null(mkdtemp(folder));
    assert_ok(f.ctx, adapter_export_peft(f.ctx, a, "tiny", folder));
    assert_int_equal(adapter_import_peft(f.ctx, f.m, folder, &again), AGON_EFORMAT);
    assert_null(again);
    snprintf(first, sizeof first, "'model.layers.%zu.mlp.down_proj.lora_A.weight'", f.m->config.n_layers);
    assert_non_null(strstr(agon_error(f.ctx), first));
    assert_ok(f.ctx, adapter_import_peft(f.ctx, deeper, folder, &again));
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
    adapter_free(a);
    adapter_free(again);
    model_free(deeper);
    end(&f);
}

/* Of other widths: the sentence says that it is another model's, and whose. */
static void adapter__of_a_wider_model_is_refused(void **state) {
    (void)state;
    fixture f = begin(COMPUTE_F32);
    model_config c = tiny_config();
    c.d_ff += 16;
    model *wider = tiny_model(f.ctx, &c, COMPUTE_F32);
    adapter *a = tiny_adapter(f.ctx, wider, 3, 5), *again = NULL;
    char folder[] = "/tmp/agon-peft-XXXXXX", command[128];
    assert_non_null(mkdtemp(folder));
    assert_ok(f.ctx, adapter_export_peft(f.ctx, a, "the/base", folder));
    assert_int_equal(adapter_import_peft(f.ctx, f.m, folder, &again), AGON_EFORMAT);
    assert_null(again);
    assert_non_null(strstr(agon_error(f.ctx), "made for another model than this (its base is the/base)"));
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
    adapter_free(a);
    model_free(wider);
    end(&f);
}

/* Logits after each of 20 tokens, [20, vocabulary]. */
static void all_logits(agon_ctx *ctx, const model *m, const adapter *a, float *out) {
    int32_t tokens[20];
    workspace *w = NULL;
    segment s[20];
    tiny_tokens(tokens, 20, 8);
    for (int32_t i = 0; i < 20; i++)
        s[i] = (segment){tokens + i, 1, i - 1, a, WANT_LOGITS, 0};
    segment_batch b = {s, 20};
    token_channels channels = {.logits = out};
    assert_ok(ctx, workspace_new(ctx, 0, &w));
    assert_ok(ctx, model_forward(ctx, m, w, &b, &channels));
    workspace_free(w);
}

static double furthest(const float *a, const float *b, size_t n) {
    double worst = 0;
    for (size_t i = 0; i < n; i++)
        worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
    return worst;
}

/* In f32, W + (alpha/r) B A in one matrix against W x + (alpha/r) B (A x): 1e-5 of the largest logit. */
static void adapter__merged_weights_give_the_same_logits(void **state) {
    (void)state;
    static const char *const names[] = {"llama", "smollm2", "mistral", "qwen2", "qwen3"};
    agon_ctx *ctx = test_ctx(1, NULL);
    for (size_t k = 0; k < 5; k++) {
        char name[64], path[2048], folder[] = "/tmp/agon-merge-XXXXXX", to[64], command[128];
        model *m = NULL, *merged = NULL;
        double reported = 1;
        snprintf(name, sizeof name, "transformers/%s", names[k]);
        assert_ok(ctx, model_open(ctx, golden_path(path, name), COMPUTE_F32, &m));
        adapter *a = tiny_adapter(ctx, m, 3, 5);
        assert_non_null(mkdtemp(folder));
        snprintf(to, sizeof to, "%s/merged", folder);
        assert_ok(ctx, model_export(ctx, m, a, "hf", "f32", to, &reported));
        assert_ok(ctx, model_open(ctx, to, COMPUTE_F32, &merged));
        size_t n = 20 * m->config.n_vocabulary;
        float *logits = calloc(4 * n, sizeof *logits), *zero = logits + 3 * n;
        all_logits(ctx, m, a, logits);
        all_logits(ctx, merged, NULL, logits + n);
        all_logits(ctx, m, NULL, logits + 2 * n);
        double largest = furthest(logits, zero, n), apart = furthest(logits, logits + n, n);
        if (!(apart <= 1e-5 * largest && reported <= 1e-5 * largest))
            fail_msg("%s: merged logits are %g off, reported %g; the largest is %g", names[k], apart, reported, largest);
        assert_true(furthest(logits, logits + 2 * n, n) > 0.1); /* the adapter does something */
        free(logits);
        adapter_free(a);
        model_free(m), model_free(merged);
        snprintf(command, sizeof command, "rm -r %s", folder);
        assert_int_equal(system(command), 0);
    }
    agon_ctx_free(ctx);
}

/* ---- several dimensions ------------------------------------------------------------------------------------- */

/* At the start no vector changes anything; later each vector is another function, and a vector that comes back the same one. */
static void dimensions__vector_chooses_the_function(void **state) {
    (void)state;
    fixture f = begin(COMPUTE_BF16);
    static const char *const names[] = {"helpful", "harmless"};
    const double one[2] = {0.7, 0.3}, two[2] = {0.2, 0.8}, rounded[2] = {0.3333, 0.6666};
    adapter_options o = {.rank = 3, .alpha = 6, .seed = 5, .dimensions = names, .n_dimensions = 2};
    adapter *a = NULL;
    float base[20], first[20], second[20], got[20];
    assert_ok(f.ctx, adapter_new(f.ctx, f.m, &o, &a));
    assert_int_equal(adapter_rank(a), 5);
    assert_string_equal(adapter_dimension(a, 1), "harmless");
    assert_null(adapter_dimension(a, 2));
    log_probs(f.ctx, f.m, NULL, base);
    assert_ok(f.ctx, adapter_set_preference(f.ctx, a, two, 2));
    log_probs(f.ctx, f.m, a, got);
    assert_memory_equal(base, got, sizeof base);
    adapter_free(a);
    a = tiny_preference_adapter(f.ctx, f.m, 3, 2, 5);
    log_probs(f.ctx, f.m, a, first); /* at one */
    assert_ok(f.ctx, adapter_set_preference(f.ctx, a, two, 2));
    log_probs(f.ctx, f.m, a, second);
    assert_true(memcmp(first, second, sizeof first) != 0);
    assert_ok(f.ctx, adapter_set_preference(f.ctx, a, rounded, 2));
    assert_ok(f.ctx, adapter_set_preference(f.ctx, a, one, 2));
    log_probs(f.ctx, f.m, a, got);
    assert_memory_equal(first, got, sizeof first);
    adapter_free(a);
    end(&f);
}

static void dimensions__save_load_and_clone_keep_every_bit(void **state) {
    (void)state;
    fixture f = begin(COMPUTE_BF16);
    const double vector[3] = {0.1, 0.6, 0.3};
    adapter *a = tiny_preference_adapter(f.ctx, f.m, 3, 3, 5), *loaded = NULL, *clone = NULL, *plain = NULL;
    char *data = NULL, folder[] = "/tmp/agon-panacea-XXXXXX", command[128];
    size_t n = 0;
    float want[20], got[20];
    assert_ok(f.ctx, adapter_save(f.ctx, a, &data, &n));
    assert_ok(f.ctx, adapter_load(f.ctx, f.m, "test", data, n, &loaded));
    assert_int_equal(adapter_n_dimensions(loaded), 3);
    assert_string_equal(adapter_dimension(loaded, 2), "brief");
    assert_ok(f.ctx, adapter_set_preference(f.ctx, loaded, vector, 3));
    assert_ok(f.ctx, adapter_clone(f.ctx, loaded, &clone));
    assert_ok(f.ctx, adapter_set_preference(f.ctx, a, vector, 3));
    hash256 h = adapter_hash(a), hl = adapter_hash(loaded), hc = adapter_hash(clone);
    assert_memory_equal(&h, &hl, sizeof h);
    assert_memory_equal(&h, &hc, sizeof h);
    log_probs(f.ctx, f.m, a, want);
    log_probs(f.ctx, f.m, clone, got);
    assert_memory_equal(want, got, sizeof want);
    adapter_free(clone);
    adapter_free(loaded);
    for (size_t cut = 0; cut < n; cut += 1 + n / 37)
        assert_true(adapter_load(f.ctx, f.m, "test", data, cut, &loaded) != AGON_OK);
    /* Its PEFT files are the vector it stands at, bit for bit; the folder opened whole takes any vector. */
    assert_non_null(mkdtemp(folder));
    assert_ok(f.ctx, adapter_export_dimensions(f.ctx, a, "tiny", folder));
    assert_ok(f.ctx, adapter_import_peft(f.ctx, f.m, folder, &plain));
    assert_int_equal(adapter_n_dimensions(plain), 0);
    log_probs(f.ctx, f.m, plain, got);
    assert_memory_equal(want, got, sizeof want);
    assert_ok(f.ctx, adapter_open(f.ctx, f.m, folder, &loaded));
    assert_ok(f.ctx, adapter_set_preference(f.ctx, loaded, vector, 3));
    log_probs(f.ctx, f.m, loaded, got);
    assert_memory_equal(want, got, sizeof want);
    /* What is saved can be opened, however large. */
    char path[64];
    adapter *large = NULL;
    snprintf(path, sizeof path, "%s/panacea.safetensors", folder);
    assert_int_equal(truncate(path, (off_t)5 << 30), 0);
    assert_ok(f.ctx, adapter_open(f.ctx, f.m, folder, &large));
    adapter_free(large);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
    free(data);
    adapter_free(a);
    adapter_free(plain);
    adapter_free(loaded);
    end(&f);
}

static void refuses_vector(fixture *f, adapter *a, const double *x, size_t n, const char *why) {
    assert_int_equal(adapter_set_preference(f->ctx, a, x, n), AGON_EINVAL);
    if (!strstr(agon_error(f->ctx), why))
        fail_msg("'%s' does not say '%s'", agon_error(f->ctx), why);
}

static void dimensions__refuses_what_is_no_vector(void **state) {
    (void)state;
    fixture f = begin(COMPUTE_F32);
    adapter *a = tiny_preference_adapter(f.ctx, f.m, 3, 2, 5), *plain = tiny_adapter(f.ctx, f.m, 3, 5), *none = NULL;
    float want[20], got[20];
    log_probs(f.ctx, f.m, a, want);
    refuses_vector(&f, a, (const double[]){0.2, 0.3, 0.5}, 3, "helpful, harmless");
    refuses_vector(&f, a, (const double[]){1.2, -0.2}, 2, "-0.2");
    refuses_vector(&f, a, (const double[]){0.3, 0.3}, 2, "sum to 1");
    refuses_vector(&f, a, (const double[]){NAN, 1}, 2, "nan");
    refuses_vector(&f, plain, (const double[]){0.5, 0.5}, 2, "takes no preference vector");
    log_probs(f.ctx, f.m, a, got);
    assert_memory_equal(want, got, sizeof want);
    const char *const lists[][2] = {{"a", "a"}, {"a", "b c"}, {"a", ""}};
    for (size_t i = 0; i < 3; i++) {
        adapter_options o = {.rank = 2, .alpha = 4, .dimensions = lists[i], .n_dimensions = 2};
        assert_int_equal(adapter_new(f.ctx, f.m, &o, &none), AGON_EINVAL);
    }
    adapter_free(a);
    adapter_free(plain);
    end(&f);
}

/* A soup is the interpolation of weights: its effect on any layer is the weighted sum, here seen where the members are the same and where
 * one has all the weight. */
static void soup__interpolates_the_weights(void **state) {
    (void)state;
    fixture f = begin(COMPUTE_F32);
    adapter *a = tiny_adapter(f.ctx, f.m, 3, 5), *b = tiny_adapter(f.ctx, f.m, 2, 6), *soup = NULL;
    float want[20], got[20];
    assert_ok(f.ctx, adapter_soup(f.ctx, f.m, (const adapter *const[]){a, b}, (const double[]){0.25, 0.75}, 2, &soup));
    assert_int_equal(adapter_rank(soup), 5);
    for (size_t i = 0; i < f.m->config.n_layers * N_LINEARS; i++) {
        size_t n_in = linear_n_in(&f.m->config, (linear_kind)(i % N_LINEARS));
        double d[3] = {0}; /* entry (1, 2) of dW: the soup's, the members' */
        const adapter *of[3] = {soup, a, b};
        for (size_t k = 0; k < 3; k++)
            for (size_t r = 0; r < of[k]->rank; r++)
                d[k] += (double)adapter_scale(of[k]) * (double)of[k]->items[i].b_value[of[k]->rank + r] *
                        (double)of[k]->items[i].a_value[r * n_in + 2];
        assert_close(d[0], 0.25 * d[1] + 0.75 * d[2], 1e-6);
        assert_true(d[1] != 0 && d[2] != 0);
    }
    adapter *near_one = NULL; /* weights that sum to one but for their last digit are those of one that does */
    assert_ok(f.ctx, adapter_soup(f.ctx, f.m, (const adapter *const[]){a, b}, (const double[]){0.25 * 1.0009, 0.75 * 1.0009}, 2, &near_one));
    for (size_t i = 0; i < f.m->config.n_layers * N_LINEARS; i++)
        assert_close((double)near_one->items[i].b_value[7], (double)soup->items[i].b_value[7], 1e-6 * fabs((double)soup->items[i].b_value[7]));
    adapter_free(near_one);
    adapter_free(soup);
    assert_ok(f.ctx, adapter_soup(f.ctx, f.m, (const adapter *const[]){a, b}, (const double[]){1, 0}, 2, &soup));
    log_probs(f.ctx, f.m, a, want);
    log_probs(f.ctx, f.m, soup, got);
    for (size_t i = 0; i < 20; i++)
        assert_close((double)got[i], (double)want[i], 1e-4);
    adapter_free(soup);
    assert_int_equal(adapter_soup(f.ctx, f.m, (const adapter *const[]){a, b}, (const double[]){1, 1}, 2, &soup), AGON_EINVAL);
    assert_int_equal(adapter_soup(f.ctx, f.m, (const adapter *const[]){a}, (const double[]){1}, 1, &soup), AGON_EINVAL);
    adapter_free(a);
    adapter_free(b);
    end(&f);
}

static void adapter__refuses_damaged_images(void **state) {
    (void)state;
    fixture f = begin(COMPUTE_F32);
    adapter *a = tiny_adapter(f.ctx, f.m, 3, 5), *out = NULL;
    char *data = NULL;
    size_t n = 0;
    assert_ok(f.ctx, adapter_save(f.ctx, a, &data, &n));
    for (size_t cut = 0; cut < n; cut += 1 + n / 37)
        assert_true(adapter_load(f.ctx, f.m, "test", data, cut, &out) != AGON_OK);
    /* An image for another model: more layers, other widths. */
    model_config c = tiny_config();
    c.n_layers = 3;
    model *other = tiny_model(f.ctx, &c, COMPUTE_F32);
    assert_int_equal(adapter_load(f.ctx, other, "test", data, n, &out), AGON_EFORMAT);
    model_free(other);
    c = tiny_config();
    c.d_ff = 48;
    other = tiny_model(f.ctx, &c, COMPUTE_F32);
    assert_int_equal(adapter_load(f.ctx, other, "test", data, n, &out), AGON_EFORMAT);
    model_free(other);
    char *rank = memmem(data, n, "\"rank\":\"3\"", 10);
    assert_non_null(rank);
    rank[8] = '0';
    assert_int_equal(adapter_load(f.ctx, f.m, "test", data, n, &out), AGON_EFORMAT);
    assert_null(out);
    free(data);
    adapter_free(a);
    end(&f);
}

static void adapter__refuses_bad_options(void **state) {
    (void)state;
    fixture f = begin(COMPUTE_F32);
    adapter *a = NULL;
    adapter_options cases[] = {{.rank = 0, .alpha = 1},
                               {.rank = 4, .alpha = 0},
                               {.rank = 4, .alpha = NAN}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(adapter_new(f.ctx, f.m, &cases[i], &a), AGON_EINVAL);
    assert_null(a);
    end(&f);
}

/* Masters are the loaded values; what is packed follows them. */
static void trainable__masters_start_as_loaded_and_repack(void **state) {
    (void)state;
    fixture f = begin(COMPUTE_BF16);
    parameters p;
    float before[20], after[20];
    hash256 id, changed;
    log_probs(f.ctx, f.m, NULL, before);
    assert_ok(f.ctx, model_id(f.ctx, f.m, &id));
    assert_ok(f.ctx, model_make_trainable(f.ctx, f.m, &p));
    model_changed(f.m);
    log_probs(f.ctx, f.m, NULL, after);
    assert_memory_equal(before, after, sizeof before);
    assert_string_equal(p.items[0].name, "model.embed_tokens.weight");
    assert_false(p.items[0].decay);
    assert_true(p.items[1].decay);
    float *values = NULL;
    assert_ok(f.ctx, parameter_copy(f.ctx, &p.items[3], &values));
    values[2] += 0.5f;
    parameter_set(f.ctx, &p.items[3], 0, p.items[3].n_rows, values);
    free(values);
    log_probs(f.ctx, f.m, NULL, after);
    assert_true(memcmp(before, after, sizeof before) != 0);
    assert_ok(f.ctx, model_id(f.ctx, f.m, &changed));
    assert_true(memcmp(&id, &changed, sizeof id) != 0);
    end(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adapter__starts_without_effect),
        cmocka_unit_test(adapter__hash_and_scale_hold_alpha_and_vector),
        cmocka_unit_test(adapter__save_load_and_clone_keep_every_bit),
        cmocka_unit_test(adapter__peft_folder_round_trip),
        cmocka_unit_test(adapter__of_a_deeper_model_is_refused),
        cmocka_unit_test(adapter__of_a_wider_model_is_refused),
        cmocka_unit_test(adapter__merged_weights_give_the_same_logits),
        cmocka_unit_test(dimensions__vector_chooses_the_function),
        cmocka_unit_test(dimensions__save_load_and_clone_keep_every_bit),
        cmocka_unit_test(dimensions__refuses_what_is_no_vector),
        cmocka_unit_test(soup__interpolates_the_weights),
        cmocka_unit_test(adapter__refuses_damaged_images),
        cmocka_unit_test(adapter__refuses_bad_options),
        cmocka_unit_test(trainable__masters_start_as_loaded_and_repack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
