/* The loop with an open oracle (Fig. 1 of the paper; loop specification section 1).
 *
 *   attack     draws queries where the learner fails but can learn; a language model rewords some
 *   respond    K answers a query, judged by the verifier
 *   collect    what reviewers answered since the last iteration
 *   criticise  words from the verifier's evidence; the model critic learns from verdicts and people's labels and is calibrated
 *   refine     failed queries answered again with the critique
 *   decide     answers nobody could verify: the critic alone where it earned trust, else a human, else dropped
 *   ask        the human: audits of automatic labels, demonstrations where nothing passed; waited for only where there is nothing else to train on
 *   build      examples: real data keeps its share, nothing twice, nothing held out
 *   train      a LoRA version on top of the incumbent; before it, where the run file asks, a critic for the gate alone
 *   evaluate   candidate, incumbent and base on the same fresh tasks and the general suite; where only people can judge, they are asked, and the run
 *              ends here as "waiting" until it is run again with their answers
 *   monitor    the same prompts sampled of each version: has the candidate collapsed?
 *   gate       promoted only if the evidence says so
 *   react      after a candidate that had collapsed, or was about to: other data, or back to an older version
 *
 * and, where the run file asks, control arms after the end (loop_arms.c).
 *
 * Everything kept in memory is rebuilt from the journal by a replay. */
#include "base/ctx.h"
#include "base/json.h"
#include "base/random.h"
#include "eval/interval.h"
#include "recipe/loop_private.h"
#include "recipe/open_prompts.h"
#include "recipe/own_rows.h"
#include "recipe/own_split.h"
#include "recipe/recipe_private.h"
#include "recipe/school.h"
#include "role/critic.h"
#include "train/samples.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- plan -------------------------------------------------------------------------------------------------------- */

static bool listed(const query_list *l, const query *q) {
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->items[i].identity, q->identity) == 0)
            return true;
    return false;
}

/* Which of the queries are held out; before rules 13 each by itself. */
static agon_status split_file(cast *c, const query_list *all, own_text **out) {
    own_text *rows = memory_new(all->n + 1, sizeof *rows);
    if (!rows)
        return ctx_no_memory(c->actors.ctx);
    for (size_t i = 0; i < all->n; i++)
        rows[i] = (own_text){.text = all->items[i].text, .group = json_string_value(json_object_get(json_object_get(all->items[i].task, "parameters"), "group")),
                             .with = i, .held_out = recipe_holds_out(all->items[i].text)};
    *out = rows;
    return c->rules < 13 ? AGON_OK : own_split(c->actors.ctx, rows, all->n);
}

static agon_status leave_template(cast *c, aim *a, const query_list *all) {
    const char **texts = memory_new(all->n + 1, sizeof *texts);
    if (!texts)
        return ctx_no_memory(c->actors.ctx);
    for (size_t i = 0; i < all->n; i++)
        texts[i] = all->items[i].text;
    agon_status s = contamination_leave_template(c->actors.ctx, a->held_out, texts, all->n);
    free(texts);
    return s;
}

enum { NOWHERE = -1 };

/* Notes the set of the held-out query added last; places: by row of the file, where the first held-out one of those that go with it stands. */
static void note_set(loop *l, const own_text *row, int64_t *places) {
    const size_t place = l->held_out.n - 1;
    if (places[row->with] == NOWHERE)
        places[row->with] = (int64_t)place;
    l->file_sets[place] = (size_t)places[row->with];
}

/* How much of the file decides: said once, since with rows that go together it need be no fifth. */
static void say_held_out(loop *l) {
    const size_t n = l->n_file_held_out;
    size_t sets = 0;
    for (size_t i = 0; i < n; i++)
        sets += l->file_sets[i] == i;
    if (l->n_file + n > 0 && l->c->rules >= 24)
        cast_say(l->c, json_pack("{s{sI sI sI}}", "file", "queries", (json_int_t)(l->n_file + n), "held_out", (json_int_t)n, "held_out_sets", (json_int_t)sets),
                 "held out: %zu of %zu queries in %.200s, in %zu sets (rows that go together are one); the others are asked", n, l->n_file + n, l->config->tasks.file, sets);
}

