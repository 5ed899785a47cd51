/* Which number of a response is its answer, and is it meant as one?
 *
 * parse_number: after the last "####", in the last \boxed{}, after the last "answer is", else the last number of the
 * text that is not denied ("67, not 57"). Where a mark is followed by an expression ("the answer is 42 + 25 = 67") the value after its last
 * "=" counts.
 * number_find refuses on top what is no claim: one of several numbers offered, an expression left standing, a
 * negation. */
#include "task/claim.h"
#include "task/number.h"
#include <string.h>
#include <strings.h>

/* ---- which number counts ----------------------------------------------------------------------------- */

/* Where the last `word` (ASCII, any case) ends; 0: nowhere. */
static size_t after_last(const char *text, const char *word) {
    size_t n = strlen(word), found = 0;
    for (const char *p = text; (p = strcasestr(p, word)); p++)
        found = (size_t)(p - text) + n;
    return found;
}

/* The last "answer is" that is neither "answer is not" nor "answer isn't". */
static size_t after_answer_is(const char *text) {
    static const char *const negations[] = {" not", "n't", "n\xE2\x80\x99t"};
    size_t found = 0;
    for (const char *p = text; (p = strcasestr(p, "answer is")); p++) {
        const char *after = p + strlen("answer is");
        bool negated = false;
        for (size_t k = 0; k < sizeof negations / sizeof *negations; k++)
            negated |= strncasecmp(after, negations[k], strlen(negations[k])) == 0;
        if (!negated)
            found = (size_t)(after - text);
    }
    return found;
}

/* The end of the brace group whose inside starts at i, or of the text. */
static size_t group_end(const char *text, size_t i) {
    int depth = 1;
    for (; text[i]; i++) {
        depth += (text[i] == '{') - (text[i] == '}');
        if (depth == 0)
            break;
    }
    return i;
}

static bool counted(const char *text, number_token *out) {
    size_t end = strlen(text), from = after_last(text, "####");
    if (from && number_next(text, from, from + strcspn(text + from, "\n"), out)) {
        *out = number_evaluated(text, *out);
        return true;
    }
    from = after_last(text, "\\boxed{");
    if (from && number_next(text, from, group_end(text, from), out)) {
        *out = number_evaluated(text, *out);
        return true;
    }
    from = after_answer_is(text);
    if (from && number_next(text, from, end, out)) {
        *out = number_evaluated(text, *out);
        return true;
    }
    bool found = false, meant = false;
    number_token next;
    for (size_t i = 0; number_next(text, i, end, &next); i = next.end) {
        bool denied = claim_denied(text, next.start, next.end);
        if (!denied || !meant) /* "It is 67, not 57." */
            *out = next;
        meant |= !denied;
        found = true;
    }
    return found;
}

bool parse_number(const char *text, rational *out, size_t *start, size_t *end) {
    number_token token;
    if (!counted(text, &token) || token.invalid)
        return false;
    *out = token.value;
    if (start)
        *start = token.start;
    if (end)
        *end = token.end;
    return true;
}

/* ---- is it meant? ------------------------------------------------------------------------------------- */

/* One step back over what joins the members of a list; 0: something else stands there. */
static size_t joint_before(const char *text, size_t i) {
    static const char *const words[] = {"or",       "and", "to",       "maybe",
                                        "perhaps", "possibly", "either", "\xE2\x80\x93"};
    if (i > 0 && strchr(" \t\r\n,;?|$*(\"'", text[i - 1]))
        return 1;
    for (size_t k = 0; k < sizeof words / sizeof *words; k++) {
        size_t n = strlen(words[k]);
        if (i >= n && strncasecmp(text + i - n, words[k], n) == 0 && (i == n || !is_letter(text[i - n - 1])))
            return n;
    }
    return 0;
}

/* The line up to `start` holds nothing but bullets. */
static bool alone_before(const char *text, size_t start) {
    while (start > 0 && text[start - 1] != '\n')
        if (!strchr(" \t*-$(", text[--start]))
            return false;
    return true;
}

