"""The mean face in three dimensions, and triangles over it.

scripts/mean_face.py has made it from annotated faces, and says how. The unit is the distance of the outer corners of
the eyes, the origin their middle; the axes are x to the right of the picture, y down, z from the face to the back of
the head, for a face that looks straight into the camera.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from darkpose.files.json_text import parse_json
from darkpose.files.records import parse_record
from darkpose.image.geometry import Floats


@dataclass(frozen=True, eq=False)
class MeanFace:
    """The mean face of a schema; the arrays are read-only.

    Attributes:
        points: (K, 3) float64, symmetric.
        spread: (K,) float64, standard deviation along an axis of the landmarks of a face from the mean face that is
            turned like it: persons and expressions differ, and annotators.
        triangles: (T, 3), indices of landmarks, clockwise on the screen: they cover the face inside its contour and
            brows once, and their mirror images are the same triangles. (0, 3) for a schema without a contour.
    """

    points: Floats
    spread: Floats
    triangles: NDArray[np.intp]


@dataclass(frozen=True)
class _Stored:
    points: tuple[tuple[float, float, float], ...]
    spread: tuple[float, ...]
    triangles: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class _File:
    made_of: str
    faces: Mapping[str, _Stored]


@cache
def mean_face(schema: str) -> MeanFace | None:
    """The mean face of a schema by its name: "300w-68", "wflw-98" or "aflw-19"; None for others."""
    stored = _file().faces.get(schema)
    if stored is None:
        return None
    triangles = np.array(stored.triangles, np.intp).reshape(-1, 3)
    face = MeanFace(np.array(stored.points), np.array(stored.spread), triangles)
    for values in (face.points, face.spread, face.triangles):
        values.flags.writeable = False
    return face


@cache
def _file() -> _File:
    text = (files("darkpose") / "derived" / "mean_face.json").read_text(encoding="utf-8")
    return parse_record(_File, parse_json(text))
