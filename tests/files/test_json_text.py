"""JSON text, read and written strictly."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkpose.errors import DarkposeError
from darkpose.files.json_text import MAX_DEPTH, format_json, parse_json, parse_json_lines, read_json, shortened

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty, expected JSON"),
        (" \n", "empty, expected JSON"),
        ('{"a": ', "not JSON .*column 7"),
        ("[1,\n2,]", "not JSON .*line 2, column 3"),
        ("[1e999]", "the number 1e999 is too large"),
        ("[-1e999]", "the number -1e999 is too large"),
        pytest.param("9" * 5000, "a number of 5000 digits", id="5000 digits"),
        ("[NaN]", "NaN is no number of JSON"),
        ('{"a": -Infinity}', "-Infinity is no number of JSON"),
        pytest.param("[" * 100_000, f"more than {MAX_DEPTH} lists", id="100,000 lists"),
        pytest.param("[" * 101 + "]" * 101, f"more than {MAX_DEPTH} lists", id="101 lists"),
        (r'["\ud800"]', r"\\ud800 alone is no character"),
        (r'{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' is in an object twice"),
    ],
)
def test_what_is_no_json_is_one_sentence(text: str, message: str) -> None:
    with pytest.raises(DarkposeError, match=message):
        parse_json(text)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("[" * 100 + "]" * 100, json.loads("[" * 100 + "]" * 100)),
        (r'"\ud83d\ude00"', "😀"),
        (r'"caf\udce9.jpg"', "caf\udce9.jpg"),  # a byte of a file name that is not UTF-8
        ("1" * 300, int("1" * 300)),
    ],
)
def test_what_is_at_the_limits_is_read(text: str, values: object) -> None:
    assert parse_json(text) == values


@given(VALUES)
def test_what_is_written_is_read_back(values: object) -> None:
    text = json.dumps(values)
    if r"\ud" not in text:
        assert parse_json(format_json(values)) == values


def test_numbers_that_are_not_finite_become_null() -> None:
    values = {"a": [1.5, float("nan")], "b": (float("inf"), {"c": -float("inf")})}
    assert format_json(values) == '{"a": [1.5, null], "b": [null, {"c": null}]}'


def test_numbers_of_numpy_are_numbers() -> None:
    values = {"a": np.int64(3), "b": [np.float32(0.5), np.float64(2)], "c": np.uint8(7)}
    assert format_json(values) == '{"a": 3, "b": [0.5, 2.0], "c": 7}'
    assert (
        format_json([np.float32("nan"), np.float64("inf"), np.float32(0.5), 10**400]) == f"[null, null, 0.5, {10**400}]"
    )
    with pytest.raises(TypeError, match="a complex is no value of JSON"):
        format_json([1j])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": "\xff"}', "not UTF-8 text .*byte 7"),
        ("[]".encode("utf-16"), "not UTF-8 text"),
        (b"[1, 2", "not JSON"),
        (b"", "empty"),
    ],
)
def test_a_file_that_is_no_json_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DarkposeError, match=rf"a\.json: {message}"):
        read_json(tmp_path / "a.json")
    with pytest.raises(DarkposeError, match=r"none\.json: cannot be read: No such file"):
        read_json(tmp_path / "none.json")


def test_a_byte_order_mark_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf[1]")
    assert read_json(tmp_path / "a.json") == [1]


def test_lines_are_numbered_and_a_half_written_one_at_the_end_is_left_out() -> None:
    assert list(parse_json_lines('1\n\n"\u2028"\r\n{"a": ', "x")) == [(1, 1), (3, "\u2028")]
    with pytest.raises(DarkposeError, match=r"^x, line 2: not JSON"):
        list(parse_json_lines('1\n{"a": \n', "x"))
    with pytest.raises(DarkposeError, match=r"^x, line 2: .*NaN"):  # complete, but no JSON
        list(parse_json_lines("1\nNaN", "x"))


def test_a_long_value_is_cut_off_for_a_message() -> None:
    assert shortened({"a": 1}) == '{"a": 1}'
    assert shortened(list(range(100)), 10) == "[0, 1, ..."
