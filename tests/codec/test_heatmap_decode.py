"""Heatmaps -> keypoints: the reference's arrays, an independent decoder, and what DARK promises."""

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from conftest import Golden
from darkpose.codec.dark import modulation_kernel
from darkpose.codec.heatmap import Method, decode, encode
from darkpose.image.geometry import heatmap_to_image
from independent_dark import Map, reference_dark, reference_modulation, reference_taps

NOISE = (*(f"noise{i}" for i in range(6)), *(f"noise_uniform{i}" for i in range(3)))  # nearly singular Hessians
KERNELS = (3, 5, 7, 9, 11, 17)


@st.composite
def single_maps(draw: st.DrawFn) -> Map:
    """One map (H, W) of float32 values, 1x1 .. 40x40, scaled by 1e-13 .. 1e3."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    height, width = rng.integers(1, 8, 2) if draw(st.booleans()) else rng.integers(8, 41, 2)
    x, y = np.arange(width), np.arange(height)[:, None]
    kind = draw(st.sampled_from(["peak", "two peaks", "ties", "constant", "spike among negatives", "noise"]))
    heatmap = np.zeros((height, width))
    if "peak" in kind:
        for _ in range(2 if kind == "two peaks" else 1):
            cx, cy = rng.uniform(-1, width), rng.uniform(-1, height)  # some near or beyond the border
            heatmap += np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * rng.uniform(0.6, 4) ** 2))
        heatmap += draw(st.sampled_from([0, 0.01, 0.1])) * rng.standard_normal(heatmap.shape)
    elif kind == "ties":
        heatmap += rng.integers(-1, 3, heatmap.shape)
    elif kind == "constant":
        heatmap += rng.uniform(-1, 1)
    elif kind == "spike among negatives":
        heatmap -= rng.uniform(0.01, 1, heatmap.shape)
        heatmap[rng.integers(height), rng.integers(width)] = rng.uniform(0, 5)
    else:
        heatmap += rng.standard_normal(heatmap.shape)
    # Around 1e-10 some of a map is clipped; at 1e-13 all of it.
    return (
        (heatmap * draw(st.sampled_from([1.0, 1e3, 1e-6, 1e-8, 1e-9, 1e-10, 1e-13])))
        .astype(np.float32)
        .astype(np.float64)
    )


@pytest.mark.parametrize(("dtype", "rounding"), [(np.float64, 1e-9), (np.float32, 1e-5)])
@settings(max_examples=300)
@given(heatmap=single_maps(), kernel=st.sampled_from(KERNELS))
def test_dark_agrees_with_the_independent_decoder(
    dtype: type[np.floating[Any]], rounding: float, heatmap: Map, kernel: int
) -> None:
    decoded = decode(heatmap[None, None].astype(dtype), kernel_size=kernel)
    expected, slack = reference_dark(heatmap, kernel, float(np.finfo(dtype).eps))
    assert decoded.points.dtype == dtype
    assert decoded.scores[0, 0] == heatmap.max()
    assert np.isfinite(decoded.points).all()
    if np.isfinite(slack):
        np.testing.assert_allclose(decoded.points[0, 0], expected, rtol=0, atol=rounding + slack)


# ------------------------------------------------------------------------------------------------ the golden arrays


@pytest.mark.parametrize("size", [7, 11, 17])
def test_modulation_kernels_are_the_references(golden: Golden, size: int) -> None:
    np.testing.assert_allclose(modulation_kernel(size), golden("b_gauss_kernels")[f"k{size}"][:, 0], rtol=0, atol=1e-16)


@pytest.mark.parametrize("size", [1, *KERNELS, 13, 21])
def test_modulation_kernels_are_opencvs(size: int) -> None:
    np.testing.assert_allclose(modulation_kernel(size), cv2.getGaussianKernel(size, 0)[:, 0], rtol=0, atol=1e-16)


@pytest.mark.parametrize("size", [11, 17])
def test_the_independent_modulation_is_the_references(golden: Golden, size: int) -> None:
    arrays = golden("b_decode_edge")
    for name, expected in zip(arrays["blur_names"], arrays[f"blur{size}"], strict=True):
        heatmap = arrays["heatmaps"][0, list(arrays["names"]).index(name)]
        modulated = reference_modulation(heatmap.astype(np.float64), reference_taps(size))
        np.testing.assert_allclose(modulated, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max(), err_msg=name)


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled, if Numba is there", "NumPy"])
@pytest.mark.parametrize("case", ["k19", "k98", "rect", "edge"])
@pytest.mark.parametrize(
    ("published", "method", "kernel"),
    [("dark11", "dark", 11), ("dark17", "dark", 17), ("default", "quarter", 11), ("none", "argmax", 11)],
)
def test_landmarks_and_scores_are_the_references(
    golden: Golden,
    case: str,
    published: str,
    method: Method,
    kernel: int,
    compiled: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not compiled:
        monkeypatch.setattr("darkpose.codec.arrays.has_numba", lambda: False)
    arrays = golden(f"b_decode_{case}")
    heatmaps = arrays["heatmaps_f16" if case == "k98" else "heatmaps"]
    height, width = heatmaps.shape[2:]
    decoded = decode(heatmaps, method=method, kernel_size=kernel)
    np.testing.assert_array_equal(decoded.scores, arrays["maxvals"][..., 0])

    tolerance = np.full(heatmaps.shape[:2], 1e-5 if method == "dark" else 0.0)  # heatmap px
    if case == "edge" and method == "dark":
        tolerance[:] = [[1e-3 if name in NOISE else 1e-4 for name in arrays["names"]]]
    if method == "argmax":
        np.testing.assert_array_equal(decoded.points, arrays["argmax"])
    elif method == "dark":
        assert (np.abs(decoded.points - arrays[f"{published}_hm"]) <= tolerance[..., None]).all()

    sides = 200 * arrays["scale"][:, None].astype(np.float64)
    in_image = heatmap_to_image(decoded.points, arrays["center"][:, None], sides, (width, height))
    per_cell = sides / [width, height]
    rounding = 6.2e-5 if method == "dark" else 0.0  # one float32 step at 512 .. 1024 px
    assert (np.abs(in_image - arrays[published]) <= tolerance[..., None] * per_cell + rounding).all()


# ------------------------------------------------------------------------------------------------------- properties

INSIDE = st.floats(4, 59)  # 4 px from the border of a 64x64 map


@given(x=INSIDE, y=INSIDE)
@example(x=4.0, y=4.0)  # where the blur's zero padding pulls most
@example(x=59.0, y=4.0)
def test_decode_undoes_encode_within_a_hundredth_pixel(x: float, y: float) -> None:
    keypoints = np.array([[[x, y]]])
    heatmaps, _ = encode(keypoints)
    np.testing.assert_allclose(decode(heatmaps).points, keypoints, rtol=0, atol=0.01)


def test_near_the_border_zero_padding_pulls_the_landmark_inwards_as_the_reference_does() -> None:
    x = [1.4, 1.6, 2.0]
    heatmaps, _ = encode(np.array([[[value, 32.0] for value in x]]))
    np.testing.assert_allclose(decode(heatmaps).points[0, :, 0], [1.0, 1.93, 2.21], rtol=0, atol=0.005)


@given(
    seed=st.integers(0, 2**32 - 1), dx=st.integers(-10, 10), dy=st.integers(-10, 10), kernel=st.sampled_from(KERNELS)
)
def test_a_shift_by_whole_pixels_moves_the_landmark_by_exactly_as_much(
    seed: int, dx: int, dy: int, kernel: int
) -> None:
    # The 25x25 patch stays 10 px from the border, as far as the largest kernel sees, so only the rounding of the
    # coordinate's last bit is left: 8e-15 at 32 .. 64.
    heatmap = np.zeros((1, 1, 65, 65))
    patch = encode(np.full((1, 1, 2), 12.3), size=(25, 25))[0]
    heatmap[..., 20:45, 20:45] = patch + 0.02 * np.random.default_rng(seed).random((25, 25))
    shifted = np.roll(heatmap, (dy, dx), axis=(2, 3))
    for method in ("argmax", "quarter", "dark"):
        before = decode(heatmap, method=method, kernel_size=kernel)
        after = decode(shifted, method=method, kernel_size=kernel)
        np.testing.assert_allclose(after.points - before.points, [[[dx, dy]]], rtol=0, atol=1e-13)


@settings(max_examples=200)
@given(heatmap=single_maps(), factor=st.floats(0.5, 1e3), kernel=st.sampled_from(KERNELS))
def test_a_positive_factor_moves_nothing_above_the_clip(heatmap: Map, factor: float, kernel: int) -> None:
    heatmap = np.abs(heatmap) / max(np.abs(heatmap).max(), 1e-30) + 0.01  # far above the clip, wherever blurred
    _, slack = reference_dark(heatmap, kernel, float(np.finfo(np.float64).eps))
    assume(np.isfinite(slack))
    once, scaled = (
        decode(heatmap[None, None], kernel_size=kernel),
        decode(factor * heatmap[None, None], kernel_size=kernel),
    )
    np.testing.assert_allclose(scaled.points, once.points, rtol=0, atol=1e-9 + slack)
    np.testing.assert_allclose(scaled.scores, factor * once.scores, rtol=1e-15)
