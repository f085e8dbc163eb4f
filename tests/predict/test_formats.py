"""Faces as JSON, CSV, .pts and COCO text."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

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


def imported_by_cvat(coco: dict[str, Any]) -> int:
    """Number of skeletons, by the rules of CVAT's "COCO Keypoints" import: its fields and their types."""
    labels = {}
    for category in coco["categories"]:
        assert type(category["id"]) is int
        assert category["id"] > 0, "0 stands for no label"
        for name, kind in (("name", str), ("keypoints", list), ("skeleton", list)):
            assert isinstance(category[name], kind)
        labels[category["id"]] = category["keypoints"]
    images = set()
    for image in coco["images"]:
        assert all(type(image[name]) is int for name in ("id", "width", "height"))
        assert isinstance(image["file_name"], str)
        assert not Path(image["file_name"]).is_absolute(), "frames are found by the end of their names"
        images.add(image["id"])
    for annotation in coco["annotations"]:
        assert all(type(annotation[name]) is int for name in ("id", "image_id", "category_id", "iscrowd"))
        assert annotation["image_id"] in images
        assert len(annotation["keypoints"]) == 3 * len(labels[annotation["category_id"]])
        assert isinstance(annotation["segmentation"], list), "the field is needed"
        assert annotation["segmentation"] == [], "with polygons, CVAT would import these, too"
        assert len(annotation["bbox"]) == 4
        assert isinstance(annotation["score"], int | float)
    return len(coco["annotations"])


def imported_by_label_studio(coco: dict[str, Any]) -> list[dict[str, float]]:
    """Points in per cent of the image, as the converter of label-studio-sdk makes them: its fields and their types."""
    images = {image["id"]: image for image in coco["images"]}
    names = {int(category["id"]): category["name"] for category in coco["categories"]}
    points = []
    for annotation in coco["annotations"]:
        image = images[annotation["image_id"]]
        assert names[int(annotation["category_id"])]
        assert [float(value) for value in annotation["bbox"]]
        float(annotation["score"])
        values = annotation["keypoints"]
        for x, y, v in zip(values[::3], values[1::3], values[2::3], strict=True):
            size = image["width"], image["height"]
            points.append({"x": 100 * float(x) / size[0], "y": 100 * float(y) / size[1], "v": int(v)})
    return points


def test_coco_is_imported_by_annotation_tools(result: ImageResult) -> None:
    unsure = replace(result.faces[0], scores=np.full(29, np.nan))
    coco = json.loads(to_coco([result, replace(result, image="/photos/b.jpg", faces=[unsure])], COFW_29))
    assert imported_by_cvat(coco) == len(result.faces) + 1
    points = imported_by_label_studio(coco)
    assert len(points) == 29 * (len(result.faces) + 1)
    expected = 100 * result.faces[0].keypoints[0] / np.array(result.size)
    np.testing.assert_allclose([points[0]["x"], points[0]["y"]], expected, atol=1e-3)


def test_images_in_coco_are_named_below_the_folder_that_all_are_in(result: ImageResult) -> None:
    def names(*paths: str) -> list[str]:
        coco = json.loads(to_coco([replace(result, image=path) for path in paths], COFW_29))
        return [image["file_name"] for image in coco["images"]]

    assert names("album/a.jpg") == ["a.jpg"]
    assert names("/x/album/a.jpg", "/x/album/b.jpg") == ["a.jpg", "b.jpg"]
    assert names("album/one/a.jpg", "./album/two/a.jpg", "album/c.jpg") == ["one/a.jpg", "two/a.jpg", "c.jpg"]


def test_the_category_of_coco_is_face_or_the_schema_of_other_objects(result: ImageResult) -> None:
    for schema, name in ((COFW_29, "face"), (replace(COFW_29, name="cat"), "cat")):
        assert json.loads(to_coco([result], schema))["categories"][0]["name"] == name


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
