"""Random training crops: draw an augmentation, warp the image, change its light, damage it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError
from darkpose.image.geometry import (
    PADDING,
    Floats,
    box_to_crop,
    compose,
    image_to_crop,
    mirror_keypoints,
    mirror_matrix,
    transform,
)
from darkpose.image.pixels import Pixels, planes, read_image, relight, warp_image
from darkpose.schema import KeypointSchema
from darkpose.training.augment import Augmentation, AugmentConfig, Light, draw_augmentation
from darkpose.training.degrade import Damage, degrade

ATTEMPTS = 10  # images in a row that are tried


class AugmentedCrop(NamedTuple):
    """One face cut out: crop (h, w, 3) uint8 RGB; keypoints (K, 2) float64 crop px; visible (K,) float64."""

    crop: Pixels
    keypoints: Floats
    visible: Floats


def cut_augmented(
    image: Pixels,
    sample: Sample,
    schema: KeypointSchema,
    size: int,
    drawn: Augmentation,
    *,
    padding: float = PADDING,
) -> AugmentedCrop:
    """Cut a face out of its image with an augmentation.

    Args:
        image: (H, W, 3) uint8 RGB, in the frame of the sample's keypoints and box.
        sample: the face.
        schema: of its landmarks.
        size: side of the crop in px.
        drawn: the augmentation.
        padding: side of the crop divided by the longer side of the box.
    """
    matrix, keypoints, visible = image_to_augmented_crop(image.shape[1], sample, schema, size, drawn, padding=padding)
    pixels = warp_image(image, matrix, (size, size))
    if drawn.light != Light():
        pixels = relight(pixels, drawn.light.gamma, drawn.light.gains, grey=drawn.light.grey)
    if drawn.damage != Damage():
        pixels = degrade(pixels, drawn.damage)
    return AugmentedCrop(pixels, keypoints, visible)


def image_to_augmented_crop(
    width: int, sample: Sample, schema: KeypointSchema, size: int, drawn: Augmentation, *, padding: float = PADDING
) -> tuple[Floats, Floats, Floats]:
    """Matrix from image px to px of an augmented crop, and the landmarks in the crop.

    Mirroring is part of the matrix, so that the image, `width` px wide, is sampled once.

    Returns:
        matrix (2, 3); keypoints (K, 2) crop px; visible (K,).
    """
    center, sides = box_to_crop(sample.box, padding=padding)
    mirror = mirror_matrix(width)
    keypoints, visible = sample.keypoints, sample.visible
    if drawn.flip:
        center, visible = transform(mirror, center), visible[schema.flip_index]
        keypoints = mirror_keypoints(keypoints, schema.flip_index, width)
    matrix = image_to_crop(
        center + np.asarray(drawn.shift) * sides, float(sides[0]) * drawn.scale, (size, size), drawn.rotation
    )
    return compose(matrix, mirror) if drawn.flip else matrix, transform(matrix, keypoints), visible


class Batch(NamedTuple):
    """Training faces, or one face (without the first axis).

    Attributes:
        crops: (N, 3, size, size) uint8 RGB.
        keypoints: (N, K, 2) float64 crop px.
        visible: (N, K) float64.
        wanted: (N,) index of the requested face.
        taken: (N,) index of the face in the batch: another one if the requested image cannot be read; -1: none.
    """

    crops: Tensor
    keypoints: Tensor
    visible: Tensor
    wanted: int | Tensor
    taken: int | Tensor

    def to(self, device: torch.device) -> "Batch":
        """Copy the tensors to a device; the indices stay on the host."""
        crops, keypoints, visible = (part.to(device, non_blocking=True) for part in self[:3])
        return Batch(crops, keypoints, visible, self.wanted, self.taken)


def first_readable(pixels: Callable[[int], Pixels], wanted: int, count: int) -> Iterator[tuple[int, Pixels]]:
    """Yield index and pixels of the wanted image, or of the next that can be read; nothing after `ATTEMPTS` images."""
    for attempt in range(ATTEMPTS):
        index = (wanted + attempt) % count
        with suppress(DarkposeError):
            yield index, pixels(index)
            return


class AugmentedFaces(Dataset[Batch]):
    """Augmented crops by (epoch, index); random draws depend on (seed, epoch, index) alone.

    A face whose image cannot be read is replaced by the next that can, so that batches keep their size.

    Args:
        samples: the faces.
        schema: of their landmarks.
        size: side of a crop in px.
        augment: distribution of the augmentations.
        seed: of the random draws.
        padding: side of a crop divided by the longer side of the box.
        pixels: function that returns the image of a sample by its index; None: the sample's file is read.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        schema: KeypointSchema,
        size: int,
        augment: AugmentConfig,
        seed: int,
        *,
        padding: float = PADDING,
        pixels: Callable[[int], Pixels] | None = None,
    ) -> None:
        self.samples, self.schema, self.size, self.augment, self.seed = samples, schema, size, augment, seed
        self.padding, self.pixels = padding, pixels or self._read

    def _read(self, index: int) -> Pixels:
        return read_image(self.samples[index].image)

    def __getitem__(self, key: tuple[int, int]) -> Batch:
        epoch, wanted = key
        draw = draw_augmentation(self.augment, np.random.default_rng((self.seed, epoch, wanted)))
        for index, image in first_readable(self.pixels, wanted, len(self.samples)):
            face = cut_augmented(image, self.samples[index], self.schema, self.size, draw, padding=self.padding)
            crop = torch.from_numpy(planes(face.crop))
            return Batch(crop, torch.from_numpy(face.keypoints), torch.from_numpy(face.visible), wanted, index)
        blank, count = torch.zeros(3, self.size, self.size, dtype=torch.uint8), len(self.schema)
        keypoints, visible = torch.zeros(count, 2, dtype=torch.float64), torch.zeros(count, dtype=torch.float64)
        return Batch(blank, keypoints, visible, wanted, -1)
