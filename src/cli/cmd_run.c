/* agon run: a recipe from its run file, watched. */
#include "cli/cli.h"
#include "cli/live.h"
#include "cli/terminal.h"
#include <stdlib.h>

static void print_error(const agon_ctx *ctx, agon_status status) {
    json_t *line = json_pack("{ss ss ss}", "event", "error", "status", agon_status_name(status), "message", agon_error(ctx));
    print_json(line);
    json_decref(line);
}

static void print_end(live_mode mode, const char *text) {
    json_t *summary = json_loads(text, 0, NULL);
    if (mode == LIVE_JSON) {
        json_t *line = json_pack("{ss sO?}", "event", "summary", "summary", summary);
        print_json(line);
        json_decref(line);
    } else if (summary) {
        print_summary(stdout, summary);
    }
    json_decref(summary);
}

static int run_file(const char *file, const char *workspace, live_mode mode) {
    char *summary = NULL, *path = NULL;
    agon_run_options options = agon_run_options_default();
    agon_ctx *ctx = open_context("run");
    if (!ctx)
        return EXIT_SYSTEM;
    agon_status s = workspace ? agon_workspace_find(ctx, workspace, &path) : agon_run_workspace(ctx, file, &path);
    live *view = s ? NULL : live_new(mode, path);
    options.workspace = path;
    options.observer = view ? live_observe : NULL;
    options.arg = view;
    if (!s)
        s = agon_run(ctx, file, &options, &summary);
    live_free(view);
    if (s && mode == LIVE_JSON)
        print_error(ctx, s);
    int code = EXIT_FINE;
    if (s == AGON_EINTERRUPTED) {
        fprintf(stderr, "agon run: stopped; all finished work is kept. Run the same command again to go on\n");
        code = EXIT_STOPPED;
    } else if (s) {
        code = fail_with("run", s, ctx);
    } else {
        print_end(mode, summary);
    }
    agon_text_free(summary);
    agon_text_free(path);
    close_context(ctx);
    return code;
}

static int run(int argc, char **argv) {
    const char *file = NULL, *workspace = NULL;
    bool json = false, quiet = false;
    const option_spec specs[] = {{.name = "--workspace", .text = &workspace},
                                 {.name = "--json", .flag = &json},
                                 {.name = "--quiet", .flag = &quiet},
                                 {0}};
    size_t n;
    int code;
    if (!parse_options(&command_run, argc, argv, specs, &file, 1, &n, &code))
        return code;
    if (!file)
        return usage_error(&command_run, "name a run file");
    const terminal t = terminal_look(stdout);
    return run_file(file, workspace, json ? LIVE_JSON : quiet ? LIVE_QUIET : t.moves ? LIVE_SCREEN : LIVE_PLAIN);
}

const command command_run = {
    "run",
    "runs the loop of a run file, or goes on with it",
    "run FILE.yaml [--workspace DIR] [--json] [--quiet]\n\n"
    "Stop it at any moment and run the same command again: it goes on, and the result is the same to the last bit.\n"
    "Exit code 8 after Ctrl-C, 6 when another runner holds the workspace.\n\n"
    "  --workspace DIR  where everything is kept (default: the file's stem + .agon in the current folder)\n"
    "  --json           one JSON object a line: {\"event\": \"progress|message|summary|error\", ...}\n"
    "  --quiet          only the closing table\n\n"
    "  agon run examples/quickstart.yaml",
    run,
};
