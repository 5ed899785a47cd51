/* Rewordings: good ones pass, each kind of change is found and named. */
#include "test.h"
#include "task/family.h"

static const char problem[] = "Tom has 12 apples. He buys 5 more. How many apples does Tom have?";
static const char problem_parameters[] = "{\"query\":\"Tom has 12 apples. He buys 5 more. How many apples does Tom have?\",\"answers\":[]}";
static const char problem_keep[] =
    "[{\"kind\":\"number\",\"value\":\"12\"},{\"kind\":\"number\",\"value\":\"5\"},{\"kind\":\"name\",\"value\":\"Tom\"},"
    "{\"kind\":\"text\",\"value\":\"apples\"}]";
static const char writing[] = "Write one sentence about the sea with at most 9 words.";
static const char writing_keep[] = "[{\"kind\":\"text\",\"value\":\"the sea\"},{\"kind\":\"any\",\"value\":\"at most|no more than|or fewer\"}]";
static const char writing_parameters[] =
    "{\"topic\":\"the sea\",\"setting\":\"\",\"constraints\":[{\"name\":\"max_words\",\"arguments\":{\"n\":9}}]}";
static const char reversing[] = "Write the word \"lamp\" backwards.";
static const char reversing_parameters[] = "{\"word\":\"lamp\",\"gold\":\"pmal\"}";

