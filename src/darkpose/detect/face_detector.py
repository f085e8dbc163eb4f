"""darkpose's own face detector: finds faces at every roll, and gives the landmark box and the roll of each."""

from collections.abc import Sequence

import numpy as np

from darkpose.detect.boxes import BoxCorrection, Detections
from darkpose.detect.cells import FoundFaces, faces_of, without_duplicates
from darkpose.image.geometry import resize_points
from darkpose.image.pixels import Pixels, resized
from darkpose.runtime.face_detector import open_cells
from darkpose.runtime.open import Engine
from darkpose.weights.face_detector import MULTIPLE, FaceDetectorFile, open_face_detector

WIDTH, HEIGHT, DOWN = 1.03, 0.73, 0.13  # of landmark boxes in shares of face boxes, and how far down their centre is
SIDE = 640  # px
THRESHOLD = 0.5  # lowest score of a face; scores are calibrated (scripts/ship_face_detector.py)
SMALLEST = 16.0  # px at the size that is searched


class FaceDetector:
    """A small one-stage network on three grids (docs/detection.md).

    Args:
        file: of the weights; None: the one in the package.
        engine: what runs the network; None: the fastest on this machine.
        threshold: lowest score of a face.
        side: px; an image is searched with its longer side at this size.

    Attributes:
        network: images (N, H, W, 3) uint8 RGB -> cells (N, 7, C).
        settings: what the boxes depend on: SHA-256 of the file, threshold and side; JSON values.

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
        side: int = SIDE,
    ) -> None:
        file = file or open_face_detector()
        self.network = open_cells(file, engine)
        self.settings = {"sha256": file.digest(), "threshold": threshold, "side": side}
        self._threshold, self._side = threshold, side

    def smallest(self, size: tuple[int, int]) -> float:
        """Side in px of the smallest faces that are mostly found in images (width, height)."""
        return SMALLEST * max(size) / self._side

    def __call__(self, image: Pixels) -> Detections:
        """Faces in an image (H, W, 3) uint8 RGB."""
        return self.batch([image])[0]

    def batch(self, images: Sequence[Pixels]) -> list[Detections]:
        """Faces in each of some images (H, W, 3) uint8 RGB, in one pass of the network.

        Images of several sizes get black borders; faces at these may be found differently than in the image alone.
        """
        searched = [resized(image, self._searched_size(image)) for image in images]
        width, height = (-(-max(each.shape[axis] for each in searched) // MULTIPLE) * MULTIPLE for axis in (1, 0))
        canvas = np.zeros((len(images), height, width, 3), np.uint8)
        for place, each in zip(canvas, searched, strict=True):
            place[: each.shape[0], : each.shape[1]] = each
        found = []
        for image, each, cells in zip(images, searched, self.network(canvas), strict=True):
            faces = without_duplicates(faces_of(np.asarray(cells), (width, height), self._threshold))
            found.append(_in_image(faces, each.shape[1::-1], image.shape[1::-1]))
        return found

    def _searched_size(self, image: Pixels) -> tuple[int, int]:
        """(width, height) at which an image is searched."""
        scale = self._side / max(image.shape[:2])
        return max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))


def _in_image(faces: FoundFaces, size: tuple[int, ...], image_size: tuple[int, ...]) -> Detections:
    """Faces found in an image of one size, in px of the same image of another size; those outside are left out."""
    faces = faces.part(np.all((faces.center >= 0) & (faces.center <= np.array(size) - 1), axis=1))
    factor = np.array(image_size) / size
    faces = FoundFaces(resize_points(faces.center, factor), faces.size * factor.mean(), faces.roll, faces.scores)
    boxes = face_boxes(faces).upright_boxes()
    return Detections(boxes, faces.scores, faces.square_boxes(), np.degrees(faces.roll))


def face_boxes(faces: FoundFaces) -> FoundFaces:
    """Boxes from forehead to chin, as other detectors draw them, from landmark boxes: by the median over WIDER FACE."""
    size = faces.size / np.array([WIDTH, HEIGHT])
    up = np.stack([np.sin(faces.roll), -np.cos(faces.roll)], axis=1)
    return FoundFaces(faces.center + DOWN * size[:, 1:] * up, size, faces.roll, faces.scores)
