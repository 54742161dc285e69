# Everything runs in .venv, which is made from nothing and renewed when pyproject.toml changes.
#   make demo    the whole way on a small server: estimate, loadtest, recommend, gate (one minute)
#   make test    all tests
#   make check   lint, format and types
#   make bench   the benchmarks that print the tables in the docs (half an hour)
#   make docs    renew what the docs show of the commands

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo test check bench docs

help:
	@sed -n 's/^#   //p' Makefile

demo: $(READY)
	$(BIN)/capplan demo

test: $(READY)
	$(BIN)/python -m pytest

check: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python benchmarks/estimate.py
	$(BIN)/python benchmarks/recommend.py
	$(BIN)/python benchmarks/search.py
	$(BIN)/python benchmarks/accuracy.py

docs: $(READY)
	$(BIN)/python -m capplan.plan.json_schema
	$(BIN)/python docs/transcript.py

$(READY): pyproject.toml
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
	  { echo "python3 cannot make environments here: apt-get install python3-venv"; exit 4; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@# an old pip knows no dependency groups
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $(READY)
