/* What a chat template can write, read off its source without running it.
 *
 * The result is every text the program holds, in the order of the source, with one byte for what is no text: CHAT_EOS for
 * eos_token, CHAT_BOS for bos_token, CHAT_VALUE for any other value (a role, a message's content), CHAT_BREAK for a statement. So
 * {{ '<|user|>\n' + message['content'] + eos_token }} is "<|user|>\n" CHAT_VALUE CHAT_EOS. Escapes are undone, and white space
 * goes where Jinja cuts it as transformers sets it up (trim_blocks, lstrip_blocks). The right side of a set counts as written.
 * A variable with "system" in its name stands for its text where it has one text only.
 *
 * Branches that only a conversation with tools takes are left out, and those that every other takes are no branches: a condition
 * is yes, no or unknown. A value that a filter, a call or a slice changes is CHAT_OTHER, but for white space cut off its ends
 * and reasoning cut out of it. */
#include "model/chat_source_private.h"
#include "model/chat_template_private.h"
#include "model/tokenizer_private.h"
#include <stdlib.h>
#include <string.h>

enum { MAX_VARIABLES = 8, MAX_NAMES = 32, MAX_BLOCKS = 32, MAX_TEXT = 1 << 20, MAX_SOURCE = 128 << 10 /* the longest in use have a quarter */ };
enum { KEEPS = 1, TRIMS = 2, ANSWER_SHIFT = 2 }; /* how a content is written; shifted: that of an answer */

/* One with "system" in its name. */
typedef struct variable {
    span name;
    size_t at, n;        /* its text in `out`; n 0: none is known */
    bool several, given; /* texts; the conversation's */
} variable;

/* A name that was set, and what content it is when that is all it is. */
typedef struct alias {
    span name;
    unsigned content;
} alias;

/* Sets of roles: a message of which may come by; may take this branch; has certainly taken it or an earlier one. */
typedef struct block {
    unsigned outer, live, taken;
    bool certain; /* as good as no statement */
    unsigned place;
} block;

typedef struct reader {
    buffer out, where, literal;
    variable variables[MAX_VARIABLES];
    alias names[MAX_NAMES];
    block blocks[MAX_BLOCKS];
    size_t n_variables, n_names, n_blocks, nesting;
    unsigned place;   /* of what is put now, beside that of the blocks */
    unsigned found;   /* contents in the expression being read */
    size_t n_operands; /* in it, that are not empty */
    chat_text x;
} reader;

static unsigned live_roles(const reader *r) {
    return r->n_blocks == 0 ? ALL_ROLES : r->blocks[r->n_blocks - 1].live;
}

/* ---- what is put ------------------------------------------------------------------------------------------ */

static unsigned place_of(const reader *r) {
    unsigned live = live_roles(r);
    unsigned place = r->place | (live & ROLE_SYSTEM ? 0u : CHAT_NO_SYSTEM) | (live & ROLE_USER ? 0u : CHAT_NO_USER) |
                     (live & ROLE_ASSISTANT ? 0u : CHAT_NO_ANSWER);
    for (size_t i = 0; i < r->n_blocks; i++)
        place |= r->blocks[i].place;
    return place;
}

/* All that was put since the last call stands where the reader is now. */
static void mark_place(reader *r) {
    uint16_t place = r->where.size / sizeof place < r->out.size ? (uint16_t)place_of(r) : 0;
    while (r->where.size / sizeof place < r->out.size && buffer_append(&r->where, &place, sizeof place))
        ;
    r->out.failed = r->out.failed || r->where.failed;
}

static void put_char(buffer *out, char c) {
    buffer_char(out, c > 0 && c <= CHAT_OTHER[0] ? CHAT_OTHER[0] : c);
}

static void put_break(reader *r) {
    if (r->out.size == 0 || r->out.data[r->out.size - 1] != CHAT_BREAK[0])
        buffer_text(&r->out, CHAT_BREAK);
    mark_place(r);
}

/* ---- expressions ---------------------------------------------------------------------------------------- */

