"""NME and the rates of faces: the reference's numbers, an independent loop, invariances, refused input."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from conftest import Golden
from darkpose.errors import DarkposeError
from darkpose.evaluation.metrics import auc, bootstrap_interval, ced, face_errors, failure_rate, nme, normalised_errors

SEEDS = st.integers(0, 2**32 - 1)


def some_faces(seed: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Predicted and annotated landmarks, normalisers and visibilities of three faces."""
    rng = np.random.default_rng(seed)
    annotated = rng.uniform(0, 300, (3, 7, 2))
    visible = rng.integers(0, 2, (3, 7))
    visible[0, 0] = 1
    return annotated + rng.normal(0, 5, annotated.shape), annotated, rng.uniform(20, 200, 3), visible


def reference_nme(predicted: Any, annotated: Any, normaliser: Any, visible: Any) -> float:
    total, count = 0.0, 0
    for n in range(len(predicted)):
        for k in range(len(predicted[n])):
            if visible[n][k] > 0:
                dx, dy = predicted[n][k] - annotated[n][k]
                total += (dx * dx + dy * dy) ** 0.5 / normaliser[n]
                count += 1
    return total / count


@given(seed=SEEDS)
def test_nme_is_the_mean_over_all_visible_landmarks(seed: int) -> None:
    faces = some_faces(seed)
    assert nme(*faces) == pytest.approx(reference_nme(*faces), rel=1e-12)
    assert nme(*faces[:3]) == pytest.approx(reference_nme(*faces[:3], np.ones((3, 7))), rel=1e-12)


@pytest.mark.parametrize("case", ["full", "mask", "perfect"])
def test_errors_and_nme_are_the_references(golden: Golden, case: str) -> None:
    arrays = {name: golden("d_nme_raw")[f"{case}_{name}"] for name in ("pred", "gt", "mask", "norm", "dist", "nme")}
    errors = normalised_errors(arrays["pred"], arrays["gt"], arrays["norm"][:, 0])
    # The reference computes in float32 and marks hidden landmarks by -1.
    expected = np.where(arrays["mask"], errors, -1).T
    np.testing.assert_allclose(arrays["dist"], expected, rtol=3e-5, atol=1e-7)
    value = nme(arrays["pred"], arrays["gt"], arrays["norm"][:, 0], arrays["mask"])
    assert value == pytest.approx(float(arrays["nme"]), rel=1e-6, abs=1e-12)


def test_unlike_the_reference_a_normaliser_that_is_not_positive_is_refused(golden: Golden) -> None:
    arrays = golden("d_nme_raw")
    normaliser = arrays["zero_norm_norm"][:, 0]
    faces = arrays["zero_norm_pred"], arrays["zero_norm_gt"]
    with pytest.raises(DarkposeError, match=r"face 2 has the normaliser 0\.0"):
        nme(*faces, normaliser, arrays["zero_norm_mask"])
    good = normaliser > 0  # the reference drops the zero, and counts the face of the negative with an error near 0
    errors = normalised_errors(faces[0][good], faces[1][good], normaliser[good])
    seen = arrays["zero_norm_mask"][good]
    np.testing.assert_allclose(arrays["zero_norm_dist"].T[good][seen], errors[seen], rtol=3e-5, atol=1e-7)


def test_unlike_the_reference_an_nme_of_nothing_is_nan_not_zero(golden: Golden) -> None:
    arrays = {name: golden("d_nme_raw")[f"none_visible_{name}"] for name in ("pred", "gt", "mask", "norm")}
    assert np.isnan(nme(arrays["pred"], arrays["gt"], arrays["norm"][:, 0], arrays["mask"]))
    assert np.isnan(nme(np.zeros((0, 5, 2)), np.zeros((0, 5, 2)), np.zeros(0)))


