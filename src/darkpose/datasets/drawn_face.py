"""Faces drawn by darkpose itself, whose 98 landmarks are known exactly: to try out training without photographs.

A person is a set of proportions, of our own making, on a curved head. Half the head's width is the unit of length, x
grows to the image's right, y downwards, z towards the viewer; the eyes lie at y = 0. The head is turned, projected in
parallel, scaled and placed, and drawn as polygons through its landmarks, at six times the size of the picture: once
reduced, an edge lies within a tenth of a px of its landmarks. Where the head turns away, the contour is the outline of
the cheek that can be seen, as in WFLW.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkpose.errors import DarkposeError
from darkpose.image.geometry import Floats, resize_points
from darkpose.image.opencv import cv2
from darkpose.image.pixels import Pixels, blur_image, relight
from darkpose.schema import WFLW_98

ATTRIBUTES = ("pose", "expression", "illumination", "makeup", "occlusion", "blur")  # WFLW's
SIZE = 256  # width and height of a picture, px
LARGE_YAW = (35.0, 60.0)  # of "pose", degrees either way

_SIDES = (112.0, 168.0)  # longer side of the landmarks' box, px
_MARGIN = 8.0  # between landmarks and the picture's border, px
_YAW = 20.0  # up to, degrees either way
_FINE = 6  # drawn px per px of the picture
_EXCESS = 0.5  # drawn px by which OpenCV fills a polygon too wide, all around
_STEPS = 8  # into which an edge is divided: OpenCV rounds their ends, and the errors of many small ones cancel
_SHIFT = 4  # OpenCV takes coordinates in 1/16 of a drawn px
_CURVE = 0.36  # how far the side of the head lies behind its middle, in half widths
_TEMPLE = -0.15  # y of the contour's ends

_LEFT_PUPIL, _RIGHT_PUPIL = WFLW_98.index("left_pupil"), WFLW_98.index("right_pupil")
_CONTOUR, _LIPS, _MOUTH = slice(0, 33), slice(76, 88), slice(88, 96)
_BROWS, _EYES = (slice(33, 42), slice(42, 51)), (slice(60, 68), slice(68, 76))
_NOSE_SIDES = ([51, 52, 53, 54, 57, 56, 55], [51, 52, 53, 54, 57, 58, 59])
_NOSE_BASE = slice(55, 60)
_TEETH = ([89, 90, 91], [95, 94, 93])  # from the upper lip towards the lower
_LIDS = (([60, 61, 62, 63, 64], [41, 40, 39, 39, 38]), ([68, 69, 70, 71, 72], [50, 49, 48, 48, 47]))  # to the brow

_HAIR = ((28, 24, 24), (66, 44, 30), (112, 74, 44), (196, 158, 98), (150, 148, 146), (150, 70, 36))
_IRIS = ((64, 42, 24), (38, 28, 22), (44, 72, 104), (52, 76, 52))
_WHITE, _BLACK, _DEEP = (240.0, 240.0, 236.0), (14.0, 12.0, 12.0), (58.0, 14.0, 18.0)


@dataclass(frozen=True)
class DrawnFace:
    """A picture of one face.

    Attributes:
        image: (256, 256, 3) uint8 RGB.
        keypoints: (98, 2) float64 image px in the order of `WFLW_98`, all inside the image.
        attributes: those of `ATTRIBUTES` that it was drawn with.
        yaw: degrees by which the head is turned, positive to the image's right.
    """

    image: Pixels
    keypoints: Floats
    attributes: frozenset[str]
    yaw: float


@dataclass(frozen=True)
class PlannedFace:
    """Where everything of a face lies, before it is drawn. Polygons are (N, 2) in image px.

    Attributes:
        seed, index, attributes: what it is a function of.
        keypoints, yaw: as of `DrawnFace`.
        behind: shoulders, neck, hair and ears, in the order in which they are drawn.
        forehead: from the contour's last landmark over the head to its first.
        irises, pupils: discs around the pupils' landmarks, left and right.
    """

    seed: int
    index: int
    attributes: frozenset[str]
    keypoints: Floats
    yaw: float
    behind: tuple[tuple[str, Floats], ...]
    forehead: Floats
    irises: tuple[Floats, ...]
    pupils: tuple[Floats, ...]

    def draw(self) -> DrawnFace:
        """The picture of this face."""
        return DrawnFace(_picture(self), self.keypoints, self.attributes, self.yaw)


def draw_face(seed: int, index: int, attributes: Iterable[str] = ()) -> DrawnFace:
    """Draw a face, as a function of the arguments alone.

    The same seed and index with other attributes give the same person before the same background.

    Args:
        seed, index: not negative; another pair is another person.
        attributes: any of `ATTRIBUTES`. "pose": turned by 35 to 60 degrees instead of up to 20; "expression": mouth
            wide open, brows raised, or both; "illumination": darkness, or light from one side; "makeup": coloured lids
            and vivid lips; "occlusion": a patch before a part of the face; "blur": a Gaussian of 1.5 to 3 px.

    Raises:
        DarkposeError: an attribute is unknown, or a number is negative.
    """
    return plan_face(seed, index, attributes).draw()


def plan_face(seed: int, index: int, attributes: Iterable[str] = ()) -> PlannedFace:
    """What `draw_face` would draw, and where: for its landmarks alone. Arguments and errors are the same."""
    attributes = frozenset(attributes)
    if not attributes <= set(ATTRIBUTES):
        raise DarkposeError(f"expected attributes among {', '.join(ATTRIBUTES)}, got {', '.join(sorted(attributes))}")
    if seed < 0 or index < 0:
        raise DarkposeError(f"the seed and the index of a face must not be negative, got {seed} and {index}")
    person = _person(_random(seed, index, "person"), "expression" in attributes)
    rng = _random(seed, index, "view")
    yaw, turn = _pose(rng, "pose" in attributes)
    solid = _landmarks(person, yaw)
    place = _placement(rng, solid @ turn.T)
    discs = [_iris(person, solid[pupil]) for pupil in (_LEFT_PUPIL, _RIGHT_PUPIL)]

    def seen(points: Floats) -> Floats:
        return place(points @ turn.T)

    return PlannedFace(
        *(seed, index, attributes, seen(solid), yaw),
        behind=tuple((name, seen(polygon)) for name, polygon in _behind(rng, yaw)),
        forehead=seen(_forehead(person, yaw)),
        irises=tuple(seen(disc) for disc in discs),
        pupils=tuple(seen(disc.mean(axis=0) + 0.45 * (disc - disc.mean(axis=0))) for disc in discs),
    )


def _random(seed: int, index: int, purpose: str) -> np.random.Generator:
    """Randomness of its own for every purpose: what one attribute changes leaves everything else alone."""
    return np.random.default_rng([seed, index, ("person", "view", "look", "patch", "light").index(purpose)])


# The head


class _Person(NamedTuple):
    """Proportions of a face and its expression, in half widths of the head."""

    chin: float  # its y
    jaw: float  # the smaller, the squarer
    skull: float  # height above the temples
    eye: float  # x of its middle
    eye_width: float
    eye_height: float  # of the upper lid over the corners
    slant: float  # by which the outer corner is higher than the inner
    gaze: float
    brow: float  # its y
    arch: float
    frown: float  # by which its inner end is lower than its outer
    thickness: float  # of the brow
    nose: float  # y of its tip
    nose_width: float
    mouth: float  # its y
    mouth_width: float
    lips: float  # height of each
    smile: float  # by which the corners are higher
    opening: float


def _person(rng: np.random.Generator, expression: bool) -> _Person:
    u: Iterator[float] = iter(rng.uniform(0, 1, 24).tolist())

    def between(low: float, high: float) -> float:
        return low + (high - low) * next(u)

    how = int(rng.integers(3))  # mouth, brows, both
    opening, raised = between(0.3, 0.5), between(0.13, 0.2)
    rest, brow = between(0.01, 0.05), between(-0.34, -0.26)
    opening = opening if expression and how != 1 else rest
    nose = between(0.52, 0.64)
    mouth = nose + between(0.36, 0.46)
    return _Person(
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


def _half_width(person: _Person, y: Floats) -> Floats:
    """Of the head at a height."""
    below = np.clip((y - _TEMPLE) / (person.chin - _TEMPLE), 0, 1)
    above = np.clip((_TEMPLE - y) / person.skull, 0, 1)
    return np.where(y > _TEMPLE, np.sqrt(1 - below**2) ** person.jaw, np.sqrt(1 - above**2))


def _depth(person: _Person, x: Floats, y: Floats) -> Floats:
    """z of the head's surface: a parabola in x, whose ends lie `_CURVE` half widths behind its middle."""
    return 0.44 - 0.16 * (y - 0.55) ** 2 - _CURVE * x**2 / np.maximum(_half_width(person, y), 1e-6)


