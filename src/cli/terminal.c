/* Text on a terminal, see terminal.h. */
#include "cli/terminal.h"
#include "cli/cli.h"
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8proc.h>

terminal terminal_look(FILE *to) {
    terminal t = {.is_terminal = isatty(fileno(to)), .columns = 80, .rows = 24};
    const char *columns = getenv("COLUMNS"), *kind = getenv("TERM"), *no_colour = getenv("NO_COLOR");
    struct winsize size;
    setlocale(LC_CTYPE, "");
    t.unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    if (t.is_terminal && ioctl(fileno(to), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        t.columns = size.ws_col;
        t.rows = size.ws_row > 0 ? size.ws_row : 24;
    } else if (columns && atoi(columns) > 0) {
        t.columns = (size_t)atoi(columns);
    }
    if (t.columns < 20)
        t.columns = 20;
    t.moves = t.is_terminal && kind && *kind && strcmp(kind, "dumb") != 0;
    t.styled = t.moves && !(no_colour && *no_colour);
    return t;
}

/* ---- glyphs -------------------------------------------------------------------------------------------- */

/* Could it move the cursor, reorder the line, or hide? Joiners (in emoji, in Indic scripts) may stay. */
static bool is_harmful(utf8proc_int32_t c) {
    utf8proc_category_t k = utf8proc_category(c);
    if (c == 0x200c || c == 0x200d)
        return false;
    return k == UTF8PROC_CATEGORY_CC || k == UTF8PROC_CATEGORY_CF || k == UTF8PROC_CATEGORY_CS ||
           k == UTF8PROC_CATEGORY_CN || k == UTF8PROC_CATEGORY_CO || k == UTF8PROC_CATEGORY_ZL ||
           k == UTF8PROC_CATEGORY_ZP;
}

static void visible(const terminal *t, const unsigned char *p, utf8proc_ssize_t used, utf8proc_int32_t c, glyph *g) {
    if (used < 1) {
        g->cells = (unsigned char)snprintf(g->text, sizeof g->text, "\\x%02x", p[0]);
    } else if (c == '\n' || c == '\t' || c == ' ') {
        g->newline = c == '\n';
        g->space = true;
        strcpy(g->text, " ");
        g->cells = 1;
    } else if (is_harmful(c)) {
        g->cells = (unsigned char)snprintf(g->text, sizeof g->text, c < 256 ? "\\x%02x" : "\\u{%x}", (unsigned)c);
    } else if (c >= 0x80 && !t->unicode) {
        strcpy(g->text, "?");
        g->cells = 1;
    } else {
        memcpy(g->text, p, (size_t)used);
        int cells = utf8proc_charwidth(c);
        g->cells = (unsigned char)(cells > 0 ? cells : 0);
    }
}

glyphs glyphs_of(const terminal *t, const char *text, size_t n_bytes) {
    glyphs g = {calloc(n_bytes + 1, sizeof *g.list), 0};
    const unsigned char *p = (const unsigned char *)text;
    size_t stacked = 0; /* combining marks on one letter; a tower of them reaches into other lines */
    for (size_t i = 0; g.list && i < n_bytes;) {
        utf8proc_int32_t c = 0;
        utf8proc_ssize_t used = utf8proc_iterate(p + i, (utf8proc_ssize_t)(n_bytes - i), &c);
        glyph *to = &g.list[g.n++];
        to->at = i;
        visible(t, p + i, used, c, to);
        stacked = to->cells == 0 ? stacked + 1 : 0;
        if (stacked > 3)
            g.n--, *to = (glyph){0};
        i += used > 0 ? (size_t)used : 1;
    }
    return g;
}

void glyphs_mark(glyphs *g, size_t start, size_t end) {
    for (size_t i = 0; i < g->n; i++)
        if (g->list[i].at >= start && g->list[i].at < end && !g->list[i].newline)
            g->list[i].marked = true;
}

size_t glyphs_line(const glyphs *g, size_t from, size_t cells, size_t *end) {
    size_t used = 0, i = from, space = 0;
    if (cells < 12)
        cells = 12; /* room for the widest glyph, so that every line goes on */
    for (; i < g->n && !g->list[i].newline; i++) {
        if (used + g->list[i].cells > cells)
            break;
        used += g->list[i].cells;
        if (g->list[i].space)
            space = i;
    }
    *end = i;
    if (i == g->n)
        return i;
    if (g->list[i].newline || g->list[i].space)
        return i + 1;
    if (space > from) {
        *end = space;
        return space + 1;
    }
    return i;
}

size_t glyphs_print(const terminal *t, FILE *to, const glyphs *g, size_t from, size_t end) {
    size_t cells = 0;
    bool marked = false;
    for (size_t i = from; i < end; i++) {
        if (g->list[i].marked != marked) {
            marked = !marked;
            fputs(marked ? style_mark(t) : style_off(t), to);
            if (!t->styled) { /* brackets where nothing else can stand out */
                fputc(marked ? '[' : ']', to);
                cells++;
            }
        }
        fputs(g->list[i].text, to);
        cells += g->list[i].cells;
    }
    if (marked) {
        fputs(t->styled ? style_off(t) : "]", to);
        cells += !t->styled;
    }
    return cells;
}

static void print_visible(FILE *to, const char *text, const char *newline, const char *tab) {
    const terminal t = {.unicode = true};
    glyphs g = glyphs_of(&t, text, strlen(text));
    for (size_t i = 0; i < g.n; i++)
        fputs(g.list[i].newline ? newline : text[g.list[i].at] == '\t' ? tab : g.list[i].text, to);
    free(g.list);
}

void print_safe(FILE *to, const char *text) {
    print_visible(to, text, "\n", "\t");
}

void printf_safe(FILE *to, const char *format, ...) {
    char *text = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) >= 0)
        print_safe(to, text);
    va_end(args);
    free(text);
}

