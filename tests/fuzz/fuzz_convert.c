/* libFuzzer target: see text_targets.h. Build with
 *   CC=clang meson setup build-fuzz -Dfuzz=true -Dtests=false -Db_lundef=false \
 *     -Db_sanitize=address,undefined -Dc_args=-fsanitize=fuzzer-no-link
 * and run: build-fuzz/fuzz_convert tests/fuzz/corpus/fuzz_convert */
#include "fuzz_main.h"
#include "text_targets.h"

FUZZ_MAIN(fuzz_convert)
