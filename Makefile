# genlab: the commands of a developer and of a newcomer. `make` alone lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Installed once: the stamp is older than what it was made from after a change of either.
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install train test test-all lint types format lock build clean

help: ## List these commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

install: $(STAMP) ## Make .venv with genlab and all it needs, at the pinned versions

$(STAMP): pyproject.toml requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "genlab needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	touch $@

train: $(STAMP) ## Train a VAE on MNIST: three minutes on two CPU cores
	$(BIN)/genlab train model=vae data=mnist

test: $(STAMP) lint types ## Lint, types and the quick tests
	$(BIN)/pytest -n auto --dist worksteal

test-all: $(STAMP) lint types ## The slow tests, too
	$(BIN)/pytest -n auto --dist worksteal --all

lint: $(STAMP) ## Style, imports and likely bugs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## Static types
	$(BIN)/mypy

format: $(STAMP) ## Put every file into the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: ## Pin all versions anew, with hashes and without any registry's address
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --no-annotate -o requirements.lock

build: $(STAMP) ## Build the wheel and the source distribution into dist/
	$(BIN)/uv build --quiet

clean: ## Remove what the commands above made, except the runs
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
