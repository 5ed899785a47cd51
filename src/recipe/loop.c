/* The loop with an open oracle (Fig. 1 of the paper; loop specification section 1).
 *
 *   attack     draws queries where the learner fails but can learn; a language model rewords some
 *   respond    K answers a query, judged by the verifier
 *   criticise  words from the verifier's evidence; the model critic learns from verdicts and is calibrated
 *   refine     failed queries answered again with the critique
 *   decide     answers nobody could verify: the critic alone where it earned trust, else a human, else dropped
 *   ask        the human: audits of automatic labels, demonstrations where nothing passed
 *   build      examples: real data keeps its share, nothing twice, nothing held out
 *   train      a LoRA version on top of the incumbent
 *   evaluate   candidate, incumbent and base on the same fresh tasks and the general suite
 *   gate       promoted only if the evidence says so
 *
 * Everything kept in memory is rebuilt from the journal by a replay. */
#include "base/ctx.h"
#include "base/random.h"
#include "eval/curriculum.h"
#include "recipe/choose.h"
#include "recipe/recipe_private.h"
#include "recipe/school.h"
#include "role/critic.h"
#include "role/learner.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct loop {
    cast *c;
    const run_config *config;
    size_t *cells, n_cells;
    aim aim;
    query_list queries, held_out;
    answer_list answers, held_out_answers;
    size_t n_file, n_file_held_out;   /* the user's own, first in queries and in held_out; the same in every iteration */
    size_t first_query, first_answer; /* of this iteration */
    int64_t inbox;                    /* the last review collected */
    example_list examples, earlier;
    choice choice;
    size_t n_written; /* of the examples: the expert's own answers, and their share of the loss tokens */
    double written_share;
    trust_table trust;
    char learner[STORE_ID_SIZE], critic[STORE_ID_SIZE], candidate[STORE_ID_SIZE];
    suite_results incumbent_suites;
    size_t attempt, rejections;
    int64_t labels_used, asked, audits, audits_agreed, demonstrations, resolved; /* asked: questions put in the queue, answered or not */
    json_t *learnability, *critic_reports, *gate, *held_out_json, *families; /* of the last iteration */
    bool promoted;
} loop;

/* Indices of something, filled up to a capacity fixed when made. */
typedef struct picked {
    size_t *items, n;
} picked;

static agon_status picked_new(loop *l, size_t capacity, picked *out) {
    *out = (picked){memory_new(capacity + 1, sizeof *out->items), 0};
    return out->items ? AGON_OK : ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for %zu items", capacity);
}

static bool simulated(const loop *l) {
    return strcmp(l->config->human.backend, "simulated") == 0;
}

/* What the expert's budget still allows of `wanted`. In a queue every open question may yet be answered, so it counts. */
static size_t within_budget(const loop *l, int64_t wanted) {
    int64_t left = l->config->human.labels - (simulated(l) ? l->labels_used : l->asked);
    left = left > 0 ? left : 0;
    return (size_t)(wanted < left ? (wanted > 0 ? wanted : 0) : left);
}

/* ---- attack, respond ----------------------------------------------------------------------------------- */

static agon_status ask_learner(loop *l, const char *path, size_t from_query, size_t n) {
    cast *c = l->c;
    size_t from = l->answers.n;
    ask *asks = memory_new(n + 1, sizeof *asks);
    if (!asks)
        return ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory to ask");
    for (size_t i = 0; i < n; i++) {
        const query *q = &l->queries.items[from_query + i];
        asks[i] = (ask){from_query + i, SIZE_MAX, q->text, q->id};
    }
    const ask_options o = {.version = l->learner,
                           .kind = "response",
                           .template_id = learner_answer_template(),
                           .samples = (size_t)l->config->learner.samples,
                           .max_tokens = (size_t)l->config->learner.max_tokens,
                           .temperature = l->config->learner.temperature,
                           .top_p = l->config->learner.top_p};
    agon_status s = respond(&c->actors, cast_path(c, "%s/respond", path), &l->queries, asks, n, &o, &l->answers);
    free(asks);
    if (!s)
        s = verify_answers(&c->actors, cast_path(c, "%s/verify", path), &l->queries, &l->answers, from);
    if (!s)
        aim_count(&l->aim, &l->queries, &l->answers, from);
    return s;
}

/* A few of the wave's queries, spread evenly, are reworded by the attacker's language model. */
static agon_status reword(loop *l, const char *path, size_t from, size_t wanted) {
    picked which;
    size_t n = l->queries.n - from, n_rejected = 0;
    agon_status s = picked_new(l, wanted, &which);
    for (size_t k = 0; k < wanted && n > 0 && !s; k++)
        which.items[which.n++] = from + k * n / wanted;
    if (!s)
        s = vary_queries(&l->c->actors, cast_path(l->c, "%s/vary", path), &l->queries, which.items, which.n,
                         l->c->actors.base, &n_rejected);
    if (!s && which.n)
        cast_say(l->c, json_pack("{sI sI}", "kept", (json_int_t)(which.n - n_rejected), "rejected", (json_int_t)n_rejected),
                 "attacker reworded %zu queries, %zu kept: the rest changed the task", which.n, which.n - n_rejected);
    free(which.items);
    return s;
}

static void say_wave(loop *l, size_t wave, size_t from_query, size_t from_answer) {
    size_t failed = 0, n = l->answers.n - from_answer;
    const answer *shown = NULL;
    for (size_t i = from_answer; i < l->answers.n; i++) {
        failed += l->answers.items[i].outcome == OUTCOME_FAIL;
        if (l->answers.items[i].outcome == OUTCOME_FAIL && *l->answers.items[i].text)
            shown = &l->answers.items[i];
    }
    json_t *attack = shown ? json_pack("{ss ss ss}", "query", l->queries.items[shown->query].text, "answer", shown->text,
                                       "critique", shown->evidence)
                           : NULL;
    cast_say(l->c, json_pack("{so?}", "attack", attack), "wave %zu: %zu queries, %zu answers, attack success %.0f%%", wave,
             l->queries.n - from_query, n, n ? 100.0 * (double)failed / (double)n : 0);
}

