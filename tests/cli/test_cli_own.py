"""Landmarks of your own, by commands: mistakes, and every command of the tutorial on a small set."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import call, run

pytest.importorskip("torch")
ROOT = Path(__file__).parents[2]
TUTORIAL = (ROOT / "docs" / "own-landmarks.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "expected a recipe with --root, or your own annotations with --data"),
        (["train", "300w-128"], "expected a recipe with --root, or your own annotations with --data"),
        (["train", "300w-128", "--data", "x.json"], "--data is trained on without a recipe, got '300w-128'"),
        (["train", "--data", "x.json"], "give the folder of the run with --out"),
        (["train", "--data", "x.json", "--out", "o", "--time", "soon"], "expected a duration like 3600, 90m or 7.5h"),
        (["train", "--data", "none.json", "--out", "o"], "none.json: "),
        (["evaluate", "wflw-test", "--data", "x.json", "--weights", "default"], "--data is measured without a recipe"),
        (
            ["evaluate", "--weights", "default"],
            "expected the folder of a data set with --root, or your own annotations",
        ),
    ],
)
def test_a_mistake_is_one_line(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = call(capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert not list(tmp_path.iterdir())


def tutorial() -> list[list[str]]:
    """The commands of the part to try, for fewer clocks and seconds."""
    part = TUTORIAL[TUTORIAL.index("## Try it") :]
    block = re.findall(r"```\n(.*?)```", part, re.DOTALL)[0]
    small = (
        block.replace("clocks 400", "clocks 30").replace("more-clocks 100 1", "more-clocks 5 1").replace("10m", "1s")
    )
    assert small.count(" 30") == small.count(" 5 1") == small.count("1s") == 1
    return [shlex.split(line) for line in small.splitlines()]


@pytest.mark.slow
def test_the_commands_of_the_tutorial_run_one_after_the_other(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    for program, *arguments in tutorial():
        if program == "python":
            script = ROOT / arguments[0]
            done = subprocess.run(
                [sys.executable, script, *arguments[1:]], cwd=tmp_path, capture_output=True, text=True, check=False
            )
        else:
            assert program == "darkpose"
            done = run(*arguments, cwd=tmp_path)
        assert done.returncode in (0, 1) if arguments[0] == "evaluate" else done.returncode == 0, done.stderr
    assert (tmp_path / "clocks.onnx").exists()
    assert {path.name for path in (tmp_path / "runs" / "clocks").iterdir()} >= {"weights.safetensors", "card.md"}
    boxes = ["predict", "more-clocks/images/clock-0000.jpg", "--weights", "runs/clocks", "--boxes", "20,20,220,220"]
    done = run(*boxes, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert '"names": ["middle", "hour_hand", "minute_hand", "twelve"]' in done.stdout
    done = run(*boxes[:4], cwd=tmp_path)
    assert done.returncode == 1
    assert "give the boxes" in done.stderr
