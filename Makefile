# Everything runs from .venv, which is made from requirements.lock alone: a fresh machine needs python3, pip and make.
PYTHON ?= python3
BIN := .venv/bin
UV_VERSION := 0.13.9

.PHONY: demo test lint types unit notebooks browser screenshots interop record-default-router lab dashboard install \
	lock wheel benchmarks soak clean

install: .venv/.installed

# --only-binary: nothing is compiled here; the package itself is installed from this folder, without its index.
.venv/.installed: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@echo "installing from requirements.lock …"
	@$(BIN)/uv pip sync --quiet --require-hashes --only-binary :all: --compile-bytecode --python $(BIN)/python requirements.lock
	@$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --compile-bytecode --python $(BIN)/python --editable .
	@$(BIN)/python -m compileall -q src
	@touch $@

demo: install
	@$(BIN)/routebench demo --out results/demo

test: lint types unit notebooks

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

# A process for every core; the tests of one file stay together, for they share what is slow to make.
unit: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

# The notebooks answer from recorded completions of the real models, so their tables are the same everywhere.
notebooks: install
	$(BIN)/python -m pytest --nbval-lax --nbval-current-env -p no:cacheprovider notebooks

# JupyterLab and the dashboard in a real browser, which is not downloaded: apt-get install chromium, or name one in
# ROUTEBENCH_CHROMIUM. Pictures to look at go to results/screenshots. Not part of `make test`.
browser: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m browser -p no:cacheprovider tests/browser

# The pictures of the README, on the demonstration's recorded answers.
screenshots: install
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.browser.screenshots docs

# The gateways that are not ours, each in an environment of its own; the tests run in .venv and start them from there.
# Portkey's needs node and npm. Not part of `make test`.
INTEROP := .venv-interop/.installed .venv-interop-vllm-sr/.installed .venv-interop-openrouter/.installed \
	interop/portkey/node_modules/.installed

interop: install $(INTEROP)
	$(BIN)/python -m pytest interop

# What LiteLLM's router does with the starter suite, kept for the demonstration.
record-default-router: install .venv-interop/.installed
	$(BIN)/python interop/record_default_router.py

.venv-interop/.installed: interop/requirements.lock | install
	@test -x .venv-interop/bin/python || $(BIN)/python -m venv --without-pip .venv-interop
	@echo "installing LiteLLM from interop/requirements.lock …"
	@$(BIN)/uv pip sync --quiet --require-hashes --only-binary :all: --compile-bytecode \
		--python .venv-interop/bin/python interop/requirements.lock
	@touch $@

.venv-interop-%/.installed: interop/%.lock | install
	@test -x .venv-interop-$*/bin/python || $(BIN)/python -m venv --without-pip .venv-interop-$*
	@echo "installing $* from interop/$*.lock …"
	@$(BIN)/uv pip sync --quiet --require-hashes --only-binary :all: --compile-bytecode \
		--python .venv-interop-$*/bin/python interop/$*.lock
	@touch $@

interop/portkey/node_modules/.installed: interop/portkey/package-lock.json
	@command -v npm >/dev/null || { echo "Portkey's gateway needs node 20 or newer, with npm: apt-get install nodejs npm" >&2; exit 1; }
	@echo "installing Portkey's gateway from interop/portkey/package-lock.json …"
	@cd interop/portkey && npm ci --silent
	@touch $@

# JupyterLab asks other machines for news, for updates of itself and for extensions; ours does not.
# Jupyter starts for root, as in a container, only when it is told to.
lab: install
	$(BIN)/jupyter lab notebooks/01-first-run.ipynb $$(test "$$(id -u)" != 0 || echo --allow-root) \
		--LabApp.news_url=None --LabApp.extension_manager=readonly --LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate

# The cockpit on the demonstration; with a bench of your own: make dashboard DASHBOARD="bench.yaml --rules rules.yaml"
dashboard: install
	$(BIN)/routebench dashboard $(DASHBOARD)

lock: install
	$(BIN)/uv pip compile pyproject.toml --universal --generate-hashes --no-header --python-version 3.11 \
		--extra lab --extra gateway --extra otel --extra dashboard --extra minilm --group embedded --group browser --group dev \
		--output-file requirements.lock --quiet

wheel: install
	$(BIN)/python -m hatchling build --target wheel

# Ten minutes of load while providers fail, slow down and restart; wants a machine that does nothing else.
soak: install
	$(BIN)/python benchmarks/soak.py

benchmarks: install
	@for name in decide harness crash; do echo "== $$name"; $(BIN)/python benchmarks/$$name.py || exit 1; done

clean:
	rm -rf .venv .venv-interop .venv-interop-* interop/portkey/node_modules build dist .mypy_cache .ruff_cache .pytest_cache
