/* libFuzzer target: see workspace_targets.h. Build with
 *   CC=clang meson setup build-fuzz -Dfuzz=true -Dtests=false -Db_lundef=false \
 *     -Db_sanitize=address,undefined -Dc_args=-fsanitize=fuzzer-no-link
 * and run: build-fuzz/fuzz_workspace tests/fuzz/corpus/fuzz_workspace */
#include "fuzz_main.h"
#include "workspace_targets.h"

FUZZ_MAIN(fuzz_workspace)
