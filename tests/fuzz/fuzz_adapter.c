/* libFuzzer target: see model_targets.h. Build with
 *   CC=clang meson setup build-fuzz -Dfuzz=true -Dtests=false -Db_lundef=false \
 *     -Db_sanitize=address,undefined -Dc_args=-fsanitize=fuzzer-no-link
 * and run: build-fuzz/fuzz_adapter tests/fuzz/corpus/fuzz_adapter */
#include "fuzz_main.h"
#include "model_targets.h"

FUZZ_MAIN(fuzz_adapter)
