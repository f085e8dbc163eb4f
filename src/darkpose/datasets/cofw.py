"""COFW: 29 landmarks and the images themselves in MATLAB files (Burgos-Artizzu, Perona, Dollar, ICCV 2013).

    ROOT/COFW_train_color.mat   images IsTr, face boxes bboxesTr, annotations phisTr
    ROOT/COFW_test_color.mat    IsT, bboxesT, phisT

The files are HDF5 (MATLAB 7.3), which holds the arrays of MATLAB transposed. A row of annotations is x1..x29, y1..y29
and 29 occlusion flags; occluded landmarks are annotated, too, and count as visible. Coordinates are used unchanged,
although MATLAB counts pixels from 1; the JSON files of OpenMMLab have them 1 px less.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from darkpose.datasets.mat73 import open_mat73, read_array
from darkpose.datasets.reading import BoxSource, checked_box, choose, read_each, tight_box, uses_file_box
from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError
from darkpose.image.geometry import Floats
from darkpose.image.pixels import as_rgb, write_image
from darkpose.schema import COFW_29

if TYPE_CHECKING:
    import h5py

PUBLISHED = {"train": {"faces": 1345}, "test": {"faces": 507}}
_SUFFIXES = {"train": "Tr", "test": "T"}
_K = len(COFW_29)


class _Faces(NamedTuple):
    """The arrays of N faces; images are references into the file."""

    images: list[Any]
    boxes: Floats  # (N, 4) x, y, width, height
    annotations: Floats  # (N, 87)


def read_cofw(
    root: Path, split: str = "test", *, images: Path, box: BoxSource = "landmarks", broken: list[str] | None = None
) -> list[Sample]:
    """Read the faces of COFW in the order of the file; needs `pip install 'darkpose[data]'`.

    Args:
        root: the folder of the MATLAB files.
        split: "train" or "test".
        images: folder to write the images to, as test_0001.png and so on; existing ones are kept.
        box: "landmarks": the box of the landmarks, `geometry.landmark_box`, as published; "file": the box in the file.
        broken: collects the messages of faces that cannot be read; None: the first one raises.

    Raises:
        DarkposeError: the split is unknown, h5py is missing, the file is missing or not as published, a face cannot be
            read, or an image cannot be written.
    """
    suffix, file_box = choose(_SUFFIXES, split, "split of COFW"), uses_file_box(box)
    file = root / f"COFW_{split}_color.mat"
    with open_mat73(file) as content:
        faces = _load(content, suffix, file)

        def read(row: int) -> Sample:
            where = f"{file}: row {row + 1}"
            keypoints, visible = faces.annotations[row, : 2 * _K].reshape(2, _K).T, np.ones(_K)
            x, y, width, height = faces.boxes[row]
            given = np.array([x, y, x + width, y + height])
            around = checked_box(given, where) if file_box else tight_box(keypoints, visible, where)
            image = images / f"{split}_{row + 1:04d}.png"
            if not image.exists():
                _write(image, content, faces.images[row], where)
            return Sample(image, keypoints, visible, around, source=where)

        return read_each(file, range(len(faces.images)), read, broken)


def _load(content: "h5py.File", suffix: str, file: Path) -> _Faces:
    names = [f"{stem}{suffix}" for stem in ("Is", "bboxes", "phis")]
    try:
        arrays = [read_array(content, name) for name in names]
    except DarkposeError as error:
        raise DarkposeError(f"{file}: expected the arrays {', '.join(names)}; {error}") from error
    images, boxes, annotations = arrays
    count = images.size
    if images.dtype != object or boxes.shape != (4, count) or annotations.shape != (3 * _K, count):
        got = f"{images.dtype} {images.shape}, {boxes.shape}, {annotations.shape}"
        raise DarkposeError(
            f"{file}: expected N cells in {names[0]}, {names[1]} of 4 x N and {names[2]} of {3 * _K} x N as HDF5 holds "
            f"them, got {got}"
        )
    return _Faces(list(images.ravel()), np.asarray(boxes.T, np.float64), np.asarray(annotations.T, np.float64))


def _write(path: Path, content: "h5py.File", reference: Any, where: str) -> None:
    """Write an image, (H, W) or (H, W, 3) in MATLAB, which HDF5 holds transposed."""
    try:
        pixels = as_rgb(read_array(content, reference).T)
        path.parent.mkdir(parents=True, exist_ok=True)
    except (OSError, DarkposeError) as error:
        raise DarkposeError(f"{where}: its image cannot be written to {path}: {error}") from error
    write_image(path, pixels)
