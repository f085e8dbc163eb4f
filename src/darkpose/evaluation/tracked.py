"""Faces of a clip with their tracks, and their files.

A file has a row per face, as CSV with a first line of names, or as JSON lines with an object per line:

    frame,time,track,x0,y0,x1,y1,...
    {"frame": 0, "time": 0.0, "track": 1, "x": [...], "y": [...]}

Frames are counted from 0, times are seconds, tracks whole numbers, coordinates image px, the centre of the first pixel
at (0, 0). A CSV may have lists in the columns x and y instead, and JSON x0, y0, ... Other columns are ignored. A row
without a track is a frame without a face.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from darkpose.datasets.predictions_file import MAX_COORDINATE
from darkpose.errors import DarkposeError
from darkpose.files.json_text import parse_json, parse_json_lines, shortened
from darkpose.files.table import parse_table
from darkpose.files.text import read_text
from darkpose.image.geometry import Floats

MAX_FRAMES = 10_000_000


@dataclass(frozen=True, eq=False)
class TrackedFrames:
    """The faces of every frame of a clip.

    Attributes:
        times: (T,) float64 s, rising.
        faces: for each of the T frames, the track of each of its faces -> (K, 2) float64 image px.

    Raises:
        DarkposeError: lengths differ, times do not rise, or landmarks have another shape or are not finite.
    """

    times: Floats
    faces: tuple[Mapping[int, Floats], ...]

    def __post_init__(self) -> None:
        if self.times.shape != (len(self.faces),) or not (np.diff(self.times) > 0).all():
            raise DarkposeError(f"expected {len(self.faces)} rising times, one per frame, got {self.times.shape}")
        shapes = {points.shape for frame in self.faces for points in frame.values()}
        if len(shapes) > 1 or any(len(shape) != 2 or shape[1] != 2 for shape in shapes):
            raise DarkposeError(f"expected landmarks (K, 2) with the same K for all faces, got {sorted(shapes)}")
        for number, frame in enumerate(self.faces):
            if not all(np.isfinite(points).all() for points in frame.values()):
                raise DarkposeError(f"frame {number} has a face whose landmarks are not finite")

    def __len__(self) -> int:
        return len(self.faces)

    def track(self, name: int, landmarks: int) -> Floats:
        """Landmarks (T, K, 2) of one track; NaN in frames without it."""
        missing = np.full((landmarks, 2), np.nan)
        return np.array([frame.get(name, missing) for frame in self.faces]).reshape(-1, landmarks, 2)


def one_face(times: ArrayLike, keypoints: ArrayLike) -> TrackedFrames:
    """Landmarks (T, K, 2) of a clip with one face as track 0; frames that have NaN are without it."""
    points = np.asarray(keypoints, np.float64)
    faces = tuple({} if np.isnan(frame).any() else {0: frame} for frame in points)
    return TrackedFrames(np.asarray(times, np.float64), faces)


def read_tracked(path: Path, times: ArrayLike | None = None) -> TrackedFrames:
    """Read a file of tracked faces; `.csv` is CSV, everything else JSON lines.

    Args:
        path: of the file.
        times: (T,) s, of all frames of the clip; None: those in the file, up to its last frame. There, times of frames
            without a row are interpolated between frames that have one.

    Raises:
        DarkposeError: the file cannot be read, or a row is wrong: the message names the file and the line.
    """
    found: dict[int, dict[int, Floats]] = {}
    clock: dict[int, float] = {}
    last = MAX_FRAMES if times is None else np.size(times)
    sizes: set[int] = set()
    for where, row in _rows(path):
        frame = _whole(row, "frame", where)
        if not 0 <= frame < last:
            raise DarkposeError(f"{where}: frame {frame} of a clip with {last} frames; they are counted from 0")
        if clock.setdefault(frame, _time(row, where)) != _time(row, where):
            raise DarkposeError(f"{where}: frame {frame} has the time {_time(row, where)}, before {clock[frame]}")
        faces = found.setdefault(frame, {})
        if _value(row, "track", where) in (None, ""):
            continue
        track, points = _whole(row, "track", where), _points(row, where)
        sizes.add(len(points))
        if track in faces or len(sizes) > 1:
            what = (
                f"track {track} is in frame {frame} twice"
                if track in faces
                else f"faces have {sorted(sizes)} landmarks"
            )
            raise DarkposeError(f"{where}: {what}")
        faces[track] = points
    if times is None and not found:
        raise DarkposeError(f"{path}: expected rows of faces, found none")
    seconds = _interpolated(clock, path) if times is None else np.asarray(times, np.float64)
    return TrackedFrames(seconds, tuple(found.get(frame, {}) for frame in range(len(seconds))))


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Place and values of every row."""
    text = read_text(path)
    if path.suffix.lower() == ".csv":
        table = parse_table(text, path)
        yield from ((where, table.named(where, cells)) for where, cells in table.rows)
        return
    for number, values in parse_json_lines(text, path):
        if not isinstance(values, dict):
            raise DarkposeError(
                f"{path}:{number}: expected an object with frame, time and track, got {shortened(values)}"
            )
        yield f"{path}:{number}", values


