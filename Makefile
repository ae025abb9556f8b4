# `make` alone says what there is. Each target needs a shell, Python 3.11 and nothing else: the first one makes .venv.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
READY := .venv/ready
TESTS ?=
export DO_NOT_TRACK := 1

.PHONY: help demo test torture accept fuzz check format docs pictures bench lock clean

help: ## This list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## (.*)/  make \1\t\2/' | expand -t 16

$(READY): requirements.lock pyproject.toml
	@PYTHON="$(PYTHON)" infra/setup/environment.sh
	@touch $@

demo: $(READY) ## Six months of two lenders and six agencies, on this machine, in about three minutes
	@CI= infra/setup/debian_packages.sh
	@$(BIN)/consign demo

test: $(READY) ## The tests, the long ones left out (TESTS="tests/keys -x" runs some)
	@infra/setup/debian_packages.sh
	@$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not slow" -q $(TESTS)

torture: $(READY) ## Every fault at every phase: what is lost or doubled is counted (TESTS="--torture-json counts.json" keeps it)
	@infra/setup/debian_packages.sh
	@$(BIN)/python -m pytest tests/torture -m torture -q -s $(TESTS)

accept: $(READY) ## Every acceptance test, the long ones too, with ../shared/data where they need it
	@infra/setup/debian_packages.sh
	@$(BIN)/python -m pytest -m "(acceptance or slow) and not torture" -v --timeout 1800 --durations 10 $(TESTS)

fuzz: $(READY) ## Every parser of strangers' bytes under libFuzzer (SECONDS=60 for each; TARGETS="text package" for some)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "atheris==3.*"
	@$(BIN)/python tests/fuzz/run.py --seconds $(or $(SECONDS),60) $(TARGETS)

check: $(READY) ## ruff (all rules), ruff format, mypy --strict, the import contracts
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: $(READY) ## Lay the code out, and mend what ruff can mend
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

docs: $(READY) ## Write the reference pages that the code can tell: files, lives, settings, commands
	@$(BIN)/python -m console.web.api.described docs/reference/openapi.json
	@$(BIN)/python -m console.cli.described docs/reference/commands.md
	@$(BIN)/python -m console.acts docs/explanation/console.md
	@$(BIN)/python infra/setup/reference_pages.py

pictures: $(READY) ## Every page of the console as a picture, in both languages (TESTS="/breaks /plans" for some)
	@infra/setup/debian_packages.sh
	@$(BIN)/python -m tests.console.web.screenshots $(TESTS)

bench: $(READY) ## What placing and reconciling a million rows cost, against a floor; writes bench.json
	@infra/setup/debian_packages.sh
	@$(BIN)/python tests/benchmarks/run.py --out bench.json

lock: $(READY) ## Pin anew what pyproject.toml asks for, with hashes and without addresses
	@$(BIN)/python -m venv .venv-lock
	@.venv-lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	@.venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --extra dev \
	    --no-header --no-annotate --no-strip-extras --no-emit-index-url --no-emit-find-links --upgrade pyproject.toml -o requirements.lock
	@rm -rf .venv-lock

clean: ## Everything that can be made again
	@rm -rf .venv .venv-lock .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist bench.json
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
