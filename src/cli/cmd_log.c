/* agon log: the events of a run, as they come with --follow. */
#include "cli/cli.h"
#include "cli/terminal.h"
#include <time.h>
#include <unistd.h>

typedef struct question {
    const char *run;
    int64_t after, limit;
} question;

static void print_event(const terminal *t, const json_t *event, bool json) {
    char when[32] = "";
    time_t seconds = (time_t)(member_count(event, "time_ms") / 1000);
    struct tm tm;
    if (json) {
        print_json(event);
        return;
    }
    if (localtime_r(&seconds, &tm))
        strftime(when, sizeof when, "%m-%d %H:%M:%S", &tm);
    printf("%s  %3" JSON_INTEGER_FORMAT "  ", when, member_count(event, "iteration"));
    print_cut(t, stdout, member_text(event, "stage"), 10, true);
    fputs("  ", stdout);
    print_cut(t, stdout, member_text(event, "message"), t->is_terminal && t->columns > 60 ? t->columns - 33 : 2000, false);
    putchar('\n');
}

/* Prints what is new; *last moves on. */
static agon_status print_news(agon_ctx *ctx, const char *workspace, question *q, bool json) {
    const terminal t = terminal_look(stdout);
    char *text = NULL;
    agon_status s = agon_log_json(ctx, workspace, q->run, q->after, (size_t)q->limit, &text);
    json_t *events = text ? json_loads(text, 0, NULL) : NULL;
    const json_t *event;
    size_t i;
    json_array_foreach(events, i, event) {
        print_event(&t, event, json);
        q->after = member_count(event, "number");
    }
    fflush(stdout);
    json_decref(events);
    agon_text_free(text);
    return s;
}

/* Is there more to come? */
static agon_status is_going(agon_ctx *ctx, const char *workspace, const char *run, bool *going) {
    char *text = NULL;
    agon_status s = agon_status_json(ctx, workspace, run, &text);
    json_t *status = text ? json_loads(text, 0, NULL) : NULL;
    const json_t *arms = json_object_get(status, "arms");
    *going = member_text(status, "state")[0] == 'r' || member_text(arms, "state")[0] == 'r';
    json_decref(status);
    agon_text_free(text);
    return s;
}

static int log_events(const char *workspace, question q, bool json, bool follow) {
    bool going = follow;
    agon_ctx *ctx = open_context("log");
    if (!ctx)
        return EXIT_SYSTEM;
    end_by_signals();
    agon_status s = print_news(ctx, workspace, &q, json);
    q.limit = 0;
    while (!s && going && !ferror(stdout)) {
        usleep(300 * 1000);
        s = is_going(ctx, workspace, q.run, &going); /* asked first: what came before the end is printed */
        if (!s)
            s = print_news(ctx, workspace, &q, json);
    }
    int code = s ? fail_with("log", s, ctx) : EXIT_FINE;
    close_context(ctx);
    return code;
}

static int run(int argc, char **argv) {
    const char *workspace = NULL;
    question q = {.limit = 20};
    bool json = false, follow = false;
    const option_spec specs[] = {{.name = "--workspace", .text = &workspace}, {.name = "--run", .text = &q.run},
                                 {.name = "--n", .integer = &q.limit},        {.name = "--follow", .flag = &follow},
                                 {.name = "--json", .flag = &json},           {0}};
    size_t n;
    int code;
    if (!parse_options(&command_log, argc, argv, specs, NULL, 0, &n, &code))
        return code;
    if (q.limit < 0)
        return usage_error(&command_log, "--n takes a number of events, 0 for all");
    return log_events(workspace, q, json, follow);
}

const command command_log = {
    "log",
    "the events of a run",
    "log [--workspace DIR] [--run NAME] [--n N] [--follow] [--json]\n\n"
    "  --workspace DIR  the run's folder (default: the only *.agon folder here)\n"
    "  --run NAME       a run of the workspace (default: the latest)\n"
    "  --n N            the last N events (default 20; 0: all)\n"
    "  --follow         goes on until the run ends\n"
    "  --json           one JSON object a line: number, time_ms, iteration, stage, message, data\n\n"
    "  agon log --follow",
    run,
};
