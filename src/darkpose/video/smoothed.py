"""The rows of a clip with smoothed landmarks, a part of the clip at a time, so that memory does not grow with it."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Literal

import numpy as np

from darkpose.image.geometry import Floats
from darkpose.video.clip_table import Row
from darkpose.video.smoothing import CausalSmoother, Smoothing, smooth
from darkpose.video.track import place_of

Smooth = Literal["two-pass", "causal", "off"]
PART, MARGIN = 8.0, 4.0  # s, of a part of a clip that is smoothed at once, and of what is seen before and after it


def smoothed(rows: Iterable[Row], way: Smooth, config: Smoothing | None = None) -> Iterator[Row]:
    """Rows whose `keypoints` are smoothed and whose `raw` are those before; others as they are.

    Args:
        rows: of a clip, in the order of its frames.
        way: "two-pass", without lag; "causal", by the past alone, as live; "off".
        config: how much is smoothed; None: the defaults.
    """
    config = config or Smoothing()
    if way == "two-pass":
        return _in_parts(rows, config)
    return map(CausalRows(config), rows) if way == "causal" else iter(rows)


class CausalRows:
    """Smooths the rows of a clip as they come."""

    def __init__(self, config: Smoothing) -> None:
        self._config = config
        self._smoothers: dict[int, tuple[float, CausalSmoother]] = {}  # track -> time of its last row

    def __call__(self, row: Row) -> Row:
        """The next row, smoothed if it has a face."""
        if row.track is None or row.time is None:
            return row
        gap, before = self._config.gap, self._smoothers
        kept = {track: each for track, each in before.items() if row.time - each[0] <= gap}
        _, smoother = kept.get(row.track, (0.0, CausalSmoother(self._config)))
        self._smoothers = {**kept, row.track: (row.time, smoother)}
        points, spread = arrays_of(row)
        return with_points(row, smoother.update(row.time, points, spread, place_of(points, row.time).side))


def _in_parts(rows: Iterable[Row], config: Smoothing) -> Iterator[Row]:
    held: list[Row] = []
    done = 0  # of those that are held
    for row in rows:
        held.append(row)
        if row.time is None or done >= len(held):
            continue
        first = next((each.time for each in held[done:] if each.time is not None), row.time)
        if row.time - first >= PART + MARGIN:
            until = row.time - MARGIN
            ready = sum(1 for _ in _before(held, until))
            yield from _smooth_tracks(held, config)[done:ready]
            kept = sum(1 for _ in _before(held, until - MARGIN))
            held, done = held[kept:], ready - kept
    yield from _smooth_tracks(held, config)[done:]


def _before(rows: list[Row], time: float) -> Iterator[Row]:
    """The first rows, up to those at a time."""
    for row in rows:
        if row.time is not None and row.time >= time:
            return
        yield row


def _smooth_tracks(rows: list[Row], config: Smoothing) -> list[Row]:
    of_track: dict[int, list[int]] = {}
    for index, row in enumerate(rows):
        if row.track is not None and row.time is not None:
            of_track.setdefault(row.track, []).append(index)
    result = list(rows)
    for indices in of_track.values():
        times = [rows[index].time or 0.0 for index in indices]
        points, spreads = zip(*(arrays_of(rows[index]) for index in indices), strict=True)
        sizes = [place_of(each, 0.0).side for each in points]
        spread = None if spreads[0] is None else np.stack(spreads)
        for index, found in zip(indices, smooth(times, np.stack(points), spread, sizes, config), strict=True):
            result[index] = with_points(rows[index], found)
    return result


def arrays_of(row: Row) -> tuple[Floats, Floats | None]:
    """Raw keypoints (K, 2) and covariances (K, 2, 2) or None of a row with a face."""
    points = np.array(row.raw or row.keypoints, np.float64)
    if row.covariances is None:
        return points, None
    each = [(np.nan,) * 3 if values is None else values for values in row.covariances]
    return points, np.array([[[xx, xy], [xy, yy]] for xx, xy, yy in each])


def with_points(row: Row, points: Floats) -> Row:
    """The row with smoothed keypoints."""
    return replace(row, raw=row.raw or row.keypoints, keypoints=tuple((x, y) for x, y in points.round(3).tolist()))
