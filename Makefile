# `make` lists the targets. Every target sets up the virtual environment it needs.
PYTHON ?= python3.11
VENV ?= .venv
BIN = $(VENV)/bin
READY = $(VENV)/ready

.DEFAULT_GOAL := help
.PHONY: help rank smoke test lint format types check tiny

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,digits,lm-eval]'
	touch $(READY)

rank: $(READY)  ## run the rank ablation on the tiny model
	$(BIN)/ablate run +ablation=rank

smoke: $(READY)  ## two values, one seed: the whole path from command to CSV in under a minute
	$(BIN)/ablate run +ablation=rank 'ablation.values=[8,64]' 'seeds=[0]' name=smoke force=true

test: $(READY)  ## run the tests
	$(BIN)/pytest

lint: $(READY)  ## check style, docstrings and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY)  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(READY)  ## check types strictly
	$(BIN)/mypy

check: lint types test smoke  ## everything that CI runs

tiny: $(READY)  ## build the shipped tiny model again from its seed
	$(BIN)/python scripts/build_tiny.py
