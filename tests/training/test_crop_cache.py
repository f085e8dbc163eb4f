"""Cached crops: the same pixels and labels as from the images, in a file that is valid or made again."""

import hashlib
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from test_crops import BOX, DRAWS, FOUR, KEYPOINTS, SIZE, dot_near, dotted_image, save
from torch.utils.data import DataLoader

from darkpose.datasets.drawn_face import draw_face
from darkpose.datasets.sample import Sample
from darkpose.datasets.w300 import read_300w
from darkpose.errors import DarkposeError
from darkpose.image.geometry import landmark_box
from darkpose.image.opencv import cv2
from darkpose.image.pixels import Pixels, compress, read_image, write_image
from darkpose.schema import W300_68, WFLW_98
from darkpose.training import crop_cache
from darkpose.training.augment import Augmentation, AugmentConfig, draw_augmentation
from darkpose.training.crop_cache import CropCache, cached_side, open_crop_cache
from darkpose.training.crops import AugmentedFaces, cut_augmented
from darkpose.training.degrade import Damage
from darkpose.training.run_folder import own_folder

AUGMENT = AugmentConfig(shift_std=0.05)
VISIBLE = np.array([1.0, 0.0, 1.0, 1.0])
Open = Callable[..., CropCache]


@pytest.fixture
def dotted(tmp_path: Path) -> Sample:
    path = save(tmp_path / "dots.png", dotted_image(KEYPOINTS))
    return Sample(path, KEYPOINTS, VISIBLE, BOX)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    """Six drawn faces with their 98 landmarks; the first two are on one image."""
    folder, samples = tmp_path_factory.mktemp("drawn"), []
    for index in range(6):
        face, path = draw_face(3, index), folder / f"{max(index, 1)}.png"
        write_image(path, face.image)
        samples.append(Sample(path, face.keypoints, np.ones(98), landmark_box(face.keypoints)))
    return [replace(samples[1], box=samples[1].box + 5), *samples[1:]]


@pytest.fixture
def open_drawn(drawn: list[Sample], tmp_path: Path) -> Open:
    """Open the cache of the drawn faces, or of others, in a folder of this test."""

    def open_them(
        samples: list[Sample] = drawn, augment: AugmentConfig = AUGMENT, uncompressed: bool = False
    ) -> CropCache:
        folder = tmp_path / "cache"
        return open_crop_cache(folder, samples, crop_size=64, augment=augment, uncompressed=uncompressed)

    return open_them


@pytest.fixture(params=["JPEGs", "pixels"])
def open_kept(open_drawn: Open, request: pytest.FixtureRequest) -> Open:
    """The same, for crops stored as JPEGs and as pixels."""
    return partial(open_drawn, uncompressed=request.param == "pixels")


def packs(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.name != ".crops.lock")


# --------------------------------------------------------------------------------------------------- what it holds


@pytest.mark.parametrize("draw", DRAWS)
def test_labels_are_at_their_dots(dotted: Sample, tmp_path: Path, draw: Augmentation) -> None:
    cache = open_crop_cache(tmp_path, [dotted], crop_size=SIZE, augment=AugmentConfig(shift_std=0.1))
    face = cut_augmented(cache.pixels(0), cache.samples[0], FOUR, SIZE, draw)
    for i, label in enumerate(face.keypoints):
        found, colour = dot_near(face.crop, label)
        np.testing.assert_allclose(found, label, rtol=0, atol=0.1)  # as from the image
        assert colour == (FOUR.flip_index[i] if draw.flip else i)
    np.testing.assert_array_equal(face.visible, [0, 1, 1, 1] if draw.flip else [1, 0, 1, 1])


def test_a_cached_crop_has_dots_at_the_landmarks_of_its_sample(dotted: Sample, tmp_path: Path) -> None:
    cache = open_crop_cache(tmp_path, [replace(dotted, box_size=90.0)], crop_size=SIZE, augment=AUGMENT)
    pixels, sample = cache.pixels(0), cache.samples[0]
    assert pixels.shape == (cache.side, cache.side, 3)
    assert pixels.dtype == np.uint8
    for i, label in enumerate(sample.keypoints):
        found, colour = dot_near(pixels, label)
        np.testing.assert_allclose(found, label, rtol=0, atol=0.05)
        assert colour == i
    assert sample.image == dotted.image
    # The box, 120 px high with its padding 150, was SIZE px of an unaugmented crop.
    assert sample.box[3] - sample.box[1] == pytest.approx(120 * SIZE / 150, abs=1e-3)
    assert sample.box_size == pytest.approx(90 * SIZE / 150, abs=1e-3)


