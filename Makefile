# `make` lists the targets. Every target sets up the virtual environment it needs.
# The first of these that is there and of a version that ablate runs on; PYTHON=... takes another.
PYTHONS = python3.11 python3.12 python3.13 python3
FITS = import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for python in $(PYTHONS); do $$python -c '$(FITS)' 2>/dev/null && echo $$python && break; done)
VENV ?= .venv
BIN = $(VENV)/bin
READY = $(VENV)/ready
CLUSTERS_READY = $(VENV)/clusters-ready

# Waiting threads sleep instead of spinning, as in the command itself: a busy core would slow the tests down tenfold.
export OMP_WAIT_POLICY ?= passive

.DEFAULT_GOAL := help
.PHONY: help rank smoke test numerical numerical-avx2 numerical-plain clusters lint format types check tiny

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	$(if $(PYTHON),,$(error ablate needs Python 3.11, 3.12 or 3.13, and none of $(PYTHONS) is one. Fix: install one, or PYTHON=/path/to/python3.12))
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,digits,lm-eval,mlflow,quantization,tensorboard,wandb]'
	touch $(READY)

rank: $(READY)  ## run the rank ablation on the tiny model
	$(BIN)/ablate run +ablation=rank

smoke: $(READY)  ## two values, one seed: the whole path from command to CSV in under a minute
	$(BIN)/ablate run +ablation=rank 'ablation.values=[8,64]' 'seeds=[0]' name=smoke force=true

# One process for every core, each with one thread: twice as fast on two cores as one process with two.
test: $(READY)  ## run the tests
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses=auto --dist=worksteal

# Other instruction sets stand for other processors: sums are then added up in another order. `make test` runs the
# native one.
numerical: $(READY)  ## run the tests that compare floats as other processors would
	$(MAKE) --jobs=2 $(if $(filter output-sync,$(.FEATURES)),--output-sync) numerical-avx2 numerical-plain

numerical-avx2: export ATEN_CPU_CAPABILITY = avx2
numerical-plain: export ATEN_CPU_CAPABILITY = default
numerical-plain: export MKL_CBWR = COMPATIBLE
numerical-plain: export ONEDNN_MAX_CPU_ISA = SSE41
numerical-avx2 numerical-plain: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/pytest -m numerical

$(CLUSTERS_READY): $(READY)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[ray,slurm]'
	touch $(CLUSTERS_READY)

# Debian and Ubuntu have Slurm: apt-get install slurm-wlm munge. Slurm's tests wait for its clock most of the time, so
# Ray's are run beside them.
clusters: $(CLUSTERS_READY)  ## run the tests that need Slurm's daemons or Ray
	OMP_NUM_THREADS=1 $(BIN)/pytest -m cluster --numprocesses=2 --dist=loadfile

lint: $(READY)  ## check style, docstrings and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY)  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(READY)  ## check types strictly
	$(BIN)/mypy

check: lint types test numerical clusters smoke  ## everything that CI runs

tiny: $(READY)  ## build the shipped tiny model again from its seed
	$(BIN)/python scripts/build_tiny.py
