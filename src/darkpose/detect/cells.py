"""Cells of the face detector's network -> faces: the same for every runtime."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darkpose.image.opencv import cv2
from darkpose.weights.face_detector import CELL_STRIDES, LEAST_SHRUNK, SCALES

Floats = NDArray[np.float64]
MOST = 2000  # cells that are compared with each other, best first
OVERLAP = 0.4  # of two faces, intersection over union: the less sure one is left out
LARGEST = 8.0  # logarithm of a width or height in cells


@dataclass(frozen=True, eq=False)
class FoundFaces:
    """Faces as landmark boxes in the frame of the face.

    Attributes:
        center: (M, 2) of the boxes, px.
        size: (M, 2) width and height of the boxes, px.
        roll: (M,) radians by which the face is turned clockwise on the screen.
        scores: (M,) from 0 to 1.
    """

    center: Floats
    size: Floats
    roll: Floats
    scores: Floats

    def part(self, which: NDArray[np.intp] | NDArray[np.bool_]) -> "FoundFaces":
        """Some of the faces."""
        return FoundFaces(self.center[which], self.size[which], self.roll[which], self.scores[which])

    def upright_boxes(self) -> Floats:
        """(M, 4) x0, y0, x1, y1 around the ellipses that fill the boxes: upright boxes of faces at any roll."""
        cos, sin = np.cos(self.roll)[:, None], np.sin(self.roll)[:, None]
        half = np.hypot(self.size * cos, self.size[:, ::-1] * sin) / 2
        return np.concatenate([self.center - half, self.center + half], axis=1)

    def square_boxes(self) -> Floats:
        """(M, 4) x0, y0, x1, y1 of squares with the longer side of the boxes."""
        half = self.size.max(axis=1, keepdims=True) / 2
        return np.concatenate([self.center - half, self.center + half], axis=1)


def faces_of(cells: NDArray[np.float32], size: tuple[int, int], threshold: float) -> FoundFaces:
    """Faces in the cells of one image, with duplicates; px of the image that the network saw.

    Args:
        cells: (7, C), see `runtime.face_detector.open_cells`.
        size: (width, height) of that image, multiples of `MULTIPLE`.
        threshold: lowest score.
    """
    chosen = np.flatnonzero(cells[0] >= np.log(threshold / (1 - threshold)))
    places, strides, least = (each[chosen] for each in _grids(size))
    values, stride = cells[:, chosen].astype(np.float64), strides[:, None]
    center = np.asarray((places + values[1:3].T) * stride, np.float64)
    extent = np.asarray(np.exp(np.clip(values[3:5].T, -LARGEST, LARGEST)) * stride, np.float64)
    faces = FoundFaces(center, extent, np.arctan2(values[6], values[5]), 1 / (1 + np.exp(-values[0])))
    return faces.part(np.sqrt(extent.prod(axis=1)) >= least)


def _grids(size: tuple[int, int]) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """Column and row (C, 2), stride (C,), and side (C,) of the smallest face, px, of every cell."""
    places, strides, least = [], [], []
    for stride, smallest in all_strides():
        width, height = size[0] // stride, size[1] // stride
        rows, columns = np.divmod(np.arange(width * height), width)
        places.append(np.stack([columns, rows], axis=1))
        strides.append(np.full(width * height, stride))
        least.append(np.full(width * height, smallest))
    return np.concatenate(places), np.concatenate(strides), np.concatenate(least)


def all_strides() -> list[tuple[int, float]]:
    """Of the grids of all `SCALES`: px per cell, and side of the smallest face that is taken from them, px."""
    return [
        (scale * stride, 0.0 if scale == 1 else scale * LEAST_SHRUNK) for scale in SCALES for stride in CELL_STRIDES
    ]


def without_duplicates(faces: FoundFaces) -> FoundFaces:
    """Each face once, best first. Faces are compared as squares of the same area, whatever their roll."""
    faces = faces.part(np.argsort(-faces.scores, kind="stable")[:MOST])
    side = np.sqrt(faces.size.prod(axis=1, keepdims=True))
    squares = np.concatenate([faces.center - side / 2, np.repeat(side, 2, axis=1)], axis=1)
    kept = cv2.dnn.NMSBoxes(squares.tolist(), faces.scores.tolist(), 0.0, OVERLAP)
    return faces.part(np.asarray(kept, np.intp).reshape(-1))
