/* Every kind of sentence that the executable critic writes of a wrong answer: of each verifier of the user's rows by hand, and of the generated tasks by whatever a
 * set of bad answers provokes. Each kind is printed once. */
#include "role/critic.h"
#include "task/task.h"
#include "test.h"
#include <ctype.h>

/* What "It" may be followed by; in other sentences one of these stands somewhere. */
static const char *const after_it[] = {"claims", "closes", "contains", "does", "ends", "gives", "has", "is", "leaves", "lists", "marks", "names", "offers",
                                       "opens", "puts", "repeats", "says", "starts", "writes", NULL};
static const char *const elsewhere[] = {"is", "has", "have", "does", "occurs", "must", NULL};

static bool is_one_of(const char *word, size_t n, const char *const *list) {
    for (size_t i = 0; list[i]; i++)
        if (strlen(list[i]) == n && strncmp(word, list[i], n) == 0)
            return true;
    return false;
}

/* What is wrong with the sentence; NULL: nothing. */
static const char *fault_of(const char *text) {
    const size_t n = strlen(text);
    if (n == 0 || islower((unsigned char)*text) || isspace((unsigned char)*text))
        return "it does not begin like a sentence";
    if (!strchr(".!?", text[n - 1]) || isspace((unsigned char)text[n - 2]) || (n > 2 && text[n - 1] == '.' && text[n - 2] == '.'))
        return "it does not end like a sentence";
    if (strstr(text, "  ") || strstr(text, " ,") || strstr(text, " :"))
        return "it has blanks where none belong";
    if (strncmp(text, "It ", 3) == 0) {
        const char *verb = text + 3 + (strncmp(text + 3, "only ", 5) == 0 ? 5 : 0);
        return is_one_of(verb, strcspn(verb, " "), after_it) ? NULL : "no verb follows It";
    }
    for (const char *p = text; *p; p += strspn(p, " .,:!?")) {
        const size_t length = strcspn(p, " .,:!?");
        if (is_one_of(p, length, elsewhere))
            return NULL;
        p += length;
    }
    return "it has no verb";
}

/* ---- kinds --------------------------------------------------------------------------------------------------------- */

enum { MAX_KINDS = 500, KIND_SIZE = 200 };
typedef struct kinds {
    char of[MAX_KINDS][KIND_SIZE];
    size_t n;
} kinds;

/* Two words of *from, which goes behind them; quotations and numbers count as one word each, whatever they are. */
static void two_words(const char **from, char *out) {
    const char *p = *from;
    for (int k = 0; k < 2; k++) {
        p += strspn(p, " ");
        const char *end = *p == '\'' || *p == '"' ? strchr(p + 1, *p) : NULL;
        const size_t n = end ? (size_t)(end - p) + 1 : strcspn(p, " ,:.");
        sprintf(out + strlen(out), " %.*s", end || isdigit((unsigned char)*p) ? 1 : (int)(n < 20 ? n : 20), end ? "'" : isdigit((unsigned char)*p) ? "1" : p);
        p += n;
    }
    *from = p;
}

/* How the sentence and what follows its first comma or colon begin. */
static void kind_of(const char *text, char out[KIND_SIZE]) {
    *out = 0;
    two_words(&text, out);
    text += strcspn(text, ",:");
    strcat(out, *text == ',' ? "," : *text ? ":" : "");
    text += *text != 0;
    two_words(&text, out);
}

static void see(agon_ctx *ctx, kinds *all, const char *asked, const char *response, const task_verdict *v) {
    for (int form = CRITIQUE_FULL; form <= CRITIQUE_MASKED && v->outcome != OUTCOME_UNKNOWN; form++) {
        char *words = NULL, kind[KIND_SIZE];
        assert_ok(ctx, critic_executable(ctx, v, (critique_form)form, false, &words));
        if (fault_of(words))
            fail_msg("'%s' of '%s' (%s): %s", words, response, asked, fault_of(words));
        kind_of(words, kind);
        size_t i = 0;
        while (i < all->n && strcmp(all->of[i], kind) != 0)
            i++;
        if (i == all->n && i < MAX_KINDS) {
            print_message("    %s\n", words);
            strcpy(all->of[all->n++], kind);
        }
        free(words);
    }
}

/* ---- the user's rows ------------------------------------------------------------------------------------------------ */

