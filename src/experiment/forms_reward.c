/* The experiment critique-forms: reward models that read a critique after the answer (Ye et al. 2024, 2405.20850) beside one that does not.
 *
 *   none      the answer alone
 *   own       the base model's own sentence about what is wrong
 *   verifier  the verifier's critique without the right answer. It gives the verdict away: the upper bound
 *   noisy     the same of a critic who in a fifth of all cases speaks of another answer
 *   swapped   the model of `verifier`, at the test with the critiques of other answers: what it takes from the words
 *
 * Trained on the same drafts (right or wrong, rm-pointwise), asked about the base's answers to the test queries. */
#include "base/ctx.h"
#include "base/random.h"
#include "experiment/critique_forms.h"
#include "role/prompt.h"
#include "train/row_spans.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef enum reward_arm { REWARD_NONE, REWARD_OWN, REWARD_VERIFIER, REWARD_NOISY, REWARD_SWAPPED } reward_arm;
static const char *const names[N_REWARD_ARMS] = {"none", "own", "verifier", "noisy", "swapped"};
enum { OWN_TOKENS = 32 };
static const double NOISE = 0.2;

const char *forms_reward_name(size_t arm) {
    return names[arm];
}

/* Answers to be rewarded, with the model's own words about each. */
typedef struct judged {
    const forms_query *queries;
    const forms_answer *answers;
    forms_answer *own;
    size_t n;
    uint64_t seed; /* of whose critique a noisy critic gives */
} judged;

static agon_status ask_own(forms *x, const char *key, judged *j) {
    const char **messages = arena_take(x->round, j->n + 1, sizeof *messages);
    const forms_query **which = arena_take(x->round, j->n + 1, sizeof *which);
    j->own = arena_take(x->round, j->n + 1, sizeof *j->own);
    agon_status s = messages && which && j->own ? AGON_OK : ctx_no_memory(x->l->ctx);
    for (size_t i = 0; i < j->n && !s; i++) {
        const prompt_field fields[] = {{"query", j->queries[i].task.text}, {"answer", j->answers[i].text}};
        char *message = NULL;
        which[i] = &j->queries[i];
        s = prompt_render(x->l->ctx, prompt_find("critic-text"), fields, 2, 0, &message);
        if (!s && !(messages[i] = arena_copy(x->round, message)))
            s = ctx_no_memory(x->l->ctx);
        free(message);
    }
    return s ? s : forms_ask(x, x->round, key, NULL, which, messages, j->n, 0, x->l->seed, OWN_TOKENS, false, j->own);
}

static const char *critique_of(const judged *j, reward_arm arm, size_t i) {
    rng r = rng_new(seed_derivef(j->seed, "noise %zu", i));
    bool wrong = rng_uniform(&r) < NOISE;
    size_t other = j->n > 1 ? (i + 1 + rng_below(&r, j->n - 1)) % j->n : i;
    return arm == REWARD_NONE                  ? NULL
           : arm == REWARD_OWN                 ? j->own[i].text
           : arm == REWARD_NOISY && wrong      ? j->answers[other].masked
           : arm == REWARD_SWAPPED             ? j->answers[other].masked
                                               : j->answers[i].masked;
}

/* The answer, and the critique where there is one, as tokens that end as a turn does. */
static agon_status encode(forms *x, const judged *j, reward_arm arm, size_t i, train_response *out) {
    const char *critique = critique_of(j, arm, i);
    char *text = critique ? critique_join(j->answers[i].text, critique, NULL) : strdup(j->answers[i].text);
    int32_t end = tokenizer_end_of_turn(model_tokenizer(x->m));
    const int32_t *tokens = NULL;
    size_t n = 0;
    agon_status s = text ? forms_turn(x, x->round, text, end >= 0 ? end : 0, &tokens, &n) : ctx_no_memory(x->l->ctx);
    if (!s)
        *out = (train_response){.tokens = tokens, .n = n, .reward = NAN, .advantage = NAN, .label = j->answers[i].pass, .weight = 1};
    free(text);
    return s;
}

static agon_status rows_of(forms *x, const judged *j, reward_arm arm, train_row **out) {
    train_row *rows = arena_take(x->round, j->n + 1, sizeof *rows);
    train_response *responses = arena_take(x->round, j->n + 1, sizeof *responses);
    agon_status s = rows && responses ? AGON_OK : ctx_no_memory(x->l->ctx);
    for (size_t i = 0; i < j->n && !s; i++) {
        s = encode(x, j, arm, i, &responses[i]);
        rows[i] = (train_row){.prompt = j->queries[i].prompt, .n_prompt = j->queries[i].n_prompt, .responses = &responses[i],
                              .n_responses = 1, .weight = 1};
    }
    *out = rows;
    return s;
}

static agon_status on_step(void *arg, const train_progress *p) {
    (void)p;
    return ctx_check_interrupt(arg);
}

