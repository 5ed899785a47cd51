/* Panacea through the trainer on a model of two layers: every vector is learnt, runs are the same bits however they are cut. */
#include "trainer.h"

enum { N_ROWS = 16, N_PROMPT = 4, N_RESPONSE = 3, STEPS = 24 };

/* Half of the rows for each dimension: the same prompts, answers of its own. A pair's rejected side is the other dimension's answer. */
typedef struct test_data {
    train_row rows[N_ROWS];
    train_response responses[N_ROWS][2];
    int32_t prompts[N_ROWS / 2][N_PROMPT], answers[2][N_RESPONSE];
} test_data;

static void new_data(test_data *d, size_t k) {
    *d = (test_data){.answers = {{7, 8, 9}, {21, 22, 23}}};
    for (size_t i = 0; i < N_ROWS / 2; i++)
        tiny_tokens(d->prompts[i], N_PROMPT, 40 + i);
    for (size_t i = 0; i < N_ROWS; i++) {
        for (size_t j = 0; j < k; j++)
            d->responses[i][j] = (train_response){.tokens = d->answers[(i + j) % 2], .n = N_RESPONSE, .reward = 1 - (double)j,
                                                  .advantage = NAN, .label = NAN, .weight = 1};
        d->rows[i] = (train_row){.prompt = d->prompts[i / 2], .n_prompt = N_PROMPT, .responses = d->responses[i], .n_responses = k,
                                 .weight = 1, .dimension = i % 2};
    }
}

typedef struct setting {
    const char *objective;
    size_t k;
    aggregation aggregate;
    int n_threads;
} setting;

static train_options options_for(const setting *s) {
    train_options o = trainer_options(s->objective);
    o.batch_rows = 8;
    o.max_steps = STEPS;
    o.lr = 1e-2f;
    o.seed = 17;
    o.preferences.vectors = 2;
    o.preferences.aggregate = s->aggregate;
    return o;
}

static policy new_policy(int n_threads) {
    static const char *const names[] = {"helpful", "harmless"};
    return policy_new(n_threads, &(adapter_options){.rank = 4, .alpha = 8, .seed = 3, .dimensions = names, .n_dimensions = 2});
}

static record run(const setting *s, const test_data *d, const record *from, size_t stop_at) {
    policy p = new_policy(s->n_threads);
    train_options o = options_for(s);
    record r = {.stop_at = stop_at};
    train_recorded(p.ctx, p.m, p.a, NULL, d->rows, N_ROWS, &o, from, &r);
    policy_free(&p);
    return r;
}

static const setting settings[] = {
    {"sft", 1, AGGREGATE_LINEAR, 1}, {"sft", 1, AGGREGATE_TCHEBYCHEFF, 1}, {"dpo", 2, AGGREGATE_LINEAR, 1},
    {"grpo", 2, AGGREGATE_TCHEBYCHEFF, 1}, {"exo-rw", 2, AGGREGATE_LINEAR, 1},
};

static void preferences__resume_bit_for_bit(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        test_data d;
        new_data(&d, settings[i].k);
        setting two = settings[i];
        two.n_threads = 2;
        record whole = run(&settings[i], &d, NULL, 0), half = run(&settings[i], &d, NULL, STEPS / 2);
        record rest = run(&settings[i], &d, &half, 0), threads = run(&two, &d, NULL, 0);
        assert_int_equal(whole.n_metrics, 2 + 3); /* a loss a dimension, and three of the update */
        assert_same_state(two.objective, &whole, &threads);
        free(threads.state);
        assert_resumed(two.objective, &whole, &half, &rest);
    }
}

/* log_prob of both answers to the first prompt. */
static void ask(const policy *p, const test_data *d, double out[2]) {
    workspace *w = NULL;
    float log_prob[N_PROMPT + 2 * N_RESPONSE];
    const segment segments[3] = {
        {.tokens = d->prompts[0], .n_tokens = N_PROMPT, .parent = -1, .adapter = p->a},
        {.tokens = d->answers[0], .n_tokens = N_RESPONSE, .parent = 0, .adapter = p->a, .wants = WANT_LOG_PROB},
        {.tokens = d->answers[1], .n_tokens = N_RESPONSE, .parent = 0, .adapter = p->a, .wants = WANT_LOG_PROB},
    };
    const segment_batch batch = {segments, 3};
    const token_channels channels = {.log_prob = log_prob};
    assert_ok(p->ctx, workspace_new(p->ctx, 0, &w));
    assert_ok(p->ctx, model_forward(p->ctx, p->m, w, &batch, &channels));
    out[0] = out[1] = 0;
    for (size_t j = 0; j < 2 * N_RESPONSE; j++)
        out[j / N_RESPONSE] += (double)log_prob[N_PROMPT + j];
    workspace_free(w);
}

