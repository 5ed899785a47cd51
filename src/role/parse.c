/* Verdict parsers, see parse.h. */
#include "role/parse.h"
#include "base/decimal.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The next "[[...]]" from `from` whose inside holds no bracket and is trimmed of blanks; NULL:
 * none. */
static const char *next_mark(const char *from, const char **start, size_t *n) {
    for (const char *p = strstr(from, "[["); p; p = strstr(p + 1, "[[")) {
        const char *inside = p + 2, *end = inside + strcspn(inside, "[]");
        if (end[0] != ']' || end[1] != ']')
            continue;
        const char *after = end + 2;
        while (inside < end && isspace((unsigned char)*inside))
            inside++;
        while (end > inside && isspace((unsigned char)end[-1]))
            end--;
        *start = inside;
        *n = (size_t)(end - inside);
        return after;
    }
    return NULL;
}

/* Plain decimals only: strtod alone would also read "inf", "nan" and hexadecimal. */
static bool read_decimal(const char *text, size_t n, double *value) {
    char copy[64];
    if (n == 0 || n >= sizeof copy || strspn(text, "+-.0123456789eE") < n)
        return false;
    memcpy(copy, text, n);
    copy[n] = 0;
    char *end;
    double v = decimal_read(copy, &end);
    if (end != copy + n || !isfinite(v))
        return false;
    *value = v;
    return true;
}

bool parse_rating(const char *text, double low, double high, double *value) {
    const char *mark;
    size_t n;
    double last = 0;
    bool found = false;
    for (const char *p = text; (p = next_mark(p, &mark, &n));)
        found |= read_decimal(mark, n, &last);
    if (!found || last < low || last > high)
        return false;
    *value = last;
    return true;
}

/* Index in `words` of the last mark that is exactly one of them, or -1. */
static int last_word(const char *text, const char *const *words, int n_words) {
    const char *mark;
    size_t n;
    int found = -1;
    for (const char *p = text; (p = next_mark(p, &mark, &n));)
        for (int w = 0; w < n_words; w++)
            if (strlen(words[w]) == n && !strncmp(mark, words[w], n))
                found = w;
    return found;
}

char parse_verdict(const char *text) {
    static const char *const words[] = {"A", "B", "C"};
    int i = last_word(text, words, 3);
    return i < 0 ? 0 : "ABT"[i];
}

int parse_yes_no(const char *text) {
    static const char *const words[] = {"No", "Yes"};
    return last_word(text, words, 2);
}

bool parse_likelihood(const double *scores, size_t n, double *p) {
    double top = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(scores[i]))
            return false;
        top = fmax(top, scores[i]);
    }
    for (size_t i = 0; i < n; i++)
        sum += exp(scores[i] - top);
    for (size_t i = 0; i < n; i++)
        p[i] = exp(scores[i] - top) / sum;
    return true;
}
