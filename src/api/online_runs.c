/* agon.h, online training: the policy samples answers (online_prompts.c), they are rewarded (online_rewards.c), it trains on that.
 *
 *   online.json   what is trained (base, objective, every option), the rounds so far, then "done" and the summary. A round is in it before its
 *                 state is stored; a round without a state is taken out again when the training goes on
 *   state.bin     how far: adapter, moments, KL coefficient after the last whole round; gone when done
 *   rewards.json  what a judge said of the round that goes on; gone when done
 *   adapter_*     the result
 *
 * Each file is replaced whole; a round that was interrupted is done again, to the same bits. A judge's rewards are no function of anything here,
 * which is why they are kept before they are trained on. */
#include "api/dataset.h"
#include "api/online_prompts.h"
#include "api/online_rewards.h"
#include "api/options.h"
#include "api/result_files.h"
#include "api/training_folder.h"
#include "api/training_options.h"
#include "base/ctx.h"
#include "base/file.h"
#include "base/fp_environment.h"
#include "base/json.h"
#include "base/utf8.h"
#include "base/numerics.h"
#include "train/online.h"
#include "train/row_spans.h"
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

agon_online_options agon_online_options_default(void) {
    return (agon_online_options){.struct_size = sizeof(agon_online_options), .rounds = 10, .prompts = 16, .samples = 4,
                                 .max_tokens = 48, .no_end_penalty = 1, .kl_target = 6, .span_placement = "spread",
                                 .ensemble_strength = -1, .rso_beta = 0.5, .judge_timeout = 60, .pass_reward = 0.5, .schedule = "constant"};
}

typedef struct online_run {
    agon_ctx *ctx;
    agon_model *m;
    agon_train_options options;
    agon_online_options online;
    online_options inner;
    const objective *objective;
    adapter *adapter, *reference;
    prompt_source *source;
    online_rewards *rewards;
    prompt_item *prompts; /* [n_prompts] of the round */
    span_placement placement;
    text_span *spans; /* [n_prompts, n_samples] what the verifier cites in failed samples; NULL: not wanted */
    training_folder folder;
    char *state_path, *judged_path;
    size_t resumed_after;
} online_run;

/* ---- options --------------------------------------------------------------------------------------------- */

/* AGON_EINVAL names a number that rounds cannot have. */
static agon_status check_numbers(agon_ctx *ctx, const agon_online_options *o) {
    const option_range numbers[] = {
        {"no_end_penalty", o->no_end_penalty, -NUMBER_LIMIT, NUMBER_LIMIT}, {"kl_target", o->kl_target, 0, NUMBER_LIMIT},
        {"kl_horizon", o->kl_horizon, 0, 1e15}, {"span_reward", o->span_reward, 0, NUMBER_LIMIT},
        {"ensemble_strength", o->ensemble_strength, -NUMBER_LIMIT, NUMBER_LIMIT}, {"rso_beta", o->rso_beta, 0, NUMBER_LIMIT},
        {"judge_timeout", o->judge_timeout, 0, 1e9}, {"pass_reward", o->pass_reward, -NUMBER_LIMIT, NUMBER_LIMIT}};
    return options_in_range(ctx, numbers, sizeof numbers / sizeof *numbers);
}

