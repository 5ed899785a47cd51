/* Duplicates among texts (spec: loop 0.2, BUILD).
 *
 * Exact: SHA-256 of the normalised text. Near: 5-token shingles; MinHash with 128 permutations (Broder 1997) in 32 bands of 4
 * (a pair at Jaccard 0.8 shares a band with probability 1 - (1 - 0.8^4)^32 > 0.9999999); a candidate counts only when its exact
 * Jaccard similarity reaches the threshold. The permutations are fixed, so results depend on the texts alone. */
#include <stdlib.h>
#include <string.h>
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/hash.h"
#include "base/memory.h"
#include "task/ngram.h"
#include "task/task.h"
#include "task/words.h"

enum { N_BANDS = 32, BAND_ROWS = 4, N_HASHES = N_BANDS * BAND_ROWS, SHINGLE = 5 };

/* ---- normalisation ------------------------------------------------------------------------------- */

/* `text` as valid UTF-8. */
static char *mend_utf8(const char *text) {
    buffer b = {0};
    int32_t c;
    for (size_t at = 0; (c = text_next(text, &at));) {
        uint8_t bytes[4];
        buffer_append(&b, bytes, (size_t)utf8proc_encode_char(c, bytes));
    }
    return buffer_take(&b);
}

/* NFKC of a text, with these options more. */
static agon_status compose(agon_ctx *ctx, const char *text, int more, uint8_t **out) {
    char *valid = mend_utf8(text);
    utf8proc_ssize_t n = valid ? utf8proc_map((const uint8_t *)valid, 0, out,
                                              (utf8proc_option_t)(UTF8PROC_NULLTERM | UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT | more))
                               : UTF8PROC_ERROR_NOMEM;
    free(valid);
    return n < 0 ? ctx_fail(ctx, AGON_ENOMEM, "a text could not be normalised: %s", utf8proc_errmsg(n)) : AGON_OK;
}

agon_status text_normal_form(agon_ctx *ctx, const char *text, char **out) {
    uint8_t *composed = NULL;
    buffer b = {0};
    agon_status status = compose(ctx, text, UTF8PROC_CASEFOLD, &composed);
    if (status != AGON_OK)
        return status;
    size_t from = 0, at = 0;
    for (int32_t c; (c = text_next((const char *)composed, &at)); from = at)
        if (code_is_word(c))
            buffer_append(&b, composed + from, at - from);
    if (b.size == 0)
        buffer_text(&b, (const char *)composed);
    free(composed);
    *out = buffer_take(&b);
    return *out ? AGON_OK : ctx_no_memory(ctx);
}

agon_status text_normalise(agon_ctx *ctx, const char *text, char **out) {
    token_list t = {0};
    uint8_t *composed = NULL;
    agon_status status = compose(ctx, text, 0, &composed);
    if (status != AGON_OK)
        return status;
    status = tokens_read(ctx, (const char *)composed, &t); /* lower case, single spaces */
    free(composed);
    free(t.starts);
    if (status == AGON_OK)
        *out = t.joined;
    return status;
}

/* ---- the index ----------------------------------------------------------------------------------- */

typedef struct entry {
    hash256 exact;
    uint64_t *shingles; /* rising, distinct */
    size_t n_shingles;
} entry;

/* A text under one of its keys: a band of its signature, or its exact hash. */
typedef struct node {
    uint64_t key;
    uint32_t entry, next; /* next + 1; 0: end of the chain */
} node;

struct dedup {
    double threshold;
    entry *entries;
    size_t n, entry_capacity;
    node *nodes;
    size_t n_nodes, node_capacity;
    uint32_t *heads; /* node + 1 */
    size_t n_heads;
};

enum { N_KEYS = N_BANDS + 1 };

