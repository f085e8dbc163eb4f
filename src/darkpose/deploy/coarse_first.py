"""HRNetV2 with a head that gives the same heatmaps and calculates less: for exported files."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from darkpose.network.hrnet import HRNet, HRNetBackbone, upsample


class CoarseFirst(nn.Module):
    """A network whose head mixes the channels of the coarsest branch before it enlarges them.

    The head enlarges every branch and mixes all channels by a 1x1 convolution. Both are linear and commute; mixing 8x8
    cells instead of 64x64 saves half of that convolution. For the finer branches, enlarging more channels would cost
    what mixing fewer cells saves. `runtime.graph` does the same.

    Args:
        model: in evaluation mode; the backbone is shared, the batch norm of the head becomes part of the convolution.
    """

    def __init__(self, model: HRNet) -> None:
        super().__init__()
        self.backbone: HRNetBackbone = model.backbone
        mix, norm, _, last = (cast(nn.Conv2d, layer) for layer in model.head)
        with torch.no_grad():
            folded = nn.utils.fusion.fuse_conv_bn_eval(mix, cast(nn.BatchNorm2d, norm))
        coarsest = model.config.widths[-1]
        assert folded.bias is not None
        self.fine = nn.Parameter(folded.weight[:, :-coarsest].clone(), requires_grad=False)
        self.coarse = nn.Parameter(folded.weight[:, -coarsest:].clone(), requires_grad=False)
        self.bias = nn.Parameter(folded.bias.clone(), requires_grad=False)
        self.last = last

    def forward(self, crops: Tensor) -> Tensor:
        """The heatmaps (N, K, H/4, W/4) of the network, for crops (N, 3, H, W)."""
        *fine, coarse = self.backbone(crops)
        joined = torch.cat([upsample(x, 2**i) if i else x for i, x in enumerate(fine)], dim=1)
        mixed = F.conv2d(joined, self.fine, self.bias) + upsample(F.conv2d(coarse, self.coarse), 2 ** len(fine))
        return cast(Tensor, self.last(F.relu(mixed)))
