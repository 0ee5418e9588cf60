# Two doors: `make demo` and `make test`. Plain `make` lists the rest. GNU make 3.81 (macOS) is enough.

PYTHON ?= python3
VENV   ?= .venv
BIN    ?= $(VENV)/bin
ARGS   ?=
SEEDS  ?= 200
FIRST  ?= 1
MUTANT ?=
KILLS  ?= 100
RECORDS ?= 1000000
SEED   ?= 1
GUIDED ?=
MINUTES ?=
RATE   ?= 2000

# A stamp is younger than pyproject.toml when the environment holds what pyproject.toml asks for.
VENV_MADE  := $(VENV)/.made
DEMO_READY := $(VENV)/.ready-demo
TEST_READY := $(VENV)/.ready-test
BENCH_READY := $(VENV)/.ready-bench
FUZZ_READY := $(VENV)/.ready-fuzz
PIP        := $(BIN)/python -m pip --disable-pip-version-check --quiet
SAY        := @printf '%s\n'

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help supported demo test sim faults fuzz soak check check-style check-types check-imports format kafka bench bench-latency bench-scale bench-parts bench-detection clean

help: supported
	$(SAY) 'Pastille sees in seconds which bank or payment method is down.' '' \
	  '  make demo      simulated shops, a real Kafka, a bank that dies: watch it be found (ARGS="--seconds 150 --json")' \
	  '  make test      every test, on the same real Kafka' '' \
	  '  make sim       workers on a simulated Kafka, killed and torn (SEEDS=10000 FIRST=1, or MUTANT=no-terms, or BOUNDS=1)' \
	  '  make faults    workers and brokers killed, frozen, cut off, filled up on a real Kafka of three (KILLS=100)' \
	  '  make fuzz      spoilt records the whole way to dead letters (RECORDS=1000000 SEED=1, or GUIDED=1 MINUTES=10)' \
	  '  make soak      a worker at a steady rate: does anything grow? (MINUTES=60 RATE=2000)' \
	  '  make check     ruff, mypy strict, import contracts' \
	  '  make format    put the imports and the layout of the code in order' \
	  '  make kafka     the embedded Kafka alone (ARGS="--brokers 3 --tls")' \
	  '  make bench     how many events a second, beside bare clients and other stream processors (half an hour; ARGS="--quick")' \
	  '  make bench-latency   how long an outage event takes, by the broker'"'"'s times (six minutes; ARGS="--quick")' \
	  '  make bench-scale   how cost grows with the rate, workers, feeds and leaves (twenty minutes; ARGS="--quick")' \
	  '  make bench-parts   decoding, counting, localising and replay alone, with their figures' \
	  '  make bench-detection   how soon and how falsely, beside the exact limit and peers (an hour; ARGS="--quick")' \
	  '  make clean     remove the environment and every cache in this folder' '' \
	  'Everything is installed into $(VENV); PYTHON=python3.12 chooses another interpreter.'

supported:
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { echo 'Pastille needs Python 3.11 or later, and there is no $(PYTHON) here: install python3 and python3-venv, or name one with make PYTHON=...' >&2; exit 1; }
	@"$(PYTHON)" .ci/supported.py

$(VENV_MADE):
	@$(MAKE) --no-print-directory supported
	$(SAY) 'making $(VENV)'
	@"$(PYTHON)" -m venv "$(VENV)"
	@$(PIP) install --upgrade 'pip>=25.1'
	@touch $@

$(DEMO_READY): pyproject.toml $(VENV_MADE)
	$(SAY) 'installing pastille and what it needs into $(VENV) (the first time some 500 MB on disk)'
	@$(PIP) install --editable '.[kafka]'
	@touch $@

$(TEST_READY): pyproject.toml $(DEMO_READY)
	$(SAY) 'installing what the tests need into $(VENV)'
	@$(PIP) install --group dev
	@touch $@

$(BENCH_READY): pyproject.toml $(TEST_READY)
	$(SAY) 'installing what we are compared with into $(VENV)'
	@$(PIP) install --group bench
	@touch $@

$(FUZZ_READY): pyproject.toml $(TEST_READY)
	$(SAY) 'installing atheris into $(VENV), where it has a wheel for this Python'
	@$(PIP) install --group fuzz
	@touch $@

demo: $(DEMO_READY)
	@$(BIN)/pastille demo $(ARGS)

kafka: $(DEMO_READY)
	@$(BIN)/pastille kafka $(ARGS)

# The tidy tests run every recipe of `check`, so this one command says whether a change is good. With ARGS it is one
# plain pytest.
test: $(TEST_READY)
	@$(BIN)/python -m $(if $(strip $(ARGS)),pytest $(ARGS),tests.together)

sim: $(TEST_READY)
	@$(if $(BOUNDS),NUMBA_BOUNDSCHECK=1 NUMBA_CACHE_DIR=$(VENV)/bounds )$(BIN)/python -m tests.simulation --seeds $(SEEDS) --first $(FIRST) $(if $(MUTANT),--mutant $(MUTANT))

faults: $(TEST_READY)
	@$(BIN)/python -m tests.faults --kills $(KILLS) $(ARGS)

fuzz: $(if $(GUIDED),$(FUZZ_READY),$(TEST_READY))
	@$(BIN)/python -m $(if $(GUIDED),tests.fuzz.guided --minutes $(or $(MINUTES),10),tests.fuzz --records $(RECORDS)) --seed $(SEED)

soak: $(TEST_READY)
	@$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),60) --rate $(RATE)

check: check-style check-types check-imports

check-style: $(TEST_READY)
	@$(BIN)/python -m ruff check .

check-types: $(TEST_READY)
	@$(BIN)/python -m mypy

check-imports: $(TEST_READY)
	@$(BIN)/lint-imports

format: $(TEST_READY)
	@$(BIN)/python -m ruff check --fix-only .
	@$(BIN)/python -m ruff format .

bench: $(BENCH_READY)
	@$(BIN)/python -m tests.benchmarks.throughput $(ARGS)

bench-latency: $(TEST_READY)
	@$(BIN)/python -m tests.benchmarks.latency $(ARGS)

bench-scale: $(TEST_READY)
	@$(BIN)/python -m tests.benchmarks.scale $(ARGS)

bench-parts: $(TEST_READY)
	@for script in tests/benchmarks/[a-z]*.py; do printf '\n== %s\n' "$$script"; $(BIN)/python "$$script" $(ARGS) || exit 1; done

bench-detection: $(BENCH_READY)
	@$(BIN)/python -m tests.benchmarks.detection $(ARGS)

clean:
	@rm -rf "$(VENV)" build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	$(SAY) 'clean; the Kafka that was fetched stays in your cache folder, where the next demo finds it'
