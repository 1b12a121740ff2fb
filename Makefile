# Everything a developer does here, on a fresh clone with Python 3.11 or newer and make.
# `make test PYTHON=python3.13` builds .venv anew with that Python, `make test PYTEST_ARGS="-k ledger"` runs a part.

CANDIDATES := $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11)
# Prints a version such as 3.11, or fails where that is too old.
VERSION_OF := import sys; sys.version_info < (3, 11) and sys.exit(1); print("%d.%d" % sys.version_info[:2])
FOUND := $(shell for each in $(CANDIDATES); do $$each -c '$(VERSION_OF)' 2>/dev/null && echo $$each && break; done)
VERSION := $(word 1,$(FOUND))
BASE_PYTHON := $(word 2,$(FOUND))
PYTEST_ARGS ?=

# Two environments: .venv has what tests and checks need as well, .venv-playground only what runs. A stamp says which
# Python each was made with, so that asking for another one makes it anew.
VENV ?= .venv
BIN := $(VENV)/bin
TEST_ENVIRONMENT := $(VENV)/.linked-$(VERSION)
PLAYGROUND_ENVIRONMENT := .venv-playground/.linked-$(VERSION)
PIP := -m pip --disable-pip-version-check

.PHONY: test test-newest texts check bench playground pictures wheel sbom lock audit-dependencies clean
.DELETE_ON_ERROR:

# One more than there are cores: the tests of processes, sockets and browsers wait about half of their time.
WORKERS = $(shell $(BASE_PYTHON) -c 'import os; print(min(8, (os.cpu_count() or 1) + 1))')

test: $(TEST_ENVIRONMENT)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)

# The quick tests of core and bot but those on moto and the random histories, on the newest Python that this machine has above PYTHON, in an environment of its own.
IS_NEWER := import ensurepip, sys; sys.exit(sys.version_info[:2] <= tuple(map(int, "$(VERSION)".split("."))))
NEWEST = $(shell for minor in 14 13 12; do \
	for each in python3.$$minor "$$HOME"/.pyenv/versions/3.$$minor.*/bin/python3.$$minor; do \
		$$each -c '$(IS_NEWER)' 2>/dev/null && echo 3.$$minor $$each && exit; done; done)
QUICK_TESTS := -m "not engine and not browser and not race" -k "not moto and not histories" tests/core tests/bot

test-newest:
	@set -- $(NEWEST); if [ $$# = 0 ]; then echo 'No Python newer than $(VERSION) is here; nothing to test on it'; else \
		echo "Testing on Python $$1"; $(MAKE) --no-print-directory test \
			PYTHON="$$2" VENV=".cache/venv-$$1" PYTEST_ARGS='$(QUICK_TESTS)'; fi

# Every sentence that people read, written anew into tests/texts/texts.txt. Read its diff before you commit it.
texts: $(TEST_ENVIRONMENT)
	@COUNTERSIGN_UPDATE_TEXTS=1 $(BIN)/python -m pytest -q tests/texts

check: $(TEST_ENVIRONMENT)
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports

bench: $(TEST_ENVIRONMENT)
	@$(BIN)/python -m benchmarks

playground: $(PLAYGROUND_ENVIRONMENT)
	@.venv-playground/bin/countersign playground

# docs/images/, and the story in docs/playground.md, from a running playground; needs Chromium.
pictures: $(TEST_ENVIRONMENT)
	@$(BIN)/python -m tools.pictures

# The source distribution and the wheel of the commit that is checked out, the same bytes on every machine. What builds
# them is what the runtime lock installs, setuptools included, and nothing else.
wheel: .venv-playground/.installed-$(VERSION)
	@.venv-playground/bin/python -m tools.build_wheel dist

# What is in it and below it, as CycloneDX: the packages of the runtime lock, their digests and licenses.
sbom: $(TEST_ENVIRONMENT) wheel
	@$(BIN)/python -m tools.sbom --environment .venv-playground/bin/python --wheel dist/countersign-*.whl \
		--output dist/countersign.cdx.json

# Every version and digest of what is installed, for all Pythons and systems at once. What runs is locked to the versions
# that were tested.
lock: UV := .cache/uv/bin/uv --quiet --system-certs pip compile pyproject.toml - --universal --python-version 3.11 \
	--generate-hashes --no-annotate --no-emit-index-url --custom-compile-command 'make lock'
lock:
	@test -x .cache/uv/bin/uv || { $(BASE_PYTHON) -m venv .cache/uv && .cache/uv/bin/python $(PIP) -qq install uv; }
	@echo 'setuptools>=77' | $(UV) --extra dev --upgrade --output-file requirements.lock
	@echo 'setuptools>=77' | $(UV) --constraint requirements.lock --upgrade --output-file requirements-runtime.lock

# Known vulnerabilities of what runs. It asks a database on the network, so it isn't part of .ci/run: a finding there is
# no fault of the change. The tool has an environment of its own; its version is fixed, so that two runs differ only by
# what was found since.
PIP_AUDIT := pip-audit==2.10.1
AUDITED_LOCK ?= requirements-runtime.lock
audit-dependencies:
	@test -x .cache/audit/bin/pip-audit || { $(BASE_PYTHON) -m venv .cache/audit && \
		.cache/audit/bin/python $(PIP) -qq install '$(PIP_AUDIT)'; }
	@.cache/audit/bin/pip-audit --require-hashes --disable-pip --strict --progress-spinner off --requirement $(AUDITED_LOCK)

clean:
	rm -rf .venv .venv-playground .cache build dist countersign.egg-info .coverage* .hypothesis .*_cache

$(VENV)/.installed-$(VERSION): requirements.lock
	$(call install,$@,$<,two minutes)

.venv-playground/.installed-$(VERSION): requirements-runtime.lock
	$(call install,$@,$<,half a minute)

# The project itself, by a link to this clone.
%/.linked-$(VERSION): %/.installed-$(VERSION) pyproject.toml
	@$*/bin/python $(PIP) -qq install --no-deps --no-build-isolation --no-index --editable .
	@touch $@

# $(call install,STAMP,LOCK,HOW LONG): an environment in the folder of the stamp, with exactly what the lock names.
define install
	@test '$(VERSION)' || \
		{ echo 'Countersign needs Python 3.11 or newer; none of these is: $(CANDIDATES).' \
		'Name one: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	@$(BASE_PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo 'This Python comes without venv; on Debian: apt-get install python3-venv' >&2; exit 1; }
	@echo "Installing $$(grep -c == $2) packages for Python $(VERSION) into $(@D). This takes about $3, once."
	@# The path behind the links: in an activated .venv, `python3` would be what is about to be cleared.
	@"$$($(BASE_PYTHON) -c 'import os, sys; print(os.path.realpath(sys.executable))')" -m venv --clear $(@D)
	@# On a terminal pip shows its progress; in a log only what went wrong.
	@test -t 1 || quiet=-qq; $(@D)/bin/python $(PIP) $$quiet install --require-hashes --requirement $2
	@touch $1
endef
