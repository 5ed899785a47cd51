# agon's front door. The build itself is Meson's; this file installs what is missing and names the jobs.
#
#   make run      set up, build, fetch the model once, run the quickstart loop
#   make test     set up, build, run every test
#   make check    the short tier: unit tests of the normal build
#   make build    the command at build/agon
MAKEFLAGS += --no-print-directory
BUILD ?= build

.PHONY: run build setup model test check bench format install clean help

run: build model
	@$(BUILD)/agon run examples/quickstart.yaml --workspace quickstart.agon

build: setup
	@scripts/build $(BUILD)

setup:
	@scripts/setup

model: setup
	@scripts/get-model

test: build model
	@scripts/test all

check: build
	@scripts/test quick

bench: build model
	@bench/run

format:
	@clang-format -i $$(find src include tests bench examples -name '*.[ch]')

install: build
	@meson install -C $(BUILD)

clean:
	rm -rf build build-*

help:
	@sed -n '2,8p' Makefile
