/* Work on letters and words: answers in natural text, what is no answer, wrong golds. */
#include "test.h"
#include "task/family.h"

static const char word_garden[] = "{\"word\":\"garden\",\"gold\":\"%s\"}";

static json_t *parameters_of(const char *pattern, const char *gold) {
    char text[400];
    snprintf(text, sizeof text, pattern, gold);
    return json_loads(text, 0, NULL);
}

static const char sentence[] = "{\"sentence\":\"The old dog sleeps.\",\"gold\":\"%s\"}";
static const char house[] = "{\"sentence\":\"The old dog sleeps near the house.\",\"gold\":\"%s\"}";
static const char list[] = "{\"words\":[\"cat\",\"sun\",\"map\"],\"gold\":\"%s\"}";
static const char repeat[] = "{\"word\":\"sun\",\"n\":3,\"gold\":\"%s\"}";
static const char letter[] = "{\"word\":\"banana\",\"letter\":\"a\",\"gold\":\"%s\"}";
static const char lamp[] = "{\"word\":\"lamp\",\"gold\":\"%s\"}";
static const char tea[] = "{\"word\":\"tea\",\"gold\":\"%s\"}";

static const struct sample {
    const char *cell, *parameters, *gold, *response, *evidence; /* evidence NULL: passes */
} samples[] = {
    {"first_letter", word_garden, "g", "g", NULL},
    {"first_letter", word_garden, "g", "The first letter of \"garden\" is \"g\".", NULL},
    {"first_letter", word_garden, "g", "It is G, which is a consonant.", NULL},
    {"first_letter", word_garden, "g", "The word \"garden\" starts with a \"g\".", NULL},
    {"first_letter", word_garden, "g", "It is a 'g'.", NULL},
    {"first_letter", word_garden, "g", "It starts with a **g**.", NULL},
    {"first_letter", word_garden, "g", "It starts with a “g”.", NULL},
    {"first_letter", word_garden, "g", "It is \"a\" \"g\".", "several letters"},
    {"first_letter", word_garden, "g", "It is n.", "says n, but the first letter of 'garden' is g"},
    {"first_letter", word_garden, "g", "g, a, r, d, e, n", "several letters"},
    {"first_letter", word_garden, "g", "garden", "single letter"},
    {"last_letter", word_garden, "n", "g-a-r-d-e-n", "several letters"},
    {"last_letter", tea, "a", "The last letter is a.", NULL},
    {"last_letter", tea, "a", "The letter is a.", NULL},
    {"last_letter", tea, "a", "It is an “a”.", NULL},
    {"last_letter", tea, "a", "It is a word.", "single letter"},
    {"last_letter", tea, "a", "A is the last letter.", NULL},
    {"last_letter", tea, "a", "\"a\" is the last letter of tea.", NULL},
    {"last_letter", tea, "a", "It ends with a because that comes last.", NULL},
    {"last_letter", tea, "a", "The letter a ends it.", NULL},
    {"last_letter", tea, "a", "The last letter is a, which is a vowel.", NULL},
    {"last_letter", tea, "a", "It ends with a vowel.", "single letter"},
    {"last_letter", tea, "a", "The last letter is not a.", "single letter"},
    {"last_letter", tea, "a", "A is not the last letter.", "single letter"},
    {"first_letter", word_garden, "g", "The first letter is not g.", "single letter"},
    {"first_letter", word_garden, "g", "It isn't \"g\".", "single letter"},
    {"first_letter", word_garden, "g", "It is g, not a.", NULL},
    {"first_letter", word_garden, "g", "I think it is g.", NULL},
    {"spell_hyphens_short", lamp, "l-a-m-p", "l-a-m-p", NULL},
    {"spell_hyphens_short", lamp, "l-a-m-p", "The word lamp is spelled L-A-M-P.", NULL},
    {"spell_hyphens_short", lamp, "l-a-m-p", "l-a-p", "says l-a-p"},
    {"spell_hyphens_short", lamp, "l-a-m-p", "l a m p", "hyphens between"},
    {"spell_hyphens_short", lamp, "l-a-m-p", "lamp", "hyphens between"},
    {"spell_hyphens_short", lamp, "l-a-m-p", "l-a-m-p-p", "says l-a-m-p-p"},
    {"spell_spaces_short", lamp, "l a m p", "l a m p", NULL},
    {"spell_spaces_short", lamp, "l a m p", "l-a-m-p", "spaces between"},
    {"first_word", sentence, "The", "The", NULL},
    {"first_word", sentence, "The", "The first word is \"The\".", NULL},
    {"first_word", sentence, "The", "The old dog sleeps.", "repeats the sentence"},
    {"last_word", sentence, "sleeps", "The last word is sleeps.", NULL},
    {"last_word", sentence, "sleeps", "\"Sleeps\" is the last word of the sentence.", NULL},
    {"last_word", sentence, "sleeps", "sleeps is the last word", NULL},
    {"last_word", sentence, "sleeps", "“Sleeps” stands at the end.", NULL},
    {"last_word", sentence, "sleeps", "The last word is ‘dog’, I say.", "says dog"},
    {"last_word", sentence, "sleeps", "The old dog sleeps.", "repeats the sentence"},
    {"last_word", sentence, "sleeps", "Old dog sleeps.", "repeats the sentence"},
    {"last_word", sentence, "sleeps", "It is \"old dog, sleeps", "repeats the sentence"},
    {"last_word", sentence, "sleeps", "old dog **sleeps**", NULL},
    {"last_word", sentence, "sleeps", "The last word is dog.", "says dog"},
    {"last_word", house, "house", "house", NULL},
    {"last_word", house, "house", "house (noun)", NULL},
    {"last_word", house, "house", "The last word is house (a noun).", NULL},
    {"last_word", house, "house", "The last word is (house).", NULL},
    {"last_word", house, "house", "In \"The old dog sleeps near the house.\", the last word is house.", NULL},
    {"last_word", house, "house", "In \"The old dog sleeps near the house\", \"house\" comes last.", NULL},
    {"last_word", house, "house", "dog, house", "several words"},
    {"last_word", house, "house", "dog house", "several words"},
    {"last_word", house, "house", "\"dog\", \"house\"", "several words"},
    {"last_word", house, "house", "It is dog or house.", "several words"},
    {"last_word", house, "house", "cat, house", "several words"},
    {"last_word", house, "house", "cat house", "several words"},
    {"last_word", house, "house", "Sure: house", NULL},
    {"last_word", house, "house", "dog (house)", "says dog"},
    {"last_word", house, "house", "It is not house.", "what it is not"},
    {"last_word", house, "house", "\"House\" is not the last word.", "what it is not"},
    {"count_words", sentence, "4", "4", NULL},
    {"count_words", sentence, "4", "It has four words.", NULL},
    {"count_words", sentence, "4", "The 1, old 2, dog 3, sleeps 4, so the answer is 4.", NULL},
    {"count_words", sentence, "4", "It has five words.", "says 5, but"},
    {"count_words", sentence, "4", "many", "gives no number"},
    {"count_letters", lamp, "4", "There are 4 letters.", NULL},
    {"count_letters", lamp, "4", "There are 5 letters.", "says 5"},
    {"count_letter", letter, "3", "three", NULL},
    {"count_letter", letter, "3", "2", "says 2"},
    {"count_letter", letter, "3", "The letter occurs three times; the first one is the second letter.", NULL},
    {"count_letter", letter, "3", "three, not two", NULL},
    {"count_letter", letter, "3", "two or three", "several numbers"},
    {"count_letter", letter, "3", "one two three", "several numbers"},
    {"count_letter", letter, "3", "not three", "what the answer is not"},
    {"count_letter", letter, "3", "twenty-three", "says 23"},
    {"count_letter", letter, "3", "three hundred", "says 300"},
    {"count_letter", letter, "3", "one", "says 1"},
    {"upper_case_word", lamp, "LAMP", "LAMP", NULL},
    {"upper_case_word", lamp, "LAMP", "The word \"lamp\" in capital letters is \"LAMP\".", NULL},
    {"upper_case_word", lamp, "LAMP", "Lamp", "says Lamp"},
    {"upper_case_word", lamp, "LAMP", "lamp", "says lamp"},
    {"capitalise", lamp, "Lamp", "Lamp", NULL},
    {"capitalise", lamp, "Lamp", "LAMP", "says LAMP"},
    {"reverse_word", lamp, "pmal", "pmal", NULL},
    {"reverse_word", lamp, "pmal", "lamp", "says lamp"},
    {"repeat_word", repeat, "sun sun sun", "sun sun sun", NULL},
    {"repeat_word", repeat, "sun sun sun", "Sun, sun, sun!", NULL},
    {"repeat_word", repeat, "sun sun sun", "1. sun\n2. sun\n3. sun", NULL},
    {"repeat_word", repeat, "sun sun sun", "1) sun\n2) sun\n3) sun\n4) sun", "4 times"},
    {"repeat_word", repeat, "sun sun sun", "sun sun", "2 times"},
    {"repeat_word", repeat, "sun sun sun", "sun sun sun sun", "4 times"},
    {"repeat_word", repeat, "sun sun sun", "", "0 times"},
    {"reverse_list", list, "map, sun, cat", "map, sun, cat", NULL},
    {"reverse_list", list, "map, sun, cat", "cat, sun, map in reverse is map sun cat.", NULL},
    {"reverse_list", list, "map, sun, cat", "cat, sun, map", "says cat, sun, map"},
    {"reverse_list", list, "map, sun, cat", "map, sun", "all the words"},
    {"reverse_list", list, "map, sun, cat", "1. map\n2. sun\n3. cat", NULL},
    {"reverse_list", list, "map, sun, cat", "The words from last to first: map, sun and cat.", NULL},
    {"reverse_list", list, "map, sun, cat", "map, dog, sun, cat", "all the words"},
    {"reverse_list", list, "map, sun, cat", "map, sun, cat, dog", "every word once"},
    {"reverse_list", list, "map, sun, cat", "dog, map, sun, cat", "every word once"},
    {"reverse_list", list, "map, sun, cat", "not map, sun, cat", "all the words"},
    {"reverse_list", list, "map, sun, cat", "map, sun, cat or cat, sun, map", "every word once"},
    {"reverse_list", list, "map, sun, cat", "cat sun map sun cat", "every word once"},
    {"first_letter", word_garden, "g", "\xff\xc3", "single letter"},
    {"last_word", sentence, "sleeps", "\xe2\x82", "no word"},
};

