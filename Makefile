# Everything a clone needs, from Python 3.11-3.14 and make alone. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help lab course ablation test hostile bench lint format notebooks clean

# The first Python on PATH that the package supports; `make lab PYTHON=/path/to/python` chooses another.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))
PYTHON ?= $(shell for python in python3 python3.12 python3.11 python3.13 python3.14 python; do \
	$$python -c '$(SUPPORTED)' >/dev/null 2>&1 && { echo $$python; break; }; done)
PRESET ?= laptop
# ONLY=03 limits `make course` and `make notebooks` to notebooks whose name starts so. SOLVED=1 lets `make course` run them
# as a learner who has solved every exercise.
ONLY ?=
# `make ablation STUDY=latent-action SEEDS="0 1 2"`: which study, and the seeds of training.
STUDY ?= tokenizer
SEEDS ?= 0
# How much `make hostile` tries.
INPUTS ?= 6000
INTERRUPTS ?= 120
VENV := .venv
BIN := $(VENV)/bin
INSTALL = $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e
# JupyterLab refuses to run as root unless told to.
ROOT_FLAG := $(shell [ "$$(id -u)" = 0 ] && echo --allow-root)

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

lab: $(VENV)/installed  ## set up .venv where missing and open the first notebook in JupyterLab
	$(BIN)/jupyter lab $(ROOT_FLAG) notebooks/00_play_first.ipynb

course: $(VENV)/installed  ## run every notebook in order into runs/course-PRESET (PRESET=laptop; tiny takes minutes)
	$(BIN)/python tools/course.py run --only "$(ONLY)" --preset $(PRESET) $(if $(SOLVED),--solved) \
	  --out runs/course-$(PRESET)$(if $(SOLVED),-solved)

notebooks: $(VENV)/installed  ## run every notebook in place at its own parameters, to refresh the committed outputs
	$(BIN)/python tools/course.py refresh --only "$(ONLY)"

ablation: $(VENV)/installed  ## repeat an ablation into runs/ablation (STUDY=tokenizer, latent-action, past, actions, codes or temperature; SEEDS="0 1 2")
	$(BIN)/python tools/ablation.py $(STUDY) --preset $(PRESET) --seeds $(SEEDS) --out runs/ablation

test: $(VENV)/installed-test  ## unit, notebook and browser tests (browser: needs Chromium; skipped without, unless CI=true)
	$(BIN)/python -m pytest --durations=10 --numprocesses auto --maxprocesses 4 --dist loadgroup tests

hostile: $(VENV)/installed-test  ## hostile inputs to all that reads, interrupts to all that writes (INPUTS=6000 INTERRUPTS=120)
	PYTHONPATH=.:tests $(BIN)/python -m hostile --inputs $(INPUTS) --interrupts $(INTERRUPTS)

bench: $(VENV)/installed  ## how fast it is against a plain reference: tables, and runs/bench-PRESET.json
	$(BIN)/python -m benchmarks.bench --preset $(PRESET) --json runs/bench-$(PRESET).json

lint: $(VENV)/installed-lint  ## ruff (lint and format) and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed-lint  ## put every Python file in ruff's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove .venv and caches; runs/ stays
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# Stamps: each is as new as the last install, so that a second `make` starts at once.
$(VENV)/made:
	@[ -n "$(PYTHON)" ] || { echo "No Python 3.11-3.14 found on PATH: install one, or say make PYTHON=/path/to/python" >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { echo "On Debian and Ubuntu, apt-get install python3-venv brings what is missing" >&2; exit 1; }
	@touch $@

$(VENV)/installed: $(VENV)/made pyproject.toml constraints.txt
	@echo "Installing genie-lite and its dependencies into $(VENV) (once, a few minutes)"
	@$(INSTALL) .
	@touch $@

$(VENV)/installed-%: $(VENV)/installed
	@echo "Installing the packages of the '$*' extra"
	@$(INSTALL) ".[$*]"
	@touch $@
