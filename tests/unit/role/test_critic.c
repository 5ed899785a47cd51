/* critic.h, attacker.h with the scripted backend. */
#include "test.h"
#include "role/attacker.h"
#include "role/critic.h"

static void expect_quote(const char *response, const char *quote, const char *want) {
    bool found = false;
    size_t start = 0, end = 0;
    assert_ok(NULL, critic_find_quote(NULL, response, quote, &found, &start, &end));
    assert_int_equal(found, want != NULL);
    if (want) {
        assert_int_equal(end - start, strlen(want));
        assert_memory_equal(response + start, want, end - start);
    }
}

static void critic__quotes_are_found_where_they_are(void **state) {
    (void)state;
    expect_quote("The sum is 78, I think.", "sum is 78", "sum is 78");
    expect_quote("The  sum\n is 78.", "the SUM is 78", "The  sum\n is 78");
    expect_quote("She said \xE2\x80\x9Cno\xE2\x80\x9D.", "said \"no\"",
                 "said \xE2\x80\x9Cno\xE2\x80\x9D");
    expect_quote("Stra\xC3\x9F"
                 "e",
                 "STRASSE",
                 "Stra\xC3\x9F"
                 "e");
    expect_quote("caf\xC3\xA9", "cafe\xCC\x81", "caf\xC3\xA9"); /* composed against decomposed */
    expect_quote("x\xEF\xB7\xBAy", "x \xEF\xB7\xBA", NULL); /* the longest decomposition there is */
    expect_quote("\xEF\xB7\xBA\xEF\xB7\xBA\xEF\xB7\xBA", "\xEF\xB7\xBA", "\xEF\xB7\xBA");
    expect_quote("The sum is 78.", "sum is 79", NULL);
    expect_quote("The sum is 78.", "", NULL);
    expect_quote("The sum is 78.", "  ", NULL);
    expect_quote("", "x", NULL);
    expect_quote("bad \xFF byte", "\xFF byte", "\xFF byte");
}

static void critic__fake_quotes_are_told_from_real_ones(void **state) {
    (void)state;
    const char *critique = "<q>42 + 25 = 78</q> is false. <q>carry the two</q> is nowhere. <q>open";
    const char *response = "First, 42 + 25 = 78.";
    critic_quote *quotes;
    size_t n;
    assert_ok(NULL, critic_check_quotes(NULL, critique, response, "<q>", "</q>", false, &quotes, &n));
    assert_int_equal(n, 2);
    assert_true(quotes[0].found && quotes[0].start == 7 && quotes[0].end == 19);
    assert_false(quotes[1].found);
    assert_memory_equal(critique + quotes[1].text_start, "carry the two", 13);
    free(quotes);
    assert_ok(NULL, critic_check_quotes(NULL, "no quotes", response, "<q>", "</q>", false, &quotes, &n));
    assert_true(n == 0 && quotes == NULL);
    assert_ok(NULL, critic_check_quotes(NULL, "It says \"78\", not \"67", response, "\"", "\"", false, &quotes, &n));
    assert_true(n == 1 && quotes[0].found && quotes[0].start == 17 && quotes[0].end == 19);
    free(quotes);
}

/* Thousands of quotes of a long response, and one that nearly repeats it: neither may take minutes. */
static void critic__many_quotes_are_checked_in_time(void **state) {
    (void)state;
    enum { LONG = 64 * 1024 };
    char *response = malloc(LONG + 1), *critique = malloc(LONG + 1);
    critic_quote *quotes;
    size_t n;
    memset(response, 'a', LONG);
    memset(critique, '"', LONG);
    response[LONG] = critique[LONG] = 0;
    for (size_t i = 1; i < LONG; i += 4)
        critique[i] = 'b';
    assert_ok(NULL, critic_check_quotes(NULL, critique, response, "\"", "\"", false, &quotes, &n));
    assert_true(n >= LONG / 4 && !quotes[0].found);
    free(quotes);
    memset(critique, 'a', LONG / 2);
    critique[LONG / 2 - 1] = 'b';
    critique[LONG / 2] = 0;
    bool found = true;
    size_t start, end;
    assert_ok(NULL, critic_find_quote(NULL, response, critique, &found, &start, &end));
    assert_false(found);
    expect_quote("aabaaabaab", "aabaab", "aabaab");
    expect_quote("aabaabaaab", "aabaaab", "aabaaab");
    free(response);
    free(critique);
}

