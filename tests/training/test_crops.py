"""Training crops: labels match the pixels, and draws depend on (seed, epoch, index) alone."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from darkpose.datasets.sample import Sample
from darkpose.image.geometry import PADDING, mirror_keypoints
from darkpose.image.pixels import Pixels, read_image
from darkpose.schema import KeypointSchema
from darkpose.training.augment import Augmentation, AugmentConfig
from darkpose.training.crops import AugmentedCrop, AugmentedFaces, Batch, cut_augmented
from darkpose.training.epoch_steps import EpochSteps

FOUR = KeypointSchema("four", ("left_eye", "right_eye", "nose", "chin"), ((0, 1),))
COLOURS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]], float)
WIDTH, HEIGHT, SIZE = 301, 240, 128
KEYPOINTS = np.array([[120.3, 90.7], [178.6, 95.2], [152.4, 131.9], [147.1, 176.5]])
BOX = np.array([100.0, 70.0, 200.0, 190.0])

NO_CHANGE = Augmentation()
DRAWS = [
    pytest.param(NO_CHANGE, id="as for evaluation"),
    pytest.param(Augmentation(flip=True), id="flip"),
    pytest.param(Augmentation(scale=0.8), id="smaller crop"),
    pytest.param(Augmentation(rotation=40.0), id="rotation"),
    pytest.param(Augmentation(shift=(0.1, -0.05)), id="shift"),
    pytest.param(Augmentation(True, 1.25, -55.0, (-0.05, 0.1)), id="all at once"),
]


def save(path: Path, image: NDArray[np.floating]) -> Path:
    cv2.imwrite(str(path), image.round().clip(0, 255).astype(np.uint8)[..., ::-1])
    return path


def dotted_image(keypoints: NDArray[np.float64]) -> NDArray[np.float64]:
    """A black image with one soft dot (sigma 4 px) of another colour at every landmark."""
    x, y = np.arange(WIDTH), np.arange(HEIGHT)[:, None]
    dots = [np.exp(-((x - px) ** 2 + (y - py) ** 2) / 32)[..., None] for px, py in keypoints]
    return np.asarray(np.sum([dot * colour for dot, colour in zip(dots, COLOURS, strict=True)], axis=0))


@pytest.fixture
def dotted(tmp_path: Path) -> Sample:
    path = save(tmp_path / "dots.png", dotted_image(KEYPOINTS))
    return Sample(path, KEYPOINTS, np.array([1.0, 0.0, 1.0, 1.0]), BOX)


def cut(sample: Sample, drawn: Augmentation = NO_CHANGE, *, padding: float = PADDING) -> AugmentedCrop:
    return cut_augmented(read_image(sample.image), sample, FOUR, SIZE, drawn, padding=padding)


def dot_near(crop: Pixels, point: NDArray[np.float64], reach: int = 9) -> tuple[NDArray[np.float64], int]:
    """Centre of the brightness around `point`, and the landmark with its colour."""
    x, y = np.round(point).astype(int)
    window = crop[y - reach : y + reach + 1, x - reach : x + reach + 1].astype(float)
    colour = window.sum(axis=(0, 1))
    brightness = window.sum(axis=2)
    offset = np.arange(-reach, reach + 1)
    centre = np.array([brightness.sum(axis=0) @ offset, brightness.sum(axis=1) @ offset]) / brightness.sum()
    nearest = np.argmin(np.abs(COLOURS / 255 - (colour / colour.max())).sum(axis=1))
    return np.array([x, y]) + centre, int(nearest)


@pytest.mark.parametrize("draw", DRAWS)
def test_labels_are_at_their_dots(dotted: Sample, draw: Augmentation) -> None:
    face = cut(dotted, draw)
    assert face.crop.shape == (SIZE, SIZE, 3)
    assert face.crop.dtype == np.uint8
    for i, label in enumerate(face.keypoints):
        found, colour = dot_near(face.crop, label)
        # Half a pixel between labels and pixels would fail; the warp rounds to 1/32 px.
        np.testing.assert_allclose(found, label, rtol=0, atol=0.1)
        assert colour == (FOUR.flip_index[i] if draw.flip else i)  # mirrored, the right eye's dot is the left eye
    np.testing.assert_array_equal(face.visible, [0, 1, 1, 1] if draw.flip else [1, 0, 1, 1])


@pytest.mark.parametrize("draw", [Augmentation(flip=True), Augmentation(True, 1.25, -55.0, (-0.05, 0.1))])
def test_a_flipped_crop_is_the_crop_of_the_mirrored_image(tmp_path: Path, draw: Augmentation) -> None:
    x, y = np.arange(WIDTH), np.arange(HEIGHT)[:, None]
    channels = [128 + 60 * np.sin(x / 9 + phase) + 60 * np.cos(y / 11 + phase * x / 200) for phase in (0.0, 1.0, 2.0)]
    image = np.stack(channels, axis=-1)
    visible = np.array([1.0, 0.0, 1.0, 1.0])
    original = Sample(save(tmp_path / "image.png", image), KEYPOINTS, visible, BOX)
    mirrored = Sample(
        save(tmp_path / "mirrored.png", image[:, ::-1]),
        mirror_keypoints(KEYPOINTS, FOUR.flip_index, WIDTH),
        visible[FOUR.flip_index],
        np.array([WIDTH - 1 - BOX[2], BOX[1], WIDTH - 1 - BOX[0], BOX[3]]),
    )
    flipped, expected = cut(original, draw), cut(mirrored, replace(draw, flip=False))
    np.testing.assert_allclose(flipped.keypoints, expected.keypoints, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(flipped.visible, expected.visible)
    # The image changes by up to 13 grey levels a pixel, and each warp rounds to 1/32 px: about one level. At the edge
    # of the image, to black, the difference is larger, so only the inside is compared.
    lit = np.asarray((expected.crop > 0).all(axis=2), np.uint8)
    inside = np.asarray(cv2.erode(lit, np.ones((5, 5), np.uint8))) > 0
    difference = np.abs(flipped.crop.astype(int) - expected.crop.astype(int))[inside]
    assert inside.mean() > 0.6
    assert difference.max() <= 2
    assert difference.mean() < 0.15


def test_without_augmentation_the_box_with_its_padding_fills_the_crop(dotted: Sample) -> None:
    # The box is 100x120 px around (150, 130): the crop shows 150 px, or 120 without padding.
    for padding, side in ((1.25, 150), (1.0, 120)):
        face = cut(dotted, padding=padding)
        expected = (KEYPOINTS - [150, 130]) * (SIZE / side) + SIZE / 2
        np.testing.assert_allclose(face.keypoints, expected, rtol=0, atol=1e-4)


def test_a_shift_moves_the_crop_by_a_share_of_its_side(dotted: Sample) -> None:
    centred, shifted = cut(dotted), cut(dotted, Augmentation(shift=(0.1, -0.2)))
    moved = np.broadcast_to([-0.1 * SIZE, 0.2 * SIZE], (4, 2))
    np.testing.assert_allclose(shifted.keypoints - centred.keypoints, moved, rtol=0, atol=1e-4)


@pytest.fixture
def faces(dotted: Sample) -> AugmentedFaces:
    samples = [replace(dotted, box=BOX + 3 * i) for i in range(6)]
    return AugmentedFaces(samples, FOUR, 64, AugmentConfig(shift_std=0.05), seed=7)


def test_an_item_is_a_crop_with_its_labels_as_tensors(faces: AugmentedFaces) -> None:
    face = faces[0, 3]
    assert (face.crops.shape, face.crops.dtype) == ((3, 64, 64), torch.uint8)
    assert (face.keypoints.shape, face.keypoints.dtype) == ((4, 2), torch.float64)
    assert (face.visible.shape, face.visible.dtype) == ((4,), torch.float64)
    assert (face.wanted, face.taken) == (3, 3)


def test_a_draw_depends_on_seed_epoch_and_index_alone(faces: AugmentedFaces) -> None:
    first = faces[2, 3]
    torch.rand(5)
    faces[0, 1]  # another item in between
    for again in (faces[2, 3], AugmentedFaces(faces.samples, FOUR, 64, faces.augment, seed=7)[2, 3]):
        assert torch.equal(first.crops, again.crops)
        assert torch.equal(first.keypoints, again.keypoints)
    others = [faces[1, 3], AugmentedFaces(faces.samples, FOUR, 64, faces.augment, seed=8)[2, 3]]
    others.append(AugmentedFaces([faces.samples[3]] * 6, FOUR, 64, faces.augment, seed=7)[2, 4])  # the same face
    assert not any(torch.equal(first.keypoints, other.keypoints) for other in others)


def test_workers_give_the_same_bytes_as_no_workers(faces: AugmentedFaces) -> None:
    order = EpochSteps(len(faces.samples), 2, seed=7, epoch=1)
    alone, shared = (list(DataLoader(faces, batch_sampler=order, num_workers=workers)) for workers in (0, 2))
    assert len(alone) == len(shared) == 3
    for expected, batch in zip(alone, shared, strict=True):
        assert isinstance(batch, Batch)
        assert all(torch.equal(*map(torch.as_tensor, pair)) for pair in zip(expected, batch, strict=True))


def test_a_face_that_cannot_be_read_is_replaced_by_the_next(faces: AugmentedFaces, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    samples = [replace(sample, image=broken if i in (1, 2) else sample.image) for i, sample in enumerate(faces.samples)]
    holed = AugmentedFaces(samples, FOUR, 64, faces.augment, seed=7)
    face = holed[0, 1]
    assert (face.wanted, face.taken) == (1, 3)
    assert face.crops.any()
    assert (holed[0, 0].wanted, holed[0, 0].taken) == (0, 0)
    gone = AugmentedFaces([samples[1]] * 3, FOUR, 64, faces.augment, seed=7)
    assert (gone[0, 1].wanted, gone[0, 1].taken) == (1, -1)


def test_pixels_can_come_from_a_function(dotted: Sample) -> None:
    white = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    still = AugmentConfig(flip=0, scale_std=0, rotation_probability=0)
    faces = AugmentedFaces([dotted], FOUR, 64, still, seed=7, pixels=lambda index: white)
    assert (faces[0, 0].crops == 255).all()
