"""A random head in three dimensions, with the 98 landmarks of WFLW.

The proportions are our own. The unit of length is half the width of the head; x points to the right of the image, y
down, z to the viewer; the eyes are at y = 0.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from darkpose.image.geometry import Floats
from darkpose.schema import WFLW_98

CONTOUR = slice(0, 33)
LEFT_PUPIL, RIGHT_PUPIL = WFLW_98.index("left_pupil"), WFLW_98.index("right_pupil")
CURVE = 0.36  # how far the sides of the head are behind its middle
TEMPLE = -0.15  # y of the ends of the contour


class Person(NamedTuple):
    """Proportions of a face and its expression, in half widths of the head."""

    chin: float  # y
    jaw: float  # a smaller value is a squarer jaw
    skull: float  # height above the temples
    eye: float  # x of its centre
    eye_width: float
    eye_height: float  # of the upper lid over the corners
    slant: float  # height of the outer corner of the eye over the inner one
    gaze: float  # shift of the pupils in x
    brow: float  # y
    arch: float  # height of the middle of the brow over its ends
    frown: float  # height of the outer end of the brow over the inner one
    thickness: float  # of the brow
    nose: float  # y of its tip
    nose_width: float
    mouth: float  # y
    mouth_width: float
    lips: float  # height of each
    smile: float  # height of the corners of the mouth over its middle
    opening: float  # of the mouth


def random_person(rng: np.random.Generator, expression: bool) -> Person:
    """Draw proportions; with an expression, the mouth is open, the brows are raised, or both."""
    u: Iterator[float] = iter(rng.uniform(0, 1, 24).tolist())

    def between(low: float, high: float) -> float:
        return low + (high - low) * next(u)

    how = int(rng.integers(3))  # mouth, brows, both
    opening, raised = between(0.3, 0.5), between(0.13, 0.2)
    rest, brow = between(0.01, 0.05), between(-0.34, -0.26)
    opening = opening if expression and how != 1 else rest
    nose = between(0.52, 0.64)
    mouth = nose + between(0.36, 0.46)
    return Person(
        chin=mouth + between(0.48, 0.6) + 0.6 * opening,
        jaw=between(0.72, 0.95),
        skull=between(0.85, 1.0),
        eye=between(0.4, 0.45),
        eye_width=between(0.36, 0.44),
        eye_height=between(0.09, 0.125),
        slant=between(-0.02, 0.05),
        gaze=between(-0.04, 0.04),
        brow=brow - (raised if expression and how != 0 else 0),
        arch=between(0.04, 0.12),
        frown=between(-0.12, 0.03),
        thickness=between(0.06, 0.11),
        nose=nose,
        nose_width=between(0.2, 0.29),
        mouth=mouth,
        mouth_width=between(0.33, 0.45) * (1 - 0.3 * opening),
        lips=between(0.08, 0.14),
        smile=between(-0.03, 0.1),
        opening=opening,
    )


def half_width(person: Person, y: Floats) -> Floats:
    """Half the width of the head at y (N,)."""
    below = np.clip((y - TEMPLE) / (person.chin - TEMPLE), 0, 1)
    above = np.clip((TEMPLE - y) / person.skull, 0, 1)
    return np.where(y > TEMPLE, np.sqrt(1 - below**2) ** person.jaw, np.sqrt(1 - above**2))


def surface_depth(person: Person, x: Floats, y: Floats) -> Floats:
    """z of the surface of the head: a parabola in x, whose ends are `CURVE` half widths behind its middle."""
    return 0.44 - 0.16 * (y - 0.55) ** 2 - CURVE * x**2 / np.maximum(half_width(person, y), 1e-6)


def silhouette(person: Person, x: Floats, y: Floats, yaw: float) -> Floats:
    """Points (N, 3) on the edge of the head, on the side of x; where the head turns away, on the visible edge."""
    width = half_width(person, y)
    angle = np.deg2rad(abs(yaw))
    farthest = width * min(1.0, np.cos(angle) / max(2 * CURVE * np.sin(angle), 1e-6))  # maximises x cos + z sin
    x = np.sign(x) * np.where(np.sign(x) == np.sign(yaw), farthest, width)
    return np.stack([x, y, surface_depth(person, x, y)], axis=1)


def forehead(person: Person, yaw: float) -> Floats:
    """The edge (39, 3) of the head from its right temple over the top to the left."""
    angles = np.linspace(0, np.pi, 41)[1:-1]
    return silhouette(person, np.cos(angles), TEMPLE - person.skull * np.sin(angles), yaw)


def head_landmarks(person: Person, yaw: float) -> Floats:
    """The landmarks (98, 3): those of the left side of the image and of the middle, then their mirror images."""
    p = person
    points = np.full((len(WFLW_98), 3), np.nan)  # x, y, and z over the surface

    def put(first: int, x: Sequence[float] | Floats, y: Sequence[float] | Floats, out: float | list[float]) -> None:
        points[first : first + len(x)] = np.stack(np.broadcast_arrays(x, y, out), axis=1)

    outer, inner = p.eye + p.eye_width / 2, p.eye - p.eye_width / 2
    along = np.array([0, 0.25, 0.5, 0.75, 1])  # from the outer end
    upper = p.brow - p.arch * np.sin(np.pi * along**0.8) + p.frown * (along - 0.5)
    x = np.interp(along, [0, 1], [-outer - 0.12, -inner + 0.06])
    put(33, x, upper, 0.02)
    put(38, x[:0:-1] - [0, 0.01, 0.01, 0.01], (upper + p.thickness * (0.45 + 0.55 * along))[:0:-1], 0.02)

    lid = np.array([0, 0.75, 1, 0.75]) * p.eye_height
    slant = p.slant * (along - 0.5)
    x = np.interp(along, [0, 1], [-outer, -inner])
    put(60, x[:4], slant[:4] - lid, -0.04)
    put(64, x[:0:-1], slant[:0:-1] + 0.7 * lid, -0.04)
    put(LEFT_PUPIL, [-p.eye], [-0.15 * p.eye_height], -0.04)

    put(51, np.zeros(4), np.linspace(0, p.nose, 4), [0.05, 0.15, 0.26, 0.36])
    put(55, [-p.nose_width, -0.5 * p.nose_width, 0], np.array([0.06, 0.12, 0.15]) + p.nose, [0.08, 0.16, 0.2])

    x = np.array([-1, -0.62, -0.24, 0]) * p.mouth_width
    rise, up, down = p.smile * (x / p.mouth_width) ** 2, 0.2 * p.opening, 0.8 * p.opening
    put(76, x, p.mouth - rise - np.array([0, 0.75, 1.05, 0.9]) * p.lips - up * np.array([0, 0.75, 1, 1]), 0.05)
    low = p.mouth - rise + np.array([0, 0.7, 1.05, 1.15]) * p.lips + down * np.array([0, 0.75, 1, 1])
    put(85, x[:0:-1], low[:0:-1], 0.05)
    x = np.array([-0.84, -0.42, 0]) * p.mouth_width
    rise = p.smile * (x / p.mouth_width) ** 2
    put(88, x, p.mouth - rise - up * np.array([0.1, 0.85, 1]), 0.03)
    put(94, x[:0:-1], (p.mouth - rise + down * np.array([0.1, 0.85, 1]))[:0:-1], 0.03)

    right = np.isnan(points[:, 0])
    points[right] = points[WFLW_98.flip_index[right]] * [-1, 1, 1]
    points[[LEFT_PUPIL, RIGHT_PUPIL], 0] += p.gaze
    solid = points[:, :2]
    solid = np.column_stack([solid, surface_depth(person, *solid.T) + points[:, 2]])
    angles = np.linspace(-np.pi / 2, np.pi / 2, 33)
    solid[CONTOUR] = silhouette(person, np.sin(angles), TEMPLE + (p.chin - TEMPLE) * np.cos(angles), yaw)
    return solid


def iris(person: Person, pupil: Floats) -> Floats:
    """A disc (32, 3) on the surface of the head around a pupil (3,), inside the lids."""
    angles = 2 * np.pi * np.arange(32) / 32
    radius = 0.64 * person.eye_height
    x, y = (pupil[:2, None] + radius * np.stack([np.cos(angles), np.sin(angles)])).reshape(2, -1)
    disc = np.stack([x, y, surface_depth(person, x, y)], axis=1)
    return np.asarray(disc - disc.mean(axis=0) + pupil)


def behind_face(rng: np.random.Generator, yaw: float) -> list[tuple[str, Floats]]:
    """Names and polygons (N, 3) of everything behind the face, the farthest first."""
    angles = 2 * np.pi * np.arange(48) / 48
    across, down, none = np.cos(angles), np.sin(angles), np.zeros(48)
    turn = np.deg2rad(yaw)
    width = np.hypot(1.14 * np.cos(turn), 1.2 * np.sin(turn))
    skull = np.stack([width * across * np.cos(turn), 1.14 * down, width * across * np.sin(turn)], axis=1)
    skull += [0, -0.3, -0.7]
    neck = np.array([[-0.55, 0.4, -0.4], [-0.55, 1.7, -0.4], [-0.7, 2.6, -0.5]])
    neck = np.concatenate([neck, neck[::-1] * [-1, 1, 1]])
    shoulders = np.array([0, 2.9, -0.6]) + np.stack([2.0 * across, 0.8 * down, none], axis=1)
    ear = np.array([1.0, 0.2, -0.06]) + np.stack([-0.06 * across, 0.27 * down, 0.14 * across], axis=1)
    long_hair = [("hair", skull * [1, 1.25, 1] + [0, 0.75, 0])] if rng.uniform() < 0.4 else []
    ears = [("ear", ear), ("ear", ear * [-1, 1, 1])]
    return [*long_hair, ("neck", neck), ("cloth", shoulders), ("hair", skull), *ears]
