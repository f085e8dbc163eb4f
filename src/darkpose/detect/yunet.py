"""The YuNet detector and its file."""

import hashlib
import os
import threading
from pathlib import Path

import numpy as np

from darkpose.detect.boxes import BoxCorrection, Detections
from darkpose.errors import DarkposeError
from darkpose.files.download import cache_folder, fetch
from darkpose.image.opencv import cv2, quiet
from darkpose.image.pixels import Pixels

YUNET_FILE = "yunet_n_320_320.onnx"
YUNET_URL = (
    "https://github.com/ShiqiYu/libfacedetection.train/raw/0047ac24afb1a50a0c6105001c89d1b5b805dbf1/onnx/" + YUNET_FILE
)
YUNET_SHA256 = "81dbde155e982455488235acb8ec2dec5d647edf7cf7080d33e4abb69b93a0d2"
SMALLEST = (
    16  # px, extent of the landmarks in the image as it is searched: 50 of 60 faces of LFPW are found, at 12 px 29
)
MIN_SIDE = 64  # px; OpenCV reads outside its memory where the network's coarsest grid has one row or column


class _Network(threading.local):
    """One OpenCV network per thread: a network keeps the size of the image that it searches."""

    def __init__(self, model: bytes, threshold: float) -> None:
        self._arguments = (model, threshold)
        no_config = np.zeros(0, np.uint8)
        with quiet:
            self.face_detector = cv2.FaceDetectorYN.create(
                "onnx", np.frombuffer(model, np.uint8), no_config, (320, 320), threshold
            )

    def __reduce__(self) -> tuple[type, tuple[bytes, float]]:
        return type(self), self._arguments


class YuNet:
    """YuNet (Wu, Peng, Yu, "YuNet: A Tiny Millisecond-level Face Detector", 2023) through `cv2.FaceDetectorYN`.

    Args:
        path: of the ONNX file.
        threshold: lowest score of a face.
        longest_side: px; a larger image is searched at this size.

    Attributes:
        settings: what the boxes depend on: SHA-256 of the file, threshold and longest side; JSON values.

    Raises:
        DarkposeError: the file is missing, cannot be read or is no YuNet.
    """

    name = "yunet"
    correction = BoxCorrection(shift=(0.0, 0.128), scale=0.778)

    def __init__(self, path: Path, *, threshold: float = 0.6, longest_side: int = 1024) -> None:
        if not path.is_file():
            raise DarkposeError(f"{path}: expected the YuNet file {YUNET_FILE} there")
        try:
            model = path.read_bytes()
            self._network = _Network(model, threshold)
            self._network.face_detector.detect(np.zeros((320, 320, 3), np.uint8))  # a damaged file may fail only here
        except cv2.error as error:
            raise DarkposeError(f"{path}: OpenCV cannot load it as a YuNet detector ({error.err})") from error
        except OSError as error:
            raise DarkposeError(f"{path}: cannot be read: {error.strerror or error}") from error
        self._longest_side = longest_side
        self.settings = {
            "sha256": hashlib.sha256(model).hexdigest(),
            "threshold": threshold,
            "longest_side": longest_side,
        }

    def smallest(self, size: tuple[int, int]) -> float:
        """Side in px of the smallest faces that are mostly found in images (width, height)."""
        return SMALLEST * max(1.0, max(size) / self._longest_side)

    def __call__(self, image: Pixels) -> Detections:
        """Faces in an image (H, W, 3) uint8 RGB."""
        scale = min(1.0, self._longest_side / max(image.shape[:2]))
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        searched = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        if scale < 1:
            searched = cv2.resize(searched, size, interpolation=cv2.INTER_AREA)
        right, below = (max(0, MIN_SIDE - side) for side in size)
        searched = cv2.copyMakeBorder(searched, 0, below, 0, right, cv2.BORDER_CONSTANT)
        self._network.face_detector.setInputSize(searched.shape[1::-1])
        _, found = self._network.face_detector.detect(searched)
        rows = np.zeros((0, 15)) if found is None else np.asarray(found, np.float64)
        corners = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
        to_image = np.array(image.shape[1::-1]) / size
        return Detections.sorted(corners * np.tile(to_image, 2), rows[:, 14])


def find_yunet() -> Path:
    """Path of the YuNet file: $DARKPOSE_YUNET, else in the cache folder, downloaded once.

    Raises:
        DarkposeError: the download fails.
    """
    if given := os.environ.get("DARKPOSE_YUNET"):
        return Path(given)
    return fetch(YUNET_URL, cache_folder() / YUNET_FILE, sha256_prefix=YUNET_SHA256)
