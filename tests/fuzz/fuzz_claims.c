/* libFuzzer target: see answer_targets.h. Build with
 *   CC=clang meson setup build-fuzz -Dfuzz=true -Dtests=false -Db_lundef=false \
 *     -Db_sanitize=address,undefined -Dc_args=-fsanitize=fuzzer-no-link
 * and run: build-fuzz/fuzz_claims tests/fuzz/corpus/fuzz_claims */
#include "fuzz_main.h"
#include "answer_targets.h"

FUZZ_MAIN(fuzz_claims)
