/* libFuzzer target: see checkpoint_targets.h. Build with
 *   CC=clang meson setup build-fuzz -Dfuzz=true -Dtests=false -Db_lundef=false \
 *     -Db_sanitize=address,undefined -Dc_args=-fsanitize=fuzzer-no-link
 * and run: build-fuzz/fuzz_checkpoint tests/fuzz/corpus/fuzz_checkpoint */
#include "fuzz_main.h"
#include "checkpoint_targets.h"

FUZZ_MAIN(fuzz_checkpoint)
