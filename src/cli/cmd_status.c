/* agon status: where a run is and what came of it so far. */
#include "cli/arms_table.h"
#include "cli/claims.h"
#include "cli/live.h"
#include "cli/player.h"
#include "cli/summary_words.h"
#include <stdlib.h>
#include <string.h>

static void print_counts(const terminal *t, const char *title, const json_t *counts) {
    const char *name, *comma = "";
    const json_t *n;
    printf("%s", title);
    json_object_foreach((json_t *)(uintptr_t)counts, name, n) {
        fputs(comma, stdout);
        print_cut(t, stdout, name, 40, false);
        printf(" %" JSON_INTEGER_FORMAT, json_integer_value(n));
        comma = ", ";
    }
    printf("%s\n", *comma ? "" : "none");
}

/* Does a version stand there that was promoted for the gain that is shown? */
static bool shows_gain(const json_t *v) {
    return strcmp(member_text(v, "status"), "promoted") == 0 && json_is_number(json_object_get(json_object_get(v, "held_out"), "gain"));
}

/* Of a sealed run, whose shares nobody knows: what its gate estimated, and on how many tasks the expert judged and the critic alone did. */
static void print_estimate(const json_t *g1) {
    fputs(" estimated ", stdout);
    write_points(stdout, json_object_get(g1, "tuned"), "estimate");
    printf(", %" JSON_INTEGER_FORMAT " labelled and %" JSON_INTEGER_FORMAT " unlabelled", member_count(g1, "labelled"), member_count(g1, "unlabelled"));
}

static void print_version(const terminal *t, const json_t *v) {
    const json_t *held_out = json_object_get(v, "held_out"), *ci = json_object_get(held_out, "ci95"), *gain = json_object_get(held_out, "gain");
    const json_t *g1 = json_object_get(json_object_get(v, "gate"), "G1");
    printf("  %.12s  ", member_text(v, "id"));
    print_cut(t, stdout, member_text(v, "status"), 11, true);
    if (json_is_object(held_out) && !json_is_number(gain) && json_is_object(json_object_get(g1, "tuned"))) {
        print_estimate(g1);
    } else if (json_is_object(held_out)) {
        char before[24], after[24];
        printf(" %7s -> %7s", share_text(json_object_get(held_out, "before"), before), share_text(json_object_get(held_out, "after"), after));
        if (json_is_number(gain))
            printf("  %+5.1f points", 100 * json_number_value(gain));
        if (json_array_size(ci) == 2)
            printf(" [%+.1f, %+.1f]", 100 * json_number_value(json_array_get(ci, 0)),
                   100 * json_number_value(json_array_get(ci, 1)));
        printf(", n %" JSON_INTEGER_FORMAT, member_count(held_out, "n"));
    }
    puts("");
    if (*member_text(v, "reason"))
        print_paragraph(t, stdout, member_text(v, "reason"), 16, t->columns, 3);
}

/* The version that the gate compared with, where it is not the base: the line above tells of that. */
static const json_t *incumbent_of(const json_t *versions, const json_t *v) {
    const char *id = member_text(json_object_get(v, "gate"), "incumbent");
    const json_t *x;
    size_t i;
    json_array_foreach(versions, i, x)
        if (*id && strcmp(member_text(x, "id"), id) == 0 && strcmp(member_text(x, "role"), "base") != 0)
            return x;
    return NULL;
}

/* What it gained on the version before it, for which it was promoted or not. */
static void print_advance(const terminal *t, const json_t *versions, const json_t *v) {
    const json_t *incumbent = incumbent_of(versions, v);
    char *text = NULL;
    size_t n = 0;
    FILE *to = incumbent ? open_memstream(&text, &n) : NULL;
    if (!to)
        return;
    fprintf(to, "against %.12s: ", member_text(incumbent, "id"));
    write_gain(to, json_object_get(json_object_get(v, "gate"), "G1"));
    fclose(to);
    print_paragraph(t, stdout, text ? text : "", 16, t->columns, 3);
    free(text);
}

static void print_control(const terminal *t, const json_t *arms) {
    if (!json_is_object(arms))
        return;
    fputs("control arms: ", stdout);
    print_cut(t, stdout, member_text(arms, "state"), 20, false);
    if (json_array_size(json_object_get(arms, "rows"))) {
        print_arms(t, stdout, json_object_get(arms, "rows"));
        return;
    }
    fputs(", ", stdout);
    print_cut(t, stdout, member_text(arms, "stage"), 40, false);
    putchar('\n');
}

