# make demo    installs what is missing, builds, and breaks a five-node cluster for half a minute
# make test    everything that must be green before a change lands
# make build   the release binary, target/release/grudge
# make bench   how many simulated seconds pass in a second, checkers included; the checkers by themselves; a hooked clock;
#              the layer under a disk
# make bench-network   how long a partition takes until it is proven, and what the packets' switch costs
# make bench-runner    how many operations a second the runner records, by itself, and that its memory does not grow
# make fuzz    random histories against programs that try everything: CASES a model, on all cores

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

# rustup puts cargo here, and a shell that was open before does not know it yet.
export PATH := $(HOME)/.cargo/bin:$(PATH)

GRUDGE := target/release/grudge
DEMO := test zab --workload lock --faults partition,pause,kill --nodes 5 --time 30s

.PHONY: demo test bench bench-checkers bench-clock bench-disk bench-network bench-runner fuzz alone build fmt clippy doc deps cargo iptables

demo: build iptables
	./$(GRUDGE) $(DEMO)

bench: build bench-checkers bench-clock bench-disk
	for system in raft zab; do for workload in register lock; do \
	  ./$(GRUDGE) sim $$system --workload $$workload --seeds 0..200; \
	done; done

# A folder with the layer under it that disk faults want, beside one without.
bench-disk: cargo iptables
	cargo bench -p grudge --locked --bench disk

bench-checkers: cargo
	cargo bench -p grudge-checkers --locked --benches

bench-clock: cargo
	cargo bench -p grudge --locked --bench clock

bench-network: cargo iptables
	cargo bench -p grudge --locked --bench network

bench-runner: cargo
	cargo bench -p grudge --locked --bench runner

CASES ?= 200000

# The last line is how many cases there were in all.
fuzz: cargo
	GRUDGE_CASES=$(CASES) cargo test -p grudge-checkers --release --locked --test 'fuzz*' --test ladder -- --nocapture \
	  | awk '/^fuzz /{cases += $$3} {print; fflush()} END {print cases " cases"}'

build: cargo
	cargo build --release --locked --bin grudge

test: fmt clippy doc alone
	if cargo nextest --version >/dev/null 2>&1; then \
	  cargo nextest run --workspace --locked && cargo test --workspace --locked --doc; \
	else \
	  cargo test --workspace --locked; \
	fi

fmt: cargo
	cargo fmt --all --check

clippy: cargo
	cargo clippy --workspace --all-targets --locked -- -D warnings

# The checkers are a library of their own: nobody else's features may hide what it lacks.
alone: cargo
	cargo clippy -p grudge-checkers --locked -- -D warnings

doc: cargo
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --locked

deps: cargo iptables

# A compiler and linker, curl for rustup, and rustup itself; each only where it is missing.
cargo:
	@.ci/need cc build-essential
	@command -v cargo >/dev/null || { .ci/need curl curl ca-certificates \
	  && curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal \
	       --component clippy,rustfmt; }

iptables:
	@.ci/need iptables iptables
