/* libFuzzer target: see weights_targets.h. Build with
 *   CC=clang meson setup build-fuzz -Dfuzz=true -Dtests=false -Db_lundef=false \
 *     -Db_sanitize=address,undefined -Dc_args=-fsanitize=fuzzer-no-link
 * and run: build-fuzz/fuzz_safetensors tests/fuzz/corpus/fuzz_safetensors */
#include "fuzz_main.h"
#include "weights_targets.h"

FUZZ_MAIN(fuzz_safetensors)
