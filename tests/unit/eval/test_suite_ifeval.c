/* IFEval: its vectors, and of each kind what passes, what fails and what lies at the boundary. */
#include "vectors.h"
#include "base/file.h"
#include "eval/ifeval.h"
#include "eval/suite.h"
#include <unistd.h>

static void check_variants(const json_t *c, double tol) {
    (void)tol;
    char *out[IFEVAL_VARIANTS];
    const json_t *want = json_object_get(c, "variants");
    assert_ok(NULL, ifeval_variants(NULL, json_string_value(json_object_get(c, "response")), out));
    assert_int_equal(json_array_size(want), IFEVAL_VARIANTS);
    for (size_t i = 0; i < IFEVAL_VARIANTS; i++) {
        assert_string_equal(out[i], json_string_value(json_array_get(want, i)));
        free(out[i]);
    }
}

static void ifeval__loose_variants_match_the_vector(void **state) {
    (void)state;
    vectors_each("ifeval_loose", check_variants);
}

static void check_aggregate(const json_t *c, double tol) {
    const json_t *results = json_object_get(c, "results"), *one;
    bool holds[64];
    size_t n_of[16], n = 0, p, i;
    double prompts, instructions;
    const json_t *v;
    json_array_foreach(results, p, one) {
        n_of[p] = json_array_size(one);
        json_array_foreach(one, i, v) holds[n++] = json_is_true(v);
    }
    ifeval_aggregate(holds, n_of, json_array_size(results), &prompts, &instructions);
    assert_close(prompts, vectors_number(c, "prompt_acc"), tol);
    assert_close(instructions, vectors_number(c, "instruction_acc"), tol);
}

static void ifeval__aggregates_match_the_vector(void **state) {
    (void)state;
    vectors_each("ifeval_aggregate", check_aggregate);
}

