"""Augmentation on the device gives the pixels and labels of the host, for each effect and for all together."""

import io
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from test_crop_cache import assert_alike
from test_crops import BOX, DRAWS, FOUR, KEYPOINTS, dot_near, dotted_image, save
from torch import Tensor
from torch.utils.data import DataLoader, default_collate

from darkpose.datasets.drawn_face import draw_face
from darkpose.datasets.sample import Sample
from darkpose.datasets.w300 import read_300w
from darkpose.image.geometry import compose, grid_matrix, image_to_crop, landmark_box, mirror_matrix, transform
from darkpose.image.pixels import Pixels, compress, relight, to_jpeg, warp_image, write_image
from darkpose.schema import W300_68, WFLW_98, KeypointSchema
from darkpose.training.augment import Augmentation, AugmentConfig, Light
from darkpose.training.crop_cache import CropCache, open_crop_cache
from darkpose.training.crops import AugmentedFaces, Batch
from darkpose.training.degrade import Damage, degrade
from darkpose.training.gpu import effects, jpeg
from darkpose.training.gpu.batches import CachedFace, CachedFaces, augment_on_device, effects_of, plan_cut

SIZE = 128
SHIFTED = AugmentConfig(shift_std=0.05)
EVERYTHING = replace(SHIFTED, gamma_std=0.3, gain_std=0.12, grey=0.2, patch=0.4, blur=0.4, noise=0.3, compress=0.3)
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")),
]


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> torch.device:
    return torch.device(request.param)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    folder, samples = tmp_path_factory.mktemp("drawn"), []
    for index in range(6):
        face, path = draw_face(4, index), folder / f"{index}.png"
        write_image(path, face.image)
        samples.append(Sample(path, face.keypoints, np.ones(98), landmark_box(face.keypoints)))
    return samples


@pytest.fixture(scope="module")
def cache(samples: list[Sample], tmp_path_factory: pytest.TempPathFactory) -> CropCache:
    return open_crop_cache(tmp_path_factory.mktemp("cache"), samples, crop_size=SIZE, augment=SHIFTED)


@pytest.fixture(scope="module")
def pictures(samples: list[Sample]) -> list[Pixels]:
    """Drawn faces and noise; 120x120."""
    faces = [draw_face(5, index).image[60:180, 60:180] for index in range(3)]
    return [*faces, np.random.default_rng(0).integers(0, 256, (120, 120, 3), np.uint8)]


def as_crops(pictures: list[Pixels], device: torch.device) -> Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float().to(device)


def as_pictures(crops: Tensor) -> NDArray[np.uint8]:
    assert torch.equal(crops, crops.round().clamp(0, 255))
    return crops.permute(0, 2, 3, 1).cpu().numpy().astype(np.uint8)


def differences(found: NDArray[np.uint8], expected: list[Pixels]) -> NDArray[np.int64]:
    return np.abs(found.astype(np.int64) - np.stack(expected))


def by_host(cache: CropCache, config: AugmentConfig, keys: list[tuple[int, int]]) -> Batch:
    faces = AugmentedFaces(cache.samples, schema_of(cache), SIZE, config, seed=2, pixels=cache.pixels)
    batch: Batch = default_collate([faces[key] for key in keys])
    return batch


def by_device(cache: CropCache, config: AugmentConfig, keys: list[tuple[int, int]], device: torch.device) -> Batch:
    faces = CachedFaces(cache, schema_of(cache), SIZE, config, seed=2)
    return augment_on_device(default_collate([faces[key] for key in keys]), SIZE, device)


def schema_of(cache: CropCache) -> KeypointSchema:
    return WFLW_98 if len(cache.samples[0].keypoints) == 98 else W300_68


def keys_of(cache: CropCache, epochs: int) -> list[tuple[int, int]]:
    return [(epoch, index) for epoch in range(epochs) for index in range(len(cache.samples))]


# ------------------------------------------------------------------------------------------------ all effects together


@pytest.mark.parametrize("draw", DRAWS)
def test_labels_are_at_their_dots(tmp_path: Path, draw: Augmentation, device: torch.device) -> None:
    path = save(tmp_path / "dots.png", dotted_image(KEYPOINTS))
    sample = Sample(path, KEYPOINTS, np.array([1.0, 0.0, 1.0, 1.0]), BOX)
    cache = open_crop_cache(tmp_path, [sample], crop_size=SIZE, augment=AugmentConfig(shift_std=0.1))
    planned = plan_cut(cache.pixels(0), cache.samples[0], FOUR, SIZE, draw)
    face: CachedFace = default_collate([planned])
    crop = as_pictures(augment_on_device(face, SIZE, device).crops)[0]
    for i, label in enumerate(face.keypoints[0].numpy()):
        found, colour = dot_near(crop, label)
        np.testing.assert_allclose(found, label, rtol=0, atol=0.1)  # as from the image
        assert colour == (FOUR.flip_index[i] if draw.flip else i)
    np.testing.assert_array_equal(face.visible[0], [0, 1, 1, 1] if draw.flip else [1, 0, 1, 1])


