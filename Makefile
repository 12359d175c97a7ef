# Bartizan. The two commands that matter: `make demo` and `make test`.
#
#   make demo                          build, then a chat prompt with the real processes behind it
#   make demo TRANSCRIPT=path          run a transcript, or every transcript under a folder (JOBS=4: four at a time)
#   make demo TRANSCRIPT=path SERVER=file.json    the same against another Mattermost server
#   make test                          everything that this machine can run; last line: N passed, N failed, N skipped
#   make nspawn-test                   as root: the units under a real systemd, in a container (part of `make test`)
#   make bench                         figures, as ratios within one run
#   make chaos [RUNS=10000] [SEED=5]   processes killed and the server misbehaving, by a seed; the last line is the verdict
#   make vm-test [BUILT=dir]           as root: an installation under SELinux, enforcing, on a Debian 12 of its own in QEMU; last line as above
#   make lint                          rustfmt, clippy, licences and sources
#   make check                         lint and test: what a change must pass
#   make release                       the programs as they are installed, an SPDX list of what is in them, checksums
#   make packages [KINDS="deb rpm"]    a .deb and an .rpm in target/packages
#   make reproducible                  the last commit built twice, in two folders: the same bytes
#   make install [PREFIX=/usr/local] [DESTDIR=]   as root: users, programs (one of them setuid), directories, configuration;
#                                      the other variables stand at the top of deploy/install
#   make uninstall [PURGE=1]           as root: the programs; with PURGE=1 configuration, keys and state, too

CARGO ?= cargo
TRANSCRIPT ?=
SERVER ?=
CONFIG ?=
ALLOWLIST ?=
JOBS ?=

.PHONY: demo test nspawn-test chaos bench vm-test lint check build release packages reproducible install uninstall

# What the demo needs: the programs and the playground, without what only the tests use.
build:
	$(CARGO) build --workspace --exclude bartizan-tests --exclude bartizan-fuzz

demo: build
	@CARGO="$(CARGO)" tests/demo "$(TRANSCRIPT)" "$(SERVER)" "$(CONFIG)" "$(ALLOWLIST)" "$(JOBS)"

test:
	@CARGO="$(CARGO)" tests/run

nspawn-test:
	$(CARGO) build --workspace --all-targets
	$(CARGO) test --workspace --test installed nspawn -- --nocapture

chaos:
	@CARGO="$(CARGO)" tests/chaos "$(RUNS)" "$(SEED)"

bench:
	$(CARGO) build --release --workspace --bins --example gates
	@CARGO="$(CARGO)" tests/bench

vm-test:
	@CARGO="$(CARGO)" tests/vm/run

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	@if command -v cargo-deny >/dev/null 2>&1; then $(CARGO) deny check bans licenses sources; \
	else echo "lint: cargo-deny is not installed, so bans, licences and sources were not checked"; fi

check: lint test

# Passed on where they are given; deploy/layout and deploy/install say what they are otherwise.
export PREFIX DESTDIR OWNER SERVICE_USER SERVICE_GROUP OPERATORS BUILT ACCOUNTS URL TEAM TOKEN_FILE PURGE

release:
	@CARGO="$(CARGO)" packaging/release

# With BUILT= of programs that are there already.
packages:
	@if [ -z "$(BUILT)" ]; then $(MAKE) --no-print-directory release; fi
	@CARGO="$(CARGO)" packaging/packages

reproducible:
	@CARGO="$(CARGO)" packaging/reproducible

# With BUILT= the programs are there already; else they are built, where there is a cargo to do it (root may have none).
install:
	@if [ -z "$(BUILT)" ] && command -v $(CARGO) >/dev/null 2>&1; then $(MAKE) --no-print-directory release; fi
	@deploy/install

uninstall:
	@deploy/uninstall