static agon_status attack_wave(loop *l, size_t wave, size_t n) {
    cast *c = l->c;
    draw *draws = NULL;
    size_t n_draws = 0, from = l->queries.n, from_answer = l->answers.n;
    const char *path = arena_printf(c->memory, "attack/%zu", wave);
    agon_status s = aim_wave(c, &l->aim, wave, n, wave > 1 || c->actors.iteration > 1, &draws, &n_draws);
    if (!s)
        s = draw_queries(&c->actors, cast_path(c, "%s/draw", path), draws, n_draws, &l->queries);
    if (!s)
        s = reword(l, path, from, (size_t)(l->config->attacker.variations / l->config->attacker.waves));
    if (!s)
        s = ask_learner(l, path, from, l->queries.n - from);
    if (!s)
        say_wave(l, wave, from, from_answer);
    free(draws);
    return s;
}

/* The user's own queries: four of five are asked, the fifth is held out (by a hash of its text). */
static agon_status read_file(loop *l) {
    cast *c = l->c;
    query_list all = {.memory = c->memory};
    if (!l->config->tasks.file || c->actors.iteration > 1)
        return AGON_OK;
    agon_status s = read_user_queries(&c->actors, cast_path(c, "file"), l->config->tasks.file, &all);
    for (size_t i = 0; i < all.n && !s; i++) {
        bool held_out = seed_derive(0, all.items[i].text) % 5 == 0;
        query *q = query_list_add(held_out ? &l->held_out : &l->queries);
        if (!q) {
            s = ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for the user's queries");
            break;
        }
        *q = all.items[i];
        json_incref(q->task);
        task_query t = {0};
        s = held_out ? query_task(&c->actors, q, &t) : AGON_OK;
        if (!s && held_out)
            s = contamination_add_query(c->actors.ctx, l->aim.held_out, &t);
        task_query_free(&t);
    }
    query_list_free(&all);
    l->n_file = l->queries.n;
    l->n_file_held_out = l->held_out.n;
    return s;
}

/* The repository's own gold examples: data the lineage never produced. Once, with the first iteration. */
static agon_status gold(loop *l) {
    cast *c = l->c;
    draw *draws = NULL;
    size_t n = 0, from = l->queries.n, *which = NULL;
    const expert_options o = {.purpose = "demonstration", .propensity = 1, .gold = true};
    if (l->config->build.gold == 0 || c->actors.iteration > 1)
        return AGON_OK;
    agon_status s = aim_gold(c, &l->aim, (size_t)l->config->build.gold, &draws, &n);
    if (!s)
        s = draw_queries(&c->actors, cast_path(c, "gold/draw"), draws, n, &l->queries);
    if (!s && !(which = memory_new(n + 1, sizeof *which)))
        s = ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for gold examples");
    for (size_t i = 0; i < n && !s; i++)
        which[i] = from + i;
    if (!s)
        s = expert_demonstrates(&c->actors, cast_path(c, "gold/demonstrate"), &l->queries, which, n, &o, &l->answers);
    free(which);
    free(draws);
    return s;
}

static agon_status attack(loop *l) {
    const run_config *config = l->config;
    agon_status s = cast_stage(l->c, "attack");
    l->first_query = l->c->actors.iteration == 1 ? 0 : l->queries.n;
    l->first_answer = l->answers.n;
    if (!s && l->n_file > 0) /* the user's own are asked again of every version */
        s = ask_learner(l, "attack/file", 0, l->n_file);
    if (!s)
        s = gold(l);
    size_t waves = (size_t)config->attacker.waves, n = (size_t)config->attacker.queries;
    for (size_t w = 1; w <= waves && l->n_cells && !s; w++)
        s = attack_wave(l, w, n * w / waves - n * (w - 1) / waves);
    if (!s)
        cast_say(l->c, NULL, "rejected before asking: %zu duplicates, %zu held out, %zu ill-posed", l->aim.rejected.duplicate,
                 l->aim.rejected.held_out, l->aim.rejected.ill_posed);
    return s;
}

/* ---- critiques, refinement ------------------------------------------------------------------------------- */

/* The first failed, non-empty answer of every query that nothing passed, in an order drawn by seed. */
static agon_status failures(loop *l, size_t most, picked *out) {
    agon_status s = picked_new(l, l->answers.n, out);
    bool *passed = memory_new(l->queries.n + 1, sizeof *passed), *listed = memory_new(l->queries.n + 1, sizeof *listed);
    if (!s && (!passed || !listed))
        s = ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for failures");
    for (size_t i = l->first_answer; i < l->answers.n && !s; i++)
        if (l->answers.items[i].outcome == OUTCOME_PASS)
            passed[l->answers.items[i].query] = true;
    for (size_t i = l->first_answer; i < l->answers.n && !s; i++) {
        const answer *x = &l->answers.items[i];
        if (x->outcome != OUTCOME_FAIL || !*x->text || !x->evidence || passed[x->query] || listed[x->query])
            continue;
        listed[x->query] = true;
        out->items[out->n++] = i;
    }
    free(passed);
    free(listed);
    if (s)
        return s;
    rng r = rng_new(seed_derivef((uint64_t)l->config->seed, "refine|%lld", (long long)l->c->actors.iteration));
    rng_shuffle(&r, out->items, out->n);
    out->n = out->n < most ? out->n : most;
    return AGON_OK;
}

enum { FORM_PLACEBO = 2, FORM_RETRY = 3 };

/* The message that asks for a better answer: with the critique in a form, with another item's, or with none. */
static agon_status refine_message(loop *l, const picked *drafts, size_t i, int form, const char **out) {
    const answer *x = &l->answers.items[drafts->items[i]];
    const answer *about = form == FORM_PLACEBO ? &l->answers.items[drafts->items[(i + 1) % drafts->n]] : x;
    char *words = NULL, *message = NULL;
    agon_status s = form == FORM_RETRY ? AGON_OK
                                       : critique_words(&l->c->actors, about,
                                                        form == FORM_PLACEBO ? CRITIQUE_MASKED : form, &words);
    if (!s)
        s = learner_refine_prompt(l->c->actors.ctx, l->queries.items[x->query].text, words, &message);
    if (!s && !(*out = arena_copy(l->c->memory, message)))
        s = ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for a prompt");
    free(words);
    free(message);
    return s;
}

