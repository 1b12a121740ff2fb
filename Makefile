# Everything a developer does here, on a fresh clone with Python 3.11 or newer and make.
# `make test PYTHON=python3.13` builds .venv anew with that Python, `make test PYTEST_ARGS="-k ledger"` runs a part.

CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11
IS_NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for each in $(CANDIDATES); do $$each -c '$(IS_NEW_ENOUGH)' 2>/dev/null && echo $$each && break; done)
PYTEST_ARGS ?=

# One name per Python version, so that asking for another one makes a new environment.
VERSION := $(if $(PYTHON),$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'))
INSTALLED := .venv/.installed-$(VERSION)
LINKED := .venv/.linked-$(VERSION)
BIN := .venv/bin
PIP := -m pip --disable-pip-version-check -qq

.PHONY: test texts check bench playground picture lock clean
.DELETE_ON_ERROR:

test: $(LINKED)
	@$(BIN)/python -m pytest -n auto --maxprocesses 8 $(PYTEST_ARGS)

# Every sentence that people read, written anew into tests/texts/texts.txt. Read its diff before you commit it.
texts: $(LINKED)
	@COUNTERSIGN_UPDATE_TEXTS=1 $(BIN)/python -m pytest -q tests/texts

check: $(LINKED)
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports

bench: $(LINKED)
	@$(BIN)/python -m benchmarks

playground: $(LINKED)
	@$(BIN)/countersign playground

# The README's picture, from a running playground; needs Chromium.
picture: $(LINKED)
	@$(BIN)/python -m tools.picture

# Every version and digest of what is installed here, for all Pythons and systems at once.
lock:
	@test -x .cache/uv/bin/uv || { $(PYTHON) -m venv .cache/uv && .cache/uv/bin/python $(PIP) install uv; }
	@echo 'setuptools>=77' | .cache/uv/bin/uv --quiet --native-tls pip compile pyproject.toml - --extra dev \
		--universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url \
		--custom-compile-command 'make lock' --upgrade --output-file requirements.lock

clean:
	rm -rf .venv .cache build countersign.egg-info .coverage* .hypothesis .*_cache

$(INSTALLED): requirements.lock
	@$(if $(PYTHON),$(PYTHON) -c '$(IS_NEW_ENOUGH)',false) || { echo 'Countersign needs Python 3.11 or newer: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	@echo 'Installing what requirements.lock names, for Python $(VERSION)'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo 'This Python comes without venv; on Debian: apt-get install python3-venv' >&2; exit 1; }
	@# The path behind the links: in an activated .venv, `python3` would be what is about to be cleared.
	@"$$($(PYTHON) -c 'import os, sys; print(os.path.realpath(sys.executable))')" -m venv --clear .venv
	@$(BIN)/python $(PIP) install --require-hashes --requirement requirements.lock
	@touch $@

$(LINKED): pyproject.toml $(INSTALLED)
	@$(BIN)/python $(PIP) install --no-deps --no-build-isolation --no-index --editable .
	@touch $@
