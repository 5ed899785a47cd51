/* agon verify: is the workspace what its journal says, and does executing it again give the same bits? */
#include "cli/cli.h"
#include "cli/terminal.h"

typedef struct question {
    int64_t sample, seed;
} question;

static agon_status ask(agon_ctx *ctx, const char *workspace, const void *arg, char **json) {
    const question *q = arg;
    return agon_verify_json(ctx, workspace, (size_t)q->sample, (uint64_t)q->seed, json);
}

static json_int_t number(const json_t *report, const char *key) {
    return json_integer_value(json_object_get(report, key));
}

#define N "%" JSON_INTEGER_FORMAT
static void print_report(const json_t *report) {
    const json_t *again = json_object_get(report, "reexecuted");
    const terminal t = terminal_look(stdout);
    printf("journal: " N " runs, " N " steps, " N " items, " N " records\nobjects: " N " read, " N " that nothing refers to\n",
           number(report, "runs"), number(report, "steps"), number(report, "items"), number(report, "records"),
           number(report, "objects"), number(report, "unreferenced_objects"));
    if (json_is_object(again))
        printf("executed again: " N " steps, " N " with the same bits, " N " skipped\n", number(again, "executed"),
               number(again, "equal"), number(again, "skipped"));
    if (json_is_true(json_object_get(report, "ok"))) {
        puts("all is as recorded");
        return;
    }
    puts("DAMAGED:");
    print_paragraph(&t, stdout, member_text(report, "problem"), 2, t.columns, 0);
}

static int run(int argc, char **argv) {
    const char *workspace = NULL;
    question q = {.sample = 8, .seed = 1};
    bool json = false;
    const option_spec specs[] = {{.name = "--workspace", .text = &workspace}, {.name = "--sample", .integer = &q.sample},
                                 {.name = "--seed", .integer = &q.seed},      {.name = "--json", .flag = &json},
                                 {0}};
    size_t n;
    int code;
    if (!parse_options(&command_verify, argc, argv, specs, NULL, 0, &n, &code))
        return code;
    if (q.sample < 0)
        return usage_error(&command_verify, "--sample takes a number of steps, 0 for none");
    json_t *report = ask_workspace(&command_verify, workspace, ask, &q, &code);
    if (report && json)
        print_json(report);
    else if (report)
        print_report(report);
    if (report && !json_is_true(json_object_get(report, "ok")))
        code = EXIT_MISMATCH;
    json_decref(report);
    return code;
}

const command command_verify = {
    "verify",
    "checks journal, records and objects, and executes a sample again",
    "verify [--workspace DIR] [--sample N] [--seed S] [--json]\n\n"
    "Exit code 7 when anything differs from what was recorded.\n\n"
    "  --workspace DIR  the run's folder (default: the only *.agon folder here)\n"
    "  --sample N       reproducible steps to execute again, bit for bit (default 8; 0: none)\n"
    "  --seed S         which ones (default 1)\n"
    "  --json           {\"ok\", \"problem\", \"steps\", \"items\", \"records\", \"objects\", \"reexecuted\", ...}\n\n"
    "  agon verify --sample 32",
    run,
};
