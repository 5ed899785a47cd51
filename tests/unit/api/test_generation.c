/* What agon_sampling asks for reaches the sampler: stop texts, the ways to cut the distribution, penalties; what a stop leaves. */
#include "test.h"

enum { LENGTH = 24, N_LETTERS = 26 };

typedef struct fixture {
    agon_ctx *ctx;
    agon_model *m;
    int32_t letters[N_LETTERS]; /* tokens of one letter each, so an answer's n-th character is its n-th token */
    agon_sampling greedy;       /* of letters only */
    agon_completion answer;     /* what greedy says */
} fixture;

static agon_completion ask(fixture *f, const agon_sampling *s) {
    const agon_generate_request r = {.text = "hello", .n_samples = 1, .seed = 3, .sampling = s};
    agon_completion out;
    assert_ok(f->ctx, agon_generate(f->ctx, f->m, &r, 1, NULL, &out));
    return out;
}

static int setup(void **state) {
    char path[2048];
    fixture *f = calloc(1, sizeof *f);
    f->ctx = test_ctx(1, NULL);
    golden_path(path, "tiny-text.gguf");
    assert_ok(f->ctx, agon_model_open(f->ctx, path, NULL, &f->m));
    for (int i = 0; i < N_LETTERS; i++) {
        const char letter = (char)('a' + i);
        int32_t *ids = NULL;
        size_t n = 0;
        assert_ok(f->ctx, agon_tokenize(f->ctx, agon_model_tokenizer(f->m), &letter, 1, false, false, &ids, &n));
        f->letters[i] = ids[n - 1];
        agon_tokens_free(ids);
    }
    f->greedy = agon_sampling_default();
    f->greedy.temperature = 0;
    f->greedy.max_tokens = LENGTH;
    f->greedy.allowed = f->letters;
    f->greedy.n_allowed = N_LETTERS;
    f->answer = ask(f, &f->greedy);
    assert_int_equal(f->answer.n_tokens, LENGTH);
    assert_int_equal(f->answer.n_text, LENGTH);
    assert_false(f->answer.stopped);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture *f = *state;
    agon_completion_free(&f->answer);
    agon_model_free(f->m);
    agon_ctx_free(f->ctx);
    free(f);
    return 0;
}

/* ---- stopped half way ------------------------------------------------------------------------------------ */

enum { SHORT = 3, STOP_AT = 7 };

static int stop_later(void *arg, size_t request, size_t sample, int32_t token, const char *bytes, size_t n) {
    size_t *n_long = arg;
    (void)sample, (void)token, (void)bytes, (void)n;
    *n_long += request == 1;
    return *n_long == STOP_AT;
}

/* The first answer is complete by then, the second is half written, the third waits: one sample is drawn for at a time beside another. */
static void stopped__what_was_generated_stays(void **state) {
    fixture *f = *state;
    agon_sampling brief = f->greedy;
    brief.max_tokens = SHORT;
    size_t n_long = 0;
    agon_generate_options o = agon_generate_options_default();
    o.on_token = stop_later;
    o.arg = &n_long;
    o.max_batch = 2;
    const agon_generate_request r[] = {{.text = "hello", .n_samples = 1, .seed = 3, .sampling = &brief},
                                       {.text = "hello", .n_samples = 1, .seed = 3, .sampling = &f->greedy},
                                       {.text = "hello there", .n_samples = 1, .seed = 3, .sampling = &f->greedy}};
    agon_completion out[3];
    assert_int_equal(agon_generate(f->ctx, f->m, r, 3, &o, out), AGON_EINTERRUPTED);
    assert_int_equal(out[0].n_tokens, SHORT);
    assert_int_equal(out[1].n_tokens, STOP_AT);
    for (int i = 0; i < 2; i++) {
        assert_memory_equal(out[i].tokens, f->answer.tokens, out[i].n_tokens * sizeof *out[i].tokens);
        assert_memory_equal(out[i].log_probs, f->answer.log_probs, out[i].n_tokens * sizeof *out[i].log_probs);
        assert_int_equal(out[i].n_text, out[i].n_tokens);
        assert_memory_equal(out[i].text, f->answer.text, out[i].n_text);
        assert_false(out[i].stopped);
    }
    assert_true(out[2].n_tokens < STOP_AT && (out[2].n_tokens > 0 || !out[2].text));
    agon_completions_free(out, 3);
    agon_interrupt(f->ctx);
    assert_int_equal(agon_generate(f->ctx, f->m, r, 3, NULL, out), AGON_EINTERRUPTED);
    agon_interrupt_clear(f->ctx);
    agon_completions_free(out, 3);
}

/* ---- stop texts ------------------------------------------------------------------------------------------ */

/* The answer's own characters [from, to), to be stopped at. */
static const char *part(const fixture *f, size_t from, size_t to, char *out) {
    memcpy(out, f->answer.text + from, to - from);
    out[to - from] = 0;
    return out;
}

