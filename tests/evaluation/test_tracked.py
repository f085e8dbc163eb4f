"""Files of tracked faces: every way to write them, and every mistake with its place."""

import json
from pathlib import Path

import numpy as np
import pytest

from darkpose.errors import DarkposeError
from darkpose.evaluation.tracked import TrackedFrames, one_face, read_tracked

CSV = "frame,time,track,x0,y0,x1,y1\n0,0.0,1,1,2,3,4\n0,0.0,2,5,6,7,8\n2,0.2,1,1.5,2.5,3.5,4.5\n"
LISTS = 'frame,time,track,x,y\n0,0.0,1,"[1, 3]","[2, 4]"\n0,0.0,2,"[5,7]","[6,8]"\n2,0.2,1,"[1.5,3.5]","[2.5,4.5]"\n'
ROWS = [
    {"frame": 0, "time": 0.0, "track": 1, "x": [1, 3], "y": [2, 4], "score": 0.9},
    {"frame": 0, "time": 0.0, "track": 2, "x0": 5, "y0": 6, "x1": 7, "y1": 8},
    {"frame": 2, "time": 0.2, "track": 1, "x": [1.5, 3.5], "y": [2.5, 4.5]},
]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(("name", "text"), [("a.csv", CSV), ("a.csv", LISTS), ("a.jsonl", LINES), ("a.CSV", CSV)])
def test_a_file_is_read_in_each_format(tmp_path: Path, name: str, text: str) -> None:
    clip = read_tracked(write(tmp_path, name, text))
    np.testing.assert_allclose(clip.times, [0, 0.1, 0.2])
    assert [sorted(frame) for frame in clip.faces] == [[1, 2], [], [1]]
    np.testing.assert_array_equal(clip.faces[0][2], [[5, 6], [7, 8]])
    np.testing.assert_array_equal(clip.track(1, 2)[[0, 2]], [[[1, 2], [3, 4]], [[1.5, 2.5], [3.5, 4.5]]])
    assert np.isnan(clip.track(1, 2)[1]).all()


def test_the_times_of_the_clip_are_taken_if_they_are_known(tmp_path: Path) -> None:
    clip = read_tracked(write(tmp_path, "a.csv", CSV), [0, 0.3, 0.4, 0.5])
    assert (len(clip), clip.times.tolist()) == (4, [0, 0.3, 0.4, 0.5])
    with pytest.raises(DarkposeError, match=r"a\.csv:4: frame 2 of a clip with 2 frames"):
        read_tracked(tmp_path / "a.csv", [0, 0.1])


def test_a_row_without_a_track_is_a_frame_without_a_face(tmp_path: Path) -> None:
    text = "frame,time,track,x0,y0\n1,0.5,,,\n2,0.7,4,1,2\n"
    clip = read_tracked(write(tmp_path, "a.csv", text))
    np.testing.assert_allclose(clip.times, [0.3, 0.5, 0.7])
    assert [sorted(frame) for frame in clip.faces] == [[], [], [4]]
    empty = write(tmp_path, "b.jsonl", '{"frame": 0, "time": 0, "track": null}\n')
    assert read_tracked(empty).faces == ({},)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "", r"a\.csv: expected rows"),
        ("a.csv", "frame,time,x0,y0\n0,0,1,2\n", r"a\.csv:2: .*track is missing"),
        ("a.csv", "time,track,x0,y0\n0,0,1,2\n", r"a\.csv:2: .*frame is missing"),
        ("a.csv", "frame,time,track,x0,y0\n0,0,1,2\n", r"a\.csv:2: expected 5 fields"),
        ("a.csv", "frame,time,track,x0,y0\n0.5,0,1,2,3\n", r"a\.csv:2: frame must be a whole number"),
        ("a.csv", "frame,time,track,x0,y0\n-1,0,1,2,3\n", r"a\.csv:2: frame -1"),
        ("a.csv", "frame,time,track,x0,y0\n0,nan,1,2,3\n", r"a\.csv:2: time must be a finite number"),
        ("a.csv", "frame,time,track,x0,y0\n0,0,1,x,3\n", r"a\.csv:2: a coordinate must be a finite number"),
        ("a.csv", "frame,time,track,x0,y0\n0,0,1,1e9,3\n", r"a\.csv:2: coordinates must be at most"),
        ("a.csv", "frame,time,track,x0\n0,0,1,1\n", r"a\.csv:2: .*y0 is missing"),
        ("a.csv", "frame,time,track\n0,0,1\n", r"a\.csv:2: expected as many x as y"),
        ("a.csv", 'frame,time,track,x,y\n0,0,1,"[1","[2]"\n', r"a\.csv:2: x: not JSON"),
        ("a.csv", 'frame,time,track,x,y\n0,0,1,"[1,2]","[2]"\n', r"a\.csv:2: .*got 2 and 1"),
        ("a.csv", CSV + "2,0.2,1,1,2,3,4\n", r"a\.csv:5: track 1 is in frame 2 twice"),
        ("a.csv", CSV + "2,0.3,3,1,2,3,4\n", r"a\.csv:5: frame 2 has the time 0\.3, before 0\.2"),
        ("a.csv", CSV + "3,0.1,3,1,2,3,4\n", r"a\.csv: times must rise .* frame 3"),
        ("a.jsonl", LINES + "[1]\n", r"a\.jsonl:4: expected an object"),
        ("a.jsonl", '{"frame": 0, "time": 0, "track": true, "x": [1], "y": [2]}\n', ":1: track must be"),
        ("a.jsonl", '{"frame": 0, "time": 0, "track": 1, "x": 1, "y": 2}\n', ":1: x must be a list"),
        ("a.jsonl", '{"frame": 0, "time": 0, "track": 1, "x": [1], "y": ["a"]}\n', ":1: a coordinate must"),
        ("a.jsonl", LINES + '{"frame": 3, "time": 1, "track": 1, "x": [1], "y": [2]}\n', r":4: .*\[1, 2\] landmarks"),
        ("a.jsonl", "{]\n", r"a\.jsonl, line 1: not JSON"),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(DarkposeError, match=message):
        read_tracked(write(tmp_path, name, text))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match="cannot be read"):
        read_tracked(tmp_path / "none.csv")


def test_one_face_becomes_one_track() -> None:
    points = np.arange(12.0).reshape(3, 2, 2)
    points[1, 0, 0] = np.nan
    clip = one_face([0, 1, 2], points)
    assert [sorted(frame) for frame in clip.faces] == [[0], [], [0]]
    np.testing.assert_array_equal(clip.faces[2][0], points[2])


@pytest.mark.parametrize(
    ("times", "faces", "message"),
    [
        ([0.0], ({}, {}), "2 rising times"),
        ([0.0, 0.0], ({}, {}), "2 rising times"),
        ([0.0], ({1: np.zeros((2, 2)), 2: np.zeros((3, 2))},), "same K"),
        ([0.0], ({1: np.zeros(2)},), r"\(K, 2\)"),
        ([0.0], ({1: np.full((2, 2), np.nan)},), "frame 0 .* not finite"),
    ],
)
def test_frames_that_do_not_fit_are_refused(
    times: list[float], faces: tuple[dict[int, np.ndarray]], message: str
) -> None:
    with pytest.raises(DarkposeError, match=message):
        TrackedFrames(np.array(times), faces)
