/* agon train: rows in a file to an adapter or a model in a folder. */
#include "cli/preference.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct train_arguments {
    const char *objective, *model, *dtype, *chat_template, *data, *output, *schedule, *small_loss_level, *aggregate, *validation, *keep;
    double small_loss_ramp, lora_alpha; /* NAN: not given */
    const char **settings;
    bool json, dry_run, skip_bad;
    int64_t validate_every, preview, lora, epochs, batch, seed, max_length, steps, checkpoint_every, small_loss_span;
    agon_train_options options;
    const char *dimension_list, *ideal_list;
    char *dimension_text;
    const char *dimensions[17]; /* one more than there may be: the library says so */
    size_t n_dimensions;
    const char *target_list; /* --lora-targets */
    char *target_text;
    const char *targets[17];
    const char *adapter_list; /* --adapters */
    char *adapter_text;
    const char *adapters[17];
    size_t n_adapters;
    double *ideal;
    int64_t vectors;
    bool is_online;
    const char *of_files, *of_rounds, *of_dimensions; /* an option that stood and only one way of training has; NULL: none */
    const char **cells, **reward_models;
    int64_t rounds, prompts, samples, max_tokens, accept, judge_repeats, top_k;
    const char *principles; /* the file */
    char *principles_text;
    agon_online_options online;
} train_arguments;

/* ---- what is shown ------------------------------------------------------------------------------------ */

/* A line {name: json}. */
static void print_named(const char *name, const char *json) {
    char *line = NULL;
    if (asprintf(&line, "{\"%s\":%s}", name, json) >= 0)
        print_json_text(line);
    free(line);
}

static int show_preview(const train_arguments *a, const opened *o, const agon_dataset *d) {
    size_t n = agon_dataset_n_rows(d);
    for (size_t i = 0; i < n && i < (size_t)a->preview; i++) {
        char *text = NULL;
        agon_status s = agon_dataset_preview(o->ctx, d, i, a->json, &text);
        if (s)
            return fail_with("train", s, o->ctx);
        if (a->json)
            print_named("preview", text);
        else
            print_safe(stdout, text);
        agon_text_free(text);
    }
    return EXIT_FINE;
}

static void show_memory(const agon_memory *m) {
    printf("memory: %zu MiB at the peak, %zu of them now", m->peak >> 20, m->resident >> 20);
    if (m->available != SIZE_MAX)
        printf(", %zu MiB more can be had%s", m->available >> 20,
               m->peak - m->resident > m->available ? ": IT DOES NOT FIT" : "");
    puts(m->recomputes ? " (activations are computed again to fit)" : "");
}

/* A row that is trained on is not held out. */
static agon_status count_shared(const train_arguments *a, const opened *o, const agon_dataset *d, size_t *n) {
    agon_status s = agon_dataset_n_shared(o->ctx, a->options.validation, d, n);
    if (!s && *n)
        say_error("train", "%zu of the %zu rows of %s are rows of %s too; what is trained on is not held out (agon data split keeps them apart)", *n,
                agon_dataset_n_rows(a->options.validation), a->validation, a->data);
    return s;
}

static agon_status show_validation_plan(const train_arguments *a, const opened *o, const agon_dataset *d) {
    size_t shared = 0, every = agon_train_validate_every(d, &a->options);
    agon_status s = a->options.validation ? count_shared(a, o, d, &shared) : AGON_OK;
    if (s || !a->options.validation)
        return s;
    if (a->json)
        printf("{\"validation_plan\":{\"rows\":%zu,\"every\":%zu,\"keep\":\"%s\",\"shared\":%zu}}\n", agon_dataset_n_rows(a->options.validation), every,
               a->options.keep, shared);
    else
        printf("validation: %zu rows before step 1, after every %zu steps and at the end; the %s step is kept\n", agon_dataset_n_rows(a->options.validation), every,
               a->options.keep);
    return s;
}

/* What is not trained on: fields the objective does not read, and rows left out. *n_implicit: pairs without a prompt of their own. */
static agon_status show_unused(const train_arguments *a, const opened *o, const agon_dataset *d, long long *n_implicit) {
    char *text = NULL;
    agon_status s = agon_dataset_unused(o->ctx, d, &text);
    json_t *report = s ? NULL : json_loads(text, 0, NULL), *one;
    const json_t *rows = json_object_get(report, "skipped_rows");
    size_t n = (size_t)member_count(report, "skipped");
    *n_implicit = member_count(report, "implicit_prompts");
    const char *field;
    json_object_foreach(json_object_get(report, "unread"), field, one)
        fprintf(stderr, "agon train: %s does not read \"%s\", which %lld rows have\n", a->objective, field, (long long)json_integer_value(one));
    if (member_count(report, "space_only"))
        fprintf(stderr, "agon train: the sides of %lld pairs differ only in the white space they end with\n",
                member_count(report, "space_only"));
    if (n && a->json) {
        json_t *line = json_pack("{sI sO}", "skipped", (json_int_t)n, "skipped_rows", rows);
        print_json(line);
        json_decref(line);
    }
    if (n)
        fprintf(stderr, "agon train: %zu rows are left out:\n", n);
    print_sentences(stderr, rows, n);
    json_decref(report);
    agon_text_free(text);
    return s;
}

