/* Opening what a run file names, see cast.h. */
#include "recipe/cast.h"
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/utf8.h"
#include "base/numerics.h"
#include "model/model.h"
#include "role/attacker_adapter.h"
#include "role/learner.h"
#include "role/prompt.h"
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- actors -------------------------------------------------------------------------------------------- */

static const char *const roles[] = {"attacker", "learner", "critic"};
enum { N_ROLES = sizeof roles / sizeof *roles };

static bool is_local(const backend_config *b) {
    return strcmp(b->backend, "local") == 0;
}

/* The base's version id: of its weights, or of the name of a learner that is played elsewhere. */
static agon_status identify_base(cast *c) {
    hash256 id;
    char text[512];
    if (c->model) {
        agon_status s = model_id(c->actors.ctx, c->model, &id);
        if (s)
            return s;
    } else {
        snprintf(text, sizeof text, "%s", backend_name(c->learner));
        id = hash_text(text);
    }
    hash_hex(&id, c->actors.base);
    return AGON_OK;
}

/* A text of the run file where this backend reads it; else NULL. New. */
static json_t *text_of(const backend_config *b, const char *backend, const char *text) {
    return strcmp(b->backend, backend) == 0 && text ? utf8_json(text) : NULL;
}

/* What tells a player from others. How it is reached beside that (key_env, timeout, per_minute) is no part of it. */
static agon_status name_external(cast *c, const char *role, const backend_config *b) {
    if (is_local(b))
        return AGON_OK;
    return actors_set_external_take(&c->actors, role, json_pack("{ss so* so* so* so*}", "backend", b->backend, "url", text_of(b, "remote", b->url), "name",
                                                                text_of(b, "remote", b->name), "command", text_of(b, "command", b->command), "script",
                                                                text_of(b, "scripted", b->script)));
}

agon_status cast_open_actors(agon_ctx *ctx, store *s, const run_config *config, cast *out) {
    const backend_config *by[] = {&config->attacker.by, &config->learner.by, &config->critic.by};
    *out = (cast){.actors = {.ctx = ctx, .store = s}, .config = config, .stage = ""};
    out->actors.sealed = strcmp(config->oracle, "sealed") == 0;
    agon_numerics numerics = AGON_NUMERICS_PORTABLE;
    if (!numerics_of_name(config->numerics, &numerics))
        return ctx_fail(ctx, AGON_EINVAL, "numerics is " NUMERICS_NAMES ", not '%.40s'", config->numerics);
    numerics_set(&out->numerics, ctx, numerics);
    agon_status status = arena_new(ctx, 0, &out->memory);
    if (!status && (is_local(by[0]) || is_local(by[1]) || is_local(by[2]))) {
        if (!config->model)
            return ctx_fail(ctx, AGON_EINVAL, "the run file names no model");
        status = model_open(ctx, config->model, strcmp(config->dtype, "f32") == 0 ? COMPUTE_F32 : COMPUTE_BF16,
                            &out->model);
    }
    if (!status)
        status = backend_open(ctx, "attacker", by[0], out->model, &out->attacker);
    if (!status)
        status = backend_open(ctx, "learner", by[1], out->model, &out->learner);
    if (!status)
        status = backend_open(ctx, "critic", by[2], out->model, &out->critic);
    if (!status && config->verifier.command)
        status = backend_command_new(ctx, config->verifier.command, config->verifier.timeout, &out->verifier);
    if (!status)
        status = identify_base(out);
    for (size_t i = 0; i < N_ROLES && !status; i++)
        status = name_external(out, roles[i], by[i]);
    out->actors.model = out->model;
    out->actors.attacker = out->attacker;
    out->actors.learner = out->learner;
    out->actors.critic = out->critic;
    out->actors.verifier = out->verifier;
    memcpy(out->rewords.version, out->actors.base, sizeof out->rewords.version);
    out->rewords.kinds = attacker_all_kinds();
    return status;
}

