"""Reading, writing, warping and normalising images."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkpose.errors import DarkposeError, check_unmasked
from darkpose.files.atomic import write_atomically
from darkpose.files.paths import read_limited
from darkpose.image.colours import with_readable_colours
from darkpose.image.file_check import MAX_FILE, check_image_file, check_pixel_count, white_level
from darkpose.image.geometry import Floats, box_to_crop, image_to_crop, transform
from darkpose.image.jpeg import decode_jpeg
from darkpose.image.opencv import MAX_PIXELS, cv2, quiet

if TYPE_CHECKING:
    from PIL.Image import Image as PilImage

Pixels = NDArray[np.uint8]
MAX_WARPED_SIDE = 32767  # px; OpenCV warps no larger images

FARTHEST_MEAN = 1e6  # of pixels in [0, 1]; larger numbers would not fit float32


@dataclass(frozen=True)
class Normalisation:
    """Per-channel mean and standard deviation of RGB in [0, 1]; the defaults are ImageNet's."""

    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        fits = len(self.mean) == len(self.std) == 3 and all(abs(number) <= FARTHEST_MEAN for number in self.mean)
        if not fits or not all(1 / FARTHEST_MEAN <= number <= FARTHEST_MEAN for number in self.std):
            raise DarkposeError(
                f"expected three means and three positive standard deviations, of at most {FARTHEST_MEAN:g}, got "
                f"{self.mean} and {self.std}"
            )

    def __call__(self, crops: Pixels) -> NDArray[np.float32]:
        """(N, H, W, 3) uint8 RGB -> (N, 3, H, W) float32."""
        scale = 1 / (255 * np.asarray(self.std, np.float32))
        offset = np.asarray(self.mean, np.float32) / np.asarray(self.std, np.float32)
        return np.ascontiguousarray((crops * scale - offset).transpose(0, 3, 1, 2))


def read_image(path: Path) -> Pixels:
    """Decode an image file to (H, W, 3) uint8 RGB, as `decode_image`.

    Raises:
        DarkposeError: the file cannot be read, is empty, truncated or no image, or has more than `opencv.MAX_PIXELS`.
    """
    try:
        return decode_image(read_limited(path, MAX_FILE))
    except DarkposeError as error:
        raise DarkposeError(f"{path}: {error}") from error
    except (OSError, ValueError) as error:  # ValueError: not a path, for example with a NUL
        raise DarkposeError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def decode_image(data: bytes, most: int = MAX_PIXELS) -> Pixels:
    """Decode the bytes of an image file to (H, W, 3) uint8 RGB; it may have `most` pixels.

    EXIF orientation is applied. Grey and CMYK become RGB, 16 bits become 8, and an alpha channel is ignored. OpenCV
    logs nothing meanwhile, in no thread; of a damaged JPEG file libjpeg may write a line to standard error.

    Raises:
        DarkposeError: the file is empty, truncated or no image, or has more pixels.
    """
    jpeg = check_image_file(data, most)
    data, white = with_readable_colours(data), white_level(data)
    scaled = white not in (255, 65535)  # OpenCV reads values up to these
    flags = cv2.IMREAD_COLOR_RGB | (cv2.IMREAD_ANYDEPTH if scaled else 0)
    try:
        image = _decoded(data, flags) if jpeg is None else decode_jpeg(data, jpeg, lambda file: _decoded(file, flags))
    except cv2.error as error:
        reason = f"it has more than {MAX_PIXELS} pixels" if "MAX_IMAGE_PIXELS" in str(error) else error.err
        raise DarkposeError(f"OpenCV cannot decode it: {reason}") from error
    if image is None:
        raise DarkposeError("not an image, or damaged, or of a format that OpenCV cannot decode")
    check_pixel_count(image.shape[1], image.shape[0], most)
    return np.asarray(cv2.convertScaleAbs(image, alpha=255 / white) if scaled else image, np.uint8)


def _decoded(data: bytes, flags: int) -> NDArray[Any] | None:
    with quiet:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)


