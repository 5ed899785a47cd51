/* Datasets: exact tokens and masks. */
#include "rows_read.h"
#include <math.h>

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
        "\"rejected\": [{\"role\":\"user\",\"content\":\"say\"},{\"role\":\"assistant\",\"content\":\"no\"}]}\n"
        "{\"chosen\": \"say it now\", \"rejected\": \"say it not\"}\n"
        "{\"chosen\": \"say it\", \"rejected\": \"say it now\"}\n");
    const train_row *rows = dataset_rows(d, &n);
    assert_int_equal(n, 5);
    expect(w, &rows[0], 0, "say", " yes<|endoftext|>", EOS);
    expect(w, &rows[0], 1, "say", " no<|endoftext|>", EOS);
    /* Texts: the words both begin with, never part of one. */
    expect(w, &rows[3], 0, "say it", " now<|endoftext|>", EOS);
    expect(w, &rows[3], 1, "say it", " not<|endoftext|>", EOS);
    expect(w, &rows[4], 0, "say", " it<|endoftext|>", EOS);
    expect(w, &rows[4], 1, "say", " it now<|endoftext|>", EOS);
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
    dataset_free(read_ok(w, "bt", "{\"prompt\": \"q\", \"chosen\": \"a\", \"rejected\": \"b\", \"label\": 0.4}\n")); /* it reads labels */
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
                                "{\"prompt\": \"a\", \"completion\": \"b\"}\n",
                                8, &d));
    const train_row *rows = dataset_rows(d, &n);
    assert_int_equal(n, 2);
    assert_int_equal(rows[0].n_prompt + rows[0].responses[0].n, 8);
    assert_int_equal(dataset_n_truncated(d), 1);
    dataset_free(d);
}

/* A template that opens answers with <think>: what it opens is prompt, in both forms of a row, with reasoning and without (where the
 * pre-tokenizer would join two line ends). */
static void data__an_opened_reasoning_is_prompt(void **state) {
    world other = *(world *)*state;
    static const char config[] = "{\"eos_token\": \"<|im_end|>\"}";
    char path[2048], *text;
    size_t i, n = 0;
    json_t *golden = NULL, *small = NULL, *e;
    const char *source = NULL;
    golden_path(path, "tokenizer.json");
    assert_ok(other.ctx, json_read_file(other.ctx, path, &golden));
    golden_path(path, "tokenizer_small.json");
    assert_ok(other.ctx, json_read_file(other.ctx, path, &small));
    json_array_foreach(json_object_get(golden, "chats"), i, e) {
        if (strcmp(json_string_value(json_object_get(e, "name")), "qwen3-thinking") == 0)
            source = json_string_value(json_object_get(e, "template"));
    }
    json_array_foreach(json_object_get(golden, "variants"), i, e) {
        if (strcmp(json_string_value(json_object_get(e, "name")), "qwen2") == 0)
            json_object_set(small, "pre_tokenizer", json_object_get(e, "pre_tokenizer"));
    }
    assert_non_null(source);
    assert_non_null(text = json_dumps(small, 0));
    assert_ok(other.ctx, tokenizer_from_json(other.ctx, "small", text, strlen(text), config, strlen(config), source, 0, &other.t));
    assert_true(tokenizer_find(other.t, "\n\n") >= 0);
#define ANSWERED(answer)                                                                                                          \
    "{\"prompt\": [{\"role\":\"user\",\"content\":\"a\"}], \"completion\": \"" answer "\"}\n"                                      \
    "{\"messages\": [{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"" answer "\"}]}\n"
    dataset *d = read_ok(&other, "sft", ANSWERED("<think>\\nb\\n</think>\\n\\nc") ANSWERED("b\\n</think>\\n\\nc") ANSWERED("c"));
    const train_row *rows = dataset_rows(d, &n);
    assert_int_equal(n, 6);
    for (i = 0; i < n; i++)
        expect(&other, &rows[i], 0, "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n<think>\n",
               i < 4 ? "b\n</think>\n\nc<|im_end|>" : "\n</think>\n\nc<|im_end|>", END);
    dataset_free(d);
    tokenizer_free(other.t);
    json_decref(golden);
    json_decref(small);
    free(text);
}