/* The user's own queries, equal rows as one: about four of five are asked, the others are held out. */
static agon_status read_file(loop *l) {
    cast *c = l->c;
    query_list all = {.memory = c->memory};
    own_text *rows = NULL;
    int64_t *places = NULL;
    if (!l->config->tasks.file || c->actors.iteration > 1)
        return AGON_OK;
    agon_status s = read_user_queries(&c->actors, cast_path(c, "file"), l->config->tasks.file, &all);
    if (!s)
        s = split_file(c, &all, &rows);
    if (!s && c->rules >= 13)
        s = leave_template(c, &l->aim, &all);
    if (!s) {
        places = memory_new(all.n + 1, sizeof *places);
        l->file_sets = arena_take(c->memory, all.n + 1, sizeof *l->file_sets);
        s = places && l->file_sets ? AGON_OK : ctx_no_memory(c->actors.ctx);
    }
    for (size_t i = 0; i < all.n && !s; i++)
        places[i] = NOWHERE;
    for (size_t i = 0; i < all.n && !s; i++) {
        const bool held_out = rows[i].held_out;
        query_list *to = held_out ? &l->held_out : &l->queries;
        if (c->rules >= 2 && listed(to, &all.items[i]))
            continue;
        query *q = query_list_add(to);
        if (!q) {
            s = ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for the user's queries");
            break;
        }
        *q = all.items[i];
        json_incref(q->task);
        if (held_out)
            note_set(l, &rows[i], places);
        task_query t = {0};
        s = held_out ? query_task(&c->actors, q, &t) : AGON_OK;
        if (!s && held_out)
            s = contamination_add_query(c->actors.ctx, l->aim.held_out, &t);
        task_query_free(&t);
    }
    free(rows);
    free(places);
    query_list_free(&all);
    l->n_file = l->queries.n;
    l->n_file_held_out = l->held_out.n;
    if (!s)
        say_held_out(l);
    return s;
}

/* Prose that the learner has not read: what one version has learnt by heart does not keep the English of the next. Before rules 20 the same in every
 * iteration. */
static agon_status read_prose(loop *l) {
    bool at_hand = l->c->rules < 20 && l->c->actors.iteration > 1;
    for (size_t i = 0; i < l->earlier.n; i++)
        at_hand = at_hand || l->earlier.items[i].raw;
    return at_hand ? AGON_OK : prose_examples(l->c, (size_t)l->config->build.documents, l->n_prose_read, &l->earlier);
}

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
        s = loop_plan_budget(l);
    if (!s)
        s = read_file(l);
    if (!s)
        s = read_prose(l);
    if (!s && l->n_cells)
        s = aim_held_out(c, &l->aim, cast_path(c, "held_out"), space, (size_t)l->config->evaluate.tasks, &l->held_out);
    if (!s)
        s = loop_watch_plan(l);
    if (!s)
        loop_divide_budget(l);
    return s;
}

/* ---- build, train ------------------------------------------------------------------------------------------------ */

