# Two commands: `make sweep` and `make test`. Each makes .venv if it is missing.

PYTHON ?= python3
BIN := .venv/bin
# In the order of tests/conftest.py: long tests first.
TOGETHER := -n 2 --dist loadgroup --no-loadscope-reorder
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: sweep test test-slow test-avx2 check bench clean

sweep: .venv/installed
	$(BIN)/seqtune sweep sweeps/lstm_vs_tree.yaml

test: .venv/installed-dev
	$(BIN)/pytest $(TOGETHER)

test-slow: .venv/installed-dev
	$(BIN)/pytest $(TOGETHER) -m slow

# As on a CPU without AVX-512, whatever this one is.
test-avx2: .venv/installed-dev
	ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 $(BIN)/pytest $(TOGETHER) tests/models tests/training tests/runs/test_build.py

check: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/pytest -q --noconftest tests/test_imports.py

bench: .venv/installed-dev
	for script in analysis/benchmarks/*.py; do $(BIN)/python $$script || exit; done

# torch first and by itself: the constraint takes the build that is at hand, CPU or CUDA, once.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) torch
	$(PIP) --editable .
	touch $@

.venv/installed-dev: .venv/installed
	$(PIP) --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv
