"""Faces in large poses with landmarks of 300-W's 68, in JSON lines: CFP, MERL-RAV and YouTube Faces.

ROOT/cfp/annotations.jsonl       profiles, 30 of the 68 landmarks (Sengupta et al., WACV 2016)
ROOT/merlrav/annotations.jsonl   faces of AFLW, landmarks visible, occluded or self-occluded (Kumar et al., CVPR 2020)
ROOT/ytf/annotations.jsonl       frames of clips (Wolf, Hassner, Maoz, CVPR 2011)

A line is one face: `file`, its image in the same folder, and `pts68`, 68 pairs x, y in px, the centre of the first
pixel at (0, 0). CFP has [-1, -1] where a landmark is not annotated. MERL-RAV has `vis`: 2 visible, 1 occluded and
estimated, 0 self-occluded, without a position. A tenth of each set is for validation: faces of the same person
(CFP) or clip (YouTube Faces) are in one part. The subsets are "frontal", "half-profile" and "profile".
"""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from darkpose.datasets.reading import read_each, tight_box
from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError
from darkpose.files.json_text import parse_json_lines
from darkpose.files.text import read_text
from darkpose.image.geometry import Floats
from darkpose.schema import W300_68

Part = Literal["train", "validation"]
Line = tuple[str, dict[str, Any]]  # the place for messages, and the values
Annotated = Callable[[dict[str, Any], Floats], NDArray[np.bool_] | np.bool_]  # values and landmarks (68, 2) -> (68,)
VALIDATION_SHARE = 10  # one in so many
FILE = "annotations.jsonl"
FEWEST = 10  # annotated landmarks of a face
_POSES = {
    "frontal": "frontal",
    "profile": "profile",
    **dict.fromkeys(("left", "right"), "profile"),
    **dict.fromkeys(("lefthalf", "righthalf"), "half-profile"),
}


def read_cfp(root: Path, part: Part, *, broken: list[str] | None = None) -> list[Sample]:
    """Read the profiles of CFP; its frontal faces have landmarks on one half only, which give no box.

    Raises:
        DarkposeError: the file is missing, or a face cannot be read.
    """
    lines = [line for line in _lines(root / FILE) if line[1].get("kind") == "profile"]
    return _read(root, lines, part, "person", lambda _, points: np.all(points >= 0, axis=1), broken)


def read_merlrav(root: Path, part: Part, *, broken: list[str] | None = None) -> list[Sample]:
    """Read the faces of MERL-RAV: landmarks that are occluded by other things are annotated, self-occluded ones not.

    Raises:
        DarkposeError: the file is missing, or a face cannot be read.
    """
    return _read(root, _lines(root / FILE), part, "image", lambda values, _: _visibility(values) > 0, broken)


def read_ytf(root: Path, part: Part, *, broken: list[str] | None = None) -> list[Sample]:
    """Read the frames of YouTube Faces; their landmarks look machine-made.

    Raises:
        DarkposeError: the file is missing, or a face cannot be read.
    """
    return _read(root, _lines(root / FILE), part, "video", lambda values, points: np.ones(len(points), bool), broken)


def _lines(file: Path) -> list[Line]:
    lines = []
    for number, values in parse_json_lines(read_text(file), file):
        if not isinstance(values, dict):
            raise DarkposeError(f"{file}, line {number}: expected an object")
        lines.append((f"{file}, line {number}", values))
    return lines


def _read(
    root: Path,
    lines: list[Line],
    part: Part,
    group: str,
    annotated: Annotated,
    broken: list[str] | None,
) -> list[Sample]:
    """The faces of one part; faces with the same value of `group` are in the same part."""

    def read(line: Line) -> Sample:
        where, values = line
        points = _points(values, where)
        visible = np.asarray(annotated(values, points), np.float64)
        if visible.shape != (len(W300_68),) or visible.sum() < FEWEST:
            raise DarkposeError(f"{where}: expected at least {FEWEST} of {len(W300_68)} landmarks to be annotated")
        box, image = tight_box(points, visible, where), root / _name(values, where)
        subset = _POSES.get(str(values.get("pose", values.get("kind"))), "")
        return Sample(image, points * visible[:, None], visible, box, frozenset(filter(None, [subset])), source=where)

    chosen = [line for line in lines if _is_for_validation(line[1].get(group)) == (part == "validation")]
    return read_each(root / FILE, chosen, read, broken)


def _is_for_validation(group: object) -> bool:
    return zlib.crc32(str(group).encode()) % VALIDATION_SHARE == 0


def _points(values: dict[str, Any], where: str) -> Floats:
    try:
        points = np.array(values["pts68"], np.float64)
    except (KeyError, TypeError, ValueError):
        points = np.zeros(0)
    if points.shape != (len(W300_68), 2):
        raise DarkposeError(f"{where}: expected {len(W300_68)} pairs of numbers as `pts68`")
    return points


def _visibility(values: dict[str, Any]) -> Floats:
    try:
        return np.array(values["vis"], np.float64)
    except (KeyError, TypeError, ValueError):
        return np.zeros(0)


def _name(values: dict[str, Any], where: str) -> str:
    """The name of the image, which must be a plain one."""
    name = values.get("file")
    if not isinstance(name, str) or Path(name).name != name or "\\" in name:
        raise DarkposeError(f"{where}: expected the plain name of an image as `file`")
    return name
