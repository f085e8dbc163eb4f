"""Torch tensors are drawn and decoded as arrays are, without a copy, and stay on their device."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from darkpose.codec import arrays, dark, tensors
from darkpose.codec.dark import Found, modulation_kernel
from darkpose.codec.dark_torch import decode_torch
from darkpose.codec.heatmap import Decoded, Method, decode, encode
from darkpose.errors import DarkposeError
from random_maps import METHODS, assert_agree, random_maps

KINDS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
without_numba = pytest.mark.parametrize("numba", [True, False], ids=["Numba, if it is installed", "NumPy"])


def some_maps(count: int = 24) -> NDArray[np.float32]:
    """(2, count / 2, 64, 64)."""
    return random_maps(np.random.default_rng(3), count, 64, 64).reshape(2, count // 2, 64, 64)


def assert_equal(one: Decoded[Any], other: Decoded[Any]) -> None:
    for name in ("points", "scores", "covariance"):
        np.testing.assert_array_equal(np.asarray(getattr(one, name)), np.asarray(getattr(other, name)))


def unusual(values: torch.Tensor) -> dict[str, torch.Tensor]:
    """Tensors that are not dense tensors of numbers, of the same shape, by kind."""
    return {
        "sparse_coo": values.to_sparse(),
        "_mkldnn": values.float().to_mkldnn(),
        "meta": values.to("meta"),
        "complex": values.to(torch.complex64),
        "quantised": torch.quantize_per_tensor(values.float(), 0.1, 0, torch.quint8),
        "nested": torch.nested.nested_tensor([values[0], values[0]]),
        "masked": torch.masked.masked_tensor(values, values > 0.5),
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["sparse_coo", "_mkldnn", "meta", "complex", "quantised", "nested", "masked"])
def test_a_tensor_that_is_not_dense_or_has_no_numbers_is_refused(kind: str) -> None:
    maps, points = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 2)
    message = f"must be a dense tensor of numbers, got a tensor that is {kind}"
    with pytest.raises(DarkposeError, match=f"heatmaps {message}"):
        decode(unusual(maps)[kind])
    with pytest.raises(DarkposeError, match=f"keypoints {message}"):
        encode(unusual(points)[kind])
    with pytest.raises(DarkposeError, match=f"visible {message}"):
        encode(points, unusual(points[..., 0])[kind])
    with pytest.raises(DarkposeError, match=f"out {message}"):
        encode(points, out=unusual(torch.rand(2, 3, 64, 64))[kind])


def test_a_view_whose_numbers_are_negated_is_decoded() -> None:
    maps = torch.from_numpy(some_maps())
    assert_equal(decode(torch._neg_view(-maps)), decode(maps))


# ---------------------------------------------------------------------------------------------------------- decode


@without_numba
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_tensors_and_arrays_give_the_same_landmarks_in_their_own_type(
    dtype: type[Any], method: Method, numba: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not numba:
        monkeypatch.setattr(arrays, "has_numba", lambda: False)
    maps, covariance = some_maps().astype(dtype), method.startswith("dark")
    array = decode(maps, method=method, covariance=covariance)
    tensor = decode(torch.from_numpy(maps), method=method, covariance=covariance)
    assert isinstance(array.points, np.ndarray)
    assert isinstance(tensor.points, torch.Tensor)
    assert array.points.dtype == array.scores.dtype == dtype
    assert tensor.points.dtype == tensor.scores.dtype == torch.from_numpy(maps).dtype
    assert_equal(tensor, array)


@without_numba
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_maps_are_decoded_as_their_float32_copies(
    kind: torch.dtype, method: Method, numba: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not numba:
        monkeypatch.setattr(arrays, "has_numba", lambda: False)
        monkeypatch.setattr(tensors, "has_numba", lambda: False)
    half = torch.from_numpy(some_maps()).to(kind)
    decoded = decode(half, method=method)
    assert decoded.points.dtype == torch.float32
    assert_equal(decoded, decode(half.float(), method=method))


@pytest.mark.parametrize("kind", KINDS)
def test_views_are_decoded_as_their_copies(kind: torch.dtype) -> None:
    maps = torch.from_numpy(some_maps()).to(kind)
    views = [
        maps.transpose(2, 3),
        maps[:, ::3],
        maps[..., 5:40],
        maps.permute(1, 0, 2, 3),
        maps.contiguous(memory_format=torch.channels_last),
        maps[:1].expand(3, -1, -1, -1),
    ]
    for view in views:
        assert_equal(decode(view, covariance=True), decode(view.clone().contiguous(), covariance=True))


@pytest.mark.parametrize("kind", KINDS)
def test_tensors_are_not_copied(kind: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    dark_numba = pytest.importorskip("darkpose.codec.dark_numba", reason='needs Numba, the extra "fast"')
    maps = torch.from_numpy(some_maps(4)).to(kind)
    given: list[NDArray[Any]] = []

    def look(maps: NDArray[Any], *_: Any) -> Found:
        given.append(maps)
        return dark.decode_maps(np.zeros(maps.shape), "argmax", modulation_kernel(1))

    monkeypatch.setattr(dark_numba, "decode_maps", look)
    decode(maps)
    assert given[0].ctypes.data == maps.data_ptr()
    assert given[0].itemsize == maps.itemsize


@pytest.mark.parametrize("method", METHODS)
def test_the_maps_stay_as_they_were_and_may_require_gradients(method: Method) -> None:
    maps = some_maps()
    tensor = torch.from_numpy(maps.copy()).requires_grad_()
    assert_equal(decode(tensor, method=method), decode(maps, method=method))
    np.testing.assert_array_equal(tensor.detach().numpy(), maps)


def test_an_empty_batch_gives_no_landmarks() -> None:
    decoded = decode(torch.zeros(0, 5, 8, 9))
    assert decoded.points.shape == (0, 5, 2)
    assert decoded.scores.shape == (0, 5)


@pytest.mark.parametrize(
    ("maps", "message"),
    [(torch.zeros(1, 1, 3, 8, 8), r"\(1, 1, 3, 8, 8\)"), (torch.zeros(1, 1, 8, 8, dtype=torch.uint8), "got uint8")],
)
def test_unusable_maps_are_refused(maps: torch.Tensor, message: str) -> None:
    with pytest.raises(DarkposeError, match=message):
        decode(maps)


@needs_cuda
def test_landmarks_stay_on_the_device_of_the_heatmaps() -> None:
    decoded = decode(torch.from_numpy(some_maps()).cuda())
    assert decoded.points.device.type == decoded.scores.device.type == "cuda"


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), method=st.sampled_from(METHODS))
def test_a_map_at_the_clip_is_given_to_the_reference(seed: int, method: Method) -> None:
    """What tensors on other devices take, with one on the CPU."""
    maps = random_maps(np.random.default_rng(seed), 24, 20, 24).reshape(2, 12, 20, 24)
    decoded = tensors.decode_on_device(torch.from_numpy(maps), method, 11, True)
    assert decoded.covariance is not None
    tensors_found = (decoded.points, decoded.scores, decoded.covariance)
    found = Found(*(each.flatten(0, 1).numpy() for each in tensors_found))
    assert_agree(found, maps.reshape(24, 20, 24), method, modulation_kernel(11))
    clipped = decode_torch(torch.from_numpy(maps), method=method).clipped.flatten().numpy()
    expected = dark.decode_maps(maps.reshape(24, 20, 24)[clipped], method, modulation_kernel(11))
    np.testing.assert_allclose(found.points[clipped], expected.points, rtol=0, atol=1e-5)


# ---------------------------------------------------------------------------------------------------------- encode


@without_numba
@pytest.mark.parametrize("mode", [{}, {"truncate": True}, {"unbiased": False}], ids=["full", "truncated", "rounded"])
@pytest.mark.parametrize("kind", [torch.float64, torch.float32, torch.bfloat16])
def test_tensors_and_arrays_are_encoded_alike_as_float32(
    kind: torch.dtype, mode: dict[str, Any], numba: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not numba:
        monkeypatch.setattr(arrays, "has_numba", lambda: False)
    keypoints = np.array([[[12.25, 7.5], [1.0, 2.0], [70.0, 3.0], [np.nan, 4.0]]])  # exact in bfloat16
    visible = np.array([[1.0, 0.0, 1.0, 1.0]])
    heatmaps, weights = encode(keypoints, visible, **mode)
    assert isinstance(heatmaps, np.ndarray)
    assert heatmaps.dtype == weights.dtype == np.float32
    drawn, drawn_weights = encode(torch.tensor(keypoints, dtype=kind), torch.tensor(visible), **mode)
    assert drawn.dtype == drawn_weights.dtype == torch.float32
    np.testing.assert_array_equal(drawn.numpy(), heatmaps)
    np.testing.assert_array_equal(drawn_weights.numpy(), weights)


def test_views_whole_numbers_and_truth_values_are_accepted() -> None:
    heatmaps, weights = encode(torch.tensor([[[12, 3], [7, 4]]]).transpose(1, 2), torch.tensor([[True, False]]))
    assert heatmaps[0, 0, 7, 12] == 1
    assert weights.tolist() == [[1.0, 0.0]]


def test_visibilities_may_be_of_the_other_kind() -> None:
    keypoints: Any = np.array([[[12.3, 7.5], [3.0, 4.0]]])
    visible: Any = np.array([[1.0, 0.0]])
    expected, weights = encode(keypoints, visible)
    drawn, drawn_weights = encode(keypoints, torch.from_numpy(visible).requires_grad_())
    np.testing.assert_array_equal(drawn, expected)
    np.testing.assert_array_equal(drawn_weights, weights)
    tensor, tensor_weights = encode(torch.from_numpy(keypoints), visible)
    np.testing.assert_array_equal(tensor.numpy(), expected)
    np.testing.assert_array_equal(tensor_weights.numpy(), weights)


def test_a_buffer_is_filled_and_returned() -> None:
    keypoints = torch.tensor([[[12.3, 7.5], [30.0, 40.0]]], requires_grad=True)
    buffer = torch.full((1, 2, 64, 64), torch.nan)
    heatmaps, _ = encode(keypoints, out=buffer)
    assert heatmaps is buffer
    assert torch.equal(buffer, encode(keypoints)[0])


@pytest.mark.parametrize("kind", ["tensor", "array"])
def test_a_buffer_of_the_other_kind_is_refused(kind: str) -> None:
    array: Any = np.zeros((1, 2, 2))
    maps: Any = np.zeros((1, 2, 8, 8), np.float32)
    keypoints, out = (torch.from_numpy(array), maps) if kind == "tensor" else (array, torch.from_numpy(maps))
    with pytest.raises(DarkposeError, match="out must be contiguous"):
        encode(keypoints, size=(8, 8), out=out)


@needs_cuda
def test_targets_stay_on_the_device_of_the_landmarks() -> None:
    heatmaps, weights = encode(torch.tensor([[[12.25, 7.5]]], device="cuda"), torch.ones(1, 1))
    assert heatmaps.device.type == weights.device.type == "cuda"
    expected, _ = encode(torch.tensor([[[12.25, 7.5]]]))
    torch.testing.assert_close(heatmaps.cpu(), expected, rtol=0, atol=1e-6)
