"""Aligned crops: the similarity that brings the five points of a face nearest to those of a template.

The templates are the published ones of ArcFace (Deng et al., CVPR 2019; 112 px) and of FFHQ crops with five points
(512 px). Of other sizes they are scaled, (0, 0) fixed, as their publishers do.
"""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from darkpose.errors import DarkposeError
from darkpose.image.geometry import Floats, similarity, with_margin

MAX_SIZE = 4096  # px
MAX_MARGIN = 4.0
TEMPLATES: dict[str, tuple[int, tuple[tuple[float, float], ...]]] = {  # size in px, the points of `five_points.FIVE`
    "arcface": (
        112,
        ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)),
    ),
    "ffhq": (
        512,
        (
            *((192.98138, 239.94708), (318.90277, 240.1936), (256.63416, 314.01935)),
            *((201.26117, 371.41043), (313.08905, 371.15118)),
        ),
    ),
}


@dataclass(frozen=True, eq=False)
class Alignment:
    """How an aligned crop is cut.

    Attributes:
        matrix: (2, 3), image px to crop px.
        size: width and height of the crop, px.
    """

    matrix: Floats
    size: int


def template_points(template: str) -> tuple[Floats, int]:
    """The five points (5, 2) of a template in crop px, and its size.

    Args:
        template: "arcface" or "ffhq", or with a size in px: "arcface-112", "ffhq-1024".

    Raises:
        DarkposeError: there is no such template.
    """
    name, _, number = str(template).partition("-")
    fits = (
        name in TEMPLATES and (number == "" or re.fullmatch(r"[1-9]\d{1,3}", number)) and int(number or 1) <= MAX_SIZE
    )
    if not fits or str(template).endswith("-"):
        raise DarkposeError(
            f"expected a template {' or '.join(TEMPLATES)}, with a size of 10 to {MAX_SIZE} px if you like, as "
            f"arcface-112, got {str(template)[:60]!r}"
        )
    usual, points = TEMPLATES[name]
    size = int(number or usual)
    return np.array(points) * (size / usual), size


def align(five: ArrayLike, template: str, margin: float = 0.0) -> Alignment:
    """The crop that brings five points nearest to a template by least squares (Umeyama, PAMI 1991).

    Args:
        five: (5, 2) image px, of `five_points`.
        template: as `template_points` takes it.
        margin: share of the template's side that the crop shows more on each side, at the same size in px.

    Raises:
        DarkposeError: there is no such template, the margin is no number from 0 to 4, or the points are not all known
            or in one place.
    """
    target, size = template_points(template)
    points = np.asarray(five, np.float64)
    if not (np.isfinite(points).all() and np.ptp(points, axis=0).max() > 0):
        raise DarkposeError("a face cannot be aligned: its eyes, nose and mouth are not all known, or in one place")
    return Alignment(with_margin(similarity(points, target), size, checked_margin(margin)), size)


def check_template(text: str) -> None:
    """Check what a user gives as a template: the name of one, or a size in px.

    Raises:
        DarkposeError: it is neither.
    """
    if not (text.isdecimal() and 1 <= int(text) <= MAX_SIZE):
        template_points(text)


def checked_margin(margin: float) -> float:
    """A margin.

    Raises:
        DarkposeError: it is no number from 0 to 4.
    """
    if isinstance(margin, bool) or not isinstance(margin, int | float | np.number) or not 0 <= margin <= MAX_MARGIN:
        raise DarkposeError(f"a margin must be a number from 0 to {MAX_MARGIN:g}, got {margin!r}")
    return float(margin)
