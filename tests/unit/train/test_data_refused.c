/* Datasets: rows that are refused, or left out and counted, each by its line. */
#include "rows_read.h"
#include <math.h>

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
    assert_ok(w->ctx, dataset_from_json(w->ctx, w->t, rows, objective_find("dpo"), NULL, 0, false, &d));
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
    assert_ok(w->ctx, dataset_from_json(w->ctx, w->t, rows, objective_find("grpo"), NULL, 0, false, &d));
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
        cmocka_unit_test(data__rows_that_cutting_spoils_are_bad),
        cmocka_unit_test(data__names_file_and_line),
        cmocka_unit_test(data__says_where_no_answer_opens),
        cmocka_unit_test(data__a_first_step_that_is_cut_is_a_bad_row),
        cmocka_unit_test(data__what_is_needed_follows_the_options),
        cmocka_unit_test(data__counts_what_is_not_read),
        cmocka_unit_test(data__skips_and_counts),
        cmocka_unit_test(data__rows_in_memory_are_skipped),
        cmocka_unit_test(data__names_all_that_is_left_out),
        cmocka_unit_test(data__one_token_without_a_prompt_is_a_bad_row),
        cmocka_unit_test(data__groups_are_not_larger_than_can_be_ranked),
        cmocka_unit_test(data__group_sizes),
        cmocka_unit_test(data__a_group_of_one_is_compared_with_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
