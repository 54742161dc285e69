# Everything runs in an environment of its own, which is made from nothing and renewed when
# pyproject.toml changes. "make PYTHON=python3.12 test" uses another Python, beside the first.
#
#   make demo    the whole way on a small server: estimate, loadtest, recommend, gate (90 seconds)
#   make test    all tests
#   make lowest  the contract with Locust, and loads with it, on the lowest version that is supported
#   make check   lint, format and types
#   make bench   the benchmarks behind docs/methods.md (half an hour)
#   make docs    renew what the documentation shows of the commands; with MEASURE=1 also its load test

PYTHON ?= python3
VENV := .venv$(patsubst %,-%,$(notdir $(filter-out python3,$(PYTHON))))
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LOWEST := .venv-lowest

.PHONY: help demo test lowest check bench docs

help:
	@sed -n 's/^#   //p' Makefile

demo: $(READY)
	$(BIN)/python -m capplan demo

test: $(READY)
	$(BIN)/python -m pytest --numprocesses 3 --dist loadgroup --durations 25

lowest: $(LOWEST)/.ready
	$(LOWEST)/bin/python -m pytest tests/loadtest/test_locust_contract.py tests/loadtest/test_scripts.py \
		tests/loadtest/test_wire.py

check: $(READY)
	$(BIN)/python -m ruff check
	$(BIN)/python -m ruff format --check
	$(BIN)/python -m mypy

bench: $(READY)
	$(BIN)/python benchmarks/estimate.py
	$(BIN)/python benchmarks/recommend.py
	$(BIN)/python benchmarks/widening.py
	$(BIN)/python -m pip install --quiet --group bench
	$(BIN)/python benchmarks/simulate.py
	$(BIN)/python -m benchmarks.search
	$(BIN)/python benchmarks/paired.py
	$(BIN)/python -m benchmarks.gate
	$(BIN)/python benchmarks/units.py
	$(BIN)/python -m benchmarks.accuracy
	$(BIN)/python benchmarks/generator.py

docs: $(READY)
	$(BIN)/python -m capplan.plan.json_schema
	$(BIN)/python docs/transcript.py $(if $(MEASURE),--measure)

define require_python
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "capplan needs Python 3.11 or later; name one: make PYTHON=python3.12"; exit 4; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
	  { echo "$(PYTHON) cannot make environments here: apt-get install python3-venv"; exit 4; }
endef

$(LOWEST)/.ready: pyproject.toml
	$(require_python)
	@echo "setting up $(LOWEST)"
	@test -x $(LOWEST)/bin/pip || $(PYTHON) -m venv $(LOWEST)
	@$(LOWEST)/bin/python -m pip install --quiet --upgrade pip
	@$(LOWEST)/bin/python -m pip install --quiet --editable . --group lowest
	@touch $@

$(READY): pyproject.toml
	$(require_python)
	@echo "setting up $(VENV), which takes about a minute"
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@# an old pip knows no dependency groups
	@$(BIN)/python -m pip install --quiet --upgrade pip
	@$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $(READY)
