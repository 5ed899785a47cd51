/* Rows without a prompt under SentencePiece tokenizers (tests/golden/tokenizer_spm.json): a text that nothing stands before, or BOS
 * alone, has the ids of a text of its own. */
#include "train/data.h"
#include "base/file.h"
#include "base/json.h"
#include "model/tokenizer_private.h"
#include "test.h"
#include <unistd.h>

typedef struct world {
    agon_ctx *ctx;
    json_t *golden;
    char path[64];
} world;

static int setup(void **state) {
    static world w;
    char path[2048];
    w.ctx = test_ctx(1, NULL);
    golden_path(path, "tokenizer_spm.json");
    assert_ok(w.ctx, json_read_file(w.ctx, path, &w.golden));
    strcpy(w.path, "/tmp/agon-data-XXXXXX");
    int file = mkstemp(w.path);
    assert_true(file >= 0);
    close(file);
    *state = &w;
    return 0;
}

static int teardown(void **state) {
    world *w = *state;
    unlink(w->path);
    json_decref(w->golden);
    agon_ctx_free(w->ctx);
    return 0;
}

/* Merges as strings are the list of cuts in another form. */
static tokenizer *open_variant(world *w, const json_t *variant, bool bos) {
    static const char *const keys[] = {"normalizer", "pre_tokenizer", "decoder"};
    const char *merges = json_string_value(json_object_get(variant, "merges"));
    if (strcmp(merges, "strings") == 0)
        merges = "cuts";
    json_t *root = json_deep_copy(json_object_get(w->golden, "tokenizer")), *model = json_object_get(root, "model");
    json_object_set(model, "merges", json_object_get(model, merges));
    for (size_t i = 0; i < 3; i++)
        json_object_set(root, keys[i], json_object_get(variant, keys[i]));
    char *text = json_dumps(root, 0);
    const char *config = bos ? "{\"bos_token\":\"<s>\",\"eos_token\":\"</s>\",\"add_bos_token\":true}"
                             : "{\"bos_token\":\"<s>\",\"eos_token\":\"</s>\",\"add_bos_token\":false}";
    tokenizer *t = NULL;
    assert_ok(w->ctx, tokenizer_from_json(w->ctx, "spm", text, strlen(text), config, strlen(config), NULL, 0, &t));
    free(text);
    json_decref(root);
    return t;
}

/* Prompt and response of the row begin with the ids of `text`, as it is tokenised by itself. */
static void expect_begin(world *w, const tokenizer *t, const train_row *row, const char *text) {
    token_list whole = {0};
    assert_ok(w->ctx, tokenizer_encode_raw(w->ctx, t, text, strlen(text), &whole));
    assert_true(row->n_prompt <= 1 && row->n_prompt + row->responses->n >= whole.n);
    for (size_t i = 0; i < whole.n; i++)
        assert_int_equal(i < row->n_prompt ? row->prompt[i] : row->responses->tokens[i - row->n_prompt], whole.ids[i]);
    token_list_free(&whole);
}

static void check_file(world *w, const tokenizer *t, const char *objective, const char *rows) {
    dataset *d = NULL;
    size_t n;
    assert_ok(w->ctx, file_write(w->ctx, w->path, rows, strlen(rows)));
    assert_ok(w->ctx, dataset_read(w->ctx, t, w->path, objective_find(objective), 0, &d));
    const train_row *row = dataset_rows(d, &n);
    assert_true(n > 0);
    for (size_t i = 0; i < n; i++)
        expect_begin(w, t, &row[i], "the the the");
    dataset_free(d);
}

static void data_spm__texts_without_a_prompt_begin(void **state) {
    world *w = *state;
    size_t i;
    json_t *variant;
    json_array_foreach(json_object_get(w->golden, "variants"), i, variant) {
        for (int bos = 0; bos < 2; bos++) {
            tokenizer *t = open_variant(w, variant, bos);
            check_file(w, t, "sft",
                       "{\"text\": \"the the the\"}\n{\"prompt\": \"\", \"completion\": \"the the the\"}\n");
            check_file(w, t, "dpo", "{\"prompt\": \"\", \"chosen\": \"the the the\", \"rejected\": \"the\"}\n");
            check_file(w, t, "prm", "{\"prompt\": \"\", \"completions\": [\"the the the\", \"the\"], \"labels\": [true, false]}\n");
            tokenizer_free(t);
        }
    }
}

/* Behind a prompt it goes on as before, and so does a second step. */
static void data_spm__completions_go_on(void **state) {
    world *w = *state;
    size_t i, n;
    json_t *variant;
    const char *rows = "{\"prompt\": \"the\", \"completion\": \"the\"}\n";
    json_array_foreach(json_object_get(w->golden, "variants"), i, variant) {
        tokenizer *t = open_variant(w, variant, true);
        dataset *d = NULL;
        assert_ok(w->ctx, file_write(w->ctx, w->path, rows, strlen(rows)));
        assert_ok(w->ctx, dataset_read(w->ctx, t, w->path, objective_find("sft"), 0, &d));
        const train_row *row = dataset_rows(d, &n);
        char *text = tokenizer_decode(t, row->prompt, row->n_prompt, false, &n);
        size_t n_first = 0;
        const char *first = tokenizer_bytes(t, row->responses->tokens[0], &n_first);
        assert_string_equal(text, "the");
        assert_true(n_first > 0 && first[0] == 't');
        free(text);
        dataset_free(d);
        tokenizer_free(t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(data_spm__texts_without_a_prompt_begin, setup, teardown),
        cmocka_unit_test_setup_teardown(data_spm__completions_go_on, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
