"""Checks of a data set: counts, images, landmarks and duplicates."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from darkpose.datasets.sample import Sample
from darkpose.errors import DarkposeError
from darkpose.files.paths import is_file
from darkpose.image.pixels import read_image
from darkpose.schema import KeypointSchema

SAME_BOX = 0.9  # least intersection over union of two boxes that count as duplicates


@dataclass(frozen=True)
class DataSetReport:
    """The findings of `check_samples`; every finding is a sentence that names the place.

    Attributes:
        counts: "faces", "images" and every subset -> number.
        published: the published counts; empty if none were given.
        decoded: whether images were decoded; if not, `unreadable` and `outside` are unknown and empty.
        wrong_counts: counts that differ from the published ones.
        broken: annotations that could not be read.
        missing: images that do not exist.
        unreadable: images that cannot be decoded.
        duplicates: two faces of one image with the same landmarks or near-identical boxes.
        outside: faces with annotated landmarks outside their image, as some published faces have.
    """

    counts: dict[str, int]
    published: dict[str, int]
    decoded: bool
    wrong_counts: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    duplicates: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether every annotation and image can be read and the counts are the published ones."""
        return not (self.wrong_counts or self.broken or self.missing or self.unreadable)

    def to_dict(self) -> dict[str, Any]:
        """All findings, for JSON."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"whole": self.whole} | {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    def lines(self, limit: int = 10) -> list[str]:
        """The report as text, with at most `limit` findings of each kind."""
        counts = ", ".join(f"{name} {count}" for name, count in self.counts.items())
        lines = [counts, "whole" if self.whole else "not whole"]
        if not self.decoded:
            lines.append("images were not decoded: unreadable images and landmarks outside their image are not known")
        for kind in ("wrong_counts", "broken", "missing", "unreadable", "duplicates", "outside"):
            found = getattr(self, kind)
            if found:
                lines += [f"{kind.replace('_', ' ')} ({len(found)}):", *(f"  {finding}" for finding in found[:limit])]
                lines += [f"  and {len(found) - limit} more"] if len(found) > limit else []
        return lines


def check_samples(
    samples: Sequence[Sample],
    schema: KeypointSchema,
    published: Mapping[str, int] | None = None,
    *,
    broken: Sequence[str] = (),
    decode: bool = True,
) -> DataSetReport:
    """Check every face and image of a data set.

    Args:
        samples: from a reader.
        schema: of their landmarks.
        published: "faces" and subsets -> published number, for example `wflw.PUBLISHED["test"]`.
        broken: messages that the reader collected as `broken`.
        decode: decode every image, which is slow; otherwise only check that it exists.

    Raises:
        DarkposeError: a sample and the schema differ in their number of landmarks.
    """
    wrong = next((sample for sample in samples if len(sample.keypoints) != len(schema)), None)
    if wrong is not None:
        raise DarkposeError(
            f"{_where(wrong)}: expected {len(schema)} landmarks ({schema.name}), got {len(wrong.keypoints)}"
        )
    images: defaultdict[Path, list[Sample]] = defaultdict(list)
    for sample in samples:
        images[sample.image].append(sample)
    subsets = Counter(subset for sample in samples for subset in sample.subsets)
    counts = {"faces": len(samples), "images": len(images), **dict(sorted(subsets.items()))}
    missing, unreadable, outside = _check_images(images, schema, decode)
    return DataSetReport(
        counts,
        dict(published or {}),
        decode,
        wrong_counts=tuple(_wrong_counts(counts, published or {})),
        broken=tuple(broken),
        missing=tuple(missing),
        unreadable=tuple(unreadable),
        duplicates=tuple(text for faces in images.values() for text in _duplicates(faces)),
        outside=tuple(outside),
    )


def _where(sample: Sample) -> str:
    return sample.source or str(sample.image)


def _wrong_counts(counts: Mapping[str, int], published: Mapping[str, int]) -> list[str]:
    return [
        f"{name}: {counts.get(name, 0)}, published {expected}"
        for name, expected in published.items()
        if counts.get(name, 0) != expected
    ]


def _check_images(
    images: Mapping[Path, list[Sample]], schema: KeypointSchema, decode: bool
) -> tuple[list[str], list[str], list[str]]:
    """Findings: missing, unreadable, outside."""
    missing, unreadable, outside = [], [], []
    for path, faces in tqdm(images.items(), "images", disable=None):
        if not is_file(path):
            missing.append(f"{path}: missing; {_where(faces[0])} refers to it")
        elif decode:
            try:
                height, width = read_image(path).shape[:2]
            except DarkposeError as error:
                unreadable.append(str(error))
            else:
                outside += [text for face in faces if (text := _outside(face, schema, width, height))]
    return missing, unreadable, outside


def _outside(face: Sample, schema: KeypointSchema, width: int, height: int) -> str | None:
    """The finding if landmarks are outside; an image extends from -0.5 to its size - 0.5 px."""
    excess = np.maximum(-0.5 - face.keypoints, face.keypoints - [width - 0.5, height - 0.5]).max(axis=1)
    excess[face.visible <= 0] = 0
    count, worst = int((excess > 0).sum()), int(excess.argmax())
    if not count:
        return None
    return (
        f"{_where(face)}: {count} of {len(schema)} landmarks outside the {width} x {height} image {face.image.name}, "
        f"the farthest {schema.names[worst]}, by {excess[worst]:.1f} px"
    )


def _duplicates(faces: Sequence[Sample]) -> list[str]:
    """Findings about pairs of faces of one image."""
    found = []
    for one, other in combinations(faces, 2):
        if np.array_equal(one.visible, other.visible) and _same_landmarks(one, other):
            found.append(f"{_where(one)} and {_where(other)}: equal landmarks")
        elif (overlap := _overlap(one.box, other.box)) > SAME_BOX:
            found.append(f"{_where(one)} and {_where(other)}: boxes overlap by {overlap:.0%}")
    return found


def _same_landmarks(one: Sample, other: Sample) -> bool:
    return np.array_equal(one.keypoints[one.visible > 0], other.keypoints[other.visible > 0])


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(np.prod(np.maximum(sides, 0)))
    total = float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2])) - shared
    return shared / total if total > 0 else 0.0
