"""Random faces of a data set with their annotated landmarks, side by side: a wrong order or offset is seen at once."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError
from darkpose.image.geometry import box_to_crop, image_to_crop, transform
from darkpose.image.pixels import Pixels
from darkpose.predict.draw import draw_errors, draw_faces
from darkpose.predict.face import Face
from darkpose.schema import KeypointSchema
from darkpose.training.crops import cut

_GAP = 4  # px of white around every face


def contact_sheet(
    samples: Sequence[Sample], schema: KeypointSchema, count: int = 25, seed: int = 0, *, side: int = 256
) -> Pixels:
    """Draw `count` of the faces, or all if there are fewer, row by row in an order that depends on the seed alone.

    A face is cut as for evaluation: its box, grown by the usual padding, which shows what a network would see. Faces
    whose images cannot be read are passed over.

    Args:
        samples: the faces.
        schema: their markup, for the outlines.
        count: how many, at least 1.
        seed: which.
        side: of one face on the sheet, px.

    Returns:
        (H, W, 3) uint8 RGB, as many columns as rows or one more; places that stay free are white.

    Raises:
        DarkposeError: there are no samples, `count` is not positive, or no image can be read.
    """
    if not samples or count < 1:
        raise DarkposeError(f"a contact sheet needs faces, and one at least: got {len(samples)}, {count} asked for")
    pictures, problem = [], None
    for index in np.random.default_rng(seed).permutation(len(samples)):
        try:
            pictures.append(_picture(samples[index], schema, side))
        except DarkposeError as error:
            problem = error
        if len(pictures) == count:
            break
    if not pictures:
        raise DarkposeError(f"no image can be read; one of them: {problem}") from problem
    return _side_by_side(pictures)


def error_sheet(samples: Sequence[Sample], points: np.ndarray, schema: KeypointSchema, *, side: int = 320) -> Pixels:
    """Faces with their annotated landmarks (green) and predicted ones (red), in the order given.

    Args:
        samples: faces whose images can be read, at least one.
        points: (N, K, 2) predicted, image px, finite.
        schema: their markup.
        side: of one face on the sheet, px.

    Returns:
        (H, W, 3) uint8 RGB, as `contact_sheet` lays them out.

    Raises:
        DarkposeError: there are no samples, or an image cannot be read.
    """
    if not samples:
        raise DarkposeError("there is no face to draw")
    pictures = []
    for sample, predicted in zip(samples, points, strict=True):
        face, (center, sides) = cut(sample, schema, side), box_to_crop(sample.box)
        known = face.visible > 0
        there = transform(image_to_crop(center, float(sides[0]), (side, side)), predicted)
        pictures.append(draw_errors(face.crop, face.keypoints[known], there[known]))
    return _side_by_side(pictures)


def _side_by_side(pictures: Sequence[Pixels]) -> Pixels:
    columns, side = int(np.ceil(np.sqrt(len(pictures)))), len(pictures[0])
    rows = -(-len(pictures) // columns)
    step = side + _GAP
    sheet = np.full((rows * step + _GAP, columns * step + _GAP, 3), 255, np.uint8)
    for place, picture in enumerate(pictures):
        y, x = (_GAP + step * position for position in divmod(place, columns))
        sheet[y : y + side, x : x + side] = picture
    return sheet


def _picture(sample: Sample, schema: KeypointSchema, side: int) -> Pixels:
    """One face, cut out, with its annotated landmarks."""
    face = cut(sample, schema, side)
    known = np.flatnonzero(face.visible > 0)
    if not len(known):
        return face.crop
    keypoints = face.keypoints[known].astype(np.float32)
    box = np.array([0.0, 0.0, side, side])
    return draw_faces(
        face.crop, [Face(keypoints, np.ones(len(known), np.float32), box, _part(schema, known))], boxes=False
    )


def _part(schema: KeypointSchema, known: np.ndarray) -> KeypointSchema:
    """The markup of some of its landmarks: outlines keep the edges between them."""
    new = {int(old): index for index, old in enumerate(known)}
    edges = tuple(
        (new[i], new[j]) for outline in schema.outlines for i, j in pairwise(outline) if i in new and j in new
    )
    return KeypointSchema(schema.name, tuple(schema.names[i] for i in known), (), edges)
