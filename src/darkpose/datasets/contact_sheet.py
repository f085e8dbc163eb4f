"""Sheets of faces with their annotated landmarks, which show a wrong order or offset at once."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from darkpose.datasets.crop import cut_face
from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError
from darkpose.image.draw import WHITE, draw_disc, draw_landmarks, draw_outlines, draw_polyline, draw_text
from darkpose.image.geometry import transform
from darkpose.image.pixels import Pixels, read_image
from darkpose.schema import KeypointSchema

_GAP = 4  # px of white around every face
_ANNOTATED = (64, 220, 64)  # green
_PREDICTED = (240, 48, 48)  # red
_PAIRED = (255, 190, 40)  # orange


def contact_sheet(
    samples: Sequence[Sample],
    schema: KeypointSchema,
    count: int = 25,
    seed: int = 0,
    *,
    side: int = 256,
    explained: bool = False,
) -> Pixels:
    """Draw random faces with their annotated landmarks, row by row.

    A face is cut as for evaluation: its box, grown by the usual padding, which shows what a network would see. Faces
    whose images cannot be read are skipped.

    Args:
        samples: the faces.
        schema: their landmarks, for the outlines.
        count: how many faces to draw, at least 1; all if there are fewer.
        seed: of the choice and the order.
        side: of one face on the sheet, px.
        explained: write the numbers of the landmarks, from 0, and join those of a flip pair by orange lines.

    Returns:
        (H, W, 3) uint8 RGB, as many columns as rows or one more; unused places are white.

    Raises:
        DarkposeError: there are no samples, `count` is not positive, or no image can be read.
    """
    if not samples or count < 1:
        raise DarkposeError(f"expected faces and a positive count, got {len(samples)} faces and the count {count}")
    pictures, problem = [], None
    for index in np.random.default_rng(seed).permutation(len(samples)):
        try:
            pictures.append(_annotated_face(samples[index], schema, side, explained))
        except DarkposeError as error:
            problem = error
        if len(pictures) == count:
            break
    if not pictures:
        raise DarkposeError(f"no image of {len(samples)} faces can be read; the last problem: {problem}") from problem
    return _arrange(pictures)


def error_sheet(samples: Sequence[Sample], points: NDArray[np.floating], *, side: int = 320) -> Pixels:
    """Draw faces with their annotated landmarks (green) and predicted ones (red), in the order given.

    Args:
        samples: faces whose images can be read, at least one.
        points: (N, K, 2) predicted, image px; those that are not finite are not drawn, nor their annotations.
        side: of one face on the sheet, px.

    Returns:
        (H, W, 3) uint8 RGB, arranged as by `contact_sheet`.

    Raises:
        DarkposeError: there are no samples, or an image cannot be read.
    """
    if not samples:
        raise DarkposeError("expected at least one face to draw, got none")
    return _arrange([_face_with_errors(*each, side) for each in zip(samples, points, strict=True)])


def _annotated_face(sample: Sample, schema: KeypointSchema, side: int, explained: bool) -> Pixels:
    face = cut_face(read_image(sample.image), sample, side)
    annotated = sample.visible > 0
    edges = [edge for outline in schema.outlines for edge in pairwise(outline) if annotated[list(edge)].all()]
    draw_outlines(face.crop, face.keypoints, edges, side)
    for i, j in schema.flip_pairs if explained else ():
        if annotated[i] and annotated[j]:
            draw_polyline(face.crop, face.keypoints[[i, j]], _PAIRED, 1)
    draw_landmarks(face.crop, face.keypoints[annotated], side)
    for number in np.flatnonzero(annotated).tolist() if explained else ():
        draw_text(face.crop, str(number), face.keypoints[number] + [side / 90, 0], WHITE, max(7.0, side / 48))
    return face.crop


def _face_with_errors(sample: Sample, predicted: NDArray[np.floating], side: int) -> Pixels:
    face = cut_face(read_image(sample.image), sample, side)
    known = (sample.visible > 0) & np.isfinite(predicted).all(axis=1)
    annotated, predicted = face.keypoints[known], transform(face.matrix, predicted)[known]
    for pair in np.stack([annotated, predicted], axis=1):
        draw_polyline(face.crop, pair, WHITE, 1)
    for points, colour in ((annotated, _ANNOTATED), (predicted, _PREDICTED)):
        for point in points:
            draw_disc(face.crop, point, max(1.0, side / 160), colour)
    return face.crop


def _arrange(pictures: Sequence[Pixels]) -> Pixels:
    """Squares of one size, side by side in rows."""
    columns, side = int(np.ceil(np.sqrt(len(pictures)))), len(pictures[0])
    rows = -(-len(pictures) // columns)
    step = side + _GAP
    sheet = np.full((rows * step + _GAP, columns * step + _GAP, 3), 255, np.uint8)
    for place, picture in enumerate(pictures):
        y, x = (_GAP + step * position for position in divmod(place, columns))
        sheet[y : y + side, x : x + side] = picture
    return sheet