@pytest.mark.parametrize("case", ["full", "mask", "zero_norm", "none_visible", "perfect"])
def test_with_the_references_rules_every_golden_nme_is_met(golden: Golden, case: str) -> None:
    arrays = {name: golden("d_nme_raw")[f"{case}_{name}"] for name in ("pred", "gt", "mask", "norm", "nme")}
    normaliser = arrays["norm"][:, 0].copy()
    value = nme(arrays["pred"], arrays["gt"], normaliser, arrays["mask"], compat="reference")
    assert value == pytest.approx(float(arrays["nme"]), rel=1e-5, abs=1e-9)
    assert (normaliser == arrays["norm"][:, 0]).all()  # the reference changes it in place; darkpose does not


@given(seed=SEEDS, angle=st.floats(-3.2, 3.2), scale=st.floats(0.01, 100), mirror=st.booleans())
def test_nme_is_invariant_to_similarity_transforms(seed: int, angle: float, scale: float, mirror: bool) -> None:
    predicted, annotated, normaliser, visible = some_faces(seed)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn[:, 0] *= -1 if mirror else 1
    shift = np.array([40.0, -500.0])
    moved = predicted @ turn.T + shift, annotated @ turn.T + shift, normaliser * scale, visible
    assert nme(*moved) == pytest.approx(nme(predicted, annotated, normaliser, visible), rel=1e-6)


def test_hidden_landmarks_may_be_anything() -> None:
    predicted, annotated = np.zeros((1, 2, 2)), np.zeros((1, 2, 2))
    predicted[0, 0], annotated[0, 1] = (3, 4), np.nan
    assert nme(predicted, annotated, [10.0], [[1, 0]]) == 0.5


FACES = np.zeros((2, 5, 2))
MASKED = np.ma.array(FACES, mask=FACES == 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param((FACES, FACES[:1], [1, 1]), r"\(2, 5, 2\) and \(1, 5, 2\)", id="one face missing"),
        pytest.param((FACES[0], FACES[0], [1, 1]), r"must both be \(N, K, 2\)", id="no face axis"),
        pytest.param((FACES, FACES, [1, 1, 1]), r"expected \(2,\), got \(3,\)", id="a normaliser too many"),
        pytest.param((FACES, FACES, [[1, 1], [1, 1]]), r"expected \(2,\), got \(2, 2\)", id="normalisers per axis"),
        pytest.param((FACES, FACES, [1, np.nan]), "face 1 has the normaliser nan", id="NaN"),
        pytest.param((FACES, FACES, [np.inf, 1]), "face 0 has the normaliser inf", id="infinite"),
        pytest.param((FACES, FACES, [1, -2]), "face 1 has the normaliser -2", id="negative"),
        pytest.param((MASKED, FACES, [1, 1]), "predicted: some values are masked", id="predicted"),
        pytest.param((FACES, MASKED, [1, 1]), "annotated: some values are masked", id="annotated"),
        pytest.param((FACES, FACES, MASKED[:, 0, 0] + 1), "normaliser: some values are masked", id="normaliser"),
        pytest.param((FACES, FACES, [1, 1], MASKED[..., 0]), "visible: some values are masked", id="seen"),
        pytest.param((FACES, FACES, [1, 1], np.ones(5)), r"visible must be \(2, 5\).*got \(5,\)", id="visible"),
    ],
)
def test_unusable_input_is_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(DarkposeError, match=message):
        nme(*arguments)


faces = arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 0.5) | st.just(np.inf))


def test_face_errors_are_means_over_visible_landmarks() -> None:
    errors = [[0.1, 0.3, 9.0], [1.0, 1.0, 1.0], [0.2, 0.2, np.inf]]
    visible = [[1, 1, 0], [0, 0, 0], [1, 1, 0]]
    np.testing.assert_allclose(face_errors(errors, visible), [0.2, np.nan, 0.2])
    assert face_errors(errors)[2] == np.inf


@given(faces, st.floats(0.01, 0.4))
def test_failures_and_the_ced_count_faces(errors: NDArray[np.float64], threshold: float) -> None:
    within = sum(1 for error in errors if error <= threshold) / len(errors)
    assert failure_rate(errors, threshold) == pytest.approx(1 - within, abs=1e-12)
    assert ced(errors, [threshold])[0] == pytest.approx(within, abs=1e-12)


