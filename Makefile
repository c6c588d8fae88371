# Every command prepares what it needs: an environment in .venv from pyproject.toml alone.
PYTHON ?= python3
ARCHITECTURE ?= $(shell uname -m)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup fmt check test conformance demo bench bench-cold-start bench-fleet chaos layer layer-standalone clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

fmt: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test: setup
	$(BIN)/pytest -n auto --dist loadfile

conformance: setup
	$(BIN)/pytest -n auto --dist loadfile -m conformance

# For one Python runtime, this machine's version unless RUNTIME=3.13 is given.
layer: setup
	$(BIN)/python -m layer $(if $(RUNTIME),--python $(RUNTIME)) --architecture $(ARCHITECTURE)

# For any runtime: carries its own interpreter.
layer-standalone: setup
	$(BIN)/python -m layer --standalone --architecture $(ARCHITECTURE)

demo: setup layer
	$(BIN)/policy-agent demo

bench: setup
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.decisions
	$(BIN)/python -m benchmarks.decision_log
	$(BIN)/python -m benchmarks.batch
	$(BIN)/python -m benchmarks.siege
	$(BIN)/python -m benchmarks.engine
	$(BIN)/python -m benchmarks.engine_start

bench-cold-start: layer
	$(BIN)/python -m benchmarks.cold_start

bench-fleet: setup
	$(BIN)/python -m benchmarks.fleet
	$(BIN)/python -m benchmarks.shipping

# The fault campaign; the same accidents again with CHAOS='--seconds 600 --seed 7'.
chaos: setup
	$(BIN)/python -m tests.chaos $(CHAOS)

clean:
	rm -rf $(VENV) build dist
