""" "dark+": the same as "dark" inside, right at borders, and never further from the maximum than a peak can be."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from darkpose.codec import dark_numba
from darkpose.codec.compiled import AVAILABLE
from darkpose.codec.dark import Found, blur_variance, decode_maps, find_maxima, modulation_kernel
from darkpose.codec.gaussian_fit import fit_gaussians
from darkpose.codec.heatmap import Method, decode, encode
from random_maps import random_maps

TAPS = modulation_kernel(11)


def peaks(
    count: int, first: float, last: float, *, sigma: float = 2.0, noise: float = 0.02, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Noisy Gaussians (count, 64, 64) at x in first .. last, and their centres."""
    rng = np.random.default_rng(seed)
    centres = np.stack([rng.uniform(first, last, count), rng.uniform(10, 50, count)], axis=1)
    cells = np.arange(64)
    along_x, along_y = (np.exp(-0.5 * ((cells - centres[:, i, None]) / sigma) ** 2) for i in (0, 1))
    maps = along_y[:, :, None] * along_x[:, None, :] + noise * rng.standard_normal((count, 64, 64))
    return maps.astype(np.float32), centres


def mean_error(found: Found, centres: NDArray[np.float64]) -> float:
    return float(np.hypot(*(found.points - centres).T).mean())


def by_torch(maps: NDArray[np.float32], method: Method, taps: NDArray[np.float64], covariance: bool = False) -> Found:
    torch = pytest.importorskip("torch")
    from darkpose.codec.dark_torch import decode_torch

    points, scores, spread, _ = decode_torch(torch.from_numpy(maps)[None], method=method, kernel_size=len(taps))
    return Found(points[0].numpy(), scores[0].numpy(), spread[0].numpy())


needs_numba = pytest.mark.skipif(not AVAILABLE, reason="Numba is not installed (extra fast)")
DECODERS = [
    pytest.param(decode_maps, id="NumPy"),
    pytest.param(by_torch, id="torch"),
    pytest.param(dark_numba.decode_maps, id="Numba", marks=needs_numba),
]


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
@pytest.mark.parametrize(("first", "last"), [(-2, -1), (-1, -0.5), (-0.5, 0.5), (0.5, 1.5), (1.5, 2.5)])
def test_within_two_and_a_half_pixels_of_a_border_the_error_is_eight_times_smaller(
    first: float, last: float, side: str, decoder: Callable[..., Found]
) -> None:
    maps, centres = peaks(400, first, last)
    if side in ("right", "bottom"):
        maps, centres = np.ascontiguousarray(maps[:, :, ::-1]), np.array([63, 0]) + centres * [-1, 1]
    if side in ("top", "bottom"):
        maps, centres = np.ascontiguousarray(maps.transpose(0, 2, 1)), centres[:, ::-1]
    error = mean_error(decoder(maps, "dark", TAPS), centres)
    assert mean_error(decoder(maps, "dark+", TAPS), centres) < error / 8


@pytest.mark.parametrize("sigma", [1.5, 3.0])
def test_the_fit_finds_the_width_by_itself(sigma: float) -> None:
    maps, centres = peaks(400, -0.5, 2.5, sigma=sigma)
    assert mean_error(decode_maps(maps, "dark+", TAPS), centres) < 0.04
    cells, scores = find_maxima(maps)
    assert np.median(fit_gaussians(maps, cells, scores).sigma) == pytest.approx(sigma, rel=0.02)


def test_a_peak_beyond_a_border_or_a_corner_is_recovered() -> None:
    outside = [[-1.9, 30.3], [64.9, 30.3], [30.3, -1.9], [30.3, 64.9], [-1.3, -1.2], [64.2, -1.2], [64.2, 64.3]]
    heatmaps, _ = encode(np.array([outside]))
    np.testing.assert_allclose(decode(heatmaps, method="dark+").points[0], outside, rtol=0, atol=0.05)


def test_where_the_newton_step_is_long_the_error_is_smaller() -> None:
    maps, centres = peaks(2000, 20, 40, noise=0.4)
    dark, plus = decode_maps(maps, "dark", TAPS), decode_maps(maps, "dark+", TAPS)
    cells, _ = find_maxima(maps)
    near = np.hypot(*(cells - centres).T) < 6
    long = near & (np.hypot(*(dark.points - cells).T) > 1)
    assert long.sum() > 500
    error = [np.hypot(*(found.points - centres)[long].T).mean() for found in (dark, plus)]
    assert error[1] < 0.8 * error[0]


