"""Photographs for the benchmark, and the time of the stages before the network."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import torch

from darkpose.datasets.drawn_face import draw_face
from darkpose.deploy.face_crops import best_faces
from darkpose.detect.detector import Detector
from darkpose.errors import DarkposeError
from darkpose.image.geometry import Floats
from darkpose.image.pixels import Pixels, cut_crops, decode_image, to_jpeg
from darkpose.weights.checkpoint import CheckpointConfig

FACES, QUALITY = 32, 90  # number of faces, and the quality of the JPEG files of drawn ones
FRONT = ("decode image", "detect", "crop")


class Faces(NamedTuple):
    """Photographs with a face each, and the crops of the faces.

    Attributes:
        files: bytes of the image files.
        crops: (N, S, S, 3) uint8 RGB.
        center: (N, 2) and
        sides: (N, 2) of the crops, image px.
        source: where the photographs come from, for people.
    """

    files: list[bytes]
    crops: Pixels
    center: Floats
    sides: Floats
    source: str

    def batch(self, size: int) -> tuple[Pixels, Floats, Floats]:
        """Crops, centres and sides of so many faces; they repeat if there are fewer."""
        chosen = np.arange(size) % len(self.crops)
        return self.crops[chosen], self.center[chosen], self.sides[chosen]


class Clock:
    """Seconds of the stages of a call."""

    def __init__(self, device: torch.device | None = None) -> None:
        self.device, self.seconds = device, dict[str, float]()
        self.last = self._now()

    def __call__(self, stage: str) -> None:
        """End a stage."""
        now = self._now()
        self.seconds[stage], self.last = now - self.last, now

    def _now(self) -> float:
        if self.device is not None and self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


def find_faces(
    photographs: Sequence[Path],
    detector: Detector,
    config: CheckpointConfig,
    tell: Callable[[str], object] = lambda _: None,
) -> Faces:
    """The first faces found, the best one of each photograph; faces drawn by darkpose if there are no photographs.

    Args:
        photographs: those that cannot be used are passed over.
        detector: of the faces.
        config: of the crops.
        tell: called with the reason for each photograph that cannot be used, for people.

    Raises:
        DarkposeError: no face is found.
    """
    if photographs:
        found = best_faces(photographs, detector, FACES, tell=tell)
        kept = [(face.file.read_bytes(), face.image, face.box) for face in found]
    else:
        kept = list(_drawn_faces(detector))
    if not kept:
        raise DarkposeError(f"{detector.name} finds no face to measure with: give photographs with faces by --images")
    boxes = [box for _, _, box in kept]
    crops, center, sides = cut_crops((image for _, image, _ in kept), boxes, config.crop_size, config.padding)
    pixels = median(image.shape[0] * image.shape[1] for _, image, _ in kept) / 1e6
    kind, drawn = ("photograph", "") if photographs else ("JPEG file", " of faces drawn by darkpose")
    source = f"{len(kept)} {kind}{'' if len(kept) == 1 else 's'}{drawn}, {pixels:.2f} megapixels (median), a face each"
    return Faces([data for data, _, _ in kept], np.stack(list(crops)), center, sides, source)


def drawn_photographs(count: int) -> list[bytes]:
    """JPEG files of faces that darkpose draws, always the same."""
    return [to_jpeg(draw_face(0, index).image, QUALITY) for index in range(count)]


def _drawn_faces(detector: Detector) -> Iterator[tuple[bytes, Pixels, Floats]]:
    """Bytes, image and box of each drawn face that the detector finds."""
    for data in drawn_photographs(FACES):
        image = decode_image(data)
        boxes = detector(image).landmark_boxes(detector.correction)
        if len(boxes):
            yield data, image, boxes[0]


def time_front(files: Sequence[bytes], detector: Detector, config: CheckpointConfig) -> dict[str, float]:
    """Seconds of the stages before the network, for all photographs together."""
    total = dict.fromkeys(FRONT, 0.0)
    for data in files:
        clock = Clock()
        image = decode_image(data)
        clock("decode image")
        box = detector(image).landmark_boxes(detector.correction)[0]
        clock("detect")
        list(cut_crops([image], box, config.crop_size, config.padding)[0])
        clock("crop")
        for name, seconds in clock.seconds.items():
            total[name] += seconds
    return total
