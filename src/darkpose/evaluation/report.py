"""The errors of predictions by subset, normaliser, region and landmark, with failures and intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from darkpose.datasets.sample import Sample, all_normalisers, nme_normalisers, normaliser_name
from darkpose.errors import DarkposeError
from darkpose.evaluation.metrics import auc, bootstrap_interval, face_errors, failure_rate
from darkpose.image.geometry import Floats
from darkpose.schema import KeypointSchema, regions

WHOLE = "all"
WHOLE_SET = {"test": WHOLE, "full": WHOLE}  # names of the whole test set in published tables
NAN = float("nan")


@dataclass(frozen=True)
class SubsetReport:
    """The errors on one subset, in per cent of the published normaliser unless another one is named.

    Attributes:
        faces: number of faces.
        missed: number of faces that were not found; they count as failures, and are left out of means and percentiles.
        nme: pooled over visible landmarks, as published.
        interval: 95 % bootstrap interval of `nme`, by image.
        nme_by_face: mean of the NMEs of the faces.
        nme_by_normaliser, face_mean_by_normaliser: `nme` and `nme_by_face` by other normalisers.
        faces_by_normaliser: number of found faces with that normaliser.
        nme_by_region: `nme` of regions of the face.
        failure_rates, aucs: by threshold in per cent, over all faces.
        percentiles: of the NMEs of the faces, by percentage; 50 is the median.
    """

    faces: int
    missed: int
    nme: float
    interval: tuple[float, float]
    nme_by_face: float
    nme_by_normaliser: dict[str, float]
    face_mean_by_normaliser: dict[str, float]
    faces_by_normaliser: dict[str, int]
    nme_by_region: dict[str, float]
    failure_rates: dict[int, float]
    aucs: dict[int, float]
    percentiles: dict[int, float]


@dataclass(frozen=True)
class ErrorReport:
    """The errors of predictions of a test set.

    Attributes:
        normaliser: name of the published normaliser.
        subsets: "all" and every subset of the data set -> its errors.
        published: subset -> published NME in per cent, if there is one; "test" and "full" are all faces.
        nme_by_landmark: name -> NME over all found faces, in per cent; NaN if it is annotated nowhere.
        caveats: reasons why the published numbers are not comparable: one clause each.
    """

    normaliser: str
    subsets: dict[str, SubsetReport]
    published: dict[str, float]
    nme_by_landmark: dict[str, float]
    caveats: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON values; NaN becomes null."""
        return cast(dict[str, Any], without_nan(asdict(self) | {"published_row": self.published_line()}))

    def comparable(self) -> dict[str, float]:
        """The published numbers by subset, with "all" for the whole set; none if there are caveats."""
        published = {} if self.caveats else self.published
        return {WHOLE_SET.get(name, name): value for name, value in published.items()}

    def lines(self) -> list[str]:
        """A table for people, next to the published numbers."""
        head = f"{'subset':14}{'faces':>6}{'missed':>7}{'NME':>7}{'95 % interval':>16}{'FR8':>7}{'FR10':>7}"
        published, whole = self.comparable(), self.subsets[WHOLE]
        return [
            f"NME over {self.normaliser}, in per cent; missed faces are failures in FR and AUC, and left out elsewhere",
            head + f"{'AUC8':>7}{'AUC10':>7}{'median':>7}{'P90':>7}{'P95':>7}{'P99':>7}{'published':>11}",
            *(_row(name, row, published.get(name)) for name, row in self.subsets.items()),
            f"all, mean NME of the faces: {whole.nme_by_face:.2f}",
            "all, over other lengths: " + _listed(whole.nme_by_normaliser, whole.faces_by_normaliser),
            "all, mean of the faces, over other lengths: " + _listed(whole.face_mean_by_normaliser),
            "all, by region: " + _listed(whole.nme_by_region),
        ]

    def published_line(self) -> str:
        """The published numbers and the differences from them, or why they are not comparable."""
        if not self.published:
            return "; ".join(["published row: none for this set-up", *self.caveats])
        if self.caveats:
            return f"published row: {_listed(self.published)}; not comparable: {'; '.join(self.caveats)}"
        parts = []
        for name, value in self.published.items():
            row = self.subsets.get(WHOLE_SET.get(name, name))
            here = f"here {row.nme:.2f} ({row.nme - value:+.2f})" if row else "not measured here"
            parts.append(f"{name} {value:.2f}, {here}")
        return "published row: " + "; ".join(parts)


def _row(name: str, row: SubsetReport, published: float | None) -> str:
    low, high = row.interval
    numbers = (*row.failure_rates.values(), *row.aucs.values(), *row.percentiles.values())
    return (
        f"{name:14}{row.faces:6d}{row.missed:7d}{row.nme:7.2f}{f'{low:.2f} .. {high:.2f}':>16}"
        f"{''.join(f'{value:7.2f}' for value in numbers)}{'-' if published is None else f'{published:.2f}':>11}"
    )


def _listed(values: Mapping[str, float], faces: Mapping[str, int] | None = None) -> str:
    """Names and numbers, with the number of faces if it is not the same for all."""
    few = {name: f" ({n} faces)" for name, n in (faces or {}).items() if n < max((faces or {}).values())}
    known = {name: value for name, value in values.items() if not np.isnan(value)}
    return ", ".join(f"{name} {value:.2f}{few.get(name, '')}" for name, value in known.items())


