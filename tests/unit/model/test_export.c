/* What the writers write, the readers read back: every architecture and dtype; a failure leaves nothing behind. The
 * row order of llama GGUF files is checked against another writer's in test_gguf.c; here, that ours is the same. */
#include "../../weights_fixtures.h"
#include "model/tokenizer.h"
#include "model/weights_private.h"
#include <dirent.h>

static const char *const architectures[] = {"llama", "mistral", "qwen2", "qwen3"};

static size_t n_files(const char *folder) {
    size_t n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));)
        n += e->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

static void export_hf__comes_back(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    static const char *const dtypes[][2] = {{"f32", "F32"}, {"f16", "F16"}, {"bf16", "BF16"}};
    for (size_t a = 0; a < 4; a++)
        for (size_t d = 0; d < 3; d++) {
            fixture_folder f = fixture_folder_new();
            model_config c = fixture_config(architectures[a]);
            char path[256];
            weights *w = NULL;
            snprintf(c.rope_scaling, sizeof c.rope_scaling, "%s", d == 0 ? "none" : "linear");
            c.rope_factor = d == 0 ? 1 : 2.5;
            fixture_path(path, &f, "new/model");
            assert_ok(ctx, export_hf(ctx, path, &c, NULL, dtypes[d][0], 0, fixture_source, &c));
            assert_ok(ctx, weights_open(ctx, path, &w));
            assert_string_equal(weights_config(w)->architecture, architectures[a]);
            fixture_same_config(weights_config(w), &c);
            assert_string_equal(weights_tensor(w, 0).type, dtypes[d][1]);
            fixture_check_values(ctx, w);
            weights_free(w);
            assert_int_equal(n_files(path), 2);
            fixture_remove(&f);
        }
    agon_ctx_free(ctx);
}

static void export_gguf__comes_back(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    static const char *const dtypes[][2] = {{"f32", "F32"}, {"f16", "F16"}, {"bf16", "BF16"}};
    for (size_t a = 0; a < 4; a++)
        for (size_t d = 0; d < 3; d++) {
            fixture_folder f = fixture_folder_new();
            model_config c = fixture_config(architectures[a]);
            char path[256];
            weights *w = NULL;
            c.rope_theta = 500000;
            if (d == 1) {
                snprintf(c.rope_scaling, sizeof c.rope_scaling, "llama3");
                c.rope_factor = 32;
                c.rope_low_freq_factor = 1;
                c.rope_high_freq_factor = 4;
                c.rope_original_context = 8192;
            }
            fixture_path(path, &f, "m.gguf");
            assert_ok(ctx, export_gguf(ctx, path, &c, NULL, dtypes[d][0], fixture_source, &c));
            assert_ok(ctx, weights_open(ctx, path, &w));
            fixture_same_config(weights_config(w), &c);
            fixture_check_values(ctx, w);
            weights_free(w);
            fixture_remove(&f);
        }
    agon_ctx_free(ctx);
}

/* GGUF files hold divisors; parameters that they do not show are not needed to run, only for a Hugging Face folder. */
static void export_gguf__llama3_scaling_of_any_parameters_comes_back(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    const struct {
        double theta, factor, low, high, original;
        size_t head_dim;
    } cases[] = {{10000, 8, 1, 2, 64, 16}, {500000, 8, 1, 4, 8192, 4}};
    for (int k = 0; k < 2; k++) {
        fixture_folder f = fixture_folder_new();
        model_config c = fixture_config("llama");
        char path[256];
        weights *w = NULL;
        snprintf(c.rope_scaling, sizeof c.rope_scaling, "llama3");
        c.rope_theta = cases[k].theta;
        c.rope_factor = cases[k].factor;
        c.rope_low_freq_factor = cases[k].low;
        c.rope_high_freq_factor = cases[k].high;
        c.rope_original_context = cases[k].original;
        c.head_dim = cases[k].head_dim;
        fixture_path(path, &f, "m.gguf");
        assert_ok(ctx, export_gguf(ctx, path, &c, NULL, "f32", fixture_source, &c));
        fixture_image first = fixture_read(ctx, path), second;
        assert_ok(ctx, weights_open(ctx, path, &w));
        model_config back = *weights_config(w);
        assert_string_equal(back.rope_scaling, "divisors");
        for (size_t i = 0; i < c.head_dim / 2; i++)
            assert_close(rope_frequency(&back, i) / rope_frequency(&c, i), 1, 1e-7);
        assert_ok(ctx, export_gguf(ctx, path, &back, NULL, "f32", fixture_source, &c));
        second = fixture_read(ctx, path);
        assert_int_equal(first.n, second.n);
        assert_memory_equal(first.data, second.data, first.n);
        fixture_path(path, &f, "folder");
        assert_refused(ctx, export_hf(ctx, path, &back, NULL, "f32", 0, fixture_source, &c), AGON_EUNSUPPORTED, path, "gguf");
        assert_false(folder_exists(path));
        back.rope_divisors[1] = 0;
        assert_refused(ctx, export_gguf(ctx, path, &back, NULL, "f32", fixture_source, &c), AGON_EFORMAT, path, "divisor 1 is 0");
        free(first.data);
        free(second.data);
        weights_free(w);
        fixture_remove(&f);
    }
    agon_ctx_free(ctx);
}

