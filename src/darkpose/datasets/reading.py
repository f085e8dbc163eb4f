"""What the readers share: text, numbers and boxes of annotations, and entries that cannot be read."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError
from darkpose.image.geometry import landmark_box

BoxRule = Literal["landmarks", "file"]  # the tight box of the annotated landmarks, or the one the file gives
Entry = TypeVar("Entry")
Value = TypeVar("Value")
Floats = NDArray[np.float64]


def read_each(
    file: Path, entries: Sequence[Entry], read: Callable[[Entry], Sample], broken: list[str] | None
) -> list[Sample]:
    """The samples of a file's entries; the first broken entry raises, or, given a list, each adds its message to it.

    Raises:
        DarkposeError: there are no entries, or one cannot be read and `broken` is None.
    """
    if not entries:
        raise DarkposeError(f"{file}: expected faces there, found none")
    samples = []
    for entry in entries:
        try:
            samples.append(read(entry))
        except DarkposeError as error:
            if broken is None:
                raise
            broken.append(str(error))
    return samples


def read_text(file: Path) -> str:
    """The text of a UTF-8 file, with or without a byte order mark."""
    try:
        return file.read_text("utf-8-sig")
    except OSError as error:
        raise DarkposeError(f"{file}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DarkposeError(f"{file}: not a UTF-8 text ({error.reason} at byte {error.start})") from error


def numbered_lines(file: Path) -> list[tuple[int, str]]:
    """Line numbers, from 1, and texts of a file's lines that are not blank."""
    return [(number, line) for number, line in enumerate(read_text(file).splitlines(), 1) if line.strip()]


def numbers(fields: Sequence[str], where: str) -> Floats:
    """Fields of an annotation as float64; the message of an error starts with `where`."""
    try:
        return np.array(fields, np.float64)
    except ValueError as error:
        raise DarkposeError(f"{where}: expected numbers ({error})") from error


def choose(choices: Mapping[str, Value], name: str, what: str) -> Value:
    """`choices[name]`, or a DarkposeError that lists the choices."""
    if name not in choices:
        raise DarkposeError(f"there is no {what} {name!r}; choose one of {', '.join(choices)}")
    return choices[name]


def uses_file_box(rule: BoxRule) -> bool:
    """Whether a face's box is the file's own; a DarkposeError if there is no such rule."""
    return choose({"landmarks": False, "file": True}, rule, "box rule")


def tight_box(keypoints: Floats, visible: Floats, where: str) -> Floats:
    """The published crop rule, `landmark_box`, over the annotated landmarks; two of them must differ."""
    annotated = keypoints[visible > 0]
    if len(np.unique(annotated, axis=0)) < 2:
        raise DarkposeError(f"{where}: a face box needs at least two different landmarks, or a box of its own")
    return landmark_box(annotated)


def checked_box(box: Floats, where: str) -> Floats:
    """The box (4,) x0, y0, x1, y1 itself, if it has an extent."""
    if not (np.isfinite(box).all() and (box[2:] > box[:2]).all()):
        raise DarkposeError(f"{where}: expected a box with x0 < x1 and y0 < y1, got {box.tolist()}")
    return box
