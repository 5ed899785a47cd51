/* Several adapters in one training: each ends with the bits, and was told the losses, of a training by itself, however many train beside it and
 * wherever the training was cut. */
#include "trainer.h"

enum { MEMBERS = 3, MOST_ROWS = 7, PROMPT = 5, RESPONSE = 9, STEPS = 24 };

typedef struct member_data {
    int32_t tokens[MOST_ROWS][PROMPT + 2 * RESPONSE];
    train_response responses[MOST_ROWS][2];
    train_row rows[MOST_ROWS];
    size_t n;
} member_data;

/* Members have different rows, and different numbers of them: some are done while others go on. */
static void new_data(member_data *d, size_t member, size_t k) {
    d->n = MOST_ROWS - 2 * member;
    for (size_t i = 0; i < d->n; i++) {
        tiny_tokens(d->tokens[i], PROMPT + 2 * RESPONSE, 100 * member + i);
        for (size_t j = 0; j < 2; j++)
            d->responses[i][j] = (train_response){.tokens = d->tokens[i] + PROMPT + j * RESPONSE, .n = RESPONSE - i % 3, .reward = NAN,
                                                  .advantage = (double)j - 0.5, .label = NAN, .weight = 1};
        d->rows[i] = (train_row){.prompt = d->tokens[i], .n_prompt = PROMPT, .responses = d->responses[i], .n_responses = k, .weight = 1};
    }
}

/* What was told of a member, and what was stored. */
typedef struct told {
    double loss[MEMBERS][STEPS], norm[MEMBERS][STEPS];
    size_t steps[MEMBERS], stores, stop_after; /* stop_after: stores; 0: none */
    agon_ctx *interrupt;                       /* after the first step of anybody; NULL: not */
    char *state;
    size_t n_state;
} told;

static agon_status note_step(void *arg, const train_progress *p) {
    told *t = arg;
    assert_true(p->member < MEMBERS && p->step >= 1 && p->step <= STEPS);
    t->loss[p->member][p->step - 1] = p->loss;
    t->norm[p->member][p->step - 1] = p->grad_norm;
    t->steps[p->member]++;
    if (t->interrupt)
        agon_interrupt(t->interrupt);
    return AGON_OK;
}

static agon_status note_state(void *arg, size_t step, const byte_stream *state) {
    told *t = arg;
    (void)step;
    free(t->state);
    t->state = stream_bytes(state);
    assert_non_null(t->state);
    t->n_state = state->size;
    return ++t->stores == t->stop_after ? AGON_EINTERRUPTED : AGON_OK;
}

static train_options options_of(const char *objective) {
    train_options o = trainer_options(objective);
    o.batch_rows = 2;
    o.epochs = 3;
    o.lr = 1e-2f;
    o.seed = 11;
    o.checkpoint_every = 3;
    return o;
}

static adapter *new_adapter(agon_ctx *ctx, const model *m, size_t rank, const train_options *o) {
    adapter *a = NULL;
    const adapter_options shape = {.rank = rank, .alpha = 2 * (float)rank, .seed = 5};
    assert_ok(ctx, adapter_new(ctx, m, &shape, &a));
    assert_ok(ctx, train_add_head(ctx, (model *)m, a, o->objective, o->objective_options, 3));
    return a;
}

/* Trains members [first, first + n); ids of their adapters. */
static agon_status run(agon_ctx *ctx, model *m, const char *objective, const member_data *data, size_t first, size_t n, const told *from, told *out,
                       hash256 *ids) {
    train_options o = options_of(objective);
    train_member members[MEMBERS];
    const train_sink sink = {.on_step = note_step, .on_checkpoint = note_state, .arg = out};
    const byte_reader left = from ? byte_reader_of(from->state, from->n_state) : (byte_reader){0};
    for (size_t i = 0; i < n; i++)
        members[i] = (train_member){.adapter = new_adapter(ctx, m, 2 + (first + i) % 2, &o), .rows = data[first + i].rows, .n_rows = data[first + i].n};
    agon_status s = train_members(ctx, m, members, n, &o, &sink, from ? &left : NULL);
    for (size_t i = 0; i < n; i++) {
        ids[i] = adapter_hash(members[i].adapter);
        adapter_free(members[i].adapter);
    }
    return s;
}

