/* The GGUF reader: files by another writer (scripts/reference/tiny_models.py), and files damaged one field at a
 * time: each is refused with a sentence that names the file and the tensor or key. */
#include "../../weights_fixtures.h"
#include "model/tokenizer_private.h"
#include "model/weights_private.h"

static weights *open_golden(agon_ctx *ctx, const char *name) {
    char path[2048];
    weights *w = NULL;
    assert_ok(ctx, weights_open(ctx, golden_path(path, name), &w));
    return w;
}

static void gguf__llama_rows_come_back_in_order(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    weights *w = open_golden(ctx, "tiny-llama.gguf");
    const model_config *c = weights_config(w);
    assert_string_equal(c->architecture, "llama");
    assert_int_equal(c->n_layers, 2);
    assert_int_equal(c->n_kv_heads, 2);
    assert_int_equal(c->head_dim, 8);
    assert_int_equal(c->n_vocabulary, 12);
    assert_int_equal(c->max_context, 128);
    assert_true(c->tied_embeddings);
    assert_true(c->norm_eps == 1e-5f);
    tensor_info first = weights_tensor(w, 0); /* sorted by name */
    assert_string_equal(first.name, "model.embed_tokens.weight");
    assert_string_equal(first.type, "F16");
    assert_int_equal(first.n_rows, 12);
    assert_int_equal(first.n_columns, 32);
    fixture_check_values(ctx, w);
    weights_free(w);
    agon_ctx_free(ctx);
}

static void gguf__llama3_scaling_is_taken_back_from_its_factors(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    weights *w = open_golden(ctx, "tiny-llama.gguf");
    const model_config *c = weights_config(w);
    assert_string_equal(c->rope_scaling, "llama3");
    assert_true(c->rope_factor == 8);
    assert_true(c->rope_low_freq_factor == 1 && c->rope_high_freq_factor == 4);
    assert_true(c->rope_original_context == 8192);
    assert_false(weights_has(w, "rope_freqs.weight"));
    weights_free(w);
    agon_ctx_free(ctx);
}

/* A first key more, whose value takes 4 bytes, and a second so that the data stay aligned to 32. */
static void add_key(fixture_image *file, const char *key, uint32_t type, const void *value) {
    static const char padding[] = "paddingpaddingpaddingpaddingpaddingpadding";
    size_t n = strlen(key), size = 8 + n + 8, n_rest = 8 + (32 - (size + 8 + 8 + 8) % 32);
    uint64_t n_keys, lengths[] = {n, n_rest};
    uint32_t u32 = 4;
    char *bytes = calloc(1, file->n + 128), *at = bytes + 24;
    memcpy(bytes, file->data, 24);
    memcpy(&n_keys, bytes + 16, 8);
    n_keys += 2;
    memcpy(bytes + 16, &n_keys, 8);
    memcpy(at, &lengths[0], 8);
    memcpy(at + 8, key, n);
    memcpy(at + 8 + n, &type, 4);
    memcpy(at + 12 + n, value, 4);
    at += size;
    memcpy(at, &lengths[1], 8);
    memcpy(at + 8, padding, n_rest);
    memcpy(at + 8 + n_rest, &u32, 4);
    at += 8 + n_rest + 8;
    memcpy(at, file->data + 24, file->n - 24);
    file->n += (size_t)(at - bytes) - 24;
    assert_int_equal((at - bytes - 24) % 32, 0);
    free(file->data);
    file->data = bytes;
}

