/* agon data fuse, noise, clean: see row_labels.h. */
#include "cli/row_labels.h"
#include "cli/rows.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SHOWN = 10 };

label_arguments label_arguments_default(void) {
    const agon_clean_options clean = agon_clean_options_default();
    return (label_arguments){.level = "response", .least_votes = 1, .folds = (int64_t)clean.folds, .lora = (int64_t)clean.lora_rank,
                             .epochs = (int64_t)clean.epochs, .batch = (int64_t)clean.batch_rows, .rate = NAN, .lr = clean.learning_rate};
}

/* "[0.012, 0.340]", or nothing where there is no interval. */
static const char *interval_text(const json_t *pair, char out[40]) {
    if (json_array_size(pair) == 2)
        snprintf(out, 40, "[%.3f, %.3f]", json_number_value(json_array_get(pair, 0)), json_number_value(json_array_get(pair, 1)));
    else
        snprintf(out, 40, "-");
    return out;
}

/* A text in quotes on one line. */
static void print_quoted(const json_t *text) {
    char *quoted = json_dumps(text, JSON_ENCODE_ANY);
    print_safe(stdout, quoted ? quoted : "");
    free(quoted);
}

/* ---- fuse --------------------------------------------------------------------------------------------------- */

static void show_source(const json_t *source) {
    char flips[40], exact[40];
    const json_t *gold = json_object_get(source, "against_gold");
    const double e = member_real(source, "flip_rate");
    fputs("  ", stdout);
    print_safe(stdout, member_text(source, "source"));
    printf("\n    %lld votes, %lld yes", member_count(source, "votes"), member_count(source, "yes"));
    if (isfinite(e))
        printf("; wrong %.3f %s; weight %.2f (yes %+.2f, no %+.2f)", e, interval_text(json_object_get(source, "flip_ci95"), flips),
               member_real(source, "weight"), member_real(source, "yes_weight"), -member_real(source, "no_weight"));
    putchar('\n');
    if (json_is_object(gold))
        printf("    against gold: %lld of %lld wrong, %.3f %s exact\n", member_count(gold, "wrong"), member_count(gold, "n"), member_real(gold, "rate"),
               interval_text(json_object_get(gold, "ci95"), exact));
}

static void show_left_out(const json_t *report) {
    size_t i;
    json_t *row, *list = json_object_get(report, "left_out");
    json_int_t n = member_count(report, "n_left_out");
    if (n)
        printf("left out: %lld rows\n", n);
    json_array_foreach(list, i, row) {
        if (i == MOST_SHOWN)
            break;
        printf_safe(stdout, "  line %lld: %s\n", member_count(row, "line"), member_text(row, "reason"));
    }
    if (n > MOST_SHOWN)
        printf("  and %lld more (--json lists them)\n", n - MOST_SHOWN);
}

static void show_fused(const label_arguments *a, const json_t *report) {
    size_t i;
    json_t *one;
    printf_safe(stdout, "%s: %lld of %lld rows", a->to, member_count(report, "written"), member_count(report, "rows"));
    if (a->hard)
        printf(", %lld pairs swapped", member_count(report, "swapped"));
    printf("; P(true) %.3f, worth %.1f certain rows", member_real(report, "prior"), member_real(report, "effective_sample_size"));
    if (a->gold)
        printf_safe(stdout, "; %lld rows pinned by %s", member_count(report, "pinned"), a->gold);
    if (isfinite(member_real(report, "agreement")))
        printf("; raters agree at alpha %.3f", member_real(report, "agreement"));
    puts("\nsources, wrong [95%], and what a vote adds to the log-odds of true:");
    json_array_foreach(json_object_get(report, "sources"), i, one) show_source(one);
    show_left_out(report);
    json_array_foreach(json_object_get(report, "notes"), i, one) printf_safe(stdout, "note: %s\n", json_string_value(one));
}

/* What all three end with. */
static int finish(const label_arguments *a, agon_ctx *ctx, agon_status s, char *answer, void (*show)(const label_arguments *a, const json_t *report)) {
    int code;
    json_t *report = take_answer("data", ctx, s, answer, a->json, &code);
    if (report)
        show(a, report);
    json_decref(report);
    return code;
}