def _edge(person: _Person, x: Floats, y: Floats, yaw: float) -> Floats:
    """Points (N, 3) of the head's edge, on the side of x; where the head turns away, of the edge that is seen."""
    width = _half_width(person, y)
    angle = np.deg2rad(abs(yaw))
    farthest = width * min(1.0, np.cos(angle) / max(2 * _CURVE * np.sin(angle), 1e-6))  # maximises x cos + z sin
    x = np.sign(x) * np.where(np.sign(x) == np.sign(yaw), farthest, width)
    return np.stack([x, y, _depth(person, x, y)], axis=1)


def _forehead(person: _Person, yaw: float) -> Floats:
    angles = np.linspace(0, np.pi, 41)[1:-1]
    return _edge(person, np.cos(angles), _TEMPLE - person.skull * np.sin(angles), yaw)


def _landmarks(person: _Person, yaw: float) -> Floats:
    """(98, 3): those of the image's left side and of the middle, and their mirror images."""
    p = person
    points = np.full((len(WFLW_98), 3), np.nan)  # x, y, and how far they stand out

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
    put(_LEFT_PUPIL, [-p.eye], [-0.15 * p.eye_height], -0.04)

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
    points[[_LEFT_PUPIL, _RIGHT_PUPIL], 0] += p.gaze
    solid = points[:, :2]
    solid = np.column_stack([solid, _depth(person, *solid.T) + points[:, 2]])
    angles = np.linspace(-np.pi / 2, np.pi / 2, 33)
    solid[_CONTOUR] = _edge(person, np.sin(angles), _TEMPLE + (p.chin - _TEMPLE) * np.cos(angles), yaw)
    return solid


