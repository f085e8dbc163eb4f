"""Whether an exported file finds what the network in torch finds, landmark by landmark."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkpose.face_crops import FaceCrops
from darkpose.graph_card import Precision
from darkpose.locator import Locator

Floats = NDArray[np.float64]


class Budget(NamedTuple):
    """How far landmarks may lie from torch's, crop px."""

    p99: float
    maximum: float


# Of fp32: rounding alone. Of the others: what is left to the network's own error, about 3 crop px a landmark; that
# maximum bounds a face that is lost, not accuracy, which is measured on annotated faces (docs/deploy.md).
BUDGETS: Mapping[Precision, Budget] = {
    "fp32": Budget(0.01, 0.1),
    "fp16": Budget(0.1, 2.0),
    "int8": Budget(4.0, 32.0),
}


@dataclass(frozen=True, eq=False)
class Parity:
    """How far a file's landmarks lie from torch's.

    Attributes:
        runtime: what ran the file.
        crop_px: (N, K) distances in crop px, and
        image_px: (N, K) in image px; NaN where either is not finite.
        scores: (N, K) differences of scores.
        budget: that they must keep.
    """

    runtime: str
    crop_px: Floats
    image_px: Floats
    scores: Floats
    budget: Budget

    @property
    def verified(self) -> bool:
        """Whether every landmark is finite and within the budget."""
        if not (np.isfinite(self.crop_px).all() and np.isfinite(self.scores).all()):
            return False
        return bool(np.quantile(self.crop_px, 0.99) <= self.budget.p99 and self.crop_px.max() <= self.budget.maximum)

    def to_dict(self, names: Sequence[str]) -> dict[str, Any]:
        """JSON values; None for what is not finite."""
        landmarks = {name: _summary(self.image_px[:, k]) for k, name in enumerate(names)}
        return {
            "runtime": self.runtime,
            "verified": self.verified,
            "budget_crop_px": self.budget._asdict(),
            "crop_px": _summary(self.crop_px),
            "image_px": _summary(self.image_px),
            "scores": _summary(self.scores),
            "landmarks_image_px": landmarks,
        }

    def __str__(self) -> str:
        worst, p99 = self.crop_px.max(), np.quantile(self.crop_px, 0.99)
        return f"{self.runtime}: at most {worst:.2g} crop px from torch, P99 {p99:.2g}"


def compare(reference: Locator, candidate: Locator, faces: FaceCrops, *, runtime: str, budget: Budget) -> Parity:
    """Let both find the landmarks of the same crops.

    Args:
        reference: the network in torch.
        candidate: the exported file.
        faces: the crops.
        runtime: what runs the candidate, for people.
        budget: to keep.
    """
    expected = reference(faces.crops, faces.center, faces.sides)
    got = candidate(faces.crops, faces.center, faces.sides)
    distances = np.linalg.norm(got.keypoints.astype(np.float64) - expected.keypoints, axis=-1)
    scale = faces.sides[:, :1] / faces.crops.shape[2]  # image px per crop px
    scores = np.abs(got.scores.astype(np.float64) - expected.scores)
    return Parity(runtime, distances / scale, distances, scores, budget)


def _summary(values: Floats) -> dict[str, float | None]:
    found = {"max": values.max(), "mean": values.mean(), "p99": np.quantile(values, 0.99)}
    return {name: float(f"{value:.4g}") if np.isfinite(value) else None for name, value in found.items()}
