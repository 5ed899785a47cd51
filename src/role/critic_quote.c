/* The quote check of faithfulness (spec: loop 3.6a): what a critique quotes must be in the
 * response.
 *
 * Both texts become lists of code points: compatibility-decomposed, case-folded, curly quotation
 * marks straightened, white space collapsed; each code point keeps the bytes it came from.
 * Decomposed forms compare equal where NFKC forms do, up to the order of several combining marks on
 * one letter, which no quote is expected to change. */
#include "base/ctx.h"
#include "base/memory.h"
#include "role/critic.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

typedef struct folded {
    int32_t *code;
    size_t *start, *end; /* bytes of the original, [n] */
    size_t n;
} folded;

/* The longest decomposition makes 18 code points of 3 bytes, so 6 a byte are room enough. */
enum { MOST_OF_ONE = 32, MOST_A_BYTE = 6 };

static void folded_free(folded *f) {
    free(f->code);
    free(f->start);
    free(f->end);
}

static bool is_space(int32_t code) {
    return (code >= 9 && code <= 13) || code == 0x85 ||
           utf8proc_category(code) == UTF8PROC_CATEGORY_ZS || code == 0x2028 || code == 0x2029;
}

static int32_t straighten(int32_t code) {
    return code == 0x2018 || code == 0x2019 ? '\'' : code == 0x201C || code == 0x201D ? '"' : code;
}

static agon_status fold(agon_ctx *ctx, const char *text, folded *out) {
    size_t n = strlen(text), most = size_add(size_mul(n, MOST_A_BYTE), MOST_OF_ONE);
    folded f = {malloc(size_mul(most, sizeof(int32_t))), malloc(size_mul(most, sizeof(size_t))),
                malloc(size_mul(most, sizeof(size_t))), 0};
    if (!f.code || !f.start || !f.end) {
        folded_free(&f);
        return ctx_fail(ctx, AGON_ENOMEM, "no memory to compare a quote");
    }
    for (size_t i = 0; i < n;) {
        utf8proc_int32_t code, parts[MOST_OF_ONE];
        utf8proc_ssize_t used =
            utf8proc_iterate((const utf8proc_uint8_t *)text + i, (utf8proc_ssize_t)(n - i), &code);
        int last = 0;
        utf8proc_ssize_t n_parts = 0;
        if (used <= 0) { /* a stray byte stands for itself, beyond all code points */
            used = 1;
            code = 0x110000 + (unsigned char)text[i];
            n_parts = -1;
        } else {
            n_parts = utf8proc_decompose_char(
                code, parts, MOST_OF_ONE, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD,
                &last);
        }
        if (n_parts < 0 || n_parts > MOST_OF_ONE || f.n + (size_t)n_parts > most - (n - i)) {
            parts[0] = code;
            n_parts = 1;
        }
        for (utf8proc_ssize_t p = 0; p < n_parts; p++) {
            int32_t c = straighten(parts[p]);
            bool space = c < 0x110000 && is_space(c);
            if (space && f.n && f.code[f.n - 1] == ' ') {
                f.end[f.n - 1] = i + (size_t)used;
                continue;
            }
            f.code[f.n] = space ? ' ' : c;
            f.start[f.n] = i;
            f.end[f.n++] = i + (size_t)used;
        }
        i += (size_t)used;
    }
    *out = f;
    return AGON_OK;
}

/* Letters, digits and what joins them, of scripts that put spaces between words: others' letters have no case (Lo). */
static bool is_word(int32_t code) {
    const utf8proc_category_t c = code < 0x110000 ? utf8proc_category(code) : UTF8PROC_CATEGORY_CN;
    return (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_PC) && c != UTF8PROC_CATEGORY_LO;
}

/* Whether text [from, to) of text [n] begins and ends where its words do. */
static bool has_whole_words(const int32_t *text, size_t n, size_t from, size_t to) {
    return !(from > 0 && is_word(text[from - 1]) && is_word(text[from])) && !(to < n && is_word(text[to - 1]) && is_word(text[to]));
}

