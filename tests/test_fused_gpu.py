"""The kernel in Triton gives what the reference gives: on a GPU, else through Triton's interpreter."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from conftest import Golden
from darkpose import fused_gpu
from darkpose.dark_numpy import Found
from darkpose.dark_torch import FoundTensors
from darkpose.errors import DarkposeError
from darkpose.fused_gpu import decode_gpu
from darkpose.modulation import modulation_kernel
from random_maps import assert_agree, random_maps

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


needs_triton = pytest.mark.skipif(not fused_gpu.AVAILABLE, reason="needs Triton, which comes with PyTorch for CUDA")


def check(found: FoundTensors, maps: Tensor, method: str, kernel: int) -> None:
    keep = ~found.clipped
    arrays = (found.points[keep], found.scores[keep], found.covariance[keep])
    numbers = maps[keep].float().cpu().numpy()
    assert_agree(Found(*(each.cpu().numpy() for each in arrays)), numbers, method, modulation_kernel(kernel))


@needs_triton
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of the interpreter
@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("method", ["argmax", "quarter", "dark"])
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
    check(decode_gpu(maps, method=method, kernel_size=kernel), maps, method, kernel)


@needs_triton
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("case", ["k19", "rect", "edge"])
def test_the_golden_maps_are_decoded_as_by_the_reference(golden: Golden, case: str) -> None:
    heatmaps = golden(f"b_decode_{case}")["heatmaps"]
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
    monkeypatch.setattr(fused_gpu, "triton", None)
    with pytest.raises(DarkposeError, match="needs Triton"):
        decode_gpu(torch.zeros(1, 8, 8))
