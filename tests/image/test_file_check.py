"""Checks of image files before decoding."""

import cv2
import numpy as np
import pytest

from darkpose.errors import DarkposeError
from darkpose.image.file_check import check_image_file
from darkpose.image.opencv import MAX_PIXELS


def encoded(suffix: str, size: tuple[int, int] = (40, 30)) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), np.uint8)
    return bytes(cv2.imencode(suffix, pixels)[1].tobytes())


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".tif"])
def test_whole_files_pass(suffix: str) -> None:
    check_image_file(encoded(suffix))


def test_a_jpeg_with_bytes_after_its_end_passes() -> None:
    check_image_file(encoded(".jpg") + b"\0" * 100 + b"appended by a camera")


def test_a_jpeg_whose_thumbnail_has_an_end_but_itself_has_none_is_truncated() -> None:
    whole = encoded(".jpg")
    thumbnail = encoded(".jpg", (8, 8))
    exif = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2) + thumbnail
    with_thumbnail = whole[:2] + exif + whole[2:]
    check_image_file(with_thumbnail)
    with pytest.raises(DarkposeError, match=r"JPEG.*truncated"):
        check_image_file(with_thumbnail[:-40])


@pytest.mark.parametrize("kept", [3, 20, 300, -2], ids=["marker", "first segment", "in the pixels", "all but the end"])
def test_a_jpeg_cut_off_anywhere_is_truncated(kept: int) -> None:
    with pytest.raises(DarkposeError, match=r"JPEG.*truncated"):
        check_image_file(encoded(".jpg")[:kept])


def test_a_png_cut_off_is_truncated() -> None:
    with pytest.raises(DarkposeError, match=r"PNG.*truncated"):
        check_image_file(encoded(".png")[:-20])


def test_an_empty_file_is_named_so() -> None:
    with pytest.raises(DarkposeError, match="empty"):
        check_image_file(b"")


def test_a_png_that_claims_too_many_pixels_is_refused_before_decoding() -> None:
    side = int(MAX_PIXELS**0.5) + 1
    bomb = bytearray(encoded(".png"))
    bomb[16:24] = side.to_bytes(4) * 2
    with pytest.raises(DarkposeError, match=f"{side} x {side}; the limit is {MAX_PIXELS}"):
        check_image_file(bytes(bomb))


def test_a_jpeg_that_claims_too_many_pixels_is_refused_before_decoding() -> None:
    bomb = bytearray(encoded(".jpg"))
    frame = bomb.index(b"\xff\xc0")
    bomb[frame + 5 : frame + 9] = (65000).to_bytes(2) * 2
    with pytest.raises(DarkposeError, match="65000 x 65000"):
        check_image_file(bytes(bomb))


def test_avif_is_refused_as_opencv_would_lose_its_orientation() -> None:
    with pytest.raises(DarkposeError, match="AVIF"):
        check_image_file(b"\x00\x00\x00\x20ftypavif\x00\x00\x00\x00avifmif1miafMA1B")


@pytest.mark.parametrize(
    ("brands", "kind"),
    [(b"avif", "AVIF"), (b"mif1\0\0\0\0miafavif", "AVIF"), (b"heic\0\0\0\0mif1heic", "HEIC"), (b"msf1", "HEIC")],
)
def test_heif_files_are_refused_by_any_of_their_brands(brands: bytes, kind: str) -> None:
    box = (len(brands) + 8).to_bytes(4) + b"ftyp" + brands
    with pytest.raises(DarkposeError, match=f"{kind} files are not supported"):
        check_image_file(box + bytes(100))
