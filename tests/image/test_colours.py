"""Colours of files that OpenCV alone would read as others."""

import io
import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from darkpose.errors import DarkposeError
from darkpose.image.pixels import decode_image

PICTURE = np.random.default_rng(0).integers(0, 256, (16, 20, 3), np.uint8)


def tiff(pixels: NDArray[Any], order: str, *, extra: int | None = None, sample: int = 1, big: bool = False) -> bytes:
    """An uncompressed TIFF file of one strip; `extra`: the kind of alpha, `sample`: the kind of numbers."""
    height, width, depth = pixels.shape
    place = 4096
    fields = {256: [width], 257: [height], 258: [pixels.itemsize * 8] * depth, 259: [1], 262: [2], 273: [place]}
    fields |= {277: [depth], 278: [height], 279: [pixels.nbytes]}
    fields |= {} if extra is None else {338: [extra]}
    fields |= {339: [sample] * depth}
    entries, elsewhere, room = b"", b"", 8 if big else 4
    for tag, values in fields.items():
        data = struct.pack(f"{order}{len(values)}H", *values)
        if len(data) > room:
            data, elsewhere = struct.pack(order + "Q" if big else order + "I", 2048 + len(elsewhere)), elsewhere + data
        entries += struct.pack(order + ("HHQ" if big else "HHI"), tag, 3, len(values)) + data.ljust(room, b"\0")
    if big:
        head = struct.pack(order + "2sHHHQQ", b"II" if order == "<" else b"MM", 43, 8, 0, 16, len(fields))
    else:
        head = struct.pack(order + "2sHIH", b"II" if order == "<" else b"MM", 42, 8, len(fields))
    body = (head + entries + bytes(8)).ljust(2048, b"\0") + elsewhere
    return body.ljust(place, b"\0") + pixels.astype(f"{order}{pixels.dtype.str[1:]}").tobytes()


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("extra", [None, 0, 1, 2])
@pytest.mark.parametrize("alpha", [0, 100, 255])
@pytest.mark.parametrize("factor", [1, 257])
def test_the_alpha_of_a_tiff_file_is_ignored_whatever_its_kind(
    factor: int, alpha: int, extra: int | None, order: str, big: bool
) -> None:
    pixels = np.dstack([PICTURE, np.full(PICTURE.shape[:2], alpha, np.uint8)])
    wide = (pixels * np.uint16(factor)).astype(np.uint8 if factor == 1 else np.uint16)
    data = tiff(wide, order, extra=extra, big=big)
    np.testing.assert_array_equal(decode_image(data), PICTURE)


def test_the_alpha_of_other_formats_is_ignored() -> None:
    pillow = pytest.importorskip("PIL.Image")
    image = pillow.fromarray(np.dstack([PICTURE, np.full(PICTURE.shape[:2], 7, np.uint8)]))
    lossless: dict[str, dict[str, Any]] = {"PNG": {}, "WEBP": {"lossless": True, "exact": True}, "JPEG2000": {}}
    for kind, options in (lossless | {"BMP": {}, "TIFF": {"compression": "tiff_lzw"}}).items():
        data = io.BytesIO()
        image.save(data, kind, **options)
        np.testing.assert_array_equal(decode_image(data.getvalue()), PICTURE, err_msg=kind)


@pytest.mark.parametrize("kind", [np.int8, np.int16])
def test_a_tiff_file_of_signed_numbers_is_refused(kind: Any) -> None:
    with pytest.raises(DarkposeError, match="numbers below zero has no known white"):
        decode_image(tiff((PICTURE // 2).astype(kind), "<", sample=2))


def bmp(pixels: bytes, header: int, masks: tuple[int, ...]) -> bytes:
    fields = struct.pack("<IiiHHIIiiII", header, 20, -16, 1, 32, 3, len(pixels), 0, 0, 0, 0) + struct.pack(
        "<4I", *masks
    )
    fields = fields.ljust(header, b"\0")
    return b"BM" + struct.pack("<IHHI", 14 + len(fields) + len(pixels), 0, 0, 14 + len(fields)) + fields + pixels


@pytest.mark.parametrize("header", [40, 52, 56, 108, 124])
def test_the_masks_of_a_bmp_file_are_followed_or_the_file_is_refused(header: int) -> None:
    red, green, blue = np.moveaxis(PICTURE.astype("<u4"), 2, 0)
    for shifts, bits in (((16, 8, 0), 8), ((0, 8, 16), 8), ((22, 12, 2), 10)):
        values = sum(
            (colour << (shift + bits - 8) for colour, shift in zip((red, green, blue), shifts, strict=True)), red * 0
        )
        data = bmp(values.astype("<u4").tobytes(), header, (*(((1 << bits) - 1) << shift for shift in shifts), 0))
        if header < 56 and shifts != (16, 8, 0):
            with pytest.raises(DarkposeError, match="order of bits"):
                decode_image(data)
        else:
            np.testing.assert_allclose(decode_image(data), PICTURE, rtol=0, atol=1)


def test_a_jpeg_2000_file_in_ycc_is_refused() -> None:
    pillow, data = pytest.importorskip("PIL.Image"), io.BytesIO()
    pillow.fromarray(PICTURE).convert("YCbCr").save(data, "JPEG2000")
    with pytest.raises(DarkposeError, match="other colours than sRGB or grey"):
        decode_image(data.getvalue())
