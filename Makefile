# Every target creates the environment it needs, once: a stamp file in the environment says which extras of
# pyproject.toml are installed. Needs make and Python 3.11 or later; uses uv if it is installed.
#
#   make test PYTHON=python3.13 VENV=.venv-3.13     the same in an environment of another Python

VENV ?= .venv
PYTHON ?=
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)

# Tests start the command hundreds of times, and each process would compile all of it again where bytecode is not kept.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo test test-all test-cluster test-partition test-powercut test-servers test-clients check bench fuzz sim
.PHONY: attach crash crash-relay crash-valkey flips attack
.PHONY: docs changelog changelog-draft clean distclean

help:
	@echo "make demo            streams that break, cancels that race, and a relay that is killed: all on this machine"
	@echo "make test            the tests, with samples of the large matrices"
	@echo "make test-all        all tests, with every matrix complete"
	@echo "make check           lint, types, and coverage of each pure module by its own test file"
	@echo "make bench           the benchmarks"
	@echo "make fuzz            ten minutes of fuzzing (MINUTES=10)"
	@echo "make sim             200,000 sessions under seeded faults, in virtual time (RUNS=200000)"
	@echo "make crash           kill the writer of a log 1,000 times, at random moments (KILLS=1000)"
	@echo "make crash-relay     kill a relay 300 times under load, and start it again (KILLS=300)"
	@echo "make flips           flip bits of a log's file and truncate it, at 500 places (FLIPS=500)"
	@echo "make attach          100,000 interleavings of POSTs, retries and drops against the relay's claims (RUNS=100000)"
	@echo "make attack          hostile upstreams, requests, streams and log faults against the whole package"
	@echo "make test-powercut   cut the power of a log's disk, and fill it up; needs root and a loop device"
	@echo "make crash-valkey    kill the Valkey server of a log 200 times, while writers append (KILLS=200)"
	@echo "make test-cluster    the log on a cluster of six Valkey servers, with failovers"
	@echo "make test-partition  the same with the network partitioned, in network namespaces (as root, on Linux)"
	@echo "make test-servers    real servers that others wrote, installed into .servers and started"
	@echo "make test-clients    real clients that others wrote, installed into .clients, under faults"
	@echo "make docs            the documentation, into site/"
	@echo "make changelog       collect changelog.d/ into CHANGELOG.md (changelog-draft: only print it)"
	@echo "make clean           remove caches, reports and builds (distclean: the environments too)"

demo: $(VENV)/.has-cli
	@$(BIN)/streamfold demo

# More processes than cores, because most of them wait for servers and timers. `make test WORKERS=8` uses eight.
WORKERS ?= 6
test: $(VENV)/.has-test
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

test-all: export STREAMFOLD_HYPOTHESIS ?= $(if $(CI),ci,dev)
test-all: $(VENV)/.has-test
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --timeout 600 -m "not clients and not cluster and not servers" $(ARGS)

check: $(VENV)/.has-check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --python-executable $(BIN)/python
	PATH="$(abspath $(BIN)):$$PATH" pyright
	PATH="$(abspath $(BIN)):$$PATH" pyright --verifytypes streamfold --ignoreexternal
	$(BIN)/python -m tests.architecture.coverage_by_own_file

bench: $(VENV)/.has-bench
	@$(BIN)/python -m benchmarks $(ARGS)

MINUTES ?= 10
fuzz: $(VENV)/.has-test
	@$(BIN)/python -m tests.fuzz.run --minutes $(MINUTES)

RUNS ?= 200000
sim: $(VENV)/.has-test
	@$(BIN)/python -m tests.sim.run --runs $(RUNS) $(ARGS)

attach: RUNS = 100000
attach: $(VENV)/.has-test
	@$(BIN)/python -m tests.relay.claims --runs $(RUNS) $(ARGS)

crash: KILLS ?= 1000
crash: $(VENV)/.has-test
	@$(BIN)/python -m tests.log.crash --kills $(KILLS) $(ARGS)

FLIPS ?= 500
flips: $(VENV)/.has-test
	@$(BIN)/python -m tests.log.flips --flips $(FLIPS) $(ARGS)

attack: $(VENV)/.has-test
	@$(BIN)/python -m tests.attack.run $(ARGS)

crash-relay: KILLS ?= 300
crash-relay: $(VENV)/.has-test
	@$(BIN)/python -m tests.relay.crash --kills $(KILLS) $(ARGS)

CUTS ?= 10
test-powercut: $(VENV)/.has-test
	@$(BIN)/python -m tests.log.powercut --cuts $(CUTS) $(ARGS)

crash-valkey: KILLS ?= 200
crash-valkey: $(VENV)/.has-test
	@$(BIN)/python -m tests.log.crash --engine valkey --kills $(KILLS) $(ARGS)

test-cluster: $(VENV)/.has-test
	@$(BIN)/python -m pytest -m cluster tests/log $(ARGS)

test-partition: $(VENV)/.has-test
	@$(BIN)/python -m tests.log.partition $(ARGS)

test-servers: $(VENV)/.has-test
	@$(BIN)/python -m pytest -m servers --timeout 600 tests/servers $(ARGS)

test-clients: $(VENV)/.has-test
	@$(BIN)/python -m pytest -m clients tests/clients $(ARGS)

docs: $(VENV)/.has-docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir site

changelog: $(VENV)/.has-release
	@$(BIN)/towncrier build --yes

changelog-draft: $(VENV)/.has-release
	@$(BIN)/towncrier build --draft

clean:
	rm -rf .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist htmlcov site
	find benchmarks src tests -type d -name __pycache__ -prune -exec rm -rf {} +

distclean: clean
	rm -rf .venv .venv-* .servers .clients

# The stamp is written last, so that an interrupted install is repeated.
$(VENV)/.has-%: $(VENV)/.made pyproject.toml
ifneq ($(UV),)
	@$(UV) pip install --quiet --python $(BIN)/python --editable '.[$*]'
else
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
endif
	@touch $@

# Use the first Python that runs, is 3.11 or later and can create an environment. A name on PATH may be a shim that
# does not run, so try each. If only `ensurepip` is missing, say so: the Python itself is fine.
$(VENV)/.made:
	@for python in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11); do \
	  $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	  if [ -n "$(UV)" ]; then $(UV) venv --quiet --allow-existing --python "$$(command -v $$python)" $(VENV) && touch $@ && exit; exit 1; fi; \
	  $$python -c 'import ensurepip, venv' 2>/dev/null || { bare="$$bare $$python"; continue; }; \
	  $$python -m venv $(VENV) && touch $@ && exit; exit 1; \
	done; \
	if [ -n "$$bare" ]; then echo "make:$$bare cannot make environments: install Python's venv module (Debian: apt install python3-venv) or uv" >&2; \
	else echo "make: no Python 3.11 or later found as $(or $(PYTHON),python3): install one, or name it: make PYTHON=/path/to/python3" >&2; fi; \
	exit 1
