"""The network of the face detector: three grids of cells, each with the score, centre, size and roll of a face.

Anchor-free and one-stage (CenterNet, Zhou et al. 2019; TTFNet, Liu et al. 2020), made of residual blocks with a feature
pyramid (Lin et al. 2017).
"""

from math import log

import torch
from torch import Tensor, nn
from torch.nn import functional

from darkpose.network.checkpoint import fill_strictly
from darkpose.network.hrnet import BasicBlock, conv_bn
from darkpose.weights.face_detector import CELL_STRIDES, CELL_VALUES, SCALES, FaceDetectorConfig, FaceDetectorFile

RARE = 0.01  # score of every cell before training


class FaceDetectorNetwork(nn.Module):
    """Images -> grids of cells.

    Args:
        config: widths and depths.
    """

    def __init__(self, config: FaceDetectorConfig) -> None:
        super().__init__()
        self.config = config
        widths, pyramid = config.widths, config.pyramid
        self.stem = conv_bn(3, widths[0], 3, 2, relu=True)
        self.stages = nn.ModuleList(
            nn.Sequential(conv_bn(before, width, 3, 2, relu=True), *(BasicBlock(width) for _ in range(depth)))
            for before, width, depth in zip(widths[:-1], widths[1:], config.depths, strict=True)
        )
        self.lateral = nn.ModuleList(nn.Conv2d(width, pyramid, 1) for width in widths[2:])
        outputs = [nn.Conv2d(pyramid, len(CELL_VALUES), 1) for _ in CELL_STRIDES]
        self.heads = nn.ModuleList(
            nn.Sequential(*(conv_bn(pyramid, pyramid, 3, relu=True) for _ in range(2)), output) for output in outputs
        )
        start = {"score": log(RARE / (1 - RARE)), "width": 1.0, "height": 1.0, "cos": 1.0}
        for output in outputs:
            nn.init.normal_(output.weight, std=0.01)
            with torch.no_grad():
                output.bias.copy_(torch.tensor([start.get(name, 0.0) for name in CELL_VALUES]))  # type: ignore[union-attr]

    def forward(self, images: Tensor) -> list[Tensor]:
        """Grids of cells.

        Args:
            images: (N, 3, H, W) float32 RGB, normalised; H and W are multiples of 32.

        Returns:
            For each of `CELL_STRIDES` (N, 7, H / stride, W / stride): the values named in `CELL_VALUES`.
        """
        x = self.stem(images)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        levels = [lateral(x) for lateral, x in zip(self.lateral, features[1:], strict=True)]
        for finer in (1, 0):
            levels[finer] = levels[finer] + functional.interpolate(levels[finer + 1], scale_factor=2.0)
        return [head(x) for head, x in zip(self.heads, levels, strict=True)]


def load_face_detector(file: FaceDetectorFile) -> FaceDetectorNetwork:
    """The network with the weights of a file, in evaluation mode, float32.

    Raises:
        DarkposeError: the file cannot be read, or its weights do not fit its configuration; every one that does not is
            listed.
    """
    with torch.device("meta"):
        network = FaceDetectorNetwork(file.config)
    weights = {name: torch.from_numpy(values) for name, values in file.arrays().items()}
    return fill_strictly(network, weights, f"{file.path}: the weights do not fit {file.config}")


class Cells(nn.Module):
    """The network at each of `SCALES`; all grids are in one tensor (see `runtime.face_detector.open_cells`)."""

    def __init__(self, network: FaceDetectorNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Cells of images (N, 3, H, W), normalised; H and W are multiples of `MULTIPLE`."""
        sizes = (images if scale == 1 else functional.avg_pool2d(images, scale) for scale in SCALES)
        return torch.cat([grid.flatten(2) for each in sizes for grid in self.network(each)], dim=2)
