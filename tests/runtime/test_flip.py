"""The flip test: mirrored heatmaps brought back, and their mean."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from conftest import Golden
from darkpose.codec.heatmap import decode, encode
from darkpose.image.pixels import Pixels
from darkpose.runtime.flip import FlipTest, heatmaps_by_flip, mirror_back
from darkpose.runtime.network import Runtime

NO_SWAP = np.arange(1)
KINDS = (np.asarray, torch.tensor)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["aflw", "wflw"])
def test_mirrored_heatmaps_come_back_as_in_the_reference(golden: Golden, name: str, kind: type) -> None:
    arrays = golden("c_flip")
    heatmaps, index = kind(arrays[f"{name}_hm"]), arrays[f"{name}_flip_index"].copy()
    shifted = mirror_back(heatmaps, index, "published")
    assert type(shifted) is type(heatmaps)
    np.testing.assert_array_equal(shifted, arrays[f"{name}_flip_back_shift"])
    np.testing.assert_array_equal(shifted[..., 1:], arrays[f"{name}_flip_back"][..., :-1])
    # "exact" is three quarters of the way from the unshifted maps to the shifted ones.
    expected = 0.25 * arrays[f"{name}_flip_back"] + 0.75 * arrays[f"{name}_flip_back_shift"]
    np.testing.assert_allclose(mirror_back(heatmaps, index, "exact"), expected, rtol=0, atol=1e-6)


def test_mirror_back_leaves_its_input_as_it_was() -> None:
    heatmaps = np.random.default_rng(0).random((2, 1, 5, 7), np.float32)
    copy = heatmaps.copy()
    mirror_back(heatmaps, NO_SWAP, "exact")
    np.testing.assert_array_equal(heatmaps, copy)


class PerfectNetwork:
    """Knows where the landmark of the crop is, and that of the mirrored crop: crop u becomes 255 - u."""

    name = "perfect"
    runtime: Runtime = "onnxruntime"

    def __init__(self, x: float, y: float) -> None:
        self.points = iter([(x, y), ((255 - 4 * x) / 4, y)])
        self.calls = 0

    def __call__(self, crops: Pixels) -> NDArray[np.float32]:
        self.calls += 1
        return encode(np.array([[next(self.points)]]))[0].astype(np.float32)


@given(x=st.floats(8, 55), y=st.floats(8, 55))
def test_the_exact_flip_test_has_no_bias_and_the_published_one_an_eighth_of_a_pixel(x: float, y: float) -> None:
    expected: dict[FlipTest, float] = {"off": 0, "exact": 0, "published": 0.125}
    for flip_test, bias in expected.items():
        network = PerfectNetwork(x, y)
        heatmaps = heatmaps_by_flip(network, np.zeros((1, 256, 256, 3), np.uint8), NO_SWAP, [flip_test])[flip_test]
        assert network.calls == (1 if flip_test == "off" else 2)
        assert heatmaps.dtype == np.float32
        np.testing.assert_allclose(decode(heatmaps).points[0, 0], [x + bias, y], rtol=0, atol=0.01)


class RedAndItsNegative:
    """Two landmarks: the red of the crop at a quarter of the size, and its negative."""

    name = "red"
    runtime: Runtime = "onnxruntime"

    def __call__(self, crops: Pixels) -> NDArray[np.float32]:
        n, height, width, _ = crops.shape
        red = crops[..., 0].reshape(n, height // 4, 4, width // 4, 4).mean(axis=(2, 4), dtype=np.float32)
        return np.stack([red, -red], axis=1)


def test_several_flip_tests_from_one_pass_are_each_what_it_gives_alone() -> None:
    crops = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    network, index = RedAndItsNegative(), np.array([1, 0])
    flips: tuple[FlipTest, ...] = ("exact", "off", "published")
    found = heatmaps_by_flip(network, crops, index, flips)
    assert list(found) == list(flips)
    for flip in flips:
        np.testing.assert_array_equal(found[flip], heatmaps_by_flip(network, crops, index, [flip])[flip])
    np.testing.assert_array_equal(found["off"], network(crops))
    swapped = network(crops[:, :, ::-1])[:, [1, 0], :, ::-1]
    moved = np.concatenate([swapped[..., :1], swapped[..., :-1]], axis=-1)
    np.testing.assert_array_equal(found["published"], (network(crops) + moved) / 2)
