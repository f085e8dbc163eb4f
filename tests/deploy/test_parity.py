import json
from math import inf

import numpy as np
import pytest

from darkpose.deploy.face_crops import FaceCrops
from darkpose.deploy.parity import BUDGETS, Budget, Parity, compare
from darkpose.predict.landmarks import Landmarks

FACES = FaceCrops(
    np.zeros((3, 8, 8, 3), np.uint8), np.zeros((3, 2)), np.array([[8.0, 8], [16, 16], [4, 4]]), "3 squares"
)


class Fixed:
    """Finds the same landmarks, whatever the crops."""

    def __init__(self, keypoints: np.ndarray, score: float = 1.0, covariance: np.ndarray | None = None) -> None:
        self.keypoints, self.covariance = keypoints, covariance
        self.scores = np.full(keypoints.shape[:2], score, np.float32)

    def __call__(self, crops: object, center: object, sides: object) -> Landmarks:
        return Landmarks(self.keypoints, self.scores, self.covariance)


def parity_of(reference: Fixed, candidate: Fixed, budget: Budget) -> Parity:
    expected = reference(FACES.crops, FACES.center, FACES.sides)
    return compare(expected, candidate, FACES, runtime="abacus", budget=budget)


def compared(
    shift: np.ndarray,
    budget: Budget = BUDGETS["fp32"],
    score: float = 1.0,
    covariances: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
) -> Parity:
    points = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    reference, candidate = Fixed(points, 1.0, covariances[0]), Fixed(points + shift, score, covariances[1])
    return parity_of(reference, candidate, budget)


def spread(*deviations: float) -> np.ndarray:
    """Covariances (3, 2, 2, 2) of landmarks whose standard deviations along x these are, along y none."""
    found = np.zeros((3, 2, 2, 2), np.float32)
    found[..., 0, 0] = np.square(np.resize(deviations, (3, 2)))
    return found


def test_distances_are_given_in_crop_and_in_image_pixels() -> None:
    parity = compared(np.array([3.0, 4.0]), score=0.75)
    np.testing.assert_allclose(parity.image_px, np.full((3, 2), 5.0))
    np.testing.assert_allclose(parity.crop_px, [[5.0, 5.0], [2.5, 2.5], [10.0, 10.0]])
    np.testing.assert_allclose(parity.scores, 0.25)


def test_a_budget_is_kept_or_not() -> None:
    assert compared(np.array([0.0, 0.004])).verified
    assert not compared(np.array([0.0, 0.02])).verified  # 0.04 crop px in half a px per image px
    assert compared(np.array([0.0, 0.02]), Budget(0.05, 0.1, 1.0, 1.0)).verified
    assert not compared(np.array([0.0, 0.06]), Budget(1.0, 0.1, 1.0, 1.0)).verified


def test_int8_may_choose_another_peak_of_an_unsure_landmark_but_not_lose_a_face() -> None:
    points = np.arange(24, dtype=np.float32).reshape(3, 4, 2)
    shift = np.zeros((3, 4, 2))
    reference, candidate = Fixed(points), Fixed(points)
    reference.scores[2, 0] = candidate.scores[2, 0] = 0.2

    def verified(landmark: int, far: float) -> bool:
        shift[2] = 0
        shift[2, landmark, 0] = far / 2  # image px, of which one is two crop px in the third face
        candidate.keypoints = points + shift
        budget = BUDGETS["int8"]._replace(p99=inf)
        return parity_of(reference, candidate, budget).verified

    assert verified(0, 31.0)  # 7.75 crop px on the face's mean
    assert not verified(0, 33.0)
    assert verified(1, 31.0)
    reference.scores[:], candidate.scores[:] = 1.0, 1.0
    found = parity_of(reference, candidate, BUDGETS["int8"]).to_dict(list("abcd"))
    assert (found["budget"]["maximum"], found["budget"]["face"]) == (32.0, 8.0)
    assert compared(np.zeros(2), BUDGETS["fp32"]).to_dict(["a", "b"])["budget"]["face"] is None