/* As llama.cpp reads them: a factor without a type is linear. */
static void gguf__rope_scaling_is_followed_or_refused(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    static const float four = 4, half = 0.5f, one = 1;
    static const uint32_t number = 7;
    const struct {
        const char *golden, *key;
        uint32_t type;
        const void *value;
        agon_status status;
        const char *says;
    } cases[] = {
        {"tiny-qwen3.gguf", "qwen3.rope.scaling.factor", 6, &four, AGON_OK, ""},
        {"tiny-qwen3.gguf", "qwen3.rope.scale_linear", 6, &four, AGON_OK, ""},
        {"tiny-qwen3.gguf", "qwen3.rope.scaling.type", 4, &number, AGON_EFORMAT, "'qwen3.rope.scaling.type' must be text"},
        {"tiny-qwen3.gguf", "qwen3.rope.scaling.attn_factor", 6, &half, AGON_EUNSUPPORTED, "attention factor of 0.5"},
        {"tiny-llama.gguf", "llama.rope.scaling.factor", 6, &four, AGON_EUNSUPPORTED, "together with 'rope_freqs.weight'"},
        {"tiny-qwen3.gguf", "qwen3.rope.scaling.attn_factor", 6, &one, AGON_OK, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[2048];
        weights *w = NULL;
        fixture_image file = fixture_read(ctx, golden_path(path, cases[i].golden));
        add_key(&file, cases[i].key, cases[i].type, cases[i].value);
        agon_status s = gguf_open_memory(ctx, "x.gguf", file.data, file.n, &w);
        assert_int_equal(s, cases[i].status);
        if (s) {
            assert_non_null(strstr(agon_error(ctx), "x.gguf: "));
            assert_non_null(strstr(agon_error(ctx), cases[i].says));
        } else {
            assert_string_equal(weights_config(w)->rope_scaling, cases[i].says ? "linear" : "none");
            assert_true(weights_config(w)->rope_factor == (cases[i].says ? 4 : 1));
        }
        weights_free(w);
        free(file.data);
    }
    agon_ctx_free(ctx);
}

static void gguf__qwen_is_not_permuted(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    weights *w = open_golden(ctx, "tiny-qwen2.gguf");
    assert_true(weights_config(w)->qkv_bias);
    assert_false(weights_config(w)->tied_embeddings);
    fixture_check_values(ctx, w);
    weights_free(w);
    w = open_golden(ctx, "tiny-qwen3.gguf");
    assert_true(weights_config(w)->qk_norm);
    assert_int_equal(weights_config(w)->head_dim, 16);
    fixture_check_values(ctx, w);
    weights_free(w);
    agon_ctx_free(ctx);
}

static void gguf__metadata_are_there_for_the_tokenizer(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    weights *w = open_golden(ctx, "tiny-llama.gguf");
    gguf_strings tokens;
    const int32_t *types;
    size_t n;
    int64_t id = -1;
    assert_true(weights_meta_strings(w, "tokenizer.ggml.tokens", &tokens));
    assert_int_equal(tokens.n, 12);
    assert_string_equal(tokens.text[1], "<|t1|>");
    assert_int_equal(tokens.length[1], 6);
    assert_true(weights_meta_ints(w, "tokenizer.ggml.token_type", &types, &n));
    assert_int_equal(n, 12);
    assert_int_equal(types[2], 3);
    assert_int_equal(types[3], 1);
    assert_true(weights_meta_int(w, "tokenizer.ggml.eos_token_id", &id));
    assert_int_equal(id, 2);
    assert_string_equal(weights_meta_text(w, "tokenizer.ggml.pre"), "smollm");
    assert_null(weights_meta_text(w, "tokenizer.ggml.tokens")); /* of another type */
    assert_null(weights_meta_text(w, "no.such.key"));
    assert_false(weights_meta_int(w, "tokenizer.ggml.pre", &id));
    weights_free(w);
    agon_ctx_free(ctx);
}

static void gguf__id_is_the_hash_of_the_file(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    char path[2048];
    weights *w = open_golden(ctx, "tiny-qwen3.gguf");
    fixture_image file = fixture_read(ctx, golden_path(path, "tiny-qwen3.gguf"));
    hash256 id, want = hash_bytes(file.data, file.n);
    assert_ok(ctx, weights_id(ctx, w, &id));
    assert_memory_equal(id.bytes, want.bytes, sizeof id.bytes);
    free(file.data);
    weights_free(w);
    agon_ctx_free(ctx);
}

static void gguf__reading_checks_name_and_size(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    weights *w = open_golden(ctx, "tiny-qwen3.gguf");
    float values[16];
    assert_refused(ctx, weights_read(ctx, w, "model.nothing", 16, values), AGON_ENOTFOUND,
                   "tiny-qwen3.gguf", "model.nothing");
    assert_refused(ctx, weights_read(ctx, w, "model.norm.weight", 15, values), AGON_EFORMAT,
                   "tiny-qwen3.gguf", "1 x 16");
    weights_free(w);
    agon_ctx_free(ctx);
}

/* ---- damage ------------------------------------------------------------------------------------ */

/* One field of a valid file overwritten. In a tensor's record, the name is followed by u32 n_dims, u64 dims, u32 type, u64
 * offset; a key by its u32 type and value. */
typedef struct damage {
    const char *after;
    size_t skip;
    uint64_t value;
    size_t bytes;
    agon_status status;
    const char *says, *and_says;
} damage;

#define UP "blk.0.ffn_up.weight"

static const damage damages[] = {
    {"", 0, 0x46554748, 4, AGON_EFORMAT, "x.gguf", "not a GGUF file"},
    {"GGUF", 0, 1, 4, AGON_EUNSUPPORTED, "x.gguf", "version 1"},
    {"GGUF", 0, 0x03000000, 4, AGON_EUNSUPPORTED, "x.gguf", "big-endian"},
    {"GGUF", 4, UINT64_MAX, 8, AGON_EFORMAT, "x.gguf", "list of tensors"},
    {"GGUF", 12, UINT64_MAX, 8, AGON_EFORMAT, "x.gguf", "metadata keys"},
    {"general.architecture", 12, 0x65646f6d /* "mode" for "qwen" */, 4, AGON_EUNSUPPORTED, "mode3",
     "llama"},
    {"general.architecture", 4, UINT64_MAX / 2, 8, AGON_EFORMAT, "x.gguf", "general.architecture"},
    {"qwen3.block_count", 4, 3, 4, AGON_EFORMAT, "blk.1.attn_norm.weight", "missing"},
    {"qwen3.block_count", 4, UINT32_MAX, 4, AGON_EFORMAT, "x.gguf", "number of layers"},
    {"qwen3.block_count", 0, 6, 4, AGON_EFORMAT, "qwen3.block_count", "whole number"},
    {"qwen3.attention.head_count", 4, 0, 4, AGON_EFORMAT, "x.gguf", "number of heads is 0"},
    {"qwen3.embedding_length", 4, 0, 4, AGON_EFORMAT, "x.gguf", "model width"},
    {"qwen3.attention.head_count", 4, 3, 4, AGON_EFORMAT, "blk.0.attn_q.weight", "48 x 16"},
    {"qwen3.attention.key_length", 4, 15, 4, AGON_EUNSUPPORTED, "x.gguf", "width"},
    {"qwen3.embedding_length", 4, (1 << 17) + 1, 4, AGON_EFORMAT, "x.gguf", "model width is 131073; it must be 1 to 131072"},
    {"qwen3.attention.head_count", 4, 1 << 16, 4, AGON_EFORMAT, "x.gguf", "width of all heads is 1048576; it must be 1 to 131072"},
    {"qwen3.feed_forward_length", 4, (1 << 17) + 1, 4, AGON_EFORMAT, "x.gguf", "feed-forward width"},
    {"qwen3.rope.freq_base", 4, 0x7f800000, 4, AGON_EFORMAT, "qwen3.rope.freq_base", "finite"},
    {"qwen3.rope.freq_base", 4, 0, 4, AGON_EFORMAT, "x.gguf", "RoPE base"},
    {"tokenizer.ggml.tokens", 8, UINT64_MAX, 8, AGON_EFORMAT, "x.gguf", "tokenizer.ggml.tokens"},
    {"tokenizer.ggml.tokens", 4, 9, 4, AGON_EFORMAT, "x.gguf", "array of unknown type 9"},
    {"tokenizer.ggml.token_type", 0, 13, 4, AGON_EFORMAT, "tokenizer.ggml.token_type", "type 13"},
    /* The vocabulary has 10 tokens, whatever the embedding has. */
    {"token_embd.weight", 12, 9, 8, AGON_EFORMAT, "'token_embd.weight' is 9 x 16", "metadata ask for 10 x 16"},
    {"token_embd.weight", 12, 11, 8, AGON_EFORMAT, "the tensors 'token_embd.weight' and 'blk.0.", "overlap in the file"},
    {UP, 0, 5, 4, AGON_EFORMAT, UP, "5 dimensions"},
    {UP, 0, 0, 4, AGON_EFORMAT, UP, "0 dimensions"},
    {UP, 4, 0, 8, AGON_EFORMAT, UP, "dimension 0"},
    {UP, 4, 1ull << 40, 8, AGON_EFORMAT, UP, "dimension 0"},
    {UP, 12, UINT64_MAX, 8, AGON_EFORMAT, UP, "dimension 1"},
    {UP, 12, 23, 8, AGON_EFORMAT, UP, "23 x 16"},
    {UP, 20, 10, 4, AGON_EUNSUPPORTED, UP, "Q2_K"},
    {UP, 20, 12, 4, AGON_EFORMAT, UP, "Q4_K"},
    {UP, 24, 1ull << 62, 8, AGON_EFORMAT, UP, "offset"},
    {UP, 24, 33, 8, AGON_EFORMAT, UP, "alignment"},
    {UP, 24, 0, 8, AGON_EFORMAT, "'" UP "'", "overlap in the file"},
};

static void gguf__damage_is_named(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    char path[2048];
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        const damage *d = &damages[i];
        weights *w = NULL;
        fixture_image file = fixture_read(ctx, golden_path(path, "tiny-qwen3.gguf"));
        fixture_patch(&file, d->after, d->skip, &d->value, d->bytes);
        agon_status s = gguf_open_memory(ctx, "x.gguf", file.data, file.n, &w);
        if (s != d->status || !strstr(agon_error(ctx), d->says) || !strstr(agon_error(ctx), d->and_says) ||
            strncmp(agon_error(ctx), "x.gguf: ", 8) != 0)
            fail_msg("damage %zu: %s, '%s'", i, agon_status_name(s), s ? agon_error(ctx) : "");
        assert_null(w);
        free(file.data);
    }
    agon_ctx_free(ctx);
}

