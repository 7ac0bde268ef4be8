# A fresh clone needs python3 (3.11 or newer) and make; the first target installs the rest into .venv, once.
PYTHON ?= python3
# One more than processors there are: tests of the terminal UI wait more than they compute.
WORKERS ?= 3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# Modules are compiled once, also where the surroundings forbid it: the tests start hundreds of processes.
unexport PYTHONDONTWRITEBYTECODE

# runs a command, and shows what it said only when it failed
quietly = said=$$($(1) 2>&1) || { printf '%s\n' "$$said"; exit 1; }

.PHONY: help demo test check bench soak format clean
.DEFAULT_GOAL := help

help: ## what can be made
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: $(STAMP) ## a simulated shop from nothing to the terminal UI (ARGS="--users 2000 --no-ui")
	@$(BIN)/segtui demo $(ARGS)

test: $(STAMP) ## every test but soak and bench, in random order; tests/test_layers.py holds the layers
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m "not soak and not bench" $(ARGS)

check: $(STAMP) ## lint, format, types, layers; says nothing when all is clean
	@$(call quietly,$(BIN)/ruff check .)
	@$(call quietly,$(BIN)/ruff format --check .)
	@$(call quietly,$(BIN)/mypy)
	@$(call quietly,$(BIN)/lint-imports)

bench: $(STAMP) ## the benchmarks, one after the other, with their ratios
	@$(BIN)/python -m pytest tests -m bench -p no:randomly -s $(ARGS)

soak: $(STAMP) ## the long repetitions
	@$(BIN)/python -m pytest tests -m soak -n $(WORKERS) $(ARGS)

format: $(STAMP) ## formats the code and applies the safe fixes
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .

clean: ## removes the environment, caches and the demo shop
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis demo-shop

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "segtui needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@
