"""The rows of a clip, smoothed a part at a time."""

from collections.abc import Iterator

import numpy as np
import pytest

from darkpose.video.clip_table import Row
from darkpose.video.smoothed import MARGIN, PART, Smooth, arrays_of, smoothed
from darkpose.video.smoothing import CausalSmoother, smooth
from darkpose.video.track import place_of

SHAPE = np.random.default_rng(0).uniform(0, 100, (5, 2))


def clip(seconds: float, rate: float = 10) -> Iterator[Row]:
    """Two faces, one of which is there for some time; every tenth frame is broken or skipped."""
    rng = np.random.default_rng(1)
    for number in range(round(seconds * rate)):
        time = number / rate
        if number % 10 == 9:
            yield Row(number, "broken", time) if number % 20 == 9 else Row(number, "skipped")
            continue
        for track in (1, 2):
            if track == 1 or 3 < time < seconds - 3:
                points = SHAPE + 30 * np.sin(time) + rng.normal(0, 0.3, SHAPE.shape)
                pairs = tuple((x, y) for x, y in points.round(3).tolist())
                spread = tuple((1.0, 0.1, 2.0) if k % 2 else None for k in range(5))
                yield Row(number, "ok", time, track, "m", (0.0, 0.0, 9.0, 9.0), keypoints=pairs, covariances=spread)


def of_track(rows: list[Row], track: int) -> list[Row]:
    return [row for row in rows if row.track == track]


@pytest.mark.parametrize("way", ["two-pass", "causal", "off"])
def test_all_rows_come_in_their_order_with_what_they_had(way: Smooth) -> None:
    rows, found = list(clip(30)), list(smoothed(clip(30), way))
    assert [(row.frame, row.track, row.status, row.time) for row in rows] == [
        (row.frame, row.track, row.status, row.time) for row in found
    ]
    faces = [(before, after) for before, after in zip(rows, found, strict=True) if before.track is not None]
    if way == "off":
        assert found == rows
    else:
        assert all(after.raw == before.keypoints for before, after in faces)
        assert sum(before.keypoints != after.keypoints for before, after in faces) > 0.9 * len(faces)


def test_smoothing_in_parts_is_smoothing_the_whole() -> None:
    rows = list(clip(5 * PART))
    found = list(smoothed(iter(rows), "two-pass"))
    for track in (1, 2):
        each = of_track(rows, track)
        points, spreads = zip(*map(arrays_of, each), strict=True)
        sizes = [place_of(face, 0.0).side for face in points]
        whole = smooth([row.time or 0.0 for row in each], np.stack(points), np.stack(spreads), sizes)
        parts = np.array([row.keypoints for row in of_track(found, track)], np.float64)
        np.testing.assert_allclose(parts, whole, rtol=0, atol=2e-3)


def test_causal_rows_are_those_of_the_causal_smoother() -> None:
    rows = list(clip(8))
    found = of_track(list(smoothed(iter(rows), "causal")), 2)
    smoother = CausalSmoother()
    for row, before in zip(found, of_track(rows, 2), strict=True):
        points, spread = arrays_of(before)
        expected = smoother.update(row.time or 0.0, points, spread, place_of(points, 0.0).side)
        np.testing.assert_allclose(np.array(row.keypoints, np.float64), expected, rtol=0, atol=6e-4)


def test_few_rows_are_held() -> None:
    taken = 0

    def counted() -> Iterator[Row]:
        nonlocal taken
        for row in clip(6 * PART):
            taken += 1
            yield row

    given = most = 0
    for _ in smoothed(counted(), "two-pass"):
        given += 1
        most = max(most, taken - given)
    assert given == taken
    assert most < sum(1 for _ in clip(PART + 2 * MARGIN))


def test_rows_that_were_smoothed_are_smoothed_from_what_they_were() -> None:
    once = list(smoothed(clip(5), "two-pass"))
    assert list(smoothed(iter(once), "two-pass")) == once
