"""Detected boxes, and the correction that turns them into landmark boxes."""

from collections.abc import Sequence
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
    """Faces in one image, best first.

    Attributes:
        boxes: (M, 4) float64 x0, y0, x1, y1, image px.
        scores: (M,) float64.
        crop_boxes: (M, 4) likewise, of landmarks in the frame of each face; None: to be corrected from `boxes`.
        rolls: (M,) float64, degrees by which the faces are turned clockwise on the screen; None: not known.
    """

    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    crop_boxes: NDArray[np.float64] | None = None
    rolls: NDArray[np.float64] | None = None

    @classmethod
    def sorted(cls, boxes: NDArray[np.float64], scores: NDArray[np.float64]) -> "Detections":
        """Boxes (M, 4) and scores (M,), sorted by score, best first."""
        return cls(boxes, scores).part(np.argsort(-scores, kind="stable"))

    def landmark_boxes(self, correction: BoxCorrection) -> NDArray[np.float64]:
        """(M, 4) to cut crops around: those that the detector knows, else its boxes as `correction` corrects them."""
        return correction(self.boxes) if self.crop_boxes is None else self.crop_boxes

    def part(self, which: NDArray[np.intp] | NDArray[np.bool_]) -> "Detections":
        """Some of the faces, or all in another order."""
        return Detections(*(None if each is None else each[which] for each in self))  # type: ignore[arg-type]

    def moved(self, factor: NDArray[np.float64], shift: NDArray[np.float64]) -> "Detections":
        """The faces with boxes (box + shift) * factor, both (2,): from a tile of a smaller image into the image."""
        boxes, crop_boxes = (
            None if each is None else (each + np.tile(shift, 2)) * np.tile(factor, 2)
            for each in (self.boxes, self.crop_boxes)
        )
        return Detections(boxes, self.scores, crop_boxes, self.rolls)  # type: ignore[arg-type]

    @classmethod
    def joined(cls, parts: Sequence["Detections"]) -> "Detections":
        """The faces of several detections by one detector, best first."""
        fields = (None if each[0] is None else np.concatenate(each) for each in zip(*parts, strict=True))
        joined = cls(*fields)  # type: ignore[arg-type]
        return joined.part(np.argsort(-joined.scores, kind="stable"))
