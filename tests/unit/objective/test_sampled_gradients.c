/* The policy gradients on samples against the expectation computed by enumeration.
 *
 * A tabular policy writes one or two tokens to each of two prompts: token 0 ends the answer, so lengths vary, and the prompts' rewards
 * differ tenfold. From 32,000 samples and more each estimator gives a mean gradient with standard errors; theory says what it is the
 * mean of, and all seven answers to each prompt can be listed. Where that is the gradient of E[reward] - beta KL(policy || reference) (equation
 * 3 of the position paper), the estimator is unbiased; a group's own mean as baseline scales it by (G-1)/G. Where it is not (division by
 * the group's deviation, means over an answer's own tokens, KL estimated in the loss token by token, values that are wrong with lambda below 1), the
 * control tests that it is missed, whatever the scale. */
#include "rows.h"

enum { PROMPTS = 2, TOKENS = 3, STATES = PROMPTS * TOKENS, ANSWERS = 7, GROUP = 4, PARAMETERS = STATES * TOKENS };
enum { MOST_SEQUENCES = 2048 };

typedef struct world {
    double log_p[STATES][TOKENS], reference[STATES][TOKENS], old[STATES][TOKENS]; /* log_probs */
    double reward[PROMPTS][ANSWERS], value[STATES];
} world;

static void draw_table(rng *r, double spread, const double from[STATES][TOKENS], double out[STATES][TOKENS]) {
    for (size_t s = 0; s < STATES; s++) {
        double sum = 0;
        for (size_t v = 0; v < TOKENS; v++)
            sum += exp(out[s][v] = (from ? from[s][v] : 0) + spread * (2 * rng_uniform(r) - 1));
        for (size_t v = 0; v < TOKENS; v++)
            out[s][v] -= log(sum);
    }
}

static world world_new(void) {
    world w;
    rng r = rng_new(5);
    draw_table(&r, 1, NULL, w.log_p);
    draw_table(&r, 1, NULL, w.reference);
    draw_table(&r, 0.15, (const double(*)[TOKENS])w.log_p, w.old);
    for (size_t s = 0; s < STATES; s++)
        w.value[s] = 4 * rng_uniform(&r) - 2;
    for (size_t x = 0; x < PROMPTS; x++)
        for (size_t y = 0; y < ANSWERS; y++)
            w.reward[x][y] = (x ? 10 : 1) * rng_uniform(&r);
    return w;
}

/* Answer y as states and tokens; its length. */
typedef struct answer {
    size_t n, state[2], token[2];
} answer;

static answer answer_of(size_t prompt, size_t y) {
    answer a = {.n = y ? 2 : 1, .state = {prompt * TOKENS}};
    if (y) {
        a.token[0] = 1 + (y - 1) / TOKENS;
        a.state[1] = prompt * TOKENS + a.token[0];
        a.token[1] = (y - 1) % TOKENS;
    }
    return a;
}

static double probability(const double table[STATES][TOKENS], const answer *a) {
    double sum = 0;
    for (size_t t = 0; t < a->n; t++)
        sum += table[a->state[t]][a->token[t]];
    return exp(sum);
}

/* Adds c * d log_p(token | state) / d logits. */
static void add_score(const world *w, size_t state, size_t token, double c, double gradient[PARAMETERS]) {
    for (size_t v = 0; v < TOKENS; v++)
        gradient[state * TOKENS + v] += c * ((v == token) - exp(w->log_p[state][v]));
}

/* ---- what theory says ---------------------------------------------------------------------------------------------------- */

/* What multiplies the score of a token in expectation. */
typedef enum theory {
    OBJECTIVE,        /* reward to go less beta times the log-ratios to go: the gradient of equation 3 */
    NORMALISED,       /* the same, over the standard deviation of that coefficient over all tokens */
    WITH_VALUES,      /* the same, less the state's value before it is normalised: values are a baseline, also wrong ones */
    OWN_LENGTH,       /* reward less its mean, over the answer's own length */
    STATE_KL,         /* reward, less beta times the token's own log-ratio d: KL of each step, not of what follows from it */
    STATE_REVERSE_KL, /* reward, less beta (1 - exp(-d)): KL(reference || policy) of each step */
} theory;

static double mean_reward(const world *w, size_t prompt) {
    double sum = 0;
    for (size_t y = 0; y < ANSWERS; y++) {
        answer a = answer_of(prompt, y);
        sum += probability(w->log_p, &a) * w->reward[prompt][y];
    }
    return sum;
}