def _number(value: Any, name: str, where: str) -> float:
    """A finite number of JSON, or the text of one."""
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
    except (ValueError, OverflowError):
        number = None
    if number is None or not np.isfinite(number):
        raise DarkposeError(f"{where}: {name} must be a finite number, got {shortened(value)}")
    return number


def _whole(row: Mapping[str, Any], name: str, where: str) -> int:
    number = _number(_value(row, name, where), name, where)
    if number != int(number):
        raise DarkposeError(f"{where}: {name} must be a whole number, got {number}")
    return int(number)


def _time(row: Mapping[str, Any], where: str) -> float:
    return _number(_value(row, "time", where), "time", where)


def _value(row: Mapping[str, Any], name: str, where: str) -> Any:
    if name not in row:
        raise DarkposeError(f"{where}: expected the columns frame, time, track, x0, y0, x1, y1, ..., {name} is missing")
    return row[name]


def _points(row: Mapping[str, Any], where: str) -> Floats:
    """The landmarks (K, 2) of a row, from lists x and y or from x0, y0, x1, y1, ..."""
    if "x" in row or "y" in row:
        x, y = (_list(_value(row, name, where), name, where) for name in "xy")
    else:
        count = next(i for i in range(len(row) + 1) if f"x{i}" not in row)
        x, y = ([_value(row, f"{name}{i}", where) for i in range(count)] for name in "xy")
    if len(x) != len(y) or not x:
        raise DarkposeError(f"{where}: expected as many x as y and at least one, got {len(x)} and {len(y)}")
    points = np.array([[_number(value, "a coordinate", where) for value in pair] for pair in zip(x, y, strict=True)])
    if (np.abs(points) > MAX_COORDINATE).any():
        raise DarkposeError(f"{where}: coordinates must be at most {MAX_COORDINATE:g} px")
    return points


def _list(value: Any, name: str, where: str) -> list[Any]:
    try:
        values = parse_json(value) if isinstance(value, str) else value
    except DarkposeError as error:
        raise DarkposeError(f"{where}: {name}: {error}") from error
    if not isinstance(values, list):
        raise DarkposeError(f"{where}: {name} must be a list of numbers, got {shortened(value)}")
    return values


def _interpolated(clock: Mapping[int, float], path: Path) -> Floats:
    """Times (T,) of all frames up to the last one; of frames before the first one by the median step."""
    frames = np.array(sorted(clock))
    seconds = np.array([clock[frame] for frame in frames])
    if not (np.diff(seconds) > 0).all():
        frame = int(frames[1:][np.diff(seconds) <= 0][0])
        raise DarkposeError(f"{path}: times must rise with the frames; that of frame {frame} does not")
    step = float(np.median(np.diff(seconds) / np.diff(frames))) if len(frames) > 1 else 1.0
    numbers = np.arange(frames[-1] + 1)
    before = seconds[0] - step * np.maximum(frames[0] - numbers, 0)
    return np.asarray(np.where(numbers < frames[0], before, np.interp(numbers, frames, seconds)))
