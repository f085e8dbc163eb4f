"""Derived numbers in the rows of a clip, and closed eyes in them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from darkpose.errors import DarkposeError
from darkpose.predict.derived_values import PROBLEM, derived_values
from darkpose.predict.face import Face
from darkpose.schema import KeypointSchema
from darkpose.video.clip_table import Row
from darkpose.video.smoothed import arrays_of

CLOSED = 0.6  # share of a person's usual openness below which eyes are closed
LONGEST = 0.5  # s; eyes that are closed for longer do not blink


def with_derived(row: Row, schema: KeypointSchema, size: tuple[int, int]) -> Row:
    """The row with its derived numbers, if it has a face.

    The covariances that give the standard errors are those of the landmarks before smoothing.

    Args:
        row: of a clip.
        schema: of its landmarks.
        size: (width, height) of the frames, px.
    """
    if row.track is None:
        return row
    points, scores = (np.array(each, np.float32) for each in (row.keypoints, row.scores))  # NaN: not known
    spread = arrays_of(row)[1]
    covariance = None if spread is None else spread.astype(np.float32)
    values = derived_values(Face(points, scores, np.array(row.box), schema, covariance=covariance), size)
    problem = values.pop(PROBLEM)
    return replace(row, derived=values, derived_problem=problem)


@dataclass(frozen=True)
class Closure:
    """A time in which the eyes of a face are closed.

    Attributes:
        track: number of the face in the clip.
        start, end: s, of the first and the last frame.
        openness: the smallest, as a share of the person's usual openness.
    """

    track: int
    start: float
    end: float
    openness: float

    @property
    def is_blink(self) -> bool:
        """Whether the eyes open again within half a second."""
        return self.end - self.start <= LONGEST


def closures(rows: Iterable[Row]) -> list[Closure]:
    """The times in which eyes are closed, by track and time.

    Eyes are closed while the mean openness of both is below 0.6 of its median over the track.

    Args:
        rows: of a table of a clip with derived numbers.

    Raises:
        DarkposeError: the rows have no derived numbers.
    """
    tracks: dict[int, list[tuple[float, float]]] = {}
    for row in rows:
        if row.track is None or row.time is None:
            continue
        if row.derived is None:
            raise DarkposeError("the table has no openness of eyes: make it with darkpose video --derived")
        left, right = row.derived["left_eye_openness"], row.derived["right_eye_openness"]
        if left is not None and right is not None:
            tracks.setdefault(row.track, []).append((row.time, (left + right) / 2))
    return [found for track in sorted(tracks) for found in _closures(track, tracks[track])]


def _closures(track: int, values: Sequence[tuple[float, float]]) -> Iterator[Closure]:
    usual = float(np.median([openness for _, openness in values]))
    for closed, group in groupby(values, lambda each: each[1] < CLOSED * usual):
        if closed:
            times, openness = zip(*group, strict=True)
            yield Closure(track, times[0], times[-1], min(openness) / usual)
