"""The folders of OpenMMLab for AFLW, WFLW, 300-W and COFW, and the JSON file of every published split.

    ROOT/annotations/face_landmarks_wflw_{train,test}.json
    ROOT/annotations/face_landmarks_wflw_test_{largepose,expression,illumination,makeup,occlusion,blur}.json
    ROOT/annotations/face_landmarks_aflw_{train,test,test_frontal}.json
    ROOT/annotations/face_landmarks_300w_{train,valid,valid_common,valid_challenge,test}.json
    ROOT/annotations/cofw_{train,test}.json
    ROOT/images/   the file names in the JSON files are relative to it

ROOT is the folder of one data set. A subset is a separate file, which repeats faces of the file of the whole test set.
"""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

from darkpose.datasets.openmmlab import read_openmmlab
from darkpose.datasets.reading import choose
from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError
from darkpose.schema import AFLW_19, COFW_29, W300_68, WFLW_98

_SCHEMAS = {"wflw": WFLW_98, "aflw": AFLW_19, "300w": W300_68, "cofw": COFW_29}
_STEMS = {  # data set -> split -> file
    "wflw": {
        "train": "face_landmarks_wflw_train",
        "test": "face_landmarks_wflw_test",
        "pose": "face_landmarks_wflw_test_largepose",
        "expression": "face_landmarks_wflw_test_expression",
        "illumination": "face_landmarks_wflw_test_illumination",
        "makeup": "face_landmarks_wflw_test_makeup",
        "occlusion": "face_landmarks_wflw_test_occlusion",
        "blur": "face_landmarks_wflw_test_blur",
    },
    "aflw": {
        "train": "face_landmarks_aflw_train",
        "full": "face_landmarks_aflw_test",
        "frontal": "face_landmarks_aflw_test_frontal",
    },
    "300w": {
        "train": "face_landmarks_300w_train",
        "full": "face_landmarks_300w_valid",
        "common": "face_landmarks_300w_valid_common",
        "challenge": "face_landmarks_300w_valid_challenge",
        "private": "face_landmarks_300w_test",
    },
    "cofw": {"train": "cofw_train", "test": "cofw_test"},
}
_SUBSETS = {  # a split -> the splits that are subsets of it
    ("wflw", "test"): ("pose", "expression", "illumination", "makeup", "occlusion", "blur"),
    ("aflw", "full"): ("frontal",),
    ("300w", "full"): ("common", "challenge"),
}
_SAME = 0.01  # image px; the coordinates in the files contain rounding noise


def openmmlab_split_file(root: Path, data_set: str, split: str) -> Path:
    """The path of the JSON file of a split in the folders of OpenMMLab, whether it exists or not.

    Args:
        root: the folder of `annotations` and `images`.
        data_set: "wflw", "aflw", "300w" or "cofw".
        split: a published split, named as in `PUBLISHED` of the official reader, or a subset of WFLW.

    Raises:
        DarkposeError: the data set or split is unknown.
    """
    stems = choose(_STEMS, data_set, "data set of OpenMMLab")
    return root / "annotations" / f"{choose(stems, split, f'split of {data_set}')}.json"


def has_openmmlab_split(root: Path, data_set: str, split: str) -> bool:
    """Whether the JSON file of a split exists; arguments and errors as for `openmmlab_split_file`."""
    return openmmlab_split_file(root, data_set, split).is_file()


def read_openmmlab_split(root: Path, data_set: str, split: str, *, broken: list[str] | None = None) -> list[Sample]:
    """Read the faces of a split with `read_openmmlab`, and add their subsets.

    A face belongs to a subset if the file of the subset contains it: the same image, and keypoints equal within
    0.01 px. A subset without a file is empty. Faces of a split that is itself a subset belong to that subset only. The
    subsets "indoor" and "outdoor" of the private test set of 300-W follow from the image names.

    Args:
        root: the folder of `annotations` and `images`.
        data_set: "wflw", "aflw", "300w" or "cofw".
        split: as for `openmmlab_split_file`.
        broken: collects the messages of faces that cannot be read and of faces that only the file of a subset contains;
            None: the first one raises.

    Raises:
        DarkposeError: the data set or split is unknown, its file is missing, a file has another format, or a face
            cannot be read or is only in the file of a subset (the annotation is named).
    """
    file, images, schema = openmmlab_split_file(root, data_set, split), root / "images", _SCHEMAS[data_set]
    samples = read_openmmlab(file, images, schema, broken=broken)
    subsets = [_own_subsets(data_set, split, sample) for sample in samples]
    places = defaultdict(list)
    for place, sample in enumerate(samples):
        places[sample.image].append(place)
    for subset in _SUBSETS.get((data_set, split), ()):
        subset_file = openmmlab_split_file(root, data_set, subset)
        for face in read_openmmlab(subset_file, images, schema, broken=broken) if subset_file.is_file() else ():
            same = [place for place in places[face.image] if _same_keypoints(samples[place], face)]
            for place in same:
                subsets[place].add(subset)
            if not same:
                message = f"{face.source}: this face of {face.image.name} is not among those read from {file}"
                if broken is None:
                    raise DarkposeError(message)
                broken.append(message)
    return [replace(sample, subsets=frozenset(names)) for sample, names in zip(samples, subsets, strict=True)]


def _own_subsets(data_set: str, split: str, sample: Sample) -> set[str]:
    """The subsets that follow from the split and from the name of the image."""
    if (data_set, split) == ("300w", "private"):
        return {subset for subset in ("indoor", "outdoor") if sample.image.name.startswith(subset)}
    return {split for (whole, _), subsets in _SUBSETS.items() if whole == data_set and split in subsets}


def _same_keypoints(first: Sample, second: Sample) -> bool:
    return np.allclose(first.keypoints, second.keypoints, rtol=0, atol=_SAME, equal_nan=True)
