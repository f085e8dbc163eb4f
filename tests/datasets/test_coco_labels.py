"""COCO keypoints as annotation tools write them."""

from pathlib import Path
from typing import Any

import pytest

from darkpose.datasets.annotations import read_annotations
from darkpose.errors import DarkposeError
from own_annotations import CATEGORY, POINTS, coco_annotation, coco_file

ROBOFLOW = [{"id": 0, "name": "cats", "supercategory": "none"}, {**CATEGORY, "supercategory": "cats"}]
LABEL_STUDIO = [{"id": 0, "name": "box"}, {**CATEGORY, "name": "default", "supercategory": "default"}]
CVAT = [CATEGORY, {"id": 2, "name": "box", "supercategory": "", "keypoints": [], "skeleton": []}]


@pytest.mark.parametrize("categories", [ROBOFLOW, CVAT, LABEL_STUDIO])
def test_categories_without_landmarks_do_not_matter(tmp_path: Path, categories: list[dict[str, Any]]) -> None:
    found = read_annotations(coco_file(tmp_path, categories=categories))
    assert found.schema.names == tuple(CATEGORY["keypoints"])  # type: ignore[arg-type]
    assert (found.schema.name, found.category) in (("cat", "cat"), ("cats", "default"))


@pytest.mark.parametrize(("image", "own"), [(1, 1), ("x", "x"), (7, "7"), ("7", 7), (1.0, 1)])
def test_ids_may_be_of_any_type(tmp_path: Path, image: object, own: object) -> None:
    annotation = coco_annotation(image_id=own, id="abc", category_id="1")
    found = read_annotations(coco_file(tmp_path, annotation, images=[{"id": image, "file_name": "a.png"}]))
    assert found.samples[0].source.endswith("annotation abc")
    assert found.samples[0].image == tmp_path / "a.png"


def test_several_objects_of_an_image_are_read_and_others_are_counted(tmp_path: Path) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {},
        {"iscrowd": 1},
        {"keypoints": [0] * 12},
        {"category_id": 5},
        {"keypoints": None},
    ]
    annotations = [coco_annotation(id=i, **change) for i, change in enumerate(changes)]
    images = [{"id": i, "file_name": name} for i, name in ((1, "a.png"), (2, "b.png"))]
    found = read_annotations(coco_file(tmp_path, *annotations, images=images))
    assert len(found.samples) == 2
    told = " ".join(found.notes)
    assert "4 of 6 annotations are left out: 1 of a crowd, 2 without landmarks, 1 of another category" in told
    assert "1 of 2 images have no annotation" in told


def test_hidden_landmarks_are_annotated_and_kept_apart(tmp_path: Path) -> None:
    values = coco_annotation()["keypoints"]
    values[2], values[5:9] = 1, [0, 7, 7, 0]
    found = read_annotations(coco_file(tmp_path, coco_annotation(keypoints=values)))
    assert found.samples[0].visible.tolist() == [1, 0, 0, 1]
    assert found.hidden[0].tolist() == [True, False, False, False]
    assert "v = 1" in found.notes[-1]


@pytest.mark.parametrize("box", [None, [], [0, 0, 0, 0], [5, 5, 10, 0]])
def test_without_a_box_that_of_the_landmarks_is_used(tmp_path: Path, box: list[float] | None) -> None:
    found = read_annotations(coco_file(tmp_path, coco_annotation(bbox=box)))
    assert found.samples[0].box.tolist() == [10, 20, 50, 44]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keypoints": POINTS.tolist()}, "annotation 1: expected 12 numbers as keypoints"),
        ({"keypoints": ["a"] * 12}, "annotation 1: expected 12 numbers as keypoints"),
        ({"image_id": 3}, "annotation 1: its image_id 3 is not among the images"),
        ({"bbox": [1, 2]}, "annotation 1: expected 4 numbers as bbox"),
        ({"keypoints": [1, 2, 2] + [0] * 9, "bbox": None}, "annotation 1: expected at least two different"),
    ],
)
def test_another_annotation_is_one_sentence_with_its_place(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(DarkposeError, match=rf"cats\.json: {message}"):
        read_annotations(coco_file(tmp_path, coco_annotation(**change)))


def test_an_id_of_several_annotations_is_told_and_of_several_images_refused(tmp_path: Path) -> None:
    found = read_annotations(coco_file(tmp_path, coco_annotation(), coco_annotation()))
    assert "ids of several annotations: 1, the first: 1" in found.notes[0]
    images = [{"id": 1, "file_name": name} for name in ("a.png", "b.png")]
    with pytest.raises(DarkposeError, match="unique image ids, got 1 2 times"):
        read_annotations(coco_file(tmp_path, images=images))


def test_a_file_without_landmarks_or_with_several_categories_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match="one category that names its landmarks"):
        read_annotations(coco_file(tmp_path, categories=[{"id": 1, "name": "cat"}]))
    two = [CATEGORY, {**CATEGORY, "id": 2, "name": "dog"}]
    with pytest.raises(DarkposeError, match="'cat', 'dog'"):
        read_annotations(coco_file(tmp_path, categories=two))
    assert read_annotations(coco_file(tmp_path, categories=two), category="cat").category == "cat"
    with pytest.raises(DarkposeError, match="found none"):
        read_annotations(coco_file(tmp_path, categories=two), category="dog")
