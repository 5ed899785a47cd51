/* Small-loss selection and co-teaching through the trainer, on a model of two layers: who trains on which rows, planted wrong labels are left
 * out, runs are the same bits however they are cut. */
#include "train/train.h"
#include "tiny_model.h"

enum { N_ROWS = 32, N_PROMPT = 4, N_RESPONSE = 2, N_KINDS = 2, STEPS = 100 };

/* The answer follows from the prompt's last token; every fourth row's is one that follows from nothing (noisy). A pair's rejected side is the wrong answer, and
 * noisy pairs are swapped. */
typedef struct test_data {
    train_row rows[N_ROWS];
    train_response responses[N_ROWS][2];
    int32_t prompts[N_ROWS][N_PROMPT], right[N_ROWS][N_RESPONSE], wrong[N_ROWS][N_RESPONSE];
} test_data;

static bool is_noisy(size_t i) {
    return i % 4 == 1;
}

static void new_data(test_data *d, size_t k) {
    memset(d, 0, sizeof *d);
    for (size_t i = 0; i < N_ROWS; i++) {
        int32_t kind = (int32_t)(i / 2 % N_KINDS);
        tiny_tokens(d->prompts[i], N_PROMPT, 40 + i);
        d->prompts[i][N_PROMPT - 1] = kind;
        for (int32_t j = 0; j < N_RESPONSE; j++) {
            d->right[i][j] = 50 + kind + 4 * j;
            d->wrong[i][j] = (int32_t)(10 + (7 * i + 11 * (size_t)j) % 37);
        }
        for (size_t j = 0; j < k; j++)
            d->responses[i][j] = (train_response){.tokens = is_noisy(i) != (j == 1) ? d->wrong[i] : d->right[i], .n = N_RESPONSE,
                                                  .reward = NAN, .advantage = NAN, .label = k == 1 ? is_noisy(i) != (kind < 1) : NAN, .weight = 1};
        d->rows[i] = (train_row){.prompt = d->prompts[i], .n_prompt = N_PROMPT, .responses = d->responses[i], .n_responses = k,
                                 .weight = 1};
    }
}

static train_options options_for(const char *name) {
    train_options o = train_options_default();
    o.objective = objective_find(name);
    objective_defaults(o.objective, o.objective_options);
    o.batch_rows = 12; /* the epoch's last step has 8 rows */
    o.max_steps = STEPS;
    o.lr = 1e-2f;
    o.seed = 17;
    return o;
}

static adapter *new_adapter(agon_ctx *ctx, const model *m, uint64_t seed) {
    adapter_options o = {.rank = 4, .alpha = 8, .seed = seed};
    adapter *a = NULL;
    assert_ok(ctx, adapter_new(ctx, m, &o, &a));
    return a;
}

/* ---- runs ------------------------------------------------------------------------------------------------------ */

typedef struct setting {
    const char *objective;
    size_t k;
    bool co_teach, full;
    int n_threads;
} setting;

typedef struct record {
    char *checkpoint;
    size_t n, stop_at, kept[STEPS + 1];
    double losses[STEPS + 1], disagree;
    selection_tally tally;
} record;

static double metric_of(const train_progress *p, const char *name) {
    for (size_t i = 0; i < p->n_metrics; i++)
        if (strcmp(p->metrics[i].name, name) == 0)
            return p->metrics[i].value;
    return NAN;
}

static agon_status on_step(void *arg, const train_progress *p) {
    record *r = arg;
    r->losses[p->step] = p->loss;
    r->kept[p->step] = (size_t)metric_of(p, "kept");
    r->disagree += metric_of(p, "disagree");
    return AGON_OK;
}

static agon_status on_checkpoint(void *arg, size_t step, const void *data, size_t n) {
    record *r = arg;
    free(r->checkpoint);
    r->checkpoint = malloc(n);
    memcpy(r->checkpoint, data, n);
    r->n = n;
    return step == r->stop_at ? AGON_EINTERRUPTED : AGON_OK;
}

static void add_head(agon_ctx *ctx, model *m, adapter *a, const objective *o) {
    if (!(o->needs & NEEDS_HEAD))
        return;
    if (a)
        assert_ok(ctx, adapter_add_head(ctx, a, HEAD_REWARD, 0.2, 3));
    else
        assert_ok(ctx, model_add_head(ctx, m, HEAD_REWARD, 0.2, 3));
}