/* Rankings whose equal texts are worth the same are no contradiction; sides that differ only in their last white space are counted. */
static void data__equal_texts_and_white_space(void **state) {
    world *w = *state;
    dataset *d = read_ok(w, "pro", "{\"prompt\": \"a\", \"completions\": [\"b\", \"c\", \"b\"], \"rewards\": [1, 0, 1]}\n");
    dataset_free(d);
    d = read_ok(w, "grpo", "{\"prompt\": \"a\", \"completions\": [\"b\", \"b\"], \"rewards\": [1, 0]}\n");
    dataset_free(d);
    d = read_ok(w, "dpo", "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"b \\n\"}\n"
                          "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \" b\"}\n"
                          "{\"prompt\": " USER("a") ", \"chosen\": [{\"role\":\"assistant\",\"content\":\"b c \"}], \"rejected\": \"b c\"}\n");
    assert_int_equal(dataset_summarise(d).n_space_only, 2);
    dataset_free(d);
}

/* Log_probs at sampling: one a token, the end token's too; where the response is cut they are cut with it. */
static void data__takes_log_probs_at_sampling(void **state) {
    world *w = *state;
    size_t n;
    dataset *d = read_ok(w, "ppo", "{\"prompt\": \"two plus\", \"completion\": \"b\", \"reward\": 1, \"log_probs\": [-0.5, 0]}\n"
                                   "{\"prompt\": \"two plus\", \"completion\": \"b\", \"reward\": 1}\n");
    const train_row *rows = dataset_rows(d, &n);
    assert_int_equal(rows[0].responses[0].n, 2);
    assert_true(rows[0].responses[0].old[0] == -0.5f && rows[0].responses[0].old[1] == 0);
    assert_null(rows[1].responses[0].old);
    size_t longest = rows[0].n_prompt + 2;
    dataset_free(d);
    static const char group[] = "{\"prompt\": \"two plus\", \"completions\": [\"b\", \"a\"], \"rewards\": [1, 0], \"log_probs\": [[-1, -2], [-3, -4]]}\n";
    for (size_t cut = 0; cut < 2; cut++) {
        assert_ok(w->ctx, read_text(w, "grpo", group, longest - cut, &d));
        rows = dataset_rows(d, &n);
        for (size_t k = 0; k < 2; k++) {
            const train_response *r = &rows[0].responses[k];
            assert_int_equal(r->n, 2 - cut);
            for (size_t t = 0; t < r->n; t++)
                assert_true(r->old[t] == -(float)(1 + 2 * k + t));
        }
        dataset_free(d);
    }
}

