/* Recipe `train`: one training, with any objective, on the rows of a file, as a version of the workspace.
 *
 *   read    the rows as they are now, checked; a file that changes later changes nothing
 *   build   an example record a row
 *   train   a LoRA version on the base, with the head its objective reads
 *
 * There is no gate: the version stays a candidate, for `agon eval`, `agon export` or a reward model's user to judge. */
#include "base/ctx.h"
#include "recipe/recipe_private.h"
#include "step/train_version.h"
#include "store/store.h"
#include "train/data.h"
#include <stdlib.h>
#include <string.h>

typedef struct reading {
    cast *c;
    const objective *objective;
    json_t *rows; /* [{"row", "tokens": of its responses, "line"}] */
} reading;

static agon_status keep_row(void *arg, const json_t *row, const train_row *made) {
    reading *r = arg;
    size_t n = 0;
    for (size_t k = 0; k < made->n_responses; k++)
        n += made->responses[k].n;
    return json_append(r->c->actors.ctx, r->rows, json_pack("{sO sI sI}", "row", (json_t *)(uintptr_t)row, "tokens", (json_int_t)n, "line",
                                                               (json_int_t)made->line));
}

static json_t *all_skipped(const dataset *d) {
    json_t *list = json_array();
    data_fault fault;
    const char *sentence;
    for (size_t i = 0; (sentence = dataset_skipped(d, i, &fault)); i++)
        json_array_append_new(list, json_pack("{ss ss}", "fault", data_fault_name(fault), "sentence", sentence));
    return list;
}

static agon_status read_file(void *arg, json_t **result) {
    reading *r = arg;
    const run_config *config = r->c->config;
    agon_ctx *ctx = r->c->actors.ctx;
    double settings[MAX_OBJECTIVE_OPTIONS];
    const dataset_options o = {.max_tokens = (size_t)config->train.max_length, .as_begun = r->c->actors.first_rows, .skip_bad = strcmp(config->train.bad_rows, "skip") == 0,
                               .settings = settings, .on_row = keep_row, .arg = r};
    dataset *d = NULL;
    char *text = NULL, hex[HASH_HEX_SIZE];
    hash256 h;
    agon_status s = objective_configure(ctx, r->objective, (const char *const *)config->train.set.items, config->train.set.n, settings);
    if (!s)
        s = dataset_read_with(ctx, model_tokenizer(r->c->model), config->train.data, r->objective, &o, &d);
    if (!s)
        s = (text = json_canonical(r->rows)) ? object_put(r->c->actors.store, text, strlen(text), &h)
                                             : ctx_fail(ctx, AGON_ENOMEM, "no memory for the rows");
    if (!s) {
        dataset_summary n = dataset_summarise(d);
        hash_hex(&h, hex);
        *result = json_pack("{ss sI sI sI so}", "object", hex, "rows", (json_int_t)n.n_rows, "truncated", (json_int_t)n.n_truncated,
                            "skipped", (json_int_t)n.n_skipped, "skipped_rows", all_skipped(d));
        s = json_made(ctx, *result);
    }
    free(text);
    dataset_free(d);
    return s;
}

/* *rows as stored, new; *report what was read, new. */
static agon_status take_rows(cast *c, const objective *o, json_t **rows, json_t **report) {
    const run_config *config = c->config;
    reading r = {c, o, json_array()};
    json_t *input = json_pack("{ss ss sI}", "objective", config->train.objective, "bad_rows", config->train.bad_rows, "max_length",
                              (json_int_t)config->train.max_length);
    const step_key key = {.path = "rows", .kind = "read"};
    void *text = NULL;
    size_t n = 0;
    hash256 h;
    agon_status s = r.rows ? step_once(c->run, &key, input, read_file, &r, report) : ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory");
    if (!s && !hash_parse(field_text(*report, "object"), &h))
        s = ctx_fail(c->actors.ctx, AGON_EMISMATCH, "the recorded rows have no hash");
    if (!s)
        s = object_get(c->actors.store, &h, &text, &n);
    if (!s && !(*rows = json_loadb(text, n, 0, NULL)))
        s = ctx_fail(c->actors.ctx, AGON_EMISMATCH, "the recorded rows are not JSON");
    free(text);
    json_decref(input);
    json_decref(r.rows);
    return s;
}

static void say_what_was_read(cast *c, const json_t *report) {
    const json_t *rows = json_object_get(report, "skipped_rows"), *one;
    const long long n = (long long)field_int(report, "skipped");
    size_t i;
    cast_say(c, NULL, "%lld rows, %lld too long and cut, %lld left out", (long long)field_int(report, "rows"),
             (long long)field_int(report, "truncated"), n);
    json_array_foreach((json_t *)(uintptr_t)rows, i, one) {
        if (i == AGON_ROWS_NAMED)
            break;
        cast_say(c, NULL, "left out: %s", field_text(one, "sentence"));
    }
    if (n > AGON_ROWS_NAMED)
        cast_say(c, NULL, "left out: and %lld more; the run's summary has all", n - AGON_ROWS_NAMED);
}

