/* SHA-256, see hash.h. */
#include "base/hash.h"
#include <assert.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

struct hasher {
    EVP_MD_CTX *md;
};

hasher *hasher_new(void) {
    hasher *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    h->md = EVP_MD_CTX_new();
    if (!h->md || EVP_DigestInit_ex(h->md, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(h->md);
        free(h);
        return NULL;
    }
    return h;
}

void hasher_add(hasher *h, const void *data, size_t n) {
    int ok = EVP_DigestUpdate(h->md, data, n);
    assert(ok == 1);
    (void)ok;
}

void hasher_add_field(hasher *h, const char *text) {
    size_t n = strlen(text);
    uint8_t length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)((uint64_t)n >> (56 - 8 * i));
    hasher_add(h, length, sizeof length);
    hasher_add(h, text, n);
}

hash256 hasher_end(hasher *h) {
    hash256 out;
    unsigned n = 0;
    int ok = EVP_DigestFinal_ex(h->md, out.bytes, &n);
    assert(ok == 1 && n == 32);
    (void)ok;
    EVP_MD_CTX_free(h->md);
    free(h);
    return out;
}

hash256 hash_bytes(const void *data, size_t n) {
    hash256 out;
    unsigned size = 0;
    int ok = EVP_Digest(data, n, out.bytes, &size, EVP_sha256(), NULL);
    assert(ok == 1 && size == 32);
    (void)ok;
    return out;
}

hash256 hash_text(const char *text) {
    return hash_bytes(text, strlen(text));
}

void hash_hex(const hash256 *hash, char out[HASH_HEX_SIZE]) {
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 32; i++) {
        out[2 * i] = digits[hash->bytes[i] >> 4];
        out[2 * i + 1] = digits[hash->bytes[i] & 15];
    }
    out[64] = 0;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

int hash_parse(const char *hex, hash256 *out) {
    if (strlen(hex) != 64)
        return 0;
    for (int i = 0; i < 32; i++) {
        int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return 0;
        out->bytes[i] = (uint8_t)(high * 16 + low);
    }
    return 1;
}
