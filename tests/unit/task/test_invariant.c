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

static const char story[] = "Tom has 12 apples and gives 5 of them to Mia. How many apples are left?";
static const char story_parameters[] = "{\"steps\":\"a-b\",\"numbers\":[12,5],\"gold\":7}";
static const char story_keep[] =
    "[{\"kind\":\"number\",\"value\":\"12\"},{\"kind\":\"number\",\"value\":\"5\"},{\"kind\":\"name\",\"value\":\"Tom\"},"
    "{\"kind\":\"name\",\"value\":\"Mia\"},{\"kind\":\"any\",\"value\":\"left|remain|remains|remaining\"}]";
static const char comparing[] = "Which number is larger, 67 or 89?";
static const char comparing_parameters[] = "{\"items\":[67,89],\"gold\":89}";
static const char comparing_keep[] = "[{\"kind\":\"any\",\"value\":\"larger|largest|greater|greatest|bigger|biggest|higher|highest\"}]";
static const char letter[] = "What is the first letter of the word \"garden\"?";
static const char letter_parameters[] = "{\"word\":\"garden\",\"gold\":\"g\"}";
static const char letter_keep[] = "[{\"kind\":\"any\",\"value\":\"first letter|start|starts|begin|begins|initial\"}]";

static const struct sample {
    char task; /* p: problem, w: writing, r: reversing, s: story, 2: two owners, c: comparing, o: order, l: letter, + - /: arithmetic */
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
    {'s', PERTURBATION_PARAPHRASE, "Tom had 12 apples and gave 5 of them to Mia. How many apples remain?", NULL},
    {'s', PERTURBATION_PARAPHRASE, "If Tom has twelve apples and gives five to Mia, how many are left?", NULL},
    {'s', PERTURBATION_RENAME, "Zeb has 12 apples and gives 5 of them to Ann. How many apples are left?", NULL},
    {'s', PERTURBATION_PARAPHRASE, "Tom had 12 apples and gave 5 of them to Mia. How many apples does Mia get from Tom?", "condition is gone"},
    {'s', PERTURBATION_PARAPHRASE, "Mia has 5 apples. Tom gives 12 more to Mia. How many apples does Mia have now?", "another order"},
    {'s', PERTURBATION_PARAPHRASE, "Mia has five apples. Tom gives 12 to Mia. How many apples are left?", "another order"},
    {'s', PERTURBATION_PARAPHRASE, "Tom gives 5 of his 12 apples to Mia. How many apples did he have at first?", "another order"},
    {'s', PERTURBATION_PARAPHRASE, "Tom has 12 apples and gives 5 to Mia. How many apples are left, or did he have at first?", "what happens"},
    {'s', PERTURBATION_PARAPHRASE, "Tom has 12 apples, gives 5 to Mia. At first and not left, how many?", "adds the word 'not'"},
    {'s', PERTURBATION_PARAPHRASE, "Tom has 12 apples left after he gives 5 to Mia. How many apples has Tom at first?", "what happens"},
    {'s', PERTURBATION_PARAPHRASE, "Tom has 12 apples and gives 5 of them to Mia. Are any apples left?", "yes or no"},
    {'c', PERTURBATION_PARAPHRASE, "Of 67 and 89, which one is greater?", NULL},
    {'c', PERTURBATION_PARAPHRASE, "Can you tell me which number is bigger: 67 or 89?", NULL},
    {'c', PERTURBATION_PARAPHRASE, "Is 67 larger than 89?", "yes or no"},
    {'c', PERTURBATION_PARAPHRASE, "Of the numbers 67 and 89, is the latter larger?", "yes or no"},
    {'c', PERTURBATION_PARAPHRASE, "Which number is not larger, 67 or 89?", "adds the word 'not'"},
    {'c', PERTURBATION_PARAPHRASE, "Which number isn't larger, 67 or 89?", "adds the word 'isn't'"},
    {'c', PERTURBATION_PARAPHRASE, "Which one is the smaller, when 67 or 89 is larger?", "opposite"},
    {'c', PERTURBATION_PARAPHRASE, "By how much is the larger of 67 and 89 greater than the other?", "something else"},
    {'c', PERTURBATION_PARAPHRASE, "Which of 67 and 89 has the larger last digit?", "something else"},
    {'c', PERTURBATION_PARAPHRASE, "How far is 67 from the larger number 89?", "something else"},
    {'l', PERTURBATION_PARAPHRASE, "Which letter does the word \"garden\" start with?", NULL},
    {'l', PERTURBATION_PARAPHRASE, "What letter comes after the first letter of \"garden\"?", "something else"},
    {'l', PERTURBATION_PARAPHRASE, "What is the letter following the first letter of \"garden\"?", "something else"},
    {'l', PERTURBATION_PARAPHRASE, "Name a word that starts like \"garden\".", "something else"},
    {'l', PERTURBATION_PARAPHRASE, "Does the word \"garden\" start with a letter?", "yes or no"},
    {'o', PERTURBATION_PARAPHRASE, "Put 221, 541 and 899 in ascending order, please: 541, 221, 899.", "adds the number 221"},
    {'o', PERTURBATION_PARAPHRASE, "Please put 541, 221 and 899 in ascending order.", NULL},
    {'o', PERTURBATION_PARAPHRASE, "Sort in ascending order and give only the middle one: 541, 221, 899", "something else"},
    {'o', PERTURBATION_PARAPHRASE, "Put 541, 221, 899 in ascending order by their last digit.", "something else"},
    {'-', PERTURBATION_PARAPHRASE, "What is 73 minus 21?", NULL},
    {'-', PERTURBATION_PARAPHRASE, "Subtract 21 from 73.", NULL},
    {'-', PERTURBATION_PARAPHRASE, "From 73 please subtract 21.", NULL},
    {'-', PERTURBATION_PARAPHRASE, "What is left when twenty-one is taken from seventy-three?", NULL},
    {'-', PERTURBATION_PARAPHRASE, "What is 21 - 73?", "in an order"},
    {'-', PERTURBATION_PARAPHRASE, "Subtract 73 from 21.", "in an order"},
    {'-', PERTURBATION_PARAPHRASE, "Subtract seventy-three from twenty-one.", "in an order"},
    {'-', PERTURBATION_PARAPHRASE, "Subtract 21 from 73 and give the last digit.", "'digit'"},
    {'/', PERTURBATION_PARAPHRASE, "Divide 91 by 7.", NULL},
    {'/', PERTURBATION_PARAPHRASE, "Find the quotient when 7 goes into 91.", NULL},
    {'/', PERTURBATION_PARAPHRASE, "Divide 7 by 91.", "in an order"},
    {'/', PERTURBATION_PARAPHRASE, "Find the quotient when 91 goes into 7.", "in an order"},
    {'+', PERTURBATION_PARAPHRASE, "Find the sum of 20 and 73.", NULL},
    {'+', PERTURBATION_PARAPHRASE, "What is the total of twenty and seventy-three?", NULL},
    {'+', PERTURBATION_PARAPHRASE, "Multiply 20 by 73 and give the total.", "another operation"},
    {'+', PERTURBATION_PARAPHRASE, "What is the total of 20 times 73?", "another operation"},
    {'+', PERTURBATION_PARAPHRASE, "What is the total, 20 x 73?", "another operation"},
    {'+', PERTURBATION_PARAPHRASE, "What is the sum of the digits of 20 and 73?", "'digits'"},
    {'2', PERTURBATION_PARAPHRASE, "Sara owns 61 cookies and Lily 49. How many more belong to Sara than to Lily?", NULL},
    {'2', PERTURBATION_RENAME, "Zeb has 61 cookies. Ann has 49 cookies. How many more cookies belong to Zeb than to Ann?", NULL},
    {'2', PERTURBATION_RENAME, "Zeb has 61 cookies. Ann has 49 cookies. How many more cookies belong to Ann than to Zeb?", "sequence"},
    {'2', PERTURBATION_PARAPHRASE, "Sara has 61 cookies. Lily has 49 cookies. How many more belong to Lily than to Sara?", "sequence"},
    {'2', PERTURBATION_PARAPHRASE, "Lily has 61 cookies. Sara has 49. How many more cookies belong to Sara than to Lily?", "sequence"},
    {'2', PERTURBATION_PARAPHRASE, "Sara has 61 cookies and Lily has 49 more cookies than Sara. How many cookies belong to Lily?", "by another one"},
    {'w', PERTURBATION_PARAPHRASE, "Write one sentence about the sea, but never with more than 9 words, at most.", "adds the word 'never'"},
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
    static const struct {
        char task;
        const char *family, *cell, *text, *parameters, *keep;
    } queries[] = {
        {'w', "writing", "max_words", writing, writing_parameters, writing_keep},
        {'p', "user", "query", problem, problem_parameters, problem_keep}, /* a row without an answer */
        {'r', "string", "reverse_word", reversing, reversing_parameters, "[]"},
        {'s', "word_problem", "one_step_small", story, story_parameters, story_keep},
        {'c', "comparison", "larger_of_two", comparing, comparing_parameters, comparing_keep},
        {'o', "comparison", "sort_three_numbers", "Sort in ascending order: 541, 221, 899", "{\"items\":[541,221,899],\"gold\":[221,541,899]}",
         "[{\"kind\":\"any\",\"value\":\"ascending|smallest to largest\"}]"},
        {'-', "arithmetic", "two_digit_difference", "Calculate 73 - 21.", "{\"a\":73,\"operation\":\"-\",\"b\":21,\"gold\":52}", "[]"},
        {'/', "arithmetic", "exact_division", "Calculate 91 / 7.", "{\"a\":91,\"operation\":\"/\",\"b\":7,\"gold\":13}", "[]"},
        {'+', "arithmetic", "two_digit_sum", "Calculate 20 + 73.", "{\"a\":20,\"operation\":\"+\",\"b\":73,\"gold\":93}", "[]"},
        {'2', "word_problem", "one_step", "Sara has 61 cookies. Lily has 49 cookies. How many more cookies belong to Sara than to Lily?",
         "{\"steps\":\"a-b\",\"numbers\":[61,49],\"gold\":12}",
         "[{\"kind\":\"name\",\"value\":\"Sara\"},{\"kind\":\"name\",\"value\":\"Lily\"},{\"kind\":\"any\",\"value\":\"more\"}]"},
        {'l', "string", "first_letter", letter, letter_parameters, letter_keep},
    };
    size_t i = 0;
    while (queries[i].task != task)
        i++;
    return (task_query){.family = queries[i].family, .cell = queries[i].cell, .text = (char *)queries[i].text,
                        .parameters = json_loads(queries[i].parameters, 0, NULL), .keep = json_loads(queries[i].keep, 0, NULL)};
}

