# Two commands are enough on a fresh machine: make repro, make test.
PYTHON ?= python3
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help install repro baseline compare bench test fast-test format clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/installed ## Make .venv and install everything, pinned by hash

repro: install ## Run the whole pipeline (dvc repro) and sum up its result
	@landuse repair
	dvc repro
	@landuse track
	@landuse summary

# What experiments are compared with in a fresh clone; .gitignore keeps the large outputs out of git.
CODE := src stages params.yaml dvc.yaml requirements.lock
baseline: install ## Run the committed pipeline and stage its result for a commit
	@test -z "$$(git status --porcelain -- $(CODE))" || \
		{ echo "uncommitted changes in $(CODE): commit them first, so that the baseline belongs to a commit" >&2; exit 2; }
	@$(MAKE) --no-print-directory repro
	git add dvc.lock metrics plots
	@echo "to keep it: git commit -m 'Baseline of the sample'"

compare: install ## Compare finished experiments: means over seeds, paired differences
	@landuse compare

bench: install benchmarks/.venv/installed ## Measure this project beside its peers (WORKLOADS="W1 W3" DATA=EuroSAT_RGB.zip)
	python benchmarks/compare.py $(WORKLOADS) $(if $(DATA),--data "$(DATA)")

test: install ## Lint, check types and layers, run all tests and the pipeline end to end
	ruff check .
	ruff format --check .
	mypy
	lint-imports --no-cache
	OMP_NUM_THREADS=1 pytest -n 2

fast-test: install ## Run the tests that take seconds
	OMP_NUM_THREADS=1 pytest -n 2 -m "not long and not real"

format: install ## Format the code and mend what ruff can
	ruff check --fix .
	ruff format .

clean: ## Remove .venv, caches and the results of runs (DVC's cache and mlflow.db stay)
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache
	git clean -fdXq data models plots reports

# uv installs in seconds what takes pip minutes; either checks every hash
$(VENV)/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "landuse needs Python 3.11 or newer: make install PYTHON=python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	if command -v uv >/dev/null; then uv pip sync --python $(VENV)/bin/python --require-hashes requirements.lock; \
	else $(VENV)/bin/python -m pip install --quiet --require-hashes -r requirements.lock; fi
	if command -v uv >/dev/null; then uv pip install --quiet --python $(VENV)/bin/python --no-deps --no-build-isolation -e .; \
	else $(VENV)/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .; fi
	touch $@

# the peers' packages stay out of the project's own environment
benchmarks/.venv/installed: benchmarks/requirements-peers.txt
	$(PYTHON) -m venv benchmarks/.venv
	if command -v uv >/dev/null; then uv pip sync --python benchmarks/.venv/bin/python benchmarks/requirements-peers.txt; \
	else benchmarks/.venv/bin/python -m pip install --quiet -r benchmarks/requirements-peers.txt; fi
	touch $@
