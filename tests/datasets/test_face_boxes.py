"""Boxes of faces for the detector."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkpose.datasets.face_boxes import face_box, read_wider, roll_of, roll_of_some
from darkpose.errors import DarkposeError

UPRIGHT = np.array([[-3.0, -2], [3, -2], [0, 0], [-2, 2], [2, 2], [0, 4]])


def turned(points: np.ndarray, radians: float) -> np.ndarray:
    """Points turned clockwise on the screen (x right, y down)."""
    cos, sin = np.cos(radians), np.sin(radians)
    return np.asarray(points @ np.array([[cos, sin], [-sin, cos]]))


@given(st.floats(-3.1, 3.1), st.floats(0.2, 50), st.floats(-500, 500))
def test_the_roll_and_box_of_a_turned_shape_are_those_of_the_upright_one(roll: float, scale: float, at: float) -> None:
    points = turned(UPRIGHT * scale, roll) + np.array([at, -at])
    assert roll_of(points, UPRIGHT) == pytest.approx(roll, abs=1e-6)
    assert roll_of_some(points, UPRIGHT) == pytest.approx(roll, abs=1e-6)
    center = turned(np.array([[0, 1.0]]) * scale, roll)[0] + np.array([at, -at])
    np.testing.assert_allclose(face_box(points, roll), [*center, 6 * scale, 6 * scale, roll], atol=1e-6 * (scale + 500))


def test_the_eyes_of_a_face_that_lies_on_its_left_side_are_one_below_the_other() -> None:
    quarter = turned(UPRIGHT, np.pi / 2)
    assert quarter[0, 1] < quarter[1, 1]
    assert quarter[5, 0] < quarter[2, 0], "the chin of a face turned clockwise points to the left"


def test_the_roll_of_a_profile_does_not_depend_on_its_width() -> None:
    assert roll_of_some(turned(UPRIGHT * [0.4, 1], 0.5), UPRIGHT) == pytest.approx(0.5, abs=1e-9)


FACE = {"box": [1, 2, 3, 4.5], "blur": 2, "expression": 0, "illumination": 1, "invalid": 0, "occlusion": 1, "pose": 0}
LINE = {"image": "a.jpg", "event": "0--Parade", "size": [480, 300], "original": [1024, 640], "faces": [FACE]}


def test_a_list_of_pictures_is_read(tmp_path: Path) -> None:
    lines = [LINE, {**LINE, "image": "../../b.jpg", "faces": []}]
    (tmp_path / "boxes.jsonl").write_text("\n".join(map(json.dumps, lines)))
    first, second = read_wider(tmp_path)
    assert (first.image, first.width, first.original_width) == (tmp_path / "a.jpg", 480, 1024)
    assert (first.boxes.tolist(), first.flag("blur").tolist()) == ([[1, 2, 3, 4.5]], [2])
    assert second.image == tmp_path / "b.jpg", "a name is no path"
    assert second.boxes.shape == (0, 4)


@pytest.mark.parametrize("values", [[], {}, {**LINE, "image": 1}, {**LINE, "faces": [{**FACE, "box": [1, 2, 3]}]}])
def test_an_unusable_line_is_named(tmp_path: Path, values: object) -> None:
    (tmp_path / "boxes.jsonl").write_text(json.dumps(values))
    with pytest.raises(DarkposeError, match=r"boxes.jsonl, line 1: not a picture"):
        read_wider(tmp_path)
    with pytest.raises(DarkposeError, match="cannot be read"):
        read_wider(tmp_path / "nowhere")
