"""Boxes from the command line."""

import os
from pathlib import Path

import pytest

from darkpose.errors import DarkposeError
from darkpose.predict.given_boxes import GivenBoxes


def test_four_numbers_are_a_box_in_every_image() -> None:
    boxes = GivenBoxes(["1,2,3,4", "5.5,6,7,8"])
    assert boxes.of(Path("any.jpg")) == [[1, 2, 3, 4], [5.5, 6, 7, 8]]


def test_numbers_may_be_negative() -> None:
    assert GivenBoxes(["-1,-2,3,4"]).of(Path("any.jpg")) == [[-1, -2, 3, 4]]


def test_a_json_file_names_images_by_path_or_file_name(tmp_path: Path) -> None:
    (tmp_path / "boxes.json").write_text('{"in/a.jpg": [[1, 2, 3, 4]], "b.jpg": [[5, 6, 7, 8], [9, 9, 10, 10]]}')
    boxes = GivenBoxes([str(tmp_path / "boxes.json")])
    assert boxes.of(Path("in/a.jpg")) == [[1, 2, 3, 4]]
    assert boxes.of(Path("elsewhere/b.jpg")) == [[5, 6, 7, 8], [9, 9, 10, 10]]
    with pytest.raises(DarkposeError, match=r"c\.jpg: .*not in the boxes file"):
        boxes.of(Path("c.jpg"))


def test_a_csv_file_has_one_box_per_row(tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_text("\ufeffimage,x0,y0,x1,y1\na.jpg,1,2,3,4\nb.jpg,0,0,1,1\na.jpg,5,6,7,8\n")
    assert GivenBoxes([str(tmp_path / "boxes.csv")]).of(Path("a.jpg")) == [[1, 2, 3, 4], [5, 6, 7, 8]]


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize("point", [",", "."])
def test_a_csv_file_may_have_other_separators_and_decimal_commas(tmp_path: Path, separator: str, point: str) -> None:
    lines = [["image", "x0", "y0", "x1", "y1"], ["a,1.jpg", f"1{point}5", "2", "30", f"4{point}25"]]
    (tmp_path / "boxes.csv").write_text("\n".join(separator.join(line) for line in lines))
    assert GivenBoxes([str(tmp_path / "boxes.csv")]).of(Path("a,1.jpg")) == [[1.5, 2, 30, 4.25]]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("boxes.json", "{broken", "not a boxes file"),
        ("boxes.json", "[1, 2]", "not a boxes file"),
        ("boxes.json", '{"a.jpg": [["x", 0, 0, 0]]}', "not a boxes file"),
        ("boxes.csv", "image,x0,y0\na.jpg,1,2\n", "not a boxes file"),
        ("boxes.txt", "1 2 3 4", "expected a box as x0,y0,x1,y1"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DarkposeError, match=message) as caught:
        GivenBoxes([str(tmp_path / name)])
    assert name in str(caught.value)


@pytest.mark.parametrize("value", ["1,2,3", "1,2,3,x", "missing.json"])
def test_a_value_that_is_neither_box_nor_file_is_refused(value: str) -> None:
    with pytest.raises(DarkposeError, match="expected a box as x0,y0,x1,y1"):
        GivenBoxes([value])


def test_a_file_that_is_missing_or_no_regular_file_is_told_so(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.json")
    for name, message in (("a.json", "no regular file"), ("b.csv", "there is no such file")):
        with pytest.raises(DarkposeError, match=message):
            GivenBoxes([str(tmp_path / name)])


def test_boxes_of_several_files_are_combined_and_paths_may_begin_with_a_dot(tmp_path: Path) -> None:
    for name, row in (("a.csv", "./album/1.png,0,0,9,9"), ("b.csv", "album/1.png,1,1,8,8")):
        (tmp_path / name).write_text(f"image,x0,y0,x1,y1\n{row}\n")
    boxes = GivenBoxes([str(tmp_path / "a.csv"), str(tmp_path / "b.csv")])
    assert boxes.of(Path("album/1.png")) == boxes.of(Path("./album/1.png")) == [[0, 0, 9, 9], [1, 1, 8, 8]]


def test_the_name_of_an_image_may_have_a_line_break(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('image,x0,y0,x1,y1\n"a\nb.png",0,0,9,9\n')
    assert GivenBoxes([str(tmp_path / "a.csv")]).of(Path("a\nb.png")) == [[0, 0, 9, 9]]


@pytest.mark.parametrize("rows", ["a.png,1,2,3", "a.png,1,2,3,4,5"])
def test_a_csv_row_of_another_length_is_named(tmp_path: Path, rows: str) -> None:
    (tmp_path / "boxes.csv").write_text(f"image,x0,y0,x1,y1\n{rows}\n")
    with pytest.raises(DarkposeError, match=r"boxes\.csv:2: expected 5 fields"):
        GivenBoxes([str(tmp_path / "boxes.csv")])


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a.png": [[' + "9" * 5000 + "]]}"])
def test_json_that_python_cannot_hold_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "boxes.json").write_text(text)
    with pytest.raises(DarkposeError, match=r"boxes\.json: not a boxes file"):
        GivenBoxes([str(tmp_path / "boxes.json")]).of(Path("b.png"))


def test_an_image_is_found_however_its_path_is_spelt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "in")
    (tmp_path / "a.json").write_text('{"in/a.jpg": [[1, 2, 3, 4]], "a.jpg": [[9, 9, 10, 10]]}')
    monkeypatch.chdir(tmp_path)
    boxes = GivenBoxes(["a.json"])
    for name in ("in/a.jpg", "./in/a.jpg", "in/../in/a.jpg", "link/a.jpg", str(tmp_path / "in" / "a.jpg")):
        assert boxes.of(Path(name)) == [[1, 2, 3, 4]]
    assert boxes.of(tmp_path / "a.jpg") == [[9, 9, 10, 10]]


def test_a_file_name_that_fits_several_images_is_refused_with_the_choices(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("image,x0,y0,x1,y1\na.jpg,1,2,3,4\n")
    boxes = GivenBoxes([str(tmp_path / "a.csv")])
    assert boxes.of(Path("x/a.jpg")) == boxes.of(Path("./x/a.jpg")) == [[1, 2, 3, 4]]
    with pytest.raises(DarkposeError, match=r"y/a\.jpg: the boxes file has a\.jpg, .* x/a\.jpg, too"):
        boxes.of(Path("y/a.jpg"))
    with pytest.raises(DarkposeError, match=r"write their paths"):
        GivenBoxes([str(tmp_path / "a.csv")]).check([Path("x/a.jpg"), Path("y/a.jpg")])
