"""Targets and loss of the face detector.

Every grid has the faces of a range of sizes. A face is a Gaussian around its centre, of which the best cell is 1; the
cells near it learn its box and roll, too (TTFNet, Liu et al., AAAI 2020, section 3). Scores are learnt by the quality
focal loss (Li et al., NeurIPS 2020, eq. 2), boxes by GIoU (Rezatofighi et al., CVPR 2019) in the frame of the face.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from darkpose.training.face_pictures import TrainingPicture
from darkpose.weights.face_detector import CELL_STRIDES

RANGES = ((0.0, 40.0), (28.0, 120.0), (84.0, np.inf))  # px; sides of the faces of each grid; some are in two
SIGMA, LEAST_SIGMA = 0.12, 0.5  # of the Gaussians: share of the face's side, and lowest value in cells
NEAR = 0.3  # value of the Gaussian from which a cell learns box and roll
FAINT = 0.05  # value below which the Gaussian ends
DOUBT = 0.15  # weight of cells where faces may be that are not annotated
SCORE_WEIGHT, BOX_WEIGHT, ROLL_WEIGHT = 2.0, 1.5, 2.0
LARGEST = 5.0  # logarithm of a width or height in cells, in the loss
TARGETS = ("score", "x", "y", "width", "height", "cos", "sin", "certainty", "weight")


def targets_of(picture: TrainingPicture) -> list[NDArray[np.float32]]:
    """For each grid (9, H, W): what the cells should say, the certainty of the roll, and the weight of the score."""
    return [_grid(picture, stride, *sizes) for stride, sizes in zip(CELL_STRIDES, RANGES, strict=True)]


def _grid(picture: TrainingPicture, stride: int, smallest: float, largest: float) -> NDArray[np.float32]:
    count = len(picture.image) // stride
    y, x = np.mgrid[:count, :count] * float(stride)
    target = np.zeros((len(TARGETS), count, count), np.float32)
    score, weight = target[0], target[8]
    weight[:] = np.where(picture.doubtful[::stride, ::stride], DOUBT, 1)
    for left, top, right, bottom in picture.ignored:
        weight[(x > left - 2) & (x < right + 2) & (y > top - 2) & (y < bottom + 2)] = 0
    sides = np.sqrt(picture.faces[:, 2:4].prod(axis=1))
    for face, side in zip(picture.faces[~picture.counts], sides[~picture.counts], strict=True):
        reach = max(0.6 * side, 4.0)
        weight[(np.abs(x - face[0]) < reach) & (np.abs(y - face[1]) < reach)] = 0
    for index in np.argsort(-sides):  # a smaller face is in front of a larger one
        if not picture.counts[index] or not smallest < sides[index] <= largest:
            continue
        dx, dy = (picture.faces[index, 0] - x) / stride, (picture.faces[index, 1] - y) / stride
        sigma = max(LEAST_SIGMA, SIGMA * sides[index] / stride)
        bell = np.exp(-(dx**2 + dy**2) / (2 * sigma**2))
        bell /= bell.max()
        here = (bell >= score) & (bell >= FAINT)
        _, _, width, height, roll = picture.faces[index]
        constant = np.log([width / stride, height / stride])
        values = [bell, dx, dy, *constant, np.cos(roll), np.sin(roll), picture.certainty[index], 1.0]
        for channel, value in zip(target, values, strict=True):
            channel[here] = value[here] if isinstance(value, np.ndarray) else value
    return target


class Losses(NamedTuple):
    """Parts of the loss, weighted."""

    score: Tensor
    box: Tensor
    roll: Tensor


def detector_losses(grids: list[Tensor], targets: list[Tensor]) -> Losses:
    """Losses of a batch.

    Args:
        grids: of the network, each (N, 7, H, W).
        targets: each (N, 9, H, W), see `targets_of`.
    """
    faces = sum(int((target[:, 0] == 1).sum()) for target in targets)
    score = torch.stack([_score_loss(grid[:, 0], target) for grid, target in zip(grids, targets, strict=True)]).sum()
    near = [target[:, 0] > NEAR for target in targets]
    pairs = zip(grids, targets, near, strict=True)
    rows = [(grid.movedim(1, -1)[some], target.movedim(1, -1)[some]) for grid, target, some in pairs]
    found, wanted = (torch.cat(each) for each in zip(*rows, strict=True))
    weight, whole = wanted[:, 0], wanted[:, 0].sum().clamp(min=1)
    box = (weight * (1 - _giou(found, wanted))).sum() / whole
    roll = (weight * wanted[:, 7] * (found[:, 5:7] - wanted[:, 5:7]).square().sum(dim=1)).sum() / whole
    return Losses(SCORE_WEIGHT * score / max(faces, 1), BOX_WEIGHT * box, ROLL_WEIGHT * roll)


def _score_loss(logits: Tensor, target: Tensor) -> Tensor:
    wanted = target[:, 0]
    distance = (wanted - logits.sigmoid()).abs().square()
    each = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return (target[:, 8] * distance * each).sum()


def _giou(found: Tensor, wanted: Tensor) -> Tensor:
    """Generalised intersection over union (P,) of boxes in the frame of the face, in cells."""
    (dx, dy), (cos, sin) = (found[:, 1:3] - wanted[:, 1:3]).unbind(1), wanted[:, 5:7].unbind(1)
    apart = torch.stack([cos * dx + sin * dy, cos * dy - sin * dx], dim=1)
    half, other = found[:, 3:5].clamp(max=LARGEST).exp() / 2, wanted[:, 3:5].exp() / 2
    low, high = apart - half, apart + half
    both = (torch.minimum(high, other) - torch.maximum(low, -other)).clamp(min=0).prod(dim=1)
    union = 4 * half.prod(dim=1) + 4 * other.prod(dim=1) - both
    hull = (torch.maximum(high, other) - torch.minimum(low, -other)).prod(dim=1)
    return both / union - (hull - union) / hull
