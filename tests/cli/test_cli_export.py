import json
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
