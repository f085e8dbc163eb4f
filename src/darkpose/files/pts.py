"""The `.pts` format of landmark files, which counts pixels from 1 where darkpose counts from 0."""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkpose.errors import DarkposeError
from darkpose.files.text import read_text


def parse_pts(text: str) -> NDArray[np.float64]:
    """Landmarks (K, 2) in image px, the first pixel's centre at (0, 0), from the text of a `.pts` file.

    Raises:
        DarkposeError: the text has another format; the message names the line.
    """
    lines = [line.strip() for line in text.splitlines()]
    if "{" not in lines or "}" not in lines:
        raise DarkposeError("not a .pts file: expected landmarks between the lines '{' and '}'")
    start, stop = lines.index("{") + 1, lines.index("}")
    points = []
    for number, line in enumerate(lines[start:stop], start + 1):
        if not line:
            continue
        try:
            x, y = map(float, line.split())
        except ValueError:
            raise DarkposeError(f"line {number}: expected two numbers, got {line!r}") from None
        points.append((x, y))
    declared = [line.split(":")[1].strip() for line in lines[:start] if line.startswith("n_points:")]
    if declared and declared[0] != str(len(points)):
        raise DarkposeError(f"expected {declared[0]} landmarks, as n_points says, got {len(points)}")
    return np.array(points, np.float64).reshape(-1, 2) - 1.0


def format_pts(keypoints: ArrayLike) -> str:
    """The text of a `.pts` file with landmarks (K, 2) in image px, the first pixel's centre at (0, 0)."""
    points = np.asarray(keypoints, np.float64) + 1.0
    lines = [f"{x:.6f} {y:.6f}" for x, y in points]
    return "\n".join(["version: 1", f"n_points: {len(points)}", "{", *lines, "}", ""])


def read_pts(path: Path) -> NDArray[np.float64]:
    """Landmarks (K, 2) of a `.pts` file, as `parse_pts`.

    Raises:
        DarkposeError: the file cannot be read or has another format.
    """
    text = read_text(path)
    try:
        return parse_pts(text)
    except DarkposeError as error:
        raise DarkposeError(f"{path}: {error}") from error
