/* agon eval: a model on the suites, alone or against another. */
#include "cli/preference.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct eval_arguments {
    const char *model, *adapter, *preference, *against, *dtype, *chat_template, *suite, *data;
    const char **cells; /* ended by NULL, or NULL */
    int64_t n, seed;
    bool list, json, items, held_out;
} eval_arguments;

/* ---- what there is ------------------------------------------------------------------------------------- */

static void print_list(const json_t *all) {
    size_t i;
    const json_t *v;
    printf("suites\n");
    json_array_foreach(json_object_get(all, "suites"), i, v) {
        printf("  %-13s %s", member_text(v, "name"), member_text(v, "summary"));
        if (json_object_get(v, "n"))
            printf(" (%lld)", member_count(v, "n"));
        if (json_object_get(v, "not_run"))
            printf_safe(stdout, "; not run: %s", member_text(v, "not_run"));
        putchar('\n');
    }
    printf("\ncells of tasks (difficulty 1 to 5; * drawn unless others are named, h in the harder half of its family)\n");
    json_array_foreach(json_object_get(all, "cells"), i, v) {
        printf("  %d %c%c %s\n", (int)member_count(v, "difficulty"),
               json_is_true(json_object_get(v, "by_default")) ? '*' : ' ', json_is_true(json_object_get(v, "hard")) ? 'h' : ' ',
               member_text(v, "name"));
    }
}

static int list(bool json) {
    int code;
    char *text = NULL;
    agon_ctx *ctx = open_context("eval");
    if (!ctx)
        return EXIT_SYSTEM;
    agon_status s = agon_suites(ctx, &text);
    json_t *all = take_answer("eval", ctx, s, text, json, &code);
    if (all)
        print_list(all);
    json_decref(all);
    close_context(ctx);
    return code;
}

/* ---- results --------------------------------------------------------------------------------------------- */

static double number(const json_t *object, const char *key) {
    return json_number_value(json_object_get(object, key));
}

static double end_of(const json_t *object, const char *key, size_t i) {
    return json_number_value(json_array_get(json_object_get(object, key), i));
}

static void print_share(const json_t *v) {
    printf(" %4.0f/%-4.0f %5.1f%% [%5.1f, %5.1f]", number(v, "right"), number(v, "n"), 100 * number(v, "rate"),
           100 * end_of(v, "ci95", 0), 100 * end_of(v, "ci95", 1));
}

static void print_row(const char *name, const json_t *v) {
    const json_t *against = json_object_get(v, "against");
    printf("  %-16.16s", name);
    print_share(v);
    if (against) {
        const char *p = json_object_get(against, "sign_flip_p") ? "sign_flip_p" : "mcnemar_p";
        print_share(against);
        printf("  %+6.1f [%+6.1f, %+6.1f]  +%.0f -%.0f  p %.3g", 100 * number(against, "gain"),
               100 * end_of(against, "gain_ci95", 0), 100 * end_of(against, "gain_ci95", 1), number(against, "gained"),
               number(against, "lost"), number(against, p));
    }
    putchar('\n');
}

static void print_non_inferiority(const json_t *against, const char *bound) {
    const json_t *f = json_object_get(against, "non_inferiority");
    printf("  %s: %s (margin %g points, one-sided %g%% bound %+.1f, p %.3g)\n",
           json_is_true(json_object_get(f, "holds")) ? "not inferior" : "not shown to be non-inferior",
           strcmp(bound, "upper") == 0 ? "rise of perplexity in %" : "difference in points", 100 * number(f, "margin"),
           100 * (1 - number(f, "alpha")), 100 * number(f, bound), number(f, "p"));
}

static void print_items(const json_t *items) {
    size_t i;
    const json_t *v;
    json_array_foreach(items, i, v) {
        printf("\n%s %s\n  asked: ", json_is_true(json_object_get(v, "right")) ? "right" : "wrong", member_text(v, "id"));
        print_safe(stdout, member_text(v, "query"));
        printf("\n  answer: ");
        print_safe(stdout, member_text(v, "response"));
        printf("\n  verdict: ");
        print_safe(stdout, member_text(v, "evidence"));
        putchar('\n');
    }
}

/* What was learnt by heart is no evidence. */
static void print_seen(const json_t *v, const char *who) {
    if (!json_object_get(v, "asked_in_training"))
        return;
    printf("  %s was asked or trained on %.0f of these %.0f in training, and its run held out %.0f%s\n", who, number(v, "asked_in_training"), number(v, "n"),
           number(v, "held_out"), number(v, "asked_in_training") > 0 ? " (--held-out asks those alone): the figures are no measure of what it can do with others" : "");
}

