# What can be done here; `make` alone lists it. Nothing needs a step before it.

TOOLS  := unshare-run cgset mkrootfs layerfs portfwd imgbuild ctr
PREFIX ?= /usr/local
# The lesson that lesson, check, hint and reset are about: make check N=02
N      ?= 00

# Where the built tools are, for everything that runs them.
export CTR_BIN_DIR := $(CURDIR)/target/bin

# Cargo's folder for the target and profile that the tools are built for; see tests/triple.
BUILT = $${CARGO_TARGET_DIR:-target}/$$(tests/triple)

.PHONY: help demo build setup setup-bench test test-vm compat fuzz lint bench lesson check hint reset man completions install clean

help:            ## list this
	@awk -F ':.*## ' '/^[a-z -]+:.*## / {printf "  make %-26s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: setup build      ## build everything and watch a web server run in a container
	./tests/demo.sh

build:           ## the seven tools, as static binaries, into target/bin
	cargo build --release --target $$(tests/triple) $(TOOLS:%=-p %)
	@mkdir -p target/bin
	@install -m 755 $(TOOLS:%=$(BUILT)/release/%) target/bin/
	@echo "built: $(TOOLS:%=target/bin/%)"

setup:           ## install the Debian packages that the targets here need (does nothing if they are there)
	@tests/setup tests/packages

setup-bench: setup     ## the full-size counterparts that `make bench` measures against
	@tests/setup tests/packages-bench

test: setup build      ## all tests that run on this machine, and a check that they leave nothing behind
	tests/run $(ARGS)

test-vm: setup build   ## all tests in a small virtual machine with cgroup v2
	tests/vm/run $(ARGS)

compat: setup build    ## play the cases of tests/compat on docker and on ctr, and print where they differ: ARGS=life
	cargo build -q --target $$(tests/triple) -p ctr-tests --bin compat
	unshare --mount --propagation slave $(BUILT)/debug/compat $(ARGS)

fuzz:            ## random configurations and mount paths, for longer than `make test` does: FUZZ_SECONDS=600
	FUZZ_SECONDS=$${FUZZ_SECONDS:-60} cargo test --release --target $$(tests/triple) -p unshare-run --bin unshare-run fuzz:: -- --nocapture

lint:            ## formatting, clippy, and the rules that neither knows
	cargo fmt --check
	cargo clippy --workspace --all-targets -- -D warnings
	tests/lint

bench: setup-bench build ## how fast, side by side with what is installed
	tests/bench/run.sh

lesson check hint reset: build ## a lesson, its exercise's check, a hint, a fresh start: make check N=02
	@./lessons/run $@ $(N)

man completions: ## made from the tools' own --help, into target/man and target/completions
	cargo run -q -p ctr-tests --bin generate -- $@ target/$@

install: build man completions ## PREFIX=/usr/local DESTDIR=
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 755 $(TOOLS:%=target/bin/%) $(DESTDIR)$(PREFIX)/bin/
	install -m 644 target/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|@BIN@|$(PREFIX)/bin|' bins/ctr/ctr.service >$(DESTDIR)$(PREFIX)/lib/systemd/system/ctr.service
	chmod 644 $(DESTDIR)$(PREFIX)/lib/systemd/system/ctr.service
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	install -m 644 target/completions/bash/* $(DESTDIR)$(PREFIX)/share/bash-completion/completions/
	install -d $(DESTDIR)$(PREFIX)/share/zsh/site-functions
	install -m 644 target/completions/zsh/* $(DESTDIR)$(PREFIX)/share/zsh/site-functions/
	install -d $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	install -m 644 target/completions/fish/* $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/

clean:           ## remove what was built
	cargo clean
	rm -rf target
