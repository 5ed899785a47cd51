/* The gate, the expert and the critiques of a run in words, see summary_words.h. */
#include "cli/summary_words.h"
#include "cli/claims.h"
#include "cli/cli.h"
#include "cli/live.h"
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void summary_title(const summary_table *t, const char *text) {
    fprintf(t->to, "\n%s%s%s\n", style_bold(&t->t), text, style_off(&t->t));
}

/* ---- lines ----------------------------------------------------------------------------------------------- */

/* `text` taken; NULL: no memory, nothing is printed. */
static void line_take(const summary_table *t, const char *name, char *text) {
    const size_t column = 2 + 15;
    size_t end = 0;
    if (!text)
        return;
    glyphs g = glyphs_of(&t->t, text, strlen(text));
    fputs("  ", t->to);
    print_cut(&t->t, t->to, name, column - 3, true);
    for (size_t from = 0, lines = 0; from < g.n; lines++) {
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

void summary_line(const summary_table *t, const char *name, const char *format, ...) {
    char *text = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    line_take(t, name, text);
}

static void write_members(FILE *to, const json_t *object) {
    const char *name, *comma = "";
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, name, value) {
        fprintf(to, "%s%s ", comma, name);
        if (json_is_string(value))
            fputs(json_string_value(value), to);
        else if (json_is_number(value))
            fprintf(to, "%.*g", json_is_real(value) ? 4 : 15, json_number_value(value));
        else
            fputs(json_is_boolean(value) ? json_is_true(value) ? "yes" : "no" : "-", to);
        comma = ", ";
    }
}

void summary_members(const summary_table *t, const char *heading, const json_t *object) {
    char *text = NULL;
    size_t n = 0;
    FILE *to = json_object_size(object) ? open_memstream(&text, &n) : NULL;
    if (!to)
        return;
    write_members(to, object);
    fclose(to);
    summary_title(t, heading);
    print_paragraph(&t->t, t->to, text ? text : "", 2, t->t.columns, 8);
    free(text);
}

void write_points(FILE *to, const json_t *row, const char *key) {
    const json_t *ci = json_object_get(row, "ci95");
    fprintf(to, "%+.1f points", 100 * member_real(row, key));
    if (json_array_size(ci) == 2)
        fprintf(to, " [%+.1f, %+.1f]", 100 * json_number_value(json_array_get(ci, 0)), 100 * json_number_value(json_array_get(ci, 1)));
}

/* ---- the gate -------------------------------------------------------------------------------------------- */

static long long count(const json_t *object, const char *key) {
    return (long long)member_count(object, key);
}

static double percent(const json_t *object, const char *key) {
    return 100 * member_real(object, key);
}

void write_gain(FILE *to, const json_t *g) {
    const json_t *table = json_object_get(g, "table"), *tuned = json_object_get(g, "tuned"), *judged = json_object_get(g, "judged");
    if (json_is_object(tuned)) {
        write_points(to, tuned, "estimate");
        fputs(" by labels and critic together, ", to);
        write_points(to, json_object_get(g, "labels_only"), "estimate");
        fprintf(to, " by the %lld labels alone; the lower bound %+.1f must be above 0", count(g, "labelled"), percent(g, "lower_bound"));
    } else {
        write_points(to, table, "gain");
        fprintf(to, " on %lld tasks; chance alone does that with p = %.2g, and less than %.2g is asked", count(table, "n"), member_real(g, "p"), member_real(g, "alpha"));
    }
    fprintf(to, " at attempt %lld", count(g, "attempt"));
    if (judged)
        fprintf(to, "; of what could be judged verifiers judged %lld and people %lld of the %lld left to them", count(judged, "verifier"), count(judged, "people"),
                count(judged, "left_to_people"));
    if (*member_text(g, "critic"))
        fprintf(to, "; critic %s", member_text(g, "critic"));
}

static void write_monitor(FILE *to, const json_t *g) {
    const bool green = strcmp(member_text(g, "level"), "green") == 0;
    fprintf(to, "%s%s%s", member_text(g, "level"), *member_text(g, "reason") ? ": " : "", member_text(g, "reason"));
    if (green)
        fprintf(to, ": sampled answers to %lld open questions are as various as before", count(g, "prompts"));
}

static void write_approval(FILE *to, const json_t *g) {
    const json_t *before = json_object_get(g, "before"), *after = json_object_get(g, "after"), *ci = json_object_get(g, "ci95");
    fprintf(to, "of %lld answers the critic approves %.1f %%, before %.1f %%; right are %.1f %%, before %.1f %%: over-approval %+.3f [%+.3f, %+.3f]", count(g, "n"),
            percent(after, "approval"), percent(before, "approval"), percent(after, "correct"), percent(before, "correct"), member_real(g, "index"),
            json_number_value(json_array_get(ci, 0)), json_number_value(json_array_get(ci, 1)));
    if (json_is_number(json_object_get(g, "limit")))
        fprintf(to, ", at most %.3f", member_real(g, "limit"));
}

static void write_source(FILE *to, const json_t *source) {
    fprintf(to, ": %lld of %lld audits agreed%s", count(source, "agreed"), count(source, "audits"),
            json_is_true(json_object_get(source, "counts")) ? "" : ", which does not count");
    if (json_object_get(source, "open"))
        fprintf(to, ", %lld more were open and could change nothing", count(source, "open"));
    fputs("; ", to);
}

static void write_audits(FILE *to, const json_t *g) {
    const char *name;
    json_t *source;
    size_t i;
    if (json_is_integer(json_object_get(g, "audits")))
        fprintf(to, "%lld of %lld audits agreed, at least %.1f %% are right; ", count(g, "agreed"), count(g, "audits"), percent(g, "lower"));
    json_object_foreach((json_t *)(uintptr_t)g, name, source)
        if (json_is_object(source)) {
            fputs(name, to);
            write_source(to, source);
        }
    json_array_foreach(json_object_get(g, "critics"), i, source) {
        fprintf(to, "critic %.12s", member_text(source, "version"));
        write_source(to, source);
    }
    fprintf(to, "asked: %.1f %%", percent(g, "least"));
}

static void write_books(FILE *to, const json_t *g) {
    fprintf(to, "journal %s, contamination %s, budget %s", member_text(g, "journal"), member_text(g, "contamination"), member_text(g, "budget"));
}

static void write_suites(FILE *to, const json_t *g) {
    size_t i, n_run = 0, n_holding = 0;
    const json_t *suite;
    json_array_foreach(json_object_get(g, "suites"), i, suite) {
        n_run += strcmp(member_text(suite, "verdict"), "not run") != 0;
        n_holding += strcmp(member_text(suite, "verdict"), "not inferior") == 0;
    }
    fprintf(to, "%zu of %zu suites not inferior, above", n_holding, n_run);
}

static const struct condition {
    const char *key, *name;
    void (*write)(FILE *to, const json_t *figures);
} conditions[] = {
    {"G1", "G1 gain", write_gain},         {"G2", "G2 losses", write_suites}, {"G3", "G3 safety", write_suites}, {"G4", "G4 collapse", write_monitor},
    {"G5", "G5 approval", write_approval}, {"G6", "G6 audits", write_audits}, {"G7", "G7 books", write_books},
};

static void print_condition(const summary_table *t, const struct condition *c, const json_t *figures) {
    char *text = NULL;
    size_t n = 0;
    FILE *to = figures ? open_memstream(&text, &n) : NULL;
    if (!to)
        return;
    if (json_is_object(figures)) {
        const json_t *holds = json_object_get(figures, "holds");
        fputs(json_is_true(holds) ? "holds: " : json_is_false(holds) ? "FAILS: " : "no limit: ", to);
        c->write(to, figures);
    } else {
        fputs(json_is_string(figures) ? json_string_value(figures) : "-", to);
    }
    fclose(to);
    line_take(t, c->name, text);
}

void print_gate(const summary_table *t, const json_t *gate) {
    if (!json_is_object(gate))
        return;
    summary_title(t, strcmp(member_text(gate, "verdict"), "promote") == 0 ? "gate: promoted" : "gate: rejected");
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++)
        print_condition(t, &conditions[i], json_object_get(json_object_get(gate, "figures"), conditions[i].key));
}

