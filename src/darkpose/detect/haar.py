"""OpenCV's Haar cascade."""

import threading
from pathlib import Path

import numpy as np

from darkpose.detect.boxes import BoxCorrection, Detections
from darkpose.image.opencv import cv2
from darkpose.image.pixels import Pixels


class _Cascade(threading.local):
    """One OpenCV cascade per thread: a cascade keeps the image that it searches, so threads cannot share one."""

    def __init__(self) -> None:
        file = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_alt2.xml"
        self.classifier = cv2.CascadeClassifier(str(file))

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return type(self), ()


class Haar:
    """OpenCV's frontal Haar cascade (Viola, Jones, CVPR 2001): needs no download, misses turned faces."""

    name = "haar"
    correction = BoxCorrection(shift=(0.0, 0.156), scale=0.893)

    def __init__(self) -> None:
        self._cascade = _Cascade()

    def smallest(self, size: tuple[int, int]) -> float:
        """Side in px of the smallest faces that it searches for in images (width, height)."""
        return max(24, min(size) // 20)

    def __call__(self, image: Pixels) -> Detections:
        """Faces in an image (H, W, 3) uint8 RGB."""
        grey = cv2.equalizeHist(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
        smallest = int(self.smallest((image.shape[1], image.shape[0])))
        found, _, weights = self._cascade.classifier.detectMultiScale3(
            grey, scaleFactor=1.1, minNeighbors=5, minSize=(smallest, smallest), outputRejectLevels=True
        )
        rows = np.asarray(found, np.float64).reshape(-1, 4)
        corners = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:]], axis=1)
        return Detections.sorted(corners, np.asarray(weights, np.float64).reshape(-1))
