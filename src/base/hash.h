/* SHA-256 (libcrypto) and hexadecimal. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct hash256 {
    uint8_t bytes[32];
} hash256;

typedef struct hasher hasher;

hash256 hash_bytes(const void *data, size_t n);
hash256 hash_text(const char *text);

/* Incremental. hasher_end frees the hasher. NULL only when memory is exhausted. */
hasher *hasher_new(void);
void hasher_add(hasher *h, const void *data, size_t n);
/* Adds the length as 8 big-endian bytes, then the text: fields cannot run into each other. */
void hasher_add_field(hasher *h, const char *text);
hash256 hasher_end(hasher *h);

enum { HASH_HEX_SIZE = 65 };
void hash_hex(const hash256 *hash, char out[HASH_HEX_SIZE]);
/* false when `hex` is not 64 hexadecimal digits. */
int hash_parse(const char *hex, hash256 *out);

#endif
