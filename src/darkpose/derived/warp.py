"""One face warped onto another, and the average of faces.

Inside the face the map is affine in each triangle of the mesh (`mean_face`). Around the face it is the similarity
between the two; in a ring between them it goes from one to the other, so that nothing tears.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkpose.derived.mean_face import mean_face
from darkpose.errors import DarkposeError
from darkpose.image.geometry import Floats, resize_points, similarity, transform
from darkpose.image.pixels import Pixels, remapped, resized
from darkpose.schema import KeypointSchema

RING = 1.5  # size of the ring over the size of the face
LARGEST = 4096  # px, of a side of a warped picture


def mesh(schema: KeypointSchema) -> NDArray[np.intp]:
    """The triangles (T, 3) over a face, indices of its landmarks: see `mean_face.MeanFace`.

    Raises:
        DarkposeError: there are none for the schema.
    """
    face = mean_face(schema.name)
    if face is None or not len(face.triangles):
        raise DarkposeError(f"there are no triangles for the landmarks of {schema.name}; 300w-68 and wflw-98 have them")
    return face.triangles


def outline(triangles: NDArray[np.intp]) -> list[int]:
    """The landmarks around a mesh, clockwise."""
    edges = [edge for t in triangles.tolist() for edge in zip(t, [*t[1:], t[0]], strict=True)]
    inner = set(edges)
    border = {i: j for i, j in edges if (j, i) not in inner}
    line = [next(iter(border))]
    while (following := border[line[-1]]) != line[0]:
        line.append(following)
    return line


def warp_face(
    image: Pixels, source: ArrayLike, target: ArrayLike, schema: KeypointSchema, size: tuple[int, int]
) -> Pixels:
    """Warp the face in an image so that its landmarks come to others.

    Args:
        image: (H, W, C) uint8.
        source: (K, 2), landmarks in it, image px.
        target: (K, 2), where they go, px of the result.
        schema: of the landmarks: 300w-68 or wflw-98.
        size: (width, height) of the result.

    Returns:
        (height, width, C); black where the image has ended.

    Raises:
        DarkposeError: the schema has no triangles, a landmark is not known, all are in one place, or the size is not
            from 1 to 4096.
    """
    triangles = mesh(schema)
    start, end = (np.asarray(points, np.float64) for points in (source, target))
    for points in (start, end):
        if points.shape != (len(schema), 2) or not (np.isfinite(points).all() and np.ptp(points, axis=0).max() > 0):
            raise DarkposeError(f"warping needs {len(schema)} known landmarks (K, 2), got the shape {points.shape}")
    if not all(1 <= side <= LARGEST for side in size):
        raise DarkposeError(f"expected a width and a height from 1 to {LARGEST} px, got {size}")
    back = similarity(end, start)
    shrinking = float(np.hypot(back[0, 0], back[1, 0]))
    if shrinking > 1:  # averages the pixels that fall into one
        smaller = tuple(max(1, round(side / shrinking)) for side in image.shape[1::-1])
        factor = np.array(smaller) / image.shape[1::-1]
        image, start = resized(image, (smaller[0], smaller[1])), resize_points(start, factor)
        back = similarity(end, start)
    return remapped(image, _places(start, end, triangles, back, size))


def _places(start: Floats, end: Floats, triangles: NDArray[np.intp], back: Floats, size: tuple[int, int]) -> Floats:
    """Where in the image each pixel of the result comes from: (height, width, 2) image px."""
    line = outline(triangles)
    ring = end[line].mean(axis=0) + RING * (end[line] - end[line].mean(axis=0))
    start, end = np.concatenate([start, transform(back, ring)]), np.concatenate([end, ring])
    after = np.roll(line, -1)
    outer = len(start) - len(line) + np.arange(len(line))
    strip = [np.stack([line, outer, after], axis=1), np.stack([after, outer, np.roll(outer, -1)], axis=1)]
    columns, rows = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    places = transform(back, np.stack([columns, rows], axis=-1))
    for triangle in np.concatenate([*strip, triangles]):
        _fill(places, start[triangle], end[triangle])
    return places


def _fill(places: Floats, start: Floats, end: Floats) -> None:
    """Write the affine map of one triangle (3, 2) into the places of its pixels."""
    low = np.maximum(np.ceil(end.min(axis=0)), 0).astype(int)
    high = np.minimum(np.floor(end.max(axis=0)) + 1, places.shape[1::-1]).astype(int)
    sides = np.stack([end[1] - end[0], end[2] - end[0]], axis=1)
    if (high <= low).any() or abs(np.linalg.det(sides)) < 1e-9:
        return
    columns, rows = np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1]))
    shares = (np.stack([columns, rows], axis=-1) - end[0]) @ np.linalg.inv(sides).T
    inside = (shares >= -1e-9).all(axis=-1) & (shares.sum(axis=-1) <= 1 + 1e-9)
    part = places[low[1] : high[1], low[0] : high[0]]
    part[inside] = start[0] + shares[inside] @ np.stack([start[1] - start[0], start[2] - start[0]])


def average_shape(shapes: Iterable[ArrayLike], schema: KeypointSchema, size: int) -> Floats:
    """The mean (K, 2) of landmarks, each face moved, turned and scaled to the mean face, in px of a picture of it.

    Args:
        shapes: (K, 2) each, all known.
        schema: of the landmarks.
        size: width and height of the picture.

    Raises:
        DarkposeError: there is no face, or no mean face of the schema.
    """
    face = mean_face(schema.name)
    if face is None:
        raise DarkposeError(f"there is no mean face for the landmarks of {schema.name}")
    flat = face.points[:, :2]
    each = [transform(similarity(points, flat), points) for points in (np.asarray(p, np.float64) for p in shapes)]
    if not each:
        raise DarkposeError("there is no face to average")
    return np.asarray(np.mean(each, axis=0) * (size / 3.2) + [(size - 1) / 2, 0.4 * (size - 1)])


def average_face(
    faces: Iterable[tuple[Pixels, ArrayLike]], shape: ArrayLike, schema: KeypointSchema, size: int
) -> Pixels:
    """The mean of faces that are warped onto one shape; where some images have ended, of the others.

    Args:
        faces: images (H, W, 3) and the landmarks (K, 2) in them; one is held at a time.
        shape: (K, 2), px of the result.
        schema: of the landmarks.
        size: width and height of the result.

    Returns:
        (size, size, 3) uint8 RGB.

    Raises:
        DarkposeError: there is no face, or as `warp_face`.
    """
    total, count = np.zeros((size, size, 4)), 0  # the fourth channel is 255 inside the images
    for image, points in faces:
        whole = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
        total += warp_face(whole, points, shape, schema, (size, size))
        count += 1
    if not count:
        raise DarkposeError("there is no face to average")
    return np.asarray(np.round(255 * total[..., :3] / np.maximum(total[..., 3:], 1)).clip(0, 255), np.uint8)
