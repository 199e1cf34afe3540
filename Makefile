# make demo   run both notebooks on the available images, and write an HTML report of each
# make test   check everything that CI checks
# make lab    open JupyterLab on the student versions
# make check  check style, types and import order
# make docs   build the documentation in docs/_build/html
# make bench  compare the speed of the kit with the handout of 2020, in under 45 minutes
# The first of these creates the environment: .venv in this clone.

PYTHON ?= python3
BIN = $(if $(filter Windows_NT,$(OS)),.venv/Scripts,.venv/bin)
READY = .venv/.ready

.PHONY: demo test lab check docs bench

demo: $(READY)
	@$(BIN)/xraykit demo

test: $(READY) check
	$(BIN)/pytest -m "slow or not slow"

lab: $(READY)
	@$(BIN)/xraykit release
	$(BIN)/jupyter lab --notebook-dir=student

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/nbstripout --verify --keep-id --keep-count --extra-keys metadata.language_info notebooks/*.ipynb

docs: $(READY)
	$(BIN)/sphinx-build -q -n -W --keep-going docs docs/_build/html
	@echo Open docs/_build/html/index.html in a browser.

bench: $(READY)
	@$(BIN)/python -m benchmarks

$(READY): pyproject.toml requirements.lock
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -r requirements.lock
	$(BIN)/pip install --quiet --no-deps -e .
	@touch $@
