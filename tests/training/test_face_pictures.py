"""Training pictures of the face detector: annotations stay on what they mark."""

from dataclasses import replace

import numpy as np
import pytest

from darkpose.image.geometry import Floats
from darkpose.image.pixels import Pixels, to_jpeg
from darkpose.training.face_pictures import FacePicture, PictureConfig, draw_picture, pasted, place

PLAIN = PictureConfig(patches=0, blurred=0, noisy=0, compressed=0, dark=0, grey=0, tinted=0)


def blob(image: Pixels, at: Floats, channel: int) -> None:
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    bright = 255 * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * 4.0**2))
    image[..., channel] = np.maximum(image[..., channel], bright.astype(np.uint8))


def down(face: Floats) -> Floats:
    """The middle of the lower side of a face's box."""
    return np.asarray(face[:2] + face[3] / 2 * np.array([-np.sin(face[4]), np.cos(face[4])]))


def marked(roll: float, *, is_complete: bool = True) -> FacePicture:
    """A face whose centre is marked red and whose chin is marked green."""
    image, face = np.zeros((200, 300, 3), np.uint8), np.array([170.0, 90, 60, 70, roll])
    blob(image, face[:2], 0)
    blob(image, down(face), 1)
    return FacePicture(to_jpeg(image, 100), face[None], np.ones(1), np.array([[10.0, 10, 20, 20]]), is_complete)


def brightest(image: Pixels, channel: int) -> Floats:
    weights = image[..., channel].astype(np.float64)
    weights[weights < 100] = 0
    y, x = np.mgrid[: len(image), : len(image)]
    return np.asarray(np.array([(x * weights).sum(), (y * weights).sum()]) / weights.sum())


@pytest.mark.parametrize("seed", range(12))
def test_a_face_stays_on_its_marks_when_the_picture_is_turned_scaled_and_mirrored(seed: int) -> None:
    rng = np.random.default_rng(seed)
    made = place(marked(rng.uniform(-3, 3)), replace(PLAIN, full_circle=1.0, smallest=60, largest=90), rng)
    (face,) = made.faces
    inside = [
        (at > 0).all() and (at < 256).all() for at in (face[:2] - 20, face[:2] + 20, down(face) - 9, down(face) + 9)
    ]
    if made.counts[0] and all(inside):
        np.testing.assert_allclose(brightest(made.image, 0), face[:2], atol=1.0)
        np.testing.assert_allclose(brightest(made.image, 1), down(face), atol=1.0)


def test_the_chosen_faces_cover_the_sizes_asked_for() -> None:
    config = replace(PLAIN, smallest=12, largest=100, enlarged=10)
    sides = []
    for seed in range(200):
        made = place(marked(0.0, is_complete=False), replace(config, smallest_single=12), np.random.default_rng(seed))
        sides.append(np.sqrt(made.faces[0, 2:4].prod()))
    assert min(sides) < 16
    assert max(sides) > 75
    assert (np.histogram(np.log(sides), bins=4)[0] > 25).all()


def test_faces_may_be_unannotated_only_beside_the_face_of_a_single_picture() -> None:
    rng = np.random.default_rng(3)
    alone = place(marked(0.0, is_complete=False), replace(PLAIN, smallest_single=20, largest=40), rng)
    x, y = np.clip(alone.faces[0, :2].round().astype(int), 0, 255)
    assert not alone.doubtful[y, x]
    assert alone.doubtful.any()
    assert not place(marked(0.0), PLAIN, rng).doubtful.any()


def test_a_face_below_a_pasted_picture_is_not_asked_for() -> None:
    back = place(marked(0.0), replace(PLAIN, smallest=40, largest=60), np.random.default_rng(1))
    front = replace(back, doubtful=np.ones((256, 256), bool), image=np.full_like(back.image, 9))
    both = pasted(front, back)
    assert len(both.faces) == 1
    assert (both.image[back.doubtful | front.doubtful] == 9).all()
    clear = pasted(replace(front, doubtful=np.zeros((256, 256), bool), faces=front.faces - [300, 0, 0, 0, 0]), back)
    assert clear.counts.tolist() == [*front.counts, *back.counts]


def test_a_picture_is_decided_by_its_seed_alone() -> None:
    first, second = (
        draw_picture([marked(0.2)], [marked(1.0, is_complete=False)], PictureConfig(), np.random.default_rng(8))
        for _ in range(2)
    )
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.faces, second.faces)
