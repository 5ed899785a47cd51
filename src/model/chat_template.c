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
#include "model/chat_template_private.h"
#include "model/tokenizer_private.h"
#include <stdlib.h>
#include <string.h>

enum { MAX_VARIABLES = 8, MAX_NAMES = 32, MAX_BLOCKS = 32, MAX_NESTING = 32, MAX_TEXT = 1 << 20, MAX_SOURCE = 128 << 10 /* the longest in use have a quarter */ };
enum { KEEPS = 1, TRIMS = 2, ANSWER_SHIFT = 2 }; /* how a content is written; shifted: that of an answer */
typedef enum truth { NO, YES, UNKNOWN } truth;
static const char *const roles[] = {"system", "user", "assistant"};
enum { N_ROLES = 3, SYSTEM = 1, USER = 2, ASSISTANT = 4, ALL_ROLES = 7 }; /* bits of a set of them */

typedef struct span {
    const char *p, *end;
} span;

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

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_quote(char c) {
    return c == '\'' || c == '"';
}

static bool is_letter(char c) {
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}

static bool is_word(char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '_';
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

static bool ends(span s, const char *text) {
    size_t n = strlen(text);
    return (size_t)(s.end - s.p) >= n && memcmp(s.end - n, text, n) == 0;
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

/* Where a word stands outside brackets and literals; NULL: nowhere. */
static const char *find_word(span s, const char *word) {
    size_t n = strlen(word);
    int depth = 0;
    for (const char *p = s.p; p < s.end;) {
        if (depth == 0 && begins((span){p, s.end}, word) && (p == s.p || !is_word(p[-1])) && (p + n == s.end || !is_word(p[n])))
            return p;
        depth += *p == '(' || *p == '[' || *p == '{';
        depth -= *p == ')' || *p == ']' || *p == '}';
        p = is_quote(*p) ? skip_literal(p, s.end) : p + 1;
    }
    return NULL;
}

static bool is_text(span s, const char *text) {
    return equals(s, (span){text, text + strlen(text)});
}

/* Takes off parentheses around all of it; false: there are none. */
static bool cut_parentheses(span *s) {
    int depth = 0;
    if (s->p == s->end || *s->p != '(')
        return false;
    for (const char *p = s->p; p < s->end;) {
        depth += *p == '(';
        depth -= *p == ')';
        if (depth == 0) {
            bool all = p + 1 == s->end;
            if (all)
                *s = trimmed((span){s->p + 1, p});
            return all;
        }
        p = is_quote(*p) ? skip_literal(p, s->end) : p + 1;
    }
    return false;
}

/* ---- conditions ------------------------------------------------------------------------------------------ */

/* MESSAGE.role, MESSAGE['role'] or role. */
static bool is_role(span s) {
    while (s.end > s.p && (is_quote(s.end[-1]) || s.end[-1] == ']'))
        s.end--;
    if (!ends(s, "role"))
        return false;
    s.end -= 4;
    while (s.end > s.p && (is_quote(s.end[-1]) || s.end[-1] == '[' || s.end[-1] == '.'))
        s.end--;
    while (s.p < s.end && is_word(*s.p))
        s.p++;
    return s.p == s.end;
}

/* "ROLE == 'user'" and "!=": of a message of this role; UNKNOWN: something else. */
static truth truth_of_role(span s, size_t role) {
    const char *sign = memmem(s.p, (size_t)(s.end - s.p), "==", 2);
    bool equal = sign != NULL;
    if (!sign)
        sign = memmem(s.p, (size_t)(s.end - s.p), "!=", 2);
    if (!sign || !is_role(trimmed((span){s.p, sign})))
        return UNKNOWN;
    span name = trimmed((span){sign + 2, s.end});
    if (name.p == name.end || !is_quote(*name.p) || skip_literal(name.p, name.end) != name.end)
        return UNKNOWN;
    name = (span){name.p + 1, name.end - 1};
    return is_text(name, roles[role]) == equal ? YES : NO;
}

/* agon gives no tools, no reasoning beside the content and no enable_thinking; each content is text. */
static truth truth_of_term(span s, size_t role) {
    static const char *const absent[] = {"tool", "enable_thinking", ".reasoning_content", "'reasoning_content'", "\"reasoning_content\""};
    static const char *const negatives[] = {"!=", " is none", " is not defined", " is undefined", " not in "};
    truth known = truth_of_role(s, role);
    if (known != UNKNOWN)
        return known;
    bool is_absent = false, negative = false, other_role = false;
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
        is_absent = is_absent || holds(s, absent[i]);
    for (size_t i = 0; i < N_ROLES; i++) /* in a list beside "tool" */
        other_role = other_role || holds(s, roles[i]);
    for (size_t i = 0; i < sizeof negatives / sizeof *negatives; i++)
        negative = negative || holds(s, negatives[i]);
    if (is_absent && !other_role)
        return negative ? YES : NO;
    if (begins(s, "add_generation_prompt is"))
        return holds(s, "not defined") ? NO : holds(s, "defined") ? YES : UNKNOWN;
    if (ends(s, "content is string") || ends(s, "content'] is string") || ends(s, "content\"] is string"))
        return YES;
    if (ends(s, "content is not string") || ends(s, "content'] is not string") || ends(s, "content\"] is not string"))
        return NO;
    return s.end - s.p == 4 && begins(s, "true") ? YES : s.end - s.p == 5 && begins(s, "false") ? NO : UNKNOWN;
}

static truth truth_of(span s, size_t role, int depth);

/* Of terms joined by a word, of which one decides alone: a YES for "or", a NO for "and". */
static truth truth_of_terms(span s, const char *word, truth decides, size_t role, int depth) {
    bool unknown = false;
    for (;;) {
        const char *at = find_word(s, word);
        truth term = truth_of((span){s.p, at ? at : s.end}, role, depth + 1);
        if (term == decides)
            return decides;
        unknown = unknown || term == UNKNOWN;
        if (!at)
            return unknown ? UNKNOWN : decides == YES ? NO : YES;
        s.p = at + strlen(word);
    }
}

static truth truth_of(span s, size_t role, int depth) {
    s = trimmed(s);
    if (depth > MAX_NESTING)
        return UNKNOWN;
    if (find_word(s, "or"))
        return truth_of_terms(s, "or", YES, role, depth);
    if (find_word(s, "and"))
        return truth_of_terms(s, "and", NO, role, depth);
    if (begins(s, "not") && s.p + 3 < s.end && !is_word(s.p[3])) {
        truth rest = truth_of((span){s.p + 3, s.end}, role, depth + 1);
        return rest == UNKNOWN ? UNKNOWN : rest == YES ? NO : YES;
    }
    return cut_parentheses(&s) ? truth_of(s, role, depth + 1) : truth_of_term(s, role);
}

/* Which of a set of roles a condition lets through for certain, and which perhaps. */
static void let_through(span condition, unsigned set, unsigned *certainly, unsigned *perhaps) {
    *certainly = *perhaps = 0;
    for (size_t i = 0; i < N_ROLES; i++) {
        truth c = set & 1u << i ? truth_of(condition, i, 0) : NO;
        *certainly |= c == YES ? 1u << i : 0;
        *perhaps |= c == UNKNOWN ? 1u << i : 0;
    }
}

static unsigned place_under(span s) {
    bool first = holds(s, "loop.first") || holds(s, "loop.index0 == 0") || holds(s, "loop.index == 1");
    bool opens = holds(s, "add_generation_prompt") && !holds(s, "not add_generation_prompt");
    bool no_system = holds(s, "!= 'system'") || holds(s, "!= \"system\"");
    bool last = holds(s, "loop.last") && !holds(s, "not loop.last");
    return CHAT_IF | (first && !holds(s, "not loop.first") ? CHAT_FIRST : 0u) | (last ? CHAT_LAST : 0u) | (opens ? CHAT_OPENS : 0u) |
           (holds(s, "last_query_index") ? CHAT_LATE : 0u) | (no_system ? CHAT_NO_SYSTEM : 0u);
}

static unsigned live_roles(const reader *r) {
    return r->n_blocks == 0 ? ALL_ROLES : r->blocks[r->n_blocks - 1].live;
}

/* ---- what is put ------------------------------------------------------------------------------------------ */

static unsigned place_of(const reader *r) {
    unsigned live = live_roles(r);
    unsigned place = r->place | (live & SYSTEM ? 0u : CHAT_NO_SYSTEM) | (live & USER ? 0u : CHAT_NO_USER) |
                     (live & ASSISTANT ? 0u : CHAT_NO_ANSWER);
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

static alias *find_name(reader *r, span name) {
    for (size_t i = 0; i < r->n_names; i++)
        if (equals(r->names[i].name, name))
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
        bool get = *p == '(' && ends((span){s.p, p}, ".get");
        if (*p == '.' && p + 1 < s.end && is_word(p[1])) {
            for (p++; p < s.end && is_word(*p);)
                p++;
        } else if (*p == '[' || get) {
            const char *q = p + 1;
            if (q < s.end && is_quote(*q))
                q = skip_literal(q, s.end);
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
    return ends(s, "content") && (s.end - s.p == 7 || !is_word(s.end[-8]));
}

/* Takes off "| trim" or ".strip()". */
static bool cut_trim(span *s) {
    span x = *s;
    if (ends(x, ".strip()")) {
        s->end -= strlen(".strip()");
        return true;
    }
    x.end -= ends(x, "trim()") ? 2 : 0;
    if (!ends(x, "trim"))
        return false;
    x = trimmed((span){x.p, x.end - 4});
    if (!ends(x, "|"))
        return false;
    *s = trimmed((span){x.p, x.end - 1});
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
            if ((more = ends(x, calls[i]))) {
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
    unsigned system = holds(s, "system") ? CHAT_SYSTEM_VALUE : 0u;
    r->x.has_default = r->x.has_default || holds_words(s);
    bool trims = cut_trim(&s), reasons = cut_reasoning(&s);
    cut_parentheses(&s);
    if (is_plain(s)) {
        const alias *name = find_name(r, s);
        unsigned content = name ? name->content : is_content(s) ? KEEPS : 0u;
        if (name && !content && !trims && !setting)
            return; /* turns that its set wrote */
        other = trims && !content && name;
        content = (content | content >> ANSWER_SHIFT) & (KEEPS | TRIMS);
        r->found |= (content && trims ? TRIMS : content) << (live_roles(r) & USER ? 0 : ANSWER_SHIFT);
        r->x.reasons = r->x.reasons || reasons;
    } else {
        other = !setting || trims || reasons || (holds(s, "content") && !begins(s, "namespace("));
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
    if (begins(s, "raise_exception("))
        return false;
    bool known = read_literals(s, &r->literal);
    if (known)
        return put_known(r, NULL);
    if (v && v->n && !v->several) {
        buffer_clear(&r->literal);
        buffer_append(&r->literal, r->out.data + v->at, v->n);
        return put_known(r, v);
    }
    if (cut_parentheses(&inner))
        return put_expression(r, inner);
    if (is_text(s, "eos_token")) {
        buffer_text(&r->out, CHAT_EOS);
    } else if (is_text(s, "bos_token")) {
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
            p = is_quote(*p) ? skip_literal(p, s.end) : p + 1;
        }
        known = put_operand(r, trimmed((span){from, p})) && known;
    }
    return known;
}

/* A side of "A if CONDITION else B", as a branch of its own where the condition is unknown. */
static bool put_side(reader *r, span s, unsigned place, bool certain) {
    unsigned outer = r->place;
    if (!certain)
        put_break(r);
    r->place |= certain ? 0 : place;
    bool known = put_expression(r, trimmed(s));
    r->place = outer;
    if (!certain)
        put_break(r);
    return known && certain;
}

static bool put_expression(reader *r, span s) {
    const char *if_ = find_word(s, "if"), *else_ = if_ ? find_word((span){if_, s.end}, "else") : NULL;
    bool known = false;
    if (++r->nesting > MAX_NESTING) {
        r->out.failed = true;
    } else if (!if_) {
        known = put_sum(r, s);
    } else {
        span condition = {if_ + 2, else_ ? else_ : s.end};
        unsigned set = live_roles(r), certainly, perhaps;
        let_through(condition, set, &certainly, &perhaps);
        if (certainly | perhaps)
            known = put_side(r, (span){s.p, if_}, place_under(condition), certainly == set);
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
    span name = trimmed((span){s.p, sign ? sign : s.end}), value = {sign ? sign + 1 : s.end, s.end};
    size_t at = r->out.size;
    r->found = 0;
    r->n_operands = 0;
    r->place |= CHAT_SET;
    bool known = sign && put_expression(r, trimmed(value)) && r->out.size > at;
    r->place &= ~(unsigned)CHAT_SET;
    if (sign && (r->found || find_name(r, name)))
        note_contents(r, name);
    if (!holds(name, "system") || r->out.failed)
        return;
    r->x.has_default = r->x.has_default || !sign || known || holds_words(value);
    define(r, name, at, known);
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
    for (; s.p < s.end && live_roles(r); s.p++)
        put_char(&r->out, *s.p);
    mark_place(r);
}

/* True, and the keyword taken off, when a statement begins with it. */
static bool take_keyword(span *s, const char *keyword) {
    size_t n = strlen(keyword);
    if (!begins(*s, keyword) || (s->p + n < s->end && is_word(s->p[n])))
        return false;
    *s = trimmed((span){s->p + n, s->end});
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
    let_through(condition, outer, &certainly, &perhaps);
    bool certain = certainly == outer || !(certainly | perhaps);
    if (!certain) {
        put_break(r);
        note_emptiness(r, condition);
    }
    open_block(r, (block){.outer = outer, .live = certainly | perhaps, .taken = certainly, .certain = certain,
                          .place = certain ? 0 : place_under(condition)});
}

/* What is looped over: all messages, or all but the first. */
static void put_for(reader *r, span s) {
    const char *in = find_word(s, "in");
    span list = trimmed((span){in ? in + 2 : s.end, s.end});
    bool tools = holds(list, "tool"), live = live_roles(r) && !tools;
    if (live)
        put_break(r);
    list.end -= ends(list, "[1:]") ? 4 : ends(list, "[::-1]") ? 6 : 0;
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
        let_through(*condition, left, &certainly, &perhaps);
    b->certain = b->certain && (certainly == left || !(certainly | perhaps));
    if (!b->certain) {
        put_break(r);
        if (condition)
            note_emptiness(r, *condition);
    }
    b->live = certainly | perhaps;
    b->place = (b->place & CHAT_LOOP) | (b->certain ? 0u : condition ? place_under(*condition) : CHAT_IF);
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
    s = trimmed(s);
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
