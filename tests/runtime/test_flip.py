"""Crops -> landmarks: mirrored heatmaps brought back, the flip test, batches."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from conftest import Golden
from darkpose.codec.heatmap import Method, decode, encode
from darkpose.image.pixels import Normalisation, Pixels
from darkpose.runtime.flip import CropDecoder, FlipTest, batched, heatmaps_by_flip, mirror_back, predict_heatmaps

NO_SWAP = np.arange(1)


@pytest.mark.parametrize("name", ["aflw", "wflw"])
def test_mirrored_heatmaps_come_back_as_in_the_reference(golden: Golden, name: str) -> None:
    arrays = golden("c_flip")
    heatmaps, index = torch.tensor(arrays[f"{name}_hm"]), arrays[f"{name}_flip_index"].copy()
    shifted = mirror_back(heatmaps, index, "published")
    np.testing.assert_array_equal(shifted, arrays[f"{name}_flip_back_shift"])
    np.testing.assert_array_equal(shifted[..., 1:], arrays[f"{name}_flip_back"][..., :-1])
    # "exact" lies three quarters of the way from the unshifted maps to the shifted ones.
    expected = 0.25 * arrays[f"{name}_flip_back"] + 0.75 * arrays[f"{name}_flip_back_shift"]
    np.testing.assert_allclose(mirror_back(heatmaps, index, "exact"), expected, rtol=0, atol=1e-6)


def test_mirror_back_leaves_its_input_as_it_was() -> None:
    heatmaps = torch.rand(2, 1, 5, 7, generator=torch.Generator().manual_seed(0))
    copy = heatmaps.clone()
    mirror_back(heatmaps, NO_SWAP, "exact")
    assert torch.equal(heatmaps, copy)


class PerfectNetwork:
    """Knows where the one landmark of the crop lies, and of the mirrored crop: crop u becomes 255 - u."""

    def __init__(self, x: float, y: float) -> None:
        self.points = iter([(x, y), ((255 - 4 * x) / 4, y)])
        self.calls = 0

    def __call__(self, crops: Tensor) -> Tensor:
        self.calls += 1
        return encode(torch.tensor([[next(self.points)]], dtype=torch.float64))[0]


@given(x=st.floats(8, 55), y=st.floats(8, 55))
def test_the_exact_flip_test_has_no_bias_and_the_published_one_an_eighth_of_a_pixel(x: float, y: float) -> None:
    expected: dict[FlipTest, float] = {"off": 0, "exact": 0, "published": 0.125}
    for flip_test, bias in expected.items():
        network = PerfectNetwork(x, y)
        heatmaps = predict_heatmaps(network, torch.zeros(1, 3, 256, 256), NO_SWAP, flip_test)
        assert network.calls == (1 if flip_test == "off" else 2)
        assert heatmaps.dtype == torch.float32
        np.testing.assert_allclose(decode(heatmaps).points[0, 0], [x + bias, y], rtol=0, atol=0.01)


@pytest.mark.parametrize("flip_test", ["off", "published", "exact"])
def test_heatmaps_of_a_half_precision_network_are_averaged_in_float32(flip_test: FlipTest) -> None:
    heatmaps = torch.tensor([[[[1.0, 1 / 3, 7.0]]]], dtype=torch.bfloat16)
    result = predict_heatmaps(lambda crops: heatmaps, torch.zeros(1, 3, 4, 12), NO_SWAP, flip_test)
    assert result.dtype == torch.float32
    back: Tensor | float = heatmaps.float()
    if flip_test != "off":
        align: Literal["published", "exact"] = flip_test
        back = mirror_back(heatmaps.float(), NO_SWAP, align)
    assert torch.equal(result, (heatmaps.float() + back) / 2)


def brightness_maps(crops: Tensor) -> Tensor:
    """A stand-in network of two landmarks: brightness at a quarter of the size, and its negative."""
    red = torch.nn.functional.avg_pool2d(crops[:, :1], 4)
    return torch.cat([red, -red], dim=1)


def some_crops(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), np.uint8)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 50])
@pytest.mark.parametrize("flip_test", ["off", "published"])
def test_landmarks_do_not_depend_on_the_batch_size(batch_size: int, flip_test: FlipTest) -> None:
    crops, index = some_crops(7), np.array([1, 0])
    heatmaps = predict_heatmaps(brightness_maps, torch.from_numpy(Normalisation()(crops)), index, flip_test)
    expected = decode(heatmaps.numpy())
    decoder = CropDecoder(brightness_maps, Normalisation(), index, flip_test=flip_test, batch_size=batch_size)

    def one_by_one() -> Iterator[Pixels]:
        yield from crops

    decoded = decoder(one_by_one())
    np.testing.assert_allclose(decoded.points, expected.points, rtol=0, atol=1e-4)
    np.testing.assert_allclose(decoded.scores, expected.scores, rtol=0, atol=1e-6)
    assert [len(maps) for maps in decoder.heatmaps(crops)] == [len(batch) for batch in batched(crops, batch_size)]


def test_method_and_kernel_reach_the_decoder() -> None:
    crops, index = some_crops(2), np.arange(2)
    heatmaps = brightness_maps(torch.from_numpy(Normalisation()(crops))).numpy()
    for changed in (
        CropDecoder(brightness_maps, Normalisation(), index, method="argmax"),
        CropDecoder(brightness_maps, Normalisation(), index, kernel_size=5),
    ):
        expected = decode(heatmaps, method=changed.method, kernel_size=changed.kernel_size)
        np.testing.assert_allclose(changed(crops).points, expected.points, rtol=0, atol=1e-4)
        assert np.abs(changed(crops).points - decode(heatmaps).points).max() > 1e-3


def test_no_crops_give_no_landmarks() -> None:
    decoded = CropDecoder(brightness_maps, Normalisation(), np.arange(2))([])
    assert decoded.points.shape == (0, 2, 2)
    assert decoded.scores.shape == (0, 2)
    assert decoded.points.dtype == decoded.scores.dtype == np.float32


@given(items=st.lists(st.integers(), max_size=20), size=st.integers(1, 7))
def test_batches_hold_every_item_in_order_and_all_but_the_last_are_full(items: list[int], size: int) -> None:
    batches = list(batched(items, size))
    assert [item for batch in batches for item in batch] == items
    assert all(len(batch) == size for batch in batches[:-1])
    assert all(batches)


def test_several_flip_tests_from_one_pass_are_each_what_it_gives_alone() -> None:
    network, crops = torch.nn.Conv2d(3, 2, 3, padding=1), torch.randn(2, 3, 8, 8)
    flip_index = np.array([1, 0])
    flips: tuple[FlipTest, ...] = ("exact", "off", "published")
    found = heatmaps_by_flip(network, crops, flip_index, flips)
    assert list(found) == list(flips)
    for flip in flips:
        assert torch.equal(found[flip], predict_heatmaps(network, crops, flip_index, flip))


def test_a_crop_decoder_gives_each_way_of_decoding_from_the_same_heatmaps() -> None:
    network = torch.nn.Conv2d(3, 2, 5, stride=4, padding=2)
    crops = list(np.random.default_rng(0).integers(0, 255, (3, 32, 32, 3), np.uint8))
    ways: list[tuple[FlipTest, Method]] = [("off", "dark"), ("published", "argmax"), ("off", "quarter")]
    decoder = CropDecoder(network, Normalisation(), np.array([1, 0]))
    for (flip, method), found in zip(ways, decoder.each(crops, ways), strict=True):
        alone = decoder._replace(flip_test=flip, method=method)(crops)
        np.testing.assert_array_equal(found.points, alone.points)
        np.testing.assert_array_equal(found.scores, alone.scores)


def test_a_crop_decoder_gives_covariances_if_asked_and_none_else() -> None:
    crops, index = some_crops(5), np.arange(2)
    heatmaps = brightness_maps(torch.from_numpy(Normalisation()(crops))).numpy()
    plain = CropDecoder(brightness_maps, Normalisation(), index, batch_size=2)
    asked = plain._replace(covariance=True)
    assert plain(crops).covariance is None
    found, expected = asked(crops).covariance, decode(heatmaps, covariance=True).covariance
    assert found is not None
    assert expected is not None
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    np.testing.assert_array_equal(asked(crops).points, plain(crops).points)
    none = asked([]).covariance
    assert none is not None
    assert none.shape == (0, 2, 2, 2)
