/* What a condition of a chat template says of a message, by its role, where there are no tools: yes, no or unknown. See chat_source_private.h. */
#include "model/chat_source_private.h"
#include "model/chat_template_private.h"
#include <string.h>

typedef enum truth { NO, YES, UNKNOWN } truth;
static const char *const roles[N_ROLES] = {"system", "user", "assistant"};

/* MESSAGE.role, MESSAGE['role'] or role. */
static bool is_role(span s) {
    while (s.end > s.p && (is_quote(s.end[-1]) || s.end[-1] == ']'))
        s.end--;
    if (!span_ends(s, "role"))
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
    if (!sign || !is_role(span_trim((span){s.p, sign})))
        return UNKNOWN;
    span name = span_trim((span){sign + 2, s.end});
    if (name.p == name.end || !is_quote(*name.p) || span_skip_literal(name.p, name.end) != name.end)
        return UNKNOWN;
    name = (span){name.p + 1, name.end - 1};
    return span_is(name, roles[role]) == equal ? YES : NO;
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
        is_absent = is_absent || span_holds(s, absent[i]);
    for (size_t i = 0; i < N_ROLES; i++) /* in a list beside "tool" */
        other_role = other_role || span_holds(s, roles[i]);
    for (size_t i = 0; i < sizeof negatives / sizeof *negatives; i++)
        negative = negative || span_holds(s, negatives[i]);
    if (is_absent && !other_role)
        return negative ? YES : NO;
    if (span_begins(s, "add_generation_prompt is"))
        return span_holds(s, "not defined") ? NO : span_holds(s, "defined") ? YES : UNKNOWN;
    if (span_ends(s, "content is string") || span_ends(s, "content'] is string") || span_ends(s, "content\"] is string"))
        return YES;
    if (span_ends(s, "content is not string") || span_ends(s, "content'] is not string") || span_ends(s, "content\"] is not string"))
        return NO;
    return s.end - s.p == 4 && span_begins(s, "true") ? YES : s.end - s.p == 5 && span_begins(s, "false") ? NO : UNKNOWN;
}

static truth truth_of(span s, size_t role, int depth);

/* Of terms joined by a word, of which one decides alone: a YES for "or", a NO for "and". */
static truth truth_of_terms(span s, const char *word, truth decides, size_t role, int depth) {
    bool unknown = false;
    for (;;) {
        const char *at = span_find_word(s, word);
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
    s = span_trim(s);
    if (depth > CHAT_NESTING)
        return UNKNOWN;
    if (span_find_word(s, "or"))
        return truth_of_terms(s, "or", YES, role, depth);
    if (span_find_word(s, "and"))
        return truth_of_terms(s, "and", NO, role, depth);
    if (span_begins(s, "not") && s.p + 3 < s.end && !is_word(s.p[3])) {
        truth rest = truth_of((span){s.p + 3, s.end}, role, depth + 1);
        return rest == UNKNOWN ? UNKNOWN : rest == YES ? NO : YES;
    }
    return span_cut_parentheses(&s) ? truth_of(s, role, depth + 1) : truth_of_term(s, role);
}

void condition_lets_through(span condition, unsigned set, unsigned *certainly, unsigned *perhaps) {
    *certainly = *perhaps = 0;
    for (size_t i = 0; i < N_ROLES; i++) {
        truth c = set & 1u << i ? truth_of(condition, i, 0) : NO;
        *certainly |= c == YES ? 1u << i : 0;
        *perhaps |= c == UNKNOWN ? 1u << i : 0;
    }
}

unsigned condition_place(span s) {
    bool first = span_holds(s, "loop.first") || span_holds(s, "loop.index0 == 0") || span_holds(s, "loop.index == 1");
    bool opens = span_holds(s, "add_generation_prompt") && !span_holds(s, "not add_generation_prompt");
    bool no_system = span_holds(s, "!= 'system'") || span_holds(s, "!= \"system\"");
    bool last = span_holds(s, "loop.last") && !span_holds(s, "not loop.last");
    return CHAT_IF | (first && !span_holds(s, "not loop.first") ? CHAT_FIRST : 0u) | (last ? CHAT_LAST : 0u) | (opens ? CHAT_OPENS : 0u) |
           (span_holds(s, "last_query_index") ? CHAT_LATE : 0u) | (no_system ? CHAT_NO_SYSTEM : 0u);
}