/* An attacker is its weights and the prompts it is asked with. */
static agon_status identify_attacker(cast *c) {
    cast_attacker *x = &c->rewords;
    buffer text = {0};
    actors_version_id(&c->actors, x->adapter, x->version);
    buffer_printf(&text, "%s", x->version);
    for (int k = PERTURBATION_NONE + 1; k < PERTURBATION_N; k++)
        if (x->kinds.of[k])
            buffer_printf(&text, "|%s", attacker_template((task_perturbation)k));
    if (!text.failed) {
        const hash256 id = hash_text(text.data);
        hash_hex(&id, x->version);
    }
    const agon_status s = text.failed ? ctx_no_memory(c->actors.ctx) : AGON_OK;
    buffer_free(&text);
    return s;
}

agon_status cast_open_attacker(cast *c) {
    const char *folder = c->config->attacker.adapter;
    cast_attacker *x = &c->rewords;
    if (!folder || !c->model) /* no model: of a run begun before, with a recipe that takes no attacker */
        return AGON_OK;
    agon_status s = attacker_open(c->actors.ctx, c->model, c->actors.base, folder, &x->adapter, &x->kinds);
    if (!s)
        s = identify_attacker(c);
    return s ? ctx_prefix(c->actors.ctx, s, "%s: attacker.adapter", c->config->source) : AGON_OK;
}

/* ---- the run's first step ------------------------------------------------------------------------------ */

static agon_status open_suites(cast *c) {
    const gate_suite_def *d;
    agon_status s = AGON_OK;
    for (size_t i = 0; (d = gate_suite_at(i)) && !s; i++) {
        int64_t items = gate_suite_items(d, c->config);
        if (items > 0)
            s = suite_open(c->actors.ctx, d->name, (size_t)items, &c->suites[i]);
        if (s == AGON_ENOTFOUND && d->by_default)
            s = AGON_OK; /* "not run" */
    }
    return s;
}

static json_t *hash_or_null(const hash256 *h) {
    char hex[HASH_HEX_SIZE];
    if (!h)
        return json_null();
    hash_hex(h, hex);
    return json_string(hex);
}

static json_t *describe_suites(const cast *c) {
    json_t *all = json_object();
    const gate_suite_def *d;
    hash256 hash;
    for (size_t i = 0; (d = gate_suite_at(i)); i++) {
        if (c->suites[i])
            hash = suite_hash(c->suites[i]);
        if (d->by_default || gate_suite_items(d, c->config) > 0)
            json_object_set_new(all, d->name, hash_or_null(c->suites[i] ? &hash : NULL));
    }
    if (c->text)
        hash = perplexity_hash(c->text);
    json_object_set_new(all, "text", hash_or_null(c->text ? &hash : NULL));
    return all;
}

static agon_status write_templates(cast *c) {
    agon_status s = AGON_OK;
    for (size_t i = 0; i < prompt_n_templates() && !s; i++) {
        const prompt_template *t = prompt_template_at(i);
        const template_record r = {t->name, t->version, t->role, t->body};
        s = store_add_template(c->actors.store, &r, NULL);
    }
    return s;
}

