/* Writing constraints: a passing, a failing and a boundary answer each; what would game them; bad arguments. */
#include "test.h"
#include "task/family.h"

typedef struct sample {
    const char *name, *arguments; /* JSON or NULL */
    const char *response;
    task_outcome outcome;
    const char *evidence; /* a part of it, NULL: any */
} sample;
#define Y OUTCOME_PASS
#define X OUTCOME_FAIL

static const sample samples[] = {
    {"lower_case", NULL, "the sea is calm.", Y, NULL},
    {"lower_case", NULL, "the sea is Calm.", X, "'Calm.' has a capital letter"},
    {"lower_case", NULL, "das meer ist grün, 3 mal.", Y, NULL},
    {"lower_case", NULL, "das meer ist Übergroß", X, "Übergroß"},
    {"lower_case", NULL, "123 !", X, "no letters"},
    {"lower_case", NULL, "\xff\xfe the sea", Y, NULL},
    {"upper_case", NULL, "THE SEA IS CALM.", Y, NULL},
    {"upper_case", NULL, "THE SEA iS CALM.", X, "'iS'"},
    {"upper_case", NULL, "ÉTÉ 1", Y, NULL},
    {"upper_case", NULL, "ÉTé", X, NULL},
    {"no_commas", NULL, "The sea is calm; so am I.", Y, NULL},
    {"no_commas", NULL, "The sea, it is calm.", X, "'sea,'"},
    {"no_commas", NULL, "海，天", X, NULL},
    {"no_digits", NULL, "I have two dogs.", Y, NULL},
    {"no_digits", NULL, "I have 2 dogs.", X, "'2'"},
    {"no_digits", NULL, "Room ٣ is free.", X, NULL},
    {"no_letter", "{\"letter\":\"e\"}", "A dog runs.", Y, NULL},
    {"no_letter", "{\"letter\":\"e\"}", "A dog sleeps.", X, "'sleeps.'"},
    {"no_letter", "{\"letter\":\"e\"}", "EAT a bun.", X, "'EAT'"},
    {"max_words", "{\"n\":4}", "The sea is calm.", Y, "has 4 words"},
    {"max_words", "{\"n\":4}", "The sea is very calm.", X, "has 5 words, but at most 4 are allowed"},
    {"max_words", "{\"n\":4}", "The well-known sea - is calm", X, NULL},
    {"max_words", "{\"n\":4}", "well-known sea - is calm", Y, NULL},
    {"min_words", "{\"n\":4}", "The sea is calm.", Y, NULL},
    {"min_words", "{\"n\":4}", "The sea calm.", X, "has 3 words"},
    {"min_words", "{\"n\":4}", "The sea . . . -- !", X, "has 2 words"},
    {"exact_words", "{\"n\":3}", "The calm sea.", Y, NULL},
    {"exact_words", "{\"n\":3}", "The sea.", X, NULL},
    {"exact_words", "{\"n\":3}", "The very calm sea.", X, NULL},
    {"sentences", "{\"n\":2}", "The sea is calm. It is blue.", Y, NULL},
    {"sentences", "{\"n\":2}", "The sea is calm.", X, "has 1 sentence, but exactly 2 are asked"},
    {"sentences", "{\"n\":2}", "The sea is calm. It is blue. Yes!", X, "has 3"},
    {"sentences", "{\"n\":1}", "Dr. Smith paid 3.5 dollars at 10 a.m. today.", Y, NULL},
    {"sentences", "{\"n\":1}", "He said \"No!\" and it is well...", X, NULL},
    {"sentences", "{\"n\":1}", "no mark at the end", Y, NULL},
    {"sentences", "{\"n\":2}", "Here it is\n\nThe sea is calm", Y, NULL},
    {"sentences", "{\"n\":2}", "今天下雨。我在家。", Y, NULL},
    {"bullets", "{\"n\":2}", "- The sea is calm.\n- It is blue.", Y, NULL},
    {"bullets", "{\"n\":2}", "- The sea is calm.\n- It is blue.\n* Salty.", X, "has 3 bullet points"},
    {"bullets", "{\"n\":2}", "Facts:\n\n  1. Calm.\n  2) Blue.\r\n", Y, NULL},
    {"bullets", "{\"n\":2}", "• calm\n• blue", Y, NULL},
    {"bullets", "{\"n\":2}", "- calm\n- ", X, NULL},
    {"bullets", "{\"n\":2}", "- calm\n- calm", X, "same bullet point twice"},
    {"bullets", "{\"n\":2}", "- calm\n-blue", X, NULL},
    {"placeholders", "{\"n\":2}", "[name] is in [city].", Y, NULL},
    {"placeholders", "{\"n\":2}", "[name] is in [city.", X, "has 1 placeholder"},
    {"placeholders", "{\"n\":1}", "[] and [ ] are empty", X, NULL},
    {"placeholders", "{\"n\":1}", "[[name]]", Y, NULL},
    {"highlight", "{\"n\":1}", "The sea is *calm*.", Y, NULL},
    {"highlight", "{\"n\":1}", "The sea is **calm**.", Y, NULL},
    {"highlight", "{\"n\":1}", "The sea * is calm.", X, NULL},
    {"required_word", "{\"word\":\"window\"}", "I see the sea from my Window.", Y, NULL},
    {"required_word", "{\"word\":\"window\"}", "I see the sea from my windows.", X, "'window' does not occur"},
    {"required_word", "{\"word\":\"window\"}", "window-shopping", Y, NULL},
    {"forbidden_word", "{\"word\":\"however\"}", "The sea is calm.", Y, NULL},
    {"forbidden_word", "{\"word\":\"however\"}", "The sea, However, is calm.", X, "the word 'however' occurs although it is forbidden"},
    {"forbidden_word", "{\"word\":\"how\"}", "However calm", Y, NULL},
    {"start_phrase", "{\"phrase\":\"In my view\"}", "In my view, it is calm.", Y, NULL},
    {"start_phrase", "{\"phrase\":\"In my view\"}", "It is, in my view, calm.", X, "starts with 'It'"},
    {"start_phrase", "{\"phrase\":\"In my view\"}", "  \"in my  VIEW it is", Y, NULL},
    {"start_phrase", "{\"phrase\":\"In my view\"}", "In my viewing it is", X, NULL},
    {"end_phrase", "{\"phrase\":\"as we know\"}", "The sea is calm as we know.", Y, NULL},
    {"end_phrase", "{\"phrase\":\"as we know\"}", "As we know it is calm.", X, "ends with 'calm'"},
    {"end_phrase", "{\"phrase\":\"as we know.\"}", "It is calm, As we know!\"\n", Y, NULL},
    {"end_phrase", "{\"phrase\":\"as we know\"}", "It has we know", X, NULL},
    {"exclamation", NULL, "The sea is calm!", Y, NULL},
    {"exclamation", NULL, "Oh! The sea is calm.", X, "ends with '.'"},
    {"exclamation", NULL, "\"The sea!\" ", Y, NULL},
    {"exclamation", NULL, "**The sea is calm!**", Y, NULL},
    {"exclamation", NULL, "The sea is *calm.*", X, "ends with '.'"},
    {"question", NULL, "Is the sea calm?", Y, NULL},
    {"question", NULL, "**Is the sea calm?**", Y, NULL},
    {"question", NULL, "_Is the sea calm?_", Y, NULL},
    {"question", NULL, "The sea is calm.", X, NULL},
    {"question", NULL, "Is it calm? Yes", X, NULL},
    {"quotation", NULL, "\"The sea is calm.\"", Y, NULL},
    {"quotation", NULL, "\"The sea is calm.", X, "does not close"},
    {"quotation", NULL, "“The sea is calm.”\n", Y, NULL},
    {"quotation", NULL, "The \"sea\"", X, "does not open"},
    {"quotation", NULL, "'The sea'", X, "is not quoted"},
    {"quotation", NULL, "\"Dogs\" are \"loyal\"", X, "not one quotation"},
    {"quotation", NULL, "“Dogs” are “loyal”", X, "not one quotation"},
    {"quotation", NULL, "\"Dogs are loyal.\"\n\"Cats are not.\"", X, "not one quotation"},
    {"quotation", NULL, "\"He said \"no\" to me.\"", Y, NULL},
    {"quotation", NULL, "\"He said \"no\"\"", Y, NULL},
    {"quotation", NULL, "“He said “no” to me.”", Y, NULL},
    {"json_object", "{\"keys\":[\"name\",\"size\"]}", "{\"name\": \"sea\", \"size\": 3}", Y, NULL},
    {"json_object", "{\"keys\":[\"name\",\"size\"]}", "{\"name\": \"sea\"}", X, "no key 'size'"},
    {"json_object", "{\"keys\":[\"name\"]}", "{\"name\": \"sea\"", X, "is not a JSON object"},
    {"json_object", "{\"keys\":[\"name\"]}", "{\"name\": \"\"}", X, "empty value"},
    {"json_object", "{\"keys\":[\"name\"]}", "[\"name\"]", X, "not an object"},
    {"json_object", "{\"keys\":[\"name\"]}", "```json\n{\"name\": \"sea\"}\n```", Y, NULL},
    {"json_object", "{\"keys\":[\"name\"]}", "```a```", X, NULL},
    {"json_object", "{\"keys\":[\"name\"]}", "{\"name\": \"\xff\"}", X, NULL},
    {"title", NULL, "<<The Calm Sea>>", Y, NULL},
    {"title", NULL, "<The Calm Sea>", X, "no title"},
    {"title", NULL, "<<title>>", X, "no title"},
    {"title", NULL, "<< >>", X, "empty"},
    {"repeat_request", "{\"request\":\"Name a color.\"}", "Name a color. Red.", Y, NULL},
    {"repeat_request", "{\"request\":\"Name a color.\"}", "Name a color.", X, "no answer follows"},
    {"repeat_request", "{\"request\":\"Name a color.\"}", "Name one color. Red.", X, "repeats only 1 of the request's 3"},
    {"repeat_request", "{\"request\":\"Name a color.\"}", "\"name a color\"\nred", Y, NULL},
};

