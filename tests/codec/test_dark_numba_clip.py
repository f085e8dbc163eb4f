"""Maps at DARK's clip, which need their whole blurred map, are decoded by compiled code as the reference does it."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkpose.codec import dark
from darkpose.codec.dark import modulation_kernel
from independent_dark import reference_dark
from random_maps import as_kind, assert_agree, weak_maps

pytest.importorskip("numba", reason='needs Numba, the extra "fast"')
from darkpose.codec import dark_numba

KERNELS = (1, 3, 5, 7, 11, 17, 25)
SIDES = st.one_of(st.integers(1, 8), st.integers(9, 40))
SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("kind", ["float32", "float64", "float16", "bfloat16"])
@settings(max_examples=80)
@given(seed=SEEDS, height=SIDES, width=SIDES, kernel=st.sampled_from(KERNELS))
def test_weak_maps_are_decoded_as_by_the_independent_decoder(
    kind: str, seed: int, height: int, width: int, kernel: int
) -> None:
    maps, numbers = as_kind(weak_maps(np.random.default_rng(seed), 8, height, width), kind)
    found = dark_numba.decode_maps(maps, "dark", modulation_kernel(kernel))
    for number, point, score in zip(numbers.astype(np.float64), found.points, found.scores, strict=True):
        assert score == number.max()
        assert np.isfinite(point).all()
        with np.errstate(all="ignore"):  # minus infinity
            finite = np.isfinite(number).all()
            expected, slack = reference_dark(number, kernel, float(np.finfo(np.float64).eps)) if finite else (point, 0)
        if slack < 1e-3:
            np.testing.assert_allclose(point, expected, rtol=1e-6, atol=1e-5 + slack)


@pytest.mark.parametrize("method", ["dark", "dark+"])
@pytest.mark.parametrize("kind", ["float32", "float64", "float16", "bfloat16"])
@settings(max_examples=60)
@given(seed=SEEDS, height=SIDES, width=SIDES, kernel=st.sampled_from(KERNELS))
def test_weak_maps_are_decoded_as_by_the_numpy_path_with_their_covariance(
    kind: str, method: str, seed: int, height: int, width: int, kernel: int
) -> None:
    maps, numbers = as_kind(weak_maps(np.random.default_rng(seed), 12, height, width), kind)
    taps = modulation_kernel(kernel)
    assert_agree(dark_numba.decode_maps(maps, method, taps, True), numbers, method, taps, in_float64=True)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_maps_at_the_clip_are_read_only_and_stay_as_they_were(kind: type[Any]) -> None:
    maps = weak_maps(np.random.default_rng(1), 50, 20, 24).astype(kind)
    copy = maps.copy()
    maps.flags.writeable = False
    dark_numba.decode_maps(maps, "dark", modulation_kernel(3))
    np.testing.assert_array_equal(maps, copy)


@pytest.mark.parametrize("kernel", [3, 11])
def test_a_map_at_the_clip_is_decoded_alike_in_any_batch_and_by_any_number_of_threads(
    kernel: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dark_numba, "MIN_CELLS_FOR_THREADS", 0)
    maps, taps = weak_maps(np.random.default_rng(2), 200, 30, 26), modulation_kernel(kernel)
    expected = dark_numba.decode_maps(maps, "dark", taps, True)
    monkeypatch.setattr("darkpose.codec.threads.thread_count", lambda: 3)
    together = dark_numba.decode_maps(maps, "dark", taps, True)
    alone = [dark_numba.decode_maps(maps[m : m + 1], "dark", taps, True) for m in range(len(maps))]
    for i in range(3):
        np.testing.assert_array_equal(together[i], expected[i])
        np.testing.assert_array_equal(np.concatenate([one[i] for one in alone]), expected[i])


@pytest.mark.parametrize("method", ["dark", "dark+"])
def test_an_infinite_maximum_beside_the_clip_has_no_step_and_no_covariance(method: str) -> None:
    maps = np.zeros((3, 20, 20), np.float32)
    maps[:, 9, 11] = np.inf
    maps[1, 9, 12], maps[2, 14, 3] = -np.inf, np.inf
    for kernel in KERNELS:
        taps = modulation_kernel(kernel)
        found, expected = (d.decode_maps(maps, method, taps, True) for d in (dark_numba, dark))
        np.testing.assert_array_equal(found.points, expected.points)
        np.testing.assert_array_equal(found.covariance, expected.covariance)
