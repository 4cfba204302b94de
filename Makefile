# Every target does its own set-up: the first one on a new machine creates .venv, later ones find it ready.
# Other interpreter:             make test PYTHON=python3.12
# CPU build of torch elsewhere:  make test TORCH_INDEX=<index of CPU builds>
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
TORCH_INDEX ?=
WORKERS ?= 2
MARKS ?= not slow
TESTS ?= tests
BIN := .venv/bin

.PHONY: help setup demo test check format docs bench clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install hilum and the tested versions of all it needs into .venv
	@PYTHON='$(PYTHON)' TORCH_INDEX='$(TORCH_INDEX)' bash scripts/install.sh

demo: setup ## phantom patients: generate, train, evaluate, predict (CPU, offline)
	$(BIN)/hilum demo

# One thread a worker: two tests that each take every core slow each other down. Each worker gets a half of the files and
# takes from the other when it is done, so that what the tests of a file share is mostly made once.
test: setup ## all tests but slow ones (those too: MARKS=, fewer: TESTS=tests/metrics, more processes: WORKERS=8)
	OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "$(MARKS)" --durations=10 $(TESTS)

check: setup ## formatting, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: setup ## rewrite the files as `make check` wants them
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

docs: setup ## write docs/reference.md anew from the code
	$(BIN)/python scripts/write_reference.py

bench: setup ## run every benchmark
	@set -e; shopt -s nullglob; for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python "$$file"; done

clean: ## remove the environment, caches and builds; runs/ and data/ stay
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests benchmarks -type d -name __pycache__ -prune -exec rm -rf {} +
