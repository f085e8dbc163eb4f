"""NME: the reference's numbers, an independent loop, invariances, refused input."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from conftest import Golden
from darkpose.errors import DarkposeError
from darkpose.metrics import nme, normalised_errors

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
        pytest.param((FACES, FACES, [1, 1], np.ones(5)), r"visible must be \(2, 5\).*got \(5,\)", id="visible"),
    ],
)
def test_unusable_input_is_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(DarkposeError, match=message):
        nme(*arguments)
