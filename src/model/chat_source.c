/* Pieces of a chat template's source, see chat_source_private.h. */
#include "model/chat_source_private.h"
#include <string.h>

span span_trim(span s) {
    while (s.p < s.end && is_blank(*s.p))
        s.p++;
    while (s.p < s.end && is_blank(s.end[-1]))
        s.end--;
    return s;
}

bool span_begins(span s, const char *text) {
    size_t n = strlen(text);
    return (size_t)(s.end - s.p) >= n && memcmp(s.p, text, n) == 0;
}

bool span_ends(span s, const char *text) {
    size_t n = strlen(text);
    return (size_t)(s.end - s.p) >= n && memcmp(s.end - n, text, n) == 0;
}

bool span_holds(span s, const char *text) {
    return memmem(s.p, (size_t)(s.end - s.p), text, strlen(text)) != NULL;
}

bool span_equals(span a, span b) {
    return a.end - a.p == b.end - b.p && memcmp(a.p, b.p, (size_t)(a.end - a.p)) == 0;
}

const char *span_skip_literal(const char *p, const char *end) {
    char quote = *p++;
    while (p < end && *p != quote)
        p += *p == '\\' && p + 1 < end ? 2 : 1;
    return p < end ? p + 1 : end;
}

bool span_holds_words(span s) {
    for (const char *p = s.p; p < s.end;) {
        const char *next = is_quote(*p) ? span_skip_literal(p, s.end) : p + 1;
        for (; p + 2 < next; p++)
            if (is_letter(p[0]) && p[1] == ' ' && is_letter(p[2]))
                return true;
        p = next;
    }
    return false;
}

const char *span_find_word(span s, const char *word) {
    size_t n = strlen(word);
    int depth = 0;
    for (const char *p = s.p; p < s.end;) {
        if (depth == 0 && span_begins((span){p, s.end}, word) && (p == s.p || !is_word(p[-1])) && (p + n == s.end || !is_word(p[n])))
            return p;
        depth += *p == '(' || *p == '[' || *p == '{';
        depth -= *p == ')' || *p == ']' || *p == '}';
        p = is_quote(*p) ? span_skip_literal(p, s.end) : p + 1;
    }
    return NULL;
}

bool span_is(span s, const char *text) {
    return span_equals(s, (span){text, text + strlen(text)});
}

bool span_cut_parentheses(span *s) {
    int depth = 0;
    if (s->p == s->end || *s->p != '(')
        return false;
    for (const char *p = s->p; p < s->end;) {
        depth += *p == '(';
        depth -= *p == ')';
        if (depth == 0) {
            bool all = p + 1 == s->end;
            if (all)
                *s = span_trim((span){s->p + 1, p});
            return all;
        }
        p = is_quote(*p) ? span_skip_literal(p, s->end) : p + 1;
    }
    return false;
}
