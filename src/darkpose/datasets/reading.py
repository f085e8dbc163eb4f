"""Functions shared by the readers: text, numbers and boxes of annotations, and broken entries."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from darkpose.errors import DarkposeError
from darkpose.files.text import read_text
from darkpose.image.geometry import Floats, landmark_box

BoxSource = Literal["landmarks", "file"]  # the tight box of the annotated landmarks, or the box in the file
DRAWN_MARK = "DRAWN_BY_DARKPOSE.txt"  # a file in the folder of a data set of drawn faces
Entry = TypeVar("Entry")
Value = TypeVar("Value")


def read_each(
    file: Path, entries: Sequence[Entry], read: Callable[[Entry], Value], broken: list[str] | None
) -> list[Value]:
    """The samples, or clips, of the entries of a file.

    Args:
        file: named in the message if there are no entries.
        entries: of the file, such as lines.
        read: entry -> sample or clip.
        broken: collects the messages of entries that cannot be read; None: the first one raises.

    Raises:
        DarkposeError: there are no entries, or one cannot be read and `broken` is None.
    """
    if not entries:
        raise DarkposeError(f"{file}: expected annotated faces, found none")
    samples = []
    for entry in entries:
        try:
            samples.append(read(entry))
        except DarkposeError as error:
            if broken is None:
                raise
            broken.append(str(error))
    return samples


def numbered_lines(file: Path) -> list[tuple[int, str]]:
    """Line numbers, from 1, and texts of the lines of a file that are not blank."""
    return [(number, line) for number, line in enumerate(read_text(file).splitlines(), 1) if line.strip()]


def numbers(fields: Sequence[str], where: str) -> Floats:
    """Fields of an annotation as float64; error messages begin with `where`."""
    try:
        return np.array(fields, np.float64)
    except ValueError as error:
        raise DarkposeError(f"{where}: expected numbers ({error})") from error


def choose(choices: Mapping[str, Value], name: str, what: str) -> Value:
    """`choices[name]`; a DarkposeError lists the choices if the name is none of them."""
    if name not in choices:
        raise DarkposeError(f"there is no {what} {name!r}; choose one of {', '.join(choices)}")
    return choices[name]


def uses_file_box(source: BoxSource) -> bool:
    """Whether boxes come from the file; a DarkposeError if the source is unknown."""
    return choose({"landmarks": False, "file": True}, source, "box source")


def tight_box(keypoints: Floats, visible: Floats, where: str) -> Floats:
    """The box of the annotated landmarks by the published rule, `landmark_box`; two of them must differ."""
    annotated = keypoints[visible > 0]
    if len(np.unique(annotated, axis=0)) < 2:
        raise DarkposeError(f"{where}: expected at least two different annotated landmarks, or a box")
    return landmark_box(annotated)


def checked_box(box: Floats, where: str) -> Floats:
    """The box (4,) x0, y0, x1, y1 unchanged; a DarkposeError if it is empty."""
    if not (np.isfinite(box).all() and (box[2:] > box[:2]).all()):
        raise DarkposeError(f"{where}: expected a box with x0 < x1 and y0 < y1, got {box.tolist()}")
    return box


def is_drawn(root: Path) -> bool:
    """Whether a folder contains faces drawn by darkpose, for which published results do not count."""
    return (root / DRAWN_MARK).is_file()
