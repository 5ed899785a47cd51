/* The small byte-level tokenizer of tests/golden/tokenizer_small.json. */
#ifndef TESTS_SMALL_TOKENIZER_H
#define TESTS_SMALL_TOKENIZER_H

#include "base/file.h"
#include "model/tokenizer_private.h"
#include "test.h"

/* New. */
static inline tokenizer *small_tokenizer(agon_ctx *ctx) {
    static const char config[] = "{\"eos_token\": \"<|endoftext|>\", \"add_bos_token\": false}";
    tokenizer *t = NULL;
    char path[2048], *text = NULL;
    size_t n = 0;
    assert_ok(ctx, file_read(ctx, golden_path(path, "tokenizer_small.json"), 1 << 20, &text, &n));
    assert_ok(ctx, tokenizer_from_json(ctx, "small", text, n, config, strlen(config), NULL, 0, &t));
    free(text);
    return t;
}

#endif
