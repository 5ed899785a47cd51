/* Sequence tasks: what is drawn true verifies, what is drawn false does not, nothing is drawn twice. */
#include "task/sequence.h"
#include "test.h"

static void sequence__drawn_truth_verifies(void **state) {
    (void)state;
    for (size_t f = 0; f < sequence_n_families(); f++) {
        rng r = rng_new(3 + f);
        int domains[SEQUENCE_N_DOMAINS] = {0};
        for (int i = 0; i < 600; i++) {
            sequence_item s;
            sequence_draw(f, i % 2, &r, &s);
            assert_int_equal(s.truth, i % 2);
            assert_int_equal(sequence_verify(f, s.tokens, s.n), i % 2);
            assert_true(s.n <= SEQUENCE_MAX && s.n_source < s.n && s.tokens[s.n - 1] == SEQUENCE_END);
            for (size_t j = 0; j < s.n; j++)
                assert_true(s.tokens[j] >= 0 && s.tokens[j] < SEQUENCE_VOCABULARY);
            domains[s.domain]++;
            for (size_t g = 0; g < sequence_n_families(); g++)
                assert_true(g == f || !sequence_verify(g, s.tokens, s.n));
        }
        for (int d = 0; d < SEQUENCE_N_DOMAINS; d++)
            if (domains[d] < 20)
                fail_msg("%s: domain %d has %d of 600 items", sequence_family_name(f), d, domains[d]);
    }
}

/* A false statement is one change away from a true one: some token put back makes it true, or it is a swap. */
static void sequence__faults_are_subtle(void **state) {
    (void)state;
    for (size_t f = 0; f < sequence_n_families(); f++) {
        rng a = rng_new(9), b = rng_new(9);
        for (int i = 0; i < 50; i++) {
            sequence_item whole, faulty;
            size_t changed = 0;
            sequence_draw(f, true, &a, &whole);
            a = b;
            sequence_draw(f, false, &b, &faulty);
            a = b;
            if (whole.n != faulty.n)
                continue;
            for (size_t j = 0; j < whole.n; j++)
                changed += whole.tokens[j] != faulty.tokens[j];
            /* compare swaps its sides; drawn again after eight vain changes, an item is another one */
            if (changed > 2 && strcmp(sequence_family_name(f), "compare") != 0 && faulty.tokens[1] == whole.tokens[1] &&
                faulty.tokens[2] == whole.tokens[2])
                fail_msg("%s: a fault changes %zu tokens", sequence_family_name(f), changed);
        }
    }
}

static void sequence__verifier_trusts_nothing(void **state) {
    (void)state;
    rng r = rng_new(4);
    int32_t tokens[SEQUENCE_MAX];
    for (int i = 0; i < 20000; i++) {
        size_t n = rng_below(&r, SEQUENCE_MAX + 1);
        for (size_t j = 0; j < n; j++)
            tokens[j] = (int32_t)rng_below(&r, SEQUENCE_VOCABULARY + 2) - 1;
        for (size_t f = 0; f < sequence_n_families(); f++)
            (void)sequence_verify(f, tokens, n); /* no fault of memory; almost never true */
    }
    sequence_item s;
    sequence_draw(sequence_family_find("addition"), true, &r, &s);
    assert_false(sequence_verify(sequence_family_find("addition"), s.tokens, s.n - 1));
    assert_true(sequence_family_find("no such") == SIZE_MAX);
}