@pytest.mark.parametrize("padding", [1.25, 1.5])
def test_draws_from_the_cache_have_the_labels_of_draws_from_the_image(
    drawn: list[Sample], tmp_path: Path, padding: float
) -> None:
    cache = open_crop_cache(tmp_path, drawn, crop_size=64, augment=AUGMENT, padding=padding)
    for index, sample in enumerate(drawn):
        for epoch in range(20):
            draw = draw_augmentation(AUGMENT, np.random.default_rng((0, epoch, index)))
            expected = cut_augmented(read_image(sample.image), sample, WFLW_98, 64, draw, padding=padding)
            found = cut_augmented(cache.pixels(index), cache.samples[index], WFLW_98, 64, draw, padding=padding)
            # The matrices come from float32 points: up to 1e-3 px.
            np.testing.assert_allclose(found.keypoints, expected.keypoints, rtol=0, atol=1e-3)
            np.testing.assert_array_equal(found.visible, expected.visible)


def test_crops_do_not_see_the_caches_border_within_three_sigmas_of_shift(tmp_path: Path) -> None:
    white = save(tmp_path / "white.png", np.full((400, 400, 3), 255.0))
    sample = Sample(
        white, KEYPOINTS, VISIBLE, np.array([170.0, 170.0, 230.0, 230.0])
    )  # 60 px: nothing beyond the image
    cache = open_crop_cache(tmp_path, [sample], crop_size=64, augment=AUGMENT)
    reach = AUGMENT.shift_std * crop_cache.SIGMAS
    for rotation in (-60.0, -45.0, 0.0, 45.0):
        for shift in ((reach, reach), (-reach, reach), (-reach, -reach), (reach, 0.0)):
            draw = Augmentation(True, 1 + AUGMENT.scale_limit, rotation, shift)
            face = cut_augmented(cache.pixels(0), cache.samples[0], FOUR, 64, draw)
            assert face.crop.min() == 255


def test_the_margin_is_as_small_as_the_augmentation_allows() -> None:
    still = AugmentConfig(scale_std=0.0, rotation_std=0.0)
    assert cached_side(256, still) == 256 + 2
    assert cached_side(256, still, density=1.5) == 384 + 2
    assert cached_side(256, replace(still, scale_std=0.25)) == 320 + 2
    assert cached_side(256, replace(still, rotation_std=30.0)) == int(np.ceil(256 * np.sqrt(2))) + 2
    assert cached_side(256, replace(still, rotation_std=30.0, rotation_limit=30.0)) == 350 + 2  # cos 30 + sin 30
    assert cached_side(256, replace(still, rotation_std=30.0, rotation_probability=0.0)) == 256 + 2
    assert cached_side(256, replace(still, shift_std=0.0625)) == 256 + 2 * 48 + 2


def mean_and_deviation(crops: list[Pixels]) -> NDArray[np.float64]:
    """(2, 3): per channel, over all crops."""
    values = np.stack(crops).reshape(-1, 3).astype(float)
    return np.stack([values.mean(axis=0), values.std(axis=0)])


def assert_alike(found: list[Pixels], expected: list[Pixels]) -> None:
    """Means per channel within 0.15 grey levels, deviations within 0.6 per cent."""
    (mean, deviation), (expected_mean, expected_deviation) = mean_and_deviation(found), mean_and_deviation(expected)
    np.testing.assert_allclose(mean, expected_mean, rtol=0, atol=0.15)
    np.testing.assert_allclose(deviation, expected_deviation, rtol=0.006)


def steepness(crops: list[Pixels]) -> float:
    return float(np.mean([np.abs(np.diff(crop.astype(float), axis=axis)).mean() for crop in crops for axis in (0, 1)]))


def both_ways(samples: list[Sample], cache: CropCache, size: int, epochs: int) -> tuple[list[Pixels], list[Pixels]]:
    """Crops of the same draws, from the images and from the cache."""
    schema = WFLW_98 if len(samples[0].keypoints) == 98 else W300_68
    plain = AugmentedFaces(samples, schema, size, AUGMENT, seed=1)
    cached = AugmentedFaces(cache.samples, schema, size, AUGMENT, seed=1, pixels=cache.pixels)
    keys = [(epoch, index) for index in range(len(samples)) for epoch in range(epochs)]
    first, second = ([faces[key].crops.permute(1, 2, 0).numpy() for key in keys] for faces in (plain, cached))
    return first, second


