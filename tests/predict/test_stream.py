"""Predictions for many images: order, problems, limits of memory, and the threads that read ahead."""

import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from darkpose.errors import DarkposeError
from darkpose.image.pixels import Pixels, read_image
from darkpose.predict import stream as module
from darkpose.predict.face import Face
from darkpose.predict.predictor import Predictor
from darkpose.predict.stream import batched, read_ahead, stream
from darkpose.runtime.network import NetworkError

BOX = [[178.0, 65.0, 270.0, 190.0]]
NO_BOXES: list[list[float]] = []


@pytest.fixture(scope="module")
def predictor(small_weights: Path) -> Predictor:
    # Random weights make flat heatmaps, on which DARK amplifies the rounding of other batches; "quarter" does not.
    return Predictor(small_weights, "cpu", method="quarter", batch_size=4)


@pytest.fixture(scope="module")
def photo(astronaut: Path) -> Pixels:
    return read_image(astronaut)


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_every_item_has_a_result_in_order_with_the_faces_that_the_predictor_finds(
    predictor: Predictor, photo: Pixels, threads: int
) -> None:
    def read(number: int) -> tuple[Pixels, Any]:
        time.sleep(0.01 * (number % 3))
        return np.roll(photo, number, axis=1), BOX * (number % 4)

    results = list(stream(predictor, range(11), read, threads=threads))
    assert [result.item for result in results] == list(range(11))
    assert [len(result.faces) for result in results] == [number % 4 for number in range(11)]
    for number in (1, 6):
        (expected, *_) = predictor(np.roll(photo, number, axis=1), BOX)
        assert results[number].faces[0].keypoints.tolist() == expected.keypoints.tolist()
        assert results[number].faces[0].image is None
        assert results[number].image is not None


