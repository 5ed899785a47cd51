/* Datasets: exact tokens and masks, and what is refused. */
#include "train/train.h"
#include "base/file.h"
#include "model/tokenizer_private.h"
#include "test.h"
#include <unistd.h>

enum { END = 2, EOS = 0 }; /* ids of <|im_end|> and <|endoftext|> in tokenizer_small.json */

typedef struct world {
    agon_ctx *ctx;
    tokenizer *t;
    char path[64];
} world;

static int setup(void **state) {
    static world w;
    static const char config[] = "{\"eos_token\": \"<|endoftext|>\", \"add_bos_token\": false}";
    const char *source = getenv("AGON_SOURCE");
    char path[4096], *text = NULL;
    size_t n = 0;
    w.ctx = test_ctx(1, NULL);
    snprintf(path, sizeof path, "%s/tests/golden/tokenizer_small.json", source ? source : ".");
    assert_ok(w.ctx, file_read(w.ctx, path, 1 << 20, &text, &n));
    assert_ok(w.ctx, tokenizer_from_json(w.ctx, "small", text, n, config, strlen(config), NULL, 0, &w.t));
    assert_ok(w.ctx, chat_template_set(w.ctx, w.t, "chatml"));
    free(text);
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
    tokenizer_free(w->t);
    agon_ctx_free(w->ctx);
    return 0;
}

static agon_status read_text(world *w, const char *objective, const char *text, size_t max_tokens, dataset **d) {
    assert_ok(w->ctx, file_write(w->ctx, w->path, text, strlen(text)));
    return dataset_read(w->ctx, w->t, w->path, objective_find(objective), max_tokens, d);
}

static dataset *read_ok(world *w, const char *objective, const char *text) {
    dataset *d = NULL;
    assert_ok(w->ctx, read_text(w, objective, text, 0, &d));
    return d;
}

/* Prompt and response decode to these texts (special tokens shown), and the mask is these digits. */
static void expect(world *w, const train_row *r, size_t k, const char *prompt, const char *text, int32_t last) {
    size_t n;
    char *p = tokenizer_decode(w->t, r->prompt, r->n_prompt, true, &n);
    assert_string_equal(p, prompt);
    char *c = tokenizer_decode(w->t, r->responses[k].tokens, r->responses[k].n, true, &n);
    assert_string_equal(c, text);
    assert_int_equal(r->responses[k].tokens[r->responses[k].n - 1], last);
    free(p);
    free(c);
}

static size_t supervised(const train_response *r) {
    size_t n = 0;
    for (size_t j = 0; j < r->n; j++)
        n += r->mask[j] == 1;
    return n;
}

static void data__raw_rows_end_with_eos(void **state) {
    world *w = *state;
    size_t n;
    dataset *d = read_ok(w, "sft", "{\"prompt\": \"two plus\", \"completion\": \" three\", \"weight\": 0.5}\n\n"
                                   "{\"prompt\": \"\", \"completion\": \"alone\"}\n");
    const train_row *rows = dataset_rows(d, &n);
    assert_int_equal(n, 2);
    expect(w, &rows[0], 0, "two plus", " three<|endoftext|>", EOS);
    assert_int_equal(supervised(&rows[0].responses[0]), rows[0].responses[0].n);
    assert_close(rows[0].responses[0].weight, 0.5, 0);
    assert_int_equal(rows[1].n_prompt, 0);
    expect(w, &rows[1], 0, "", "alone<|endoftext|>", EOS);
    dataset_free(d);
}

static void data__chat_rows_supervise_assistant_turns(void **state) {
    world *w = *state;
    size_t n, after_first = 0;
    dataset *d = read_ok(w, "sft",
                         "{\"messages\": [{\"role\":\"user\",\"content\":\"a <|im_end|> b\"},{\"role\":\"assistant\","
                         "\"content\":\"one\"},{\"role\":\"user\",\"content\":\"again\"},{\"role\":\"assistant\","
                         "\"content\":\"two\"}]}\n");
    const train_row *rows = dataset_rows(d, &n);
    const train_response *r = &rows[0].responses[0];
    expect(w, &rows[0], 0, "<|im_start|>user\na <|im_end|> b<|im_end|>\n<|im_start|>assistant\n",
           "one<|im_end|>\n<|im_start|>user\nagain<|im_end|>\n<|im_start|>assistant\ntwo<|im_end|>", END);
    /* A forged end of turn is plain text: the prompt holds one end token only. */
    size_t ends = 0;
    for (size_t j = 0; j < rows[0].n_prompt; j++)
        ends += rows[0].prompt[j] == END;
    assert_int_equal(ends, 1);
    assert_true(r->mask[0] == 1 && r->mask[r->n - 1] == 1);
    for (size_t j = 0; j < r->n; j++)
        after_first += r->mask[j] == 0;
    assert_true(after_first > 5); /* the user's second turn and the markup */
    char *preview = dataset_preview(d, w->t, 0);
    assert_non_null(strstr(preview, "<|im_end|>"));
    assert_non_null(strstr(preview, "supervised"));
    free(preview);
    assert_null(dataset_preview(d, w->t, 1));
    dataset_free(d);
}