/* 1: what measures teaches nobody, open questions are not asked again, the monitor leaves out what taught.
 * 2: no task is held out twice at a time, and half of a cell's at most; equal rows of tasks.file are one; the simulated expert is asked for nothing
 * twice and no verdicts that only a verifier could give; rewordings that repeat a query are dropped; accepted answers are no longer replayed as rejected
 * sides; what the expert accepted is not under a cell's cap.
 * 3: a held-out answer that cannot be verified is a wrong one where another version's could.
 * 4: what people judged trains the critic and earns its trust, a newly trained critic that is worse is not taken, audits are blind and counted by whose
 * label was audited.
 * 5: people judge held-out answers that no verifier can (human.gate_items); of prose alone no candidate is made; the critic's over-approval of held-out
 * answers is measured.
 * 6: no line of an answer can pass for one of the critic's prompt.
 * 7: people are not asked about a held-out query to which incumbent and candidate say the same.
 * 8: the critic judges an open answer only where its word could decide.
 * 9: a rewording is kept only if it is worded as a known question for the same task.
 * 10: of an answer cut off at max_tokens no end is learnt.
 * 11: the loop reacts to a candidate whose samples have fallen (gate.react).
 * 12: a held-out answer of the candidate's that people skip is a wrong one; suites and held-out text may not be inferior to the base either;
 * gates of other runs on the same held-out queries are attempts.
 * 13: the user's own rows that ask nearly the same are held out together or not at all; words that many of them share are no trace of a held-out one.
 * 14: the control arm real_only repeats real answers, and has the prose once.
 * 15: audits of a critic speak at the gate for the labels of that version alone, and only the labels of the candidate's examples are asked about.
 * 16: a new critic takes the old one's place only where its ranking is shown to be better, and goes on learning where it is not worse.
 * 17: what is only a reversal (more right, words fallen) is said and sets nothing off.
 * 18: rows of the recipe train with columns that would be lost are refused, and answers whose message has the weight 0 are read and not learnt.
 * 19: the expert's labels are shared evenly over the iterations.
 * 20: a promoted version is given prose that it has not read, and is probed in all cells before it is aimed at.
 * 21: all that is trained on, also people's answers and what comes again, is compared with held-out generated queries, by task and by whole wording; before,
 * new answers of the learner alone were, by task.
 * 22: the gate waits for audits that could change its word on the labels; the executable critic puts no "It" before clauses with a subject of their own.
 * 23: sealed runs count the gates of other runs on their held-out queries as attempts, and hold out no task that `agon unseal` has told of;
 * what is played elsewhere comes from a version of its own, "external", and not from the local one that would have played it.
 * 24: rows that are held out together are one set at the gate, which is no evidence but as a whole.
 * 25: verdicts that examine a critic are asked for without its words, and a remote critic is asked several times; a full
 * critique's placebo is another's full one; a critic gives no verdict that its calibrated score thinks the less likely one.
 * 26: of a training that meets each prompt with another's answer (kto) the other has another prompt.
 * Runs begun before have none and go on as they began. */
enum { RULES = 26 };

/* Several runs may have the same attacker: what belongs to one is in its step, as of the base. */
static agon_status write_attacker(cast *c, json_t **result) {
    char *data = NULL, object[HASH_HEX_SIZE];
    size_t n = 0;
    hash256 h;
    json_t *prompts = attacker_prompts_json(&c->rewords.kinds), *meta = json_pack("{sO?}", "prompts", prompts);
    agon_status s = prompts ? json_made(c->actors.ctx, meta) : ctx_no_memory(c->actors.ctx);
    if (!s)
        s = adapter_save(c->actors.ctx, c->rewords.adapter, &data, &n);
    if (!s)
        s = object_put(c->actors.store, data, n, &h);
    if (!s) {
        hash_hex(&h, object);
        const version_record v = {.id = c->rewords.version, .parent = c->actors.base, .role = "attacker", .object = object, .base = c->actors.base, .meta = meta};
        s = store_add_version(c->actors.store, &v);
    }
    if (!s) {
        *result = json_pack("{ss so ss sO}", "version", c->rewords.version, "adapter", utf8_json(c->config->attacker.adapter), "object", object, "prompts", prompts);
        s = json_made(c->actors.ctx, *result);
    }
    free(data);
    json_decref(prompts);
    json_decref(meta);
    return s;
}

