"""The rows of a clip drawn on its frames."""

from dataclasses import replace

import numpy as np
import pytest

from darkpose.errors import DarkposeError
from darkpose.schema import SCHEMAS
from darkpose.video.clip import Frame
from darkpose.video.clip_table import Row
from darkpose.video.drawing import drawn, face_of

POINTS = tuple((20.0 + number, 30.0 + number % 7) for number in range(68))
FACE = Row(0, "ok", 0.0, 1, "300w-68", (10.0, 10.0, 90.0, 90.0), keypoints=POINTS)
FRAMES = [Frame(number, number / 25, np.zeros((100, 120, 3), np.uint8)) for number in range(4)]


def test_each_frame_has_its_faces_and_a_broken_one_repeats_the_frame_before() -> None:
    rows = [FACE, Row(1, "no face", 0.04), Row(2, "broken", 0.08), replace(FACE, frame=3, time=0.12)]
    frames = [*FRAMES[:2], Frame(2, 0.08, None), FRAMES[3]]
    pictures = list(drawn(frames, rows, "boxes", SCHEMAS))
    assert [time for _, time in pictures] == [0.0, 0.04, 0.08, 0.12]
    assert [bool(image.any()) for image, _ in pictures] == [True, False, False, True]


def test_rows_may_begin_later_and_end_earlier_than_the_frames() -> None:
    pictures = drawn(FRAMES, [replace(FACE, frame=2, time=0.08)], "landmarks", SCHEMAS)
    assert [bool(image.any()) for image, _ in pictures] == [False, False, True, False]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (replace(FACE, frame=1, time=0.06), r"frame 1 is at 0\.06 s, not at 0\.04 s"),
        (replace(FACE, frame=4, time=0.16), "has a frame 4, which this clip has not"),
    ],
)
def test_rows_of_another_clip_are_refused(row: Row, reason: str) -> None:
    with pytest.raises(DarkposeError, match=f"the table is of another clip.*{reason}"):
        list(drawn(FRAMES, [FACE, row], "landmarks", SCHEMAS))


@pytest.mark.parametrize(
    "row",
    [
        replace(FACE, keypoints=((None, 1.0), *POINTS[1:])),
        replace(FACE, keypoints=((1e300, 1.0), *POINTS[1:])),
        replace(FACE, box=(0.0, 0.0, 1e300, 9.0)),
    ],
)
def test_a_face_that_cannot_be_drawn_is_refused(row: Row) -> None:
    with pytest.raises(DarkposeError, match="frame 0: a landmark or the box is not known, or is far"):
        face_of(row, SCHEMAS)


def test_a_face_with_the_landmarks_of_another_schema_is_refused() -> None:
    with pytest.raises(DarkposeError, match="68 landmarks in the schema 'wflw-98'"):
        face_of(replace(FACE, markup="wflw-98"), SCHEMAS)
