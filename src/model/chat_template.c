/* What a chat template can write, read off its source without running it.
 *
 * The result is every text the program holds, in the order of the source, with one byte for what is no text: CHAT_EOS for
 * eos_token, CHAT_BOS for bos_token, CHAT_VALUE for any other value (a role, a message's content), CHAT_BREAK for a statement. So
 * {{ '<|user|>\n' + message['content'] + eos_token }} is "<|user|>\n" CHAT_VALUE CHAT_EOS. Escapes are undone, and white space
 * goes where Jinja cuts it as transformers sets it up (trim_blocks, lstrip_blocks). The right side of a set counts as written.
 * A variable with "system" in its name stands for its text where it has one text only. */
#include "model/tokenizer_private.h"
#include <stdlib.h>
#include <string.h>

enum { MAX_VARIABLES = 8, MAX_TEXT = 1 << 20 };

typedef struct span {
    const char *p, *end;
} span;

typedef struct variable {
    span name;
    size_t at, n; /* its text in `out`; n 0: it has several */
} variable;

typedef struct reader {
    buffer out, literal;
    variable variables[MAX_VARIABLES];
    size_t n_variables;
    bool has_default;
} reader;

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_quote(char c) {
    return c == '\'' || c == '"';
}

static bool is_letter(char c) {
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}

static span trimmed(span s) {
    while (s.p < s.end && is_blank(*s.p))
        s.p++;
    while (s.p < s.end && is_blank(s.end[-1]))
        s.end--;
    return s;
}

static bool begins(span s, const char *text) {
    size_t n = strlen(text);
    return (size_t)(s.end - s.p) >= n && memcmp(s.p, text, n) == 0;
}

static bool holds(span s, const char *text) {
    return memmem(s.p, (size_t)(s.end - s.p), text, strlen(text)) != NULL;
}

static bool equals(span a, span b) {
    return a.end - a.p == b.end - b.p && memcmp(a.p, b.p, (size_t)(a.end - a.p)) == 0;
}

/* Behind the literal that begins at p; `end` when it does not end. */
static const char *skip_literal(const char *p, const char *end) {
    char quote = *p++;
    while (p < end && *p != quote)
        p += *p == '\\' && p + 1 < end ? 2 : 1;
    return p < end ? p + 1 : end;
}

/* True when a literal has two words: a sentence, where keys and markup are none. */
static bool holds_words(span s) {
    for (const char *p = s.p; p < s.end;) {
        const char *next = is_quote(*p) ? skip_literal(p, s.end) : p + 1;
        for (; p + 2 < next; p++)
            if (is_letter(p[0]) && p[1] == ' ' && is_letter(p[2]))
                return true;
        p = next;
    }
    return false;
}

static void put_char(buffer *out, char c) {
    buffer_char(out, c > 0 && c <= CHAT_BOS[0] ? CHAT_VALUE[0] : c);
}

static void put_break(reader *r) {
    if (r->out.size == 0 || r->out.data[r->out.size - 1] != CHAT_BREAK[0])
        buffer_text(&r->out, CHAT_BREAK);
}

/* ---- expressions ---------------------------------------------------------------------------------------- */

/* The text of the literals that s consists of; false when there is anything else, or an escape that is not read. */
static bool read_literals(span s, buffer *out) {
    static const char names[] = "nrt\\'\"", chars[] = "\n\r\t\\'\"";
    buffer_clear(out);
    if (s.p == s.end)
        return false;
    while (s.p < s.end) {
        const char *end = skip_literal(s.p, s.end);
        if (!is_quote(*s.p) || end - s.p < 2 || end[-1] != *s.p)
            return false;
        for (const char *p = s.p + 1; p < end - 1; p++) {
            if (*p != '\\') {
                put_char(out, *p);
            } else if (*++p != '\n') { /* a line end behind a backslash is no text */
                const char *name = strchr(names, *p);
                if (!name || !*name)
                    return false;
                put_char(out, chars[name - names]);
            }
        }
        s = trimmed((span){end, s.end});
    }
    return true;
}

static variable *find_variable(reader *r, span name) {
    for (size_t i = 0; i < r->n_variables; i++)
        if (equals(r->variables[i].name, name))
            return &r->variables[i];
    return NULL;
}

/* What stands between two plus signs; true when its text is known. */
static bool put_operand(reader *r, span s) {
    const variable *v = find_variable(r, s);
    bool known = read_literals(s, &r->literal);
    if (!known && v && v->n) {
        known = true;
        buffer_append(&r->literal, r->out.data + v->at, v->n);
    }
    if (known) {
        if (r->literal.size)
            buffer_append(&r->out, r->literal.data, r->literal.size);
        r->out.failed = r->out.failed || r->literal.failed;
        return true;
    }
    r->has_default = r->has_default || (holds_words(s) && !begins(s, "raise_exception"));
    bool token = s.end - s.p == 9;
    buffer_text(&r->out, token && begins(s, "eos_token") ? CHAT_EOS : token && begins(s, "bos_token") ? CHAT_BOS : CHAT_VALUE);
    return false;
}