/* Asks for refinements of the drafts, `samples` each, and verifies them; they are appended to the answers. */
static agon_status refine_drafts(loop *l, const char *name, const picked *drafts, int form, size_t samples,
                                 double temperature) {
    cast *c = l->c;
    ask *asks = memory_new(drafts->n + 1, sizeof *asks);
    size_t from = l->answers.n;
    agon_status s = asks ? AGON_OK : ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory to refine");
    for (size_t i = 0; i < drafts->n && !s; i++) {
        const answer *x = &l->answers.items[drafts->items[i]];
        const char *critique = form == FORM_PLACEBO || form == FORM_RETRY ? "" : x->critique[form];
        asks[i] = (ask){x->query, drafts->items[i], NULL, *critique ? critique : x->id};
        s = refine_message(l, drafts, i, form, &asks[i].prompt);
    }
    const ask_options o = {.version = l->learner,
                           .kind = "refinement",
                           .template_id = learner_refine_template(form != FORM_RETRY),
                           .samples = samples,
                           .max_tokens = (size_t)l->config->learner.max_tokens,
                           .temperature = temperature,
                           .top_p = temperature > 0 ? l->config->learner.top_p : 1};
    if (!s)
        s = respond(&c->actors, cast_path(c, "%s/respond", name), &l->queries, asks, drafts->n, &o, &l->answers);
    if (!s)
        s = verify_answers(&c->actors, cast_path(c, "%s/verify", name), &l->queries, &l->answers, from);
    free(asks);
    return s;
}

static agon_status measure_uplift(loop *l, const double *score[4], size_t n, json_t **out) {
    static const char *const names[] = {"full", "masked"};
    double *before = memory_new(n + 1, sizeof *before); /* every draft failed */
    json_t *report = json_pack("{sI}", "n", (json_int_t)n);
    agon_status s = before && report ? AGON_OK : ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for learnability");
    double retry = 0;
    for (size_t i = 0; i < n; i++)
        retry += score[FORM_RETRY][i] / (double)n;
    for (int form = 0; form < 2 && !s; form++) {
        critic_uplift u;
        s = critic_uplift_measure(l->c->actors.ctx, before, score[form], score[FORM_PLACEBO], n, 2000,
                                  (uint64_t)l->config->seed, 0.05, &u);
        if (!s)
            json_object_set_new(report, names[form],
                                json_pack("{sf sf sf s[ff]}", "uplift", u.uplift, "over_placebo", u.net, "over_retry",
                                          u.uplift - retry, "ci95", u.net_range.low, u.net_range.high));
    }
    free(before);
    if (s)
        json_decref(report);
    else
        *out = report;
    return s;
}

/* How much does a critique help, in each form, beyond a critique of something else and beyond simply trying again? */
static agon_status learnability(loop *l, const picked *failed) {
    static const char *const names[] = {"learnability/full", "learnability/masked", "learnability/placebo",
                                        "learnability/retry"};
    picked some = {failed->items, failed->n < (size_t)l->config->refine.learnability ? failed->n
                                                                                      : (size_t)l->config->refine.learnability};
    const double *score[4] = {0};
    agon_status s = AGON_OK;
    if (some.n < 2)
        return AGON_OK;
    for (int form = 0; form < 4 && !s; form++) {
        size_t from = l->answers.n;
        double *right = arena_take(l->c->memory, some.n, sizeof *right);
        s = right ? refine_drafts(l, names[form], &some, form, 1, 0)
                  : ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for learnability");
        for (size_t i = 0; i < some.n && !s; i++)
            right[i] = l->answers.items[from + i].outcome == OUTCOME_PASS;
        score[form] = right;
    }
    json_decref(l->learnability);
    l->learnability = NULL;
    if (!s)
        s = measure_uplift(l, score, some.n, &l->learnability);
    if (!s)
        cast_say(l->c, json_pack("{sO}", "learnability", l->learnability),
                 "critiques on %zu failures: full %+.0f points over placebo, masked %+.0f", some.n,
                 100 * field_real(json_object_get(l->learnability, "full"), "over_placebo"),
                 100 * field_real(json_object_get(l->learnability, "masked"), "over_placebo"));
    return s;
}

static agon_status refine(loop *l) {
    picked failed = {0};
    size_t n_passed = 0, from;
    int form = strcmp(l->config->refine.form, "full") == 0 ? CRITIQUE_FULL : CRITIQUE_MASKED;
    agon_status s = cast_stage(l->c, "refine");
    size_t queries = (size_t)l->config->refine.queries, learn = (size_t)l->config->refine.learnability;
    if (!s)
        s = failures(l, queries > learn ? queries : learn, &failed);
    if (!s)
        s = critique_answers(&l->c->actors, cast_path(l->c, "critique"), &l->answers, failed.items, failed.n);
    if (!s)
        s = learnability(l, &failed);
    from = l->answers.n;
    failed.n = failed.n < queries ? failed.n : queries;
    if (!s)
        s = refine_drafts(l, "refine", &failed, form, (size_t)l->config->refine.samples, l->config->learner.temperature);
    for (size_t i = from; i < l->answers.n && !s; i++)
        n_passed += l->answers.items[i].outcome == OUTCOME_PASS;
    if (!s)
        cast_say(l->c, NULL, "refined %zu failures with %s critiques: %zu of %zu answers now pass", failed.n,
                 l->config->refine.form, n_passed, l->answers.n - from);
    free(failed.items);
    return s;
}

/* ---- the model critic -------------------------------------------------------------------------------------- */

enum { CRITIC_MAX_TOKENS = 512 }; /* of an answer: with its query it must fit a training row */

/* Verified answers of this iteration, at most one a query and as many right as wrong: the first half to train on, the rest to calibrate. Halves
 * share no query. */
