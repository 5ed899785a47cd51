/* The table at the end of a run: what came of it, before and after per family, labels, gate, and what to try next. */
#include "cli/arms_table.h"
#include "cli/live.h"
#include "cli/summary_words.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

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

/* ---- what came of it ----------------------------------------------------------------------------------- */

static void write_examples(FILE *to, const json_t *examples) {
    if (member_count(examples, "n") > 0)
        fprintf(to, " was trained on %" JSON_INTEGER_FORMAT " examples (%" JSON_INTEGER_FORMAT " that no version of it wrote, %" JSON_INTEGER_FORMAT
                    " of its own, %" JSON_INTEGER_FORMAT " of earlier iterations) and",
                member_count(examples, "n"), member_count(examples, "real"), member_count(examples, "new"), member_count(examples, "replayed"));
}

/* Shares where they are known; of a sealed run the estimate of its gate. */
static void write_result(FILE *to, const json_t *held_out, const json_t *gain) {
    char before[24], after[24];
    if (json_is_number(json_object_get(held_out, "after"))) {
        fprintf(to, " is right on %s of %" JSON_INTEGER_FORMAT " held-out tasks, the base on %s: ", share_text(json_object_get(held_out, "after"), after),
                member_count(held_out, "n"), share_text(json_object_get(held_out, "before"), before));
        write_points(to, held_out, "gain");
    } else if (json_is_object(json_object_get(gain, "tuned"))) {
        fputs(" is right on held-out tasks more often than the version before by an estimated ", to);
        write_points(to, json_object_get(gain, "tuned"), "estimate");
    } else {
        fputs(" was compared with the base", to);
    }
}

/* Where the version before is not the base, the gate asked for a gain over that. */
static void write_advance(FILE *to, const json_t *summary) {
    const json_t *gate = json_object_get(summary, "gate"), *table = json_object_get(json_object_get(json_object_get(gate, "figures"), "G1"), "table");
    const char *incumbent = member_text(gate, "incumbent");
    char before[24];
    if (!*incumbent || strcmp(incumbent, member_text(summary, "base")) == 0 || !json_is_number(json_object_get(table, "before")))
        return;
    fprintf(to, "; the version before it, %.12s, on %s: ", incumbent, share_text(json_object_get(table, "before"), before));
    write_points(to, table, "gain");
}

/* The run in two sentences, where the gate decided about what it made last. */
static void print_outcome(const summary_table *t, const json_t *summary) {
    const json_t *gate = json_object_get(summary, "gate"), *version = json_object_get(summary, "version");
    const char *status = member_text(version, "status");
    const bool decided = strcmp(status, "promoted") == 0 || strcmp(status, "rejected") == 0;
    char *text = NULL;
    size_t n = 0;
    FILE *to = decided && json_is_object(gate) ? open_memstream(&text, &n) : NULL;
    if (!to)
        return;
    fprintf(to, "Version %.12s", member_text(version, "id"));
    write_examples(to, json_object_get(summary, "examples"));
    write_result(to, json_object_get(summary, "held_out"), json_object_get(json_object_get(gate, "figures"), "G1"));
    write_advance(to, summary);
    fprintf(to, ". The gate %s it: %s.", status, member_text(gate, "reason"));
    fclose(to);
    fputc('\n', t->to);
    print_paragraph(&t->t, t->to, text ? text : "", 0, t->t.columns, 8);
    free(text);
}

/* ---- numbers ------------------------------------------------------------------------------------------- */

