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

/* The first place of needle in haystack, counted in code points, or SIZE_MAX. */
static size_t find(const int32_t *haystack, size_t n, const int32_t *needle, size_t m) {
    const char *from = (const char *)haystack, *end = (const char *)(haystack + n);
    while (from < end) {
        const char *hit = memmem(from, (size_t)(end - from), needle, m * sizeof *needle);
        if (!hit)
            break;
        size_t at = (size_t)(hit - (const char *)haystack);
        if (at % sizeof *haystack == 0)
            return at / sizeof *haystack;
        from = hit + 1;
    }
    return SIZE_MAX;
}

agon_status critic_find_quote(agon_ctx *ctx, const char *response, const char *quote, bool *found,
                              size_t *start, size_t *end) {
    folded r = {0}, q = {0};
    agon_status s = fold(ctx, response, &r);
    if (!s)
        s = fold(ctx, quote, &q);
    if (s)
        goto done;
    size_t first = 0, last = q.n;
    while (first < last && q.code[first] == ' ')
        first++;
    while (last > first && q.code[last - 1] == ' ')
        last--;
    size_t m = last - first, at = m ? find(r.code, r.n, q.code + first, m) : SIZE_MAX;
    *found = at != SIZE_MAX;
    if (*found) {
        *start = r.start[at];
        *end = r.end[at + m - 1];
    }
done:
    folded_free(&r);
    folded_free(&q);
    return s;
}

agon_status critic_check_quotes(agon_ctx *ctx, const char *critique, const char *response,
                                critic_quote **out, size_t *n) {
    critic_quote *quotes = NULL;
    size_t count = 0;
    for (const char *p = critique; (p = strstr(p, "<q>"));) {
        const char *inside = p + 3, *close = strstr(inside, "</q>");
        if (!close)
            break;
        critic_quote *more = realloc(quotes, (count + 1) * sizeof *more);
        char *text = strndup(inside, (size_t)(close - inside));
        if (more)
            quotes = more;
        if (!more || !text) {
            free(text);
            free(quotes);
            return ctx_fail(ctx, AGON_ENOMEM, "no memory to check quotes");
        }
        critic_quote *quote = &quotes[count++];
        *quote = (critic_quote){.text_start = (size_t)(inside - critique),
                                .text_end = (size_t)(close - critique)};
        agon_status s =
            critic_find_quote(ctx, response, text, &quote->found, &quote->start, &quote->end);
        free(text);
        if (s) {
            free(quotes);
            return s;
        }
        p = close + 4;
    }
    *out = quotes;
    *n = count;
    return AGON_OK;
}
