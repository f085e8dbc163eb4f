"""Derived numbers in tables of clips, and closed eyes."""

from pathlib import Path

import numpy as np
import pytest

from darkpose.datasets.face_plan import Pose as DrawnPose
from darkpose.datasets.face_plan import pose_face
from darkpose.errors import DarkposeError
from darkpose.predict.derived_values import NUMBERS
from darkpose.schema import SCHEMAS, WFLW_98
from darkpose.video.clip_table import Row, read_table, write_table
from darkpose.video.derived_rows import closures, with_derived
from darkpose.video.drawing import draw_rows, pose_of
from needed import needs

SIZE = (320, 240)
RATE = 25.0


def a_row(frame: int, openness: float = 1.0, yaw: float = 0.0, track: int = 1) -> Row:
    points = pose_face(3, 1, DrawnPose(160, 100, 50, yaw=yaw, openness=openness)).keypoints
    spread = tuple((1.0, 0.0, 1.0) for _ in points)
    box = (100.0, 50.0, 220.0, 200.0)
    return Row(
        *(frame, "ok", frame / RATE, track, "wflw-98", box, "darkpose", 0.9, 0.9, 0),
        tuple(map(tuple, points.tolist())),
        (0.9,) * len(points),
        None,
        spread,
    )


def derived(rows: list[Row]) -> list[Row]:
    return [with_derived(row, WFLW_98, SIZE) for row in rows]


def test_a_row_gets_the_numbers_of_its_face() -> None:
    faceless, row = derived([Row(0, "no face", 0.0), a_row(1, yaw=30)])
    assert faceless.derived is None
    assert row.derived is not None
    assert set(row.derived) == set(NUMBERS)
    assert row.derived["yaw"] > 5  # type: ignore[operator]
    assert row.derived["yaw_error"] > 0  # type: ignore[operator]
    assert row.derived_problem == ""


@pytest.mark.parametrize("ending", ["csv", "jsonl", pytest.param("parquet", marks=needs("pyarrow"))])
def test_tables_keep_the_numbers(ending: str, tmp_path: Path) -> None:
    rows = derived([a_row(0), Row(1, "no face", 0.04), Row(2, "skipped"), a_row(3, yaw=55)])
    assert rows[3].derived is not None
    write_table(tmp_path / f"a.{ending}", rows, ["keypoints", "scores", "covariances", "derived"], 98)
    back = list(read_table(tmp_path / f"a.{ending}"))
    assert [row.derived for row in back] == [row.derived for row in rows]
    assert [row.status for row in back] == [row.status for row in rows]


def test_a_reason_with_a_comma_is_kept_in_csv(tmp_path: Path) -> None:
    (row,) = derived([a_row(0)])
    row = Row(**{**vars(row), "derived_problem": "turned, too far"})
    write_table(tmp_path / "a.csv", [row], ["keypoints", "scores", "covariances", "derived"], 98)
    assert [each.derived_problem for each in read_table(tmp_path / "a.csv")] == ["turned, too far"]


def test_a_row_with_a_lost_landmark_has_the_numbers_that_need_it_not() -> None:
    row = a_row(0)
    assert row.keypoints is not None
    lost = Row(**{**vars(row), "keypoints": ((None, None), *row.keypoints[1:66], (None, None), *row.keypoints[67:])})
    found = with_derived(lost, WFLW_98, SIZE).derived
    assert found is not None
    assert found["left_eye_openness"] is None  # of a lid
    assert found["right_eye_openness"] is not None
    assert found["yaw"] is not None


def test_numbers_of_other_names_are_refused() -> None:
    with pytest.raises(DarkposeError, match="derived numbers of a row must be yaw, pitch"):
        Row(**{**vars(a_row(0)), "derived": {"yaw": 3.0}})


def test_the_axes_are_drawn_by_the_table() -> None:
    image = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
    plain, (row,) = a_row(0, yaw=30), derived([a_row(0, yaw=30)])
    assert row.derived is not None
    assert pose_of(row).yaw == row.derived["yaw"]
    assert pose_of(plain).problem
    assert (draw_rows(image, [row], "landmarks", SCHEMAS) != draw_rows(image, [plain], "landmarks", SCHEMAS)).any()


def test_blinks_and_longer_closures_are_found() -> None:
    openness = np.ones(75)
    openness[[20, 22]], openness[21] = 0.5, 0.1  # a blink of 0.08 s
    openness[40:60] = 0.2  # 0.76 s
    rows = derived([a_row(frame, value) for frame, value in enumerate(openness)])
    blink, closed = closures(rows)
    assert (blink.track, blink.start, blink.end) == (1, 20 / RATE, 22 / RATE)
    assert blink.openness < 0.2
    assert blink.is_blink
    assert (closed.start, closed.end) == (40 / RATE, 59 / RATE)
    assert not closed.is_blink


def test_tracks_blink_each_for_itself() -> None:
    rows = [a_row(f, 0.1 if f == track * 5 else 1.0, track=track) for f in range(15) for track in (1, 2)]
    assert [(each.track, each.start) for each in closures(derived(rows))] == [(1, 5 / RATE), (2, 10 / RATE)]


def test_a_table_without_openness_has_no_blinks() -> None:
    with pytest.raises(DarkposeError, match="darkpose video --derived"):
        closures([a_row(0)])
