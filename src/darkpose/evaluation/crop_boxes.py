"""Box rules: the annotated box of a face, the box of its landmarks, a detected box, or a disturbed one."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from darkpose.datasets.sample import Sample
from darkpose.detect.detector import Detector, named_detector
from darkpose.errors import DarkposeError
from darkpose.evaluation.detection import box_overlaps
from darkpose.image.geometry import landmark_box
from darkpose.image.pixels import read_image

DETECTORS = ("detector", "yunet", "darkpose", "haar")
SAME_FACE = 0.3  # least intersection over union of a detection with the annotated box
BoxRule = Callable[[int, Sample], Sample | None]  # face number, sample -> sample with its box; None: no box


def is_detector(name: str) -> bool:
    """Whether a box rule uses a face detector: the one in the package, or one by its name."""
    return name in DETECTORS


def rule_detector(name: str) -> Detector:
    """The detector of a box rule that uses one.

    Raises:
        DarkposeError: its file is not available.
    """
    return named_detector("auto" if name == "detector" else name)


def box_rule(name: str, detector: Detector | None = None) -> BoxRule:
    """The box rule of a name.

    Args:
        name: "annotation": the box of the data set, as published; "landmarks": the tight box of the annotated
            landmarks; "detector", "yunet", "darkpose" or "haar": the detection that overlaps the annotated box most,
            as in `Predictor`; "jitter:S": the annotated box, moved along each axis by S * N(0, 1) of its longer side
            and scaled by exp(S * N(0, 1)), with the face number as seed.
        detector: for rules that use one.

    Raises:
        DarkposeError: there is no such rule, or its detector is missing.
    """
    if name == "annotation":
        return lambda face, sample: sample
    if name == "landmarks":
        return lambda face, sample: _tight(sample)
    if is_detector(name):
        if detector is None:
            raise DarkposeError(f"the boxes {name} need a detector")
        return lambda face, sample: _detected(sample, detector)
    kind, _, amount = name.partition(":")
    try:
        spread = float(amount)
    except ValueError:
        spread = -1.0
    if kind != "jitter" or not 0 <= spread <= 1:
        raise DarkposeError(
            f"boxes must be annotation, landmarks, {', '.join(DETECTORS)} or jitter:S with S from 0 to 1, got {name!r}"
        )
    return lambda face, sample: _jittered(sample, spread, np.random.default_rng(face))


def _tight(sample: Sample) -> Sample:
    """The tight box of the landmarks; without landmarks, the annotated box, because nothing is measured."""
    seen = sample.visible > 0
    return replace(sample, box=landmark_box(sample.keypoints[seen])) if seen.any() else sample


def _detected(sample: Sample, detector: Detector) -> Sample | None:
    boxes = detector(read_image(sample.image)).landmark_boxes(detector.correction)
    shared = box_overlaps(boxes, sample.box[None])[:, 0]
    if not len(shared) or shared.max() < SAME_FACE:
        return None
    return replace(sample, box=boxes[int(shared.argmax())])


def _jittered(sample: Sample, spread: float, rng: np.random.Generator) -> Sample:
    side = (sample.box[2:] - sample.box[:2]).max()
    x, y, size = spread * rng.standard_normal(3)
    center = (sample.box[:2] + sample.box[2:]) / 2 + np.array([x, y]) * side
    half = (sample.box[2:] - sample.box[:2]) / 2 * np.exp(size)
    return replace(sample, box=np.concatenate([center - half, center + half]))
