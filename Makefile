# `make book` builds the book, `make quick` runs the unit tests and `make test` checks everything.
# Each sets up .venv by itself.
PYTHON ?= python3

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# a process of one thread a core, each file of tests in one of them
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadscope
MATHJAX := book/_static/mathjax/tex-svg-full.js

.PHONY: book quick test setup notebooks reproduce reproduce-all bench

book: $(READY) $(MATHJAX)
	$(BIN)/jupyter-book build . --all -W -n --keep-going

# after each change of a line: ends within a minute
quick: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(PYTEST) -m "not slow and not cluster and not gpu" amslib tests

# the first import of pyplot builds a font cache and says so on stderr, which nbval compares
test: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/python -c "import matplotlib.pyplot"
	$(PYTEST)
	$(PYTEST) --nbval notebooks book

setup: $(READY)

# pages show committed records alone: where some are missing, this stops and says so
notebooks: export AMSLIB_RECORDS := committed
notebooks: $(READY)
	$(BIN)/python -c "import matplotlib.pyplot"
	$(BIN)/python tools/execute_notebooks.py
	$(BIN)/python tools/write_status.py
	$(BIN)/python tools/write_results.py

# the records of Tables I-V and Figs 4-6 from scratch; then `make notebooks`
reproduce: $(READY)
	$(BIN)/python tools/reproduce.py --anew tiny paper

# every record of results/, the ledger and chapter 13 included
reproduce-all: $(READY)
	$(BIN)/python tools/reproduce.py --anew

# what it costs, beside what the machine can do; minutes, writes benchmarks/results.json
bench: $(READY)
	$(BIN)/python -m pytest -q --benchmark-quiet benchmarks/bench_*.py

# a CPU build of torch that lies on the machine goes before the registry's, which pip prefers
$(READY): requirements.lock requirements-cpu.lock requirements-gpu.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is missing or older than Python 3.11; name a newer one: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --no-index --no-deps --require-hashes -r requirements-cpu.lock \
	  2> $(VENV)/cpu.log || { grep -A 9 "DO NOT MATCH THE HASHES" $(VENV)/cpu.log; \
	  echo "pip knows of no folder with this CPU build of torch: the registry's is taken"; }
	$(BIN)/python -m pip install --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --no-deps --no-build-isolation -e .
	touch $@

# one self-contained file, so that no page asks another host for its mathematics
$(MATHJAX): $(READY)
	mkdir -p $(@D)
	cp $(VENV)/lib/python*/site-packages/sphinx-mathjax-offline/static/mathjax/$(@F) $@
