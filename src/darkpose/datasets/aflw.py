"""AFLW with 19 landmarks: `AFLWinfo_release.mat` and the Flickr images (Koestinger et al., ICCVW 2011; landmarks and
splits: Zhu et al., Unconstrained Face Alignment via Cascaded Compositional Learning, CVPR 2016).

    ROOT/AFLWinfo_release.mat
    ROOT/data/flickr/{0,2,3}/   or ROOT/flickr/..., ROOT/images/..., ROOT/...

The file does not say whether pixels are counted from 0 or 1; coordinates are used unchanged, as in the reference.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkpose.datasets.mat5 import read_mat5
from darkpose.datasets.reading import checked_box, choose, read_each
from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError
from darkpose.files.paths import exists
from darkpose.image.geometry import Floats
from darkpose.schema import AFLW_19

PUBLISHED = {
    "train": {"faces": 20000},
    "full": {"faces": 4386, "frontal": 1314},
    "frontal": {"faces": 1314, "frontal": 1314},
}
_TRAIN_FACES = PUBLISHED["train"]["faces"]
_IMAGE_FOLDERS = ("data/flickr", "flickr", "images", ".")
_K = len(AFLW_19)


class _Faces(NamedTuple):
    """The arrays of the file, a row per face; `order` holds the rows of training faces, then of test faces."""

    names: list[str]
    keypoints: Floats  # (N, 19, 2)
    annotated: NDArray[np.bool_]  # (N, 19)
    boxes: Floats  # (N, 4) x0, y0, x1, y1
    order: NDArray[np.intp]  # (N,)


def read_aflw(root: Path, split: str = "full", *, broken: list[str] | None = None) -> list[Sample]:
    """Read the faces of AFLW in the order of the published split.

    The box is a square with the centre and the longer side of the annotated face box; this side is also `box_size`, the
    NME normaliser. Masked landmarks have visibility 0. Test faces with all 19 landmarks are the subset "frontal".

    Args:
        root: the folder of AFLWinfo_release.mat and the images.
        split: "train", "full" (the test set) or "frontal" (its frontal part).
        broken: collects the messages of faces that cannot be read; None: the first one raises.

    Raises:
        DarkposeError: the split is unknown, the file or the images are missing or not as published,
            or a face cannot be read.
    """
    choose(PUBLISHED, split, "split of AFLW")
    file = root / "AFLWinfo_release.mat"
    faces = _load(file)
    rows, frontal = faces.order[:_TRAIN_FACES], np.all(faces.annotated, axis=1)
    if split != "train":
        rows = faces.order[_TRAIN_FACES:]
        rows = rows[frontal[rows]] if split == "frontal" else rows
    folder = _image_folder(root, (faces.names[row] for row in rows))

    def read(row: int) -> Sample:
        where = f"{file}: row {row + 1}"
        x0, y0, x1, y1 = checked_box(faces.boxes[row], where)
        side = max(x1 - x0, y1 - y0)
        center = np.array([x0 + x1, y0 + y1]) / 2
        return Sample(
            folder / faces.names[row],
            faces.keypoints[row],
            faces.annotated[row].astype(np.float64),
            np.concatenate([center - side / 2, center + side / 2]),
            frozenset(["frontal"]) if split != "train" and frontal[row] else frozenset(),
            box_size=float(side),
            source=where,
        )

    return read_each(file, rows.tolist(), read, broken)


def _load(file: Path) -> _Faces:
    arrays = read_mat5(file, ("nameList", "data", "mask_new", "bbox", "ra"))
    names = arrays.get("nameList")
    if not isinstance(names, list) or not all(Path(name).parts and "\0" not in name for name in names):
        raise DarkposeError(f"{file}: expected nameList to hold a path in every cell")
    numbers = {name: values for name, values in arrays.items() if not isinstance(values, list)}
    if cells := sorted(set(arrays) - set(numbers) - {"nameList"}):
        raise DarkposeError(f"{file}: expected {cells[0]} to hold numbers")
    count = len(names)
    for name, shape in {"data": (count, 2 * _K), "mask_new": (count, _K), "bbox": (count, 4)}.items():
        got = numbers[name].shape if name in numbers else "nothing"
        if got != shape:
            raise DarkposeError(f"{file}: expected {name} of the shape {shape}, as many rows as nameList, got {got}")
    left, right, top, bottom = numbers["bbox"].T  # in the order of the file
    return _Faces(
        names,
        numbers["data"].reshape(count, 2, _K).transpose(0, 2, 1),
        numbers["mask_new"] > 0,
        np.stack([left, top, right, bottom], axis=1),
        _order(file, numbers.get("ra", np.empty(0)), count),
    )


def _order(file: Path, ra: Floats, count: int) -> NDArray[np.intp]:
    """The published permutation, counted from 1 in the file, as rows from 0."""
    order = np.clip(np.nan_to_num(np.ravel(ra)), 0, count + 1).astype(np.intp) - 1
    if not np.array_equal(np.sort(order), np.arange(count)) or count <= _TRAIN_FACES:
        raise DarkposeError(
            f"{file}: expected more than {_TRAIN_FACES} faces and a permutation of them, counted from 1, as `ra`; "
            f"got {count} faces and {len(order)} numbers"
        )
    return order


def _image_folder(root: Path, names: Iterable[str]) -> Path:
    """The image folder that contains the first folder of the names."""
    first = next((Path(name).parts[0] for name in names), "")
    tried = [root / folder for folder in _IMAGE_FOLDERS]
    for folder in tried:
        if exists(folder / first):
            return folder
    raise DarkposeError(f"{root}: the images of AFLW are missing; looked for {first!r} in {', '.join(map(str, tried))}")
