/* Held-out rows beside a training: its bits stay as they are, what is said of them is what a step over them would say, and the best step is kept,
 * also when the training is cut. */
#include "train/train_private.h"
#include "trainer.h"

enum { N_ROWS = 8, N_HELD_OUT = 5, N_PROMPT = 5, N_RESPONSE = 6, N_VOCABULARY = 61, N_STEPS = 20, EVERY = 3, MOST = 16 };

typedef struct rows {
    train_row rows[N_ROWS];
    train_response responses[N_ROWS][2];
    int32_t prompts[N_ROWS][N_PROMPT], tokens[N_ROWS][2][N_RESPONSE];
} rows;

static void new_rows(rows *d, uint64_t seed, size_t k) {
    rng r = rng_new(seed);
    memset(d, 0, sizeof *d);
    for (size_t i = 0; i < N_ROWS; i++) {
        for (size_t j = 0; j < N_PROMPT; j++)
            d->prompts[i][j] = (int32_t)rng_below(&r, N_VOCABULARY);
        for (size_t x = 0; x < k; x++) {
            for (size_t j = 0; j < N_RESPONSE; j++)
                d->tokens[i][x][j] = (int32_t)rng_below(&r, N_VOCABULARY);
            d->responses[i][x] = (train_response){.tokens = d->tokens[i][x], .n = 2 + rng_below(&r, N_RESPONSE - 1), .reward = (double)(x == 0),
                                                  .advantage = NAN, .label = (double)(i % 2), .weight = 1};
        }
        d->rows[i] = (train_row){.prompt = d->prompts[i], .n_prompt = N_PROMPT, .responses = d->responses[i], .n_responses = k, .weight = 1};
    }
}

typedef struct watch {
    record kept; /* first: what record_step and record_checkpoint take */
    const adapter *a;
    train_validated seen[MOST];
    metric metrics[MOST][MAX_METRICS];
    hash256 after[MOST]; /* the adapter at each of them */
    size_t n, stop_at, stop_step;
    char *best;
    size_t n_best, taken;
    hash256 result;
    void (*change)(train_options *o); /* what the run has otherwise than the others; NULL: nothing */
} watch;

static agon_status on_step(void *arg, const train_progress *p) {
    watch *w = arg;
    w->kept.loss = p->loss;
    return w->stop_step && p->step == w->stop_step ? AGON_EINTERRUPTED : AGON_OK;
}

static agon_status on_checkpoint(void *arg, size_t step, const byte_stream *state) {
    watch *w = arg;
    record_stream(&w->kept, step, state);
    return AGON_OK;
}

static agon_status on_validation(void *arg, const train_validated *v) {
    watch *w = arg;
    assert_true(w->n < MOST);
    w->seen[w->n] = *v;
    memcpy(w->metrics[w->n], v->metrics, v->n_metrics * sizeof *v->metrics);
    w->after[w->n++] = adapter_hash(w->a);
    return w->stop_at && v->step == w->stop_at ? AGON_EINTERRUPTED : AGON_OK;
}

static agon_status on_best(void *arg, size_t step, const byte_stream *state) {
    watch *w = arg;
    assert_true(step > 0);
    free(w->best);
    w->best = stream_bytes(state);
    assert_non_null(w->best);
    w->n_best = state->size;
    return AGON_OK;
}

static agon_status take_best(void *arg, byte_reader *out) {
    watch *w = arg;
    w->taken++;
    *out = byte_reader_of(w->best, w->n_best);
    return AGON_OK;
}

static void watch_free(watch *w) {
    free(w->kept.state);
    free(w->best);
}