/* The tensor data of the file another writer made, byte for byte (both put the same tensors in the same order). */
static void export_gguf__stores_rows_as_the_converter_does(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    fixture_folder f = fixture_folder_new();
    char golden[2048], path[256];
    weights *w = NULL;
    assert_ok(ctx, weights_open(ctx, golden_path(golden, "tiny-llama.gguf"), &w));
    model_config c = *weights_config(w);
    fixture_path(path, &f, "m.gguf");
    assert_ok(ctx, export_gguf(ctx, path, &c, NULL, "f16", fixture_source, &c));
    fixture_image ours = fixture_read(ctx, path), theirs = fixture_read(ctx, golden);
    size_t n = 0; /* bytes of tensors, each padded to 32 */
    for (size_t i = 0; i < w->n_tensors; i++)
        n += (w->tensors[i].n_rows * w->tensors[i].row_bytes + 31) / 32 * 32;
    n += (c.head_dim / 2 * 4 + 31) / 32 * 32; /* rope_freqs.weight */
    assert_true(n < ours.n && n < theirs.n);
    assert_memory_equal(ours.data + ours.n - n, theirs.data + theirs.n - n, n);
    free(ours.data);
    free(theirs.data);
    weights_free(w);
    fixture_remove(&f);
    agon_ctx_free(ctx);
}

static void export_gguf__q8_0_is_near_and_falls_back_where_rows_do_not_fit(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    fixture_folder f = fixture_folder_new();
    model_config c = fixture_config("llama"); /* d_ff 48 is no multiple of 32 */
    char path[256];
    weights *w = NULL;
    float values[48 * 32];
    fixture_path(path, &f, "m.gguf");
    assert_ok(ctx, export_gguf(ctx, path, &c, NULL, "q8_0", fixture_source, &c));
    assert_ok(ctx, weights_open(ctx, path, &w));
    assert_string_equal(weights_find(w, "model.layers.1.mlp.up_proj.weight")->type->name, "Q8_0");
    assert_string_equal(weights_find(w, "model.layers.1.mlp.down_proj.weight")->type->name, "F16");
    assert_string_equal(weights_find(w, "model.norm.weight")->type->name, "F32");
    assert_ok(ctx, weights_read(ctx, w, "model.layers.1.mlp.up_proj.weight", 48 * 32, values));
    for (size_t r = 0; r < 48; r++) {
        float largest = 0;
        for (size_t k = 0; k < 32; k++)
            largest = fmaxf(largest, fabsf(fixture_value("model.layers.1.mlp.up_proj.weight", r, k)));
        for (size_t k = 0; k < 32; k++) /* half a step, and the step's own rounding as f16 */
            assert_close(values[r * 32 + k], fixture_value("model.layers.1.mlp.up_proj.weight", r, k),
                         largest / 127 * (0.5 + 127 * 0x1p-11));
    }
    weights_free(w);
    fixture_remove(&f);
    agon_ctx_free(ctx);
}

