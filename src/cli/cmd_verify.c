/* agon verify: is the workspace what its journal says, and does executing it again give the same bits? */
#include "cli/cli.h"
#include "cli/terminal.h"

#define N "%" JSON_INTEGER_FORMAT
static void print_report(const json_t *report) {
    const json_t *again = json_object_get(report, "reexecuted");
    const terminal t = terminal_look(stdout);
    printf("journal: " N " runs, " N " steps, " N " items, " N " records\nobjects: " N " read, " N " that nothing refers to\n",
           member_count(report, "runs"), member_count(report, "steps"), member_count(report, "items"), member_count(report, "records"),
           member_count(report, "objects"), member_count(report, "unreferenced_objects"));
    if (json_is_object(again))
        printf("executed again: " N " steps, " N " with the same bits; " N " are no work that is executed by itself, such as trainings\n", member_count(again, "executed"),
               member_count(again, "equal"), member_count(again, "skipped"));
    if (json_is_true(json_object_get(report, "ok"))) {
        puts("all is as recorded");
        return;
    }
    puts("DAMAGED:");
    print_paragraph(&t, stdout, member_text(report, "problem"), 2, t.columns, 0);
}

static int run(int argc, char **argv) {
    const char *workspace = NULL;
    int64_t sample = 8, seed = 1;
    bool json = false;
    const option_spec specs[] = {{.name = "--workspace", .text = &workspace}, {.name = "--sample", .integer = &sample},
                                 {.name = "--seed", .integer = &seed},      {.name = "--json", .flag = &json},
                                 {0}};
    size_t n;
    int code;
    if (!parse_options(&command_verify, argc, argv, specs, NULL, 0, &n, &code))
        return code;
    if (sample < 0)
        return usage_error(&command_verify, "--sample takes a number of steps, 0 for none");
    agon_ctx *ctx = open_context("verify");
    char *text = NULL;
    if (!ctx)
        return EXIT_SYSTEM;
    agon_status s = agon_verify_json(ctx, workspace, (size_t)sample, (uint64_t)seed, &text);
    json_t *report = take_answer("verify", ctx, s, text, false, &code);
    if (report && json)
        print_json(report);
    else if (report)
        print_report(report);
    if (report && !json_is_true(json_object_get(report, "ok")))
        code = EXIT_MISMATCH;
    json_decref(report);
    close_context(ctx);
    return code;
}

const command command_verify = {
    "verify",
    "checks journal, records and objects, and executes a sample again",
    "verify [--workspace DIR] [--sample N] [--seed S] [--json]\n\n"
    "Exit code 7 when anything differs from what was recorded. Answers, judgements, verdicts and draws are executed again;\n"
    "trainings are not: the same agon with the same run file in a new workspace does that, and ends at the same ids.\n\n"
    "  --workspace DIR  the run's folder (default: the only *.agon folder here)\n"
    "  --sample N       reproducible steps to execute again, bit for bit (default 8; 0: none)\n"
    "  --seed S         which ones (default 1)\n"
    "  --json           {\"ok\", \"problem\", \"steps\", \"items\", \"records\", \"objects\", \"reexecuted\", ...}\n\n"
    "  agon verify --sample 32",
    run,
};
