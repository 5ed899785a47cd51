/* Diversity of texts, see diversity.h. n-grams are numbered by sorting (number of the first n - 1 words, number of the last): exact, and no input is slow.
 * Self-BLEU: Zhu et al. 2018; BLEU: Papineni et al. 2002; LZ78: Ziv, Lempel 1978. */
#include "eval/diversity.h"
#include "base/ctx.h"
#include "base/memory.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static const double NO_MATCH = 0.1;

typedef struct word {
    const char *bytes;
    size_t n;
    uint32_t at; /* its place */
} word;

typedef struct place {
    uint64_t key;
    uint32_t at;
} place;

/* All words of all texts, one after the other. */
typedef struct words {
    uint32_t *text;         /* [n]: whose */
    uint32_t *end;          /* [n texts]: place past its last word */
    uint32_t *gram, *first; /* [n]: number of the n-gram that begins here, of the word */
    place *sorted;          /* [n] */
    double *precision;      /* [n texts]: sum of log precisions so far */
    double *clipped;        /* [n texts]: matches of this order */
    size_t n, n_texts;
} words;

/* ---- words ------------------------------------------------------------------------------------------------------- */

/* One character; *length of a byte that is no UTF-8 is 1 and its code -1. */
static int32_t character(const char *text, size_t n, size_t *length) {
    utf8proc_int32_t code = -1;
    utf8proc_ssize_t used = utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)(n < 4 ? n : 4), &code);
    *length = used > 0 ? (size_t)used : 1;
    return used > 0 ? code : -1;
}

static bool is_space(int32_t code) {
    if (code < 0x80)
        return (code >= 9 && code <= 13) || (code >= 28 && code <= 32);
    utf8proc_category_t c = utf8proc_category(code);
    return code == 0x85 || c == UTF8PROC_CATEGORY_ZS || c == UTF8PROC_CATEGORY_ZL || c == UTF8PROC_CATEGORY_ZP;
}

bool diversity_next_word(const char *text, size_t n, size_t *from, size_t *at) {
    size_t length;
    while (*at < n && is_space(character(text + *at, n - *at, &length)))
        *at += length;
    *from = *at;
    while (*at < n && !is_space(character(text + *at, n - *at, &length)))
        *at += length;
    return *at > *from;
}

size_t diversity_words(const char *text) {
    size_t n = strlen(text), count = 0, from, at = 0;
    while (diversity_next_word(text, n, &from, &at))
        count++;
    return count;
}

size_t diversity_cut(const char *text, size_t most) {
    size_t n = strlen(text), from, at = 0, end = 0;
    for (size_t i = 0; i < most && diversity_next_word(text, n, &from, &at); i++)
        end = at;
    return end;
}

void diversity_lower_case(char *text, size_t n) {
    for (size_t i = 0, length; i < n; i += length) {
        int32_t code = character(text + i, n - i, &length);
        utf8proc_uint8_t lower[4];
        if (code >= 0 && (size_t)utf8proc_encode_char(utf8proc_tolower(code), lower) == length)
            memcpy(text + i, lower, length);
    }
}

static int by_bytes(const void *a, const void *b) {
    const word *x = a, *y = b;
    int order = memcmp(x->bytes, y->bytes, x->n < y->n ? x->n : y->n);
    if (order == 0)
        order = (x->n > y->n) - (x->n < y->n);
    return order ? order : (x->at > y->at) - (x->at < y->at);
}

/* Numbers the words found in `list` [w->n] by their order. */
static void number_words(words *w, word *list) {
    qsort(list, w->n, sizeof *list, by_bytes);
    for (size_t i = 0, number = 0; i < w->n; i++) {
        const word *before = &list[i ? i - 1 : 0];
        number += before->n != list[i].n || memcmp(before->bytes, list[i].bytes, list[i].n) != 0;
        w->gram[list[i].at] = w->first[list[i].at] = (uint32_t)number;
    }
}

static void words_free(words *w) {
    free(w->text);
    free(w->end);
    free(w->gram);
    free(w->first);
    free(w->sorted);
    free(w->precision);
    free(w->clipped);
}

