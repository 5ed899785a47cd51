#!/bin/sh
# The programs of examples/c against an installed prefix: header, shared library with its soname, static library, agon.pc.
. "$(dirname "$0")/common"

if [ "${AGON_TEST_SANITIZED:-}" ]; then
    echo "skipped: a library built with a sanitizer does not link into a plain program"
    exit 77
fi
build=${AGON_HELPERS:-$(dirname "$agon")}
count
meson install -C "$build" --no-rebuild --destdir "$work/prefix" >log 2>&1 || fail "meson install: $(tail -3 log)"
pc=$(find prefix -name agon.pc)
[ -f "$pc" ] || fail "no agon.pc was installed"
prefix=$work/prefix$(sed -n 's/^prefix=//p' "$pc")
export PKG_CONFIG_PATH="$work/$(dirname "$pc")"
ask() { pkg-config --define-variable=prefix="$prefix" "$@"; }
library=$(dirname "$(find "$prefix" -name libagon.so)")
export LD_LIBRARY_PATH="$library"
warnings="-std=c17 -D_DEFAULT_SOURCE -Wall -Wextra -Werror -O1"

count
[ "$(pkg-config --modversion agon)" = "$("$agon" --version | sed 's/agon //')" ] || fail "agon.pc has another version"
for name in generate score dpo; do
    # shellcheck disable=SC2046
    run 0 ${CC:-cc} $warnings "$source/examples/c/$name.c" -o $name $(ask --cflags --libs agon)
done
if command -v readelf >/dev/null 2>&1; then
    readelf -d score >needed
    says needed 'NEEDED.*\[libagon\.so\.0\]'
    # What the header does not mention is not exported.
    readelf --dyn-syms -W "$library/libagon.so" | awk '$5 == "GLOBAL" && $7 != "UND" { print $8 }' >exported
    count
    if grep -v '^agon_' exported; then fail "exported beside agon_..."; fi
fi
# A static link takes what agon.pc calls private, and nothing else: beside it stands libagon.a alone. Not by --static, which also asks for the
# private libraries of each of those, which a machine with their shared ones need not have.
mkdir static
cp "$library/libagon.a" static/
private=$(sed -n 's/^Libs.private: *//p' "$pc")
sed -e "s|^libdir=.*|libdir=$work/static|" -e 's/^Requires.private:/Requires:/' -e "s|^Libs:.*|& $private|" "$pc" >static/agon.pc
count
(PKG_CONFIG_PATH=$work/static; export PKG_CONFIG_PATH; ask --cflags --libs agon) >flags || fail "pkg-config cannot read $pc"
# shellcheck disable=SC2046
run 0 ${CC:-cc} $warnings "$source/examples/c/score.c" -o score-static $(cat flags)
if command -v readelf >/dev/null 2>&1; then
    readelf -d score-static >needed
    count
    if grep 'NEEDED.*libagon' needed; then fail "the static program needs the shared library"; fi
fi
# It claims no name beside agon_...: a program may have a train() and a file_write() of its own.
if command -v nm >/dev/null 2>&1; then
    nm -g --defined-only static/libagon.a | awk 'NF == 3 { print $3 }' >defined
    says defined '^agon_train$'
    count
    if grep -v '^agon_' defined; then fail "names beside agon_... in libagon.a"; fi
fi
cat >own.c <<'END'
#include <agon.h>
void train(void);
void generate(void);
void file_write(void);
void train(void) {}
void generate(void) {}
void file_write(void) {}
int main(void) {
    agon_ctx *ctx;
    char reason[256];
    train(), generate(), file_write();
    if (agon_ctx_new(0, &ctx, reason, sizeof reason))
        return 1;
    agon_ctx_free(ctx);
    return 0;
}
END
# shellcheck disable=SC2046
run 0 ${CC:-cc} $warnings own.c -o own $(cat flags)
run 0 ./own
# Without --static none of that is asked for; with it, all.
ask --libs agon >flags
count
if grep -q -- '-lsqlite3' flags; then fail "a program linked to the shared library need not link its libraries"; fi
ask --static --libs agon >flags
for name in -lsqlite3 -lcurl -ljansson -lyaml -lpcre2-8 -lutf8proc -lcrypto -lm; do
    says flags "(^| )$name( |\$)"
done

run 0 ./score "$tiny" "one two" " three" " seven seven" "x"
cp out dynamic
count
[ "$(wc -l <dynamic)" = 3 ] || fail "score prints a line a continuation"
sort -rn dynamic >sorted
same dynamic sorted
run 0 ./score-static "$tiny" "one two" " three" " seven seven" "x"
same out dynamic
run 2 ./score "$tiny" "one two" " three" ""
one_sentence
# The same number as the command's.
printf '{"prompt":"one two","completion":"x"}\n' | run 0 "$agon" score --model "$tiny" --json
x=$(field log_prob out)
count
awk -v x="$x" '$3 == "x" && ($1 - x) ^ 2 < 1e-6 { found = 1 } END { exit !found }' dynamic || fail "score and agon score disagree: $x"

run 0 ./generate "$tiny" "one two"
says out '^\([0-9]+ tokens, log_prob -[0-9.]+ nats\)'
run 1 ./generate "$work/absent.gguf" "one two"
one_sentence

# DPO raises the reward; a second run finds every round done and prints the same.
run 0 ./dpo "$tiny" new/folder 4 1e-2
cp out first
says out '^round 4: mean reward'
count
awk '{ r[NR] = $NF } END { exit !(NR == 4 && r[4] > r[1] + 0.05) }' first || fail "DPO did not raise the reward"
run 0 ./dpo "$tiny" new/folder 4 1e-2
same out first
done_testing