static agon_status critic_material(loop *l, size_t most, picked *train, picked *test) {
    picked order;
    size_t n_side[2][2] = {{0}};
    bool *used = memory_new(l->queries.n + 1, sizeof *used);
    agon_status s = picked_new(l, l->answers.n, &order);
    if (!s)
        s = picked_new(l, l->answers.n, train);
    if (!s)
        s = picked_new(l, l->answers.n, test);
    if (!s && !used)
        s = ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for the critic");
    for (size_t i = l->first_answer; i < l->answers.n && !s; i++)
        if (l->answers.items[i].outcome != OUTCOME_UNKNOWN && strcmp(l->answers.items[i].kind, "response") == 0 &&
            *l->answers.items[i].text)
            order.items[order.n++] = i;
    rng r = rng_new(seed_derivef((uint64_t)l->config->seed, "critic|%lld", (long long)l->c->actors.iteration));
    if (!s)
        rng_shuffle(&r, order.items, order.n);
    for (size_t k = 0; k < order.n && !s; k++) {
        const answer *x = &l->answers.items[order.items[k]];
        size_t side = seed_derive(2, l->queries.items[x->query].identity) & 1, right = x->outcome == OUTCOME_PASS;
        size_t limit = side ? most / 4 : most / 2; /* the test side is half as large, each verdict half of it */
        int64_t n_tokens = 0;
        if (used[x->query] || n_side[side][right] >= limit)
            continue;
        s = example_count_tokens(&l->c->actors, x->text, &n_tokens);
        if (s || n_tokens > CRITIC_MAX_TOKENS)
            continue;
        used[x->query] = true;
        n_side[side][right]++;
        picked *to = side ? test : train;
        to->items[to->n++] = order.items[k];
    }
    free(order.items);
    free(used);
    return s;
}

/* before: NULL where nothing was trained. */
static void report_critic(loop *l, const trust_table *before) {
    json_t *report = json_pack("{sI sI so so so so}", "iteration", (json_int_t)l->c->actors.iteration, "n",
                               (json_int_t)l->trust.n, "auroc_before", real_or_null(before ? before->auroc : NAN), "auroc",
                               real_or_null(l->trust.auroc), "ece", real_or_null(l->trust.ece), "families",
                               trust_json(&l->trust));
    json_array_append(l->critic_reports, report);
    json_t *data = json_pack("{so}", "critic", report);
    char was[24] = "undefined", is[24] = "undefined";
    if (before && !isnan(before->auroc))
        snprintf(was, sizeof was, "%.2f", before->auroc);
    if (!isnan(l->trust.auroc))
        snprintf(is, sizeof is, "%.2f", l->trust.auroc);
    if (before)
        cast_say(l->c, data, "critic: AUROC %s before training, %s after; ECE %.2f (n %zu)", was, is, l->trust.ece, l->trust.n);
    else
        cast_say(l->c, data, "critic: AUROC %s as it is, ECE %.2f (n %zu)", is, l->trust.ece, l->trust.n);
}

/* A critic that is played elsewhere cannot be trained here, but it can earn trust as it is. */
static agon_status examine(loop *l, const picked *test) {
    trust_free(&l->trust);
    agon_status s = school_test(l->c, "critic/examine", l->critic, &l->queries, &l->answers, test->items, test->n, &l->trust);
    if (!s)
        report_critic(l, NULL);
    return s;
}

static agon_status criticise(loop *l) {
    picked train = {0}, test = {0};
    trust_table before = {0};
    char version[STORE_ID_SIZE];
    bool local = strcmp(l->config->critic.by.backend, "local") == 0;
    if (l->config->critic.examples == 0)
        return AGON_OK;
    agon_status s = cast_stage(l->c, "critique");
    if (!s)
        s = critic_material(l, (size_t)l->config->critic.examples, &train, &test);
    if (!s && !local && test.n > 0)
        s = examine(l, &test);
    if (!s && local && train.n > 0 && test.n > 0) {
        s = school_test(l->c, "critic/before", l->critic, &l->queries, &l->answers, test.items, test.n, &before);
        if (!s)
            s = school_train(l->c, "critic", l->critic, &l->queries, &l->answers, train.items, train.n, version);
        trust_free(&l->trust);
        if (!s)
            s = school_test(l->c, "critic/after", version, &l->queries, &l->answers, test.items, test.n, &l->trust);
        if (!s) {
            memcpy(l->critic, version, sizeof version);
            report_critic(l, &before);
        }
    }
    trust_free(&before);
    free(train.items);
    free(test.items);
    return s;
}

/* ---- deciding what nobody could verify --------------------------------------------------------------------- */

/* To a human, with the model critic's words beside the answer; the audits keep their part of the budget. */
static agon_status escalate(loop *l, const picked *open) {
    cast *c = l->c;
    size_t left = within_budget(l, INT64_MAX), audits = within_budget(l, l->config->human.audits),
           n = open->n < left - audits ? open->n : left - audits;
    const expert_options o = {.purpose = "train", .error_rate = l->config->human.error_rate, .propensity = 1};
    if (n == 0)
        return AGON_OK;
    if (!simulated(l)) {
        l->asked += (int64_t)n;
        agon_status written = write_critiques(&c->actors, cast_path(c, "decide/criticise"), &l->queries, &l->answers,
                                              open->items, n, l->critic);
        return written ? written
                       : ask_reviewers(&c->actors, cast_path(c, "decide/ask"), &l->queries, &l->answers, open->items, n,
                                       "verdict", "train", 1);
    }
    task_outcome *verdicts = memory_new(n, sizeof *verdicts);
    agon_status s = verdicts ? expert_judges(&c->actors, cast_path(c, "decide/expert"), &l->queries, &l->answers,
                                             open->items, n, &o, verdicts, NULL)
                             : ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory to escalate");
    free(verdicts); /* the simulated expert knows what the verifier knows: of unverifiable answers nothing */
    return s;
}

static agon_status decide(loop *l) {
    cast *c = l->c;
    picked unknown = {0}, open = {0};
    size_t n_decided = 0;
    agon_status s = picked_new(l, l->answers.n, &unknown);
    if (!s)
        s = picked_new(l, l->answers.n, &open);
    for (size_t i = l->first_answer; i < l->answers.n && !s; i++)
        if (l->answers.items[i].outcome == OUTCOME_UNKNOWN && *l->answers.items[i].text)
            unknown.items[unknown.n++] = i;
    if (!s && unknown.n > 0) {
        s = cast_stage(c, "decide");
        if (!s)
            s = judge_answers(&c->actors, cast_path(c, "decide/judge"), &l->queries, &l->answers, unknown.items, unknown.n,
                              l->critic);
        if (!s)
            s = trust_decide(&c->actors, cast_path(c, "decide"), &l->trust, &l->queries, &l->answers, unknown.items,
                             unknown.n, &n_decided);
        for (size_t k = 0; k < unknown.n && !s; k++)
            if (!l->answers.items[unknown.items[k]].source)
                open.items[open.n++] = unknown.items[k];
        if (!s)
            s = escalate(l, &open);
        if (!s)
            cast_say(c, NULL, "%zu answers nobody can verify: the critic decided %zu, %zu wait for a human or are dropped",
                     unknown.n, n_decided, open.n);
    }
    free(unknown.items);
    free(open.items);
    return s;
}