static int show_plan(const train_arguments *a, const opened *o, const agon_dataset *d) {
    agon_memory memory;
    long long n_implicit = 0;
    agon_status s = show_unused(a, o, d, &n_implicit);
    if (!s)
        s = agon_train_memory(o->ctx, o->model, d, &a->options, &memory);
    if (s)
        return fail_with("train", s, o->ctx);
    size_t rows = agon_dataset_n_rows(d), cut = agon_dataset_n_truncated(d), tokens = agon_dataset_n_tokens(d),
           steps = agon_train_n_steps(d, &a->options);
    double lr = agon_train_learning_rate(d, &a->options);
    char available[32] = "null";
    if (memory.available != SIZE_MAX)
        snprintf(available, sizeof available, "%zu", memory.available);
    if (a->json)
        printf("{\"plan\":{\"objective\":\"%s\",\"rows\":%zu,\"truncated\":%zu,\"implicit_prompts\":%lld,\"tokens\":%zu,\"steps\":%zu,\"lr\":%g,\"memory\":{"
               "\"resident\":%zu,\"peak\":%zu,\"available\":%s,\"recomputes\":%s}}}\n",
               a->objective, rows, cut, n_implicit, tokens, steps, lr, memory.resident, memory.peak, available,
               memory.recomputes ? "true" : "false");
    else
        printf("%s: %zu rows, %zu tokens an epoch, %zu steps%s, learning rate %g\n", a->objective, rows, tokens, steps,
               a->options.lora_rank || a->options.adapter ? ", LoRA" : ", all weights", lr);
    if (!a->json)
        show_memory(&memory);
    if (n_implicit && !a->json)
        printf("%lld pairs have no \"prompt\": it is what both sides begin with\n", n_implicit);
    if (cut && !a->json)
        printf("%zu rows are longer than --max-length %lld: cut at the end\n", cut,
               (long long)a->max_length);
    s = show_validation_plan(a, o, d);
    fflush(stdout);
    return s ? fail_with("train", s, o->ctx) : EXIT_FINE;
}

static agon_status on_step(void *arg, const agon_train_progress *p) {
    const train_arguments *a = arg;
    double rate = p->seconds > 0 ? (double)p->tokens / p->seconds : 0;
    if (!a->json) {
        if (p->adapter)
            printf("%s  ", p->adapter);
        printf("step %zu/%zu  loss %.5f  grad_norm %.4f  lr %.3g  %.0f tokens/s", p->step, p->n_steps, p->loss, p->grad_norm,
               p->learning_rate, rate);
        for (size_t i = 0; i < p->n_metrics; i++)
            printf("  %s %.4g", p->metrics[i].name, p->metrics[i].value);
        putchar('\n');
    } else {
        json_t *metrics = json_object();
        for (size_t i = 0; i < p->n_metrics; i++)
            json_object_set_new(metrics, p->metrics[i].name, json_real(p->metrics[i].value));
        json_t *line = json_pack("{s:I,s:I,s:f,s:f,s:f,s:I,s:I,s:f,s:o}", "step", (json_int_t)p->step, "steps",
                                 (json_int_t)p->n_steps, "loss", p->loss, "grad_norm", p->grad_norm, "lr", p->learning_rate,
                                 "tokens", (json_int_t)p->tokens, "supervised", (json_int_t)p->supervised,
                                 "tokens_per_second", rate, "metrics", metrics);
        if (p->adapter)
            json_object_set_new(line, "adapter", json_string(p->adapter));
        print_json(line);
        json_decref(line);
    }
    fflush(stdout);
    return AGON_OK;
}

static agon_status on_validation(void *arg, const agon_train_validation *v) {
    const train_arguments *a = arg;
    if (!a->json) {
        printf("validation after step %zu/%zu  loss %.5f", v->step, v->n_steps, v->loss);
        for (size_t i = 0; i < v->n_metrics; i++)
            printf("  %s %.4g", v->metrics[i].name, v->metrics[i].value);
        puts(v->best ? "  (best)" : "");
    } else {
        json_t *metrics = json_object(), *line;
        for (size_t i = 0; i < v->n_metrics; i++)
            json_object_set_new(metrics, v->metrics[i].name, json_real(v->metrics[i].value));
        line = json_pack("{s:{s:I,s:I,s:f,s:b,s:o}}", "validation", "step", (json_int_t)v->step, "steps", (json_int_t)v->n_steps, "loss", v->loss, "best", v->best,
                         "metrics", metrics);
        print_json(line);
        json_decref(line);
    }
    fflush(stdout);
    return AGON_OK;
}

static void on_resume(void *arg, size_t step) {
    const train_arguments *a = arg;
    if (a->json)
        printf("{\"resumed_after\":%zu}\n", step);
    else
        printf("going on after step %zu\n", step);
    fflush(stdout);
}

