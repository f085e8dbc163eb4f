import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from darkpose.deploy.export import ExportOptions
from darkpose.deploy.export_file import Exported, export_file
from darkpose.deploy.run_file import FileRunner, file_runtimes, open_file
from darkpose.detect.haar import Haar
from darkpose.errors import DarkposeError
from darkpose.network.load import load_checkpoint

pytest.importorskip("onnxruntime")


def test_the_shipped_weights_keep_the_budget_in_every_runtime(exported_small: Path) -> None:
    report = json.loads(exported_small.with_name("300w-small-dark.onnx.parity.json").read_text())
    assert report["verified"]
    assert report["outputs"] == ["keypoints", "scores", "covariance", "heatmaps"]
    assert report["faces"] == "8 faces drawn by darkpose"
    assert report["weights"]["name"] == "300w-small-dark"
    assert "research" in report["weights"]["terms"]
    assert len(report["runtimes"]) == len(file_runtimes())
    for each in report["runtimes"]:
        assert each["crop_px"]["max"] < 0.005
        assert each["scores"]["max"] < 1e-3
        assert len(each["landmarks_image_px"]) == 68
    picture = cv2.imread(str(exported_small.with_name("300w-small-dark.onnx.parity.png")))
    assert picture is not None
    assert {file.name for file in exported_small.parent.iterdir()} == {
        "300w-small-dark.onnx",
        "300w-small-dark.onnx.parity.json",
        "300w-small-dark.onnx.parity.png",
    }


def shifted(runner: FileRunner, by: float) -> FileRunner:
    def run(crops: np.ndarray, matrices: np.ndarray) -> dict[str, np.ndarray]:
        found = runner.run(crops, matrices)
        return {**found, "keypoints": found["keypoints"] + np.float32(by)}

    return FileRunner(runner.card, runner.name, run)


def exported_small(small_weights: Path, out: Path, by: float, monkeypatch: pytest.MonkeyPatch) -> Exported:
    """Export a quick network, whose file seems to be off by so many px."""
    monkeypatch.setattr("darkpose.deploy.export_file.open_file", lambda *file: shifted(open_file(*file), by))
    monkeypatch.setattr("darkpose.deploy.export_file.COMPARED", 2)
    return export_file(load_checkpoint(small_weights), out, ExportOptions(method="argmax"))


def test_a_file_that_differs_from_torch_is_named_unverified(
    small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = exported_small(small_weights, tmp_path / "good.onnx", 0.0, monkeypatch)
    assert good.verified
    assert good.file == tmp_path / "good.onnx"
    assert good.file.is_file()
    bad = exported_small(small_weights, tmp_path / "bad.onnx", 3.0, monkeypatch)
    assert not bad.verified
    assert bad.file == tmp_path / "bad.onnx.unverified"
    assert bad.file.is_file()
    assert not (tmp_path / "bad.onnx").exists()
    assert json.loads((tmp_path / "good.onnx.parity.json").read_text())["verified"]
    report = json.loads((tmp_path / "bad.onnx.unverified.parity.json").read_text())
    assert not report["verified"]
    assert report["file"] == "bad.onnx.unverified"
    assert "at most" in "\n".join(bad.lines())


def test_what_cannot_be_written_is_refused_before_the_work(small_weights: Path, tmp_path: Path) -> None:
    checkpoint, options = load_checkpoint(small_weights), ExportOptions()
    (tmp_path / "folder.onnx").mkdir()
    for out, message in (
        (tmp_path / "x.tflite", r"expected a name that ends in \.onnx or \.pt2, got '\.tflite'"),
        (tmp_path / "nowhere" / "x.onnx", "its folder does not exist or cannot be written to"),
        (tmp_path / "folder.onnx", "it is a folder"),
        (tmp_path / ("x" * 300) / "x.onnx", "its folder does not exist or cannot be written to"),
    ):
        with pytest.raises(DarkposeError, match=message):
            export_file(checkpoint, out, options)
    assert [file.name for file in tmp_path.iterdir()] == ["folder.onnx"]


def test_int8_needs_photographs_with_faces(small_weights: Path, tmp_path: Path, astronaut: Path) -> None:
    checkpoint, options = load_checkpoint(small_weights), ExportOptions(precision="int8")
    with pytest.raises(DarkposeError, match=r"photographs .* --faces"):
        export_file(checkpoint, tmp_path / "x.onnx", options)
    with pytest.raises(DarkposeError, match="at least 12 faces, found 1 in 1 files"):
        export_file(checkpoint, tmp_path / "x.onnx", options, photographs=[astronaut], detector=Haar())
    with pytest.raises(DarkposeError, match=r"int8 is for \.onnx files"):
        export_file(checkpoint, tmp_path / "x.pt2", options, photographs=[astronaut])


def test_missing_packages_are_named_before_the_work(
    small_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = load_checkpoint(small_weights)
    monkeypatch.setattr("darkpose.deploy.export_file.file_runtimes", lambda: [])
    with pytest.raises(DarkposeError, match=r"pip install 'darkpose\[onnxruntime\]' or 'darkpose\[openvino\]'"):
        export_file(checkpoint, tmp_path / "x.onnx", ExportOptions())
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(DarkposeError, match=r"pip install 'darkpose\[export\]'"):
        export_file(checkpoint, tmp_path / "x.onnx", ExportOptions())
