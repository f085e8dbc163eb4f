"""A network as torch runs it: batch norms folded, channels last, its convolutions in bfloat16, compiled."""

from copy import deepcopy
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from darkpose.errors import DarkposeError


class InBfloat16(nn.Module):
    """A network whose convolutions calculate in bfloat16."""

    def __init__(self, network: nn.Module, device: str) -> None:
        super().__init__()
        self.network, self.device = network, device

    def forward(self, crops: Tensor) -> Tensor:
        """The network's heatmaps, (N, K, H, W)."""
        with torch.autocast(self.device, torch.bfloat16):
            return cast(Tensor, self.network(crops))


class Compiled(nn.Module):
    """A network by torch.compile, on a GPU as CUDA graphs; compiled for one crop at once, for more when they come.

    CUDA graphs write every result to the same memory, so that results are copied before they are given away.

    Raises:
        DarkposeError: torch cannot compile here.
    """

    def __init__(self, network: nn.Module, device: torch.device, crop_size: int) -> None:
        super().__init__()
        self.device = device
        self.network = torch.compile(network, mode="reduce-overhead" if device.type == "cuda" else "default")
        try:
            with torch.inference_mode():
                self(torch.zeros(1, 3, crop_size, crop_size, device=device))
        except RuntimeError as error:  # what dynamo and inductor raise
            reason = str(error).strip().splitlines()[0]
            raise DarkposeError(f"torch cannot compile the network here, leave compiled out: {reason}") from error

    def forward(self, crops: Tensor) -> Tensor:
        """The network's heatmaps, (N, K, H, W)."""
        heatmaps = cast(Tensor, self.network(crops))
        return heatmaps.clone() if self.device.type == "cuda" else heatmaps


def fold_norms(network: nn.Module) -> nn.Module:
    """A copy of a network in evaluation mode whose batch norms are part of the convolutions before them."""
    folded = deepcopy(network)
    for module in list(folded.modules()):
        for (before, convolution), (name, norm) in pairwise(module.named_children()):
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, before, fuse_conv_bn_eval(convolution, norm))
                setattr(module, name, nn.Identity())
    return folded


def ready(
    network: nn.Module, device: torch.device, crop_size: int, *, bfloat16: bool = False, compiled: bool = False
) -> nn.Module:
    """A network as a predictor runs it.

    Args:
        network: in evaluation mode; it stays as it is.
        device: to run it on.
        crop_size: side of its crops, crop px.
        bfloat16: let the convolutions calculate in bfloat16.
        compiled: by torch.compile.

    Raises:
        DarkposeError: torch cannot compile here.
    """
    placed: nn.Module = fold_norms(network).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    wanted = InBfloat16(placed, device.type) if bfloat16 else placed
    return Compiled(wanted, device, crop_size) if compiled else wanted
