/* Diversity of texts: the worked example, parts that add up to the whole, texts that nobody wrote for it. */
#include "eval/diversity.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "vectors.h"

enum { MOST = 64 };

static agon_ctx *ctx;

static diversity measure(const char *const *texts, size_t n, size_t window, diversity_part *parts) {
    diversity d;
    assert_ok(ctx, diversity_of(ctx, texts, n, window, &d, parts));
    return d;
}

static void check_vector(const json_t *c, double tol) {
    const char *texts[MOST];
    const json_t *list = json_object_get(c, "texts");
    size_t n = json_array_size(list), n_each;
    diversity_part parts[MOST];
    for (size_t i = 0; i < n; i++)
        texts[i] = json_string_value(json_array_get(list, i));
    diversity d = measure(texts, n, 10, parts);
    assert_close(d.distinct[0], vectors_number(c, "distinct1"), tol);
    assert_close(d.distinct[1], vectors_number(c, "distinct2"), tol);
    assert_close(d.entropy[1], vectors_number(c, "entropy2_bits"), tol);
    assert_close(d.self_bleu, vectors_number(c, "self_bleu"), tol);
    assert_int_equal(d.lz78_phrases, vectors_count(c, "lz78_phrases"));
    assert_int_equal(d.n_bytes, vectors_count(c, "bytes"));
    assert_close(d.lz78_bits_per_byte, vectors_number(c, "lz78_bits_per_byte"), tol);
    double *each = vectors_list(json_object_get(c, "bleu_each"), &n_each);
    assert_int_equal(n_each, n);
    for (size_t i = 0; i < n; i++)
        assert_close(parts[i].bleu, each[i], tol);
    free(each);
    assert_close(d.type_token, 0.5, tol); /* the cat sat on the mat the cat sat on */
}

static void diversity__of_the_worked_example(void **state) {
    (void)state;
    vectors_each("diversity", check_vector);
}

static void parts__add_up(void **state) {
    (void)state;
    char text[40][64];
    const char *texts[40];
    diversity_part parts[40];
    rng r = rng_new(3);
    for (size_t i = 0; i < 40; i++) {
        size_t n = rng_below(&r, 12), at = 0;
        *text[i] = 0;
        for (size_t k = 0; k < n; k++)
            at += (size_t)snprintf(text[i] + at, sizeof text[i] - at, "%c%c ", (char)('a' + rng_below(&r, 4)), (char)('A' + rng_below(&r, 2)));
        texts[i] = text[i];
    }
    diversity d = measure(texts, 40, 50, parts);
    for (size_t order = 0; order < DIVERSITY_ORDERS; order++) {
        double grams = 0, kinds = 0, bits = 0;
        for (size_t i = 0; i < 40; i++) {
            grams += parts[i].grams[order];
            kinds += parts[i].kinds[order];
            bits += parts[i].bits[order];
        }
        assert_close(kinds / grams, d.distinct[order], 1e-12);
        assert_close(bits / grams, d.entropy[order], 1e-12);
        assert_true(grams == 0 || d.entropy[order] <= log2(kinds) + 1e-12);
    }
    assert_close(d.type_token, 8.0 / 50, 1e-15); /* all eight words within the first fifty */
    /* The order of the texts changes nothing but what reads them in order. */
    const char *turned[40];
    for (size_t i = 0; i < 40; i++)
        turned[i] = texts[39 - i];
    diversity t = measure(turned, 40, 0, NULL);
    assert_close(t.self_bleu, d.self_bleu, 1e-12);
    assert_close(t.entropy[2], d.entropy[2], 1e-12);
    assert_true(t.distinct[3] == d.distinct[3] && isnan(t.type_token));
}

