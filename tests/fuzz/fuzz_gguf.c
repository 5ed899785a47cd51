/* libFuzzer target: see weights_targets.h. Build with
 *   CC=clang meson setup build-fuzz -Dfuzz=true -Dtests=false -Db_lundef=false \
 *     -Db_sanitize=address,undefined -Dc_args=-fsanitize=fuzzer-no-link
 * and run: build-fuzz/fuzz_gguf tests/fuzz/corpus/fuzz_gguf */
#include "fuzz_main.h"
#include "weights_targets.h"

FUZZ_MAIN(fuzz_gguf)
