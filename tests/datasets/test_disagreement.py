"""Likely wrong labels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from darkpose.datasets.annotations import Annotations
from darkpose.datasets.disagreement import disagreements
from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError
from darkpose.schema import KeypointSchema
from own_annotations import CAT, POINTS, annotations

SCHEMA = replace(CAT, nme_pair=(0, 1))
LENGTH = float(np.hypot(19.75, 0.5))  # between the ears


def cats(*shapes: np.ndarray, image: str = "a.png", schema: KeypointSchema = SCHEMA) -> Annotations:
    found = [annotations(Path(image), keypoints=shape).samples[0] for shape in shapes]
    return Annotations(found, schema, "coco", (), (np.zeros(4, bool),) * len(found))


def test_errors_are_shares_of_the_normaliser_and_the_largest_is_first() -> None:
    moved = POINTS + np.array([[0, 0], [0, 0], [3, 4], [0, 0]])
    own = replace(cats(POINTS, POINTS + 200), samples=cats(POINTS + 200, moved).samples)
    (first, second), notes = disagreements(own, cats(POINTS, POINTS + 200))
    assert first.sample is own.samples[1]
    np.testing.assert_allclose(first.errors, [0, 0, 5 / LENGTH, 0])
    assert (second.largest, notes) == (0, [])
    assert "a.png: snout is 25% of the normaliser away, all 6.3%" in first.sentence(SCHEMA)


def test_left_and_right_that_are_swapped_are_named() -> None:
    (found,), _ = disagreements(cats(POINTS[[1, 0, 2, 3]]), cats(POINTS))
    assert found.hint == "left and right look swapped"


def test_a_label_at_the_place_of_another_one_is_named() -> None:
    (found,), _ = disagreements(cats(POINTS[[0, 1, 3, 3]]), cats(POINTS))
    assert found.hint == "it lies at the prediction of tail"
    assert found.sentence(SCHEMA).endswith("; it lies at the prediction of tail")


def test_an_object_has_the_nearest_prediction_of_its_image_and_each_is_used_once() -> None:
    near, far = cats(POINTS + 1).samples[0], cats(POINTS + 40).samples[0]
    own = replace(cats(POINTS), samples=[far, near, replace(near, image=Path("b.png"))])
    found, (note,) = disagreements(own, cats(POINTS, POINTS + 45))
    assert [each.sample for each in found] == [far, near]
    assert note == "annotated objects without a prediction: 1"


def test_landmarks_correspond_by_name_or_by_number() -> None:
    other = KeypointSchema("dog", ("tail", "nothing", "left_ear", "x"), ())
    (found,), _ = disagreements(cats(POINTS), cats(POINTS[[3, 0, 0, 0]], schema=other))
    np.testing.assert_allclose(found.errors, [0, np.nan, np.nan, 0])
    numbered = KeypointSchema("dog", ("a", "b", "c", "d"), ())
    (found,), _ = disagreements(cats(POINTS), cats(POINTS, schema=numbered))
    assert found.largest == 0


def test_what_is_not_annotated_or_not_predicted_has_no_error() -> None:
    part = annotations(Path("a.png"), (1, 0, 1, 1)).samples[0]
    own = replace(cats(POINTS), samples=[part])
    (found,), _ = disagreements(own, replace(cats(POINTS), samples=[replace(part, visible=np.array([1.0, 1, 0, 1]))]))
    assert np.isnan(found.errors).tolist() == [False, True, True, False]
    assert np.isfinite(found.errors[[0, 3]]).all(), "the side of the box where an ear is not annotated"


def test_predictions_of_other_images_or_landmarks_are_refused() -> None:
    with pytest.raises(DarkposeError, match="compare the names of the images"):
        disagreements(cats(POINTS), cats(POINTS, image="b.png"))
    three = Annotations(
        [Sample(Path("a.png"), POINTS[:3], np.ones(3), np.ones(4))], KeypointSchema("x", ("a", "b", "c"), ()), "csv", ()
    )
    with pytest.raises(DarkposeError, match="3 landmarks, the annotations 4"):
        disagreements(cats(POINTS), three)
