/* BLEU against an archive: what diversity.h says of a text among others, in time that the archive's size does not change. */
#include "base/random.h"
#include "eval/bleu_archive.h"
#include "eval/diversity.h"
#include "test.h"
#include <time.h>

static agon_ctx *ctx;

static double ask(const bleu_archive *a, const char *text, size_t order) {
    double bleu[BLEU_ORDERS];
    assert_ok(ctx, bleu_archive_ask(ctx, a, text, bleu));
    return bleu[order - 1];
}

static bleu_archive *archive_of(const char *const *texts, size_t n, size_t but) {
    bleu_archive *a = NULL;
    assert_ok(ctx, bleu_archive_new(ctx, &a));
    for (size_t i = 0; i < n; i++)
        if (i != but)
            assert_ok(ctx, bleu_archive_add(ctx, a, texts[i]));
    return a;
}

/* A text of 1 to 12 words of seven, some in capitals. */
static void draw(rng *r, char *out) {
    size_t n = 1 + (size_t)rng_below(r, 12);
    *out = 0;
    for (size_t i = 0; i < n; i++)
        sprintf(out + strlen(out), "%s%c%c", i ? (rng_below(r, 5) ? " " : "\n ") : "", rng_below(r, 4) ? 'x' : 'X', (char)('a' + rng_below(r, 7)));
}

static void archive__is_self_bleu_against_all_others(void **state) {
    (void)state;
    enum { N = 30 };
    char room[N][64];
    const char *texts[N];
    diversity_part parts[N];
    diversity whole;
    rng r = rng_new(5);
    for (size_t i = 0; i < N; i++) {
        draw(&r, room[i]);
        texts[i] = room[i];
    }
    texts[3] = "of none of these";
    assert_ok(ctx, diversity_of(ctx, texts, N, 10, &whole, parts));
    for (size_t i = 0; i < N; i++) {
        bleu_archive *a = archive_of(texts, N, i);
        assert_close(ask(a, texts[i], 4), parts[i].bleu, 1e-12);
        bleu_archive_free(a);
    }
}

static void archive__by_hand(void **state) {
    (void)state;
    const char *const texts[] = {"the sky is clear today.", "it was a long day."};
    bleu_archive *a = archive_of(NULL, 0, 0);
    assert_close(ask(a, "the sky", 3), 0, 0);
    bleu_archive_free(a);
    a = archive_of(texts, 2, 2);
    assert_close(ask(a, "", 3), 0, 0);
    assert_close(ask(a, "The  SKY is clear today.", 5), 1, 1e-12);
    assert_close(ask(a, "the sky is grey today.", 2), sqrt(4.0 / 5 * 2.0 / 4), 1e-12);
    assert_close(ask(a, "the sky is grey today.", 5), pow(4.0 / 5 * 2.0 / 4 * 1.0 / 3 * 0.1 / 2 * 0.1, 0.2), 1e-12);
    assert_close(ask(a, "the the the the the", 1), 1.0 / 5, 1e-12); /* no more than any text has */
    assert_close(ask(a, "the sky", 1), exp(1 - 5.0 / 2), 1e-12);
    bleu_archive_free(a);
}

/* 100 times the texts, not 100 times the time to ask: the words are the same number. */
static void archive__asks_in_the_time_of_the_text(void **state) {
    (void)state;
    enum { FEW = 300, MANY = 30000 };
    double bleu[BLEU_ORDERS], seconds[2];
    for (int k = 0; k < 2; k++) {
        bleu_archive *a = archive_of(NULL, 0, 0);
        rng r = rng_new(9);
        char text[128];
        for (size_t i = 0; i < (k ? MANY : FEW); i++) {
            snprintf(text, sizeof text, "%u %u %u %u %u %u", (unsigned)rng_below(&r, 5000), (unsigned)rng_below(&r, 5000), (unsigned)rng_below(&r, 5000),
                     (unsigned)rng_below(&r, 5000), (unsigned)rng_below(&r, 5000), (unsigned)rng_below(&r, 5000));
            assert_ok(ctx, bleu_archive_add(ctx, a, text));
        }
        const clock_t start = clock();
        for (size_t i = 0; i < 3000; i++)
            assert_ok(ctx, bleu_archive_ask(ctx, a, text, bleu));
        seconds[k] = (double)(clock() - start);
        assert_close(bleu[4], 1, 1e-12);
        bleu_archive_free(a);
    }
    assert_true(seconds[1] < 20 * seconds[0]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(archive__by_hand),
        cmocka_unit_test(archive__is_self_bleu_against_all_others),
        cmocka_unit_test(archive__asks_in_the_time_of_the_text),
    };
    ctx = test_ctx(1, NULL);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    agon_ctx_free(ctx);
    return failed;
}
