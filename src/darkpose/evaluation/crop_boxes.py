"""Box rules: the annotated box of a face, the box of its landmarks, a detected box, or a disturbed one."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from darkpose.datasets.sample import Sample
from darkpose.detect.detector import Detector, named_detector
from darkpose.errors import DarkposeError
from darkpose.evaluation.detection import box_overlaps
from darkpose.image.geometry import Floats, box_to_crop, landmark_box
from darkpose.image.pixels import read_image

DETECTORS = ("detector", "yunet", "darkpose", "haar")
SAME_FACE = 0.3  # least intersection over union of a detection with the annotated box
MOST_INSIDE = 0.9  # least share of the landmarks in the crop of their face
ENOUGH_FACES, FEWEST_FOUND = 32, 0.8  # samples after which, and share of faces below which, they are no faces
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


def face_boxes(samples: Sequence[Sample], detector: Detector) -> list[Sample] | None:
    """Annotated faces with the boxes that `Predictor` would find for them; None: these are no faces.

    The face of a sample is the detection whose crop has most of its landmarks in it. Where there is none, the box is as
    far from the landmarks, and as large, as those of the other faces are in the median.

    Args:
        samples: faces with any landmarks, or other objects.
        detector: of faces.

    Raises:
        DarkposeError: an image cannot be read.
    """
    order = np.random.default_rng(0).permutation(len(samples))  # if the first images have no faces, none have
    found: dict[int, Floats | None] = {}
    seen: dict[Path, Floats] = {}
    for number, i in enumerate(tqdm(order, "finding faces", unit="face", disable=None), 1):
        sample = samples[i]
        if sample.image not in seen:
            seen[sample.image] = detector(read_image(sample.image)).landmark_boxes(detector.correction)
        found[int(i)] = _box_around(seen[sample.image], sample)
        if number >= min(len(samples), ENOUGH_FACES):
            known = sum(box is not None for box in found.values())
            if known < FEWEST_FOUND * number:
                return None
    away = np.median([_away(box, samples[i]) for i, box in found.items() if box is not None], axis=0)
    boxes = [found[i] for i in range(len(samples))]
    return [
        replace(sample, box=_placed(away, sample) if box is None else box)
        for sample, box in zip(samples, boxes, strict=True)
    ]


def _box_around(boxes: Floats, sample: Sample) -> Floats | None:
    """The box (4,) whose crop has most landmarks, the smallest of several; None: the best has less than nine tenths."""
    points = sample.keypoints[sample.visible > 0]
    if not len(points) or not len(boxes):
        return None
    center, sides = box_to_crop(boxes)
    inside = (np.abs(points - center[:, None]) <= sides[:, None] / 2).all(axis=2).mean(axis=1)
    best = max(range(len(boxes)), key=lambda i: (inside[i], -sides[i, 0]))
    return boxes[best] if inside[best] >= MOST_INSIDE else None


def _away(box: Floats, sample: Sample) -> Floats:
    """Where a box is: centre (x, y) and logarithms of width and height, relative to the landmarks' extent."""
    center, side = _extent(sample)
    return np.concatenate([((box[:2] + box[2:]) / 2 - center) / side, np.log((box[2:] - box[:2]) / side)])


def _placed(away: Floats, sample: Sample) -> Floats:
    """The box (4,) at a place as `_away` gives it."""
    center, side = _extent(sample)
    middle, half = center + away[:2] * side, np.exp(away[2:]) * side / 2
    return np.concatenate([middle - half, middle + half])


def _extent(sample: Sample) -> tuple[Floats, float]:
    """Centre and size (root of the mean square distance from it) of the landmarks, or else of the box."""
    points = sample.keypoints[sample.visible > 0]
    if len(points) < 2 or not np.ptp(points, axis=0).any():
        points = sample.box.reshape(2, 2)
    center = points.mean(axis=0)
    return center, float(np.sqrt(((points - center) ** 2).sum(axis=1).mean()))


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
