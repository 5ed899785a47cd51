/* Hugging Face folders and safetensors images: one file, shards, the spellings of config.json, and damage named in the
 * sentence. */
#include "../../weights_fixtures.h"
#include "model/safetensors.h"
#include "model/weights_private.h"

#define CONFIG(extra)                                                                                \
    "{\"model_type\":\"llama\",\"hidden_size\":64,\"intermediate_size\":128,\"num_hidden_layers\":2," \
    "\"num_attention_heads\":4,\"num_key_value_heads\":2,\"vocab_size\":100,\"rms_norm_eps\":1e-5,"    \
    "\"max_position_embeddings\":256" extra "}"

static agon_status parse(agon_ctx *ctx, const char *text, model_config *out) {
    return hf_config_parse(ctx, "config.json", text, strlen(text), out);
}

static void hf_config__reads_both_spellings_of_rope(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    model_config c;
    assert_ok(ctx, parse(ctx, CONFIG(""), &c));
    assert_true(c.rope_theta == 10000 && c.head_dim == 16 && !c.tied_embeddings);
    assert_string_equal(c.rope_scaling, "none");
    assert_ok(ctx, parse(ctx, CONFIG(",\"rope_theta\":5e5,\"rope_scaling\":{\"type\":\"linear\",\"factor\":4}"),
                         &c));
    assert_true(c.rope_theta == 500000 && c.rope_factor == 4);
    assert_string_equal(c.rope_scaling, "linear");
    assert_ok(ctx, parse(ctx,
                         CONFIG(",\"rope_parameters\":{\"rope_theta\":1e6,\"rope_type\":\"llama3\","
                                "\"factor\":32,\"low_freq_factor\":1,\"high_freq_factor\":4,"
                                "\"original_max_position_embeddings\":8192}"),
                         &c));
    assert_true(c.rope_theta == 1e6 && c.rope_factor == 32 && c.rope_original_context == 8192);
    assert_string_equal(c.rope_scaling, "llama3");
    agon_ctx_free(ctx);
}

static void hf_config__refuses_what_the_engine_does_not_compute(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    static const char *const unsupported[][2] = {
        {CONFIG(",\"hidden_act\":\"gelu\""), "hidden_act"},
        {CONFIG(",\"attention_bias\":true"), "attention_bias"},
        {CONFIG(",\"mlp_bias\":true"), "mlp_bias"},
        {CONFIG(",\"partial_rotary_factor\":0.5"), "RoPE over a part"},
        {CONFIG(",\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4}"), "yarn"},
        {CONFIG(",\"quantization_config\":{\"bits\":4}"), "quantization_config"},
        {"{\"model_type\":\"gpt2\"}", "gpt2"},
    };
    static const char *const damaged[][2] = {
        {"{", "line 1"},
        {"[]", "object"},
        {"{}", "model_type"},
        {"{\"model_type\":\"llama\"}", "num_hidden_layers"},
        {CONFIG(",\"head_dim\":7"), "odd"},
        {CONFIG(",\"head_dim\":-8"), "negative"},
        {CONFIG(",\"tie_word_embeddings\":\"yes\""), "tie_word_embeddings"},
        {CONFIG(",\"rope_theta\":0"), "RoPE base"},
        {CONFIG(",\"head_dim\":320"), "head width is 320; it must be 1 to 256"},
        {CONFIG(",\"rope_scaling\":3"), "object"},
        {CONFIG(",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8}"), "low_freq_factor"},
    };
    model_config c;
    for (size_t i = 0; i < sizeof unsupported / sizeof unsupported[0]; i++)
        assert_refused(ctx, parse(ctx, unsupported[i][0], &c), AGON_EUNSUPPORTED, "config.json",
                       unsupported[i][1]);
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++)
        assert_refused(ctx, parse(ctx, damaged[i][0], &c), AGON_EFORMAT, "config.json", damaged[i][1]);
    agon_ctx_free(ctx);
}