static double coefficient(const world *w, theory what, size_t prompt, size_t y, size_t t, double beta, double part) {
    answer a = answer_of(prompt, y);
    double r = part * w->reward[prompt][y], to_go = 0;
    for (size_t i = t; i < a.n; i++)
        to_go += w->log_p[a.state[i]][a.token[i]] - w->reference[a.state[i]][a.token[i]];
    double d = w->log_p[a.state[t]][a.token[t]] - w->reference[a.state[t]][a.token[t]];
    switch (what) {
    case WITH_VALUES:
        return r - beta * to_go - w->value[a.state[t]];
    case OWN_LENGTH:
        return (r - part * mean_reward(w, prompt)) / (double)a.n;
    case STATE_KL:
        return r - beta * d;
    case STATE_REVERSE_KL:
        return r - beta * (1 - exp(-d));
    default:
        return r - beta * to_go;
    }
}

static double deviation(const world *w, theory what, double beta) {
    double n = 0, sum = 0, squares = 0;
    for (size_t x = 0; x < PROMPTS; x++)
        for (size_t y = 0; y < ANSWERS; y++) {
            answer a = answer_of(x, y);
            for (size_t t = 0; t < a.n; t++) {
                double c = coefficient(w, what, x, y, t, beta, 1), p = probability(w->log_p, &a);
                n += p, sum += p * c, squares += p * c * c;
            }
        }
    return sqrt(squares / n - sum / n * (sum / n));
}

/* The mean over the prompts; `part` multiplies the rewards. */
static void expectation(const world *w, theory what, double beta, double part, double gradient[PARAMETERS]) {
    double scale = what == NORMALISED || what == WITH_VALUES ? deviation(w, what, beta) : 1;
    memset(gradient, 0, PARAMETERS * sizeof *gradient);
    for (size_t x = 0; x < PROMPTS; x++)
        for (size_t y = 0; y < ANSWERS; y++) {
            answer a = answer_of(x, y);
            double p = probability(w->log_p, &a) / PROMPTS / scale;
            for (size_t t = 0; t < a.n; t++)
                add_score(w, a.state[t], a.token[t], p * coefficient(w, what, x, y, t, beta, part), gradient);
        }
}

/* ---- what samples say ------------------------------------------------------------------------------------------------------ */

typedef struct estimator {
    const char *name;
    const char *const *settings;
    size_t n_sequences, n_batches;
    bool groups;     /* of GROUP answers to one prompt; else rows of one */
    bool per_token;  /* the loss is a mean over the step's tokens: brought to a mean over its answers */
    bool off_policy; /* sampled from a policy near by, its log_probs given as old */
    bool advantage;  /* the reward is given as advantage: REINFORCE without a baseline */
    theory mean;
    double beta, part;
} estimator;

typedef struct batch {
    row rows[MOST_SEQUENCES];
    response responses[MOST_SEQUENCES];
    answer answers[MOST_SEQUENCES];
    double log_prob[MOST_SEQUENCES][2], reference[MOST_SEQUENCES][2], old[MOST_SEQUENCES][2], values[MOST_SEQUENCES][2];
    double d[MOST_SEQUENCES][2], d_values[MOST_SEQUENCES][2], losses[MOST_SEQUENCES];
    size_t n_tokens;
} batch;

static size_t draw_answer(rng *r, const double table[STATES][TOKENS], size_t prompt) {
    double u = rng_uniform(r);
    for (size_t y = 0; y + 1 < ANSWERS; y++) {
        answer a = answer_of(prompt, y);
        if ((u -= probability(table, &a)) < 0)
            return y;
    }
    return ANSWERS - 1;
}

