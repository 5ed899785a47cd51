/* Byte-pair merging of one word (Sennrich et al. 2016, over bytes as in GPT-2 or characters as in SentencePiece), and its
 * tables.
 *
 * The word is a linked list of symbols; every neighbouring pair that has a merge is in a heap
 * ordered by (rank, position). Taking the best pair creates at most two new ones, so a word of n symbols
 * takes O(n log n) however long it is. A pair whose symbols have changed since is recognised when it is
 * taken, because it no longer merges to the recorded token. */
#include "model/tokenizer_private.h"
#include <stdlib.h>
#include <string.h>

/* ---- vocabulary and merges ----------------------------------------------------------------------- */

static uint64_t mix(uint64_t x) {
    x ^= x >> 31;
    x *= 0x9e3779b97f4a7c15u;
    x ^= x >> 29;
    x *= 0xbf58476d1ce4e5b9u;
    return x ^ x >> 32;
}

static uint64_t hash_key(const char *text, size_t n) {
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (uint8_t)text[i]) * 0x100000001b3u;
    return mix(h);
}

/* At most half full, so that probing is short and always ends. */
static size_t table_size(size_t n_entries) {
    size_t n = 16;
    while (n < 2 * n_entries)
        n *= 2;
    return n;
}

bool vocabulary_init(vocabulary *v, arena *a, size_t n_entries) {
    v->n_slots = table_size(n_entries);
    v->slots = arena_take(a, v->n_slots, sizeof *v->slots);
    for (size_t i = 0; v->slots && i < v->n_slots; i++)
        v->slots[i].id = -1;
    return v->slots != NULL;
}

void vocabulary_add(vocabulary *v, const char *text, size_t n, int32_t id) {
    size_t i = hash_key(text, n) & (v->n_slots - 1);
    for (; v->slots[i].id >= 0; i = (i + 1) & (v->n_slots - 1))
        if (v->slots[i].n == n && memcmp(v->slots[i].text, text, n) == 0)
            return;
    v->slots[i] = (struct vocabulary_slot){.text = text, .n = (uint32_t)n, .id = id};
}

int32_t vocabulary_find(const vocabulary *v, const char *text, size_t n) {
    size_t i = hash_key(text, n) & (v->n_slots - 1);
    for (; v->slots[i].id >= 0; i = (i + 1) & (v->n_slots - 1))
        if (v->slots[i].n == n && memcmp(v->slots[i].text, text, n) == 0)
            return v->slots[i].id;
    return -1;
}

static size_t pair_slot(const merge_table *m, int32_t left, int32_t right) {
    size_t i = mix((uint64_t)(uint32_t)left << 32 | (uint32_t)right) & (m->n_slots - 1);
    while (m->slots[i].left >= 0 && (m->slots[i].left != left || m->slots[i].right != right))
        i = (i + 1) & (m->n_slots - 1);
    return i;
}

bool merge_table_init(merge_table *m, arena *a, size_t n_entries) {
    m->n_slots = table_size(n_entries);
    m->slots = arena_take(a, m->n_slots, sizeof *m->slots);
    for (size_t i = 0; m->slots && i < m->n_slots; i++)
        m->slots[i].left = -1;
    return m->slots != NULL;
}

void merge_table_add(merge_table *m, int32_t left, int32_t right, int32_t rank, int32_t merged) {
    m->slots[pair_slot(m, left, right)] = (struct merge_slot){left, right, rank, merged};
}

static const struct merge_slot *merge_find(const merge_table *m, int32_t left, int32_t right) {
    const struct merge_slot *s = &m->slots[pair_slot(m, left, right)];
    return s->left >= 0 ? s : NULL;
}

int32_t merge_table_find(const merge_table *m, int32_t left, int32_t right) {
    const struct merge_slot *s = merge_find(m, left, right);
    return s ? s->merged : -1;
}

/* ---- the spelling of bytes ------------------------------------------------------------------------ */

/* Bytes that print keep their code point; the other 68 are numbered from 256 in ascending order. */
static bool byte_prints(int byte) {
    return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

int32_t byte_spelling(uint8_t byte) {
    if (byte_prints(byte))
        return byte;
    if (byte <= ' ')
        return 256 + byte;
    return byte == 0xad ? 323 : 256 + 33 + (byte - 0x7f);
}

int byte_of_spelling(int32_t c) {
    if (c >= 0 && c < 256)
        return byte_prints(c) ? c : -1;
    if (c < 256 || c > 323)
        return -1;
    if (c <= 256 + ' ')
        return c - 256;
    return c == 323 ? 0xad : c - 256 - 33 + 0x7f;
}

bool byte_spell(buffer *out, const char *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        int32_t c = byte_spelling((uint8_t)bytes[i]);
        bool ok = c < 128 ? buffer_char(out, (char)c)
                          : buffer_char(out, (char)(0xc0 | c >> 6)) &&
                                buffer_char(out, (char)(0x80 | (c & 0x3f)));
        if (!ok)
            return false;
    }
    return true;
}

