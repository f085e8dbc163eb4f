"""From predictions and annotations to numbers: every subset, every usual normaliser, failures, intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from darkpose.errors import DarkposeError
from darkpose.geometry import landmark_box
from darkpose.metrics import auc, bootstrap_interval, face_errors, failure_rate, normalised_errors
from darkpose.sample import Sample, nme_normaliser
from darkpose.schema import KeypointSchema

Floats = NDArray[np.float64]
WHOLE = "all"
NAN = float("nan")


@dataclass(frozen=True)
class SubsetReport:
    """The errors of one subset; all in per cent of the published normaliser, unless said otherwise.

    Attributes:
        faces: how many there are.
        missed: faces that were not found; they are failures, and no part of the means and percentiles.
        nme: pooled over visible landmarks, as published.
        interval: 95 % bootstrap interval of `nme`, by image.
        nme_by_face: mean of the faces' means.
        nme_by_normaliser: `nme` over other lengths, by their names.
        failure_rates, aucs: by threshold in per cent, over all faces.
        percentiles: of the faces' means, by percentage; 50 is the median.
    """

    faces: int
    missed: int
    nme: float
    interval: tuple[float, float]
    nme_by_face: float
    nme_by_normaliser: dict[str, float]
    failure_rates: dict[int, float]
    aucs: dict[int, float]
    percentiles: dict[int, float]


@dataclass(frozen=True)
class Report:
    """An evaluation.

    Attributes:
        normaliser: the published one's name.
        subsets: "all" and every subset of the data set -> its numbers.
        published: subset -> published NME in per cent, where the recipe has one.
    """

    normaliser: str
    subsets: dict[str, SubsetReport]
    published: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """JSON values; what is not a number is null."""
        return cast(dict[str, Any], _without_nan(asdict(self)))

    def lines(self) -> list[str]:
        """A table for people, and how far each published number is away."""
        head = f"{'subset':14}{'faces':>6}{'missed':>7}{'NME':>7}{'95 % interval':>16}{'FR8':>7}{'FR10':>7}"
        lines = [
            f"NME over {self.normaliser}, in per cent",
            head + f"{'AUC8':>7}{'AUC10':>7}{'P95':>7}{'published':>11}",
        ]
        for name, row in self.subsets.items():
            low, high = row.interval
            published = f"{self.published[name]:11.2f}" if name in self.published else f"{'-':>11}"
            lines.append(
                f"{name:14}{row.faces:6d}{row.missed:7d}{row.nme:7.2f}{f'{low:.2f} .. {high:.2f}':>16}"
                f"{row.failure_rates[8]:7.2f}{row.failure_rates[10]:7.2f}{row.aucs[8]:7.2f}{row.aucs[10]:7.2f}"
                f"{row.percentiles[95]:7.2f}{published}"
            )
        others = ", ".join(f"{name} {value:.2f}" for name, value in self.subsets[WHOLE].nme_by_normaliser.items())
        return [*lines, f"all, over other lengths: {others}"]


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and np.isnan(value) else value


def normalisers(samples: Sequence[Sample], schema: KeypointSchema) -> dict[str, Floats]:
    """The lengths in use, by name, each (N,) image px; NaN where a face's landmarks for it are not annotated.

    inter_ocular: outer eye corners; inter_pupil: centres of the eyes; box: longer side of the annotated box;
    landmark_diagonal and landmark_sqrt: diagonal and sqrt(width * height) of the landmarks' tight box.
    """
    found: dict[str, list[float]] = {}
    corners = [
        schema.names.index(name) for name in ("left_eye_outer_corner", "right_eye_outer_corner") if name in schema.names
    ]
    for sample in samples:
        box = sample.box if sample.box_size is None else np.array([0, 0, sample.box_size, sample.box_size])
        tight = landmark_box(sample.keypoints[sample.visible > 0]) if (sample.visible > 0).any() else np.full(4, np.nan)
        width, height = tight[2:] - tight[:2]
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


def report(
    points: Floats, samples: Sequence[Sample], schema: KeypointSchema, published: Mapping[str, float] | None = None
) -> Report:
    """Measure predictions.

    Args:
        points: (N, K, 2) image px in the order of the samples; infinite where a face was not found.
        samples: the annotated faces.
        schema: their markup.
        published: subset -> NME in per cent to compare with; "test" and "full" stand for all faces.

    Raises:
        DarkposeError: shapes differ, or a face's published normaliser is not a positive number (the face is named).
    """
    annotated = np.stack([sample.keypoints for sample in samples])
    if points.shape != annotated.shape:
        raise DarkposeError(f"predictions must be {annotated.shape}, as the annotations, got {points.shape}")
    usual = np.array([nme_normaliser(sample, schema) for sample in samples])
    for sample, length in zip(samples, usual, strict=True):
        if not (np.isfinite(length) and length > 0):
            raise DarkposeError(f"{sample.source or sample.image}: its normaliser is {length}; it must be positive")
    visible = np.stack([sample.visible for sample in samples]) > 0
    distances = np.linalg.norm(points - annotated, axis=-1)
    members = {WHOLE: np.ones(len(samples), bool)}
    for name in sorted({name for sample in samples for name in sample.subsets}):
        members[name] = np.array([name in sample.subsets for sample in samples])
    images = np.array([str(sample.image) for sample in samples])
    others = normalisers(samples, schema)
    rows = {
        name: _measure(distances[m], visible[m], usual[m], {k: v[m] for k, v in others.items()}, images[m])
        for name, m in members.items()
    }
    whole = {"test": WHOLE, "full": WHOLE}
    compared = {whole.get(name, name): value for name, value in (published or {}).items()}
    return Report("inter_ocular" if schema.nme_pair else "box", rows, compared)


@dataclass(frozen=True)
class Comparison:
    """Two systems on the same faces, all in per cent of the published normaliser.

    Attributes:
        faces: how many both found.
        difference: pooled NME of the first minus that of the second; negative: the first is better.
        interval: its 95 % bootstrap interval, by image.
    """

    faces: int
    difference: float
    interval: tuple[float, float]

    def line(self) -> str:
        """For people."""
        low, high = self.interval
        verdict = "no difference shown" if low <= 0 <= high else f"the first is {'better' if high < 0 else 'worse'}"
        return f"minus the other: {self.difference:+.3f} ({low:+.3f} .. {high:+.3f}) on {self.faces} faces: {verdict}"


def compare(points: Floats, others: Floats, samples: Sequence[Sample], schema: KeypointSchema) -> Comparison:
    """Compare two predictions (N, K, 2), image px, face by face; faces that one of them missed are left out.

    Raises:
        DarkposeError: shapes differ, a normaliser is not positive, or no face was found by both.
    """
    annotated = np.stack([sample.keypoints for sample in samples])
    visible = np.stack([sample.visible for sample in samples]) > 0
    both = np.isfinite(points).all(axis=(1, 2)) & np.isfinite(others).all(axis=(1, 2))
    if not both.any():
        raise DarkposeError("no face was found in both predictions")
    usual = np.array([nme_normaliser(sample, schema) for sample in samples])[both]
    gaps = [100 * normalised_errors(each[both], annotated[both], usual) for each in (points, others)]
    seen = visible[both]
    rows = np.stack([np.where(seen, gaps[0] - gaps[1], 0).sum(axis=1), seen.sum(axis=1)], axis=1)
    images = np.array([str(sample.image) for sample in samples])[both]
    return Comparison(int(both.sum()), _pooled(rows), bootstrap_interval(rows, _pooled, groups=images))


def _pooled(rows: Floats) -> float:
    """Mean error of landmarks from rows of (sum of errors, number of landmarks) per face."""
    return float(rows[:, 0].sum() / rows[:, 1].sum())


def _measure(
    distances: Floats, visible: NDArray[np.bool_], usual: Floats, others: Mapping[str, Floats], images: NDArray[np.str_]
) -> SubsetReport:
    errors = 100 * distances / usual[:, None]
    by_face = face_errors(errors, visible)
    found = np.isfinite(by_face)
    sums = np.stack([np.where(visible, errors, 0).sum(axis=1), visible.sum(axis=1)], axis=1)[found]

    def over(length: Floats) -> float:
        counted = visible & found[:, None] & np.isfinite(length)[:, None]
        return float((100 * distances / length[:, None])[counted].mean()) if counted.any() else NAN

    return SubsetReport(
        faces=len(errors),
        missed=int(np.isinf(by_face).sum()),
        nme=_pooled(sums) if len(sums) else NAN,
        interval=bootstrap_interval(sums, _pooled, groups=images[found]) if len(sums) else (NAN, NAN),
        nme_by_face=float(by_face[found].mean()) if len(sums) else NAN,
        nme_by_normaliser={name: over(length) for name, length in others.items()},
        failure_rates={t: 100 * failure_rate(by_face, t) for t in (8, 10)},
        aucs={t: 100 * auc(by_face, t) for t in (8, 10)},
        percentiles={p: float(np.percentile(by_face[found], p)) if len(sums) else NAN for p in (50, 90, 95, 99)},
    )
