"""The predictions file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darkpose.errors import DarkposeError
from darkpose.predictions import PredictionsWriter, read_predictions

HEADER = {"data_set": "wflw-test", "markup": "toy"}


def face(number: int, **more: Any) -> dict[str, Any]:
    return {"face": number, "keypoints": [[number, 1.5], [2.0, 3.0]], **more}


def test_what_is_written_is_read_in_the_data_sets_order(tmp_path: Path) -> None:
    writer = PredictionsWriter(tmp_path / "p.jsonl", HEADER)
    writer.write([face(2), face(0, scores=[0.5, 0.25])])
    writer.write([{"face": 1, "keypoints": None}])
    found = read_predictions(tmp_path / "p.jsonl")
    assert found.header["data_set"] == "wflw-test"
    points = found.as_array(3, 2, "p.jsonl")
    assert points[:, 0, 0].tolist() == [0.0, np.inf, 2.0]


def test_an_interrupted_file_is_continued_without_its_half_line(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    PredictionsWriter(path, HEADER).write([face(0), face(1)])
    with path.open("a") as file:
        file.write('{"face": 2, "keyp')
    writer = PredictionsWriter(path, HEADER)
    assert writer.done == {0, 1}
    writer.write([face(2)])
    assert set(read_predictions(path).keypoints) == {0, 1, 2}


def test_a_file_of_another_run_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    PredictionsWriter(path, HEADER).write([face(0)])
    before = path.read_bytes()
    with pytest.raises(DarkposeError, match="the predictions of another run"):
        PredictionsWriter(path, HEADER | {"markup": "other"})
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        pytest.param([], "an empty file", id="empty"),
        pytest.param(["words"], "line 1: not a line", id="words"),
        pytest.param(['{"version": 1}'], "the first line must be", id="no header"),
        pytest.param([{"darkpose_predictions": 1}, {"face": 0}, face(1)], "line 2", id="no keypoints"),
        pytest.param([{"darkpose_predictions": 1}, face(0, keypoints=[[1, 2, 3]])], "line 2", id="three numbers"),
        pytest.param([{"darkpose_predictions": 1}, face(0, keypoints=[[1, "x"]])], "line 2", id="letters"),
        pytest.param([{"darkpose_predictions": 1}, '{"face": 0, "keypoints": [[NaN, 1]]}'], "finite", id="nan"),
    ],
)
def test_a_damaged_file_is_one_error_with_its_line(tmp_path: Path, lines: list[Any], message: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    with pytest.raises(DarkposeError, match=message) as caught:
        read_predictions(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("faces", "landmarks", "message"),
    [(3, 2, "lacks 1 of 3 faces"), (1, 2, "has the faces"), (2, 5, "face 0 has 2 landmarks, the markup 5")],
)
def test_predictions_of_another_set_are_refused(tmp_path: Path, faces: int, landmarks: int, message: str) -> None:
    PredictionsWriter(tmp_path / "p.jsonl", HEADER).write([face(0), face(1)])
    with pytest.raises(DarkposeError, match=message):
        read_predictions(tmp_path / "p.jsonl").as_array(faces, landmarks, "p.jsonl")