/* The text of the literals that s consists of; false when there is anything else, or an escape that is not read. */
static bool read_literals(span s, buffer *out) {
    static const char names[] = "nrt\\'\"", chars[] = "\n\r\t\\'\"";
    buffer_clear(out);
    if (s.p == s.end)
        return false;
    while (s.p < s.end) {
        const char *end = span_skip_literal(s.p, s.end);
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
        s = span_trim((span){end, s.end});
    }
    return true;
}

static variable *find_variable(reader *r, span name) {
    for (size_t i = 0; i < r->n_variables; i++)
        if (span_equals(r->variables[i].name, name))
            return &r->variables[i];
    return NULL;
}

static alias *find_name(reader *r, span name) {
    for (size_t i = 0; i < r->n_names; i++)
        if (span_equals(r->names[i].name, name))
            return &r->names[i];
    return NULL;
}

/* NAME, NAME.NAME, NAME['key'], NAME[0], NAME.get('key') and chains of these. */
static bool is_plain(span s) {
    const char *p = s.p;
    while (p < s.end && is_word(*p))
        p++;
    if (p == s.p)
        return false;
    while (p < s.end) {
        bool get = *p == '(' && span_ends((span){s.p, p}, ".get");
        if (*p == '.' && p + 1 < s.end && is_word(p[1])) {
            for (p++; p < s.end && is_word(*p);)
                p++;
        } else if (*p == '[' || get) {
            const char *q = p + 1;
            if (q < s.end && is_quote(*q))
                q = span_skip_literal(q, s.end);
            else
                while (q < s.end && is_word(*q))
                    q++;
            if (q >= s.end || *q != (get ? ')' : ']'))
                return false;
            p = q + 1;
        } else {
            return false;
        }
    }
    return true;
}

static bool is_content(span s) {
    while (s.end > s.p && (is_quote(s.end[-1]) || s.end[-1] == ']' || s.end[-1] == ')'))
        s.end--;
    return span_ends(s, "content") && (s.end - s.p == 7 || !is_word(s.end[-8]));
}

/* Takes off "| trim" or ".strip()". */
static bool cut_trim(span *s) {
    span x = *s;
    if (span_ends(x, ".strip()")) {
        s->end -= strlen(".strip()");
        return true;
    }
    x.end -= span_ends(x, "trim()") ? 2 : 0;
    if (!span_ends(x, "trim"))
        return false;
    x = span_trim((span){x.p, x.end - 4});
    if (!span_ends(x, "|"))
        return false;
    *s = span_trim((span){x.p, x.end - 1});
    return true;
}

/* Takes off what parts reasoning from an answer. */
static bool cut_reasoning(span *s) {
    static const char *const calls[] = {".split('</think>')", ".split(\"</think>\")", ".split('<think>')", ".split(\"<think>\")",
                                        ".strip('\\n')", ".lstrip('\\n')", ".rstrip('\\n')", "[-1]", "[0]"};
    enum { N_CALLS = sizeof calls / sizeof *calls, N_NAMED = N_CALLS - 2 };
    span x = *s;
    bool named = false, more = true;
    while (more) {
        more = false;
        for (size_t i = 0; i < N_CALLS && !more; i++)
            if ((more = span_ends(x, calls[i]))) {
                x.end -= strlen(calls[i]);
                named = named || i < N_NAMED;
            }
    }
    if (named)
        *s = x;
    return named;
}

static bool put_known(reader *r, const variable *v) {
    if (r->literal.size) {
        buffer_append(&r->out, r->literal.data, r->literal.size);
        r->n_operands++;
    }
    r->out.failed = r->out.failed || r->literal.failed;
    r->place |= v && v->given ? CHAT_GIVEN : 0u;
    mark_place(r);
    r->place &= ~(unsigned)CHAT_GIVEN;
    return true;
}