/* Trains from the start, or from `from`; stops after step `stop_at` when it is not 0. */
static record run(const setting *s, const record *from, size_t stop_at) {
    agon_ctx *ctx = test_ctx(s->n_threads ? s->n_threads : 1, NULL);
    const model_config c = tiny_config();
    model *m = tiny_model(ctx, &c, COMPUTE_F32), *other = NULL, *reference = NULL;
    adapter *a = s->full ? NULL : new_adapter(ctx, m, 3), *partner = NULL;
    test_data d;
    train_options o = options_for(s->objective);
    record r = {.stop_at = stop_at};
    new_data(&d, s->k);
    add_head(ctx, m, a, o.objective);
    o.checkpoint_every = stop_at;
    o.selection = (train_selection){.tau = 0.25, .ramp = 0.1, .co_teach = s->co_teach, .tally = &r.tally};
    if (s->full)
        reference = tiny_model(ctx, &c, COMPUTE_F32);
    if (s->co_teach && s->full) {
        static uint64_t seed = 8;
        assert_ok(ctx, model_build(ctx, &c, tiny_tensor, &seed, COMPUTE_F32, &other));
        add_head(ctx, other, NULL, o.objective);
        o.selection.partner_model = other;
    } else if (s->co_teach) {
        partner = new_adapter(ctx, m, 4);
        add_head(ctx, m, partner, o.objective);
        o.selection.partner = partner;
    }
    const train_sink sink = {.on_step = on_step, .on_checkpoint = on_checkpoint, .arg = &r};
    agon_status status = train(ctx, m, a, reference, NULL, d.rows, N_ROWS, &o, &sink, from ? from->checkpoint : NULL, from ? from->n : 0);
    if (status != (stop_at ? AGON_EINTERRUPTED : AGON_OK))
        fail_msg("%s: %s", s->objective, agon_error(ctx));
    adapter_free(a), adapter_free(partner);
    model_free(m), model_free(other), model_free(reference);
    agon_ctx_free(ctx);
    return r;
}

static const setting settings[] = {
    {"sft", 1, false, false, 1}, {"sft", 1, true, false, 1}, {"gce", 1, true, false, 1},  {"dpo", 2, false, false, 1},
    {"dpo", 2, true, false, 1},  {"bt", 2, true, false, 1},  {"classify", 1, true, false, 1}, {"dpo", 2, true, true, 1},
};

static void selection__resumes_bit_for_bit(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        const setting *s = &settings[i];
        setting threads = *s;
        threads.n_threads = 2;
        record whole = run(s, NULL, 0), half = run(s, NULL, STEPS / 2), rest = run(s, &half, 0), two = run(&threads, NULL, 0);
        /* Adapters, heads, moments and counts of both learners lie in the image. */
        if (whole.n != rest.n || memcmp(whole.checkpoint, rest.checkpoint, whole.n) != 0)
            fail_msg("%s: a resumed run differs", s->objective);
        assert_int_equal(whole.n, two.n);
        assert_memory_equal(whole.checkpoint, two.checkpoint, whole.n);
        assert_memory_not_equal(whole.checkpoint, half.checkpoint, whole.n);
        assert_memory_equal(&whole.tally, &rest.tally, sizeof whole.tally);
        free(whole.checkpoint), free(half.checkpoint), free(rest.checkpoint), free(two.checkpoint);
    }
}

/* All rows at first, floor(0.75 n) after a tenth of the steps: of 12 rows 9, of the 8 left 6. */
static void selection__follows_the_ramp(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        record r = run(&settings[i], NULL, 0);
        size_t seen = 0, kept = 0;
        for (size_t step = 1; step <= STEPS; step++) {
            size_t n = step % 3 == 0 ? 8 : 12, t = step - 1 < 10 ? step - 1 : 10;
            size_t want = (size_t)floor((1 - 0.25 * (double)t / 10) * (double)n + 1e-9);
            assert_int_equal(r.kept[step], want);
            seen += n, kept += want;
        }
        assert_int_equal(r.tally.seen, seen);
        assert_int_equal(r.tally.kept, kept);
        if (settings[i].co_teach) { /* what the steps said and what the run says */
            assert_true(r.tally.disagreed > 0 && r.tally.disagreed < kept);
            assert_true(r.disagree > 0);
        } else {
            assert_int_equal(r.tally.disagreed, 0);
        }
        free(r.checkpoint);
    }
    record r = run(&settings[4], NULL, 0);
    assert_close(r.losses[1], M_LN2, 1e-15); /* policy and reference agree at step 0 */
    free(r.checkpoint);
}

/* ---- who trains on what ------------------------------------------------------------------------------------------ */

static agon_status keep_loss(void *arg, const train_progress *p) {
    *(double *)arg = p->loss;
    return AGON_OK;
}

static double loss_of(agon_ctx *ctx, model *m, adapter *a, const train_row *row) {
    train_options o = options_for("sft");
    double loss = NAN;
    const train_sink sink = {.on_step = keep_loss, .arg = &loss};
    o.batch_rows = 1, o.max_steps = 1, o.lr = 0;
    assert_ok(ctx, train(ctx, m, a, NULL, NULL, row, 1, &o, &sink, NULL, 0));
    return loss;
}

