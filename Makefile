# Everything is made in .venv; only Python 3.11 with its venv module is needed beforehand.
PYTHON  ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
BIN     := .venv/bin
DBT_SQL := dbt_pipeline/models dbt_pipeline/macros dbt_pipeline/tests dbt_pipeline/analyses

.DEFAULT_GOAL := help
.PHONY: help install demo test check bench mutate docs lock clean

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' Makefile

install: .venv/installed ## Make .venv with the pinned packages

.venv/installed: requirements.lock pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit("Python 3.11 is needed, this is %d.%d; try: make PYTHON=/path/to/python3.11" % sys.version_info[:2] if sys.version_info[:2] != (3, 11) else 0)'
	@test -x $(BIN)/python || "$(PYTHON)" -m venv .venv
	@# uv installs the rest ten times faster than pip does; pip brings it, by the same lock.
	@# Compiled now, because some machines forbid it later, and then every command takes seconds to import.
	@awk '/^[a-z0-9]/ {wanted = /^uv==/} wanted' requirements.lock > .venv/uv.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r .venv/uv.lock
	@$(BIN)/python -m uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/python -m uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: install ## Set up and run the main job on generated data
	@$(BIN)/insight run

test: install ## Set up and run all tests
	@$(BIN)/python -m pytest

check: install ## Lint, types, SQL style, import order, YAML schemas
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/sqlfluff lint --processes 2 $(DBT_SQL)
	@$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(BIN)/python -m governance.yaml_schema dbt_pipeline
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

bench: install ## Measure the parts against plain baselines, side by side
	@$(BIN)/python -m benchmarks

mutate: install ## Change each mart one edit at a time; print which edits no test notices
	@PYTHONPATH=tests $(BIN)/python -m mutation $(if $(MODELS),--models $(MODELS))

docs: install ## Build the documentation site and the dbt docs into site/
	@$(BIN)/insight run
	@$(BIN)/python -m ml_pipeline.run_notebooks docs/notebooks
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@$(BIN)/insight dbt docs generate --static --quiet
	@mkdir -p site/dbt && cp dbt_pipeline/target/static_index.html site/dbt/index.html

lock: install ## Pin the newest allowed versions in requirements.lock
	@$(BIN)/python -m uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras \
	  --generate-hashes --no-emit-index-url --no-annotate --no-header pyproject.toml -o requirements.lock

clean: ## Stop the services; remove .venv, data and everything made
	@if [ -x $(BIN)/insight ]; then $(BIN)/insight reset --yes; fi
	@rm -rf .venv .insight site .pytest_cache .mypy_cache .ruff_cache .hypothesis dbt_pipeline/target dbt_pipeline/logs