/* The greedy answer's first n_tokens tokens and their log_probs, n_text characters of its text, and the reason. */
static void assert_stops(fixture *f, const char *const *stop, size_t n_stop, size_t n_tokens, size_t n_text) {
    agon_sampling s = f->greedy;
    s.stop = stop;
    s.n_stop = n_stop;
    agon_completion c = ask(f, &s);
    assert_true(c.stopped);
    assert_int_equal(c.n_tokens, n_tokens);
    assert_memory_equal(c.tokens, f->answer.tokens, n_tokens * sizeof *c.tokens);
    assert_memory_equal(c.log_probs, f->answer.log_probs, n_tokens * sizeof *c.log_probs);
    assert_int_equal(c.n_text, n_text);
    assert_memory_equal(c.text, f->answer.text, n_text);
    assert_int_equal(c.text[n_text], 0);
    agon_completion_free(&c);
}

static void stop__ends_before_a_text_of_two_tokens(void **state) {
    fixture *f = *state;
    char two[8], all[LENGTH + 1];
    const char *stop[] = {part(f, 4, 6, two)};
    assert_ptr_equal(strstr(f->answer.text, two), f->answer.text + 4); /* it does not come earlier */
    assert_stops(f, stop, 1, 6, 4);
    stop[0] = part(f, 0, LENGTH, all);
    assert_stops(f, stop, 1, LENGTH, 0);
    stop[0] = "never said";
    agon_sampling s = f->greedy;
    s.stop = stop;
    s.n_stop = 1;
    agon_completion c = ask(f, &s);
    assert_false(c.stopped);
    assert_string_equal(c.text, f->answer.text);
    agon_completion_free(&c);
}

/* Three that one token completes, and one that would come later, in both orders; n_stop says how many count. */
static void stop__ends_before_the_first_of_several(void **state) {
    fixture *f = *state;
    char one[8], two[8], three[8], later[8];
    const char *stop[] = {part(f, 5, 6, one), part(f, 7, 10, later), part(f, 3, 6, three), part(f, 4, 6, two)};
    const char *back[] = {stop[3], stop[2], stop[1], stop[0]};
    assert_ptr_equal(strstr(f->answer.text, one), f->answer.text + 5);
    assert_ptr_equal(strstr(f->answer.text, later), f->answer.text + 7);
    assert_stops(f, stop, 4, 6, 3);
    assert_stops(f, back, 4, 6, 3);
    assert_stops(f, stop, 2, 6, 5);
    assert_stops(f, back, 1, 6, 4);
    assert_stops(f, stop + 1, 1, 10, 7);
}

/* ---- the distribution ------------------------------------------------------------------------------------- */

static bool is_greedy(fixture *f, const agon_sampling *s) {
    agon_completion c = ask(f, s);
    bool same = c.n_tokens == LENGTH && memcmp(c.tokens, f->answer.tokens, LENGTH * sizeof *c.tokens) == 0;
    agon_completion_free(&c);
    return same;
}

/* Each leaves the likeliest token alone, so that the temperature changes nothing. */
static void sampling__cut_to_one_token_is_greedy(void **state) {
    fixture *f = *state;
    agon_sampling hot = f->greedy;
    hot.temperature = 1;
    assert_false(is_greedy(f, &hot));
    agon_sampling k = hot, p = hot, m = hot;
    k.top_k = 1;
    p.top_p = 1e-6;
    m.min_p = 1;
    assert_true(is_greedy(f, &k));
    assert_true(is_greedy(f, &p));
    assert_true(is_greedy(f, &m));
}

/* Times the answer writes the token it has just written. */
static size_t repeats(fixture *f, const agon_sampling *s) {
    agon_completion c = ask(f, s);
    size_t n = 0;
    for (size_t i = 1; i < c.n_tokens; i++)
        n += c.tokens[i] == c.tokens[i - 1];
    agon_completion_free(&c);
    return n;
}

/* No letter comes again before all others, while there are others. */
static void sampling__penalties_end_a_repetition(void **state) {
    fixture *f = *state;
    agon_sampling repetition = f->greedy, frequency = f->greedy, presence = f->greedy;
    repetition.repetition_penalty = 100;
    frequency.frequency_penalty = 100;
    presence.presence_penalty = 100;
    assert_true(repeats(f, &f->greedy) > 0);
    assert_int_equal(repeats(f, &repetition), 0);
    assert_int_equal(repeats(f, &frequency), 0);
    assert_int_equal(repeats(f, &presence), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stopped__what_was_generated_stays),
        cmocka_unit_test(stop__ends_before_a_text_of_two_tokens),
        cmocka_unit_test(stop__ends_before_the_first_of_several),
        cmocka_unit_test(sampling__cut_to_one_token_is_greedy),
        cmocka_unit_test(sampling__penalties_end_a_repetition),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
