"""What a file of annotations holds before the schema of its landmarks is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkpose.datasets.reading import tight_box
from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError
from darkpose.image.geometry import Floats
from darkpose.schema import Outlines, Pairs


class Labelled(NamedTuple):
    """One annotated object.

    Attributes:
        sample: its image, landmarks and box.
        hidden: (K,) which of its annotated landmarks are marked as hidden (v = 1 in COCO).
    """

    sample: Sample
    hidden: NDArray[np.bool_]


@dataclass(frozen=True)
class Labels:
    """The content of a file of annotations.

    Attributes:
        objects: the annotated objects, each with K landmarks.
        landmarks: K.
        name: for the schema.
        names: of the landmarks; None: the format has none.
        outlines: lines between landmarks, if the file has them.
        flip_pairs: if the file has them.
        category: of the objects, if the file names it.
        notes: sentences for a person: what was left out.
    """

    objects: list[Labelled]
    landmarks: int
    name: str
    names: tuple[str, ...] | None = None
    outlines: Outlines = ()
    flip_pairs: Pairs | None = None
    category: str = ""
    notes: tuple[str, ...] = ()


def labelled(image: Path, keypoints: Floats, visibility: Floats, box: Sequence[float] | None, where: str) -> Labelled:
    """An object from its landmarks (K, 2) and visibility (K,): 0 not annotated, 1 hidden, 2 or more seen.

    Without a box, or with an empty one, it has the tight box of its landmarks.

    Raises:
        DarkposeError: a landmark is not finite, or there is no box and not two different landmarks.
    """
    visible = np.clip(visibility, 0, 1)
    keypoints = np.where(visible[:, None] > 0, keypoints, 0)
    if not np.isfinite(keypoints).all() or not np.isfinite(visible).all():
        raise DarkposeError(f"{where}: a landmark is not a finite number")
    given = None if box is None else np.array(box, np.float64)
    if given is None or not np.isfinite(given).all() or not (given[2:] > given[:2]).all():
        given = tight_box(keypoints, visible, where)
    return Labelled(Sample(image, keypoints, visible, given, source=where), visibility == 1)


def only_one(choices: Sequence[str], wanted: str | None, file: Path, what: str) -> str:
    """The wanted one of some categories, or the only one.

    Raises:
        DarkposeError: there is none, or there are several and none is wanted.
    """
    found = [choice for choice in choices if wanted in (None, choice)]
    if len(found) == 1:
        return found[0]
    called = "" if wanted is None else f" called {wanted!r}"
    known = ", ".join(map(repr, choices))[:300] or "none"
    raise DarkposeError(f"{file}: expected one category {what}{called}; choose with --category: {known}")
