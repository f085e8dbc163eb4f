"""Annotated faces cut out without augmentation."""

from pathlib import Path

import numpy as np
import pytest

from darkpose.datasets.crop import cut_face
from darkpose.datasets.sample import Sample
from darkpose.datasets.w300 import LFPW_TEST_FOLDERS, read_300w
from darkpose.errors import DarkposeError
from darkpose.image.geometry import transform
from darkpose.image.pixels import read_image
from darkpose.schema import W300_68, KeypointSchema

THREE = KeypointSchema("three", ("left_eye", "right_eye", "chin"), ((0, 1),))


def sample_in(box: list[float]) -> Sample:
    keypoints = np.array([[30.0, 30], [70, 30], [50, 70]])
    return Sample(Path("a.png"), keypoints, np.array([1.0, 0, 1]), np.array(box))


def test_the_box_fills_the_crop_up_to_the_padding() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    image[20:60, 20:60] = 255
    face = cut_face(image, sample_in([20, 20, 60, 60]), 50)  # 50 px of the image, pixel by pixel
    np.testing.assert_allclose(face.matrix, [[1, 0, -15], [0, 1, -15]], rtol=0, atol=1e-5)
    assert (face.crop[5:45, 5:45] == 255).all()
    assert int((face.crop > 0).sum()) == 3 * 40 * 40
    np.testing.assert_allclose(face.keypoints, [[15, 15], [55, 15], [35, 55]], rtol=0, atol=1e-4)


def test_the_cut_is_that_of_training_without_augmentation(shared_data: Path) -> None:
    pytest.importorskip("torch")
    from darkpose.training.augment import Augmentation
    from darkpose.training.crops import cut_augmented, image_to_augmented_crop

    for sample in read_300w(shared_data / "300w", LFPW_TEST_FOLDERS)[:3]:
        image, drawn = read_image(sample.image), Augmentation()
        for size, padding in ((256, 1.25), (97, 1.6)):
            face = cut_face(image, sample, size, padding=padding)
            expected = cut_augmented(image, sample, W300_68, size, drawn, padding=padding)
            matrix, _, _ = image_to_augmented_crop(image.shape[1], sample, W300_68, size, drawn, padding=padding)
            np.testing.assert_array_equal(face.crop, expected.crop)
            np.testing.assert_array_equal(face.matrix, matrix)
            np.testing.assert_array_equal(face.keypoints, expected.keypoints)


def test_the_matrix_goes_with_the_landmarks() -> None:
    sample = sample_in([10, 20, 90, 80])
    face = cut_face(np.zeros((100, 100, 3), np.uint8), sample, 64)
    np.testing.assert_array_equal(face.keypoints, transform(face.matrix, sample.keypoints))


def test_a_box_without_extent_is_refused() -> None:
    with pytest.raises(DarkposeError, match="positive side"):
        cut_face(np.zeros((10, 10, 3), np.uint8), sample_in([5, 5, 5, 5]), 64)