/* What small-loss selection came to, and where the partner lies. */
static void show_selection(const json_t *summary) {
    const json_t *selection = json_object_get(summary, "selection"), *partner = json_object_get(summary, "partner");
    const char *ranked = json_object_get(selection, "tokens") ? "tokens" : json_object_get(selection, "spans") ? "spans" : "rows";
    double seen = (double)member_count(selection, ranked), kept = (double)member_count(selection, "kept");
    if (selection)
        printf("trained on %.0f of the %.0f %s of all batches\n", kept, seen, ranked);
    if (partner)
        printf_safe(stdout, "partner: PEFT adapter in %s, id %s; of the %s each kept, %.1f%% were not the other's\n", member_text(partner, "output"),
               member_text(partner, "id"), ranked, 100 * (double)member_count(selection, "disagreed") / kept);
}

static void show_validation(const json_t *summary) {
    const json_t *validation = json_object_get(summary, "validation"), *best = json_object_get(validation, "best");
    if (!validation)
        return;
    double start = json_real_value(json_object_get(validation, "start")), least = json_real_value(json_object_get(best, "loss"));
    printf("held-out loss: %.5f before step 1, least after step %lld (%.5f), %.5f at the end; kept: step %lld\n", start, member_count(best, "step"), least,
           json_real_value(json_object_get(validation, "last")), member_count(validation, "kept"));
    if (!(least < start))
        puts("no step was better than none on the held-out rows");
}

static void show_adapters(const json_t *summary) {
    const json_t *list = json_object_get(summary, "adapters");
    json_t *one;
    size_t i;
    printf("%s: %zu PEFT adapters\n", json_is_true(json_object_get(summary, "already_done")) ? "done already" : "done", json_array_size(list));
    json_array_foreach((json_t *)(uintptr_t)list, i, one)
        printf_safe(stdout, "  %s: %lld rows, %lld steps, in %s, id %s\n", member_text(one, "name"), member_count(one, "rows"),
               member_count(one, "steps"), member_text(one, "output"), member_text(one, "id"));
}

static void show_summary(const train_arguments *a, const char *text) {
    json_t *j = json_loads(text, 0, NULL);
    if (a->json)
        print_named("done", text);
    else if (json_object_get(j, "adapters"))
        show_adapters(j);
    else
        printf_safe(stdout, "%s: %s in %s, id %s\n", json_is_true(json_object_get(j, "already_done")) ? "done already" : "done",
               strcmp(member_text(j, "kind"), "peft") == 0 ? "PEFT adapter" : "Hugging Face folder", member_text(j, "output"),
               member_text(j, "id"));
    if (!a->json)
        show_selection(j), show_validation(j);
    json_decref(j);
}

/* ---- running ------------------------------------------------------------------------------------------ */

static int train_on(train_arguments *a, const opened *o, const agon_dataset *d) {
    char *summary = NULL;
    int code = show_preview(a, o, d);
    if (code != EXIT_FINE)
        return code;
    code = show_plan(a, o, d);
    if (code != EXIT_FINE || a->dry_run)
        return code;
    agon_status s = agon_train(o->ctx, o->model, d, a->output, &a->options, &summary);
    if (s)
        return fail_with("train", s, o->ctx);
    show_summary(a, summary);
    agon_text_free(summary);
    return EXIT_FINE;
}

static void on_round(void *arg, const char *text) {
    const train_arguments *a = arg;
    json_t *j = json_loads(text, 0, NULL);
    if (a->json)
        print_json_text(text);
    else
        printf("round %d/%d  reward %.4f  KL %.3f  length %.1f  ended %.2f  distinct %.2f  rows %d\n",
               (int)member_count(j, "round"), (int)member_count(j, "rounds"),
               json_number_value(json_object_get(j, "reward")), json_number_value(json_object_get(j, "kl")),
               json_number_value(json_object_get(j, "length")), json_number_value(json_object_get(j, "ended")),
               json_number_value(json_object_get(j, "distinct")), (int)member_count(j, "rows"));
    fflush(stdout);
    json_decref(j);
}

static int train_rounds(train_arguments *a) {
    opened o;
    char *summary = NULL;
    int code = open_model("train", a->model, NULL, a->dtype, a->chat_template, &o);
    if (code != EXIT_FINE)
        return code;
    agon_status s = agon_train_online(o.ctx, o.model, a->objective, a->output, &a->options, &a->online, &summary);
    if (s == AGON_EINTERRUPTED)
        fprintf(stderr, "agon train: stopped; whole rounds are kept. Run the same command again to go on\n");
    code = s == AGON_EINTERRUPTED ? EXIT_STOPPED : s ? fail_with("train", s, o.ctx) : EXIT_FINE;
    if (summary)
        show_summary(a, summary);
    agon_text_free(summary);
    close_model(&o);
    return code;
}

