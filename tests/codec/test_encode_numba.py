"""Drawing with and without Numba, cut at 3 sigma or whole, into memory of one's own or a buffer: the same heatmaps."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from darkpose.codec import arrays
from darkpose.codec.heatmap import encode
from darkpose.errors import DarkposeError

needs_numba = pytest.mark.skipif(not arrays.has_numba(), reason='needs Numba, the extra "fast"')


def some_keypoints(seed: int, count: int = 40) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(2, count / 2, 2), some on cells, some outside, one not finite; and their visibility."""
    rng = np.random.default_rng(seed)
    keypoints = rng.uniform(-10, 40, (2, count // 2, 2))
    keypoints[0] = np.round(keypoints[0] * 2) / 2
    keypoints[1, 0] = [np.nan, 3]
    return keypoints, rng.choice([0.0, 0.5, 0.7, 1.0], (2, count // 2))


@needs_numba
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    sigma=st.sampled_from([0.7, 1.0, 1.5, 2.0, 3.0]),
    unbiased=st.booleans(),
    truncate=st.booleans(),
)
def test_numba_draws_what_numpy_draws(
    seed: int, size: tuple[int, int], sigma: float, unbiased: bool, truncate: bool
) -> None:
    keypoints, visible = some_keypoints(seed)
    drawn, weights = encode(keypoints, visible, size=size, sigma=sigma, unbiased=unbiased, truncate=truncate)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "has_numba", lambda: False)
        expected, expected_weights = encode(
            keypoints, visible, size=size, sigma=sigma, unbiased=unbiased, truncate=truncate
        )
    np.testing.assert_allclose(drawn, expected, rtol=0, atol=2e-7)
    np.testing.assert_array_equal(drawn == 0, expected == 0)
    np.testing.assert_array_equal(weights, expected_weights)


@pytest.mark.parametrize(
    "compiled", [pytest.param(True, marks=needs_numba, id="Numba"), pytest.param(False, id="NumPy")]
)
def test_a_truncated_map_is_the_whole_one_within_three_sigma_and_zero_beyond(
    compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays, "has_numba", lambda: compiled)
    keypoints, _ = some_keypoints(0)
    whole, _ = encode(keypoints, size=(40, 30), sigma=1.5)
    cut, _ = encode(keypoints, size=(40, 30), sigma=1.5, truncate=True)
    with np.errstate(invalid="ignore"):
        near = (np.abs(np.arange(40) - keypoints[..., None, :1]) <= 4.5) & (
            np.abs(np.arange(30)[:, None] - keypoints[..., None, 1:]) <= 4.5
        )
    np.testing.assert_array_equal(cut, np.where(near, whole, 0))


@pytest.mark.parametrize(
    "compiled", [pytest.param(True, marks=needs_numba, id="Numba"), pytest.param(False, id="NumPy")]
)
def test_no_cell_is_a_subnormal_number(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "has_numba", lambda: compiled)
    for sigma in (0.7, 1.5, 2.0, 3.3):
        heatmaps, _ = encode(np.array([[[3.2, 60.9], [31.5, 30.1]]]), sigma=sigma)
        assert heatmaps[heatmaps > 0].min() >= np.finfo(np.float32).tiny


@pytest.mark.parametrize(
    "compiled", [pytest.param(True, marks=needs_numba, id="Numba"), pytest.param(False, id="NumPy")]
)
@pytest.mark.parametrize("truncate", [False, True])
def test_a_buffer_is_filled_whatever_was_in_it(truncate: bool, compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "has_numba", lambda: compiled)
    keypoints, visible = some_keypoints(1)
    expected, _ = encode(keypoints, visible, truncate=truncate)
    buffer: NDArray[np.floating[Any]] = np.full((2, 20, 64, 64), np.nan, np.float32)
    heatmaps, _ = encode(keypoints, visible, truncate=truncate, out=buffer)
    assert heatmaps is buffer
    np.testing.assert_array_equal(buffer, expected)


def read_only() -> NDArray[np.float32]:
    values = np.zeros((1, 2, 8, 8), np.float32)
    values.flags.writeable = False
    return values


@pytest.mark.parametrize(
    "buffer",
    [
        pytest.param(np.zeros((1, 2, 8, 9), np.float32), id="shape"),
        pytest.param(np.zeros((1, 2, 8, 8)), id="type"),
        pytest.param(np.zeros((1, 2, 8, 16), np.float32)[..., ::2], id="not contiguous"),
        pytest.param(read_only(), id="read-only"),
    ],
)
def test_a_buffer_that_does_not_fit_is_refused(buffer: Any) -> None:
    with pytest.raises(DarkposeError, match=r"out must be contiguous float32 \(1, 2, 8, 8\)"):
        encode(np.zeros((1, 2, 2)), size=(8, 8), out=buffer)


@needs_numba
@pytest.mark.parametrize("threads", [1, 3])
def test_any_number_of_threads_draws_the_same(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("darkpose.codec.encode_numba.MIN_CELLS_FOR_THREADS", 0)
    keypoints, visible = some_keypoints(2, 200)
    expected, _ = encode(keypoints, visible)
    monkeypatch.setattr("darkpose.codec.threads.thread_count", lambda: threads)
    np.testing.assert_array_equal(encode(keypoints, visible)[0], expected)