def _iris(person: _Person, pupil: Floats) -> Floats:
    """A polygon (32, 3) on the head's surface around a pupil, inside the lids."""
    angles = 2 * np.pi * np.arange(32) / 32
    radius = 0.64 * person.eye_height
    x, y = (pupil[:2, None] + radius * np.stack([np.cos(angles), np.sin(angles)])).reshape(2, -1)
    disc = np.stack([x, y, _depth(person, x, y)], axis=1)
    return np.asarray(disc - disc.mean(axis=0) + pupil)


def _behind(rng: np.random.Generator, yaw: float) -> list[tuple[str, Floats]]:
    """Polygons (N, 3), the farthest first."""
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


# The view


def _pose(rng: np.random.Generator, large: bool) -> tuple[float, Floats]:
    """Yaw in degrees, and the matrix (2, 3) that turns and projects points of the head."""
    u = rng.uniform(-1, 1, 3)
    low, high = LARGE_YAW
    yaw = float(np.copysign(low + (high - low) * abs(u[0]), u[0]) if large else _YAW * u[0])
    pitch, roll = 12 * u[1], 15 * u[2]
    (cy, cp, cr), (sy, sp, sr) = (f(np.deg2rad([yaw, pitch, roll])) for f in (np.cos, np.sin))
    across = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    nod = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    return yaw, np.array([[cr, -sr, 0], [sr, cr, 0]]) @ nod @ across


def _placement(rng: np.random.Generator, flat: Floats) -> Callable[[Floats], Floats]:
    """The way to image px of points (N, 2): to a random size, at a random place inside the picture."""
    u = rng.uniform(0, 1, 3)
    low, extent = flat.min(axis=0), np.ptp(flat, axis=0)
    scale = (_SIDES[0] + (_SIDES[1] - _SIDES[0]) * u[0]) / extent.max()
    room = SIZE - 1 - 2 * _MARGIN - scale * extent
    corner = _MARGIN + room * [0.2 + 0.6 * u[1], 0.4 + 0.5 * u[2]]  # more room above, for the forehead

    def place(points: Floats) -> Floats:
        return np.asarray(corner + scale * (points - low))

    return place


# The picture


class _Look(NamedTuple):
    """Colours, RGB."""

    skin: Floats
    hair: Floats
    iris: Floats
    lips: Floats
    lids: Floats
    cloth: Floats


def _look(rng: np.random.Generator, makeup: bool) -> _Look:
    tone, red = rng.uniform(0, 1, 2)
    hair, iris = _HAIR[rng.integers(len(_HAIR))], _IRIS[rng.integers(len(_IRIS))]
    cloth, vivid = rng.uniform(20, 230, 3), rng.uniform(0, 1, 3)
    skin = np.array([150, 102, 74]) + tone * np.array([98, 110, 112])
    lips = skin * [0.86, 0.55, 0.56] + [12 * red, 0, 0]
    lids = 40 + 190 * np.roll([0.05, 0.25 + 0.4 * vivid[0], 1.0], int(3 * vivid[1]))
    return _Look(
        *(skin, np.asarray(hair, np.float64), np.asarray(iris, np.float64)),
        lips=np.array([205.0, 12 + 20 * red, 50 + 60 * vivid[2]]) if makeup else lips,
        lids=0.75 * lids + 0.25 * skin,
        cloth=cloth,
    )


