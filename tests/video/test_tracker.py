"""Faces are followed from image to image."""

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from scripted import Person, Script, ScriptedPredictor, image_at

from darkpose.errors import DarkposeError
from darkpose.files.records import parse_record
from darkpose.predict.predictor import Region
from darkpose.video.tracker import Tracker, TrackerState, Tracking


def follow(
    script: Script, rate: float, seconds: float, light: Callable[[float], int] = lambda _: 100, noise: float = 0.5
) -> tuple[dict[str, list[int]], Tracker, list[tuple[int, int]]]:
    """Tracks of each person in the order in which they come, the tracker, and faces in and found in each frame."""
    tracker = Tracker(ScriptedPredictor(script, noise))
    numbers: dict[str, list[int]] = defaultdict(list)
    counts = []
    for frame in range(round(rate * seconds)):
        time = frame / rate
        faces = tracker.update(image_at(time, light(time)), time)
        people = script(time)
        for face in faces:
            middle = (face.keypoints.min(0) + face.keypoints.max(0)) / 2
            person = min(people, key=lambda p: np.hypot(*(middle - [p.x, p.y])), default=None)
            if person is not None:
                assert face.track is not None
                seen = numbers[person.name]
                seen += [face.track] if not seen or seen[-1] != face.track else []
        counts.append((len(people), len(faces)))
    return numbers, tracker, counts


def crossing(time: float) -> list[Person]:
    """Two faces that cross, the first in front of the second, and a third that nods beside them."""
    return [
        Person("front", 100 + 100 * time, 200, 80, depth=0),
        Person("back", 520 - 100 * time, 210, 76, depth=1),
        Person("nods", 320 + 20 * np.sin(2 * time), 400 + 15 * np.sin(5 * time), 70),
    ]


@pytest.mark.parametrize("rate", [5, 15, 30, 60])
def test_faces_that_cross_keep_their_numbers(rate: float) -> None:
    numbers, _, _ = follow(crossing, rate, 4.2)
    assert {name: len(tracks) for name, tracks in numbers.items()} == {"front": 1, "back": 1, "nods": 1}
    assert len({tracks[0] for tracks in numbers.values()}) == 3


def test_the_detector_runs_in_a_fifth_of_the_frames_at_most() -> None:
    _, tracker, _ = follow(crossing, 30, 4)
    assert tracker.detections <= 0.2 * 120
    _, tracker, _ = follow(lambda _: [], 30, 4)
    assert tracker.detections <= 0.2 * 120
    _, tracker, _ = follow(lambda _: [Person("still", 200, 200)], 30, 4)
    assert tracker.detections == 8


def test_a_face_that_left_has_no_points_and_its_number_is_not_used_again() -> None:
    def script(time: float) -> list[Person]:
        return [Person("returns", 200, 200)] if time < 1 or time >= 3 else []

    numbers, _, counts = follow(script, 30, 4)
    assert numbers["returns"] == [1, 2]
    assert all(found == 0 for there, found in counts if not there)


def test_a_face_that_is_hidden_for_a_moment_keeps_its_number() -> None:
    def script(time: float) -> list[Person]:
        return [] if 1 <= time < 1.4 else [Person("hidden", 200 + 60 * time, 200)]

    numbers, _, _ = follow(script, 30, 3)
    assert numbers["hidden"] == [1]


def test_a_face_that_comes_is_found_within_half_a_second() -> None:
    people = [Person("first", 200, 200), Person("second", 450, 200)]
    _, _, counts = follow(lambda time: people[: 1 + (time >= 1.1)], 30, 2)
    late = [frame for frame, (there, found) in enumerate(counts) if found < there]
    assert len(late) <= 15


def test_times_that_jitter_do_not_lose_a_face() -> None:
    times = [0.0, 0.001, 0.002, 0.3, 0.301, 0.302, 0.9, 0.901, 1.5]
    tracker = Tracker(ScriptedPredictor(lambda time: [Person("moves", 200 + 40 * times.index(time) / 2, 200)]))
    assert [[face.track for face in tracker.update(image_at(time), time)] for time in times] == [[1]] * len(times)


