"""Crops decoded once onto the device equal those of the cache."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from darkpose.datasets.drawn_face import draw_face
from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError
from darkpose.image.pixels import write_image
from darkpose.schema import WFLW_98
from darkpose.training.crop_cache import CropCache, open_crop_cache
from darkpose.training.gpu.batches import CachedFaces, augment_on_device
from darkpose.training.gpu.resident_crops import ResidentCrops, free_memory, load_crops
from darkpose.training.recipes import FACES_300W

SIZE, AUGMENT = 64, FACES_300W.train.augment
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> CropCache:
    """Cache of three faces and the first again; the third image cannot be read."""
    folder, samples = tmp_path_factory.mktemp("faces"), []
    for number in range(3):
        face = draw_face(7, number)
        file = folder / f"{number}.png"
        write_image(file, face.image)
        box = np.concatenate([face.keypoints.min(0), face.keypoints.max(0)])
        samples.append(Sample(file, face.keypoints, np.ones(len(face.keypoints)), box))
    (folder / "2.png").write_bytes(b"nothing")
    return open_crop_cache(folder, [*samples, samples[0]], crop_size=SIZE, augment=AUGMENT)


def loaded(cache: CropCache) -> ResidentCrops:
    found = load_crops(cache, DEVICE, room=2**30)
    assert found is not None
    return found


def test_every_crop_is_loaded_once(cache: CropCache) -> None:
    crops = loaded(cache)
    assert len(crops.pixels) == 3
    picked = crops.pick(torch.tensor([1, 3, 0])).cpu().numpy()
    for found, index in zip(picked, (1, 3, 0), strict=True):
        np.testing.assert_array_equal(found, cache.pixels(index))


def test_batches_equal_those_with_pixels(cache: CropCache) -> None:
    crops = loaded(cache)
    keys = [(epoch, index) for epoch in range(3) for index in range(4)]  # the fourth face replaces the third
    with_pixels = CachedFaces(cache, WFLW_98, SIZE, AUGMENT, 1)
    without = CachedFaces(cache, WFLW_98, SIZE, AUGMENT, 1, resident=crops.index)
    expected = augment_on_device(default_collate([with_pixels[key] for key in keys]), SIZE, DEVICE)
    found = augment_on_device(default_collate([without[key] for key in keys]), SIZE, DEVICE, crops)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(torch.as_tensor(one), torch.as_tensor(other))
    assert torch.as_tensor(found.taken).tolist() == [0, 1, 3, 3] * 3


def test_loaders_send_no_pixels_and_report_unreadable_images(cache: CropCache) -> None:
    index = loaded(cache).index
    assert index.pixels(0).shape == (cache.side, 0, 3)
    with pytest.raises(DarkposeError, match="sample 2 could not be read"):
        index.pixels(2)


def test_crops_that_do_not_fit_are_not_loaded(cache: CropCache) -> None:
    assert load_crops(cache, DEVICE, room=3 * cache.side**2 * 3 - 1) is None
    assert load_crops(cache, DEVICE, room=3 * cache.side**2 * 3) is not None
    assert free_memory(torch.device("cpu")) == 0


def test_a_batch_without_any_image_is_a_batch(tmp_path: Path) -> None:
    lost = Sample(tmp_path / "gone.png", np.zeros((98, 2)), np.ones(98), np.array([0.0, 0, 10, 10]))
    cache = open_crop_cache(tmp_path, [lost], crop_size=SIZE, augment=AUGMENT)
    crops = loaded(cache)
    faces = CachedFaces(cache, WFLW_98, SIZE, AUGMENT, 1, resident=crops.index)
    batch = augment_on_device(default_collate([faces[0, 0]]), SIZE, DEVICE, crops)
    assert torch.as_tensor(batch.taken).tolist() == [-1]
    assert not batch.visible.any()
