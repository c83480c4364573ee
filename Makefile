# Two commands for everybody, `make demo` and `make test`; each makes its environment first.
# They need Python 3.10+ and a package index; no docker, no model hub, no API key.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo test check lint types layers unit bench clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: $(READY) ## Answer 600 real questions through LangChain and LiteLLM, and show what the cache did
	@$(BIN)/semcache demo

test: check unit ## Everything that CI runs

check: lint types layers ## Style, types and layers

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

layers: $(READY)
	$(BIN)/lint-imports

unit: $(READY)
	$(BIN)/coverage erase
	$(BIN)/pytest --numprocesses auto --cov --cov-report=
	$(BIN)/coverage report --fail-under=95
	$(BIN)/coverage report --fail-under=100 --include='semcache_integrations/core/*'

bench: $(READY) ## Time every tier beside its peers, in one run, and print the ratios
	$(BIN)/pip install --quiet --group bench
	$(BIN)/pytest tests/benchmarks -m bench --benchmark-columns=median,min,ops --benchmark-sort=name

clean: ## Remove the environment and everything that was generated
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* .import_linter_cache .benchmarks dist

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 10) else f"Python 3.10+ is needed, this is {v[0]}.{v[1]}: make PYTHON=python3.12 …")'
	@echo "Making $(VENV) and installing into it (a minute or two, once)…"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip
	@$(BIN)/python -m pip install --quiet --editable '.[all]' --group dev
	@$(BIN)/semcache model install
	@touch $@
