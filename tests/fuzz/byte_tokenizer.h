/* The smallest tokenizer that encodes any text: the 256 bytes, each its own token, and special ones behind them. */
#ifndef TESTS_FUZZ_BYTE_TOKENIZER_H
#define TESTS_FUZZ_BYTE_TOKENIZER_H

#include <stdbool.h>
#include <stdio.h>

enum { FUZZ_BYTE_JSON = 16384 };

/* Its tokenizer.json; the length. */
static inline size_t fuzz_byte_json(const char *const *special, size_t n_special, char json[FUZZ_BYTE_JSON]) {
    size_t at = (size_t)snprintf(json, FUZZ_BYTE_JSON, "{\"added_tokens\":[");
    for (size_t i = 0; i < n_special; i++)
        at += (size_t)snprintf(json + at, FUZZ_BYTE_JSON - at, "%s{\"id\":%zu,\"content\":\"%s\",\"special\":true}", i ? "," : "", 256 + i, special[i]);
    at += (size_t)snprintf(json + at, FUZZ_BYTE_JSON - at,
                           "],\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true},"
                           "\"model\":{\"type\":\"BPE\",\"merges\":[],\"vocab\":{");
    /* The byte alphabet of GPT-2: printable bytes stand for themselves, the others for U+0100 on. */
    for (unsigned b = 0, other = 256; b < 256; b++) {
        bool plain = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        at += (size_t)snprintf(json + at, FUZZ_BYTE_JSON - at, "%s\"\\u%04x\":%u", b ? "," : "", plain ? b : other, b);
        other += !plain;
    }
    return at + (size_t)snprintf(json + at, FUZZ_BYTE_JSON - at, "}}}");
}

#endif
