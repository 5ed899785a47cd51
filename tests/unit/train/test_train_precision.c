/* What training in bf16 loses against f32, and that a step is the same however its rows are cut into micro-batches. */
#include "trainer.h"

enum { ROWS = 32, GROUP = 8, N_PROMPT = 4, N_RESPONSE = 8, N_VOCABULARY = 61, EPOCH = 6, STEPS = 25 * EPOCH, TRAINED = EPOCH * ROWS };

/* Responses count on from the prompt by its step, which is learnable, with a random token now and then, which is not: the loss has a floor
 * above zero, so a share of it means something throughout. Rows of a group of GROUP have one prompt. */
typedef struct data {
    train_row rows[TRAINED];
    train_response responses[TRAINED];
    int32_t prompts[TRAINED][N_PROMPT], tokens[TRAINED][N_RESPONSE];
} data;

static void data_new(data *d, uint64_t seed) {
    rng r = rng_new(seed);
    for (size_t i = 0; i < TRAINED; i++) {
        int32_t at = (int32_t)rng_below(&r, N_VOCABULARY), step = 1 + (int32_t)rng_below(&r, 3);
        for (size_t j = 0; j < N_PROMPT; j++)
            d->prompts[i][j] = i % GROUP ? d->prompts[i - 1][j] : (at = (at + step) % N_VOCABULARY);
        step = (d->prompts[i][1] - d->prompts[i][0] + N_VOCABULARY) % N_VOCABULARY;
        at = d->prompts[i][N_PROMPT - 1];
        for (size_t j = 0; j < N_RESPONSE; j++) {
            at = (at + step) % N_VOCABULARY;
            d->tokens[i][j] = rng_uniform(&r) < 0.15 ? (int32_t)rng_below(&r, N_VOCABULARY) : at;
        }
        static const float uneven[N_RESPONSE] = {1, 0, 0.5f, 1};
        d->responses[i] = (train_response){.tokens = d->tokens[i], .n = 3 + i % (N_RESPONSE - 2), .mask = i % 3 ? NULL : uneven, .reward = NAN,
                                           .advantage = 0.5 + (double)(i % 5), .label = NAN, .weight = 1};
        d->rows[i] = (train_row){.prompt = d->prompts[i], .n_prompt = N_PROMPT, .responses = &d->responses[i], .n_responses = 1, .weight = 1};
    }
}

/* ---- bf16 and f32 ---------------------------------------------------------------------------------------------------------- */

static agon_status keep_loss(void *arg, const train_progress *p) {
    ((double *)arg)[p->step - 1] = p->loss;
    return AGON_OK;
}

static void losses_of(const data *d, compute_dtype dtype, bool lora, double losses[STEPS]) {
    agon_ctx *ctx = test_ctx(1, NULL);
    model_config c = tiny_config();
    model *m = tiny_model(ctx, &c, dtype);
    adapter_options options = {.rank = 8, .alpha = 16, .seed = 3};
    adapter *a = NULL;
    if (lora)
        assert_ok(ctx, adapter_new(ctx, m, &options, &a));
    train_options o = trainer_options("sft");
    o.batch_rows = ROWS, o.max_steps = STEPS, o.lr = lora ? 1e-2f : 5e-3f, o.seed = 17;
    const train_sink sink = {.on_step = keep_loss, .arg = losses};
    assert_ok(ctx, train(ctx, m, a, NULL, NULL, d->rows, TRAINED, &o, &sink, NULL));
    adapter_free(a);
    model_free(m);
    agon_ctx_free(ctx);
}

/* Masters, moments and sums are f32 in both; bf16 rounds the operands of the products. The curve is of an epoch's mean loss: of single steps
 * a few lie up to 2 % apart. */
