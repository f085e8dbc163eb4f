"""Calibrated covariances: synthetic errors of a known distribution, files, coverage, AUROC."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from darkpose.codec.heatmap import decode, encode
from darkpose.errors import DarkposeError
from darkpose.evaluation.fitting import auroc, coverage, fit_calibration, peak_width, spread
from darkpose.predict.covariance import calibrated, carried, chi2_quantile, ellipse, excess, squared_distances
from darkpose.weights.calibrations import Calibration

Floats = NDArray[np.float64]
SCALE, FLOOR, WIDTH = np.array([0.5, 2.0, 0.1]), np.array([0.3, 0.1, 1.0]), 7.8


def rotated(angle: Floats, along: Floats, across: Floats) -> Floats:
    """Covariances with given variances along a direction and across it."""
    u = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    v = np.stack([-np.sin(angle), np.cos(angle)], axis=-1)
    outer = u[..., :, None] * u[..., None, :], v[..., :, None] * v[..., None, :]
    return np.asarray(along[..., None, None] * outer[0] + across[..., None, None] * outer[1])


def some_peaks(count: int, seed: int = 0) -> Floats:
    """Covariances (count, 3, 2, 2), wider than WIDTH along one axis, and for some narrower across."""
    rng = np.random.default_rng(seed)
    shape = (count, 3)
    along, across = WIDTH + rng.exponential(2.0, shape), WIDTH + rng.uniform(-0.5, 0.5, shape)
    return rotated(rng.uniform(0, np.pi, shape), along, across)


def true_covariances(peaks: Floats) -> Floats:
    """What the calibration says, written by hand through the eigenvalues of each matrix."""
    result = np.empty_like(peaks)
    for n, k in np.ndindex(*peaks.shape[:2]):
        values, vectors = np.linalg.eigh(peaks[n, k])
        wider = sum(max(values[i] - WIDTH, 0) * np.outer(vectors[:, i], vectors[:, i]) for i in range(2))
        result[n, k] = FLOOR[k] * np.eye(2) + SCALE[k] * wider
    return result


def gaussian_errors(covariances: Floats, seed: int = 1) -> Floats:
    normal = np.random.default_rng(seed).standard_normal((*covariances.shape[:-1], 1))
    return np.asarray((np.linalg.cholesky(covariances) @ normal)[..., 0])


def a_calibration(**changes: Any) -> Calibration:
    values: dict[str, Any] = {
        "schema": "three",
        "width": WIDTH,
        "scale": tuple(SCALE),
        "floor": tuple(FLOOR),
        "fitted": {"on": "a"},
    }
    return Calibration(**(values | changes))


def test_a_calibrated_covariance_is_the_floor_and_what_is_wider_than_a_sure_peak() -> None:
    peaks = some_peaks(50)
    np.testing.assert_allclose(calibrated(peaks, a_calibration()), true_covariances(peaks), rtol=0, atol=1e-12)


def test_a_peak_without_a_covariance_has_no_calibrated_one() -> None:
    peaks = some_peaks(2)
    peaks[0, 1] = np.nan
    result = calibrated(peaks, a_calibration())
    assert np.isnan(result[0, 1]).all()
    assert np.isfinite(np.delete(result.reshape(6, 4), 1, axis=0)).all()


def test_a_fit_finds_the_distribution_that_the_errors_were_drawn_from() -> None:
    peaks = some_peaks(20_000)
    errors = gaussian_errors(true_covariances(peaks))
    found = fit_calibration(errors, peaks, schema="three", width=WIDTH, fitted={})
    np.testing.assert_allclose(found.scale, SCALE, rtol=0.2)
    np.testing.assert_allclose(found.floor, FLOOR, rtol=0.1)


def test_regions_of_a_fit_hold_the_shares_of_errors_that_they_name_on_other_faces() -> None:
    levels = (0.5, 0.8, 0.9, 0.95, 0.99)
    peaks, others = some_peaks(4000), some_peaks(20_000, seed=5)
    found = fit_calibration(gaussian_errors(true_covariances(peaks)), peaks, schema="three", width=WIDTH, fitted={})
    errors = gaussian_errors(true_covariances(others), seed=6)
    np.testing.assert_allclose(coverage(errors, calibrated(others, found), levels), levels, atol=0.01)
    # The peaks as they are claim far too much doubt.
    assert coverage(errors, others, [0.5])[0] > 0.9


def test_a_few_gross_errors_hardly_change_a_fit() -> None:
    peaks = some_peaks(4000)
    errors = gaussian_errors(true_covariances(peaks))
    clean = fit_calibration(errors, peaks, schema="three", width=WIDTH, fitted={})
    errors[:40] *= 1000
    spoilt = fit_calibration(errors, peaks, schema="three", width=WIDTH, fitted={})
    np.testing.assert_allclose(spoilt.floor, clean.floor, rtol=0.25)


def test_landmarks_without_annotation_or_covariance_do_not_count_in_a_fit() -> None:
    peaks = some_peaks(200)
    errors = gaussian_errors(true_covariances(peaks))
    expected = fit_calibration(errors[50:], peaks[50:], schema="three", width=WIDTH, fitted={})
    errors[:30], peaks[30:50] = np.nan, np.nan
    assert fit_calibration(errors, peaks, schema="three", width=WIDTH, fitted={}) == expected


def test_a_landmark_that_no_face_has_annotated_has_no_calibration() -> None:
    peaks = some_peaks(200)
    errors = gaussian_errors(true_covariances(peaks))
    expected = fit_calibration(errors, peaks, schema="three", width=WIDTH, fitted={})
    errors[:, 1] = np.nan
    found = fit_calibration(errors, peaks, schema="three", width=WIDTH, fitted={})
    assert np.isnan([found.scale[1], found.floor[1]]).all()
    assert (found.scale[::2], found.floor[::2]) == (expected.scale[::2], expected.floor[::2])
    known = calibrated(peaks, found)
    assert np.isnan(known[:, 1]).all()
    assert (known[:, ::2] == calibrated(peaks, expected)[:, ::2]).all()


def test_a_fit_refuses_too_few_errors_and_wrong_shapes() -> None:
    peaks = some_peaks(20)
    errors = gaussian_errors(true_covariances(peaks))
    errors[3:, 1] = np.nan
    with pytest.raises(DarkposeError, match="landmark 1 has 3 errors, expected at least 10"):
        fit_calibration(errors, peaks, schema="three", width=WIDTH, fitted={})
    with pytest.raises(DarkposeError, match="and their covariances"):
        fit_calibration(errors[:, :2], peaks, schema="three", width=WIDTH, fitted={})
    with pytest.raises(DarkposeError, match=r"expected covariances \(N, 3, 2, 2\)"):
        calibrated(peaks[:, :2], a_calibration())


def test_where_no_peak_is_wide_there_is_a_floor_alone() -> None:
    errors = np.random.default_rng(0).normal(size=(4000, 1, 2)) * 0.5
    sure = np.broadcast_to(WIDTH * np.eye(2), (4000, 1, 2, 2))
    found = fit_calibration(errors, sure, schema="one", width=WIDTH, fitted={})
    assert found.scale == (0,)
    np.testing.assert_allclose(found.floor, 0.25, rtol=0.05)


def test_a_landmark_without_error_can_be_fitted() -> None:
    found = fit_calibration(np.zeros((20, 3, 2)), some_peaks(20), schema="three", width=WIDTH, fitted={})
    assert (np.array(found.floor) > 0).all()


@pytest.mark.parametrize("kernel_size", [7, 11])
def test_a_sure_peak_is_as_wide_as_the_target_and_the_blur(kernel_size: int) -> None:
    heatmaps, _ = encode(np.array([[[31.3, 28.8]]]), sigma=2.0)
    found = decode(heatmaps.astype(np.float64), kernel_size=kernel_size, covariance=True).covariance
    assert found is not None
    np.testing.assert_allclose(found[0, 0], peak_width(2.0, kernel_size) * np.eye(2), atol=0.25)


def test_what_is_narrower_than_a_sure_peak_is_no_excess() -> None:
    covariance = rotated(np.array(0.7), np.array(12.0), np.array(6.0))
    expected = rotated(np.array(0.7), np.array(4.0), np.array(0.0))
    np.testing.assert_allclose(excess(covariance, 8.0), expected, atol=1e-12)


def test_distances_are_mahalanobis_ones() -> None:
    covariances = some_peaks(30)
    errors = gaussian_errors(covariances)
    expected = np.einsum("nki,nkij,nkj->nk", errors, np.linalg.inv(covariances), errors)
    np.testing.assert_allclose(squared_distances(errors, covariances), expected, rtol=1e-10)


def test_quantiles_are_those_of_the_chi_squared_distribution() -> None:
    np.testing.assert_allclose(chi2_quantile([0, 0.5, 0.9, 0.95]), [0, 1.386294, 4.605170, 5.991465], atol=1e-6)


def test_coverage_counts_what_is_known_and_is_nan_of_nothing() -> None:
    errors = np.array([[0.1, 0], [5, 0], [np.nan, 0], [0, 0]])
    covariances = np.array([np.eye(2), np.eye(2), np.eye(2), np.full((2, 2), np.nan)])
    assert coverage(errors, covariances, [0.5, 0.9]).tolist() == [0.5, 0.5]
    assert np.isnan(coverage(errors[2:], covariances[2:], [0.5, 0.9])).all()


@given(
    st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=2, max_size=40).filter(
        lambda pairs: len({positive for positive, _ in pairs}) == 2
    )
)
def test_the_area_under_the_roc_curve_is_scikit_learns(pairs: list[tuple[bool, int]]) -> None:
    sklearn = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn")
    positive, values = zip(*pairs, strict=True)
    assert auroc(positive, values) == pytest.approx(sklearn.roc_auc_score(positive, values), abs=1e-12)


def test_the_area_takes_infinities_and_refuses_nan() -> None:
    assert auroc([True, False], [np.inf, 3]) == 1
    assert np.isnan(auroc([True, True], [1, 2]))
    with pytest.raises(DarkposeError, match="NaN"):
        auroc([True, False], [np.nan, 3])


def test_a_covariance_is_carried_as_the_points_are() -> None:
    jacobian = np.array([[2.0, 0.5], [-0.3, 1.5]])
    points = np.random.default_rng(0).normal(size=(500, 2)) @ np.array([[1.0, 0.4], [0.0, 0.7]])
    np.testing.assert_allclose(carried(np.cov(points.T), jacobian), np.cov((points @ jacobian.T).T), rtol=1e-10)


def test_every_corner_of_an_ellipse_lies_at_the_levels_distance() -> None:
    covariances, points = some_peaks(4)[:, 0], np.arange(8.0).reshape(4, 2)
    corners = ellipse(points, covariances, 0.95)
    distances = squared_distances(corners - points[:, None], covariances[:, None])
    np.testing.assert_allclose(distances, 5.991465, rtol=1e-6)
    assert np.isnan(ellipse(points[0], np.full((2, 2), np.nan), 0.95)).all()


def test_the_spread_is_the_root_mean_square_distance() -> None:
    covariance = rotated(np.array(0.3), np.array(9.0), np.array(16.0))
    errors = gaussian_errors(np.broadcast_to(covariance, (100_000, 2, 2)))
    assert float(spread(covariance)) == pytest.approx(np.sqrt((errors**2).sum(axis=1).mean()), rel=0.01)
