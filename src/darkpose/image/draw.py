"""Lines, discs and landmarks drawn on images at sub-pixel positions."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkpose.image.opencv import cv2
from darkpose.image.pixels import Pixels

Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)
DARK_BLUE: Colour = (20, 60, 90)
CYAN: Colour = (64, 224, 255)
FRACTION_BITS = 4  # OpenCV takes coordinates in 1/16 px


def fixed_point(values: ArrayLike) -> NDArray[np.int32]:
    """Coordinates or lengths in px as OpenCV's drawing functions take them: whole numbers of 1/16 px."""
    clipped = np.clip(np.asarray(values, np.float64), -1e6, 1e6)
    return np.asarray(np.round(clipped * (1 << FRACTION_BITS)), np.int32)


def line_width(extent: float) -> int:
    """Width of a line on a face of this extent, both in px."""
    return max(1, round(extent / 200))


def draw_polyline(canvas: Pixels, points: ArrayLike, colour: Colour, width: int, *, closed: bool = False) -> None:
    """Draw a line through points (N, 2) in px, `width` px wide, into an image (H, W, 3)."""
    cv2.polylines(canvas, [fixed_point(points)], closed, colour, width, cv2.LINE_AA, FRACTION_BITS)


def draw_disc(canvas: Pixels, center: ArrayLike, radius: float, colour: Colour) -> None:
    """Fill a circle around a point (x, y) in px, `radius` px, in an image (H, W, 3)."""
    x, y = fixed_point(center).tolist()
    cv2.circle(canvas, (x, y), int(fixed_point(radius)), colour, -1, cv2.LINE_AA, FRACTION_BITS)


def draw_outlines(
    canvas: Pixels, keypoints: NDArray[np.floating], outlines: Iterable[Sequence[int]], extent: float
) -> None:
    """Draw the outlines of a face into an image (H, W, 3).

    Args:
        canvas: the image.
        keypoints: (K, 2) px.
        outlines: polylines, as indices of keypoints.
        extent: of the face in px; it gives the width of the lines.
    """
    for outline in outlines:
        draw_polyline(canvas, keypoints[list(outline)], CYAN, line_width(extent))


def draw_text(canvas: Pixels, text: str, place: ArrayLike, colour: Colour, height: float) -> None:
    """Write ASCII text of a height in px to the right of a place (x, y) in px, its middle there, into an image."""
    x, y = np.clip(np.asarray(place, np.float64), -1e6, 1e6)
    scale = height / 12  # the font is 12 px high
    at = (round(float(x)), round(float(y + height / 2)))
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_PLAIN, scale, DARK_BLUE, 3, cv2.LINE_AA)
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_PLAIN, scale, colour, 1, cv2.LINE_AA)


def draw_landmarks(canvas: Pixels, keypoints: NDArray[np.floating], extent: float) -> None:
    """Draw landmarks (K, 2) in px as discs into an image (H, W, 3); the extent of the face, px, gives their size."""
    radius = max(0.8, extent / 110)
    for point in keypoints:
        draw_disc(canvas, point, radius + max(0.5, radius / 3), DARK_BLUE)
        draw_disc(canvas, point, radius, WHITE)
