# make demo   one command from a fresh clone to a report     make test   the test suite
# The environment lives in .venv; stamp files say what is installed, so nothing is installed twice.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The first Python on the path that is new enough; override with `make PYTHON=... demo`.
ifndef PYTHON
PYTHON := $(shell for python in python3 python3.12 python3.11 python3.13; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo "$$python"; break; }; done)
endif

VENV := .venv
BIN := $(VENV)/bin
BASE := $(VENV)/.installed-base
DEV := $(VENV)/.installed-dev
RUNS ?= runs
OUT ?= $(RUNS)/demo
TEST_ARGS ?=
# Processes that share the test files; one thread each.
TEST_WORKERS ?= 2

# Messages of the package index that are no concern of the reader stay hidden; errors do not.
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
INSTALL := $(PIP) install --no-compile -c constraints.txt

# sam2 compiles an optional CUDA extension if it can; nothing here uses it.
export SAM2_BUILD_CUDA ?= 0
# After the install nothing may reach for the network.
OFFLINE := HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 HF_DATASETS_OFFLINE=1 WANDB_MODE=disabled

.PHONY: help setup demo test check dashboard doctor nano results screenshots

help:  ## Show the targets
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

# sam2 is published as source only and asks for torch while it is built. In an isolated build pip
# would fetch the newest CUDA torch for that (some 2.5 GB), whatever the constraints say; so torch
# goes in first and sam2 is built against it.
$(BASE): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "error: no Python >= 3.11 found; install one or call make PYTHON=/path/to/python" >&2; exit 2; }
	@echo "[1/4] environment in $(VENV)  ($$($(PYTHON) --version))"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "[2/4] torch and build tools"
	@$(INSTALL) torch numpy setuptools wheel
	@echo "[3/4] sam2, built against that torch"
	@$(INSTALL) --no-build-isolation --no-deps sam2
	@echo "[4/4] everything else (a minute or two)"
	@$(INSTALL) -e .
	@touch $@

$(DEV): $(BASE)
	@echo "[dev] test and lint tools"
	@$(INSTALL) -e '.[dev]'
	@# The suite starts many processes; where nothing may be written on import, each compiles anew.
	@$(BIN)/python -m compileall -q -j 0 $(VENV)/lib -x '/tests?/|/sympy/|/ray/' >/dev/null 2>&1 || true
	@touch $@

setup: $(BASE)  ## Make .venv and install the package
	@echo "ready: $(BIN)/reviosa --help"

demo: $(BASE)  ## The whole main job on the shipped nano model
	@$(OFFLINE) $(BIN)/reviosa demo --out $(OUT)

test: $(DEV)  ## Run the test suite
	@$(OFFLINE) OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest -q -m "not slow and not gpu" \
		-n $(TEST_WORKERS) --dist loadfile $(TEST_ARGS)

# From nothing to the nano model: benchmark, stages of the recipe, exam. A stage that was stopped goes on.
NANO := $(RUNS)/nano
nano: $(BASE)  ## Make the nano model from nothing (two to three hours on 2 cores, 12 GB)
	@$(OFFLINE) $(BIN)/reviosa synth data/nano --benchmark configs/benchmarks/nano.yaml
	@$(OFFLINE) $(BIN)/python -m reviosa.training.nano make --recipe configs/nano/recipe.yaml \
		--data data/nano/train --out $(NANO)
	@$(OFFLINE) $(BIN)/python -m reviosa.training.nano exam --model $(NANO)/bind \
		--benchmark data/nano --out $(NANO)/exam.json

# The paper's comparisons on the nano model. What is done is not done again; results are kept, weights
# and masks are not. The page is made from what is kept, so that anyone can make it again.
PAPER := $(RUNS)/paper
KEPT := docs/results/runs
results: $(BASE)  ## Run the paper's comparisons on the nano model and write docs/results.md
	@$(OFFLINE) $(BIN)/reviosa synth data/nano --benchmark configs/benchmarks/nano.yaml
	@$(OFFLINE) $(BIN)/reviosa capture --model nano --data data/nano/test --out $(PAPER)/nano-on-test \
		--maps none --resume
	@$(OFFLINE) $(BIN)/reviosa sweep configs/sweeps/table-3.yaml --out $(PAPER)
	@$(OFFLINE) $(BIN)/reviosa sweep configs/sweeps/figure-6c.yaml --out $(PAPER)
	@rm -rf $(KEPT) && mkdir -p $(KEPT)
	@tar -C $(PAPER) --exclude=model --exclude=features --exclude=checkpoints --exclude=predictions --exclude=.lock \
		--exclude=predictions.json --exclude=analysis.json --exclude='*.log' --exclude=log.txt -cf - . | tar -C $(KEPT) -xf -
	@$(BIN)/reviosa report $(KEPT)/sweeps/table-3 $(KEPT)/sweeps/figure-6c $(KEPT)/nano-on-test \
		-o docs/results.md --heading "The paper's analysis on the nano model"

screenshots: $(DEV)  ## Pictures of every page and of the report, from the demo's runs
	@$(OFFLINE) $(BIN)/python docs/make_screenshots.py --demo $(OUT)

check: $(DEV)  ## Lint, formatting, types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright

dashboard: $(BASE)  ## Open the dashboard on the runs folder
	@$(OFFLINE) $(BIN)/reviosa dashboard $(RUNS)

doctor: $(BASE)  ## Say what is installed and what is broken
	@$(BIN)/reviosa doctor