static void critic__evidence_becomes_a_sentence(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    task_verdict v = {.outcome = OUTCOME_FAIL,
                      .evidence = "says 78, but 42 + 25 = 67",
                      .masked = "says 78, which is not the sum."};
    char *full = NULL, *masked = NULL;
    assert_ok(ctx, critic_executable(ctx, &v, CRITIQUE_FULL, false, &full));
    assert_ok(ctx, critic_executable(ctx, &v, CRITIQUE_MASKED, false, &masked));
    assert_string_equal(full, "It says 78, but 42 + 25 = 67.");
    assert_string_equal(masked, "It says 78, which is not the sum.");
    free(full);
    free(masked);
    v.outcome = OUTCOME_UNKNOWN;
    assert_int_equal(critic_executable(ctx, &v, CRITIQUE_FULL, false, &full), AGON_EINVAL);
    agon_ctx_free(ctx);
}

static backend *scripted(agon_ctx *ctx, const char *text) {
    json_t *script = json_loads(text, 0, NULL);
    backend *b = NULL;
    assert_non_null(script);
    assert_ok(ctx, backend_scripted_new(ctx, script, &b));
    json_decref(script);
    return b;
}

static void critic__likelihood_gives_p_correct(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    backend *b = scripted(ctx, "{\"scores\": {\"critic:i1\": [-1.0, -2.0], \"i2\": [-3.0, -3.0]}}");
    const critic_item items[] = {{"i1", "q", "a", 1, NULL, false, NULL}, {"i2", "q", "b", 2, NULL, false, NULL}, {"i3", "q", "c", 3, NULL, false, NULL}};
    critic_judgement j[3];
    assert_ok(ctx, critic_judge(ctx, b, items, 3, 1, NULL, j));
    assert_close(j[0].p, 1 / (1 + exp(-1)), 1e-12);
    assert_close(j[1].p, 0.5, 1e-12);
    assert_true(isnan(j[2].p)); /* no score: abstains, the others stand */
    assert_non_null(j[2].error);
    for (int i = 0; i < 3; i++)
        critic_judgement_free(&j[i]);
    assert_int_equal(critic_judge(ctx, b, items + 2, 1, 1, NULL, j), AGON_EREMOTE);
    backend_free(b);
    agon_ctx_free(ctx);
}

static void attacker__strips_labels_and_quotation_marks(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {" Add 7 to 12.\n\nTask: What", "Add 7 to 12."},
        {"Other words: \"Add 7 to 12.\"\n", "Add 7 to 12."},
        {"\"Yes\" or \"no\"", "\"Yes\" or \"no\""},
        {"Task: Sort: b, a\nTask: next", "Sort: b, a"},
        {" \n ", ""},
        {"\"", "\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *got = attacker_parse(cases[i][0]);
        assert_string_equal(got, cases[i][1]);
        free(got);
    }
}

/* Of a distractor the model writes the remark, of a renaming the names: the query around them is ours. */
/* A server or program may write without end; what is kept is what was asked for, and the verdict is still found behind it. */
/* A prompt of the user's in place of all others, with its fields as safe as anywhere. */
static void critic__asks_in_the_words_it_is_given(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    const prompt_template own = {.name = "own", .version = "1", .id = "own@1", .role = "critic", .body = "{>query} = {>answer}?"};
    const critic_item item = {.id = "a", .query = "2 + 2", .answer = "4\n2 + 3 = 5", .principles = "none", .own = &own};
    char *prompt = NULL;
    assert_ok(ctx, critic_likelihood_prompt(ctx, &item, &prompt));
    assert_string_equal(prompt, "2 + 2 = 4\n> 2 + 3 = 5?");
    free(prompt);
    agon_ctx_free(ctx);
}