static int train_files(train_arguments *a) {
    opened o;
    agon_dataset *d = NULL, *validation = NULL;
    int code = open_model("train", a->model, NULL, a->dtype, a->chat_template, &o);
    if (code != EXIT_FINE)
        return code;
    agon_dataset_options options = agon_dataset_options_default();
    options.max_length = (size_t)a->max_length;
    options.skip_bad = a->skip_bad;
    options.dimensions = a->dimensions;
    options.n_dimensions = a->n_dimensions;
    options.adapters = a->adapters;
    options.n_adapters = a->n_adapters;
    options.settings = a->settings;
    options.n_settings = a->options.n_settings;
    agon_status s = agon_dataset_open_with(o.ctx, agon_model_tokenizer(o.model), a->data, a->objective, &options, &d);
    if (!s && a->validation)
        s = agon_dataset_open_with(o.ctx, agon_model_tokenizer(o.model), a->validation, a->objective, &options, &validation);
    a->options.validation = validation;
    code = s ? fail_with("train", s, o.ctx) : train_on(a, &o, d);
    agon_dataset_free(validation);
    agon_dataset_free(d);
    close_model(&o);
    return code;
}

/* --dimensions and what goes with it. */
static int take_dimensions(train_arguments *a) {
    enum { MOST = sizeof a->dimensions / sizeof *a->dimensions };
    if (!a->dimension_list)
        return a->ideal_list || a->of_dimensions || a->aggregate
                   ? usage_error(&command_train, "--aggregate, --vectors and --ideal go with --dimensions NAME,NAME,...")
                   : EXIT_FINE;
    if (a->is_online)
        return usage_error(&command_train, "--online makes rows without dimensions: --dimensions does not go with it");
    if (a->vectors < 1 || a->vectors > 4096)
        return usage_error(&command_train, "--vectors must be from 1 to 4096");
    if (a->ideal_list && !parse_numbers(a->ideal_list, &a->ideal, &a->options.n_ideal))
        return usage_error(&command_train, "--ideal takes numbers and commas, one loss a dimension");
    a->options.ideal = a->ideal;
    if (a->aggregate)
        a->options.aggregate = a->aggregate;
    a->options.vectors = (size_t)a->vectors;
    a->dimension_text = split_names(a->dimension_list, a->dimensions, MOST, &a->n_dimensions);
    return a->dimension_text ? EXIT_FINE : EXIT_SYSTEM;
}

/* --lora-targets. */
static int take_targets(train_arguments *a) {
    if (!a->target_list)
        return EXIT_FINE;
    if (a->lora == 0)
        return usage_error(&command_train, "--lora-targets goes with --lora RANK");
    a->target_text = split_names(a->target_list, a->targets, sizeof a->targets / sizeof *a->targets, &a->options.n_lora_targets);
    a->options.lora_targets = a->targets;
    return a->target_text ? EXIT_FINE : EXIT_SYSTEM;
}

/* --adapters. */
static int take_adapters(train_arguments *a) {
    enum { MOST = sizeof a->adapters / sizeof *a->adapters };
    if (!a->adapter_list)
        return EXIT_FINE;
    if (a->is_online)
        return usage_error(&command_train, "--online makes rows of one adapter: --adapters does not go with it");
    a->adapter_text = split_names(a->adapter_list, a->adapters, MOST, &a->n_adapters);
    return a->adapter_text ? EXIT_FINE : EXIT_SYSTEM;
}

/* The file's text, without the white space it ends with. */
static int take_principles(train_arguments *a) {
    size_t n = 0;
    if (!a->principles)
        return EXIT_FINE;
    FILE *from = fopen(a->principles, "r");
    const int why = errno;
    if (!from) {
        say_error("train", "%s: %s", a->principles, strerror(why));
        return why == ENOENT ? EXIT_NOT_FOUND : EXIT_SYSTEM;
    }
    a->principles_text = read_all("train", from, &n);
    fclose(from);
    if (!a->principles_text)
        return EXIT_SYSTEM;
    while (n > 0 && memchr(" \t\r\n", a->principles_text[n - 1], 4))
        n--;
    if (memchr(a->principles_text, 0, n))
        return say_error("train", "%s: a text without NUL bytes is expected", a->principles), EXIT_BAD_DATA;
    a->principles_text[n] = 0;
    a->online.judge_principles = a->principles_text;
    return EXIT_FINE;
}

/* An option of rounds without the one that it is about, in a sentence; NULL: none. What has its usual value may have been left out. */
static const char *missing_beside(const agon_online_options *o, bool repeats, bool principles) {
    const agon_online_options usual = agon_online_options_default();
    bool judge = o->judge || o->judge_url;
    const struct {
        bool stands, has_effect;
        const char *sentence;
    } rules[] = {{o->pass_reward != usual.pass_reward, o->demonstrations, "--pass-reward goes with --demonstrations"},
                 {o->kl_target != usual.kl_target, o->kl_horizon > 0, "--kl-target goes with --kl-horizon N above 0"},
                 {o->judge_timeout != usual.judge_timeout, judge || o->judge_model, "--judge-timeout goes with --judge or --judge-url"},
                 {repeats, judge || o->judge_model, "--judge-repeats goes with --judge or --judge-url"},
                 {o->judge_key_env, o->judge_url, "--judge-key-env goes with --judge-url"},
                 {principles, o->judge_model && !o->judge, "--judge-principles goes with --judge-model"},
                 {o->span_placement != usual.span_placement, o->span_reward != 0, "--span-placement goes with --span-reward X"}};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (rules[i].stands && !rules[i].has_effect)
            return rules[i].sentence;
    return NULL;
}