@pytest.mark.parametrize("decoder", DECODERS)
@given(seed=st.integers(0, 2**32 - 1), noise=st.sampled_from([0.0, 0.02, 0.2]), kernel=st.sampled_from([3, 11, 17]))
def test_four_pixels_inside_with_a_step_of_at_most_one_it_is_dark(
    decoder: Callable[..., Found], seed: int, noise: float, kernel: int
) -> None:
    maps, _ = peaks(20, 3, 60, noise=noise, seed=seed)
    taps = modulation_kernel(kernel)
    dark, plus = decoder(maps, "dark", taps, covariance=True), decoder(maps, "dark+", taps, covariance=True)
    cells, _ = find_maxima(maps)
    assert dark.covariance is not None
    assert plus.covariance is not None
    same = ((cells >= 4) & (cells <= 59)).all(axis=1)
    same &= np.isfinite(dark.covariance).all(axis=(1, 2)) & (np.hypot(*(dark.points - cells).T) < 1 - 1e-5)
    np.testing.assert_allclose(plus.points[same], dark.points[same], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(plus.covariance[same], dark.covariance[same])


@pytest.mark.filterwarnings("error")
@given(seed=st.integers(0, 2**32 - 1), height=st.integers(1, 30), width=st.integers(1, 30))
def test_every_point_is_finite_within_three_pixels_of_its_cell_and_two_of_the_map(
    seed: int, height: int, width: int
) -> None:
    maps = random_maps(np.random.default_rng(seed), 20, height, width)
    found = decode_maps(maps, "dark+", TAPS)
    cells, _ = find_maxima(maps)
    assert np.isfinite(found.points).all()
    assert (np.hypot(*(found.points - cells).T) <= 3 + 1e-5).all()
    peaked = found.scores > 0
    assert (found.points[peaked] >= -2).all()
    assert (found.points[peaked] <= np.array([width + 1, height + 1])).all()
    np.testing.assert_array_equal(found.points[~peaked], -1)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("fill", "expected"),
    [
        pytest.param({}, (-1, -1), id="zero"),
        pytest.param({...: 0.3}, (0, 0), id="flat"),
        pytest.param({...: np.inf}, (0, 0), id="infinite"),
        pytest.param({(10, 12): np.inf}, (12, 10), id="one infinity"),
        pytest.param({...: -np.inf, (10, 12): 1.0}, (12, 10), id="one finite cell"),
        pytest.param({(0, 0): np.nan}, (-1, -1), id="NaN"),
    ],
)
def test_where_nothing_fits_the_point_is_the_cell(fill: dict[Any, float], expected: tuple[int, int]) -> None:
    maps = np.zeros((1, 1, 24, 24))
    for place, value in fill.items():
        maps[0, 0][place] = value
    decoded = decode(maps, method="dark+", covariance=True)
    np.testing.assert_array_equal(decoded.points, [[expected]])
    assert decoded.covariance is not None
    assert np.isnan(decoded.covariance).all()


# ------------------------------------------------------------------------------------------------------ covariance


@pytest.mark.parametrize("sigma", [1.5, 2.0, 3.0])
@pytest.mark.parametrize("x", [0.3, 1.6, 32.4])
def test_the_covariance_of_a_gaussian_is_its_variance_plus_the_blurs(x: float, sigma: float) -> None:
    heatmaps, _ = encode(np.array([[[x, 30.7]]]), sigma=sigma)
    covariance = decode(heatmaps, method="dark+", covariance=True).covariance
    assert covariance is not None
    np.testing.assert_allclose(covariance[0, 0], (sigma**2 + blur_variance(TAPS)) * np.eye(2), rtol=0.04, atol=0.02)


def test_the_covariance_of_a_tilted_peak_lies_along_it() -> None:
    x, y = np.meshgrid(np.arange(64) - 30.2, np.arange(64) - 33.1)
    shape = np.array([[9.0, 4.0], [4.0, 5.0]])
    inverse = np.linalg.inv(shape)
    maps = np.exp(-0.5 * (inverse[0, 0] * x**2 + 2 * inverse[0, 1] * x * y + inverse[1, 1] * y**2))
    covariance = decode(maps[None, None], covariance=True).covariance
    assert covariance is not None
    np.testing.assert_allclose(covariance[0, 0], shape + blur_variance(TAPS) * np.eye(2), rtol=0.03)


def test_dark_has_no_covariance_where_it_takes_no_step_or_the_hessian_is_not_negative_definite() -> None:
    maps = np.zeros((1, 3, 40, 40))
    maps[0, 0, 20, 1] = 1
    maps[0, 1] = -1
    x, y = np.meshgrid(np.arange(40) - 20, np.arange(40) - 20)
    maps[0, 2] = np.exp(-(x**2) / 8 + y**2 / 80)  # a saddle
    maps[0, 2, 20, 20] *= 10
    decoded = decode(maps, covariance=True)
    assert decoded.covariance is not None
    assert np.isnan(decoded.covariance[0, :2]).all()
    assert decode(maps).covariance is None
    points, scores = decoded  # two, with a covariance or without
    np.testing.assert_array_equal(points, decoded.points)
    np.testing.assert_array_equal(scores, decoded.scores)
