/* The durable training step, see train_version.h. The result names the version and nothing that an interruption could change: losses and
 * rates go to the live view and the events of the process that takes the step. */
#include "step/train_version.h"
#include "base/ctx.h"
#include "base/numerics.h"
#include "train/data.h"
#include "train/score_rows.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- examples ------------------------------------------------------------------------------------------ */

agon_status example_count_tokens(actors *a, const char *answer, bool ended, int64_t *n) {
    if (a->model) {
        token_list ids = {0};
        agon_status s = tokenizer_encode(a->ctx, model_tokenizer(a->model), answer, strlen(answer), false, &ids);
        *n = (int64_t)ids.n + ended;
        token_list_free(&ids);
        return s;
    }
    int64_t words = 1;
    for (const char *p = answer; *p; p++)
        words += *p == ' ';
    *n = words * 4 / 3 + ended;
    return AGON_OK;
}

static json_t *example_row(const example *e) {
    if (e->row)
        return json_deep_copy(e->row);
    if (e->raw && !e->rejected)
        return json_pack("{ss ss}", "prompt", e->prompt, "completion", e->chosen);
    if (e->raw)
        return json_pack("{ss ss ss}", "prompt", e->prompt, "chosen", e->chosen, "rejected", e->rejected);
    json_t *prompt = json_pack("[{ss ss}]", "role", "user", "content", e->prompt);
    json_t *chosen = json_pack("[{ss ss}]", "role", "assistant", "content", e->chosen);
    json_t *cut = e->chosen_cut ? json_string("length") : NULL;
    if (!e->rejected)
        return json_pack("{so so so*}", "prompt", prompt, "completion", chosen, "finish", cut);
    return json_pack("{so so s[{ss ss}] so* ss*}", "prompt", prompt, "chosen", chosen, "rejected", "role", "assistant", "content",
                     e->rejected, "chosen_finish", cut, "rejected_finish", e->rejected_cut ? "length" : NULL);
}

typedef struct to_build {
    actors *a;
    const example *examples;
} to_build;

static agon_status add_example(void *arg, size_t i, json_t *ids) {
    const to_build *b = arg;
    actors *a = b->a;
    const example *e = &b->examples[i];
    json_t *fields = example_row(e);
    char slot[24];
    store_id id;
    snprintf(slot, sizeof slot, "%zu", i);
    example_record r = {.run = run_id(a->run),
                        .objective = e->objective,
                        .origin = e->origin,
                        .iteration = a->iteration,
                        .n_tokens = e->n_tokens,
                        .fields = fields,
                        .labels = e->labels,
                        .n_labels = e->n_labels,
                        .texts = e->texts,
                        .n_texts = e->n_texts,
                        .slot = slot};
    agon_status s = json_made(a->ctx, fields);
    if (!s)
        s = store_add_example(a->store, &r, &id);
    json_decref(fields);
    return s ? s : json_append(a->ctx, ids, json_string(id.text));
}

/* What the examples are, for the step's input: changed examples are a changed recipe. */
static json_t *examples_digest(const example *examples, size_t n) {
    char hex[HASH_HEX_SIZE];
    hasher *h = hasher_new();
    for (size_t i = 0; h && i < n; i++) {
        char *row = examples[i].row ? json_canonical(examples[i].row) : NULL;
        if (row)
            hasher_add_field(h, row);
        free(row);
        if (examples[i].row)
            continue;
        const char *fields[] = {examples[i].objective, examples[i].origin, examples[i].prompt, examples[i].chosen,
                                examples[i].rejected ? examples[i].rejected : ""};
        for (size_t k = 0; k < sizeof fields / sizeof *fields; k++)
            hasher_add_field(h, fields[k]);
        if (examples[i].chosen_cut || examples[i].rejected_cut)
            hasher_add_field(h, examples[i].chosen_cut && examples[i].rejected_cut ? "both cut" : examples[i].chosen_cut ? "chosen cut" : "rejected cut");
    }
    if (!h)
        return NULL;
    hash256 digest = hasher_end(h);
    hash_hex(&digest, hex);
    return json_pack("{ss sI}", "examples", hex, "n", (json_int_t)n);
}

agon_status build_examples(actors *a, const char *path, example *examples, size_t n) {
    json_t *input = examples_digest(examples, n), *result = NULL;
    const step_key key = {.path = path, .kind = "build"};
    agon_status s = step_list(a->run, &key, input, n, add_example, &(to_build){a, examples}, &result);
    for (size_t i = 0; i < n && !s; i++) {
        const char *id = json_string_value(json_array_get(result, i));
        snprintf(examples[i].id, sizeof examples[i].id, "%s", id ? id : "");
    }
    json_decref(result);
    json_decref(input);
    return s;
}

/* ---- training ------------------------------------------------------------------------------------------ */

typedef struct training {
    actors *a;
    const step_key *key;
    const train_plan *plan;
    const json_t *input;
    const example *examples;
    size_t n;
} training;

