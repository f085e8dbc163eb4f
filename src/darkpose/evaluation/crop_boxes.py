"""Which box an evaluation crops a face by: the annotated one, the landmarks', a detector's, or a disturbed one."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from darkpose.datasets.sample import Sample
from darkpose.detect.detector import Detector
from darkpose.errors import DarkposeError
from darkpose.image.geometry import landmark_box
from darkpose.image.pixels import read_image

DETECTORS = ("detector", "yunet", "haar")
SAME_FACE = 0.3  # intersection over union from which a detection is the annotated face
BoxRule = Callable[[int, Sample], Sample | None]


def is_detector(name: str) -> bool:
    """Whether a rule's name is a face detector's: "detector" (the best that can be had), "yunet" or "haar"."""
    return name in DETECTORS


def box_rule(name: str, detector: Detector | None = None) -> BoxRule:
    """The rule that a name stands for: (face number, sample) -> sample with its box, or None if no box was found.

    Args:
        name: "annotation": the data set's own box, as published; "landmarks": the tight box of the annotated landmarks;
            a detector's: the detection that overlaps the annotated box most, corrected as `Predictor` corrects it;
            "jitter:S": the annotated box, shifted by S * N(0, 1) of its side along each axis and scaled by
            exp(S * N(0, 1)), drawn anew for every face, always the same.
        detector: the face detector, where the name is one's.

    Raises:
        DarkposeError: there is no such rule.
    """
    if name == "annotation":
        return lambda face, sample: sample
    if name == "landmarks":
        return lambda face, sample: _tight(sample)
    if is_detector(name):
        if detector is None:
            raise DarkposeError(f"boxes by {name} need the detector")
        return lambda face, sample: _detected(sample, detector)
    kind, _, amount = name.partition(":")
    try:
        spread = float(amount)
    except ValueError:
        spread = -1.0
    if kind != "jitter" or not 0 <= spread <= 1:
        raise DarkposeError(
            f"boxes must be annotation, landmarks, detector, yunet, haar or jitter:S with S from 0 to 1, got {name!r}"
        )
    return lambda face, sample: _jittered(sample, spread, np.random.default_rng(face))


def _tight(sample: Sample) -> Sample:
    """Without a landmark there is no such box, and nothing to measure: the annotated one does."""
    seen = sample.visible > 0
    return replace(sample, box=landmark_box(sample.keypoints[seen])) if seen.any() else sample


def overlaps(boxes: NDArray[np.float64], box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of boxes (M, 4) with a box (4,)."""
    low, high = np.maximum(boxes[:, :2], box[:2]), np.minimum(boxes[:, 2:], box[2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    areas = [(b[..., 2:] - b[..., :2]).prod(axis=-1) for b in (boxes, box)]
    return np.asarray(shared / (areas[0] + areas[1] - shared))


def _detected(sample: Sample, detector: Detector) -> Sample | None:
    boxes = detector.correction(detector(read_image(sample.image)).boxes)
    shared = overlaps(boxes, sample.box)
    if not len(shared) or shared.max() < SAME_FACE:
        return None
    return replace(sample, box=boxes[int(shared.argmax())])


def _jittered(sample: Sample, spread: float, rng: np.random.Generator) -> Sample:
    side = (sample.box[2:] - sample.box[:2]).max()
    x, y, size = spread * rng.standard_normal(3)
    center = (sample.box[:2] + sample.box[2:]) / 2 + np.array([x, y]) * side
    half = (sample.box[2:] - sample.box[:2]) / 2 * np.exp(size)
    return replace(sample, box=np.concatenate([center - half, center + half]))