/* ---- one word ------------------------------------------------------------------------------------- */

struct bpe_symbol {
    int32_t id; /* -1: merged into its left neighbour */
    int32_t previous, next;
    uint32_t end; /* byte offset of its end in the word */
};

struct bpe_candidate {
    int32_t rank, position, merged;
};

void bpe_scratch_free(bpe_scratch *s) {
    free(s->symbols);
    free(s->heap);
    *s = (bpe_scratch){0};
}

void token_sink_add(token_sink *sink, int32_t id, size_t end) {
    if (!token_list_push(sink->ids, id) ||
        (sink->ends && !buffer_append(sink->ends, &end, sizeof end)))
        sink->failed = true;
}

static bool scratch_grow(bpe_scratch *s, size_t n) {
    if (n <= s->symbol_capacity)
        return true;
    size_t capacity = n < 64 ? 64 : n;
    struct bpe_symbol *symbols = realloc(s->symbols, size_mul(capacity, sizeof *symbols));
    if (!symbols)
        return false;
    s->symbols = symbols;
    s->symbol_capacity = capacity;
    /* n - 1 pairs at the start, and each of at most n - 1 merges takes one and adds two. */
    size_t n_heap = size_mul(capacity, 2);
    struct bpe_candidate *heap = realloc(s->heap, size_mul(n_heap, sizeof *heap));
    if (!heap) {
        s->symbol_capacity = 0;
        return false;
    }
    s->heap = heap;
    return true;
}

static bool before(const struct bpe_candidate *a, const struct bpe_candidate *b) {
    return a->rank != b->rank ? a->rank < b->rank : a->position < b->position;
}

static void heap_push(bpe_scratch *s, struct bpe_candidate c) {
    size_t i = s->n_heap++;
    for (; i > 0 && before(&c, &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
        s->heap[i] = s->heap[(i - 1) / 2];
    s->heap[i] = c;
}

static struct bpe_candidate heap_pop(bpe_scratch *s) {
    struct bpe_candidate top = s->heap[0], last = s->heap[--s->n_heap];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= s->n_heap)
            break;
        if (child + 1 < s->n_heap && before(&s->heap[child + 1], &s->heap[child]))
            child++;
        if (!before(&s->heap[child], &last))
            break;
        s->heap[i] = s->heap[child];
        i = child;
    }
    s->heap[i] = last;
    return top;
}

static void consider(const merge_table *merges, bpe_scratch *s, int32_t left) {
    if (left < 0 || s->symbols[left].next < 0)
        return;
    const struct merge_slot *m =
        merge_find(merges, s->symbols[left].id, s->symbols[s->symbols[left].next].id);
    if (m)
        heap_push(s, (struct bpe_candidate){m->rank, left, m->merged});
}

static void merge_symbols(const merge_table *merges, bpe_scratch *s) {
    while (s->n_heap > 0) {
        struct bpe_candidate c = heap_pop(s);
        struct bpe_symbol *left = &s->symbols[c.position];
        if (left->id < 0 || left->next < 0)
            continue;
        struct bpe_symbol *right = &s->symbols[left->next];
        const struct merge_slot *m = merge_find(merges, left->id, right->id);
        if (!m || m->merged != c.merged)
            continue;
        left->id = c.merged;
        left->end = right->end;
        right->id = -1;
        left->next = right->next;
        if (left->next >= 0)
            s->symbols[left->next].previous = c.position;
        consider(merges, s, left->previous);
        consider(merges, s, c.position);
    }
}

bool bpe_begin(bpe_scratch *s, size_t n) {
    s->n_symbols = s->n_heap = 0;
    return n < INT32_MAX / 2 && scratch_grow(s, n);
}

void bpe_add(bpe_scratch *s, int32_t id, size_t end) {
    int32_t i = (int32_t)s->n_symbols++;
    s->symbols[i] = (struct bpe_symbol){id, i - 1, i + 1, (uint32_t)end};
}

void bpe_finish(const merge_table *merges, bpe_scratch *s, size_t start, token_sink *sink) {
    int32_t n = (int32_t)s->n_symbols;
    if (n == 0)
        return;
    s->symbols[n - 1].next = -1;
    for (int32_t i = 0; i + 1 < n; i++)
        consider(merges, s, i);
    merge_symbols(merges, s);
    for (int32_t i = 0; i >= 0; i = s->symbols[i].next)
        token_sink_add(sink, s->symbols[i].id, start + s->symbols[i].end);
}