/* A value that has a name, or is computed. */
static void put_value(reader *r, span s) {
    bool setting = r->place & CHAT_SET, other = false;
    unsigned system = span_holds(s, "system") ? CHAT_SYSTEM_VALUE : 0u;
    r->x.has_default = r->x.has_default || span_holds_words(s);
    bool trims = cut_trim(&s), reasons = cut_reasoning(&s);
    span_cut_parentheses(&s);
    if (is_plain(s)) {
        const alias *name = find_name(r, s);
        unsigned content = name ? name->content : is_content(s) ? KEEPS : 0u;
        if (name && !content && !trims && !setting)
            return; /* turns that its set wrote */
        other = trims && !content && name;
        content = (content | content >> ANSWER_SHIFT) & (KEEPS | TRIMS);
        r->found |= (content && trims ? TRIMS : content) << (live_roles(r) & ROLE_USER ? 0 : ANSWER_SHIFT);
        r->x.reasons = r->x.reasons || reasons;
    } else {
        other = !setting || trims || reasons || (span_holds(s, "content") && !span_begins(s, "namespace("));
    }
    buffer_text(&r->out, other ? CHAT_OTHER : CHAT_VALUE);
    r->n_operands++;
    r->place |= system;
    mark_place(r);
    r->place &= ~(unsigned)CHAT_SYSTEM_VALUE;
}

static bool put_expression(reader *r, span s);

/* What stands between two plus signs; true when its text is known. */
static bool put_operand(reader *r, span s) {
    const variable *v = find_variable(r, s);
    span inner = s;
    if (span_begins(s, "raise_exception("))
        return false;
    bool known = read_literals(s, &r->literal);
    if (known)
        return put_known(r, NULL);
    if (v && v->n && !v->several) {
        buffer_clear(&r->literal);
        buffer_append(&r->literal, r->out.data + v->at, v->n);
        return put_known(r, v);
    }
    if (span_cut_parentheses(&inner))
        return put_expression(r, inner);
    if (span_is(s, "eos_token")) {
        buffer_text(&r->out, CHAT_EOS);
    } else if (span_is(s, "bos_token")) {
        buffer_text(&r->out, CHAT_BOS);
    } else {
        put_value(r, s);
        return false;
    }
    r->n_operands++;
    mark_place(r);
    return false;
}

static bool put_sum(reader *r, span s) {
    bool known = true;
    for (const char *p = s.p; p <= s.end; p++) {
        const char *from = p;
        for (int depth = 0; p < s.end && (depth > 0 || (*p != '+' && *p != '~'));) {
            depth += *p == '(' || *p == '[' || *p == '{';
            depth -= *p == ')' || *p == ']' || *p == '}';
            p = is_quote(*p) ? span_skip_literal(p, s.end) : p + 1;
        }
        known = put_operand(r, span_trim((span){from, p})) && known;
    }
    return known;
}

/* A side of "A if CONDITION else B", as a branch of its own where the condition is unknown. */
static bool put_side(reader *r, span s, unsigned place, bool certain) {
    unsigned outer = r->place;
    if (!certain)
        put_break(r);
    r->place |= certain ? 0 : place;
    bool known = put_expression(r, span_trim(s));
    r->place = outer;
    if (!certain)
        put_break(r);
    return known && certain;
}

static bool put_expression(reader *r, span s) {
    const char *if_ = span_find_word(s, "if"), *else_ = if_ ? span_find_word((span){if_, s.end}, "else") : NULL;
    bool known = false;
    if (++r->nesting > CHAT_NESTING) {
        r->out.failed = true;
    } else if (!if_) {
        known = put_sum(r, s);
    } else {
        span condition = {if_ + 2, else_ ? else_ : s.end};
        unsigned set = live_roles(r), certainly, perhaps;
        condition_lets_through(condition, set, &certainly, &perhaps);
        if (certainly | perhaps)
            known = put_side(r, (span){s.p, if_}, condition_place(condition), certainly == set);
        if (certainly != set && else_)
            known = put_side(r, (span){else_ + 4, s.end}, CHAT_IF, !(certainly | perhaps));
    }
    r->nesting--;
    return known;
}

static void define(reader *r, span name, size_t at, bool known) {
    variable *v = find_variable(r, name);
    size_t n = r->out.size - at;
    if (!v && r->n_variables == MAX_VARIABLES)
        return;
    if (!v) {
        v = &r->variables[r->n_variables++];
        *v = (variable){.name = name};
    }
    if (!known) {
        v->given = true;
    } else if (v->n == 0) {
        v->at = at;
        v->n = n;
    } else {
        v->several = v->several || v->n != n || memcmp(r->out.data + v->at, r->out.data + at, n) != 0;
    }
}