/* BLEU by hand where a text has fewer than four words, where others are as near in length, where nothing matches. */
static void self_bleu__of_short_texts(void **state) {
    (void)state;
    const char *const same[] = {"42", "42", "7"}, *const lengths[] = {"a b", "a b c", "a"};
    diversity_part p[3];
    measure(same, 3, 0, p);
    assert_close(p[0].bleu, 1, 1e-15);
    assert_close(p[2].bleu, 0.1, 1e-15);
    measure(lengths, 3, 0, p);
    assert_close(p[0].bleu, 1, 1e-12);                                  /* of lengths 1 and 3 the shorter */
    assert_close(p[1].bleu, cbrt(2.0 / 3 * 1.0 / 2 * 0.1), 1e-12);      /* c matches nothing */
    assert_close(p[2].bleu, exp(1 - 2.0), 1e-12);                       /* too short */
}

static void texts__that_say_nothing(void **state) {
    (void)state;
    const char *const empty[] = {"", " \n\t ", ""}, *const one[] = {"alone"}, *const torn[] = {"\xff\xfe word", "\xc3", "W\xc3\x96RD w\xc3\xb6rd\xc2\xa0x"};
    diversity_part p[3];
    diversity d = measure(empty, 3, 1, p);
    assert_int_equal(d.n_words, 0);
    assert_true(isnan(d.distinct[0]) && isnan(d.entropy[3]) && isnan(d.type_token) && d.self_bleu == 0 && p[1].bleu == 0);
    d = measure(NULL, 0, 1, NULL);
    assert_true(d.lz78_phrases == 0 && isnan(d.lz78_bits_per_byte) && isnan(d.self_bleu));
    d = measure(one, 1, 1, p);
    assert_true(d.distinct[0] == 1 && isnan(d.distinct[1]) && isnan(d.self_bleu) && isnan(p[0].bleu) && d.type_token == 1);
    d = measure(torn, 3, 0, p); /* bytes that are no characters are words; upper and lower case are one, a no-break space is a space */
    assert_int_equal(d.n_words, 6);
    assert_close(d.distinct[0], 5.0 / 6, 1e-15);
    assert_int_equal(diversity_words("  two words "), 2);
    assert_int_equal(diversity_cut("  two words ", 1), 5);
    assert_int_equal(diversity_cut("  two words ", 9), 11);
    assert_int_equal(diversity_cut("two", 0), 0);
    assert_int_equal(diversity_words("a\x1c" "b\x1f" "c\xc2\x85" "d\xc2\xa0" "e\xe2\x80\xa8" "f\x1b" "g"), 6); /* what is white space to Python's str.split */
}

/* What a model can be made to say at length: one word, all words different, one byte, all in lines of one word. Quadratic ways would take minutes. */
static void long_texts__are_not_slow(void **state) {
    (void)state;
    enum { WORDS = 16384, TEXTS = 24 };
    const char *texts[TEXTS];
    for (size_t i = 0; i < TEXTS; i++) {
        char *t = memory_new(WORDS * 8 + 1, 1), *to = t;
        assert_non_null(t);
        for (size_t k = 0; k < WORDS; k++)
            to += i % 3 == 0 ? sprintf(to, "%s ", "same") : i % 3 == 1 ? sprintf(to, "w%zu ", i * WORDS + k) : sprintf(to, "%s", "xx");
        texts[i] = t;
    }
    double began = monotonic_seconds();
    diversity d = measure(texts, TEXTS, 1000, NULL);
    assert_true(monotonic_seconds() - began < 60);
    assert_true(d.n_words == (size_t)WORDS * 16 + 8);
    assert_close(d.type_token, 0.001, 1e-15);
    for (size_t i = 0; i < TEXTS; i++)
        free((char *)texts[i]);
}

static int setup(void **state) {
    (void)state;
    ctx = test_ctx(1, NULL);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    agon_ctx_free(ctx);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(diversity__of_the_worked_example), cmocka_unit_test(parts__add_up),           cmocka_unit_test(self_bleu__of_short_texts),
        cmocka_unit_test(texts__that_say_nothing),          cmocka_unit_test(long_texts__are_not_slow),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