/* `joined` [n_bytes]: the texts, each with one byte behind it; put into lower case here. */
static agon_status find_words(agon_ctx *ctx, char *joined, const char *const *texts, size_t n_texts, words *w) {
    size_t n = 0, from;
    for (size_t i = 0; i < n_texts; i++)
        n += diversity_words(texts[i]);
    *w = (words){.text = memory_new(n + 1, sizeof *w->text),
                 .end = memory_new(n_texts + 1, sizeof *w->end),
                 .gram = memory_new(n + 1, sizeof *w->gram),
                 .first = memory_new(n + 1, sizeof *w->first),
                 .sorted = memory_new(n + 1, sizeof *w->sorted),
                 .precision = memory_new(n_texts + 1, sizeof *w->precision),
                 .clipped = memory_new(n_texts + 1, sizeof *w->clipped),
                 .n_texts = n_texts};
    word *list = memory_new(n + 1, sizeof *list);
    bool made = list && w->text && w->end && w->gram && w->first && w->sorted && w->precision && w->clipped;
    for (size_t i = 0; i < n_texts && made; i++) {
        size_t length = strlen(texts[i]), at = 0;
        diversity_lower_case(joined, length);
        while (w->n < n && diversity_next_word(joined, length, &from, &at)) {
            list[w->n] = (word){joined + from, at - from, (uint32_t)w->n};
            w->text[w->n++] = (uint32_t)i;
        }
        w->end[i] = (uint32_t)w->n;
        joined += length + 1;
    }
    if (made)
        number_words(w, list);
    free(list);
    return made ? AGON_OK : ctx_fail(ctx, AGON_ENOMEM, "no memory for the diversity of %zu words", n);
}

/* ---- n-grams ------------------------------------------------------------------------------------------------------ */

static int by_key(const void *a, const void *b) {
    const place *x = a, *y = b;
    if (x->key != y->key)
        return (x->key > y->key) - (x->key < y->key);
    return (x->at > y->at) - (x->at < y->at);
}

/* Matches of one n-gram, at the places `run` [n] in order of the texts: each text's count, but no more than another text has. */
static void clip(words *w, const place *run, size_t n) {
    size_t most = 0, second = 0;
    for (size_t i = 0, k; i < n; i = k) {
        for (k = i; k < n && w->text[run[k].at] == w->text[run[i].at];)
            k++;
        if (k - i > most) {
            second = most;
            most = k - i;
        } else if (k - i > second) {
            second = k - i;
        }
    }
    for (size_t i = 0, k; i < n; i = k) {
        for (k = i; k < n && w->text[run[k].at] == w->text[run[i].at];)
            k++;
        size_t others = k - i == most ? second : most; /* of two texts with the most, second is the most too */
        w->clipped[w->text[run[i].at]] += (double)(k - i < others ? k - i : others);
    }
}

/* Numbers the n-grams of `order` from those of order - 1, and adds them up. */
static void count_order(words *w, size_t order, diversity *out, diversity_part *parts) {
    size_t n = 0, kinds = 0;
    double bits = 0;
    memset(w->clipped, 0, w->n_texts * sizeof *w->clipped);
    for (size_t i = 0; i < w->n; i++)
        if (i + order <= w->end[w->text[i]])
            w->sorted[n++] = (place){order == 1 ? w->gram[i] : (uint64_t)w->gram[i] << 32 | w->first[i + order - 1], (uint32_t)i};
    qsort(w->sorted, n, sizeof *w->sorted, by_key);
    for (size_t i = 0, k; i < n; i = k, kinds++) {
        for (k = i; k < n && w->sorted[k].key == w->sorted[i].key; k++)
            w->gram[w->sorted[k].at] = (uint32_t)kinds;
        double count = (double)(k - i), surprise = -log2(count / (double)n);
        clip(w, w->sorted + i, k - i);
        bits += count * surprise;
        for (size_t j = i; j < k; j++) {
            diversity_part *p = &parts[w->text[w->sorted[j].at]];
            p->grams[order - 1]++;
            p->kinds[order - 1] += 1 / count;
            p->bits[order - 1] += surprise;
        }
    }
    out->distinct[order - 1] = n ? (double)kinds / (double)n : NAN;
    out->entropy[order - 1] = n ? bits / (double)n : NAN;
    for (size_t i = 0; i < w->n_texts; i++)
        if (parts[i].grams[order - 1] > 0)
            w->precision[i] += log((w->clipped[i] > 0 ? w->clipped[i] : NO_MATCH) / parts[i].grams[order - 1]);
}

static int by_length(const void *a, const void *b) {
    const place *x = a, *y = b;
    return (x->key > y->key) - (x->key < y->key);
}

/* Of lengths [n] in ascending order the one closest to that at i, but not it. */
static double closest(const place *lengths, size_t n, size_t i) {
    if (i == 0)
        return (double)lengths[1].key;
    if (i + 1 == n || lengths[i].key - lengths[i - 1].key <= lengths[i + 1].key - lengths[i].key)
        return (double)lengths[i - 1].key;
    return (double)lengths[i + 1].key;
}

