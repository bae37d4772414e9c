# Two commands on a fresh machine: `make demo` and `make test`. Another demo: `make demo DATA=phishing`.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
DATA ?= digits
FOLDER ?= $(FOLDER_$(DATA))

# What a demo fetches first, and where it lies then; all other data comes with the packages, or FOLDER says where it is.
FETCHED_phishing := $(VENV)/river
FETCHED_movie-snippets := data/vaderSentiment-3.3.2.tar.gz
FOLDER_movie-snippets := $(FETCHED_movie-snippets)

.PHONY: demo test lint types imports pytest native docs bench clean

demo: $(VENV)/installed $(FETCHED_$(DATA))
	$(BIN)/variate study $(DATA) --out runs/$(DATA) $(addprefix --data-folder ,$(FOLDER))

$(VENV)/river: | $(VENV)/installed
	$(BIN)/pip install --disable-pip-version-check --quiet --no-deps river
	touch $@

data/vaderSentiment-3.3.2.tar.gz: | $(VENV)/installed
	$(BIN)/pip download --disable-pip-version-check --quiet --no-deps --no-binary :all: --dest data vaderSentiment==3.3.2

test: lint types imports pytest

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed
	$(BIN)/mypy

imports: $(VENV)/installed
	$(BIN)/lint-imports

pytest: $(VENV)/installed
	$(BIN)/pytest

native: $(VENV)/installed
	$(BIN)/python hatch_build.py

docs: $(VENV)/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(VENV)/installed
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/floor.py
	$(BIN)/python benchmarks/draws.py
	$(BIN)/python benchmarks/attacks.py
	$(BIN)/python benchmarks/sampling.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/serving.py
	$(BIN)/python benchmarks/startup.py

$(VENV)/installed: pyproject.toml constraints.txt hatch_build.py src/variate/random/noise/noise.c
	$(PYTHON) -m venv $(VENV)
	PIP_CONSTRAINT=constraints.txt $(BIN)/pip install --disable-pip-version-check --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) runs build dist site src/variate/random/noise/noise.so .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
