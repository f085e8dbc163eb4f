#!/usr/bin/env bash
# The tests that need a GPU: check.sh
# For a machine with torch, Triton, OpenCV, safetensors, accelerate, pytest, pytest-xdist and Hypothesis.
set -uo pipefail
export PYTHONPATH=src PYTHONUNBUFFERED=1
pytest="python3 -m pytest -q -W default -p no:cacheprovider"
$pytest -n 12 tests/test_fused_gpu.py tests/test_device_batches.py tests/test_dark_torch.py tests/test_heatmap_encode.py \
    tests/test_heatmap_decode_input.py tests/test_resident_crops.py
$pytest tests/test_train.py tests/test_graphed_passes.py -k a_gpu
