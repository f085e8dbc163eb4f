"""The published data sets by name: how to read them, their markup, and how many faces there should be."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from darkpose.datasets import aflw, cofw, joined, w300, wflw
from darkpose.sample import Sample
from darkpose.schema import AFLW_19, COFW_29, W300_68, WFLW_98, KeypointSchema


class Reader(Protocol):
    """Reads the faces below a folder; `broken`, if given, collects what cannot be read instead of raising."""

    def __call__(self, root: Path, *, broken: list[str] | None = None) -> list[Sample]:
        """Faces in their published order."""
        ...


@dataclass(frozen=True)
class DataSet:
    """One split of a published data set.

    Attributes:
        name: for example "wflw-test".
        schema: its markup.
        read: its reader.
        published: "faces" and subsets -> how many there should be.
    """

    name: str
    schema: KeypointSchema
    read: Reader
    published: Mapping[str, int]


def _splits(
    name: str,
    schema: KeypointSchema,
    read: Callable[..., list[Sample]],
    published: Mapping[str, Mapping[str, int]],
) -> list[DataSet]:
    return [
        DataSet(f"{name}-{split}", schema, partial(read, split=split), counts) for split, counts in published.items()
    ]


def _read_cofw(root: Path, *, split: str, broken: list[str] | None = None) -> list[Sample]:
    """COFW's pictures lie inside its files; they are written out once, to ROOT/images."""
    return cofw.read_cofw(root, split, images=root / "images", broken=broken)


DATA_SETS = {
    each.name: each
    for each in (
        *_splits("wflw", WFLW_98, wflw.read_wflw, wflw.PUBLISHED),
        *_splits("aflw", AFLW_19, aflw.read_aflw, aflw.PUBLISHED),
        *_splits("300w", W300_68, w300.read_300w_split, w300.PUBLISHED),
        DataSet("300w-lfpw", W300_68, partial(w300.read_300w, folders=w300.LFPW_TEST_FOLDERS), {"faces": 224}),
        *_splits("cofw", COFW_29, _read_cofw, cofw.PUBLISHED),
        DataSet("faces-lfpw", W300_68, partial(w300.read_300w, folders=("300w/lfpw/testset",)), {"faces": 224}),
        DataSet("faces-300w", joined.FACES, partial(joined.read_faces, folders={"300w": 1}), {}),
        DataSet("faces", joined.FACES, partial(joined.read_faces, folders={"300w": 1, "wflw": 3}), {}),
    )
}