static void hf_config__a_window_counts_only_where_it_is_used(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    static const struct {
        const char *type, *extra;
        size_t want;
    } cases[] = {
        {"llama", "\"sliding_window\":99", 0},
        {"mistral", "\"sliding_window\":99", 99},
        {"mistral", "\"sliding_window\":null", 0},
        {"qwen2", "\"sliding_window\":99", 0},
        {"qwen2", "\"sliding_window\":99,\"use_sliding_window\":true", 99},
        /* The key is left out where it has the default of transformers. */
        {"mistral", "\"use_cache\":true", 4096},
        {"qwen2", "\"use_sliding_window\":true", 4096},
        {"qwen2", "\"use_sliding_window\":true,\"sliding_window\":null", 0},
        {"qwen2", "\"use_cache\":true", 0},
        {"llama", "\"use_cache\":true", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[600];
        model_config c;
        snprintf(text, sizeof text,
                 "{\"model_type\":\"%s\",\"hidden_size\":64,\"intermediate_size\":128,"
                 "\"num_hidden_layers\":2,\"num_attention_heads\":4,\"vocab_size\":100,"
                 "\"max_position_embeddings\":256,%s}",
                 cases[i].type, cases[i].extra);
        assert_ok(ctx, parse(ctx, text, &c));
        assert_int_equal(c.sliding_window, cases[i].want);
    }
    agon_ctx_free(ctx);
}

/* ---- shards ------------------------------------------------------------------------------------ */

/* Writes the layers' tensors whose number has the parity `which` as a shard, and adds them to the index. */
static void write_shard(agon_ctx *ctx, const fixture_folder *f, model_config *c, size_t which,
                        const char *name, json_t *map) {
    safetensors_item items[64];
    tensor_layout layout[64];
    size_t n = 0;
    buffer b = {0};
    char path[256];
    for (size_t i = 0; i < layout_n(c); i++) {
        if (i % 2 != which)
            continue;
        layout_get(c, i, &layout[n]);
        items[n] = (safetensors_item){layout[n].name, "F32", layout[n].n_rows, layout[n].n_columns,
                                      layout[n].vector};
        json_object_set_new(map, layout[n].name, json_string(name));
        n++;
    }
    assert_ok(ctx, safetensors_header(ctx, items, n, NULL, &b));
    for (size_t i = 0; i < n; i++) {
        size_t m = layout[i].n_rows * layout[i].n_columns;
        float *values = malloc(m * sizeof *values);
        assert_ok(ctx, fixture_source(c, ctx, layout[i].name, m, values));
        buffer_append(&b, values, m * sizeof *values);
        free(values);
    }
    assert_ok(ctx, file_write(ctx, fixture_path(path, f, name), b.data, b.size));
    buffer_free(&b);
}

static void write_index(agon_ctx *ctx, const fixture_folder *f, json_t *map) {
    char path[256];
    json_t *index = json_pack("{s:{s:i}, s:O}", "metadata", "total_size", 1, "weight_map", map);
    char *text = json_dumps(index, 0);
    assert_ok(ctx, file_write(ctx, fixture_path(path, f, "model.safetensors.index.json"), text,
                              strlen(text)));
    free(text);
    json_decref(index);
}

static fixture_folder sharded_folder(agon_ctx *ctx, model_config *c, json_t **map) {
    fixture_folder f = fixture_folder_new();
    char path[256];
    /* The configuration from the writer, the weights in two shards instead of its single file. */
    assert_ok(ctx, export_hf(ctx, f.path, c, NULL, "f32", 0, fixture_source, c));
    assert_int_equal(unlink(fixture_path(path, &f, "model.safetensors")), 0);
    *map = json_object();
    write_shard(ctx, &f, c, 0, "model-00001-of-00002.safetensors", *map);
    write_shard(ctx, &f, c, 1, "model-00002-of-00002.safetensors", *map);
    write_index(ctx, &f, *map);
    return f;
}

static void hf__shards_are_one_model(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    model_config c = fixture_config("qwen2");
    json_t *map;
    fixture_folder f = sharded_folder(ctx, &c, &map);
    weights *w = NULL;
    hash256 id, again;
    assert_ok(ctx, weights_open(ctx, f.path, &w));
    assert_false(weights_is_gguf(w));
    fixture_same_config(weights_config(w), &c);
    fixture_check_values(ctx, w);
    assert_ok(ctx, weights_id(ctx, w, &id));
    weights_free(w);
    /* The id changes with one byte of one shard. */
    char path[256];
    fixture_image shard = fixture_read(ctx, fixture_path(path, &f, "model-00002-of-00002.safetensors"));
    shard.data[shard.n - 1] ^= 1;
    assert_ok(ctx, file_write(ctx, path, shard.data, shard.n));
    assert_ok(ctx, weights_open(ctx, f.path, &w));
    assert_ok(ctx, weights_id(ctx, w, &again));
    assert_memory_not_equal(id.bytes, again.bytes, sizeof id.bytes);
    weights_free(w);
    free(shard.data);
    json_decref(map);
    fixture_remove(&f);
    agon_ctx_free(ctx);
}

static void hf__a_hostile_index_is_refused(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    model_config c = fixture_config("llama");
    json_t *map;
    fixture_folder f = sharded_folder(ctx, &c, &map);
    static const char *const names[] = {"../secret", "/etc/passwd", "", ".hidden"};
    weights *w = NULL;
    for (size_t i = 0; i < 4; i++) {
        json_object_set_new(map, "model.norm.weight", json_string(names[i]));
        write_index(ctx, &f, map);
        assert_refused(ctx, weights_open(ctx, f.path, &w), AGON_EFORMAT, "model.norm.weight",
                       "plain name");
    }
    json_object_set_new(map, "model.norm.weight", json_string("absent.safetensors"));
    write_index(ctx, &f, map);
    assert_refused(ctx, weights_open(ctx, f.path, &w), AGON_ENOTFOUND, "absent.safetensors", "");
    json_object_clear(map);
    write_index(ctx, &f, map);
    assert_refused(ctx, weights_open(ctx, f.path, &w), AGON_EFORMAT, "index.json", "weight_map");
    json_decref(map);
    fixture_remove(&f);
    agon_ctx_free(ctx);
}

static void hf__a_missing_shard_tensor_is_named(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    model_config c = fixture_config("llama");
    json_t *map;
    fixture_folder f = sharded_folder(ctx, &c, &map);
    weights *w = NULL;
    json_object_clear(map); /* an index of the first shard alone */
    write_shard(ctx, &f, &c, 0, "model-00001-of-00002.safetensors", map);
    write_index(ctx, &f, map);
    assert_refused(ctx, weights_open(ctx, f.path, &w), AGON_EFORMAT, f.path,
                   "'model.layers.0.input_layernorm.weight' is missing");
    json_decref(map);
    fixture_remove(&f);
    agon_ctx_free(ctx);
}

/* ---- a tied head that is stored ------------------------------------------------------------------ */

/* A folder with tied embeddings, whose second shard is yet to be written. */
static fixture_folder tied_folder(agon_ctx *ctx, model_config *c) {
    fixture_folder f = fixture_folder_new();
    char from[256], to[256];
    json_t *map = json_pack("{s:s, s:s}", "model.norm.weight", "model-1.safetensors", "lm_head.weight", "model-2.safetensors");
    assert_true(c->tied_embeddings);
    assert_ok(ctx, export_hf(ctx, f.path, c, NULL, "bf16", 0, fixture_source, c));
    assert_int_equal(rename(fixture_path(from, &f, "model.safetensors"), fixture_path(to, &f, "model-1.safetensors")), 0);
    write_index(ctx, &f, map);
    json_decref(map);
    return f;
}

static void write_head(agon_ctx *ctx, const fixture_folder *f, const char *dtype, size_t n_rows, size_t n_columns,
                       const void *values) {
    const safetensors_item item = {"lm_head.weight", dtype, n_rows, n_columns, false};
    buffer b = {0};
    char path[256];
    assert_ok(ctx, safetensors_header(ctx, &item, 1, NULL, &b));
    buffer_append(&b, values, n_rows * n_columns * (strcmp(dtype, "F32") == 0 ? 4 : 2));
    assert_ok(ctx, file_write(ctx, fixture_path(path, f, "model-2.safetensors"), b.data, b.size));
    buffer_free(&b);
}

static void set_tied(agon_ctx *ctx, const fixture_folder *f, bool tied) {
    char path[256];
    json_t *config = json_load_file(fixture_path(path, f, "config.json"), 0, NULL);
    json_object_set_new(config, "tie_word_embeddings", json_boolean(tied));
    char *text = json_dumps(config, 0);
    assert_ok(ctx, file_write(ctx, path, text, strlen(text)));
    free(text);
    json_decref(config);
}

static void hf__a_tied_head_is_a_copy_or_refused(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    model_config c = fixture_config("qwen3");
    size_t v = c.n_vocabulary, d = c.d_model, n = v * d;
    fixture_folder f = tied_folder(ctx, &c);
    weights *w = NULL;
    uint32_t *values = malloc(n * sizeof *values);
    uint16_t *head = malloc(n * sizeof *head);
    float *back = malloc(n * sizeof *back);
    assert_ok(ctx, fixture_source(&c, ctx, "model.embed_tokens.weight", n, back));
    memcpy(values, back, n * sizeof *values);
    for (size_t i = 0; i < n; i++)
        head[i] = (uint16_t)(values[i] >> 16);
    write_head(ctx, &f, "BF16", v, d, head);
    assert_ok(ctx, weights_open(ctx, f.path, &w));
    assert_true(weights_config(w)->tied_embeddings);
    weights_free(w);
    /* The same bytes in another shape or type, the same values in a wider one, one other value. */
    const char *const where = "model-2.safetensors: 'lm_head.weight'", *const says = "tie_word_embeddings; set that to false";
    write_head(ctx, &f, "BF16", d, v, head);
    assert_refused(ctx, weights_open(ctx, f.path, &w), AGON_EFORMAT, where, says);
    write_head(ctx, &f, "F16", v, d, head);
    assert_refused(ctx, weights_open(ctx, f.path, &w), AGON_EFORMAT, where, says);
    write_head(ctx, &f, "F32", v, d, values);
    assert_refused(ctx, weights_open(ctx, f.path, &w), AGON_EFORMAT, where, says);
    head[n - 1] ^= 0x40;
    write_head(ctx, &f, "BF16", v, d, head);
    assert_refused(ctx, weights_open(ctx, f.path, &w), AGON_EFORMAT, where, says);
    set_tied(ctx, &f, false); /* as the sentence says */
    assert_ok(ctx, weights_open(ctx, f.path, &w));
    assert_ok(ctx, weights_read(ctx, w, "lm_head.weight", n, back));
    for (size_t i = 0; i < n; i++)
        values[i] = (uint32_t)head[i] << 16;
    assert_memory_equal(back, values, n * sizeof *values);
    weights_free(w);
    free(values);
    free(head);
    free(back);
    fixture_remove(&f);
    agon_ctx_free(ctx);
}

/* ---- safetensors ------------------------------------------------------------------------------- */

static agon_status open_header(agon_ctx *ctx, const char *header, size_t n_data, weights **w) {
    uint8_t image[1024] = {(uint8_t)strlen(header)};
    assert_true(strlen(header) < 256 && 8 + strlen(header) + n_data <= sizeof image);
    memcpy(image + 8, header, strlen(header));
    return safetensors_open_memory(ctx, "x.safetensors", image, 8 + strlen(header) + n_data, w);
}

static void safetensors__offsets_shapes_and_types_are_checked(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    static const struct {
        const char *header;
        agon_status status;
        const char *says;
    } cases[] = {
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,17]}}", AGON_EFORMAT, "'t'"},
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[8,4]}}", AGON_EFORMAT, "'t'"},
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[-4,12]}}", AGON_EFORMAT, "'t'"},
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,12]}}", AGON_EFORMAT,
         "16 bytes, its offsets span 12"},
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":[2,0],\"data_offsets\":[0,0]}}", AGON_EFORMAT, "shape"},
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}",
         AGON_EFORMAT, "shape"},
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":[1,2,2],\"data_offsets\":[0,16]}}", AGON_EFORMAT, "shape"},
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", AGON_EFORMAT, "shape"},
        {"{\"t\":{\"dtype\":\"F8_E4M3\",\"shape\":[4],\"data_offsets\":[0,4]}}", AGON_EUNSUPPORTED,
         "F8_E4M3"},
        {"{\"t\":{\"dtype\":\"Q4_1\",\"shape\":[32],\"data_offsets\":[0,16]}}", AGON_EUNSUPPORTED, "Q4_1"},
        {"{\"t\":{\"shape\":[4],\"data_offsets\":[0,16]}}", AGON_EFORMAT, "dtype"},
        {"{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]},\"u\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", AGON_EFORMAT,
         "the tensors 'u' and 't' overlap"},
        {"{\"t\":7}", AGON_EFORMAT, "'t'"},
        {"{\"t\":{},\"t\":{}}", AGON_EFORMAT, "duplicate"},
        {"{\"__metadata__\":[]}", AGON_EFORMAT, "__metadata__"},
        {"[]", AGON_EFORMAT, "object"},
        {"{", AGON_EFORMAT, "JSON"},
    };
    weights *w = NULL;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_refused(ctx, open_header(ctx, cases[i].header, 16, &w), cases[i].status,
                       "x.safetensors: ", cases[i].says);
    uint8_t lie[16] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};
    assert_refused(ctx, safetensors_open_memory(ctx, "x.safetensors", lie, sizeof lie, &w), AGON_EFORMAT,
                   "x.safetensors", "truncated");
    assert_refused(ctx, safetensors_open_memory(ctx, "x.safetensors", lie, 7, &w), AGON_EFORMAT,
                   "x.safetensors", "7 bytes");
    agon_ctx_free(ctx);
}