/* Trains from the start, or from where `from` stopped. */
static void run(const char *objective, float lr, bool validates, bool keeps, const watch *from, watch *w) {
    rows d, held_out;
    const size_t k = objective_find(objective)->rows & ROW_PAIR ? 2 : 1;
    policy p = policy_new(1, &(adapter_options){.rank = 4, .alpha = 8, .seed = 3});
    new_rows(&d, 99, k);
    new_rows(&held_out, 5, k);
    train_options o = trainer_options(objective);
    o.batch_rows = 3, o.max_steps = N_STEPS, o.lr = lr, o.seed = 17;
    if (validates)
        o.validation = (train_validation){.rows = held_out.rows, .n_rows = N_HELD_OUT, .every = EVERY, .keep_best = keeps};
    if (w->change)
        w->change(&o);
    if (from) {
        for (size_t i = 0; i < from->n && from->seen[i].step <= from->kept.step; i++) {
            const train_validated *v = &from->seen[i];
            o.validation.from = v->step + 1;
            if (v->best)
                o.validation.best_step = v->step, o.validation.best_loss = v->loss;
        }
        w->best = malloc(from->n_best + 1);
        memcpy(w->best, from->best ? from->best : "", w->n_best = from->n_best);
    }
    w->a = p.a;
    assert_ok(p.ctx, train_add_head(p.ctx, p.m, p.a, o.objective, o.objective_options, 3));
    const train_sink sink = {on_step, on_checkpoint, w, NULL, on_validation, on_best, take_best};
    const byte_reader left = record_reader(from ? &from->kept : NULL);
    const agon_status s = train(p.ctx, p.m, p.a, NULL, NULL, d.rows, N_ROWS, &o, &sink, from ? &left : NULL);
    if (s != (w->stop_at || w->stop_step ? AGON_EINTERRUPTED : AGON_OK))
        fail_msg("%s: %s", objective, agon_error(p.ctx));
    w->result = adapter_hash(p.a);
    policy_free(&p);
}

static const char *const objectives[] = {"sft", "dpo", "kto", "bt", "gce"};
enum { N_OBJECTIVES = sizeof objectives / sizeof *objectives };

static void validation__changes_no_bit_of_the_training(void **state) {
    (void)state;
    for (size_t i = 0; i < N_OBJECTIVES; i++) {
        watch with = {0}, without = {0};
        run(objectives[i], 5e-3f, true, false, NULL, &with);
        run(objectives[i], 5e-3f, false, false, NULL, &without);
        assert_same_state(objectives[i], &with.kept, &without.kept);
        assert_memory_equal(&with.result, &without.result, sizeof with.result);
        assert_int_equal(without.n, 0);
        assert_int_equal(with.n, 8); /* 0, 3, ..., 18, 20 */
        for (size_t j = 0; j < with.n; j++)
            assert_int_equal(with.seen[j].step, j < 7 ? j * EVERY : N_STEPS);
        if (with.seen[0].loss == with.seen[7].loss)
            fail_msg("%s: the held-out loss does not see what was learnt", objectives[i]);
        watch_free(&with), watch_free(&without);
    }
}

static agon_status take_first(void *arg, const train_progress *p) {
    train_progress *first = arg;
    *first = *p;
    metric *copy = malloc(p->n_metrics * sizeof *copy);
    memcpy(copy, p->metrics, p->n_metrics * sizeof *copy);
    first->metrics = copy;
    return AGON_OK;
}

/* The loss and metrics of the first step of a training on those rows in one batch. */
static void validation__says_what_a_step_over_the_rows_would(void **state) {
    (void)state;
    static const char *const names[] = {"sft", "dpo", "bt"}; /* kto's mismatched pairs depend on the order of the batch */
    for (size_t i = 0; i < 3; i++) {
        watch w = {0};
        rows held_out;
        train_progress first = {0};
        policy p = policy_new(1, &(adapter_options){.rank = 4, .alpha = 8, .seed = 3});
        train_options o = trainer_options(names[i]);
        run(names[i], 5e-3f, true, false, NULL, &w);
        new_rows(&held_out, 5, i ? 2 : 1);
        o.batch_rows = N_HELD_OUT, o.max_steps = 1;
        assert_ok(p.ctx, train_add_head(p.ctx, p.m, p.a, o.objective, o.objective_options, 3));
        assert_ok(p.ctx, train(p.ctx, p.m, p.a, NULL, NULL, held_out.rows, N_HELD_OUT, &o, &(train_sink){.on_step = take_first, .arg = &first}, NULL));
        assert_true(fabs(first.loss - w.seen[0].loss) < 1e-12 * fabs(first.loss) + 1e-15);
        assert_true(w.seen[0].n_metrics > 0 && w.seen[0].n_metrics <= first.n_metrics);
        for (size_t j = 0; j < w.seen[0].n_metrics; j++) {
            assert_string_equal(first.metrics[j].name, w.metrics[0][j].name);
            assert_true(fabs(first.metrics[j].value - w.metrics[0][j].value) < 1e-9);
        }
        free((void *)(uintptr_t)first.metrics);
        policy_free(&p);
        watch_free(&w);
    }
}

static size_t least(const watch *w) {
    size_t best = 1;
    for (size_t i = 2; i < w->n; i++)
        if (w->seen[i].loss < w->seen[best].loss)
            best = i;
    return best;
}

