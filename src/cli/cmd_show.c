/* agon show: one record and its neighbours. */
#include "cli/claims.h"
#include "cli/cli.h"
#include "cli/terminal.h"
#include <stdlib.h>
#include <string.h>

static void print_column(const terminal *t, const char *name, const json_t *value) {
    if (json_is_null(value))
        return;
    char *dumped = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    const char *text = dumped ? dumped : json_string_value(value);
    printf("  %-14s", name);
    if (text && !strchr(text, '\n') && strlen(text) + 17 <= t->columns) {
        putchar(' ');
        print_cut(t, stdout, text, t->columns, false);
        putchar('\n');
    } else if (text) {
        putchar('\n');
        print_paragraph(t, stdout, text, 4, t->columns, 0);
    }
    free(dumped);
}

static void print_links(const terminal *t, const char *title, const json_t *links) {
    const json_t *link;
    size_t i;
    if (json_array_size(links))
        printf("%s\n", title);
    json_array_foreach(links, i, link) {
        printf("  %-16s %.12s  ", member_text(link, "table"), member_text(link, "id"));
        print_cut(t, stdout, member_text(link, "because"), 40, false);
        putchar('\n');
    }
}

static void print_record(const json_t *answer) {
    const terminal t = terminal_look(stdout);
    const char *name;
    json_t *value;
    printf("%s %s\n", member_text(answer, "table"), member_text(answer, "id"));
    json_object_foreach(json_object_get(answer, "record"), name, value)
        if (strcmp(name, "id") != 0 && strcmp(name, "claims") != 0)
            print_column(&t, name, value);
    if (json_array_size(json_object_get(json_object_get(answer, "record"), "claims")))
        puts("  its claims");
    print_claims(&t, stdout, json_object_get(json_object_get(answer, "record"), "claims"), 4);
    print_links(&t, "comes from", json_object_get(answer, "from"));
    print_links(&t, "used by", json_object_get(answer, "referred_by"));
}

static int run(int argc, char **argv) {
    const char *workspace = NULL, *id = NULL;
    bool json = false;
    const option_spec specs[] = {{.name = "--workspace", .text = &workspace}, {.name = "--json", .flag = &json}, {0}};
    size_t n;
    int code;
    if (!parse_options(&command_show, argc, argv, specs, &id, 1, &n, &code))
        return code;
    if (!id)
        return usage_error(&command_show, "name a record: its id or the beginning of it, as agon status and agon log show them");
    json_t *answer = ask_workspace(&command_show, workspace, agon_show_json, id, json, &code);
    if (answer)
        print_record(answer);
    json_decref(answer);
    return code;
}

const command command_show = {
    "show",
    "one record: what it says and what refers to it",
    "show ID [--workspace DIR] [--json]\n\n"
    "ID is a record's id or at least 4 digits of its beginning.\n\n"
    "  --workspace DIR  the run's folder (default: the only *.agon folder here)\n"
    "  --json           {\"table\", \"id\", \"record\", \"from\", \"referred_by\"}\n\n"
    "  agon show 3fa9c1",
    run,
};