static void sequence__grades_by_place(void **state) {
    (void)state;
    rng r = rng_new(8);
    for (size_t f = 0; f < sequence_n_families(); f++) {
        if (!sequence_is_generative(f))
            continue;
        for (int i = 0; i < 200; i++) {
            sequence_item truth, other;
            sequence_draw(f, true, &r, &truth);
            assert_close(sequence_grade(&truth, &truth), 1, 0);
            other = truth;
            other.tokens[truth.n_source] ^= 1; /* one place of the answer */
            double places = (double)(truth.n - truth.n_source);
            assert_close(sequence_grade(&truth, &other), (places - 1) / places, 1e-15);
            other = truth;
            other.n = truth.n_source; /* nothing said */
            assert_close(sequence_grade(&truth, &other), 0, 0);
            other = truth;
            other.tokens[other.n - 1] = SEQUENCE_EQUALS; /* went on instead of ending */
            other.tokens[other.n++] = SEQUENCE_END;
            assert_close(sequence_grade(&truth, &other), (places - 1) / (places + 1), 1e-15);
        }
    }
}

/* Blurred at the stated rate, with symbols of the source, source and END as they were. */
static void sequence__blur_leaves_the_source(void **state) {
    (void)state;
    rng r = rng_new(9);
    double changed = 0, places = 0;
    for (int i = 0; i < 4000; i++) {
        sequence_item truth, item;
        sequence_draw(sequence_family_find("reversal"), true, &r, &truth);
        item = truth;
        sequence_blur(&r, 0.3, &item);
        assert_int_equal(item.n, truth.n);
        assert_memory_equal(item.tokens, truth.tokens, truth.n_source * sizeof(int32_t));
        assert_int_equal(item.tokens[item.n - 1], SEQUENCE_END);
        for (size_t j = item.n_source; j + 1 < item.n; j++) {
            bool of_source = false;
            for (size_t k = 1; k + 1 < item.n_source; k++)
                of_source = of_source || item.tokens[k] == item.tokens[j];
            assert_true(of_source);
            changed += item.tokens[j] != truth.tokens[j], places++;
        }
    }
    /* A letter drawn from six is the right one in 1/6, a little more where letters repeat. */
    assert_close(changed / places, 0.3 * 5 / 6 * 25 / 26, 0.01);
    sequence_item truth, item;
    sequence_draw(sequence_family_find("sorting"), true, &r, &truth);
    item = truth;
    sequence_blur(&r, 0, &item);
    assert_memory_equal(&item, &truth, sizeof item);
}

/* Mistakes are planted at the stated rate in every other letter, always the same one, and the critic names exactly these places. */
static void sequence__planted_mistakes_are_named(void **state) {
    (void)state;
    enum { A = 26 }; /* the letter a */
    rng r = rng_new(10);
    double planted = 0, could = 0;
    for (int i = 0; i < 4000; i++) {
        bool wrong[SEQUENCE_MAX];
        size_t n = 0;
        sequence_item truth, item;
        sequence_draw(sequence_family_find("reversal"), true, &r, &truth);
        item = truth;
        sequence_plant(&r, 2, 0.8, &item);
        assert_int_equal(item.n, truth.n);
        assert_memory_equal(item.tokens, truth.tokens, truth.n_source * sizeof(int32_t));
        size_t n_wrong = sequence_wrong_places(&truth, &item, wrong);
        for (size_t j = item.n_source; j < item.n; j++) {
            bool trap = j + 1 < item.n && (truth.tokens[j] - A) % 2 == 0;
            if (item.tokens[j] != truth.tokens[j])
                assert_true(trap && item.tokens[j] == truth.tokens[j] + 1);
            assert_int_equal(wrong[j - item.n_source], item.tokens[j] != truth.tokens[j]);
            n += wrong[j - item.n_source];
            could += trap;
        }
        assert_int_equal(n, n_wrong);
        assert_int_equal(n_wrong == 0, sequence_verify(sequence_family_find("reversal"), item.tokens, item.n));
        planted += (double)n;
    }
    assert_close(planted / could, 0.8, 0.01);
    sequence_item truth = {.tokens = {6, A, SEQUENCE_EQUALS, A + 25, SEQUENCE_END}, .n = 5, .n_source = 3}, item = truth;
    sequence_plant(&r, 25, 1, &item); /* of a and z */
    assert_int_equal(item.tokens[3], A);
    /* What is too long is wrong, what is missing is not there to be named. */
    bool wrong[SEQUENCE_MAX];
    item = truth;
    item.tokens[item.n++] = SEQUENCE_END;
    assert_int_equal(sequence_wrong_places(&truth, &item, wrong), 1);
    assert_true(!wrong[0] && !wrong[1] && wrong[2]);
    item.n = item.n_source;
    assert_int_equal(sequence_wrong_places(&truth, &item, wrong), 0);
}

