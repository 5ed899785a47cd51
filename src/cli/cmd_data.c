/* agon data: files of rows converted, checked, divided and counted before anything trains; preference vectors fitted to rows of pairs. */
#include "cli/preference.h"
#include "cli/row_labels.h"
#include <stdlib.h>
#include <string.h>

/* ---- convert and split ------------------------------------------------------------------------------------ */

static void show_converted(const char *to, const json_t *report) {
    const char *format;
    json_t *count;
    printf_safe(stdout, "%s: %lld rows", to, member_count(report, "rows"));
    json_object_foreach(json_object_get(report, "formats"), format, count)
        printf(", %lld %s", json_integer_value(count), format);
    putchar('\n');
    const json_t *cut = json_object_get(report, "cut_rows");
    if (json_array_size(cut)) {
        printf("%lld turns after the last answer are left out:\n", member_count(report, "cut_turns"));
        print_sentences(stdout, cut, json_array_size(cut));
    }
    if (member_count(report, "skipped")) {
        printf("%lld rows left out:\n", member_count(report, "skipped"));
        print_sentences(stdout, json_object_get(report, "skipped_rows"), (size_t)member_count(report, "skipped"));
    }
}

static int convert(const char *file, const char *from, const char *to, bool skip_bad, bool json) {
    char *text = NULL;
    int code;
    if (!to)
        return usage_error(&command_data, "say where to write: --to FILE");
    agon_ctx *ctx = open_context("data");
    if (!ctx)
        return EXIT_SYSTEM;
    agon_status s = agon_data_convert(ctx, file, from, to, skip_bad, &text);
    json_t *report = take_answer("data", ctx, s, text, json, &code);
    if (report)
        show_converted(to, report);
    json_decref(report);
    close_context(ctx);
    return code;
}

enum { MOST_PATH = 4096 };

/* "a/b.jsonl" and "test": "a/b.test.jsonl". */
static bool part_path(const char *file, const char *part, char out[MOST_PATH]) {
    const char *dot = strrchr(file, '.'), *slash = strrchr(file, '/');
    size_t stem = dot && (!slash || dot > slash + 1) && dot != file ? (size_t)(dot - file) : strlen(file);
    int n = snprintf(out, MOST_PATH, "%.*s.%s%s", (int)stem, file, part, file[stem] ? file + stem : ".jsonl");
    return n > 0 && n < MOST_PATH;
}

static void show_parts(const json_t *report) {
    json_t *part;
    size_t i;
    json_array_foreach(json_object_get(report, "parts"), i, part)
        printf_safe(stdout, "%s: %lld rows\n", member_text(part, "path"), member_count(part, "rows"));
    printf("%lld equal rows written once; rows of one prompt stay together\n", member_count(report, "duplicates"));
    if (member_count(report, "guessed_prompts"))
        printf("but %lld pairs have no \"prompt\": it was taken to end with the last sentence or line that both sides begin with, and where answers\n"
               "begin alike, rows of one prompt may have come apart; give these pairs prompts to be sure\n", member_count(report, "guessed_prompts"));
}

static int split(const char *file, double validation, double test, int64_t seed, bool json) {
    static const char *const names[3] = {"train", "validation", "test"};
    const double shares[3] = {1 - validation - test, validation, test};
    char paths[3][MOST_PATH], *text = NULL;
    const char *used[3];
    double of[3];
    size_t n = 0;
    if (!(validation >= 0) || !(test >= 0) || validation + test <= 0 || validation + test >= 1)
        return usage_error(&command_data, "--validation and --test are shares, above 0 and below 1 together");
    for (size_t k = 0; k < 3; k++) {
        if (shares[k] <= 0)
            continue;
        if (!part_path(file, names[k], paths[k]))
            return usage_error(&command_data, "the file's name is too long");
        used[n] = paths[k], of[n++] = shares[k];
    }
    agon_ctx *ctx = open_context("data");
    if (!ctx)
        return EXIT_SYSTEM;
    agon_status s = agon_data_split(ctx, file, (uint64_t)seed, used, of, n, &text);
    int code;
    json_t *report = take_answer("data", ctx, s, text, json, &code);
    if (report)
        show_parts(report);
    json_decref(report);
    close_context(ctx);
    return code;
}

