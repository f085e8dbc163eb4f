"""WFLW: lists of 98 landmarks and full photographs (Wu et al., Look at Boundary, CVPR 2018).

    ROOT/WFLW_images/
    ROOT/WFLW_annotations/list_98pt_rect_attr_train_test/list_98pt_rect_attr_{train,test}.txt
    ROOT/WFLW_annotations/list_98pt_test/list_98pt_test_{largepose,expression,illumination,makeup,occlusion,blur}.txt

A line holds 196 coordinates x, y, ..., in the first lists also a box and six flags, then the image. Coordinates are
used unchanged, the centre of the first pixel at (0, 0), as in the reference.
"""

from pathlib import Path

import numpy as np

from darkpose.datasets.reading import (
    BoxSource,
    checked_box,
    choose,
    numbered_lines,
    numbers,
    read_each,
    tight_box,
    uses_file_box,
)
from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError
from darkpose.image.geometry import Floats
from darkpose.schema import WFLW_98

SUBSETS = ("pose", "expression", "illumination", "makeup", "occlusion", "blur")  # in the order of the flags
PUBLISHED = {
    "train": {"faces": 7500},
    "test": {
        "faces": 2500,
        **{"pose": 326, "expression": 314, "illumination": 698, "makeup": 206, "occlusion": 736, "blur": 773},
    },
}
_LISTS = {split: f"list_98pt_rect_attr_train_test/list_98pt_rect_attr_{split}.txt" for split in PUBLISHED}
_SUBSET_LISTS = {
    subset: f"list_98pt_test/list_98pt_test_{'largepose' if subset == 'pose' else subset}.txt" for subset in SUBSETS
}
_COORDINATES = 2 * len(WFLW_98)


def read_wflw(
    root: Path, split: str = "test", *, box: BoxSource = "landmarks", broken: list[str] | None = None
) -> list[Sample]:
    """Read the faces of WFLW in the order of the list; the flags give the subsets, in both splits.

    Args:
        root: the folder of WFLW_images and WFLW_annotations.
        split: "train" or "test".
        box: "landmarks": the box of the landmarks, `geometry.landmark_box`, as published; "file": the box in the list.
        broken: collects the messages of lines that cannot be read; None: the first one raises.

    Raises:
        DarkposeError: the split is unknown, the list is missing or empty, or a line cannot be read (the line is named).
    """
    file, file_box = root / "WFLW_annotations" / choose(_LISTS, split, "split of WFLW"), uses_file_box(box)

    def read(line: tuple[int, str]) -> Sample:
        where = f"{file}:{line[0]}"
        values, image = _fields(line[1], _COORDINATES + 10, where)
        flags = values[-6:].tolist()
        if not set(flags) <= {0, 1}:
            raise DarkposeError(f"{where}: expected six flags of 0 or 1 before the image name, got {flags}")
        subsets = frozenset(subset for subset, flag in zip(SUBSETS, flags, strict=True) if flag)
        given = checked_box(values[-10:-6], where) if file_box else None
        return _sample(root, image, values, given, subsets, where)

    return read_each(file, numbered_lines(file), read, broken)


def read_wflw_subset(root: Path, subset: str, *, broken: list[str] | None = None) -> list[Sample]:
    """Read the faces of a published subset of the test set, from its list; boxes are those of the landmarks.

    Args:
        root: as for `read_wflw`.
        subset: one of `SUBSETS`.
        broken: as for `read_wflw`.

    Raises:
        DarkposeError: the subset is unknown, or as for `read_wflw`.
    """
    file = root / "WFLW_annotations" / choose(_SUBSET_LISTS, subset, "subset of WFLW")

    def read(line: tuple[int, str]) -> Sample:
        where = f"{file}:{line[0]}"
        values, image = _fields(line[1], _COORDINATES, where)
        return _sample(root, image, values, None, frozenset([subset]), where)

    return read_each(file, numbered_lines(file), read, broken)


def _fields(line: str, count: int, where: str) -> tuple[Floats, str]:
    """The numbers of a line, and its last field, the image name."""
    *fields, image = line.split()
    if len(fields) != count:
        raise DarkposeError(f"{where}: expected {count} numbers and an image name, got {len(fields) + 1} fields")
    return numbers(fields, where), image


def _sample(root: Path, image: str, values: Floats, box: Floats | None, subsets: frozenset[str], where: str) -> Sample:
    keypoints = values[:_COORDINATES].reshape(-1, 2)
    visible = np.ones(len(keypoints))
    box = tight_box(keypoints, visible, where) if box is None else box
    return Sample(root / "WFLW_images" / image, keypoints, visible, box, subsets, source=where)