ALONE = {
    "warp": (SHIFTED, 0.1),
    "gamma": (replace(SHIFTED, gamma_std=0.3), 0.1),
    "gains": (replace(SHIFTED, gain_std=0.12), 0.1),
    "grey": (replace(SHIFTED, grey=1.0), 0.1),
    "patch": (replace(SHIFTED, patch=1.0), 0.1),
    "blur": (replace(SHIFTED, blur=1.0), 0.1),
    "compress": (replace(SHIFTED, compress=1.0), 0.4),
    "all but noise": (replace(EVERYTHING, noise=0.0), 0.25),
}


@pytest.mark.parametrize(("config", "tolerance"), ALONE.values(), ids=ALONE)
def test_device_and_host_give_the_same_pixels_and_labels(
    cache: CropCache, config: AugmentConfig, tolerance: float, device: torch.device
) -> None:
    keys = keys_of(cache, 4)
    expected, found = by_host(cache, config, keys), by_device(cache, config, keys, device)
    assert found.crops.dtype == torch.uint8
    assert found.crops.shape == expected.crops.shape == (24, 3, SIZE, SIZE)
    assert found.crops.device.type == found.keypoints.device.type == device.type
    difference = (found.crops.cpu().int() - expected.crops.int()).abs().float()
    assert difference.mean() < tolerance  # grey levels
    assert difference.mean((1, 2, 3)).max() < 4 * tolerance
    assert torch.equal(found.keypoints.cpu(), expected.keypoints)
    assert torch.equal(found.visible.cpu(), expected.visible)
    assert torch.equal(torch.as_tensor(found.taken), torch.as_tensor(expected.taken))


def test_device_and_host_give_crops_of_the_same_distribution(
    samples: list[Sample], cache: CropCache, device: torch.device
) -> None:
    keys = keys_of(cache, 40)
    expected, found = (
        list(as_pictures(batch.crops.float()))
        for batch in (by_host(cache, EVERYTHING, keys), by_device(cache, EVERYTHING, keys, device))
    )
    assert_alike(found, expected)


def test_crops_of_real_faces_equal_crops_from_the_image(
    shared_data: Path, tmp_path: Path, device: torch.device
) -> None:
    real = read_300w(shared_data / "300w", ["lfpw/testset"])[::12]
    cache = open_crop_cache(tmp_path, real, crop_size=SIZE, augment=SHIFTED, density=1.5)
    keys = keys_of(cache, 3)
    images = AugmentedFaces(real, W300_68, SIZE, EVERYTHING, seed=2)
    expected = [images[key].crops.permute(1, 2, 0).numpy() for key in keys]
    found = list(as_pictures(by_device(cache, EVERYTHING, keys, device).crops.float()))
    assert_alike(found, expected)
    assert differences(np.stack(found), expected).mean() < 3


def test_a_crop_does_not_depend_on_the_others_of_its_batch(cache: CropCache, device: torch.device) -> None:
    keys = keys_of(cache, 4)
    together = by_device(cache, EVERYTHING, keys, device).crops
    for number, key in enumerate(keys):
        alone = by_device(cache, EVERYTHING, [key], device).crops[0]
        difference = (together[number].int() - alone.int()).abs()
        assert difference.max() <= 1  # sums of another order may round the other way
        assert (difference > 0).float().mean() < 1e-3


def test_the_batch_on_the_host_is_not_changed(cache: CropCache) -> None:
    faces = CachedFaces(cache, WFLW_98, SIZE, EVERYTHING, seed=2)
    batch, again = (default_collate([faces[key] for key in keys_of(cache, 2)]) for _ in range(2))
    augment_on_device(batch, SIZE, torch.device("cpu"))
    assert torch.equal(batch.pixels, again.pixels)
    assert all(torch.equal(a, b) for a, b in zip(batch.effects, again.effects, strict=True))


def test_autocast_changes_nothing(cache: CropCache, device: torch.device) -> None:
    plain = by_device(cache, EVERYTHING, keys_of(cache, 2), device).crops
    with torch.autocast(device.type, torch.bfloat16):
        assert torch.equal(by_device(cache, EVERYTHING, keys_of(cache, 2), device).crops, plain)


