"""Faces of several data sets in one joined schema; missing landmarks are derived or invisible.

    ROOT/300w/   300-W as `datasets.w300` reads it
    ROOT/wflw/   WFLW as `datasets.wflw` reads it: the training set, or the test set if that is asked for
    ROOT/cfp/, ROOT/merlrav/, ROOT/ytf/   faces in large poses as `datasets.posed_faces` reads them

A network trained on test faces of WFLW must not be evaluated on them: they get the subset "wflw-test", and the names of
their images are recorded in the provenance of the weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from darkpose.datasets.posed_faces import read_cfp, read_merlrav, read_ytf
from darkpose.datasets.reading import choose
from darkpose.datasets.sample import Sample
from darkpose.datasets.w300 import read_300w
from darkpose.datasets.wflw import read_wflw
from darkpose.derived.conversion import derive
from darkpose.errors import DarkposeError
from darkpose.schema import AFLW_19, W300_68, WFLW_98, KeypointSchema, join_schemas

TEST_FACES = "wflw-test"  # the subset of WFLW's test faces
FACES = join_schemas(W300_68, WFLW_98, AFLW_19)
# Landmarks with the same names in 300-W and WFLW but at different places (docs/experiments.md): the contour without the
# chin, and the lower and inner lips. With faces of both sets, each set teaches its own landmarks only.
_LIPS = {"300w-68": (55, 56, 58, 59, 61, 63, 65, 67), "wflw-98": (83, 84, 86, 87, 89, 91, 93, 95)}
_CONTOUR = {"300w-68": (*range(8), *range(9, 17)), "wflw-98": (*range(16), *range(17, 33))}
WEIGHTS = {"ytf": 0.3}  # of landmarks in the loss; these look machine-made
DIFFERENT_POINTS = {name: FACES.rows(name).start + np.array(_CONTOUR[name] + _LIPS[name]) for name in _LIPS}


def to_joined_schema(sample: Sample, schema: KeypointSchema, joined: KeypointSchema = FACES) -> Sample:
    """A sample with the landmarks of every part of a joined schema: annotated, derived or invisible.

    Args:
        sample: the face.
        schema: of the sample.
        joined: the joined schema; landmarks that cannot be derived are invisible.

    Raises:
        DarkposeError: no landmark of the joined schema can be derived.
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


def hide_landmarks(sample: Sample, rows: Sequence[int] | NDArray[np.intp]) -> Sample:
    """The sample with the landmarks in `rows` invisible."""
    visible = sample.visible.copy()
    visible[np.asarray(rows, np.intp)] = 0
    return replace(sample, visible=visible)


def read_faces(root: Path, folders: Mapping[str, int], *, broken: list[str] | None = None) -> list[Sample]:
    """Read the training faces of one or two data sets in the joined schema `FACES`.

    Args:
        root: the folder of the data sets.
        folders: "300w", "cfp", "merlrav", "merlrav-turned" (those that are not frontal), "ytf", and "wflw" or
            "wflw-test", its test faces -> number of times that each face appears in an epoch. With faces of WFLW,
            derived landmarks in `DIFFERENT_POINTS` are invisible.
        broken: collects the messages of faces that cannot be read; None: the first one raises.

    Raises:
        DarkposeError: a set is missing or unknown, or a face cannot be read.
    """
    faces: list[Sample] = []
    of_both = bool({"wflw", TEST_FACES} & set(folders)) and len(folders) > 1
    for folder, times in folders.items():
        found, schema = _read_folder(root, folder, broken)
        other = WFLW_98 if schema is W300_68 else W300_68
        left_out, weight = DIFFERENT_POINTS[other.name] if of_both else (), WEIGHTS.get(folder, 1.0)
        known = (hide_landmarks(to_joined_schema(sample, schema), left_out) for sample in found)
        marks = {TEST_FACES} & {folder}
        faces += [
            replace(sample, subsets=sample.subsets | marks, visible=weight * sample.visible) for sample in known
        ] * times
    return faces


def _read_folder(root: Path, folder: str, broken: list[str] | None) -> tuple[list[Sample], KeypointSchema]:
    """The training faces of one data set, and their schema."""
    if folder == "300w":
        return read_300w(root / folder, broken=broken), W300_68
    if folder in ("wflw", TEST_FACES):
        return read_wflw(root / "wflw", "test" if folder == TEST_FACES else "train", broken=broken), WFLW_98
    if folder == "merlrav-turned":
        turned = read_merlrav(root / "merlrav", "train", broken=broken)
        return [sample for sample in turned if "frontal" not in sample.subsets], W300_68
    readers = {"cfp": read_cfp, "merlrav": read_merlrav, "ytf": read_ytf}
    return choose(readers, folder, "data set to join")(root / folder, "train", broken=broken), W300_68
