/* Hashes of the journal: chain records and Merkle roots (RFC 6962, section 2.1), see step_internal.h. */
#include "step/step_internal.h"
#include <stdlib.h>
#include <string.h>

void text_hash(const char *text, char hex[HASH_HEX_SIZE]) {
    hash256 h = hash_text(text);
    hash_hex(&h, hex);
}

/* Canonical text of `value`, taken; new or NULL. */
static char *canonical_take(json_t *value) {
    char *text = value ? json_canonical(value) : NULL;
    json_decref(value);
    return text;
}

bool journal_row_hash(const journal_row *row, char hex[HASH_HEX_SIZE]) {
    char records[HASH_HEX_SIZE];
    text_hash(row->records, records);
    char *text = canonical_take(json_pack(
        "{ss ss ss ss ss ss ss ss ss sI sI sI sb}", "run", row->run, "path", row->path, "item", row->item,
        "kind", row->kind, "shape", row->shape, "input", row->input_hash, "result", row->result_hash,
        "records", records, "prev", row->prev, "seq", (json_int_t)row->seq, "attempt",
        (json_int_t)row->attempt, "items", (json_int_t)row->n_items, "reproducible", row->reproducible));
    if (!text)
        return false;
    text_hash(text, hex);
    free(text);
    return true;
}

bool journal_item_hash(const journal_item *item, hash256 *out) {
    char records[HASH_HEX_SIZE];
    text_hash(item->records, records);
    char *text = canonical_take(json_pack(
        "{ss ss ss ss ss ss sI sI sb}", "path", item->path, "item", item->item, "kind", item->kind, "input",
        item->input_hash, "result", item->result_hash, "records", records, "attempt",
        (json_int_t)item->attempt, "position", (json_int_t)item->position, "reproducible",
        item->reproducible));
    if (!text)
        return false;
    *out = merkle_leaf(text, strlen(text));
    free(text);
    return true;
}

bool journal_genesis(const char *name, const char *seed, const json_t *config, char hex[HASH_HEX_SIZE]) {
    char none[HASH_HEX_SIZE];
    memset(none, '0', sizeof none - 1);
    none[sizeof none - 1] = 0;
    char *text = canonical_take(json_pack("{ss ss ss sO ss}", "kind", "run", "name", name, "seed", seed, "config",
                                          config, "prev", none));
    if (!text)
        return false;
    text_hash(text, hex);
    free(text);
    return true;
}

/* H(prefix || a || b), all short or with b empty. */
static hash256 hash_prefixed(uint8_t prefix, const void *a, size_t n_a, const void *b, size_t n_b) {
    hash256 out = {{0}};
    hasher *h = hasher_new();
    if (!h) /* libcrypto without memory for one digest: the zero hash is never a valid link */
        return out;
    hasher_add(h, &prefix, 1);
    hasher_add(h, a, n_a);
    if (n_b)
        hasher_add(h, b, n_b);
    return hasher_end(h);
}

hash256 merkle_leaf(const void *data, size_t n) {
    return hash_prefixed(0, data, n, NULL, 0);
}

/* Level by level, an odd last node moving up unchanged: the same tree as the recursive split at powers of two. */
hash256 merkle_root(hash256 *leaves, size_t n) {
    if (n == 0)
        return hash_bytes("", 0);
    for (; n > 1; n = (n + 1) / 2)
        for (size_t i = 0; i < (n + 1) / 2; i++)
            leaves[i] = 2 * i + 1 < n ? hash_prefixed(1, &leaves[2 * i], 32, &leaves[2 * i + 1], 32)
                                      : leaves[2 * i];
    return leaves[0];
}
