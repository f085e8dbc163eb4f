"""The choice of a detector."""

from hashlib import sha256
from pathlib import Path

import pytest

from darkpose.detect.detector import detector_facts, kind_of, named_detector
from darkpose.detect.face_detector import FaceDetector
from darkpose.detect.haar import Haar
from darkpose.detect.tiles import Tiled
from darkpose.detect.yunet import YUNET_SHA256, YuNet
from darkpose.errors import DarkposeError
from darkpose.runtime.open import Engine
from darkpose.weights.face_detector import open_face_detector
from darkpose.weights.zoo import shipped_file


def test_detectors_are_found_by_name(shared_data: Path) -> None:
    file = shared_data / "yunet_n_320_320.onnx"
    assert isinstance(named_detector("haar"), Haar)
    assert isinstance(named_detector(str(file)), YuNet)
    assert isinstance(named_detector("darkpose"), FaceDetector)
    assert isinstance(named_detector(str(shipped_file("face-detector"))), FaceDetector)
    assert isinstance(named_detector("auto"), FaceDetector)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(DarkposeError, match=r"\"auto\".*got 'mtcnn'"):
        named_detector("mtcnn")


def test_whose_boxes_are_given_is_known_without_loading_a_detector(tmp_path: Path) -> None:
    for name, kind in (("auto", "darkpose"), ("yunet", "yunet"), ("haar", "haar"), ("darkpose", "darkpose")):
        assert kind_of(name) == kind
    for name, kind in (("own.safetensors", "darkpose"), ("own.onnx", "yunet")):
        (tmp_path / name).touch()
        assert kind_of(str(tmp_path / name)) == kind
    with pytest.raises(DarkposeError, match="got 'mtcnn'"):
        kind_of("mtcnn")


def test_weights_of_landmarks_are_no_detector() -> None:
    with pytest.raises(DarkposeError, match=r"expected a face detector of darkpose.*a landmark network"):
        named_detector(str(shipped_file("300w-small-dark")))


def test_the_facts_of_darkposes_detector_name_its_file_and_settings() -> None:
    facts = detector_facts(FaceDetector(threshold=0.4))
    assert facts["detector_sha256"] == sha256(shipped_file("face-detector").read_bytes()).hexdigest()
    assert (facts["detector"], facts["detector_threshold"], facts["detector_side"]) == ("darkpose", 0.4, 640)


def test_a_file_that_was_cut_is_refused_and_the_runtime_says_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = open_face_detector().path.read_bytes()
    (tmp_path / "own.safetensors").write_bytes(data)
    file = open_face_detector(tmp_path / "own.safetensors")
    file.path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DarkposeError, match="not a readable safetensors file"):
        FaceDetector(file, Engine("onnxruntime"))
    assert not capfd.readouterr().err


def test_the_facts_of_a_detector_on_tiles_are_those_of_the_detector() -> None:
    one, other = FaceDetector(), FaceDetector(threshold=0.4)
    assert detector_facts(Tiled(one)) == detector_facts(one) != detector_facts(Tiled(other))
    assert detector_facts(Tiled(Haar())) == detector_facts(Haar())


def test_the_facts_of_yunet_name_its_file_and_settings(shared_data: Path) -> None:
    facts = detector_facts(YuNet(shared_data / "yunet_n_320_320.onnx", threshold=0.5))
    assert facts["detector_sha256"] == YUNET_SHA256
    assert (facts["detector"], facts["detector_threshold"], facts["detector_longest_side"]) == ("yunet", 0.5, 1024)
    assert detector_facts(Haar()) == {
        "detector": "haar",
        "detector_correction": {"shift": (0.0, 0.156), "scale": 0.893},
    }