static void gguf__unknown_and_repeated_tensors_are_named(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    char path[2048];
    weights *w = NULL;
    fixture_image file = fixture_read(ctx, golden_path(path, "tiny-qwen3.gguf"));
    memcpy(memmem(file.data, file.n, UP, strlen(UP)), "blk.0.ffn_xp.weight", strlen(UP));
    assert_refused(ctx, gguf_open_memory(ctx, "x.gguf", file.data, file.n, &w), AGON_EUNSUPPORTED,
                   "x.gguf", "blk.0.ffn_xp.weight");
    /* A copy of another's name: same shape, so only the index can see it. */
    memcpy(memmem(file.data, file.n, "blk.0.ffn_xp.weight", strlen(UP)), UP, strlen(UP));
    memcpy(memmem(file.data, file.n, "blk.0.attn_q_norm.weight", 24), "blk.0.attn_k_norm.weight", 24);
    assert_refused(ctx, gguf_open_memory(ctx, "x.gguf", file.data, file.n, &w), AGON_EFORMAT,
                   "blk.0.attn_k_norm.weight", "twice");
    free(file.data);
    agon_ctx_free(ctx);
}

static void gguf__a_value_that_is_not_finite_is_named_on_reading(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    char path[2048];
    fixture_image file = fixture_read(ctx, golden_path(path, "tiny-qwen2.gguf"));
    static const uint8_t nan_bytes[] = {0, 0, 0xc0, 0x7f};
    weights *w = NULL;
    float values[160];
    memcpy(file.data + file.n - 160 * 4, nan_bytes, 4); /* output.weight is last */
    assert_ok(ctx, gguf_open_memory(ctx, "x.gguf", file.data, file.n, &w));
    assert_refused(ctx, weights_read(ctx, w, "lm_head.weight", 160, values), AGON_EFORMAT,
                   "x.gguf: tensor 'output.weight'", "not finite");
    weights_free(w);
    free(file.data);
    agon_ctx_free(ctx);
}

