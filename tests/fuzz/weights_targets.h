/* What the fuzz targets of the weight readers do with one input. test_weights_corpus.c runs the same functions
 * over the kept corpus and its mutations, without a fuzzer. Each returns the reader's status. */
#ifndef TESTS_FUZZ_WEIGHTS_TARGETS_H
#define TESTS_FUZZ_WEIGHTS_TARGETS_H

#include "model/safetensors.h"
#include "model/weights_private.h"
#include <stdlib.h>

/* Reads every tensor: what was accepted on opening must be readable, or fail with a sentence. */
static inline agon_status fuzz_read_all(agon_ctx *ctx, const weights *w) {
    agon_status first = AGON_OK;
    for (size_t i = 0; i < weights_n_tensors(w); i++) {
        tensor_info t = weights_tensor(w, i);
        size_t n = t.n_rows * t.n_columns;
        float *values = malloc(n * sizeof *values);
        agon_status s = values ? weights_read(ctx, w, t.name, n, values) : AGON_OK;
        if (s && !first)
            first = s;
        free(values);
    }
    return first;
}

static inline agon_status fuzz_gguf(agon_ctx *ctx, const uint8_t *data, size_t n) {
    weights *w = NULL;
    agon_status s = gguf_open_memory(ctx, "fuzz.gguf", data, n, &w);
    if (!s)
        s = fuzz_read_all(ctx, w);
    weights_free(w);
    return s;
}

static inline agon_status fuzz_safetensors(agon_ctx *ctx, const uint8_t *data, size_t n) {
    weights *w = NULL;
    agon_status s = safetensors_open_memory(ctx, "fuzz.safetensors", data, n, &w);
    if (!s)
        s = fuzz_read_all(ctx, w);
    weights_free(w);
    return s;
}

static inline agon_status fuzz_hf_config(agon_ctx *ctx, const uint8_t *data, size_t n) {
    model_config config;
    return hf_config_parse(ctx, "fuzz.json", (const char *)data, n, &config);
}

#endif
