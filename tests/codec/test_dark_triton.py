"""The kernel in Triton gives what the reference gives: on a GPU, else through Triton's interpreter."""

import os
import subprocess
import sys
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from conftest import Golden, each_slow
from darkpose.codec import dark_triton, tensors
from darkpose.codec.dark import Found, modulation_kernel
from darkpose.codec.dark_torch import FoundTensors
from darkpose.codec.dark_triton import decode_gpu
from darkpose.codec.heatmap import Method, decode
from darkpose.errors import DarkposeError
from random_maps import assert_agree, random_maps

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


needs_triton = pytest.mark.skipif(not dark_triton.AVAILABLE, reason="needs Triton, which comes with PyTorch for CUDA")


def check(found: FoundTensors, maps: Tensor, method: str, kernel: int) -> None:
    keep = ~found.clipped
    arrays = (found.points[keep], found.scores[keep], found.covariance[keep])
    numbers = maps[keep].float().cpu().numpy()
    assert_agree(Found(*(each.cpu().numpy() for each in arrays)), numbers, method, modulation_kernel(kernel))


@needs_triton
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of the interpreter
@pytest.mark.parametrize("kind", [torch.float32, *each_slow(torch.float16, torch.bfloat16)])
@pytest.mark.parametrize("method", ["dark", *each_slow("argmax", "quarter")])
@settings(max_examples=8)
@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    kernel=st.sampled_from([3, 11, 17]),
)
def test_every_map_is_decoded_as_by_the_reference(
    kind: torch.dtype, method: str, seed: int, height: int, width: int, kernel: int
) -> None:
    maps = torch.from_numpy(random_maps(np.random.default_rng(seed), 6, height, width)).to(DEVICE, kind)
    if DEVICE == "cpu" and kind is torch.bfloat16:  # whose subnormal numbers Triton's interpreter (3.9) changes
        maps = torch.where(maps.abs() < torch.finfo(kind).tiny, 0, maps)
    check(decode_gpu(maps, method=method, kernel_size=kernel), maps, method, kernel)


@needs_triton
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("case", ["edge", *each_slow("k19", "rect", "k98")])
def test_the_golden_maps_are_decoded_as_by_the_reference(golden: Golden, case: str) -> None:
    heatmaps = golden(f"b_decode_{case}")["heatmaps_f16" if case == "k98" else "heatmaps"]
    maps = torch.from_numpy(heatmaps.copy()).flatten(0, 1).to(DEVICE)
    check(decode_gpu(maps), maps, "dark", 11)


@needs_triton
def test_a_large_map_a_view_and_no_map_are_decoded() -> None:
    maps = torch.from_numpy(random_maps(np.random.default_rng(0), 3, 256, 250)).to(DEVICE)
    check(decode_gpu(maps.mT), maps.mT, "dark", 11)
    assert decode_gpu(maps[:0]).points.shape == (0, 2)


@needs_triton
@pytest.mark.parametrize(
    ("maps", "options", "message"),
    [
        (torch.zeros(1, 8, 8, dtype=torch.float64), {}, "got torch.float64"),
        (torch.zeros(1, 8, 257), {}, "got torch.float32 257x8"),
        (torch.zeros(1, 8, 8), {"method": "dark+"}, r"got 'dark\+'"),
        (torch.zeros(1, 8, 8), {"kernel_size": 4}, "got 4"),
    ],
)
def test_unusable_input_is_refused(maps: Tensor, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DarkposeError, match=message):
        decode_gpu(maps, **options)


def test_without_triton_an_error_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dark_triton, "triton", None)
    with pytest.raises(DarkposeError, match="needs Triton"):
        decode_gpu(torch.zeros(1, 8, 8))


@pytest.fixture
def untried(monkeypatch: pytest.MonkeyPatch) -> None:
    """No device has been tried, in this test and after it."""
    monkeypatch.setattr(dark_triton, "trouble", cache(dark_triton.trouble.__wrapped__))