static const struct {
    const char *kind, *kwargs, *response;
    bool strict;
} cases[] = {
    {"keywords:existence", "{\"keywords\": [\"mom\", \"Tea\"]}", "Mom drinks tea.", true},
    {"keywords:existence", "{\"keywords\": [\"mom\", \"tea\"]}", "Mom drinks coffee.", false},
    {"keywords:existence", "{\"keywords\": [\"a.c\"]}", "abc", false}, /* no pattern */
    {"keywords:frequency", "{\"relation\": \"at least\", \"keyword\": \"war\", \"frequency\": 2}", "War, war.", true},
    {"keywords:frequency", "{\"relation\": \"at least\", \"keyword\": \"war\", \"frequency\": 3}", "War, war.", false},
    {"keywords:frequency", "{\"relation\": \"less than\", \"keyword\": \"war\", \"frequency\": 2}", "War, war.", false},
    {"keywords:forbidden_words", "{\"forbidden_words\": [\"rock\"]}", "A stone.", true},
    {"keywords:forbidden_words", "{\"forbidden_words\": [\"rock\"]}", "A Rock!", false},
    {"keywords:forbidden_words", "{\"forbidden_words\": [\"rock\"]}", "A rocket.", true},
    {"keywords:letter_frequency", "{\"let_relation\": \"at least\", \"letter\": \"!\", \"let_frequency\": 2}", "a!b!", true},
    {"keywords:letter_frequency", "{\"let_relation\": \"at least\", \"letter\": \"q\", \"let_frequency\": 2}", "Q", false},
    {"keywords:letter_frequency", "{\"let_relation\": \"less than\", \"letter\": \"A\", \"let_frequency\": 2}", "aa", false},
    {"language:response_language", "{\"language\": \"de\"}", "Der Hund ist nicht groß und die Katze auch nicht.", true},
    {"language:response_language", "{\"language\": \"de\"}", "The dog is not big and the cat is not.", false},
    {"language:response_language", "{\"language\": \"hi\"}", "यह किताब मेज पर है और घर में है", true},
    {"language:response_language", "{\"language\": \"mr\"}", "यह किताब मेज पर है और घर में है", false},
    {"language:response_language", "{\"language\": \"ko\"}", "안녕하세요 여러분 Seoul", true},
    {"language:response_language", "{\"language\": \"ru\"}", "Это не дом, и на столе что-то есть.", true},
    {"language:response_language", "{\"language\": \"bg\"}", "Това е дом и ще се върна на работа.", true},
    {"length_constraints:number_sentences", "{\"relation\": \"less than\", \"num_sentences\": 3}", "One. Two.", true},
    {"length_constraints:number_sentences", "{\"relation\": \"less than\", \"num_sentences\": 3}", "One. Two! Three?", false},
    {"length_constraints:number_sentences", "{\"relation\": \"at least\", \"num_sentences\": 2}", "Mr. Hill paid 3.50 euros.", false},
    {"length_constraints:number_paragraphs", "{\"num_paragraphs\": 2}", "One\n***\nTwo", true},
    {"length_constraints:number_paragraphs", "{\"num_paragraphs\": 2}", "One\n\nTwo", false},
    {"length_constraints:number_paragraphs", "{\"num_paragraphs\": 2}", "One\n***\n\n***\nTwo", false},
    {"length_constraints:number_paragraphs", "{\"num_paragraphs\": 2}", "***\nOne\n***\nTwo\n***", true},
    {"length_constraints:number_words", "{\"relation\": \"at least\", \"num_words\": 3}", "one two, three", true},
    {"length_constraints:number_words", "{\"relation\": \"at least\", \"num_words\": 4}", "one two three", false},
    {"length_constraints:number_words", "{\"relation\": \"less than\", \"num_words\": 3}", "größe élan ок", false},
    {"length_constraints:nth_paragraph_first_word", "{\"first_word\": \"weekend\", \"num_paragraphs\": 2, \"nth_paragraph\": 2}",
     "A\n\nWeekend, at last", true},
    {"length_constraints:nth_paragraph_first_word", "{\"first_word\": \"weekend\", \"num_paragraphs\": 2, \"nth_paragraph\": 1}",
     "A\n\nWeekend", false},
    {"length_constraints:nth_paragraph_first_word", "{\"first_word\": \"weekend\", \"num_paragraphs\": 3, \"nth_paragraph\": 2}",
     "A\n\nWeekend", false},
    {"detectable_content:number_placeholders", "{\"num_placeholders\": 2}", "[name], [address]", true},
    {"detectable_content:number_placeholders", "{\"num_placeholders\": 2}", "[name]", false},
    {"detectable_content:number_placeholders", "{\"num_placeholders\": 2}", "[a [b] c]", false},
    {"detectable_content:postscript", "{\"postscript_marker\": \"P.S.\"}", "Bye\nP.S. one thing", true},
    {"detectable_content:postscript", "{\"postscript_marker\": \"P.S.\"}", "Bye\nPS one thing", false},
    {"detectable_content:postscript", "{\"postscript_marker\": \"P.P.S\"}", "Bye\nP. P. S one thing", true},
    {"detectable_format:number_bullet_lists", "{\"num_bullets\": 3}", "* a\n* b\n- c", true},
    {"detectable_format:number_bullet_lists", "{\"num_bullets\": 3}", "* a\n* b", false},
    {"detectable_format:number_bullet_lists", "{\"num_bullets\": 2}", "**bold**\n* a\n* b", true},
    {"detectable_format:constrained_response", "{}", "My answer is maybe.", true},
    {"detectable_format:constrained_response", "{}", "Maybe.", false},
    {"detectable_format:constrained_response", "{}", "My answer is yes", false},
    {"detectable_format:number_highlighted_sections", "{\"num_highlights\": 2}", "*a* and **b**", true},
    {"detectable_format:number_highlighted_sections", "{\"num_highlights\": 3}", "**a** and **b**", false},
    {"detectable_format:number_highlighted_sections", "{\"num_highlights\": 1}", "** **", false},
    {"detectable_format:multiple_sections", "{\"section_spliter\": \"SECTION\", \"num_sections\": 2}", "SECTION 1\na\nSECTION 2\nb", true},
    {"detectable_format:multiple_sections", "{\"section_spliter\": \"SECTION\", \"num_sections\": 2}", "SECTION 1\na", false},
    {"detectable_format:multiple_sections", "{\"section_spliter\": \"Section\", \"num_sections\": 1}", "SECTION 1", false},
    {"detectable_format:json_format", "{}", "```json\n{\"a\": [1]}\n```", true},
    {"detectable_format:json_format", "{}", "{\"a\": [1}", false},
    {"detectable_format:json_format", "{}", "Here: {\"a\": 1}", false},
    {"detectable_format:title", "{}", "<<Spring>>\ntext", true},
    {"detectable_format:title", "{}", "<Spring>\ntext", false},
    {"detectable_format:title", "{}", "<<  >>", false},
    {"combination:two_responses", "{}", "One\n******\nTwo", true},
    {"combination:two_responses", "{}", "One\n******\nOne", false},
    {"combination:two_responses", "{}", "One\n******\nTwo\n******\nThree", false},
    {"combination:repeat_prompt", "{\"prompt_to_repeat\": \"Say it.\"}", "say it. It!", true},
    {"combination:repeat_prompt", "{\"prompt_to_repeat\": \"Say it.\"}", "It! Say it.", false},
    {"combination:repeat_prompt", "{\"prompt_to_repeat\": \"Say it.\"}", "Say it", false},
    {"startend:end_checker", "{\"end_phrase\": \"That is all.\"}", "Text. \"that is all.\"\n", true},
    {"startend:end_checker", "{\"end_phrase\": \"That is all.\"}", "That is all. Bye.", false},
    {"startend:end_checker", "{\"end_phrase\": \"That is all.\"}", "all.", false},
    {"change_case:capital_word_frequency", "{\"capital_relation\": \"at least\", \"capital_frequency\": 2}", "NO, I said NO2.", true},
    {"change_case:capital_word_frequency", "{\"capital_relation\": \"at least\", \"capital_frequency\": 1}", "No 42", false},
    {"change_case:capital_word_frequency", "{\"capital_relation\": \"less than\", \"capital_frequency\": 1}", "OK", false},
    {"change_case:english_capital", "{}", "THE DOG IS IN THE HOUSE, NO. 7.", true},
    {"change_case:english_capital", "{}", "THE DOG is here", false},
    {"change_case:english_capital", "{}", "42", false},
    {"change_case:english_lowercase", "{}", "the dog is in the house.", true},
    {"change_case:english_lowercase", "{}", "The dog", false},
    {"change_case:english_lowercase", "{}", "der hund ist nicht mit den katzen", false},
    {"punctuation:no_comma", "{}", "No comma; none.", true},
    {"punctuation:no_comma", "{}", "One, two", false},
    {"punctuation:no_comma", "{}", "  \n ", false}, /* blank fails */
    {"startend:quotation", "{}", " \"Quoted.\" ", true},
    {"startend:quotation", "{}", "\"Quoted.", false},
    {"startend:quotation", "{}", "\"", false},
};
enum { N_CASES = sizeof cases / sizeof *cases };