static int no_target(void) {
    return usage_error(&command_data, "say where to write: --to FILE");
}

int data_fuse(const label_arguments *a) {
    agon_fuse_options o = agon_fuse_options_default();
    char *answer = NULL;
    if (!a->to)
        return no_target();
    if (a->least_votes < 1)
        return usage_error(&command_data, "--least-votes is 1 or more");
    agon_ctx *ctx = open_context("data");
    if (!ctx)
        return EXIT_SYSTEM;
    o.gold = a->gold, o.hard = a->hard, o.least_votes = (size_t)a->least_votes, o.together = a->together;
    while (a->together && a->together[o.n_together])
        o.n_together++;
    agon_status s = agon_data_fuse(ctx, a->file, a->to, &o, &answer);
    int code = finish(a, ctx, s, answer, show_fused);
    close_context(ctx);
    return code;
}

/* ---- noise -------------------------------------------------------------------------------------------------- */

static void show_noise(const label_arguments *a, const json_t *report) {
    printf_safe(stdout, "%s: %lld of %lld rows changed (%s, rate %g, seed %s)\n", a->to, member_count(report, "changed"), member_count(report, "rows"),
           member_text(report, "kind"), member_real(report, "rate"), member_text(report, "seed"));
    if (json_object_get(report, "tokens"))
        printf("tokens: %lld, %lld of them can be replaced, %lld were; %lld of the changed texts' are not read back as written\n",
               member_count(report, "tokens"), member_count(report, "replaceable"), member_count(report, "replaced"), member_count(report, "read_otherwise"));
    printf_safe(stdout, "%s: what those rows were\n", member_text(report, "truth"));
}

int data_noise(const label_arguments *a) {
    agon_noise_options o = agon_noise_options_default();
    agon_tokenizer *t = NULL;
    char *answer = NULL;
    if (!a->to)
        return no_target();
    if (!a->objective || isnan(a->rate))
        return usage_error(&command_data, "say what the rows are for and how much noise: --objective dpo --rate 0.2");
    bool by_tokens = strcmp(a->level, "response") != 0;
    if (!by_tokens && (a->model || a->chat_template))
        return usage_error(&command_data, "--model and --chat-template have no effect on --level response, which reads no tokens");
    agon_ctx *ctx = open_context("data");
    if (!ctx)
        return EXIT_SYSTEM;
    agon_status s = by_tokens ? open_tokenizer(ctx, a->model, a->chat_template, &t) : AGON_OK;
    o.objective = a->objective, o.rate = a->rate, o.level = a->level, o.seed = (uint64_t)a->seed, o.tokenizer = t;
    if (!s)
        s = agon_data_noise(ctx, a->file, a->to, &o, &answer);
    int code = finish(a, ctx, s, answer, show_noise);
    agon_tokenizer_free(t);
    close_context(ctx);
    return code;
}

/* ---- clean -------------------------------------------------------------------------------------------------- */

static void on_line(void *arg, const char *text) {
    (void)arg;
    printf_safe(stderr, "%s\n", text);
    fflush(stderr);
}

/* "precision 0.500 [0.187, 0.813]"; of nothing flagged or planted there is none. */
static void show_share(const json_t *q, const char *name, const char *interval) {
    char text[40];
    if (isfinite(member_real(q, name)))
        printf("%s %.3f %s", name, member_real(q, name), interval_text(json_object_get(q, interval), text));
    else
        printf("no %s", name);
}

static void show_quality(const json_t *q) {
    if (!json_is_object(q))
        return;
    printf("against the truth: %lld planted, %lld of them found; ", member_count(q, "planted"), member_count(q, "found"));
    show_share(q, "precision", "precision_ci95");
    fputs(", ", stdout);
    show_share(q, "recall", "recall_ci95");
    puts(" (exact)");
}