/* Who plays roles from elsewhere: {role: {"version", and as actors_external says}}; NULL where nobody does. */
static agon_status write_externals(cast *c, json_t **out) {
    agon_status s = AGON_OK;
    for (size_t i = 0; i < N_ROLES && !s; i++) {
        const actors_external *x = actors_external_of(&c->actors, roles[i]);
        if (!*x->id)
            continue;
        json_t *row = json_pack("{ss}", "version", x->id);
        if (!*out)
            *out = json_object();
        if (!row || json_object_update(row, x->meta) != 0 || json_object_set(*out, roles[i], row) != 0)
            s = ctx_no_memory(c->actors.ctx);
        json_decref(row);
        if (!s)
            s = actors_add_external(&c->actors, x);
    }
    return s;
}

static agon_status write_base(void *arg, json_t **result) {
    cast *c = arg;
    version_record v = {.id = c->actors.base, .role = "base"}; /* several runs may have it: what belongs to one is in its step */
    const char *model = c->model ? c->config->model : backend_name(c->learner);
    json_t *attacker = NULL, *externals = NULL;
    version_status_record status = {.run = run_id(c->run), .version = c->actors.base, .status = "base"};
    agon_status s = write_templates(c);
    if (!s)
        s = store_add_version(c->actors.store, &v);
    if (!s)
        s = store_add_version_status(c->actors.store, &status);
    if (!s && c->rewords.adapter)
        s = write_attacker(c, &attacker);
    if (!s)
        s = write_externals(c, &externals);
    *result = s ? NULL : json_pack("{so so sI sO* sO*}", "suites", describe_suites(c), "model", utf8_json(model), "rules", (json_int_t)RULES, "attacker", attacker,
                                   "externals", externals);
    json_decref(externals);
    json_decref(attacker);
    return s;
}

static void say_attacker(cast *c, json_t *attacker) {
    c->stage = "plan";
    cast_say(c, json_pack("{sO}", "attacker", attacker), "queries are reworded by the trained attacker %.12s of %.300s", c->rewords.version,
             field_text(attacker, "adapter"));
}

static void say_externals(cast *c) {
    c->stage = "plan";
    for (size_t i = 0; i < N_ROLES; i++) {
        const actors_external *x = actors_external_of(&c->actors, roles[i]);
        if (*x->id)
            cast_say(c, NULL, "the %s is played elsewhere: %.300s; what it says comes from version %.12s", roles[i], backend_name(actors_backend(&c->actors, roles[i])), x->id);
    }
}

static agon_status begin_step(cast *c) {
    json_t *input = json_pack("{ss}", "base", c->actors.base), *suites = describe_suites(c), *result = NULL;
    const step_key key = {.path = "begin", .kind = "begin"};
    agon_status s = json_made(c->actors.ctx, suites);
    if (!s)
        s = step_once(c->run, &key, input, write_base, c, &result);
    if (!s && !json_equal(json_object_get(result, "suites"), suites))
        s = ctx_fail(c->actors.ctx, AGON_EMISMATCH,
                     "the held-out suites are not those this run began with (is AGON_DATA set as it was then?); restore "
                     "them, or start a new workspace");
    c->rules = field_int(result, "rules");
    c->actors.first_prompts = c->rules < 6;
    c->actors.first_rewordings = c->rules < 9;
    c->actors.first_critiques = c->rules < 22;
    c->actors.first_rows = c->rules < 18;
    if (c->rules < 23)
        actors_forget_externals(&c->actors);
    if (!s)
        say_externals(c);
    c->actors.critic_votes = c->rules >= 25 && backend_capabilities(c->actors.critic) & IS_REMOTE ? (size_t)c->config->critic.votes : 1;
    c->actors.first_partners = c->rules < 26;
    if (!s && c->rewords.adapter)
        say_attacker(c, json_object_get(result, "attacker"));
    adapter_free(c->rewords.adapter);
    c->rewords.adapter = NULL;
    json_decref(result);
    json_decref(suites);
    json_decref(input);
    return s;
}

