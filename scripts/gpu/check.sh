#!/usr/bin/env bash
# The tests that need a GPU: check.sh
# Needs torch, Triton, OpenCV, safetensors, accelerate, pytest, pytest-xdist and Hypothesis.
set -uo pipefail
export PYTHONPATH=src PYTHONUNBUFFERED=1
pytest="python3 -m pytest -q -W default -p no:cacheprovider"
$pytest -n 12 tests/codec/test_dark_triton.py tests/codec/test_dark_torch.py tests/codec/test_heatmap_encode.py \
    tests/codec/test_heatmap_decode_input.py tests/training/gpu/test_batches.py tests/training/gpu/test_resident_crops.py
$pytest tests/training/test_loop.py tests/training/gpu/test_cuda_graphs.py -k a_gpu