static void show_cleaned(const label_arguments *a, const json_t *report) {
    const json_t *nats = json_object_get(report, "nats_by_epoch");
    size_t i;
    json_t *one;
    printf_safe(stdout, "%s: %lld of %lld rows; %s %lld in %s\n", a->to, member_count(report, "written"), member_count(report, "rows"),
           a->soft ? "would drop" : "dropped", member_count(report, "n_dropped"), member_text(report, "dropped"));
    if (member_count(report, "truncated"))
        printf("%lld rows are longer than --max-length %lld: judged by their beginnings, written whole\n", member_count(report, "truncated"), (long long)a->max_length);
    if (isfinite(member_real(report, "noise_rate")))
        printf("estimated share of wrong labels: %.3f\n", member_real(report, "noise_rate"));
    printf("%s: %s", json_is_true(json_object_get(report, "believed")) ? "judge believed" : "best judge", member_text(report, "judge"));
    json_array_foreach(json_object_get(report, "judges"), i, one)
        printf("%s%s %.4f nats a label", i ? ", " : " (", member_text(one, "name"), member_real(one, "nats"));
    const double ignorant = member_real(report, "ignorant_nats");
    if (isfinite(ignorant))
        printf("; %s %.4f)\n", ignorant < 0.6931 ? "the share of true labels alone" : "a coin", ignorant);
    else
        puts(i ? ")" : "");
    if (!json_is_true(json_object_get(report, "believed")))
        printf("no judge explains the labels better than that, by two standard errors: none is believed, and %s\n",
               member_count(report, "n_dropped") ? "what --drop takes is as good as drawn by lot" : "nothing is dropped; more rows, more --epochs or a better model may help");
    if (json_array_size(nats) > 1)
        printf("unseen labels are explained best after epoch %lld of %zu; a policy trained for longer learns wrong ones by heart\n", member_count(report, "epoch"),
               json_array_size(nats));
    json_array_foreach(json_object_get(report, "first"), i, one) {
        printf("  line %-6lld P(right) ", member_count(one, "line"));
        if (isfinite(member_real(one, "p_right")))
            printf("%.3f", member_real(one, "p_right"));
        else
            putchar('-');
        printf("  margin %+.3f  ", member_real(one, "margin"));
        print_quoted(json_object_get(one, "text"));
        putchar('\n');
    }
    show_quality(json_object_get(report, "quality"));
}

/* "findings" or a share. */
static bool take_drop(const char *text, double *out) {
    char *end = NULL;
    *out = -1;
    if (!text || strcmp(text, "findings") == 0)
        return true;
    *out = strtod(text, &end);
    return *text && !*end && *out > 0 && *out < 1;
}

int data_clean(const label_arguments *a) {
    agon_clean_options o = agon_clean_options_default();
    opened m = {0};
    char *answer = NULL;
    if (!a->to)
        return no_target();
    if (!a->objective)
        return usage_error(&command_data, "say what the rows are for: --objective NAME, such as sft or dpo");
    if (!take_drop(a->drop, &o.drop_rate))
        return usage_error(&command_data, "--drop is findings, or a share above 0 and below 1");
    if (a->folds < 2 || a->lora < 1 || a->epochs < 1 || a->batch < 1)
        return usage_error(&command_data, "--folds is 2 or more; --lora, --epochs and --batch 1 or more");
    if (a->max_length < 0)
        return usage_error(&command_data, "--max-length is 0 or more");
    int code = open_model("data", a->model, NULL, NULL, a->chat_template, &m);
    if (code != EXIT_FINE)
        return code;
    o.objective = a->objective, o.folds = (size_t)a->folds, o.lora_rank = (size_t)a->lora, o.epochs = (size_t)a->epochs;
    o.batch_rows = (size_t)a->batch, o.max_length = (size_t)a->max_length, o.learning_rate = a->lr, o.seed = (uint64_t)a->seed, o.soft = a->soft, o.truth = a->truth;
    o.on_line = on_line;
    agon_status s = agon_data_clean(m.ctx, m.model, a->file, a->to, &o, &answer);
    code = finish(a, m.ctx, s, answer, show_cleaned);
    close_model(&m);
    return code;
}
