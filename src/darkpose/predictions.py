"""Predictions of a data set in a file: written first, measured later, by whoever made them.

The format is JSON lines. The first line describes the run:

    {"darkpose_predictions": 1, "data_set": "wflw-test", "markup": "wflw-98", "system": "...", ...}

Every further line is one face, by its number in the order of the data set's reader (from 0), in any order:

    {"face": 0, "keypoints": [[x, y], ...], "scores": [...], "box": [x0, y0, x1, y1], "image": "..."}

Coordinates are image px, the centre of the first pixel at (0, 0). `keypoints` is null for a face that was not found;
`scores`, `box` and `image` may be left out. Other systems' predictions in this format are measured in the same way.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkpose.errors import DarkposeError

VERSION = 1


@dataclass(frozen=True)
class Predictions:
    """A predictions file.

    Attributes:
        header: its first line.
        keypoints: face number -> (K, 2) float64 image px; None where the face was not found.
    """

    header: Mapping[str, Any]
    keypoints: Mapping[int, NDArray[np.float64] | None]

    def as_array(self, faces: int, landmarks: int, source: str) -> NDArray[np.float64]:
        """(N, K, 2) in the data set's order; infinite for faces that were not found.

        Raises:
            DarkposeError: a face is missing or too many, or has another number of landmarks.
        """
        missing = [face for face in range(faces) if face not in self.keypoints]
        extra = [face for face in self.keypoints if not 0 <= face < faces]
        if missing or extra:
            lack = f"lacks {len(missing)} of {faces} faces (the first: {missing[0]})" if missing else ""
            more = f"has the faces {extra[:3]}, but the data set has {faces}" if extra else ""
            raise DarkposeError(f"{source}: predictions of another or an unfinished set: {lack or more}")
        points = np.full((faces, landmarks, 2), np.inf)
        for face, found in self.keypoints.items():
            if found is not None and found.shape != (landmarks, 2):
                raise DarkposeError(f"{source}: face {face} has {len(found)} landmarks, the markup {landmarks}")
            if found is not None:
                points[face] = found
        return points


def read_predictions(path: Path) -> Predictions:
    """Read a predictions file; a last line that an interrupted run left half-written is not one.

    Raises:
        DarkposeError: the file cannot be read or a line is not of the format; the message names the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DarkposeError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    header: dict[str, Any] = {}
    keypoints: dict[int, NDArray[np.float64] | None] = {}
    for number, line in enumerate(lines, 1):
        try:
            values = json.loads(line)
            if number == 1:
                header = _header(values)
            else:
                keypoints[int(values["face"])] = _keypoints(values["keypoints"])
        except (KeyError, TypeError, ValueError) as error:
            if number == len(lines) > 1 and isinstance(error, json.JSONDecodeError):
                break
            raise DarkposeError(f"{path}, line {number}: not a line of a predictions file ({error})") from error
    if not header:
        raise DarkposeError(f"{path}: an empty file, expected predictions")
    return Predictions(header, keypoints)


def _header(values: Any) -> dict[str, Any]:
    if not isinstance(values, dict) or values.get("darkpose_predictions") != VERSION:
        raise ValueError(f'the first line must be {{"darkpose_predictions": {VERSION}, ...}}')
    return values


def _keypoints(values: Any) -> NDArray[np.float64] | None:
    if values is None:
        return None
    points = np.array(values, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise ValueError("keypoints must be finite numbers, [[x, y], ...]")
    return points


class PredictionsWriter:
    """Appends faces to a predictions file; a file of the same run that is there already is continued."""

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        """Begin or continue.

        Raises:
            DarkposeError: the file holds another run, or cannot be read or written.
        """
        self.path = path
        self.header = {"darkpose_predictions": VERSION, **header}
        self.done: set[int] = set()
        try:
            if path.exists() and path.stat().st_size:
                self._continue()
            else:
                path.write_text(json.dumps(self.header) + "\n", encoding="utf-8")
        except OSError as error:
            raise DarkposeError(f"{path}: cannot be written: {error.strerror or error}") from error

    def _continue(self) -> None:
        found = read_predictions(self.path)
        if dict(found.header) != self.header:
            raise DarkposeError(f"{self.path}: holds the predictions of another run; name another file or remove it")
        self.done = set(found.keypoints)
        whole, newline, _ = self.path.read_text(encoding="utf-8").rpartition("\n")
        self.path.write_text(whole + newline, encoding="utf-8")  # without the half of a line, if there is one

    def write(self, faces: Sequence[Mapping[str, Any]]) -> None:
        """Append faces, each with "face" and "keypoints" at least.

        Raises:
            DarkposeError: the disk is full or refuses.
        """
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(face, allow_nan=False) + "\n" for face in faces)
        except OSError as error:
            raise DarkposeError(f"{self.path}: cannot be written: {error.strerror or error}") from error
        self.done.update(face["face"] for face in faces)