def test_a_scene_cut_ends_all_tracks_at_once() -> None:
    def script(time: float) -> list[Person]:
        return [Person("before" if time < 1 else "after", 200, 200)]

    numbers, _, counts = follow(script, 30, 2, light=lambda time: 60 if time < 1 else 160)
    assert numbers == {"before": [1], "after": [2]}
    assert all(found == 1 for _, found in counts)


def test_faces_turn_with_their_tracks() -> None:
    tracker = Tracker(ScriptedPredictor(lambda time: [Person("turns", 300, 200, roll=90 * time)], noise=0.3))
    for frame in range(60):
        (face,) = tracker.update(image_at(frame / 30), frame / 30)
        assert face.track == 1
    (track,) = tracker.state().followed
    assert track.roll == pytest.approx(90 * 59 / 30 - 360 * (90 * 59 / 30 > 180), abs=1)


def test_the_box_of_a_face_moves_with_its_landmarks() -> None:
    tracker = Tracker(ScriptedPredictor(lambda time: [Person("a", 200 + 100 * time, 200, 80 * (1 + time / 4))]))
    for frame in range(12):
        (face,) = tracker.update(image_at(frame / 30), frame / 30)
        middle, side = (200 + 100 * frame / 30, 200), 80 * (1 + frame / 120)
        expected = np.array([*middle, *middle]) + side / 2 * np.array([-1, -1, 1, 1])
        np.testing.assert_allclose(face.box, expected, atol=0.01)


def test_the_crop_of_a_still_face_does_not_move() -> None:
    boxes = set()
    predictor = ScriptedPredictor(lambda _: [Person("still", 300, 200)], noise=0.3)
    tracker = Tracker(predictor)
    for frame in range(40):
        tracker.update(image_at(frame / 30), frame / 30)
        (track,) = tracker.state().followed
        boxes.add(track.crop_box)
    assert len(boxes - {None}) == 1


def test_what_is_no_face_is_not_followed() -> None:
    class Sees(ScriptedPredictor):
        def regions(self, image: Any, boxes: object = None, box_kind: str = "detector") -> list[Region]:
            return [region._replace(image=image) for region in super().regions(image_at(0.0))]

    tracker = Tracker(Sees(lambda time: [Person("no face", 300, 200)] if time == 0 else []))
    assert len(tracker.update(image_at(0.0), 0.0)) == 1
    assert not any(tracker.update(image_at(frame / 10), frame / 10) for frame in range(1, 20))


def test_times_must_grow() -> None:
    tracker = Tracker(ScriptedPredictor(lambda _: []))
    tracker.update(image_at(1.0), 1.0)
    for time in (1.0, 0.5, float("nan"), float("inf")):
        with pytest.raises(DarkposeError, match="times of images must grow"):
            tracker.update(image_at(time), time)


def test_a_tracker_goes_on_from_its_state_as_if_nothing_had_happened() -> None:
    def script(time: float) -> list[Person]:
        return [p for p in crossing(time) if p.name != "back" or not 0.7 <= time < 1.1]

    whole, first = Tracker(ScriptedPredictor(script)), Tracker(ScriptedPredictor(script))
    for frame in range(31):
        whole.update(image_at(frame / 30), frame / 30)
        first.update(image_at(frame / 30), frame / 30)
    state = json.loads(json.dumps(asdict(first.state())))
    second = Tracker(ScriptedPredictor(script))
    second.restore(parse_record(TrackerState, state))
    for frame in range(31, 80):
        here, there = (tracker.update(image_at(frame / 30), frame / 30) for tracker in (whole, second))
        assert [face.track for face in here] == [face.track for face in there]
        for one, other in zip(here, there, strict=True):
            np.testing.assert_array_equal(one.keypoints, other.keypoints)
            np.testing.assert_array_equal(one.box, other.box)
    assert asdict(whole.state()) == asdict(second.state())


def test_settings_decide_when_the_detector_runs() -> None:
    config = replace(Tracking(), detect_every=0.1)
    tracker = Tracker(ScriptedPredictor(lambda _: [Person("still", 200, 200)]), config)
    for frame in range(30):
        tracker.update(image_at(frame / 30), frame / 30)
    assert tracker.detections == 10
