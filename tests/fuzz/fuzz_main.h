/* What every libFuzzer target of this folder does: FUZZ_MAIN(target) hands the bytes to target(ctx, data, n). */
#ifndef FUZZ_MAIN_H
#define FUZZ_MAIN_H

#include "agon.h"
#include <stdint.h>

#define FUZZ_MAIN(target)                                                                          \
    int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);                                     \
    int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {                                    \
        static agon_ctx *ctx; /* made once: a context starts threads */                            \
        agon_ctx_options options = agon_ctx_options_default();                                     \
        options.n_threads = 1;                                                                     \
        if (!ctx && agon_ctx_new(&options, &ctx, NULL, 0) != AGON_OK)                              \
            return 0;                                                                              \
        (void)!target(ctx, data, n);                                                               \
        return 0;                                                                                  \
    }

#endif
