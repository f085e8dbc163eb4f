"""Random crops for training: flip, scale, rotation and, if wanted, a shift of the box and other light.

The defaults are the published distributions (HRNet face recipes); draws come from a generator handed in, so that a
sample is a function of (seed, epoch, index) alone.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class AugmentConfig:
    """Distributions of the random crop.

    Attributes:
        flip: probability of mirroring.
        scale_std, scale_limit: the side is multiplied by clip(1 + std * N(0, 1), 1 - limit, 1 + limit).
        rotation_std, rotation_limit: degrees; clip(std * N(0, 1), -limit, limit).
        rotation_probability: else no rotation.
        shift_std: standard deviation of the crop's centre per axis, as a share of its side; published: 0.
        gamma_std: of the natural logarithm of the exponent on pixel values in [0, 1]; published: 0.
        gain_std: of the natural logarithm of each colour channel's factor; published: 0.
        grey: probability of a crop without colour; published: 0.
    """

    flip: float = 0.5
    scale_std: float = 0.25
    scale_limit: float = 0.25
    rotation_std: float = 30.0
    rotation_limit: float = 60.0
    rotation_probability: float = 0.6
    shift_std: float = 0.0
    gamma_std: float = 0.0
    gain_std: float = 0.0
    grey: float = 0.0


@dataclass(frozen=True)
class Light:
    """A change of light and colour.

    Attributes:
        gamma: exponent on pixel values in [0, 1].
        gains: factors on red, green and blue.
        grey: drop the colour first.
    """

    gamma: float = 1.0
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    grey: bool = False


@dataclass(frozen=True)
class Augmentation:
    """One draw.

    Attributes:
        flip: mirror the image first.
        scale: factor on the crop's side.
        rotation: degrees.
        shift: (x, y) of the crop's centre as shares of its side.
        light: of the pixels.
    """

    flip: bool = False
    scale: float = 1.0
    rotation: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    light: Light = Light()


def draw_augmentation(config: AugmentConfig, rng: np.random.Generator) -> Augmentation:
    """Draw one augmentation; always the same number of draws, so that one setting does not disturb another's."""
    flip, keep_rotation, grey = rng.random(3)
    scale, rotation, *shift = rng.standard_normal(4)
    gamma, red, green, blue = np.exp(rng.standard_normal(4) * [config.gamma_std, *[config.gain_std] * 3])
    rotation = np.clip(config.rotation_std * rotation, -config.rotation_limit, config.rotation_limit)
    return Augmentation(
        flip=bool(flip < config.flip),
        scale=float(np.clip(1 + config.scale_std * scale, 1 - config.scale_limit, 1 + config.scale_limit)),
        rotation=float(rotation) if keep_rotation < config.rotation_probability else 0.0,
        shift=(float(config.shift_std * shift[0]), float(config.shift_std * shift[1])),
        light=Light(float(gamma), (float(red), float(green), float(blue)), bool(grey < config.grey)),
    )