static void ifeval__each_kind_is_judged(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    for (size_t i = 0; i < N_CASES; i++) {
        json_t *kwargs = json_loads(cases[i].kwargs, 0, NULL);
        bool strict = !cases[i].strict, loose;
        assert_ok(ctx, ifeval_check(ctx, cases[i].kind, kwargs, cases[i].response, &strict, &loose));
        if (strict != cases[i].strict)
            fail_msg("%s %s: '%s' should %s", cases[i].kind, cases[i].kwargs, cases[i].response,
                     cases[i].strict ? "pass" : "fail");
        assert_true(loose || !strict);
        json_decref(kwargs);
    }
    for (size_t k = 0; ifeval_kind(k); k++) {
        size_t n = 0;
        for (size_t i = 0; i < N_CASES; i++)
            n += strcmp(cases[i].kind, ifeval_kind(k)) == 0;
        if (n < 3)
            fail_msg("%s has %zu cases", ifeval_kind(k), n);
    }
    agon_ctx_free(ctx);
}

static void ifeval__loose_forgives_the_frame(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    bool strict, loose;
    json_t *none = json_object();
    assert_ok(ctx, ifeval_check(ctx, "startend:quotation", none, "Sure!\n\"Here it is.\"\nBye", &strict, &loose));
    assert_true(!strict && loose);
    assert_ok(ctx, ifeval_check(ctx, "punctuation:no_comma", none, "Sure, here:\nno\nBye, bye", &strict, &loose));
    assert_true(!strict && loose);
    /* One line: cutting it leaves blanks, which do not pass. */
    assert_ok(ctx, ifeval_check(ctx, "punctuation:no_comma", none, "Sure, no.", &strict, &loose));
    assert_true(!strict && !loose);
    json_decref(none);
    agon_ctx_free(ctx);
}

