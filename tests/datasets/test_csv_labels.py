"""CSV tables with an object per row."""

from pathlib import Path

import pytest

from darkpose.datasets.annotations import read_annotations
from darkpose.errors import DarkposeError

HEAD = "image,a_x,a_y,a_v,b_x,b_y,b_v,x0,y0,x1,y1"


def table(folder: Path, *rows: str, separator: str = ",", encoding: str = "utf-8") -> Path:
    (folder / "x.csv").write_bytes("\r\n".join([HEAD, *rows]).replace(",", separator).encode(encoding))
    return folder / "x.csv"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_rows_give_visibility_and_boxes(tmp_path: Path, separator: str, encoding: str) -> None:
    rows = ("a.png,1,2,1,5,8,2,0,0,9,9", "a.png,1,2,,,,,0,0,9,9", "b.png,1,2,2,5,8,,,,,")
    found = read_annotations(table(tmp_path, *rows, separator=separator, encoding=encoding))
    assert [each.visible.tolist() for each in found.samples] == [[1, 1], [1, 0], [1, 1]]
    assert [each.tolist() for each in found.hidden] == [[True, False], [False, False], [False, False]]
    assert [each.box.tolist() for each in found.samples] == [[0, 0, 9, 9], [0, 0, 9, 9], [1, 2, 5, 8]]
    assert found.schema.name == "x"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.png,nan,2,1,5,8,2,0,0,9,9", ":3: a landmark is not a finite number"),
        ("a.png,x,2,1,5,8,2,0,0,9,9", ":3: expected numbers"),
        (",1,2,1,5,8,2,0,0,9,9", ":3: expected the name of an image"),
        ("a.png,1,2", ":3: expected 11 fields"),
        ("a.png,1,2,1,5,8,2,0,,9,9", ":3: expected numbers"),
    ],
)
def test_another_row_is_one_sentence_with_its_line(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(DarkposeError, match=rf"x\.csv{message}"):
        read_annotations(table(tmp_path, "a.png,1,2,1,5,8,2,0,0,9,9", row))