static void validation__keeps_the_best_step(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        watch last = {0}, best = {0};
        run(objectives[i], 3e-2f, true, false, NULL, &last);
        run(objectives[i], 3e-2f, true, true, NULL, &best);
        size_t at = least(&last);
        if (at + 1 == last.n)
            fail_msg("%s: the last step is the best one: nothing is tested", objectives[i]);
        assert_int_equal(best.taken, 1);
        assert_int_equal(last.taken, 0);
        assert_memory_equal(&best.result, &last.after[at], sizeof best.result);
        assert_true(memcmp(&last.result, &last.after[at], sizeof last.result) != 0);
        for (size_t j = 0; j < last.n; j++)
            assert_true(last.seen[j].loss == best.seen[j].loss && last.seen[j].best == best.seen[j].best);
        assert_true(last.seen[at].best && !last.seen[0].best && !last.seen[last.n - 1].best);
        watch_free(&last), watch_free(&best);
    }
}

/* Of equal ones it is the first: a rate that changes nothing has its best step as soon as it is looked at. */
static void validation__of_equal_steps__keeps_the_first(void **state) {
    (void)state;
    watch w = {0};
    run("sft", 1e-30f, true, true, NULL, &w);
    for (size_t j = 0; j < w.n; j++) {
        assert_true(w.seen[j].loss == w.seen[0].loss);
        assert_int_equal(w.seen[j].best, j == 1);
    }
    watch_free(&w);
}

static void warm_up(train_options *o) {
    o->objective_options[1] = 1; /* gce's warmup: every step is plain cross-entropy */
}

/* An option with a ramp stands at its end wherever held-out rows are scored, or their losses could not be compared. */
static void validation__of_a_ramp__is_at_its_end(void **state) {
    (void)state;
    watch plain = {0}, ramp = {.change = warm_up};
    run("gce", 5e-3f, true, false, NULL, &plain);
    run("gce", 5e-3f, true, false, NULL, &ramp);
    assert_true(plain.seen[0].loss == ramp.seen[0].loss);
    assert_true(plain.kept.loss < 0.9 * ramp.kept.loss); /* and the steps' own are others */
    watch_free(&plain), watch_free(&ramp);
}

static selection_tally tallied;
static void leave_out(train_options *o) {
    o->selection = (train_selection){.tau = 0.5, .ramp = 0.1, .tally = &tallied};
}

/* What selection came to is told of the whole training, whichever step is kept. */
static void validation__that_keeps_the_best_step__tells_of_all_steps(void **state) {
    (void)state;
    watch last = {.change = leave_out}, best = {.change = leave_out};
    run("sft", 3e-2f, true, false, NULL, &last);
    const selection_tally all = tallied;
    run("sft", 3e-2f, true, true, NULL, &best);
    assert_int_equal(best.taken, 1);
    assert_true(all.kept > 0 && all.kept < all.seen);
    assert_int_equal(tallied.seen, all.seen);
    assert_int_equal(tallied.kept, all.kept);
    watch_free(&last), watch_free(&best);
}

static void validation__comes_ten_times_unless_told(void **state) {
    (void)state;
    train_options o = trainer_options("sft");
    o.batch_rows = 1;
    assert_int_equal(train_validate_every(&o, 40), 4);
    assert_int_equal(train_validate_every(&o, 9), 1);
    o.validation.every = 7;
    assert_int_equal(train_validate_every(&o, 40), 7);
}

/* Cut after a step, inside a validation or just behind one, and gone on with: nothing is left out or said otherwise. */
static void validation__goes_on_where_it_was_cut(void **state) {
    (void)state;
    static const watch cuts[] = {{.stop_step = 10}, {.stop_step = 9}, {.stop_at = 9}, {.stop_at = N_STEPS}, {.stop_step = 1}};
    static const float rates[] = {3e-2f, 5e-3f}; /* the best step is before the cuts, or behind them */
    for (size_t k = 0; k < 2; k++) {
        watch whole = {0};
        run("dpo", rates[k], true, true, NULL, &whole);
        assert_true((whole.seen[least(&whole)].step > 10) == (k == 1));
        for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
            watch half = cuts[i], rest = {0};
            run("dpo", rates[k], true, true, NULL, &half);
            run("dpo", rates[k], true, true, &half, &rest);
            assert_int_equal(half.n + rest.n, whole.n);
            for (size_t j = 0; j < whole.n; j++) {
                const train_validated *v = j < half.n ? &half.seen[j] : &rest.seen[j - half.n];
                assert_true(v->step == whole.seen[j].step && v->loss == whole.seen[j].loss && v->best == whole.seen[j].best);
            }
            assert_memory_equal(&rest.result, &whole.result, sizeof rest.result);
            watch_free(&half), watch_free(&rest);
        }
        watch_free(&whole);
    }
}

