"""Crops of faces, with where they were cut: for a network, and for trying out an exported one."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from darkpose.datasets.drawn_face import draw_face
from darkpose.detect.detector import Detector
from darkpose.errors import DarkposeError
from darkpose.image.geometry import Floats, box_to_crop, image_to_crop, landmark_box
from darkpose.image.pixels import Pixels, read_image, warp_image
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


def cut_crops(
    images: Iterable[Pixels], boxes: ArrayLike, config: CheckpointConfig
) -> tuple[Iterator[Pixels], Floats, Floats]:
    """Cut the crops (S, S, 3) that a network takes around boxes.

    Args:
        images: (H, W, 3) uint8 RGB, one for each box.
        boxes: (N, 4) x0, y0, x1, y1 in image px, that a network's crop is cut around.
        config: of the network: size and padding.

    Returns:
        The crops, cut as they are asked for; their centres (N, 2) and sides (N, 2) in image px.
    """
    size = (config.crop_size, config.crop_size)
    center, sides = box_to_crop(np.reshape(boxes, (-1, 4)), padding=config.padding)
    crops = (
        warp_image(image, image_to_crop(middle, float(side[0]), size), size)
        for image, middle, side in zip(images, center, sides, strict=True)
    )
    return crops, center, sides


def drawn_crops(count: int, config: CheckpointConfig) -> FaceCrops:
    """Faces that darkpose draws, always the same."""
    faces = [draw_face(0, index) for index in range(count)]
    boxes = [landmark_box(face.keypoints) for face in faces]
    crops, center, sides = cut_crops((face.image for face in faces), boxes, config)
    return FaceCrops(np.stack(list(crops)), center, sides, f"{count} faces drawn by darkpose")


def found_crops(
    files: Sequence[Path], config: CheckpointConfig, detector: Detector, count: int, *, least: int = 1
) -> FaceCrops:
    """Up to `count` faces found in photographs, the best detection of each; files that are no images are passed over.

    Raises:
        DarkposeError: fewer than `least` faces are found.
    """
    found = list(islice(_best_faces(files, detector), count))
    if len(found) < max(least, 1):
        raise DarkposeError(
            f"expected photographs with at least {max(least, 1)} faces, found {len(found)} in {len(files)} files"
        )
    crops, center, sides = cut_crops((image for image, _ in found), [box for _, box in found], config)
    return FaceCrops(
        np.stack(list(crops)), center, sides, f"{len(found)} faces found in {len(files)} photographs by {detector.name}"
    )


def _best_faces(files: Sequence[Path], detector: Detector) -> Iterator[tuple[Pixels, Floats]]:
    for file in files:
        try:
            image = read_image(file)
        except DarkposeError:
            continue
        boxes = detector.correction(detector(image).boxes)
        if len(boxes):
            yield image, boxes[0]