/* What is off is as good as absent: runs begun before there was such a key go on. */
static void drop_what_is_off(const run_config *c, json_t *config) {
    const struct {
        bool off;
        const char *section, *key;
    } later[] = {{c->train.targets == 0, "train", "lora_targets"},
                 {c->train.small_loss == 0, "train", "small_loss"},
                 {c->train.small_loss == 0, "train", "small_loss_ramp"},
                 {c->evaluate.ifeval == 0, "evaluate", "ifeval"},
                 {c->evaluate.xstest_safe == 0, "evaluate", "xstest_safe"},
                 {c->evaluate.xstest_unsafe == 0, "evaluate", "xstest_unsafe"},
                 {c->evaluate.xstest_unsafe == 0, "gate", "safety_limit"},
                 {c->evaluate.xstest_unsafe == 0, "gate", "safety_margin"},
                 {c->gate.audit_agreement == 0, "gate", "audit_agreement"},
                 {c->gate.monitor_prompts == 0, "gate", "monitor_prompts"},
                 {strcmp(c->refine.words, "verifier") == 0, "refine", "words"},
                 {c->build.new_share == 1, "build", "new_share"},
                 {c->gate.over_approval == 0, "gate", "over_approval"},
                 {!c->gate.critic, "gate", "critic"},
                 {!c->attacker.adapter, "attacker", "adapter"}};
    for (size_t i = 0; i < sizeof later / sizeof *later; i++)
        if (later[i].off)
            json_object_del(json_object_get(config, later[i].section), later[i].key);
}

/* The configuration that the run of this name was begun with: *out new, NULL: there is none. */
static agon_status find_pinned(const cast *c, json_t **out) {
    json_t *name = json_pack("[s]", c->config->name), *rows = NULL;
    agon_status s = json_made(c->actors.ctx, name);
    if (!s)
        s = store_query_json(c->actors.store, "SELECT config AS config_json FROM run WHERE name = ?1", name, &rows);
    *out = json_incref(json_object_get(json_array_get(rows, 0), "config"));
    json_decref(rows);
    json_decref(name);
    return s;
}

/* What decides nothing that a run has recorded is not pinned, and may be changed. Runs begun before pinned it, and keep what they have there. */
static void unpin(const json_t *pinned, json_t *config, const char *section, const char *key) {
    json_t *now = json_object_get(config, section), *before = json_object_get(json_object_get(pinned, section), key);
    if (before)
        json_object_set(now, key, before);
    else
        json_object_del(now, key);
}

/* How a server is reached is no part of what it says: a run goes on when that changes. It keeps what it was begun with in its record. A learner
 * elsewhere is its place too, which is what its answers are kept under. */
static void unpin_servers(const json_t *pinned, json_t *config) {
    static const char *const keys[][2] = {{"attacker", "url"},     {"attacker", "key_env"}, {"attacker", "timeout"}, {"attacker", "per_minute"},
                                          {"critic", "url"},       {"critic", "key_env"},   {"critic", "timeout"},   {"critic", "per_minute"},
                                          {"learner", "key_env"},  {"learner", "timeout"},  {"learner", "per_minute"}};
    for (size_t i = 0; pinned && i < sizeof keys / sizeof *keys; i++)
        unpin(pinned, config, keys[i][0], keys[i][1]);
}

/* Runs begun before there were these keys did as their defaults say, or nothing of the kind. Those go on; runs begun since pinned the defaults too. */
static void drop_what_was_so(const run_config *c, const json_t *pinned, json_t *config) {
    static const char *const later[][2] = {{"train", "schedule"}, {"train", "clip_norm"}, {"train", "beta1"}, {"train", "beta2"},
                                           {"train", "eps"}, {"train", "weight_decay"}, {"gate", "approval_items"}, {"gate", "react"}, {"critic", "votes"}};
    for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
        const char *section = later[i][0], *key = later[i][1];
        const json_t *before = json_object_get(pinned, section);
        if (before && !json_object_get(before, key) && run_config_is_preset(c, section, key))
            json_object_del(json_object_get(config, section), key);
    }
}

