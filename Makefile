# make demo: explain a real classifier on real photographs. make test: the unit tests, about a minute on two cores; CI
# runs them with make check, make test-integration (whole verbs from end to end), make test-browser (the explorer in
# Chromium) and make test-adapters (classifiers out of other libraries, trackers of trainings).
# make docs: write the reference pages anew from the code. make site: the documentation as a site in build/site, its links
# checked. make tutorials: run the notebooks of docs/tutorials anew.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev
INSTALLED_DOCS := $(VENV)/.installed-docs
REPORT := build/demo/report.html

.PHONY: demo test test-integration test-browser test-adapters test-slow check docs site tutorials clean

demo: $(INSTALLED)
	$(BIN)/stylex demo --out stylex-demo

test: $(INSTALLED_DEV)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not integration and not slow and not browser"

test-integration: $(INSTALLED_DEV)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "integration and not slow and not browser"

test-browser: $(INSTALLED_DEV)
	$(BIN)/python -m pytest -m "browser and not slow"

# Other libraries: the tests that are skipped without the extras timm, torchvision, hf, onnx, keras, mlflow and wandb.
test-adapters: $(INSTALLED_DEV)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/classifiers/test_from_*.py tests/models/test_pretrained.py tests/training/test_mlflow.py \
	  tests/training/test_wandb.py tests/test_supply.py

test-slow: $(INSTALLED_DEV)
	$(BIN)/python -m pytest -m slow

check: $(INSTALLED_DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(INSTALLED_DEV)
	$(BIN)/python docs/generate.py

site: $(INSTALLED_DOCS) $(REPORT)
	$(BIN)/python docs/site.py $(REPORT)

tutorials: $(INSTALLED_DEV)
	OMP_NUM_THREADS=1 $(BIN)/python docs/tutorials.py

clean:
	rm -rf $(VENV) stylex-demo build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "stylex needs Python 3.11 or newer; try: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(INSTALLED): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e .
	@touch $@

$(INSTALLED_DEV): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e ".[dev]"
	@touch $@ $(INSTALLED)

$(INSTALLED_DOCS): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e ".[docs]"
	@touch $@ $(INSTALLED)

$(REPORT): $(shell find src -name '*.py' -o -name '*.j2' -o -name '*.js' -o -name '*.css') | $(INSTALLED)
	rm -rf build/demo
	$(BIN)/stylex demo --out build/demo