static void draw_batch(const world *w, const estimator *e, rng *r, batch *b) {
    size_t size = e->groups ? GROUP : 1;
    b->n_tokens = 0;
    for (size_t i = 0; i < e->n_sequences; i++) {
        size_t prompt = i / size % PROMPTS, y = draw_answer(r, e->off_policy ? w->old : w->log_p, prompt);
        answer a = b->answers[i] = answer_of(prompt, y);
        for (size_t t = 0; t < a.n; t++) {
            b->log_prob[i][t] = w->log_p[a.state[t]][a.token[t]];
            b->reference[i][t] = w->reference[a.state[t]][a.token[t]];
            b->old[i][t] = w->old[a.state[t]][a.token[t]];
            b->values[i][t] = w->value[a.state[t]];
        }
        double reward = w->reward[prompt][y];
        b->responses[i] = (response){.n = a.n, .log_prob = b->log_prob[i], .reference = b->reference[i], .values = b->values[i],
                                     .old = e->off_policy ? b->old[i] : b->log_prob[i], .reward = reward,
                                     .advantage = e->advantage ? reward : NAN, .label = NAN, .weight = 1,
                                     .d_log_prob = b->d[i], .d_values = b->d_values[i]};
        b->rows[i / size] = (row){&b->responses[i - i % size], size, 1};
        b->n_tokens += a.n;
    }
}

/* Mean gradient of -loss and the standard error of each entry, over batches. */
static void sample(agon_ctx *ctx, const world *w, const estimator *e, double mean[PARAMETERS], double error[PARAMETERS]) {
    const objective *o = objective_find(e->name);
    double options[MAX_OBJECTIVE_OPTIONS], squares[PARAMETERS] = {0}, n = (double)e->n_batches;
    batch *b = calloc(1, sizeof *b);
    rng r = rng_new(seed_derive(2026, e->name));
    objective_defaults(o, options);
    for (size_t i = 0; e->settings[i]; i++)
        assert_ok(ctx, objective_set(ctx, o, e->settings[i], options));
    memset(mean, 0, PARAMETERS * sizeof *mean);
    for (size_t k = 0; k < e->n_batches; k++) {
        double gradient[PARAMETERS] = {0};
        objective_result result = {.losses = b->losses};
        draw_batch(w, e, &r, b);
        assert_ok(ctx, o->loss(ctx, o, options, b->rows, e->groups ? e->n_sequences / GROUP : e->n_sequences, &result));
        double scale = e->per_token ? (double)b->n_tokens / (double)e->n_sequences : 1;
        for (size_t i = 0; i < e->n_sequences; i++)
            for (size_t t = 0; t < b->answers[i].n; t++)
                add_score(w, b->answers[i].state[t], b->answers[i].token[t], -scale * b->d[i][t], gradient);
        for (size_t j = 0; j < PARAMETERS; j++)
            mean[j] += gradient[j] / n, squares[j] += gradient[j] * gradient[j] / n;
    }
    for (size_t j = 0; j < PARAMETERS; j++)
        error[j] = sqrt((squares[j] - mean[j] * mean[j]) / (n - 1));
    free(b);
}

/* The largest distance of an entry from scale * `wanted`, in standard errors. */
static double furthest(const double mean[PARAMETERS], const double error[PARAMETERS], const double wanted[PARAMETERS], double scale) {
    double worst = 0;
    for (size_t j = 0; j < PARAMETERS; j++)
        worst = fmax(worst, fabs(mean[j] - scale * wanted[j]) / error[j]);
    return worst;
}

/* The scale that brings `wanted` nearest to the mean, in standard errors. */
static double best_scale(const double mean[PARAMETERS], const double error[PARAMETERS], const double wanted[PARAMETERS]) {
    double above = 0, below = 0;
    for (size_t j = 0; j < PARAMETERS; j++) {
        above += mean[j] * wanted[j] / (error[j] * error[j]);
        below += wanted[j] * wanted[j] / (error[j] * error[j]);
    }
    return above / below;
}

#define MANY 64, 500
#define LARGE 2048, 40
static const double OTHERS = (GROUP - 1.0) / GROUP;

/* Entry for entry within three standard errors. That is 18 entries (15 are free) of 13 estimators: of 195 such numbers one lies beyond
 * three by chance in 41 runs of 100, so the seed is fixed, and was not chosen. */
