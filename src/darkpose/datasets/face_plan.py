"""The plan of a drawn face: its landmarks and polygons in the image, before it is drawn."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from darkpose.datasets.head_model import (
    LEFT_PUPIL,
    RIGHT_PUPIL,
    Person,
    behind_face,
    forehead,
    head_landmarks,
    iris,
    random_person,
)
from darkpose.errors import DarkposeError
from darkpose.image.geometry import Floats

ATTRIBUTES = ("pose", "expression", "illumination", "makeup", "occlusion", "blur")  # as of WFLW
PURPOSES = ("person", "view", "look", "patch", "light")  # of random numbers
SIZE = 256  # width and height of the image, px
FACE_SIDES = (112.0, 168.0)  # range of the longer side of the landmarks' box, px
MARGIN = 8.0  # between landmarks and the border of the image, px
MAX_YAW = 20.0  # degrees, to either side
LARGE_YAW = (35.0, 60.0)  # range for "pose", degrees, to either side


@dataclass(frozen=True)
class PlannedFace:
    """The positions of everything in a face. Polygons are (N, 2) in image px.

    Attributes:
        seed, index, attributes: the arguments of `plan_face`, which determine all else.
        keypoints: (98, 2) float64 image px in the order of `WFLW_98`, all inside the image.
        yaw: of the head in degrees, positive to the right of the image.
        behind: shoulders, neck, hair and ears, in drawing order.
        forehead: from the last landmark of the contour over the head to the first.
        irises, pupils: discs around the landmarks of the pupils, left and right.
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


@dataclass(frozen=True)
class Pose:
    """Where a head is and how it is turned.

    Attributes:
        x, y: image px, of the middle between the eyes of a head that looks straight ahead.
        radius: half the width of the head, image px.
        yaw, pitch, roll: degrees; positive to the right of the image, down, and clockwise on the screen.
        openness: of the eyes, above 0 to 1.
    """

    x: float
    y: float
    radius: float
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    openness: float = 1.0


def plan_face(seed: int, index: int, attributes: Iterable[str] = ()) -> PlannedFace:
    """Plan a face; the plan depends on the arguments alone.

    The same seed and index with other attributes give the same person.

    Args:
        seed, index: not negative; every pair gives another person.
        attributes: any of `ATTRIBUTES`, described in `draw_face`.

    Raises:
        DarkposeError: an attribute is unknown, or a number is negative.
    """
    attributes = frozenset(attributes)
    if not attributes <= set(ATTRIBUTES):
        raise DarkposeError(f"expected attributes among {', '.join(ATTRIBUTES)}, got {', '.join(sorted(attributes))}")
    if seed < 0 or index < 0:
        raise DarkposeError(f"the seed and the index of a face must not be negative, got {seed} and {index}")
    person = random_person(random_for(seed, index, "person"), "expression" in attributes)
    rng = random_for(seed, index, "view")
    yaw, turn = random_pose(rng, "pose" in attributes)
    place = random_placement(rng, head_landmarks(person, yaw) @ turn.T)
    return _planned((seed, index, attributes), person, (yaw, turn), place, rng)


def pose_face(seed: int, index: int, pose: Pose) -> PlannedFace:
    """Plan a person in a given pose, in a picture of any size; landmarks may be outside it.

    Args:
        seed, index: the person, as for `plan_face`.
        pose: of the head.
    """
    person = random_person(random_for(seed, index, "person"), expression=False)
    turn = turn_matrix(pose.yaw, pose.pitch, pose.roll)

    def place(points: Floats) -> Floats:
        return np.asarray([pose.x, pose.y] + pose.radius * points)

    rng = random_for(seed, index, "view")
    return _planned((seed, index, frozenset()), person, (pose.yaw, turn), place, rng, pose.openness)


def _planned(
    who: tuple[int, int, frozenset[str]],
    person: Person,
    pose: tuple[float, Floats],
    place: Callable[[Floats], Floats],
    rng: np.random.Generator,
    openness: float = 1.0,
) -> PlannedFace:
    """Plan a person (seed, index and attributes) in a pose (yaw and matrix)."""
    yaw, turn = pose
    person = person._replace(eye_height=openness * person.eye_height)
    solid = head_landmarks(person, yaw)
    wide = person._replace(eye_height=person.eye_height / openness)
    discs = [iris(wide, solid[pupil]) for pupil in (LEFT_PUPIL, RIGHT_PUPIL)]
    discs = [disc * [1, openness, 1] + (1 - openness) * disc.mean(axis=0) * [0, 1, 0] for disc in discs]

    def seen(points: Floats) -> Floats:
        return place(points @ turn.T)

    return PlannedFace(
        *(*who, seen(solid), yaw),
        behind=tuple((name, seen(polygon)) for name, polygon in behind_face(rng, yaw)),
        forehead=seen(forehead(person, yaw)),
        irises=tuple(seen(disc) for disc in discs),
        pupils=tuple(seen(disc.mean(axis=0) + 0.45 * (disc - disc.mean(axis=0))) for disc in discs),
    )


def random_for(seed: int, index: int, purpose: str) -> np.random.Generator:
    """A random generator for one of `PURPOSES`, so that an attribute changes nothing but what it is about."""
    return np.random.default_rng([seed, index, PURPOSES.index(purpose)])


def random_pose(rng: np.random.Generator, large: bool) -> tuple[float, Floats]:
    """Yaw in degrees, and the matrix (2, 3) that rotates and projects points of the head."""
    u = rng.uniform(-1, 1, 3)
    low, high = LARGE_YAW
    yaw = float(np.copysign(low + (high - low) * abs(u[0]), u[0]) if large else MAX_YAW * u[0])
    return yaw, turn_matrix(yaw, 12 * u[1], 15 * u[2])


def turn_matrix(yaw: float, pitch: float, roll: float) -> Floats:
    """The matrix (2, 3) that rotates and projects points of the head; angles in degrees."""
    (cy, cp, cr), (sy, sp, sr) = (f(np.deg2rad([yaw, pitch, roll])) for f in (np.cos, np.sin))
    across = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    nod = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    return np.asarray(np.array([[cr, -sr, 0], [sr, cr, 0]]) @ nod @ across)


def random_placement(rng: np.random.Generator, flat: Floats) -> Callable[[Floats], Floats]:
    """A function from projected points (N, 2) to image px, with a random size and place inside the image."""
    u = rng.uniform(0, 1, 3)
    low, extent = flat.min(axis=0), np.ptp(flat, axis=0)
    scale = (FACE_SIDES[0] + (FACE_SIDES[1] - FACE_SIDES[0]) * u[0]) / extent.max()
    room = SIZE - 1 - 2 * MARGIN - scale * extent
    corner = MARGIN + room * [0.2 + 0.6 * u[1], 0.4 + 0.5 * u[2]]  # more room above, for the forehead

    def place(points: Floats) -> Floats:
        return np.asarray(corner + scale * (points - low))

    return place
