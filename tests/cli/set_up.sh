#!/bin/sh
# The front door: what scripts/setup asks for by purpose, and what the Makefile passes on.
. "$(dirname "$0")/common"

# A machine with a compiler and libraries, but without cmocka, pip and apt-get.
mkdir bin
for tool in sh cat awk ls id mktemp rm; do
    ln -s "$(command -v $tool)" bin/
done
for tool in cc meson ninja; do
    printf '#!/bin/sh\nexit 0\n' >bin/$tool
done
printf '#!/bin/sh\nfor last; do :; done\n[ "$last" != cmocka ]\n' >bin/pkg-config
printf '#!/bin/sh\nexit 1\n' >bin/python3
chmod +x bin/cc bin/meson bin/ninja bin/pkg-config bin/python3
setup() { env PATH="$work/bin" /bin/sh "$source/scripts/setup" "$@"; }
run 0 setup product
run 1 setup product tests
says out '^ *libcmocka-dev '
count
if grep -q 'python3-pip' out; then fail "tests do not need pip"; fi
run 1 setup
for package in libcmocka-dev python3-pip; do
    says out "^ *$package "
done

command -v make >/dev/null 2>&1 || { done_testing; exit 0; }
asks() { # asks PATTERN TARGET...: what make would do
    pattern=$1
    shift
    run 0 make -n -C "$source" "$@"
    says out "$pattern"
}
asks '^scripts/setup product *$' build
asks '^scripts/setup product tests$' check
asks '^scripts/setup product tests model$' test
asks '^scripts/setup product model$' run
asks '^scripts/test quick elsewhere$' check BUILD=elsewhere
asks '-Dprefix="/opt/agon" -Dlibdir="lib"' install PREFIX=/opt/agon # where pkg-config and the loader look, also without dpkg-dev
asks "-Dprefix=\"$HOME/.local\"" install 'PREFIX=~/.local'
done_testing
