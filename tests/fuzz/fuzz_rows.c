/* libFuzzer target: see text_targets.h. Build with
 *   CC=clang meson setup build-fuzz -Dfuzz=true -Dtests=false -Db_lundef=false \
 *     -Db_sanitize=address,undefined -Dc_args=-fsanitize=fuzzer-no-link
 * and run: build-fuzz/fuzz_rows tests/fuzz/corpus/fuzz_rows */
#include "text_targets.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static agon_ctx *ctx; /* made once: a context starts threads */
    agon_ctx_options options = agon_ctx_options_default();
    options.n_threads = 1;
    if (!ctx && agon_ctx_new(&options, &ctx, NULL, 0) != AGON_OK)
        return 0;
    (void)!fuzz_rows(ctx, data, n);
    return 0;
}