/* One of them as `train` does it. */
static void run_alone(agon_ctx *ctx, model *m, const char *objective, const member_data *data, size_t i, told *out, hash256 *id) {
    train_options o = options_of(objective);
    const train_sink sink = {.on_step = note_step, .on_checkpoint = note_state, .arg = out};
    adapter *a = new_adapter(ctx, m, 2 + i % 2, &o);
    assert_ok(ctx, train(ctx, m, a, NULL, NULL, data[i].rows, data[i].n, &o, &sink, NULL));
    *id = adapter_hash(a);
    adapter_free(a);
}

typedef struct setting {
    agon_ctx *ctx;
    model *m;
    member_data data[MEMBERS];
} setting;

static setting *setting_new(int n_threads, compute_dtype dtype, size_t k) {
    setting *x = calloc(1, sizeof *x);
    assert_non_null(x);
    model_config c = tiny_config();
    x->ctx = test_ctx(n_threads, NULL);
    x->m = tiny_model(x->ctx, &c, dtype);
    for (size_t i = 0; i < MEMBERS; i++)
        new_data(&x->data[i], i, k);
    return x;
}

static void setting_free(setting *x) {
    model_free(x->m);
    agon_ctx_free(x->ctx);
    free(x);
}

static void members__get_what_each_gets_alone(void **state) {
    (void)state;
    static const struct {
        const char *objective;
        size_t k;
        compute_dtype dtype;
    } cases[] = {{"sft", 1, COMPUTE_F32}, {"dpo", 2, COMPUTE_BF16}, {"bt", 2, COMPUTE_F32}, {"grpo", 2, COMPUTE_F32}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        setting *x = setting_new(c == 0 ? 3 : 1, cases[c].dtype, cases[c].k);
        told all = {0};
        hash256 together[MEMBERS], alone, none;
        assert_ok(x->ctx, run(x->ctx, x->m, cases[c].objective, x->data, 0, MEMBERS, NULL, &all, together));
        for (size_t i = 0; i < MEMBERS; i++) {
            told one = {0};
            train_options o = options_of(cases[c].objective);
            run_alone(x->ctx, x->m, cases[c].objective, x->data, i, &one, &alone);
            assert_memory_equal(&alone, &together[i], sizeof alone);
            assert_int_equal(one.steps[0], train_n_steps(&o, x->data[i].n));
            assert_int_equal(all.steps[i], one.steps[0]);
            assert_memory_equal(all.loss[i], one.loss[0], one.steps[0] * sizeof(double));
            assert_memory_equal(all.norm[i], one.norm[0], one.steps[0] * sizeof(double));
            adapter *untrained = new_adapter(x->ctx, x->m, 2 + i % 2, &o);
            none = adapter_hash(untrained);
            assert_memory_not_equal(&alone, &none, sizeof none);
            adapter_free(untrained);
            free(one.state);
        }
        assert_memory_not_equal(&together[0], &together[2], sizeof together[0]); /* of one rank and start, other rows */
        free(all.state);
        setting_free(x);
    }
}

