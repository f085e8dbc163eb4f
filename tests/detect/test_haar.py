"""The Haar cascade."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from darkpose.detect.haar import Haar
from darkpose.image.pixels import read_image


def test_haar_finds_the_astronaut_once(astronaut: Path) -> None:
    found = Haar()(read_image(astronaut))
    assert found.boxes.shape == (1, 4)
    assert found.scores.shape == (1,)
    x0, y0, x1, y1 = found.boxes[0]
    assert x0 < 226 < x1  # between her eyes
    assert y0 < 105 < y1


@pytest.mark.parametrize("shape", [(1, 1, 3), (8, 500, 3), (64, 64, 3)])
def test_haar_finds_nothing_in_an_empty_picture(shape: tuple[int, ...]) -> None:
    assert len(Haar()(np.zeros(shape, np.uint8)).boxes) == 0


def test_one_detector_serves_many_threads(astronaut: Path) -> None:
    image, detect = read_image(astronaut), Haar()
    pictures = [image[:, : 512 - 24 * i] for i in range(4)] * 3
    alone = [detect(picture).boxes.tolist() for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        assert [found.boxes.tolist() for found in pool.map(detect, pictures)] == alone


def test_threads_find_faces_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    both = Barrier(2)

    def search(grey: np.ndarray, **_: object) -> tuple[tuple[()], ...]:
        both.wait(timeout=20)  # ends only while another search is under way
        return (), (), ()

    monkeypatch.setattr(cv2, "CascadeClassifier", lambda _: SimpleNamespace(detectMultiScale3=search))
    picture = np.zeros((64, 64, 3), np.uint8)
    with ThreadPoolExecutor(2) as pool:
        assert [len(found.boxes) for found in pool.map(Haar(), [picture, picture])] == [0, 0]


def test_detectors_go_to_other_processes(astronaut: Path) -> None:
    detect, image = Haar(), read_image(astronaut)
    assert pickle.loads(pickle.dumps(detect))(image).boxes.tolist() == detect(image).boxes.tolist()