/* A verifier of task_verifier_name, its row's other fields, and an answer to it. */
static const struct {
    const char *verifier, *fields, *response;
} rows[] = {
    {"number", "\"answer\": 67", "It is 78."},
    {"number", "\"answer\": 67", "I do not know."},
    {"number", "\"answer\": 67", "It is 66 or 67."},
    {"number", "\"answer\": 67", "It is 42 + 25"},
    {"number", "\"answer\": 67", "The answer is not 67."},
    {"number", "\"answer\": 67", "67"},
    {"exact", "\"answer\": \"Paris\"", "Rome"},
    {"exact", "\"answer\": \"Paris\"", ""},
    {"exact", "\"answer\": \"Paris\"", "Paris"},
    {"contains", "\"answer\": \"Paris\"", "It is Rome."},
    {"contains", "\"answer\": \"Paris\"", "It is Paris."},
    {"lower_case", "\"arguments\": {}", "the House"},
    {"lower_case", "\"arguments\": {}", "77"},
    {"lower_case", "\"arguments\": {}", "the house"},
    {"upper_case", "\"arguments\": {}", "THE House"},
    {"no_commas", "\"arguments\": {}", "a, b"},
    {"no_commas", "\"arguments\": {}", "a b"},
    {"no_digits", "\"arguments\": {}", "a 7"},
    {"no_digits", "\"arguments\": {}", "a b"},
    {"no_letter", "\"arguments\": {\"letter\": \"e\"}", "the end"},
    {"no_letter", "\"arguments\": {\"letter\": \"e\"}", "an oar"},
    {"max_words", "\"arguments\": {\"n\": 1}", "two words"},
    {"max_words", "\"arguments\": {\"n\": 1}", "word"},
    {"min_words", "\"arguments\": {\"n\": 3}", "word"},
    {"min_words", "\"arguments\": {\"n\": 1}", "two words"},
    {"exact_words", "\"arguments\": {\"n\": 3}", "word"},
    {"exact_words", "\"arguments\": {\"n\": 1}", "word"},
    {"sentences", "\"arguments\": {\"n\": 1}", "One is here. Two is there."},
    {"sentences", "\"arguments\": {\"n\": 2}", "One is here."},
    {"bullets", "\"arguments\": {\"n\": 2}", "- a"},
    {"bullets", "\"arguments\": {\"n\": 1}", "- !"},
    {"bullets", "\"arguments\": {\"n\": 2}", "- a\n- a"},
    {"placeholders", "\"arguments\": {\"n\": 2}", "[a]"},
    {"placeholders", "\"arguments\": {\"n\": 1}", "none"},
    {"placeholders", "\"arguments\": {\"n\": 1}", "[a]"},
    {"highlight", "\"arguments\": {\"n\": 2}", "*a*"},
    {"highlight", "\"arguments\": {\"n\": 1}", "*a*"},
    {"required_word", "\"arguments\": {\"word\": \"tea\"}", "coffee"},
    {"required_word", "\"arguments\": {\"word\": \"tea\"}", "tea"},
    {"forbidden_word", "\"arguments\": {\"word\": \"tea\"}", "tea"},
    {"forbidden_word", "\"arguments\": {\"word\": \"tea\"}", "coffee"},
    {"start_phrase", "\"arguments\": {\"phrase\": \"Well then\"}", "No."},
    {"start_phrase", "\"arguments\": {\"phrase\": \"Well then\"}", "Well then, no."},
    {"end_phrase", "\"arguments\": {\"phrase\": \"so be it\"}", "No."},
    {"end_phrase", "\"arguments\": {\"phrase\": \"so be it\"}", "And so be it."},
    {"exclamation", "\"arguments\": {}", "No."},
    {"exclamation", "\"arguments\": {}", "No!"},
    {"question", "\"arguments\": {}", "No."},
    {"question", "\"arguments\": {}", "No?"},
    {"quotation", "\"arguments\": {}", "No."},
    {"quotation", "\"arguments\": {}", "\"No."},
    {"quotation", "\"arguments\": {}", "No.\""},
    {"quotation", "\"arguments\": {}", "\"No\" and \"yes\""},
    {"quotation", "\"arguments\": {}", "\"No.\""},
    {"json_object", "\"arguments\": {\"keys\": [\"a\"]}", "No."},
    {"json_object", "\"arguments\": {\"keys\": [\"a\"]}", "[1]"},
    {"json_object", "\"arguments\": {\"keys\": [\"a\"]}", "{\"b\": 1}"},
    {"json_object", "\"arguments\": {\"keys\": [\"a\"]}", "{\"a\": \"\"}"},
    {"json_object", "\"arguments\": {\"keys\": [\"a\"]}", "{\"a\": 1}"},
    {"title", "\"arguments\": {}", "No."},
    {"title", "\"arguments\": {}", "<<!>> No."},
    {"title", "\"arguments\": {}", "<<title>> No."},
    {"title", "\"arguments\": {}", "<<A tale>> No."},
    {"repeat_request", "\"arguments\": {\"request\": \"Name a fruit\"}", "A fruit is a pear."},
    {"repeat_request", "\"arguments\": {\"request\": \"Name a fruit\"}", "Name a fruit"},
    {"repeat_request", "\"arguments\": {\"request\": \"Name a fruit\"}", "Name a fruit: pear"},
};
enum { N_ROWS = sizeof rows / sizeof *rows };

