"""Maps of every kind, and what two decoders must agree on: for the tests of the decoders and `compare_decoders.py`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkpose.codec.dark import FLOOR, Found, decode_maps, find_maxima

Maps = NDArray[np.floating[Any]]
METHODS = ("argmax", "quarter", "dark", "dark+")
KINDS = ("peak", "peak", "noisy peak", "two peaks", "noise", "ties", "constant", "negative", "spike", "nan", "infinite")


def random_maps(rng: np.random.Generator, count: int, height: int, width: int) -> NDArray[np.float32]:
    """(count, height, width) float32: peaks inside, at and beyond borders, noise, ties, constants, NaN, infinities."""
    x, y = np.arange(width), np.arange(height)
    maps = np.zeros((count, height, width))
    for m, kind in enumerate(rng.choice(KINDS, count)):
        one = maps[m]
        if "peak" in kind or kind in ("nan", "infinite"):
            for _ in range(2 if kind == "two peaks" else 1):
                cx, cy, sigma = rng.uniform(-3, width + 2), rng.uniform(-3, height + 2), rng.uniform(0.5, 5)
                along_x, along_y = (np.exp(-0.5 * ((i - c) / sigma) ** 2) for i, c in ((x, cx), (y, cy)))
                one += rng.uniform(0.3, 1) * along_y[:, None] * along_x
            if kind == "noisy peak":
                one += rng.choice([0.01, 0.1, 0.5]) * rng.standard_normal(one.shape)
        if kind == "noise":
            one += rng.standard_normal(one.shape)
        elif kind == "ties":
            one += rng.integers(-2, 3, one.shape) * rng.choice([-0.0, 1.0])
        elif kind == "constant":
            one += rng.choice([-1.0, -0.0, 0.0, 0.5, 3e38])
        elif kind == "negative":
            one -= rng.uniform(0, 1, one.shape)
        elif kind == "spike":
            one -= rng.uniform(0, 1, one.shape) * rng.choice([0, 0.01, 1])
            one.flat[rng.integers(one.size)] = rng.uniform(0, 5)
        elif kind == "nan":
            one.flat[rng.integers(one.size, size=rng.integers(1, 4))] = rng.choice([np.nan, -np.nan])
        elif kind == "infinite":
            one.flat[rng.integers(one.size, size=rng.integers(1, 4))] = rng.choice([np.inf, -np.inf])
    scales = rng.choice([1.0, 1.0, 1.0, 1e3, 1e-6, 1e-9, 1e-12], count)
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray((maps * scales[:, None, None]).astype(np.float32))


WEAK_KINDS = ("spike", "cut peak", "weak peak", "tiny peak", "hole", "among negatives", "minus infinity")


def weak_maps(rng: np.random.Generator, count: int, height: int, width: int) -> NDArray[np.float32]:
    """(count, height, width) float32 of which many have, blurred, cells at or below the clip around the maximum.

    Spikes and sharp peaks among exact zeros, peaks that hardly stand out of their noise, peaks as low as the clip.
    """
    x, y = np.arange(width), np.arange(height)
    maps = np.zeros((count, height, width))
    for m, kind in enumerate(rng.choice(WEAK_KINDS, count)):
        one = maps[m]
        cx, cy = rng.uniform(0, width - 1), rng.uniform(0, height - 1)
        sigma = rng.uniform(0.4, 1.2) if kind in ("spike", "cut peak") else rng.uniform(0.5, 3)
        peak = np.exp(-0.5 * ((x - cx) / sigma) ** 2) * np.exp(-0.5 * ((y[:, None] - cy) / sigma) ** 2)
        if kind == "spike":
            one[round(cy), round(cx)] = rng.uniform(0.1, 1)
            one.flat[rng.integers(one.size, size=rng.integers(0, 4))] += rng.uniform(0, 0.1)
        elif kind == "cut peak":
            one += np.where(peak > rng.uniform(0.01, 0.6), peak, 0)
        elif kind == "weak peak":
            one += rng.uniform(0.015, 0.03) * peak + 0.01 * rng.standard_normal(one.shape)
        elif kind == "tiny peak":
            one += 10 ** rng.uniform(-11, -8) * peak
        else:
            one += rng.uniform(0.5, 1) * peak
            rows = slice(*sorted(rng.integers(0, height + 1, 2)))
            if kind == "hole":
                one[rows] -= rng.uniform(0.1, 2)
            elif kind == "among negatives":
                one -= rng.uniform(0.01, 1) * rng.uniform(0.2, 1, one.shape)
            else:
                one[rows] = -np.inf
    return maps.astype(np.float32)


def as_kind(maps: NDArray[np.float32], kind: str) -> tuple[NDArray[Any], NDArray[np.floating[Any]]]:
    """Maps as `dark_numba` takes them in a type, and the same numbers as the reference takes them."""
    if kind == "bfloat16":
        bits = maps.view(np.uint32) >> 16  # the mantissa cut off
        return bits.astype(np.uint16).view(np.int16), (bits << 16).view(np.float32)
    with np.errstate(over="ignore"):
        typed = maps.astype(kind)
    return typed, typed


def well_conditioned(maps: Maps, taps: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(M,) where DARK's step is at most 1 px, the eigenvalues of -H are at least 0.01, and no cell is near the clip."""
    maps = maps.astype(np.float64)
    cells, _ = find_maxima(maps)
    found = decode_maps(maps, "dark", taps, covariance=True)
    assert found.covariance is not None
    usable = np.asarray(np.isfinite(found.covariance).all(axis=(1, 2)))
    largest = np.linalg.eigvalsh(np.where(usable[:, None, None], found.covariance, np.eye(2)))[:, 1]
    scaled = decode_maps(maps * 1e-3, "dark", taps).points  # moves where a blurred cell falls to the clip
    above = (np.abs(scaled - found.points) < 1e-9).all(axis=1) & (found.scores > 1e3 * FLOOR)
    return np.asarray(usable & (largest <= 100) & (np.hypot(*(found.points - cells).T) <= 1) & above)


