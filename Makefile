# make demo   environment, then the main job on the simulated screen, then the application's address
# make test   environment, then the linters and the tests
.DEFAULT_GOAL := help
.PHONY: help demo test lint env clean screenshots

PYTHON ?= $(shell for p in python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(not (3,11) <= sys.version_info[:2] <= (3,12))' 2>/dev/null && echo $$p && break; done)
comma := ,
VENV := .venv
BIN := $(VENV)/bin
EXTRA ?= $(shell nvidia-smi -L >/dev/null 2>&1 && echo gpu || echo cpu)
OTHER := $(if $(findstring gpu,$(EXTRA)),cpu,gpu)
# One name for each choice of extras, so that another choice installs; it alone is there afterwards
STAMP := $(VENV)/.installed-$(subst $(comma),-,$(EXTRA))
ARGS ?=

help:
	@sed -n '1,2s/^# //p' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml .constraints.txt
	@$(or $(PYTHON),false) -c 'import sys; sys.exit(not (3,11) <= sys.version_info[:2] <= (3,12))' 2>/dev/null || { \
		echo "DSSL-Bio needs Python 3.11 or 3.12 on the path or as PYTHON=... (numpy has no wheel of the pinned version for others)."; \
		exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint .constraints.txt "torch==2.13.0"
	@# The two write the same files: both go before one comes, or the last to go would tear a hole into the other
	@! $(BIN)/python -m pip show --quiet faiss-$(OTHER) 2>/dev/null || \
		$(BIN)/python -m pip uninstall --quiet --yes faiss-cpu faiss-gpu
	$(BIN)/python -m pip install --quiet --constraint .constraints.txt --editable ".[$(EXTRA),dev]"
	@rm -f $(VENV)/.installed*
	@touch $(STAMP)

env: $(STAMP)

demo: $(STAMP)
	$(BIN)/dssl-bio demo $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not slow" $(ARGS)

# Pictures of every page, light and dark, wide and narrow; needs Chromium.
screenshots: $(STAMP)
	$(BIN)/python tests/browser/screenshots.py $(or $(BUNDLE),dssl-bio-demo/bundle) $(or $(OUT),screenshots)

clean:
	rm -rf $(VENV)