static agon_status take_options(online_run *r, const char *name, const agon_train_options *given, const agon_online_options *online) {
    agon_train_options *o = &r->options;
    agon_online_options *n = &r->online;
    train_options *t = &r->inner.train;
    *n = agon_online_options_default();
    agon_status s = OPTIONS_GIVEN(r->ctx, {"the model", r->m, 1}, {"the objective", name, 1}, {"the output folder", r->folder.path, 1});
    if (!s)
        s = options_take(r->ctx, "agon_online_options", online, sizeof *n, n);
    if (!s)
        s = options_texts(r->ctx, "cells", n->cells, n->n_cells);
    if (!s)
        s = options_texts(r->ctx, "reward_models", n->reward_models, n->n_reward_models);
    if (!s)
        s = check_numbers(r->ctx, n);
    if (!s)
        s = objective_named(r->ctx, name, &r->objective);
    if (!s)
        s = training_options_take(r->ctx, given, r->objective, o, t);
    if (!s && o->validation)
        s = ctx_fail(r->ctx, AGON_EINVAL, "a training in rounds makes its own rows and is judged by their rewards: held-out rows (validation) say nothing of it");
    if (!s && (!o->reference || strcmp(o->reference, "start") != 0))
        s = ctx_fail(r->ctx, AGON_EINVAL, "the reference of a training in rounds is where it begins (reference: start)");
    if (s)
        return s;
    if (n->prompts > ROUND_SAMPLES_MAX)
        return ctx_fail(r->ctx, AGON_EINVAL, "a round of %zu prompts is more than %d samples", n->prompts, ROUND_SAMPLES_MAX);
    if (!s && o->lora_rank == 0 && !o->adapter)
        s = ctx_fail(r->ctx, AGON_EUNSUPPORTED, "online training trains an adapter: give the rank of a new one (--lora 16) or one to "
                     "go on from");
    if (!s && (o->small_loss != 0 || o->co_teach))
        s = ctx_fail(r->ctx, AGON_EINVAL, "online training's rewards come from a verifier or a reward model; rows are selected by small losses "
                     "in training on a file");
    t->warmup = 0; /* a round is a few steps; the rate is the same in all of them */
    t->schedule = SCHEDULE_CONSTANT;
    if (!s)
        s = schedule_find(r->ctx, n->schedule, &r->inner.schedule);
    training_take_partners(o, r->folder.path, "online.json", t);
    r->inner.n_rounds = n->rounds;
    r->inner.n_prompts = n->prompts;
    r->inner.n_samples = n->samples;
    r->inner.max_tokens = n->max_tokens;
    r->inner.no_end_penalty = n->no_end_penalty;
    r->inner.kl_target = n->kl_target;
    r->inner.kl_horizon = n->kl_horizon;
    r->inner.span_rewards = n->span_reward > 0;
    r->inner.n_accept = n->accept;
    r->inner.rso_beta = n->rso_beta;
    r->inner.top_k = n->top_k;
    r->inner.demonstrations = n->demonstrations;
    r->inner.pass_reward = n->pass_reward;
    if (!s && !(n->span_reward >= 0 && isfinite(n->span_reward)))
        s = ctx_fail(r->ctx, AGON_EINVAL, "the reward of spans (%g) must be 0 or more: what is cited loses it", n->span_reward);
    if (!s)
        s = span_placement_find(r->ctx, "online training", n->span_placement ? n->span_placement : "spread", &r->placement);
    return s;
}

static agon_status open_adapters(online_run *r) {
    const agon_train_options *o = &r->options;
    const model *m = r->m->m;
    agon_status s;
    if (o->adapter) {
        s = adapter_import_peft(r->ctx, m, o->adapter, &r->adapter);
        if (!s)
            s = adapter_clone(r->ctx, r->adapter, &r->reference);
    } else {
        adapter_options a;
        s = training_adapter(r->ctx, o, &a);
        if (!s)
            s = adapter_new(r->ctx, m, &a, &r->adapter);
    }
    return s;
}

/* What is asked, and what rewards the answers. What takes demonstrations learns from them by itself and needs no reward. */
static agon_status open_sources(online_run *r) {
    const agon_online_options *o = &r->online;
    bool demonstrated = r->objective->needs & TAKES_DEMONSTRATIONS;
    agon_status s = online_rewards_open(r->ctx, r->m, o, &r->rewards);
    if (s)
        return s;
    const prompt_source_options options = {.data = o->data, .cells = o->cells, .n_cells = o->n_cells, .n_prompts = o->prompts,
                                           .max_tokens = model_get_config(r->m->m)->max_context, .seed = r->options.seed,
                                           .verify = (online_rewards_by_verifier(r->rewards) && (!demonstrated || o->demonstrations)) || o->span_reward > 0,
                                           .demonstrate = demonstrated || o->demonstrations};
    return prompt_source_open(r->ctx, r->m->tokenizer.t, &options, &r->source);
}

/* ---- prompts and rewards ----------------------------------------------------------------------------------- */

static agon_status give_prompts(void *arg, size_t round, online_prompt *out) {
    online_run *r = arg;
    agon_status s = prompt_source_round(r->source, round, r->prompts);
    for (size_t i = 0; i < r->inner.n_prompts && !s; i++) {
        const prompt_item *p = &r->prompts[i];
        out[i] = (online_prompt){p->tokens, p->n_tokens, p->demonstration, p->n_demonstration};
    }
    return s;
}

static agon_status give_rewards(void *arg, size_t round, const online_prompt *prompts, const completion *samples, double *rewards) {
    online_run *r = arg;
    const reward_question q = {round, r->options.seed, r->prompts, samples, r->inner.n_prompts, r->inner.n_samples};
    (void)prompts; /* r->prompts, and more of them */
    return online_rewards_give(r->rewards, &q, r->judged_path, rewards, r->spans);
}