static void ifeval__bad_arguments_are_errors(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    bool strict, loose;
    json_t *none = json_object();
    assert_int_equal(ifeval_check(ctx, "punctuation:no_coma", none, "x", &strict, &loose), AGON_EINVAL);
    assert_non_null(strstr(agon_error(ctx), "punctuation:no_comma"));
    assert_int_equal(ifeval_check(ctx, "length_constraints:number_words", none, "x", &strict, &loose), AGON_EINVAL);
    assert_int_equal(ifeval_check(ctx, "keywords:existence", none, "x", &strict, &loose), AGON_EINVAL);
    assert_int_equal(ifeval_check(ctx, "language:response_language", none, "x", &strict, &loose), AGON_EINVAL);
    json_decref(none);
    agon_ctx_free(ctx);
}

/* No response may crash a check or take for ever. */
static void ifeval__hostile_responses_are_safe(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    enum { LONG = 4000 };
    char *slow = malloc(LONG + 1);
    const char *fill[] = {"*", "[", " \n", "*** ", "A ", "\xff", "a.", "<<", "\n-"};
    for (size_t f = 0; f < sizeof fill / sizeof *fill; f++) {
        for (size_t i = 0; i < LONG; i++)
            slow[i] = fill[f][i % strlen(fill[f])];
        slow[LONG] = 0;
        for (size_t i = 0; i < N_CASES; i++) {
            if (i > 0 && strcmp(cases[i].kind, cases[i - 1].kind) == 0)
                continue;
            json_t *kwargs = json_loads(cases[i].kwargs, 0, NULL);
            bool strict, loose;
            assert_ok(ctx, ifeval_check(ctx, cases[i].kind, kwargs, slow, &strict, &loose));
            json_decref(kwargs);
        }
    }
    free(slow);
    char *endless = malloc(100001);
    bool strict = true, loose = true;
    json_t *none = json_object();
    memset(endless, 'a', 100000);
    endless[100000] = 0;
    assert_ok(ctx, ifeval_check(ctx, "punctuation:no_comma", none, endless, &strict, &loose));
    assert_true(!strict && !loose);
    json_decref(none);
    free(endless);
    agon_ctx_free(ctx);
}

static void ifeval__suite_judges_prompts(void **state) {
    (void)state;
    static const char rows[] = "{\"key\": 1, \"prompt\": \"Write.\", \"instruction_id_list\": [\"punctuation:no_comma\", "
                               "\"startend:quotation\"], \"kwargs\": [{}, {}]}\n";
    static const char bad[] = "{\"key\": 1, \"prompt\": \"Write.\", \"instruction_id_list\": [\"punctuation:none\"], \"kwargs\": [{}]}\n";
    agon_ctx *ctx = test_ctx(1, NULL);
    char folder[] = "/tmp/agon-ifeval-XXXXXX", file[64], *evidence = NULL;
    assert_non_null(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/ifeval.jsonl", folder);
    setenv("AGON_DATA", folder, 1);
    suite *s = NULL;
    bool right;
    assert_int_equal(suite_open(ctx, "ifeval", 0, &s), AGON_ENOTFOUND);
    assert_ok(ctx, file_write(ctx, file, bad, strlen(bad)));
    assert_int_equal(suite_open(ctx, "ifeval", 0, &s), AGON_EINVAL);
    assert_non_null(strstr(agon_error(ctx), "ifeval.jsonl:1"));
    assert_ok(ctx, file_write(ctx, file, rows, strlen(rows)));
    assert_ok(ctx, suite_open(ctx, "ifeval", 0, &s));
    assert_ok(ctx, suite_judge(ctx, s, 0, "\"Fine.\"", &right, &evidence));
    assert_true(right);
    free(evidence);
    assert_ok(ctx, suite_judge(ctx, s, 0, "Fine.", &right, &evidence));
    assert_false(right);
    assert_non_null(strstr(evidence, "1 of 2"));
    assert_non_null(strstr(evidence, "startend:quotation"));
    free(evidence);
    suite_free(s);
    unlink(file);
    rmdir(folder);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ifeval__loose_variants_match_the_vector),
        cmocka_unit_test(ifeval__aggregates_match_the_vector),
        cmocka_unit_test(ifeval__each_kind_is_judged),
        cmocka_unit_test(ifeval__loose_forgives_the_frame),
        cmocka_unit_test(ifeval__bad_arguments_are_errors),
        cmocka_unit_test(ifeval__hostile_responses_are_safe),
        cmocka_unit_test(ifeval__suite_judges_prompts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
