/* Small-loss selection and co-teaching through the trainer, on a model of two layers: who trains on which rows or tokens, planted wrong labels are
 * left out, runs are the same bits however they are cut. */
#include "train/train.h"
#include "../../stream_bytes.h"
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
    selection_level level;
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

static agon_status on_checkpoint(void *arg, size_t step, const byte_stream *state) {
    record *r = arg;
    free(r->checkpoint);
    r->checkpoint = stream_bytes(state);
    assert_non_null(r->checkpoint);
    r->n = state->size;
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
    o.selection = (train_selection){.tau = 0.25, .ramp = 0.1, .co_teach = s->co_teach, .level = s->level, .span = 2, .tally = &r.tally};
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
    const byte_reader left = from ? byte_reader_of(from->checkpoint, from->n) : (byte_reader){0};
    agon_status status = train(ctx, m, a, reference, NULL, d.rows, N_ROWS, &o, &sink, from ? &left : NULL);
    if (status != (stop_at ? AGON_EINTERRUPTED : AGON_OK))
        fail_msg("%s: %s", s->objective, agon_error(ctx));
    adapter_free(a), adapter_free(partner);
    model_free(m), model_free(other), model_free(reference);
    agon_ctx_free(ctx);
    return r;
}

static const setting settings[] = {
    {"sft", 1, false, false, 1, SELECT_ROWS}, {"sft", 1, true, false, 1, SELECT_ROWS}, {"gce", 1, true, false, 1, SELECT_ROWS},  {"dpo", 2, false, false, 1, SELECT_ROWS},
    {"dpo", 2, true, false, 1, SELECT_ROWS},  {"bt", 2, true, false, 1, SELECT_ROWS},  {"classify", 1, true, false, 1, SELECT_ROWS}, {"dpo", 2, true, true, 1, SELECT_ROWS},
    {"sft", 1, false, false, 1, SELECT_TOKENS}, {"gce", 1, true, false, 1, SELECT_TOKENS}, {"nll", 1, true, false, 1, SELECT_SPANS},
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
    assert_ok(ctx, train(ctx, m, a, NULL, NULL, row, 1, &o, &sink, NULL));
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
        assert_ok(ctx, train(ctx, m, a[0], NULL, NULL, d.rows, N_ROWS, &o, NULL, NULL));
        o.selection.tau = 0, o.selection.co_teach = false, o.batch_rows = N_ROWS / 2;
        for (int i = 0; i < 1 + co_teach; i++) {
            adapter *want = copy_of(ctx, start[i]), *other = copy_of(ctx, start[i]);
            assert_ok(ctx, train(ctx, m, want, NULL, NULL, easy[co_teach ? !i : i], N_ROWS / 2, &o, NULL, NULL));
            assert_ok(ctx, train(ctx, m, other, NULL, NULL, easy[co_teach ? i : !i], N_ROWS / 2, &o, NULL, NULL));
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

/* ---- tokens and spans ---------------------------------------------------------------------------------------------- */

enum { N_LONG = 5 }; /* tokens of a response: spans of 2, 2 and 1 */

typedef struct long_data {
    train_row rows[N_ROWS];
    train_response responses[N_ROWS];
    int32_t prompts[N_ROWS][N_PROMPT], tokens[N_ROWS][N_LONG];
    float masks[N_ROWS][N_LONG];
} long_data;

/* Masks: every third row's second token is not learnt from; nor is anything of the second row, which has no weight. */
static void new_long_data(long_data *d) {
    memset(d, 0, sizeof *d);
    for (size_t i = 0; i < N_ROWS; i++) {
        tiny_tokens(d->prompts[i], N_PROMPT, 40 + i);
        tiny_tokens(d->tokens[i], N_LONG, 90 + i);
        for (size_t j = 0; j < N_LONG; j++)
            d->masks[i][j] = i % 3 == 0 && j == 1 ? 0 : 1;
        d->responses[i] = (train_response){.tokens = d->tokens[i], .n = N_LONG, .mask = d->masks[i], .reward = NAN, .advantage = NAN, .label = NAN,
                                           .weight = 1};
        d->rows[i] = (train_row){.prompt = d->prompts[i], .n_prompt = N_PROMPT, .responses = &d->responses[i], .n_responses = 1, .weight = i != 1};
    }
}

/* Loss of the tokens [first, first + n) of a row, where the objective is asked about them alone. */
static double loss_of_part(agon_ctx *ctx, model *m, adapter *a, const long_data *d, size_t i, size_t first, size_t n) {
    float mask[N_LONG] = {0};
    train_response response = d->responses[i];
    train_row row = d->rows[i];
    memcpy(mask + first, d->masks[i] + first, n * sizeof *mask);
    response.mask = mask, row.responses = &response;
    return loss_of(ctx, m, a, &row);
}

/* The masks that are left when half of the parts of `length` tokens, those with the greatest loss, are taken out; how many there were. */
static size_t spare(agon_ctx *ctx, model *m, adapter *a, const long_data *d, size_t length, long_data *out) {
    double losses[N_ROWS * N_LONG];
    size_t places[N_ROWS * N_LONG][2], n = 0;
    new_long_data(out);
    for (size_t i = 0; i < N_ROWS; i++)
        for (size_t first = 0; first < N_LONG; first += length) {
            size_t size = N_LONG - first < length ? N_LONG - first : length;
            if ((size == 1 && d->masks[i][first] == 0) || d->rows[i].weight == 0)
                continue;
            losses[n] = loss_of_part(ctx, m, a, d, i, first, size);
            places[n][0] = i, places[n++][1] = first;
        }
    for (size_t k = 0; k < n; k++) {
        size_t below = 0;
        for (size_t j = 0; j < n; j++)
            below += losses[j] < losses[k];
        for (size_t j = places[k][1]; below >= n / 2 && j < places[k][1] + length && j < N_LONG; j++)
            out->masks[places[k][0]][j] = 0;
    }
    return n;
}

/* One step with half of the tokens or spans left out is the step with these masks, and not that with the rest of them; the tally counts parts. */
static void parts__with_the_smallest_losses_are_trained_on(void **state) {
    agon_ctx *ctx = *state;
    const model_config c = tiny_config();
    model *m = tiny_model(ctx, &c, COMPUTE_F32);
    adapter *start = tiny_adapter(ctx, m, 4, 3);
    static long_data d, kept, rest;
    new_long_data(&d);
    for (int level = SELECT_TOKENS; level <= SELECT_SPANS; level++) {
        adapter *a = copy_of(ctx, start), *want = copy_of(ctx, start), *other = copy_of(ctx, start);
        selection_tally tally;
        size_t n = spare(ctx, m, start, &d, level == SELECT_TOKENS ? 1 : 2, &kept);
        new_long_data(&rest);
        for (size_t i = 0; i < N_ROWS; i++)
            for (size_t j = 0; j < N_LONG; j++)
                rest.masks[i][j] = d.masks[i][j] - kept.masks[i][j];
        train_options o = options_for("sft");
        o.batch_rows = N_ROWS, o.max_steps = 1, o.eps = 1e-3f;
        o.selection = (train_selection){.tau = 0.5, .level = (selection_level)level, .span = 2, .tally = &tally};
        assert_ok(ctx, train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, NULL));
        assert_int_equal(tally.seen, n);
        assert_int_equal(tally.kept, n / 2);
        o.selection.tau = 0;
        assert_ok(ctx, train(ctx, m, want, NULL, NULL, kept.rows, N_ROWS, &o, NULL, NULL));
        assert_ok(ctx, train(ctx, m, other, NULL, NULL, rest.rows, N_ROWS, &o, NULL, NULL));
        double moved = distance(ctx, start, a), off = distance(ctx, want, a), control = distance(ctx, other, a);
        if (!(off < 1e-3 * moved && control > 1e-1 * moved))
            fail_msg("level %d: moved by %g, %g beside the update of what it should keep (%g beside the rest's)", level, moved, off, control);
        adapter_free(a), adapter_free(want), adapter_free(other);
    }
    adapter_free(start);
    model_free(m);
}

/* One token of every third row is wrong. Selection of tokens leaves it unlearnt and learns the rest of the row; with gce, whose loss is another, too. */
static void selection_of_tokens__leaves_planted_errors_unlearnt(void **state) {
    agon_ctx *ctx = *state;
    const model_config c = tiny_config();
    model *m = tiny_model(ctx, &c, COMPUTE_F32);
    static long_data d;
    double wrong[4] = {0}, right[4] = {0};
    new_long_data(&d);
    d.rows[1].weight = 1;
    for (size_t i = 0; i < N_ROWS; i++)
        for (size_t j = 0; j < N_LONG; j++) {
            d.masks[i][j] = 1;
            if (i % 3 != 1 || j != 2)
                d.tokens[i][j] = (int32_t)(50 + j);
        }
    for (int way = 0; way < 4; way++) { /* plain, tokens, spans, tokens of gce */
        adapter *a = new_adapter(ctx, m, 3);
        train_options o = options_for(way == 3 ? "gce" : "sft");
        o.batch_rows = 16, o.max_steps = 300, o.lr = 2e-2f;
        if (way > 0)
            o.selection = (train_selection){.tau = way == 2 ? 0.12 : 0.08, .ramp = 0.1, .level = way == 2 ? SELECT_SPANS : SELECT_TOKENS, .span = 2};
        assert_ok(ctx, train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, NULL));
        for (size_t i = 1; i < N_ROWS; i += 3) {
            wrong[way] += loss_of_part(ctx, m, a, &d, i, 2, 1) / (N_ROWS / 3);
            right[way] += loss_of_part(ctx, m, a, &d, i, 4, 1) / (N_ROWS / 3);
        }
        adapter_free(a);
    }
    if (!(wrong[0] < 0.5))
        fail_msg("plain training did not learn the errors by heart: %g", wrong[0]);
    for (int way = 1; way < 4; way++)
        if (!(wrong[way] > 3 && right[way] < right[0] + 0.1))
            fail_msg("way %d: errors %g (plain %g), the rest of the same rows %g (plain %g)", way, wrong[way], wrong[0], right[way], right[0]);
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
        assert_ok(ctx, train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, NULL));
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
        selection_level level;
    } bad[] = {{"kto", "kto has one loss over a whole step", 0.2, 8, false, SELECT_ROWS},
               {"aux-confidence", "aux-confidence has one loss over a whole step", 0.2, 32, false, SELECT_ROWS},
               {"aux-confidence", "batch_rows (--batch) must be 32 or more", 0, 31, false, SELECT_ROWS},
               {"kto", "batch_rows (--batch) must be 2 or more", 0, 1, false, SELECT_ROWS},
               {"grpo", "small losses say nothing under grpo", 0.2, 8, true, SELECT_ROWS},
               {"reinforce++", "small losses say nothing under reinforce++", 0.2, 8, false, SELECT_ROWS},
               {"sft", "of a batch of 1 rows 0.2 of them is none", 0.2, 1, false, SELECT_ROWS},
               {"sft", "above 0 and below 1", 1, 8, false, SELECT_ROWS},
               {"sft", "above 0 and below 1", -0.1, 8, false, SELECT_ROWS},
               {"sft", "above 0 and below 1", 0, 8, true, SELECT_ROWS},
               {"sft", "needs a second learner", 0.2, 8, true, SELECT_ROWS},
               {"orpo", "orpo has no loss for a token by itself", 0.2, 8, false, SELECT_TOKENS},
               {"prm", "prm has no loss for a token by itself", 0.2, 8, false, SELECT_TOKENS},
               {"sft", "has 1 token or more", 0.2, 8, false, SELECT_SPANS}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        new_data(&d, 1);
        for (size_t j = 0; j < N_ROWS; j++)
            d.responses[j][0].reward = 1;
        train_options o = options_for(bad[i].objective);
        add_head(ctx, m, a, o.objective);
        o.batch_rows = bad[i].batch;
        o.selection = (train_selection){.tau = bad[i].tau, .co_teach = bad[i].co_teach, .level = bad[i].level};
        assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, NULL), AGON_EINVAL);
        if (!strstr(agon_error(ctx), bad[i].says))
            fail_msg("%s: %s", bad[i].objective, agon_error(ctx));
    }
    /* A checkpoint of other options is not taken up. */
    new_data(&d, 1);
    record half = run(&settings[0], NULL, STEPS / 2);
    const byte_reader left = byte_reader_of(half.checkpoint, half.n);
    train_options o = options_for("sft");
    adapter_free(a);
    a = new_adapter(ctx, m, 3);
    assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, &left), AGON_EMISMATCH);
    o.selection = (train_selection){.tau = 0.25, .ramp = 0.1, .level = SELECT_TOKENS};
    assert_int_equal(train(ctx, m, a, NULL, NULL, d.rows, N_ROWS, &o, NULL, &left), AGON_EMISMATCH);
    selection_level level;
    assert_ok(ctx, selection_level_find(ctx, "span", &level));
    assert_int_equal(level, SELECT_SPANS);
    assert_int_equal(selection_level_find(ctx, "word", &level), AGON_EINVAL);
    free(half.checkpoint);
    adapter_free(a);
    model_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(selection__resumes_bit_for_bit),
        cmocka_unit_test(selection__follows_the_ramp),
        cmocka_unit_test(each_learner__trains_on_the_rows_of_the_other),
        cmocka_unit_test(parts__with_the_smallest_losses_are_trained_on),
        cmocka_unit_test(selection__leaves_planted_errors_unlearnt),
        cmocka_unit_test(selection_of_tokens__leaves_planted_errors_unlearnt),
        cmocka_unit_test(selection__refuses_rows_without_a_loss_of_their_own),
    };
    return cmocka_run_group_tests(tests, test_ctx_open, test_ctx_close);
}
