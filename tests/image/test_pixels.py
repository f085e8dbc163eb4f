"""Reading, writing, warping and normalising images."""

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from darkpose.errors import DarkposeError
from darkpose.image.geometry import image_to_crop
from darkpose.image.pixels import (
    Normalisation,
    Pixels,
    as_rgb,
    blur_image,
    compress,
    decode_image,
    from_pil,
    is_pil,
    planes,
    read_image,
    relight,
    remapped,
    warp_image,
    write_image,
)


@pytest.fixture
def picture() -> Pixels:
    """40x30 RGB with smooth colours, so that JPEG keeps them."""
    y, x = np.mgrid[:30, :40]
    return np.stack([x * 6, y * 8, 255 - x * 6], axis=-1).astype(np.uint8)


def test_a_written_png_comes_back_exactly(tmp_path: Path, picture: Pixels) -> None:
    write_image(tmp_path / "a.png", picture)
    assert (read_image(tmp_path / "a.png") == picture).all()
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_a_picture_is_not_written_into_a_missing_folder(tmp_path: Path, picture: Pixels) -> None:
    with pytest.raises(DarkposeError, match="cannot be written"):
        write_image(tmp_path / "missing" / "a.png", picture)


def test_a_suffix_that_names_no_format_is_refused(tmp_path: Path, picture: Pixels) -> None:
    with pytest.raises(DarkposeError, match=r"a\.xyz: .*format"):
        write_image(tmp_path / "a.xyz", picture)


def test_planes_are_the_channels_one_after_the_other(picture: Pixels) -> None:
    assert (planes(picture) == picture.transpose(2, 0, 1)).all()


def exif_rotated(jpeg: bytes, orientation: int) -> bytes:
    """The JPEG with an EXIF segment that holds nothing but the orientation."""
    entry = b"\x01\x12\x00\x03\x00\x00\x00\x01" + orientation.to_bytes(2) + b"\0\0"
    exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01" + entry + b"\0\0\0\0"
    return jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2) + exif + jpeg[2:]


def test_exif_orientation_is_applied(tmp_path: Path, picture: Pixels) -> None:
    jpeg = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    (tmp_path / "upright.jpg").write_bytes(jpeg)
    (tmp_path / "turned.jpg").write_bytes(exif_rotated(jpeg, 6))  # 6: turn by 90 degrees clockwise to see it upright
    upright, turned = read_image(tmp_path / "upright.jpg"), read_image(tmp_path / "turned.jpg")
    assert turned.shape == (40, 30, 3)
    assert (turned == np.rot90(upright, -1)).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("JPEG", {})])
def test_every_format_that_has_an_orientation_is_turned(
    kind: str, options: dict[str, Any], orientation: int, picture: Pixels
) -> None:
    image_module, operations = pytest.importorskip("PIL.Image"), pytest.importorskip("PIL.ImageOps")
    image, data = image_module.fromarray(picture), io.BytesIO()
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(data, kind, exif=exif, **options)
    shown = operations.exif_transpose(image_module.open(data)).convert("RGB")
    np.testing.assert_allclose(decode_image(data.getvalue()), np.asarray(shown), rtol=0, atol=8)


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("GIF", {})])
def test_of_several_frames_or_pages_the_first_is_read(kind: str, options: dict[str, Any], picture: Pixels) -> None:
    image_module, data = pytest.importorskip("PIL.Image"), io.BytesIO()
    image = image_module.fromarray(picture).quantize(16).convert("RGB")
    image.save(data, kind, save_all=True, append_images=[image.rotate(180)], **options)
    np.testing.assert_array_equal(decode_image(data.getvalue()), np.asarray(image))


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        pytest.param(np.full((5, 4), 7, np.uint8), (7, 7, 7), id="grey"),
        pytest.param(np.full((5, 4), 7 * 256 + 99, np.uint16), (7, 7, 7), id="16-bit grey"),
        pytest.param(np.full((5, 4, 4), (30, 20, 10, 128), np.uint8), (10, 20, 30), id="alpha, BGRA as OpenCV writes"),
        pytest.param(np.full((5, 4, 3), (30 * 256, 20 * 256, 10 * 256), np.uint16), (10, 20, 30), id="16-bit colour"),
    ],
)
def test_every_kind_of_png_becomes_rgb(tmp_path: Path, array: NDArray[np.integer], expected: tuple[int, ...]) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), array)
    image = read_image(tmp_path / "a.png")
    assert image.shape == (5, 4, 3)
    assert image.dtype == np.uint8
    assert (image == expected).all()


