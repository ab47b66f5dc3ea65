# The two commands of the README: `make demo` and `make test`. Both set themselves up.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
export HF_HUB_OFFLINE = 1
export INTERPLAY_THREADS ?= 2

.PHONY: demo test check bench serve docs setup chromium clean

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[text,lexical,dev]'
	touch $@

setup: $(VENV)/.ready

demo: setup  ## the built-in market, learnt and served; stays in the foreground
	$(BIN)/interplay demo

test: setup chromium  ## everything: unit, contract, puzzle, definition, docs and browser tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

check: setup  ## formatting, lint and types
	$(BIN)/ruff check src tests
	$(BIN)/ruff format --check src tests
	$(BIN)/mypy src/interplay

bench: setup  ## one bench and its table: make bench NAME=ml-100k
	$(BIN)/interplay bench $(NAME) --table

serve: setup  ## a fitted model or recipe: make serve MODEL=dir
	$(BIN)/interplay serve $(MODEL)

docs: setup  ## render the tables of results/ into README and docs
	$(BIN)/python -m interplay.reporting

chromium:  # browser tests need Debian's chromium; installed when missing and possible
	@test -x /usr/bin/chromium || { echo "installing Debian's chromium for the browser tests"; \
	  (apt-get update -qq && apt-get install -y -qq chromium) || sudo apt-get install -y chromium; }

clean:
	rm -rf $(VENV) build *.egg-info
