/* See claim.h. */
#include "task/claim.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "task/number.h"
#include "task/words.h"

static bool is_word(const char *text, span s, const char *const *words, size_t n) {
    size_t end;
    for (size_t i = 0; i < n; i++)
        if (phrase_at(text, s.start, words[i], &end) && end == s.end)
            return true;
    return false;
}
#define IS_WORD(text, s, words) is_word(text, s, words, sizeof words / sizeof *words)

/* ---- negation ------------------------------------------------------------------------------------ */

static bool is_negation(const char *text, span s) {
    static const char *const words[] = {"not", "nor", "neither", "never", "cannot"};
    size_t n = s.end - s.start, end;
    return IS_WORD(text, s, words) || (n > 3 && phrase_at(text, s.end - 3, "n't", &end) && end == s.end) ||
           (n > 5 && phrase_at(text, s.end - 5, "n't", &end) && end == s.end); /* the curly apostrophe has three bytes */
}

/* The word that ends right before text[at], but for blanks and marks that set apart. */
static bool word_before(const char *text, size_t at, span *out) {
    while (at > 0 && strchr(" \t*\"'`$(", text[at - 1]))
        at--;
    out->end = at;
    while (at > 0 && (isalnum((unsigned char)text[at - 1]) || text[at - 1] == '\'' || (unsigned char)text[at - 1] & 0x80))
        at--;
    out->start = at;
    return out->start < out->end;
}

static bool denied_before(const char *text, size_t start) {
    enum { MOST_FILL = 16 }; /* a text of nothing else would be read again for each of its words */
    static const char *const fill[] = {"equal", "to", "be", "exactly", "the", "a", "an", "number", "letter", "word", "really", "simply", "just"};
    span s, t;
    for (int n = 0; n < MOST_FILL && word_before(text, start, &s); n++, start = s.start) {
        size_t end;
        bool phrase = word_before(text, s.start, &t) && (phrase_at(text, t.start, "rather than", &end) || phrase_at(text, t.start, "instead of", &end));
        if (is_negation(text, s) || (phrase && end == s.end))
            return true;
        if (!IS_WORD(text, s, fill))
            return false;
    }
    return false;
}

static bool denied_after(const char *text, size_t end) {
    static const char *const is[] = {"is", "are", "was", "were"}, *const isnt[] = {"isn't", "aren't", "wasn't", "weren't"},
                      *const wrong[] = {"wrong", "incorrect", "false"};
    span s;
    end += strspn(text + end, "*\"'`$)");
    if (text[end] != ' ' || !word_next(text, &end, &s))
        return false;
    if (IS_WORD(text, s, isnt))
        return true;
    return IS_WORD(text, s, is) && text[end] == ' ' && word_next(text, &end, &s) && (is_negation(text, s) || IS_WORD(text, s, wrong));
}

bool claim_denied(const char *text, size_t start, size_t end) {
    return denied_before(text, start) || denied_after(text, end);
}

/* ---- lists ---------------------------------------------------------------------------------------- */

bool list_marker(const char *text, size_t start, size_t end) {
    while (start > 0 && strchr(" \t*-", text[start - 1]))
        start--;
    return (start == 0 || text[start - 1] == '\n') && (text[end] == '.' || text[end] == ')') && text[end + 1] && strchr(" \t*", text[end + 1]);
}

/* Digits that are a whole number by themselves: no sign, no decimals, no fraction. */
static bool is_whole(const char *text, span s) {
    number_token t;
    bool part = s.start > 0 && strchr("./", text[s.start - 1]);
    bool goes_on = text[s.end] && strchr("./", text[s.end]) && is_digit(text[s.end + 1]);
    return !part && !goes_on && number_next(text, s.start, s.end, &t) && t.start == s.start;
}

bool mention_next(const order *o, const char *text, size_t from, mention *out) {
    static const char *const joints[] = {"and", "then"};
    for (span s; word_next(text, &from, &s);) {
        size_t n = s.end - s.start;
        bool digits = strspn(text + s.start, "0123456789") >= n;
        if (digits ? list_marker(text, s.start, s.end) : IS_WORD(text, s, joints))
            continue;
        *out = (mention){-1, s.start, s.end};
        for (int k = 0; k < o->n; k++)
            if (strlen(o->items[k]) == n && strncasecmp(text + s.start, o->items[k], n) == 0 && (!o->numbers || is_whole(text, s)))
                out->item = k;
        return true;
    }
    return false;
}

