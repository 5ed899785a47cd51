/* Whose words a failed answer is mended by (refine.words): the learner and the critic are programs, so that it is known what each can do. */
#include "own_queries.h"
#include "role_program.h"

/* Knows nothing by itself and believes what it is told. */
static const char learner_program[] =
    EACH_LINE("case \"$line\" in *'it must be '*) a=$(printf '%s\\n' \"$line\" | sed 's/.*it must be \\([0-9]*\\).*/\\1/');; *) a='no idea';; esac;"
              SAY("\\\"completions\\\":[\\\"$a\\\"]"));
/* Says what the sum is, of sums of 10 and more nothing; and one that only says that it is wrong. */
static const char knowing_critic[] =
    EACH_LINE("n=$(printf '%s\\n' \"$line\" | sed 's/.*How much is \\([0-9]*\\) and.*/\\1/'); c=''; [ \"$n\" -lt 10 ] && c=\"it must be $((n + 1))\";"
              SAY("\\\"completions\\\":[\\\"$c\\\"]"));
static const char vague_critic[] = EACH_LINE(SAY("\\\"completions\\\":[\\\"it is wrong\\\"]"));

enum { QUERIES = 16 };

static json_t *refined(stand *x, const char *critic, const char *words) {
    const char *file = own_file(x, 0, QUERIES, ""), *learner = write_file(x, "learner.sh", learner_program);
    return run_well(x, arena_printf(x->memory,
                                    "name: own\ntasks: {file: %s}\nlearner: {backend: command, command: sh %s, samples: 1}\ncritic: {backend: command, command: sh %s}\n"
                                    "refine: {queries: 100, samples: 1, learnability: 100%s}\nhuman: {labels: 0, audits: 0, demonstrations: 0}\n"
                                    "build: {documents: 0, real_share: 0}\nevaluate: {general: 0, documents: 0, gsm8k: 0}\n",
                                    file, learner, write_file(x, "critic.sh", critic), words));
}

/* Those with a critique of the model critic between them and what they mend. */
static const char by_the_critic[] = "SELECT count(*) FROM text r JOIN text c ON c.id = r.parent JOIN text a ON a.id = c.parent WHERE r.kind = 'refinement'"
                                    " AND c.kind = 'critique' AND c.slot = 'written' AND a.kind = 'response'";

static void refine__by_the_critics_words__mends_what_it_knows(void **state) {
    (void)state;
    for (int knows = 0; knows < 2; knows++) {
        stand *x = stand_new(NULL);
        json_t *summary = refined(x, knows ? knowing_critic : vague_critic, ", words: critic");
        const json_t *uplift = json_object_get(json_object_get(summary, "learnability"), "critic");
        const int64_t asked = stand_count(x, "SELECT count(*) FROM text WHERE kind = 'response'"),
                      told = stand_count(x, "SELECT count(*) FROM text WHERE kind = 'response' AND CAST(substr((SELECT body FROM text q WHERE q.id = text.parent), 13) AS INTEGER) < 10");
        const int64_t n = knows ? told : asked;
        assert_true(told > 4 && asked > told);
        assert_int_equal(field_int(json_object_get(summary, "learnability"), "n"), n);
        assert_close(field_real(uplift, "uplift"), knows, 1e-12);
        assert_close(field_real(uplift, "over_placebo"), knows, 1e-12);
        assert_close(field_real(uplift, "over_retry"), knows, 1e-12);
        assert_null(json_object_get(json_object_get(summary, "learnability"), "full"));
        assert_int_equal(stand_count(x, by_the_critic), n);
        assert_int_equal(stand_count(x, "SELECT count(*) FROM example WHERE objective = 'refine' AND origin = 'new'"), knows ? told : 0);
        assert_int_equal(stand_count(x, "SELECT count(*) FROM event WHERE message LIKE 'the critic had no words for % failures'"), knows);
        json_decref(summary);
        stand_free(x);
    }
}

/* Without the key the verifier's evidence is what is told, as ever, and the key is no part of the run. */
static void refine__by_the_verifiers_words__asks_no_critic(void **state) {
    (void)state;
    stand *x = stand_new(NULL);
    json_t *summary = refined(x, knowing_critic, ", words: verifier");
    assert_non_null(json_object_get(json_object_get(summary, "learnability"), "masked"));
    /* A placebo is another item's critique in the same form: the full one holds more than the masked one. */
    const int64_t n = field_int(json_object_get(summary, "learnability"), "n");
    assert_int_equal(stand_count(x, "SELECT count(*) FROM step_item WHERE path = 'iteration/1/learnability/placebo/respond'"), n);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM step_item f JOIN step_item m ON m.item = f.item WHERE f.path = 'iteration/1/learnability/placebo_full/respond'"
                                    " AND m.path = 'iteration/1/learnability/placebo/respond' AND length(f.input) > length(m.input)"), n);
    assert_int_equal(json_array_size(json_object_get(json_object_get(json_object_get(summary, "learnability"), "full"), "over_retry_ci95")), 2);
    assert_int_equal(stand_count(x, by_the_critic), 0);
    assert_true(stand_count(x, "SELECT count(*) FROM text WHERE kind = 'refinement'") > 0);
    assert_int_equal(stand_count(x, "SELECT count(*) FROM run WHERE name = 'own' AND json_extract(config, '$.refine.words') IS NULL"), 1);
    json_decref(summary);
    stand_free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refine__by_the_critics_words__mends_what_it_knows),
        cmocka_unit_test(refine__by_the_verifiers_words__asks_no_critic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