def test_landmarks_that_torch_is_sure_of_have_a_bound_of_their_own() -> None:
    points, moved = np.zeros((3, 40, 2), np.float32), np.zeros((3, 40, 2), np.float32)
    moved[2, 0, 0] = 20.0  # 40 crop px, 1 on the mean of 40 landmarks
    reference, candidate = Fixed(points), Fixed(moved)
    for score, passes in ((1.0, False), (0.3, True)):
        reference.scores[2, 0] = candidate.scores[2, 0] = score
        for budget in (BUDGETS["int8"], BUDGETS["fp16"]):
            assert parity_of(reference, candidate, budget).verified == passes
    assert not parity_of(reference, candidate, BUDGETS["fp32"]).verified


def test_crops_in_which_torch_finds_no_face_are_left_out() -> None:
    points = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    reference, candidate = Fixed(points), Fixed(points + np.array([[[0.0, 0]], [[90.0, 0]], [[0.001, 0]]]))
    scores = np.array([[0.9, 0.7], [0.1, 0.1], [0.3, 0.5]], np.float32)
    reference.scores = candidate.scores = scores
    parity = parity_of(reference, candidate, BUDGETS["fp32"])
    assert parity.verified
    assert (parity.left_out, len(parity.crop_px), len(parity.image_px), len(parity.scores)) == (1, 2, 2, 2)
    np.testing.assert_allclose(parity.image_px, [[0.0, 0.0], [0.001, 0.001]], rtol=0, atol=1e-6)
    assert str(parity).endswith("without 1 in which torch finds no face")
    reference.scores = np.full((3, 2), -0.1, np.float32)  # of a network without training
    assert parity_of(reference, candidate, BUDGETS["fp32"]).left_out == 0


def test_scores_have_a_budget_too() -> None:
    assert compared(np.zeros(2), score=1.0005).verified
    assert not compared(np.zeros(2), score=1.002).verified


def test_standard_deviations_of_landmarks_have_a_budget_too() -> None:
    unknown = np.nan
    assert compared(np.zeros(2), covariances=(spread(2.0), spread(2.003))).verified  # 0.006 crop px in the third face
    parity = compared(np.zeros(2), covariances=(spread(2.0), spread(2.1)))
    assert parity.deviations is not None
    np.testing.assert_allclose(parity.deviations, [[0.1, 0.1], [0.05, 0.05], [0.2, 0.2]], rtol=0, atol=1e-6)
    assert not parity.verified
    assert compared(np.zeros(2), covariances=(spread(unknown, 2.0), spread(unknown, 2.0))).verified
    parity = compared(np.zeros(2), covariances=(spread(2.0, 2.0), spread(unknown, 2.0)))
    assert not parity.verified
    report = parity.to_dict(["a", "b"])
    assert report["deviations_crop_px"]["max"] is None
    assert "NaN" not in json.dumps(report)
    assert "Infinity" not in json.dumps(report)
    assert "deviations_crop_px" not in compared(np.zeros(2)).to_dict(["a", "b"])


def test_what_is_not_finite_is_not_verified_and_null_in_the_report() -> None:
    parity = compared(np.array([np.nan, 0.0]))
    assert not parity.verified
    report = parity.to_dict(["a", "b"])
    assert report["crop_px"]["max"] is None
    assert "NaN" not in json.dumps(report)


def test_the_report_has_the_differences_of_every_landmark() -> None:
    shift = np.zeros((3, 2, 2))
    shift[1, 1] = (0.0, 0.5)
    report = compared(shift).to_dict(["a", "b"])
    assert report["landmarks_image_px"]["a"] == {"max": 0.0, "mean": 0.0, "p99": 0.0}
    assert report["landmarks_image_px"]["b"]["max"] == 0.5
    assert report["landmarks_image_px"]["b"]["mean"] == pytest.approx(0.5 / 3, abs=1e-4)
    assert report["runtime"] == "abacus"
    assert not report["verified"]