/* ---- check and stats ---------------------------------------------------------------------------------------- */

/* {name: rows} of each dimension or adapter; NULL: nothing. */
static void show_counts(const char *what, json_t *rows) {
    const char *name;
    json_t *count;
    if (rows)
        printf("rows of each %s:", what);
    json_object_foreach(rows, name, count) {
        putchar(' ');
        print_safe(stdout, name);
        printf(" %lld", (long long)json_integer_value(count));
    }
    fputs(rows ? "\n" : "", stdout);
}

static void show_report(const json_t *report, bool list, int64_t max_length) {
    json_t *faults = json_object_get(report, "faults"), *count;
    const char *fault;
    printf("%s: %lld rows, %lld responses\n", member_text(report, "objective"), member_count(report, "rows"),
           member_count(report, "responses"));
    printf("tokens: %lld of prompts, %lld of responses, %lld supervised; longest %lld\n", member_count(report, "prompt_tokens"),
           member_count(report, "response_tokens"), member_count(report, "supervised_tokens"), member_count(report, "longest"));
    printf("packing: %.1f%% of the room filled by best fit\n", 100 * json_real_value(json_object_get(report, "packing")));
    printf("truncated: %lld rows", member_count(report, "truncated"));
    if (max_length)
        printf(", longer than %lld tokens and cut at the end", (long long)max_length);
    putchar('\n');
    printf("own end token: %lld completions brought one; no second is added\n", member_count(report, "double_end"));
    json_object_foreach(json_object_get(report, "unread"), fault, count)
        printf("not read by %s: \"%s\" of %lld rows\n", member_text(report, "objective"), fault, (long long)json_integer_value(count));
    if (member_count(report, "implicit_prompts"))
        printf("implicit prompts: %lld pairs without \"prompt\"; it is what both sides begin with\n", member_count(report, "implicit_prompts"));
    if (member_count(report, "space_only"))
        printf("nearly equal: %lld pairs whose sides differ only in the white space they end with\n", member_count(report, "space_only"));
    show_counts("dimension", json_object_get(report, "dimensions"));
    show_counts("adapter", json_object_get(report, "adapters"));
    const json_t *spans = json_object_get(report, "spans");
    if (spans)
        printf("spans: %lld by offsets; quotes: %lld exact, %lld with case and spaces folded, %lld with edits, %lld not found and dropped\n",
               member_count(spans, "offsets"), member_count(spans, "exact"), member_count(spans, "folded"), member_count(spans, "fuzzy"),
               member_count(spans, "not_found"));
    printf("bad rows: %lld", member_count(report, "skipped"));
    json_object_foreach(faults, fault, count) printf(", %s %lld", fault, (long long)json_integer_value(count));
    putchar('\n');
    if (list)
        print_sentences(stdout, json_object_get(report, "skipped_rows"), (size_t)member_count(report, "skipped"));
}

static int show_rows(agon_ctx *ctx, const agon_dataset *d, int64_t n) {
    for (size_t i = 0; i < agon_dataset_n_rows(d) && (int64_t)i < n; i++) {
        char *text = NULL;
        agon_status s = agon_dataset_preview(ctx, d, i, false, &text);
        if (s)
            return fail_with("data", s, ctx);
        print_safe(stdout, text);
        agon_text_free(text);
    }
    return EXIT_FINE;
}

typedef struct check_arguments {
    const char *file, *objective, *model, *chat_template, *dimensions, *adapters, **settings;
    int64_t max_length, group_size, show;
    bool json, check; /* check: list bad rows, and fail where there are any */
} check_arguments;