static agon_status on_step(void *arg, const train_progress *p) {
    const training *t = arg;
    json_t *data = json_pack("{sf sf sf}", "loss", p->loss, "grad_norm", p->grad_norm, "lr", p->lr);
    actors_progress(t->a, &(actors_news){.stage = strcmp(t->plan->role, "critic") == 0 ? "train critic" : "train", .done = p->step, .total = p->n_steps, .unit = "steps",
                                         .data = data});
    json_decref(data);
    return ctx_check_interrupt(t->a->ctx);
}

static agon_status on_checkpoint(void *arg, size_t step, const byte_stream *state) {
    const training *t = arg;
    return step_checkpoint_put(t->a->run, t->key, step, state);
}

static agon_status plan_options(actors *a, const train_plan *plan, uint64_t seed, train_options *o) {
    *o = train_options_default();
    o->objective = objective_find(plan->objective);
    if (!o->objective)
        return ctx_fail(a->ctx, AGON_ENOTFOUND, "there is no objective '%s'", plan->objective);
    agon_status s = objective_configure(a->ctx, o->objective, (const char *const *)plan->settings, plan->n_settings, o->objective_options);
    if (s)
        return s;
    const train_optimiser *x = plan->optimiser;
    if (x) {
        o->clip_norm = (float)x->clip_norm;
        o->beta1 = (float)x->beta1, o->beta2 = (float)x->beta2, o->eps = (float)x->eps;
        o->weight_decay = (float)x->weight_decay;
        s = schedule_find(a->ctx, x->schedule, &o->schedule);
        if (s)
            return s;
    }
    o->next_partner = a->first_partners;
    o->batch_rows = plan->batch;
    o->epochs = plan->epochs;
    o->lr = (float)plan->lr;
    o->warmup = plan->warmup;
    o->seed = seed;
    o->checkpoint_every = plan->checkpoint_every;
    o->selection = (train_selection){.tau = plan->small_loss, .ramp = plan->small_loss_ramp};
    return AGON_OK;
}

static agon_status start_adapter(actors *a, const train_plan *plan, const train_options *o, const adapter **parent, adapter **out) {
    const adapter_options shape = {.rank = plan->rank, .targets = plan->targets, .alpha = (float)plan->alpha, .seed = o->seed};
    agon_status s = actors_adapter(a, plan->parent, parent);
    if (!s)
        s = *parent ? adapter_clone(a->ctx, *parent, out) : adapter_new(a->ctx, a->model, &shape, out);
    return s ? s : train_add_head(a->ctx, a->model, *out, o->objective, o->objective_options, o->seed);
}

static json_t *training_rows(const example *examples, size_t n) {
    json_t *rows = json_array();
    for (size_t i = 0; rows && i < n; i++)
        if (json_array_append_new(rows, example_row(&examples[i])) != 0) {
            json_decref(rows);
            return NULL;
        }
    return rows;
}

/* Tokens of all rows times epochs: what the run is charged for. */
static int64_t trained_tokens(const dataset *d, size_t epochs) {
    size_t n_rows, n = 0;
    const train_row *rows = dataset_rows(d, &n_rows);
    for (size_t i = 0; i < n_rows; i++) {
        n += rows[i].n_prompt;
        for (size_t k = 0; k < rows[i].n_responses; k++)
            n += rows[i].responses[k].n;
    }
    return (int64_t)(n * epochs);
}

static agon_status add_version(const training *t, const adapter *trained, json_t **result) {
    actors *a = t->a;
    const train_plan *plan = t->plan;
    size_t n = t->n;
    char *data = NULL, version[STORE_ID_SIZE], object[HASH_HEX_SIZE], hex[HASH_HEX_SIZE];
    size_t size = 0;
    hash256 h;
    const char **ids = memory_new(n, sizeof *ids);
    agon_status s = ids ? adapter_save(a->ctx, trained, &data, &size) : ctx_fail(a->ctx, AGON_ENOMEM, "no memory");
    if (!s)
        s = object_put(a->store, data, size, &h);
    for (size_t i = 0; i < n && !s; i++)
        ids[i] = t->examples[i].id;
    if (!s) {
        char *canonical = json_canonical(t->input);
        hash256 config = hash_text(canonical ? canonical : "");
        free(canonical);
        hash_hex(&h, object);
        hash_hex(&config, hex);
        actors_version_id(a, trained, version);
        version_record v = {.run = run_id(a->run),
                            .id = version,
                            .parent = plan->parent,
                            .role = plan->role,
                            .iteration = a->iteration,
                            .object = object,
                            .base = a->base,
                            .data_hash = field_text(t->input, "examples"),
                            .config_hash = hex,
                            .numerics = numerics_name(a->ctx->numerics),
                            .examples = ids,
                            .n_examples = plan->control ? 0 : n};
        version_status_record status = {.run = run_id(a->run), .version = version, .status = "candidate",
                                        .iteration = a->iteration};
        s = store_add_version(a->store, &v);
        if (!s && !plan->control)
            s = store_add_version_status(a->store, &status);
    }
    if (!s)
        *result = json_pack("{ss ss}", "version", version, "object", object);
    free(data);
    free(ids);
    return s;
}

