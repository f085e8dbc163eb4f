"""The frames and the ways between them; every half pixel of the project lives here.

image    the photograph; (x, y) in px, the centre of its first pixel is (0, 0).
cached   the larger square around a face that training crops are cut from, see `crop_cache`.
crop     the square cut around a face and fed to the network, for example 256x256.
heatmap  the network's output, for example 64x64; heatmap index j lies on crop pixel 4j (no half-pixel term, because
         both stride-2 convolutions are 3x3 with padding 1).

A box is (x0, y0, x1, y1) in image px. A crop is given by its centre and side in image px: the image region of that
side fills the crop's width. Its matrix comes from three float32 points, as in the reference the published weights were
trained with; a closed form would differ by up to 1e-3 px.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkpose.errors import DarkposeError
from darkpose.image.opencv import cv2

if TYPE_CHECKING:
    from torch import Tensor

PIXEL_STD = 200.0  # published annotations store a box's side as side / 200
PADDING = 1.25  # side of the crop over side of the box
STRIDE = 4  # crop px per heatmap px
FLIP_SHIFT = 0.75  # heatmap px by which a mirrored map lies off: mirroring maps crop u to w-1-u, heatmap j to j' - 3/4

Floats = NDArray[np.float64]
Points = TypeVar("Points", NDArray[np.floating], "Tensor")


def landmark_box(keypoints: ArrayLike) -> Floats:
    """Tight box of landmarks, grown to whole pixels: the published crop rule of WFLW.

    Args:
        keypoints: (..., K, 2) image px, all annotated.

    Returns:
        (..., 4) float64 x0, y0, x1, y1 in image px.
    """
    points = np.asarray(keypoints, np.float64)
    return whole_pixels(np.concatenate([points.min(axis=-2), points.max(axis=-2)], axis=-1))


def whole_pixels(boxes: ArrayLike) -> Floats:
    """Boxes (..., 4) grown to whole pixels."""
    boxes = np.asarray(boxes, np.float64)
    return np.concatenate([np.floor(boxes[..., :2]), np.ceil(boxes[..., 2:])], axis=-1)


def box_to_crop(box: ArrayLike, *, padding: float = PADDING, aspect: float = 1.0) -> tuple[Floats, Floats]:
    """Centre and sides of the crop around a box: the short side grown to the aspect ratio, both times `padding`.

    Args:
        box: (..., 4) x0, y0, x1, y1 in image px.
        padding: factor on both sides.
        aspect: width over height of the crop.

    Returns:
        center (..., 2) and sides (..., 2) = (width, height), both in image px.
    """
    box = np.asarray(box, np.float64)
    extent = box[..., 2:] - box[..., :2]
    width = np.maximum(extent[..., 0], extent[..., 1] * aspect)
    sides = np.stack([width, width / aspect], axis=-1) * padding
    return box[..., :2] + extent / 2, sides


def _corresponding_points(
    center: ArrayLike, side: float, size: tuple[int, int], rotation: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Three points in the image and in the crop, in the reference's order and float32 rounding."""
    angle = np.deg2rad(rotation)
    middle, width, height = np.asarray(center, np.float64), float(size[0]), float(size[1])
    up = np.array([np.sin(angle), -np.cos(angle)]) * (side * 0.5)

    def triple(first: Floats, second: Floats) -> NDArray[np.float32]:
        points = np.array([first, second, second], np.float32)
        dx, dy = points[0] - points[1]
        points[2] += np.array([-dy, dx], np.float32)
        return points

    target = np.array([width * 0.5, height * 0.5])
    return triple(middle, middle + up), triple(target, target + np.array([0.0, width * -0.5]))


def image_to_crop(center: ArrayLike, side: float, size: tuple[int, int], rotation: float = 0.0) -> Floats:
    """Matrix (2, 3) that takes image px to crop px.

    Args:
        center: (x, y) of the crop's centre, image px.
        side: width of the crop, image px (padding included).
        size: (width, height) of the crop in crop px.
        rotation: degrees; positive turns the crop's content counter-clockwise on the screen.

    Raises:
        DarkposeError: centre or side is not finite, or the side is not positive.
    """
    _check_crop(center, side)
    source, target = _corresponding_points(center, side, size, rotation)
    return np.asarray(cv2.getAffineTransform(source, target), np.float64)


def crop_to_image(center: ArrayLike, side: float, size: tuple[int, int], rotation: float = 0.0) -> Floats:
    """Matrix (2, 3) that takes crop px to image px; arguments and errors as in `image_to_crop`."""
    _check_crop(center, side)
    source, target = _corresponding_points(center, side, size, rotation)
    return np.asarray(cv2.getAffineTransform(target, source), np.float64)


def _check_crop(center: ArrayLike, side: float) -> None:
    if not (np.isfinite(center).all() and np.isfinite(side) and side > 0):
        raise DarkposeError(
            f"a crop needs a finite centre and a positive side in image px, got {center!r} and {side!r}"
        )


