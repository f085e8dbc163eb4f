"""The interface of face detectors, and the choice of one."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, Protocol

from darkpose.detect.boxes import BoxCorrection, Detections
from darkpose.detect.face_detector import FaceDetector
from darkpose.detect.haar import Haar
from darkpose.detect.yunet import YuNet, find_yunet
from darkpose.errors import DarkposeError
from darkpose.files.paths import is_file
from darkpose.image.pixels import Pixels
from darkpose.runtime.open import Engine
from darkpose.weights.face_detector import open_face_detector

OWN = ("auto", "darkpose")  # names of the detector in the package
# From the boxes of the detectors to landmark boxes.
CORRECTIONS = {each.name: each.correction for each in (YuNet, FaceDetector, Haar)}


class Detector(Protocol):
    """Finds faces in an image.

    Attributes:
        name: for example "yunet".
        correction: from its boxes to landmark boxes, where its detections do not have these.

    If it has `settings`, these are JSON values of what its boxes depend on, besides its name.
    """

    name: str
    correction: BoxCorrection

    def __call__(self, image: Pixels) -> Detections:
        """Faces in an image (H, W, 3) uint8 RGB."""
        ...


def detector_facts(detector: Detector) -> dict[str, Any]:
    """JSON values of what the boxes of a detector, and the crops around them, depend on."""
    facts = {**getattr(detector, "settings", {}), "correction": asdict(detector.correction)}
    return {"detector": detector.name, **{f"detector_{name}": value for name, value in facts.items()}}


def smallest_face(detector: Detector, size: tuple[int, int]) -> float | None:
    """Side in px of the smallest faces that a detector mostly finds in images (width, height); None: not known."""
    smallest = getattr(detector, "smallest", None)
    return None if smallest is None else smallest(size)


def named_detector(name: str, engine: Engine | None = None) -> Detector:
    """A detector by its name.

    Args:
        name: "darkpose" or "auto", the detector in the package; "yunet", "haar"; or the path of a YuNet file (`.onnx`)
            or of weights of darkpose's detector (`.safetensors`).
        engine: what runs darkpose's detector; None: the fastest on this machine.

    Raises:
        DarkposeError: the name is unknown, or the file is not available or cannot be loaded.
    """
    if name in OWN:
        return FaceDetector(engine=engine)
    if name == "haar":
        return Haar()
    if name == "yunet":
        return YuNet(find_yunet())
    path = _existing(name)
    return FaceDetector(open_face_detector(path), engine) if path.suffix == ".safetensors" else YuNet(path)


def kind_of(name: str) -> Literal["yunet", "darkpose", "haar"]:
    """Which detector a name that `named_detector` takes is, without loading it.

    Raises:
        DarkposeError: the name is unknown.
    """
    if name in OWN:
        return "darkpose"
    if name == "haar":
        return "haar"
    return "yunet" if name == "yunet" or _existing(name).suffix != ".safetensors" else "darkpose"


def _existing(name: str) -> Path:
    """The path of a detector's file."""
    path = Path(name)
    if not is_file(path):
        raise DarkposeError(
            'the detector must be "auto", "darkpose", "yunet", "haar" or the path of a YuNet file (.onnx) or of '
            f"weights of darkpose's detector (.safetensors), got {name!r}"
        )
    return path