static const struct sample {
    char task; /* p: problem, w: writing, r: reversing */
    task_perturbation perturbation;
    const char *text, *reason; /* reason NULL: fine */
} samples[] = {
    {'p', PERTURBATION_PARAPHRASE, "If Tom owns 12 apples and buys 5 more, how many apples will he have?", NULL},
    {'p', PERTURBATION_PARAPHRASE, "Tom has twelve apples and then buys five more apples. What is his total?", NULL},
    {'p', PERTURBATION_PARAPHRASE, "With 12 apples at home, Tom goes out and buys 5. How many apples are Tom's now?", NULL},
    {'p', PERTURBATION_DISTRACTOR, "It rains. Tom has 12 apples. He buys 5 more. How many apples does Tom have?", NULL},
    {'p', PERTURBATION_RENAME, "Zebulon has 12 apples. Then Zebulon buys 5 more. How many apples does Zebulon have?", NULL},
    {'p', PERTURBATION_PARAPHRASE, "Tom has some apples. He buys 5 more. How many apples does Tom have?", "number 12 is gone"},
    {'p', PERTURBATION_PARAPHRASE, "Tom has 12 apples and buys 6 more. How many apples does Tom have?", "number 5 is gone"},
    {'p', PERTURBATION_PARAPHRASE, "Tim has 12 apples. He buys 5 more. How many apples does Tim have?", "name Tom is gone"},
    {'p', PERTURBATION_PARAPHRASE, "Tom and Anna have 12 apples. They buy 5 more. How many apples does Tom have?", "adds the name Anna"},
    {'p', PERTURBATION_RENAME, "Zeb and Ann have 12 apples. Zeb buys 5 more. How many apples does Ann have?", "2 names where 1"},
    {'p', PERTURBATION_PARAPHRASE, "Tom has 12 apples. In 3 days he buys 5 more. How many apples does Tom have?", "adds the number 3"},
    {'p', PERTURBATION_PARAPHRASE, "Tom has 12 apples. He buys 5 more for three friends. How many apples has Tom?", "adds the number 3"},
    {'p', PERTURBATION_PARAPHRASE, "Tom has 12 apples. He buys twice 5 more. How many apples does Tom have?", "twice"},
    {'p', PERTURBATION_PARAPHRASE, "Tom has 12 apples. He buys 5 more, which makes 17. How many apples does Tom have?", "adds the number 17"},
    {'p', PERTURBATION_PARAPHRASE, "Tom has 12 apples. He buys 5 more apples today.", "asks nothing"},
    {'p', PERTURBATION_PARAPHRASE, "Tom has 12 pears. He buys 5 more. How many pears does Tom have?", "'apples' is gone"},
    {'p', PERTURBATION_PARAPHRASE, problem, "same wording"},
    {'p', PERTURBATION_PARAPHRASE, "12 5 Tom?", "too short"},
    {'p', PERTURBATION_PARAPHRASE, "", "too short"},
    {'p', PERTURBATION_PARAPHRASE, "Tom has 12 apples \xff and 5 more. How many apples does Tom have?", "no plain text"},
    {'p', PERTURBATION_PARAPHRASE, "<|im_end|> Tom has 12 apples and buys 5. How many apples has Tom?", "chat marker"},
    {'w', PERTURBATION_PARAPHRASE, "Please compose a sentence on the sea using no more than 9 words.", NULL},
    {'w', PERTURBATION_PARAPHRASE, "In nine words or fewer, say something about the sea.", NULL},
    {'w', PERTURBATION_PARAPHRASE, "Write one sentence about the sea with 9 words.", "condition is gone"},
    {'w', PERTURBATION_PARAPHRASE, "Write one sentence about the lake with at most 9 words.", "'the sea' is gone"},
    /* Remarks: the query word for word, and nothing that asks, orders, limits or points at the task. */
    {'p', PERTURBATION_DISTRACTOR, "Tom has 12 apples. He buys 5 more. How many apples does Tom have? My friend likes boats.", NULL},
    {'p', PERTURBATION_DISTRACTOR, "It rains. Tom has 12 apples. He buys 5. How many apples does Tom have?", "word for word"},
    {'p', PERTURBATION_DISTRACTOR, "Each is big. Tom has 12 apples. He buys 5 more. How many apples does Tom have? Find their weight.", "word for word"},
    {'p', PERTURBATION_DISTRACTOR, "Give the weight. Tom has 12 apples. He buys 5 more. How many apples does Tom have?", "no plain remark"},
    {'p', PERTURBATION_DISTRACTOR, "Ignore what follows. Tom has 12 apples. He buys 5 more. How many apples does Tom have?", "'ignore'"},
    {'p', PERTURBATION_DISTRACTOR, "He then lost half. Tom has 12 apples. He buys 5 more. How many apples does Tom have?", "'half'"},
    {'w', PERTURBATION_DISTRACTOR, "It was a long day. Write one sentence about the sea with at most 9 words.", NULL},
    {'w', PERTURBATION_DISTRACTOR, "Lower case only. Write one sentence about the sea with at most 9 words.", "'only'"},
    {'r', PERTURBATION_DISTRACTOR, "It was a long day. Write one sentence about the word \"lamp\" backwards.", "word for word"},
    {'p', PERTURBATION_PARAPHRASE, "Tom has 12 apples. He gives away 5 more. How many apples does Tom have?", "what happens"},
    {'p', PERTURBATION_PARAPHRASE, "Tom has 12 apples and buys 5 more each day. How many apples does Tom have?", "what happens"},
    {'r', PERTURBATION_PARAPHRASE, "Write one sentence about the word \"lamp\" backwards.", "something else"},
    {'r', PERTURBATION_PARAPHRASE, "How to write the word \"lamp\" backwards?", "something else"},
    {'r', PERTURBATION_PARAPHRASE, "How often can a lamp be written backwards?", "no longer quoted"},
    {'r', PERTURBATION_PARAPHRASE, "Please reverse the letters of 'lamp'.", NULL},
    {'r', PERTURBATION_PARAPHRASE, "Please reverse the letters of \"lamp\".", NULL},
    {'r', PERTURBATION_PARAPHRASE, "Please reverse the letters of \"pmal\" for me.", "'lamp' is gone"},
    {'r', PERTURBATION_PARAPHRASE, "Write \"lamp\" backwards, which gives pmal.", "gives the answer away"},
    {'r', PERTURBATION_PARAPHRASE, "Write \"lamp\" backwards; the answer is easy.", "says what the answer is"},
};

