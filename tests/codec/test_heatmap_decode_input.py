"""What `decode` makes of its input: kinds, types, what is not finite, empty, tiny or unusable."""

from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from darkpose.codec.heatmap import Method, decode, encode
from darkpose.errors import DarkposeError

METHODS: tuple[Method, ...] = ("argmax", "quarter", "dark", "dark+")


def some_maps() -> NDArray[np.float32]:
    """(2, 3, 20, 24): Gaussians inside, one at a border, a flat one, a noisy one, one without a positive value."""
    keypoints = np.array([[[12.3, 9.6], [7.2, 8.8], [0.3, 5.0]], [[11.0, 11.0], [9.4, 10.2], [14.5, 3.5]]])
    heatmaps, _ = encode(keypoints, size=(24, 20))
    heatmaps[1, 0] = 0.5
    heatmaps[1, 1] += 0.05 * np.random.default_rng(0).standard_normal((20, 24)).astype(np.float32)
    heatmaps[1, 2] *= -1
    return heatmaps


def signed_nan(negative: bool, dtype: type[np.floating[Any]]) -> np.floating[Any]:
    value = np.copysign(dtype(np.nan), dtype(-1 if negative else 1))
    assert np.signbit(value) == negative
    return cast("np.floating[Any]", value)


# ---------------------------------------------------------------------------------------------------- kinds and types


@pytest.mark.parametrize("method", METHODS)
def test_half_precision_maps_are_decoded_as_their_float32_copies(method: Method) -> None:
    maps = some_maps()
    np.testing.assert_array_equal(
        decode(maps.astype(np.float16), method=method).points,
        decode(maps.astype(np.float16).astype(np.float32), method=method).points,
    )


@pytest.mark.parametrize("method", METHODS)
def test_maps_longer_than_float64_are_decoded_as_float64(method: Method) -> None:
    maps = some_maps().astype(np.longdouble)
    points, scores = decode(maps, method=method)
    assert points.dtype == scores.dtype == np.float64
    np.testing.assert_array_equal(points, decode(maps.astype(np.float64), method=method).points)


def test_views_are_decoded() -> None:
    maps = some_maps()
    expected = decode(maps).points
    view = np.asfortranarray(maps)
    np.testing.assert_array_equal(decode(view).points, expected)
    np.testing.assert_array_equal(decode(maps[:, ::-1]).points, expected[:, ::-1])


@pytest.mark.parametrize("method", METHODS)
def test_decode_leaves_its_input_as_it_was(method: Method) -> None:
    maps = np.concatenate([some_maps(), 1e-12 * some_maps()])  # both ways of blurring
    copy = maps.copy()
    maps.flags.writeable = False  # so a write would raise
    decode(maps, method=method)
    np.testing.assert_array_equal(maps, copy)


@given(seed=st.integers(0, 2**32 - 1), kernel=st.sampled_from([3, 11, 17]))
def test_a_map_is_decoded_alike_alone_and_in_a_batch(seed: int, kernel: int) -> None:
    rng = np.random.default_rng(seed)
    maps = rng.standard_normal((3, 2, 16, 18)) * 10.0 ** rng.integers(-12, 2, (3, 2, 1, 1))
    together = decode(maps, kernel_size=kernel)
    for n, k in np.ndindex(3, 2):
        alone = decode(maps[n : n + 1, k : k + 1], kernel_size=kernel)
        np.testing.assert_array_equal(alone.points[0, 0], together.points[n, k])


# ---------------------------------------------------------------------------------------------------- not finite


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("negative", [False, True], ids=["NaN", "NaN with its sign bit set"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("cell", [(0, 0), (9, 12), (19, 23)], ids=["first cell", "at the peak", "last cell"])
def test_a_map_with_nan_gives_minus_one_and_a_nan_score(
    cell: tuple[int, int], dtype: type[np.floating[Any]], negative: bool, method: Method
) -> None:
    maps = some_maps().astype(dtype)
    clean = decode(maps, method=method)
    maps[0, 0, *cell] = signed_nan(negative, dtype)
    points, scores = decode(maps, method=method)
    np.testing.assert_array_equal(points[0, 0], [-1, -1])
    assert np.isnan(scores[0, 0])
    others = np.arange(6).reshape(2, 3) != 0
    np.testing.assert_array_equal(points[others], clean.points[others])
    np.testing.assert_array_equal(scores[others], clean.scores[others])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("method", METHODS)
def test_an_infinite_maximum_is_found_but_dark_does_not_refine_it(method: Method) -> None:
    maps = some_maps()
    clean = decode(maps, method=method)
    maps[0, 0, 9, 14] = np.inf
    decoded = decode(maps, method=method)
    # The Gaussian lies at (12.3, 9.6): the quarter step goes to its side.
    np.testing.assert_array_equal(decoded.points[0, 0], [13.75, 9.25] if method == "quarter" else [14, 9])
    assert decoded.scores[0, 0] == np.inf
    np.testing.assert_array_equal(decoded.points.reshape(6, 2)[1:], clean.points.reshape(6, 2)[1:])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param(slice(18, None), None, id="out of the blur's reach: no matter"),
        # The five rows that DARK looks at are -inf once blurred, hence clipped, hence flat.
        pytest.param(slice(11, None), [12, 10], id="beside the peak: DARK takes no step"),
    ],
)
def test_minus_infinity_counts_as_a_low_value(rows: slice, expected: list[float] | None, method: Method) -> None:
    maps = some_maps()
    clean = decode(maps, method=method)
    maps[0, 0, rows] = -np.inf
    decoded = decode(maps, method=method)
    if method == "quarter" and expected:
        expected = [12.25, 9.75]  # away from the lower row
    np.testing.assert_array_equal(decoded.scores, clean.scores)
    np.testing.assert_allclose(decoded.points[0, 0], expected or clean.points[0, 0], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(decoded.points.reshape(6, 2)[1:], clean.points.reshape(6, 2)[1:])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("background", "peak", "expected"),
    [
        pytest.param(-np.inf, 1.0, (10, 10), id="one finite cell"),
        pytest.param(-np.inf, -np.inf, (-1, -1), id="nothing finite"),
        pytest.param(np.inf, np.inf, (0, 0), id="infinite everywhere: the first cell"),
        pytest.param(-3e38, 3.4e38, (10, 10), id="differences overflow"),
        pytest.param(0.0, 1e-45, (10, 10), id="the blur underflows to zero"),
    ],
)
def test_extreme_maps_stay_in_their_cell(
    background: float, peak: float, expected: tuple[int, int], method: Method
) -> None:
    maps = np.full((1, 1, 21, 21), background, np.float32)
    maps[0, 0, 10, 10] = peak
    np.testing.assert_array_equal(decode(maps, method=method).points, [[expected]])