static agon_status run_training(void *arg, json_t **result) {
    training *t = arg;
    actors *a = t->a;
    const train_plan *plan = t->plan;
    uint64_t seed = step_seed(a->run, t->key), at = 0;
    train_options o;
    adapter *trained = NULL;
    const adapter *parent = NULL;
    dataset *d = NULL;
    byte_reader resume = {0};
    size_t n_rows = 0;
    const train_sink sink = {.on_step = on_step, .on_checkpoint = on_checkpoint, .arg = t};
    json_t *rows = training_rows(t->examples, t->n);
    agon_status s = rows ? plan_options(a, plan, seed, &o) : ctx_fail(a->ctx, AGON_ENOMEM, "no memory for training rows");
    if (!s)
        s = dataset_from_json(a->ctx, model_tokenizer(a->model), rows, o.objective, o.objective_options, plan->max_length ? plan->max_length : TRAIN_VERSION_TOKENS,
                              a->first_rows, &d);
    if (!s && plan->lines)
        dataset_place(d, plan->file, plan->lines, t->n);
    if (!s)
        s = start_adapter(a, plan, &o, &parent, &trained);
    if (!s)
        s = step_checkpoint_open(a->run, t->key, &at, &resume);
    const train_row *list = s ? NULL : dataset_rows(d, &n_rows);
    if (!s)
        s = train(a->ctx, a->model, trained, NULL, parent, list, n_rows, &o, &sink, at ? &resume : NULL);
    if (at && (s == AGON_EMISMATCH || s == AGON_EFORMAT)) { /* another agon's: it costs time, not truth */
        adapter_free(trained);
        trained = NULL;
        s = start_adapter(a, plan, &o, &parent, &trained);
        if (!s)
            s = train(a->ctx, a->model, trained, NULL, parent, list, n_rows, &o, &sink, NULL);
    }
    if (!s)
        s = train_set_scale(a->ctx, a->model, trained, o.objective, o.objective_options, list, n_rows);
    if (!s)
        s = store_settle(a->store, run_id(a->run), "tokens.trained", trained_tokens(d, plan->epochs));
    if (!s)
        s = add_version(t, trained, result);
    byte_reader_close(&resume);
    adapter_free(trained);
    dataset_free(d);
    json_decref(rows);
    return s;
}

static json_t *plan_json(const example *examples, size_t n, const train_plan *p) {
    json_t *input = examples_digest(examples, n), *settings = json_array();
    for (size_t i = 0; i < p->n_settings; i++)
        json_array_append_new(settings, json_string(p->settings[i]));
    json_t *plan = json_pack("{ss ss ss so sI sI sI sf sf sf}", "role", p->role, "parent", p->parent, "objective",
                             p->objective, "settings", settings, "rank", (json_int_t)p->rank, "epochs",
                             (json_int_t)p->epochs, "batch", (json_int_t)p->batch, "alpha", p->alpha, "lr", p->lr, "warmup",
                             p->warmup);
    if (plan && p->targets) { /* not named, as before there was a choice, where it is all */
        char targets[LORA_TARGETS_SIZE];
        lora_targets_print(p->targets, targets);
        json_object_set_new(plan, "targets", json_string(targets));
    }
    if (plan && p->small_loss > 0) {
        json_object_set_new(plan, "small_loss", json_real(p->small_loss));
        json_object_set_new(plan, "small_loss_ramp", json_real(p->small_loss_ramp));
    }
    const train_optimiser *x = p->optimiser;
    if (plan && x)
        json_object_set_new(plan, "optimiser", json_pack("{ss sf sf sf sf}", "schedule", x->schedule, "clip_norm", x->clip_norm, "beta1", x->beta1, "beta2", x->beta2, "eps", x->eps));
    if (plan && x && x->weight_decay > 0) /* runs begun before there was a choice go on */
        json_object_set_new(json_object_get(plan, "optimiser"), "weight_decay", json_real(x->weight_decay));
    if (input && json_object_update(input, plan) != 0) {
        json_decref(input);
        input = NULL;
    }
    json_decref(plan);
    return input;
}

agon_status train_version(actors *a, const char *path, const example *examples, size_t n, const train_plan *plan,
                          char version[STORE_ID_SIZE]) {
    json_t *input = plan_json(examples, n, plan), *result = NULL;
    const step_key key = {.path = path, .kind = "train"};
    training t = {a, &key, plan, input, examples, n};
    agon_status s = a->model ? step_once(a->run, &key, input, run_training, &t, &result)
                             : ctx_fail(a->ctx, AGON_EUNSUPPORTED,
                                        "training needs the local model; give learner or critic 'backend: local'");
    if (!s)
        snprintf(version, STORE_ID_SIZE, "%s", field_text(result, "version"));
    json_decref(result);
    json_decref(input);
    return s;
}