def as_rgb(image: NDArray[np.generic]) -> Pixels:
    """Convert an array from a caller to (H, W, 3) uint8 RGB.

    Args:
        image: (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA; uint8, or uint16, which is scaled down.

    Raises:
        DarkposeError: the shape or type is another, there are no pixels, or some are masked.
    """
    if type(image) is not np.ndarray:  # other kinds of arrays may have a mask
        check_unmasked("image", image)
    image = np.asarray(image)  # np.matrix would keep two axes
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)) or not image.size:
        advice = "; transpose it: image.transpose(1, 2, 0)" if image.ndim == 3 and image.shape[0] in (1, 3, 4) else ""
        raise DarkposeError(f"an image must be (H, W, 3) RGB (or grey, or RGBA), got the shape {image.shape}{advice}")
    if image.dtype not in (np.uint8, np.uint16):
        advice = "; values of 0..1: (255 * image).round().astype(np.uint8)" if image.dtype.kind == "f" else ""
        raise DarkposeError(f"an image must be uint8 with values 0..255, got {image.dtype}{advice}")
    pixels = image.reshape(*image.shape[:2], -1)[..., :3]
    if pixels.dtype == np.uint16:
        pixels = pixels // 256
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)), np.uint8)


def is_pil(image: object) -> "TypeGuard[PilImage]":
    """Whether this is a PIL image."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(image, module.Image)


def from_pil(image: "PilImage") -> Pixels:
    """Convert a PIL image to (H, W, 3) uint8 RGB, upright by its EXIF data; an alpha channel is ignored.

    Raises:
        DarkposeError: it has 32 bits a channel, whose range is not known, or cannot be read.
    """
    from PIL import ImageOps

    check_pixel_count(*image.size)
    try:
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith("I;16"):
            return as_rgb(np.asarray(upright).astype(np.uint16))
        if upright.mode in ("I", "F"):
            raise DarkposeError(
                f"a PIL image of mode {upright.mode!r} has no known white; give an array of uint8 or uint16"
            )
        if upright.mode in ("P", "PA", "LA", "RGBa", "La"):
            upright = upright.convert("RGBA")
        return as_rgb(np.asarray(upright.convert("RGB")))
    except (OSError, SyntaxError, ValueError) as error:  # of a file that PIL reads only now
        raise DarkposeError(f"PIL cannot read the image: {error}") from error


def relight(image: Pixels, gamma: float, gains: Sequence[float], *, grey: bool = False) -> Pixels:
    """Change the light of an image (H, W, 3) RGB: values in [0, 1] are raised to `gamma` and multiplied by `gains`.

    Args:
        image: (H, W, 3) uint8 RGB.
        gamma: exponent.
        gains: three factors, one per channel.
        grey: convert to grey first.
    """
    if grey:
        image = np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)
    values = (np.arange(256)[:, None] / 255) ** gamma * np.asarray(gains)
    table = np.clip(np.round(255 * values), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table[None]), np.uint8)


def blur_image(image: Pixels, sigma: float) -> Pixels:
    """Blur an image (H, W, 3) with a Gaussian of standard deviation `sigma` px."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)


def resized(image: Pixels, size: tuple[int, int]) -> Pixels:
    """An image (H, W, 3) at another size (width, height): areas averaged where it shrinks, bilinear where it grows."""
    shrinks = size[0] < image.shape[1] or size[1] < image.shape[0]
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR), np.uint8)


def planes(image: Pixels) -> Pixels:
    """Convert an image (H, W, 3) to (3, H, W)."""
    channels = np.empty((3, *image.shape[:2]), np.uint8)
    cv2.split(image, list(channels))
    return channels