/* Opens tiny-text.gguf with the patches as a tokenizer, which must be refused with the key's name and the words. */
typedef struct patch {
    const char *after;
    size_t skip;
    uint64_t value;
    size_t bytes;
} patch;
static void tokenizer_refused(const patch *patches, size_t n, const char *key, const char *words) {
    agon_ctx *ctx = test_ctx(1, NULL);
    char path[2048];
    weights *w = NULL;
    tokenizer *t = NULL;
    fixture_image file = fixture_read(ctx, golden_path(path, "tiny-text.gguf"));
    for (size_t i = 0; i < n; i++)
        fixture_patch(&file, patches[i].after, patches[i].skip, &patches[i].value, patches[i].bytes);
    assert_ok(ctx, gguf_open_memory(ctx, "x.gguf", file.data, file.n, &w));
    assert_refused(ctx, tokenizer_new(ctx, w, &t), AGON_EFORMAT, key, words);
    assert_null(t);
    weights_free(w);
    free(file.data);
    agon_ctx_free(ctx);
}

static void gguf__a_tokenizer_that_disagrees_with_its_tokens_is_refused(void **state) {
    (void)state;
    /* 266 numbers of 4 bytes read as 532 of 2 */
    tokenizer_refused((patch[]){{"tokenizer.ggml.token_type", 4, 3, 4}, {"tokenizer.ggml.token_type", 8, 532, 8}}, 2, "x.gguf: tokenizer.ggml.token_type",
                      "532 entries for 266 tokens");
    tokenizer_refused((patch[]){{"tokenizer.ggml.eos_token_id", 4, 99999, 4}}, 1, "x.gguf: tokenizer.ggml.eos_token_id is 99999", "266 tokens");
    tokenizer_refused((patch[]){{"tokenizer.ggml.bos_token_id", 4, 266, 4}}, 1, "x.gguf: tokenizer.ggml.bos_token_id is 266", "266 tokens");
}

