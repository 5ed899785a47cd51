/* Critique spans: see critique_spans.h. */
#include "train/critique_spans.h"
#include "base/ctx.h"
#include "base/memory.h"
#include "base/utf8.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- quotes ---------------------------------------------------------------------------------------- */

/* Bytes with case and white space folded; at[i] is where byte i came from, at[n] the end. */
typedef struct folded {
    char *bytes;
    size_t *at, n;
} folded;

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool fold(const char *text, size_t n, bool keep, folded *out) {
    folded f = {memory_new(n + 1, 1), memory_new(n + 1, sizeof(size_t)), 0};
    for (size_t i = 0; f.bytes && f.at && i < n; i++) {
        char c = text[i];
        if (!keep && is_space(c)) {
            if (f.n == 0 || f.bytes[f.n - 1] == ' ')
                continue;
            c = ' ';
        } else if (!keep && c >= 'A' && c <= 'Z') {
            c = (char)(c - 'A' + 'a');
        }
        f.at[f.n] = i;
        f.bytes[f.n++] = c;
    }
    *out = f;
    if (!f.bytes || !f.at)
        return false;
    f.at[f.n] = n;
    return true;
}

static void folded_free(folded *f) {
    free(f->bytes);
    free(f->at);
}

/* Bytes [i, i + m) of the folded text in the original: up to the end of the last byte's character group. */
static text_span place_of(const folded *f, size_t i, size_t m) {
    return (text_span){f->at[i], f->at[i + m - 1] + 1, 0};
}

static size_t distance(size_t a, size_t b) {
    return a > b ? a - b : b - a;
}

/* All places, up to MOST_QUOTE_PLACES; or the one nearest to `near`, when it is no SIZE_MAX. */
static size_t occurrences(const folded *text, const folded *quote, size_t near, text_span *places) {
    size_t n = 0;
    for (size_t i = 0; quote->n && i + quote->n <= text->n && n < MOST_QUOTE_PLACES; i++) {
        if (memcmp(text->bytes + i, quote->bytes, quote->n) != 0)
            continue;
        text_span place = place_of(text, i, quote->n);
        if (near == SIZE_MAX || n == 0)
            places[n++] = place;
        else if (distance(place.start, near) < distance(places[0].start, near))
            places[0] = place;
    }
    return n;
}

/* Sellers 1980: the window of the text with the fewest edits to the quote; cost[j] and from[j] after j bytes of the quote. */
static bool best_window(const folded *text, const folded *quote, text_span *out) {
    size_t m = quote->n, best = SIZE_MAX;
    size_t *cost = memory_new(m + 1, sizeof *cost), *from = memory_new(m + 1, sizeof *from);
    for (size_t j = 0; cost && from && j <= m; j++)
        cost[j] = j;
    for (size_t i = 1; cost && from && i <= text->n; i++) {
        size_t diagonal = cost[0], diagonal_from = from[0];
        from[0] = i; /* a window may begin anywhere */
        for (size_t j = 1; j <= m; j++) {
            size_t change = diagonal + (text->bytes[i - 1] != quote->bytes[j - 1]), start = diagonal_from;
            diagonal = cost[j], diagonal_from = from[j];
            if (cost[j] + 1 < change)
                change = cost[j] + 1, start = from[j];
            if (cost[j - 1] + 1 < change)
                change = cost[j - 1] + 1, start = from[j - 1];
            cost[j] = change, from[j] = start;
        }
        if (cost[m] < best && from[m] < i) {
            best = cost[m];
            *out = place_of(text, from[m], i - from[m]);
        }
    }
    bool found = cost && from && best != SIZE_MAX && (double)best <= 0.2 * (double)m;
    free(cost);
    free(from);
    return found;
}

/* The window with the whole of the characters it cuts. */
static void whole_characters(const char *text, size_t n, text_span *s) {
    s->start = utf8_whole(text, s->start);
    while (s->end < n && utf8_whole(text, s->end) < s->end)
        s->end++;
}

agon_status quote_align(agon_ctx *ctx, const char *text, size_t n_text, const char *quote, size_t n_quote, size_t near,
                        double value, text_span *places, size_t *n, quote_match *how) {
    *n = 0, *how = QUOTE_NONE;
    for (int exact = 1; exact >= 0 && *how == QUOTE_NONE; exact--) {
        folded t = {0}, q = {0};
        if (!fold(text, n_text, exact, &t) || !fold(quote, n_quote, exact, &q)) {
            folded_free(&t), folded_free(&q);
            return ctx_fail(ctx, AGON_ENOMEM, "out of memory to place a quote of %zu bytes", n_quote);
        }
        while (!exact && q.n && q.bytes[q.n - 1] == ' ')
            q.n--;
        *n = occurrences(&t, &q, near, places);
        if (*n)
            *how = exact ? QUOTE_EXACT : QUOTE_FOLDED;
        else if (!exact && q.n && q.n <= MOST_QUOTE_BYTES && best_window(&t, &q, places)) {
            whole_characters(text, n_text, places);
            *n = 1, *how = QUOTE_FUZZY;
        }
        folded_free(&t);
        folded_free(&q);
    }
    for (size_t i = 0; i < *n; i++)
        places[i].value = value / (double)*n;
    return AGON_OK;
}

