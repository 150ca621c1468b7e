# Works from a clean clone with python3 (3.11 or later) and make. Everything lands in .venv; nothing else is changed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
OUT ?= out
SEEDS ?= 100
FROM ?= 0

# Installed from hash-pinned lists, so that every machine has the same bytes. The stamps make a second call quick.
RUNTIME := $(VENV)/.installed-runtime
TOOLS := $(VENV)/.installed-tools

.DEFAULT_GOAL := help
.PHONY: help run test simulate promises odd-servers check lint format bench sandbox quota-sweep fuzz lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s  %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: $(RUNTIME) ## harvest five simulated providers into out/ and prove that nothing is missing
	$(BIN)/harvester demo --out $(OUT)

test: $(TOOLS) ## run all tests, on two cores
	$(BIN)/python -m pytest -n 2

simulate: $(TOOLS) ## play SEEDS simulated harvests of every scenario, beginning with seed FROM
	$(BIN)/python -m tests.simulation --seeds $(SEEDS) --from $(FROM)

promises: $(TOOLS) ## compare plans with what came of them, SEEDS times on each kind of hidden quota
	$(BIN)/python -m tests.api.promises $(SEEDS)

check: lint test ## all that CI checks: format, lint, types, layering, tests

lint: $(TOOLS) ## format, lint and types; changes nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(TOOLS) ## bring the code into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(TOOLS) ## measure, and compare with a plain aiohttp + orjson loop
	@set -e; for file in benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python -m "benchmarks.$$(basename "$$file" .py)"; done

odd-servers: $(TOOLS) ## harvest SEEDS servers with oddities by chance while their rows come and go
	$(BIN)/python -m tests.api.odd_servers $(SEEDS) $(FROM)

quota-sweep: $(TOOLS) ## what the governor gets of hidden quotas: SEEDS=200 HOURS=24 WORD=headers FILE=rows.txt
	$(BIN)/python -m tests.governor.sweep $(or $(SEEDS),3) $(or $(HOURS),24) "$(WORD)" $(FILE)

fuzz: $(TOOLS) ## read COUNT made-up answers (a million) in every dialect of quotas
	$(BIN)/python -m tests.governor.fuzz $(or $(COUNT),1000000)

sandbox: $(RUNTIME) ## serve the simulated providers until Ctrl-C
	$(BIN)/harvester sandbox

lock: ## pin the newest allowed dependencies again (needs pip-compile of pip-tools)
	pip-compile $(LOCK) --output-file requirements.txt pyproject.toml
	pip-compile $(LOCK) --only-build-deps --build-deps-for editable --output-file requirements-build.txt pyproject.toml
	pip-compile $(LOCK) --extra dev --build-deps-for editable --output-file requirements-dev.txt pyproject.toml

# Without names of hosts: where packages come from is the business of the machine that installs them.
LOCK := --quiet --upgrade --generate-hashes --strip-extras --allow-unsafe --no-header --no-annotate \
        --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options

clean: ## remove .venv, caches and the demo's output (a harvest of your own in out/ stays)
	@if [ -e $(OUT)/_harvester/demo.json ]; then echo "rm -r $(OUT)"; rm -r $(OUT); fi
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -r {} +

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "harvester needs Python 3.11 or later")'
	$(PYTHON) -m venv $(VENV)

$(RUNTIME): requirements.txt requirements-build.txt pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --require-hashes -r requirements.txt -r requirements-build.txt
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(TOOLS): requirements-dev.txt $(RUNTIME)
	$(PIP) install --quiet --require-hashes -r requirements-dev.txt
	@touch $@
