/* See ngram.h. */
#include "task/ngram.h"
#include <stdlib.h>
#include <string.h>
#include "base/buffer.h"
#include "base/ctx.h"
#include "base/hash.h"
#include "base/memory.h"
#include "task/words.h"

static agon_status no_memory(agon_ctx *ctx) {
    return ctx_fail(ctx, AGON_ENOMEM, "memory for comparing texts is exhausted");
}

agon_status tokens_read(agon_ctx *ctx, const char *text, token_list *out) {
    token_list t = {0};
    buffer b = {0};
    size_t capacity = strlen(text) / 2 + 3;
    t.starts = malloc(size_mul(capacity, sizeof *t.starts));
    bool inside = false;
    int32_t c;
    for (size_t at = 0; t.starts && (c = text_next(text, &at));) {
        uint8_t bytes[4];
        if (code_is_space(c)) {
            inside = false;
            continue;
        }
        if (!inside) {
            if (t.n > 0)
                buffer_char(&b, ' ');
            t.starts[t.n++] = b.size;
            inside = true;
        }
        buffer_append(&b, bytes, (size_t)utf8proc_encode_char(utf8proc_tolower(c), bytes));
    }
    size_t size = b.size;
    t.joined = buffer_take(&b);
    if (!t.starts || !t.joined) {
        tokens_free(&t);
        return no_memory(ctx);
    }
    t.starts[t.n] = size + 1;
    *out = t;
    return AGON_OK;
}

void tokens_free(token_list *t) {
    free(t->joined);
    free(t->starts);
    *t = (token_list){0};
}

uint64_t tokens_hash(const token_list *t, size_t first, size_t n) {
    hash256 h = hash_bytes(t->joined + t->starts[first], t->starts[first + n] - 1 - t->starts[first]);
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | h.bytes[i];
    return value;
}

/* ---- sets ---------------------------------------------------------------------------------------- */

/* The slot of `value`, or the empty one where it belongs. The values are hashes already. */
static size_t set_slot(const hash_set *s, uint64_t value) {
    size_t i = value & (s->capacity - 1);
    while (s->slots[i] && s->slots[i] != value)
        i = (i + 1) & (s->capacity - 1);
    return i;
}

static agon_status set_grow(agon_ctx *ctx, hash_set *s) {
    hash_set bigger = {.n = s->n, .capacity = s->capacity ? size_mul(s->capacity, 2) : 64};
    bigger.slots = memory_new(bigger.capacity, sizeof *bigger.slots);
    if (!bigger.slots)
        return no_memory(ctx);
    for (size_t i = 0; i < s->capacity; i++)
        if (s->slots[i])
            bigger.slots[set_slot(&bigger, s->slots[i])] = s->slots[i];
    free(s->slots);
    *s = bigger;
    return AGON_OK;
}

agon_status set_add(agon_ctx *ctx, hash_set *s, uint64_t value) {
    value = value ? value : 1;
    if (s->n * 2 >= s->capacity) {
        agon_status status = set_grow(ctx, s);
        if (status != AGON_OK)
            return status;
    }
    size_t i = set_slot(s, value);
    s->n += !s->slots[i];
    s->slots[i] = value;
    return AGON_OK;
}

bool set_has(const hash_set *s, uint64_t value) {
    value = value ? value : 1;
    return s->capacity > 0 && s->slots[set_slot(s, value)] == value;
}

void set_free(hash_set *s) {
    free(s->slots);
    *s = (hash_set){0};
}

/* ---- n-grams ------------------------------------------------------------------------------------- */

int hashes_rising(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

agon_status ngrams_distinct(agon_ctx *ctx, const char *text, size_t n, uint64_t **out, size_t *count) {
    token_list t = {0};
    agon_status status = tokens_read(ctx, text, &t);
    if (status != AGON_OK)
        return status;
    size_t width = t.n < n ? t.n : n, total = t.n == 0 ? 0 : t.n - width + 1, kept = 0;
    uint64_t *grams = malloc(size_mul(total + 1, sizeof *grams));
    for (size_t i = 0; grams && i < total; i++)
        grams[i] = tokens_hash(&t, i, width);
    tokens_free(&t);
    if (!grams)
        return no_memory(ctx);
    qsort(grams, total, sizeof *grams, hashes_rising);
    for (size_t i = 0; i < total; i++)
        if (kept == 0 || grams[kept - 1] != grams[i])
            grams[kept++] = grams[i];
    *out = grams;
    *count = kept;
    return AGON_OK;
}

double sorted_jaccard(const uint64_t *a, size_t n_a, const uint64_t *b, size_t n_b) {
    size_t both = 0;
    for (size_t i = 0, k = 0; i < n_a && k < n_b;) {
        both += a[i] == b[k];
        uint64_t x = a[i], y = b[k];
        i += x <= y;
        k += y <= x;
    }
    size_t either = n_a + n_b - both;
    return either == 0 ? 1 : (double)both / (double)either;
}
