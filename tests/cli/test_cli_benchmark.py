import json
from pathlib import Path

import cv2
import pytest

from darkpose.cli.app import main
from darkpose.deploy import benchmark_ways


@pytest.mark.usefixtures("offline")
def test_a_benchmark_prints_tables_and_writes_json_and_a_picture(
    small_weights: Path,
    astronaut: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(benchmark_ways, "file_runtimes", lambda: [])
    output, picture = tmp_path / "benchmark.json", tmp_path / "benchmark.png"
    call = ["benchmark", "--weights", str(small_weights), "--images", str(astronaut), "--batch", "1", "2"]
    call += ["--rounds", "1", "--threads", "1", "--no-memory", "--output", str(output), "--plot", str(picture)]
    with pytest.raises(SystemExit) as ended:
        main(call)
    assert ended.value.code in (0, None)
    told = capsys.readouterr().out
    assert "torch eager" in told
    assert "left out: openvino: not installed: pip install 'darkpose[openvino]'" in told
    facts = json.loads(output.read_text())
    assert facts["photographs"] == "1 photograph, 0.26 megapixels (median), a face each"
    assert facts["detector"] == "darkpose"
    assert set(facts["results"]) == {"torch eager", "torch", "torch bf16"}
    assert set(facts["results"]["torch"]["ms_per_face"]) == {"1", "2"}
    assert cv2.imread(str(picture)) is not None


@pytest.mark.usefixtures("offline")
def test_a_mistake_in_a_benchmark_is_one_sentence(small_weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["benchmark", "--weights", str(small_weights), "--threads", "0"])
    assert ended.value.code == 2
    assert "threads must be a whole number of at least 1 and at most 1024, got 0" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["benchmark", "--weights", str(small_weights), "--output", "nowhere/x.json"])
    assert ended.value.code == 2
    assert "nowhere/x.json: cannot be written" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["benchmark", "--weights", str(small_weights), "--plot", str(small_weights.parent)])
    assert ended.value.code == 2
    assert f"{small_weights.parent}: cannot be written: it is a folder" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["benchmark", "--weights", str(small_weights), "--images", "face.png", "int8.onnx"])
    assert ended.value.code == 2
    assert "int8.onnx: not an image" in capsys.readouterr().err


@pytest.mark.usefixtures("offline")
def test_a_file_of_other_weights_is_not_compared(
    small_weights: Path, exported_small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["benchmark", str(exported_small), "--weights", str(small_weights), "--threads", "1"])
    assert ended.value.code == 2
    assert "exported from other weights (300w-small-dark, 300w-68) than" in capsys.readouterr().err
