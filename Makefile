# Everything goes through one virtual environment, made on first use, and again when setup.cfg changes, when an installation
# was interrupted, when the checkout moved.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
ADDR   ?= $(or $(REGISTRY_HTTP_ADDR),127.0.0.1:5000)
DATA   ?= $(or $(REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY),data)

.DEFAULT_GOAL := help
.PHONY: help run test check lint types layers format lock man test-s3 test-gcs test-azure integration pictures conformance compat bench clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

INSTALL = @$(PYTHON) deploy/environment.py $@

# Looked at each time; a stamp that is left as it is makes nothing else again.
$(BIN)/.run: FORCE
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		for other in python3.14 python3.13 python3.12 python3.11; do \
			$$other -c '' 2>/dev/null && try="try: make $(MAKECMDGOALS) PYTHON=$$other" && break; \
		done; \
		echo "$(PYTHON) is missing or too old: Python 3.11 or later is needed;" \
			"$${try:-install it (Debian, Ubuntu: apt-get install python3 python3-venv; Fedora: dnf install python3; macOS: brew install python)}" >&2; \
		exit 1; }
	$(INSTALL)

$(BIN)/.test: $(BIN)/.run
	$(INSTALL) test

$(BIN)/.check: $(BIN)/.test
	$(INSTALL) test check integration

$(BIN)/.lock: $(BIN)/.run
	$(INSTALL) lock

$(BIN)/.test-s3: $(BIN)/.test
	$(INSTALL) test integration test-s3

# Compiled, for want of wheels.
$(BIN)/.test-ldap: $(BIN)/.test
	$(INSTALL) test ldap

$(BIN)/.test-gcs: $(BIN)/.test
	$(INSTALL) test integration test-gcs

$(BIN)/.test-azure: $(BIN)/.test
	$(INSTALL) test integration test-azure test-s3

FORCE:

.azurite/node_modules/.bin/azurite-blob:
	npm install --loglevel=error --no-fund --no-audit --prefix .azurite azurite@3

.npm/node_modules/axe-core/axe.min.js:
	npm install --loglevel=error --no-fund --no-audit --prefix .npm axe-core@4 htmx.org@2.0.10 oidc-provider@9

# Where clients of this machine reach what listens on ADDR.
REACHED = $(patsubst :%,localhost:%,$(patsubst 0.0.0.0:%,localhost:%,$(patsubst [::]:%,localhost:%,$(ADDR))))

run: $(BIN)/.run ## Serve a registry on ADDR (127.0.0.1:5000) from the directory DATA (./data)
	@$(BIN)/python deploy/address.py "$(ADDR)"
	@echo "Next, in another terminal, with whichever you have:"
	@echo "  docker pull alpine && docker tag alpine $(REACHED)/alpine && docker push $(REACHED)/alpine"
	@echo "  podman pull alpine && podman push --tls-verify=false alpine $(REACHED)/alpine"
	@echo "  skopeo copy --dest-tls-verify=false docker://alpine docker://$(REACHED)/alpine"
	@echo "Look at it in a browser: http://$(REACHED)/ui/"
	@echo "Stop with Ctrl-C; the images stay in $(DATA)."
	@REGISTRY_HTTP_ADDR="$(ADDR)" REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY="$(DATA)" \
		REGISTRY_UI_INDEX_DIRECTORY="$(patsubst %/,%,$(DATA)).index" $(BIN)/registry serve deploy/config-dev.yml

# A file's tests in one process, which makes once what they share; in order, as files with few tests may take long.
BY_FILE = -n auto --dist loadfile --no-loadscope-reorder

test: $(BIN)/.test ## Run the unit and HTTP tests (no network, no root, about 6 minutes on two cores)
	@$(BIN)/python -m pytest $(BY_FILE)
	@echo "Next: make run serves a registry; make check adds linters and types; make integration uses real clients."

check: lint types layers test ## Everything a commit needs: ruff, mypy strict, import layers, tests

lint: $(BIN)/.check
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(BIN)/.check
	@$(BIN)/mypy

