# Coldblitz: `make demo` runs the whole thing from nothing, `make test` passes the tests from nothing.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= $(shell for python in python3 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null && { echo $$python; break; }; done)
BIN := .venv/bin
UV := $(BIN)/uv
LIGHTHOUSE := tests/lighthouse/node_modules/.package-lock.json
LABEL_STUDIO := $(if $(COLDBLITZ_STUDIO),,.studio/stamp)

.PHONY: help setup demo serve test lint containers docs pictures audit bench gpu-check lock browser chromium clean clean-demo

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

setup: .venv/stamp $(LABEL_STUDIO) browser ## Coldblitz's environment, Label Studio's, and a browser for the tests

# Only uv comes through pip; uv checks the hashes of everything else and keeps to the lock.
.venv/stamp: requirements/dev.lock pyproject.toml
	@if [ -z "$(PYTHON)" ]; then echo "Coldblitz needs Python 3.11 or 3.12, and none is on the PATH: install one, or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; fi
	@[ -x $(BIN)/python ] || { echo "Making .venv with $(PYTHON)"; $(PYTHON) -m venv .venv; }
	@if [ ! -x $(UV) ]; then \
		sed -n '/^uv==/,/[^\\]$$/p' requirements/dev.lock > .venv/uv.lock; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r .venv/uv.lock; fi
	@echo "Installing what requirements/dev.lock pins into .venv (5 GB, most of it torch)"
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

# Label Studio pins other versions than ours, so it lives in an environment of its own.
.studio/stamp: requirements/studio.lock | .venv/stamp
	@echo "Installing Label Studio into .studio/venv (1 GB)"
	@[ -x .studio/venv/bin/python ] || $(UV) venv --quiet --python $(BIN)/python .studio/venv
	@$(UV) pip sync --quiet --python .studio/venv/bin/python --require-hashes requirements/studio.lock
	@rm -f .studio/template.sqlite3
	@touch $@

browser: chromium $(LIGHTHOUSE) ## Chromium from Debian and Lighthouse from npm, for the browser tests

chromium:
	@if ! command -v chromium >/dev/null; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "Installing Chromium and fonts"; \
			export DEBIAN_FRONTEND=noninteractive; \
			apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core >/dev/null; \
		else echo "The browser tests need Chromium and are skipped without it: apt-get install chromium fonts-dejavu-core"; fi; fi

# Its lock names versions and hashes, and no host. Nothing of what it installs is run to install it.
$(LIGHTHOUSE): tests/lighthouse/package-lock.json
	@if ! command -v npm >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing node and npm"; \
		export DEBIAN_FRONTEND=noninteractive; \
		apt-get update -qq && apt-get install -qq -y --no-install-recommends nodejs npm >/dev/null; fi
	@if ! command -v npm >/dev/null; then \
		echo "Lighthouse needs node and npm, and its test is skipped without it: apt-get install nodejs npm"; \
	else echo "Installing Lighthouse into tests/lighthouse"; \
		npm ci --prefix tests/lighthouse --ignore-scripts --no-audit --no-fund --silent && touch $@ \
		|| echo "npm could not install Lighthouse; its test is skipped"; fi

demo: .venv/stamp $(LABEL_STUDIO) ## The whole loop on a real Label Studio; VIDEOS=folder for your own, OBJECTS=1 for boxes, CHECK=1 to check and stop
	@$(BIN)/coldblitz demo $(if $(VIDEOS),--videos "$(VIDEOS)") $(if $(OBJECTS),--objects) $(if $(CHECK),--check)

serve: .venv/stamp ## Web, workers and Redis for the Label Studio at LABEL_STUDIO_URL, with LABEL_STUDIO_API_KEY
	@$(BIN)/coldblitz serve

# Two groups of tests run at a time, the next one when one is done; each prints when it is done, and what failed comes last.
# Those with servers of their own mostly wait, so they run beside those that compute.
GROUPS := chaos jobs learning e2e rest server features
FOLDERS_chaos := chaos
FOLDERS_learning := learning objects
FOLDERS_e2e := e2e tutorials
FOLDERS_jobs := jobs queueing store
FOLDERS_server := server docs
FOLDERS_features := features video sampling
FOLDERS_rest := $(foreach group,$(filter-out rest,$(GROUPS)),$(FOLDERS_$(group)))

.PHONY: $(GROUPS:%=tests-%)

# One BLAS thread, as `coldblitz serve` gives its workers: more of them spin on the cores that decode.
test: setup lint ## Lint, types and all tests
	@mkdir -p .artifacts; rm -f .artifacts/tests-*.log
	@OPENBLAS_NUM_THREADS=1 $(MAKE) --no-print-directory --jobs=2 --keep-going --output-sync=target $(GROUPS:%=tests-%) \
		|| { grep -hE '^(FAILED|ERROR) ' .artifacts/tests-*.log; exit 1; }

tests-rest: FOLDERS = tests $(FOLDERS_rest:%=--ignore=tests/%)
tests-%: FOLDERS = $(FOLDERS_$*:%=tests/%)
$(GROUPS:%=tests-%): tests-%:
	@mkdir -p .artifacts
	@$(BIN)/python -m pytest $(FOLDERS) 2>&1 | tee .artifacts/$@.log

lint: .venv/stamp
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python requirements/audit.py

containers: .venv/stamp ## The containers, built and run, with a Docker engine of its own where none answers (half an hour, 40 GB)
	@tests/containers/run

docs: .venv/stamp ## The documentation as a site, into site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

pictures: .venv/stamp ## What the browser tests have seen, into docs/images
	@$(BIN)/python docs/take_pictures.py

audit: .venv/stamp ## Known vulnerabilities of what the locks pin, from the OSV database where it can be reached
	@$(BIN)/python requirements/audit.py --online

bench: .venv/stamp ## All benchmarks; DATA=folder for other labelled videos
	@for module in $$(ls benchmarks/*/__main__.py | sed 's|^benchmarks/||; s|/__main__\.py$$||'); do \
		echo "== benchmarks.$$module"; $(BIN)/python -m benchmarks.$$module $(if $(DATA),--data "$(DATA)"); done

gpu-check: .venv/stamp ## What a GPU does for us, in 8 minutes, as one JSON; DEVICE=cpu, SECONDS=60 to try it elsewhere
	@$(BIN)/python -m benchmarks.gpu $(if $(DEVICE),--device "$(DEVICE)") $(if $(SECONDS),--seconds "$(SECONDS)") $(if $(DATA),--data "$(DATA)")

lock: .venv/stamp ## Write the lock files anew
	@UV=$(UV) requirements/lock

clean-demo: ## Forget the demo's project
	rm -rf .demo

clean: clean-demo ## Remove everything that is made
	rm -rf .venv .studio .artifacts tests/lighthouse/node_modules site .pytest_cache .mypy_cache .ruff_cache .hypothesis
