# Each target is enough alone on a fresh machine with make and Python 3.13 or 3.14 (or, with a C++ compiler, 3.10 to 3.12).
#
#   make setup                    a virtual environment in .venv with everything, of the newest Python that works here
#   make setup PYTHON=3.11        the same with a Python of your choice: a version, a name or a path
#   make setup TORCH_BACKEND=cpu  the same without CUDA (through uv; other values: auto, cu126, ...)
#   make run / test / quick / check / coverage / wheel / clean

PYTHON ?=
VENV ?= .venv
TORCH_BACKEND ?=
BIN = $(VENV)/bin
READY = $(VENV)/.ready
VERSION = -c 'import sys; print(sys.version_info[:2])'

# An environment is made anew only where another version of Python is named than the one it has.
ifneq ($(PYTHON),)
ANEW = $(shell [ "$$($(BIN)/python $(VERSION) 2>&1)" = "$$("$$(scripts/find-python "$(PYTHON)" 2>/dev/null)" $(VERSION) 2>&1)" ] || echo anew)
endif

.PHONY: setup run test quick check coverage wheel clean anew

setup: $(READY)

$(READY): pyproject.toml $(ANEW)
	@if [ -z "$(ANEW)" ] && $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  echo "updating $(VENV) ($$($(BIN)/python -V); to change it: make setup PYTHON=...)"; \
	else \
	  python=$$(scripts/find-python $(if $(PYTHON),"$(PYTHON)")) && "$$python" -m venv --clear $(VENV); \
	fi
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(if $(TORCH_BACKEND),$(BIN)/python -m pip install --quiet uv && VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --torch-backend=$(TORCH_BACKEND) -e '.[dev]',$(BIN)/python -m pip install --quiet -e '.[dev]')
	@touch $(READY)

anew:

run: setup
	@$(BIN)/mario-tui

# Two processes: some tests have both cores of a small machine to themselves anyway.
PYTEST = $(BIN)/python -m pytest -n 2 --dist loadfile

test: setup
	$(PYTEST)

QUICK = tests/system tests/store tests/agent tests/game tests/play tests/video $(wildcard tests/test_*.py)

quick: setup
	$(PYTEST) -m "not slow" $(QUICK)
	@echo "left out: tests/training, tests/tui, tests/cli, and of the others those marked slow; make test runs all"

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

coverage: setup
	COLD_START=1 $(BIN)/python -m pytest --cov --cov-report=term-missing:skip-covered

# dist/ has the wheel and the source archive that it was built from; tests/test_wheel.py installs and tries one.
wheel: setup
	rm -rf dist
	$(BIN)/python -m build --no-isolation

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage* htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