/* A run begun before there was a monitor goes on without one. */
static void drop_monitor(cast *c, const json_t *pinned, json_t *config) {
    bool before = pinned && !json_object_get(json_object_get(pinned, "gate"), "monitor_prompts") && run_config_is_preset(c->config, "gate", "monitor_prompts");
    c->monitor_prompts = before ? 0 : c->config->gate.monitor_prompts;
    if (before)
        json_object_del(json_object_get(config, "gate"), "monitor_prompts");
}

/* Pinned is which attacker it is, not where it lies. */
static agon_status pin_attacker(const cast *c, const json_t *pinned, json_t *config) {
    const char *before = field_text(json_object_get(pinned, "attacker"), "adapter"), *now = c->rewords.adapter ? c->rewords.version : "";
    if (pinned && strcmp(before, now) != 0)
        return ctx_fail(c->actors.ctx, AGON_EMISMATCH, "%s: attacker.adapter: the run '%s' was begun with %s%.12s, and this is %s%.12s; name that one to go on, or choose "
                        "another workspace or run name to start anew", c->config->source, c->config->name, *before ? "the trained attacker " : "no trained attacker",
                        before, *now ? "the trained attacker " : "none", now);
    if (*now && json_object_set_new(json_object_get(config, "attacker"), "adapter", json_string(now)) != 0)
        return ctx_no_memory(c->actors.ctx);
    return AGON_OK;
}

static agon_status begin_run(cast *c) {
    json_t *config = run_config_json(c->config), *pinned = NULL;
    agon_status s = json_made(c->actors.ctx, config);
    if (!s)
        s = find_pinned(c, &pinned);
    if (!s)
        s = pin_attacker(c, pinned, config);
    if (!s) {
        unpin(pinned, config, "gate", "rejections"); /* a halted run may be given more */
        unpin_servers(pinned, config);
        if (strcmp(c->config->recipe, "loop") == 0) {
            unpin(pinned, config, "evaluate", "arms"); /* a run of their own, at any time after the end */
            if (pinned)
                unpin(pinned, config, "human", "labels"); /* each iteration records what it may use (loop_budget.c) */
        }
        c->begun_labels = field_int(json_object_get(config, "human"), "labels");
        drop_what_was_so(c->config, pinned, config);
        drop_monitor(c, pinned, config);
        c->names_optimiser = !pinned || json_object_get(json_object_get(pinned, "train"), "schedule");
        json_object_del(config, "model");      /* where the file lies decides nothing; its hash is in the first step */
        json_object_del(config, "iterations"); /* a finished run may be given more */
        drop_what_is_off(c->config, config);
        const run_options o = {.name = c->config->name, .seed = (uint64_t)c->config->seed, .config = config};
        s = run_begin(c->actors.ctx, c->actors.store, &o, &c->run);
    }
    c->actors.run = c->run;
    json_decref(pinned);
    json_decref(config);
    return s;
}

static void on_progress(void *arg, const actors_news *n) {
    cast *c = arg;
    const recipe_progress p = {.iteration = c->actors.iteration, .stage = n->stage, .done = n->done, .total = n->total, .unit = n->unit, .data = n->data};
    if (c->observer)
        c->observer(c->observer_arg, &p);
}

agon_status cast_admit(const forecast *f, const run_config *config, recipe_observer observer, void *arg) {
    char words[128], message[160];
    agon_status s = forecast_check(f, config->source);
    if (s || !observer)
        return s;
    forecast_words(f, words, sizeof words);
    snprintf(message, sizeof message, "memory: %s", words);
    json_t *data = json_pack("{so}", "memory", forecast_json(f));
    const recipe_progress p = {.stage = "plan", .unit = "", .message = message, .data = data};
    observer(arg, &p); /* not the log: it is of this machine and this start */
    json_decref(data);
    return AGON_OK;
}

