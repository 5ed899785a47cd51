/* An attacker that learns: against a learner that fails exactly on a hidden predicate over a twentieth of the queries it succeeds by half and more and keeps its
 * words different; without the penalty of similarity they become alike (spec: loop 2, acceptance). A query that fails anyway teaches nothing but validity. A
 * training cut anywhere ends at the same bits. */
#include "base/random.h"
#include "eval/diversity.h"
#include "experiment/attack_train.h"
#include "tiny_model.h"

enum { N_PROMPTS = 8, N_SAMPLES = 8, N_TOKENS = 8, N_PROMPT = 4, N_ROUNDS = 40, N = N_PROMPTS * N_SAMPLES };

typedef struct world {
    bool some_fail_anyway; /* another learner: see fails_anyway */
    bool all_failures;     /* are rewarded */
    double dull, weak;     /* shares of the last round's words */
    int32_t tokens[N_PROMPTS][N_PROMPT];
    char *texts[2 * N]; /* of the first round and of the last one */
    attack_round rounds[N_ROUNDS];
    size_t stop_at; /* rounds; 0: never */
    char *state;
    size_t n_state;
    agon_status expected; /* a failure that the test asks for */
} world;

static agon_status prompts(void *arg, size_t round, online_prompt *out) {
    world *w = arg;
    for (size_t i = 0; i < N_PROMPTS; i++) {
        tiny_tokens(w->tokens[i], N_PROMPT, round * N_PROMPTS + i);
        out[i] = (online_prompt){.tokens = w->tokens[i], .n = N_PROMPT};
    }
    return AGON_OK;
}

/* The learner fails where three or more of the words are among these: on 4 % of what the untrained attacker writes. */
static bool is_weak(int32_t token) {
    return token % 11 == 3;
}

static char *words_of(const completion *c) {
    char *text = calloc(1, 8 * N_TOKENS);
    for (size_t j = 0; j < c->n_tokens; j++)
        sprintf(text + strlen(text), "%sw%d", j ? " " : "", (int)c->tokens[j]);
    return text;
}

/* Of such a query, three of four, all answers fail as it is. Any words help the learner but dull ones, after which it fails as before. */
static bool fails_anyway(const world *w, size_t i) {
    return w->some_fail_anyway && i / N_SAMPLES % 4 != 0;
}

static bool is_dull(int32_t token) {
    return token % 11 == 5;
}

static double share_of(const completion *c, bool (*is)(int32_t)) {
    size_t n = 0;
    for (size_t j = 0; j < c->n_tokens; j++)
        n += is(c->tokens[j]);
    return (double)n / N_TOKENS;
}

/* The learner that fails some queries anyway, and the others by the share of weak words. */
static agon_status judge_some(world *w, const completion *samples, attack_attempt *out) {
    w->dull = w->weak = 0;
    for (size_t i = 0; i < N; i++) {
        const double dull = share_of(&samples[i], is_dull), weak = share_of(&samples[i], is_weak);
        out[i] = (attack_attempt){.words = words_of(&samples[i]), .valid = true, .failed = fails_anyway(w, i) ? dull : weak, .plain = fails_anyway(w, i)};
        w->dull += dull / N;
        w->weak += weak / N;
    }
    return AGON_OK;
}

static agon_status judge(void *arg, size_t round, const completion *samples, attack_attempt *out) {
    world *w = arg;
    if (w->some_fail_anyway)
        return judge_some(w, samples, out);
    for (size_t i = 0; i < N; i++) {
        char **text = round == 0 ? &w->texts[i] : round + 1 == N_ROUNDS ? &w->texts[N + i] : NULL;
        size_t weak = 0;
        for (size_t j = 0; j < samples[i].n_tokens; j++)
            weak += is_weak(samples[i].tokens[j]);
        out[i] = (attack_attempt){.words = words_of(&samples[i]), .valid = samples[i].tokens[0] < 50, .failed = weak >= 3};
        if (text) {
            free(*text);
            *text = strdup(out[i].words);
        }
    }
    return AGON_OK;
}

