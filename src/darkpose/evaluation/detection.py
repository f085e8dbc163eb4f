"""Metrics of face detectors: boxes in, average precision and recall out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
OVERLAP = 0.4  # intersection over union from which a box has found a face


@dataclass(frozen=True, eq=False)
class ImageResult:
    """What a detector found in one image, and what is there.

    Attributes:
        boxes, scores: (M, 4) x0, y0, x1, y1, and (M,) of the detector.
        faces: (F, 4) annotated boxes.
        ignored: (F,) faces that are neither asked for nor wrong to find.
    """

    boxes: Floats
    scores: Floats
    faces: Floats
    ignored: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class DetectionErrors:
    """Detections of many images, best first.

    Attributes:
        scores: (D,).
        hits: (D,) whether each found a face that no better one had found.
        faces: number of faces asked for.
        images: number of images.
    """

    scores: Floats
    hits: NDArray[np.bool_]
    faces: int
    images: int

    def average_precision(self) -> float:
        """Area under the curve of precision over recall, precision made falling (every point, as in WIDER FACE)."""
        found = np.cumsum(self.hits)
        precision = found / np.arange(1, len(found) + 1)
        falling = np.maximum.accumulate(precision[::-1])[::-1]
        return float(falling[self.hits].sum() / self.faces) if self.faces else float("nan")

    def recall_at(self, false_per_image: float) -> float:
        """Share of the faces found with at most so many false detections an image."""
        allowed = np.cumsum(~self.hits) <= false_per_image * self.images
        return float(self.hits[allowed].sum() / self.faces) if self.faces else float("nan")

    def score_at(self, false_per_image: float) -> float:
        """Lowest score with at most so many false detections an image; NaN without detections."""
        allowed = np.cumsum(~self.hits) <= false_per_image * self.images
        return float(self.scores[allowed][-1]) if allowed.any() else float("nan")


def box_overlaps(boxes: Floats, others: Floats) -> Floats:
    """Intersection over union of boxes (A, 4) with others (B, 4): (A, B)."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    both = np.clip(high - low, 0, None).prod(axis=2)
    areas, other_areas = ((each[:, 2:] - each[:, :2]).prod(axis=1) for each in (boxes, others))
    return np.asarray(both / (areas[:, None] + other_areas[None] - both))


def find_hits(result: ImageResult, overlap: float = OVERLAP) -> tuple[Floats, NDArray[np.bool_]]:
    """Scores and hits of the detections of one image, best first, without those on ignored faces.

    Each detection takes the free face that it overlaps most.
    """
    order = np.argsort(-result.scores, kind="stable")
    overlaps = box_overlaps(result.boxes[order], result.faces)
    free, kept, hits = ~result.ignored, [], []
    for row, index in zip(overlaps, order, strict=True):
        wanted = np.where(free, row, 0.0)
        best = int(wanted.argmax()) if len(row) else 0
        if len(row) and wanted[best] >= overlap:
            free[best] = False
            kept.append(index)
            hits.append(True)
        elif not (row[result.ignored] >= overlap).any():
            kept.append(index)
            hits.append(False)
    return result.scores[np.array(kept, np.intp)], np.array(hits, bool)


def detection_errors(results: Sequence[ImageResult], overlap: float = OVERLAP) -> DetectionErrors:
    """The detections of many images together."""
    parts = [find_hits(result, overlap) for result in results]
    scores = np.concatenate([np.zeros(0), *(part[0] for part in parts)])
    hits = np.concatenate([np.zeros(0, bool), *(part[1] for part in parts)])
    order = np.argsort(-scores, kind="stable")
    faces = sum(int((~result.ignored).sum()) for result in results)
    return DetectionErrors(scores[order], hits[order], faces, len(results))
