"""Average precision and recall of face detectors, against plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkpose.evaluation.detection import DetectionErrors, ImageResult, box_overlaps, detection_errors, find_hits


def square(x: float, y: float, side: float = 10.0) -> list[float]:
    return [x, y, x + side, y + side]


def result(boxes: list[list[float]], scores: list[float], faces: list[list[float]], ignored: list[bool]) -> ImageResult:
    return ImageResult(
        np.array(boxes).reshape(-1, 4), np.array(scores), np.array(faces).reshape(-1, 4), np.array(ignored, bool)
    )


def plain_average_precision(hits: list[bool], faces: int) -> float:
    """The highest precision at each recall or a higher one, summed over the steps of recall."""
    points, found = [], 0
    for count, hit in enumerate(hits, 1):
        found += hit
        points.append((found, found / count))
    return sum(max(p for k, p in points if k >= step) for step in range(1, found + 1)) / faces


@given(st.lists(st.booleans(), max_size=30), st.integers(0, 5))
def test_average_precision_is_that_of_a_plain_loop(hits: list[bool], missed: int) -> None:
    faces = sum(hits) + missed
    if faces:
        errors = DetectionErrors(-np.arange(float(len(hits))), np.array(hits, bool), faces, 1)
        assert errors.average_precision() == pytest.approx(plain_average_precision(hits, faces), abs=1e-12)


@settings(max_examples=50)
@given(st.lists(st.tuples(*[st.floats(0, 50)] * 2, *[st.floats(1, 30)] * 2), min_size=1, max_size=5))
def test_overlaps_are_areas_of_pixels_in_both_over_those_in_one(rows: list[tuple[float, float, float, float]]) -> None:
    boxes = np.array([[x, y, x + w, y + h] for x, y, w, h in rows])
    for i, a in enumerate(boxes):
        for j, b in enumerate(boxes):
            width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
            height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
            areas = [(each[2] - each[0]) * (each[3] - each[1]) for each in (a, b)]
            expected = width * height / (sum(areas) - width * height)
            assert box_overlaps(boxes, boxes)[i, j] == pytest.approx(expected, abs=1e-9)


def test_a_face_is_found_once_and_the_second_box_on_it_is_wrong() -> None:
    scores, hits = find_hits(result([square(1, 0), square(0, 0)], [0.9, 0.8], [square(0, 0)], [False]))
    assert (scores.tolist(), hits.tolist()) == ([0.9, 0.8], [True, False])


def test_a_box_on_an_ignored_face_is_neither_right_nor_wrong() -> None:
    scores, _ = find_hits(result([square(0, 0), square(50, 50)], [0.9, 0.8], [square(0, 0)], [True]))
    assert scores.tolist() == [0.8]


def test_images_without_boxes_or_faces_count() -> None:
    errors = detection_errors(
        [result([], [], [square(0, 0)], [False]), result([square(0, 0)], [0.7], [], []), result([], [], [], [])]
    )
    assert (errors.faces, errors.images, errors.hits.tolist()) == (1, 3, [False])
    assert errors.average_precision() == 0.0
    assert np.isnan(detection_errors([]).average_precision())


def test_recall_and_score_at_a_number_of_false_boxes() -> None:
    errors = DetectionErrors(np.array([0.9, 0.8, 0.7, 0.6, 0.5]), np.array([1, 0, 1, 0, 1], bool), 4, 10)
    assert errors.recall_at(0.0) == 0.25
    assert errors.recall_at(0.1) == 0.5
    assert errors.score_at(0.1) == 0.7
    assert errors.recall_at(1.0) == 0.75
