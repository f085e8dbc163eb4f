"""A cache of faces, cut out once with a margin into one file, so that training does not read the images.

The frame "cached": the square around a face's box from which augmented crops are cut, (x, y) in px; the centre of its
first pixel is (0, 0). Its side follows from the augmentation: a crop crosses the square's border only if it is shifted
by more than three standard deviations. Outside the image it is black, as a crop is.

The name of the file (see `crop_file`) contains the digest of its sources: a change of an image, a box or a setting
leads to another file. A file that is damaged, truncated or of another format is made again.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import groupby
from math import ceil, cos, radians, sin
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError
from darkpose.files.atomic import make_folder, remove_leftovers, write_atomically
from darkpose.files.json_text import format_json
from darkpose.files.lock import file_lock
from darkpose.image.geometry import PADDING, Floats, box_to_crop, image_to_crop, transform
from darkpose.image.pixels import Pixels, read_image, to_jpeg, warp_image
from darkpose.training.augment import AugmentConfig
from darkpose.training.crop_file import FORMAT, JpegFile, PixelFile, read_index, write_crops

QUALITY = 95
SIGMAS = 3  # standard deviations of the shift that the margin covers

_CHUNK = 64  # images whose crops are in memory at once

Face = tuple[str, tuple[float, ...]]  # absolute path and box, which identify a crop


@dataclass(frozen=True, eq=False)
class CropCache:
    """Crops of faces in one file, which every process opens itself.

    Attributes:
        file: the file.
        side: of a cached crop, cached px.
        samples: the faces in their order, with keypoints, box and box_size in cached px of the face's crop; `image` is
            still the image file.
        places: (N,) place of each sample's crop in the file; equal faces share one.
    """

    file: JpegFile | PixelFile
    side: int
    samples: list[Sample]
    places: NDArray[np.void]

    @property
    def path(self) -> Path:
        """Path of the file."""
        return self.file.path

    def pixels(self, index: int) -> Pixels:
        """The crop of a sample, by its index: (side, side, 3) uint8 RGB.

        Raises:
            DarkposeError: the image could not be read when the file was made, or the file is missing or damaged.
        """
        start, length, crc = self.places[index].tolist()
        image = self.samples[index].image
        if not length:
            raise DarkposeError(f"{image}: could not be read for {self.path}; delete that file to try again")
        crop = self.file.crop(start, length, crc)
        if crop is None:
            raise DarkposeError(f"{self.path}: the crop of {image} is damaged; delete the file, and it is made again")
        return crop


def open_crop_cache(
    folder: Path,
    samples: Sequence[Sample],
    *,
    crop_size: int,
    augment: AugmentConfig,
    padding: float = PADDING,
    density: float = 1.0,
    uncompressed: bool = False,
) -> CropCache:
    """Open the cached crops of faces in `folder`; make them if they are missing or out of date.

    If several processes need the same file, one makes it and the others wait; where files cannot be locked, each makes
    an equal one. Files of other images or settings are left in place. Temporary files of a killed process are removed
    after an hour.

    Args:
        folder: for the file, `crops-DIGEST.pack`; made if needed.
        samples: the faces.
        crop_size: side of a training crop in crop px.
        augment: distribution of the training crops.
        padding: side of an unaugmented crop divided by the longer side of the box.
        density: cached px per crop px of an unaugmented crop. All crops have the same side, so a face with fewer px is
            enlarged. Above 1, training crops are sharper: they are interpolated twice.
        uncompressed: store pixels instead of JPEGs: more space, no decoding.

    Returns:
        The cache, which can be sent to other processes. Unreadable images raise an error only in `CropCache.pixels`.

    Raises:
        DarkposeError: a box has no area, or the file cannot be written.
    """
    side = cached_side(crop_size, augment, density)
    stretch = padding * side / (crop_size * density)
    matrices = [_image_to_cached(sample, side, stretch) for sample in samples]
    keys = [_face(sample) for sample in samples]
    crops = dict(sorted(zip(keys, matrices, strict=True), key=lambda crop: crop[0]))  # sorted by image
    digest = _digest(crops, side, stretch, uncompressed)
    path = folder / f"crops-{digest.hex()[:16]}.pack"
    wanted = digest, len(crops), side
    index = read_index(path, *wanted)
    if index is None:
        index = _make_file(path, crops, uncompressed, wanted)
    if index is None:
        raise DarkposeError(f"{path}: differs from what was written; check the disk")
    row = {key: number for number, key in enumerate(crops)}
    cached = [_cached(sample, matrix) for sample, matrix in zip(samples, matrices, strict=True)]
    file = PixelFile(path, side) if uncompressed else JpegFile(path)
    return CropCache(file, side, cached, index[[row[key] for key in keys]])


def _make_file(
    path: Path, crops: dict[Face, Floats], uncompressed: bool, wanted: tuple[bytes, int, int]
) -> NDArray[np.void] | None:
    """Make the file, unless another process has just made it, and return its index."""
    make_folder(path.parent)
    with ExitStack() as held:
        try:
            held.enter_context(file_lock(path.parent / ".crops.lock", work="to cut the crops"))
        except OSError as error:
            raise DarkposeError(f"{path.parent}: cannot be written to: {error.strerror or error}") from error
        index = read_index(path, *wanted)
        if index is None:
            remove_leftovers(path.parent)
            write_atomically(
                path, lambda temporary: write_crops(temporary, _cut(crops, wanted[2], uncompressed), *wanted)
            )
            index = read_index(path, *wanted)
        return index


def cached_side(crop_size: int, augment: AugmentConfig, density: float = 1.0) -> int:
    """Side of a cached crop in cached px: the largest crop, rotated, with three sigmas of shift on every side.

    Args:
        crop_size, augment, density: as in `open_crop_cache`.
    """
    rotates = augment.rotation_probability > 0 and augment.rotation_std > 0
    angle = radians(min(augment.rotation_limit, 45.0)) if rotates else 0.0
    scale = 1 + augment.scale_limit if augment.scale_std > 0 else 1.0
    margin = scale * (cos(angle) + sin(angle)) + 2 * SIGMAS * augment.shift_std
    return ceil(crop_size * density * margin) + 2  # one pixel on each side for the interpolation


def _face(sample: Sample) -> Face:
    return os.path.abspath(sample.image), tuple(sample.box.tolist())  # noqa: PTH100 (symbolic links are not resolved)


def _image_to_cached(sample: Sample, side: int, stretch: float) -> Floats:
    center, sides = box_to_crop(sample.box, padding=stretch)
    try:
        return image_to_crop(center, float(sides[0]), (side, side))
    except DarkposeError as error:
        raise DarkposeError(f"{sample.source or sample.image}: {error}") from error


def _cached(sample: Sample, matrix: Floats) -> Sample:
    box = transform(matrix, sample.box.reshape(2, 2)).reshape(4)
    size = None if sample.box_size is None else sample.box_size * float(matrix[0, 0])
    return replace(sample, keypoints=transform(matrix, sample.keypoints), box=box, box_size=size)


def _digest(faces: Iterable[Face], side: int, stretch: float, uncompressed: bool) -> bytes:
    """Digest of everything the crops depend on; of an image: its path, size and modification time."""
    quality = None if uncompressed else QUALITY
    content = [
        FORMAT,
        quality,
        side,
        stretch,
        [[image, _file_state(image), boxes] for image, boxes in _by_image(faces)],
    ]
    return hashlib.sha256(format_json(content).encode()).digest()


def _by_image(faces: Iterable[Face]) -> Iterator[tuple[str, list[Face]]]:
    return ((image, list(its)) for image, its in groupby(faces, key=lambda face: face[0]))


def _file_state(image: str) -> list[int]:
    try:
        found = Path(image).stat()
    except OSError:
        return []
    return [found.st_size, found.st_mtime_ns]


def _cut(crops: dict[Face, Floats], side: int, uncompressed: bool) -> Iterator[bytes]:
    """The bytes of every crop, empty if its image cannot be read; images are cut in parallel threads."""

    def cut(faces: list[Face]) -> list[bytes]:
        try:
            image = read_image(Path(faces[0][0]))
            pixels = (warp_image(image, crops[face], (side, side)) for face in faces)
            return [crop.tobytes() if uncompressed else to_jpeg(crop, QUALITY) for crop in pixels]
        except DarkposeError:
            return [b""] * len(faces)

    groups = [faces for _, faces in _by_image(crops)]
    with ThreadPoolExecutor(os.cpu_count()) as pool, tqdm(total=len(crops), desc="cutting", disable=None) as bar:
        for first in range(0, len(groups), _CHUNK):
            for its in pool.map(cut, groups[first : first + _CHUNK]):
                yield from its
                bar.update(len(its))
