"""The result of a command on standard output."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from darkpose import cli
from darkpose.cli.result import print_result


def test_texts_from_files_add_no_lines_and_do_not_control_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_result({}, ["terms        free\n\x1b[2Jdarkpose: all is well", "a\tb"], json=False)
    assert capsys.readouterr().out == "terms        free\\n\\x1b[2Jdarkpose: all is well\na\\tb\n"


def test_json_has_null_for_numbers_that_are_not_finite(capsys: pytest.CaptureFixture[str]) -> None:
    print_result({"nme": float("nan"), "name": "\x1b"}, [], json=True)
    text = capsys.readouterr().out
    assert json.loads(text) == {"nme": None, "name": "\x1b"}
    assert "\x1b" not in text


def test_every_command_prints_through_one_file() -> None:
    folder = Path(cli.__file__).parent
    printing = {
        file.name
        for file in folder.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
    }
    assert printing == {"result.py"}


@pytest.mark.parametrize(
    ("name", "told"),
    [("gesicht-ä.png", "gesicht-\\xe4.png"), ("two\nlines.png", "two\\nlines.png"), ("\udcff.png", "\\xff.png")],
    ids=["a letter that the terminal lacks", "an end of line", "no UTF-8"],
)
def test_a_name_that_a_terminal_cannot_show_is_written_in_letters_that_it_has(
    name: str, told: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "darkpose", "predict", name],
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.decode("ascii").strip() == (
        f"darkpose: {told}: there is no such file or folder, or no permission to see it"
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_result_that_cannot_be_printed_is_one_line() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "darkpose", "models"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "No space left" in done.stderr
