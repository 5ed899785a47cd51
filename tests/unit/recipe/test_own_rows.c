/* The census of the user's own rows: rows as they stand in the file, queries as the run takes them. */
#include "recipe/own_rows.h"
#include "recipe/own_split.h"
#include "base/ctx.h"
#include "test.h"
#include <unistd.h>

static const char rows[] = "{\"query\": \"Where does the river end?\", \"answer\": \"in the sea\"}\n"
                           "{\"query\": \"Two and two?\", \"answer\": 4}\n"
                           "{\"query\": \"Two and two?\", \"answer\": \"4\"}\n" /* the same again */
                           "{\"query\": \"Two and two?\", \"answer\": 5}\n"     /* asked beside it: another task */
                           "{\"query\": \"Say what you like.\"}\n"
                           "{\"query\": \"Say what you like.\"}\n"
                           "{\"query\": \"Be brief.\", \"verifier\": \"max_words\", \"arguments\": {\"n\": 3}}\n";
static const char broken[] = "{\"query\": \"\"}\nno row\n";

static agon_status note(void *arg, agon_status status) {
    ++*(int *)arg;
    return status == AGON_ENOMEM ? status : AGON_OK;
}

static agon_status count(agon_ctx *ctx, const char *more, json_bad_line bad, int *n_bad, own_rows *own) {
    char path[] = "/tmp/agon-own-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && dprintf(fd, "%s%s", rows, more) > 0);
    close(fd);
    agon_status s = own_rows_read(ctx, path, bad, n_bad, own);
    unlink(path);
    return s;
}

static void own_rows__equal_rows__are_one_query(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    own_rows own;
    assert_ok(ctx, count(ctx, "", NULL, NULL, &own));
    assert_int_equal(own.n_rows, 7);
    assert_int_equal(own.n_with_answer, 4);
    assert_int_equal(own.n_with_verifier, 1);
    assert_int_equal(own.n_exact_by_default, 1);
    assert_int_equal(own.n_rows_unverifiable, 2);
    assert_int_equal(json_integer_value(json_object_get(own.verifiers, "number")), 3);
    assert_int_equal(own.n, 5);
    assert_int_equal(own.n_unverifiable, 1);
    const char *const asked[] = {"Where does the river end?", "Two and two?", "Two and two?", "Say what you like.", "Be brief."};
    size_t held_out = 0;
    for (size_t i = 0; i < 5; i++)
        held_out += recipe_holds_out(asked[i]);
    assert_int_equal(own.n_held_out, held_out);
    assert_int_equal(own.n_held_out_unverifiable, recipe_holds_out(asked[3]));
    own_rows_free(&own);
    agon_ctx_free(ctx);
}

static void own_rows__near_duplicates_and_groups__are_joined(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    own_rows own;
    assert_ok(ctx, count(ctx, "{\"query\": \"say what you like\"}\n" /* a set with the one that ends in a stop */
                              "{\"query\": \"Why?\", \"group\": \"passage 1\"}\n{\"query\": \"When did it rain?\", \"group\": \"passage 1\"}\n"
                              "{\"query\": \"Why?\", \"group\": \"passage 2\"}\n", /* the same task: left out, and no set of its own */
                         NULL, NULL, &own));
    assert_int_equal(own.n, 5 + 3);
    assert_int_equal(own.n_sets, 3); /* these two, and "Two and two?" with its two answers */
    assert_int_equal(own.n_joined, 6);
    assert_int_equal(json_array_size(own.held_out), own.n_held_out);
    assert_true(own.n_held_out_sets <= own.n_held_out && (own.n_held_out_sets > 0) == (own.n_held_out > 0));
    own_rows_free(&own);
    agon_ctx_free(ctx);
}

/* Of 40 rows in groups of four whole groups are held out, some with an answer, some without. */
static void own_rows__held_out__in_sets(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    own_rows own;
    own_text texts[40];
    char rows[4096], queries[40][48], groups[40][24];
    size_t used = 0, n_held_out = 0, n_sets = 0, n_open_sets = 0;
    for (size_t i = 0; i < 40; i++) {
        snprintf(queries[i], sizeof queries[i], "How much is %zu and 1?", i);
        snprintf(groups[i], sizeof groups[i], "g%zu", i / 4);
        used += (size_t)snprintf(rows + used, sizeof rows - used, i / 4 % 2 || i % 4 ? "{\"query\": \"%s\", \"group\": \"%s\"}\n" : "{\"query\": \"%s\", \"group\": \"%s\", \"answer\": 1}\n",
                                 queries[i], groups[i]);
        texts[i] = (own_text){.text = queries[i], .group = groups[i]};
    }
    assert_ok(ctx, own_split(ctx, texts, 40));
    for (size_t i = 0; i < 40; i++) {
        n_held_out += texts[i].held_out;
        n_sets += texts[i].held_out && i % 4 == 0;
        n_open_sets += texts[i].held_out && i % 4 == 0 && i / 4 % 2;
    }
    char path[] = "/tmp/agon-own-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, rows, used) == (ssize_t)used);
    close(fd);
    assert_ok(ctx, own_rows_read(ctx, path, NULL, NULL, &own));
    unlink(path);
    assert_true(n_sets >= 2);
    assert_int_equal(own.n_held_out, n_held_out);
    assert_int_equal(own.n_held_out_sets, n_sets);
    assert_int_equal(own.n_held_out_sets_unverifiable, n_open_sets);
    own_rows_free(&own);
    agon_ctx_free(ctx);
}

static void own_rows__bad_rows__end_it_or_are_handed_on(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    own_rows own;
    int n_bad = 0;
    assert_int_equal(count(ctx, broken, NULL, NULL, &own), AGON_EINVAL);
    assert_non_null(strstr(agon_error(ctx), ":8: 'query'"));
    own_rows_free(&own);
    assert_ok(ctx, count(ctx, broken, note, &n_bad, &own));
    assert_int_equal(n_bad, 2);
    assert_int_equal(own.n_rows, 7);
    own_rows_free(&own);
    agon_ctx_free(ctx);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_rows__equal_rows__are_one_query),
        cmocka_unit_test(own_rows__near_duplicates_and_groups__are_joined),
        cmocka_unit_test(own_rows__held_out__in_sets),
        cmocka_unit_test(own_rows__bad_rows__end_it_or_are_handed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
