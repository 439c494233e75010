# Everything a developer or CI runs. `make help` lists it; CONTRIBUTING.md tells the order.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PY_FOLDERS := operator hack tests triton_models

## -- The two that matter --

.PHONY: demo
demo: install  ## a real cluster, a trained model on three hardware classes, load, a killed node: all on screen
	PYTHONPATH=hack:triton_models $(BIN)/python -m kit.demo

.PHONY: test
test: check install programs  ## all tests, the end-to-end ones on the local cluster included
	$(BIN)/pytest tests/integration
	$(BIN)/pytest -s tests/e2e

## -- The inner loop --

.PHONY: check
check: venv  ## format, lint, types, import contracts, unit and property tests, generated files (under 90 s)
	$(BIN)/ruff format --check $(PY_FOLDERS)
	$(BIN)/ruff check $(PY_FOLDERS)
	$(BIN)/mypy
	$(BIN)/mypy triton_models/*.py triton_models/backends/onnxruntime/model.py hack/device-plugin/*.py
	$(BIN)/lint-imports
	$(BIN)/python -m heteroserve.api.crd --check
	$(BIN)/pytest -q tests/unit tests/property tests/golden -m "not integration"

.PHONY: format
format: venv  ## formats and mends what a tool can mend
	$(BIN)/ruff format $(PY_FOLDERS)
	$(BIN)/ruff check --fix $(PY_FOLDERS)

.PHONY: generate
generate: venv  ## the CRDs from the models, the golden files from the code: look at the diff
	$(BIN)/python -m heteroserve.api.crd
	$(BIN)/pytest -q tests/golden --update-golden

.PHONY: requirements
requirements: venv  ## the pinned requirements, with hashes, from pyproject.toml
	$(BIN)/pip-compile $(PIN) --output-file requirements.txt pyproject.toml
	$(BIN)/pip-compile $(PIN) --extra dev --extra models --output-file requirements-dev.txt pyproject.toml
PIN := --quiet --strip-extras --generate-hashes --allow-unsafe --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header

## -- The local cluster --

.PHONY: cluster
cluster: models  ## one control plane and five workers with emulated accelerators (first time about 25 minutes)
	hack/cluster/up.sh

.PHONY: cluster-delete
cluster-delete:  ## removes the cluster; what was built stays in the cache
	hack/cluster/delete.sh

.PHONY: install
install: cluster  ## the operator, from this working tree
	hack/cluster/install-operator.sh

.PHONY: programs
programs:
	hack/cluster/build-programs.sh >/dev/null  # a real API server for the integration tests; nothing when they are there

.PHONY: models
models: venv  ## trains and exports the sample model, fp32 and int8 (some seconds; nothing when up to date)
	$(BIN)/python triton_models/train.py

.PHONY: profile
profile: models  ## measures both variants on a real Triton here and prints their profiles
	PYTHONPATH=hack $(BIN)/python -m kit.measure --variant fp32
	PYTHONPATH=hack $(BIN)/python -m kit.measure --variant int8

.PHONY: bench-failover
bench-failover: install  ## failover under load, hours: TRIALS, RATE, FAULTS (a,b,c), TARGET (operator, service, route) choose
	PYTHONPATH=hack:triton_models $(BIN)/python -m kit.bench run \
	  $(if $(TRIALS),--trials $(TRIALS)) $(if $(RATE),--rate $(RATE)) \
	  $(if $(FAULTS),--faults $(FAULTS)) $(if $(TARGET),--target $(TARGET))

## -- Set-up --

.PHONY: venv
venv: $(VENV)/.complete  ## the virtual environment, with pinned and hash-checked packages

$(VENV)/.complete: requirements-dev.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV) || { echo "error: no venv module; on Debian: apt install python3-venv"; exit 1; }
	$(BIN)/pip install --quiet --require-hashes --requirement requirements-dev.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

.PHONY: clean
clean:  ## removes what was made in this folder; the cluster and the cache stay
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.PHONY: help
help:  ## this text
	@awk 'BEGIN {FS = ":.*## "} /^## -- /{gsub(/^## -- | --$$/, ""); printf "\n%s\n", $$0} /^[a-z-]+:.*## /{printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