@given(faces, st.floats(0.01, 0.4))
def test_auc_is_the_area_under_the_ced(errors: NDArray[np.float64], threshold: float) -> None:
    knots = np.unique([0.0, *errors[errors < threshold], threshold])
    area = sum(ced(errors, [low])[0] * (high - low) for low, high in itertools.pairwise(knots))
    assert auc(errors, threshold) == pytest.approx(area / threshold, abs=1e-9)


def test_auc_agrees_with_scipys_integral_of_a_fine_ced() -> None:
    integrate = pytest.importorskip("scipy.integrate", reason="needs SciPy")
    errors = np.random.default_rng(0).gamma(4, 0.01, 500)
    steps = np.linspace(0, 0.1, 200_001)
    assert auc(errors, 0.1) == pytest.approx(integrate.trapezoid(ced(errors, steps), steps) / 0.1, abs=1e-5)


def test_faces_without_landmarks_do_not_count() -> None:
    errors = [0.05, np.nan, 0.2]
    assert failure_rate(errors, 0.1) == 0.5
    assert auc(errors, 0.1) == pytest.approx(0.25)
    assert np.isnan(failure_rate([np.nan], 0.1))


def test_the_bootstrap_interval_agrees_with_scipys() -> None:
    stats = pytest.importorskip("scipy.stats", reason="needs SciPy")
    values = np.random.default_rng(0).gamma(4, 0.01, 300)
    low, high = bootstrap_interval(values, lambda drawn: float(drawn.mean()), draws=4000)
    expected = stats.bootstrap((values,), np.mean, n_resamples=4000, method="percentile", rng=1).confidence_interval
    width = expected.high - expected.low
    assert low == pytest.approx(expected.low, abs=0.06 * width)
    assert high == pytest.approx(expected.high, abs=0.06 * width)


def test_faces_of_one_image_are_drawn_together() -> None:
    values = np.repeat(np.random.default_rng(0).normal(size=50), 4)
    groups = np.repeat([f"image {i}" for i in range(50)], 4)

    def mean(drawn: NDArray[np.float64]) -> float:
        return float(drawn.mean())

    alone = bootstrap_interval(values[::4], mean, seed=3)
    together = bootstrap_interval(values, mean, groups=groups, seed=3)
    as_if_single = bootstrap_interval(values, mean, seed=3)
    assert together[1] - together[0] == pytest.approx(alone[1] - alone[0], rel=0.1)
    assert as_if_single[1] - as_if_single[0] < 0.6 * (alone[1] - alone[0])


def test_the_ced_agrees_with_scipys_and_the_auc_with_scikit_learns() -> None:
    stats = pytest.importorskip("scipy.stats", reason="needs SciPy")
    sklearn = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn")
    errors = np.random.default_rng(2).gamma(4, 0.01, 200)
    thresholds = np.linspace(0, 0.2, 77)
    np.testing.assert_allclose(ced(errors, thresholds), stats.ecdf(errors).cdf.evaluate(thresholds), atol=1e-12)
    # The area below steps: scikit-learn's trapezoids over a point before and one after each rise.
    knots = np.sort(errors[errors < 0.1])
    x = np.concatenate([[0], np.repeat(knots, 2), [0.1]])
    y = np.concatenate([[0, 0], np.repeat(np.arange(1, len(knots) + 1), 2)]) / len(errors)
    assert auc(errors, 0.1) == pytest.approx(sklearn.auc(x, y) / 0.1, abs=1e-12)


def test_pooled_nme_agrees_with_scikit_learns_weighted_mean_of_distances() -> None:
    sklearn = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn")
    rng = np.random.default_rng(3)
    truth, lengths = rng.uniform(0, 100, (20, 7, 2)), rng.uniform(30, 60, 20)
    found, visible = truth + rng.normal(0, 3, truth.shape), rng.integers(0, 2, (20, 7))
    distances = sklearn.pairwise.paired_euclidean_distances(found.reshape(-1, 2), truth.reshape(-1, 2)).reshape(20, 7)
    expected = np.average(distances / lengths[:, None], weights=visible)
    assert nme(found, truth, lengths, visible) == pytest.approx(expected, rel=1e-12)
