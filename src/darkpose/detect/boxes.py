"""Detected boxes, and the correction that turns them into landmark boxes."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class BoxCorrection:
    """From a detector's box to the box that landmarks would have; both are squares.

    The networks were trained on crops around landmarks, and every detector draws its boxes differently. The numbers of
    each detector are measured by `benchmarks/detector_boxes.py`.

    Attributes:
        shift: of the centre, (x, y) as fractions of the longer side of the detector's box.
        scale: side of the landmark box divided by the longer side of the detector's box.
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

    @classmethod
    def sorted(cls, boxes: NDArray[np.float64], scores: NDArray[np.float64]) -> "Detections":
        """Boxes (M, 4) and scores (M,), sorted by score, best first."""
        order = np.argsort(-scores, kind="stable")
        return cls(boxes[order], scores[order])