static void weights__what_is_no_model_is_said(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    fixture_folder f = fixture_folder_new();
    char path[256];
    weights *w = NULL;
    assert_refused(ctx, weights_open(ctx, fixture_path(path, &f, "absent"), &w), AGON_ENOTFOUND, path, "");
    assert_refused(ctx, weights_open(ctx, f.path, &w), AGON_ENOTFOUND, f.path, "config.json");
    assert_ok(ctx, file_write(ctx, path, "hello", 5));
    assert_refused(ctx, weights_open(ctx, path, &w), AGON_EFORMAT, path, "not a GGUF file");
    fixture_remove(&f);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gguf__llama_rows_come_back_in_order),
        cmocka_unit_test(gguf__llama3_scaling_is_taken_back_from_its_factors),
        cmocka_unit_test(gguf__rope_scaling_is_followed_or_refused),
        cmocka_unit_test(gguf__qwen_is_not_permuted),
        cmocka_unit_test(gguf__metadata_are_there_for_the_tokenizer),
        cmocka_unit_test(gguf__id_is_the_hash_of_the_file),
        cmocka_unit_test(gguf__reading_checks_name_and_size),
        cmocka_unit_test(gguf__damage_is_named),
        cmocka_unit_test(gguf__unknown_and_repeated_tensors_are_named),
        cmocka_unit_test(gguf__a_value_that_is_not_finite_is_named_on_reading),
        cmocka_unit_test(gguf__a_tokenizer_that_disagrees_with_its_tokens_is_refused),
        cmocka_unit_test(weights__what_is_no_model_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
