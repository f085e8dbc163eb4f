"""Tables as CSV text."""

import pytest

from darkpose.errors import DarkposeError
from darkpose.files.table import parse_table


def test_rows_are_named_by_their_columns_and_empty_ones_left_out() -> None:
    table = parse_table('image, x\n\n"a, b.png", 1\n', "t")
    assert [table.named(*row) for row in table.rows] == [{"image": "a, b.png", "x": "1"}]
    assert [where for where, _ in table.rows] == ["t:3"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n1," + "x" * 131_073 + "\n", r"^t:3: not a row of a CSV table \(field larger than field limit"),
        ("a,b\n1,\0\n", "^t:2: it has a NUL character"),
        ("a,b,a\n1,2,3\n", "^t:1: two columns are called 'a'"),
    ],
)
def test_what_is_no_table_is_one_sentence(text: str, message: str) -> None:
    with pytest.raises(DarkposeError, match=message):
        parse_table(text, "t")


@pytest.mark.parametrize("row", ["1", "1,2,3"])
def test_a_row_of_another_length_is_named(row: str) -> None:
    table = parse_table(f"a,b\n1,2\n{row}\n", "t")
    with pytest.raises(DarkposeError, match=f"^t:3: expected 2 fields as in the first line, got {row.count(',') + 1}"):
        table.named(*table.rows[1])
