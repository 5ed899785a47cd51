/* The table at the end of a run: before and after per family, labels, gate, and what to try next. */
#include "cli/arms_table.h"
#include "cli/live.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

typedef struct table {
    terminal t;
    FILE *to;
    size_t name; /* cells of the first column */
} table;

const char *share_text(const json_t *value, char out[24]) {
    double x = json_number_value(value);
    if (!json_is_number(value))
        snprintf(out, 24, "-");
    else if (x >= -1 && x <= 1)
        snprintf(out, 24, "%.1f %%", 100 * x);
    else
        snprintf(out, 24, "%.4g", x);
    return out;
}

static void title(const table *t, const char *text) {
    fprintf(t->to, "\n%s%s%s\n", style_bold(&t->t), text, style_off(&t->t));
}

/* ---- numbers ------------------------------------------------------------------------------------------- */

static void row_of_gain(const table *t, const char *name, const json_t *row) {
    char before[24], after[24];
    const json_t *ci = json_object_get(row, "ci95"), *gain = json_object_get(row, "gain");
    double points = json_is_number(gain) ? json_number_value(gain)
                                         : json_number_value(json_object_get(row, "after")) -
                                               json_number_value(json_object_get(row, "before"));
    fputs("  ", t->to);
    print_cut(&t->t, t->to, name, t->name, true);
    fprintf(t->to, "%6" JSON_INTEGER_FORMAT " %8s %8s  %+6.1f", member_count(row, "n"),
            share_text(json_object_get(row, "before"), before), share_text(json_object_get(row, "after"), after), 100 * points);
    if (json_array_size(ci) == 2)
        fprintf(t->to, " [%+.1f, %+.1f]", 100 * json_number_value(json_array_get(ci, 0)),
                100 * json_number_value(json_array_get(ci, 1)));
    fputc('\n', t->to);
}

static void print_families(const table *t, const json_t *summary) {
    const json_t *row, *families = json_object_get(summary, "families"), *all = json_object_get(summary, "held_out");
    size_t i;
    if (!json_array_size(families) && !json_is_object(all))
        return;
    title(t, "success on fresh held-out tasks (gain in points, 95 % interval)");
    fprintf(t->to, "  %-*s     n   before    after    gain\n", (int)t->name, "family");
    json_array_foreach(families, i, row)
        row_of_gain(t, member_text(row, "family"), row);
    if (json_is_object(all))
        row_of_gain(t, "all", all);
}

static void print_suites(const table *t, const char *heading, const json_t *suites) {
    char before[24], after[24];
    const json_t *row;
    size_t i;
    if (!json_array_size(suites))
        return;
    title(t, heading);
    json_array_foreach(suites, i, row) {
        fputs("  ", t->to);
        print_cut(&t->t, t->to, member_text(row, "suite"), t->name, true);
        fprintf(t->to, "%6" JSON_INTEGER_FORMAT " %8s %8s  ", member_count(row, "n"),
                share_text(json_object_get(row, "before"), before), share_text(json_object_get(row, "after"), after));
        size_t room = t->t.columns > t->name + 40 ? t->t.columns - t->name - 29 : 0;
        if (strlen(member_text(row, "verdict")) < room) {
            print_cut(&t->t, t->to, member_text(row, "verdict"), room, false);
            fputc('\n', t->to);
        } else {
            fputc('\n', t->to);
            print_paragraph(&t->t, t->to, member_text(row, "verdict"), 4, t->t.columns, 4);
        }
    }
}

static void print_general(const table *t, const json_t *summary) {
    const json_t *suites = json_object_get(summary, "general");
    if (json_array_size(suites))
        return print_suites(t, "general suite", suites);
    const json_t *figures = json_object_get(json_object_get(summary, "gate"), "figures"); /* its tables of them */
    print_suites(t, "general suite", json_object_get(json_object_get(figures, "G2"), "suites"));
    print_suites(t, "safety suites", json_object_get(json_object_get(figures, "G3"), "suites"));
}

/* ---- members in words ---------------------------------------------------------------------------------- */

static void print_members(FILE *to, const json_t *object);