/* A weight of 0 leaves a row out, counted, also where bad rows are refused: it must not make up a whole batch. */
static void data__weight_zero_leaves_out(void **state) {
    world *w = *state;
    static const char *const texts[][2] = {
        {"sft", "{\"prompt\": \"a\", \"completion\": \"b\", \"weight\": 0}\n{\"prompt\": \"a\", \"completion\": \"c\"}\n"},
        {"dpo", "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"c\", \"weight\": 0}\n"
                "{\"prompt\": \"a\", \"chosen\": \"c\", \"rejected\": \"b\", \"weight\": 0.5}\n"},
        {"grpo", "{\"prompt\": \"a\", \"completions\": [\"b\", \"d\"], \"rewards\": [0, 1], \"weight\": 0}\n"
                 "{\"prompt\": \"a\", \"completions\": [\"c\", \"d\"], \"rewards\": [0, 1], \"weight\": 0.5}\n"},
        {"prm", "{\"prompt\": \"a\", \"completions\": [\"b\", \"d\"], \"labels\": [0, 1], \"weight\": 0}\n"
                "{\"prompt\": \"a\", \"completions\": [\"c\"], \"labels\": [1], \"weight\": 0.5}\n"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        dataset *d = NULL;
        size_t n;
        data_fault fault;
        assert_int_equal(read_text(w, texts[i][0], texts[i][1], 0, &d), AGON_OK);
        const train_row *rows = dataset_rows(d, &n);
        assert_int_equal(n, 1);
        assert_close(rows[0].weight, i == 0 ? 1 : 0.5, 0);
        if (strcmp(texts[i][0], "prm") != 0)
            expect(w, &rows[0], 0, "a", "c<|endoftext|>", EOS);
        assert_non_null(strstr(dataset_skipped(d, 0, &fault), ":1: weight is 0"));
        assert_int_equal(fault, FAULT_WEIGHT);
        assert_string_equal(data_fault_name(fault), "weight");
        dataset_free(d);
    }
}

/* An answer that was cut off has no end token; one that is said to have stopped, or of which nothing is said, has. Rewards and log_probs go by the tokens that are left. */
static void data__of_an_answer_cut_off__learns_no_end(void **state) {
    world *w = *state;
    static const char chat[] = "{\"prompt\": [{\"role\":\"user\",\"content\":\"say\"}], \"chosen\": \"yes\", \"rejected\": [{\"role\":\"assistant\",\"content\":\"no\"}], %s}\n";
    static const struct {
        const char *fields;
        bool ended[2];
    } pairs[] = {{"\"label\": 1", {true, true}},
                 {"\"chosen_finish\": \"length\"", {false, true}},
                 {"\"chosen_finish\": \"stop\", \"rejected_finish\": \"length\"", {true, false}},
                 {"\"chosen_finish\": \"length\", \"rejected_finish\": \"length\"", {false, false}}};
    static const char opened[] = "<|im_start|>user\nsay<|im_end|>\n<|im_start|>assistant\n";
    size_t n;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char text[512];
        snprintf(text, sizeof text, chat, pairs[i].fields);
        dataset *d = read_ok(w, "dpo", text);
        const train_row *rows = dataset_rows(d, &n);
        for (size_t k = 0; k < 2; k++) {
            const train_response *r = &rows[0].responses[k];
            char answer[32];
            snprintf(answer, sizeof answer, "%s%s", k ? "no" : "yes", pairs[i].ended[k] ? "<|im_end|>" : "");
            expect(w, &rows[0], k, opened, answer, r->tokens[r->n - 1]);
            assert_int_equal(r->tokens[r->n - 1] == END, pairs[i].ended[k]);
            assert_int_equal(supervised(r), r->n);
        }
        dataset_free(d);
    }
    dataset *d = read_ok(w, "ppo", "{\"prompt\": \"two plus\", \"completion\": \" b\", \"reward\": 1, \"finish\": \"length\", \"log_probs\": [-0.5]}\n");
    const train_row *rows = dataset_rows(d, &n);
    expect(w, &rows[0], 0, "two plus", " b", rows[0].responses[0].tokens[0]);
    assert_int_equal(rows[0].responses[0].n, 1);
    dataset_free(d);
    d = read_ok(w, "grpo", "{\"prompt\": \"a\", \"completions\": [\"b\", \"c\"], \"rewards\": [0, 1], \"finishes\": [\"length\", \"stop\"]}\n");
    rows = dataset_rows(d, &n);
    expect(w, &rows[0], 0, "a", "b", rows[0].responses[0].tokens[0]);
    expect(w, &rows[0], 1, "a", "c<|endoftext|>", EOS);
    dataset_free(d);
    /* A critique ends by itself, whatever became of the answer before it. */
    d = read_ok(w, "bt", "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"c\", \"chosen_critique\": \"d\", \"chosen_finish\": \"length\"}\n");
    rows = dataset_rows(d, &n);
    assert_int_equal(rows[0].responses[0].tokens[rows[0].responses[0].n - 1], EOS);
    dataset_free(d);
}

static void data__documents_and_steps(void **state) {
    world *w = *state;
    size_t n, labelled = 0;
    dataset *d = read_ok(w, "nll", "{\"text\": \"two plus three\"}\n");
    const train_row *rows = dataset_rows(d, &n);
    assert_int_equal(rows[0].n_prompt, 0);
    expect(w, &rows[0], 0, "", "two plus three<|endoftext|>", EOS);
    assert_int_equal(supervised(&rows[0].responses[0]), rows[0].responses[0].n);
    dataset_free(d);
    d = read_ok(w, "prm", "{\"prompt\": \"q\", \"completions\": [\"one two\", \"three\"], \"labels\": [true, false]}\n");
    const train_response *r = &dataset_rows(d, &n)[0].responses[0];
    expect(w, &dataset_rows(d, &n)[0], 0, "q", "one two\nthree\n", r->tokens[r->n - 1]);
    for (size_t t = 0; t < r->n; t++)
        labelled += !isnan(r->targets[t]);
    assert_int_equal(labelled, 2);
    assert_close(r->targets[r->n - 1], 0, 0);
    dataset_free(d);
}

/* Sum of the token rewards on tokens whose bytes lie in [start, end), and how many tokens have one. */
static void reward_in(world *w, const train_response *r, size_t start, size_t end, double *sum, size_t *n) {
    size_t at = 0;
    *sum = 0, *n = 0;
    for (size_t j = 0; j < r->n; j++) {
        size_t m;
        tokenizer_bytes(w->t, r->tokens[j], &m);
        if (r->token_rewards[j] != 0) {
            ++*n;
            assert_true(at < end && start < at + m);
        }
        *sum += (double)r->token_rewards[j];
        at += m;
    }
}

