# One word for each thing, the same in the README, in CI and by hand.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TESTS ?= ml_platform_tests

.PHONY: setup demo up test test-fast lint format bench lock

setup: $(VENV)/.installed

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; try make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup
	$(BIN)/ml-platform demo

up: setup
	@exec $(BIN)/ml-platform up $(ARGS)

test: setup
	$(BIN)/python -m pytest $(TESTS) -n 2 --dist loadfile --no-loadscope-reorder

test-fast: setup
	$(BIN)/python -m pytest $(TESTS) -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup
	$(BIN)/python -m benchmarks.backfill
	$(BIN)/python -m benchmarks.demo
	$(BIN)/python -m benchmarks.windows
	$(BIN)/python -m benchmarks.window_auc
	$(BIN)/python -m benchmarks.loading

lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  --extra dask --extra dev --extra flights --extra gx --extra postgres --extra ray --extra s3 --extra tensorboard \
	  --extra wandb --extra xgboost pyproject.toml -o requirements.lock
