"""Drawn faces whose 98 landmarks are known exactly, to try out training without photographs.

A head is turned, projected in parallel, scaled, placed and drawn as polygons through its landmarks, at six times the
size of the image. In the reduced image an edge is within a tenth of a px of its landmarks. Where the head turns away,
the contour follows the visible edge of the cheek, as in WFLW.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkpose.datasets.face_plan import SIZE, PlannedFace, plan_face, random_for
from darkpose.datasets.head_model import CONTOUR
from darkpose.image.draw import FRACTION_BITS, fixed_point
from darkpose.image.geometry import Floats, resize_points
from darkpose.image.opencv import cv2
from darkpose.image.pixels import Pixels, blur_image, relight

SCALE = 6  # drawn px per px of the image
_EXCESS = 0.5  # drawn px by which OpenCV fills a polygon too wide on every side
_STEPS = 8  # parts of an edge: OpenCV rounds their ends, and many small errors cancel each other

_LIPS, _MOUTH = slice(76, 88), slice(88, 96)
_BROWS, _EYES = (slice(33, 42), slice(42, 51)), (slice(60, 68), slice(68, 76))
_NOSE_SIDES = ([51, 52, 53, 54, 57, 56, 55], [51, 52, 53, 54, 57, 58, 59])
_NOSE_BASE = slice(55, 60)
_TEETH = ([89, 90, 91], [95, 94, 93])  # upper and lower inner lip
_LIDS = (
    ([60, 61, 62, 63, 64], [41, 40, 39, 39, 38]),
    ([68, 69, 70, 71, 72], [50, 49, 48, 48, 47]),
)  # lid and brow above it

_HAIR = ((28, 24, 24), (66, 44, 30), (112, 74, 44), (196, 158, 98), (150, 148, 146), (150, 70, 36))
_IRIS = ((64, 42, 24), (38, 28, 22), (44, 72, 104), (52, 76, 52))
_WHITE, _BLACK, _DEEP = (240.0, 240.0, 236.0), (14.0, 12.0, 12.0), (58.0, 14.0, 18.0)


@dataclass(frozen=True)
class DrawnFace:
    """An image of one face.

    Attributes:
        image: (256, 256, 3) uint8 RGB.
        keypoints: (98, 2) float64 image px in the order of `WFLW_98`, all inside the image.
        attributes: those of `face_plan.ATTRIBUTES` that it was drawn with.
        yaw: of the head in degrees, positive to the right of the image.
    """

    image: Pixels
    keypoints: Floats
    attributes: frozenset[str]
    yaw: float


def draw_face(seed: int, index: int, attributes: Iterable[str] = ()) -> DrawnFace:
    """Draw a face; it depends on the arguments alone.

    The same seed and index with other attributes give the same person in front of the same background.

    Args:
        seed, index: not negative; every pair gives another person.
        attributes: any of `face_plan.ATTRIBUTES`. "pose": turned by 35 to 60 degrees instead of up to 20;
            "expression": mouth wide open, brows raised, or both; "illumination": darkness, or light from one side;
            "makeup": coloured lids and vivid lips; "occlusion": a patch in front of a part of the face; "blur": a
            Gaussian of 1.5 to 3 px.

    Raises:
        DarkposeError: an attribute is unknown, or a number is negative.
    """
    return draw_plan(plan_face(seed, index, attributes))


def draw_plan(plan: PlannedFace) -> DrawnFace:
    """Draw a face as planned."""
    return DrawnFace(_picture(plan), plan.keypoints, plan.attributes, plan.yaw)


class Look(NamedTuple):
    """RGB colours of a face."""

    skin: Floats
    hair: Floats
    iris: Floats
    lips: Floats
    lids: Floats
    cloth: Floats


def random_look(rng: np.random.Generator, makeup: bool) -> Look:
    """Choose the colours of a face at random."""
    tone, red = rng.uniform(0, 1, 2)
    hair, iris = _HAIR[rng.integers(len(_HAIR))], _IRIS[rng.integers(len(_IRIS))]
    cloth, vivid = rng.uniform(20, 230, 3), rng.uniform(0, 1, 3)
    skin = np.array([150, 102, 74]) + tone * np.array([98, 110, 112])
    lips = skin * [0.86, 0.55, 0.56] + [12 * red, 0, 0]
    lids = 40 + 190 * np.roll([0.05, 0.25 + 0.4 * vivid[0], 1.0], int(3 * vivid[1]))
    return Look(
        *(skin, np.asarray(hair, np.float64), np.asarray(iris, np.float64)),
        lips=np.array([205.0, 12 + 20 * red, 50 + 60 * vivid[2]]) if makeup else lips,
        lids=0.75 * lids + 0.25 * skin,
        cloth=cloth,
    )


def _picture(plan: PlannedFace) -> Pixels:
    rng = random_for(plan.seed, plan.index, "look")
    look = random_look(rng, "makeup" in plan.attributes)
    canvas = _resized(_background(rng), SCALE * SIZE, cv2.INTER_NEAREST)
    draw_head(canvas, plan, look)
    if "occlusion" in plan.attributes:
        _draw_patch(canvas, random_for(plan.seed, plan.index, "patch"), plan.keypoints)
    image = _resized(canvas, SIZE, cv2.INTER_AREA)
    return _relit(image, random_for(plan.seed, plan.index, "light"), plan.attributes)


def _background(rng: np.random.Generator) -> Pixels:
    """A background with smooth transitions between a few colours."""
    patches = rng.integers(2, 7, 2)
    colours = rng.uniform(20, 235) + rng.normal(0, 30, 3) + rng.normal(0, 35, (*patches, 3))
    return _resized(np.clip(colours, 0, 255).astype(np.uint8), SIZE, cv2.INTER_LINEAR)


def _resized(image: Pixels, size: int, how: int) -> Pixels:
    return np.asarray(cv2.resize(image, (size, size), interpolation=how), np.uint8)


def draw_head(canvas: Pixels, plan: PlannedFace, look: Look) -> None:
    """Draw a head into a picture enlarged by `SCALE`."""
    at, skin = plan.keypoints, look.skin
    line = max(2, round(SCALE * float(np.ptp(at, axis=0).max()) / 150))
    colours = {"hair": look.hair, "cloth": look.cloth, "neck": 0.72 * skin, "ear": 0.85 * skin}
    for name, polygon in plan.behind:
        _fill(canvas, polygon, colours[name])
    _fill(canvas, np.concatenate([at[CONTOUR], plan.forehead]), skin)
    if "makeup" in plan.attributes:
        for lid, above in _LIDS:
            _fill(canvas, np.concatenate([at[lid], (0.4 * at[lid] + 0.6 * at[above])[::-1]]), look.lids)
    for brow in _BROWS:
        _fill(canvas, at[brow], 0.5 * look.hair)
    for eye, iris, pupil in zip(_EYES, plan.irises, plan.pupils, strict=True):
        _fill(canvas, at[eye], _WHITE)
        _fill(canvas, iris, look.iris)
        _fill(canvas, pupil, _BLACK)
        _line(canvas, at[eye], 0.3 * skin, line, closed=True)
    _draw_nose(canvas, plan, skin, line)
    _fill(canvas, at[_LIPS], look.lips)
    _fill(canvas, at[_MOUTH], _DEEP)
    upper, lower = at[_TEETH[0]], at[_TEETH[1]]
    if np.linalg.norm(upper[1] - lower[1]) > 0.1 * np.ptp(at, axis=0).max():
        _fill(canvas, np.concatenate([upper, (0.8 * upper + 0.2 * lower)[::-1]]), _WHITE)
    _line(canvas, at[_MOUTH], _DEEP, max(1, line // 2), closed=True)


def _draw_nose(canvas: Pixels, plan: PlannedFace, skin: Floats, line: int) -> None:
    """Draw the far side of the nose first; the bridge is the line between its light and its dark side."""
    sides = list(zip(_NOSE_SIDES, (0.84, 1.04), strict=True))
    for side, shade in sides if plan.yaw < 0 else reversed(sides):
        _fill(canvas, plan.keypoints[side], np.minimum(shade * skin, 255))
    _line(canvas, plan.keypoints[_NOSE_BASE], 0.55 * skin, line, closed=False)


def _fixed(points: Floats) -> NDArray[np.int32]:
    return fixed_point(resize_points(points, SCALE))


def _colour(values: Iterable[float]) -> tuple[int, int, int]:
    red, green, blue = (round(value) for value in values)
    return red, green, blue


def _fill(canvas: Pixels, polygon: Floats, colour: Iterable[float]) -> None:
    corners = _inset(polygon, _EXCESS / SCALE)
    steps = np.arange(_STEPS)[:, None] / _STEPS * (np.roll(corners, -1, axis=0) - corners)[:, None]
    points = (corners[:, None] + steps).reshape(-1, 2)
    cv2.fillPoly(canvas, [_fixed(points)], _colour(colour), cv2.LINE_8, FRACTION_BITS)


def _inset(polygon: Floats, distance: float) -> Floats:
    """The polygon (N, 2) with its edges moved inwards, by less at sharp corners."""
    edges = np.roll(polygon, -1, axis=0) - polygon
    normals = edges[:, ::-1] * [-1, 1] / np.maximum(np.linalg.norm(edges, axis=1, keepdims=True), 1e-9)
    signed_area = np.sum(polygon[:, 0] * edges[:, 1] - polygon[:, 1] * edges[:, 0])
    both = normals + np.roll(normals, 1, axis=0)  # its length is 2 cos(a); corners move by 1 / cos(a)
    return np.asarray(
        polygon + np.sign(signed_area) * distance * 2 * both / np.maximum((both**2).sum(axis=1), 0.25)[:, None]
    )


def _line(canvas: Pixels, points: Floats, colour: Iterable[float], width: int, *, closed: bool) -> None:
    cv2.polylines(canvas, [_fixed(points)], closed, _colour(colour), width, cv2.LINE_8, FRACTION_BITS)


def _draw_patch(canvas: Pixels, rng: np.random.Generator, keypoints: Floats) -> None:
    """Draw a rectangle or an ellipse around one of the landmarks."""
    center = keypoints[rng.integers(len(keypoints))]
    radii = rng.uniform(0.14, 0.3, 2) * np.ptp(keypoints, axis=0).max()
    count = 4 if rng.uniform() < 0.5 else 40
    around, tilt = np.pi / 4 + 2 * np.pi * np.arange(count) / count, rng.uniform(0, np.pi)
    ring = np.stack([np.cos(around), np.sin(around)], axis=1) * radii
    turn = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
    _fill(canvas, center + ring @ turn, rng.uniform(10, 245, 3))


def _relit(image: Pixels, rng: np.random.Generator, attributes: frozenset[str]) -> Pixels:
    """Change the light, the noise and the sharpness of an image."""
    gains, slope, angle = rng.uniform(0.85, 1.0, 3), rng.uniform(0, 0.15), rng.uniform(0, 2 * np.pi)
    dark, strong, sigma, grain = rng.uniform(0.2, 0.4), rng.uniform(0.7, 0.9), rng.uniform(1.5, 3), rng.uniform(1, 5)
    darkness = bool(rng.uniform() < 0.5)
    if "illumination" in attributes:
        gains, slope = (gains * dark, slope) if darkness else (gains, strong)
    image = relight(image, 1.0, gains.tolist())
    ramp = np.linspace(-1, 1, SIZE, dtype=np.float32)
    field = 1 + np.float32(slope) * (np.float32(np.cos(angle)) * ramp + np.float32(np.sin(angle)) * ramp[:, None])
    field /= np.float32(1 + slope / 2)
    noise = np.float32(grain) * rng.standard_normal((SIZE, SIZE), np.float32)
    image = np.clip(image * field[..., None] + noise[..., None], 0, 255).astype(np.uint8)
    return blur_image(image, sigma) if "blur" in attributes else image