static void test_answers(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        const struct sample *s = &samples[i];
        task_query q = {.text = "?", .family = "string", .cell = s->cell, .parameters = parameters_of(s->parameters, s->gold)};
        task_verdict v = {0};
        assert_ok(ctx, task_verify(ctx, &q, s->response, &v));
        if (s->evidence ? v.outcome != OUTCOME_FAIL || !strstr(v.evidence, s->evidence) : v.outcome != OUTCOME_PASS)
            fail_msg("%s, '%s': %s", s->cell, s->response, v.evidence);
        json_decref(q.parameters);
        task_verdict_free(&v);
    }
    agon_ctx_free(ctx);
}

/* The second solver confirms right golds and refuses wrong ones. */
static void test_second_solver(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    static const char text[] = "garden banana lamp sun tea; cat, sun, map; The old dog sleeps. The old dog sleeps near the house. \"a\"";
    static const char *const wrong[] = {"", "x", "g-a", "5", "-1", "99999999999999999999", "sun sun", "map, cat, sun", "dog", "old"};
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        const struct sample *s = &samples[i];
        task_query q = {.text = (char *)text, .family = "string", .cell = s->cell, .parameters = parameters_of(s->parameters, s->gold)};
        assert_ok(ctx, task_check(ctx, &q));
        json_decref(q.parameters);
        for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
            q.parameters = parameters_of(s->parameters, wrong[k]);
            if (task_check(ctx, &q) != AGON_EMISMATCH)
                fail_msg("%s: gold '%s' was confirmed", s->cell, wrong[k]);
            json_decref(q.parameters);
        }
    }
    agon_ctx_free(ctx);
}

