"""300-W: images beside `.pts` files of 68 landmarks (Sagonas et al., ICCVW 2013)."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from darkpose.errors import DarkposeError
from darkpose.geometry import landmark_box
from darkpose.pts import read_pts
from darkpose.sample import Sample
from darkpose.schema import W300_68

TRAIN_FOLDERS = ("afw", "helen/trainset", "lfpw/trainset")
LFPW_TEST_FOLDERS = ("lfpw/testset",)
_IMAGE_SUFFIXES = (".jpg", ".png", ".jpeg", ".JPG", ".PNG")


def read_300w(root: Path, folders: Iterable[str] = TRAIN_FOLDERS) -> list[Sample]:
    """The faces of some folders of 300-W, in the order of their names; the box is the tight landmark box.

    Raises:
        DarkposeError: a folder is missing or empty, an annotation has no image or not 68 landmarks.
    """
    samples: list[Sample] = []
    for folder in folders:
        annotations = sorted((root / folder).glob("*.pts"))
        if not annotations:
            raise DarkposeError(f"{root / folder}: expected .pts files of 300-W there, found none")
        samples.extend(_read_face(path) for path in annotations)
    return samples


def _read_face(annotation: Path) -> Sample:
    keypoints = read_pts(annotation)
    if len(keypoints) != len(W300_68):
        raise DarkposeError(f"{annotation}: expected 68 landmarks, got {len(keypoints)}")
    images = [p for suffix in _IMAGE_SUFFIXES if (p := annotation.with_suffix(suffix)).exists()]
    if not images:
        raise DarkposeError(f"{annotation}: no image of the same name beside it ({', '.join(_IMAGE_SUFFIXES)})")
    return Sample(images[0], keypoints, np.ones(len(keypoints)), landmark_box(keypoints), source=str(annotation))
