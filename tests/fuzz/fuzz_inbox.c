/* libFuzzer target: see inbox_targets.h. Build with
 *   CC=clang meson setup build-fuzz -Dfuzz=true -Dtests=false -Db_lundef=false \
 *     -Db_sanitize=address,undefined -Dc_args=-fsanitize=fuzzer-no-link
 * and run: build-fuzz/fuzz_inbox tests/fuzz/corpus/fuzz_inbox */
#include "fuzz_main.h"
#include "inbox_targets.h"

FUZZ_MAIN(fuzz_inbox)
