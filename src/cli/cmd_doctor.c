/* agon doctor: whether this machine can do the work. */
#include "cli/cli.h"

static void show(const json_t *answer) {
    size_t i;
    json_t *c;
    const char *name;
    json_array_foreach(json_object_get(answer, "checks"), i, c) {
        printf("%-10s %-4s ", member_text(c, "name"), json_is_true(json_object_get(c, "ok")) ? "ok" : "BAD");
        print_safe(stdout, member_text(c, "detail"));
        putchar('\n');
    }
    printf("%-10s      ", "libraries");
    json_object_foreach(json_object_get(answer, "libraries"), name, c)
        printf(" %s %s", name, json_string_value(c));
    printf("\nagon %s: %s\n", member_text(answer, "version"), json_is_true(json_object_get(answer, "ok")) ? "all is fine" : "see BAD above");
}

static int run(int argc, char **argv) {
    const char *model = NULL;
    bool json = false;
    const option_spec specs[] = {{.name = "--model", .text = &model}, {.name = "--json", .flag = &json}, {0}};
    size_t n;
    int code;
    if (!parse_options(&command_doctor, argc, argv, specs, NULL, 0, &n, &code))
        return code;
    agon_ctx *ctx = open_context("doctor");
    char *text = NULL;
    if (!ctx)
        return EXIT_SYSTEM;
    agon_status s = agon_doctor(ctx, model, &text);
    json_t *answer = take_answer("doctor", ctx, s, text, false, &code);
    if (answer && json)
        print_json(answer);
    else if (answer)
        show(answer);
    if (answer && !json_is_true(json_object_get(answer, "ok")))
        code = EXIT_OTHER;
    json_decref(answer);
    close_context(ctx);
    return code;
}

const command command_doctor = {
    "doctor",
    "whether this machine can do the work",
    "doctor [--model M] [--json]\n\n"
    "Checks CPU path, kernels against their recorded bits, threads, memory, disk, and that the model is there and answers.\n"
    "Exit code 0 only when all is fine.\n\n"
    "  --model M   the model to try (default: $AGON_MODEL, else the cached model)\n"
    "  --json      {\"ok\", \"version\", \"checks\": [{\"name\", \"ok\", \"detail\"}], \"libraries\", \"machine\"}\n\n"
    "  agon doctor",
    run,
};
