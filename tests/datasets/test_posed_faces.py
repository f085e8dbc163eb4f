"""Faces in large poses: which landmarks are annotated, and which part a face is in."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darkpose.datasets.posed_faces import FILE, Part, read_cfp, read_merlrav, read_ytf
from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError
from darkpose.image.geometry import landmark_box

POINTS = np.random.default_rng(0).uniform(10, 90, (68, 2)).round(2)
ANNOTATED = [*range(9), *range(17, 22), *range(27, 34), 36, 39, 48]
PARTS: tuple[Part, ...] = ("train", "validation")
Read = Callable[[Path, Part], list[Sample]]


def write(folder: Path, *lines: dict[str, Any]) -> Path:
    (folder / FILE).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def both(read: Read, folder: Path) -> list[Sample]:
    """The faces of both parts; a part may have none."""
    faces: list[Sample] = []
    for part in PARTS:
        try:
            faces += read(folder, part)
        except DarkposeError as error:
            if "found none" not in str(error):
                raise
    return faces


def half_annotated() -> list[list[float]]:
    points = np.full((68, 2), -1.0)
    points[ANNOTATED] = POINTS[ANNOTATED]
    return points.tolist()


def test_profiles_of_cfp_have_the_landmarks_of_one_half(tmp_path: Path) -> None:
    line = {"file": "1_p.jpg", "kind": "profile", "person": "1", "pts68": half_annotated()}
    frontal = {**line, "file": "1_f.jpg", "kind": "frontal"}
    (face,) = both(read_cfp, write(tmp_path, frontal, line))
    assert (face.image, face.subsets) == (tmp_path / "1_p.jpg", frozenset(["profile"]))
    assert face.source == f"{tmp_path / FILE}, line 2"
    np.testing.assert_array_equal(np.flatnonzero(face.visible), ANNOTATED)
    np.testing.assert_array_equal(face.keypoints[ANNOTATED], POINTS[ANNOTATED])
    np.testing.assert_array_equal(face.box, landmark_box(POINTS[ANNOTATED]))


@pytest.mark.parametrize(
    ("pose", "subset"),
    [("frontal", "frontal"), ("lefthalf", "half-profile"), ("righthalf", "half-profile"), ("left", "profile")],
)
def test_occluded_landmarks_of_merlrav_count_and_self_occluded_ones_do_not(
    tmp_path: Path, pose: str, subset: str
) -> None:
    points, vis = POINTS.copy(), np.full(68, 2)
    vis[:5], vis[5:10], points[:5] = 0, 1, -1
    line = {"file": "0.jpg", "image": "image1", "pose": pose, "pts68": points.tolist(), "vis": vis.tolist()}
    (face,) = both(read_merlrav, write(tmp_path, line))
    np.testing.assert_array_equal(face.visible, [0] * 5 + [1] * 63)
    np.testing.assert_array_equal(face.keypoints[5:], POINTS[5:])
    assert face.subsets == {subset}


@pytest.mark.parametrize(
    ("read", "group"), [(read_cfp, "person"), (read_ytf, "video")], ids=["persons of cfp", "clips of ytf"]
)
def test_a_tenth_is_for_validation_by_person_or_clip(tmp_path: Path, read: Read, group: str) -> None:
    lines = [
        {"file": f"{i}_{j}.jpg", "kind": "profile", group: str(i), "pts68": POINTS.tolist()}
        for i in range(200)
        for j in range(2)
    ]
    folder = write(tmp_path, *lines)
    names = {part: {face.image.name.split("_")[0] for face in read(folder, part)} for part in PARTS}
    assert not names["train"] & names["validation"]
    assert len(names["train"] | names["validation"]) == 200
    assert 10 < len(names["validation"]) < 30
    assert len(both(read, folder)) == 400


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pts68": [[1, 2]]}, "expected 68 pairs of numbers as `pts68`"),
        ({"pts68": "many"}, "expected 68 pairs of numbers as `pts68`"),
        ({"pts68": [[-1, -1]] * 68}, "expected at least 10 of 68 landmarks to be annotated"),
        ({"file": "../secret.jpg"}, "expected the plain name of an image as `file`"),
        ({"file": "a\\b.jpg"}, "expected the plain name of an image as `file`"),
        ({"file": 7}, "expected the plain name of an image as `file`"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    good = {"file": "1.jpg", "kind": "profile", "person": "1", "pts68": half_annotated()}
    with pytest.raises(DarkposeError, match=f"line 2: {message}"):
        both(read_cfp, write(tmp_path, good, {**good, **change}))


def test_merlrav_without_visibility_is_refused(tmp_path: Path) -> None:
    for vis in (None, [2] * 67, ["x"] * 68):
        line = {"file": "1.jpg", "image": "1", "pts68": POINTS.tolist(), "vis": vis}
        with pytest.raises(DarkposeError, match="line 1: expected at least 10 of 68 landmarks"):
            both(read_merlrav, write(tmp_path, line))


def test_a_line_that_is_no_object_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match=r"annotations\.jsonl: cannot be read"):
        read_ytf(tmp_path, "train")
    (tmp_path / FILE).write_text("[1]\n")
    with pytest.raises(DarkposeError, match=r"annotations\.jsonl, line 1: expected an object"):
        read_ytf(tmp_path, "train")


def test_the_real_sets_are_read_whole(shared_data: Path) -> None:
    counts = {}
    readers: dict[str, Read] = {"cfp": read_cfp, "merlrav": read_merlrav, "ytf": read_ytf}
    for name, read in readers.items():
        faces = [read(shared_data / name, part) for part in PARTS]
        counts[name] = sum(map(len, faces))
        assert all(0.07 < len(faces[1]) / counts[name] < 0.13 for _ in faces)
        assert all(face.image.is_file() for face in faces[1])
    assert counts == {"cfp": 1800, "merlrav": 1836, "ytf": 1153}