static agon_status keep(void *arg, const void *data, size_t n) {
    world *w = arg;
    free(w->state);
    w->state = malloc(n);
    w->n_state = n;
    memcpy(w->state, data, n);
    return AGON_OK;
}

static agon_status on_round(void *arg, size_t round, const attack_round *r) {
    const world *w = arg;
    (void)r;
    return round + 1 == w->stop_at ? AGON_EINTERRUPTED : AGON_OK;
}

static attack_options options_of(double similarity, uint64_t seed) {
    attack_options o = {.online = {.train = train_options_default(), .n_rounds = N_ROUNDS, .n_prompts = N_PROMPTS, .n_samples = N_SAMPLES, .max_tokens = N_TOKENS,
                                   .schedule = SCHEDULE_CONSTANT},
                        .similarity = similarity, .invalid = 0.5};
    o.online.train.objective = objective_find("grpo");
    objective_defaults(o.online.train.objective, o.online.train.objective_options);
    o.online.train.batch_rows = 2;
    o.online.train.lr = 5e-3f;
    o.online.train.schedule = SCHEDULE_CONSTANT;
    o.online.train.warmup = 0;
    o.online.train.seed = seed;
    return o;
}

static agon_status run(double similarity, uint64_t seed, world *w, hash256 *id) {
    agon_ctx *ctx = test_ctx(1, NULL);
    const model_config c = tiny_config();
    model *m = tiny_model(ctx, &c, COMPUTE_F32);
    adapter *a = NULL;
    const attack_target target = {prompts, judge, keep, on_round, w};
    attack_options o = options_of(similarity, seed);
    o.all_failures = w->all_failures;
    char *from = w->state;
    size_t n = w->n_state;
    w->state = NULL;
    assert_ok(ctx, adapter_new(ctx, m, &(adapter_options){.rank = 4, .alpha = 8, .seed = 2}, &a));
    agon_status s = attack_train(ctx, m, a, &o, &target, from, n, w->rounds);
    if (s && s != AGON_EINTERRUPTED && s != w->expected)
        fail_msg("%s", agon_error(ctx));
    *id = adapter_hash(a);
    free(from);
    adapter_free(a);
    model_free(m);
    agon_ctx_free(ctx);
    return s;
}

static void world_free(world *w) {
    for (size_t i = 0; i < 2 * N; i++)
        free(w->texts[i]);
    free(w->state);
}

static double distinct_2(char *const *texts) {
    diversity d;
    assert_ok(NULL, diversity_of(NULL, (const char *const *)texts, N, 1, &d, NULL));
    return d.distinct[1];
}

/* Of the last round's words, over the first's; *first and *last: shares of successful attempts. */
static double kept_distinct_2(double similarity, uint64_t seed, const attack_round **first, const attack_round **last, world *w) {
    hash256 id;
    *w = (world){0};
    assert_int_equal(run(similarity, seed, w, &id), AGON_OK);
    *first = &w->rounds[0], *last = &w->rounds[N_ROUNDS - 1];
    return distinct_2(w->texts + N) / distinct_2(w->texts);
}

static void attacker__finds_what_the_learner_fails_and_stays_diverse(void **state) {
    (void)state;
    const attack_round *first, *last;
    for (uint64_t seed = 3; seed < 6; seed++) {
        world w;
        double kept = kept_distinct_2(1, seed, &first, &last, &w);
        if (!(first->failed < 0.1 && last->failed >= 0.5 && last->valid > first->valid && kept >= 0.6))
            fail_msg("seed %u: success %.2f to %.2f, valid %.2f to %.2f, distinct-2 kept %.2f", (unsigned)seed, first->failed, last->failed, first->valid,
                     last->valid, kept);
        /* Nothing comes before the first round, so nothing is similar; what is not valid costs 0.5, whatever the learner would say of it. */
        assert_close(first->similarity, 0, 0);
        assert_close(first->reward, first->failed - 0.5 * (1 - first->valid), 1e-12);
        world_free(&w);
        double without = kept_distinct_2(0, seed, &first, &last, &w);
        if (!(last->failed >= 0.5 && without < 0.5 && without < kept - 0.2))
            fail_msg("seed %u, no penalty: success %.2f, distinct-2 kept %.2f, with it %.2f", (unsigned)seed, last->failed, without, kept);
        world_free(&w);
    }
}