static void add_contents(reader *r) {
    r->x.keeps = r->x.keeps || (r->found & KEEPS);
    r->x.trims = r->x.trims || (r->found & TRIMS);
    r->x.keeps_answers = r->x.keeps_answers || (r->found & KEEPS << ANSWER_SHIFT);
    r->x.trims_answers = r->x.trims_answers || (r->found & TRIMS << ANSWER_SHIFT);
}

/* A content under another name is written where that is. */
static void note_contents(reader *r, span name) {
    alias *a = find_name(r, name);
    if (!a && r->n_names == MAX_NAMES) {
        r->out.failed = true;
        return;
    }
    if (!a) {
        a = &r->names[r->n_names++];
        *a = (alias){.name = name};
    }
    if (r->n_operands == 1)
        a->content |= r->found;
    unsigned parts = r->n_operands == 1 ? 0 : r->found | r->found >> ANSWER_SHIFT;
    r->x.keeps_parts = r->x.keeps_parts || (parts & KEEPS);
    r->x.trims_parts = r->x.trims_parts || (parts & TRIMS);
}

/* "NAME = VALUE", or a NAME alone, whose text is then what follows. */
static void put_set(reader *r, span s) {
    const char *sign = memchr(s.p, '=', (size_t)(s.end - s.p));
    span name = span_trim((span){s.p, sign ? sign : s.end}), value = {sign ? sign + 1 : s.end, s.end};
    size_t at = r->out.size;
    r->found = 0;
    r->n_operands = 0;
    r->place |= CHAT_SET;
    bool known = sign && put_expression(r, span_trim(value)) && r->out.size > at;
    r->place &= ~(unsigned)CHAT_SET;
    if (sign && (r->found || find_name(r, name)))
        note_contents(r, name);
    if (!span_holds(name, "system") || r->out.failed)
        return;
    r->x.has_default = r->x.has_default || !sign || known || span_holds_words(value);
    define(r, name, at, known);
}

/* ---- tags ------------------------------------------------------------------------------------------------ */

/* Where the tag that is opened by '{' and `kind` closes; `end`: nowhere. */
static const char *find_close(const char *p, const char *end, char kind) {
    char first = kind == '{' ? '}' : kind;
    while (p + 1 < end && !(p[0] == first && p[1] == '}'))
        p = kind != '#' && is_quote(*p) ? span_skip_literal(p, end) : p + 1;
    return p + 1 < end ? p : end;
}

/* Text between two tags, without the white space that they cut: `before` are the two bytes that end the one, `after` the two
 * behind the brace of the other; NULL: none. */
static void put_raw(reader *r, span s, const char *source, const char *before, const char *after) {
    if (before && before[0] == '-')
        s.p = span_trim(s).p;
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
    for (; s.p < s.end && live_roles(r); s.p++)
        put_char(&r->out, *s.p);
    mark_place(r);
}

/* True, and the keyword taken off, when a statement begins with it. */
static bool take_keyword(span *s, const char *keyword) {
    size_t n = strlen(keyword);
    if (!span_begins(*s, keyword) || (s->p + n < s->end && is_word(s->p[n])))
        return false;
    *s = span_trim((span){s->p + n, s->end});
    return true;
}

static void open_block(reader *r, block b) {
    if (r->n_blocks == MAX_BLOCKS)
        r->out.failed = true;
    else
        r->blocks[r->n_blocks++] = b;
}

/* What is written only where a content is not empty is not read. */
static void note_emptiness(reader *r, span condition) {
    const alias *name = find_name(r, condition);
    if (name ? name->content : is_plain(condition) && is_content(condition))
        buffer_text(&r->out, CHAT_OTHER);
    mark_place(r);
}

static void put_if(reader *r, span condition) {
    unsigned outer = live_roles(r), certainly, perhaps;
    condition_lets_through(condition, outer, &certainly, &perhaps);
    bool certain = certainly == outer || !(certainly | perhaps);
    if (!certain) {
        put_break(r);
        note_emptiness(r, condition);
    }
    open_block(r, (block){.outer = outer, .live = certainly | perhaps, .taken = certainly, .certain = certain,
                          .place = certain ? 0 : condition_place(condition)});
}

