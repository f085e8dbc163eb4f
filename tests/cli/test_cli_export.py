import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from darkpose.cli.app import main

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def ended_with(call: list[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        main(call)
    code = ended.value.code
    return code if isinstance(code, int) else 0


@pytest.mark.usefixtures("offline")
def test_an_export_is_verified_and_told_of(
    small_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "landmarks.onnx"
    assert ended_with(["export", str(small_weights), str(file), "--method", "quarter", "--json"]) == 0
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert told["file"] == file.name
    assert told["verified"] is True
    assert "darkpose: " in printed.err
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "landmarks.onnx",
        "landmarks.onnx.parity.json",
        "landmarks.onnx.parity.png",
    ]


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["nowhere/x.onnx"], "nowhere"),
        (["x.txt"], "x.txt"),
        (["x.onnx", "--precision", "int8"], "int8 takes its scales from faces"),
        (["x.onnx", "--schema", "wflw-98"], "wflw-98"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(
    more: list[str],
    message: str,
    small_weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert ended_with(["export", str(small_weights), *more]) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told.startswith("darkpose: ")
    assert message in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("offline")
def test_photographs_that_cannot_be_used_are_named_and_counted(
    small_weights: Path, astronaut: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photographs, broken = tmp_path / "photographs", tmp_path / "photographs" / "broken.jpg"
    photographs.mkdir()
    (photographs / "face.png").symlink_to(astronaut)
    broken.write_bytes(b"no picture")
    call = ["export", str(small_weights), str(tmp_path / "x.onnx"), "--method", "quarter", "--faces", str(photographs)]
    assert ended_with(call) == 0
    told = capsys.readouterr().err
    assert told.count(f"darkpose: {broken}: not an image") == 1
    assert "darkpose: of 2 photographs 1 could not be used, 0 without a face\n" in told
    (photographs / "face.png").unlink()
    assert ended_with([*call[:2], str(tmp_path / "y.onnx"), "--faces", str(photographs), "--precision", "int8"]) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert "expected photographs with at least 12 faces, found 0 in 1 files by darkpose: 1 could not be used" in told
    assert not (tmp_path / "y.onnx").exists()


@pytest.mark.parametrize(
    ("name", "told"), [("nätz.onnx", "n\\xe4tz.onnx"), ("two\nlines.onnx", "two\\nlines.onnx")], ids=["letter", "line"]
)
def test_the_line_about_an_exported_detector_suits_every_terminal(name: str, told: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "darkpose", "export", "detector", name],
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode("ascii").splitlines()[0].startswith(f"{told}: the face detector, ")
    assert done.stdout.count(b"\n") == 1
    assert (tmp_path / name).exists()