/* ---- the human ----------------------------------------------------------------------------------------------- */

/* A random sample of automatically labelled answers, whatever their confidence: is the labelling right? */
static agon_status audit(loop *l) {
    cast *c = l->c;
    picked all;
    size_t n = within_budget(l, l->config->human.audits), agreed = 0, judged = 0;
    agon_status s = picked_new(l, l->answers.n, &all);
    for (size_t i = l->first_answer; i < l->answers.n && !s; i++)
        if (l->answers.items[i].source && strcmp(l->answers.items[i].kind, "demonstration") != 0)
            all.items[all.n++] = i;
    rng r = rng_new(seed_derivef((uint64_t)l->config->seed, "audit|%lld", (long long)c->actors.iteration));
    if (!s)
        rng_shuffle(&r, all.items, all.n);
    n = n < all.n ? n : all.n;
    const expert_options o = {.purpose = "audit",
                              .error_rate = l->config->human.error_rate,
                              .propensity = all.n ? (double)n / (double)all.n : 1};
    task_outcome *verdicts = memory_new(n + 1, sizeof *verdicts);
    if (!s && !verdicts)
        s = ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory to audit");
    if (!s && n > 0 && !simulated(l)) {
        l->asked += (int64_t)n;
        s = ask_reviewers(&c->actors, cast_path(c, "human/audit"), &l->queries, &l->answers, all.items, n, "audit", "audit",
                          o.propensity);
    }
    if (!s && n > 0 && simulated(l)) {
        s = expert_judges(&c->actors, cast_path(c, "human/audit"), &l->queries, &l->answers, all.items, n, &o, verdicts, NULL);
        for (size_t i = 0; i < n && !s; i++) { /* where the expert knows nothing, no label was given */
            judged += verdicts[i] != OUTCOME_UNKNOWN;
            agreed += verdicts[i] != OUTCOME_UNKNOWN && verdicts[i] == l->answers.items[all.items[i]].outcome;
        }
        l->labels_used += (int64_t)judged;
        l->audits += (int64_t)judged;
        l->audits_agreed += (int64_t)agreed;
        if (!s && judged > 0)
            cast_say(c, NULL, "audit of %zu automatic labels: %zu agree (95%% interval from %.0f%%)", judged, agreed,
                     100 * clopper_pearson(agreed, judged, 0.05).low);
    }
    free(verdicts);
    free(all.items);
    return s;
}

/* The user's own queries that nothing passed. */
static void unanswered_of_user(const loop *l, size_t most, bool *used, picked *out) {
    for (size_t q = 0; q < l->n_file && out->n < most; q++) {
        bool passed = used[q];
        for (size_t i = l->first_answer; i < l->answers.n && !passed; i++)
            passed = l->answers.items[i].query == q && l->answers.items[i].outcome == OUTCOME_PASS;
        if (passed)
            continue;
        used[q] = true;
        out->items[out->n++] = q;
    }
}

/* Queries for the expert to answer: the user's own, then one a cell in turn, each time in the cell where an answer is worth most, (share
 * failed) / (1 + demonstrations it has). */
static agon_status demonstration_queries(loop *l, size_t most, picked *out) {
    size_t *given = memory_new(l->n_cells + 1, sizeof *given);
    bool *used = memory_new(l->queries.n + 1, sizeof *used);
    agon_status s = picked_new(l, most, out);
    if (!s && (!given || !used))
        s = ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for demonstrations");
    for (size_t i = 0; i < l->answers.n && !s; i++)
        if (strcmp(l->answers.items[i].kind, "demonstration") == 0)
            used[l->answers.items[i].query] = true;
    if (!s)
        unanswered_of_user(l, most, used, out);
    while (out->n < most && !s) {
        size_t best = SIZE_MAX, chosen = SIZE_MAX;
        double worth = 0.05;
        for (size_t p = 0; p < l->n_cells; p++) {
            const cell_record *r = &l->aim.records[p];
            double w = (1 - curriculum_mean(aim_solved(r), aim_tried(r))) / (double)(1 + given[p]);
            if (w > worth) {
                worth = w;
                best = p;
            }
        }
        for (size_t i = l->first_query; best != SIZE_MAX && i < l->queries.n && chosen == SIZE_MAX; i++)
            if (!used[i] && !l->queries.items[i].varied && l->queries.items[i].cell == l->cells[best])
                chosen = i;
        if (best == SIZE_MAX)
            break;
        given[best] += chosen == SIZE_MAX ? 1000 : 1; /* a cell without queries left */
        if (chosen != SIZE_MAX) {
            used[chosen] = true;
            out->items[out->n++] = chosen;
        }
    }
    free(given);
    free(used);
    return s;
}

static agon_status demonstrate(loop *l) {
    cast *c = l->c;
    picked which = {0};
    const expert_options o = {.purpose = "demonstration", .propensity = 1};
    size_t from = l->answers.n;
    agon_status s = demonstration_queries(l, within_budget(l, l->config->human.demonstrations), &which);
    if (!s && which.n > 0 && !simulated(l)) {
        l->asked += (int64_t)which.n;
        s = ask_reviewers(&c->actors, cast_path(c, "human/demonstrate"), &l->queries, NULL, which.items, which.n,
                          "demonstration", "demonstration", 1);
    }
    if (!s && which.n > 0 && simulated(l)) {
        s = expert_demonstrates(&c->actors, cast_path(c, "human/demonstrate"), &l->queries, which.items, which.n, &o,
                                &l->answers);
        l->labels_used += (int64_t)(l->answers.n - from);
        l->demonstrations += (int64_t)(l->answers.n - from);
        if (!s)
            cast_say(c, NULL, "the simulated expert wrote %zu answers where nothing passed (%lld of %lld labels used)",
                     l->answers.n - from, (long long)l->labels_used, (long long)l->config->human.labels);
    }
    free(which.items);
    return s;
}

static agon_status ask_human(loop *l) {
    agon_status s = cast_stage(l->c, "human");
    if (!s)
        s = audit(l);
    return s ? s : demonstrate(l);
}