static agon_status self_bleu(agon_ctx *ctx, words *w, diversity *out, diversity_part *parts) {
    size_t n = w->n_texts;
    double sum = 0;
    place *lengths = memory_new(n + 1, sizeof *lengths);
    if (!lengths)
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for the lengths of %zu texts", n);
    for (size_t i = 0; i < n; i++)
        lengths[i] = (place){(uint64_t)parts[i].grams[0], (uint32_t)i};
    qsort(lengths, n, sizeof *lengths, by_length);
    for (size_t i = 0; i < n; i++) {
        size_t at = lengths[i].at, orders = lengths[i].key < DIVERSITY_ORDERS ? (size_t)lengths[i].key : DIVERSITY_ORDERS;
        double length = (double)lengths[i].key, reference = n > 1 ? closest(lengths, n, i) : 0;
        parts[at].bleu = n < 2 ? NAN : length == 0 ? 0 : exp(w->precision[at] / (double)orders) * exp(fmin(0, 1 - reference / length));
    }
    for (size_t i = 0; i < n; i++)
        sum += parts[i].bleu;
    out->self_bleu = n < 2 ? NAN : sum / (double)n;
    free(lengths);
    return AGON_OK;
}

static agon_status type_token(agon_ctx *ctx, const words *w, size_t window, diversity *out) {
    out->type_token = NAN;
    if (window == 0 || w->n < window)
        return AGON_OK;
    uint8_t *seen = memory_new(w->n, 1);
    size_t kinds = 0;
    if (!seen)
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for %zu words", w->n);
    for (size_t i = 0; i < window; i++) {
        kinds += !seen[w->first[i]];
        seen[w->first[i]] = 1;
    }
    free(seen);
    out->type_token = (double)kinds / (double)window;
    return AGON_OK;
}

/* ---- compression --------------------------------------------------------------------------------------------------- */

typedef struct phrase {
    uint32_t child, sibling; /* 0 none */
    unsigned char last;
} phrase;

/* A phrase is the longest earlier one and a byte more; at the end what is left, too. A phrase has 256 children at most. */
static agon_status lz78(agon_ctx *ctx, const char *bytes, size_t n, diversity *out) {
    phrase *phrases = memory_new(n + 1, sizeof *phrases); /* the first is the empty one */
    uint32_t made = 0, at = 0;
    if (!phrases)
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for the phrases of %zu bytes", n);
    for (size_t i = 0; i < n; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        uint32_t next = phrases[at].child;
        while (next && phrases[next].last != byte)
            next = phrases[next].sibling;
        if (!next) {
            phrases[++made] = (phrase){0, phrases[at].child, byte};
            phrases[at].child = made;
        }
        at = next;
    }
    free(phrases);
    out->lz78_phrases = (size_t)made + (at != 0);
    out->lz78_bits_per_byte = n ? (double)out->lz78_phrases * (log2((double)out->lz78_phrases) + 8) / (double)n : NAN;
    return AGON_OK;
}

/* *joined new: the texts, a line end behind each. */
static agon_status join(agon_ctx *ctx, const char *const *texts, size_t n, size_t *n_bytes, char **joined) {
    size_t total = 0;
    for (size_t i = 0; i < n; i++)
        total = size_add(total, size_add(strlen(texts[i]), 1));
    *n_bytes = total ? total - 1 : 0;
    if (total >= UINT32_MAX || n >= UINT32_MAX)
        return ctx_fail(ctx, AGON_EINVAL, "the diversity of %zu texts of %zu bytes in all is not measured; give fewer", n, total);
    char *to = *joined = memory_raw(total + 1, 1);
    if (!to)
        return ctx_fail(ctx, AGON_ENOMEM, "no memory for %zu bytes of text", total);
    for (size_t i = 0; i < n; i++) {
        size_t length = strlen(texts[i]);
        memcpy(to, texts[i], length);
        to[length] = '\n';
        to += length + 1;
    }
    return AGON_OK;
}

agon_status diversity_of(agon_ctx *ctx, const char *const *texts, size_t n, size_t window, diversity *out, diversity_part *parts) {
    words w = {0};
    char *joined = NULL;
    diversity_part *own = parts ? NULL : memory_new(n + 1, sizeof *own), *p = parts ? parts : own;
    *out = (diversity){0};
    agon_status s = p ? join(ctx, texts, n, &out->n_bytes, &joined) : ctx_fail(ctx, AGON_ENOMEM, "no memory for %zu texts", n);
    if (!s)
        s = lz78(ctx, joined, out->n_bytes, out);
    if (!s)
        s = find_words(ctx, joined, texts, n, &w);
    if (!s) {
        memset(p, 0, n * sizeof *p);
        out->n_words = w.n;
        for (size_t order = 1; order <= DIVERSITY_ORDERS; order++)
            count_order(&w, order, out, p);
        s = self_bleu(ctx, &w, out, p);
    }
    if (!s)
        s = type_token(ctx, &w, window, out);
    words_free(&w);
    free(joined);
    free(own);
    return s;
}