bool loop_learns_from_pairs(const loop *l) {
    return samples_make_pairs(objective_find(l->config->train.objective));
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

/* At the step "iteration/N/NAME". */
static agon_status build(loop *l, const char *name) {
    cast *c = l->c;
    agon_status s = cast_stage(c, "build");
    example_list_free(&l->examples);
    if (!s)
        s = loop_note_labels(l);
    if (!s)
        s = loop_learns_from_pairs(l)
                ? choose_pairs(c, &l->aim, &l->queries, &l->answers, l->first_answer, &l->preferences, l->first_preference,
                               &l->earlier, &l->examples, &l->choice)
                : choose_examples(c, &l->aim, &l->queries, &l->answers, l->first_answer, &l->earlier, &l->examples, &l->choice);
    if (!s)
        s = build_examples(&c->actors, cast_path(c, "%s", name), l->examples.items, l->examples.n);
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

/* ---- the loop ------------------------------------------------------------------------------------------------------ */

/* Prose alone keeps a learner from forgetting and answers nobody's query; before rules 5 a candidate was made of it. */
static bool nothing_to_learn(const loop *l) {
    size_t n_prose = 0;
    for (size_t i = 0; i < l->examples.n; i++)
        n_prose += l->examples.items[i].raw;
    return l->examples.n == (l->c->rules >= 5 ? n_prose : 0);
}

static bool is_trained_here(const loop *l) { /* else a candidate would never be asked */
    return strcmp(l->config->learner.by.backend, "local") == 0;
}

/* What people answered, and the examples. Where there are none to learn from and people were asked, they are waited for. */
static agon_status gather(loop *l) {
    bool came = l->c->rules >= 5 && !loop_simulated(l) && is_trained_here(l);
    agon_status s = loop_collect(l, "human/collect");
    if (!s)
        s = build(l, "build");
    for (size_t look = 2; came && !s && !l->waiting && nothing_to_learn(l); look++) {
        s = loop_await_reviews(l, look, &came);
        if (!s && came)
            s = build(l, arena_printf(l->c->memory, "build/%zu", look));
    }
    return s;
}

/* The candidate is promoted or rejected, and what follows from it. */
static agon_status settle(loop *l, held_out_result *r) {
    agon_status s = loop_watch_candidate(l);
    if (!s)
        s = loop_gate(l, r);
    if (!s)
        s = loop_note_training(l, r);
    if (!s)
        s = loop_settle(l, r);
    return s ? s : loop_react(l);
}

static agon_status iteration(loop *l) {
    held_out_result r = {0};
    agon_status s = plan(l);
    if (!s)
        s = loop_attack(l);
    if (!s && l->c->rules >= 4 && l->c->actors.iteration > 1)
        s = loop_collect(l, "collect");
    if (!s)
        s = loop_criticise(l);
    if (!s)
        s = loop_refine(l);
    if (!s)
        s = loop_decide(l);
    if (!s)
        s = loop_ask_human(l);
    if (!s)
        s = gather(l);
    if (s || l->waiting)
        return s;
    if (nothing_to_learn(l)) {
        cast_say(l->c, NULL, "nothing to train on: no answer passed and no demonstration came");
        return AGON_OK;
    }
    if (!is_trained_here(l)) {
        cast_say(l->c, NULL, "the learner is played by %.100s: its weights are not here, so the examples stay in the workspace and "
                 "nothing is trained", backend_name(l->c->learner));
        return AGON_OK;
    }
    s = loop_teach_gate_critic(l);
    if (!s)
        s = train_learner(l);
    if (!s)
        s = loop_evaluate(l, &r);
    if (!s && !l->waiting)
        s = loop_await_audits(l);
    if (!s && !l->waiting)
        s = settle(l, &r);
    l->undecided = l->waiting;
    held_out_result_free(&r);
    return s;
}

static json_t *right_at_least(audited a) {
    return a.n > 0 ? real_or_null(clopper_pearson((size_t)a.agreed, (size_t)a.n, 0.05).low) : json_null();
}

static json_t *audited_json(audited a) {
    return json_pack("{sI sI sI so}", "labels", (json_int_t)a.labels, "audits", (json_int_t)a.n, "agreed", (json_int_t)a.agreed, "right_at_least",
                     right_at_least(a));
}

static json_t *summarise(const loop *l, const char *state) {
    const run_config *config = l->config;
    const audited all = loop_audited(l);
    json_t *budget = json_pack("{sI sI sI sI so sI sI sI sf}", "labels", (json_int_t)config->human.labels, "used",
                               (json_int_t)l->labels_used, "audits", (json_int_t)all.n, "audits_agreed",
                               (json_int_t)all.agreed, "right_at_least", right_at_least(all), "resolved",
                               (json_int_t)l->resolved, "demonstrations", (json_int_t)l->demonstrations,
                               "trained_on", (json_int_t)l->n_written, "token_share",
                               l->written_share);
    if (l->c->rules >= 4)
        json_object_set_new(budget, "audited", json_pack("{so so}", "verifier", audited_json(l->audited[AUDIT_VERIFIER]), "critic",
                                                         audited_json(l->audited[AUDIT_CRITIC])));
    const choice *k = &l->choice; /* a promotion moves the examples themselves to the earlier ones */
    return json_pack("{ss ss s{ss ss} sO? sO? s{sI sI sI sI} sO? so sO? sO sO* sO*}", "state", state, "base", l->c->actors.base,
                     "version", "id", *l->candidate ? l->candidate : l->learner, "status",
                     !*l->candidate ? "base" : l->undecided ? "candidate" : l->promoted ? "promoted" : "rejected", "families", l->families, "held_out",
                     l->held_out_json, "examples", "n", (json_int_t)(k->n_real + k->n_new + k->n_replay), "real", (json_int_t)k->n_real, "new", (json_int_t)k->n_new, "replayed",
                     (json_int_t)k->n_replay, "gate", l->gate, "budget", budget, "learnability", l->learnability, "critic",
                     l->critic_reports, "arms", l->arms.rows, "gate_critic", l->gate_critic.report);
}

static void loop_free(loop *l) {
    free(l->cells);
    aim_free(&l->aim);
    query_list_free(&l->queries);
    query_list_free(&l->held_out);
    answer_list_free(&l->answers);
    answer_list_free(&l->held_out_answers);
    preference_list_free(&l->preferences);
    collected_reviews_free(&l->reviews);
    example_list_free(&l->examples);
    example_list_free(&l->earlier);
    trust_free(&l->trust);
    calibrator_free(&l->examined.calibrator);
    gate_critic_free(&l->gate_critic);
    json_decref(l->audit_words);
    json_decref(l->automatic);
    free(l->judged);
    free(l->verdicts);
    loop_watch_free(l->watch);
    loop_ancestors_free(l);
    suite_results_free(&l->base_suites);
    suite_results_free(&l->incumbent_suites);
    json_decref(l->learnability);
    json_decref(l->critic_reports);
    json_decref(l->gate);
    json_decref(l->held_out_json);
    json_decref(l->families);
    loop_arms_free(&l->arms);
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

static agon_status loop_recipe(cast *c, json_t **summary) {
    loop l = {.c = c, .config = c->config};
    bool halted = false;
    agon_status s = loop_begin(&l);
    for (int64_t i = 1; i <= l.config->iterations && !halted && !l.waiting && !s; i++) {
        c->actors.iteration = i;
        s = iteration(&l);
        halted = !s && l.rejections >= (size_t)l.config->gate.rejections;
    }
    const char *state = l.waiting ? "waiting" : halted ? "halted" : "done";
    run *arms = NULL;
    if (!s && !l.waiting && !halted)
        s = loop_begin_arms(&l, &arms); /* before the loop's own end, or `agon log --follow` could look when neither is running */
    if (!s)
        s = run_finish(c->run, state,
                       l.waiting ? "people are asked: agon review, then run it again"
                       : halted  ? "too many candidates were rejected in a row; a larger gate.rejections lets the run go on"
                                 : "all iterations ran");
    if (s)
        run_end(arms);
    else if (arms)
        s = loop_train_arms_take(&l, arms);
    if (!s) {
        *summary = summarise(&l, state);
        s = json_made(c->actors.ctx, *summary);
    }
    loop_free(&l);
    return s;
}

/* ---- what it will cost ------------------------------------------------------------------------------------------- */

/* Tokens of a usual rewording, with its prompt; of the chat template around the user's own text. */
static const double REWORDING_PROMPT_TOKENS = 150, REWORDING_TOKENS = 40, TEMPLATE_TOKENS = 35, OPEN_PROMPT_TOKENS = 45;
/* An answer to a task at temperature 1, by a version that has not learnt to be short. Questions in data/open.jsonl. */
static const double SAMPLED_TOKENS = 34, OPEN_PROMPTS = 48;

static size_t count_cells(const run_config *r) {
    size_t n = 0;
    for (size_t i = 0; i < task_n_cells(); i++) {
        bool named = r->tasks.cells.n == 0;
        for (size_t k = 0; k < r->tasks.cells.n && !named; k++)
            named = task_cell_covered(i, r->tasks.cells.items[k]);
        n += named;
    }
    return n;
}

bool loop_critic_may_decide(const run_config *r) {
    return r->critic.examples > 0 && strcmp(r->human.backend, "queue") == 0 && !samples_make_pairs(objective_find(r->train.objective));
}

static void cost_of(const run_config *r, const own_rows *own, expected *t) {
    const bool cells = r->tasks.cells.n > 0 || !r->tasks.file;
    const double it = (double)r->iterations, samples = (double)r->learner.samples, length = (double)r->learner.max_tokens;
    const double n = (double)own->n, own_held_out = (double)own->n_held_out, file = n - own_held_out;
    const double open_held_out = (double)own->n_held_out_unverifiable, open = (double)own->n_unverifiable - open_held_out;
    const double prompt = n > 0 ? TEMPLATE_TOKENS + (double)own->n_bytes / BYTES_A_TOKEN / (double)own->n_rows : 0;
    const double drawn = cells ? (double)r->attacker.queries : 0, asked = drawn + file;
    const double held_out = cells ? (double)r->evaluate.tasks : 0, refined = fmin(asked, (double)r->refine.queries) * (double)r->refine.samples +
                                                                              5 * fmin(asked, (double)r->refine.learnability);
    const double arms = (double)loop_n_arms(r), evaluations = 2 + 3 * (it - 1) + arms; /* base and candidate, later the incumbent too */
    if (cells)
        cost_answers(t, it * (double)r->attacker.variations, REWORDING_PROMPT_TOKENS, 1, REWORDING_TOKENS);
    cost_answers(t, it * drawn, PROMPT_TOKENS, samples, ANSWER_TOKENS);
    cost_answers(t, it * refined, 2 * PROMPT_TOKENS, 1, ANSWER_TOKENS);
    if (strcmp(r->refine.words, "critic") == 0)
        cost_answers(t, it * fmin(asked, fmax((double)r->refine.queries, (double)r->refine.learnability)), CRITIC_PROMPT_TOKENS, 1, CRITIC_WRITE_TOKENS);
    cost_answers(t, evaluations * held_out, PROMPT_TOKENS, 1, ANSWER_TOKENS);
    if (n > 0) { /* nobody knows how long their answers will be: as long as they may */
        cost_answers(t, it * file, prompt, samples, length);
        cost_answers(t, evaluations * own_held_out, prompt, 1, length);
        if (loop_critic_may_decide(r))
            t->scored += (it - 1) * open * samples * (prompt + length);
    }
    t->scored += it * loop_approval_tokens(r, held_out, own_held_out, n > 0 ? prompt + length : 0);
    cost_suites(r, it + 1, t);
    const double prompts = (double)r->gate.monitor_prompts, watched = it + 1; /* each version once */
    cost_answers(t, watched * fmin(prompts, OPEN_PROMPTS), OPEN_PROMPT_TOKENS, MONITOR_SAMPLES, MONITOR_TOKENS);
    cost_answers(t, watched * fmin(prompts, held_out + own_held_out), PROMPT_TOKENS, MONITOR_SAMPLES, n > 0 ? length : fmin(length, SAMPLED_TOKENS));
    const double critics = r->gate.critic ? 2 : 1, examined = (double)r->critic.examples * CRITIC_PROMPT_TOKENS; /* the tested half, before training and after */
    t->scored += it * critics * examined;
    if (r->gate.critic)
        t->scored += it * 2 * open_held_out * (prompt + length);
    const bool people = strcmp(r->human.backend, "queue") == 0; /* the same words of an earlier version are not asked about again */
    loop_expect_labels(r, people ? 2 * (int64_t)fmin((double)r->human.gate_items, open_held_out) : 0, t);
    const double real = (double)t->demonstrations / it + (double)r->build.gold * (cells ? (double)count_cells(r) : 0);
    t->trained += it * ((1 + arms) * cost_examples(r, real, asked * samples) * EXAMPLE_TOKENS * (double)r->train.epochs +
                        critics * (double)r->critic.epochs * examined);
}

static agon_status cost(agon_ctx *ctx, const run_config *r, expected *t) {
    own_rows own;
    agon_status s = own_rows_of_run(ctx, r, NULL, false, &own);
    if (!s)
        cost_of(r, &own, t);
    own_rows_free(&own);
    return s;
}

/* ---- what it takes ----------------------------------------------------------------------------------------------- */

static agon_status memory(agon_ctx *ctx, const model *m, const run_config *r, const json_t *queries, forecast *out) {
    return forecast_run(ctx, m, r, queries, size_mul(2 + r->gate.critic + loop_n_arms(r), (size_t)r->iterations), false, out);
}

/* The rate preset is that of sft on short answers; pairs learnt that fast fall apart (docs/results.md: online dpo). Control arms cost a training each. */
static void presets(run_config *c) {
    const objective *o = objective_find(c->train.objective);
    if (!run_config_gives(c, "evaluate", "arms"))
        c->evaluate.arms = false;
    if (o && samples_make_pairs(o) && !run_config_gives(c, "train", "lr"))
        c->train.lr = 1e-5;
}

static agon_status check(agon_ctx *ctx, const run_config *c, const objective *o) {
    const double all = (double)c->human.audits * (double)c->iterations; /* audits of earlier iterations count, and each is a label */
    size_t audits = (size_t)fmin(all, (double)c->human.labels);
    const bool rewords = strcmp(c->attacker.by.backend, "local") == 0 && c->attacker.variations > 0;
    bool pairs = o->rows == ROW_PAIR && (o->needs & ~(unsigned)(NEEDS_REFERENCE | OBJECTIVE_TRAITS)) == 0;
    agon_status s = gate_check(ctx, c, c->critic.examples > 0);
    if (!s)
        s = loop_approval_check(ctx, c);
    if (!s)
        s = loop_gate_critic_check(ctx, c, o);
    if (s)
        return s;
    if (c->attacker.adapter && !rewords)
        return ctx_fail(ctx, AGON_EINVAL, "%s: attacker.adapter: a trained attacker writes rewordings on the local model; it needs 'backend: local' and 'variations' above 0",
                        c->source);
    if (c->gate.audit_agreement > 0 && c->gate.audit_agreement > clopper_pearson_lower(audits, audits, 0.05))
        return ctx_fail(ctx, AGON_EINVAL, "%s: gate.audit_agreement: %zu audits that all agree show %.3f, not %g; raise human.audits, human.labels or iterations, or lower the share",
                        c->source, audits, clopper_pearson_lower(audits, audits, 0.05), c->gate.audit_agreement);
    if (!(o->needs & TAKES_ANSWERS) && !pairs)
        return ctx_fail(ctx, AGON_EINVAL, "%s: train.objective: the loop makes answers (sft) and pairs (dpo and its kin), which %s cannot "
                        "learn from alone; agon train and 'recipe: train' take rows of your own", c->source, c->train.objective);
    return AGON_OK;
}

const recipe recipe_loop = {.name = "loop", .oracle = "open", .presets = presets, .check = check, .cost = cost, .memory = memory, .warn = loop_warn, .run = loop_recipe};
