/* agon init: a run file for the user's own queries, and what it will cost before anything starts. */
#include "cli/cli.h"
#include "cli/live.h"
#include "cli/terminal.h"
#include <stdlib.h>
#include <string.h>

#define N "%" JSON_INTEGER_FORMAT

static void print_counts(const char *title, const json_t *counts) {
    const char *name, *comma = "";
    const json_t *n, *work = json_object_get(counts, "equivalents");
    printf("%-10s", title);
    json_object_foreach((json_t *)(uintptr_t)counts, name, n) {
        if (n == work)
            continue;
        printf("%s%.30s ", comma, name);
        if (json_is_real(n))
            printf("%.0f", json_real_value(n));
        else
            printf(N, json_integer_value(n));
        comma = ", ";
    }
    if (work)
        printf("; as much work as reading %.0f", json_number_value(work));
    putchar('\n');
}

static void print_queries(const json_t *q) {
    if (!json_is_object(q))
        return;
    printf("queries:  " N " (" N " with an answer, " N " with a verifier, " N " that only people can judge)\n",
           member_count(q, "n"), member_count(q, "with_answer"),
           member_count(q, "with_verifier"), member_count(q, "unverifiable"));
    if (json_object_size(json_object_get(q, "verifiers")))
        print_counts("judged by: ", json_object_get(q, "verifiers"));
    if (member_count(q, "exact_by_default"))
        printf("          exact is taken for " N " whose answer is a text and that name no verifier: a sentence around the answer\n"
               "          fails, which \"verifier\": \"contains\" accepts\n",
               member_count(q, "exact_by_default"));
    if (member_count(q, "unverifiable"))
        printf("          only people can judge " N ", so the file says human: {backend: queue}: the run puts questions in a queue and\n"
               "          stops as waiting where it needs answers: for something to train on, and at the gate, which asks about held-out\n"
               "          answers of both versions (gate_items, two verdicts each). `agon review`, then run it again\n",
               member_count(q, "unverifiable"));
    if (member_count(q, "duplicates"))
        printf("          " N " repeat another one and will be left out\n", member_count(q, "duplicates"));
    if (member_count(q, "joined"))
        printf("          " N " ask nearly what another one asks, or share its \"group\": of each of the " N " sets of such all are held\n"
               "          out or none\n",
               member_count(q, "joined"), member_count(q, "joined_sets"));
    printf("held out: " N " of " N " in " N " sets, and the gate counts sets: rows that go together are one; all others are asked\n",
           member_count(q, "held_out"), member_count(q, "n") - member_count(q, "duplicates"), member_count(q, "held_out_sets"));
}

static void print_memory(const json_t *memory) {
    const json_t *available = json_object_get(memory, "available_mib");
    if (!json_is_object(memory))
        return;
    printf("memory:   about " N " MiB at its peak (%s)", member_count(memory, "peak_mib"), member_text(memory, "phase"));
    if (json_is_integer(available))
        printf(", " N " MiB can be had now", json_integer_value(available));
    putchar('\n');
}

static void print_plan(const json_t *plan) {
    char took[32];
    const terminal t = terminal_look(stdout);
    const json_t *warning;
    size_t i;
    const json_t *cost = json_object_get(plan, "cost"), *minutes = json_object_get(cost, "minutes");
    const json_t *rate = json_object_get(plan, "tokens_per_second");
    printf_safe(stdout, "wrote %s\n\n", member_text(plan, "output"));
    print_queries(json_object_get(plan, "queries"));
    print_counts("tokens:", json_object_get(cost, "tokens"));
    print_counts("labels:", json_object_get(cost, "labels"));
    print_memory(json_object_get(cost, "memory"));
    if (json_is_number(minutes))
        printf("time:     about %s where nothing else runs, at the %.0f tokens a second measured here\n",
               duration_text(60 * json_number_value(minutes), took), json_number_value(rate));
    else
        puts("time:     not known: no model was found to measure with (set AGON_MODEL, or run `make model`)");
    json_array_foreach(json_object_get(plan, "warnings"), i, warning) {
        fputs("\nwarning: ", stdout);
        print_cut(&t, stdout, json_string_value(warning), 2000, false);
        putchar('\n');
    }
    printf_safe(stdout, "\nnext: look at its comments, then\n  agon run %s\n", member_text(plan, "output"));
}

/* "my.jsonl" becomes "my.yaml" in the current folder; new text. */
static char *output_of(const char *queries) {
    const char *name = queries ? strrchr(queries, '/') : NULL;
    char *text = NULL;
    name = name ? name + 1 : queries ? queries : "run";
    const char *dot = strrchr(name, '.');
    int n = (int)(dot && dot != name ? (size_t)(dot - name) : strlen(name));
    return asprintf(&text, "%.*s.yaml", n, name) < 0 ? NULL : text;
}

static int run(int argc, char **argv) {
    const char *queries = NULL, *output = NULL;
    bool json = false;
    const option_spec specs[] = {{.name = "--output", .text = &output}, {.name = "--json", .flag = &json}, {0}};
    size_t n;
    int code;
    if (!parse_options(&command_init, argc, argv, specs, &queries, 1, &n, &code))
        return code;
    char *made = output ? NULL : output_of(queries);
    if (!output && !(output = made))
        return EXIT_SYSTEM;
    agon_ctx *ctx = open_context("init");
    if (!ctx) {
        free(made);
        return EXIT_SYSTEM;
    }
    char *text = NULL;
    agon_status s = agon_init_run_file(ctx, queries, output, &text);
    json_t *plan = take_answer("init", ctx, s, text, json, &code);
    if (plan)
        print_plan(plan);
    json_decref(plan);
    close_context(ctx);
    free(made);
    return code;
}

const command command_init = {
    "init",
    "writes a commented run file and says what the run will cost",
    "init [my.jsonl] [--output FILE.yaml] [--json]\n\n"
    "my.jsonl holds your own queries, one a line: {\"query\": \"...\", \"answer\": \"...\"} or with \"verifier\": \"name\", or neither\n"
    "(then only people can judge). Every row is checked. Without a file the run uses the built-in task families. Nothing\n"
    "starts, and nothing is overwritten.\n\n"
    "  --output FILE.yaml  where to write (default: the queries' name with .yaml in the current folder)\n"
    "  --json              {\"output\", \"queries\", \"cost\": {\"tokens\", \"minutes\", \"labels\", \"memory\"},\n"
    "                      \"tokens_per_second\", \"warnings\"}\n\n"
    "  agon init my.jsonl && agon run my.yaml",
    run,
};
