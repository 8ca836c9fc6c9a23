SHELL := /bin/sh
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
LOCK := $(BIN)/uv pip compile pyproject.toml --quiet --no-config --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links

# Bounds for the runs that could go on for ever.
FUZZ_SECONDS ?= 120
CRASH_SECONDS ?= 420
# More for pytest, as in: make test ARGS='-k draw'
ARGS ?=

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

.PHONY: install
install: $(VENV)/.project ## make .venv with what the service needs

.PHONY: install-dev
install-dev: $(VENV)/.dev $(VENV)/.project ## the same, and what tests, checks and benchmarks need

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; say which: make PYTHON=python3.13 …" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.runtime: requirements.txt | $(VENV)/.made
	$(PIP) install --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.runtime
	$(PIP) install --require-hashes -r requirements-dev.txt
	@touch $@

# setuptools comes from requirements.txt, so that nothing unpinned is fetched to build the project itself.
$(VENV)/.project: pyproject.toml | $(VENV)/.runtime
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: run
run: install ## serve a sample on a virtual clock, mail into var/mail; JINJI_* from the environment come first
	@mkdir -p var
	@JINJI_DATABASE_URL="$${JINJI_DATABASE_URL-sqlite:///var/jinji.db}" \
	JINJI_CLOCK="$${JINJI_CLOCK-virtual:2024-05-20T09:00:00+08:00}" \
	JINJI_MAIL="$${JINJI_MAIL-file:var/mail}" \
	exec $(BIN)/jinji serve --sample

.PHONY: test
test: install-dev ## all tests, on SQLite and on a real PostgreSQL that they start themselves
	$(BIN)/python -m pytest -n auto $(ARGS)

.PHONY: lint
lint: install-dev ## format, lint, types, imports, Dockerfile
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile

.PHONY: check
check: lint test ## what CI runs: lint, then test

.PHONY: fuzz
fuzz: install-dev ## send what nobody thought of to the running API, for FUZZ_SECONDS
	FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/python -m pytest tests/fuzz -m fuzz $(ARGS)

.PHONY: crash
crash: install-dev ## kill processes at their work and look what is left, for CRASH_SECONDS
	CRASH_SECONDS=$(CRASH_SECONDS) $(BIN)/python -m pytest tests/crash -m crash $(ARGS)

.PHONY: bench
bench: install-dev ## measure; what and how stands in bench/
	$(BIN)/python -m bench $(ARGS)

.PHONY: format
format: install-dev ## let ruff format and mend what it can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: lock
lock: install-dev ## pin the newest versions that pyproject.toml allows, with hashes and without addresses
	$(LOCK) --upgrade --group build -o requirements.txt
	$(LOCK) --upgrade --group dev -c requirements.txt -o requirements-dev.txt

.PHONY: clean
clean: ## remove .venv, caches and what builds leave; var/ stays, it holds data
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .schemathesis
	find service workflows notifications alembic tests bench examples -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