static void test_constraints(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        const sample *s = &samples[i];
        json_t *arguments = s->arguments ? json_loads(s->arguments, 0, NULL) : NULL;
        task_verdict v = {0};
        assert_ok(ctx, writing_constraint_verify(ctx, s->name, arguments, s->response, &v));
        if (v.outcome != s->outcome || (s->evidence && !strstr(v.evidence, s->evidence)))
            fail_msg("%s of '%s': %s (%s)", s->name, s->response, task_outcome_name(v.outcome), v.evidence);
        assert_true(v.span_end <= strlen(s->response));
        assert_string_equal(v.evidence, v.masked);
        json_decref(arguments);
        task_verdict_free(&v);
    }
    agon_ctx_free(ctx);
}

/* Every constraint has a passing and a failing sample, and refuses an empty answer and survives hostile bytes. */
static void test_every_constraint_is_covered(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    size_t n = 0;
    for (const char *name; (name = writing_constraint_name(n)); n++) {
        const char *arguments = NULL;
        int passes = 0, fails = 0;
        for (size_t i = 0; i < sizeof samples / sizeof *samples; i++)
            if (strcmp(samples[i].name, name) == 0) {
                passes += samples[i].outcome == Y;
                fails += samples[i].outcome == X;
                arguments = samples[i].arguments;
            }
        if (passes == 0 || fails == 0)
            fail_msg("%s has %d passing and %d failing samples", name, passes, fails);
        json_t *a = arguments ? json_loads(arguments, 0, NULL) : NULL;
        static const char *const hostile[] = {"", " \n\t", "...", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xff\xff\xff", "- ", "<<", "[", "*", "```",
                                              "\"", "{", "\xed\xa0\x80 x", "1.", "\"\"", "\xc2\x85"};
        for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
            task_verdict v = {0};
            assert_ok(ctx, writing_constraint_verify(ctx, name, a, hostile[i], &v));
            if (i < 3)
                assert_int_equal(v.outcome, OUTCOME_FAIL);
            task_verdict_free(&v);
        }
        json_decref(a);
    }
    assert_true(n >= 15);
    agon_ctx_free(ctx);
}

static void test_bad_arguments(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    static const struct {
        const char *name, *arguments, *says;
    } bad[] = {
        {"max_word", "{\"n\":3}", "did you mean 'max_words'"}, {"max_words", NULL, "needs the argument 'n'"},
        {"max_words", "{\"n\":0}", "from 1 to 10000"},        {"max_words", "{\"n\":-5}", "from 1 to 10000"},
        {"max_words", "{\"n\":\"3\"}", "n"},                  {"max_words", "{\"n\":3,\"m\":1}", "no argument 'm'"},
        {"lower_case", "{\"n\":3}", "no argument 'n'"},       {"required_word", "{\"word\":\"two words\"}", "one word"},
        {"required_word", "{\"word\":\"\"}", "no word"},      {"no_letter", "{\"letter\":\"ab\"}", "one letter"},
        {"json_object", "{\"keys\":[]}", "1 to 16"},          {"json_object", "{\"keys\":[3]}", "key 1"},
        {"start_phrase", "{\"phrase\":\"...\"}", "no word"},  {"start_phrase", "[]", "must be a JSON object"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *a = bad[i].arguments ? json_loads(bad[i].arguments, 0, NULL) : NULL;
        task_verdict v = {0};
        assert_int_equal(writing_constraint_check(ctx, "row 3", bad[i].name, a), AGON_EINVAL);
        assert_non_null(strstr(agon_error(ctx), "row 3"));
        if (!strstr(agon_error(ctx), bad[i].says))
            fail_msg("%s: '%s' lacks '%s'", bad[i].name, agon_error(ctx), bad[i].says);
        assert_int_equal(writing_constraint_verify(ctx, bad[i].name, a, "text", &v), AGON_EINVAL);
        assert_null(v.evidence);
        json_decref(a);
    }
    agon_ctx_free(ctx);
}

static task_query query_of(const char *cell, const char *text, const char *parameters) {
    return (task_query){.text = (char *)text, .family = "writing", .cell = cell, .parameters = json_loads(parameters, 0, NULL)};
}

/* What meets the constraint and is no answer. */
static const struct game {
    const char *cell, *text, *constraints, *response, *evidence; /* evidence NULL: passes */
} games[] = {
#define LOWER "lower_case", "Write one sentence about the sea in lower case only.", "{\"name\":\"lower_case\"}"
    {LOWER, "the sea is calm.", NULL},
    {LOWER, "waves roll on and on", NULL},
    {LOWER, "oceans are big", NULL},
    {LOWER, "", "is empty"},
    {LOWER, "sea", "no sentence"},
    {LOWER, "dogs like to run.", "does not mention the sea"},
    {LOWER, "the sea is calm. it is blue.", "has 2 sentences"},
    {LOWER, "write one sentence about the sea in lower case only.", "repeats the request"},
    {LOWER, "write a sentence about the sea in lower case only.", "repeats the request"},
    {LOWER, "The sea is calm.", "capital"},
#define TITLE "title", "Write a title with the word \"sea\" for a poem in double angle brackets like <<title>>.", \
              "{\"name\":\"title\"},{\"name\":\"required_word\",\"arguments\":{\"word\":\"sea\"}}"
    {TITLE, "<<Deep Sea>>", NULL},
    {TITLE, "Here is a title with the word \"sea\": <<The Sea>>", NULL},
    {TITLE, "Here is a title with the word \"sea\": <<Deep Blue>>", "the word 'sea' does not occur"},
    {TITLE, "<<x>> sea", "the word 'sea' does not occur"},
    {TITLE, "The sea", "has no title"},
#define REPEATED "repeat_request", "First repeat this request and then answer it: Write one sentence about the sea.", \
                 "{\"name\":\"repeat_request\",\"arguments\":{\"request\":\"Write one sentence about the sea.\"}}"
    {REPEATED, "Write one sentence about the sea. The sea is deep.", NULL},
    {REPEATED, "Write one sentence about the sea. Write one sentence about the sea.", "repeats the request instead"},
    {REPEATED, "Write one sentence about the sea. Write a sentence about the sea.", "repeats the request instead"},
    {REPEATED, "The sea is deep.", "repeats only"},
#define KEYS2 "json_object", "Describe the sea as a JSON object with the keys \"topic\" and \"time\".", \
              "{\"name\":\"json_object\",\"arguments\":{\"keys\":[\"topic\",\"time\"]}}"
    {KEYS2, "{\"topic\": \"sea\", \"time\": \"at night\"}", NULL},
    {KEYS2, "{\"topic\": [\"the ocean\"], \"time\": 3}", NULL},
    {KEYS2, "{\"topic\": 0, \"time\": 0}", "the value of 'topic' does not mention the sea"},
    {KEYS2, "{\"topic\": \"x\", \"time\": \"sea\"}", "the value of 'topic' does not mention the sea"},
    {KEYS2, "{\"topic\": \"sea\", \"time\": \"x\", \"feature\": \"x\"}", "the key 'feature', which was not asked for"},
#define KEYS1 "json_object", "Describe the sea as a JSON object with the keys \"feature\" and \"time\".", \
              "{\"name\":\"json_object\",\"arguments\":{\"keys\":[\"feature\",\"time\"]}}"
    {KEYS1, "{\"feature\": \"its waves\", \"time\": \"at night\"}", NULL},
    {KEYS1, "{\"feature\": {\"a\": \"salty\\nwater\"}, \"time\": \"at night\"}", NULL},
    {KEYS1, "{\"feature\": \"x\", \"time\": \"x\"}", "the JSON object does not mention the sea"},
#define MARKED "highlight", "Write one sentence about the sea with one word between asterisks like *this*.", \
               "{\"name\":\"highlight\",\"arguments\":{\"n\":1}}"
    {MARKED, "The sea is *deep*.", NULL},
    {MARKED, "The sea is **deep**.", NULL},
    {MARKED, "*The sea is deep and blue.*", "marks 6 words"},
    {MARKED, "*The* *sea* *is* *deep*.", "marks 4 parts"},
#define QUESTION "question", "Ask one question about the sea.", "{\"name\":\"question\"},{\"name\":\"sentences\",\"arguments\":{\"n\":1}}"
    {QUESTION, "Why is the sea blue?", NULL},
    {QUESTION, "sea?", "only 1 word"},
    {QUESTION, "The sea?", "only 2 words"},
#define SENTENCES "sentences", "Write exactly 3 sentences about the sea.", "{\"name\":\"sentences\",\"arguments\":{\"n\":3}}"
    {SENTENCES, "The sea is blue. It is deep. I like it.", NULL},
    {SENTENCES, "Sea. Sea. Sea.", "only 1 word"},
    {SENTENCES, "The sea is blue. The sea is deep. the sea, is blue!", "same sentence twice"},
    {SENTENCES, "The sea is blue. The sea is blue and deep. The sea is.", NULL},
};

static void test_gaming(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    for (size_t i = 0; i < sizeof games / sizeof *games; i++) {
        const struct game *g = &games[i];
        char parameters[400];
        snprintf(parameters, sizeof parameters, "{\"topic\":\"the sea\",\"setting\":\"%s\",\"constraints\":[%s]}",
                 strcmp(g->cell, "title") == 0 ? "a poem" : "", g->constraints);
        task_query q = query_of(g->cell, g->text, parameters);
        task_verdict v = {0};
        assert_ok(ctx, task_verify(ctx, &q, g->response, &v));
        if (g->evidence ? v.outcome != X || !strstr(v.evidence, g->evidence) : v.outcome != Y)
            fail_msg("%s, '%s': %s", g->cell, g->response, v.evidence);
        if (v.quote)
            assert_memory_equal(v.quote, g->response + v.span_start, v.span_end - v.span_start);
        task_verdict_free(&v);
        json_decref(q.parameters);
    }
    agon_ctx_free(ctx);
}

static void test_hostile_parameters(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    static const char *const bad[] = {
        "{}", "{\"topic\":3}", "{\"topic\":\"the sea\"}",
        "{\"topic\":\"sin\",\"setting\":\"\",\"constraints\":[{\"name\":\"max_words\",\"arguments\":{\"n\":9}}]}",
        "{\"topic\":\"the sea\",\"setting\":\"on Mars\",\"constraints\":[{\"name\":\"max_words\",\"arguments\":{\"n\":9}}]}",
        "{\"topic\":\"the sea\",\"setting\":\"\",\"constraints\":[]}",
        "{\"topic\":\"the sea\",\"setting\":\"\",\"constraints\":[3]}",
        "{\"topic\":\"the sea\",\"setting\":\"\",\"constraints\":[{\"name\":\"min_words\",\"arguments\":{\"n\":9}}]}",
        "{\"topic\":\"the sea\",\"setting\":\"\",\"constraints\":[{\"name\":\"max_words\",\"arguments\":{\"n\":1e9}}]}",
        "{\"topic\":\"the sea\",\"setting\":\"\",\"constraints\":[{\"name\":\"max_words\",\"arguments\":{\"n\":2}}]}", /* unsolvable */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        task_query q = query_of("max_words", "Write one sentence about the sea with at most 9 words.", bad[i]);
        if (task_check(ctx, &q) == AGON_OK)
            fail_msg("accepted: %s", bad[i]);
        assert_true(strlen(agon_error(ctx)) > 0);
        json_decref(q.parameters);
    }
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_constraints),
        cmocka_unit_test(test_every_constraint_is_covered),
        cmocka_unit_test(test_bad_arguments),
        cmocka_unit_test(test_gaming),
        cmocka_unit_test(test_hostile_parameters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