static void print_attacker(const terminal *t, const json_t *attacker) {
    if (!json_is_object(attacker))
        return;
    printf("trained attacker: %.12s of ", member_text(attacker, "version"));
    print_cut(t, stdout, member_text(attacker, "adapter"), 60, false);
    putchar('\n');
}

static void print_externals(const terminal *t, const json_t *externals) {
    const char *role;
    json_t *player;
    json_object_foreach((json_t *)(uintptr_t)externals, role, player) {
        printf("%s played elsewhere: %.12s", role, member_text(player, "version"));
        print_player(t, stdout, player);
        putchar('\n');
    }
}

static void print_critiques(const terminal *t, const json_t *critiques) {
    const json_t *row;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)critiques, i, row) {
        char *text = faithful_text(row), *line = NULL;
        if (text && asprintf(&line, "critiques of the %s, %s: %s", member_text(row, "critic"), member_text(row, "form"), text) >= 0)
            print_paragraph(t, stdout, line, 0, t->columns, 4);
        free(line);
        free(text);
    }
}

static void print_status(const json_t *status) {
    const terminal t = terminal_look(stdout);
    const json_t *v, *versions = json_object_get(status, "versions");
    const json_int_t waiting = json_integer_value(json_object_get(status, "answers_waiting"));
    bool note = false;
    size_t i;
    fputs("run ", stdout);
    print_cut(&t, stdout, member_text(status, "run"), 40, false);
    printf(": %s, iteration %" JSON_INTEGER_FORMAT ", ", member_text(status, "state"),
           member_count(status, "iteration"));
    print_cut(&t, stdout, member_text(status, "stage"), 40, false);
    printf("\nversions, held-out success of the base and of the version on the same tasks:%s\n",
           json_array_size(versions) ? "" : " none yet");
    json_array_foreach(versions, i, v) {
        print_version(&t, v);
        print_advance(&t, versions, v);
        note = note || shows_gain(v);
    }
    if (note)
        print_paragraph(&t, stdout, GAIN_OF_PROMOTED, 2, t.columns, 2);
    print_attacker(&t, json_object_get(status, "attacker"));
    print_externals(&t, json_object_get(status, "externals"));
    print_counts(&t, "labels: ", json_object_get(status, "labels"));
    json_array_foreach(json_object_get(status, "audits"), i, v)
        printf("audits of %s labels: %" JSON_INTEGER_FORMAT ", %" JSON_INTEGER_FORMAT " agreed\n", member_text(v, "source"),
               json_integer_value(json_object_get(v, "audits")), json_integer_value(json_object_get(v, "agreed")));
    print_critiques(&t, json_object_get(status, "critiques"));
    print_counts(&t, "tokens: ", json_object_get(status, "tokens"));
    if (waiting)
        printf("%" JSON_INTEGER_FORMAT " answer%s of reviewers wait%s: %s\n", waiting, waiting == 1 ? "" : "s", waiting == 1 ? "s" : "",
               strcmp(member_text(status, "state"), "done") == 0 ? "raise iterations in the run file and run it again" : "the run takes them in when it goes on");
    print_control(&t, json_object_get(status, "arms"));
}

static int run(int argc, char **argv) {
    return run_question(&command_status, argc, argv, agon_status_json, print_status);
}

const command command_status = {
    "status",
    "where a run is: stage, versions, labels, tokens",
    "status [--workspace DIR] [--run NAME] [--json]\n\n"
    "  --workspace DIR  the run's folder (default: the only *.agon folder here)\n"
    "  --run NAME       a run of the workspace (default: the latest)\n"
    "  --json           {\"run\", \"state\": \"running|done|halted|waiting\", \"iteration\", \"stage\", \"versions\": [{\"id\", \"parent\",\n"
    "                   \"status\", \"held_out\": {\"n\", \"before\", \"after\", \"ci95\"}, \"gate\": {\"incumbent\", \"G1\"}}],\n"
    "                   \"labels\", \"audits\", \"tokens\",\n"
    "                   \"critiques\": [{\"critic\", \"form\", \"n\", \"claims\", \"hold\", \"fail\", \"unverifiable\", \"faithful\", \"ci95\",\n"
    "                   \"checks\"}], \"answers_waiting\", \"arms\": {\"run\", \"state\", \"stage\", \"rows\": as agon run has them} or null,\n"
    "                   \"attacker\": the trained one, {\"version\", \"adapter\", \"object\", \"prompts\"} or null,\n"
    "                   \"externals\": who plays roles from elsewhere, {role: {\"version\", \"backend\", ...}} or null}\n\n"
    "  agon status --workspace quickstart.agon --json",
    run,
};