static void data__spans_are_placed_on_exact_tokens(void **state) {
    world *w = *state;
    size_t n, count;
    double sum;
    dataset *d = read_ok(w, "reinforce++",
                         "{\"prompt\": \"a\", \"completion\": \"the cat sat on teh mat\", \"reward\": 0.6, \"spans\": ["
                         "{\"quote\": \"teh\", \"reward\": -1}]}\n"
                         "{\"prompt\": [{\"role\":\"user\",\"content\":\"a\"}], \"completion\": [{\"role\":\"assistant\",\"content\":"
                         "\"the cat sat on teh mat\"}], \"reward\": 0, \"spans\": [{\"start\": 15, \"end\": 18, \"reward\": -2, "
                         "\"placement\": \"last\"}, {\"quote\": \"no such words\", \"reward\": 1}]}\n"
                         "{\"prompt\": \"a\", \"completions\": [\"x\", \"teh\"], \"rewards\": [1, 0], \"spans\": [[], [{\"quote\": \"teh\", "
                         "\"reward\": -1}]]}\n"
                         "{\"prompt\": \"a\", \"completion\": \"the cat\", \"reward\": 1}\n");
    const train_row *rows = dataset_rows(d, &n);
    assert_int_equal(n, 4);
    reward_in(w, &rows[0].responses[0], 15, 18, &sum, &count);
    assert_close(sum, -1, 1e-6);
    assert_true(count >= 1);
    reward_in(w, &rows[1].responses[0], 15, 18, &sum, &count);
    assert_close(sum, -2, 1e-6);
    assert_int_equal(count, 1);
    assert_null(rows[2].responses[0].token_rewards);
    assert_non_null(rows[2].responses[1].token_rewards);
    assert_null(rows[3].responses[0].token_rewards);
    dataset_summary s = dataset_summarise(d);
    assert_true(s.spans.offsets == 1 && s.spans.quotes[QUOTE_EXACT] == 2 && s.spans.quotes[QUOTE_NONE] == 1);
    dataset_free(d);

    d = read_ok(w, "sft", "{\"prompt\": \"a\", \"completion\": \"the cat sat on teh mat\", \"spans\": [{\"quote\": \"teh\", \"weight\": 0}, "
                          "{\"quote\": \"cat\", \"weight\": 0.5}]}\n");
    const train_response *r = &dataset_rows(d, &n)[0].responses[0];
    size_t zero = 0, half = 0, one = 0;
    for (size_t j = 0; j < r->n; j++)
        zero += r->mask[j] == 0, half += r->mask[j] == 0.5f, one += r->mask[j] == 1;
    assert_true(zero >= 1 && half >= 1 && one >= 3 && zero + half + one == r->n);
    dataset_free(d);

    static const char *const bad[][3] = {
        {"sft", "{\"prompt\":\"a\",\"completion\":\"b\",\"spans\":[{\"quote\":\"b\",\"reward\":1}]}", "ppo and reinforce++ do"},
        {"sft", "{\"prompt\":\"a\",\"completion\":\"b\",\"spans\":[{\"start\":0,\"end\":2,\"weight\":1}]}", "no part of a response of 1"},
        {"sft", "{\"prompt\":\"a\",\"completion\":\"b\",\"spans\":[{\"quote\":\"b\"}]}", "neither reward nor weight"},
        {"sft", "{\"prompt\":\"a\",\"completion\":\"b\",\"spans\":[{\"quote\":\"b\",\"weight\":-1}]}", "weight from 0"},
        {"ppo", "{\"prompt\":\"a\",\"completion\":\"b\",\"reward\":1,\"spans\":[{\"quote\":\"b\",\"reward\":1e200}]}", "reward must be from -1e+06 to 1e+06"},
        {"sft", "{\"prompt\":\"a\",\"completion\":\"b\",\"spans\":3}", "must be a list"},
        {"sft", "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"spans\":[]}", "spans are of a completion"},
        {"dpo", "{\"prompt\":\"a\",\"chosen\":\"b\",\"rejected\":\"c\",\"spans\":[]}", "not with a pair"},
        {"ppo", "{\"prompt\":\"a\",\"completion\":\"b\",\"reward\":1,\"spans\":[{\"quote\":\"b\",\"reward\":1,\"placement\":\"first\"}]}", "spread, each or last"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(read_text(w, bad[i][0], bad[i][1], 0, &d), AGON_EINVAL);
        if (!strstr(agon_error(w->ctx), bad[i][2]))
            fail_msg("%s: %s", bad[i][2], agon_error(w->ctx));
    }
}

static void data__reward_models_read_critiques(void **state) {
    world *w = *state;
    size_t n;
    dataset *d = read_ok(w, "bt", "{\"prompt\": \"q\", \"chosen\": \"yes\", \"rejected\": \"no\", \"chosen_critique\": \"fine\", "
                                  "\"rejected_critique\": \"wrong\"}\n"
                                  "{\"prompt\": \"q\", \"chosen\": \"yes\", \"rejected\": \"no\"}\n");
    const train_row *rows = dataset_rows(d, &n);
    expect(w, &rows[0], 0, "q", "yes\n\nCritique: fine<|endoftext|>", EOS);
    expect(w, &rows[0], 1, "q", "no\n\nCritique: wrong<|endoftext|>", EOS);
    expect(w, &rows[1], 1, "q", "no<|endoftext|>", EOS);
    dataset_free(d);
    /* cloud learns the words of the critique, not those of the answer. */
    d = read_ok(w, "cloud", "{\"prompt\": \"q\", \"chosen\": \"yes\", \"rejected\": \"no\", \"chosen_critique\": \"fine\", "
                            "\"rejected_critique\": \"wrong\"}\n");
    const train_response *r = &dataset_rows(d, &n)[0].responses[0];
    assert_true(r->mask[0] == 0 && r->mask[r->n - 1] == 1);
    double learnt = 0;
    for (size_t t = 0; t < r->n; t++)
        learnt += (double)r->mask[t];
    token_list critique = {0};
    assert_ok(w->ctx, tokenizer_encode(w->ctx, w->t, " fine", 5, true, &critique));
    assert_close(learnt, (double)critique.n + 1, 0); /* its first word with the space before it, to the end token */
    token_list_free(&critique);
    dataset_free(d);
    /* A list of messages, a label; and no place for it in an objective without a head. */
    d = read_ok(w, "rm-pointwise", "{\"prompt\": [{\"role\":\"user\",\"content\":\"q\"}], \"completion\": [{\"role\":\"assistant\",\"content\":"
                                   "\"yes\"}], \"critique\": \"fine\", \"label\": 1}\n");
    rows = dataset_rows(d, &n);
    size_t m;
    char *text = tokenizer_decode(w->t, rows[0].responses[0].tokens, rows[0].responses[0].n, true, &m);
    assert_string_equal(text, "yes\n\nCritique: fine<|im_end|>");
    free(text);
    dataset_free(d);
    d = read_ok(w, "sft", "{\"prompt\": \"q\", \"completion\": \"yes\", \"critique\": \"fine\"}\n");
    expect(w, &dataset_rows(d, &n)[0], 0, "q", "yes<|endoftext|>", EOS);
    dataset_free(d);
    assert_int_equal(read_text(w, "bt", "{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\",\"chosen_critique\":3}", 0, &d), AGON_EINVAL);
    assert_non_null(strstr(agon_error(w->ctx), "chosen_critique must be a text"));
}

/* What is read is joined and divided; the rows that were given stay as they are, and say the same the next time. */
static void data__rows_are_read_and_not_changed(void **state) {
    world *w = *state;
    const char *const cases[][2] = {
        {"bt", "[{\"prompt\": \"q\", \"chosen\": \"yes\", \"rejected\": \"no\", \"chosen_critique\": \"fine\", \"rejected_critique\": \"wrong\"},"
               " {\"chosen\": \"it is so\", \"rejected\": \"it is not\"}]"},
        {"rm-pointwise", "[{\"prompt\": [{\"role\":\"user\",\"content\":\"q\"}], \"completion\": [{\"role\":\"assistant\",\"content\":\"yes\"}], "
                         "\"critique\": \"fine\", \"label\": 1}, {\"prompt\": \"q\", \"completion\": \"no\", \"critique\": \"wrong\", \"label\": 0}]"},
        {"plackett-luce", "[{\"prompt\": \"q\", \"completions\": [\"yes\", \"no\"], \"critiques\": [\"fine\", \"wrong\"], \"rewards\": [1, 0]}]"},
        {"dpo", "[{\"chosen\": [{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\"}], "
                "\"rejected\": [{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"b\"}]}]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *rows = json_loads(cases[i][1], 0, NULL), *before = json_deep_copy(rows);
        hash256 read[2];
        for (int k = 0; k < 2; k++) {
            dataset *d = NULL;
            size_t n;
            assert_ok(w->ctx, dataset_from_json(w->ctx, w->t, rows, objective_find(cases[i][0]), NULL, 0, false, &d));
            const train_row *made = dataset_rows(d, &n);
            assert_int_equal(n, json_array_size(rows));
            assert_ok(w->ctx, train_rows_hash(w->ctx, made, n, &read[k]));
            dataset_free(d);
        }
        if (memcmp(&read[0], &read[1], sizeof read[0]) != 0 || !json_equal(rows, before))
            fail_msg("%s: the second reading is another", cases[i][0]);
        json_decref(rows);
        json_decref(before);
    }
}

static agon_status equals_input(void *arg, const json_t *row, const train_row *made) {
    assert_true(json_equal(row, arg));
    assert_true(made->n_responses == 2);
    return AGON_OK;
}

static void data__rows_are_handed_on_as_they_stood(void **state) {
    world *w = *state;
    const char *const lines[] = {
        "{\"prompt\": \"q\", \"chosen\": \"yes\", \"rejected\": \"no\", \"chosen_critique\": \"fine\", \"rejected_critique\": \"wrong\"}",
        "{\"chosen\": \"it is so\", \"rejected\": \"it is not\"}",
        "{\"prompt\": [{\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"q\"}]}], \"chosen\": \"yes\", \"rejected\": \"no\"}",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        dataset *d = NULL;
        json_t *row = json_loads(lines[i], 0, NULL);
        assert_ok(w->ctx, file_write(w->ctx, w->path, lines[i], strlen(lines[i])));
        const dataset_options options = {.on_row = equals_input, .arg = row};
        assert_ok(w->ctx, dataset_read_with(w->ctx, w->t, w->path, objective_find("bt"), &options, &d));
        dataset_free(d);
        json_decref(row);
    }
}

/* Which answers of a row of a run are learnt: now, and in runs begun before weights of messages were read. */
static void data__runs_begun_before_read_no_weights_of_messages(void **state) {
    world *w = *state;
    json_t *rows = json_loads("[{\"system\": \"s\", \"messages\": [{\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", \"content\": \"a\", "
                              "\"weight\": 0}, {\"role\": \"user\", \"content\": \"q\"}, {\"role\": \"assistant\", \"content\": \"b\"}]}]", 0, NULL);
    dataset *d = NULL;
    size_t n = 0;
    assert_ok(w->ctx, dataset_from_json(w->ctx, w->t, rows, objective_find("sft"), NULL, 0, true, &d));
    expect(w, &dataset_rows(d, &n)[0], 0, "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n",
           "a<|im_end|>\n<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\nb<|im_end|>", END);
    dataset_free(d);
    d = NULL;
    assert_int_equal(dataset_from_json(w->ctx, w->t, rows, objective_find("sft"), NULL, 0, false, &d), AGON_EINVAL); /* the system message would be lost */
    json_object_del(json_array_get(rows, 0), "system");
    assert_ok(w->ctx, dataset_from_json(w->ctx, w->t, rows, objective_find("sft"), NULL, 0, false, &d));
    expect(w, &dataset_rows(d, &n)[0], 0, "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\na<|im_end|>\n<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n",
           "b<|im_end|>", END);
    dataset_free(d);
    json_decref(rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data__rows_are_read_and_not_changed),
        cmocka_unit_test(data__rows_are_handed_on_as_they_stood),
        cmocka_unit_test(data__runs_begun_before_read_no_weights_of_messages),
        cmocka_unit_test(data__raw_rows_end_with_eos),
        cmocka_unit_test(data__chat_rows_supervise_assistant_turns),
        cmocka_unit_test(data__pairs_share_their_prompt),
        cmocka_unit_test(data__groups_and_labels),
        cmocka_unit_test(data__long_rows_are_cut_and_counted),
        cmocka_unit_test(data__an_opened_reasoning_is_prompt),
        cmocka_unit_test(data__equal_texts_and_white_space),
        cmocka_unit_test(data__takes_log_probs_at_sampling),
        cmocka_unit_test(data__weight_zero_leaves_out),
        cmocka_unit_test(data__of_an_answer_cut_off__learns_no_end),
        cmocka_unit_test(data__documents_and_steps),
        cmocka_unit_test(data__spans_are_placed_on_exact_tokens),
        cmocka_unit_test(data__reward_models_read_critiques),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