/* A verdict that came late: an accepted answer joins this iteration as a copy, a rejected one is not replayed. */
static agon_status join_late(loop *l, size_t i) {
    answer copy = l->answers.items[i];
    if (copy.outcome == OUTCOME_PASS) {
        answer *x = answer_list_add(&l->answers);
        if (!x)
            return ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for a late answer");
        *x = copy;
        return AGON_OK;
    }
    size_t kept = 0;
    for (size_t k = 0; k < l->earlier.n; k++) {
        const example *e = &l->earlier.items[k];
        if (e->n_texts < 2 || strcmp(e->texts[1], copy.id) != 0)
            l->earlier.items[kept++] = *e;
    }
    l->earlier.n = kept;
    return AGON_OK;
}

/* What a verdict of a reviewer changes: `was` is the answer before. */
static agon_status settle_verdict(loop *l, const answer *was, size_t i) {
    const answer *x = &l->answers.items[i];
    if (strcmp(was->label, x->label) == 0)
        return AGON_OK;
    if (was->source && strcmp(was->source, "human") != 0) { /* it had an automatic label: an audit */
        l->audits++;
        l->audits_agreed += was->outcome == x->outcome;
    } else if (!was->source) {
        l->resolved++;
    }
    return i < l->first_answer ? join_late(l, i) : AGON_OK;
}

/* What reviewers answered since the last look: verdicts on answers, also of earlier iterations, and demonstrations, which are real data. */
static agon_status collect(loop *l) {
    size_t n_verdicts = 0, from = l->answers.n, n_written = 0;
    if (simulated(l))
        return AGON_OK;
    answer *was = memory_new(from + 1, sizeof *was);
    if (!was)
        return ctx_fail(l->c->actors.ctx, AGON_ENOMEM, "no memory for reviews");
    if (from > 0)
        memcpy(was, l->answers.items, from * sizeof *was);
    agon_status s = collect_reviews(&l->c->actors, cast_path(l->c, "human/collect"), &l->queries, &l->answers, &l->inbox,
                                    &n_verdicts);
    for (size_t i = from; i < l->answers.n && !s; i++, n_written++)
        l->labels_used += l->answers.items[i].draft == SIZE_MAX; /* an answer mended is one label with its verdict */
    l->labels_used += (int64_t)n_verdicts;
    l->demonstrations += (int64_t)n_written;
    for (size_t i = 0; i < from && !s; i++)
        s = settle_verdict(l, &was[i], i);
    if (!s && n_verdicts + n_written > 0)
        cast_say(l->c, NULL, "reviewers gave %zu verdicts and wrote %zu answers", n_verdicts, n_written);
    free(was);
    return s;
}

/* ---- build, train ---------------------------------------------------------------------------------------------- */

static bool learns_from_pairs(const loop *l) {
    static const char *const singles[] = {"sft", NULL};
    for (size_t i = 0; singles[i]; i++)
        if (strcmp(l->config->train.objective, singles[i]) == 0)
            return false;
    return true;
}

/* What demonstrations bought: their part of what is trained on. The repository's gold examples cost no expert. */
static void weigh_written(loop *l) {
    int64_t written = 0, all = 0;
    l->n_written = 0;
    for (size_t k = 0; k < l->examples.n; k++) {
        const example *e = &l->examples.items[k];
        bool found = false;
        all += e->n_tokens;
        for (size_t i = 0; i < l->answers.n && !found; i++) {
            const answer *x = &l->answers.items[i];
            found = x->text == e->chosen && strcmp(x->kind, "demonstration") == 0 && strcmp(x->source, "demonstration") != 0;
        }
        l->n_written += found;
        written += found ? e->n_tokens : 0;
    }
    l->written_share = all > 0 ? (double)written / (double)all : 0;
}

static agon_status build(loop *l) {
    cast *c = l->c;
    agon_status s = cast_stage(c, "build");
    example_list_free(&l->examples);
    if (!s)
        s = learns_from_pairs(l) ? choose_pairs(c, &l->aim, &l->queries, &l->answers, l->first_answer, &l->examples, &l->choice)
                                 : choose_examples(c, &l->aim, &l->queries, &l->answers, l->first_answer, &l->earlier,
                                                   &l->examples, &l->choice);
    if (!s)
        s = build_examples(&c->actors, cast_path(c, "build"), l->examples.items, l->examples.n);
    weigh_written(l);
    const choice *k = &l->choice;
    if (!s)
        cast_say(c, NULL, "%zu examples: %zu real, %zu new, %zu replayed (%lld, %lld, %lld loss tokens); dropped %zu for the "
                 "floor, %zu for caps, %zu duplicates, %zu held out",
                 l->examples.n, k->n_real, k->n_new, k->n_replay, (long long)k->real_tokens, (long long)k->new_tokens,
                 (long long)k->replay_tokens, k->dropped_floor, k->dropped_cap, k->dropped_duplicate,
                 k->dropped_contaminated);
    return s;
}

static agon_status train_learner(loop *l) {
    cast *c = l->c;
    const train_plan plan = school_learner_plan(c, l->learner);
    agon_status s = cast_stage(c, "train");
    if (!s)
        s = train_version(&c->actors, cast_path(c, "train"), l->examples.items, l->examples.n, &plan, l->candidate);
    if (!s)
        cast_say(c, NULL, "candidate %.12s trained on %zu examples", l->candidate, l->examples.n);
    return s;
}

/* ---- evaluate, gate ---------------------------------------------------------------------------------------------- */

typedef struct held_out_result {
    bool *base, *incumbent, *candidate; /* [n held out]; incumbent may be base */
    const char **labels;                /* of incumbent's and candidate's verdicts */
    size_t n_labels;
    suite_results suites;
} held_out_result;

static void held_out_result_free(held_out_result *r, bool keep_suites) {
    if (r->incumbent != r->base)
        free(r->incumbent);
    free(r->base);
    free(r->candidate);
    free(r->labels);
    if (!keep_suites)
        suite_results_free(&r->suites);
}

