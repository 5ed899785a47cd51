/* Prompts of online training: rows in a seeded order without repetition, tasks in turn; what will not do is named by file and line. */
#include "api/models.h"
#include "api/online_prompts.h"
#include "base/file.h"
#include "test.h"
#include <stdlib.h>
#include <unistd.h>

enum { N_ROWS = 5, A_ROUND = 3 };

typedef struct fixture {
    agon_ctx *ctx;
    agon_tokenizer *t;
    char path[64];
} fixture;

static int setup(void **state) {
    char path[2048];
    fixture *f = calloc(1, sizeof *f);
    f->ctx = test_ctx(1, NULL);
    golden_path(path, "tiny-text.gguf");
    assert_ok(f->ctx, agon_tokenizer_open(f->ctx, path, NULL, &f->t));
    strcpy(f->path, "/tmp/agon-prompts-XXXXXX");
    int file = mkstemp(f->path);
    assert_true(file >= 0);
    close(file);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    unlink(f->path);
    agon_tokenizer_free(f->t);
    agon_ctx_free(f->ctx);
    free(f);
    return 0;
}

static const char rows[] = "{\"prompt\": \"say 0\", \"answer\": \"0\", \"completion\": \"zero\", \"hint\": 7}\n"
                           "{\"prompt\": \"say 1\", \"answer\": 1, \"completion\": \"one\"}\n"
                           "{\"prompt\": [{\"role\": \"user\", \"content\": \"say 2\"}], \"answer\": [2, 3], \"completion\": \"two\"}\n"
                           "{\"prompt\": \"say 3\", \"verifier\": \"max_words\", \"arguments\": {\"n\": 3}, \"completion\": \"three\"}\n"
                           "{\"prompt\": \"say 4\", \"answer\": \"4\", \"completion\": \"four\"}\n";

static agon_status open_source(fixture *f, const char *text, prompt_source_options o, prompt_source **out) {
    assert_ok(f->ctx, file_write(f->ctx, f->path, text, strlen(text)));
    o.data = f->path;
    o.n_prompts = A_ROUND;
    return prompt_source_open(f->ctx, f->t->t, &o, out);
}

/* Which row an item is, by the number it asks for. */
static size_t number_of(const prompt_item *p) {
    const json_t *prompt = json_object_get(p->row, "prompt");
    const json_t *text = json_is_string(prompt) ? prompt : json_object_get(json_array_get(prompt, 0), "content");
    return (size_t)(json_string_value(text)[4] - '0');
}

static void rows__are_taken_once_a_pass_in_a_seeded_order(void **state) {
    fixture *f = *state;
    prompt_source *a = NULL, *b = NULL, *other = NULL;
    prompt_item x[A_ROUND], y[A_ROUND];
    size_t seen[3 * N_ROWS], n_seen = 0, n_other = 0;
    assert_ok(f->ctx, open_source(f, rows, (prompt_source_options){.seed = 4}, &a));
    assert_ok(f->ctx, open_source(f, rows, (prompt_source_options){.seed = 4}, &b));
    assert_ok(f->ctx, open_source(f, rows, (prompt_source_options){.seed = 5}, &other));
    for (size_t round = 0; round < N_ROWS; round++) {
        assert_ok(f->ctx, prompt_source_round(a, round, x));
        for (size_t i = 0; i < A_ROUND; i++)
            seen[n_seen++] = number_of(&x[i]);
        assert_ok(f->ctx, prompt_source_round(other, round, y));
        for (size_t i = 0; i < A_ROUND; i++)
            n_other += number_of(&x[i]) != number_of(&y[i]);
    }
    for (size_t pass = 0; pass < 3; pass++)
        for (size_t i = 0; i < N_ROWS; i++)
            for (size_t j = 0; j < i; j++)
                assert_int_not_equal(seen[pass * N_ROWS + i], seen[pass * N_ROWS + j]);
    assert_true(memcmp(seen, seen + N_ROWS, sizeof *seen * N_ROWS) != 0 || memcmp(seen, seen + 2 * N_ROWS, sizeof *seen * N_ROWS) != 0);
    assert_true(n_other > 0);
    /* A round is a function of its number: one that is asked alone, in any order, is the same. */
    assert_ok(f->ctx, prompt_source_round(b, 3, y));
    for (size_t i = 0; i < A_ROUND; i++)
        assert_int_equal(number_of(&y[i]), seen[3 * A_ROUND + i]);
    assert_ok(f->ctx, prompt_source_round(b, 0, y));
    assert_int_equal(number_of(&y[0]), seen[0]);
    prompt_source_free(a);
    prompt_source_free(b);
    prompt_source_free(other);
}

