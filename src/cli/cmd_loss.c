/* agon loss: an objective on numbers, to check it against a paper by hand. */
#include "cli/rows.h"
#include <stdlib.h>

static void show_objective(const json_t *objective) {
    const json_t *option;
    size_t i;
    printf("%s: %s\n", json_string_value(json_object_get(objective, "name")), json_string_value(json_object_get(objective, "summary")));
    json_array_foreach(json_object_get(objective, "options"), i, option)
        printf("    %s=%g   %s\n", json_string_value(json_object_get(option, "name")), json_number_value(json_object_get(option, "default")),
               json_string_value(json_object_get(option, "help")));
}

/* Every objective of agon train and agon loss with its options and their defaults. */
static int list_objectives(bool json) {
    char *answer = NULL;
    agon_ctx *ctx = open_context("loss");
    if (!ctx)
        return EXIT_SYSTEM;
    agon_status s = agon_objectives(ctx, &answer);
    int code = s ? fail_with("loss", s, ctx) : EXIT_FINE;
    json_t *list = s || json ? NULL : json_loads(answer, 0, NULL), *one;
    size_t i;
    json_array_foreach(list, i, one)
        show_objective(one);
    if (!s && json)
        print_json_text(answer);
    json_decref(list);
    agon_text_free(answer);
    close_context(ctx);
    return code;
}

static int run(int argc, char **argv) {
    const char *objective = NULL;
    const char **settings = NULL;
    bool json = false, all = false;
    const option_spec specs[] = {{.name = "--set", .list = &settings}, {.name = "--json", .flag = &json}, {.name = "--list", .flag = &all}, {0}};
    size_t n, n_settings = 0;
    int code;
    if (!parse_options(&command_loss, argc, argv, specs, &objective, 1, &n, &code)) {
        free(settings);
        return code;
    }
    if (!objective || all) {
        bool set = settings != NULL;
        free(settings);
        return objective && all ? usage_error(&command_loss, "--list lists all objectives; name none")
               : all && set     ? usage_error(&command_loss, "--set has no effect on --list")
               : all            ? list_objectives(json)
                                : usage_error(&command_loss, "name an objective; --list lists them");
    }
    while (settings && settings[n_settings])
        n_settings++;
    char *answer = NULL, *text = read_all("loss", stdin, &n);
    agon_ctx *ctx = text ? open_context("loss") : NULL;
    code = ctx ? EXIT_FINE : EXIT_SYSTEM;
    if (ctx) {
        agon_status s = agon_loss_json(ctx, objective, settings, n_settings, text, n, &answer);
        if (s)
            code = fail_with("loss", s, ctx);
        else
            print_json_text(answer);
        close_context(ctx);
    }
    agon_text_free(answer);
    free(text);
    free(settings);
    return code;
}

const command command_loss = {
    "loss",
    "an objective's loss and gradients on numbers given as JSON",
    "loss OBJECTIVE [--set k=v]...\n"
    "       agon loss --list [--json]\n\n"
    "Reads one JSON object {\"rows\": [...]}. A response is {\"log_probs\": [...], \"reference\": [...]?, \"old\": [...]?,\n"
    "\"values\": [...]?, \"mask\": [...]?, \"head\": [...]?, \"targets\": [...]?, \"reward\": r?, \"advantage\": a?,\n"
    "\"label\": true|false?, \"weight\": w?}; a row is a response, {\"chosen\": R, \"rejected\": R}, or\n"
    "{\"responses\": [R, ...]} (exo-rw, pro and plackett-luce take such a group as one\n"
    "example and read no weight of a response). Writes {\"loss\", \"losses\", \"rows\" with d_log_probs, \"metrics\"}.\n"
    "Objectives (--list: what they are, with their options):\n" OBJECTIVES_HERE "\n"
    "  --set k=v   an option of the objective: beta, label_smoothing, gamma, clip, length_normalised, ...\n"
    "  --list      all objectives with their options and defaults\n\n"
    "  echo '{\"rows\":[{\"chosen\":{\"log_probs\":[-1],\"reference\":[-1]},\"rejected\":{\"log_probs\":[-2],\"reference\":[-1]}}]}' |\n"
    "    agon loss dpo --set beta=0.1",
    run,
};