def test_loader_processes_give_the_same_bytes(cache: CropCache) -> None:
    faces = CachedFaces(cache, WFLW_98, SIZE, EVERYTHING, seed=2)
    order = [[(1, 0), (1, 3)], [(1, 5), (1, 2)]]
    for keys, batch in zip(order, DataLoader(faces, batch_sampler=order, num_workers=1), strict=True):
        expected = default_collate([faces[key] for key in keys])
        assert torch.equal(batch.pixels, expected.pixels)
        assert torch.equal(batch.grid, expected.grid)
        assert all(torch.equal(a, b) for a, b in zip(batch.effects, expected.effects, strict=True))
        assert torch.equal(batch.keypoints, expected.keypoints)


def test_a_draw_depends_on_seed_epoch_and_index_alone(cache: CropCache) -> None:
    faces = CachedFaces(cache, WFLW_98, SIZE, EVERYTHING, seed=2)
    first = faces[1, 3]
    torch.rand(3)
    assert torch.equal(faces[1, 3].grid, first.grid)
    others = [faces[2, 3], faces[1, 4], CachedFaces(cache, WFLW_98, SIZE, EVERYTHING, seed=3)[1, 3]]
    assert not any(torch.equal(other.grid, first.grid) for other in others)


def test_a_face_that_cannot_be_read_is_replaced_by_the_next(samples: list[Sample], tmp_path: Path) -> None:
    missing = [replace(samples[0], image=tmp_path / f"{name}.png") for name in "ab"]
    cache = open_crop_cache(tmp_path, [samples[0], *missing, samples[3]], crop_size=SIZE, augment=SHIFTED)
    batch = by_device(cache, SHIFTED, [(0, 1), (0, 0)], torch.device("cpu"))
    assert (torch.as_tensor(batch.wanted).tolist(), torch.as_tensor(batch.taken).tolist()) == ([1, 0], [3, 0])
    expected = by_host(cache, SHIFTED, [(0, 1), (0, 0)])
    assert (batch.crops.int() - expected.crops.int()).abs().float().mean() < 0.1
    assert torch.equal(batch.keypoints, expected.keypoints)
    nothing = open_crop_cache(tmp_path, missing, crop_size=SIZE, augment=SHIFTED)
    blank = by_device(nothing, EVERYTHING, [(0, 1)], torch.device("cpu"))
    assert torch.as_tensor(blank.taken).tolist() == [-1]
    assert not blank.crops.any()
    assert not blank.visible.any()


# ------------------------------------------------------------------------------------------------ single effects


@given(
    angle=st.floats(-180, 180),
    scale=st.floats(0.3, 3),
    side=st.integers(16, 700),
    x=st.floats(0, 300),
    flip=st.booleans(),
)
def test_the_grid_maps_the_outer_edges_of_the_image_to_plus_and_minus_one(
    angle: float, scale: float, side: int, x: float, flip: bool
) -> None:
    matrix = image_to_crop((x, 0.4 * side), side * scale, (64, 64), angle)
    matrix = compose(matrix, mirror_matrix(side)) if flip else matrix
    corners = np.array([[-0.5, -0.5], [side - 0.5, -0.5], [side - 0.5, side - 0.5], [(side - 1) / 2, -0.5]])
    in_grid = transform(grid_matrix(matrix, side), transform(matrix, corners))
    np.testing.assert_allclose(in_grid, [[-1, -1], [1, -1], [1, 1], [0, -1]], rtol=0, atol=1e-9)


