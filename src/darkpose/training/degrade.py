"""Damage to a face: occlusion, blur, noise, compression."""

from dataclasses import dataclass

import numpy as np

from darkpose.image.pixels import Pixels, blur_image, compress


@dataclass(frozen=True)
class Damage:
    """Damage to a crop.

    Attributes:
        patch: (x, y, width, height) of a rectangle as shares of the crop's side; none if its area is 0.
        colour: of the patch, RGB.
        blur: standard deviation of a Gaussian as a share of the crop's side.
        noise: standard deviation of noise in grey levels.
        quality: of JPEG compression, 1 to 100; 0: none.
        seed: of the noise.
    """

    patch: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    colour: tuple[int, int, int] = (0, 0, 0)
    blur: float = 0.0
    noise: float = 0.0
    quality: int = 0
    seed: int = 0


def patch_edges(damage: Damage, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the patch in crop px, right and bottom excluded; the area is 0 without a patch."""
    x, y, across, down = damage.patch
    left, top, right, bottom = x * width, y * height, (x + across) * width, (y + down) * height
    return max(0, round(left)), max(0, round(top)), max(0, round(right)), max(0, round(bottom))


def degrade(crop: Pixels, damage: Damage) -> Pixels:
    """Damage a copy of a crop (h, w, 3) uint8 RGB: patch, then blur, noise and compression."""
    height, width = crop.shape[:2]
    damaged = crop.copy()
    left, top, right, bottom = patch_edges(damage, width, height)
    damaged[top:bottom, left:right] = damage.colour
    if damage.blur > 0:
        damaged = blur_image(damaged, damage.blur * width)
    if damage.noise > 0:
        noise = np.random.default_rng(damage.seed).normal(0, damage.noise, damaged.shape)
        damaged = np.clip(np.round(damaged + noise), 0, 255).astype(np.uint8)
    return compress(damaged, damage.quality) if damage.quality else damaged
