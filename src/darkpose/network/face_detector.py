"""The network of the face detector: three grids of cells, each with the score, centre, size and roll of a face.

Anchor-free and one-stage (CenterNet, Zhou et al. 2019; TTFNet, Liu et al. 2020), made of depthwise separable
convolutions (MobileNet, Howard et al. 2017) with a feature pyramid (Lin et al. 2017).
"""

from math import log

import torch
from torch import Tensor, nn
from torch.nn import functional

from darkpose.network.checkpoint import fill_strictly
from darkpose.weights.face_detector import CELL_STRIDES, CELL_VALUES, FaceDetectorConfig, FaceDetectorFile

KERNELS = (3, 3, 5, 5)  # of the blocks at strides 4, 8, 16 and 32
RARE = 0.01  # score of every cell before training


class Block(nn.Module):
    """A depthwise and a pointwise convolution, with a shortcut where the shape stays."""

    def __init__(self, before: int, after: int, *, stride: int = 1, kernel: int = 3) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(before, before, kernel, stride, kernel // 2, groups=before, bias=False)
        self.depthwise_norm = nn.BatchNorm2d(before)
        self.pointwise = nn.Conv2d(before, after, 1, bias=False)
        self.pointwise_norm = nn.BatchNorm2d(after)
        self.has_shortcut = before == after and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, C, H, W) of the next block."""
        y = functional.relu(self.depthwise_norm(self.depthwise(x)))
        y = self.pointwise_norm(self.pointwise(y))
        return functional.relu(y + x if self.has_shortcut else y)


class FaceDetectorNetwork(nn.Module):
    """Images -> grids of cells.

    Args:
        config: widths and depths.
    """

    def __init__(self, config: FaceDetectorConfig) -> None:
        super().__init__()
        self.config = config
        first, second, *wide = config.widths
        pyramid = config.pyramid
        self.stem = nn.Conv2d(3, first, 3, 2, 1)
        entries: list[nn.Module] = [
            nn.Sequential(nn.Conv2d(first, second, 3, 2, 1, bias=False), nn.BatchNorm2d(second), nn.ReLU())
        ]
        entries += [Block(a, b, stride=2) for a, b in zip((second, *wide), wide, strict=False)]
        self.stages = nn.ModuleList(
            nn.Sequential(entry, *(Block(width, width, kernel=kernel) for _ in range(depth)))
            for entry, width, depth, kernel in zip(entries, (second, *wide), config.depths, KERNELS, strict=True)
        )
        self.lateral = nn.ModuleList(nn.Conv2d(width, pyramid, 1) for width in wide)
        self.smooth = nn.ModuleList(Block(pyramid, pyramid) for _ in CELL_STRIDES)
        outputs = [nn.Conv2d(pyramid, len(CELL_VALUES), 1) for _ in CELL_STRIDES]
        self.heads = nn.ModuleList(nn.Sequential(Block(pyramid, pyramid), output) for output in outputs)
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
        x = functional.relu(self.stem(images))
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        levels = [lateral(x) for lateral, x in zip(self.lateral, features[1:], strict=True)]
        for finer in (1, 0):
            levels[finer] = levels[finer] + functional.interpolate(levels[finer + 1], scale_factor=2.0)
        return [head(smooth(x)) for head, smooth, x in zip(self.heads, self.smooth, levels, strict=True)]


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
    """The network with its grids in one tensor (N, 7, C): the finest first, each row by row."""

    def __init__(self, network: FaceDetectorNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Cells of images (N, 3, H, W), normalised."""
        return torch.cat([grid.flatten(2) for grid in self.network(images)], dim=2)
