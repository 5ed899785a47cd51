/* What every family must keep, over every cell, perturbation and many seeds. */
#include "test.h"
#include <ctype.h>
#include "task/task.h"

enum { SEEDS = 200 };

typedef void (*query_check)(agon_ctx *ctx, const task_query *q, uint64_t seed);

static void each_query(query_check check) {
    agon_ctx *ctx = test_ctx(1, NULL);
    for (size_t cell = 0; cell < task_n_cells(); cell++)
        for (int p = 0; p < PERTURBATION_N; p++)
            for (uint64_t i = 0; i < SEEDS; i++) {
                task_query q = {0};
                uint64_t seed = task_seed(7, "test", cell, i);
                assert_ok(ctx, task_generate(ctx, cell, seed, (task_perturbation)p, &q));
                check(ctx, &q, seed);
                task_query_free(&q);
            }
    agon_ctx_free(ctx);
}

static char *dump(agon_ctx *ctx, const task_query *q) {
    json_t *object = NULL;
    assert_ok(ctx, task_query_json(ctx, q, &object));
    char *text = json_canonical(object);
    json_decref(object);
    return text;
}

/* As a word of its own, so that "7" is not found in "78". */
static bool holds(const char *text, const char *word) {
    size_t n = strlen(word);
    for (const char *p = text; (p = strcasestr(p, word)); p++)
        if (!(p > text && isalnum((unsigned char)p[-1])) && !isalnum((unsigned char)p[n]))
            return true;
    return false;
}

/* The query's own text keeps what a rewording must keep. */
static void check_kept(const task_query *q) {
    size_t i;
    json_t *entry;
    assert_true(json_array_size(q->keep) > 0);
    json_array_foreach(q->keep, i, entry) {
        char phrases[512];
        snprintf(phrases, sizeof phrases, "%s", json_string_value(json_object_get(entry, "value")));
        bool any = strcmp(json_string_value(json_object_get(entry, "kind")), "any") == 0, found = false;
        char *rest = phrases, *phrase;
        while (!found && (phrase = any ? strsep(&rest, "|") : rest)) {
            found = strcasestr(q->text, phrase) != NULL;
            if (!any)
                break;
        }
        if (!found)
            fail_msg("'%s' does not hold %s", q->text, json_string_value(json_object_get(entry, "value")));
    }
}

static void check_generate(agon_ctx *ctx, const task_query *q, uint64_t seed) {
    assert_ok(ctx, task_check(ctx, q));
    check_kept(q);
    assert_true(strlen(q->text) < 700);
    size_t cell = 0;
    while (strcmp(task_cell_family(cell), q->family) != 0 || strcmp(task_cell_at(cell)->name, q->cell) != 0)
        cell++;
    task_query again = {0};
    assert_ok(ctx, task_generate(ctx, cell, seed, q->perturbation, &again));
    char *a = dump(ctx, q), *b = dump(ctx, &again);
    assert_string_equal(a, b);
    free(a);
    free(b);
    task_query_free(&again);
}

static void test_generation(void **state) {
    (void)state;
    each_query(check_generate);
}

static void check_round_trip(agon_ctx *ctx, const task_query *q, uint64_t seed) {
    (void)seed;
    json_t *object = NULL;
    task_query back = {0};
    assert_ok(ctx, task_query_json(ctx, q, &object));
    assert_ok(ctx, task_query_read(ctx, "row", object, &back));
    char *a = dump(ctx, q), *b = dump(ctx, &back);
    char *ia = task_identity(q), *ib = task_identity(&back);
    assert_string_equal(a, b);
    assert_string_equal(ia, ib);
    assert_int_equal(q->difficulty, back.difficulty);
    assert_int_equal(q->hard, back.hard);
    free(a);
    free(b);
    free(ia);
    free(ib);
    json_decref(object);
    task_query_free(&back);
}

static void test_round_trip(void **state) {
    (void)state;
    each_query(check_round_trip);
}

static void check_verbs(agon_ctx *ctx, const task_query *q, uint64_t seed) {
    char *good = NULL, *bad = NULL, *claim = NULL, *gold = NULL;
    task_verdict v = {0};
    assert_ok(ctx, task_demonstrate(ctx, q, seed, &good));
    assert_ok(ctx, task_verify(ctx, q, good, &v));
    assert_int_equal(v.outcome, OUTCOME_PASS);
    task_verdict_free(&v);
    assert_ok(ctx, task_tamper(ctx, q, good, seed, &bad, &claim));
    assert_string_not_equal(good, bad);
    assert_true(strlen(claim) > 0);
    assert_ok(ctx, task_verify(ctx, q, bad, &v));
    assert_int_equal(v.outcome, OUTCOME_FAIL);
    assert_ok(ctx, task_gold(ctx, q, &gold));
    if (gold && holds(v.masked, gold))
        fail_msg("%s: masked evidence '%s' holds the answer %s", q->text, v.masked, gold);
    if (v.span_end > v.span_start) {
        assert_true(v.span_end <= strlen(bad));
        assert_memory_equal(v.quote, bad + v.span_start, v.span_end - v.span_start);
    }
    task_verdict_free(&v);
    /* A query's own text is no answer to it. */
    assert_ok(ctx, task_verify(ctx, q, q->text, &v));
    if (gold && v.outcome != OUTCOME_FAIL)
        fail_msg("repeating '%s' passes (%s)", q->text, v.evidence);
    task_verdict_free(&v);
    free(gold);
    free(good);
    free(bad);
    free(claim);
}

