"""Turned faces: their crops are turned upright before the network sees them.

The networks know upright faces, turned by up to some 45 degrees. Of others, the landmarks are wrong and the scores low:
over 60 photographs of LFPW test with YuNet's boxes, the mean scores of 98 of 100 upright faces are above 0.74, and of
faces that stand on their heads below 0.5 (docs/experiments.md). darkpose's detector gives the roll of a face; for other
detectors, quarters of a circle are tried where the scores are low.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darkpose.image.geometry import Floats, box_to_crop, crop_to_image, image_to_crop, transform
from darkpose.image.pixels import Pixels, cut_crops, warp_image
from darkpose.predict.covariance import carried
from darkpose.predict.landmarks import LandmarkFinder, Landmarks

UPRIGHT = 30  # degrees; crops of faces that are turned by less are cut as they are
LOW = 0.7  # mean score of a face: below, its crop is turned, too
MARGIN = 0.1  # by which the mean score of a turned crop must be higher


@dataclass(frozen=True, eq=False)
class CropFinder:
    """Boxes of faces -> landmarks in image px.

    Attributes:
        find: crops, centres and sides -> landmarks.
        crop_size: side of the crops, crop px.
        padding: side of a crop divided by the side of its box.
    """

    find: LandmarkFinder
    crop_size: int
    padding: float

    def upright(self, images: list[Pixels], boxes: Floats) -> Landmarks:
        """Landmarks of upright faces: images (H, W, 3) uint8 RGB, and landmark boxes (N, 4) in image px."""
        return self.find(*cut_crops(images, boxes, self.crop_size, self.padding))

    def turned(self, images: list[Pixels], boxes: Floats, degrees: NDArray[np.intp]) -> Landmarks:
        """Landmarks of faces whose crops are turned counter-clockwise by `degrees` (N,); boxes are turned with them."""
        size, count = (self.crop_size, self.crop_size), len(boxes)
        center, sides = box_to_crop(boxes, padding=self.padding)
        ways = [
            (middle, float(side[0]), size, float(angle))
            for middle, side, angle in zip(center, sides, degrees, strict=True)
        ]
        crops = (warp_image(image, image_to_crop(*way), size) for image, way in zip(images, ways, strict=True))
        whole = np.full((count, 2), float(self.crop_size))
        found = self.find(crops, whole / 2, whole)  # in px of the turned crop
        back = [crop_to_image(*way) for way in ways]
        points = np.array([transform(matrix, each) for matrix, each in zip(back, found.keypoints, strict=True)])
        spread = found.covariance
        if spread is not None:
            spread = np.array([carried(each, matrix[:, :2]) for matrix, each in zip(back, spread, strict=True)])
            spread = spread.astype(np.float32)
        return Landmarks(points.astype(np.float32), found.scores, spread)

    def known(self, images: list[Pixels], boxes: Floats, rolls: Floats) -> tuple[Landmarks, NDArray[np.intp]]:
        """Landmarks of faces that are turned clockwise by `rolls` (N,) degrees (NaN: not known).

        Returns:
            The landmarks, and by how many degrees (N,), 0 to 359, each crop was turned counter-clockwise.
        """
        degrees = np.where(np.abs(rolls) > UPRIGHT, np.rint(np.nan_to_num(rolls)), 0).astype(np.intp) % 360
        parts = [np.flatnonzero(degrees == 0), np.flatnonzero(degrees)]
        if not parts[1].size:
            return self.upright(images, boxes), degrees
        found = [
            self.upright([images[i] for i in parts[0]], boxes[parts[0]]),
            self.turned([images[i] for i in parts[1]], boxes[parts[1]], degrees[parts[1]]),
        ]
        return _in_order(found, np.concatenate(parts)), degrees

    def tried(
        self,
        found: Landmarks,
        degrees: NDArray[np.intp],
        images: list[Pixels],
        boxes: Floats,
        crop_boxes: Floats,
        may_turn: NDArray[np.bool_],
    ) -> tuple[Landmarks, NDArray[np.intp]]:
        """The best of four directions, and of that so far, for faces with low scores.

        Args:
            found: the landmarks so far.
            degrees: (N,) by which each of their crops was turned counter-clockwise.
            images: (H, W, 3) uint8 RGB, one for each face.
            boxes: (N, 4) of the detector, image px.
            crop_boxes: (N, 4) to cut upright faces around; what they are below the boxes, they are beside them here.
            may_turn: (N,) faces whose direction is not known for certain.

        Returns:
            The landmarks, and by how many degrees (N,) each crop was turned.
        """
        low = np.flatnonzero(may_turn & (found.scores.mean(axis=1) < LOW))
        if not low.size:
            return found, degrees
        keypoints, scores, degrees = found.keypoints.copy(), found.scores.copy(), degrees.copy()
        spread = None if found.covariance is None else found.covariance.copy()
        some, best = [images[index] for index in low], found.scores[low].mean(axis=1) + MARGIN
        for angle in (90, 180, 270, *([0] if degrees[low].any() else [])):
            turned = _turned_boxes(boxes[low], crop_boxes[low], angle)
            other = self.turned(some, turned, np.full(len(low), angle))
            score = other.scores.mean(axis=1)
            better = score > best
            best = np.where(better, score, best)
            chosen = low[better]
            keypoints[chosen], scores[chosen] = other.keypoints[better], other.scores[better]
            if spread is not None and other.covariance is not None:
                spread[chosen] = other.covariance[better]
            degrees[chosen] = angle
        return Landmarks(keypoints, scores, spread), degrees


def _turned_boxes(boxes: Floats, crop_boxes: Floats, degrees: float) -> Floats:
    """Crop boxes turned clockwise around the middles of the detector's boxes; their sides stay upright."""
    cos, sin = np.round([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))], 12)
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (crop_boxes[:, 2:] - crop_boxes[:, :2]) / 2
    shift = (crop_boxes[:, :2] + crop_boxes[:, 2:]) / 2 - middle
    around = middle + shift @ np.array([[cos, sin], [-sin, cos]])
    return np.concatenate([around - half, around + half], axis=1)


def _in_order(parts: list[Landmarks], places: NDArray[np.intp]) -> Landmarks:
    """Landmarks joined so that each face comes to its place."""
    order = np.argsort(places)
    spread = [part.covariance for part in parts if part.covariance is not None]
    return Landmarks(
        np.concatenate([part.keypoints for part in parts])[order],
        np.concatenate([part.scores for part in parts])[order],
        np.concatenate(spread)[order] if spread else None,
    )