layers: $(BIN)/.check
	@$(BIN)/lint-imports

# The extras that the Dockerfile's EXTRAS may name. Versions stay as they are unless UPGRADE=1.
LOCKED = $(addprefix --extra ,acme azure fast gcs ldap otel redis s3)
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command 'make lock'

lock: $(BIN)/.lock ## Pin what the image is made of, with hashes, as setup.cfg asks for it (UPGRADE=1: newest versions)
	@$(COMPILE) $(if $(UPGRADE),--upgrade) $(LOCKED) --output-file deploy/docker/requirements.txt setup.cfg
	@$(COMPILE) $(if $(UPGRADE),--upgrade) --output-file deploy/docker/build.txt deploy/docker/build.in

man: $(BIN)/.run ## Write the manual page from the help of the commands
	@$(BIN)/python -m tests.packaging.manual

format: $(BIN)/.check ## Let ruff format and mend what it can
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

# Two processes, each with a store of its own. The blob of the memory tests is STORE_LARGE_BYTES long.
STORE_TESTS = -n 2 --dist loadgroup --no-loadscope-reorder tests/drivers tests/integration tests/audit/test_writer.py \
	$(addprefix tests/handlers/test_,uploads.py blobs.py manifests.py lists.py mount.py) \
	tests/storage/test_foreign_names.py

test-s3: $(BIN)/.test-s3 ## Suites of drivers and HTTP on SeaweedFS and moto, real clients, Go registries over one bucket
	@$(BIN)/python -m pytest -m s3 $(STORE_TESTS)

test-gcs: $(BIN)/.test-gcs ## The same on fake-gcs-server
	@$(BIN)/python -m pytest -m gcs $(STORE_TESTS)

# A storage is copied around all drivers here: S3's servers too.
test-azure: $(BIN)/.test-azure .azurite/node_modules/.bin/azurite-blob ## The same on Azurite (needs npm)
	@$(BIN)/python -m pytest -m azure $(STORE_TESTS)

integration: $(BIN)/.check ## Real servers and real clients (skips absent ones; REQUIRE_CLIENTS=1 fails instead)
	@$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder tests/integration --ignore tests/integration/compat

model: $(BIN)/.test ## All pairs of clients in every order of steps with a garbage collection (minutes; `make test` has some)
	@MODEL=1 $(BIN)/python -m pytest tests/lifecycle/test_model.py tests/lifecycle/test_writers_beside.py -n auto

pictures: $(BIN)/.check .npm/node_modules/axe-core/axe.min.js ## Take the pictures of the pages that the documents show (needs npm, chromium)
	@REQUIRE_CLIENTS=1 PICTURES=docs/pictures $(BIN)/python -m pytest tests/integration/web/test_pages.py -k documents_show -p no:xdist

conformance: $(BIN)/.check ## The OCI conformance program with everything on (needs Go)
	@tests/integration/conformance.sh

compat: $(BIN)/.check ## Side by side with the Go registry: answers, storage tree, upload tokens, manifests (needs Go)
	@$(BIN)/python -m pytest tests/integration/compat -p no:xdist

# Azurite needs npm: only where it is asked for.
bench: $(BIN)/.test-s3 $(BIN)/.test-gcs $(BIN)/.test-azure $(if $(findstring azure,$(PLACES)),.azurite/node_modules/.bin/azurite-blob)
bench: ## Side by side with the Go registry: ROWS='manifest*' PEERS='ours v3' PLACES=tmpfs ROUNDS=3 SHORT=1 SHA=off
	@$(BIN)/python -m tests.benchmarks --output build/bench $(if $(SHORT),--short) $(if $(ROUNDS),--rounds $(ROUNDS)) \
		$(if $(filter off,$(SHA)),--without-sha) \
		--rows '$(ROWS)' --peers '$(PEERS)' --places '$(PLACES)'

clean: ## Remove the virtual environment and caches; DATA stays
	rm -rf $(VENV) .npm .azurite .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build *.egg-info
