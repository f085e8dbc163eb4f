"""Heatmaps -> landmarks in image px: DARK, covariance, and back into the image; the same for every runtime."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from darkpose.codec.dark import decode_maps, modulation_kernel
from darkpose.codec.heatmap import Decoded, Method, decode
from darkpose.errors import DarkposeError
from darkpose.image.geometry import Floats, heatmap_to_image
from darkpose.image.pixels import Pixels
from darkpose.predict.covariance import in_image
from darkpose.runtime.flip import FlipTest, heatmaps_by_flip
from darkpose.runtime.network import Network
from darkpose.schema import KeypointSchema
from darkpose.weights.calibrations import Calibration

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Landmarks of N faces.

    Attributes:
        keypoints: (N, K, 2) float32, image px.
        scores: (N, K) float32, the maxima of the heatmaps.
        covariance: (N, K, 2, 2) float32, image px^2, calibrated; NaN where it is not known; None if not asked for.
    """

    keypoints: NDArray[np.floating]
    scores: NDArray[np.floating]
    covariance: NDArray[np.floating] | None = None


def check_finite(found: Landmarks) -> None:
    """Refuse landmarks that are not finite: only unusable weights or settings give these.

    Raises:
        DarkposeError: a coordinate or score is not finite.
    """
    if not (np.isfinite(found.keypoints).all() and np.isfinite(found.scores).all()):
        raise DarkposeError(
            "the network gives landmarks that are not finite numbers: the weights or their settings are unusable"
        )


def find_landmarks(
    heatmaps: "NDArray[np.float32] | Tensor",
    center: Floats,
    sides: Floats,
    *,
    method: Method = "dark",
    kernel_size: int = 11,
    covariance: bool = False,
    calibration: Calibration | None = None,
) -> Landmarks:
    """Landmarks in the image from the heatmaps of upright crops.

    Args:
        heatmaps: (N, K, H, W); they are decoded where they are: only landmarks leave a GPU.
        center: (N, 2) of the crops, image px.
        sides: (N, 2) = (width, height) of the crops, image px.
        method, kernel_size: as in `decode`.
        covariance: give covariances.
        calibration: of the covariances; None: they are NaN.
    """
    found = _decode(heatmaps, method, kernel_size, covariance)
    size = (heatmaps.shape[3], heatmaps.shape[2])
    keypoints = heatmap_to_image(_array(found.points), center[:, None], sides[:, None], size)
    spread = None
    if found.covariance is not None:
        spread = in_image(_array(found.covariance), calibration, sides, size).astype(np.float32)
    return Landmarks(keypoints, _array(found.scores), spread)


@dataclass(frozen=True, eq=False)
class LandmarkFinder:
    """Crops -> landmarks in image px, by any network.

    Attributes:
        network: crops -> heatmaps.
        schema: of the landmarks.
        flip_test: average with the mirrored crops (see `runtime.flip`).
        method, kernel_size: as in `decode`.
        batch_size: crops per forward pass.
        covariance: give covariances.
        calibration: of the covariances; None: they are NaN.
    """

    network: Network
    schema: KeypointSchema
    flip_test: FlipTest = "off"
    method: Method = "dark"
    kernel_size: int = 11
    batch_size: int = 16
    covariance: bool = False
    calibration: Calibration | None = None

    def __call__(self, crops: Iterable[Pixels], center: Floats, sides: Floats) -> Landmarks:
        """Landmarks of N crops (S, S, 3) uint8 RGB whose centres (N, 2) and sides (N, 2) are in image px."""
        parts: list[Landmarks] = []
        iterator = iter(crops)
        while batch := list(islice(iterator, self.batch_size)):
            part = slice(len(parts) * self.batch_size, len(parts) * self.batch_size + len(batch))
            parts.append(self._find(np.stack(batch), center[part], sides[part]))
        if not parts:
            return self._none()
        fields = ("keypoints", "scores", "covariance") if self.covariance else ("keypoints", "scores")
        return Landmarks(*(np.concatenate([getattr(part, field) for part in parts]) for field in fields))

    def _find(self, crops: Pixels, center: Floats, sides: Floats) -> Landmarks:
        if self.flip_test == "off":
            heatmaps = self.network(crops)
        else:
            heatmaps = heatmaps_by_flip(self.network, crops, self.schema.flip_index, [self.flip_test])[self.flip_test]
        return find_landmarks(
            heatmaps,
            center,
            sides,
            method=self.method,
            kernel_size=self.kernel_size,
            covariance=self.covariance,
            calibration=self.calibration,
        )

    def _none(self) -> Landmarks:
        """The landmarks of no crops."""
        count = len(self.schema)
        spread = np.zeros((0, count, 2, 2), np.float32) if self.covariance else None
        return Landmarks(np.zeros((0, count, 2), np.float32), np.zeros((0, count), np.float32), spread)


def _decode(
    heatmaps: "NDArray[np.float32] | Tensor", method: Method, kernel_size: int, covariance: bool
) -> Decoded[Any]:
    """Landmarks in heatmap px. Arrays by NumPy: next to a network it is quick, and Numba takes seconds to start."""
    if not isinstance(heatmaps, np.ndarray):
        return decode(heatmaps, method=method, kernel_size=kernel_size, covariance=covariance)
    n, k, height, width = heatmaps.shape
    maps, taps = heatmaps.reshape(n * k, height, width), modulation_kernel(kernel_size)
    points, scores, spread = decode_maps(maps, method, taps, covariance)
    spread = None if spread is None else spread.reshape(n, k, 2, 2)
    return Decoded(points.reshape(n, k, 2), scores.reshape(n, k), spread)


def _array(values: Any) -> NDArray[np.floating]:
    return np.asarray(values if isinstance(values, np.ndarray) else values.cpu())
