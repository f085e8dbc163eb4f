# make demo        photo in, landmarks out: demo.png and demo.json; installs what that needs
# make test        lint, types and tests; installs everything
# make test-core   the tests of the core where PyTorch is not installed
# make test-slow   tests that take long: killed processes, Ray, C++, JavaScript, the page in a browser, several training processes
# make test-service  the service under load and malformed requests, and the page in a browser (also parts of test and test-slow)
# make fuzz        readers of files on damaged files, EXAMPLES=10000 of each kind
# make site        the page as a static folder, site/: landmarks in the browser, on any host of files; needs Node.js
# make setup       everything, into .venv
# make bench       the codec's speed next to other packages': docs/benchmarks.md; the network's in every runtime: docs/deploy.md
#                  (PHOTOGRAPHS=folder: with these faces, and in int8, too)

PYTHON ?= python3
WORKERS ?= auto
EXAMPLES ?= 10000
BIN := .venv/bin
CORE := .venv-core/bin
# uv takes wheels from a local folder where PIP_FIND_LINKS names one, and picks the right build of PyTorch where not.
ifdef PIP_FIND_LINKS
UV := UV_FIND_LINKS="$(PIP_FIND_LINKS)" $(BIN)/uv
else
UV := UV_TORCH_BACKEND=auto $(BIN)/uv
endif
INSTALL := pip install --quiet --constraint constraints.txt --editable
PYTEST := -m pytest --quiet --numprocesses $(WORKERS) --dist worksteal

# Compile modules once and keep them: every later start is faster.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: setup demo site test test-core test-service test-slow fuzz bench clean

setup: .venv/complete

.venv/core: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.9,<1"
	$(UV) $(INSTALL) . --python $(BIN)/python
	touch $@

.venv/complete: .venv/core
	$(UV) $(INSTALL) ".[train,export,openvino,fast,parquet,supervision,report,data,track,video,serve]" --group dev --python $(BIN)/python
	touch $@

.venv-core/ready: .venv/core
	$(UV) venv --quiet --clear --python $(BIN)/python .venv-core
	$(UV) $(INSTALL) . --group test --python $(CORE)/python
	touch $@

demo: .venv/core
	$(BIN)/darkpose predict examples/astronaut.png --output demo-out --draw
	mv demo-out/astronaut.landmarks.png demo.png
	mv demo-out/astronaut.json demo.json
	rmdir demo-out
	@echo "the landmarks: demo.json, the picture: demo.png"

site: setup
	$(BIN)/python scripts/build_site.py site

test: setup
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --no-cache --check .
	$(BIN)/mypy
	$(BIN)/python $(PYTEST) -m "not slow"

test-core: .venv-core/ready
	$(CORE)/python $(PYTEST) -m "not slow"

test-service: setup
	$(BIN)/python -m pytest --quiet tests/serve tests/web tests/cli/test_cli_serve.py

test-slow: setup
	$(BIN)/python -m pytest --quiet -m slow

fuzz: setup
	EXAMPLES=$(EXAMPLES) $(BIN)/python $(PYTEST) --hypothesis-profile fuzz --timeout 0 $(wildcard tests/test_fuzz_*.py tests/*/test_fuzz_*.py)

bench: setup
	$(BIN)/python benchmarks/codec.py benchmarks/results
	$(BIN)/python benchmarks/codec_page.py benchmarks/results/codec.json docs
	benchmarks/deploy.sh $(BIN)/darkpose "$(PHOTOGRAPHS)" benchmarks/results docs
	$(BIN)/python benchmarks/deploy_page.py benchmarks/precision.json benchmarks/results docs/deploy.md

clean:
	rm -rf .venv .venv-core demo.png demo.json demo-out site