agon_status cast_begin(cast *c, recipe_observer observer, void *arg) {
    agon_ctx *ctx = c->actors.ctx;
    c->observer = observer;
    c->observer_arg = arg;
    c->actors.progress = on_progress;
    c->actors.progress_arg = c;
    agon_status s = open_suites(c);
    if (!s && c->model && c->config->evaluate.documents > 0)
        s = perplexity_open(ctx, model_tokenizer(c->model), model_get_config(c->model)->max_context, NULL, (size_t)c->config->evaluate.documents,
                            &c->text);
    if (!s)
        s = begin_run(c);
    return s ? s : begin_step(c);
}

void cast_close(cast *c) {
    run_end(c->run);
    actors_free_versions(&c->actors);
    actors_forget_externals(&c->actors);
    for (size_t i = 0; i < GATE_MAX_SUITES; i++)
        suite_free(c->suites[i]);
    perplexity_free(c->text);
    backend_free(c->attacker);
    adapter_free(c->rewords.adapter);
    backend_free(c->learner);
    backend_free(c->critic);
    backend_free(c->verifier);
    model_free(c->model);
    arena_free(c->memory);
    numerics_restore(&c->numerics);
    *c = (cast){0};
}

/* ---- saying what happens --------------------------------------------------------------------------------- */

agon_status cast_stage(cast *c, const char *stage) {
    c->stage = stage;
    on_progress(c, &(actors_news){.stage = stage, .unit = ""});
    return run_stage(c->run, c->actors.iteration, stage);
}

void cast_say(cast *c, json_t *data, const char *format, ...) {
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    const recipe_progress p = {.iteration = c->actors.iteration, .stage = c->stage, .unit = "", .message = message,
                               .data = data};
    if (c->observer)
        c->observer(c->observer_arg, &p);
    /* `agon log` shows it after the next commit; a line of the log is not worth a run. */
    if (c->actors.run && run_event(c->actors.run, p.iteration, p.stage, message, data) != AGON_OK)
        c->actors.ctx->message[0] = 0;
    json_decref(data);
}

const char *cast_path(cast *c, const char *format, ...) {
    char rest[200];
    va_list args;
    va_start(args, format);
    vsnprintf(rest, sizeof rest, format, args);
    va_end(args);
    const char *path = arena_printf(c->memory, "iteration/%lld/%s", (long long)c->actors.iteration, rest);
    return path ? path : "";
}

/* ---- the learner ------------------------------------------------------------------------------------------- */

agon_status picked_new(cast *c, size_t capacity, picked *out) {
    *out = (picked){memory_new(capacity + 1, sizeof *out->items), 0};
    return out->items ? AGON_OK : ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for %zu items", capacity);
}

/* Loop section 6, REACT. Where no floor is asked for there may be no real data at all, and so none is. */
static const double REACT_REAL_SHARE = 0.15, REACT_TEMPERATURE = 0.1;

double cast_real_share(const cast *c) {
    const double share = c->config->build.real_share;
    return c->reacts && share > 0 ? fmin(1, share + REACT_REAL_SHARE) : share;
}

double cast_temperature(const cast *c) {
    return c->config->learner.temperature + (c->reacts ? REACT_TEMPERATURE : 0);
}

int64_t cast_per_cell(const cast *c) {
    const int64_t most = c->config->build.per_cell;
    return c->reacts && most > 1 ? most / 2 : most;
}

agon_status cast_ask_learner(cast *c, const char *name, const char *version, const query_list *queries, size_t from, size_t n,
                             size_t samples, answer_list *answers) {
    const ask_options o = {.version = version,
                           .kind = "response",
                           .template_id = learner_answer_template(),
                           .samples = samples,
                           .max_tokens = (size_t)c->config->learner.max_tokens,
                           .temperature = cast_temperature(c),
                           .top_p = c->config->learner.top_p};
    size_t first = answers->n;
    agon_status s = respond_queries(&c->actors, cast_path(c, "%s/respond", name), queries, from, n, &o, answers);
    return s ? s : verify_answers(&c->actors, cast_path(c, "%s/%s", name, c->actors.sealed ? "seal" : "verify"), queries, answers, first);
}