@needs_triton
@pytest.mark.usefixtures("untried")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_device_on_which_the_kernel_finds_a_known_peak_is_no_trouble() -> None:
    assert dark_triton.trouble(torch.device(DEVICE)) == ""


@pytest.mark.usefixtures("untried")
def test_a_device_without_triton_or_on_which_it_fails_or_errs_is_known_by_its_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = torch.device(DEVICE)

    def fail(_: Tensor) -> FoundTensors:
        raise RuntimeError("Failed to find C compiler.\nPlease specify")

    def err(maps: Tensor) -> FoundTensors:
        return FoundTensors(torch.full((1, 2), 3.0), maps.amax((1, 2)), torch.zeros(1, 2, 2), torch.zeros(1) > 0)

    monkeypatch.setattr(dark_triton, "triton", None)
    assert dark_triton.trouble.__wrapped__(device) == "Triton is not installed"
    monkeypatch.setattr(dark_triton, "triton", object())
    for wrong, reason in (
        (fail, "RuntimeError: Failed to find C compiler."),
        (err, "a peak at (7.3, 8.6) was found at (3.000, 3.000)"),
    ):
        monkeypatch.setattr(dark_triton, "decode_gpu", wrong)
        assert dark_triton.trouble.__wrapped__(device) == reason


def test_maps_that_the_kernel_does_not_take_are_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dark_triton, "trouble", lambda _: "")
    monkeypatch.setattr(Tensor, "is_cuda", True)
    assert dark_triton.fits(torch.zeros(1, 2, 64, 48), "dark")
    for maps, method in (
        (torch.zeros(1, 2, 64, 48), "dark+"),
        (torch.zeros(1, 2, 64, 48, dtype=torch.float64), "dark"),
        (torch.zeros(1, 2, 8, 257), "dark"),
    ):
        assert not dark_triton.fits(maps, method)
    monkeypatch.setattr(dark_triton, "trouble", lambda _: "no compiler")
    assert not dark_triton.fits(torch.zeros(1, 2, 64, 48), "dark")


@needs_triton
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("method", ["argmax", "quarter", "dark"])
def test_decode_uses_the_kernel_and_finds_what_it_finds_elsewhere(
    method: Method, golden: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    maps = torch.from_numpy(golden("b_decode_edge")["heatmaps"].copy())
    expected = decode(maps, method=method, covariance=method == "dark")
    monkeypatch.setattr(dark_triton, "fits", lambda *_: True)
    monkeypatch.setattr(tensors, "decode_torch", None)  # is not called
    found = tensors.decode_on_device(maps.to(DEVICE), method, 11 if method == "dark" else 1, method == "dark")
    torch.testing.assert_close(found.scores.cpu(), expected.scores, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(found.points.cpu(), expected.points, rtol=0, atol=1e-4)
    if expected.covariance is not None:
        assert found.covariance is not None
        torch.testing.assert_close(found.covariance.cpu(), expected.covariance, rtol=1e-3, atol=1e-3, equal_nan=True)


COMPILE = """
import torch
from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from darkpose.codec import dark_triton

types = dict(points="*fp32", scores="*fp32", spread="*fp32", clipped="*i1", height="i32", width="i32", floor="fp32")
for kind in ("*fp32", "*fp16", "*bf16"):
    for method in (0, 1, 2):
        for capability in (80, 90):
            signature = {"maps": kind, "taps": "*fp32", **types, "method": "i32", "size": "i32"}
            constants = {"cells": 4096, "side": 16} | ({"method": 1} if method == 1 else {})
            signature |= dict.fromkeys(constants, "constexpr")
            source = ASTSource(fn=dark_triton._decode_one, signature=signature, constexprs=constants)
            assert compile(source, target=GPUTarget("cuda", capability, 32)).asm["cubin"]
"""


@pytest.mark.slow
@needs_triton
def test_the_kernel_compiles_for_gpus_that_are_not_here() -> None:
    """Triton's interpreter takes more than its compiler does. A method of 1 is a constant to it, as every 1 is."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", COMPILE],
        env={**os.environ, "TRITON_INTERPRET": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
