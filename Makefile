# agon's front door. The build itself is Meson's; this file installs what is missing and names the jobs.
#
#   make run      set up, fetch the model once, build, run the quickstart loop
#   make test     set up, build, run every test
#   make check    the short tier: unit tests of the normal build
#   make build    the command at build/agon
#   make bench    the measurements of bench/README.md
#   make format   clang-format over the sources (needs clang-format)
#   make install  build and install; PREFIX=~/.local elsewhere than in /usr/local (DESTDIR is honoured)
#   make uninstall  what the last install put there
#   make clean    removes the build folders
MAKEFLAGS += --no-print-directory
BUILD ?= build
PREFIX ?= /usr/local
# Below it. Without it Meson asks dpkg-dev where libraries go, which need not be there, and takes lib64 then, where Debian looks for none.
LIBDIR ?= lib
# What scripts/setup installs for.
PURPOSE = product
model: PURPOSE += model
check test: PURPOSE += tests

.PHONY: run build setup model test check bench format install uninstall clean help

run: model build
	@$(BUILD)/agon run examples/quickstart.yaml --workspace quickstart.agon

build: setup
	@TARGETS=product scripts/build $(BUILD)

setup:
	@scripts/setup $(PURPOSE)

model: setup
	@scripts/get-model

test: model build
	@scripts/test all

check: build
	@scripts/test quick $(BUILD)

bench: model build
	@bench/run $(BUILD)

format:
	@clang-format -i $$(find src include tests bench examples -name '*.[ch]')

install: build
	@meson configure $(BUILD) -Dprefix="$(PREFIX:~/%=$(HOME)/%)" -Dlibdir="$(LIBDIR)" && TARGETS=product scripts/build $(BUILD)
	@meson install -C $(BUILD) --no-rebuild
	@[ -n "$(DESTDIR)" ] || ldconfig 2>/dev/null || true # so that programs find the library

uninstall:
	@ninja -C $(BUILD) uninstall

clean:
	rm -rf build build-*

help:
	@sed -n 's/^#   //p' Makefile
