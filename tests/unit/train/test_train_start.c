/* Rows that bring no log_probs at sampling: the policy that training begins with sampled them. */
#include "train/train_private.h"
#include "trainer.h"
#include <math.h>

enum { N_ROWS = 8, PROMPT = 5, RESPONSE = 6, K = 4, STEPS = 20 };

static const char *const methods[] = {"grpo", "gspo", "rloo", "reinforce++", "ppo"};
enum { N_METHODS = sizeof methods / sizeof *methods };

typedef struct group_data {
    train_row rows[N_ROWS];
    train_response responses[N_ROWS][K];
    int32_t tokens[N_ROWS][PROMPT + K * RESPONSE];
    float old[N_ROWS][K][RESPONSE];
} group_data;

static void new_data(group_data *d, size_t k) {
    memset(d, 0, sizeof *d);
    for (size_t i = 0; i < N_ROWS; i++) {
        tiny_tokens(d->tokens[i], PROMPT + K * RESPONSE, 40 + i);
        for (size_t j = 0; j < k; j++)
            d->responses[i][j] = (train_response){.tokens = d->tokens[i] + PROMPT + j * RESPONSE, .n = RESPONSE - (i + j) % 3, .weight = 1,
                                                  .reward = (double)((i * 5 + j * 3) % 4) / 2, .advantage = NAN, .label = NAN};
        d->rows[i] = (train_row){.prompt = d->tokens[i], .n_prompt = PROMPT, .responses = d->responses[i], .n_responses = k, .weight = 1};
    }
}

static size_t responses_for(const char *objective) {
    return strcmp(objective, "ppo") == 0 ? 1 : K;
}

/* What is trained; every test begins at the same one. */
typedef struct start {
    policy p;
    group_data d;
    train_options o;
} start;

static start *start_policy(const char *objective) {
    start *x = calloc(1, sizeof *x);
    assert_non_null(x);
    x->p = policy_new(1, &(adapter_options){.rank = 4, .alpha = 8, .seed = 3});
    new_data(&x->d, responses_for(objective));
    x->o = trainer_options(objective);
    x->o.batch_rows = 4, x->o.max_steps = STEPS, x->o.lr = 1e-2f, x->o.seed = 17;
    assert_ok(x->p.ctx, train_add_head(x->p.ctx, x->p.m, x->p.a, x->o.objective, x->o.objective_options, 3));
    return x;
}

static void start_close(start *x) {
    policy_free(&x->p);
    free(x);
}

typedef struct ratios {
    double first, largest, first_kl;
} ratios;

static agon_status note_ratio(void *arg, const train_progress *p) {
    ratios *r = arg;
    for (size_t i = 0; i < p->n_metrics; i++) {
        double x = p->metrics[i].value;
        if (strcmp(p->metrics[i].name, "max_ratio") == 0 && p->step == 1)
            r->first = x;
        else if (strcmp(p->metrics[i].name, "max_ratio") == 0)
            r->largest = fmax(r->largest, x);
        else if (strcmp(p->metrics[i].name, "approximate_kl") == 0 && p->step == 1)
            r->first_kl = x;
    }
    return AGON_OK;
}

static hash256 trained(start *x, ratios *r) {
    const train_sink sink = {.on_step = note_ratio, .arg = r};
    agon_status s = train(x->p.ctx, x->p.m, x->p.a, NULL, NULL, x->d.rows, N_ROWS, &x->o, r ? &sink : NULL, NULL);
    if (s != AGON_OK)
        fail_msg("%s: %s", x->o.objective->name, agon_error(x->p.ctx));
    return adapter_hash(x->p.a);
}

/* Closes x. */
static hash256 trained_set(start *x, const char *setting) {
    assert_ok(x->p.ctx, objective_set(x->p.ctx, x->o.objective, setting, x->o.objective_options));
    hash256 id = trained(x, NULL);
    start_close(x);
    return id;
}

static hash256 trained_with(const char *objective, const char *setting) {
    return trained_set(start_policy(objective), setting);
}

