"""Comparison of two predictions of the same faces."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np

from darkpose.datasets.sample import Sample, nme_normalisers
from darkpose.evaluation.metrics import bootstrap_interval, normalised_errors
from darkpose.evaluation.report import NAN, pooled, without_nan
from darkpose.image.geometry import Floats
from darkpose.schema import KeypointSchema

FEW_IMAGES = 10  # on fewer, an interval over images means little


@dataclass(frozen=True)
class Comparison:
    """Two predictions of the same faces, in per cent of the published normaliser.

    Attributes:
        faces, images: number of faces that both found, and of their images.
        difference: pooled NME of the first minus that of the second on those faces; negative: the first is better.
        interval: 95 % bootstrap interval of the difference, by image.
        missed: number of faces that each missed.
        found_by_one: number of faces that only one of them found; they are not in the difference.
    """

    faces: int
    images: int
    difference: float
    interval: tuple[float, float]
    missed: tuple[int, int]
    found_by_one: int

    def to_dict(self) -> dict[str, Any]:
        """JSON values; NaN becomes null."""
        return cast(dict[str, Any], without_nan(asdict(self)))

    def line(self) -> str:
        """One line; without a verdict if there are few images, or if one missed faces that the other found."""
        if not self.faces:
            return "no face was found in both"
        low, high = self.interval
        count = f"{self.faces} face{'' if self.faces == 1 else 's'}"
        found = f"{self.difference:+.3f} ({low:+.3f} .. {high:+.3f}), {count}"
        if self.found_by_one:
            return f"{found} that both found"
        if self.images < FEW_IMAGES:
            return f"{found}: too few images for a verdict"
        verdict = "no difference shown" if low <= 0 <= high else f"the first is {'better' if high < 0 else 'worse'}"
        return f"{found}: {verdict}"


def compare_predictions(first: Floats, second: Floats, samples: Sequence[Sample], schema: KeypointSchema) -> Comparison:
    """Compare two predictions (N, K, 2), image px, face by face; faces that one of them missed are left out.

    The difference is NaN if no face was found in both.

    Raises:
        DarkposeError: shapes differ, or a normaliser is not positive.
    """
    found = [np.isfinite(points).all(axis=(1, 2)) for points in (first, second)]
    both, missed = found[0] & found[1], (int((~found[0]).sum()), int((~found[1]).sum()))
    found_by_one = int((found[0] ^ found[1]).sum())
    if not both.any():
        return Comparison(0, 0, NAN, (NAN, NAN), missed, found_by_one)
    annotated = np.stack([sample.keypoints for sample in samples])[both]
    visible = np.stack([sample.visible for sample in samples])[both] > 0
    images = np.array([str(sample.image) for sample in samples])[both]
    lengths = nme_normalisers(samples, schema)[both]
    errors = [100 * normalised_errors(points[both], annotated, lengths) for points in (first, second)]
    rows = np.stack([np.where(visible, errors[0] - errors[1], 0).sum(axis=1), visible.sum(axis=1)], axis=1)
    interval = bootstrap_interval(rows, pooled, groups=images)
    return Comparison(int(both.sum()), len(np.unique(images)), pooled(rows), interval, missed, found_by_one)