def test_a_cmyk_jpeg_becomes_rgb(tmp_path: Path) -> None:
    pillow = pytest.importorskip("PIL.Image", reason="needs Pillow to write a CMYK file")
    pillow.new("CMYK", (20, 10), (0, 255, 255, 0)).save(tmp_path / "red.jpg", quality=100)
    red, green, blue = read_image(tmp_path / "red.jpg").reshape(-1, 3).mean(axis=0)
    assert red > 180
    assert max(green, blue) < 80


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "empty", id="empty"),
        pytest.param(b"these are words, not pixels", "not an image", id="text"),
        pytest.param(b"\x89PNG\r\n\x1a\n" + b"\0" * 40 + b"IEND", "not an image", id="png of nothing"),
        pytest.param(b"\xff\xd8\xff\xe0", "truncated", id="jpeg marker alone"),
    ],
)
def test_files_that_are_no_images_give_one_line_with_the_path(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "holiday.jpg"
    path.write_bytes(content)
    with pytest.raises(DarkposeError, match=message) as caught:
        read_image(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match="No such file"):
        read_image(tmp_path / "missing.jpg")
    with pytest.raises(DarkposeError, match="Is a directory"):
        read_image(tmp_path)


@pytest.mark.parametrize(
    "array",
    [
        pytest.param(np.zeros((5, 4, 2), np.uint8), id="two channels"),
        pytest.param(np.zeros((0, 4, 3), np.uint8), id="no rows"),
        pytest.param(np.zeros((5, 4, 3), np.float32), id="floats"),
        pytest.param(np.zeros((1, 5, 4, 3), np.uint8), id="a batch"),
    ],
)
def test_arrays_that_are_no_images_are_refused(array: NDArray[np.generic]) -> None:
    with pytest.raises(DarkposeError, match="an image must be"):
        as_rgb(array)


def test_an_image_with_masked_pixels_is_refused(picture: Pixels) -> None:
    assert (as_rgb(np.ma.array(picture)) == picture).all()
    with pytest.raises(DarkposeError, match="image: some values are masked"):
        as_rgb(np.ma.masked_greater(picture, 200))


def test_arrays_of_every_kind_become_rgb(picture: Pixels) -> None:
    alpha = np.dstack([picture, np.full((30, 40), 9, np.uint8)])
    assert (as_rgb(picture) == picture).all()
    assert (as_rgb(alpha) == picture).all()
    assert (as_rgb(picture.astype(np.uint16) * 257) == picture).all()
    assert (as_rgb(picture[..., 0]) == picture[..., :1]).all()
    assert (as_rgb(picture[..., :1]) == picture[..., :1]).all()


def test_warp_of_a_whole_pixel_shift_moves_pixels_and_fills_with_black(picture: Pixels) -> None:
    moved = warp_image(picture, np.array([[1.0, 0, 3], [0, 1, -2]]), (40, 30))
    assert (moved[:-2, 3:] == picture[2:, :-3]).all()
    assert not moved[:, :3].any()


def test_relighting_follows_its_formula_and_leaves_the_input_alone(picture: Pixels) -> None:
    before, gains = picture.copy(), (1.2, 0.9, 1.0)
    expected = np.clip(255 * (picture / 255.0) ** 0.7 * gains, 0, 255)
    assert np.abs(relight(picture, 0.7, gains) - expected).max() <= 0.5 + 1e-9
    grey = relight(picture, 1.0, (1, 1, 1), grey=True)
    assert (grey == grey[..., :1]).all()
    assert (relight(picture, 1.0, (1, 1, 1)) == picture).all()
    assert (picture == before).all()


def reference_blur(image: Pixels, sigma: float) -> NDArray[np.float64]:
    """A separable Gaussian cut off at three deviations; beyond its edges the image is mirrored at the last pixels."""
    reach = round(6 * sigma + 1) // 2
    kernel = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    padded = np.pad(image.astype(float), ((reach, reach), (reach, reach), (0, 0)), "reflect")
    for axis in (0, 1):
        padded = np.apply_along_axis(np.convolve, axis, padded, kernel / kernel.sum(), "valid")
    return np.asarray(padded)


@pytest.mark.parametrize("sigma", [0.5, 1.3, 3.07])
def test_a_blur_is_a_gaussian_and_leaves_the_input_alone(sigma: float) -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 41, 3), np.uint8)
    before, found = image.copy(), blur_image(image, sigma)
    assert found.shape == image.shape
    assert found.dtype == np.uint8
    # OpenCV's weights are whole 256ths, and it rounds.
    np.testing.assert_allclose(found, reference_blur(image, sigma), rtol=0, atol=1.5)
    assert found.mean() == pytest.approx(reference_blur(image, sigma).mean(), abs=0.01)
    assert (image == before).all()


