"""Keypoints -> heatmaps: the reference's arrays, an independent encoder, and what odd input gives."""

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from conftest import Golden
from darkpose.codec.heatmap import encode
from darkpose.errors import DarkposeError


def reference_target(
    x: float, y: float, visible: float, size: tuple[int, int], sigma: int, unbiased: bool
) -> tuple[NDArray[np.float64], float]:
    """One target map and its weight, written cell by cell from the reference's rules."""
    width, height = size
    heatmap = np.zeros((height, width))
    if not unbiased:
        x, y = int(x + 0.5), int(y + 0.5)  # rounds towards zero: -0.9 becomes 0
    reach = 3 * sigma
    if x - reach >= width or y - reach >= height or x + reach + 1 < 0 or y + reach + 1 < 0:
        return heatmap, 0.0
    if visible > 0.5:
        for row in range(height):
            for column in range(width):
                if unbiased or max(abs(column - x), abs(row - y)) <= reach:
                    heatmap[row, column] = np.exp(-((column - x) ** 2 + (row - y) ** 2) / (2 * sigma**2))
    return heatmap, visible


@pytest.mark.parametrize("unbiased", [True, False], ids=["unbiased", "biased"])
@pytest.mark.parametrize("case", ["border", "random19", "rect17"])
def test_targets_and_weights_are_the_references(golden: Golden, case: str, unbiased: bool) -> None:
    arrays = golden("a_targets")
    image_width, image_height, width, height, sigma = map(int, arrays[f"{case}_sizes"])
    keypoints = arrays[f"{case}_joints"] / np.array([image_width / width, image_height / height], np.float32)
    heatmaps, weights = encode(
        keypoints[None], arrays[f"{case}_visible"][None], size=(width, height), sigma=sigma, unbiased=unbiased
    )
    kind = f"{case}_{'unbiased' if unbiased else 'biased'}"
    np.testing.assert_allclose(heatmaps[0], arrays[kind], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(weights[0], arrays[f"{kind}_weight"][:, 0])


def test_targets_of_a_fractional_sigma_are_the_references(golden: Golden) -> None:
    arrays = golden("a_targets")
    heatmaps, weights = encode(arrays["sigma15_joints"][None] / 4, sigma=1.5)
    np.testing.assert_allclose(heatmaps[0], arrays["sigma15_unbiased"], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(weights, 1)


# A landmark's 3-sigma square leaves the map (weight 0) at mu >= size + 6 and mu < -7 for sigma 2.
@given(
    x=st.floats(-25, 45),
    y=st.floats(-25, 45),
    visible=st.sampled_from([0.0, 0.3, 0.5, 0.75, 1.0]),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    sigma=st.integers(1, 4),
    unbiased=st.booleans(),
)
@example(x=26.0, y=3.0, visible=1.0, size=(20, 20), sigma=2, unbiased=True)  # the first mu with weight 0 on the right
@example(x=-7.0, y=3.0, visible=1.0, size=(20, 20), sigma=2, unbiased=True)  # the last mu with weight 1 on the left
@example(x=-0.9, y=-0.2, visible=1.0, size=(20, 20), sigma=2, unbiased=False)  # truncation towards zero
@example(x=4.0, y=4.0, visible=0.5, size=(9, 9), sigma=2, unbiased=True)  # half visible: a weight, but no Gaussian
def test_encode_agrees_with_the_independent_encoder(
    x: float, y: float, visible: float, size: tuple[int, int], sigma: int, unbiased: bool
) -> None:
    heatmap, weight = encode(
        np.array([[[x, y]]]), np.array([[visible]]), size=size, sigma=float(sigma), unbiased=unbiased
    )
    expected, expected_weight = reference_target(x, y, visible, size, sigma, unbiased)
    assert heatmap.shape == (1, 1, size[1], size[0])
    np.testing.assert_allclose(heatmap[0, 0], expected, rtol=0, atol=2e-7)
    assert weight[0, 0] == np.float32(expected_weight)


@pytest.mark.parametrize("unbiased", [True, False], ids=["unbiased", "biased"])
@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf])
def test_a_landmark_that_is_not_finite_is_not_encoded_and_its_neighbours_are(bad: float, unbiased: bool) -> None:
    heatmaps, weights = encode(np.array([[[bad, 9.0], [9.0, bad], [9.0, 9.0]]]), size=(20, 20), unbiased=unbiased)
    np.testing.assert_array_equal(heatmaps[0, :2], 0)
    np.testing.assert_array_equal(weights, [[0, 0, 1]])
    assert heatmaps[0, 2].max() == 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("unbiased", [True, False], ids=["unbiased", "biased"])
def test_encode_leaves_its_input_as_it_was(unbiased: bool) -> None:
    keypoints, visible = np.array([[[12.3, 7.5], [np.nan, 90.0]]]), np.array([[1.0, 1.0]])
    keypoints.flags.writeable = visible.flags.writeable = False  # so a write would raise
    encode(keypoints, visible, unbiased=unbiased)


