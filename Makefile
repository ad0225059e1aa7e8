# Two commands do everything on a fresh machine: `make demo` and `make test`. `make docs` makes the site.
PYTHON ?= python3
BIN := .venv/bin
# Processes that share the tests, a file at a time; each test has one core (tests/conftest.py).
JOBS ?= 2
SHARED := --dist loadfile --no-loadscope-reorder --ignore tests/fuzz

.PHONY: demo test check coverage slow twice fuzz docs clean

ACTIVATE = echo "To use freefill in this terminal:" && echo && echo "    . $(BIN)/activate"

demo: .venv/base
	$(BIN)/freefill fill examples --out out/demo --format png --overwrite --sheet out/demo/sheet.png
	@echo
	@echo "Look at out/demo/sheet.png: input, hole and result of each photo, side by side."
	@$(ACTIVATE)

test: .venv/lab .venv/browser .venv/node_modules
	$(BIN)/pytest -n $(JOBS) $(SHARED)
	$(BIN)/pytest tests/fuzz
	@echo
	@$(ACTIVATE)

# The same, counting lines: half as long again.
COUNT := --cov --cov-report= --cov-fail-under=0
coverage: .venv/lab .venv/browser .venv/node_modules
	$(BIN)/pytest -n $(JOBS) $(SHARED) $(COUNT)
	$(BIN)/pytest tests/fuzz $(COUNT) --cov-append
	$(BIN)/coverage report

check: .venv/lab .venv/node_modules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/node .venv/node_modules/typescript/bin/tsc -p jsconfig.json

slow: .venv/lab .venv/browser .venv/firefox .venv/node_modules
	$(BIN)/freefill references lpips_alex
	$(BIN)/pytest -m slow

# Any bytes as photos, masks, metadata, weights and requests: what fails is kept in out/fuzz.
MINUTES ?= 10
fuzz: .venv/lab
	$(BIN)/python tests/fuzz/run.py --minutes $(MINUTES)

# Strict: a dead link, a page that is not in the navigation, or a public name without a docstring fails.
# The studio lies beside its page docs/try.md.
docs: .venv/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	PATH="$(CURDIR)/$(BIN):$$PATH" freefill page --out build/site/studio
	@echo "Open build/site/index.html"

.venv/base: pyproject.toml
	@echo "Installing freefill into .venv: about 230 MB, a minute or two."
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

.venv/lab: pyproject.toml .venv/base
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[all,dev]'
	touch $@

.venv/docs: pyproject.toml .venv/base
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	touch $@

.venv/browser: .venv/lab
	$(BIN)/python tests/e2e/browser.py
	touch $@

# Debian's, for the slow tests alone.
.venv/firefox: .venv/lab
	$(BIN)/python tests/e2e/browser.py firefox
	touch $@

# The modules of the page are plain JavaScript; their types are in comments, which tsc reads. The site
# runs its network in onnxruntime-web, whose files are checked by what src/freefill/server/site/runtime.py says.
# puppeteer-core drives Firefox in the slow tests.
.venv/node_modules: .venv/lab Makefile
	$(BIN)/npm install --silent --no-audit --no-fund --prefix .venv typescript@5.9.3 onnxruntime-web@1.30.0 puppeteer-core@25.16.0
	touch $@

# Wheel and source, built twice, must be the same bytes; they are left in dist/.
twice: .venv/base
	$(BIN)/python -m pip install --quiet --disable-pip-version-check build
	rm -rf dist build/twice
	$(BIN)/python -m build --outdir dist
	$(BIN)/python -m build --outdir build/twice
	cd dist && sha256sum * | (cd ../build/twice && sha256sum --check --strict)

clean:
	rm -rf .venv out build dist
