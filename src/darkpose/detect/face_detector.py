"""darkpose's own face detector: finds faces at every roll, and gives the landmark box and the roll of each."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from darkpose.detect.boxes import BoxCorrection, Detections
from darkpose.detect.cells import FoundFaces, faces_of, without_duplicates
from darkpose.image.geometry import resize_points
from darkpose.image.pixels import Pixels, resized
from darkpose.runtime.face_detector import open_cells
from darkpose.runtime.open import Engine
from darkpose.weights.face_detector import FaceDetectorFile, open_face_detector

WIDTH, HEIGHT, DOWN = 1.03, 0.73, 0.13  # of landmark boxes in shares of face boxes, and how far down their centre is
THRESHOLD = 0.55  # lowest score of a face
SMALLEST = 16.0  # px at the size that is searched
MULTIPLE = 32  # px; the network takes images whose sides are multiples of this


class FaceDetector:
    """A small one-stage network on three grids (docs/detection.md).

    Args:
        file: of the weights; None: the one in the package.
        engine: what runs the network; None: the fastest on this machine.
        threshold: lowest score of a face.
        sides: px; an image is searched with its longer side at each of these sizes.

    Attributes:
        network: images (N, H, W, 3) uint8 RGB -> cells (N, 7, C).
        settings: what the boxes depend on: SHA-256 of the file, threshold and sides; JSON values.

    Raises:
        DarkposeError: the file or the runtime cannot be used.
    """

    name = "darkpose"
    correction = BoxCorrection(shift=(0.0, 0.13), scale=0.8)  # of its face boxes where landmark boxes are not known

    def __init__(
        self,
        file: FaceDetectorFile | None = None,
        engine: Engine | None = None,
        *,
        threshold: float = THRESHOLD,
        sides: Sequence[int] = (640,),
    ) -> None:
        file = file or open_face_detector()
        self.network = open_cells(file, engine)
        self.settings = {"sha256": file.digest(), "threshold": threshold, "sides": list(sides)}
        self._threshold, self._sides = threshold, tuple(sides)

    def smallest(self, size: tuple[int, int]) -> float:
        """Side in px of the smallest faces that are mostly found in images (width, height)."""
        return SMALLEST * max(size) / max(self._sides)

    def __call__(self, image: Pixels) -> Detections:
        """Faces in an image (H, W, 3) uint8 RGB."""
        found = [self._search(image, side) for side in self._sides]
        faces = without_duplicates(_joined(found))
        boxes = face_boxes(faces).upright_boxes()
        return Detections(boxes, faces.scores, faces.square_boxes(), np.degrees(faces.roll))

    def _search(self, image: Pixels, side: int) -> FoundFaces:
        """Faces, with duplicates, in image px."""
        height, width = image.shape[:2]
        scale = side / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        canvas = np.zeros((-(-size[1] // MULTIPLE) * MULTIPLE, -(-size[0] // MULTIPLE) * MULTIPLE, 3), np.uint8)
        canvas[: size[1], : size[0]] = resized(image, size)
        cells = np.asarray(self.network(canvas[None]))[0]
        faces = faces_of(cells, (canvas.shape[1], canvas.shape[0]), self._threshold)
        factor = np.array([width / size[0], height / size[1]])
        inside = np.all((faces.center >= 0) & (faces.center <= np.array(size) - 1), axis=1)
        grown = FoundFaces(resize_points(faces.center, factor), faces.size * factor.mean(), faces.roll, faces.scores)
        return grown.part(inside)


def face_boxes(faces: FoundFaces) -> FoundFaces:
    """Boxes from forehead to chin, as other detectors draw them, from landmark boxes: by the median over WIDER FACE."""
    size = faces.size / np.array([WIDTH, HEIGHT])
    up = np.stack([np.sin(faces.roll), -np.cos(faces.roll)], axis=1)
    return FoundFaces(faces.center + DOWN * size[:, 1:] * up, size, faces.roll, faces.scores)


def _joined(parts: Sequence[FoundFaces]) -> FoundFaces:
    fields: list[list[NDArray[np.float64]]] = [[p.center, p.size, p.roll, p.scores] for p in parts]
    return FoundFaces(*(np.concatenate(each) for each in zip(*fields, strict=True)))