static void safetensors__an_image_comes_back_with_its_metadata(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    const safetensors_item items[] = {{"b", "F32", 2, 3, false}, {"a", "BF16", 1, 2, true}};
    json_t *metadata = json_pack("{s:s}", "rank", "8");
    buffer b = {0};
    weights *w = NULL;
    float six[] = {1, 2, 3, 4, 5, -6}, back[6];
    uint16_t two[] = {0x3f80, 0xc000};
    assert_ok(ctx, safetensors_header(ctx, items, 2, metadata, &b));
    assert_int_equal(b.size % 8, 0);
    buffer_append(&b, six, sizeof six);
    buffer_append(&b, two, sizeof two);
    assert_ok(ctx, safetensors_open_memory(ctx, "x", b.data, b.size, &w));
    assert_string_equal(weights_meta_text(w, "rank"), "8");
    assert_ok(ctx, weights_read(ctx, w, "b", 6, back));
    assert_memory_equal(back, six, sizeof six);
    assert_ok(ctx, weights_read(ctx, w, "a", 2, back));
    assert_true(back[0] == 1 && back[1] == -2);
    weights_free(w);
    buffer_free(&b);
    json_decref(metadata);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hf_config__reads_both_spellings_of_rope),
        cmocka_unit_test(hf_config__refuses_what_the_engine_does_not_compute),
        cmocka_unit_test(hf_config__a_window_counts_only_where_it_is_used),
        cmocka_unit_test(hf__shards_are_one_model),
        cmocka_unit_test(hf__a_hostile_index_is_refused),
        cmocka_unit_test(hf__a_missing_shard_tensor_is_named),
        cmocka_unit_test(hf__a_tied_head_is_a_copy_or_refused),
        cmocka_unit_test(safetensors__offsets_shapes_and_types_are_checked),
        cmocka_unit_test(safetensors__an_image_comes_back_with_its_metadata),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
