"""Faces that move by a script, and a predictor that sees them without a network."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from darkpose.detect.boxes import BoxCorrection
from darkpose.image.geometry import Floats
from darkpose.image.pixels import Pixels
from darkpose.predict.face import Face
from darkpose.predict.predictor import Predictor, Region
from darkpose.schema import W300_68

SHAPE = np.random.default_rng(0).uniform(-0.5, 0.5, (68, 2))
SHAPE = (SHAPE - (SHAPE.min(0) + SHAPE.max(0)) / 2) / np.ptp(SHAPE, axis=0)  # fills -0.5 to 0.5


@dataclass(frozen=True)
class Person:
    """A face in an image: its centre and side in px, roll in degrees, and who is in front (0) of whom (1, 2, ...)."""

    name: str
    x: float
    y: float
    side: float = 80.0
    roll: float = 0.0
    depth: int = 0

    @property
    def keypoints(self) -> Floats:
        angle = np.deg2rad(self.roll)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        return np.asarray(self.side * SHAPE @ turn.T + [self.x, self.y])


Script = Callable[[float], Sequence[Person]]


def image_at(time: float, light: int = 100, size: tuple[int, int] = (640, 480)) -> Pixels:
    """An image that names its time to the predictor."""
    image = np.full((size[1], size[0], 3), light, np.uint8)
    image[0, :8] = np.frombuffer(np.float64(time).tobytes(), np.uint8)[:, None]
    return image


class ScriptedPredictor(Predictor):
    """Finds the faces of a script: of those that its crop holds, the one in front.

    Attributes:
        crops: number of crops that were looked at.
    """

    def __init__(self, script: Script, noise: float = 0.0) -> None:
        self.script, self.noise, self.crops = script, noise, 0
        self.schema, self.calibrated = W300_68, False
        self._detector = self  # type: ignore[assignment]
        self.name, self.correction = "scripted", BoxCorrection()

    def facts(self) -> dict[str, object]:
        return {"predictor": "scripted"}

    def _people(self, image: Pixels) -> list[Person]:
        (time,) = np.frombuffer(image[0, :8, 0].tobytes(), np.float64)
        height, width = image.shape[:2]
        return [p for p in self.script(float(time)) if 0 <= p.x < width and 0 <= p.y < height]

    def regions(self, image: Any, boxes: object = None, box_kind: str = "detector") -> list[Region]:
        """Every face that is not hidden by one in front of it."""
        people = self._people(image)
        seen = [p for p in people if not any(_hides(other, p) for other in people)]
        return [
            Region(image, box, box, "scripted", 0.9, person.roll)
            for person in seen
            for box in [np.array([person.x, person.y] * 2) + person.side / 2 * np.array([-1, -1, 1, 1])]
        ]

    def locate(self, regions: Sequence[Region]) -> list[Face]:
        self.crops += len(regions)
        return [self._face(region) for region in regions]

    def _face(self, region: Region) -> Face:
        low, high = region.crop_box[:2], region.crop_box[2:]
        middle, reach = (low + high) / 2, (high - low).max()
        near = [p for p in self._people(region.image) if np.hypot(*(middle - [p.x, p.y])) < 0.6 * reach]
        person = min(near, key=lambda p: (p.depth, np.hypot(*(middle - [p.x, p.y]))), default=None)
        points = SHAPE * 30 + middle if person is None else person.keypoints
        seed = int.from_bytes(region.image[0, :8, 0].tobytes(), "little")
        points = points + np.random.default_rng(seed).normal(0, self.noise, points.shape)
        scores = np.full(68, 0.1 if person is None else 0.8, np.float32)
        roll = 0 if person is None else round(person.roll) % 360
        return Face(
            points.astype(np.float32),
            scores,
            region.box,
            W300_68,
            region.found_by,
            region.detection_score,
            region.image,
            rolled=roll,
        )


def _hides(front: Person, back: Person) -> bool:
    return front.depth < back.depth and bool(np.hypot(front.x - back.x, front.y - back.y) < 0.5 * back.side)
