/* libFuzzer target: see training_targets.h. Build with
 *   CC=clang meson setup build-fuzz -Dfuzz=true -Dtests=false -Db_lundef=false \
 *     -Db_sanitize=address,undefined -Dc_args=-fsanitize=fuzzer-no-link
 * and run: build-fuzz/fuzz_online tests/fuzz/corpus/fuzz_online */
#include "fuzz_main.h"
#include "training_targets.h"

FUZZ_MAIN(fuzz_online)
