"""The choice of a detector."""

from pathlib import Path

import pytest

from darkpose.detect.detector import best_detector, named_detector
from darkpose.detect.haar import Haar
from darkpose.detect.yunet import YuNet
from darkpose.errors import DarkposeError


@pytest.mark.usefixtures("offline")
def test_without_yunet_haar_is_used_and_the_reason_is_told() -> None:
    detector, note = best_detector()
    assert detector.name == "haar"
    assert "Haar cascade" in note
    assert "offline" in note


def test_detectors_are_found_by_name(shared_data: Path) -> None:
    file = shared_data / "yunet_n_320_320.onnx"
    assert isinstance(named_detector("haar"), Haar)
    assert isinstance(named_detector(str(file)), YuNet)
    assert named_detector("auto") is None


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(DarkposeError, match=r"\"auto\".*got 'mtcnn'"):
        named_detector("mtcnn")