static bool put_expression(reader *r, span s) {
    bool known = true;
    for (const char *p = s.p; p <= s.end; p++) {
        const char *from = p;
        for (int depth = 0; p < s.end && (depth > 0 || (*p != '+' && *p != '~'));) {
            depth += *p == '(' || *p == '[' || *p == '{';
            depth -= *p == ')' || *p == ']' || *p == '}';
            p = is_quote(*p) ? skip_literal(p, s.end) : p + 1;
        }
        known = put_operand(r, trimmed((span){from, p})) && known;
    }
    return known;
}

static void define(reader *r, span name, size_t at) {
    variable *v = find_variable(r, name);
    size_t n = r->out.size - at;
    if (!v && r->n_variables < MAX_VARIABLES)
        r->variables[r->n_variables++] = (variable){name, at, n};
    else if (v && (v->n != n || memcmp(r->out.data + v->at, r->out.data + at, n) != 0))
        v->n = 0;
}

/* "NAME = VALUE", or a NAME alone, whose text is then what follows. */
static void put_set(reader *r, span s) {
    const char *sign = memchr(s.p, '=', (size_t)(s.end - s.p));
    span name = trimmed((span){s.p, sign ? sign : s.end}), value = {sign ? sign + 1 : s.end, s.end};
    size_t at = r->out.size;
    bool known = sign && put_expression(r, value) && r->out.size > at;
    if (!holds(name, "system") || r->out.failed)
        return;
    r->has_default = r->has_default || !sign || known || holds_words(value);
    if (known)
        define(r, name, at);
}

/* ---- tags ------------------------------------------------------------------------------------------------ */

/* Where the tag that is opened by '{' and `kind` closes; `end`: nowhere. */
static const char *find_close(const char *p, const char *end, char kind) {
    char first = kind == '{' ? '}' : kind;
    while (p + 1 < end && !(p[0] == first && p[1] == '}'))
        p = kind != '#' && is_quote(*p) ? skip_literal(p, end) : p + 1;
    return p + 1 < end ? p : end;
}

/* Text between two tags, without the white space that they cut: `before` are the two bytes that end the one, `after` the two
 * behind the brace of the other; NULL: none. */
static void put_raw(reader *r, span s, const char *source, const char *before, const char *after) {
    if (before && before[0] == '-')
        s.p = trimmed(s).p;
    else if (before && before[0] != '+' && before[1] != '}' && s.p < s.end && *s.p == '\n')
        s.p++;
    if (after && after[1] == '-') {
        while (s.end > s.p && is_blank(s.end[-1]))
            s.end--;
    } else if (after && after[0] != '{' && after[1] != '+') {
        const char *line = s.end;
        while (line > s.p && (line[-1] == ' ' || line[-1] == '\t'))
            line--;
        if (line == source || line[-1] == '\n')
            s.end = line;
    }
    for (; s.p < s.end; s.p++)
        put_char(&r->out, *s.p);
}

static void put_tag(reader *r, char kind, span s) {
    if (s.p < s.end && (*s.p == '-' || *s.p == '+'))
        s.p++;
    if (s.p < s.end && (s.end[-1] == '-' || s.end[-1] == '+'))
        s.end--;
    s = trimmed(s);
    if (kind == '{')
        put_expression(r, s);
    if (kind != '%')
        return;
    put_break(r);
    if (begins(s, "set") && s.p + 3 < s.end && is_blank(s.p[3])) {
        put_set(r, (span){s.p + 3, s.end});
        put_break(r);
    }
}

char *chat_template_text(const char *source, bool *has_default) {
    reader r = {0};
    const char *end = source + strlen(source), *before = NULL;
    end -= end > source && end[-1] == '\n';
    buffer_init(&r.out, MAX_TEXT);
    buffer_init(&r.literal, MAX_TEXT);
    put_break(&r);
    for (const char *p = source; !r.out.failed;) {
        const char *tag = p;
        while (tag < end && !(tag[0] == '{' && (tag[1] == '{' || tag[1] == '%' || tag[1] == '#')))
            tag++;
        put_raw(&r, (span){p, tag}, source, before, tag < end ? tag + 1 : NULL);
        if (tag == end)
            break;
        const char *close = find_close(tag + 2, end, tag[1]);
        if (close == end)
            r.out.failed = true;
        else
            put_tag(&r, tag[1], (span){tag + 2, close});
        before = close - 1;
        p = close + 2;
    }
    put_break(&r);
    *has_default = r.has_default;
    buffer_free(&r.literal);
    char *text = buffer_take(&r.out);
    buffer_free(&r.out);
    return text;
}
