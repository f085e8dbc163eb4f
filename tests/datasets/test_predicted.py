"""Predictions as annotations."""

import json
from pathlib import Path
from typing import Any

import pytest

from darkpose.datasets.annotations import read_annotations
from darkpose.errors import DarkposeError
from darkpose.schema import COFW_29
from own_annotations import picture

POINTS = [[k, 2 * k + 1] for k in range(29)]


def written(folder: Path, *lines: Any) -> Path:
    picture(folder)
    (folder / "p.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder / "p.jsonl"


def found_face(**changes: Any) -> dict[str, Any]:
    face = {"markup": "cofw-29", "keypoints": POINTS, "box": [0, 1, 28, 57], "names": list(COFW_29.names)}
    return {"image": "a.png", "width": 64, "height": 48, "faces": [{**face, **changes}]}


def test_a_file_of_predictions_has_the_schema_that_it_names(tmp_path: Path) -> None:
    head = {"darkpose_predictions": 1, "markup": "cofw-29"}
    faces = [{"face": i, "keypoints": points, "image": "x/a.png"} for i, points in enumerate([POINTS, None])]
    found = read_annotations(written(tmp_path, head, *faces))
    (sample,) = found.samples
    assert found.schema == COFW_29
    assert (sample.image, sample.keypoints.tolist()) == (tmp_path / "a.png", POINTS)
    assert "faces that these predictions did not find: 1" in found.notes


def test_lines_of_predict_are_read(tmp_path: Path) -> None:
    lost = [[None, None], *POINTS[1:]]
    found = read_annotations(written(tmp_path, found_face(), found_face(keypoints=lost)))
    assert found.schema == COFW_29
    assert [each.visible.sum() for each in found.samples] == [29, 28]
    assert found.samples[0].box.tolist() == [0, 1, 28, 57]


def test_a_folder_of_the_files_of_predict_is_read(tmp_path: Path) -> None:
    for name in ("a", "b"):
        picture(tmp_path / "photos", f"sub/{name}.png")
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out" / f"{name}.json").write_text(json.dumps({**found_face(), "image": f"photos/sub/{name}.png"}))
    found = read_annotations(tmp_path / "out", tmp_path / "photos")
    assert (found.format, found.schema) == ("predictions", COFW_29)
    assert [each.image for each in found.samples] == [tmp_path / "photos" / "sub" / f"{name}.png" for name in "ab"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([{"darkpose_predictions": 1}, {"face": 0, "keypoints": POINTS}], "line 2: expected the image of face 0"),
        ([{"darkpose_predictions": 2}], "version 2"),
        ([{"faces": []}], "line 1: expected an image and its faces"),
        ([found_face(keypoints=[1])], "line 1: expected a face with keypoints"),
        ([found_face(box=["a"] * 4)], "line 1: expected a face with keypoints"),
        ([found_face(), found_face(keypoints=POINTS[:3])], "of 3 and 29 landmarks"),
        ([{"image": "a.png", "faces": []}], "found none"),
    ],
)
def test_another_file_is_one_sentence(tmp_path: Path, lines: list[Any], message: str) -> None:
    with pytest.raises(DarkposeError, match=message):
        read_annotations(written(tmp_path, *lines))
