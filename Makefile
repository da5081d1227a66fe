# genlab: the commands of a developer and of a newcomer. `make` alone lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Installed once: the stamp is older than what it was made from after a change of either.
STAMP := $(VENV)/.installed
MKDOCS := NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs

.DEFAULT_GOAL := help
.PHONY: help install train test test-all launchers docs docs-serve lint types format lock build bench gpu bench-peers bench-check clean

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

test-all: $(STAMP) lint types launchers ## The slow tests, too
	$(BIN)/pytest -n auto --dist worksteal --all
	.venv-launchers/bin/python -m pytest --all tests/commands/test_sweep_launchers.py

launchers: $(STAMP) ## An environment with Hydra's launchers and Optuna beside genlab
	test -x .venv-launchers/bin/python || $(PYTHON) -m venv .venv-launchers
	$(BIN)/uv pip install --quiet --python .venv-launchers/bin/python \
		-e '.[dev,joblib,slurm,ray,optuna-storage]'

docs: .venv-docs/.installed ## Build the site into site/; warnings are errors
	$(MKDOCS) build --strict --quiet

docs-serve: .venv-docs/.installed ## Show the site, and follow changes
	$(MKDOCS) serve --watch genlab --watch README.md --watch CHANGELOG.md --watch CONTRIBUTING.md

.venv-docs/.installed: $(STAMP)
	test -x .venv-docs/bin/python || $(PYTHON) -m venv .venv-docs
	$(BIN)/uv pip install --quiet --python .venv-docs/bin/python -e '.[docs]'
	touch $@

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

bench: $(STAMP) ## Measure speed beside a raw loop, and the peers where bench-peers put them
	$$(test -x .venv-peers/bin/python && echo .venv-peers || echo $(VENV))/bin/python scripts/bench.py --json bench.json

gpu: $(STAMP) ## On a GPU: its tests, its benches, its recipes, into gpu/; 9 minutes a call
	$(BIN)/python scripts/gpu.py gpu --minutes 9

bench-peers: $(STAMP) ## An environment with five peers beside genlab
	test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	$(BIN)/uv pip install --quiet --python .venv-peers/bin/python -e . pythae==0.1.2 torchgan==0.1.0 nflows==0.14 \
		smalldiffusion==0.5.0 denoising-diffusion-pytorch==2.3.4

bench-check: $(STAMP) ## Fail where a ratio is a quarter worse than in docs/bench.json
	$$(test -x .venv-peers/bin/python && echo .venv-peers || echo $(VENV))/bin/python scripts/bench.py --check docs/bench.json

clean: ## Remove what the commands above made, except the runs
	rm -rf $(VENV) .venv-docs site dist build .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
