"""Objects of a file before their schema is known."""

from pathlib import Path

import numpy as np
import pytest

from darkpose.datasets.labels import labelled, only_one
from darkpose.errors import DarkposeError

POINTS = np.array([[1.0, 2.0], [5.0, 7.5], [np.nan, np.inf]])


@pytest.mark.parametrize("box", [None, [0, 0, 0, 0], [4, 4, 4, 9], [9, 9, 1, 1], [0, 0, np.inf, 1]])
def test_without_a_box_the_landmarks_give_it_and_hidden_ones_are_annotated(box: list[float] | None) -> None:
    sample, hidden = labelled(Path("a.png"), POINTS, np.array([1.0, 2, 0]), box, "here")
    assert sample.box.tolist() == [1, 2, 5, 8]
    assert sample.visible.tolist() == [1, 1, 0]
    assert sample.keypoints[2].tolist() == [0, 0]
    assert hidden.tolist() == [True, False, False]


def test_an_annotated_landmark_must_be_finite() -> None:
    with pytest.raises(DarkposeError, match="here: a landmark is not a finite number"):
        labelled(Path("a.png"), POINTS, np.array([1.0, 2, 1]), [0, 0, 9, 9], "here")


def test_one_landmark_needs_a_box() -> None:
    assert labelled(Path("a.png"), POINTS, np.array([1.0, 0, 0]), [0, 0, 9, 9], "here").sample.box.tolist() == [
        0,
        0,
        9,
        9,
    ]
    with pytest.raises(DarkposeError, match=r"here: .*two different"):
        labelled(Path("a.png"), POINTS, np.array([1.0, 0, 0]), None, "here")


def test_the_only_category_is_taken_or_the_wanted_one() -> None:
    file = Path("x.xml")
    assert only_one(["cat"], None, file, "") == "cat"
    assert only_one(["cat", "dog"], "dog", file, "") == "dog"
    for choices, wanted in ((["cat", "dog"], None), (["cat"], "cow"), ([], None)):
        with pytest.raises(DarkposeError, match=r"x\.xml: .*--category"):
            only_one(choices, wanted, file, "")