@pytest.mark.parametrize("shape", [(30, 40), (17, 23), (1, 1)])
def test_compression_keeps_shape_and_colours_and_leaves_the_input_alone(shape: tuple[int, int]) -> None:
    image = np.full((*shape, 3), (200, 30, 90), np.uint8)
    before = image.copy()
    for quality in (1, 10, 60, 100):
        found = compress(image, quality)
        assert found.shape == image.shape
        assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - image).max() <= 2
    assert (image == before).all()


def test_compression_loses_more_at_a_lower_quality(picture: Pixels) -> None:
    errors = [np.abs(compress(picture, quality).astype(int) - picture).mean() for quality in (95, 50, 20, 5)]
    assert errors == sorted(errors)
    assert errors[0] < 1.5
    assert errors[-1] > 2 * errors[0]


@pytest.mark.parametrize("rotation", [0.0, 33.0])
def test_a_crop_of_a_picture_too_wide_for_opencv_equals_that_of_its_part(rotation: float) -> None:
    rng = np.random.default_rng(0)
    wide = np.zeros((40, 40_000, 3), np.uint8)
    wide[:, 35_000:35_100] = rng.integers(0, 255, (40, 100, 3))
    part = wide[:, 35_000:35_100]
    here = warp_image(part, image_to_crop((50.0, 20.0), 30.0, (32, 32), rotation), (32, 32))
    there = warp_image(wide, image_to_crop((35_050.0, 20.0), 30.0, (32, 32), rotation), (32, 32))
    assert here.any()
    assert np.abs(here.astype(int) - there).max() <= 12  # float32 rounding of the crop's three points
    assert np.abs(here.astype(int) - there).mean() < 1
    with pytest.raises(DarkposeError, match="too large"):
        warp_image(wide, image_to_crop((20_000.0, 20.0), 39_000.0, (32, 32)), (32, 32))


def test_other_formats_than_jpeg_and_png_are_held_to_the_pixel_limit(tmp_path: Path) -> None:
    path = tmp_path / "huge.pgm"
    path.write_bytes(b"P5\n20000 20000\n255\n" + bytes(1000))
    with pytest.raises(DarkposeError, match="limit is 268435456 pixels"):
        read_image(path)


@pytest.mark.parametrize(
    "std", [(0.0, 1.0, 1.0), (1.0, 1.0), (1.0, float("nan"), 1.0), (1.0, 1e-40, 1.0), (1.0, 1.0, 1e300)]
)
def test_a_normalisation_that_cannot_be_is_refused(std: tuple[float, ...]) -> None:
    with pytest.raises(DarkposeError, match="three positive"):
        Normalisation(std=std)  # type: ignore[arg-type]


def test_normalisation_equals_the_definition(picture: Pixels) -> None:
    expected = (picture / 255.0 - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    got = Normalisation()(picture[None])
    assert got.shape == (1, 3, 30, 40)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got[0], expected.transpose(2, 0, 1), atol=5e-7)


@pytest.mark.parametrize("white", [1, 15, 127, 200, 255, 256, 1023, 4095, 65535])
@pytest.mark.parametrize("kind", ["P2", "P3", "P5", "P6", "P7"])
def test_white_of_a_netpbm_file_is_what_its_header_says(kind: str, white: int) -> None:
    grey = np.random.default_rng(0).integers(0, white + 1, (5, 7))
    grey[0, 0] = white
    values = grey if kind in ("P2", "P5") else np.stack([grey] * 3, axis=-1)
    if kind in ("P2", "P3"):
        pixels = " ".join(map(str, values.ravel())).encode() + b"\n"
    else:
        pixels = values.astype(">u2" if white > 255 else np.uint8).tobytes()
    header = f"{kind}\n# a comment 9\n7 5 # another\n{white}\n"
    if kind == "P7":
        header = f"P7\n# MAXVAL 3\nWIDTH 7\nHEIGHT 5\nDEPTH 3\nMAXVAL {white}\nTUPLTYPE RGB\nENDHDR\n"
    if (kind, white) == ("P7", 1):
        with pytest.raises(DarkposeError, match="PAM file of black and white"):
            decode_image(header.encode() + pixels)
        return
    expected = np.stack([grey * (255 / white)] * 3, axis=-1)
    np.testing.assert_allclose(decode_image(header.encode() + pixels), expected, rtol=0, atol=1)