/* What a sign between two numbers says of them: '>' 1, '<' -1; 0: no sign, or an arrow. */
static int sign_between(const char *text, size_t start, size_t end) {
    for (size_t i = start; i < end; i++) {
        if (text[i] == '>' || strncmp(text + i, "\xE2\x89\xA5", 3) == 0)
            return strchr("-=", text[i - 1]) ? 0 : 1;
        if (text[i] == '<' || strncmp(text + i, "\xE2\x89\xA4", 3) == 0)
            return text[i + 1] == '-' ? 0 : -1;
    }
    return 0;
}

/* Is a mention a further member of the list beside it: joined by a comma, or for numbers in any way; a word must stand alone. */
static bool joined(const order *o, const char *text, size_t end, size_t start, const mention *other) {
    bool comma = memchr(text + end, ',', start - end), line = memchr(text + end, '\n', start - end);
    static const char *const marks = " \t\n,;&*\"'`-$";
    size_t at = end + strspn(text + end, marks);
    if (strncasecmp(text + at, "and", 3) == 0)
        at += 3 + strspn(text + at + 3, marks);
    return at == start && (comma || (o->numbers && !line && is_digit(text[other->start])));
}

/* "zebra, apple, kiwi", "12, 45, 67", but not "Sure, apple, kiwi" or "In order, apple, kiwi". */
static bool leads(const order *o, const char *text, const mention *before, size_t start) {
    static const char *const openers[] = {"sure", "ok", "okay", "yes", "so", "first", "well", "now", "here", "sorted", "order", "answer"};
    span s = {before->start, before->end};
    if (before->end == 0 || !joined(o, text, before->end, start, before))
        return false;
    if (before->item >= 0 || is_digit(text[s.start]))
        return true;
    if (o->numbers || IS_WORD(text, s, openers) || (s.end - s.start > 3 && memcmp(text + s.end - 2, "ly", 2) == 0))
        return false;
    size_t i = s.start;
    while (i > 0 && strchr(" \t*\"'`-", text[i - 1]))
        i--;
    return i == 0 || strchr(",:.\n", text[i - 1]);
}

/* "apple, kiwi, zebra.": a member, and the list ends or goes on behind it. "7, as asked" is none. */
static bool trails(const order *o, const char *text, size_t end, const mention *m) {
    return joined(o, text, end, m->start, m) && (!text[m->end] || strchr(",.;!\n", text[m->end]));
}

typedef struct run {
    int items[ORDER_MAX], n;
    size_t start;
    bool extra, untrue; /* see order_claim */
} run;

/* A run of all items ended: is it the query's order, the right one, or another? */
static void close_run(const order *o, const run *r, size_t end, bool offered, order_claim *out) {
    bool right = !r->untrue, restated = true, restated_before = true;
    for (int i = 0; i < o->n; i++) {
        right &= r->items[i] == o->right[i];
        restated &= r->items[i] == i;
        restated_before &= out->said[i] == i;
    }
    if (out->complete) /* the list before this one must have been the query's own, and the right order is not taken back */
        out->several |= (!right && !restated) || offered || (out->right ? !right : !restated_before);
    out->complete = true;
    out->right = right;
    out->longer = r->extra;
    out->untrue = r->untrue;
    out->start = r->start;
    out->end = end;
    memcpy(out->said, r->items, sizeof out->said);
}

void order_read(const order *o, const char *text, order_claim *out) {
    run r = {0};
    mention m, before = {0};
    bool adjacent = false, offered = false; /* a list ends before this mention; only "or" stands between */
    *out = (order_claim){0};
    for (size_t at = 0; mention_next(o, text, at, &m); at = m.end, before = m) {
        bool repeated = false;
        for (int i = 0; i < r.n && m.item >= 0; i++)
            repeated |= r.items[i] == m.item;
        if (m.item < 0 || repeated) /* ends a run */
            r.n = 0;
        if (m.item < 0) {
            offered = adjacent && m.end - m.start == 2 && strncasecmp(text + m.start, "or", 2) == 0;
            out->longer |= adjacent && trails(o, text, out->end, &m);
            adjacent = false;
            continue;
        }
        if (r.n == 0)
            r = (run){.start = m.start, .extra = !adjacent && leads(o, text, &before, m.start)};
        int sign = r.n > 0 && o->numbers ? sign_between(text, before.end, m.start) : 0;
        r.untrue |= sign != 0 && (atoll(o->items[r.items[r.n - 1]]) > atoll(o->items[m.item])) != (sign > 0);
        r.items[r.n++] = m.item;
        if (r.n < o->n)
            continue;
        if (!claim_denied(text, r.start, m.end)) {
            close_run(o, &r, m.end, offered, out);
            adjacent = true;
        }
        offered = false;
        r.n = 0;
    }
    out->longer |= adjacent && r.n > 0;
}