/* The half of the rows with the least loss under a. */
static void easiest(agon_ctx *ctx, model *m, adapter *a, const test_data *d, train_row *out) {
    double losses[N_ROWS];
    size_t n = 0;
    for (size_t i = 0; i < N_ROWS; i++)
        losses[i] = loss_of(ctx, m, a, &d->rows[i]);
    for (size_t i = 0; i < N_ROWS; i++) {
        size_t below = 0;
        for (size_t j = 0; j < N_ROWS; j++)
            below += losses[j] < losses[i];
        if (below < N_ROWS / 2)
            out[n++] = d->rows[i];
    }
    assert_int_equal(n, N_ROWS / 2); /* no ties */
}

/* Sum of |a - b| over all values of two adapters. */
static double distance(agon_ctx *ctx, adapter *a, adapter *b) {
    parameters p, q;
    double sum = 0;
    assert_ok(ctx, adapter_parameters(ctx, a, &p));
    assert_ok(ctx, adapter_parameters(ctx, b, &q));
    for (size_t i = 0; i < p.n; i++)
        for (size_t j = 0; j < p.items[i].n_rows * p.items[i].n_columns; j++)
            sum += fabs((double)p.items[i].value[j] - (double)q.items[i].value[j]);
    return sum;
}

static adapter *copy_of(agon_ctx *ctx, const adapter *a) {
    adapter *copy = NULL;
    assert_ok(ctx, adapter_clone(ctx, a, &copy));
    return copy;
}

/* One step on all rows with half of them kept: the same update as training on exactly these rows. Alone a learner takes its own; of two
 * each takes those of the other. */
static void each_learner__trains_on_the_rows_of_the_other(void **state) {
    agon_ctx *ctx = *state;
    const model_config c = tiny_config();
    model *m = tiny_model(ctx, &c, COMPUTE_F32);
    adapter *start[2] = {tiny_adapter(ctx, m, 4, 3), tiny_adapter(ctx, m, 4, 4)};
    test_data d;
    train_row easy[2][N_ROWS / 2];
    new_data(&d, 1);
    for (int i = 0; i < 2; i++)
        easiest(ctx, m, start[i], &d, easy[i]);
    for (int co_teach = 0; co_teach < 2; co_teach++) {
        adapter *a[2] = {copy_of(ctx, start[0]), copy_of(ctx, start[1])};
        train_options o = options_for("sft");
        o.batch_rows = N_ROWS, o.max_steps = 1, o.eps = 1e-3f; /* so that the update is not the gradient's sign alone */
        o.selection = (train_selection){.tau = 0.5, .ramp = 0, .co_teach = co_teach, .partner = co_teach ? a[1] : NULL};
        assert_ok(ctx, train(ctx, m, a[0], NULL, NULL, d.rows, N_ROWS, &o, NULL, NULL, 0));
        o.selection.tau = 0, o.selection.co_teach = false, o.batch_rows = N_ROWS / 2;
        for (int i = 0; i < 1 + co_teach; i++) {
            adapter *want = copy_of(ctx, start[i]), *other = copy_of(ctx, start[i]);
            assert_ok(ctx, train(ctx, m, want, NULL, NULL, easy[co_teach ? !i : i], N_ROWS / 2, &o, NULL, NULL, 0));
            assert_ok(ctx, train(ctx, m, other, NULL, NULL, easy[co_teach ? i : !i], N_ROWS / 2, &o, NULL, NULL, 0));
            double moved = distance(ctx, start[i], a[i]), off = distance(ctx, want, a[i]), control = distance(ctx, other, a[i]);
            if (!(off < 1e-3 * moved && control > 1e-2 * moved))
                fail_msg("learner %d of %d moved by %g, %g beside the update of the rows it should have", i, 1 + co_teach, moved, off);
            adapter_free(want), adapter_free(other);
        }
        if (!co_teach)
            assert_true(distance(ctx, start[1], a[1]) == 0);
        adapter_free(a[0]), adapter_free(a[1]);
    }
    adapter_free(start[0]), adapter_free(start[1]);
    model_free(m);
}

/* ---- what it is for ---------------------------------------------------------------------------------------------- */

/* Mean loss of the noisy or of the clean rows. */
static double mean_loss(agon_ctx *ctx, model *m, adapter *a, const test_data *d, bool noisy) {
    double sum = 0, n = 0;
    for (size_t i = 0; i < N_ROWS; i++)
        if (is_noisy(i) == noisy) {
            sum += loss_of(ctx, m, a, &d->rows[i]);
            n++;
        }
    return sum / n;
}