static void train__bf16_keeps_to_the_loss_of_f32(void **state) {
    (void)state;
    data *d = calloc(1, sizeof *d);
    data_new(d, 7);
    for (int lora = 0; lora < 2; lora++) {
        double exact[STEPS], rounded[STEPS], worst = 0;
        losses_of(d, COMPUTE_F32, lora, exact);
        losses_of(d, COMPUTE_BF16, lora, rounded);
        for (size_t i = 0; i < STEPS; i += EPOCH) {
            double sum = 0, apart = 0;
            for (size_t k = i; k < i + EPOCH; k++)
                sum += exact[k], apart += rounded[k] - exact[k];
            worst = fmax(worst, fabs(apart) / sum);
        }
        if (!(worst < 0.01))
            fail_msg("%s: an epoch's loss in bf16 lies %g %% from that in f32", lora ? "adapter" : "all weights", 100 * worst);
        assert_true(exact[STEPS - 1] < 0.5 * exact[0] && exact[STEPS - 1] > 0.1);       /* it learnt, and is not at zero */
        assert_true(memcmp(exact, rounded, sizeof exact) != 0);                          /* the two do differ */
    }
    free(d);
}

/* ---- accumulation ------------------------------------------------------------------------------------------------------------ */

/* The step's gradient over ROWS responses that are cut into trees of `size`: what one step leaves as first moment, over 1 - beta1. */
static double *gradient_of(const data *d, const char *objective, bool lora, size_t size, size_t *n) {
    agon_ctx *ctx = test_ctx(1, NULL);
    model_config c = tiny_config();
    model *m = tiny_model(ctx, &c, COMPUTE_F32);
    adapter *a = lora ? tiny_adapter(ctx, m, 4, 9) : NULL;
    train_moments moments = {0};
    train_row rows[ROWS];
    for (size_t i = 0; i < ROWS / size; i++) {
        rows[i] = d->rows[i * size];
        rows[i].responses = &d->responses[i * size];
        rows[i].n_responses = size;
    }
    train_options o = trainer_options(objective);
    o.batch_rows = ROWS / size, o.max_steps = 1, o.clip_norm = 0, o.moments = &moments;
    assert_ok(ctx, train(ctx, m, a, NULL, NULL, rows, ROWS / size, &o, NULL, NULL));
    double *out = calloc(moments.n_values, sizeof *out);
    *n = moments.n_values;
    for (size_t i = 0; i < moments.n_values; i++)
        out[i] = (double)moments.first[i] / (1 - (double)o.beta1);
    free(moments.first), free(moments.second);
    adapter_free(a);
    model_free(m);
    agon_ctx_free(ctx);
    return out;
}

/* The distance of b from a, as a share of a's length. */
static double distance(const double *a, const double *b, size_t n) {
    double apart = 0, length = 0;
    for (size_t i = 0; i < n; i++)
        apart += (a[i] - b[i]) * (a[i] - b[i]), length += a[i] * a[i];
    assert_true(length > 0);
    return sqrt(apart / length);
}

/* 32 trees of one response, 4 of 8 with their prompt computed once, and (where all have one prompt) 1 of 32. Lengths and masks are uneven,
 * so a mean of the micro-batches' means would be another number. */
static void train__a_step_is_the_same_however_rows_are_cut(void **state) {
    (void)state;
    data *d = calloc(1, sizeof *d);
    data_new(d, 7);
    for (int k = 0; k < 4; k++) {
        const char *objective = k < 2 ? "sft" : "grpo";
        bool lora = k % 2;
        size_t n, n_cut;
        double *singles = gradient_of(d, objective, lora, 1, &n), *groups = gradient_of(d, objective, lora, GROUP, &n_cut);
        assert_int_equal(n, n_cut);
        double apart = distance(singles, groups, n);
        if (!(apart <= 1e-6))
            fail_msg("%s, %s: 32 x 1 and 4 x 8 differ by %g of the gradient", objective, lora ? "adapter" : "all weights", apart);
        free(singles), free(groups);
    }
    for (size_t i = 0; i < ROWS; i++)
        memcpy(d->prompts[i], d->prompts[0], sizeof d->prompts[0]);
    size_t n;
    double *one = gradient_of(d, "sft", false, ROWS, &n), *four = gradient_of(d, "sft", false, GROUP, &n);
    assert_true(distance(one, four, n) <= 1e-6);
    d->tokens[ROWS - 1][0] ^= 1; /* one token of 32 rows is seen by far more than the tolerance */
    double *other = gradient_of(d, "sft", false, GROUP, &n);
    assert_true(distance(one, other, n) > 1e-3);
    free(one), free(four), free(other), free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(train__bf16_keeps_to_the_loss_of_f32),
        cmocka_unit_test(train__a_step_is_the_same_however_rows_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
