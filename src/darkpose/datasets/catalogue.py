"""The published data sets by name: their readers, schemas and numbers of faces.

A published split is read from the JSON file of OpenMMLab if it exists (`datasets.openmmlab_tree`), else from the
official files. The published results come from the JSON files: they contain the boxes of the crops and, for AFLW, the
normaliser of the error (`center`, `scale`, `box_size`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from darkpose.datasets import aflw, cofw, joined, posed_faces, w300, wflw
from darkpose.datasets.openmmlab_tree import has_openmmlab_split, openmmlab_split_file, read_openmmlab_split
from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError
from darkpose.schema import AFLW_19, COFW_29, W300_68, WFLW_98, KeypointSchema


class Reader(Protocol):
    """Reads the faces of a data set in a folder; `broken` collects the messages of faces that cannot be read."""

    def __call__(self, root: Path, *, broken: list[str] | None = None) -> list[Sample]:
        """The faces in their published order."""
        ...


@dataclass(frozen=True)
class DataSet:
    """One split of a published data set.

    Attributes:
        name: for example "wflw-test".
        schema: of its landmarks.
        read: its reader.
        published: "faces" and subsets -> published number.
    """

    name: str
    schema: KeypointSchema
    read: Reader
    published: Mapping[str, int]


def _splits(
    name: str,
    schema: KeypointSchema,
    official: Callable[..., list[Sample]],
    published: Mapping[str, Mapping[str, int]],
) -> list[DataSet]:
    return [
        DataSet(f"{name}-{split}", schema, partial(_read, data_set=name, split=split, official=official), counts)
        for split, counts in published.items()
    ]


def _read(
    root: Path, *, data_set: str, split: str, official: Callable[..., list[Sample]], broken: list[str] | None = None
) -> list[Sample]:
    """Read a published split from the JSON file of OpenMMLab if it exists, else from the official files."""
    if has_openmmlab_split(root, data_set, split):
        return read_openmmlab_split(root, data_set, split, broken=broken)
    try:
        return official(root, split, broken=broken)
    except DarkposeError as error:
        if not isinstance(error.__cause__, OSError):
            raise  # the official file exists
        file = openmmlab_split_file(root, data_set, split)
        raise DarkposeError(f"{error} (official files; the file of OpenMMLab, {file}, is missing, too)") from error


def _read_cofw(root: Path, split: str, *, broken: list[str] | None = None) -> list[Sample]:
    """Read COFW; the images in its files are written to ROOT/images once."""
    return cofw.read_cofw(root, split, images=root / "images", broken=broken)


_WFLW_SUBSETS = {
    subset: {"faces": wflw.PUBLISHED["test"][subset], subset: wflw.PUBLISHED["test"][subset]} for subset in wflw.SUBSETS
}
_POSES = {"300w": 1, "cfp": 1, "merlrav": 1, "merlrav-turned": 2, "ytf": 1}  # times in an epoch
DATA_SETS = {
    each.name: each
    for each in (
        *_splits("wflw", WFLW_98, wflw.read_wflw, wflw.PUBLISHED),
        *_splits("wflw", WFLW_98, wflw.read_wflw_subset, _WFLW_SUBSETS),
        *_splits("aflw", AFLW_19, aflw.read_aflw, aflw.PUBLISHED),
        *_splits("300w", W300_68, w300.read_300w_split, w300.PUBLISHED),
        DataSet("300w-lfpw", W300_68, partial(w300.read_300w, folders=w300.LFPW_TEST_FOLDERS), {"faces": 224}),
        *_splits("cofw", COFW_29, _read_cofw, cofw.PUBLISHED),
        DataSet("faces-lfpw", W300_68, partial(w300.read_300w, folders=("300w/lfpw/testset",)), {"faces": 224}),
        DataSet("faces-300w", joined.FACES, partial(joined.read_faces, folders={"300w": 1}), {}),
        DataSet("faces", joined.FACES, partial(joined.read_faces, folders={"300w": 1, "wflw": 24}), {}),
        DataSet("faces-wflw-test", joined.FACES, partial(joined.read_faces, folders={"300w": 1, "wflw-test": 24}), {}),
        DataSet("poses", joined.FACES, partial(joined.read_faces, folders=_POSES), {}),
        DataSet("poses-wflw-test", joined.FACES, partial(joined.read_faces, folders={**_POSES, "wflw-test": 4}), {}),
        *(
            DataSet(f"{name}-validation", W300_68, partial(read, part="validation"), {})
            for name, read in (
                ("cfp", posed_faces.read_cfp),
                ("merlrav", posed_faces.read_merlrav),
                ("ytf", posed_faces.read_ytf),
            )
        ),
    )
}
# Data sets joined from others -> names of those.
JOINED = {
    "faces-300w": ("300w-train",),
    "faces": ("300w-train", "wflw-train"),
    "faces-wflw-test": ("300w-train", "wflw-test"),
    "poses": ("300w-train", "aflw-train"),
    "poses-wflw-test": ("300w-train", "aflw-train", "wflw-test"),
}
# For tests; weights trained on one of them record the names of its images.
TEST_SETS = frozenset(DATA_SETS) - {
    *(f"{name}-train" for name in ("wflw", "aflw", "300w", "cofw")),
    *JOINED,
}