typedef struct faulty {
    model_config config;
    const char *name; /* the tensor that goes wrong */
    float value;      /* put in its middle; 0: the source fails */
} faulty;

static agon_status faulty_source(void *arg, agon_ctx *ctx, const char *name, size_t n, float *out) {
    faulty *f = arg;
    agon_status s = fixture_source(&f->config, ctx, name, n, out);
    if (strcmp(name, f->name) == 0) {
        if (f->value == 0)
            return AGON_EINTERRUPTED;
        out[n / 2] = f->value;
    }
    return s;
}

static void export__a_failure_leaves_nothing(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    fixture_folder f = fixture_folder_new();
    char folder[256], file[256];
    faulty bad = {fixture_config("llama"), "model.layers.1.mlp.up_proj.weight", NAN};
    fixture_path(folder, &f, "hf");
    fixture_path(file, &f, "m.gguf");
    assert_refused(ctx, export_hf(ctx, folder, &bad.config, NULL, "f32", 0, faulty_source, &bad),
                   AGON_ENUMERIC, bad.name, "nan");
    assert_refused(ctx, export_gguf(ctx, file, &bad.config, NULL, "f32", faulty_source, &bad),
                   AGON_ENUMERIC, bad.name, "nan");
    bad.value = 70000;
    assert_refused(ctx, export_hf(ctx, folder, &bad.config, NULL, "f16", 0, faulty_source, &bad),
                   AGON_ENUMERIC, bad.name, "70000");
    bad.value = 0;
    assert_int_equal(export_hf(ctx, folder, &bad.config, NULL, "f32", 0, faulty_source, &bad),
                     AGON_EINTERRUPTED);
    assert_int_equal(export_gguf(ctx, file, &bad.config, NULL, "f32", faulty_source, &bad),
                     AGON_EINTERRUPTED);
    assert_refused(ctx, export_hf(ctx, folder, &bad.config, NULL, "q8_0", 0, faulty_source, &bad),
                   AGON_EINVAL, "q8_0", "bf16");
    assert_int_equal(n_files(f.path), 0);
    fixture_remove(&f);
    agon_ctx_free(ctx);
}

