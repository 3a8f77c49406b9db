VENV := .venv
BIN := $(VENV)/bin
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo test test-slow faults fuzz lint types layers bench bench-check docs site clean

help:
	@echo "make demo    install, train on an example table, show the errors by region, say where the page is"
	@echo "make test    install and run the test suite but for its slow tests"
	@echo "make test-slow  those: several processes, browsers, interrupted trainings"
	@echo "make faults  a kill and a full disk at every operation on a file, EVERY=8 at every eighth (hours: a stack has some 500)"
	@echo "make fuzz    search for tables, options, altered runs and requests that end in a traceback, FUZZ_EXAMPLES=100000 of each kind"
	@echo "make lint types layers    what CI checks besides"
	@echo "make bench   measure times and memory, write docs/performance.md (about 8 minutes, on a quiet machine)"
	@echo "make bench-check  measure ratios again, fail if one has grown by more than 30 %"
	@echo "make docs    write the table of methods into docs/methods.md"
	@echo "make site    build the documentation site into site/html; a warning or broken link is an error"
	@echo "make clean   remove .venv and caches (run folders stay)"

$(BIN)/python:
	python3 -m venv $(VENV)

$(VENV)/.core: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet --editable '.[dev,site]'
	@touch $@ $(VENV)/.core

demo: $(VENV)/.core
	$(BIN)/tailwise train example:airports --target elevation --epochs 20 --out runs/demo --overwrite

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadfile -m slow

EVERY ?= 1
faults: $(VENV)/.dev
	TAILWISE_FAULTS=$(EVERY) $(BIN)/python -m pytest -n 2 -rP tests/faults

FUZZ_EXAMPLES ?= 5000
fuzz: $(VENV)/.dev
	TAILWISE_FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(BIN)/python -m pytest tests/test_fuzz_*.py

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

layers: $(VENV)/.dev
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/harness.py

bench-check: $(VENV)/.dev
	$(BIN)/python benchmarks/harness.py --check

docs: $(VENV)/.dev
	$(BIN)/python docs/update.py

site: $(VENV)/.dev
	$(BIN)/python docs/sphinx/build.py site

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
