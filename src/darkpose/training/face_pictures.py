"""Training pictures of the face detector: annotated pictures, turned, scaled, pasted, damaged and relit.

A face is a landmark box in its own frame: centre x and y, width, height (px) and roll (radians, clockwise on the
screen).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from darkpose.image.geometry import Floats, compose, mirror_matrix, transform
from darkpose.image.pixels import Pixels, decode_image, relight, resized, warp_image
from darkpose.training.degrade import Damage, degrade

TINY = 10.0  # px; smaller faces are neither asked for nor wrong to find
COVERED = 0.2  # share of a face under a pasted picture from which it is neither asked for nor wrong to find


@dataclass(frozen=True, eq=False)
class FacePicture:
    """An annotated picture.

    Attributes:
        data: the bytes of the image file.
        faces: (M, 5), image px and radians.
        certainty: (M,) of the rolls, 0 to 1.
        ignored: (I, 4) boxes x0, y0, x1, y1, image px, in which nothing is learnt.
        is_complete: whether every face of the picture is annotated; else one face is.
    """

    data: bytes
    faces: Floats
    certainty: Floats
    ignored: Floats
    is_complete: bool


@dataclass(frozen=True, eq=False)
class TrainingPicture:
    """What the network learns from.

    Attributes:
        image: (S, S, 3) uint8 RGB.
        faces, certainty, ignored: as of `FacePicture`, px of this image.
        counts: (M,) faces to be found; the others are neither asked for nor wrong to find.
        doubtful: (S, S) where faces may be that are not annotated.
    """

    image: Pixels
    faces: Floats
    certainty: Floats
    ignored: Floats
    counts: NDArray[np.bool_]
    doubtful: NDArray[np.bool_]


@dataclass(frozen=True)
class PictureConfig:
    """How pictures are made.

    Attributes:
        size: side of a picture, px.
        smallest, largest: sides of the chosen face of a picture, px, evenly spread on a logarithmic scale.
        smallest_single: the same of pictures with one annotated face.
        enlarged: largest factor by which a picture is enlarged.
        full_circle: share of pictures turned by any angle; the others are turned a little.
        tilt: standard deviation of the angle of the others, degrees.
        single: share of pictures with one annotated face.
        pasted: share of these that are pasted onto another picture.
        patches: share of pictures in which some faces are partly covered.
        blurred, noisy, compressed, dark, grey, tinted: shares of pictures changed in this way.
    """

    size: int = 256
    smallest: float = 12.0
    largest: float = 300.0
    smallest_single: float = 20.0
    enlarged: float = 3.0
    full_circle: float = 0.5
    tilt: float = 10.0
    single: float = 0.22
    pasted: float = 0.7
    patches: float = 0.12
    blurred: float = 0.2
    noisy: float = 0.15
    compressed: float = 0.15
    dark: float = 0.08
    grey: float = 0.15
    tinted: float = 0.3


def draw_picture(
    complete: Sequence[FacePicture], single: Sequence[FacePicture], config: PictureConfig, rng: np.random.Generator
) -> TrainingPicture:
    """One random training picture.

    Args:
        complete: pictures in which every face is annotated.
        single: pictures in which one face is annotated; may be empty.
        config: how it is made.
        rng: decides everything.
    """
    if single and rng.random() < config.single:
        made = place(single[int(rng.integers(len(single)))], config, rng)
        if rng.random() < config.pasted:
            made = pasted(made, place(complete[int(rng.integers(len(complete)))], config, rng))
    else:
        made = place(complete[int(rng.integers(len(complete)))], config, rng)
    return replace(made, image=_changed(made, config, rng))


def place(picture: FacePicture, config: PictureConfig, rng: np.random.Generator) -> TrainingPicture:
    """A picture turned, scaled and moved so that one of its faces has a random size and place."""
    image, size = decode_image(picture.data), config.size
    turned = rng.uniform(-180, 180) if rng.random() < config.full_circle else rng.normal(0, config.tilt)
    angle = np.deg2rad(turned)
    around, scale = _chosen(picture, image, config, rng)
    target = rng.uniform(0.05, 0.95, 2) * size
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.column_stack([linear, target - linear @ around])
    is_mirrored = rng.random() < 0.5
    if is_mirrored:
        matrix = compose(mirror_matrix(size), matrix)
    faces = np.column_stack(
        [
            transform(matrix, picture.faces[:, :2]),
            picture.faces[:, 2:4] * scale,
            (picture.faces[:, 4] + angle) * (-1 if is_mirrored else 1),
        ]
    )
    side = np.sqrt(faces[:, 2:4].prod(axis=1))
    near = ((faces[:, :2] > -side[:, None]) & (faces[:, :2] < size + side[:, None])).all(axis=1)
    inside = ((faces[:, :2] >= 0) & (faces[:, :2] < size)).all(axis=1)
    doubtful = np.zeros((size, size), bool)
    if not picture.is_complete:
        doubtful = _cover(image, matrix, size) & ~_around(faces[0], size)
    corners = transform(matrix, picture.ignored[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2))
    ignored = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    warped = _warp(image, matrix, scale, size)
    return TrainingPicture(
        warped, faces[near], picture.certainty[near], ignored, (inside & (side >= TINY))[near], doubtful
    )


def _chosen(
    picture: FacePicture, image: Pixels, config: PictureConfig, rng: np.random.Generator
) -> tuple[Floats, float]:
    """The point around which a picture is placed, and its scale: of a face, or sometimes of any part."""
    sides = np.sqrt(picture.faces[:, 2:4].prod(axis=1))
    if not len(sides) or (picture.is_complete and rng.random() < 0.07):
        return rng.uniform(0, image.shape[1::-1]), float(np.exp(rng.uniform(np.log(0.4), np.log(1.6))))
    chance = np.sqrt(np.maximum(sides, 1))
    face = rng.choice(len(sides), p=chance / chance.sum())
    smallest = config.smallest if picture.is_complete else config.smallest_single
    wanted = np.exp(rng.uniform(np.log(smallest), np.log(config.largest)))
    scale = max(min(wanted / sides[face], config.enlarged), config.smallest / sides[face])
    return picture.faces[face, :2], float(np.clip(scale, 0.05, config.enlarged))


def _warp(image: Pixels, matrix: Floats, scale: float, size: int) -> Pixels:
    """The part of an image that falls into the picture; areas are averaged where it shrinks."""
    if scale < 0.6:
        height, width = image.shape[:2]
        smaller = (max(1, round(width * scale * 1.2)), max(1, round(height * scale * 1.2)))
        factor = np.array([width / smaller[0], height / smaller[1]])
        image = resized(image, smaller)
        matrix = compose(matrix, np.column_stack([np.diag(factor), (factor - 1) / 2]))
    return warp_image(image, matrix, (size, size))


def _cover(image: Pixels, matrix: Floats, size: int) -> NDArray[np.bool_]:
    """(size, size) where the image lies."""
    return np.asarray(warp_image(np.full_like(image, 255), matrix, (size, size))[..., 0] > 127)


def _around(face: Floats, size: int) -> NDArray[np.bool_]:
    """(size, size) near a face, where no other face can be."""
    y, x = np.ogrid[:size, :size]
    reach = 0.95 * face[2:4].max()
    return np.asarray((np.abs(x - face[0]) < reach) & (np.abs(y - face[1]) < reach))


def pasted(front: TrainingPicture, back: TrainingPicture) -> TrainingPicture:
    """One picture on another one, whose faces below it are hidden."""
    cover = front.doubtful | _around(front.faces[0], len(front.image)) & (front.image > 0).any(axis=2)
    image = np.where(cover[..., None], front.image, back.image)
    shares = np.array([_share(cover, face) for face in back.faces])
    seen = shares < 0.8 if len(shares) else np.zeros(0, bool)
    counts = back.counts[seen] & (shares[seen] < COVERED)
    return TrainingPicture(
        image,
        np.concatenate([front.faces, back.faces[seen]]),
        np.concatenate([front.certainty, back.certainty[seen]]),
        np.concatenate([front.ignored, back.ignored]),
        np.concatenate([front.counts, counts]),
        front.doubtful,
    )


def _share(cover: NDArray[np.bool_], face: Floats) -> float:
    """Share of a face that is covered."""
    half = max(1.0, face[2:4].max() / 2)
    left, top, right, bottom = np.clip(np.rint([*(face[:2] - half), *(face[:2] + half)]), 0, len(cover)).astype(int)
    part = cover[top:bottom, left:right]
    return float(part.mean()) if part.size else 0.0


def _changed(made: TrainingPicture, config: PictureConfig, rng: np.random.Generator) -> Pixels:
    """The image with patches on faces, blur, noise, compression and other light."""
    image, size = made.image, config.size
    if rng.random() < config.patches:
        for face in made.faces[rng.random(len(made.faces)) < 0.5]:
            extent = face[2:4] * rng.uniform(0.2, 0.6, 2)
            corner = face[:2] + rng.uniform(-0.4, 0.4, 2) * face[2:4] - extent / 2
            colour = (int(rng.integers(256)), int(rng.integers(256)), int(rng.integers(256)))
            image = degrade(image, Damage((*(corner / size), *(extent / size)), colour))
    gamma = np.exp(rng.normal(0, 0.2))
    gains = np.full(3, np.exp(rng.normal(0, 0.2)))
    if rng.random() < config.dark:
        gains *= rng.uniform(0.12, 0.5)
    if rng.random() < config.tinted:
        gains *= rng.uniform(0.8, 1.2, 3)
    image = relight(image, float(gamma), list(gains), grey=bool(rng.random() < config.grey))
    damage = Damage(
        blur=rng.uniform(0.4, 1.6) / size if rng.random() < config.blurred else 0.0,
        noise=rng.uniform(2, 14) if rng.random() < config.noisy else 0.0,
        quality=int(rng.integers(25, 80)) if rng.random() < config.compressed else 0,
        seed=int(rng.integers(1 << 31)),
    )
    return degrade(image, damage)
