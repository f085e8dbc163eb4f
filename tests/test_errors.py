"""Text for terminals and files."""

import os

import numpy as np
import pytest

from darkpose.errors import DarkposeError, check_unmasked, printable, shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain é 照", "plain é 照"),
        (os.fsdecode(b"bad\xff.png"), r"bad\xff.png"),
        ("red\x1b[31m", r"red\x1b[31m"),
        ("two\nlines\r\t", r"two\nlines\r\t"),
        ("\x9b31m", r"\x9b31m"),
        ("\ud800", r"\ud800"),
        ("cat\u202egpj.exe", r"cat\u202egpj.exe"),
        ("كلب\u200f.png", "كلب\u200f.png"),
    ],
)
def test_one_line_for_a_terminal_has_no_control_characters(text: str, expected: str) -> None:
    assert shown(text) == str(DarkposeError(text)) == expected
    shown(text).encode()


def test_bytes_that_are_no_text_are_written_as_they_are_in_python() -> None:
    assert printable(os.fsdecode(b"a\xff\xc3\xa9\n")) == "a\\xffé\n"


def test_arrays_with_masked_values_are_refused_and_those_without_are_not() -> None:
    values = np.ma.array([[1.0, 2.0], [3.0, 4.0]], mask=False)
    for given in (values, values.data, values[0].tolist(), None, 3.0):
        check_unmasked("boxes", given)
    values[1, 0] = np.ma.masked
    with pytest.raises(DarkposeError, match="boxes: some values are masked"):
        check_unmasked("boxes", values)