/* A quarter of the answers is wrong: plain training learns them by heart, with selection they stay unlikely while the others are learnt. */
static void selection__leaves_planted_errors_unlearnt(void **state) {
    agon_ctx *ctx = *state;
    const model_config c = tiny_config();
    model *m = tiny_model(ctx, &c, COMPUTE_F32);
    test_data d;
    double noisy[4], clean[4];
    new_data(&d, 1);
    for (int way = 0; way < 3; way++) { /* plain, alone, with a partner */
        adapter *a = new_adapter(ctx, m, 3), *partner = new_adapter(ctx, m, 4);
        train_options o = options_for("sft");
        o.batch_rows = 16, o.max_steps = 150, o.lr = 2e-2f;
        if (way > 0)
            o.selection = (train_selection){.tau = 0.3, .ramp = 0.1, .co_teach = way == 2, .partner = way == 2 ? partner : NULL};
        assert_ok(ctx, train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, NULL, 0));
        noisy[way] = mean_loss(ctx, m, a, &d, true), clean[way] = mean_loss(ctx, m, a, &d, false);
        noisy[3] = mean_loss(ctx, m, partner, &d, true), clean[3] = mean_loss(ctx, m, partner, &d, false);
        adapter_free(a), adapter_free(partner);
    }
    if (!(noisy[0] < 0.5))
        fail_msg("plain training did not learn the errors by heart: %g", noisy[0]);
    for (int way = 1; way < 4; way++)
        if (!(noisy[way] > 4 * noisy[0] && noisy[way] > 3 && clean[way] < clean[0] + 0.1))
            fail_msg("way %d: errors %g (plain %g), the others %g (plain %g)", way, noisy[way], noisy[0], clean[way], clean[0]);
    model_free(m);
}

/* ---- refused ------------------------------------------------------------------------------------------------------- */

static void selection__refuses_rows_without_a_loss_of_their_own(void **state) {
    agon_ctx *ctx = *state;
    const model_config c = tiny_config();
    model *m = tiny_model(ctx, &c, COMPUTE_F32);
    adapter *a = new_adapter(ctx, m, 3);
    test_data d;
    static const struct {
        const char *objective, *says;
        double tau;
        size_t batch;
        bool co_teach;
    } bad[] = {{"kto", "kto has one loss over a whole step", 0.2, 8, false},
               {"aux-confidence", "aux-confidence has one loss over a whole step", 0.2, 32, false},
               {"aux-confidence", "batch_rows (--batch) must be 32 or more", 0, 31, false},
               {"kto", "batch_rows (--batch) must be 2 or more", 0, 1, false},
               {"grpo", "small losses say nothing under grpo", 0.2, 8, true},
               {"reinforce++", "small losses say nothing under reinforce++", 0.2, 8, false},
               {"sft", "of a batch of 1 rows 0.2 of them is none", 0.2, 1, false},
               {"sft", "above 0 and below 1", 1, 8, false},
               {"sft", "above 0 and below 1", -0.1, 8, false},
               {"sft", "above 0 and below 1", 0, 8, true},
               {"sft", "needs a second learner", 0.2, 8, true}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        new_data(&d, 1);
        for (size_t j = 0; j < N_ROWS; j++)
            d.responses[j][0].reward = 1;
        train_options o = options_for(bad[i].objective);
        add_head(ctx, m, a, o.objective);
        o.batch_rows = bad[i].batch;
        o.selection = (train_selection){.tau = bad[i].tau, .co_teach = bad[i].co_teach};
        assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, NULL, 0), AGON_EINVAL);
        if (!strstr(agon_error(ctx), bad[i].says))
            fail_msg("%s: %s", bad[i].objective, agon_error(ctx));
    }
    /* A checkpoint of other options is not taken up. */
    new_data(&d, 1);
    record half = run(&settings[0], NULL, STEPS / 2);
    train_options o = options_for("sft");
    adapter_free(a);
    a = new_adapter(ctx, m, 3);
    assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, half.checkpoint, half.n), AGON_EMISMATCH);
    free(half.checkpoint);
    adapter_free(a);
    model_free(m);
}

static int setup(void **state) {
    *state = test_ctx(1, NULL);
    return 0;
}

static int teardown(void **state) {
    agon_ctx_free(*state);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(selection__resumes_bit_for_bit),
        cmocka_unit_test(selection__follows_the_ramp),
        cmocka_unit_test(each_learner__trains_on_the_rows_of_the_other),
        cmocka_unit_test(selection__leaves_planted_errors_unlearnt),
        cmocka_unit_test(selection__refuses_rows_without_a_loss_of_their_own),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
