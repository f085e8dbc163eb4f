"""One annotated face, and the lengths that normalise its errors."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from darkpose.errors import DarkposeError
from darkpose.image.geometry import Floats
from darkpose.schema import KeypointSchema


@dataclass(frozen=True, eq=False)
class Sample:
    """The annotation of one face in a data set.

    Attributes:
        image: path of the image file.
        keypoints: (K, 2) float64, image px, the centre of the first pixel at (0, 0).
        visible: (K,) float64; 0 where a landmark is not annotated.
        box: (4,) float64 x0, y0, x1, y1, image px, for the crop, without padding.
        subsets: names of the published subsets of its test set that contain it.
        box_size: side of the annotated face in image px, if the data set normalises errors by it.
        source: of the annotation, for messages: a file and a line or an id.

    Raises:
        DarkposeError: a shape is wrong, a visible landmark or the box is not finite, or the image has no usable name.
    """

    image: Path
    keypoints: NDArray[np.float64]
    visible: NDArray[np.float64]
    box: NDArray[np.float64]
    subsets: frozenset[str] = frozenset()
    box_size: float | None = None
    source: str = ""

    def __post_init__(self) -> None:
        count, where = len(self.keypoints), self.source or self.image
        if self.keypoints.shape != (count, 2) or self.visible.shape != (count,) or self.box.shape != (4,):
            shapes = (self.keypoints.shape, self.visible.shape, self.box.shape)
            raise DarkposeError(f"{where}: expected shapes (K, 2), (K,) and (4,), got {shapes}")
        if not np.isfinite(self.keypoints[self.visible > 0]).all() or not np.isfinite(self.box).all():
            raise DarkposeError(f"{where}: an annotated landmark or the box is not a finite number")
        if "\0" in str(self.image):
            raise DarkposeError(f"{where}: the name of its image has a NUL character")


def samples_digest(samples: Iterable[Sample]) -> str:
    """SHA-256, in hex, of the image names, landmarks, visibilities and boxes, in order."""
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(sample.image.name.encode(errors="surrogateescape"))
        for values in (sample.keypoints, sample.visible, sample.box):
            digest.update(np.ascontiguousarray(values, np.float64).tobytes())
    return digest.hexdigest()


def nme_normaliser(sample: Sample, schema: KeypointSchema) -> float:
    """The usual NME normaliser of the schema for one face, in image px.

    Coordinates of landmarks that are not visible are used, too, as in the reference. Without coordinates (0, 0 in the
    published files), the normaliser is NaN.
    """
    if schema.nme_pair is None:
        sides = sample.box[2:] - sample.box[:2]
        if schema.nme_box == "diagonal":
            return float(np.hypot(*sides))
        return float(sides.max()) if sample.box_size is None else sample.box_size
    first, second = schema.nme_pair
    pair = sample.keypoints[[first, second]]
    if not ((sample.visible[[first, second]] > 0) | pair.any(axis=1)).all():
        return float("nan")
    return float(np.linalg.norm(pair[0] - pair[1]))


def nme_normalisers(samples: Sequence[Sample], schema: KeypointSchema) -> Floats:
    """The published normaliser of the schema for every face, (N,) image px.

    Raises:
        DarkposeError: one is not a positive number; the face is named.
    """
    lengths = np.array([nme_normaliser(sample, schema) for sample in samples])
    for sample, length in zip(samples, lengths, strict=True):
        if not (np.isfinite(length) and length > 0):
            raise DarkposeError(f"{sample.source or sample.image}: its normaliser is {length}; it must be positive")
    return lengths


_EYE_CORNERS = ("left_eye_outer_corner", "right_eye_outer_corner")


def normaliser_name(schema: KeypointSchema) -> str:
    """The name of the schema's usual normaliser: "inter_ocular", "box", "box_diagonal", or two landmarks."""
    if schema.nme_pair is None:
        return "box" if schema.nme_box == "side" else "box_diagonal"
    pair = [schema.names[i].rpartition("/")[2] for i in schema.nme_pair]
    return "inter_ocular" if sorted(pair) == sorted(_EYE_CORNERS) else "_to_".join(pair)


def all_normalisers(samples: Sequence[Sample], schema: KeypointSchema) -> dict[str, Floats]:
    """The usual normalisers by name, each (N,) image px; NaN if landmarks that a face needs for it are not annotated.

    inter_ocular: outer eye corners; inter_pupil: centres of the eyes; box: longer side of the box that crops are cut
    around, which is AFLW's annotated square and elsewhere the landmarks' box in whole px (or OpenMMLab's square);
    landmark_diagonal and landmark_sqrt: diagonal and sqrt(width * height) of the landmarks' extent.
    """
    found: dict[str, list[float]] = {}
    corners = [schema.names.index(name) for name in _EYE_CORNERS if name in schema.names]
    for sample in samples:
        box = sample.box if sample.box_size is None else np.array([0, 0, sample.box_size, sample.box_size])
        seen = sample.keypoints[sample.visible > 0]
        width, height = np.ptp(seen, axis=0) if len(seen) else (float("nan"), float("nan"))
        lengths = {
            "inter_ocular": _between(sample, corners[:1], corners[1:]),
            "inter_pupil": _between(sample, schema.left_eye, schema.right_eye),
            "box": float((box[2:] - box[:2]).max()),
            "landmark_diagonal": float(np.hypot(width, height)),
            "landmark_sqrt": float(np.sqrt(width * height)),
        }
        for name, length in lengths.items():
            found.setdefault(name, []).append(length if length > 0 else float("nan"))
    return {name: np.array(values) for name, values in found.items() if not np.isnan(values).all()}


def _between(sample: Sample, left: Sequence[int], right: Sequence[int]) -> float:
    used = [*left, *right]
    if not left or not right or not (sample.visible[used] > 0).all():
        return float("nan")
    return float(np.linalg.norm(sample.keypoints[list(left)].mean(axis=0) - sample.keypoints[list(right)].mean(axis=0)))
