"""Annotated pictures for the face detector: WIDER FACE's boxes, and landmarks of other sets, as landmark boxes."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkpose.errors import DarkposeError
from darkpose.files.json_text import parse_json_lines
from darkpose.files.records import parse_record
from darkpose.files.text import read_text
from darkpose.image.geometry import Floats

WIDER_LIST = "boxes.jsonl"


@dataclass(frozen=True)
class WiderFace:
    """A face of WIDER FACE.

    Attributes:
        box: x0, y0, x1, y1, image px.
        blur, occlusion: 0, 1 (some) or 2 (heavy).
        expression, illumination, pose: 1 where it is unusual.
        invalid: 1 where it can hardly be seen.
    """

    box: tuple[float, float, float, float]
    blur: int
    expression: int
    illumination: int
    invalid: int
    occlusion: int
    pose: int


@dataclass(frozen=True, eq=False)
class BoxedPicture:
    """A picture with all its faces.

    Attributes:
        image: path.
        width, original_width: px, of the picture and before it was shrunk.
        faces: all.
        boxes: (M, 4) of the faces, x0, y0, x1, y1, image px.
    """

    image: Path
    width: int
    original_width: int
    faces: tuple[WiderFace, ...]

    @cached_property
    def boxes(self) -> Floats:
        """Of the faces."""
        return np.array([face.box for face in self.faces], np.float64).reshape(-1, 4)

    def flag(self, name: str) -> NDArray[np.intp]:
        """(M,) values of one flag."""
        return np.array([getattr(face, name) for face in self.faces], np.intp)


@dataclass(frozen=True)
class _Line:
    image: str
    event: str
    size: tuple[int, int]
    original: tuple[int, int]
    faces: tuple[WiderFace, ...]


def read_wider(folder: Path) -> list[BoxedPicture]:
    """Pictures of WIDER FACE by `boxes.jsonl`: a JSON line for each, with image, event, size, original and faces.

    Raises:
        DarkposeError: the list cannot be read or has an unusable line.
    """
    path = folder / WIDER_LIST
    found = []
    for number, values in parse_json_lines(read_text(path), path):
        try:
            line = parse_record(_Line, values)
        except DarkposeError as error:
            raise DarkposeError(f"{path}, line {number}: not a picture with its faces: {error}") from error
        found.append(BoxedPicture(folder / Path(line.image).name, line.size[0], line.original[0], line.faces))
    return found


def roll_of(points: ArrayLike, upright: ArrayLike) -> float:
    """Radians by which landmarks (K, 2) are turned clockwise against an upright shape (K, 2): of the best fit."""
    points, upright = np.asarray(points, np.float64), np.asarray(upright, np.float64)
    a, b = points - points.mean(axis=0), upright - upright.mean(axis=0)
    return float(np.arctan2((b[:, 0] * a[:, 1] - b[:, 1] * a[:, 0]).sum(), (a * b).sum()))


def roll_of_some(points: ArrayLike, upright: ArrayLike) -> float:
    """The same for landmarks of one side of a face, as in profile: by where an affine fit takes the way down."""
    upright = np.asarray(upright, np.float64)
    fit, *_ = np.linalg.lstsq(np.column_stack([upright, np.ones(len(upright))]), np.asarray(points, np.float64))
    down = fit[1]
    return float(np.arctan2(-down[0], down[1]))


def face_box(points: ArrayLike, roll: float) -> Floats:
    """The landmark box in the frame of the face: centre x and y, width, height and roll.

    Args:
        points: (K, 2) landmarks, px.
        roll: radians, clockwise.
    """
    cos, sin = np.cos(roll), np.sin(roll)
    to_face = np.array([[cos, -sin], [sin, cos]])  # row vectors
    turned = np.asarray(points, np.float64) @ to_face
    low, high = turned.min(axis=0), turned.max(axis=0)
    center = (low + high) / 2 @ to_face.T
    return np.array([*center, *(high - low), roll])
