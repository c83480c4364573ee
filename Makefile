# Two commands for everybody, `make demo` and `make test`; each makes its environment first.
# They need Python 3.10+ and a package index; no docker, no model hub, no API key.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# LangChain and LiteLLM as old as pyproject.toml allows, in an environment of their own.
OLDEST := .venv-oldest
OLDEST_CORE = $(shell sed -n 's/^langchain = \["langchain-core>=\([0-9.]*\),.*/\1/p' pyproject.toml)
OLDEST_LITELLM = $(shell sed -n 's/^litellm = \["litellm>=\([0-9.]*\)".*/\1/p' pyproject.toml)

.PHONY: help demo test check lint types layers unit oldest bench clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: $(READY) ## Answer 600 real questions through LangChain and LiteLLM, and show what the cache did
	@$(BIN)/semcache demo

test: check unit oldest ## Everything that CI runs

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

oldest: $(OLDEST)/.ready ## Run the adapters' tests with the oldest langchain-core and litellm that we support
	@echo "Running tests/langchain and tests/litellm with langchain-core $(OLDEST_CORE) and litellm $(OLDEST_LITELLM), the oldest that pyproject.toml allows…"
	$(OLDEST)/bin/pytest --numprocesses auto tests/langchain tests/litellm

bench: $(READY) ## Time every tier beside its peers, in one run, and print the ratios
	$(BIN)/pip install --quiet --group bench
	$(BIN)/pytest tests/benchmarks -m bench --benchmark-columns=median,min,ops --benchmark-sort=name

clean: ## Remove the environments and everything that was generated
	rm -rf $(VENV) $(OLDEST) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* .import_linter_cache .benchmarks dist

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 10) else f"Python 3.10+ is needed, this is {v[0]}.{v[1]}: make PYTHON=python3.12 …")'
	@echo "Making $(VENV) and installing into it (a minute or two, once)…"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip
	@$(BIN)/python -m pip install --quiet --editable '.[all]' --group dev
	@$(BIN)/semcache model install
	@touch $@

$(OLDEST)/.ready: pyproject.toml
	@echo "Making $(OLDEST) and installing langchain-core $(OLDEST_CORE) and litellm $(OLDEST_LITELLM) into it (two minutes, once)…"
	@$(PYTHON) -m venv --clear $(OLDEST)
	@$(OLDEST)/bin/python -m pip install --quiet --upgrade pip
	@$(OLDEST)/bin/python -m pip install --quiet --editable '.[agents,litellm,offline,server]' --group langchain 'langchain-core==$(OLDEST_CORE)' 'litellm==$(OLDEST_LITELLM)'
	@touch $@
