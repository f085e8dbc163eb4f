"""Likely wrong labels: annotations from which predictions of the same objects differ most."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from darkpose.datasets.annotations import Annotations
from darkpose.datasets.sample import Sample, nme_normaliser
from darkpose.errors import DarkposeError
from darkpose.files.paths import place
from darkpose.image.geometry import Floats
from darkpose.schema import KeypointSchema

SWAPPED = 0.5  # of the error: less with left and right swapped means that they are swapped
NEARER = 0.5  # of the distance: another landmark's prediction this much nearer is named


@dataclass(frozen=True, eq=False)
class Disagreement:
    """One annotated object and its prediction.

    Attributes:
        sample: the object.
        predicted: (K, 2) image px; NaN where the prediction has no such landmark.
        errors: (K,) distances in shares of the normaliser; NaN where a landmark is not annotated or not predicted.
        hint: what the difference looks like, or "".
    """

    sample: Sample
    predicted: Floats
    errors: Floats
    hint: str

    @property
    def largest(self) -> float:
        """The largest of the errors."""
        return float(np.nanmax(self.errors))

    def sentence(self, schema: KeypointSchema) -> str:
        """The finding for a person."""
        worst, hint = schema.names[int(np.nanargmax(self.errors))], f"; {self.hint}" if self.hint else ""
        where = self.sample.source or str(self.sample.image)
        return f"{where}: {worst} is {self.largest:.0%} of the normaliser away, all {np.nanmean(self.errors):.1%}{hint}"


def disagreements(annotated: Annotations, predicted: Annotations) -> tuple[list[Disagreement], list[str]]:
    """Compare annotated objects with predictions of the same images, the largest difference first.

    An object's prediction is the nearest one of its image; each is used once. Landmarks correspond by name, or by
    number if both have as many and no name is the same. Errors are shares of the usual normaliser of the schema, or
    of the longer side of the box where an object lacks the landmarks for it.

    Returns:
        The findings, and sentences about objects without a prediction.

    Raises:
        DarkposeError: no landmark or no image is in both.
    """
    own, other = _corresponding(annotated.schema, predicted.schema)
    by_image: dict[str, list[Sample]] = {}
    for sample in predicted.samples:
        by_image.setdefault(_key(sample.image), []).append(sample)
    found, lacking = [], 0
    count = len(annotated.schema)
    images: dict[str, list[Sample]] = {}
    for sample in annotated.samples:
        images.setdefault(_key(sample.image), []).append(sample)
    for image, samples in images.items():
        moved = [_moved(each, own, other, count) for each in by_image.get(image, [])]
        for sample, points in _assigned(samples, moved, annotated.schema):
            if points is None:
                lacking += 1
            elif np.isfinite(errors := _errors(sample, points, annotated.schema)).any():
                found.append(Disagreement(sample, points, errors, _hint(sample, points, errors, annotated.schema)))
    if not found:
        raise DarkposeError("no annotated object has a prediction in the same image; compare the names of the images")
    found.sort(key=lambda each: -each.largest)
    notes = [f"annotated objects without a prediction: {lacking}"] if lacking else []
    return found, notes


def _key(image: Path) -> str:
    return place(image)


def _corresponding(schema: KeypointSchema, other: KeypointSchema) -> tuple[list[int], list[int]]:
    """Indices of the landmarks that both have."""
    shared = [name for name in schema.names if name in other.names]
    if shared:
        return [schema.names.index(name) for name in shared], [other.names.index(name) for name in shared]
    if len(schema) != len(other):
        raise DarkposeError(
            f"the predictions have {len(other)} landmarks, the annotations {len(schema)}, and no name is in both: "
            f"{schema.names[0]}, ... and {other.names[0]}, ..."
        )
    return list(range(len(schema))), list(range(len(schema)))


def _moved(prediction: Sample, own: Sequence[int], other: Sequence[int], count: int) -> Floats:
    """Predicted landmarks (count, 2) in the order of the annotations; NaN where there is none."""
    points = np.full((count, 2), np.nan)
    points[own] = np.where(prediction.visible[other, None] > 0, prediction.keypoints[other], np.nan)
    return points


def _assigned(
    samples: Sequence[Sample], predictions: Sequence[Floats], schema: KeypointSchema
) -> list[tuple[Sample, Floats | None]]:
    """Each object of an image with its prediction, the nearest first, or None."""
    costs = np.array([[_cost(sample, points) for points in predictions] for sample in samples])
    chosen: dict[int, int] = {}
    for flat in np.argsort(costs, axis=None, kind="stable"):
        row, column = (int(place) for place in np.unravel_index(flat, costs.shape))
        if row not in chosen and column not in chosen.values() and np.isfinite(costs[row, column]):
            chosen[row] = column
    return [(each, predictions[chosen[row]] if row in chosen else None) for row, each in enumerate(samples)]


def _cost(sample: Sample, points: Floats) -> float:
    """Mean distance as sets, so that swapped landmarks do not count: between the centres and the extents."""
    seen = (sample.visible > 0) & np.isfinite(points).all(axis=1)
    if not seen.any():
        return float("inf")
    own, other = sample.keypoints[seen], points[seen]
    centres = np.linalg.norm(own.mean(axis=0) - other.mean(axis=0))
    return float(centres + np.abs(np.ptp(own, axis=0) - np.ptp(other, axis=0)).sum() / 2)


def _errors(sample: Sample, points: Floats, schema: KeypointSchema) -> Floats:
    length = nme_normaliser(sample, schema)
    if not (np.isfinite(length) and length > 0):
        length = float((sample.box[2:] - sample.box[:2]).max())
    distances = (
        np.linalg.norm(sample.keypoints - points, axis=1) / length if length > 0 else np.full(len(points), np.nan)
    )
    return np.where(sample.visible > 0, distances, np.nan)


def _hint(sample: Sample, points: Floats, errors: Floats, schema: KeypointSchema) -> str:
    swapped = _errors(sample, points[schema.flip_index], schema)
    paired = np.isfinite(swapped) & np.isfinite(errors) & (schema.flip_index != np.arange(len(schema)))
    if paired.any() and swapped[paired].mean() < SWAPPED * errors[paired].mean():
        return "left and right look swapped"
    worst = int(np.nanargmax(errors))
    distances = np.linalg.norm(points - sample.keypoints[worst], axis=1)
    nearest = int(np.nanargmin(distances))
    if nearest != worst and distances[nearest] < NEARER * distances[worst]:
        return f"it lies at the prediction of {schema.names[nearest]}"
    return ""
