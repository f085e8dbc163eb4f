"""From crops to landmarks in image px, by the network in torch or by an exported file."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from darkpose.codec.threads import survive_fork
from darkpose.image.geometry import STRIDE, Floats, crop_to_image, heatmap_to_image
from darkpose.image.pixels import Pixels
from darkpose.predict.covariance import Calibration, calibrated, carried
from darkpose.runtime.exported import GraphRunner
from darkpose.runtime.flip import CropDecoder, batched


class Located(NamedTuple):
    """Landmarks of N faces.

    Attributes:
        keypoints: (N, K, 2) float32, image px.
        scores: (N, K) float32, the heatmaps' maxima.
        covariance: (N, K, 2, 2) float32, image px^2, calibrated; NaN where that is not known; None if not asked for.
    """

    keypoints: NDArray[np.floating]
    scores: NDArray[np.floating]
    covariance: NDArray[np.floating] | None


class Locator(Protocol):
    """Finds the landmarks of crops."""

    def __call__(self, crops: Iterable[Pixels], center: Floats, sides: Floats) -> Located:
        """Landmarks of N crops (S, S, 3) uint8 RGB whose centres (N, 2) and sides (N, 2) are in image px."""
        ...


@dataclass(frozen=True)
class TorchLocator:
    """The network in torch.

    Attributes:
        decoder: crops -> landmarks in heatmap px.
        size: side of a crop, crop px.
        calibration: of the covariances that the decoder gives; None: they are not known.
    """

    decoder: CropDecoder
    size: int
    calibration: Calibration | None = None

    def __call__(self, crops: Iterable[Pixels], center: Floats, sides: Floats) -> Located:
        """As `Locator`."""
        survive_fork()
        decoded = self.decoder(crops)
        points, scores = decoded
        side = self.size // STRIDE
        keypoints = heatmap_to_image(points, center[:, None], sides[:, None], (side, side))
        spread = decoded.covariance
        return Located(keypoints, scores, None if spread is None else self._to_image(spread, center, sides))

    def _to_image(self, peaks: NDArray[np.floating], center: Floats, sides: Floats) -> NDArray[np.float32]:
        """Calibrated covariances (N, K, 2, 2) in image px^2 of peaks, heatmap px^2."""
        if self.calibration is None:
            return np.full(peaks.shape, np.nan, np.float32)
        each = zip(calibrated(peaks, self.calibration), matrices_of(center, sides, self.size), strict=True)
        found = [carried(spread, matrix[:, :2] * STRIDE) for spread, matrix in each]
        return np.asarray(np.reshape(found, peaks.shape), np.float32)


@dataclass(frozen=True)
class GraphLocator:
    """An exported file.

    Attributes:
        runner: of the file.
        batch_size: crops at a time.
        covariance: give covariances; NaN where the file has none.
    """

    runner: GraphRunner
    batch_size: int = 16
    covariance: bool = False

    def __call__(self, crops: Iterable[Pixels], center: Floats, sides: Floats) -> Located:
        """As `Locator`."""
        card = self.runner.card
        matrices = matrices_of(center, sides, card.config.crop_size)
        parts, start = [], 0
        for batch in batched(crops, self.batch_size):
            parts.append(self.runner(np.stack(batch).astype(card.crops, copy=False), matrices[start:][: len(batch)]))
            start += len(batch)
        count = len(card.schema)
        shapes = {"keypoints": (0, count, 2), "scores": (0, count), "covariance": (0, count, 2, 2)}
        found = {
            name: np.concatenate([np.zeros(shape, np.float32), *(part[name] for part in parts if name in part)])
            for name, shape in shapes.items()
        }
        spread = found["covariance"] if "covariance" in card.outputs else np.full((start, count, 2, 2), np.nan)
        return Located(found["keypoints"], found["scores"], spread.astype(np.float32) if self.covariance else None)


def matrices_of(center: Floats, sides: Floats, size: int) -> Floats:
    """Matrices (N, 2, 3), crop px to image px, of upright crops."""
    each = [crop_to_image(middle, float(side[0]), (size, size)) for middle, side in zip(center, sides, strict=True)]
    return np.reshape(each, (-1, 2, 3))
