"""One annotated face."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from darkpose.errors import DarkposeError
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
        DarkposeError: a shape is wrong, or a visible landmark or the box is not finite.
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
        return float((sample.box[2:] - sample.box[:2]).max()) if sample.box_size is None else sample.box_size
    first, second = schema.nme_pair
    pair = sample.keypoints[[first, second]]
    if not ((sample.visible[[first, second]] > 0) | pair.any(axis=1)).all():
        return float("nan")
    return float(np.linalg.norm(pair[0] - pair[1]))