/* Raw text, the template's opening of an answer, the demonstration's end token, the verifier of each row. */
static void rows__become_tokens_and_verifiers(void **state) {
    fixture *f = *state;
    prompt_source *p = NULL;
    prompt_item x[A_ROUND];
    assert_ok(f->ctx, open_source(f, rows, (prompt_source_options){.verify = true, .demonstrate = true}, &p));
    size_t n_found = 0;
    for (size_t round = 0; round < 2; round++) {
        assert_ok(f->ctx, prompt_source_round(p, round, x));
        for (size_t i = 0; i < A_ROUND && round * A_ROUND + i < N_ROWS; i++) {
            static const char *const right[] = {"0", "it is 1", "3", "three words here", "4"};
            static const char *const wrong[] = {"no", "2", "4", "these are four words", "5"};
            static const char *const shown[] = {"zero", "one", "two", "three", "four"};
            size_t k = number_of(&x[i]), n_text;
            char *text = tokenizer_decode(f->t->t, x[i].tokens, x[i].n_tokens, true, &n_text);
            if (k == 2)
                assert_non_null(strstr(text, "assistant"));
            else
                assert_int_equal(strncmp(text + strlen(text) - 5, "say ", 4), 0);
            free(text);
            text = tokenizer_decode(f->t->t, x[i].demonstration, x[i].n_demonstration, false, &n_text);
            assert_string_equal(text, shown[k]);
            free(text);
            assert_true(tokenizer_is_stop(f->t->t, x[i].demonstration[x[i].n_demonstration - 1]));
            task_verdict good = {0}, bad = {0};
            assert_ok(f->ctx, task_verify(f->ctx, x[i].query, right[k], &good));
            assert_ok(f->ctx, task_verify(f->ctx, x[i].query, wrong[k], &bad));
            assert_int_equal(good.outcome, OUTCOME_PASS);
            assert_int_equal(bad.outcome, OUTCOME_FAIL);
            task_verdict_free(&good);
            task_verdict_free(&bad);
            n_found++;
        }
    }
    assert_int_equal(n_found, N_ROWS);
    prompt_source_free(p);
}

static void rows__that_will_not_do_are_named(void **state) {
    fixture *f = *state;
    static const struct {
        const char *second;
        prompt_source_options options;
        const char *words;
    } cases[] = {
        {"{\"prompt\": \"\"}", {0}, ":2: prompt is empty"},
        {"{\"prompt\": [{\"role\": \"user\", \"content\": \"\"}]}", {0}, ":2: prompt is empty"},
        {"{\"question\": \"say 1\"}", {0}, ":2: prompt is missing"},
        {"{\"prompt\": \"say 1\", \"completion\": \"\"}", {0}, ":2: completion is empty"},
        {"{\"prompt\": \"say 1\"}", {.demonstrate = true}, ":2: a demonstration is asked for: give the row a \"completion\""},
        {"{\"prompt\": \"say 1\"}", {.verify = true}, ":2: nothing says whether an answer is right"},
        {"{\"prompt\": \"say 1\", \"verifier\": \"program\"}", {.verify = true}, ":2: its verifier is a program"},
        {"{\"prompt\": \"say 1\", \"verifier\": \"exakt\", \"answer\": \"1\"}", {.verify = true}, "did you mean 'exact'"},
        {"{\"prompt\": \"a rather long prompt, longer than what fits\"}", {.max_tokens = 9}, ":2: the prompt has"},
        {"[]", {0}, ":2: each line must be a JSON object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        prompt_source *p = NULL;
        snprintf(text, sizeof text, "{\"prompt\": \"a\", \"answer\": \"0\", \"completion\": \"b\"}\n%s\n", cases[i].second);
        agon_status s = open_source(f, text, cases[i].options, &p);
        assert_true(s == AGON_EINVAL || s == AGON_EFORMAT);
        if (!strstr(agon_error(f->ctx), cases[i].words))
            fail_msg("case %zu: %s", i, agon_error(f->ctx));
        assert_null(p);
    }
}

static void tasks__are_drawn_by_number(void **state) {
    fixture *f = *state;
    const char *const cells[] = {"arithmetic"};
    const prompt_source_options o = {.cells = cells, .n_cells = 1, .n_prompts = A_ROUND, .seed = 1, .demonstrate = true};
    prompt_source *p = NULL;
    prompt_item x[A_ROUND];
    assert_ok(f->ctx, prompt_source_open(f->ctx, f->t->t, &o, &p));
    assert_ok(f->ctx, prompt_source_round(p, 1, x));
    char *first = strdup(x[0].query->text);
    assert_true(x[0].n_demonstration > 0 && x[0].row == NULL);
    assert_ok(f->ctx, prompt_source_round(p, 0, x));
    assert_string_not_equal(x[0].query->text, first);
    assert_ok(f->ctx, prompt_source_round(p, 1, x));
    assert_string_equal(x[0].query->text, first);
    free(first);
    prompt_source_free(p);
    prompt_source_options both = o;
    both.data = f->path;
    assert_int_equal(prompt_source_open(f->ctx, f->t->t, &both, &p), AGON_EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows__are_taken_once_a_pass_in_a_seeded_order),
        cmocka_unit_test(rows__become_tokens_and_verifiers),
        cmocka_unit_test(rows__that_will_not_do_are_named),
        cmocka_unit_test(tasks__are_drawn_by_number),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
