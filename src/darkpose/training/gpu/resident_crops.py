"""Cached crops decoded once into the memory of the device, so that loader processes send no pixels."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from darkpose.errors import DarkposeError
from darkpose.image.pixels import Pixels
from darkpose.training.crop_cache import CropCache

SHARE = 0.25  # of the device's free memory that crops may take
_CHUNK = 256  # crops that are copied at once


@dataclass(frozen=True)
class ResidentIndex:
    """The crops on the device, as a loader process knows them.

    Attributes:
        side: of the crops.
        unreadable: indices of the samples whose images could not be read.
    """

    side: int
    unreadable: frozenset[int]

    def pixels(self, index: int) -> Pixels:
        """An empty crop (side, 0, 3) in place of a sample's.

        Raises:
            DarkposeError: the sample's image could not be read.
        """
        if index in self.unreadable:
            raise DarkposeError(f"the image of sample {index} could not be read")
        return np.empty((self.side, 0, 3), np.uint8)


@dataclass(frozen=True, eq=False)
class ResidentCrops:
    """The crops of a cache on a device.

    Attributes:
        pixels: (P, S, S, 3) uint8 RGB; faces that share a crop share it here.
        rows: (N,) int64, on the device, the crop of each sample.
        index: for loader processes.
    """

    pixels: Tensor
    rows: Tensor
    index: ResidentIndex

    def pick(self, samples: Tensor) -> Tensor:
        """The crops (B, S, S, 3) of samples (B,); the host does not wait for the device."""
        return self.pixels[self.rows[samples.to(self.rows.device, non_blocking=True)]]


def free_memory(device: torch.device) -> int:
    """Free memory of a GPU in bytes; 0 for another device."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0


def load_crops(cache: CropCache, device: torch.device, room: float) -> ResidentCrops | None:
    """Decode all crops of a cache onto a device; None if they need more than `room` bytes."""
    _, samples, rows = np.unique(cache.places, return_index=True, return_inverse=True)
    side, count = cache.side, len(samples)
    if count * side * side * 3 > room:
        return None
    pixels = torch.empty(count, side, side, 3, dtype=torch.uint8, device=device)
    missing = np.zeros(count, bool)

    def decode(row: int) -> Pixels:
        try:
            return cache.pixels(int(samples[row]))
        except DarkposeError:
            missing[row] = True
            return np.zeros((side, side, 3), np.uint8)

    with ThreadPoolExecutor(os.cpu_count()) as pool, tqdm(total=count, desc="loading crops", disable=None) as bar:
        for first in range(0, count, _CHUNK):
            some = list(pool.map(decode, range(first, min(first + _CHUNK, count))))
            pixels[first : first + len(some)] = torch.from_numpy(np.stack(some)).to(device)
            bar.update(len(some))
    lost = frozenset(np.flatnonzero(missing[rows]).tolist())
    return ResidentCrops(pixels, torch.from_numpy(rows).to(device), ResidentIndex(side, lost))
