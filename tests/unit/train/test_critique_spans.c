/* Critiques as rewards against training_vectors.json: critique.span_rewards, critique.quote_alignment,
 * critique.refine_pairs. */
#include "train/critique_spans.h"
#include "objective/objective.h"
#include "training_vectors.h"

enum { ROOM = 16 };

static size_t offsets_of(json_t *v, size_t (*out)[2]) {
    double flat[2 * ROOM];
    size_t n = numbers(get(v, "inputs", "token_offsets"), flat, 2 * ROOM) / 2;
    for (size_t i = 0; i < n; i++)
        out[i][0] = (size_t)flat[2 * i], out[i][1] = (size_t)flat[2 * i + 1];
    return n;
}

/* PPO's advantages of one response with these token rewards, read back from its gradient. */
static void advantages(agon_ctx *ctx, const double *rewards, double reward, const double *values, size_t n, double *out) {
    const objective *ppo = objective_find("ppo");
    double log_prob[ROOM], d[ROOM], options[MAX_OBJECTIVE_OPTIONS], losses[1];
    for (size_t t = 0; t < n; t++)
        log_prob[t] = -1;
    response r = {.n = n, .log_prob = log_prob, .values = values, .token_rewards = rewards, .reward = reward,
                  .advantage = NAN, .label = NAN, .weight = 1, .d_log_prob = d};
    row one = {&r, 1, 1};
    objective_result result = {.losses = losses};
    const char *settings[] = {"beta=0", "whiten=0", "lambda=0.95"};
    objective_defaults(ppo, options);
    for (size_t i = 0; i < 3; i++)
        assert_ok(ctx, objective_set(ctx, ppo, settings[i], options));
    assert_ok(ctx, ppo->loss(ctx, ppo, options, &one, 1, &result));
    for (size_t t = 0; t < n; t++)
        out[t] = -(double)n * d[t];
}

static void spans__agree_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("critique.span_rewards", &root);
    size_t offsets[ROOM][2], n = offsets_of(v, offsets);
    text_span spans[2];
    double rewards[ROOM], values[ROOM], got[ROOM];
    for (size_t i = 0; i < 2; i++) {
        spans[i] = (text_span){(size_t)cell(v, "inputs", "spans", i, 0), (size_t)cell(v, "inputs", "spans", i, 1),
                               cell(v, "inputs", "spans", i, 2)};
        size_t first, count;
        span_tokens((const size_t(*)[2])offsets, n, &spans[i], &first, &count);
        assert_int_equal(count, json_array_size(at(get(v, "expected", "token_indices"), i)));
        assert_int_equal(first, (size_t)cell(v, "expected", "token_indices", i, 0));
    }
    const char *keys[] = {"each", "spread", "last"};
    const span_placement placements[] = {SPAN_EACH, SPAN_SPREAD, SPAN_LAST};
    for (size_t c = 0; c < 3; c++) {
        span_rewards((const size_t(*)[2])offsets, n, spans, 2, placements[c], rewards);
        expect_numbers(v, keys[c], rewards, 1e-9);
    }
    span_rewards((const size_t(*)[2])offsets, n, spans, 2, SPAN_SPREAD, rewards);
    dense_rewards(rewards, n, number(v, "inputs", "a2"), 0, number(v, "inputs", "a1"), number(v, "inputs", "extrinsic"));
    expect_numbers(v, "token_reward", rewards, 1e-9);
    numbers(get(v, "inputs", "values"), values, ROOM);
    advantages(ctx, rewards, 0, values, n, got);
    expect_numbers(v, "advantages", got, 1e-9);
    advantages(ctx, NULL, number(v, "inputs", "extrinsic"), values, n, got);
    expect_numbers(v, "advantages_sparse", got, 1e-9);
    /* The bound holds the sum of sizes. */
    double x[4] = {3, -1, 0, 4};
    dense_rewards(x, 4, 1, 2, 1, 10);
    assert_close(x[0], 0.75, 1e-12);
    assert_close(x[3], 11, 1e-12);
    json_decref(root);
}

static void quotes__agree_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("critique.quote_alignment", &root);
    const char *text = json_string_value(get(v, "inputs", "text")), *quote = json_string_value(get(v, "inputs", "quote"));
    size_t offsets[ROOM][2], n_tokens = offsets_of(v, offsets), n, first, count;
    text_span places[MOST_QUOTE_PLACES];
    quote_match how;
    assert_ok(ctx, quote_align(ctx, text, strlen(text), quote, strlen(quote), SIZE_MAX, -1, places, &n, &how));
    assert_int_equal(how, QUOTE_EXACT);
    assert_int_equal(n, 1);
    assert_int_equal(places[0].start, (size_t)element(v, "expected", "span", 0));
    assert_int_equal(places[0].end, (size_t)element(v, "expected", "span", 1));
    span_tokens((const size_t(*)[2])offsets, n_tokens, &places[0], &first, &count);
    json_t *want = get(v, "expected", "by_offset");
    assert_int_equal(count, json_array_size(want));
    for (size_t i = 0; i < count; i++)
        assert_int_equal(first + i, (size_t)json_number_value(at(want, i)));
    json_decref(root);
}