def steady(maps: Maps, method: str, taps: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(M,) where rounding of the maps does not move the reference's landmark."""
    maps = maps.astype(np.float64)
    rng = np.random.default_rng(0)
    with np.errstate(invalid="ignore"):
        others = [maps * (1 + 1e-13 * rng.standard_normal(maps.shape)) for _ in range(2)]
    points = decode_maps(maps, method, taps).points
    moved = [np.abs(decode_maps(other, method, taps).points - points) for other in others]
    return np.asarray((np.array(moved) < 1e-7).all(axis=(0, 2)))


def assert_agree(found: Found, maps: Maps, method: str, taps: NDArray[np.float64], *, in_float64: bool = False) -> None:
    """Check the landmarks of maps (M, H, W) against the reference's.

    Scores, and points but for DARK's step, are equal. Steps agree to 1e-5 px where they are well conditioned, fits
    where rounding does not move them; all points are finite, those of "dark+" within 3 px of the maximum. A decoder
    that computes `in_float64`, and clips as the reference does, agrees also in steps where rounding does not move them,
    however long they are (1e-6 of their length), and in which maps have no covariance.
    """
    expected = decode_maps(maps, method, taps, covariance=True)
    np.testing.assert_array_equal(found.scores, expected.scores)
    assert np.isfinite(found.points).all()
    if method in ("argmax", "quarter"):
        np.testing.assert_array_equal(found.points, expected.points)
        return
    same = well_conditioned(maps, taps)
    if method == "dark+":
        same |= steady(maps, method, taps)
    same |= ~(expected.scores > 0)
    np.testing.assert_allclose(found.points[same], expected.points[same], rtol=0, atol=1e-5)
    if in_float64:
        same |= steady(maps, method, taps)
        np.testing.assert_allclose(found.points[same], expected.points[same], rtol=1e-6, atol=1e-5)
    if found.covariance is not None and expected.covariance is not None:
        np.testing.assert_allclose(found.covariance[same], expected.covariance[same], rtol=1e-4, atol=1e-3)
    if method == "dark+":
        far = np.hypot(*(found.points - find_maxima(maps)[0]).T)
        assert far.max(initial=0) < 3.001
