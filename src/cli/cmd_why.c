/* agon why: where a record came from, as a story that reads downwards to the query's seed. */
#include "cli/claims.h"
#include "cli/cli.h"
#include "cli/player.h"
#include "cli/terminal.h"
#include <stdlib.h>
#include <string.h>

enum { FEW = 3, INDENT = 3, DEEPEST = 12 };

typedef struct story {
    terminal t;
    const json_t *chain;
    bool all;
} story;

/* ---- one record ---------------------------------------------------------------------------------------- */

static void detail(const story *s, size_t indent, const char *name, const char *text) {
    if (!text || !*text)
        return;
    printf("%*s%s:", (int)indent, "", name);
    size_t used = indent + strlen(name) + 2;
    if (used + strlen(text) <= s->t.columns && !strchr(text, '\n')) {
        putchar(' ');
        print_cut(&s->t, stdout, text, s->t.columns, false);
        putchar('\n');
    } else {
        putchar('\n');
        print_paragraph(&s->t, stdout, text, indent + 2, s->t.columns, s->all ? 0 : 8);
    }
}

/* A member of any type in words; *made is what the caller frees. */
static const char *in_words(const json_t *value, char **made) {
    *made = NULL;
    if (!value || json_is_null(value))
        return NULL;
    if (json_is_string(value))
        return json_string_value(value);
    return *made = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6));
}

/* A conversation: one line of detail a turn. */
static bool turns(const story *s, size_t indent, const json_t *list) {
    const json_t *turn;
    size_t i;
    if (!*member_text(json_array_get(list, 0), "content"))
        return false;
    json_array_foreach((json_t *)(uintptr_t)list, i, turn)
        detail(s, indent, member_text(turn, "role"), member_text(turn, "content"));
    return true;
}

static void member_detail(const story *s, size_t indent, const char *name, const json_t *value) {
    char *made;
    if (turns(s, indent, value))
        return;
    detail(s, indent, name, in_words(value, &made));
    free(made);
}

static void details(const story *s, size_t indent, const json_t *record, const char *const *keys) {
    for (size_t i = 0; keys[i]; i++) {
        const json_t *value = json_object_get(record, keys[i]);
        const char *name;
        json_t *member;
        if (!json_is_object(value))
            member_detail(s, indent, keys[i], value);
        json_object_foreach((json_t *)(uintptr_t)(json_is_object(value) ? value : NULL), name, member)
            member_detail(s, indent, name, member);
    }
}

/* What is worth telling of each table, in order; the rest is `agon show`. */
static const char *const *keys_of(const char *table) {
    static const char *const text[] = {"family", "cell", "slot", "body", NULL};
    static const char *const verification[] = {"checker", "outcome", "evidence", NULL};
    static const char *const decision[] = {"route", "reason", "confidence", "threshold", NULL};
    static const char *const label[] = {"value", "source", "producer", "purpose", "confidence", "seconds", NULL};
    static const char *const example[] = {"objective", "origin", "n_tokens", "fields", NULL};
    static const char *const calibration[] = {"family", "method", "n", "threshold", "auroc", "ece", NULL};
    static const char *const version[] = {"role", "path", "data_hash", "config_hash", NULL};
    static const char *const external[] = {"role", "meta", NULL};
    static const char *const gate[] = {"verdict", "reason", "figures", NULL};
    static const char *const prompt[] = {"role", "body", NULL};
    static const char *const none[] = {NULL};
    const struct {
        const char *table;
        const char *const *keys;
    } known[] = {{"text", text},       {"verification", verification}, {"decision", decision},
                 {"label", label},     {"example", example},           {"calibration", calibration},
                 {"gate", gate},       {"model_version", version},     {"template", prompt},
                 {"external", external}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].table, table) == 0)
            return known[i].keys;
    return none;
}

/* Seed, difficulty and the like: what would make the query again. */
static void origin_of_query(const story *s, size_t indent, const json_t *record) {
    static const char *const keys[] = {"seed", "difficulty", "perturbation", "wave", "source", NULL};
    const json_t *meta = json_object_get(record, "meta"), *query = json_object_get(meta, "query");
    details(s, indent, json_is_object(query) ? query : meta, keys);
}

static const char *noun(const char *table, const json_t *record) {
    if (strcmp(table, "text") == 0)
        return member_text(record, "kind");
    if (strcmp(table, "label") == 0 && strcmp(member_text(record, "kind"), "point") != 0)
        return strcmp(member_text(record, "kind"), "pair") == 0 ? "preference" : member_text(record, "kind");
    return strcmp(table, "model_version") == 0 ? "model version" : table;
}

/* A version that is played elsewhere. */
static bool is_external(const json_t *entry) {
    return strcmp(member_text(entry, "table"), "model_version") == 0 && strcmp(member_text(json_object_get(entry, "record"), "role"), "external") == 0;
}

