"""Small faces: any detector on overlapping tiles of an image, at its full size and at halves of it."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkpose.detect.boxes import BoxCorrection, Detections
from darkpose.detect.detector import Detector, smallest_face
from darkpose.image.opencv import cv2
from darkpose.image.pixels import Pixels

TILE, OVERLAP = 480, 160  # px; at some level every face is half to wholly as large as the overlap, so in one tile
SAME_FACE = 0.4  # intersection over union, or 0.8 of the smaller box


class Tiled:
    """A detector that finds smaller faces, in more time: that of a tile for every 0.1 megapixels, by a third more.

    One tile is searched at a time, so it takes little memory.
    """

    def __init__(self, detector: Detector) -> None:
        self.name: str = detector.name
        self.correction: BoxCorrection = detector.correction
        self.settings: dict[str, Any] = getattr(detector, "settings", {})
        self._detector = detector

    def smallest(self, size: tuple[int, int]) -> float | None:
        """Side in px of the smallest faces that are mostly found; None: not known."""
        return smallest_face(self._detector, (min(size[0], TILE), min(size[1], TILE)))

    def __call__(self, image: Pixels) -> Detections:
        """Faces in an image (H, W, 3) uint8 RGB: of the whole image, and of every tile."""
        return find_in_tiles(self._detector, image)


def find_in_tiles(detect: Callable[[Pixels], Detections], image: Pixels) -> Detections:
    """Faces that `detect` finds in the whole image and in tiles of it, each once.

    Args:
        detect: finds faces in an image (H, W, 3) uint8 RGB.
        image: (H, W, 3) uint8 RGB.
    """
    parts = [detect(image)]
    level = image
    while max(level.shape[:2]) > TILE:
        factor = np.array(image.shape[1::-1]) / level.shape[1::-1]
        for x, y in _corners(level.shape[:2]):
            tile = np.ascontiguousarray(level[y : y + TILE, x : x + TILE])
            found = detect(tile)
            kept = found.part(_uncut(found.boxes, tile, (x, y), level))
            parts.append(kept.moved(factor, np.array([x, y])))
        level = np.asarray(cv2.resize(level, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
    return _once(Detections.joined(parts))


def _corners(shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """The corners (x, y) of the tiles of an image of this shape (H, W)."""
    down, across = (
        [*range(0, max(side - TILE, 0), TILE - OVERLAP), max(side - TILE, 0)] for side in (shape[0], shape[1])
    )
    for y in down:
        for x in across:
            yield x, y


def _uncut(boxes: NDArray[np.float64], tile: Pixels, corner: tuple[int, int], image: Pixels) -> NDArray[np.bool_]:
    """Which boxes (M, 4) of a tile do not reach one of its edges inside the image: those would be parts of faces."""
    (height, width), (x, y) = tile.shape[:2], corner
    low = np.where(np.array([x, y]) > 0, 1.0, -np.inf)
    ends = x + width < image.shape[1], y + height < image.shape[0]
    high = np.where(ends, np.array([width, height]) - 1.0, np.inf)
    return np.asarray((boxes[:, :2] >= low).all(axis=1) & (boxes[:, 2:] <= high).all(axis=1))


def _once(found: Detections) -> Detections:
    """The best of the boxes that are the same face."""
    boxes, kept = found.boxes, list[int]()
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    for number, box in enumerate(boxes):
        others = boxes[kept]
        sides = np.minimum(others[:, 2:], box[2:]) - np.maximum(others[:, :2], box[:2])
        shared = sides.clip(min=0).prod(axis=1)
        joined = areas[kept] + areas[number] - shared
        smaller = np.minimum(areas[kept], areas[number])
        if not ((shared > SAME_FACE * joined) | (shared > 0.8 * smaller)).any():
            kept.append(number)
    return found.part(np.array(kept, np.intp))
