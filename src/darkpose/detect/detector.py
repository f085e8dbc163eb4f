"""The interface of face detectors, and the choice of one."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from darkpose.detect.boxes import BoxCorrection, Detections
from darkpose.detect.haar import Haar
from darkpose.detect.yunet import YuNet, find_yunet
from darkpose.errors import DarkposeError
from darkpose.image.pixels import Pixels


class Detector(Protocol):
    """Finds faces in an image.

    Attributes:
        name: for example "yunet".
        correction: from its boxes to landmark boxes.
    """

    name: str
    correction: BoxCorrection

    def __call__(self, image: Pixels) -> Detections:
        """Faces in an image (H, W, 3) uint8 RGB."""
        ...


def detector_facts(detector: Detector) -> dict[str, Any]:
    """JSON values of what the boxes of a detector, and the crops around them, depend on."""
    settings = detector.settings if isinstance(detector, YuNet) else {}
    facts = {**settings, "correction": asdict(detector.correction)}
    return {"detector": detector.name, **{f"detector_{name}": value for name, value in facts.items()}}


def smallest_face(detector: Detector, size: tuple[int, int]) -> float | None:
    """Side in px of the smallest faces that a detector mostly finds in images (width, height); None: not known."""
    smallest = getattr(detector, "smallest", None)
    return None if smallest is None else smallest(size)


def named_detector(name: str) -> Detector | None:
    """The detector "haar", "yunet" or a YuNet file at a path; None for "auto", the best one available.

    Raises:
        DarkposeError: the name is unknown, or the file is not available or cannot be loaded.
    """
    if name == "auto":
        return None
    if name == "haar":
        return Haar()
    if name != "yunet" and not Path(name).is_file():
        raise DarkposeError(f'the detector must be "auto", "yunet", "haar" or the path of a YuNet file, got {name!r}')
    return YuNet(find_yunet() if name == "yunet" else Path(name))


def best_detector() -> tuple[Detector, str]:
    """YuNet if its file is available, else Haar; and the reason in a sentence, empty for YuNet."""
    try:
        return YuNet(find_yunet()), ""
    except DarkposeError as error:
        return Haar(), f"faces are found by OpenCV's Haar cascade, which misses turned faces; YuNet: {error}"