static void print_questions(const json_t *v) {
    const json_t *groups = json_object_get(v, "groups"), *against = json_object_get(v, "against"), *g;
    size_t i;
    printf("%s: right, share and 95%% interval%s\n", member_text(v, "name"),
           !against                      ? ""
           : json_object_get(v, "sets") ? "; the same of the version it is compared with; gain in points, 95% interval, gained, lost, exact p over sets (McNemar's where each row is alone)"
                                         : "; the same of the version it is compared with; gain in points, 95% interval, gained, lost, McNemar's p");
    if (json_object_get(v, "sets"))
        printf("  %.0f rows in %.0f sets that go together (one \"group\", near-duplicates): intervals and p take a set as one piece of evidence\n", number(v, "n"), number(v, "sets"));
    print_seen(v, "the version");
    print_seen(against, "the version it is compared with");
    json_array_foreach(groups, i, g) {
        if (strcmp(member_text(g, "name"), member_text(v, "name")) != 0)
            print_row(member_text(g, "name"), g);
    }
    print_row("all", v);
    if (against)
        print_non_inferiority(against, "lower");
    print_items(json_object_get(v, "items"));
}

static void print_perplexity(const json_t *v) {
    const json_t *against = json_object_get(v, "against");
    printf("perplexity: %.3f over %.0f tokens of %.0f documents", number(v, "perplexity"), number(v, "tokens"),
           number(v, "documents"));
    if (against)
        printf("; the other %.3f", number(against, "perplexity"));
    if (json_object_get(against, "not_comparable"))
        printf_safe(stdout, "; no comparison: %s", member_text(against, "not_comparable"));
    putchar('\n');
    if (json_object_get(against, "rise")) {
        printf("  rise %+.2f%%\n", 100 * number(against, "rise"));
        print_non_inferiority(against, "upper");
    }
}

static void print_results(const json_t *all) {
    size_t i;
    const json_t *v;
    json_array_foreach(json_object_get(all, "suites"), i, v) {
        if (i > 0)
            putchar('\n');
        if (json_object_get(v, "not_run"))
            printf_safe(stdout, "%s: not run: %s\n", member_text(v, "name"), member_text(v, "not_run"));
        else if (json_object_get(v, "perplexity"))
            print_perplexity(v);
        else
            print_questions(v);
    }
}

/* ---- running --------------------------------------------------------------------------------------------- */

static void on_progress(void *arg, const char *suite, size_t done, size_t total) {
    (void)arg;
    fprintf(stderr, "\r%s %zu/%zu ", suite, done, total);
    if (done == total)
        fprintf(stderr, "\r\x1b[K");
}

/* Is there such a file in the folder whose name are the first n bytes? */
static bool holds(const char *folder, size_t n, const char *name) {
    char file[4096];
    struct stat s;
    return snprintf(file, sizeof file, "%.*s/%s", (int)n, folder, name) < (int)sizeof file && stat(file, &s) == 0;
}

/* A PEFT folder says so by its configuration, a workspace (WORKSPACE[:ID]) by its database. */
static bool is_adapter(const char *path) {
    const char *colon = strrchr(path, ':');
    return holds(path, strlen(path), "adapter_config.json") || holds(path, strlen(path), "agon.db") || (colon && holds(path, (size_t)(colon - path), "agon.db"));
}

/* The second version: an adapter on the same model, or another model. */
static agon_status open_against(const opened *o, const eval_arguments *a, agon_model **model, agon_adapter **adapter) {
    return is_adapter(a->against) ? agon_adapter_open(o->ctx, o->model, a->against, adapter)
                                  : find_model(o->ctx, a->against, a->dtype, a->chat_template, model);
}

static int evaluate(const eval_arguments *a) {
    opened o;
    agon_model *model = NULL;
    agon_adapter *adapter = NULL;
    char *text = NULL;
    int code = open_model_at("eval", a->model, a->adapter, a->preference, a->dtype, a->chat_template, &o);
    if (code != EXIT_FINE)
        return code;
    agon_eval_options options = agon_eval_options_default();
    options.suite = a->data ? NULL : a->suite;
    options.file = a->data;
    options.n = (size_t)a->n;
    options.seed = (uint64_t)a->seed;
    options.items = a->items;
    options.held_out = a->held_out;
    options.cells = a->cells;
    while (a->cells && a->cells[options.n_cells])
        options.n_cells++;
    options.on_progress = isatty(STDERR_FILENO) ? on_progress : NULL;
    agon_status s = a->against ? open_against(&o, a, &model, &adapter) : AGON_OK;
    if (!s)
        s = agon_eval(o.ctx, o.model, o.adapter, a->against ? (model ? model : o.model) : NULL, adapter, &options, &text);
    json_t *results = take_answer("eval", o.ctx, s, text, a->json, &code);
    if (results)
        print_results(results);
    json_decref(results);
    agon_adapter_free(adapter);
    agon_model_free(model);
    close_model(&o);
    return code;
}

