"""Schemas inferred from names and places."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from darkpose.datasets.infer_schema import infer_schema, pairs_from_names, symmetric_pairs
from darkpose.datasets.sample import Sample
from darkpose.datasets.w300 import LFPW_TEST_FOLDERS, read_300w
from darkpose.schema import SCHEMAS, W300_68, KeypointSchema

# Two eyes, nose, two corners of the mouth, and the chin, x to the right and y down.
FACE = np.array([[-1.0, -1], [1, -1], [0, 0], [-0.8, 1], [0.8, 1], [0, 2]])


def samples(shapes: Sequence[np.ndarray], visible: np.ndarray | None = None) -> list[Sample]:
    seen = np.ones(len(shapes[0])) if visible is None else visible
    return [Sample(Path("a.png"), shape, seen, np.array([0.0, 0, 1, 1])) for shape in shapes]


def faces(count: int = 20, noise: float = 0.05) -> list[np.ndarray]:
    """Faces that are moved, scaled and turned by up to 60 degrees."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(count):
        angle = rng.uniform(-1, 1)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        shape = FACE + rng.normal(0, noise, FACE.shape)
        found.append(rng.uniform(10, 50) * shape @ turn.T + rng.uniform(0, 100, 2))
    return found


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=lambda schema: schema.name)
def test_names_of_shipped_schemas_have_its_pairs(schema: KeypointSchema) -> None:
    assert set(pairs_from_names(schema.names)) == set(schema.flip_pairs)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(("left_eye", "right_eye"), ("eye_left", "eye_right"), ("Left Eye", "Right Eye"), ("LEFT_EYE", "RIGHT_EYE")),
        *(("leftEye", "rightEye"), ("eyeLeft", "eyeRight"), ("lefteye", "righteye"), ("eye-left", "eye-right")),
        *(("l_eye", "r_eye"), ("eye_l", "eye_r"), ("L_Eye", "R_Eye"), ("eye.L", "eye.R"), ("LEye", "REye")),
        *(("eyeL", "eyeR"), ("L1", "R1"), ("eye_1_left_2", "eye_1_right_2"), ("cat/left_ear", "cat/right_ear")),
    ],
)
def test_names_that_differ_in_left_and_right_are_pairs(one: str, other: str) -> None:
    assert pairs_from_names(["nose", other, "tail", one]) == ((1, 3),)


def test_names_without_a_partner_or_a_side_are_none() -> None:
    assert pairs_from_names(["left_eye", "nose", "rear", "lear", "Right_eye", "call", "carr"]) == ()


def test_a_landmark_is_in_one_pair() -> None:
    assert pairs_from_names(["left_l", "right_l", "left_r", "right_r"]) == ((0, 1), (2, 3))


def test_symmetric_landmarks_are_found_by_their_places() -> None:
    assert symmetric_pairs(samples(faces())) == ((0, 1), (3, 4))


def test_a_symmetric_object_may_lie_on_its_side() -> None:
    assert symmetric_pairs(samples([each[:, ::-1] for each in faces()])) == ((0, 1), (3, 4))


def test_landmarks_that_some_objects_lack_do_not_matter() -> None:
    shapes = faces()
    found = [
        Sample(
            Path("a.png"), np.where(np.arange(6)[:, None] == k % 6, 0, shape), (np.arange(6) != k % 6) * 1.0, np.ones(4)
        )
        for k, shape in enumerate(shapes)
    ]
    assert symmetric_pairs(found) == ((0, 1), (3, 4))


@pytest.mark.parametrize("landmarks", [1, 2, 3])
def test_fewer_than_four_landmarks_have_no_pairs(landmarks: int) -> None:
    assert symmetric_pairs(samples([each[:landmarks] for each in faces()])) == ()


def test_an_object_that_is_not_symmetric_has_no_pairs() -> None:
    shape = np.array([[0.0, 0], [9, 1], [2, 4], [1, 9], [7, 5]])
    assert symmetric_pairs(samples([shape * size for size in range(1, 9)])) == ()


def test_landmarks_that_move_against_each_other_are_no_pair() -> None:
    rng = np.random.default_rng(0)
    frame = np.array([[0.0, 0], [0, -10], [0, 6]])
    found = []
    for _ in range(200):
        angles = rng.uniform(0, 2 * np.pi, 2)
        hands = 9 * np.stack([np.sin(angles), np.cos(angles)], axis=1)
        found.append(np.concatenate([frame, hands]))
    assert symmetric_pairs(samples(found)) == ()


@pytest.mark.parametrize("shape", [np.zeros((5, 2)), np.ones((5, 2)), np.arange(10.0).reshape(5, 2)[:, [0, 0]] * 0 + 3])
def test_landmarks_in_one_place_have_no_pairs(shape: np.ndarray) -> None:
    assert symmetric_pairs(samples([shape] * 3)) == ()


def test_a_landmark_that_is_nowhere_annotated_leaves_no_pairs() -> None:
    assert symmetric_pairs(samples(faces(), np.array([1.0, 1, 1, 1, 1, 0]))) == ()


def test_what_is_inferred_is_told() -> None:
    found = samples(faces())
    names = ["a", "b", "c", "d", "e", "f"]
    schema, (note,) = infer_schema("cat", names, found, landmarks=6)
    assert (schema.names, schema.flip_pairs) == (tuple(names), ((0, 1), (3, 4)))
    assert "inferred from the places" in note
    assert "a <-> b, d <-> e" in note
    schema, (note,) = infer_schema("cat", ["left_a", "right_a", *names[2:]], found, landmarks=6)
    assert schema.flip_pairs == ((0, 1),)
    assert "left and right in the names: left_a <-> right_a" in note
    schema, (note,) = infer_schema("cat", None, samples([FACE[[0, 2, 3, 5]] * [1, 3]]), landmarks=4)
    assert schema.names == ("point_0", "point_1", "point_2", "point_3")
    assert "no flip pairs" in note
    schema, notes = infer_schema("cat", names, found, landmarks=6, outlines=((0, 1, 2),), flip_pairs=((2, 5),))
    assert (schema.flip_pairs, schema.outlines, notes) == (((2, 5),), ((0, 1, 2),), ())


def test_names_of_a_shipped_schema_give_it_whole() -> None:
    found = samples([np.random.default_rng(0).uniform(0, 9, (29, 2))])
    schema, (note,) = infer_schema("x", SCHEMAS["cofw-29"].names, found, landmarks=29)
    assert schema is SCHEMAS["cofw-29"]
    assert "cofw-29" in note


def test_real_faces_without_names_have_the_schema_of_300w_and_others_only_its_pairs(shared_data: Path) -> None:
    found = read_300w(shared_data / "300w", LFPW_TEST_FOLDERS)[:20]
    assert set(symmetric_pairs(found)) == set(W300_68.flip_pairs)
    schema, (note,) = infer_schema("x", [f"{i:02}" for i in range(68)], found, landmarks=68)
    assert schema is W300_68
    assert "lie as those of 300-W" in note
    schema, _ = infer_schema("x", [f"x{i}" for i in range(68)], found, landmarks=68)
    assert set(schema.flip_pairs) == set(W300_68.flip_pairs)
    corners = [36, 45, 30, 48, 54]
    five = [Sample(each.image, each.keypoints[corners], each.visible[corners], each.box) for each in found]
    assert symmetric_pairs(five) == ((0, 1), (3, 4))
