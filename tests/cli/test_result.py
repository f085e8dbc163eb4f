"""The result of a command on standard output."""

import json

import pytest

from darkpose.cli.result import print_result


def test_texts_from_files_add_no_lines_and_do_not_control_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_result({}, ["terms        free\n\x1b[2Jdarkpose: all is well", "a\tb"], json=False)
    assert capsys.readouterr().out == "terms        free\\n\\x1b[2Jdarkpose: all is well\na\\tb\n"


def test_json_has_null_for_numbers_that_are_not_finite(capsys: pytest.CaptureFixture[str]) -> None:
    print_result({"nme": float("nan"), "name": "\x1b"}, [], json=True)
    text = capsys.readouterr().out
    assert json.loads(text) == {"nme": None, "name": "\x1b"}
    assert "\x1b" not in text
