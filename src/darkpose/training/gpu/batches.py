"""Augmentation on the device: the host decodes cached crops and draws, the device warps, relights and damages.

For the same (seed, epoch, index) this gives the same crop as `crops.AugmentedFaces`, except for rounding of the
interpolation and the compression, and for the noise, which has other values of the same distribution.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from darkpose.datasets.sample import Sample
from darkpose.image.geometry import PADDING, grid_matrix
from darkpose.image.pixels import Pixels
from darkpose.schema import KeypointSchema
from darkpose.training.augment import Augmentation, AugmentConfig, draw_augmentation
from darkpose.training.crop_cache import CropCache
from darkpose.training.crops import Batch, first_readable, image_to_augmented_crop
from darkpose.training.degrade import patch_edges
from darkpose.training.gpu import effects, jpeg
from darkpose.training.gpu.resident_crops import ResidentCrops, ResidentIndex


class Effects(NamedTuple):
    """Changes to the pixels of a crop; with a first axis N in a batch.

    Attributes:
        gamma: () float64, exponent on pixel values in [0, 1].
        gains: (3,) float32, factors on red, green and blue.
        grey: () bool, convert to grey first.
        patch: (4,) int64 left, top, right and bottom in crop px, right and bottom excluded.
        colour: (3,) int64, of the patch, RGB.
        blur: () float64, standard deviation in crop px; 0: none.
        noise: () float64, standard deviation in grey levels; 0: none.
        quality: () int64, of JPEG compression; 0: none.
        seed: () int64, of the noise.
    """

    gamma: Tensor
    gains: Tensor
    grey: Tensor
    patch: Tensor
    colour: Tensor
    blur: Tensor
    noise: Tensor
    quality: Tensor
    seed: Tensor


class CachedFace(NamedTuple):
    """A cached crop and its augmentation; with a first axis N in a batch.

    Attributes:
        pixels: (S, S, 3) uint8 RGB; (S, 0, 3) if the crop is on the device.
        grid: (2, 3) float32 of `geometry.grid_matrix`, from crop px to the sampled place of the cached crop.
        effects: changes to the pixels of the crop.
        keypoints, visible, wanted, taken: as in `crops.Batch`.
    """

    pixels: Tensor
    grid: Tensor
    effects: Effects
    keypoints: Tensor
    visible: Tensor
    wanted: int | Tensor
    taken: int | Tensor


class CachedFaces(Dataset[CachedFace]):
    """Cached crops with their augmentations by (epoch, index); random draws depend on (seed, epoch, index) alone.

    A face whose crop cannot be read is replaced by the next, as in `crops.AugmentedFaces`.

    Args:
        cache: of the faces.
        schema: of their landmarks.
        size: side of a crop in px.
        augment: distribution of the augmentations.
        seed: of the random draws.
        padding: side of a crop divided by the longer side of the box.
        resident: set if the crops are on the device; the faces then have no pixels.
    """

    def __init__(
        self,
        cache: CropCache,
        schema: KeypointSchema,
        size: int,
        augment: AugmentConfig,
        seed: int,
        *,
        padding: float = PADDING,
        resident: ResidentIndex | None = None,
    ) -> None:
        self.cache, self.schema, self.size, self.augment, self.seed = cache, schema, size, augment, seed
        self.samples, self.padding = cache.samples, padding
        self.pixels = cache.pixels if resident is None else resident.pixels
        self._blank = np.zeros((cache.side, cache.side if resident is None else 0, 3), np.uint8)

    def __getitem__(self, key: tuple[int, int]) -> CachedFace:
        epoch, wanted = key
        drawn = draw_augmentation(self.augment, np.random.default_rng((self.seed, epoch, wanted)))
        for index, pixels in first_readable(self.pixels, wanted, len(self.samples)):
            face = plan_cut(pixels, self.samples[index], self.schema, self.size, drawn, padding=self.padding)
            return face._replace(wanted=wanted, taken=index)
        blank, effects = torch.from_numpy(self._blank), effects_of(Augmentation(), self.size)
        keypoints, visible = (torch.zeros(len(self.schema), *last, dtype=torch.float64) for last in ((2,), ()))
        return CachedFace(blank, torch.zeros(2, 3), effects, keypoints, visible, wanted, -1)


def plan_cut(
    pixels: Pixels, sample: Sample, schema: KeypointSchema, size: int, drawn: Augmentation, *, padding: float = PADDING
) -> CachedFace:
    """Prepare `crops.cut_augmented` of a cached crop (S, S, 3) for the device; the indices are still to be set.

    The values of the pixels are not used.
    """
    side = len(pixels)
    matrix, keypoints, visible = image_to_augmented_crop(side, sample, schema, size, drawn, padding=padding)
    grid = torch.from_numpy(grid_matrix(matrix, side)).float()
    points, seen = torch.from_numpy(keypoints), torch.from_numpy(visible)
    return CachedFace(torch.from_numpy(pixels), grid, effects_of(drawn, size), points, seen, wanted=-1, taken=-1)


def effects_of(drawn: Augmentation, size: int) -> Effects:
    """The part of an augmentation that changes the pixels of a crop of side `size` px."""
    light, damage = drawn.light, drawn.damage
    return Effects(
        gamma=torch.tensor(light.gamma, dtype=torch.float64),
        gains=torch.tensor(light.gains, dtype=torch.float32),
        grey=torch.tensor(light.grey),
        patch=torch.tensor(patch_edges(damage, size, size)),
        colour=torch.tensor(damage.colour),
        blur=torch.tensor(damage.blur * size, dtype=torch.float64),
        noise=torch.tensor(damage.noise, dtype=torch.float64),
        quality=torch.tensor(damage.quality),
        seed=torch.tensor(damage.seed),
    )


@torch.no_grad()
def augment_on_device(
    faces: CachedFace, size: int, device: torch.device, resident: ResidentCrops | None = None
) -> Batch:
    """Convert a batch of cached crops to a batch of training crops.

    The host decides which crops get an effect, so that it never waits for the device; the other crops are not changed.

    Args:
        faces: a batch, on the host.
        size: side of a training crop in px, as in the data set.
        device: to work on.
        resident: the crops on the device, if the faces have no pixels.

    Returns:
        A batch as from `crops.AugmentedFaces`, with its tensors on the device.
    """
    with torch.autocast(device.type, enabled=False):
        cached = (
            faces.pixels.to(device, non_blocking=True)
            if resident is None
            else resident.pick(torch.as_tensor(faces.taken))
        )
        crops = effects.warp(cached.permute(0, 3, 1, 2), faces.grid.to(device, non_blocking=True), size)
        for drew, effect, values in _steps(faces.effects):
            rows = torch.nonzero(drew)[:, 0]
            if len(rows):
                there = rows.to(device, non_blocking=True)
                arguments = [value.to(device, non_blocking=True) for value in values(rows)]
                crops = crops.index_copy(0, there, effect(crops[there], *arguments))
    keypoints, visible = (part.to(device, non_blocking=True) for part in (faces.keypoints, faces.visible))
    return Batch(crops.to(torch.uint8), keypoints, visible, faces.wanted, faces.taken)


def _steps(drawn: Effects) -> list[tuple[Tensor, Callable[..., Tensor], Callable[[Tensor], list[Tensor]]]]:
    """The effects in order: the crops that get it (N,), the effect, and its values for some rows; all on the host."""
    gamma, gains, grey, patch, colour, blur, noise, quality, seed = drawn
    lit = (gamma != 1) | (gains != 1).any(1) | grey
    patched = (patch[:, 2:] > patch[:, :2]).all(1)
    return [
        (lit, effects.relight, lambda rows: [gamma[rows].float(), gains[rows], grey[rows]]),
        (patched, effects.cover, lambda rows: [patch[rows], colour[rows]]),
        (blur > 0, effects.blur, lambda rows: [effects.gaussian_taps(blur[rows])]),
        (noise > 0, effects.noise, lambda rows: [noise[rows].float(), seed[rows]]),
        (
            quality > 0,
            jpeg.compress,
            lambda rows: [torch.from_numpy(jpeg.quantisation_tables(quality[rows].numpy()))],
        ),
    ]
