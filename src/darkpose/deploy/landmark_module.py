"""Crops -> landmarks in image px as one torch module: what a `.pt2` file holds.

It holds normalisation, network, flip test, DARK, covariance, and the map back into the image. Only the number of crops
is free, and there is no float64, which many runtimes lack.
"""

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from darkpose.codec.dark_torch import decode_torch
from darkpose.codec.heatmap import Method
from darkpose.image.geometry import STRIDE, heatmap_to_crop
from darkpose.network.checkpoint import Checkpoint
from darkpose.runtime.flip import FlipTest, mirror_back
from darkpose.weights.calibrations import Calibration


class LandmarkModule(nn.Module):
    """Crops and their matrices -> landmarks in image px.

    Input: crops (N, S, S, 3) RGB, uint8 or floats from 0 to 255; matrices (N, 2, 3) float32, crop px to image px. The
    frames are those of `image.geometry`: the centre of the first pixel is (0, 0).

    Output, a tuple in this order:
        keypoints: (N, K, 2) image px; for a heatmap without a positive maximum, (-1, -1) heatmap px in the image.
        scores: (N, K), the maxima of the heatmaps.
        covariance: (N, K, 2, 2) image px^2, calibrated, NaN where it is not known; only with a calibration.
        heatmaps: (N, K, S/4, S/4); not if `gives_heatmaps` is False.
    """

    scale: Tensor
    offset: Tensor
    spread: Tensor
    floor: Tensor

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        flip_test: FlipTest = "off",
        method: Method = "dark",
        calibration: Calibration | None = None,
    ) -> None:
        """Put the network of a checkpoint between its normalisation and DARK.

        Args:
            checkpoint: of one schema; its network becomes part of the graph.
            flip_test: average with the mirrored crops, in the same forward pass.
            method: decoder of the heatmaps.
            calibration: of the covariances; None: give none.
        """
        super().__init__()
        normalisation = checkpoint.config.normalisation
        self.network: nn.Module = checkpoint.model
        self.kernel_size, self.size = checkpoint.config.kernel_size, checkpoint.config.crop_size
        self.flip_test, self.method, self.flip_index = flip_test, method, checkpoint.schema.flip_index
        self.gives_heatmaps = True
        self.calibrated, self.width = calibration is not None, calibration.width if calibration else 0.0
        std = np.asarray(normalisation.std, np.float32)
        constants = {
            "scale": 1 / (255 * std),
            "offset": np.asarray(normalisation.mean, np.float32) / std,
        }
        if calibration is not None:
            constants |= {"spread": np.asarray(calibration.scale, np.float32)}
            constants |= {"floor": np.asarray(calibration.floor, np.float32)}
        for name, values in constants.items():
            self.register_buffer(name, torch.from_numpy(np.array(values)), persistent=False)

    def forward(self, crops: Tensor, matrices: Tensor) -> tuple[Tensor, ...]:
        """Landmarks of crops (N, S, S, 3) with their matrices (N, 2, 3)."""
        maps = self.find(crops)
        found = decode_torch(maps, method=self.method, kernel_size=self.kernel_size, fit_type=torch.float32)
        linear, shift = matrices[:, :, :2], matrices[:, None, :, 2]
        keypoints = heatmap_to_crop(found.points) @ linear.mT + shift
        spread = () if not self.calibrated else (self._in_image(found.covariance, linear),)
        return (keypoints, found.scores, *spread, *((maps,) if self.gives_heatmaps else ()))

    def find(self, crops: Tensor) -> Tensor:
        """Heatmaps (N, K, H, W) float32 of crops (N, S, S, 3)."""
        kind = next(self.network.parameters()).dtype
        inputs = (crops * self.scale - self.offset).permute(0, 3, 1, 2).to(kind)
        if self.flip_test == "off":
            return cast(Tensor, self.network(inputs)).float()
        both = self.network(torch.cat([inputs, inputs.flip(-1)])).float()
        plain, mirrored = both.tensor_split(2)
        return cast(Tensor, (plain + mirror_back(mirrored, self.flip_index, self.flip_test)) / 2)

    def _in_image(self, peaks: Tensor, linear: Tensor) -> Tensor:
        """Calibrated covariances (N, K, 2, 2) in image px^2 of peaks in heatmap px^2, as `predict.covariance`."""
        wider = positive_part(peaks - self.width * torch.eye(2, device=peaks.device))
        spread = self.floor[:, None, None] * torch.eye(2, device=peaks.device) + self.spread[:, None, None] * wider
        jacobian = linear[:, None] * STRIDE
        return jacobian @ spread @ jacobian.mT


def positive_part(matrices: Tensor) -> Tensor:
    """Symmetric matrices (..., 2, 2) with negative eigenvalues set to 0, in closed form; NaN stays NaN."""
    a, b, d = matrices[..., 0, 0], matrices[..., 0, 1], matrices[..., 1, 1]
    mean, radius = (a + d) / 2, (((a - d) / 2).square() + b.square()).sqrt()
    high, low = (mean + radius)[..., None, None], (mean - radius)[..., None, None]
    # The projection on the first eigenvector, times its eigenvalue; if both are positive, the matrix itself.
    identity = torch.eye(2, dtype=matrices.dtype, device=matrices.device)
    one = high * (matrices - low * identity) / (high - low).clamp(min=torch.finfo(matrices.dtype).tiny)
    both, neither = torch.where(low > 0, matrices, one), torch.zeros_like(matrices)
    return torch.where(high > 0, both, torch.where(high <= 0, neither, matrices))
