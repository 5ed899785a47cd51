/* agon experiment: models from scratch on tasks whose truth is known. */
#include "cli/experiments.h"
#include <stdlib.h>
#include <string.h>

static void on_line(void *arg, const char *text) {
    FILE *to = *(const bool *)arg ? stderr : stdout; /* JSON has stdout to itself */
    printf_safe(to, "%s\n", text);
    fflush(to);
}

int run_experiment_command(const command *self, int argc, char **argv, const char *expected, void (*show)(const json_t *result)) {
    const char *file = NULL;
    bool json = false;
    char *text = NULL;
    agon_experiment_options o = agon_experiment_options_default();
    const option_spec specs[] = {{.name = "--output", .text = &o.output}, {.name = "--full", .flag = &o.full},
                                 {.name = "--plan", .flag = &o.plan_only}, {.name = "--json", .flag = &json},
                                 {0}};
    size_t n;
    int code;
    if (!parse_options(self, argc, argv, specs, &file, 1, &n, &code))
        return code;
    if (!file)
        return usage_error(self, "name an experiment's file");
    agon_ctx *ctx = open_context(self->name);
    if (!ctx)
        return EXIT_SYSTEM;
    o.expected = expected;
    o.on_line = on_line;
    o.arg = &json;
    agon_status s = agon_experiment(ctx, file, &o, &text);
    if (s == AGON_EINTERRUPTED) {
        fprintf(stderr, "agon %s: stopped; what is finished is kept. Run the same command again to go on\n", self->name);
        code = EXIT_STOPPED;
    } else {
        code = s ? fail_with(self->name, s, ctx) : EXIT_FINE;
    }
    json_t *result = text ? json_loads(text, 0, NULL) : NULL;
    if (text && json)
        print_json_text(text);
    else if (result && !o.plan_only)
        show(result);
    json_decref(result);
    agon_text_free(text);
    close_context(ctx);
    return code;
}

static void show_json(const json_t *result) {
    char *text = json_dumps(result, JSON_INDENT(1) | JSON_REAL_PRECISION(5));
    if (text)
        print_json_text(text);
    free(text);
}

static int list(int argc, char **argv) {
    const char *name, *summary;
    bool wanted, json = false;
    const option_spec specs[] = {{.name = "--list", .flag = &wanted}, {.name = "--json", .flag = &json}, {0}};
    size_t n;
    int code;
    if (!parse_options(&command_experiment, argc, argv, specs, NULL, 0, &n, &code))
        return code;
    json_t *all = json_array();
    for (size_t i = 0; agon_experiment_list(i, &name, &summary); i++) {
        json_array_append_new(all, json_pack("{s:s,s:s}", "name", name, "summary", summary));
        if (!json)
            printf("%-20s %s\n", name, summary);
    }
    json_t *answer = json_pack("{s:o}", "experiments", all);
    if (json)
        print_json(answer);
    json_decref(answer);
    return EXIT_FINE;
}

static int run(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--list") == 0)
            return list(argc, argv);
    return run_experiment_command(&command_experiment, argc, argv, NULL, show_json);
}

const command command_experiment = {
    "experiment",
    "an experiment with its controls, from its file",
    "experiment FILE.yaml [--output DIR] [--full] [--plan] [--json]\n"
    "       agon experiment --list [--json]\n\n"
    "The file names an experiment and its options (examples/*.yaml). Most train models from scratch on tasks whose truth a\n"
    "program knows. Stop it at any moment and run the same command again: it goes on.\n\n"
    "  --list         which experiments there are\n"
    "  --output DIR   where result.json, curves and finished parts are kept (default: the file's stem + .out)\n"
    "  --full         with what the file's \"full\" changes, usually more seeds; how long it takes is said first\n"
    "  --plan         only say how long it takes\n"
    "  --json         the result as one line of JSON; progress goes to stderr\n\n"
    "  agon experiment examples/preference_noise.yaml --output noise",
    run,
};