static agon_status give_token_rewards(void *arg, size_t i, const completion *sample, double *out) {
    online_run *r = arg;
    const text_span *span = &r->spans[i];
    size_t(*offsets)[2] = calloc(sample->n_tokens + 1, sizeof *offsets);
    agon_status s = offsets ? AGON_OK : ctx_no_memory(r->ctx);
    if (!s && span->end > span->start) {
        s = token_offsets(r->ctx, r->m->tokenizer.t, sample->tokens, sample->n_tokens, sample->text, sample->n_text, false, offsets);
        if (!s)
            span_rewards((const size_t(*)[2])offsets, sample->n_tokens, span, 1, r->placement, out);
    }
    free(offsets);
    return s;
}

/* ---- the folder -------------------------------------------------------------------------------------------- */

static json_t *report_json(const online_report *p) {
    return json_pack("{s:I,s:I,s:o,s:o,s:f,s:f,s:o,s:f,s:f,s:I,s:o,s:o}", "round", (json_int_t)p->round, "rounds",
                     (json_int_t)p->n_rounds, "reward", real_or_null(p->reward), "reward_std", real_or_null(p->reward_std), "length", p->length, "ended",
                     p->ended, "kl", real_or_null(p->kl), "distinct", p->distinct, "flat_groups", p->flat_groups, "rows", (json_int_t)p->n_rows,
                     "beta", real_or_null(p->beta), "loss", real_or_null(p->loss));
}

/* The record first: a kill before the state is stored leaves it one round ahead, which keep_rounds takes back; the other way round a round
 * would be lost for good. */
static agon_status on_state(void *arg, const online_report *p, const void *data, size_t n) {
    online_run *r = arg;
    json_t *one = report_json(p);
    if (one && r->spans) {
        json_object_set_new(one, "flagged", json_real(p->flagged));
        json_object_set_new(one, "span_reward", real_or_null(p->span_reward));
    }
    bool known = one && online_rewards_report(r->rewards, one) && json_array_append(json_object_get(r->folder.manifest, "rounds"), one) == 0;
    agon_status s = known ? training_folder_write(&r->folder) : ctx_no_memory(r->ctx);
    json_decref(one);
    return s ? s : file_write(r->ctx, r->state_path, data, n);
}

/* When the round cannot be lost any more. */
static agon_status on_round(void *arg, const online_report *p) {
    online_run *r = arg;
    const json_t *rounds = json_object_get(r->folder.manifest, "rounds");
    (void)p; /* the last of the record, and more of it */
    if (!r->online.on_round)
        return AGON_OK;
    char *text = json_dumps(json_array_get(rounds, json_array_size(rounds) - 1), JSON_COMPACT);
    if (text)
        r->online.on_round(r->online.arg, text);
    free(text);
    return text ? AGON_OK : ctx_no_memory(r->ctx);
}

/* Cuts the record to the rounds of the state, all of which it has. */
static agon_status keep_rounds(const online_run *r, size_t n) {
    json_t *rounds = json_object_get(r->folder.manifest, "rounds");
    if (n > r->inner.n_rounds) /* a damaged state: whoever reads it says so */
        return AGON_OK;
    for (size_t i = 0; i < n; i++)
        if (json_integer_value(json_object_get(json_array_get(rounds, i), "round")) != (json_int_t)i + 1)
            return ctx_fail(r->ctx, AGON_EFORMAT, "%s: \"rounds\" is not what a training wrote", r->folder.manifest_path);
    while (json_array_size(rounds) > n)
        json_array_remove(rounds, json_array_size(rounds) - 1);
    return AGON_OK;
}

