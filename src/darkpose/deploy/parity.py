"""Compares the landmarks of an exported file with those of the network in torch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isinf
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkpose.deploy.face_crops import FaceCrops
from darkpose.files.json_text import finite_or_none
from darkpose.image.geometry import Floats
from darkpose.image.pixels import Pixels
from darkpose.predict.landmarks import Landmarks
from darkpose.runtime.card import Precision

FindLandmarks = Callable[[Pixels, Floats, Floats], Landmarks]  # of crops, their centres and sides
NO_FACE = 1 / 3  # of the median score of the faces: a crop below shows no face
UNSURE = 1 / 2  # of the mean score of a face: torch is unsure of a landmark below


class Budget(NamedTuple):
    """How far a file may be from torch.

    Attributes:
        p99, maximum: of landmarks, crop px.
        scores: largest difference of scores (scores above 1: times the largest).
        deviation: of the standard deviations of landmarks, crop px, in 99 of 100 cases.
        face: of the mean over the landmarks of a face, crop px; if it is finite, `maximum` counts only for landmarks
            that torch is sure of.
    """

    p99: float
    maximum: float
    scores: float
    deviation: float
    face: float = inf


# fp32 allows rounding only. The others stay small against the error of the network, about 3 crop px a landmark. Where
# torch is unsure of a landmark, rounding may choose another peak, anywhere in the crop, but it may not lose a face.
# docs/deploy.md measures the accuracy on annotated faces.
BUDGETS: Mapping[Precision, Budget] = {
    "fp32": Budget(0.01, 0.1, 0.001, 0.01),
    "fp16": Budget(0.1, 8.0, 0.05, 0.1, face=4.0),
    "int8": Budget(4.0, 32.0, 1.0, 4.0, face=8.0),
}


@dataclass(frozen=True, eq=False)
class Parity:
    """Differences between the landmarks of a file and those of torch.

    Attributes:
        runtime: what ran the file.
        crop_px: (N, K) distances in crop px, and
        image_px: (N, K) in image px; NaN where either is not finite.
        scores: (N, K) differences of scores, relative to the largest where that is above 1.
        budget: limits of the differences.
        deviations: (N, K) differences of the standard deviations of the landmarks (the root of the trace of the
            covariance), crop px: 0 where neither is known, infinite where one is; None if there are no covariances.
        left_out: number of crops that were not compared because they show no face.
        sure: (N, K) whether torch is sure of the landmark; None: of all.
    """

    runtime: str
    crop_px: Floats
    image_px: Floats
    scores: Floats
    budget: Budget
    deviations: Floats | None = None
    left_out: int = 0
    sure: NDArray[np.bool_] | None = None

    @property
    def verified(self) -> bool:
        """Whether every landmark is finite and within the budget."""
        if not (np.isfinite(self.crop_px).all() and np.isfinite(self.scores).all()):
            return False
        bounded = self.crop_px if self.sure is None or isinf(self.budget.face) else self.crop_px[self.sure]
        kept = np.quantile(self.crop_px, 0.99) <= self.budget.p99 and bounded.max(initial=0) <= self.budget.maximum
        if self.deviations is not None:
            kept &= np.quantile(self.deviations, 0.99, method="higher") <= self.budget.deviation
        faces = self.crop_px.mean(axis=1).max() <= self.budget.face
        return bool(kept and faces and self.scores.max() <= self.budget.scores)

    def to_dict(self, names: Sequence[str]) -> dict[str, Any]:
        """JSON values; None for what is not finite."""
        landmarks = {name: _summary(self.image_px[:, k]) for k, name in enumerate(names)}
        return {
            "runtime": self.runtime,
            "verified": self.verified,
            "budget": {name: finite_or_none(limit) for name, limit in self.budget._asdict().items()},
            "left_out": self.left_out,
            "crop_px": _summary(self.crop_px),
            "image_px": _summary(self.image_px),
            "scores": _summary(self.scores),
            **({} if self.deviations is None else {"deviations_crop_px": _summary(self.deviations)}),
            "landmarks_image_px": landmarks,
        }

    def __str__(self) -> str:
        worst, p99 = self.crop_px.max(), np.quantile(self.crop_px, 0.99)
        unseen = f", without {self.left_out} in which torch finds no face" if self.left_out else ""
        return f"{self.runtime}: at most {worst:.2g} crop px from torch, P99 {p99:.2g}{unseen}"


def compare(expected: Landmarks, candidate: FindLandmarks, faces: FaceCrops, *, runtime: str, budget: Budget) -> Parity:
    """Compare landmarks in the same crops; crops that show no face, by torch, are left out.

    Args:
        expected: what the network in torch finds.
        candidate: the exported file.
        faces: the crops.
        runtime: what runs the candidate, for people.
        budget: limits of the differences.
    """
    got = candidate(faces.crops, faces.center, faces.sides)
    seen = _show_faces(expected.scores)
    distances = np.linalg.norm(got.keypoints.astype(np.float64) - expected.keypoints, axis=-1)
    scale = faces.sides[:, :1] / faces.crops.shape[2]  # image px per crop px
    scores = np.abs(got.scores.astype(np.float64) - expected.scores) / max(1.0, float(expected.scores.max()))
    deviations = None
    if expected.covariance is not None and got.covariance is not None:
        deviations = _deviations(got.covariance, expected.covariance) / scale
        deviations = deviations[seen]
    crop_px, image_px = (distances / scale)[seen], distances[seen]
    sure = (expected.scores >= UNSURE * expected.scores.mean(axis=1, keepdims=True))[seen]
    return Parity(runtime, crop_px, image_px, scores[seen], budget, deviations, int((~seen).sum()), sure)


def _show_faces(scores: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Whether each of N crops shows a face, by the scores (N, K) of the landmarks."""
    means = scores.mean(axis=1)
    return np.asarray(means >= min(float(np.median(means)) * NO_FACE, float(means.max())))


def _deviations(found: NDArray[np.floating], expected: NDArray[np.floating]) -> Floats:
    """Differences (N, K) of the roots of the traces, image px: 0 where both are unknown, infinite where one is."""
    one, other = (np.sqrt(np.trace(each.astype(np.float64), axis1=-2, axis2=-1)) for each in (found, expected))
    apart = np.where(np.isfinite(one) & np.isfinite(other), np.abs(one - other), np.inf)
    return np.asarray(np.where(np.isnan(one) & np.isnan(other), 0.0, apart))


def _summary(values: Floats) -> dict[str, float | None]:
    p99 = np.quantile(values, 0.99, method="linear" if np.isfinite(values).all() else "higher")
    found = {"max": values.max(), "mean": values.mean(), "p99": p99}
    return {name: finite_or_none(float(f"{value:.4g}")) for name, value in found.items()}