/* Without a ratio that leaves 1, every clip range would train the same adapter, and a sequence's ratio the same as a token's. */
static void start__clipping_has_an_effect(void **state) {
    (void)state;
    hash256 wide[N_METHODS];
    for (size_t i = 0; i < N_METHODS; i++) {
        wide[i] = trained_with(methods[i], "clip=0.2");
        hash256 narrow = trained_with(methods[i], "clip=0.0001");
        if (memcmp(&wide[i], &narrow, sizeof narrow) == 0)
            fail_msg("%s: its clip range has no effect", methods[i]);
    }
    assert_memory_not_equal(&wide[0], &wide[1], sizeof wide[0]);
}

static void start__first_ratios_are_one(void **state) {
    (void)state;
    for (size_t i = 0; i < N_METHODS; i++) {
        ratios r = {0};
        start *x = start_policy(methods[i]);
        trained(x, &r);
        if (!(r.first == 1 && r.first_kl == 0 && r.largest > 1.0001))
            fail_msg("%s: ratio %.17g and divergence %g at first, %.17g later", methods[i], r.first, r.first_kl, r.largest);
        start_close(x);
    }
}

/* Log_probs of every response under the policy as it stands, one forward each. */
static void score_all(start *x) {
    workspace *w = NULL;
    assert_ok(x->p.ctx, workspace_new(x->p.ctx, 0, &w));
    for (size_t i = 0; i < N_ROWS; i++)
        for (size_t k = 0; k < x->d.rows[i].n_responses; k++) {
            train_response *r = &x->d.responses[i][k];
            float channel[PROMPT + RESPONSE];
            const segment segments[2] = {
                {.tokens = x->d.tokens[i], .n_tokens = PROMPT, .parent = -1, .adapter = x->p.a, .temperature = x->o.temperature},
                {.tokens = r->tokens, .n_tokens = r->n, .parent = 0, .adapter = x->p.a, .wants = WANT_LOG_PROB, .temperature = x->o.temperature}};
            assert_ok(x->p.ctx, model_forward(x->p.ctx, x->p.m, w, &(segment_batch){segments, 2}, &(token_channels){.log_prob = channel}));
            memcpy(x->d.old[i][k], channel + PROMPT, r->n * sizeof(float));
            r->old = x->d.old[i][k];
        }
    workspace_free(w);
}

/* A row may say what the trainer would have found; what it says is taken where it is something else. */
static void start__given_log_probs_are_taken(void **state) {
    (void)state;
    for (size_t i = 0; i < N_METHODS; i++) {
        start *x[3];
        hash256 ids[3];
        for (size_t j = 0; j < 3; j++) {
            x[j] = start_policy(methods[i]);
            if (j > 0)
                score_all(x[j]);
            for (size_t k = 0; j == 2 && k < RESPONSE; k++)
                x[j]->d.old[3][0][k] -= 0.5f;
            ids[j] = trained(x[j], NULL);
            start_close(x[j]);
        }
        if (memcmp(&ids[0], &ids[1], sizeof ids[0]) != 0)
            fail_msg("%s: log_probs of the start make a difference", methods[i]);
        if (memcmp(&ids[0], &ids[2], sizeof ids[0]) == 0)
            fail_msg("%s: other log_probs make none", methods[i]);
    }
}

/* One step over all rows has no later ratio: nothing is scored for it, and old says nothing. */
static void start__one_step_is_left_as_it_is(void **state) {
    (void)state;
    for (size_t i = 0; i < N_METHODS; i++) {
        hash256 ids[2];
        for (size_t j = 0; j < 2; j++) {
            start *x = start_policy(methods[i]);
            x->o.batch_rows = N_ROWS, x->o.max_steps = 1;
            if (j > 0)
                score_all(x);
            ids[j] = trained(x, NULL);
            assert_int_equal(start_predict(x->d.rows, N_ROWS, x->o.objective->needs, &x->o), 0);
            start_close(x);
        }
        assert_memory_equal(&ids[0], &ids[1], sizeof ids[0]);
    }
}