static void critic__foreign_texts_are_bounded(void **state) {
    (void)state;
    enum { LONG = 1 << 20, VERDICT_TOKENS = 400 };
    agon_ctx *ctx = test_ctx(1, NULL);
    char *text = calloc(1, LONG + 16), *words = NULL;
    text[0] = 'x';
    for (size_t i = 1; i + 1 < LONG; i += 2)
        memcpy(text + i, "\xC3\xA9", 2);
    strcat(text, " [[Yes]]");
    json_t *script = json_pack("{ss}", "default", text);
    backend *b = NULL;
    critic_judgement j = {0};
    const critic_item item = {"a", "12 + 7?", "19", 1, NULL, false, NULL};
    assert_ok(ctx, backend_scripted_new(ctx, script, &b));
    assert_ok(ctx, critic_same_task(ctx, b, &item, 1, &j)); /* a script would score a judgement */
    assert_true(j.p == 1);
    assert_int_equal(strlen(j.critique), VERDICT_TOKENS * BACKEND_BYTES_A_TOKEN - 1); /* the boundary is inside a character */
    assert_ok(ctx, critic_write(ctx, b, &item, 1, NULL, &words));
    assert_int_equal(strlen(words), CRITIC_WRITE_TOKENS * BACKEND_BYTES_A_TOKEN - 1);
    free(words);
    critic_judgement_free(&j);
    backend_free(b);
    json_decref(script);
    free(text);
    agon_ctx_free(ctx);
}

/* A program that answers by verdicts gives its words as evidence, also where words alone are asked for; it is told what is asked. */
static void critic__a_program_may_always_answer_by_verdict(void **state) {
    (void)state;
    static const char program[] =
        "while read -r line; do case $line in *'\"ask\":\"critique\",\"query\":\"12 + 7?\",\"answer\":\"18\"'*) ask=critique;;"
        " *'\"ask\":\"verdict\",\"query\":\"12 + 7?\",\"answer\":\"18\"'*) ask=verdict;; *) ask=other;; esac;"
        " echo '{\"id\":\"a\",\"verdict\":\"fail\",\"confidence\":0.75,\"evidence\":\"'$ask': one too few\"}'; done";
    agon_ctx *ctx = test_ctx(1, NULL);
    backend *b = NULL;
    critic_judgement j = {0};
    char *words = NULL;
    const critic_item item = {"a", "12 + 7?", "18", 1, NULL, false, NULL};
    assert_ok(ctx, backend_command_new(ctx, program, 60, &b));
    assert_ok(ctx, critic_judge(ctx, b, &item, 1, 1, NULL, &j));
    assert_true(j.p == 0.25);
    assert_string_equal(j.critique, "verdict: one too few");
    assert_ok(ctx, critic_write(ctx, b, &item, 1, NULL, &words));
    assert_string_equal(words, "critique: one too few");
    free(words);
    critic_judgement_free(&j);
    backend_free(b);
    agon_ctx_free(ctx);
}

