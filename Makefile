# The commands of this project; `make` alone lists them.

# Test targets that need no set-up, besides the unit tests in every crate.
UNIT_TARGETS := tidy

.PHONY: help demo test test-unit setup check bench bench-setup bench-build

help:
	@echo 'make demo       set up a PostgreSQL, build, and show a backup and a restore on real data'
	@echo 'make test       set up all that the tests need, then run every tier'
	@echo 'make test-unit  run the fast tiers: no network, no set-up'
	@echo 'make check      formatting and lints'
	@echo 'make bench      measure against Python Barman and pgBackRest; writes docs/benchmarks.md'
	@echo 'make setup      only set up what make test needs (into .cache/)'

demo:
	scripts/setup demo
	cargo build --release --package cli
	scripts/demo

# Most of the set-up is waiting for downloads, while the processor can build.
bench:
	scripts/setup packages
	$(MAKE) --jobs=2 bench-setup bench-build
	scripts/bench

bench-setup:
	scripts/setup bench

bench-build:
	cargo build --profile dist --package cli --bin barman --example limits

setup:
	scripts/setup test

check:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

test-unit:
	cargo test --workspace --lib --bins $(addprefix --test ,$(UNIT_TARGETS))

test: setup check
	cargo test --workspace