def test_a_network_that_cannot_run_stops_the_run_and_is_no_problem_of_an_image(
    predictor: Predictor, photo: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def locate(regions: Sequence[object]) -> list[Face]:
        sizes.append(len(regions))
        raise NetworkError("torch cannot run it")

    monkeypatch.setattr(predictor, "locate", locate)
    with pytest.raises(NetworkError, match="torch cannot run it"):
        list(stream(predictor, range(3), lambda _: (photo, BOX), threads=0))
    assert sizes == [3, 1]  # an image at a time needs less memory


def test_an_error_of_one_item_is_its_problem(predictor: Predictor, photo: Pixels) -> None:
    def read(number: int) -> tuple[Pixels, Any]:
        if number == 1:
            raise DarkposeError("no such image")
        if number == 2:
            raise cv2.error("assertion")
        if number == 3:
            raise MemoryError
        return photo, BOX

    problems = [result.problem for result in stream(predictor, range(5), read)]
    assert [bool(problem) for problem in problems] == [False, True, True, True, False]
    assert problems[1] == "no such image"
    assert "OpenCV" in problems[2]
    assert "memory" in problems[3]


def test_a_face_that_cannot_be_cropped_is_a_problem_of_its_image_and_not_of_the_batch(
    predictor: Predictor, photo: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    locate = predictor.locate

    def locate_some(regions: Any) -> Any:
        if any(region.box[0] < 0 for region in regions):
            raise DarkposeError("too wide")
        return locate(regions)

    monkeypatch.setattr(predictor, "locate", locate_some)
    boxes = [BOX, [[-5.0, 0.0, 90.0, 90.0]], BOX]
    results = list(stream(predictor, range(3), lambda number: (photo, boxes[number])))
    assert [result.problem for result in results] == ["", "too wide", ""]
    assert [len(result.faces) for result in results] == [1, 0, 1]


def test_other_errors_are_raised(predictor: Predictor) -> None:
    def read(_: int) -> tuple[Pixels, Any]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(stream(predictor, range(3), read))


def test_images_are_taken_a_few_batches_ahead(predictor: Predictor, photo: Pixels) -> None:
    taken, given = 0, 0

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(200):
            taken += 1
            assert taken - given <= 12 * predictor.batch_size
            yield number

    small = photo[:32, :32]
    for _ in stream(predictor, items(), lambda _: (small, NO_BOXES), threads=2):
        given += 1
    assert given == 200


def test_only_a_few_large_images_are_decoded_at_a_time(
    predictor: Predictor, photo: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PIXELS_HELD", 2 * 512 * 512)
    lock, decoded, given, most = threading.Lock(), 0, 0, 0

    def read(_: int) -> tuple[Pixels, Any]:
        nonlocal decoded, most
        with lock:
            decoded += 1
            most = max(most, decoded - given)
        return photo, NO_BOXES

    for _ in stream(predictor, range(60), read, threads=2):
        given += 1
    assert most <= 2 + 2 + 2 + 1  # in the batch, waiting, one per thread, one on its way out


def test_batches_have_all_items_in_order() -> None:
    assert list(batched(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(batched([], 3)) == []


@pytest.mark.parametrize("threads", [0, 1, 4])
def test_values_are_in_the_order_of_the_items(threads: int) -> None:
    def work(item: int) -> int:
        time.sleep(random.Random(item).random() / 200)
        return item * item

    done = list(read_ahead(work, range(100), threads=threads, max_items=10))
    assert done == [(item, item * item) for item in range(100)]


def test_threads_work_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=30)
    done = read_ahead(lambda _: both.wait(), range(10), threads=2, max_items=4)
    assert [item for item, _ in done] == list(range(10))


def test_at_most_max_items_are_taken_ahead() -> None:
    taken, given = 0, 0

    def items() -> Iterator[int]:
        nonlocal taken
        for item in range(500):
            assert taken - given < 7
            taken += 1
            yield item

    for _ in read_ahead(lambda item: item, items(), threads=3, max_items=7):
        given += 1
    assert taken == given == 500


def test_waiting_values_are_smaller_than_the_limit_and_one_value_per_thread() -> None:
    lock, alive, most_alive, given = threading.Lock(), 0, 0, []

    def work(item: int) -> int:
        nonlocal alive, most_alive
        with lock:
            alive += 10
            most_alive = max(most_alive, alive)
        return item

    for item, _ in read_ahead(work, range(300), threads=2, max_items=100, size=lambda _: 10, max_size=40):
        time.sleep(0.0002)
        with lock:
            alive -= 10
        given.append(item)
    assert given == list(range(300))
    assert most_alive <= 40 + 2 * 10 + 10  # and the one that was given and is not yet released


def test_a_value_larger_than_the_limit_stops_nothing() -> None:
    done = read_ahead(lambda item: item, range(20), threads=3, max_items=5, size=lambda _: 1000, max_size=1)
    assert [item for item, _ in done] == list(range(20))


@pytest.mark.parametrize("threads", [0, 3])
def test_an_error_of_work_is_raised_after_the_values_before_it(threads: int) -> None:
    def work(item: int) -> int:
        if item == 5:
            raise KeyError(item)
        return item

    done = read_ahead(work, range(50), threads=threads, max_items=10)
    assert [next(done)[0] for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(KeyError, match="5"):
        next(done)


def test_an_error_of_the_items_is_raised_after_the_values_before_it() -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        raise OSError("the list ends")

    done = read_ahead(lambda item: item, items(), threads=2, max_items=8)
    assert [next(done)[0] for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="the list ends"):
        next(done)


def test_no_thread_remains_when_the_caller_stops_early() -> None:
    before = threading.active_count()
    with closing(read_ahead(lambda item: item, iter(int, 1), threads=3, max_items=5)) as endless:
        next(endless)
        assert threading.active_count() == before + 3
    assert threading.active_count() == before


def test_values_do_not_wait_for_a_slow_next_item() -> None:
    arrived = threading.Event()

    def items() -> Iterator[int]:
        yield from range(3)
        assert arrived.wait(60)
        yield 3

    with closing(read_ahead(lambda item: item, items(), threads=2, max_items=10)) as ahead:
        assert [next(ahead)[0] for _ in range(3)] == [0, 1, 2]
        arrived.set()
        assert next(ahead) == (3, 3)


def test_a_reader_that_waits_for_ever_does_not_hold_up_an_interrupt(
    predictor: Predictor, photo: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    monkeypatch.setattr(module, "POLL", 0.05)
    never, done = threading.Event(), []

    def read(number: int) -> tuple[Pixels, Any]:
        if number == 3:
            never.wait()
        return photo, BOX

    for result in stream(predictor, range(9), read, threads=2, stopped=lambda: True):
        done.append(result.item)
    assert done == [0, 1, 2]
    never.set()


def test_an_interrupt_is_raised_while_a_reader_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    never = threading.Event()
    values = read_ahead(lambda item: never.wait() if item else True, range(3), threads=1, max_items=3)
    assert next(values) == (0, True)
    with pytest.raises(KeyboardInterrupt):
        values.throw(KeyboardInterrupt)
    never.set()