/* Two dimensions that want different answers: the vector decides which is given, and the more it weighs the more. */
static void preferences__vector_decides_after_training(void **state) {
    (void)state;
    for (int aggregate = 0; aggregate < 2; aggregate++) {
        policy p = new_policy(1);
        test_data d;
        setting s = {"sft", 1, (aggregation)aggregate, 1};
        train_options o = options_for(&s);
        double first = NAN, before = INFINITY;
        new_data(&d, 1);
        o.max_steps = 300;
        o.preferences.vectors = 4;
        assert_ok(p.ctx, train(p.ctx, p.m, p.a, NULL, NULL, d.rows, N_ROWS, &o, NULL, NULL));
        for (int i = 0; i <= 4; i++) {
            double vector[2] = {1 - i / 4.0, i / 4.0}, log_prob[2];
            assert_ok(p.ctx, adapter_set_preference(p.ctx, p.a, vector, 2));
            ask(&p, &d, log_prob);
            if (!(log_prob[0] - log_prob[1] < before))
                fail_msg("aggregation %d: at %g the first answer leads by %g, before by %g", aggregate, vector[0],
                         log_prob[0] - log_prob[1], before);
            before = log_prob[0] - log_prob[1];
            first = i == 0 ? before : first;
        }
        if (!(first > 2 && before < -2))
            fail_msg("aggregation %d: the first answer leads by %g and %g at the ends", aggregate, first, before);
        policy_free(&p);
    }
}

static void refused(const policy *p, const test_data *d, const train_options *o, const char *why) {
    agon_status s = train(p->ctx, p->m, p->a, NULL, NULL, d->rows, N_ROWS, o, NULL, NULL);
    if (s == AGON_OK || !strstr(agon_error(p->ctx), why))
        fail_msg("'%s' does not say '%s'", agon_error(p->ctx), why);
}

static void preferences__refuses_what_cannot_be_trained(void **state) {
    (void)state;
    policy p = new_policy(1);
    test_data d;
    train_options o = options_for(&settings[0]);
    new_data(&d, 1);
    o.batch_rows = 6;
    refused(&p, &d, &o, "multiple of 4");
    o.batch_rows = 8;
    o.preferences.ideal[1] = NAN;
    refused(&p, &d, &o, "harmless");
    o.preferences.ideal[1] = 0;
    for (size_t i = 0; i < N_ROWS; i++)
        d.rows[i].dimension = 0;
    refused(&p, &d, &o, "no rows for the dimension harmless");
    d.rows[3].dimension = 2;
    refused(&p, &d, &o, "training row 4 is");
    policy_free(&p);
}

/* Singular values so large that gradients are beyond floats; U is zero, so the policy is the base still. */
static policy steep_policy(void) {
    policy p = new_policy(1);
    parameters all;
    assert_ok(p.ctx, adapter_parameters(p.ctx, p.a, &all));
    for (size_t i = 0; i < all.n; i++)
        for (size_t j = 0; strstr(all.items[i].name, "lora_S") && j < all.items[i].n_rows * all.items[i].n_columns; j++)
            all.items[i].value[j] = 1e38f;
    adapter_changed(p.ctx, p.a);
    return p;
}

/* A gradient beyond floats is refused, and the sentence names the rows of every vector and dimension: two a part, as they were dealt. */
static void preferences__name_the_rows_of_a_step(void **state) {
    (void)state;
    for (int aggregate = 0; aggregate < 2; aggregate++) {
        policy p = steep_policy();
        setting s = {"sft", 1, (aggregation)aggregate, 1};
        train_options o = options_for(&s);
        test_data d;
        bool met[N_ROWS] = {false};
        new_data(&d, 1);
        o.temperature = 1e-4f;
        assert_int_equal(train(p.ctx, p.m, p.a, NULL, NULL, d.rows, N_ROWS, &o, NULL, NULL), AGON_ENUMERIC);
        const char *at = strstr(agon_error(p.ctx), "the gradient of 8 rows (training row ");
        if (!at)
            fail_msg("%s", agon_error(p.ctx));
        at = strstr(at, "training row ") + strlen("training row ");
        for (size_t i = 0; i < 8; i++) {
            char *end;
            size_t row = strtoul(at, &end, 10);
            if (end == at || row < 1 || row > N_ROWS || met[row - 1] || (row - 1) % 2 != i / 2 % 2 || *end != (i < 7 ? ',' : ')'))
                fail_msg("row %zu of the step: %s", i, agon_error(p.ctx));
            met[row - 1] = true;
            at = end + strspn(end, ", ");
        }
        policy_free(&p);
    }
}

/* Mismatched pairs stand behind the rows of each part. */
static void preferences__have_room_for_mismatched_pairs(void **state) {
    (void)state;
    policy p = steep_policy();
    setting s = {"kto", 1, AGGREGATE_LINEAR, 1};
    train_options o = options_for(&s);
    test_data d;
    new_data(&d, 1);
    for (size_t i = 0; i < N_ROWS; i++)
        d.responses[i][0].label = i / 2 % 2;
    o.temperature = 1e-4f;
    assert_int_equal(train(p.ctx, p.m, p.a, NULL, NULL, d.rows, N_ROWS, &o, NULL, NULL), AGON_ENUMERIC);
    assert_non_null(strstr(agon_error(p.ctx), "the gradient of 16 rows (training row "));
    for (size_t i = 0; i < N_ROWS; i++) /* a dimension of one row has none to mismatch it with */
        d.rows[i].dimension = i == 5;
    refused(&p, &d, &o, "training row 6 is the only row of its dimension");
    policy_free(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(preferences__resume_bit_for_bit),
        cmocka_unit_test(preferences__vector_decides_after_training),
        cmocka_unit_test(preferences__refuses_what_cannot_be_trained),
        cmocka_unit_test(preferences__name_the_rows_of_a_step),
        cmocka_unit_test(preferences__have_room_for_mismatched_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
