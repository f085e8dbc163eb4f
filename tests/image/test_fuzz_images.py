"""Any bytes as an image: pixels or a DarkposeError."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkpose.image.pixels import decode_image
from fuzzing import check_call, fuzzed

PICTURE = np.random.default_rng(0).integers(0, 256, (33, 41, 3), np.uint8)
SUFFIXES = [".jpg", ".png", ".webp", ".gif", ".tiff", ".bmp", ".jp2", ".ppm", ".pam"]
FILES = {suffix: cv2.imencode(suffix, PICTURE)[1].tobytes() for suffix in SUFFIXES}
FILES["progressive"] = cv2.imencode(".jpg", PICTURE, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
FILES["restarts"] = cv2.imencode(".jpg", PICTURE, [cv2.IMWRITE_JPEG_RST_INTERVAL, 1])[1].tobytes()


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """A file with bytes changed, mostly in its header, removed or repeated; or cut."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 6))):
        end = min(len(data), draw(st.sampled_from([64, 700, len(data)])))
        place = draw(st.integers(0, max(end - 1, 0)))
        length = draw(st.integers(0, 40))
        data[place : place + length] = draw(st.one_of(st.binary(max_size=40), st.just(data[:length])))
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.integers(0, 4)) == 0 else data)


@pytest.mark.parametrize("kind", FILES)
def test_a_damaged_file_is_an_image_or_refused(kind: str) -> None:
    @fuzzed
    @given(damaged(FILES[kind]))
    def holds(data: bytes) -> None:
        image = check_call(lambda: decode_image(data))
        if image is not None:
            assert isinstance(image, np.ndarray)
            assert image.ndim == 3
            assert image.dtype == np.uint8

    holds()