def test_an_impossible_white_of_a_netpbm_file_is_refused() -> None:
    with pytest.raises(DarkposeError, match="white is 70000; expected 1 to 65535"):
        decode_image(b"P5\n2 1\n70000\n\0\0\0\0")


def pil_image(mode: str) -> Any:
    """A coloured picture in a mode of PIL, and what it is in RGB."""
    image_module = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    return image_module.fromarray(np.kron(pixels, np.ones((4, 4, 1), np.uint8))).convert(mode)


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBA", "LA", "CMYK", "YCbCr", "HSV"])
def test_a_pil_image_of_any_mode_is_what_pil_shows(mode: str) -> None:
    image = pil_image(mode)
    assert is_pil(image)
    np.testing.assert_array_equal(from_pil(image), np.asarray(image.convert("RGB")))


def test_the_orientation_of_a_pil_image_is_that_of_its_file(tmp_path: Path) -> None:
    image, file = pil_image("RGB"), tmp_path / "turned.png"
    exif = image.getexif()
    exif[0x0112] = 6  # a quarter turn
    image.save(file, exif=exif)
    from PIL import Image

    np.testing.assert_array_equal(from_pil(Image.open(file)), read_image(file))
    assert from_pil(Image.open(file)).shape == (32, 24, 3)


def test_pil_images_of_16_bits_are_scaled_down_and_of_32_bits_refused() -> None:
    image_module = pytest.importorskip("PIL.Image")
    values = np.arange(0, 65536, 1024, dtype=np.uint16).reshape(8, 8)
    np.testing.assert_array_equal(from_pil(image_module.fromarray(values))[..., 0], values // 256)
    for mode in ("I", "F"):
        with pytest.raises(DarkposeError, match=f"mode '{mode}' has no known white"):
            from_pil(pil_image("L").convert(mode))


def test_a_damaged_file_that_pil_has_opened_is_refused() -> None:
    image_module, data = pytest.importorskip("PIL.Image"), io.BytesIO()
    pil_image("RGB").save(data, "PNG")
    with pytest.raises(DarkposeError, match="PIL cannot read the image"):
        from_pil(image_module.open(io.BytesIO(data.getvalue()[:-60])))


def test_what_is_no_pil_image_is_none() -> None:
    assert not is_pil(np.zeros((2, 2, 3), np.uint8))


@pytest.mark.parametrize(
    ("image", "advice"),
    [
        (np.zeros((3, 8, 9), np.uint8), r"transpose it: image.transpose\(1, 2, 0\)"),
        (np.zeros((8, 9, 3)), r"values of 0..1: \(255 \* image\)"),
    ],
)
def test_a_refused_array_comes_with_advice(image: Any, advice: str) -> None:
    with pytest.raises(DarkposeError, match=advice):
        as_rgb(image)


def test_pixels_come_from_their_places(picture: Pixels) -> None:
    rows, columns = np.mgrid[:30, :40]
    places = np.stack([columns, rows], axis=-1).astype(float)
    assert (remapped(picture, places) == picture).all()
    moved = remapped(picture, places[:10, :10] + [5, 7])
    assert (moved == picture[7:17, 5:15]).all()
    half = remapped(picture, places[:10, :10] + [0.5, 0])
    assert np.abs(half[..., 0] - (picture[:10, :10, 0] + 3.0)).max() <= 1
    assert (remapped(picture, places + 100) == 0).all()


def test_an_image_that_opencv_cannot_remap_is_refused() -> None:
    with pytest.raises(DarkposeError, match="too large to be warped"):
        remapped(np.zeros((1, 32767, 3), np.uint8), np.zeros((2, 2, 2)))
