"""Own landmarks: COCO keypoint files and CSV tables written here."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darkpose.datasets.contact_sheet import contact_sheet
from darkpose.datasets.points import read_coco_points, read_csv_points
from darkpose.errors import DarkposeError
from darkpose.image.pixels import write_image

NAMES = ["left_ear", "right_ear", "snout", "tail"]
PAIRS = [("left_ear", "right_ear")]
CATEGORY = {"id": 1, "name": "cat", "keypoints": NAMES, "skeleton": [[1, 3], [3, 2]]}
KEYPOINTS = [10.5, 20, 2, 30, 20.5, 1, 20, 40, 2, 0, 0, 0]


def coco(folder: Path, **changes: Any) -> Path:
    annotation = {
        "image_id": 1,
        "id": 9,
        "category_id": 1,
        "iscrowd": 0,
        "keypoints": KEYPOINTS,
        "bbox": [5, 6, 30, 40],
    }
    content = {
        "images": [{"id": 1, "file_name": "cat.jpg"}],
        "annotations": [annotation | changes.pop("annotation", {})],
        "categories": [CATEGORY | changes.pop("category", {})],
    }
    file = folder / "cats.json"
    file.write_text(json.dumps(content | changes))
    return file


def table(folder: Path, *lines: str) -> Path:
    file = folder / "cats.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


HEAD = "image,left_ear_x,left_ear_y,right_ear_x,right_ear_y,snout_x,snout_y"
ROW = "cat.jpg,10.5,20,30,20.5,20,40"


def test_a_coco_file_gives_faces_and_their_schema(tmp_path: Path) -> None:
    (face,), schema = read_coco_points(coco(tmp_path), flip_pairs=PAIRS)
    assert face.image == tmp_path / "cat.jpg"
    assert face.keypoints.tolist() == [[10.5, 20], [30, 20.5], [20, 40], [0, 0]]
    assert face.visible.tolist() == [1, 1, 1, 0]
    assert (schema.name, schema.names, schema.flip_pairs) == ("cats", tuple(NAMES), ((0, 1),))
    assert schema.outlines == ((0, 2), (2, 1)), "the skeleton counts from 1"


def test_the_box_is_that_of_the_annotated_landmarks_or_of_the_file(tmp_path: Path) -> None:
    file = coco(tmp_path)
    assert read_coco_points(file, flip_pairs=())[0][0].box.tolist() == [10, 20, 30, 40]
    assert read_coco_points(file, flip_pairs=(), box="file")[0][0].box.tolist() == [5, 6, 35, 46]


def test_one_landmark_alone_needs_a_box(tmp_path: Path) -> None:
    file = coco(tmp_path, annotation={"keypoints": [5, 5, 1] + [0] * 9})
    with pytest.raises(DarkposeError, match=r"annotation 9: .*two different"):
        read_coco_points(file, flip_pairs=())
    assert len(read_coco_points(file, flip_pairs=(), box="file")[0]) == 1


def test_images_may_lie_elsewhere(tmp_path: Path) -> None:
    images = tmp_path / "elsewhere"
    assert read_coco_points(coco(tmp_path), images, flip_pairs=())[0][0].image == images / "cat.jpg"
    assert read_csv_points(table(tmp_path, HEAD, ROW), images, flip_pairs=())[0][0].image == images / "cat.jpg"


def test_left_out_pairs_are_inferred_with_a_warning_that_names_them(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"cats\.json: .*inferred.*: left_ear <-> right_ear; .*flip_pairs="):
        _, schema = read_coco_points(coco(tmp_path))
    assert schema.flip_pairs == ((0, 1),)
    with pytest.warns(UserWarning, match=r"cats\.csv: .*inferred.*: left_ear <-> right_ear; .*flip_pairs="):
        assert read_csv_points(table(tmp_path, HEAD, ROW))[1].flip_pairs == ((0, 1),)
    with pytest.warns(UserWarning, match="inferred.*: none"):
        assert read_coco_points(coco(tmp_path, category={"keypoints": list("abcd")}))[1].flip_pairs == ()


def test_given_pairs_are_taken_without_a_word_even_if_there_are_none(tmp_path: Path) -> None:
    assert read_coco_points(coco(tmp_path), flip_pairs=[("tail", "snout")])[1].flip_pairs == ((3, 2),)
    assert read_csv_points(table(tmp_path, HEAD, ROW), flip_pairs=())[1].flip_pairs == ()


def test_a_pair_of_an_unknown_landmark_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match=r"no landmark 'left_eye'; .*left_ear"):
        read_coco_points(coco(tmp_path), flip_pairs=[("left_eye", "right_ear")])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"categories": []}, "expected one category that names its landmarks"),
        ({"categories": [CATEGORY, CATEGORY]}, "expected one category"),
        ({"categories": None}, "expected one category"),
        ({"category": {"keypoints": []}}, "expected one category that names its landmarks"),
        ({"category": {"skeleton": [[1, 2, 3]]}}, "expected `skeleton` to be pairs"),
        ({"annotation": {"image_id": [1]}}, "annotation 1 in the list: .*`image_id`"),
        ({"category": {"skeleton": [[0, 1]]}}, r"has 4 landmarks, but uses the indices \[-1\]"),
        ({"category": {"keypoints": ["a", "a", "b", "c"]}}, "names must be unique"),
        ({"images": [{"id": 1, "file_name": name} for name in "ab"]}, "unique image ids"),
        (
            {"annotation": {"keypoints": KEYPOINTS[:9]}},
            "annotation 9: expected 12 numbers as keypoints, got a list of 9",
        ),
    ],
)
def test_another_coco_file_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DarkposeError, match=message):
        read_coco_points(coco(tmp_path, **changes), flip_pairs=())


def test_a_table_gives_faces_and_their_schema(tmp_path: Path) -> None:
    file = table(tmp_path, HEAD, ROW, "", "sub/dog.png,1,2,3,4,5,6")
    (cat, dog), schema = read_csv_points(file, flip_pairs=PAIRS)
    assert schema.names == ("left_ear", "right_ear", "snout")
    assert schema.flip_pairs == ((0, 1),)
    assert cat.keypoints.tolist() == [[10.5, 20], [30, 20.5], [20, 40]]
    assert cat.visible.tolist() == [1, 1, 1]
    assert cat.box.tolist() == [10, 20, 30, 40]
    assert (dog.image, dog.source) == (tmp_path / "sub" / "dog.png", f"{file}:4")


def test_columns_may_stand_anywhere_and_say_visibility_and_boxes(tmp_path: Path) -> None:
    file = table(
        tmp_path,
        "x0, a_v,a_y,a_x,image,b_x,b_y,y0,x1,y1",
        "1,1,20,10,cat.jpg,30,40,2,50,60",
        ",0,20,10,cat.jpg,30,40,,,",
        ",2,20,10,cat.jpg,30,44,,,",
    )
    broken: list[str] = []
    (first, third), schema = read_csv_points(file, flip_pairs=(), broken=broken)
    assert schema.names == ("a", "b")
    assert first.box.tolist() == [1, 2, 50, 60]
    assert first.keypoints.tolist() == [[10, 20], [30, 40]]
    assert third.box.tolist() == [10, 20, 30, 44]
    assert third.visible.tolist() == [1, 1]
    assert [":3: " in text for text in broken] == [True], "one landmark is left, and no box"


def test_empty_coordinates_are_not_annotated(tmp_path: Path) -> None:
    file = table(tmp_path, HEAD, "cat.jpg,10,20,,,20,40")
    assert read_csv_points(file, flip_pairs=())[0][0].visible.tolist() == [1, 0, 1]


def test_a_table_from_a_spreadsheet_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    file = tmp_path / "cats.csv"
    file.write_bytes(b"\xef\xbb\xbf" + f"{HEAD}\r\n{ROW}\r\n".encode())
    assert len(read_csv_points(file, flip_pairs=())[0]) == 1


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("", "missing: image"),
        ("image", "no landmarks"),
        (HEAD.replace("snout_y", "snout_Y"), "missing: snout_y; unknown: snout_Y"),
        (HEAD + ",x0,y0", "unknown: x0, y0"),
        (HEAD + ",comment", "unknown: comment"),
        (HEAD + ",snout_x", "two columns are called 'snout_x'"),
    ],
)
def test_other_columns_are_refused(tmp_path: Path, head: str, message: str) -> None:
    with pytest.raises(DarkposeError, match=rf"cats\.csv:1: .*{message}"):
        read_csv_points(table(tmp_path, head, ROW), flip_pairs=())


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (ROW + ",1", "expected 7 fields .*got 8"),
        ("cat.jpg,1,2", "expected 7 fields .*got 3"),
        ("cat.jpg,x,2,3,4,5,6", "expected numbers .*x"),
        ("cat.jpg,1,,3,4,5,6", "expected numbers"),
        ("cat.jpg,nan,2,3,4,5,6", "not a finite number"),
        (",1,2,3,4,5,6", "name of an image"),
    ],
)
def test_a_broken_row_is_refused_by_its_line_or_collected(tmp_path: Path, row: str, message: str) -> None:
    file = table(tmp_path, HEAD, ROW, "", row, ROW)
    with pytest.raises(DarkposeError, match=rf"cats\.csv:4: .*{message}"):
        read_csv_points(file, flip_pairs=())
    broken: list[str] = []
    assert len(read_csv_points(file, flip_pairs=(), broken=broken)[0]) == 2
    assert len(broken) == 1


def test_half_a_box_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match=r"cats\.csv:2: expected numbers"):
        read_csv_points(table(tmp_path, HEAD + ",x0,y0,x1,y1", ROW + ",1,2,,"), flip_pairs=())


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match="found none"):
        read_csv_points(table(tmp_path, HEAD), flip_pairs=())


def test_faces_of_any_number_of_landmarks_can_be_drawn_and_cut(tmp_path: Path) -> None:
    write_image(tmp_path / "cat.jpg", np.zeros((60, 60, 3), np.uint8))
    faces, schema = read_csv_points(table(tmp_path, HEAD, ROW), flip_pairs=PAIRS)
    assert contact_sheet(faces, schema, side=64).shape == (72, 72, 3)


def test_an_unknown_box_rule_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match="'tight'; choose one of landmarks, file"):
        read_coco_points(coco(tmp_path), flip_pairs=(), box="tight")  # type: ignore[arg-type]


def test_a_cell_that_is_too_long_is_named(tmp_path: Path) -> None:
    file = table(tmp_path, "image,nose_x,nose_y", f"{'a' * 140_000},1,2")
    with pytest.raises(DarkposeError, match=r"cats\.csv:2: not a row"):
        read_csv_points(file)


GOOD = [30, 30, 2, 60, 31, 2, 45, 45, 1]
FACE = {"id": 1, "name": "face", "keypoints": ["left_eye", "right_eye", "nose"]}


def exported(tmp_path: Path, second: dict[str, Any], *categories: dict[str, Any]) -> Path:
    """A COCO file of a good annotation and another one."""
    good: dict[str, Any] = {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "keypoints": GOOD}
    content = {
        "images": [{"id": number, "file_name": f"{number}.png"} for number in (1, 2)],
        "annotations": [good, {**good, "id": 2, "image_id": 2, **second}],
        "categories": categories or [FACE],
    }
    (tmp_path / "x.json").write_text(json.dumps(content))
    return tmp_path / "x.json"


@pytest.mark.parametrize(
    ("second", "why"),
    [
        ({"keypoints": [], "num_keypoints": 0}, "without landmarks"),
        ({"keypoints": None}, "without landmarks"),
        ({"keypoints": [30, 30, 0, 60, 31, 0, 45, 45, 0]}, "without landmarks"),
        ({"keypoints": [0] * 9}, "without landmarks"),
        ({"iscrowd": 1}, "of a crowd"),
        ({"category_id": 2}, "of another category"),
    ],
)
def test_annotations_as_exporters_write_them_are_left_out_and_counted(
    tmp_path: Path, second: dict[str, Any], why: str
) -> None:
    with pytest.warns(UserWarning, match=rf"x\.json: 1 of 2 annotations are left out: 1 {why}$"):
        samples, _ = read_coco_points(exported(tmp_path, second), flip_pairs=())
    assert [sample.image.name for sample in samples] == ["1.png"]


def test_an_annotation_that_is_null_for_crowds_is_taken(tmp_path: Path) -> None:
    assert len(read_coco_points(exported(tmp_path, {"iscrowd": None}), flip_pairs=())[0]) == 2


def test_one_of_several_categories_is_chosen_by_its_name(tmp_path: Path) -> None:
    person, dog = {"id": 2, "name": "person"}, {"id": 3, "name": "dog", "keypoints": ["ear", "nose", "tail"]}
    file = exported(tmp_path, {"category_id": 3}, FACE, person)
    with pytest.warns(UserWarning, match="1 of another category"):
        assert len(read_coco_points(file, flip_pairs=())[0]) == 1
    file = exported(tmp_path, {"category_id": 3}, FACE, person, dog)
    with pytest.warns(UserWarning, match="1 of another category"):
        samples, schema = read_coco_points(file, flip_pairs=(), category="dog")
    assert ([sample.image.name for sample in samples], schema.names) == (["2.png"], ("ear", "nose", "tail"))
    for asked in (None, "cat"):
        with pytest.raises(DarkposeError, match="choose with category=: 'face', 'dog'"):
            read_coco_points(file, flip_pairs=(), category=asked)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("comma", [False, True])
@pytest.mark.parametrize("index", ["", "Unnamed: 0", None])
def test_tables_of_spreadsheets_and_pandas_are_read(
    tmp_path: Path, separator: str, comma: bool, index: str | None
) -> None:
    rows = [
        ["image", "a_x", "a_y", "b_x", "b_y"],
        ["1,5.png" if separator != "," else "1.png", "10.5", "2", "3.25", "40"],
    ]
    if comma and separator != ",":
        rows[1] = [rows[1][0], *(cell.replace(".", ",") for cell in rows[1][1:])]
    if index is not None:
        rows = [[index, *rows[0]], ["0", *rows[1]]]
    (tmp_path / "p (1).csv").write_text("\n".join(separator.join(row) for row in rows))
    (sample,), schema = read_csv_points(tmp_path / "p (1).csv", flip_pairs=())
    assert sample.keypoints.tolist() == [[10.5, 2], [3.25, 40]]
    assert schema.name == "p _1_"
