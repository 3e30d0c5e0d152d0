# Each target is enough alone on a fresh machine with Python >= 3.10, a C++ compiler and make.
#
#   make setup                    a virtual environment in .venv with everything
#   make setup TORCH_BACKEND=cpu  the same without CUDA (through uv; other values: auto, cu126, ...)
#   make run / test / check / coverage / clean

PYTHON ?= python3
VENV ?= .venv
TORCH_BACKEND ?=
BIN = $(VENV)/bin
READY = $(VENV)/.ready

.PHONY: setup run test check coverage clean

setup: $(READY)

$(READY): pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "mario-tui needs Python 3.10 to 3.14: install it, or name one with 'make $(MAKECMDGOALS) PYTHON=python3.11'." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 15))' || { echo "mario-tui needs Python 3.10 to 3.14, and $(PYTHON) is $$($(PYTHON) -V 2>&1): name another with 'make $(MAKECMDGOALS) PYTHON=python3.11'." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "this Python lacks venv: install it (on Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 13))' && exit 0; \
	 command -v c++ >/dev/null || command -v g++ >/dev/null || command -v clang++ >/dev/null || { echo "the NES emulator is compiled on Python < 3.13 and needs a C++ compiler: install one (on Debian and Ubuntu: apt install g++)." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(if $(TORCH_BACKEND),$(BIN)/python -m pip install --quiet uv && VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --torch-backend=$(TORCH_BACKEND) -e '.[dev]',$(BIN)/python -m pip install --quiet -e '.[dev]')
	@touch $(READY)

run: setup
	@$(BIN)/mario-tui

# Two processes, each with whole files of tests: some tests have both cores of a small machine to themselves anyway.
test: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

coverage: setup
	$(BIN)/python -m pytest --cov --cov-report=term-missing:skip-covered

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage* htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
