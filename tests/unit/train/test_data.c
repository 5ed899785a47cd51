/* Datasets: exact tokens and masks, and what is refused. */
#include "train/data.h"
#include "small_tokenizer.h"
#include <math.h>
#include <unistd.h>

enum { END = 2, EOS = 0 }; /* ids of <|im_end|> and <|endoftext|> in tokenizer_small.json */

typedef struct world {
    agon_ctx *ctx;
    tokenizer *t;
    char path[64];
} world;

static int setup(void **state) {
    static world w;
    w.ctx = test_ctx(1, NULL);
    w.t = small_tokenizer(w.ctx);
    assert_ok(w.ctx, chat_template_set(w.ctx, w.t, "chatml"));
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

/* What cutting leaves without anything to learn from is bad by line, refused or left out and counted, and not as truncated. */
static void data__rows_that_cutting_spoils_are_bad(void **state) {
    world *w = *state;
    const struct {
        const char *objective, *text, *words;
        data_fault fault;
    } cases[] = {
        {"sft", "{\"prompt\": \"a b c d e f g h i j k l m n o p q\", \"completion\": \"b\"}\n", ":2: the prompt has ", FAULT_LENGTH},
        {"prm", "{\"prompt\": \"a\", \"completions\": [\"a b c d e f g h i j k\", \"b\"], \"labels\": [true, false]}\n", ":2: the first step ends beyond the 8",
         FAULT_LENGTH},
        {"dpo", "{\"prompt\": \"a\", \"chosen\": \"b c d e f g h i j k l A\", \"rejected\": \"b c d e f g h i j k l B\"}\n",
         ":2: chosen and rejected are equal after cutting to 8 tokens", FAULT_EQUAL},
    };
    static const char *const good[] = {"{\"prompt\": \"a\", \"completion\": \"b\"}\n",
                                       "{\"prompt\": \"a\", \"completions\": [\"a\", \"b\"], \"labels\": [true, false]}\n",
                                       "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"c\"}\n"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        dataset *d = NULL;
        snprintf(text, sizeof text, "%s%s", good[i], cases[i].text);
        assert_int_equal(read_text(w, cases[i].objective, text, 8, &d), AGON_EINVAL);
        assert_non_null(strstr(agon_error(w->ctx), cases[i].words));
        const dataset_options options = {.max_tokens = 8, .skip_bad = true};
        assert_ok(w->ctx, dataset_read_with(w->ctx, w->t, w->path, objective_find(cases[i].objective), &options, &d));
        dataset_summary s = dataset_summarise(d);
        assert_int_equal(s.n_rows, 1);
        assert_int_equal(s.n_truncated, 0);
        assert_int_equal(s.faults[cases[i].fault], 1);
        dataset_free(d);
    }
}

#define USER(text) "[{\"role\":\"user\",\"content\":\"" text "\"}]"

static void data__names_file_and_line(void **state) {
    world *w = *state;
    const struct {
        const char *objective, *text, *words;
    } cases[] = {
        {"sft", "", "no rows"},
        {"sft", "{\"prompt\": \"a\", \"completion\": \"b\"}\n{\"prompt\": 3}\n", ":2: prompt"},
        {"sft", "{\"prompt\": \"a\"}\n", "completion"},
        {"sft", "{\"completion\": \"a\"}\n", "prompt is missing"},
        {"sft", "{\"question\": \"a\", \"answer\": \"b\"}\n", "sft learns from rows with messages, or prompt and completion; agon data convert makes"},
        {"dpo", "{\"query\": \"a\"}\n", "dpo learns from rows with prompt, chosen and rejected; agon data convert"},
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
        {"grpo", "{\"prompt\": \"a\", \"completions\": [\"b\", \"c\"], \"rewards\": [1, 2, 3]}\n", "rewards"},
        {"grpo", "{\"prompt\": \"a\", \"completions\": [\"b\"], \"rewards\": [1]}\n", "two or more"},
        {"sft", "{\"prompt\": \"a\", \"completion\": \"\"}\n", "completion is empty"},
        {"sft", "{\"text\": \"\"}\n", "text is empty"},
        {"sft", "{\"messages\": [{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"\"}]}\n",
         "empty answer"},
        {"sft", "{\"prompt\": \"a\", \"completion\": \"b\", \"weight\": -1}\n", "weight"},
        {"sft", "{\"prompt\": \"a\", \"completion\": \"b\", \"weight\": 1e7}\n", ":1: weight is 1e+07; it must be from -1e+06 to 1e+06"},
        {"grpo", "{\"prompt\": \"a\", \"completions\": [\"b\", \"c\"], \"rewards\": [1e200, -1e200]}\n", ":1: rewards is 1e+200; it must be from"},
        {"gspo", "{\"prompt\": \"a\", \"completions\": [\"b\", \"c\"], \"rewards\": [1, -1e200]}\n", ":1: rewards is -1e+200; it must be from"},
        {"reinforce++", "{\"prompt\": \"a\", \"completion\": \"b\", \"reward\": -1e200}\n", ":1: reward is -1e+200; it must be from"},
        {"grpo", "{\"prompt\": \"a\", \"completion\": \"b\", \"advantage\": 1e200}\n", ":1: advantage is 1e+200; it must be from"},
        {"bt", "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"c\", \"margin\": 1e200}\n", ":1: margin is 1e+200; it must be from"},
        {"bt", "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"c\", \"margin\": -1}\n", ":1: margin is -1; it says how far"},
        {"bt", "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"c\", \"rewards\": [0, 1]}\n", ":1: rewards are 0 for chosen and 1"},
        {"bt", "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"c\", \"rewards\": [1, 0], \"label\": 0.2}\n",
         "by its label rejected is the better side"},
        {"ppo", "{\"prompt\": \"a\", \"completions\": [\"b\", \"c\"], \"rewards\": [1, 0]}\n", "one answer: prompt, completion and reward"},
        {"exo-rw", "{\"prompt\": \"a\", \"completions\": [\"b\", \"c\"], \"advantages\": [1, -1]}\n", ":1: rewards is missing"},
        {"pro", "{\"prompt\": \"a\", \"completions\": [\"b\", \"c\"], \"advantages\": [1, -1]}\n", ":1: rewards is missing"},
        {"dpo", "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"b\"}\n", "the same"},
        {"dpo", "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"\"}\n", "rejected is empty"},
        {"dpo-soft", "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"c\"}\n", "label is missing"},
        {"modpo", "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"c\"}\n", "margin"},
        {"dpo", "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"c\", \"label\": 0.4}\n", "rejected is the better side"},
        {"kto", "{\"prompt\": \"a\", \"completion\": \"b\", \"label\": 2}\n", "between 0 and 1"},
        {"kto", "{\"prompt\": \"a\", \"completion\": \"b\", \"label\": NaN}\n", ":1"},
        {"prm", "{\"prompt\": \"a\", \"completions\": [\"b\", \"c\"], \"labels\": [true]}\n", "labels"},
        {"prm", "{\"prompt\": \"a\", \"completions\": [\"b\", \"\"], \"labels\": [true, false]}\n", "completions[1]"},
        {"grpo", "{\"prompt\": \"a\", \"completions\": [\"b\", \"c\"]}\n", "rewards (or advantages) is missing"},
        {"grpo", "{\"prompt\": \"a\", \"completions\": []}\n", "completions"},
        {"ppo", "{\"prompt\": \"a\", \"completion\": \"b\"}\n", "reward (or advantage) is missing"},
        {"reinforce++", "{\"prompt\": \"a\", \"completion\": \"b\", \"reward\": null}\n", "reward"},
        {"grpo", "{\"prompt\": \"a\", \"completion\": \"b\", \"reward\": 1}\n", "advantage is missing"},
        {"plackett-luce", "{\"prompt\": \"a\", \"completions\": [\"b\", \"\"]}\n", "completions is empty"},
        {"cloud", "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"c\", \"chosen_critique\": \"d\"}\n", "rejected_critique must be"},
        {"grpo", "{\"prompt\": \"a\", \"completions\": [\"b\", \"c\"], \"rewards\": [0, 1], \"weight\": -1}\n", "weight is -1"},
        {"dpo", "{\"chosen\": \"b c\", \"rejected\": \"d c\"}\n", "words in common"},
        {"sft", "{\"prompt\": \"a\", \"completion\": \" \\n \"}\n", ":1: completion is empty or white space only"},
        {"sft", "{\"prompt\": " USER("a") ", \"completion\": [{\"role\":\"assistant\",\"content\":\"  \"}]}\n", "completion is empty or white space only"},
        {"sft", "{\"messages\": [{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\" \"}]}\n", "empty answer"},
        {"sft", "{\"text\": \" \"}\n", "text is empty or white space only"},
        {"dpo", "{\"prompt\": \"a\", \"chosen\": \"\\t\", \"rejected\": \"b\"}\n", "chosen is empty or white space only"},
        {"prm", "{\"prompt\": \"a\", \"completions\": [\"b\", \" \"], \"labels\": [true, false]}\n", "completions[1]"},
        {"grpo", "{\"prompt\": \"a\", \"completions\": [\"b\", \"\"], \"rewards\": [1, 0]}\n", ":1: completions is empty"},
        {"pro", "{\"prompt\": \"a\", \"completions\": [\"b\", \"c\", \"b\"], \"rewards\": [1, 0, 0.5]}\n",
         ":1: completions[0] and completions[2] are equal and do not have the same reward"},
        {"plackett-luce", "{\"prompt\": \"a\", \"completions\": [\"b\", \"b\"]}\n", ":1: completions[0] and completions[1] are equal"},
        {"choices", "{\"prompt\": \"a\", \"completions\": [\"b\", \"c\"]}\n", ":1: labels is missing; choices needs"},
        {"choices", "{\"prompt\": \"a\", \"completions\": [\"b\", \"c\"], \"labels\": [1, 0.5]}\n", ":1: labels sum to 1.5"},
        {"choices", "{\"prompt\": \"a\", \"completions\": [\"b\", \"c\"], \"labels\": [1]}\n", ":1: labels must be a list of 2 numbers"},
        {"choices", "{\"prompt\": \"a\", \"completions\": [\"b\", \"c\"], \"labels\": [2, -1]}\n", ":1: labels is 2; it lies between 0 and 1"},
        {"choices", "{\"prompt\": \"a\", \"completions\": [\"b\", \"b\"], \"labels\": [1, 0]}\n", "completions[1] are equal; choices must differ"},
        {"choices", "{\"prompt\": \"a\", \"completions\": [\"b\"], \"labels\": [1]}\n", "completions has one; choices compares two or more"},
        {"choices", "{\"prompt\": \"a\", \"completion\": \"b\", \"label\": 1}\n", "learns from rows with prompt, completions and labels"},
        {"choices-confidence", "{\"prompt\": \"a\", \"completions\": [\"b\", \"c\", \"d\"], \"labels\": [1, 0, 0]}\n", "completions has 3; choices-confidence takes 2"},
        {"sft", "{\"prompt\": " USER("a") ", \"completion\": " USER("b") "}\n", "begins with a message of role 'user'; it must begin with an assistant"},
        {"dpo", "{\"chosen\": " USER("a") ", \"rejected\": " USER("b") "}\n", "chosen and rejected share no beginning"},
        {"dpo", "{\"chosen\": " USER("a") ", \"rejected\": " USER("a") "}\n", "chosen and rejected are the same"},
        {"dpo", "{\"chosen\": [{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}], \"rejected\": " USER("a") "}\n",
         "rejected is no more than the beginning"},
        {"sft", "{\"messages\": [{\"role\":\"bot\",\"content\":\"a\"}]}\n", "has (system, user, assistant, tool)"},
        {"dpo", "{\"chosen\": \"b c \", \"rejected\": \"b c d\"}\n", "words in common"},
        {"dpo", "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"c\", \"label\": 0.5}\n", "neither side is better"},
        {"ppo", "{\"prompt\": \"a\", \"completion\": \"b\", \"reward\": 1, \"log_probs\": [-1]}\n",
         ":1: log_probs has 1 numbers, and the completion with its end token has 2 tokens"},
        {"ppo", "{\"prompt\": \"a\", \"completion\": \"b\", \"reward\": 1, \"finish\": \"length\", \"log_probs\": [-1, -1]}\n",
         ":1: log_probs has 2 numbers, and the completion has 1 tokens"},
        {"sft", "{\"prompt\": \"a\", \"completion\": \"b\", \"finish\": \"cut\"}\n", ":1: finish must be \"stop\" or \"length\""},
        {"sft", "{\"prompt\": \"a\", \"completion\": \"b\", \"finish\": true}\n", ":1: finish must be \"stop\" or \"length\""},
        {"sft", "{\"prompt\": \"a\", \"completion\": \"<|endoftext|>\", \"finish\": \"length\"}\n", ":1: finish is \"length\", and the answer has no word before its end"},
        {"sft", "{\"text\": \"a\", \"finish\": \"length\"}\n", ":1: finish is of a completion"},
        {"dpo", "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"c\", \"rejected_finish\": 1}\n", ":1: rejected_finish must be"},
        {"grpo", "{\"prompt\": \"a\", \"completions\": [\"b\", \"c\"], \"rewards\": [0, 1], \"finishes\": [\"stop\"]}\n", ":1: finishes is a list of 2"},
        {"ppo", "{\"prompt\": \"a\", \"completion\": \"b\", \"reward\": 1, \"log_probs\": -1}\n", ":1: log_probs must be a list"},
        {"ppo", "{\"prompt\": \"a\", \"completion\": \"b\", \"reward\": 1, \"log_probs\": [-1, 0.5]}\n", ":1: log_probs[1] is 0.5; a log-probability is 0"},
        {"ppo", "{\"prompt\": \"a\", \"completion\": \"b\", \"reward\": 1, \"log_probs\": [-1e300, 0]}\n", ":1: log_probs[0] is not finite"},
        {"ppo", "{\"prompt\": \"a\", \"completion\": \"b\", \"reward\": 1, \"log_probs\": [-1, \"2\"]}\n", ":1: log_probs[1] is not a number"},
        {"ppo", "{\"prompt\": \"a\", \"completion\": \"b\", \"reward\": 1, \"old\": [-1, -1]}\n", "no field 'old'; did you mean 'log_probs'"},
        {"ppo", "{\"prompt\": \"a\", \"completion\": \"b\", \"reward\": 1, \"logprobs\": [-1, -1]}\n", "did you mean 'log_probs'"},
        {"grpo", "{\"prompt\": \"a\", \"completions\": [\"b\", \"c\"], \"rewards\": [0, 1], \"log_probs\": [[-1, -1]]}\n", "log_probs is a list of 2 lists"},
        {"grpo", "{\"prompt\": \"a\", \"completions\": [\"b\", \"c\"], \"rewards\": [0, 1], \"log_probs\": [[-1, -1], [-1]]}\n", "log_probs[1] has 1 numbers"},
        {"grpo", "{\"prompt\": \"a\", \"completions\": [\"b\", \"c\"], \"rewards\": [0, 1], \"log_probs\": [[-1, -1], null]}\n", "log_probs[1] is missing"},
        {"grpo", "{\"messages\": [{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}], \"advantage\": 1, \"log_probs\": [-1]}\n",
         "log_probs are of a completion"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        dataset *d = NULL;
        agon_status s = read_text(w, cases[i].objective, cases[i].text, 0, &d);
        if (s == AGON_OK || d || !strstr(agon_error(w->ctx), cases[i].words) || !strstr(agon_error(w->ctx), w->path))
            fail_msg("case %zu: \"%s\" does not say \"%s\"", i, agon_error(w->ctx), cases[i].words);
    }
}

/* Templates in which the answer does not simply follow the prompt: what is wrong is the prompt's end, not the completion's beginning. */
static void data__says_where_no_answer_opens(void **state) {
    world *w = *state;
    dataset *d = NULL;
    assert_ok(w->ctx, chat_template_set(w->ctx, w->t, "llama3"));
    agon_status s = read_text(w, "sft", "{\"prompt\": [{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"b\"}], "
                                        "\"completion\": [{\"role\":\"assistant\",\"content\":\"c\"}]}\n", 0, &d);
    const char *words = strstr(agon_error(w->ctx), ":1: the prompt ends with an assistant message");
    assert_ok(w->ctx, chat_template_set(w->ctx, w->t, "chatml"));
    assert_int_equal(s, AGON_EINVAL);
    assert_non_null(words);
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

/* Steps of which cutting leaves no end have no label to learn from. */
static void data__a_first_step_that_is_cut_is_a_bad_row(void **state) {
    world *w = *state;
    static const char text[] = "{\"prompt\": \"a\", \"completions\": [\"b c d e f g\", \"c\"], \"labels\": [1, 0]}\n";
    dataset *d = NULL;
    assert_int_equal(read_text(w, "prm", text, 4, &d), AGON_EINVAL);
    assert_non_null(strstr(agon_error(w->ctx), ":1: the first step ends"));
    d = read_ok(w, "prm", text);
    size_t n, first = 0;
    const train_response *r = dataset_rows(d, &n)->responses;
    while (isnan(r->targets[first]))
        first++;
    dataset_free(d);
    assert_ok(w->ctx, read_text(w, "prm", text, first + 2, &d)); /* the prompt's token, and just this step */
    assert_close(dataset_rows(d, &n)->responses[0].targets[first], 1, 0);
    dataset_free(d);
}

/* The options decide what rows must have: squared errors need a reward, cross-entropy a label. */
static void data__what_is_needed_follows_the_options(void **state) {
    world *w = *state;
    static const char *const texts[] = {"{\"prompt\": \"a\", \"completion\": \"b\", \"label\": 1}\n",
                                        "{\"prompt\": \"a\", \"completion\": \"b\", \"reward\": 2}\n"};
    const objective *o = objective_find("rm-pointwise");
    double values[MAX_OBJECTIVE_OPTIONS];
    for (int squared = 0; squared < 2; squared++) {
        objective_defaults(o, values);
        values[0] = squared;
        for (int i = 0; i < 2; i++) {
            dataset *d = NULL;
            assert_ok(w->ctx, file_write(w->ctx, w->path, texts[i], strlen(texts[i])));
            agon_status s = dataset_read_with(w->ctx, w->t, w->path, o, &(dataset_options){.settings = values}, &d);
            assert_int_equal(s, i == squared ? AGON_OK : AGON_EINVAL);
            if (s != AGON_OK)
                assert_non_null(strstr(agon_error(w->ctx), squared ? ":1: reward is missing" : ":1: label is missing"));
            dataset_free(d);
        }
    }
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

/* What a row says and its objective does not read is counted, not passed over in silence. */
static void data__counts_what_is_not_read(void **state) {
    world *w = *state;
    static const struct {
        const char *objective, *row, *field; /* NULL: all is read */
    } cases[] = {
        {"dpo", "\"chosen\": \"b\", \"rejected\": \"c\", \"label\": 0.8", "label"},
        {"dpo", "\"chosen\": \"b\", \"rejected\": \"c\", \"label\": 1", NULL},
        {"dpo", "\"chosen\": \"b\", \"rejected\": \"c\", \"margin\": 2", "margin"},
        {"dpo", "\"chosen\": \"b\", \"rejected\": \"c\", \"rewards\": [1, 0]", "rewards"},
        {"dpo-soft", "\"chosen\": \"b\", \"rejected\": \"c\", \"label\": 0.8", NULL},
        {"modpo", "\"chosen\": \"b\", \"rejected\": \"c\", \"margin\": 2", NULL},
        {"bt", "\"chosen\": \"b\", \"rejected\": \"c\", \"margin\": 2, \"label\": 0.5, \"chosen_critique\": \"d\"", NULL},
        {"sft", "\"completion\": \"b\", \"label\": true", "label"},
        {"sft", "\"completion\": \"b\", \"critique\": \"d\"", "critique"},
        {"sft", "\"completion\": \"b c\", \"spans\": [{\"start\": 0, \"end\": 1, \"weight\": 0}]", NULL}, /* its needs are none */
        {"kto", "\"completion\": \"b\", \"label\": true", NULL},
        {"plackett-luce", "\"completions\": [\"b\", \"c\"], \"rewards\": [1, 0]", NULL},
        {"plackett-luce", "\"completions\": [\"b\", \"c\"], \"advantages\": [1, 0]", "advantages"},
        {"plackett-luce", "\"completions\": [\"b\", \"c\"], \"reward\": 1", "reward"},
        {"bt", "\"chosen\": \"b\", \"rejected\": \"c\", \"critique\": \"d\"", "critique"},
        {"prm", "\"completions\": [\"b\", \"c\"], \"labels\": [1, 0], \"critiques\": [\"d\", \"e\"]", "critiques"},
        {"prm", "\"completions\": [\"b\", \"c\"], \"labels\": [1, 0], \"spans\": [[], []]", "spans"},
        {"sft", "\"completion\": \"b\", \"finish\": \"length\"", NULL},
        {"sft", "\"completion\": \"b\", \"finishes\": [\"length\"]", "finishes"},
        {"dpo", "\"chosen\": \"b\", \"rejected\": \"c\", \"finish\": \"stop\"", "finish"},
        {"sft", "\"completion\": \"b\", \"log_probs\": [-1], \"log_prob\": -1", "log_probs"},
        {"dpo", "\"chosen\": \"b\", \"rejected\": \"c\", \"log_probs\": [-1]", "log_probs"},
        {"ppo", "\"completion\": \"b\", \"reward\": 1, \"log_probs\": [-1, -2], \"log_prob\": -3", NULL},
        {"grpo", "\"completions\": [\"b\", \"c\"], \"rewards\": [1, 0], \"log_probs\": null", NULL},
        {"grpo", "\"completions\": [\"b\", \"c\"], \"rewards\": [1, 0], \"labels\": [1, 0]", "labels"},
        {"choices", "\"completions\": [\"b\", \"c\"], \"labels\": [1, 0]", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        snprintf(text, sizeof text, "{\"prompt\": \"a\", %s}\n", cases[i].row);
        dataset *d = read_ok(w, cases[i].objective, text);
        dataset_summary s = dataset_summarise(d);
        for (size_t f = 0; f < N_OPTIONAL_FIELDS; f++)
            if (s.unread[f] != (cases[i].field && strcmp(row_optional_field(f), cases[i].field) == 0))
                fail_msg("case %zu: %s %zu", i, row_optional_field(f), s.unread[f]);
        dataset_free(d);
    }
}

/* Left out and counted by reason, the good rows kept as they are without them. */
static void data__skips_and_counts(void **state) {
    world *w = *state;
    static const char text[] =
        "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"c\"}\n"
        "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"b\"}\n"
        "not json\n"
        "{\"prompt\": \"a\", \"chosen\": \"\", \"rejected\": \"b\"}\n"
        "{\"prompt\": \"a\", \"chosen\": \"b\"}\n"
        "{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"c\", \"label\": 1.5}\n"
        "{\"prompt\": \"a\", \"chosen\": \"d<|endoftext|>\", \"rejected\": \"c\", \"label\": 0.75, \"margin\": 2}\n";
    dataset *d = NULL;
    size_t n;
    assert_ok(w->ctx, file_write(w->ctx, w->path, text, strlen(text)));
    const dataset_options options = {.skip_bad = true};
    assert_ok(w->ctx, dataset_read_with(w->ctx, w->t, w->path, objective_find("dpo"), &options, &d));
    const train_row *rows = dataset_rows(d, &n);
    assert_int_equal(n, 2);
    expect(w, &rows[0], 1, "a", "c<|endoftext|>", EOS);
    expect(w, &rows[1], 0, "a", "d<|endoftext|>", EOS); /* one end token, not two */
    assert_close(rows[1].responses[0].label, 0.75, 0);
    assert_close(rows[1].responses[0].reward - rows[1].responses[1].reward, 2, 0);
    dataset_summary s = dataset_summarise(d);
    assert_int_equal(s.n_rows, 2);
    char place[ROW_PLACE_SIZE], second[80];
    snprintf(second, sizeof second, "%s:7", w->path); /* where it stands in the file, whatever was left out before it */
    assert_string_equal(row_place(rows, 1, place), second);
    assert_int_equal(s.n_responses, 4);
    assert_int_equal(s.n_skipped, 5);
    assert_int_equal(s.n_double_end, 1);
    const data_fault faults[] = {FAULT_EQUAL, FAULT_FORMAT, FAULT_EMPTY, FAULT_FIELDS, FAULT_RANGE};
    for (size_t i = 0; i < 5; i++) {
        char line[8];
        data_fault fault;
        const char *sentence = dataset_skipped(d, i, &fault);
        snprintf(line, sizeof line, ":%zu", i + 2);
        assert_int_equal(fault, faults[i]);
        assert_int_equal(s.faults[fault], 1);
        if (!strstr(sentence, line) || !strstr(sentence, w->path))
            fail_msg("\"%s\" does not name line %s", sentence, line);
    }
    data_fault fault;
    assert_null(dataset_skipped(d, 5, &fault));
    dataset_free(d);
    assert_ok(w->ctx, file_write(w->ctx, w->path, "not json\n", 9));
    d = NULL;
    assert_int_equal(dataset_read_with(w->ctx, w->t, w->path, objective_find("dpo"), &options, &d), AGON_EINVAL);
    assert_non_null(strstr(agon_error(w->ctx), "none of the rows"));
    assert_null(d);
}

/* Rows of a run come from model output: a bad one is left out, and the run goes on. */
static void data__rows_in_memory_are_skipped(void **state) {
    world *w = *state;
    size_t n;
    dataset *d = NULL;
    json_t *rows = json_loads("[{\"prompt\": \"a\", \"chosen\": \"b\", \"rejected\": \"\"}, {\"prompt\": \"a\", \"chosen\": \"b\", "
                              "\"rejected\": \"c\"}]", 0, NULL);
    assert_ok(w->ctx, dataset_from_json(w->ctx, w->t, rows, objective_find("dpo"), NULL, 0, &d));
    dataset_rows(d, &n);
    assert_int_equal(n, 1);
    assert_int_equal(dataset_summarise(d).faults[FAULT_EMPTY], 1);
    char place[ROW_PLACE_SIZE];
    assert_string_equal(row_place(dataset_rows(d, &n), 0, place), "training row 2");
    dataset_place(d, "pairs.jsonl", (size_t[]){4, 9}, 2);
    assert_string_equal(row_place(dataset_rows(d, &n), 0, place), "pairs.jsonl:9");
    dataset_free(d);
    json_decref(rows);
    rows = json_loads("[{\"prompt\": \"a\", \"completions\": [\"b\", \"\"], \"rewards\": [1, 0]}]", 0, NULL); /* it said nothing, and is told so */
    assert_ok(w->ctx, dataset_from_json(w->ctx, w->t, rows, objective_find("grpo"), NULL, 0, &d));
    assert_int_equal(dataset_summarise(d).n_responses, 2);
    dataset_free(d);
    json_decref(rows);
}

/* However many there are, each has its sentence. */
static void data__names_all_that_is_left_out(void **state) {
    world *w = *state;
    enum { BAD = 2500 };
    static char text[BAD * 16 + 64];
    dataset *d = NULL;
    data_fault fault;
    size_t at = 0;
    for (size_t i = 0; i < BAD; i++)
        at += (size_t)sprintf(text + at, "{\"prompt\":3}\n");
    strcpy(text + at, "{\"prompt\": \"a\", \"completion\": \"b\"}\n");
    assert_ok(w->ctx, file_write(w->ctx, w->path, text, strlen(text)));
    assert_ok(w->ctx, dataset_read_with(w->ctx, w->t, w->path, objective_find("sft"), &(dataset_options){.skip_bad = true}, &d));
    assert_non_null(strstr(dataset_skipped(d, BAD - 1, &fault), ":2500: "));
    assert_null(dataset_skipped(d, BAD, &fault));
    dataset_free(d);
}

/* Of a text without a prompt the first token is never learnt. */
static void data__one_token_without_a_prompt_is_a_bad_row(void **state) {
    world *w = *state;
    dataset *d = NULL;
    static const char text[] = "{\"text\": \"a b\"}\n{\"prompt\": \"\", \"chosen\": \"a\", \"rejected\": \"b\"}\n";
    assert_int_equal(read_text(w, "sft", text, 1, &d), AGON_EINVAL);
    assert_non_null(strstr(agon_error(w->ctx), ":1: there is one token left after cutting"));
    assert_int_equal(read_text(w, "dpo", strchr(text, '\n') + 1, 1, &d), AGON_EINVAL);
    assert_non_null(strstr(agon_error(w->ctx), ":1: there is one token left after cutting"));
    const dataset_options options = {.max_tokens = 1, .skip_bad = true};
    assert_int_equal(dataset_read_with(w->ctx, w->t, w->path, objective_find("dpo"), &options, &d), AGON_EINVAL);
    assert_non_null(strstr(agon_error(w->ctx), "none of the rows can be learnt from"));
    assert_ok(w->ctx, read_text(w, "sft", "{\"text\": \"a b\"}\n", 2, &d));
    dataset_free(d);
}

/* Objectives that rank take as many as they say, by line, and not at a step. */
static void data__groups_are_not_larger_than_can_be_ranked(void **state) {
    world *w = *state;
    static const char *const names[] = {"pro", "plackett-luce"};
    for (size_t i = 0; i < 2; i++)
        for (size_t n = 256; n <= 257; n++) {
            char text[8192], *at = text;
            at += sprintf(at, "{\"prompt\": \"q\", \"completions\": [");
            for (size_t k = 0; k < n; k++)
                at += sprintf(at, "%s\"a%zu\"", k ? "," : "", k);
            at += sprintf(at, "], \"rewards\": [");
            for (size_t k = 0; k < n; k++)
                at += sprintf(at, "%s%zu", k ? "," : "", k);
            sprintf(at, "]}\n");
            dataset *d = NULL;
            assert_int_equal(read_text(w, names[i], text, 0, &d), n == 256 ? AGON_OK : AGON_EINVAL);
            if (n == 256)
                dataset_free(d);
            else
                assert_non_null(strstr(agon_error(w->ctx), ":1: completions has 257"));
        }
}

static void data__group_sizes(void **state) {
    world *w = *state;
    static const char text[] = "{\"prompt\": \"q\", \"completions\": [\"a\",\"b\",\"c\"], \"rewards\": [1,0,0.5]}\n"
                               "{\"prompt\": \"q\", \"completions\": [\"a\",\"b\"], \"rewards\": [1,0]}\n";
    dataset *d = NULL;
    assert_ok(w->ctx, file_write(w->ctx, w->path, text, strlen(text)));
    dataset_options options = {.group_size = 3};
    assert_int_equal(dataset_read_with(w->ctx, w->t, w->path, objective_find("grpo"), &options, &d), AGON_EINVAL);
    assert_non_null(strstr(agon_error(w->ctx), ":2"));
    options.skip_bad = true;
    assert_ok(w->ctx, dataset_read_with(w->ctx, w->t, w->path, objective_find("grpo"), &options, &d));
    assert_int_equal(dataset_summarise(d).faults[FAULT_GROUP], 1);
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
            assert_ok(w->ctx, dataset_from_json(w->ctx, w->t, rows, objective_find(cases[i][0]), NULL, 0, &d));
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
    };
    for (size_t i = 0; i < 2; i++) {
        dataset *d = NULL;
        json_t *row = json_loads(lines[i], 0, NULL);
        assert_ok(w->ctx, file_write(w->ctx, w->path, lines[i], strlen(lines[i])));
        const dataset_options options = {.on_row = equals_input, .arg = row};
        assert_ok(w->ctx, dataset_read_with(w->ctx, w->t, w->path, objective_find("bt"), &options, &d));
        dataset_free(d);
        json_decref(row);
    }
}

/* Only rewards that are compared with each other need two; reinforce++ compares them when its baseline is on. */
static void data__a_group_of_one_is_compared_with_nothing(void **state) {
    world *w = *state;
    static const char group[] = "{\"prompt\": \"q\", \"completions\": [\"a\"], \"rewards\": [1]}\n",
                      single[] = "{\"prompt\": \"q\", \"completion\": \"a\", \"reward\": 1}\n";
    const char *const texts[] = {group, single};
    const objective *o = objective_find("reinforce++");
    double settings[MAX_OBJECTIVE_OPTIONS];
    dataset *d = NULL;
    for (size_t i = 0; i < 2; i++) {
        objective_defaults(o, settings);
        dataset_free(read_ok(w, "reinforce++", texts[i]));
        assert_int_equal(read_text(w, "grpo", texts[i], 0, &d), AGON_EINVAL);
        assert_non_null(strstr(agon_error(w->ctx), "grpo compares"));
        assert_ok(w->ctx, objective_set(w->ctx, o, "baseline=1", settings));
        assert_int_equal(dataset_read_with(w->ctx, w->t, w->path, o, &(dataset_options){.settings = settings}, &d), AGON_EINVAL);
        assert_non_null(strstr(agon_error(w->ctx), "reinforce++ compares"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data__rows_are_read_and_not_changed),
        cmocka_unit_test(data__rows_are_handed_on_as_they_stood),
        cmocka_unit_test(data__a_group_of_one_is_compared_with_nothing),
        cmocka_unit_test(data__raw_rows_end_with_eos),
        cmocka_unit_test(data__chat_rows_supervise_assistant_turns),
        cmocka_unit_test(data__pairs_share_their_prompt),
        cmocka_unit_test(data__groups_and_labels),
        cmocka_unit_test(data__long_rows_are_cut_and_counted),
        cmocka_unit_test(data__rows_that_cutting_spoils_are_bad),
        cmocka_unit_test(data__names_file_and_line),
        cmocka_unit_test(data__says_where_no_answer_opens),
        cmocka_unit_test(data__an_opened_reasoning_is_prompt),
        cmocka_unit_test(data__equal_texts_and_white_space),
        cmocka_unit_test(data__a_first_step_that_is_cut_is_a_bad_row),
        cmocka_unit_test(data__what_is_needed_follows_the_options),
        cmocka_unit_test(data__takes_log_probs_at_sampling),
        cmocka_unit_test(data__weight_zero_leaves_out),
        cmocka_unit_test(data__of_an_answer_cut_off__learns_no_end),
        cmocka_unit_test(data__counts_what_is_not_read),
        cmocka_unit_test(data__skips_and_counts),
        cmocka_unit_test(data__rows_in_memory_are_skipped),
        cmocka_unit_test(data__names_all_that_is_left_out),
        cmocka_unit_test(data__one_token_without_a_prompt_is_a_bad_row),
        cmocka_unit_test(data__groups_are_not_larger_than_can_be_ranked),
        cmocka_unit_test(data__group_sizes),
        cmocka_unit_test(data__documents_and_steps),
        cmocka_unit_test(data__spans_are_placed_on_exact_tokens),
        cmocka_unit_test(data__reward_models_read_critiques),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
