"""Sizes in headers, and the memory that decoding takes."""

import io
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from darkpose.errors import DarkposeError
from darkpose.image.file_check import MAX_MEMORY
from darkpose.image.headers import read_header
from darkpose.image.pixels import decode_image

KINDS = [".png", ".bmp", ".webp", ".gif", ".tiff", ".jp2"]


def encoded(suffix: str) -> bytes:
    picture = np.random.default_rng(0).integers(0, 256, (61, 47, 3), np.uint8)
    return bytes(cv2.imencode(suffix, picture)[1].tobytes())


@pytest.mark.parametrize("suffix", KINDS)
def test_the_size_is_that_of_the_image(suffix: str) -> None:
    header = read_header(encoded(suffix))
    assert header is not None
    assert header[:2] == (47, 61)


@pytest.mark.parametrize(
    "options",
    [{"format": "WEBP", "lossless": True}, {"format": "WEBP", "exif": b"Exif\0\0MM"}, {"format": "TIFF", "tile": 1}],
)
def test_the_size_is_found_in_other_variants(options: dict[str, object]) -> None:
    pillow, data = pytest.importorskip("PIL.Image"), io.BytesIO()
    pillow.new("RGBA", (47, 61)).save(data, **options)
    header = read_header(data.getvalue())
    assert header is not None
    assert header[:2] == (47, 61)


BOMBS = {
    "png": b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" + (30000).to_bytes(4) * 2,
    "gif": b"GIF89a\x00\x40\x00\x40\x80\0\0",
    "bmp": b"BM" + bytes(12) + b"\x28\0\0\0" + (30000).to_bytes(4, "little") * 2,
    "webp": b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + (16383).to_bytes(3, "little") * 2,
    "tiff": b"MM\0*\0\0\0\x08\0\2\1\0\0\4\0\0\0\1\0\0\x75\x30\1\1\0\4\0\0\0\1\0\0\x75\x30",
    "large tiles": b"II*\0\x08\0\0\0\4\0\0\1\4\0\1\0\0\0\5\0\0\0\1\1\4\0\1\0\0\0\5\0\0\0"
    b"\x42\1\4\0\1\0\0\0\x30\x75\0\0\x43\1\4\0\1\0\0\0\x30\x75\0\0",
    "jp2": b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\0jp2c\xff\x4f\xff\x51\0\x2f\0\0"
    + (16384).to_bytes(4) * 2
    + bytes(24)
    + b"\0\3",
    "pgm": b"P5 30000 30000 255\n",
    "pbm": b"P4 30000\n#comment\n30000\n",
    "pam": b"P7\nWIDTH 30000\nHEIGHT 30000\nDEPTH 3\nMAXVAL 255\nENDHDR\n",
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_large_image_of_every_format_is_refused_by_its_header(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(DarkposeError, match=r"the limit is \d+ pixels"):
        decode_image(BOMBS[kind] + bytes(100))


@pytest.mark.parametrize("suffix", [".ras", ".hdr", ".pfm"])
def test_formats_without_a_known_limit_are_not_read(suffix: str) -> None:
    values = np.zeros((8, 9, 3), np.float32 if suffix != ".ras" else np.uint8)
    with pytest.raises(DarkposeError, match="format that is not read"):
        decode_image(cv2.imencode(suffix, values)[1].tobytes())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory of Linux")
def test_decoding_takes_no_more_memory_than_the_limit_counts_with(tmp_path: Path) -> None:
    pytest.importorskip("PIL.Image")
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(tmp_path)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) == 16
    for name, taken, counted in lines:
        assert int(taken) <= int(counted) + 6_000_000, name
    assert MAX_MEMORY <= 1 << 30


# A process for each file, forked from one: its peak begins at the memory of its parent.
_MEASURE = """
import io, os, resource, sys
import numpy as np
from PIL import Image
from darkpose.image.opencv import cv2, use_one_thread
from darkpose.image import file_check, pixels

use_one_thread()
pixels_of = np.kron(np.random.default_rng(0).integers(0, 255, (30, 30, 3), np.uint8), np.ones((120, 120, 1), np.uint8))
image, files = Image.fromarray(pixels_of), {}
def add(name, format, mode="RGB", **options):
    data = io.BytesIO()
    image.convert(mode).save(data, format, **options)
    files[name] = data.getvalue()
more = {"save_all": True, "append_images": [image.rotate(90)]}
add("baseline", "JPEG")
add("progressive", "JPEG", progressive=True, subsampling=0)
add("restarts", "JPEG", restart_marker_rows=1)
add("progressiveCMYK", "JPEG", mode="CMYK", progressive=True)
add("png", "PNG")
add("animatedpng", "PNG", **more)
add("gif", "GIF", mode="P")
add("animatedgif", "GIF", mode="P", **more)
add("webp", "WEBP", method=0)
add("lossless", "WEBP", lossless=True, method=0)
add("animatedwebp", "WEBP", method=0, **more)
add("bmp", "BMP")
add("tiff", "TIFF", mode="CMYK")
add("jp2", "JPEG2000", mode="RGBA")
add("ppm", "PPM")
deep = cv2.imencode(".ppm", pixels_of.astype(np.uint16) * 257)[1].tobytes()
files["12bits"] = deep.replace(b"65535", b"4095", 1)
pixels.decode_image(cv2.imencode(".jpg", pixels_of[:8, :8])[1].tobytes())  # loads what decoding needs, once
for name, data in files.items():
    file_check.MAX_MEMORY = 10**6
    try:
        file_check.check_image_file(data)
    except ValueError as error:
        memory = 10**6 // int(str(error).split("limit is ")[1].split()[0])
    file_check.MAX_MEMORY = 1 << 30
    if os.fork() == 0:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        count = pixels.decode_image(data).size // 3
        taken = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        print(name, taken, memory * count, flush=True)
        os._exit(0)
    assert os.wait()[1] == 0, name
"""