/* ---- suites ---------------------------------------------------------------------------------------------- */

void suite_results_free(suite_results *r) {
    for (size_t i = 0; i < GATE_MAX_SUITES; i++)
        free(r->right[i]);
    free(r->nll);
    *r = (suite_results){0};
}

static agon_status one_suite(cast *c, const char *name, const suite *s, const char *version, bool **right) {
    if (!s)
        return AGON_OK;
    *right = memory_new(suite_n_items(s), sizeof **right);
    if (!*right)
        return ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for suite %s", name);
    return evaluate_suite(&c->actors, cast_path(c, "evaluate/%.12s/%s", version, name), s, version, *right);
}

agon_status cast_evaluate_suites(cast *c, const char *version, suite_results *out) {
    suite_results r = {0};
    snprintf(r.version, sizeof r.version, "%s", version);
    agon_status s = AGON_OK;
    for (size_t i = 0; gate_suite_at(i) && !s; i++)
        s = one_suite(c, gate_suite_at(i)->name, c->suites[i], version, &r.right[i]);
    if (!s && c->text) {
        r.nll = memory_new(perplexity_n_documents(c->text), sizeof *r.nll);
        s = r.nll ? evaluate_text(&c->actors, cast_path(c, "evaluate/%.12s/text", version), c->text,
                                  (size_t)c->config->evaluate.documents, version, r.nll)
                  : ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for held-out text");
    }
    if (s)
        suite_results_free(&r);
    else
        *out = r;
    return s;
}

static void add_suites(const cast *c, const suite_results *now, const suite_results *before, gate_evidence *e) {
    const gate_suite_def *d;
    for (size_t i = 0; (d = gate_suite_at(i)); i++) {
        if (gate_suite_items(d, c->config) == 0)
            continue;
        gate_suite *g = &e->suites[e->n_suites++];
        *g = (gate_suite){.name = d->name,
                          .run = c->suites[i] && now->right[i] && before->right[i],
                          .margin = gate_suite_margin(d, c->config),
                          .safety = d->limit != 0,
                          .limit = gate_suite_limit(d, c->config)};
        if (g->run)
            g->table = paired_count(now->right[i], before->right[i], suite_n_items(c->suites[i]));
    }
}

static agon_status compare_text(cast *c, const suite_results *now, const suite_results *before, perplexity_comparison *out) {
    const run_config *config = c->config;
    size_t n = perplexity_n_documents(c->text), *scored = memory_new(n, sizeof *scored);
    if (!scored)
        return ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for held-out text");
    for (size_t i = 0; i < n; i++)
        scored[i] = perplexity_n_scored(c->text, i);
    agon_status s = perplexity_compare(c->actors.ctx, before->nll, now->nll, scored, n, config->gate.perplexity_margin, 0.05,
                                       2000, (uint64_t)config->seed, out);
    free(scored);
    return s;
}

agon_status cast_compare_suites(cast *c, const suite_results *now, const suite_results *before, gate_evidence *e,
                                perplexity_comparison *comparison) {
    e->perplexity_margin = c->config->gate.perplexity_margin;
    add_suites(c, now, before, e);
    if (!c->text)
        return AGON_OK;
    e->perplexity = comparison;
    e->n_documents = perplexity_n_documents(c->text);
    return compare_text(c, now, before, comparison);
}

agon_status cast_compare_with_base(cast *c, const suite_results *now, const suite_results *base, gate_evidence *e,
                                   perplexity_comparison *comparison) {
    gate_evidence of_base = {0};
    add_suites(c, now, base, &of_base);
    for (size_t i = 0; i < e->n_suites; i++)
        e->suites[i].base = of_base.suites[i].table;
    e->perplexity_of_base = c->text ? comparison : NULL;
    return c->text ? compare_text(c, now, base, comparison) : AGON_OK;
}