static agon_status held_out_answers(loop *l, const char *version, bool **right, held_out_result *r) {
    cast *c = l->c;
    answer_list *list = &l->held_out_answers;
    size_t from = list->n;
    agon_status s = evaluate_answers(&c->actors, cast_path(c, "evaluate/%.12s/tasks", version), &l->held_out, version,
                                     (size_t)l->config->learner.max_tokens, list);
    if (!s)
        s = verify_answers(&c->actors, cast_path(c, "evaluate/%.12s/verify", version), &l->held_out, list, from);
    if (!s && !(*right = memory_new(l->held_out.n + 1, sizeof **right)))
        s = ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory to evaluate");
    for (size_t i = 0; i < l->held_out.n && !s; i++) {
        const answer *x = &list->items[from + i];
        (*right)[i] = x->outcome == OUTCOME_PASS;
        const char *label = *x->label ? arena_copy(c->memory, x->label) : NULL;
        if (label && strcmp(version, c->actors.base) != 0)
            r->labels[r->n_labels++] = label;
        else if (label && strcmp(l->learner, c->actors.base) == 0)
            r->labels[r->n_labels++] = label;
    }
    return s;
}

static agon_status evaluate(loop *l, held_out_result *r) {
    cast *c = l->c;
    bool first = strcmp(l->learner, c->actors.base) == 0;
    agon_status s = cast_stage(c, "evaluate");
    r->labels = memory_new(3 * l->held_out.n + 1, sizeof *r->labels);
    if (!s && !r->labels)
        s = ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory to evaluate");
    if (!s)
        s = held_out_answers(l, c->actors.base, &r->base, r);
    if (!s && first)
        r->incumbent = r->base;
    else if (!s)
        s = held_out_answers(l, l->learner, &r->incumbent, r);
    if (!s)
        s = held_out_answers(l, l->candidate, &r->candidate, r);
    if (!s && strcmp(l->incumbent_suites.version, l->learner) != 0)
        s = cast_evaluate_suites(c, l->learner, &l->incumbent_suites);
    return s ? s : cast_evaluate_suites(c, l->candidate, &r->suites);
}

/* Success per family, candidate against base. */
static json_t *family_table(const loop *l, const held_out_result *r) {
    json_t *list = json_array();
    bool *now = memory_new(l->held_out.n + 1, sizeof *now), *before = memory_new(l->held_out.n + 1, sizeof *before);
    for (size_t i = 0; i < l->held_out.n && now && before; i++) {
        const char *family = l->held_out.items[i].family;
        bool listed = false;
        size_t n = 0;
        for (size_t k = 0; k < i && !listed; k++)
            listed = strcmp(l->held_out.items[k].family, family) == 0;
        if (listed)
            continue;
        for (size_t k = i; k < l->held_out.n; k++)
            if (strcmp(l->held_out.items[k].family, family) == 0) {
                now[n] = r->candidate[k];
                before[n++] = r->base[k];
            }
        paired_table t = paired_count(now, before, n);
        json_t *row = paired_json(&t);
        json_object_set_new(row, "family", json_string(family));
        json_array_append_new(list, row);
    }
    free(now);
    free(before);
    return list;
}

static agon_status record_gate(loop *l, const held_out_result *r, gate_evidence *e) {
    cast *c = l->c;
    json_t *figures = NULL;
    paired_table against_base = paired_count(r->candidate, r->base, l->held_out.n);
    json_t *held_out = paired_json(&against_base);
    bool promote = false;
    agon_status s = json_made(c->actors.ctx, held_out);
    if (!s)
        s = gate_decide(c->actors.ctx, e, &promote, &figures);
    if (!s)
        s = gate_record_verdict(&c->actors, cast_path(c, "gate"), e, promote, figures, held_out, r->labels, r->n_labels);
    if (!s) {
        json_decref(l->gate);
        json_decref(l->held_out_json);
        json_decref(l->families);
        l->gate = json_pack("{ss sO sO}", "verdict", promote ? "promote" : "reject", "reason",
                            json_object_get(figures, "reason"), "figures", figures);
        l->held_out_json = json_incref(held_out);
        l->families = family_table(l, r);
        l->promoted = promote;
        cast_say(c, json_pack("{sO sO sO}", "gate", l->gate, "families", l->families, "held_out", held_out),
                 "%s: %s; held out %.1f%% -> %.1f%% (n %zu)", promote ? "promoted" : "rejected", field_text(figures, "reason"),
                 100 * field_real(held_out, "before"), 100 * field_real(held_out, "after"), l->held_out.n);
    }
    json_decref(figures);
    json_decref(held_out);
    return s;
}

static agon_status gate(loop *l, held_out_result *r) {
    cast *c = l->c;
    char *problem = NULL;
    perplexity_comparison comparison;
    paired_table primary = paired_count(r->candidate, r->incumbent, l->held_out.n);
    gate_evidence e = {.candidate = l->candidate,
                       .incumbent = l->learner,
                       .primary = &primary,
                       .attempt = ++l->attempt,
                       .alpha = l->config->gate.alpha,
                       .over_budget = l->labels_used > l->config->human.labels};
    agon_status s = cast_stage(c, "gate");
    if (!s)
        s = cast_compare_suites(c, &r->suites, &l->incumbent_suites, &e, &comparison);
    if (!s)
        s = choose_check(c, &l->aim, &l->examples, &e.contaminated);
    if (!s)
        s = cast_check_journal(c, &problem);
    e.chain_problem = problem;
    if (!s)
        s = record_gate(l, r, &e);
    free(problem);
    return s;
}

/* After a rejection what people wrote stays (it was paid for), what the model wrote is quarantined. */
static agon_status keep_real(loop *l) {
    example_list kept = {0};
    agon_status s = AGON_OK;
    for (size_t i = 0; i < l->earlier.n && !s; i++)
        if (strcmp(l->earlier.items[i].origin, "real") != 0)
            s = example_add(l->c, &kept, &l->earlier.items[i]);
    for (size_t i = 0; i < l->examples.n && !s; i++)
        if (strcmp(l->examples.items[i].origin, "real") == 0)
            s = example_add(l->c, &kept, &l->examples.items[i]);
    if (s) {
        example_list_free(&kept);
        return s;
    }
    example_list_free(&l->earlier);
    l->earlier = kept;
    return AGON_OK;
}

