# `make run` shows what evercan does, `make test` runs every test. On a Debian machine both
# install what they need: Debian packages, and Python packages in an environment of their own.

VENV   := .venv
PYTHON := $(VENV)/bin/python
PACKAGES := python3-venv $(shell cat lab/packages.txt tools/packages.txt)

.DEFAULT_GOAL := help
.PHONY: help run bench test test-long test-matrix lint types docs unit e2e plugin install lab-up lab-down lock clean

help: ## show these targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# Runs for every target; it takes almost no time if everything is installed.
$(VENV): FORCE
	@tools/bootstrap.sh $(VENV) $(PACKAGES)
FORCE:

run: $(VENV) ## show evercan at work: CAN frames, a power cut, CAN frames again
	$(PYTHON) -m demo

test: E2E = -m "not thorough"
test: lint types docs unit e2e ## run everything that CI runs

# Tests look at the page of `evercan web` with a browser.
test test-long unit e2e: PACKAGES += $(shell cat tests/packages.txt)

# An exported variable of a target applies to its prerequisites too.
test-long: export EVERCAN_HYPOTHESIS := long
test-long: export EVERCAN_LONG := 1
test-long: unit e2e ## run the tests with many more random cases; takes much longer

# Guests of another architecture need an emulator, and their images one for programs.
test-matrix: PACKAGES += $(shell cat lab/packages-arm64.txt)
test-matrix: $(VENV) ## run the main tests on each Debian release and arm64; write docs/tested.md (MATRIX=--help)
	$(PYTHON) -m lab.matrix $(MATRIX)

lint: $(VENV) ## check style, format, the direction of imports, shell scripts and workflows
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	PYTHONPATH=src $(VENV)/bin/lint-imports --no-cache
	$(VENV)/bin/shellcheck $$(git ls-files '*.sh') .ci/run
	$(VENV)/bin/zizmor --offline --quiet --no-progress .

types: $(VENV) ## check types with mypy
	$(VENV)/bin/mypy

docs: $(VENV) ## build the documentation's site in dist/docs
	$(PYTHON) -m tools.docs

unit: $(VENV) ## run the tests that need neither root nor Docker
	$(PYTHON) -m pytest -n auto tests/unit tests/daemon

bench: $(VENV) ## measure speed, memory and size (BENCH=--quick: few repetitions)
	$(PYTHON) -m bench $(BENCH)

# These tests build the plugin themselves.
e2e: $(VENV) ## run the tests on a real engine and kernel: this machine's, or the lab's
	$(PYTHON) -m pytest -n auto --durations=25 $(E2E) tests/e2e

plugin: $(VENV) ## build the plugin in dist/plugin
	$(PYTHON) -m lab plugin

# Needs only its own list of requirements, unless those of the other targets are there already.
install: export REQUIREMENTS := install
install: PACKAGES := python3-venv docker.io
install: $(VENV) ## install the plugin on the engine at DOCKER_HOST, or upgrade it there
	$(PYTHON) -m tools.plugin
	$(PYTHON) -m tools.install

lab-up: $(VENV) ## boot the lab, an emulated machine; tests and `make run` then use it
	$(PYTHON) -m lab up

lab-down: $(VENV) ## stop the lab
	$(PYTHON) -m lab down

lock: ## update requirements.txt files from their .in files (needs uv)
	cd requirements && for set in dev plugin link install; do \
	    uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --quiet \
	        --python-version $$(case $$set in plugin|link) echo 3.13;; *) echo 3.11;; esac) \
	        $$([ $$set = dev ] || echo --constraint dev.txt) $$set.in -o $$set.txt; done
	cd examples/python-can && uv pip compile --universal --generate-hashes --no-emit-index-url --no-header \
	    --quiet --python-version 3.13 --constraint ../../requirements/dev.txt requirements.in -o requirements.txt

clean: ## remove everything that was built in this folder; the user's cache folder is kept
	rm -rf dist $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