static void refused(const char *objective, train_validation v, const char *words) {
    rows d;
    policy p = policy_new(1, &(adapter_options){.rank = 4, .alpha = 8, .seed = 3});
    new_rows(&d, 99, objective_find(objective)->rows & ROW_PAIR ? 2 : 1);
    train_options o = trainer_options(objective);
    o.validation = v;
    assert_int_equal(train_check(p.ctx, p.m, d.rows, N_ROWS, 0, &o), AGON_EINVAL);
    if (!strstr(agon_error(p.ctx), words))
        fail_msg("%s: '%s' says nothing of '%s'", objective, agon_error(p.ctx), words);
    policy_free(&p);
}

static void validation__refuses_rows_that_cannot_be_scored(void **state) {
    (void)state;
    rows single, pairs;
    new_rows(&single, 5, 1);
    new_rows(&pairs, 5, 2);
    refused("dpo", (train_validation){.rows = single.rows, .n_rows = 2}, "held-out rows: training row 1 has 1 responses; dpo does not take such rows");
    refused("kto", (train_validation){.rows = single.rows, .n_rows = 1}, "held-out rows");
    refused("ppo", (train_validation){.rows = single.rows, .n_rows = 2}, "no log_probs at sampling");
    single.rows[1].file = "held.jsonl", single.rows[1].line = 7, single.responses[1][0].n = 0;
    refused("sft", (train_validation){.rows = single.rows, .n_rows = 2}, "held-out rows: held.jsonl:7, response 1 has no tokens");
}

static void validation__counts_rows_that_are_trained_on(void **state) {
    (void)state;
    agon_ctx *ctx = test_ctx(1, NULL);
    rows a, b;
    size_t n = 99;
    new_rows(&a, 5, 2);
    new_rows(&b, 6, 2);
    assert_ok(ctx, train_rows_shared(ctx, a.rows, N_ROWS, b.rows, N_ROWS, &n));
    assert_int_equal(n, 0);
    b.rows[3] = a.rows[6], b.rows[4] = a.rows[0], b.rows[5] = a.rows[0];
    assert_ok(ctx, train_rows_shared(ctx, a.rows, N_ROWS, b.rows, N_ROWS, &n));
    assert_int_equal(n, 2);
    b.rows[4].n_prompt--, b.rows[5].n_responses--;
    assert_ok(ctx, train_rows_shared(ctx, a.rows, N_ROWS, b.rows, N_ROWS, &n));
    assert_int_equal(n, 1);
    agon_ctx_free(ctx);
}

/* What is scored besides needs room, the more the longer it is. */
static void validation__is_in_the_forecast(void **state) {
    (void)state;
    rows d, held_out;
    policy p = policy_new(1, &(adapter_options){.rank = 4, .alpha = 8, .seed = 3});
    new_rows(&d, 99, 2);
    new_rows(&held_out, 5, 2);
    train_options o = trainer_options("dpo");
    size_t limit, n_lora = adapter_n_values(model_get_config(p.m), 4, 0);
    train_memory n = train_predict(p.m, n_lora, 4, d.rows, N_ROWS, &o);
    const size_t without = train_memory_total(&n, SIZE_MAX, &limit);
    o.validation = (train_validation){.rows = held_out.rows, .n_rows = N_HELD_OUT};
    n = train_predict(p.m, n_lora, 4, d.rows, N_ROWS, &o);
    const size_t with = train_memory_total(&n, SIZE_MAX, &limit);
    size_t answers = 0;
    for (size_t i = 0; i < N_HELD_OUT; i++)
        answers += row_n_response_tokens(&held_out.rows[i]);
    assert_true(with >= without + answers * CHANNELS * sizeof(double));
    policy_free(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(validation__changes_no_bit_of_the_training),
        cmocka_unit_test(validation__says_what_a_step_over_the_rows_would),
        cmocka_unit_test(validation__keeps_the_best_step),
        cmocka_unit_test(validation__of_equal_steps__keeps_the_first),
        cmocka_unit_test(validation__of_a_ramp__is_at_its_end),
        cmocka_unit_test(validation__that_keeps_the_best_step__tells_of_all_steps),
        cmocka_unit_test(validation__comes_ten_times_unless_told),
        cmocka_unit_test(validation__goes_on_where_it_was_cut),
        cmocka_unit_test(validation__refuses_rows_that_cannot_be_scored),
        cmocka_unit_test(validation__counts_rows_that_are_trained_on),
        cmocka_unit_test(validation__is_in_the_forecast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