/* What is looped over: all messages, or all but the first. */
static void put_for(reader *r, span s) {
    const char *in = span_find_word(s, "in");
    span list = span_trim((span){in ? in + 2 : s.end, s.end});
    bool tools = span_holds(list, "tool"), live = live_roles(r) && !tools;
    if (live)
        put_break(r);
    list.end -= span_ends(list, "[1:]") ? 4 : span_ends(list, "[::-1]") ? 6 : 0;
    if (live && !is_plain(list))
        buffer_text(&r->out, CHAT_OTHER);
    mark_place(r);
    open_block(r, (block){.outer = live_roles(r), .live = live ? live_roles(r) : 0, .certain = !live, .place = CHAT_LOOP});
}

/* NULL: else. */
static void put_elif(reader *r, const span *condition) {
    if (r->n_blocks == 0)
        return;
    block *b = &r->blocks[r->n_blocks - 1];
    unsigned left = b->outer & ~b->taken, certainly = left, perhaps = 0;
    if (condition)
        condition_lets_through(*condition, left, &certainly, &perhaps);
    b->certain = b->certain && (certainly == left || !(certainly | perhaps));
    if (!b->certain) {
        put_break(r);
        if (condition)
            note_emptiness(r, *condition);
    }
    b->live = certainly | perhaps;
    b->place = (b->place & CHAT_LOOP) | (b->certain ? 0u : condition ? condition_place(*condition) : CHAT_IF);
    b->taken |= certainly;
}

static void close_block(reader *r) {
    if (r->n_blocks == 0)
        return;
    if (!r->blocks[--r->n_blocks].certain)
        put_break(r);
}

static void put_statement(reader *r, span s) {
    static const char *const silent[] = {"endset", "do", "generation", "endgeneration", "break", "continue"};
    if (take_keyword(&s, "if")) {
        put_if(r, s);
    } else if (take_keyword(&s, "elif")) {
        put_elif(r, &s);
    } else if (take_keyword(&s, "else")) {
        put_elif(r, NULL);
    } else if (take_keyword(&s, "for")) {
        put_for(r, s);
    } else if (take_keyword(&s, "endif") || take_keyword(&s, "endfor")) {
        close_block(r);
    } else if (!live_roles(r)) {
        return;
    } else if (take_keyword(&s, "set")) {
        put_break(r);
        put_set(r, s);
        put_break(r);
    } else {
        bool known = false;
        for (size_t i = 0; i < sizeof silent / sizeof *silent; i++)
            known = known || take_keyword(&s, silent[i]);
        if (!known)
            buffer_text(&r->out, CHAT_OTHER);
        mark_place(r);
    }
}

static void put_tag(reader *r, char kind, span s) {
    if (s.p < s.end && (*s.p == '-' || *s.p == '+'))
        s.p++;
    if (s.p < s.end && (s.end[-1] == '-' || s.end[-1] == '+'))
        s.end--;
    s = span_trim(s);
    if (kind == '%')
        put_statement(r, s);
    if (kind != '{' || !live_roles(r))
        return;
    r->found = 0;
    put_expression(r, s);
    add_contents(r);
}

bool chat_text_read(const char *source, chat_text *out) {
    reader r = {0};
    *out = r.x;
    if (strlen(source) > MAX_SOURCE)
        return false;
    const char *end = source + strlen(source), *before = NULL;
    end -= end > source && end[-1] == '\n';
    buffer_init(&r.out, MAX_TEXT);
    buffer_init(&r.where, sizeof *r.x.where * MAX_TEXT + 1);
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
    r.x.text = buffer_take(&r.out);
    r.x.where = (uint16_t *)(void *)buffer_take(&r.where);
    buffer_free(&r.literal);
    buffer_free(&r.out);
    buffer_free(&r.where);
    *out = r.x;
    if (out->text && out->where)
        return true;
    chat_text_free(out);
    return false;
}

void chat_text_free(chat_text *x) {
    free(x->text);
    free(x->where);
    *x = (chat_text){0};
}
