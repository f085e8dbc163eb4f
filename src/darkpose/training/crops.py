"""Samples -> training crops: draw an augmentation, warp, change the light, damage."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError
from darkpose.image.geometry import (
    PADDING,
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

ATTEMPTS = 10  # images in a row that are tried before training gives up


class CroppedFace(NamedTuple):
    """One face cut out: crop (h, w, 3) uint8 RGB; keypoints (K, 2) float64 crop px; visible (K,) float64."""

    crop: Pixels
    keypoints: np.ndarray
    visible: np.ndarray


def cut(
    sample: Sample,
    schema: KeypointSchema,
    size: int,
    augmentation: Augmentation | None = None,
    *,
    padding: float = PADDING,
) -> CroppedFace:
    """Cut a sample's face out of its image file, augmented or, without an augmentation, as for evaluation."""
    return cut_from(read_image(sample.image), sample, schema, size, augmentation, padding=padding)


def cut_from(
    image: Pixels,
    sample: Sample,
    schema: KeypointSchema,
    size: int,
    augmentation: Augmentation | None = None,
    *,
    padding: float = PADDING,
) -> CroppedFace:
    """Cut a sample's face out of pixels, whose frame is that of its keypoints and box."""
    drawn = augmentation or Augmentation()
    matrix, keypoints, visible = image_to_augmented_crop(image.shape[1], sample, schema, size, drawn, padding=padding)
    pixels = warp_image(image, matrix, (size, size))
    if drawn.light != Light():
        pixels = relight(pixels, drawn.light.gamma, drawn.light.gains, grey=drawn.light.grey)
    if drawn.damage != Damage():
        pixels = degrade(pixels, drawn.damage)
    return CroppedFace(pixels, keypoints, visible)


def image_to_augmented_crop(
    width: int, sample: Sample, schema: KeypointSchema, size: int, drawn: Augmentation, *, padding: float = PADDING
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Matrix (2, 3) from image px to px of an augmented crop, and the landmarks there.

    The mirror is composed with the crop's matrix: the image, `width` px wide, is sampled once.

    Returns:
        matrix; keypoints (K, 2) crop px; visible (K,).
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
    """Training faces, or one of them (without the first axis).

    Attributes:
        crops: (N, 3, size, size) uint8 RGB.
        keypoints: (N, K, 2) float64 crop px.
        visible: (N, K) float64.
        wanted: (N,) index of the face that was asked for.
        taken: (N,) index of the face that is here: another where the image asked for cannot be read; -1: none.
    """

    crops: Tensor
    keypoints: Tensor
    visible: Tensor
    wanted: int | Tensor
    taken: int | Tensor


def first_readable(pixels: Callable[[int], Pixels], wanted: int, count: int) -> Iterator[tuple[int, Pixels]]:
    """The image wanted, else the next of `count` that can be read, within `ATTEMPTS`: index and pixels, or nothing."""
    for attempt in range(ATTEMPTS):
        index = (wanted + attempt) % count
        with suppress(DarkposeError):
            yield index, pixels(index)
            return


class AugmentedFaces(Dataset[Batch]):
    """Augmented crops, addressed by (epoch, index): every draw is a function of (seed, epoch, index) alone.

    A face whose image cannot be read gives its place to the next that can, so that batches keep their sizes.

    Args:
        samples: the faces.
        schema: their markup.
        size: side of a crop in px.
        augment: distribution of the draws.
        seed: of the draws.
        padding: side of a crop over side of the box.
        pixels: gives the image that a sample, by its index, lies on; None: the sample's file is read.
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
            face = cut_from(image, self.samples[index], self.schema, self.size, draw, padding=self.padding)
            crop = torch.from_numpy(planes(face.crop))
            return Batch(crop, torch.from_numpy(face.keypoints), torch.from_numpy(face.visible), wanted, index)
        blank, points = torch.zeros(3, self.size, self.size, dtype=torch.uint8), len(self.schema)
        nowhere, unseen = torch.zeros(points, 2, dtype=torch.float64), torch.zeros(points, dtype=torch.float64)
        return Batch(blank, nowhere, unseen, wanted, -1)