static void test_hostile_parameters(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    static const struct {
        const char *cell, *parameters;
    } bad[] = {
        {"first_letter", "{}"}, {"first_letter", "{\"gold\":\"a\",\"word\":\"\"}"},
        {"first_letter", "{\"gold\":\"a\",\"word\":\"a b\"}"}, {"first_letter", "{\"gold\":1,\"word\":\"abc\"}"},
        {"first_letter", "{\"gold\":\"a\",\"word\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}"},
        {"repeat_word", "{\"gold\":\"a\",\"word\":\"abc\",\"n\":1000000000}"}, {"repeat_word", "{\"gold\":\"a\",\"word\":\"abc\"}"},
        {"count_letter", "{\"gold\":\"1\",\"word\":\"abc\",\"letter\":\"\"}"},
        {"last_word", "{\"gold\":\"a\",\"sentence\":\".\"}"}, {"last_word", "{\"gold\":\"a\",\"sentence\":\"a  b.\"}"},
        {"reverse_list", "{\"gold\":\"a\",\"words\":[\"ab\"]}"}, {"reverse_list", "{\"gold\":\"a\",\"words\":[\"ab\",\"ab\"]}"},
        {"reverse_list", "{\"gold\":\"a\",\"words\":[1,2,3]}"}, {"reverse_list", "{\"gold\":\"a\",\"words\":\"ab\"}"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        task_query q = {.text = "?", .family = "string", .cell = bad[i].cell, .parameters = json_loads(bad[i].parameters, 0, NULL)};
        task_verdict v = {0};
        assert_int_equal(task_check(ctx, &q), AGON_EINVAL);
        assert_int_equal(task_verify(ctx, &q, "abc", &v), AGON_EINVAL);
        json_decref(q.parameters);
    }
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_second_solver),
        cmocka_unit_test(test_hostile_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