def _picture(plan: PlannedFace) -> Pixels:
    rng = _random(plan.seed, plan.index, "look")
    look = _look(rng, "makeup" in plan.attributes)
    canvas = _resized(_background(rng), _FINE * SIZE, cv2.INTER_NEAREST)
    _draw_head(canvas, plan, look)
    if "occlusion" in plan.attributes:
        _draw_patch(canvas, _random(plan.seed, plan.index, "patch"), plan.keypoints)
    image = _resized(canvas, SIZE, cv2.INTER_AREA)
    return _lit(image, _random(plan.seed, plan.index, "light"), plan.attributes)


def _background(rng: np.random.Generator) -> Pixels:
    """A few colours that run into each other."""
    patches = rng.integers(2, 7, 2)
    colours = rng.uniform(20, 235) + rng.normal(0, 30, 3) + rng.normal(0, 35, (*patches, 3))
    return _resized(np.clip(colours, 0, 255).astype(np.uint8), SIZE, cv2.INTER_LINEAR)


def _resized(image: Pixels, size: int, how: int) -> Pixels:
    return np.asarray(cv2.resize(image, (size, size), interpolation=how), np.uint8)


def _draw_head(canvas: Pixels, plan: PlannedFace, look: _Look) -> None:
    at, skin = plan.keypoints, look.skin
    line = max(2, round(_FINE * float(np.ptp(at, axis=0).max()) / 150))
    colours = {"hair": look.hair, "cloth": look.cloth, "neck": 0.72 * skin, "ear": 0.85 * skin}
    for name, polygon in plan.behind:
        _fill(canvas, polygon, colours[name])
    _fill(canvas, np.concatenate([at[_CONTOUR], plan.forehead]), skin)
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
    """The side turned away first; the bridge is where the light side meets the dark one."""
    sides = list(zip(_NOSE_SIDES, (0.84, 1.04), strict=True))
    for side, shade in sides if plan.yaw < 0 else reversed(sides):
        _fill(canvas, plan.keypoints[side], np.minimum(shade * skin, 255))
    _line(canvas, plan.keypoints[_NOSE_BASE], 0.55 * skin, line, closed=False)


def _fixed(points: Floats) -> NDArray[np.int32]:
    return np.asarray(np.round(resize_points(points, _FINE) * (1 << _SHIFT)), np.int32)


def _colour(values: Iterable[float]) -> tuple[int, int, int]:
    red, green, blue = (round(value) for value in values)
    return red, green, blue


def _fill(canvas: Pixels, polygon: Floats, colour: Iterable[float]) -> None:
    corners = _inset(polygon, _EXCESS / _FINE)
    steps = np.arange(_STEPS)[:, None] / _STEPS * (np.roll(corners, -1, axis=0) - corners)[:, None]
    points = (corners[:, None] + steps).reshape(-1, 2)
    cv2.fillPoly(canvas, [_fixed(points)], _colour(colour), cv2.LINE_8, _SHIFT)


def _inset(polygon: Floats, distance: float) -> Floats:
    """The polygon with its edges moved inwards; at sharp corners by less."""
    edges = np.roll(polygon, -1, axis=0) - polygon
    normals = edges[:, ::-1] * [-1, 1] / np.maximum(np.linalg.norm(edges, axis=1, keepdims=True), 1e-9)
    signed_area = np.sum(polygon[:, 0] * edges[:, 1] - polygon[:, 1] * edges[:, 0])
    both = normals + np.roll(normals, 1, axis=0)  # of length 2 cos(a), where the way is 1 / cos(a)
    return np.asarray(
        polygon + np.sign(signed_area) * distance * 2 * both / np.maximum((both**2).sum(axis=1), 0.25)[:, None]
    )


def _line(canvas: Pixels, points: Floats, colour: Iterable[float], width: int, *, closed: bool) -> None:
    cv2.polylines(canvas, [_fixed(points)], closed, _colour(colour), width, cv2.LINE_8, _SHIFT)


def _draw_patch(canvas: Pixels, rng: np.random.Generator, keypoints: Floats) -> None:
    """A rectangle or an ellipse around one of the landmarks."""
    center = keypoints[rng.integers(len(keypoints))]
    radii = rng.uniform(0.14, 0.3, 2) * np.ptp(keypoints, axis=0).max()
    count = 4 if rng.uniform() < 0.5 else 40
    around, tilt = np.pi / 4 + 2 * np.pi * np.arange(count) / count, rng.uniform(0, np.pi)
    ring = np.stack([np.cos(around), np.sin(around)], axis=1) * radii
    turn = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
    _fill(canvas, center + ring @ turn, rng.uniform(10, 245, 3))


def _lit(image: Pixels, rng: np.random.Generator, attributes: frozenset[str]) -> Pixels:
    """Light, sharpness and noise of the picture."""
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