/* Everything the result is a function of. */
static agon_status describe(online_run *r) {
    const agon_train_options *o = &r->options;
    hash256 base, from = {{0}};
    agon_status s = model_id(r->ctx, r->m->m, &base);
    if (r->reference)
        from = adapter_hash(r->reference);
    json_t *j = r->folder.manifest = json_pack(
        "{s:i,s:b,s:s,s:o,s:o,s:o,s:I,s:f,s:I,s:I,s:f,s:f,s:f,s:f,s:I,s:I,s:I,s:I,s:I,s:f,s:f,s:f,s:s,s:s,s:[]}", "format", 1,
        "done", 0, "objective", r->objective->name, "settings",
        training_settings(r->objective, r->inner.train.objective_options), "base", json_hash(&base), "adapter", json_hash(&from),
        "lora_rank", (json_int_t)o->lora_rank, "lora_alpha", o->lora_alpha,
        "epochs", (json_int_t)o->epochs, "batch_rows", (json_int_t)o->batch_rows, "learning_rate", o->learning_rate, "weight_decay",
        o->weight_decay, "clip_norm", o->clip_norm, "temperature", o->temperature, "seed", (json_int_t)o->seed, "n_rounds",
        (json_int_t)r->online.rounds, "prompts", (json_int_t)r->online.prompts, "samples", (json_int_t)r->online.samples,
        "max_tokens", (json_int_t)r->online.max_tokens, "no_end_penalty", r->online.no_end_penalty, "kl_target", r->online.kl_target,
        "kl_horizon", r->online.kl_horizon, "dtype", model_dtype(r->m->m) == COMPUTE_F32 ? "f32" : "bf16", "numerics",
        numerics_name(r->ctx->numerics), "rounds");
    training_describe_adam(o, j);
    training_describe_base_name(o, j);
    training_describe_partners(&r->inner.train, j);
    if (!s && j)
        s = training_describe_targets(r->ctx, o, j);
    if (r->inner.schedule != SCHEDULE_CONSTANT)
        json_object_set_new(j, "schedule", json_string(r->online.schedule));
    if (r->inner.span_rewards) {
        json_object_set_new(j, "span_reward", json_real(r->online.span_reward));
        json_object_set_new(j, "span_placement", json_string(r->online.span_placement));
    }
    if (r->inner.top_k)
        json_object_set_new(j, "top_k", json_integer((json_int_t)r->inner.top_k));
    if (r->inner.n_accept)
        json_object_set_new(j, "accept", json_integer((json_int_t)r->inner.n_accept));
    if (r->inner.n_accept || (r->objective->needs & TAKES_REJECTED_SAMPLES))
        json_object_set_new(j, "rso_beta", json_real(r->inner.rso_beta));
    if (r->inner.demonstrations)
        json_object_set_new(j, "pass_reward", json_real(r->inner.pass_reward));
    if (!s)
        s = j ? prompt_source_describe(r->source, j) : ctx_no_memory(r->ctx);
    return s ? s : online_rewards_describe(r->rewards, j) ? AGON_OK : ctx_no_memory(r->ctx);
}

static agon_status open_folder(online_run *r) {
    agon_status s = training_folder_open(&r->folder, "online.json");
    if (!s)
        s = training_folder_file(&r->folder, "state.bin", &r->state_path);
    if (!s)
        s = training_folder_file(&r->folder, "rewards.json", &r->judged_path);
    if (!s)
        file_sweep(r->folder.path);
    return s;
}

static agon_status no_round(const online_run *r) {
    return ctx_fail(r->ctx, AGON_ENOTFOUND, "%s has no finished round to go on from", r->folder.path);
}

/* Goes on with what the folder holds, or begins. *summary is set when it is done already. */
static agon_status find_state(online_run *r, char **summary) {
    json_t *found = NULL;
    agon_status s = AGON_OK;
    const bool earlier = file_exists(r->folder.manifest_path), over = r->options.overwrite;
    bool strange = result_files_find(r->folder.lock) || faccessat(r->folder.lock, "training.json", F_OK, 0) == 0;
    if (over)
        s = training_folder_no_input(&r->folder, weights_path(model_weights(r->m->m)), r->options.adapter);
    if (!s && strange && !earlier)
        s = ctx_fail(r->ctx, AGON_EINVAL, "%s holds an adapter or a model and no online training%s; give another output folder", r->folder.path,
                     over ? ", which --overwrite would replace" : "");
    if (!s && !earlier && (file_exists(r->state_path) || file_exists(r->judged_path)))
        s = ctx_fail(r->ctx, AGON_EINVAL, "%s has %s of no online training; move it away, or give another output folder", r->folder.path,
                     file_exists(r->state_path) ? "state.bin" : "rewards.json");
    if (!s && !earlier && r->options.must_resume)
        s = no_round(r);
    if (s)
        return s;
    if (!earlier || over) { /* killed in between, it is the training before without its state, or this one before its first round */
        if (earlier) {
            unlink(r->state_path);
            unlink(r->judged_path);
        }
        r->folder.began = true;
        s = training_folder_write(&r->folder);
        if (!s && earlier)
            result_files_remove(r->folder.lock);
        return s;
    }
    s = training_folder_read(&r->folder, &found);
    if (!s)
        online_rewards_go_on(r->rewards, found, r->folder.manifest);
    if (!s)
        s = training_folder_same_tokens(&r->folder, found, "prompts", "another chat template or tokenizer");
    if (!s && json_is_true(json_object_get(found, "done"))) {
        json_object_set_new(json_object_get(found, "summary"), "resumed_after", json_integer((json_int_t)r->inner.n_rounds));
        s = training_folder_has_result(&r->folder, r->m->m, NULL, json_object_get(found, "summary"));
        if (!s)
            s = training_folder_done(&r->folder, found, summary);
        if (!s) { /* a kill just after "done" leaves them */
            unlink(r->state_path);
            unlink(r->judged_path);
        }
    } else if (!s && r->options.must_resume && !file_exists(r->state_path)) {
        s = no_round(r);
    } else if (!s) {
        if (json_is_array(json_object_get(found, "rounds")))
            json_object_set(r->folder.manifest, "rounds", json_object_get(found, "rounds"));
        if (!file_exists(r->state_path)) /* killed before it had removed an earlier result */
            result_files_remove(r->folder.lock);
    }
    json_decref(found);
    return s;
}

