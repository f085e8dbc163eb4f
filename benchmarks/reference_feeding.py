"""A training pipeline as MMPose 0.x has it, written anew from its description, to be measured against.

Per face: the image is read, mirrored as a whole, scaled, turned and warped, and made a normalised float tensor;
landmarks are mapped one by one, and one by one they become unbiased Gaussians over the whole heatmap, in NumPy.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from darkpose.datasets.sample import Sample
from darkpose.image.geometry import box_to_crop, image_to_crop
from darkpose.schema import KeypointSchema
from darkpose.training.augment import AugmentConfig

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


class ReferenceFaces(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Items are crop (3, size, size) float32, heatmaps (K, size / 4, size / 4) float32 and weights (K, 1) float32."""

    def __init__(self, samples: Sequence[Sample], schema: KeypointSchema, size: int, augment: AugmentConfig) -> None:
        self.samples, self.schema, self.size, self.augment = samples, schema, size, augment

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        sample, draw = self.samples[index], self.augment
        image = np.asarray(cv2.imread(str(sample.image), cv2.IMREAD_COLOR))
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        center, sides = box_to_crop(sample.box)
        joints, visible = sample.keypoints.copy(), sample.visible.copy()
        if np.random.rand() <= draw.flip:
            image = image[:, ::-1, :]
            joints, visible = mirrored(joints, visible, self.schema.flip_pairs, image.shape[1])
            center[0] = image.shape[1] - center[0] - 1
        scale = np.clip(np.random.randn() * draw.scale_std + 1, 1 - draw.scale_limit, 1 + draw.scale_limit)
        rotation = np.clip(np.random.randn() * draw.rotation_std, -draw.rotation_limit, draw.rotation_limit)
        turn = rotation if np.random.rand() <= draw.rotation_probability else 0.0
        matrix = image_to_crop(center, float(sides[0] * scale), (self.size, self.size), float(turn))
        crop = cv2.warpAffine(np.ascontiguousarray(image), matrix, (self.size, self.size), flags=cv2.INTER_LINEAR)
        for joint in range(len(joints)):
            if visible[joint] > 0:
                joints[joint] = matrix @ np.array([joints[joint, 0], joints[joint, 1], 1.0])
        tensor = torch.from_numpy(crop).permute(2, 0, 1).contiguous().float().div(255)
        tensor = tensor.sub(MEAN[:, None, None]).div(STD[:, None, None])
        heatmaps, weights = targets_one_by_one(joints, visible, self.size, self.size // 4)
        return tensor, torch.from_numpy(heatmaps), torch.from_numpy(weights)


def mirrored(
    joints: np.ndarray, visible: np.ndarray, pairs: Sequence[tuple[int, int]], width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks of the mirrored image, pair by pair."""
    swapped, seen = joints.copy(), visible.copy()
    for left, right in pairs:
        swapped[left], swapped[right] = joints[right], joints[left]
        seen[left], seen[right] = visible[right], visible[left]
    swapped[:, 0] = width - 1 - swapped[:, 0]
    return swapped, seen


def targets_one_by_one(
    joints: np.ndarray, visible: np.ndarray, crop: int, size: int, sigma: float = 2.0
) -> tuple[np.ndarray, np.ndarray]:
    """Heatmaps (K, size, size) and weights (K, 1) float32 of landmarks in crop px."""
    heatmaps = np.zeros((len(joints), size, size), np.float32)
    weights = np.zeros((len(joints), 1), np.float32)
    stride, reach = crop / size, 3 * sigma
    for joint in range(len(joints)):
        weights[joint] = visible[joint]
        mu_x, mu_y = joints[joint, 0] / stride, joints[joint, 1] / stride
        if mu_x - reach >= size or mu_y - reach >= size or mu_x + reach + 1 < 0 or mu_y + reach + 1 < 0:
            weights[joint] = 0
            continue
        x = np.arange(size, dtype=np.float32)
        y = x[:, None]
        if weights[joint] > 0.5:
            heatmaps[joint] = np.exp(-((x - mu_x) ** 2 + (y - mu_y) ** 2) / (2 * sigma**2))
    return heatmaps, weights