def to_jpeg(image: Pixels, quality: int) -> bytes:
    """Encode an image (H, W, 3) RGB as a JPEG file with a quality of 1 to 100 and colour at half the resolution."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()


def from_jpeg(data: bytes) -> Pixels:
    """Decode a JPEG file made by `to_jpeg` to an image (H, W, 3) RGB."""
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB), np.uint8)


def compress(image: Pixels, quality: int) -> Pixels:
    """Encode an image (H, W, 3) as a JPEG file with a quality of 1 to 100 and decode it again."""
    return from_jpeg(to_jpeg(image, quality))


def write_image(path: Path, image: Pixels) -> None:
    """Write an image (H, W, 3) RGB in the format of the suffix, in one rename.

    Raises:
        DarkposeError: the suffix is unknown, or the file cannot be written.
    """
    try:
        with quiet:
            encoded, data = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    except cv2.error as error:
        raise DarkposeError(f"{path}: OpenCV cannot write this image format ({error.err})") from error
    if not encoded:
        raise DarkposeError(f"{path}: the image cannot be encoded")
    write_atomically(path, lambda temporary: temporary.write_bytes(data.tobytes()))


def warp_image(image: Pixels, matrix: ArrayLike, size: tuple[int, int]) -> Pixels:
    """Cut a crop out of an image, with bilinear interpolation and black outside the image.

    Args:
        image: (H, W, 3) RGB.
        matrix: (2, 3), image px to crop px.
        size: (width, height) of the crop.

    Raises:
        DarkposeError: the crop covers more than `MAX_WARPED_SIDE` px of the image.
    """
    matrix = np.asarray(matrix, np.float64)
    if max(image.shape[:2]) >= MAX_WARPED_SIDE:
        image, matrix = _part_under(image, matrix, size)
    warped = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR)
    return np.asarray(warped, np.uint8)


def remapped(image: Pixels, places: Floats) -> Pixels:
    """A picture whose pixels come from places in an image, with bilinear interpolation and black outside the image.

    Args:
        image: (H, W, 3) RGB.
        places: (height, width, 2) image px.

    Raises:
        DarkposeError: the image has a side of `MAX_WARPED_SIDE` px or more.
    """
    if max(image.shape[:2]) >= MAX_WARPED_SIDE:
        raise DarkposeError(f"an image of {image.shape[1]} x {image.shape[0]} px is too large to be warped")
    across, down = (np.ascontiguousarray(places[..., axis], np.float32) for axis in (0, 1))
    return np.asarray(cv2.remap(image, across, down, cv2.INTER_LINEAR), np.uint8)


def _part_under(image: Pixels, matrix: Floats, size: tuple[int, int]) -> tuple[Pixels, Floats]:
    """The part of an image that a crop covers, and the crop's matrix from there."""
    inverse = cv2.invertAffineTransform(matrix)
    corners = np.array([[x, y] for x in (-1, size[0]) for y in (-1, size[1])])
    seen = transform(inverse, corners)
    low = np.clip(np.floor(seen.min(axis=0)).astype(int) - 1, 0, np.array(image.shape[1::-1]) - 1)
    high = np.clip(np.ceil(seen.max(axis=0)).astype(int) + 2, low + 1, image.shape[1::-1])
    if (high - low).max() >= MAX_WARPED_SIDE:
        raise DarkposeError(
            f"a crop of {(high - low).max()} px of the image is too large; the limit is {MAX_WARPED_SIDE} px"
        )
    part = image[low[1] : high[1], low[0] : high[0]]
    return part, np.column_stack([matrix[:, :2], transform(matrix, low)])


def cut_crops(
    images: Iterable[Pixels], boxes: ArrayLike, crop_size: int, padding: float
) -> tuple[Iterator[Pixels], Floats, Floats]:
    """Cut the crops (S, S, 3) around boxes.

    Args:
        images: (H, W, 3) uint8 RGB, one for each box.
        boxes: (N, 4) x0, y0, x1, y1 in image px: landmark boxes.
        crop_size: side of the crops, crop px.
        padding: side of a crop divided by the side of its box.

    Returns:
        The crops, cut when they are asked for; their centres (N, 2) and sides (N, 2) in image px.
    """
    size = (crop_size, crop_size)
    center, sides = box_to_crop(np.reshape(boxes, (-1, 4)), padding=padding)
    crops = (
        warp_image(image, image_to_crop(middle, float(side[0]), size), size)
        for image, middle, side in zip(images, center, sides, strict=True)
    )
    return crops, center, sides