def bilinear(picture: Pixels, matrix: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """The definition: weighted sum of the four neighbours in the image, black outside."""
    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
    x, y, _ = np.einsum("ij,jvu->ivu", inverse, np.stack([*np.mgrid[:size, :size][::-1], np.ones((size, size))]))
    padded = np.pad(picture.astype(float), ((1, 1), (1, 1), (0, 0)))
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    total = np.zeros((size, size, 3))
    for across in (0, 1):
        for down in (0, 1):
            weight = (1 - np.abs(x - left - across)) * (1 - np.abs(y - top - down))
            rows, columns = (np.clip(v + 1, 0, len(padded) - 1) for v in (top + down, left + across))
            total += weight[..., None] * padded[rows, columns]
    return total


@pytest.mark.parametrize(("angle", "scale"), [(0.0, 1.0), (20.0, 0.8), (-70.0, 1.9)])
def test_the_warp_is_bilinear_and_equals_opencv(
    pictures: list[Pixels], angle: float, scale: float, device: torch.device
) -> None:
    matrix = image_to_crop((55.3, 61.9), 120 * scale, (96, 96), angle)
    grids = torch.from_numpy(grid_matrix(matrix, 120)).float().expand(4, 2, 3).to(device)
    found = as_pictures(effects.warp(as_crops(pictures, device), grids, 96))
    exact = np.stack([bilinear(picture, matrix, 96) for picture in pictures])
    assert np.abs(found - exact).max() < 0.51
    # OpenCV rounds coordinates to 1/32 px: several levels if neighbours differ by up to 255, as in noise.
    difference = differences(found, [warp_image(picture, matrix, (96, 96)) for picture in pictures])
    assert difference[:3].mean() < 0.12
    assert difference.max() <= 8


def test_the_identity_warp_changes_nothing_and_outside_the_image_is_black(device: torch.device) -> None:
    noise = np.random.default_rng(1).integers(1, 256, (1, 32, 32, 3), np.uint8)
    crops = as_crops(list(noise), device)
    still, moved = np.eye(2, 3), np.array([[1.0, 0.0, 20.0], [0.0, 1.0, -20.0]])
    for matrix in (still, moved):
        grids = torch.from_numpy(grid_matrix(matrix, 32)).float()[None].to(device)
        found = as_pictures(effects.warp(crops, grids, 32))[0]
        np.testing.assert_array_equal(found, warp_image(noise[0], matrix, (32, 32)))
    assert not found[:, :20].any()
    assert not found[12:].any()


def test_the_light_equals_the_hosts_to_one_level(pictures: list[Pixels], device: torch.device) -> None:
    lights = [
        Light(0.6, (1.1, 1.0, 0.8)),
        Light(1.7, (0.7, 1.3, 1.2), True),
        Light(),
        Light(1.0, (1.0, 1.0, 1.0), True),
    ]
    drawn = [effects_of(Augmentation(light=light), SIZE) for light in lights]
    gamma, gains, grey = (
        torch.stack([getattr(each, name) for each in drawn]).to(device) for name in ("gamma", "gains", "grey")
    )
    found = as_pictures(effects.relight(as_crops(pictures, device), gamma.float(), gains, grey))
    expected = [
        relight(picture, its.gamma, its.gains, grey=its.grey) for picture, its in zip(pictures, lights, strict=True)
    ]
    difference = differences(found, expected)
    assert difference.max() <= 2  # one level of grey, in a steep part of gamma
    assert (difference > 0).mean() < 0.002
    assert difference[2].max() == 0


def test_patches_equal_the_hosts_exactly(pictures: list[Pixels], device: torch.device) -> None:
    patches = [(0.25, 0.1, 0.5, 0.4), (-0.2, 0.7, 0.4, 0.6), (0.004, 0.996, 0.99, 0.2), (0.1, 0.1, 0.0, 0.0)]
    damages = [Damage(patch=patch, colour=(250, 3, number)) for number, patch in enumerate(patches)]
    drawn = [effects_of(Augmentation(damage=damage), 120) for damage in damages]
    edges, colours = (torch.stack([getattr(each, name) for each in drawn]).to(device) for name in ("patch", "colour"))
    found = as_pictures(effects.cover(as_crops(pictures, device), edges, colours))
    np.testing.assert_array_equal(found, [degrade(p, damage) for p, damage in zip(pictures, damages, strict=True)])


def test_blurs_of_several_widths_equal_the_hosts_to_one_level(pictures: list[Pixels], device: torch.device) -> None:
    sigmas = torch.tensor([0.05, 0.6, 1.44, 3.07], dtype=torch.float64)
    taps = effects.gaussian_taps(sigmas)
    np.testing.assert_allclose(taps.sum(1), 1, rtol=1e-6)
    found = as_pictures(effects.blur(as_crops(pictures, device), taps.to(device)))
    blurred = [degrade(p, Damage(blur=float(sigma) / 120)) for p, sigma in zip(pictures, sigmas, strict=True)]
    difference = differences(found, blurred)
    assert difference[:3].max() <= 1  # OpenCV's taps are rounded to 1/256: in noise, that may be two levels
    assert difference.max() <= 2
    assert difference[:3].mean() < 0.03


@pytest.mark.parametrize("quality", [10, 25, 49, 50, 60, 90])
def test_compression_equals_the_encoders(pictures: list[Pixels], quality: int, device: torch.device) -> None:
    tables = torch.from_numpy(jpeg.quantisation_tables([quality] * 4)).to(device)
    for height, width in ((112, 112), (120, 101)):  # whole blocks, and parts of them
        cropped = [np.ascontiguousarray(picture[:height, :width]) for picture in pictures]
        found = as_pictures(jpeg.compress(as_crops(cropped, device), tables))
        expected = [compress(picture, quality) for picture in cropped]
        lost = differences(np.stack(cropped), expected).mean()
        assert differences(found, expected).mean() < 0.04 * lost
        assert abs(found.astype(float).mean() - np.mean(expected)) < 0.02


def test_every_crop_is_compressed_with_its_own_quality(pictures: list[Pixels], device: torch.device) -> None:
    qualities = [10, 60, 30, 10]
    tables = torch.from_numpy(jpeg.quantisation_tables(qualities)).to(device)
    found = jpeg.compress(as_crops(pictures, device), tables)
    for number in range(4):
        alone = jpeg.compress(as_crops(pictures[number : number + 1], device), tables[number : number + 1])
        assert (found[number] - alone[0]).abs().mean() < 0.01


@pytest.mark.parametrize("quality", [1, 10, 49, 50, 75, 100])
def test_the_quantisation_tables_equal_those_in_a_file(quality: int) -> None:
    written = Image.open(io.BytesIO(to_jpeg(np.zeros((16, 16, 3), np.uint8), quality))).quantization  # type: ignore[attr-defined]
    for number, table in enumerate(jpeg.quantisation_tables([quality])[0]):
        np.testing.assert_array_equal(table.reshape(64), written[number])


def test_noise_is_normal_and_independent(device: torch.device) -> None:
    seeds = torch.tensor([0, 1, 2, 2**32 - 1], device=device)
    numbers = effects.standard_normal(seeds, 100_000).cpu().double()
    assert numbers.mean(1).abs().max() < 0.015  # five standard errors
    assert (numbers.std(1) - 1).abs().max() < 0.012
    levels = torch.tensor([0.00135, 0.0227501, 0.158655, 0.5, 0.841345, 0.9772499, 0.99865], dtype=torch.float64)
    found = torch.stack([(numbers < limit).double().mean(1) for limit in (-3, -2, -1, 0, 1, 2, 3)], 1)
    assert ((found - levels).abs() < 5 * (levels * (1 - levels) / 100_000).sqrt()).all()
    others = torch.corrcoef(torch.cat([numbers, *(numbers.roll(by, 1)[:2] for by in (1, 3, 50_000, 256))]))
    assert (others - torch.eye(len(others))).abs().max() < 0.016


def test_noise_depends_on_its_seed_alone(device: torch.device) -> None:
    together = effects.standard_normal(torch.tensor([5, 9, 5], device=device), 1001)
    assert torch.equal(together[0], together[2])
    assert not torch.equal(together[0], together[1])
    assert torch.equal(effects.standard_normal(torch.tensor([9], device=device), 1001)[0], together[1])
    torch.testing.assert_close(together.cpu(), effects.standard_normal(torch.tensor([5, 9, 5]), 1001))


def test_noise_has_the_given_deviation_and_stays_within_grey_levels(device: torch.device) -> None:
    grey = torch.full((3, 3, 128, 128), 128.0, device=device)
    noisy = effects.noise(grey, torch.tensor([2.0, 9.0, 20.0], device=device), torch.arange(3, device=device))
    np.testing.assert_allclose((noisy - grey).std((1, 2, 3)).cpu(), np.sqrt([4 + 1 / 12, 81, 400]), rtol=0.02)
    assert (noisy.mean((1, 2, 3)) - 128).abs().max() < 0.5
    dark = effects.noise(grey * 0, torch.tensor([20.0] * 3, device=device), torch.arange(3, device=device))
    assert dark.min() == 0
    assert dark.mean() > 5


def test_every_setting_of_an_augmentation_is_used() -> None:
    draw = Augmentation(
        light=Light(1.5, (0.9, 1.1, 1.2), True),
        damage=Damage((0.1, 0.2, 0.3, 0.4), (1, 2, 3), 0.01, 12.5, 33, 2**32 - 1),
    )
    drawn = effects_of(draw, 200)
    assert (float(drawn.gamma), bool(drawn.grey)) == (1.5, True)
    torch.testing.assert_close(drawn.gains, torch.tensor([0.9, 1.1, 1.2]))
    assert (drawn.patch.tolist(), drawn.colour.tolist()) == ([20, 40, 80, 120], [1, 2, 3])
    assert (float(drawn.blur), float(drawn.noise), int(drawn.quality)) == (2.0, 12.5, 33)
    assert int(drawn.seed) == 2**32 - 1
    assert {field.name for field in fields(Light)} | {field.name for field in fields(Damage)} == set(drawn._fields)