/* A number before text[start] that is offered beside it. */
static bool listed_before(const char *text, size_t start, rational value, number_token *other) {
    size_t i = start, n;
    bool line = false, strong = false;
    while ((n = joint_before(text, i))) {
        i -= n;
        line |= text[i] == '\n';
        strong |= !strchr(" \t\r\n$*(\"'", text[i]);
    }
    if (i == start || i == 0 || !is_digit(text[i - 1]))
        return false;
    size_t from = i;
    while (from > 0 && (is_digit(text[from - 1]) || strchr(",./", text[from - 1])))
        from--;
    bool found = false;
    number_token token;
    for (size_t at = from; number_next(text, at, i, &token); at = token.end) {
        *other = token;
        found = true;
    }
    if (!found || rational_equal(other->value, value))
        return false;
    return strong || !line || alone_before(text, other->start);
}

static bool word_at(const char *text, size_t i, const char *word) {
    size_t n = strlen(word);
    return strncasecmp(text + i, word, n) == 0 && !is_letter(text[i + n]);
}

/* Behind a member of a list: the list goes on or the sentence ends. "3, and 4 more are red" is no list. */
static bool list_ends(const char *text, size_t i) {
    i += strspn(text + i, " \t*\"')}");
    return !text[i] || strchr(".,;!?&\r\n", text[i]) || is_digit(text[i]) || word_at(text, i, "and") || word_at(text, i, "or");
}

/* A number behind text[end] that is offered beside it: "3 or 4", "3, 4", "3 and 4", "3 4", "3? No, 4". */
static bool listed_after(const char *text, size_t end, rational value, number_token *other) {
    static const char *const blanks = " \t*\"')(";
    size_t i = end + strspn(text + end, blanks), after = i;
    bool doubt = text[i] == '?', comma = text[i] && strchr(",;&", text[i]), joint = comma || (i > end && is_digit(text[i]));
    after += doubt || comma ? 1 + strspn(text + after + 1, blanks) : 0;
    bool either = word_at(text, after, "or");
    if (doubt && (word_at(text, after, "no") || word_at(text, after, "wait"))) {
        after += strcspn(text + after, "\n0123456789");
    } else if (either || word_at(text, after, "and") || word_at(text, after, "to")) {
        joint = true;
        after += text[after] == 'a' || text[after] == 'A' ? 3 : 2;
    } else if (!joint) {
        return false;
    }
    after += strspn(text + after, " \t*$(\"'");
    if (!is_digit(text[after]) || !number_next(text, after, strlen(text), other) || rational_equal(other->value, value))
        return false;
    return either || doubt || list_ends(text, other->end);
}

/* An operand: an operator between it and a neighbouring number, and no "=" that gives the value. */
static bool is_operand(const char *text, size_t start, size_t end) {
    size_t i = start, n;
    char op;
    number_token next;
    while (i > 0 && (text[i - 1] == ' ' || text[i - 1] == '\t'))
        i--;
    for (size_t back = 1; back <= 6 && back <= i; back++) {
        if (number_operator(text, i - back, &op) != back)
            continue;
        size_t before = i - back;
        while (before > 0 && (text[before - 1] == ' ' || text[before - 1] == '\t'))
            before--;
        if (before > 0 && (is_digit(text[before - 1]) || text[before - 1] == ')'))
            return true;
    }
    i = end + strspn(text + end, " \t");
    return (n = number_operator(text, i, &op)) && number_here(text, i + n, &next);
}

bool number_beside(const char *text, const number_token *t, number_token *other) {
    return listed_before(text, t->start, t->value, other) || listed_after(text, t->end, t->value, other);
}

number_answer number_find(const char *response) {
    number_token token, other;
    if (!counted(response, &token) || token.invalid)
        return (number_answer){.finding = NUMBER_NONE};
    number_answer a = {NUMBER_SAID, token.value, token.start, token.end, 0, 0};
    bool fraction = memchr(response + a.start, '/', a.end - a.start) != NULL;
    if (number_beside(response, &token, &other)) {
        a.finding = NUMBER_LISTED;
        a.other_start = other.start;
        a.other_end = other.end;
    } else if ((fraction && a.value.denominator == 1) || is_operand(response, a.start, a.end)) {
        a.finding = NUMBER_UNEVALUATED;
    } else if (claim_denied(response, a.start, a.end)) {
        a.finding = NUMBER_NEGATED;
    }
    return a;
}
