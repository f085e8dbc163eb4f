"""The rows of a clip drawn on its frames."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Literal

import numpy as np

from darkpose.derived.pose import Pose
from darkpose.errors import DarkposeError
from darkpose.image.pixels import Pixels
from darkpose.predict.draw import draw_faces
from darkpose.predict.face import Face
from darkpose.schema import KeypointSchema
from darkpose.video.clip import Frame
from darkpose.video.clip_table import Row

SAME_TIME = 0.01  # s by which the times of a frame in a clip and in its table may differ
FARTHEST = 1e6  # px, of a landmark or corner of a box
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

    Raises:
        DarkposeError: the rows are of another clip: a frame has another time, or there are rows after the last frame.
    """
    groups = groupby(rows, lambda row: row.frame)
    number, group = next(groups, (-1, iter(())))
    last: Pixels | None = None
    at = -1
    for frame in frames:
        at = frame.number
        while number < frame.number and (following := next(groups, None)) is not None:
            number, group = following
        here = list(group) if number == frame.number else []
        if any(row.time is not None and abs(row.time - frame.time) > SAME_TIME for row in here):
            raise DarkposeError(
                f"the table is of another clip or rate: frame {number} is at {here[0].time} s, not at {frame.time} s"
            )
        if frame.image is not None:
            last = draw_rows(frame.image, here, what, schemas)
        if last is not None:
            yield last, frame.time
    number, _ = next(groups, (number, group))
    if number > at:
        raise DarkposeError(f"the table is of another clip: it has a frame {number}, which this clip has not")


def draw_rows(image: Pixels, rows: Iterable[Row], what: Draw, schemas: Mapping[str, KeypointSchema]) -> Pixels:
    """The rows of one frame drawn on a copy of its image; arguments as of `drawn`."""
    shown = [row for row in rows if row.track is not None]
    faces = [face_of(row, schemas) for row in shown]
    poses = [pose_of(row) for row in shown]
    return draw_faces(image, faces, boxes=what != "landmarks", scores=what == "scores", poses=poses)


def pose_of(row: Row) -> Pose:
    """The angles of the pose in the derived numbers of a row."""
    known = row.derived or {}
    yaw, pitch, roll = (known.get(name) for name in ("yaw", "pitch", "roll"))
    if yaw is None or pitch is None or roll is None:
        return Pose(problem=row.derived_problem or "not asked for")
    return Pose(yaw, pitch, roll)


def face_of(row: Row, schemas: Mapping[str, KeypointSchema]) -> Face:
    """The face of a row, without its image.

    Raises:
        DarkposeError: the schema is unknown, or has another number of landmarks; a landmark or the box is not known or
            far from any image.
    """
    schema = schemas.get(row.markup or "")
    if schema is None or row.box is None or len(row.keypoints or ()) != len(schema):
        raise DarkposeError(
            f"frame {row.frame}: a face with {len(row.keypoints or ())} landmarks in the schema {row.markup!r}, "
            f"expected one of {', '.join(schemas)}"
        )
    points, box = np.array(row.keypoints, np.float64), np.array(row.box)
    if not ((np.abs(points) < FARTHEST).all() and (np.abs(box) < FARTHEST).all()):
        raise DarkposeError(f"frame {row.frame}: a landmark or the box is not known, or is far from any image")
    scores = np.array(row.scores or [np.nan] * len(schema), np.float32)
    score = np.nan if row.detection_score is None else row.detection_score
    return Face(
        points.astype(np.float32),
        scores,
        box,
        schema,
        row.found_by or "",
        score,
        rolled=row.rolled or 0,
        track=row.track,
    )