static void test_rewordings(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        const struct sample *s = &samples[i];
        task_query q = query_of(s->task);
        bool ok = false;
        char *reason = NULL;
        assert_ok(ctx, task_variation_check_first(ctx, &q, s->perturbation, s->text, &ok, &reason));
        if (ok != !s->reason || (s->reason && !strstr(reason, s->reason)))
            fail_msg("'%s': %s", s->text, reason ? reason : "accepted");
        assert_true(ok == !reason);
        free(reason);
        json_decref(q.parameters);
        json_decref(q.keep);
    }
    agon_ctx_free(ctx);
}

/* Other questions and broken ones, by family; most of them the first check let pass. NULL: fine. */
static const struct sample sound[] = {
    {'+', PERTURBATION_PARAPHRASE, "Find the sum of 73 and 20.", NULL},
    {'+', PERTURBATION_PARAPHRASE, "What do you get when you add seventy-three to twenty?", NULL},
    {'+', PERTURBATION_PARAPHRASE, "What is 20 + 73 rounded to tens?", "no known"},
    {'+', PERTURBATION_PARAPHRASE, "What is 20 + 73 in binary?", "no known"},
    {'+', PERTURBATION_PARAPHRASE, "What in pence is 20 plus 73 pounds?", "no known"},
    {'+', PERTURBATION_PARAPHRASE, "What is 20% + 73?", "no known"},
    {'+', PERTURBATION_PARAPHRASE, "What is half the sum of 20 and 73?", "adds the number"},
    {'+', PERTURBATION_PARAPHRASE, "What is the sum of 20 and a dozen more than 73?", "adds the number 12"},
    {'+', PERTURBATION_PARAPHRASE, "What is 20 + 73, and what is your name?", "no known"},
    {'+', PERTURBATION_PARAPHRASE, "What is \xd0\xb0 sum of 20 and 73?", "no known"},
    {'-', PERTURBATION_PARAPHRASE, "What is 73 take away 21?", NULL},
    {'-', PERTURBATION_PARAPHRASE, "Find the square of 73 minus 21.", "'square'"},
    {'-', PERTURBATION_PARAPHRASE, "What is the opposite of 73 minus 21?", "no known"},
    {'-', PERTURBATION_PARAPHRASE, "What must be subtracted from 73 to get 21, doubled?", "no known"},
    {'/', PERTURBATION_PARAPHRASE, "What is 91 divided by 7?", NULL},
    {'/', PERTURBATION_PARAPHRASE, "Divide 91 by 7 and round up.", "no known"},
    {'/', PERTURBATION_PARAPHRASE, "Divide 91 by the inverse of 7.", "no known"},
    {'c', PERTURBATION_PARAPHRASE, "Of 89 and 67, which is the largest number?", NULL},
    {'c', PERTURBATION_PARAPHRASE, "Which number has the larger square, 67 or 89?", "no known"},
    {'c', PERTURBATION_PARAPHRASE, "Which is larger when reversed, 67 or 89?", "no known"},
    {'c', PERTURBATION_PARAPHRASE, "Which is the larger prime, 67 or 89?", "no known"},
    {'c', PERTURBATION_PARAPHRASE, "Which is larger in euros: 67 euros or 89 cents?", "no known"},
    {'c', PERTURBATION_PARAPHRASE, "Which number is hardly larger, 67 or 89?", "no known"},
    {'c', PERTURBATION_PARAPHRASE, "Which is the larger, -67 or -89?", "67"},
    {'c', PERTURBATION_PARAPHRASE, "Write the number that loses against the larger one, 67 or 89.", "no known"},
    {'o', PERTURBATION_PARAPHRASE, "Arrange 541, 221 and 899 in ascending order.", NULL},
    {'o', PERTURBATION_PARAPHRASE, "Put 541, 221 and 899 in ascending order but reversed.", "no known"},
    {'o', PERTURBATION_PARAPHRASE, "Put 541, 221 and 899 in ascending order of remainder.", "no known"},
    {'o', PERTURBATION_PARAPHRASE, "Put 221, 541 and 899 in ascending order.", "no known"}, /* the answer */
    {'l', PERTURBATION_PARAPHRASE, "Which letter is the first letter of \"garden\"?", NULL},
    {'l', PERTURBATION_PARAPHRASE, "Which starts with the letter \"garden\"?", "no known"},
    {'l', PERTURBATION_PARAPHRASE, "Name a flower that starts with \"garden\".", "no known"},
    {'l', PERTURBATION_PARAPHRASE, "Which Greek letter does the word \"garden\" start with?", "Greek"},
    {'l', PERTURBATION_PARAPHRASE, "Which letter does the plural of \"garden\" start with?", "no known"},
    {'l', PERTURBATION_PARAPHRASE, "Which letter does the German word for \"garden\" start with?", "German"},
    {'r', PERTURBATION_PARAPHRASE, "Reverse the letters in the word \"lamp\".", NULL},
    {'r', PERTURBATION_PARAPHRASE, "Write the plural of \"lamp\" backwards.", "no known"},
    {'r', PERTURBATION_PARAPHRASE, "Write the word \"lamp\" backwards in upper case.", "no known"},
    {'r', PERTURBATION_PARAPHRASE, "Write the word \"Lamp\" backwards, please.", "no known"},
    {'r', PERTURBATION_PARAPHRASE, "Write the word \"lamp\" backwards and forwards.", "no known"},
    {'w', PERTURBATION_PARAPHRASE, "With at most nine words, write a sentence about the sea.", NULL},
    {'w', PERTURBATION_PARAPHRASE, "In French, write one sentence about the sea with at most 9 words.", "adds the name French"},
    {'w', PERTURBATION_PARAPHRASE, "Write one sentence about the sea with at most 9 words, all rhyming.", "no known"},
    {'w', PERTURBATION_PARAPHRASE, "Write one sentence about the sea monster with at most 9 words.", "no known"},
    {'w', PERTURBATION_PARAPHRASE, "Write one sentence about the sea with at most 9 letters, not words.", "not"},
    {'s', PERTURBATION_PARAPHRASE, "If Tom had twelve apples and gave five of them to Mia, how many apples remain?", NULL},
    {'s', PERTURBATION_PARAPHRASE, "How many apples are left if Tom has 12 apples and gives 5 of them to Mia?", NULL},
    {'s', PERTURBATION_PARAPHRASE, "Tom has 12 apples and gives 5 of them to Mia. How many apples has Mia left?", "sequence"},
    {'s', PERTURBATION_PARAPHRASE, "Tom has 12 apples and gives all but 5 of them to Mia. How many apples are left?", "no known"},
    {'s', PERTURBATION_PARAPHRASE, "Tom has 12 crates of apples and gives 5 to Mia. How many crates are left?", "no known"},
    {'s', PERTURBATION_PARAPHRASE, "Tom has 12 rotten apples and gives 5 of them to Mia. How many fresh apples are left?", "no known"},
    {'s', PERTURBATION_PARAPHRASE, "Tom has 12 apples, gives 5 of them to Mia and eats some. How many apples are left?", "no known"},
    {'s', PERTURBATION_RENAME, "Nobody has 12 apples and gives 5 of them to Ann. How many apples are left?", "stands for a name is none"},
    {'s', PERTURBATION_RENAME, "Zeb has 12 apples and gives 5 of them to Ann. How many apples are left there?", "with other names"},
    {'s', PERTURBATION_RENAME, "Zeb has 12 apples and gives 5 of them to Ann. How many apples are left?", NULL},
    {'s', PERTURBATION_DISTRACTOR, "My cat likes to sleep. Tom has 12 apples and gives 5 of them to Mia. How many apples are left?", NULL},
    {'s', PERTURBATION_DISTRACTOR, "She ate a cake. Tom has 12 apples and gives 5 of them to Mia. How many apples are left?", "part of the story"},
    {'s', PERTURBATION_DISTRACTOR, "The apple fell. Tom has 12 apples and gives 5 of them to Mia. How many apples are left?", "concern the task"},
    {'s', PERTURBATION_DISTRACTOR, "Everything was eaten. Tom has 12 apples and gives 5 of them to Mia. How many apples are left?", "plain statement"},
    {'r', PERTURBATION_DISTRACTOR, "The team won. Write the word \"lamp\" backwards.", NULL},
    {'r', PERTURBATION_DISTRACTOR, "Reply in capitals. Write the word \"lamp\" backwards.", "plain statement"},
    {'+', PERTURBATION_DISTRACTOR, "The plus is a minus. Calculate 20 + 73.", "more than a plain remark"},
    {'c', PERTURBATION_DISTRACTOR, "The opposite is wanted. Which number is larger, 67 or 89?", "more than a plain remark"},
};

