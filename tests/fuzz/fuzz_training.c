/* libFuzzer target: see training_targets.h. Build with
 *   CC=clang meson setup build-fuzz -Dfuzz=true -Dtests=false -Db_lundef=false \
 *     -Db_sanitize=address,undefined -Dc_args=-fsanitize=fuzzer-no-link
 * and run: build-fuzz/fuzz_training tests/fuzz/corpus/fuzz_training */
#include "fuzz_main.h"
#include "training_targets.h"

FUZZ_MAIN(fuzz_training)
