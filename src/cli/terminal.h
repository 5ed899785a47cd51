/* Text on a terminal: its size, and hostile text as cells. Texts come from models, files and strangers: every character that could
 * move the cursor, reorder or hide text becomes visible digits here, and widths are counted, never guessed. */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef struct terminal {
    bool is_terminal, unicode;
    bool moves, styled; /* takes cursor movements; bold, reverse and the like may be used */
    size_t columns, rows;              /* 80 x 24 when not known */
} terminal;
/* What `to` is at this moment. Columns follow $COLUMNS when it is no terminal. */
terminal terminal_look(FILE *to);

/* One visible character: at most 12 bytes that cannot do harm. */
typedef struct glyph {
    char text[15];
    unsigned char cells; /* 0 to 12 */
    bool space, newline, marked;
    size_t at; /* first byte in the source text */
} glyph;
typedef struct glyphs {
    glyph *list;
    size_t n;
} glyphs;
/* New (free list); an empty list when memory is exhausted. Tabs become a space; a newline stays one. */
glyphs glyphs_of(const terminal *t, const char *text, size_t n_bytes);
void glyphs_mark(glyphs *g, size_t start, size_t end); /* bytes [start, end) of the source */
/* The line that begins at glyph `from` and fills at most `cells`, broken at spaces where there are any: *end is one past its last glyph; returns
 * where the next line begins (g->n: none). */
size_t glyphs_line(const glyphs *g, size_t from, size_t cells, size_t *end);
/* Prints glyphs [from, end), the marked ones so that they stand out; returns the cells used. */
size_t glyphs_print(const terminal *t, FILE *to, const glyphs *g, size_t from, size_t end);

/* Prints `text` on one line of at most `cells`, newlines as spaces, cut with an ellipsis, filled with spaces when `fill`. Returns the
 * cells used. */
size_t print_cut(const terminal *t, FILE *to, const char *text, size_t cells, bool fill);
/* Prints `text` as a paragraph: every line begins with `indent` spaces and ends at `columns`. At most `most` lines (0: all), then an ellipsis. */
void print_paragraph(const terminal *t, FILE *to, const char *text, size_t indent, size_t columns, size_t most);
/* A bar of `cells` for done of total. */
void print_bar(const terminal *t, FILE *to, size_t done, size_t total, size_t cells);

/* Escape sequences where the terminal takes them, else nothing. */
const char *style_bold(const terminal *t);
const char *style_dim(const terminal *t);
const char *style_mark(const terminal *t);
const char *style_off(const terminal *t);

#endif
