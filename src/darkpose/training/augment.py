"""Random augmentations: flip, scale, rotation, shift, light and damage.

The defaults are the published distributions (HRNet face recipes). Draws use the caller's generator, so that a sample
depends on (seed, epoch, index) alone.
"""

from dataclasses import dataclass, field

import numpy as np

from darkpose.training.degrade import Damage


@dataclass(frozen=True)
class AugmentConfig:
    """Distributions of the random crop.

    Attributes:
        flip: probability of mirroring.
        scale_std, scale_limit: the side is multiplied by clip(1 + std * N(0, 1), 1 - limit, 1 + limit).
        rotation_std, rotation_limit: degrees; clip(std * N(0, 1), -limit, limit).
        rotation_probability: of a rotation.
        shift_std: standard deviation of the crop's centre per axis, as a share of its side; published: 0.
        gamma_std: standard deviation of the natural logarithm of the exponent on pixel values in [0, 1]; published: 0.
        gain_std: standard deviation of the natural logarithm of each colour channel's factor; published: 0.
        grey: probability of a grey crop; published: 0.
        patch: probability of a rectangle of one colour over the face, its sides 10 to 40 % of the crop's; published: 0.
        blur: probability of a blur of up to 1.2 % of the crop's side; published: 0.
        noise: probability of noise of up to 20 grey levels; published: 0.
        compress: probability of JPEG compression with a quality of 10 to 60; published: 0.
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
    patch: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    compress: float = 0.0


@dataclass(frozen=True)
class Light:
    """A change of light and colour.

    Attributes:
        gamma: exponent on pixel values in [0, 1].
        gains: factors on red, green and blue.
        grey: convert to grey first.
    """

    gamma: float = 1.0
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    grey: bool = False


@dataclass(frozen=True)
class Augmentation:
    """One random augmentation.

    Attributes:
        flip: mirror the image first.
        scale: factor on the crop's side.
        rotation: degrees.
        shift: (x, y) of the crop's centre as shares of its side.
        light: change of light and colour.
        damage: damage to the pixels.
    """

    flip: bool = False
    scale: float = 1.0
    rotation: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)
    light: Light = Light()
    damage: Damage = field(default_factory=Damage)


def draw_augmentation(config: AugmentConfig, rng: np.random.Generator) -> Augmentation:
    """Draw an augmentation; the number of draws is fixed, so that one setting does not change the draws of another."""
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
        damage=_draw_damage(config, rng),
    )


def _draw_damage(config: AugmentConfig, rng: np.random.Generator) -> Damage:
    patch, blur, noise, compress = rng.random(4) < [config.patch, config.blur, config.noise, config.compress]
    x, y, across, down, softness, roughness = rng.random(6)
    red, green, blue = rng.integers(0, 256, 3)
    quality, seed = rng.integers(10, 61), rng.integers(0, 2**32)
    width, height = 0.1 + 0.3 * across, 0.1 + 0.3 * down
    return Damage(
        patch=(x - width / 2, y - height / 2, width, height) if patch else Damage.patch,
        colour=(int(red), int(green), int(blue)) if patch else Damage.colour,
        blur=0.012 * softness if blur else 0.0,
        noise=20 * roughness if noise else 0.0,
        quality=int(quality) if compress else 0,
        seed=int(seed) if noise else 0,
    )