def test_jpegs_are_made_from_the_pixels_of_uncompressed_crops(drawn: list[Sample], open_drawn: Open) -> None:
    plain, packed = open_drawn(uncompressed=True), open_drawn()
    for index in range(len(drawn)):
        np.testing.assert_array_equal(compress(plain.pixels(index), crop_cache.QUALITY), packed.pixels(index))
    assert plain.path.stat().st_size > 6 * plain.side**2 * 3


def test_crops_from_the_cache_look_like_crops_from_the_image(drawn: list[Sample], tmp_path: Path) -> None:
    cache = open_crop_cache(tmp_path, drawn, crop_size=256, augment=AUGMENT)
    plain, cached = both_ways(drawn, cache, 256, epochs=8)
    assert_alike(cached, plain)
    difference = np.mean([np.abs(a.astype(float) - b).mean() for a, b in zip(plain, cached, strict=True)])
    assert difference < 1.5  # of JPEG and the second interpolation
    assert 0.9 < steepness(cached) / steepness(plain) < 1


def test_a_denser_cache_gives_sharper_crops(drawn: list[Sample], tmp_path: Path) -> None:
    ratios = []
    for density in (1.0, 1.5):
        cache = open_crop_cache(tmp_path, drawn, crop_size=128, augment=AUGMENT, density=density)
        plain, cached = both_ways(drawn, cache, 128, epochs=4)
        deviations = mean_and_deviation(cached)[1] / mean_and_deviation(plain)[1]
        ratios.append([steepness(cached) / steepness(plain), *deviations])
    assert (np.array(ratios[0]) + 0.003 < ratios[1]).all()
    assert (np.array(ratios[1]) < 1).all()


def test_crops_of_real_faces_look_like_crops_from_the_image(shared_data: Path, tmp_path: Path) -> None:
    samples = read_300w(shared_data / "300w", ["lfpw/testset"])[::8]
    cache = open_crop_cache(tmp_path, samples, crop_size=256, augment=AUGMENT)
    plain, cached = both_ways(samples, cache, 256, epochs=2)
    assert_alike(cached, plain)
    assert np.mean([np.abs(a.astype(float) - b).mean() for a, b in zip(plain, cached, strict=True)]) < 2
    assert 0.9 < steepness(cached) / steepness(plain) < 1


# -------------------------------------------------------------------------------------------------- when it is made