static void data__pairs_share_their_prompt(void **state) {
    world *w = *state;
    size_t n;
    dataset *d = read_ok(
        w, "dpo",
        "{\"prompt\": \"say\", \"chosen\": \" yes\", \"rejected\": \" no\"}\n"
        "{\"prompt\": [{\"role\":\"user\",\"content\":\"say\"}], \"chosen\": [{\"role\":\"assistant\",\"content\":"
        "\"yes\"}], \"rejected\": \"no\"}\n"
        "{\"chosen\": [{\"role\":\"user\",\"content\":\"say\"},{\"role\":\"assistant\",\"content\":\"yes\"}], "
        "\"rejected\": [{\"role\":\"user\",\"content\":\"say\"},{\"role\":\"assistant\",\"content\":\"no\"}]}\n");
    const train_row *rows = dataset_rows(d, &n);
    assert_int_equal(n, 3);
    expect(w, &rows[0], 0, "say", " yes<|endoftext|>", EOS);
    expect(w, &rows[0], 1, "say", " no<|endoftext|>", EOS);
    for (size_t i = 1; i < 3; i++) {
        expect(w, &rows[i], 0, "<|im_start|>user\nsay<|im_end|>\n<|im_start|>assistant\n", "yes<|im_end|>", END);
        expect(w, &rows[i], 1, "<|im_start|>user\nsay<|im_end|>\n<|im_start|>assistant\n", "no<|im_end|>", END);
    }
    dataset_free(d);
}

static void data__groups_and_labels(void **state) {
    world *w = *state;
    size_t n;
    dataset *d = read_ok(w, "grpo", "{\"prompt\": \"q\", \"completions\": [\"a\",\"b\",\"c\"], \"rewards\": [1,0,0.5]}\n");
    const train_row *rows = dataset_rows(d, &n);
    assert_int_equal(rows[0].n_responses, 3);
    assert_close(rows[0].responses[2].reward, 0.5, 0);
    expect(w, &rows[0], 1, "q", "b<|endoftext|>", EOS);
    dataset_free(d);
    d = read_ok(w, "kto", "{\"prompt\": \"q\", \"completion\": \"a\", \"label\": true}\n");
    assert_close(dataset_rows(d, &n)[0].responses[0].label, 1, 0);
    dataset_free(d);
}

static void data__long_rows_are_cut_and_counted(void **state) {
    world *w = *state;
    size_t n;
    dataset *d = NULL;
    assert_ok(w->ctx, read_text(w, "sft",
                                "{\"prompt\": \"a\", \"completion\": \"b c d e f g h i j k l m n o p\"}\n"
                                "{\"prompt\": \"a\", \"completion\": \"b\"}\n"
                                "{\"prompt\": \"a b c d e f g h i j k l m n o p q\", \"completion\": \"b\"}\n",
                                8, &d));
    const train_row *rows = dataset_rows(d, &n);
    assert_int_equal(n, 2);
    assert_int_equal(rows[0].n_prompt + rows[0].responses[0].n, 8);
    assert_int_equal(dataset_n_truncated(d), 2);
    dataset_free(d);
}

static void data__names_file_and_line(void **state) {
    world *w = *state;
    const struct {
        const char *objective, *text, *words;
    } cases[] = {
        {"sft", "", "no rows"},
        {"sft", "{\"prompt\": \"a\", \"completion\": \"b\"}\n{\"prompt\": 3}\n", ":2: prompt"},
        {"sft", "{\"prompt\": \"a\"}\n", "completion"},
        {"sft", "{\"completion\": \"a\"}\n", "prompt is missing"},
        {"sft", "{\"messages\": []}\n", "messages"},
        {"sft", "{\"messages\": [{\"role\":\"user\",\"content\":\"a\"}]}\n", "no assistant"},
        {"sft", "{\"messages\": [{\"role\":\"user\"}]}\n", "content"},
        {"sft", "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"c\"}\n", "sft learns from"},
        {"sft", "{\"prompt\": \"a\", \"completion\"\n", ":1"},
        {"sft", "{\"prompt\": \"a\", \"completion\": [{\"role\":\"assistant\",\"content\":\"b\"}]}\n", "one form"},
        {"dpo", "{\"prompt\": \"a\", \"chosen\": \"b\"}\n", "rejected"},
        {"dpo", "{\"chosen\": \"a\", \"rejected\": \"b\"}\n", "prompt is missing"},
        {"dpo", "{\"messages\": [{\"role\":\"user\",\"content\":\"a\"}]}\n", "dpo learns from"},
        {"kto", "{\"prompt\": \"a\", \"completion\": \"b\"}\n", "label"},
        {"grpo", "{\"prompt\": \"a\", \"completions\": [\"b\"], \"rewards\": [1, 2]}\n", "rewards"},
        {"grpo", "{\"prompt\": \"a\", \"completions\": [\"b\", \"c\"]}\n", "rewards is missing"},
        {"grpo", "{\"prompt\": \"a\", \"completions\": []}\n", "completions"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        dataset *d = NULL;
        agon_status s = read_text(w, cases[i].objective, cases[i].text, 0, &d);
        if (s == AGON_OK || d || !strstr(agon_error(w->ctx), cases[i].words) || !strstr(agon_error(w->ctx), w->path))
            fail_msg("case %zu: \"%s\" does not say \"%s\"", i, agon_error(w->ctx), cases[i].words);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data__raw_rows_end_with_eos),
        cmocka_unit_test(data__chat_rows_supervise_assistant_turns),
        cmocka_unit_test(data__pairs_share_their_prompt),
        cmocka_unit_test(data__groups_and_labels),
        cmocka_unit_test(data__long_rows_are_cut_and_counted),
        cmocka_unit_test(data__names_file_and_line),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
