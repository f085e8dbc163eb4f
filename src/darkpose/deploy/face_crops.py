"""Crops of faces, drawn or found in photographs, on which exported files are compared."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from darkpose.datasets.drawn_face import draw_face
from darkpose.detect.detector import Detector
from darkpose.errors import DarkposeError
from darkpose.image.geometry import Floats, landmark_box
from darkpose.image.pixels import Pixels, cut_crops, read_image
from darkpose.weights.checkpoint import CheckpointConfig


class FaceCrops(NamedTuple):
    """Crops of N faces.

    Attributes:
        crops: (N, S, S, 3) uint8 RGB.
        center: (N, 2) and
        sides: (N, 2) of the crops, image px.
        source: where the faces come from, for people.
    """

    crops: Pixels
    center: Floats
    sides: Floats
    source: str

    def part(self, start: int, end: int | None = None) -> "FaceCrops":
        """Some of the faces."""
        return FaceCrops(self.crops[start:end], self.center[start:end], self.sides[start:end], self.source)


def drawn_crops(count: int, config: CheckpointConfig) -> FaceCrops:
    """Faces drawn by darkpose, always the same."""
    faces = [draw_face(0, index) for index in range(count)]
    boxes = [landmark_box(face.keypoints) for face in faces]
    crops, center, sides = cut_crops((face.image for face in faces), boxes, config.crop_size, config.padding)
    return FaceCrops(np.stack(list(crops)), center, sides, f"{count} faces drawn by darkpose")


def found_crops(
    files: Sequence[Path], config: CheckpointConfig, detector: Detector, count: int, *, least: int = 1
) -> FaceCrops:
    """Up to `count` faces found in photographs, the best detection of each; files that are not images are skipped.

    Raises:
        DarkposeError: fewer than `least` faces are found.
    """
    found = list(islice(_best_faces(files, detector), count))
    if len(found) < max(least, 1):
        raise DarkposeError(
            f"expected photographs with at least {max(least, 1)} faces, found {len(found)} in {len(files)} files"
        )
    boxes = [box for _, box in found]
    crops, center, sides = cut_crops((image for image, _ in found), boxes, config.crop_size, config.padding)
    source = f"{len(found)} faces found in {len(files)} photographs by {detector.name}"
    return FaceCrops(np.stack(list(crops)), center, sides, source)


def _best_faces(files: Sequence[Path], detector: Detector) -> Iterator[tuple[Pixels, Floats]]:
    for file in files:
        try:
            image = read_image(file)
        except DarkposeError:
            continue
        boxes = detector(image).landmark_boxes(detector.correction)
        if len(boxes):
            yield image, boxes[0]
