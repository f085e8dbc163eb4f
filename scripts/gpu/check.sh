#!/usr/bin/env bash
# The tests that need a GPU, and the benchmarks on one: check.sh DATA OUT
# For a machine with torch, OpenCV, safetensors, accelerate and pytest (PYTHONPATH=src).
set -euo pipefail
export PYTHONPATH=src
python -m pytest -q -p no:cacheprovider tests/test_device_batches.py tests/test_train.py -k "cuda or gpu"
python benchmarks/feeding.py "$1"
cp benchmarks/feeding.json "$2/"