static void sequence__mending_shows_draft_and_critique(void **state) {
    (void)state;
    const sequence_item draft = {.tokens = {6, 26, 27, SEQUENCE_EQUALS, 28, 26, SEQUENCE_END}, .n = 7, .n_source = 4};
    const bool wrong[] = {true, false, false};
    const int32_t want[] = {SEQUENCE_MEND, 26, 27, SEQUENCE_EQUALS, 28, SEQUENCE_WRONG, 26, SEQUENCE_RIGHT, SEQUENCE_EQUALS};
    sequence_item out;
    assert_true(sequence_mend(&draft, wrong, &out));
    assert_int_equal(out.n, sizeof want / sizeof *want);
    assert_int_equal(out.n_source, out.n);
    assert_memory_equal(out.tokens, want, sizeof want);
    for (size_t f = 0; f < sequence_n_families(); f++)
        assert_false(sequence_verify(f, out.tokens, out.n)); /* no statement of any family */
    sequence_item bad = draft;
    bad.n--; /* goes on without END */
    assert_false(sequence_mend(&bad, wrong, &out));
    bad.n = bad.n_source;
    assert_false(sequence_mend(&bad, wrong, &out));
    bad = (sequence_item){.n = SEQUENCE_MAX, .n_source = 4};
    assert_false(sequence_mend(&bad, wrong, &out));
    /* The completed refinement must fit too. */
    rng r = rng_new(11);
    for (size_t f = 0; f < sequence_n_families(); f++) {
        const bool none[SEQUENCE_MAX] = {false};
        if (!sequence_is_generative(f))
            continue;
        sequence_draw(f, true, &r, &bad);
        assert_true(sequence_mend(&bad, none, &out));
        assert_true(out.n + bad.n - bad.n_source <= SEQUENCE_MAX);
    }
}

static void sequence__sets_repeat_nothing(void **state) {
    (void)state;
    enum { N = 400 };
    agon_ctx *ctx = test_ctx(1, NULL);
    static sequence_item first[N], second[N], again[N];
    for (size_t f = 0; f < sequence_n_families(); f++) {
        size_t n_true = 0;
        assert_ok(ctx, sequence_draw_set(ctx, f, 1, NULL, NULL, 0, true, N, first));
        assert_ok(ctx, sequence_draw_set(ctx, f, 2, NULL, first, N, true, N, second));
        assert_ok(ctx, sequence_draw_set(ctx, f, 1, NULL, NULL, 0, true, N, again));
        assert_memory_equal(first, again, sizeof first);
        for (size_t i = 0; i < N; i++) {
            size_t key = sequence_is_generative(f) ? first[i].n_source : first[i].n;
            n_true += first[i].truth;
            for (size_t j = 0; j < N; j++) {
                bool same = j != i && memcmp(first[i].tokens, first[j].tokens, key * sizeof(int32_t)) == 0;
                bool taken = memcmp(first[i].tokens, second[j].tokens, key * sizeof(int32_t)) == 0;
                if (same || taken)
                    fail_msg("%s: an item is drawn twice", sequence_family_name(f));
            }
        }
        assert_int_equal(n_true, N / 2);
    }
    /* Only 100 * 100 sums exist. */
    sequence_item *many = calloc(12000, sizeof *many);
    bool yes = true;
    assert_int_equal(sequence_draw_set(ctx, sequence_family_find("addition"), 1, &yes, NULL, 0, true, 12000, many), AGON_EINVAL);
    assert_ok(ctx, sequence_draw_set(ctx, sequence_family_find("addition"), 1, &yes, NULL, 0, false, 12000, many));
    free(many);
    agon_ctx_free(ctx);
}

