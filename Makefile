# Everything goes through one virtual environment, made on first use and again when setup.cfg changes.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
ADDR   ?= 127.0.0.1:5000
DATA   ?= data

.DEFAULT_GOAL := help
.PHONY: help run test check lint types layers format test-s3 test-gcs test-azure integration conformance compat bench clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/.run: setup.cfg pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python >= 3.11 is needed; try: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(BIN)/.test: $(BIN)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

$(BIN)/.check: $(BIN)/.test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,check,integration]'
	@touch $@

$(BIN)/.test-s3: $(BIN)/.test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,test-s3]'
	@touch $@

$(BIN)/.test-gcs: $(BIN)/.test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,test-gcs]'
	@touch $@

$(BIN)/.test-azure: $(BIN)/.test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,test-azure]'
	@touch $@

.azurite/node_modules/.bin/azurite-blob:
	npm install --silent --no-fund --no-audit --prefix .azurite azurite@3

run: $(BIN)/.run ## Serve a registry on ADDR (127.0.0.1:5000) from the directory DATA (./data)
	@echo "Next: docker push $(ADDR)/NAME:TAG (or skopeo, podman, crane, oras). Stop with Ctrl-C; the images stay in $(DATA)/."
	@REGISTRY_HTTP_ADDR=$(ADDR) REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=$(DATA) $(BIN)/registry serve deploy/config-dev.yml

test: $(BIN)/.test ## Run the unit and HTTP tests (no network, no root, under 3 minutes)
	@$(BIN)/python -m pytest -n auto
	@echo "Next: make run serves a registry; make check adds linters and types; make integration uses real clients."

check: lint types layers test ## Everything a commit needs: ruff, mypy strict, import layers, tests

lint: $(BIN)/.check
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(BIN)/.check
	@$(BIN)/mypy

layers: $(BIN)/.check
	@$(BIN)/lint-imports

format: $(BIN)/.check ## Let ruff format and mend what it can
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

test-s3: $(BIN)/.test-s3 ## The s3 driver on SeaweedFS and moto, and two registries over one bucket (about 10 minutes)
	@$(BIN)/python -m pytest -m s3 -p no:xdist tests/drivers tests/integration/test_s3.py

test-gcs: $(BIN)/.test-gcs ## The gcs driver on fake-gcs-server, and two registries over one bucket (3 minutes)
	@$(BIN)/python -m pytest -m gcs -p no:xdist tests/drivers tests/integration/test_clouds.py

test-azure: $(BIN)/.test-azure .azurite/node_modules/.bin/azurite-blob ## The azure driver on Azurite, the same (needs npm; 5 minutes)
	@$(BIN)/python -m pytest -m azure -p no:xdist tests/drivers tests/integration/test_clouds.py

integration: $(BIN)/.check ## Real servers and real clients (skips absent ones; REQUIRE_CLIENTS=1 fails instead)
	@$(BIN)/python -m pytest tests/integration --ignore tests/integration/compat -p no:xdist

conformance: $(BIN)/.check ## The OCI conformance program with everything on (needs Go)
	@tests/integration/conformance.sh

compat: $(BIN)/.check ## Side by side with Debian's docker-registry: answers, storage tree, upload tokens
	@$(BIN)/python -m pytest tests/integration/compat -p no:xdist

bench: $(BIN)/.test ## Side by side with the Go registry: ROWS='manifest*' PEERS='ours v3' PLACES=tmpfs ROUNDS=3 SHORT=1
	@$(BIN)/python -m tests.benchmarks --output build/bench $(if $(SHORT),--short) $(if $(ROUNDS),--rounds $(ROUNDS)) \
		--rows '$(ROWS)' --peers '$(PEERS)' --places '$(PLACES)'

clean: ## Remove the virtual environment and caches; DATA stays
	rm -rf $(VENV) .azurite .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build *.egg-info