static void policy_gradients__match_their_expectation(void **state) {
    agon_ctx *ctx = *state;
    const estimator all[] = {
        {"ppo", SET("beta=0", "lambda=1"), MANY, false, true, false, true, OBJECTIVE, 0, 1},
        {"ppo", SET("beta=0.5", "lambda=1", "whiten=0"), MANY, false, true, false, false, OBJECTIVE, 0.5, 1},
        {"ppo", SET("beta=0.5", "lambda=1", "whiten=1"), LARGE, false, true, false, false, WITH_VALUES, 0.5, 1},
        {"rloo", SET("beta=0"), MANY, true, false, false, false, OBJECTIVE, 0, 1},
        {"rloo", SET("beta=0.5"), MANY, true, false, false, false, OBJECTIVE, 0.5, 1},
        {"rloo", SET("beta=0", "clip=1"), MANY, true, false, true, false, OBJECTIVE, 0, 1},
        {"reinforce++", SET("beta=0.5"), LARGE, false, true, false, false, NORMALISED, 0.5, 1},
        /* Dr. GRPO */
        {"grpo", SET("scale=0", "aggregation=2", "max_length=1"), MANY, true, false, false, false, OBJECTIVE, 0, OTHERS},
        {"grpo", SET("scale=0", "aggregation=1"), MANY, true, true, false, false, OBJECTIVE, 0, OTHERS},
        {"grpo", SET("scale=0"), MANY, true, false, false, false, OWN_LENGTH, 0, OTHERS},
        {"grpo", SET("scale=0", "aggregation=1", "beta=0.5", "kl=2"), MANY, true, true, false, false, STATE_KL, 0.5, OTHERS},
        {"grpo", SET("scale=0", "aggregation=1", "beta=0.5", "kl=3"), MANY, true, true, false, false, STATE_REVERSE_KL, 0.5, OTHERS},
        {"gspo", SET("scale=0"), MANY, true, false, false, false, OWN_LENGTH, 0, OTHERS},
    };
    const world w = world_new();
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        double mean[PARAMETERS], error[PARAMETERS], wanted[PARAMETERS];
        expectation(&w, all[i].mean, all[i].beta, all[i].part, wanted);
        sample(ctx, &w, &all[i], mean, error);
        double z = furthest(mean, error, wanted, 1);
        if (!(z < 3))
            fail_msg("%s (case %zu): an entry lies %g standard errors from the expectation", all[i].name, i, z);
    }
}

/* What is no gradient of equation 3, whatever it is multiplied by. */
static void policy_gradients__that_are_biased_miss_it(void **state) {
    agon_ctx *ctx = *state;
    const estimator all[] = {
        {"grpo", SET("aggregation=2", "max_length=1"), MANY, true, false, false, false, OBJECTIVE, 0, 1}, /* the group's deviation */
        {"grpo", SET("scale=0"), MANY, true, false, false, false, OBJECTIVE, 0, 1},                         /* own length */
        {"gspo", SET("scale=0"), MANY, true, false, false, false, OBJECTIVE, 0, 1},
        {"grpo", SET("scale=0", "aggregation=1", "beta=2", "kl=3"), MANY, true, true, false, false, OBJECTIVE, 2, OTHERS},
        {"grpo", SET("scale=0", "aggregation=1", "beta=2", "kl=2"), MANY, true, true, false, false, OBJECTIVE, 2, OTHERS},
        {"ppo", SET("beta=0", "lambda=0.3", "whiten=0"), MANY, false, true, false, false, OBJECTIVE, 0, 1}, /* wrong values */
        {"rloo", SET("beta=0", "clip=0.05"), MANY, true, false, true, false, OBJECTIVE, 0, 1},                /* clipped */
    };
    const world w = world_new();
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        double mean[PARAMETERS], error[PARAMETERS], wanted[PARAMETERS];
        expectation(&w, all[i].mean, all[i].beta, all[i].part, wanted);
        sample(ctx, &w, &all[i], mean, error);
        double z = furthest(mean, error, wanted, best_scale(mean, error, wanted));
        if (!(z > 6))
            fail_msg("%s (case %zu): the farthest entry lies only %g standard errors from a multiple of the gradient", all[i].name, i, z);
    }
}

static void policy_gradients__repeat_to_the_bit(void **state) {
    agon_ctx *ctx = *state;
    const estimator e = {"reinforce++", SET("beta=0.5"), 64, 20, false, true, false, false, NORMALISED, 0.5, 1};
    const world w = world_new();
    double mean[2][PARAMETERS], error[2][PARAMETERS];
    for (size_t k = 0; k < 2; k++)
        sample(ctx, &w, &e, mean[k], error[k]);
    assert_memory_equal(mean[0], mean[1], sizeof mean[0]);
    assert_memory_equal(error[0], error[1], sizeof error[0]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policy_gradients__match_their_expectation),
        cmocka_unit_test(policy_gradients__that_are_biased_miss_it),
        cmocka_unit_test(policy_gradients__repeat_to_the_bit),
    };
    return cmocka_run_group_tests(tests, test_ctx_open, test_ctx_close);
}