static int check_arguments(train_arguments *a) {
    if (!a->objective)
        return usage_error(&command_train, "name an objective");
    if (a->is_online && a->of_files)
        return usage_error(&command_train, "--online makes its own rows, in rounds: %s does not go with it", a->of_files);
    if (!a->is_online && a->of_rounds)
        return usage_error(&command_train, "%s goes with --online", a->of_rounds);
    if (a->is_online && a->data && a->cells)
        return usage_error(&command_train, "the prompts are those of --data or the tasks of --cells, not both");
    const char *missing = missing_beside(&a->online, a->judge_repeats != 0, a->principles != NULL);
    if (missing)
        return usage_error(&command_train, "%s", missing);
    if (a->options.must_resume && a->options.overwrite)
        return usage_error(&command_train, "--resume only goes on and --overwrite starts anew: give one of them");
    if (a->accept < 0 || a->judge_repeats < 0 || a->top_k < 0)
        return usage_error(&command_train, "--accept, --judge-repeats and --top-k must be 0 or more");
    if (a->options.co_teach && a->options.small_loss == 0)
        return usage_error(&command_train, "--co-teach needs --small-loss TAU, the share of rows that neither is to learn");
    if (a->small_loss_level && a->options.small_loss == 0)
        return usage_error(&command_train, "--small-loss-level says of what --small-loss TAU leaves a share out; TAU is missing");
    if (!isnan(a->small_loss_ramp) && a->options.small_loss == 0)
        return usage_error(&command_train, "--small-loss-ramp says how fast --small-loss TAU sets in; TAU is missing");
    if (!isnan(a->lora_alpha) && !(a->lora > 0 && a->lora_alpha > 0))
        return usage_error(&command_train, a->lora > 0 ? "--lora-alpha must be above 0" : "--lora-alpha goes with --lora RANK");
    if (a->small_loss_span != 0 && (!a->small_loss_level || strcmp(a->small_loss_level, "span") != 0))
        return usage_error(&command_train, "--small-loss-span goes with --small-loss-level span");
    if (a->small_loss_span < 0)
        return usage_error(&command_train, "--small-loss-span must be 1 or more");
    if (a->rounds < 1 || a->prompts < 1 || a->samples < 1 || a->max_tokens < 1)
        return usage_error(&command_train, "--rounds, --prompts, --samples and --max-tokens must be 1 or more");
    if (!a->data && !a->is_online)
        return usage_error(&command_train, "--data FILE.jsonl is missing");
    if (!a->output && !a->dry_run)
        return usage_error(&command_train, "--output DIR is missing");
    if (!a->validation && (a->validate_every || a->keep))
        return usage_error(&command_train, "%s goes with --validation FILE.jsonl", a->keep ? "--keep" : "--validate-every");
    if (a->validation && (a->dimension_list || a->adapter_list))
        return usage_error(&command_train, "--validation says how one adapter or model does: %s does not go with it", a->adapter_list ? "--adapters" : "--dimensions");
    if (a->preview < 0 || a->validate_every < 0 || a->lora < 0 || a->epochs < 1 || a->batch < 1 || a->max_length < 0 || a->steps < 0 ||
        a->checkpoint_every < 0)
        return usage_error(&command_train, "--epochs and --batch must be 1 or more, other counts 0 or more");
    if (a->lora > 65536 || a->batch > 1 << 24 || a->epochs > 1 << 24)
        return usage_error(&command_train, "--lora, --batch or --epochs is too large to be meant");
    if (a->options.temperature == 0) /* which elsewhere is greedy, and to the library the default */
        return usage_error(&command_train, "--temperature must be 0.0001 or more");
    if (a->schedule)
        a->options.schedule = a->online.schedule = a->schedule;
    if (a->small_loss_level)
        a->options.small_loss_level = a->small_loss_level;
    if (a->small_loss_span)
        a->options.small_loss_span = (size_t)a->small_loss_span;
    a->options.validate_every = (size_t)a->validate_every;
    if (a->keep)
        a->options.keep = a->keep;
    a->options.lora_rank = (size_t)a->lora;
    if (!isnan(a->lora_alpha))
        a->options.lora_alpha = a->lora_alpha;
    if (!isnan(a->small_loss_ramp))
        a->options.small_loss_ramp = a->small_loss_ramp;
    a->options.epochs = (size_t)a->epochs;
    a->options.batch_rows = (size_t)a->batch;
    a->options.max_steps = (size_t)a->steps;
    a->options.seed = (uint64_t)a->seed;
    a->options.checkpoint_every = (size_t)a->checkpoint_every;
    a->options.settings = a->settings;
    a->online.rounds = (size_t)a->rounds;
    a->online.prompts = (size_t)a->prompts;
    a->online.samples = (size_t)a->samples;
    a->online.max_tokens = (size_t)a->max_tokens;
    a->online.accept = (size_t)a->accept;
    a->online.top_k = (size_t)a->top_k;
    a->online.data = a->data;
    a->online.judge_repeats = (size_t)a->judge_repeats;
    a->online.cells = a->cells;
    a->online.reward_models = a->reward_models;
    while (a->reward_models && a->reward_models[a->online.n_reward_models])
        a->online.n_reward_models++;
    while (a->cells && a->cells[a->online.n_cells])
        a->online.n_cells++;
    while (a->settings && a->settings[a->options.n_settings])
        a->options.n_settings++;
    int code = take_principles(a);
    if (code == EXIT_FINE)
        code = take_dimensions(a);
    if (code == EXIT_FINE)
        code = take_targets(a);
    return code == EXIT_FINE ? take_adapters(a) : code;
}

