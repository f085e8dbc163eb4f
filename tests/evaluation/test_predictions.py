"""Files of predictions."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darkpose.datasets.predictions_file import read_predictions
from darkpose.errors import DarkposeError
from darkpose.evaluation.predictions import PredictionsWriter

HEADER = {"data_set": "wflw-test", "markup": "toy"}


def face(number: int, **more: Any) -> dict[str, Any]:
    return {"face": number, "keypoints": [[number, 1.5], [2.0, 3.0]], **more}


def test_what_is_written_is_read_in_the_data_sets_order(tmp_path: Path) -> None:
    writer = PredictionsWriter(tmp_path / "p.jsonl", HEADER)
    writer.write([face(2), face(0, scores=[0.5, 0.25])])
    writer.write([{"face": 1, "keypoints": None}])
    found = read_predictions(tmp_path / "p.jsonl")
    assert found.header["data_set"] == "wflw-test"
    points = found.as_array(["a.jpg"] * 3, 2, "p.jsonl")
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
        pytest.param([], "no complete line", id="empty"),
        pytest.param(["words"], "line 1: not JSON", id="words"),
        pytest.param(['{"version": 1}'], "the first line must be", id="no header"),
        pytest.param([{"darkpose_predictions": 1}, {"face": 0}, face(1)], "line 2", id="no keypoints"),
        pytest.param([{"darkpose_predictions": 1}, face(0, keypoints=[[1, 2, 3]])], "line 2", id="three numbers"),
        pytest.param([{"darkpose_predictions": 1}, face(0, keypoints=[[1, "x"]])], "line 2", id="letters"),
        pytest.param([{"darkpose_predictions": 1}, '{"face": 0, "keypoints": [[NaN, 1]]}'], "line 2: .*NaN", id="nan"),
        pytest.param([{"darkpose_predictions": 1}, face(0, keypoints=[[1e308, 2]])], "at most", id="far out"),
        pytest.param([{"darkpose_predictions": 1}, face(0, keypoints=[[10**400, 2]])], "line 2", id="huge"),
        pytest.param([{"darkpose_predictions": 1}, face(0), face(0)], "line 3: .*line 2, too", id="twice"),
        pytest.param([{"darkpose_predictions": 1}, face(0, face=0.7)], "a whole number, got 0.7", id="part of a face"),
        pytest.param([{"darkpose_predictions": 1}, face(0, scores=[1.0])], "scores must be 2 numbers", id="one score"),
        pytest.param([{"darkpose_predictions": 1}, face(0, box=[1, 2])], "box must be 4 numbers", id="half a box"),
        pytest.param([{"darkpose_predictions": 1}, '{"face": Infinity, "keypoints": null}'], "line 2", id="infinite"),
        pytest.param([{"darkpose_predictions": 1}, "[" * 100_000], "line 2", id="deep"),
        pytest.param([{"darkpose_predictions": True}], "the first line must be", id="true"),
        pytest.param([{"darkpose_predictions": 2}], "of version 2, expected 1", id="version"),
        pytest.param([{"darkpose_predictions": 1, "markup": ["x"]}], "markup: expected a text", id="markup"),
        pytest.param([{"darkpose_predictions": 1, "provenance": None}], "expected an object", id="provenance"),
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
    [
        (3, 2, "lacks 1 of 3 faces"),
        (1, 2, "has the faces"),
        (2, 5, "p.jsonl, line 2: face 0 has 2 landmarks, the schema 5"),
    ],
)
def test_predictions_of_another_set_are_refused(tmp_path: Path, faces: int, landmarks: int, message: str) -> None:
    PredictionsWriter(tmp_path / "p.jsonl", HEADER).write([face(0), face(1)])
    with pytest.raises(DarkposeError, match=message):
        read_predictions(tmp_path / "p.jsonl").as_array(["a.jpg"] * faces, landmarks, "p.jsonl")


def test_a_face_of_another_image_is_of_another_set(tmp_path: Path) -> None:
    PredictionsWriter(tmp_path / "p.jsonl", HEADER).write([face(0, image="a.jpg"), face(1, image="there/b.jpg")])
    found = read_predictions(tmp_path / "p.jsonl")
    assert np.isfinite(found.as_array(["x/a.jpg", "b.jpg"], 2, "p.jsonl")).all()
    with pytest.raises(DarkposeError, match=r"p\.jsonl, line 3: .*another set.* there/b\.jpg, face 1 .* in c\.jpg"):
        found.as_array(["a.jpg", "c.jpg"], 2, "p.jsonl")


def test_a_kill_just_before_a_lines_end_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    PredictionsWriter(path, HEADER).write([face(0), face(1)])
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert PredictionsWriter(path, HEADER).done == {0, 1}
    assert path.read_bytes() == whole
    path.write_bytes(whole[: whole.index(b"\n") // 2])  # in the middle of the first line
    assert PredictionsWriter(path, HEADER).done == set()
    path.write_bytes(b"my notes, not predictions")
    with pytest.raises(DarkposeError, match="no complete line"):
        PredictionsWriter(path, HEADER)
    assert path.read_bytes() == b"my notes, not predictions"


def test_what_differs_in_another_run_is_named_and_the_weights_path_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    PredictionsWriter(path, HEADER | {"flip_test": "off", "weights": "a", "provenance": {"x": 1}}).write([face(0)])
    PredictionsWriter(path, HEADER | {"flip_test": "off", "weights": "b", "provenance": {}})
    with pytest.raises(DarkposeError, match=r'another run \(flip_test: there "off", here "exact"\)'):
        PredictionsWriter(path, HEADER | {"flip_test": "exact"})


def test_a_file_from_windows_with_blank_lines_is_read(tmp_path: Path) -> None:
    lines = [json.dumps({"darkpose_predictions": 1}), "", json.dumps(face(0)), json.dumps(face(1)), "", ""]
    (tmp_path / "p.jsonl").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    assert set(read_predictions(tmp_path / "p.jsonl").keypoints) == {0, 1}


def test_test_images_in_the_provenance_are_names(tmp_path: Path) -> None:
    for images in (None, 5, "a.jpg", [[1]]):
        PredictionsWriter(tmp_path / "p.jsonl", HEADER | {"provenance": {"test_images_learnt": images}})
        with pytest.raises(DarkposeError, match=r"test_images_learnt(\[0\])?: expected"):
            read_predictions(tmp_path / "p.jsonl")
        (tmp_path / "p.jsonl").unlink()


def test_a_file_whose_only_line_lacks_its_line_feed_is_continued(tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text('{"darkpose_predictions":1,"system":"other"}')  # not as darkpose writes it
    writer = PredictionsWriter(file, {"system": "other"})
    writer.write([{"face": 0, "keypoints": None}])
    assert read_predictions(file).keypoints == {0: None}


def test_a_score_that_is_not_finite_is_written_as_null(tmp_path: Path) -> None:
    writer = PredictionsWriter(tmp_path / "p.jsonl", {})
    writer.write([{"face": 0, "keypoints": [[1, 2]], "scores": [float("nan")]}])
    assert np.isnan(read_predictions(tmp_path / "p.jsonl").scores[0]).all()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"face": 0}, "expected face and keypoints"),
        ({"face": 0, "keypoints": None, "image": 3}, "image: expected a text, got 3"),
        ({"face": 0, "keypoints": [[1, 2]], "scores": ["1"]}, r"scores\[0\]: expected a number"),
        ({"face": 0, "keypoints": [[1, 2]], "box": [1, 2, 3]}, "box must be 4 numbers, got 3"),
    ],
)
def test_a_field_of_another_type_is_named(tmp_path: Path, line: object, message: str) -> None:
    (tmp_path / "p.jsonl").write_text(f'{{"darkpose_predictions": 1}}\n{json.dumps(line)}\n')
    with pytest.raises(DarkposeError, match=rf"p\.jsonl, line 2: .*{message}"):
        read_predictions(tmp_path / "p.jsonl")
