# make setup      a virtual environment in .venv with everything installed into it that is not under the GPL;
#                 make setup EXTRAS=jiant-runtime adds what jiant needs, in which Levenshtein is under the GPL
# make bundle     code, wheels and the data in DATA (default: ../shared/data) in build/bundle.tar.gz, for a machine without network
#                 (docs/cluster.md); make bundle PYTHON=python3.12 for that Python
# make quickstart train, prune, probe and compare a small Transformer on real text (recipes/quickstart); what only tests and
#                 other models need is not installed for it
# make test       ruff, mypy, import contracts and pytest; make test PYTHON=python3.12 likewise with that interpreter, and
#                 with Python 3.13, for which there is no fairseq, what the bridge is without it
# make test-gpu   what only a CUDA device can show, where there is one; unpacked from a bundle, without network too
# make test-faults  every command under injected faults (full disk, kill, ...), and their table in docs/faults.md
# make fuzz       coverage-guided fuzzing of what reads strangers' files, an hour over seven targets;
#                 make fuzz SECONDS=60 TARGETS="readers suites" for other times and some of them
# make test-slurm a Slurm of its own is started, and jobs are run, killed and stopped on it; installs what it needs of Debian
SHELL := /bin/bash
DEFAULT_PYTHON := $(shell command -v python3.11 >/dev/null 2>&1 && python3.11 -V >/dev/null 2>&1 && echo python3.11 || echo python3)
PYTHON ?= $(DEFAULT_PYTHON)
VENV := .venv$(if $(filter $(PYTHON),$(DEFAULT_PYTHON)),,-$(notdir $(PYTHON)))
BIN := $(VENV)/bin
EXTRAS ?=
STAMP := $(VENV)/.installed$(if $(EXTRAS),-$(EXTRAS))
PLAIN := $(VENV)/.plain
# What tests start reads what was compiled before it.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: setup bundle quickstart test test-gpu test-faults fuzz test-slurm
setup: $(STAMP)

$(STAMP): setup.py constraints.txt tools/setup.sh
	bash tools/setup.sh "$(PYTHON)" "$(VENV)" dev hf $(EXTRAS)
	touch "$(PLAIN)" "$@"

$(PLAIN): setup.py constraints.txt tools/setup.sh
	bash tools/setup.sh "$(PYTHON)" "$(VENV)"
	touch "$@"

bundle: DATA ?= ../shared/data
bundle: $(STAMP)
	$(BIN)/python tools/bundle.py --data $(DATA) --output build/bundle.tar.gz

quickstart: $(PLAIN)
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash recipes/quickstart/run.sh

test: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2 --dist worksteal -m "not slow and not gpu"

test-gpu: $(STAMP)
	$(BIN)/python -c 'import sys, torch; sys.exit(None if torch.cuda.is_available() else "test-gpu: torch sees no CUDA device")'
	$(BIN)/pytest -m gpu $$(grep -rl --include="test_*.py" "pytest.mark.gpu" tests)

test-faults: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python tests/faults/table.py docs/faults.md

fuzz: SECONDS := 520
fuzz: $(STAMP)
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	$(BIN)/python tests/fuzz/run.py --seconds $(SECONDS) $(TARGETS)

test-slurm: $(STAMP)
	bash tools/slurm.sh
	$(BIN)/pytest -m slurm
