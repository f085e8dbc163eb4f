"""JPEG files: pixels that are missing, and good files of every kind."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from darkpose.errors import DarkposeError
from darkpose.image.jpeg import MAX_SCANS, read_jpeg
from darkpose.image.pixels import Pixels, decode_image, read_image

KINDS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "colour in full": {"subsampling": 0},
    "half the colour": {"subsampling": 1},
    "optimised": {"optimize": True},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_rows": 1},
    "many restarts": {"restart_marker_blocks": 3},
    "progressive restarts": {"progressive": True, "restart_marker_rows": 2},
    "grey": {"mode": "L"},
    "progressive grey": {"mode": "L", "progressive": True},
    "CMYK": {"mode": "CMYK"},
    "progressive CMYK": {"mode": "CMYK", "progressive": True},
    "RGB": {"keep_rgb": True},
}


@pytest.fixture(scope="module")
def photo(astronaut: Path) -> Pixels:
    return read_image(astronaut)[:250, :333]


def jpeg(image: Pixels, mode: str = "RGB", **options: Any) -> bytes:
    pillow = pytest.importorskip("PIL.Image", reason="needs Pillow to write these files")
    data = io.BytesIO()
    pillow.fromarray(image).convert(mode).save(data, "JPEG", **{"quality": 90, **options})
    return data.getvalue()


def plain(data: bytes) -> Any:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)


def damaged(data: bytes) -> Iterator[tuple[str, bytes]]:
    start, length = data.index(b"\xff\xda"), len(data)
    for part in (0.3, 0.5, 0.8):
        place = start + round((length - start) * part)
        yield f"cut at {part} and closed", data[:place] + b"\xff\xd9"
        yield f"without 400 bytes at {part}", data[:place] + data[place + 400 :]
        yield f"zeros at {part}", data[:place] + bytes(1000) + data[place + 1000 :]
        yield f"0xFF at {part}", data[:place] + b"\xff" * 1000 + data[place + 1000 :]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("quality", [40, 95])
def test_good_files_of_every_kind_are_read_as_opencv_reads_them(photo: Pixels, kind: str, quality: int) -> None:
    for image in (photo, photo[:17, :33], photo[:1, :1], np.full((80, 70, 3), 128, np.uint8)):
        data = jpeg(image, **KINDS[kind], quality=quality)
        np.testing.assert_array_equal(decode_image(data), plain(data))
        np.testing.assert_array_equal(decode_image(data + b"\xff\xd8 another picture"), plain(data))


@pytest.mark.parametrize("interval", [0, 1, 7])
@pytest.mark.parametrize("sampling", [0x111111, 0x211111, 0x221111, 0x411111, 0x121111])
@pytest.mark.parametrize("progressive", [0, 1])
def test_good_files_that_opencv_writes_are_read(photo: Pixels, interval: int, sampling: int, progressive: int) -> None:
    options = [cv2.IMWRITE_JPEG_RST_INTERVAL, interval, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    data = cv2.imencode(".jpg", photo, [*options, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])[1].tobytes()
    np.testing.assert_array_equal(decode_image(data), plain(data))


@pytest.mark.parametrize("kind", KINDS)
def test_files_with_missing_pixels_are_refused(photo: Pixels, kind: str) -> None:
    data = jpeg(photo, **KINDS[kind])
    refused = {}
    for damage, broken in damaged(data):
        try:
            decode_image(broken)
            refused[damage] = False
        except DarkposeError as error:
            refused[damage] = "damaged" in str(error) or "truncated" in str(error)
    if "progressive" in kind:  # later scans are details: damage is not grey, and a cut in the last one loses one bit
        refused = {damage: value for damage, value in refused.items() if "cut" in damage and "0.8" not in damage}
    elif "restarts" in kind:  # zeros may be as many pixels as before
        refused = {damage: value for damage, value in refused.items() if "zeros" not in damage}
    assert all(refused.values()), refused


@pytest.mark.parametrize("kind", ["progressive", "progressive restarts", "progressive grey", "progressive CMYK"])
def test_pixels_missing_from_the_first_scan_of_a_progressive_file_are_refused(photo: Pixels, kind: str) -> None:
    data = jpeg(photo, **KINDS[kind])
    found = read_jpeg(data)
    assert found is not None
    start, end = found.scans[0].start, found.scans[0].end
    middle, hole = (start + end) // 2, (end - start) // 8
    for broken in (data[:middle] + data[middle + hole :], data[:middle] + data[end:]):
        with pytest.raises(DarkposeError, match="damaged"):
            decode_image(broken)


def test_good_files_print_nothing(photo: Pixels, capfd: pytest.CaptureFixture[str]) -> None:
    for kind, options in KINDS.items():
        if "CMYK" not in kind:
            decode_image(jpeg(photo, **options))
    assert not capfd.readouterr().err


def test_bytes_between_the_pixels_and_the_end_are_no_damage(photo: Pixels) -> None:
    data = jpeg(photo)
    for filling in (b"\0" * 600, b"\xff" * 9, b"\0\0"):
        np.testing.assert_array_equal(decode_image(data[:-2] + filling + b"\xff\xd9"), plain(data))


def test_a_flat_image_whose_bytes_repeat_is_read(photo: Pixels) -> None:
    for shade in (0, 255):
        flat = np.full((1500, 1500, 3), shade, np.uint8)
        for options in ({}, {"optimize": True}, {"progressive": True}, {"restart_marker_blocks": 5}):
            assert decode_image(jpeg(flat, **options)).shape == flat.shape


def test_too_many_scans_are_refused_before_decoding(photo: Pixels) -> None:
    data = jpeg(photo, progressive=True)
    found = read_jpeg(data)
    assert found is not None
    scan = found.scans[-1]
    whole = data[data.rindex(b"\xff\xda", 0, scan.start) : scan.end]
    with pytest.raises(DarkposeError, match="scans"):
        decode_image(data[:-2] + whole * MAX_SCANS + b"\xff\xd9")


def test_real_photographs_are_not_refused(shared_data: Path) -> None:
    files = sorted(shared_data.rglob("*.jpg"))[::400]
    assert files
    for file in files:
        data = file.read_bytes()
        np.testing.assert_array_equal(decode_image(data), plain(data))