def without_nan(value: Any) -> Any:
    """JSON values with null for NaN and lists for tuples."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and np.isnan(value) else value


@dataclass(frozen=True, eq=False)
class _Distances:
    """Distances of predictions from annotations.

    Attributes:
        distances: (N, K) image px; infinite for faces that were not found.
        visible: (N, K).
        published: (N,) the published normaliser, image px.
        lengths: name -> (N,) other normalisers.
        images: (N,).
    """

    distances: Floats
    visible: NDArray[np.bool_]
    published: Floats
    lengths: Mapping[str, Floats]
    images: NDArray[np.str_]

    def of(self, faces: NDArray[np.bool_]) -> "_Distances":
        """Those of some faces (N,)."""
        lengths = {name: length[faces] for name, length in self.lengths.items()}
        return _Distances(
            self.distances[faces], self.visible[faces], self.published[faces], lengths, self.images[faces]
        )


def measure_errors(
    points: Floats,
    samples: Sequence[Sample],
    schema: KeypointSchema,
    published: Mapping[str, float] | None = None,
    caveats: Sequence[str] = (),
) -> ErrorReport:
    """Measure the errors of predictions.

    Args:
        points: (N, K, 2) image px in the order of the samples; infinite for faces that were not found.
        samples: the annotated faces.
        schema: of the landmarks.
        published: subset -> NME in per cent to compare with; "test" and "full" are all faces.
        caveats: reasons why those numbers are not comparable.

    Raises:
        DarkposeError: shapes differ, or the published normaliser of a face is not a positive number (it is named).
    """
    annotated = np.stack([sample.keypoints for sample in samples])
    if points.shape != annotated.shape:
        raise DarkposeError(f"predictions must be {annotated.shape}, as the annotations, got {points.shape}")
    measured = _Distances(
        np.linalg.norm(points - annotated, axis=-1),
        np.stack([sample.visible for sample in samples]) > 0,
        nme_normalisers(samples, schema),
        all_normalisers(samples, schema),
        np.array([str(sample.image) for sample in samples]),
    )
    members = {WHOLE: np.ones(len(samples), bool)}
    for name in sorted({name for sample in samples for name in sample.subsets}):
        members[name] = np.array([name in sample.subsets for sample in samples])
    parts = regions(schema)
    subsets = {name: _measure_subset(measured.of(faces), parts) for name, faces in members.items()}
    known = measured.visible & np.isfinite(measured.distances)
    errors = np.where(known, 100 * measured.distances / measured.published[:, None], np.nan)
    by_landmark = {name: _mean(errors[:, k]) for k, name in enumerate(schema.names)}
    return ErrorReport(normaliser_name(schema), subsets, dict(published or {}), by_landmark, tuple(caveats))


def _measure_subset(faces: _Distances, parts: Mapping[str, NDArray[np.intp]]) -> SubsetReport:
    visible, errors = faces.visible, 100 * faces.distances / faces.published[:, None]
    by_face = face_errors(errors, visible)
    found = np.isfinite(by_face)
    sums = np.stack([np.where(visible, errors, 0).sum(axis=1), visible.sum(axis=1)], axis=1)[found]
    by_length = {name: _measure_by(length, faces, found) for name, length in faces.lengths.items()}
    return SubsetReport(
        faces=len(errors),
        missed=int(np.isinf(faces.distances).any(axis=1).sum()),
        nme=pooled(sums) if len(sums) else NAN,
        interval=bootstrap_interval(sums, pooled, groups=faces.images[found]) if len(sums) else (NAN, NAN),
        nme_by_face=float(by_face[found].mean()) if len(sums) else NAN,
        nme_by_normaliser={name: values[0] for name, values in by_length.items()},
        face_mean_by_normaliser={name: values[1] for name, values in by_length.items()},
        faces_by_normaliser={name: values[2] for name, values in by_length.items()},
        nme_by_region={name: _mean(errors[found][:, part][visible[found][:, part]]) for name, part in parts.items()},
        failure_rates={t: 100 * failure_rate(by_face, t) for t in (8, 10)},
        aucs={t: 100 * auc(by_face, t) for t in (8, 10)},
        percentiles={p: float(np.percentile(by_face[found], p)) if len(sums) else NAN for p in (50, 90, 95, 99)},
    )


def _measure_by(length: Floats, faces: _Distances, found: NDArray[np.bool_]) -> tuple[float, float, int]:
    """Pooled NME, mean NME of the faces, and number of faces by another normaliser (N,)."""
    known = found & np.isfinite(length)
    visible = faces.visible[known]
    if not visible.any():
        return NAN, NAN, 0
    relative = 100 * faces.distances[known] / length[known, None]
    return float(relative[visible].mean()), _mean(face_errors(relative, visible)), int(known.sum())


def face_nmes(points: Floats, samples: Sequence[Sample], schema: KeypointSchema) -> Floats:
    """NME of every face (N,), in per cent of the published normaliser; infinite for faces that were not found.

    Args:
        points: (N, K, 2) image px in the order of the samples.
        samples: the annotated faces.
        schema: of the landmarks.
    """
    annotated = np.stack([sample.keypoints for sample in samples])
    lengths = nme_normalisers(samples, schema)
    errors = 100 * np.linalg.norm(points - annotated, axis=-1) / lengths[:, None]
    return face_errors(errors, np.stack([sample.visible for sample in samples]))


def pooled(rows: Floats) -> float:
    """Mean error of landmarks from rows of (sum of errors, number of landmarks), one per face."""
    errors, count = rows.sum(axis=0)
    return float(errors / count) if count else NAN


def _mean(values: Floats) -> float:
    """Mean of the values that are not NaN; NaN if there are none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else NAN