def transform(matrix: ArrayLike, points: ArrayLike) -> Floats:
    """Apply an affine matrix (2, 3) to points (..., 2)."""
    matrix = np.asarray(matrix, np.float64)
    return np.asarray(np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2])


def crop_to_heatmap(points: Points, *, stride: int = STRIDE) -> Points:
    """Points (..., 2) from crop px to heatmap px."""
    return points / stride


def heatmap_to_crop(points: Points, *, stride: int = STRIDE) -> Points:
    """Points (..., 2) from heatmap px to crop px."""
    return points * stride


def heatmap_to_image(
    points: NDArray[np.floating], center: ArrayLike, sides: ArrayLike, size: tuple[int, int]
) -> NDArray[np.floating]:
    """Points from heatmap px to image px, for an upright crop.

    Convention: computed in the dtype of `points`, in the reference's order and with its rounding of the side, so that
    float32 points give the published coordinates to the last bit.

    Args:
        points: (..., 2) float32 or float64, heatmap px.
        center: (..., 2) image px, broadcast against the points.
        sides: (..., 2) = (width, height) of the crop in image px, likewise.
        size: (W, H) of the heatmap.
    """
    dtype = points.dtype
    side = (np.asarray(sides, np.float64) / PIXEL_STD).astype(dtype) * dtype.type(PIXEL_STD)
    image = points * (side / np.asarray(size, dtype)) + np.asarray(center, dtype) - side * dtype.type(0.5)
    return np.asarray(image)


def mirror_matrix(width: int) -> Floats:
    """Matrix (2, 3) that mirrors a picture of this width: x -> width - 1 - x."""
    return np.array([[-1.0, 0.0, width - 1.0], [0.0, 1.0, 0.0]])


def compose(*matrices: ArrayLike) -> Floats:
    """Product of affine matrices (2, 3); the last one is applied first."""
    total = np.eye(3)
    for matrix in matrices:
        total = total @ np.vstack([np.asarray(matrix, np.float64), [0.0, 0.0, 1.0]])
    return total[:2]


def grid_matrix(matrix: ArrayLike, side: int) -> Floats:
    """Matrix (2, 3) from crop px to the grid in which torch samples the square picture that the crop is cut from.

    The grid runs from -1 to 1 between the outer edges of the picture (`grid_sample` with align_corners=False).

    Args:
        matrix: (2, 3), px of the picture to crop px.
        side: of the picture, px.
    """
    to_grid = np.array([[2.0, 0.0, 1.0 - side], [0.0, 2.0, 1.0 - side]]) / side
    return compose(to_grid, cv2.invertAffineTransform(np.asarray(matrix, np.float64)))


def mirror_keypoints(keypoints: ArrayLike, flip_index: Sequence[int] | NDArray[np.intp], width: int) -> Floats:
    """Landmarks (..., K, 2) of the mirrored picture, left and right swapped."""
    return transform(mirror_matrix(width), keypoints)[..., np.asarray(flip_index), :]


def resize_points(points: ArrayLike, factor: ArrayLike) -> Floats:
    """Points (..., 2) of a picture in the picture enlarged by `factor`, one or (2,) along x and y.

    Pixel areas keep their place, not centres.
    """
    return np.asarray((np.asarray(points, np.float64) + 0.5) * np.asarray(factor, np.float64) - 0.5)


def similarity(source: ArrayLike, target: ArrayLike) -> Floats:
    """The turn, scale and shift (2, 3) that bring points (K, 2) nearest to others, by least squares (Umeyama 1991)."""
    p, q = (np.asarray(points, np.float64) @ [1, 1j] for points in (source, target))
    centre, other = p.mean(), q.mean()
    factor = np.vdot(p - centre, q - other) / max(np.vdot(p - centre, p - centre).real, 1e-9)
    shift = other - factor * centre
    return np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]])


def with_margin(matrix: ArrayLike, size: int, margin: float) -> Floats:
    """A matrix (2, 3) to a square crop that shows more around: `margin` times its size in px on each side."""
    scale = 1 / (1 + 2 * margin)
    move = (1 - scale) * (size - 1) / 2
    return compose([[scale, 0.0, move], [0.0, scale, move]], matrix)


def align_eyes(left: ArrayLike, right: ArrayLike, size: int) -> Floats:
    """Matrix (2, 3) from image px to a square crop with the eyes level, at 35 % and 65 % of its width, 40 % down.

    Args:
        left, right: (x, y) of the eye centres on the image's left and right, image px.
        size: side of the crop, crop px.

    Raises:
        DarkposeError: the eyes coincide or are not finite.
    """
    left, right = np.asarray(left, np.float64), np.asarray(right, np.float64)
    across = right - left
    distance = float(across @ across)
    if not (np.isfinite(distance) and distance > 0):
        raise DarkposeError(f"a face cannot be aligned by the eye centres {left} and {right}")
    cos, sin = across / distance * (0.30 * (size - 1))
    turn = np.array([[cos, sin], [-sin, cos]])
    middle = np.array([0.5, 0.4]) * (size - 1)
    return np.column_stack([turn, middle - turn @ ((left + right) / 2)])