static void test_verbs(void **state) {
    (void)state;
    each_query(check_verbs);
}

static void test_identities_differ(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    for (size_t cell = 0; cell < task_n_cells(); cell++) {
        char *seen[SEEDS];
        size_t distinct = 0;
        for (uint64_t i = 0; i < SEEDS; i++) {
            task_query q = {0};
            assert_ok(ctx, task_generate(ctx, cell, task_seed(7, "test", cell, i), PERTURBATION_NONE, &q));
            seen[i] = task_identity(&q);
            bool repeats = false;
            for (uint64_t k = 0; k < i; k++)
                repeats |= strcmp(seen[k], seen[i]) == 0;
            distinct += !repeats;
            task_query_free(&q);
        }
        size_t least = strncmp(task_cell_at(cell)->name, "one_digit", 9) == 0 ? 50 : SEEDS / 2;
        if (distinct < least)
            fail_msg("%s/%s: %zu distinct tasks of %d", task_cell_family(cell), task_cell_at(cell)->name,
                     distinct, SEEDS);
        for (int i = 0; i < SEEDS; i++)
            free(seen[i]);
    }
    agon_ctx_free(ctx);
}

static void test_wording_is_not_identity(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    task_query a = {0}, b = {0};
    assert_ok(ctx, task_generate(ctx, 2, 5, PERTURBATION_NONE, &a));
    assert_ok(ctx, task_generate(ctx, 2, 5, PERTURBATION_DISTRACTOR, &b));
    assert_string_not_equal(a.text, b.text);
    char *ia = task_identity(&a), *ib = task_identity(&b);
    assert_string_equal(ia, ib);
    free(ia);
    free(ib);
    task_query_free(&a);
    task_query_free(&b);
    agon_ctx_free(ctx);
}

static void test_long_response_fails(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    task_query q = {0};
    assert_ok(ctx, task_generate(ctx, 2, 5, PERTURBATION_NONE, &q));
    char *gold = NULL;
    assert_ok(ctx, task_gold(ctx, &q, &gold));
    char *response = malloc(TASK_RESPONSE_MAX + 64);
    memset(response, ' ', TASK_RESPONSE_MAX + 64);
    strcpy(response + TASK_RESPONSE_MAX - strlen(gold), gold);
    task_verdict v = {0};
    assert_ok(ctx, task_verify(ctx, &q, response, &v));
    assert_int_equal(v.outcome, OUTCOME_PASS);
    task_verdict_free(&v);
    strcat(response, " ");
    assert_ok(ctx, task_verify(ctx, &q, response, &v));
    assert_int_equal(v.outcome, OUTCOME_FAIL);
    assert_non_null(strstr(v.evidence, "64 KiB"));
    task_verdict_free(&v);
    free(response);
    free(gold);
    task_query_free(&q);
    agon_ctx_free(ctx);
}

static void test_select(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    size_t *indices = calloc(task_n_cells(), sizeof *indices), n = 0, by_default = 0;
    for (size_t i = 0; i < task_n_cells(); i++)
        by_default += task_cell_at(i)->by_default;
    assert_ok(ctx, task_select(ctx, NULL, indices, &n));
    assert_int_equal(n, by_default);
    assert_true(n < task_n_cells());
    json_t *names = json_pack("[s, s, s]", "arithmetic/two_digit_sum", "arithmetic/one_digit_sum",
                              "arithmetic/two_digit_sum");
    assert_ok(ctx, task_select(ctx, names, indices, &n));
    assert_int_equal(n, 2);
    assert_string_equal(task_cell_at(indices[0])->name, "one_digit_sum");
    assert_string_equal(task_cell_at(indices[1])->name, "two_digit_sum");
    json_array_clear(names);
    json_array_append_new(names, json_string("arithmetic"));
    assert_ok(ctx, task_select(ctx, names, indices, &n));
    assert_true(n >= 10);
    json_array_append_new(names, json_string("arithmetic/two_digit_sun"));
    assert_int_equal(task_select(ctx, names, indices, &n), AGON_EINVAL);
    assert_non_null(strstr(agon_error(ctx), "did you mean 'arithmetic/two_digit_sum'"));
    json_array_set_new(names, 1, json_integer(3));
    assert_int_equal(task_select(ctx, names, indices, &n), AGON_EINVAL);
    json_decref(names);
    free(indices);
    agon_ctx_free(ctx);
}