static agon_status learn(forms *x, const train_row *rows, size_t n, uint64_t seed, adapter **out) {
    train_options o = train_options_default();
    const adapter_options shape = {.rank = x->rank, .alpha = 2 * (float)x->rank, .seed = seed};
    const train_sink sink = {.on_step = on_step, .arg = x->l->ctx};
    o.objective = objective_find("rm-pointwise");
    objective_defaults(o.objective, o.objective_options);
    o.batch_rows = x->batch;
    o.epochs = x->reward_epochs;
    o.lr = (float)x->reward_lr;
    o.seed = seed;
    agon_status s = adapter_new(x->l->ctx, x->m, &shape, out);
    if (!s)
        s = train_add_head(x->l->ctx, x->m, *out, o.objective, o.objective_options, seed);
    return s ? s : train(x->l->ctx, x->m, *out, NULL, NULL, rows, n, &o, &sink, NULL);
}

/* The head after the last token of each row. */
static agon_status ask_head(forms *x, const adapter *a, const train_row *rows, size_t n, double *out) {
    agon_ctx *ctx = x->l->ctx;
    size_t width = model_get_config(x->m)->d_model;
    workspace *work = NULL;
    agon_status s = workspace_new(ctx, 0, &work);
    for (size_t i = 0; i < n && !s; i++) {
        const train_response *r = rows[i].responses;
        size_t n_tokens = rows[i].n_prompt + r->n;
        float *hidden = memory_new(size_mul(n_tokens, width), sizeof *hidden);
        const segment segments[2] = {{.tokens = rows[i].prompt, .n_tokens = rows[i].n_prompt, .parent = -1, .adapter = a},
                                     {.tokens = r->tokens, .n_tokens = r->n, .parent = 0, .adapter = a, .wants = WANT_HIDDEN}};
        const token_channels channels = {.hidden = hidden};
        s = hidden ? model_forward(ctx, x->m, work, &(segment_batch){segments, 2}, &channels) : ctx_no_memory(x->l->ctx);
        if (!s)
            scalar_head_forward(adapter_head(a, HEAD_REWARD), hidden + (n_tokens - 1) * width, 1, &out[i]);
        free(hidden);
        s = s ? s : ctx_check_interrupt(ctx);
    }
    workspace_free(work);
    return s;
}

/* The model of one kind of critique; `verifier` is asked with the critiques of others too. */
static agon_status run_arm(forms *x, size_t seed, reward_arm arm, const judged *train_on, const judged *test, double *rewards) {
    char key[160];
    bool found = false;
    size_t n = arm == REWARD_VERIFIER ? 2 * test->n : test->n;
    double *out = memory_new(n + 1, sizeof *out);
    train_row *rows = NULL, *asked = NULL;
    adapter *a = NULL;
    snprintf(key, sizeof key, "%s|reward %zu %s", x->base, seed, names[arm]);
    agon_status s = out ? lab_recall(x->l, x->l->ctx, key, out, n, &found) : ctx_no_memory(x->l->ctx);
    if (!s && !found) {
        s = rows_of(x, train_on, arm, &rows);
        if (!s)
            s = learn(x, rows, train_on->n, lab_seed(x->l, 0, "reward %zu", seed), &a);
        for (size_t at = 0; at < n && !s; at += test->n) {
            s = rows_of(x, test, at ? REWARD_SWAPPED : arm, &asked);
            if (!s)
                s = ask_head(x, a, asked, test->n, out + at);
        }
        if (!s)
            s = lab_keep(x->l, x->l->ctx, key, out, n);
        if (!s)
            lab_say_seed(x->l, seed, "reward model with critiques: %s", names[arm]);
    }
    if (!s) {
        memcpy(rewards + arm * test->n, out, test->n * sizeof *out);
        if (arm == REWARD_VERIFIER)
            memcpy(rewards + REWARD_SWAPPED * test->n, out + test->n, test->n * sizeof *out);
    }
    adapter_free(a);
    free(out);
    return s;
}

agon_status forms_reward(forms *x, size_t seed, double *rewards) {
    char key[64];
    judged train_on = {x->queries, x->drafts, NULL, x->n_reward < x->n_queries ? x->n_reward : x->n_queries,
                       lab_seed(x->l, 0, "critic %zu", seed)};
    judged test = {x->test, x->base_answers, NULL, x->n_test, lab_seed(x->l, 0, "critic at the test %zu", seed)};
    snprintf(key, sizeof key, "own %zu", seed);
    agon_status s = ask_own(x, key, &train_on);
    if (!s)
        s = ask_own(x, "own test", &test);
    for (int arm = 0; arm < REWARD_SWAPPED && !s; arm++)
        s = run_arm(x, seed, (reward_arm)arm, &train_on, &test, rewards);
    return s;
}
