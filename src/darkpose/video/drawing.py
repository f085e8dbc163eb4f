"""The rows of a clip drawn on its frames."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Literal

import numpy as np

from darkpose.errors import DarkposeError
from darkpose.image.pixels import Pixels
from darkpose.predict.draw import draw_faces
from darkpose.predict.face import Face
from darkpose.schema import KeypointSchema
from darkpose.video.clip import Frame
from darkpose.video.clip_table import Row

Draw = Literal["landmarks", "boxes", "scores", "off"]


def drawn(
    frames: Iterable[Frame], rows: Iterable[Row], what: Draw, schemas: Mapping[str, KeypointSchema]
) -> Iterator[tuple[Pixels, float]]:
    """Frames with their faces drawn, and their times; broken frames repeat the last one that was not.

    Args:
        frames: of the clip.
        rows: of the same clip.
        what: "landmarks"; "boxes", with the numbers of the tracks; "scores", both and the scores.
        schemas: by their names.
    """
    groups = groupby(rows, lambda row: row.frame)
    number, group = next(groups, (-1, iter(())))
    last: Pixels | None = None
    for frame in frames:
        while number < frame.number and (following := next(groups, None)) is not None:
            number, group = following
        if frame.image is not None:
            last = draw_rows(frame.image, group if number == frame.number else (), what, schemas)
        if last is not None:
            yield last, frame.time


def draw_rows(image: Pixels, rows: Iterable[Row], what: Draw, schemas: Mapping[str, KeypointSchema]) -> Pixels:
    """The rows of one frame drawn on a copy of its image; arguments as of `drawn`."""
    faces = [face_of(row, schemas) for row in rows if row.track is not None]
    return draw_faces(image, faces, boxes=what != "landmarks", scores=what == "scores")


def face_of(row: Row, schemas: Mapping[str, KeypointSchema]) -> Face:
    """The face of a row, without its image.

    Raises:
        DarkposeError: the schema is unknown, or has another number of landmarks.
    """
    schema = schemas.get(row.markup or "")
    if schema is None or row.box is None or len(row.keypoints or ()) != len(schema):
        raise DarkposeError(
            f"frame {row.frame}: a face with {len(row.keypoints or ())} landmarks in the schema {row.markup!r}, "
            f"expected one of {', '.join(schemas)}"
        )
    scores = np.array(row.scores or [np.nan] * len(schema), np.float32)
    score = np.nan if row.detection_score is None else row.detection_score
    return Face(
        np.array(row.keypoints, np.float32),
        scores,
        np.array(row.box),
        schema,
        row.found_by or "",
        score,
        rolled=row.rolled or 0,
        track=row.track,
    )
