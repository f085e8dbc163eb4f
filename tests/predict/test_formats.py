"""Faces as JSON, CSV, .pts and COCO text."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest

from darkpose.files.pts import parse_pts
from darkpose.predict.face import Face
from darkpose.predict.formats import ImageResult, to_coco, to_csv, to_json, to_pts
from darkpose.schema import COFW_29

rng = np.random.default_rng(0)


def a_face(detection_score: float = 0.875) -> Face:
    keypoints = rng.uniform(0, 300, (29, 2)).astype(np.float32)
    scores = rng.uniform(0, 1, 29).astype(np.float32)
    return Face(keypoints, scores, np.array([10.5, 20, 60, 80]), COFW_29, "yunet", detection_score)


@pytest.fixture
def result() -> ImageResult:
    return ImageResult("folder/photo.jpg", (640, 480), [a_face(), a_face(float("nan"))])


def test_json_holds_everything_to_a_thousandth_of_a_pixel(result: ImageResult) -> None:
    line = to_json(result)
    assert "\n" not in line
    read = json.loads(line)
    assert (read["image"], read["width"], read["height"]) == ("folder/photo.jpg", 640, 480)
    first, second = read["faces"]
    np.testing.assert_allclose(first["keypoints"], result.faces[0].keypoints, atol=5.1e-4)
    np.testing.assert_allclose(first["scores"], result.faces[0].scores, atol=5.1e-5)
    assert first["box"] == [10.5, 20.0, 60.0, 80.0]
    assert first["names"] == list(COFW_29.names)
    assert (first["markup"], first["found_by"], first["detection_score"]) == ("cofw-29", "yunet", 0.875)
    assert second["detection_score"] is None


def test_csv_has_one_row_per_landmark(result: ImageResult) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv([result]))))
    assert len(rows) == 2 * 29
    assert rows[29]["face"] == "1"
    assert rows[30]["name"] == "right_brow_outer"
    np.testing.assert_allclose([float(row["x"]) for row in rows[:29]], result.faces[0].keypoints[:, 0], atol=5.1e-4)


def with_covariances(face: Face) -> Face:
    """The face with covariances; that of the second landmark is not known."""
    matrix = np.array([[2.0, -0.12345], [-0.12345, 0.5]], np.float32)
    covariance = matrix * np.arange(1, 30, dtype=np.float32)[:, None, None]
    covariance[1] = np.nan
    return replace(face, covariance=covariance)


def test_covariances_are_in_json_if_a_face_has_them_and_null_if_not_known(result: ImageResult) -> None:
    both = ImageResult("photo.jpg", (640, 480), [with_covariances(result.faces[0]), result.faces[1]])
    with_them, without = json.loads(to_json(both))["faces"]
    assert len(with_them["covariances"]) == 29
    assert with_them["covariances"][:2] == [[[2.0, -0.1235], [-0.1235, 0.5]], None]
    assert "covariances" not in without


def test_csv_has_columns_of_covariances_if_any_face_has_them(result: ImageResult) -> None:
    plain = csv.DictReader(io.StringIO(to_csv([result])))
    assert "xx" not in (plain.fieldnames or ())
    both = ImageResult("photo.jpg", (640, 480), [with_covariances(result.faces[0]), result.faces[1]])
    rows = list(csv.DictReader(io.StringIO(to_csv([both]))))
    cells = [[row[name] for name in ("xx", "xy", "yy")] for row in rows]
    assert cells[0] == ["2.0000", "-0.1235", "0.5000"]
    assert cells[1] == ["", "", ""]
    assert cells[29:] == [["", "", ""]] * 29


def test_pts_counts_from_one(result: ImageResult) -> None:
    text = to_pts(result.faces[0])
    first = [float(v) for v in text.splitlines()[3].split()]
    np.testing.assert_allclose(first, result.faces[0].keypoints[0] + 1, atol=1e-5)
    np.testing.assert_allclose(parse_pts(text), result.faces[0].keypoints, atol=1e-5)


def test_coco_is_as_pose_tools_read_it(result: ImageResult) -> None:
    read = json.loads(to_coco([result, ImageResult("empty.jpg", (10, 20), [])], COFW_29))
    assert [image["id"] for image in read["images"]] == [1, 2]
    assert [annotation["id"] for annotation in read["annotations"]] == [1, 2]
    annotation = read["annotations"][0]
    assert annotation["bbox"] == [10.5, 20.0, 49.5, 60.0]
    assert annotation["area"] == 2970.0
    points = np.array(annotation["keypoints"]).reshape(29, 3)
    np.testing.assert_allclose(points[:, :2], result.faces[0].keypoints, atol=5.1e-4)
    assert (points[:, 2] == 2).all()
    (category,) = read["categories"]
    assert category["keypoints"] == list(COFW_29.names)
    edges = np.array(category["skeleton"])
    assert edges.min() >= 1  # COCO counts landmarks from 1
    assert edges.max() <= 29


def test_numbers_that_are_not_finite_are_null_or_empty(result: ImageResult) -> None:
    face = replace(result.faces[0], keypoints=result.faces[0].keypoints.copy(), scores=result.faces[0].scores.copy())
    face.keypoints[1], face.scores[2] = np.inf, np.nan
    broken = ImageResult("a.png", (10, 10), [face])
    found = json.loads(to_json(broken), parse_constant=pytest.fail)["faces"][0]
    assert found["keypoints"][1] == [None, None]
    assert (found["scores"][2], found["score"]) == (None, None)
    (annotation,) = json.loads(to_coco([broken], face.schema), parse_constant=pytest.fail)["annotations"]
    assert annotation["keypoints"][3:6] == [0, 0, 0]
    assert annotation["num_keypoints"] == len(face.schema) - 1
    rows = to_csv([broken]).splitlines()
    assert rows[2].split(",")[4:6] == ["", ""]
    assert "nan" not in to_csv([broken])
