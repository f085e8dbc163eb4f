"""The newest frames of cameras and streams."""

import resource
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from scripted import Person, ScriptedPredictor, image_at

from darkpose.errors import DarkposeError
from darkpose.image.pixels import Pixels
from darkpose.video import live
from darkpose.video.annotated import AnnotatedClip
from darkpose.video.live import Newest, follow, open_live
from darkpose.video.tracker import Tracker


def wait_for_end(newest: Newest) -> None:
    while not newest._is_over:
        time.sleep(0.001)


def taken(newest: Newest) -> list[int]:
    numbers = []
    while not newest.has_ended:
        frame = newest.next()
        if frame is not None:
            numbers.append(frame.number)
    return numbers


def test_the_newest_frame_is_taken_and_the_older_ones_are_dropped() -> None:
    with Newest(lambda _: (image_at(n) for n in range(10)), is_lasting=False) as newest:
        wait_for_end(newest)
        assert taken(newest) == [9]
        assert (newest.came, newest.taken, newest.dropped) == (10, 1, 9)


def test_every_frame_is_taken_by_a_reader_that_keeps_up() -> None:
    go = threading.Semaphore(1)

    def images(_: threading.Event) -> Iterator[Pixels]:
        for number in range(5):
            go.acquire()
            yield image_at(number)

    numbers = []
    with Newest(images, is_lasting=False) as newest:
        while not newest.has_ended:
            frame = newest.next()
            if frame is not None:
                numbers.append(frame.number)
                go.release()
    assert numbers == [0, 1, 2, 3, 4]
    assert newest.dropped == 0


def test_a_lost_source_is_opened_again_until_it_stays_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "RETRIES", (0.0, 0.0, 0.0))
    opened, told = list[int](), list[str]()

    def images(_: threading.Event) -> Iterator[Pixels]:
        opened.append(1)
        if len(opened) > 2:
            raise DarkposeError("rtsp://a: no answer")
        yield image_at(0.0)

    with Newest(images, is_lasting=True, tell=told.append) as newest:
        wait_for_end(newest)
        assert newest.next() is not None
        with pytest.raises(DarkposeError, match="no answer"):
            newest.next()
    assert (newest.came, newest.reconnects, len(opened)) == (2, 4, 5)
    assert told[0] == "the source ended; it is opened again in 0 s"
    assert told[-1] == "rtsp://a: no answer; it is opened again in 0 s"


def test_a_source_that_says_that_it_has_ended_is_not_opened_again() -> None:
    def images(stop: threading.Event) -> Iterator[Pixels]:
        yield image_at(0.0)
        stop.set()

    with Newest(images, is_lasting=True) as newest:
        wait_for_end(newest)
        assert taken(newest) == [0]
    assert newest.reconnects == 0


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """Address of a folder that is served by HTTP."""
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    handler.func.log_message = lambda *_: None  # type: ignore[attr-defined]
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_file_from_an_address_is_played_once(tmp_path: Path, served: str) -> None:
    pytest.importorskip("av", reason="needs av")
    with AnnotatedClip(tmp_path / "a.mp4", (64, 48)) as written:
        for number in range(5):
            written.write(np.full((48, 64, 3), 50 * number, np.uint8), number / 50)
    with open_live(f"{served}/a.mp4") as newest:
        assert taken(newest)[-1] == 4
    assert newest.reconnects == 0


def test_a_number_that_no_camera_has_is_refused() -> None:
    with pytest.raises(DarkposeError, match="camera 99999999999999999999 cannot be opened: there is none"):
        open_live("99999999999999999999999")


def test_a_source_that_cannot_be_opened_is_reported_at_once() -> None:
    with open_live("77") as newest, pytest.raises(DarkposeError, match="camera 77 cannot be opened"):
        taken(newest)
    assert newest.reconnects == 0


def test_the_faces_of_a_source_are_followed_and_smoothed() -> None:
    person = Person("still", 300, 200)
    go = threading.Semaphore(1)

    def images(_: threading.Event) -> Iterator[Pixels]:
        for number in range(40):
            go.acquire()
            yield image_at(number / 30)

    raw, smooth = [], []
    with Newest(images, is_lasting=False) as newest:
        tracker = Tracker(ScriptedPredictor(lambda _: [person], noise=0.2))
        for _, rows in follow(newest, tracker, "causal", lambda: False):
            (row,) = rows
            assert row.track == 1
            raw.append(row.raw)
            smooth.append(row.keypoints)
            go.release()
    steps = [np.diff(np.array(each, np.float64), axis=0).std() for each in (raw, smooth)]
    assert len(raw) == 40
    assert steps[1] < 0.5 * steps[0]


def test_a_caller_that_has_enough_ends_the_loop() -> None:
    def images(stop: threading.Event) -> Iterator[Pixels]:
        while not stop.is_set():
            yield image_at(0.0)

    with Newest(images, is_lasting=True) as newest:
        seen: list[int] = []
        for frame, _ in follow(newest, Tracker(ScriptedPredictor(lambda _: [])), "off", lambda: len(seen) == 3):
            seen.append(frame.number)
    assert len(seen) == 3


class SlowPredictor(ScriptedPredictor):
    """Takes 200 ms for an image."""

    def locate(self, regions):  # type: ignore[no-untyped-def]
        if regions:
            time.sleep(0.2)
        return super().locate(regions)


@pytest.mark.slow
def test_a_slow_predictor_sees_frames_that_are_one_inference_and_one_frame_old_and_memory_stays_flat() -> None:
    period, seconds = 1 / 30, 60.0

    def images(stop: threading.Event) -> Iterator[Pixels]:
        start = time.monotonic()
        for number in range(round(seconds / period)):
            stop.wait(max(0.0, start + number * period - time.monotonic()))
            yield image_at(number * period)

    ages, memory = [], []
    with Newest(images, is_lasting=False) as newest:
        tracker = Tracker(SlowPredictor(lambda _: [Person("still", 300, 200)]))
        for frame, _ in follow(newest, tracker, "causal", lambda: False):
            ages.append(newest.age(frame))
            memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    assert len(ages) > 100
    assert np.median(ages) < 0.2 + period + 0.02  # waking up takes a moment
    assert memory[-1] < 1.05 * memory[len(memory) // 4]
