/* Training learner and critic, see school.h. */
#include "recipe/school.h"
#include "base/ctx.h"
#include "role/critic.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static agon_status critic_example(cast *c, const query_list *queries, const answer *x, example *e) {
    char *prompt = NULL;
    const critic_item item = {.query = queries->items[x->query].text, .answer = x->text, .first_prompts = c->actors.first_prompts};
    agon_status s = critic_likelihood_prompt(c->actors.ctx, &item, &prompt);
    *e = (example){.objective = "critique",
                   .origin = "new",
                   .prompt = prompt ? arena_copy(c->memory, prompt) : NULL,
                   .chosen = x->outcome == OUTCOME_PASS ? CRITIC_YES : CRITIC_NO,
                   .raw = true,
                   .labels = {x->label},
                   .n_labels = 1,
                   .texts = {queries->items[x->query].id, x->id},
                   .n_texts = 2,
                   .n_tokens = 2};
    free(prompt);
    return s || e->prompt ? s : ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for the critic");
}

/* Repeats the rarer verdict until both weigh alike, else the critic learns which verdict is frequent and little more; how frequent it is, calibration
 * knows. examples has room for 2 n; the new n. */
static size_t balance_verdicts(example *examples, size_t n) {
    size_t n_yes = 0, more = n;
    for (size_t i = 0; i < n; i++)
        n_yes += strcmp(examples[i].chosen, CRITIC_YES) == 0;
    bool yes = n_yes < n - n_yes;
    size_t rare = yes ? n_yes : n - n_yes, frequent = n - rare;
    for (size_t i = 0; rare > 0 && more - n < frequent - rare; i = (i + 1) % n)
        if ((strcmp(examples[i].chosen, CRITIC_YES) == 0) == yes)
            examples[more++] = examples[i];
    return more;
}

static train_plan plan_of(const run_config *config, const char *role, const char *parent) {
    return (train_plan){.role = role,
                        .parent = parent,
                        .objective = "sft",
                        .rank = (size_t)config->train.rank,
                        .targets = config->train.targets,
                        .batch = (size_t)config->train.batch,
                        .checkpoint_every = (size_t)config->train.checkpoint_every,
                        .alpha = config->train.lora_alpha,
                        .warmup = config->train.warmup};
}

agon_status school_train(cast *c, const char *name, const char *parent, const query_list *queries,
                         const answer_list *answers, const size_t *which, size_t n, char version[STORE_ID_SIZE]) {
    train_plan plan = plan_of(c->config, "critic", parent);
    example *examples = memory_new(2 * n + 1, sizeof *examples);
    agon_status s = examples ? AGON_OK : ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for the critic");
    plan.epochs = (size_t)c->config->critic.epochs;
    plan.lr = c->config->critic.lr;
    for (size_t i = 0; i < n && !s; i++)
        s = critic_example(c, queries, &answers->items[which[i]], &examples[i]);
    if (!s)
        s = build_examples(&c->actors, cast_path(c, "%s/build", name), examples, n);
    if (!s && n == 0)
        snprintf(version, STORE_ID_SIZE, "%s", parent);
    else if (!s)
        s = train_version(&c->actors, cast_path(c, "%s/train", name), examples, balance_verdicts(examples, n), &plan, version);
    free(examples);
    return s;
}

agon_status school_calibrate(cast *c, const char *path, const char *version, const query_list *queries, const answer_list *answers,
                             const size_t *which, size_t n, size_t n_critics, trust_table *out) {
    bool *truth = memory_new(n + 1, sizeof *truth);
    const char **labels = memory_new(n + 1, sizeof *labels);
    const trust_options o = {c->config->critic.alpha, c->config->critic.delta / (double)n_critics, (size_t)c->config->critic.least_calibration,
                             c->rules < 25 || c->config->critic.alpha >= 0.5 /* what is wrong more often than not is asked for */};
    agon_status s = truth && labels ? AGON_OK : ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for the critic");
    for (size_t i = 0; i < n && !s; i++) {
        truth[i] = answers->items[which[i]].outcome == OUTCOME_PASS;
        labels[i] = answers->items[which[i]].label;
    }
    if (!s)
        s = trust_calibrate(&c->actors, path, version, queries, answers, which, truth, labels, n, &o, out);
    free(truth);
    free(labels);
    return s;
}

agon_status school_test(cast *c, const char *name, const char *version, const query_list *queries, answer_list *answers,
                        const size_t *which, size_t n, trust_table *out) {
    agon_status s = judge_answers(&c->actors, cast_path(c, "%s/judge", name), queries, answers, which, n, version);
    return s ? s : school_calibrate(c, cast_path(c, "%s/calibrate", name), version, queries, answers, which, n, 1, out);
}

const char *school_figure(double x, char word[FIGURE_SIZE]) {
    snprintf(word, FIGURE_SIZE, isnan(x) ? "undefined" : "%.2f", x);
    return word;
}

train_plan school_learner_plan(const cast *c, const char *parent) {
    train_plan plan = plan_of(c->config, "learner", parent);
    plan.objective = c->config->train.objective;
    plan.settings = c->config->train.set.items;
    plan.n_settings = c->config->train.set.n;
    plan.epochs = (size_t)c->config->train.epochs;
    plan.lr = c->config->train.lr;
    plan.small_loss = c->config->train.small_loss;
    plan.small_loss_ramp = c->config->train.small_loss_ramp;
    return plan;
}
