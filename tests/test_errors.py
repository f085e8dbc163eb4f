"""Text for terminals and files."""

import os

import pytest

from darkpose.errors import DarkposeError, printable, shown


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
