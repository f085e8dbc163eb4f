"""From predictions and annotations to numbers: every subset, every usual normaliser, failures, intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from darkpose.datasets.sample import Sample, nme_normaliser
from darkpose.errors import DarkposeError
from darkpose.evaluation.metrics import auc, bootstrap_interval, face_errors, failure_rate, normalised_errors
from darkpose.image.geometry import landmark_box
from darkpose.schema import KeypointSchema, regions

Floats = NDArray[np.float64]
WHOLE = "all"
WHOLE_SET = {"test": WHOLE, "full": WHOLE}  # what published tables call all faces of a test set
NAN = float("nan")
FEW_IMAGES = 10  # on fewer, an interval over images says little


@dataclass(frozen=True)
class SubsetReport:
    """The errors of one subset; all in per cent of the published normaliser, unless said otherwise.

    Attributes:
        faces: how many there are.
        missed: faces that were not found; they are failures, and no part of the means and percentiles.
        nme: pooled over visible landmarks, as published.
        interval: 95 % bootstrap interval of `nme`, by image.
        nme_by_face: mean of the faces' means.
        nme_by_normaliser, face_mean_by_normaliser: `nme` and `nme_by_face` over other lengths, by their names.
        faces_by_normaliser: of how many faces found those lengths are known.
        nme_by_region: `nme` of parts of the face.
        failure_rates, aucs: by threshold in per cent, over all faces.
        percentiles: of the faces' means, by percentage; 50 is the median.
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
class Report:
    """An evaluation.

    Attributes:
        normaliser: the published one's name.
        subsets: "all" and every subset of the data set -> its numbers.
        published: subset -> published NME in per cent, where the recipe has one; "test" and "full" are all faces.
        nme_by_landmark: name -> NME over all faces found, in per cent; NaN where it is annotated nowhere.
        caveats: why the published numbers are of something else, if they are: one clause each.
    """

    normaliser: str
    subsets: dict[str, SubsetReport]
    published: dict[str, float]
    nme_by_landmark: dict[str, float]
    caveats: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON values; what is not a number is null."""
        return cast(dict[str, Any], _without_nan(asdict(self) | {"published_row": self.published_line()}))

    def lines(self) -> list[str]:
        """A table for people, with the published numbers beside it."""
        head = f"{'subset':14}{'faces':>6}{'missed':>7}{'NME':>7}{'95 % interval':>16}{'FR8':>7}{'FR10':>7}"
        lines = [
            f"NME over {self.normaliser}, in per cent; missed faces are failures in FR and AUC, and left out elsewhere",
            head + f"{'AUC8':>7}{'AUC10':>7}{'median':>7}{'P90':>7}{'P95':>7}{'P99':>7}{'published':>11}",
        ]
        comparable = {} if self.caveats else self.published
        printed = {WHOLE_SET.get(name, name): value for name, value in comparable.items()}
        for name, row in self.subsets.items():
            low, high = row.interval
            published = f"{printed[name]:11.2f}" if name in printed else f"{'-':>11}"
            lines.append(
                f"{name:14}{row.faces:6d}{row.missed:7d}{row.nme:7.2f}{f'{low:.2f} .. {high:.2f}':>16}"
                f"{row.failure_rates[8]:7.2f}{row.failure_rates[10]:7.2f}{row.aucs[8]:7.2f}{row.aucs[10]:7.2f}"
                f"{''.join(f'{row.percentiles[p]:7.2f}' for p in (50, 90, 95, 99))}{published}"
            )
        whole = self.subsets[WHOLE]
        lines.append(f"all, mean of the faces' own NME: {whole.nme_by_face:.2f}")
        lines.append("all, over other lengths: " + _listed(whole.nme_by_normaliser, whole.faces_by_normaliser))
        lines.append("all, mean of the faces, over other lengths: " + _listed(whole.face_mean_by_normaliser))
        lines.append("all, by region: " + _listed(whole.nme_by_region))
        return lines

    def published_line(self) -> str:
        """Which published row this should match, and by how much it differs; or why it cannot be held against one."""
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


def _listed(values: Mapping[str, float], faces: Mapping[str, int] | None = None) -> str:
    """Names and numbers; and of how many faces, where that is not the same for all."""
    few = {name: f" ({n} faces)" for name, n in (faces or {}).items() if n < max((faces or {}).values())}
    known = {name: value for name, value in values.items() if not np.isnan(value)}
    return ", ".join(f"{name} {value:.2f}{few.get(name, '')}" for name, value in known.items())


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and np.isnan(value) else value


def normalisers(samples: Sequence[Sample], schema: KeypointSchema) -> dict[str, Floats]:
    """The lengths in use, by name, each (N,) image px; NaN where a face's landmarks for it are not annotated.

    inter_ocular: outer eye corners; inter_pupil: centres of the eyes; box: longer side of the box that crops are cut
    around, which is AFLW's annotated square and elsewhere the landmarks' box in whole px (or OpenMMLab's square);
    landmark_diagonal and landmark_sqrt: diagonal and sqrt(width * height) of the landmarks' extent.
    """
    found: dict[str, list[float]] = {}
    corners = [
        schema.names.index(name) for name in ("left_eye_outer_corner", "right_eye_outer_corner") if name in schema.names
    ]
    for sample in samples:
        box = sample.box if sample.box_size is None else np.array([0, 0, sample.box_size, sample.box_size])
        seen = sample.keypoints[sample.visible > 0]
        width, height = np.ptp(seen, axis=0) if len(seen) else (NAN, NAN)
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


def published_lengths(samples: Sequence[Sample], schema: KeypointSchema) -> Floats:
    """The markup's usual normaliser of every face, (N,) image px.

    Raises:
        DarkposeError: one is not a positive number; the face is named.
    """
    lengths = np.array([nme_normaliser(sample, schema) for sample in samples])
    for sample, length in zip(samples, lengths, strict=True):
        if not (np.isfinite(length) and length > 0):
            raise DarkposeError(f"{sample.source or sample.image}: its normaliser is {length}; it must be positive")
    return lengths


def report(
    points: Floats,
    samples: Sequence[Sample],
    schema: KeypointSchema,
    published: Mapping[str, float] | None = None,
    caveats: Sequence[str] = (),
) -> Report:
    """Measure predictions.

    Args:
        points: (N, K, 2) image px in the order of the samples; infinite where a face was not found.
        samples: the annotated faces.
        schema: their markup.
        published: subset -> NME in per cent to compare with; "test" and "full" stand for all faces.
        caveats: why those are numbers of something else, if they are.

    Raises:
        DarkposeError: shapes differ, or a face's published normaliser is not a positive number (the face is named).
    """
    annotated = np.stack([sample.keypoints for sample in samples])
    if points.shape != annotated.shape:
        raise DarkposeError(f"predictions must be {annotated.shape}, as the annotations, got {points.shape}")
    usual = published_lengths(samples, schema)
    visible = np.stack([sample.visible for sample in samples]) > 0
    distances = np.linalg.norm(points - annotated, axis=-1)
    members = {WHOLE: np.ones(len(samples), bool)}
    for name in sorted({name for sample in samples for name in sample.subsets}):
        members[name] = np.array([name in sample.subsets for sample in samples])
    images = np.array([str(sample.image) for sample in samples])
    others, parts = normalisers(samples, schema), regions(schema)
    rows = {
        name: _measure(distances[m], visible[m], usual[m], {k: v[m] for k, v in others.items()}, parts, images[m])
        for name, m in members.items()
    }
    errors = np.where(visible & np.isfinite(distances), 100 * distances / usual[:, None], np.nan)
    by_landmark = {name: _mean(errors[:, k]) for k, name in enumerate(schema.names)}
    return Report(
        "inter_ocular" if schema.nme_pair else "box", rows, dict(published or {}), by_landmark, tuple(caveats)
    )


def face_nmes(points: Floats, samples: Sequence[Sample], schema: KeypointSchema) -> Floats:
    """NME of every face (N,), in per cent of the published normaliser; infinite where it was not found.

    Args:
        points: (N, K, 2) image px in the order of the samples.
        samples: the annotated faces.
        schema: their markup.
    """
    annotated = np.stack([sample.keypoints for sample in samples])
    usual = published_lengths(samples, schema)
    distances = 100 * np.linalg.norm(points - annotated, axis=-1) / usual[:, None]
    return face_errors(distances, np.stack([sample.visible for sample in samples]))


def mean_face(samples: Sequence[Sample]) -> Floats:
    """Mean landmarks (K, 2), every face scaled to its landmarks' box and centred; NaN where nothing is annotated."""
    total, count = np.zeros(samples[0].keypoints.shape), np.zeros(len(samples[0].keypoints))
    for sample in samples:
        seen = sample.visible > 0
        if not seen.any():
            continue
        box = landmark_box(sample.keypoints[seen])
        side = (box[2:] - box[:2]).max()
        if side == 0:  # one point has no size
            continue
        total[seen] += (sample.keypoints[seen] - (box[:2] + box[2:]) / 2) / side
        count += seen
    return np.asarray(np.where(count[:, None] > 0, total / np.maximum(count, 1)[:, None], np.nan))


def _mean(values: Floats) -> float:
    """Mean of what is a number; NaN of nothing."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else NAN


@dataclass(frozen=True)
class Comparison:
    """Two systems on the same faces, all in per cent of the published normaliser.

    Attributes:
        faces, images: how many both found, on how many images.
        difference: pooled NME of the first minus that of the second on those faces; negative: the first is better.
        interval: its 95 % bootstrap interval, by image.
        missed: how many faces each missed.
        found_by_one: how many faces only one of them found, which are no part of the difference.
    """

    faces: int
    images: int
    difference: float
    interval: tuple[float, float]
    missed: tuple[int, int]
    found_by_one: int

    def to_dict(self) -> dict[str, Any]:
        """JSON values; what is not a number is null."""
        return cast(dict[str, Any], _without_nan(asdict(self)))

    def line(self) -> str:
        """For people; no verdict on few images, or where one missed faces that the other found."""
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


def compare(points: Floats, others: Floats, samples: Sequence[Sample], schema: KeypointSchema) -> Comparison:
    """Compare two predictions (N, K, 2), image px, face by face; faces that one of them missed are left out.

    The difference is NaN where no face was found in both.

    Raises:
        DarkposeError: shapes differ, or a normaliser is not positive.
    """
    annotated = np.stack([sample.keypoints for sample in samples])
    visible = np.stack([sample.visible for sample in samples]) > 0
    found = [np.isfinite(each).all(axis=(1, 2)) for each in (points, others)]
    both, missed = found[0] & found[1], (int((~found[0]).sum()), int((~found[1]).sum()))
    found_by_one = int((found[0] ^ found[1]).sum())
    if not both.any():
        return Comparison(0, 0, NAN, (NAN, NAN), missed, found_by_one)
    usual = published_lengths(samples, schema)[both]
    gaps = [100 * normalised_errors(each[both], annotated[both], usual) for each in (points, others)]
    seen = visible[both]
    rows = np.stack([np.where(seen, gaps[0] - gaps[1], 0).sum(axis=1), seen.sum(axis=1)], axis=1)
    images = np.array([str(sample.image) for sample in samples])[both]
    interval = bootstrap_interval(rows, _pooled, groups=images)
    return Comparison(int(both.sum()), len(np.unique(images)), _pooled(rows), interval, missed, found_by_one)


def _pooled(rows: Floats) -> float:
    """Mean error of landmarks from rows of (sum of errors, number of landmarks) per face."""
    errors, count = rows.sum(axis=0)
    return float(errors / count) if count else NAN


def _measure(
    distances: Floats,
    visible: NDArray[np.bool_],
    usual: Floats,
    others: Mapping[str, Floats],
    parts: Mapping[str, NDArray[np.intp]],
    images: NDArray[np.str_],
) -> SubsetReport:
    errors = 100 * distances / usual[:, None]
    by_face = face_errors(errors, visible)
    found = np.isfinite(by_face)
    sums = np.stack([np.where(visible, errors, 0).sum(axis=1), visible.sum(axis=1)], axis=1)[found]

    def over(length: Floats) -> tuple[float, float, int]:
        """Pooled, mean of the faces, and number of faces."""
        known = found & np.isfinite(length)
        if not (visible & known[:, None]).any():
            return NAN, NAN, 0
        relative = 100 * distances[known] / length[known, None]
        return float(relative[visible[known]].mean()), _mean(face_errors(relative, visible[known])), int(known.sum())

    by_length = {name: over(length) for name, length in others.items()}
    return SubsetReport(
        faces=len(errors),
        missed=int(np.isinf(distances).any(axis=1).sum()),
        nme=_pooled(sums) if len(sums) else NAN,
        interval=bootstrap_interval(sums, _pooled, groups=images[found]) if len(sums) else (NAN, NAN),
        nme_by_face=float(by_face[found].mean()) if len(sums) else NAN,
        nme_by_normaliser={name: values[0] for name, values in by_length.items()},
        face_mean_by_normaliser={name: values[1] for name, values in by_length.items()},
        faces_by_normaliser={name: values[2] for name, values in by_length.items()},
        nme_by_region={name: _mean(errors[found][:, part][visible[found][:, part]]) for name, part in parts.items()},
        failure_rates={t: 100 * failure_rate(by_face, t) for t in (8, 10)},
        aucs={t: 100 * auc(by_face, t) for t in (8, 10)},
        percentiles={p: float(np.percentile(by_face[found], p)) if len(sums) else NAN for p in (50, 90, 95, 99)},
    )
