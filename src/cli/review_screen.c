/* One review item on the screen, see review.h: two texts side by side where there is room, else one under the other; what the
 * critique cites stands out in the answer. */
#include "cli/claims.h"
#include "cli/cli.h"
#include "cli/review.h"
#include <stdlib.h>
#include <string.h>

enum { SIDE_BY_SIDE = 100, TALLEST = 200 };

/* What the keys do for an item of this kind. */
static const char *review_keys(const char *kind) {
    if (strcmp(kind, "pair") == 0)
        return "[a] A  [b] B  [r] neither  [e]dit A  [w]rite  [s]kip  [p]revious  [q]uit";
    if (strcmp(kind, "demonstration") == 0)
        return "[w]rite  [e]ditor  [r] not answerable  [s]kip  [p]revious  [q]uit";
    if (strcmp(kind, "held_out") == 0)
        return "[a]ccept  [r]eject  [s]kip  [p]revious  [q]uit";
    return "[a]ccept  [r]eject  [e]dit  [w]rite  [s]kip  [p]revious  [q]uit";
}

/* ---- columns ------------------------------------------------------------------------------------------- */

typedef struct column {
    const char *title, *text;
    const json_t *spans;
    bool is_critique;
} column;

/* <q>text</q> of a critique as "text": in place, in a copy. */
static void plain_quotes(char *text) {
    char *to = text;
    for (const char *p = text; *p;) {
        size_t tag = strncmp(p, "<q>", 3) == 0 ? 3 : strncmp(p, "</q>", 4) == 0 ? 4 : 0;
        *to++ = tag ? '"' : *p;
        p += tag ? tag : 1;
    }
    *to = 0;
}

static glyphs column_glyphs(const terminal *t, const column *c) {
    char *copy = c->is_critique ? strdup(c->text) : NULL;
    if (copy)
        plain_quotes(copy);
    const char *text = copy ? copy : c->text;
    glyphs g = glyphs_of(t, text, strlen(text));
    free(copy);
    const json_t *span;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)c->spans, i, span)
        glyphs_mark(&g, (size_t)json_integer_value(json_array_get(span, 0)),
                    (size_t)json_integer_value(json_array_get(span, 1)));
    return g;
}

static void draw_title(FILE *to, const terminal *t, const char *title, size_t cells, bool fill) {
    fputs(style_bold(t), to);
    print_cut(t, to, title, cells, fill);
    fputs(style_off(t), to);
}

/* Marks take two cells a span where they are brackets. */
static size_t text_cells(const terminal *t, const column *c, size_t cells) {
    size_t marks = t->styled ? 0 : 2 * json_array_size(c->spans);
    return cells > marks + 14 ? cells - marks - 2 : 12;
}

static void draw_one(FILE *to, const terminal *t, const column *c) {
    glyphs g = column_glyphs(t, c);
    size_t end;
    draw_title(to, t, c->title, t->columns - 1, false);
    fputc('\n', to);
    for (size_t from = 0, lines = 0; from < g.n && lines < TALLEST; lines++) {
        size_t next = glyphs_line(&g, from, text_cells(t, c, t->columns - 1), &end);
        fputs("  ", to);
        glyphs_print(t, to, &g, from, end);
        fputc('\n', to);
        from = next;
    }
    fputc('\n', to);
    free(g.list);
}

/* A line of one column, filled to its width when another follows. */
static size_t draw_part(FILE *to, const terminal *t, const column *c, const glyphs *g, size_t from, size_t cells,
                        bool fill) {
    size_t end = from, next = from, used = 2;
    fputs("  ", to);
    if (from < g->n) {
        next = glyphs_line(g, from, text_cells(t, c, cells), &end);
        used += glyphs_print(t, to, g, from, end);
    }
    for (; fill && used < cells; used++)
        fputc(' ', to);
    return next;
}

static void draw_two(FILE *to, const terminal *t, const column *left, const column *right) {
    glyphs a = column_glyphs(t, left), b = column_glyphs(t, right);
    size_t half = (t->columns - 4) / 2, i = 0, j = 0;
    const char *bar = t->unicode ? " \xe2\x94\x82 " : " | ";
    draw_title(to, t, left->title, half, true);
    fputs(bar, to);
    draw_title(to, t, right->title, half, false);
    fputc('\n', to);
    for (size_t lines = 0; (i < a.n || j < b.n) && lines < TALLEST; lines++) {
        i = draw_part(to, t, left, &a, i, half, true);
        fputs(bar, to);
        j = draw_part(to, t, right, &b, j, half, false);
        fputc('\n', to);
    }
    fputc('\n', to);
    free(a.list);
    free(b.list);
}

/* ---- the item ------------------------------------------------------------------------------------------ */

void review_draw(FILE *to, const terminal *t, const json_t *item, const char *head) {
    bool pair = strcmp(member_text(item, "kind"), "pair") == 0;
    const column query = {"query", member_text(item, "query"), NULL, false};
    const column answer = {pair ? "A" : "answer", member_text(item, "response"), json_object_get(item, "spans"), false};
    const column other = {"B", member_text(item, "other"), NULL, false};
    const column critique = {pair ? "critique of A" : "critique", member_text(item, "critique"), NULL, true};
    const column *second = *other.text ? &other : *critique.text ? &critique : NULL;
    if (t->moves)
        fputs("\033[H\033[2J", to);
    print_cut(t, to, head, t->columns - 1, false);
    fputs("\n\n", to);
    draw_one(to, t, &query);
    if (*answer.text && second && t->columns >= SIDE_BY_SIDE) {
        draw_two(to, t, &answer, second);
    } else {
        if (*answer.text)
            draw_one(to, t, &answer);
        if (second)
            draw_one(to, t, second);
    }
    if (second == &other && *critique.text)
        draw_one(to, t, &critique);
    if (json_array_size(json_object_get(item, "claims"))) {
        draw_title(to, t, "claims of the critique, checked", t->columns - 1, false);
        fputc('\n', to);
        print_claims(t, to, json_object_get(item, "claims"), 2);
        fputc('\n', to);
    }
    print_paragraph(t, to, review_keys(member_text(item, "kind")), 0, t->columns - 1, 0);
    fflush(to);
}