static void quotes__are_found_when_reworded(void **state) {
    agon_ctx *ctx = *state;
    static const char text[] = "The  cat sat on teh mat. the cat slept.";
    const struct {
        const char *quote;
        size_t near;
        quote_match how;
        size_t n, start, end;
        double value;
    } cases[] = {
        {"cat", SIZE_MAX, QUOTE_EXACT, 2, 5, 8, 0.5},   {"cat", 30, QUOTE_EXACT, 1, 29, 32, 1},
        {"the CAT sat", SIZE_MAX, QUOTE_FOLDED, 1, 0, 12, 1}, {"sat on the mat", SIZE_MAX, QUOTE_FUZZY, 1, 9, 23, 1},
        {"a dog barked", SIZE_MAX, QUOTE_NONE, 0, 0, 0, 0}, {"", SIZE_MAX, QUOTE_NONE, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        text_span places[MOST_QUOTE_PLACES];
        size_t n;
        quote_match how;
        assert_ok(ctx, quote_align(ctx, text, strlen(text), cases[i].quote, strlen(cases[i].quote), cases[i].near, 1, places,
                                   &n, &how));
        if (how != cases[i].how || n != cases[i].n)
            fail_msg("'%s': match %d, %zu places", cases[i].quote, (int)how, n);
        if (n && (places[0].start != cases[i].start || places[0].end != cases[i].end))
            fail_msg("'%s': %zu to %zu", cases[i].quote, places[0].start, places[0].end);
        if (n)
            assert_close(places[0].value, cases[i].value, 0);
    }
    /* Hostile: many places, a quote longer than the text. */
    char many[2048], big[3000];
    memset(many, 'a', sizeof many), memset(big, 'b', sizeof big);
    text_span places[MOST_QUOTE_PLACES];
    size_t n;
    quote_match how;
    assert_ok(ctx, quote_align(ctx, many, sizeof many, "a", 1, SIZE_MAX, 1, places, &n, &how));
    assert_int_equal(n, MOST_QUOTE_PLACES);
    assert_ok(ctx, quote_align(ctx, many, sizeof many, "a", 1, 2000, 1, places, &n, &how));
    assert_int_equal(n, 1);
    assert_int_equal(places[0].start, 2000); /* the nearest of all places, not of the first */
    assert_ok(ctx, quote_align(ctx, many, 10, big, sizeof big, SIZE_MAX, 1, places, &n, &how));
    assert_int_equal(how, QUOTE_NONE);
}

static void refinements__agree_with_the_vector(void **state) {
    agon_ctx *ctx = *state;
    json_t *root, *v = test_vector("critique.refine_pairs", &root);
    refinement_filter f = refinement_filter_default();
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(refinement_keep(&f, element(v, "inputs", "draft_score", i), element(v, "inputs", "refined_score", i),
                                         element(v, "inputs", "edit_ratio", i),
                                         element(v, "inputs", "copies_critique", i) != 0),
                         element(v, "expected", "keep", i) != 0);
    assert_true(refinement_keep(&f, 0.5, 0.6, 0.1, false));
    assert_false(refinement_keep(&f, 0.5, 0.9, 0.1, true));
    double ratio;
    assert_ok(ctx, edit_ratio(ctx, "kitten", 6, "sitting", 7, &ratio));
    assert_close(ratio, 3.0 / 7, 1e-15);
    assert_ok(ctx, edit_ratio(ctx, "", 0, "", 0, &ratio));
    assert_close(ratio, 0, 0);
    const char *critique = "You should say that the answer is forty two because six times seven";
    assert_true(copies_critique("I do not know.", "Well: the answer is  forty two, I was told that the answer is forty two because", critique, 5));
    assert_false(copies_critique("that the answer is forty two", "that the answer is forty two", critique, 5));
    assert_false(copies_critique("", "short", critique, 5));
    json_decref(root);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans__agree_with_the_vector),
        cmocka_unit_test(quotes__agree_with_the_vector),
        cmocka_unit_test(quotes__are_found_when_reworded),
        cmocka_unit_test(refinements__agree_with_the_vector),
    };
    return cmocka_run_group_tests(tests, test_ctx_open, test_ctx_close);
}