void say_error_list(const char *name, const char *format, va_list args) {
    char *text = NULL;
    fprintf(stderr, "agon%s%s: ", name ? " " : "", name ? name : "");
    if (vasprintf(&text, format, args) >= 0) {
        print_visible(stderr, text, "\\n", "\\t");
        free(text);
    }
    fputc('\n', stderr);
}

void say_error(const char *name, const char *format, ...) {
    va_list args;
    va_start(args, format);
    say_error_list(name, format, args);
    va_end(args);
}

/* ---- lines --------------------------------------------------------------------------------------------- */

static const char *ellipsis(const terminal *t) {
    return t->unicode ? "\xe2\x80\xa6" : "~";
}

size_t print_cut(const terminal *t, FILE *to, const char *text, size_t cells, bool fill) {
    size_t n = strlen(text), used = 0, i = 0;
    glyphs g = glyphs_of(t, text, n > 8 * cells + 64 ? 8 * cells + 64 : n);
    size_t all = 0;
    for (size_t k = 0; k < g.n; k++)
        all += g.list[k].cells;
    bool cut = all > cells;
    for (; i < g.n && used + g.list[i].cells + cut <= cells; i++) {
        fputs(g.list[i].text, to);
        used += g.list[i].cells;
    }
    if (cut && used < cells) {
        fputs(ellipsis(t), to);
        used++;
    }
    for (; fill && used < cells; used++)
        fputc(' ', to);
    free(g.list);
    return used;
}

void print_paragraph(const terminal *t, FILE *to, const char *text, size_t indent, size_t columns, size_t most) {
    glyphs g = glyphs_of(t, text, strlen(text));
    size_t lines = 0, end;
    for (size_t from = 0; from < g.n || lines == 0; lines++) {
        if (most && lines == most) {
            fprintf(to, "%*s%s\n", (int)indent, "", ellipsis(t));
            break;
        }
        size_t next = glyphs_line(&g, from, columns > indent ? columns - indent : 1, &end);
        fprintf(to, "%*s", (int)indent, "");
        glyphs_print(t, to, &g, from, end);
        fputc('\n', to);
        if (next >= g.n)
            break;
        from = next;
    }
    free(g.list);
}

void print_bar(const terminal *t, FILE *to, size_t done, size_t total, size_t cells) {
    size_t full = total ? (size_t)((double)done / (double)total * (double)cells) : 0;
    for (size_t i = 0; i < cells; i++)
        fputs(i < full ? (t->unicode ? "\xe2\x96\x88" : "#") : (t->unicode ? "\xe2\x96\x91" : "."), to);
}

const char *style_bold(const terminal *t) {
    return t->styled ? "\033[1m" : "";
}

const char *style_dim(const terminal *t) {
    return t->styled ? "\033[2m" : "";
}

const char *style_mark(const terminal *t) {
    return t->styled ? "\033[7m" : "";
}

const char *style_off(const terminal *t) {
    return t->styled ? "\033[0m" : "";
}