static int run(int argc, char **argv) {
    train_arguments a = {.epochs = 1, .batch = 8, .max_length = DEFAULT_MAX_LENGTH, .vectors = 4, .small_loss_ramp = NAN, .lora_alpha = NAN, .options = agon_train_options_default(),
                         .rounds = 10, .prompts = 16, .samples = 4, .max_tokens = 48, .online = agon_online_options_default()};
    a.online.on_round = on_round;
    a.online.arg = &a;
    a.options.on_step = on_step;
    a.options.on_resume = on_resume;
    a.options.on_validation = on_validation;
    a.options.arg = &a;
    const option_spec specs[] = {{.name = "--model", .text = &a.model},
                                 {.name = "--data", .text = &a.data},
                                 {.name = "--output", .text = &a.output},
                                 {.name = "--validation", .text = &a.validation, .given = &a.of_files},
                                 {.name = "--validate-every", .integer = &a.validate_every, .given = &a.of_files},
                                 {.name = "--keep", .text = &a.keep, .given = &a.of_files},
                                 {.name = "--lora", .integer = &a.lora},
                                 {.name = "--lora-alpha", .real = &a.lora_alpha},
                                 {.name = "--lora-targets", .text = &a.target_list},
                                 {.name = "--adapter", .text = &a.options.adapter},
                                 {.name = "--reference", .text = &a.options.reference, .given = &a.of_files},
                                 {.name = "--base-name", .text = &a.options.base_name},
                                 {.name = "--set", .list = &a.settings},
                                 {.name = "--dimensions", .text = &a.dimension_list},
                                 {.name = "--adapters", .text = &a.adapter_list},
                                 {.name = "--aggregate", .text = &a.aggregate},
                                 {.name = "--vectors", .integer = &a.vectors, .given = &a.of_dimensions},
                                 {.name = "--ideal", .text = &a.ideal_list},
                                 {.name = "--small-loss", .real = &a.options.small_loss},
                                 {.name = "--small-loss-ramp", .real = &a.small_loss_ramp, .given = &a.of_files},
                                 {.name = "--small-loss-level", .text = &a.small_loss_level, .given = &a.of_files},
                                 {.name = "--small-loss-span", .integer = &a.small_loss_span, .given = &a.of_files},
                                 {.name = "--co-teach", .flag = &a.options.co_teach},
                                 {.name = "--preview", .integer = &a.preview, .given = &a.of_files},
                                 {.name = "--dry-run", .flag = &a.dry_run, .given = &a.of_files},
                                 {.name = "--epochs", .integer = &a.epochs},
                                 {.name = "--batch", .integer = &a.batch},
                                 {.name = "--steps", .integer = &a.steps, .given = &a.of_files},
                                 {.name = "--lr", .real = &a.options.learning_rate},
                                 {.name = "--schedule", .text = &a.schedule},
                                 {.name = "--warmup", .real = &a.options.warmup, .given = &a.of_files},
                                 {.name = "--weight-decay", .real = &a.options.weight_decay},
                                 {.name = "--clip-norm", .real = &a.options.clip_norm},
                                 {.name = "--beta1", .real = &a.options.beta1},
                                 {.name = "--beta2", .real = &a.options.beta2},
                                 {.name = "--eps", .real = &a.options.eps},
                                 {.name = "--temperature", .real = &a.options.temperature},
                                 {.name = "--seed", .integer = &a.seed},
                                 {.name = "--max-length", .integer = &a.max_length, .given = &a.of_files},
                                 {.name = "--skip-bad", .flag = &a.skip_bad, .given = &a.of_files},
                                 {.name = "--checkpoint-every", .integer = &a.checkpoint_every, .given = &a.of_files},
                                 {.name = "--resume", .flag = &a.options.must_resume},
                                 {.name = "--overwrite", .flag = &a.options.overwrite},
                                 {.name = "--dtype", .text = &a.dtype},
                                 {.name = "--chat-template", .text = &a.chat_template},
                                 {.name = "--online", .flag = &a.is_online},
                                 {.name = "--cells", .list = &a.cells, .given = &a.of_rounds},
                                 {.name = "--rounds", .integer = &a.rounds, .given = &a.of_rounds},
                                 {.name = "--prompts", .integer = &a.prompts, .given = &a.of_rounds},
                                 {.name = "--samples", .integer = &a.samples, .given = &a.of_rounds},
                                 {.name = "--max-tokens", .integer = &a.max_tokens, .given = &a.of_rounds},
                                 {.name = "--no-end-penalty", .real = &a.online.no_end_penalty, .given = &a.of_rounds},
                                 {.name = "--kl-target", .real = &a.online.kl_target, .given = &a.of_rounds},
                                 {.name = "--kl-horizon", .real = &a.online.kl_horizon, .given = &a.of_rounds},
                                 {.name = "--reward-model", .list = &a.reward_models, .given = &a.of_rounds},
                                 {.name = "--ensemble", .text = &a.online.ensemble, .given = &a.of_rounds},
                                 {.name = "--ensemble-strength", .real = &a.online.ensemble_strength, .given = &a.of_rounds},
                                 {.name = "--accept", .integer = &a.accept, .given = &a.of_rounds},
                                 {.name = "--top-k", .integer = &a.top_k, .given = &a.of_rounds},
                                 {.name = "--rso-beta", .real = &a.online.rso_beta, .given = &a.of_rounds},
                                 {.name = "--demonstrations", .flag = &a.online.demonstrations, .given = &a.of_rounds},
                                 {.name = "--pass-reward", .real = &a.online.pass_reward, .given = &a.of_rounds},
                                 {.name = "--judge", .text = &a.online.judge, .given = &a.of_rounds},
                                 {.name = "--judge-timeout", .real = &a.online.judge_timeout, .given = &a.of_rounds},
                                 {.name = "--judge-model", .text = &a.online.judge_model, .given = &a.of_rounds},
                                 {.name = "--judge-url", .text = &a.online.judge_url, .given = &a.of_rounds},
                                 {.name = "--judge-key-env", .text = &a.online.judge_key_env, .given = &a.of_rounds},
                                 {.name = "--judge-principles", .text = &a.principles, .given = &a.of_rounds},
                                 {.name = "--judge-repeats", .integer = &a.judge_repeats, .given = &a.of_rounds},
                                 {.name = "--span-reward", .real = &a.online.span_reward, .given = &a.of_rounds},
                                 {.name = "--span-placement", .text = &a.online.span_placement, .given = &a.of_rounds},
                                 {.name = "--json", .flag = &a.json},
                                 {0}};
    size_t n;
    int code;
    if (parse_options(&command_train, argc, argv, specs, &a.objective, 1, &n, &code) &&
        (code = check_arguments(&a)) == EXIT_FINE)
        code = a.is_online ? train_rounds(&a) : train_files(&a);
    free(a.cells);
    free(a.reward_models);
    free(a.settings);
    free(a.dimension_text);
    free(a.adapter_text);
    free(a.target_text);
    free(a.principles_text);
    free(a.ideal);
    return code;
}

