"""Box rules of an evaluation."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from darkpose.datasets.sample import Sample
from darkpose.detect.boxes import BoxCorrection, Detections
from darkpose.errors import DarkposeError
from darkpose.evaluation.crop_boxes import box_rule, face_boxes
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


class FacesOfNames:
    """A detector that finds in image i a box around (i, i), or nothing in every fifth; a far face comes first."""

    name = "fake"
    correction = BoxCorrection()

    def __init__(self, finds: bool = True) -> None:
        self.finds = finds

    def __call__(self, image: Pixels) -> Detections:
        number = int(image[0, 0, 0])
        if number % 5 == 4 or not self.finds:
            return Detections(np.zeros((0, 4)), np.zeros(0))
        x = 10.0 * number
        return Detections(np.array([[500.0, 500, 520, 520], [x, x, x + 40, x + 40]]), np.array([0.9, 0.8]))


def faces_of_names(folder: Path) -> list[Sample]:
    """Nine faces of 30 px, whose landmarks are in the upper part of the detector's box."""
    samples = []
    for number in range(9):
        write_image(folder / f"{number}.png", np.full((20, 20, 3), number, np.uint8))
        keypoints = 10.0 * number + np.array([[5.0, 5], [35, 5], [35, 25], [5, 25]])
        box = np.array([*keypoints[0], *keypoints[2]])
        samples.append(Sample(folder / f"{number}.png", keypoints, np.ones(4), box))
    return samples


def test_faces_get_the_boxes_that_a_detector_finds_or_would_find(tmp_path: Path) -> None:
    found = face_boxes(faces_of_names(tmp_path), FacesOfNames())
    assert found is not None
    for number, face in enumerate(found):  # found, or placed as those of the others
        np.testing.assert_allclose(face.box, 10 * number + np.array([0, 0, 40, 40]), atol=1e-9)


def test_objects_in_which_no_faces_are_found_are_no_faces(tmp_path: Path) -> None:
    assert face_boxes(faces_of_names(tmp_path), FacesOfNames(finds=False)) is None
    outside = [replace(each, keypoints=each.keypoints + 300) for each in faces_of_names(tmp_path)]
    assert face_boxes(outside, FacesOfNames()) is None


def test_a_single_landmark_is_placed_by_its_box(tmp_path: Path) -> None:
    single = [
        replace(each, keypoints=each.keypoints[:1], visible=each.visible[:1]) for each in faces_of_names(tmp_path)
    ]
    found = face_boxes(single, FacesOfNames())
    assert found is not None
    np.testing.assert_allclose(found[4].box, [40, 40, 80, 80], atol=1e-9)