/* dpo, and grpo, whose members keep log_probs of their starts. */
static void check_stores(const char *objective) {
    setting *x = setting_new(1, COMPUTE_BF16, 2);
    told whole = {0};
    hash256 ids[MEMBERS], again[MEMBERS];
    assert_ok(x->ctx, run(x->ctx, x->m, objective, x->data, 0, MEMBERS, NULL, &whole, ids));
    assert_true(whole.stores >= 3);
    for (size_t stop = 1; stop < whole.stores; stop++) {
        told half = {.stop_after = stop}, rest = {0};
        assert_int_equal(run(x->ctx, x->m, objective, x->data, 0, MEMBERS, NULL, &half, again), AGON_EINTERRUPTED);
        assert_memory_not_equal(again, ids, sizeof ids);
        assert_ok(x->ctx, run(x->ctx, x->m, objective, x->data, 0, MEMBERS, &half, &rest, again));
        assert_memory_equal(again, ids, sizeof ids);
        assert_true(rest.steps[0] < whole.steps[0] && rest.steps[0] > 0);
        free(half.state);
        free(rest.state);
    }
    /* A state of other members, or damaged, is refused before anything changes. */
    told fewer = {0};
    assert_int_equal(run(x->ctx, x->m, objective, x->data, 0, 2, &whole, &fewer, again), AGON_EMISMATCH);
    assert_int_equal(run(x->ctx, x->m, objective, x->data + 0, 1, 2, &whole, &fewer, again), AGON_EMISMATCH);
    for (size_t cut = 1; cut < whole.n_state; cut = cut * 3 + 1) {
        told damaged = whole;
        damaged.n_state -= cut;
        agon_status s = run(x->ctx, x->m, objective, x->data, 0, MEMBERS, &damaged, &fewer, again);
        assert_true(s == AGON_EFORMAT || s == AGON_EMISMATCH);
    }
    assert_int_equal(fewer.steps[0], 0);
    free(whole.state);
    setting_free(x);
}

static void members__go_on_from_any_store(void **state) {
    (void)state;
    check_stores("dpo");
    check_stores("grpo");
}

/* Stopped when one member has taken a step: the others have not scored their rows yet, and do when they go on. */
static void members__score_their_starts_when_they_go_on(void **state) {
    (void)state;
    setting *x = setting_new(1, COMPUTE_F32, 2), *y = setting_new(1, COMPUTE_F32, 2); /* an interrupted context stays so */
    told whole = {0}, half = {.interrupt = x->ctx}, rest = {0};
    hash256 ids[MEMBERS], again[MEMBERS];
    assert_ok(x->ctx, run(x->ctx, x->m, "grpo", x->data, 0, MEMBERS, NULL, &whole, ids));
    assert_int_equal(run(x->ctx, x->m, "grpo", x->data, 0, MEMBERS, NULL, &half, again), AGON_EINTERRUPTED);
    assert_true(half.steps[0] == 1 && half.steps[1] == 0 && half.n_state > 0);
    assert_ok(y->ctx, run(y->ctx, y->m, "grpo", y->data, 0, MEMBERS, &half, &rest, again));
    assert_memory_equal(again, ids, sizeof ids);
    free(whole.state), free(half.state), free(rest.state);
    setting_free(x);
    setting_free(y);
}

static void members__are_refused(void **state) {
    (void)state;
    setting *x = setting_new(1, COMPUTE_F32, 1);
    train_options o = options_of("sft");
    adapter *a = new_adapter(x->ctx, x->m, 2, &o);
    train_member twice[2] = {{.adapter = a, .rows = x->data[0].rows, .n_rows = 1}, {.adapter = a, .rows = x->data[1].rows, .n_rows = 1}};
    assert_int_equal(train_members(x->ctx, x->m, twice, 2, &o, NULL, NULL), AGON_EINVAL);
    assert_non_null(strstr(agon_error(x->ctx), "are one adapter"));
    assert_int_equal(train_members(x->ctx, x->m, twice, 0, &o, NULL, NULL), AGON_EINVAL);
    twice[0].n_rows = 0;
    assert_int_equal(train_members(x->ctx, x->m, twice, 1, &o, NULL, NULL), AGON_EINVAL);
    o.selection = (train_selection){.tau = 0.5, .co_teach = true, .partner = a};
    assert_int_equal(train_members(x->ctx, x->m, twice, 1, &o, NULL, NULL), AGON_EINVAL);
    adapter_free(a);
    setting_free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members__get_what_each_gets_alone),
        cmocka_unit_test(members__go_on_from_any_store),
        cmocka_unit_test(members__score_their_starts_when_they_go_on),
        cmocka_unit_test(members__are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