static agon_status run_rounds(online_run *r) {
    file_map image = {0};
    const online_sink sink = {give_prompts, give_rewards, on_round, NULL, on_state, r, give_token_rewards};
    agon_status s = AGON_OK;
    r->prompts = calloc(r->inner.n_prompts, sizeof *r->prompts);
    if (r->inner.span_rewards)
        r->spans = calloc(r->inner.n_prompts * r->inner.n_samples, sizeof *r->spans);
    if (!r->prompts || (r->inner.span_rewards && !r->spans))
        return ctx_no_memory(r->ctx);
    const bool resumes = file_exists(r->state_path);
    if (resumes)
        s = file_map_open(r->ctx, r->state_path, &image);
    r->resumed_after = online_state_rounds(image.data, image.size);
    const agon_status kept = s ? AGON_OK : keep_rounds(r, r->resumed_after);
    if (!s && !kept)
        s = online_train(r->ctx, r->m->m, r->adapter, r->reference, &r->inner, &sink, image.data, image.size);
    if (image.data)
        file_unmap(&image);
    if (kept)
        return training_folder_damaged(r->ctx, kept, r->folder.manifest_path);
    return resumes ? training_folder_damaged(r->ctx, s, r->state_path) : s;
}

static agon_status finish(online_run *r, char **summary) {
    char real[PATH_MAX];
    hash256 id = adapter_hash(r->adapter);
    agon_status s = adapter_export_peft(r->ctx, r->adapter, r->options.base_name ? r->options.base_name : weights_place(model_weights(r->m->m), real), r->folder.path);
    if (s)
        return s;
    json_t *j = json_pack("{s:o,s:s,s:s,s:I,s:I,s:o,s:b}", "output", utf8_json(r->folder.path), "kind", "peft", "objective", r->objective->name,
                          "rounds", (json_int_t)r->inner.n_rounds, "resumed_after", (json_int_t)r->resumed_after, "id", json_hash(&id),
                          "already_done", 0);
    s = training_folder_finish_take(&r->folder, j, "resumed_after", summary); /* the record is the same however often it was interrupted */
    if (!s) {
        unlink(r->state_path);
        unlink(r->judged_path);
    }
    return s;
}

static void online_close(online_run *r) {
    prompt_source_free(r->source);
    online_rewards_free(r->rewards);
    free(r->prompts);
    free(r->spans);
    adapter_free(r->adapter);
    adapter_free(r->reference);
    free(r->state_path);
    free(r->judged_path);
    training_folder_close(&r->folder);
}

agon_status agon_train_online(agon_ctx *ctx, agon_model *m, const char *objective, const char *output,
                              const agon_train_options *options, const agon_online_options *online, char **summary) {
    FP_ENVIRONMENT();
    online_run r = {.ctx = ctx, .m = m, .folder = {.ctx = ctx, .path = output, .lock = -1}};
    char *made = NULL;
    agon_status s = take_options(&r, objective, options, online);
    if (!s)
        s = open_adapters(&r);
    if (!s)
        s = open_sources(&r);
    if (!s)
        s = describe(&r);
    if (!s)
        s = online_check(ctx, m->m, r.adapter, &r.inner);
    if (!s)
        s = open_folder(&r);
    if (!s)
        s = find_state(&r, &made);
    if (!s && !made)
        s = run_rounds(&r);
    if (!s && !made)
        s = finish(&r, &made);
    /* What can never be trained must not keep the folder from better options. */
    if (s == AGON_EINVAL && r.folder.began && json_array_size(json_object_get(r.folder.manifest, "rounds")) == 0) {
        unlink(r.judged_path);
        unlink(r.folder.manifest_path);
    }
    online_close(&r);
    if (s || !summary)
        free(made);
    else
        *summary = made;
    return s;
}