@pytest.mark.filterwarnings("error")
def test_a_peak_whose_blurred_map_has_no_positive_value_stays_in_its_cell() -> None:
    maps = np.zeros((1, 1, 64, 64), np.float32)
    maps[..., 20:41, 20:41] = -1  # the blurred maximum is the 0 far outside: 0.1 / 0
    maps[..., 30, 30] = 0.1
    np.testing.assert_array_equal(decode(maps).points, [[[30, 30]]])


@pytest.mark.parametrize("method", METHODS)
def test_the_first_of_equal_maxima_wins(method: Method) -> None:
    maps = np.zeros((1, 1, 30, 30))
    maps[0, 0, [20, 8], [6, 22]] = 1
    np.testing.assert_array_equal(decode(maps, method=method).points, [[[22, 8]]])  # the upper row comes first


# ----------------------------------------------------------------------------------------------- empty and unusable


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(0, 5, 8, 9), (3, 0, 8, 9), (0, 0, 8, 9)], ids=["no face", "no landmark", "neither"])
def test_an_empty_batch_gives_no_landmarks(shape: tuple[int, ...], method: Method) -> None:
    decoded = decode(np.zeros(shape, np.float32), method=method)
    assert decoded.points.shape == (*shape[:2], 2)
    assert decoded.scores.shape == shape[:2]


@pytest.mark.parametrize("method", ["argmax", "quarter", "dark"])
@pytest.mark.parametrize("size", [(1, 1), (1, 6), (4, 3), (5, 4)], ids=str)
def test_a_map_without_a_cell_two_from_every_border_gives_the_maximum(size: tuple[int, int], method: Method) -> None:
    width, height = size
    maps = np.random.default_rng(width).random((1, 4, height, width))
    y, x = np.unravel_index(maps.reshape(4, -1).argmax(axis=1), (height, width))
    decoded = decode(maps, method=method)
    refined = method == "quarter"  # moves from cells with two neighbours before and one behind
    np.testing.assert_allclose(decoded.points[0], np.stack([x, y], 1), rtol=0, atol=0.25 if refined else 0)


@pytest.mark.parametrize(
    ("maps", "options", "message"),
    [
        pytest.param(np.zeros((3, 8, 8)), {}, r"\(N, K, H, W\).*got \(3, 8, 8\)", id="rank 3"),
        pytest.param(np.zeros((1, 1, 3, 8, 8)), {}, r"\(N, K, H, W\).*got \(1, 1, 3, 8, 8\)", id="rank 5"),
        pytest.param(np.zeros((1, 1, 0, 8)), {}, r"H, W >= 1, got \(1, 1, 0, 8\)", id="no rows"),
        pytest.param(np.zeros((1, 1, 8, 8), np.int64), {}, "floating type, got int64", id="whole numbers"),
        pytest.param(np.zeros((1, 1, 8, 8), bool), {}, "floating type, got bool", id="truth values"),
        pytest.param(np.zeros((1, 1, 8, 8), complex), {}, "floating type, got complex128", id="complex"),
        pytest.param(np.zeros((1, 1, 8, 8), object), {}, "floating type, got object", id="objects"),
        pytest.param(np.zeros((1, 1, 8, 8), "U1"), {}, "floating type, got <U1", id="texts"),
        pytest.param(np.zeros((1, 1, 8, 8)), {"kernel_size": 10}, "positive odd number, got 10", id="even kernel"),
        pytest.param(np.zeros((1, 1, 8, 8)), {"kernel_size": 0}, "positive odd number, got 0", id="no kernel"),
        pytest.param(np.zeros((1, 1, 8, 8)), {"kernel_size": -3}, "positive odd number, got -3", id="negative kernel"),
        pytest.param(np.zeros((1, 1, 8, 8)), {"method": "softargmax"}, "\"dark\\+\", got 'softargmax'", id="method"),
    ],
)
def test_unusable_input_is_refused(maps: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DarkposeError, match=message):
        decode(maps, **options)


def test_masked_heatmaps_are_refused_and_those_with_an_empty_mask_are_decoded() -> None:
    maps = np.ma.array(some_maps(), mask=False)
    np.testing.assert_array_equal(decode(maps).points, decode(maps.data).points)
    maps[0, 0, 9, 12] = np.ma.masked
    with pytest.raises(DarkposeError, match="heatmaps: some values are masked"):
        decode(maps)