/* A GGUF file has biases and norms of heads by its tensors, a Hugging Face folder by its class. */
static void export_hf__of_what_no_class_computes_is_refused(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    fixture_folder f = fixture_folder_new();
    static const struct {
        const char *architecture;
        bool other_bias, other_norm;
        const char *says;
    } cases[] = {
        {"llama", true, false, "llama with biases of q, k and v"},
        {"qwen3", true, false, "qwen3 with biases of q, k and v"},
        {"qwen2", true, false, "qwen2 without biases of q, k and v"},
        {"llama", false, true, "llama with norms of q and k"},
        {"qwen3", false, true, "qwen3 without norms of q and k"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        model_config c = fixture_config(cases[i].architecture);
        char folder[256], file[256];
        weights *w = NULL;
        c.qkv_bias ^= cases[i].other_bias;
        c.qk_norm ^= cases[i].other_norm;
        fixture_path(folder, &f, "hf");
        fixture_path(file, &f, "m.gguf");
        assert_refused(ctx, export_hf(ctx, folder, &c, NULL, "f32", 0, fixture_source, &c), AGON_EUNSUPPORTED, cases[i].says,
                       "use format gguf");
        assert_false(folder_exists(folder));
        assert_ok(ctx, export_gguf(ctx, file, &c, NULL, "f32", fixture_source, &c)); /* as the sentence says */
        assert_ok(ctx, weights_open(ctx, file, &w));
        fixture_same_config(weights_config(w), &c);
        fixture_check_values(ctx, w);
        weights_free(w);
    }
    fixture_remove(&f);
    agon_ctx_free(ctx);
}

static void export__an_existing_model_survives_a_failure(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    fixture_folder f = fixture_folder_new();
    faulty bad = {fixture_config("llama"), "model.norm.weight", INFINITY};
    weights *w = NULL;
    assert_ok(ctx, export_hf(ctx, f.path, &bad.config, NULL, "f32", 0, fixture_source, &bad.config));
    assert_int_equal(export_hf(ctx, f.path, &bad.config, NULL, "bf16", 0, faulty_source, &bad), AGON_ENUMERIC);
    assert_ok(ctx, weights_open(ctx, f.path, &w));
    fixture_check_values(ctx, w);
    weights_free(w);
    assert_int_equal(n_files(f.path), 2);
    fixture_remove(&f);
    agon_ctx_free(ctx);
}

/* ---- the real model's tokenizer, where it is there ---------------------------------------------- */

static agon_status from_weights(void *arg, agon_ctx *ctx, const char *name, size_t n, float *out) {
    return weights_read(ctx, arg, name, n, out);
}

static void same_tokens(agon_ctx *ctx, const tokenizer *a, const char *path) {
    static const char text[] = "H\xc3\xa9llo 12345 \xe6\x97\xa5\xe6\x9c\xac <|im_start|>\tdef f(x):\n";
    weights *w = NULL;
    tokenizer *b = NULL;
    token_list x = {0}, y = {0};
    assert_ok(ctx, weights_open(ctx, path, &w));
    assert_ok(ctx, tokenizer_new(ctx, w, &b));
    assert_ok(ctx, tokenizer_encode(ctx, a, text, strlen(text), true, &x));
    assert_ok(ctx, tokenizer_encode(ctx, b, text, strlen(text), true, &y));
    assert_int_equal(x.n, y.n);
    assert_memory_equal(x.ids, y.ids, x.n * sizeof *x.ids);
    assert_int_equal(tokenizer_n_vocabulary(a), tokenizer_n_vocabulary(b));
    assert_string_equal(chat_template_name(a), chat_template_name(b));
    assert_int_equal(tokenizer_end_of_turn(a), tokenizer_end_of_turn(b));
    token_list_free(&x);
    token_list_free(&y);
    tokenizer_free(b);
    weights_free(w);
}

static void export__carries_weights_and_tokenizer_of_a_real_model(void **state) {
    (void)state;
    char path[2048];
    const char *model = fixture_real_model(path);
    if (!model) {
        print_message("skipped: no real model (make model fetches it)\n");
        skip();
    }
    agon_ctx *ctx = test_ctx(1, NULL);
    fixture_folder f = fixture_folder_new();
    char folder[256], file[256];
    weights *w = NULL, *back = NULL;
    tokenizer *t = NULL;
    assert_ok(ctx, weights_open(ctx, model, &w));
    assert_ok(ctx, tokenizer_new(ctx, w, &t));
    fixture_path(folder, &f, "hf");
    fixture_path(file, &f, "m.gguf");
    assert_ok(ctx, export_hf(ctx, folder, weights_config(w), t, "bf16", 0, from_weights, w));
    assert_ok(ctx, export_gguf(ctx, file, weights_config(w), t, "f32", from_weights, w));
    same_tokens(ctx, t, folder);
    same_tokens(ctx, t, file);
    assert_ok(ctx, weights_open(ctx, file, &back));
    for (size_t i = 0; i < weights_n_tensors(w); i++) {
        tensor_info info = weights_tensor(w, i);
        size_t n = info.n_rows * info.n_columns;
        float *x = malloc(n * sizeof *x), *y = malloc(n * sizeof *y);
        assert_ok(ctx, weights_read(ctx, w, info.name, n, x));
        assert_ok(ctx, weights_read(ctx, back, info.name, n, y));
        assert_memory_equal(x, y, n * sizeof *x);
        free(x);
        free(y);
    }
    weights_free(back);
    tokenizer_free(t);
    weights_free(w);
    fixture_remove(&f);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(export_hf__comes_back),
        cmocka_unit_test(export_gguf__comes_back),
        cmocka_unit_test(export_gguf__llama3_scaling_of_any_parameters_comes_back),
        cmocka_unit_test(export_gguf__stores_rows_as_the_converter_does),
        cmocka_unit_test(export_gguf__q8_0_is_near_and_falls_back_where_rows_do_not_fit),
        cmocka_unit_test(export__a_failure_leaves_nothing),
        cmocka_unit_test(export_hf__of_what_no_class_computes_is_refused),
        cmocka_unit_test(export__an_existing_model_survives_a_failure),
        cmocka_unit_test(export__carries_weights_and_tokenizer_of_a_real_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