static void row_of_gain(const summary_table *t, const char *name, const json_t *row) {
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

static void print_families(const summary_table *t, const json_t *summary) {
    const json_t *row, *families = json_object_get(summary, "families"), *all = json_object_get(summary, "held_out");
    size_t i;
    if (!json_is_number(json_object_get(all, "gain")))
        return; /* a sealed run knows no share; its gate estimates the gain */
    summary_title(t, "success on fresh held-out tasks, the base before and the version after (gain in points, 95 % interval)");
    fprintf(t->to, "  %-*s     n   before    after    gain\n", (int)t->name, "family");
    json_array_foreach(families, i, row)
        row_of_gain(t, member_text(row, "family"), row);
    row_of_gain(t, "all", all);
    if (strcmp(member_text(json_object_get(summary, "version"), "status"), "promoted") == 0)
        print_paragraph(&t->t, t->to, GAIN_OF_PROMOTED, 2, t->t.columns, 2);
}

static void print_suites(const summary_table *t, const char *heading, const json_t *suites) {
    char before[24], after[24];
    const json_t *row;
    size_t i;
    if (!json_array_size(suites))
        return;
    summary_title(t, heading);
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

static void print_general(const summary_table *t, const json_t *summary) {
    const json_t *suites = json_object_get(summary, "general");
    if (json_array_size(suites))
        return print_suites(t, "general suite", suites);
    const json_t *figures = json_object_get(json_object_get(summary, "gate"), "figures"); /* its tables of them */
    print_suites(t, "general suite", json_object_get(json_object_get(figures, "G2"), "suites"));
    print_suites(t, "safety suites", json_object_get(json_object_get(figures, "G3"), "suites"));
}

/* ---- the critic ------------------------------------------------------------------------------------------ */

/* which: of two critics, the one they are about; NULL: there is one, and rows have their iteration. */
static void rows_of_critic(const summary_table *t, const json_t *rows, const char *which) {
    char auroc[32], ece[32], iteration[24];
    const json_t *row;
    size_t i;
    json_array_foreach(rows, i, row) {
        const json_t *a = json_object_get(row, "auroc"), *e = json_object_get(row, "ece");
        snprintf(iteration, sizeof iteration, "%" JSON_INTEGER_FORMAT, member_count(row, "iteration"));
        snprintf(auroc, sizeof auroc, json_is_number(a) ? "%.3f" : "-", json_number_value(a));
        snprintf(ece, sizeof ece, json_is_number(e) ? "%.3f" : "-", json_number_value(e));
        fputs("  ", t->to);
        print_cut(&t->t, t->to, *member_text(row, "family") ? member_text(row, "family") : "all", t->name, true);
        fprintf(t->to, " %9s %5" JSON_INTEGER_FORMAT " %7s %7s\n", which ? which : iteration, member_count(row, "n"), auroc, ece);
    }
}

/* A sealed run has two, by family: that of the training reward and that of the gate. */
static void print_critics(const summary_table *t, const json_t *summary) {
    const json_t *rows = json_object_get(summary, "critic"), *gate = json_object_get(summary, "gate_critic");
    const bool two = json_is_array(gate);
    if (!json_array_size(rows) && !json_array_size(gate))
        return;
    summary_title(t, two ? "the two model critics on judged answers (AUROC 0.5: a coin, 1: always right)"
                         : "the model critic on judged answers (AUROC 0.5: a coin, 1: always right)");
    fprintf(t->to, "  %-*s %9s     n   AUROC     ECE\n", (int)t->name, "family", two ? "critic of" : "iteration");
    rows_of_critic(t, rows, two ? "reward" : NULL);
    if (two)
        rows_of_critic(t, gate, "gate");
}

/* ---- what to try next ---------------------------------------------------------------------------------- */

/* What can be done next, and how. A `format` that begins with a space is what follows the command's name. */
static void next_line(const summary_table *t, const char *what, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void next_line(const summary_table *t, const char *what, const char *format, ...) {
    va_list args;
    fprintf(t->to, "  %s%s%s\n    %s", style_dim(&t->t), what, style_off(&t->t), *format == ' ' ? called_as() : "");
    va_start(args, format);
    vfprintf(t->to, format, args);
    va_end(args);
    fputc('\n', t->to);
}

static void print_next(const summary_table *t, const json_t *summary) {
    const char *workspace = member_text(summary, "workspace"), *example = member_text(summary, "example");
    const json_t *version = json_object_get(summary, "version");
    json_int_t open = member_count(summary, "reviews"), waiting = member_count(summary, "answers_waiting");
    char id[16];
    snprintf(id, sizeof id, "%.12s", *example ? example : member_text(version, "id"));
    summary_title(t, "next");
    if (*id)
        next_line(t, *example ? "where one of the examples came from, down to the seed" : "where it came from", " why %s --workspace %s", id, workspace);
    const bool waits = strcmp(member_text(summary, "state"), "waiting") == 0;
    if (open)
        next_line(t, waits ? "the run waits for people: answer, then run it again" : "questions wait for an answer", " review --workspace %s", workspace);
    if (waiting && strcmp(member_text(summary, "state"), "done") == 0)
        next_line(t, "to use them: raise iterations in the run file and run it again", "%lld answer%s of reviewers wait%s", (long long)waiting,
                  waiting == 1 ? "" : "s", waiting == 1 ? "s" : "");
    snprintf(id, sizeof id, "%.12s", member_text(version, "id"));
    if (*id && strcmp(member_text(version, "status"), "promoted") == 0) {
        const char *model = member_text(summary, "model_option");
        char *option = NULL;
        if (asprintf(&option, "%s%s%s", *model ? "--model " : "", model, *model ? " " : "") >= 0)
            next_line(t, "talk to the new version", " chat %s--adapter %s:%s", option, workspace, id);
        free(option);
    }
    if (strcmp(member_text(summary, "oracle"), "sealed") == 0)
        next_line(t, "what was true all along", " unseal --workspace %s", workspace);
    if (strcmp(member_text(summary, "recipe"), "loop") == 0 && strcmp(member_text(summary, "state"), "done") == 0)
        next_line(t, "another iteration, from what was found", "raise iterations in the run file and run it again");
    next_line(t, "journal, objects, a sample executed again", " verify --workspace %s", workspace);
}

void print_summary(FILE *to, const json_t *summary) {
    char took[32];
    summary_table t = {terminal_look(to), to, 20};
    const json_t *version = json_object_get(summary, "version"), *row;
    size_t i, longest = 8;
    json_array_foreach(json_object_get(summary, "families"), i, row)
        if (strlen(member_text(row, "family")) > longest)
            longest = strlen(member_text(row, "family"));
    if (longest < 13)
        longest = 13; /* "held-out text" */
    t.name = t.t.columns > 52 + longest ? longest : t.t.columns > 60 ? t.t.columns - 52 : 9;
    fprintf(to, "\n%s: %s, %s in this call", member_text(summary, "run"), member_text(summary, "state"),
            duration_text(json_number_value(json_object_get(summary, "seconds")), took));
    if (*member_text(version, "id"))
        fprintf(to, "; version %.12s %s", member_text(version, "id"), member_text(version, "status"));
    fputc('\n', to);
    print_outcome(&t, summary);
    print_families(&t, summary);
    print_general(&t, summary);
    print_gate(&t, json_object_get(summary, "gate"));
    if (json_array_size(json_object_get(summary, "arms")))
        print_arms(&t.t, t.to, json_object_get(summary, "arms"));
    summary_members(&t, "labels, by who gave them", json_object_get(summary, "labels"));
    print_expert(&t, json_object_get(summary, "budget"));
    print_critics(&t, summary);
    print_faithful(&t, json_object_get(summary, "critiques"));
    print_lessons(&t, json_object_get(summary, "learnability"));
    summary_members(&t, "tokens", json_object_get(summary, "tokens"));
    print_next(&t, summary);
}