static void test_a_cell_is_found_by_both_its_names(void **state) {
    (void)state;
    for (size_t i = 0; i < task_n_cells(); i++) {
        char name[CELL_NAME_SIZE];
        task_cell_name(i, name);
        assert_int_equal(task_cell_find(task_cell_family(i), task_cell_at(i)->name), i);
        assert_true(task_cell_covered(i, name));
        assert_true(task_cell_covered(i, task_cell_family(i)));
        assert_false(task_cell_covered((i + 1) % task_n_cells(), name));
        name[strlen(name) - 1] = 0;
        assert_false(task_cell_covered(i, name));
    }
    assert_true(task_cell_find("arithmetic", "none") == SIZE_MAX);
}

static void test_each_family_has_easy_and_hard_cells(void **state) {
    (void)state;
    for (size_t f = 0; f < task_n_families(); f++) {
        size_t hard = 0, n = 0;
        for (size_t i = 0; i < task_n_cells(); i++)
            if (strcmp(task_cell_family(i), task_family_name(f)) == 0) {
                n++;
                hard += task_cell_at(i)->hard;
                assert_in_range(task_cell_at(i)->difficulty, 1, 5);
            }
        assert_true(hard > 0 && hard < n && hard * 3 >= n && hard * 3 <= 2 * n);
    }
}

static void test_seeds_of_spaces_differ(void **state) {
    (void)state;
    assert_true(task_seed(1, "train", 0, 0) == task_seed(1, "train", 0, 0));
    assert_true(task_seed(1, "train", 0, 0) != task_seed(1, "held_out", 0, 0));
    assert_true(task_seed(1, "train", 0, 0) != task_seed(1, "train", 1, 0));
    assert_true(task_seed(1, "train", 0, 0) != task_seed(1, "train", 0, 1));
    assert_true(task_seed(1, "train", 0, 0) != task_seed(2, "train", 0, 0));
}

/* Records from hostile files: one thing wrong each. */
static void test_reader_refuses(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    static const struct {
        const char *key, *value; /* JSON; NULL: the key is missing */
    } faults[] = {
        {"family", "\"algebra\""},      {"family", "3"},       {"cell", "\"no_such_cell\""},
        {"perturbation", "\"shouted\""}, {"seed", "\"-1\""},    {"seed", "\"99999999999999999999\""},
        {"seed", "12"},                 {"text", NULL},        {"parameters", "[]"},
        {"parameters", "{}"},           {"keep", "{}"},        {"keep", "[{\"kind\":\"colour\",\"value\":\"red\"}]"},
        {"text", "\"What is 1 + 1?\""},
        {"parameters", "{\"a\":1,\"operation\":\"+\",\"b\":9223372036854775807,\"gold\":3}"},
        {"parameters", "{\"a\":42,\"operation\":\"^\",\"b\":25,\"gold\":67}"},
        {"parameters", "{\"a\":42,\"operation\":\"+\",\"b\":25,\"gold\":68}"},
        {"parameters", "{\"a\":\"42\",\"operation\":\"+\",\"b\":25,\"gold\":67}"},
    };
    const char *good = "{\"text\":\"What is 42 + 25?\",\"family\":\"arithmetic\",\"cell\":\"two_digit_sum\","
                       "\"perturbation\":\"none\",\"seed\":\"18446744073709551615\",\"parameters\":"
                       "{\"a\":42,\"operation\":\"+\",\"b\":25,\"gold\":67},\"keep\":[]}";
    for (size_t i = 0; i <= sizeof faults / sizeof *faults; i++) {
        json_t *row = json_loads(good, 0, NULL);
        task_query q = {0};
        if (i == sizeof faults / sizeof *faults) { /* the record itself is fine */
            assert_ok(ctx, task_query_read(ctx, "file:3", row, &q));
            assert_true(q.seed == UINT64_MAX);
            task_query_free(&q);
        } else {
            if (faults[i].value)
                json_object_set_new(row, faults[i].key, json_loads(faults[i].value, JSON_DECODE_ANY, NULL));
            else
                json_object_del(row, faults[i].key);
            if (task_query_read(ctx, "file:3", row, &q) == AGON_OK)
                fail_msg("%s = %s was accepted", faults[i].key, faults[i].value);
            assert_non_null(strstr(agon_error(ctx), "file:3"));
            assert_null(q.text);
        }
        json_decref(row);
    }
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_generation),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_verbs),
        cmocka_unit_test(test_identities_differ),
        cmocka_unit_test(test_wording_is_not_identity),
        cmocka_unit_test(test_long_response_fails),
        cmocka_unit_test(test_select),
        cmocka_unit_test(test_a_cell_is_found_by_both_its_names),
        cmocka_unit_test(test_each_family_has_easy_and_hard_cells),
        cmocka_unit_test(test_seeds_of_spaces_differ),
        cmocka_unit_test(test_reader_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
