"""Annotations of any format: found by the content, brought into a schema, bad ones told in one sentence."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from darkpose.datasets.annotations import find_format, read_annotations
from darkpose.errors import DarkposeError
from darkpose.files.pts import format_pts
from darkpose.schema import KeypointSchema
from needed import needs
from own_annotations import CAT, NAMES, POINTS, XML, coco_annotation, coco_content, coco_file, picture, yolo_set

TABLE = "image;left_ear_x;left_ear_y;right_ear_x;right_ear_y\na.png;10,5;20;30,25;20,5\n"
PREDICTIONS = '{"darkpose_predictions": 1}\n{"face": 0, "keypoints": [[1, 2], [3, 4.5]], "image": "a.png"}\n'
LINE = '{"image": "a.png", "width": 9, "height": 9, "faces": [{"keypoints": [[1, 2], [3, 4]], "box": [1, 2, 3, 4]}]}\n'


@pytest.mark.parametrize(
    ("name", "content", "format"),
    [
        ("x.json", json.dumps(coco_content()), "coco"),
        ("x.json", "\ufeff" + json.dumps(coco_content(), indent=2), "coco"),
        ("x.txt", json.dumps(coco_content()), "coco"),
        ("x.csv", TABLE, "csv"),
        ("x.tsv", TABLE.replace(";", "\t"), "csv"),
        ("x.xml", XML, "imglab"),
        ("x.pts", format_pts(POINTS), "pts"),
        ("x.yaml", "names: [a]", "yolo-pose"),
        ("x.txt", "names: [a]\nkpt_shape: [1, 2]", "yolo-pose"),
        ("x.jsonl", PREDICTIONS, "predictions"),
        ("x.json", LINE, "predictions"),
    ],
)
def test_the_format_is_found_by_the_content(tmp_path: Path, name: str, content: str, format: str) -> None:
    (tmp_path / name).write_text(content)
    assert find_format(tmp_path / name) == (format, tmp_path / name)


@needs("yaml")
def test_a_folder_is_that_of_its_yaml_file_its_pts_files_or_its_only_file(tmp_path: Path) -> None:
    file = yolo_set(tmp_path / "yolo")
    assert find_format(tmp_path / "yolo") == ("yolo-pose", file)
    picture(tmp_path, "pts/sub/a.png").with_suffix(".pts").write_text(format_pts(POINTS))
    assert find_format(tmp_path / "pts") == ("pts", tmp_path / "pts")
    file = coco_file(tmp_path)
    assert find_format(tmp_path) == ("pts", tmp_path), "pts files in subfolders come first"
    (tmp_path / "roboflow").mkdir()
    file = coco_file(tmp_path / "roboflow")
    assert find_format(tmp_path / "roboflow") == ("coco", file)
    (tmp_path / "roboflow" / "other.csv").write_text(TABLE)
    with pytest.raises(DarkposeError, match=r"one file of annotations, got 2; name one of cats\.json, other\.csv"):
        find_format(tmp_path / "roboflow")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"\xef\xbb\xbf \n", "it is empty"),
        (TABLE.encode("utf-16"), "UTF-16; save it as UTF-8"),
        (b'[{"id": 1}]', r"its format is not known; expected COCO keypoints.*from Label Studio, export COCO"),
        (b"<annotations/>", "from CVAT, export COCO Keypoints"),
        (b"PK\3\4...", "got an archive; unpack it"),
        (b"hello", "its format is not known"),
        (b"image,a_x\n\xff,1\n", "not UTF-8 text"),
        (b'{"images": [NaN]}', "NaN is no number of JSON"),
        (b"{}", "not a COCO file"),
        (b"<svg/>", "expected <dataset>, got <svg>"),
    ],
)
def test_another_file_is_one_sentence_that_names_it(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.dat").write_bytes(content)
    with pytest.raises(DarkposeError, match=message) as raised:
        read_annotations(tmp_path / "x.dat")
    assert str(raised.value).startswith(str(tmp_path / "x.dat"))
    assert "\n" not in str(raised.value)


def test_a_missing_file_and_a_folder_without_annotations_are_told(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match=r"x\.json: cannot be read: No such file"):
        read_annotations(tmp_path / "x.json")
    with pytest.raises(DarkposeError, match="no annotations in this folder; expected COCO"):
        read_annotations(tmp_path)


def test_annotations_have_their_schema_and_notes(tmp_path: Path) -> None:
    found = read_annotations(coco_file(tmp_path))
    assert found.schema == CAT
    assert (found.format, found.category) == ("coco", "cat")
    np.testing.assert_array_equal(found.samples[0].keypoints, POINTS)
    assert found.samples[0].box.tolist() == [5, 6, 55, 46]
    assert found.samples[0].image == tmp_path / "a.png"
    (note,) = found.notes
    assert "left_ear <-> right_ear" in note


def test_a_given_schema_is_used_in_the_order_of_the_file(tmp_path: Path) -> None:
    other = KeypointSchema("dog", ("a", "b", "c", "d"), ((2, 3),))
    found = read_annotations(coco_file(tmp_path), schema=other)
    assert (found.schema, found.notes) == (other, ())
    np.testing.assert_array_equal(found.samples[0].keypoints, POINTS)


def test_landmarks_are_brought_into_the_order_of_a_schema_with_their_names(tmp_path: Path) -> None:
    schema = KeypointSchema("cat", ("tail", "nothing", *NAMES[:3]), ())
    found = read_annotations(coco_file(tmp_path), schema=schema)
    np.testing.assert_array_equal(found.samples[0].keypoints, [POINTS[3], (0, 0), *POINTS[:3]])
    assert found.samples[0].visible.tolist() == [1, 0, 1, 1, 1]
    assert [each.shape for each in found.hidden] == [(5,)]
    (note,) = found.notes
    assert "into the order of the schema cat by their names; it lacks 1" in note


def test_a_schema_of_another_number_of_landmarks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match=r"cats\.json: it has 4 landmarks, but the schema dog names 2"):
        read_annotations(coco_file(tmp_path), schema=KeypointSchema("dog", ("a", "b"), ()))


def test_objects_that_cannot_be_read_are_collected_and_none_left_is_an_error(tmp_path: Path) -> None:
    bad = coco_annotation(id=7, keypoints=[1, 2, 2])
    broken: list[str] = []
    found = read_annotations(coco_file(tmp_path, coco_annotation(), bad), broken=broken)
    assert len(found.samples) == 1
    assert ["annotation 7: expected 12 numbers" in text for text in broken] == [True]
    with pytest.raises(DarkposeError, match=r"no annotation can be read; the first: .*annotation 7"):
        read_annotations(coco_file(tmp_path, bad), broken=[])
    with pytest.raises(DarkposeError, match="annotation 7"):
        read_annotations(coco_file(tmp_path, bad))


def _coco(folder: Path, name: str) -> Path:
    return coco_file(folder, images=[{"id": 1, "file_name": name}])


def _csv(folder: Path, name: str) -> Path:
    (folder / "x.csv").write_text(f"image;a_x;a_y;b_x;b_y\n{name};1;2;3;4\n")
    return folder / "x.csv"


def _xml(folder: Path, name: str) -> Path:
    (folder / "x.xml").write_text(XML.replace("a.png", name))
    return folder / "x.xml"


def _predicted(folder: Path, name: str) -> Path:
    (folder / "x.jsonl").write_text(PREDICTIONS.replace("a.png", name.replace("\\", "\\\\")))
    return folder / "x.jsonl"


@pytest.mark.parametrize("write", [_coco, _csv, _xml, _predicted])
@pytest.mark.parametrize(
    "name", ["../secret.png", "/etc/secret.png", "..\\secret.png", "C:\\secret.png", "x/../../secret.png"]
)
def test_no_name_in_a_file_leads_out_of_the_folder_of_the_images(
    tmp_path: Path, write: Callable[[Path, str], Path], name: str
) -> None:
    picture(tmp_path, "secret.png")
    images = tmp_path / "images"
    images.mkdir()
    found = read_annotations(write(tmp_path, name), images)
    assert [sample.image for sample in found.samples] == [images / "secret.png"]
    assert any("lead out" in note for note in found.notes)
    assert any("missing images: 1" in note for note in found.notes)