static int check(const check_arguments *a) {
    char *answer = NULL;
    agon_tokenizer *t = NULL;
    agon_dataset *d = NULL;
    enum { MOST = 17 }; /* one more than there may be: the library says so */
    const char *names[MOST], *adapters[MOST];
    char *text = NULL, *adapter_text = NULL;
    if (!a->objective)
        return usage_error(&command_data, "say what the rows are for: --objective NAME, such as sft or dpo");
    if (a->max_length < 0 || a->group_size < 0 || a->show < 0)
        return usage_error(&command_data, "--max-length, --group-size and --show are 0 or more");
    agon_ctx *ctx = open_context("data");
    agon_dataset_options options = agon_dataset_options_default();
    options.dimensions = names;
    options.adapters = adapters;
    if (ctx && a->dimensions)
        text = split_names(a->dimensions, names, MOST, &options.n_dimensions);
    if (ctx && a->adapters)
        adapter_text = split_names(a->adapters, adapters, MOST, &options.n_adapters);
    if (!ctx || (a->dimensions && !text) || (a->adapters && !adapter_text)) {
        free(text);
        free(adapter_text);
        close_context(ctx);
        return EXIT_SYSTEM;
    }
    options.max_length = (size_t)a->max_length, options.group_size = (size_t)a->group_size, options.skip_bad = true;
    options.settings = a->settings;
    while (a->settings && a->settings[options.n_settings])
        options.n_settings++;
    agon_status s = open_tokenizer(ctx, a->model, a->chat_template, &t);
    if (!s)
        s = agon_dataset_open_with(ctx, t, a->file, a->objective, &options, &d);
    if (!s)
        s = agon_dataset_report(ctx, d, &answer);
    int code;
    json_t *report = take_answer("data", ctx, s, answer, false, &code);
    if (report && a->json) {
        print_json(report);
    } else if (report) {
        show_report(report, a->check, a->max_length);
        code = show_rows(ctx, d, a->show);
    }
    if (report && a->check && code == EXIT_FINE && member_count(report, "skipped") > 0)
        code = EXIT_BAD_DATA;
    json_decref(report);
    agon_dataset_free(d);
    agon_tokenizer_free(t);
    free(text);
    free(adapter_text);
    close_context(ctx);
    return code;
}

/* ---- contexts ------------------------------------------------------------------------------------------------- */

typedef struct contexts_arguments {
    const char *file, *to, *base, *dimensions;
    double prior;
    bool json;
} contexts_arguments;

static void show_vector(const json_t *vector) {
    for (size_t j = 0; j < json_array_size(vector); j++)
        printf("%s%.3f", j ? "," : "", json_number_value(json_array_get(vector, j)));
}

static void show_context(const char *name, const json_t *context) {
    const json_t *held_out = json_object_get(context, "held_out");
    double n = (double)member_count(context, "pairs");
    const char *source;
    json_t *count;
    print_safe(stdout, name);
    fputs(": ", stdout);
    show_vector(json_object_get(context, "vector"));
    printf("  from %.0f pairs; log-likelihood a pair %.4f, of the base %.4f", n, json_number_value(json_object_get(context, "log_likelihood")) / n,
           json_number_value(json_object_get(context, "base_log_likelihood")) / n);
    if (json_is_object(held_out))
        printf("; held-out pairs ranked rightly %.3f, by the base %.3f", json_number_value(json_object_get(held_out, "right")),
               json_number_value(json_object_get(held_out, "base_right")));
    fputs("; by", stdout);
    json_object_foreach(json_object_get(context, "sources"), source, count) {
        putchar(' ');
        print_safe(stdout, source);
        printf(" %lld", (long long)json_integer_value(count));
    }
    putchar('\n');
}

static void show_contexts(const char *to, const json_t *report) {
    const json_t *names = json_object_get(report, "dimensions");
    const char *name;
    json_t *context;
    printf_safe(stdout, "%s: %lld pairs, %zu contexts, %zu dimensions", to, member_count(report, "pairs"), json_object_size(json_object_get(report, "contexts")),
           json_array_size(json_object_get(report, "base")));
    for (size_t j = 0; j < json_array_size(names); j++)
        printf_safe(stdout, "%s%s", j ? ", " : ": ", json_string_value(json_array_get(names, j)));
    fputs("\nbase: ", stdout);
    show_vector(json_object_get(report, "base"));
    putchar('\n');
    json_object_foreach(json_object_get(report, "contexts"), name, context) show_context(name, context);
}

