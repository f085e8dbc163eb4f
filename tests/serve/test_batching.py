"""Faces of several requests in one batch; a bounded queue; dropped work."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, wait
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from darkpose.errors import DarkposeError
from darkpose.image.pixels import to_jpeg
from darkpose.predict.face import Face
from darkpose.predict.predictor import Region
from darkpose.runtime.network import NetworkError
from darkpose.schema import AFLW_19
from darkpose.serve.batching import Batching, Job
from darkpose.serve.settings import BusyError

PICTURE = to_jpeg(np.zeros((16, 24, 3), np.uint8), 90)
WAIT = 30


class StandIn:
    """In place of a predictor: as many faces as boxes; their network can be held up."""

    def __init__(self, batch_size: int = 4) -> None:
        self.batch_size, self.batches = batch_size, list[int]()
        self.may_run, self.is_running = threading.Event(), threading.Event()
        self.may_run.set()
        self.broken: Callable[[Sequence[Region]], object] = lambda _: None

    def regions(self, image: Any, boxes: Any, box_kind: str) -> list[Region]:
        found = np.zeros((0, 4)) if boxes is None else np.array(boxes, float)
        return [Region(image, box, box, "given", 0.0) for box in found]

    def locate(self, regions: Sequence[Region]) -> list[Face]:
        self.is_running.set()
        assert self.may_run.wait(WAIT)
        self.broken(regions)
        self.batches.append(len(regions))
        count = len(AFLW_19)
        return [
            Face(np.full((count, 2), each.box[0], np.float32), np.ones(count, np.float32), each.box, AFLW_19)
            for each in regions
        ]


def job(predictor: StandIn, *values: float, data: bytes = PICTURE) -> Job:
    """An image with a face for each value, which becomes its coordinates."""
    return Job(data, lambda: predictor, [[value, 0, value + 1, 1] for value in values] or None)  # type: ignore[arg-type,return-value]


@contextmanager
def batching(told: Callable[[int], object] = lambda _: None, **limits: int) -> Iterator[Batching]:
    queue = Batching(limits.get("max_waiting", 100), limits.get("max_pixels", 10_000), told, threads=2)
    try:
        yield queue
    finally:
        queue.close()


def hold(queue: Batching, predictor: StandIn) -> Job:
    """Keep the network busy with an image until `may_run` is set."""
    predictor.may_run.clear()
    first = job(predictor, 0)
    queue.add([first])
    assert predictor.is_running.wait(WAIT)
    return first


def wait_until_ready(queue: Batching, images: int) -> None:
    """Until so many images wait for the network."""
    with queue._changed:
        assert queue._changed.wait_for(lambda: len(queue._ready) == images, WAIT)


def test_faces_that_wait_go_through_the_network_together_and_come_back_to_their_images() -> None:
    predictor, told = StandIn(batch_size=4), list[int]()
    with batching(told.append) as queue:
        first = hold(queue, predictor)
        jobs = [job(predictor, number, number + 0.5) for number in range(1, 6)]
        queue.add(jobs)
        wait_until_ready(queue, 5)
        predictor.may_run.set()
        found = [each.found.result(WAIT) for each in [first, *jobs]]
    assert predictor.batches == told == [1, 4, 4, 2]
    assert [[face.keypoints[0, 0] for face in each.faces] for each in found[1:]] == [[n, n + 0.5] for n in range(1, 6)]
    assert {each.size for each in found} == {(24, 16)}


def test_each_predictor_has_its_own_batches_and_none_waits_for_ever() -> None:
    one, other = StandIn(), StandIn()
    with batching() as queue:
        hold(queue, one)
        jobs = [job((one, other)[number % 2], number) for number in range(6)]
        queue.add(jobs)
        wait_until_ready(queue, 6)
        one.may_run.set()
        assert not wait([each.found for each in jobs], WAIT).not_done
    assert (sorted(one.batches), other.batches) == ([1, 3], [3])


def test_an_image_without_faces_or_that_cannot_be_read_does_not_wait_for_the_network() -> None:
    predictor = StandIn()
    with batching() as queue:
        hold(queue, predictor)
        jobs = [job(predictor), job(predictor, data=b"words"), job(predictor, data=b"P6 999 999 255 ")]
        queue.add(jobs)
        found = [each.found.result(WAIT) for each in jobs]
        predictor.may_run.set()
    assert [each.faces for each in found] == [(), (), ()]
    assert found[0].problem == ""
    assert "not an image" in found[1].problem
    assert "999 x 999" in found[2].problem


def test_a_cancelled_image_is_dropped_before_the_network() -> None:
    predictor = StandIn()
    with batching() as queue:
        first = hold(queue, predictor)
        jobs = [job(predictor, number) for number in range(3)]
        queue.add(jobs)
        wait_until_ready(queue, 3)
        assert jobs[1].found.cancel()
        assert queue.waiting == 3
        predictor.may_run.set()
        first.found.result(WAIT)
        assert [len(jobs[number].found.result(WAIT).faces) for number in (0, 2)] == [1, 1]
    assert predictor.batches == [1, 2]


def test_a_full_queue_takes_all_images_of_a_request_or_none() -> None:
    predictor = StandIn()
    with batching(max_waiting=3) as queue:
        hold(queue, predictor)
        with pytest.raises(BusyError):
            queue.add([job(predictor, 1)] * 3)
        jobs = [job(predictor, 1), job(predictor, 2)]
        queue.add(jobs)
        assert queue.is_full
        predictor.may_run.set()
        assert not wait([each.found for each in jobs], WAIT).not_done
        queue.add([job(predictor, 3)])


def test_an_image_that_makes_the_network_fail_fails_alone() -> None:
    def broken(regions: Sequence[Region]) -> None:
        if any(each.box[0] == 2 for each in regions):
            raise DarkposeError("no crop")

    predictor = StandIn()
    with batching() as queue:
        hold(queue, predictor)
        predictor.broken = broken
        jobs = [job(predictor, number) for number in (1, 2, 3)]
        queue.add(jobs)
        wait_until_ready(queue, 3)
        predictor.may_run.set()
        assert [each.found.result(WAIT).problem for each in jobs] == ["", "no crop", ""]


@pytest.mark.parametrize("error", [NetworkError("no memory"), RuntimeError("a mistake")])
def test_an_error_of_the_network_is_told_and_the_queue_goes_on(error: Exception) -> None:
    def broken(_: object) -> None:
        raise error

    predictor = StandIn()
    with batching() as queue:
        predictor.broken = broken
        failed = job(predictor, 1)
        queue.add([failed])
        assert failed.found.exception(WAIT) is error
        predictor.broken = lambda _: None
        good = job(predictor, 1)
        queue.add([good])
        assert len(good.found.result(WAIT).faces) == 1
        assert queue.waiting == 0


def test_a_predictor_that_cannot_be_made_is_an_error_of_its_image() -> None:
    def refuse() -> Any:
        raise DarkposeError("no such weights")

    with batching() as queue:
        failed = Job(PICTURE, refuse)
        queue.add([failed])
        assert "no such weights" in str(failed.found.exception(WAIT))


def test_what_waits_at_the_end_is_dropped() -> None:
    predictor = StandIn()
    queue = Batching(100, 10_000, lambda _: None, threads=1)
    first = hold(queue, predictor)
    jobs = [job(predictor, number) for number in range(20)]
    queue.add(jobs)
    wait_until_ready(queue, 20)
    closing = threading.Thread(target=queue.close)
    closing.start()
    for each in jobs:
        with pytest.raises(CancelledError):
            each.found.result(WAIT)
    predictor.may_run.set()
    closing.join(WAIT)
    assert len(first.found.result(WAIT).faces) == 1
    with pytest.raises(BusyError):
        queue.add([job(predictor, 1)])