/* ---- rewards of tokens ----------------------------------------------------------------------------- */

void span_tokens(const size_t (*offsets)[2], size_t n_tokens, const text_span *s, size_t *first, size_t *n) {
    *first = *n = 0;
    for (size_t t = 0; t < n_tokens; t++) {
        if (!(offsets[t][0] < s->end && s->start < offsets[t][1]))
            continue;
        *first = *n ? *first : t;
        *n = t - *first + 1;
    }
}

void span_rewards(const size_t (*offsets)[2], size_t n_tokens, const text_span *spans, size_t n_spans,
                  span_placement placement, double *out) {
    for (size_t t = 0; t < n_tokens; t++)
        out[t] = 0;
    for (size_t i = 0; i < n_spans; i++) {
        size_t first, n;
        span_tokens(offsets, n_tokens, &spans[i], &first, &n);
        double share = placement == SPAN_SPREAD ? spans[i].value / (double)n : spans[i].value;
        for (size_t t = first; t < first + n; t++)
            out[t] += placement == SPAN_LAST && t + 1 < first + n ? 0 : share;
    }
}

void dense_rewards(double *intrinsic, size_t n, double intrinsic_weight, double bound, double extrinsic_weight,
                   double extrinsic) {
    double size = 0;
    for (size_t t = 0; t < n; t++)
        size += fabs(intrinsic_weight * intrinsic[t]);
    double scale = intrinsic_weight * (bound > 0 && size > bound ? bound / size : 1);
    for (size_t t = 0; t < n; t++)
        intrinsic[t] *= scale;
    if (n > 0)
        intrinsic[n - 1] += extrinsic_weight * extrinsic;
}

/* ---- refinements ----------------------------------------------------------------------------------- */

agon_status edit_ratio(agon_ctx *ctx, const char *a, size_t n_a, const char *b, size_t n_b, double *out) {
    size_t longest = n_a > n_b ? n_a : n_b;
    if (size_mul(n_a, n_b) > (size_t)1 << 30)
        return ctx_fail(ctx, AGON_EINVAL, "texts of %zu and %zu bytes are too long to compare", n_a, n_b);
    size_t *row = memory_new(n_b + 1, sizeof *row);
    if (!row)
        return ctx_fail(ctx, AGON_ENOMEM, "out of memory to compare texts");
    for (size_t j = 0; j <= n_b; j++)
        row[j] = j;
    for (size_t i = 1; i <= n_a; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]), least = row[j] < row[j - 1] ? row[j] : row[j - 1];
            diagonal = row[j];
            row[j] = change < least + 1 ? change : least + 1;
        }
    }
    *out = longest ? (double)row[n_b] / (double)longest : 0;
    free(row);
    return AGON_OK;
}

static const char *skip_spaces(const char *p) {
    while (*p && is_space(*p))
        p++;
    return p;
}

/* Bytes of the next `words` words from p; 0 when there are fewer. */
static size_t run_of_words(const char *p, size_t words) {
    const char *end = p;
    for (size_t w = 0; w < words; w++) {
        end = skip_spaces(end);
        if (!*end)
            return 0;
        while (*end && !is_space(*end))
            end++;
    }
    return (size_t)(end - p);
}

static bool contains(const char *text, const char *part, size_t n) {
    return memmem(text, strlen(text), part, n) != NULL;
}

bool copies_critique(const char *draft, const char *refined, const char *critique, size_t words) {
    for (const char *p = skip_spaces(refined); *p;) {
        size_t n = run_of_words(p, words);
        if (n && contains(critique, p, n) && !contains(draft, p, n))
            return true;
        while (*p && !is_space(*p))
            p++;
        p = skip_spaces(p);
    }
    return false;
}

bool refinement_keep(const refinement_filter *f, double draft_score, double refined_score, double edits, bool copies) {
    /* A hair of tolerance: 0.6 - 0.5 is below 0.1 in binary. */
    return refined_score - draft_score >= f->least_gain - 1e-12 && edits <= f->most_edits && !copies;
}