static void value_text(FILE *to, const json_t *value) {
    const json_t *item;
    size_t i;
    if (json_is_string(value))
        fputs(json_string_value(value), to);
    else if (json_is_real(value))
        fprintf(to, "%.4g", json_real_value(value));
    else if (json_is_integer(value))
        fprintf(to, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_boolean(value))
        fputs(json_is_true(value) ? "yes" : "no", to);
    else if (json_is_object(value)) {
        fputc('(', to);
        print_members(to, value);
        fputc(')', to);
    } else if (json_is_array(value)) {
        fputc('[', to);
        json_array_foreach((json_t *)(uintptr_t)value, i, item) {
            fputs(i ? ", " : "", to);
            value_text(to, item);
        }
        fputc(']', to);
    } else {
        fputc('-', to);
    }
}

/* Tables inside have a place of their own. */
static void print_members(FILE *to, const json_t *object) {
    const char *name, *comma = "";
    const json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, name, value) {
        if (json_is_object(json_array_get(value, 0)))
            continue;
        fprintf(to, "%s%s ", comma, name);
        value_text(to, value);
        comma = ", ";
    }
}

/* "name value, name value"; new text. */
static char *members_text(const json_t *object) {
    char *text = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&text, &n);
    if (!to)
        return NULL;
    print_members(to, object);
    fclose(to);
    return text;
}

/* One line "name  value, value", broken under the value. */
static void members_line(const table *t, const char *name, const json_t *value) {
    char *text = NULL;
    size_t column = 2 + 15, end = 0, n = 0;
    FILE *to = open_memstream(&text, &n);
    if (!to)
        return;
    if (json_is_object(value))
        print_members(to, value);
    else
        value_text(to, value);
    fclose(to);
    glyphs g = glyphs_of(&t->t, text ? text : "", text ? strlen(text) : 0);
    fputs("  ", t->to);
    print_cut(&t->t, t->to, name, column - 3, true);
    for (size_t from = 0, lines = 0; from < g.n && lines < 12; lines++) {
        size_t next = glyphs_line(&g, from, t->t.columns - column - 1, &end);
        fprintf(t->to, "%*s", lines ? (int)column : 1, "");
        glyphs_print(&t->t, t->to, &g, from, end);
        fputc('\n', t->to);
        from = next;
    }
    if (g.n == 0)
        fputc('\n', t->to);
    free(g.list);
    free(text);
}

/* All members in one paragraph. */
static void members_paragraph(const table *t, const char *heading, const json_t *object) {
    char *text = json_object_size(object) ? members_text(object) : NULL;
    if (text) {
        title(t, heading);
        print_paragraph(&t->t, t->to, text, 2, t->t.columns, 8);
    }
    free(text);
}

static void members_block(const table *t, const char *heading, const json_t *object) {
    const char *name;
    json_t *value;
    if (!json_object_size(object))
        return;
    title(t, heading);
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
        members_line(t, name, value);
}

static void print_gate(const table *t, const json_t *gate) {
    char *heading = NULL, *absent = NULL;
    size_t n = 0;
    const char *name;
    json_t *value;
    FILE *left = open_memstream(&absent, &n);
    if (!left)
        return;
    if (json_is_object(gate) && asprintf(&heading, "gate: %.20s", member_text(gate, "verdict")) >= 0) {
        title(t, heading);
        if (*member_text(gate, "reason"))
            print_paragraph(&t->t, t->to, member_text(gate, "reason"), 2, t->t.columns, 6);
        json_object_foreach(json_object_get(gate, "figures"), name, value) {
            if (json_is_string(value) && strcmp(json_string_value(value), "not evaluated") == 0)
                fprintf(left, "%s%s", ftell(left) > 0 ? ", " : "", name);
            else if (strcmp(name, "reason") != 0)
                members_line(t, name, value);
        }
    }
    fclose(left);
    if (absent && *absent) {
        value = json_string(absent);
        members_line(t, "not evaluated", value);
        json_decref(value);
    }
    free(absent);
    free(heading);
}

static void print_critic(const table *t, const json_t *rows) {
    char auroc[32], ece[32];
    const json_t *row;
    size_t i;
    if (!json_array_size(rows))
        return;
    title(t, "model critic on judged answers");
    fprintf(t->to, "  %-*s iteration     n   AUROC     ECE\n", (int)t->name, "family");
    json_array_foreach(rows, i, row) {
        const json_t *a = json_object_get(row, "auroc"), *e = json_object_get(row, "ece");
        snprintf(auroc, sizeof auroc, json_is_number(a) ? "%.3f" : "-", json_number_value(a));
        snprintf(ece, sizeof ece, json_is_number(e) ? "%.3f" : "-", json_number_value(e));
        fputs("  ", t->to);
        print_cut(&t->t, t->to, *member_text(row, "family") ? member_text(row, "family") : "all", t->name, true);
        fprintf(t->to, " %9" JSON_INTEGER_FORMAT " %5" JSON_INTEGER_FORMAT " %7s %7s\n",
                member_count(row, "iteration"), member_count(row, "n"), auroc, ece);
    }
}

