"""Random faces side by side."""

from pathlib import Path

import numpy as np
import pytest

from darkpose.datasets.contact_sheet import contact_sheet, error_sheet
from darkpose.datasets.sample import Sample
from darkpose.datasets.wflw import read_wflw
from darkpose.errors import DarkposeError
from darkpose.image.pixels import write_image
from darkpose.schema import WFLW_98, KeypointSchema

TRIANGLE = KeypointSchema("triangle", ("left_eye", "right_eye", "chin"), ((0, 1),), outlines=((0, 1, 2, 0),))
SIDE = 64


@pytest.fixture
def faces(tmp_path: Path) -> list[Sample]:
    """Five faces; picture i is all of the grey 40 * i, so that it can be told on the sheet."""
    samples = []
    for i in range(5):
        path = tmp_path / f"{i}.png"
        write_image(path, np.full((100, 100, 3), 40 * i, np.uint8))
        keypoints = np.array([[30.0, 30], [70, 30], [50, 70]])
        samples.append(Sample(path, keypoints, np.ones(3), np.array([30.0, 30, 70, 70])))
    return samples


def tile(sheet: np.ndarray, row: int, column: int) -> np.ndarray:
    y, x = 4 + row * (SIDE + 4), 4 + column * (SIDE + 4)
    return sheet[y : y + SIDE, x : x + SIDE]


def greys(sheet: np.ndarray, count: int, columns: int) -> list[int]:
    return [int(tile(sheet, *divmod(place, columns))[0, 0, 0]) for place in range(count)]


def test_every_face_is_on_the_sheet_once_and_free_places_are_white(faces: list[Sample]) -> None:
    sheet = contact_sheet(faces, TRIANGLE, side=SIDE)
    assert sheet.shape == (4 + 2 * 68, 4 + 3 * 68, 3)
    assert sorted(greys(sheet, 5, 3)) == [0, 40, 80, 120, 160]
    assert (tile(sheet, 1, 2) == 255).all()


def test_the_seed_alone_says_which_faces(faces: list[Sample]) -> None:
    first, again = (contact_sheet(faces, TRIANGLE, 4, seed=1, side=SIDE) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    shown = {tuple(greys(contact_sheet(faces, TRIANGLE, 4, seed=seed, side=SIDE), 4, 2)) for seed in range(5)}
    assert len(shown) > 1


def test_annotated_landmarks_are_drawn_where_they_are_and_others_not(faces: list[Sample]) -> None:
    hidden = Sample(faces[0].image, faces[0].keypoints, np.array([1.0, 1, 0]), faces[0].box)
    sheet = contact_sheet([hidden], TRIANGLE, side=SIDE)
    drawn = tile(sheet, 0, 0).max(axis=2) > 60
    eyes, chin = 32 - 20 * SIDE / 50, 32 + 20 * SIDE / 50  # the crop shows 50 px, its middle is (50, 50)
    assert drawn[round(eyes), round(eyes)]
    assert drawn[round(eyes), round(chin)]
    assert drawn[round(eyes), 32], "the outline between the two"
    assert not drawn[20:].any()


def test_a_face_without_any_annotated_landmark_is_shown_bare(faces: list[Sample]) -> None:
    bare = Sample(faces[1].image, faces[1].keypoints, np.zeros(3), faces[1].box)
    assert (tile(contact_sheet([bare], TRIANGLE, side=SIDE), 0, 0) == 40).all()


def test_a_sheet_that_explains_numbers_the_landmarks_and_joins_flip_pairs(faces: list[Sample]) -> None:
    plain, told = (contact_sheet(faces[:1], TRIANGLE, side=512, explained=explained) for explained in (False, True))
    changed = (plain != told).any(axis=2)
    eyes, left, right = 4 + 256 - 20 * 512 // 50, 4 + 256 - 20 * 512 // 50, 4 + 256 + 20 * 512 // 50
    assert changed[eyes, 260], "the line of the flip pair"
    for x, y in ((left, eyes), (right, eyes), (260, 4 + 256 + 20 * 512 // 50)):
        assert changed[y - 8 : y + 9, x + 6 : x + 24].any(), "a number to the right of the landmark"
    hidden = Sample(faces[0].image, faces[0].keypoints, np.array([1.0, 0, 0]), faces[0].box)
    sheet = contact_sheet([hidden], TRIANGLE, side=512, explained=True)
    assert (sheet[eyes - 20 : eyes + 20, 300 : right + 50] == sheet[500, 500]).all(), "no pair and no number"


def test_no_faces_or_none_asked_for_are_refused(faces: list[Sample]) -> None:
    for samples, count in ((faces, 0), ([], 5)):
        with pytest.raises(DarkposeError, match="positive count"):
            contact_sheet(samples, TRIANGLE, count)


def test_images_that_cannot_be_read_are_passed_over(faces: list[Sample]) -> None:
    expected = contact_sheet([face for i, face in enumerate(faces) if i != 3], TRIANGLE, side=SIDE)
    faces[3].image.unlink()
    assert contact_sheet(faces, TRIANGLE, side=SIDE).shape == expected.shape
    with pytest.raises(DarkposeError, match=r"no image.*3\.png: cannot be read"):
        contact_sheet([faces[3]], TRIANGLE)


def test_real_faces_make_a_sheet(shared_data: Path) -> None:
    sheet = contact_sheet(read_wflw(shared_data / "wflw"), WFLW_98, 4, side=SIDE)
    assert sheet.shape == (4 + 2 * 68, 4 + 2 * 68, 3)


def test_errors_are_drawn_in_the_order_given(tmp_path: Path) -> None:
    write_image(tmp_path / "black.png", np.zeros((60, 60, 3), np.uint8))
    keypoints, box = np.array([[20.0, 20], [40, 40]]), np.array([10.0, 10, 50, 50])
    sample = Sample(tmp_path / "black.png", keypoints, np.array([1.0, 0.0]), box)
    sheet = error_sheet([sample, sample], np.stack([keypoints, keypoints + 5]), side=100)
    green, red = ((sheet == colour).all(axis=2) for colour in ((64, 220, 64), (240, 48, 48)))
    assert not green[:, :104].any()  # the prediction lies on it
    assert green[:, 104:].any()
    # A crop of 50 px at 100 px: 5 px of error are 10 px on the sheet, and the hidden landmark is not drawn.
    for mask, there in ((green, (104 + 4 + 30, 4 + 30)), (red[:, 104:], (4 + 40, 4 + 40))):
        y, x = np.nonzero(mask)
        np.testing.assert_allclose((x.mean(), y.mean()), there, atol=1.5)
