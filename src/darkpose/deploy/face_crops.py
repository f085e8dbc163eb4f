"""Faces found in photographs, and crops of faces, drawn or found, on which exported files are compared."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from darkpose.datasets.drawn_face import draw_face
from darkpose.detect.detector import Detector
from darkpose.errors import DarkposeError
from darkpose.image.geometry import Floats, landmark_box
from darkpose.image.pixels import Pixels, cut_crops, read_image
from darkpose.weights.checkpoint import CheckpointConfig


class FoundFace(NamedTuple):
    """The best face of a photograph.

    Attributes:
        file: of the photograph.
        image: (H, W, 3) uint8 RGB.
        box: (4,) landmark box, image px.
    """

    file: Path
    image: Pixels
    box: Floats


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


def best_faces(
    files: Sequence[Path],
    detector: Detector,
    count: int,
    *,
    least: int = 1,
    tell: Callable[[str], object] = lambda _: None,
) -> list[FoundFace]:
    """Up to `count` faces found in photographs, the best detection of each; files that cannot be used are passed over.

    Args:
        files: looked at in this order until there are enough faces.
        detector: of the faces.
        count: most faces.
        least: fewest faces.
        tell: called with the reason for each file that cannot be used, and at the end with the numbers, for people.

    Raises:
        DarkposeError: fewer than `least` faces are found.
    """
    found: list[FoundFace] = []
    unusable = faceless = 0
    for file in files:
        if len(found) == count:
            break
        try:
            image = read_image(file)
        except DarkposeError as error:
            tell(str(error))
            unusable += 1
            continue
        boxes = detector(image).landmark_boxes(detector.correction)
        if len(boxes):
            found.append(FoundFace(file, image, boxes[0]))
        else:
            faceless += 1
    left_out = f"{unusable} could not be used, {faceless} without a face" if unusable or faceless else ""
    if len(found) < least:
        expected = f"photographs with {'a face' if least == 1 else f'at least {least} faces'}"
        where = f"in {len(files)} files by {detector.name}{': ' if left_out else ''}{left_out}"
        raise DarkposeError(f"expected {expected}, found {len(found)} {where}")
    if left_out:
        tell(f"of {len(found) + unusable + faceless} photographs {left_out}")
    return found


def found_crops(
    files: Sequence[Path],
    config: CheckpointConfig,
    detector: Detector,
    count: int,
    *,
    least: int = 1,
    tell: Callable[[str], object] = lambda _: None,
) -> FaceCrops:
    """Crops of the faces that `best_faces` finds; arguments and errors as there."""
    found = best_faces(files, detector, count, least=least, tell=tell)
    boxes = [face.box for face in found]
    crops, center, sides = cut_crops((face.image for face in found), boxes, config.crop_size, config.padding)
    source = f"{len(found)} faces found in {len(files)} photographs by {detector.name}"
    return FaceCrops(np.stack(list(crops)), center, sides, source)