/* ---- what to try next ---------------------------------------------------------------------------------- */

static void next_line(const table *t, const char *what, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void next_line(const table *t, const char *what, const char *format, ...) {
    va_list args;
    fprintf(t->to, "  %s%s%s\n    ", style_dim(&t->t), what, style_off(&t->t));
    va_start(args, format);
    vfprintf(t->to, format, args);
    va_end(args);
    fputc('\n', t->to);
}

static void print_next(const table *t, const json_t *summary) {
    const char *workspace = member_text(summary, "workspace"), *example = member_text(summary, "example");
    const json_t *version = json_object_get(summary, "version");
    json_int_t open = member_count(summary, "reviews"), waiting = member_count(summary, "answers_waiting");
    char id[16];
    snprintf(id, sizeof id, "%.12s", *example ? example : member_text(version, "id"));
    title(t, "next");
    if (*id)
        next_line(t, "where it came from, down to the seed", "agon why %s --workspace %s", id, workspace);
    const bool waits = strcmp(member_text(summary, "state"), "waiting") == 0;
    if (open)
        next_line(t, waits ? "the run waits for people: answer, then run it again" : "questions wait for an answer", "agon review --workspace %s", workspace);
    if (waiting && strcmp(member_text(summary, "state"), "done") == 0)
        next_line(t, "to use them: raise iterations in the run file and run it again", "%lld answer%s of reviewers wait%s", (long long)waiting,
                  waiting == 1 ? "" : "s", waiting == 1 ? "s" : "");
    snprintf(id, sizeof id, "%.12s", member_text(version, "id"));
    if (*id && strcmp(member_text(version, "status"), "promoted") == 0) {
        const char *model = member_text(summary, "model_option");
        char *option = NULL;
        if (asprintf(&option, "%s%s%s", *model ? "--model " : "", model, *model ? " " : "") >= 0)
            next_line(t, "talk to the new version", "agon chat %s--adapter %s:%s", option, workspace, id);
        free(option);
    }
    if (strcmp(member_text(summary, "oracle"), "sealed") == 0)
        next_line(t, "what was true all along", "agon unseal --workspace %s", workspace);
    next_line(t, "journal, objects, a sample executed again", "agon verify --workspace %s", workspace);
}

void print_summary(FILE *to, const json_t *summary) {
    char took[32];
    table t = {terminal_look(to), to, 20};
    const json_t *version = json_object_get(summary, "version"), *row;
    size_t i, longest = 8;
    json_array_foreach(json_object_get(summary, "families"), i, row)
        if (strlen(member_text(row, "family")) > longest)
            longest = strlen(member_text(row, "family"));
    if (longest < 13)
        longest = 13; /* "held-out text" */
    t.name = t.t.columns > 52 + longest ? longest : t.t.columns > 60 ? t.t.columns - 52 : 9;
    fprintf(to, "\n%s: %s after %s", member_text(summary, "run"), member_text(summary, "state"),
            duration_text(json_number_value(json_object_get(summary, "seconds")), took));
    if (*member_text(version, "id"))
        fprintf(to, "; version %.12s %s", member_text(version, "id"), member_text(version, "status"));
    fputc('\n', to);
    print_families(&t, summary);
    print_general(&t, summary);
    print_gate(&t, json_object_get(summary, "gate"));
    if (json_array_size(json_object_get(summary, "arms")))
        print_arms(&t.t, t.to, json_object_get(summary, "arms"));
    members_paragraph(&t, "labels by source", json_object_get(summary, "labels"));
    members_block(&t, "expert budget and what it bought", json_object_get(summary, "budget"));
    print_critic(&t, json_object_get(summary, "critic"));
    members_paragraph(&t, "learnability of critiques", json_object_get(summary, "learnability"));
    members_paragraph(&t, "tokens", json_object_get(summary, "tokens"));
    print_next(&t, summary);
}