/* A promoted version becomes the parent of the next; a rejected one stays in the lineage with its reason, its new data unused. */
static agon_status settle(loop *l, held_out_result *r) {
    l->rejections = l->promoted ? 0 : l->rejections + 1;
    if (!l->promoted)
        return keep_real(l);
    memcpy(l->learner, l->candidate, sizeof l->learner);
    suite_results_free(&l->incumbent_suites);
    l->incumbent_suites = r->suites;
    r->suites = (suite_results){0};
    example_list_free(&l->earlier);
    l->earlier = l->examples;
    l->examples = (example_list){0};
    return AGON_OK;
}

/* ---- the loop ------------------------------------------------------------------------------------------------------ */

/* Fresh evaluation tasks are fixed before anything is attacked, so that training can keep clear of them. */
static agon_status plan(loop *l) {
    cast *c = l->c;
    agon_status s = cast_stage(c, "plan");
    const char *space = arena_printf(c->memory, "held_out/%lld", (long long)c->actors.iteration);
    for (size_t i = l->n_file_held_out; i < l->held_out.n; i++)
        json_decref(l->held_out.items[i].task);
    l->held_out.n = l->n_file_held_out;
    l->held_out_answers.n = 0;
    if (!s)
        s = read_file(l);
    if (!s && c->actors.iteration == 1)
        s = prose_examples(c, (size_t)l->config->build.documents, &l->earlier);
    if (!s && l->n_cells)
        s = aim_held_out(c, &l->aim, cast_path(c, "held_out"), space, (size_t)l->config->evaluate.tasks, &l->held_out);
    return s;
}

static agon_status iteration(loop *l) {
    held_out_result r = {0};
    agon_status s = plan(l);
    if (!s)
        s = attack(l);
    if (!s)
        s = criticise(l);
    if (!s)
        s = refine(l);
    if (!s)
        s = decide(l);
    if (!s)
        s = ask_human(l);
    if (!s)
        s = collect(l);
    if (!s)
        s = build(l);
    if (!s && l->examples.n == 0) {
        cast_say(l->c, NULL, "nothing to train on: no answer passed and no demonstration came");
        l->rejections++;
        return AGON_OK;
    }
    if (!s && strcmp(l->config->learner.by.backend, "local") != 0) { /* a candidate trained here would never be asked */
        cast_say(l->c, NULL, "the learner is played by %.100s: its weights are not here, so the examples stay in the workspace and "
                 "nothing is trained", backend_name(l->c->learner));
        return AGON_OK;
    }
    if (!s)
        s = train_learner(l);
    if (!s)
        s = evaluate(l, &r);
    if (!s)
        s = gate(l, &r);
    if (!s)
        s = settle(l, &r);
    held_out_result_free(&r, false);
    return s;
}

static json_t *summarise(const loop *l, bool halted) {
    const run_config *config = l->config;
    double agreement = clopper_pearson((size_t)l->audits_agreed, (size_t)l->audits, 0.05).low;
    json_t *budget = json_pack("{sI sI sI sI so sI sI sI sf}", "labels", (json_int_t)config->human.labels, "used",
                               (json_int_t)l->labels_used, "audits", (json_int_t)l->audits, "audits_agreed",
                               (json_int_t)l->audits_agreed, "right_at_least",
                               l->audits > 0 ? real_or_null(agreement) : json_null(), "resolved",
                               (json_int_t)l->resolved, "demonstrations", (json_int_t)l->demonstrations,
                               "trained_on", (json_int_t)l->n_written, "token_share",
                               l->written_share);
    return json_pack("{ss ss s{ss ss} sO? sO? sO? so sO? sO}", "state", halted ? "halted" : "done", "base", l->c->actors.base,
                     "version", "id", *l->candidate ? l->candidate : l->learner, "status",
                     !*l->candidate ? "base" : l->promoted ? "promoted" : "rejected", "families", l->families, "held_out",
                     l->held_out_json, "gate", l->gate, "budget", budget, "learnability", l->learnability, "critic",
                     l->critic_reports);
}

static void loop_free(loop *l) {
    free(l->cells);
    aim_free(&l->aim);
    query_list_free(&l->queries);
    query_list_free(&l->held_out);
    answer_list_free(&l->answers);
    answer_list_free(&l->held_out_answers);
    example_list_free(&l->examples);
    example_list_free(&l->earlier);
    trust_free(&l->trust);
    suite_results_free(&l->incumbent_suites);
    json_decref(l->learnability);
    json_decref(l->critic_reports);
    json_decref(l->gate);
    json_decref(l->held_out_json);
    json_decref(l->families);
}

static agon_status loop_begin(loop *l) {
    cast *c = l->c;
    const run_config *config = l->config;
    json_t *names = json_array();
    l->cells = memory_new(task_n_cells() + 1, sizeof *l->cells);
    l->critic_reports = json_array();
    l->queries.memory = l->held_out.memory = l->answers.memory = l->held_out_answers.memory = c->memory;
    memcpy(l->learner, c->actors.base, sizeof l->learner);
    memcpy(l->critic, c->actors.base, sizeof l->critic);
    for (size_t i = 0; i < config->tasks.cells.n; i++)
        json_array_append_new(names, json_string(config->tasks.cells.items[i]));
    agon_status s = l->cells && l->critic_reports && names ? AGON_OK : ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory");
    if (!s && (config->tasks.cells.n || !config->tasks.file)) /* with a file and no cells named: the file alone */
        s = task_select(c->actors.ctx, names, l->cells, &l->n_cells);
    if (!s)
        s = aim_new(c->actors.ctx, l->cells, l->n_cells, config->build.near_duplicate, &l->aim);
    if (!s)
        s = aim_keep_clear(c, &l->aim);
    json_decref(names);
    return s;
}

agon_status loop_recipe(cast *c, json_t **summary) {
    loop l = {.c = c, .config = c->config};
    bool halted = false;
    agon_status s = loop_begin(&l);
    for (int64_t i = 1; i <= l.config->iterations && !halted && !s; i++) {
        c->actors.iteration = i;
        s = iteration(&l);
        halted = !s && l.rejections >= (size_t)l.config->gate.rejections;
    }
    if (!s)
        s = run_finish(c->run, halted ? "halted" : "done",
                       halted ? "too many candidates were rejected in a row" : "all iterations ran");
    if (!s) {
        *summary = summarise(&l, halted);
        s = json_made(c->actors.ctx, *summary);
    }
    loop_free(&l);
    return s;
}