static uint64_t mix(uint64_t x) { /* the finaliser of splitmix64 */
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

static uint64_t permuted_min(const entry *e, uint64_t permutation) {
    uint64_t least = UINT64_MAX, salt = mix((permutation + 1) * 0x9E3779B97F4A7C15u);
    for (size_t i = 0; i < e->n_shingles; i++) {
        uint64_t h = mix(e->shingles[i] ^ salt);
        least = h < least ? h : least;
    }
    return least;
}

static void entry_keys(const entry *e, uint64_t keys[N_KEYS]) {
    for (uint64_t band = 0; band < N_BANDS; band++) {
        uint64_t key = mix(band + 1);
        for (uint64_t row = 0; row < BAND_ROWS; row++)
            key = mix(key ^ permuted_min(e, band * BAND_ROWS + row));
        keys[band] = key;
    }
    memcpy(&keys[N_BANDS], e->exact.bytes, sizeof keys[N_BANDS]);
}

static agon_status entry_make(agon_ctx *ctx, const char *text, entry *out) {
    char *normal = NULL;
    entry e = {0};
    agon_status status = text_normalise(ctx, text, &normal);
    if (status != AGON_OK)
        return status;
    e.exact = hash_text(normal);
    status = ngrams_distinct(ctx, normal, SHINGLE, &e.shingles, &e.n_shingles);
    free(normal);
    if (status == AGON_OK)
        *out = e;
    return status;
}

agon_status dedup_new(agon_ctx *ctx, double threshold, dedup **out) {
    if (!(threshold > 0 && threshold <= 1))
        return ctx_fail(ctx, AGON_EINVAL, "the similarity of duplicates must be above 0 and at most 1, not %g", threshold);
    dedup *d = calloc(1, sizeof *d);
    if (!d)
        return ctx_fail(ctx, AGON_ENOMEM, "memory for finding duplicates is exhausted");
    d->threshold = threshold;
    *out = d;
    return AGON_OK;
}

void dedup_free(dedup *d) {
    if (!d)
        return;
    for (size_t i = 0; i < d->n; i++)
        free(d->entries[i].shingles);
    free(d->entries);
    free(d->nodes);
    free(d->heads);
    free(d);
}

size_t dedup_count(const dedup *d) {
    return d->n;
}

static bool entries_match(const dedup *d, const entry *a, const entry *b) {
    return memcmp(&a->exact, &b->exact, sizeof a->exact) == 0 ||
           sorted_jaccard(a->shingles, a->n_shingles, b->shingles, b->n_shingles) >= d->threshold;
}

agon_status dedup_find(agon_ctx *ctx, const dedup *d, const char *text, size_t *found) {
    entry e = {0};
    uint64_t keys[N_KEYS];
    size_t best = SIZE_MAX;
    agon_status status = entry_make(ctx, text, &e);
    if (status != AGON_OK)
        return status;
    entry_keys(&e, keys);
    for (size_t k = 0; k < N_KEYS && d->n_heads > 0; k++)
        for (uint32_t at = d->heads[keys[k] & (d->n_heads - 1)]; at; at = d->nodes[at - 1].next) {
            const node *n = &d->nodes[at - 1];
            if (n->key == keys[k] && n->entry < best && entries_match(d, &e, &d->entries[n->entry]))
                best = n->entry;
        }
    free(e.shingles);
    *found = best;
    return AGON_OK;
}

static void link_node(dedup *d, size_t i) {
    uint32_t *head = &d->heads[d->nodes[i].key & (d->n_heads - 1)];
    d->nodes[i].next = *head;
    *head = (uint32_t)i + 1;
}

/* Room for one more text, before anything is changed. */
static bool dedup_reserve(dedup *d) {
    if (d->n == d->entry_capacity) {
        size_t capacity = d->entry_capacity ? d->entry_capacity * 2 : 64;
        entry *entries = realloc(d->entries, size_mul(capacity, sizeof *entries));
        if (!entries)
            return false;
        d->entries = entries;
        d->entry_capacity = capacity;
    }
    if (d->n_nodes + N_KEYS > d->node_capacity) {
        size_t capacity = d->node_capacity ? d->node_capacity * 2 : 64 * N_KEYS;
        node *nodes = realloc(d->nodes, size_mul(capacity, sizeof *nodes));
        if (!nodes)
            return false;
        d->nodes = nodes;
        d->node_capacity = capacity;
    }
    if (d->n_nodes + N_KEYS > d->n_heads) {
        size_t n_heads = d->n_heads ? d->n_heads * 2 : 4096;
        uint32_t *heads = calloc(n_heads, sizeof *heads);
        if (!heads)
            return false;
        free(d->heads);
        d->heads = heads;
        d->n_heads = n_heads;
        for (size_t i = 0; i < d->n_nodes; i++)
            link_node(d, i);
    }
    return true;
}

agon_status dedup_add(agon_ctx *ctx, dedup *d, const char *text) {
    entry e = {0};
    uint64_t keys[N_KEYS];
    agon_status status = entry_make(ctx, text, &e);
    if (status != AGON_OK)
        return status;
    if (d->n_nodes > UINT32_MAX - 2 * N_KEYS || !dedup_reserve(d)) {
        free(e.shingles);
        return ctx_fail(ctx, AGON_ENOMEM, "memory for finding duplicates is exhausted after %zu texts", d->n);
    }
    entry_keys(&e, keys);
    for (size_t k = 0; k < N_KEYS; k++) {
        d->nodes[d->n_nodes] = (node){.key = keys[k], .entry = (uint32_t)d->n};
        link_node(d, d->n_nodes++);
    }
    d->entries[d->n++] = e;
    return AGON_OK;
}

agon_status text_jaccard(agon_ctx *ctx, const char *a, const char *b, size_t n, double *out) {
    uint64_t *grams_a = NULL, *grams_b = NULL;
    size_t n_a, n_b;
    if (n == 0)
        return ctx_fail(ctx, AGON_EINVAL, "n-grams need n of at least 1");
    agon_status status = ngrams_distinct(ctx, a, n, &grams_a, &n_a);
    if (status == AGON_OK)
        status = ngrams_distinct(ctx, b, n, &grams_b, &n_b);
    if (status == AGON_OK)
        *out = sorted_jaccard(grams_a, n_a, grams_b, n_b);
    free(grams_a);
    free(grams_b);
    return status;
}