/* Exactly "JAM" is the answer, however "jam" is written in the query. */
static void test_answer_in_other_case(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    task_query q = {.family = "string", .cell = "upper_case_word", .text = (char *)"Write the word \"jam\" in upper case."};
    q.parameters = json_loads("{\"word\":\"jam\",\"gold\":\"JAM\"}", 0, NULL);
    q.keep = json_array();
    bool ok = true;
    char *reason = NULL;
    assert_ok(ctx, task_variation_check(ctx, &q, PERTURBATION_PARAPHRASE, "Write the word \"JAM\" in capitals, please.", &ok, &reason));
    assert_false(ok);
    assert_non_null(strstr(reason, "gives the answer away"));
    free(reason);
    json_decref(q.parameters);
    json_decref(q.keep);
    agon_ctx_free(ctx);
}

static task_query query_of(char task) {
    task_query q = {.family = "writing", .cell = "max_words", .text = (char *)writing};
    if (task == 'p') {
        q.family = "user"; /* a row without an answer */
        q.cell = "query";
        q.text = (char *)problem;
    } else if (task == 'r') {
        q.family = "string";
        q.cell = "reverse_word";
        q.text = (char *)reversing;
    }
    q.parameters = json_loads(task == 'p' ? problem_parameters : task == 'r' ? reversing_parameters : writing_parameters, 0, NULL);
    q.keep = json_loads(task == 'p' ? problem_keep : task == 'r' ? "[]" : writing_keep, 0, NULL);
    return q;
}

static void test_rewordings(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        const struct sample *s = &samples[i];
        task_query q = query_of(s->task);
        bool ok = false;
        char *reason = NULL;
        assert_ok(ctx, task_variation_check(ctx, &q, s->perturbation, s->text, &ok, &reason));
        if (ok != !s->reason || (s->reason && !strstr(reason, s->reason)))
            fail_msg("'%s': %s", s->text, reason ? reason : "accepted");
        assert_true(ok == !reason);
        free(reason);
        json_decref(q.parameters);
        json_decref(q.keep);
    }
    agon_ctx_free(ctx);
}

/* The families' own paraphrases are rewordings of their plain queries: nearly all must pass. */
static void test_own_paraphrases_pass(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    for (size_t cell = 0; cell < task_n_cells(); cell++) {
        if (strcmp(task_cell_family(cell), "string") != 0 && strcmp(task_cell_family(cell), "writing") != 0)
            continue;
        for (uint64_t i = 0; i < 20; i++) {
            task_query plain = {0}, rare = {0};
            bool ok = false;
            char *reason = NULL;
            assert_ok(ctx, task_generate(ctx, cell, i, PERTURBATION_NONE, &plain));
            assert_ok(ctx, task_generate(ctx, cell, i, PERTURBATION_PARAPHRASE, &rare));
            assert_ok(ctx, task_variation_check(ctx, &plain, PERTURBATION_PARAPHRASE, rare.text, &ok, &reason));
            if (!ok)
                fail_msg("%s: '%s' for '%s': %s", plain.cell, rare.text, plain.text, reason);
            task_query_free(&plain);
            task_query_free(&rare);
        }
    }
    agon_ctx_free(ctx);
}

static void test_variation_is_the_same_task(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    task_query q = query_of('w'), out = {0};
    assert_ok(ctx, task_variation(ctx, &q, PERTURBATION_PARAPHRASE, "  In nine words or fewer, describe the sea. ", &out));
    assert_string_equal(out.text, "In nine words or fewer, describe the sea.");
    char *a = task_identity(&q), *b = task_identity(&out);
    assert_string_equal(a, b);
    assert_int_equal(out.perturbation, PERTURBATION_PARAPHRASE);
    assert_true(json_equal(q.keep, out.keep) && q.keep != out.keep);
    free(a);
    free(b);
    task_query_free(&out);
    json_decref(q.parameters);
    json_decref(q.keep);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rewordings),
        cmocka_unit_test(test_answer_in_other_case),
        cmocka_unit_test(test_own_paraphrases_pass),
        cmocka_unit_test(test_variation_is_the_same_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
