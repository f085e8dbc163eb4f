"""The decoder in torch gives what the reference gives, eagerly, captured as one graph, and exported."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from conftest import Golden, each_slow
from darkpose.codec import dark
from darkpose.codec.dark import Found, modulation_kernel
from darkpose.codec.dark_torch import FoundTensors, decode_torch
from darkpose.errors import DarkposeError
from random_maps import METHODS, assert_agree, random_maps, steady, weak_maps


def unclipped(found: FoundTensors) -> tuple[Found, Any]:
    """The landmarks of the maps that the clip does not touch, and which these are."""
    keep = ~found.clipped
    arrays = (found.points[keep].numpy(), found.scores[keep].numpy(), found.covariance[keep].numpy())
    return Found(*arrays), keep.numpy()


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=20)
@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    kernel=st.sampled_from([1, 3, 9, 11, 17]),
)
def test_every_map_is_decoded_as_by_the_reference(
    kind: torch.dtype, method: str, seed: int, height: int, width: int, kernel: int
) -> None:
    maps = torch.from_numpy(random_maps(np.random.default_rng(seed), 12, height, width)).to(kind)
    found, keep = unclipped(decode_torch(maps, method=method, kernel_size=kernel))
    numbers = maps if kind in (torch.float32, torch.float64) else maps.float()
    assert_agree(found, numbers.numpy()[keep], method, modulation_kernel(kernel))


@pytest.mark.parametrize("kernel", [3, 5, 11, 17])
def test_more_than_a_fifth_of_the_weak_maps_touch_the_clip_and_nearly_all_of_these_are_compared(kernel: int) -> None:
    maps = weak_maps(np.random.default_rng(0), 1000, 33, 41)
    taps = modulation_kernel(kernel)
    clipped = decode_torch(torch.from_numpy(maps), kernel_size=kernel).clipped.numpy()
    assert clipped.mean() > 0.2
    compared = steady(maps[clipped], "dark", taps)
    assert compared.mean() > 0.95
    step = dark.decode_maps(maps[clipped], "dark", taps).points - dark.find_maxima(maps[clipped])[0]
    assert (compared & (np.abs(step).max(axis=1) > 1e-3)).sum() > 100


@pytest.mark.parametrize("case", ["k19", "k98", "rect", "edge"])
def test_the_golden_maps_are_decoded_as_by_the_reference(golden: Golden, case: str) -> None:
    maps = golden(f"b_decode_{case}")["heatmaps_f16" if case == "k98" else "heatmaps"].astype(np.float32)
    maps = maps.reshape(-1, *maps.shape[2:])
    for size in (11, 17):
        found, keep = unclipped(decode_torch(torch.from_numpy(maps), kernel_size=size))
        assert_agree(found, maps[keep], "dark", modulation_kernel(size))


def some_maps(count: int) -> Tensor:
    return torch.from_numpy(random_maps(np.random.default_rng(count), count, 40, 48))[None]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of torch's own making
@pytest.mark.parametrize("method", ["dark", *each_slow("argmax", "quarter", "dark+")])
def test_it_is_captured_as_one_graph_for_any_number_of_maps(method: str) -> None:
    captured = torch.compile(decode_torch, fullgraph=True, dynamic=True, backend="aot_eager")
    for count in (4, 9):
        expected = decode_torch(some_maps(count), method=method)
        for a, b in zip(captured(some_maps(count), method=method), expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6, equal_nan=True)


class Decoder(torch.nn.Module):
    def __init__(self, method: str) -> None:
        super().__init__()
        self.method = method

    def forward(self, heatmaps: Tensor) -> tuple[Tensor, ...]:
        return tuple(decode_torch(heatmaps, method=self.method))


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("method", ["dark", *each_slow("argmax", "quarter", "dark+")])
def test_it_is_exported_for_any_number_of_faces(method: str) -> None:
    faces = torch.export.Dim("faces", min=1, max=1024)
    example = some_maps(6).reshape(2, 3, 40, 48)
    program = torch.export.export(Decoder(method), (example,), dynamic_shapes=({0: faces},))
    maps = some_maps(15).reshape(5, 3, 40, 48)
    for a, b in zip(program.module()(maps), decode_torch(maps, method=method), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6, equal_nan=True)


def test_the_input_stays_as_it_was_and_needs_no_gradient() -> None:
    maps = some_maps(5).requires_grad_()
    copy = maps.detach().clone()
    assert not decode_torch(maps, method="dark+").points.requires_grad
    assert torch.equal(maps.detach().nan_to_num(), copy.nan_to_num())


def test_an_unknown_method_and_an_even_kernel_are_refused() -> None:
    with pytest.raises(DarkposeError, match="got 'mean'"):
        decode_torch(some_maps(1), method="mean")
    with pytest.raises(DarkposeError, match="got 10"):
        decode_torch(some_maps(1), kernel_size=10)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("method", METHODS)
def test_on_a_gpu_it_decodes_without_waiting(method: str) -> None:
    maps = some_maps(50).cuda()
    decode_torch(maps, method=method)
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = decode_torch(maps, method=method)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    arrays, keep = unclipped(FoundTensors(*(each.flatten(0, 1).cpu() for each in found)))
    assert_agree(arrays, maps.flatten(0, 1).cpu().numpy()[keep], method, modulation_kernel(11))