static void attacker__is_rewarded_for_what_it_adds(void **state) {
    (void)state;
    for (uint64_t seed = 3; seed < 5; seed++) {
        hash256 id;
        world added = {.some_fail_anyway = true}, all = {.some_fail_anyway = true, .all_failures = true};
        assert_int_equal(run(0, seed, &added, &id), AGON_OK);
        assert_int_equal(run(0, seed, &all, &id), AGON_OK);
        const attack_round *first = &added.rounds[0];
        /* The same attempts, valid all of them: what keeps the learner failing earns nothing, and what helps it costs nothing. */
        assert_close(first->reward, first->added, 1e-12);
        assert_close(first->failed, all.rounds[0].failed, 0);
        assert_close(first->added, all.rounds[0].added, 0);
        assert_close(all.rounds[0].reward, first->failed, 1e-12);
        assert_true(first->added > 0 && first->added < first->failed);
        if (!(added.weak > 0.5 && added.dull < 0.3 && all.dull > 0.5 && all.weak < 0.3))
            fail_msg("seed %u: weak %.2f, dull %.2f; for all failures weak %.2f, dull %.2f", (unsigned)seed, added.weak, added.dull, all.weak, all.dull);
        world_free(&added), world_free(&all);
    }
}

static void attacker__goes_on_to_the_same_bits(void **state) {
    (void)state;
    world whole = {0}, cut = {.stop_at = 7};
    hash256 id, other;
    assert_int_equal(run(1, 3, &whole, &id), AGON_OK);
    assert_int_equal(run(1, 3, &cut, &other), AGON_EINTERRUPTED);
    assert_memory_not_equal(&id, &other, sizeof id);
    cut.stop_at = 0;
    memset(cut.rounds, 0, sizeof cut.rounds);
    assert_int_equal(run(1, 3, &cut, &other), AGON_OK);
    assert_memory_equal(&id, &other, sizeof id);
    assert_memory_equal(whole.rounds, cut.rounds, sizeof whole.rounds);
    /* A finished one is read, not done again. */
    memset(cut.rounds, 0, sizeof cut.rounds);
    free(whole.state);
    whole.state = memcpy(malloc(cut.n_state), cut.state, cut.n_state);
    whole.n_state = cut.n_state;
    assert_int_equal(run(1, 3, &cut, &other), AGON_OK);
    assert_memory_equal(&id, &other, sizeof id);
    assert_memory_equal(whole.rounds, cut.rounds, sizeof whole.rounds);
    world_free(&cut);
    /* Of another seed, and cut short. */
    cut = (world){.expected = AGON_EMISMATCH, .state = memcpy(malloc(whole.n_state), whole.state, whole.n_state), .n_state = whole.n_state};
    assert_int_equal(run(1, 4, &cut, &other), AGON_EMISMATCH);
    world_free(&cut);
    for (size_t n = 0; n < whole.n_state; n += n < 100 ? 1 : whole.n_state / 7) {
        cut = (world){.expected = AGON_EFORMAT, .state = memcpy(malloc(n + 1), whole.state, n), .n_state = n};
        assert_int_equal(run(1, 3, &cut, &other), AGON_EFORMAT);
        world_free(&cut);
    }
    world_free(&whole);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attacker__finds_what_the_learner_fails_and_stays_diverse),
        cmocka_unit_test(attacker__is_rewarded_for_what_it_adds),
        cmocka_unit_test(attacker__goes_on_to_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