static void print_entry(const story *s, const json_t *entry, size_t level) {
    const json_t *record = json_object_get(entry, "record");
    const char *table = member_text(entry, "table");
    size_t indent = level * INDENT;
    printf("%*s%s", (int)indent, "", style_bold(&s->t));
    if (level > 0) {
        print_cut(&s->t, stdout, member_text(entry, "because"), 30, false);
        fputs(": ", stdout);
    }
    print_cut(&s->t, stdout, noun(table, record), 30, false);
    printf("%s %.*s\n", style_off(&s->t), strcmp(table, "template") == 0 ? 40 : 12, member_text(entry, "id"));
    details(s, indent + INDENT, record, keys_of(is_external(entry) ? "external" : table));
    print_claims(&s->t, stdout, json_object_get(record, "claims"), indent + INDENT + 2);
    if (strcmp(member_text(record, "kind"), "query") == 0)
        origin_of_query(s, indent + INDENT, record);
}

/* ---- the tree ------------------------------------------------------------------------------------------ */

static void print_below(const story *s, const json_t *entry, size_t level);

/* Records that explain another one through a model's weights lead to all it was ever trained on; that is another question. */
static bool is_another_story(const story *s, const json_t *entry, size_t level) {
    return level > 0 && !s->all &&
           (strcmp(member_text(entry, "table"), "model_version") == 0 ||
            strcmp(member_text(entry, "table"), "template") == 0 ||
            strcmp(member_text(entry, "table"), "calibration") == 0);
}

static void print_brief(const story *s, const json_t *entry, size_t level) {
    bool model = strcmp(member_text(entry, "table"), "model_version") == 0;
    printf("%*s", (int)(level * INDENT), "");
    print_cut(&s->t, stdout, member_text(entry, "because"), 30, false);
    fputs(": ", stdout);
    print_cut(&s->t, stdout, model ? member_text(json_object_get(entry, "record"), "role") : member_text(entry, "table"), 30,
              false);
    printf(" %.*s", strcmp(member_text(entry, "table"), "template") == 0 ? 40 : 12, member_text(entry, "id"));
    if (is_external(entry))
        print_player(&s->t, stdout, json_object_get(json_object_get(entry, "record"), "meta"));
    putchar('\n');
}

static void print_tree(const story *s, const json_t *entry, size_t level) {
    if (is_another_story(s, entry, level)) {
        print_brief(s, entry, level);
        return;
    }
    print_entry(s, entry, level);
    if (level < DEEPEST)
        print_below(s, entry, level + 1);
}

/* What explains the entry: all kinds of it, and of each table a few unless all are asked for. */
static void print_below(const story *s, const json_t *entry, size_t level) {
    const char *id = member_text(entry, "id");
    const char *table = "";
    size_t i, shown = 0, left = 0;
    const json_t *other;
    json_array_foreach((json_t *)(uintptr_t)s->chain, i, other) {
        if (strcmp(member_text(other, "of"), id) != 0)
            continue;
        if (strcmp(table, member_text(other, "table")) != 0)
            shown = 0;
        table = member_text(other, "table");
        if (++shown > FEW && !s->all)
            left++;
        else
            print_tree(s, other, level);
    }
    if (left)
        printf("%*s... and %zu more like these (--all)\n", (int)(level * INDENT), "", left);
}

static int run(int argc, char **argv) {
    const char *workspace = NULL, *id = NULL;
    bool json = false, all = false;
    const option_spec specs[] = {{.name = "--workspace", .text = &workspace},
                                 {.name = "--all", .flag = &all},
                                 {.name = "--json", .flag = &json},
                                 {0}};
    size_t n;
    int code;
    if (!parse_options(&command_why, argc, argv, specs, &id, 1, &n, &code))
        return code;
    if (!id)
        return usage_error(&command_why, "name a record: its id or the beginning of it, as agon status and agon log show them");
    json_t *chain = ask_workspace(&command_why, workspace, agon_why_json, id, json, &code);
    const story s = {terminal_look(stdout), chain, all};
    if (chain)
        print_tree(&s, json_array_get(chain, 0), 0);
    json_decref(chain);
    return code;
}

const command command_why = {
    "why",
    "the whole chain from an example, label or version to the query's seed",
    "why ID [--workspace DIR] [--all] [--json]\n\n"
    "ID is the id of a training example, label, text, version or gate, or at least 4 digits of its beginning. The story reads\n"
    "downwards: each indented record explains the one above it, down to the query and its seed.\n\n"
    "  --workspace DIR  the run's folder (default: the only *.agon folder here)\n"
    "  --all            whole texts, every example of a version, and what its writers were trained on\n"
    "  --json           [{\"depth\", \"table\", \"id\", \"of\", \"because\", \"record\"}], breadth first\n\n"
    "  agon why 3fa9c1",
    run,
};
