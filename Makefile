# Python 3.11 to 3.13; another one than python3: make demo PYTHON=python3.13
PYTHON ?= python3
BIN := .venv/bin
DEMO := data/demo

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.SILENT:
.DEFAULT_GOAL := help
.PHONY: help demo test lint mutate bench lab lock

help:  ## list the targets
	sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

demo: .venv/.installed  ## simulate an organisation, analyse it and print the path of the report
	$(BIN)/tokenkit demo

test: .venv/.installed  ## run the tests; ARGS="-k lake" chooses some
	tests/run.sh $(ARGS)

lint: .venv/.installed  ## format, lint, types, order of imports, notebooks
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/nbstripout --verify --keep-id notebooks/*.ipynb notebooks/bench/*.ipynb
	$(BIN)/python tests/check_notebooks.py notebooks/*.ipynb notebooks/bench/*.ipynb

mutate: .venv/.installed  ## change the code in small ways and see whether the tests notice; ARGS="merge" chooses rooms
	$(BIN)/python tests/mutate.py $(ARGS)

bench: .venv/.installed  ## run every benchmark and print its result, one JSON line each (benchmarks/README.md)
	for file in benchmarks/*.py; do $(BIN)/python "$$file" | tail -n 1; done

lab: .venv/.installed  ## open the notebooks in JupyterLab, on the demo organisation; it asks no server and no question
	test -e $(DEMO)/tokenkit.toml || $(MAKE) demo
	TOKENKIT_WORKSPACE="$$PWD/$(DEMO)" $(BIN)/jupyter lab --config=.lab/jupyter_lab_config.py $(ARGS) notebooks

lock: .venv/.installed  ## resolve requirements.lock again (needs the network)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --extra dev $(ARGS) pyproject.toml --output-file requirements.lock

# Both stamps are newer than what they were made from, so a second call does nothing and needs no network.
# Twice quiet: pip otherwise repeats a warning of its configuration for each package.
.venv/.locked: requirements.lock
	$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(not (3, 11) <= v < (3, 14) and \
		f"tokenkit needs Python 3.11 to 3.13, and $(PYTHON) is {v[0]}.{v[1]}: make ... PYTHON=python3.13 names another one")'
	echo "Installing into .venv, once ..." >&2
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock
	touch $@

.venv/.installed: .venv/.locked pyproject.toml
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@