/* ---- expert and critiques -------------------------------------------------------------------------------- */

static void print_audits(const summary_table *t, const char *source, const json_t *audits) {
    if (count(audits, "audits") > 0)
        summary_line(t, "audits", "%lld of %lld %slabels agreed: at least %.1f %% are right", count(audits, json_object_get(audits, "agreed") ? "agreed" : "audits_agreed"),
                     count(audits, "audits"), source, percent(audits, "right_at_least"));
}

void print_expert(const summary_table *t, const json_t *budget) {
    const json_t *audited = json_object_get(budget, "audited");
    if (!json_object_size(budget))
        return;
    summary_title(t, "what the expert was asked");
    summary_line(t, "labels", "%lld of %lld used", count(budget, "used"), count(budget, "labels"));
    if (count(budget, "gate") > 0)
        summary_line(t, "gate", "%lld of them", count(budget, "gate"));
    if (audited) {
        print_audits(t, "verifier ", json_object_get(audited, "verifier"));
        print_audits(t, "critic ", json_object_get(audited, "critic"));
    } else {
        print_audits(t, "automatic ", budget);
    }
    if (count(budget, "resolved") > 0)
        summary_line(t, "judged", "%lld answers that nobody else could judge", count(budget, "resolved"));
    if (count(budget, "demonstrations") > 0)
        summary_line(t, "written", "%lld answers; the examples have %lld of them, %.1f %% of the tokens", count(budget, "demonstrations"), count(budget, "trained_on"),
                     percent(budget, "token_share"));
}

void print_faithful(const summary_table *t, const json_t *critiques) {
    const json_t *row;
    size_t i;
    if (json_array_size(critiques))
        summary_title(t, "do the claims of critiques hold? quotes, numbers, counts and verdicts checked");
    json_array_foreach((json_t *)(uintptr_t)critiques, i, row) {
        const bool model = strcmp(member_text(row, "critic"), "model") == 0;
        char *text = faithful_text(row);
        summary_line(t, model ? "the critic's" : member_text(row, "form"), "%s", text ? text : "");
        free(text);
    }
}

void print_lessons(const summary_table *t, const json_t *learnability) {
    static const char *const forms[] = {"full", "masked", "critic"};
    if (!json_object_size(learnability))
        return;
    summary_title(t, "does a critique help? failed queries answered again");
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        const json_t *form = json_object_get(learnability, forms[i]), *ci = json_object_get(form, "ci95");
        if (!form)
            continue;
        summary_line(t, forms[i], "%+.1f points [%+.1f, %+.1f] over a critique of something else, %+.1f over no critique (n %lld)", percent(form, "over_placebo"),
                     100 * json_number_value(json_array_get(ci, 0)), 100 * json_number_value(json_array_get(ci, 1)), percent(form, "over_retry"), count(learnability, "n"));
    }
}