static int contexts(const contexts_arguments *a) {
    enum { MOST = 17 }; /* one more than there may be: the library says so */
    agon_contexts_options o = agon_contexts_options_default();
    const char *names[MOST];
    char *text = NULL, *answer = NULL;
    double *base = NULL;
    if (!a->to)
        return usage_error(&command_data, "say where to write: --to contexts.json");
    if (a->base && !parse_numbers(a->base, &base, &o.n_base))
        return usage_error(&command_data, "--base takes numbers and commas, such as 0.5,0.5");
    agon_ctx *ctx = open_context("data");
    if (ctx && a->dimensions)
        text = split_names(a->dimensions, names, MOST, &o.n_dimensions);
    if (!ctx || (a->dimensions && !text)) {
        close_context(ctx);
        free(base);
        return EXIT_SYSTEM;
    }
    o.prior = a->prior, o.base = base, o.dimensions = names;
    agon_status s = agon_contexts_fit(ctx, a->file, &o, a->to, &answer);
    int code;
    json_t *report = take_answer("data", ctx, s, answer, a->json, &code);
    if (report)
        show_contexts(a->to, report);
    json_decref(report);
    free(text);
    free(base);
    close_context(ctx);
    return code;
}

/* ---- the command ---------------------------------------------------------------------------------------------- */

typedef struct data_arguments {
    const char *from;
    bool skip_bad;
    double validation, test;
    check_arguments check;
    label_arguments labels;
    contexts_arguments contexts;
} data_arguments;

static int dispatch(const char *word, data_arguments *x) {
    const label_arguments *l = &x->labels;
    check_arguments *c = &x->check;
    if (strcmp(word, "convert") == 0)
        return convert(c->file, x->from, l->to, x->skip_bad, c->json);
    if (strcmp(word, "split") == 0)
        return split(c->file, x->validation, x->test, l->seed, c->json);
    if (strcmp(word, "fuse") == 0)
        return data_fuse(l);
    if (strcmp(word, "noise") == 0)
        return data_noise(l);
    if (strcmp(word, "clean") == 0)
        return data_clean(l);
    x->contexts.dimensions = c->dimensions;
    if (strcmp(word, "contexts") == 0)
        return contexts(&x->contexts);
    if (c->show > 0 && c->json)
        return usage_error(&command_data, "--show has no effect with --json, which gives the report alone");
    c->check = strcmp(word, "check") == 0;
    c->show = c->show >= 0 ? c->show : c->check;
    return check(c);
}

static bool is_subcommand(const char *word) {
    static const char *const all[] = {"convert", "check", "split", "stats", "fuse", "noise", "clean", "contexts"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(word, all[i]) == 0)
            return true;
    return false;
}