/* Only rows that a step takes are scored, and no objective's that reads no log_probs at sampling. */
static void start__scores_what_it_needs(void **state) {
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        start *x = start_policy(i == 2 ? "sft" : "grpo");
        size_t kept = 0, all = 0, tokens = 0;
        x->o.batch_rows = 2, x->o.max_steps = i == 0 ? 3 : STEPS;
        for (size_t j = 0; i == 2 && j < N_ROWS; j++)
            x->d.rows[j].n_responses = 1;
        trainer t = {.ctx = x->p.ctx, .m = x->p.m, .train = x->p.a, .data = x->d.rows, .n_data = N_ROWS, .options = &x->o};
        assert_ok(x->p.ctx, trainer_open(&t));
        for (size_t j = 0; j < N_ROWS; j++) {
            kept += start_row_size(&t, j) > 0;
            tokens += start_row_size(&t, j);
            all += row_n_response_tokens(&x->d.rows[j]);
        }
        assert_int_equal(kept, i == 0 ? 6 : i == 1 ? N_ROWS : 0);
        if (i == 1) {
            assert_int_equal(tokens, all);
            assert_int_equal(start_predict(x->d.rows, N_ROWS, t.needs, &x->o), sizeof(double) * all);
        }
        trainer_close(&t);
        start_close(x);
    }
}

/* The stored state has the first policy's log_probs: an adapter of another start goes on to the same bits, from the first step on. */
static void start__is_kept_with_the_state(void **state) {
    (void)state;
    for (size_t i = 0; i < N_METHODS; i++)
        for (size_t stop = 1; stop <= 10; stop += 9) {
            record whole = {0}, half = {.stop_at = stop}, rest = {0};
            start *x[3];
            for (size_t j = 0; j < 3; j++)
                x[j] = start_policy(methods[i]);
            parameters p;
            assert_ok(x[2]->p.ctx, adapter_parameters(x[2]->p.ctx, x[2]->p.a, &p));
            for (size_t j = 0; j < p.n; j++)
                for (size_t k = 0; k < p.items[j].n_rows * p.items[j].n_columns; k++)
                    p.items[j].value[k] += 0.05f;
            adapter_changed(x[2]->p.ctx, x[2]->p.a);
            train_recorded(x[0]->p.ctx, x[0]->p.m, x[0]->p.a, NULL, x[0]->d.rows, N_ROWS, &x[0]->o, NULL, &whole);
            train_recorded(x[1]->p.ctx, x[1]->p.m, x[1]->p.a, NULL, x[1]->d.rows, N_ROWS, &x[1]->o, NULL, &half);
            train_recorded(x[2]->p.ctx, x[2]->p.m, x[2]->p.a, NULL, x[2]->d.rows, N_ROWS, &x[2]->o, &half, &rest);
            assert_resumed(methods[i], &whole, &half, &rest);
            for (size_t j = 0; j < 3; j++)
                start_close(x[j]);
        }
}

/* ppo, with a head that has learnt something: values are clipped around those at the start. A new head's zeros are nobody's values. */
static hash256 trained_values(bool learnt, const char *clip) {
    start *x = start_policy("ppo");
    parameters p;
    assert_ok(x->p.ctx, adapter_parameters(x->p.ctx, x->p.a, &p));
    for (size_t i = 0; learnt && i < p.n; i++)
        for (size_t k = 0; strstr(p.items[i].name, "v_head") && k < p.items[i].n_rows * p.items[i].n_columns; k++)
            p.items[i].value[k] = 0.05f;
    adapter_changed(x->p.ctx, x->p.a);
    return trained_set(x, clip);
}

static void start__values_are_clipped_around_a_head_that_learnt(void **state) {
    (void)state;
    for (int learnt = 0; learnt < 2; learnt++) {
        hash256 wide = trained_values(learnt, "clip_value=100"), narrow = trained_values(learnt, "clip_value=0.0001");
        assert_int_equal(memcmp(&wide, &narrow, sizeof wide) == 0, !learnt);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(start__clipping_has_an_effect),
        cmocka_unit_test(start__first_ratios_are_one),
        cmocka_unit_test(start__given_log_probs_are_taken),
        cmocka_unit_test(start__one_step_is_left_as_it_is),
        cmocka_unit_test(start__scores_what_it_needs),
        cmocka_unit_test(start__is_kept_with_the_state),
        cmocka_unit_test(start__values_are_clipped_around_a_head_that_learnt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