def test_a_reversed_view_is_encoded_as_its_copy() -> None:
    keypoints = np.array([[[12.3, 7.5], [30.0, 40.0]]])
    for view in (keypoints[..., ::-1], keypoints[:, ::-1]):
        np.testing.assert_array_equal(encode(view)[0], encode(view.copy())[0])


@pytest.mark.parametrize("shape", [(0, 5, 2), (3, 0, 2), (0, 0, 2)], ids=["no face", "no landmark", "neither"])
def test_an_empty_batch_gives_empty_targets(shape: tuple[int, ...]) -> None:
    heatmaps, weights = encode(np.zeros(shape), size=(7, 5))
    assert heatmaps.shape == (*shape[:2], 5, 7)
    assert weights.shape == shape[:2]


@pytest.mark.parametrize(
    ("keypoints", "options", "message"),
    [
        pytest.param(np.zeros((4, 2)), {}, r"must be \(N, K, 2\).*got \(4, 2\)", id="no batch axis"),
        pytest.param(np.zeros((1, 4, 3)), {}, r"must be \(N, K, 2\).*got \(1, 4, 3\)", id="three coordinates"),
        pytest.param(np.zeros((1, 4, 2)), {"visible": np.ones((4,))}, r"must be \(1, 4\).*got \(4,\)", id="visible"),
        pytest.param(np.zeros((1, 4, 2)), {"sigma": 0.0}, "must be a positive number, got 0.0", id="sigma 0"),
        pytest.param(
            np.zeros((1, 4, 2)), {"sigma": float("nan")}, "must be a positive number, got nan", id="sigma NaN"
        ),
        pytest.param(np.zeros((1, 4, 2)), {"size": (64, 0)}, r"\(64, 0\)", id="an empty map"),
    ],
)
def test_unusable_input_is_refused(keypoints: NDArray[np.float64], options: dict[str, Any], message: str) -> None:
    with pytest.raises(DarkposeError, match=message):
        encode(keypoints, **options)


def test_whole_numbers_and_truth_values_are_accepted() -> None:
    heatmaps, weights = encode(np.array([[[12, 7], [3, 4]]]), np.array([[True, False]]))
    assert heatmaps[0, 0, 7, 12] == 1
    assert weights.tolist() == [[1.0, 0.0]]


def test_a_visibility_of_nan_or_below_zero_is_none() -> None:
    keypoints = np.full((1, 3, 2), 30.0)
    heatmaps, weights = encode(keypoints, np.array([[np.nan, -1.0, 1.0]]))
    assert weights.tolist() == [[0, 0, 1]]
    assert not heatmaps[0, :2].any()


@pytest.mark.parametrize("mode", [{}, {"truncate": True}, {"unbiased": False}])
def test_landmarks_in_any_order_of_memory_are_drawn(mode: dict[str, Any]) -> None:
    points = np.array([[20.3, 30.0, 5.5], [30.7, 10.0, 60.1]])
    expected, _ = encode(points.T[None].copy(), **mode)
    for view in (points.T[None], np.broadcast_to(points.T[None], (2, 3, 2)), points.astype(">f8").T[None]):
        maps, _ = encode(view, **mode)
        np.testing.assert_array_equal(maps, np.broadcast_to(expected, maps.shape))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": 64}, "size must be two positive whole numbers"),
        ({"size": (True, True)}, "size must be two positive whole numbers"),
        ({"sigma": "2"}, "sigma must be a positive number, got '2'"),
        ({"sigma": np.array([2.0])}, "sigma must be a positive number"),
        ({"out": [1]}, "out must be contiguous float32 .* got list"),
    ],
)
def test_odd_arguments_are_one_clear_error(values: dict[str, Any], message: str) -> None:
    with pytest.raises(DarkposeError, match=message):
        encode(np.zeros((1, 2, 2)), **values)


def test_landmarks_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(DarkposeError, match="expected an array of numbers, got object"):
        encode(np.array([[[None, 1.0]]], dtype=object))


@pytest.mark.parametrize("name", ["keypoints", "visible", "out"])
def test_masked_values_are_refused(name: str) -> None:
    given: dict[str, Any] = {
        "keypoints": np.ma.zeros((1, 2, 2)),
        "visible": np.ma.ones((1, 2)),
        "out": np.ma.zeros((1, 2, 64, 64), np.float32),
    }
    encode(**given)
    given[name][0, 1] = np.ma.masked
    with pytest.raises(DarkposeError, match=f"{name}: some values are masked"):
        encode(**given)


@pytest.mark.parametrize(("x", "weight"), [(69.9, 1), (70.0, 0), (-7.0, 1), (-7.1, 0)])
def test_a_landmark_has_no_weight_from_three_sigma_and_a_px_outside_on(x: float, weight: float) -> None:
    assert encode(np.array([[[x, 30.0]]]))[1][0, 0] == weight
