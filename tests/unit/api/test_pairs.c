/* agon_dataset_from_pairs: exactly the tokens given, copied; what cannot teach is refused by number. */
#include "test.h"
#include <stdlib.h>

typedef struct fixture {
    agon_ctx *ctx;
    agon_tokenizer *t;
    int32_t prompt[2], good[3], bad[2];
    agon_completion chosen, rejected, none;
    agon_pair pair;
} fixture;

static int setup(void **state) {
    const char *root = getenv("AGON_SOURCE");
    char path[1024];
    fixture *f = calloc(1, sizeof *f);
    *f = (fixture){.ctx = test_ctx(1, NULL), .prompt = {10, 11}, .good = {20, 21, 22}, .bad = {20, 23}};
    snprintf(path, sizeof path, "%s/tests/golden/tiny-text.gguf", root ? root : ".");
    assert_ok(f->ctx, agon_tokenizer_open(f->ctx, path, NULL, &f->t));
    f->chosen = (agon_completion){.tokens = f->good, .n_tokens = 3};
    f->rejected = (agon_completion){.tokens = f->bad, .n_tokens = 2};
    f->pair = (agon_pair){f->prompt, 2, &f->chosen, &f->rejected};
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    agon_tokenizer_free(f->t);
    agon_ctx_free(f->ctx);
    free(f);
    return 0;
}

static void pairs__are_the_tokens_given(void **state) {
    fixture *f = *state;
    const agon_pair pairs[2] = {f->pair, {f->prompt, 1, &f->rejected, &f->chosen}};
    agon_dataset *d = NULL;
    char *text = NULL;
    assert_ok(f->ctx, agon_dataset_from_pairs(f->ctx, f->t, pairs, 2, "dpo", &d));
    assert_int_equal(agon_dataset_n_rows(d), 2);
    assert_int_equal(agon_dataset_n_tokens(d), 7 + 6);
    f->good[0] = f->prompt[0] = 0; /* copied */
    assert_ok(f->ctx, agon_dataset_preview(f->ctx, d, 0, true, &text));
    assert_non_null(strstr(text, "\"prompt\":[10,11]"));
    assert_non_null(strstr(text, "\"tokens\":[20,21,22],\"mask\":[1.0,1.0,1.0]"));
    assert_true(strstr(text, "\"tokens\":[20,21,22]") < strstr(text, "\"tokens\":[20,23]"));
    agon_text_free(text);
    agon_dataset_free(d);
}

static void refused(fixture *f, const agon_pair *pairs, size_t n, const char *objective, agon_status want, const char *words) {
    agon_dataset *d = NULL;
    assert_int_equal(agon_dataset_from_pairs(f->ctx, f->t, pairs, n, objective, &d), want);
    assert_null(d);
    assert_non_null(strstr(agon_error(f->ctx), words));
}

static void pairs__that_cannot_teach_are_refused(void **state) {
    fixture *f = *state;
    agon_pair equal[2] = {f->pair, f->pair}, empty = f->pair;
    equal[1].rejected = &f->chosen;
    empty.rejected = &f->none;
    refused(f, equal, 2, "dpo", AGON_EINVAL, "pair 2: chosen and rejected are the same");
    refused(f, &empty, 1, "dpo", AGON_EINVAL, "pair 1: rejected is empty");
    refused(f, &f->pair, 0, "dpo", AGON_EINVAL, "no pairs");
    refused(f, &f->pair, 1, "sft", AGON_EINVAL, "sft does not learn from pairs alone");
    refused(f, &f->pair, 1, "dpo-soft", AGON_EINVAL, "dpo-soft does not learn from pairs alone");
    refused(f, &f->pair, 1, "dppo", AGON_ENOTFOUND, "dpo");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pairs__are_the_tokens_given, setup, teardown),
        cmocka_unit_test_setup_teardown(pairs__that_cannot_teach_are_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