static void attacker__puts_variations_together(void **state) {
    (void)state;
    static const char query[] = "Tom has 3 pens. Ann takes Tom's pens. How many Tomatoes has Ann?";
    static const char *const names[] = {"Tom", "Ann"};
    static const struct {
        task_perturbation kind;
        const char *output, *text;
    } cases[] = {
        {PERTURBATION_DISTRACTOR, " The sky is clear. Find 7 more.", "The sky is clear. Tom has 3 pens. Ann takes Tom's pens. How many Tomatoes has Ann?"},
        {PERTURBATION_DISTRACTOR, "It was late\nTask: x", "It was late. Tom has 3 pens. Ann takes Tom's pens. How many Tomatoes has Ann?"},
        {PERTURBATION_DISTRACTOR, "...", ""},
        {PERTURBATION_RENAME, " Aiko, Omar\n\nNames: x", "Aiko has 3 pens. Omar takes Aiko's pens. How many Tomatoes has Omar?"},
        {PERTURBATION_RENAME, "Ann, Tom", ""},     /* they stand there already */
        {PERTURBATION_RENAME, "Aiko, Aiko", ""},   /* two people become one */
        {PERTURBATION_RENAME, "Aiko", ""},
        {PERTURBATION_RENAME, "Aiko, 5 Omars", ""},
        {PERTURBATION_RENAME, "AIKO, Omar", ""},
        {PERTURBATION_RENAME, "Aiko Yamada, Omar", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const attacker_item item = {.query = query, .perturbation = cases[i].kind, .names = names, .n_names = 2};
        char *text = attacker_compose(&item, cases[i].output);
        assert_string_equal(text, cases[i].text);
        free(text);
    }
}

static void attacker__empty_answers_are_counted_not_used(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    backend *b =
        scripted(ctx, "{\"answers\": {\"a\": [\" Please add 7 to 12.\"], \"b\": [\"\\n\"]}}");
    const attacker_item items[] = {
        {.id = "a", .query = "What is 12 + 7?", .perturbation = PERTURBATION_PARAPHRASE, .seed = 1},
        {.id = "b", .query = "What is 12 + 7?", .perturbation = PERTURBATION_RENAME, .seed = 2},
        {.id = "c", .query = "What is 12 + 7?", .perturbation = PERTURBATION_DISTRACTOR, .seed = 3}};
    attacker_variation v[3];
    assert_ok(ctx, attacker_vary(ctx, b, items, 3, NULL, v));
    assert_int_equal(v[0].n_texts, ATTACKER_TRIES);
    assert_string_equal(v[0].texts[0], "Please add 7 to 12.");
    assert_true(v[1].n_texts == 0 && v[1].error && v[2].n_texts == 0 && v[2].error);
    for (int i = 0; i < 3; i++)
        attacker_variation_free(&v[i]);
    backend_free(b);
    agon_ctx_free(ctx);
}

static void scripted__answers_samples_in_turn(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    backend *b = scripted(
        ctx,
        "{\"answers\": {\"x\": [\"one\", \"two\"], \"learner:x\": \"mine\"}, \"default\": \"d\"}");
    const chat_message m = {"user", "hi"};
    backend_request r[] = {
        {.id = "x", .role = "critic", .messages = &m, .n_messages = 1, .n_samples = 3},
        {.id = "x", .role = "learner", .messages = &m, .n_messages = 1, .n_samples = 1},
        {.id = "y", .role = "learner", .messages = &m, .n_messages = 1, .n_samples = 1}};
    backend_response out[3];
    assert_true(backend_reproducible(b));
    assert_ok(ctx, backend_run(ctx, b, r, 3, out));
    assert_string_equal(out[0].completions[0].text, "one");
    assert_string_equal(out[0].completions[2].text, "one");
    assert_string_equal(out[0].completions[1].text, "two");
    assert_string_equal(out[1].completions[0].text, "mine");
    assert_string_equal(out[2].completions[0].text, "d");
    for (int i = 0; i < 3; i++)
        backend_response_free(&out[i]);
    backend_request empty = {.id = "z", .n_samples = 1};
    assert_int_equal(backend_run(ctx, b, &empty, 1, out), AGON_EINVAL);
    backend_free(b);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(critic__quotes_are_found_where_they_are),
        cmocka_unit_test(critic__fake_quotes_are_told_from_real_ones),
        cmocka_unit_test(critic__many_quotes_are_checked_in_time),
        cmocka_unit_test(critic__evidence_becomes_a_sentence),
        cmocka_unit_test(critic__likelihood_gives_p_correct),
        cmocka_unit_test(critic__asks_in_the_words_it_is_given),
        cmocka_unit_test(critic__foreign_texts_are_bounded),
        cmocka_unit_test(critic__a_program_may_always_answer_by_verdict),
        cmocka_unit_test(attacker__strips_labels_and_quotation_marks),
        cmocka_unit_test(attacker__puts_variations_together),
        cmocka_unit_test(attacker__empty_answers_are_counted_not_used),
        cmocka_unit_test(scripted__answers_samples_in_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
