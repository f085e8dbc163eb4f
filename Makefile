# make demo    photo in, landmarks out: demo.png and demo.json
# make test    lint, types and tests
# make setup   everything both need, into .venv
# make bench   the codec's speed beside other packages': docs/benchmarks.md; the network's in every runtime: docs/deploy.md
#              (PHOTOGRAPHS=folder: with these faces, and in int8, too)

PYTHON ?= python3
BIN := .venv/bin
# Where wheels lie in a local folder (PIP_FIND_LINKS), uv takes them from there; elsewhere it picks the right PyTorch build.
ifdef PIP_FIND_LINKS
UV := UV_FIND_LINKS="$(PIP_FIND_LINKS)" $(BIN)/uv pip install --quiet --python $(BIN)/python
else
UV := UV_TORCH_BACKEND=auto $(BIN)/uv pip install --quiet --python $(BIN)/python
endif

.PHONY: setup demo test test-slow bench clean

setup: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.9,<1"
	$(UV) --constraint constraints.txt --editable ".[train,data,report]" --group dev
	touch $@

demo: setup
	$(BIN)/darkpose predict examples/astronaut.png --output demo-out --draw
	mv demo-out/astronaut.landmarks.png demo.png
	mv demo-out/astronaut.json demo.json
	rmdir demo-out
	@echo "the landmarks: demo.json, the picture: demo.png"

test: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -m "not slow"

test-slow: setup
	$(BIN)/python -m pytest -q -m slow

bench: setup
	$(BIN)/python benchmarks/codec.py benchmarks/results
	$(BIN)/python benchmarks/codec_page.py benchmarks/results/codec.json docs
	benchmarks/deploy.sh $(BIN)/darkpose "$(PHOTOGRAPHS)" benchmarks/results docs
	$(BIN)/python benchmarks/deploy_page.py benchmarks/precision.json benchmarks/results docs/deploy.md

clean:
	rm -rf .venv demo.png demo.json demo-out
