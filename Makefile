# Two commands on a fresh machine: `make demo` and `make test`. Another demo: `make demo DATA=phishing`.
# `make quick` is for between edits: lint, types and the heart of the tests in about two minutes.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
DATA ?= digits
FOLDER ?= $(FOLDER_$(DATA))

# What a demo fetches first, and where it lies then; all other data comes with the packages, or FOLDER says where it is.
FETCHED_phishing := $(VENV)/river
FETCHED_movie-snippets := data/vaderSentiment-3.3.2.tar.gz
FOLDER_movie-snippets := $(FETCHED_movie-snippets)

# What the tests compare with and do not install beside the rest: torchattacks wants an old requests, and with a torch
# without CUDA torchvision does not import before tests/torchvision_operators.py. Only the tests look into this folder.
PEERS := $(VENV)/peers
DATA_OF_TESTS := VARIATE_TEST_PHISHING=$(abspath $(PEERS))/river/datasets/phishing.csv.gz \
	VARIATE_TEST_MOVIE_SNIPPETS=$(abspath $(FETCHED_movie-snippets))

# The heart: noise, random networks, the oracle, attacks within a budget, rates and records. No file here takes long.
HEART := tests/random/test_counter.py tests/random/test_keys.py tests/random/test_network.py tests/random/test_parameters.py \
	tests/oracle tests/inputs/test_budget.py tests/attacks/test_gradient_attacks.py tests/evaluation/test_judge.py \
	tests/statistics/test_rates.py tests/records/test_file.py tests/project/test_layout.py tests/test_registry.py

PIP := PIP_CONSTRAINT=constraints.txt $(BIN)/pip --disable-pip-version-check --quiet

.PHONY: demo test quick lint types imports pytest native docs bench clean

demo: $(VENV)/installed $(FETCHED_$(DATA))
	$(BIN)/variate study $(DATA) --out runs/$(DATA) $(addprefix --data-folder ,$(FOLDER))

$(VENV)/river: | $(VENV)/installed
	$(PIP) install --no-deps river
	touch $@

data/vaderSentiment-3.3.2.tar.gz: | $(VENV)/installed
	$(PIP) download --no-deps --no-binary :all: --dest data vaderSentiment

test: lint types imports pytest

quick: lint types
	$(BIN)/pytest -m 'not slow' $(HEART)

lint: $(VENV)/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/tested
	$(BIN)/mypy

imports: $(VENV)/tested
	$(BIN)/lint-imports

# One process per core; the tests of a file stay together, since they share what they have trained.
pytest: $(VENV)/tested $(FETCHED_movie-snippets)
	$(DATA_OF_TESTS) $(BIN)/pytest --numprocesses auto --dist loadfile

native: $(VENV)/tested
	$(BIN)/python hatch_build.py

docs: $(VENV)/tested
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(VENV)/tested
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
	$(PIP) install --editable .
	touch $@

$(VENV)/tested: $(VENV)/installed
	$(PIP) install --editable '.[dev]'
	rm -rf $(PEERS)
	$(PIP) install --no-deps --target $(PEERS) river timm torchattacks torchvision
	touch $@

clean:
	rm -rf $(VENV) runs build dist site src/variate/random/noise/noise.so .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
