"""HRNetV2 with a keypoint head: crops -> heatmaps.

Sources: Wang et al., "Deep High-Resolution Representation Learning for Visual Recognition", TPAMI 2020 (backbone,
figure 3, and the V2 head that joins all resolutions); the face variant has no deconvolution and a stride of 4.

The names of the parameters are the field's (`backbone.stage2.0.branches.0.0.conv1.weight`, ...), so that published
files load by renaming their prefixes only.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from darkpose.weights.checkpoint import HRNetConfig


def conv_bn(inputs: int, outputs: int, kernel: int, stride: int = 1, *, relu: bool = False) -> nn.Sequential:
    """Convolution without bias, batch norm and, if asked for, ReLU."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    if relu:
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def upsample(x: Tensor, factor: int) -> Tensor:
    """Bilinear, half-pixel centres (`align_corners=False`)."""
    return F.interpolate(x, scale_factor=float(factor), mode="bilinear", align_corners=False)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 residual block; its output has four times the middle's channels."""

    def __init__(self, inputs: int, middle: int) -> None:
        super().__init__()
        outputs = 4 * middle
        self.conv1, self.bn1 = nn.Conv2d(inputs, middle, 1, bias=False), nn.BatchNorm2d(middle)
        self.conv2 = nn.Conv2d(middle, middle, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv3, self.bn3 = nn.Conv2d(middle, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.downsample = conv_bn(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around an identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + x)


def fuse_path(widths: Sequence[int], source: int, target: int) -> nn.Module:
    """Carry branch `source` to the resolution and width of branch `target` (upsampling is left to the caller)."""
    if source == target:
        return nn.Identity()
    if source > target:
        return conv_bn(widths[source], widths[target], 1)
    steps = [conv_bn(widths[source], widths[source], 3, 2, relu=True) for _ in range(target - source - 1)]
    return nn.Sequential(*steps, conv_bn(widths[source], widths[target], 3, 2))


class ExchangeModule(nn.Module):
    """Residual blocks on every branch, then every branch receives the sum of all (multi-resolution fusion)."""

    def __init__(self, widths: Sequence[int], blocks: int) -> None:
        super().__init__()
        branches = range(len(widths))
        self.branches = nn.ModuleList(nn.Sequential(*(BasicBlock(width) for _ in range(blocks))) for width in widths)
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(fuse_path(widths, source, target) for source in branches) for target in branches
        )

    def forward(self, inputs: list[Tensor]) -> list[Tensor]:
        branches = [branch(x) for branch, x in zip(self.branches, inputs, strict=True)]
        outputs = []
        for target, paths in enumerate(self.fuse_layers):
            total = torch.zeros((), dtype=branches[0].dtype, device=branches[0].device)
            for source, path in enumerate(cast(nn.ModuleList, paths)):
                y = path(branches[source])
                total = total + (upsample(y, 2 ** (source - target)) if source > target else y)
            outputs.append(F.relu(total))
        return outputs


def transition(before: Sequence[int], after: Sequence[int]) -> nn.ModuleList:
    """Keep the branches (matching their widths) and open a new one at half the lowest resolution."""
    layers: list[nn.Module] = [
        nn.Identity() if old == new else conv_bn(old, new, 3, relu=True)
        for old, new in zip(before, after, strict=False)
    ]
    layers.append(nn.Sequential(conv_bn(before[-1], after[-1], 3, 2, relu=True)))
    return nn.ModuleList(layers)


def open_branch(layers: nn.ModuleList, branches: list[Tensor]) -> list[Tensor]:
    """Apply a `transition`: the new, last branch grows from the lowest resolution there is."""
    return [layer(x) for layer, x in zip(layers, [*branches, branches[-1]], strict=True)]


class HRNetBackbone(nn.Module):
    """Crops (N, 3, H, W) -> four feature maps at stride 4, 8, 16 and 32."""

    def __init__(self, config: HRNetConfig) -> None:
        super().__init__()
        stem, widths, blocks = config.stem, config.widths, config.blocks
        self.conv1, self.bn1 = nn.Conv2d(3, stem, 3, 2, 1, bias=False), nn.BatchNorm2d(stem)
        self.conv2, self.bn2 = nn.Conv2d(stem, stem, 3, 2, 1, bias=False), nn.BatchNorm2d(stem)
        self.layer1 = nn.Sequential(Bottleneck(stem, stem), *(Bottleneck(4 * stem, stem) for _ in range(3)))
        self.transition1 = transition([4 * stem], widths[:2])
        self.stage2 = self._stage(widths[:2], config.modules[0], blocks)
        self.transition2 = transition(widths[:2], widths[:3])
        self.stage3 = self._stage(widths[:3], config.modules[1], blocks)
        self.transition3 = transition(widths[:3], widths)
        self.stage4 = self._stage(widths, config.modules[2], blocks)

    @staticmethod
    def _stage(widths: Sequence[int], modules: int, blocks: int) -> nn.Sequential:
        return nn.Sequential(*(ExchangeModule(widths, blocks) for _ in range(modules)))

    def forward(self, crops: Tensor) -> list[Tensor]:
        x = F.relu(self.bn1(self.conv1(crops)))
        x = F.relu(self.bn2(self.conv2(x)))
        branches = self.stage2(open_branch(self.transition1, [self.layer1(x)]))
        branches = self.stage3(open_branch(self.transition2, branches))
        return cast(list[Tensor], self.stage4(open_branch(self.transition3, branches)))


class HRNet(nn.Module):
    """HRNetV2 keypoint network.

    Input: (N, 3, H, W) float, normalised crops, H and W multiples of 32. Output: (N, K, H/4, W/4) heatmaps; heatmap
    index j lies on crop pixel 4j (both stride-2 convolutions are 3x3 with padding 1).
    """

    def __init__(self, config: HRNetConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = HRNetBackbone(config)
        joined = sum(config.widths)
        self.head = nn.Sequential(
            nn.Conv2d(joined, joined, 1),
            nn.BatchNorm2d(joined),
            nn.ReLU(inplace=True),
            nn.Conv2d(joined, config.keypoints, 1),
        )

    def forward(self, crops: Tensor) -> Tensor:
        branches = self.backbone(crops)
        joined = [upsample(x, 2**i) if i else x for i, x in enumerate(branches)]
        return cast(Tensor, self.head(torch.cat(joined, dim=1)))


def compile_blocks(model: nn.Module) -> None:
    """Let torch compile the residual blocks, each kind once for a shape: sooner done than the whole network."""
    torch._dynamo.config.recompile_limit = 64  # widths, times sizes of batches
    for module in model.modules():
        if isinstance(module, BasicBlock | Bottleneck):
            module.compile(dynamic=False)


def initialise(model: nn.Module, *, seed: int, head_std: float = 0.001) -> None:
    """He initialisation of the backbone, N(0, `head_std`) for the last convolution; for training from nothing."""
    generator = torch.Generator().manual_seed(seed)
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    for conv in convolutions:
        nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        if conv.bias is not None:
            nn.init.zeros_(conv.bias)
    nn.init.normal_(convolutions[-1].weight, std=head_std, generator=generator)
