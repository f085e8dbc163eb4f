"""The `.pts` format, which counts pixels from 1."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkpose.errors import DarkposeError
from darkpose.files.pts import format_pts, parse_pts, read_pts

TEXT = "version: 1\nn_points: 2\n{\n1.0 1.0\n10.5 20.25\n}\n"


def test_the_first_pixel_is_one_in_the_file_and_zero_here() -> None:
    np.testing.assert_array_equal(parse_pts(TEXT), [[0, 0], [9.5, 19.25]])


@given(st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)), max_size=98))
def test_written_landmarks_are_read_back_to_a_millionth_pixel(points: list[tuple[float, float]]) -> None:
    back = parse_pts(format_pts(np.array(points, float).reshape(-1, 2)))
    np.testing.assert_allclose(back, np.array(points, float).reshape(-1, 2), rtol=0, atol=5.1e-7)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(TEXT.replace("\n", "\r\n"), id="Windows line ends"),
        pytest.param(TEXT.replace("\n", " \n\n"), id="blank lines and trailing spaces"),
        pytest.param(TEXT.replace("1.0 1.0", "\t1.0    1.0"), id="tabs and wide spaces"),
        pytest.param(TEXT.replace("n_points: 2\n", ""), id="no n_points"),
        pytest.param(TEXT.replace("n_points: 2", "n_points:  2 "), id="n_points among spaces"),
        pytest.param(TEXT.replace("1.0 1.0", "1e0 1"), id="other ways to write a number"),
        pytest.param(TEXT + "trailing text\n", id="text after the landmarks"),
    ],
)
def test_the_spellings_found_in_data_sets_are_read(text: str) -> None:
    np.testing.assert_array_equal(parse_pts(text), [[0, 0], [9.5, 19.25]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "not a .pts file", id="empty"),
        pytest.param("1 2\n3 4\n", "not a .pts file", id="no braces"),
        pytest.param(TEXT.replace("}", ""), "not a .pts file", id="cut off"),
        pytest.param(TEXT.replace("10.5 20.25", "10.5"), "line 5: .*got '10.5'", id="one number"),
        pytest.param(TEXT.replace("20.25", "20.25 1"), "line 5: .*got '10.5 20.25 1'", id="three"),
        pytest.param(TEXT.replace("20.25", "x"), "line 5: .*got '10.5 x'", id="a word"),
        pytest.param(TEXT.replace("20.25", "20,25"), "line 5", id="a decimal comma"),
        pytest.param(TEXT.replace("n_points: 2", "n_points: 3"), "expected 3 landmarks, .*got 2", id="one missing"),
        pytest.param(
            TEXT.replace("n_points: 2", "n_points: two"), "expected two landmarks, .*got 2", id="n_points no number"
        ),
    ],
)
def test_a_text_of_another_format_is_refused(text: str, message: str) -> None:
    with pytest.raises(DarkposeError, match=message):
        parse_pts(text)


def test_a_files_error_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "face.pts"
    with pytest.raises(DarkposeError, match=r"face\.pts: .*No such file"):
        read_pts(path)
    path.write_bytes(b"\xff\xd8\xff\xe0")  # a JPEG
    with pytest.raises(DarkposeError, match=r"face\.pts: not UTF-8"):
        read_pts(path)
    path.write_text("{\n1 2 3\n}")
    with pytest.raises(DarkposeError, match=r"face\.pts: line 2: .*'1 2 3'"):
        read_pts(path)
    path.write_text(TEXT)
    np.testing.assert_array_equal(read_pts(path), parse_pts(TEXT))
