"""Many images through one predictor."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from darkpose import stream as module
from darkpose.errors import DarkposeError
from darkpose.image.pixels import Pixels, read_image
from darkpose.predict.predictor import Predictor
from darkpose.predict.stream import Looked, stream

BOX = [[178.0, 65.0, 270.0, 190.0]]


@pytest.fixture(scope="module")
def predictor(small_weights: Path) -> Predictor:
    # Random weights make flat maps, on which DARK's step magnifies what other batches round otherwise: without it.
    return Predictor(small_weights, "cpu", method="quarter", batch_size=4)


@pytest.fixture(scope="module")
def photo(astronaut: Path) -> Pixels:
    return read_image(astronaut)


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_every_item_comes_back_in_order_with_the_faces_the_predictor_finds_in_it(
    predictor: Predictor, photo: Pixels, threads: int
) -> None:
    def look(number: int) -> Looked:
        time.sleep(0.01 * (number % 3))
        shifted = np.roll(photo, number, axis=1)
        return Looked(shifted, predictor.regions(shifted, BOX * (number % 4)))

    found = list(stream(predictor, range(11), look, threads=threads))
    assert [one.item for one in found] == list(range(11))
    assert [len(one.faces) for one in found] == [number % 4 for number in range(11)]
    for number in (1, 6):
        (expected, *_) = predictor(np.roll(photo, number, axis=1), BOX)
        assert found[number].faces[0].keypoints.tolist() == expected.keypoints.tolist()
        assert found[number].faces[0].image is None
        assert found[number].image is not None


def test_what_goes_wrong_at_one_item_is_its_problem(predictor: Predictor, photo: Pixels) -> None:
    def look(number: int) -> Looked:
        if number == 1:
            raise DarkposeError("no such image")
        if number == 2:
            raise cv2.error("assertion")
        if number == 3:
            raise MemoryError
        return Looked(photo, predictor.regions(photo, BOX))

    problems = [one.problem for one in stream(predictor, range(5), look)]
    assert [bool(problem) for problem in problems] == [False, True, True, True, False]
    assert problems[1] == "no such image"
    assert "OpenCV" in problems[2]
    assert "memory" in problems[3]


def test_a_face_that_cannot_be_cut_is_its_images_problem_and_not_its_batchs(
    predictor: Predictor, photo: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    locate = predictor.locate

    def picky(regions):  # type: ignore[no-untyped-def]
        if any(region.box[0] < 0 for region in regions):
            raise DarkposeError("too wide")
        return locate(regions)

    monkeypatch.setattr(predictor, "locate", picky)
    boxes = [BOX, [[-5.0, 0.0, 90.0, 90.0]], BOX]
    found = list(stream(predictor, range(3), lambda n: Looked(photo, predictor.regions(photo, boxes[n]))))
    assert [one.problem for one in found] == ["", "too wide", ""]
    assert [len(one.faces) for one in found] == [1, 0, 1]


def test_other_errors_are_not_swallowed(predictor: Predictor) -> None:
    def look(_: int) -> Looked:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(stream(predictor, range(3), look))


def test_images_are_taken_a_few_batches_ahead_and_no_farther(predictor: Predictor, photo: Pixels) -> None:
    taken, given = 0, 0

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(200):
            taken += 1
            assert taken - given <= 12 * predictor.batch_size
            yield number

    small = photo[:32, :32]
    for _ in stream(predictor, items(), lambda _: Looked(small, []), threads=2):
        given += 1
    assert given == 200


def test_large_images_are_decoded_a_few_at_a_time(
    predictor: Predictor, photo: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HELD_PIXELS", 2 * 512 * 512)
    lock, looked, given, most = threading.Lock(), 0, 0, 0

    def look(_: int) -> Looked:
        nonlocal looked, most
        with lock:
            looked += 1
            most = max(most, looked - given)
        return Looked(photo, [])

    for _ in stream(predictor, range(60), look, threads=2):
        given += 1
    assert most <= 2 + 2 + 2 + 1  # in the batch, waiting, one in each thread, one on its way out
