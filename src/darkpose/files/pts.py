"""The `.pts` format of landmark files.

Convention: `.pts` counts pixels from 1 (MATLAB), darkpose from 0; both conversions stand here and nowhere else.
"""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkpose.errors import DarkposeError


def parse_pts(text: str) -> NDArray[np.float64]:
    """Landmarks (K, 2) in image px, 0-based, of a `.pts` text.

    Raises:
        DarkposeError: the text is not of that format; the message names the line.
    """
    lines = [line.strip() for line in text.splitlines()]
    if "{" not in lines or "}" not in lines:
        raise DarkposeError("not a .pts file: expected landmarks between a line '{' and a line '}'")
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
        raise DarkposeError(f"n_points says {declared[0]}, but {len(points)} landmarks follow")
    return np.array(points, np.float64).reshape(-1, 2) - 1.0


def format_pts(keypoints: ArrayLike) -> str:
    """The `.pts` text of landmarks (K, 2) in image px, 0-based."""
    points = np.asarray(keypoints, np.float64) + 1.0
    lines = [f"{x:.6f} {y:.6f}" for x, y in points]
    return "\n".join(["version: 1", f"n_points: {len(points)}", "{", *lines, "}", ""])


def read_pts(path: Path) -> NDArray[np.float64]:
    """`parse_pts` of a file; errors name it."""
    try:
        return parse_pts(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, DarkposeError) as error:
        raise DarkposeError(f"{path}: {error}") from error
