"""Random faces of a data set with their annotated landmarks, side by side: a wrong order or offset is seen at once."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from darkpose.batches import cut
from darkpose.draw import draw_faces
from darkpose.errors import DarkposeError
from darkpose.face import Face
from darkpose.image import Pixels
from darkpose.sample import Sample
from darkpose.schema import KeypointSchema

_GAP = 4  # px of white around every face


def contact_sheet(
    samples: Sequence[Sample], schema: KeypointSchema, count: int = 25, seed: int = 0, *, side: int = 256
) -> Pixels:
    """Draw `count` of the faces, or all if there are fewer, row by row in an order that depends on the seed alone.

    A face is cut as for evaluation: its box, grown by the usual padding, which shows what a network would see.

    Args:
        samples: faces whose images can be read.
        schema: their markup, for the outlines.
        count: how many, at least 1.
        seed: which.
        side: of one face on the sheet, px.

    Returns:
        (H, W, 3) uint8 RGB, as many columns as rows or one more; places that stay free are white.

    Raises:
        DarkposeError: there are no samples, `count` is not positive, or an image cannot be read.
    """
    if not samples or count < 1:
        raise DarkposeError(f"a contact sheet needs faces, and one at least: got {len(samples)}, {count} asked for")
    chosen = np.random.default_rng(seed).permutation(len(samples))[:count]
    columns = int(np.ceil(np.sqrt(len(chosen))))
    rows = -(-len(chosen) // columns)
    step = side + _GAP
    sheet = np.full((rows * step + _GAP, columns * step + _GAP, 3), 255, np.uint8)
    for place, index in enumerate(chosen):
        y, x = (_GAP + step * position for position in divmod(place, columns))
        sheet[y : y + side, x : x + side] = _picture(samples[index], schema, side)
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