const command command_train = {
    "train",
    "a model or adapter on rows in a file",
    "train OBJECTIVE --model M --data FILE.jsonl --output DIR [--lora R] [--set k=v]... [options]\n"
    "       agon train OBJECTIVE --model M --online --output DIR --lora R [options]\n\n"
    "Objectives (agon loss --list: what they are, with their options):\n" OBJECTIVES_HERE
    "Rows: {\"messages\": [...]}; {\"prompt\", \"completion\"} (with \"label\": true|false for kto); {\"prompt\", \"chosen\",\n"
    "\"rejected\"}; {\"prompt\", \"completions\": [...], \"rewards\": [...]} for grpo, rloo and the like, {\"prompt\", \"completion\",\n"
    "\"reward\"} for ppo. Rows of ppo, grpo, gspo, rloo and reinforce++ may have \"log_probs\": of each token of the completion (of\n"
    "completions a list of such lists) under the policy that sampled it, else taken to be the one that training begins with.\n"
    "Texts are raw; lists of {\"role\", \"content\"} go through the model's chat template.\n"
    "Leaves a PEFT adapter (--lora, --adapter) or a Hugging Face folder in DIR. Killed at any moment, the same command goes\n"
    "on and ends at the same bits; Ctrl-C stores where it stands and ends with exit code 8.\n\n"
    "  --model M            GGUF file, Hugging Face folder or imported name (default: $AGON_MODEL, else the cached model)\n"
    "  --data FILE.jsonl    the rows; --output DIR where the result goes, made if need be\n"
    "  --validation FILE    held-out rows, scored by the objective without learning from them: before step 1, after every N\n"
    "                       steps and at the end; the training's bits are the same without\n"
    "    --validate-every N (a tenth of the steps)\n"
    "    --keep last|best   what is left: the last step, or the one with the least held-out loss (last)\n"
    "  --preview N          first show N rows as exact tokens and loss mask\n"
    "  --dry-run            only read the rows and say what training would take: steps, memory\n"
    "  --lora R             train a LoRA adapter of rank R (default 0: all weights)\n"
    "  --lora-alpha A       its scale is A/R (default 2R)\n"
    "  --lora-targets LIST  the linear layers it is on, of q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj, or\n"
    "                       all-linear (the default)\n"
    "  --adapter DIR        go on from this PEFT adapter, which is then the reference too\n"
    "    --reference base   the model without it is (default: start)\n"
    "  --base-name NAME     what the adapter's adapter_config.json says of its base (default: the folder it was read from)\n"
    "  --set k=v            an option of the objective: beta, label_smoothing, gamma, clip, ...\n"
    "  --adapters A,B       rows have an \"adapter\", A or B: a new adapter each (--lora R) in DIR/A and DIR/B, trained over one\n"
    "                       copy of the model, each to the bits of a training by itself\n"
    "  --dimensions A,B     rows have a \"dimension\", A or B: one new adapter (--lora R, and a slot each) for all preference\n"
    "                       vectors between them (Panacea); --preference chooses one at generation\n"
    "    --aggregate linear|tchebycheff (linear)  --vectors N a step (4); --batch is a multiple of N times the dimensions\n"
    "    --ideal L,L        least loss of each dimension, where tchebycheff measures from (zeros)\n"
    "  --small-loss TAU     rows may be wrong: train on the share 1 - TAU of each batch with the smallest losses, as the\n"
    "                       policy is then\n"
    "    --small-loss-ramp SHARE   of the steps over which TAU is reached (0.1)\n"
    "    --small-loss-level row|token|span   what is ranked and left out (row); of nll, sft, gce, sce, token-forward\n"
    "    --small-loss-span N       tokens of a span (4)\n"
    "    --co-teach         two adapters (--lora R), each on the rows that are easiest for the other: DIR and DIR/partner\n"
    "  --epochs N (1)  --batch N rows a step (8)  --steps N (0: epochs decide)  --lr X (1e-4 for an adapter;\n"
    "                       all weights: as published, 2e-5 for sft, 1e-6 for dpo, ...; the plan says it)\n"
    "  --schedule cosine|linear|constant (cosine)  --warmup SHARE (0.03)  --weight-decay X (0, LoRA too)  --clip-norm X (1)\n"
    "  --beta1 X (0.9)  --beta2 X (0.999)  --eps X (1e-8)   of AdamW\n"
    "  --temperature T      of all log_probs (1)\n"
    "  --seed S             of the data's order and the new factors (0)\n"
    "  --max-length N       tokens of prompt and response (" NUMBER_TEXT(DEFAULT_MAX_LENGTH) "; 0: no limit); longer rows are cut, and bad\n"
    "                       where nothing is left to learn from\n"
    "  --skip-bad           leave out rows that cannot be learnt from, and name them (default: the first one is an error)\n"
    "  --checkpoint-every N steps (default: about every half minute)\n"
    "  --resume             only go on: an error where there is nothing to go on with\n"
    "  --overwrite          start anew over an earlier training in DIR\n"
    "  --dtype f32|bf16     of the matrix products (default bf16); all weights are written in it\n"
    "  --chat-template NAME the family to use instead of the file's template\n"
    "  --online             rounds instead of rows: answers to generated tasks or your prompts are sampled, rewarded and\n"
    "                       trained on (--lora or --adapter)\n"
    "    --cells NAME       family or family/cell, may stand several times  --rounds N (10)  --prompts N a round (16)\n"
    "    --samples N a prompt (4)  --max-tokens N (48)  --no-end-penalty X (1)\n"
    "    --data FILE        your own prompts instead of tasks: {\"prompt\"} (text or messages), with what says that an answer\n"
    "                       is right, \"answer\" (and \"verifier\", \"arguments\"), or a reward from elsewhere; \"completion\" for\n"
    "                       spin and --demonstrations\n"
    "    --reward-model DIR adapter with a reward head (agon train bt) instead of the verifier; several are an ensemble:\n"
    "    --ensemble mean|wco|uwo|lcb (mean)  --ensemble-strength X (0.5 of the variance for uwo, 1 of the deviation for lcb)\n"
    "    --judge COMMAND    a program of yours instead: reads a line {\"id\", \"messages\", \"data\": {\"prompt\", \"completion\", ...}}\n"
    "                       a sample, writes {\"id\", \"reward\": number}  --judge-timeout S (60)\n"
    "    --judge-model M    a language model instead, its P(correct); --judge-url URL: on an OpenAI-compatible server\n"
    "                       (--judge-key-env NAME)\n"
    "    --judge-principles FILE  a text that the model judges by: does the answer keep to it?\n"
    "    --judge-repeats N  answers of --judge or --judge-url that are averaged (1)\n"
    "    --accept N         pairs of N samples a prompt that rejection sampling accepts (rso-sigmoid, rso-hinge: half of them;\n"
    "                       other objectives on pairs: 0, best against worst)  --rso-beta X (0.5)\n"
    "    --top-k K          samples from the K likeliest tokens (0: all; the objectives on pairs; RSO's paper: 40 at\n"
    "                       --temperature 0.7)\n"
    "    --demonstrations   objectives on pairs: the prompt's own answer chosen above each sample that fails, its reward under\n"
    "                       --pass-reward X (0.5); spin without it: above the first sample, right or wrong\n"
    "    --span-reward X    what the verifier cites in a wrong answer loses X on its exact tokens (ppo, reinforce++; 0)\n"
    "    --span-placement spread|each|last   of it (spread)\n"
    "    --schedule linear|cosine   of the learning rate over the rounds (constant)\n"
    "    --kl-horizon N     beta follows the KL to --kl-target (6), by a fifth each N samples at most; 0: fixed. N below the\n"
    "                       samples of a round counts as those\n"
    "  --json               a line of JSON for each preview row, the plan, each step and the end\n\n"
    "  agon train dpo --model model.gguf --data pairs.jsonl --output tuned --lora 16 --set beta=0.1 --preview 2",
    run,
};
