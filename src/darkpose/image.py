"""Pixels: reading photographs, cutting crops, normalising them."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkpose.errors import DarkposeError

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Normalisation:
    """Per-channel mean and standard deviation of RGB in [0, 1]; the defaults are ImageNet's."""

    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __call__(self, crops: Pixels) -> NDArray[np.float32]:
        """(N, H, W, 3) uint8 RGB -> (N, 3, H, W) float32."""
        scale = 1 / (255 * np.asarray(self.std, np.float32))
        offset = np.asarray(self.mean, np.float32) / np.asarray(self.std, np.float32)
        return np.ascontiguousarray((crops * scale - offset).transpose(0, 3, 1, 2))


def read_image(path: Path) -> Pixels:
    """Decode an image file to (H, W, 3) RGB; EXIF orientation is applied."""
    data = np.fromfile(path, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if data.size else None
    if image is None:
        raise DarkposeError(f"{path}: not an image that OpenCV can decode")
    return np.asarray(image, np.uint8)


def warp(image: Pixels, matrix: ArrayLike, size: tuple[int, int]) -> Pixels:
    """Cut a crop: bilinear, black outside the image.

    Args:
        image: (H, W, 3) RGB.
        matrix: (2, 3), image px to crop px.
        size: (width, height) of the crop.
    """
    warped = cv2.warpAffine(image, np.asarray(matrix, np.float64), size, flags=cv2.INTER_LINEAR)
    return np.asarray(warped, np.uint8)
