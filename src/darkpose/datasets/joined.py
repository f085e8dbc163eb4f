"""Faces of several data sets under one joined markup: what a set did not annotate is derived or left out.

    ROOT/300w/   300-W as `datasets.w300` reads it
    ROOT/wflw/   WFLW as `datasets.wflw` reads it: the training set where its list is there, else the test set

A network that learns from WFLW's test faces must not be measured on them: they are marked as the subset "wflw-test",
and the names of their images go into the weights' provenance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from darkpose.datasets.derive import derive
from darkpose.datasets.sample import Sample
from darkpose.datasets.w300 import read_300w
from darkpose.datasets.wflw import read_wflw
from darkpose.errors import DarkposeError
from darkpose.schema import AFLW_19, W300_68, WFLW_98, KeypointSchema, join_schemas

FACES = join_schemas(W300_68, WFLW_98, AFLW_19)
# Landmarks that 300-W and WFLW number alike and place elsewhere (docs/experiments.md): the contour but its chin, lower
# and inner lips. Where faces of both sets are there, either's are learnt from its own faces alone.
_LIPS = {"300w-68": (55, 56, 58, 59, 61, 63, 65, 67), "wflw-98": (83, 84, 86, 87, 89, 91, 93, 95)}
_CONTOUR = {"300w-68": (*range(8), *range(9, 17)), "wflw-98": (*range(16), *range(17, 33))}
ELSEWHERE = {name: FACES.rows(name).start + np.array(_CONTOUR[name] + _LIPS[name]) for name in _LIPS}


def under_markups(sample: Sample, schema: KeypointSchema, joined: KeypointSchema = FACES) -> Sample:
    """A sample with the landmarks of every part of a joined markup: annotated, derived, or invisible.

    Args:
        sample: of the markup `schema`.
        schema: its markup.
        joined: the joined markup; landmarks of parts that do not follow from the sample's are invisible.

    Raises:
        DarkposeError: nothing of the joined markup follows from the sample's.
    """

    def landmarks(part: KeypointSchema) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        try:
            return derive(sample.keypoints, sample.visible, schema, part)
        except DarkposeError:
            return np.zeros((len(part), 2)), np.zeros(len(part))

    keypoints, visible = zip(*map(landmarks, joined.parts), strict=True)
    if sample.visible.any() and not np.concatenate(visible).any():
        raise DarkposeError(f"no landmark of {joined.name} can be derived from those of {schema.name}")
    return replace(sample, keypoints=np.concatenate(keypoints), visible=np.concatenate(visible))


def without(sample: Sample, rows: Sequence[int] | NDArray[np.intp]) -> Sample:
    """The sample with some of its landmarks invisible."""
    visible = sample.visible.copy()
    visible[np.asarray(rows, np.intp)] = 0
    return replace(sample, visible=visible)


def other_than(schema: KeypointSchema) -> KeypointSchema:
    """WFLW's markup for 300-W's, and the other way."""
    return W300_68 if schema is WFLW_98 else WFLW_98


def read_faces(root: Path, folders: Mapping[str, int], *, broken: list[str] | None = None) -> list[Sample]:
    """The training faces of some sets below a folder, under the joined markup `FACES`.

    Args:
        root: the folder.
        folders: "300w" and "wflw" -> how many times a face of the set appears in an epoch. With both, each set's
            faces lack the derived landmarks of `ELSEWHERE`.
        broken: given a list, faces that cannot be read add their messages to it instead of raising.

    Raises:
        DarkposeError: a set is missing or unknown, or a face cannot be read.
    """
    faces: list[Sample] = []
    for folder, times in folders.items():
        split = ""
        if folder == "300w":
            found, schema = read_300w(root / folder, broken=broken), W300_68
        elif folder == "wflw":
            split = wflw_split(root / folder)
            found, schema = read_wflw(root / folder, split, broken=broken), WFLW_98
        else:
            raise DarkposeError(f"expected the folders 300w and wflw, got {folder!r}")
        marks = {f"{folder}-test"} if split == "test" else set()
        left_out = ELSEWHERE[other_than(schema).name] if {"300w", "wflw"} <= set(folders) else ()
        known = (without(under_markups(sample, schema), left_out) for sample in found)
        faces += [replace(sample, subsets=sample.subsets | marks) for sample in known] * times
    return faces


def wflw_split(root: Path) -> str:
    """WFLW's training set, "train", where its list is there, else "test"."""
    lists = root / "WFLW_annotations" / "list_98pt_rect_attr_train_test"
    return "train" if (lists / "list_98pt_rect_attr_train.txt").is_file() else "test"
