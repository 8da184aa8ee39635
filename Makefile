# evercan: `make run` shows the main job, `make test` passes every test.
# On a bare Debian machine both install what they need (Debian's packages, PyPI).

VENV   := .venv
PYTHON := $(VENV)/bin/python
PACKAGES := python3-venv $(shell cat lab/packages.txt tools/packages.txt)

.DEFAULT_GOAL := help
.PHONY: help run bench test test-long lint types docs unit e2e plugin install lab-up lab-down lock clean

help: ## what there is to make
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# Always asked, nearly free when all is there.
$(VENV): FORCE
	@tools/bootstrap.sh $(VENV) $(PACKAGES)
FORCE:

run: $(VENV) ## the main job, to be watched: frames, a power cut, frames again
	$(PYTHON) -m demo

test: lint types docs unit e2e ## everything that CI asks for

# What is exported for a target is exported for all that it needs.
test-long: export EVERCAN_HYPOTHESIS := long
test-long: export EVERCAN_LONG := 1
test-long: unit e2e ## the same tests, trying harder: property tests and e2e for many minutes

lint: $(VENV) ## ruff: rules and format
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(VENV) ## mypy, strict
	$(VENV)/bin/mypy

docs: $(VENV) ## the documentation as a site, in dist/docs; a warning is an error
	$(PYTHON) -m build.docs

unit: $(VENV) ## pure functions, and the daemon on the fake kernel
	$(PYTHON) -m pytest tests/unit tests/daemon

bench: $(VENV) ## how fast and how small, as ratios to references of the same run; BENCH=--quick
	$(PYTHON) -m bench $(BENCH)

# The tests build the plugin by themselves, on the engine that they have then.
e2e: $(VENV) ## a real engine and kernel: one at hand, else the lab
	$(PYTHON) -m pytest tests/e2e

plugin: $(VENV) ## dist/plugin, ready for `docker plugin create evercan:latest dist/plugin`
	$(PYTHON) -m build.plugin

install: plugin ## create and enable it on the engine at DOCKER_HOST, or upgrade it there
	$(PYTHON) -m build.install

lab-up: $(VENV) ## boot the lab and leave it running; tests and `make run` then use it
	$(PYTHON) -m lab up

lab-down: $(VENV) ## stop that lab
	$(PYTHON) -m lab down

lock: ## write requirements/*.txt anew from requirements/*.in (needs uv)
	cd requirements && for each in dev plugin; do \
	    uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --quiet \
	        --python-version $$([ $$each = dev ] && echo 3.11 || echo 3.13) \
	        $$([ $$each = plugin ] && echo --constraint dev.txt) $$each.in -o $$each.txt; done

clean: ## remove what was built here; caches stay in the user's cache folder
	rm -rf dist $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
