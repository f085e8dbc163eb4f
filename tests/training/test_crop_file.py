"""The file of crops: places, checks, mapped memory."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from darkpose.errors import DarkposeError
from darkpose.image.pixels import Pixels, from_jpeg, to_jpeg
from darkpose.training.crop_file import JpegFile, PixelFile, read_index, write_crops

DIGEST, SIDE = bytes(range(32)), 12


@pytest.fixture
def crops() -> list[Pixels]:
    return list(np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8))


@pytest.fixture
def pixel_file(crops: list[Pixels], tmp_path: Path) -> Path:
    write_crops(tmp_path / "pixels", (crop.tobytes() for crop in crops), DIGEST, 3, SIDE)
    return tmp_path / "pixels"


def places(path: Path, count: int = 3) -> list[tuple[int, int, int]]:
    index = read_index(path, DIGEST, count, SIDE)
    assert index is not None
    return [(start, length, crc) for start, length, crc in index.tolist()]


def test_pixels_are_read_as_written(crops: list[Pixels], pixel_file: Path) -> None:
    file = PixelFile(pixel_file, SIDE)
    for crop, place in zip(crops, places(pixel_file), strict=True):
        np.testing.assert_array_equal(file.crop(*place), crop)


def test_jpegs_are_read_decoded(crops: list[Pixels], tmp_path: Path) -> None:
    packed = [to_jpeg(crop, 95) for crop in crops]
    write_crops(tmp_path / "jpegs", packed, DIGEST, 3, SIDE)
    for data, place in zip(packed, places(tmp_path / "jpegs"), strict=True):
        np.testing.assert_array_equal(JpegFile(tmp_path / "jpegs").crop(*place), from_jpeg(data))


def test_an_image_that_could_not_be_read_has_no_length(crops: list[Pixels], tmp_path: Path) -> None:
    write_crops(tmp_path / "gap", [crops[0].tobytes(), b"", crops[2].tobytes()], DIGEST, 3, SIDE)
    assert [length for _, length, _ in places(tmp_path / "gap")] == [3 * SIDE**2, 0, 3 * SIDE**2]


@pytest.mark.parametrize("digest", [DIGEST, bytes(32)])
@pytest.mark.parametrize("count", [3, 2])
@pytest.mark.parametrize("side", [SIDE, 13])
def test_a_file_is_used_only_if_everything_matches(pixel_file: Path, digest: bytes, count: int, side: int) -> None:
    matches = (digest, count, side) == (DIGEST, 3, SIDE)
    assert (read_index(pixel_file, digest, count, side) is not None) == matches


def test_a_damaged_crop_of_pixels_is_found_at_its_first_use(crops: list[Pixels], pixel_file: Path) -> None:
    first, second, _ = places(pixel_file)
    data = bytearray(pixel_file.read_bytes())
    data[second[0] + 5] ^= 1
    pixel_file.write_bytes(data)
    file = PixelFile(pixel_file, SIDE)
    for _ in range(2):
        assert file.crop(*second) is None
        np.testing.assert_array_equal(file.crop(*first), crops[0])


def test_a_truncated_file_has_damaged_crops(pixel_file: Path) -> None:
    *_, last = places(pixel_file)
    pixel_file.write_bytes(pixel_file.read_bytes()[:-1])
    assert PixelFile(pixel_file, SIDE).crop(*last) is None


def test_writing_to_a_mapped_crop_does_not_change_the_file(crops: list[Pixels], pixel_file: Path) -> None:
    crop = PixelFile(pixel_file, SIDE).crop(*places(pixel_file)[0])
    assert crop is not None
    crop[:] = 0
    np.testing.assert_array_equal(PixelFile(pixel_file, SIDE).crop(*places(pixel_file)[0]), crops[0])


def test_a_mapped_file_is_pickled_as_its_path(crops: list[Pixels], pixel_file: Path) -> None:
    file = PixelFile(pixel_file, SIDE)
    file.crop(*places(pixel_file)[1])
    sent = pickle.dumps(file)
    assert len(sent) < 500
    np.testing.assert_array_equal(pickle.loads(sent).crop(*places(pixel_file)[1]), crops[1])


@pytest.mark.parametrize("empty", [False, True])
def test_a_missing_or_empty_file_is_named(tmp_path: Path, empty: bool) -> None:
    path = tmp_path / "none.pack"
    if empty:
        path.touch()
    with pytest.raises(DarkposeError, match=r"none\.pack: cannot be read: "):
        PixelFile(path, SIDE).crop(0, 3 * SIDE**2, 0)