static void critique__of_every_verifier__is_a_sentence(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    kinds *all = calloc(1, sizeof *all);
    size_t n_seen = 0;
    char row[400];
    for (size_t k = 0; task_verifier_name(k); k++) {
        const char *name = task_verifier_name(k);
        bool seen = strcmp(name, TASK_VERIFIER_PROGRAM) == 0; /* of which the next test knows */
        for (size_t i = 0; i < N_ROWS; i++) {
            if (strcmp(rows[i].verifier, name) != 0)
                continue;
            task_query q = {0};
            task_verdict v = {0};
            snprintf(row, sizeof row, "{\"query\": \"Do it.\", \"verifier\": \"%s\", %s}", name, rows[i].fields);
            json_t *json = json_loads(row, 0, NULL);
            assert_ok(ctx, task_user_query(ctx, "row", json, &q));
            assert_ok(ctx, task_verify(ctx, &q, rows[i].response, &v));
            see(ctx, all, name, rows[i].response, &v);
            task_verdict_free(&v);
            assert_ok(ctx, task_verify(ctx, &q, "", &v)); /* nothing at all */
            see(ctx, all, name, "", &v);
            task_verdict_free(&v);
            task_query_free(&q);
            json_decref(json);
            seen = true;
            n_seen++;
        }
        if (!seen)
            fail_msg("no answer to '%s' is tried here; add one of each kind of sentence", name);
    }
    assert_int_equal(n_seen, N_ROWS);
    free(all);
    agon_ctx_free(ctx);
}

/* ---- generated tasks ------------------------------------------------------------------------------------------------- */

static const char *const bad[] = {"", "7", "0 or 1", "2 + 2", "2 + 2 = 5, so it is 5.", "The answer is not 7.", "Not the dog.", "It is 3, no, 4.", "dog house", "\"dog\", \"house\"",
                                  "a-b-c", "A b c.", "1, 2", "9 < 1", "x, x, x", "sun sun sun sun sun sun sun sun sun", "*a* and *b*", "*one two* of it.", "Tea. Tea. Tea.",
                                  "{\"x\": 1}", "{\"topic\": \"x\", \"name\": \"x\"}", "<<!>>", "<<One>> two", "- a\n- a", "- !", "HELLO, 7!", "\"Quoted", "What?", NULL};

static void try(agon_ctx *ctx, kinds *all, const task_query *q, const char *name, const char *response) {
    task_verdict v = {0};
    assert_ok(ctx, task_verify(ctx, q, response, &v));
    see(ctx, all, name, response, &v);
    task_verdict_free(&v);
}

static void critique__of_every_generated_task__is_a_sentence(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    kinds *all = calloc(1, sizeof *all);
    for (size_t cell = 0; cell < task_n_cells(); cell++)
        for (uint64_t seed = 1; seed <= 3; seed++) {
            task_query q = {0};
            char *right = NULL, *faulty = NULL, *claim = NULL, name[CELL_NAME_SIZE];
            task_cell_name(cell, name);
            assert_ok(ctx, task_generate(ctx, cell, seed, PERTURBATION_NONE, &q));
            assert_ok(ctx, task_demonstrate(ctx, &q, seed, &right));
            const agon_status s = task_tamper(ctx, &q, right, seed, &faulty, &claim);
            assert_true(s == AGON_OK || s == AGON_EUNSUPPORTED);
            const char *own[] = {right, faulty ? faulty : "", q.text, NULL};
            for (size_t i = 0; own[i]; i++)
                try(ctx, all, &q, name, own[i]);
            for (size_t i = 0; bad[i]; i++)
                try(ctx, all, &q, name, bad[i]);
            free(right), free(faulty), free(claim);
            task_query_free(&q);
        }
    assert_true(all->n > 30 && all->n < MAX_KINDS);
    free(all);
    agon_ctx_free(ctx);
}

/* ---- a program's own words ------------------------------------------------------------------------------------------- */

static void critique__of_a_program__has_It_before_a_verb_alone(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    static const struct {
        const char *evidence, *now, *before;
    } cases[] = {
        {"lacks the unit", "It lacks the unit.", "It lacks the unit."},
        {"only says what it is not", "It only says what it is not.", "It only says what it is not."},
        {"only digits are allowed", "Only digits are allowed.", "It only digits are allowed."},
        {"the unit is missing", "The unit is missing.", "It the unit is missing."},
        {"a comma is missing!", "A comma is missing!", "It a comma is missing!"},
        {"x = 3 does not hold", "x = 3 does not hold.", "It x = 3 does not hold."},
        {"f(2) raises", "f(2) raises.", "It f(2) raises."},
        {"The unit is missing", "The unit is missing.", "The unit is missing."},
        {"3 is not 4", "3 is not 4.", "3 is not 4."},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int first = 0; first < 2; first++) {
            const task_verdict v = {.outcome = OUTCOME_FAIL, .evidence = (char *)(uintptr_t)cases[i].evidence, .masked = (char *)(uintptr_t)cases[i].evidence};
            char *words = NULL;
            assert_ok(ctx, critic_executable(ctx, &v, CRITIQUE_MASKED, first, &words));
            assert_string_equal(words, first ? cases[i].before : cases[i].now);
            free(words);
        }
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(critique__of_every_verifier__is_a_sentence),
        cmocka_unit_test(critique__of_every_generated_task__is_a_sentence),
        cmocka_unit_test(critique__of_a_program__has_It_before_a_verb_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