static int run(int argc, char **argv) {
    const char *words[2] = {NULL, NULL};
    data_arguments x = {.test = 0.1, .check = {.show = -1, .max_length = DEFAULT_MAX_LENGTH}, .labels = label_arguments_default(),
                        .contexts = {.prior = agon_contexts_options_default().prior}};
    check_arguments *c = &x.check;
    label_arguments *l = &x.labels;
    const option_spec specs[] = {{.name = "--from", .text = &x.from, .of = "convert"},
                                 {.name = "--to", .text = &l->to, .of = "convert fuse noise clean contexts"},
                                 {.name = "--skip-bad", .flag = &x.skip_bad, .of = "convert"},
                                 {.name = "--validation", .real = &x.validation, .of = "split"},
                                 {.name = "--test", .real = &x.test, .of = "split"},
                                 {.name = "--seed", .integer = &l->seed, .of = "split noise clean"},
                                 {.name = "--objective", .text = &c->objective, .of = "check stats noise clean"},
                                 {.name = "--model", .text = &c->model, .of = "check stats noise clean"},
                                 {.name = "--chat-template", .text = &c->chat_template, .of = "check stats noise clean"},
                                 {.name = "--dimensions", .text = &c->dimensions, .of = "check stats contexts"},
                                 {.name = "--adapters", .text = &c->adapters, .of = "check stats"},
                                 {.name = "--set", .list = &c->settings, .of = "check stats"},
                                 {.name = "--max-length", .integer = &c->max_length, .of = "check stats clean"},
                                 {.name = "--group-size", .integer = &c->group_size, .of = "check stats"},
                                 {.name = "--show", .integer = &c->show, .of = "check stats"},
                                 {.name = "--json", .flag = &c->json},
                                 {.name = "--gold", .text = &l->gold, .of = "fuse"},
                                 {.name = "--together", .list = &l->together, .of = "fuse"},
                                 {.name = "--least-votes", .integer = &l->least_votes, .of = "fuse"},
                                 {.name = "--hard", .flag = &l->hard, .of = "fuse"},
                                 {.name = "--rate", .real = &l->rate, .of = "noise"},
                                 {.name = "--level", .text = &l->level, .of = "noise"},
                                 {.name = "--folds", .integer = &l->folds, .of = "clean"},
                                 {.name = "--lora", .integer = &l->lora, .of = "clean"},
                                 {.name = "--epochs", .integer = &l->epochs, .of = "clean"},
                                 {.name = "--batch", .integer = &l->batch, .of = "clean"},
                                 {.name = "--lr", .real = &l->lr, .of = "clean"},
                                 {.name = "--drop", .text = &l->drop, .of = "clean"},
                                 {.name = "--soft", .flag = &l->soft, .of = "clean"},
                                 {.name = "--truth", .text = &l->truth, .of = "clean"},
                                 {.name = "--prior", .real = &x.contexts.prior, .of = "contexts"},
                                 {.name = "--base", .text = &x.contexts.base, .of = "contexts"},
                                 {0}};
    size_t n;
    int code;
    if (parse_options(&command_data, argc, argv, specs, words, 2, &n, &code)) {
        c->file = l->file = words[1];
        l->objective = c->objective, l->model = c->model, l->chat_template = c->chat_template, l->json = c->json;
        l->max_length = c->max_length;
        x.contexts.file = words[1], x.contexts.to = l->to, x.contexts.json = c->json;
        const char *stray = stray_option(argc, argv, specs, words[0] ? words[0] : "");
        if (n != 2)
            code = usage_error(&command_data, "say what to do and with which file: agon data check rows.jsonl --objective sft");
        else if (!is_subcommand(words[0]))
            code = usage_error(&command_data, "'%.40s' is none of convert, check, split, stats, fuse, noise, clean, contexts", words[0]);
        else
            code = stray ? usage_error(&command_data, "%s has no effect on %s", stray, words[0]) : dispatch(words[0], &x);
    }
    free(l->together);
    free(c->settings);
    return code;
}

