/* The public API over a model with a SentencePiece tokenizer: texts that go on from others, and answers as they are streamed. */
#include "../../weights_fixtures.h"
#include "base/buffer.h"
#include "base/json.h"
#include "model/tokenizer_private.h"
#include <math.h>

typedef struct fixture {
    agon_ctx *ctx;
    agon_model *m;
    fixture_folder folder;
} fixture;

/* Small numbers of no meaning; norms are 1. */
static agon_status source(void *arg, agon_ctx *ctx, const char *name, size_t n, float *out) {
    (void)arg, (void)ctx;
    for (size_t i = 0; i < n; i++)
        out[i] = strstr(name, "norm") ? 1 : (float)sin((double)i * 12.9898 + fixture_crc32(name) % 1000);
    return AGON_OK;
}

/* The golden vocabulary, in the form of its first variant, as a GGUF file that names no template. */
static int setup(void **state) {
    fixture *f = calloc(1, sizeof *f);
    char path[2048], file[256];
    json_t *golden = NULL;
    tokenizer *t = NULL;
    f->ctx = test_ctx(1, NULL);
    f->folder = fixture_folder_new();
    golden_path(path, "tokenizer_spm.json");
    assert_ok(f->ctx, json_read_file(f->ctx, path, &golden));
    json_t *root = json_object_get(golden, "tokenizer"), *variant = json_array_get(json_object_get(golden, "variants"), 0);
    static const char *const keys[] = {"normalizer", "pre_tokenizer", "decoder"};
    for (int i = 0; i < 3; i++)
        json_object_set(root, keys[i], json_object_get(variant, keys[i]));
    json_object_set(json_object_get(root, "model"), "merges", json_object_get(json_object_get(root, "model"), "cuts"));
    char *text = json_dumps(root, 0);
    const char *config = "{\"bos_token\":\"<s>\",\"eos_token\":\"</s>\",\"add_bos_token\":true}";
    assert_ok(f->ctx, tokenizer_from_json(f->ctx, "spm", text, strlen(text), config, strlen(config), NULL, 0, &t));
    model_config c = fixture_config("llama");
    c.n_vocabulary = tokenizer_n_vocabulary(t);
    assert_ok(f->ctx, export_gguf(f->ctx, fixture_path(file, &f->folder, "spm.gguf"), &c, t, "f32", source, NULL));
    assert_ok(f->ctx, agon_model_open(f->ctx, file, &(agon_model_options){.struct_size = sizeof(agon_model_options), .chat_template = "llama2"}, &f->m));
    free(text);
    tokenizer_free(t);
    json_decref(golden);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    agon_model_free(f->m);
    fixture_remove(&f->folder);
    agon_ctx_free(f->ctx);
    free(f);
    return 0;
}

typedef struct heard {
    buffer text;
    size_t n;
} heard;

static int hear(void *arg, size_t request, size_t sample, int32_t token, const char *bytes, size_t n_bytes) {
    heard *h = arg;
    (void)request, (void)sample, (void)token;
    buffer_append(&h->text, bytes, n_bytes);
    h->n++;
    return 0;
}

/* An answer of these tokens only, streamed; the caller frees it. */
static agon_completion ask(fixture *f, const char *text, bool chat, const int32_t *allowed, size_t n) {
    agon_sampling s = agon_sampling_default();
    agon_generate_options o = {.struct_size = sizeof o, .on_token = hear};
    heard h = {0};
    agon_completion c;
    s.allowed = allowed, s.n_allowed = n, s.max_tokens = 3;
    const agon_generate_request r = {.text = text, .chat = chat, .n_samples = 1, .sampling = &s};
    o.arg = &h;
    assert_ok(f->ctx, agon_generate(f->ctx, f->m, &r, 1, &o, &c));
    assert_int_equal(h.n, 3);
    assert_int_equal(h.text.size, c.n_text);
    assert_memory_equal(h.text.data, c.text, c.n_text);
    buffer_free(&h.text);
    return c;
}

/* A completion goes on from its prompt with a space of its own; an answer in a conversation has none in front. */
static void sentencepiece__streamed_answers_join(void **state) {
    fixture *f = *state;
    const agon_tokenizer *t = agon_model_tokenizer(f->m);
    int32_t *ids = NULL;
    size_t n, m;
    char *text = NULL;
    assert_ok(f->ctx, agon_tokenize(f->ctx, t, "the", 3, false, false, &ids, &n));
    assert_int_equal(n, 1);
    assert_string_equal(agon_token_bytes(t, ids[0], &m), " the");
    assert_ok(f->ctx, agon_detokenize(f->ctx, t, ids, n, true, &text, &m));
    assert_string_equal(text, "the");
    agon_completion raw = ask(f, "the learner", false, ids, 1), answer = ask(f, "the learner", true, ids, 1), alone = ask(f, "", false, ids, 1);
    assert_string_equal(raw.text, " the the the");
    assert_string_equal(alone.text, "the the the"); /* a text of its own, which reads back as these tokens */
    agon_completion_free(&alone);
    assert_string_equal(answer.text, "the the the");
    agon_completion_free(&raw);
    agon_completion_free(&answer);
    agon_text_free(text);
    agon_tokens_free(ids);
}

static void assert_tokens(fixture *f, const int32_t *prompt, size_t n_prompt, const char *text, bool goes_on, bool chat, const char *want) {
    const agon_tokenizer *t = agon_model_tokenizer(f->m);
    int32_t *ids = NULL;
    size_t n = 0, m;
    char joined[256] = "";
    assert_ok(f->ctx, goes_on ? agon_tokenize_answer(f->ctx, t, prompt, n_prompt, text, strlen(text), false, chat, &ids, &n)
                              : agon_tokenize(f->ctx, t, text, strlen(text), false, false, &ids, &n));
    for (size_t i = 0; i < n; i++) {
        const char *bytes = agon_token_bytes(t, ids[i], &m);
        strncat(joined, bytes, m);
        strcat(joined, "|");
    }
    assert_string_equal(joined, want);
    agon_tokens_free(ids);
}

static void sentencepiece__a_space_is_in_front_of_a_text_of_its_own(void **state) {
    fixture *f = *state;
    const int32_t behind[] = {1, 300}, *bos = behind; /* <s> and a word's token */
    assert_tokens(f, NULL, 0, "the the", false, false, " the| the|");
    assert_tokens(f, behind, 2, " the", true, false, " the|");
    assert_tokens(f, bos, 1, "the the", true, false, " the| the|");
    assert_tokens(f, NULL, 0, "the the", true, false, " the| the|");
    assert_tokens(f, NULL, 0, "the the", true, true, " the| the| |"); /* Llama 2's answers have one at either end */
    size_t n = 1;
    assert_string_equal(agon_token_bytes(agon_model_tokenizer(f->m), -1, &n), "");
    assert_int_equal(n, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sentencepiece__streamed_answers_join, setup, teardown),
        cmocka_unit_test_setup_teardown(sentencepiece__a_space_is_in_front_of_a_text_of_its_own, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
