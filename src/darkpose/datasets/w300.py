"""300-W: images and `.pts` files of 68 landmarks (Sagonas et al., ICCVW 2013).

ROOT/afw/  ROOT/helen/{trainset,testset}/  ROOT/lfpw/{trainset,testset}/  ROOT/ibug/
ROOT/300W/{01_Indoor,02_Outdoor}/   the private test set
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from darkpose.datasets.reading import choose, read_each, tight_box
from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError
from darkpose.files.pts import read_pts
from darkpose.schema import W300_68

TRAIN_FOLDERS = ("afw", "helen/trainset", "lfpw/trainset")
LFPW_TEST_FOLDERS = ("lfpw/testset",)
_COMMON = {"helen/testset": "common", "lfpw/testset": "common"}
_CHALLENGE = {"ibug": "challenge"}
_SPLITS: dict[str, dict[str, str]] = {  # folder -> published subset
    "train": dict.fromkeys(TRAIN_FOLDERS, ""),
    "common": _COMMON,
    "challenge": _CHALLENGE,
    "full": _COMMON | _CHALLENGE,
    "private": {"300W/01_Indoor": "indoor", "300W/02_Outdoor": "outdoor"},
}
PUBLISHED = {
    "train": {"faces": 3148},
    "common": {"faces": 554, "common": 554},
    "challenge": {"faces": 135, "challenge": 135},
    "full": {"faces": 689, "common": 554, "challenge": 135},
    "private": {"faces": 600, "indoor": 300, "outdoor": 300},
}
_IMAGE_SUFFIXES = (".jpg", ".png", ".jpeg", ".JPG", ".PNG", ".JPEG")


def read_300w(root: Path, folders: Iterable[str] = TRAIN_FOLDERS, *, broken: list[str] | None = None) -> list[Sample]:
    """Read the faces in folders of 300-W, in the order of their names; the box is the tight box of the landmarks.

    Args:
        root: the folder of 300-W.
        folders: folders in it.
        broken: collects the messages of faces that cannot be read; None: the first one raises.

    Raises:
        DarkposeError: a folder is missing or empty, or an annotation has no image or not 68 landmarks.
    """
    return [face for folder in folders for face in _read_folder(root / folder, frozenset(), broken)]


def read_300w_split(root: Path, split: str, *, broken: list[str] | None = None) -> list[Sample]:
    """Read the faces of a published split: "train", "common", "challenge", "full" (both) or "private".

    The subsets are "common" and "challenge", and "indoor" and "outdoor" in the private test set.

    Raises:
        DarkposeError: the split is unknown, or as for `read_300w`.
    """
    folders = choose(_SPLITS, split, "split of 300-W").items()
    return [
        face
        for folder, subset in folders
        for face in _read_folder(root / folder, frozenset([subset] if subset else []), broken)
    ]


def _read_folder(folder: Path, subsets: frozenset[str], broken: list[str] | None) -> list[Sample]:
    annotations = sorted(path for path in folder.glob("*.*") if path.suffix.lower() == ".pts")
    if not annotations:
        raise DarkposeError(f"{folder}: expected .pts files of 300-W, found none") from FileNotFoundError(folder)
    return read_each(folder, annotations, lambda annotation: _read_face(annotation, subsets), broken)


def _read_face(annotation: Path, subsets: frozenset[str]) -> Sample:
    keypoints = read_pts(annotation)
    if len(keypoints) != len(W300_68):
        raise DarkposeError(f"{annotation}: expected 68 landmarks, got {len(keypoints)}")
    images = [p for suffix in _IMAGE_SUFFIXES if (p := annotation.with_suffix(suffix)).exists()]
    if not images:
        raise DarkposeError(
            f"{annotation}: expected an image of the same name next to it ({', '.join(_IMAGE_SUFFIXES)})"
        )
    visible = np.ones(len(keypoints))
    box = tight_box(keypoints, visible, str(annotation))
    return Sample(images[0], keypoints, visible, box, subsets, source=str(annotation))
