"""OpenMMLab's JSON: every trap in a small file; where they are to be had, the published samples and golden values."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darkpose.datasets.openmmlab import read_openmmlab
from darkpose.datasets.sample import Sample, nme_normaliser
from darkpose.errors import DarkposeError
from darkpose.image.geometry import box_to_crop
from darkpose.image.pixels import read_image
from darkpose.schema import AFLW_19, COFW_29, SCHEMAS, W300_68, WFLW_98, KeypointSchema

TRIANGLE = KeypointSchema("triangle", ("left_eye", "right_eye", "chin"), ((0, 1),))
IMAGES = [{"id": 7, "file_name": "seven.jpg"}, {"id": 2, "file_name": "two.jpg"}]


def annotation(image: Any = 7, **fields: Any) -> dict[str, Any]:
    """The fields of a face; None takes one away."""
    face: dict[str, Any] = {
        **{"image_id": image, "id": 1, "iscrowd": 0, "bbox": [1, 2, 3, 4]},
        **{"keypoints": [10, 20, 1, 30, 20, 2, 20, 40, 0], "center": [20.0, 30.0], "scale": 0.25},
    }
    return {key: value for key, value in (face | fields).items() if value is not None}


def read(folder: Path, *annotations: dict[str, Any], images: Any = IMAGES, **options: Any) -> list[Sample]:
    file = folder / "faces.json"
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": []}))
    return read_openmmlab(file, folder / "images", TRIANGLE, **options)


def test_center_and_scale_decide_the_box_and_bbox_does_not(tmp_path: Path) -> None:
    (face,) = read(tmp_path, annotation())
    assert face.box.tolist() == [20 - 25, 30 - 25, 20 + 25, 30 + 25]
    assert read(tmp_path, annotation(bbox=None))[0].box.tolist() == face.box.tolist()


@pytest.mark.parametrize("missing", ["center", "scale"])
def test_without_center_or_scale_the_box_is_bbox(tmp_path: Path, missing: str) -> None:
    assert read(tmp_path, annotation(**{missing: None}))[0].box.tolist() == [1, 2, 4, 6]


def test_visibility_is_at_most_1(tmp_path: Path) -> None:
    (face,) = read(tmp_path, annotation())
    assert face.visible.tolist() == [1, 1, 0]
    assert face.keypoints.tolist() == [[10, 20], [30, 20], [20, 40]]


def test_box_size_is_the_normaliser_and_nothing_else(tmp_path: Path) -> None:
    (face,) = read(tmp_path, annotation(box_size=44.0))
    assert face.box_size == nme_normaliser(face, AFLW_19) == 44
    assert (face.box[2:] - face.box[:2]).tolist() == [50, 50]
    assert read(tmp_path, annotation())[0].box_size is None


def test_faces_come_image_by_image_as_listed_then_as_annotated(tmp_path: Path) -> None:
    faces = read(tmp_path, *(annotation(image, id=10 + i) for i, image in enumerate([2, 7, 2, 7])))
    assert [face.source.rsplit(" ", 1)[1] for face in faces] == ["11", "13", "10", "12"]
    assert [face.image for face in faces] == [
        tmp_path / "images" / f"{n}.jpg" for n in ("seven", "seven", "two", "two")
    ]


def test_crowds_and_annotations_without_keypoints_are_dropped(tmp_path: Path) -> None:
    faces = read(
        tmp_path,
        annotation(iscrowd=1),
        annotation(keypoints=[0] * 9),
        annotation(keypoints=[-5, -3, 0] * 3),
        annotation(id=5, keypoints=[-5, -3, 1, -2, -2, 1, -1, -1, 1]),
    )
    assert [face.source.rsplit(" ", 1)[1] for face in faces] == ["5"]


def test_a_missing_iscrowd_counts_as_none_and_the_misspelt_one_is_read(tmp_path: Path) -> None:
    faces = read(
        tmp_path,
        annotation(id=1, iscrowd=None),
        annotation(id=2, iscrowd=None, is_crowd=1),
        annotation(id=3, iscrowd=None, is_crowd=0),
    )
    assert [face.source.rsplit(" ", 1)[1] for face in faces] == ["1", "3"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"keypoints": [1] * 8}, "expected 9 numbers as keypoints, got a list of 8"),
        ({"keypoints": None}, "expected 9 numbers as keypoints, got None"),
        ({"keypoints": ["a"] * 9}, "expected 9 numbers as keypoints"),
        ({"keypoints": [None] + [1] * 8}, "not a finite number"),
        ({"image_id": 8}, "its image_id 8 is not among the images"),
        ({"image_id": None}, "its image_id None is not among the images"),
        ({"scale": 0}, "expected a box with x0 < x1"),
        ({"scale": [0.3, 0.3]}, "expected a number as scale, got a list of 2"),
        ({"center": [1.0]}, "expected 2 numbers as center, got a list of 1"),
        ({"scale": None, "bbox": None}, "expected 4 numbers as bbox, got None"),
        ({"box_size": "big"}, "expected a number as box_size, got 'big'"),
    ],
)
def test_a_broken_annotation_is_refused_by_its_id_or_collected(
    tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    faces = (annotation(id=1), annotation(**({"id": 2} | fields)))
    with pytest.raises(DarkposeError, match=rf"faces\.json: annotation 2: .*{message}"):
        read(tmp_path, *faces)
    broken: list[str] = []
    assert len(read(tmp_path, *faces, broken=broken)) == 1
    assert len(broken) == 1


def test_another_form_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "faces.json"
    with pytest.raises(DarkposeError, match=r"faces\.json: cannot be read"):
        read_openmmlab(file, tmp_path, TRIANGLE)
    file.write_text('{"images": [],\n "annotations": ]}')
    with pytest.raises(DarkposeError, match=r"faces\.json: not JSON .*line 2"):
        read_openmmlab(file, tmp_path, TRIANGLE)
    for text in (
        "[]",
        "3",
        '{"images": []}',
        '{"images": [3], "annotations": []}',
        '{"images": {}, "annotations": []}',
    ):
        file.write_text(text)
        with pytest.raises(DarkposeError, match="not a COCO file: expected an object with lists `images` and"):
            read_openmmlab(file, tmp_path, TRIANGLE)
    file.write_bytes(b"\xff\xfe{}")
    with pytest.raises(DarkposeError, match="not UTF-8"):
        read_openmmlab(file, tmp_path, TRIANGLE)


@pytest.mark.parametrize("image", [{"id": 3}, {"file_name": "a.jpg"}, {"id": [3], "file_name": "a.jpg"}])
def test_an_image_without_id_or_name_is_refused(tmp_path: Path, image: dict[str, Any]) -> None:
    with pytest.raises(DarkposeError, match=r"image 2 in the list: .*`file_name`"):
        read(tmp_path, annotation(), images=[IMAGES[0], image])


def test_a_file_without_faces_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match="found none"):
        read(tmp_path, annotation(iscrowd=1))


def samples(shared_data: Path, name: str, schema: KeypointSchema) -> list[Sample]:
    folder = shared_data / "openmmlab_samples" / name
    return read_openmmlab(folder / f"test_{name}.json", folder, schema)


@pytest.mark.parametrize(("name", "schema"), [("aflw", AFLW_19), ("wflw", WFLW_98)])
def test_the_published_samples_are_read_as_the_reference_reads_them(
    shared_data: Path, name: str, schema: KeypointSchema
) -> None:
    path = shared_data.parent / "parity" / "golden" / f"d_dataset_{name}.npz"
    if not path.is_file():
        pytest.skip(f"needs the reference's values in {path}")
    with np.load(path, allow_pickle=False) as golden:
        expected = dict(golden.items())
    faces = samples(shared_data, name, schema)
    assert [face.image.name for face in faces] == expected["image_file"].tolist()
    np.testing.assert_array_equal([np.float32(f.keypoints) for f in faces], expected["joints"][..., :2])
    np.testing.assert_array_equal([f.visible for f in faces], expected["visible"][..., 0])
    center, sides = box_to_crop(np.stack([face.box for face in faces]))
    np.testing.assert_allclose(center, expected["center"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(sides, expected["scale_padded"] * 200, rtol=0, atol=1e-9)
    np.testing.assert_allclose([nme_normaliser(f, schema) for f in faces], expected["norm"][:, 0], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "schema", "count"), [("300w", W300_68, 2), ("cofw", COFW_29, 2), ("wflw", WFLW_98, 4)]
)
def test_the_published_samples_lie_in_their_images(
    shared_data: Path, name: str, schema: KeypointSchema, count: int
) -> None:
    faces = samples(shared_data, name, schema)
    assert len(faces) == count
    for face in faces:
        height, width = read_image(face.image).shape[:2]
        assert (face.keypoints > 0).all()
        assert (face.keypoints < [width, height]).all()


def test_the_names_of_cofw_fit_what_is_known_of_faces(shared_data: Path) -> None:
    for face in samples(shared_data, "cofw", SCHEMAS["cofw-29"]):
        at = dict(zip(COFW_29.names, face.keypoints, strict=True))
        for part in ("brow_outer", "brow_inner", "eye_outer_corner", "pupil", "nostril_outer", "mouth_corner"):
            assert at[f"left_{part}"][0] < at[f"right_{part}"][0]
        column = ["nose_tip", "nose_base", "upper_lip", "inner_upper_lip", "inner_lower_lip", "lower_lip", "chin"]
        assert np.all(np.diff([at[name][1] for name in column]) > 0)
        for side in ("left", "right"):
            column = [f"{side}_{part}" for part in ("brow_upper", "brow_lower", "eye_upper", "pupil", "eye_lower")]
            assert np.all(np.diff([at[name][1] for name in column]) > 0)
