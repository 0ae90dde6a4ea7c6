# Everything a person runs. `make demo` shows the product, `make test` proves it, `make down` puts the machine back.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
# The lab makes network namespaces and mounts, so it runs as root; tests that use it too.
SUDO := $(if $(filter 0,$(shell id -u)),,sudo -E)
export PYTHONPATH := operator:trainer_image:.
export PYTHONUNBUFFERED := 1
TESTS ?=
# So many side by side, unless a make above says how many: to say it again is warned of.
jobs = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(1))

# The clusters stay up, whatever came of it: who is done is told what they take and how to stop them.
then_say_what_runs = code=0; $(1) || code=$$?; $(SUDO) $(BIN)/python -m lab left; exit $$code

.PHONY: help demo test checks clusters ready built lint unit integration e2e bench lab down status packages python tools images lock clean

help:  ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: built  ## three hospitals train one model, from nothing to the table
	@$(SUDO) $(BIN)/python -m lab.demo

test: built lint  ## everything: lint, types, unit, integration, e2e on real clusters
	@$(call then_say_what_runs,$(MAKE) -j2 clusters checks)

# Beside e2e, which waits for its clusters a third of the time, and never before it. What each of them says comes in one
# piece when it is over.
checks: $(VENV)/.done
	@$(BIN)/python -m lab.behind $(MAKE) --output-sync=target unit integration

lint: $(VENV)/.done  ## ruff, mypy --strict, import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy operator/wardround trainer_image/wardround_trainer lab bench tests
	@$(BIN)/lint-imports --no-cache

unit: $(VENV)/.done  ## tests that need no cluster
	@$(BIN)/pytest -q tests/unit $(TESTS)

integration: ready  ## tests on a real API server and a real object store
	@$(BIN)/pytest -q tests/integration $(TESTS)

e2e: built  ## tests on the lab's real clusters
	@$(call then_say_what_runs,$(MAKE) clusters)

clusters:
	@$(SUDO) $(BIN)/pytest -q tests/e2e $(TESTS)

bench: built  ## what a round takes beside empty Jobs, and what the operators weigh, on the clusters that make demo left
	@$(SUDO) $(BIN)/python -m bench.round
	@$(SUDO) $(BIN)/python -m bench.footprint
	@$(BIN)/python -m bench.federation

lab: ready  ## one hub and three hospital clusters, empty
	@$(SUDO) $(BIN)/python -m lab up
	@$(SUDO) $(BIN)/python -m lab left

down: $(VENV)/.done  ## stop the clusters and take away all that the lab made
	@$(SUDO) $(BIN)/python -m lab down

status: $(VENV)/.done  ## what runs
	@$(SUDO) $(BIN)/python -m lab status

# Side by side: what waits for the network leaves the processors to what compiles.
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

python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version) if sys.version_info < (3, 11) else None'

# A stamp, so that changed pins are installed and unchanged ones cost nothing.
$(VENV)/.done: requirements/dev.txt | python
	@echo "Python packages: installing into $(VENV) (about a minute and a half the first time)"
	@$(PYTHON) -m venv $(VENV) || { echo "python3 -m venv failed: install python3-venv"; exit 1; }
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

lock: $(VENV)/.done  ## resolve requirements again (needs uv)
	uv pip compile -q --upgrade --generate-hashes --no-emit-index-url --no-header --universal --python-version 3.11 --no-annotate --extra operator pyproject.toml -o requirements/operator.txt
	uv pip compile -q --upgrade --generate-hashes --no-emit-index-url --no-header --universal --python-version 3.11 --no-annotate --extra dev -c requirements/operator.txt pyproject.toml -o requirements/dev.txt
	printf 'pyarrow>=20\nsafetensors>=0.6\n' | uv pip compile -q --upgrade - --generate-hashes --no-emit-index-url --no-header --no-annotate --python-version 3.13 -o requirements/trainer.txt

clean: down  ## also the virtual environment and build/
	@rm -rf build $(VENV)