def test_a_second_opening_makes_nothing(open_kept: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_kept()

    def refuse(path: Path) -> Pixels:
        raise AssertionError(f"{path} is read again")

    monkeypatch.setattr(crop_cache, "read_image", refuse)
    second = open_kept()
    assert second.path == first.path
    for index in range(6):
        np.testing.assert_array_equal(second.pixels(index), first.pixels(index))


def test_faces_of_one_image_share_its_decoding_and_equal_faces_share_a_crop(
    drawn: list[Sample], open_drawn: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def count(path: Path) -> Pixels:
        read.append(path)
        return read_image(path)

    monkeypatch.setattr(crop_cache, "read_image", count)
    once, twice = open_drawn(), open_drawn([*drawn, *reversed(drawn)])
    assert len(read) == 5  # the first two faces lie on one image; the second opening reads none
    assert packs(once.path.parent) == [once.path] == [twice.path]
    for index in range(6):
        for same in (index, 11 - index):
            np.testing.assert_array_equal(twice.pixels(same), once.pixels(index))


def test_landmarks_do_not_change_the_file_but_follow_the_samples(drawn: list[Sample], open_drawn: Open) -> None:
    moved = [replace(sample, keypoints=sample.keypoints + 2) for sample in drawn]
    first, second = open_drawn(), open_drawn(moved)
    assert second.path == first.path
    scale = (first.samples[2].box[2] - first.samples[2].box[0]) / (drawn[2].box[2] - drawn[2].box[0])
    np.testing.assert_allclose(second.samples[2].keypoints - first.samples[2].keypoints, 2 * scale, rtol=1e-6)


def test_a_change_of_anything_the_crops_depend_on_leads_to_another_file(
    drawn: list[Sample], open_drawn: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {open_drawn().path.name}
    names.add(open_drawn(drawn[:5]).path.name)
    names.add(open_drawn([*drawn[:5], replace(drawn[5], box=drawn[5].box + 1)]).path.name)
    names.add(open_drawn(augment=replace(AUGMENT, shift_std=0.1)).path.name)
    folder = open_drawn().path.parent
    for settings in ({"crop_size": 96}, {"padding": 1.5}, {"density": 1.25}, {"uncompressed": True}):
        given = {"crop_size": 64, **settings}
        names.add(open_crop_cache(folder, drawn, augment=AUGMENT, **given).path.name)  # type: ignore[arg-type]
    for constant in ("FORMAT", "QUALITY"):
        with monkeypatch.context() as patch:
            patch.setattr(crop_cache, constant, 90)
            names.add(open_drawn().path.name)
    assert len(names) == len(packs(folder)) == 10
    assert all(name.startswith("crops-") and name.endswith(".pack") for name in names)


def test_a_changed_image_is_cut_again(drawn: list[Sample], open_drawn: Open, tmp_path: Path) -> None:
    image = tmp_path / "face.png"
    write_image(image, read_image(drawn[0].image))
    sample = replace(drawn[0], image=image)
    before = open_drawn([sample])
    write_image(image, 255 - read_image(image))
    after = open_drawn([sample])
    assert after.path != before.path
    assert np.abs(after.pixels(0).astype(int) - before.pixels(0)).mean() > 50


def test_a_touched_image_leads_to_another_file(drawn: list[Sample], open_drawn: Open, tmp_path: Path) -> None:
    image = tmp_path / "face.png"
    image.write_bytes(drawn[0].image.read_bytes())
    sample = replace(drawn[0], image=image)
    before = open_drawn([sample])
    os.utime(image, (1, 1))
    assert open_drawn([sample]).path != before.path


def damaged(data: bytes) -> Iterator[tuple[str, bytes]]:
    """What may have become of a file."""
    yield "empty", b""
    yield "cut short in the header", data[:20]
    yield "cut short in the index", data[:100]
    yield "cut short in the last crop", data[:-1]
    yield "too long", data + b"\0"
    yield "of another program", b"PK\3\4" + data[4:]
    yield "of another version", data[:8] + b"\7" + data[9:]
    yield "of other faces", data[:12] + bytes(32) + data[44:]
    yield "with a damaged index", data[:70] + bytes([data[70] ^ 1]) + data[71:]


def test_a_damaged_truncated_or_foreign_file_is_made_again(open_kept: Open) -> None:
    path = open_kept().path
    whole = path.read_bytes()
    for what, data in damaged(whole):
        path.write_bytes(data)
        assert np.isfinite(open_kept().pixels(5)).all()
        assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(whole).digest(), what
        assert packs(path.parent) == [path]


def test_the_error_for_a_damaged_crop_says_what_to_do(drawn: list[Sample], open_kept: Open) -> None:
    cache = open_kept()
    start, length, _ = cache.places[4].tolist()
    data = bytearray(cache.path.read_bytes())
    data[start + length // 2] ^= 255
    cache.path.write_bytes(data)
    again = open_kept()
    with pytest.raises(DarkposeError, match=rf"{cache.path.name}: .*{drawn[4].image.name} is damaged; delete"):
        again.pixels(4)
    again.pixels(3)


def test_a_missing_file_is_named(open_kept: Open) -> None:
    cache = open_kept()
    cache.path.unlink()
    with pytest.raises(DarkposeError, match=r"\.pack: cannot be read"):
        cache.pixels(0)


def test_an_image_that_cannot_be_read_is_named_and_the_others_are_not_affected(
    drawn: list[Sample], open_kept: Open, tmp_path: Path
) -> None:
    broken, missing = tmp_path / "broken.png", tmp_path / "missing.png"
    broken.write_bytes(drawn[0].image.read_bytes()[:300])
    samples = [drawn[0], replace(drawn[1], image=broken), replace(drawn[2], image=missing), drawn[3]]
    cache = open_kept(samples)
    for index, name in ((1, "broken"), (2, "missing")):
        with pytest.raises(DarkposeError, match=rf"{name}\.png: could not be read"):
            cache.pixels(index)
    for index in (0, 3):
        assert cache.pixels(index).any()
    taken = AugmentedFaces(cache.samples, WFLW_98, 64, AUGMENT, seed=0, pixels=cache.pixels)[0, 1].taken
    assert taken == 3
    write_image(missing, draw_face(3, 2).image)
    assert open_kept(samples).pixels(2).any()  # once it is there, it is cut


def test_the_face_of_a_box_without_area_is_named(drawn: list[Sample], open_drawn: Open) -> None:
    flat = replace(drawn[0], box=np.array([5.0, 5.0, 5.0, 5.0]), source="list.txt:7")
    with pytest.raises(DarkposeError, match=r"list\.txt:7: .*positive side"):
        open_drawn([flat])


def test_a_folder_that_cannot_be_made_is_named(drawn: list[Sample], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DarkposeError, match="folder cannot be made"):
        open_crop_cache(tmp_path / "file", drawn, crop_size=64, augment=AUGMENT)


def test_no_faces_give_an_empty_cache(open_kept: Open) -> None:
    assert open_kept([]).samples == []


# ------------------------------------------------------------------------------------------------- several processes


def open_in_process(folder: Path, samples: list[Sample]) -> tuple[str, str]:
    cache = open_crop_cache(folder, samples, crop_size=64, augment=AUGMENT)
    digest = hashlib.sha256(b"".join(cache.pixels(index).tobytes() for index in range(len(samples))))
    return cache.path.name, digest.hexdigest()


@pytest.mark.slow
def test_processes_that_build_at_once_make_one_valid_file(drawn: list[Sample], tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        first, second = pool.starmap(open_in_process, [(tmp_path / "cache", drawn)] * 2, chunksize=1)
    assert first == second == open_in_process(tmp_path / "cache", drawn)
    assert [path.name for path in packs(tmp_path / "cache")] == [first[0]]


@pytest.mark.parametrize("how", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_loader_processes_read_the_same_bytes(open_kept: Open, how: str) -> None:
    cache = open_kept()
    faces = AugmentedFaces(cache.samples, WFLW_98, 64, AUGMENT, seed=0, pixels=cache.pixels)
    keys = [[(1, index)] for index in range(6)]
    loader = DataLoader(faces, batch_sampler=keys, num_workers=2, multiprocessing_context=how)
    for (key,), batch in zip(keys, loader, strict=True):
        assert torch.equal(batch.crops[0], faces[key].crops)


def test_a_pickled_cache_is_small_and_reads_the_same(open_kept: Open) -> None:
    cache = open_kept()
    data = pickle.dumps(cache)
    assert len(data) < 50_000  # no pixels
    np.testing.assert_array_equal(pickle.loads(data).pixels(2), cache.pixels(2))


def test_an_interrupted_call_leaves_nothing(open_drawn: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = open_drawn().path.parent
    packs(folder)[0].unlink()

    def interrupt(image: Pixels, quality: int) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(crop_cache, "to_jpeg", interrupt)
        with pytest.raises(KeyboardInterrupt):
            open_drawn()
    assert packs(folder) == []
    assert open_drawn().pixels(0).any()


BUILD = """
import sys, time
import pickle
from pathlib import Path
from darkpose.training import crop_cache
from darkpose.training.augment import AugmentConfig
to_jpeg = crop_cache.to_jpeg
def slowly(*arguments):
    time.sleep(0.3)
    return to_jpeg(*arguments)
crop_cache.to_jpeg = slowly
crop_cache._CHUNK = 1
samples = pickle.loads(Path(sys.argv[1]).read_bytes())
crop_cache.open_crop_cache(Path(sys.argv[2]), samples, crop_size=64, augment=AugmentConfig(shift_std=0.05))
"""


@pytest.mark.slow
def test_after_a_kill_there_is_no_file_of_that_name_and_the_next_call_makes_it(
    drawn: list[Sample], open_drawn: Open, tmp_path: Path
) -> None:
    (tmp_path / "samples.pickle").write_bytes(pickle.dumps(drawn))
    arguments = [sys.executable, "-c", BUILD, str(tmp_path / "samples.pickle"), str(tmp_path / "cache")]
    with subprocess.Popen(arguments) as process:
        while process.poll() is None and not list(tmp_path.glob("cache/.*.partial")):
            time.sleep(0.02)
        time.sleep(0.5)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL, "it had not finished"
    assert not list(tmp_path.glob("cache/crops-*"))
    (left,) = tmp_path.glob("cache/.*.partial")
    os.utime(left, (0, 0))
    cache = open_drawn()
    assert not list(tmp_path.glob("cache/.*.partial"))
    for index in range(6):
        assert cache.pixels(index).any()


def test_damage_is_the_same_as_for_images(open_drawn: Open) -> None:
    cache = open_drawn()
    plain = cut_augmented(cache.pixels(0), cache.samples[0], WFLW_98, 64, Augmentation())
    spoilt = cut_augmented(cache.pixels(0), cache.samples[0], WFLW_98, 64, Augmentation(damage=Damage(quality=20)))
    np.testing.assert_array_equal(spoilt.crop, compress(plain.crop, 20))
    assert cv2.PSNR(spoilt.crop, plain.crop) < 40


def test_the_folder_of_a_run_can_hold_its_crops(drawn: list[Sample], tmp_path: Path) -> None:
    with own_folder(tmp_path):
        assert open_crop_cache(tmp_path, drawn, crop_size=64, augment=AUGMENT).pixels(0).any()
