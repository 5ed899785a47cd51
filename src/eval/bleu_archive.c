/* BLEU against all earlier texts, see bleu_archive.h. */
#include "eval/bleu_archive.h"
#include "base/ctx.h"
#include "base/hash.h"
#include "base/memory.h"
#include "eval/diversity.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double NO_MATCH = 0.1;

/* From an n-gram to the most that any text had of it: open addressing, at most half full. */
typedef struct gram {
    uint64_t key;
    uint32_t most; /* 0: the slot is free */
} gram;
typedef struct table {
    gram *slots;
    size_t size, n; /* size a power of 2, or 0 */
} table;

struct bleu_archive {
    table orders[BLEU_ORDERS];
    bool *lengths; /* [n_lengths] whether a text of so many words is there */
    size_t n_lengths;
};

agon_status bleu_archive_new(agon_ctx *ctx, bleu_archive **out) {
    *out = memory_new(1, sizeof **out);
    return *out ? AGON_OK : ctx_no_memory(ctx);
}

void bleu_archive_free(bleu_archive *a) {
    if (!a)
        return;
    for (size_t i = 0; i < BLEU_ORDERS; i++)
        free(a->orders[i].slots);
    free(a->lengths);
    free(a);
}

/* ---- the table ------------------------------------------------------------------------------------------------- */

/* The n-gram's slot, or the free one where it belongs. */
static gram *find(const table *t, uint64_t key) {
    size_t i = (size_t)(key * 0x9E3779B97F4A7C15u >> 32) & (t->size - 1);
    while (t->slots[i].most && t->slots[i].key != key)
        i = (i + 1) & (t->size - 1);
    return &t->slots[i];
}

static bool grow(table *t) {
    table larger = {.size = t->size ? 2 * t->size : 256, .n = t->n};
    larger.slots = memory_new(larger.size, sizeof *larger.slots);
    if (!larger.slots)
        return false;
    for (size_t i = 0; i < t->size; i++)
        if (t->slots[i].most)
            *find(&larger, t->slots[i].key) = t->slots[i];
    free(t->slots);
    *t = larger;
    return true;
}

static bool put(table *t, uint64_t key, size_t count) {
    if (2 * (t->n + 1) > t->size && !grow(t))
        return false;
    gram *g = find(t, key);
    t->n += g->most == 0;
    g->key = key;
    if (g->most < count)
        g->most = (uint32_t)count;
    return true;
}

static size_t most_of(const table *t, uint64_t key) {
    return t->size ? find(t, key)->most : 0;
}

/* ---- a text ------------------------------------------------------------------------------------------------------ */

typedef struct text_grams {
    uint64_t *word, *key, *sorted; /* [n]: of each word; of the n-gram that begins there, of the order at hand; those in order */
    size_t n;
} text_grams;

static void grams_free(text_grams *g) {
    free(g->word), free(g->key), free(g->sorted);
}

static agon_status read_words(agon_ctx *ctx, const char *text, text_grams *g) {
    size_t length = strlen(text), most = diversity_words(text), from, at = 0;
    char *lower = strdup(text);
    *g = (text_grams){memory_new(most + 1, sizeof *g->word), memory_new(most + 1, sizeof *g->key), memory_new(most + 1, sizeof *g->sorted), 0};
    bool made = lower && g->word && g->key && g->sorted;
    if (made)
        diversity_lower_case(lower, length);
    while (made && g->n < most && diversity_next_word(lower, length, &from, &at)) {
        const hash256 id = hash_bytes(lower + from, at - from);
        memcpy(&g->word[g->n++], id.bytes, sizeof *g->word);
    }
    free(lower);
    if (!made)
        grams_free(g);
    return made ? AGON_OK : ctx_no_memory(ctx);
}

static int by_key(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Keys of order 1, then each from those of the order before. Returns how many n-grams there are, sorted. */
static size_t next_order(text_grams *g, size_t order) {
    size_t n = g->n < order ? 0 : g->n - order + 1;
    for (size_t i = 0; i < n; i++)
        g->sorted[i] = g->key[i] = order == 1 ? g->word[i] : (g->key[i] ^ g->key[i] >> 29) * 0xBF58476D1CE4E5B9u + g->word[i + order - 1];
    qsort(g->sorted, n, sizeof *g->sorted, by_key);
    return n;
}

/* How often the n-gram at i of the sorted [n] stands there. */
static size_t run_at(const text_grams *g, size_t i, size_t n) {
    size_t k = i;
    while (k < n && g->sorted[k] == g->sorted[i])
        k++;
    return k - i;
}

/* The length closest to n of those that are there; of two the shorter. */
static double closest(const bleu_archive *a, size_t n) {
    for (size_t d = 0; d <= n || n + d < a->n_lengths; d++) {
        if (d <= n && n - d < a->n_lengths && a->lengths[n - d])
            return (double)(n - d);
        if (n + d < a->n_lengths && a->lengths[n + d])
            return (double)(n + d);
    }
    return 0;
}

agon_status bleu_archive_ask(agon_ctx *ctx, const bleu_archive *a, const char *text, double bleu[BLEU_ORDERS]) {
    text_grams g;
    double sum = 0;
    agon_status s = read_words(ctx, text, &g);
    if (s)
        return s;
    memset(bleu, 0, BLEU_ORDERS * sizeof *bleu);
    const double brief = g.n && a->n_lengths ? exp(fmin(0, 1 - closest(a, g.n) / (double)g.n)) : 0;
    for (size_t order = 1; order <= BLEU_ORDERS && brief > 0; order++) {
        size_t n = next_order(&g, order), matches = 0;
        for (size_t i = 0, count; i < n; i += count) {
            count = run_at(&g, i, n);
            const size_t most = most_of(&a->orders[order - 1], g.sorted[i]);
            matches += count < most ? count : most;
        }
        if (n > 0)
            sum += log((matches > 0 ? (double)matches : NO_MATCH) / (double)n);
        bleu[order - 1] = brief * exp(sum / (double)(order < g.n ? order : g.n));
    }
    grams_free(&g);
    return AGON_OK;
}

static bool note_length(bleu_archive *a, size_t n) {
    if (n >= a->n_lengths) {
        bool *larger = realloc(a->lengths, (n + 1) * sizeof *larger);
        if (!larger)
            return false;
        memset(larger + a->n_lengths, 0, (n + 1 - a->n_lengths) * sizeof *larger);
        a->lengths = larger;
        a->n_lengths = n + 1;
    }
    return a->lengths[n] = true;
}

agon_status bleu_archive_add(agon_ctx *ctx, bleu_archive *a, const char *text) {
    text_grams g;
    agon_status s = read_words(ctx, text, &g);
    if (s)
        return s;
    bool made = g.n == 0 || note_length(a, g.n);
    for (size_t order = 1; order <= BLEU_ORDERS && made; order++) {
        size_t n = next_order(&g, order);
        for (size_t i = 0, count; i < n && made; i += count) {
            count = run_at(&g, i, n);
            made = put(&a->orders[order - 1], g.sorted[i], count);
        }
    }
    grams_free(&g);
    return made ? AGON_OK : ctx_no_memory(ctx);
}