static agon_status train_on(cast *c, const json_t *rows, char version[STORE_ID_SIZE]) {
    const run_config *config = c->config;
    size_t n = json_array_size(rows);
    example *examples = memory_new(n + 1, sizeof *examples);
    size_t *lines = memory_new(n + 1, sizeof *lines);
    const train_optimiser optimiser = {config->train.schedule, config->train.clip_norm,
                                       config->train.beta1, config->train.beta2, config->train.eps, config->train.weight_decay};
    const train_plan plan = {.file = config->train.data, .lines = lines, .role = "learner", .parent = c->actors.base, .objective = config->train.objective,
                             .settings = config->train.set.items, .n_settings = config->train.set.n,
                             .rank = (size_t)config->train.rank, .targets = config->train.targets, .epochs = (size_t)config->train.epochs,
                             .batch = (size_t)config->train.batch, .checkpoint_every = (size_t)config->train.checkpoint_every,
                             .max_length = (size_t)config->train.max_length, .alpha = config->train.lora_alpha,
                             .lr = config->train.lr, .warmup = config->train.warmup, .small_loss = config->train.small_loss,
                             .small_loss_ramp = config->train.small_loss_ramp, .optimiser = c->names_optimiser ? &optimiser : NULL};
    agon_status s = examples && lines ? AGON_OK : ctx_fail(c->actors.ctx, AGON_ENOMEM, "no memory for %zu rows", n);
    for (size_t i = 0; i < n && !s; i++) {
        const json_t *one = json_array_get(rows, i);
        lines[i] = (size_t)field_int(one, "line");
        examples[i] = (example){.objective = config->train.objective, .origin = "real", .row = json_object_get(one, "row"),
                                .n_tokens = field_int(one, "tokens")};
    }
    if (!s)
        s = cast_stage(c, "build");
    if (!s)
        s = build_examples(&c->actors, "build", examples, n);
    if (!s)
        s = cast_stage(c, "train");
    if (!s)
        s = train_version(&c->actors, "train", examples, n, &plan, version);
    free(examples);
    free(lines);
    return s;
}

/* The rows are known now, and nothing has been computed. */
static agon_status admit(cast *c, const objective *o, const json_t *rows) {
    const run_config *config = c->config;
    agon_ctx *ctx = c->actors.ctx;
    forecast f = forecast_new(ctx, c->model, (size_t)config->train.rank, 1);
    f.targets = config->train.targets;
    train_options options = train_options_default();
    dataset *d = NULL;
    size_t n = 0;
    json_t *list = json_array(), *one;
    json_array_foreach(rows, n, one)
        json_array_append(list, json_object_get(one, "row"));
    options.objective = o;
    options.next_partner = c->actors.first_partners;
    options.batch_rows = (size_t)config->train.batch;
    options.selection = (train_selection){.tau = config->train.small_loss, .ramp = config->train.small_loss_ramp};
    agon_status s = objective_configure(ctx, o, (const char *const *)config->train.set.items, config->train.set.n, options.objective_options);
    if (!s)
        s = dataset_from_json(ctx, model_tokenizer(c->model), list, o, options.objective_options, (size_t)config->train.max_length, c->actors.first_rows, &d);
    if (!s) {
        const train_row *made = dataset_rows(d, &n);
        forecast_training(&f, made, n, &options);
        s = cast_admit(&f, config, c->observer, c->observer_arg);
    }
    dataset_free(d);
    json_decref(list);
    return s;
}

static agon_status train_recipe(cast *c, json_t **summary) {
    const objective *o = objective_find(c->config->train.objective);
    json_t *rows = NULL, *report = NULL;
    char version[STORE_ID_SIZE] = "";
    c->actors.iteration = 1;
    agon_status s = cast_stage(c, "read");
    if (!s)
        s = take_rows(c, o, &rows, &report);
    if (!s) {
        say_what_was_read(c, report);
        s = admit(c, o, rows);
    }
    if (!s)
        s = train_on(c, rows, version);
    if (!s)
        s = run_finish(c->run, "done", "trained");
    if (!s) {
        json_object_del(report, "object");
        *summary = json_pack("{ss ss s{ss ss} sO}", "state", "done", "base", c->actors.base, "version", "id", version, "status",
                             "candidate", "rows", report);
        s = json_made(c->actors.ctx, *summary);
    }
    json_decref(rows);
    json_decref(report);
    return s;
}

/* Text of the file's rows, in tokens. */
static agon_status count_tokens(void *arg, const char *where, json_t *row) {
    double *n = arg;
    char *text = json_dumps(row, JSON_COMPACT);
    (void)where;
    *n += (double)(text ? strlen(text) : 0) / BYTES_A_TOKEN;
    free(text);
    return AGON_OK;
}

/* The file, as often as it is read. */
static agon_status cost(agon_ctx *ctx, const run_config *r, expected *t) {
    double n = 0;
    agon_status s = jsonl_read(ctx, r->train.data, count_tokens, &n);
    t->trained += n * (double)r->train.epochs;
    return s;
}

/* Rows of the user's own, with any objective: what the file does not say is as in agon train, not as in the loop, whose rate and
 * passes are those of short answers to its own tasks. */
static void presets(run_config *c) {
    if (!run_config_gives(c, "train", "lr"))
        c->train.lr = 1e-4;
    if (!run_config_gives(c, "train", "epochs"))
        c->train.epochs = 1;
    if (!run_config_gives(c, "train", "warmup"))
        c->train.warmup = 0.03;
    if (!run_config_gives(c, "train", "max_length"))
        c->train.max_length = 2048;
    if (!run_config_gives(c, "train", "lora_alpha"))
        c->train.lora_alpha = 2 * (double)c->train.rank;
}

static agon_status check(agon_ctx *ctx, const run_config *c, const objective *o) {
    (void)o; /* any */
    if (c->iterations != 1 || strcmp(c->learner.by.backend, "local") != 0)
        return ctx_fail(ctx, AGON_EINVAL, "%s: the recipe train is one training of the local model; set 'iterations: 1' and "
                        "'learner: {backend: local}'", c->source);
    return AGON_OK;
}

static const char *const without_effect[] = {"attacker.adapter", NULL};

const recipe recipe_train = {.name = "train", .oracle = "open", .without_effect = without_effect, .reads_rows = true, .presets = presets, .check = check, .cost = cost, .run = train_recipe};
