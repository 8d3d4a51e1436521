# `make` alone prints the targets. Variables: RECIPE, ARGS (overrides), LAUNCH (where a run is started:
# docs/cluster.md), PYTHON, VENV, and PIP_ARGS
# (arguments for pip, say where a CPU build of torch is: scripts/install.py).
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3.11
VENV ?= .venv
RECIPE ?= mint_tiny
ARGS ?=
LAUNCH ?=
PIP_ARGS ?=
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help install install-gpu demo demo-tiny test quick soak train train-ray train-slurm train-k8s doctor plan sweep
.PHONY: gpu-check data reproduce check docs size format bench fit docker docker-gpu clean

help:  ## print this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(STAMP)  ## make .venv with the pinned CPU set, mint and the test tools

$(STAMP): requirements/cpu.txt requirements/dev.txt requirements/vllm-name/pyproject.toml pyproject.toml scripts/install.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python scripts/install.py --pip-args="$(PIP_ARGS)" requirements/cpu.txt requirements/dev.txt requirements/vllm-name
	$(BIN)/python -m pip install --quiet --no-deps $(PIP_ARGS) -e .
	@touch $@

install-gpu:  ## make .venv with the pinned GPU set (CUDA 13; Python 3.11 or 3.12) and mint
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --no-deps $(PIP_ARGS) -r requirements/gpu.txt
	$(BIN)/python -m pip install --quiet --no-deps $(PIP_ARGS) -e .
	@touch $(STAMP)

demo: install  ## train SmolLM2-135M, measure it before and after, write a report (15 min, 16 GB of memory)
	$(BIN)/python -m mint.train +recipe=mint_smol $(ARGS)

demo-tiny: install  ## the same with a policy of 4M parameters made on the spot (6 min, 12 GB)
	$(BIN)/python -m mint.train +recipe=mint_tiny $(ARGS)

test: install  ## the whole test suite, real training runs included
	$(BIN)/python -m pytest $(ARGS)

quick: install  ## the unit tests that load no model and start no process (about a minute)
	$(BIN)/python -m pytest tests/unit --quick $(ARGS)

soak: install  ## break real training runs in every way (1 to 2 h); ARGS="-k signals" for a part
	$(BIN)/python -m pytest tests/soak -s $(ARGS)

train: install  ## train RECIPE (default mint_tiny); ARGS="mint.reward.kl=0.5 ..."
	$(BIN)/python -m mint.train +recipe=$(RECIPE) $(ARGS)

train-ray: install  ## submit RECIPE to a Ray cluster; LAUNCH="address=http://HEAD:8265 gpus=8"
	$(BIN)/python -m mint.launch ray $(LAUNCH) -- +recipe=$(RECIPE) $(ARGS)

train-slurm: install  ## submit RECIPE to SLURM, re-queued and resumed; LAUNCH="gpus=8 partition=gpu hours=12"
	$(BIN)/python -m mint.launch slurm $(LAUNCH) -- +recipe=$(RECIPE) $(ARGS)

train-k8s: install  ## start RECIPE as a KubeRay RayJob; LAUNCH="name=mint-1 image=REGISTRY/mint:gpu claim=mint-runs"
	$(BIN)/python -m mint.launch kubernetes $(LAUNCH) -- +recipe=$(RECIPE) $(ARGS) | kubectl apply -f -

doctor: install  ## say what this machine has and what is missing
	$(BIN)/python -m mint.doctor $(ARGS)

plan: install  ## say what RECIPE needs before anything starts: memory, disk, time
	$(BIN)/python -m mint.plan +recipe=$(RECIPE) $(ARGS)

sweep: install  ## run RECIPE for every value of ARGS="mint.reward.kl=0,0.5,1"
	$(BIN)/python -m mint.sweep +recipe=$(RECIPE) $(ARGS)

gpu-check: install  ## three real steps on one GPU in at most 8 minutes; ARGS="--shape 1.7b"
	$(BIN)/python tests/gpu/check.py $(ARGS)

data: install  ## turn INPUT=conversations.json into training data in OUTPUT=folder
	$(BIN)/python -m mint.prepare input=$(INPUT) output=$(OUTPUT) $(ARGS)

fit: install  ## refit the shipped graders from UPSTREAM=checkout of the official MINT repository
	$(BIN)/python -m rewards.fit upstream=$(UPSTREAM) $(ARGS)

reproduce: install  ## rebuild the published tables from UPSTREAM=checkout of the official repository
	$(BIN)/python -m mint.reproduce upstream=$(UPSTREAM) output=outputs/reproduction --overwrite $(ARGS)

check: install  ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: install  ## build the documentation as a site in outputs/site, with strict links
	$(BIN)/python scripts/docs_site.py $(ARGS)

size:  ## print how large the code is, by room; ARGS=--check fails when a limit is broken
	@$(PYTHON) scripts/size.py $(ARGS)

format: install  ## mend what `check` would complain about
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install  ## measure a training step part by part, the graders, and TRL doing the same work
	$(BIN)/python -m mint.bench $(ARGS)

docker:  ## build the CPU image
	docker build -f docker/Dockerfile.cpu -t mint:cpu .

docker-gpu:  ## build the GPU training image
	docker build -f docker/Dockerfile -t mint:gpu .

clean:  ## remove caches and built packages (keeps outputs/ and .venv)
	rm -rf build dist .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