/* The words of a statement are those of its tokens alone, whole within their size, and differ where statements do. */
static void sequence__words_say_the_statement(void **state) {
    (void)state;
    enum { N = 300 };
    agon_ctx *ctx = test_ctx(1, NULL);
    static sequence_item items[N];
    static char words[N][512];
    for (size_t f = 0; f < sequence_n_families(); f++) {
        assert_ok(ctx, sequence_draw_set(ctx, f, 3, NULL, NULL, 0, true, N, items));
        for (size_t i = 0; i < N; i++) {
            sequence_words(items[i].tokens, items[i].n, words[i], sizeof words[i]);
            assert_null(strchr(words[i], '?'));
            assert_null(strstr(words[i], "  "));
            assert_int_equal(words[i][strlen(words[i]) - 1], '.');
            char source[512];
            sequence_words(items[i].tokens, items[i].n_source, source, sizeof source);
            assert_true(source[0] != 0 && strncmp(words[i], source, strlen(source)) == 0 && words[i][strlen(source)] == ' ');
            for (size_t j = 0; j < i; j++)
                assert_string_not_equal(words[i], words[j]);
        }
    }
    char small[8];
    sequence_words(items[0].tokens, items[0].n, small, sizeof small);
    assert_memory_equal(small, words[0], sizeof small - 1);
    assert_int_equal(small[sizeof small - 1], 0);
    agon_ctx_free(ctx);
}

/* Numbers are numbers: "482 is less than 4821." is what the verifier judges. */
static void sequence__words_agree_with_the_truth(void **state) {
    (void)state;
    rng r = rng_new(9);
    char words[512];
    for (int i = 0; i < 400; i++) {
        sequence_item item;
        int a, b, sum;
        sequence_draw(sequence_family_find("compare"), i % 2, &r, &item);
        sequence_words(item.tokens, item.n, words, sizeof words);
        assert_int_equal(sscanf(words, "%d is less than %d.", &a, &b), 2);
        assert_int_equal(a < b, item.truth);
        sequence_draw(sequence_family_find("addition"), i % 2, &r, &item);
        sequence_words(item.tokens, item.n, words, sizeof words);
        assert_int_equal(sscanf(words, "%d + %d = %d.", &a, &b, &sum), 3);
        assert_int_equal(a + b == sum, item.truth);
        sequence_draw(sequence_family_find("agreement"), i % 2, &r, &item);
        sequence_words(item.tokens, item.n, words, sizeof words);
        assert_memory_equal(words, "The ", 4);
        size_t subject = strcspn(words + 4, " ") + 4, verb = strlen(words) - 2;
        assert_int_equal((words[subject - 1] == 's') != (words[verb] == 's'), item.truth);
    }
    const int32_t hostile[] = {-5, 1 << 30, 16, 26, -1, 0};
    sequence_words(hostile, 6, words, sizeof words);
    assert_string_equal(words, "? 0 a ?.");
    sequence_words(hostile, 0, words, sizeof words);
    assert_string_equal(words, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequence__drawn_truth_verifies),
        cmocka_unit_test(sequence__faults_are_subtle),
        cmocka_unit_test(sequence__verifier_trusts_nothing),
        cmocka_unit_test(sequence__grades_by_place),
        cmocka_unit_test(sequence__blur_leaves_the_source),
        cmocka_unit_test(sequence__planted_mistakes_are_named),
        cmocka_unit_test(sequence__mending_shows_draft_and_critique),
        cmocka_unit_test(sequence__sets_repeat_nothing),
        cmocka_unit_test(sequence__words_say_the_statement),
        cmocka_unit_test(sequence__words_agree_with_the_truth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
