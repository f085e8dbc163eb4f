"""Faces that are turned by about 90, 180 or 270 degrees: their crops are turned before the network sees them.

The networks know upright faces, turned by up to some 45 degrees. Of others, the landmarks are wrong and the scores low:
over 60 photographs of LFPW test with YuNet's boxes, the mean scores of 98 of 100 upright faces are above 0.74, and of
faces that stand on their heads below 0.5 (docs/experiments.md).
"""

import numpy as np
from numpy.typing import NDArray

from darkpose.image.geometry import Floats
from darkpose.image.pixels import Pixels, cut_crops
from darkpose.predict.covariance import carried
from darkpose.predict.landmarks import LandmarkFinder, Landmarks

LOW = 0.7  # mean score of a face: below, its crop is turned, too
MARGIN = 0.1  # by which the mean score of a turned crop must be higher
QUARTER = np.array([[0.0, -1.0], [1.0, 0.0]])  # a direction in a crop turned by `np.rot90` -> in the crop as it was


def find_turned(
    find: LandmarkFinder,
    images: list[Pixels],
    boxes: Floats,
    crop_boxes: Floats,
    turns: int,
    crop_size: int,
    padding: float,
) -> Landmarks:
    """Landmarks in image px, from crops that are turned counter-clockwise by quarters before the network sees them.

    Args:
        find: crops, centres and sides -> landmarks.
        images: (H, W, 3) uint8 RGB, one for each face.
        boxes: (N, 4) of the detector, image px.
        crop_boxes: (N, 4) to cut upright faces around; what they are below the boxes, they are beside them here.
        turns: quarters of a circle.
        crop_size: side of the crops, crop px.
        padding: side of a crop divided by the side of its box.
    """
    back = np.linalg.matrix_power(QUARTER, turns)
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (crop_boxes[:, 2:] - crop_boxes[:, :2]) / 2
    around = middle + ((crop_boxes[:, :2] + crop_boxes[:, 2:]) / 2 - middle) @ back.T
    upright, center, sides = cut_crops(images, np.concatenate([around - half, around + half], 1), crop_size, padding)
    crops = (np.ascontiguousarray(np.rot90(crop, turns)) for crop in upright)
    count, size = len(boxes), float(crop_size)
    found = find(crops, np.full((count, 2), size / 2), np.full((count, 2), size))  # in px of the turned crop
    last = (crop_size - 1) / 2
    points = (found.keypoints - last) @ back.T + last
    scale = sides[:, None] / size  # image px per crop px
    keypoints = (center[:, None] + (points - size / 2) * scale).astype(np.float32)
    spread = None
    if found.covariance is not None:
        turned = carried(found.covariance, back) * (scale[..., None] ** 2)
        spread = turned.astype(np.float32)
    return Landmarks(keypoints, found.scores, spread)


def best_turned(
    find: LandmarkFinder,
    found: Landmarks,
    images: list[Pixels],
    boxes: Floats,
    crop_boxes: Floats,
    *,
    may_turn: NDArray[np.bool_],
    crop_size: int,
    padding: float,
) -> tuple[Landmarks, NDArray[np.intp]]:
    """Landmarks of the best of four directions for faces with low scores, and the turns (N,) of each face.

    Args:
        found: the landmarks of the upright crops.
        may_turn: (N,) faces whose direction is not known.
        find, images, boxes, crop_boxes, crop_size, padding: as for `find_turned`.
    """
    turns = np.zeros(len(boxes), np.intp)
    low = np.flatnonzero(may_turn & (found.scores.mean(axis=1) < LOW))
    if not low.size:
        return found, turns
    keypoints, scores = found.keypoints.copy(), found.scores.copy()
    spread = None if found.covariance is None else found.covariance.copy()
    best = found.scores[low].mean(axis=1) + MARGIN
    for quarter in (1, 2, 3):
        some = [images[index] for index in low]
        other = find_turned(find, some, boxes[low], crop_boxes[low], quarter, crop_size, padding)
        score = other.scores.mean(axis=1)
        better = score > best
        best = np.where(better, score, best)
        chosen = low[better]
        keypoints[chosen], scores[chosen] = other.keypoints[better], other.scores[better]
        if spread is not None and other.covariance is not None:
            spread[chosen] = other.covariance[better]
        turns[chosen] = quarter
    return Landmarks(keypoints, scores, spread), turns