static int run(int argc, char **argv) {
    eval_arguments a = {.suite = "tasks"};
    const char *of_tasks = NULL, *of_suites = NULL; /* an option that stood and only tasks have; that only suites have */
    const option_spec specs[] = {{.name = "--model", .text = &a.model, .of = "evaluation"},
                                 {.name = "--adapter", .text = &a.adapter, .of = "evaluation"},
                                 {.name = "--preference", .text = &a.preference, .of = "evaluation"},
                                 {.name = "--against", .text = &a.against, .of = "evaluation"},
                                 {.name = "--suite", .text = &a.suite, .given = &of_suites, .of = "evaluation"},
                                 {.name = "--data", .text = &a.data, .of = "evaluation"},
                                 {.name = "--n", .integer = &a.n, .of = "evaluation"},
                                 {.name = "--seed", .integer = &a.seed, .of = "evaluation"},
                                 {.name = "--cells", .list = &a.cells, .given = &of_tasks, .of = "evaluation"},
                                 {.name = "--dtype", .text = &a.dtype, .of = "evaluation"},
                                 {.name = "--chat-template", .text = &a.chat_template, .of = "evaluation"},
                                 {.name = "--list", .flag = &a.list},
                                 {.name = "--items", .flag = &a.items, .of = "evaluation"},
                                 {.name = "--held-out", .flag = &a.held_out, .of = "evaluation"},
                                 {.name = "--json", .flag = &a.json},
                                 {0}};
    size_t n;
    int code;
    if (parse_options(&command_eval, argc, argv, specs, NULL, 0, &n, &code)) {
        const char *stray = a.list ? stray_option(argc, argv, specs, "--list") : NULL;
        if (stray)
            code = usage_error(&command_eval, "%s has no effect on --list", stray);
        else if (a.n < 0 || a.seed < 0)
            code = usage_error(&command_eval, "--n and --seed must be 0 or more");
        else if (a.data && (of_suites || of_tasks))
            code = usage_error(&command_eval, "--data asks the questions of a file and goes without %s", of_suites ? of_suites : of_tasks);
        else if (a.held_out && !a.data)
            code = usage_error(&command_eval, "--held-out chooses among the questions of a file: it goes with --data");
        else if (of_tasks && strcmp(a.suite, "tasks") != 0 && strcmp(a.suite, "all") != 0)
            code = usage_error(&command_eval, "%s says which tasks are drawn: it goes with --suite tasks or all", of_tasks);
        else
            code = a.list ? list(a.json) : evaluate(&a);
    }
    free(a.cells);
    return code;
}

const command command_eval = {
    "eval",
    "a model or adapter on the suites, alone or against another",
    "eval [--model M] [--adapter DIR] [--suite tasks|perplexity|all|NAME | --data FILE] [--against X] [--n N]\n"
    "       [--seed S] [--cells NAME]... [--held-out] [--items] [--list] [--json]\n\n"
    "One greedy answer a question, judged by a program. Intervals are exact (Clopper-Pearson); with --against both versions\n"
    "answer the same questions: gain with Newcombe's interval, McNemar's exact test, and non-inferiority within 3 points\n"
    "(perplexity: within 3%). Rows of --data that go together (one \"group\", near-duplicates) are one piece of evidence: the\n"
    "test is over sets, intervals are at the effective number of rows.\n\n"
    "  --model M            GGUF file, Hugging Face folder or imported name (default: $AGON_MODEL, else the cached model)\n"
    "  --adapter DIR        PEFT folder, or version of a workspace (WORKSPACE[:ID]), on top of it\n"
    "  --preference X,X...  how much each dimension of an adapter of agon train --dimensions weighs (default: all alike)\n"
    "  --suite NAME         tasks (default): freshly drawn tasks of all default cells; or a suite of --list; or all\n"
    "  --data FILE          questions of your own instead: {\"query\": ..., \"answer\"?, \"verifier\"?, \"arguments\"?} a line, as in\n"
    "                       run files; --n: the first N of them (default all)\n"
    "  --held-out           of these only what the run of the version (of a workspace, --adapter or --against) held out; of\n"
    "                       such it is always said how many of the questions they were asked in training\n"
    "  --against X          the version to compare with: a PEFT folder or version of a workspace, or another model\n"
    "  --n N                tasks of each cell (default 16), questions of a suite, documents of perplexity (default: its own)\n"
    "  --cells NAME         draw tasks from this family or family/cell of --list; may stand several times\n"
    "  --seed S             of the tasks that are drawn (default 0)\n"
    "  --items              every question, answer and verdict too\n"
    "  --list               suites and cells, and what would not run here\n"
    "  --dtype f32|bf16     of the matrix products (default bf16)\n"
    "  --chat-template NAME the family to use instead of the file's template\n"
    "  --json               everything as one JSON object\n\n"
    "  agon eval --suite general --model model.gguf --adapter trained --against base.gguf",
    run,
};
