"""Finding faces, and what a detector's box means.

The network was trained on crops around landmarks. A detector draws another box around the same face, so every detector
here comes with the measured way from its boxes to landmark boxes (`benchmarks/detector_boxes.py` measures it).
"""

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkpose.errors import DarkposeError
from darkpose.files.download import cache_folder, fetch
from darkpose.image.opencv import cv2
from darkpose.image.pixels import Pixels

YUNET_FILE = "yunet_n_320_320.onnx"
YUNET_URL = (
    "https://github.com/ShiqiYu/libfacedetection.train/raw/0047ac24afb1a50a0c6105001c89d1b5b805dbf1/onnx/" + YUNET_FILE
)
YUNET_SHA256 = "81dbde155e982455488235acb8ec2dec5d647edf7cf7080d33e4abb69b93a0d2"


@dataclass(frozen=True)
class BoxCorrection:
    """From a detector's box to the box that landmarks would have: both squares.

    Attributes:
        shift: of the centre, (x, y) as shares of the detector box's longer side.
        scale: side of the landmark box over the longer side of the detector's.
    """

    shift: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0

    def __call__(self, boxes: ArrayLike) -> NDArray[np.float64]:
        """(M, 4) detector boxes -> (M, 4) square boxes, both x0, y0, x1, y1 in image px."""
        boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
        side = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True)
        center = (boxes[:, :2] + boxes[:, 2:]) / 2 + np.asarray(self.shift) * side
        half = self.scale * side / 2
        return np.concatenate([center - half, center + half], axis=1)


class Detections(NamedTuple):
    """Faces in one image: boxes (M, 4) float64 x0, y0, x1, y1 in image px; scores (M,) float64, best first."""

    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]


class Detector(Protocol):
    """Finds faces in an image and says how its boxes relate to landmarks."""

    name: str
    correction: BoxCorrection

    def __call__(self, image: Pixels) -> Detections:
        """Faces in an image (H, W, 3) uint8 RGB."""
        ...


class _ThreadsYuNet(threading.local):
    """YuNet as OpenCV runs it, made anew in every thread that asks: it keeps the size that it was last told."""

    def __init__(self, model: bytes, threshold: float) -> None:
        self._made_of = (model, threshold)
        nothing = np.zeros(0, np.uint8)
        self.net = cv2.FaceDetectorYN.create("onnx", np.frombuffer(model, np.uint8), nothing, (320, 320), threshold)

    def __reduce__(self) -> tuple[type, tuple[bytes, float]]:
        return type(self), self._made_of


class _ThreadsHaar(threading.local):
    """The cascade as OpenCV runs it, made anew in every thread that asks: it keeps the picture that it is searching."""

    def __init__(self) -> None:
        file = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_alt2.xml"
        self.cascade = cv2.CascadeClassifier(str(file))

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return type(self), ()


class YuNet:
    """YuNet (Wu, Peng, Yu, "YuNet: A Tiny Millisecond-level Face Detector", 2023) through `cv2.FaceDetectorYN`."""

    name = "yunet"
    correction = BoxCorrection(shift=(0.0, 0.128), scale=0.778)

    def __init__(self, path: Path, *, threshold: float = 0.6, longest_side: int = 1024) -> None:
        """Load the ONNX file; images whose longer side exceeds `longest_side` px are searched at that size."""
        if not path.is_file():
            raise DarkposeError(f"{path}: expected the YuNet file {YUNET_FILE} there")
        try:
            self._own = _ThreadsYuNet(path.read_bytes(), threshold)
        except cv2.error as error:
            raise DarkposeError(f"{path}: OpenCV cannot load it as a YuNet detector ({error.err})") from error
        except OSError as error:
            raise DarkposeError(f"{path}: it cannot be read ({error.strerror})") from error
        self._longest_side = longest_side

    def __call__(self, image: Pixels) -> Detections:
        """Faces in an image (H, W, 3) uint8 RGB."""
        scale = min(1.0, self._longest_side / max(image.shape[:2]))
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        searched = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA) if scale < 1 else bgr
        right, below = (max(0, 64 - side) for side in size)  # OpenCV reads stray memory on one row of cells
        searched = cv2.copyMakeBorder(searched, 0, below, 0, right, cv2.BORDER_CONSTANT)
        self._own.net.setInputSize(searched.shape[1::-1])
        _, found = self._own.net.detect(searched)
        rows = np.zeros((0, 15)) if found is None else np.asarray(found, np.float64)
        per_axis = np.array(image.shape[1::-1]) / size
        corners = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
        return _best_first(corners * np.tile(per_axis, 2), rows[:, 14])


class Haar:
    """OpenCV 4's own frontal Haar cascade (Viola, Jones, CVPR 2001): always there, misses turned faces."""

    name = "haar"
    correction = BoxCorrection(shift=(0.0, 0.156), scale=0.893)

    def __init__(self) -> None:
        self._own = _ThreadsHaar()

    def __call__(self, image: Pixels) -> Detections:
        """Faces in an image (H, W, 3) uint8 RGB."""
        grey = cv2.equalizeHist(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
        smallest = max(24, min(image.shape[:2]) // 20)
        found, _, weights = self._own.cascade.detectMultiScale3(
            grey, scaleFactor=1.1, minNeighbors=5, minSize=(smallest, smallest), outputRejectLevels=True
        )
        rows = np.asarray(found, np.float64).reshape(-1, 4)
        corners = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:]], axis=1)
        return _best_first(corners, np.asarray(weights, np.float64).reshape(-1))


def _best_first(boxes: NDArray[np.float64], scores: NDArray[np.float64]) -> Detections:
    order = np.argsort(-scores, kind="stable")
    return Detections(boxes[order], scores[order])


def find_yunet() -> Path:
    """Path of the YuNet file: $DARKPOSE_YUNET, else the cache folder, downloading it there once.

    Raises:
        DarkposeError: it is not there and cannot be had.
    """
    if given := os.environ.get("DARKPOSE_YUNET"):
        return Path(given)
    return fetch(YUNET_URL, cache_folder() / YUNET_FILE, sha256_prefix=YUNET_SHA256)


def named_detector(name: str) -> Detector | None:
    """A detector by what a user calls it: "haar", "yunet", the path of a YuNet file; None for "auto", the best one.

    Raises:
        DarkposeError: the file cannot be had or loaded.
    """
    if name == "auto":
        return None
    if name == "haar":
        return Haar()
    if name != "yunet" and not Path(name).is_file():
        raise DarkposeError(f'the detector must be "auto", "yunet", "haar" or the path of a YuNet file, got {name!r}')
    return YuNet(find_yunet() if name == "yunet" else Path(name))


def best_detector() -> tuple[Detector, str]:
    """YuNet where its file can be had, else Haar; and a sentence that says why, empty for YuNet."""
    try:
        return YuNet(find_yunet()), ""
    except DarkposeError as error:
        return Haar(), f"faces are found by OpenCV's Haar cascade, which misses turned faces; YuNet: {error}"