/* "no known": the text passes the first check and fails this one alone. */
static void test_other_questions_are_rejected(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    for (size_t i = 0; i < sizeof sound / sizeof *sound; i++) {
        const struct sample *s = &sound[i];
        task_query q = query_of(s->task);
        bool ok = false;
        char *reason = NULL;
        assert_ok(ctx, task_variation_check(ctx, &q, s->perturbation, s->text, &ok, &reason));
        if (ok != !s->reason || (s->reason && !strstr(reason, s->reason)))
            fail_msg("'%s': %s", s->text, reason ? reason : "accepted");
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
        for (uint64_t i = 0; i < 20; i++) {
            task_query plain = {0}, rare = {0};
            bool ok = false;
            char *reason = NULL;
            assert_ok(ctx, task_generate(ctx, cell, i, PERTURBATION_NONE, &plain));
            assert_ok(ctx, task_generate(ctx, cell, i, PERTURBATION_PARAPHRASE, &rare));
            assert_ok(ctx, task_variation_check(ctx, &plain, PERTURBATION_PARAPHRASE, rare.text, &ok, &reason));
            /* "66 * 65 = ?" does not ask how much it is, and nothing in it is asked for. */
            bool bare = strcmp(plain.family, "arithmetic") == 0 && (strstr(reason ? reason : "", "something else") || strchr(plain.text, '='));
            if (!ok && !bare && strncmp(rare.text, "Read the story", 14) != 0)
                fail_msg("%s: '%s' for '%s': %s", plain.cell, rare.text, plain.text, reason);
            free(reason);
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
        cmocka_unit_test(test_other_questions_are_rejected),
        cmocka_unit_test(test_answer_in_other_case),
        cmocka_unit_test(test_own_paraphrases_pass),
        cmocka_unit_test(test_variation_is_the_same_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