const command command_data = {
    "data",
    "rows to train on: convert, check, split, stats; labels: fuse, noise, clean; contexts",
    "data convert FILE --to OUT [--from FORMAT] [--skip-bad] [--json]\n"
    "       agon data check FILE --objective NAME [--dimensions A,B] [--adapters A,B] [--show N] [options]\n"
    "       agon data stats FILE --objective NAME [--dimensions A,B] [options]\n"
    "       agon data split FILE [--test 0.1] [--validation 0] [--seed N] [--json]\n"
    "       agon data fuse FILE --to OUT [--gold SOURCE] [--together A,B]... [--least-votes N] [--hard]\n"
    "       agon data noise FILE --to OUT --objective NAME --rate R [--level response|token|span] [--seed N]\n"
    "       agon data clean FILE --to OUT --objective NAME [--drop findings|SHARE] [--soft] [--truth OUT.truth]\n"
    "       agon data contexts FILE --to contexts.json [--prior 0.5] [--base X,X...] [--dimensions A,B]\n\n"
    "convert  Alpaca, ShareGPT, HH-RLHF, GSM8K, SPIN, pairs beside a question (JSONL, one JSON list, or a table FILE.csv) to\n"
    "         rows that agon train takes; a \"system\" column becomes the first message.\n"
    "check    reads the file as agon train would: bad rows by line and reason (20, with --json all), truncation, end tokens,\n"
    "         and the exact tokens and mask of the first rows; exit code 4 where there are bad rows.\n"
    "stats    the counts alone.\n"
    "split    rows.jsonl to rows.train.jsonl, rows.test.jsonl (and rows.validation.jsonl): rows of one prompt stay together,\n"
    "         equal rows are written once.\n"
    "fuse     rows with {\"votes\": {\"verifier\": true, \"critic\": false, \"human\": true}} to rows with one label: how often each\n"
    "         source is wrong is estimated from the votes, so a rare human label may outweigh many of a critic's.\n"
    "noise    makes a stated share of the labels wrong, and keeps the truth in OUT.truth.\n"
    "clean    lists labels that are probably wrong in OUT.dropped, and why, by models trained on the other rows; writes the\n"
    "         rest.\n"
    "contexts a preference vector for each context of {\"context\", \"chosen_rewards\", \"rejected_rewards\", \"source\"?}, a reward\n"
    "         for each dimension: how much each weighs to those who chose so. agon generate --contexts uses them.\n\n"
    "  --to OUT             the file to write, whole or not at all\n"
    "  --json               reports as JSON\n"
    "convert:\n"
    "  --from FORMAT        auto (default), trl, alpaca, sharegpt, hh, gsm8k, spin, orca; rows of {\"prompt\", \"draft\",\n"
    "                       \"critique\", \"refined\"} become refine-sft (prompt -> refined), refine-guided (with draft and\n"
    "                       critique -> refined), refine-pairs (refined above draft) or refine-critic (with draft -> critique)\n"
    "  --skip-bad           leave out rows that cannot be converted, and name them (20, with --json all)\n"
    "check, stats (noise, clean):\n"
    "  --objective NAME     what the rows are for, as in agon train\n"
    "  --model M            whose tokens and chat template (default: $AGON_MODEL, else the cached model)\n"
    "  --chat-template NAME the family to use instead of the file's template\n"
    "  --dimensions A,B     the rows' dimensions, as in agon train: a row of none of them is bad, as is one without rows\n"
    "  --adapters A,B       the rows' adapters, likewise\n"
    "  --set NAME=VALUE     an option of the objective, as in agon train: some decide what a row must have\n"
    "  --max-length N       tokens of prompt and response, as in agon train (" NUMBER_TEXT(DEFAULT_MAX_LENGTH) "; 0: no limit)\n"
    "  --group-size N       completions a group must have; 0: any\n"
    "  --show N             rows to show token by token (check: 1)\n"
    "split:\n"
    "  --test S, --validation S   shares of the rows (0.1 and 0); the rest is for training\n"
    "  --seed N             of who goes where (0)\n"
    "fuse:\n"
    "  --gold SOURCE        its votes are the truth\n"
    "  --together A,B       sources that are no independent witnesses: their majority is one vote\n"
    "  --least-votes N      independent votes a row must have, but for rows with a gold vote (1)\n"
    "  --hard               decided rows with weights in place of probabilities: pairs swapped, labels true or false\n"
    "noise:\n"
    "  --rate R             share of rows, or of tokens, that becomes wrong\n"
    "  --level L            response (default): pairs swapped, labels reversed, completions replaced by other rows'; token,\n"
    "                       span: tokens of the response replaced, also those that agon train --max-length cuts off\n"
    "clean:\n"
    "  --folds 4            parts that the prompts are divided into\n"
    "  --lora 8 --epochs 1 --batch 8 --lr 0.0005  of the judges\n"
    "                       they are asked after each epoch; the one that explains unseen labels best decides\n"
    "  --drop findings      what is found; or a share, such as 0.2, of the least credible rows (the only way for answers to\n"
    "                       imitate)\n"
    "  --soft               keep all rows, with P as their label\n"
    "  --truth OUT.truth    of agon data noise: precision and recall\n"
    "  --max-length N       as above: what lies beyond is not judged, but written\n"
    "contexts:\n"
    "  --prior X            how far a context's vector strays from the base on little evidence, a standard deviation (0.5)\n"
    "  --base X,X...        the vector of those who said nothing (all alike)\n"
    "  --dimensions A,B     their names and order, as in agon train (default: as the first row's rewards are named)\n\n"
    "  agon data convert alpaca_data.json --to rows.jsonl && agon data check rows.jsonl --objective sft",
    run,
};