/* The first place of needle [m > 0] in haystack, counted in code points, or SIZE_MAX. `border` [m]: of each beginning of needle, the longest
 * shorter one that ends it (Knuth, Morris & Pratt 1977): texts of one letter take no longer than others. */
static size_t find(const int32_t *haystack, size_t n, const int32_t *needle, size_t m, bool whole_words, size_t *border) {
    border[0] = 0;
    for (size_t i = 1, k = 0; i < m; border[i++] = k) {
        while (k > 0 && needle[i] != needle[k])
            k = border[k - 1];
        k += needle[i] == needle[k];
    }
    for (size_t i = 0, k = 0; i < n; i++) {
        while (k > 0 && haystack[i] != needle[k])
            k = border[k - 1];
        k += haystack[i] == needle[k];
        if (k == m && (!whole_words || has_whole_words(haystack, n, i + 1 - m, i + 1)))
            return i + 1 - m;
        if (k == m)
            k = border[k - 1];
    }
    return SIZE_MAX;
}

/* A quote of a text that is folded already: a critique may have thousands. */
static agon_status find_folded(agon_ctx *ctx, const folded *r, const char *quote, bool whole_words, bool *found, size_t *start, size_t *end) {
    folded q = {0};
    agon_status s = fold(ctx, quote, &q);
    if (s)
        return s;
    size_t first = 0, last = q.n;
    while (first < last && q.code[first] == ' ')
        first++;
    while (last > first && q.code[last - 1] == ' ')
        last--;
    size_t m = last - first, at = SIZE_MAX, *border = m && m <= r->n ? malloc(m * sizeof *border) : NULL;
    if (border)
        at = find(r->code, r->n, q.code + first, m, whole_words, border);
    else if (m && m <= r->n)
        s = ctx_fail(ctx, AGON_ENOMEM, "no memory to compare a quote");
    *found = at != SIZE_MAX;
    if (*found) {
        *start = r->start[at];
        *end = r->end[at + m - 1];
    }
    free(border);
    folded_free(&q);
    return s;
}

/* Appends the quote critique[start, end) and where it is in the response. */
static agon_status add_quote(agon_ctx *ctx, const folded *response, const char *critique, size_t start, size_t end, bool whole_words,
                             critic_quote **list, size_t *n) {
    critic_quote *more = realloc(*list, (*n + 1) * sizeof *more);
    char *text = strndup(critique + start, end - start);
    agon_status s = more && text ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "no memory to check quotes");
    if (more)
        *list = more;
    if (!s) {
        critic_quote *quote = &more[(*n)++];
        *quote = (critic_quote){.text_start = start, .text_end = end};
        s = find_folded(ctx, response, text, whole_words, &quote->found, &quote->start, &quote->end);
    }
    free(text);
    return s;
}

agon_status critic_check_quotes(agon_ctx *ctx, const char *critique, const char *response, const char *open, const char *close,
                                bool whole_words, critic_quote **out, size_t *n) {
    critic_quote *quotes = NULL;
    size_t count = 0;
    folded r = {0};
    agon_status s = AGON_OK;
    for (const char *p = critique, *end; !s && (p = strstr(p, open)) && (end = strstr(p += strlen(open), close)); p = end + strlen(close)) {
        if (!r.code)
            s = fold(ctx, response, &r);
        if (!s)
            s = add_quote(ctx, &r, critique, (size_t)(p - critique), (size_t)(end - critique), whole_words, &quotes, &count);
    }
    folded_free(&r);
    if (s) {
        free(quotes);
        return s;
    }
    *out = quotes;
    *n = count;
    return AGON_OK;
}

agon_status critic_find_quote(agon_ctx *ctx, const char *response, const char *quote, bool *found, size_t *start, size_t *end) {
    folded r = {0};
    agon_status s = fold(ctx, response, &r);
    if (!s)
        s = find_folded(ctx, &r, quote, false, found, start, end);
    folded_free(&r);
    return s;
}
