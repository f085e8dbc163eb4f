"""Landmark schemas: names, flip pairs, outlines and eyes of the landmarks of a face.

"left" and "right" are the left and right of the image of an upright face, as in the published annotations. Flip pairs
follow from the names: two names that differ only in `left_` and `right_` are a pair.
"""

import operator
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from darkpose.errors import DarkposeError

Pairs = tuple[tuple[int, int], ...]
Outlines = tuple[tuple[int, ...], ...]


def mirrored(name: str) -> str:
    """The name of the landmark in this place in a mirrored image."""
    schema, slash, landmark = name.rpartition("/")  # joined schemas name landmarks "schema/landmark"
    for here, there in (("left_", "right_"), ("right_", "left_")):
        if landmark.startswith(here):
            return schema + slash + there + landmark.removeprefix(here)
    return name


def flip_pairs_from_names(names: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """Index pairs (i, j), i < j, of the names that are mirror images of each other."""
    index = {name: i for i, name in enumerate(names)}
    return tuple((i, j) for i, name in enumerate(names) if i < (j := index.get(mirrored(name), i)))


_FILE_NAME = re.compile(r"\w[\w .+-]{0,99}")


def name_for_schema(text: str) -> str:
    """A name that a schema can have, from any text: other characters become underscores."""
    name = re.sub(r"[^\w .+-]", "_", text)[:100]
    return name if _FILE_NAME.fullmatch(name) else f"_{name[1:]}"


def _indices(values: Iterable[SupportsIndex]) -> tuple[int, ...]:
    return tuple(map(operator.index, values))  # of NumPy, too


@dataclass(frozen=True)
class KeypointSchema:
    """The K landmarks of a face.

    Attributes:
        name: for example "wflw-98".
        names: the K landmark names, unique.
        flip_pairs: index pairs that swap in a mirrored image; other landmarks keep their index.
        outlines: polylines of indices, for drawing; a closed one repeats its first index.
        nme_pair: the two landmarks whose distance is the usual NME normaliser; None: a length of the annotated box.
        left_eye, right_eye: indices of landmarks whose mean is the centre of the eye on the left and right of the
            image; may be empty.
        parts: the schemas that this one joins, in the order of their landmarks (see `join_schemas`); usually empty.
        named_regions: names of regions, each with the indices of its landmarks; empty: by words in the names of the
            landmarks (see `regions`).
        nme_box: the length of the annotated box that is the normaliser if there is no `nme_pair`: its longer side, or
            its diagonal.

    Raises:
        DarkposeError: names repeat, an index is out of range, or a landmark is in two flip pairs.
    """

    name: str
    names: tuple[str, ...]
    flip_pairs: tuple[tuple[int, int], ...]
    outlines: tuple[tuple[int, ...], ...] = ()
    nme_pair: tuple[int, int] | None = None
    left_eye: tuple[int, ...] = ()
    right_eye: tuple[int, ...] = ()
    parts: tuple["KeypointSchema", ...] = ()
    named_regions: tuple[tuple[str, tuple[int, ...]], ...] = ()
    nme_box: Literal["side", "diagonal"] = "side"

    def __post_init__(self) -> None:
        texts = isinstance(self.name, str) and all(isinstance(name, str) for name in self.names)
        if not texts or not _FILE_NAME.fullmatch(self.name):
            raise DarkposeError(
                "the name of a schema becomes part of file names: expected at most 100 letters, digits, spaces and "
                f"._+- after a letter or digit, got {str(self.name)[:120]!r}"
            )
        if len(set(self.names)) != len(self.names):
            repeated = sorted({name for name in self.names if self.names.count(name) > 1})
            told = str(repeated)[:200]
            raise DarkposeError(f"schema {self.name}: landmark names must be unique, these repeat: {told}")
        try:
            for name in ("flip_pairs", "outlines"):
                object.__setattr__(self, name, tuple(map(_indices, getattr(self, name))))
            for name in ("left_eye", "right_eye", *(() if self.nme_pair is None else ("nme_pair",))):
                object.__setattr__(self, name, _indices(getattr(self, name)))
            parts = tuple((str(region), _indices(part)) for region, part in self.named_regions)
            object.__setattr__(self, "named_regions", parts)
        except TypeError as error:
            raise DarkposeError(f"schema {self.name}: landmark indices must be whole numbers") from error
        if any(len(pair) != 2 for pair in (*self.flip_pairs, *([self.nme_pair] if self.nme_pair else []))):
            raise DarkposeError(f"schema {self.name}: a pair has two indices, got {self.flip_pairs} {self.nme_pair}")
        paired = [i for pair in self.flip_pairs for i in pair]
        if len(set(paired)) != len(paired):
            raise DarkposeError(f"schema {self.name}: a landmark can be in one flip pair only, got {self.flip_pairs}")
        used = [*paired, *(i for line in self.outlines for i in line), *(self.nme_pair or ())]
        used += [*self.left_eye, *self.right_eye, *(i for _, part in self.named_regions for i in part)]
        outside = sorted({i for i in used if not 0 <= i < len(self.names)})
        if self.nme_box not in ("side", "diagonal"):
            raise DarkposeError(f"schema {self.name}: nme_box must be side or diagonal, got {self.nme_box!r:.99}")
        if self.parts and sum(len(part) for part in self.parts) != len(self.names):
            total = sum(map(len, self.parts))
            raise DarkposeError(f"schema {self.name} has {len(self.names)} landmarks, but its parts have {total}")
        if outside:
            told = str(outside)[:200]
            raise DarkposeError(f"schema {self.name} has {len(self.names)} landmarks, but uses the indices {told}")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def flip_index(self) -> NDArray[np.intp]:
        """(K,), a new array: `keypoints[flip_index]` are the landmarks of the mirrored face in schema order."""
        index = np.arange(len(self), dtype=np.intp)
        for i, j in self.flip_pairs:
            index[i], index[j] = j, i
        return index

    def rows(self, part: str) -> slice:
        """The rows of one part, by the name of its schema; all rows for the schema's own name.

        Raises:
            DarkposeError: there is no such part.
        """
        if part == self.name:
            return slice(0, len(self))
        first = 0
        for each in self.parts:
            if each.name == part:
                return slice(first, first + len(each))
            first += len(each)
        known = ", ".join(each.name for each in self.parts) or self.name
        raise DarkposeError(f"expected one of the schemas {known}, got {part!r}")

    def index(self, name: str) -> int:
        """The index of a landmark by its name.

        Raises:
            DarkposeError: there is no such landmark; the message gives similar names.
        """
        if name in self.names:
            return self.names.index(name)
        from difflib import get_close_matches

        similar = get_close_matches(name, self.names, 3)
        hint = f"did you mean one of {', '.join(similar)}?" if similar else f"it has {', '.join(self.names[:3])}, ..."
        raise DarkposeError(f"schema {self.name} has no landmark {name!r}; {hint}")


REGIONS = {
    "contour": ("contour", "chin"),
    "brows": ("brow",),
    "eyes": ("eye", "pupil"),
    "nose": ("nose", "nostril"),
    "mouth": ("mouth", "lip"),
}


def regions(schema: KeypointSchema) -> dict[str, NDArray[np.intp]]:
    """Regions -> indices of their landmarks: those of the schema, else of a face, by words in the landmarks' names.

    Empty regions are left out.
    """
    if schema.named_regions:
        return {region: np.array(part, np.intp) for region, part in schema.named_regions if part}
    landmarks = [name.rpartition("/")[2] for name in schema.names]
    found = {
        region: np.array([i for i, name in enumerate(landmarks) if set(name.split("_")) & set(words)], np.intp)
        for region, words in REGIONS.items()
    }
    return {region: indices for region, indices in found.items() if len(indices)}


def join_schemas(*schemas: KeypointSchema) -> KeypointSchema:
    """Join the landmarks of several schemas in order, each named "schema/landmark"."""
    firsts = [sum(len(schema) for schema in schemas[:i]) for i in range(len(schemas))]
    pairs = [
        (i + first, j + first) for schema, first in zip(schemas, firsts, strict=True) for i, j in schema.flip_pairs
    ]
    return KeypointSchema(
        "+".join(schema.name for schema in schemas),
        tuple(f"{schema.name}/{name}" for schema in schemas for name in schema.names),
        tuple(pairs),
        parts=schemas,
    )


def _numbered(stem: str, numbers: range) -> tuple[str, ...]:
    return tuple(f"{stem}_{i}" for i in numbers)


def _closed(first: int, last: int) -> tuple[int, ...]:
    return (*range(first, last + 1), first)


_NOSE_BASE = ("left_nostril_outer", "left_nostril_inner", "nose_base", "right_nostril_inner", "right_nostril_outer")
_MOUTH = (
    *("left_mouth_corner", "left_upper_lip_0", "left_upper_lip_1", "upper_lip", "right_upper_lip_1"),
    *("right_upper_lip_0", "right_mouth_corner", "right_lower_lip_0", "right_lower_lip_1", "lower_lip"),
    *("left_lower_lip_1", "left_lower_lip_0", "left_inner_mouth_corner", "left_inner_upper_lip", "inner_upper_lip"),
    *("right_inner_upper_lip", "right_inner_mouth_corner", "right_inner_lower_lip", "inner_lower_lip"),
    "left_inner_lower_lip",
)
_EYE_6 = ("outer_corner", "upper_outer", "upper_inner", "inner_corner", "lower_inner", "lower_outer")
_EYE_8 = (
    *("outer_corner", "upper_outer", "upper_middle", "upper_inner"),
    *("inner_corner", "lower_inner", "lower_middle", "lower_outer"),
)


def _left_eye(parts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"left_eye_{part}" for part in parts)


def _right_eye(parts: tuple[str, ...]) -> tuple[str, ...]:
    """The published order of right eyes: from the inner corner along the upper lid."""
    half = len(parts) // 2
    upper, lower = parts[half::-1], parts[:half:-1]
    return tuple(f"right_eye_{part}" for part in (*upper, *lower))


def _schema(name: str, names: tuple[str, ...], **facts: object) -> KeypointSchema:
    return KeypointSchema(name, names, flip_pairs_from_names(names), **facts)  # type: ignore[arg-type]


AFLW_19 = _schema(
    "aflw-19",
    (
        *("left_brow_outer", "left_brow_middle", "left_brow_inner"),
        *("right_brow_inner", "right_brow_middle", "right_brow_outer"),
        *("left_eye_outer_corner", "left_eye_middle", "left_eye_inner_corner"),
        *("right_eye_inner_corner", "right_eye_middle", "right_eye_outer_corner"),
        *("left_nostril_outer", "nose_tip", "right_nostril_outer"),
        *("left_mouth_corner", "mouth_middle", "right_mouth_corner"),
        "chin",
    ),
    outlines=((0, 1, 2), (3, 4, 5), (6, 7, 8), (9, 10, 11), (12, 13, 14), (15, 16, 17)),
    left_eye=(6, 8),
    right_eye=(9, 11),
)

WFLW_98 = _schema(
    "wflw-98",
    (
        *_numbered("left_contour", range(16)),
        "chin",
        *_numbered("right_contour", range(15, -1, -1)),
        *_numbered("left_brow", range(9)),
        *_numbered("right_brow", range(4, -1, -1)),
        *_numbered("right_brow", range(8, 4, -1)),
        *_numbered("nose_bridge", range(4)),
        *_NOSE_BASE,
        *_left_eye(_EYE_8),
        *_right_eye(_EYE_8),
        *_MOUTH,
        *("left_pupil", "right_pupil"),
    ),
    outlines=(
        *(tuple(range(33)), _closed(33, 41), _closed(42, 50), tuple(range(51, 55)), tuple(range(55, 60))),
        *(_closed(60, 67), _closed(68, 75), _closed(76, 87), _closed(88, 95)),
    ),
    nme_pair=(60, 72),
    left_eye=tuple(range(60, 68)),
    right_eye=tuple(range(68, 76)),
)

W300_68 = _schema(
    "300w-68",
    (
        *_numbered("left_contour", range(8)),
        "chin",
        *_numbered("right_contour", range(7, -1, -1)),
        *_numbered("left_brow", range(5)),
        *_numbered("right_brow", range(4, -1, -1)),
        *_numbered("nose_bridge", range(4)),
        *_NOSE_BASE,
        *_left_eye(_EYE_6),
        *_right_eye(_EYE_6),
        *_MOUTH,
    ),
    outlines=(
        *(tuple(range(17)), tuple(range(17, 22)), tuple(range(22, 27)), tuple(range(27, 31)), tuple(range(31, 36))),
        *(_closed(36, 41), _closed(42, 47), _closed(48, 59), _closed(60, 67)),
    ),
    nme_pair=(36, 45),
    left_eye=tuple(range(36, 42)),
    right_eye=tuple(range(42, 48)),
)

COFW_29 = _schema(
    "cofw-29",
    (
        *("left_brow_outer", "right_brow_outer", "left_brow_inner", "right_brow_inner"),
        *("left_brow_upper", "left_brow_lower", "right_brow_upper", "right_brow_lower"),
        *("left_eye_outer_corner", "right_eye_outer_corner", "left_eye_inner_corner", "right_eye_inner_corner"),
        *("left_eye_upper", "left_eye_lower", "right_eye_upper", "right_eye_lower"),
        *("left_pupil", "right_pupil", "left_nostril_outer", "right_nostril_outer", "nose_tip", "nose_base"),
        *("left_mouth_corner", "right_mouth_corner", "upper_lip", "inner_upper_lip", "inner_lower_lip", "lower_lip"),
        "chin",
    ),
    outlines=(
        *((0, 4, 2, 5, 0), (1, 6, 3, 7, 1), (8, 12, 10, 13, 8), (9, 14, 11, 15, 9)),
        *((18, 21, 19), (22, 24, 23, 27, 22), (22, 25, 23, 26, 22)),
    ),
    nme_pair=(8, 9),
    left_eye=(8, 10, 12, 13),
    right_eye=(9, 11, 14, 15),
)

SCHEMAS = {schema.name: schema for schema in (AFLW_19, WFLW_98, W300_68, COFW_29)}
