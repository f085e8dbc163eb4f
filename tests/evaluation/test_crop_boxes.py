"""Box rules of an evaluation."""

from pathlib import Path

import numpy as np
import pytest

from darkpose.datasets.sample import Sample
from darkpose.detect.boxes import BoxCorrection, Detections
from darkpose.errors import DarkposeError
from darkpose.evaluation.crop_boxes import box_rule
from darkpose.image.pixels import Pixels, write_image

KEYPOINTS = np.array([[20.4, 30.2], [60.9, 70.5], [1e6, 1e6]])


class TwoFaces:
    """A detector that finds a far face and one beside the sample's."""

    name = "fake"
    correction = BoxCorrection(scale=0.5)

    def __call__(self, image: Pixels) -> Detections:
        return Detections(np.array([[200.0, 200, 220, 220], [0, 10, 80, 90]]), np.array([0.9, 0.8]))


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    write_image(tmp_path / "a.png", np.zeros((100, 100, 3), np.uint8))
    return Sample(tmp_path / "a.png", KEYPOINTS, np.array([1.0, 1, 0]), np.array([18.0, 28, 62, 72]))


def box_of(rule: str, sample: Sample, face: int = 0) -> list[float]:
    found = box_rule(rule)(face, sample)
    assert found is not None
    return [float(value) for value in found.box]


def test_the_annotated_box_stays_and_the_landmarks_one_is_tight(sample: Sample) -> None:
    assert box_of("annotation", sample) == [18, 28, 62, 72]
    assert box_of("landmarks", sample) == [20, 30, 61, 71]


def test_the_detection_that_overlaps_most_is_taken_corrected(sample: Sample) -> None:
    found = box_rule("detector", TwoFaces())(0, sample)
    assert found is not None
    assert found.box.tolist() == [20, 30, 60, 70]


def test_a_face_that_is_not_found_has_no_box(sample: Sample) -> None:
    elsewhere = Sample(sample.image, sample.keypoints, sample.visible, np.array([80.0, 80, 99, 99]))
    assert box_rule("detector", TwoFaces())(0, elsewhere) is None


def test_a_rule_with_a_detector_needs_it() -> None:
    with pytest.raises(DarkposeError, match="haar need a detector"):
        box_rule("haar")


def test_jitter_is_the_same_for_a_face_and_has_the_asked_spread(sample: Sample) -> None:
    assert box_of("jitter:0.1", sample, 3) == box_of("jitter:0.1", sample, 3) != box_of("jitter:0.1", sample, 4)
    assert box_of("jitter:0", sample) == pytest.approx([18, 28, 62, 72])
    boxes = np.array([box_of("jitter:0.1", sample, face) for face in range(3000)])
    centers, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2] - boxes[:, 0]
    np.testing.assert_allclose(centers.mean(axis=0), [40, 50], atol=0.3)
    np.testing.assert_allclose(centers.std(axis=0) / 44, 0.1, rtol=0.06)
    assert np.log(sides / 44).std() == pytest.approx(0.1, rel=0.06)


@pytest.mark.parametrize("name", ["jitter", "jitter:x", "jitter:2", "jitter:-1", "boxes", ""])
def test_other_rules_are_refused(name: str) -> None:
    with pytest.raises(
        DarkposeError, match="boxes must be annotation, landmarks, detector, yunet, darkpose, haar or jitter:S"
    ):
        box_rule(name)


def test_a_face_without_landmarks_keeps_its_box(sample: Sample) -> None:
    bare = Sample(sample.image, sample.keypoints, np.zeros(3), sample.box)
    assert box_of("landmarks", bare) == sample.box.tolist()
